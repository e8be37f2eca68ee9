/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packet offsets (spec/netmap-api.md section 7.5): who may set which, what slots then hold, and
 * where packets are read and written on a switch and on a pipe.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <ptnet/local.h>

#include "captured_stderr.h"
#include "port/null.h"
#include "port/offsets.h"
#include "port/pipe.h"
#include "random.h"
#include "switch_fixture.h"

#define RX_0 1u /* the number of the first RX ring of a port with one TX ring */

static int set(struct port *port, uint32_t rings, uint32_t first, uint64_t initial, uint64_t max,
	       uint32_t bits)
{
	struct nmreq_opt_offsets option = {
		.nro_initial_offset = initial, .nro_max_offset = max, .nro_offset_bits = bits};

	return port_set_offsets(port, rings, first, &option);
}

static uint64_t effective_max(struct port *port, uint32_t rings, uint64_t max)
{
	struct nmreq_opt_offsets option = {.nro_max_offset = max, .nro_offset_bits = 16};

	assert_int_equal(port_set_offsets(port, rings, 0, &option), 0);
	assert_int_equal(option.nro_offset_bits, 16);
	assert_int_equal(option.nro_initial_offset, 0);
	return option.nro_max_offset;
}

static void assert_offsets(const struct port *port, unsigned ring, uint64_t mask, uint64_t max)
{
	assert_int_equal(port->rings[ring].offset_mask, mask);
	assert_int_equal(port->rings[ring].max_offset, max);
	assert_int_equal(port->rings[ring].ring->offset_mask, mask);
}

static void assert_all_ptr(const struct port *port, unsigned ring, uint64_t ptr)
{
	for (uint32_t i = 0; i < port->rings[ring].num_slots; i++)
		assert_int_equal(port->rings[ring].slots[i].ptr, ptr);
}

/* ---- what may be asked for ---- */

static void impossible_wishes_are_refused(void **state)
{
	static const struct {
		uint64_t initial, max;
		uint32_t bits;
	} bad[] = {
		{0, 0, 65},
		{0, 100, 66},
		{0, 100, UINT32_MAX},
		{0, BUF_SIZE + 1, 0},
		{0, UINT64_MAX, 64},
		{0, 256, 8},
		{0, 2, 1},
		{0, 1024, 10},
		{101, 100, 16},
		{1, 0, 64},
		{UINT64_MAX, BUF_SIZE, 64},
	};
	struct net net;

	(void)state;
	net_create(&net, 1);
	struct port *port = net.guests[0]->port;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct nmreq_opt_offsets option = {.nro_initial_offset = bad[i].initial,
						   .nro_max_offset = bad[i].max,
						   .nro_offset_bits = bad[i].bits};
		struct nmreq_opt_offsets before = option;

		assert_int_equal(port_set_offsets(port, 3, 3, &option), -EINVAL);
		assert_memory_equal(&option, &before, sizeof(option));
		/* Even when no ring is bound. */
		assert_int_equal(port_set_offsets(port, 0, 0, &option), -EINVAL);
	}
	for (unsigned ring = 0; ring < 2; ring++) {
		assert_offsets(port, ring, 0, 0);
		assert_all_ptr(port, ring, 0);
	}
	net_destroy(&net);
}

