/* SPDX-License-Identifier: BSD-2-Clause */
/* Operations on switches and persistent ports: spec/netmap-api.md sections 5.7, 5.8, 5.10, 5.11. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/netmap_device.h"
#include "log/log.h"

#define NO_PORT_INDEX 255

/* The two parts of "valeX:NAME"; @malformed is the errno if it is not that. */
static int name_split(struct netmap_call *call, char switch_name[VALE_NAME_SIZE], const char **part,
		      int malformed)
{
	const char *name = call->request->name;

	if (strncmp(name, NM_BDG_NAME, 4) != 0)
		return error_set(&call->error, EINVAL, "%s does not begin with \"vale\"", name);
	if (!netmap_vale_name(name, switch_name, part))
		return error_set(&call->error, malformed, "%s is no name of a port on a switch",
				 name);
	return 0;
}

/* ---- attaching ---- */

static int attachable(struct netmap_call *call, const char *part, struct inventory_port **port)
{
	*port = netmap_persistent_find(call->inventory, part);
	if (*port == NULL && netmap_system_interface(part))
		return error_set(&call->error, EOPNOTSUPP,
				 "%s is a network interface of the system: this ptnetd cannot "
				 "attach those yet",
				 part);
	if (*port == NULL)
		return error_set(&call->error, EINVAL,
				 "there is no interface %s: only those and persistent ports can be "
				 "attached",
				 part);
	if (!TAILQ_EMPTY(&(*port)->processes.list))
		return error_set(&call->error, EBUSY, "%s is in use", part);
	return netmap_may_open(call, *port);
}

int netmap_vale_attach(struct netmap_call *call)
{
	const struct nmreq_vale_attach *asked = &call->request->body.vale_attach;
	const struct inventory_switch *on_switch;
	struct inventory_region *region;
	struct inventory_port *port;
	struct socket_access own = netmap_own_access(call);
	char switch_name[VALE_NAME_SIZE];
	const char *part;
	int rc = netmap_region(call, asked->reg.nr_mem_id, &region);

	if (rc < 0)
		return rc;
	inventory_region_drop(call->inventory, region);
	rc = name_split(call, switch_name, &part, ENOMEM);
	if (rc < 0)
		return rc;
	on_switch = inventory_switch_find(call->inventory, switch_name);
	if (on_switch != NULL && netmap_port_on(call->inventory, on_switch, part) != NULL)
		return error_set(&call->error, EBUSY, "%s is on switch %s already", part,
				 switch_name);
	rc = attachable(call, part, &port);
	if (rc == 0)
		rc = netmap_may_make_on(call, on_switch, switch_name);
	if (rc == 0)
		rc = inventory_attach(call->inventory, port, switch_name, &own, &call->error);
	if (rc < 0)
		return rc;
	call->answer->reply.body.vale_attach.port_index = (uint32_t)rc;
	return 0;
}

int netmap_vale_detach(struct netmap_call *call)
{
	const struct inventory_switch *from;
	struct inventory_port *port = NULL;
	char switch_name[VALE_NAME_SIZE];
	const char *part;
	int rc = name_split(call, switch_name, &part, ENXIO);

	if (rc < 0)
		return rc;
	from = inventory_switch_find(call->inventory, switch_name);
	if (from != NULL)
		port = netmap_port_on(call->inventory, from, part);
	if (port == NULL)
		return error_set(&call->error, ENXIO, "there is no port %s", call->request->name);
	if (port->lifetime == PORT_EPHEMERAL || port->lifetime == PORT_CONFIGURED)
		return error_set(&call->error, EBUSY, "port %s leaves its switch only by going",
				 port->port->name);
	if (!local_peer_owns(call->peer, port->programs.uid))
		return error_set(&call->error, EPERM, "port %s is user %d's to detach",
				 port->port->name, (int)port->programs.uid);
	rc = inventory_detach(call->inventory, port, from, &call->error);
	if (rc < 0)
		return rc;
	call->answer->reply.body.vale_detach.port_index = (uint32_t)rc;
	return 0;
}

/* ---- listing ---- */

static int list_named(struct netmap_call *call)
{
	struct nmreq_vale_list *list = &call->answer->reply.body.vale_list;
	const char *name = call->request->name;
	const struct inventory_switch *found;
	const struct inventory_port *port;
	char switch_name[VALE_NAME_SIZE];
	const char *part;

	if (strncmp(name, NM_BDG_NAME, 4) != 0)
		return error_set(&call->error, EINVAL, "%s does not begin with \"vale\"", name);
	found = netmap_vale_name(name, switch_name, &part)
			? inventory_switch_find(call->inventory, switch_name)
			: NULL;
	if (found == NULL)
		return error_set(&call->error, ENOENT, "there is no switch of %s", name);
	port = netmap_port_on(call->inventory, found, part);
	list->nr_bridge_idx = (uint16_t)found->index;
	list->nr_port_idx =
		port != NULL ? (uint32_t)inventory_index_on(port, found) : NO_PORT_INDEX;
	return 0;
}

/* (switch, port) numbers as one, which orders them. */
static uint64_t order(uint64_t switch_index, uint32_t port_index)
{
	return switch_index << 32 | port_index;
}

static void list_entry(struct netmap_call *call, const struct inventory_switch *on_switch,
		       const struct inventory_port *port)
{
	struct ptnet_local_reply *reply = &call->answer->reply;
	const char *colon = strchr(port->port->name, ':');

	reply->body.vale_list.nr_bridge_idx = (uint16_t)on_switch->index;
	reply->body.vale_list.nr_port_idx = (uint32_t)inventory_index_on(port, on_switch);
	snprintf(reply->name, sizeof(reply->name), "%s:%.*s", vale_name(on_switch->vale),
		 VALE_PORT_PART_MAX, colon != NULL ? colon + 1 : port->port->name);
}

