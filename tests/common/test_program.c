// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/sizes.h>

#include <host/delivery_path.h>
#include <libvfio/assert.h>
#include <libvfio/deadline.h>
#include <libvfio/sysfs.h>
#include <libvfio/vfio_pci_driver.h>
#include <tests/test_program.h>

struct test_options test_options = { .timeout_percent = 100 };
FILE *test_report_stream;

static unsigned int (*cases_ran)(void);
static pid_t main_pid;
static u64 case_began_ns;

static void __attribute__((noreturn, format(printf, 1, 2))) die(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	/* Not exit(): the destructors of what was not constructed yet would run. */
	_exit(EXIT_ENVIRONMENT);
}

static void describe(void)
{
	static const char *const names[] = { "kvm", "device", "devices", "hugepages" };
	const char *separator = "";

	fprintf(test_report_stream, "%s\t", program_invocation_short_name);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(test_program.needs & 1U << i))
			continue;
		fprintf(test_report_stream, "%s%s", separator, names[i]);
		separator = ",";
	}
	fprintf(test_report_stream, "%s\t%s\n", test_program.needs ? "" : "-",
		test_program.summary);
	fflush(test_report_stream);
	_exit(0);
}

static void list_drivers(char **directories)
{
	for (; *directories; directories++) {
		const char *driver = vfio_pci_driver_of_sysfs(*directories);

		if (driver)
			fprintf(test_report_stream, "%s\t%s\n", basename(*directories), driver);
	}
	fflush(test_report_stream);
	_exit(0);
}

/* What of this machine the program knows better than a script. */
static void facts(void)
{
	const char *missing = delivery_posting_missing();

	fprintf(test_report_stream, "posting: %s%s\n",
		missing ? "none, " : "by KVM and IOMMU", missing ?: "");
	fflush(test_report_stream);
	_exit(0);
}

static void help(void)
{
	fprintf(test_report_stream,
		"%s: %s\n\n"
		"usage: %s [options] [BDF]...\n\n"
		"  -d BDF               the device, bound to vfio-pci; also as last argument or by the\n"
		"                       variable VFIO_SELFTESTS_BDF; twice where a test takes two\n"
		"  --iommu-mode MODE    test one IOMMU mode instead of all:\n"
		"                       vfio_type1_iommu, vfio_type1v2_iommu, iommufd_compat_type1,\n"
		"                       iommufd_compat_type1v2 or iommufd\n"
		"  --page-size SIZE     test one size of page instead of all: 4K, 2M or 1G\n"
		"  --timeout PERCENT    scale every bound, 100 is the default\n"
		"  --seed N             replay the random choices of a run\n"
		"  --describe           one line: name, needs, summary\n"
		"  --facts              one line: whether this machine can post interrupts, or why not\n"
		"  --drivers DIR...     for each device in sysfs that a driver of ours supports, a line:\n"
		"                       BDF, driver\n"
		"  -l                   list the cases\n"
		"  -t CASE, -v VARIANT  run only these; -T, -V: all but these\n%s\n"
		"exit status: 0 passed, 1 failed, 2 usage or environment, 4 nothing ran but skips\n",
		program_invocation_short_name, test_program.summary, program_invocation_short_name,
		test_program.options ? test_program.options->help : "");
	fflush(test_report_stream);
	_exit(0);
}

static void check_kvm(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("cannot open /dev/kvm: %s.", strerror(errno));
	close(fd);
}

/*
 * Runs before the constructors of kvm_util: one of them prints a seed that nothing here uses,
 * and ends the program without a word where there is no KVM. So stdout, which is for KTAP
 * alone, leads nowhere until main(), and what can be said without KVM is said here.
 */
static void __attribute__((constructor(101))) start_early(int argc, char **argv)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	test_report_stream = fdopen(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0), "w");
	if (!test_report_stream)
		die("stdout is closed.");
	setvbuf(test_report_stream, NULL, _IOLBF, 0);
	dup2(null, STDOUT_FILENO);
	close(null);

	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--describe"))
			describe();
		if (!strcmp(argv[i], "--facts"))
			facts();
		if (!strcmp(argv[i], "--drivers"))
			list_drivers(argv + i + 1);
		if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h"))
			help();
	}

	if (test_program.needs & NEEDS_KVM)
		check_kvm();
}

/* Where stdout leads to is for KTAP alone. Others who print get stderr. */
static void redirect_stdout(void)
{
	dup2(STDERR_FILENO, STDOUT_FILENO);
}

/* The harness prints KTAP from the parent, on stdout; its children must not. */
static void restore_stdout(void)
{
	fflush(stdout);
	dup2(fileno(test_report_stream), STDOUT_FILENO);
	pthread_atfork(NULL, NULL, redirect_stdout);
}

