/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/port.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port/buffers.h"

uint32_t port_netmap_if_size(uint32_t tx_rings, uint32_t rx_rings)
{
	/* One entry for a host ring in each direction, which there is not. */
	return (uint32_t)(sizeof(struct netmap_if) + sizeof(int64_t) * (tx_rings + rx_rings + 2));
}

static int direction_check(const char *direction, uint32_t rings, uint32_t slots,
			   uint32_t min_slots, const struct region_geometry *geometry,
			   struct error *error)
{
	uint32_t ring_bytes =
		(uint32_t)(sizeof(struct netmap_ring) + sizeof(struct netmap_slot) * slots);

	if (rings > PTNET_MAX_RINGS / 2)
		return error_set(error, EINVAL, "%s rings %u is out of range: at most %u",
				 direction, rings, PTNET_MAX_RINGS / 2);
	if (rings == 0)
		return 0;
	if (slots < min_slots || slots > NM_BDG_MAXSLOTS)
		return error_set(error, EINVAL, "%s slots %u is out of range: %u to %u per ring",
				 direction, slots, min_slots, NM_BDG_MAXSLOTS);
	if (ring_bytes > geometry->ring_pool.objsize)
		return error_set(error, EINVAL,
				 "%u slots need rings of %u bytes, the region's have %u "
				 "(ring_size)",
				 slots, ring_bytes, geometry->ring_pool.objsize);
	return 0;
}

static int config_check(const struct port_config *config, uint32_t min_slots,
			const struct region *region, struct error *error)
{
	const struct region_geometry *geometry = region_geometry(region);
	uint32_t if_bytes = port_netmap_if_size(config->tx_rings, config->rx_rings);
	int result = direction_check("TX", config->tx_rings, config->tx_slots, min_slots, geometry,
				     error);

	if (result == 0)
		result = direction_check("RX", config->rx_rings, config->rx_slots, min_slots,
					 geometry, error);
	if (result < 0)
		return result;
	if (if_bytes > geometry->if_pool.objsize)
		return error_set(error, EINVAL,
				 "%u rings need a netmap_if of %u bytes, the region's have %u "
				 "(if_size)",
				 config->tx_rings + config->rx_rings, if_bytes,
				 geometry->if_pool.objsize);
	return 0;
}

/* 0 means the default, but for a port that takes all as it is asked for. */
static void config_complete(struct port_config *config)
{
	config->tx_rings = config->tx_rings != 0 ? config->tx_rings : 1;
	config->rx_rings = config->rx_rings != 0 ? config->rx_rings : 1;
	config->tx_slots = config->tx_slots != 0 ? config->tx_slots : PORT_DEFAULT_SLOTS;
	config->rx_slots = config->rx_slots != 0 ? config->rx_slots : PORT_DEFAULT_SLOTS;
}

/* A stable, locally administered address from the port's name (FNV-1a). */
static void mac_from_name(uint8_t mac[6], const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (const char *c = name; *c != '\0'; c++)
		hash = (hash ^ (uint8_t)*c) * UINT64_C(0x100000001b3);
	/* Names that differ in their last letter would get neighbours: mix once more. */
	hash ^= hash >> 33;
	hash *= UINT64_C(0xff51afd7ed558ccd);
	hash ^= hash >> 33;
	mac[0] = 0x52;
	mac[1] = 0x54;
	for (int i = 2; i < 6; i++)
		mac[i] = (uint8_t)(hash >> (8 * i));
}

static bool mac_is_zero(const uint8_t mac[6])
{
	static const uint8_t zero[6];

	return memcmp(mac, zero, sizeof(zero)) == 0;
}

/*
 * Everything of the shared ring but its slots. Owners should only read most of it,
 * but can write it, so it is never read back, and made anew for the next owner.
 */
void port_restore_ring(struct kring *kring)
{
	const struct netmap_ring header = {
		.buf_ofs = kring->buf_base - (char *)kring->ring,
		.num_slots = kring->num_slots,
		/* 65536 does not fit the field's users' 16-bit lengths, but the field itself. */
		.nr_buf_size = kring->buf_size,
		.ringid = kring->index,
		.dir = kring->dir,
		.head = kring->head,
		.cur = kring->cur,
		.tail = kring->hwtail,
		.offset_mask = kring->offset_mask,
	};

	memcpy(kring->ring, &header, sizeof(header));
}

static int ring_init(struct port *port, struct kring *kring, enum kring_dir dir, unsigned index,
		     struct error *error)
{
	const struct region_geometry *geometry = region_geometry(port->region);
	int object = region_ring_alloc(port->region);

