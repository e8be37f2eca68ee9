// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * What a port says to its device: negotiation, geometry, CREATE and DELETE
 * (spec/ptnet-device.md sections 4 and 6).
 *
 * What the host says about geometry is read before each CREATE, checked against
 * the region's bounds, and kept in private memory; the ring headers in the region
 * are for programs only.
 */
#include <linux/dma-mapping.h>

#include "ptnet.h"

/* ---- registers ---- */

/* A PTCTL command; returns 0 or a negative errno. */
static int ptnet_port_command(struct ptnet_port *port, u32 command)
{
	u32 result;

	ptnet_port_write(port, PTNET_IO_PTCTL, command);
	result = ptnet_port_read(port, PTNET_IO_PTCTL);
	if (!result)
		return 0;
	return result <= MAX_ERRNO ? -(int)result : -ENODEV;
}

static void ptnet_port_write_csb_addresses(struct ptnet_port *port, u64 gh, u64 hg)
{
	ptnet_port_write(port, PTNET_IO_CSB_GH_BAH, upper_32_bits(gh));
	ptnet_port_write(port, PTNET_IO_CSB_GH_BAL, lower_32_bits(gh));
	ptnet_port_write(port, PTNET_IO_CSB_HG_BAH, upper_32_bits(hg));
	ptnet_port_write(port, PTNET_IO_CSB_HG_BAL, lower_32_bits(hg));
}

/*
 * The classic CSB: two pages of guest RAM. They are allocated through the DMA API
 * so that an IOMMU or an encrypted guest is served too; without either the address
 * is the guest-physical one that netmap's own driver writes.
 */
static int ptnet_port_offer_csb_pages(struct ptnet_port *port)
{
	if (!port->csb_pages) {
		port->csb_pages = dma_alloc_coherent(&port->pdev->dev, 2 * PAGE_SIZE,
						     &port->csb_dma, GFP_KERNEL);
		if (!port->csb_pages)
			return -ENOMEM;
	}
	memset(port->csb_pages, 0, 2 * PAGE_SIZE);
	ptnet_port_write_csb_addresses(port, port->csb_dma, port->csb_dma + PAGE_SIZE);
	return 0;
}

void ptnet_port_withdraw_csb_pages(struct ptnet_port *port)
{
	if (port->csb_pages)
		ptnet_port_write_csb_addresses(port, 0, 0);
}

void ptnet_port_free_csb_pages(struct ptnet_port *port)
{
	if (port->csb_pages)
		dma_free_coherent(&port->pdev->dev, 2 * PAGE_SIZE, port->csb_pages, port->csb_dma);
	port->csb_pages = NULL;
}

/*
 * First words with the device, at probe and after resume: whatever ran is
 * stopped, features and CSB are agreed upon. Leaves the port inactive.
 */
int ptnet_port_negotiate(struct ptnet_port *port)
{
	u32 wanted = 0, acked;

	if (ptnet_region_csb)
		wanted |= PTNET_F_REGION_CSB;
	if (ptnet_vnet_hdr)
		wanted |= PTNET_F_VNET_HDR;

	/* A kernel that crashed may have left the port running. */
	ptnet_port_command(port, PTNET_PTCTL_DELETE);
	ptnet_port_write(port, PTNET_IO_PTFEAT, wanted);
	acked = ptnet_port_read(port, PTNET_IO_PTFEAT);
	if (acked == PTNET_ALL_ONES)
		return -ENODEV;
	port->features = acked & wanted;
	port->layout_serial = 0; /* it may be another device than before */
	if (!(port->features & PTNET_F_REGION_CSB))
		return ptnet_port_offer_csb_pages(port);
	return 0;
}

/*
 * The header length in use, which the host may set whatever was acked (section
 * 4.1). A length that we did not ask for would be taken for packet data.
 */
