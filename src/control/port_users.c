/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/port_users.h"

#include <errno.h>
#include <stdlib.h>

#include "attach/local_endpoint.h"
#include "control/inventory.h"
#include "port/null.h"

void port_users_init(struct port_users *users)
{
	TAILQ_INIT(&users->list);
	users->endpoint = NULL;
}

static void endpoint_put(struct port_users *users)
{
	if (!TAILQ_EMPTY(&users->list))
		return;
	local_endpoint_destroy(users->endpoint);
	users->endpoint = NULL;
}

int port_user_add(struct port_user **out, struct engine *engine, struct inventory_port *port,
		  struct local_connection *connection, const struct local_binding_wish *wish,
		  struct error *error)
{
	struct port_users *users = &port->processes;
	struct port_user *user = calloc(1, sizeof(*user));
	int rc = 0;

	if (user == NULL)
		return error_set(error, ENOMEM, "out of memory");
	if (users->endpoint == NULL && !port_is_null(port->port))
		rc = local_endpoint_create(&users->endpoint, engine, port->port, error);
	if (rc == 0)
		rc = local_binding_open(&user->binding, port->port, users->endpoint, wish, error);
	if (rc < 0) {
		endpoint_put(users);
		free(user);
		return rc;
	}
	user->port = port;
	user->connection = connection;
	TAILQ_INSERT_TAIL(&users->list, user, link);
	*out = user;
	return 0;
}

void port_user_remove(struct port_user *user)
{
	local_binding_close(&user->binding);
	if (user->port != NULL) {
		TAILQ_REMOVE(&user->port->processes.list, user, link);
		endpoint_put(&user->port->processes);
	}
	free(user);
}

void port_users_evict(struct inventory_port *port)
{
	struct port_users *users = &port->processes;
	struct port_user *user;

	if (users->endpoint != NULL)
		local_endpoint_end(users->endpoint);
	while ((user = TAILQ_FIRST(&users->list)) != NULL) {
		TAILQ_REMOVE(&users->list, user, link);
		local_binding_orphan(&user->binding);
		user->port = NULL;
		port->users--;
	}
	endpoint_put(users);
}
