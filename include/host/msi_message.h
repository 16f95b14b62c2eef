/* SPDX-License-Identifier: GPL-2.0-only */
/* What makes an interrupt reach one APIC as one vector. Pure: needs no VM. */
#ifndef HOST_MSI_MESSAGE_H
#define HOST_MSI_MESSAGE_H

#include <linux/types.h>

/**
 * struct msi_message - What a device writes to raise an interrupt, as KVM's routes hold it.
 * @address: bits 19:12 destination id 7:0, bits 63:40 destination id 31:8
 *	(KVM_X2APIC_API_USE_32BIT_IDS, Documentation/virt/kvm/api.rst), 3 RH, 2 DM
 * @data: bits 7:0 vector, 10:8 delivery mode (SDM 3A, 11.11.2)
 */
struct msi_message {
	u64 address;
	u32 data;
};

/**
 * msi_message_fixed() - An edge-triggered, fixed, physical message to one APIC.
 * @apic_id: 32-bit destination
 * @vector: guest vector
 */
struct msi_message msi_message_fixed(u32 apic_id, u8 vector);

/**
 * msi_message_logical() - A fixed message to a set of vCPUs.
 * @destinations: in x2APIC mode bits 31:16 cluster, 15:0 one for each member (SDM 3A, 11.12.10);
 *	in xAPIC mode 8 bits that are compared with the LDR, as the DFR says (11.6.2.2)
 * @vector: guest vector
 */
struct msi_message msi_message_logical(u32 destinations, u8 vector);

/**
 * msi_message_lowest_priority() - The same with lowest priority delivery: to one of the set.
 * @destinations: as msi_message_logical()
 * @vector: guest vector
 */
struct msi_message msi_message_lowest_priority(u32 destinations, u8 vector);

/** msi_message_with_hint() - @message with RH=1: a logical one is to reach one of its set. */
struct msi_message msi_message_with_hint(struct msi_message message);

/**
 * msi_message_of_mode() - A message without a vector.
 * @apic_id: 32-bit destination
 * @delivery_mode: APIC_DM_SMI, _NMI, _INIT or _EXTINT of <apic.h>
 */
struct msi_message msi_message_of_mode(u32 apic_id, u32 delivery_mode);

/**
 * msi_message_nmi() - A message that raises an NMI at one APIC.
 * @apic_id: 32-bit destination
 */
struct msi_message msi_message_nmi(u32 apic_id);

#endif /* HOST_MSI_MESSAGE_H */
