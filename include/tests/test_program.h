/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The frame of a test program: its options, its exit status, KTAP and nothing else on stdout.
 * A test is one file that includes this, defines cases with kselftest_harness.h and ends with
 * TEST_PROGRAM().
 */
#ifndef TESTS_TEST_PROGRAM_H
#define TESTS_TEST_PROGRAM_H

#include <stdbool.h>
#include <stdio.h>

#include <linux/types.h>

#include <libvfio/iommu.h>
#include <libvfio/pci_bdf.h>

/* What a test cannot do without. */
#define NEEDS_NOTHING 0
#define NEEDS_KVM (1 << 0)
#define NEEDS_DEVICE (1 << 1)
#define NEEDS_TWO_DEVICES (1 << 2)
#define NEEDS_HUGEPAGES (1 << 3)	/* run.sh sees to some; without them a case skips */

/* Exit codes, see the README; 0, 1 and 4 are those of kselftest. */
#define EXIT_ENVIRONMENT 2
#define EXIT_ONLY_SKIPS 4	/* KSFT_SKIP */

/**
 * struct test_program_options - Options that only one program has.
 * @take: is asked first; as irq_mix_take_option()
 * @help: lines for --help
 * @only: asked after the last option, NULL if all cases always run: the one that is to run,
 *	fixture.case, or NULL for all
 */
struct test_program_options {
	int (*take)(const char *option, const char *value);
	const char *help;
	const char *(*only)(void);
};

/**
 * struct test_program - What a program says of itself; TEST_PROGRAM() defines it.
 * @needs: NEEDS_*
 * @summary: one line for run.sh --list
 * @options: its own ones, NULL if there are none
 */
struct test_program {
	unsigned int needs;
	const char *summary;
	const struct test_program_options *options;
};

extern const struct test_program test_program;

/**
 * struct test_options - What the user asked for.
 * @bdf: the device, "" if none is needed
 * @second_bdf: the other one, "" if there is none
 * @page_size: the only size of page to test where sizes are, 0 for all
 * @iommu_mode: the only mode to test, NULL for all
 * @timeout_percent: scale of all bounds
 * @seed: of everything random, printed by each run
 * @list: only list the cases
 */
struct test_options {
	char bdf[PCI_BDF_SIZE];
	char second_bdf[PCI_BDF_SIZE];
	u64 page_size;
	const char *iommu_mode;
	unsigned int timeout_percent;
	u32 seed;
	bool list;
};

extern struct test_options test_options;

/* The true stdout, for lines of KTAP only; stdout itself is stderr in the processes of a case. */
extern FILE *test_report_stream;

/**
 * test_program_start() - Read the options, check what the test needs, exit(2) if it is missing.
 * @argc: adjusted to what is left for the harness
 * @argv: likewise
 */
void test_program_start(int *argc, char **argv);

/**
 * test_program_number() - The number that an option takes; exit(2) if it is none.
 * @option: its name
 * @text: what was given
 * @low: the least it may be
 * @high: the most
 */
unsigned long test_program_number(const char *option, const char *text,
				  unsigned long low, unsigned long high);

/**
 * test_program_finish_with() - Register the exit status that the results deserve.
 * @ran: asked at exit for the number of cases that passed or failed
 *
 * The harness exits 0 also when every case was skipped or none was selected; that becomes 4.
 * A case that exits with the status for SKIP by itself, as TEST_REQUIRE() and some failed
 * assertions of kvm_util do, fails: a skip has a reason.
 */
void test_program_finish_with(unsigned int (*ran)(void));

/**
 * test_report() - Print a diagnostic line of KTAP, "# ...", from any process of the test.
 * @fmt: printf format without newline
 */
void __attribute__((format(printf, 1, 2))) test_report(const char *fmt, ...);

/** test_report_duration() - Report how long the case took that ends now, since the one before. */
void test_report_duration(void);

/**
 * test_report_latency() - Report how times are distributed.
 * @what: took that long, without a colon
 * @ns: nanoseconds, sorted on return
 * @nr: how many, at least 1
 *
 * The form is that of docs/report.md: the minimum, nine deciles and the maximum.
 */
void test_report_latency(const char *what, u64 *ns, size_t nr);

/**
 * test_iommu_mode_missing() - Why a case for @mode cannot run here or was not asked for.
 *
 * Return: NULL if it can, otherwise a sentence for SKIP().
 */
const char *test_iommu_mode_missing(const char *mode);

/**
 * test_page_size_missing() - Why a case for pages of @size cannot run or was not asked for.
 * @size: bytes
 *
 * Return: NULL if it can, as far as the options say, otherwise a sentence for SKIP().
 */
const char *test_page_size_missing(u64 size);

/** test_second_device_missing() - NULL if two devices were named, otherwise a sentence. */
const char *test_second_device_missing(void);

/**
 * test_iommu_mode() - The mode for cases that need not be run in each of them.
 *
 * Return: the one that was asked for, or iommufd, or a VFIO container where there is no iommufd.
 */
const char *test_iommu_mode(void);

/**
 * test_intx_missing() - Why INTx does not work on this machine.
 *
 * Return: NULL if it should, or what the lab says in KVM_VFIO_TESTS_NO_INTX: QEMU 10 loses all
 * interrupts of the IOAPIC behind its amd-iommu, which nobody can see before it hangs.
 */
const char *test_intx_missing(void);

/** test_random() - A number from [low, high], from the seed of the run. */
u32 test_random(u32 low, u32 high);

#endif /* TESTS_TEST_PROGRAM_H */
