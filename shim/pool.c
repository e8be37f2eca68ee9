/* SPDX-License-Identifier: BSD-2-Clause */
#include "pool.h"

#include <string.h>

#include "real.h"

#define AT_ONCE 16 /* made with one mmap() */

/* What an object holds while it is unused. */
struct unused {
	void *next;
};

static void make_some(struct pool *pool)
{
	char *memory = real.mmap(NULL, AT_ONCE * pool->size, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned i;

	if (memory == MAP_FAILED)
		return;
	for (i = 0; i < AT_ONCE; i++)
		pool_put(pool, memory + i * pool->size);
}

void *pool_get(struct pool *pool)
{
	struct unused *object;

	if (pool->unused == NULL)
		make_some(pool);
	object = pool->unused;
	if (object == NULL)
		return NULL;
	pool->unused = object->next;
	memset(object, 0, pool->size);
	return object;
}

void pool_put(struct pool *pool, void *object)
{
	((struct unused *)object)->next = pool->unused;
	pool->unused = object;
}
