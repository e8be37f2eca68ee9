/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets that lie about themselves, for a port without virtio-net headers. The first byte of an
 * input says how it is used: even  one packet for segmentation alone, whose segments are then
 * compared with what a plain second opinion makes of the packet odd   slots of a sender with
 * headers on a switch, to receivers of all kinds What must hold: no byte read outside of what the
 * sender gave (ASan, UBSan), right segments, whole packets with right checksums, and the packet
 * behind the bad one arrives.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "engine/endpoint.h"
#include "input.h"
#include "log/log.h"
#include "packets.h"
#include "port/checksum.h"
#include "port/offsets.h"
#include "port/segment.h"
#include "port/vale.h"

#define SLOTS	 128
#define BUF_SIZE 2048u
#define PORTS	 5
#define MARKER	 77u /* bytes */

/* ---- segmentation alone ---- */

static void check_segment(const struct segmentation *s, const uint8_t *packet, size_t len,
			  uint32_t index)
{
	uint32_t payload = segmentation_payload(s, index);
	const uint8_t *from = packet + s->headers_len + (size_t)index * s->per_segment;
	uint8_t *segment = malloc(s->headers_len + payload);

	memcpy(segment + s->headers_len, from, payload);
	segmentation_write_headers(s, index, checksum_add(0, from, payload), segment);
	require(packet_segment_wrong(packet, len, segment, s->headers_len + payload, index,
				     s->per_segment) == NULL);
	free(segment);
}

static void segment(struct input *input)
{
	unsigned gso = take(input, 1);
	uint32_t limit = take(input, 2), more = take(input, 2), first_len = (uint32_t)input->left;
	size_t len = (size_t)first_len + more;
	struct segmentation segmentation;

	if (first_len == 0)
		return;
	uint8_t *packet = malloc(len), *first = malloc(first_len);
	memcpy(first, input->data, first_len);
	memcpy(packet, first, first_len);
	for (size_t i = first_len; i < len; i++)
		packet[i] = (uint8_t)(i * 7);
	if (segmentation_begin(&segmentation, gso, first, first_len, (uint32_t)len, limit) == 0) {
		require(segmentation.headers_len <= first_len && segmentation.headers_len <= limit);
		require(segmentation.count >= 1 &&
			(uint64_t)segmentation.count * segmentation.per_segment >=
				segmentation.payload);
		/* The first, the last and some between: there may be 65 thousand. */
		for (uint32_t i = 0; i < segmentation.count; i += 1 + segmentation.count / 7)
			check_segment(&segmentation, packet, len, i);
		check_segment(&segmentation, packet, len, segmentation.count - 1);
	}
	free(first);
	free(packet);
}

/* ---- on a switch ---- */

static struct player {
	struct port *port;
	struct nm_csb_atok atok[PTNET_MAX_RINGS] __attribute__((aligned(64)));
	struct nm_csb_ktoa ktoa[PTNET_MAX_RINGS] __attribute__((aligned(64)));
} players[PORTS];

static const struct {
	uint32_t buf_size, header, mfs; /* mfs 0: as the header makes it */
	bool offsets;
} kinds[PORTS] = {
	{BUF_SIZE, 12, 0, false}, /* the sender */
	{BUF_SIZE, 0, 1514, false}, {128, 0, 1514, false},
	{BUF_SIZE, 10, 0, true},    {9216, 0, 9216, true},
};

static void make_ports(void)
{
	struct vale_config vale_config = {.name = "vale0"};
	struct vale *vale;

	log_set_level(LOG_LEVEL_ERROR);
	require(vale_create(&vale, &vale_config, NULL) == 0);
	for (unsigned i = 0; i < PORTS; i++) {
		struct port_config config = {
			.name = {'v', 'a', 'l', 'e', '0', ':', (char)('a' + i)},
			.tx_slots = SLOTS,
			.rx_slots = SLOTS};
		struct region_config region_config = {
			.ring_num = 4, .buf_num = 2 * SLOTS + 2, .buf_size = kinds[i].buf_size};
		struct nmreq_opt_offsets offsets = {.nro_initial_offset = 64,
						    .nro_max_offset = 100};
		struct endpoint_csb csb = {
			.atok = players[i].atok, .ktoa = players[i].ktoa, .extension = true};
		struct region *region;

		region_config_for_port(&region_config, 1, 1, SLOTS, SLOTS, 0, 0);
		require(region_create(&region, &region_config, NULL) == 0);
		require(vale_port_create(&players[i].port, vale, &config, region, NULL) == 0);
		region_put(region);
		require(vale_port_set_vnet_hdr(players[i].port, kinds[i].header) == 0);
		if (kinds[i].mfs != 0)
			players[i].port->mfs = kinds[i].mfs;
		endpoint_start(players[i].port, &csb);
		if (kinds[i].offsets)
			require(port_set_offsets(players[i].port, 3, 3, &offsets) == 0);
	}
}

