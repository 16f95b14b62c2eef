// SPDX-License-Identifier: GPL-2.0-only
/*
 * An interrupt finds its vCPU in whatever state that is, and wakes it if it may be woken.
 *
 * A vCPU that sleeps hears of an interrupt only if the host is told, at the right CPU and at the
 * right moment; one that does not run finds it later in its APIC. So vCPUs halt, halt with IF=0,
 * are preempted, sit in user space or have not run yet, while their threads and the host's
 * interrupts move, and the moment of the interrupt is swept across that of the halt. Each is
 * counted once within IRQ_MS, or not before it may be. Catches lost wake-ups, which are windows of
 * a few instructions or lists of a CPU that the vCPU has left (docs/bugs.md).
 *
 * Needs /dev/kvm and a device bound to vfio-pci that a driver of ours can make send MSIs.
 */
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/kernel.h>

#include <host/kvm_compat.h>
#include <libvfio/deadline.h>
#include <tests/harness.h>
#include <tests/host_cpus.h>
#include <tests/irq_device.h>
#include <tests/irq_phase.h>

#define NR_VCPUS 2
#define NR_SIGNALS 10
#define NR_ROUNDS 4
/* vCPUs that share one CPU. */
#define NR_CROWD 6
/* Moments of a sweep, from when an interrupt is counted to well behind the next halt. */
#define NR_STEPS 100
/* From the start of a schedule to its first interrupt: the caller has gone to sleep by then. */
#define PAIR_DELAY_NS 200000
#define MAX_PAIR_NS 100000000ULL
#define FIRST_GSI (GSI_ROUTING_FIRST_MSI + 8)

struct wakeup {
	struct irq_device device;
	struct device_irqs irqs;
	struct device_irq *irq;
	struct irq_line *line;
};

/* Return: NULL, or why the case has to be skipped. */
static const char *set_up(struct wakeup *self, enum irq_trigger trigger,
			  const struct irq_vm_config *config, u32 max_irqs)
{
	const char *missing = NULL;

	self->irqs.trigger = trigger;
	if (trigger != IRQ_TRIGGER_EVENTFD)
		missing = irq_device_open(&self->device, test_iommu_mode());
	if (missing)
		return missing;

	self->irqs.device = self->device.device;
	device_irqs_connect(&self->irqs, config, max_irqs, FIRST_GSI);
	self->irq = &self->irqs.irqs[0];
	self->line = &self->irq->line;
	return NULL;
}

static void tear_down(struct wakeup *self)
{
	device_irqs_disconnect(&self->irqs);
	irq_device_close(&self->device);
}

/* vCPUs that sleep in HLT. */
FIXTURE(halted) {
	struct wakeup wakeup;
	struct device_irqs *irqs;
	struct irq_line *line;
};

FIXTURE_VARIANT(halted) {
	enum irq_trigger trigger;
};

FIXTURE_VARIANT_ADD(halted, by_device) { .trigger = IRQ_TRIGGER_DEVICE };
FIXTURE_VARIANT_ADD(halted, by_loopback) { .trigger = IRQ_TRIGGER_LOOPBACK };
FIXTURE_VARIANT_ADD(halted, by_eventfd) { .trigger = IRQ_TRIGGER_EVENTFD };

FIXTURE_SETUP(halted)
{
	const struct irq_vm_config config = { .nr_vcpus = NR_VCPUS, .wait = IRQ_COUNTER_HALT };

	SKIP_IF_MISSING(set_up(&self->wakeup, variant->trigger, &config, 1));
	self->irqs = &self->wakeup.irqs;
	self->line = self->wakeup.line;
}

FIXTURE_TEARDOWN(halted)
{
	tear_down(&self->wakeup);
}

static const struct irq_phase asleep = { .name = "vCPU halted" };

