/*
 * AMD Advanced Virtual Interrupt Controller: what the IOMMU needs of it
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */

#ifndef HW_I386_AVIC_H
#define HW_I386_AVIC_H

#include "exec/hwaddr.h"

/**
 * x86_avic_post: set a vector in the IRR of a vAPIC backing page
 * @page: physical address of the backing page
 * @vector: the interrupt vector
 *
 * This is a full memory barrier: the caller may look next whether the virtual
 * processor is running.  Only with TCG.
 *
 * Returns: false if @page is not a page of RAM
 */
bool x86_avic_post(hwaddr page, uint8_t vector);

/**
 * x86_avic_doorbell: tell a CPU to look at the IRR of its virtual processor
 * @apic_id: physical APIC ID; nothing happens if there is no such CPU
 *
 * A CPU that is not in guest mode ignores the signal: VMRUN looks at the IRR
 * anyway.  Takes the BQL if the caller does not hold it.  Only with TCG.
 */
void x86_avic_doorbell(uint32_t apic_id);

#endif
