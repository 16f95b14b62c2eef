// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <string.h>

#include <linux/iommufd.h>

#include <libvfio/iova_allocator.h>

#define MIN_ALLOCATION 4096

struct iova_allocator *iova_allocator_init(struct iommu *iommu, iova_t limit)
{
	struct iova_allocator *allocator = calloc(1, sizeof(*allocator));

	VFIO_ASSERT_NOT_NULL(allocator);
	allocator->ranges = iommu_iova_ranges(iommu, &allocator->nranges);
	allocator->limit = limit;
	/* Many a device takes the address 0 for none. */
	iova_allocator_skip_below(allocator, MIN_ALLOCATION);
	return allocator;
}

void iova_allocator_cleanup(struct iova_allocator *allocator)
{
	free(allocator->ranges);
	free(allocator);
}

void iova_allocator_skip_below(struct iova_allocator *allocator, iova_t floor)
{
	for (; allocator->range_idx < allocator->nranges; allocator->range_idx++) {
		const struct iommu_iova_range *range = &allocator->ranges[allocator->range_idx];
		u64 next = range->start + allocator->range_offset;

		if (next >= floor)
			return;

		if (range->last >= floor) {
			allocator->range_offset = floor - range->start;
			return;
		}
		allocator->range_offset = 0;
	}
}

/* Allocate from one range; arithmetic on the last byte, for a range may end at U64_MAX. */
static int alloc_from_range(struct iova_allocator *allocator, u64 size, iova_t *iova)
{
	const struct iommu_iova_range *range = &allocator->ranges[allocator->range_idx];
	u64 last = range->last < allocator->limit ? range->last : allocator->limit;
	u64 next, aligned;

	if (__builtin_add_overflow(range->start, allocator->range_offset, &next) || next > last)
		return -ENOSPC;

	aligned = (next + size - 1) & ~(size - 1);
	if (aligned < next || aligned > last || last - aligned < size - 1)
		return -ENOSPC;

	*iova = aligned;
	if (last - aligned == size - 1) {
		/* Used up; an offset past the end could wrap around to the beginning. */
		allocator->range_idx++;
		allocator->range_offset = 0;
	} else {
		allocator->range_offset = aligned - range->start + size;
	}
	return 0;
}

int __iova_allocator_alloc(struct iova_allocator *allocator, u64 size, iova_t *iova)
{
	if (size < MIN_ALLOCATION || size & (size - 1))
		return -EINVAL;

	while (allocator->range_idx < allocator->nranges) {
		if (!alloc_from_range(allocator, size, iova))
			return 0;

		allocator->range_idx++;
		allocator->range_offset = 0;
	}

	return -ENOSPC;
}

iova_t iova_allocator_alloc(struct iova_allocator *allocator, u64 size)
{
	iova_t iova = 0;
	int ret = __iova_allocator_alloc(allocator, size, &iova);

	VFIO_ASSERT_EQ(ret, 0, "no %#llx bytes of IOVA space below %#llx: %s",
		       (unsigned long long)size, (unsigned long long)allocator->limit,
		       strerror(-ret));
	return iova;
}
