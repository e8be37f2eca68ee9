/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Virtio-net headers on a switch (spec/ports.md section 2.6): every pair of header lengths, what is
 * done for a port without headers, in which slots it arrives, and headers that are wrong.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "captured_stderr.h"
#include "packets.h"
#include "port/null.h"
#include "port/offsets.h"
#include "port/pipe.h"
#include "port/vnet_header.h"
#include "random.h"
#include "switch_fixture.h"

#define MAX_PACKET 70000u

static const uint32_t lengths[] = {0, 10, 12};

/* ---- ports with headers ---- */

static void set_header(struct net *net, unsigned port, uint32_t len)
{
	assert_int_equal(vale_port_set_vnet_hdr(net->guests[port]->port, len), 0);
}

static void add_with_header(struct net *net, uint32_t slots, uint32_t buf_size, uint32_t header)
{
	net_add(net, 1, slots, buf_size);
	set_header(net, net->ports - 1, header);
}

/* Two ports with such headers, the second with a ring of @slots that takes long packets. */
static void pair_create(struct net *net, uint32_t from, uint32_t to)
{
	net_empty(net);
	add_with_header(net, 256, BUF_SIZE, from);
	add_with_header(net, 256, BUF_SIZE, to);
}

/* ---- sending ---- */

static uint8_t *slot_buffer(struct guest *guest, unsigned ring, const struct netmap_slot *slot)
{
	const struct kring *kring = &guest->port->rings[ring];

	return (uint8_t *)kring->buf_base + (size_t)slot->buf_idx * kring->buf_size;
}

/* A slot with @len bytes, without publishing it. */
static void put(struct guest *guest, const void *data, size_t len, uint16_t flags)
{
	struct netmap_ring *ring = port_tx(guest->port, 0)->ring;
	struct netmap_slot *slot = guest_slot(guest, 0, ring->head);

	memcpy(slot_buffer(guest, 0, slot), data, len);
	slot->len = (uint16_t)len;
	slot->flags = flags;
	ring->head = ring->cur = ring_next(ring->num_slots, ring->head);
}

static void publish(struct guest *guest)
{
	guest_publish(guest, 0);
	assert_int_equal(guest_run(guest, 0), PORT_DRY);
}

/*
 * A packet behind a header of @header_len bytes. Its first slot holds the header and @first bytes
 * of it, the others @each.
 */
static void put_packet(struct guest *guest, const uint8_t *header, size_t header_len,
		       const uint8_t *packet, size_t len, size_t first, size_t each)
{
	static uint8_t joined[MAX_PACKET];
	size_t chunk = first < len ? first : len;

	memcpy(joined, header, header_len);
	memcpy(joined + header_len, packet, chunk);
	put(guest, joined, header_len + chunk, chunk < len ? NS_MOREFRAG : 0);
	for (size_t done = chunk; done < len; done += chunk) {
		chunk = len - done < each ? len - done : each;
		put(guest, packet + done, chunk, done + chunk < len ? NS_MOREFRAG : 0);
	}
}

/* Little endian, as it lies in the buffer; 12 bytes, of which the last two are not zero. */
static void make_header(uint8_t header[12], struct vnet_header fields)
{
	header[0] = fields.flags;
	header[1] = fields.gso_type;
	const uint16_t words[] = {fields.hdr_len, fields.gso_size, fields.csum_start,
				  fields.csum_offset, 0xbeef};
	for (size_t i = 0; i < 5; i++) {
		header[2 + 2 * i] = (uint8_t)words[i];
		header[3 + 2 * i] = (uint8_t)(words[i] >> 8);
	}
}

static const uint8_t no_wishes[12] = {0};

/* ---- receiving ---- */

/* Looks at the packet's slots without taking it: their lengths, at most @max; returns their number.
 */
static unsigned peek_slots(struct guest *guest, unsigned *lens, unsigned max)
{
	struct netmap_ring *ring = port_rx(guest->port, 0)->ring;
	uint32_t index = ring->head, available = guest_available(guest, 1);
	unsigned n = 0;

	while (available-- > 0) {
		struct netmap_slot *slot = guest_slot(guest, 1, index);

		assert_true(n < max);
		lens[n++] = slot->len;
		if ((slot->flags & NS_MOREFRAG) == 0)
			break;
		index = ring_next(ring->num_slots, index);
	}
	for (unsigned i = 0; i < n; i++) {
		index = ring_advance(ring->num_slots, ring->head, i);
		if (guest_slot(guest, 1, index)->flags != 0) /* a segment */
			assert_int_equal(guest_slot(guest, 1, index)->flags,
					 n << NS_PORT_SHIFT | (i + 1 < n ? NS_MOREFRAG : 0));
	}
	return n;
}

static void expect_packet(struct guest *guest, const uint8_t *expected, size_t len)
{
	static uint8_t got[MAX_PACKET + 12];

	assert_int_equal(guest_receive(guest, 0, got, sizeof(got)), len);
	assert_memory_equal(got, expected, len);
}

static void expect_slots(struct guest *guest, const unsigned *expected, unsigned count)
{
	unsigned lens[70];

	assert_int_equal(peek_slots(guest, lens, 70), count);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(lens[i], expected[i]);
}

static void expect_nothing(struct guest *guest)
{
	assert_int_equal(guest_available(guest, 1), 0);
}

/* ---- the length ---- */

