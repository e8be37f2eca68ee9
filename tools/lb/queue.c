/* SPDX-License-Identifier: BSD-2-Clause */
#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int stock_init(struct stock *s, uint32_t size)
{
	uint32_t i;

	memset(s, 0, sizeof(*s));
	s->buffers = calloc((size_t)size + 1, sizeof(*s->buffers));
	s->nodes = calloc((size_t)size + 1, sizeof(*s->nodes));
	if (!s->buffers || !s->nodes) {
		stock_free(s);
		return -ENOMEM;
	}
	s->size = size;
	for (i = 0; i < size; i++)
		s->nodes[i].next = i + 1;
	return 0;
}

void stock_free(struct stock *s)
{
	free(s->buffers);
	free(s->nodes);
	memset(s, 0, sizeof(*s));
}

bool stock_put(struct stock *s, uint32_t buffer)
{
	if (s->n_free == s->size)
		return false;
	s->buffers[s->n_free++] = buffer;
	return true;
}

bool stock_take(struct stock *s, uint32_t *buffer)
{
	if (!s->n_free)
		return false;
	*buffer = s->buffers[--s->n_free];
	return true;
}

void queue_push(struct queue *q, struct stock *s, const struct netmap_slot *slot)
{
	uint32_t node = s->free_node;

	s->free_node = s->nodes[node].next;
	s->nodes[node].slot = *slot;
	if (q->slots)
		s->nodes[q->last].next = node;
	else
		q->first = node;
	q->last = node;
	q->slots++;
	if (q->slots > q->most)
		q->most = q->slots;
}

struct netmap_slot queue_pop(struct queue *q, struct stock *s)
{
	uint32_t node = q->first;

	q->first = s->nodes[node].next;
	q->slots--;
	s->nodes[node].next = s->free_node;
	s->free_node = node;
	return s->nodes[node].slot;
}

uint32_t queue_first_packet(const struct queue *q, const struct stock *s)
{
	uint32_t node = q->first, n;

	for (n = 0; n < q->slots; node = s->nodes[node].next) {
		n++;
		if (!(s->nodes[node].slot.flags & NS_MOREFRAG))
			break;
	}
	return n;
}

void queue_drop(struct queue *q, struct stock *s)
{
	uint32_t n;

	for (n = queue_first_packet(q, s); n; n--)
		stock_put(s, queue_pop(q, s).buf_idx);
}
