/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/inventory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attach/region_watch.h"
#include "control/configuration.h"
#include "control/inventory_made.h"
#include "control/inventory_private.h"
#include "engine/engine.h"
#include "log/log.h"
#include "port/null.h"

/* Each descriptor that a program binds takes one, of 1 KiB: netmap's ten are soon used up. */
#define MIN_INTERFACES 64
#define MIN_BUFFERS    4098 /* netmap's smallest private region, spec/ports.md section 8.4 */

static int out_of_memory(struct error *error)
{
	error_set(error, ENOMEM, "out of memory");
	return -ENOMEM;
}

void inventory_init(struct inventory *inventory, struct engine *engine, struct event_base *base,
		    const char *sockets_directory, const struct socket_access *access,
		    const struct socket_access *programs)
{
	*inventory = (struct inventory){
		.engine = engine, .base = base, .access = *access, .programs = *programs};
	snprintf(inventory->sockets_directory, sizeof(inventory->sockets_directory), "%s",
		 sockets_directory);
	TAILQ_INIT(&inventory->regions);
	TAILQ_INIT(&inventory->switches);
	TAILQ_INIT(&inventory->ports);
	TAILQ_INIT(&inventory->pipes);
}

struct inventory_region *inventory_region_find(const struct inventory *inventory, const char *name)
{
	struct inventory_region *region;

	TAILQ_FOREACH (region, &inventory->regions, link)
		if (strcmp(region->name, name) == 0)
			break;
	return region;
}

struct inventory_switch *inventory_switch_find(const struct inventory *inventory, const char *name)
{
	struct inventory_switch *found;

	TAILQ_FOREACH (found, &inventory->switches, link)
		if (strcmp(vale_name(found->vale), name) == 0)
			break;
	return found;
}

struct inventory_port *inventory_port_find(const struct inventory *inventory, const char *name)
{
	struct inventory_port *port;

	TAILQ_FOREACH (port, &inventory->ports, link)
		if (strcmp(port->port->name, name) == 0)
			break;
	return port;
}

struct inventory_pipe *inventory_pipe_find(const struct inventory *inventory, const char *name)
{
	struct inventory_pipe *pipe;

	TAILQ_FOREACH (pipe, &inventory->pipes, link)
		if (strcmp(pipe->master->port->name, name) == 0)
			break;
	return pipe;
}

/* ---- regions ---- */

/* Lets VMs in, or at least looks after the memory. */
static int region_open(struct inventory_region *region, struct inventory *inventory,
		       const struct socket_access *sockets, struct error *error)
{
	struct socket_access access;

	if (sockets == NULL)
		return region_watch_open(&region->watch, engine_least_loaded(inventory->engine),
					 region->region, region->name, NULL, NULL, error);
	access = socket_access_or(*sockets, inventory->access);
	return memdev_listen(&region->listener, inventory->engine, inventory->base, region->region,
			     region->name, region->socket, &access, error);
}

int inventory_region_make(struct inventory_region **out, struct inventory *inventory,
			  const char *name, const struct region_config *config, bool implicit,
			  const struct socket_access *sockets, struct error *error)
{
	struct inventory_region *made = calloc(1, sizeof(*made));
	struct region_config named = *config;
	int rc = 0;

	if (made == NULL)
		return out_of_memory(error);
	named.name = name;
	snprintf(made->name, sizeof(made->name), "%s", name);
	made->implicit = implicit;
	if (sockets != NULL)
		rc = name_region_socket(made->socket, inventory->sockets_directory, name, error);
	if (rc < 0)
		goto fail_name;
	rc = region_create(&made->region, &named, error);
	if (rc < 0)
		goto fail_region;
	rc = region_open(made, inventory, sockets, error);
	if (rc < 0)
		goto fail_open;
	TAILQ_INSERT_TAIL(&inventory->regions, made, link);
	*out = made;
	return 0;

fail_open:
	region_put(made->region);
fail_region:
fail_name:
	free(made);
	return rc;
}

static void region_unmake(struct inventory *inventory, struct inventory_region *region)
{
	TAILQ_REMOVE(&inventory->regions, region, link);
	if (region->listener != NULL)
		memdev_unlisten(region->listener);
	region_watch_close(region->watch);
	region_put(region->region);
	free(region);
}

