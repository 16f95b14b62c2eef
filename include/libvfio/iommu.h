/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LIBVFIO_IOMMU_H
#define LIBVFIO_IOMMU_H

#include <linux/list.h>
#include <linux/types.h>

#include <libvfio/assert.h>

struct iommu_iova_range;	/* linux/iommufd.h */

/* An address as a device sees it, translated by the IOMMU. */
typedef u64 iova_t;

#define MODE_VFIO_TYPE1_IOMMU "vfio_type1_iommu"
#define MODE_VFIO_TYPE1V2_IOMMU "vfio_type1v2_iommu"
#define MODE_IOMMUFD_COMPAT_TYPE1 "iommufd_compat_type1"
#define MODE_IOMMUFD_COMPAT_TYPE1V2 "iommufd_compat_type1v2"
#define MODE_IOMMUFD "iommufd"

/* Calls _x(mode) for each IOMMU mode, by its upstream name: for variants of test fixtures. */
#define FOR_EACH_IOMMU_MODE(_x)		\
	_x(vfio_type1_iommu)		\
	_x(vfio_type1v2_iommu)		\
	_x(iommufd_compat_type1)	\
	_x(iommufd_compat_type1v2)	\
	_x(iommufd)

/**
 * struct iommu_mode - One of the ways user space can drive the IOMMU.
 * @name: one of MODE_*
 * @container_path: the file that serves as VFIO container, NULL for native iommufd
 * @iommu_type: VFIO_TYPE1_IOMMU or VFIO_TYPE1v2_IOMMU, unused for native iommufd
 */
struct iommu_mode {
	const char *name;
	const char *container_path;
	unsigned long iommu_type;
};

/* Whether the device may read, write or do both; 0 stands for both. */
#define DMA_REGION_READ (1 << 0)
#define DMA_REGION_WRITE (1 << 1)

/**
 * struct dma_region - Memory that devices can reach.
 * @link: entry of iommu->dma_regions while mapped
 * @vaddr: where it is in this process
 * @iova: where devices see it
 * @size: bytes, a multiple of the IOMMU's page size
 * @flags: DMA_REGION_*, 0 for read and write
 */
struct dma_region {
	struct list_head link;
	void *vaddr;
	iova_t iova;
	u64 size;
	u32 flags;
};

/**
 * struct iommu - An address space for DMA: a VFIO container, or an IOAS of an iommufd.
 *
 * Any number of devices may share it, of one IOMMU group or of several. What is mapped is there
 * for those that join later, too; in vfio_type1_iommu and vfio_type1v2_iommu it is gone once the
 * last device has left.
 *
 * @mode: how it is driven
 * @container_fd: VFIO container, -1 for native iommufd
 * @iommufd: /dev/iommu for native iommufd, otherwise -1
 * @ioas_id: IOAS within @iommufd
 * @groups: the VFIO groups in the container, of the library's own
 * @dma_regions: what is mapped, newest first
 */
struct iommu {
	const struct iommu_mode *mode;
	int container_fd;
	int iommufd;
	u32 ioas_id;
	struct list_head groups;
	struct list_head dma_regions;
};

/**
 * iommu_mode_lookup() - Find a mode by name.
 * @name: one of MODE_*; NULL for the default, MODE_IOMMUFD
 *
 * Return: the mode, or NULL if there is none of that name.
 */
const struct iommu_mode *iommu_mode_lookup(const char *name);

/**
 * iommu_mode_missing() - Why this machine cannot serve a mode.
 * @mode: from iommu_mode_lookup()
 *
 * Return: NULL if it can, otherwise a sentence for a SKIP.
 */
const char *iommu_mode_missing(const struct iommu_mode *mode);

/**
 * __iommu_init() - Open a container or an iommufd with a fresh IOAS.
 * @mode_name: as for iommu_mode_lookup()
 * @iommu: receives the new object
 *
 * A VFIO container gets its IOMMU type when the first device joins, as the uapi demands.
 *
 * Return: 0, -EINVAL for an unknown mode, or -errno of open() or IOMMU_IOAS_ALLOC.
 */
int __iommu_init(const char *mode_name, struct iommu **iommu);
struct iommu *iommu_init(const char *mode_name);

