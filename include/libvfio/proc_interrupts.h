/* SPDX-License-Identifier: GPL-2.0-only */
/* What the host counts in /proc/interrupts: the witness for how an interrupt was delivered. */
#ifndef LIBVFIO_PROC_INTERRUPTS_H
#define LIBVFIO_PROC_INTERRUPTS_H

#include <stdio.h>

#include <linux/types.h>

/**
 * struct proc_interrupt - One line of /proc/interrupts.
 * @irq: the Linux irq number
 * @count: interrupts since it was requested, summed over all CPUs
 */
struct proc_interrupt {
	unsigned int irq;
	u64 count;
};

/**
 * proc_interrupts_find() - Find the line of one action name.
 * @stream: text in the form of /proc/interrupts
 * @action: the name as vfio-pci registers it, e.g. "vfio-msix[0](0000:01:00.0)"
 * @found: receives the line
 *
 * Return: 0, -ENOENT if no line has that action, or -EINVAL if @stream has another form.
 */
int proc_interrupts_find(FILE *stream, const char *action, struct proc_interrupt *found);

/**
 * proc_interrupts_sum() - Add up all lines of a kind.
 * @stream: text in the form of /proc/interrupts
 * @pattern: of fnmatch(3), for the label of a line ("PIW") or its last word ("AMD-Vi*-GA")
 * @sum: receives the counts of all CPUs and lines
 *
 * Return: 0, -ENOENT if there is no such line, or -EINVAL if @stream has another form.
 */
int proc_interrupts_sum(FILE *stream, const char *pattern, u64 *sum);

/**
 * irq_count() - The count of one line of /proc/interrupts, without the others.
 * @irq: the Linux irq number
 * @count: receives the count of all CPUs
 *
 * From /sys/kernel/irq/, which is much quicker: every line of /proc/interrupts takes its time.
 *
 * Return: 0, -ENOENT if nobody has that irq, or -errno.
 */
int irq_count(unsigned int irq, u64 *count);

/**
 * vfio_pci_host_irq() - The host's line of a vector of a VFIO device.
 * @bdf: segment:bus:device.function
 * @index: VFIO_PCI_{INTX,MSI,MSIX}_IRQ_INDEX
 * @vector: vector of @index
 * @found: receives the line
 *
 * Return: 0, -ENOENT if the vector is not enabled, or -errno of opening /proc/interrupts.
 */
int vfio_pci_host_irq(const char *bdf, u32 index, u32 vector, struct proc_interrupt *found);

#endif /* LIBVFIO_PROC_INTERRUPTS_H */