static void possible_wishes_are_granted(void **state)
{
	static const struct {
		uint64_t initial, max;
		uint32_t bits;
		uint64_t mask;
	} good[] = {
		{0, 0, 0, UINT64_MAX},
		{0, 0, 1, 1},
		{1, 1, 1, 1},
		{0, 255, 8, 255},
		{255, 255, 8, 255},
		{64, BUF_SIZE, 16, UINT16_MAX},
		{BUF_SIZE, BUF_SIZE, 12, 4095},
		{128, 256, 63, UINT64_MAX >> 1},
		{128, 256, 64, UINT64_MAX},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		struct nmreq_opt_offsets option = {.nro_initial_offset = good[i].initial,
						   .nro_max_offset = good[i].max,
						   .nro_offset_bits = good[i].bits};
		struct net net;

		net_create(&net, 1);
		struct port *port = net.guests[0]->port;
		assert_int_equal(port_set_offsets(port, 0, 0, &option), 0); /* no ring: nothing */
		assert_int_equal(option.nro_max_offset, good[i].max);
		assert_offsets(port, 0, 0, 0);
		assert_int_equal(port_set_offsets(port, 3, 3, &option), 0);
		assert_int_equal(option.nro_max_offset, good[i].max);
		for (unsigned ring = 0; ring < 2; ring++) {
			assert_offsets(port, ring, good[i].mask, good[i].max);
			assert_all_ptr(port, ring, good[i].initial);
		}
		net_destroy(&net);
	}
}

static void wider_offsets_than_there_are_find_the_ring_busy(void **state)
{
	struct net net = {0};

	(void)state;
	net_empty(&net);
	net_add(&net, 2, SLOTS, BUF_SIZE);
	struct port *port = net.guests[0]->port;
	assert_int_equal(set(port, 1, 1, 10, 100, 8), 0);
	assert_int_equal(set(port, 1, 0, 0, 100, 9), -EBUSY);
	assert_int_equal(set(port, 1, 0, 0, 100, 0), -EBUSY);
	assert_int_equal(set(port, 1, 0, 0, 101, 8), -EBUSY);
	assert_int_equal(set(port, 1, 0, 0, 99, 8), 0);
	assert_int_equal(set(port, 1, 0, 0, 1, 1), 0);
	/* Who asks for several gets all or none. */
	assert_int_equal(set(port, 15, 14, 20, 200, 8), -EBUSY);
	for (unsigned ring = 1; ring < 4; ring++) {
		assert_offsets(port, ring, 0, 0);
		assert_all_ptr(port, ring, 0);
	}
	assert_offsets(port, 0, 255, 100);
	assert_all_ptr(port, 0, 10);
	net_destroy(&net);
}

/* The user who comes second is told how far the first one went. */
static void existing_offsets_are_returned(void **state)
{
	struct net net = {0};

	(void)state;
	net_empty(&net);
	net_add(&net, 2, SLOTS, BUF_SIZE);
	struct port *port = net.guests[0]->port;
	assert_int_equal(set(port, 1, 1, 10, 1000, 16), 0);
	assert_int_equal(set(port, 2, 2, 10, 500, 16), 0);
	assert_int_equal(effective_max(port, 1, 100), 1000);
	assert_int_equal(effective_max(port, 2, 500), 500);
	assert_int_equal(effective_max(port, 3, 100), 500); /* good for both */
	assert_int_equal(set(port, 4, 4, 10, 700, 16), 0);
	assert_int_equal(effective_max(port, 7, 100), 500); /* for all three */
	assert_offsets(port, 0, UINT16_MAX, 1000);
	assert_offsets(port, 1, UINT16_MAX, 500);
	/* And with a ring that had none. */
	assert_int_equal(effective_max(port, 15, 100), 100);
	assert_offsets(port, 3, UINT16_MAX, 100);
	assert_offsets(port, 2, UINT16_MAX, 700);
	net_destroy(&net);
}

static void only_first_users_write_slots(void **state)
{
	struct net net = {0};

	(void)state;
	net_empty(&net);
	net_add(&net, 2, SLOTS, BUF_SIZE);
	struct port *port = net.guests[0]->port;
	for (unsigned ring = 0; ring < 4; ring++)
		for (uint32_t i = 0; i < SLOTS; i++)
			port->rings[ring].slots[i].ptr = 7;
	assert_int_equal(set(port, 5, 4, 64, 128, 16), 0);
	assert_all_ptr(port, 0, 7); /* somebody has it open already */
	assert_all_ptr(port, 1, 7);
	assert_all_ptr(port, 2, 64);
	assert_all_ptr(port, 3, 7);
	assert_offsets(port, 0, UINT16_MAX, 128);
	assert_offsets(port, 1, 0, 0);
	/* 0 is not written. */
	assert_int_equal(set(port, 2, 2, 0, 128, 16), 0);
	assert_all_ptr(port, 1, 7);
	net_destroy(&net);
}

