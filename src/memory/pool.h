/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which objects of a pool are handed out: a stack of free numbers, and a bit per
 * object so that freeing twice is noticed. Private memory only.
 */
#ifndef PTNET_MEMORY_POOL_H
#define PTNET_MEMORY_POOL_H

#include <stdbool.h>
#include <stdint.h>

struct pool {
	uint32_t objtotal;
	uint32_t first; /* objects below are reserved */
	uint32_t num_free;
	uint32_t *free;	     /* stack; the top is handed out next */
	uint64_t *allocated; /* bitmap */
};

/* -ENOMEM. The lowest numbers are handed out first, in order. */
int pool_init(struct pool *pool, uint32_t objtotal, uint32_t first);
void pool_fini(struct pool *pool);

/* An object's number, or -ENOMEM when there is none. */
int64_t pool_alloc(struct pool *pool);

/* False, and nothing done, if @index is not handed out. */
bool pool_free(struct pool *pool, uint32_t index);

#endif
