// SPDX-License-Identifier: GPL-2.0-only
#include <time.h>

#include <libvfio/deadline.h>

#define NS_PER_MS 1000000ULL
#define NS_PER_S 1000000000ULL

/* Polls before a waiter starts to sleep, and for how long it then sleeps each time. */
#define SPIN_POLLS 2000
#define SLEEP_NS 50000

static unsigned int scale_percent = 100;

u64 deadline_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

void deadline_set_scale(unsigned int percent)
{
	scale_percent = percent;
}

u64 deadline_scale_ms(u64 ms)
{
	return ms * scale_percent / 100;
}

void deadline_settle_ms(u64 ms)
{
	/* Somebody who shortens the bounds does not want to overlook what comes late. */
	u64 settle = scale_percent > 100 ? deadline_scale_ms(ms) : ms;
	const struct timespec nap = {
		.tv_sec = settle * NS_PER_MS / NS_PER_S,
		.tv_nsec = settle * NS_PER_MS % NS_PER_S,
	};

	nanosleep(&nap, NULL);
}

struct deadline deadline_after_ms(u64 ms)
{
	return (struct deadline){ .ns = deadline_now_ns() + deadline_scale_ms(ms) * NS_PER_MS };
}

bool deadline_expired(struct deadline *deadline)
{
	const struct timespec nap = { .tv_nsec = SLEEP_NS };

	if (deadline->polls++ < SPIN_POLLS)
		__builtin_ia32_pause();
	else
		nanosleep(&nap, NULL);

	return deadline_now_ns() >= deadline->ns;
}