TEST_F(halted, a_halted_vcpu_is_woken_within_its_bound)
{
	u64 ns[NR_VCPUS * NR_SIGNALS], *sample = ns;

	device_irqs_begin(self->irqs);
	for (u32 vcpu = 0; vcpu < NR_VCPUS; vcpu++) {
		irq_line_route(self->line, vcpu, 0x41);
		for (u32 i = 0; i < NR_SIGNALS; i++, sample++) {
			u64 before = irq_vm_count(self->irqs->vm, vcpu, 0x41), start;

			irq_phase_wait_idle(self->irqs);
			device_irqs_mark(self->irqs);
			start = deadline_now_ns();
			device_irqs_send(self->irqs, self->wakeup.irq);
			wait_for(irq_vm_count(self->irqs->vm, vcpu, 0x41) > before, IRQ_MS);
			*sample = deadline_now_ns() - start;
			ASSERT_EQ(0, irq_phase_wait_counted(self->irqs, &asleep));
		}
	}
	ASSERT_EQ(0, irq_phase_conclude(self->irqs, &asleep));
	test_report_latency("from signal to handler", ns, ARRAY_SIZE(ns));
}

/* What a vCPU is listed under as it falls asleep must not depend on what it is bound to then. */
TEST_F(halted, an_interrupt_bound_after_the_halt_wakes_its_vcpu)
{
	static const struct irq_phase bound = { .name = "bound after the halt" };
	struct kvm_vm *kvm = self->irqs->vm->kvm;

	for (u32 round = 0; round < NR_ROUNDS; round++) {
		irqfd_deassign(kvm, self->line->gsi, self->line->eventfd);
		irq_line_unroute(self->line);
		irq_phase_wait_idle(self->irqs);
		if (round % 2)
			irqfd_assign(kvm, self->line->gsi, self->line->eventfd);
		irq_line_route(self->line, round / 2, 0x51);
		if (!(round % 2))
			irqfd_assign(kvm, self->line->gsi, self->line->eventfd);
		ASSERT_EQ(0, irq_phase_send_some(self->irqs, &bound, 1));
	}
}

/* Takes VFIO's side of the line away and brings it back. */
static void rebind_vector(struct wakeup *self)
{
	struct vfio_pci_device *device = self->irqs.device;
	int fds[] = { -1, self->line->eventfd };

	for (size_t i = 0; i < ARRAY_SIZE(fds); i++)
		VFIO_ASSERT_EQ(__vfio_pci_irq_set_eventfd(device, device->driver.irq_index,
							  self->irq->device_vector,
							  VFIO_IRQ_SET_ACTION_TRIGGER, fds[i]), 0);
}

static void rebind_irqfd(struct wakeup *self)
{
	struct kvm_vm *kvm = self->irqs.vm->kvm;

	irqfd_deassign(kvm, self->line->gsi, self->line->eventfd);
	irqfd_assign(kvm, self->line->gsi, self->line->eventfd);
}

TEST_F(halted, an_interrupt_removed_and_bound_again_while_it_sleeps_wakes_it)
{
	static const struct irq_phase rebound = { .name = "bound again while halted" };

	for (u32 round = 0; round < NR_ROUNDS; round++) {
		irq_line_route(self->line, round % NR_VCPUS, 0x61);
		irq_phase_wait_idle(self->irqs);
		for (u32 i = 0; i < NR_ROUNDS; i++) {
			rebind_irqfd(&self->wakeup);
			if (variant->trigger != IRQ_TRIGGER_EVENTFD)
				rebind_vector(&self->wakeup);
		}
		ASSERT_EQ(0, irq_phase_send_some(self->irqs, &rebound, 2));
	}
}

/* A vCPU is woken by the CPU it fell asleep on, wherever its thread may run next. */
TEST_F(halted, a_vcpu_whose_thread_moved_while_it_slept_is_woken)
{
	static const struct irq_phase moved = { .name = "thread moved while halted" };

	if (host_cpus_nth(1) == host_cpus_nth(0))
		SKIP(return, "there is no second CPU to move to");

	irq_line_route(self->line, 0, 0x71);
	device_irqs_begin(self->irqs);
	for (u32 i = 0; i < NR_SIGNALS; i++) {
		irq_phase_wait_idle(self->irqs);
		irq_vm_run_on(self->irqs->vm, 0, host_cpus_nth(i));
		ASSERT_EQ(0, irq_phase_send(self->irqs, &moved));
	}
	ASSERT_EQ(0, irq_phase_conclude(self->irqs, &moved));
}

/* Waits for the vCPU's count without ever sleeping, which would blur the moment. */
static bool wait_keenly(const struct irq_vm *vm, const struct irq_line *line, u64 count)
{
	struct deadline deadline = deadline_after_ms(IRQ_MS);

	while (irq_vm_count(vm, line->vcpu, line->vector) < count) {
		deadline.polls = 0;
		if (deadline_expired(&deadline))
			return irq_vm_count(vm, line->vcpu, line->vector) >= count;
	}
	return true;
}