void inventory_region_unmake_if_unused(struct inventory *inventory, struct inventory_region *region)
{
	if (region->implicit && region->num_ports == 0 && region->num_holds == 0)
		region_unmake(inventory, region);
}

int inventory_region_add(struct inventory *inventory, const struct region_spec *spec,
			 struct error *error)
{
	struct inventory_region *region = inventory_region_find(inventory, spec->name);
	int rc;

	if (region != NULL)
		return error_set(error, EEXIST, "region \"%s\" exists already%s", spec->name,
				 region->implicit ? ": it belongs to the pipes of that name" : "");
	rc = inventory_region_make(&region, inventory, spec->name, &spec->config, false,
				   &spec->access, error);
	if (rc < 0)
		error_prefix(error, "region \"%s\"", spec->name);
	else
		log_info("region \"%s\" made: %llu MiB, id %u, socket %s", region->name,
			 (unsigned long long)region_geometry(region->region)->memsize >> 20,
			 region_id(region->region), region->socket);
	return rc;
}

/* A region of somebody's own could not be made: its sizes are nobody's to choose. */
static void own_region_failed(struct error *error)
{
	error_prefix(error, "its region");
	if (error != NULL && error->code == EINVAL)
		error_suffix(error, "; that follows from \"rings\", \"slots\" and \"pipes\": ask "
				    "for fewer");
}

/* What to do when a port found no room in @region. */
static void explain_room(struct error *error, const struct inventory_region *region)
{
	if (error == NULL || (error->code != ENOMEM && error->code != EINVAL))
		return;
	if (region->implicit)
		error_suffix(error,
			     "; region \"%s\" has the size that its first port or pipe asked for: "
			     "make that one with more \"rings\", \"slots\" or \"pipes\", or put "
			     "all of them into a named region",
			     region->name);
	else
		error_suffix(error,
			     "; the sizes of region \"%s\" are fixed: make a larger one, or delete "
			     "what else is in it",
			     region->name);
}

/* The first port in @region, for the message; there is one. */
static const char *region_user(const struct inventory *inventory,
			       const struct inventory_region *region)
{
	const struct inventory_port *port;

	TAILQ_FOREACH (port, &inventory->ports, link)
		if (port->region == region)
			return port->port->name;
	return "";
}

int inventory_region_del(struct inventory *inventory, const char *name, bool force,
			 struct error *error)
{
	struct inventory_region *region = inventory_region_find(inventory, name);

	if (region == NULL)
		return error_set(error, ENOENT, "there is no region \"%s\"", name);
	if (region->num_ports > 0)
		return error_set(error, EBUSY,
				 "region \"%s\" is used by %u ports, such as \"%s\": delete them "
				 "first",
				 name, region->num_ports, region_user(inventory, region));
	if (region->listener != NULL)
		memdev_notice_ends(region->listener);
	if (!force && region->listener != NULL && memdev_connections(region->listener) > 0)
		return error_set(error, EBUSY,
				 "region \"%s\" is mapped by %u VMs: stop them first, or force it",
				 name, memdev_connections(region->listener));
	region_unmake(inventory, region);
	log_info("region \"%s\" deleted", name);
	return 0;
}

/* The region that a spec names. */
static int region_named(struct inventory_region **region, const struct inventory *inventory,
			const char *name, struct error *error)
{
	*region = inventory_region_find(inventory, name);
	if (*region != NULL && !(*region)->implicit)
		return 0;
	error_set(
		error, ENOENT,
		"there is no region \"%s\": add it first, or leave \"region\" out for a region of "
		"its own",
		name);
	return -ENOENT;
}

/* ---- switches ---- */

/* The lowest number that no switch has. */
static unsigned switch_index_free(const struct inventory *inventory)
{
	const struct inventory_switch *other;
	unsigned index = 0;

	do {
		TAILQ_FOREACH (other, &inventory->switches, link)
			if (other->index == index)
				break;
	} while (other != NULL && ++index > 0);
	return index;
}

