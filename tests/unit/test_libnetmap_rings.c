/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ring ranges and nmport_inject, on a region laid out here instead of by an owner: 3 NIC TX,
 * 1 host TX, 2 NIC RX, 1 host RX rings.
 */
#define NETMAP_OWNER
#include "port_private.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#define TX_RINGS  3
#define RX_RINGS  2
#define HOST	  1
#define RINGS	  (TX_RINGS + HOST + RX_RINGS + HOST)
#define SLOTS	  8
#define BUF_SIZE  64
#define RING_SIZE (sizeof(struct netmap_ring) + SLOTS * sizeof(struct netmap_slot))
#define BUF_AREA  (512 + RINGS * RING_SIZE)

static struct netmap_ring *ring_at(struct netmap_if *nifp, int i)
{
	return (struct netmap_ring *)(void *)((char *)nifp + 512 + (size_t)i * RING_SIZE);
}

/* A port whose ring_ofs shows the rings in bound (bit i: entry i). */
static struct nmport_d *make_port(uint32_t mode, uint16_t ringid, unsigned int bound)
{
	struct nmport_d *d = nmport_prepare("netmap:fake");
	size_t size = BUF_AREA + (2 + RINGS * SLOTS) * BUF_SIZE;
	struct netmap_if *nifp = aligned_alloc(128, (size + 127) / 128 * 128);
	int i, k;

	assert_non_null(d);
	assert_non_null(nifp);
	memset(nifp, 0, size);
	nifp->ni_tx_rings = TX_RINGS;
	nifp->ni_rx_rings = RX_RINGS;
	nifp->ni_host_tx_rings = nifp->ni_host_rx_rings = HOST;
	for (i = 0; i < RINGS; i++) {
		struct netmap_ring *ring = ring_at(nifp, i);

		ring->num_slots = SLOTS;
		ring->nr_buf_size = BUF_SIZE;
		ring->buf_ofs = (char *)nifp + BUF_AREA - (char *)ring;
		ring->tail = i < TX_RINGS + HOST ? SLOTS - 1 : 0;
		for (k = 0; k < SLOTS; k++)
			ring->slot[k].buf_idx = (uint32_t)(2 + i * SLOTS + k);
		if (bound & (1U << i))
			nifp->ring_ofs[i] = (char *)ring - (char *)nifp;
	}
	d->nifp = nifp;
	d->reg.nr_mode = mode;
	d->reg.nr_ringid = ringid;
	d->reg.nr_tx_rings = TX_RINGS;
	d->reg.nr_rx_rings = RX_RINGS;
	libnetmap_set_ring_ranges(d);
	return d;
}

static void free_port(struct nmport_d *d)
{
	free(d->nifp);
	nmport_close(d);
}

#define EVERY	 ((1U << RINGS) - 1)
#define TXBIT(i) (1U << (i))
#define RXBIT(i) (1U << (TX_RINGS + HOST + (i)))

static void ranges(void **state)
{
	static const struct {
		uint32_t mode;
		uint16_t ringid;
		unsigned int bound;
		int tx_first, tx_last, rx_first, rx_last;
	} t[] = {
		/* owners that clear what is not bound */
		{NR_REG_ALL_NIC, 0, TXBIT(0) | TXBIT(1) | TXBIT(2) | RXBIT(0) | RXBIT(1), 0, 2, 0,
		 1},
		{NR_REG_ONE_NIC, 1, TXBIT(1) | RXBIT(1), 1, 1, 1, 1},
		{NR_REG_ONE_NIC, 2, TXBIT(2) | RXBIT(0), 2, 2, 0, 0},
		{NR_REG_SW, 0, TXBIT(3) | RXBIT(2), 3, 3, 2, 2},
		{NR_REG_ONE_SW, 0, TXBIT(3) | RXBIT(2), 3, 3, 2, 2},
		{NR_REG_NIC_SW, 0, EVERY, 0, 3, 0, 2},
		/* one direction only: the other range is empty */
		{NR_REG_ALL_NIC, 0, TXBIT(0) | TXBIT(1) | TXBIT(2), 0, 2, 3, 2},
		{NR_REG_ONE_NIC, 1, RXBIT(1), 4, 3, 1, 1},
		/* owners that show everything */
		{NR_REG_ALL_NIC, 0, EVERY, 0, 2, 0, 1},
		{NR_REG_ONE_NIC, 0, EVERY, 0, 0, 0, 0},
		{NR_REG_ONE_NIC, 1, EVERY, 1, 1, 1, 1},
		{NR_REG_ONE_NIC, 2, EVERY, 2, 2, 0, 0},
		{NR_REG_SW, 0, EVERY, 3, 3, 2, 2},
		{NR_REG_NULL, 0, 0, 4, 3, 3, 2},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct nmport_d *d = make_port(t[i].mode, t[i].ringid, t[i].bound);

		if (d->first_tx_ring != t[i].tx_first || d->last_tx_ring != t[i].tx_last ||
		    d->first_rx_ring != t[i].rx_first || d->last_rx_ring != t[i].rx_last)
			fail_msg("line %zu: tx %d-%d rx %d-%d", i, d->first_tx_ring,
				 d->last_tx_ring, d->first_rx_ring, d->last_rx_ring);
		assert_int_equal(d->cur_tx_ring, d->first_tx_ring);
		assert_int_equal(d->cur_rx_ring, d->first_rx_ring);
		free_port(d);
	}
}

