// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts that a passed-through device raises are counted in the guest, each exactly once, and
 * come by the path that they should.
 *
 * The whole path: the device writes its MSI, the IOMMU remaps or posts it, vfio-pci's eventfd
 * and KVM's irqfd (or IRQ bypass, without either) bring it to one vector of one vCPU. After each
 * step the count of every vCPU and vector is compared, so that a lost, doubled or misdelivered
 * interrupt shows; and /proc/interrupts says by which path they came: a count alone would not
 * notice that posting silently stopped. So where the host can post, whatever is not posted fails
 * unless it is of a kind that cannot be; and what changes the path must change it then and there.
 * Where the host cannot post, the same cases prove that everything is remapped.
 *
 * Needs /dev/kvm and a device bound to vfio-pci that a driver of ours can make send MSIs.
 */
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <linux/kernel.h>
#include <linux/sizes.h>

#include <host/kvm_compat.h>
#include <host/passthrough.h>
#include <libvfio/deadline.h>
#include <libvfio/dma_region.h>
#include <tests/harness.h>
#include <tests/host_cpus.h>
#include <tests/irq_device.h>
#include <tests/irq_mix.h>
#include <tests/irq_phase.h>

/* How long to wait for what is not expected on every kernel. */
#define STRAY_MS 500
/* Twice the tick of a kernel with CONFIG_HZ=100, the slowest there is. */
#define SLOW_MSI_NS 20000000
#define NR_MSIS 5
#define NR_ROUNDS 2
#define NR_STORM 16
#define NR_VECTORS 8
/* A busy host may spoil many a chance to see an interrupt come without an exit. */
#define MAX_TRIES 200

FIXTURE(irq) {
	struct irq_device device;
	struct device_irqs irqs;
};

FIXTURE_VARIANT_IOMMU_MODE(irq);

