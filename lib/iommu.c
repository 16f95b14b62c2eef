// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/kernel.h>
#include <linux/vfio.h>

#include <libvfio/iommu.h>
#include <libvfio/uapi_compat.h>

#define VFIO_CONTAINER_PATH "/dev/vfio/vfio"
#define IOMMUFD_PATH "/dev/iommu"

static const struct iommu_mode iommu_modes[] = {
	{ MODE_VFIO_TYPE1_IOMMU, VFIO_CONTAINER_PATH, VFIO_TYPE1_IOMMU },
	{ MODE_VFIO_TYPE1V2_IOMMU, VFIO_CONTAINER_PATH, VFIO_TYPE1v2_IOMMU },
	{ MODE_IOMMUFD_COMPAT_TYPE1, IOMMUFD_PATH, VFIO_TYPE1_IOMMU },
	{ MODE_IOMMUFD_COMPAT_TYPE1V2, IOMMUFD_PATH, VFIO_TYPE1v2_IOMMU },
	{ MODE_IOMMUFD, NULL, 0 },
};

const struct iommu_mode *iommu_mode_lookup(const char *name)
{
	if (!name)
		name = MODE_IOMMUFD;

	for (size_t i = 0; i < ARRAY_SIZE(iommu_modes); i++) {
		if (!strcmp(name, iommu_modes[i].name))
			return &iommu_modes[i];
	}

	return NULL;
}

const char *iommu_mode_missing(const struct iommu_mode *mode)
{
	const char *path = mode->container_path ?: IOMMUFD_PATH;
	bool iommufd = !strcmp(path, IOMMUFD_PATH);
	const char *missing = NULL;
	int fd;

	fd = open(path, O_RDWR);
	if (fd < 0 && (errno == EACCES || errno == EPERM))
		return iommufd ? "no permission to open /dev/iommu" :
				 "no permission to open /dev/vfio/vfio";
	if (fd < 0)
		return iommufd ? "no /dev/iommu: the kernel lacks CONFIG_IOMMUFD" :
				 "no /dev/vfio/vfio: the kernel lacks CONFIG_VFIO_CONTAINER";

	if (mode->container_path && ioctl(fd, VFIO_CHECK_EXTENSION, mode->iommu_type) <= 0)
		missing = "the container does not offer this IOMMU type "
			  "(CONFIG_VFIO_IOMMU_TYPE1, CONFIG_IOMMUFD)";
	close(fd);
	return missing;
}

static int iommufd_open(struct iommu *iommu)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	iommu->iommufd = open(IOMMUFD_PATH, O_RDWR | O_CLOEXEC);
	if (iommu->iommufd < 0)
		return -errno;

	if (ioctl(iommu->iommufd, IOMMU_IOAS_ALLOC, &alloc))
		return -errno;

	iommu->ioas_id = alloc.out_ioas_id;
	return 0;
}

static int container_open(struct iommu *iommu)
{
	iommu->container_fd = open(iommu->mode->container_path, O_RDWR | O_CLOEXEC);
	if (iommu->container_fd < 0)
		return -errno;

	if (ioctl(iommu->container_fd, VFIO_GET_API_VERSION) != VFIO_API_VERSION)
		return -EPROTO;

	return 0;
}

static void iommu_close(struct iommu *iommu)
{
	if (iommu->iommufd >= 0)
		close(iommu->iommufd);
	if (iommu->container_fd >= 0)
		close(iommu->container_fd);
	free(iommu);
}

int __iommu_init(const char *mode_name, struct iommu **result)
{
	const struct iommu_mode *mode = iommu_mode_lookup(mode_name);
	struct iommu *iommu;
	int ret;

	if (!mode)
		return -EINVAL;

	iommu = calloc(1, sizeof(*iommu));
	VFIO_ASSERT_NOT_NULL(iommu);
	iommu->mode = mode;
	iommu->container_fd = -1;
	iommu->iommufd = -1;
	INIT_LIST_HEAD(&iommu->groups);
	INIT_LIST_HEAD(&iommu->dma_regions);

	ret = mode->container_path ? container_open(iommu) : iommufd_open(iommu);
	if (ret) {
		iommu_close(iommu);
		return ret;
	}

	*result = iommu;
	return 0;
}

struct iommu *iommu_init(const char *mode_name)
{
	struct iommu *iommu = NULL;
	int ret = __iommu_init(mode_name, &iommu);

	VFIO_ASSERT_EQ(ret, 0, "cannot open IOMMU mode %s: %s",
		       mode_name ?: MODE_IOMMUFD, strerror(-ret));
	return iommu;
}

void iommu_cleanup(struct iommu *iommu)
{
	iommu_close(iommu);
}

static u32 region_access(const struct dma_region *region)
{
	return region->flags ?: DMA_REGION_READ | DMA_REGION_WRITE;
}

static int container_map(struct iommu *iommu, const struct dma_region *region)
{
	u32 access = region_access(region);
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = (access & DMA_REGION_READ ? VFIO_DMA_MAP_FLAG_READ : 0) |
			 (access & DMA_REGION_WRITE ? VFIO_DMA_MAP_FLAG_WRITE : 0),
		.vaddr = (uintptr_t)region->vaddr,
		.iova = region->iova,
		.size = region->size,
	};

	return ioctl(iommu->container_fd, VFIO_IOMMU_MAP_DMA, &map) ? -errno : 0;
}

