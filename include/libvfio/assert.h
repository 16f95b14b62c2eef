/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef LIBVFIO_ASSERT_H
#define LIBVFIO_ASSERT_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

/* What a program exits with when an assertion of the library fails; kselftest's KSFT_FAIL. */
#define VFIO_EXIT_FAIL 1

/**
 * vfio_assert_report_to() - Have failed assertions reported elsewhere than on stderr.
 * @stream: where
 * @prefix: what each line of a report begins with; must stay valid
 */
void vfio_assert_report_to(FILE *stream, const char *prefix);

/**
 * vfio_assert_failed() - Report a failed assertion and exit(VFIO_EXIT_FAIL).
 * @file: source file of the assertion
 * @line: its line
 * @expression: its text
 * @observed: the two values compared, as text, or NULL
 * @fmt: printf format of the explanation, may be ""
 *
 * The first line has the explanation or, without one, the expression. The process exits normally,
 * so that atexit() handlers run and the kernel closes every VFIO, IOMMU and KVM descriptor.
 */
void __attribute__((noreturn, format(printf, 5, 6)))
vfio_assert_failed(const char *file, int line, const char *expression,
		   const char *observed, const char *fmt, ...);

#define VFIO_ASSERT_OP(_lhs, _rhs, _op, ...) do {					\
	__typeof__(_lhs) __lhs = (_lhs);						\
	__typeof__(_rhs) __rhs = (_rhs);						\
											\
	if (!(__lhs _op __rhs)) {							\
		char __observed[64];							\
											\
		snprintf(__observed, sizeof(__observed), "%#llx " #_op " %#llx",	\
			 (unsigned long long)__lhs, (unsigned long long)__rhs);		\
		vfio_assert_failed(__FILE__, __LINE__, #_lhs " " #_op " " #_rhs,	\
				   __observed, "" __VA_ARGS__);				\
	}										\
} while (0)

#define VFIO_ASSERT_EQ(_a, _b, ...) VFIO_ASSERT_OP(_a, _b, ==, ##__VA_ARGS__)
#define VFIO_ASSERT_NE(_a, _b, ...) VFIO_ASSERT_OP(_a, _b, !=, ##__VA_ARGS__)
#define VFIO_ASSERT_LT(_a, _b, ...) VFIO_ASSERT_OP(_a, _b, <, ##__VA_ARGS__)
#define VFIO_ASSERT_LE(_a, _b, ...) VFIO_ASSERT_OP(_a, _b, <=, ##__VA_ARGS__)
#define VFIO_ASSERT_GT(_a, _b, ...) VFIO_ASSERT_OP(_a, _b, >, ##__VA_ARGS__)
#define VFIO_ASSERT_GE(_a, _b, ...) VFIO_ASSERT_OP(_a, _b, >=, ##__VA_ARGS__)

#define VFIO_ASSERT_TRUE(_a, ...) do {							\
	if (!(_a))									\
		vfio_assert_failed(__FILE__, __LINE__, #_a, NULL, "" __VA_ARGS__);	\
} while (0)

#define VFIO_ASSERT_NOT_NULL(_a, ...) VFIO_ASSERT_TRUE((_a) != NULL, ##__VA_ARGS__)

#define VFIO_FAIL(...)									\
	vfio_assert_failed(__FILE__, __LINE__, "unreachable", NULL, "" __VA_ARGS__)

#endif /* LIBVFIO_ASSERT_H */
