/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes, run by hand on one thread: slots change hands whole and in order, nothing
 * is copied, lost or shown too early, and the ends may come and go.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "captured_stderr.h"
#include "guest_fixture.h"
#include "port/pipe.h"
#include "random.h"
#include "watched_memory.h"

#define SLOTS	 256u /* half of it is more than the longest packet */
#define BUF_SIZE 2048u

struct ends {
	struct region *region;
	struct port *ports[2];	 /* master, slave */
	struct guest *guests[2]; /* of them; NULL while nobody has the end open */
};

static struct guest *guest_open(struct port *port)
{
	struct guest *guest = aligned_alloc(64, sizeof(*guest));

	memset(guest, 0, sizeof(*guest));
	guest_attach(guest, port);
	return guest;
}

static void end_open(struct ends *ends, unsigned end)
{
	ends->guests[end] = guest_open(ends->ports[end]);
}

static void end_close(struct ends *ends, unsigned end)
{
	guest_detach(ends->guests[end]);
	free(ends->guests[end]);
	ends->guests[end] = NULL;
}

static void ends_create_closed(struct ends *ends, unsigned rings, uint32_t slots)
{
	struct port_config config = {.name = "link{1",
				     .tx_rings = rings,
				     .rx_rings = rings,
				     .tx_slots = slots,
				     .rx_slots = slots};
	struct error error = {0};

	*ends = (struct ends){.region = test_region(2, rings, slots, BUF_SIZE)};
	if (pipe_create(&ends->ports[0], &ends->ports[1], &config, ends->region, &error) < 0)
		fail_msg("%s", error.text);
}

static void ends_create(struct ends *ends)
{
	ends_create_closed(ends, 1, SLOTS);
	end_open(ends, 0);
	end_open(ends, 1);
}

static void ends_destroy(struct ends *ends)
{
	for (unsigned end = 0; end < 2; end++) {
		if (ends->guests[end] != NULL)
			end_close(ends, end);
		port_destroy(ends->ports[end]);
	}
	region_put(ends->region);
}

static void fill(uint8_t *data, size_t len, unsigned number)
{
	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(number * 31 + i * 7);
}

/* Publishes one packet of one slot without running the pipe. */
static void publish(struct ends *ends, unsigned end, unsigned number)
{
	uint8_t data[100];

	fill(data, sizeof(data), number);
	guest_send(ends->guests[end], 0, data, sizeof(data), BUF_SIZE);
}

static void run(struct ends *ends, unsigned sender)
{
	guest_run(ends->guests[sender], 0);
}

static void expect(struct ends *ends, unsigned end, unsigned number)
{
	uint8_t expected[100], got[BUF_SIZE];

	fill(expected, sizeof(expected), number);
	assert_int_equal(guest_receive(ends->guests[end], 0, got, sizeof(got)), sizeof(expected));
	assert_memory_equal(got, expected, sizeof(expected));
}

static uint32_t room(struct ends *ends, unsigned end)
{
	return guest_available(ends->guests[end], guest_tx(ends->guests[end], 0));
}

static uint32_t waiting(struct ends *ends, unsigned end)
{
	return guest_available(ends->guests[end], guest_rx(ends->guests[end], 0));
}

static struct netmap_slot *tx_slot(struct ends *ends, unsigned end, uint32_t index)
{
	return &port_tx(ends->ports[end], 0)->slots[index];
}

static struct netmap_slot *rx_slot(struct ends *ends, unsigned end, uint32_t index)
{
	return &port_rx(ends->ports[end], 0)->slots[index];
}

static uint32_t kick_wanted(struct ends *ends, unsigned end, unsigned ring)
{
	return ends->guests[end]->ktoa[ring].kern_need_kick;
}

/* What the engine does when the ring runs dry. */
static bool go_idle(struct ends *ends, unsigned sender)
{
	struct kring *tx = port_tx(ends->ports[sender], 0);

	pthread_mutex_lock(&tx->lock);
	bool pending = tx->port->ops->enable_kicks(tx);
	pthread_mutex_unlock(&tx->lock);
	return pending;
}

static bool pending(struct ends *ends, unsigned sender)
{
	struct kring *tx = port_tx(ends->ports[sender], 0);

	pthread_mutex_lock(&tx->lock);
	bool result = tx->port->ops->pending(tx);
	pthread_mutex_unlock(&tx->lock);
	return result;
}

/* ---- the data path ---- */

static void packets_pass_in_both_directions(void **state)
{
	struct ends ends;

	(void)state;
	ends_create(&ends);
	for (unsigned n = 0; n < 10 * SLOTS; n++) {
		for (unsigned end = 0; end < 2; end++) {
			publish(&ends, end, n + 1000 * end);
			run(&ends, end);
			assert_int_equal(waiting(&ends, 1 - end), 1);
			expect(&ends, 1 - end, n + 1000 * end);
			assert_int_equal(waiting(&ends, 1 - end), 0);
			run(&ends, end);
		}
	}
	for (unsigned end = 0; end < 2; end++)
		for (unsigned ring = 0; ring < 2; ring++) {
			assert_int_equal(guest_counter(ends.guests[end], ring, RING_PACKETS),
					 10 * SLOTS);
			assert_int_equal(guest_counter(ends.guests[end], ring, RING_BYTES),
					 1000 * SLOTS);
		}
	ends_destroy(&ends);
}

static void buffers_start_shared_and_are_passed_not_copied(void **state)
{
	struct ends ends;

	(void)state;
	ends_create(&ends);
	for (uint32_t i = 0; i < SLOTS; i++) {
		assert_int_equal(tx_slot(&ends, 0, i)->buf_idx, rx_slot(&ends, 1, i)->buf_idx);
		assert_int_equal(tx_slot(&ends, 1, i)->buf_idx, rx_slot(&ends, 0, i)->buf_idx);
		for (uint32_t j = 0; j < SLOTS; j++) /* and no other slot has them */
			assert_int_not_equal(tx_slot(&ends, 0, i)->buf_idx,
					     tx_slot(&ends, 1, j)->buf_idx);
	}
	/* A slot arrives as it was, all of it. */
	struct netmap_slot sent = {.buf_idx = tx_slot(&ends, 0, 9)->buf_idx,
				   .len = 77,
				   .flags = NS_REPORT | NS_FORWARD | NS_INDIRECT | 0x0300,
				   .ptr = UINT64_C(0x123456789abcdef0)};
	publish(&ends, 0, 0);
	*tx_slot(&ends, 0, 0) = sent;
	run(&ends, 0);
	assert_memory_equal(rx_slot(&ends, 1, 0), &sent, sizeof(sent));
	ends_destroy(&ends);
}

static void any_length_passes(void **state)
{
	struct ends ends;
	uint8_t data[BUF_SIZE] = {0}, got[BUF_SIZE];

	(void)state;
	ends_create(&ends);
	for (size_t len = 0; len <= BUF_SIZE; len += len < 20 ? 1 : 507) {
		guest_send(ends.guests[0], 0, data, len, BUF_SIZE);
		run(&ends, 0);
		assert_int_equal(guest_receive(ends.guests[1], 0, got, sizeof(got)), len);
	}
	ends_destroy(&ends);
}

