// SPDX-License-Identifier: GPL-2.0-only
/*
 * No interrupt is called posted without proof, a missing one is looked for at the right step, and
 * no MSI is addressed to the wrong APIC.
 */
#include <host/delivery_path.h>
#include <host/irq_diagnosis.h>
#include <host/msi_message.h>
#include <tests/harness.h>

TEST(as_many_host_interrupts_as_sent_means_remapped)
{
	EXPECT_EQ(DELIVERY_REMAPPED, delivery_classify(100, 100, false));
	EXPECT_EQ(DELIVERY_REMAPPED, delivery_classify(100, 100, true));
}

TEST(no_host_interrupt_means_posted_where_that_is_possible)
{
	EXPECT_EQ(DELIVERY_POSTED, delivery_classify(100, 0, true));
	EXPECT_EQ(DELIVERY_IMPOSSIBLE, delivery_classify(100, 0, false));
}

TEST(some_host_interrupts_mean_mixed_where_posting_is_possible)
{
	EXPECT_EQ(DELIVERY_MIXED, delivery_classify(100, 1, true));
	EXPECT_EQ(DELIVERY_MIXED, delivery_classify(100, 99, true));
}

TEST(host_interrupts_that_were_not_counted_are_remapped_where_nothing_is_posted)
{
	EXPECT_EQ(DELIVERY_REMAPPED, delivery_classify(100, 99, false));
	EXPECT_EQ(DELIVERY_REMAPPED, delivery_classify(100, 1, false));
}

TEST(more_host_interrupts_than_sent_are_impossible)
{
	EXPECT_EQ(DELIVERY_IMPOSSIBLE, delivery_classify(100, 101, false));
	EXPECT_EQ(DELIVERY_IMPOSSIBLE, delivery_classify(100, 101, true));
}

TEST(nothing_sent_came_by_no_path)
{
	EXPECT_EQ(DELIVERY_IMPOSSIBLE, delivery_classify(0, 0, true));
	EXPECT_EQ(DELIVERY_IMPOSSIBLE, delivery_classify(0, 0, false));
}

TEST(vectors_that_came_by_different_paths_are_mixed)
{
	EXPECT_EQ(DELIVERY_POSTED, delivery_combine(DELIVERY_POSTED, DELIVERY_POSTED));
	EXPECT_EQ(DELIVERY_MIXED, delivery_combine(DELIVERY_POSTED, DELIVERY_REMAPPED));
	EXPECT_EQ(DELIVERY_IMPOSSIBLE, delivery_combine(DELIVERY_REMAPPED, DELIVERY_IMPOSSIBLE));
}

TEST(a_destination_id_is_split_as_kvm_wants_it)
{
	struct msi_message message = msi_message_fixed(0x12345678, 0xab);

	EXPECT_EQ(0xfee78000, (u32)message.address);
	EXPECT_EQ(0x12345600, message.address >> 32);
	EXPECT_EQ(0xab, message.data);
}

TEST(an_nmi_names_no_vector)
{
	struct msi_message message = msi_message_nmi(3);

	EXPECT_EQ(0xfee03000, message.address);
	EXPECT_EQ(0x400, message.data);
}

TEST(a_logical_destination_is_marked_as_such)
{
	struct msi_message message = msi_message_logical(0x1000b, 0x55);

	EXPECT_EQ(0xfee0b004, (u32)message.address);
	EXPECT_EQ(0x10000, message.address >> 32);
	EXPECT_EQ(0x55, message.data);
	EXPECT_EQ(0x155, msi_message_lowest_priority(1, 0x55).data);
	EXPECT_EQ(0xfee01004, msi_message_lowest_priority(1, 0x55).address);
}

TEST(a_hint_and_a_delivery_mode_change_nothing_else)
{
	EXPECT_EQ(0xfee0100c, msi_message_with_hint(msi_message_logical(1, 0x55)).address);
	EXPECT_EQ(0x55, msi_message_with_hint(msi_message_logical(1, 0x55)).data);
	EXPECT_EQ(0xfee03000, msi_message_of_mode(3, 0x500).address);
	EXPECT_EQ(0x500, msi_message_of_mode(3, 0x500).data);
}

TEST(kernel_parameters_that_rule_posting_out_are_found)
{
	EXPECT_NE(NULL, delivery_posting_forbidden("a intremap=nosid,nopost b\n"));
	EXPECT_NE(NULL, delivery_posting_forbidden("intremap=off"));
	EXPECT_NE(NULL, delivery_posting_forbidden("nointremap\n"));
	EXPECT_NE(NULL, delivery_posting_forbidden("a=b amd_iommu_intr=legacy"));
	EXPECT_NE(NULL, delivery_posting_forbidden("amd_iommu_intr=legacy_ga x"));
}

TEST(other_kernel_parameters_are_left_alone)
{
	EXPECT_EQ(NULL, delivery_posting_forbidden(""));
	EXPECT_EQ(NULL, delivery_posting_forbidden("\n"));
	EXPECT_EQ(NULL, delivery_posting_forbidden("intremap=on,posted_msi intremap=nosid\n"));
	EXPECT_EQ(NULL, delivery_posting_forbidden("amd_iommu_intr=vapic quiet off nopost"));
	EXPECT_EQ(NULL, delivery_posting_forbidden("xintremap=off intremap=offline iommu=nopost"));
}

#define EXPECT_DIAGNOSIS(_text, ...)							\
	EXPECT_STREQ(_text, irq_diagnose(&(struct irq_witness){ __VA_ARGS__ }))

TEST(a_posted_interrupt_is_followed_up_to_the_step_that_is_missing)
{
	EXPECT_DIAGNOSIS("not in the IRR: the IOMMU wrote nothing", .posted = true);
	EXPECT_DIAGNOSIS("not in the IRR: the IOMMU wrote nothing", .posted = true,
			 .blocked = true, .wakeups = 1);
	EXPECT_DIAGNOSIS("in the IRR, vCPU runs: no doorbell", .posted = true, .pending = true);
	EXPECT_DIAGNOSIS("in the IRR, vCPU blocked, GA log or PIW +0: nobody was told",
			 .posted = true, .pending = true, .blocked = true);
	EXPECT_DIAGNOSIS("in the IRR, vCPU blocked, GA log or PIW has risen: KVM did not wake it",
			 .posted = true, .pending = true, .blocked = true, .wakeups = 2);
}

TEST(a_remapped_interrupt_is_followed_up_to_the_step_that_is_missing)
{
	EXPECT_DIAGNOSIS("the host took nothing: the device raised none, or the IOMMU dropped it",
			 .posted = false);
	EXPECT_DIAGNOSIS("not in the IRR though the host took it: lost between VFIO and KVM",
			 .host_irqs = 1);
	EXPECT_DIAGNOSIS("in the IRR, vCPU runs: KVM did not inject it",
			 .host_irqs = 1, .pending = true);
	EXPECT_DIAGNOSIS("in the IRR, vCPU blocked: KVM did not wake it",
			 .host_irqs = 1, .pending = true, .blocked = true);
}

TEST(one_that_should_be_posted_but_reached_the_host_is_followed_as_remapped)
{
	EXPECT_DIAGNOSIS("not in the IRR though the host took it: lost between VFIO and KVM",
			 .posted = true, .host_irqs = 1);
}

TEST_PROGRAM(NEEDS_NOTHING, "delivery paths are told apart, MSI messages are built right")
