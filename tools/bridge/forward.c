/* SPDX-License-Identifier: BSD-2-Clause */
#include "forward.h"

/*
 * One packet of one ring, the way it goes. MOVED and DROPPED: the RX slots are done with.
 */
enum outcome { MOVED, DROPPED, NO_ROOM };

/* Slots that a packet may have on its way into a ring: one slot is never used. */
static uint32_t most_slots(const struct netmap_ring *to)
{
	uint32_t most = to->num_slots - 1;

	return most < NETMAP_MAX_FRAGS ? most : NETMAP_MAX_FRAGS;
}

/*
 * The index of a TX slot's buffer may come from another program, a pipe's reader. An impossible one
 * must get neither into our RX ring nor back to the port, whose owner would take it for our
 * mistake: what is for that reader is dropped.
 */
static bool tx_slots_possible(const struct forwarder *f, const struct tx_cursor *tx, uint32_t n)
{
	uint32_t i = tx->next;

	for (; n; n--, i = nm_ring_next(tx->ring, i)) {
		uint32_t idx = *(const volatile uint32_t *)&tx->ring->slot[i].buf_idx;

		if (!buffer_possible(idx, f->to_limit))
			return false;
	}
	return true;
}

/* copies: what was checked of the packet's slots; the ring's own may say something else by now. */
static void swap_slots(struct netmap_ring *from, const struct rx_packet *p,
		       const struct netmap_slot *copies, struct tx_cursor *tx)
{
	uint32_t n;

	for (n = 0; n < p->slots; n++) {
		struct netmap_slot *rx_slot = slot_after(from, p->first, n);
		struct netmap_slot *tx_slot = &tx->ring->slot[tx->next];
		struct netmap_slot spare = *tx_slot;

		tx_slot->buf_idx = copies[n].buf_idx;
		tx_slot->len = copies[n].len;
		tx_slot->flags = NS_BUF_CHANGED | (copies[n].flags & NS_MOREFRAG);
		tx_slot->ptr = copies[n].ptr;
		rx_slot->buf_idx = spare.buf_idx;
		rx_slot->ptr = spare.ptr;
		rx_slot->flags = NS_BUF_CHANGED;
		tx->next = nm_ring_next(tx->ring, tx->next);
		tx->room--;
	}
}

static enum outcome move_swapping(struct forwarder *f, struct rx_cursor *rx,
				  const struct rx_packet *p, struct tx_cursor *tx)
{
	struct netmap_slot copies[NETMAP_MAX_FRAGS];

	if (p->slots > most_slots(tx->ring))
		return DROPPED;
	if (p->slots > tx->room)
		return NO_ROOM;
	if (!tx_slots_possible(f, tx, p->slots) || !rx_slots(rx, p, copies))
		return DROPPED;
	swap_slots(rx->ring, p, copies, tx);
	return MOVED;
}

/* Slots of a TX ring that so many bytes need; those with an offset hold less, which tx_put knows.
 */
static uint32_t slots_needed(const struct netmap_ring *to, uint32_t len)
{
	uint32_t size = to->nr_buf_size < UINT16_MAX ? to->nr_buf_size : UINT16_MAX;

	return (len + size - 1) / size;
}

static enum outcome move_copying(struct forwarder *f, struct rx_cursor *rx,
				 const struct rx_packet *p, struct tx_cursor *tx)
{
	uint8_t *to = p->data ? tx_buffer(tx, p->len) : NULL;
	uint32_t slots = slots_needed(tx->ring, p->len), len;
	const uint8_t *data;

	if (to) {
		memcpy(to, p->data, p->len);
		tx_done(tx, p->len);
		return MOVED;
	}
	if (slots > most_slots(tx->ring))
		return DROPPED;
	if (slots > tx->room)
		return NO_ROOM;
	if (!tx_slots_possible(f, tx, slots))
		return DROPPED;
	data = rx_gather(rx, p, f->scratch, f->scratch_size, &len);
	if (len != p->len)
		return DROPPED; /* somebody has changed the slots since */
	if (tx_put(tx, 0, data, len))
		return MOVED;
	/* Offsets can make buffers so small that an empty ring does not do. */
	return tx->room + 1 < tx->ring->num_slots ? NO_ROOM : DROPPED;
}

enum forward_end forward(struct forwarder *f, struct netmap_ring *from, struct netmap_ring *to,
			 uint32_t burst)
{
	/* Where packets begin is in their slots, so that both rings must read it alike. */
	bool swap = f->same_region && from->offset_mask == to->offset_mask;
	enum forward_end end = FORWARD_BURST;
	struct forward_counters *c = &f->counters;
	struct rx_cursor rx, before;
	struct tx_cursor tx;
	struct rx_packet p;

	rx_begin(&rx, from, f->from_limit);
	tx_begin(&tx, to, f->to_limit);
	while (burst) {
		enum outcome outcome;

		before = rx;
		if (!rx_take(&rx, &p)) {
			end = FORWARD_EMPTY;
			break;
		}
		/* A chain that fills the ring can't be completed. No owner should show one. */
		if (p.cut && p.slots < from->num_slots - 1) {
			rx = before;
			end = FORWARD_PART;
			break;
		}
		burst--;
		if (!p.bad && !p.len) {
			c->empty++;
			continue;
		}
		outcome = p.bad || p.cut ? DROPPED
			  : swap	 ? move_swapping(f, &rx, &p, &tx)
					 : move_copying(f, &rx, &p, &tx);
		if (outcome == NO_ROOM) {
			rx = before;
			end = FORWARD_FULL;
			break;
		}
		if (outcome == DROPPED) {
			c->dropped++;
			continue;
		}
		c->packets++;
		c->bytes += p.len;
	}
	tx_publish(&tx);
	rx_release(&rx);
	return end;
}