int ptnet_port_negotiate_header(struct ptnet_port *port)
{
	u32 wanted = ptnet_vnet_hdr ? PTNET_VNET_HDR_LEN : 0;
	u32 len;

	ptnet_port_write(port, PTNET_IO_VNET_HDR_LEN, wanted);
	len = ptnet_port_read(port, PTNET_IO_VNET_HDR_LEN);
	if (len && len != wanted) {
		dev_err(&port->pdev->dev,
			"the host uses a virtio-net header of %u bytes, %u was asked for\n", len,
			wanted);
		return len == PTNET_ALL_ONES ? -ENODEV : -EPROTO;
	}
	port->vnet_hdr_len = len;
	return 0;
}

/* Reads what is constant for the life of the port; refuses a change of ring numbers. */
int ptnet_port_read_geometry(struct ptnet_port *port)
{
	u32 tx_rings = ptnet_port_read(port, PTNET_IO_NUM_TX_RINGS);
	u32 rx_rings = ptnet_port_read(port, PTNET_IO_NUM_RX_RINGS);
	u32 id = ptnet_port_read(port, PTNET_IO_HOSTMEMID);
	enum ptnet_ring_dir dir;

	if (tx_rings == PTNET_ALL_ONES)
		return -ENODEV;
	if (!tx_rings || !rx_rings || tx_rings > PTNET_MAX_RINGS ||
	    rx_rings > PTNET_MAX_RINGS - tx_rings) {
		dev_err(&port->pdev->dev,
			"%u TX and %u RX rings: at least one of each and at most %u together "
			"work\n",
			tx_rings, rx_rings, PTNET_MAX_RINGS);
		return -EINVAL;
	}
	if (port->num_rings[PTNET_TX] &&
	    (tx_rings != port->num_rings[PTNET_TX] || rx_rings != port->num_rings[PTNET_RX])) {
		dev_err(&port->pdev->dev, "%u+%u rings have become %u+%u; reload the driver\n",
			port->num_rings[PTNET_TX], port->num_rings[PTNET_RX], tx_rings, rx_rings);
		return -EPROTO;
	}
	port->num_rings[PTNET_TX] = tx_rings;
	port->num_rings[PTNET_RX] = rx_rings;
	port->num_slots[PTNET_TX] = ptnet_port_read(port, PTNET_IO_NUM_TX_SLOTS);
	port->num_slots[PTNET_RX] = ptnet_port_read(port, PTNET_IO_NUM_RX_SLOTS);
	for (dir = PTNET_TX; dir < PTNET_DIRS; dir++)
		if (port->num_slots[dir] < 4 || port->num_slots[dir] > 1U << 20) {
			dev_err(&port->pdev->dev, "%s rings of %u slots are of no use\n",
				ptnet_dir_name(dir), port->num_slots[dir]);
			return -EINVAL;
		}
	port->nifp_ofs = ptnet_port_read(port, PTNET_IO_NIFP_OFS);
	port->mem_id = id;
	port->max_frame = ETH_FRAME_LEN; /* a host without the extension does not tell */
	if (port->features & PTNET_F_REGION_CSB)
		port->max_frame = clamp_t(u32, ptnet_port_read(port, PTNET_IO_EXT_MAX_FRAME),
					  ETH_HLEN + ETH_MIN_MTU, ETH_HLEN + ETH_MAX_MTU);
	port->use_doorbell = port->doorbell && (port->features & PTNET_F_REGION_CSB) &&
			     (ptnet_port_read(port, PTNET_IO_EXT_FLAGS) & PTNET_EXT_FLAG_DOORBELL);
	return 0;
}

/* ---- activation ---- */

static u64 ptnet_port_read64(struct ptnet_port *port, unsigned int lo)
{
	return (u64)ptnet_port_read(port, lo + 4) << 32 | ptnet_port_read(port, lo);
}

/* Where the two CSB arrays are. */
static int ptnet_port_find_csb(struct ptnet_port *port, struct nm_csb_atok **atok,
			       struct ptnet_csb_ktoa **ktoa)
{
	u64 size = 64ULL * (port->num_rings[PTNET_TX] + port->num_rings[PTNET_RX]);
	u64 gh, hg;

