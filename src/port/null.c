/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/null.h"

#include <errno.h>
#include <stdlib.h>

static enum port_work null_run(struct kring *kring, unsigned budget)
{
	(void)kring;
	(void)budget;
	return PORT_STOPPED;
}

static bool null_false(struct kring *kring)
{
	(void)kring;
	return false;
}

static void null_ring_nothing(struct kring *kring)
{
	(void)kring;
}

static void null_nothing(struct port *port)
{
	(void)port;
}

static const struct port_ops null_ops = {
	.type = "null",
	.unserved = true,
	.run = null_run,
	.pending = null_false,
	.enable_kicks = null_false,
	.kicked = null_ring_nothing,
	.reset = null_nothing,
	.reset_ring = null_ring_nothing,
	.unpublish = null_nothing,
	.detach = null_nothing,
};

bool port_is_null(const struct port *port)
{
	return port->ops == &null_ops;
}

int null_port_create(struct port **out, const struct port_config *config, struct region *region,
		     struct error *error)
{
	struct port *port = calloc(1, sizeof(*port));
	int result;

	if (port == NULL)
		return error_set(error, ENOMEM, "out of memory");
	result = port_init(port, &null_ops, config, region, error);
	if (result < 0)
		goto fail;
	for (unsigned i = 0; i < port_num_rings(port) && result == 0; i++)
		result = port_alloc_buffers(&port->rings[i], error);
	if (result < 0) {
		port_fini(port);
		goto fail;
	}
	port_claim(port, PORT_OWNER_PROCESSES);
	*out = port;
	return 0;

fail:
	free(port);
	return result;
}
