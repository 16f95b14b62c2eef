/* SPDX-License-Identifier: GPL-2.0-only */
/* A VM whose vCPUs run the payload irq_counter, and what the host sees of its counts. */
#ifndef HOST_IRQ_VM_H
#define HOST_IRQ_VM_H

#include <stdbool.h>

#include <guest/irq_counter.h>
#include <host/gsi_routing.h>

struct kvm_vcpu;
struct vcpu_thread;

/**
 * struct irq_vm_config - What kind of VM to make.
 * @nr_vcpus: vCPUs
 * @xapic: xAPIC mode rather than x2APIC
 * @wait: what the vCPUs do between interrupts
 * @held: the vCPUs have not run before irq_vm_start(); their APICs are enabled by the host, so
 *	that they take interrupts, as those of a VM that was migrated are
 * @apic_ids: one for each vCPU, read by irq_vm_create() only; NULL for 0 to nr_vcpus - 1
 * @broadcast_quirk: take a message to 0xff for a broadcast also in x2APIC mode, where it is an id
 *	(without KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK)
 * @payload: what they run, NULL for guest_irq_counter(); it begins with guest_irq_counter_begin()
 */
struct irq_vm_config {
	u32 nr_vcpus;
	bool xapic;
	enum irq_counter_wait wait;
	bool held;
	const u32 *apic_ids;
	bool broadcast_quirk;
	void (*payload)(struct irq_counter *counter, u64 index);
};

/**
 * struct irq_vm - A running VM.
 * @kvm: the VM
 * @config: as asked for
 * @routing: its GSI routing table
 * @counter: the counters, shared with the guest
 * @vcpus: its vCPUs
 * @threads: what runs them
 */
struct irq_vm {
	struct kvm_vm *kvm;
	struct irq_vm_config config;
	struct gsi_routing routing;
	struct irq_counter *counter;
	struct kvm_vcpu **vcpus;
	struct vcpu_thread *threads;
};

/**
 * irq_vm_create() - Make a VM and wait, bounded, until all its vCPUs take interrupts.
 * @config: what kind
 *
 * Those that halt are all seen blocked in KVM before this returns.
 */
struct irq_vm *irq_vm_create(const struct irq_vm_config *config);

/** irq_vm_start() - Let the vCPUs of a VM that was made with config.held run, likewise. */
void irq_vm_start(struct irq_vm *vm);

/** irq_vm_halt() - Let vCPUs that spun halt between interrupts; all are blocked afterwards. */
void irq_vm_halt(struct irq_vm *vm);

/**
 * irq_vm_unmask() - Let vCPUs that halt with IF=0 halt with IF=1 from now on.
 *
 * All of them must be blocked. Each is woken by an NMI, which it counts.
 */
void irq_vm_unmask(struct irq_vm *vm);

/** irq_vm_destroy() - Stop the vCPUs, wait for their threads, free the VM. */
void irq_vm_destroy(struct irq_vm *vm);

/** irq_vm_apic_id() - The APIC id that vCPU @vcpu was made with. */
u32 irq_vm_apic_id(const struct irq_vm *vm, u32 vcpu);

/** irq_vm_count() - Interrupts that vCPU @vcpu has taken on @vector. */
u64 irq_vm_count(const struct irq_vm *vm, u32 vcpu, u8 vector);

/**
 * irq_vm_hold() - Keep vCPU @vcpu from sending the EOI of @vector: in service it stays.
 *
 * To be undone with @vector 0, at the latest by irq_vm_destroy().
 */
void irq_vm_hold(struct irq_vm *vm, u32 vcpu, u8 vector);

/** irq_vm_is_blocked() - Whether vCPU @vcpu sleeps in KVM. */
bool irq_vm_is_blocked(const struct irq_vm *vm, u32 vcpu);

/** irq_vm_wait_blocked() - Wait until vCPU @vcpu halts. Return: false if it did not in @ms. */
bool irq_vm_wait_blocked(const struct irq_vm *vm, u32 vcpu, u64 ms);

/** irq_vm_exits() - VM exits of vCPU @vcpu so far. */
u64 irq_vm_exits(const struct irq_vm *vm, u32 vcpu);

/** irq_vm_stat() - Any of KVM's binary statistics of vCPU @vcpu, e.g. "mmio_exits". */
u64 irq_vm_stat(const struct irq_vm *vm, u32 vcpu, const char *name);

/**
 * irq_vm_pause() - Take vCPU @vcpu out of KVM_RUN, so that its ioctls can be used.
 *
 * One that halts sleeps on after irq_vm_resume(), unless an interrupt has come.
 */
void irq_vm_pause(struct irq_vm *vm, u32 vcpu);
void irq_vm_resume(struct irq_vm *vm, u32 vcpu);

