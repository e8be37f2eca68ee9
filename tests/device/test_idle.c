/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two hundred endpoints that are attached and have nothing to do cost nothing: in
 * ten seconds no thread of the daemon is woken once, by the daemon's own counters
 * and by the kernel's.
 */
#include "client/traffic.h"
#include "device_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define SWITCH_PORTS 120
#define PIPES	     40
#define ENDPOINTS    (SWITCH_PORTS + 2 * PIPES)
#define BURST	     400 /* packets, from each to its neighbour */
#define IDLE_SECONDS (test_scale() == 1 ? 10u : 3u)
#define NEW_SECONDS  3u /* that is looked at before anything was sent */
#define MAX_THREADS  64
#define MAX_WORKERS  64

static struct daemon ptnetd;
static struct daemon_usage usage;
static struct endpoint endpoints[ENDPOINTS];
static struct traffic traffic;

/* Endpoints 2 * i and 2 * i + 1 are neighbours. */
static void port_name(char name[32], unsigned number)
{
	unsigned pipe_end = number - SWITCH_PORTS;

	if (number < SWITCH_PORTS)
		snprintf(name, 32, "vale0:p%u", number);
	else
		snprintf(name, 32, pipe_end % 2 == 0 ? "link{%u" : "link}%u", pipe_end / 2);
}

static char *configuration(void)
{
	json_t *ports = json_array(), *pipes = json_array(), *all;
	char name[32], *text;

	for (unsigned i = 0; i < ENDPOINTS; i++) {
		port_name(name, i);
		if (i < SWITCH_PORTS)
			json_array_append_new(ports,
					      json_pack("{s:s, s:i}", "name", name, "pipes", 0));
		else if (i % 2 == 0)
			json_array_append_new(pipes, json_pack("{s:s, s:s, s:i}", "name", name,
							       "region", "links", "slots", 256));
	}
	all = json_pack("{s:o, s:o, s:[{s:s, s:i, s:i, s:i}]}", "ports", ports, "pipes", pipes,
			"regions", "name", "links", "if_num", 2 * PIPES + 4, "ring_num",
			4 * PIPES + 8, "csb_num", 2 * PIPES);
	text = json_dumps(all, 0);
	json_decref(all);
	return text;
}

static int start(void **state)
{
	struct rlimit files;
	char *text = configuration();
	int result;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	for (unsigned i = 0; i < ENDPOINTS; i++)
		guest_init(&endpoints[i].guest);
	result = daemon_start(&ptnetd, text);
	free(text);
	if (result == 0)
		record_usage(&ptnetd, &usage);
	return result;
}

static void stop(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ENDPOINTS; i++)
		endpoint_kill(&endpoints[i]);
	assert_usage(&ptnetd, &usage, 8192);
	assert_int_equal(daemon_stop(&ptnetd), 0);
}

static void attach_all(void)
{
	char name[32];

	for (unsigned i = 0; i < ENDPOINTS; i++) {
		port_name(name, i);
		attach(&endpoints[i], &ptnetd, name, i / 2 % NUM_MANNERS);
	}
}

static void burst(unsigned from, unsigned to, uint32_t run)
{
	struct traffic_config config = {
		.pipe = from >= SWITCH_PORTS, .packets = BURST, .window = 64, .run = run};

	if (traffic_start(&traffic, &endpoints[from], &endpoints[to], &config) < 0 ||
	    traffic_join(&traffic) < 0)
		fail_msg("from endpoint %u to %u: %s", from, to, traffic.error_text);
	assert_int_equal(traffic_received(&traffic), BURST);
}

/* What a sleeping driver leaves: nothing to read, interrupts asked for. */
static void go_to_sleep(struct driver *driver)
{
	for (unsigned i = 0; i < driver->rx_rings; i++) {
		struct ring *ring = driver_rx(driver, i);

		do {
			ring_publish(ring, ring_avail(ring));
		} while (ring_arm(ring));
	}
}

