// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <string.h>

#include <libvfio/assert.h>

static FILE *report_stream;
static const char *report_prefix = "";

void vfio_assert_report_to(FILE *stream, const char *prefix)
{
	report_stream = stream;
	report_prefix = prefix;
}

static void __attribute__((format(printf, 1, 2))) report(const char *fmt, ...)
{
	FILE *stream = report_stream ?: stderr;
	char line[512];
	va_list args;

	/* One write per line: several processes may share the stream. */
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	fprintf(stream, "%s%s\n", report_prefix, line);
	fflush(stream);
}

void vfio_assert_failed(const char *file, int line, const char *expression,
			const char *observed, const char *fmt, ...)
{
	char explanation[256] = "";
	int error = errno;
	va_list args;

	va_start(args, fmt);
	vsnprintf(explanation, sizeof(explanation), fmt, args);
	va_end(args);

	report("%s:%d: assertion failed: %s", file, line, *fmt ? explanation : expression);
	if (*fmt)
		report("  expression: %s", expression);
	if (observed)
		report("  observed: %s", observed);
	report("  errno: %d (%s)", error, strerror(error));
	exit(VFIO_EXIT_FAIL);
}
