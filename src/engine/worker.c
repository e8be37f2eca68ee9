/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker: a thread that owns a set of rings and descriptors.
 *
 * A ring is in one of these places:
 *   nowhere   idle. Its kick is enabled; a kick puts it into the worker's inbox.
 *   run       has work. Runs in batches, in turn with the others; kicks disabled.
 *   look      ran dry a moment ago. Kicks are still disabled and the worker looks at
 *             it in turn, for a bounded time that adapts: it grows while work comes
 *             soon after going idle, and shrinks to nothing while it does not.
 *   recheck   idle, but its driver is known to read kern_need_kick without a fence
 *             after publishing (spec/ptnet-device.md section 7.2), so that a kick may
 *             have got lost in a store buffer. Looked at twice more, after 50
 *             microseconds and a millisecond; then it is nowhere. An idle ring
 *             therefore costs nothing.
 *
 * sched_state, which any thread may change, says only whether the ring is known to
 * have been woken (QUEUED: in inbox, run or look) or not (IDLE: nowhere, recheck).
 *
 * Sleeping: the worker sets `sleeping`, executes a full barrier and looks into the
 * inbox once more; whoever puts something there executes a full barrier and then
 * reads `sleeping`. One of the two sees the other.
 */
#define _GNU_SOURCE
#include "engine/worker.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "log/log.h"
#include "port/port.h"
#include "ring/interrupt.h"

#define RUN_BUDGET     512u
#define POLL_EVENTS    64
#define POLL_PERIOD_NS 20000u /* descriptors are looked at this often while rings run */
#define LOOK_FIRST_NS  2000u
#define LOOK_LEAST_NS  500u

enum { RING_IDLE, RING_QUEUED };

static const uint64_t recheck_after_ns[WORKER_RECHECKS] = {50000, 1000000};

static __thread struct worker *this_worker;

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void stat_add(_Atomic uint64_t *stat)
{
	uint64_t value = atomic_load_explicit(stat, memory_order_relaxed);

	atomic_store_explicit(stat, value + 1, memory_order_relaxed);
}

static struct kring_list *list_of(struct worker *worker, const struct kring *kring)
{
	switch (kring->sched_place) {
	case SCHED_RUN:
		return &worker->run;
	case SCHED_LOOK:
		return &worker->look;
	case SCHED_RECHECK:
		return &worker->recheck[kring->recheck_stage];
	case SCHED_NOWHERE:
		break;
	}
	return NULL;
}

static void ring_leave(struct worker *worker, struct kring *kring)
{
	struct kring_list *list = list_of(worker, kring);

	if (list != NULL)
		TAILQ_REMOVE(list, kring, sched_link);
	kring->sched_place = SCHED_NOWHERE;
}

static void ring_enter_run(struct worker *worker, struct kring *kring)
{
	ring_leave(worker, kring);
	kring->sched_place = SCHED_RUN;
	TAILQ_INSERT_TAIL(&worker->run, kring, sched_link);
}

/* ---- waking, from any thread ---- */

static void worker_interrupt(struct worker *worker)
{
	const uint64_t one = 1;

	/* The counter is never read (edge-triggered): when it is full it wakes no more. */
	if (write(worker->wake_fd, &one, sizeof(one)) < 0 && errno == EAGAIN) {
		uint64_t drained;

		if (read(worker->wake_fd, &drained, sizeof(drained)) > 0 &&
		    write(worker->wake_fd, &one, sizeof(one)) < 0)
			log_error("worker %u: cannot be woken: %s", worker->index, strerror(errno));
	}
}

void worker_wake_ring(struct kring *kring)
{
	struct worker *worker = kring->worker;
	uint32_t idle = RING_IDLE;

	/* The barrier in this exchange also orders what the waker did before it. */
	if (!atomic_compare_exchange_strong(&kring->sched_state, &idle, RING_QUEUED))
		return;
	struct kring *top = atomic_load_explicit(&worker->inbox, memory_order_relaxed);
	do
		kring->inbox_next = top;
	while (!atomic_compare_exchange_weak(&worker->inbox, &top, kring));
	atomic_thread_fence(memory_order_seq_cst); /* pairs with worker_sleep() */
	if (worker != this_worker && atomic_load_explicit(&worker->sleeping, memory_order_relaxed))
		worker_interrupt(worker);
}

