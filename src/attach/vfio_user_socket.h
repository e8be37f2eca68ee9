/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages over a non-blocking UNIX stream socket: receives them whole, with the
 * descriptors that came along, and sends replies without ever blocking.
 *
 * Which message owns descriptors? The kernel hands them out with the first byte
 * of what one sendmsg() wrote, and ends the recvmsg() with that write. So they
 * belong to the last message that begins in the bytes just received, or, if none
 * does, to the one that was incomplete before. A client that puts several
 * messages into one write gets them attributed to the last: it is then told that
 * descriptors are missing here and too many there, and nothing worse happens.
 *
 * One thread at a time.
 */
#ifndef PTNET_ATTACH_VFIO_USER_SOCKET_H
#define PTNET_ATTACH_VFIO_USER_SOCKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "attach/vfio_user_protocol.h"

#define VFIO_USER_RECEIVE_CHUNK 4096  /* bytes taken from the socket at a time */
#define VFIO_USER_MAX_QUEUE	65536 /* bytes of replies that wait for a slow client */
#define VFIO_USER_QUEUED_FDS	4

struct closer;

/* Descriptors that came with a message. Slots are -1 once taken. */
struct vfio_user_fds {
	unsigned count;
	int fd[VFIO_USER_MAX_FDS];
};

/* The descriptor at @index, which is the caller's from now on. */
int vfio_user_fds_take(struct vfio_user_fds *fds, unsigned index);
/* Closes what nobody took. */
void vfio_user_fds_close(struct vfio_user_fds *fds, struct closer *closer);

struct vfio_user_message {
	struct vfio_user_header header;
	const uint8_t *payload; /* in the socket's buffer: until the next call for it */
	size_t payload_size;
	struct vfio_user_fds fds; /* the caller's */
};

struct vfio_user_socket {
	int fd;
	struct closer *closer;
	size_t start, end; /* unread bytes of buffer */
	size_t fds_start;  /* where the message begins that owns fds */
	struct vfio_user_fds fds;

	uint8_t *queue; /* NULL while nothing waits */
	size_t queue_start, queue_end;
	size_t queue_partial; /* bytes left of a message that was sent in part */
	unsigned num_queued_fds;
	struct {
		size_t at; /* in the queue */
		int fd;
	} queued_fds[VFIO_USER_QUEUED_FDS];

	uint8_t buffer[VFIO_USER_MAX_MESSAGE];
};

/* Takes over @fd, which must be non-blocking. @closer, which must outlive it, closes all. */
void vfio_user_socket_init(struct vfio_user_socket *socket, int fd, struct closer *closer);
/* Closes the socket and everything that came over it and was not handed out. */
void vfio_user_socket_fini(struct vfio_user_socket *socket);

/*
 * Takes what is there, at most VFIO_USER_RECEIVE_CHUNK bytes, with one system
 * call. To be called only when vfio_user_socket_next() has returned 0.
 * 1: something came; 0: nothing there now; -ECONNRESET: the client went away;
 * -EMFILE: there were too many descriptors, for a message or for us.
 */
int vfio_user_socket_receive(struct vfio_user_socket *socket);

/*
 * 1: @message is the next whole message, its descriptors are the caller's;
 * 0: none is complete; -EPROTO: what comes is no message.
 */
int vfio_user_socket_next(struct vfio_user_socket *socket, struct vfio_user_message *message);

/* The client stopped in the middle of a message. */
bool vfio_user_socket_in_message(const struct vfio_user_socket *socket);
/* vfio_user_socket_next() would not return 0. */
bool vfio_user_socket_has_message(const struct vfio_user_socket *socket);

/*
 * Sends @message of @size bytes, with a copy of descriptor @fd unless that is -1;
 * @fd stays the caller's and must stay open as long as the socket is in use.
 * 0: sent, or queued until vfio_user_socket_flush(); -ENOBUFS: the queue is full;
 * else the socket's error.
 */
int vfio_user_socket_send(struct vfio_user_socket *socket, const void *message, size_t size,
			  int fd);
/* Sends what waits. 0, or the socket's error. */
int vfio_user_socket_flush(struct vfio_user_socket *socket);
bool vfio_user_socket_must_flush(const struct vfio_user_socket *socket);

#endif
