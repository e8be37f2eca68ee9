/* SPDX-License-Identifier: BSD-2-Clause */
#include "slots.h"

void tx_begin(struct tx_cursor *c, struct netmap_ring *ring, uint32_t buf_limit)
{
	c->ring = ring;
	c->next = ring->head;
	c->room = nm_ring_space(ring);
	c->buf_limit = buf_limit;
}

/* Where the next slot's packet may start, and how long it may be; 0: nowhere. */
static inline uint32_t next_buffer(const struct tx_cursor *c, uint8_t **start)
{
	const struct netmap_ring *ring = c->ring;
	struct netmap_slot s = *(const volatile struct netmap_slot *)&ring->slot[c->next];
	uint64_t offset = s.ptr & ring->offset_mask;
	uint32_t most;

	if (!buffer_possible(s.buf_idx, c->buf_limit) || offset >= ring->nr_buf_size)
		return 0;
	*start = (uint8_t *)NETMAP_BUF(ring, s.buf_idx) + offset;
	most = ring->nr_buf_size - (uint32_t)offset;
	return most < UINT16_MAX ? most : UINT16_MAX;
}

uint8_t *tx_buffer(const struct tx_cursor *c, uint32_t len)
{
	uint8_t *start = NULL;

	if (!c->room || next_buffer(c, &start) < len)
		return NULL;
	return start;
}

/* NS_BUF_CHANGED is the owner's own note of a swapped buffer: it stays. */
static inline void fill_slot(struct tx_cursor *c, uint32_t len, uint16_t flags)
{
	struct netmap_slot *slot = &c->ring->slot[c->next];

	slot->len = (uint16_t)len;
	slot->flags = (slot->flags & NS_BUF_CHANGED) | flags;
	c->next = nm_ring_next(c->ring, c->next);
	c->room--;
}

void tx_done(struct tx_cursor *c, uint32_t len)
{
	fill_slot(c, len, 0);
}

uint32_t tx_put(struct tx_cursor *c, uint32_t prefix, const uint8_t *frame, uint32_t len)
{
	struct tx_cursor start = *c;
	uint32_t slots = 0;

	while (c->room) {
		uint8_t *to = NULL;
		uint32_t most = next_buffer(c, &to), part = 0, head = 0;

		if (most > prefix) {
			head = prefix;
			part = len < most - prefix ? len : most - prefix;
			memset(to, 0, head);
			memcpy(to + head, frame, part);
			prefix = 0;
		}
		frame += part;
		len -= part;
		fill_slot(c, head + part, len ? NS_MOREFRAG : 0);
		slots++;
		if (!len)
			return slots;
	}
	*c = start; /* the slots' flags don't matter until they are published */
	return 0;
}

void tx_publish(struct tx_cursor *c)
{
	struct netmap_ring *ring = c->ring;

	if (c->next == ring->head)
		return;
	ring->slot[c->next ? c->next - 1 : ring->num_slots - 1].flags |= NS_REPORT;
	ring->cur = c->next;
	ring->head = c->next;
}

void rx_begin(struct rx_cursor *c, struct netmap_ring *ring, uint32_t buf_limit)
{
	c->ring = ring;
	c->next = ring->head;
	c->left = nm_ring_space(ring);
	c->buf_limit = buf_limit;
}

/* One slot, read once and checked. */
struct fragment {
	const uint8_t *data; /* NULL: bad */
	uint16_t len;
	bool more;
};

static inline struct netmap_slot load_slot(const struct netmap_ring *ring, uint32_t i)
{
	return *(const volatile struct netmap_slot *)&ring->slot[i];
}

/* Whether the copy of a slot names a part of a buffer. */
static inline bool slot_possible(const struct rx_cursor *c, const struct netmap_slot *s)
{
	uint64_t offset = s->ptr & c->ring->offset_mask;

	return buffer_possible(s->buf_idx, c->buf_limit) && offset <= c->ring->nr_buf_size &&
	       s->len <= c->ring->nr_buf_size - offset;
}

static inline struct fragment read_slot(const struct rx_cursor *c, uint32_t i)
{
	struct netmap_slot s = load_slot(c->ring, i);
	struct fragment f = {.len = s.len, .more = s.flags & NS_MOREFRAG};

	if (slot_possible(c, &s))
		f.data = slot_data(c->ring, &s);
	return f;
}

bool rx_slots(const struct rx_cursor *c, const struct rx_packet *p, struct netmap_slot *copies)
{
	uint32_t i = p->first, n;

	if (p->slots > NETMAP_MAX_FRAGS)
		return false;
	for (n = 0; n < p->slots; n++, i = nm_ring_next(c->ring, i)) {
		copies[n] = load_slot(c->ring, i);
		if (!slot_possible(c, &copies[n]))
			return false;
	}
	return true;
}

bool rx_take(struct rx_cursor *c, struct rx_packet *p)
{
	struct fragment f;

	if (!c->left)
		return false;
	f = read_slot(c, c->next);
	*p = (struct rx_packet){.first = c->next, .data = f.data, .bad = !f.data};
	for (;;) {
		p->len += f.data ? f.len : 0;
		p->slots++;
		c->next = nm_ring_next(c->ring, c->next);
		c->left--;
		if (!f.more)
			return true;
		p->data = NULL;
		if (!c->left) {
			p->cut = true;
			return true;
		}
		f = read_slot(c, c->next);
		p->bad = p->bad || !f.data;
	}
}

const uint8_t *rx_gather(const struct rx_cursor *c, const struct rx_packet *p, uint8_t *scratch,
			 uint32_t size, uint32_t *len)
{
	uint32_t i = p->first, n, have = 0;

	if (p->data) {
		*len = p->len;
		return p->data;
	}
	for (n = 0; n < p->slots; n++, i = nm_ring_next(c->ring, i)) {
		struct fragment f = read_slot(c, i);
		uint32_t part = f.len < size - have ? f.len : size - have;

		if (!f.data)
			break;
		memcpy(scratch + have, f.data, part);
		have += part;
	}
	*len = have;
	return scratch;
}

void rx_release(struct rx_cursor *c)
{
	c->ring->cur = c->next;
	c->ring->head = c->next;
}
