/* SPDX-License-Identifier: GPL-2.0-only */
/* How long things take: a few dozen times each, told by what they take at least and at worst. */
#ifndef BENCH_SAMPLES_H
#define BENCH_SAMPLES_H

#include <stddef.h>
#include <stdio.h>

#include <linux/types.h>

#define MAX_SAMPLES 1024

/**
 * struct samples - Times of one thing.
 * @ns: nanoseconds each
 * @count: how many there are; further ones are dropped
 */
struct samples {
	u64 ns[MAX_SAMPLES];
	size_t count;
};

/** now_ns() - CLOCK_MONOTONIC in nanoseconds. */
u64 now_ns(void);

void samples_add(struct samples *samples, u64 ns);

/**
 * samples_report() - One line for people on @table, one of CSV on @csv; empties @samples.
 * @table: where the table goes
 * @csv: where the comma separated values go, NULL for nowhere
 * @label: what was timed: words between spaces, which become columns
 * @samples: at least one
 *
 * Microseconds: the least, the median, and what 99 of 100 do not exceed.
 */
void samples_report(FILE *table, FILE *csv, const char *label, struct samples *samples);

#endif /* BENCH_SAMPLES_H */