static int switch_make(struct inventory_switch **out, struct inventory *inventory,
		       const struct vale_config *config, bool implicit,
		       const struct socket_access *programs, struct error *error)
{
	struct inventory_switch *made = calloc(1, sizeof(*made));
	int rc;

	if (made == NULL)
		return out_of_memory(error);
	rc = vale_create(&made->vale, config, error);
	if (rc < 0) {
		free(made);
		return rc;
	}
	made->implicit = implicit;
	made->index = switch_index_free(inventory);
	made->config = *config;
	made->programs = socket_access_or(*programs, inventory->programs);
	TAILQ_INSERT_TAIL(&inventory->switches, made, link);
	*out = made;
	return 0;
}

static int switch_unmake(struct inventory *inventory, struct inventory_switch *gone,
			 struct error *error)
{
	int rc;

	if (gone->num_second > 0)
		return error_set(error, EBUSY,
				 "switch %s is the second one that %u persistent port%s attached "
				 "to; detach them first",
				 vale_name(gone->vale), gone->num_second,
				 gone->num_second == 1 ? " is" : "s are");
	rc = vale_destroy(gone->vale, error);
	if (rc < 0)
		return rc;
	TAILQ_REMOVE(&inventory->switches, gone, link);
	free(gone);
	return 0;
}

void inventory_switch_unmake_if_unused(struct inventory *inventory,
				       struct inventory_switch *perhaps)
{
	if (perhaps->implicit && vale_num_ports(perhaps->vale) == 0 && perhaps->num_second == 0)
		switch_unmake(inventory, perhaps, NULL);
}

int inventory_switch_add(struct inventory *inventory, const struct switch_spec *spec,
			 struct error *error)
{
	struct inventory_switch *made = inventory_switch_find(inventory, spec->config.name);
	int rc;

	if (made != NULL)
		return error_set(error, EEXIST, "switch \"%s\" exists already%s", spec->config.name,
				 made->implicit ? ": it was made with its first port and goes with "
						  "its last"
						: "");
	rc = switch_make(&made, inventory, &spec->config, false, &spec->programs, error);
	if (rc < 0)
		error_prefix(error, "switch \"%s\"", spec->config.name);
	else
		log_info("switch \"%s\" made", spec->config.name);
	return rc;
}

int inventory_switch_del(struct inventory *inventory, const char *name, struct error *error)
{
	struct inventory_switch *gone = inventory_switch_find(inventory, name);
	int rc;

	if (gone == NULL)
		return error_set(error, ENOENT, "there is no switch \"%s\"", name);
	rc = switch_unmake(inventory, gone, error);
	if (rc == 0)
		log_info("switch \"%s\" deleted", name);
	return rc;
}

int inventory_switch_get(struct inventory_switch **out, struct inventory *inventory,
			 const char *name, const struct socket_access *programs,
			 struct error *error)
{
	struct vale_config config = {.ageing_s = VALE_DEFAULT_AGEING_S,
				     .mac_limit = VALE_DEFAULT_MAC_LIMIT};

	*out = inventory_switch_find(inventory, name);
	if (*out != NULL)
		return 0;
	snprintf(config.name, sizeof(config.name), "%s", name);
	return switch_make(out, inventory, &config, true, programs, error);
}

/* ---- ports ---- */

static int port_open_socket(struct inventory_port *made, struct inventory *inventory,
			    const struct socket_access *sockets, struct error *error)
{
	struct socket_access access = socket_access_or(*sockets, inventory->access);
	int rc = name_port_socket(made->socket, inventory->sockets_directory, made->port->name,
				  error);

	if (rc < 0)
		return rc;
	return netif_listen(&made->listener, inventory->engine, inventory->base, made->port,
			    made->socket, &access, error);
}

int inventory_port_publish(struct inventory_port **out, struct inventory *inventory,
			   struct port *port, struct inventory_region *region,
			   struct inventory_switch *on_switch, const struct socket_access *sockets,
			   struct error *error)
{
	struct inventory_port *made = calloc(1, sizeof(*made));
	int rc = 0;

	if (!port_is_null(port))
		engine_add_port(inventory->engine, port);
	if (made == NULL) {
		rc = out_of_memory(error);
		goto fail;
	}
	made->port = port;
	made->region = region;
	made->on_switch = on_switch;
	made->programs = inventory->programs;
	port_users_init(&made->processes);
	SLIST_INIT(&made->second);
	if (sockets != NULL)
		rc = port_open_socket(made, inventory, sockets, error);
	if (rc < 0)
		goto fail;
	region->num_ports++;
	TAILQ_INSERT_TAIL(&inventory->ports, made, link);
	*out = made;
	return 0;

fail:
	engine_remove_port(inventory->engine, port);
	port_destroy(port);
	free(made);
	return rc;
}

