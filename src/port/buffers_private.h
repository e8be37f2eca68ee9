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

/* Workers must not sleep; the control thread may, for a millisecond or two. */
enum buffers_patience { BUFFERS_MUST_NOT_SLEEP, BUFFERS_MAY_SLEEP };

/*
 * Gives the region back what no slot shows. Nobody may have extra buffers of it. Where a program
 * has a ring open it may be in the middle of an exchange: there slots are looked at again and
 * again, with pauses, as long as there is something to give back.
 */
void buffers_reclaim(struct region *region, enum buffers_patience patience);

/* Sees that the region has @count buffers to hand out, if nobody has extra ones. */
void buffers_provide(struct region *region, uint32_t count, enum buffers_patience patience);

/* Reclaims if no program has anything to do with the region any more. */
void buffers_settle(struct region *region);

/* Has anybody got extra buffers of the region? (extra_buffers.c) */
bool extra_buffers_exist(const struct region *region);

#endif
