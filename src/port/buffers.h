/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who holds which buffer of a region.
 *
 * A port gets a buffer for each slot when it is created. After that its owner may
 * exchange them among all rings of the region (that is what zero copy is), and with
 * buffers in its own hands (extra_buffers.h). So only the slots say who holds what, and they lie in
 * memory that the owner writes. What we know for certain is which buffers are handed out at all,
 * and how many: one per slot, and the extra ones. The rules that follow from that:
 *
 *  - A slot's buffer is the slot's, whoever brought it; a port that goes gives back what is in
 *    its slots.
 *  - An owner may die in the middle of an exchange, and then some slots name a buffer twice, or
 *    none at all. Before such a ring is used again its slots are mended, with buffers that were not
 *    handed out. The one that it lost counts as handed out, and no slot shows it.
 *  - What no slot shows may be lost, or in the hands of somebody who has extra buffers. While there
 *    is such a one it stays where it is; otherwise it is taken back when buffers run short, or when
 *    the last program leaves the region. Rather lose a buffer for a time than give it to two.
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
 * Gives the region the buffers that the port's slots hold, but not those that others' slots
 * hold, too. Control thread.
 */
void buffers_leave(struct port *port);

/*
 * Gives every slot of a ring that is not used yet a buffer, and makes it a fresh ring. -ENOMEM:
 * there are not so many; none is handed out. Control thread.
 */
int buffers_fill_ring(struct kring *kring);

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

/*
 * The port's owner left: if nobody else has anything of the region open, what was lost comes
 * back. Control thread or the worker that served the owner.
 */
void buffers_owner_left(struct port *port);

/* Calls @visit for each port of the region; none leaves meanwhile. Any thread. */
void buffers_visit_ports(const struct region *region, void (*visit)(struct port *port));

#endif
