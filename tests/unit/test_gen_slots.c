/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets into and out of rings in this test's memory: cut into slots and put together again,
 * across the end of the ring, with offsets, and with slots that can't be.
 */
#define NETMAP_OWNER
#include "slots.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <setjmp.h>

#include <cmocka.h>

#define SLOTS	 8
#define BUF_SIZE 64
#define BUFFERS	 (2 + SLOTS)

#define RING_SIZE (sizeof(struct netmap_ring) + SLOTS * sizeof(struct netmap_slot))

struct memory {
	struct netmap_ring *ring;
	uint8_t (*buffers)[BUF_SIZE];
};

static struct memory *make_ring(uint32_t head, uint32_t tail)
{
	struct memory *m = malloc(sizeof(*m));
	uint32_t i;

	assert_non_null(m);
	m->ring = aligned_alloc(128, (RING_SIZE + sizeof(*m->buffers) * BUFFERS + 127) / 128 * 128);
	assert_non_null(m->ring);
	memset(m->ring, 0, RING_SIZE + sizeof(*m->buffers) * BUFFERS);
	m->buffers = (void *)((char *)m->ring + RING_SIZE);
	m->ring->num_slots = SLOTS;
	m->ring->nr_buf_size = BUF_SIZE;
	m->ring->buf_ofs = RING_SIZE;
	m->ring->head = m->ring->cur = head;
	m->ring->tail = tail;
	for (i = 0; i < SLOTS; i++)
		m->ring->slot[i].buf_idx = 2 + i;
	return m;
}

static void free_ring(struct memory *m)
{
	free(m->ring);
	free(m);
}

static uint8_t *pattern(void)
{
	static uint8_t p[SLOTS * BUF_SIZE];
	size_t i;

	for (i = 0; i < sizeof(p); i++)
		p[i] = (uint8_t)(i * 5 + i / 256);
	return p;
}

/* Fills a packet into a ring whose owner passes the slots on unchanged, and takes it out. */
static void round_trip(uint32_t start, uint32_t prefix, uint32_t len, uint64_t offset)
{
	struct memory *m = make_ring(start, (start + SLOTS - 1) % SLOTS);
	uint32_t per_slot = BUF_SIZE - (uint32_t)offset, want, i, got;
	uint8_t scratch[SLOTS * BUF_SIZE];
	const uint8_t *data;
	struct tx_cursor tx;
	struct rx_cursor rx;
	struct rx_packet p;

	m->ring->offset_mask = 0xff;
	for (i = 0; i < SLOTS; i++)
		m->ring->slot[i].ptr = offset;
	want = (prefix + len + per_slot - 1) / per_slot;
	tx_begin(&tx, m->ring, BUFFERS);
	assert_int_equal(tx_put(&tx, prefix, pattern(), len), want);
	assert_int_equal(m->ring->head, start);
	tx_publish(&tx);
	assert_int_equal(m->ring->head, (start + want) % SLOTS);
	assert_int_equal(m->ring->cur, m->ring->head);
	for (i = 0; i < want; i++) {
		uint16_t flags = slot_after(m->ring, start, i)->flags;

		assert_int_equal(flags & NS_MOREFRAG, i + 1 < want ? NS_MOREFRAG : 0);
		assert_int_equal(flags & NS_REPORT, i + 1 < want ? 0 : NS_REPORT);
	}

	/* now the same slots as a receiver would see them */
	m->ring->tail = m->ring->head;
	m->ring->head = m->ring->cur = start;
	rx_begin(&rx, m->ring, BUFFERS);
	assert_true(rx_take(&rx, &p));
	assert_int_equal(p.first, start);
	assert_int_equal(p.slots, want);
	assert_int_equal(p.len, prefix + len);
	assert_false(p.bad);
	assert_false(p.cut);
	assert_int_equal(p.data != NULL, want == 1);
	data = rx_gather(&rx, &p, scratch, sizeof(scratch), &got);
	assert_int_equal(got, prefix + len);
	for (i = 0; i < prefix; i++)
		assert_int_equal(data[i], 0);
	assert_memory_equal(data + prefix, pattern(), len);
	assert_false(rx_take(&rx, &p));
	rx_release(&rx);
	assert_int_equal(m->ring->head, m->ring->tail);
	free_ring(m);
}

