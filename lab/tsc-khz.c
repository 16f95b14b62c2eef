// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints the rate of this machine's TSC in kHz, which is that of the lab's CPUs too: TCG answers
 * RDTSC with the TSC of the machine it runs on. The lab's kernel is told the rate, because its
 * own measurement goes wrong by factors where the CPUs of a busy machine stop in the middle of
 * it; then all its clocks run fast or slow, and bounds on time end early or never.
 *
 * Exit codes: 0; 1 this machine has no TSC, or none that goes with the clock.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define SAMPLE_NS 5000000LL
#define NR_SAMPLES 3
#define NR_READS 16

#ifdef __x86_64__
#include <x86intrin.h>

struct instant {
	int64_t ns;
	uint64_t tsc;
};

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* Both clocks at one instant: of several readings the one that was interrupted least. */
static struct instant read_instant(void)
{
	uint64_t shortest = UINT64_MAX;
	struct instant best = {};

	for (int i = 0; i < NR_READS; i++) {
		uint64_t before = __rdtsc();
		int64_t ns = now_ns();
		uint64_t took = __rdtsc() - before;

		if (took < shortest) {
			shortest = took;
			best = (struct instant){ .ns = ns, .tsc = before + took / 2 };
		}
	}
	return best;
}

static long sample_khz(void)
{
	struct timespec pause = { .tv_nsec = SAMPLE_NS };
	struct instant begin = read_instant(), end;

	nanosleep(&pause, NULL);
	end = read_instant();
	return (long)((double)(end.tsc - begin.tsc) * 1e6 / (double)(end.ns - begin.ns));
}

static long tsc_khz(void)
{
	long khz[NR_SAMPLES], lowest, highest;

	for (int i = 0; i < NR_SAMPLES; i++)
		khz[i] = sample_khz();
	lowest = highest = khz[0];
	for (int i = 1; i < NR_SAMPLES; i++) {
		lowest = khz[i] < lowest ? khz[i] : lowest;
		highest = khz[i] > highest ? khz[i] : highest;
	}
	/* A rate that changes is that of a core, not of an invariant TSC. */
	return highest - lowest <= lowest / 200 ? (lowest + highest) / 2 : 0;
}
#else
static long tsc_khz(void)
{
	return 0;
}
#endif

int main(void)
{
	long khz = tsc_khz();

	if (khz <= 0)
		return 1;
	printf("%ld\n", khz);
	return 0;
}
