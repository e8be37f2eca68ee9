/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The VALE switch, run by hand on one thread: who gets what, in which slots, what
 * is dropped and where it is counted, and random traffic against a slow model.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "captured_stderr.h"
#include "port/vale.h"
#include "port/vale_private.h"
#include "random.h"
#include "switch_fixture.h"
#include "watched_memory.h"

/* Sends one frame that is recognised by @number; runs the switch. */
static void say(struct net *net, unsigned sender, uint64_t to, uint64_t from, unsigned number)
{
	uint8_t frame[60];

	frame_fill(frame, sizeof(frame), to, from, number);
	guest_send(net->guests[sender], 0, frame, sizeof(frame), BUF_SIZE);
	assert_int_equal(guest_run(net->guests[sender], 0), PORT_DRY);
}

static void expect_on_ring(struct guest *guest, unsigned ring, uint64_t to, uint64_t from,
			   unsigned number)
{
	uint8_t expected[60], got[BUF_SIZE];

	frame_fill(expected, sizeof(expected), to, from, number);
	assert_int_equal(guest_receive(guest, ring, got, sizeof(got)), sizeof(expected));
	assert_memory_equal(got, expected, sizeof(expected));
}

static void expect(struct net *net, unsigned receiver, uint64_t to, uint64_t from, unsigned number)
{
	expect_on_ring(net->guests[receiver], 0, to, from, number);
}

static void expect_nothing(struct net *net)
{
	static uint8_t got[1 << 17];

	for (unsigned i = 0; i < net->ports; i++)
		for (unsigned ring = 0;
		     net->guests[i] != NULL && ring < net->guests[i]->port->rx_rings; ring++)
			assert_int_equal(guest_receive(net->guests[i], ring, got, sizeof(got)), -1);
}

/* Each port says its address, so that the switch knows them all. */
static void introduce_all(struct net *net)
{
	static uint8_t got[1 << 17];

	for (unsigned i = 0; i < net->ports; i++)
		say(net, i, BROADCAST, MAC(i), 0);
	for (unsigned i = 0; i < net->ports; i++)
		while (guest_receive(net->guests[i], 0, got, sizeof(got)) >= 0)
			continue;
}

/* ---- who gets it ---- */

static void broadcast_reaches_all_others(void **state)
{
	struct net net;

	(void)state;
	net_create(&net, 3);
	say(&net, 0, BROADCAST, MAC(0), 1);
	expect(&net, 1, BROADCAST, MAC(0), 1);
	expect(&net, 2, BROADCAST, MAC(0), 1);
	expect_nothing(&net);
	assert_int_equal(tx_count(&net, 0, RING_PACKETS), 1);
	assert_int_equal(tx_count(&net, 0, RING_BYTES), 60);
	assert_int_equal(rx_count(&net, 1, RING_PACKETS), 1);
	assert_int_equal(rx_count(&net, 2, RING_BYTES), 60);
	net_destroy(&net);
}

static void multicast_reaches_all_others(void **state)
{
	const uint64_t group = UINT64_C(0x01005e000001);
	struct net net;

	(void)state;
	net_create(&net, 3);
	say(&net, 1, group, MAC(1), 1);
	expect(&net, 0, group, MAC(1), 1);
	expect(&net, 2, group, MAC(1), 1);
	expect_nothing(&net);
	net_destroy(&net);
}

static void known_addresses_reach_their_port_only(void **state)
{
	struct net net;

	(void)state;
	net_create(&net, 3);
	say(&net, 0, MAC(1), MAC(0), 1); /* nobody has heard of 1: flooded */
	expect(&net, 1, MAC(1), MAC(0), 1);
	expect(&net, 2, MAC(1), MAC(0), 1);
	say(&net, 1, MAC(0), MAC(1), 2); /* 0 is known from its first packet */
	expect(&net, 0, MAC(0), MAC(1), 2);
	say(&net, 0, MAC(1), MAC(0), 3);
	expect(&net, 1, MAC(1), MAC(0), 3);
	expect_nothing(&net);
	net_destroy(&net);
}

static void multicast_sources_are_not_learnt(void **state)
{
	const uint64_t group = UINT64_C(0x010000000001);
	struct vale_mac macs[4];
	struct net net;

	(void)state;
	net_create(&net, 3);
	say(&net, 0, BROADCAST, group, 1);
	expect(&net, 1, BROADCAST, group, 1);
	expect(&net, 2, BROADCAST, group, 1);
	assert_int_equal(vale_macs(net.vale, macs, 4), 0);
	say(&net, 1, group, MAC(1), 2);
	expect(&net, 0, group, MAC(1), 2);
	expect(&net, 2, group, MAC(1), 2);
	assert_int_equal(vale_macs(net.vale, macs, 4), 1);
	net_destroy(&net);
}

static void an_address_that_moves_is_followed(void **state)
{
	struct net net;

	(void)state;
	net_create(&net, 3);
	introduce_all(&net);
	for (unsigned round = 0; round < 3; round++) {
		say(&net, 1, MAC(2), MAC(9), 1);
		expect(&net, 2, MAC(2), MAC(9), 1);
		say(&net, 2, MAC(9), MAC(2), 2);
		expect(&net, 1, MAC(9), MAC(2), 2);
		/* And back, though port 1 has sent nothing else meanwhile (netmap misses that). */
		say(&net, 0, MAC(2), MAC(9), 3);
		expect(&net, 2, MAC(2), MAC(9), 3);
		say(&net, 2, MAC(9), MAC(2), 4);
		expect(&net, 0, MAC(9), MAC(2), 4);
	}
	expect_nothing(&net);
	net_destroy(&net);
}

static void packets_to_the_sending_port_are_dropped(void **state)
{
	struct net net;

	(void)state;
	net_create(&net, 3);
	introduce_all(&net);
	say(&net, 0, MAC(7), MAC(8), 1); /* two hosts behind port 0 */
	say(&net, 0, MAC(0), MAC(8), 2);
	expect(&net, 1, MAC(7), MAC(8), 1);
	expect(&net, 2, MAC(7), MAC(8), 1);
	expect_nothing(&net);
	assert_int_equal(tx_count(&net, 0, RING_DROP_SAME_PORT), 1);
	/* Even to itself, from itself, as the first thing ever said. */
	say(&net, 1, MAC(11), MAC(11), 3);
	expect_nothing(&net);
	assert_int_equal(tx_count(&net, 1, RING_DROP_SAME_PORT), 1);
	net_destroy(&net);
}

static void alone_on_the_switch_nobody_is_reached(void **state)
{
	struct net net;

	(void)state;
	net_create(&net, 1);
	say(&net, 0, BROADCAST, MAC(0), 1);
	say(&net, 0, MAC(1), MAC(0), 2);
	assert_int_equal(tx_count(&net, 0, RING_DROP_NO_DESTINATION), 2);
	assert_int_equal(guest_available(net.guests[0], guest_tx(net.guests[0], 0)), SLOTS - 1);
	net_destroy(&net);
}

/* Time is not injected into the switch: the entries are made older instead. */
static void make_older(struct vale *vale, uint32_t seconds)
{
	for (unsigned b = 0; b < MAC_TABLE_BUCKETS; b++)
		for (unsigned way = 0; way < MAC_TABLE_WAYS; way++)
			vale->macs.buckets[b].ways[way].seen_s -= seconds;
}

static void silent_addresses_are_forgotten(void **state)
{
	struct vale_mac macs[4];
	struct net net;

	(void)state;
	net_create(&net, 3);
	assert_int_equal(vale_ageing_s(net.vale), 300);
	introduce_all(&net);
	make_older(net.vale, 310);
	say(&net, 1, BROADCAST, MAC(1), 1); /* 1 is heard of again, 2 is not */
	expect(&net, 0, BROADCAST, MAC(1), 1);
	expect(&net, 2, BROADCAST, MAC(1), 1);
	assert_int_equal(vale_macs(net.vale, macs, 4), 1);
	assert_int_equal(macs[0].port_index, 1);
	assert_int_equal(macs[0].mac[0], 2);
	assert_int_equal(macs[0].mac[5], 1);
	assert_in_range(macs[0].age_s, 0, 200);
	say(&net, 0, MAC(1), MAC(0), 2);
	expect(&net, 1, MAC(1), MAC(0), 2);
	expect_nothing(&net);
	say(&net, 0, MAC(2), MAC(0), 3);
	expect(&net, 1, MAC(2), MAC(0), 3);
	expect(&net, 2, MAC(2), MAC(0), 3);
	net_destroy(&net);
}

static void a_port_may_not_fill_the_table(void **state)
{
	struct vale_config config = {.name = "vale0", .mac_limit = 20};
	struct vale_mac macs[64];
	struct net net = {0};
	unsigned from_0 = 0, count;

	(void)state;
	assert_int_equal(vale_create(&net.vale, &config, NULL), 0);
	net_add(&net, 1, SLOTS, BUF_SIZE);
	net_add(&net, 1, SLOTS, BUF_SIZE);
	for (unsigned i = 0; i < 2000; i++)
		say(&net, 0, MAC(5), MAC(1000 + i), i);
	say(&net, 1, MAC(5), MAC(1), 0);
	count = vale_macs(net.vale, macs, 64);
	for (unsigned i = 0; i < count; i++)
		from_0 += macs[i].port_index == 0;
	assert_int_equal(from_0, 20);
	assert_int_equal(count, 21);
	/* Capacity bounds what is written, not what is counted. */
	assert_int_equal(vale_macs(net.vale, macs, 3), 21);
	assert_int_equal(vale_macs(net.vale, NULL, 0), 21);
	net_destroy(&net);
}

