// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts are counted once, and come by the same path, wherever the host's side of them goes.
 *
 * The host may move its interrupt to another CPU, or the threads of vCPUs; it may lose the CPU they
 * are on; and it may raise the interrupt by itself, as it does when it was moved. All of that is
 * done without a pause while the device fires. Catches entries that lose what they posted to, 128
 * bits that are not written at once, wake-ups that go to a CPU which the vCPU has left, and
 * interrupts that are lost with their CPU (docs/bugs.md).
 *
 * Needs /dev/kvm and a device bound to vfio-pci that a driver of ours can make send MSIs. CPUs go
 * offline in the lab only, or where CPU_HOTPLUG=1 allows it.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <host/cpu_hotplug.h>
#include <host/irq_retrigger.h>
#include <libvfio/deadline.h>
#include <tests/harness.h>
#include <tests/host_cpus.h>
#include <tests/irq_device.h>
#include <tests/irq_phase.h>

#define NR_VCPUS 2
#define MAX_IRQS 4
#define NR_MSIS 4
#define NR_STORM 60
#define VECTOR 0x61
/* CPUs that go offline, and how long the storm may wait for that. */
#define NR_OFFLINE 4
#define OFFLINE_MS 20000

FIXTURE(affinity) {
	struct irq_device device;
	struct device_irqs irqs;
	struct cpu_hotplug hotplug;
	const char *hotplug_missing;
};

FIXTURE_VARIANT(affinity) {
	enum irq_counter_wait wait;
};

FIXTURE_VARIANT_ADD(affinity, spinning_vcpus) { .wait = IRQ_COUNTER_SPIN };
FIXTURE_VARIANT_ADD(affinity, halted_vcpus) { .wait = IRQ_COUNTER_HALT };

/* Each vector leads to a vCPU and a vector of its own. */
FIXTURE_SETUP(affinity)
{
	struct irq_vm_config config = { .nr_vcpus = NR_VCPUS, .wait = variant->wait };

	self->hotplug_missing = cpu_hotplug_begin(&self->hotplug);
	SKIP_IF_MISSING(irq_device_open(&self->device, test_iommu_mode()));
	self->irqs.device = self->device.device;
	device_irqs_connect(&self->irqs, &config, MAX_IRQS, GSI_ROUTING_FIRST_MSI);
	for (u32 i = 0; i < self->irqs.nr_irqs; i++)
		irq_line_route(&self->irqs.irqs[i].line, i % NR_VCPUS, VECTOR + 16 * i);
}

FIXTURE_TEARDOWN(affinity)
{
	device_irqs_disconnect(&self->irqs);
	irq_device_close(&self->device);
	cpu_hotplug_end(&self->hotplug);
}

static const struct irq_phase quiet = { .name = "nothing moves" };

/* Someone who moves things without a pause, while interrupts arrive. */
struct mover {
	struct device_irqs *irqs;
	void (*move)(struct mover *mover);
	const cpu_set_t *hotplug_cpus;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint moves;
	unsigned int seed;
};

static u32 pick(struct mover *mover, u32 nr)
{
	return rand_r(&mover->seed) % nr;
}

static unsigned int pick_host_irq(struct mover *mover)
{
	return mover->irqs->irqs[pick(mover, mover->irqs->nr_irqs)].probe.host_irq;
}

static void move_irq(struct mover *mover)
{
	host_cpus_steer_irq(pick_host_irq(mover), host_cpus_nth(pick(mover, UINT16_MAX)));
}

static void move_vcpu(struct mover *mover)
{
	irq_vm_run_on(mover->irqs->vm, pick(mover, NR_VCPUS),
		      host_cpus_nth(pick(mover, UINT16_MAX)));
}

static void move_either(struct mover *mover)
{
	if (pick(mover, 2))
		move_irq(mover);
	else
		move_vcpu(mover);
}

/* Takes a CPU away below an interrupt and a vCPU. */
static void take_cpu(struct mover *mover)
{
	u32 nth = pick(mover, CPU_COUNT(mover->hotplug_cpus)), cpu = 0;

	while (!CPU_ISSET(cpu, mover->hotplug_cpus) || nth--)
		cpu++;
	host_cpus_steer_irq(pick_host_irq(mover), cpu);
	irq_vm_run_on(mover->irqs->vm, pick(mover, NR_VCPUS), cpu);
	cpu_hotplug_set(cpu, false);
	cpu_hotplug_set(cpu, true);
}

static void *keep_moving(void *arg)
{
	struct mover *mover = arg;

	while (!atomic_load(&mover->stop)) {
		mover->move(mover);
		atomic_fetch_add(&mover->moves, 1);
	}
	return NULL;
}

static void start_moving(struct mover *mover)
{
	mover->seed = test_random(0, INT32_MAX);
	VFIO_ASSERT_EQ(pthread_create(&mover->thread, NULL, keep_moving, mover), 0);
}