void inventory_port_withdraw(struct inventory *inventory, struct inventory_port *port)
{
	TAILQ_REMOVE(&inventory->ports, port, link);
	port->region->num_ports--;
	port_users_evict(port);
	if (port->listener != NULL)
		netif_unlisten(port->listener);
	engine_remove_port(inventory->engine, port->port);
	port_destroy(port->port);
	free(port);
}

static bool port_connected(const struct inventory_port *port, pid_t *pid)
{
	struct netif_status status;

	if (port->listener == NULL)
		return false;
	netif_notice_end(port->listener);
	netif_get_status(port->listener, &status);
	*pid = status.peer_pid;
	return status.connected;
}

/* Nobody has the port: neither a VM nor a program. */
static int port_not_connected(const struct inventory_port *port, struct error *error)
{
	const struct port_user *user = TAILQ_FIRST(&port->processes.list);
	pid_t pid;

	if (user != NULL)
		return error_set(error, EBUSY,
				 "a program has \"%s\" open (process %d): end it first, or force "
				 "it: the program then gets errors",
				 port->port->name, (int)user->connection->peer.pid);
	if (!port_connected(port, &pid))
		return 0;
	return error_set(error, EBUSY,
			 "a VM is attached to \"%s\" (process %d): stop it first, or force it: the "
			 "VM's interface is then dead until it restarts",
			 port->port->name, (int)pid);
}

/*
 * The region for a VALE port: the named one, or a new one of its own. netmap's formula
 * knows pipes of one ring pair; ours have as many pairs as the port.
 */
static int vale_port_region(struct inventory_region **region, struct inventory *inventory,
			    const struct port_spec *spec, struct error *error)
{
	struct region_config config = spec->own, netmaps = {0};
	const struct port_config *port = &spec->config;
	uint32_t pairs = port->tx_rings * spec->pipes;
	int rc;

	if (spec->region[0] != '\0')
		return region_named(region, inventory, spec->region, error);
	/* A pipe's two ends share one buffer per pair of slots. */
	uint32_t buffers = 2 * (port->tx_rings + pairs) * port->tx_slots + REGION_FIRST_BUF;

	region_config_for_port(&netmaps, port->tx_rings, port->tx_rings, port->tx_slots,
			       port->tx_slots, 0, spec->pipes);
	config.buf_num = netmaps.buf_num > buffers ? netmaps.buf_num : buffers;
	region_config_for_port(&config, port->tx_rings, port->tx_rings, port->tx_slots,
			       port->tx_slots, 0, pairs);
	config.csb_num = 1 + 2 * spec->pipes;
	if (config.if_num < MIN_INTERFACES)
		config.if_num = MIN_INTERFACES;
	rc = inventory_region_make(region, inventory, port->name, &config, true, &spec->access,
				   error);
	if (rc < 0)
		own_region_failed(error);
	return rc;
}

static int vale_port_make(struct inventory_port **out, struct inventory *inventory,
			  const struct port_spec *spec, struct error *error)
{
	struct inventory_region *region;
	struct inventory_switch *on_switch;
	struct port *port;
	char switch_name[VALE_NAME_SIZE];
	int rc;

	rc = name_check_vale_port(spec->config.name, switch_name, error);
	if (rc < 0)
		return rc;
	rc = vale_port_region(&region, inventory, spec, error);
	if (rc < 0)
		return rc;
	rc = inventory_switch_get(&on_switch, inventory, switch_name, &SOCKET_ACCESS_UNSET, error);
	if (rc < 0)
		goto fail_switch;
	rc = vale_port_create(&port, on_switch->vale, &spec->config, region->region, error);
	if (rc < 0) {
		explain_room(error, region);
		goto fail_port;
	}
	rc = inventory_port_publish(out, inventory, port, region, on_switch, &spec->access, error);
	if (rc < 0)
		goto fail_port;
	(*out)->programs = socket_access_or(spec->programs, inventory->programs);
	return 0;

fail_port:
	inventory_switch_unmake_if_unused(inventory, on_switch);
fail_switch:
	inventory_region_unmake_if_unused(inventory, region);
	return rc;
}

