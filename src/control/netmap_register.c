/* SPDX-License-Identifier: BSD-2-Clause */
/* REGISTER (spec/netmap-api.md section 5.5): from a descriptor to rings. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "control/netmap_device.h"
#include "engine/engine.h"
#include "log/log.h"
#include "port/null.h"
#include "port/offsets.h"

/* ---- memory that the program brings (section 7.1) ---- */

static int may_have_external(struct netmap_call *call, uint64_t memsize)
{
	const struct inventory_region *region;
	uint64_t has = 0;

	if (memsize == 0)
		return error_set(&call->error, ENOMEM, "external memory of 0 bytes");
	TAILQ_FOREACH (region, &call->inventory->regions, link)
		has += region->external_uid == call->peer->uid ? region->external : 0;
	if (call->peer->uid == 0 || memsize <= NETMAP_MAX_EXTERNAL - has)
		return 0;
	return error_set(&call->error, ENOMEM,
			 "user %d would have more than %llu GiB of external memory, which is the "
			 "most",
			 (int)call->peer->uid, (unsigned long long)NETMAP_MAX_EXTERNAL >> 30);
}

static int extmem_region(struct netmap_call *call, struct inventory_region **region)
{
	struct ptnet_local_options *options = &call->answer->reply.options;
	const uint64_t memsize = options->extmem.nr_memsize;
	const struct region_config config = {
		.memsize = memsize,
		.if_num = options->extmem.nr_if_pool_objtotal,
		.if_size = options->extmem.nr_if_pool_objsize,
		.ring_num = options->extmem.nr_ring_pool_objtotal,
		.ring_size = options->extmem.nr_ring_pool_objsize,
		.buf_num = options->extmem.nr_buf_pool_objtotal,
		.buf_size = options->extmem.nr_buf_pool_objsize,
	};
	int rc = netmap_may_make(call);

	if (rc == 0)
		rc = may_have_external(call, memsize);
	if (rc == 0)
		rc = inventory_made_region(region, call->inventory, "external", &config,
					   &call->error);
	options->extmem_status = (uint32_t)-rc;
	if (rc < 0 || *region == NULL)
		return rc;
	inventory_region_hold(*region);
	(*region)->external = memsize;
	(*region)->external_uid = call->peer->uid;
	netmap_pools_describe((*region)->region, &options->extmem);
	options->extmem.nr_memsize = memsize;
	return 0;
}

/* ---- which rings ---- */

static uint32_t bits(unsigned from, unsigned count)
{
	return (uint32_t)(((UINT64_C(1) << count) - 1) << from);
}

static int mode_check(struct netmap_call *call, const struct nmreq_register *reg,
		      const struct port *port)
{
	switch (reg->nr_mode) {
	case NR_REG_ALL_NIC:
	case NR_REG_NULL:
		return 0;
	case NR_REG_ONE_NIC:
		if (reg->nr_ringid < port->tx_rings || reg->nr_ringid < port->rx_rings)
			return 0;
		return error_set(&call->error, EINVAL,
				 "port %s has no ring %u, but %u TX and %u RX rings", port->name,
				 reg->nr_ringid, port->tx_rings, port->rx_rings);
	case NR_REG_SW:
	case NR_REG_NIC_SW:
	case NR_REG_ONE_SW:
		return error_set(&call->error, EINVAL, "port %s has no host rings", port->name);
	default:
		return error_set(&call->error, EINVAL, "mode %u is unknown", reg->nr_mode);
	}
}

/* One ring in each direction; where there is none of that number, the first. */
static uint32_t one_ring(const struct nmreq_register *reg, unsigned from, unsigned count)
{
	return count == 0 ? 0 : bits(from + (reg->nr_ringid < count ? reg->nr_ringid : 0), 1);
}

