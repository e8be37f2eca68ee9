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
	uint32_t *buffers; /* in the order of the list */
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

/*
 * Lists are written and read without buffers_lock: a million buffers of memory not touched yet take
 * the kernel half a second, and workers wait for that lock.
 */
static void write_list(const struct extra_buffers *extra)
{
	for (uint32_t i = 0; i < extra->count; i++)
		PTNET_STORE_RELAXED(next_of(extra->region, extra->buffers[i]),
				    i + 1 < extra->count ? extra->buffers[i + 1] : 0);
}

/* What somebody's list says, each word read once. */
struct list_read {
	bool as_long;  /* as it should be: then extra->buffers is what it names */
	bool as_given; /* it is the one that we wrote */
};

static struct list_read read_list(struct extra_buffers *extra, uint32_t head)
{
	uint32_t total = region_geometry(extra->region)->buf_pool.objtotal;
	struct list_read list = {.as_given = true};
	uint32_t count = 0, buffer = head;

	for (; buffer >= REGION_FIRST_BUF && buffer < total && count < extra->count; count++) {
		list.as_given &= buffer == extra->buffers[count];
		extra->buffers[count] = buffer;
		buffer = PTNET_LOAD_RELAXED(next_of(extra->region, buffer));
	}
	list.as_long = count == extra->count && buffer < REGION_FIRST_BUF;
	return list;
}

int extra_buffers_take(struct extra_buffers **out, struct region *region, uint32_t wanted)
{
	struct extra_buffers *extra = calloc(1, sizeof(*extra));
	int64_t buffer;

	*out = NULL;
	if (extra == NULL)
		return 0;
	if (wanted > region_geometry(region)->buf_pool.objtotal)
		wanted = region_geometry(region)->buf_pool.objtotal;
	extra->buffers = malloc(((size_t)wanted + 1) * sizeof(*extra->buffers));
	if (extra->buffers == NULL) {
		free(extra);
		return 0;
	}
	extra->region = region_get(region);
	pthread_mutex_lock(&buffers_lock);
	buffers_provide(region, wanted, BUFFERS_MAY_SLEEP);
	while (extra->count < wanted && (buffer = region_buf_alloc(region)) >= 0)
		extra->buffers[extra->count++] = (uint32_t)buffer;
	if (extra->count > 0)
		LIST_INSERT_HEAD(&all, extra, link);
	pthread_mutex_unlock(&buffers_lock);
	if (extra->count == 0) {
		region_put(region);
		free(extra->buffers);
		free(extra);
		return 0;
	}
	write_list(extra);
	*out = extra;
	return (int)extra->count;
}

uint32_t extra_buffers_head(const struct extra_buffers *extra)
{
	return extra != NULL ? extra->buffers[0] : 0;
}

/* Are all that the list names, once each, in no slot? Puts them in @listed. */
static bool add_listed(const struct extra_buffers *extra, const struct buffer_set *unseen,
		       struct buffer_set *listed)
{
	for (uint32_t i = 0; i < extra->count; i++)
		if (!buffer_set_has(unseen, extra->buffers[i]) ||
		    !buffer_set_add(listed, extra->buffers[i]))
			return false;
	return true;
}

/*
 * A list that is still as we made it proves nothing when somebody else has extra buffers: who
 * takes from it without a word, and is killed, leaves it like that, and others may have what it
 * names in hand by now.
 */
static void take_back(const struct extra_buffers *extra, const struct list_read *list)
{
	bool others = extra_buffers_exist(extra->region);
	struct buffer_set unseen, listed;

	if (!buffers_unseen(&unseen, extra->region))
		return; /* lost, until the last one leaves */
	if (buffer_set_init(&listed, extra->region)) {
		if (list->as_long && add_listed(extra, &unseen, &listed) &&
		    !(list->as_given && others))
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
	const struct list_read list = read_list(extra, head);

	pthread_mutex_lock(&buffers_lock);
	LIST_REMOVE(extra, link);
	take_back(extra, &list);
	buffers_settle(extra->region);
	pthread_mutex_unlock(&buffers_lock);
	region_put(extra->region);
	free(extra->buffers);
	free(extra);
}