/* The reader's replacement buffer, flags and length arrive back in the sender's slot. */
static void released_slots_come_back_as_they_are(void **state)
{
	struct ends ends;

	(void)state;
	ends_create(&ends);
	publish(&ends, 0, 1);
	publish(&ends, 0, 2);
	publish(&ends, 0, 3);
	run(&ends, 0);
	struct netmap_slot replaced = {
		.buf_idx = 40, .len = 1234, .flags = NS_BUF_CHANGED | NS_REPORT, .ptr = 99};
	expect(&ends, 1, 1);
	*rx_slot(&ends, 1, 0) = replaced;
	struct netmap_slot not_yet = *tx_slot(&ends, 0, 0);
	assert_int_equal(room(&ends, 0), SLOTS - 4);
	assert_memory_equal(tx_slot(&ends, 0, 0), &not_yet, sizeof(not_yet));
	run(&ends, 0);
	assert_int_equal(room(&ends, 0), SLOTS - 3);
	assert_memory_equal(tx_slot(&ends, 0, 0), &replaced, sizeof(replaced));
	/* NS_BUF_CHANGED reaches the sender and is cleared where it came from. */
	assert_int_equal(rx_slot(&ends, 1, 0)->flags, NS_REPORT);
	assert_int_equal(rx_slot(&ends, 1, 0)->buf_idx, 40);
	/* The slots that the reader still has are not touched. */
	assert_int_equal(tx_slot(&ends, 0, 1)->len, 100);
	expect(&ends, 1, 2);
	expect(&ends, 1, 3);
	ends_destroy(&ends);
}

static void buf_changed_of_the_sender_reaches_the_reader(void **state)
{
	struct ends ends;

	(void)state;
	ends_create(&ends);
	uint32_t spare = (uint32_t)region_buf_alloc(ends.region);
	uint32_t before = tx_slot(&ends, 0, 0)->buf_idx;
	tx_slot(&ends, 0, 0)->buf_idx = spare;
	publish(&ends, 0, 1);
	tx_slot(&ends, 0, 0)->flags = NS_BUF_CHANGED | NS_REPORT;
	run(&ends, 0);
	assert_int_equal(tx_slot(&ends, 0, 0)->flags, NS_REPORT);
	assert_int_equal(rx_slot(&ends, 1, 0)->flags, NS_BUF_CHANGED | NS_REPORT);
	assert_int_equal(rx_slot(&ends, 1, 0)->buf_idx, spare);
	expect(&ends, 1, 1);
	assert_int_not_equal(before, spare);
	ends_destroy(&ends);
}

static void an_incomplete_chain_is_not_shown(void **state)
{
	uint8_t data[300], got[BUF_SIZE];
	struct ends ends;

	(void)state;
	ends_create(&ends);
	fill(data, sizeof(data), 1);
	publish(&ends, 0, 7);
	guest_fill(ends.guests[0], 0, data, 200, 100);
	tx_slot(&ends, 0, 2)->flags = NS_MOREFRAG;
	guest_publish(ends.guests[0], 0);
	run(&ends, 0);
	assert_int_equal(waiting(&ends, 1), 1);		    /* the packet before it */
	assert_int_equal(ends.guests[0]->ktoa[0].hwcur, 3); /* taken nevertheless */
	expect(&ends, 1, 7);
	run(&ends, 0);
	assert_int_equal(waiting(&ends, 1), 0);
	guest_interrupts(ends.guests[1], 1);
	run(&ends, 0);
	assert_int_equal(guest_interrupts(ends.guests[1], 1), 0);
	/* The last slot arrives. */
	guest_send(ends.guests[0], 0, data + 200, 100, BUF_SIZE);
	run(&ends, 0);
	assert_int_equal(waiting(&ends, 1), 3);
	assert_int_equal(guest_interrupts(ends.guests[1], 1), 1);
	assert_int_equal(guest_receive(ends.guests[1], 0, got, sizeof(got)), 300);
	assert_memory_equal(got, data, 300);
	ends_destroy(&ends);
}

/* A whole ring of one chain: that sender waits for ever, nobody else does. */
static void an_endless_chain_harms_its_sender_only(void **state)
{
	struct ends ends;

	(void)state;
	ends_create(&ends);
	for (unsigned n = 0; n < SLOTS - 1; n++) {
		publish(&ends, 0, n);
		tx_slot(&ends, 0, n)->flags = NS_MOREFRAG;
	}
	run(&ends, 0);
	assert_int_equal(room(&ends, 0), 0);
	assert_int_equal(waiting(&ends, 1), 0);
	assert_false(go_idle(&ends, 0));
	publish(&ends, 1, 5);
	run(&ends, 1);
	expect(&ends, 0, 5);
	ends_destroy(&ends);
}

/* Budgets cut anywhere; what is shown is whole packets all the same. */
static void budgets_may_cut_chains(void **state)
{
	static uint8_t data[900], got[BUF_SIZE];
	struct ends ends;

	(void)state;
	ends_create(&ends);
	struct kring *tx = port_tx(ends.ports[0], 0);
	for (unsigned budget = 1; budget < 12; budget++) {
		fill(data, sizeof(data), budget);
		guest_send(ends.guests[0], 0, data, 900, 100);
		guest_send(ends.guests[0], 0, data, 50, 100);
		for (unsigned slots = 0; slots < 10;) {
			pthread_mutex_lock(&tx->lock);
			enum port_work work = tx->port->ops->run(tx, budget);
			pthread_mutex_unlock(&tx->lock);
			slots += budget;
			assert_int_equal(work, slots < 10 ? PORT_MORE : PORT_DRY);
			assert_int_equal(waiting(&ends, 1), slots >= 10 ? 10 : slots == 9 ? 9 : 0);
		}
		assert_int_equal(guest_receive(ends.guests[1], 0, got, sizeof(got)), 900);
		assert_memory_equal(got, data, 900);
		assert_int_equal(guest_receive(ends.guests[1], 0, got, sizeof(got)), 50);
	}
	ends_destroy(&ends);
}

static void without_a_reader_the_ring_fills_and_keeps_all(void **state)
{
	struct ends ends;

	(void)state;
	for (unsigned reader_open = 0; reader_open < 2; reader_open++) {
		ends_create_closed(&ends, 1, SLOTS);
		end_open(&ends, 0);
		if (reader_open)
			end_open(&ends, 1);
		for (unsigned n = 0; n < SLOTS - 1; n++) {
			assert_int_equal(room(&ends, 0), SLOTS - 1 - n);
			publish(&ends, 0, n);
			run(&ends, 0);
		}
		assert_int_equal(room(&ends, 0), 0);
		assert_false(go_idle(&ends, 0));
		if (!reader_open)
			end_open(&ends, 1);
		assert_int_equal(waiting(&ends, 1), SLOTS - 1);
		for (unsigned n = 0; n < SLOTS - 1; n++)
			expect(&ends, 1, n);
		run(&ends, 0);
		assert_int_equal(room(&ends, 0), SLOTS - 1);
		ends_destroy(&ends);
	}
}

/* 10 sent, 7 read: 3 pending. */
static void partial_reads_free_what_was_read(void **state)
{
	struct ends ends;

	(void)state;
	ends_create(&ends);
	for (unsigned n = 0; n < 10; n++)
		publish(&ends, 0, n);
	run(&ends, 0);
	for (unsigned n = 0; n < 7; n++)
		expect(&ends, 1, n);
	assert_int_equal(room(&ends, 0), SLOTS - 1 - 10); /* not before the sender's sync */
	run(&ends, 0);
	assert_int_equal(SLOTS - 1 - room(&ends, 0), 3);
	assert_int_equal(waiting(&ends, 1), 3);
	for (unsigned n = 7; n < 10; n++)
		expect(&ends, 1, n);
	ends_destroy(&ends);
}

