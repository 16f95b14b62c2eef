/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LIBVFIO_IOVA_ALLOCATOR_H
#define LIBVFIO_IOVA_ALLOCATOR_H

#include <linux/types.h>

#include <libvfio/iommu.h>

/**
 * struct iova_allocator - A bump allocator over the usable IOVA ranges.
 * @ranges: sorted ranges, inclusive ends
 * @nranges: their number
 * @range_idx: the range that serves the next allocation
 * @range_offset: bytes of that range already given away
 * @limit: the highest address handed out, for devices that cannot drive all address lines
 */
struct iova_allocator {
	struct iommu_iova_range *ranges;
	u32 nranges;
	u32 range_idx;
	u64 range_offset;
	iova_t limit;
};

/**
 * iova_allocator_init() - An allocator over the ranges of @iommu.
 * @iommu: with at least one device attached
 * @limit: highest usable IOVA, e.g. a device's DMA mask; UINT64_MAX for no limit
 *
 * The page at 0 is never given away: there are devices that take 0 for no address.
 */
struct iova_allocator *iova_allocator_init(struct iommu *iommu, iova_t limit);
void iova_allocator_cleanup(struct iova_allocator *allocator);

/**
 * iova_allocator_skip_below() - Hand out nothing below @floor from now on.
 * @allocator: from iova_allocator_init()
 * @floor: e.g. the end of guest memory that is mapped at its guest physical addresses
 */
void iova_allocator_skip_below(struct iova_allocator *allocator, iova_t floor);

/**
 * __iova_allocator_alloc() - Allocate naturally aligned IOVA space.
 * @allocator: from iova_allocator_init()
 * @size: bytes, a power of two of at least a page; the result is aligned to it
 * @iova: receives the address
 *
 * Return: 0, -EINVAL for a bad @size, or -ENOSPC.
 */
int __iova_allocator_alloc(struct iova_allocator *allocator, u64 size, iova_t *iova);
iova_t iova_allocator_alloc(struct iova_allocator *allocator, u64 size);

#endif /* LIBVFIO_IOVA_ALLOCATOR_H */