/** irq_vm_run_on() - Bind the thread of vCPU @vcpu to CPU @cpu. */
void irq_vm_run_on(struct irq_vm *vm, u32 vcpu, u32 cpu);

/**
 * irq_vm_block_irqs() - KVM_GUESTDBG_BLOCKIRQ: let vCPU @vcpu take no interrupt, or again.
 *
 * As long as it is set for one of them, APICv or AVIC is inhibited for all vCPUs of the VM. Each
 * notices before it enters the guest the next time; one that sleeps is not woken for it.
 */
void irq_vm_block_irqs(struct irq_vm *vm, u32 vcpu, bool block);

/**
 * irq_vm_write_apic() - Have the guest on vCPU @vcpu write to its local APIC.
 * @vm: the VM
 * @vcpu: the vCPU, not in a handler that is held
 * @reg: offset in xAPIC mode (SDM 3A, 11.4.1), also in x2APIC mode
 * @value: what to write
 *
 * Done when it returns. No interrupt is needed for it, also where the vCPU sleeps: its thread is
 * taken out of KVM_RUN and the vCPU made runnable.
 */
void irq_vm_write_apic(struct irq_vm *vm, u32 vcpu, u32 reg, u32 value);

/** irq_vm_write_cr8() - The same with CR8: hold back vectors below 16 * (@priority + 1). */
void irq_vm_write_cr8(struct irq_vm *vm, u32 vcpu, u32 priority);

/** irq_vm_set_x2apic() - Switch vCPU @vcpu of a VM made with xAPIC to x2APIC, or back. */
void irq_vm_set_x2apic(struct irq_vm *vm, u32 vcpu, bool x2apic);

/** irq_vm_write_port() - The same with a byte for I/O port @port. */
void irq_vm_write_port(struct irq_vm *vm, u32 vcpu, u32 port, u8 value);

/** irq_vm_sync() - Have each vCPU enter the guest, so that it has noticed what went before. */
void irq_vm_sync(struct irq_vm *vm);

/**
 * irq_vm_read_apic() - A register of vCPU @vcpu, which is paused for it unless it does not run
 * anyway; @reg as for writing.
 */
u32 irq_vm_read_apic(struct irq_vm *vm, u32 vcpu, u32 reg);

/** irq_vm_irr() - Whether @vector is pending in the APIC of vCPU @vcpu, likewise. */
bool irq_vm_irr(struct irq_vm *vm, u32 vcpu, u8 vector);

/** irq_vm_masked_halts() - HLTs of vCPU @vcpu with IF=0 that have ended. */
u64 irq_vm_masked_halts(const struct irq_vm *vm, u32 vcpu);

/** irq_vm_while_masked() - Interrupts that any vCPU has taken with IF=0, see above. */
u64 irq_vm_while_masked(const struct irq_vm *vm);

/**
 * struct irq_expectation - What the guest must have counted, exactly, since the VM was made.
 * @irqs: by vCPU and vector, all zero at first
 */
struct irq_expectation {
	const struct irq_vm *vm;
	u64 (*irqs)[IRQ_COUNTER_NR_VECTORS];
};

struct irq_expectation irq_expectation_init(const struct irq_vm *vm);
void irq_expectation_cleanup(struct irq_expectation *expectation);

/**
 * irq_expectation_wait() - Wait until the guest has counted all that is expected.
 * @expectation: what is expected
 * @ms: bound, unscaled
 *
 * Counts only grow, so that a surplus interrupt which is still on its way shows at the next call
 * or in irq_expectation_settle().
 *
 * Return: the number of (vCPU, vector) pairs whose count differs, missing or surplus; each was
 * described on stderr. 0 means exact. An interrupt taken while masked counts as a difference, too,
 * unless the CPU is emulated by a released QEMU, whose VMRUN delivers an interrupt injected by
 * EVENTINJ once more if the emulator is asked to leave its execution loop before the next #VMEXIT:
 * the vector stays in exception_index (target/i386/tcg/sysemu/svm_helper.c). Such a delivery is
 * recognised by IF=0 without doubt, for the first one has cleared IF, and is left out of the
 * counts. The QEMU that can post has been mended, so where posting is possible none is forgiven.
 */
u32 irq_expectation_wait(const struct irq_expectation *expectation, u64 ms);

/**
 * irq_expectation_settle() - Give surplus interrupts a moment to show, then compare.
 * @expectation: what is expected, all of it counted already; or nothing
 *
 * Return: as irq_expectation_wait().
 */
u32 irq_expectation_settle(const struct irq_expectation *expectation);

#endif /* HOST_IRQ_VM_H */
