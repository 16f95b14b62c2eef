// SPDX-License-Identifier: GPL-2.0-only
#include <linux/sizes.h>

#include <host/kvm_compat.h>
#include <host/passthrough.h>

/* An array ended by an entry of size 0. */
struct dma_region *passthrough_map_guest_memory(struct kvm_vm *vm, struct iommu *iommu)
{
	struct userspace_mem_region *memory;
	struct dma_region *regions;
	int bucket, nr = 0;

	hash_for_each(vm->regions.slot_hash, bucket, memory, slot_node)
		nr++;

	regions = calloc(nr + 1, sizeof(*regions));
	VFIO_ASSERT_NOT_NULL(regions);

	nr = 0;
	hash_for_each(vm->regions.slot_hash, bucket, memory, slot_node) {
		regions[nr].vaddr = memory->host_mem;
		regions[nr].iova = memory->region.guest_phys_addr;
		regions[nr].size = memory->region.memory_size;
		iommu_map(iommu, &regions[nr++]);
	}

	return regions;
}

void passthrough_unmap_guest_memory(struct iommu *iommu, struct dma_region *regions)
{
	for (struct dma_region *region = regions; region->size; region++)
		iommu_unmap(iommu, region);
	free(regions);
}

/* Below the IOAPIC, where a PC has its BARs; no memory of a test's VM reaches as far. */
#define BARS_GPA 0xc0000000ULL
#define BAR_SPACE SZ_64M
/* kvm_util counts its own slots from 0. */
#define BARS_SLOT 64

u64 passthrough_map_bar(struct kvm_vm *kvm, struct vfio_pci_device *device, int bar)
{
	u64 size = device->bars[bar].info.size, gpa = BARS_GPA + bar * BAR_SPACE;

	if (!device->bars[bar].vaddr || size % SZ_4K || size > BAR_SPACE)
		return 0;

	vm_set_user_memory_region(kvm, BARS_SLOT + bar, 0, gpa, size, device->bars[bar].vaddr);
	virt_map(kvm, gpa, gpa, size / SZ_4K);
	return gpa;
}

/* The guest's page tables go on to point there; it is told not to use them any more. */
void passthrough_unmap_bar(struct kvm_vm *kvm, int bar)
{
	vm_set_user_memory_region(kvm, BARS_SLOT + bar, 0, BARS_GPA + bar * BAR_SPACE, 0, NULL);
}
