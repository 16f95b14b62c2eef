// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts follow their routes: the one in force and no other.
 *
 * A route can be replaced while interrupts arrive on it, by one of another kind, by itself or by
 * nothing; the table may be full, refused, or lead to vCPUs that do not exist. Whoever signals,
 * the device, VFIO or this process, each interrupt is counted once where its route led when it
 * was sent. Catches changes of kind that are not noticed, entries that stay posted, interrupts that
 * find no route, and tables that KVM half takes (docs/bugs.md).
 *
 * Needs /dev/kvm and a device bound to vfio-pci that a driver of ours can make send MSIs.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/kernel.h>

#include <host/kvm_compat.h>
#include <libvfio/deadline.h>
#include <tests/harness.h>
#include <tests/irq_device.h>
#include <tests/irq_phase.h>

#define NR_VCPUS 2
#define NR_SIGNALS 5
#define NR_STORM 60
/* No other line uses it, and nobody unmasks it. */
#define IOAPIC_PIN 20
#define FIRST_GSI (GSI_ROUTING_FIRST_MSI + 8)

FIXTURE(routing) {
	struct irq_device device;
	struct device_irqs irqs;
	struct irq_line *line;
};

FIXTURE_VARIANT(routing) {
	enum irq_trigger trigger;
	enum irq_counter_wait wait;
};

#define VARIANT(_name, _trigger, _wait)							\
FIXTURE_VARIANT_ADD(routing, _name) { .trigger = (_trigger), .wait = (_wait) }

VARIANT(device_to_spinning_vcpus, IRQ_TRIGGER_DEVICE, IRQ_COUNTER_SPIN);
VARIANT(device_to_halted_vcpus, IRQ_TRIGGER_DEVICE, IRQ_COUNTER_HALT);
VARIANT(loopback_to_halted_vcpus, IRQ_TRIGGER_LOOPBACK, IRQ_COUNTER_HALT);
VARIANT(eventfd_to_spinning_vcpus, IRQ_TRIGGER_EVENTFD, IRQ_COUNTER_SPIN);
VARIANT(eventfd_to_halted_vcpus, IRQ_TRIGGER_EVENTFD, IRQ_COUNTER_HALT);

FIXTURE_SETUP(routing)
{
	struct irq_vm_config config = { .nr_vcpus = NR_VCPUS, .wait = variant->wait };

	self->irqs.trigger = variant->trigger;
	if (variant->trigger != IRQ_TRIGGER_EVENTFD)
		SKIP_IF_MISSING(irq_device_open(&self->device, test_iommu_mode()));

	self->irqs.device = self->device.device;
	device_irqs_connect(&self->irqs, &config, 1, FIRST_GSI);
	self->line = &self->irqs.irqs[0].line;
}

FIXTURE_TEARDOWN(routing)
{
	device_irqs_disconnect(&self->irqs);
	irq_device_close(&self->device);
}

static const struct irq_phase fixed = { .name = "fixed, to one vCPU" };

/* Routes the line to one vCPU again, and sees that its interrupts come as ever. */
static u32 send_fixed(struct device_irqs *irqs, u32 vcpu, u8 vector)
{
	irq_line_route(&irqs->irqs[0].line, vcpu, vector);
	return irq_phase_send_some(irqs, &fixed, NR_SIGNALS);
}

/* Signals that must not reach the guest, one after the other. Return: mistakes seen. */
static u32 send_in_vain(struct device_irqs *irqs)
{
	struct device_irq *irq = &irqs->irqs[0];

	device_irqs_begin(irqs);
	for (u64 i = 1; i <= NR_SIGNALS; i++) {
		device_irqs_raise(irqs, irq);
		/* Two that are pending in the host's APIC would be one. */
		if (irqs->trigger == IRQ_TRIGGER_DEVICE &&
		    !device_irqs_host_took(irq, i, IRQ_MS)) {
			test_report("the host took %llu of %llu that have no route to a vCPU",
				    (unsigned long long)delivery_probe_host_irqs(&irq->probe),
				    (unsigned long long)i);
			return 1;
		}
	}
	return irq_expectation_settle(&irqs->expectation);
}

