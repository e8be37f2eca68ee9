/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Gives a port to the VM that connects to its socket, one at a time.
 *
 * `connected` says who may touch `connection` and `worker`: the control thread
 * while it is false, the worker's thread from the moment that it is set until it
 * is cleared, which is the last thing that the worker does with a connection.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "attach/netif_device.h"
#include "attach/socket_listener.h"
#include "attach/vfio_user_attachment.h"
#include "attach/vfio_user_connection.h"
#include "engine/closer.h"
#include "engine/endpoint.h"
#include "engine/engine.h"
#include "port/port.h"

struct netif_connection {
	struct vfio_user_connection base; /* first */
	struct netif_listener *listener;
	struct netif_device device;
	struct watch lost_watch; /* of device.lost_eventfd */
};

struct netif_listener {
	struct socket_listener socket; /* first */
	struct engine *engine;
	struct port *port;
	struct closer *closer;	       /* of whoever is and was connected */
	char name[PORT_NAME_SIZE + 8]; /* for the log */
	struct log_limit log_limit;    /* for coming and going */

	_Atomic bool connected;
	struct worker *worker;
	struct netif_connection *connection;

	/* For showing: written by whoever owns the connection, read by the control thread. */
	struct vfio_user_counters counters;
	_Atomic uint64_t refused;
	_Atomic uint64_t connections;
	_Atomic bool extension, bus_master;
	_Atomic uint32_t dma_ranges;
	_Atomic pid_t peer_pid;
	_Atomic uid_t peer_uid;
};

/* ---- on the worker ---- */

static void publish_status(struct netif_listener *listener, const struct netif_device *device)
{
	const struct netif_state *state = &device->state;

	atomic_store_explicit(&listener->extension, device->started && state->csb_in_region,
			      memory_order_relaxed);
	atomic_store_explicit(&listener->bus_master, pci_config_bus_master(&state->config),
			      memory_order_relaxed);
	atomic_store_explicit(&listener->dma_ranges, device->dma.num_ranges, memory_order_relaxed);
}

static void connection_served(struct vfio_user_connection *base)
{
	struct netif_connection *connection = (struct netif_connection *)base;

	publish_status(connection->listener, &connection->device);
}

static void csb_lost(struct watch *watch, uint32_t epoll_events)
{
	struct netif_connection *connection =
		(void *)((char *)watch - offsetof(struct netif_connection, lost_watch));

	(void)epoll_events;
	netif_device_csb_lost(&connection->device);
}

static void connection_ended(struct vfio_user_connection *base, int reason)
{
	struct netif_connection *connection = (struct netif_connection *)base;
	struct netif_listener *listener = connection->listener;

	worker_watch_del(base->worker, &connection->lost_watch);
	netif_device_fini(&connection->device);
	vfio_user_server_fini(&base->server);
	log_limited(&listener->log_limit, LOG_LEVEL_INFO, "%s: VM detached (%s)", listener->name,
		    reason == -ECONNRESET  ? "it closed the connection"
		    : reason == -ESHUTDOWN ? "the port is being removed"
					   : strerror(-reason));
	free(connection);
	listener->connection = NULL;
	port_release(listener->port, PORT_OWNER_VM);
	atomic_store_explicit(&listener->extension, false, memory_order_relaxed);
	atomic_store_explicit(&listener->bus_master, false, memory_order_relaxed);
	atomic_store_explicit(&listener->dma_ranges, 0, memory_order_relaxed);
	atomic_store_explicit(&listener->connected, false, memory_order_release);
}

/* worker_call(): from here on the connection is the worker's. */
static void adopt(void *argument)
{
	struct netif_listener *listener = argument;
	struct netif_connection *connection = listener->connection;
	/* First: vfio_user_connection_end() undoes it, and connection_ended() the rest. */
	int result = vfio_user_connection_start(&connection->base, listener->worker);

	if (result == 0)
		result = worker_watch_add(listener->worker, &connection->lost_watch, EPOLLIN);
	if (result < 0)
		vfio_user_connection_end(&connection->base, result);
}

/* worker_call(): the present VM's end may not have been noticed yet. */
static void end_if_hung_up(void *argument)
{
	struct netif_listener *listener = argument;

	if (listener->connection != NULL &&
	    vfio_user_connection_hung_up(&listener->connection->base))
		vfio_user_connection_end(&listener->connection->base, -ECONNRESET);
}

/* worker_call() */
static void end_now(void *argument)
{
	struct netif_listener *listener = argument;

	if (listener->connection != NULL)
		vfio_user_connection_end(&listener->connection->base, -ESHUTDOWN);
}

/* ---- on the control thread ---- */

static bool is_connected(const struct netif_listener *listener)
{
	return atomic_load_explicit(&listener->connected, memory_order_acquire);
}

