/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine: a few workers, each a thread that sleeps in epoll and runs the
 * rings that have work, in bounded batches, round-robin. See the opening essay
 * of worker.c.
 *
 * Threads: one control thread (main) and the workers. Configuration changes are
 * made by the control thread only; it reaches into a worker with worker_call().
 */
#ifndef PTNET_ENGINE_ENGINE_H
#define PTNET_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "log/error.h"

struct engine;
struct worker;
struct kring;
struct port;

struct engine_config {
	unsigned workers;     /* 0: one per online CPU */
	unsigned look_max_us; /* longest look for more work before sleeping, at most 1000;
				 0: sleep at once */
	bool pin;	      /* bind worker i to the i-th CPU of the process's affinity mask */
};

struct engine_worker_stats {
	uint64_t wakeups;    /* returns from a blocking wait */
	uint64_t batches;    /* ring runs */
	uint64_t rechecks;   /* late looks at rings of drivers that lack a fence */
	uint64_t looks;	     /* looks for more work before sleeping */
	uint64_t looks_paid; /* of these, how many found some */
	uint32_t rings;	     /* rings owned */
	uint32_t watches;    /* descriptors watched */
};

int engine_create(struct engine **engine, const struct engine_config *config, struct error *error);

/* Stops and joins the workers. Every ring and watch must be gone. */
void engine_destroy(struct engine *engine);

unsigned engine_num_workers(const struct engine *engine);

/* As configured. Any thread. */
unsigned engine_look_max_us(const struct engine *engine);

struct worker *engine_worker(struct engine *engine, unsigned index);
void engine_worker_stats(struct engine *engine, unsigned index, struct engine_worker_stats *stats);

/* The worker with the fewest rings and watches: where something new goes. */
struct worker *engine_least_loaded(struct engine *engine);

/* The worker that runs the port's first ring: the best one to watch its owner's kicks. */
struct worker *engine_worker_of(struct engine *engine, const struct port *port);

/* Gives the rings of a port to workers, spread from the least loaded one on. */
void engine_add_port(struct engine *engine, struct port *port);

/*
 * Takes the port off its switch or peer, then its rings from the workers: when it
 * returns no worker runs or will run them. The endpoint must be stopped and its
 * watches gone. port_destroy() comes next.
 */
void engine_remove_port(struct engine *engine, struct port *port);

/*
 * Returns when every worker has passed a point where it holds no reference to
 * anything unpublished before the call. Control thread.
 */
void engine_synchronize(struct engine *engine);

/* ---- descriptors watched by a worker ---- */

/*
 * @ready runs on the worker's thread, at most once per round of its loop, level-triggered
 * unless EPOLLET was asked for. It must do a bounded amount of work and return.
 */
struct watch {
	int fd;
	void (*ready)(struct watch *watch, uint32_t epoll_events);
};

/* Any thread. The caller keeps the memory and the descriptor. Negative errno. */
int worker_watch_add(struct worker *worker, struct watch *watch, uint32_t epoll_events);
/* Changes the events waited for. */
int worker_watch_modify(struct worker *worker, struct watch *watch, uint32_t epoll_events);
/*
 * On the worker's own thread only (inside ready() or worker_call()). When it
 * returns, ready() is not called again, even for events already fetched.
 */
void worker_watch_del(struct worker *worker, struct watch *watch);

/*
 * Runs @function(@argument) on the worker's thread and waits for it. Control
 * thread, or the worker's own (then it is a plain call); never another worker.
 */
void worker_call(struct worker *worker, void (*function)(void *argument), void *argument);

#endif
