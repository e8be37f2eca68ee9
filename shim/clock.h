/* SPDX-License-Identifier: BSD-2-Clause */
/* Timeouts that outlive several sleeps. */
#ifndef PTNET_SHIM_CLOCK_H
#define PTNET_SHIM_CLOCK_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC. */
static inline uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* When a timeout is over, on CLOCK_MONOTONIC. */
struct deadline {
	bool never;
	struct timespec when;
};

static inline bool timespec_valid(const struct timespec *time)
{
	return time->tv_sec >= 0 && time->tv_nsec >= 0 && time->tv_nsec < 1000000000;
}

static inline bool timespec_zero(const struct timespec *time)
{
	return time->tv_sec == 0 && time->tv_nsec == 0;
}

/* NULL: never. */
static inline struct deadline deadline_after(const struct timespec *timeout)
{
	struct deadline d = {.never = timeout == NULL};

	if (d.never)
		return d;
	clock_gettime(CLOCK_MONOTONIC, &d.when);
	if (__builtin_add_overflow(d.when.tv_sec, timeout->tv_sec, &d.when.tv_sec)) {
		d.never = true;
		return d;
	}
	d.when.tv_nsec += timeout->tv_nsec;
	if (d.when.tv_nsec >= 1000000000) {
		d.when.tv_nsec -= 1000000000;
		d.when.tv_sec++;
	}
	return d;
}

/* What is left, at the least 0. Not for one that is never. */
static inline struct timespec deadline_left(const struct deadline *d)
{
	struct timespec now, left;

	clock_gettime(CLOCK_MONOTONIC, &now);
	left.tv_sec = d->when.tv_sec - now.tv_sec;
	left.tv_nsec = d->when.tv_nsec - now.tv_nsec;
	if (left.tv_nsec < 0) {
		left.tv_nsec += 1000000000;
		left.tv_sec--;
	}
	if (left.tv_sec < 0)
		left = (struct timespec){0, 0};
	return left;
}

static inline bool deadline_over(const struct deadline *d)
{
	struct timespec left;

	if (d->never)
		return false;
	left = deadline_left(d);
	return timespec_zero(&left);
}

/* Rounded up: nobody shall be woken too early. */
static inline int timespec_ms(const struct timespec *time)
{
	if (time->tv_sec > INT_MAX / 1000 - 1)
		return INT_MAX;
	return (int)(time->tv_sec * 1000 + (time->tv_nsec + 999999) / 1000000);
}

#endif