/* ---- descriptors ---- */

static int watch_control(struct worker *worker, int operation, struct watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};

	return epoll_ctl(worker->epoll_fd, operation, watch->fd, &event) < 0 ? -errno : 0;
}

int worker_watch_add(struct worker *worker, struct watch *watch, uint32_t epoll_events)
{
	/* Before the kernel knows of it: hands what is in *watch over to worker_dispatch(). */
	atomic_fetch_add(&worker->num_watches, 1);
	int result = watch_control(worker, EPOLL_CTL_ADD, watch, epoll_events);

	if (result < 0)
		atomic_fetch_sub(&worker->num_watches, 1);
	return result;
}

int worker_watch_modify(struct worker *worker, struct watch *watch, uint32_t epoll_events)
{
	return watch_control(worker, EPOLL_CTL_MOD, watch, epoll_events);
}

void worker_watch_del(struct worker *worker, struct watch *watch)
{
	if (watch_control(worker, EPOLL_CTL_DEL, watch, 0) == 0)
		atomic_fetch_sub(&worker->num_watches, 1);
	/* It may be among the events that were fetched together with the present one. */
	for (int i = 0; i < worker->num_events; i++)
		if (worker->events[i].data.ptr == watch)
			worker->events[i].data.ptr = NULL;
}

static void worker_dispatch(struct worker *worker, struct epoll_event *events, int count)
{
	/* Pairs with worker_watch_add(). */
	atomic_load_explicit(&worker->num_watches, memory_order_acquire);
	worker->events = events;
	worker->num_events = count;
	for (int i = 0; i < count; i++) {
		struct watch *watch = events[i].data.ptr;

		if (watch != NULL)
			watch->ready(watch, events[i].events);
	}
	worker->num_events = 0;
	worker->events = NULL;
}

/* ---- calls ---- */

void worker_call(struct worker *worker, void (*function)(void *), void *argument)
{
	struct call call = {.function = function, .argument = argument};

	if (worker == this_worker) {
		function(argument);
		return;
	}
	pthread_mutex_lock(&worker->call_lock);
	call.next = worker->calls;
	worker->calls = &call;
	atomic_store(&worker->have_calls, true);
	worker_interrupt(worker);
	while (!call.done)
		pthread_cond_wait(&worker->call_done, &worker->call_lock);
	pthread_mutex_unlock(&worker->call_lock);
}

static void worker_run_calls(struct worker *worker)
{
	if (!atomic_load_explicit(&worker->have_calls, memory_order_acquire))
		return;
	pthread_mutex_lock(&worker->call_lock);
	struct call *calls = worker->calls;
	worker->calls = NULL;
	atomic_store(&worker->have_calls, false);
	pthread_mutex_unlock(&worker->call_lock);
	while (calls != NULL) {
		struct call *call = calls;

		calls = call->next;
		call->function(call->argument);
		pthread_mutex_lock(&worker->call_lock);
		call->done = true; /* the caller's stack frame may be gone after this */
		pthread_cond_broadcast(&worker->call_done);
		pthread_mutex_unlock(&worker->call_lock);
	}
}

/* ---- rings ---- */

static void ring_adapt_on_wake(struct worker *worker, struct kring *kring, uint64_t now)
{
	/* Would a longer look have caught this? Then look longer next time. */
	if (kring->idle_since_ns != 0 && now - kring->idle_since_ns < worker->look_max_ns) {
		uint32_t longer = kring->look_ns == 0 ? LOOK_FIRST_NS : kring->look_ns * 2;

		kring->look_ns = longer < worker->look_max_ns ? longer : worker->look_max_ns;
	}
	kring->idle_since_ns = 0;
}

static void worker_take_inbox(struct worker *worker)
{
	struct kring *kring, *oldest_first = NULL;

	if (atomic_load_explicit(&worker->inbox, memory_order_relaxed) == NULL)
		return;
	kring = atomic_exchange(&worker->inbox, NULL);
	while (kring != NULL) {
		struct kring *next = kring->inbox_next;

		kring->inbox_next = oldest_first;
		oldest_first = kring;
		kring = next;
	}
	uint64_t now = now_ns();
	for (kring = oldest_first; kring != NULL; kring = kring->inbox_next) {
		ring_adapt_on_wake(worker, kring, now);
		ring_count(&kring->counters, RING_WAKEUPS, 1);
		ring_enter_run(worker, kring);
	}
}

