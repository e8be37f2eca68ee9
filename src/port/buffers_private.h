/* SPDX-License-Identifier: BSD-2-Clause */
/* What the two files share that know who holds which buffer: slots and extra buffers. */
#ifndef PTNET_PORT_BUFFERS_PRIVATE_H
#define PTNET_PORT_BUFFERS_PRIVATE_H

#include <pthread.h>

#include "port/buffer_set.h"

/* Over the lists of ports and of extra buffers. Taken before any ring's lock. */
extern pthread_mutex_t buffers_lock;

/* The rest is for callers that hold it. */

/*
 * The buffers that the region has handed out and no slot shows: in somebody's hands,
 * or lost. False: out of memory; else the set is the caller's to free.
 */
bool buffers_unseen(struct buffer_set *unseen, struct region *region);

/*
 * Gives the region back what no slot shows. Nobody may have extra buffers of it; even so a program
 * may be in the middle of an exchange, unless none has a ring open.
 */
void buffers_reclaim(struct region *region);

/* Sees that the region has @count buffers to hand out, if nobody has extra ones. */
void buffers_provide(struct region *region, uint32_t count);

/* Reclaims if no program has anything to do with the region any more. */
void buffers_settle(struct region *region);

/* Has anybody got extra buffers of the region? (extra_buffers.c) */
bool extra_buffers_exist(const struct region *region);

#endif
