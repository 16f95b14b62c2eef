// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

int option_number(int option, const char *text, int high)
{
	char *end;
	long value;

	errno = 0;
	value = strtol(text, &end, 10);
	if (errno || end == text || *end || value < 1 || value > high) {
		fprintf(stderr, "%s: -%c takes a number from 1 to %d, not '%s'\n",
			program_invocation_short_name, option, high, text);
		exit(2);
	}
	return value;
}

FILE *option_csv(const char *path)
{
	FILE *csv = fopen(path, "w");

	if (!csv) {
		fprintf(stderr, "%s: cannot write %s: %s\n", program_invocation_short_name, path,
			strerror(errno));
		exit(2);
	}
	return csv;
}
