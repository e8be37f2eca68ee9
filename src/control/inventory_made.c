/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/inventory_made.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/inventory_private.h"
#include "engine/engine.h"
#include "log/log.h"
#include "port/null.h"

#define NETMAP_PIPES 2 /* of a port's private region, spec/ports.md section 8.4 */
/* An implicit parent has rings of its own here, which netmap's gets when somebody opens it. */
#define PARENT_RINGS 2

/* ---- regions ---- */

int inventory_made_region(struct inventory_region **region, struct inventory *inventory,
			  const char *name, const struct region_config *config, struct error *error)
{
	char full[REGION_NAME_SIZE];
	int rc;

	/* No region that people name has a colon. */
	snprintf(full, sizeof(full), "netmap:%.*s", REGION_NAME_SIZE - 8, name);
	rc = inventory_region_make(region, inventory, full, config, true, NULL, error);
	if (rc == -ENOSPC) /* no memory id, or no mapping, is left */
		rc = -(error->code = ENOMEM);
	if (rc < 0)
		error_prefix(error, "its memory region");
	return rc;
}

void inventory_region_hold(struct inventory_region *region)
{
	if (region != NULL)
		region->num_holds++;
}

void inventory_region_drop(struct inventory *inventory, struct inventory_region *region)
{
	if (region == NULL)
		return;
	region->num_holds--;
	inventory_region_unmake_if_unused(inventory, region);
}

static struct inventory_region *global_region(struct inventory *inventory, struct error *error)
{
	const struct region_config config = {.id = REGION_GLOBAL_ID};
	struct inventory_region *region;

	return inventory_made_region(&region, inventory, "global", &config, error) == 0 ? region
											: NULL;
}

struct inventory_region *inventory_region_by_id(struct inventory *inventory, uint16_t id,
						struct error *error)
{
	struct inventory_region *region;

	TAILQ_FOREACH (region, &inventory->regions, link)
		if (region_id(region->region) == id)
			return region;
	if (id == REGION_GLOBAL_ID)
		return global_region(inventory, error);
	error_set(error, EINVAL, "there is no memory region %u", id);
	return NULL;
}

/* The spec's, or a new one by netmap's formula. */
static int region_for(struct inventory_region **region, struct inventory *inventory,
		      const struct made_spec *spec, struct error *error)
{
	const struct port_config *port = &spec->config;
	struct region_config config = {0};

	*region = spec->region;
	if (*region != NULL)
		return 0;
	region_config_for_port(&config, port->tx_rings, port->rx_rings, port->tx_slots,
			       port->rx_slots, spec->extra_buffers, NETMAP_PIPES);
	return inventory_made_region(region, inventory, port->name, &config, error);
}

/* Whatever does not fit is netmap's ENOMEM, from objects too small to switches too full. */
static int no_room(struct error *error)
{
	if (error->code == EINVAL || error->code == ENOSPC)
		error->code = ENOMEM;
	return -error->code;
}

/* ---- ports ---- */

static int publish(struct inventory_port **out, struct inventory *inventory, struct port *port,
		   struct inventory_region *region, struct inventory_switch *on_switch,
		   const struct made_spec *spec, struct error *error)
{
	int rc = inventory_port_publish(out, inventory, port, region, on_switch, NULL, error);

	if (rc < 0)
		return rc;
	(*out)->lifetime = spec->lifetime;
	(*out)->programs = spec->programs;
	log_debug("port \"%s\" made for user %d: %u TX, %u RX rings, region %u", port->name,
		  (int)spec->programs.uid, port->tx_rings, port->rx_rings,
		  region_id(region->region));
	return 0;
}

static int vale_make_in(struct inventory_port **out, struct inventory *inventory,
			const struct made_spec *spec, struct inventory_region *region,
			struct inventory_switch *on_switch, struct error *error)
{
	struct port_config config = spec->config;
	struct port *port;
	int rc;

	config.no_netmap_if = true;
	rc = vale_port_create(&port, on_switch != NULL ? on_switch->vale : NULL, &config,
			      region->region, error);
	if (rc < 0)
		return no_room(error);
	return publish(out, inventory, port, region, on_switch, spec, error);
}

