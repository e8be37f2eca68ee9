/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the attacks of hostile/ one by one and checks after each that the daemon has
 * counted it under its name and that the other guests' traffic goes on. When all are
 * over, not one of those packets may be missing, and the daemon is as it was before.
 *
 * $PTNET_SEED repeats the random numbers of an earlier run; an argument runs only
 * the attacks whose name contains it.
 */
#include "hostile/hostile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "client/packet.h"
#include "client/traffic.h"

#define PROGRESS 200 /* packets that each background traffic must move after an attack */

static const char configuration[] =
	"{\"engine\": {\"workers\": 2},"
	"\"ports\": ["
	"{\"name\": \"vale0:good1\", \"slots\": 1024},"
	"{\"name\": \"vale0:good2\", \"slots\": 1024},"
	"{\"name\": \"vale0:evil\", \"rings\": 2, \"slots\": 128, \"pipes\": 0},"
	"{\"name\": \"vale0:sink\", \"rings\": 2, \"slots\": 1024}],"
	"\"pipes\": ["
	"{\"name\": \"good{1\", \"slots\": 512},"
	"{\"name\": \"evil{1\", \"rings\": 2, \"slots\": 128}]}";

struct daemon ptnetd;
struct endpoint evil;
struct guest evil_guest;
struct port_paths evil_paths;

static struct daemon_usage usage;
static uint32_t seed;
static uint64_t dice_state;

uint32_t dice(uint32_t sides)
{
	/* Xorshift: repeatable, and good enough to do damage with. */
	dice_state ^= dice_state << 13;
	dice_state ^= dice_state >> 7;
	dice_state ^= dice_state << 17;
	return (uint32_t)(dice_state >> 16) % sides;
}

/* ---- the guests that must not suffer ---- */

struct background {
	const char *from_port, *to_port;
	enum manner from_manner, to_manner;
	bool pipe;
	struct endpoint from, to;
	struct traffic traffic;
};

static struct background background[] = {
	{.from_port = "vale0:good1",
	 .to_port = "vale0:good2",
	 .from_manner = MANNER_LINUX,
	 .to_manner = MANNER_OURS},
	{.from_port = "good{1",
	 .to_port = "good}1",
	 .from_manner = MANNER_OURS,
	 .to_manner = MANNER_FREEBSD,
	 .pipe = true},
};
#define NUM_BACKGROUND (sizeof(background) / sizeof(background[0]))

static void start_background(struct background *b, uint32_t run)
{
	struct traffic_config config = {
		.pipe = b->pipe, .max_batch = 8, .window = 256, .pace_us = 1000, .run = run};

	attach(&b->from, &ptnetd, b->from_port, b->from_manner);
	attach(&b->to, &ptnetd, b->to_port, b->to_manner);
	if (traffic_start(&b->traffic, &b->from, &b->to, &config) < 0)
		fail_msg("%s", b->traffic.error_text);
}

static void assert_background_goes_on(struct background *b)
{
	uint64_t before = traffic_received(&b->traffic);

	assert_eventually(atomic_load(&b->traffic.failed) ||
			  traffic_received(&b->traffic) >= before + PROGRESS);
	if (atomic_load(&b->traffic.failed)) {
		daemon_print_log(&ptnetd);
		fail_msg("traffic from %s to %s: %s", b->from_port, b->to_port,
			 b->traffic.error_text);
	}
}

static void end_background(struct background *b)
{
	traffic_stop(&b->traffic);
	if (traffic_join(&b->traffic) < 0)
		fail_msg("traffic from %s to %s: %s", b->from_port, b->to_port,
			 b->traffic.error_text);
	print_message("%s to %s: %llu packets, all there; %llu of others\n", b->from_port,
		      b->to_port, (unsigned long long)traffic_received(&b->traffic),
		      (unsigned long long)atomic_load(&b->traffic.foreign));
	assert_int_equal(daemon_port_counter(&ptnetd, b->to_port, "drop_ring_full"), 0);
	assert_int_equal(endpoint_detach(&b->from), 0);
	assert_int_equal(endpoint_detach(&b->to), 0);
}

