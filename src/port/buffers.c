/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/buffers.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "port/port.h"

/* All ports, of all regions. The lock is taken before any ring's. */
static LIST_HEAD(, port) ports = LIST_HEAD_INITIALIZER(ports);
static pthread_mutex_t ports_lock = PTHREAD_MUTEX_INITIALIZER;

/* A set of a region's buffers: a bit each. */
struct buffer_set {
	uint64_t *bits;
	uint32_t total;
};

static bool set_init(struct buffer_set *set, const struct region *region)
{
	set->total = region_geometry(region)->buf_pool.objtotal;
	set->bits = calloc(((size_t)set->total + 63) / 64, sizeof(*set->bits));
	return set->bits != NULL;
}

static bool set_has(const struct buffer_set *set, uint32_t buffer)
{
	return (set->bits[buffer / 64] >> buffer % 64 & 1) != 0;
}

static void set_remove(struct buffer_set *set, uint32_t buffer)
{
	set->bits[buffer / 64] &= ~(UINT64_C(1) << buffer % 64);
}

/* False: it is none, or was in the set already. */
static bool set_add(struct buffer_set *set, uint32_t buffer)
{
	if (buffer < REGION_FIRST_BUF || buffer >= set->total || set_has(set, buffer))
		return false;
	set->bits[buffer / 64] |= UINT64_C(1) << buffer % 64;
	return true;
}

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
		/* A sender's lock comes before its reader's; it stays while we have ports_lock. */
		pthread_mutex_lock(&kring->lock);
		held->sender = kring->peer;
		pthread_mutex_unlock(&kring->lock);
		if (held->sender != NULL)
			pthread_mutex_lock(&held->sender->lock);
	}
	pthread_mutex_lock(&kring->lock);
	held->first = kring->hwcur;
	if (kring->dir == KRING_TX)
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

/* Adds what the ring's slots hold; on request, bad ones then are empty and name buffer 0. */
static uint32_t add_held_by_ring(struct buffer_set *set, struct kring *kring, bool clear_bad)
{
	struct held_slots held;
	uint32_t bad = 0;

	held_lock(&held, kring);
	for (uint32_t n = 0; n < held.count; n++) {
		uint32_t index = held_index(&held, n);
		struct netmap_slot slot = kring_load_slot(held.kring, index);

		if (set_add(set, slot.buf_idx))
			continue;
		bad++;
		slot.buf_idx = 0;
		slot.len = 0;
		if (clear_bad)
			kring_store_slot(held.kring, index, slot);
	}
	held_unlock(&held);
	return bad;
}

static uint32_t add_held(struct buffer_set *set, struct port *port, bool clear_bad)
{
	uint32_t bad = 0;

	for (unsigned i = 0; i < port_num_rings(port); i++)
		bad += add_held_by_ring(set, &port->rings[i], clear_bad);
	return bad;
}

/* ---- what ports brought ---- */

/* Walks through the buffers that a port brought. */
struct cursor {
	struct port *port;
	unsigned ring;
	uint32_t n;
};

/* The place of the next one, or NULL after the last. */
static uint32_t *cursor_next(struct cursor *cursor)
{
	for (; cursor->ring < port_num_rings(cursor->port); cursor->ring++, cursor->n = 0) {
		struct kring *kring = &cursor->port->rings[cursor->ring];

		if (kring->own_bufs != NULL && cursor->n < kring->num_slots)
			return &kring->own_bufs[cursor->n++];
	}
	return NULL;
}

/* ---- mending ---- */

/* A buffer that some port of the region brought and no slot holds, or 0. */
static uint32_t spare_next(struct cursor *cursor, struct buffer_set *held,
			   const struct region *region)
{
	while (cursor->port != NULL) {
		uint32_t *own;

		while (cursor->port->region == region && (own = cursor_next(cursor)) != NULL)
			if (set_add(held, *own))
				return *own;
		*cursor = (struct cursor){.port = LIST_NEXT(cursor->port, link)};
	}
	return 0;
}

static void fill_empty_ring(struct buffer_set *held_buffers, struct kring *kring)
{
	struct cursor spare = {.port = LIST_FIRST(&ports)};
	struct held_slots held;

	held_lock(&held, kring);
	for (uint32_t n = 0; n < held.count; n++) {
		uint32_t index = held_index(&held, n);
		struct netmap_slot slot = kring_load_slot(held.kring, index);

		if (slot.buf_idx != 0)
			continue;
		slot.buf_idx = spare_next(&spare, held_buffers, kring->port->region);
		kring_store_slot(held.kring, index, slot);
	}
	held_unlock(&held);
}