static void offsets_go_with_the_last_user(void **state)
{
	static struct ptnet_local_csb csb __attribute__((aligned(64)));
	struct net net = {0};

	(void)state;
	net_empty(&net);
	net_add(&net, 2, SLOTS, BUF_SIZE);
	struct port *port = net.guests[0]->port;
	endpoint_stop(port);
	for (unsigned ring = 0; ring < 4; ring++)
		assert_int_equal(endpoint_start_ring(port, ring, &csb), 0);
	assert_int_equal(set(port, 15, 15, 64, 128, 16), 0);
	endpoint_stop_ring(port, 0);
	endpoint_stop_ring(port, 2);
	assert_int_equal(endpoint_start_ring(port, 0, &csb), 0);
	assert_int_equal(endpoint_start_ring(port, 2, &csb), 0);
	for (unsigned ring = 0; ring < 4; ring++) {
		bool kept = ring % 2 == 1;

		assert_offsets(port, ring, kept ? UINT16_MAX : 0, kept ? 128 : 0);
		assert_all_ptr(port, ring, kept ? 64 : 0);
	}
	/* A VM never has any. */
	for (unsigned ring = 0; ring < 4; ring++)
		endpoint_stop_ring(port, ring);
	guest_detach(net.guests[0]);
	guest_attach(net.guests[0], port);
	for (unsigned ring = 0; ring < 4; ring++)
		assert_offsets(port, ring, 0, 0);
	net_destroy(&net);
}

/* ---- on a switch ---- */

static char *buffer(struct guest *guest, unsigned ring, uint32_t index)
{
	struct kring *kring = &guest->port->rings[ring];

	return kring->buf_base + (size_t)kring->slots[index].buf_idx * kring->buf_size;
}

/* Puts a fragment at @offset into the next slot of the sender; @ptr says what the slot says. */
static void put(struct guest *guest, const uint8_t *data, size_t len, uint64_t offset, uint64_t ptr,
		uint16_t flags)
{
	struct netmap_ring *ring = port_tx(guest->port, 0)->ring;
	struct netmap_slot *slot = guest_slot(guest, 0, ring->head);

	if (offset + len <= BUF_SIZE)
		memcpy(buffer(guest, 0, ring->head) + offset, data, len);
	slot->ptr = ptr;
	slot->len = (uint16_t)len;
	slot->flags = flags;
	ring->head = ring->cur = ring_next(ring->num_slots, ring->head);
}

static void send_at(struct guest *guest, const uint8_t *data, size_t len, uint64_t offset)
{
	put(guest, data, len, offset, offset, 0);
	guest_publish(guest, 0);
	guest_run(guest, 0);
}

/* The first packet in the ring is this one, in one slot, at @offset; it is released. */
static void expect_at(struct guest *guest, const uint8_t *data, size_t len, uint64_t offset)
{
	struct netmap_ring *ring = port_rx(guest->port, 0)->ring;
	struct netmap_slot *slot = guest_slot(guest, RX_0, ring->head);
	uint64_t mask = ring->offset_mask;

	assert_true(guest_available(guest, RX_0) > 0);
	assert_int_equal(slot->len, len);
	assert_int_equal(slot->flags, 0x0100);
	assert_int_equal(slot->ptr & mask, mask == 0 ? 0 : offset);
	assert_memory_equal(buffer(guest, RX_0, ring->head) + offset, data, len);
	ring->head = ring->cur = ring_next(ring->num_slots, ring->head);
	guest_publish(guest, RX_0);
}

