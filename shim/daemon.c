/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon.h"

#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "real.h"

static struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = PTNET_LOCAL_SOCKET};
static bool verbose;

void daemon_init(void)
{
	const char *path = getenv(PTNET_ENV_SOCKET), *word = getenv(PTNET_ENV_VERBOSE);

	if (path != NULL && path[0] != '\0' && strlen(path) < sizeof(address.sun_path))
		memcpy(address.sun_path, path, strlen(path) + 1);
	verbose = word != NULL && word[0] != '\0' && strcmp(word, "0") != 0;
}

void daemon_say(const char *format, ...)
{
	char line[512];
	va_list arguments;
	int error = errno, length;

	if (!verbose)
		return;
	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line) - 1, format, arguments);
	va_end(arguments);
	if (length > 0) {
		if (length > (int)sizeof(line) - 2)
			length = (int)sizeof(line) - 2;
		line[length] = '\n';
		raw_write(STDERR_FILENO, line, (size_t)length + 1);
	}
	errno = error;
}

/* ---- connections ---- */

static int refuse(int fd)
{
	int error = errno;

	raw_close(fd);
	daemon_say("ptnetmap: cannot open %s: cannot connect to ptnetd at %s: %s%s",
		   NETMAP_DEVICE_NAME, address.sun_path, strerror(error),
		   error == EACCES ? " (who may is the socket's group, see ptnetd(8))"
				   : " (does ptnetd run?)");
	/* A program knows what a device's absence looks like, not a socket's. */
	if (error == ECONNREFUSED || error == ENOTDIR || error == EPROTOTYPE)
		return -ENOENT;
	return -error;
}

int daemon_connect(int flags)
{
	int type = SOCK_SEQPACKET, fd;

	if ((flags & O_CLOEXEC) != 0)
		type |= SOCK_CLOEXEC;
	if ((flags & O_NONBLOCK) != 0)
		type |= SOCK_NONBLOCK;
	fd = socket(AF_UNIX, type, 0);
	if (fd < 0)
		return -errno;
	/* With a full backlog a non-blocking connect() gives up; one that waits does not. */
	while (syscall(SYS_connect, fd, &address, sizeof(address)) < 0) {
		struct timespec moment = {0, 1000000};

		if (errno == EAGAIN)
			syscall(SYS_nanosleep, &moment, NULL);
		else if (errno != EINTR)
			return refuse(fd);
	}
	return fd;
}

static bool same_file(const char *path, const char *other)
{
	struct stat first, second;

	return stat(path, &first) == 0 && stat(other, &second) == 0 &&
	       first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

bool daemon_is_peer(int fd)
{
	struct sockaddr_un peer;
	socklen_t size = sizeof(peer);
	int error = errno;
	bool is_peer = false;

	memset(&peer, 0, sizeof(peer));
	if (syscall(SYS_getpeername, fd, &peer, &size) == 0 && peer.sun_family == AF_UNIX &&
	    size > offsetof(struct sockaddr_un, sun_path) && peer.sun_path[0] == '/') {
		peer.sun_path[sizeof(peer.sun_path) - 1] = '\0';
		is_peer = strcmp(peer.sun_path, address.sun_path) == 0 ||
			  same_file(peer.sun_path, address.sun_path);
	}
	errno = error;
	return is_peer;
}

/* ---- requests ---- */

union one_fd {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(sizeof(int))];
};

union many_fds {
	struct cmsghdr header;
	char bytes[CMSG_SPACE(PTNET_LOCAL_MAX_FDS * sizeof(int))];
};

