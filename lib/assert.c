// SPDX-License-Identifier: GPL-2.0-only
#include <stdarg.h>
#include <string.h>

#include <libvfio/assert.h>

void vfio_assert_failed(const char *file, int line, const char *expression,
			const char *observed, const char *fmt, ...)
{
	int error = errno;
	va_list args;

	fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, expression);
	if (observed)
		fprintf(stderr, "  observed: %s\n", observed);
	fprintf(stderr, "  errno: %d (%s)\n", error, strerror(error));
	if (*fmt) {
		va_start(args, fmt);
		fputs("  ", stderr);
		vfprintf(stderr, fmt, args);
		fputc('\n', stderr);
		va_end(args);
	}
	exit(VFIO_EXIT_FAIL);
}