static void packets_are_taken_from_their_offsets(void **state)
{
	uint8_t frame[BUF_SIZE];
	struct net net;

	(void)state;
	net_create(&net, 2);
	assert_int_equal(set(net.guests[0]->port, 1, 1, 0, BUF_SIZE, 16), 0);
	for (uint64_t offset = 0; offset + 60 <= BUF_SIZE; offset += offset < 200 ? 1 : 31) {
		size_t longest = BUF_SIZE - offset;

		frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), (unsigned)offset);
		send_at(net.guests[0], frame, 60, offset);
		expect_at(net.guests[1], frame, 60, 0);
		send_at(net.guests[0], frame, longest, offset);
		expect_at(net.guests[1], frame, longest, 0);
	}
	/* Of the slot's word only the masked bits count. */
	const uint64_t word = UINT64_C(0xabcdef12345) << 16 | 99;
	uint32_t index = port_tx(net.guests[0]->port, 0)->ring->head;
	put(net.guests[0], frame, 60, 99, word, 0);
	guest_publish(net.guests[0], 0);
	guest_run(net.guests[0], 0);
	expect_at(net.guests[1], frame, 60, 0);
	assert_int_equal(tx_count(&net, 0, RING_DROP_BAD_SLOT), 0);
	/* The sender's slots are left as they were. */
	assert_int_equal(guest_slot(net.guests[0], 0, index)->ptr, word);
	net_destroy(&net);
}

static void offsets_out_of_bounds_cost_their_packet(void **state)
{
	static const struct {
		uint64_t ptr;
		unsigned len;
	} bad[] = {
		{1001, 60},
		{2000, 60},
		{UINT64_MAX, 60},
		{UINT64_MAX - 59, 60}, /* wraps */
		{UINT64_C(1) << 63, 60},
		{UINT64_C(1) << 32, 60},
		{1, BUF_SIZE},
		{1000, BUF_SIZE - 999},
	};
	uint8_t frame[BUF_SIZE];
	struct net net;

	(void)state;
	net_create(&net, 2);
	assert_int_equal(set(net.guests[0]->port, 1, 1, 0, 1000, 64), 0);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		for (unsigned chained = 0; chained < 2; chained++) {
			put(net.guests[0], frame, 60, 5, 5, chained != 0 ? NS_MOREFRAG : 0);
			put(net.guests[0], frame, bad[i].len, UINT32_MAX, bad[i].ptr, 0);
			put(net.guests[0], frame, 70, 6, 6, 0);
			guest_publish(net.guests[0], 0);
			guest_run(net.guests[0], 0);
			if (chained == 0)
				expect_at(net.guests[1], frame, 60, 0);
			expect_at(net.guests[1], frame, 70, 0);
			assert_int_equal(guest_available(net.guests[1], RX_0), 0);
			assert_int_equal(tx_count(&net, 0, RING_DROP_BAD_SLOT),
					 2 * i + chained + 1);
		}
	}
	send_at(net.guests[0], frame, BUF_SIZE - 1000, 1000);
	expect_at(net.guests[1], frame, BUF_SIZE - 1000, 0);
	assert_int_equal(tx_count(&net, 0, RING_FAULTS), 0);
	net_destroy(&net);
}

static void each_fragment_has_its_offset(void **state)
{
	uint8_t frame[1000], got[1000];
	struct net net;

	(void)state;
	net_create(&net, 2);
	assert_int_equal(set(net.guests[0]->port, 1, 1, 0, 1024, 0), 0);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	put(net.guests[0], frame, 100, 17, 17, NS_MOREFRAG);
	put(net.guests[0], frame + 100, 300, 0, 0, NS_MOREFRAG);
	put(net.guests[0], frame + 400, 600, 1024, 1024, 0);
	guest_publish(net.guests[0], 0);
	guest_run(net.guests[0], 0);
	assert_int_equal(guest_available(net.guests[1], RX_0), 3);
	assert_int_equal(guest_slot(net.guests[1], RX_0, 0)->flags, 0x0300 | NS_MOREFRAG);
	assert_int_equal(guest_slot(net.guests[1], RX_0, 2)->len, 600);
	assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), sizeof(frame));
	assert_memory_equal(got, frame, sizeof(frame));
	net_destroy(&net);
}

