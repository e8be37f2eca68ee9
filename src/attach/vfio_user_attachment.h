/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Makes a port reachable for VMs: two vfio-user sockets, one for the ptnet
 * function of the port, one for the ptnetmap-memdev function of its region.
 *
 * All functions: control thread.
 */
#ifndef PTNET_ATTACH_VFIO_USER_ATTACHMENT_H
#define PTNET_ATTACH_VFIO_USER_ATTACHMENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "attach/vfio_user_errors.h"
#include "log/error.h"

struct engine;
struct event_base;
struct port;
struct region;
struct memdev_listener;
struct netif_listener;

/* Who may connect to a socket. */
struct socket_access {
	uid_t uid; /* (uid_t)-1: leave it */
	gid_t gid; /* (gid_t)-1: leave it */
	mode_t mode;
};

/*
 * Listens at @path (a stale socket file is replaced, anything else refused with
 * -EEXIST) for VMs that map @region. Several may be connected at once: the
 * function is read-only. Takes a reference on @region. The log calls it "region @name".
 */
int memdev_listen(struct memdev_listener **listener, struct engine *engine, struct event_base *base,
		  struct region *region, const char *name, const char *path,
		  const struct socket_access *access, struct error *error);
/* Disconnects everybody, removes the socket file. */
void memdev_unlisten(struct memdev_listener *listener);

/*
 * Listens at @path for the VM that gets @port. One at a time: a second connection
 * is refused with a log line. When the VM goes away the port is stopped and reset
 * and the next one may come.
 */
int netif_listen(struct netif_listener **listener, struct engine *engine, struct event_base *base,
		 struct port *port, const char *path, const struct socket_access *access,
		 struct error *error);
void netif_unlisten(struct netif_listener *listener);

/*
 * If the VM has closed its connection, and the worker that serves it did not come to that yet, it
 * is done now: who saw the VM end must not be told that it has the port.
 */
void netif_notice_end(struct netif_listener *listener);

/* What is known of the present owner, for showing. */
struct netif_status {
	bool connected;
	bool running;	/* CREATE done, rings served */
	bool extension; /* CSB in the region */
	bool bus_master;
	pid_t peer_pid;
	uid_t peer_uid;
	uint64_t connections;			/* since the listener was made */
	uint64_t protocol_errors;		/* sum of errors[] without refused connections */
	uint64_t errors[VFIO_USER_ERROR_COUNT]; /* by kind; vfio_user_error_names[] */
	uint64_t messages;
	uint32_t dma_ranges;
};
void netif_get_status(const struct netif_listener *listener, struct netif_status *status);

uint32_t memdev_connections(const struct memdev_listener *listener);
/* As netif_notice_end(): VMs that have ended do not count any more. */
void memdev_notice_ends(struct memdev_listener *listener);

/* What all VMs that ever mapped the region have done, for showing. */
struct memdev_status {
	uint64_t messages;
	uint64_t protocol_errors;		/* sum of errors[] without refused connections */
	uint64_t errors[VFIO_USER_ERROR_COUNT]; /* by kind; vfio_user_error_names[] */
};
void memdev_get_status(const struct memdev_listener *listener, struct memdev_status *status);

#endif
