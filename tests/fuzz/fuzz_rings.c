/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two hostile guests that write anything anywhere they can: CSB words, slots, ring
 * headers, packet bytes, on a switch and on a pipe. The daemon's side runs after
 * every few writes. What must hold: no access outside the region (ASan, UBSan),
 * positions inside the ring, and a third guest that behaves keeps working.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/endpoint.h"
#include "input.h"
#include "log/log.h"
#include "port/offsets.h"
#include "port/pipe.h"
#include "port/vale.h"

#define SLOTS 64

struct player {
	struct port *port;
	struct nm_csb_atok atok[PTNET_MAX_RINGS] __attribute__((aligned(64)));
	struct nm_csb_ktoa ktoa[PTNET_MAX_RINGS] __attribute__((aligned(64)));
};

static struct player players[5]; /* 0, 1: switch; 2, 3: pipe; 4: the one that behaves */

static struct region *small_region(unsigned ports)
{
	struct region_config config = {
		.if_num = 4,
		.ring_num = 4 * ports + 1,
		.buf_num = ports * 4 * SLOTS + 2,
		.buf_size = 256,
	};
	struct region *region;

	region_config_for_port(&config, 2, 2, SLOTS, SLOTS, 0, 0);
	require(region_create(&region, &config, NULL) == 0);
	return region;
}

static void attach(struct player *player)
{
	struct endpoint_csb csb = {.atok = player->atok, .ktoa = player->ktoa, .extension = true};

	endpoint_start(player->port, &csb);
}

static void make_ports(void)
{
	struct vale_config vale_config = {.name = "vale0"};
	struct port_config config = {
		.tx_rings = 2, .rx_rings = 2, .tx_slots = SLOTS, .rx_slots = SLOTS};
	static const char *const names[] = {"vale0:a", "vale0:b", "vale0:good"};
	static const int numbers[] = {0, 1, 4};
	struct region *region;
	struct vale *vale;

	log_set_level(LOG_LEVEL_ERROR);
	require(vale_create(&vale, &vale_config, NULL) == 0);
	for (int i = 0; i < 3; i++) {
		region = small_region(1);
		strcpy(config.name, names[i]);
		require(vale_port_create(&players[numbers[i]].port, vale, &config, region, NULL) ==
			0);
		region_put(region);
	}
	region = small_region(2);
	strcpy(config.name, "p{1");
	require(pipe_create(&players[2].port, &players[3].port, &config, region, NULL) == 0);
	region_put(region);
	for (int i = 0; i < 5; i++)
		attach(&players[i]);
}

static void run(struct port *port, unsigned ring)
{
	struct kring *tx = port_tx(port, ring);
	enum port_work work = PORT_DRY;

	/* Bounded: a ring can only hold so much. */
	for (int rounds = 0; rounds < 2 * SLOTS; rounds++) {
		pthread_mutex_lock(&tx->lock);
		if (tx->state == KRING_RUNNING)
			work = port->ops->run(tx, 16);
		else
			work = PORT_STOPPED;
		pthread_mutex_unlock(&tx->lock);
		if (work == PORT_DRY || work == PORT_STOPPED)
			break;
	}
	require(work == PORT_DRY || work == PORT_STOPPED);
	pthread_mutex_lock(&tx->lock);
	if (tx->state == KRING_RUNNING)
		port->ops->enable_kicks(tx);
	pthread_mutex_unlock(&tx->lock);
}

static void check_positions(const struct port *port)
{
	for (unsigned i = 0; i < port_num_rings(port); i++) {
		const struct kring *kring = &port->rings[i];

		require(kring->hwcur < kring->num_slots && kring->hwtail < kring->num_slots);
		require(kring->head < kring->num_slots && kring->cur < kring->num_slots);
	}
}

/* The good guest sends one broadcast; its ring must be running and be emptied. */
static void good_guest_works(void)
{
	struct player *good = &players[4];
	struct kring *tx = port_tx(good->port, 0);
	uint32_t head = good->atok[0].head;
	struct netmap_slot slot = kring_load_slot(tx, head);

	memset(kring_buf(tx, slot), 0xff, 60);
	slot.len = 60;
	slot.flags = 0;
	kring_store_slot(tx, head, slot);
	/* It releases what it got, so that its RX rings never fill up. */
	for (unsigned i = 0; i < 2; i++) {
		unsigned ring = good->port->tx_rings + i;

		ptnet_csb_publish(&good->atok[ring], good->ktoa[ring].hwtail,
				  good->ktoa[ring].hwtail);
	}
	head = ring_next(SLOTS, head);
	ptnet_csb_publish(&good->atok[0], head, head);
	run(good->port, 0);
	require(tx->state == KRING_RUNNING && good->ktoa[0].hwcur == head);
	for (unsigned i = 0; i < 2; i++)
		require(port_rx(good->port, i)->state == KRING_RUNNING);
}

