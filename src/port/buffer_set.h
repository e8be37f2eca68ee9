/* SPDX-License-Identifier: BSD-2-Clause */
/* A set of a region's buffers: a bit each. */
#ifndef PTNET_PORT_BUFFER_SET_H
#define PTNET_PORT_BUFFER_SET_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "memory/region.h"

struct buffer_set {
	uint64_t *bits;
	uint32_t total; /* buffers of the region, reserved ones included */
};

static inline uint32_t buffer_set_words(const struct buffer_set *set)
{
	return set->total / 64 + 1;
}

/* Empty. False: out of memory. */
static inline bool buffer_set_init(struct buffer_set *set, const struct region *region)
{
	set->total = region_geometry(region)->buf_pool.objtotal;
	set->bits = calloc(buffer_set_words(set), sizeof(*set->bits));
	return set->bits != NULL;
}

static inline void buffer_set_fini(struct buffer_set *set)
{
	free(set->bits);
}

/* False for what names no buffer, too. */
static inline bool buffer_set_has(const struct buffer_set *set, uint32_t buffer)
{
	return buffer < set->total && (set->bits[buffer / 64] >> buffer % 64 & 1) != 0;
}

/* False: it is none, or was in the set already. */
static inline bool buffer_set_add(struct buffer_set *set, uint32_t buffer)
{
	if (buffer < REGION_FIRST_BUF || buffer >= set->total || buffer_set_has(set, buffer))
		return false;
	set->bits[buffer / 64] |= UINT64_C(1) << buffer % 64;
	return true;
}

static inline bool buffer_set_empty(const struct buffer_set *set)
{
	uint64_t any = 0;

	for (uint32_t i = 0; i < buffer_set_words(set); i++)
		any |= set->bits[i];
	return any == 0;
}

static inline void buffer_set_remove_all(struct buffer_set *set, const struct buffer_set *other)
{
	for (uint32_t i = 0; i < buffer_set_words(set); i++)
		set->bits[i] &= ~other->bits[i];
}

/* Gives the region all buffers of the set back. */
static inline void buffer_set_free_buffers(const struct buffer_set *set, struct region *region)
{
	/* The last one that is given back is handed out first: let that be the lowest. */
	for (uint32_t buffer = set->total; buffer-- > REGION_FIRST_BUF;)
		if (buffer_set_has(set, buffer))
			region_buf_free(region, buffer);
}

#endif
