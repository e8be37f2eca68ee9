/* SPDX-License-Identifier: BSD-2-Clause */
#include "hidden.h"

#include <errno.h>
#include <sched.h>
#include <sys/resource.h>

#include "real.h"
#include "table.h"

/* High enough for select(), low enough not to make the kernel's table large. */
#define HIGH_ENOUGH 3072
#define PATIENCE    1000

static unsigned signals_in_flight;

static int high_number(void)
{
	struct rlimit limit;
	rlim_t high;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return 256;
	high = limit.rlim_cur - limit.rlim_cur / 4;
	return high < HIGH_ENOUGH ? (int)high : HIGH_ENOUGH;
}

int hidden_keep(int fd, struct hidden *holder)
{
	int error = errno;
	int high = raw_fcntl(fd, F_DUPFD_CLOEXEC, high_number());
	int result;

	if (high < 0 && raw_fcntl(fd, F_SETFD, FD_CLOEXEC) == 0)
		high = fd;
	else
		raw_close(fd);
	if (high < 0) {
		result = -errno;
		holder->fd = -1;
		errno = error;
		return result;
	}
	result = table_set(high, TABLE_HIDDEN, holder);
	if (result < 0) {
		raw_close(high);
		high = -1;
	}
	__atomic_store_n(&holder->fd, high, __ATOMIC_SEQ_CST);
	errno = error;
	return result;
}

void hidden_close(struct hidden *holder)
{
	int fd = holder->fd, error = errno;

	__atomic_store_n(&holder->fd, -1, __ATOMIC_SEQ_CST);
	if (fd < 0)
		return;
	table_clear(fd);
	raw_close(fd);
	errno = error;
}

int hidden_make_way(int fd)
{
	struct hidden *holder = table_object(table_get(fd));
	int high = raw_fcntl(fd, F_DUPFD_CLOEXEC, high_number());
	int i;

	if (high < 0)
		high = raw_fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (high < 0)
		return -EMFILE;
	if (table_set(high, TABLE_HIDDEN, holder) < 0) {
		raw_close(high);
		return -EMFILE;
	}
	__atomic_store_n(&holder->fd, high, __ATOMIC_SEQ_CST);
	/*
	 * Whoever read the old number before is about to write to it. Not for ever: it may be whom
	 * we interrupted, in a signal handler.
	 */
	for (i = 0; i < PATIENCE && __atomic_load_n(&signals_in_flight, __ATOMIC_SEQ_CST) != 0; i++)
		sched_yield();
	table_clear(fd);
	raw_close(fd);
	return 0;
}

void hidden_signal(const struct hidden *holder)
{
	int fd;

	__atomic_fetch_add(&signals_in_flight, 1, __ATOMIC_SEQ_CST);
	fd = __atomic_load_n(&holder->fd, __ATOMIC_SEQ_CST);
	if (fd >= 0)
		raw_signal(fd);
	__atomic_fetch_sub(&signals_in_flight, 1, __ATOMIC_SEQ_CST);
}

void hidden_after_fork(void)
{
	signals_in_flight = 0;
}