/* ---- the sink ---- */

static struct {
	struct endpoint endpoint;
	pthread_t thread;
	int stop_event;
	bool stop;
	uint64_t received;
	const char *complaint;
} sink;

/* Whatever was sent, a receiver sees sound slots only. */
static void sink_look_at(const struct ring *ring, uint32_t ahead)
{
	struct netmap_slot slot = *ring_slot(ring, ahead);

	if (slot.buf_idx < 2 || slot.buf_idx >= ring->driver->buf_total)
		sink.complaint = "got a buffer that does not exist";
	else if (slot.len > ring->driver->buf_size || slot.len == 0)
		sink.complaint = "got a slot longer than its buffer, or empty";
}

static void *sink_run(void *argument)
{
	struct ring *rings[EVIL_RINGS];

	(void)argument;
	for (unsigned i = 0; i < EVIL_RINGS; i++)
		rings[i] = driver_rx(&sink.endpoint.driver, i);
	while (!__atomic_load_n(&sink.stop, __ATOMIC_ACQUIRE)) {
		uint32_t got = 0;

		for (unsigned i = 0; i < EVIL_RINGS; i++) {
			uint32_t avail = ring_avail(rings[i]);

			for (uint32_t j = 0; j < avail; j++)
				sink_look_at(rings[i], j);
			if (avail > 0)
				ring_publish(rings[i], avail);
			got += avail;
		}
		__atomic_fetch_add(&sink.received, got, __ATOMIC_RELAXED);
		if (got == 0)
			rings_wait(rings, EVIL_RINGS, sink.stop_event);
	}
	return NULL;
}

uint64_t sink_received(void)
{
	return __atomic_load_n(&sink.received, __ATOMIC_RELAXED);
}

const uint8_t *sink_mac(void)
{
	return sink.endpoint.driver.mac;
}

static void put_header(char *buf, const uint8_t *destination, const uint8_t *source)
{
	memcpy(buf, destination, 6);
	memcpy(buf + 6, source, 6);
	memcpy(buf + 12, "\x88\xb6", 2); /* not what the background sends */
}

void sink_sends(const uint8_t *destination)
{
	struct ring *ring = driver_tx(&sink.endpoint.driver, 0);
	struct netmap_slot *slot;

	assert_eventually(ring_avail(ring) > 0);
	slot = ring_slot(ring, 0);
	put_header(ring_buf(ring, slot->buf_idx), destination, sink_mac());
	slot->len = 60;
	slot->flags = 0;
	ring_publish(ring, 1);
	assert_eventually(PTNET_LOAD_ACQUIRE(&ring->ktoa->hwcur) == ring->head);
}

/*
 * The switch shall know where the sink is. Not once and for all: an attacker whose receive buffers
 * are its send buffers sends what it got, with the sink's address as source, and when it goes
 * nobody is known at that address. All that is for the sink would then go to everybody.
 */
static void sink_says_where_it_is(void)
{
	sink_sends((const uint8_t[]){0xff, 0xff, 0xff, 0xff, 0xff, 0xff});
}

static void sink_start(void)
{
	attach(&sink.endpoint, &ptnetd, "vale0:sink", MANNER_OURS);
	sink.stop_event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	assert_int_equal(pthread_create(&sink.thread, NULL, sink_run, NULL), 0);
	sink_says_where_it_is();
}

static void sink_end(void)
{
	const uint64_t one = 1;

	__atomic_store_n(&sink.stop, true, __ATOMIC_RELEASE);
	assert_int_equal(write(sink.stop_event, &one, sizeof(one)), sizeof(one));
	pthread_join(sink.thread, NULL);
	close(sink.stop_event);
	if (sink.complaint != NULL)
		fail_msg("the sink %s", sink.complaint);
	assert_int_equal(endpoint_detach(&sink.endpoint), 0);
}