/* ---- ports that come and go ---- */

static void what_left_is_forgotten(void **state)
{
	struct vale_mac macs[4];
	struct net net;

	(void)state;
	net_create(&net, 3);
	introduce_all(&net);
	net_remove(&net, 1);
	assert_int_equal(vale_num_ports(net.vale), 2);
	assert_null(vale_port(net.vale, 1));
	assert_int_equal(vale_macs(net.vale, macs, 4), 2);
	/* Flooded again; and who gets the index next does not get the old one's packets. */
	net_add(&net, 1, SLOTS, BUF_SIZE);
	assert_int_equal(vale_port_index(net.guests[3]->port), 1);
	say(&net, 0, MAC(1), MAC(0), 1);
	expect(&net, 2, MAC(1), MAC(0), 1);
	expect(&net, 3, MAC(1), MAC(0), 1);
	say(&net, 2, MAC(1), MAC(2), 2);
	expect(&net, 0, MAC(1), MAC(2), 2);
	expect(&net, 3, MAC(1), MAC(2), 2);
	expect_nothing(&net);
	net_destroy(&net);
}

/* engine_remove_port() unpublishes, port_destroy() does it again later. */
static void leaving_twice_does_not_take_another_along(void **state)
{
	struct net net;

	(void)state;
	net_create(&net, 3);
	guest_detach(net.guests[1]);
	net.guests[1]->port->ops->unpublish(net.guests[1]->port);
	net_add(&net, 1, SLOTS, BUF_SIZE);
	assert_int_equal(vale_port_index(net.guests[3]->port), 1);
	port_destroy(net.guests[1]->port);
	free(net.guests[1]);
	net.guests[1] = NULL;
	assert_ptr_equal(vale_port(net.vale, 1), net.guests[3]->port);
	say(&net, 0, BROADCAST, MAC(0), 1);
	expect(&net, 2, BROADCAST, MAC(0), 1);
	expect(&net, 3, BROADCAST, MAC(0), 1);
	net_destroy(&net);
}

/* Between unpublish() and detach() its addresses are still known. */
static void packets_to_a_leaving_port_are_counted(void **state)
{
	uint8_t frame[60];
	struct net net;

	(void)state;
	net_create(&net, 3);
	introduce_all(&net);
	guest_detach(net.guests[1]);
	net.guests[1]->port->ops->unpublish(net.guests[1]->port);
	say(&net, 0, MAC(1), MAC(0), 1);
	assert_int_equal(tx_count(&net, 0, RING_DROP_NO_DESTINATION), 1);
	/* The same in a batch with a flooded packet. */
	frame_fill(frame, sizeof(frame), MAC(1), MAC(0), 2);
	guest_send(net.guests[0], 0, frame, sizeof(frame), BUF_SIZE);
	say(&net, 0, BROADCAST, MAC(0), 3);
	assert_int_equal(tx_count(&net, 0, RING_DROP_NO_DESTINATION), 2);
	expect(&net, 2, BROADCAST, MAC(0), 3);
	port_destroy(net.guests[1]->port);
	free(net.guests[1]);
	net.guests[1] = NULL;
	expect_nothing(&net);
	net_destroy(&net);
}

static void a_port_that_does_not_run_drops(void **state)
{
	struct net net;

	(void)state;
	net_create(&net, 3);
	introduce_all(&net);
	struct kring *rx = port_rx(net.guests[1]->port, 0);
	uint64_t before = ring_counter_get(&rx->counters, RING_PACKETS);
	guest_detach(net.guests[1]);
	say(&net, 0, MAC(1), MAC(0), 1);
	say(&net, 0, BROADCAST, MAC(0), 2);
	expect(&net, 2, BROADCAST, MAC(0), 2);
	assert_int_equal(ring_counter_get(&rx->counters, RING_DROP_NOT_RUNNING), 2);
	assert_int_equal(ring_counter_get(&rx->counters, RING_PACKETS), before);
	guest_attach(net.guests[1], net.guests[1]->port);
	/* What it had read when nobody looked any more is there again. */
	uint8_t got[BUF_SIZE];
	while (guest_receive(net.guests[1], 0, got, sizeof(got)) >= 0)
		continue;
	say(&net, 0, MAC(1), MAC(0), 3);
	expect(&net, 1, MAC(1), MAC(0), 3);
	expect_nothing(&net);
	net_destroy(&net);
}

static void queued_packets_survive_a_restart(void **state)
{
	struct net net;

	(void)state;
	net_create(&net, 2);
	say(&net, 0, BROADCAST, MAC(0), 1);
	say(&net, 0, BROADCAST, MAC(0), 2);
	expect(&net, 1, BROADCAST, MAC(0), 1);
	say(&net, 0, BROADCAST, MAC(0), 3); /* sees that the first was read */
	endpoint_stop(net.guests[1]->port);
	guest_detach(net.guests[1]);
	guest_attach(net.guests[1], net.guests[1]->port);
	expect(&net, 1, BROADCAST, MAC(0), 2);
	expect(&net, 1, BROADCAST, MAC(0), 3);
	expect_nothing(&net);
	/* Unless the owner was reset: then it finds fresh rings. */
	say(&net, 0, BROADCAST, MAC(0), 3);
	struct netmap_slot first = *guest_slot(net.guests[1], 1, 0);
	guest_slot(net.guests[1], 1, 0)->buf_idx = 77777;
	guest_detach(net.guests[1]);
	endpoint_reset(net.guests[1]->port);
	guest_attach(net.guests[1], net.guests[1]->port);
	expect_nothing(&net);
	assert_int_equal(guest_slot(net.guests[1], 1, 0)->buf_idx, first.buf_idx);
	assert_int_equal(net.guests[1]->atok[1].head, 0);
	say(&net, 0, BROADCAST, MAC(0), 4);
	expect(&net, 1, BROADCAST, MAC(0), 4);
	net_destroy(&net);
}

static void names_are_checked(void **state)
{
	static const char *const bad[] = {"",	   "val",    "bridge", "vale-1",
					  "vale:", "vale 1", "vale/x"};
	struct vale_config config = {.name = "vale"};
	struct error error;
	struct vale *vale;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		memset(config.name, 0, sizeof(config.name));
		memcpy(config.name, bad[i], strlen(bad[i]));
		assert_int_equal(vale_create(&vale, &config, &error), -EINVAL);
		assert_non_null(strstr(error.text, bad[i]));
	}
	memset(config.name, 'a', sizeof(config.name)); /* no NUL */
	memcpy(config.name, "vale", 4);
	assert_int_equal(vale_create(&vale, &config, &error), -EINVAL);
	memset(config.name, 0, sizeof(config.name));
	memcpy(config.name, "vale", 4);
	assert_int_equal(vale_create(&vale, &config, &error), 0);
	assert_string_equal(vale_name(vale), "vale");
	assert_int_equal(vale_destroy(vale, &error), 0);
}

static void a_switch_has_254_ports(void **state)
{
	struct vale_config vale_config = {.name = "vale0"};
	struct region *region = test_region(VALE_MAX_PORTS + 1, 1, SLOTS, 256);
	static struct port *ports[VALE_MAX_PORTS];
	struct port_config config = {.tx_slots = SLOTS, .rx_slots = SLOTS};
	struct port *another;
	struct error error;
	struct vale *vale;

	(void)state;
	assert_int_equal(vale_create(&vale, &vale_config, NULL), 0);
	for (unsigned i = 0; i < VALE_MAX_PORTS; i++) {
		snprintf(config.name, sizeof(config.name), "vale0:%u", i);
		if (vale_port_create(&ports[i], vale, &config, region, &error) < 0)
			fail_msg("%s", error.text);
	}
	uint32_t bufs = region_bufs_free(region), rings = region_rings_free(region);
	assert_int_equal(vale_port_create(&another, vale, &config, region, &error), -EEXIST);
	snprintf(config.name, sizeof(config.name), "vale0:more");
	assert_int_equal(vale_port_create(&another, vale, &config, region, &error), -ENOSPC);
	assert_int_equal(vale_destroy(vale, &error), -EBUSY);
	assert_non_null(strstr(error.text, "254 ports"));

	/* The last port can talk to the first, and all others hear a broadcast. */
	static struct guest last __attribute__((aligned(64))), first __attribute__((aligned(64)));
	uint8_t frame[60], got[256];
	memset(&last, 0, sizeof(last));
	memset(&first, 0, sizeof(first));
	guest_attach(&last, ports[VALE_MAX_PORTS - 1]);
	guest_attach(&first, ports[0]);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(1), 1);
	guest_send(&last, 0, frame, sizeof(frame), 256);
	guest_run(&last, 0);
	assert_int_equal(guest_receive(&first, 0, got, sizeof(got)), 60);
	frame_fill(frame, sizeof(frame), MAC(1), MAC(2), 2);
	guest_send(&first, 0, frame, sizeof(frame), 256);
	guest_run(&first, 0);
	assert_int_equal(guest_receive(&last, 0, got, sizeof(got)), 60);
	assert_int_equal(guest_counter(&first, 0, RING_DROP_SAME_PORT), 0);
	assert_int_equal(ring_counter_get(&port_rx(ports[7], 0)->counters, RING_DROP_NOT_RUNNING),
			 1);
	guest_detach(&last);
	guest_detach(&first);

	/* In a region without room nothing is left behind. */
	struct region *tiny = test_region(1, 1, SLOTS, 256);
	config.tx_rings = config.rx_rings = 16;
	assert_int_equal(vale_port_create(&another, vale, &config, tiny, &error), -ENOSPC);
	port_destroy(ports[5]);
	bufs += 2 * SLOTS;
	rings += 2;
	assert_int_equal(region_bufs_free(region), bufs);
	assert_int_equal(region_rings_free(region), rings);
	uint32_t tiny_bufs = region_bufs_free(tiny), tiny_rings = region_rings_free(tiny);
	assert_int_equal(vale_port_create(&another, vale, &config, tiny, &error), -ENOMEM);
	assert_int_equal(region_bufs_free(tiny), tiny_bufs);
	assert_int_equal(region_rings_free(tiny), tiny_rings);
	assert_int_equal(vale_num_ports(vale), VALE_MAX_PORTS - 1);
	region_put(tiny);
	for (unsigned i = 0; i < VALE_MAX_PORTS; i++)
		if (i != 5)
			port_destroy(ports[i]);
	assert_int_equal(vale_destroy(vale, NULL), 0);
	region_put(region);
}

