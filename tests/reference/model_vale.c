/* SPDX-License-Identifier: BSD-2-Clause */
/* The switch: ports.md sections 2.3 to 2.5, docs/vale.md. */
#include <stdlib.h>
#include <string.h>

#include "model.h"

#define ETHER_HEADER 14
#define MAX_FRAME    65554 /* docs/vale.md: the longest packet */

/* A packet of the sender's: its slots that are not empty. */
struct packet {
	unsigned int slots; /* of the sender's */
	unsigned int fragments;
	uint32_t bytes;
	const struct netmap_slot *parts[NETMAP_MAX_FRAGS];
};

/* Per destination ring and batch: whether a packet did not fit, after which none overtakes it. */
struct closed_rings {
	const struct model_ring *rings[MODEL_MAX_PORTS * MODEL_MAX_RINGS];
	unsigned int count;
};

static bool is_closed(const struct closed_rings *closed, const struct model_ring *ring)
{
	unsigned int i;

	for (i = 0; i < closed->count; i++)
		if (closed->rings[i] == ring)
			return true;
	return false;
}

/* The packet at @index, which ends at the first slot without NS_MOREFRAG or at head. False:
 * dropped. */
static bool take_packet(struct model *m, struct model_ring *tx, uint32_t index,
			struct packet *packet)
{
	struct model_region *region = tx->port->region;
	const struct netmap_slot *first = NULL;
	bool bad = false, more;

	*packet = (struct packet){0};
	do {
		struct netmap_slot *slot = &tx->slots[index];

		slot->flags &= (uint16_t)~NS_BUF_CHANGED;
		more = slot->flags & NS_MOREFRAG;
		if (!model_is_buffer(region, slot->buf_idx) || slot->len > MODEL_BUF_SIZE)
			bad = true;
		if (!first)
			first = slot;
		if ((slot == first || slot->len > 0) && packet->fragments < NETMAP_MAX_FRAGS) {
			packet->parts[packet->fragments++] = slot;
			packet->bytes += slot->len;
		}
		packet->slots++;
		index = model_next(tx, index);
	} while (more && index != tx->head);
	if (more)
		m->counts[COUNT_CUT_SHORT]++;
	if (packet->slots > 1)
		m->counts[COUNT_SEVERAL_SLOTS]++;
	if (bad) {
		m->counts[COUNT_BAD_SLOT]++;
		return false;
	}
	if (packet->slots > NETMAP_MAX_FRAGS) {
		m->counts[COUNT_TOO_MANY_FRAGMENTS]++;
		return false;
	}
	if (first->len < ETHER_HEADER) {
		m->counts[COUNT_TOO_SHORT]++;
		return false;
	}
	return true;
}

/* ---- addresses ---- */

static struct model_station *find_station(struct model *m, const char *switch_name,
					  const uint8_t *address)
{
	unsigned int i;

	for (i = 0; i < MODEL_ADDRESSES; i++)
		if (m->stations[i].port && strcmp(m->stations[i].switch_name, switch_name) == 0 &&
		    memcmp(m->stations[i].address, address, 6) == 0)
			return &m->stations[i];
	return NULL;
}

static void learn(struct model *m, struct model_port *port, const uint8_t *address)
{
	struct model_station *s = find_station(m, port->switch_name, address);
	unsigned int i;

	if (s && (s->port == port || m->mistake == MISTAKE_LEARN))
		return;
	for (i = 0; !s && i < MODEL_ADDRESSES; i++)
		if (!m->stations[i].port)
			s = &m->stations[i];
	if (!s)
		abort(); /* packet.h has fewer */
	memcpy(s->switch_name, port->switch_name, sizeof(s->switch_name));
	memcpy(s->address, address, 6);
	s->port = port;
	m->counts[COUNT_LEARNT]++;
}

void model_vale_forget(struct model *m, const struct model_port *port)
{
	unsigned int i;

	for (i = 0; i < MODEL_ADDRESSES; i++)
		if (m->stations[i].port == port)
			m->stations[i].port = NULL;
}

/* ---- delivery ---- */

static void copy_packet(struct model *m, const struct packet *packet, struct model_region *from,
			struct model_ring *rx)
{
	unsigned int i;

