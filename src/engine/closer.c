/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "engine/closer.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "log/log.h"

/*
 * CLOSER_CROWD; what one recvmsg() brings after a last look at closer_crowded(); and
 * what the connections of one listener hold when they are ended.
 */
#define ROOM	   4096
#define FIRST_ROOM 16
#define IDLE_MOST  2
#define STACK_SIZE (256 << 10)

struct closer {
	STAILQ_ENTRY(closer) link; /* in pool.ready: something waits, nothing is being closed */
	_Atomic unsigned waiting;  /* descriptors, the one that is being closed included */
	unsigned first;		   /* of these, in fds */
	unsigned room;		   /* in fds */
	bool destroyed;
	int *fds; /* a ring */
};

/* All threads are alike; all of this and all closers are under the lock. */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t work;
	STAILQ_HEAD(, closer) ready;
	unsigned idle;		  /* threads */
	unsigned starting;	  /* threads that have been made and will be idle soon */
	_Atomic unsigned waiting; /* descriptors of all closers */
	unsigned started; /* of the first ones; as many are there when nothing is to be done */
} pool = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.work = PTHREAD_COND_INITIALIZER,
	.ready = STAILQ_HEAD_INITIALIZER(pool.ready),
};

static void *serve(void *unused);

static int start_thread(void)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t thread;
	int result;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	result = -pthread_create(&thread, &attributes, serve, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return result;
}

/* Nobody else is free and we may not come back: does not return without a successor. */
static void start_successor(void)
{
	static struct log_limit log_limit;
	const struct timespec pause = {.tv_nsec = 100000000};
	int result;

	while ((result = start_thread()) < 0) {
		log_limited(&log_limit, LOG_LEVEL_ERROR,
			    "cannot start a thread that closes descriptors: %s; raise the limit of "
			    "threads (TasksMax in ptnetd.service, or ulimit -u); until then they "
			    "stay open",
			    strerror(-result));
		nanosleep(&pause, NULL);
	}
}

/* Under the lock: the next closer that has something to do, or NULL: this thread may end. */
static struct closer *take_closer(void)
{
	struct closer *closer;

	if (pool.idle >= IDLE_MOST && STAILQ_EMPTY(&pool.ready))
		return NULL;
	pool.idle++;
	while ((closer = STAILQ_FIRST(&pool.ready)) == NULL)
		pthread_cond_wait(&pool.work, &pool.lock);
	pool.idle--;
	STAILQ_REMOVE_HEAD(&pool.ready, link);
	if (!STAILQ_EMPTY(&pool.ready))
		pthread_cond_signal(&pool.work);
	return closer;
}

static void free_closer(struct closer *closer)
{
	free(closer->fds);
	free(closer);
}

/* Under the lock. */
static void give_back(struct closer *closer)
{
	closer->first = (closer->first + 1) % closer->room;
	atomic_fetch_sub(&pool.waiting, 1);
	if (atomic_fetch_sub(&closer->waiting, 1) > 1)
		STAILQ_INSERT_TAIL(&pool.ready, closer, link);
	else if (closer->destroyed)
		free_closer(closer);
}

static void *serve(void *unused)
{
	struct closer *closer;

	(void)unused;
	pthread_setname_np(pthread_self(), "closer");
	pthread_mutex_lock(&pool.lock);
	pool.starting--;
	while ((closer = take_closer()) != NULL) {
		int fd = closer->fds[closer->first];
		/* A busy machine may run us many times before a new thread gets its first turn. */
		bool alone = pool.idle + pool.starting == 0;

		pool.starting += alone;
		pthread_mutex_unlock(&pool.lock);
		if (alone)
			start_successor();
		close(fd);
		pthread_mutex_lock(&pool.lock);
		give_back(closer);
	}
	pthread_mutex_unlock(&pool.lock);
	return NULL;
}

int closer_create(struct closer **out, struct error *error)
{
	struct closer *closer = calloc(1, sizeof(*closer));
	int result = 0;

	if (closer == NULL)
		return error_set(error, ENOMEM, "out of memory");
	closer->room = FIRST_ROOM;
	closer->fds = malloc(closer->room * sizeof(*closer->fds));
	if (closer->fds == NULL) {
		free(closer);
		return error_set(error, ENOMEM, "out of memory");
	}
	pthread_mutex_lock(&pool.lock);
	while (pool.started < IDLE_MOST && result == 0) {
		result = start_thread();
		pool.starting += result == 0;
		pool.started += result == 0;
	}
	pthread_mutex_unlock(&pool.lock);
	if (result < 0) {
		free_closer(closer);
		return error_set(error, -result,
				 "cannot start a thread that closes descriptors: %s",
				 strerror(-result));
	}
	*out = closer;
	return 0;
}

void closer_destroy(struct closer *closer)
{
	pthread_mutex_lock(&pool.lock);
	closer->destroyed = true;
	if (atomic_load(&closer->waiting) == 0)
		free_closer(closer);
	pthread_mutex_unlock(&pool.lock);
}

/* Under the lock. False: it has all the room that it may have, or there is no memory. */
static bool grow(struct closer *closer)
{
	unsigned waiting = atomic_load(&closer->waiting), room = closer->room * 2;
	int *fds = room <= ROOM ? malloc(room * sizeof(*fds)) : NULL;

	if (fds == NULL)
		return false;
	for (unsigned i = 0; i < waiting; i++)
		fds[i] = closer->fds[(closer->first + i) % closer->room];
	free(closer->fds);
	closer->fds = fds;
	closer->first = 0;
	closer->room = room;
	return true;
}

/* False: there is no room. */
static bool enqueue(struct closer *closer, int fd)
{
	unsigned waiting;
	bool taken;

	pthread_mutex_lock(&pool.lock);
	waiting = atomic_load(&closer->waiting);
	taken = waiting < closer->room || grow(closer);
	if (taken) {
		closer->fds[(closer->first + waiting) % closer->room] = fd;
		atomic_store(&closer->waiting, waiting + 1);
		atomic_fetch_add(&pool.waiting, 1);
	}
	if (taken && waiting == 0) {
		STAILQ_INSERT_TAIL(&pool.ready, closer, link);
		pthread_cond_signal(&pool.work);
	}
	pthread_mutex_unlock(&pool.lock);
	return taken;
}

void closer_close(struct closer *closer, int fd)
{
	static struct log_limit log_limit;

	if (!enqueue(closer, fd))
		log_limited(&log_limit, LOG_LEVEL_ERROR,
			    "%u descriptors of one client wait to be closed: one more stays open "
			    "until the daemon ends",
			    closer_waiting(closer));
}

void closer_close_socket(struct closer *closer, int fd)
{
	shutdown(fd, SHUT_RDWR);
	closer_close(closer, fd);
}

unsigned closer_waiting(const struct closer *closer)
{
	return atomic_load_explicit(&closer->waiting, memory_order_acquire);
}

unsigned closers_waiting(void)
{
	return atomic_load_explicit(&pool.waiting, memory_order_acquire);
}

bool closer_crowded(const struct closer *closer)
{
	return closer_waiting(closer) > CLOSER_CROWD;
}

bool closer_short_of_descriptors(int fd)
{
	static _Atomic long most; /* 0: not yet known */
	struct rlimit limit;

	if (most == 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0)
		most = limit.rlim_cur < 1 << 30 ? (long)(limit.rlim_cur - limit.rlim_cur / 4)
						: 1 << 30;
	return fd >= most;
}
