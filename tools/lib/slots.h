/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets into and out of rings. A cursor walks a ring privately and publishes once per batch.
 * Nothing here makes a system call: the functions work on any netmap_ring, an open port's or
 * one in a test's memory.
 *
 * What is in a slot comes from the port or even from another program (a pipe's peer), so index,
 * offset and length are read once and checked before the buffer is touched.
 */
#ifndef TOOLS_SLOTS_H
#define TOOLS_SLOTS_H

#include <net/netmap_user.h>
#include <stdbool.h>

/* Whether a slot may name this buffer of a region of so many: 0 and 1 are never handed out. */
static inline bool buffer_possible(uint32_t idx, uint32_t limit)
{
	return idx >= 2 && idx < limit;
}

/* ---- sending ---- */

struct tx_cursor {
	struct netmap_ring *ring;
	uint32_t next;	    /* first slot not filled */
	uint32_t room;	    /* slots left */
	uint32_t buf_limit; /* buffers of the region */
};

void tx_begin(struct tx_cursor *c, struct netmap_ring *ring, uint32_t buf_limit);

/* The buffer of the next slot if len bytes fit in it and there is a slot, else NULL. */
uint8_t *tx_buffer(const struct tx_cursor *c, uint32_t len);

/* The next slot, whose buffer holds len bytes of a whole packet, is done. */
void tx_done(struct tx_cursor *c, uint32_t len);

/*
 * Copies a packet (prefix zero bytes, then len bytes) into as many slots as it takes, NS_MOREFRAG
 * in all but the last. Returns the slots used; 0 if there is no room for all of it. A slot whose
 * buffer is impossible gets nothing of it: that is for the port to complain about.
 */
uint32_t tx_put(struct tx_cursor *c, uint32_t prefix, const uint8_t *frame, uint32_t len);

/* Makes what was filled visible to the next sync; asks for a report on the last slot. */
void tx_publish(struct tx_cursor *c);

/* ---- receiving ---- */

struct rx_cursor {
	struct netmap_ring *ring;
	uint32_t next; /* first slot not taken */
	uint32_t left; /* slots not taken */
	uint32_t buf_limit;
};

struct rx_packet {
	uint32_t first; /* slot */
	uint32_t slots;
	uint32_t len;	     /* all slots */
	const uint8_t *data; /* in one piece, or NULL: use rx_gather */
	bool bad;	     /* a slot with an impossible index or length: data missing */
	bool cut;	     /* the chain was not ended when it reached the tail */
};

void rx_begin(struct rx_cursor *c, struct netmap_ring *ring, uint32_t buf_limit);

/* Takes the next packet. False if there is none. */
bool rx_take(struct rx_cursor *c, struct rx_packet *p);

/* The packet's bytes in one piece, in scratch (size bytes) if they are not so already. Sets *len
 * to how many there are: fewer than p->len only if scratch was too small or a slot was bad. */
const uint8_t *rx_gather(const struct rx_cursor *c, const struct rx_packet *p, uint8_t *scratch,
			 uint32_t size, uint32_t *len);

/* Copies of the packet's slots, of which there may be NETMAP_MAX_FRAGS: each is read once, and
 * checked. False if there are more, or one is impossible (by now). */
bool rx_slots(const struct rx_cursor *c, const struct rx_packet *p, struct netmap_slot *copies);

/* Where the packet data of a checked slot begins. */
static inline uint8_t *slot_data(const struct netmap_ring *ring, const struct netmap_slot *slot)
{
	return (uint8_t *)NETMAP_BUF(ring, slot->buf_idx) + (slot->ptr & ring->offset_mask);
}

/* Gives what was taken back to the port, from its next sync on. */
void rx_release(struct rx_cursor *c);

/* ---- both ---- */

static inline struct netmap_slot *slot_after(const struct netmap_ring *ring, uint32_t first,
					     uint32_t n)
{
	uint32_t i = first + n;

	return (struct netmap_slot *)&ring->slot[i < ring->num_slots ? i : i - ring->num_slots];
}

#endif