static void packets_survive(void **state)
{
	static const uint32_t lens[] = {1, 63, 64, 65, 127, 128, 129, 7 * 64 - 12, 100, 300};
	uint32_t start, i;

	(void)state;
	for (start = 0; start < SLOTS; start++) {
		for (i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
			round_trip(start, 0, lens[i], 0);
			round_trip(start, 12, lens[i], 0);
			if (lens[i] < 300)
				round_trip(start, 10, lens[i], 16);
		}
		round_trip(start, 0, 7 * 64, 0);
	}
}

static void what_does_not_fit_leaves_no_trace(void **state)
{
	struct memory *m = make_ring(6, 1); /* three slots, across the end */
	struct tx_cursor c;

	(void)state;
	tx_begin(&c, m->ring, BUFFERS);
	assert_int_equal(c.room, 3);
	assert_int_equal(tx_put(&c, 0, pattern(), 193), 0);
	assert_int_equal(c.room, 3);
	assert_int_equal(tx_put(&c, 0, pattern(), 192), 3);
	assert_int_equal(tx_put(&c, 0, pattern(), 1), 0);
	tx_publish(&c);
	assert_int_equal(m->ring->head, 1);
	free_ring(m);
}

static void nothing_to_publish(void **state)
{
	struct memory *m = make_ring(3, 2);
	struct tx_cursor c;

	(void)state;
	m->ring->cur = 5; /* left by a wait for room */
	tx_begin(&c, m->ring, BUFFERS);
	tx_publish(&c);
	assert_int_equal(m->ring->head, 3);
	assert_int_equal(m->ring->slot[2].flags, 0);
	free_ring(m);
}

static void a_swapped_buffer_stays_noted(void **state)
{
	struct memory *m = make_ring(0, 7);
	struct tx_cursor c;

	(void)state;
	m->ring->slot[0].flags = NS_BUF_CHANGED | NS_MOREFRAG | NS_REPORT | 0x0300;
	tx_begin(&c, m->ring, BUFFERS);
	assert_ptr_equal(tx_buffer(&c, 60), m->buffers[2]);
	tx_done(&c, 60);
	assert_int_equal(m->ring->slot[0].flags, NS_BUF_CHANGED);
	assert_null(tx_buffer(&c, 65));
	free_ring(m);
}

static void impossible_tx_buffers_are_not_written(void **state)
{
	struct memory *m = make_ring(0, 7);
	struct tx_cursor c;

	(void)state;
	m->ring->slot[0].buf_idx = BUFFERS;
	m->ring->slot[1].buf_idx = 1;
	tx_begin(&c, m->ring, BUFFERS);
	assert_null(tx_buffer(&c, 1));
	assert_int_equal(tx_put(&c, 10, pattern(), 60), 4);
	assert_int_equal(m->ring->slot[0].len, 0);
	assert_int_equal(m->ring->slot[1].len, 0);
	assert_int_equal(m->ring->slot[2].len, 64);
	assert_int_equal(m->ring->slot[3].len, 6);
	assert_memory_equal(m->buffers[5], pattern() + 54, 6);
	free_ring(m);
}

