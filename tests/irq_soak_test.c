// SPDX-License-Identifier: GPL-2.0-only
/*
 * Interrupts survive whatever happens around them, in any order, for as long as one likes.
 *
 * A state machine, seeded, does one thing after the other: routes come, go and change kind, irqfds
 * are deassigned and assigned, host interrupts and vCPUs move, vCPUs leave KVM, APICv is inhibited
 * and released, the VM is destroyed and another made; and all the time the device, VFIO and this
 * process signal, also while such a thing is being done. Each interrupt is counted once where its
 * route led; at quiet points nothing else was counted anywhere, and the device's interrupts come by
 * the path that they should. It is for the combinations that no other test thinks of.
 *
 * A step is made of the seed and its number alone, so --replay can do the same again and look for
 * the shortest beginning that still fails.
 *
 * Needs /dev/kvm and a device bound to vfio-pci that a driver of ours can make send MSIs.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#include <linux/kernel.h>

#include <host/kvm_compat.h>
#include <libvfio/deadline.h>
#include <tests/harness.h>
#include <tests/host_cpus.h>
#include <tests/irq_device.h>
#include <tests/irq_phase.h>

/* Interrupts go to these; one more vCPU is there to have APICv inhibited. */
#define NR_VCPUS 2
#define NR_LINES 4
#define FIRST_GSI (GSI_ROUTING_FIRST_MSI + 40)
/* From one quiet point to the next. */
#define QUIET_STEPS 16
/* Steps that a failure report shows. */
#define NR_LAST 8

static u64 duration_ms = 3000;
static u64 replay_steps;

/* Where a line leads. */
enum lead {
	LEADS_NOWHERE,		/* no route */
	LEADS_ASTRAY,		/* to a vCPU that does not exist */
	LEADS_TO_VCPU,
	LEADS_TO_ALL,		/* a multicast */
	NR_LEADS,
};

/* What goes on around a signal. */
enum event {
	EVENT_NONE,
	EVENT_STEER,
	EVENT_MIGRATE,
	EVENT_PAUSE,
	EVENT_INHIBIT,
	EVENT_REWRITE,
	NR_EVENTS,
};

static const char *const lead_names[] = { "nowhere", "astray", "to one vCPU", "to all vCPUs" };
static const char *const event_names[] = {
	"nothing", "steer irq", "migrate vCPU", "pause vCPU", "inhibit or release APICv",
	"write the same routes",
};

/**
 * struct step - All that is done in one step.
 * @line: whose turn it is
 * @lead: if @reroute, where it leads from now on
 * @unassigned: its irqfd is away while it is signalled
 * @new_vm: begins with another VM
 * @trigger: who signals
 * @before: an event before the signal
 * @meanwhile: another while it is on its way
 */
struct step {
	u32 line, vcpu, cpu;
	u8 vector;
	enum lead lead;
	bool reroute, unassigned, new_vm, halt;
	enum irq_trigger trigger;
	enum event before, meanwhile;
};

struct soak {
	struct device_irqs *irqs;
	enum lead leads[NR_LINES];
	bool inhibited;
	u32 seed;
};

static u32 draw(unsigned short state[3], u32 choices)
{
	return nrand48(state) % choices;
}

/*
 * Before 6.16 KVM leaves the entry posted whose route leads nowhere, even when its VM is gone, and
 * loses what is routed as AVIC is inhibited: other tests tell, here it would hide everything else.
 */
static bool kernel_is_known_to_err(void)
{
	return !delivery_kernel_says() && delivery_expected() == DELIVERY_POSTED;
}

static enum event draw_event(unsigned short state[3])
{
	enum event event = draw(state, 2) ? draw(state, NR_EVENTS) : EVENT_NONE;

	return event == EVENT_INHIBIT && kernel_is_known_to_err() ? EVENT_PAUSE : event;
}

static enum lead draw_lead(unsigned short state[3])
{
	enum lead lead = draw(state, 4) ? LEADS_TO_VCPU : draw(state, NR_LEADS);