/* How long it takes a vCPU from its handler to its sleep, the longest of some. */
static u64 measure_halt_ns(struct device_irqs *irqs)
{
	struct irq_line *line = &irqs->irqs[0].line;
	u64 longest = 0;

	for (u32 i = 0; i < NR_ROUNDS; i++) {
		u64 before = irq_vm_count(irqs->vm, line->vcpu, line->vector), start;

		irq_phase_wait_idle(irqs);
		device_irqs_send(irqs, &irqs->irqs[0]);
		VFIO_ASSERT_TRUE(wait_keenly(irqs->vm, line, before + 1));
		start = deadline_now_ns();
		VFIO_ASSERT_TRUE(irq_vm_wait_blocked(irqs->vm, line->vcpu, IRQ_MS));
		longest = max(longest, deadline_now_ns() - start);
	}
	return longest;
}

/* Of an interrupt that did not come, where it is; see host/irq_diagnosis.h for slower ones. */
static void report_lost(struct device_irqs *irqs, const char *phase, u64 ns)
{
	const struct irq_line *line = &irqs->irqs[0].line;
	bool blocked = irq_vm_is_blocked(irqs->vm, line->vcpu);

	test_report("%s: what was sent %.2f us after the handler is %s the IRR, the vCPU %s", phase,
		    ns / 1e3, irq_vm_irr(irqs->vm, line->vcpu, line->vector) ? "in" : "not in",
		    blocked ? "sleeps" : "runs");
}

/* Signals at each moment of a vCPU's way back to sleep. Return: mistakes seen. */
static u32 sweep(struct device_irqs *irqs, const struct irq_phase *phase)
{
	struct irq_line *line = &irqs->irqs[0].line;
	u64 span, counted, step;

	device_irqs_begin(irqs);
	span = measure_halt_ns(irqs) * 3 / 2;
	counted = irq_vm_count(irqs->vm, line->vcpu, line->vector);
	for (step = 0; step < NR_STEPS; step++) {
		u64 delay = span * step / NR_STEPS, at = deadline_now_ns() + delay;

		while (deadline_now_ns() < at)
			__builtin_ia32_pause();
		device_irqs_send(irqs, &irqs->irqs[0]);
		if (!wait_keenly(irqs->vm, line, ++counted)) {
			report_lost(irqs, phase->name, delay);
			break;
		}
	}
	test_report("%s: %llu moments, %.2f us apart, from the handler on", phase->name,
		    (unsigned long long)step, span / 1e3 / NR_STEPS);
	return irq_expectation_wait(&irqs->expectation, 0) ?: irq_phase_conclude(irqs, phase);
}

/* Between the last look into the APIC and the sleep nobody may slip through. */
TEST_F(halted, an_interrupt_at_any_moment_of_the_halt_wakes_the_vcpu)
{
	static const struct irq_phase swept = { .name = "swept across the halt" };

	for (u32 vcpu = 0; vcpu < NR_VCPUS; vcpu++) {
		irq_line_route(self->line, vcpu, 0x81);
		ASSERT_EQ(0, sweep(self->irqs, &swept));
	}
}

/* The host's interrupt stops the very vCPU it is for, on its way to sleep. */
TEST_F(halted, an_interrupt_on_the_cpu_of_its_vcpu_wakes_it_at_any_moment)
{
	static const struct irq_phase pinned = { .name = "swept, irq and vCPU on one CPU" };

	irq_line_route(self->line, 0, 0x91);
	for (u32 i = 0; i < 2; i++) {
		u32 cpu = host_cpus_nth(i);

		if (variant->trigger == IRQ_TRIGGER_DEVICE)
			host_cpus_steer_irq(self->wakeup.irq->probe.host_irq, cpu);
		irq_vm_run_on(self->irqs->vm, 0, cpu);
		ASSERT_EQ(0, sweep(self->irqs, &pinned));
	}
}

/*
 * Two interrupts of a halted vCPU, the second timed by the device from the first one on. No thread
 * of the host waits for that moment or is awake for it, as it has to be in the sweeps above.
 */
FIXTURE(timed) {
	struct wakeup wakeup;
	struct device_irqs *irqs;
};

