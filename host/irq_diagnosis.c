// SPDX-License-Identifier: GPL-2.0-only
#include <host/irq_diagnosis.h>

/* The steps of a remapped interrupt: host vector, eventfd, irqfd, IRR, vCPU. */
static const char *diagnose_remapped(const struct irq_witness *witness)
{
	if (witness->pending)
		return witness->blocked ? "in the IRR, vCPU blocked: KVM did not wake it" :
					  "in the IRR, vCPU runs: KVM did not inject it";
	if (witness->host_irqs)
		return "not in the IRR though the host took it: lost between VFIO and KVM";
	return "the host took nothing: the device raised none, or the IOMMU dropped it";
}

/* The steps of a posted interrupt: IRR, then doorbell or GA log, and wakeup. */
const char *irq_diagnose(const struct irq_witness *witness)
{
	if (!witness->posted || witness->host_irqs)
		return diagnose_remapped(witness);
	if (!witness->pending)
		return "not in the IRR: the IOMMU wrote nothing";
	if (!witness->blocked)
		return "in the IRR, vCPU runs: no doorbell";
	if (!witness->wakeups)
		return "in the IRR, vCPU blocked, GA log or PIW +0: nobody was told";
	return "in the IRR, vCPU blocked, GA log or PIW has risen: KVM did not wake it";
}
