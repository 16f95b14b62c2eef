// SPDX-License-Identifier: GPL-2.0-only
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "samples.h"

u64 now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

void samples_add(struct samples *samples, u64 ns)
{
	if (samples->count < MAX_SAMPLES)
		samples->ns[samples->count++] = ns;
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

void samples_report(FILE *table, FILE *csv, const char *label, struct samples *samples)
{
	size_t n = samples->count;
	double us[3];

	if (!n)
		return;
	qsort(samples->ns, n, sizeof(*samples->ns), compare);
	us[0] = samples->ns[0] / 1e3;
	us[1] = samples->ns[n / 2] / 1e3;
	us[2] = samples->ns[(n * 99 + 99) / 100 - 1] / 1e3;

	fprintf(table, "%-52s %6zu %12.1f %12.1f %12.1f\n", label, n, us[0], us[1], us[2]);
	fflush(table);
	if (csv) {
		for (const char *c = label; *c; c++)
			fputc(*c == ' ' ? ',' : *c, csv);
		fprintf(csv, ",%zu,%.1f,%.1f,%.1f\n", n, us[0], us[1], us[2]);
	}
	samples->count = 0;
}
