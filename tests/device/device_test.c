/* SPDX-License-Identifier: BSD-2-Clause */
#include "device_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MAX_THREADS  64
#define IDLE_CLOSERS 2 /* that the daemon keeps when nothing is to be closed */

static CMFixtureFunction start_tests;
static bool started;

static int start_and_note(void **state)
{
	int result = start_tests(state);

	started = result == 0;
	return result;
}

int run_device_tests(const char *name, const struct CMUnitTest *tests, size_t count,
		     CMFixtureFunction start, CMUnitTestFunction end)
{
	const struct CMUnitTest last = {.name = "the daemon is as it was, and ends",
					.test_func = end};
	int failed;

	start_tests = start;
	failed = _cmocka_run_group_tests(name, tests, count, start_and_note, NULL);
	if (!started)
		return 1;
	failed += _cmocka_run_group_tests(name, &last, 1, NULL, NULL);
	return failed != 0;
}

uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

unsigned test_scale(void)
{
	const char *scale = getenv("PTNET_TEST_SCALE");
	unsigned long value = scale != NULL ? strtoul(scale, NULL, 10) : 1;

	return value == 0 ? 1 : (unsigned)value;
}

void look_again_later(void)
{
	struct timespec pause = {.tv_nsec = 200000};

	nanosleep(&pause, NULL);
}

void assert_guest(const struct guest *guest)
{
	if (guest_failed(guest))
		fail_msg("guest: %s", guest->error_text);
}

void attach(struct endpoint *endpoint, struct daemon *daemon, const char *port, enum manner manner)
{
	struct port_paths paths;

	assert_int_equal(daemon_port_paths(daemon, port, &paths), 0);
	if (endpoint_attach(endpoint, &paths, manner) < 0) {
		daemon_print_log(daemon);
		fail_msg("attaching to %s as %s: %s", port, manner_names[manner],
			 endpoint->guest.error_text);
	}
}

void power_on(struct guest *guest, struct daemon *daemon, const char *port, enum guest_ram ram)
{
	struct port_paths paths;

	assert_int_equal(daemon_port_paths(daemon, port, &paths), 0);
	if (guest_open(guest, paths.netif, paths.memdev, ram) < 0)
		fail_msg("guest on %s: %s", port, guest->error_text);
}

static unsigned count_named(const struct daemon_thread *threads, unsigned count, const char *name)
{
	unsigned named = 0;

	for (unsigned i = 0; i < count; i++)
		named += strncmp(threads[i].name, name, strlen(name)) == 0;
	return named;
}

static int64_t number_in(struct daemon *daemon, const char *command, const char *member)
{
	json_t *result = daemon_request(daemon, command, NULL);
	json_t *value = json_object_get(result, member);
	int64_t number = json_integer_value(value);

	assert_true(json_is_integer(value));
	json_decref(result);
	return number;
}

/*
 * Its threads, if they are those that it has at rest: each worker has said who it is, and there
 * are as many closers as wait for work, none that is about to end. Else 0.
 */
static unsigned threads_at_rest(struct daemon *daemon)
{
	struct daemon_thread threads[MAX_THREADS];
	json_t *workers = daemon_request(daemon, "workers", NULL);
	unsigned count = daemon_threads(daemon, threads, MAX_THREADS);
	bool rest = count_named(threads, count, "worker-") == json_array_size(workers) &&
		    (daemon_is_sanitized(daemon) ||
		     count_named(threads, count, "closer") == IDLE_CLOSERS);

	json_decref(workers);
	return rest ? count : 0;
}

void record_usage(struct daemon *daemon, struct daemon_usage *usage)
{
	/* The answer says, too, that it has accepted our connection. */
	assert_eventually(number_in(daemon, "version", "closing") == 0);
	assert_eventually((usage->threads = threads_at_rest(daemon)) != 0);
	usage->fds = daemon_num_fds(daemon);
	usage->own_kb = daemon_own_memory_kb(daemon);
	usage->shared_kb = daemon_shared_memory_kb(daemon);
	assert_true(usage->fds > 3);
	assert_true(usage->own_kb > 0);
}

static void assert_kb(const struct daemon *daemon, const char *kind, uint64_t before_kb,
		      uint64_t now_kb, uint64_t slack_kb)
{
	print_message("ptnetd: %s memory %llu kB, was %llu kB\n", kind, (unsigned long long)now_kb,
		      (unsigned long long)before_kb);
	if (!daemon_is_sanitized(daemon) && now_kb > before_kb + slack_kb)
		fail_msg("ptnetd's %s memory grew from %llu to %llu kB", kind,
			 (unsigned long long)before_kb, (unsigned long long)now_kb);
}

void assert_usage(struct daemon *daemon, const struct daemon_usage *before, uint64_t slack_kb)
{
	uint64_t deadline_ns = monotonic_ns() + 20000000000u;

	while (daemon_num_fds(daemon) != before->fds) {
		if (monotonic_ns() > deadline_ns) {
			daemon_print_log(daemon);
			fail_msg("ptnetd had %u descriptors, now it has %u", before->fds,
				 daemon_num_fds(daemon));
		}
		look_again_later();
	}
	assert_eventually(threads_at_rest(daemon) == before->threads);
	print_message("ptnetd: %u descriptors and %u threads, as before\n", before->fds,
		      before->threads);
	assert_kb(daemon, "own", before->own_kb, daemon_own_memory_kb(daemon), slack_kb);
}

void assert_usage_with_shared(struct daemon *daemon, const struct daemon_usage *before,
			      uint64_t slack_kb)
{
	assert_usage(daemon, before, slack_kb);
	assert_kb(daemon, "shared", before->shared_kb, daemon_shared_memory_kb(daemon), slack_kb);
}