/* ---- in which slots ---- */

static void a_single_slot_has_flags_0x0100(void **state)
{
	struct net net;

	(void)state;
	net_create(&net, 2);
	struct netmap_slot *slot = guest_slot(net.guests[1], guest_rx(net.guests[1], 0), 0);
	uint32_t buffer = slot->buf_idx;
	slot->flags = 0xffff;
	slot->ptr = 5;
	say(&net, 0, BROADCAST, MAC(0), 1);
	assert_int_equal(slot->flags, 0x0100);
	assert_int_equal(slot->len, 60);
	assert_int_equal(slot->buf_idx, buffer);
	net_destroy(&net);
}

static void fragments_arrive_as_one_packet(void **state)
{
	static uint8_t frame[3 * BUF_SIZE], got[3 * BUF_SIZE];
	struct net net;

	(void)state;
	net_create(&net, 2);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	guest_send(net.guests[0], 0, frame, 2 * BUF_SIZE + 100, BUF_SIZE);
	guest_run(net.guests[0], 0);
	unsigned ring = guest_rx(net.guests[1], 0);
	assert_int_equal(guest_available(net.guests[1], ring), 3);
	assert_int_equal(guest_slot(net.guests[1], ring, 0)->flags, 0x0300 | NS_MOREFRAG);
	assert_int_equal(guest_slot(net.guests[1], ring, 1)->flags, 0x0300 | NS_MOREFRAG);
	assert_int_equal(guest_slot(net.guests[1], ring, 2)->flags, 0x0300);
	assert_int_equal(guest_slot(net.guests[1], ring, 0)->len, BUF_SIZE);
	assert_int_equal(guest_slot(net.guests[1], ring, 2)->len, 100);
	assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), 2 * BUF_SIZE + 100);
	assert_memory_equal(got, frame, 2 * BUF_SIZE + 100);
	assert_int_equal(rx_count(&net, 1, RING_PACKETS), 1);
	assert_int_equal(rx_count(&net, 1, RING_BYTES), 2 * BUF_SIZE + 100);
	net_destroy(&net);
}

/* A slot each, as it was sent (spec 2.5). */
static void small_fragments_keep_their_slots(void **state)
{
	uint8_t frame[300], got[BUF_SIZE];
	struct net net;

	(void)state;
	net_create(&net, 2);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	guest_send(net.guests[0], 0, frame, sizeof(frame), 20);
	guest_run(net.guests[0], 0);
	unsigned ring = guest_rx(net.guests[1], 0);
	assert_int_equal(guest_available(net.guests[1], ring), 15);
	for (unsigned i = 0; i < 15; i++) {
		assert_int_equal(guest_slot(net.guests[1], ring, i)->flags,
				 15 << NS_PORT_SHIFT | (i < 14 ? NS_MOREFRAG : 0));
		assert_int_equal(guest_slot(net.guests[1], ring, i)->len, 20);
	}
	assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), sizeof(frame));
	assert_memory_equal(got, frame, sizeof(frame));
	net_destroy(&net);
}

static void empty_fragments_are_passed_over(void **state)
{
	uint8_t frame[60], got[BUF_SIZE];
	struct net net;

	(void)state;
	net_create(&net, 2);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	guest_fill(net.guests[0], 0, frame, 30, BUF_SIZE);
	guest_fill(net.guests[0], 0, frame, 0, BUF_SIZE);
	guest_fill(net.guests[0], 0, frame, 0, BUF_SIZE);
	guest_fill(net.guests[0], 0, frame + 30, 30, BUF_SIZE);
	guest_fill(net.guests[0], 0, frame, 0, BUF_SIZE);
	for (unsigned i = 0; i < 4; i++)
		guest_slot(net.guests[0], 0, i)->flags = NS_MOREFRAG;
	guest_publish(net.guests[0], 0);
	guest_run(net.guests[0], 0);
	assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), 60);
	assert_memory_equal(got, frame, 60);
	expect_nothing(&net);
	net_destroy(&net);
}

static void more_than_64_fragments_are_dropped_whole(void **state)
{
	static uint8_t frame[100 * 20], got[100 * 20];
	struct net net = {0};

	(void)state;
	net_empty(&net);
	net_add(&net, 1, 256, BUF_SIZE);
	net_add(&net, 1, 256, BUF_SIZE);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	guest_send(net.guests[0], 0, frame, 65 * 20, 20);
	say(&net, 0, BROADCAST, MAC(0), 2);
	expect(&net, 1, BROADCAST, MAC(0), 2);
	expect_nothing(&net);
	assert_int_equal(tx_count(&net, 0, RING_DROP_TOO_MANY_FRAGS), 1);
	/* 64 are allowed. */
	guest_send(net.guests[0], 0, frame, 64 * 20, 20);
	guest_run(net.guests[0], 0);
	assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), 64 * 20);
	assert_memory_equal(got, frame, 64 * 20);
	/* A whole ring of one chain, more than a batch takes. */
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < 255; i++) {
			guest_fill(net.guests[0], 0, frame, 20, 20);
			guest_slot(net.guests[0], 0,
				   ring_prev(256, port_tx(net.guests[0]->port, 0)->ring->head))
				->flags = NS_MOREFRAG;
		}
		guest_publish(net.guests[0], 0);
		assert_int_equal(guest_run(net.guests[0], 0), PORT_DRY);
		assert_int_equal(tx_count(&net, 0, RING_DROP_TOO_MANY_FRAGS), 2 + round);
		assert_int_equal(guest_available(net.guests[0], 0), 255);
	}
	say(&net, 0, BROADCAST, MAC(0), 3);
	expect(&net, 1, BROADCAST, MAC(0), 3);
	expect_nothing(&net);
	net_destroy(&net);
}

/* The sender's head ends a packet, whatever its last slot says (spec 2.3). */
static void a_chain_cut_by_head_is_sent(void **state)
{
	uint8_t frame[200], got[BUF_SIZE];
	struct net net;

	(void)state;
	net_create(&net, 2);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	guest_fill(net.guests[0], 0, frame, 200, 100);
	guest_slot(net.guests[0], 0, 1)->flags = NS_MOREFRAG;
	guest_publish(net.guests[0], 0);
	guest_run(net.guests[0], 0);
	assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), 200);
	assert_memory_equal(got, frame, 200);
	say(&net, 0, BROADCAST, MAC(0), 2);
	expect(&net, 1, BROADCAST, MAC(0), 2);
	expect_nothing(&net);
	net_destroy(&net);
}

/*
 * A burst of a program's may end inside a packet. What comes with its next sync is a packet of its
 * own, unless both syncs came before the switch looked (2.3).
 */
static void a_chain_in_two_syncs_is_two_packets(void **state)
{
	enum { FRAGMENTS = 6, LEN = 50 };
	uint8_t frame[FRAGMENTS * LEN], got[BUF_SIZE];
	struct net net;

	(void)state;
	net_create(&net, 2);
	/* Each fragment looks like a frame. */
	for (unsigned n = 0; n < FRAGMENTS; n++)
		frame_fill(frame + (size_t)n * LEN, LEN, BROADCAST, MAC(0), n);
	for (unsigned first = 1; first < FRAGMENTS; first++) {
		for (unsigned looks = 0; looks < 2; looks++) {
			for (unsigned n = 0; n < FRAGMENTS; n++) {
				uint32_t head = port_tx(net.guests[0]->port, 0)->ring->head;

				guest_fill(net.guests[0], 0, frame + (size_t)n * LEN, LEN, LEN);
				if (n + 1 < FRAGMENTS)
					guest_slot(net.guests[0], 0, head)->flags = NS_MOREFRAG;
				if (n + 1 != first)
					continue;
				guest_publish(net.guests[0], 0);
				if (looks == 1)
					guest_run(net.guests[0], 0);
			}
			guest_publish(net.guests[0], 0);
			guest_run(net.guests[0], 0);
			size_t cut = looks == 1 ? (size_t)first * LEN : sizeof(frame);
			assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), cut);
			assert_memory_equal(got, frame, cut);
			if (looks == 1) {
				assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)),
						 sizeof(frame) - cut);
				assert_memory_equal(got, frame + cut, sizeof(frame) - cut);
			}
			expect_nothing(&net);
		}
	}
	assert_int_equal(tx_count(&net, 0, RING_PACKETS), 3 * (FRAGMENTS - 1));
	net_destroy(&net);
}