/* Takes over @fd. */
static int connect_vm(struct netif_listener *listener, int fd)
{
	struct netif_connection *connection = calloc(1, sizeof(*connection));
	int result = -ENOMEM;
	pid_t pid;
	uid_t uid;

	if (connection != NULL)
		result = netif_device_init(&connection->device, listener->port, &listener->counters,
					   listener->closer);
	if (result < 0) {
		free(connection);
		closer_close_socket(listener->closer, fd);
		return result;
	}
	connection->listener = listener;
	connection->lost_watch.fd = connection->device.lost_eventfd;
	connection->lost_watch.ready = csb_lost;
	connection->base.served = connection_served;
	connection->base.ended = connection_ended;
	vfio_user_server_init(&connection->base.server, fd, listener->closer,
			      &connection->device.function, listener->name,
			      listener->port->log_limit, &listener->counters);
	socket_peer(fd, &pid, &uid);
	atomic_store(&listener->peer_pid, pid);
	atomic_store(&listener->peer_uid, uid);
	vfio_user_count(&listener->connections);
	log_limited(&listener->log_limit, LOG_LEVEL_INFO, "%s: VM attached (process %d, user %d)",
		    listener->name, (int)pid, (int)uid);

	/* A kick is then served by the thread that runs the ring: nobody else is woken. */
	listener->worker = engine_worker_of(listener->engine, listener->port);
	listener->connection = connection;
	atomic_store_explicit(&listener->connected, true, memory_order_release);
	worker_call(listener->worker, adopt, listener);
	return 0;
}

void netif_notice_end(struct netif_listener *listener)
{
	if (is_connected(listener))
		worker_call(listener->worker, end_if_hung_up, listener);
}

static void accepted(struct socket_listener *socket, int fd)
{
	struct netif_listener *listener = (struct netif_listener *)socket;
	int result;

	netif_notice_end(listener);
	if (is_connected(listener)) {
		vfio_user_count(&listener->refused);
		log_limited(&listener->log_limit, LOG_LEVEL_WARNING,
			    "%s: refused a second VM; process %d is attached: a port takes one",
			    listener->name, (int)atomic_load(&listener->peer_pid));
		closer_close_socket(listener->closer, fd);
		return;
	}
	if (!port_claim(listener->port, PORT_OWNER_VM)) {
		vfio_user_count(&listener->refused);
		log_limited(&listener->log_limit, LOG_LEVEL_WARNING,
			    "%s: refused a VM; host processes have the port open: it belongs to "
			    "them until the last has closed it",
			    listener->name);
		closer_close_socket(listener->closer, fd);
		return;
	}
	result = connect_vm(listener, fd);
	if (result < 0) {
		port_release(listener->port, PORT_OWNER_VM);
		log_limited(&listener->log_limit, LOG_LEVEL_ERROR, "%s: cannot attach a VM: %s",
			    listener->name, strerror(-result));
	}
}

int netif_listen(struct netif_listener **out, struct engine *engine, struct event_base *base,
		 struct port *port, const char *path, const struct socket_access *access,
		 struct error *error)
{
	struct netif_listener *listener = calloc(1, sizeof(*listener));
	int result;

	if (listener == NULL)
		return error_set(error, ENOMEM, "port %s: out of memory", port->name);
	listener->engine = engine;
	listener->port = port;
	listener->peer_pid = -1;
	listener->peer_uid = (uid_t)-1;
	listener->socket.accepted = accepted;
	snprintf(listener->name, sizeof(listener->name), "port %s", port->name);
	result = closer_create(&listener->closer, error);
	if (result < 0)
		goto fail_free;
	listener->socket.closer = listener->closer;
	result = socket_listener_open(&listener->socket, base, path, access, error);
	if (result < 0)
		goto fail_closer;
	*out = listener;
	return 0;

fail_closer:
	closer_destroy(listener->closer);
fail_free:
	free(listener);
	return result;
}

void netif_unlisten(struct netif_listener *listener)
{
	socket_listener_close(&listener->socket);
	/* Even if it is not connected any more: the worker may be about to say so. */
	if (listener->worker != NULL)
		worker_call(listener->worker, end_now, listener);
	closer_destroy(listener->closer);
	free(listener);
}

void netif_get_status(const struct netif_listener *listener, struct netif_status *status)
{
	const struct vfio_user_counters *counters = &listener->counters;

	*status = (struct netif_status){
		.connected = is_connected(listener),
		.running = endpoint_running(listener->port),
		.extension = atomic_load(&listener->extension),
		.bus_master = atomic_load(&listener->bus_master),
		.peer_pid = atomic_load(&listener->peer_pid),
		.peer_uid = atomic_load(&listener->peer_uid),
		.connections = atomic_load(&listener->connections),
		.messages = atomic_load(&counters->messages),
		.dma_ranges = atomic_load(&listener->dma_ranges),
	};
	for (unsigned i = 0; i < VFIO_USER_ERROR_COUNT; i++) {
		status->errors[i] = atomic_load(&counters->error[i]);
		if (i == VFIO_USER_ERROR_REFUSED)
			status->errors[i] = atomic_load(&listener->refused);
		else
			status->protocol_errors += status->errors[i];
	}
}
