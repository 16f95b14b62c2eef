/* SPDX-License-Identifier: GPL-2.0-only */
/* Bounded waiting. Every wait of the project goes through here, so --timeout scales them all. */
#ifndef LIBVFIO_DEADLINE_H
#define LIBVFIO_DEADLINE_H

#include <stdbool.h>

#include <linux/types.h>

/**
 * struct deadline - The moment at which a wait gives up.
 * @ns: CLOCK_MONOTONIC time in nanoseconds
 * @polls: how often the deadline was asked so far, decides when to stop burning the CPU
 */
struct deadline {
	u64 ns;
	u64 polls;
};

/** deadline_now_ns() - The time of CLOCK_MONOTONIC in nanoseconds. */
u64 deadline_now_ns(void);

/**
 * deadline_set_scale() - Multiply every later deadline by @percent / 100.
 * @percent: 100 is the default; slow machines want more
 */
void deadline_set_scale(unsigned int percent);

/**
 * deadline_scale_ms() - What a bound of @ms really is under the scale in force.
 * @ms: milliseconds, unscaled
 *
 * Return: milliseconds, scaled.
 */
u64 deadline_scale_ms(u64 ms);

/**
 * deadline_settle_ms() - Wait for something that must not come.
 * @ms: milliseconds; a scale above 100 makes them longer, one below never shorter
 */
void deadline_settle_ms(u64 ms);

/**
 * deadline_after_ms() - A deadline @ms milliseconds from now, scaled.
 * @ms: milliseconds, unscaled
 */
struct deadline deadline_after_ms(u64 ms);

/**
 * deadline_expired() - Ask whether to give up; to be called between two polls.
 * @deadline: from deadline_after_ms()
 *
 * Relaxes the CPU first, and after some polls sleeps for some microseconds, so that a waiter
 * never starves the thread it waits for, even where all CPUs share one.
 *
 * Return: true once the deadline has passed. Poll the condition once more then: this thread
 * may have been preempted between its last look and the deadline.
 */
bool deadline_expired(struct deadline *deadline);

/**
 * wait_for() - Poll @_condition until it holds or @_ms milliseconds, scaled, are over.
 * @_condition: expression without side effects that matter
 * @_ms: bound in milliseconds, unscaled
 *
 * Return: true if the condition came to hold.
 */
#define wait_for(_condition, _ms) ({				\
	struct deadline __deadline = deadline_after_ms(_ms);	\
	bool __held;						\
								\
	while (!(__held = !!(_condition))) {			\
		if (deadline_expired(&__deadline)) {		\
			__held = !!(_condition);		\
			break;					\
		}						\
	}							\
	__held;							\
})

#endif /* LIBVFIO_DEADLINE_H */
