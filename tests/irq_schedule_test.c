// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts that the device sends by itself, at moments that no thread of the host could meet.
 *
 * The device is given a schedule. While it keeps that, the host is free to change the route that is
 * about to be used, or to sleep; and the device's own counters say what was really sent, and when.
 * Catches interrupts that are lost or doubled in a burst, that fall between two routes, or that
 * follow a route which is no longer in force (docs/bugs.md).
 *
 * Needs /dev/kvm and a device that sends on a schedule, irq-testdev of the lab.
 */
#include <linux/kernel.h>

#include <host/kvm_compat.h>
#include <libvfio/deadline.h>
#include <tests/harness.h>
#include <tests/irq_device.h>
#include <tests/irq_phase.h>

#define NR_VCPUS 2
#define NR_BURSTS 40
#define NR_STEPS 100
#define NR_PROBES 10
#define MAX_SPAN_NS 50000000ULL
#define FIRST_GSI (GSI_ROUTING_FIRST_MSI + 8)
/* Where the interrupts of a burst lead: from here on, each to a vector of its own. */
#define BURST_VECTOR 0x40
/* The route before a change and after it. */
#define OLD_VECTOR 0x85
#define NEW_VECTOR 0x96

FIXTURE(schedule) {
	struct irq_device device;
	struct device_irqs irqs;
	struct device_irq *irq;
};

FIXTURE_VARIANT(schedule) {
	enum irq_counter_wait wait;
};

FIXTURE_VARIANT_ADD(schedule, to_spinning_vcpus) { .wait = IRQ_COUNTER_SPIN };
FIXTURE_VARIANT_ADD(schedule, to_halted_vcpus) { .wait = IRQ_COUNTER_HALT };

FIXTURE_SETUP(schedule)
{
	const struct irq_vm_config config = { .nr_vcpus = NR_VCPUS, .wait = variant->wait };

	self->irqs.trigger = IRQ_TRIGGER_DEVICE;
	SKIP_IF_MISSING(irq_device_open(&self->device, test_iommu_mode()));
	self->irqs.device = self->device.device;
	if (!self->irqs.device->driver.ops->schedule_msis)
		SKIP(return, "the device cannot send on a schedule, irq-testdev of the lab can");
	device_irqs_connect(&self->irqs, &config, DEVICE_IRQS_MAX, FIRST_GSI);
	self->irq = &self->irqs.irqs[0];
}

FIXTURE_TEARDOWN(schedule)
{
	device_irqs_disconnect(&self->irqs);
	irq_device_close(&self->device);
}

TEST_F(schedule, each_interrupt_of_a_burst_on_many_vectors_is_counted_once)
{
	static const struct irq_phase bursts = { .name = "bursts on many vectors" };
	struct device_irqs *irqs = &self->irqs;

	for (u32 i = 0; i < irqs->nr_irqs; i++)
		irq_line_route(&irqs->irqs[i].line, i % NR_VCPUS, BURST_VECTOR + i);
	device_irqs_begin(irqs);
	for (u32 i = 0; i < NR_BURSTS; i++)
		ASSERT_EQ(0, irq_phase_send_scheduled(irqs, &bursts, 0, i * 1000));
	test_report("%s: %u of %u each, 0 to %u us apart", bursts.name, NR_BURSTS, irqs->nr_irqs,
		    NR_BURSTS - 1);
	ASSERT_EQ(0, irq_phase_conclude(irqs, &bursts));
}

/* How long it takes to set a route when nothing comes between, in nanoseconds. */
static u64 measure_route_ns(struct irq_line *line)
{
	u64 shortest = UINT64_MAX;

	for (u32 i = 0; i < NR_PROBES; i++) {
		u64 start = deadline_now_ns();

		irq_line_route(line, i % NR_VCPUS, OLD_VECTOR);
		shortest = min(shortest, deadline_now_ns() - start);
	}
	return shortest;
}

static u64 count_both(const struct irq_vm *vm)
{
	return irq_vm_count(vm, 0, OLD_VECTOR) + irq_vm_count(vm, 1, NEW_VECTOR);
}

/* How often an interrupt was sent and came before and after a change of its route. */
struct outcome {
	u32 old;
	u32 new;
	u32 sent_after;
};

/*
 * One MSI @delay_ns from now, and the route changes now. What the device had not sent when the
 * change was over has to take the new route. Return: mistakes.
 */
static u32 change_route_while_sent(struct device_irqs *irqs, u32 delay_ns, struct outcome *outcome)
{
	const struct vfio_pci_msi_schedule schedule = {
		.count = 1, .delay_ns = delay_ns,
		.vector = irqs->irqs[0].device_vector, .nr_vectors = 1,
	};
	u64 counted = count_both(irqs->vm), old, sent;
	bool late, took_old;

	irq_line_route(&irqs->irqs[0].line, 0, OLD_VECTOR);
	old = irq_vm_count(irqs->vm, 0, OLD_VECTOR);
	sent = device_irqs_witness(irqs);
	irq_phase_wait_idle(irqs);
	vfio_pci_driver_schedule_msis(irqs->device, &schedule);
	irq_line_route(&irqs->irqs[0].line, 1, NEW_VECTOR);
	late = device_irqs_witness(irqs) == sent;

	if (!wait_for(count_both(irqs->vm) > counted, IRQ_MS)) {
		test_report("an MSI sent %s the change of its route is lost, %u ns after its order",
			    late ? "after" : "before or during", delay_ns);
		return 1;
	}
	took_old = irq_vm_count(irqs->vm, 0, OLD_VECTOR) > old;
	outcome->old += took_old;
	outcome->new += !took_old;
	outcome->sent_after += late;
	irqs->expectation.irqs[0][OLD_VECTOR] += took_old;
	irqs->expectation.irqs[1][NEW_VECTOR] += !took_old;
	if (late && took_old)
		test_report("an MSI took the old route %u ns after its order, when the new one was in force",
			    delay_ns);
	return late && took_old;
}

TEST_F(schedule, an_msi_at_the_moment_of_a_route_change_takes_one_of_both_routes)
{
	struct device_irqs *irqs = &self->irqs;
	struct outcome outcome = {};
	u64 span = min(measure_route_ns(&self->irq->line) * 3, MAX_SPAN_NS);

	for (u32 step = 0; step < NR_STEPS; step++)
		ASSERT_EQ(0, change_route_while_sent(irqs, span * step / NR_STEPS, &outcome));
	test_report("%u MSIs within %.2f us of a change: %u by the old route, %u by the new, %u of them sent after it",
		    NR_STEPS, span / 1e3, outcome.old, outcome.new, outcome.sent_after);
	ASSERT_EQ(0, irq_expectation_settle(&irqs->expectation));
}

TEST_PROGRAM(NEEDS_KVM | NEEDS_DEVICE,
	     "interrupts on a schedule of the device: bursts, and at the moment of a route change")