static void impossible_rx_slots_are_not_read(void **state)
{
	struct memory *m = make_ring(0, 6);
	uint8_t scratch[256];
	struct rx_cursor c;
	struct rx_packet p;
	uint32_t len;

	(void)state;
	m->ring->slot[0] = (struct netmap_slot){.buf_idx = BUFFERS, .len = 10};
	m->ring->slot[1] = (struct netmap_slot){.buf_idx = 3, .len = BUF_SIZE + 1};
	m->ring->slot[2] = (struct netmap_slot){.buf_idx = 4, .len = 10, .flags = NS_MOREFRAG};
	m->ring->slot[3] = (struct netmap_slot){.buf_idx = 0, .len = 10};
	m->ring->slot[4] = (struct netmap_slot){.buf_idx = 6, .len = BUF_SIZE};
	m->ring->slot[5] = (struct netmap_slot){.buf_idx = 7, .len = 5, .flags = NS_MOREFRAG};
	rx_begin(&c, m->ring, BUFFERS);
	assert_true(rx_take(&c, &p));
	assert_true(p.bad);
	assert_null(p.data);
	assert_int_equal(p.len, 0);
	rx_gather(&c, &p, scratch, sizeof(scratch), &len);
	assert_int_equal(len, 0);
	assert_true(rx_take(&c, &p));
	assert_true(p.bad);
	assert_true(rx_take(&c, &p));
	assert_true(p.bad);
	assert_int_equal(p.slots, 2);
	assert_int_equal(p.len, 10);
	rx_gather(&c, &p, scratch, sizeof(scratch), &len);
	assert_int_equal(len, 10);
	assert_true(rx_take(&c, &p));
	assert_false(p.bad);
	assert_int_equal(p.len, BUF_SIZE);
	/* a chain that stops at the tail */
	assert_true(rx_take(&c, &p));
	assert_true(p.cut);
	assert_int_equal(p.slots, 1);
	assert_false(rx_take(&c, &p));

	/* an offset that leaves no room for the length */
	m->ring->offset_mask = UINT64_MAX;
	m->ring->slot[4].ptr = 1;
	m->ring->head = 4;
	rx_begin(&c, m->ring, BUFFERS);
	assert_true(rx_take(&c, &p));
	assert_true(p.bad);
	m->ring->slot[4].ptr = UINT64_MAX;
	rx_begin(&c, m->ring, BUFFERS);
	assert_true(rx_take(&c, &p));
	assert_true(p.bad);
	free_ring(m);
}

/* A pipe's other end may write into slots that were looked at already. */
static void slots_are_checked_in_copies(void **state)
{
	struct netmap_slot copies[NETMAP_MAX_FRAGS];
	struct memory *m = make_ring(6, 2);
	struct rx_cursor c;
	struct rx_packet p;
	uint32_t i;

	(void)state;
	for (i = 6; i < 10; i++)
		m->ring->slot[i % SLOTS].len = (uint16_t)(i * 3);
	for (i = 6; i < 9; i++)
		m->ring->slot[i % SLOTS].flags = NS_MOREFRAG;
	rx_begin(&c, m->ring, BUFFERS);
	assert_true(rx_take(&c, &p));
	assert_int_equal(p.slots, 4);
	assert_true(rx_slots(&c, &p, copies));
	for (i = 6; i < 10; i++) {
		assert_int_equal(copies[i - 6].len, i * 3);
		assert_int_equal(copies[i - 6].buf_idx, 2 + i % SLOTS);
	}
	assert_ptr_equal(slot_data(m->ring, copies), m->buffers[8]);
	m->ring->slot[7].len = BUF_SIZE + 1;
	assert_false(rx_slots(&c, &p, copies));
	m->ring->slot[7].len = BUF_SIZE;
	m->ring->slot[1].buf_idx = BUFFERS;
	assert_false(rx_slots(&c, &p, copies));
	free_ring(m);
}

static void too_small_a_scratch_cuts(void **state)
{
	struct memory *m = make_ring(0, 3);
	uint8_t scratch[100];
	struct rx_cursor c;
	struct rx_packet p;
	uint32_t len, i;

	(void)state;
	for (i = 0; i < 3; i++) {
		m->ring->slot[i].len = 64;
		m->ring->slot[i].flags = i < 2 ? NS_MOREFRAG : 0x0300;
	}
	rx_begin(&c, m->ring, BUFFERS);
	assert_true(rx_take(&c, &p));
	assert_int_equal(p.len, 192);
	rx_gather(&c, &p, scratch, sizeof(scratch), &len);
	assert_int_equal(len, 100);
	free_ring(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_survive),
		cmocka_unit_test(what_does_not_fit_leaves_no_trace),
		cmocka_unit_test(nothing_to_publish),
		cmocka_unit_test(a_swapped_buffer_stays_noted),
		cmocka_unit_test(impossible_tx_buffers_are_not_written),
		cmocka_unit_test(impossible_rx_slots_are_not_read),
		cmocka_unit_test(slots_are_checked_in_copies),
		cmocka_unit_test(too_small_a_scratch_cuts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
