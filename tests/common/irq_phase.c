// SPDX-License-Identifier: GPL-2.0-only
#include <stdio.h>

#include <linux/kernel.h>

#include <libvfio/deadline.h>
#include <tests/irq_phase.h>
#include <tests/test_program.h>

/* Of the phase at hand, if it sends one by one; of a long one the first. Fewer tell nothing. */
#define LATENCIES_MIN 5
#define LATENCIES_MAX 1000
static u64 latencies[LATENCIES_MAX];
static size_t nr_latencies;

enum delivery_path irq_phase_path(const struct device_irqs *irqs, const struct irq_phase *phase)
{
	enum delivery_path path = device_irqs_path(irqs);

	return path == DELIVERY_POSTED && phase->unpostable ? DELIVERY_REMAPPED : path;
}

/* How the path was not as it should be, or what else there is to know of it. */
static void describe_path(const struct device_irqs *irqs, const struct irq_phase *phase,
			  const struct device_irqs_account *account, char *text, size_t size)
{
	const char *why = delivery_posting_missing() ?: phase->unpostable;
	enum delivery_path path = irq_phase_path(irqs, phase);

	text[0] = '\0';
	if (account->path != path)
		snprintf(text, size, "; %s, but %s was expected", why ?: "this host can post",
			 delivery_path_name(path));
	else if (account->path == DELIVERY_POSTED)
		snprintf(text, size, ", %s +%llu", delivery_wakeup_name(),
			 (unsigned long long)account->wakeups);
	else if (irqs->trigger == IRQ_TRIGGER_DEVICE)
		snprintf(text, size, "; %s", why);
}

/* From the signal to the moment at which the host sees it counted. */
static void report_latencies(const struct irq_phase *phase, enum delivery_path path)
{
	char what[128];

	snprintf(what, sizeof(what), "%s, %s", phase->name, delivery_path_name(path));
	if (nr_latencies >= LATENCIES_MIN)
		test_report_latency(what, latencies, nr_latencies);
	nr_latencies = 0;
}

/* Says by which path the interrupts since the phase began came. Return: 1 if by a wrong one. */
static u32 report_path(struct device_irqs *irqs, const struct irq_phase *phase)
{
	struct device_irqs_account account = device_irqs_account(irqs);
	const struct device_irq *first = &irqs->irqs[0];
	char last[16] = "", who[64] = "eventfd", note[160];

	describe_path(irqs, phase, &account, note, sizeof(note));
	if (irqs->trigger != IRQ_TRIGGER_EVENTFD)
		snprintf(who, sizeof(who), "%s %s%s", first->probe.bdf,
			 irqs->trigger == IRQ_TRIGGER_LOOPBACK ? "loopback " : "",
			 vfio_pci_irq_index_name(first->probe.index));
	if (account.vectors > 1)
		snprintf(last, sizeof(last), "..%u", first->device_vector + account.vectors - 1);

	test_report("%s[%u%s], %s: %llu sent and counted, %s (host irqs +%llu%s)", who,
		    first->device_vector, last, phase->name, (unsigned long long)account.sent,
		    delivery_path_name(account.path), (unsigned long long)account.host_irqs, note);
	report_latencies(phase, account.path);
	return account.path != irq_phase_path(irqs, phase);
}

u32 irq_phase_wait_counted(struct device_irqs *irqs, const struct irq_phase *phase)
{
	u32 differences = irq_expectation_wait(&irqs->expectation, IRQ_MS);
	char text[160];

	if (differences && device_irqs_diagnose(irqs, irq_phase_path(irqs, phase), text,
						sizeof(text)))
		test_report("%s: an interrupt is missing on %s", phase->name, text);
	return differences;
}

void irq_phase_wait_idle(struct device_irqs *irqs)
{
	for (u32 i = 0; i < irqs->vm->config.nr_vcpus; i++) {
		if (irqs->vm->config.wait == IRQ_COUNTER_HALT)
			VFIO_ASSERT_TRUE(irq_vm_wait_blocked(irqs->vm, i, IRQ_MS));
	}
}

u32 irq_phase_send(struct device_irqs *irqs, const struct irq_phase *phase)
{
	u64 start;
	u32 differences;

	irq_phase_wait_idle(irqs);
	device_irqs_mark(irqs);
	if (!irqs->irqs[0].sent)
		nr_latencies = 0;
	start = deadline_now_ns();
	device_irqs_send(irqs, &irqs->irqs[0]);
	differences = irq_phase_wait_counted(irqs, phase);
	if (nr_latencies < LATENCIES_MAX)
		latencies[nr_latencies++] = deadline_now_ns() - start;
	return differences;
}

u32 irq_phase_send_scheduled(struct device_irqs *irqs, const struct irq_phase *phase,
			     u32 delay_ns, u32 spacing_ns)
{
	const struct vfio_pci_msi_schedule schedule = {
		.count = irqs->nr_irqs, .delay_ns = delay_ns, .spacing_ns = spacing_ns,
		.vector = irqs->irqs[0].device_vector, .nr_vectors = irqs->nr_irqs,
	};
	u64 sent = device_irqs_witness(irqs);
	u32 mistakes;

	irq_phase_wait_idle(irqs);
	device_irqs_mark(irqs);
	for (u32 i = 0; i < irqs->nr_irqs; i++) {
		irq_line_expect(&irqs->irqs[i].line, &irqs->expectation);
		irqs->irqs[i].sent++;
	}
	vfio_pci_driver_schedule_msis(irqs->device, &schedule);
	mistakes = irq_phase_wait_counted(irqs, phase);
	sent = device_irqs_witness(irqs) - sent;
	if (mistakes || sent != irqs->nr_irqs)
		test_report("%s: %u ns apart, of %u the device says it sent %llu", phase->name,
			    spacing_ns, irqs->nr_irqs, (unsigned long long)sent);
	return mistakes + (sent != irqs->nr_irqs);
}

u32 irq_phase_conclude(struct device_irqs *irqs, const struct irq_phase *phase)
{
	return irq_expectation_settle(&irqs->expectation) + report_path(irqs, phase);
}

u32 irq_phase_send_some(struct device_irqs *irqs, const struct irq_phase *phase, u32 nr)
{
	u32 differences = 0;

	device_irqs_begin(irqs);
	for (u32 i = 0; i < nr && !differences; i++)
		differences = irq_phase_send(irqs, phase);

	return differences ?: irq_phase_conclude(irqs, phase);
}

void irq_phase_route_at_random(struct irq_line *line)
{
	irq_line_route(line, test_random(0, line->vm->config.nr_vcpus - 1),
		       test_random(IRQ_COUNTER_FIRST_VECTOR, IRQ_COUNTER_NR_VECTORS - 1));
}
