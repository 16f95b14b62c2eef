// SPDX-License-Identifier: GPL-2.0-only
#include <host/irq_vm_state.h>
#include <host/kvm_compat.h>
#include <libvfio/assert.h>
#include <ucall_common.h>

struct irq_vm_vcpu_state irq_vm_save_vcpu(struct irq_vm *vm, u32 vcpu)
{
	struct irq_vm_vcpu_state state = { .rest = vcpu_save_state(vm->vcpus[vcpu]) };

	vcpu_ioctl(vm->vcpus[vcpu], KVM_GET_LAPIC, &state.apic);
	return state;
}

void irq_vm_free_vcpu_state(struct irq_vm_vcpu_state *state)
{
	kvm_x86_state_cleanup(state->rest);
	state->rest = NULL;
}

/* The APIC last: whether it is in x2APIC mode is a matter of the special registers. */
void irq_vm_load_vcpu(struct irq_vm *vm, u32 vcpu, const struct irq_vm_vcpu_state *state)
{
	vcpu_load_state(vm->vcpus[vcpu], state->rest);
	vcpu_ioctl(vm->vcpus[vcpu], KVM_SET_LAPIC, &state->apic);
}

/* A ucall, by which a guest takes its leave, holds the address of itself as the host sees it. */
static void move_ucalls(const struct userspace_mem_region *from, struct userspace_mem_region *to)
{
	u64 from_base = (u64)from->host_mem, to_base = (u64)to->host_mem;

	for (u64 offset = 0; offset < from->region.memory_size; offset += sizeof(u64)) {
		u64 *word = (u64 *)(to_base + offset);

		if (*word && from_base + offset - *word < sizeof(struct ucall))
			*word += to_base - from_base;
	}
}

static void copy_memory(struct irq_vm *from, struct irq_vm *to)
{
	struct userspace_mem_region *memory;
	int bucket;

	hash_for_each(from->kvm->regions.slot_hash, bucket, memory, slot_node) {
		struct userspace_mem_region *copy = memslot2region(to->kvm, memory->region.slot);

		VFIO_ASSERT_EQ(copy->region.guest_phys_addr, memory->region.guest_phys_addr);
		VFIO_ASSERT_EQ(copy->region.memory_size, memory->region.memory_size);
		memcpy(copy->host_mem, memory->host_mem, memory->region.memory_size);
		move_ucalls(memory, copy);
	}
}

/* The new VM's vCPUs have started, as those of any; then they become what the old ones were. */
struct irq_vm *irq_vm_migrate(struct irq_vm *from)
{
	struct irq_vm *to = irq_vm_create(&from->config);

	VFIO_ASSERT_EQ(addr_hva2gpa(to->kvm, to->counter), addr_hva2gpa(from->kvm, from->counter));
	for (u32 i = 0; i < to->config.nr_vcpus; i++)
		irq_vm_pause(to, i);

	copy_memory(from, to);
	for (u32 i = 0; i < to->config.nr_vcpus; i++) {
		struct irq_vm_vcpu_state state = irq_vm_save_vcpu(from, i);

		irq_vm_load_vcpu(to, i, &state);
		irq_vm_free_vcpu_state(&state);
	}
	return to;
}
