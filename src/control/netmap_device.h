/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * /dev/netmap for host programs: the NIOCCTRL requests of spec/netmap-api.md section 5, on what
 * the inventory has. docs/local-server.md says where we differ.
 *
 * netmap_device.c dispatches; netmap_lookup.c finds and makes ports by name; the
 * requests are in netmap_register.c, netmap_info.c and netmap_vale.c.
 *
 * All functions: control thread.
 */
#ifndef PTNET_CONTROL_NETMAP_DEVICE_H
#define PTNET_CONTROL_NETMAP_DEVICE_H

#include <stdbool.h>

#include "attach/local_server.h"
#include "control/inventory_made.h"

/* Ports, ends of pipes too, that one user's programs keep; root's are not counted. */
#define NETMAP_MAX_MADE 1024
/*
 * Bytes of external memory that one user's programs have; root's are not counted. They cost
 * address space before they cost memory, and that is the whole daemon's.
 */
#define NETMAP_MAX_EXTERNAL (UINT64_C(1) << 38)
/* Switches that exist for programs' ports only: of all users, and of each but root. */
#define NETMAP_MAX_SWITCHES	 256
#define NETMAP_MAX_USER_SWITCHES 64

struct netmap_config {
	char path[SOCKET_PATH_SIZE];
	struct socket_access access; /* of the socket */
	/*
	 * What programs make belongs to the user who made it and to the socket's group, with this
	 * mode.
	 */
	mode_t made_mode;
	/* Everybody who may connect may use memory id 1; else only root. */
	bool global_region;
};

struct netmap_device {
	struct inventory *inventory;
	struct netmap_config config;
	struct local_server *server;
};

/* Opens the socket. @inventory outlives the device. */
int netmap_device_open(struct netmap_device *device, struct inventory *inventory,
		       const struct netmap_config *config, struct error *error);
/* Ends all bindings. Before inventory_fini(). */
void netmap_device_close(struct netmap_device *device);

/* ---- between the files ---- */

/* A request under way. */
struct netmap_call {
	struct netmap_device *device;
	struct inventory *inventory;
	struct local_connection *connection;
	const struct local_peer *peer;
	const struct ptnet_local_request *request;
	struct local_answer *answer; /* reply.body: as requested, until the request succeeds */
	struct error error;
};

/* What a request says of the port that it wants, in case that it has to be made. */
struct netmap_wish {
	uint32_t tx_rings, rx_rings, tx_slots, rx_slots; /* 0: default; are clamped */
	uint32_t extra_buffers;
	uint32_t mode;
	uint64_t flags;
	struct inventory_region *region; /* NULL: automatic */
	bool create;			 /* make it, if there is none */
};

/*
 * Resolves @name (spec/ports.md section 1). The port counts one user more:
 * inventory_port_put(). Negative errno, with text in call->error.
 */
int netmap_lookup(struct netmap_call *call, const char *name, const struct netmap_wish *wish,
		  struct inventory_port **port);

/* "valeX:Y" in two parts, by netmap's rules; false: it is malformed. */
bool netmap_vale_name(const char *name, char switch_name[VALE_NAME_SIZE], const char **port_part);
/* The port that is known as @part on the switch, or NULL. */
struct inventory_port *netmap_port_on(const struct inventory *inventory,
				      const struct inventory_switch *on_switch, const char *part);
/* The persistent or implicit port of that name, or NULL. */
struct inventory_port *netmap_persistent_find(const struct inventory *inventory, const char *name);
/* Could a network interface have that name, as far as names go? */
bool netmap_interface_name(const char *name);
/* Does the operating system have a network interface of that name? */
bool netmap_system_interface(const char *name);

/* -EACCES unless the peer may open the port. */
int netmap_may_open(struct netmap_call *call, const struct inventory_port *port);
/* What belongs to the peer. */
struct socket_access netmap_own_access(const struct netmap_call *call);
/* -ENOMEM if the peer has made as much as he may. */
int netmap_may_make(struct netmap_call *call);
/*
 * -EACCES unless the peer may make ports on the switch; -ENOMEM if there is none (NULL), and he may
 * not make one more.
 */
int netmap_may_make_on(struct netmap_call *call, const struct inventory_switch *on_switch,
		       const char *name);
/*
 * The region that nr_mem_id @id names, held: inventory_region_drop(). NULL if @id is 0.
 * -EINVAL: there is none, -EACCES.
 */
int netmap_region(struct netmap_call *call, uint16_t id, struct inventory_region **region);

/* A port of the peer's own, as wished, with everything but its name. */
void netmap_spec_fill(struct netmap_call *call, const struct netmap_wish *wish,
		      struct made_spec *spec);

/* The requests. Negative errno with text in call->error, or 0 with the answer's body filled. */
int netmap_register(struct netmap_call *call);
int netmap_join(struct netmap_call *call);
int netmap_unregister(struct netmap_call *call);
void netmap_unbind(struct netmap_device *device, struct local_connection *connection);
int netmap_port_info_get(struct netmap_call *call);
int netmap_pools_info_get(struct netmap_call *call);
int netmap_port_hdr_set(struct netmap_call *call);
int netmap_port_hdr_get(struct netmap_call *call);
int netmap_vale_attach(struct netmap_call *call);
int netmap_vale_detach(struct netmap_call *call);
int netmap_vale_list(struct netmap_call *call);
int netmap_vale_newif(struct netmap_call *call);
int netmap_vale_delif(struct netmap_call *call);
int netmap_vale_polling(struct netmap_call *call);

/* Fills in what POOLS_INFO_GET and the EXTMEM option report of a region. */
void netmap_pools_describe(const struct region *region, struct nmreq_pools_info *info);

#endif
