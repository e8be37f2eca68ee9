/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket: takes requests, one JSON object per line, and answers them
 * in order (docs/control-protocol.md). All functions: control thread.
 */
#ifndef PTNET_CONTROL_CONTROL_SOCKET_H
#define PTNET_CONTROL_CONTROL_SOCKET_H

#include "attach/vfio_user_attachment.h"
#include "control/requests.h"
#include "log/error.h"

#define CONTROL_MAX_CLIENTS 64
#define CONTROL_IDLE_S	    600 /* a client that says nothing for so long is dropped */
#define CONTROL_STUCK_S	    30	/* so is one that does not read its answer */

struct control_socket;
struct event_base;

/*
 * Takes possession of @path (absolute), but does not listen yet. A socket file that
 * a dead daemon left is replaced. -EADDRINUSE: a daemon, or somebody else, serves
 * it; -EEXIST: something else is there.
 */
int control_socket_open(struct control_socket **socket, const char *path,
			const struct socket_access *access, struct error *error);

/* Begins to serve. @base and @context outlive the socket. */
int control_socket_serve(struct control_socket *socket, struct event_base *base,
			 const struct request_context *context, struct error *error);

/* Drops all clients and removes the socket file. NULL is allowed. */
void control_socket_close(struct control_socket *socket);

#endif
