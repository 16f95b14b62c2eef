/* SPDX-License-Identifier: GPL-2.0-only */
/* Phases of a test of interrupts: what is sent is counted, and how it came is said. */
#ifndef TESTS_IRQ_PHASE_H
#define TESTS_IRQ_PHASE_H

#include <host/device_irqs.h>

/* How long an interrupt may take, in milliseconds. */
#define IRQ_MS 2000

/**
 * struct irq_phase - Interrupts that share what is to be said of their path.
 * @name: in which state the guest takes them, e.g.
 * @unpostable: why they cannot be posted even where the host can, NULL if they can
 */
struct irq_phase {
	const char *name;
	const char *unpostable;
};

/** irq_phase_path() - By which path the interrupts of a phase have to come. */
enum delivery_path irq_phase_path(const struct device_irqs *irqs, const struct irq_phase *phase);

/** irq_phase_wait_idle() - Wait until all vCPUs sleep in KVM, if they are of those that halt. */
void irq_phase_wait_idle(struct device_irqs *irqs);

/**
 * irq_phase_wait_counted() - Wait for what was sent since device_irqs_mark().
 *
 * Return: mistakes seen; of a missing interrupt the report says which step is missing.
 */
u32 irq_phase_wait_counted(struct device_irqs *irqs, const struct irq_phase *phase);

/** irq_phase_send() - Signal once on the first line, and wait for it. Return: mistakes seen. */
u32 irq_phase_send(struct device_irqs *irqs, const struct irq_phase *phase);

/**
 * irq_phase_send_scheduled() - Have the device send once on each vector, by itself; wait for all.
 * @irqs: of a device whose driver has schedule_msis() and msis_sent()
 * @phase: what they belong to
 * @delay_ns: from now to the first, in nanoseconds of the device's clock
 * @spacing_ns: from each to the next
 *
 * Return: mistakes seen; also 1 if the device says that it sent another number.
 */
u32 irq_phase_send_scheduled(struct device_irqs *irqs, const struct irq_phase *phase,
			     u32 delay_ns, u32 spacing_ns);

/**
 * irq_phase_conclude() - End a phase that began with device_irqs_begin(), all of it counted.
 *
 * Return: mistakes seen: surplus interrupts, and 1 if any came by another path than it should.
 */
u32 irq_phase_conclude(struct device_irqs *irqs, const struct irq_phase *phase);

/** irq_phase_send_some() - A phase of @nr signals on the first line. Return: mistakes seen. */
u32 irq_phase_send_some(struct device_irqs *irqs, const struct irq_phase *phase, u32 nr);

/** irq_phase_route_at_random() - Route a line to any vCPU and vector. */
void irq_phase_route_at_random(struct irq_line *line);

#endif /* TESTS_IRQ_PHASE_H */