static void inject_cuts_to_buffers(void **state)
{
	struct nmport_d *d = make_port(NR_REG_ONE_NIC, 1, EVERY);
	struct netmap_ring *ring = ring_at(d->nifp, 1);
	char frame[2 * BUF_SIZE + 1];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(frame); i++)
		frame[i] = (char)i;
	assert_int_equal(nmport_inject(d, frame, sizeof(frame)), sizeof(frame));
	assert_int_equal(ring->head, 3);
	assert_int_equal(ring->cur, 3);
	assert_int_equal(ring->slot[0].len, BUF_SIZE);
	assert_int_equal(ring->slot[0].flags, NS_MOREFRAG);
	assert_int_equal(ring->slot[1].flags, NS_MOREFRAG);
	assert_int_equal(ring->slot[2].len, 1);
	assert_int_equal(ring->slot[2].flags, 0);
	assert_memory_equal(NETMAP_BUF(ring, ring->slot[1].buf_idx), frame + BUF_SIZE, BUF_SIZE);
	assert_memory_equal(NETMAP_BUF(ring, ring->slot[2].buf_idx), frame + 2 * BUF_SIZE, 1);

	/* exactly one buffer is one slot; 3 slots are left: 4 buffers do not fit */
	assert_int_equal(nmport_inject(d, frame, BUF_SIZE), BUF_SIZE);
	assert_int_equal(ring->head, 4);
	ring->tail = 6;
	assert_int_equal(nmport_inject(d, frame, sizeof(frame)), 0);
	assert_int_equal(ring->head, 4);
	assert_int_equal(nmport_inject(d, frame, 2 * BUF_SIZE), 2 * BUF_SIZE);
	assert_int_equal(ring->head, 6);
	assert_int_equal(nmport_inject(d, frame, 1), 0);
	free_port(d);
}

/* slot.len has 16 bits, which is one too few for what a buffer of 65536 bytes can hold. */
static void inject_fills_the_largest_buffers(void **state)
{
	const uint32_t huge = 65536;
	struct nmport_d *d = make_port(NR_REG_ONE_NIC, 1, EVERY);
	struct netmap_ring *ring = ring_at(d->nifp, 1);
	char *buffers = calloc(SLOTS, huge), *frame = malloc(huge);
	size_t i;

	(void)state;
	assert_non_null(buffers);
	assert_non_null(frame);
	for (i = 0; i < huge; i++)
		frame[i] = (char)(i * 7 + i / 256);
	ring->nr_buf_size = huge;
	ring->buf_ofs = buffers - (char *)ring;
	for (i = 0; i < SLOTS; i++)
		ring->slot[i].buf_idx = (uint32_t)i;
	assert_int_equal(nmport_inject(d, frame, huge), huge);
	assert_int_equal(ring->head, 2);
	assert_int_equal(ring->slot[0].len, 65535);
	assert_int_equal(ring->slot[0].flags, NS_MOREFRAG);
	assert_int_equal(ring->slot[1].len, 1);
	assert_memory_equal(buffers, frame, huge - 1);
	assert_int_equal(buffers[huge], frame[huge - 1]);
	assert_int_equal(nmport_inject(d, frame, huge - 1), huge - 1);
	assert_int_equal(ring->head, 3);
	free_port(d);
	free(buffers);
	free(frame);
}

static void inject_goes_to_the_next_ring_with_room(void **state)
{
	struct nmport_d *d = make_port(NR_REG_ALL_NIC, 0, EVERY);
	int i;

	(void)state;
	for (i = 0; i < 3 * (SLOTS - 1); i++)
		assert_int_equal(nmport_inject(d, "x", 1), 1);
	assert_int_equal(nmport_inject(d, "x", 1), 0);
	for (i = 0; i < TX_RINGS; i++)
		assert_int_equal(ring_at(d->nifp, i)->head, SLOTS - 1);
	/* across the wrap */
	ring_at(d->nifp, 0)->tail = 2;
	assert_int_equal(nmport_inject(d, "x", 1), 1);
	assert_int_equal(ring_at(d->nifp, 0)->head, 0);
	free_port(d);
}

static void inject_without_tx_rings(void **state)
{
	struct nmport_d *d = make_port(NR_REG_ALL_NIC, 0, RXBIT(0));

	(void)state;
	assert_int_equal(nmport_inject(d, "x", 1), 0);
	free_port(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges),
		cmocka_unit_test(inject_cuts_to_buffers),
		cmocka_unit_test(inject_fills_the_largest_buffers),
		cmocka_unit_test(inject_goes_to_the_next_ring_with_room),
		cmocka_unit_test(inject_without_tx_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
