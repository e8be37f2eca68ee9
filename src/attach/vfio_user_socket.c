/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "attach/vfio_user_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "engine/closer.h"

/* The most that the kernel lets one message carry (SCM_MAX_FD). */
#define KERNEL_MAX_FDS 253

int vfio_user_fds_take(struct vfio_user_fds *fds, unsigned index)
{
	int fd = fds->fd[index];

	fds->fd[index] = -1;
	return fd;
}

void vfio_user_fds_close(struct vfio_user_fds *fds, struct closer *closer)
{
	for (unsigned i = 0; i < fds->count; i++) {
		if (fds->fd[i] >= 0)
			closer_close(closer, fds->fd[i]);
	}
	fds->count = 0;
}

void vfio_user_socket_init(struct vfio_user_socket *socket, int fd, struct closer *closer)
{
	memset(socket, 0, offsetof(struct vfio_user_socket, buffer));
	socket->fd = fd;
	socket->closer = closer;
}

void vfio_user_socket_fini(struct vfio_user_socket *socket)
{
	vfio_user_fds_close(&socket->fds, socket->closer);
	free(socket->queue);
	closer_close_socket(socket->closer, socket->fd);
	socket->queue = NULL;
	socket->fd = -1;
}

/* ---- receiving ---- */

/* The header at @at, or false if it is not complete. */
static bool peek_header(const struct vfio_user_socket *socket, size_t at,
			struct vfio_user_header *header)
{
	if (socket->end - at < sizeof(*header))
		return false;
	memcpy(header, socket->buffer + at, sizeof(*header));
	return true;
}

static bool size_possible(uint32_t size)
{
	return size >= sizeof(struct vfio_user_header) && size <= VFIO_USER_MAX_MESSAGE;
}

/* Where the last message begins of which a byte is in the buffer. */
static size_t last_start(const struct vfio_user_socket *socket)
{
	struct vfio_user_header header;
	size_t at = socket->start;

	while (peek_header(socket, at, &header) && size_possible(header.size) &&
	       header.size < socket->end - at)
		at += header.size;
	return at;
}

/*
 * How much may be received: if the incomplete message has descriptors already,
 * not a byte of the next one, so that only one message at a time owns any.
 */
static size_t receive_limit(const struct vfio_user_socket *socket)
{
	size_t have = socket->end - socket->start;
	size_t limit = sizeof(socket->buffer) - socket->end;
	struct vfio_user_header header;

	if (limit > VFIO_USER_RECEIVE_CHUNK)
		limit = VFIO_USER_RECEIVE_CHUNK;
	if (socket->fds.count > 0) {
		size_t whole =
			peek_header(socket, socket->start, &header) ? header.size : sizeof(header);
		if (limit > whole - have)
			limit = whole - have;
	}
	return limit;
}

/* False: it was one too many, and is let go. */
static bool keep_fd(struct vfio_user_socket *socket, int fd)
{
	if (socket->fds.count == VFIO_USER_MAX_FDS) {
		closer_close(socket->closer, fd);
		return false;
	}
	socket->fds.fd[socket->fds.count++] = fd;
	return !closer_short_of_descriptors(fd);
}

/* Adds what came along to socket->fds. False: there was no room for all. */
static bool collect_fds(struct vfio_user_socket *socket, struct msghdr *message)
{
	bool complete = (message->msg_flags & MSG_CTRUNC) == 0;

	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(message); cmsg != NULL;
	     cmsg = CMSG_NXTHDR(message, cmsg)) {
		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (cmsg->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(cmsg) + i * sizeof(int), sizeof(fd));
			complete &= keep_fd(socket, fd);
		}
	}
	return complete;
}

