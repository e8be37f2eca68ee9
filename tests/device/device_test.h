/* SPDX-License-Identifier: BSD-2-Clause */
/* What the device tests share: assertions on guests, and that the daemon does not grow. */
#ifndef DEVICE_TEST_H
#define DEVICE_TEST_H

/* cmocka wants these before its own header. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "client/daemon.h"

/*
 * Runs @start, the tests, and @end as a last test of its own: cmocka takes no notice
 * of a group's teardown that fails. Returns what main() shall.
 */
int run_device_tests(const char *name, const struct CMUnitTest *tests, size_t count,
		     CMFixtureFunction start, CMUnitTestFunction end);

/* Fails the test with the guest's own words. */
void assert_guest(const struct guest *guest);

/* Attaches or fails the test. */
void attach(struct endpoint *endpoint, struct daemon *daemon, const char *port, enum manner manner);

/* Opens a guest without a driver, or fails the test. */
void power_on(struct guest *guest, struct daemon *daemon, const char *port, enum guest_ram ram);

/* What the daemon holds. */
struct daemon_usage {
	unsigned fds;
	unsigned threads;
	uint64_t own_kb;
	uint64_t shared_kb; /* of regions, and of guest RAM */
};
/* Waits until what it closes is closed and its threads are those that it has at rest. */
void record_usage(struct daemon *daemon, struct daemon_usage *usage);
/*
 * Fails unless the daemon comes back to the descriptors it had (it may need a
 * moment to notice that its clients are gone), has as many threads, and its own memory has
 * not grown by more than @slack_kb. Memory is not judged under a sanitizer.
 */
void assert_usage(struct daemon *daemon, const struct daemon_usage *before, uint64_t slack_kb);
/*
 * The same, and holds shared memory to it: for when all of a region that will be touched has been
 * touched before.
 */
void assert_usage_with_shared(struct daemon *daemon, const struct daemon_usage *before,
			      uint64_t slack_kb);

uint64_t monotonic_ns(void);

/* $PTNET_TEST_SCALE: by how much slow builds divide the numbers of what is repeated; else 1. */
unsigned test_scale(void);

/*
 * Evaluates the condition again and again until it holds; fails the test after 20
 * seconds. For what only can be looked at, like shared memory and counters.
 */
#define assert_eventually(condition)                                                               \
	do {                                                                                       \
		uint64_t deadline_ns = monotonic_ns() + 20000000000u;                              \
                                                                                                   \
		while (!(condition)) {                                                             \
			if (monotonic_ns() > deadline_ns)                                          \
				fail_msg("does not come true: %s", #condition);                    \
			look_again_later();                                                        \
		}                                                                                  \
	} while (0)
void look_again_later(void);

#endif