/* lb depends on it: what was returned last is in the slot at tail, which is not yet ours. */
static void the_slot_at_tail_holds_what_was_returned(void **state)
{
	struct ends ends;

	(void)state;
	ends_create(&ends);
	for (unsigned n = 0; n < SLOTS - 1; n++)
		publish(&ends, 0, n);
	run(&ends, 0);
	for (unsigned n = 0; n < 5; n++) {
		expect(&ends, 1, n);
		rx_slot(&ends, 1, n)->ptr = 4000 + n;
	}
	run(&ends, 0);
	assert_int_equal(ends.guests[0]->ktoa[0].hwtail, 4);
	assert_int_equal(room(&ends, 0), 5);
	for (unsigned n = 0; n < 5; n++)
		assert_int_equal(tx_slot(&ends, 0, n)->ptr, 4000 + n);
	ends_destroy(&ends);
}

/*
 * What lb does: it gives all slots of the ring other contents as they come back, the one at tail
 * too, which it does not own yet. What it wrote stays, and is what it sends when it gets there.
 */
static void the_slot_at_tail_may_be_written_early(void **state)
{
	struct netmap_slot returned[SLOTS], rewritten[SLOTS];
	uint32_t tail = SLOTS - 1, sent = 0, number = 1;
	struct random random;
	struct ends ends;

	(void)state;
	ends_create(&ends);
	random_start(&random, "tail");
	struct guest *sender = ends.guests[0], *reader = ends.guests[1];
	for (uint32_t i = 0; i < SLOTS; i++)
		rewritten[i] = *tx_slot(&ends, 0, i);
	for (unsigned round = 0; round < 2000; round++) {
		/* It sends some of what it has, exactly as it wrote it before it had it. */
		uint32_t room_now = ring_distance(SLOTS, sent, tail);
		uint32_t send = random_below(&random, room_now + 1);
		for (uint32_t n = 0; n < send; n++) {
			assert_memory_equal(tx_slot(&ends, 0, sent), &rewritten[sent],
					    sizeof(rewritten[0]));
			sent = ring_next(SLOTS, sent);
		}
		ptnet_csb_publish(&sender->atok[0], sent, sent);
		run(&ends, 0);
		/* The reader gives back some, with contents of its own. */
		uint32_t head = reader->atok[1].head;
		uint32_t release = random_below(
			&random, ring_distance(SLOTS, head, reader->ktoa[1].hwtail) + 1);
		for (uint32_t n = 0; n < release; n++) {
			struct netmap_slot *slot = rx_slot(&ends, 1, head);

			assert_memory_equal(slot, &rewritten[head], sizeof(*slot));
			*slot = (struct netmap_slot){
				.buf_idx = number, .len = (uint16_t)number, .ptr = number};
			number++;
			returned[head] = *slot;
			head = ring_next(SLOTS, head);
		}
		ptnet_csb_publish(&reader->atok[1], head, head);
		run(&ends, 0);
		while (tail != sender->ktoa[0].hwtail) {
			tail = ring_next(SLOTS, tail);
			assert_memory_equal(tx_slot(&ends, 0, tail), &returned[tail],
					    sizeof(returned[0]));
			rewritten[tail] = (struct netmap_slot){
				.buf_idx = number, .len = (uint16_t)number, .ptr = ~UINT64_C(0)};
			number++;
			*tx_slot(&ends, 0, tail) = rewritten[tail];
		}
		assert_int_equal(tail, ring_prev(SLOTS, head));
	}
	assert_true(number > 20 * SLOTS);
	ends_destroy(&ends);
}

/* Nothing is special about a length of 0, in a packet of its own or in a chain. */
static void empty_packets_pass_like_others(void **state)
{
	static const struct {
		unsigned slots;
		uint16_t lens[3];
	} packets[] = {
		{1, {0}},	{2, {0, 0}},	 {2, {0, 60}},	  {2, {60, 0}},
		{3, {0, 0, 0}}, {3, {60, 0, 0}}, {3, {0, 60, 0}}, {3, {0, 0, 60}},
	};
	uint8_t data[200], got[200];
	struct ends ends;

	(void)state;
	ends_create(&ends);
	fill(data, sizeof(data), 1);
	for (unsigned i = 0; i < sizeof(packets) / sizeof(packets[0]); i++) {
		size_t len = 0;

		for (unsigned n = 0; n < packets[i].slots; n++) {
			uint32_t head = port_tx(ends.ports[0], 0)->ring->head;

			guest_fill(ends.guests[0], 0, data + len, packets[i].lens[n], BUF_SIZE);
			len += packets[i].lens[n];
			if (n + 1 < packets[i].slots)
				tx_slot(&ends, 0, head)->flags = NS_MOREFRAG;
		}
		guest_publish(ends.guests[0], 0);
		run(&ends, 0);
		assert_int_equal(waiting(&ends, 1), packets[i].slots);
		assert_int_equal(guest_interrupts(ends.guests[1], 1), 1);
		assert_int_equal(guest_receive(ends.guests[1], 0, got, sizeof(got)), len);
		assert_memory_equal(got, data, len);
		assert_int_equal(guest_counter(ends.guests[1], 1, RING_PACKETS), i + 1);
	}
	/* A whole ring of nothing, and it comes back. */
	run(&ends, 0);
	for (unsigned n = 0; n < SLOTS - 1; n++)
		guest_send(ends.guests[0], 0, data, 0, BUF_SIZE);
	run(&ends, 0);
	assert_int_equal(room(&ends, 0), 0);
	assert_int_equal(waiting(&ends, 1), SLOTS - 1);
	for (unsigned n = 0; n < SLOTS - 1; n++)
		assert_int_equal(guest_receive(ends.guests[1], 0, got, sizeof(got)), 0);
	run(&ends, 0);
	assert_int_equal(room(&ends, 0), SLOTS - 1);
	ends_destroy(&ends);
}

/* A program's bursts may end anywhere in a chain: the reader gets the whole packet or nothing yet.
 */
static void a_chain_may_come_in_any_number_of_syncs(void **state)
{
	enum { FRAGMENTS = 6 };
	uint8_t data[FRAGMENTS * 100], got[FRAGMENTS * 100];
	struct ends ends;

	(void)state;
	ends_create(&ends);
	for (unsigned cuts = 0; cuts < 1u << (FRAGMENTS - 1); cuts++) {
		fill(data, sizeof(data), cuts);
		for (unsigned n = 0; n < FRAGMENTS; n++) {
			uint32_t head = port_tx(ends.ports[0], 0)->ring->head;

			guest_fill(ends.guests[0], 0, data + 100 * (size_t)n, 100, BUF_SIZE);
			if (n + 1 == FRAGMENTS)
				break;
			tx_slot(&ends, 0, head)->flags = NS_MOREFRAG;
			if ((cuts >> n & 1) == 0)
				continue;
			guest_publish(ends.guests[0], 0);
			run(&ends, 0);
			assert_int_equal(waiting(&ends, 1), 0);
			assert_int_equal(guest_interrupts(ends.guests[1], 1), 0);
			/* All of it is taken: a sync that waits for that returns. */
			assert_int_equal(ends.guests[0]->ktoa[0].hwcur, ring_next(SLOTS, head));
		}
		guest_publish(ends.guests[0], 0);
		run(&ends, 0);
		assert_int_equal(waiting(&ends, 1), FRAGMENTS);
		assert_int_equal(guest_interrupts(ends.guests[1], 1), 1);
		assert_int_equal(guest_receive(ends.guests[1], 0, got, sizeof(got)), sizeof(data));
		assert_memory_equal(got, data, sizeof(data));
		run(&ends, 0);
		assert_int_equal(room(&ends, 0), SLOTS - 1);
	}
	ends_destroy(&ends);
}

