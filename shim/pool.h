/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Structures of one kind, with memory of their own. Not the program's allocator: it may be at work
 * above us, in a call that a signal handler interrupted or that unmaps memory, and must not be
 * entered again, nor waited for while shim_lock() is held.
 */
#ifndef PTNET_SHIM_POOL_H
#define PTNET_SHIM_POOL_H

#include <stddef.h>

struct pool {
	size_t size; /* of one; at the least a pointer, and a multiple of its alignment */
	void *unused;
};

#define POOL(type)                                                                                 \
	{                                                                                          \
		.size = sizeof(type)                                                               \
	}

/* All zero; NULL: no memory. Under shim_lock(). */
void *pool_get(struct pool *pool);

/* Under shim_lock(). */
void pool_put(struct pool *pool, void *object);

#endif