static void lengths_are_checked(void **state)
{
	struct port_config config = {.name = "link{1", .tx_slots = SLOTS, .rx_slots = SLOTS};
	struct region *region = test_region(3, 1, SLOTS, BUF_SIZE);
	struct port *master, *slave, *null;
	struct net net;

	(void)state;
	net_create(&net, 1);
	struct port *port = net.guests[0]->port;
	assert_int_equal(port->vnet_hdr_len, 0);
	for (uint32_t len = 0; len < 300; len++) {
		bool good = len == 0 || len == 10 || len == 12;

		assert_int_equal(vale_port_set_vnet_hdr(port, len), good ? 0 : -EINVAL);
		assert_int_equal(port->vnet_hdr_len, len >= 12 ? 12 : len >= 10 ? 10 : 0);
	}
	assert_int_equal(vale_port_set_vnet_hdr(port, UINT32_MAX), -EINVAL);
	assert_int_equal(vale_port_set_vnet_hdr(port, 12 + (1u << 16)), -EINVAL);

	/* Only ports of switches have headers; but a bad length is bad for all. */
	assert_int_equal(pipe_create(&master, &slave, &config, region, NULL), 0);
	assert_int_equal(vale_port_set_vnet_hdr(master, 12), -ENXIO);
	assert_int_equal(vale_port_set_vnet_hdr(slave, 0), -ENXIO);
	assert_int_equal(vale_port_set_vnet_hdr(slave, 11), -EINVAL);
	port_destroy(master);
	port_destroy(slave);
	config = (struct port_config){.name = "null"};
	assert_int_equal(null_port_create(&null, &config, region, NULL), 0);
	assert_int_equal(vale_port_set_vnet_hdr(null, 12), -ENXIO);
	port_destroy(null);
	region_put(region);

	/* A VM would not learn of it. */
	assert_true(port_claim(port, PORT_OWNER_VM));
	assert_int_equal(vale_port_set_vnet_hdr(port, 10), -EBUSY);
	assert_int_equal(port->vnet_hdr_len, 12);
	port_release(port, PORT_OWNER_VM);
	assert_true(port_claim(port, PORT_OWNER_PROCESSES));
	assert_int_equal(vale_port_set_vnet_hdr(port, 10), 0);
	port_release(port, PORT_OWNER_PROCESSES);
	assert_int_equal(port_owner(port), PORT_OWNER_NONE);
	net_destroy(&net);
}

/* The longest frame that is made for a port grows with its first header, and stays (2.6). */
static void the_length_of_segments(void **state)
{
	struct net net = {0};

	(void)state;
	net_empty(&net);
	net_add(&net, 1, SLOTS, 4096);
	struct port *port = net.guests[0]->port;
	assert_int_equal(port->mfs, 1514);
	set_header(&net, 0, 0);
	assert_int_equal(port->mfs, 1514);
	set_header(&net, 0, 10);
	assert_int_equal(port->mfs, 4096);
	set_header(&net, 0, 0);
	assert_int_equal(port->mfs, 4096);
	net_destroy(&net);
}

/* ---- headers that are only copied ---- */

/* What the receiver must get in front of the packet. */
static void converted(uint8_t *to, const uint8_t *header, uint32_t from_len, uint32_t to_len)
{
	memset(to, 0, 12);
	if (from_len == to_len)
		memcpy(to, header, to_len);
	else if (from_len > 0 && to_len > 0)
		memcpy(to, header, 10);
}

static void every_pair_of_lengths(void **state)
{
	static uint8_t packet[MAX_PACKET], expected[MAX_PACKET + 12];
	uint8_t header[12];

	(void)state;
	make_header(header, (struct vnet_header){.flags = VNET_FLAG_DATA_VALID,
						 .hdr_len = 0x1234,
						 .gso_size = 0x5678,
						 .csum_start = 0x9abc,
						 .csum_offset = 0xdef0});
	for (unsigned from = 0; from < 3; from++) {
		for (unsigned to = 0; to < 3; to++) {
			uint32_t h = lengths[from], t = lengths[to];
			struct net net;

			pair_create(&net, h, t);
			converted(expected, header, h, t);
			for (size_t len = 14; len <= 3000; len += len < 100 ? 1 : 61) {
				size_t first = len < BUF_SIZE - h ? len : BUF_SIZE - h;

				frame_fill(packet, len, BROADCAST, MAC(0), (unsigned)len);
				memcpy(expected + t, packet, len);
				put_packet(net.guests[0], header, h, packet, len, first, BUF_SIZE);
				publish(net.guests[0]);
				expect_packet(net.guests[1], expected, t + len);
				expect_nothing(net.guests[1]);
			}
			assert_int_equal(rx_count(&net, 1, RING_BYTES) -
						 tx_count(&net, 0, RING_BYTES),
					 ((uint64_t)t - h) * tx_count(&net, 0, RING_PACKETS));
			net_destroy(&net);
		}
	}
}

/* One packet in different slots, and what they become. */
static void slots_are_the_senders(void **state)
{
	static uint8_t packet[4000];
	static const struct {
		uint32_t from, to;
		unsigned first, each; /* of the sender's slots: bytes of packet */
		unsigned count, lens[4];
	} rows[] = {
		/* in one slot */
		{0, 10, 100, 100, 1, {110}},
		{0, 12, 100, 100, 1, {112}},
		{10, 12, 100, 100, 1, {112}},
		{12, 10, 100, 100, 1, {110}},
		{12, 12, 100, 100, 1, {112}},
		{10, 0, 100, 100, 1, {100}},
		{12, 0, 100, 100, 1, {100}},
		/* in three */
		{0, 10, 40, 30, 3, {50, 30, 30}},
		{0, 12, 40, 30, 3, {52, 30, 30}},
		{10, 12, 40, 30, 3, {52, 30, 30}},
		{12, 10, 40, 30, 3, {50, 30, 30}},
		{12, 12, 40, 30, 3, {52, 30, 30}},
		{10, 0, 40, 30, 3, {40, 30, 30}},
		{12, 0, 40, 30, 3, {40, 30, 30}},
		/* the header has a slot of its own */
		{10, 12, 0, 50, 3, {12, 50, 50}},
		{12, 10, 0, 50, 3, {10, 50, 50}},
		{12, 12, 0, 50, 3, {12, 50, 50}},
		{10, 10, 0, 100, 2, {10, 100}},
		{10, 0, 0, 50, 2, {50, 50}},
		{12, 0, 0, 100, 1, {100}},
	};
	uint8_t header[12], expected[200];

	(void)state;
	make_header(header, (struct vnet_header){.gso_size = 0x5678});
	frame_fill(packet, sizeof(packet), BROADCAST, MAC(0), 3);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct net net;

		pair_create(&net, rows[i].from, rows[i].to);
		converted(expected, header, rows[i].from, rows[i].to);
		memcpy(expected + rows[i].to, packet, 100);
		put_packet(net.guests[0], header, rows[i].from, packet, 100, rows[i].first,
			   rows[i].each);
		publish(net.guests[0]);
		expect_slots(net.guests[1], rows[i].lens, rows[i].count);
		expect_packet(net.guests[1], expected, rows[i].to + 100);
		expect_nothing(net.guests[1]);
		net_destroy(&net);
	}
}

