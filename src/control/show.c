/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/show.h"

#include <stdio.h>
#include <stdlib.h>

#include "engine/engine.h"
#include "ring/kring.h"

/*
 * A list of what @show makes of each element. json_array_append_new() and
 * json_object_set_new() free a value that they cannot take, and take no NULL.
 */
#define SHOW_ALL(type, list, show)                                                                 \
	do {                                                                                       \
		const struct type *element;                                                        \
		json_t *array = json_array();                                                      \
                                                                                                   \
		TAILQ_FOREACH (element, list, link)                                                \
			json_array_append_new(array, show);                                        \
		return array;                                                                      \
	} while (0)

static json_t *integer(uint64_t value)
{
	return json_integer((json_int_t)value);
}

static json_t *show_mac(const uint8_t mac[6])
{
	char text[18];

	snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		 mac[3], mac[4], mac[5]);
	return json_string(text);
}

static json_t *show_pool(const struct pool_geometry *pool)
{
	return json_pack("{s:o, s:o, s:o}", "offset", integer(pool->offset), "objtotal",
			 integer(pool->objtotal), "objsize", integer(pool->objsize));
}

/* Empty: there is no such file. */
static json_t *show_path(const char *path)
{
	return path[0] != '\0' ? json_string(path) : json_null();
}

/* Which programs may use it. */
static json_t *show_access(const struct socket_access *access)
{
	char mode[8];

	snprintf(mode, sizeof(mode), "%04o", (unsigned)access->mode);
	return json_pack("{s:o, s:o, s:s}", "uid", integer(access->uid), "gid",
			 integer(access->gid), "mode", mode);
}

static json_t *show_errors(const uint64_t counts[VFIO_USER_ERROR_COUNT])
{
	json_t *errors = json_object();

	for (unsigned i = 0; i < VFIO_USER_ERROR_COUNT; i++)
		json_object_set_new(errors, vfio_user_error_names[i], integer(counts[i]));
	return errors;
}

static json_t *names_of_ports_in(const struct inventory *inventory,
				 const struct inventory_region *region)
{
	const struct inventory_port *port;
	json_t *names = json_array();

	TAILQ_FOREACH (port, &inventory->ports, link)
		if (port->region == region)
			json_array_append_new(names, json_string(port->port->name));
	return names;
}

json_t *show_region(const struct inventory *inventory, const struct inventory_region *region)
{
	const struct region_geometry *geometry = region_geometry(region->region);
	struct memdev_status status = {0};
	uint32_t connections = 0;

	if (region->listener != NULL) {
		memdev_get_status(region->listener, &status);
		connections = memdev_connections(region->listener);
	}
	return json_pack("{s:s, s:i, s:b, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
			 "s:o, s:o, s:o}",
			 "name", region->name, "id", (int)region_id(region->region), "implicit",
			 region->implicit, "memsize", integer(geometry->memsize), "hugepages",
			 geometry->hugepages, "if_pool", show_pool(&geometry->if_pool), "ring_pool",
			 show_pool(&geometry->ring_pool), "buf_pool",
			 show_pool(&geometry->buf_pool), "csb_num", integer(geometry->csb_num),
			 "rings_free", integer(region_rings_free(region->region)), "bufs_free",
			 integer(region_bufs_free(region->region)), "ports",
			 names_of_ports_in(inventory, region), "socket", show_path(region->socket),
			 "connections", integer(connections), "messages", integer(status.messages),
			 "protocol_errors", integer(status.protocol_errors), "errors",
			 show_errors(status.errors));
}

json_t *show_switch(const struct inventory_switch *shown)
{
	json_t *ports = json_array();

	for (unsigned i = 0; i < VALE_MAX_PORTS; i++) {
		const struct port *port = vale_port(shown->vale, i);

		if (port != NULL)
			json_array_append_new(ports, json_string(port->name));
	}
	return json_pack("{s:s, s:i, s:b, s:o, s:o, s:o, s:o, s:o}", "name", vale_name(shown->vale),
			 "index", (int)shown->index, "implicit", shown->implicit, "programs",
			 show_access(&shown->programs), "ageing_s",
			 integer(vale_ageing_s(shown->vale)), "mac_limit",
			 integer(shown->config.mac_limit), "macs",
			 integer(vale_macs(shown->vale, NULL, 0)), "ports", ports);
}

static bool port_connected(const struct inventory_port *port)
{
	struct netif_status status = {0};

	if (port->listener != NULL)
		netif_get_status(port->listener, &status);
	return status.connected;
}

