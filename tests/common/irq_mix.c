// SPDX-License-Identifier: GPL-2.0-only
#include <stddef.h>
#include <string.h>

#include <linux/kernel.h>

#include <host/kvm_compat.h>
#include <tests/host_cpus.h>
#include <tests/irq_mix.h>
#include <tests/irq_phase.h>
#include <tests/test_program.h>

/* Of one kind, before it is looked at how they came. */
#define PHASE_IRQS 16

static struct irq_mix asked = { .nr_irqs = 1000, .nr_vcpus = 1 };
static bool asked_for_any;

static const struct {
	char letter;
	size_t flag;
} switches[] = {
	{ 'a', offsetof(struct irq_mix, affine) },
	{ 'b', offsetof(struct irq_mix, block) },
	{ 'e', offsetof(struct irq_mix, empty) },
	{ 'm', offsetof(struct irq_mix, migrate) },
	{ 'n', offsetof(struct irq_mix, nmi) },
	{ 'p', offsetof(struct irq_mix, pin) },
	{ 'u', offsetof(struct irq_mix, unassign) },
	{ 'x', offsetof(struct irq_mix, xapic) },
};

const char irq_mix_help[] =
	"  -a -b -e -m -n -p -u -x, -i IRQS, -v VCPUS\n"
	"                       run only the case of the mix, as irq_test of the kernel does:\n"
	"                       -a moves the host's interrupt, -b halts the vCPUs, -e empties the\n"
	"                       route, -m moves the vCPU, -n sends half as NMI, -p pins the vCPUs,\n"
	"                       -u deassigns the irqfd, -x is xAPIC; -t takes an IOMMU mode, too\n";

static bool *flag_of(struct irq_mix *mix, size_t i)
{
	return (bool *)((char *)mix + switches[i].flag);
}

/* Whether the argument consists of nothing but switches, as in -abm; sets them. */
static bool take_switches(const char *letters)
{
	struct irq_mix taken = asked;

	for (const char *letter = letters; *letter; letter++) {
		size_t i = 0;

		while (i < ARRAY_SIZE(switches) && switches[i].letter != *letter)
			i++;
		if (i == ARRAY_SIZE(switches))
			return false;
		*flag_of(&taken, i) = true;
	}
	asked = taken;
	return *letters;
}

int irq_mix_take_option(const char *option, const char *value)
{
	int taken = 0;

	if (*option != '-')
		return 0;
	if (!strcmp(option, "-t") && value && iommu_mode_lookup(value)) {
		test_options.iommu_mode = value;
		return 2;
	}
	if (!strcmp(option, "-i") && value) {
		asked.nr_irqs = test_program_number(option, value, 1, UINT32_MAX);
		taken = 2;
	} else if (!strcmp(option, "-v") && value && strspn(value, "0123456789") == strlen(value)) {
		/* Of the harness's variants none is a number. */
		asked.nr_vcpus = test_program_number(option, value, 1, 255);
		taken = 2;
	} else if (take_switches(option + 1)) {
		taken = 1;
	}
	asked_for_any |= taken;
	return taken;
}

bool irq_mix_asked_for(void)
{
	return asked_for_any;
}

struct irq_mix irq_mix_choose(void)
{
	struct irq_mix any = { .nr_irqs = 2 * PHASE_IRQS, .nr_vcpus = test_random(1, 3) };

	if (asked_for_any)
		return asked;
	for (size_t i = 0; i < ARRAY_SIZE(switches); i++)
		*flag_of(&any, i) = test_random(0, 1);
	return any;
}

struct irq_vm_config irq_mix_config(const struct irq_mix *mix)
{
	return (struct irq_vm_config) {
		.nr_vcpus = mix->nr_vcpus,
		.xapic = mix->xapic,
		.wait = mix->block ? IRQ_COUNTER_HALT : IRQ_COUNTER_SPIN,
	};
}

/* What comes before one of them: routes the line to a vCPU of its own choice. */
static void prepare(struct device_irqs *irqs, const struct irq_mix *mix, bool nmi, bool odd)
{
	struct irq_line *line = &irqs->irqs[0].line;
	u32 vcpu = test_random(0, mix->nr_vcpus - 1);

	if (mix->affine && irqs->trigger == IRQ_TRIGGER_DEVICE)
		host_cpus_steer_irq(irqs->irqs[0].probe.host_irq, host_cpus_random());
	if (mix->migrate)
		irq_vm_run_on(irqs->vm, vcpu, host_cpus_random());
	if (mix->empty && odd)
		irq_line_unroute(line);
	if (mix->unassign && odd) {
		irqfd_deassign(irqs->vm->kvm, line->gsi, line->eventfd);
		irqfd_assign(irqs->vm->kvm, line->gsi, line->eventfd);
	}
	irq_line_route(line, vcpu, nmi ? IRQ_COUNTER_NMI_VECTOR :
		       test_random(IRQ_COUNTER_FIRST_VECTOR, IRQ_COUNTER_NR_VECTORS - 1));
}

static void report(const struct irq_mix *mix)
{
	char letters[ARRAY_SIZE(switches) + 1] = "", *end = letters;

	for (size_t i = 0; i < ARRAY_SIZE(switches); i++) {
		if (*flag_of((struct irq_mix *)mix, i))
			*end++ = switches[i].letter;
	}
	*end = '\0';
	test_report("the mix: -i %u -v %u%s%s", mix->nr_irqs, mix->nr_vcpus, *letters ? " -" : "",
		    letters);
}

u32 irq_mix_send(struct device_irqs *irqs, const struct irq_mix *mix)
{
	static const struct irq_phase fixed = { .name = "fixed, in the mix" },
				      nmis = { "as NMI, in the mix", "an NMI cannot be posted" };
	u32 differences = 0;

	report(mix);
	for (u32 vcpu = 0; mix->pin && vcpu < mix->nr_vcpus; vcpu++)
		irq_vm_run_on(irqs->vm, vcpu, host_cpus_random());

	for (u32 sent = 0; sent < mix->nr_irqs && !differences; ) {
		bool nmi = mix->nmi && sent / PHASE_IRQS % 2;
		const struct irq_phase *phase = nmi ? &nmis : &fixed;

		device_irqs_begin(irqs);
		do {
			prepare(irqs, mix, nmi, sent % 2);
			differences = irq_phase_send(irqs, phase);
			sent++;
		} while (sent % PHASE_IRQS && sent < mix->nr_irqs && !differences);
		differences = differences ?: irq_phase_conclude(irqs, phase);
	}
	return differences;
}