/* Whether KVM is one that leaves an MSI posted when its route goes (CVE-2025-37885). */
static bool forgets_to_unpost(const struct device_irqs *irqs)
{
	return irqs->trigger == IRQ_TRIGGER_DEVICE && !delivery_kernel_says() &&
	       delivery_expected() == DELIVERY_POSTED;
}

/* Routes of a storm: each vCPU by four vectors. */
#define NR_STORM_ROUTES (4 * NR_VCPUS)

static u8 storm_vector(u32 route)
{
	return 0x50 + 16 * (route / NR_VCPUS);
}

/* Someone who changes the route without a pause, while interrupts arrive. */
struct router {
	struct irq_line *line;
	pthread_t thread;
	atomic_bool stop;
	u64 changes;
};

static void *change_routes(void *arg)
{
	struct router *router = arg;

	for (; !atomic_load(&router->stop); router->changes++) {
		u32 route = router->changes % NR_STORM_ROUTES;

		irq_line_route(router->line, route % NR_VCPUS, storm_vector(route));
	}
	return NULL;
}

static u64 count_storm(const struct irq_vm *vm)
{
	u64 sum = 0;

	for (u32 route = 0; route < NR_STORM_ROUTES; route++)
		sum += irq_vm_count(vm, route % NR_VCPUS, storm_vector(route));
	return sum;
}

/* Whether what a storm lacks waits in a vCPU that sleeps: an interrupt to each makes it take it. */
static bool storm_overslept(struct device_irqs *irqs, u64 sent)
{
	for (u32 vcpu = 0; vcpu < NR_VCPUS; vcpu++) {
		irq_line_route(&irqs->irqs[0].line, vcpu, 0x41);
		irqs->expectation.irqs[vcpu][0x41]++;
		device_irqs_raise(irqs, &irqs->irqs[0]);
		VFIO_ASSERT_TRUE(wait_for(irq_vm_count(irqs->vm, vcpu, 0x41), IRQ_MS));
	}
	return wait_for(count_storm(irqs->vm) == sent, IRQ_MS);
}

/* The table is replaced as a whole, so that each interrupt finds the old route or the new one. */
TEST_F(routing, every_interrupt_is_counted_once_while_its_route_changes)
{
	struct device_irqs *irqs = &self->irqs;
	struct router router = { .line = self->line };
	bool lost = false, overslept;
	u64 sent = 0;

	irq_line_route(self->line, 0, storm_vector(0));
	ASSERT_EQ(0, pthread_create(&router.thread, NULL, change_routes, &router));
	while (sent < NR_STORM && !lost) {
		device_irqs_raise(irqs, &irqs->irqs[0]);
		sent++;
		lost = !wait_for(count_storm(irqs->vm) >= sent, IRQ_MS);
	}
	atomic_store(&router.stop, true);
	ASSERT_EQ(0, pthread_join(router.thread, NULL));
	test_report("%llu sent while %llu routes were set", (unsigned long long)sent,
		    (unsigned long long)router.changes);
	overslept = lost && storm_overslept(irqs, sent);
	if (lost)
		test_report("the last %s", overslept ? "waited in a vCPU that nobody woke" :
			    "reached no vCPU");

	for (u32 route = 0; route < NR_STORM_ROUTES; route++)
		irqs->expectation.irqs[route % NR_VCPUS][storm_vector(route)] =
			irq_vm_count(irqs->vm, route % NR_VCPUS, storm_vector(route));
	EXPECT_EQ(0, irq_expectation_settle(&irqs->expectation));
	ASSERT_GE(sent, count_storm(irqs->vm));
	if (overslept && forgets_to_unpost(irqs))
		XFAIL(return, "before Linux 6.17 KVM updates an IRTE that it still has listed elsewhere");
	EXPECT_FALSE(lost);
}