/* Without the option, whatever is in ptr means nothing and stays. */
static void without_offsets_ptr_is_ignored(void **state)
{
	uint8_t frame[60];
	struct net net;

	(void)state;
	net_create(&net, 2);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	guest_slot(net.guests[1], RX_0, 0)->ptr = 500;
	put(net.guests[0], frame, sizeof(frame), 0, 1000, 0);
	guest_publish(net.guests[0], 0);
	guest_run(net.guests[0], 0);
	assert_int_equal(guest_slot(net.guests[1], RX_0, 0)->ptr, 500);
	assert_int_equal(guest_slot(net.guests[0], 0, 0)->ptr, 1000);
	expect_at(net.guests[1], frame, sizeof(frame), 0);
	net_destroy(&net);
}

static void receivers_keep_their_headroom(void **state)
{
	uint8_t frame[BUF_SIZE];
	struct net net;

	(void)state;
	net_create(&net, 3); /* the third has no offsets */
	assert_int_equal(set(net.guests[1]->port, 2, 2, 128, 256, 16), 0);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	for (unsigned round = 0; round < 3 * SLOTS; round++) {
		size_t len = 14 + round * 9;

		send_at(net.guests[0], frame, len, 0);
		expect_at(net.guests[1], frame, len, 128);
		expect_at(net.guests[2], frame, len, 0);
	}
	/* A slot's own offset counts, and its other bits stay. */
	uint32_t head = port_rx(net.guests[1]->port, 0)->ring->head;
	struct netmap_slot *slot = guest_slot(net.guests[1], RX_0, head);
	slot->ptr = UINT64_C(0xfeed0000) | 77;
	send_at(net.guests[0], frame, 60, 0);
	assert_int_equal(slot->ptr, UINT64_C(0xfeed0000) | 77);
	expect_at(net.guests[1], frame, 60, 77);
	/* One beyond the maximum is put right. */
	slot = guest_slot(net.guests[1], RX_0, ring_next(SLOTS, head));
	slot->ptr = 0x8000;
	send_at(net.guests[0], frame, 60, 0);
	expect_at(net.guests[1], frame, 60, 256);
	assert_int_equal(rx_count(&net, 1, RING_PACKETS), 3 * SLOTS + 2);
	net_destroy(&net);
}

/* Rather less headroom than another slot, or no packet. */
static void headroom_gives_way_to_long_packets(void **state)
{
	uint8_t frame[BUF_SIZE], got[3 * BUF_SIZE];
	struct net net = {0};

	(void)state;
	net_create(&net, 2);
	net_add(&net, 1, SLOTS, 512);
	assert_int_equal(set(net.guests[1]->port, 2, 2, BUF_SIZE, BUF_SIZE, 16), 0);
	assert_int_equal(set(net.guests[2]->port, 2, 2, 100, 100, 16), 0);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	for (size_t len = 14; len <= BUF_SIZE; len++) {
		size_t slots = (len + 511) / 512;

		send_at(net.guests[0], frame, len, 0);
		expect_at(net.guests[1], frame, len, (BUF_SIZE - len) / 64 * 64);
		if (len <= 512) {
			expect_at(net.guests[2], frame, len,
				  len <= 412 ? 100 : (512 - len) / 64 * 64);
			continue;
		}
		/* Cut anew: the fixture does not know of offsets, the last slot has one. */
		struct netmap_ring *ring = port_rx(net.guests[2]->port, 0)->ring;
		assert_int_equal(guest_available(net.guests[2], RX_0), slots);
		for (size_t n = 0, done = 0; n < slots; n++) {
			struct netmap_slot *slot = guest_slot(net.guests[2], RX_0, ring->head);

			assert_int_equal(slot->flags, slots << NS_PORT_SHIFT |
							      (n + 1 < slots ? NS_MOREFRAG : 0));
			assert_true(slot->ptr + slot->len <= 512);
			memcpy(got + done, buffer(net.guests[2], RX_0, ring->head) + slot->ptr,
			       slot->len);
			done += slot->len;
			ring->head = ring->cur = ring_next(SLOTS, ring->head);
		}
		guest_publish(net.guests[2], RX_0);
		assert_memory_equal(got, frame, len);
	}
	net_destroy(&net);
}

