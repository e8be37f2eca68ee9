/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the daemon has: regions, switches, ports, pipes, and the sockets on which
 * they wait for VMs. Each thing is made in this order, and undone in the reverse:
 *
 *     region, its memdev socket -> switch -> port -> engine -> the port's socket
 *
 * A region or switch that nobody named exists for its ports only ("implicit"): it
 * comes with the first and goes with the last of them, as in netmap.
 *
 * All functions: control thread. Pointers to the structures below are good until
 * the next change.
 */
#ifndef PTNET_CONTROL_INVENTORY_H
#define PTNET_CONTROL_INVENTORY_H

#include <stdbool.h>
#include <sys/queue.h>

#include "attach/vfio_user_attachment.h"
#include "control/specs.h"
#include "port/pipe.h"

struct configuration;
struct engine;
struct event_base;

struct inventory_region {
	TAILQ_ENTRY(inventory_region) link;
	char name[REGION_NAME_SIZE];
	bool implicit;
	unsigned num_ports; /* that lie in it */
	struct region *region;
	struct memdev_listener *listener;
	char socket[SOCKET_PATH_SIZE];
};

struct inventory_switch {
	TAILQ_ENTRY(inventory_switch) link;
	bool implicit;
	struct vale *vale;
	struct vale_config config;
};

struct inventory_port {
	TAILQ_ENTRY(inventory_port) link;
	struct port *port;
	struct inventory_region *region;
	struct inventory_switch *on_switch; /* NULL: the end of a pipe */
	struct netif_listener *listener;
	char socket[SOCKET_PATH_SIZE];
};

struct inventory_pipe {
	TAILQ_ENTRY(inventory_pipe) link;
	struct inventory_port *master, *slave;
};

TAILQ_HEAD(inventory_regions, inventory_region);
TAILQ_HEAD(inventory_switches, inventory_switch);
TAILQ_HEAD(inventory_ports, inventory_port);
TAILQ_HEAD(inventory_pipes, inventory_pipe);

struct inventory {
	struct engine *engine;
	struct event_base *base;
	char sockets_directory[SOCKET_PATH_SIZE];
	struct socket_access access; /* for sockets whose spec does not say */

	struct inventory_regions regions;
	struct inventory_switches switches;
	struct inventory_ports ports; /* ends of pipes too */
	struct inventory_pipes pipes;
};

/* An empty inventory. @engine and @base stay the caller's and outlive it. */
void inventory_init(struct inventory *inventory, struct engine *engine, struct event_base *base,
		    const char *sockets_directory, const struct socket_access *access);

/* Removes everything, whoever is connected. */
void inventory_fini(struct inventory *inventory);

/*
 * Makes all that the configuration lists. Stops at the first error, which names the
 * object; what was made by then stays until inventory_fini().
 */
int inventory_apply(struct inventory *inventory, const struct configuration *configuration,
		    struct error *error);

/*
 * -EEXIST: the name is taken; -ENOENT: a region or parent is missing; and what
 * region_create(), pipe_create() and the like return. On failure nothing changed.
 */
int inventory_region_add(struct inventory *inventory, const struct region_spec *spec,
			 struct error *error);
int inventory_switch_add(struct inventory *inventory, const struct vale_config *spec,
			 struct error *error);
int inventory_port_add(struct inventory *inventory, const struct port_spec *spec,
		       struct error *error);
int inventory_pipe_add(struct inventory *inventory, const struct port_spec *spec,
		       struct error *error);

/*
 * -ENOENT; -EBUSY: ports use it, or a VM is attached and @force is false. A VM that
 * loses its port this way must be restarted: QEMU does not reconnect.
 */
int inventory_region_del(struct inventory *inventory, const char *name, bool force,
			 struct error *error);
int inventory_switch_del(struct inventory *inventory, const char *name, struct error *error);
int inventory_port_del(struct inventory *inventory, const char *name, bool force,
		       struct error *error);
/* @name is that of the master end. */
int inventory_pipe_del(struct inventory *inventory, const char *name, bool force,
		       struct error *error);

/* NULL if there is none of that name. */
struct inventory_region *inventory_region_find(const struct inventory *inventory, const char *name);
struct inventory_switch *inventory_switch_find(const struct inventory *inventory, const char *name);
struct inventory_port *inventory_port_find(const struct inventory *inventory, const char *name);
struct inventory_pipe *inventory_pipe_find(const struct inventory *inventory, const char *name);

#endif
