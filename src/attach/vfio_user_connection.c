/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "attach/vfio_user_connection.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/socket.h>

static void ready(struct watch *watch, uint32_t epoll_events)
{
	struct vfio_user_connection *connection =
		(void *)((char *)watch - offsetof(struct vfio_user_connection, watch));
	int result = vfio_user_server_serve(&connection->server, epoll_events);

	if (result >= 0 && (uint32_t)result != connection->events) {
		connection->events = (uint32_t)result;
		result = worker_watch_modify(connection->worker, watch, connection->events);
	}
	if (result < 0)
		vfio_user_connection_end(connection, result);
	else
		connection->served(connection);
}

int vfio_user_connection_start(struct vfio_user_connection *connection, struct worker *worker)
{
	connection->worker = worker;
	connection->events = EPOLLIN;
	connection->watch.fd = connection->server.socket.fd;
	connection->watch.ready = ready;
	return worker_watch_add(worker, &connection->watch, connection->events);
}

void vfio_user_connection_end(struct vfio_user_connection *connection, int reason)
{
	worker_watch_del(connection->worker, &connection->watch);
	connection->ended(connection, reason);
}

bool vfio_user_connection_hung_up(const struct vfio_user_connection *connection)
{
	struct pollfd socket = {.fd = connection->watch.fd};

	return poll(&socket, 1, 0) == 1 && (socket.revents & (POLLHUP | POLLERR)) != 0;
}

void socket_peer(int fd, pid_t *pid, uid_t *uid)
{
	struct ucred credentials;
	socklen_t length = sizeof(credentials);

	*pid = -1;
	*uid = (uid_t)-1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &length) == 0) {
		*pid = credentials.pid;
		*uid = credentials.uid;
	}
}
