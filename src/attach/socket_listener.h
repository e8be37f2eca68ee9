/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A listening UNIX socket in the control thread's event loop: its file, its
 * access rights, and what to do when descriptors run out. Control thread only.
 */
#ifndef PTNET_ATTACH_SOCKET_LISTENER_H
#define PTNET_ATTACH_SOCKET_LISTENER_H

#include <sys/types.h>

#include "attach/vfio_user_attachment.h"
#include "log/error.h"
#include "log/log.h"

struct closer;
struct event;
struct event_base;

struct socket_listener {
	int fd;	  /* -1: not listening */
	int type; /* SOCK_SEQPACKET; 0: SOCK_STREAM */
	char *path;
	dev_t device; /* of the socket's file, so that no other is removed */
	ino_t inode;
	struct event *readable;
	struct event *retry; /* fires when accepting may work again */
	struct log_limit log_limit;
	/* Closes the socket, with what was sent over connections not yet accepted. */
	struct closer *closer;
	/* Gets each connection, non-blocking, and owns it from then on. */
	void (*accepted)(struct socket_listener *listener, int fd);
};

/*
 * Listens at @path; set ->type, ->closer and ->accepted before. A socket file that nobody listens
 * at is replaced. -EEXIST: somebody does, or it is no socket; -ENAMETOOLONG; else what the system
 * says. Nothing is held after a failure.
 */
int socket_listener_open(struct socket_listener *listener, struct event_base *base,
			 const char *path, const struct socket_access *access, struct error *error);
/* Removes the file, if it is still ours. The closer is still the caller's to destroy. */
void socket_listener_close(struct socket_listener *listener);

#endif
