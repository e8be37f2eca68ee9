/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets that wait for room in a pipe, in extra buffers. All pipes draw on one stock of buffers;
 * when it is used up, the longest queue loses its oldest packet. So a pipe that nobody reads can
 * take everything that nobody else needs, and no more: a pipe whose queue is shorter than its
 * share of the stock loses nothing.
 */
#ifndef LB_QUEUE_H
#define LB_QUEUE_H

#include <net/netmap_user.h>
#include <stdbool.h>

struct queued {
	struct netmap_slot slot;
	uint32_t next;
};

struct stock {
	uint32_t size;
	uint32_t *buffers; /* n_free indices that nothing is in */
	uint32_t n_free;
	struct queued *nodes; /* size of them: each takes one slot, with its buffer */
	uint32_t free_node;
};

/* Slots of whole packets, in order. All zero: an empty one. */
struct queue {
	uint32_t first, last; /* nodes, if slots > 0 */
	uint32_t slots;
	uint32_t most; /* slots that there ever were */
};

/* Room for size buffers; none is in it yet. 0 or -ENOMEM. */
int stock_init(struct stock *s, uint32_t size);
void stock_free(struct stock *s);

/* Adds a buffer that nothing is in. False if there are size already: then it is not ours. */
bool stock_put(struct stock *s, uint32_t buffer);
/* Takes one; false if there is none. */
bool stock_take(struct stock *s, uint32_t *buffer);

/* Appends a slot whose buffer has been exchanged for one of the stock's. */
void queue_push(struct queue *q, struct stock *s, const struct netmap_slot *slot);
/* Takes the first slot, buffer and all. There must be one. */
struct netmap_slot queue_pop(struct queue *q, struct stock *s);
/* Slots of the first packet; 0: there is none. */
uint32_t queue_first_packet(const struct queue *q, const struct stock *s);
/* Drops the first packet; its buffers go to the stock. */
void queue_drop(struct queue *q, struct stock *s);

#endif
