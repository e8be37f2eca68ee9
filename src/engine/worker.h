/* SPDX-License-Identifier: BSD-2-Clause */
/* The engine's inside: what engine.c and worker.c share. */
#ifndef PTNET_ENGINE_WORKER_H
#define PTNET_ENGINE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "engine/engine.h"
#include "ring/kring.h"

TAILQ_HEAD(kring_list, kring);

/* After these delays an idle ring of a driver without fence is looked at again. */
#define WORKER_RECHECKS 2

struct call {
	void (*function)(void *argument);
	void *argument;
	bool done;
	struct call *next;
};

struct worker {
	/* Constant. */
	pthread_t thread;
	unsigned index;
	int cpu; /* -1: not bound */
	int epoll_fd;
	int wake_fd; /* eventfd, edge-triggered, never read */
	uint32_t look_max_ns;

	/* Any thread. */
	_Atomic(struct kring *) inbox; /* rings to run: a stack */
	_Atomic bool sleeping;
	_Atomic bool stop;
	_Atomic uint32_t num_rings; /* control thread writes */
	_Atomic uint32_t num_watches;
	pthread_mutex_t call_lock;
	pthread_cond_t call_done;
	struct call *calls; /* under call_lock */
	_Atomic bool have_calls;

	/* The worker's own. */
	struct kring_list run, look, recheck[WORKER_RECHECKS];
	bool crowded;		    /* a receiver should get this CPU before the next round */
	uint64_t polled_ns;	    /* when descriptors were last looked at */
	struct epoll_event *events; /* fetched and not yet handled; NULL outside */
	int num_events;

	/* Written by the worker, read by anybody. */
	_Atomic uint64_t wakeups, batches, rechecks, looks, looks_paid;
};

/* The worker's thread; @argument is the struct worker. */
void *worker_main(void *argument);

/* kring->wake of the rings that a worker owns. Any thread. */
void worker_wake_ring(struct kring *kring);

/* Takes a ring off every list. On the worker's thread; nobody wakes the ring any more. */
void worker_forget_ring(struct worker *worker, struct kring *kring);

#endif