static void stop_moving(struct mover *mover)
{
	atomic_store(&mover->stop, true);
	VFIO_ASSERT_EQ(pthread_join(mover->thread, NULL), 0);
}

/* Sends on all vectors at once, again and again. Return: mistakes seen. */
static u32 send_at_once(struct device_irqs *irqs, const struct irq_phase *phase)
{
	device_irqs_mark(irqs);
	for (u32 i = 0; i < irqs->nr_irqs; i++)
		device_irqs_send(irqs, &irqs->irqs[i]);
	return irq_phase_wait_counted(irqs, phase);
}

/* Sends until there were enough interrupts and moves. Return: mistakes seen. */
static u32 storm(struct device_irqs *irqs, const struct irq_phase *phase, struct mover *mover,
		 u32 nr_moves)
{
	struct deadline deadline = deadline_after_ms(OFFLINE_MS);
	u32 mistakes = 0, sent = 0;

	device_irqs_begin(irqs);
	start_moving(mover);
	while (!mistakes && (sent < NR_STORM || atomic_load(&mover->moves) < nr_moves)) {
		mistakes = send_at_once(irqs, phase);
		sent++;
		if (deadline_expired(&deadline))
			break;
	}
	stop_moving(mover);
	test_report("%u sent on each of %u vectors, %u moves", sent, irqs->nr_irqs, mover->moves);
	if (mover->moves < nr_moves)
		mistakes++;
	mistakes = mistakes ?: irq_phase_conclude(irqs, phase);
	return mistakes ?: irq_phase_send_some(irqs, &quiet, NR_MSIS);
}

TEST_F(affinity, every_msi_is_counted_once_while_its_host_interrupt_moves)
{
	static const struct irq_phase moving = { .name = "the host's interrupts move" };
	struct mover mover = { .irqs = &self->irqs, .move = move_irq };

	ASSERT_EQ(0, irq_phase_send_some(&self->irqs, &quiet, NR_MSIS));
	EXPECT_EQ(0, storm(&self->irqs, &moving, &mover, 1));
}

TEST_F(affinity, every_msi_is_counted_once_while_its_vcpu_moves)
{
	static const struct irq_phase moving = { .name = "vCPUs move" };
	struct mover mover = { .irqs = &self->irqs, .move = move_vcpu };

	EXPECT_EQ(0, storm(&self->irqs, &moving, &mover, 1));
}

TEST_F(affinity, every_msi_is_counted_once_while_everything_moves)
{
	static const struct irq_phase moving = { .name = "interrupts and vCPUs move" };
	struct mover mover = { .irqs = &self->irqs, .move = move_either };

	EXPECT_EQ(0, storm(&self->irqs, &moving, &mover, 1));
}

TEST_F(affinity, every_msi_is_counted_once_while_cpus_go_and_come_back)
{
	static const struct irq_phase moving = { .name = "CPUs go offline and come back" };
	struct mover mover = { .irqs = &self->irqs, .move = take_cpu,
			       .hotplug_cpus = &self->hotplug.cpus };

	SKIP_IF_MISSING(self->hotplug_missing);
	EXPECT_EQ(0, storm(&self->irqs, &moving, &mover, NR_OFFLINE));
}

/* The host raises each by itself; its handler signals the eventfd, posted or not. */
static u32 retrigger_some(struct device_irqs *irqs)
{
	struct device_irq *irq = &irqs->irqs[0];
	u64 host_irqs;

	device_irqs_begin(irqs);
	for (u32 i = 0; i < NR_MSIS; i++) {
		irq_line_expect(&irq->line, &irqs->expectation);
		irq_retrigger(irq->probe.host_irq);
		if (irq_expectation_wait(&irqs->expectation, IRQ_MS))
			return 1;
	}
	host_irqs = delivery_probe_host_irqs(&irq->probe);
	test_report("%u retriggered and counted, host irqs +%llu", NR_MSIS,
		    (unsigned long long)host_irqs);
	return (host_irqs != NR_MSIS) + irq_expectation_settle(&irqs->expectation);
}

TEST_F(affinity, an_interrupt_that_the_host_retriggers_is_counted_once_more)
{
	struct mover mover = { .irqs = &self->irqs, .move = move_irq };
	u32 mistakes = 0;

	SKIP_IF_MISSING(irq_retrigger_missing(self->irqs.irqs[0].probe.host_irq));
	ASSERT_EQ(0, retrigger_some(&self->irqs));
	ASSERT_EQ(0, irq_phase_send_some(&self->irqs, &quiet, NR_MSIS));

	start_moving(&mover);
	for (u32 i = 0; i < NR_MSIS && !mistakes; i++)
		mistakes = retrigger_some(&self->irqs);
	stop_moving(&mover);
	EXPECT_EQ(0, mistakes);
	EXPECT_EQ(0, irq_phase_send_some(&self->irqs, &quiet, NR_MSIS));
}

TEST_PROGRAM(NEEDS_KVM | NEEDS_DEVICE,
	     "interrupts are counted once wherever the host moves them, their vCPUs and its CPUs")
