// SPDX-License-Identifier: GPL-2.0-only
/*
 * The only process of the nested Linux that judges the lab's interrupt virtualisation: makes the
 * kernel send IPIs between all its CPUs and take timer interrupts on each, and looks whether
 * every one came. TAP on the console; "end" is its last word, after which it waits to be
 * switched off, so that KVM's counters of this VM can still be read.
 *
 * From the kernel's command line, as the environment: cpus=N, how many there must be, and
 * apic_mode=x2apic|xapic, the mode they must be in (apic= is the kernel's own).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_CPUS 64
#define NSEC_PER_SEC 1000000000L

/* Enough to meet a lost interrupt, few enough for a nested guest on an emulated CPU. */
enum {
	PING_PONGS = 50,
	BROADCASTS = 100,
	SLEEPS = 30,
	SLEEP_NSEC = 2000000,
	TICKS = 100,
	TICK_NSEC = 2000000,
};

static int cpus;
static int results;
static atomic_bool spinning;

static void result(bool ok, const char *name, const char *why)
{
	results++;
	printf("%sok %d %s%s\n", ok ? "" : "not ", results, name, why);
}

/* A step without which nothing can be judged. */
static void must(bool ok, const char *what)
{
	if (ok)
		return;
	printf("not ok %d nested-init # %s: %s\nstopped\n", ++results, what, strerror(errno));
	for (;;)
		pause();
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	must(sched_setaffinity(0, sizeof(set), &set) == 0, "sched_setaffinity");
}

/* interrupts_of: the counts of a line of /proc/interrupts, by CPU. Returns their sum. */
static unsigned long interrupts_of(const char *label, unsigned long *counts)
{
	unsigned long sum = 0;
	char line[2048], *at;
	FILE *file;
	int cpu;

	memset(counts, 0, MAX_CPUS * sizeof(*counts));
	file = fopen("/proc/interrupts", "r");
	must(file, "/proc/interrupts");
	while (fgets(line, sizeof(line), file)) {
		at = line + strspn(line, " ");
		if (strncmp(at, label, strlen(label)) || at[strlen(label)] != ':')
			continue;
		at += strlen(label) + 1;
		for (cpu = 0; cpu < cpus; cpu++) {
			counts[cpu] = strtoul(at, &at, 10);
			sum += counts[cpu];
		}
	}
	fclose(file);
	return sum;
}

/* grew: whether a count rose by as much on each CPU but one, which may be -1. */
static bool grew(const unsigned long *before, const unsigned long *after, unsigned long by,
		 int except)
{
	int cpu;

	for (cpu = 0; cpu < cpus; cpu++)
		if (cpu != except && after[cpu] - before[cpu] < by) {
			printf("# CPU %d: %lu, expected %lu\n", cpu, after[cpu] - before[cpu], by);
			return false;
		}
	return true;
}

static void test_cpus(void)
{
	cpu_set_t set;

	must(sched_getaffinity(0, sizeof(set), &set) == 0, "sched_getaffinity");
	printf("# %d of %d CPUs\n", CPU_COUNT(&set), cpus);
	result(CPU_COUNT(&set) == cpus, "every_cpu_is_online", "");
	/* Without it the rest would wait for CPUs that are not there. */
	must(CPU_COUNT(&set) == cpus, "CPUs are missing");
}

static void test_apic_mode(const char *mode)
{
	static const char says[] = "APIC: Switched APIC routing to: ";
	static char log[1 << 18];
	bool want_x2apic = strcmp(mode, "x2apic") == 0;
	const char *at;
	int length;

	/* 3: read all of the kernel's log, see syslog(2). */
	length = klogctl(3, log, sizeof(log) - 1);
	must(length > 0, "klogctl");
	/* The mode it starts with is xAPIC, and it speaks only of a change. */
	at = strstr(log, says);
	at = at ? at + strlen(says) : "as it was";
	printf("# APIC: %.*s\n", (int)strcspn(at, "\n"), at);
	at = memmem(at, strcspn(at, "\n"), "x2apic", strlen("x2apic"));
	result((at != NULL) == want_x2apic, "the_apic_is_in_the_mode_asked_for", "");
}

struct partner {
	pthread_t thread;
	int cpu, ping, pong;
};

static void *answer(void *data)
{
	struct partner *partner = data;
	uint64_t value;
	int i;

	run_on(partner->cpu);
	for (i = 0; i < PING_PONGS; i++) {
		must(read(partner->ping, &value, sizeof(value)) == sizeof(value), "read");
		must(write(partner->pong, &value, sizeof(value)) == sizeof(value), "write");
	}
	return NULL;
}

/* Both sides sleep until the other one writes: each wake-up is an IPI to a halted CPU. */
static void ping_pong(int from, int to)
{
	struct partner partner = {
		.cpu = to, .ping = eventfd(0, 0), .pong = eventfd(0, 0),
	};
	uint64_t value = 1;
	int i;

	run_on(from);
	must(partner.ping >= 0 && partner.pong >= 0, "eventfd");
	must(!pthread_create(&partner.thread, NULL, answer, &partner), "pthread_create");
	for (i = 0; i < PING_PONGS; i++) {
		must(write(partner.ping, &value, sizeof(value)) == sizeof(value), "write");
		must(read(partner.pong, &value, sizeof(value)) == sizeof(value), "read");
	}
	pthread_join(partner.thread, NULL);
	close(partner.ping);
	close(partner.pong);
}