json_t *show_attachment(const struct inventory_port *port)
{
	struct netif_status status;

	if (port->listener == NULL)
		return json_null();
	netif_get_status(port->listener, &status);
	return json_pack("{s:b, s:b, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "connected",
			 status.connected, "running", status.running, "extension", status.extension,
			 "bus_master", status.bus_master, "pid",
			 status.connected ? integer((uint64_t)status.peer_pid) : json_null(), "uid",
			 status.connected ? integer(status.peer_uid) : json_null(), "connections",
			 integer(status.connections), "messages", integer(status.messages),
			 "dma_ranges", integer(status.dma_ranges), "protocol_errors",
			 integer(status.protocol_errors), "errors", show_errors(status.errors));
}

static const char *const lifetime_names[] = {
	[PORT_CONFIGURED] = "configured",
	[PORT_PERSISTENT] = "persistent",
	[PORT_EPHEMERAL] = "ephemeral",
	[PORT_IMPLICIT] = "implicit",
};

/* Numbers of the rings in one direction that the descriptor is bound to. */
static json_t *show_bound(uint32_t rings, unsigned from, unsigned count)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < count; i++)
		if ((rings >> (from + i) & 1) != 0)
			json_array_append_new(array, integer(i));
	return array;
}

static json_t *show_process(const struct port_user *user)
{
	const struct local_binding *binding = &user->binding;
	const struct port *port = binding->port;
	const struct local_peer *peer = &user->connection->peer;

	return json_pack("{s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "pid", integer((uint64_t)peer->pid),
			 "uid", integer(peer->uid), "tx_rings",
			 show_bound(binding->rings, 0, port->tx_rings), "rx_rings",
			 show_bound(binding->rings, port->tx_rings, port->rx_rings), "exclusive",
			 binding->exclusive, "extra_buffers", integer(binding->num_extra),
			 "requests", integer(user->connection->requests));
}

json_t *show_processes(const struct inventory_port *port)
{
	const struct port_user *user;
	json_t *array = json_array();

	TAILQ_FOREACH (user, &port->processes.list, link)
		json_array_append_new(array, show_process(user));
	return array;
}

static json_t *show_attached(const struct inventory_port *port)
{
	const struct inventory_attachment *second;
	json_t *array = json_array();

	SLIST_FOREACH(second, &port->second, link)
	json_array_append_new(array, json_string(vale_name(second->on_switch->vale)));
	return array;
}

json_t *show_port(const struct inventory_port *port)
{
	const struct port *p = port->port;
	json_t *shown = json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:s, s:o, s:o, s:b, s:o, s:o, "
		"s:o}",
		"name", p->name, "type", p->ops->type, "lifetime", lifetime_names[port->lifetime],
		"mac", show_mac(p->mac), "tx_rings", integer(p->tx_rings), "rx_rings",
		integer(p->rx_rings), "tx_slots", integer(p->tx_slots), "rx_slots",
		integer(p->rx_slots), "max_frame", integer(p->max_frame), "vnet_hdr_len",
		integer(p->vnet_hdr_len), "region", port->region->name, "socket",
		show_path(port->socket), "memdev_socket", show_path(port->region->socket),
		"region_csb", p->csb_index >= 0, "attachment", show_attachment(port), "programs",
		show_access(&port->programs), "processes", show_processes(port));

	if (shown != NULL && port->on_switch != NULL) {
		json_object_set_new(shown, "switch", json_string(vale_name(port->on_switch->vale)));
		json_object_set_new(shown, "switch_index", integer(vale_port_index(p)));
	} else if (shown != NULL && port->pipe != NULL && pipe_peer(p) != NULL) {
		json_object_set_new(shown, "peer", json_string(pipe_peer(p)->name));
	}
	if (shown != NULL && !SLIST_EMPTY(&port->second))
		json_object_set_new(shown, "also_on", show_attached(port));
	return shown;
}

static unsigned num_processes(const struct inventory_port *port)
{
	const struct port_user *user;
	unsigned count = 0;

	TAILQ_FOREACH (user, &port->processes.list, link)
		count++;
	return count;
}

json_t *show_pipe(const struct inventory_pipe *pipe)
{
	const struct port *master = pipe->master->port;

	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o, s:b, s:b, s:o, s:o}", "name",
			 master->name, "master", master->name, "slave", pipe->slave->port->name,
			 "region", pipe->master->region->name, "rings", integer(master->tx_rings),
			 "slots", integer(master->tx_slots), "back_rings",
			 integer(master->rx_rings), "back_slots", integer(master->rx_slots),
			 "master_connected", port_connected(pipe->master), "slave_connected",
			 port_connected(pipe->slave), "master_processes",
			 integer(num_processes(pipe->master)), "slave_processes",
			 integer(num_processes(pipe->slave)));
}

json_t *show_regions(const struct inventory *inventory)
{
	SHOW_ALL(inventory_region, &inventory->regions, show_region(inventory, element));
}

json_t *show_switches(const struct inventory *inventory)
{
	SHOW_ALL(inventory_switch, &inventory->switches, show_switch(element));
}

