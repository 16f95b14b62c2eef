// SPDX-License-Identifier: GPL-2.0-only
/* No interrupt is called posted without proof, and no MSI is addressed to the wrong APIC. */
#include <host/delivery_path.h>
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
	EXPECT_EQ(DELIVERY_IMPOSSIBLE, delivery_classify(100, 99, false));
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

TEST_PROGRAM(NEEDS_NOTHING, "delivery paths are told apart, MSI messages are built right")