unsigned long test_program_number(const char *option, const char *text,
				  unsigned long low, unsigned long high)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || value < low || value > high)
		die("%s takes a number from %lu to %lu, not '%s'.", option, low, high, text);

	return value;
}

static void set_bdf(const char *text)
{
	char bdf[PCI_BDF_SIZE];

	if (pci_bdf_parse(text, bdf))
		die("'%s' is no PCI address, it should look like 0000:01:00.0.", text);
	if (!*test_options.bdf)
		strcpy(test_options.bdf, bdf);
	else if (!strcmp(test_options.bdf, bdf) || !strcmp(test_options.second_bdf, bdf))
		return;
	else if (!(test_program.needs & NEEDS_TWO_DEVICES))
		die("one device at a time: both %s and %s were given.", test_options.bdf, bdf);
	else if (*test_options.second_bdf)
		die("two devices at a time: %s is one too many.", bdf);
	else
		strcpy(test_options.second_bdf, bdf);
}

static void set_page_size(const char *text)
{
	static const struct { const char *name; u64 size; } sizes[] = {
		{ "4K", SZ_4K }, { "2M", SZ_2M }, { "1G", SZ_1G },
	};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (!strcasecmp(text, sizes[i].name))
			test_options.page_size = sizes[i].size;
	}
	if (!test_options.page_size)
		die("--page-size takes 4K, 2M or 1G, not '%s'.", text);
}

static void set_iommu_mode(const char *text)
{
	if (!iommu_mode_lookup(text))
		die("'%s' is no IOMMU mode; there are vfio_type1_iommu, "
		    "vfio_type1v2_iommu, iommufd_compat_type1, iommufd_compat_type1v2 and iommufd.",
		    text);
	test_options.iommu_mode = text;
}

/* Handles one option of ours. Return: how many arguments it took, 0 if it is the harness's. */
static int take_option(const char *option, const char *value)
{
	char bdf[PCI_BDF_SIZE];
	int taken = test_program.options ? test_program.options->take(option, value) : 0;

	if (taken)
		return taken;

	/* The harness has a -d, too; it takes no argument. */
	if (!strcmp(option, "-d") && value && *value != '-')
		set_bdf(value);
	else if (!strncmp(option, "--", 2) && option[2] && !value)
		die("unknown option %s, or its argument is missing; see --help.", option);
	else if (!strcmp(option, "--iommu-mode"))
		set_iommu_mode(value);
	else if (!strcmp(option, "--page-size"))
		set_page_size(value);
	else if (!strcmp(option, "--timeout"))
		test_options.timeout_percent = test_program_number(option, value, 1, 100000);
	else if (!strcmp(option, "--seed"))
		test_options.seed = test_program_number(option, value, 0, UINT32_MAX);
	else if (!strncmp(option, "--", 2) && option[2])
		die("unknown option %s; see --help.", option);
	else if (*option != '-' && !pci_bdf_parse(option, bdf))
		return set_bdf(option), 1;
	else
		return 0;

	return 2;
}

/*
 * Tells the harness which case is to run if the program's own options select one. They have left
 * at least one place in @argv. Return: how many arguments there are then.
 */
static int keep_only(int argc, char **argv)
{
	const struct test_program_options *options = test_program.options;
	const char *only = options && options->only ? options->only() : NULL;

	if (only && asprintf(&argv[argc++], "-r%s", only) < 0)
		die("out of memory.");
	argv[argc] = NULL;
	return argc;
}

/*
 * Takes our options out of @argv and leaves those of the harness, each with its argument.
 */
static void parse_options(int *argc, char **argv)
{
	int left = 1, i = 1;

	while (i < *argc) {
		int taken = take_option(argv[i], i + 1 < *argc ? argv[i + 1] : NULL);
		bool filter = strlen(argv[i]) == 2 && *argv[i] == '-' && strchr("fFvVtTr", argv[i][1]);

		if (taken) {
			i += taken;
			continue;
		}
		test_options.list |= !strcmp(argv[i], "-l");
		if (*argv[i] != '-')
			die("'%s' is neither an option nor a PCI address.", argv[i]);
		if (!filter && strcmp(argv[i], "-l") && strcmp(argv[i], "-d"))
			die("unknown option %s; see --help.", argv[i]);
		if (filter && i + 1 == *argc)
			die("%s needs an argument.", argv[i]);

		argv[left++] = argv[i++];
		if (filter)
			argv[left++] = argv[i++];
	}

	*argc = keep_only(left, argv);
}

