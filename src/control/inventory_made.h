/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What programs make through /dev/netmap, by netmap's rules for who comes and goes when
 * (spec/ports.md): ports that exist while somebody uses them, persistent ports, pipes of any
 * parent, regions. None of it has a socket for VMs.
 *
 * All functions: control thread. Errors are netmap's: -ENOMEM when a region or switch is
 * full or an object of the region is too small for what was asked for.
 */
#ifndef PTNET_CONTROL_INVENTORY_MADE_H
#define PTNET_CONTROL_INVENTORY_MADE_H

#include "control/inventory.h"

struct made_spec {
	struct port_config config;	 /* complete; a pipe's from its master's point of view */
	struct inventory_region *region; /* NULL: one of its own */
	uint32_t extra_buffers;		 /* that a region of its own has room for */
	struct socket_access programs;	 /* which may open it */
	enum port_lifetime lifetime;
};

/*
 * Each makes a port that nobody uses yet: inventory_port_get(), or it stays.
 * inventory_vale_make() puts it on the switch @switch_name, which is made if there is none; NULL:
 * on none. inventory_null_make() names it itself and needs a region.
 */
int inventory_vale_make(struct inventory_port **port, struct inventory *inventory,
			const struct made_spec *spec, const char *switch_name, struct error *error);
int inventory_null_make(struct inventory_port **port, struct inventory *inventory,
			struct made_spec *spec, struct error *error);

/*
 * A pipe in @spec->region, which must be there. It uses @parent as long as it lives, if that
 * is not NULL. config.name is the master's.
 */
int inventory_pipe_make(struct inventory_pipe **pipe, struct inventory *inventory,
			const struct made_spec *spec, struct inventory_port *parent,
			struct error *error);

/*
 * The parent that pipes of @spec->config.name get if there is none, with room for a pipe such as
 * @spec describes and some more (spec/ports.md section 3.1).
 */
int inventory_implicit_parent_make(struct inventory_port **port, struct inventory *inventory,
				   const struct made_spec *spec, struct error *error);

/* One more user, and one less: with the last goes what is there for its users only. */
void inventory_port_get(struct inventory_port *port);
void inventory_port_put(struct inventory *inventory, struct inventory_port *port);

/* DELIF: whoever uses it. */
void inventory_persistent_del(struct inventory *inventory, struct inventory_port *port);

/* A region that goes with the last port in it and the last hold on it. It has neither yet. */
int inventory_made_region(struct inventory_region **region, struct inventory *inventory,
			  const char *name, const struct region_config *config,
			  struct error *error);
/* Keeps a region for a request, and lets go of it again; NULL is allowed. */
void inventory_region_hold(struct inventory_region *region);
void inventory_region_drop(struct inventory *inventory, struct inventory_region *region);

/* The region with this memory id, made if it is the global one; NULL and @error if there is none.
 */
struct inventory_region *inventory_region_by_id(struct inventory *inventory, uint16_t id,
						struct error *error);

/*
 * A persistent port comes onto a switch, made if there is none, and leaves the latest that it came
 * onto. What is behind the first one is an inventory_attachment. Returns the port's index there.
 */
int inventory_attach(struct inventory *inventory, struct inventory_port *port,
		     const char *switch_name, const struct socket_access *programs,
		     struct error *error);
/* -EBUSY: it came onto another one later; -ENXIO: it is not on that switch. */
int inventory_detach(struct inventory *inventory, struct inventory_port *port,
		     const struct inventory_switch *from, struct error *error);

/* Where @port is on @on_switch, or -1. */
int inventory_index_on(const struct inventory_port *port, const struct inventory_switch *on_switch);

#endif