static void ring_enter_recheck(struct worker *worker, struct kring *kring, unsigned stage)
{
	kring->sched_place = SCHED_RECHECK;
	kring->recheck_stage = stage;
	kring->sched_deadline_ns = now_ns() + recheck_after_ns[stage];
	TAILQ_INSERT_TAIL(&worker->recheck[stage], kring, sched_link);
}

/*
 * Can no kick of the ring get lost in a store buffer, nor one of the ring that it
 * shares its slots with, which wakes it as well? Caller holds @kring's lock.
 */
static bool ring_fenced(struct kring *kring)
{
	struct kring *peer = kring->peer;
	bool fenced;

	if (kring->state != KRING_RUNNING || peer == NULL)
		return kring->state != KRING_RUNNING || kring->extension;
	pthread_mutex_lock(&peer->lock);
	fenced = kring->extension && (peer->state != KRING_RUNNING || peer->extension);
	pthread_mutex_unlock(&peer->lock);
	return fenced;
}

/*
 * The ring is dry: its kick is enabled and it is given up until somebody wakes it.
 * It is IDLE before its kick is enabled, so that no kick can fall between.
 */
static void ring_go_idle(struct worker *worker, struct kring *kring)
{
	bool pending, fenced;

	ring_leave(worker, kring);
	kring->idle_since_ns = now_ns();
	atomic_store(&kring->sched_state, RING_IDLE);
	pthread_mutex_lock(&kring->lock);
	/* A sync is always kicked for, but its kick may have come before IDLE. */
	pending = kring->state == KRING_RUNNING &&
		  (kring->port->ops->enable_kicks(kring) || kring_sync_pending(kring));
	fenced = ring_fenced(kring);
	pthread_mutex_unlock(&kring->lock);
	if (pending) {
		uint32_t idle = RING_IDLE;

		/* Unless a wake was faster: then it is in the inbox. */
		if (atomic_compare_exchange_strong(&kring->sched_state, &idle, RING_QUEUED))
			ring_enter_run(worker, kring);
	} else if (!fenced) {
		ring_enter_recheck(worker, kring, 0);
	}
}

static void ring_run(struct worker *worker, struct kring *kring)
{
	enum port_work work = PORT_STOPPED;

	pthread_mutex_lock(&kring->lock);
	if (kring->state == KRING_RUNNING)
		work = kring->port->ops->run(kring, RUN_BUDGET);
	if (kring->state == KRING_RUNNING && kring_sync_answerable(kring))
		kring_push(kring);
	pthread_mutex_unlock(&kring->lock);
	stat_add(&worker->batches);

	if (work == PORT_MORE || work == PORT_CROWDED) {
		ring_enter_run(worker, kring); /* to the end of the queue */
		worker->crowded |= work == PORT_CROWDED;
	} else if (work == PORT_DRY && kring->look_ns >= LOOK_LEAST_NS) {
		ring_leave(worker, kring);
		kring->sched_place = SCHED_LOOK;
		kring->sched_deadline_ns = now_ns() + kring->look_ns;
		TAILQ_INSERT_TAIL(&worker->look, kring, sched_link);
		stat_add(&worker->looks);
	} else {
		ring_go_idle(worker, kring);
	}
}

static bool ring_pending(struct kring *kring)
{
	bool pending;

	/* Not trylock: the last recheck has no next time. */
	pthread_mutex_lock(&kring->lock);
	pending = kring->state == KRING_RUNNING &&
		  (kring->port->ops->pending(kring) || kring_sync_pending(kring));
	pthread_mutex_unlock(&kring->lock);
	return pending;
}

static void worker_look(struct worker *worker)
{
	struct kring *kring, *next;
	uint64_t now;

	if (TAILQ_EMPTY(&worker->look))
		return;
	now = now_ns();
	for (kring = TAILQ_FIRST(&worker->look); kring != NULL; kring = next) {
		next = TAILQ_NEXT(kring, sched_link);
		if (ring_pending(kring)) {
			stat_add(&worker->looks_paid);
			ring_enter_run(worker, kring);
		} else if (now >= kring->sched_deadline_ns) {
			kring->look_ns -= kring->look_ns / 4;
			ring_go_idle(worker, kring);
		}
	}
}

