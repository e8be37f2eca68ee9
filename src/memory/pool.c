/* SPDX-License-Identifier: BSD-2-Clause */
#include "memory/pool.h"

#include <errno.h>
#include <stdlib.h>

#define WORD_BITS 64

int pool_init(struct pool *pool, uint32_t objtotal, uint32_t first)
{
	uint32_t usable = objtotal > first ? objtotal - first : 0;

	pool->objtotal = objtotal;
	pool->first = first;
	pool->num_free = usable;
	pool->free = calloc(usable + 1, sizeof(*pool->free));
	pool->allocated = calloc(objtotal / WORD_BITS + 1, sizeof(*pool->allocated));
	if (pool->free == NULL || pool->allocated == NULL) {
		pool_fini(pool);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < usable; i++)
		pool->free[i] = objtotal - 1 - i;
	return 0;
}

void pool_fini(struct pool *pool)
{
	free(pool->free);
	free(pool->allocated);
	pool->free = NULL;
	pool->allocated = NULL;
}

int64_t pool_alloc(struct pool *pool)
{
	if (pool->num_free == 0)
		return -ENOMEM;
	uint32_t index = pool->free[--pool->num_free];
	pool->allocated[index / WORD_BITS] |= UINT64_C(1) << (index % WORD_BITS);
	return index;
}

bool pool_free(struct pool *pool, uint32_t index)
{
	uint64_t bit = UINT64_C(1) << (index % WORD_BITS);

	if (index < pool->first || index >= pool->objtotal)
		return false;
	if ((pool->allocated[index / WORD_BITS] & bit) == 0)
		return false;
	pool->allocated[index / WORD_BITS] &= ~bit;
	pool->free[pool->num_free++] = index;
	return true;
}