	if (object < 0)
		return error_set(error, ENOMEM, "the region has no free ring (ring_num: %u)",
				 geometry->ring_pool.objtotal);
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_ADAPTIVE_NP);
	pthread_mutex_init(&kring->lock, &attributes);
	pthread_mutexattr_destroy(&attributes);

	uint64_t offset = region_ring_offset(port->region, (uint32_t)object);
	kring->port = port;
	kring->port_name = port->name;
	kring->log_limit = port->log_limit;
	kring->dir = (uint8_t)dir;
	kring->index = (uint16_t)index;
	kring->ring_object = (uint32_t)object;
	kring->ring = (struct netmap_ring *)(region_base(port->region) + offset);
	kring->slots = kring->ring->slot;
	kring->num_slots = dir == KRING_TX ? port->tx_slots : port->rx_slots;
	kring->buf_base = region_base(port->region) + geometry->buf_pool.offset;
	kring->buf_size = geometry->buf_pool.objsize;
	kring->buf_total = geometry->buf_pool.objtotal;
	kring->borrows_bufs = dir == KRING_RX && port->ops->readers_borrow;
	kring->interrupt_fd = -1;
	port_restore_ring(kring);
	return 0;
}

static void ring_fini(struct kring *kring)
{
	region_ring_free(kring->port->region, kring->ring_object);
	pthread_mutex_destroy(&kring->lock);
}

/* spec/ptnet-device.md section 5: one host entry per direction, always 0. */
static void netmap_if_fill(struct port *port)
{
	struct netmap_if *nifp =
		(struct netmap_if *)(region_base(port->region) + port->nifp_offset);
	unsigned entry = 0;

	if (port->if_index < 0)
		return;

	snprintf(nifp->ni_name, sizeof(nifp->ni_name), "%.15s", port->name);
	nifp->ni_flags = NI_PRIV_MEM;
	nifp->ni_bufs_head = 0;
	nifp->ni_tx_rings = port->tx_rings;
	nifp->ni_rx_rings = port->rx_rings;
	nifp->ni_host_tx_rings = 1;
	nifp->ni_host_rx_rings = 1;
	for (unsigned i = 0; i < port->tx_rings; i++)
		nifp->ring_ofs[entry++] = (char *)port_tx(port, i)->ring - (char *)nifp;
	nifp->ring_ofs[entry++] = 0;
	for (unsigned i = 0; i < port->rx_rings; i++)
		nifp->ring_ofs[entry++] = (char *)port_rx(port, i)->ring - (char *)nifp;
	nifp->ring_ofs[entry] = 0;
}

static int netmap_if_alloc(struct port *port, const struct port_config *config, struct error *error)
{
	port->if_index = -1;
	if (config->no_netmap_if)
		return 0;
	int index = region_if_alloc(port->region);
	if (index < 0)
		return error_set(error, -index, "the region has no free netmap_if (if_num: %u)",
				 region_geometry(port->region)->if_pool.objtotal);
	port->if_index = index;
	port->nifp_offset = region_if_offset(port->region, (uint32_t)index);
	return 0;
}

static void netmap_if_free(struct port *port)
{
	if (port->if_index >= 0)
		region_if_free(port->region, (uint32_t)port->if_index);
}

/* Without a page for the CSB the port works, but only for drivers that bring their own. */
static void csb_alloc(struct port *port, const struct port_config *config)
{
	port->csb_index = -1;
	if (config->no_netmap_if) /* its users have another CSB: leave the page to a VM's port */
		return;
	port->csb_index = region_csb_alloc(port->region);
	if (port->csb_index < 0) {
		port->csb_index = -1;
		return;
	}
	port->csb_gh_offset = region_csb_offset(port->region, (uint32_t)port->csb_index);
	port->csb_hg_offset = port->csb_gh_offset + PTNET_MAX_RINGS * sizeof(struct nm_csb_atok);
}

static uint32_t max_frame(const struct port *port)
{
	if (port->rx_slots == 0)
		return 0;
	uint32_t slots = port->rx_slots - 1; /* one stays empty */
	uint64_t fits = (uint64_t)(slots < NETMAP_MAX_FRAGS ? slots : NETMAP_MAX_FRAGS) *
			region_geometry(port->region)->buf_pool.objsize;

	return fits < PORT_MAX_FRAME ? (uint32_t)fits : PORT_MAX_FRAME;
}

bool port_claim(struct port *port, enum port_owner owner)
{
	uint32_t claims = atomic_load(&port->claims), more;

	do {
		if (claims == PORT_CLAIMED_BY_VM || (owner == PORT_OWNER_VM && claims != 0))
			return false;
		more = owner == PORT_OWNER_VM ? PORT_CLAIMED_BY_VM : claims + 1;
	} while (!atomic_compare_exchange_weak(&port->claims, &claims, more));
	return true;
}

