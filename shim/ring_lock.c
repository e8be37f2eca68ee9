/* SPDX-License-Identifier: BSD-2-Clause */
#include "ring_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TID_BITS 22
#define TID_MASK ((1u << TID_BITS) - 1)

/* Somebody who syncs needs well under a microsecond, if he isn't interrupted. */
#define TRIES 200

__thread uint32_t ring_lock_token;

/*
 * 10 bits of when the thread started, never 0; 0: nobody can say. *ended: it has, and waits to be
 * asked for its status.
 */
static uint32_t start_of(uint32_t tid, bool *ended)
{
	char path[48], text[1024], *field;
	unsigned long long start = 0;
	long size, fd;
	int i;

	*ended = false;
	/* Any thread's id names its folder, though only processes are listed. */
	snprintf(path, sizeof(path), "/proc/%u/stat", tid);
	fd = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	size = syscall(SYS_read, fd, text, sizeof(text) - 1);
	syscall(SYS_close, fd);
	if (size <= 0)
		return 0;
	text[size] = '\0';
	/* Field 22; the second is a name in brackets, which may contain anything. */
	field = strrchr(text, ')');
	*ended = field != NULL && field[1] == ' ' && (field[2] == 'Z' || field[2] == 'X');
	for (i = 2; field != NULL && i < 22; i++)
		field = strchr(field + 1, ' ');
	if (field == NULL || sscanf(field, "%llu", &start) != 1)
		return 0;
	return 1 + (uint32_t)(start % 1023);
}

uint32_t ring_lock_make_token(void)
{
	int error = errno;
	uint32_t tid = (uint32_t)syscall(SYS_gettid);
	bool ended;

	ring_lock_token = (tid & TID_MASK) | start_of(tid, &ended) << TID_BITS;
	errno = error;
	return ring_lock_token;
}

static bool is_dead(uint32_t token)
{
	uint32_t tid = token & TID_MASK, start = token >> TID_BITS, started;
	int error = errno;
	bool gone = tid == 0 || (kill((pid_t)tid, 0) < 0 && errno == ESRCH);

	if (!gone) {
		started = start_of(tid, &gone);
		gone |= start != 0 && started != 0 && started != start;
	}
	errno = error;
	return gone;
}

bool ring_lock_contended(uint32_t *lock, uint32_t token)
{
	uint32_t holder = 0;
	int i;

	for (i = 0; i < TRIES; i++) {
		holder = 0;
		if (__atomic_compare_exchange_n(lock, &holder, token, false, __ATOMIC_ACQUIRE,
						__ATOMIC_RELAXED))
			return true;
		/* We ourselves, in a signal handler. */
		if (holder == token)
			return false;
		cpu_relax();
	}
	return is_dead(holder) && __atomic_compare_exchange_n(lock, &holder, token, false,
							      __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}
