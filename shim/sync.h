/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Syncing rings: what the program wrote into a ring's header is checked and passed on to the
 * daemon, what the daemon reports is shown to the program (spec/netmap-api.md sections 3 and
 * 4.1; ptnet/local.h).
 *
 * No system calls but kicks, interrupts and what waits for them. Any thread; async-signal-safe.
 */
#ifndef PTNET_SHIM_SYNC_H
#define PTNET_SHIM_SYNC_H

#include <stdbool.h>
#include <stdint.h>

#include "description.h"

#define FIRST_BUFFER 2 /* 0 and 1 are never handed out */

/* What came of it. */
#define SYNC_READY   1u /* cur != tail: there is something to do for the program */
#define SYNC_RESET   2u /* the program had written nonsense */
#define SYNC_STOPPED 4u /* the daemon has stopped the ring, or is gone */
#define SYNC_BUSY    8u /* somebody else is at it: nothing was done */

/* One sync that does not wait for the daemon; of poll()'s kind. */
unsigned sync_ring(const struct description *d, struct shim_ring *r);

/* True: the program has put nothing new into the TX ring. */
static inline bool sync_tx_idle(const struct shim_ring *r)
{
	return r->atok == NULL ||
	       PTNET_LOAD_RELAXED(&r->ring->head) == PTNET_LOAD_RELAXED(&r->atok->head);
}

/*
 * NIOCTXSYNC and NIOCRXSYNC on all bound rings. 0 or -EIO. @fd: a descriptor of the description's.
 * TX returns when the daemon has taken what was published.
 */
int sync_all_tx(struct description *d, int fd);
int sync_all_rx(struct description *d);

/* Has the ring been stopped? */
static inline bool sync_stopped(const struct description *d, const struct shim_ring *r)
{
	return PTNET_LOAD_RELAXED(&r->ktoa->ring_fault) != 0 ||
	       __atomic_load_n(&d->dead, __ATOMIC_RELAXED);
}

/* ---- the parts, for the CSB mode's loop too ---- */

static inline uint32_t ring_next_slot(uint32_t num_slots, uint32_t index)
{
	return index + 1 == num_slots ? 0 : index + 1;
}

static inline uint32_t ring_slots_between(uint32_t num_slots, uint32_t from, uint32_t to)
{
	return to >= from ? to - from : to + num_slots - from;
}

/* first <= head <= cur <= last, circularly, and all of them slots (section 3.3). */
static inline bool sync_valid(uint32_t num_slots, uint32_t first, uint32_t head, uint32_t cur,
			      uint32_t last)
{
	return head < num_slots && cur < num_slots &&
	       ring_slots_between(num_slots, first, head) <=
		       ring_slots_between(num_slots, first, cur) &&
	       ring_slots_between(num_slots, first, cur) <=
		       ring_slots_between(num_slots, first, last);
}

/*
 * Publishes valid positions under sync_lock, fetching the data of indirect slots before.
 * @published: the head that was, as it was checked: other processes may write there. True: the
 * daemon must be kicked.
 */
bool sync_publish(struct shim_ring *r, uint32_t published, uint32_t head, uint32_t cur);

#endif