/* Also to the very bytes it had before: what KVM compares must include the kind (same MSI). */
TEST_F(routing, a_route_that_comes_back_after_one_of_another_kind_works_again)
{
	struct device_irqs *irqs = &self->irqs;
	u32 lost;

	ASSERT_EQ(0, send_fixed(irqs, 0, 0x61));
	irq_line_unroute(self->line);
	lost = send_in_vain(irqs);
	if (lost && forgets_to_unpost(irqs))
		XFAIL(return, "before Linux 6.16 KVM leaves an MSI posted without a route");
	ASSERT_EQ(0, lost);
	ASSERT_EQ(0, send_fixed(irqs, 0, 0x61));

	gsi_routing_set_ioapic(&irqs->vm->routing, self->line->gsi, IOAPIC_PIN);
	gsi_routing_commit(&irqs->vm->routing);
	ASSERT_EQ(0, send_in_vain(irqs));
	ASSERT_EQ(0, send_fixed(irqs, 0, 0x61));
}

TEST_F(routing, an_nmi_or_a_multicast_leaves_the_route_after_it_as_it_should_be)
{
	static const struct irq_phase nmi = { "as NMI", "an NMI cannot be posted" };
	struct device_irqs *irqs = &self->irqs;

	ASSERT_EQ(0, send_fixed(irqs, 1, 0x71));
	irq_line_route(self->line, 1, IRQ_COUNTER_NMI_VECTOR);
	ASSERT_EQ(0, irq_phase_send_some(irqs, &nmi, NR_SIGNALS));
	ASSERT_EQ(0, send_fixed(irqs, 1, 0x71));

	irq_line_route_message(self->line, msi_message_logical((1 << NR_VCPUS) - 1, 0x72));
	for (u32 i = 0; i < NR_SIGNALS; i++) {
		for (u32 vcpu = 0; vcpu < NR_VCPUS; vcpu++)
			irqs->expectation.irqs[vcpu][0x72]++;
		device_irqs_raise(irqs, &irqs->irqs[0]);
		ASSERT_EQ(0, irq_expectation_wait(&irqs->expectation, IRQ_MS));
	}
	ASSERT_EQ(0, send_fixed(irqs, 1, 0x71));
}

/* KVM takes such a route, and must not post it to anyone. */
TEST_F(routing, a_route_to_a_vcpu_that_does_not_exist_raises_nothing)
{
	struct device_irqs *irqs = &self->irqs;
	u32 lost;

	ASSERT_EQ(0, send_fixed(irqs, 0, 0x81));
	irq_line_route_message(self->line, msi_message_fixed(NR_VCPUS + 100, 0x81));
	lost = send_in_vain(irqs);
	if (lost && forgets_to_unpost(irqs))
		XFAIL(return, "before Linux 6.16 KVM leaves an MSI posted when it leads nowhere");
	ASSERT_EQ(0, lost);
	ASSERT_EQ(0, send_fixed(irqs, 0, 0x81));
}

/* The irqfd of a GSI that the table has no room for: in 2017 a BUG() (CVE-2017-1000252). */
TEST_F(routing, a_gsi_beyond_the_table_raises_nothing_and_breaks_nothing)
{
	struct device_irqs *irqs = &self->irqs;
	u32 beyond = irqs->vm->routing.capacity + 1000, gsi = self->line->gsi;
	int fd = self->line->eventfd;

	ASSERT_EQ(0, send_fixed(irqs, 0, 0x91));
	irqfd_deassign(irqs->vm->kvm, gsi, fd);
	if (!__irqfd_assign(irqs->vm->kvm, beyond, fd)) {
		EXPECT_EQ(0, send_in_vain(irqs));
		irqfd_deassign(irqs->vm->kvm, beyond, fd);
	}
	irqfd_assign(irqs->vm->kvm, gsi, fd);
	ASSERT_EQ(0, send_fixed(irqs, 0, 0x91));
}

/* Fills the table; GSI by GSI through all vCPUs and vectors. */
static void fill_table(struct irq_vm *vm)
{
	u32 nr_vectors = IRQ_COUNTER_NR_VECTORS - IRQ_COUNTER_FIRST_VECTOR;

	for (u32 gsi = GSI_ROUTING_FIRST_MSI; gsi < vm->routing.capacity; gsi++)
		gsi_routing_set_msi(&vm->routing, gsi,
				    msi_message_fixed(gsi % NR_VCPUS, IRQ_COUNTER_FIRST_VECTOR +
							      gsi / NR_VCPUS % nr_vectors));
	gsi_routing_commit(&vm->routing);
}

