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

/**
 * passthrough_map_bar() - Let the guest at a BAR without an exit: as a memory slot of KVM's.
 * @kvm: the VM; may run
 * @device: the device
 * @bar: 0 to 5
 *
 * Return: where the guest sees it, as virtual and as physical address; 0 if the BAR cannot be
 * mapped. To be undone by passthrough_unmap_bar() before @device goes.
 */
u64 passthrough_map_bar(struct kvm_vm *kvm, struct vfio_pci_device *device, int bar);
void passthrough_unmap_bar(struct kvm_vm *kvm, int bar);

#endif /* HOST_PASSTHROUGH_H */