static void test_wakeups(void)
{
	int cpu;

	for (cpu = 0; cpu < cpus && cpus > 1; cpu++)
		ping_pong(cpu, (cpu + 1) % cpus);
	result(true, "halted_cpus_wake_each_other", cpus > 1 ? "" : " # SKIP there is one CPU");
}

static void *spin(void *data)
{
	run_on((int)(intptr_t)data);
	while (atomic_load(&spinning))
		;
	return NULL;
}

/* What makes the kernel send an IPI to every other CPU that runs this process. */
static void broadcast_membarrier(void)
{
	must(!syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0), "membarrier");
}

static void broadcast_unmap(void)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(page != MAP_FAILED, "mmap");
	*page = 1;
	must(!munmap(page, 4096), "munmap");
}

static void test_broadcast(const char *name, const char *label, void (*broadcast)(void))
{
	unsigned long before[MAX_CPUS], after[MAX_CPUS];
	pthread_t threads[MAX_CPUS];
	int cpu, i;

	run_on(0);
	atomic_store(&spinning, true);
	for (cpu = 1; cpu < cpus; cpu++)
		must(!pthread_create(&threads[cpu], NULL, spin, (void *)(intptr_t)cpu),
		     "pthread_create");
	/* Threads that do not run yet on their CPUs get no IPI. */
	usleep(100000);
	interrupts_of(label, before);
	for (i = 0; i < BROADCASTS; i++)
		broadcast();
	interrupts_of(label, after);
	atomic_store(&spinning, false);
	for (cpu = 1; cpu < cpus; cpu++)
		pthread_join(threads[cpu], NULL);
	/* A CPU may be in the kernel at the time and need none. */
	result(grew(before, after, BROADCASTS / 2, 0), name,
	       cpus > 1 ? "" : " # SKIP there is one CPU");
}

static long elapsed(const struct timespec *from, const struct timespec *to)
{
	return (to->tv_sec - from->tv_sec) * NSEC_PER_SEC + to->tv_nsec - from->tv_nsec;
}

static void test_sleeps(void)
{
	const struct timespec nap = { .tv_nsec = SLEEP_NSEC };
	unsigned long before[MAX_CPUS], after[MAX_CPUS];
	struct timespec start, now;
	bool early = false;
	int cpu, i;

	interrupts_of("LOC", before);
	for (cpu = 0; cpu < cpus; cpu++) {
		run_on(cpu);
		for (i = 0; i < SLEEPS; i++) {
			clock_gettime(CLOCK_MONOTONIC, &start);
			must(!clock_nanosleep(CLOCK_MONOTONIC, 0, &nap, NULL), "clock_nanosleep");
			clock_gettime(CLOCK_MONOTONIC, &now);
			early |= elapsed(&start, &now) < SLEEP_NSEC;
		}
	}
	interrupts_of("LOC", after);
	result(!early, "no_sleep_is_cut_short", "");
	result(grew(before, after, SLEEPS, -1), "every_sleep_ends_by_a_timer_interrupt", "");
}

/* It comes every time, and never before its time. */
static void test_ticks(void)
{
	const struct itimerspec period = {
		.it_interval.tv_nsec = TICK_NSEC, .it_value.tv_nsec = TICK_NSEC,
	};
	struct timespec start, now;
	uint64_t count = 0, more;
	long due;
	int fd;

	run_on(cpus - 1);
	fd = timerfd_create(CLOCK_MONOTONIC, 0);
	must(fd >= 0, "timerfd_create");
	clock_gettime(CLOCK_MONOTONIC, &start);
	must(!timerfd_settime(fd, 0, &period, NULL), "timerfd_settime");
	while (count < TICKS) {
		must(read(fd, &more, sizeof(more)) == sizeof(more), "read");
		count += more;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	due = elapsed(&start, &now) / TICK_NSEC;
	printf("# %lu expirations in %ld periods\n", count, due);
	result((long)count <= due, "a_periodic_timer_comes_and_never_early", "");
	close(fd);
}

static void test_errors(void)
{
	unsigned long counts[MAX_CPUS];
	bool ok;

	ok = !interrupts_of("ERR", counts) && !interrupts_of("SPU", counts);
	result(ok, "no_interrupt_was_spurious_or_in_error", "");
}

static void set_up(void)
{
	int console;

	mkdir("/dev", 0755);
	mkdir("/proc", 0755);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	console = open("/dev/console", O_RDWR);
	dup2(console, STDOUT_FILENO);
	setvbuf(stdout, NULL, _IOLBF, 0);
	cpus = atoi(getenv("cpus") ?: "0");
	must(cpus > 0 && cpus <= MAX_CPUS, "cpus=");
	must(!syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0),
	     "membarrier");
}

int main(void)
{
	static const char *const ours[] = { "LOC", "RES", "CAL", "TLB" };
	unsigned long counts[MAX_CPUS], sum = 0;
	size_t i;

	set_up();
	printf("\nbegin\n");
	test_cpus();
	test_apic_mode(getenv("apic_mode") ?: "");
	test_wakeups();
	test_broadcast("membarrier_reaches_every_running_cpu", "CAL", broadcast_membarrier);
	test_broadcast("an_unmap_reaches_every_running_cpu", "TLB", broadcast_unmap);
	test_sleeps();
	test_ticks();
	test_errors();
	for (i = 0; i < sizeof(ours) / sizeof(*ours); i++) {
		printf("# %s %lu\n", ours[i], interrupts_of(ours[i], counts));
		sum += interrupts_of(ours[i], counts);
	}
	printf("interrupts %lu\nend\n", sum);
	for (;;)
		pause();
}
