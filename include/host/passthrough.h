/* SPDX-License-Identifier: GPL-2.0-only */
/* Giving a device to a VM: its vectors by irqfd, the guest's memory by DMA mappings. */
#ifndef HOST_PASSTHROUGH_H
#define HOST_PASSTHROUGH_H

#include <libvfio/iommu.h>
#include <libvfio/vfio_pci_device.h>

struct kvm_vm;

/**
 * passthrough_map_guest_memory() - Let devices reach all memory of a VM at its guest physical
 * addresses, as a VMM does for an assigned device.
 * @vm: the VM
 * @iommu: the address space, without mappings in that range
 *
 * Return: regions mapped, to be given to passthrough_unmap_guest_memory().
 */
struct dma_region *passthrough_map_guest_memory(struct kvm_vm *vm, struct iommu *iommu);
void passthrough_unmap_guest_memory(struct iommu *iommu, struct dma_region *regions);

#endif /* HOST_PASSTHROUGH_H */