/* A reader's bursts as well: what it released of a chain is the sender's again, the rest is not. */
static void a_chain_may_be_released_in_pieces(void **state)
{
	uint8_t data[1000];
	struct ends ends;

	(void)state;
	ends_create(&ends);
	fill(data, sizeof(data), 1);
	for (unsigned round = 0; round < SLOTS; round++) {
		guest_send(ends.guests[0], 0, data, sizeof(data), 100);
		run(&ends, 0);
		assert_int_equal(waiting(&ends, 1), 10);
		for (unsigned n = 1; n <= 10; n++) {
			uint32_t head = ring_next(SLOTS, ends.guests[1]->atok[1].head);

			ptnet_csb_publish(&ends.guests[1]->atok[1], head, head);
			port_rx(ends.ports[1], 0)->ring->head = head;
			run(&ends, 0);
			assert_int_equal(room(&ends, 0), SLOTS - 1 - 10 + n);
			assert_int_equal(waiting(&ends, 1), 10 - n);
		}
	}
	assert_int_equal(guest_counter(ends.guests[1], 1, RING_FAULTS), 0);
	ends_destroy(&ends);
}

static void rings_are_coupled_one_to_one(void **state)
{
	struct ends ends;
	uint8_t data[100], got[BUF_SIZE];

	(void)state;
	ends_create_closed(&ends, 3, SLOTS);
	end_open(&ends, 0);
	end_open(&ends, 1);
	for (unsigned ring = 0; ring < 3; ring++) {
		fill(data, sizeof(data), ring);
		guest_send(ends.guests[0], ring, data, sizeof(data), BUF_SIZE);
		guest_run(ends.guests[0], ring);
		for (unsigned other = 0; other < 3; other++)
			assert_int_equal(guest_available(ends.guests[1], 3 + other), other == ring);
		assert_int_equal(guest_receive(ends.guests[1], ring, got, sizeof(got)), 100);
		assert_memory_equal(got, data, 100);
	}
	ends_destroy(&ends);
}

/* ---- what the other side may do wrong ---- */

/* Which buffer a slot names is the reader's business: it checks what it uses. */
static void bad_slots_are_passed_on_untouched(void **state)
{
	const struct netmap_slot bad = {.buf_idx = UINT32_MAX, .len = UINT16_MAX, .ptr = 1};
	struct ends ends;

	(void)state;
	ends_create(&ends);
	publish(&ends, 0, 0);
	*tx_slot(&ends, 0, 0) = bad;
	run(&ends, 0);
	assert_memory_equal(rx_slot(&ends, 1, 0), &bad, sizeof(bad));
	assert_int_equal(port_tx(ends.ports[0], 0)->state, KRING_RUNNING);
	assert_int_equal(port_rx(ends.ports[1], 0)->state, KRING_RUNNING);
	ends_destroy(&ends);
}

static void a_bad_reader_stops_its_own_ring(void **state)
{
	struct captured_stderr capture;
	char text[4096];
	struct ends ends;

	(void)state;
	ends_create(&ends);
	publish(&ends, 0, 1);
	run(&ends, 0);
	PTNET_STORE_RELAXED(&ends.guests[1]->atok[1].head, 2); /* more than there was */
	PTNET_STORE_RELAXED(&ends.guests[1]->atok[1].cur, 2);
	publish(&ends, 0, 2);
	capture_stderr(&capture);
	run(&ends, 0);
	release_stderr(&capture, text, sizeof(text));
	assert_non_null(strstr(text, "port link}1: RX ring 0 stopped: bad_head 2"));
	assert_int_equal(port_rx(ends.ports[1], 0)->state, KRING_FAULTED);
	assert_int_equal(port_tx(ends.ports[0], 0)->state, KRING_RUNNING);
	/* The sender can go on until the ring is full; the other direction is untouched. */
	for (unsigned n = 3; n < SLOTS; n++) {
		publish(&ends, 0, n);
		run(&ends, 0);
	}
	assert_int_equal(room(&ends, 0), 0);
	assert_false(go_idle(&ends, 0));
	assert_false(pending(&ends, 0));
	publish(&ends, 1, 50);
	run(&ends, 1);
	expect(&ends, 0, 50);
	/* Opened again, the reader finds everything. */
	end_close(&ends, 1);
	end_open(&ends, 1);
	assert_int_equal(waiting(&ends, 1), SLOTS - 1);
	for (unsigned n = 1; n < SLOTS; n++)
		expect(&ends, 1, n);
	ends_destroy(&ends);
}

static void a_bad_sender_stops_its_own_ring(void **state)
{
	struct captured_stderr capture;
	char text[4096];
	struct ends ends;

	(void)state;
	ends_create(&ends);
	publish(&ends, 0, 1);
	run(&ends, 0);
	PTNET_STORE_RELAXED(&ends.guests[0]->atok[0].head, SLOTS);
	capture_stderr(&capture);
	run(&ends, 0);
	release_stderr(&capture, text, sizeof(text));
	assert_non_null(strstr(text, "port link{1: TX ring 0 stopped: bad_head 256"));
	expect(&ends, 1, 1); /* the reader keeps what it has */
	assert_int_equal(port_rx(ends.ports[1], 0)->state, KRING_RUNNING);
	publish(&ends, 1, 2);
	run(&ends, 1);
	expect(&ends, 0, 2);
	ends_destroy(&ends);
}

#ifdef WATCHED_MEMORY
static void slots_are_read_once(void **state)
{
	struct ends ends;

	(void)state;
	ends_create(&ends);
	publish(&ends, 0, 1);
	publish(&ends, 0, 2);
	tx_slot(&ends, 0, 1)->flags = NS_BUF_CHANGED;
	watch_memory(tx_slot(&ends, 0, 0));
	run(&ends, 0);
	unwatch_memory();
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(reads_of(&tx_slot(&ends, 0, i)->buf_idx), 1);
		assert_int_equal(reads_of(&tx_slot(&ends, 0, i)->len), 0); /* comes with buf_idx */
		assert_int_equal(reads_of(&tx_slot(&ends, 0, i)->flags), 0);
		assert_int_equal(reads_of(&tx_slot(&ends, 0, i)->ptr), 1);
		assert_int_equal(writes_of(&tx_slot(&ends, 0, i)->buf_idx), 0);
	}
	/* The way back. */
	expect(&ends, 1, 1);
	expect(&ends, 1, 2);
	watch_memory(rx_slot(&ends, 1, 0));
	run(&ends, 0);
	unwatch_memory();
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(reads_of(&rx_slot(&ends, 1, i)->buf_idx), 1);
		assert_int_equal(reads_of(&rx_slot(&ends, 1, i)->flags), 0);
		assert_int_equal(reads_of(&rx_slot(&ends, 1, i)->ptr), 1);
	}
	ends_destroy(&ends);
}
#endif

/* ---- ends that come and go ---- */

