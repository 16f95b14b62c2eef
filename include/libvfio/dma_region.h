/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LIBVFIO_DMA_REGION_H
#define LIBVFIO_DMA_REGION_H

#include <libvfio/iova_allocator.h>
#include <libvfio/vfio_pci_device.h>

/**
 * dma_region_setup() - Allocate zeroed memory and map it for DMA.
 * @iommu: the address space
 * @allocator: chooses the IOVA
 * @region: to be described
 * @size: bytes, a power of two of at least a page
 */
void dma_region_setup(struct iommu *iommu, struct iova_allocator *allocator,
		      struct dma_region *region, u64 size);

/** dma_region_teardown() - Unmap @region and free its memory. */
void dma_region_teardown(struct iommu *iommu, struct dma_region *region);

/* Enough for the descriptors of any driver. */
#define DRIVER_REGION_SIZE (2 << 20)

/**
 * vfio_pci_driver_start() - Give the driver of @device memory and initialize it.
 * @device: with a driver
 * @allocator: for IOVAs that the device can reach
 */
void vfio_pci_driver_start(struct vfio_pci_device *device, struct iova_allocator *allocator);

/** vfio_pci_driver_stop() - Remove the driver and free its memory. */
void vfio_pci_driver_stop(struct vfio_pci_device *device);

#endif /* LIBVFIO_DMA_REGION_H */
