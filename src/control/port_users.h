/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The descriptors of /dev/netmap that are bound to a port, and the endpoint that
 * they share. All functions: control thread.
 */
#ifndef PTNET_CONTROL_PORT_USERS_H
#define PTNET_CONTROL_PORT_USERS_H

#include <sys/queue.h>

#include "attach/local_binding.h"

struct engine;
struct inventory_port;
struct local_connection;

/* One bound descriptor. */
struct port_user {
	TAILQ_ENTRY(port_user) link;
	struct inventory_port *port; /* NULL: it was deleted under us */
	struct local_connection *connection;
	struct local_binding binding;
	struct nmreq_register reg; /* as answered */
};

struct port_users {
	TAILQ_HEAD(, port_user) list;
	struct local_endpoint *endpoint; /* NULL: nobody has it, or it is a null port */
};

void port_users_init(struct port_users *users);

/*
 * Binds a descriptor. It does not count in the port's ->users: that is the caller's. Errors as
 * local_endpoint_create() and local_binding_open() have them; on failure nothing is held.
 */
int port_user_add(struct port_user **user, struct engine *engine, struct inventory_port *port,
		  struct local_connection *connection, const struct local_binding_wish *wish,
		  struct error *error);

/* Releases and frees it; its port may be gone. */
void port_user_remove(struct port_user *user);

/*
 * The port is about to be deleted: takes it from all of them, whose syncs fail from now on. They
 * do not count in the port's ->users any more.
 */
void port_users_evict(struct inventory_port *port);

#endif