FIXTURE_SETUP(timed)
{
	const struct irq_vm_config config = { .nr_vcpus = NR_VCPUS, .wait = IRQ_COUNTER_HALT };

	SKIP_IF_MISSING(set_up(&self->wakeup, IRQ_TRIGGER_DEVICE, &config, 2));
	self->irqs = &self->wakeup.irqs;
	if (!self->irqs->device->driver.ops->schedule_msis)
		SKIP(return, "the device cannot send on a schedule, irq-testdev of the lab can");
	ASSERT_EQ(2, self->irqs->nr_irqs);
}

FIXTURE_TEARDOWN(timed)
{
	tear_down(&self->wakeup);
}

TEST_F(timed, two_interrupts_at_any_distance_each_wake_the_vcpu)
{
	static const struct irq_phase timed = { .name = "timed by the device across the halt" };
	struct device_irqs *irqs = self->irqs;

	for (u32 vcpu = 0; vcpu < NR_VCPUS; vcpu++) {
		u64 span;

		irq_line_route(&irqs->irqs[0].line, vcpu, 0x89);
		irq_line_route(&irqs->irqs[1].line, vcpu, 0x8a);
		device_irqs_begin(irqs);
		/* From the message to the handler takes about as long as from there to the halt. */
		span = min(measure_halt_ns(irqs) * 3, MAX_PAIR_NS);
		for (u32 step = 0; step < NR_STEPS; step++)
			ASSERT_EQ(0, irq_phase_send_scheduled(irqs, &timed, PAIR_DELAY_NS,
							      span * step / NR_STEPS));
		test_report("%s: %u pairs, 0 to %.2f us apart", timed.name, NR_STEPS, span / 1e3);
		ASSERT_EQ(0, irq_phase_conclude(irqs, &timed));
	}
}

/* vCPUs that sleep in HLT with IF=0: an NMI wakes them, and nothing else does. */
FIXTURE(masked) {
	struct wakeup wakeup;
	struct device_irqs *irqs;
	struct irq_line *line;
	struct irq_line nmi;
};

FIXTURE_VARIANT(masked) {
	enum irq_trigger trigger;
};

FIXTURE_VARIANT_ADD(masked, by_device) { .trigger = IRQ_TRIGGER_DEVICE };
FIXTURE_VARIANT_ADD(masked, by_loopback) { .trigger = IRQ_TRIGGER_LOOPBACK };
FIXTURE_VARIANT_ADD(masked, by_eventfd) { .trigger = IRQ_TRIGGER_EVENTFD };

FIXTURE_SETUP(masked)
{
	const struct irq_vm_config config = {
		.nr_vcpus = NR_VCPUS, .wait = IRQ_COUNTER_HALT_MASKED,
	};
	int fd;

	SKIP_IF_MISSING(set_up(&self->wakeup, variant->trigger, &config, 1));
	self->irqs = &self->wakeup.irqs;
	self->line = self->wakeup.line;
	fd = eventfd(0, EFD_CLOEXEC);
	ASSERT_LE(0, fd);
	irq_line_connect(&self->nmi, self->irqs->vm, fd, FIRST_GSI + 1);
	irq_line_route(&self->nmi, 0, IRQ_COUNTER_NMI_VECTOR);
}

FIXTURE_TEARDOWN(masked)
{
	if (self->nmi.vm) {
		irq_line_disconnect(&self->nmi);
		close(self->nmi.eventfd);
	}
	tear_down(&self->wakeup);
}

/* Sends what the vCPU may not take yet. Return: mistakes seen. */
static u32 send_asleep(FIXTURE_DATA(masked) *self, u8 vector)
{
	struct irq_vm *vm = self->irqs->vm;
	u64 halts = irq_vm_masked_halts(vm, 0);
	u32 mistakes;

	irq_line_route(self->line, 0, vector);
	device_irqs_raise(self->irqs, self->wakeup.irq);
	mistakes = irq_expectation_settle(&self->irqs->expectation);
	/* Only now, for to look into its APIC the vCPU is taken out of KVM and comes back. */
	mistakes += !wait_for(irq_vm_irr(vm, 0, vector), IRQ_MS);
	mistakes += irq_expectation_settle(&self->irqs->expectation);
	mistakes += !irq_vm_wait_blocked(vm, 0, IRQ_MS);
	if (mistakes || irq_vm_masked_halts(vm, 0) != halts)
		test_report("vector %#x: %spending, %llu HLTs ended", vector,
			    irq_vm_irr(vm, 0, vector) ? "" : "not ",
			    (unsigned long long)(irq_vm_masked_halts(vm, 0) - halts));
	return mistakes + (irq_vm_masked_halts(vm, 0) != halts);
}

