/* SPDX-License-Identifier: BSD-2-Clause */
/* Syncs: what a program has written into a ring's header is checked and taken over. */
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

const char *const model_count_names[MODEL_COUNTS] = {
	[COUNT_UNICAST] = "unicast packets",
	[COUNT_FLOODED] = "flooded packets",
	[COUNT_LEARNT] = "addresses learnt or moved",
	[COUNT_SAME_PORT] = "packets for their sender's port",
	[COUNT_SEVERAL_SLOTS] = "packets of several slots",
	[COUNT_CUT_SHORT] = "packets cut short by head",
	[COUNT_BAD_SLOT] = "packets with a bad slot",
	[COUNT_TOO_SHORT] = "packets without a header",
	[COUNT_TOO_MANY_FRAGMENTS] = "packets of too many fragments",
	[COUNT_TOO_LONG] = "packets too long for their destination",
	[COUNT_RING_FULL] = "packets that found a ring full",
	[COUNT_NOT_BOUND] = "packets for a ring that nobody has bound",
	[COUNT_DISCARDED] = "packets of a port that is on no switch",
	[COUNT_DELIVERED] = "packets delivered by a switch",
	[COUNT_PASSED_ON] = "slots passed on by a pipe",
	[COUNT_HELD_BACK] = "incomplete packets in a pipe",
	[COUNT_TAKEN_BACK] = "slots taken back by a pipe",
	[COUNT_PIPE_FULL] = "syncs that left a pipe full",
	[COUNT_RESUMED] = "pipe rings opened again",
	[COUNT_RESET] = "rings reset for bad positions",
	[COUNT_BUSY] = "requests refused as busy",
	[COUNT_REFUSED] = "requests refused otherwise",
};

const char *const model_mistake_names[MODEL_MISTAKES] = {
	[MISTAKE_NONE] = "none",   [MISTAKE_BYTE] = "byte",   [MISTAKE_FLOOD] = "flood",
	[MISTAKE_LEARN] = "learn", [MISTAKE_FULL] = "full",   [MISTAKE_CHAIN] = "chain",
	[MISTAKE_TAIL] = "tail",   [MISTAKE_RESET] = "reset", [MISTAKE_EXCLUSIVE] = "exclusive",
};

struct model_buffer *model_buffer(struct model_region *region, uint32_t index)
{
	if (!region->buffers)
		region->buffers = calloc(region->total, sizeof(struct model_buffer *));
	if (!region->buffers[index])
		region->buffers[index] = calloc(1, sizeof(struct model_buffer));
	return region->buffers[index];
}

struct model_ring *model_bound_ring(const struct model_binding *b, unsigned int number)
{
	return number < b->num_tx ? &b->port->tx[b->first_tx + number]
				  : &b->port->rx[b->first_rx + number - b->num_tx];
}

/* first <= head <= cur <= last, around the ring (netmap-api.md section 3.3). */
static bool positions_valid(const struct model_ring *ring)
{
	uint32_t first = ring->tx ? ring->rhead : ring->hwcur;
	uint32_t last = ring->tx ? ring->rtail : ring->hwtail;

	return ring->head < ring->num_slots && ring->cur < ring->num_slots &&
	       model_distance(ring, first, ring->head) <= model_distance(ring, first, ring->cur) &&
	       model_distance(ring, first, ring->cur) <= model_distance(ring, first, last);
}

void model_clean_slots(struct model_ring *ring)
{
	uint32_t i;

	for (i = ring->hwcur; i != ring->hwtail; i = model_next(ring, i)) {
		struct netmap_slot *slot = &ring->slots[i];

		if (!model_is_buffer(ring->port->region, slot->buf_idx))
			slot->buf_idx = slot->len = 0;
		else if (slot->len > MODEL_BUF_SIZE)
			slot->len = 0;
	}
}

/* The safer of the alternatives in ports.md section 9: always back to hwcur and hwtail. */
static void reset(struct model *m, struct model_ring *ring)
{
	model_clean_slots(ring);
	ring->head = ring->cur = ring->hwcur;
	ring->tail = ring->rtail = ring->hwtail;
	if (ring->tx && ring->peer)
		ring->state = WAS_RESET;
	m->counts[COUNT_RESET]++;
}

/* Returns false if the ring was reset. */
static bool check_positions(struct model *m, struct model_ring *ring)
{
	if (positions_valid(ring))
		return true;
	if (m->mistake == MISTAKE_RESET)
		ring->head %= ring->num_slots;
	else
		reset(m, ring);
	return false;
}

static bool sync_tx(struct model *m, struct model_ring *tx)
{
	if (!check_positions(m, tx))
		return false;
	tx->state = SYNCED;
	tx->rhead = tx->head;
	tx->rcur = tx->cur;
	if (tx->port->kind == MODEL_PIPE)
		model_pipe_run(m, tx);
	else
		model_vale_run(m, tx);
	tx->tail = tx->rtail = tx->hwtail;
	return true;
}

static bool sync_rx(struct model *m, struct model_ring *rx)
{
	bool valid = check_positions(m, rx);

	rx->rhead = rx->hwcur = rx->head;
	rx->rcur = rx->cur;
	rx->tail = rx->rtail = rx->hwtail;
	return valid;
}

void model_txsync(struct model *m, const struct model_binding *binding)
{
	unsigned int i;

	for (i = 0; i < binding->num_tx; i++)
		sync_tx(m, model_bound_ring(binding, i));
}

void model_rxsync(struct model *m, const struct model_binding *binding)
{
	unsigned int i;

	for (i = 0; i < binding->num_rx; i++)
		sync_rx(m, model_bound_ring(binding, binding->num_tx + i));
}

short model_poll(struct model *m, const struct model_binding *b, short events, short *may)
{
	bool wants_room = events & POLLOUT;
	short result = 0;
	unsigned int i;

	*may = 0;
	if (wants_room || !(b->flags & NR_NO_TX_POLL)) {
		for (i = 0; i < b->num_tx; i++) {
			struct model_ring *tx = model_bound_ring(b, i);

			if (!wants_room && tx->head == tx->rhead)
				continue;
			/* The owner takes it at its own time: room that was there already must be
			 * seen. */
			if (wants_room && positions_valid(tx) && tx->cur != tx->rtail)
				result |= POLLOUT;
			if (!sync_tx(m, tx))
				result |= POLLERR;
			if (wants_room && tx->cur != tx->tail)
				*may |= POLLOUT;
		}
	}
	if (events & POLLIN) {
		for (i = 0; i < b->num_rx; i++) {
			struct model_ring *rx = model_bound_ring(b, b->num_tx + i);

			if (!sync_rx(m, rx))
				result |= POLLERR;
			if (rx->cur != rx->tail)
				result |= POLLIN;
		}
	}
	return result;
}