static void put(const void *data, size_t len, uint16_t flags)
{
	struct kring *tx = port_tx(players[0].port, 0);
	uint32_t head = players[0].atok[0].head;
	struct netmap_slot slot = kring_load_slot(tx, head);

	slot.len = (uint16_t)len;
	slot.flags = flags;
	memcpy(kring_buf(tx, slot), data, len);
	kring_store_slot(tx, head, slot);
	players[0].atok[0].cur = players[0].atok[0].head = ring_next(SLOTS, head);
}

static void run(void)
{
	struct kring *tx = port_tx(players[0].port, 0);
	enum port_work work;

	pthread_mutex_lock(&tx->lock);
	do
		work = tx->port->ops->run(tx, SLOTS);
	while (work == PORT_MORE || work == PORT_CROWDED);
	require(work == PORT_DRY);
	pthread_mutex_unlock(&tx->lock);
}

/* Takes all that came; true: the last packet was the marker. */
static bool drain(struct player *player)
{
	const struct kring *rx = port_rx(player->port, 0);
	uint32_t header = player->port->vnet_hdr_len, bytes = 0;
	uint32_t index = player->atok[1].head, end = player->ktoa[1].hwtail;
	bool more = false, marker = false;

	require(rx->state == KRING_RUNNING);
	for (; index != end; index = ring_next(SLOTS, index)) {
		struct netmap_slot slot = kring_load_slot(rx, index);
		const uint8_t *data = (uint8_t *)kring_buf(rx, slot) + kring_offset(rx, slot);

		require(kring_slot_valid(rx, slot) && kring_offset_valid(rx, slot));
		bytes = more ? bytes + slot.len : slot.len;
		marker = !more && slot.len == header + MARKER && data[header + MARKER - 1] == 0xfe;
		more = (slot.flags & NS_MOREFRAG) != 0;
		/* Segments are whole packets of their own, and summed. */
		if (slot.flags == 0)
			require(packet_checksums_right(data, slot.len));
		if (!more)
			require(bytes >= header + 14);
	}
	require(!more);
	player->atok[1].cur = player->atok[1].head = end;
	return marker;
}

static void forward(struct input *input)
{
	uint8_t packet[BUF_SIZE];

	if (players[0].port == NULL)
		make_ports();
	for (unsigned slots = 0; input->left > 0 && slots < 20; slots++) {
		uint32_t flags = take(input, 1), len = take(input, 1), fill = take(input, 2);

		if (len > input->left)
			len = (uint32_t)input->left;
		memcpy(packet, input->data, len);
		input->data += len;
		input->left -= len;
		/* A long payload from a short input. */
		for (fill %= BUF_SIZE; len < fill; len++)
			packet[len] = (uint8_t)(len * 5);
		/* Everybody hears it. */
		if (slots == 0 && len > 12)
			packet[12] = 0xff;
		put(packet, len, flags % 4 != 0 ? NS_MOREFRAG : 0);
	}
	run();
	for (unsigned i = 1; i < PORTS; i++)
		drain(&players[i]);
	memset(packet, 0, 12);
	memset(packet + 12, 0xff, MARKER - 1);
	packet[12 + MARKER - 1] = 0xfe;
	put(packet, 12 + MARKER, 0);
	run();
	for (unsigned i = 1; i < PORTS; i++)
		require(drain(&players[i]));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};

	if (take(&input, 1) % 2 == 0)
		segment(&input);
	else
		forward(&input);
	return 0;
}
