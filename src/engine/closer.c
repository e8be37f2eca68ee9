/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/closer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "log/log.h"

#define PATIENCE_NS 10000000

/* A pipe of descriptor numbers; -1: no thread. It holds more than a process usually may open. */
static _Atomic int queue = -1;
static int queue_end;
static pthread_t thread;

static void nothing(int signal_number)
{
	(void)signal_number;
}

/* Interrupts the calling thread again and again while it is armed. */
static bool timer_make(timer_t *timer)
{
	struct sigaction action = {.sa_handler = nothing};
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIGALRM,
	};
	sigset_t alarm;

	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	sigaction(SIGALRM, &action, NULL);
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &alarm, NULL);
	return timer_create(CLOCK_MONOTONIC, &event, timer) == 0;
}

static void *close_all(void *argument)
{
	static const struct itimerspec patience = {{0, PATIENCE_NS}, {0, PATIENCE_NS}}, off;
	timer_t timer;
	bool have_timer;
	int fd;

	(void)argument;
	pthread_setname_np(pthread_self(), "closer");
	have_timer = timer_make(&timer);
	if (!have_timer)
		log_error("closer: no timer: %s; a VM can hold up others with descriptors whose "
			  "close() waits",
			  strerror(errno));
	for (;;) {
		ssize_t size = read(queue_end, &fd, sizeof(fd));

		if (size < 0 && errno == EINTR)
			continue;
		if (size != sizeof(fd))
			break; /* closer_stop() */
		if (have_timer)
			timer_settime(timer, 0, &patience, NULL);
		close(fd);
		if (have_timer)
			timer_settime(timer, 0, &off, NULL);
	}
	if (have_timer)
		timer_delete(timer);
	return NULL;
}

int closer_start(void)
{
	sigset_t all, before;
	int ends[2], result;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	/* Whoever gives is never to wait; whoever takes may. */
	if (fcntl(ends[1], F_SETFL, O_NONBLOCK) < 0) {
		result = -errno;
	} else {
		queue_end = ends[0];
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &before);
		result = -pthread_create(&thread, NULL, close_all, NULL);
		pthread_sigmask(SIG_SETMASK, &before, NULL);
	}
	if (result < 0) {
		close(ends[0]);
		close(ends[1]);
		return result;
	}
	atomic_store(&queue, ends[1]);
	return 0;
}

void closer_stop(void)
{
	int given = atomic_exchange(&queue, -1);

	if (given < 0)
		return;
	close(given);
	pthread_join(thread, NULL);
	close(queue_end);
}

void closer_take(int fd)
{
	int given = atomic_load(&queue);

	if (given < 0) {
		close(fd);
		return;
	}
	if (write(given, &fd, sizeof(fd)) != sizeof(fd))
		log_error("closer: descriptor %d stays open: %s", fd, strerror(errno));
}