	return lead < LEADS_TO_VCPU && kernel_is_known_to_err() ? LEADS_TO_ALL : lead;
}

static struct step step_of(u32 seed, u64 number, u32 nr_lines)
{
	/* Only the low word reaches all bits of what comes out. */
	unsigned short state[3] = { number, seed ^ number >> 16, seed >> 16 };
	struct step step;

	for (int i = 0; i < 4; i++)
		nrand48(state);
	step.line = draw(state, nr_lines);
	step.vcpu = draw(state, NR_VCPUS);
	step.cpu = draw(state, UINT16_MAX);
	step.vector = 0x30 + 0x20 * step.line + draw(state, 0x20);
	step.lead = draw_lead(state);
	step.reroute = !draw(state, 3);
	step.unassigned = !draw(state, 12);
	step.new_vm = !draw(state, 60);
	step.halt = draw(state, 2);
	step.trigger = draw(state, IRQ_TRIGGER_EVENTFD + 1);
	step.before = draw_event(state);
	step.meanwhile = draw_event(state);
	return step;
}

static void describe(u32 seed, u64 number, u32 nr_lines)
{
	struct step step = step_of(seed, number, nr_lines);

	test_report("step %llu: %sline %u%s%s, vCPU %u, vector %#x; %s; %s signals%s; then %s",
		    (unsigned long long)number, step.new_vm ? "new VM; " : "", step.line,
		    step.reroute ? " leads " : "", step.reroute ? lead_names[step.lead] : "",
		    step.vcpu, step.vector, event_names[step.before],
		    step.trigger == IRQ_TRIGGER_DEVICE ? "device" :
		    step.trigger == IRQ_TRIGGER_LOOPBACK ? "loopback" : "eventfd",
		    step.unassigned ? " without irqfd" : "", event_names[step.meanwhile]);
}

static void make_vm(struct soak *soak, bool halt)
{
	struct irq_vm_config config = {
		.nr_vcpus = NR_VCPUS + 1,
		.wait = halt ? IRQ_COUNTER_HALT : IRQ_COUNTER_SPIN,
	};

	device_irqs_disconnect(soak->irqs);
	device_irqs_connect(soak->irqs, &config, NR_LINES, FIRST_GSI);
	memset(soak->leads, LEADS_NOWHERE, sizeof(soak->leads));
	soak->inhibited = false;
}

static void reroute(struct soak *soak, const struct step *step)
{
	struct irq_line *line = &soak->irqs->irqs[step->line].line;

	irq_phase_wait_idle(soak->irqs);
	switch (step->lead) {
	case LEADS_NOWHERE:
		irq_line_unroute(line);
		break;
	case LEADS_ASTRAY:
		irq_line_route_message(line, msi_message_fixed(NR_VCPUS + 100, step->vector));
		break;
	case LEADS_TO_ALL:
		irq_line_route(line, step->vcpu, step->vector);
		irq_line_route_message(line, msi_message_logical((1 << NR_VCPUS) - 1,
								 step->vector));
		break;
	default:
		irq_line_route(line, step->vcpu, step->vector);
		break;
	}
	soak->leads[step->line] = step->lead;
}

static void happen(struct soak *soak, enum event event, const struct step *step)
{
	struct irq_vm *vm = soak->irqs->vm;

	switch (event) {
	case EVENT_STEER:
		host_cpus_steer_irq(soak->irqs->irqs[step->line].probe.host_irq,
				    host_cpus_nth(step->cpu));
		break;
	case EVENT_MIGRATE:
		irq_vm_run_on(vm, step->vcpu, host_cpus_nth(step->cpu));
		break;
	case EVENT_PAUSE:
		irq_vm_pause(vm, step->vcpu);
		irq_vm_resume(vm, step->vcpu);
		break;
	case EVENT_INHIBIT:
		soak->inhibited = !soak->inhibited;
		irq_vm_block_irqs(vm, NR_VCPUS, soak->inhibited);
		break;
	case EVENT_REWRITE:
		gsi_routing_commit(&vm->routing);
		break;
	default:
		break;
	}
}