/* The descriptor may be non-blocking and the daemon busy. */
static int send_request(int fd, const struct ptnet_local_request *request, int reply_to)
{
	union one_fd control;
	struct iovec vector = {(void *)request, sizeof(*request)};
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};

	memset(&control, 0, sizeof(control));
	control.header.cmsg_len = CMSG_LEN(sizeof(int));
	control.header.cmsg_level = SOL_SOCKET;
	control.header.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&control.header), &reply_to, sizeof(int));
	while (syscall(SYS_sendmsg, fd, &message, MSG_NOSIGNAL) < 0) {
		struct pollfd writable = {fd, POLLOUT, 0};

		if (errno == EAGAIN)
			syscall(SYS_ppoll, &writable, 1UL, NULL, NULL, 0UL);
		else if (errno != EINTR)
			return errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN ? -EIO
											  : -errno;
	}
	return 0;
}

static unsigned received_fds(struct msghdr *message, int *fds)
{
	struct cmsghdr *header;
	unsigned num_fds = 0;

	for (header = CMSG_FIRSTHDR(message); header != NULL;
	     header = CMSG_NXTHDR(message, header)) {
		unsigned here;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		here = (unsigned)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		if (here > PTNET_LOCAL_MAX_FDS - num_fds)
			here = PTNET_LOCAL_MAX_FDS - num_fds;
		memcpy(fds + num_fds, CMSG_DATA(header), here * sizeof(int));
		num_fds += here;
	}
	return num_fds;
}

static int receive_reply(int fd, struct ptnet_local_reply *reply, int *fds, unsigned *num_fds)
{
	union many_fds control;
	struct iovec vector = {reply, sizeof(*reply)};
	struct msghdr message = {.msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	long size;

	do
		size = syscall(SYS_recvmsg, fd, &message, MSG_CMSG_CLOEXEC);
	while (size < 0 && errno == EINTR);
	if (size < 0)
		return -errno;
	*num_fds = received_fds(&message, fds);
	if (size == sizeof(*reply) && (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0 &&
	    reply->version == PTNET_LOCAL_VERSION)
		return 0;
	while (*num_fds > 0)
		raw_close(fds[--*num_fds]);
	/* The kernel cuts off what exceeds the limit of open files. */
	return (message.msg_flags & MSG_CTRUNC) != 0 ? -EMFILE : -EIO;
}

int daemon_request(struct description *d, int fd, const struct ptnet_local_request *request,
		   struct ptnet_local_reply *reply, int *fds, unsigned *num_fds)
{
	int pair[2], result;

	*num_fds = 0;
	/* The number may be somebody else's by now, who must not get our message. */
	if (!description_verify(fd, d))
		return -EBADF;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	result = send_request(fd, request, pair[1]);
	raw_close(pair[1]);
	if (result == 0)
		result = receive_reply(pair[0], reply, fds, num_fds);
	raw_close(pair[0]);
	if (result == -EIO) {
		__atomic_store_n(&d->dead, true, __ATOMIC_RELAXED);
		daemon_say("ptnetmap: ptnetd has gone, or is of another version");
	} else if (result == 0 && reply->error != 0) {
		reply->message[sizeof(reply->message) - 1] = '\0';
		daemon_say("ptnetmap: %.*s%s%s", NETMAP_REQ_IFNAMSIZ, request->name,
			   request->name[0] != '\0' ? ": " : "",
			   reply->message[0] != '\0' ? reply->message : strerror(reply->error));
	}
	return result;
}

int daemon_join(struct description *d, int fd)
{
	struct ptnet_local_request request;
	struct ptnet_local_reply reply;
	int fds[PTNET_LOCAL_MAX_FDS], result;
	unsigned num_fds;

	memset(&request, 0, sizeof(request));
	request.version = PTNET_LOCAL_VERSION;
	request.op = PTNET_LOCAL_JOIN;
	memset(&reply, 0, sizeof(reply));
	result = daemon_request(d, fd, &request, &reply, fds, &num_fds);
	if (result < 0)
		return result;
	if (reply.error == 0 && reply.bound == 1) {
		result = description_prepare(d, &reply.binding, fds, num_fds);
		if (result == 0)
			description_publish(d);
		return result;
	}
	while (num_fds > 0)
		raw_close(fds[--num_fds]);
	return reply.error > 0 ? -reply.error : -ENXIO;
}