	if (!(port->features & PTNET_F_REGION_CSB)) {
		*atok = port->csb_pages;
		*ktoa = port->csb_pages + PAGE_SIZE;
		return 0;
	}
	gh = ptnet_port_read64(port, PTNET_IO_EXT_CSB_GH_OFS_LO);
	hg = ptnet_port_read64(port, PTNET_IO_EXT_CSB_HG_OFS_LO);
	*atok = ptnet_memdev_at(port->memdev, gh, size, 64);
	*ktoa = ptnet_memdev_at(port->memdev, hg, size, 64);
	if (!*atok || !*ktoa) {
		dev_err(&port->pdev->dev,
			"CSB arrays of %llu bytes at %#llx and %#llx are not inside the region of "
			"%llu bytes\n",
			size, gh, hg, port->memdev->size);
		return -EINVAL;
	}
	return 0;
}

/* The port's netmap_if, NULL if it is not inside the region. */
static struct netmap_if *ptnet_port_nifp(const struct ptnet_port *port)
{
	unsigned int entries = port->num_rings[PTNET_TX] + 1 + port->num_rings[PTNET_RX] + 1;
	struct netmap_if *nifp;

	return ptnet_memdev_at(port->memdev, port->nifp_ofs, struct_size(nifp, ring_ofs, entries),
			       8);
}

/* A ring's entry in ring_ofs; each direction ends with one entry for a host ring. */
static unsigned int ptnet_ring_entry(const struct ptnet_ring *ring)
{
	return ring->dir == PTNET_TX ? ring->index
				     : ring->port->num_rings[PTNET_TX] + 1 + ring->index;
}

/*
 * Learns where the rings are, from the netmap_if. Only once for each region: later on
 * programs may have overwritten it, and ptnet_port_restore() puts it right.
 */
static int ptnet_port_find_rings(struct ptnet_port *port)
{
	const struct netmap_if *nifp = ptnet_port_nifp(port);
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i;

	if (!nifp) {
		dev_err(&port->pdev->dev,
			"netmap_if at %#x is not inside the region of %llu bytes\n", port->nifp_ofs,
			port->memdev->size);
		return -EINVAL;
	}
	if (port->layout_serial == port->memdev->serial && port->layout_ofs == port->nifp_ofs)
		return 0;
	port->layout_serial = 0;
	port->nifp_flags = READ_ONCE(nifp->ni_flags);
	for_each_ring (port, dir, i, ring)
		ring->ofs = port->nifp_ofs + READ_ONCE(nifp->ring_ofs[ptnet_ring_entry(ring)]);
	return 0;
}

static int ptnet_port_map_ring(struct ptnet_ring *ring)
{
	struct ptnet_port *port = ring->port;
	const struct ptnet_memdev *memdev = port->memdev;
	u64 size = sizeof(struct netmap_ring) +
		   (u64)port->num_slots[ring->dir] * sizeof(struct netmap_slot);

	ring->shared = ptnet_memdev_at(memdev, ring->ofs, size, 64);
	if (!ring->shared) {
		dev_err(&port->pdev->dev,
			"%s ring %u of %llu bytes at %#llx is not inside the region of %llu "
			"bytes\n",
			ptnet_dir_name(ring->dir), ring->index, size, ring->ofs, memdev->size);
		return -EINVAL;
	}
	ring->num_slots = port->num_slots[ring->dir];
	ring->bufs = memdev->base + memdev->buf_pool.offset;
	ring->buf_size = memdev->buf_pool.objsz;
	ring->num_bufs = memdev->buf_pool.objnum;
	ring->slot_room = min_t(u32, ring->buf_size, U16_MAX);
	return 0;
}

/* Finds everything in the region; the rings are OFF. */
static int ptnet_port_map(struct ptnet_port *port)
{
	struct nm_csb_atok *atok;
	struct ptnet_csb_ktoa *ktoa;
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i;
	int err;

	err = ptnet_port_find_csb(port, &atok, &ktoa);
	if (!err)
		err = ptnet_port_find_rings(port);
	if (err)
		return err;
	for_each_ring (port, dir, i, ring) {
		err = ptnet_port_map_ring(ring);
		if (err)
			return err;
		ring->atok = &atok[ring->vector];
		ring->ktoa = &ktoa[ring->vector];
	}
	port->layout_serial = port->memdev->serial;
	port->layout_ofs = port->nifp_ofs;
	return 0;
}