/* A full buffer leaves no room for a header in front of it. */
static void a_header_without_room_gets_a_slot(void **state)
{
	static uint8_t packet[4000], expected[4012];
	struct net net;

	(void)state;
	frame_fill(packet, sizeof(packet), BROADCAST, MAC(0), 3);
	memcpy(expected + 12, packet, sizeof(packet));
	pair_create(&net, 0, 12);
	for (size_t len = BUF_SIZE - 12; len <= BUF_SIZE; len++) {
		const unsigned together[] = {(unsigned)len + 12};
		const unsigned apart[] = {12, (unsigned)len};

		put_packet(net.guests[0], no_wishes, 0, packet, len, len, 0);
		publish(net.guests[0]);
		expect_slots(net.guests[1], len == BUF_SIZE - 12 ? together : apart,
			     len == BUF_SIZE - 12 ? 1 : 2);
		expect_packet(net.guests[1], expected, len + 12);
	}
	/* 64 slots are the most there may be: then all are cut anew. */
	put_packet(net.guests[0], no_wishes, 0, packet, 3288, BUF_SIZE, 20);
	publish(net.guests[0]);
	const unsigned apart[] = {12, BUF_SIZE};
	unsigned lens[70];
	assert_int_equal(peek_slots(net.guests[1], lens, 70), 64);
	assert_memory_equal(lens, apart, sizeof(apart));
	expect_packet(net.guests[1], expected, 3300);
	put_packet(net.guests[0], no_wishes, 0, packet, 3308, BUF_SIZE, 20);
	publish(net.guests[0]);
	expect_slots(net.guests[1], (unsigned[]){BUF_SIZE, 3320 - BUF_SIZE}, 2);
	expect_packet(net.guests[1], expected, 3320);
	net_destroy(&net);
}

/* The receiver's buffers may be smaller than the sender's fragments. */
static void packets_are_cut_anew(void **state)
{
	static uint8_t packet[6000], expected[6012];
	uint8_t header[12];

	(void)state;
	make_header(header, (struct vnet_header){.gso_size = 0x5678});
	frame_fill(packet, sizeof(packet), BROADCAST, MAC(0), 3);
	for (unsigned from = 0; from < 3; from++) {
		for (unsigned to = 0; to < 3; to++) {
			struct net net;

			net_empty(&net);
			add_with_header(&net, 256, BUF_SIZE, lengths[from]);
			add_with_header(&net, 256, 128, lengths[to]);
			converted(expected, header, lengths[from], lengths[to]);
			memcpy(expected + lengths[to], packet, sizeof(packet));
			for (size_t len = 14; len < sizeof(packet); len += 1 + len / 9) {
				put_packet(net.guests[0], header, lengths[from], packet, len,
					   BUF_SIZE - 12, BUF_SIZE);
				publish(net.guests[0]);
				size_t longest = len < BUF_SIZE - 12 ? len : BUF_SIZE - 12;
				if (lengths[from] == lengths[to])
					longest += lengths[to];
				unsigned lens[70];
				unsigned slots = peek_slots(net.guests[1], lens, 70);
				if (longest > 128)
					assert_int_equal(slots, (len + lengths[to] + 127) / 128);
				expect_packet(net.guests[1], expected, lengths[to] + len);
			}
			net_destroy(&net);
		}
	}
}

static void long_packets_pass(void **state)
{
	static uint8_t packet[MAX_PACKET], expected[MAX_PACKET + 12];
	uint8_t header[12];

	(void)state;
	make_header(header, (struct vnet_header){.gso_size = 0x5678});
	frame_fill(packet, sizeof(packet), BROADCAST, MAC(0), 3);
	for (unsigned from = 0; from < 3; from++) {
		for (unsigned to = 0; to < 3; to++) {
			struct net net;
			uint32_t h = lengths[from], t = lengths[to];

			pair_create(&net, h, t);
			converted(expected, header, h, t);
			memcpy(expected + t, packet, sizeof(packet));
			/* The limit is of the frame, whatever is in front of it. */
			put_packet(net.guests[0], header, h, packet, PORT_MAX_FRAME, 100, BUF_SIZE);
			publish(net.guests[0]);
			expect_packet(net.guests[1], expected, t + PORT_MAX_FRAME);
			put_packet(net.guests[0], header, h, packet, PORT_MAX_FRAME + 1, 100,
				   BUF_SIZE);
			put_packet(net.guests[0], header, h, packet, 100, 100, 0);
			publish(net.guests[0]);
			assert_int_equal(rx_count(&net, 1, RING_DROP_TOO_LONG), 1);
			expect_packet(net.guests[1], expected, t + 100);
			expect_nothing(net.guests[1]);
			net_destroy(&net);
		}
	}
}

/* Learning and look-up see the Ethernet header, wherever it is. */
static void switching_is_by_the_ethernet_header(void **state)
{
	uint8_t packet[60], expected[72] = {0};
	struct net net;

	(void)state;
	net_empty(&net);
	add_with_header(&net, SLOTS, BUF_SIZE, 12);
	add_with_header(&net, SLOTS, BUF_SIZE, 0);
	add_with_header(&net, SLOTS, BUF_SIZE, 10);
	/* From each port one that is heard by both others. */
	for (unsigned from = 0; from < 3; from++) {
		frame_fill(packet, sizeof(packet), BROADCAST, MAC(from), from);
		uint32_t h = net.guests[from]->port->vnet_hdr_len;
		put_packet(net.guests[from], no_wishes, h, packet, 60, from == 2 ? 0 : 60, 60);
		publish(net.guests[from]);
		for (unsigned to = 0; to < 3; to++) {
			uint32_t t = net.guests[to]->port->vnet_hdr_len;

			memset(expected, 0, sizeof(expected));
			memcpy(expected + t, packet, 60);
			if (to == from)
				expect_nothing(net.guests[to]);
			else
				expect_packet(net.guests[to], expected, t + 60);
		}
	}
	/* And now to that port only. */
	for (unsigned from = 0; from < 3; from++) {
		for (unsigned to = 0; to < 3; to++) {
			uint32_t h = net.guests[from]->port->vnet_hdr_len;
			uint32_t t = net.guests[to]->port->vnet_hdr_len;

			frame_fill(packet, sizeof(packet), MAC(to), MAC(from), from);
			put_packet(net.guests[from], no_wishes, h, packet, 60, h > 0 ? 0 : 60, 60);
			publish(net.guests[from]);
			memset(expected, 0, sizeof(expected));
			memcpy(expected + t, packet, 60);
			if (to != from)
				expect_packet(net.guests[to], expected, t + 60);
			for (unsigned i = 0; i < 3; i++)
				expect_nothing(net.guests[i]);
		}
		assert_int_equal(tx_count(&net, from, RING_DROP_SAME_PORT), 1);
	}
	net_destroy(&net);
}

/* ---- headers that are not there ---- */

