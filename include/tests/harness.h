/* SPDX-License-Identifier: GPL-2.0-only */
/* kselftest_harness.h, the same in each test program, and the main() that goes with it. */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <tests/test_program.h>

/*
 * The harness prints the result of a case by this function, in the process that saw its end: what a
 * report wants to know beside it is said just before, also of a case that was killed.
 */
#include <kselftest.h>
#define ksft_test_result_code(...) do {							\
	test_report_duration();								\
	(ksft_test_result_code)(__VA_ARGS__);						\
} while (0)

/* Failed expectations belong into the report. */
#define TH_LOG_STREAM test_report_stream
#include <kselftest_harness.h>

/* Cases that passed or failed; the harness keeps the counts in this very file. */
static inline unsigned int harness_cases_ran(void)
{
	return ksft_get_pass_cnt() + ksft_get_fail_cnt() + ksft_get_error_cnt() +
	       ksft_get_xpass_cnt() + ksft_get_xfail_cnt();
}

/* A bound on a case as a whole; what a case waits for has its own, shorter one. */
static inline void harness_scale_timeouts(unsigned int percent)
{
	for (struct __fixture_metadata *f = __fixture_list; f; f = f->next) {
		for (struct __test_metadata *t = f->tests; t; t = t->next)
			t->timeout = t->timeout * percent / 100 + 1;
	}
}

/**
 * TEST_PROGRAM() - The last lines of a test program.
 * @_needs: NEEDS_*
 * @_summary: one line for run.sh --list
 */
#define TEST_PROGRAM(_needs, _summary)							\
	TEST_PROGRAM_WITH_OPTIONS(_needs, NULL, _summary)

/**
 * TEST_PROGRAM_WITH_OPTIONS() - The same for a program that has options of its own.
 * @_needs: NEEDS_*
 * @_options: a struct test_program_options
 * @_summary: one line for run.sh --list
 */
#define TEST_PROGRAM_WITH_OPTIONS(_needs, _options, _summary)				\
const struct test_program test_program = {						\
	.needs = (_needs), .summary = (_summary), .options = (_options)			\
};											\
											\
int main(int argc, char **argv)								\
{											\
	int ret;									\
											\
	test_program_start(&argc, argv);						\
	test_program_finish_with(harness_cases_ran);					\
	harness_scale_timeouts(test_options.timeout_percent);				\
	ret = test_harness_run(argc, argv);						\
	return test_options.list ? 0 : ret;						\
}

/*
 * A fixture with a variant for each IOMMU mode: define with this and FIXTURE_VARIANT_ADD() in a
 * macro of one argument for FOR_EACH_IOMMU_MODE().
 */
#define FIXTURE_VARIANT_IOMMU_MODE(_fixture)						\
FIXTURE_VARIANT(_fixture) { const char *iommu_mode; }

/** SKIP_IF_MISSING() - Skip a case or its set-up if @_missing, a sentence, is not NULL. */
#define SKIP_IF_MISSING(_missing) do {							\
	const char *__missing = (_missing);						\
											\
	if (__missing)									\
		SKIP(return, "%s", __missing);						\
} while (0)

/**
 * XFAIL() - End a case that has seen a bug which this kernel is known to have.
 * @statement: what leaves the case, e.g. return
 * @fmt: printf format of the reason: which kernels have it
 *
 * Only for what was observed, never instead of looking. Neither a pass nor a skip.
 */
#ifndef XFAIL
#define XFAIL(statement, fmt, ...) do {							\
	snprintf(_metadata->results->reason, sizeof(_metadata->results->reason), fmt,	\
		 ##__VA_ARGS__);							\
	_metadata->exit_code = KSFT_XFAIL;						\
	_metadata->trigger = 0;								\
	statement;									\
} while (0)
#endif

#endif /* TESTS_HARNESS_H */
