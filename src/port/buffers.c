/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/buffers.h"

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <time.h>

#include "port/buffers_private.h"
#include "port/port.h"

/*
 * A look at the slots of rings that run takes time, and a buffer that is moved meanwhile from a
 * ring not looked at yet to one that was is seen in neither.
 */
#define LOOKS 3

/*
 * A program that moves buffers to and fro all the time can have a quarter of them missed by each
 * look: what is to be taken back must not have been seen in so many times LOOKS. A program may also
 * have been interrupted with an exchange half done: the pauses are for it to go on.
 */
#define RECLAIM_TURNS	 6
#define RECLAIM_PAUSE_NS 200000

/* All ports, of all regions. */
static LIST_HEAD(, port) ports = LIST_HEAD_INITIALIZER(ports);
pthread_mutex_t buffers_lock = PTHREAD_MUTEX_INITIALIZER;

/* ---- the slots that a ring's owner holds ---- */

struct held_slots {
	struct kring *kring;
	struct kring *sender; /* a pipe's reader: the ring that it is coupled with */
	uint32_t first, count;
};

static void held_lock(struct held_slots *held, struct kring *kring)
{
	*held = (struct held_slots){.kring = kring};
	if (kring->borrows_bufs) {
		/* A sender's lock comes before its reader's; it stays while we have buffers_lock.
		 */
		pthread_mutex_lock(&kring->lock);
		held->sender = kring->peer;
		pthread_mutex_unlock(&kring->lock);
		if (held->sender != NULL)
			pthread_mutex_lock(&held->sender->lock);
	}
	pthread_mutex_lock(&kring->lock);
	held->first = kring->hwcur;
	if (kring->num_slots == 0)
		held->count = 0;
	else if (kring->dir == KRING_TX)
		held->count = ring_distance(kring->num_slots, kring->hwcur, kring->hwtail) + 1;
	else if (!kring->borrows_bufs)
		held->count = kring->num_slots;
	else if (kring->peer != NULL && kring->peer == held->sender)
		held->count = ring_distance(kring->num_slots, kring->hwcur, held->sender->hwcur);
	else
		held->count = ring_distance(kring->num_slots, kring->hwcur, kring->hwtail);
}

static void held_unlock(const struct held_slots *held)
{
	pthread_mutex_unlock(&held->kring->lock);
	if (held->sender != NULL)
		pthread_mutex_unlock(&held->sender->lock);
}

static uint32_t held_index(const struct held_slots *held, uint32_t n)
{
	return ring_advance(held->kring->num_slots, held->first, n);
}

/* Adds what the ring's slots hold. */
static void add_held(struct buffer_set *set, struct kring *kring)
{
	struct held_slots held;

	held_lock(&held, kring);
	for (uint32_t n = 0; n < held.count; n++)
		buffer_set_add(set, kring_load_slot(kring, held_index(&held, n)).buf_idx);
	held_unlock(&held);
}

static bool rings_run(const struct port *port)
{
	bool run = false;

	for (unsigned i = 0; i < port_num_rings(port) && !run; i++) {
		struct kring *kring = &port->rings[i];

		pthread_mutex_lock(&kring->lock);
		run = kring->state != KRING_STOPPED;
		pthread_mutex_unlock(&kring->lock);
	}
	return run;
}

/* May a program be exchanging buffers of the region? */
static bool region_in_use(const struct region *region)
{
	const struct port *port;

	LIST_FOREACH (port, &ports, link)
		if (port->region == region && (port->ops->unserved || rings_run(port)))
			return true;
	return false;
}

/* Adds what the region's slots hold, but for those of @port and of @ring (NULL: of all). */
static void add_held_by_others(struct buffer_set *set, const struct region *region,
			       const struct port *port, const struct kring *ring)
{
	struct port *other;

	for (unsigned looks = region_in_use(region) ? LOOKS : 1; looks > 0; looks--)
		LIST_FOREACH (other, &ports, link) {
			if (other == port || other->region != region)
				continue;
			for (unsigned i = 0; i < port_num_rings(other); i++)
				if (&other->rings[i] != ring)
					add_held(set, &other->rings[i]);
		}
}

/* ---- what no slot shows ---- */

/* Takes what slots hold out of @unseen. False: out of memory. */
static bool remove_held(struct buffer_set *unseen, const struct region *region)
{
	struct buffer_set held;

	if (!buffer_set_init(&held, region))
		return false;
	add_held_by_others(&held, region, NULL, NULL);
	buffer_set_remove_all(unseen, &held);
	buffer_set_fini(&held);
	return true;
}

bool buffers_unseen(struct buffer_set *unseen, struct region *region)
{
	if (!buffer_set_init(unseen, region))
		return false;
	region_bufs_taken(region, unseen->bits);
	if (remove_held(unseen, region))
		return true;
	buffer_set_fini(unseen);
	return false;
}

