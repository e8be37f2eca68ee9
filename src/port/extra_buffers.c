/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/extra_buffers.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>

#include <ptnet/csb.h>

#include "port/buffers_private.h"

struct extra_buffers {
	LIST_ENTRY(extra_buffers) link;
	struct region *region;
	uint32_t count;
	uint32_t head;
	uint32_t *given; /* in the order of the list */
};

/* Of all regions; under buffers_lock. */
static LIST_HEAD(, extra_buffers) all = LIST_HEAD_INITIALIZER(all);

bool extra_buffers_exist(const struct region *region)
{
	const struct extra_buffers *extra;

	LIST_FOREACH (extra, &all, link)
		if (extra->region == region)
			return true;
	return false;
}

/* The word of a buffer that names the next one of its list. */
static uint32_t *next_of(const struct region *region, uint32_t buffer)
{
	const struct pool_geometry *pool = &region_geometry(region)->buf_pool;

	return (uint32_t *)(region_base(region) + pool->offset + (uint64_t)buffer * pool->objsize);
}

int extra_buffers_take(struct extra_buffers **out, struct region *region, uint32_t wanted)
{
	struct extra_buffers *extra = calloc(1, sizeof(*extra));
	uint32_t *link;
	int64_t buffer;

	*out = NULL;
	if (extra == NULL)
		return 0;
	if (wanted > region_geometry(region)->buf_pool.objtotal)
		wanted = region_geometry(region)->buf_pool.objtotal;
	extra->given = malloc(((size_t)wanted + 1) * sizeof(*extra->given));
	if (extra->given == NULL) {
		free(extra);
		return 0;
	}
	extra->region = region_get(region);
	link = &extra->head;
	pthread_mutex_lock(&buffers_lock);
	buffers_provide(region, wanted, BUFFERS_MAY_SLEEP);
	while (extra->count < wanted && (buffer = region_buf_alloc(region)) >= 0) {
		PTNET_STORE_RELAXED(link, (uint32_t)buffer);
		link = next_of(region, (uint32_t)buffer);
		extra->given[extra->count++] = (uint32_t)buffer;
	}
	PTNET_STORE_RELAXED(link, 0);
	if (extra->count > 0)
		LIST_INSERT_HEAD(&all, extra, link);
	pthread_mutex_unlock(&buffers_lock);
	if (extra->count == 0) {
		region_put(region);
		free(extra->given);
		free(extra);
		return 0;
	}
	*out = extra;
	return (int)extra->count;
}

uint32_t extra_buffers_head(const struct extra_buffers *extra)
{
	return extra != NULL ? extra->head : 0;
}

/* Of @unseen ones puts those of the list into @listed; is it whole? Each word is read once. */
static bool list_is_whole(const struct extra_buffers *extra, uint32_t head,
			  const struct buffer_set *unseen, struct buffer_set *listed,
			  bool *as_given)
{
	uint32_t count = 0, buffer;

	*as_given = true;
	for (buffer = head; buffer >= REGION_FIRST_BUF && count < extra->count; count++) {
		if (!buffer_set_has(unseen, buffer) || !buffer_set_add(listed, buffer))
			return false;
		*as_given &= buffer == extra->given[count];
		buffer = PTNET_LOAD_RELAXED(next_of(extra->region, buffer));
	}
	return count == extra->count && buffer < REGION_FIRST_BUF;
}

/*
 * A list that is still as we made it proves nothing when somebody else has extra buffers: who
 * takes from it without a word, and is killed, leaves it like that, and others may have what it
 * names in hand by now.
 */
static void take_back(const struct extra_buffers *extra, uint32_t head)
{
	bool others = extra_buffers_exist(extra->region), as_given;
	struct buffer_set unseen, listed;

	if (!buffers_unseen(&unseen, extra->region))
		return; /* lost, until the last one leaves */
	if (buffer_set_init(&listed, extra->region)) {
		if (list_is_whole(extra, head, &unseen, &listed, &as_given) &&
		    !(as_given && others))
			buffer_set_free_buffers(&listed, extra->region);
		else if (!others)
			buffers_reclaim(extra->region, BUFFERS_MAY_SLEEP);
		buffer_set_fini(&listed);
	}
	buffer_set_fini(&unseen);
}

void extra_buffers_give_back(struct extra_buffers *extra, uint32_t head)
{
	if (extra == NULL)
		return;
	pthread_mutex_lock(&buffers_lock);
	LIST_REMOVE(extra, link);
	take_back(extra, head);
	buffers_settle(extra->region);
	pthread_mutex_unlock(&buffers_lock);
	region_put(extra->region);
	free(extra->given);
	free(extra);
}