int vfio_user_socket_receive(struct vfio_user_socket *socket)
{
	/* Room for all: what does not fit the kernel would close, on this thread. */
	union {
		char bytes[CMSG_SPACE(KERNEL_MAX_FDS * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec iov;
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	unsigned fds_before = socket->fds.count;
	bool complete;
	ssize_t got;

	if (socket->start > 0) {
		memmove(socket->buffer, socket->buffer + socket->start,
			socket->end - socket->start);
		socket->end -= socket->start;
		socket->fds_start -= socket->fds.count > 0 ? socket->start : 0;
		socket->start = 0;
	}
	iov.iov_base = socket->buffer + socket->end;
	iov.iov_len = receive_limit(socket);
	got = recvmsg(socket->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -ECONNRESET;
	complete = collect_fds(socket, &message);
	if (got == 0)
		return -ECONNRESET;
	socket->end += (size_t)got;
	if (socket->fds.count > fds_before)
		socket->fds_start = last_start(socket);
	return complete ? 1 : -EMFILE;
}

int vfio_user_socket_next(struct vfio_user_socket *socket, struct vfio_user_message *message)
{
	struct vfio_user_header header;

	if (!peek_header(socket, socket->start, &header))
		return 0;
	if (!size_possible(header.size))
		return -EPROTO;
	if (header.size > socket->end - socket->start)
		return 0;
	message->header = header;
	message->payload = socket->buffer + socket->start + sizeof(header);
	message->payload_size = header.size - sizeof(header);
	message->fds.count = 0;
	if (socket->fds.count > 0 && socket->fds_start == socket->start) {
		message->fds = socket->fds;
		socket->fds.count = 0;
	}
	socket->start += header.size;
	return 1;
}

bool vfio_user_socket_in_message(const struct vfio_user_socket *socket)
{
	return socket->end > socket->start;
}

bool vfio_user_socket_has_message(const struct vfio_user_socket *socket)
{
	struct vfio_user_header header;

	return peek_header(socket, socket->start, &header) &&
	       (!size_possible(header.size) || header.size <= socket->end - socket->start);
}

/* ---- sending ---- */

/* Bytes sent, or a negative errno. */
static ssize_t send_bytes(int socket_fd, const void *bytes, size_t size, int fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {.bytes = {0}};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t sent;

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);
		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	}
	do
		sent = sendmsg(socket_fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (sent < 0 && errno == EINTR);
	return sent < 0 ? -errno : sent;
}

/* Moves what waits to the front of the queue. */
static void compact_queue(struct vfio_user_socket *socket)
{
	memmove(socket->queue, socket->queue + socket->queue_start,
		socket->queue_end - socket->queue_start);
	for (unsigned i = 0; i < socket->num_queued_fds; i++)
		socket->queued_fds[i].at -= socket->queue_start;
	socket->queue_end -= socket->queue_start;
	socket->queue_start = 0;
}

static int enqueue(struct vfio_user_socket *socket, const uint8_t *bytes, size_t size, int fd)
{
	if (socket->queue == NULL) {
		socket->queue = malloc(VFIO_USER_MAX_QUEUE);
		if (socket->queue == NULL)
			return -ENOBUFS;
		socket->queue_start = socket->queue_end = 0;
	}
	if (size > VFIO_USER_MAX_QUEUE - socket->queue_end)
		compact_queue(socket);
	if (size > VFIO_USER_MAX_QUEUE - socket->queue_end ||
	    (fd >= 0 && socket->num_queued_fds == VFIO_USER_QUEUED_FDS))
		return -ENOBUFS;
	if (fd >= 0) {
		socket->queued_fds[socket->num_queued_fds].at = socket->queue_end;
		socket->queued_fds[socket->num_queued_fds++].fd = fd;
	}
	memcpy(socket->queue + socket->queue_end, bytes, size);
	socket->queue_end += size;
	return 0;
}

int vfio_user_socket_send(struct vfio_user_socket *socket, const void *message, size_t size, int fd)
{
	const uint8_t *bytes = message;
	ssize_t sent;
	int result;

	if (socket->queue != NULL)
		return enqueue(socket, bytes, size, fd);
	sent = send_bytes(socket->fd, bytes, size, fd);
	if (sent == -EAGAIN)
		return enqueue(socket, bytes, size, fd);
	if (sent < 0)
		return (int)sent;
	if ((size_t)sent == size)
		return 0;
	result = enqueue(socket, bytes + sent, size - (size_t)sent, -1);
	socket->queue_partial = size - (size_t)sent;
	return result;
}

/* The descriptor that goes with the message at the head of the queue, or -1. */
static int queued_fd(const struct vfio_user_socket *socket)
{
	if (socket->num_queued_fds > 0 && socket->queued_fds[0].at == socket->queue_start)
		return socket->queued_fds[0].fd;
	return -1;
}

int vfio_user_socket_flush(struct vfio_user_socket *socket)
{
	/*
	 * Message by message: QEMU gives up if it reads part of a header, as it
	 * would when the kernel cuts a larger write at a buffer's end.
	 */
	while (socket->queue != NULL) {
		const uint8_t *head = socket->queue + socket->queue_start;
		size_t size = socket->queue_partial;
		int fd = -1;

		if (size == 0) {
			struct vfio_user_header header;

			memcpy(&header, head, sizeof(header));
			size = header.size;
			fd = queued_fd(socket);
		}
		ssize_t sent = send_bytes(socket->fd, head, size, fd);
		if (sent == -EAGAIN)
			return 0;
		if (sent < 0)
			return (int)sent;
		if (fd >= 0) {
			socket->num_queued_fds--;
			memmove(&socket->queued_fds[0], &socket->queued_fds[1],
				socket->num_queued_fds * sizeof(socket->queued_fds[0]));
		}
		socket->queue_partial = size - (size_t)sent;
		socket->queue_start += (size_t)sent;
		if (socket->queue_start == socket->queue_end) {
			free(socket->queue);
			socket->queue = NULL;
		}
	}
	return 0;
}

bool vfio_user_socket_must_flush(const struct vfio_user_socket *socket)
{
	return socket->queue != NULL;
}