static int iommufd_map(struct iommu *iommu, const struct dma_region *region)
{
	u32 access = region_access(region);
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA |
			 (access & DMA_REGION_READ ? IOMMU_IOAS_MAP_READABLE : 0) |
			 (access & DMA_REGION_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : 0),
		.ioas_id = iommu->ioas_id,
		.user_va = (uintptr_t)region->vaddr,
		.length = region->size,
		.iova = region->iova,
	};

	return ioctl(iommu->iommufd, IOMMU_IOAS_MAP, &map) ? -errno : 0;
}

int __iommu_map(struct iommu *iommu, struct dma_region *region)
{
	int ret;

	ret = iommu->iommufd >= 0 ? iommufd_map(iommu, region) : container_map(iommu, region);
	if (!ret)
		list_add(&region->link, &iommu->dma_regions);

	return ret;
}

void iommu_map(struct iommu *iommu, struct dma_region *region)
{
	int ret = __iommu_map(iommu, region);

	VFIO_ASSERT_EQ(ret, 0, "cannot map iova %#llx, %#llx bytes: %s",
		       (unsigned long long)region->iova, (unsigned long long)region->size,
		       strerror(-ret));
}

int __iommu_map_file(struct iommu *iommu, struct dma_region *region, int fd, u64 start)
{
	u32 access = region_access(region);
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA |
			 (access & DMA_REGION_READ ? IOMMU_IOAS_MAP_READABLE : 0) |
			 (access & DMA_REGION_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : 0),
		.ioas_id = iommu->ioas_id,
		.fd = fd,
		.start = start,
		.length = region->size,
		.iova = region->iova,
	};

	if (iommu->iommufd < 0)
		return -EOPNOTSUPP;
	if (ioctl(iommu->iommufd, IOMMU_IOAS_MAP_FILE, &map))
		return -errno;

	list_add(&region->link, &iommu->dma_regions);
	return 0;
}

static int container_unmap(struct iommu *iommu, u64 iova, u64 size, u32 flags, u64 *unmapped)
{
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.flags = flags,
		.iova = iova,
		.size = size,
	};

	if (ioctl(iommu->container_fd, VFIO_IOMMU_UNMAP_DMA, &unmap))
		return -errno;

	if (unmapped)
		*unmapped = unmap.size;
	return 0;
}

static int iommufd_unmap(struct iommu *iommu, u64 iova, u64 length, u64 *unmapped)
{
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = iommu->ioas_id,
		.iova = iova,
		.length = length,
	};

	if (ioctl(iommu->iommufd, IOMMU_IOAS_UNMAP, &unmap))
		return -errno;

	if (unmapped)
		*unmapped = unmap.length;
	return 0;
}

static int unmap_range(struct iommu *iommu, iova_t iova, u64 size, u64 *unmapped)
{
	if (iommu->iommufd >= 0)
		return iommufd_unmap(iommu, iova, size, unmapped);

	return container_unmap(iommu, iova, size, 0, unmapped);
}

int __iommu_unmap_range(struct iommu *iommu, iova_t iova, u64 size, u64 *unmapped)
{
	struct dma_region *region, *next;
	int ret = unmap_range(iommu, iova, size, unmapped);

	if (ret)
		return ret;

	list_for_each_entry_safe(region, next, &iommu->dma_regions, link) {
		if (region->iova >= iova && region->size <= size &&
		    region->iova - iova <= size - region->size)
			list_del_init(&region->link);
	}

	return 0;
}

int __iommu_unmap(struct iommu *iommu, struct dma_region *region, u64 *unmapped)
{
	int ret = unmap_range(iommu, region->iova, region->size, unmapped);

	if (!ret)
		list_del_init(&region->link);

	return ret;
}

void iommu_unmap(struct iommu *iommu, struct dma_region *region)
{
	u64 unmapped = 0;
	int ret = __iommu_unmap(iommu, region, &unmapped);

	VFIO_ASSERT_EQ(ret, 0, "cannot unmap iova %#llx: %s",
		       (unsigned long long)region->iova, strerror(-ret));
	VFIO_ASSERT_EQ(unmapped, region->size);
}

int __iommu_unmap_all(struct iommu *iommu, u64 *unmapped)
{
	struct dma_region *region, *next;
	int ret;

	/* IOMMU_IOAS_UNMAP takes iova 0 with length U64_MAX for everything (linux/iommufd.h). */
	if (iommu->iommufd >= 0)
		ret = iommufd_unmap(iommu, 0, UINT64_MAX, unmapped);
	else if (ioctl(iommu->container_fd, VFIO_CHECK_EXTENSION, VFIO_UNMAP_ALL) <= 0)
		ret = -EOPNOTSUPP;
	else
		ret = container_unmap(iommu, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL, unmapped);

	if (ret)
		return ret;

	list_for_each_entry_safe(region, next, &iommu->dma_regions, link)
		list_del_init(&region->link);

	return 0;
}

void iommu_unmap_all(struct iommu *iommu)
{
	int ret = __iommu_unmap_all(iommu, NULL);

	VFIO_ASSERT_EQ(ret, 0, "cannot unmap all: %s", strerror(-ret));
}

int __iommu_hva2iova(struct iommu *iommu, const void *vaddr, iova_t *iova)
{
	const struct dma_region *region;

	list_for_each_entry(region, &iommu->dma_regions, link) {
		u64 offset = (uintptr_t)vaddr - (uintptr_t)region->vaddr;

		if (vaddr < region->vaddr || offset >= region->size)
			continue;

		if (iova)
			*iova = region->iova + offset;
		return 0;
	}

	return -ENOENT;
}

iova_t iommu_hva2iova(struct iommu *iommu, const void *vaddr)
{
	iova_t iova = 0;
	int ret = __iommu_hva2iova(iommu, vaddr, &iova);

	VFIO_ASSERT_EQ(ret, 0, "%p is not mapped for DMA", vaddr);
	return iova;
}