	for (i = 0; i < packet->fragments; i++) {
		const struct netmap_slot *part = packet->parts[i];
		struct netmap_slot *slot = &rx->slots[rx->hwtail];
		struct model_buffer *source = model_buffer(from, part->buf_idx);
		struct model_buffer *to = model_buffer(rx->port->region, slot->buf_idx);

		memmove(to->bytes, source->bytes, part->len);
		/* Who sends what it does not know itself can't be compared. */
		to->known = part->len <= source->known ? part->len : 0;
		slot->len = part->len;
		slot->flags = (uint16_t)(packet->fragments << NS_PORT_SHIFT |
					 (i + 1 < packet->fragments ? NS_MOREFRAG : 0));
		if (m->mistake == MISTAKE_BYTE && part->len > 20 &&
		    m->counts[COUNT_DELIVERED] % 1000 == 999)
			to->bytes[20] ^= 1;
		rx->hwtail = model_next(rx, rx->hwtail);
	}
}

static void deliver(struct model *m, const struct packet *packet, struct model_ring *tx,
		    struct model_port *port, unsigned int index, struct closed_rings *closed)
{
	struct model_ring *rx = &port->rx[index];
	uint32_t space, longest = (rx->num_slots - 1) * MODEL_BUF_SIZE;

	if (rx->users == 0) {
		m->counts[COUNT_NOT_BOUND]++;
		return;
	}
	if (is_closed(closed, rx)) {
		m->counts[COUNT_RING_FULL]++;
		return;
	}
	if (packet->bytes > (longest < MAX_FRAME ? longest : MAX_FRAME)) {
		m->counts[COUNT_TOO_LONG]++;
		return;
	}
	space = rx->num_slots - 1 - model_distance(rx, rx->hwcur, rx->hwtail);
	if (packet->fragments > space) {
		m->counts[COUNT_RING_FULL]++;
		if (m->mistake != MISTAKE_FULL)
			closed->rings[closed->count++] = rx;
		return;
	}
	copy_packet(m, packet, tx->port->region, rx);
	m->counts[COUNT_DELIVERED]++;
}

static void flood(struct model *m, const struct packet *packet, struct model_ring *tx,
		  struct closed_rings *closed)
{
	unsigned int i;

	for (i = 0; i < MODEL_MAX_PORTS; i++) {
		struct model_port *port = m->ports[i];

		if (port && port->kind == MODEL_VALE &&
		    strcmp(port->switch_name, tx->port->switch_name) == 0 &&
		    (port != tx->port || m->mistake == MISTAKE_FLOOD))
			deliver(m, packet, tx, port, 0, closed);
	}
}

static void forward(struct model *m, const struct packet *packet, struct model_ring *tx,
		    struct closed_rings *closed)
{
	struct model_buffer *header = model_buffer(tx->port->region, packet->parts[0]->buf_idx);
	const uint8_t *to = header->bytes, *from = header->bytes + 6;
	struct model_station *station;

	if (!(from[0] & 1))
		learn(m, tx->port, from);
	station = to[0] & 1 ? NULL : find_station(m, tx->port->switch_name, to);
	if (!station) {
		m->counts[COUNT_FLOODED]++;
		flood(m, packet, tx, closed);
	} else if (station->port == tx->port) {
		m->counts[COUNT_SAME_PORT]++;
	} else {
		m->counts[COUNT_UNICAST]++;
		deliver(m, packet, tx, station->port, tx->index % station->port->num_rx, closed);
	}
}

/* All of [hwcur, head) is taken, whatever becomes of it. */
void model_vale_run(struct model *m, struct model_ring *tx)
{
	struct closed_rings closed = {.count = 0};
	uint32_t index = tx->hwcur, taken = model_distance(tx, tx->hwcur, tx->head);
	struct packet packet;

	while (taken > 0) {
		bool good = take_packet(m, tx, index, &packet);

		if (!tx->port->switch_name[0])
			m->counts[COUNT_DISCARDED]++;
		else if (good)
			forward(m, &packet, tx, &closed);
		index = (index + packet.slots) % tx->num_slots;
		taken -= packet.slots;
	}
	tx->hwcur = tx->head;
	tx->hwtail = model_previous(tx, tx->hwcur);
}