static void headers_must_be_in_the_first_slot(void **state)
{
	uint8_t packet[100], joined[112] = {0}, expected[112] = {0};

	(void)state;
	frame_fill(packet, sizeof(packet), BROADCAST, MAC(0), 1);
	for (unsigned i = 1; i < 3; i++) {
		uint32_t h = lengths[i];
		struct net net;

		pair_create(&net, h, 12);
		memset(joined, 0, h);
		memcpy(joined + h, packet, sizeof(packet));
		memcpy(expected + 12, packet, sizeof(packet));
		unsigned bad = 0, shorter = 0;
		/* Cut anywhere: into the header, behind it, into the Ethernet header, behind that.
		 */
		for (size_t first = 1; first < h + 20; first++) {
			put(net.guests[0], joined, first, NS_MOREFRAG);
			put(net.guests[0], joined + first, h + 100 - first, 0);
			publish(net.guests[0]);
			if (first < h) {
				bad++;
				expect_nothing(net.guests[1]);
			} else if (first > h && first < h + 14) {
				shorter++;
				expect_nothing(net.guests[1]);
			} else {
				expect_packet(net.guests[1], expected, 112);
			}
			assert_int_equal(tx_count(&net, 0, RING_DROP_BAD_VNET_HEADER), bad);
			assert_int_equal(tx_count(&net, 0, RING_DROP_TOO_SHORT), shorter);
		}
		/* One slot only; a header alone is no packet. */
		for (size_t len = 0; len < h + 14; len++) {
			put(net.guests[0], joined, len, 0);
			publish(net.guests[0]);
			expect_nothing(net.guests[1]);
			bad += len <= h;
			shorter += len > h;
			assert_int_equal(tx_count(&net, 0, RING_DROP_BAD_VNET_HEADER), bad);
			assert_int_equal(tx_count(&net, 0, RING_DROP_TOO_SHORT), shorter);
		}
		/* Alone at head, as when a program's burst ends there. */
		put(net.guests[0], joined, h, NS_MOREFRAG);
		publish(net.guests[0]);
		assert_int_equal(tx_count(&net, 0, RING_DROP_BAD_VNET_HEADER), bad + 1);
		/* Followed by a fragment too short, and by nothing but empty ones. */
		put(net.guests[0], joined, h, NS_MOREFRAG);
		put(net.guests[0], packet, 13, NS_MOREFRAG);
		put(net.guests[0], packet + 13, 87, 0);
		put(net.guests[0], joined, h, NS_MOREFRAG);
		put(net.guests[0], packet, 0, NS_MOREFRAG);
		put(net.guests[0], packet, 0, 0);
		publish(net.guests[0]);
		assert_int_equal(tx_count(&net, 0, RING_DROP_TOO_SHORT), shorter + 1);
		assert_int_equal(tx_count(&net, 0, RING_DROP_BAD_VNET_HEADER), bad + 2);
		expect_nothing(net.guests[1]);
		net_destroy(&net);
	}
}

/* What is counted at the receiver that wants it done; a port with headers passes it on. */
static void unknown_wishes_are_refused(void **state)
{
	static const struct packet_shape shape;
	uint8_t packet[200], header[12], expected[212];
	size_t len = packet_build(packet, &shape, 60, BROADCAST, MAC(0), 1);
	uint64_t refused = 0;
	struct net net;

	(void)state;
	net_empty(&net);
	add_with_header(&net, SLOTS, BUF_SIZE, 12);
	add_with_header(&net, SLOTS, BUF_SIZE, 0);
	add_with_header(&net, SLOTS, BUF_SIZE, 12);
	for (unsigned flags = 0; flags < 256; flags += flags < 8 ? 1 : 31) {
		for (unsigned gso = 0; gso < 256; gso++) {
			make_header(header, (struct vnet_header){.flags = (uint8_t)flags,
								 .gso_type = (uint8_t)gso,
								 .csum_start = 34,
								 .csum_offset = 16});
			put_packet(net.guests[0], header, 12, packet, len, len, 0);
			publish(net.guests[0]);
			memcpy(expected, header, 12);
			memcpy(expected + 12, packet, len);
			expect_packet(net.guests[2], expected, 12 + len);
			/* This packet is TCP over IPv4. */
			if (flags < 4 && (gso & 0x7f) <= 1) {
				static uint8_t got[BUF_SIZE];
				bool sum = (gso & 0x7f) == 1 || (flags & 1) != 0;

				assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)),
						 len);
				assert_int_equal(packet_checksums_right(got, len), sum);
				if (!sum)
					assert_memory_equal(got, packet, len);
			} else {
				refused++;
			}
			expect_nothing(net.guests[1]);
			assert_int_equal(rx_count(&net, 1, RING_DROP_BAD_VNET_HEADER), refused);
		}
	}
	assert_int_equal(rx_count(&net, 2, RING_DROP_BAD_VNET_HEADER), 0);
	assert_int_equal(tx_count(&net, 0, RING_DROP_BAD_VNET_HEADER), 0);
	net_destroy(&net);
}

/* ---- checksums ---- */

static struct vnet_header checksum_wish(const struct packet_shape *shape)
{
	struct packet_layout layout = packet_layout(shape);

	return (struct vnet_header){.flags = VNET_FLAG_NEEDS_CSUM,
				    .csum_start = (uint16_t)layout.transport,
				    .csum_offset = packet_csum_offset(&layout)};
}

static void checksums_are_completed(void **state)
{
	static uint8_t packet[4000], got[4000];
	uint8_t header[12];

	(void)state;
	for (unsigned kind = 0; kind < 8; kind++) {
		struct packet_shape shape = {
			.ipv6 = kind % 2 == 1, .udp = kind / 2 % 2 == 1, .vlans = kind / 4};
		size_t headers = packet_layout(&shape).payload;
		struct net net;

		pair_create(&net, kind % 3 == 0 ? 10 : 12, 0);
		uint32_t h = net.guests[0]->port->vnet_hdr_len;
		make_header(header, checksum_wish(&shape));
		for (size_t payload = 0; payload < 3000; payload += payload < 20 ? 1 : 177) {
			size_t len = packet_build(packet, &shape, payload, BROADCAST, MAC(0),
						  (unsigned)payload);

			/* In one piece if it fits; then in pieces of odd and of even lengths. */
			for (size_t each = 100; each < 105; each++) {
				size_t first = each == 100 ? BUF_SIZE - 12 : headers + each % 3;

				put_packet(net.guests[0], header, h, packet, len,
					   first < len ? first : len, each);
				publish(net.guests[0]);
				assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)),
						 len);
				assert_true(packet_checksums_right(got, len));
				packet_finish(packet, len);
				assert_memory_equal(got, packet, len); /* and nothing else */
				packet_build(packet, &shape, payload, BROADCAST, MAC(0),
					     (unsigned)payload);
			}
		}
		net_destroy(&net);
	}
}