static void pause_for(enum buffers_patience patience)
{
	const struct timespec pause = {.tv_nsec = RECLAIM_PAUSE_NS};

	if (patience == BUFFERS_MAY_SLEEP)
		nanosleep(&pause, NULL);
	else
		sched_yield();
}

void buffers_reclaim(struct region *region, enum buffers_patience patience)
{
	unsigned more = region_in_use(region) ? RECLAIM_TURNS - 1 : 0;
	struct buffer_set unseen;
	bool looked = true;

	if (!buffers_unseen(&unseen, region))
		return;
	for (; more > 0 && looked && !buffer_set_empty(&unseen); more--) {
		pause_for(patience);
		looked = remove_held(&unseen, region);
	}
	if (looked)
		buffer_set_free_buffers(&unseen, region);
	buffer_set_fini(&unseen);
}

/* How many buffers the slots of the region's rings take together. */
static uint32_t slots_of(const struct region *region)
{
	const struct port *port;
	uint32_t slots = 0;

	LIST_FOREACH (port, &ports, link)
		for (unsigned i = 0; port->region == region && i < port_num_rings(port); i++)
			slots += port->rings[i].borrows_bufs ? 0 : port->rings[i].num_slots;
	return slots;
}

static void reclaim_if_left(struct region *region)
{
	if (!extra_buffers_exist(region) && !region_in_use(region))
		buffers_reclaim(region, BUFFERS_MUST_NOT_SLEEP);
}

void buffers_settle(struct region *region)
{
	uint32_t usable = region_geometry(region)->buf_pool.objtotal - REGION_FIRST_BUF;

	/* Without so many looks at slots if nothing can be missing. */
	if (usable - region_bufs_free(region) != slots_of(region))
		reclaim_if_left(region);
}

void buffers_owner_left(struct port *port)
{
	pthread_mutex_lock(&buffers_lock);
	buffers_settle(port->region);
	pthread_mutex_unlock(&buffers_lock);
}

/* ---- handing out ---- */

void buffers_provide(struct region *region, uint32_t count, enum buffers_patience patience)
{
	if (region_bufs_free(region) < count && !extra_buffers_exist(region))
		buffers_reclaim(region, patience);
}

/* All or none. */
static int alloc_all(struct region *region, uint32_t *buffers, uint32_t count)
{
	for (uint32_t done = 0; done < count; done++) {
		int64_t buffer = region_buf_alloc(region);

		if (buffer < 0) {
			while (done-- > 0)
				region_buf_free(region, buffers[done]);
			return -ENOMEM;
		}
		buffers[done] = (uint32_t)buffer;
	}
	return 0;
}

int buffers_fill_ring(struct kring *kring)
{
	uint32_t *buffers = calloc(kring->num_slots + 1, sizeof(*buffers));
	int result;

	if (buffers == NULL)
		return -ENOMEM;
	/* Held until they are in the slots: what is handed out and in none may be taken back. */
	pthread_mutex_lock(&buffers_lock);
	buffers_provide(kring->port->region, kring->num_slots, BUFFERS_MAY_SLEEP);
	result = alloc_all(kring->port->region, buffers, kring->num_slots);
	if (result == 0) {
		pthread_mutex_lock(&kring->lock);
		for (uint32_t i = 0; i < kring->num_slots; i++)
			kring_store_slot(kring, i, (struct netmap_slot){.buf_idx = buffers[i]});
		port_rewind_ring(kring);
		pthread_mutex_unlock(&kring->lock);
	}
	pthread_mutex_unlock(&buffers_lock);
	free(buffers);
	return result;
}

/* ---- mending ---- */

struct mending {
	struct region *region;
	struct buffer_set taken; /* handed out */
	struct buffer_set held;	 /* by a slot */
	uint32_t bad;		 /* slots that were */
	uint32_t left;		 /* slots that no buffer was found for */
};

static bool mending_begin(struct mending *mending, struct region *region)
{
	*mending = (struct mending){.region = region};
	if (!buffer_set_init(&mending->taken, region))
		return false;
	if (!buffer_set_init(&mending->held, region)) {
		buffer_set_fini(&mending->taken);
		return false;
	}
	pthread_mutex_lock(&buffers_lock);
	region_bufs_taken(region, mending->taken.bits);
	return true;
}

static void mending_end(struct mending *mending)
{
	pthread_mutex_unlock(&buffers_lock);
	buffer_set_fini(&mending->held);
	buffer_set_fini(&mending->taken);
}

/* Where the slots end that the ring's owner has held since before we looked at others. */
static uint32_t held_end(struct kring *kring)
{
	struct held_slots held;

	held_lock(&held, kring);
	uint32_t end = held_index(&held, held.count);
	held_unlock(&held);
	return end;
}

