// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libvfio/deadline.h>
#include <libvfio/sysfs.h>
#include <tests/test_program.h>

#define EXIT_SKIP 4	/* KSFT_SKIP of kselftest.h, which only a test itself may include */

struct test_options test_options = { .timeout_percent = 100 };
FILE *test_report_stream;

static unsigned int (*cases_ran)(void);
static pid_t main_pid;

/* Before the constructors of kvm_util, one of which prints a seed that nothing here uses. */
static void __attribute__((constructor(101))) save_stdout(void)
{
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	test_report_stream = fdopen(fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0), "w");
	if (!test_report_stream)
		exit(EXIT_ENVIRONMENT);
	setvbuf(test_report_stream, NULL, _IOLBF, 0);
	dup2(null, STDOUT_FILENO);
	close(null);
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

static void __attribute__((noreturn, format(printf, 2, 3)))
die(const struct test_program *program, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fprintf(stderr, "%s: ", program->name);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(EXIT_ENVIRONMENT);
}

static void describe(const struct test_program *program)
{
	static const char *const names[] = { "-", "kvm", "device", "kvm,device" };

	fprintf(test_report_stream, "%s\t%s\t%s\n", program->name, names[program->needs & 3],
		program->summary);
	exit(0);
}

static void help(const struct test_program *program)
{
	fprintf(test_report_stream,
		"%s: %s\n\n"
		"usage: %s [options] [BDF]\n\n"
		"  -d BDF               the device, bound to vfio-pci; also as last argument or by the\n"
		"                       variable VFIO_SELFTESTS_BDF\n"
		"  --iommu-mode MODE    test one IOMMU mode instead of all:\n"
		"                       vfio_type1_iommu, vfio_type1v2_iommu, iommufd_compat_type1,\n"
		"                       iommufd_compat_type1v2 or iommufd\n"
		"  --timeout PERCENT    scale every bound, 100 is the default\n"
		"  --seed N             replay the random choices of a run\n"
		"  --describe           one line: name, needs, summary\n"
		"  -l                   list the cases\n"
		"  -t CASE, -v VARIANT  run only these; -T, -V: all but these\n\n"
		"exit status: 0 passed, 1 failed, 2 usage or environment, 4 nothing ran but skips\n",
		program->name, program->summary, program->name);
	exit(0);
}

static unsigned long parse_number(const struct test_program *program, const char *option,
				  const char *text, unsigned long low, unsigned long high)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 0);
	if (errno || end == text || *end || *text == '-' || value < low || value > high)
		die(program, "%s takes a number from %lu to %lu, not '%s'.", option, low, high, text);

	return value;
}

static void set_bdf(const struct test_program *program, const char *text)
{
	char bdf[PCI_BDF_SIZE];

	if (pci_bdf_parse(text, bdf))
		die(program, "'%s' is no PCI address, it should look like 0000:01:00.0.", text);
	if (*test_options.bdf && strcmp(test_options.bdf, bdf))
		die(program, "one device at a time: both %s and %s were given.",
		    test_options.bdf, bdf);
	strcpy(test_options.bdf, bdf);
}

static void set_iommu_mode(const struct test_program *program, const char *text)
{
	if (!iommu_mode_lookup(text))
		die(program, "'%s' is no IOMMU mode; there are vfio_type1_iommu, "
		    "vfio_type1v2_iommu, iommufd_compat_type1, iommufd_compat_type1v2 and iommufd.",
		    text);
	test_options.iommu_mode = text;
}

