// SPDX-License-Identifier: GPL-2.0-only
/* PCI addresses are read as sysfs writes them, and nothing else passes for one. */
#include <libvfio/pci_bdf.h>
#include <tests/harness.h>

TEST(a_full_address_is_kept)
{
	char bdf[PCI_BDF_SIZE];

	ASSERT_EQ(0, pci_bdf_parse("0000:6a:01.0", bdf));
	EXPECT_STREQ("0000:6a:01.0", bdf);
	ASSERT_EQ(0, pci_bdf_parse("10000:e1:00.7", bdf));
	EXPECT_STREQ("10000:e1:00.7", bdf);
}

TEST(a_short_address_gets_segment_zero)
{
	char bdf[PCI_BDF_SIZE];

	ASSERT_EQ(0, pci_bdf_parse("6a:1f.3", bdf));
	EXPECT_STREQ("0000:6a:1f.3", bdf);
}

TEST(capital_digits_become_small)
{
	char bdf[PCI_BDF_SIZE];

	ASSERT_EQ(0, pci_bdf_parse("0000:6A:1F.0", bdf));
	EXPECT_STREQ("0000:6a:1f.0", bdf);
}

TEST(anything_else_is_refused)
{
	static const char *const texts[] = {
		"", "0000", "6a", "6a:01", "6a:01.", "6a:01.8", "6a:20.0", "6a:01.0x", "6a:01.00",
		" 6a:01.0", "6a:01.0 ", "-6a:01.0", "0x6a:01.0", "0000:6a:01.0:0", "eth0",
		"123456789:6a:01.0", "../6a:01.0", "6a:+1.0",
	};
	char bdf[PCI_BDF_SIZE];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		EXPECT_EQ(-EINVAL, pci_bdf_parse(texts[i], bdf))
			TH_LOG("'%s' passed", texts[i]);
	}
}

TEST_PROGRAM(NEEDS_NOTHING, "PCI addresses are read as sysfs writes them")
