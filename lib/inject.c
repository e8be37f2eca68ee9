/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Queueing one packet for transmission.
 */
#include <libnetmap.h>
#include <string.h>

/* What a slot takes from offset on: the rest of its buffer, but slot.len has 16 bits. */
static size_t slot_room(const struct netmap_ring *ring, uint64_t offset)
{
	uint64_t left = offset < ring->nr_buf_size ? ring->nr_buf_size - offset : 0;

	return left < UINT16_MAX ? left : UINT16_MAX;
}

/* Fills slots from head on; returns how many, or 0 if the packet does not fit. */
static uint32_t fill(struct netmap_ring *ring, const char *from, size_t left)
{
	uint32_t room = nm_ring_space(ring), i = ring->head, used;

	for (used = 1; used <= room; used++) {
		struct netmap_slot *slot = &ring->slot[i];
		size_t part = slot_room(ring, NETMAP_ROFFSET(ring, slot));

		if (left < part)
			part = left;
		memcpy(NETMAP_BUF_OFFSET(ring, slot), from, part);
		slot->len = (uint16_t)part;
		from += part;
		left -= part;
		/* An owner that swapped the buffer wants to hear of it. */
		slot->flags = (slot->flags & NS_BUF_CHANGED) | (left ? NS_MOREFRAG : 0);
		if (!left)
			return used;
		i = nm_ring_next(ring, i);
	}
	return 0;
}

int nmport_inject(struct nmport_d *d, const void *buf, size_t size)
{
	uint32_t i, n;

	if (d->first_tx_ring > d->last_tx_ring)
		return 0;
	for (n = d->first_tx_ring; n <= d->last_tx_ring; n++) {
		struct netmap_ring *ring = NETMAP_TXRING(d->nifp, d->cur_tx_ring);
		uint32_t used = fill(ring, buf, size);

		if (used) {
			for (i = ring->head; used; used--)
				i = nm_ring_next(ring, i);
			ring->head = ring->cur = i;
			return (int)size;
		}
		if (d->cur_tx_ring++ >= d->last_tx_ring)
			d->cur_tx_ring = d->first_tx_ring;
	}
	return 0;
}
