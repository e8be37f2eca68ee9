/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inventory as JSON, in the form that docs/control-protocol.md describes.
 * Nothing is stopped for it; a ring's lock is held while its positions are copied.
 * The caller owns what is returned; NULL: out of memory. Control thread.
 */
#ifndef PTNET_CONTROL_SHOW_H
#define PTNET_CONTROL_SHOW_H

#include <jansson.h>

#include "control/inventory.h"
#include "control/netmap_device.h"

json_t *show_region(const struct inventory *inventory, const struct inventory_region *region);
json_t *show_switch(const struct inventory_switch *shown);
json_t *show_port(const struct inventory_port *port);
json_t *show_netmap(const struct netmap_device *device);
json_t *show_processes(const struct inventory_port *port);
json_t *show_pipe(const struct inventory_pipe *pipe);

json_t *show_regions(const struct inventory *inventory);
json_t *show_switches(const struct inventory *inventory);
json_t *show_ports(const struct inventory *inventory);
json_t *show_pipes(const struct inventory *inventory);

/* The address table of a switch. */
json_t *show_macs(const struct inventory_switch *shown);

/* Who is attached to the port, and how. */
json_t *show_attachment(const struct inventory_port *port);

/* State, positions and counters of each ring of a port. */
json_t *show_counters(const struct inventory_port *port);

json_t *show_workers(struct engine *engine);

#endif
