// SPDX-License-Identifier: GPL-2.0-only
#include <apic.h>
#include <host/msi_message.h>

/* Bits 2 and 3 of the address, DM and RH (SDM 3A, 11.11.1). */
#define MSI_ADDRESS_LOGICAL (1U << 2)
#define MSI_ADDRESS_REDIRECTION_HINT (1U << 3)

struct msi_message msi_message_fixed(u32 apic_id, u8 vector)
{
	return (struct msi_message){
		.address = APIC_DEFAULT_GPA | (apic_id & 0xff) << 12 |
			   (u64)(apic_id & ~0xffU) << 32,
		.data = APIC_DM_FIXED | vector,
	};
}

struct msi_message msi_message_logical(u32 destinations, u8 vector)
{
	struct msi_message message = msi_message_fixed(destinations, vector);

	message.address |= MSI_ADDRESS_LOGICAL;
	return message;
}

struct msi_message msi_message_lowest_priority(u32 destinations, u8 vector)
{
	struct msi_message message = msi_message_logical(destinations, vector);

	message.data |= APIC_DM_LOWEST;
	return message;
}

struct msi_message msi_message_with_hint(struct msi_message message)
{
	message.address |= MSI_ADDRESS_REDIRECTION_HINT;
	return message;
}

struct msi_message msi_message_of_mode(u32 apic_id, u32 delivery_mode)
{
	struct msi_message message = msi_message_fixed(apic_id, 0);

	message.data = delivery_mode;
	return message;
}

struct msi_message msi_message_nmi(u32 apic_id)
{
	return msi_message_of_mode(apic_id, APIC_DM_NMI);
}
