/* SPDX-License-Identifier: GPL-2.0-only */
/* The state of a VM's vCPUs, saved and loaded as a VMM does to migrate or reset it. */
#ifndef HOST_IRQ_VM_STATE_H
#define HOST_IRQ_VM_STATE_H

#include <linux/kvm.h>

#include <host/irq_vm.h>

struct kvm_x86_state;

/**
 * struct irq_vm_vcpu_state - All of a vCPU.
 * @rest: what kvm_util saves: registers, pending events, MP state
 * @apic: the local APIC, with what is pending in it
 */
struct irq_vm_vcpu_state {
	struct kvm_x86_state *rest;
	struct kvm_lapic_state apic;
};

/** irq_vm_save_vcpu() - Save vCPU @vcpu, which is paused; irq_vm_free_vcpu_state() frees. */
struct irq_vm_vcpu_state irq_vm_save_vcpu(struct irq_vm *vm, u32 vcpu);
void irq_vm_free_vcpu_state(struct irq_vm_vcpu_state *state);

/** irq_vm_load_vcpu() - Make vCPU @vcpu, which is paused, what was saved. */
void irq_vm_load_vcpu(struct irq_vm *vm, u32 vcpu, const struct irq_vm_vcpu_state *state);

/**
 * irq_vm_migrate() - Make a VM that goes on where another one stopped.
 * @from: all its vCPUs are paused, and stay so
 *
 * Routes and irqfds stay behind; they are the caller's to set up anew.
 *
 * Return: the new VM, all its vCPUs paused.
 */
struct irq_vm *irq_vm_migrate(struct irq_vm *from);

#endif /* HOST_IRQ_VM_STATE_H */
