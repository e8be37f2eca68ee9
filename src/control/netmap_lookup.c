/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Names: spec/ports.md section 1. Types are tried in order; the first that claims the
 * request decides, also when it fails.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control/netmap_device.h"

#define VALE_PART_MAX	   15 /* bytes behind the ':' */
#define INTERFACE_NAME_MAX 15
#define MAX_PIPES	   64 /* of one parent */
#define MONITOR_FLAGS	   (NR_MONITOR_TX | NR_MONITOR_RX | NR_ZCOPY_MON)
#define MAX_EXTRA_BUFFERS  (128u * 4096u) /* of a VALE port when it is made */

/* What netmap takes, less what would spoil log and JSON. */
static bool printable(const char *name)
{
	for (; *name != '\0'; name++)
		if (!isgraph((unsigned char)*name))
			return false;
	return true;
}

/* ---- what there is ---- */

bool netmap_vale_name(const char *name, char switch_name[VALE_NAME_SIZE], const char **port_part)
{
	const char *colon = strchr(name, ':');
	size_t length;

	if (colon == NULL || strncmp(name, NM_BDG_NAME, 4) != 0)
		return false;
	length = (size_t)(colon - name);
	if (length >= VALE_NAME_SIZE || strlen(colon + 1) > VALE_PART_MAX || !printable(colon))
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isalnum((unsigned char)name[i]) && name[i] != '_')
			return false;
	memcpy(switch_name, name, length);
	switch_name[length] = '\0';
	*port_part = colon + 1;
	return true;
}

/* What the port is called behind the ':' of its switch. */
static const char *part_of(const struct inventory_port *port)
{
	const char *colon = strchr(port->port->name, ':');

	return colon != NULL ? colon + 1 : port->port->name;
}

struct inventory_port *netmap_port_on(const struct inventory *inventory,
				      const struct inventory_switch *on_switch, const char *part)
{
	struct inventory_port *port;

	TAILQ_FOREACH (port, &inventory->ports, link)
		if (inventory_index_on(port, on_switch) >= 0 && strcmp(part_of(port), part) == 0)
			break;
	return port;
}

struct inventory_port *netmap_persistent_find(const struct inventory *inventory, const char *name)
{
	struct inventory_port *port = inventory_port_find(inventory, name);

	if (port == NULL || (port->lifetime != PORT_PERSISTENT && port->lifetime != PORT_IMPLICIT))
		return NULL;
	return port;
}