int inventory_port_add(struct inventory *inventory, const struct port_spec *spec,
		       struct error *error)
{
	struct inventory_port *port;
	int rc;

	if (inventory_port_find(inventory, spec->config.name) != NULL)
		return error_set(error, EEXIST, "port \"%s\" exists already", spec->config.name);
	rc = vale_port_make(&port, inventory, spec, error);
	if (rc < 0)
		error_prefix(error, "port \"%s\"", spec->config.name);
	else
		log_info("port \"%s\" made: %u ring pairs of %u slots, region \"%s\", socket %s",
			 port->port->name, port->port->tx_rings, port->port->tx_slots,
			 port->region->name, port->socket);
	return rc;
}

static void second_attachments_drop(struct inventory *inventory, struct inventory_port *port)
{
	struct inventory_attachment *attachment;

	while ((attachment = SLIST_FIRST(&port->second)) != NULL) {
		SLIST_REMOVE_HEAD(&port->second, link);
		attachment->on_switch->num_second--;
		inventory_switch_unmake_if_unused(inventory, attachment->on_switch);
		free(attachment);
	}
}

void inventory_port_unmake(struct inventory *inventory, struct inventory_port *port)
{
	struct inventory_region *region = port->region;
	struct inventory_switch *on_switch = port->on_switch;

	second_attachments_drop(inventory, port);
	inventory_port_withdraw(inventory, port);
	if (on_switch != NULL)
		inventory_switch_unmake_if_unused(inventory, on_switch);
	inventory_region_unmake_if_unused(inventory, region);
}

/* A pipe whose parent is the port lies in the port's region, which must not go first. */
static int port_without_pipes(const struct inventory *inventory, const struct inventory_port *port,
			      struct error *error)
{
	const struct inventory_pipe *pipe;

	TAILQ_FOREACH (pipe, &inventory->pipes, link)
		if (pipe->parent == port || (port->pipe == NULL && port->region->implicit &&
					     pipe->master->region == port->region))
			return error_set(error, EBUSY,
					 "pipe \"%s\" lies in the region of port \"%s\": delete it "
					 "first",
					 pipe->master->port->name, port->port->name);
	return 0;
}

int inventory_port_del(struct inventory *inventory, const char *name, bool force,
		       struct error *error)
{
	struct inventory_port *port = inventory_port_find(inventory, name);
	int rc;

	if (port == NULL)
		return error_set(error, ENOENT, "there is no port \"%s\"", name);
	if (port->pipe != NULL)
		return error_set(error, EINVAL,
				 "\"%s\" is one end of a pipe: delete the pipe to delete both",
				 name);
	rc = port_without_pipes(inventory, port, error);
	if (rc == 0 && !force)
		rc = port_not_connected(port, error);
	if (rc < 0)
		return rc;
	inventory_port_unmake(inventory, port);
	log_info("port \"%s\" deleted", name);
	return 0;
}

/* ---- pipes ---- */

static int pipe_region_new(struct inventory_region **region, struct inventory *inventory,
			   const char *parent, const struct port_spec *spec, struct error *error)
{
	struct region_config config = spec->own;
	const struct port_config *port = &spec->config;
	uint32_t pipes = spec->pipes > 0 ? spec->pipes : 1;
	int rc;

	/* Per pipe: two ends, which share one buffer per pair of slots; as many to spare. */
	uint32_t buffers = 2 * pipes * 2 * port->tx_rings * port->tx_slots + REGION_FIRST_BUF;

	if (config.buf_num == 0)
		config.buf_num = buffers > MIN_BUFFERS ? buffers : MIN_BUFFERS;
	region_config_for_port(&config, port->tx_rings, port->tx_rings, port->tx_slots,
			       port->tx_slots, 0, pipes * port->tx_rings);
	config.csb_num = 2 * pipes;
	if (config.if_num < MIN_INTERFACES)
		config.if_num = MIN_INTERFACES;
	rc = inventory_region_make(region, inventory, parent, &config, true, &spec->access, error);
	if (rc < 0)
		own_region_failed(error);
	return rc;
}

