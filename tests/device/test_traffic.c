/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ten million packets over each type of port, every one checked: one to four ring
 * pairs of different sizes, the three manners of drivers on either side, and on
 * both sides kicks when asked for or always, sleeping on interrupts or polling.
 */
#include "client/traffic.h"
#include "device_test.h"

#include <stdio.h>
#include <string.h>

#define PACKETS	  10000000u
#define MAX_RINGS 4
/* Of kicks and waiting, of sender and reader. */
#define POLICIES     (NUM_KICK_POLICIES * NUM_WAIT_POLICIES * NUM_KICK_POLICIES * NUM_WAIT_POLICIES)
#define COMBINATIONS (MAX_RINGS * NUM_MANNERS * POLICIES)

/* Ring sizes differ, one is not a power of two: the wrap falls everywhere. */
static const char configuration[] =
	"{\"ports\": ["
	"{\"name\": \"vale0:tx1\", \"rings\": 1, \"slots\": 1024},"
	"{\"name\": \"vale0:rx1\", \"rings\": 1, \"slots\": 1024},"
	"{\"name\": \"vale0:tx2\", \"rings\": 2, \"slots\": 512},"
	"{\"name\": \"vale0:rx2\", \"rings\": 2, \"slots\": 512},"
	"{\"name\": \"vale0:tx3\", \"rings\": 3, \"slots\": 300},"
	"{\"name\": \"vale0:rx3\", \"rings\": 3, \"slots\": 300},"
	"{\"name\": \"vale0:tx4\", \"rings\": 4, \"slots\": 128},"
	"{\"name\": \"vale0:rx4\", \"rings\": 4, \"slots\": 128}],"
	"\"pipes\": ["
	"{\"name\": \"link{1\", \"rings\": 1, \"slots\": 1024},"
	"{\"name\": \"link{2\", \"rings\": 2, \"slots\": 512, \"region\": \"shared\"},"
	"{\"name\": \"link{3\", \"rings\": 3, \"slots\": 300, \"region\": \"shared\"},"
	"{\"name\": \"link{4\", \"rings\": 4, \"slots\": 128, \"region\": \"shared\"}],"
	"\"regions\": [{\"name\": \"shared\"}]}";

static struct daemon ptnetd;
static struct daemon_usage usage;
static struct endpoint from, to;
static struct traffic traffic;
static uint64_t packets_per_type;

static int start(void **state)
{
	(void)state;
	packets_per_type = PACKETS / test_scale();
	guest_init(&from.guest);
	guest_init(&to.guest);
	if (daemon_start(&ptnetd, configuration) < 0)
		return -1;
	record_usage(&ptnetd, &usage);
	return 0;
}

static void stop(void **state)
{
	(void)state;
	assert_usage(&ptnetd, &usage, 2048);
	assert_int_equal(daemon_stop(&ptnetd), 0);
}

static int end_guests(void **state)
{
	(void)state;
	endpoint_kill(&from);
	endpoint_kill(&to);
	return 0;
}

/* One way of moving packets. */
struct combination {
	unsigned rings;
	enum manner sender, reader;
	enum kick_policy sender_kicks, reader_kicks;
	enum wait_policy sender_waits, reader_waits;
};

static struct combination combination_of(unsigned number, unsigned rings)
{
	struct combination c = {.rings = rings};

	c.sender_kicks = number % NUM_KICK_POLICIES;
	number /= NUM_KICK_POLICIES;
	c.sender_waits = number % NUM_WAIT_POLICIES;
	number /= NUM_WAIT_POLICIES;
	c.reader_kicks = number % NUM_KICK_POLICIES;
	number /= NUM_KICK_POLICIES;
	c.reader_waits = number % NUM_WAIT_POLICIES;
	number /= NUM_WAIT_POLICIES;
	c.sender = number % NUM_MANNERS;
	/* With one and four ring pairs the same on both sides, else mixed. */
	c.reader = (c.sender + rings - 1) % NUM_MANNERS;
	return c;
}

static const char *describe(const struct combination *c, bool pipe)
{
	static const char *const kicks[] = {"when asked", "always"};
	static const char *const waits[] = {"sleeping", "polling"};
	static char text[256];

	snprintf(text, sizeof(text),
		 "%s, %u ring pairs, sender %s kicks %s, %s; reader %s kicks %s, %s",
		 pipe ? "pipe" : "switch", c->rings, manner_names[c->sender],
		 kicks[c->sender_kicks], waits[c->sender_waits], manner_names[c->reader],
		 kicks[c->reader_kicks], waits[c->reader_waits]);
	return text;
}

