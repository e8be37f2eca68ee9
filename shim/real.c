/* SPDX-License-Identifier: BSD-2-Clause */
#include "real.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

/* What the kernel calls a signal set. */
#define KERNEL_SIGSET_SIZE (_NSIG / 8)

/* ---- plain system calls ---- */

static int plain_open(const char *path, int flags, ...)
{
	mode_t mode;

	TAKE_OPEN_MODE(mode, flags);
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static int plain_openat(int dir, const char *path, int flags, ...)
{
	mode_t mode;

	TAKE_OPEN_MODE(mode, flags);
	return (int)syscall(SYS_openat, dir, path, flags, mode);
}

static int plain_close_range(unsigned first, unsigned last, int flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}

static int plain_dup(int fd)
{
	return (int)syscall(SYS_dup, fd);
}

static int plain_dup3(int fd, int to, int flags)
{
	return (int)syscall(SYS_dup3, fd, to, flags);
}

static int plain_dup2(int fd, int to)
{
	if (fd == to)
		return raw_fcntl(fd, F_GETFD, 0) < 0 ? -1 : to;
	return plain_dup3(fd, to, 0);
}

static int plain_fcntl(int fd, int command, ...)
{
	va_list arguments;
	long argument;

	va_start(arguments, command);
	argument = va_arg(arguments, long);
	va_end(arguments);
	return raw_fcntl(fd, command, argument);
}

static int plain_ioctl(int fd, unsigned long request, ...)
{
	va_list arguments;
	void *argument;

	va_start(arguments, request);
	argument = va_arg(arguments, void *);
	va_end(arguments);
	return (int)syscall(SYS_ioctl, fd, request, argument);
}

static ssize_t plain_readv(int fd, const struct iovec *vector, int count)
{
	return syscall(SYS_readv, fd, vector, count);
}

static ssize_t plain_writev(int fd, const struct iovec *vector, int count)
{
	return syscall(SYS_writev, fd, vector, count);
}

static void *plain_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

static int plain_munmap(void *address, size_t size)
{
	return (int)syscall(SYS_munmap, address, size);
}

static ssize_t plain_recvmsg(int fd, struct msghdr *message, int flags)
{
	return syscall(SYS_recvmsg, fd, message, flags);
}

static int plain_recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags,
			  struct timespec *timeout)
{
	return (int)syscall(SYS_recvmmsg, fd, messages, count, flags, timeout);
}

static int plain_ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		       const sigset_t *mask)
{
	struct timespec copy;

	/* The kernel writes what remains of the time. */
	if (timeout != NULL)
		copy = *timeout;
	return (int)syscall(SYS_ppoll, fds, count, timeout != NULL ? &copy : NULL, mask,
			    KERNEL_SIGSET_SIZE);
}

static int plain_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	struct timespec time = {timeout / 1000, timeout % 1000 * 1000000L};

	return plain_ppoll(fds, count, timeout < 0 ? NULL : &time, NULL);
}

static int plain_pselect(int count, fd_set *in, fd_set *out, fd_set *except,
			 const struct timespec *timeout, const sigset_t *mask)
{
	struct timespec copy;
	struct {
		const sigset_t *mask;
		size_t size;
	} masked = {mask, KERNEL_SIGSET_SIZE};

	if (timeout != NULL)
		copy = *timeout;
	return (int)syscall(SYS_pselect6, count, in, out, except, timeout != NULL ? &copy : NULL,
			    &masked);
}

static int plain_select(int count, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout)
{
	struct timespec time;

	if (timeout == NULL)
		return plain_pselect(count, in, out, except, NULL, NULL);
	time = (struct timespec){timeout->tv_sec, timeout->tv_usec * 1000};
	return plain_pselect(count, in, out, except, &time, NULL);
}

static int plain_epoll_create1(int flags)
{
	return (int)syscall(SYS_epoll_create1, flags);
}

