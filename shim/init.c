/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The beginning of a process, and of a forked one.
 *
 * A new program may have inherited netmap descriptors from the one before it; those among the
 * first thousand are found here, others when the program does something with them that only
 * netmap's can do.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/resource.h>

#include "daemon.h"
#include "description.h"
#include "epoll_set.h"
#include "hidden.h"
#include "real.h"
#include "ring_lock.h"
#include "sleeper.h"
#include "table.h"

#define INHERITED 1024

/* One system call tells which are open. */
static void find_inherited(void)
{
	struct pollfd fds[INHERITED];
	struct rlimit limit;
	nfds_t count = INHERITED, i;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < count)
		count = limit.rlim_cur;
	for (i = 0; i < count; i++)
		fds[i] = (struct pollfd){(int)i, 0, 0};
	if (real.poll(fds, count, 0) < 0)
		return;
	for (i = 0; i < count; i++)
		if ((fds[i].revents & POLLNVAL) == 0)
			description_recognise((int)i);
}

static void before_fork(void)
{
	shim_lock_for_fork();
}

static void parent_after_fork(void)
{
	shim_unlock_after_fork();
}

static void child_after_fork(void)
{
	int error = errno;

	shim_note_process();
	ring_lock_token = 0;
	hidden_after_fork();
	description_after_fork();
	epoll_set_after_fork();
	sleeper_after_fork();
	shim_unlock_after_fork();
	errno = error;
}

__attribute__((constructor)) static void init(void)
{
	int error = errno;

	real_resolve();
	daemon_init();
	shim_note_process();
	sleeper_init();
	pthread_atfork(before_fork, parent_after_fork, child_after_fork);
	find_inherited();
	errno = error;
}