static void a_closed_end_resumes_where_it_was(void **state)
{
	struct ends ends;

	(void)state;
	ends_create(&ends);
	for (unsigned n = 0; n < 40; n++)
		publish(&ends, 0, n);
	run(&ends, 0);
	for (unsigned n = 0; n < 30; n++)
		expect(&ends, 1, n);
	run(&ends, 0);

	/* The reader. */
	end_close(&ends, 1);
	endpoint_reset(ends.ports[1]); /* its owner is gone, but not the other's */
	for (unsigned n = 40; n < 50; n++) {
		publish(&ends, 0, n);
		run(&ends, 0);
	}
	end_open(&ends, 1);
	assert_int_equal(ends.guests[1]->atok[1].head, 30);
	assert_int_equal(waiting(&ends, 1), 20);
	expect(&ends, 1, 30);
	run(&ends, 0);

	/* The sender. */
	end_close(&ends, 0);
	endpoint_reset(ends.ports[0]);
	expect(&ends, 1, 31);
	end_open(&ends, 0);
	assert_int_equal(ends.guests[0]->atok[0].head, 50);
	run(&ends, 0); /* endpoint_start() wakes the ring for this */
	assert_int_equal(SLOTS - 1 - room(&ends, 0), 18);
	publish(&ends, 0, 50);
	run(&ends, 0);
	for (unsigned n = 32; n <= 50; n++)
		expect(&ends, 1, n);
	assert_int_equal(waiting(&ends, 1), 0);
	ends_destroy(&ends);
}

/* It released in silence, for the sender had room enough, and then left. */
static void what_a_reader_released_before_it_left_comes_back(void **state)
{
	struct ends ends;

	(void)state;
	ends_create(&ends);
	for (unsigned n = 0; n < 20; n++)
		publish(&ends, 0, n);
	run(&ends, 0);
	for (unsigned n = 0; n < 15; n++)
		expect(&ends, 1, n);
	end_close(&ends, 1);
	run(&ends, 0);
	assert_int_equal(SLOTS - 1 - room(&ends, 0), 5);
	end_open(&ends, 1);
	for (unsigned n = 15; n < 20; n++) /* and what it read does not come again */
		expect(&ends, 1, n);
	assert_int_equal(waiting(&ends, 1), 0);
	ends_destroy(&ends);
}

static unsigned wakes;

static void count_wake(struct kring *kring)
{
	(void)kring;
	wakes++;
}

/* Killed after it had stored its head and before it kicked: nobody else would wake the sender. */
static void a_reader_that_leaves_wakes_its_sender(void **state)
{
	struct ends ends;

	(void)state;
	ends_create(&ends);
	while (room(&ends, 0) > 0)
		publish(&ends, 0, 7);
	run(&ends, 0);
	assert_false(go_idle(&ends, 0));
	expect(&ends, 1, 7);
	wakes = 0;
	port_tx(ends.ports[0], 0)->wake = count_wake;
	end_close(&ends, 1);
	assert_true(wakes > 0);
	run(&ends, 0);
	assert_int_equal(room(&ends, 0), 1);
	port_tx(ends.ports[0], 0)->wake = NULL;
	ends_destroy(&ends);
}

/* What the guest published and the daemon had not seen is given up; its slots are not lost. */
static void unseen_packets_of_a_closed_end_are_given_up(void **state)
{
	struct ends ends;

	(void)state;
	ends_create(&ends);
	publish(&ends, 0, 1);
	run(&ends, 0);
	publish(&ends, 0, 2);
	end_close(&ends, 0);
	end_open(&ends, 0);
	assert_int_equal(room(&ends, 0), SLOTS - 2);
	publish(&ends, 0, 3);
	run(&ends, 0);
	expect(&ends, 1, 1);
	expect(&ends, 1, 3);
	ends_destroy(&ends);
}

static void a_chain_that_was_only_begun_is_given_up(void **state)
{
	uint8_t data[100], got[BUF_SIZE];
	struct ends ends;

	(void)state;
	ends_create(&ends);
	fill(data, sizeof(data), 1);
	guest_fill(ends.guests[0], 0, data, 50, BUF_SIZE);
	tx_slot(&ends, 0, 0)->flags = NS_MOREFRAG;
	guest_publish(ends.guests[0], 0);
	run(&ends, 0);
	assert_int_equal(guest_receive(ends.guests[1], 0, got, sizeof(got)), -1);
	end_close(&ends, 0);
	end_open(&ends, 0);
	assert_int_equal(ends.guests[0]->atok[0].head, 0);
	publish(&ends, 0, 2);
	run(&ends, 0);
	expect(&ends, 1, 2);
	assert_int_equal(waiting(&ends, 1), 0);
	ends_destroy(&ends);
}

/* The worker has come to the middle of what was published. */
static void a_chain_is_given_up_wherever_the_worker_is(void **state)
{
	uint8_t data[100], got[BUF_SIZE];
	struct ends ends;

	(void)state;
	fill(data, sizeof(data), 1);
	/* Two packets of two slots and the beginning of a third. */
	for (unsigned taken = 0; taken <= 5; taken++) {
		ends_create(&ends);
		struct kring *tx = port_tx(ends.ports[0], 0);

		guest_fill(ends.guests[0], 0, data, 100, 50);
		guest_fill(ends.guests[0], 0, data, 100, 50);
		guest_fill(ends.guests[0], 0, data, 50, BUF_SIZE);
		tx_slot(&ends, 0, 4)->flags = NS_MOREFRAG;
		guest_publish(ends.guests[0], 0);
		pthread_mutex_lock(&tx->lock);
		tx->port->ops->run(tx, taken);
		pthread_mutex_unlock(&tx->lock);
		end_close(&ends, 0);
		end_open(&ends, 0);
		assert_int_equal(ends.guests[0]->atok[0].head, 4);
		publish(&ends, 0, 2);
		run(&ends, 0);
		for (unsigned n = 0; n < 2; n++)
			assert_int_equal(guest_receive(ends.guests[1], 0, got, sizeof(got)), 100);
		expect(&ends, 1, 2);
		assert_int_equal(waiting(&ends, 1), 0);
		ends_destroy(&ends);
	}
}

static void both_closed_makes_a_fresh_pipe(void **state)
{
	struct ends ends;

	(void)state;
	ends_create(&ends);
	for (unsigned n = 0; n < 20; n++)
		publish(&ends, 0, n);
	run(&ends, 0);
	expect(&ends, 1, 0);
	rx_slot(&ends, 1, 0)->buf_idx = 0; /* a crash leaves anything */
	run(&ends, 0);
	end_close(&ends, 0);
	endpoint_reset(ends.ports[0]);
	end_close(&ends, 1);
	endpoint_reset(ends.ports[1]);
	end_open(&ends, 0);
	end_open(&ends, 1);
	assert_int_equal(ends.guests[0]->atok[0].head, 0);
	assert_int_equal(room(&ends, 0), SLOTS - 1);
	assert_int_equal(waiting(&ends, 1), 0);
	assert_true(kring_slot_valid(port_tx(ends.ports[0], 0), *tx_slot(&ends, 0, 0)));
	for (uint32_t n = 0; n < SLOTS; n++) {
		assert_int_equal(rx_slot(&ends, 1, n)->buf_idx, tx_slot(&ends, 0, n)->buf_idx);
		for (uint32_t other = 0; other < n; other++)
			assert_int_not_equal(tx_slot(&ends, 0, n)->buf_idx,
					     tx_slot(&ends, 0, other)->buf_idx);
	}
	publish(&ends, 0, 1);
	run(&ends, 0);
	expect(&ends, 1, 1);
	ends_destroy(&ends);
}