static void fill_empty(struct buffer_set *held_buffers, struct port *port)
{
	for (unsigned i = 0; i < port_num_rings(port); i++)
		fill_empty_ring(held_buffers, &port->rings[i]);
}

static void add_held_by_others(struct buffer_set *set, const struct port *port)
{
	struct port *other;

	LIST_FOREACH (other, &ports, link)
		if (other != port && other->region == port->region)
			add_held(set, other, false);
}

uint32_t buffers_mend(struct port *port)
{
	struct buffer_set held;
	uint32_t bad;

	if (!set_init(&held, port->region))
		return 0; /* the rings will stop at what is bad */
	pthread_mutex_lock(&ports_lock);
	add_held_by_others(&held, port);
	bad = add_held(&held, port, true);
	if (bad > 0)
		fill_empty(&held, port);
	pthread_mutex_unlock(&ports_lock);
	free(held.bits);
	return bad;
}

int buffers_mend_ring(struct kring *kring)
{
	struct port *port = kring->port;
	struct buffer_set held;
	uint32_t bad;

	if (!set_init(&held, port->region))
		return -ENOMEM;
	pthread_mutex_lock(&ports_lock);
	add_held_by_others(&held, port);
	for (unsigned i = 0; i < port_num_rings(port); i++)
		if (&port->rings[i] != kring)
			add_held_by_ring(&held, &port->rings[i], false);
	bad = add_held_by_ring(&held, kring, true);
	if (bad > 0)
		fill_empty_ring(&held, kring);
	pthread_mutex_unlock(&ports_lock);
	free(held.bits);
	return (int)bad;
}

/* ---- coming and going ---- */

void buffers_enter(struct port *port)
{
	pthread_mutex_lock(&ports_lock);
	LIST_INSERT_HEAD(&ports, port, link);
	pthread_mutex_unlock(&ports_lock);
}

/* What the port's slots hold and nobody else's. */
static bool held_alone(struct buffer_set *held, struct port *port)
{
	struct buffer_set others;

	if (!set_init(held, port->region))
		return false;
	if (!set_init(&others, port->region)) {
		free(held->bits);
		return false;
	}
	add_held(held, port, false);
	add_held_by_others(&others, port);
	for (uint32_t i = 0; i < (held->total + 63) / 64; i++)
		held->bits[i] &= ~others.bits[i];
	free(others.bits);
	return true;
}

/* Of what @other brought, the port that goes holds some: @other gets what that one misses. */
static void exchange(struct buffer_set *held, struct cursor *brought, struct port *other)
{
	struct cursor theirs = {.port = other};
	uint32_t *own, *missing;

	while ((own = cursor_next(&theirs)) != NULL) {
		if (!set_has(held, *own))
			continue;
		do
			missing = cursor_next(brought);
		while (missing != NULL && set_has(held, *missing));
		if (missing == NULL)
			set_remove(held, *own); /* stays theirs */
		else
			*own = *missing;
	}
}

void buffers_leave(struct port *port)
{
	struct cursor brought = {.port = port};
	struct buffer_set held;
	struct port *other;
	bool alone = true;

	pthread_mutex_lock(&ports_lock);
	LIST_REMOVE(port, link);
	LIST_FOREACH (other, &ports, link)
		alone &= other->region != port->region;
	if (alone) {
		region_buf_free_all(port->region);
	} else if (held_alone(&held, port)) {
		LIST_FOREACH (other, &ports, link)
			if (other->region == port->region)
				exchange(&held, &brought, other);
		for (uint32_t buffer = REGION_FIRST_BUF; buffer < held.total; buffer++)
			if (set_has(&held, buffer))
				region_buf_free(port->region, buffer);
		free(held.bits);
	}
	pthread_mutex_unlock(&ports_lock);
}

void buffers_visit_ports(const struct region *region, void (*visit)(struct port *port))
{
	struct port *port;

	pthread_mutex_lock(&ports_lock);
	LIST_FOREACH (port, &ports, link)
		if (port->region == region)
			visit(port);
	pthread_mutex_unlock(&ports_lock);
}