bool netmap_interface_name(const char *name)
{
	return name[0] != '\0' && strlen(name) <= INTERFACE_NAME_MAX && printable(name) &&
	       strpbrk(name, "/:{}") == NULL && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

bool netmap_system_interface(const char *name)
{
	char path[64];

	if (!netmap_interface_name(name))
		return false;
	snprintf(path, sizeof(path), "/sys/class/net/%s", name);
	return access(path, F_OK) == 0;
}

/* ---- who may do what ---- */

/*
 * Who may open a pipe gets its parent's memory: a program that made the pipe cannot let
 * in anybody who may not open the parent.
 */
int netmap_may_open(struct netmap_call *call, const struct inventory_port *port)
{
	for (const struct inventory_port *each = port; each != NULL;
	     each = each->pipe != NULL ? each->pipe->parent : NULL)
		if (!local_peer_allowed(call->peer, &each->programs))
			return error_set(&call->error, EACCES,
					 "port %s: user %d may not open it: it belongs to user %d, "
					 "group %d, mode %03o",
					 each->port->name, (int)call->peer->uid,
					 (int)each->programs.uid, (int)each->programs.gid,
					 (unsigned)each->programs.mode);
	return 0;
}

struct socket_access netmap_own_access(const struct netmap_call *call)
{
	const struct netmap_config *config = &call->device->config;

	return (struct socket_access){
		.uid = call->peer->uid,
		.gid = config->access.gid,
		.mode = config->made_mode,
	};
}

int netmap_may_make(struct netmap_call *call)
{
	const struct inventory_port *port;
	unsigned made = 0;

	TAILQ_FOREACH (port, &call->inventory->ports, link)
		made += port->lifetime != PORT_CONFIGURED && port->programs.uid == call->peer->uid;
	if (made < NETMAP_MAX_MADE || call->peer->uid == 0)
		return 0;
	return error_set(&call->error, ENOMEM, "user %d has made %u ports, which is the most",
			 (int)call->peer->uid, made);
}

/* A switch more that is there for programs' ports only. */
static int may_make_switch(struct netmap_call *call)
{
	const struct inventory_switch *other;
	unsigned all = 0, his = 0;

	TAILQ_FOREACH (other, &call->inventory->switches, link) {
		all += other->implicit;
		his += other->implicit && other->programs.uid == call->peer->uid;
	}
	if (all >= NETMAP_MAX_SWITCHES)
		return error_set(&call->error, ENOMEM, "there are %u switches, which is the most",
				 all);
	if (his >= NETMAP_MAX_USER_SWITCHES && call->peer->uid != 0)
		return error_set(&call->error, ENOMEM,
				 "user %d has made %u switches, which is the most",
				 (int)call->peer->uid, his);
	return 0;
}

int netmap_may_make_on(struct netmap_call *call, const struct inventory_switch *on_switch,
		       const char *name)
{
	if (on_switch == NULL)
		return may_make_switch(call);
	if (local_peer_allowed(call->peer, &on_switch->programs))
		return 0;
	return error_set(&call->error, EACCES,
			 "switch %s: user %d may not make ports on it: it belongs to user %d, "
			 "group %d, mode %03o",
			 name, (int)call->peer->uid, (int)on_switch->programs.uid,
			 (int)on_switch->programs.gid, (unsigned)on_switch->programs.mode);
}

/* Whoever may open a port of the region sees all of it anyway. */
static bool may_use_region(struct netmap_call *call, const struct inventory_region *region)
{
	const struct inventory_port *port;

	if (call->peer->uid == 0)
		return true;
	if (region_id(region->region) == REGION_GLOBAL_ID)
		return call->device->config.global_region;
	TAILQ_FOREACH (port, &call->inventory->ports, link)
		if (port->region == region && netmap_may_open(call, port) == 0)
			return true;
	return false;
}

int netmap_region(struct netmap_call *call, uint16_t id, struct inventory_region **region)
{
	*region = NULL;
	if (id == 0)
		return 0;
	*region = inventory_region_by_id(call->inventory, id, &call->error);
	if (*region == NULL)
		return -call->error.code;
	inventory_region_hold(*region);
	if (may_use_region(call, *region))
		return 0;
	inventory_region_drop(call->inventory, *region);
	*region = NULL;
	return error_set(&call->error, EACCES,
			 "memory region %u: user %d may open no port that lies in it%s", id,
			 (int)call->peer->uid,
			 id == REGION_GLOBAL_ID ? ", and the configuration does not give it to "
						  "everybody (netmap.global_region)"
						: "");
}

/* ---- types of ports ---- */

static uint32_t clamp(uint32_t wish, uint32_t normal, uint32_t least, uint32_t most)
{
	if (wish == 0)
		return normal;
	return wish < least ? least : wish > most ? most : wish;
}

/* @tx_slots, @rx_slots: how many there are if nothing else was wished. */
static void spec_fill(struct made_spec *spec, struct netmap_call *call,
		      const struct netmap_wish *wish, uint32_t tx_slots, uint32_t rx_slots)
{
	*spec = (struct made_spec){
		.config = {.tx_rings = clamp(wish->tx_rings, 1, 1, NM_BDG_MAXRINGS),
			   .rx_rings = clamp(wish->rx_rings, 1, 1, NM_BDG_MAXRINGS),
			   .tx_slots =
				   clamp(wish->tx_slots, tx_slots, PORT_MIN_SLOTS, NM_BDG_MAXSLOTS),
			   .rx_slots =
				   clamp(wish->rx_slots, rx_slots, PORT_MIN_SLOTS, NM_BDG_MAXSLOTS),
			   .log_limit = local_peer_log_limit(call->peer)},
		.region = wish->region,
		.extra_buffers = wish->extra_buffers < MAX_EXTRA_BUFFERS ? wish->extra_buffers
									 : MAX_EXTRA_BUFFERS,
		.programs = netmap_own_access(call),
		.lifetime = PORT_EPHEMERAL,
	};
}

void netmap_spec_fill(struct netmap_call *call, const struct netmap_wish *wish,
		      struct made_spec *spec)
{
	spec_fill(spec, call, wish, PORT_DEFAULT_SLOTS, PORT_DEFAULT_SLOTS);
}

/* Section 7: every open makes a new one. */
static int lookup_null(struct netmap_call *call, const struct netmap_wish *wish,
		       struct inventory_port **port)
{
	struct made_spec spec;
	int rc = netmap_may_make(call);

	if (rc < 0)
		return rc;
	if (wish->region == NULL)
		return error_set(&call->error, EINVAL,
				 "a null port needs memory: give nr_mem_id or external memory");
	if (wish->tx_rings > NM_BDG_MAXRINGS || wish->rx_rings > NM_BDG_MAXRINGS ||
	    wish->tx_slots > NM_BDG_MAXSLOTS || wish->rx_slots > NM_BDG_MAXSLOTS)
		return error_set(&call->error, EINVAL,
				 "a null port has at most %d rings in each direction, of %d slots",
				 NM_BDG_MAXRINGS, NM_BDG_MAXSLOTS);
	spec_fill(&spec, call, wish, 0, 0);
	spec.config.tx_rings = wish->tx_rings;
	spec.config.rx_rings = wish->rx_rings;
	spec.config.tx_slots = wish->tx_slots;
	spec.config.rx_slots = wish->rx_slots;
	return inventory_null_make(port, call->inventory, &spec, &call->error);
}

/* Section 4: what can be said without a data path for them. */
static int lookup_monitor(struct netmap_call *call, const char *name,
			  const struct netmap_wish *wish)
{
	struct netmap_wish parent_wish = *wish;
	struct inventory_port *parent = NULL;
	bool open;
	int rc;

	parent_wish.flags &= ~(uint64_t)MONITOR_FLAGS;
	rc = netmap_lookup(call, name, &parent_wish, &parent);
	if (rc < 0 || parent == NULL)
		return rc;
	open = port_owner(parent->port) != PORT_OWNER_NONE;
	inventory_port_put(call->inventory, parent);
	if (!open)
		return error_set(&call->error, EINVAL,
				 "a monitor needs a port that somebody has open, %s is not", name);
	return error_set(&call->error, EOPNOTSUPP, "this ptnetd has no monitors yet");
}

static int malformed_vale(struct netmap_call *call, const char *name, bool create)
{
	return error_set(&call->error, create ? ENOMEM : ENXIO,
			 "%s is no name of a port: give valeX:NAME with letters, digits and '_' in "
			 "X, at most 11 of them, and at most %d characters in NAME",
			 name, VALE_PART_MAX);
}

static int make_ephemeral(struct netmap_call *call, const char *name, const char *switch_name,
			  const struct netmap_wish *wish, struct inventory_port **port)
{
	struct made_spec spec;
	int rc = netmap_may_make(call);

	if (rc == 0)
		rc = netmap_may_make_on(call, inventory_switch_find(call->inventory, switch_name),
					switch_name);
	if (rc < 0)
		return rc;
	netmap_spec_fill(call, wish, &spec);
	snprintf(spec.config.name, sizeof(spec.config.name), "%s", name);
	return inventory_vale_make(port, call->inventory, &spec, switch_name, &call->error);
}

/* Section 2. */
static int lookup_vale(struct netmap_call *call, const char *name, const struct netmap_wish *wish,
		       struct inventory_port **port)
{
	const struct inventory_switch *on_switch;
	char switch_name[VALE_NAME_SIZE];
	const char *part;

	if (!netmap_vale_name(name, switch_name, &part))
		return malformed_vale(call, name, wish->create);
	on_switch = inventory_switch_find(call->inventory, switch_name);
	*port = on_switch != NULL ? netmap_port_on(call->inventory, on_switch, part) : NULL;
	if (*port != NULL)
		return netmap_may_open(call, *port);
	if (!wish->create)
		return error_set(&call->error, ENXIO, "there is no port %s", name);
	if (netmap_persistent_find(call->inventory, part) != NULL || netmap_system_interface(part))
		return error_set(&call->error, EINVAL,
				 "%s is an interface that is not attached to switch %s: attach it "
				 "first, or choose another name",
				 part, switch_name);
	return make_ephemeral(call, name, switch_name, wish, port);
}

static int lookup_interface(struct netmap_call *call, const char *name,
			    struct inventory_port **port)
{
	bool of_system = netmap_system_interface(name);

	*port = netmap_persistent_find(call->inventory, name);
	/* A parent that pipes of a system's interface were given is not that interface. */
	if (*port != NULL && !(of_system && (*port)->lifetime == PORT_IMPLICIT))
		return netmap_may_open(call, *port);
	if (of_system)
		return error_set(
			&call->error, EOPNOTSUPP,
			"%s is a network interface of the system: this ptnetd has no ports "
			"for those yet",
			name);
	return error_set(&call->error, ENXIO, "there is no interface %s", name);
}

/* ---- pipes: section 3.1 ---- */

/* Of parent and id, by the last bracket. */
struct pipe_name {
	char master[PORT_NAME_SIZE];
	char parent[PORT_NAME_SIZE];
	bool slave;
};

/* netmap looks for the last '{' first, which leaves "P{1}2", the slave of a pipe of P{1, no name.
 */
static const char *bracket_of(const char *name)
{
	const char *brace = strrchr(name, '{'), *closing = strrchr(name, '}');

	return closing == NULL || (brace != NULL && brace > closing) ? brace : closing;
}

static int pipe_name_split(struct netmap_call *call, const char *name, struct pipe_name *split)
{
	const char *bracket = bracket_of(name);

	if (bracket == name || bracket[1] == '\0' || !printable(name))
		return error_set(&call->error, EINVAL,
				 "%s is no name of a pipe: give PARENT{ID or PARENT}ID", name);
	split->slave = *bracket == '}';
	snprintf(split->parent, sizeof(split->parent), "%.*s", (int)(bracket - name), name);
	snprintf(split->master, sizeof(split->master), "%s", name);
	split->master[bracket - name] = '{';
	return 0;
}

/* What pipes lie in: a parent, or the region that configured pipes of this name share. */
struct pipe_place {
	struct inventory_port *parent; /* counts one user more; NULL: none */
	struct inventory_region *region;
};

/* Of pipes that the configuration has without a port as their parent. */
static bool configured_place(struct netmap_call *call, const char *parent, struct pipe_place *place)
{
	place->region = inventory_region_find(call->inventory, parent);
	return place->region != NULL && place->region->implicit;
}

static int may_use_place(struct netmap_call *call, const struct pipe_place *place)
{
	struct inventory_region *region;
	int rc = netmap_region(call, region_id(place->region->region), &region);

	inventory_region_drop(call->inventory, region);
	return rc;
}

static int implicit_parent(struct netmap_call *call, const char *name,
			   const struct netmap_wish *wish, struct pipe_place *place)
{
	struct made_spec spec;

	if (!netmap_interface_name(name))
		return error_set(&call->error, ENXIO,
				 "there is no interface %s, and there can be none: a pipe's parent "
				 "has a name of at most %d characters, without ':' and '/'",
				 name, INTERFACE_NAME_MAX);
	netmap_spec_fill(call, wish, &spec);
	snprintf(spec.config.name, sizeof(spec.config.name), "%s", name);
	return inventory_implicit_parent_make(&place->parent, call->inventory, &spec, &call->error);
}

/* The parent, whoever has it open, or what stands for it. */
static int pipe_place_find(struct netmap_call *call, const char *name,
			   const struct netmap_wish *wish, struct pipe_place *place)
{
	int rc;

	*place = (struct pipe_place){0};
	/* First, as lookup_interface() does not show the one that pipes of eth0 were given. */
	place->parent = netmap_persistent_find(call->inventory, name);
	if (place->parent != NULL) {
		rc = netmap_may_open(call, place->parent);
		if (rc < 0)
			return rc;
		inventory_port_get(place->parent);
	} else {
		rc = netmap_lookup(call, name, wish, &place->parent);
		if (rc != 0)
			place->parent = NULL;
	}
	if ((rc == -ENXIO || rc == -EOPNOTSUPP) && wish->create && strncmp(name, "vale", 4) != 0) {
		if (configured_place(call, name, place))
			return may_use_place(call, place);
		rc = implicit_parent(call, name, wish, place);
		if (rc == 0)
			inventory_port_get(place->parent);
	}
	if (rc == 0 && place->parent != NULL)
		place->region = place->parent->region;
	return rc;
}

static unsigned pipes_of(const struct inventory *inventory, const struct inventory_port *parent)
{
	const struct inventory_pipe *pipe;
	unsigned count = 0;

	TAILQ_FOREACH (pipe, &inventory->pipes, link)
		count += pipe->parent == parent;
	return count;
}

static int make_pipe(struct netmap_call *call, const struct pipe_name *name,
		     const struct netmap_wish *wish, const struct pipe_place *place,
		     struct inventory_pipe **pipe)
{
	const struct port *parent = place->parent != NULL ? place->parent->port : NULL;
	struct made_spec spec;
	int rc = netmap_may_make(call);

	if (rc < 0)
		return rc;
	if (parent != NULL && pipes_of(call->inventory, place->parent) >= MAX_PIPES)
		return error_set(&call->error, EINVAL, "%s has %d pipes, which is the most",
				 parent->name, MAX_PIPES);
	if (place->parent != NULL && !SLIST_EMPTY(&place->parent->second))
		return error_set(&call->error, EBUSY, "%s is attached to a second switch",
				 parent->name);
	spec_fill(&spec, call, wish, parent != NULL ? parent->tx_slots : PORT_DEFAULT_SLOTS,
		  parent != NULL ? parent->rx_slots : PORT_DEFAULT_SLOTS);
	spec.region = place->region;
	memcpy(spec.config.name, name->master, sizeof(spec.config.name));
	return inventory_pipe_make(pipe, call->inventory, &spec, place->parent, &call->error);
}

static int lookup_pipe(struct netmap_call *call, const char *name, const struct netmap_wish *wish,
		       struct inventory_port **port)
{
	struct inventory_pipe *pipe;
	struct pipe_place place;
	struct pipe_name split;
	int rc = pipe_name_split(call, name, &split);

	if (rc < 0)
		return rc;
	if (wish->mode != NR_REG_ALL_NIC && wish->mode != NR_REG_ONE_NIC)
		return error_set(&call->error, EINVAL, "%s: a pipe has no host rings", name);
	pipe = inventory_pipe_find(call->inventory, split.master);
	if (pipe != NULL) {
		*port = split.slave ? pipe->slave : pipe->master;
		return netmap_may_open(call, *port);
	}
	if (!wish->create)
		return error_set(&call->error, ENODEV, "there is no pipe %s", split.master);
	rc = pipe_place_find(call, split.parent, wish, &place);
	if (rc < 0)
		return rc;
	rc = make_pipe(call, &split, wish, &place, &pipe);
	if (place.parent != NULL)
		inventory_port_put(call->inventory, place.parent);
	if (rc < 0)
		return rc;
	/* Who makes it may open it, whatever mode it has for later: else nobody would. */
	*port = split.slave ? pipe->slave : pipe->master;
	return 0;
}

int netmap_lookup(struct netmap_call *call, const char *name, const struct netmap_wish *wish,
		  struct inventory_port **port)
{
	int rc;

	*port = NULL;
	if (wish->mode == NR_REG_NULL)
		rc = lookup_null(call, wish, port);
	else if ((wish->flags & MONITOR_FLAGS) != 0)
		return lookup_monitor(call, name, wish);
	else if (bracket_of(name) != NULL)
		rc = lookup_pipe(call, name, wish, port);
	else if (strncmp(name, NM_BDG_NAME, 4) == 0)
		rc = lookup_vale(call, name, wish, port);
	else
		rc = lookup_interface(call, name, port);
	if (rc == 0 && *port != NULL)
		inventory_port_get(*port);
	return rc;
}