int inventory_vale_make(struct inventory_port **out, struct inventory *inventory,
			const struct made_spec *spec, const char *switch_name, struct error *error)
{
	struct inventory_switch *on_switch = NULL;
	struct inventory_region *region;
	int rc = region_for(&region, inventory, spec, error);

	if (rc < 0)
		return rc;
	if (switch_name != NULL)
		rc = inventory_switch_get(&on_switch, inventory, switch_name, &spec->programs,
					  error);
	if (rc == 0)
		rc = vale_make_in(out, inventory, spec, region, on_switch, error);
	if (rc < 0) {
		if (on_switch != NULL)
			inventory_switch_unmake_if_unused(inventory, on_switch);
		inventory_region_unmake_if_unused(inventory, region);
	}
	return rc;
}

int inventory_null_make(struct inventory_port **out, struct inventory *inventory,
			struct made_spec *spec, struct error *error)
{
	struct port_config *config = &spec->config;
	struct port *port;
	int rc;

	snprintf(config->name, sizeof(config->name), "null:%llu",
		 (unsigned long long)++inventory->null_ports);
	config->no_netmap_if = true;
	rc = null_port_create(&port, config, spec->region->region, error);
	if (rc < 0)
		return no_room(error);
	return publish(out, inventory, port, spec->region, NULL, spec, error);
}

int inventory_implicit_parent_make(struct inventory_port **out, struct inventory *inventory,
				   const struct made_spec *pipe, struct error *error)
{
	const struct port_config *wish = &pipe->config;
	struct made_spec spec = *pipe;
	struct region_config config = {0};
	int rc;

	spec.lifetime = PORT_IMPLICIT;
	spec.config.tx_rings = spec.config.rx_rings = 1;
	spec.config.tx_slots = spec.config.rx_slots = PORT_DEFAULT_SLOTS;
	if (spec.region == NULL) {
		region_config_for_port(&config, wish->tx_rings, wish->rx_rings, wish->tx_slots,
				       wish->rx_slots, pipe->extra_buffers, NETMAP_PIPES);
		config.ring_num += PARENT_RINGS;
		if (wish->tx_rings + wish->rx_rings > PARENT_RINGS)
			config.ring_num += 2 * (wish->tx_rings + wish->rx_rings);
		rc = inventory_made_region(&spec.region, inventory, spec.config.name, &config,
					   error);
		if (rc < 0)
			return rc;
	}
	rc = vale_make_in(out, inventory, &spec, spec.region, NULL, error);
	if (rc < 0)
		inventory_region_unmake_if_unused(inventory, spec.region);
	return rc;
}

int inventory_pipe_make(struct inventory_pipe **out, struct inventory *inventory,
			const struct made_spec *spec, struct inventory_port *parent,
			struct error *error)
{
	struct inventory_pipe *made = calloc(1, sizeof(*made));
	struct port_config config = spec->config;
	struct port *master, *slave;
	int rc;

	if (made == NULL)
		return error_set(error, ENOMEM, "out of memory");
	config.no_netmap_if = true;
	rc = pipe_create(&master, &slave, &config, spec->region->region, error);
	if (rc < 0) {
		no_room(error);
		goto fail_pipe;
	}
	rc = publish(&made->master, inventory, master, spec->region, NULL, spec, error);
	if (rc < 0)
		goto fail_master;
	rc = publish(&made->slave, inventory, slave, spec->region, NULL, spec, error);
	if (rc < 0)
		goto fail_slave;
	made->master->pipe = made->slave->pipe = made;
	made->parent = parent;
	if (parent != NULL)
		inventory_port_get(parent);
	TAILQ_INSERT_TAIL(&inventory->pipes, made, link);
	*out = made;
	return 0;

fail_slave:
	inventory_port_withdraw(inventory, made->master);
	goto fail_pipe;
fail_master:
	port_destroy(slave);
fail_pipe:
	free(made);
	return rc < 0 ? -error->code : rc;
}

/* ---- users ---- */

void inventory_port_get(struct inventory_port *port)
{
	port->users++;
}

void inventory_port_put(struct inventory *inventory, struct inventory_port *port)
{
	if (--port->users > 0 || port->lifetime == PORT_CONFIGURED ||
	    port->lifetime == PORT_PERSISTENT)
		return;
	if (port->pipe == NULL)
		inventory_port_unmake(inventory, port);
	else if (port->pipe->master->users == 0 && port->pipe->slave->users == 0)
		inventory_pipe_unmake(inventory, port->pipe);
}

