/* SPDX-License-Identifier: BSD-2-Clause */
#include "spread.h"

/* ---- a pipe's ring ---- */

/*
 * The buffers in the next n slots of a pipe's ring, each read once, checked and if need be
 * replaced. False: there is no room, or nothing to replace one with.
 */
static bool reserve(struct spreader *s, struct outlet *o, uint32_t n, uint32_t *buffers)
{
	uint32_t i = o->tx.next, k;

	if (o->tx.room < n)
		return false;
	for (k = 0; k < n; k++, i = nm_ring_next(o->ring, i)) {
		volatile uint32_t *idx = &o->ring->slot[i].buf_idx;

		buffers[k] = *idx;
		if (buffer_possible(buffers[k], s->buf_limit))
			continue;
		if (!stock_take(&s->stock, &buffers[k]))
			return false;
		*idx = buffers[k];
		o->mended++;
	}
	return true;
}

static void fill(struct outlet *o, const struct netmap_slot *slot)
{
	o->ring->slot[o->tx.next] = *slot;
	o->tx.next = nm_ring_next(o->ring, o->tx.next);
	o->tx.room--;
	o->bytes += slot->len;
	o->filled = true;
	if (!(slot->flags & NS_MOREFRAG))
		o->packets++;
}

/* From the queue into the ring. */
static void move_waiting(struct spreader *s, struct outlet *o)
{
	uint32_t buffers[NETMAP_MAX_FRAGS], n, k;

	while ((n = queue_first_packet(&o->queue, &s->stock)) && reserve(s, o, n, buffers)) {
		for (k = 0; k < n; k++) {
			struct netmap_slot slot = queue_pop(&o->queue, &s->stock);

			fill(o, &slot);
			stock_put(&s->stock, buffers[k]);
		}
	}
}

/* ---- the stock ---- */

static struct outlet *longest_queue(struct spreader *s)
{
	struct outlet *longest = &s->outlets[0];
	unsigned int i;

	for (i = 1; i < s->n_outlets; i++) {
		if (s->outlets[i].queue.slots > longest->queue.slots)
			longest = &s->outlets[i];
	}
	return longest;
}

/* n buffers of the stock, at the cost of the longest queues. */
static bool reserve_stock(struct spreader *s, uint32_t n, uint32_t *buffers)
{
	uint32_t k;

	if (s->stock.n_free < n && s->stock.n_free + spread_waiting(s) < n)
		return false;
	while (s->stock.n_free < n) {
		struct outlet *o = longest_queue(s);

		queue_drop(&o->queue, &s->stock);
		o->dropped++;
	}
	for (k = 0; k < n; k++)
		stock_take(&s->stock, &buffers[k]);
	return true;
}

/* ---- a packet ---- */

struct packet {
	struct netmap_ring *ring;
	uint32_t first, n;
	struct netmap_slot slots[NETMAP_MAX_FRAGS]; /* as they were checked */
};

/*
 * Slot k of a packet for an outlet, in exchange for a buffer: the packet's own, in whose place the
 * other one goes; or the other one, with a copy.
 */
static struct netmap_slot exchange(const struct packet *p, uint32_t k, uint32_t buffer, bool copy)
{
	struct netmap_slot slot = p->slots[k];

	slot.flags = NS_BUF_CHANGED | (slot.flags & NS_MOREFRAG);
	slot.ptr = 0;
	if (copy) {
		memcpy(NETMAP_BUF(p->ring, buffer), NETMAP_BUF(p->ring, slot.buf_idx), slot.len);
		slot.buf_idx = buffer;
	} else {
		struct netmap_slot *from = slot_after(p->ring, p->first, k);

		from->buf_idx = buffer;
		from->flags = NS_BUF_CHANGED;
	}
	return slot;
}

static void deliver(struct spreader *s, struct outlet *o, const struct packet *p, bool copy)
{
	uint32_t buffers[NETMAP_MAX_FRAGS], k;
	bool now;

	/* The ring never has room for all of it: it would wait for ever, and others behind it. */
	if (p->n >= o->ring->num_slots) {
		o->dropped++;
		return;
	}
	now = !o->queue.slots && reserve(s, o, p->n, buffers);
	if (!now && !reserve_stock(s, p->n, buffers)) {
		o->dropped++;
		return;
	}
	/* Making room may have emptied this queue: then it is a queue of one. */
	for (k = 0; k < p->n; k++) {
		struct netmap_slot slot = exchange(p, k, buffers[k], copy);

		if (now)
			fill(o, &slot);
		else
			queue_push(&o->queue, &s->stock, &slot);
	}
}

static struct outlet *outlet_of(struct spreader *s, const struct group *g, uint32_t hash)
{
	return &s->outlets[g->first + (((uint64_t)hash * g->count) >> 32)];
}

static void spread_packet(struct spreader *s, const struct packet *p)
{
	struct flow flow =
		flow_of(slot_data(p->ring, &p->slots[0]), p->slots[0].len, s->fields, s->seed);
	unsigned int g;

	s->kinds[flow.kind]++;
	for (g = s->n_groups; g-- > 0;)
		deliver(s, outlet_of(s, &s->groups[g], flow.hash), p, g > 0);
}

/* ---- rounds ---- */

void spread_begin(struct spreader *s)
{
	unsigned int i;

	for (i = 0; i < s->n_outlets; i++) {
		struct outlet *o = &s->outlets[i];

		tx_begin(&o->tx, o->ring, s->buf_limit);
		o->filled = false;
		if (o->queue.slots)
			move_waiting(s, o);
	}
}

bool spread_ring(struct spreader *s, struct netmap_ring *ring, uint32_t burst)
{
	struct packet packet = {.ring = ring};
	struct rx_cursor c, before;
	struct rx_packet p;

	rx_begin(&c, ring, s->buf_limit);
	for (; burst; burst--) {
		before = c;
		if (!rx_take(&c, &p))
			break;
		/* The end of a chain may be yet to come, unless the chain fills the ring. */
		if (p.cut && p.slots < ring->num_slots - 1) {
			c = before;
			break;
		}
		if (!p.bad && !p.len) {
			s->empty++;
			continue;
		}
		if (p.bad || p.cut || !rx_slots(&c, &p, packet.slots)) {
			s->bad++;
			continue;
		}
		packet.first = p.first;
		packet.n = p.slots;
		s->packets++;
		s->bytes += p.len;
		spread_packet(s, &packet);
	}
	rx_release(&c);
	if (c.left && burst)
		ring->cur = ring->tail; /* wait for the end of the chain, not for what is there */
	return c.left && !burst;
}

void spread_end(struct spreader *s)
{
	unsigned int i;

	for (i = 0; i < s->n_outlets; i++)
		tx_publish(&s->outlets[i].tx);
}

uint32_t spread_waiting(const struct spreader *s)
{
	uint32_t slots = 0;
	unsigned int i;

	for (i = 0; i < s->n_outlets; i++)
		slots += s->outlets[i].queue.slots;
	return slots;
}

void spread_drop_waiting(struct spreader *s)
{
	unsigned int i;

	for (i = 0; i < s->n_outlets; i++) {
		struct outlet *o = &s->outlets[i];

		for (; o->queue.slots; o->dropped++)
			queue_drop(&o->queue, &s->stock);
	}
}
