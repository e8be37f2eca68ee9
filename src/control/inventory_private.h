/* SPDX-License-Identifier: BSD-2-Clause */
/* What inventory.c and inventory_made.c share: steps of making and undoing. */
#ifndef PTNET_CONTROL_INVENTORY_PRIVATE_H
#define PTNET_CONTROL_INVENTORY_PRIVATE_H

#include "control/inventory.h"

/*
 * Makes a region. @sockets: who may connect to its memdev socket, as far as it was said; NULL: it
 * gets none.
 */
int inventory_region_make(struct inventory_region **region, struct inventory *inventory,
			  const char *name, const struct region_config *config, bool implicit,
			  const struct socket_access *sockets, struct error *error);
void inventory_region_unmake_if_unused(struct inventory *inventory,
				       struct inventory_region *region);

/* The switch of that name, made as an implicit one of @programs if there is none. */
int inventory_switch_get(struct inventory_switch **on_switch, struct inventory *inventory,
			 const char *name, const struct socket_access *programs,
			 struct error *error);
void inventory_switch_unmake_if_unused(struct inventory *inventory,
				       struct inventory_switch *perhaps);

/*
 * Puts @port into the engine, unless it is a null port, and, unless @sockets is NULL, opens its
 * socket. Takes the port over, on failure too: other ports may know of it already, so only the
 * engine can say when it may be destroyed. Its lifetime is PORT_CONFIGURED.
 */
int inventory_port_publish(struct inventory_port **out, struct inventory *inventory,
			   struct port *port, struct inventory_region *region,
			   struct inventory_switch *on_switch, const struct socket_access *sockets,
			   struct error *error);
/* Undoes it and destroys the port; programs that have it lose it. */
void inventory_port_withdraw(struct inventory *inventory, struct inventory_port *port);

/* Withdraws a port that is no end of a pipe, and whatever existed for it only. */
void inventory_port_unmake(struct inventory *inventory, struct inventory_port *port);
void inventory_pipe_unmake(struct inventory *inventory, struct inventory_pipe *pipe);

#endif