static uint32_t rings_wanted(const struct nmreq_register *reg, const struct port *port)
{
	bool one = reg->nr_mode == NR_REG_ONE_NIC;
	uint32_t tx = one ? one_ring(reg, 0, port->tx_rings) : bits(0, port->tx_rings);
	uint32_t rx = one ? one_ring(reg, port->tx_rings, port->rx_rings)
			  : bits(port->tx_rings, port->rx_rings);

	if ((reg->nr_flags & NR_RX_RINGS_ONLY) != 0)
		tx = 0;
	if ((reg->nr_flags & NR_TX_RINGS_ONLY) != 0)
		rx = 0;
	return tx | rx;
}

/* ---- binding ---- */

static int port_check(struct netmap_call *call, const struct nmreq_register *reg,
		      const struct inventory_port *port)
{
	if (port->listener != NULL)
		netif_notice_end(port->listener);
	if (port_owner(port->port) == PORT_OWNER_VM)
		return error_set(&call->error, EBUSY, "a VM has port %s", port->port->name);
	if (!SLIST_EMPTY(&port->second))
		return error_set(&call->error, EBUSY,
				 "port %s is attached to a second switch, which then has it alone",
				 port->port->name);
	if (port->port->vnet_hdr_len != 0 && (reg->nr_flags & NR_ACCEPT_VNET_HDR) == 0)
		return error_set(&call->error, EIO,
				 "packets of port %s begin with a virtio-net header of %u bytes, "
				 "and the program does not say that it knows (NR_ACCEPT_VNET_HDR)",
				 port->port->name, port->port->vnet_hdr_len);
	return mode_check(call, reg, port->port);
}

/* What the program learns; the rest of @reg is echoed. */
static void reg_answer(struct nmreq_register *reg, const struct port_user *user)
{
	const struct port *port = user->binding.port;

	reg->nr_offset = user->binding.nifp_offset;
	reg->nr_memsize = region_geometry(user->binding.region)->csb_offset;
	reg->nr_tx_slots = port->tx_slots;
	reg->nr_rx_slots = port->rx_slots;
	reg->nr_tx_rings = (uint16_t)port->tx_rings;
	reg->nr_rx_rings = (uint16_t)port->rx_rings;
	reg->nr_host_tx_rings = 0;
	reg->nr_host_rx_rings = 0;
	reg->nr_mem_id = region_id(user->binding.region);
	reg->nr_extra_bufs = user->binding.num_extra;
}

static void describe(struct netmap_call *call, const struct port_user *user)
{
	struct local_answer *answer = call->answer;
	struct ptnet_local_binding *wire = &answer->reply.binding;
	const struct port *port = user->binding.port;

	answer->reply.body.reg = user->reg;
	answer->reply.bound = 1;
	local_binding_describe(&user->binding, wire);
	wire->look_max_us = engine_look_max_us(call->inventory->engine);
	wire->nr_flags = user->reg.nr_flags;
	wire->nr_mode = user->reg.nr_mode;
	wire->nr_ringid = user->reg.nr_ringid;
	if (port_is_null(port))
		wire->flags |= PTNET_LOCAL_NULL;
	else if (!port_is_pipe(port))
		wire->flags |= PTNET_LOCAL_VALE;
	answer->num_fds = local_binding_descriptors(&user->binding, answer->fds);
}

/* Section 7.5. @user is bound, and undone by the caller if this fails. */
static int offsets_set(struct netmap_call *call, struct port_user *user)
{
	struct ptnet_local_options *options = &call->answer->reply.options;
	const struct local_binding *binding = &user->binding;
	struct nmreq_opt_offsets asked = options->offsets;
	int rc;

	if ((options->present & PTNET_LOCAL_OPT_OFFSETS) == 0)
		return 0;
	rc = port_set_offsets(binding->port, binding->rings, local_binding_first_user(binding),
			      &asked);
	options->offsets_status = (uint32_t)-rc;
	if (rc < 0)
		return error_set(&call->error, -rc, "port %s: offsets of up to %llu bytes: %s",
				 binding->port->name, (unsigned long long)asked.nro_max_offset,
				 rc == -EBUSY ? "its rings have narrower ones already"
					      : "more than a buffer or the bits hold");
	options->offsets = asked;
	return 0;
}

