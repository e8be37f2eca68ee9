/* SPDX-License-Identifier: BSD-2-Clause */
/* What a program may ask of ports: PORT_INFO_GET, POOLS_INFO_GET, PORT_HDR_GET and _SET. */
#include <errno.h>
#include <string.h>

#include "control/netmap_device.h"

void netmap_pools_describe(const struct region *region, struct nmreq_pools_info *info)
{
	const struct region_geometry *geometry = region_geometry(region);

	*info = (struct nmreq_pools_info){
		.nr_memsize = geometry->csb_offset,
		.nr_mem_id = region_id(region),
		.nr_if_pool_offset = geometry->if_pool.offset,
		.nr_if_pool_objtotal = geometry->if_pool.objtotal,
		.nr_if_pool_objsize = geometry->if_pool.objsize,
		.nr_ring_pool_offset = geometry->ring_pool.offset,
		.nr_ring_pool_objtotal = geometry->ring_pool.objtotal,
		.nr_ring_pool_objsize = geometry->ring_pool.objsize,
		.nr_buf_pool_offset = geometry->buf_pool.offset,
		.nr_buf_pool_objtotal = geometry->buf_pool.objtotal,
		.nr_buf_pool_objsize = geometry->buf_pool.objsize,
	};
}

/* Finds a port, as REGISTER in mode ALL_NIC would; @wish has what else is known. */
static int lookup(struct netmap_call *call, struct netmap_wish *wish, uint16_t mem_id,
		  struct inventory_region **region, struct inventory_port **port)
{
	int rc = netmap_region(call, mem_id, region);

	if (rc < 0)
		return rc;
	wish->mode = NR_REG_ALL_NIC;
	wish->region = *region;
	rc = netmap_lookup(call, call->request->name, wish, port);
	if (rc < 0)
		inventory_region_drop(call->inventory, *region);
	return rc;
}

/* With an empty name: of a region. */
static int region_info(struct netmap_call *call, uint16_t mem_id)
{
	struct nmreq_port_info_get *info = &call->answer->reply.body.port_info;
	struct inventory_region *region;
	int rc = netmap_region(call, mem_id != 0 ? mem_id : REGION_GLOBAL_ID, &region);

	if (rc < 0)
		return rc;
	info->nr_memsize = region_geometry(region->region)->csb_offset;
	info->nr_mem_id = region_id(region->region);
	inventory_region_drop(call->inventory, region);
	return 0;
}

int netmap_port_info_get(struct netmap_call *call)
{
	const struct nmreq_port_info_get *asked = &call->request->body.port_info;
	struct nmreq_port_info_get *info = &call->answer->reply.body.port_info;
	struct netmap_wish wish = {
		.tx_rings = asked->nr_tx_rings,
		.rx_rings = asked->nr_rx_rings,
		.tx_slots = asked->nr_tx_slots,
		.rx_slots = asked->nr_rx_slots,
		.create = true,
	};
	struct inventory_region *region;
	struct inventory_port *port;
	int rc;

	if (call->request->name[0] == '\0')
		return region_info(call, asked->nr_mem_id);
	rc = lookup(call, &wish, asked->nr_mem_id, &region, &port);
	if (rc < 0)
		return rc;
	info->nr_memsize = region_geometry(port->region->region)->csb_offset;
	info->nr_tx_slots = port->port->tx_slots;
	info->nr_rx_slots = port->port->rx_slots;
	info->nr_tx_rings = (uint16_t)port->port->tx_rings;
	info->nr_rx_rings = (uint16_t)port->port->rx_rings;
	info->nr_host_tx_rings = 0;
	info->nr_host_rx_rings = 0;
	info->nr_mem_id = region_id(port->region->region);
	inventory_port_put(call->inventory, port);
	inventory_region_drop(call->inventory, region);
	return 0;
}

int netmap_pools_info_get(struct netmap_call *call)
{
	struct netmap_wish wish = {.create = true};
	struct inventory_region *region;
	struct inventory_port *port;
	int rc;

	if (call->request->name[0] == '\0')
		return error_set(&call->error, ENXIO, "no port is named");
	rc = lookup(call, &wish, call->request->body.pools_info.nr_mem_id, &region, &port);
	if (rc < 0)
		return rc;
	netmap_pools_describe(port->region->region, &call->answer->reply.body.pools_info);
	inventory_port_put(call->inventory, port);
	inventory_region_drop(call->inventory, region);
	return 0;
}

/* ---- virtio-net headers (section 5.9) ---- */

int netmap_port_hdr_set(struct netmap_call *call)
{
	uint32_t length = call->request->body.port_hdr.nr_hdr_len;
	const char *name = call->request->name;
	struct netmap_wish wish = {.mode = NR_REG_ALL_NIC};
	struct inventory_port *port;
	int rc;

	if (length != 0 && length != 10 && length != 12)
		return error_set(&call->error, EINVAL,
				 "a virtio-net header has 10 or 12 bytes, or there is none; not %u",
				 length);
	/* Pipes of VALE ports have a name that begins the same. */
	if (strncmp(name, NM_BDG_NAME, 4) != 0 || strpbrk(name, "{}") != NULL)
		return error_set(&call->error, ENXIO, "%s is no port of a VALE switch", name);
	rc = netmap_lookup(call, name, &wish, &port);
	if (rc < 0)
		return rc;
	rc = vale_port_set_vnet_hdr(port->port, length);
	inventory_port_put(call->inventory, port);
	if (rc < 0)
		return error_set(&call->error, -rc, "port %s takes no virtio-net header", name);
	return 0;
}

int netmap_port_hdr_get(struct netmap_call *call)
{
	struct netmap_wish wish = {.mode = NR_REG_ALL_NIC};
	struct inventory_port *port;
	int rc = netmap_lookup(call, call->request->name, &wish, &port);

	if (rc < 0)
		return rc;
	call->answer->reply.body.port_hdr.nr_hdr_len = port->port->vnet_hdr_len;
	inventory_port_put(call->inventory, port);
	return 0;
}