static int plain_epoll_pwait(int epoll, struct epoll_event *events, int count, int timeout,
			     const sigset_t *mask)
{
	return (int)syscall(SYS_epoll_pwait, epoll, events, count, timeout, mask,
			    KERNEL_SIGSET_SIZE);
}

static int plain_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout)
{
	return plain_epoll_pwait(epoll, events, count, timeout, NULL);
}

static int plain_epoll_pwait2(int epoll, struct epoll_event *events, int count,
			      const struct timespec *timeout, const sigset_t *mask)
{
	return (int)syscall(SYS_epoll_pwait2, epoll, events, count, timeout, mask,
			    KERNEL_SIGSET_SIZE);
}

int raw_close(int fd)
{
	return (int)syscall(SYS_close, fd);
}

ssize_t raw_read(int fd, void *bytes, size_t size)
{
	return syscall(SYS_read, fd, bytes, size);
}

ssize_t raw_write(int fd, const void *bytes, size_t size)
{
	return syscall(SYS_write, fd, bytes, size);
}

int raw_fcntl(int fd, int command, long argument)
{
	return (int)syscall(SYS_fcntl, fd, command, argument);
}

int raw_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout)
{
	return plain_epoll_wait(epoll, events, count, timeout);
}

int raw_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	return (int)syscall(SYS_epoll_ctl, epoll, operation, fd, event);
}

void raw_signal(int eventfd)
{
	const uint64_t one = 1;
	int error = errno;

	while (raw_write(eventfd, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	errno = error;
}

/* ---- the table ---- */

struct real_calls real = {
	.open = plain_open,
	.open64 = plain_open,
	.openat = plain_openat,
	.openat64 = plain_openat,
	.close = raw_close,
	.close_range = plain_close_range,
	.dup = plain_dup,
	.dup2 = plain_dup2,
	.dup3 = plain_dup3,
	.fcntl = plain_fcntl,
	.fcntl64 = plain_fcntl,
	.ioctl = plain_ioctl,
	.read = raw_read,
	.write = raw_write,
	.readv = plain_readv,
	.writev = plain_writev,
	.mmap = plain_mmap,
	.munmap = plain_munmap,
	.recvmsg = plain_recvmsg,
	.recvmmsg = plain_recvmmsg,
	.poll = plain_poll,
	.ppoll = plain_ppoll,
	.select = plain_select,
	.pselect = plain_pselect,
	.epoll_create1 = plain_epoll_create1,
	.epoll_ctl = raw_epoll_ctl,
	.epoll_wait = plain_epoll_wait,
	.epoll_pwait = plain_epoll_pwait,
	.epoll_pwait2 = plain_epoll_pwait2,
};

#define NAMED(name)                                                                                \
	{                                                                                          \
#name, offsetof(struct real_calls, name)                                           \
	}

static const struct {
	const char *name;
	size_t offset;
} names[] = {
	NAMED(open),	      NAMED(open64),	  NAMED(openat),     NAMED(openat64),
	NAMED(close),	      NAMED(close_range), NAMED(dup),	     NAMED(dup2),
	NAMED(dup3),	      NAMED(fcntl),	  NAMED(fcntl64),    NAMED(ioctl),
	NAMED(read),	      NAMED(write),	  NAMED(readv),	     NAMED(writev),
	NAMED(mmap),	      NAMED(munmap),	  NAMED(recvmsg),    NAMED(recvmmsg),
	NAMED(poll),	      NAMED(ppoll),	  NAMED(select),     NAMED(pselect),
	NAMED(epoll_create1), NAMED(epoll_ctl),	  NAMED(epoll_wait), NAMED(epoll_pwait),
	NAMED(epoll_pwait2),
};

void real_resolve(void)
{
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		void *function = dlsym(RTLD_NEXT, names[i].name);

		/* An older C library lacks some; the system call will do. */
		if (function != NULL)
			memcpy((char *)&real + names[i].offset, &function, sizeof(function));
	}
}
