/* SPDX-License-Identifier: GPL-2.0-only */
/* Which step of its way an interrupt did not get past. Pure: needs no VM. */
#ifndef HOST_IRQ_DIAGNOSIS_H
#define HOST_IRQ_DIAGNOSIS_H

#include <stdbool.h>

#include <linux/types.h>

/**
 * struct irq_witness - What the host can see of interrupts that the guest has not counted.
 * @posted: they should have been posted
 * @host_irqs: interrupts the host took on the device's vector since they were sent
 * @wakeups: delivery_wakeups() since they were sent
 * @pending: the vector is set in the IRR of the vCPU
 * @blocked: the vCPU sleeps in KVM
 */
struct irq_witness {
	bool posted;
	u64 host_irqs;
	u64 wakeups;
	bool pending;
	bool blocked;
};

/**
 * irq_diagnose() - Say which step is missing.
 *
 * Return: a sentence without an end, e.g. "not in the IRR: the IOMMU wrote nothing".
 */
const char *irq_diagnose(const struct irq_witness *witness);

#endif /* HOST_IRQ_DIAGNOSIS_H */
