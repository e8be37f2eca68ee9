/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From an RX ring into pipes of the same memory. Each group of pipes gets every packet, and in
 * each group the packet's flow says which pipe. The first group gets the packet itself: its buffer
 * changes places with one of the pipe's. The other groups get copies, made before.
 *
 * (netmap's lb gives the second group what the first one's reader has returned. That saves the
 * copy, but a reader that is slow, or changes packets, is then in the way of other groups'
 * readers.)
 *
 * A packet goes into the pipe's ring if there is room and nothing is waiting, else it waits in the
 * pipe's queue. Nothing here makes a system call.
 *
 * What a pipe's reader returns is in the TX ring's slots: whatever buffers. Impossible ones are
 * replaced from the stock of extra buffers. A buffer that is possible but not the reader's to
 * return can't be told from a right one: readers share the memory, and are trusted with it.
 */
#ifndef LB_SPREAD_H
#define LB_SPREAD_H

#include "flow.h"
#include "queue.h"
#include "slots.h"

struct outlet {
	struct netmap_ring *ring;
	struct tx_cursor tx; /* between spread_begin and spread_end */
	struct queue queue;
	/* packets and bytes given to the pipe; packets dropped */
	uint64_t packets, bytes, dropped;
	uint64_t mended; /* impossible buffers replaced */
	bool filled;	 /* in this round */
};

struct group {
	unsigned int first, count; /* outlets */
};

struct spreader {
	struct outlet *outlets;
	unsigned int n_outlets;
	struct group *groups;
	unsigned int n_groups;
	struct stock stock;
	uint32_t buf_limit; /* buffers of the region */
	enum flow_fields fields;
	uint64_t seed;
	/* packets taken, their bytes; impossible ones; slots of length 0 */
	uint64_t packets, bytes, bad, empty;
	uint64_t kinds[FLOW_PORTS + 1]; /* packets by what told their flow */
};

/* Begins a round: looks at the rings anew and moves what waits in queues as far as there is room.
 */
void spread_begin(struct spreader *s);

/* Spreads at most burst packets of an RX ring. True if there are more. */
bool spread_ring(struct spreader *s, struct netmap_ring *ring, uint32_t burst);

/* Publishes what was filled, for the pipes' next sync; outlets say where there is something. */
void spread_end(struct spreader *s);

/* Packets that wait, in slots, of all pipes. */
uint32_t spread_waiting(const struct spreader *s);

/* Drops them. */
void spread_drop_waiting(struct spreader *s);

#endif