/* Anything in the words that a receiver writes; nothing outside the packet's bytes is touched. */
static void random_offsets_stay_inside(void **state)
{
	static uint8_t frame[BUF_SIZE];
	struct random random;
	struct net net;

	(void)state;
	random_start(&random, "offsets");
	for (unsigned round = 0; round < 40; round++) {
		uint64_t max[2] = {random_below(&random, BUF_SIZE + 1),
				   random_below(&random, BUF_SIZE + 1)};

		net_create(&net, 2);
		assert_int_equal(set(net.guests[0]->port, 1, 1, 0, max[0], 16), 0);
		assert_int_equal(set(net.guests[1]->port, 2, 2, 0, max[1], 16), 0);
		for (unsigned n = 0; n < 200; n++) {
			uint32_t index = port_rx(net.guests[1]->port, 0)->ring->head;
			struct netmap_slot *slot = guest_slot(net.guests[1], RX_0, index);
			uint64_t offset = random_below(&random, (uint32_t)max[0] + 1);
			uint8_t *to = (uint8_t *)buffer(net.guests[1], RX_0, index);
			size_t room = BUF_SIZE - offset;
			uint64_t word = (uint64_t)random_below(&random, UINT32_MAX) << 32 |
					random_below(&random, UINT32_MAX);

			if (room < 14)
				continue;
			size_t len = 14 + random_below(&random, (uint32_t)room - 13);
			memset(to, 0xa5, BUF_SIZE);
			slot->ptr = word;
			frame_fill(frame, len, BROADCAST, MAC(0), n);
			send_at(net.guests[0], frame, len, offset);
			uint64_t at = slot->ptr & UINT16_MAX;
			assert_true(at <= max[1] && at + len <= BUF_SIZE);
			assert_int_equal(slot->ptr >> 16, word >> 16);
			expect_at(net.guests[1], frame, len, at);
			for (size_t i = 0; i < BUF_SIZE; i++)
				if (i < at || i >= at + len)
					assert_int_equal(to[i], 0xa5);
		}
		net_destroy(&net);
	}
}

static void what_does_not_fit_is_dropped_with_all_that_follows(void **state)
{
	uint8_t frame[100];
	struct net net;

	(void)state;
	net_create(&net, 2);
	assert_int_equal(set(net.guests[1]->port, 2, 2, 64, 64, 16), 0);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	for (unsigned n = 0; n < SLOTS - 2; n++)
		send_at(net.guests[0], frame, 60, 0);
	/* One slot is left: a packet of two does not fit, nor does what comes behind it. */
	put(net.guests[0], frame, 60, 0, 0, NS_MOREFRAG);
	put(net.guests[0], frame, 60, 0, 0, 0);
	put(net.guests[0], frame, 60, 0, 0, 0);
	guest_publish(net.guests[0], 0);
	guest_run(net.guests[0], 0);
	assert_int_equal(guest_available(net.guests[1], RX_0), SLOTS - 2);
	assert_int_equal(rx_count(&net, 1, RING_DROP_RING_FULL), 2);
	send_at(net.guests[0], frame, 60, 0);
	assert_int_equal(guest_available(net.guests[1], RX_0), SLOTS - 1);
	/* A bad buffer stops the ring, as ever. */
	for (unsigned n = 0; n < SLOTS - 1; n++)
		expect_at(net.guests[1], frame, 60, 64);
	uint32_t next = port_rx(net.guests[1]->port, 0)->ring->head;
	guest_slot(net.guests[1], RX_0, next)->buf_idx = 1;
	struct captured_stderr capture;
	char text[4096];
	capture_stderr(&capture);
	send_at(net.guests[0], frame, 60, 0);
	release_stderr(&capture, text, sizeof(text));
	assert_int_equal(port_rx(net.guests[1]->port, 0)->fault, PTNET_FAULT_BUF_IDX);
	assert_int_equal(rx_count(&net, 1, RING_DROP_NOT_RUNNING), 1);
	net_destroy(&net);
}