/* ---- the attacker's tools ---- */

void fill_slot(struct ring *ring, struct netmap_slot *slot, uint16_t size)
{
	uint32_t idx = __atomic_load_n(&slot->buf_idx, __ATOMIC_RELAXED);

	slot->len = size;
	slot->flags = 0;
	if (idx < ring->driver->buf_total)
		put_header(ring_buf(ring, idx), sink_mac(), ring->driver->mac);
}

void aim_buffers(struct driver *driver)
{
	for (uint32_t i = 0; i < driver->buf_total; i++)
		put_header(driver->bufs + (uint64_t)i * driver->buf_size, sink_mac(), driver->mac);
}

static void *hammer_run(void *argument)
{
	struct hammer *hammer = argument;

	for (unsigned turn = 0; !__atomic_load_n(&hammer->stop, __ATOMIC_RELAXED); turn++) {
		for (unsigned i = 0; i < hammer->driver->tx_rings; i++) {
			struct ring *ring = driver_tx(hammer->driver, i);
			uint32_t count = 1 + turn % 31;

			if (hammer->lawful && count > ring_avail(ring))
				count = ring_avail(ring);
			for (uint32_t j = 0; j < count; j++)
				fill_slot(ring, ring_slot(ring, j), 60);
			ring->head = ring_ahead(ring, ring->head, count);
			ptnet_csb_publish(ring->atok, ring->head, ring->head);
			guest_kick(hammer->driver->guest, i);
		}
	}
	return NULL;
}

void hammer_start(struct hammer *hammer, struct driver *driver, bool lawful)
{
	*hammer = (struct hammer){.driver = driver, .lawful = lawful};
	assert_int_equal(pthread_create(&hammer->thread, NULL, hammer_run, hammer), 0);
}

void hammer_stop(struct hammer *hammer)
{
	__atomic_store_n(&hammer->stop, true, __ATOMIC_RELAXED);
	pthread_join(hammer->thread, NULL);
}

void await_attackers_gone(void)
{
	assert_eventually(daemon_attachment_counter(&ptnetd, EVIL_PORT, "connected") == 0 &&
			  daemon_attachment_counter(&ptnetd, EVIL_PIPE, "connected") == 0 &&
			  daemon_memory_counter(&ptnetd, EVIL_PORT, "connections") == 0 &&
			  daemon_memory_counter(&ptnetd, EVIL_PIPE, "connections") <= 1);
}

/* ---- running ---- */

static int start(void **state)
{
	struct rlimit files;

	(void)state;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	guest_init(&evil.guest);
	guest_init(&evil_guest);
	if (daemon_start(&ptnetd, configuration) < 0)
		return -1;
	record_usage(&ptnetd, &usage);
	assert_int_equal(daemon_port_paths(&ptnetd, EVIL_PORT, &evil_paths), 0);
	sink_start();
	for (uint32_t i = 0; i < NUM_BACKGROUND; i++)
		start_background(&background[i], i + 1);
	return 0;
}

static void stop(void **state)
{
	(void)state;
	for (size_t i = 0; i < NUM_BACKGROUND; i++)
		end_background(&background[i]);
	sink_end();
	descriptors_let_go();
	assert_usage(&ptnetd, &usage, 4096);
	assert_int_equal(daemon_stop(&ptnetd), 0);
}

static bool is_of_port(const char *counter)
{
	static const char *const names[] = {"faults", "bad_kicks", "interrupts_sent",
					    "interrupts_failed"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strcmp(counter, names[i]) == 0)
			return true;
	return strncmp(counter, "drop_", 5) == 0;
}

static int64_t counter_of(const char *port, const char *counter)
{
	int64_t value;

	if (strcmp(port, EVIL_MEMORY) == 0)
		value = daemon_memory_counter(&ptnetd, EVIL_PORT, counter);
	else if (is_of_port(counter))
		value = daemon_port_counter(&ptnetd, port, counter);
	else
		value = daemon_attachment_counter(&ptnetd, port, counter);
	assert_true(value >= 0);
	return value;
}

