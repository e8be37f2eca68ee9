/* SPDX-License-Identifier: BSD-2-Clause */
#include "raw.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <net/netmap.h>

#include "clock.h"

#define BUF_SIZE 2048

struct raw {
	unsigned slots, batch, copy;
	struct netmap_slot *ring;
	char *from, *to;
	uint64_t bytes; /* the consumer's */
	_Atomic uint64_t produced __attribute__((aligned(128)));
	_Atomic uint64_t consumed __attribute__((aligned(128)));
	_Atomic bool stop __attribute__((aligned(128)));
};

static void *produce(void *argument)
{
	struct raw *raw = argument;
	uint64_t head = 0;

	pin_to_cpu(0);
	while (!atomic_load_explicit(&raw->stop, memory_order_relaxed)) {
		uint64_t consumed = atomic_load_explicit(&raw->consumed, memory_order_acquire);

		if (head + raw->batch - consumed > raw->slots) {
			__builtin_ia32_pause();
			continue;
		}
		for (unsigned i = 0; i < raw->batch; i++, head++) {
			uint32_t index = (uint32_t)(head % raw->slots);

			raw->ring[index] = (struct netmap_slot){.buf_idx = index, .len = 60};
		}
		atomic_store_explicit(&raw->produced, head, memory_order_release);
	}
	return NULL;
}

static void *consume(void *argument)
{
	struct raw *raw = argument;
	uint64_t tail = 0;

	pin_to_cpu(1);
	while (!atomic_load_explicit(&raw->stop, memory_order_relaxed)) {
		uint64_t produced = atomic_load_explicit(&raw->produced, memory_order_acquire);
		uint64_t seen = 0;

		if (produced == tail) {
			__builtin_ia32_pause();
			continue;
		}
		for (; tail != produced; tail++) {
			const struct netmap_slot *slot = &raw->ring[tail % raw->slots];

			seen += slot->len;
			if (raw->copy != 0)
				memcpy(raw->to + (size_t)slot->buf_idx * BUF_SIZE,
				       raw->from + (size_t)slot->buf_idx * BUF_SIZE, raw->copy);
		}
		raw->bytes += seen;
		atomic_store_explicit(&raw->consumed, tail, memory_order_release);
	}
	return NULL;
}

double raw_rate(unsigned slots, unsigned batch, unsigned copy, double seconds)
{
	struct raw *raw = aligned_alloc(128, (sizeof(*raw) + 127) / 128 * 128);
	pthread_t producer, consumer;

	if (raw == NULL)
		abort();
	memset(raw, 0, sizeof(*raw));
	raw->slots = slots;
	raw->batch = batch;
	raw->copy = copy;
	raw->ring = calloc(slots, sizeof(*raw->ring));
	raw->from = calloc(slots, BUF_SIZE);
	raw->to = calloc(slots, BUF_SIZE);
	if (raw->ring == NULL || raw->from == NULL || raw->to == NULL)
		abort();
	memset(raw->from, 1, (size_t)slots * BUF_SIZE);
	memset(raw->to, 1, (size_t)slots * BUF_SIZE);

	double started = now_s();
	if (pthread_create(&producer, NULL, produce, raw) != 0 ||
	    pthread_create(&consumer, NULL, consume, raw) != 0)
		abort();
	sleep_s(seconds);
	atomic_store(&raw->stop, true);
	pthread_join(producer, NULL);
	pthread_join(consumer, NULL);
	double rate = (double)raw->consumed / (now_s() - started);

	free(raw->ring);
	free(raw->from);
	free(raw->to);
	free(raw);
	return rate;
}
