/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A pipe: two ports in one region whose rings are coupled slot by slot; packets
 * change hands by exchanging slots, their bytes are never touched
 * (spec/ports.md section 3).
 *
 * All functions: control thread, but for port_is_pipe() and pipe_peer(): any.
 */
#ifndef PTNET_PORT_PIPE_H
#define PTNET_PORT_PIPE_H

#include "port/port.h"

/*
 * Creates both ends. @config, from the master's point of view, names the pipe as "PARENT{ID"; the
 * ends are called "PARENT{ID" (master) and "PARENT}ID" (slave). The slave's MAC address is the
 * master's with another last byte. -EINVAL, -ENOMEM (the region is exhausted). Both ends are freed
 * with port_destroy(), in any order.
 */
int pipe_create(struct port **master, struct port **slave, const struct port_config *config,
		struct region *region, struct error *error);

bool port_is_pipe(const struct port *port);
/* The other end; NULL once it was destroyed. */
struct port *pipe_peer(const struct port *port);

#endif
