/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/offsets.h"

#include <errno.h>

_Static_assert(PTNET_MAX_RINGS <= 32, "a bit for each ring");

/* @bits above 64 are refused elsewhere. */
static uint64_t mask_of(uint32_t bits)
{
	return bits == 0 || bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
}

/* The ring that a pipe's reader is coupled with. The control thread, which we are, would remove it.
 */
static struct kring *sender_of(const struct kring *kring)
{
	return kring->borrows_bufs ? kring->peer : NULL;
}

static bool fits_what_is_there(const struct kring *kring, uint64_t mask, uint64_t max)
{
	return kring->offset_mask == 0 ||
	       ((mask & ~kring->offset_mask) == 0 && max <= kring->max_offset);
}

/* Of the slots with packets, from hwcur on: an RX ring's for its user, a TX ring's not taken yet.
 */
static uint32_t packets_end(const struct kring *kring, const struct kring *sender)
{
	if (kring->dir == KRING_TX)
		return kring->head;
	return sender != NULL ? sender->hwcur : kring->hwtail;
}

static void write_initial(struct kring *kring, const struct kring *sender, uint64_t initial)
{
	uint32_t n = ring_distance(kring->num_slots, kring->hwcur, packets_end(kring, sender));

	for (; n < kring->num_slots; n++) {
		uint32_t index = ring_advance(kring->num_slots, kring->hwcur, n);

		__atomic_store_n(&kring->slots[index].ptr, initial, __ATOMIC_RELAXED);
	}
}

/* Returns the ring's greatest offset from now on. */
static uint64_t set_ring(struct kring *kring, uint64_t mask, uint64_t max, uint64_t initial)
{
	struct kring *sender = sender_of(kring);

	if (sender != NULL)
		pthread_mutex_lock(&sender->lock);
	pthread_mutex_lock(&kring->lock);
	if (kring->offset_mask == 0)
		kring_set_offsets(kring, mask, max);
	max = kring->max_offset;
	if (initial != 0)
		write_initial(kring, sender, initial);
	pthread_mutex_unlock(&kring->lock);
	if (sender != NULL)
		pthread_mutex_unlock(&sender->lock);
	return max;
}

int port_set_offsets(struct port *port, uint32_t rings, uint32_t first_user,
		     struct nmreq_opt_offsets *option)
{
	const uint64_t max = option->nro_max_offset, initial = option->nro_initial_offset;
	const uint64_t mask = mask_of(option->nro_offset_bits);
	uint64_t effective = UINT64_MAX;

	if (option->nro_offset_bits > 64 || max > region_geometry(port->region)->buf_pool.objsize ||
	    (max & ~mask) != 0 || initial > max)
		return -EINVAL;
	/* Nobody else sets offsets or stops rings, so what is checked here stays true. */
	for (unsigned i = 0; i < port_num_rings(port); i++)
		if ((rings >> i & 1) != 0 && !fits_what_is_there(&port->rings[i], mask, max))
			return -EBUSY;
	for (unsigned i = 0; i < port_num_rings(port); i++) {
		if ((rings >> i & 1) == 0)
			continue;
		bool first = (first_user >> i & 1) != 0;
		uint64_t of_ring = set_ring(&port->rings[i], mask, max, first ? initial : 0);

		if (of_ring < effective)
			effective = of_ring;
	}
	if (rings != 0)
		option->nro_max_offset = effective;
	return 0;
}
