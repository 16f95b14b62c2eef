// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts are counted once, and come by the same path, wherever the host's side of them goes.
 *
 * The host may move its interrupt to another CPU, or the threads of vCPUs; it may lose the CPU they
 * are on; and it may raise the interrupt by itself, as it does when it was moved. All of that is
 * done around each interrupt and while it is in flight. Catches entries that lose what they posted
 * to, 128 bits that are not written at once, wake-ups that go to a CPU which the vCPU has left, and
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
#define NR_STORM 40
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

static unsigned int random_host_irq(const struct device_irqs *irqs)
{
	return irqs->irqs[test_random(0, irqs->nr_irqs - 1)].probe.host_irq;
}

static void move_nothing(struct device_irqs *irqs)
{
}

static void move_irq(struct device_irqs *irqs)
{
	host_cpus_steer_irq(random_host_irq(irqs), host_cpus_random());
}

static void move_vcpu(struct device_irqs *irqs)
{
	irq_vm_run_on(irqs->vm, test_random(0, NR_VCPUS - 1), host_cpus_random());
}

static void move_either(struct device_irqs *irqs)
{
	if (test_random(0, 1))
		move_irq(irqs);
	else
		move_vcpu(irqs);
}

/* Someone who takes CPUs away and gives them back, while interrupts arrive. */
struct taker {
	struct device_irqs *irqs;
	const cpu_set_t *cpus;
	pthread_t thread;
	atomic_bool stop;
	atomic_uint taken;
	unsigned int seed;
};

/* Takes a CPU away below an interrupt and a vCPU. */
static void take_cpu(struct taker *taker)
{
	u32 nth = rand_r(&taker->seed) % CPU_COUNT(taker->cpus), cpu = 0;
	struct device_irqs *irqs = taker->irqs;

	while (!CPU_ISSET(cpu, taker->cpus) || nth--)
		cpu++;
	host_cpus_steer_irq(irqs->irqs[cpu % irqs->nr_irqs].probe.host_irq, cpu);
	irq_vm_run_on(irqs->vm, rand_r(&taker->seed) % NR_VCPUS, cpu);
	cpu_hotplug_set(cpu, false);
	cpu_hotplug_set(cpu, true);
}

static void *keep_taking(void *arg)
{
	struct taker *taker = arg;

	while (!atomic_load(&taker->stop)) {
		take_cpu(taker);
		atomic_fetch_add(&taker->taken, 1);
	}
	return NULL;
}

/* Sends on all vectors at once, moving something before and after each. Return: mistakes seen. */
static u32 send_at_once(struct device_irqs *irqs, const struct irq_phase *phase,
			void (*move)(struct device_irqs *irqs))
{
	device_irqs_mark(irqs);
	for (u32 i = 0; i < irqs->nr_irqs; i++) {
		move(irqs);
		device_irqs_send(irqs, &irqs->irqs[i]);
		move(irqs);
	}
	return irq_phase_wait_counted(irqs, phase);
}

static u32 storm(struct device_irqs *irqs, const struct irq_phase *phase,
		 void (*move)(struct device_irqs *irqs))
{
	u32 mistakes = irq_phase_send_some(irqs, &quiet, NR_MSIS);

	device_irqs_begin(irqs);
	for (u32 i = 0; i < NR_STORM && !mistakes; i++)
		mistakes = send_at_once(irqs, phase, move);

	return mistakes ?: irq_phase_conclude(irqs, phase) ?:
	       irq_phase_send_some(irqs, &quiet, NR_MSIS);
}

TEST_F(affinity, every_msi_is_counted_once_while_its_host_interrupt_moves)
{
	static const struct irq_phase moving = { .name = "the host's interrupts move" };

	EXPECT_EQ(0, storm(&self->irqs, &moving, move_irq));
}

TEST_F(affinity, every_msi_is_counted_once_while_its_vcpu_moves)
{
	static const struct irq_phase moving = { .name = "vCPUs move" };

	EXPECT_EQ(0, storm(&self->irqs, &moving, move_vcpu));
}

TEST_F(affinity, every_msi_is_counted_once_while_everything_moves)
{
	static const struct irq_phase moving = { .name = "interrupts and vCPUs move" };

	EXPECT_EQ(0, storm(&self->irqs, &moving, move_either));
}

/* Sends until enough CPUs were taken. Return: mistakes seen. */
static u32 send_while_taken(struct device_irqs *irqs, struct taker *taker)
{
	static const struct irq_phase phase = { .name = "CPUs go offline and come back" };
	struct deadline deadline = deadline_after_ms(OFFLINE_MS);
	u32 mistakes = 0;

	device_irqs_begin(irqs);
	taker->seed = test_random(0, INT32_MAX);
	VFIO_ASSERT_EQ(pthread_create(&taker->thread, NULL, keep_taking, taker), 0);
	while (!mistakes && atomic_load(&taker->taken) < NR_OFFLINE && !deadline_expired(&deadline))
		mistakes = send_at_once(irqs, &phase, move_nothing);
	atomic_store(&taker->stop, true);
	VFIO_ASSERT_EQ(pthread_join(taker->thread, NULL), 0);

	if (atomic_load(&taker->taken) < NR_OFFLINE) {
		test_report("only %u CPUs were taken offline", taker->taken);
		mistakes++;
	}
	return mistakes ?: irq_phase_conclude(irqs, &phase) ?:
	       irq_phase_send_some(irqs, &quiet, NR_MSIS);
}

TEST_F(affinity, every_msi_is_counted_once_while_cpus_go_and_come_back)
{
	struct taker taker = { .irqs = &self->irqs, .cpus = &self->hotplug.cpus };

	SKIP_IF_MISSING(self->hotplug_missing);
	EXPECT_EQ(0, send_while_taken(&self->irqs, &taker));
}

/* The host raises each by itself; its handler signals the eventfd, posted or not. */
static u32 retrigger_some(struct device_irqs *irqs, void (*move)(struct device_irqs *irqs))
{
	struct device_irq *irq = &irqs->irqs[0];
	u64 host_irqs;

	device_irqs_begin(irqs);
	for (u32 i = 0; i < NR_MSIS; i++) {
		move(irqs);
		irq_line_expect(&irq->line, &irqs->expectation);
		irq_retrigger(irq->probe.host_irq);
		if (irq_expectation_wait(&irqs->expectation, IRQ_MS))
			return 1;
	}
	host_irqs = delivery_probe_host_irqs(&irq->probe);
	test_report("%u retriggered and counted, host irqs +%llu", NR_MSIS,
		    (unsigned long long)host_irqs);
	/* The host does not count what comes while it still handles the one before. */
	return (!host_irqs || host_irqs > NR_MSIS) + irq_expectation_settle(&irqs->expectation);
}

TEST_F(affinity, an_interrupt_that_the_host_retriggers_is_counted_once_more)
{
	SKIP_IF_MISSING(irq_retrigger_missing(self->irqs.irqs[0].probe.host_irq));
	ASSERT_EQ(0, retrigger_some(&self->irqs, move_nothing));
	EXPECT_EQ(0, retrigger_some(&self->irqs, move_irq));
	EXPECT_EQ(0, irq_phase_send_some(&self->irqs, &quiet, NR_MSIS));
}

TEST_PROGRAM(NEEDS_KVM | NEEDS_DEVICE,
	     "interrupts are counted once wherever the host moves them, their vCPUs and its CPUs")