static void an_end_survives_the_other(void **state)
{
	struct ends ends;

	(void)state;
	for (unsigned leaves = 0; leaves < 2; leaves++) {
		unsigned stays = 1 - leaves;

		ends_create(&ends);
		for (unsigned end = 0; end < 2; end++) {
			publish(&ends, end, end);
			run(&ends, end);
		}
		assert_ptr_equal(pipe_peer(ends.ports[stays]), ends.ports[leaves]);
		end_close(&ends, leaves);
		port_destroy(ends.ports[leaves]);
		assert_null(pipe_peer(ends.ports[stays]));
		/* What was there can be read; what is sent waits for ever; nothing breaks. */
		expect(&ends, stays, leaves);
		publish(&ends, stays, 9);
		assert_int_equal(guest_run(ends.guests[stays], 0), PORT_STOPPED);
		assert_false(pending(&ends, stays));
		assert_false(go_idle(&ends, stays));
		endpoint_kick(ends.ports[stays], 0);
		endpoint_kick(ends.ports[stays], 1);
		end_close(&ends, stays);
		endpoint_reset(ends.ports[stays]);
		end_open(&ends, stays);
		end_close(&ends, stays);
		port_destroy(ends.ports[stays]);
		region_put(ends.region);
	}
}

/* A device is reset on its worker while the control thread deletes the other end. */
static void *reset_again_and_again(void *argument)
{
	for (unsigned i = 0; i < 50; i++)
		endpoint_reset(argument);
	return NULL;
}

static void a_peer_may_leave_while_an_end_is_reset(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 100; round++) {
		struct ends ends;
		pthread_t thread;

		ends_create_closed(&ends, 1, SLOTS);
		assert_int_equal(
			pthread_create(&thread, NULL, reset_again_and_again, ends.ports[0]), 0);
		ends.ports[1]->ops->unpublish(ends.ports[1]);
		pthread_join(thread, NULL); /* what engine_synchronize() does */
		ends_destroy(&ends);
	}
}

static void a_pipe_may_be_lopsided(void **state)
{
	struct port_config config = {.name = "a}b{1", /* a pipe of a pipe's slave */
				     .tx_rings = 3,
				     .rx_rings = 1,
				     .tx_slots = 64,
				     .rx_slots = 2};
	struct region *region = test_region(3, 3, 64, BUF_SIZE);
	uint32_t bufs = region_bufs_free(region), rings = region_rings_free(region);
	struct port *master, *slave;
	struct error error = {0};
	struct guest *guests[2];
	uint8_t data[100], got[BUF_SIZE];

	(void)state;
	if (pipe_create(&master, &slave, &config, region, &error) < 0)
		fail_msg("%s", error.text);
	assert_string_equal(slave->name, "a}b}1");
	assert_int_equal(master->tx_rings, 3);
	assert_int_equal(master->rx_rings, 1);
	assert_int_equal(slave->tx_rings, 1);
	assert_int_equal(slave->rx_rings, 3);
	assert_int_equal(slave->tx_slots, 2);
	assert_int_equal(slave->rx_slots, 64);
	assert_int_equal(port_rx(slave, 2)->ring->num_slots, 64);
	assert_int_equal(port_rx(master, 0)->ring->num_slots, 2);
	assert_int_equal(region_rings_free(region), rings - 8);
	assert_int_equal(region_bufs_free(region), bufs - (3 * 64 + 2));
	guests[0] = guest_open(master);
	guests[1] = guest_open(slave);
	for (unsigned ring = 0; ring < 3; ring++) {
		fill(data, sizeof(data), ring);
		guest_send(guests[0], ring, data, sizeof(data), BUF_SIZE);
		guest_run(guests[0], ring);
		assert_int_equal(guest_receive(guests[1], ring, got, sizeof(got)), sizeof(data));
		assert_memory_equal(got, data, sizeof(data));
	}
	/* Of two slots one stays empty: it goes back and forth. */
	for (unsigned n = 0; n < 5; n++) {
		assert_int_equal(guest_available(guests[1], guest_tx(guests[1], 0)), 1);
		fill(data, sizeof(data), n);
		guest_send(guests[1], 0, data, sizeof(data), BUF_SIZE);
		guest_run(guests[1], 0);
		assert_int_equal(guest_available(guests[1], guest_tx(guests[1], 0)), 0);
		assert_int_equal(guest_receive(guests[0], 0, got, sizeof(got)), sizeof(data));
		assert_memory_equal(got, data, sizeof(data));
		guest_run(guests[1], 0);
	}
	for (unsigned end = 0; end < 2; end++) {
		guest_detach(guests[end]);
		free(guests[end]);
	}
	port_destroy(master);
	port_destroy(slave);
	assert_int_equal(region_bufs_free(region), bufs);
	region_put(region);
}

static void names_and_errors(void **state)
{
	static const char *const bad[] = {"", "link", "{1", "link{", "link}1"};
	struct region *region = test_region(1, 1, SLOTS, BUF_SIZE);
	struct port_config config = {.tx_slots = SLOTS, .rx_slots = SLOTS};
	uint32_t bufs = region_bufs_free(region), rings = region_rings_free(region);
	struct port *master, *slave;
	struct error error;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(config.name, sizeof(config.name), "%s", bad[i]);
		assert_int_equal(pipe_create(&master, &slave, &config, region, &error), -EINVAL);
		assert_non_null(strstr(error.text, "PARENT{ID"));
	}
	/* Room for one end is not enough; nothing is left behind. */
	snprintf(config.name, sizeof(config.name), "a{b{1");
	config.tx_rings = config.rx_rings = 1;
	struct region_config tight = {
		.if_num = 4, .ring_num = 3, .ring_size = 8192, .buf_num = 1000, .buf_size = 256};
	struct region *small;
	assert_int_equal(region_create(&small, &tight, &error), 0);
	while (region_rings_free(small) > 3)
		region_ring_alloc(small);
	uint32_t small_bufs = region_bufs_free(small);
	assert_int_equal(pipe_create(&master, &slave, &config, small, &error), -ENOMEM);
	assert_int_equal(region_rings_free(small), 3);
	assert_int_equal(region_bufs_free(small), small_bufs);
	region_put(small);
	if (pipe_create(&master, &slave, &config, region, &error) < 0)
		fail_msg("%s", error.text);
	assert_string_equal(master->name, "a{b{1");
	assert_string_equal(slave->name, "a{b}1"); /* split at the last brace */
	assert_true(port_is_pipe(master));
	assert_memory_equal(master->mac, slave->mac, 5);
	assert_int_not_equal(master->mac[5], slave->mac[5]);
	assert_int_equal(region_bufs_free(region), bufs - 2 * SLOTS);
	port_destroy(slave);
	port_destroy(master);
	assert_int_equal(region_bufs_free(region), bufs);
	assert_int_equal(region_rings_free(region), rings);
	region_put(region);
}

/* ---- notifications ---- */

static void the_reader_is_interrupted_when_packets_come(void **state)
{
	struct ends ends;

	(void)state;
	ends_create(&ends);
	publish(&ends, 0, 1);
	publish(&ends, 0, 2);
	run(&ends, 0);
	assert_int_equal(guest_interrupts(ends.guests[1], 1), 1);
	run(&ends, 0);
	assert_int_equal(guest_interrupts(ends.guests[1], 1), 0);
	ends.guests[1]->atok[1].appl_need_kick = 0;
	publish(&ends, 0, 3);
	run(&ends, 0);
	assert_int_equal(guest_interrupts(ends.guests[1], 1), 0);
	ends_destroy(&ends);
}