/* A receiver's burst may end inside a packet, too. */
static void half_a_packet_may_be_released(void **state)
{
	uint8_t frame[1000];
	struct net net;

	(void)state;
	net_create(&net, 2);
	unsigned ring = guest_rx(net.guests[1], 0);
	uint32_t head = 0, held = 0;
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	for (unsigned round = 0; round < 5 * SLOTS; round++) {
		uint64_t full = rx_count(&net, 1, RING_DROP_RING_FULL);
		bool fits = held + 5 <= SLOTS - 1;

		guest_send(net.guests[0], 0, frame, sizeof(frame), 200);
		guest_run(net.guests[0], 0);
		assert_int_equal(rx_count(&net, 1, RING_DROP_RING_FULL) - full, fits ? 0 : 1);
		held += fits ? 5 : 0;
		for (unsigned n = round % 8; n > 0 && held > 0; n--, held--) {
			assert_int_equal(guest_slot(net.guests[1], ring, head)->len, 200);
			head = ring_next(SLOTS, head);
		}
		ptnet_csb_publish(&net.guests[1]->atok[ring], head, head);
		assert_int_equal(ring_distance(SLOTS, head, net.guests[1]->ktoa[ring].hwtail),
				 held);
	}
	assert_int_equal(rx_count(&net, 1, RING_FAULTS), 0);
	assert_true(rx_count(&net, 1, RING_DROP_RING_FULL) > 0);
	net_destroy(&net);
}

/* A worker's budget cuts a batch between packets only. */
static void budgets_do_not_cut_packets(void **state)
{
	static uint8_t frame[40 * 100], got[40 * 100];
	struct net net;

	(void)state;
	net_create(&net, 2);
	struct kring *tx = port_tx(net.guests[0]->port, 0);
	for (unsigned budget = 1; budget < 20; budget++) {
		frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), budget);
		guest_send(net.guests[0], 0, frame, 700, 100);
		guest_send(net.guests[0], 0, frame, 1500, 500);
		pthread_mutex_lock(&tx->lock);
		enum port_work work;
		unsigned runs = 0;
		do {
			work = tx->port->ops->run(tx, budget);
			assert_true(++runs < 10);
		} while (work == PORT_MORE || work == PORT_CROWDED);
		pthread_mutex_unlock(&tx->lock);
		assert_int_equal(runs, budget <= 7 ? 2 : 1);
		assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), 700);
		assert_memory_equal(got, frame, 700);
		assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), 1500);
		assert_memory_equal(got, frame, 1500);
	}
	net_destroy(&net);
}

/* ---- bad slots ---- */

static void frames_without_a_header_are_dropped(void **state)
{
	uint8_t frame[100], got[BUF_SIZE];
	struct net net;

	(void)state;
	net_create(&net, 2);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	for (size_t len = 0; len < 14; len++)
		guest_send(net.guests[0], 0, frame, len, BUF_SIZE);
	/* The header must be in the first fragment. */
	guest_send(net.guests[0], 0, frame, 100, 13);
	guest_run(net.guests[0], 0);
	assert_int_equal(tx_count(&net, 0, RING_DROP_TOO_SHORT), 15);
	expect_nothing(&net);
	guest_send(net.guests[0], 0, frame, 14, BUF_SIZE);
	guest_run(net.guests[0], 0);
	assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), 14);
	assert_memory_equal(got, frame, 14);
	guest_send(net.guests[0], 0, frame, 100, 14);
	guest_run(net.guests[0], 0);
	assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), 100);
	assert_int_equal(tx_count(&net, 0, RING_DROP_TOO_SHORT), 15);
	net_destroy(&net);
}

static void bad_slots_cost_their_packet_only(void **state)
{
	struct net net;

	(void)state;
	net_create(&net, 2);
	uint32_t total = region_geometry(net.guests[0]->port->region)->buf_pool.objtotal;
	const struct netmap_slot bad[] = {
		{.buf_idx = 0, .len = 60},
		{.buf_idx = 1, .len = 60},
		{.buf_idx = total, .len = 60},
		{.buf_idx = total + 1, .len = 60},
		{.buf_idx = UINT32_MAX, .len = 60},
		{.buf_idx = 0x80000002, .len = 60},
		{.buf_idx = 2, .len = BUF_SIZE + 1},
		{.buf_idx = 2, .len = UINT16_MAX},
		{.buf_idx = 2, .len = 60, .flags = NS_INDIRECT},
	};
	const unsigned count = sizeof(bad) / sizeof(bad[0]);
	uint8_t frame[60];

	for (unsigned i = 0; i < count; i++) {
		struct netmap_ring *ring = port_tx(net.guests[0]->port, 0)->ring;

		/* Between two good ones; then in the middle of a chain. */
		for (unsigned chained = 0; chained < 2; chained++) {
			uint32_t before = ring->head;

			frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
			guest_fill(net.guests[0], 0, frame, sizeof(frame), BUF_SIZE);
			uint32_t spoilt = ring->head;
			guest_fill(net.guests[0], 0, frame, sizeof(frame), chained ? 30 : BUF_SIZE);
			uint32_t buffer = guest_slot(net.guests[0], 0, spoilt)->buf_idx;
			uint16_t flags = guest_slot(net.guests[0], 0, spoilt)->flags;
			*guest_slot(net.guests[0], 0, spoilt) = bad[i];
			guest_slot(net.guests[0], 0, spoilt)->flags |= flags;
			frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 2);
			guest_fill(net.guests[0], 0, frame, sizeof(frame), BUF_SIZE);
			guest_publish(net.guests[0], 0);
			guest_run(net.guests[0], 0);
			expect(&net, 1, BROADCAST, MAC(0), 1);
			expect(&net, 1, BROADCAST, MAC(0), 2);
			expect_nothing(&net);
			assert_int_equal(tx_count(&net, 0, RING_DROP_BAD_SLOT),
					 2 * i + chained + 1);
			guest_slot(net.guests[0], 0, spoilt)->buf_idx = buffer;
			assert_int_equal(ring_distance(SLOTS, before, ring->head), 3 + chained);
		}
	}
	assert_int_equal(port_tx(net.guests[0]->port, 0)->state, KRING_RUNNING);
	assert_int_equal(tx_count(&net, 0, RING_FAULTS), 0);
	net_destroy(&net);
}

static void a_bad_receive_buffer_stops_that_ring_only(void **state)
{
	static const uint32_t bad[] = {0, 1, 1u << 20, UINT32_MAX};
	struct captured_stderr capture;
	char text[4096];
	struct net net;

	(void)state;
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		net_create(&net, 3);
		unsigned ring = guest_rx(net.guests[1], 0);
		uint8_t frame[60];

		guest_slot(net.guests[1], ring, 2)->buf_idx = bad[i];
		capture_stderr(&capture);
		for (unsigned n = 0; n < 5; n++) {
			frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), n);
			guest_send(net.guests[0], 0, frame, sizeof(frame), BUF_SIZE);
		}
		guest_run(net.guests[0], 0);
		say(&net, 0, BROADCAST, MAC(0), 5);
		release_stderr(&capture, text, sizeof(text));
		for (unsigned n = 0; n < 6; n++)
			expect(&net, 2, BROADCAST, MAC(0), n);
		assert_int_equal(port_rx(net.guests[1]->port, 0)->state, KRING_FAULTED);
		assert_int_equal(port_tx(net.guests[1]->port, 0)->state, KRING_RUNNING);
		assert_int_equal(((struct ptnet_csb_ktoa *)&net.guests[1]->ktoa[ring])->ring_fault,
				 PTNET_FAULT_BUF_IDX);
		assert_int_equal(rx_count(&net, 1, RING_FAULTS), 1);
		assert_int_equal(rx_count(&net, 1, RING_PACKETS), 2);
		assert_int_equal(rx_count(&net, 1, RING_DROP_NOT_RUNNING), 4);
		assert_int_equal(guest_interrupts(net.guests[1], ring), 1);
		assert_int_equal(count_lines(text), 1);
		assert_non_null(strstr(text, "vale0:1: RX ring 0 stopped: bad_buffer_index"));
		/* It can still send. */
		say(&net, 1, BROADCAST, MAC(1), 7);
		expect(&net, 2, BROADCAST, MAC(1), 7);
		/* Opening the port again helps, though the slot was not the owner's to mend. */
		guest_detach(net.guests[1]);
		guest_attach(net.guests[1], net.guests[1]->port);
		while (guest_receive(net.guests[1], 0, frame, sizeof(frame)) >= 0)
			continue;
		for (unsigned n = 10; n < 20; n++)
			say(&net, 0, BROADCAST, MAC(0), n);
		for (unsigned n = 10; n < 20; n++)
			expect(&net, 1, BROADCAST, MAC(0), n);
		net_destroy(&net);
	}
}

static void a_bad_buffer_inside_a_long_packet_shows_nothing_of_it(void **state)
{
	static uint8_t frame[3 * BUF_SIZE];
	struct captured_stderr capture;
	char text[4096];
	struct net net;

	(void)state;
	net_create(&net, 2);
	unsigned ring = guest_rx(net.guests[1], 0);
	guest_slot(net.guests[1], ring, 2)->buf_idx = 0;
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	guest_send(net.guests[0], 0, frame, sizeof(frame), BUF_SIZE);
	capture_stderr(&capture);
	guest_run(net.guests[0], 0);
	release_stderr(&capture, text, sizeof(text));
	assert_int_equal(guest_available(net.guests[1], ring), 0);
	assert_int_equal(port_rx(net.guests[1]->port, 0)->state, KRING_FAULTED);
	assert_int_equal(rx_count(&net, 1, RING_DROP_NOT_RUNNING), 1);
	net_destroy(&net);
}

