/* SPDX-License-Identifier: BSD-2-Clause */
#include "device_test.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_THREADS 64

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

static unsigned count_threads(const struct daemon *daemon)
{
	struct daemon_thread threads[MAX_THREADS];

	return daemon_threads(daemon, threads, MAX_THREADS);
}

void record_usage(struct daemon *daemon, struct daemon_usage *usage)
{
	/* Its answer says that it has accepted our connection. */
	json_decref(daemon_request(daemon, "version", NULL));
	usage->fds = daemon_num_fds(daemon);
	/* Sanitizers' own threads don't count, and ours say who they are when they first run. */
	uint64_t deadline_ns = monotonic_ns() + 20000000000u;
	do
		usage->threads = count_threads(daemon);
	while (usage->threads < 2 && monotonic_ns() < deadline_ns && sched_yield() == 0);
	usage->rss_anon_kb = daemon_memory_kb(daemon, "RssAnon");
	usage->rss_shmem_kb = daemon_memory_kb(daemon, "RssShmem");
	assert_true(usage->fds > 3);
	assert_true(usage->threads >= 2);
	assert_true(usage->rss_anon_kb > 0);
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
	assert_int_equal(count_threads(daemon), before->threads);
	print_message("ptnetd: %u descriptors and %u threads, as before\n", before->fds,
		      before->threads);
	assert_kb(daemon, "own", before->rss_anon_kb, daemon_memory_kb(daemon, "RssAnon"),
		  slack_kb);
}

void assert_usage_with_shared(struct daemon *daemon, const struct daemon_usage *before,
			      uint64_t slack_kb)
{
	assert_usage(daemon, before, slack_kb);
	assert_kb(daemon, "shared", before->rss_shmem_kb, daemon_memory_kb(daemon, "RssShmem"),
		  slack_kb);
}
