/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Raising an interrupt of the host as the kernel itself does after it was moved, by
 * /sys/kernel/debug/irq/irqs/N. The device and the IOMMU have no part in it.
 */
#ifndef HOST_IRQ_RETRIGGER_H
#define HOST_IRQ_RETRIGGER_H

/**
 * irq_retrigger_missing() - Why interrupts of the host cannot be raised by software.
 * @irq: the Linux irq number
 *
 * Return: NULL if they can, otherwise a sentence.
 */
const char *irq_retrigger_missing(unsigned int irq);

/** irq_retrigger() - Raise the interrupt @irq of the host once. */
void irq_retrigger(unsigned int irq);

#endif /* HOST_IRQ_RETRIGGER_H */