/* Its two bytes may come to lie in two slots. */
static void a_checksum_may_be_cut(void **state)
{
	static const uint32_t sizes[] = {64, 128, 192};
	static uint8_t packet[1000], got[1000];
	uint8_t header[12];

	(void)state;
	for (unsigned vlans = 0; vlans < 25; vlans++) {
		struct packet_shape shape = {.vlans = vlans, .ip_options = 4 * (vlans % 11)};
		size_t len = packet_build(packet, &shape, 500, BROADCAST, MAC(0), vlans);
		struct net net;

		net_empty(&net);
		add_with_header(&net, SLOTS, BUF_SIZE, 12);
		for (unsigned i = 0; i < 3; i++)
			add_with_header(&net, SLOTS, sizes[i], 0);
		make_header(header, checksum_wish(&shape));
		put_packet(net.guests[0], header, 12, packet, len, len, 0);
		/* The same, one byte on, so that it lies at odd places as well. */
		memmove(packet + 15, packet + 14, len - 14);
		header[6]++;
		put_packet(net.guests[0], header, 12, packet, len + 1, len + 1, 0);
		memmove(packet + 14, packet + 15, len - 14);
		publish(net.guests[0]);
		packet_finish(packet, len);
		for (unsigned i = 1; i <= 3; i++) {
			assert_int_equal(guest_receive(net.guests[i], 0, got, sizeof(got)), len);
			assert_memory_equal(got, packet, len);
			assert_int_equal(guest_receive(net.guests[i], 0, got, sizeof(got)),
					 len + 1);
			assert_memory_equal(got + 15, packet + 14, len - 14);
		}
		net_destroy(&net);
	}
}

/* 0 is written as its other form: in UDP it would say that there is no checksum. */
static void a_checksum_is_never_zero(void **state)
{
	struct packet_shape shape = {.udp = true};
	size_t at = packet_layout(&shape).payload;
	uint8_t packet[100], header[12], got[200];
	size_t len = packet_build(packet, &shape, 20, BROADCAST, MAC(0), 1);
	unsigned zeroes = 0;
	struct net net;

	(void)state;
	pair_create(&net, 12, 0);
	make_header(header, checksum_wish(&shape));
	for (unsigned n = 0; n < 65536; n++) {
		packet_put16(packet + at, n);
		put_packet(net.guests[0], header, 12, packet, len, len, 0);
		publish(net.guests[0]);
		assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), len);
		unsigned sum = packet_get16(got + packet_layout(&shape).transport + 6);
		assert_int_equal(sum, slow_transport_checksum(packet, len));
		zeroes += sum == 65535;
	}
	assert_in_range(zeroes, 1, 2);
	net_destroy(&net);
}

/* A place that is not in the first fragment: ignored; in the Ethernet header: refused. */
static void checksums_at_strange_places(void **state)
{
	static uint8_t packet[300], got[300], header[12];
	static const uint16_t starts[] = {0,   1,   13,	 14,	15,    33,    99,   100,
					  101, 199, 200, 32767, 32768, 65534, 65535};
	struct net net;
	unsigned refused = 0;

	(void)state;
	pair_create(&net, 12, 0);
	frame_fill(packet, sizeof(packet), BROADCAST, MAC(0), 1);
	for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		for (unsigned offset = 0; offset < 65536; offset += offset < 210 ? 1 : 3001) {
			unsigned start = starts[i], at = start + offset;

			make_header(header, (struct vnet_header){.flags = 1,
								 .csum_start = (uint16_t)start,
								 .csum_offset = (uint16_t)offset});
			put_packet(net.guests[0], header, 12, packet, 200, 100, 100);
			publish(net.guests[0]);
			if (start < 14) {
				expect_nothing(net.guests[1]);
				refused++;
				assert_int_equal(rx_count(&net, 1, RING_DROP_BAD_VNET_HEADER),
						 refused);
				continue;
			}
			assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), 200);
			if (at + 2 <= 100) {
				unsigned sum = 65535u - slow_sum(packet + start, 200 - start);

				assert_int_equal(packet_get16(got + at), sum == 0 ? 65535 : sum);
				memcpy(got + at, packet + at, 2);
			}
			assert_memory_equal(got, packet, 200);
		}
	}
	net_destroy(&net);
}

/* ---- segments ---- */

static struct vnet_header segment_wish(const struct packet_shape *shape)
{
	struct vnet_header header = checksum_wish(shape);

	header.gso_type = shape->udp ? VNET_GSO_UDP : shape->ipv6 ? VNET_GSO_TCPV6 : VNET_GSO_TCPV4;
	header.gso_size = 1000; /* not used */
	header.hdr_len = 7;	/* neither */
	return header;
}

/* The packet has arrived in segments of at most @limit bytes; they are taken. */
static void expect_segments(struct guest *guest, const uint8_t *packet, size_t len, size_t limit)
{
	static uint8_t got[MAX_PACKET];
	struct packet_layout layout = packet_parse(packet);
	size_t per = limit - layout.payload, payload = len - layout.payload;
	size_t count = payload == 0 ? 1 : (payload + per - 1) / per;

	assert_true(guest_available(guest, 1) >= count);
	for (size_t i = 0; i < count; i++) {
		uint32_t head = port_rx(guest->port, 0)->ring->head;
		const struct netmap_slot *slot = guest_slot(guest, 1, head);

		assert_int_equal(slot->flags, 0);
		long segment_len = guest_receive(guest, 0, got, sizeof(got));
		assert_true(segment_len > 0 && (size_t)segment_len <= limit);
		const char *wrong =
			packet_segment_wrong(packet, len, got, (size_t)segment_len, i, per);
		if (wrong != NULL)
			fail_msg("segment %zu of %zu: wrong %s", i, count, wrong);
	}
}

