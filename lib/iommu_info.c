// SPDX-License-Identifier: GPL-2.0-only
/* What a container or an IOAS says of itself: both uapis, one answer. */
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/iommufd.h>
#include <linux/kernel.h>
#include <linux/vfio.h>

#include <libvfio/iommu.h>

/* VFIO_IOMMU_GET_INFO with its capability chain, which the kernel appends if argsz allows. */
static struct vfio_iommu_type1_info *container_info(int container_fd)
{
	struct vfio_iommu_type1_info *info = calloc(1, sizeof(*info));
	u32 size;

	VFIO_ASSERT_NOT_NULL(info);
	info->argsz = sizeof(*info);
	VFIO_ASSERT_EQ(ioctl(container_fd, VFIO_IOMMU_GET_INFO, info), 0);

	size = info->argsz;
	info = realloc(info, size);
	VFIO_ASSERT_NOT_NULL(info);
	memset(info, 0, size);
	info->argsz = size;
	VFIO_ASSERT_EQ(ioctl(container_fd, VFIO_IOMMU_GET_INFO, info), 0);
	VFIO_ASSERT_LE(info->argsz, size);

	return info;
}

static struct vfio_info_cap_header *find_info_cap(struct vfio_iommu_type1_info *info, u16 id)
{
	u32 offset = info->flags & VFIO_IOMMU_INFO_CAPS ? info->cap_offset : 0;

	while (offset) {
		struct vfio_info_cap_header *header = (void *)info + offset;

		VFIO_ASSERT_LE(offset + sizeof(*header), info->argsz);
		if (header->id == id)
			return header;

		/* The chain only ever goes forward; anything else could loop. */
		VFIO_ASSERT_TRUE(!header->next || header->next > offset);
		offset = header->next;
	}

	return NULL;
}

static struct iommu_iova_range *container_iova_ranges(struct iommu *iommu, u32 *nranges)
{
	struct vfio_iommu_type1_info *info = container_info(iommu->container_fd);
	struct vfio_iommu_type1_info_cap_iova_range *cap;
	struct iommu_iova_range *ranges;

	cap = (void *)find_info_cap(info, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	VFIO_ASSERT_NOT_NULL(cap, "the container reports no IOVA ranges");

	*nranges = cap->nr_iovas;
	ranges = calloc(cap->nr_iovas, sizeof(*ranges));
	VFIO_ASSERT_NOT_NULL(ranges);
	for (u32 i = 0; i < cap->nr_iovas; i++) {
		ranges[i].start = cap->iova_ranges[i].start;
		ranges[i].last = cap->iova_ranges[i].end;
	}

	free(info);
	return ranges;
}

static struct iommu_iova_range *iommufd_iova_ranges(struct iommu *iommu, u32 *nranges)
{
	struct iommu_ioas_iova_ranges query = {
		.size = sizeof(query),
		.ioas_id = iommu->ioas_id,
	};
	struct iommu_iova_range *ranges;

	/* The first call has room for none, fails for that and says how many there are. */
	VFIO_ASSERT_TRUE(ioctl(iommu->iommufd, IOMMU_IOAS_IOVA_RANGES, &query) &&
			 errno == EMSGSIZE);

	ranges = calloc(query.num_iovas, sizeof(*ranges));
	VFIO_ASSERT_NOT_NULL(ranges);
	query.allowed_iovas = (uintptr_t)ranges;
	VFIO_ASSERT_EQ(ioctl(iommu->iommufd, IOMMU_IOAS_IOVA_RANGES, &query), 0);

	*nranges = query.num_iovas;
	return ranges;
}

static int compare_ranges(const void *a, const void *b)
{
	const struct iommu_iova_range *left = a, *right = b;

	return (left->start > right->start) - (left->start < right->start);
}

struct iommu_iova_range *iommu_iova_ranges(struct iommu *iommu, u32 *nranges)
{
	struct iommu_iova_range *ranges;

	if (iommu->iommufd >= 0)
		ranges = iommufd_iova_ranges(iommu, nranges);
	else
		ranges = container_iova_ranges(iommu, nranges);

	VFIO_ASSERT_GT(*nranges, 0U);
	qsort(ranges, *nranges, sizeof(*ranges), compare_ranges);
	for (u32 i = 0; i < *nranges; i++) {
		VFIO_ASSERT_LE(ranges[i].start, ranges[i].last);
		VFIO_ASSERT_TRUE(!i || ranges[i - 1].last < ranges[i].start,
				 "the kernel reports overlapping IOVA ranges");
	}

	return ranges;
}

int __iommu_mappings_left(struct iommu *iommu, u32 *left)
{
	struct vfio_iommu_type1_info_dma_avail *cap;
	struct vfio_iommu_type1_info *info;

	if (iommu->iommufd >= 0)
		return -EOPNOTSUPP;

	info = container_info(iommu->container_fd);
	cap = (void *)find_info_cap(info, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	if (cap)
		*left = cap->avail;
	free(info);
	return cap ? 0 : -EOPNOTSUPP;
}
