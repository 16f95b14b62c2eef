// SPDX-License-Identifier: GPL-2.0-only
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
