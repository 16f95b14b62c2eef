/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the uapi headers of the older trees we build with do not have. The kernel that a program
 * runs on may be younger than the headers it was built with, so it is asked.
 */
#ifndef LIBVFIO_UAPI_COMPAT_H
#define LIBVFIO_UAPI_COMPAT_H

#include <linux/iommufd.h>
#include <linux/types.h>
#include <linux/vfio.h>

/* linux/vfio.h of 6.19 */
#ifndef VFIO_DEVICE_FEATURE_DMA_BUF
#define VFIO_DEVICE_FEATURE_DMA_BUF 11

struct vfio_region_dma_range {
	__u64 offset;
	__u64 length;
};

struct vfio_device_feature_dma_buf {
	__u32 region_index;
	__u32 open_flags;
	__u32 flags;
	__u32 nr_ranges;
	struct vfio_region_dma_range dma_ranges[];
};
#endif

/* linux/iommufd.h of 6.13 */
#ifndef IOMMU_IOAS_MAP_FILE
struct iommu_ioas_map_file {
	__u32 size;
	__u32 flags;
	__u32 ioas_id;
	__s32 fd;
	__aligned_u64 start;
	__aligned_u64 length;
	__aligned_u64 iova;
};

#define IOMMU_IOAS_MAP_FILE _IO(IOMMUFD_TYPE, 0x8f)
#endif

#endif /* LIBVFIO_UAPI_COMPAT_H */