static void packets_are_cut_into_segments(void **state)
{
	static uint8_t packet[MAX_PACKET];
	static const size_t payloads[] = {0,	1,    100,   1400,  1447,  1448, 1449,
					  2000, 4096, 10000, 29201, 64000, 65400};
	uint8_t header[12];

	(void)state;
	for (unsigned kind = 0; kind < 8; kind++) {
		struct packet_shape shape = {.ipv6 = kind % 2 == 1,
					     .udp = kind / 2 % 2 == 1,
					     .vlans = kind / 4,
					     .tcp_options = 12};
		size_t headers = packet_layout(&shape).payload;
		struct net net;

		net_empty(&net);
		add_with_header(&net, 256, BUF_SIZE, kind % 3 == 0 ? 10 : 12);
		net_add(&net, 1, 256, BUF_SIZE);	  /* 1514 */
		add_with_header(&net, 256, BUF_SIZE, 10); /* then 2048 */
		set_header(&net, 2, 0);
		net_add(&net, 1, 1024, 320); /* its buffers are shorter */
		add_with_header(&net, 64, 65536, 10);
		set_header(&net, 4, 0);
		uint32_t h = net.guests[0]->port->vnet_hdr_len;
		make_header(header, segment_wish(&shape));
		for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
			size_t len = packet_build(packet, &shape, payloads[i], BROADCAST, MAC(0),
						  (unsigned)i);

			for (unsigned cut = 0; cut < 3; cut++) {
				/* the header alone; headers alone; odd pieces */
				size_t first = cut == 0 ? 0 : cut == 1 ? headers : headers + 1;
				size_t each = cut == 2 ? BUF_SIZE - 1 : BUF_SIZE;

				put_packet(net.guests[0], header, h, packet, len, first, each);
				publish(net.guests[0]);
				expect_segments(net.guests[1], packet, len, 1514);
				expect_segments(net.guests[2], packet, len, BUF_SIZE);
				expect_segments(net.guests[3], packet, len, 320);
				expect_segments(net.guests[4], packet, len, 65535);
				for (unsigned port = 1; port < 5; port++)
					expect_nothing(net.guests[port]);
			}
		}
		for (unsigned port = 1; port < 5; port++) {
			assert_int_equal(rx_count(&net, port, RING_DROP_TOO_LONG), 0);
			assert_int_equal(rx_count(&net, port, RING_DROP_RING_FULL), 0);
		}
		net_destroy(&net);
	}
}

static void segments_are_counted(void **state)
{
	static uint8_t packet[5000];
	struct packet_shape shape = {0};
	size_t headers = packet_layout(&shape).payload;
	size_t len = packet_build(packet, &shape, 4000, BROADCAST, MAC(0), 1);
	uint8_t header[12];
	struct net net;

	(void)state;
	pair_create(&net, 12, 0);
	set_header(&net, 1, 0);
	net.guests[1]->port->mfs = 1514;
	make_header(header, segment_wish(&shape));
	put_packet(net.guests[0], header, 12, packet, len, headers, BUF_SIZE);
	publish(net.guests[0]);
	assert_int_equal(tx_count(&net, 0, RING_PACKETS), 1);
	assert_int_equal(tx_count(&net, 0, RING_BYTES), len + 12);
	assert_int_equal(rx_count(&net, 1, RING_PACKETS), 3);
	assert_int_equal(rx_count(&net, 1, RING_BYTES), 4000 + 3 * headers);
	assert_int_equal(guest_interrupts(net.guests[1], 1), 1);
	net_destroy(&net);
}

/* All segments or none; and nothing overtakes. */
static void segments_without_room_are_dropped_whole(void **state)
{
	static uint8_t packet[MAX_PACKET], small[60], got[MAX_PACKET];
	struct packet_shape shape = {0};
	size_t headers = packet_layout(&shape).payload;
	size_t len = packet_build(packet, &shape, 1460 * 10, BROADCAST, MAC(0), 1);
	uint8_t header[12];
	struct net net;

	(void)state;
	net_empty(&net);
	add_with_header(&net, 256, BUF_SIZE, 12);
	net_add(&net, 1, SLOTS, BUF_SIZE);
	make_header(header, segment_wish(&shape));
	frame_fill(small, sizeof(small), BROADCAST, MAC(0), 1);
	for (unsigned used = 52; used <= 55; used++) {
		uint64_t full = rx_count(&net, 1, RING_DROP_RING_FULL);
		bool fits = used + 10 <= SLOTS - 1;

		for (unsigned n = 0; n < used; n++)
			put_packet(net.guests[0], no_wishes, 12, small, 60, 60, 0);
		put_packet(net.guests[0], header, 12, packet, len, headers, BUF_SIZE);
		put_packet(net.guests[0], no_wishes, 12, small, 60, 60, 0);
		publish(net.guests[0]);
		unsigned left = used + 11 <= SLOTS - 1 ? 0 : fits ? 1 : 2;
		assert_int_equal(rx_count(&net, 1, RING_DROP_RING_FULL) - full, left);
		assert_int_equal(guest_available(net.guests[1], 1),
				 used + (fits ? 10 : 0) + (left == 0 ? 1 : 0));
		for (unsigned n = 0; n < used; n++)
			expect_packet(net.guests[1], small, 60);
		if (fits)
			expect_segments(net.guests[1], packet, len, 1514);
		if (left == 0)
			expect_packet(net.guests[1], small, 60);
		expect_nothing(net.guests[1]);
	}
	/* More than the ring ever has room for: what follows is not affected. */
	for (unsigned segments = SLOTS - 1; segments <= SLOTS; segments++) {
		len = packet_build(packet, &shape, (size_t)1000 * segments, BROADCAST, MAC(0), 1);
		net.guests[1]->port->mfs = 1000 + (uint32_t)headers;
		put_packet(net.guests[0], header, 12, packet, len, headers, BUF_SIZE);
		publish(net.guests[0]);
		if (segments == SLOTS - 1)
			expect_segments(net.guests[1], packet, len, 1000 + headers);
		put_packet(net.guests[0], header, 12, packet, len, headers, BUF_SIZE);
		put_packet(net.guests[0], no_wishes, 12, small, 60, 60, 0);
		uint64_t before = rx_count(&net, 1, RING_DROP_TOO_LONG);
		publish(net.guests[0]);
		if (segments == SLOTS) {
			assert_int_equal(rx_count(&net, 1, RING_DROP_TOO_LONG), before + 1);
			expect_packet(net.guests[1], small, 60);
		}
		while (guest_receive(net.guests[1], 0, got, sizeof(got)) >= 0)
			continue;
	}
	/* Limits that leave no room for payload, or none for the headers. */
	len = packet_build(packet, &shape, 1000, BROADCAST, MAC(0), 1);
	for (uint32_t mfs = 0; mfs <= headers; mfs++) {
		uint64_t before = rx_count(&net, 1, RING_DROP_TOO_LONG);

		net.guests[1]->port->mfs = mfs;
		put_packet(net.guests[0], header, 12, packet, len, headers, BUF_SIZE);
		publish(net.guests[0]);
		assert_int_equal(rx_count(&net, 1, RING_DROP_TOO_LONG), before + 1);
		expect_nothing(net.guests[1]);
	}
	net_destroy(&net);
}