/* ---- on a pipe ---- */

struct ends {
	struct region *region;
	struct port *ports[2];
	struct ptnet_local_csb csb[2] __attribute__((aligned(64)));
};

static void ends_create(struct ends *ends)
{
	struct port_config config = {.name = "link{1", .tx_slots = SLOTS, .rx_slots = SLOTS};

	memset(ends, 0, sizeof(*ends));
	ends->region = test_region(2, 1, SLOTS, BUF_SIZE);
	assert_int_equal(pipe_create(&ends->ports[0], &ends->ports[1], &config, ends->region, NULL),
			 0);
}

static void ends_destroy(struct ends *ends)
{
	for (unsigned end = 0; end < 2; end++) {
		for (unsigned ring = 0; ring < 2; ring++)
			endpoint_stop_ring(ends->ports[end], ring);
		port_destroy(ends->ports[end]);
	}
	region_put(ends->region);
}

static void pipe_start(struct ends *ends, unsigned end, unsigned ring)
{
	assert_int_equal(endpoint_start_ring(ends->ports[end], ring, &ends->csb[end]), 0);
}

static void pipe_run(struct ends *ends)
{
	struct kring *tx = port_tx(ends->ports[0], 0);

	pthread_mutex_lock(&tx->lock);
	assert_int_equal(tx->port->ops->run(tx, SLOTS), PORT_DRY);
	pthread_mutex_unlock(&tx->lock);
}

/* Slots @from to @to of the sender, with the number as offset. */
static void pipe_send(struct ends *ends, uint32_t from, uint32_t to)
{
	for (uint32_t i = from; i < to; i++) {
		struct netmap_slot *slot = &port_tx(ends->ports[0], 0)->slots[i % SLOTS];

		slot->ptr = i;
		slot->len = 60;
		slot->flags = 0;
	}
	ends->csb[0].atok[0].cur = ends->csb[0].atok[0].head = to % SLOTS;
}

static void a_pipe_passes_offsets_on_and_back(void **state)
{
	static struct ends ends;

	(void)state;
	ends_create(&ends);
	for (unsigned end = 0; end < 2; end++) {
		pipe_start(&ends, end, 0);
		pipe_start(&ends, end, RX_0);
		assert_int_equal(set(ends.ports[end], 3, 3, 96, 192, 16), 0);
		assert_all_ptr(ends.ports[end], 0, 96);
		assert_all_ptr(ends.ports[end], RX_0, 96);
	}
	pipe_send(&ends, 0, 10);
	pipe_run(&ends);
	for (uint32_t i = 0; i < 10; i++) {
		struct netmap_slot *slot = &port_rx(ends.ports[1], 0)->slots[i];

		assert_int_equal(slot->ptr, i);
		slot->ptr = 100 + i; /* the reader cut something off */
	}
	ends.csb[1].atok[1].cur = ends.csb[1].atok[1].head = 10;
	pipe_run(&ends);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(port_tx(ends.ports[0], 0)->slots[i].ptr, 100 + i);
	ends_destroy(&ends);
}

