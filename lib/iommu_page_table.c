// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include <linux/sizes.h>

#include <libvfio/iommu_page_table.h>

#define INTEL_DEBUGFS "/sys/kernel/debug/iommu/intel"

/* VT-d specification, 11.4.2 and 11.4.3 */
#define CAP_SLLPS_2M (1ULL << 34)
#define CAP_SLLPS_1G (1ULL << 35)
#define CAP_FS1GP (1ULL << 56)
#define ECAP_SMTS (1ULL << 43)

static void table_path(const char *bdf, char *path, size_t size)
{
	snprintf(path, size, INTEL_DEBUGFS "/%s/domain_translation_struct", bdf);
}

/* A register of the IOMMU in front of the device. Return: 0 or -ENOENT. */
static int vtd_register(const char *bdf, const char *name, u64 *value)
{
	unsigned long long number;
	char path[PATH_MAX];
	FILE *file;
	int fields;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu/intel-iommu/%s", bdf, name);
	file = fopen(path, "r");
	if (!file)
		return -ENOENT;

	fields = fscanf(file, "%llx", &number);
	fclose(file);
	*value = number;
	return fields == 1 ? 0 : -ENOENT;
}

const char *iommu_page_table_missing(const char *bdf)
{
	char path[PATH_MAX];
	u64 capability;

	if (vtd_register(bdf, "cap", &capability))
		return "only VT-d shows its page tables in debugfs, AMD-Vi does not";

	table_path(bdf, path, sizeof(path));
	if (access(path, R_OK))
		return "no page tables in debugfs: is it mounted, are you root, has the kernel "
		       "CONFIG_INTEL_IOMMU_DEBUGFS?";
	return NULL;
}

bool iommu_page_table_takes(const char *bdf, u64 page_size)
{
	u64 cap = 0, ecap = 0;

	VFIO_ASSERT_EQ(vtd_register(bdf, "cap", &cap), 0);
	VFIO_ASSERT_EQ(vtd_register(bdf, "ecap", &ecap), 0);

	switch (page_size) {
	case SZ_4K:
		return true;
	case SZ_2M:
		return cap & CAP_SLLPS_2M;
	case SZ_1G:
		/* In scalable mode the kernel may take tables of the first stage. */
		return cap & CAP_SLLPS_1G && (cap & CAP_FS1GP || !(ecap & ECAP_SMTS));
	default:
		VFIO_FAIL("no page has %#llx bytes", (unsigned long long)page_size);
	}
}

/*
 * A line is "IOVA_PFN | PML5E PML4E PDPE PDE PTE" of one leaf, and ends with the entry that is
 * the leaf. Lines of text have no bar.
 */
static int parse_leaf(const char *line, u64 *iova, u64 *page_size)
{
	static const u64 sizes[] = { [4] = SZ_1G, [5] = SZ_2M, [6] = SZ_4K };
	unsigned long long pfn, entry[5];
	int fields;

	fields = sscanf(line, "%llx | %llx %llx %llx %llx %llx", &pfn, &entry[0], &entry[1],
			&entry[2], &entry[3], &entry[4]);
	if (fields < 4)
		return -EINVAL;

	*iova = pfn * SZ_4K;
	*page_size = sizes[fields];
	return 0;
}

struct iommu_page_counts iommu_page_table_parse(FILE *stream, iova_t iova, u64 size)
{
	struct iommu_page_counts counts = {};
	u64 page, page_size;
	char line[256];

	while (fgets(line, sizeof(line), stream)) {
		if (parse_leaf(line, &page, &page_size) ||
		    page + page_size - 1 < iova || page > iova + size - 1)
			continue;

		counts.nr_4k += page_size == SZ_4K;
		counts.nr_2m += page_size == SZ_2M;
		counts.nr_1g += page_size == SZ_1G;
	}

	return counts;
}

struct iommu_page_counts iommu_page_table_count(const char *bdf, iova_t iova, u64 size)
{
	struct iommu_page_counts counts;
	char path[PATH_MAX];
	FILE *file;

	table_path(bdf, path, sizeof(path));
	file = fopen(path, "r");
	VFIO_ASSERT_NOT_NULL(file, "cannot open %s: %s", path, strerror(errno));
	counts = iommu_page_table_parse(file, iova, size);
	fclose(file);
	return counts;
}

u64 iommu_page_counts_bytes(struct iommu_page_counts counts)
{
	return counts.nr_4k * SZ_4K + counts.nr_2m * SZ_2M + counts.nr_1g * SZ_1G;
}