void port_release(struct port *port, enum port_owner owner)
{
	if (owner == PORT_OWNER_VM)
		atomic_store(&port->claims, 0);
	else
		atomic_fetch_sub(&port->claims, 1);
}

enum port_owner port_owner(const struct port *port)
{
	uint32_t claims = atomic_load(&port->claims);

	return claims == 0		      ? PORT_OWNER_NONE
	       : claims == PORT_CLAIMED_BY_VM ? PORT_OWNER_VM
					      : PORT_OWNER_PROCESSES;
}

int port_init(struct port *port, const struct port_ops *ops, const struct port_config *config,
	      struct region *region, struct error *error)
{
	struct port_config checked = *config;
	unsigned done = 0;
	int result;

	if (!ops->unserved)
		config_complete(&checked);
	result = config_check(&checked, ops->unserved ? 0 : PORT_MIN_SLOTS, region, error);
	if (result < 0)
		return result;
	memset(port, 0, sizeof(*port));
	port->ops = ops;
	port->log_limit = checked.log_limit != NULL ? checked.log_limit : &port->own_log_limit;
	memcpy(port->name, checked.name, sizeof(port->name));
	memcpy(port->mac, checked.mac, sizeof(port->mac));
	if (mac_is_zero(port->mac))
		mac_from_name(port->mac, port->name);
	port->tx_rings = checked.tx_rings;
	port->rx_rings = checked.rx_rings;
	port->tx_slots = checked.tx_slots;
	port->rx_slots = checked.rx_slots;
	port->region = region_get(region);
	port->max_frame = max_frame(port);
	port->mfs = PORT_DEFAULT_MFS;

	result = netmap_if_alloc(port, &checked, error);
	if (result < 0)
		goto fail_region;
	/* One at the least: a null port may have none. */
	size_t size = (port_num_rings(port) + 1) * sizeof(struct kring);
	port->rings = aligned_alloc(_Alignof(struct kring), size);
	if (port->rings == NULL) {
		result = error_set(error, ENOMEM, "out of memory");
		goto fail_if;
	}
	memset(port->rings, 0, size);
	for (; done < port_num_rings(port); done++) {
		bool tx = done < port->tx_rings;

		result = ring_init(port, &port->rings[done], tx ? KRING_TX : KRING_RX,
				   tx ? done : done - port->tx_rings, error);
		if (result < 0)
			goto fail_rings;
	}
	netmap_if_fill(port);
	csb_alloc(port, &checked);
	buffers_enter(port);
	return 0;

fail_rings:
	while (done-- > 0)
		ring_fini(&port->rings[done]);
	free(port->rings);
fail_if:
	netmap_if_free(port);
fail_region:
	region_put(region);
	return result;
}

void port_fini(struct port *port)
{
	buffers_leave(port);
	if (port->csb_index >= 0)
		region_csb_free(port->region, (uint32_t)port->csb_index);
	for (unsigned i = port_num_rings(port); i-- > 0;)
		ring_fini(&port->rings[i]);
	free(port->rings);
	netmap_if_free(port);
	region_put(port->region);
}

int port_alloc_buffers(struct kring *kring, struct error *error)
{
	if (buffers_fill_ring(kring) < 0)
		return error_set(error, ENOMEM, "the region has no free buffer (buf_num: %u)",
				 kring->buf_total);
	return 0;
}

void port_restore_constants(struct port *port)
{
	netmap_if_fill(port);
	for (unsigned i = 0; i < port_num_rings(port); i++) {
		struct kring *kring = &port->rings[i];

		pthread_mutex_lock(&kring->lock);
		port_restore_ring(kring);
		pthread_mutex_unlock(&kring->lock);
	}
}

void port_rewind_ring(struct kring *kring)
{
	/* slot.len has 16 bits: a buffer of 65536 bytes shows as 65535. */
	uint32_t len = kring->buf_size < UINT16_MAX ? kring->buf_size : UINT16_MAX;

	kring->hwcur = kring->head = kring->cur = 0;
	kring->hwtail = kring->dir == KRING_TX ? ring_prev(kring->num_slots, 0) : 0;
	port_restore_ring(kring);
	for (uint32_t i = 0; i < kring->num_slots; i++) {
		struct netmap_slot slot = {
			.buf_idx = kring_load_slot(kring, i).buf_idx,
			.len = (uint16_t)len,
		};

		kring_store_slot(kring, i, slot);
	}
}

void port_destroy(struct port *port)
{
	if (port == NULL)
		return;
	port->ops->unpublish(port);
	port->ops->detach(port);
	port_fini(port);
	free(port->type_private);
	free(port);
}
