/* SPDX-License-Identifier: BSD-2-Clause */
#include "attach/local_binding.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>

#include "attach/local_endpoint.h"
#include "memory/region.h"
#include "port/extra_buffers.h"
#include "port/port.h"

static struct netmap_if *nifp_of(const struct local_binding *binding)
{
	return (struct netmap_if *)(region_base(binding->region) + binding->nifp_offset);
}

static int64_t ring_offset(const struct local_binding *binding, unsigned ring)
{
	if ((binding->rings >> ring & 1) == 0)
		return 0;
	return (int64_t)region_ring_offset(binding->region,
					   binding->port->rings[ring].ring_object) -
	       (int64_t)binding->nifp_offset;
}

/* Section 2.3: rings that are not bound, and the one host ring per direction, have offset 0. */
static void netmap_if_fill(const struct local_binding *binding)
{
	const struct port *port = binding->port;
	struct netmap_if *nifp = nifp_of(binding);
	unsigned entry = 0;

	snprintf(nifp->ni_name, sizeof(nifp->ni_name), "%.15s", port->name);
	nifp->ni_flags = region_id(binding->region) != REGION_GLOBAL_ID ? NI_PRIV_MEM : 0;
	nifp->ni_tx_rings = port->tx_rings;
	nifp->ni_rx_rings = port->rx_rings;
	nifp->ni_host_tx_rings = 1;
	nifp->ni_host_rx_rings = 1;
	for (unsigned i = 0; i < port->tx_rings; i++)
		nifp->ring_ofs[entry++] = ring_offset(binding, i);
	nifp->ring_ofs[entry++] = 0;
	for (unsigned i = 0; i < port->rx_rings; i++)
		nifp->ring_ofs[entry++] = ring_offset(binding, port->tx_rings + i);
	nifp->ring_ofs[entry] = 0;
	nifp->ni_bufs_head = extra_buffers_head(binding->extra);
}

int local_binding_open(struct local_binding *binding, struct port *port,
		       struct local_endpoint *endpoint, const struct local_binding_wish *wish,
		       struct error *error)
{
	int result;

	*binding = (struct local_binding){
		.port = port,
		.endpoint = endpoint,
		.rings = wish->rings,
		.exclusive = wish->exclusive,
	};
	if (endpoint != NULL) {
		result = local_endpoint_take(endpoint, wish->rings, wish->exclusive, error);
		if (result < 0)
			return result;
	}
	binding->region = region_get(port->region);
	result = region_if_alloc(binding->region);
	if (result < 0) {
		error_set(error, -result, "the region has no free netmap_if (if_num: %u)",
			  region_geometry(binding->region)->if_pool.objtotal);
		goto fail_if;
	}
	binding->if_index = (uint32_t)result;
	binding->nifp_offset = region_if_offset(binding->region, binding->if_index);
	if (wish->extra_buffers > 0)
		binding->num_extra =
			extra_buffers_take(&binding->extra, binding->region, wish->extra_buffers);
	netmap_if_fill(binding);
	return 0;

fail_if:
	region_put(binding->region);
	if (endpoint != NULL)
		local_endpoint_leave(endpoint, wish->rings, wish->exclusive);
	return result;
}

uint32_t local_binding_first_user(const struct local_binding *binding)
{
	uint32_t first = 0;

	if (binding->endpoint == NULL) /* a null port */
		return binding->rings;
	for (unsigned i = 0; i < port_num_rings(binding->port); i++)
		if ((binding->rings >> i & 1) != 0 &&
		    local_endpoint_users(binding->endpoint, i) == 1)
			first |= UINT32_C(1) << i;
	return first;
}

void local_binding_close(struct local_binding *binding)
{
	/* The program may have made another list of it: read once, checked by the callee. */
	uint32_t head = __atomic_load_n(&nifp_of(binding)->ni_bufs_head, __ATOMIC_RELAXED);

	if (binding->endpoint != NULL)
		local_endpoint_leave(binding->endpoint, binding->rings, binding->exclusive);
	extra_buffers_give_back(binding->extra, head);
	region_if_free(binding->region, binding->if_index);
	region_put(binding->region);
}

void local_binding_orphan(struct local_binding *binding)
{
	binding->endpoint = NULL;
	binding->port = NULL;
}

/* @first and @count of the set's bits from @from on, which are consecutive. */
static void span(uint32_t rings, unsigned from, unsigned total, uint16_t *first, uint16_t *count)
{
	*first = *count = 0;
	for (unsigned i = 0; i < total; i++) {
		if ((rings >> (from + i) & 1) == 0)
			continue;
		if (*count == 0)
			*first = (uint16_t)i;
		(*count)++;
	}
}

void local_binding_describe(const struct local_binding *binding, struct ptnet_local_binding *wire)
{
	const struct region_geometry *geometry = region_geometry(binding->region);
	const struct port *port = binding->port;
	unsigned bound = 0;

	wire->map_size = geometry->memsize;
	wire->memsize = geometry->csb_offset;
	wire->nifp_offset = binding->nifp_offset;
	wire->mem_id = region_id(binding->region);
	wire->tx_rings = (uint16_t)port->tx_rings;
	wire->rx_rings = (uint16_t)port->rx_rings;
	span(binding->rings, 0, port->tx_rings, &wire->first_tx, &wire->num_tx);
	span(binding->rings, port->tx_rings, port->rx_rings, &wire->first_rx, &wire->num_rx);
	for (unsigned i = 0; i < port_num_rings(port); i++)
		if ((binding->rings >> i & 1) != 0)
			wire->ring_ofs[bound++] =
				region_ring_offset(binding->region, port->rings[i].ring_object);
}

unsigned local_binding_descriptors(const struct local_binding *binding,
				   int fds[PTNET_LOCAL_MAX_FDS])
{
	unsigned count = 0;

	fds[count++] = region_fd(binding->region);
	if (binding->endpoint == NULL)
		return count;
	fds[count++] = local_endpoint_csb(binding->endpoint);
	for (unsigned i = 0; i < port_num_rings(binding->port); i++) {
		if ((binding->rings >> i & 1) == 0)
			continue;
		fds[count++] = local_endpoint_kick(binding->endpoint, i);
		fds[count++] = local_endpoint_interrupt(binding->endpoint, i);
	}
	return count;
}
