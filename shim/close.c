/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors are copied and closed: the table follows. What is hidden stays open, whatever the
 * program closes; to it such a number is not open.
 */
#include <errno.h>
#include <limits.h>
#include <linux/close_range.h>
#include <stdarg.h>

#include "description.h"
#include "epoll_set.h"
#include "hidden.h"
#include "real.h"
#include "table.h"

/* ---- close ---- */

static int close_ours(int fd)
{
	sigset_t signals;
	int result;

	if (!shim_own_process())
		return real.close(fd);
	shim_lock(&signals);
	if (table_kind(table_get(fd)) == TABLE_HIDDEN) {
		errno = EBADF;
		result = -1;
	} else {
		/* First the entry: once it's closed the number may be somebody else's. */
		description_forget_fd(fd);
		result = raw_close(fd);
	}
	shim_unlock(&signals);
	return result;
}

SHIM_EXPORT int close(int fd)
{
	if (!table_in_use() || table_get(fd).word == 0)
		return real.close(fd);
	return close_ours(fd);
}

/* Closes what lies between the hidden ones. Under shim_lock(). */
static int close_around(unsigned first, unsigned last, int flags)
{
	while (first <= last) {
		int next = first > INT_MAX ? -1 : table_next((int)first);
		unsigned end = last;

		if (next >= 0 && (unsigned)next <= last) {
			if (table_kind(table_get(next)) != TABLE_HIDDEN) {
				description_forget_fd(next);
				continue;
			}
			end = (unsigned)next - 1;
		}
		if (end != (unsigned)-1 && end >= first && real.close_range(first, end, flags) < 0)
			return -1;
		if (end == last)
			break;
		first = end + 2;
	}
	return 0;
}

SHIM_EXPORT int close_range(unsigned first, unsigned last, int flags)
{
	sigset_t signals;
	int result;

	if (!table_in_use() || first > last || (flags & CLOSE_RANGE_CLOEXEC) != 0 ||
	    !shim_own_process())
		return real.close_range(first, last, flags);
	shim_lock(&signals);
	result = close_around(first, last, flags);
	shim_unlock(&signals);
	return result;
}

SHIM_EXPORT void closefrom(int first)
{
	unsigned from = first < 0 ? 0 : (unsigned)first;
	int fd;

	if (close_range(from, ~0u, 0) == 0)
		return;
	/* A kernel without close_range(). */
	for (fd = (int)from; fd < (int)sysconf(_SC_OPEN_MAX); fd++)
		close(fd);
}

/* ---- copies ---- */

/* @to is a copy of @fd now. Under shim_lock(). */
static void copied(int fd, int to)
{
	struct table_entry entry = table_get(fd);
	int error = errno;

	if (to < 0 || fd == to)
		return;
	if (table_kind(entry) == TABLE_NETMAP && description_is(fd, table_object(entry))) {
		description_note(to);
	} else {
		description_forget_fd(to);
		if (table_kind(entry) == TABLE_EPOLL)
			epoll_set_note(table_object(entry), to);
	}
	errno = error;
}

/* Does making a copy of @fd, or one that becomes @to (-1: any), concern the table? */
static bool copy_concerns(int fd, int to)
{
	return table_in_use() && (table_get(fd).word != 0 || table_get(to).word != 0) &&
	       shim_own_process();
}

SHIM_EXPORT int dup(int fd)
{
	sigset_t signals;
	int to;

	if (!copy_concerns(fd, -1))
		return real.dup(fd);
	shim_lock(&signals);
	to = real.dup(fd);
	copied(fd, to);
	shim_unlock(&signals);
	return to;
}

/* @flags -1: dup2(), which allows @fd and @to to be the same. */
static int dup_to(int fd, int to, int flags)
{
	sigset_t signals;
	int result = 0;

	shim_lock(&signals);
	if (fd != to && table_kind(table_get(to)) == TABLE_HIDDEN)
		result = hidden_make_way(to);
	if (result < 0) {
		errno = EMFILE;
		result = -1;
	} else {
		if (fd != to && raw_fcntl(fd, F_GETFD, 0) >= 0)
			description_forget_fd(to);
		result = flags < 0 ? real.dup2(fd, to) : real.dup3(fd, to, flags);
		copied(fd, result);
	}
	shim_unlock(&signals);
	return result;
}

SHIM_EXPORT int dup2(int fd, int to)
{
	return copy_concerns(fd, to) ? dup_to(fd, to, -1) : real.dup2(fd, to);
}

SHIM_EXPORT int dup3(int fd, int to, int flags)
{
	/* With other flags it fails, and @to stays what it is. */
	return copy_concerns(fd, to) && (flags & ~O_CLOEXEC) == 0 ? dup_to(fd, to, flags)
								  : real.dup3(fd, to, flags);
}

typedef int (*fcntl_function)(int fd, int command, ...);

static int fcntl_with(fcntl_function function, int fd, int command, void *argument)
{
	sigset_t signals;
	int to;

	if ((command != F_DUPFD && command != F_DUPFD_CLOEXEC) || !copy_concerns(fd, -1))
		return function(fd, command, argument);
	shim_lock(&signals);
	to = function(fd, command, argument);
	copied(fd, to);
	shim_unlock(&signals);
	return to;
}

SHIM_EXPORT int fcntl(int fd, int command, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, command);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	return fcntl_with(real.fcntl, fd, command, argument);
}

SHIM_EXPORT int fcntl64(int fd, int command, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, command);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	return fcntl_with(real.fcntl64, fd, command, argument);
}
