/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which buffers the slots of a region's rings hold.
 *
 * A port gets a buffer for each slot when it is created. After that its owner may
 * exchange them among all rings of the region (that is what zero copy is), so that only
 * the slots themselves say who holds what, and they lie in memory that the owner writes.
 * Two moments need more than that: an owner may have died in the middle of an exchange,
 * and then some slots name a buffer twice or none at all; and a port that goes must
 * give back as many buffers as it brought, but not those that others hold now.
 */
#ifndef PTNET_PORT_BUFFERS_H
#define PTNET_PORT_BUFFERS_H

#include <stdint.h>

struct kring;
struct port;
struct region;

/* From here on the port's slots count as holding what is in them. Control thread. */
void buffers_enter(struct port *port);

/*
 * Gives the region the buffers that the port's slots hold, as far as they are not missing
 * somewhere else: what it brought and others hold is theirs from now on. Control thread.
 */
void buffers_leave(struct port *port);

/*
 * Puts a valid buffer that no other slot of the region holds into each slot of the
 * port's owner that has none; what it held is then empty. Returns the number of slots mended. The
 * port must be stopped. Control thread or the worker that serves the port's owner.
 */
uint32_t buffers_mend(struct port *port);

/*
 * The same for one ring, which must be stopped; the port's others may run. -ENOMEM: there
 * is no buffer for it, and it must not be started. Control thread.
 */
int buffers_mend_ring(struct kring *kring);

/* Calls @visit for each port of the region; none leaves meanwhile. Any thread. */
void buffers_visit_ports(const struct region *region, void (*visit)(struct port *port));

#endif
