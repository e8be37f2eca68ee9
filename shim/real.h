/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The functions that this object stands in front of, and one that it uses: what the program would
 * have got without it, the C library's or those of another preloaded object.
 *
 * Until real_resolve() has run each of them is a plain system call. So whatever is called before
 * our constructor, or by dlsym() inside it (an allocator's first steps), works and cannot come
 * back here.
 */
#ifndef PTNET_SHIM_REAL_H
#define PTNET_SHIM_REAL_H

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define SHIM_EXPORT	 __attribute__((visibility("default")))
#define SHIM_LIKELY(x)	 __builtin_expect(!!(x), 1)
#define SHIM_UNLIKELY(x) __builtin_expect(!!(x), 0)

struct real_calls {
	int (*open)(const char *path, int flags, ...);
	int (*open64)(const char *path, int flags, ...);
	int (*openat)(int dir, const char *path, int flags, ...);
	int (*openat64)(int dir, const char *path, int flags, ...);
	int (*close)(int fd);
	int (*close_range)(unsigned first, unsigned last, int flags);
	int (*dup)(int fd);
	int (*dup2)(int fd, int to);
	int (*dup3)(int fd, int to, int flags);
	int (*fcntl)(int fd, int command, ...);
	int (*fcntl64)(int fd, int command, ...);
	int (*ioctl)(int fd, unsigned long request, ...);
	ssize_t (*read)(int fd, void *bytes, size_t size);
	ssize_t (*write)(int fd, const void *bytes, size_t size);
	ssize_t (*readv)(int fd, const struct iovec *vector, int count);
	ssize_t (*writev)(int fd, const struct iovec *vector, int count);
	void *(*mmap)(void *address, size_t size, int protection, int flags, int fd, off_t offset);
	int (*munmap)(void *address, size_t size);
	ssize_t (*recvmsg)(int fd, struct msghdr *message, int flags);
	int (*recvmmsg)(int fd, struct mmsghdr *messages, unsigned count, int flags,
			struct timespec *timeout);
	int (*poll)(struct pollfd *fds, nfds_t count, int timeout);
	int (*ppoll)(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		     const sigset_t *mask);
	int (*select)(int count, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout);
	int (*pselect)(int count, fd_set *in, fd_set *out, fd_set *except,
		       const struct timespec *timeout, const sigset_t *mask);
	int (*epoll_create1)(int flags);
	int (*epoll_ctl)(int epoll, int operation, int fd, struct epoll_event *event);
	int (*epoll_wait)(int epoll, struct epoll_event *events, int count, int timeout);
	int (*epoll_pwait)(int epoll, struct epoll_event *events, int count, int timeout,
			   const sigset_t *mask);
	int (*epoll_pwait2)(int epoll, struct epoll_event *events, int count,
			    const struct timespec *timeout, const sigset_t *mask);
};

/* With these flags open() has a mode. */
static inline bool open_has_mode(int flags)
{
	return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
}

/* Sets @mode in a function that ends in (..., int flags, ...); 0 if there is none. */
#define TAKE_OPEN_MODE(mode, flags)                                                                \
	do {                                                                                       \
		va_list arguments;                                                                 \
                                                                                                   \
		va_start(arguments, flags);                                                        \
		(mode) = open_has_mode(flags) ? va_arg(arguments, mode_t) : 0;                     \
		va_end(arguments);                                                                 \
	} while (0)

/* Constant once our constructor has run. */
extern struct real_calls real;

void real_resolve(void);

/*
 * System calls that nobody stands in front of and that are no cancellation points: for
 * descriptors of our own, and where a lock is held.
 */
int raw_close(int fd);
ssize_t raw_read(int fd, void *bytes, size_t size);
ssize_t raw_write(int fd, const void *bytes, size_t size);
int raw_fcntl(int fd, int command, long argument);
int raw_epoll_wait(int epoll, struct epoll_event *events, int count, int timeout);
int raw_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event);

/* Writes 1 to an eventfd, and nothing if it is full: whoever waits has been woken then. */
void raw_signal(int eventfd);

#endif
