// SPDX-License-Identifier: GPL-2.0-only
/* The IOVA allocator stays inside the usable ranges, aligned, and gives nothing away twice. */
#include <linux/iommufd.h>
#include <linux/sizes.h>

#include <libvfio/iova_allocator.h>
#include <tests/harness.h>

#define ALLOCATOR(_limit, ...) (struct iova_allocator){					\
	.ranges = (struct iommu_iova_range[]){ __VA_ARGS__ },				\
	.nranges = sizeof((struct iommu_iova_range[]){ __VA_ARGS__ }) /			\
		   sizeof(struct iommu_iova_range),					\
	.limit = (_limit),								\
}

TEST(allocations_are_aligned_to_their_size)
{
	struct iova_allocator allocator = ALLOCATOR(UINT64_MAX, { .start = 0x1000, .last = SZ_1G });

	EXPECT_EQ(SZ_2M, iova_allocator_alloc(&allocator, SZ_2M));
	EXPECT_EQ(SZ_4M, iova_allocator_alloc(&allocator, SZ_4K));
	EXPECT_EQ(SZ_4M + SZ_2M, iova_allocator_alloc(&allocator, SZ_2M));
}

/* As on x86: the range of MSI addresses is a hole. */
TEST(a_hole_is_stepped_over)
{
	struct iova_allocator allocator = ALLOCATOR(UINT64_MAX,
		{ .start = 0, .last = 0x1fff }, { .start = 0x10000, .last = 0x1ffff });

	EXPECT_EQ(0, iova_allocator_alloc(&allocator, SZ_4K));
	EXPECT_EQ(0x10000, iova_allocator_alloc(&allocator, SZ_8K));
}

TEST(a_range_is_used_to_its_last_byte_and_not_beyond)
{
	struct iova_allocator allocator = ALLOCATOR(UINT64_MAX, { .start = 0, .last = 0x1fff });
	iova_t iova;

	EXPECT_EQ(0x0000, iova_allocator_alloc(&allocator, SZ_4K));
	EXPECT_EQ(0x1000, iova_allocator_alloc(&allocator, SZ_4K));
	EXPECT_EQ(-ENOSPC, __iova_allocator_alloc(&allocator, SZ_4K, &iova));
}

TEST(the_end_of_the_address_space_does_not_wrap)
{
	struct iova_allocator allocator = ALLOCATOR(UINT64_MAX,
		{ .start = 0xffffffffffffe000, .last = UINT64_MAX });
	iova_t iova;

	EXPECT_EQ(0xffffffffffffe000, iova_allocator_alloc(&allocator, SZ_4K));
	EXPECT_EQ(0xfffffffffffff000, iova_allocator_alloc(&allocator, SZ_4K));
	EXPECT_EQ(-ENOSPC, __iova_allocator_alloc(&allocator, SZ_4K, &iova));
}

TEST(the_whole_address_space_is_given_away_once)
{
	struct iova_allocator allocator = ALLOCATOR(UINT64_MAX, { .start = 0, .last = UINT64_MAX });
	iova_t iova;

	EXPECT_EQ(0, iova_allocator_alloc(&allocator, 1ULL << 63));
	EXPECT_EQ(1ULL << 63, iova_allocator_alloc(&allocator, 1ULL << 63));
	EXPECT_EQ(-ENOSPC, __iova_allocator_alloc(&allocator, SZ_4K, &iova));
}

TEST(nothing_above_the_limit_is_given_away)
{
	struct iova_allocator allocator = ALLOCATOR(SZ_256M - 1, { .start = 0, .last = SZ_1G });
	iova_t iova;

	EXPECT_EQ(0, iova_allocator_alloc(&allocator, SZ_128M));
	EXPECT_EQ(SZ_128M, iova_allocator_alloc(&allocator, SZ_128M));
	EXPECT_EQ(-ENOSPC, __iova_allocator_alloc(&allocator, SZ_4K, &iova));
}

TEST(nothing_below_a_floor_is_given_away)
{
	struct iova_allocator allocator = ALLOCATOR(UINT64_MAX,
		{ .start = 0, .last = 0xffff }, { .start = 0x20000, .last = 0x3ffff });

	iova_allocator_skip_below(&allocator, 0x8000);
	EXPECT_EQ(0x8000, iova_allocator_alloc(&allocator, SZ_4K));
	iova_allocator_skip_below(&allocator, 0x4000);
	EXPECT_EQ(0x9000, iova_allocator_alloc(&allocator, SZ_4K));
	iova_allocator_skip_below(&allocator, 0x30000);
	EXPECT_EQ(0x30000, iova_allocator_alloc(&allocator, SZ_4K));
}

TEST(an_odd_size_is_refused)
{
	struct iova_allocator allocator = ALLOCATOR(UINT64_MAX, { .start = 0, .last = SZ_1G });
	iova_t iova;

	EXPECT_EQ(-EINVAL, __iova_allocator_alloc(&allocator, 0, &iova));
	EXPECT_EQ(-EINVAL, __iova_allocator_alloc(&allocator, 512, &iova));
	EXPECT_EQ(-EINVAL, __iova_allocator_alloc(&allocator, SZ_4K + 1, &iova));
}

TEST_PROGRAM(NEEDS_NOTHING, "the IOVA allocator stays inside the usable ranges")