void inventory_persistent_del(struct inventory *inventory, struct inventory_port *port)
{
	inventory_port_unmake(inventory, port);
}

/* ---- attaching persistent ports ---- */

static struct inventory_attachment *attachment_on(const struct inventory_port *port,
						  const struct inventory_switch *on_switch)
{
	struct inventory_attachment *attachment;

	SLIST_FOREACH(attachment, &port->second, link)
	if (attachment->on_switch == on_switch)
		break;
	return attachment;
}

int inventory_index_on(const struct inventory_port *port, const struct inventory_switch *on_switch)
{
	const struct inventory_attachment *attachment = attachment_on(port, on_switch);

	if (attachment != NULL)
		return (int)attachment->index;
	if (on_switch != NULL && port->on_switch == on_switch)
		return (int)vale_port_index(port->port);
	return -1;
}

/* An index of the switch that neither a port of its own nor such an attachment has. */
static int index_free(const struct inventory *inventory, const struct inventory_switch *on_switch)
{
	for (int index = VALE_MAX_PORTS - 1; index >= 0; index--) {
		const struct inventory_port *port;

		if (vale_port(on_switch->vale, (unsigned)index) != NULL)
			continue;
		TAILQ_FOREACH (port, &inventory->ports, link)
			if (inventory_index_on(port, on_switch) == index)
				break;
		if (port == NULL)
			return index;
	}
	return -1;
}

static int attach_second(struct inventory *inventory, struct inventory_port *port,
			 struct inventory_switch *on_switch, struct error *error)
{
	struct inventory_attachment *attachment = calloc(1, sizeof(*attachment));
	int index = index_free(inventory, on_switch);

	if (attachment == NULL || index < 0) {
		free(attachment);
		return error_set(error, ENOMEM, "switch %s has no room for %s",
				 vale_name(on_switch->vale), port->port->name);
	}
	attachment->on_switch = on_switch;
	attachment->index = (unsigned)index;
	on_switch->num_second++;
	SLIST_INSERT_HEAD(&port->second, attachment, link);
	return index;
}

int inventory_attach(struct inventory *inventory, struct inventory_port *port,
		     const char *switch_name, const struct socket_access *programs,
		     struct error *error)
{
	struct inventory_switch *on_switch;
	int rc = inventory_switch_get(&on_switch, inventory, switch_name, programs, error);

	if (rc < 0)
		return rc;
	if (port->on_switch != NULL) {
		rc = attach_second(inventory, port, on_switch, error);
	} else {
		rc = vale_port_attach(port->port, on_switch->vale, error);
		if (rc < 0)
			no_room(error);
		else
			port->on_switch = on_switch;
	}
	if (rc < 0)
		inventory_switch_unmake_if_unused(inventory, on_switch);
	return rc < 0 ? -error->code : rc;
}

/* In two steps: a worker may be forwarding to it (port/vale.h). */
static void detach_first(struct inventory *inventory, struct inventory_port *port)
{
	vale_port_unpublish(port->port);
	engine_synchronize(inventory->engine);
	vale_port_forget(port->port);
	port->on_switch = NULL;
}

int inventory_detach(struct inventory *inventory, struct inventory_port *port,
		     const struct inventory_switch *from, struct error *error)
{
	struct inventory_attachment *latest = SLIST_FIRST(&port->second);
	int index = inventory_index_on(port, from);
	struct inventory_switch *on_switch = port->on_switch;

	if (index < 0)
		return error_set(error, ENXIO, "port %s is not on switch %s", port->port->name,
				 vale_name(from->vale));
	if (latest != NULL && latest->on_switch != from)
		return error_set(error, EBUSY,
				 "port %s came onto switch %s later: detach it there "
				 "first",
				 port->port->name, vale_name(latest->on_switch->vale));
	if (latest != NULL) {
		on_switch = latest->on_switch;
		SLIST_REMOVE_HEAD(&port->second, link);
		on_switch->num_second--;
		free(latest);
	} else {
		detach_first(inventory, port);
	}
	inventory_switch_unmake_if_unused(inventory, on_switch);
	return index;
}