/**
 * iommu_cleanup() - Close and free; what is still mapped goes with the address space.
 * @iommu: from iommu_init(); no device may be left in it
 *
 * The memory and descriptions of regions stay: they belong to whoever mapped them.
 */
void iommu_cleanup(struct iommu *iommu);

/**
 * __iommu_map() - Let devices reach @region->size bytes at @region->vaddr as @region->iova.
 * @iommu: the address space
 * @region: described by the caller, linked into @iommu until unmapped
 *
 * Return: 0 or -errno of VFIO_IOMMU_MAP_DMA or IOMMU_IOAS_MAP.
 */
int __iommu_map(struct iommu *iommu, struct dma_region *region);
void iommu_map(struct iommu *iommu, struct dma_region *region);

/**
 * __iommu_map_file() - As __iommu_map(), of a file: a memfd, or a dma-buf of a BAR.
 * @iommu: the address space, of native iommufd
 * @region: described by the caller; where it is in this process does not matter
 * @fd: the file
 * @start: which of its bytes is the first one of @region
 *
 * Return: 0, -EOPNOTSUPP in a container, or -errno of IOMMU_IOAS_MAP_FILE (since 6.13).
 */
int __iommu_map_file(struct iommu *iommu, struct dma_region *region, int fd, u64 start);

/**
 * __iommu_unmap() - Take @region away from the devices.
 * @iommu: the address space
 * @region: mapped by iommu_map()
 * @unmapped: receives the bytes unmapped, may be NULL
 *
 * Return: 0 or -errno of VFIO_IOMMU_UNMAP_DMA or IOMMU_IOAS_UNMAP.
 */
int __iommu_unmap(struct iommu *iommu, struct dma_region *region, u64 *unmapped);
void iommu_unmap(struct iommu *iommu, struct dma_region *region);

/**
 * __iommu_unmap_range() - Take whatever is mapped in a range away from the devices.
 * @iommu: the address space
 * @iova: start of the range
 * @size: its bytes
 * @unmapped: receives the bytes unmapped, may be NULL
 *
 * Regions that lie in the range as a whole count as unmapped afterwards. What becomes of one
 * that it cuts in two depends on the mode: VFIO_TYPE1_IOMMU succeeds and says in @unmapped what
 * it did, which may be nothing, all or a part of the region; the other modes refuse.
 *
 * Return: 0 or -errno of VFIO_IOMMU_UNMAP_DMA or IOMMU_IOAS_UNMAP.
 */
int __iommu_unmap_range(struct iommu *iommu, iova_t iova, u64 size, u64 *unmapped);

/**
 * __iommu_unmap_all() - Unmap every region of @iommu in one call.
 * @iommu: the address space
 * @unmapped: receives the bytes unmapped, may be NULL
 *
 * Return: 0 or -errno, -EOPNOTSUPP where the container lacks VFIO_UNMAP_ALL.
 */
int __iommu_unmap_all(struct iommu *iommu, u64 *unmapped);
void iommu_unmap_all(struct iommu *iommu);

/**
 * __iommu_hva2iova() - Where devices see an address of this process.
 * @iommu: the address space
 * @vaddr: inside a mapped region
 * @iova: receives the answer, may be NULL
 *
 * Return: 0, or -ENOENT if no region holds @vaddr.
 */
int __iommu_hva2iova(struct iommu *iommu, const void *vaddr, iova_t *iova);
iova_t iommu_hva2iova(struct iommu *iommu, const void *vaddr);

/**
 * iommu_iova_ranges() - The ranges in which IOVAs may be mapped.
 * @iommu: the address space, with at least one device attached
 * @nranges: receives their number, at least one
 *
 * Return: sorted, non-overlapping ranges with inclusive ends; free() them.
 */
struct iommu_iova_range *iommu_iova_ranges(struct iommu *iommu, u32 *nranges);

/**
 * __iommu_mappings_left() - How many more regions can be mapped (VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL).
 * @iommu: the address space, with at least one device attached
 * @left: receives their number, UINT32_MAX for no limit
 *
 * Return: 0, or -EOPNOTSUPP if the container does not say, or there is none, as in native iommufd.
 */
int __iommu_mappings_left(struct iommu *iommu, u32 *left);

#endif /* LIBVFIO_IOMMU_H */
