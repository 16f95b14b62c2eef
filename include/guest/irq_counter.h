/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What host and guest share of the payload irq_counter: plain memory, written by one side each.
 * The guest counts every interrupt it takes, by vCPU and vector, so that duplicates and strays
 * show as well as losses. Between two interrupts a vCPU obeys an order of the host's, so that a
 * test can have the guest itself write to its local APIC.
 */
#ifndef GUEST_IRQ_COUNTER_H
#define GUEST_IRQ_COUNTER_H

#include <linux/types.h>

#define IRQ_COUNTER_NR_VECTORS 256

/* Vectors below belong to exceptions (SDM 3A, 6.2); the first legal one wakes a guest to stop. */
#define IRQ_COUNTER_WAKE_VECTOR 32
#define IRQ_COUNTER_FIRST_VECTOR 33
#define IRQ_COUNTER_NMI_VECTOR 2

/* What a vCPU does while it waits for interrupts. */
enum irq_counter_wait {
	IRQ_COUNTER_SPIN,
	IRQ_COUNTER_HALT,
	IRQ_COUNTER_HALT_MASKED,	/* with IF=0: only an NMI ends it */
};

/* What the host can order a vCPU to do. */
enum irq_counter_order {
	IRQ_COUNTER_NO_ORDER,
	IRQ_COUNTER_NOTHING,		/* but notice the order */
	IRQ_COUNTER_WRITE_APIC,		/* register, value; by MMIO or MSR, as the mode is */
	IRQ_COUNTER_WRITE_CR8,		/* -, value: the TPR's bits 7:4 */
	IRQ_COUNTER_SET_X2APIC,		/* -, value: 1 for x2APIC, 0 for xAPIC, through disabled */
	IRQ_COUNTER_WRITE_PORT,		/* I/O port, value: a byte */
};

/**
 * struct irq_counter_vcpu - Written by one vCPU, but for @hold, @pic_vectors and the order.
 * @self: guest address of this very structure, where GS points to
 * @x2apic: copy of the mode for the interrupt handler
 * @ready: 1 once the vCPU takes interrupts
 * @irqs: interrupts taken, by vector; NMIs under IRQ_COUNTER_NMI_VECTOR
 * @while_masked: maskable interrupts taken although RFLAGS.IF was 0 or the same vector in service;
 *	a CPU never does that (SDM 3A, 6.8.1, 11.8.4), but see host/irq_vm.h. Not part of @irqs.
 * @masked_halts: HLTs with IF=0 that ended
 * @hold: as long as it is a vector, its handler does not end: counted, no EOI, IF=1
 * @held: the vector whose handler is kept from ending, 0 if none
 * @pic_vectors: the first of eight, of a PIC which ends them by itself: the local APIC gets no EOI;
 *	0 if there is none
 * @order: enum irq_counter_order; written last by the host, 0 again when it is done
 * @order_register: of the local APIC, by its xAPIC offset; or an I/O port
 * @order_value: what to write
 */
struct irq_counter_vcpu {
	struct irq_counter_vcpu *self;
	u32 x2apic;
	u32 ready;
	u64 irqs[IRQ_COUNTER_NR_VECTORS];
	u64 while_masked;
	u64 masked_halts;
	u32 hold;
	u32 held;
	u32 pic_vectors;
	u32 order;
	u32 order_register;
	u32 order_value;
};

/**
 * struct irq_counter - Written by the host, but for @vcpus.
 * @x2apic: 1 for x2APIC mode, 0 for xAPIC
 * @wait: enum irq_counter_wait; may change from spinning to halting at any time, and to or from
 *	IRQ_COUNTER_HALT_MASKED with an NMI that ends the HLT
 * @stop: 1 asks every vCPU to finish; one that halts needs IRQ_COUNTER_WAKE_VECTOR to notice
 * @nr_vcpus: entries of @vcpus
 * @vcpus: by index
 */
struct irq_counter {
	u32 x2apic;
	u32 wait;
	u32 stop;
	u32 nr_vcpus;
	struct irq_counter_vcpu vcpus[];
};

struct ex_regs;

/* Makes the vCPU one that counts its interrupts, from the next STI on. */
struct irq_counter_vcpu *guest_irq_counter_begin(struct irq_counter *counter, u64 index);
void guest_irq_counter(struct irq_counter *counter, u64 index);
void guest_irq_counter_handler(struct ex_regs *regs);
void guest_irq_counter_nmi_handler(struct ex_regs *regs);

#endif /* GUEST_IRQ_COUNTER_H */