/* All that counts as wrong, wherever the attacker sits. */
static int64_t all_faults(void)
{
	static const char *const ports[] = {EVIL_PORT, EVIL_PIPE, EVIL_PEER};
	int64_t sum = counter_of(EVIL_MEMORY, "protocol_errors");

	for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		sum += counter_of(ports[i], "faults") + counter_of(ports[i], "bad_kicks") +
		       counter_of(ports[i], "protocol_errors");
	return sum;
}

#define MAX_COUNTERS 8

/* The attack's counters by name, in @names, cut out of @text; and their values. */
static unsigned read_counters(const struct attack *attack, char *text,
			      const char *names[MAX_COUNTERS], int64_t values[MAX_COUNTERS])
{
	const char *port = attack->port != NULL ? attack->port : EVIL_PORT;
	unsigned count = 0;
	char *rest = NULL;

	for (char *name = strtok_r(text, " ", &rest); name != NULL;
	     name = strtok_r(NULL, " ", &rest)) {
		assert_true(count < MAX_COUNTERS);
		names[count] = name;
		values[count++] = counter_of(port, name);
	}
	return count;
}

static void attack_and_leave(const struct attack *attack)
{
	dice_state = (uint64_t)seed << 32 | 0x9e3779b9;
	attack->run();
	endpoint_kill(&evil);
	guest_close(&evil_guest);
}

static void attack_and_count(const struct attack *attack)
{
	const char *names[MAX_COUNTERS];
	int64_t before[MAX_COUNTERS];
	char *text = strdupa(attack->counters);
	unsigned count = read_counters(attack, text, names, before);
	const char *port = attack->port != NULL ? attack->port : EVIL_PORT;

	assert_true(count > 0);
	attack_and_leave(attack);
	for (unsigned i = 0; i < count; i++)
		assert_eventually(counter_of(port, names[i]) > before[i]);
}

static void attack_without_fault(const struct attack *attack)
{
	int64_t before = all_faults();

	attack_and_leave(attack);
	await_attackers_gone();
	assert_int_equal(all_faults(), before);
}

static void run_attack(void **state)
{
	const struct attack *attack = *state;

	sink_says_where_it_is();
	if (attack->counters != NO_FAULT)
		attack_and_count(attack);
	else
		attack_without_fault(attack);
	for (size_t i = 0; i < NUM_BACKGROUND; i++)
		assert_background_goes_on(&background[i]);
	assert_true(sink.complaint == NULL);
}

static int clean_up(void **state)
{
	(void)state;
	endpoint_kill(&evil);
	guest_close(&evil_guest);
	return 0;
}

static const struct {
	const struct attack *attacks;
	const size_t *count;
} tables[] = {
	{ring_attacks, &num_ring_attacks},
	{memory_attacks, &num_memory_attacks},
	{message_attacks, &num_message_attacks},
	{register_attacks, &num_register_attacks},
	{connection_attacks, &num_connection_attacks},
	{descriptor_attacks, &num_descriptor_attacks},
};

int main(int argc, char **argv)
{
	static struct CMUnitTest tests[256];
	const char *given = getenv("PTNET_SEED");
	size_t count = 0;

	seed = given != NULL ? (uint32_t)strtoul(given, NULL, 0)
			     : (uint32_t)(monotonic_ns() / 1000);
	printf("PTNET_SEED=%u\n", seed);
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (size_t j = 0; j < *tables[i].count; j++) {
			const struct attack *attack = &tables[i].attacks[j];

			if (argc > 1 && strstr(attack->name, argv[1]) == NULL)
				continue;
			tests[count++] = (struct CMUnitTest){.name = attack->name,
							     .test_func = run_attack,
							     .teardown_func = clean_up,
							     .initial_state = (void *)attack};
		}
	}
	return run_device_tests("hostile", tests, count, start, stop);
}
