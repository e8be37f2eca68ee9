/* SPDX-License-Identifier: BSD-2-Clause */
#include "indirect.h"

#include "program_memory.h"
#include "sync.h"

static void fetch(struct shim_ring *r, struct netmap_slot *slot)
{
	uint32_t buffer = slot->buf_idx;
	uint64_t offset = slot->ptr & r->ring->offset_mask, from = slot->ptr;
	uint16_t length = slot->len;

	/* The offset's bits and the address cannot both be in ptr. */
	if (offset != 0)
		slot->ptr = 0;
	if (buffer < FIRST_BUFFER || buffer >= r->num_bufs || length > r->buf_size ||
	    program_read(r->buf_base + (size_t)buffer * r->buf_size, from, length) < 0)
		slot->len = 0;
	slot->flags &= (uint16_t)~NS_INDIRECT;
}

void indirect_fetch(struct shim_ring *r, uint32_t from, uint32_t to)
{
	for (; from != to; from = ring_next_slot(r->num_slots, from))
		if (__builtin_expect((r->ring->slot[from].flags & NS_INDIRECT) != 0, 0))
			fetch(r, &r->ring->slot[from]);
}