static u32 send_nmi(FIXTURE_DATA(masked) *self)
{
	irq_line_expect(&self->nmi, &self->irqs->expectation);
	VFIO_ASSERT_EQ(eventfd_write(self->nmi.eventfd, 1), 0);
	return irq_expectation_wait(&self->irqs->expectation, IRQ_MS);
}

TEST_F(masked, an_interrupt_waits_for_sti_and_an_nmi_wakes)
{
	static const struct irq_phase masked = { .name = "vCPU halted with IF=0" };
	struct irq_vm *vm = self->irqs->vm;
	u64 (*expected)[IRQ_COUNTER_NR_VECTORS] = self->irqs->expectation.irqs;

	device_irqs_begin(self->irqs);
	ASSERT_EQ(0, send_asleep(self, 0xa1));
	ASSERT_EQ(0, send_nmi(self));
	ASSERT_TRUE(wait_for(irq_vm_masked_halts(vm, 0) == 1, IRQ_MS));
	ASSERT_TRUE(irq_vm_wait_blocked(vm, 0, IRQ_MS));
	ASSERT_EQ(0, send_asleep(self, 0xb1));
	EXPECT_EQ(0, irq_vm_masked_halts(vm, 1));

	irq_vm_unmask(vm);
	for (u32 vcpu = 0; vcpu < NR_VCPUS; vcpu++)
		expected[vcpu][IRQ_COUNTER_NMI_VECTOR]++;
	expected[0][0xa1]++;
	expected[0][0xb1]++;
	ASSERT_EQ(0, irq_expectation_wait(&self->irqs->expectation, IRQ_MS));
	ASSERT_EQ(0, irq_phase_conclude(self->irqs, &masked));
	EXPECT_EQ(2, irq_vm_masked_halts(vm, 0));

	irq_line_route(self->line, 1, 0xa2);
	ASSERT_EQ(0, irq_phase_send_some(self->irqs, &asleep, NR_ROUNDS));
}

/* vCPUs that do not run at the moment, though they do not sleep in HLT. */
FIXTURE(absent) {
	struct wakeup wakeup;
	struct device_irqs *irqs;
};

FIXTURE_VARIANT(absent) {
	enum irq_trigger trigger;
	enum irq_counter_wait wait;
};

#define ABSENT_VARIANT(_name, _trigger, _wait)						\
FIXTURE_VARIANT_ADD(absent, _name) { .trigger = (_trigger), .wait = (_wait) }

ABSENT_VARIANT(device_to_vcpus_that_spin, IRQ_TRIGGER_DEVICE, IRQ_COUNTER_SPIN);
ABSENT_VARIANT(device_to_vcpus_that_halt, IRQ_TRIGGER_DEVICE, IRQ_COUNTER_HALT);
ABSENT_VARIANT(loopback_to_vcpus_that_halt, IRQ_TRIGGER_LOOPBACK, IRQ_COUNTER_HALT);
ABSENT_VARIANT(eventfd_to_vcpus_that_spin, IRQ_TRIGGER_EVENTFD, IRQ_COUNTER_SPIN);

FIXTURE_SETUP(absent)
{
}

FIXTURE_TEARDOWN(absent)
{
	tear_down(&self->wakeup);
}

static const char *connect(FIXTURE_DATA(absent) *self, const FIXTURE_VARIANT(absent) *variant,
			   struct irq_vm_config config, u32 max_irqs)
{
	self->irqs = &self->wakeup.irqs;
	config.wait = variant->wait;
	return set_up(&self->wakeup, variant->trigger, &config, max_irqs);
}

/* Sends what a vCPU that does not run must find later. Return: mistakes seen. */
static u32 leave(FIXTURE_DATA(absent) *self, u32 vcpu, u8 vector)
{
	struct irq_vm *vm = self->irqs->vm;

	irq_line_route(self->wakeup.line, vcpu, vector);
	device_irqs_raise(self->irqs, self->wakeup.irq);
	if (!wait_for(irq_vm_irr(vm, vcpu, vector), IRQ_MS)) {
		test_report("vCPU %u: vector %#x is not in its IRR", vcpu, vector);
		return 1;
	}
	return irq_expectation_settle(&self->irqs->expectation);
}