static void a_bad_receiver_head_stops_its_ring_only(void **state)
{
	struct captured_stderr capture;
	char text[4096];
	struct net net;

	(void)state;
	net_create(&net, 3);
	unsigned ring = guest_rx(net.guests[1], 0);
	net.guests[1]->atok[ring].head = 5; /* nothing was there to release */
	net.guests[1]->atok[ring].cur = 5;
	capture_stderr(&capture);
	say(&net, 0, BROADCAST, MAC(0), 1);
	release_stderr(&capture, text, sizeof(text));
	expect(&net, 2, BROADCAST, MAC(0), 1);
	assert_int_equal(port_rx(net.guests[1]->port, 0)->fault, PTNET_FAULT_HEAD);
	assert_int_equal(rx_count(&net, 1, RING_DROP_NOT_RUNNING), 1);
	guest_detach(net.guests[1]);
	guest_attach(net.guests[1], net.guests[1]->port);
	say(&net, 0, BROADCAST, MAC(0), 2);
	expect(&net, 1, BROADCAST, MAC(0), 2);
	net_destroy(&net);
}

static void buf_changed_is_cleared_in_sent_slots(void **state)
{
	uint8_t frame[60];
	struct net net;

	(void)state;
	net_create(&net, 2);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	guest_fill(net.guests[0], 0, frame, sizeof(frame), BUF_SIZE);
	struct netmap_slot *slot = guest_slot(net.guests[0], 0, 0);
	slot->flags = NS_BUF_CHANGED | NS_REPORT;
	slot->ptr = 7;
	struct netmap_slot before = *slot;
	guest_publish(net.guests[0], 0);
	guest_run(net.guests[0], 0);
	assert_int_equal(slot->flags, NS_REPORT);
	assert_int_equal(slot->buf_idx, before.buf_idx);
	assert_int_equal(slot->len, 60);
	assert_int_equal(slot->ptr, 7);
	expect(&net, 1, BROADCAST, MAC(0), 1);
	net_destroy(&net);
}

#ifdef WATCHED_MEMORY
/* The sender may change its slots and the receiver its own at any time. */
static void slots_are_read_once(void **state)
{
	static uint8_t frame[3 * BUF_SIZE];
	struct net net;

	(void)state;
	for (unsigned watched_side = 0; watched_side < 2; watched_side++) {
		net_create(&net, 2);
		frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
		guest_send(net.guests[0], 0, frame, 60, BUF_SIZE);
		guest_send(net.guests[0], 0, frame, 2 * BUF_SIZE, BUF_SIZE);
		struct kring *kring = watched_side == 0 ? port_tx(net.guests[0]->port, 0)
							: port_rx(net.guests[1]->port, 0);
		watch_memory(kring->slots);
		guest_run(net.guests[0], 0);
		unwatch_memory();
		for (unsigned i = 0; i < 3; i++) {
			assert_int_equal(reads_of(&kring->slots[i].buf_idx), 1);
			assert_int_equal(reads_of(&kring->slots[i].len), 0);
			assert_int_equal(reads_of(&kring->slots[i].flags), 0);
		}
		/* Nothing else of the shared ring is looked at. */
		for (unsigned word = 0; word < 256 / 4; word++)
			assert_int_equal(reads_of((uint32_t *)kring->ring + word), 0);
		net_destroy(&net);
	}
}
#endif

/* ---- full rings ---- */

static void what_does_not_fit_is_dropped_with_all_that_follows(void **state)
{
	uint8_t frame[3000], got[4096];
	struct net net;

	(void)state;
	net_create(&net, 3);
	for (unsigned n = 0; n < SLOTS - 3; n++) { /* room for 2 slots is left in both */
		say(&net, 0, BROADCAST, MAC(0), n);
		if (n < 40)
			expect(&net, 2, BROADCAST, MAC(0), n);
	}
	/* One batch: 1 slot, 2 slots, 1 slot. The last would fit, but order comes first. */
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 100);
	guest_fill(net.guests[0], 0, frame, 60, BUF_SIZE);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 101);
	guest_fill(net.guests[0], 0, frame, 3000, BUF_SIZE);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 102);
	guest_fill(net.guests[0], 0, frame, 60, BUF_SIZE);
	guest_publish(net.guests[0], 0);
	assert_int_equal(guest_run(net.guests[0], 0), PORT_DRY);
	assert_int_equal(rx_count(&net, 1, RING_DROP_RING_FULL), 2);
	assert_int_equal(rx_count(&net, 2, RING_DROP_RING_FULL), 0);
	assert_int_equal(guest_available(net.guests[0], 0), SLOTS - 1); /* never blocks */
	for (unsigned n = 0; n < SLOTS - 3; n++)
		expect(&net, 1, BROADCAST, MAC(0), n);
	expect(&net, 1, BROADCAST, MAC(0), 100);
	for (unsigned n = 40; n < SLOTS - 3; n++)
		expect(&net, 2, BROADCAST, MAC(0), n);
	expect(&net, 2, BROADCAST, MAC(0), 100);
	assert_int_equal(guest_receive(net.guests[2], 0, got, sizeof(got)), 3000);
	expect(&net, 2, BROADCAST, MAC(0), 102);
	expect_nothing(&net);
	net_destroy(&net);
}

static void a_ring_holds_one_slot_less_than_it_has(void **state)
{
	struct net net;

	(void)state;
	net_create(&net, 2);
	for (unsigned n = 0; n < SLOTS + 10; n++)
		say(&net, 0, BROADCAST, MAC(0), n);
	assert_int_equal(rx_count(&net, 1, RING_DROP_RING_FULL), 11);
	/* Slots released without any kick are seen by the next batch. */
	expect(&net, 1, BROADCAST, MAC(0), 0);
	say(&net, 0, BROADCAST, MAC(0), 200);
	for (unsigned n = 1; n < SLOTS - 1; n++)
		expect(&net, 1, BROADCAST, MAC(0), n);
	expect(&net, 1, BROADCAST, MAC(0), 200);
	expect_nothing(&net);
	net_destroy(&net);
}

/* ---- sizes ---- */

static void buffers_may_differ_in_size(void **state)
{
	static const uint32_t sizes[] = {128, 512, 2048, 9216};
	static uint8_t frame[8192], got[16384];
	struct net net;

	(void)state;
	net_empty(&net);
	for (unsigned i = 0; i < 4; i++)
		net_add(&net, 1, 256, sizes[i]);
	for (unsigned sender = 0; sender < 4; sender++) {
		for (size_t len = 14; len <= sizeof(frame); len += 1 + len / 3) {
			size_t slots = (len + sizes[sender] - 1) / sizes[sender];

			frame_fill(frame, len, BROADCAST, MAC(sender), (unsigned)len);
			guest_send(net.guests[sender], 0, frame, len, sizes[sender]);
			guest_run(net.guests[sender], 0);
			for (unsigned i = 0; i < 4; i++) {
				if (i == sender)
					continue;
				unsigned ring = guest_rx(net.guests[i], 0);
				size_t longest = len < sizes[sender] ? len : sizes[sender];
				size_t wanted = longest <= sizes[i]
							? slots
							: (len + sizes[i] - 1) / sizes[i];

				if (slots > 64 || wanted > 64) {
					assert_int_equal(guest_available(net.guests[i], ring), 0);
					continue;
				}
				assert_int_equal(guest_available(net.guests[i], ring), wanted);
				memset(got, 0, sizeof(got));
				assert_int_equal(guest_receive(net.guests[i], 0, got, sizeof(got)),
						 len);
				assert_memory_equal(got, frame, len);
			}
		}
	}
	expect_nothing(&net);
	net_destroy(&net);
}

/* Not even with every slot: the limit is of the receiver, so it is counted there. */
static void a_frame_too_long_for_the_receiver_is_dropped(void **state)
{
	static uint8_t frame[9000], got[9000];
	struct net net;

	(void)state;
	net_empty(&net);
	net_add(&net, 1, 256, 9216);
	net_add(&net, 1, 256, 128); /* takes 64 * 128 = 8192 */
	net_add(&net, 1, 256, 9216);
	assert_int_equal(net.guests[1]->port->max_frame, 8192);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	guest_fill(net.guests[0], 0, frame, 8192, 9216);
	guest_fill(net.guests[0], 0, frame, 8193, 9216);
	guest_fill(net.guests[0], 0, frame, 100, 9216);
	guest_publish(net.guests[0], 0);
	guest_run(net.guests[0], 0);
	assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), 8192);
	assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), 100); /* not "full" */
	assert_int_equal(rx_count(&net, 1, RING_DROP_TOO_LONG), 1);
	assert_int_equal(guest_receive(net.guests[2], 0, got, sizeof(got)), 8192);
	assert_int_equal(guest_receive(net.guests[2], 0, got, sizeof(got)), 8193);
	assert_memory_equal(got, frame, 8193);
	assert_int_equal(guest_receive(net.guests[2], 0, got, sizeof(got)), 100);
	expect_nothing(&net);
	net_destroy(&net);
}

