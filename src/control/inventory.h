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
 * What programs make (inventory_made.h) has no sockets: it is theirs, not for VMs.
 *
 * All functions: control thread. Pointers to the structures below are good until
 * the next change.
 */
#ifndef PTNET_CONTROL_INVENTORY_H
#define PTNET_CONTROL_INVENTORY_H

#include <stdbool.h>
#include <sys/queue.h>

#include "attach/vfio_user_attachment.h"
#include "control/port_users.h"
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
	unsigned num_holds; /* of requests under way: inventory_region_hold() */
	uint64_t external;  /* bytes of address space that a program's EXTMEM takes; else 0 */
	uid_t external_uid; /* whose */
	struct region *region;
	struct memdev_listener *listener; /* NULL: made for programs */
	struct region_watch *watch;	  /* then; else the listener has one */
	char socket[SOCKET_PATH_SIZE];	  /* empty: none */
};

struct inventory_switch {
	TAILQ_ENTRY(inventory_switch) link;
	bool implicit;
	unsigned index; /* netmap's nr_bridge_idx: the lowest that was free */
	struct vale *vale;
	struct vale_config config;
	struct socket_access programs; /* which may make ports on it */
	unsigned num_second;	       /* attachments: struct inventory_attachment */
};

/* How long a port stays. */
enum port_lifetime {
	PORT_CONFIGURED, /* until ptnetctl deletes it */
	PORT_PERSISTENT, /* made with NETMAP_REQ_VALE_NEWIF, until DELIF */
	PORT_EPHEMERAL,	 /* made by opening it, until nobody uses it */
	PORT_IMPLICIT,	 /* made as the parent of pipes, until the last of them goes */
};

/*
 * A persistent port on one more switch than the one that it really is on. It is known
 * there by name and moves no packets (docs/local-server.md).
 */
struct inventory_attachment {
	SLIST_ENTRY(inventory_attachment) link;
	struct inventory_switch *on_switch;
	unsigned index; /* of the port there; none of the switch's own has it */
};

struct inventory_port {
	TAILQ_ENTRY(inventory_port) link;
	struct port *port;
	struct inventory_region *region;
	struct inventory_switch *on_switch; /* NULL: on none */
	struct inventory_pipe *pipe;	    /* whose end it is, or NULL */
	struct netif_listener *listener;    /* NULL: made by programs */
	char socket[SOCKET_PATH_SIZE];	    /* empty: none */

	enum port_lifetime lifetime;
	struct socket_access programs; /* which may open it */
	/* Descriptors that are bound to it, pipes of it that programs made, requests under way. */
	unsigned users;
	struct port_users processes;
	SLIST_HEAD(, inventory_attachment) second; /* the latest first */
};

struct inventory_pipe {
	TAILQ_ENTRY(inventory_pipe) link;
	struct inventory_port *master, *slave;
	struct inventory_port *parent; /* of one that programs made, which uses it; or NULL */
};

TAILQ_HEAD(inventory_regions, inventory_region);
TAILQ_HEAD(inventory_switches, inventory_switch);
TAILQ_HEAD(inventory_ports, inventory_port);
TAILQ_HEAD(inventory_pipes, inventory_pipe);

struct inventory {
	struct engine *engine;
	struct event_base *base;
	char sockets_directory[SOCKET_PATH_SIZE];
	struct socket_access access;   /* for sockets whose spec does not say */
	struct socket_access programs; /* for ports and switches whose spec does not say */

	struct inventory_regions regions;
	struct inventory_switches switches;
	struct inventory_ports ports; /* ends of pipes too */
	struct inventory_pipes pipes;
	uint64_t null_ports; /* made so far: part of their names */
};

/*
 * An empty inventory. @engine and @base stay the caller's and outlive it. @programs says for ports
 * and switches that don't say it themselves which programs may use them, all three of it.
 */
void inventory_init(struct inventory *inventory, struct engine *engine, struct event_base *base,
		    const char *sockets_directory, const struct socket_access *access,
		    const struct socket_access *programs);

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
int inventory_switch_add(struct inventory *inventory, const struct switch_spec *spec,
			 struct error *error);
int inventory_port_add(struct inventory *inventory, const struct port_spec *spec,
		       struct error *error);
int inventory_pipe_add(struct inventory *inventory, const struct port_spec *spec,
		       struct error *error);

/*
 * -ENOENT; -EBUSY: ports use it, or a VM or programs have it and @force is false. A VM that
 * loses its port this way must be restarted: QEMU does not reconnect. Programs get EIO from
 * each sync.
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
