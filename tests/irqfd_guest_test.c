// SPDX-License-Identifier: GPL-2.0-only
/*
 * Signals of an eventfd become interrupts of the guest, each counted once.
 *
 * Proves the path from irqfd through the GSI routing table to the vCPU's local APIC, without a
 * device: what fails here is not worth looking for with one. Catches lost, doubled and
 * misdelivered interrupts, lost wake-ups of halted vCPUs and irqfds that outlive their removal.
 *
 * Needs /dev/kvm.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <host/irq_line.h>
#include <host/kvm_compat.h>
#include <libvfio/deadline.h>
#include <tests/harness.h>

#define NR_SIGNALS 50
#define NR_LINES 8
#define IRQ_MS 2000

FIXTURE(irqfd) {
	struct irq_vm *vm;
	struct irq_expectation expectation;
	struct irq_line lines[NR_LINES];
};

FIXTURE_VARIANT(irqfd) {
	struct irq_vm_config config;
};

#define VARIANT(_name, _vcpus, _xapic, _wait)						\
FIXTURE_VARIANT_ADD(irqfd, _name) {							\
	.config = { .nr_vcpus = (_vcpus), .xapic = (_xapic), .wait = (_wait) },		\
}

VARIANT(one_vcpu_spins, 1, false, IRQ_COUNTER_SPIN);
VARIANT(four_vcpus_spin, 4, false, IRQ_COUNTER_SPIN);
VARIANT(four_vcpus_halt, 4, false, IRQ_COUNTER_HALT);
VARIANT(four_xapic_vcpus_spin, 4, true, IRQ_COUNTER_SPIN);
VARIANT(four_xapic_vcpus_halt, 4, true, IRQ_COUNTER_HALT);

static void report_counted(const struct irq_expectation *expectation)
{
	const struct irq_vm *vm = expectation->vm;
	u64 sum = 0;

	for (u32 vcpu = 0; vcpu < vm->config.nr_vcpus; vcpu++) {
		for (u32 vector = 0; vector < IRQ_COUNTER_NR_VECTORS; vector++)
			sum += irq_vm_count(vm, vcpu, vector);
	}
	test_report("%llu counted, eventfd", (unsigned long long)sum);
}

FIXTURE_SETUP(irqfd)
{
	self->vm = irq_vm_create(&variant->config);
	self->expectation = irq_expectation_init(self->vm);

	for (u32 i = 0; i < NR_LINES; i++) {
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		ASSERT_LE(0, fd);
		irq_line_connect(&self->lines[i], self->vm, fd, GSI_ROUTING_FIRST_MSI + i);
	}
}

FIXTURE_TEARDOWN(irqfd)
{
	report_counted(&self->expectation);
	for (u32 i = 0; i < NR_LINES; i++)
		close(self->lines[i].eventfd);
	irq_expectation_cleanup(&self->expectation);
	irq_vm_destroy(self->vm);
}

static void route_at_random(struct irq_line *line)
{
	irq_line_route(line, test_random(0, line->vm->config.nr_vcpus - 1),
		       test_random(IRQ_COUNTER_FIRST_VECTOR, IRQ_COUNTER_NR_VECTORS - 1));
}

/* Signals a line whose vCPU, if it is one that halts, really sleeps in KVM. */
static void signal_line(struct irq_line *line, struct irq_expectation *expectation)
{
	if (line->vm->config.wait == IRQ_COUNTER_HALT)
		VFIO_ASSERT_TRUE(irq_vm_wait_blocked(line->vm, line->vcpu, IRQ_MS));

	irq_line_expect(line, expectation);
	VFIO_ASSERT_EQ(eventfd_write(line->eventfd, 1), 0);
}

TEST_F(irqfd, every_signal_is_counted_once)
{
	for (u32 i = 0; i < NR_SIGNALS; i++) {
		route_at_random(&self->lines[0]);
		signal_line(&self->lines[0], &self->expectation);
		ASSERT_EQ(0, irq_expectation_wait(&self->expectation, IRQ_MS));
	}
	ASSERT_EQ(0, irq_expectation_settle(&self->expectation));
}