static void worker_recheck(struct worker *worker)
{
	for (unsigned stage = 0; stage < WORKER_RECHECKS; stage++) {
		struct kring *kring;

		/* Delays are equal on one list, so the first has the earliest deadline. */
		while ((kring = TAILQ_FIRST(&worker->recheck[stage])) != NULL &&
		       now_ns() >= kring->sched_deadline_ns) {
			stat_add(&worker->rechecks);
			ring_leave(worker, kring);
			if (ring_pending(kring))
				worker_wake_ring(kring);
			else if (stage + 1 < WORKER_RECHECKS)
				ring_enter_recheck(worker, kring, stage + 1);
		}
	}
}

void worker_forget_ring(struct worker *worker, struct kring *kring)
{
	worker_take_inbox(worker);
	ring_leave(worker, kring);
	atomic_store(&kring->sched_state, RING_IDLE); /* for the next who takes it on */
}

/* ---- the loop ---- */

static int64_t worker_sleep_ns(const struct worker *worker)
{
	uint64_t earliest = UINT64_MAX, now;

	for (unsigned stage = 0; stage < WORKER_RECHECKS; stage++) {
		const struct kring *kring = TAILQ_FIRST(&worker->recheck[stage]);

		if (kring != NULL && kring->sched_deadline_ns < earliest)
			earliest = kring->sched_deadline_ns;
	}
	if (earliest == UINT64_MAX)
		return -1;
	now = now_ns();
	return earliest > now ? (int64_t)(earliest - now) : 0;
}

static void worker_sleep(struct worker *worker)
{
	struct epoll_event events[POLL_EVENTS];
	int64_t sleep_ns = worker_sleep_ns(worker);
	struct timespec timeout = {sleep_ns / 1000000000, sleep_ns % 1000000000};
	int count = 0;

	atomic_store_explicit(&worker->sleeping, true, memory_order_relaxed);
	atomic_thread_fence(memory_order_seq_cst); /* pairs with worker_wake_ring() */
	if (atomic_load_explicit(&worker->inbox, memory_order_relaxed) == NULL) {
		count = epoll_pwait2(worker->epoll_fd, events, POLL_EVENTS,
				     sleep_ns < 0 ? NULL : &timeout, NULL);
		stat_add(&worker->wakeups);
	}
	atomic_store_explicit(&worker->sleeping, false, memory_order_relaxed);
	if (count > 0)
		worker_dispatch(worker, events, count);
}

/* While rings run, descriptors are served too, but not after every batch. */
static void worker_poll(struct worker *worker)
{
	struct epoll_event events[POLL_EVENTS];
	uint64_t now = now_ns();

	if (now - worker->polled_ns < POLL_PERIOD_NS)
		return;
	worker->polled_ns = now;
	int count = epoll_wait(worker->epoll_fd, events, POLL_EVENTS, 0);
	if (count > 0)
		worker_dispatch(worker, events, count);
}

/* One turn for every ring that has work now. */
static void worker_run_rings(struct worker *worker)
{
	struct kring *last = TAILQ_LAST(&worker->run, kring_list);
	struct kring *kring = NULL;

	while (kring != last) {
		kring = TAILQ_FIRST(&worker->run);
		ring_run(worker, kring);
	}
}

void *worker_main(void *argument)
{
	struct worker *worker = argument;
	char name[16];

	this_worker = worker;
	if (interrupt_prepare() < 0) /* its rings will try again, and say so */
		log_error(
			"worker %u: cannot prepare interrupts: raise fs.aio-max-nr with sysctl(8)",
			worker->index);
	snprintf(name, sizeof(name), "worker-%u", worker->index);
	pthread_setname_np(pthread_self(), name);
	while (!atomic_load_explicit(&worker->stop, memory_order_relaxed)) {
		worker_take_inbox(worker);
		worker_run_rings(worker);
		worker_look(worker);
		worker_recheck(worker);
		if (TAILQ_EMPTY(&worker->run) && TAILQ_EMPTY(&worker->look)) {
			worker_sleep(worker);
		} else {
			worker_poll(worker);
			/* Whom we are waiting for may be waiting for this CPU. */
			if (worker->crowded || TAILQ_EMPTY(&worker->run))
				sched_yield();
		}
		worker->crowded = false;
		worker_run_calls(worker);
	}
	return NULL;
}