struct snapshot {
	unsigned num_threads;
	struct daemon_thread threads[MAX_THREADS];
	uint64_t cpu_ns;
};

static void take_snapshot(struct snapshot *snapshot)
{
	snapshot->cpu_ns = daemon_cpu_ns(&ptnetd);
	snapshot->num_threads = daemon_threads(&ptnetd, snapshot->threads, MAX_THREADS);
	assert_in_range(snapshot->num_threads, 2, MAX_THREADS);
}

static unsigned read_wakeups(uint64_t wakeups[MAX_WORKERS])
{
	json_t *workers = daemon_request(&ptnetd, "workers", NULL), *worker;
	unsigned count = 0;
	size_t i;

	json_array_foreach(workers, i, worker)
	{
		json_t *value = json_object_get(worker, "wakeups");

		assert_true(json_is_integer(value));
		assert_true(count < MAX_WORKERS);
		wakeups[count++] = (uint64_t)json_integer_value(value);
	}
	json_decref(workers);
	assert_true(count > 0);
	return count;
}

/* Asking costs a wake-up of the thread that answers, so it is done before and after. */
static void nobody_is_woken(unsigned seconds)
{
	static struct snapshot before, after;
	uint64_t wakeups_before[MAX_WORKERS], wakeups_after[MAX_WORKERS];
	struct timespec idle = {.tv_sec = seconds};
	unsigned workers;

	assert_int_equal(daemon_wait_quiet(&ptnetd), 0);
	workers = read_wakeups(wakeups_before);
	assert_int_equal(daemon_wait_quiet(&ptnetd), 0);
	take_snapshot(&before);
	nanosleep(&idle, NULL);
	take_snapshot(&after);
	assert_int_equal(read_wakeups(wakeups_after), workers);
	assert_int_equal(before.num_threads, after.num_threads);
	for (unsigned i = 0; i < before.num_threads; i++) {
		const struct daemon_thread *was = &before.threads[i], *is = &after.threads[i];

		assert_int_equal(was->tid, is->tid);
		if (was->voluntary != is->voluntary || was->involuntary != is->involuntary)
			fail_msg("thread %s was woken: %llu voluntary and %llu other context "
				 "switches in %u s",
				 is->name, (unsigned long long)(is->voluntary - was->voluntary),
				 (unsigned long long)(is->involuntary - was->involuntary), seconds);
	}
	for (unsigned i = 0; i < workers; i++)
		if (wakeups_before[i] != wakeups_after[i])
			fail_msg("worker %u counts %llu wake-ups in %u s", i,
				 (unsigned long long)(wakeups_after[i] - wakeups_before[i]),
				 seconds);
	print_message("%u threads, %u s: no wake-up, %llu us of CPU time\n", before.num_threads,
		      seconds, (unsigned long long)(after.cpu_ns - before.cpu_ns) / 1000);
}

static uint64_t all_wakeups(void)
{
	uint64_t wakeups[MAX_WORKERS], sum = 0;
	unsigned workers = read_wakeups(wakeups);

	for (unsigned i = 0; i < workers; i++)
		sum += wakeups[i];
	return sum;
}

static void two_hundred_idle_endpoints(void **state)
{
	uint64_t before;
	uint32_t run = 0;

	(void)state;
	attach_all();
	nobody_is_woken(NEW_SECONDS);
	for (unsigned i = 0; i < ENDPOINTS; i += 2) {
		burst(i, i + 1, ++run);
		burst(i + 1, i, ++run);
	}
	for (unsigned i = 0; i < ENDPOINTS; i++)
		go_to_sleep(&endpoints[i].driver);
	nobody_is_woken(IDLE_SECONDS);
	/* The counters do count. */
	before = all_wakeups();
	burst(0, 1, ++run);
	assert_true(all_wakeups() > before);
	for (unsigned i = 0; i < ENDPOINTS; i++)
		assert_int_equal(endpoint_detach(&endpoints[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_hundred_idle_endpoints),
	};

	return run_device_tests("idle", tests, sizeof(tests) / sizeof(tests[0]), start, stop);
}
