/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A served connection: the protocol server and the watch that runs it on its
 * worker. What both listeners share.
 *
 * Life: made by the control thread; adopted by a worker (inside worker_call());
 * from then on only that worker's thread touches it, and only there it ends,
 * whether the client left, misbehaved, or the listener was closed.
 */
#ifndef PTNET_ATTACH_VFIO_USER_CONNECTION_H
#define PTNET_ATTACH_VFIO_USER_CONNECTION_H

#include <stdint.h>
#include <sys/types.h>

#include "attach/vfio_user_server.h"
#include "engine/engine.h"

struct vfio_user_connection {
	struct vfio_user_server server;
	struct worker *worker;
	struct watch watch;
	uint32_t events; /* that the watch waits for */
	/* On the worker, after each call of the server. */
	void (*served)(struct vfio_user_connection *connection);
	/* On the worker: the watch is gone; releases everything, this memory too. */
	void (*ended)(struct vfio_user_connection *connection, int reason);
};

/* On the worker's thread, server, served and ended filled in. Negative errno. */
int vfio_user_connection_start(struct vfio_user_connection *connection, struct worker *worker);

/* Takes the watch away and calls ended() with @reason. On the worker's thread. */
void vfio_user_connection_end(struct vfio_user_connection *connection, int reason);

/* The client has closed its end, read or not. On the worker's thread. */
bool vfio_user_connection_hung_up(const struct vfio_user_connection *connection);

/* Process and user at the other end of a UNIX socket; -1 for what is not known. */
void socket_peer(int fd, pid_t *pid, uid_t *uid);

#endif