json_t *show_ports(const struct inventory *inventory)
{
	SHOW_ALL(inventory_port, &inventory->ports, show_port(element));
}

json_t *show_pipes(const struct inventory *inventory)
{
	SHOW_ALL(inventory_pipe, &inventory->pipes, show_pipe(element));
}

json_t *show_macs(const struct inventory_switch *shown)
{
	unsigned capacity = vale_macs(shown->vale, NULL, 0) + 64;
	struct vale_mac *macs = calloc(capacity, sizeof(*macs));
	json_t *array = json_array();

	if (macs == NULL)
		return array;
	unsigned count = vale_macs(shown->vale, macs, capacity);

	/* Workers learn meanwhile: there may be more by now than there is room for. */
	for (unsigned i = 0; i < count && i < capacity; i++) {
		const struct port *port = vale_port(shown->vale, macs[i].port_index);

		json_array_append_new(array,
				      json_pack("{s:o, s:s*, s:o}", "mac", show_mac(macs[i].mac),
						"port", port != NULL ? port->name : NULL, "age_s",
						integer(macs[i].age_s)));
	}
	free(macs);
	return array;
}

/* What a ring was at one moment. */
struct ring_snapshot {
	enum kring_state state;
	enum ptnet_ring_fault fault;
	uint32_t head, cur, hwcur, hwtail;
};

static struct ring_snapshot ring_snapshot(struct kring *kring)
{
	struct ring_snapshot now;

	pthread_mutex_lock(&kring->lock);
	now = (struct ring_snapshot){.state = kring->state,
				     .fault = kring->fault,
				     .head = kring->head,
				     .cur = kring->cur,
				     .hwcur = kring->hwcur,
				     .hwtail = kring->hwtail};
	pthread_mutex_unlock(&kring->lock);
	return now;
}

static json_t *show_ring(struct kring *kring)
{
	struct ring_snapshot now = ring_snapshot(kring);
	json_t *counters = json_object();

	for (unsigned i = 0; i < RING_COUNTER_COUNT; i++)
		json_object_set_new(counters, ring_counter_names[i],
				    integer(ring_counter_get(&kring->counters, i)));
	return json_pack("{s:s, s:i, s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "direction",
			 kring->dir == KRING_TX ? "tx" : "rx", "index", (int)kring->index, "state",
			 kring_state_name(now.state), "fault", kring_fault_name(now.fault), "slots",
			 integer(kring->num_slots), "head", integer(now.head), "cur",
			 integer(now.cur), "hwcur", integer(now.hwcur), "hwtail",
			 integer(now.hwtail), "counters", counters);
}

json_t *show_counters(const struct inventory_port *port)
{
	json_t *rings = json_array();

	for (unsigned i = 0; i < port_num_rings(port->port); i++)
		json_array_append_new(rings, show_ring(&port->port->rings[i]));
	return json_pack("{s:s, s:o, s:o}", "name", port->port->name, "bad_kicks",
			 integer(atomic_load(&port->port->bad_kicks)), "rings", rings);
}

static json_t *show_programs(const struct inventory *inventory)
{
	const struct inventory_port *port;
	const struct port_user *user;
	json_t *array = json_array();

	TAILQ_FOREACH (port, &inventory->ports, link) {
		TAILQ_FOREACH (user, &port->processes.list, link) {
			json_t *shown = show_process(user);

			json_object_set_new(shown, "port", json_string(port->port->name));
			json_array_append_new(array, shown);
		}
	}
	return array;
}

json_t *show_netmap(const struct netmap_device *device)
{
	struct local_status status;
	json_t *errors;

	if (device == NULL)
		return json_null();
	local_server_get_status(device->server, &status);
	errors = json_object();
	for (unsigned i = 0; i < LOCAL_ERROR_COUNT; i++)
		json_object_set_new(errors, local_error_names[i], integer(status.errors[i]));
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o}", "socket", device->config.path,
			 "programs", show_programs(device->inventory), "connected",
			 integer(status.connected), "connections", integer(status.connections),
			 "requests", integer(status.requests), "errors", errors);
}

json_t *show_workers(struct engine *engine)
{
	json_t *array = json_array();

	for (unsigned i = 0; i < engine_num_workers(engine); i++) {
		struct engine_worker_stats stats;

		engine_worker_stats(engine, i, &stats);
		json_array_append_new(
			array, json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "index",
					 (int)i, "rings", integer(stats.rings), "watches",
					 integer(stats.watches), "wakeups", integer(stats.wakeups),
					 "batches", integer(stats.batches), "rechecks",
					 integer(stats.rechecks), "looks", integer(stats.looks),
					 "looks_paid", integer(stats.looks_paid)));
	}
	return array;
}