#define IRQ_VARIANT(_mode)								\
FIXTURE_VARIANT_ADD(irq, _mode) { .iommu_mode = #_mode };
FOR_EACH_IOMMU_MODE(IRQ_VARIANT)

static const char *open_device(FIXTURE_DATA(irq) *self, const char *iommu_mode)
{
	const char *missing = irq_device_open(&self->device, iommu_mode);

	self->irqs.device = self->device.device;
	return missing;
}

static void connect(struct device_irqs *irqs, struct irq_vm_config config, u32 max_irqs)
{
	device_irqs_connect(irqs, &config, max_irqs,
			    GSI_ROUTING_FIRST_MSI + test_random(0, 100) * DEVICE_IRQS_MAX);
}

FIXTURE_SETUP(irq)
{
	SKIP_IF_MISSING(open_device(self, variant->iommu_mode));
}

FIXTURE_TEARDOWN(irq)
{
	device_irqs_disconnect(&self->irqs);
	irq_device_close(&self->device);
}

/* Sends on one vector without touching its route. Return: mistakes seen. */
static u32 send_some(struct device_irqs *irqs, const struct irq_phase *phase)
{
	return irq_phase_send_some(irqs, phase, NR_MSIS);
}

/* Sends on one vector, routed anew to any vCPU and vector before each. Return: mistakes seen. */
static u32 send_one_by_one(struct device_irqs *irqs, const struct irq_phase *phase)
{
	u32 differences = 0;

	device_irqs_begin(irqs);
	for (u32 i = 0; i < NR_MSIS && !differences; i++) {
		irq_phase_route_at_random(&irqs->irqs[0].line);
		differences = irq_phase_send(irqs, phase);
	}

	return differences ?: irq_phase_conclude(irqs, phase);
}

/* Sends on all vectors before waiting for any. Return: mistakes seen. */
static u32 send_at_once(struct device_irqs *irqs, const struct irq_phase *phase)
{
	u32 differences = 0;

	if (irqs->nr_irqs < 2)
		return 0;

	device_irqs_begin(irqs);
	for (u32 i = 0; i < irqs->nr_irqs; i++)
		irq_line_route(&irqs->irqs[i].line, i % irqs->vm->config.nr_vcpus,
			       IRQ_COUNTER_FIRST_VECTOR + i * 16);

	for (u32 round = 0; round < NR_ROUNDS && !differences; round++) {
		irq_phase_wait_idle(irqs);
		device_irqs_mark(irqs);
		for (u32 i = 0; i < irqs->nr_irqs; i++)
			device_irqs_send(irqs, &irqs->irqs[i]);
		differences = irq_phase_wait_counted(irqs, phase);
	}

	return differences ?: irq_phase_conclude(irqs, phase);
}

/* Lets VFIO or this process signal the eventfd: no device, no IOMMU, no host interrupt. */
static u32 signal_eventfd(struct device_irqs *irqs, const char *what,
			  void (*signal)(struct device_irqs *irqs))
{
	static const struct irq_phase phase = { "by eventfd", "no device is involved" };
	struct device_irq *irq = &irqs->irqs[0];
	u32 differences = 0;

	device_irqs_begin(irqs);
	for (u32 i = 0; i < NR_MSIS && !differences; i++) {
		irq_phase_route_at_random(&irq->line);
		irq_line_expect(&irq->line, &irqs->expectation);
		signal(irqs);
		differences = irq_phase_wait_counted(irqs, &phase);
	}
	if (differences || delivery_probe_host_irqs(&irq->probe))
		return 1;

	test_report("%s %s[%u], %s: %u signalled and counted, %s", irq->probe.bdf,
		    vfio_pci_irq_index_name(irq->probe.index), irq->device_vector, what, NR_MSIS,
		    delivery_path_name(DELIVERY_EVENTFD));
	return irq_expectation_settle(&irqs->expectation);
}

static void trigger_loopback(struct device_irqs *irqs)
{
	vfio_pci_irq_trigger(irqs->device, irqs->irqs[0].probe.index, irqs->irqs[0].device_vector);
}

static void write_eventfd(struct device_irqs *irqs)
{
	VFIO_ASSERT_EQ(eventfd_write(irqs->irqs[0].line.eventfd, 1), 0);
}

/*
 * Through each IOMMU mode, with vCPUs in each state: one MSI after the other, then on several
 * vectors at once if the device has them. One case, since a device is reset each time it is
 * opened, which takes longer than all its interrupts.
 */
TEST_F(irq, every_msi_is_counted_once)
{
	static const struct irq_phase spin = { .name = "2 vCPUs spin" },
				  halted = { .name = "2 vCPUs halted" };
	struct device_irqs *irqs = &self->irqs;

	connect(irqs, (struct irq_vm_config){ .nr_vcpus = 2 }, NR_VECTORS);
	ASSERT_EQ(0, send_one_by_one(irqs, &spin));
	ASSERT_EQ(0, send_at_once(irqs, &spin));
	irq_vm_halt(irqs->vm);
	ASSERT_EQ(0, send_one_by_one(irqs, &halted));
	ASSERT_EQ(0, send_at_once(irqs, &halted));
}

/* What does not depend on the IOMMU mode. */
FIXTURE(one_mode) {
	FIXTURE_DATA(irq) irq;
	struct device_irqs *irqs;
};

FIXTURE_SETUP(one_mode)
{
	self->irqs = &self->irq.irqs;
	SKIP_IF_MISSING(open_device(&self->irq, test_iommu_mode()));
}

FIXTURE_TEARDOWN(one_mode)
{
	device_irqs_disconnect(self->irqs);
	irq_device_close(&self->irq.device);
}

static const struct irq_phase fixed = { .name = "fixed, to one vCPU" };

TEST_F(one_mode, every_msi_reaches_its_xapic_vcpu)
{
	static const struct {
		struct irq_phase spin, halted;
		u32 nr_vcpus;
	} kinds[] = {
		{ { .name = "1 xAPIC vCPU spins" }, { .name = "1 xAPIC vCPU halted" }, 1 },
		{ { .name = "2 xAPIC vCPUs spin" }, { .name = "2 xAPIC vCPUs halted" }, 2 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		connect(self->irqs, (struct irq_vm_config){ kinds[i].nr_vcpus, .xapic = true }, 1);
		ASSERT_EQ(0, send_one_by_one(self->irqs, &kinds[i].spin));
		irq_vm_halt(self->irqs->vm);
		ASSERT_EQ(0, send_one_by_one(self->irqs, &kinds[i].halted));
		device_irqs_disconnect(self->irqs);
	}
}

/* Neither VFIO's loopback nor a write() is the device's MSI, on a vector that is else posted. */
TEST_F(one_mode, a_signal_of_the_eventfd_is_injected_beside_msis)
{
	connect(self->irqs, (struct irq_vm_config){ .nr_vcpus = 2 }, 1);
	ASSERT_EQ(0, send_one_by_one(self->irqs, &fixed));
	ASSERT_EQ(0, signal_eventfd(self->irqs, "VFIO's loopback", trigger_loopback));
	ASSERT_EQ(0, signal_eventfd(self->irqs, "eventfd_write()", write_eventfd));
	ASSERT_EQ(0, send_some(self->irqs, &fixed));
}

/*
 * KVM posts fixed and lowest priority interrupts only, so the host takes each NMI; also on a
 * vector that was posted before, and posted it is again afterwards.
 */
TEST_F(one_mode, every_nmi_is_remapped_and_leaves_later_msis_as_they_were)
{
	static const struct irq_phase nmi = { "as NMI", "an NMI cannot be posted" };
	struct device_irqs *irqs = self->irqs;

	connect(irqs, (struct irq_vm_config){ .nr_vcpus = 2 }, 1);
	ASSERT_EQ(0, send_one_by_one(irqs, &fixed));
	device_irqs_begin(irqs);
	for (u32 i = 0; i < NR_MSIS; i++) {
		irq_line_route(&irqs->irqs[0].line, i % 2, IRQ_COUNTER_NMI_VECTOR);
		ASSERT_EQ(0, irq_phase_send(irqs, &nmi));
	}
	ASSERT_EQ(0, irq_phase_conclude(irqs, &nmi));
	ASSERT_EQ(0, send_one_by_one(irqs, &fixed));
}

/* A multicast reaches each vCPU of its set once, and never by the IOMMU, which knows but one. */
TEST_F(one_mode, every_multicast_is_remapped_and_leaves_later_msis_as_they_were)
{
	static const struct irq_phase multicast = { "fixed, to 2 of 3 vCPUs",
						"a multicast cannot be posted" };
	struct device_irqs *irqs = self->irqs;
	struct device_irq *irq = &irqs->irqs[0];

	connect(irqs, (struct irq_vm_config){ .nr_vcpus = 3 }, 1);
	ASSERT_EQ(0, send_one_by_one(irqs, &fixed));
	device_irqs_begin(irqs);
	irq_line_route_message(&irq->line, msi_message_logical(0x5, irq->line.vector));
	for (u32 i = 0; i < NR_MSIS; i++) {
		irqs->expectation.irqs[0][irq->line.vector]++;
		irqs->expectation.irqs[2][irq->line.vector]++;
		device_irqs_raise(irqs, irq);
		ASSERT_EQ(0, irq_phase_wait_counted(irqs, &multicast));
	}
	ASSERT_EQ(0, irq_phase_conclude(irqs, &multicast));
	ASSERT_EQ(0, send_one_by_one(irqs, &fixed));
}

/* For a year they were not, and every test still passed (637543a8d61c). */
TEST_F(one_mode, a_lowest_priority_or_logical_msi_takes_the_path_of_a_fixed_one)
{
	static const struct irq_phase lowest = { .name = "lowest priority, to 1 vCPU" },
				  logical = { .name = "fixed, logical, to 1 vCPU" };
	struct device_irqs *irqs = self->irqs;
	struct irq_line *line = &irqs->irqs[0].line;

	connect(irqs, (struct irq_vm_config){ .nr_vcpus = 3 }, 1);
	irq_line_route(line, 2, 0x61);
	irq_line_route_message(line, msi_message_lowest_priority(1 << 2, 0x61));
	ASSERT_EQ(0, send_some(irqs, &lowest));
	irq_line_route_message(line, msi_message_logical(1 << 2, 0x61));
	ASSERT_EQ(0, send_some(irqs, &logical));
}

/* KVM looks at what the table says, not at whether it was written. */
TEST_F(one_mode, a_route_written_again_unchanged_changes_nothing)
{
	static const struct irq_phase again = { .name = "the same table before each" };
	struct device_irqs *irqs = self->irqs;

	connect(irqs, (struct irq_vm_config){ .nr_vcpus = 2 }, 1);
	irq_line_route(&irqs->irqs[0].line, 1, 0x71);
	device_irqs_begin(irqs);
	for (u32 i = 0; i < NR_MSIS; i++) {
		gsi_routing_commit(&irqs->vm->routing);
		ASSERT_EQ(0, irq_phase_send(irqs, &again));
		gsi_routing_commit(&irqs->vm->routing);
	}
	ASSERT_EQ(0, irq_phase_conclude(irqs, &again));
}

/*
 * Raises MSIs that must not reach the guest, each once the host has taken the one before: two
 * that are pending in the host's APIC would be one. Return: how many the host took.
 */
static u64 raise_unrouted(struct device_irqs *irqs)
{
	struct device_irq *irq = &irqs->irqs[0];

	device_irqs_begin(irqs);
	for (u64 i = 1; i <= NR_MSIS; i++) {
		device_irqs_raise(irqs, irq);
		if (!device_irqs_host_took(irq, i, STRAY_MS))
			return i - 1;
	}
	return NR_MSIS;
}

/*
 * Without a route the host takes the MSI again, VFIO signals its eventfd, and the irqfd, which
 * consumes the signal, has nowhere to go with it.
 */
TEST_F(one_mode, an_msi_whose_route_was_removed_ends_in_the_irqfd)
{
	struct device_irqs *irqs = self->irqs;
	struct device_irq *irq = &irqs->irqs[0];
	u64 taken;

	connect(irqs, (struct irq_vm_config){ .nr_vcpus = 2 }, 1);
	ASSERT_EQ(0, send_one_by_one(irqs, &fixed));
	irq_line_unroute(&irq->line);
	taken = raise_unrouted(irqs);
	if (!taken && !delivery_kernel_says() && delivery_expected() == DELIVERY_POSTED) {
		XFAIL(return, "before Linux 6.16 KVM leaves an MSI posted when its route is removed");
	}
	ASSERT_EQ(NR_MSIS, taken);
	ASSERT_EQ(0, irq_expectation_settle(&irqs->expectation));
	ASSERT_EQ(0, vfio_pci_irq_take(irqs->device, irq->probe.index, irq->device_vector, 0));
	test_report("%s %s[%u], without a route: %u sent, remapped (host irqs +%llu), none counted",
		    irq->probe.bdf, vfio_pci_irq_index_name(irq->probe.index), irq->device_vector,
		    NR_MSIS, (unsigned long long)taken);
	irq_line_route(&irq->line, irq->line.vcpu, irq->line.vector);
	EXPECT_EQ(0, send_some(irqs, &fixed));
}

/* Once the irqfd is gone the device's interrupts belong to user space again, all of them. */
TEST_F(one_mode, a_deassigned_irqfd_leaves_the_guest_alone)
{
	static const struct irq_phase before = { .name = "irqfd assigned" },
				  after = { .name = "irqfd assigned again" };
	struct device_irqs *irqs = self->irqs;
	struct device_irq *irq = &irqs->irqs[0];
	u64 taken = 0;

	connect(irqs, (struct irq_vm_config){ .nr_vcpus = 1 }, 1);
	irq_line_route(&irq->line, 0, IRQ_COUNTER_FIRST_VECTOR);
	ASSERT_EQ(0, send_some(irqs, &before));

	irqfd_deassign(irqs->vm->kvm, irq->line.gsi, irq->line.eventfd);
	for (u32 i = 0; i < NR_MSIS; i++) {
		device_irqs_raise(irqs, irq);
		taken += vfio_pci_irq_take(irqs->device, irq->probe.index, irq->device_vector,
					   IRQ_MS);
	}
	EXPECT_EQ(NR_MSIS, taken);
	EXPECT_EQ(0, irq_expectation_settle(&irqs->expectation));

	irqfd_assign(irqs->vm->kvm, irq->line.gsi, irq->line.eventfd);
	EXPECT_EQ(0, send_some(irqs, &after));
}

/* Lets the vCPU see that APICv was inhibited or released, by an MSI that may come either way. */
static u32 settle(struct device_irqs *irqs)
{
	static const struct irq_phase either = { .name = "just inhibited or released" };

	return irq_phase_send(irqs, &either);
}

/*
 * While APICv is inhibited, AMD-Vi's entries remap and VT-d's still post; and the release is
 * noticed, by vCPUs that spin as by those that sleep. The last vCPU is the one that is debugged.
 */
TEST_F(one_mode, inhibiting_apicv_remaps_on_amd_and_releasing_it_undoes_that)
{
	static const struct irq_phase inhibited = { "APICv inhibited", "AVIC is inhibited" },
				  still = { .name = "APICv inhibited" },
				  released = { .name = "APICv released" };
	bool posted = delivery_expected_inhibited() == DELIVERY_POSTED;
	struct device_irqs *irqs = self->irqs;

	connect(irqs, (struct irq_vm_config){ .nr_vcpus = 2 }, 1);
	irq_line_route(&irqs->irqs[0].line, 0, 0x81);
	for (u32 round = 0; round < NR_ROUNDS; round++) {
		ASSERT_EQ(0, send_some(irqs, &fixed));
		irq_vm_block_irqs(irqs->vm, 1, true);
		ASSERT_EQ(0, settle(irqs));
		ASSERT_EQ(0, send_some(irqs, posted ? &still : &inhibited));
		irq_vm_block_irqs(irqs->vm, 1, false);
		ASSERT_EQ(0, settle(irqs));
		ASSERT_EQ(0, send_some(irqs, &released));
		if (!round)
			irq_vm_halt(irqs->vm);
	}
}

/* Whatever is in flight when AVIC goes off or on arrives once (66fa226c131f). */
TEST_F(one_mode, an_msi_in_flight_while_apicv_is_switched_is_counted_once)
{
	static const struct irq_phase switched = { .name = "APICv inhibited and released in flight" };
	struct device_irqs *irqs = self->irqs;

	connect(irqs, (struct irq_vm_config){ .nr_vcpus = 2 }, 1);
	irq_line_route(&irqs->irqs[0].line, 0, 0x91);
	for (u32 i = 0; i < 2 * NR_MSIS; i++) {
		/* Each by its own, for the paths of those before it differ. */
		device_irqs_begin(irqs);
		device_irqs_send(irqs, &irqs->irqs[0]);
		irq_vm_block_irqs(irqs->vm, 1, i % 2 == 0);
		ASSERT_EQ(0, irq_phase_wait_counted(irqs, &switched));
	}
	ASSERT_EQ(0, settle(irqs));
	ASSERT_EQ(0, send_some(irqs, &fixed));
}

/* Whether KVM posts, but does not yet learn of routes made while AVIC is inhibited, before 6.16. */
static bool forgets_routes(void)
{
	return !delivery_kernel_says() && delivery_expected() == DELIVERY_POSTED;
}

/* Of a vector bound in the meantime the release must know, too (6df262f915ab). */
TEST_F(one_mode, a_route_made_while_apicv_is_inhibited_takes_the_usual_path_later)
{
	static const struct irq_phase bound = { .name = "bound before APICv was released" };
	struct device_irqs *irqs = self->irqs;
	u64 host_irqs;
	u32 lost;

	connect(irqs, (struct irq_vm_config){ .nr_vcpus = 2 }, 1);
	irq_vm_block_irqs(irqs->vm, 1, true);
	irq_line_route(&irqs->irqs[0].line, 0, 0xa1);
	/* Posted to a vCPU that has yet to notice, it waits in an IRR nobody looks at any more. */
	lost = settle(irqs);
	if (lost && forgets_routes()) {
		XFAIL(return, "before Linux 6.16 an MSI routed as AVIC is inhibited may be lost");
	}
	ASSERT_EQ(0, lost);
	irq_vm_block_irqs(irqs->vm, 1, false);
	ASSERT_EQ(0, settle(irqs));

	host_irqs = delivery_probe_host_irqs(&irqs->irqs[0].probe);
	ASSERT_EQ(0, settle(irqs));
	host_irqs = delivery_probe_host_irqs(&irqs->irqs[0].probe) - host_irqs;
	if (host_irqs && forgets_routes()) {
		XFAIL(return, "before Linux 6.16 an MSI routed while AVIC is inhibited stays remapped");
	}
	ASSERT_EQ(0, send_some(irqs, &bound));
}

/* Why a case about posting cannot run here; NULL if it can. */
static const char *cannot_post(void)
{
	static char sentence[128];

	if (!delivery_posting_missing())
		return NULL;

	snprintf(sentence, sizeof(sentence), "this host cannot post interrupts: %s",
		 delivery_posting_missing());
	return sentence;
}

/*
 * Whether the vCPU ever runs for so long at a stretch. On a slow host, one under lockdep say, it
 * does not, and an exit while an MSI is on its way tells nothing.
 */
static bool runs_without_exit(struct irq_vm *vm, s64 ns)
{
	for (u32 i = 0; i < MAX_TRIES; i++) {
		u64 exits = irq_vm_exits(vm, 0);
		struct timespec start;

		clock_gettime(CLOCK_MONOTONIC, &start);
		while (timespec_to_ns(timespec_elapsed(start)) < ns)
			cpu_relax();
		if (irq_vm_exits(vm, 0) == exits)
			return true;
	}
	return false;
}

/*
 * A vCPU that runs is told by a doorbell or notification vector and takes the interrupt in the
 * guest. Without one it would find it at its next entry, a tick of the host later: so, of many
 * interrupts, some come without an exit; not all, for the host's tick goes on. Half of the time an
 * MSI takes is asked for: one without a doorbell takes a whole tick. Where each takes longer than
 * any tick, as under a kernel with KASAN and lockdep, nothing can be told. Return: mistakes.
 */
static u32 send_without_exit(struct device_irqs *irqs, const struct irq_phase *phase, bool *unknown)
{
	u32 without_exit = 0, tries = 0;
	struct timespec start;
	s64 ns;

	device_irqs_begin(irqs);
	clock_gettime(CLOCK_MONOTONIC, &start);
	for (; tries < NR_STORM || (!without_exit && tries < MAX_TRIES); tries++) {
		u64 exits = irq_vm_exits(irqs->vm, 0);

		if (irq_phase_send(irqs, phase))
			return 1;
		without_exit += irq_vm_exits(irqs->vm, 0) == exits;
	}
	ns = timespec_to_ns(timespec_elapsed(start)) / tries;
	test_report("%u of %u posted MSIs came without an exit of the vCPU, after %lld us each",
		    without_exit, tries, (long long)ns / 1000);
	*unknown = !without_exit &&
		   (ns > SLOW_MSI_NS || !runs_without_exit(irqs->vm, ns / 2));
	if (!without_exit && !*unknown) {
		test_report("in the IRR, vCPU runs: no doorbell, each waited for an entry");
		return 1;
	}
	return irq_phase_conclude(irqs, phase);
}

/* One that sleeps does not notice; the IOMMU tells the host, and KVM wakes it. */
TEST_F(one_mode, a_posted_msi_stops_no_running_vcpu_and_wakes_a_halted_one)
{
	static const struct irq_phase running = { .name = "1 vCPU spins" },
				  halted = { .name = "1 vCPU halted" };
	struct device_irqs *irqs = self->irqs;
	bool unknown = false;

	SKIP_IF_MISSING(cannot_post());
	connect(irqs, (struct irq_vm_config){ .nr_vcpus = 1 }, 1);
	irq_line_route(&irqs->irqs[0].line, 0, 0xb1);
	ASSERT_EQ(0, send_without_exit(irqs, &running, &unknown));
	irq_vm_halt(irqs->vm);
	ASSERT_EQ(0, send_one_by_one(irqs, &halted));
	ASSERT_LT(0, device_irqs_account(irqs).wakeups);
	if (unknown)
		SKIP(return, "wakes it; but here no vCPU runs for as long as an MSI takes");
}

/* Moves the vector's host interrupt or a vCPU's thread to another CPU, or neither. */
static void move_something(struct device_irqs *irqs)
{
	switch (test_random(0, 2)) {
	case 0:
		host_cpus_steer_irq(irqs->irqs[0].probe.host_irq, host_cpus_random());
		break;
	case 1:
		irq_vm_run_on(irqs->vm, test_random(0, irqs->vm->config.nr_vcpus - 1),
			      host_cpus_random());
		break;
	}
}

/* Sends while interrupt and vCPUs move: before each MSI, in flight, and before it is counted. */
static u32 storm(struct device_irqs *irqs, const struct irq_phase *phase)
{
	u32 differences = 0;

	device_irqs_begin(irqs);
	for (u32 i = 0; i < NR_STORM && !differences; i++) {
		if (i % 8 == 0)
			irq_phase_route_at_random(&irqs->irqs[0].line);
		move_something(irqs);
		device_irqs_mark(irqs);
		device_irqs_send(irqs, &irqs->irqs[0]);
		move_something(irqs);
		differences = irq_phase_wait_counted(irqs, phase);
	}

	return differences ?: irq_phase_conclude(irqs, phase);
}

TEST_F(one_mode, every_msi_is_counted_once_while_irq_and_vcpus_migrate)
{
	static const struct {
		struct irq_phase spinning, halting;
		struct irq_vm_config config;
	} kinds[] = {
		{ { .name = "migrating, 2 xAPIC vCPUs spin" },
		  { .name = "migrating, 2 xAPIC vCPUs halt" },
		  { .nr_vcpus = 2, .xapic = true } },
		{ { .name = "migrating, 3 vCPUs spin" }, { .name = "migrating, 3 vCPUs halt" },
		  { .nr_vcpus = 3 } },
	};
	struct device_irqs *irqs = self->irqs;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		connect(irqs, kinds[i].config, 1);
		ASSERT_EQ(0, storm(irqs, &kinds[i].spinning));
		irq_vm_halt(irqs->vm);
		ASSERT_EQ(0, storm(irqs, &kinds[i].halting));
		device_irqs_disconnect(irqs);
	}
}

/* The kernel's irq_test, and more of its options at once than anybody would type. */
TEST_F_TIMEOUT(one_mode, every_msi_is_counted_once_in_a_mix_of_options, 120)
{
	struct irq_mix mix = irq_mix_choose();

	connect(self->irqs, irq_mix_config(&mix), 1);
	EXPECT_EQ(0, irq_mix_send(self->irqs, &mix));
}

/* The device of a VM sees the guest's memory at its guest physical addresses. */
TEST_F(one_mode, the_device_copies_within_guest_memory)
{
	static const char text[] = "written by the host, moved by the device within the guest";
	struct vfio_pci_driver *driver = &self->irqs->device->driver;
	struct vfio_pci_device *device = self->irqs->device;
	struct dma_region *guest;
	struct kvm_vm *kvm;
	u8 *src;

	SKIP_IF_MISSING(driver->no_memcpy);
	connect(self->irqs, (struct irq_vm_config){ .nr_vcpus = 1 }, 1);
	kvm = self->irqs->vm->kvm;
	guest = passthrough_map_guest_memory(kvm, self->irq.device.iommu);

	src = addr_gva2hva(kvm, vm_alloc(kvm, 2 * SZ_4K, KVM_UTIL_MIN_VADDR));
	memcpy(src, text, sizeof(text));
	EXPECT_EQ(0, vfio_pci_driver_memcpy(device, to_iova(device, src),
					    to_iova(device, src + SZ_4K),
					    roundup(sizeof(text), driver->memcpy_align)));
	EXPECT_EQ(0, memcmp(src + SZ_4K, text, sizeof(text)));

	passthrough_unmap_guest_memory(self->irq.device.iommu, guest);
}

static const char *only_the_mix(void)
{
	return irq_mix_asked_for() ? "one_mode.every_msi_is_counted_once_in_a_mix_of_options" : NULL;
}

static const struct test_program_options options = {
	.take = irq_mix_take_option,
	.help = irq_mix_help,
	.only = only_the_mix,
};

TEST_PROGRAM_WITH_OPTIONS(NEEDS_KVM | NEEDS_DEVICE, &options,
	     "MSIs of a device are counted in the guest, each once, and posted wherever they can be")