static void port_names(char names[2][32], bool pipe, unsigned rings)
{
	snprintf(names[0], sizeof(names[0]), pipe ? "link{%u" : "vale0:tx%u", rings);
	snprintf(names[1], sizeof(names[1]), pipe ? "link}%u" : "vale0:rx%u", rings);
}

/*
 * Bursts have any size up to this many packets: a power of two up to 128, each of them with each
 * combination of policies, and with each manner on each number of ring pairs.
 */
static unsigned largest_burst(const struct combination *c)
{
	unsigned policy = c->sender_kicks;

	policy = policy * NUM_WAIT_POLICIES + c->sender_waits;
	policy = policy * NUM_KICK_POLICIES + c->reader_kicks;
	policy = policy * NUM_WAIT_POLICIES + c->reader_waits;
	return 1u << (policy + 3 * c->sender + 2 * c->rings) % 8;
}

static void move(const struct combination *c, bool pipe, uint64_t packets, uint32_t run)
{
	struct traffic_config config = {.pipe = pipe, .packets = packets, .run = run};
	char names[2][32];

	port_names(names, pipe, c->rings);
	attach(&from, &ptnetd, names[0], c->sender);
	attach(&to, &ptnetd, names[1], c->reader);
	/* A QEMU that does not await replies to I/O writes, where kicks are many. */
	from.guest.post_io = c->sender_kicks == KICK_ALWAYS;
	to.guest.post_io = c->reader_kicks == KICK_ALWAYS;
	endpoint_set_policy(&from, c->sender_kicks, c->sender_waits);
	endpoint_set_policy(&to, c->reader_kicks, c->reader_waits);
	config.max_batch = largest_burst(c);
	if (traffic_start(&traffic, &from, &to, &config) < 0 || traffic_join(&traffic) < 0) {
		daemon_print_log(&ptnetd);
		fail_msg("%s: %s", describe(c, pipe), traffic.error_text);
	}
	assert_int_equal(traffic_received(&traffic), packets);
	/* Fresh rings: nothing of the run before may show up. */
	assert_int_equal(traffic.stale, 0);
	assert_int_equal(traffic.foreign, 0);
	assert_int_equal(endpoint_detach(&from), 0);
	assert_int_equal(endpoint_detach(&to), 0);
}

/* The daemon has counted what we have, and has dropped nothing. */
static void check_counters(bool pipe, unsigned rings, uint64_t packets)
{
	static const char *const drops[] = {
		"drop_bad_slot",  "drop_too_short", "drop_too_long", "drop_too_many_fragments",
		"drop_same_port", "drop_ring_full", "faults",	     "interrupts_failed"};
	char names[2][32];
	int64_t sent = 0, received = 0;

	port_names(names, pipe, rings);
	for (unsigned i = 0; i < rings; i++) {
		sent += daemon_ring_counter(&ptnetd, names[0], "tx", i, "packets");
		received += daemon_ring_counter(&ptnetd, names[1], "rx", i, "packets");
	}
	assert_int_equal(sent, packets);
	assert_int_equal(received, packets);
	for (unsigned end = 0; end < 2; end++)
		for (size_t i = 0; i < sizeof(drops) / sizeof(drops[0]); i++)
			if (daemon_port_counter(&ptnetd, names[end], drops[i]) != 0)
				fail_msg("%s: %lld %s", names[end],
					 (long long)daemon_port_counter(&ptnetd, names[end],
									drops[i]),
					 drops[i]);
}

static void move_all(bool pipe)
{
	uint64_t each = packets_per_type / COMBINATIONS;
	uint64_t rest = packets_per_type % COMBINATIONS;
	uint32_t run = 0;

	for (unsigned rings = 1; rings <= MAX_RINGS; rings++) {
		uint64_t begin = monotonic_ns(), sum = 0;

		for (unsigned i = 0; i < COMBINATIONS / MAX_RINGS; i++, run++) {
			struct combination c = combination_of(i, rings);
			uint64_t packets = each + (run < rest);

			move(&c, pipe, packets, run + 1);
			sum += packets;
		}
		print_message("%s, %u ring pairs: %llu packets in %llu ms\n",
			      pipe ? "pipe" : "switch", rings, (unsigned long long)sum,
			      (unsigned long long)(monotonic_ns() - begin) / 1000000);
		check_counters(pipe, rings, sum);
	}
}

static void ten_million_over_a_switch(void **state)
{
	(void)state;
	move_all(false);
}

static void ten_million_over_a_pipe(void **state)
{
	(void)state;
	move_all(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(ten_million_over_a_switch, end_guests),
		cmocka_unit_test_teardown(ten_million_over_a_pipe, end_guests),
	};

	return run_device_tests("traffic", tests, sizeof(tests) / sizeof(tests[0]), start, stop);
}