/* Who opens an end later finds the packets of before as they were sent. */
static void queued_packets_keep_their_offsets(void **state)
{
	static struct ends ends;
	struct kring *rx, *tx;

	(void)state;
	ends_create(&ends);
	tx = port_tx(ends.ports[0], 0);
	rx = port_rx(ends.ports[1], 0);
	pipe_start(&ends, 0, 0);
	assert_int_equal(set(ends.ports[0], 1, 1, 0, 192, 16), 0);
	pipe_send(&ends, 0, 20);
	tx->slots[19].flags = NS_MOREFRAG; /* taken, not shown yet */
	pthread_mutex_lock(&tx->lock);
	assert_int_equal(tx->port->ops->run(tx, 5), PORT_MORE);
	pthread_mutex_unlock(&tx->lock);
	assert_int_equal(set(ends.ports[0], 1, 1, 99, 192, 16), 0);
	for (uint32_t i = 0; i < SLOTS; i++) /* those from 5 on have not been taken yet */
		assert_int_equal(tx->slots[i].ptr, i >= 5 && i < 20 ? i : 99);
	pipe_run(&ends);
	pipe_start(&ends, 1, RX_0);
	assert_int_equal(set(ends.ports[1], 2, 2, 150, 192, 16), 0);
	for (uint32_t i = 0; i < SLOTS; i++)
		assert_int_equal(rx->slots[i].ptr, i < 20 ? i : 150);
	ends.csb[1].atok[1].cur = ends.csb[1].atok[1].head = 5;
	pipe_run(&ends);
	/* The sender's end closes and opens while the reader has its own. */
	endpoint_stop_ring(ends.ports[0], 0);
	assert_offsets(ends.ports[0], 0, 0, 0);
	assert_offsets(ends.ports[1], RX_0, UINT16_MAX, 192);
	pipe_start(&ends, 0, 0);
	assert_int_equal(set(ends.ports[0], 1, 1, 33, 192, 16), 0);
	assert_all_ptr(ends.ports[0], 0, 33);
	for (uint32_t i = 5; i < 19; i++)
		assert_int_equal(rx->slots[i].ptr, i);
	ends_destroy(&ends);
}

/* ---- on a null port ---- */

static void null_ports_take_offsets(void **state)
{
	struct port_config config = {
		.name = "null", .tx_rings = 2, .rx_rings = 1, .tx_slots = 32, .rx_slots = 16};
	struct region *region = test_region(2, 2, SLOTS, BUF_SIZE);
	struct port *port;

	(void)state;
	assert_int_equal(null_port_create(&port, &config, region, NULL), 0);
	assert_int_equal(set(port, 7, 7, 0, BUF_SIZE + 1, 16), -EINVAL);
	assert_int_equal(set(port, 7, 7, 48, 96, 16), 0);
	for (unsigned ring = 0; ring < 3; ring++) {
		assert_offsets(port, ring, UINT16_MAX, 96);
		assert_all_ptr(port, ring, 48);
	}
	port_destroy(port);
	/* Without any ring there is nothing to set. */
	config = (struct port_config){.name = "null"};
	assert_int_equal(null_port_create(&port, &config, region, NULL), 0);
	assert_int_equal(set(port, 0, 0, 48, 96, 16), 0);
	assert_int_equal(set(port, UINT32_MAX, UINT32_MAX, 48, 96, 16), 0);
	port_destroy(port);
	region_put(region);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(impossible_wishes_are_refused),
		cmocka_unit_test(possible_wishes_are_granted),
		cmocka_unit_test(wider_offsets_than_there_are_find_the_ring_busy),
		cmocka_unit_test(existing_offsets_are_returned),
		cmocka_unit_test(only_first_users_write_slots),
		cmocka_unit_test(offsets_go_with_the_last_user),
		cmocka_unit_test(packets_are_taken_from_their_offsets),
		cmocka_unit_test(offsets_out_of_bounds_cost_their_packet),
		cmocka_unit_test(each_fragment_has_its_offset),
		cmocka_unit_test(without_offsets_ptr_is_ignored),
		cmocka_unit_test(receivers_keep_their_headroom),
		cmocka_unit_test(headroom_gives_way_to_long_packets),
		cmocka_unit_test(random_offsets_stay_inside),
		cmocka_unit_test(what_does_not_fit_is_dropped_with_all_that_follows),
		cmocka_unit_test(a_pipe_passes_offsets_on_and_back),
		cmocka_unit_test(queued_packets_keep_their_offsets),
		cmocka_unit_test(null_ports_take_offsets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