/*
 * What a pipe's sender passes on after that it may have held when we looked at it: it would
 * seem to be held twice.
 */
static void held_lock_up_to(struct held_slots *held, struct kring *kring, uint32_t end)
{
	held_lock(held, kring);
	if (kring->borrows_bufs)
		held->count = ring_distance(kring->num_slots, held->first, end);
}

/* Slots with a bad buffer, or one that is held already, are empty then and name buffer 0. */
static void clear_bad(struct mending *mending, struct kring *kring, uint32_t end)
{
	struct held_slots held;

	held_lock_up_to(&held, kring, end);
	for (uint32_t n = 0; n < held.count; n++) {
		uint32_t index = held_index(&held, n);
		struct netmap_slot slot = kring_load_slot(kring, index);

		if (buffer_set_has(&mending->taken, slot.buf_idx) &&
		    buffer_set_add(&mending->held, slot.buf_idx))
			continue;
		mending->bad++;
		slot.buf_idx = 0;
		slot.len = 0;
		kring_store_slot(kring, index, slot);
	}
	held_unlock(&held);
}

/* Where nobody is in the way slots get back what they lost. */
static void provide_for(const struct mending *mending, enum buffers_patience patience)
{
	reclaim_if_left(mending->region);
	buffers_provide(mending->region, mending->bad, patience);
}

static void fill_empty(struct mending *mending, struct kring *kring, uint32_t end)
{
	struct held_slots held;

	held_lock_up_to(&held, kring, end);
	for (uint32_t n = 0; n < held.count; n++) {
		uint32_t index = held_index(&held, n);
		struct netmap_slot slot = kring_load_slot(kring, index);

		if (slot.buf_idx != 0)
			continue;
		int64_t buffer = region_buf_alloc(mending->region);
		if (buffer >= 0) {
			slot.buf_idx = (uint32_t)buffer;
			kring_store_slot(kring, index, slot);
		} else {
			mending->left++;
		}
	}
	held_unlock(&held);
}

uint32_t buffers_mend(struct port *port)
{
	uint32_t ends[PTNET_MAX_RINGS];
	struct mending mending;

	if (!mending_begin(&mending, port->region))
		return 0; /* the rings will stop at what is bad */
	for (unsigned i = 0; i < port_num_rings(port); i++)
		ends[i] = held_end(&port->rings[i]);
	add_held_by_others(&mending.held, port->region, port, NULL);
	for (unsigned i = 0; i < port_num_rings(port); i++)
		clear_bad(&mending, &port->rings[i], ends[i]);
	if (mending.bad > 0)
		provide_for(&mending, BUFFERS_MUST_NOT_SLEEP);
	for (unsigned i = 0; mending.bad > 0 && i < port_num_rings(port); i++)
		fill_empty(&mending, &port->rings[i], ends[i]);
	mending_end(&mending);
	return mending.bad;
}

int buffers_mend_ring(struct kring *kring)
{
	struct region *region = kring->port->region;
	struct mending mending;

	if (!mending_begin(&mending, region))
		return -ENOMEM;
	uint32_t end = held_end(kring);
	add_held_by_others(&mending.held, region, NULL, kring);
	clear_bad(&mending, kring, end);
	if (mending.bad > 0) {
		provide_for(&mending, BUFFERS_MAY_SLEEP);
		fill_empty(&mending, kring, end);
	}
	mending_end(&mending);
	return mending.left == 0 ? (int)mending.bad : -ENOMEM;
}

/* ---- coming and going ---- */

void buffers_enter(struct port *port)
{
	pthread_mutex_lock(&buffers_lock);
	LIST_INSERT_HEAD(&ports, port, link);
	pthread_mutex_unlock(&buffers_lock);
}

void buffers_leave(struct port *port)
{
	struct buffer_set held, others;

	pthread_mutex_lock(&buffers_lock);
	LIST_REMOVE(port, link);
	if (buffer_set_init(&held, port->region)) {
		if (buffer_set_init(&others, port->region)) {
			for (unsigned i = 0; i < port_num_rings(port); i++)
				add_held(&held, &port->rings[i]);
			add_held_by_others(&others, port->region, NULL, NULL);
			buffer_set_remove_all(&held, &others);
			buffer_set_free_buffers(&held, port->region);
			buffer_set_fini(&others);
		}
		buffer_set_fini(&held);
	}
	buffers_settle(port->region);
	pthread_mutex_unlock(&buffers_lock);
}

void buffers_visit_ports(const struct region *region, void (*visit)(struct port *port))
{
	struct port *port;

	pthread_mutex_lock(&buffers_lock);
	LIST_FOREACH (port, &ports, link)
		if (port->region == region)
			visit(port);
	pthread_mutex_unlock(&buffers_lock);
}
