/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Shows a region to any number of VMs. All of a listener's connections live on
 * one worker, whose thread alone touches the list of them: there is next to
 * nothing to do once a VM has mapped BAR 1.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "attach/memdev.h"
#include "attach/region_watch.h"
#include "attach/socket_listener.h"
#include "attach/vfio_user_attachment.h"
#include "attach/vfio_user_connection.h"
#include "engine/closer.h"
#include "engine/engine.h"
#include "memory/region.h"
#include "port/port.h"

/*
 * A region can have more ports, but so many VMs that trust each other are enough:
 * each costs a descriptor, and whoever may connect could else take them all.
 */
#define MAX_CONNECTIONS 256

struct memdev_connection {
	struct vfio_user_connection base; /* first */
	struct memdev_listener *listener;
	struct memdev memdev;
	LIST_ENTRY(memdev_connection) link;
};

struct memdev_listener {
	struct socket_listener socket; /* first */
	struct region *region;
	struct worker *worker;
	struct closer *closer;	       /* of all: they trust each other */
	char name[PORT_NAME_SIZE + 8]; /* for the log; an implicit region is called as its port */
	struct log_limit log_limit;
	_Atomic uint32_t num_connections;

	LIST_HEAD(, memdev_connection) connections; /* the worker's */

	/* For showing: written by the worker, refused connections by the control thread. */
	struct vfio_user_counters counters;

	struct region_watch *memory_watch;
};

/* ---- on the worker ---- */

static void connection_served(struct vfio_user_connection *base)
{
	(void)base;
}

static void connection_ended(struct vfio_user_connection *base, int reason)
{
	struct memdev_connection *connection = (struct memdev_connection *)base;
	struct memdev_listener *listener = connection->listener;

	LIST_REMOVE(connection, link);
	vfio_user_server_fini(&base->server);
	free(connection);
	atomic_fetch_sub(&listener->num_connections, 1);
	log_limited(&listener->log_limit, LOG_LEVEL_DEBUG, "%s: VM detached: %s", listener->name,
		    strerror(-reason));
}

static void memory_lost(void *argument)
{
	struct memdev_listener *listener = argument;

	vfio_user_count(&listener->counters.error[VFIO_USER_ERROR_REGION_LOST]);
}

/* worker_call() */
static void adopt(void *argument)
{
	struct memdev_connection *connection = argument;
	struct memdev_listener *listener = connection->listener;
	int result;

	LIST_INSERT_HEAD(&listener->connections, connection, link);
	result = vfio_user_connection_start(&connection->base, listener->worker);
	if (result < 0)
		vfio_user_connection_end(&connection->base, result);
}

/* worker_call() */
static void end_hung_up(void *argument)
{
	struct memdev_listener *listener = argument;
	struct memdev_connection *connection = LIST_FIRST(&listener->connections);

	while (connection != NULL) {
		struct memdev_connection *next = LIST_NEXT(connection, link);

		if (vfio_user_connection_hung_up(&connection->base))
			vfio_user_connection_end(&connection->base, -ECONNRESET);
		connection = next;
	}
}

/* worker_call() */
static void end_all(void *argument)
{
	struct memdev_listener *listener = argument;

	while (!LIST_EMPTY(&listener->connections))
		vfio_user_connection_end(&LIST_FIRST(&listener->connections)->base, -ESHUTDOWN);
}

/* ---- on the control thread ---- */

void memdev_notice_ends(struct memdev_listener *listener)
{
	worker_call(listener->worker, end_hung_up, listener);
}

static void accepted(struct socket_listener *socket, int fd)
{
	struct memdev_listener *listener = (struct memdev_listener *)socket;
	struct memdev_connection *connection;

	if (atomic_load(&listener->num_connections) == MAX_CONNECTIONS)
		memdev_notice_ends(listener);
	if (atomic_load(&listener->num_connections) == MAX_CONNECTIONS) {
		vfio_user_count(&listener->counters.error[VFIO_USER_ERROR_REFUSED]);
		log_limited(&listener->log_limit, LOG_LEVEL_WARNING,
			    "%s: refused a VM: %d are attached, which is the most", listener->name,
			    MAX_CONNECTIONS);
		closer_close_socket(listener->closer, fd);
		return;
	}
	connection = calloc(1, sizeof(*connection));
	if (connection == NULL) {
		log_limited(&listener->log_limit, LOG_LEVEL_ERROR,
			    "%s: cannot attach a VM: out of memory", listener->name);
		closer_close_socket(listener->closer, fd);
		return;
	}
	connection->listener = listener;
	connection->base.served = connection_served;
	connection->base.ended = connection_ended;
	memdev_init(&connection->memdev, listener->region);
	vfio_user_server_init(&connection->base.server, fd, listener->closer,
			      &connection->memdev.function, listener->name, &listener->log_limit,
			      &listener->counters);
	atomic_fetch_add(&listener->num_connections, 1);
	worker_call(listener->worker, adopt, connection);
}

int memdev_listen(struct memdev_listener **out, struct engine *engine, struct event_base *base,
		  struct region *region, const char *name, const char *path,
		  const struct socket_access *access, struct error *error)
{
	struct memdev_listener *listener = calloc(1, sizeof(*listener));
	int result;

	if (listener == NULL)
		return error_set(error, ENOMEM, "region %s: out of memory", name);
	listener->worker = engine_least_loaded(engine);
	listener->socket.accepted = accepted;
	LIST_INIT(&listener->connections);
	snprintf(listener->name, sizeof(listener->name), "region %s", name);
	result = closer_create(&listener->closer, error);
	if (result < 0)
		goto fail_free;
	listener->socket.closer = listener->closer;
	result = socket_listener_open(&listener->socket, base, path, access, error);
	if (result < 0)
		goto fail_closer;
	listener->region = region_get(region);
	result = region_watch_open(&listener->memory_watch, listener->worker, region, name,
				   memory_lost, listener, error);
	if (result < 0)
		goto fail_watch;
	*out = listener;
	return 0;

fail_watch:
	region_put(region);
	socket_listener_close(&listener->socket);
fail_closer:
	closer_destroy(listener->closer);
fail_free:
	free(listener);
	return result;
}

void memdev_unlisten(struct memdev_listener *listener)
{
	socket_listener_close(&listener->socket);
	worker_call(listener->worker, end_all, listener);
	region_watch_close(listener->memory_watch);
	closer_destroy(listener->closer);
	region_put(listener->region);
	free(listener);
}

uint32_t memdev_connections(const struct memdev_listener *listener)
{
	return atomic_load(&listener->num_connections);
}

void memdev_get_status(const struct memdev_listener *listener, struct memdev_status *status)
{
	const struct vfio_user_counters *counters = &listener->counters;

	*status = (struct memdev_status){.messages = atomic_load(&counters->messages)};
	for (unsigned i = 0; i < VFIO_USER_ERROR_COUNT; i++) {
		status->errors[i] = atomic_load(&counters->error[i]);
		if (i != VFIO_USER_ERROR_REFUSED)
			status->protocol_errors += status->errors[i];
	}
}
