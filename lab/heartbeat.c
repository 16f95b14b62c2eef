// SPDX-License-Identifier: GPL-2.0-only
/*
 * The lab's pulse: on each CPU a pinned thread that sleeps and then says so on the standard
 * output, which is the lab's control channel:
 *
 *	tick CPU COUNT
 *
 * A CPU whose ticks stop has lost its timer, or the kernel spins on it with interrupts off.
 * boot.sh compares the CPUs with each other, so a host too busy to run the lab at all is not
 * taken for either. The threads run in the real-time class: a test that keeps every CPU busy
 * must not look like a stall.
 *
 * The program ends with the lab. It is silent but for its ticks: a lab without a pulse is
 * noticed by its absence.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_NS 1000000000L

static void sleep_until_next(struct timespec *when)
{
	when->tv_nsec += PERIOD_NS % 1000000000L;
	when->tv_sec += PERIOD_NS / 1000000000L + when->tv_nsec / 1000000000L;
	when->tv_nsec %= 1000000000L;
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, when, NULL);
}

static void *beat(void *arg)
{
	int cpu = (int)(intptr_t)arg;
	unsigned long count = 0;
	struct timespec when;
	char line[64];
	int len;

	clock_gettime(CLOCK_MONOTONIC, &when);
	for (;;) {
		len = snprintf(line, sizeof(line), "tick %d %lu\n", cpu, ++count);
		/* One write is one message: lines of several CPUs never mix. */
		if (write(STDOUT_FILENO, line, len) != len)
			return NULL;
		sleep_until_next(&when);
	}
}

static int start_on(int cpu)
{
	struct sched_param param = { .sched_priority = 1 };
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t cpus;
	int ret;

	CPU_ZERO(&cpus);
	CPU_SET(cpu, &cpus);
	pthread_attr_init(&attr);
	pthread_attr_setaffinity_np(&attr, sizeof(cpus), &cpus);
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_FIFO);
	pthread_attr_setschedparam(&attr, &param);
	pthread_attr_setstacksize(&attr, PTHREAD_STACK_MIN + 16384);
	ret = pthread_create(&thread, &attr, beat, (void *)(intptr_t)cpu);
	pthread_attr_destroy(&attr);
	return ret;
}

int main(void)
{
	int cpu, nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);

	for (cpu = 0; cpu < nr_cpus; cpu++) {
		if (start_on(cpu)) {
			fprintf(stderr, "heartbeat: cannot start a thread on CPU %d\n", cpu);
			return 1;
		}
	}
	pthread_exit(NULL);
}
