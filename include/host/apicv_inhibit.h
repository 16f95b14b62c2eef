/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What makes KVM do without APICv or AVIC for a whole VM, and use it again. Of Intel's some have no
 * effect; a VM that has neither goes through the same motions.
 */
#ifndef HOST_APICV_INHIBIT_H
#define HOST_APICV_INHIBIT_H

#include <host/irq_vm.h>

/* All but the PIT, which has no vCPU, act on the last vCPU, which takes no interrupt meanwhile. */
enum apicv_inhibit {
	APICV_INHIBIT_BLOCKIRQ,	/* KVM_GUESTDBG_BLOCKIRQ */
	APICV_INHIBIT_PIT,	/* a PIT that reinjects what was lost; AMD only */
	APICV_INHIBIT_AUTO_EOI,	/* a SynIC interrupt of Hyper-V with AutoEOI */
	APICV_INHIBIT_APIC_ID,	/* an xAPIC id that is not the vCPU's own, written by the guest */
	NR_APICV_INHIBITS,
};

/** apicv_inhibit_name() - For reports. */
const char *apicv_inhibit_name(enum apicv_inhibit cause);

/**
 * apicv_inhibit_missing() - Why a VM cannot have this cause.
 *
 * Return: NULL if it can, otherwise a sentence.
 */
const char *apicv_inhibit_missing(const struct irq_vm *vm, enum apicv_inhibit cause);

/**
 * apicv_inhibit_set() - Begin or end to inhibit APICv by one cause; others go on as they are.
 * @vm: the VM; a vCPU of it that runs notices at once, one that sleeps when it enters the guest
 * @cause: that is not missing
 * @inhibit: may be what it is already
 */
void apicv_inhibit_set(struct irq_vm *vm, enum apicv_inhibit cause, bool inhibit);

#endif /* HOST_APICV_INHIBIT_H */
