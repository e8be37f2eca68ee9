/* SPDX-License-Identifier: BSD-2-Clause */
/* open() and its relatives: one name is ours. */
#include <errno.h>
#include <string.h>

#include "daemon.h"
#include "description.h"
#include "real.h"
#include "table.h"

static bool is_netmap(const char *path)
{
	/* The first bytes first: this is every program's open(). */
	return path != NULL && path[0] == '/' && path[1] == 'd' &&
	       strcmp(path, NETMAP_DEVICE_NAME) == 0;
}

static int open_netmap(int flags)
{
	sigset_t signals;
	int fd, result;

	if ((flags & O_DIRECTORY) != 0) {
		errno = ENOTDIR;
		return -1;
	}
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL)) {
		errno = EEXIST;
		return -1;
	}
	fd = daemon_connect(flags);
	if (fd < 0) {
		errno = -fd;
		return -1;
	}
	if (!shim_own_process())
		return fd;
	shim_lock(&signals);
	result = description_note(fd);
	shim_unlock(&signals);
	if (result < 0) {
		raw_close(fd);
		errno = -result;
		return -1;
	}
	return fd;
}

/* The number may have been netmap's, and closed behind our back. */
static int opened(int fd)
{
	sigset_t signals;
	int error = errno;

	if (!table_in_use() || fd < 0)
		return fd;
	if (table_get(fd).word != 0 && table_kind(table_get(fd)) != TABLE_HIDDEN &&
	    shim_own_process()) {
		shim_lock(&signals);
		description_forget_fd(fd);
		shim_unlock(&signals);
	}
	errno = error;
	return fd;
}

SHIM_EXPORT int open(const char *path, int flags, ...)
{
	mode_t mode;

	TAKE_OPEN_MODE(mode, flags);
	return is_netmap(path) ? open_netmap(flags) : opened(real.open(path, flags, mode));
}

SHIM_EXPORT int open64(const char *path, int flags, ...)
{
	mode_t mode;

	TAKE_OPEN_MODE(mode, flags);
	return is_netmap(path) ? open_netmap(flags) : opened(real.open64(path, flags, mode));
}

SHIM_EXPORT int openat(int dir, const char *path, int flags, ...)
{
	mode_t mode;

	TAKE_OPEN_MODE(mode, flags);
	return is_netmap(path) ? open_netmap(flags) : opened(real.openat(dir, path, flags, mode));
}

SHIM_EXPORT int openat64(int dir, const char *path, int flags, ...)
{
	mode_t mode;

	TAKE_OPEN_MODE(mode, flags);
	return is_netmap(path) ? open_netmap(flags) : opened(real.openat64(dir, path, flags, mode));
}

/* What _FORTIFY_SOURCE makes of calls without a mode: with these flags they need one. */
extern void __chk_fail(void) __attribute__((noreturn));

static void check_flags(int flags)
{
	if (open_has_mode(flags))
		__chk_fail();
}

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dir, const char *path, int flags);
int __openat64_2(int dir, const char *path, int flags);

SHIM_EXPORT int __open_2(const char *path, int flags)
{
	check_flags(flags);
	return is_netmap(path) ? open_netmap(flags) : opened(real.open(path, flags));
}

SHIM_EXPORT int __open64_2(const char *path, int flags)
{
	check_flags(flags);
	return is_netmap(path) ? open_netmap(flags) : opened(real.open64(path, flags));
}

SHIM_EXPORT int __openat_2(int dir, const char *path, int flags)
{
	check_flags(flags);
	return is_netmap(path) ? open_netmap(flags) : opened(real.openat(dir, path, flags));
}

SHIM_EXPORT int __openat64_2(int dir, const char *path, int flags)
{
	check_flags(flags);
	return is_netmap(path) ? open_netmap(flags) : opened(real.openat64(dir, path, flags));
}