static int bind_port(struct netmap_call *call, struct inventory_port *port)
{
	const struct nmreq_register *reg = &call->request->body.reg;
	const struct local_binding_wish wish = {
		.rings = rings_wanted(reg, port->port),
		.exclusive = (reg->nr_flags & NR_EXCLUSIVE) != 0,
		.extra_buffers = reg->nr_extra_bufs,
	};
	struct port_user *user;
	int rc = port_user_add(&user, call->inventory->engine, port, call->connection, &wish,
			       &call->error);

	if (rc < 0)
		return rc;
	rc = offsets_set(call, user);
	if (rc < 0) {
		port_user_remove(user);
		return rc;
	}
	user->reg = *reg;
	reg_answer(&user->reg, user);
	inventory_port_get(port);
	call->connection->binding = user;
	describe(call, user);
	return 0;
}

static int find_and_bind(struct netmap_call *call, struct inventory_region *region)
{
	const struct nmreq_register *reg = &call->request->body.reg;
	const struct netmap_wish wish = {
		.tx_rings = reg->nr_tx_rings,
		.rx_rings = reg->nr_rx_rings,
		.tx_slots = reg->nr_tx_slots,
		.rx_slots = reg->nr_rx_slots,
		.extra_buffers = reg->nr_extra_bufs,
		.mode = reg->nr_mode,
		.flags = reg->nr_flags,
		.region = region,
		.create = true,
	};
	struct inventory_port *port;
	int rc;

	if (reg->nr_mode == NR_REG_PIPE_MASTER || reg->nr_mode == NR_REG_PIPE_SLAVE)
		return error_set(&call->error, EINVAL,
				 "mode %u is for NIOCREGIF: name a pipe PARENT{ID or PARENT}ID",
				 reg->nr_mode);
	rc = netmap_lookup(call, call->request->name, &wish, &port);
	if (rc < 0)
		return rc;
	rc = port_check(call, reg, port);
	if (rc == 0)
		rc = bind_port(call, port);
	inventory_port_put(call->inventory, port);
	return rc;
}

int netmap_register(struct netmap_call *call)
{
	struct inventory_region *region = NULL, *external = NULL;
	int rc = 0;

	if (call->connection->binding != NULL)
		return error_set(&call->error, EBUSY, "the descriptor has a port already");
	if ((call->request->options.present & PTNET_LOCAL_OPT_EXTMEM) != 0)
		rc = extmem_region(call, &external);
	if (rc == 0)
		rc = netmap_region(call, call->request->body.reg.nr_mem_id, &region);
	if (rc == 0)
		rc = find_and_bind(call, external != NULL ? external : region);
	/* Unless a port lies in them now. */
	inventory_region_drop(call->inventory, external);
	inventory_region_drop(call->inventory, region);
	return rc;
}

int netmap_join(struct netmap_call *call)
{
	const struct port_user *user = call->connection->binding;

	if (user == NULL)
		return error_set(&call->error, ENXIO, "the descriptor has no port");
	if (user->port == NULL)
		return error_set(&call->error, ENXIO, "the descriptor's port was deleted");
	describe(call, user);
	return 0;
}

int netmap_unregister(struct netmap_call *call)
{
	if (call->connection->binding == NULL)
		return error_set(&call->error, ENXIO, "the descriptor has no port");
	netmap_unbind(call->device, call->connection);
	return 0;
}

void netmap_unbind(struct netmap_device *device, struct local_connection *connection)
{
	struct port_user *user = connection->binding;
	struct inventory_port *port;

	if (user == NULL)
		return;
	port = user->port;
	connection->binding = NULL;
	port_user_remove(user);
	if (port != NULL)
		inventory_port_put(device->inventory, port);
}