static void a_64_kb_frame_crosses_whole(void **state)
{
	static uint8_t frame[70000], got[70000];
	struct net net;

	(void)state;
	net_empty(&net);
	net_add(&net, 1, 64, 2048);
	net_add(&net, 1, 64, 2048);
	net_add(&net, 1, 64, 65536);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	guest_send(net.guests[0], 0, frame, PORT_MAX_FRAME, 2048);
	guest_run(net.guests[0], 0);
	assert_int_equal(guest_available(net.guests[1], 1), 33);
	assert_int_equal(guest_slot(net.guests[1], 1, 0)->flags, 33 << 8 | NS_MOREFRAG);
	assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), PORT_MAX_FRAME);
	assert_memory_equal(got, frame, PORT_MAX_FRAME);
	assert_int_equal(guest_available(net.guests[2], 1), 33);
	memset(got, 0, sizeof(got));
	assert_int_equal(guest_receive(net.guests[2], 0, got, sizeof(got)), PORT_MAX_FRAME);
	assert_memory_equal(got, frame, PORT_MAX_FRAME);
	/* And back, from one buffer. */
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(2), 2);
	guest_send(net.guests[2], 0, frame, 65535, 65535); /* slot.len has 16 bits */
	guest_run(net.guests[2], 0);
	assert_int_equal(guest_available(net.guests[1], 1), 32);
	assert_int_equal(guest_slot(net.guests[1], 1, 33)->len, 2048);
	assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), 65535);
	assert_memory_equal(got, frame, 65535);
	assert_int_equal(guest_receive(net.guests[0], 0, got, sizeof(got)), 65535);
	/* One byte more than the limit. */
	guest_send(net.guests[0], 0, frame, PORT_MAX_FRAME + 1, 2048);
	guest_run(net.guests[0], 0);
	assert_int_equal(rx_count(&net, 1, RING_DROP_TOO_LONG), 1);
	assert_int_equal(rx_count(&net, 2, RING_DROP_TOO_LONG), 1);
	expect_nothing(&net);
	net_destroy(&net);
}

static char *rx_buffer(struct guest *guest, unsigned ring, uint32_t index)
{
	struct kring *kring = port_rx(guest->port, ring);

	return kring->buf_base + (size_t)kring->slots[index].buf_idx * kring->buf_size;
}

/* Bytes past len are what an earlier packet left with the receiver, not with the sender. */
static void exactly_len_bytes_are_written(void **state)
{
	static uint8_t frame[2 * BUF_SIZE];
	struct net net;

	(void)state;
	net_create(&net, 2);
	struct kring *rx = port_rx(net.guests[1]->port, 0);
	for (size_t len = 14; len <= BUF_SIZE; len += len < 300 ? 1 : 97) {
		for (size_t fragment = len; fragment >= 14 && len / fragment < 60;
		     fragment = fragment / 2 + 1) {
			uint32_t first = rx->hwtail;

			for (uint32_t i = 0; i < rx->num_slots; i++)
				memset(rx_buffer(net.guests[1], 0, i), 0xa5, BUF_SIZE);
			frame_fill(frame, len, BROADCAST, MAC(0), (unsigned)len);
			guest_send(net.guests[0], 0, frame, len, fragment);
			guest_run(net.guests[0], 0);
			for (uint32_t n = 0; n < rx->num_slots; n++) {
				const uint8_t *buffer = (uint8_t *)rx_buffer(
					net.guests[1], 0, ring_advance(rx->num_slots, first, n));
				size_t done = n * fragment < len ? n * fragment : len;
				size_t here = len - done < fragment ? len - done : fragment;

				assert_memory_equal(buffer, frame + done, here);
				for (size_t i = here; i < BUF_SIZE; i++)
					assert_int_equal(buffer[i], 0xa5);
			}
			assert_int_equal(guest_receive(net.guests[1], 0, frame, sizeof(frame)),
					 len);
			if (fragment == 14)
				break;
		}
	}
	net_destroy(&net);
}

/* Two ports of one region may, by mistake or malice, use the same buffer. */
static void a_buffer_used_on_both_sides_harms_nobody_else(void **state)
{
	struct region *region = test_region(2, 1, SLOTS, BUF_SIZE);
	static struct guest a __attribute__((aligned(64))), b __attribute__((aligned(64)));
	struct port_config config = {.tx_slots = SLOTS, .rx_slots = SLOTS, .name = "vale0:a"};
	struct vale_config vale_config = {.name = "vale0"};
	static uint8_t frame[BUF_SIZE], got[4 * BUF_SIZE];
	struct port *port_a, *port_b;
	struct vale *vale;

	(void)state;
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	assert_int_equal(vale_create(&vale, &vale_config, NULL), 0);
	assert_int_equal(vale_port_create(&port_a, vale, &config, region, NULL), 0);
	config.name[6] = 'b';
	assert_int_equal(vale_port_create(&port_b, vale, &config, region, NULL), 0);
	guest_attach(&a, port_a);
	guest_attach(&b, port_b);
	for (unsigned i = 0; i < SLOTS; i++)
		guest_slot(&b, 1, i)->buf_idx = guest_slot(&a, 0, 0)->buf_idx;
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	guest_send(&a, 0, frame, 60, BUF_SIZE);
	guest_send(&a, 0, frame, 2000, 500);
	for (unsigned i = 0; i < 3; i++)
		guest_slot(&a, 0, 2 + i)->buf_idx = guest_slot(&a, 0, 0)->buf_idx;
	guest_run(&a, 0);
	assert_int_equal(guest_receive(&b, 0, got, sizeof(got)), 60);
	assert_int_equal(guest_receive(&b, 0, got, sizeof(got)), 2000);
	guest_detach(&a);
	guest_detach(&b);
	port_destroy(port_a);
	port_destroy(port_b);
	assert_int_equal(vale_destroy(vale, NULL), 0);
	region_put(region);
}

/* ---- ports that come and go without being made or deleted ---- */

static void persistent_ports_wander(void **state)
{
	struct vale_config vale_config = {.name = "vale1"};
	struct port_config config = {.tx_slots = SLOTS, .rx_slots = SLOTS, .name = "eth7"};
	static struct guest wanderer __attribute__((aligned(64)));
	struct region *region = test_region(1, 1, SLOTS, BUF_SIZE);
	uint8_t frame[60], got[BUF_SIZE];
	struct port *port, *taken;
	struct vale *other;
	struct error error;
	struct net net;

	(void)state;
	net_create(&net, 2);
	assert_int_equal(vale_create(&other, &vale_config, NULL), 0);
	assert_int_equal(vale_port_create(&port, NULL, &config, region, &error), 0);
	assert_null(vale_port_switch(port));
	memset(&wanderer, 0, sizeof(wanderer));
	guest_attach(&wanderer, port);

	/* On no switch: what it sends is taken, and heard by nobody. */
	for (unsigned round = 0; round < 3; round++) {
		frame_fill(frame, sizeof(frame), BROADCAST, MAC(7), 1);
		for (unsigned n = 0; n < SLOTS / 2 - 1; n++)
			guest_send(&wanderer, 0, frame, sizeof(frame), 30);
		guest_slot(&wanderer, 0, 0)->flags |= NS_BUF_CHANGED;
		assert_int_equal(guest_run(&wanderer, 0), PORT_DRY);
		assert_int_equal(guest_slot(&wanderer, 0, 0)->flags & NS_BUF_CHANGED, 0);
		assert_int_equal(guest_available(&wanderer, 0), SLOTS - 1);
		assert_int_equal(guest_counter(&wanderer, 0, RING_DROP_NO_DESTINATION),
				 (round + 1) * (SLOTS / 2 - 1));
	}

	assert_int_equal(vale_port_attach(port, net.vale, &error), 2);
	assert_ptr_equal(vale_port_switch(port), net.vale);
	assert_int_equal(vale_port_index(port), 2);
	assert_int_equal(vale_port_attach(port, other, &error), -EBUSY);
	assert_non_null(strstr(error.text, "vale0"));
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(7), 2);
	guest_send(&wanderer, 0, frame, sizeof(frame), BUF_SIZE);
	guest_run(&wanderer, 0);
	assert_int_equal(guest_receive(net.guests[0], 0, got, sizeof(got)), 60);
	assert_memory_equal(got, frame, sizeof(frame));
	say(&net, 0, MAC(7), MAC(0), 3);
	assert_int_equal(guest_receive(&wanderer, 0, got, sizeof(got)), 60);
	/* Its name there is "vale0:eth7". */
	struct region *second = test_region(1, 1, SLOTS, BUF_SIZE);
	strcpy(config.name, "vale0:eth7");
	assert_int_equal(vale_port_create(&taken, net.vale, &config, second, &error), -EEXIST);

	/* Off it again, in two steps; frames to its address are flooded, not lost with it. */
	assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), 60);
	vale_port_unpublish(port);
	vale_port_unpublish(port);
	assert_int_equal(vale_num_ports(net.vale), 3);
	say(&net, 0, MAC(7), MAC(0), 4);
	assert_int_equal(guest_receive(&wanderer, 0, got, sizeof(got)), -1);
	vale_port_forget(port);
	vale_port_forget(port);
	assert_int_equal(vale_num_ports(net.vale), 2);
	assert_null(vale_port_switch(port));
	say(&net, 0, MAC(7), MAC(0), 5);
	assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), 60);
	uint64_t dropped = guest_counter(&wanderer, 0, RING_DROP_NO_DESTINATION);
	guest_send(&wanderer, 0, frame, sizeof(frame), BUF_SIZE);
	guest_run(&wanderer, 0);
	assert_int_equal(guest_counter(&wanderer, 0, RING_DROP_NO_DESTINATION), dropped + 1);
	assert_int_equal(guest_receive(net.guests[1], 0, got, sizeof(got)), -1);

	/* Meanwhile the name may be taken, and then it can't come back; elsewhere it can. */
	assert_int_equal(vale_port_create(&taken, net.vale, &config, second, &error), 0);
	assert_int_equal(vale_port_attach(port, net.vale, &error), -EEXIST);
	assert_int_equal(vale_port_attach(port, other, &error), 0);
	port_destroy(taken);
	region_put(second);
	guest_detach(&wanderer);
	port_destroy(port); /* leaves the switch by itself */
	assert_int_equal(vale_destroy(other, NULL), 0);
	region_put(region);
	net_destroy(&net);
}

/* ---- several rings ---- */

