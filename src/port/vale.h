/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VALE: a learning Ethernet switch between ports that each have a region of their
 * own; packets are copied from the sender's buffers to the receiver's
 * (spec/ports.md section 2; where we differ from netmap: docs/vale.md).
 *
 * All functions: control thread.
 */
#ifndef PTNET_PORT_VALE_H
#define PTNET_PORT_VALE_H

#include <stdint.h>

#include "port/port.h"

#define VALE_MAX_PORTS	       254
#define VALE_NAME_SIZE	       16 /* "vale" + identifier, with NUL */
#define VALE_DEFAULT_AGEING_S  300
#define VALE_DEFAULT_MAC_LIMIT 1024

struct vale;

struct vale_config {
	char name[VALE_NAME_SIZE]; /* "vale" followed by letters, digits and '_' */
	uint32_t ageing_s;	   /* seconds until an address is forgotten; 0: 300 */
	uint32_t mac_limit;	   /* addresses learnt per port; 0: 1024 */
};

/* -EINVAL: malformed name; -ENOMEM. */
int vale_create(struct vale **vale, const struct vale_config *config, struct error *error);
/* -EBUSY while it has ports. */
int vale_destroy(struct vale *vale, struct error *error);

const char *vale_name(const struct vale *vale);
unsigned vale_num_ports(const struct vale *vale);
uint32_t vale_ageing_s(const struct vale *vale);

/* An entry of the address table, for showing. */
struct vale_mac {
	uint8_t mac[6];
	uint8_t port_index;
	uint32_t age_s;
};
/* Fills at most @capacity entries, returns how many there are. */
unsigned vale_macs(struct vale *vale, struct vale_mac *macs, unsigned capacity);
/* NULL if there is no port at this index. */
struct port *vale_port(const struct vale *vale, unsigned index);
/* Its index on its switch. */
unsigned vale_port_index(const struct port *port);

/*
 * Creates a port on the switch; its rings are not yet with the engine. @vale NULL: on none, and
 * what it sends is discarded until vale_port_attach() (a persistent port, spec/ports.md
 * section 2.8). -EINVAL (configuration), -EEXIST (name), -ENOSPC (254 ports), -ENOMEM. The port is
 * freed with port_destroy().
 */
int vale_port_create(struct port **port, struct vale *vale, const struct port_config *config,
		     struct region *region, struct error *error);

/* The switch that the port is on, or NULL. */
struct vale *vale_port_switch(const struct port *port);

/*
 * Puts a port that is on no switch onto @vale, where it is known by the part of its name
 * after ':'. Its index there, or -EBUSY: it is on a switch; -EEXIST: the name is taken there;
 * -ENOSPC: 254 ports.
 */
int vale_port_attach(struct port *port, struct vale *vale, struct error *error);

/*
 * Takes it off again in two steps: after the first it sends nothing to the switch and
 * gets nothing, but for packets that are on their way; engine_synchronize() waits for
 * these. The second makes the index free, forgets the addresses, and lets vale_destroy() succeed.
 */
void vale_port_unpublish(struct port *port);
void vale_port_forget(struct port *port);

/*
 * Makes every packet of the port begin with a virtio-net header of @len bytes: 0, 10 or 12
 * (spec/ports.md section 2.6, netmap-api.md 5.9). At once, for all users of the port. A length
 * other than 0 also makes segments for the port as long as its buffers, for good. -EINVAL: another
 * length; -ENXIO: not a port of this type; -EBUSY: a VM has it, which cannot be told.
 */
int vale_port_set_vnet_hdr(struct port *port, uint32_t len);

#endif