/* Handles one option of ours. Return: how many arguments it took, 0 if it is the harness's. */
static int take_option(const struct test_program *program, const char *option, const char *value)
{
	char bdf[PCI_BDF_SIZE];

	if (!strcmp(option, "--describe"))
		describe(program);
	if (!strcmp(option, "--help") || !strcmp(option, "-h"))
		help(program);

	/* The harness has a -d, too; it takes no argument. */
	if (!strcmp(option, "-d") && value && *value != '-')
		set_bdf(program, value);
	else if (!strncmp(option, "--", 2) && option[2] && !value)
		die(program, "unknown option %s, or its argument is missing; see --help.", option);
	else if (!strcmp(option, "--iommu-mode"))
		set_iommu_mode(program, value);
	else if (!strcmp(option, "--timeout"))
		test_options.timeout_percent = parse_number(program, option, value, 1, 100000);
	else if (!strcmp(option, "--seed"))
		test_options.seed = parse_number(program, option, value, 0, UINT32_MAX);
	else if (!strncmp(option, "--", 2) && option[2])
		die(program, "unknown option %s; see --help.", option);
	else if (*option != '-' && !pci_bdf_parse(option, bdf))
		return set_bdf(program, option), 1;
	else
		return 0;

	return 2;
}

/*
 * Takes our options out of @argv and leaves those of the harness, each with its argument.
 */
static void parse_options(const struct test_program *program, int *argc, char **argv)
{
	int left = 1, i = 1;

	while (i < *argc) {
		int taken = take_option(program, argv[i], i + 1 < *argc ? argv[i + 1] : NULL);
		bool with_argument = strlen(argv[i]) == 2 && strchr("fFvVtTr", argv[i][1]);

		if (!taken && *argv[i] != '-')
			die(program, "'%s' is neither an option nor a PCI address.", argv[i]);
		if (!taken) {
			argv[left++] = argv[i++];
			if (with_argument && i < *argc)
				argv[left++] = argv[i++];
		}
		i += taken;
	}

	argv[left] = NULL;
	*argc = left;
}

static void check_device(const struct test_program *program)
{
	const char *from_environment = getenv("VFIO_SELFTESTS_BDF");
	char driver[64];
	int group;

	if (!*test_options.bdf && from_environment && *from_environment)
		set_bdf(program, from_environment);
	if (!*test_options.bdf)
		die(program, "no device given: name one that is bound to vfio-pci, with -d BDF.");

	if (sysfs_driver(test_options.bdf, driver, sizeof(driver)))
		die(program, "there is no PCI device %s.", test_options.bdf);
	group = sysfs_iommu_group(test_options.bdf);
	if (group < 0)
		die(program, "%s is behind no IOMMU; intel_iommu=on or amd_iommu=on on the kernel's "
		    "command line, and the firmware's switch, turn one on.", test_options.bdf);
	if (strcmp(driver, "vfio-pci"))
		die(program, "%s is bound to %s, not to vfio-pci; ./run.sh -d %s binds it and gives "
		    "it back.", test_options.bdf, *driver ? driver : "no driver", test_options.bdf);
}

static void check_kvm(const struct test_program *program)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die(program, "cannot open /dev/kvm: %s.", strerror(errno));
	close(fd);
}

void test_program_start(const struct test_program *program, int *argc, char **argv)
{
	test_options.seed = time(NULL) ^ (getpid() << 16);
	main_pid = getpid();
	parse_options(program, argc, argv);

	for (int i = 1; i < *argc; i++) {
		if (!strcmp(argv[i], "-l"))
			return;
	}

	if (program->needs & NEEDS_DEVICE)
		check_device(program);
	if (program->needs & NEEDS_KVM)
		check_kvm(program);

	deadline_set_scale(test_options.timeout_percent);
	srandom(test_options.seed);
	restore_stdout();
}

static void decide_exit_status(int status, void *unused)
{
	if (getpid() != main_pid) {
		if (status != EXIT_SKIP)
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
	on_exit(decide_exit_status, NULL);
	test_report("seed: %u", test_options.seed);
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

const char *test_iommu_mode_missing(const char *mode)
{
	if (test_options.iommu_mode && strcmp(mode, test_options.iommu_mode))
		return "another IOMMU mode was asked for";

	return iommu_mode_missing(iommu_mode_lookup(mode));
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