static void say_on_ring(struct net *net, unsigned sender, unsigned ring, uint64_t to, uint64_t from,
			unsigned number)
{
	uint8_t frame[60];

	frame_fill(frame, sizeof(frame), to, from, number);
	guest_send(net->guests[sender], ring, frame, sizeof(frame), BUF_SIZE);
	assert_int_equal(guest_run(net->guests[sender], ring), PORT_DRY);
}

static void rings_are_chosen_by_the_senders_ring(void **state)
{
	struct net net;

	(void)state;
	net_empty(&net);
	net_add(&net, 4, SLOTS, BUF_SIZE);
	net_add(&net, 2, SLOTS, BUF_SIZE);
	net_add(&net, 3, SLOTS, BUF_SIZE);
	introduce_all(&net);
	for (unsigned ring = 0; ring < 4; ring++) {
		say_on_ring(&net, 0, ring, MAC(1), MAC(0), ring);
		expect_on_ring(net.guests[1], ring % 2, MAC(1), MAC(0), ring);
		say_on_ring(&net, 0, ring, MAC(2), MAC(0), ring);
		expect_on_ring(net.guests[2], ring % 3, MAC(2), MAC(0), ring);
		/* Flooded packets arrive on ring 0. */
		say_on_ring(&net, 0, ring, MAC(77), MAC(0), ring);
		expect_on_ring(net.guests[1], 0, MAC(77), MAC(0), ring);
		expect_on_ring(net.guests[2], 0, MAC(77), MAC(0), ring);
		expect_nothing(&net);
	}
	/* Both in one batch, for a destination where they go to different rings. */
	uint8_t frame[60];
	frame_fill(frame, sizeof(frame), MAC(1), MAC(0), 1);
	guest_fill(net.guests[0], 3, frame, sizeof(frame), BUF_SIZE);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 2);
	guest_fill(net.guests[0], 3, frame, sizeof(frame), BUF_SIZE);
	frame_fill(frame, sizeof(frame), MAC(1), MAC(0), 3);
	guest_send(net.guests[0], 3, frame, sizeof(frame), BUF_SIZE);
	guest_run(net.guests[0], 3);
	expect_on_ring(net.guests[1], 1, MAC(1), MAC(0), 1);
	expect_on_ring(net.guests[1], 1, MAC(1), MAC(0), 3);
	expect_on_ring(net.guests[1], 0, BROADCAST, MAC(0), 2);
	expect_on_ring(net.guests[2], 0, BROADCAST, MAC(0), 2);
	expect_nothing(&net);
	net_destroy(&net);
}

static void flooded_and_unicast_packets_stay_in_order(void **state)
{
	struct net net;
	uint8_t frame[60];

	(void)state;
	net_create(&net, 4);
	introduce_all(&net);
	for (unsigned round = 0; round < 20; round++) {
		for (unsigned n = 0; n < 30; n++) {
			uint64_t to = n % 3 == 0 ? BROADCAST : n % 3 == 1 ? MAC(1) : MAC(2);

			frame_fill(frame, sizeof(frame), to, MAC(0), n);
			guest_fill(net.guests[0], 0, frame, sizeof(frame), BUF_SIZE);
		}
		guest_publish(net.guests[0], 0);
		guest_run(net.guests[0], 0);
		for (unsigned n = 0; n < 30; n++) {
			if (n % 3 == 0)
				for (unsigned i = 1; i < 4; i++)
					expect(&net, i, BROADCAST, MAC(0), n);
			else
				expect(&net, n % 3, MAC(n % 3), MAC(0), n);
		}
		expect_nothing(&net);
	}
	net_destroy(&net);
}

/* ---- notifications ---- */

static void one_interrupt_per_batch_and_only_when_asked(void **state)
{
	uint8_t frame[60];
	struct net net;

	(void)state;
	net_create(&net, 2);
	unsigned rx = guest_rx(net.guests[1], 0);
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 1);
	for (unsigned n = 0; n < 20; n++)
		guest_fill(net.guests[0], 0, frame, sizeof(frame), BUF_SIZE);
	guest_publish(net.guests[0], 0);
	guest_run(net.guests[0], 0);
	assert_int_equal(guest_interrupts(net.guests[1], rx), 1);
	assert_int_equal(guest_interrupts(net.guests[0], 0), 1); /* room for 20 more */
	net.guests[1]->atok[rx].appl_need_kick = 0;
	net.guests[0]->atok[0].appl_need_kick = 0;
	say(&net, 0, BROADCAST, MAC(0), 2);
	assert_int_equal(guest_interrupts(net.guests[1], rx), 0);
	assert_int_equal(guest_interrupts(net.guests[0], 0), 0);
	assert_int_equal(rx_count(&net, 1, RING_INTERRUPTS_SUPPRESSED), 1);
	/* A full ring has nothing new to tell. */
	net.guests[1]->atok[rx].appl_need_kick = 1;
	while (rx_count(&net, 1, RING_DROP_RING_FULL) == 0)
		say(&net, 0, BROADCAST, MAC(0), 3);
	guest_interrupts(net.guests[1], rx);
	say(&net, 0, BROADCAST, MAC(0), 4);
	assert_int_equal(guest_interrupts(net.guests[1], rx), 0);
	net_destroy(&net);
}

/* A sender is kicked for when idle, a receiver never: it would be an exit per release. */
static void kicks_are_asked_of_idle_senders_only(void **state)
{
	struct net net;

	(void)state;
	net_create(&net, 2);
	struct kring *tx = port_tx(net.guests[0]->port, 0);
	assert_int_equal(net.guests[0]->ktoa[0].kern_need_kick, 1);
	assert_int_equal(net.guests[1]->ktoa[1].kern_need_kick, 0);
	say(&net, 0, BROADCAST, MAC(0), 1);
	assert_int_equal(net.guests[0]->ktoa[0].kern_need_kick, 0);
	expect(&net, 1, BROADCAST, MAC(0), 1);
	assert_int_equal(net.guests[1]->ktoa[1].kern_need_kick, 0);
	pthread_mutex_lock(&tx->lock);
	assert_false(tx->port->ops->pending(tx));
	assert_false(tx->port->ops->enable_kicks(tx));
	pthread_mutex_unlock(&tx->lock);
	assert_int_equal(net.guests[0]->ktoa[0].kern_need_kick, 1);
	assert_int_equal(tx_count(&net, 0, RING_KICKS_ENABLED), 1);
	/* Published in the meantime: found, and the kick is off again. */
	uint8_t frame[60];
	frame_fill(frame, sizeof(frame), BROADCAST, MAC(0), 2);
	guest_send(net.guests[0], 0, frame, sizeof(frame), BUF_SIZE);
	pthread_mutex_lock(&tx->lock);
	assert_true(tx->port->ops->pending(tx));
	assert_true(tx->port->ops->enable_kicks(tx));
	pthread_mutex_unlock(&tx->lock);
	assert_int_equal(net.guests[0]->ktoa[0].kern_need_kick, 0);
	/* Kicks are harmless at any time, and for rings that do not exist. */
	endpoint_kick(net.guests[1]->port, 1);
	endpoint_kick(net.guests[1]->port, 0);
	endpoint_kick(net.guests[1]->port, 2);
	endpoint_kick(net.guests[1]->port, UINT32_MAX);
	assert_int_equal(net.guests[1]->port->bad_kicks, 2);
	assert_int_equal(rx_count(&net, 1, RING_KICKS_RECEIVED), 1);
	net_destroy(&net);
}

/* ---- random traffic against a model that knows nothing of batches, lists or copies ---- */

#define MODEL_MACS  12
#define MODEL_BURST 200 /* slots: one batch */
#define MODEL_PORTS 4

struct model_frame {
	struct model_frame *next;
	size_t len;
	uint32_t slots;
	uint8_t data[];
};

struct model_ring {
	struct model_frame *first, **last;
	uint32_t used; /* slots */
	bool closed;   /* something did not fit in this batch */
	uint64_t dropped_full, dropped_long, packets;
};

struct model {
	struct net net;
	struct model_ring rings[MODEL_PORTS][4];
	int where[MODEL_MACS]; /* port, -1: unknown */
	struct random random;
	unsigned number;
};

static const struct {
	unsigned rings;
	uint32_t slots, buf_size;
} model_ports[MODEL_PORTS] = {{2, 256, 2048}, {3, 300, 2048}, {3, 256, 512}, {1, 1024, 8192}};

static void model_create(struct model *model)
{
	memset(model, 0, sizeof(*model));
	net_empty(&model->net);
	for (unsigned i = 0; i < MODEL_PORTS; i++) {
		net_add(&model->net, model_ports[i].rings, model_ports[i].slots,
			model_ports[i].buf_size);
		for (unsigned ring = 0; ring < 4; ring++)
			model->rings[i][ring].last = &model->rings[i][ring].first;
	}
	for (unsigned i = 0; i < MODEL_MACS; i++)
		model->where[i] = -1;
}

/* What is delivered: its content, and how the sender cut it. */
struct model_packet {
	const uint8_t *data;
	size_t len, longest;
	unsigned fragments;
};

static void model_deliver(struct model *model, unsigned port, unsigned ring,
			  const struct model_packet *packet)
{
	struct model_ring *to = &model->rings[port][ring];
	size_t len = packet->len, room = model_ports[port].buf_size;
	uint32_t slots =
		packet->longest <= room ? packet->fragments : (uint32_t)((len + room - 1) / room);

	if (to->closed) {
		to->dropped_full++;
	} else if (slots > 64 || len > PORT_MAX_FRAME) {
		to->dropped_long++;
	} else if (to->used + slots > model_ports[port].slots - 1) {
		to->closed = true;
		to->dropped_full++;
	} else {
		struct model_frame *frame = malloc(sizeof(*frame) + len);

		frame->next = NULL;
		frame->len = len;
		frame->slots = slots;
		memcpy(frame->data, packet->data, len);
		*to->last = frame;
		to->last = &frame->next;
		to->used += slots;
		to->packets++;
	}
}