/* The region of the port whose pipe it is to be. */
static int pipe_region_of_port(struct inventory_region **region, const struct inventory *inventory,
			       const char *name, struct error *error)
{
	const struct inventory_port *port = inventory_port_find(inventory, name);

	if (port != NULL && port->listener != NULL) {
		*region = port->region;
		return 0;
	}
	if (port != NULL) {
		error_set(error, EINVAL,
			  "port \"%s\" was made by a program, and no VM can map its region: choose "
			  "another parent, or name a region",
			  name);
		return -EINVAL;
	}
	error_set(error, ENOENT,
		  "there is no port \"%s\" whose pipe it could be: add the port first, or name a "
		  "region",
		  name);
	return -ENOENT;
}

/* The region that all pipes of a parent share which is no port; new with the first. */
static int pipe_region_of_word(struct inventory_region **region, struct inventory *inventory,
			       const char *word, const struct port_spec *spec, struct error *error)
{
	*region = inventory_region_find(inventory, word);
	if (*region == NULL)
		return pipe_region_new(region, inventory, word, spec, error);
	if ((*region)->implicit)
		return 0;
	error_set(error, EEXIST,
		  "a pipe of \"%s\" gets a region of that name, but there is one already: say "
		  "\"region\": \"%s\" to put the pipe there",
		  word, word);
	return -EEXIST;
}

/* netmap's rule: a pipe lies in the region of its parent, which need not be a port. */
static int pipe_region(struct inventory_region **region, struct inventory *inventory,
		       const struct port_spec *spec, struct error *error)
{
	char parent[PORT_NAME_SIZE];
	int rc = name_check_pipe(spec->config.name, false, parent, error);

	if (rc < 0)
		return rc;
	if (spec->region[0] != '\0')
		return region_named(region, inventory, spec->region, error);
	rc = strchr(parent, ':') != NULL || inventory_port_find(inventory, parent) != NULL
		     ? pipe_region_of_port(region, inventory, parent, error)
		     : pipe_region_of_word(region, inventory, parent, spec, error);
	if (rc < 0)
		return rc;
	const uint32_t objsize = region_geometry((*region)->region)->buf_pool.objsize;

	/* A new region's buffers are rounded up: not less than was asked for. */
	if (spec->own.buf_size <= objsize && (*region)->num_ports == 0)
		return 0;
	if (spec->own.buf_size == 0 || spec->own.buf_size == objsize)
		return 0;
	error_set(error, EINVAL,
		  "buf_size %u: the pipe lies in region \"%s\", which has buffers of %u bytes",
		  spec->own.buf_size, (*region)->name, objsize);
	return -EINVAL;
}

static int pipe_make(struct inventory_pipe **out, struct inventory *inventory,
		     const struct port_spec *spec, struct error *error)
{
	struct inventory_pipe *made = calloc(1, sizeof(*made));
	struct inventory_region *region;
	struct port *master, *slave;
	int rc;

	if (made == NULL)
		return out_of_memory(error);
	rc = pipe_region(&region, inventory, spec, error);
	if (rc < 0)
		goto fail_region;
	rc = pipe_create(&master, &slave, &spec->config, region->region, error);
	if (rc < 0) {
		explain_room(error, region);
		goto fail_pipe;
	}
	rc = inventory_port_publish(&made->master, inventory, master, region, NULL, &spec->access,
				    error);
	if (rc < 0)
		goto fail_master;
	rc = inventory_port_publish(&made->slave, inventory, slave, region, NULL, &spec->access,
				    error);
	if (rc < 0)
		goto fail_slave;
	made->master->pipe = made->slave->pipe = made;
	made->master->programs = made->slave->programs =
		socket_access_or(spec->programs, inventory->programs);
	TAILQ_INSERT_TAIL(&inventory->pipes, made, link);
	*out = made;
	return 0;

fail_slave:
	inventory_port_withdraw(inventory, made->master);
	goto fail_pipe;
fail_master:
	port_destroy(slave);
fail_pipe:
	inventory_region_unmake_if_unused(inventory, region);
fail_region:
	free(made);
	return rc;
}

void inventory_pipe_unmake(struct inventory *inventory, struct inventory_pipe *pipe)
{
	struct inventory_region *region = pipe->master->region;
	struct inventory_port *parent = pipe->parent;

	TAILQ_REMOVE(&inventory->pipes, pipe, link);
	inventory_port_withdraw(inventory, pipe->master);
	inventory_port_withdraw(inventory, pipe->slave);
	inventory_region_unmake_if_unused(inventory, region);
	free(pipe);
	if (parent != NULL)
		inventory_port_put(inventory, parent);
}