TEST_F(irqfd, signals_of_several_gsis_are_counted_apart)
{
	for (u32 i = 0; i < NR_LINES; i++)
		irq_line_route(&self->lines[i], i % variant->config.nr_vcpus,
			       IRQ_COUNTER_FIRST_VECTOR + i * 16);

	for (u32 round = 0; round < NR_SIGNALS / NR_LINES; round++) {
		for (u32 i = 0; i < NR_LINES; i++) {
			irq_line_expect(&self->lines[i], &self->expectation);
			ASSERT_EQ(0, eventfd_write(self->lines[i].eventfd, 1));
		}
		ASSERT_EQ(0, irq_expectation_wait(&self->expectation, IRQ_MS));
	}
	ASSERT_EQ(0, irq_expectation_settle(&self->expectation));
}

TEST_F(irqfd, a_signal_routed_as_nmi_is_counted_as_nmi)
{
	for (u32 i = 0; i < NR_SIGNALS / 5; i++) {
		irq_line_route(&self->lines[0], i % variant->config.nr_vcpus,
			       IRQ_COUNTER_NMI_VECTOR);
		signal_line(&self->lines[0], &self->expectation);
		ASSERT_EQ(0, irq_expectation_wait(&self->expectation, IRQ_MS));
	}
	ASSERT_EQ(0, irq_expectation_settle(&self->expectation));
}

/* Pending interrupts of one vector merge (SDM 3A, 11.8.4); but none is lost as a whole. */
TEST_F(irqfd, a_burst_is_counted_at_least_once)
{
	struct irq_line *line = &self->lines[0], *last = &self->lines[1];
	u64 counted;

	irq_line_route(line, 0, IRQ_COUNTER_NR_VECTORS - 1);
	irq_line_route(last, 0, IRQ_COUNTER_FIRST_VECTOR);
	for (u32 i = 0; i < NR_SIGNALS; i++)
		ASSERT_EQ(0, eventfd_write(line->eventfd, 1));

	/* Of the lowest priority (SDM 3A, 11.8.3.1), so that it is taken when the burst is over. */
	ASSERT_EQ(0, eventfd_write(last->eventfd, 1));
	ASSERT_TRUE(wait_for(irq_vm_count(self->vm, 0, last->vector), IRQ_MS));
	counted = irq_vm_count(self->vm, 0, line->vector);
	ASSERT_LE(1, counted);
	ASSERT_GE(NR_SIGNALS, counted);
	test_report("burst of %u signals: %llu counted, pending ones of one vector merge",
		    NR_SIGNALS, (unsigned long long)counted);

	self->expectation.irqs[0][line->vector] = counted;
	self->expectation.irqs[0][last->vector] = 1;
	signal_line(line, &self->expectation);
	ASSERT_EQ(0, irq_expectation_wait(&self->expectation, IRQ_MS));
	ASSERT_EQ(0, irq_expectation_settle(&self->expectation));
}

TEST_F(irqfd, a_deassigned_irqfd_leaves_the_guest_alone)
{
	struct irq_line *line = &self->lines[0];
	eventfd_t value;

	irq_line_route(line, 0, IRQ_COUNTER_FIRST_VECTOR);
	irqfd_deassign(self->vm->kvm, line->gsi, line->eventfd);
	for (u32 i = 0; i < NR_SIGNALS; i++)
		ASSERT_EQ(0, eventfd_write(line->eventfd, 1));

	ASSERT_EQ(0, irq_expectation_settle(&self->expectation));
	ASSERT_EQ(0, eventfd_read(line->eventfd, &value));
	ASSERT_EQ(NR_SIGNALS, value);

	irqfd_assign(self->vm->kvm, line->gsi, line->eventfd);
	signal_line(line, &self->expectation);
	ASSERT_EQ(0, irq_expectation_wait(&self->expectation, IRQ_MS));
	ASSERT_EQ(0, irq_expectation_settle(&self->expectation));
}

TEST_F(irqfd, a_signal_without_a_route_raises_nothing)
{
	struct irq_line *line = &self->lines[0];

	irq_line_route(line, 0, IRQ_COUNTER_FIRST_VECTOR);
	gsi_routing_clear(&self->vm->routing, line->gsi);
	gsi_routing_commit(&self->vm->routing);

	for (u32 i = 0; i < NR_SIGNALS; i++)
		ASSERT_EQ(0, eventfd_write(line->eventfd, 1));
	ASSERT_EQ(0, irq_expectation_settle(&self->expectation));
}

TEST_F(irqfd, a_second_irqfd_on_one_eventfd_is_refused)
{
	struct irq_line *line = &self->lines[0];

	ASSERT_EQ(-EBUSY, __irqfd_assign(self->vm->kvm, line->gsi + NR_LINES, line->eventfd));
}

TEST_PROGRAM(NEEDS_KVM, "eventfd to guest: each signal of an irqfd is counted once")
