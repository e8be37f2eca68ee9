/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Null ports: rings that nobody runs. What is sent on them is never taken and nothing ever
 * comes. They exist for their region's sake: a program opens one to own buffers there,
 * extra ones above all (spec/ports.md section 7).
 */
#ifndef PTNET_PORT_NULL_H
#define PTNET_PORT_NULL_H

#include "port/port.h"

/*
 * Creates a port of exactly the rings and slots that @config asks for, 0 included (at most 16 rings
 * of a kind and 4096 slots in each). It isn't for the engine and has no CSB: no endpoint function
 * may be called for it. It belongs to processes until it is destroyed. -EINVAL, -ENOMEM. Control
 * thread.
 */
int null_port_create(struct port **port, const struct port_config *config, struct region *region,
		     struct error *error);

bool port_is_null(const struct port *port);

#endif