static void signal_line(struct soak *soak, struct device_irq *irq, enum irq_trigger trigger)
{
	switch (trigger) {
	case IRQ_TRIGGER_DEVICE:
		vfio_pci_driver_send_msi_vector(soak->irqs->device, irq->device_vector);
		break;
	case IRQ_TRIGGER_LOOPBACK:
		vfio_pci_irq_trigger(soak->irqs->device, irq->probe.index, irq->device_vector);
		break;
	case IRQ_TRIGGER_EVENTFD:
		VFIO_ASSERT_EQ(eventfd_write(irq->line.eventfd, 1), 0);
		break;
	}
}

static void expect(struct soak *soak, const struct step *step)
{
	const struct irq_line *line = &soak->irqs->irqs[step->line].line;

	if (soak->leads[step->line] == LEADS_TO_VCPU)
		irq_line_expect(line, &soak->irqs->expectation);
	else if (soak->leads[step->line] == LEADS_TO_ALL) {
		for (u32 vcpu = 0; vcpu < NR_VCPUS; vcpu++)
			soak->irqs->expectation.irqs[vcpu][line->vector]++;
	}
}

/* What reaches no vCPU is waited for where it ends: two at once in the host's APIC are one. */
static u32 signal_in_vain(struct soak *soak, const struct step *step, bool unassigned)
{
	struct device_irq *irq = &soak->irqs->irqs[step->line];
	u64 before = delivery_probe_host_irqs(&irq->probe);

	signal_line(soak, irq, step->trigger);
	happen(soak, step->meanwhile, step);
	if (unassigned)
		return vfio_pci_irq_take(soak->irqs->device, irq->probe.index,
					 irq->device_vector, IRQ_MS) != 1;
	/* A host that cannot post has nowhere else to leave it; see delivery_classify(). */
	return step->trigger == IRQ_TRIGGER_DEVICE &&
	       !wait_for(delivery_probe_host_irqs(&irq->probe) == before + 1, IRQ_MS) &&
	       delivery_expected() == DELIVERY_POSTED;
}

/*
 * What cannot be injected at once KVM leaves to a work queue, which looks the route up later: after
 * the next change of route, if nobody waits. Deassigning does.
 */
static void flush(const struct irq_line *line)
{
	irqfd_deassign(line->vm->kvm, line->gsi, line->eventfd);
	irqfd_assign(line->vm->kvm, line->gsi, line->eventfd);
}

/* Return: mistakes seen. */
static u32 do_step(struct soak *soak, u64 number)
{
	struct step step = step_of(soak->seed, number, soak->irqs->nr_irqs);
	struct irq_line *line;
	u32 mistakes;

	if (step.new_vm)
		make_vm(soak, step.halt);
	line = &soak->irqs->irqs[step.line].line;
	if (step.reroute)
		reroute(soak, &step);
	happen(soak, step.before, &step);

	if (step.unassigned) {
		irqfd_deassign(soak->irqs->vm->kvm, line->gsi, line->eventfd);
		mistakes = signal_in_vain(soak, &step, true);
		irqfd_assign(soak->irqs->vm->kvm, line->gsi, line->eventfd);
		return mistakes;
	}
	if (soak->leads[step.line] < LEADS_TO_VCPU) {
		mistakes = signal_in_vain(soak, &step, false);
		flush(line);
		return mistakes;
	}

	expect(soak, &step);
	signal_line(soak, &soak->irqs->irqs[step.line], step.trigger);
	happen(soak, step.meanwhile, &step);
	return irq_expectation_wait(&soak->irqs->expectation, IRQ_MS);
}

