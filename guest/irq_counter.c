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

void guest_irq_counter_handler(struct ex_regs *regs)
{
	struct irq_counter_vcpu *vcpu = guest_this_vcpu();

	if (!(regs->rflags & X86_EFLAGS_IF)) {
		/* The local APIC did not send it, so it gets no EOI. */
		WRITE_ONCE(vcpu->while_masked, vcpu->while_masked + 1);
		return;
	}

	guest_count(vcpu, regs->vector);
	while (READ_ONCE(vcpu->hold) == regs->vector)
		asm volatile("pause");
	if (vcpu->x2apic)
		wrmsr(APIC_BASE_MSR + (APIC_EOI >> 4), 0);
	else
		xapic_write_reg(APIC_EOI, 0);
}

void guest_irq_counter_nmi_handler(struct ex_regs *regs)
{
	guest_count(guest_this_vcpu(), IRQ_COUNTER_NMI_VECTOR);
}

/* Takes interrupts for a while: until the next one when halting, some time when spinning. */
static void guest_wait(const struct irq_counter *counter)
{
	/* STI takes effect after the next instruction: no interrupt is lost before HLT. */
	if (READ_ONCE(counter->wait) == IRQ_COUNTER_HALT)
		asm volatile("sti; hlt; cli" ::: "memory");
	else
		asm volatile("sti; pause; cli" ::: "memory");
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
	guest_irq_counter_begin(counter, index);
	while (!READ_ONCE(counter->stop))
		guest_wait(counter);

	GUEST_DONE();
}
