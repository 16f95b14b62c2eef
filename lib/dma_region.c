// SPDX-License-Identifier: GPL-2.0-only
#include <sys/mman.h>

#include <libvfio/dma_region.h>

void dma_region_setup(struct iommu *iommu, struct iova_allocator *allocator,
		      struct dma_region *region, u64 size)
{
	*region = (struct dma_region){ .size = size };
	region->vaddr = mmap(NULL, size, PROT_READ | PROT_WRITE,
			     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	VFIO_ASSERT_TRUE(region->vaddr != MAP_FAILED);
	region->iova = iova_allocator_alloc(allocator, size);
	iommu_map(iommu, region);
}

void dma_region_teardown(struct iommu *iommu, struct dma_region *region)
{
	iommu_unmap(iommu, region);
	VFIO_ASSERT_EQ(munmap(region->vaddr, region->size), 0);
	*region = (struct dma_region){};
}

void vfio_pci_driver_start(struct vfio_pci_device *device, struct iova_allocator *allocator)
{
	dma_region_setup(device->iommu, allocator, &device->driver.region, DRIVER_REGION_SIZE);
	vfio_pci_driver_init(device);
}

void vfio_pci_driver_stop(struct vfio_pci_device *device)
{
	vfio_pci_driver_remove(device);
	dma_region_teardown(device->iommu, &device->driver.region);
}