static void check_device(const char *bdf)
{
	char driver[64], sibling[PCI_BDF_SIZE];
	int group;

	if (sysfs_driver(bdf, driver, sizeof(driver)))
		die("there is no PCI device %s.", bdf);
	group = sysfs_iommu_group(bdf);
	if (group < 0)
		die("%s is behind no IOMMU; intel_iommu=on or amd_iommu=on on the kernel's "
		    "command line, and the firmware's switch, turn one on.", bdf);
	if (strcmp(driver, "vfio-pci"))
		die("%s is bound to %s, not to vfio-pci; ./run.sh -d %s binds it and gives "
		    "it back.", bdf, *driver ? driver : "no driver", bdf);
	if (!sysfs_group_intruder(bdf, sibling, driver, sizeof(driver)))
		die("IOMMU group %d of %s is not viable: %s is bound to %s; unbind it.",
		    group, bdf, sibling, driver);
}

static void check_devices(void)
{
	const char *from_environment = getenv("VFIO_SELFTESTS_BDF");

	if (!*test_options.bdf && from_environment && *from_environment)
		set_bdf(from_environment);
	if (!*test_options.bdf)
		die("no device given: name one that is bound to vfio-pci, with -d BDF.");

	check_device(test_options.bdf);
	if (*test_options.second_bdf)
		check_device(test_options.second_bdf);
}

void test_program_start(int *argc, char **argv)
{
	test_options.seed = time(NULL) ^ (getpid() << 16);
	main_pid = getpid();
	parse_options(argc, argv);

	if (test_program.needs & (NEEDS_DEVICE | NEEDS_TWO_DEVICES) && !test_options.list)
		check_devices();

	deadline_set_scale(test_options.timeout_percent);
	srandom(test_options.seed);
	restore_stdout();
}

static void decide_exit_status(int status, void *unused)
{
	if (getpid() != main_pid) {
		if (status != EXIT_ONLY_SKIPS)
			return;
		fprintf(stderr, "a skip without a reason, from an assertion of kvm_util, fails\n");
		_exit(1);
	}

	if (status == 0 && !cases_ran()) {
		fflush(stdout);
		_exit(EXIT_ONLY_SKIPS);
	}
}

void test_program_finish_with(unsigned int (*ran)(void))
{
	cases_ran = ran;
	if (test_options.list)
		return;

	on_exit(decide_exit_status, NULL);
	/* The harness prints the version line unless told that somebody else has. */
	fprintf(test_report_stream, "TAP version 13\n");
	vfio_assert_report_to(test_report_stream, "# ");
	setenv("KSFT_TAP_LEVEL", "1", true);
	test_report("seed: %u", test_options.seed);
	case_began_ns = deadline_now_ns();
}

void test_report(const char *fmt, ...)
{
	char line[512];
	va_list args;

	/* One write per line: several processes share the stream. */
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	fprintf(test_report_stream, "# %s\n", line);
	fflush(test_report_stream);
}

void test_report_duration(void)
{
	u64 now = deadline_now_ns();

	test_report("duration_ms: %llu", (unsigned long long)(now - case_began_ns) / 1000000);
	case_began_ns = now;
}

static int compare_u64(const void *a, const void *b)
{
	return *(const u64 *)a < *(const u64 *)b ? -1 : *(const u64 *)a > *(const u64 *)b;
}

void test_report_latency(const char *what, u64 *ns, size_t nr)
{
	char deciles[256];
	int length = 0;

	qsort(ns, nr, sizeof(*ns), compare_u64);
	for (size_t i = 0; i <= 10; i++)
		length += snprintf(deciles + length, sizeof(deciles) - length, " %.1f",
				   ns[(nr - 1) * i / 10] / 1e3);

	test_report("latency_us: %s, %zu samples:%s", what, nr, deciles);
}

const char *test_iommu_mode_missing(const char *mode)
{
	if (test_options.iommu_mode && strcmp(mode, test_options.iommu_mode))
		return "another IOMMU mode was asked for";

	return iommu_mode_missing(iommu_mode_lookup(mode));
}

const char *test_page_size_missing(u64 size)
{
	if (test_options.page_size && test_options.page_size != size)
		return "another size of page was asked for";

	return NULL;
}

const char *test_second_device_missing(void)
{
	return *test_options.second_bdf ? NULL : "it takes a second device: name two with -d";
}

const char *test_iommu_mode(void)
{
	static const char *const preferred[] = { MODE_IOMMUFD, MODE_VFIO_TYPE1V2_IOMMU };

	if (test_options.iommu_mode)
		return test_options.iommu_mode;

	for (size_t i = 0; i < sizeof(preferred) / sizeof(preferred[0]); i++) {
		if (!iommu_mode_missing(iommu_mode_lookup(preferred[i])))
			return preferred[i];
	}

	return MODE_IOMMUFD;
}

const char *test_intx_missing(void)
{
	return getenv("KVM_VFIO_TESTS_NO_INTX");
}

u32 test_random(u32 low, u32 high)
{
	return low + random() % (high - low + 1);
}