/* A sender that waits is woken for half a ring, or when the worker goes to sleep. */
static void the_sender_is_interrupted_for_much_room_or_at_last(void **state)
{
	struct ends ends;

	(void)state;
	ends_create(&ends);
	for (unsigned n = 0; n < SLOTS - 1; n++)
		publish(&ends, 0, n);
	run(&ends, 0);
	guest_interrupts(ends.guests[0], 0);
	expect(&ends, 1, 0);
	run(&ends, 0);
	assert_int_equal(room(&ends, 0), 1); /* shown at once, told later */
	assert_int_equal(guest_interrupts(ends.guests[0], 0), 0);
	assert_false(go_idle(&ends, 0));
	assert_int_equal(guest_interrupts(ends.guests[0], 0), 1);
	for (unsigned n = 1; n < SLOTS / 2; n++)
		expect(&ends, 1, n);
	run(&ends, 0);
	assert_int_equal(guest_interrupts(ends.guests[0], 0), 1);
	assert_false(go_idle(&ends, 0));
	assert_int_equal(guest_interrupts(ends.guests[0], 0), 0); /* nothing is owed */
	ends_destroy(&ends);
}

static void the_reader_kicks_only_while_the_sender_wants_room(void **state)
{
	struct ends ends;

	(void)state;
	ends_create(&ends);
	/* Plenty of room: released in silence. */
	publish(&ends, 0, 0);
	run(&ends, 0);
	assert_int_equal(kick_wanted(&ends, 0, 0), 0);
	assert_int_equal(kick_wanted(&ends, 1, 1), 0);
	assert_false(go_idle(&ends, 0));
	assert_int_equal(kick_wanted(&ends, 0, 0), 1);
	assert_int_equal(kick_wanted(&ends, 1, 1), 0);
	expect(&ends, 1, 0);
	assert_false(pending(&ends, 0)); /* the sender does not care */
	assert_false(go_idle(&ends, 0));

	/* Less than half a ring. */
	for (unsigned n = 1; n <= SLOTS / 2; n++)
		publish(&ends, 0, n);
	run(&ends, 0);
	assert_true(room(&ends, 0) < SLOTS / 2);
	assert_false(go_idle(&ends, 0));
	assert_int_equal(kick_wanted(&ends, 0, 0), 1);
	assert_int_equal(kick_wanted(&ends, 1, 1), 1);
	assert_int_equal(guest_counter(ends.guests[1], 1, RING_KICKS_ENABLED), 1);
	expect(&ends, 1, 1);
	assert_true(pending(&ends, 0));
	assert_true(go_idle(&ends, 0)); /* found while asking: both are off again */
	assert_int_equal(kick_wanted(&ends, 0, 0), 0);
	assert_int_equal(kick_wanted(&ends, 1, 1), 0);
	for (unsigned n = 2; n <= SLOTS / 2; n++)
		expect(&ends, 1, n);
	run(&ends, 0);

	/* cur at tail: the sender wants to know of any room. That alone is news. */
	uint32_t tail = ends.guests[0]->ktoa[0].hwtail;
	publish(&ends, 0, 50);
	run(&ends, 0);
	assert_false(go_idle(&ends, 0));
	assert_int_equal(kick_wanted(&ends, 1, 1), 0);
	ptnet_csb_publish(&ends.guests[0]->atok[0], port_tx(ends.ports[0], 0)->head, tail);
	assert_true(pending(&ends, 0));
	assert_true(go_idle(&ends, 0));
	run(&ends, 0);
	assert_false(go_idle(&ends, 0));
	assert_int_equal(kick_wanted(&ends, 1, 1), 1);
	expect(&ends, 1, 50);
	assert_true(go_idle(&ends, 0));

	/* A reader that is not there is not asked. */
	end_close(&ends, 1);
	run(&ends, 0);
	assert_false(go_idle(&ends, 0));
	assert_int_equal(kick_wanted(&ends, 0, 0), 1);
	ends_destroy(&ends);
}

/* ---- random operations: what goes in comes out, and what is given back comes back ---- */

/*
 * Slots are numbered from the start of the pipe; number s is slot s modulo the
 * ring's size. The sender's are [.., back + N - 1), the reader's [.., shown).
 */
struct flow {
	struct ends ends;
	struct random random;
	unsigned sender;
	uint64_t filled, accepted, taken, shown, read, released, back;
	uint64_t checked_back; /* slots that were seen to have come back */
	uint64_t passed;       /* slots read from all pipes */
	struct netmap_slot sent[SLOTS], given_back[SLOTS];
};

static uint64_t last_complete(const struct flow *flow, uint64_t from, uint64_t to)
{
	uint64_t complete = from;

	for (uint64_t s = from; s < to; s++)
		if ((flow->sent[s % SLOTS].flags & NS_MOREFRAG) == 0)
			complete = s + 1;
	return complete;
}

static struct netmap_slot random_slot(struct flow *flow)
{
	return (struct netmap_slot){
		.buf_idx = random_below(&flow->random, UINT32_MAX),
		.len = (uint16_t)random_below(&flow->random, UINT16_MAX),
		.flags = (uint16_t)(random_below(&flow->random, UINT16_MAX) & ~NS_MOREFRAG),
		.ptr = random_below(&flow->random, UINT32_MAX),
	};
}

static void flow_send(struct flow *flow)
{
	uint64_t end = flow->back + SLOTS - 1;
	uint32_t count = random_below(&flow->random, SLOTS);

	while (count-- > 0 && flow->filled < end) {
		struct netmap_slot slot = random_slot(flow);

		if (random_below(&flow->random, 3) == 0 && end - flow->filled > 1)
			slot.flags |= NS_MOREFRAG;
		flow->sent[flow->filled % SLOTS] = slot;
		*tx_slot(&flow->ends, flow->sender, flow->filled % SLOTS) = slot;
		flow->filled++;
	}
	ptnet_csb_publish(&flow->ends.guests[flow->sender]->atok[0], flow->filled % SLOTS,
			  flow->filled % SLOTS);
}

static void flow_read(struct flow *flow)
{
	uint32_t count = random_below(&flow->random, SLOTS);
	struct guest *reader = flow->ends.guests[1 - flow->sender];
	uint32_t hwcur, hwtail;

	ptnet_csb_read(&reader->ktoa[1], &hwcur, &hwtail);
	assert_int_equal(hwtail, flow->shown % SLOTS);
	while (count-- > 0 && flow->read < flow->shown) {
		uint32_t index = flow->read % SLOTS;
		struct netmap_slot *slot = rx_slot(&flow->ends, 1 - flow->sender, index);

		assert_memory_equal(slot, &flow->sent[index], sizeof(*slot));
		if (random_below(&flow->random, 2) == 0)
			*slot = random_slot(flow);
		flow->given_back[index] = *slot;
		flow->read++;
		flow->passed++;
	}
	flow->released = flow->read;
	ptnet_csb_publish(&reader->atok[1], flow->released % SLOTS, flow->released % SLOTS);
}

/* Positions and contents as the sender sees them. */
static void flow_check_sender(struct flow *flow)
{
	struct guest *sender = flow->ends.guests[flow->sender];
	uint32_t hwcur, hwtail;

	ptnet_csb_read(&sender->ktoa[0], &hwcur, &hwtail);
	assert_int_equal(hwcur, flow->taken % SLOTS);
	assert_int_equal(hwtail, (flow->back + SLOTS - 1) % SLOTS);
	for (; flow->checked_back < flow->back; flow->checked_back++) {
		uint32_t index = flow->checked_back % SLOTS;

		assert_memory_equal(tx_slot(&flow->ends, flow->sender, index),
				    &flow->given_back[index], sizeof(struct netmap_slot));
		/* Cleared on the side that gave it. */
		assert_int_equal(rx_slot(&flow->ends, 1 - flow->sender, index)->flags,
				 flow->given_back[index].flags & ~NS_BUF_CHANGED);
	}
}

