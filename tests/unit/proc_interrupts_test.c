// SPDX-License-Identifier: GPL-2.0-only
/* /proc/interrupts is read right, for it is the witness of how an interrupt was delivered. */
#include <libvfio/proc_interrupts.h>
#include <tests/harness.h>

static const char text[] =
	"           CPU0       CPU1       CPU3       \n"
	"  0:         13          0          0  IR-IO-APIC    2-edge      timer\n"
	"  9:          1          2          3  IR-IO-APIC    9-fasteoi   acpi, vfio-intx(0000:00:09.0)\n"
	" 31:          5          0       4094  IR-PCI-MSIX-0000:01:00.0    0-edge      vfio-msix[0](0000:01:00.0)\n"
	" 32:          0          7          0  IR-PCI-MSIX-0000:01:00.0    1-edge      vfio-msix[1](0000:01:00.0)\n"
	" 33:          0          0          9  IR-PCI-MSIX-0000:01:00.0   11-edge      vfio-msix[11](0000:01:00.0)\n"
	" 40:          1          2          0  IR-PCI-MSI-0000:00:02.0    0-edge      AMD-Vi0-GA\n"
	" 41:          0          8          0  IR-PCI-MSI-0000:00:03.0    0-edge      AMD-Vi1-GA\n"
	" 42:         90          0          0  IR-PCI-MSI-0000:00:03.0    0-edge      AMD-Vi1-Evt\n"
	"NMI:          0          0          0   Non-maskable interrupts\n"
	"LOC:      12345      23456      34567   Local timer interrupts\n"
	"PIW:          5          0          6   Posted-interrupt wakeup event\n"
	"ERR:          0\n";

static int find(const char *in, const char *action, struct proc_interrupt *found)
{
	FILE *stream = fmemopen((void *)in, strlen(in), "r");
	int ret = proc_interrupts_find(stream, action, found);

	fclose(stream);
	return ret;
}

TEST(counts_of_all_cpus_are_summed)
{
	struct proc_interrupt found;

	ASSERT_EQ(0, find(text, "vfio-msix[0](0000:01:00.0)", &found));
	EXPECT_EQ(31, found.irq);
	EXPECT_EQ(4099, found.count);
}

TEST(a_vector_is_not_taken_for_another_with_the_same_beginning)
{
	struct proc_interrupt found;

	ASSERT_EQ(0, find(text, "vfio-msix[1](0000:01:00.0)", &found));
	EXPECT_EQ(32, found.irq);
	ASSERT_EQ(0, find(text, "vfio-msix[11](0000:01:00.0)", &found));
	EXPECT_EQ(33, found.irq);
	EXPECT_EQ(-ENOENT, find(text, "vfio-msix[1](0000:01:00.00)", &found));
	EXPECT_EQ(-ENOENT, find(text, "x[1](0000:01:00.0)", &found));
}

TEST(an_action_is_found_on_a_shared_line)
{
	struct proc_interrupt found;

	ASSERT_EQ(0, find(text, "vfio-intx(0000:00:09.0)", &found));
	EXPECT_EQ(9, found.irq);
	EXPECT_EQ(6, found.count);
	ASSERT_EQ(0, find(text, "acpi", &found));
}

TEST(a_vector_that_is_not_there_is_not_found)
{
	struct proc_interrupt found;

	EXPECT_EQ(-ENOENT, find(text, "vfio-msix[2](0000:01:00.0)", &found));
	EXPECT_EQ(-ENOENT, find(text, "vfio-msix[0](0000:02:00.0)", &found));
}

TEST(other_text_is_refused)
{
	struct proc_interrupt found;

	EXPECT_EQ(-EINVAL, find("hello\n", "vfio-msix[0](0000:01:00.0)", &found));
	EXPECT_EQ(-EINVAL, find("  CPU0 CPU1\n 31: 5 vfio-msix[0](x)\n", "vfio-msix[0](x)", &found));
}

static int sum(const char *in, const char *pattern, u64 *count)
{
	FILE *stream = fmemopen((void *)in, strlen(in), "r");
	int ret = proc_interrupts_sum(stream, pattern, count);

	fclose(stream);
	return ret;
}

TEST(lines_of_a_kind_are_added_up)
{
	u64 count;

	ASSERT_EQ(0, sum(text, "AMD-Vi*-GA", &count));
	EXPECT_EQ(11, count);
	ASSERT_EQ(0, sum(text, "PIW", &count));
	EXPECT_EQ(11, count);
	EXPECT_EQ(-ENOENT, sum(text, "AMD-Vi", &count));
	EXPECT_EQ(-ENOENT, sum(text, "PI", &count));
	EXPECT_EQ(-EINVAL, sum("hello\n", "PIW", &count));
	EXPECT_EQ(-EINVAL, sum("  CPU0 CPU1\nPIW: 5 events\n", "PIW", &count));
}

/* Every x86 machine has a timer at irq 0. */
TEST(an_irq_is_counted_alone)
{
	struct proc_interrupt timer;
	FILE *stream = fopen("/proc/interrupts", "r");
	u64 count;
	int ret;

	EXPECT_EQ(-ENOENT, irq_count(~0U, &count));
	ASSERT_NE(NULL, stream);
	ret = proc_interrupts_find(stream, "timer", &timer);
	fclose(stream);
	if (ret || irq_count(timer.irq, &count)) {
		SKIP(return, "this machine shows no timer in /proc/interrupts and /sys/kernel/irq");
	}
	EXPECT_LE(timer.count, count);
}

TEST_PROGRAM(NEEDS_NOTHING, "/proc/interrupts is read right")