static void set_header(struct port *port, uint32_t len)
{
	if (!port_is_pipe(port))
		require(vale_port_set_vnet_hdr(port, len) == 0);
}

static void set_offsets(struct port *port, unsigned ring, struct input *input)
{
	struct nmreq_opt_offsets option = {.nro_offset_bits = take(input, 1),
					   .nro_max_offset = take(input, 2),
					   .nro_initial_offset = take(input, 1)};

	(void)port_set_offsets(port, 1u << ring, take(input, 1) % 2 << ring, &option);
}

static void play(struct input *input)
{
	uint32_t operation = take(input, 1);
	struct player *player = &players[operation & 3];
	struct port *port = player->port;
	unsigned ring = take(input, 1) % port_num_rings(port);
	struct kring *kring = &port->rings[ring];
	struct netmap_slot *slot = &kring->slots[take(input, 1) % SLOTS];

	switch (operation >> 2 & 15) {
	case 0: /* anything into the CSB */
		player->atok[ring].cur = take(input, 4);
		player->atok[ring].head = take(input, 4);
		break;
	case 1: /* a legal step */
		player->atok[ring].head = player->atok[ring].cur = ring_advance(
			SLOTS, kring->hwcur,
			take(input, 1) % (1 + ring_distance(SLOTS, kring->hwcur, kring->hwtail)));
		break;
	case 2:
		slot->buf_idx = take(input, 4);
		break;
	case 3:
		slot->len = (uint16_t)take(input, 2);
		break;
	case 4:
		slot->flags = (uint16_t)take(input, 2);
		break;
	case 5: /* the ring's header, which nobody must believe */
		memset(kring->ring, (int)take(input, 1), 128);
		break;
	case 6: /* a packet: destination, source */
		if (slot->buf_idx < kring->buf_total)
			*(uint32_t *)(void *)(kring->buf_base +
					      (size_t)slot->buf_idx * kring->buf_size +
					      (take(input, 1) % 14 & ~3u)) = take(input, 4);
		break;
	case 7:
		player->ktoa[ring].hwtail = take(input, 4);
		player->ktoa[ring].kern_need_kick = take(input, 1);
		break;
	case 8:
		player->atok[ring].appl_need_kick = take(input, 1);
		player->atok[ring].sync_flags = take(input, 4);
		break;
	case 9:
		endpoint_kick(port, take(input, 1));
		break;
	case 10: /* DELETE, CREATE */
		endpoint_stop(port);
		attach(player);
		break;
	case 11: /* gone, and another one comes */
		endpoint_stop(port);
		endpoint_reset(port);
		attach(player);
		break;
	case 12: /* a chain */
		for (uint32_t i = take(input, 1); i > 0; i--)
			kring->slots[i % SLOTS].flags |= NS_MOREFRAG;
		break;
	case 13: /* its programs get headers or offsets */
		if (take(input, 1) % 2 == 0)
			set_header(port, 10 + take(input, 1) % 2 * 2);
		else
			set_offsets(port, ring, input);
		break;
	case 14: /* and use them */
		slot->ptr = take(input, 2);
		break;
	default:
		for (unsigned i = 0; i < port->tx_rings; i++)
			run(port, i);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};

	if (players[0].port == NULL)
		make_ports();
	while (input.left > 0)
		play(&input);
	for (int i = 0; i < 4; i++) {
		for (unsigned ring = 0; ring < 2; ring++)
			run(players[i].port, ring);
		check_positions(players[i].port);
	}
	good_guest_works();
	/* The next input starts from fresh ports. */
	for (int i = 0; i < 4; i++) {
		endpoint_stop(players[i].port);
		endpoint_reset(players[i].port);
		set_header(players[i].port, 0);
		players[i].port->mfs = PORT_DEFAULT_MFS;
	}
	for (int i = 0; i < 4; i++) {
		endpoint_reset(players[i].port); /* pipe ends: now that both are stopped */
		attach(&players[i]);
	}
	return 0;
}