static void more_than_64_kb_are_not_cut(void **state)
{
	static uint8_t packet[MAX_PACKET];
	struct packet_shape shape = {0};
	size_t headers = packet_layout(&shape).payload, len;
	uint8_t header[12];
	struct net net;

	(void)state;
	pair_create(&net, 12, 0);
	make_header(header, segment_wish(&shape));
	len = packet_build(packet, &shape, PORT_MAX_FRAME - headers, BROADCAST, MAC(0), 1);
	put_packet(net.guests[0], header, 12, packet, len, headers, BUF_SIZE);
	publish(net.guests[0]);
	expect_segments(net.guests[1], packet, len, 1514);
	len = packet_build(packet, &shape, PORT_MAX_FRAME - headers + 1, BROADCAST, MAC(0), 1);
	put_packet(net.guests[0], header, 12, packet, len, headers, BUF_SIZE);
	publish(net.guests[0]);
	expect_nothing(net.guests[1]);
	assert_int_equal(rx_count(&net, 1, RING_DROP_TOO_LONG), 1);
	net_destroy(&net);
}

static void headers_outside_the_first_fragment_are_refused(void **state)
{
	static uint8_t packet[3000], header[12];
	uint64_t refused = 0;

	(void)state;
	for (unsigned kind = 0; kind < 4; kind++) {
		struct packet_shape shape = {
			.ipv6 = kind % 2 == 1, .udp = kind / 2 == 1, .vlans = 1};
		size_t headers = packet_layout(&shape).payload;
		size_t len = packet_build(packet, &shape, 1000, BROADCAST, MAC(0), 1);
		struct net net;

		refused = 0;
		pair_create(&net, 12, 0);
		make_header(header, segment_wish(&shape));
		for (size_t first = 14; first <= headers; first++) {
			put_packet(net.guests[0], header, 12, packet, len, first, BUF_SIZE);
			publish(net.guests[0]);
			if (first == headers)
				expect_segments(net.guests[1], packet, len, 1514);
			else
				refused++;
			expect_nothing(net.guests[1]);
			assert_int_equal(rx_count(&net, 1, RING_DROP_BAD_VNET_HEADER), refused);
		}
		/* Of another kind than the header says. */
		for (unsigned gso = 0; gso < 256; gso++) {
			unsigned type = gso & 0x7f;

			header[1] = (uint8_t)gso;
			put_packet(net.guests[0], header, 12, packet, len, headers, BUF_SIZE);
			publish(net.guests[0]);
			if (type == (segment_wish(&shape).gso_type & 0x7fu)) {
				expect_segments(net.guests[1], packet, len, 1514);
			} else if (type == 0) {
				static uint8_t got[MAX_PACKET];

				assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)),
						 len);
			} else {
				refused++;
			}
			assert_int_equal(rx_count(&net, 1, RING_DROP_BAD_VNET_HEADER), refused);
			expect_nothing(net.guests[1]);
		}
		net_destroy(&net);
	}
}

static void a_bad_receive_buffer_shows_no_segment(void **state)
{
	static uint8_t packet[6000], header[12];
	struct packet_shape shape = {0};
	size_t headers = packet_layout(&shape).payload;
	size_t len = packet_build(packet, &shape, 5000, BROADCAST, MAC(0), 1);
	struct captured_stderr capture;
	char text[4096];
	struct net net;

	(void)state;
	make_header(header, segment_wish(&shape));
	for (unsigned wish = 0; wish < 2; wish++) {
		pair_create(&net, 12, 0);
		guest_slot(net.guests[1], 1, 2)->buf_idx = 1;
		put_packet(net.guests[0], wish == 0 ? header : no_wishes, 12, packet, len, headers,
			   BUF_SIZE);
		put_packet(net.guests[0], no_wishes, 12, packet, 60, 60, 0);
		capture_stderr(&capture);
		publish(net.guests[0]);
		release_stderr(&capture, text, sizeof(text));
		assert_int_equal(port_rx(net.guests[1]->port, 0)->fault, PTNET_FAULT_BUF_IDX);
		expect_nothing(net.guests[1]);
		assert_int_equal(rx_count(&net, 1, RING_DROP_NOT_RUNNING), 2);
		assert_int_equal(rx_count(&net, 1, RING_PACKETS), 0);
		net_destroy(&net);
	}
}

/* ---- both at once ---- */

static void headers_and_offsets(void **state)
{
	static uint8_t packet[MAX_PACKET], joined[BUF_SIZE], got[BUF_SIZE];
	struct packet_shape shape = {0};
	struct packet_layout layout = packet_layout(&shape);
	size_t len = packet_build(packet, &shape, 1900, BROADCAST, MAC(0), 1);
	struct nmreq_opt_offsets option = {.nro_max_offset = 512, .nro_initial_offset = 96};
	uint8_t header[12];
	struct net net;

	(void)state;
	pair_create(&net, 12, 0);
	net.guests[1]->port->mfs = 1514;
	assert_int_equal(port_set_offsets(net.guests[0]->port, 1, 1, &option), 0);
	assert_int_equal(port_set_offsets(net.guests[1]->port, 2, 2, &option), 0);
	make_header(header, segment_wish(&shape));
	memcpy(joined, header, 12);
	memcpy(joined + 12, packet, len);
	/* The header and the packet's headers at 96, the rest at 50 in the next slot. */
	struct netmap_slot *slot = guest_slot(net.guests[0], 0, 0);
	memcpy(slot_buffer(net.guests[0], 0, slot) + 96, joined, 12 + layout.payload);
	slot->len = (uint16_t)(12 + layout.payload);
	slot->flags = NS_MOREFRAG;
	slot = guest_slot(net.guests[0], 0, 1);
	memcpy(slot_buffer(net.guests[0], 0, slot) + 50, packet + layout.payload, 1900);
	slot->len = 1900;
	slot->ptr = 50;
	struct netmap_ring *ring = port_tx(net.guests[0]->port, 0)->ring;
	ring->head = ring->cur = 2;
	publish(net.guests[0]);
	assert_int_equal(guest_available(net.guests[1], 1), 2);
	for (uint32_t i = 0; i < 2; i++) {
		slot = guest_slot(net.guests[1], 1, i);
		assert_int_equal(slot->ptr, 96);
		memcpy(got, slot_buffer(net.guests[1], 1, slot) + 96, slot->len);
		assert_null(packet_segment_wrong(packet, len, got, slot->len, i,
						 1514 - layout.payload));
	}
	net_destroy(&net);
}