static void flow_run(struct flow *flow)
{
	struct kring *tx = port_tx(flow->ends.ports[flow->sender], 0);
	uint32_t budget =
		random_below(&flow->random, 2) == 0 ? 1000 : 1 + random_below(&flow->random, SLOTS);

	pthread_mutex_lock(&tx->lock);
	enum port_work work = tx->port->ops->run(tx, budget);
	pthread_mutex_unlock(&tx->lock);
	flow->accepted = flow->filled;
	if (flow->ends.guests[1 - flow->sender] != NULL)
		flow->back = flow->released;
	uint64_t before = flow->taken;
	flow->taken = flow->accepted - before > budget ? before + budget : flow->accepted;
	uint64_t complete = last_complete(flow, before, flow->taken);
	if (complete > before)
		flow->shown = complete;
	assert_int_equal(work, flow->taken < flow->accepted ? PORT_MORE : PORT_DRY);
	for (uint64_t s = before; s < flow->taken; s++)
		assert_int_equal(tx_slot(&flow->ends, flow->sender, s % SLOTS)->flags,
				 flow->sent[s % SLOTS].flags & ~NS_BUF_CHANGED);
	flow_check_sender(flow);
}

/*
 * An end that is opened finds a buffer of its own in each slot that it holds, instead of the
 * random numbers here, and an empty packet.
 */
static void flow_mended(struct flow *flow, unsigned end, uint64_t from, uint64_t to)
{
	for (uint64_t s = from; s < to; s++) {
		uint32_t index = s % SLOTS;
		struct netmap_slot *slot = end == flow->sender ? tx_slot(&flow->ends, end, index)
							       : rx_slot(&flow->ends, end, index);

		assert_in_range(slot->buf_idx, REGION_FIRST_BUF,
				port_tx(flow->ends.ports[0], 0)->buf_total - 1);
		if (slot->buf_idx != flow->sent[index].buf_idx)
			flow->sent[index].len = 0;
		flow->sent[index].buf_idx = slot->buf_idx;
		assert_memory_equal(slot, &flow->sent[index], sizeof(*slot));
	}
}

/* Of what the pipe has seen, a chain that its sender had not completed. */
static void flow_give_up(struct flow *flow)
{
	uint64_t complete = last_complete(flow, flow->taken, flow->accepted);

	if (complete == flow->taken)
		flow->taken = complete = flow->shown;
	flow->accepted = complete;
}

static void flow_reopen(struct flow *flow)
{
	struct ends *ends = &flow->ends;

	switch (random_below(&flow->random, 3)) {
	case 0: /* the sender; what the pipe has not seen is given up */
		end_close(ends, flow->sender);
		endpoint_reset(ends->ports[flow->sender]);
		end_open(ends, flow->sender);
		flow_give_up(flow);
		flow->filled = flow->accepted;
		flow_mended(flow, flow->sender, flow->taken, flow->accepted);
		break;
	case 1:			/* the reader, away for some time */
		flow_run(flow); /* so that it has nothing unseen */
		end_close(ends, 1 - flow->sender);
		for (unsigned i = random_below(&flow->random, 4); i > 0; i--) {
			flow_send(flow);
			flow_run(flow);
		}
		end_open(ends, 1 - flow->sender);
		flow_mended(flow, 1 - flow->sender, flow->released, flow->taken);
		break;
	case 2: /* everybody: fresh */
		end_close(ends, 0);
		end_close(ends, 1);
		endpoint_reset(ends->ports[0]);
		end_open(ends, 1);
		end_open(ends, 0);
		flow->filled = flow->accepted = flow->taken = flow->shown = flow->read = 0;
		flow->released = flow->back = flow->checked_back = 0;
		break;
	}
}

static void random_operations_agree_with_the_model(void **state)
{
	static struct flow flow;

	(void)state;
	memset(&flow, 0, sizeof(flow));
	random_start(&flow.random, "pipe");
	for (flow.sender = 0; flow.sender < 2; flow.sender++) {
		ends_create(&flow.ends);
		flow.filled = flow.accepted = flow.taken = flow.shown = flow.read = 0;
		flow.released = flow.back = flow.checked_back = 0;
		for (unsigned step = 0; step < 20000; step++) {
			switch (random_below(&flow.random, 12)) {
			default:
				flow_send(&flow);
				break;
			case 4 ... 7:
				flow_read(&flow);
				break;
			case 8 ... 10:
				flow_run(&flow);
				break;
			case 11:
				if (random_below(&flow.random, 20) == 0)
					flow_reopen(&flow);
				break;
			}
		}
		assert_int_equal(guest_counter(flow.ends.guests[0], 0, RING_FAULTS), 0);
		assert_int_equal(guest_counter(flow.ends.guests[1], 1, RING_FAULTS), 0);
		ends_destroy(&flow.ends);
	}
	assert_true(flow.passed > 100 * SLOTS); /* round many times */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_pass_in_both_directions),
		cmocka_unit_test(buffers_start_shared_and_are_passed_not_copied),
		cmocka_unit_test(any_length_passes),
		cmocka_unit_test(released_slots_come_back_as_they_are),
		cmocka_unit_test(buf_changed_of_the_sender_reaches_the_reader),
		cmocka_unit_test(an_incomplete_chain_is_not_shown),
		cmocka_unit_test(an_endless_chain_harms_its_sender_only),
		cmocka_unit_test(budgets_may_cut_chains),
		cmocka_unit_test(without_a_reader_the_ring_fills_and_keeps_all),
		cmocka_unit_test(partial_reads_free_what_was_read),
		cmocka_unit_test(the_slot_at_tail_holds_what_was_returned),
		cmocka_unit_test(the_slot_at_tail_may_be_written_early),
		cmocka_unit_test(empty_packets_pass_like_others),
		cmocka_unit_test(a_chain_may_come_in_any_number_of_syncs),
		cmocka_unit_test(a_chain_may_be_released_in_pieces),
		cmocka_unit_test(rings_are_coupled_one_to_one),
		cmocka_unit_test(bad_slots_are_passed_on_untouched),
		cmocka_unit_test(a_bad_reader_stops_its_own_ring),
		cmocka_unit_test(a_bad_sender_stops_its_own_ring),
#ifdef WATCHED_MEMORY
		cmocka_unit_test(slots_are_read_once),
#endif
		cmocka_unit_test(a_closed_end_resumes_where_it_was),
		cmocka_unit_test(what_a_reader_released_before_it_left_comes_back),
		cmocka_unit_test(a_reader_that_leaves_wakes_its_sender),
		cmocka_unit_test(unseen_packets_of_a_closed_end_are_given_up),
		cmocka_unit_test(a_chain_that_was_only_begun_is_given_up),
		cmocka_unit_test(a_chain_is_given_up_wherever_the_worker_is),
		cmocka_unit_test(both_closed_makes_a_fresh_pipe),
		cmocka_unit_test(an_end_survives_the_other),
		cmocka_unit_test(a_peer_may_leave_while_an_end_is_reset),
		cmocka_unit_test(a_pipe_may_be_lopsided),
		cmocka_unit_test(names_and_errors),
		cmocka_unit_test(the_reader_is_interrupted_when_packets_come),
		cmocka_unit_test(the_sender_is_interrupted_for_much_room_or_at_last),
		cmocka_unit_test(the_reader_kicks_only_while_the_sender_wants_room),
		cmocka_unit_test(random_operations_agree_with_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