int netmap_vale_list(struct netmap_call *call)
{
	const struct nmreq_vale_list *asked = &call->request->body.vale_list;
	const uint64_t from = order(asked->nr_bridge_idx, asked->nr_port_idx);
	const struct inventory_switch *on_switch, *best_switch = NULL;
	const struct inventory_port *port, *best_port = NULL;
	uint64_t best = UINT64_MAX;

	if (call->request->name[0] != '\0')
		return list_named(call);
	TAILQ_FOREACH (on_switch, &call->inventory->switches, link)
		TAILQ_FOREACH (port, &call->inventory->ports, link) {
			int index = inventory_index_on(port, on_switch);
			uint64_t here = order(on_switch->index, (uint32_t)index);

			if (index < 0 || here < from || here >= best)
				continue;
			best = here;
			best_switch = on_switch;
			best_port = port;
		}
	if (best_port == NULL)
		return error_set(&call->error, ENOENT, "no switch has a port behind that");
	list_entry(call, best_switch, best_port);
	return 0;
}

/* ---- persistent ports ---- */

static int newif_name_check(struct netmap_call *call, const char *name)
{
	if (strncmp(name, NM_BDG_NAME, 4) == 0 || strlen(name) > VALE_PORT_PART_MAX ||
	    !netmap_interface_name(name))
		return error_set(&call->error, EINVAL,
				 "\"%s\" is no name for a persistent port: at most %d characters, "
				 "no braces or colons, and not \"vale\" at the beginning",
				 name, VALE_PORT_PART_MAX);
	if (netmap_persistent_find(call->inventory, name) != NULL || netmap_system_interface(name))
		return error_set(&call->error, EEXIST, "there is an interface %s already", name);
	return netmap_may_make(call);
}

int netmap_vale_newif(struct netmap_call *call)
{
	const struct nmreq_vale_newif *asked = &call->request->body.vale_newif;
	struct nmreq_vale_newif *made = &call->answer->reply.body.vale_newif;
	const struct netmap_wish wish = {
		.tx_rings = asked->nr_tx_rings,
		.rx_rings = asked->nr_rx_rings,
		.tx_slots = asked->nr_tx_slots,
		.rx_slots = asked->nr_rx_slots,
	};
	struct made_spec spec;
	struct inventory_port *port;
	int rc = newif_name_check(call, call->request->name);

	if (rc < 0)
		return rc;
	netmap_spec_fill(call, &wish, &spec);
	rc = netmap_region(call, asked->nr_mem_id, &spec.region);
	if (rc < 0)
		return rc;
	snprintf(spec.config.name, sizeof(spec.config.name), "%s", call->request->name);
	spec.lifetime = PORT_PERSISTENT;
	rc = inventory_vale_make(&port, call->inventory, &spec, NULL, &call->error);
	inventory_region_drop(call->inventory, spec.region);
	if (rc < 0)
		return rc;
	made->nr_tx_slots = port->port->tx_slots;
	made->nr_rx_slots = port->port->rx_slots;
	made->nr_tx_rings = (uint16_t)port->port->tx_rings;
	made->nr_rx_rings = (uint16_t)port->port->rx_rings;
	made->nr_mem_id = region_id(port->region->region);
	log_limited(local_peer_log_limit(call->peer), LOG_LEVEL_INFO,
		    "persistent port \"%s\" made for user %d", port->port->name,
		    (int)call->peer->uid);
	return 0;
}

int netmap_vale_delif(struct netmap_call *call)
{
	const char *name = call->request->name;
	struct inventory_port *port = netmap_persistent_find(call->inventory, name);

	if (port == NULL && netmap_system_interface(name))
		return error_set(&call->error, EINVAL, "%s is no persistent port", name);
	if (port == NULL)
		return error_set(&call->error, ENXIO, "there is no interface %s", name);
	if (port->lifetime == PORT_IMPLICIT)
		return error_set(&call->error, EINVAL, "%s goes with the last of its pipes", name);
	if (!local_peer_owns(call->peer, port->programs.uid))
		return error_set(&call->error, EPERM, "port %s is user %d's to delete", name,
				 (int)port->programs.uid);
	if (port->users > 0 || port->on_switch != NULL)
		return error_set(&call->error, EBUSY, "port %s is %s", name,
				 port->on_switch != NULL ? "attached to a switch" : "in use");
	log_limited(local_peer_log_limit(call->peer), LOG_LEVEL_INFO,
		    "persistent port \"%s\" deleted by user %d", name, (int)call->peer->uid);
	inventory_persistent_del(call->inventory, port);
	return 0;
}

/* ---- polling ---- */

/* Only attached NICs could poll, and there are none yet. */
int netmap_vale_polling(struct netmap_call *call)
{
	const struct inventory_switch *on_switch;
	char switch_name[VALE_NAME_SIZE];
	const char *part;
	int rc = name_split(call, switch_name, &part, ENXIO);

	if (rc < 0)
		return rc;
	on_switch = inventory_switch_find(call->inventory, switch_name);
	if (on_switch == NULL || netmap_port_on(call->inventory, on_switch, part) == NULL)
		return error_set(&call->error, ENXIO, "there is no port %s", call->request->name);
	return error_set(&call->error, EOPNOTSUPP,
			 "port %s is no network interface of the system, so there is nothing to "
			 "poll",
			 call->request->name);
}