/* Equal lengths: all bytes of the header are copied, by the code for offsets as well. */
static void equal_headers_and_offsets(void **state)
{
	uint8_t packet[100], header[12];
	struct nmreq_opt_offsets option = {.nro_max_offset = 64, .nro_initial_offset = 64};

	(void)state;
	make_header(header, (struct vnet_header){.flags = 0xff, .gso_type = 0xff});
	frame_fill(packet, sizeof(packet), BROADCAST, MAC(0), 1);
	for (unsigned i = 1; i < 3; i++) {
		uint32_t h = lengths[i];
		struct net net;

		pair_create(&net, h, h);
		assert_int_equal(port_set_offsets(net.guests[1]->port, 2, 2, &option), 0);
		put_packet(net.guests[0], header, h, packet, 100, 100, 0);
		put_packet(net.guests[0], header, h, packet, 100, 0, 100);
		publish(net.guests[0]);
		assert_int_equal(guest_available(net.guests[1], 1), 3);
		const unsigned lens[] = {h + 100, h, 100};
		for (uint32_t n = 0; n < 3; n++) {
			struct netmap_slot *slot = guest_slot(net.guests[1], 1, n);
			const uint8_t *data = slot_buffer(net.guests[1], 1, slot) + 64;

			assert_int_equal(slot->len, lens[n]);
			assert_int_equal(slot->ptr, 64);
			if (n < 2)
				assert_memory_equal(data, header, h);
			if (n != 1)
				assert_memory_equal(data + slot->len - 100, packet, 100);
		}
		net_destroy(&net);
	}
}

/* ---- anything ---- */

/*
 * Random headers on random packets to ports of all kinds. What arrives at a port with headers is
 * what was sent; elsewhere it may be refused, but the packet behind it arrives.
 */
static void random_headers_harm_nobody(void **state)
{
	static uint8_t packet[MAX_PACKET], got[MAX_PACKET], marker[60];
	struct random random;
	struct net net;

	(void)state;
	random_start(&random, "vnet");
	net_empty(&net);
	add_with_header(&net, 256, BUF_SIZE, 12);
	net_add(&net, 1, 256, BUF_SIZE);
	net_add(&net, 1, 1024, 128);
	add_with_header(&net, 256, 4096, 12);
	frame_fill(marker, sizeof(marker), BROADCAST, MAC(0), 99);
	for (unsigned round = 0; round < 20000; round++) {
		struct packet_shape shape = {.vlans = random_below(&random, 3),
					     .ipv6 = random_below(&random, 2) == 1,
					     .udp = random_below(&random, 2) == 1,
					     .ip_options = random_below(&random, 4) * 4,
					     .tcp_options = random_below(&random, 4) * 4};
		struct vnet_header wish = segment_wish(&shape);
		uint8_t header[12];
		size_t headers = packet_layout(&shape).payload;
		size_t len = packet_build(packet, &shape, random_below(&random, 5000), BROADCAST,
					  MAC(0), round);

		if (random_below(&random, 2) == 0)
			wish.gso_type = 0;
		make_header(header, wish);
		for (unsigned i = random_below(&random, 3); i > 0; i--)
			header[random_below(&random, 12)] = (uint8_t)random_below(&random, 256);
		for (unsigned i = random_below(&random, 3); i > 0; i--)
			packet[12 + random_below(&random, (uint32_t)headers)] =
				(uint8_t)random_below(&random, 256);
		put_packet(net.guests[0], header, 12, packet, len, 14 + random_below(&random, 200),
			   60 + random_below(&random, 1900));
		put_packet(net.guests[0], no_wishes, 12, marker, 60, 60, 0);
		publish(net.guests[0]);
		for (unsigned port = 1; port < 4; port++) {
			bool marked = false;
			long n;

			while ((n = guest_receive(net.guests[port], 0, got, sizeof(got))) >= 0) {
				uint32_t t = port == 3 ? 12 : 0;

				marked = n == (long)t + 60 && memcmp(got + t, marker, 60) == 0;
				if (port == 3 && !marked) {
					assert_int_equal(n, 12 + len);
					assert_memory_equal(got, header, 12);
					assert_memory_equal(got + 12, packet, len);
				}
			}
			assert_true(marked || rx_count(&net, port, RING_DROP_RING_FULL) > 0);
		}
	}
	for (unsigned port = 1; port < 4; port++)
		assert_int_equal(rx_count(&net, port, RING_FAULTS), 0);
	assert_true(rx_count(&net, 1, RING_DROP_BAD_VNET_HEADER) > 100);
	assert_true(rx_count(&net, 1, RING_PACKETS) > 20000);
	net_destroy(&net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lengths_are_checked),
		cmocka_unit_test(the_length_of_segments),
		cmocka_unit_test(every_pair_of_lengths),
		cmocka_unit_test(slots_are_the_senders),
		cmocka_unit_test(a_header_without_room_gets_a_slot),
		cmocka_unit_test(packets_are_cut_anew),
		cmocka_unit_test(long_packets_pass),
		cmocka_unit_test(switching_is_by_the_ethernet_header),
		cmocka_unit_test(headers_must_be_in_the_first_slot),
		cmocka_unit_test(unknown_wishes_are_refused),
		cmocka_unit_test(checksums_are_completed),
		cmocka_unit_test(a_checksum_may_be_cut),
		cmocka_unit_test(a_checksum_is_never_zero),
		cmocka_unit_test(checksums_at_strange_places),
		cmocka_unit_test(packets_are_cut_into_segments),
		cmocka_unit_test(segments_are_counted),
		cmocka_unit_test(segments_without_room_are_dropped_whole),
		cmocka_unit_test(more_than_64_kb_are_not_cut),
		cmocka_unit_test(headers_outside_the_first_fragment_are_refused),
		cmocka_unit_test(a_bad_receive_buffer_shows_no_segment),
		cmocka_unit_test(headers_and_offsets),
		cmocka_unit_test(equal_headers_and_offsets),
		cmocka_unit_test(random_headers_harm_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