TEST_F(absent, what_comes_while_a_vcpu_is_in_user_space_waits_for_its_return)
{
	static const struct irq_phase away = { .name = "vCPU in user space" },
				      back = { .name = "vCPU back from user space" };
	u64 (*expected)[IRQ_COUNTER_NR_VECTORS];

	SKIP_IF_MISSING(connect(self, variant, (struct irq_vm_config){ .nr_vcpus = NR_VCPUS }, 1));
	expected = self->irqs->expectation.irqs;
	for (u32 vcpu = 0; vcpu < NR_VCPUS; vcpu++) {
		irq_vm_pause(self->irqs->vm, vcpu);
		device_irqs_begin(self->irqs);
		ASSERT_EQ(0, leave(self, vcpu, 0x55));
		ASSERT_EQ(0, leave(self, vcpu, 0x65));
		irq_vm_resume(self->irqs->vm, vcpu);
		expected[vcpu][0x55]++;
		expected[vcpu][0x65]++;
		ASSERT_EQ(0, irq_expectation_wait(&self->irqs->expectation, IRQ_MS));
		ASSERT_EQ(0, irq_phase_conclude(self->irqs, &away));
		ASSERT_EQ(0, irq_phase_send_some(self->irqs, &back, NR_ROUNDS));
	}
}

/* In xAPIC mode, for the guest would change another one as it starts. */
TEST_F(absent, what_comes_before_a_vcpu_has_run_waits_for_its_start)
{
	static const struct irq_phase held = { .name = "vCPU that has not run" },
				      started = { .name = "vCPU started" };
	const struct irq_vm_config config = { .nr_vcpus = NR_VCPUS, .xapic = true, .held = true };
	u64 (*expected)[IRQ_COUNTER_NR_VECTORS];

	SKIP_IF_MISSING(connect(self, variant, config, 1));
	expected = self->irqs->expectation.irqs;
	for (u32 vcpu = 0; vcpu < NR_VCPUS; vcpu++) {
		ASSERT_EQ(0, leave(self, vcpu, 0x75));
		ASSERT_EQ(0, leave(self, vcpu, 0x85));
	}
	irq_vm_start(self->irqs->vm);
	for (u32 vcpu = 0; vcpu < NR_VCPUS; vcpu++)
		expected[vcpu][0x75] = expected[vcpu][0x85] = 1;
	ASSERT_EQ(0, irq_expectation_wait(&self->irqs->expectation, IRQ_MS));
	ASSERT_EQ(0, irq_phase_conclude(self->irqs, &held));
	ASSERT_EQ(0, irq_phase_send_some(self->irqs, &started, NR_ROUNDS));
}

/* One of them runs at a time, and those that spin are preempted wherever they are. */
TEST_F(absent, each_of_many_vcpus_on_one_cpu_gets_its_own)
{
	static const struct irq_phase crowd = { .name = "many vCPUs on one CPU" };
	struct irq_vm_config config = { .nr_vcpus = NR_CROWD };
	struct device_irqs *irqs = &self->wakeup.irqs;
	u32 differences = 0;

	SKIP_IF_MISSING(connect(self, variant, config, NR_CROWD));
	for (u32 vcpu = 0; vcpu < NR_CROWD; vcpu++)
		irq_vm_run_on(irqs->vm, vcpu, host_cpus_nth(1));

	device_irqs_begin(irqs);
	for (u32 round = 0; round < NR_CROWD && !differences; round++) {
		for (u32 i = 0; i < irqs->nr_irqs; i++)
			irq_line_route(&irqs->irqs[i].line, (round + i) % NR_CROWD, 0x95 + i);
		irq_phase_wait_idle(irqs);
		device_irqs_mark(irqs);
		for (u32 i = 0; i < irqs->nr_irqs; i++)
			device_irqs_send(irqs, &irqs->irqs[i]);
		differences = irq_phase_wait_counted(irqs, &crowd);
	}
	ASSERT_EQ(0, differences);
	ASSERT_EQ(0, irq_phase_conclude(irqs, &crowd));
}

TEST_PROGRAM(NEEDS_KVM | NEEDS_DEVICE,
	     "interrupts wake vCPUs that sleep and find those that do not run, at any moment")
