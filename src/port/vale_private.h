/* SPDX-License-Identifier: BSD-2-Clause */
/* What the switch's control side (vale.c) and its hot path (vale_forward.c) share. */
#ifndef PTNET_PORT_VALE_PRIVATE_H
#define PTNET_PORT_VALE_PRIVATE_H

#include <stdatomic.h>

#include "port/mac_table.h"
#include "port/vale.h"

struct vale {
	char name[VALE_NAME_SIZE];
	unsigned num_ports;

	/*
	 * Written by the control thread, read by workers. A worker may use what it
	 * read until it next passes a point where engine_synchronize() waits for it.
	 */
	_Atomic(struct port *) ports[VALE_MAX_PORTS];
	/* Ports in use are below this index: the bound of a flood. */
	_Atomic unsigned ports_end;

	struct mac_table macs;
};

struct vale_port {
	/*
	 * Workers may use these two while they see `attached`, and until they next pass a point
	 * where engine_synchronize() waits for them: vale_port_forget() comes after that.
	 */
	struct vale *vale; /* NULL: on no switch */
	unsigned index;
	_Atomic bool attached; /* the control thread writes */
};

static inline struct vale_port *vale_port_of(const struct port *port)
{
	return port->type_private;
}

/* Seconds on a clock that is cheap to read and does not go back. */
uint32_t vale_now_s(void);

enum port_work vale_run(struct kring *tx, unsigned budget);

#endif