TEST_F(routing, each_of_as_many_routes_as_there_can_be_leads_to_its_own_place)
{
	struct device_irqs *irqs = &self->irqs;
	u32 last = irqs->vm->routing.capacity - 1;
	u32 gsis[] = { GSI_ROUTING_FIRST_MSI, last / 2, last - 1, last };
	u32 nr_vectors = IRQ_COUNTER_NR_VECTORS - IRQ_COUNTER_FIRST_VECTOR;

	fill_table(irqs->vm);
	irqfd_deassign(irqs->vm->kvm, self->line->gsi, self->line->eventfd);
	for (size_t i = 0; i < ARRAY_SIZE(gsis); i++) {
		irq_line_connect(self->line, irqs->vm, self->line->eventfd, gsis[i]);
		self->line->vcpu = gsis[i] % NR_VCPUS;
		self->line->vector = IRQ_COUNTER_FIRST_VECTOR + gsis[i] / NR_VCPUS % nr_vectors;
		EXPECT_EQ(0, irq_phase_send_some(irqs, &fixed, NR_SIGNALS));
		irqfd_deassign(irqs->vm->kvm, gsis[i], self->line->eventfd);
	}
	irqfd_assign(irqs->vm->kvm, self->line->gsi, self->line->eventfd);
}

/* Spoils a table that KVM has taken, and sees that it is refused and the old one goes on. */
static u32 refuse(struct device_irqs *irqs, const struct kvm_irq_routing_entry *entry)
{
	struct gsi_routing *routing = &irqs->vm->routing;
	int ret;

	routing->table->entries[routing->table->nr++] = *entry;
	ret = __gsi_routing_commit(routing);
	routing->table->nr--;
	if (ret != -EINVAL)
		test_report("a route of GSI %u, type %u, flags %u: %d, not -EINVAL", entry->gsi,
			    entry->type, entry->flags, ret);
	return (ret != -EINVAL) + irq_phase_send_some(irqs, &fixed, NR_SIGNALS);
}

TEST_F(routing, a_table_that_is_refused_leaves_the_one_before_in_force)
{
	u32 capacity = self->irqs.vm->routing.capacity;
	struct kvm_irq_routing_entry wrong[] = {
		{ .gsi = self->line->gsi, .type = KVM_IRQ_ROUTING_MSI },
		{ .gsi = capacity, .type = KVM_IRQ_ROUTING_MSI },
		{ .gsi = FIRST_GSI + 1, .type = 0xff },
		{ .gsi = FIRST_GSI + 1, .type = KVM_IRQ_ROUTING_MSI, .flags = 1 << 31 },
		{ .gsi = FIRST_GSI + 1, .type = KVM_IRQ_ROUTING_IRQCHIP, .u.irqchip.irqchip = 9 },
	};

	ASSERT_EQ(0, send_fixed(&self->irqs, 1, 0xa1));
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		EXPECT_EQ(0, refuse(&self->irqs, &wrong[i]));
}

/* The reverse, two irqfds on one eventfd, is refused: irqfd_guest_test. */
TEST_F(routing, two_eventfds_on_one_gsi_raise_it_each)
{
	struct irq_line second = { .vm = self->irqs.vm, .eventfd = eventfd(0, EFD_CLOEXEC) };

	ASSERT_LE(0, second.eventfd);
	ASSERT_EQ(0, send_fixed(&self->irqs, 0, 0xb1));
	irqfd_assign(self->irqs.vm->kvm, self->line->gsi, second.eventfd);
	for (u32 i = 0; i < NR_SIGNALS; i++) {
		irq_line_expect(self->line, &self->irqs.expectation);
		ASSERT_EQ(0, eventfd_write(second.eventfd, 1));
		ASSERT_EQ(0, irq_expectation_wait(&self->irqs.expectation, IRQ_MS));
		ASSERT_EQ(0, irq_phase_send_some(&self->irqs, &fixed, 1));
	}
	irqfd_deassign(self->irqs.vm->kvm, self->line->gsi, second.eventfd);
	close(second.eventfd);
	ASSERT_EQ(0, send_fixed(&self->irqs, 0, 0xb1));
}

TEST_PROGRAM(NEEDS_KVM | NEEDS_DEVICE,
	     "interrupts follow their routes while these change, and go nowhere else")