int inventory_pipe_add(struct inventory *inventory, const struct port_spec *spec,
		       struct error *error)
{
	struct inventory_pipe *pipe = NULL;
	int rc;

	if (inventory_pipe_find(inventory, spec->config.name) != NULL)
		return error_set(error, EEXIST, "pipe \"%s\" exists already", spec->config.name);
	rc = pipe_make(&pipe, inventory, spec, error);
	if (rc < 0)
		error_prefix(error, "pipe \"%s\"", spec->config.name);
	else
		log_info("pipe \"%s\" made: %u ring pairs of %u slots, region \"%s\", sockets %s "
			 "and %s",
			 spec->config.name, pipe->master->port->tx_rings,
			 pipe->master->port->tx_slots, pipe->master->region->name,
			 pipe->master->socket, pipe->slave->socket);
	return rc;
}

int inventory_pipe_del(struct inventory *inventory, const char *name, bool force,
		       struct error *error)
{
	struct inventory_pipe *pipe = inventory_pipe_find(inventory, name);
	int rc;

	if (pipe == NULL && strchr(name, '}') != NULL && inventory_port_find(inventory, name))
		return error_set(error, EINVAL,
				 "\"%s\" is the slave end of a pipe: name the pipe by its master "
				 "end, which has '{'",
				 name);
	if (pipe == NULL)
		return error_set(error, ENOENT, "there is no pipe \"%s\"", name);
	rc = port_without_pipes(inventory, pipe->master, error);
	if (rc == 0)
		rc = port_without_pipes(inventory, pipe->slave, error);
	if (rc == 0 && !force)
		rc = port_not_connected(pipe->master, error);
	if (rc == 0 && !force)
		rc = port_not_connected(pipe->slave, error);
	if (rc < 0)
		return rc;
	inventory_pipe_unmake(inventory, pipe);
	log_info("pipe \"%s\" deleted", name);
	return 0;
}

/* ---- all of it ---- */

int inventory_apply(struct inventory *inventory, const struct configuration *configuration,
		    struct error *error)
{
	int rc = 0;

	for (size_t i = 0; i < configuration->num_regions && rc == 0; i++)
		rc = inventory_region_add(inventory, &configuration->regions[i], error);
	for (size_t i = 0; i < configuration->num_switches && rc == 0; i++)
		rc = inventory_switch_add(inventory, &configuration->switches[i], error);
	for (size_t i = 0; i < configuration->num_ports && rc == 0; i++)
		rc = inventory_port_add(inventory, &configuration->ports[i], error);
	for (size_t i = 0; i < configuration->num_pipes && rc == 0; i++)
		rc = inventory_pipe_add(inventory, &configuration->pipes[i], error);
	return rc;
}

void inventory_fini(struct inventory *inventory)
{
	struct inventory_switch *found, *next_switch;
	struct inventory_region *region, *next_region;
	struct inventory_pipe *pipe, *older;
	struct inventory_port *port, *next_port;

	/* So that none goes with its last user, while we go through the lists. */
	TAILQ_FOREACH (port, &inventory->ports, link)
		inventory_port_get(port);
	/* A pipe's parent, which may be the end of one, is older. */
	for (pipe = TAILQ_LAST(&inventory->pipes, inventory_pipes); pipe != NULL; pipe = older) {
		older = TAILQ_PREV(pipe, inventory_pipes, link);
		inventory_pipe_unmake(inventory, pipe);
	}
	for (port = TAILQ_FIRST(&inventory->ports); port != NULL; port = next_port) {
		next_port = TAILQ_NEXT(port, link);
		inventory_port_unmake(inventory, port);
	}
	for (found = TAILQ_FIRST(&inventory->switches); found != NULL; found = next_switch) {
		next_switch = TAILQ_NEXT(found, link);
		switch_unmake(inventory, found, NULL);
	}
	for (region = TAILQ_FIRST(&inventory->regions); region != NULL; region = next_region) {
		next_region = TAILQ_NEXT(region, link);
		region_unmake(inventory, region);
	}
}