static void model_forward(struct model *model, unsigned from, unsigned ring,
			  const struct model_packet *packet)
{
	const uint8_t *data = packet->data;
	bool group = (data[0] & 1) != 0;

	if ((data[6] & 1) == 0)
		model->where[data[11]] = (int)from;
	int to = group ? -1 : model->where[data[5]];
	if (to == (int)from)
		return;
	if (to >= 0) {
		model_deliver(model, (unsigned)to, ring % model_ports[to].rings, packet);
		return;
	}
	for (unsigned port = 0; port < MODEL_PORTS; port++)
		if (port != from)
			model_deliver(model, port, 0, packet);
}

/* One packet of random shape into the sender's ring and the model. Returns its slots. */
static unsigned model_send_one(struct model *model, unsigned from, unsigned ring)
{
	static uint8_t data[66000];
	struct random *random = &model->random;
	struct guest *guest = model->net.guests[from];
	struct netmap_ring *tx = port_tx(guest->port, ring)->ring;
	uint32_t buf_size = model_ports[from].buf_size;
	uint32_t kind = random_below(random, 100);
	size_t len = kind < 60	 ? 14 + random_below(random, 100)
		     : kind < 98 ? 14 + random_below(random, 3000)
				 : 14 + random_below(random, 30000);
	uint64_t to =
		random_below(random, 10) == 0 ? BROADCAST : MAC(random_below(random, MODEL_MACS));
	/* Each port has addresses of its own, and now and then somebody moves. */
	unsigned own = from + MODEL_PORTS * random_below(random, MODEL_MACS / MODEL_PORTS);
	uint64_t sender =
		MAC(random_below(random, 50) == 0 ? random_below(random, MODEL_MACS) : own);
	uint32_t first = tx->head;
	bool spoil = random_below(random, 30) == 0;
	size_t done = 0, longest = 0;
	unsigned slots = 0, fragments = 0;

	if (random_below(random, 20) == 0)
		sender |= UINT64_C(1) << 40;
	while (len > 60 * (size_t)buf_size)
		len /= 2;
	frame_fill(data, len, to, sender, model->number++);
	do {
		size_t chunk = len - done;
		size_t at_most = chunk < buf_size ? chunk : buf_size;

		/* Mostly full buffers, sometimes a small or empty fragment. */
		if (slots > 0 && slots < 20 && random_below(random, 8) == 0)
			at_most = random_below(random, (uint32_t)at_most + 1);
		else if (slots == 0 && random_below(random, 8) == 0)
			at_most = 14 + random_below(random, (uint32_t)at_most - 13);
		uint32_t index = tx->head;
		guest_fill(guest, ring, data + done, at_most, buf_size);
		done += at_most;
		longest = at_most > longest ? at_most : longest;
		fragments += at_most > 0;
		guest_slot(guest, ring, index)->flags = done < len ? NS_MOREFRAG : 0;
		slots++;
	} while (done < len);
	if (spoil) {
		/* Too long for its buffer; mended by the next who fills the slot. */
		uint32_t index = ring_advance(tx->num_slots, first, random_below(random, slots));

		guest_slot(guest, ring, index)->len = (uint16_t)(buf_size + 1);
	} else if (slots <= 64) {
		model_forward(model, from, ring,
			      &(struct model_packet){data, len, longest, fragments});
	}
	return slots;
}

static void model_send(struct model *model)
{
	unsigned from = random_below(&model->random, MODEL_PORTS);
	unsigned ring = random_below(&model->random, model_ports[from].rings);
	unsigned wanted = 1 + random_below(&model->random, MODEL_BURST - 70);

	for (unsigned slots = 0; slots < wanted;)
		slots += model_send_one(model, from, ring);
	guest_publish(model->net.guests[from], guest_tx(model->net.guests[from], ring));
	assert_int_equal(guest_run(model->net.guests[from], ring), PORT_DRY);
	for (unsigned port = 0; port < MODEL_PORTS; port++)
		for (unsigned i = 0; i < 4; i++)
			model->rings[port][i].closed = false;
}

static bool model_receive_one(struct model *model, unsigned port, unsigned ring)
{
	static uint8_t got[1 << 17];
	struct model_ring *from = &model->rings[port][ring];
	struct model_frame *frame = from->first;
	long len = guest_receive(model->net.guests[port], ring, got, sizeof(got));

	if (frame == NULL) {
		assert_int_equal(len, -1);
		return false;
	}
	assert_int_equal(len, frame->len);
	assert_memory_equal(got, frame->data, frame->len);
	from->first = frame->next;
	from->used -= frame->slots;
	if (from->first == NULL)
		from->last = &from->first;
	free(frame);
	return true;
}

static void model_receive(struct model *model, bool everything)
{
	for (unsigned port = 0; port < MODEL_PORTS; port++)
		for (unsigned ring = 0; ring < model_ports[port].rings; ring++) {
			unsigned count = random_below(&model->random, 14);

			while ((everything || count-- > 0) && model_receive_one(model, port, ring))
				continue;
		}
}

static void random_traffic_agrees_with_the_model(void **state)
{
	static struct model model;

	(void)state;
	model_create(&model);
	random_start(&model.random, "vale");
	for (unsigned step = 0; step < 5000; step++) {
		model_send(&model);
		model_receive(&model, step % 64 == 63);
	}
	model_receive(&model, true);
	uint64_t full = 0;
	for (unsigned port = 0; port < MODEL_PORTS; port++)
		for (unsigned ring = 0; ring < model_ports[port].rings; ring++) {
			struct guest *guest = model.net.guests[port];
			struct model_ring *to = &model.rings[port][ring];
			unsigned number = guest_rx(guest, ring);

			assert_int_equal(guest_counter(guest, number, RING_PACKETS), to->packets);
			assert_int_equal(guest_counter(guest, number, RING_DROP_RING_FULL),
					 to->dropped_full);
			assert_int_equal(guest_counter(guest, number, RING_DROP_TOO_LONG),
					 to->dropped_long);
			assert_int_equal(guest_counter(guest, number, RING_FAULTS), 0);
			full += to->dropped_full;
			assert_true(to->packets > 1000); /* each ring went round many times */
		}
	assert_true(full > 0); /* the interesting case did happen */
	net_destroy(&model.net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(broadcast_reaches_all_others),
		cmocka_unit_test(multicast_reaches_all_others),
		cmocka_unit_test(known_addresses_reach_their_port_only),
		cmocka_unit_test(multicast_sources_are_not_learnt),
		cmocka_unit_test(an_address_that_moves_is_followed),
		cmocka_unit_test(packets_to_the_sending_port_are_dropped),
		cmocka_unit_test(alone_on_the_switch_nobody_is_reached),
		cmocka_unit_test(silent_addresses_are_forgotten),
		cmocka_unit_test(a_port_may_not_fill_the_table),
		cmocka_unit_test(what_left_is_forgotten),
		cmocka_unit_test(leaving_twice_does_not_take_another_along),
		cmocka_unit_test(packets_to_a_leaving_port_are_counted),
		cmocka_unit_test(a_port_that_does_not_run_drops),
		cmocka_unit_test(queued_packets_survive_a_restart),
		cmocka_unit_test(names_are_checked),
		cmocka_unit_test(a_switch_has_254_ports),
		cmocka_unit_test(a_single_slot_has_flags_0x0100),
		cmocka_unit_test(fragments_arrive_as_one_packet),
		cmocka_unit_test(small_fragments_keep_their_slots),
		cmocka_unit_test(empty_fragments_are_passed_over),
		cmocka_unit_test(more_than_64_fragments_are_dropped_whole),
		cmocka_unit_test(a_chain_cut_by_head_is_sent),
		cmocka_unit_test(a_chain_in_two_syncs_is_two_packets),
		cmocka_unit_test(half_a_packet_may_be_released),
		cmocka_unit_test(budgets_do_not_cut_packets),
		cmocka_unit_test(frames_without_a_header_are_dropped),
		cmocka_unit_test(bad_slots_cost_their_packet_only),
		cmocka_unit_test(a_bad_receive_buffer_stops_that_ring_only),
		cmocka_unit_test(a_bad_buffer_inside_a_long_packet_shows_nothing_of_it),
		cmocka_unit_test(a_bad_receiver_head_stops_its_ring_only),
		cmocka_unit_test(buf_changed_is_cleared_in_sent_slots),
#ifdef WATCHED_MEMORY
		cmocka_unit_test(slots_are_read_once),
#endif
		cmocka_unit_test(what_does_not_fit_is_dropped_with_all_that_follows),
		cmocka_unit_test(a_ring_holds_one_slot_less_than_it_has),
		cmocka_unit_test(buffers_may_differ_in_size),
		cmocka_unit_test(a_frame_too_long_for_the_receiver_is_dropped),
		cmocka_unit_test(a_64_kb_frame_crosses_whole),
		cmocka_unit_test(exactly_len_bytes_are_written),
		cmocka_unit_test(a_buffer_used_on_both_sides_harms_nobody_else),
		cmocka_unit_test(persistent_ports_wander),
		cmocka_unit_test(rings_are_chosen_by_the_senders_ring),
		cmocka_unit_test(flooded_and_unicast_packets_stay_in_order),
		cmocka_unit_test(one_interrupt_per_batch_and_only_when_asked),
		cmocka_unit_test(kicks_are_asked_of_idle_senders_only),
		cmocka_unit_test(random_traffic_agrees_with_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