/*
 * Writes what is constant in the netmap_if and the ring headers, which only programs
 * read, in case one has spoilt it for the next. The driver never grants extra buffers.
 */
void ptnet_port_restore(struct ptnet_port *port)
{
	struct netmap_if *nifp = ptnet_port_nifp(port);
	const u64 bufs = port->memdev->buf_pool.offset;
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i;

	strscpy_pad(nifp->ni_name, port->netdev->name, sizeof(nifp->ni_name));
	WRITE_ONCE(nifp->ni_flags, port->nifp_flags);
	WRITE_ONCE(nifp->ni_tx_rings, port->num_rings[PTNET_TX]);
	WRITE_ONCE(nifp->ni_rx_rings, port->num_rings[PTNET_RX]);
	WRITE_ONCE(nifp->ni_host_tx_rings, 1);
	WRITE_ONCE(nifp->ni_host_rx_rings, 1);
	WRITE_ONCE(nifp->ni_bufs_head, 0);
	WRITE_ONCE(nifp->ring_ofs[port->num_rings[PTNET_TX]], 0);
	WRITE_ONCE(nifp->ring_ofs[port->num_rings[PTNET_TX] + 1 + port->num_rings[PTNET_RX]], 0);
	for_each_ring (port, dir, i, ring) {
		WRITE_ONCE(nifp->ring_ofs[ptnet_ring_entry(ring)],
			   (s64)(ring->ofs - port->nifp_ofs));
		WRITE_ONCE(ring->shared->buf_ofs, (s64)(bufs - ring->ofs));
		WRITE_ONCE(ring->shared->num_slots, ring->num_slots);
		WRITE_ONCE(ring->shared->nr_buf_size, ring->buf_size);
		WRITE_ONCE(ring->shared->ringid, ring->index);
		WRITE_ONCE(ring->shared->dir, ring->dir);
		WRITE_ONCE(ring->shared->offset_mask, 0);
		WRITE_ONCE(ring->shared->buf_align, 0);
	}
}

/* From no user to the first (section 6.2). All rings are OFF, before and after. */
int ptnet_port_activate(struct ptnet_port *port)
{
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i;
	int err;

	lockdep_assert_held(&port->lock);
	err = ptnet_port_read_geometry(port);
	if (err)
		return err;
	port->memdev = ptnet_memdev_attach(port->mem_id, port);
	if (!port->memdev) {
		dev_err(&port->pdev->dev,
			"memory id %u is not here; does the machine have the ptnetmap-memdev "
			"function?\n",
			port->mem_id);
		return -ENOMEM;
	}
	err = ptnet_port_map(port);
	if (err)
		goto detach;
	for_each_ring (port, dir, i, ring) {
		WRITE_ONCE(ring->atok->appl_need_kick, dir == PTNET_RX);
		WRITE_ONCE(ring->ktoa->kern_need_kick, 1);
	}
	err = ptnet_port_negotiate_header(port);
	if (err)
		goto detach;
	err = ptnet_port_command(port, PTNET_PTCTL_CREATE);
	if (err) {
		dev_err(&port->pdev->dev, "the host refuses to start the port: error %d\n", err);
		goto detach;
	}
	for_each_ring (port, dir, i, ring) {
		err = ptnet_ring_adopt(ring);
		if (err)
			goto undo_create;
	}
	ptnet_netdev_limit_mtu(port);
	port->active = true;
	return 0;

undo_create:
	ptnet_port_command(port, PTNET_PTCTL_DELETE);
detach:
	ptnet_memdev_detach(port->memdev, port);
	port->memdev = NULL;
	return err;
}

/* All rings are OFF already. */
void ptnet_port_deactivate(struct ptnet_port *port)
{
	lockdep_assert_held(&port->lock);
	ptnet_port_command(port, PTNET_PTCTL_DELETE);
	ptnet_memdev_detach(port->memdev, port);
	port->memdev = NULL;
	port->active = false;
}
