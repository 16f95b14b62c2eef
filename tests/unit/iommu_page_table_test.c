// SPDX-License-Identifier: GPL-2.0-only
/* VT-d's page tables are read right, for they are the witness of how memory was mapped. */
#include <string.h>

#include <linux/sizes.h>

#include <libvfio/iommu_page_table.h>
#include <tests/harness.h>

static const char text[] =
	"Device 0000:01:00.0 @0x1407f8000\n"
	"IOVA_PFN         \tPML5E\tPML4E             \tPDPE              \tPDE\tPTE\n"
	"0x0000000000010 |\t0x0000000000000000\t0x0000000000000000\t0x0000000102003003"
	"\t0x0000000102004003\t0x0000000104005003\n"
	"0x0000000000011 |\t0x0000000000000000\t0x0000000000000000\t0x0000000102003003"
	"\t0x0000000102004003\t0x0000000104006003\n"
	"0x0000000000200 |\t0x0000000000000000\t0x0000000000000000\t0x0000000102003003"
	"\t0x0000000106000083\n"
	"0x0000000040000 |\t0x0000000000000000\t0x0000000102002003\t0x0000000140000083\n";

static struct iommu_page_counts parse(iova_t iova, u64 size)
{
	FILE *stream = fmemopen((void *)text, strlen(text), "r");
	struct iommu_page_counts counts = iommu_page_table_parse(stream, iova, size);

	fclose(stream);
	return counts;
}

TEST(leaves_of_each_level_are_told_apart)
{
	struct iommu_page_counts counts = parse(0, UINT64_MAX);

	EXPECT_EQ(2, counts.nr_4k);
	EXPECT_EQ(1, counts.nr_2m);
	EXPECT_EQ(1, counts.nr_1g);
	EXPECT_EQ(2ULL * SZ_4K + SZ_2M + SZ_1G, iommu_page_counts_bytes(counts));
}

TEST(pages_outside_of_the_range_are_left_out)
{
	EXPECT_EQ(0, iommu_page_counts_bytes(parse(0, 0x10000)));
	EXPECT_EQ(SZ_4K, iommu_page_counts_bytes(parse(0, 0x10001)));
	EXPECT_EQ(SZ_4K, iommu_page_counts_bytes(parse(0x11000, SZ_4K)));
	EXPECT_EQ(0, iommu_page_counts_bytes(parse(0x12000, SZ_64K)));
}

TEST(a_huge_page_that_reaches_into_the_range_counts)
{
	EXPECT_EQ(1, parse(SZ_2M + SZ_1M, SZ_4K).nr_2m);
	EXPECT_EQ(1, parse(2ULL * SZ_1G - SZ_4K, SZ_1G).nr_1g);
	EXPECT_EQ(0, parse(2ULL * SZ_1G, SZ_1G).nr_1g);
}

TEST_PROGRAM(NEEDS_NOTHING, "the page tables in VT-d's debugfs are read right")
