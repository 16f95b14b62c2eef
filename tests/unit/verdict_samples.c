// SPDX-License-Identifier: GPL-2.0-only
/*
 * Not a test: cases with each verdict, for verdict_test.sh to see which exit status they lead to.
 */
#include <errno.h>

#include <kvm_util.h>
#include <libvfio/assert.h>
#include <tests/harness.h>

TEST(passes)
{
}

TEST(fails)
{
	EXPECT_EQ(1, 2);
}

TEST(skips)
{
	SKIP(return, "this sample always does");
}

TEST(prints_on_stdout)
{
	printf("1..0 # SKIP this line must not reach the report\n");
}

TEST(fails_an_assertion_of_ours)
{
	VFIO_ASSERT_EQ(1, 2, "%s", "a sample");
}

/* kvm_util turns this one into an exit with the status of a skip. */
TEST(fails_an_assertion_of_kvm_util_with_eacces)
{
	errno = EACCES;
	TEST_ASSERT(false, "a sample");
}

TEST(requires_something_missing)
{
	TEST_REQUIRE(false);
}

/* Sorted, and the deciles of 21 are every second of them. */
TEST(reports_latencies)
{
	u64 ns[21];

	for (u32 i = 0; i < 21; i++)
		ns[i] = (20 - i) * 1000;
	test_report_latency("a sample", ns, 21);
}

TEST(is_killed)
{
	raise(SIGKILL);
}

TEST_PROGRAM(NEEDS_NOTHING, "samples of verdicts")
