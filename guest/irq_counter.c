// SPDX-License-Identifier: GPL-2.0-only
/* Payload: take interrupts and count them, spinning or halted in between. */
#include <apic.h>
#include <processor.h>
#include <ucall_common.h>

#include <asm/processor-flags.h>

#include <guest/irq_counter.h>

/*
 * GS finds the vCPU's own counters without an exit to KVM, which reading the APIC id would
 * cost, and without RDPID, which not every CPU has.
 */
static inline struct irq_counter_vcpu *guest_this_vcpu(void)
{
	struct irq_counter_vcpu *vcpu;

	asm volatile("mov %%gs:0, %0" : "=r"(vcpu));
	return vcpu;
}

static void guest_count(struct irq_counter_vcpu *vcpu, u64 vector)
{
	WRITE_ONCE(vcpu->irqs[vector], vcpu->irqs[vector] + 1);
}

static void guest_write_apic(const struct irq_counter_vcpu *vcpu, u32 reg, u32 value)
{
	if (vcpu->x2apic)
		wrmsr(APIC_BASE_MSR + (reg >> 4), value);
	else
		xapic_write_reg(reg, value);
}

/* Stays in service, open to what has a higher priority. */
static void guest_hold(struct irq_counter_vcpu *vcpu, u64 vector)
{
	u32 outer = vcpu->held;

	vcpu->held = vector;
	while (READ_ONCE(vcpu->hold) == vector)
		asm volatile("sti; pause; cli" ::: "memory");
	vcpu->held = outer;
}

static void guest_obey(struct irq_counter_vcpu *vcpu)
{
	/* The order first: what goes with it was written before it. */
	u32 order = READ_ONCE(vcpu->order);
	u64 value = READ_ONCE(vcpu->order_value);

	switch (order) {
	case IRQ_COUNTER_NO_ORDER:
		return;
	case IRQ_COUNTER_WRITE_APIC:
		guest_write_apic(vcpu, READ_ONCE(vcpu->order_register), value);
		break;
	case IRQ_COUNTER_WRITE_CR8:
		asm volatile("mov %0, %%cr8" :: "r"(value) : "memory");
		break;
	case IRQ_COUNTER_SET_X2APIC:
		vcpu->x2apic = value;
		if (value)
			x2apic_enable();
		else
			xapic_enable();
		break;
	case IRQ_COUNTER_WRITE_PORT:
		asm volatile("outb %b0, %w1" :: "a"(value), "d"(READ_ONCE(vcpu->order_register)));
		break;
	}
	WRITE_ONCE(vcpu->order, IRQ_COUNTER_NO_ORDER);
}

void guest_irq_counter_handler(struct ex_regs *regs)
{
	struct irq_counter_vcpu *vcpu = guest_this_vcpu();

	if (!(regs->rflags & X86_EFLAGS_IF) || regs->vector == vcpu->held) {
		/* The local APIC did not send it, so it gets no EOI. */
		WRITE_ONCE(vcpu->while_masked, vcpu->while_masked + 1);
		return;
	}

	guest_count(vcpu, regs->vector);
	guest_hold(vcpu, regs->vector);
	if ((regs->vector & ~7ULL) != READ_ONCE(vcpu->pic_vectors))
		guest_write_apic(vcpu, APIC_EOI, 0);
}

void guest_irq_counter_nmi_handler(struct ex_regs *regs)
{
	guest_count(guest_this_vcpu(), IRQ_COUNTER_NMI_VECTOR);
}

/* Takes interrupts for a while: until the next one when halting, some time when spinning. */
static void guest_wait(const struct irq_counter *counter, struct irq_counter_vcpu *vcpu)
{
	switch (READ_ONCE(counter->wait)) {
	case IRQ_COUNTER_HALT:
		/* STI takes effect after the next instruction: no interrupt is lost before HLT. */
		asm volatile("sti; hlt; cli" ::: "memory");
		break;
	case IRQ_COUNTER_HALT_MASKED:
		asm volatile("hlt" ::: "memory");
		WRITE_ONCE(vcpu->masked_halts, vcpu->masked_halts + 1);
		break;
	default:
		asm volatile("sti; pause; cli" ::: "memory");
	}
}

struct irq_counter_vcpu *guest_irq_counter_begin(struct irq_counter *counter, u64 index)
{
	struct irq_counter_vcpu *vcpu = &counter->vcpus[index];

	vcpu->self = vcpu;
	vcpu->x2apic = counter->x2apic;
	wrmsr(MSR_GS_BASE, (u64)vcpu);

	if (counter->x2apic)
		x2apic_enable();
	else
		xapic_enable();

	WRITE_ONCE(vcpu->ready, 1);
	return vcpu;
}

void guest_irq_counter(struct irq_counter *counter, u64 index)
{
	struct irq_counter_vcpu *vcpu = guest_irq_counter_begin(counter, index);

	while (!READ_ONCE(counter->stop)) {
		guest_obey(vcpu);
		guest_wait(counter, vcpu);
	}

	GUEST_DONE();
}