/* Nothing is on its way. Return: mistakes seen. */
static u32 quiet_point(struct soak *soak)
{
	static const struct irq_phase phase = { .name = "at a quiet point" };
	static const struct step inhibit;

	if (irq_expectation_settle(&soak->irqs->expectation))
		return 1;
	if (soak->inhibited)
		happen(soak, EVENT_INHIBIT, &inhibit);
	irq_line_route(&soak->irqs->irqs[0].line, 0, 0x2f);
	soak->leads[0] = LEADS_TO_VCPU;
	/* The first may come while the release of APICv is still under way. */
	device_irqs_send(soak->irqs, &soak->irqs->irqs[0]);
	return irq_expectation_wait(&soak->irqs->expectation, IRQ_MS) ?:
	       irq_phase_send_some(soak->irqs, &phase, 2);
}

/* Does the first @limit steps, or until the time is up. Return: how many until one failed, or 0. */
static u64 run_steps(struct soak *soak, u64 limit, struct deadline *deadline)
{
	make_vm(soak, false);
	for (u64 number = 0; number < limit; number++) {
		if (do_step(soak, number))
			return number + 1;
		if (number % QUIET_STEPS == QUIET_STEPS - 1 || number == limit - 1) {
			if (quiet_point(soak))
				return number + 1;
			if (deadline && deadline_expired(deadline)) {
				test_report("%llu steps", (unsigned long long)number + 1);
				return 0;
			}
		}
	}
	return 0;
}

static void report_failure(struct soak *soak, u64 failed)
{
	for (u64 i = failed > NR_LAST ? failed - NR_LAST : 0; i < failed; i++)
		describe(soak->seed, i, soak->irqs->nr_irqs);
	test_report("step %llu went wrong; --seed %u --replay %llu does these again",
		    (unsigned long long)failed - 1, soak->seed, (unsigned long long)failed);
}

/* Looks for the shortest beginning of @steps steps that fails. Return: its length, 0 if none. */
static u64 shorten(struct soak *soak, u64 steps)
{
	u64 good = 0, bad = run_steps(soak, steps, NULL);

	while (bad && good + 1 < bad) {
		u64 middle = good + (bad - good) / 2, failed = run_steps(soak, middle, NULL);

		test_report("the first %llu: %s", (unsigned long long)middle,
			    failed ? "wrong" : "right");
		if (failed)
			bad = failed;
		else
			good = middle;
	}
	return bad;
}

FIXTURE(soak) {
	struct irq_device device;
	struct device_irqs irqs;
};

FIXTURE_SETUP(soak)
{
	SKIP_IF_MISSING(irq_device_open(&self->device, test_iommu_mode()));
	self->irqs.device = self->device.device;
}

FIXTURE_TEARDOWN(soak)
{
	device_irqs_disconnect(&self->irqs);
	irq_device_close(&self->device);
}

/* Its bound is --duration, or how often --replay tries. */
TEST_F_TIMEOUT(soak, every_interrupt_is_counted_once_whatever_happens, 30 * 24 * 3600)
{
	/* The one time that is as long as it was said to be, whatever --timeout says. */
	struct deadline deadline = deadline_after_ms(duration_ms * 100 /
						     test_options.timeout_percent);
	struct soak soak = { .irqs = &self->irqs, .seed = test_options.seed };
	u64 failed;

	failed = replay_steps ? shorten(&soak, replay_steps) :
				run_steps(&soak, UINT64_MAX, &deadline);
	if (failed)
		report_failure(&soak, failed);
	EXPECT_EQ(0, failed);
}

static int take_option(const char *option, const char *value)
{
	if (!value)
		return 0;
	if (!strcmp(option, "--duration"))
		duration_ms = 1000 * test_program_number(option, value, 1, 30 * 24 * 3600);
	else if (!strcmp(option, "--replay"))
		replay_steps = test_program_number(option, value, 1, UINT32_MAX);
	else
		return 0;
	return 2;
}

static const struct test_program_options options = {
	.take = take_option,
	.help = "  --duration SECONDS   how long, 3 by default\n"
		"  --replay STEPS       with --seed: the first STEPS again, and the fewest that fail\n",
};

TEST_PROGRAM_WITH_OPTIONS(NEEDS_KVM | NEEDS_DEVICE, &options,
			  "interrupts are counted once whatever happens around them, in any order")
