// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The port as a network interface: one queue per ring pair, frames copied into
 * and out of the region's buffers (spec/ptnet-device.md section 7.5).
 *
 * TX. A frame is copied when it is sent and the skb freed at once, so there is
 * nothing to clean up later and no TX interrupt while there is room. For the same
 * reason there are no byte queue limits: they would need an interrupt for each
 * completion, and what they bound, the data held by the device, belongs to no socket
 * any more. Frames announced as a batch (xmit_more) are published together. Checksums
 * are computed while copying.
 *
 * The queue is stopped while there is not room for the longest frame. It stops,
 * asks for an interrupt, and looks again; the interrupt handler takes the
 * request back only when it wakes the queue, after having taken it back. So
 * whoever is last, either finds room or leaves a stopped queue with a request.
 *
 * RX. The poller asks for an interrupt and looks again before it completes; an
 * interrupt in between makes NAPI poll once more.
 */
#include <linux/if_vlan.h>
#include <linux/virtio_net.h>
#include <net/checksum.h>

#include "ptnet.h"

/* ---- TX ---- */

static struct netdev_queue *ptnet_tx_queue(const struct ptnet_ring *ring)
{
	return netdev_get_tx_queue(ring->port->netdev, ring->index);
}

/* Publishes all that was filled and kicks if the host sleeps. */
static void ptnet_tx_submit(struct ptnet_ring *ring)
{
	if (ring->next == ring->head)
		return;
	ptnet_ring_publish(ring, ring->next, ring->next);
	if (ptnet_ring_must_kick(ring, PTNET_SYNC_FORCE_RECLAIM))
		ptnet_ring_kick(ring);
	/* In the line that must_kick has read. While there is room nobody else looks. */
	if (unlikely(ptnet_ring_host_stopped(ring)))
		netif_tx_stop_queue(ptnet_tx_queue(ring));
}

/* Is there room for that many slots? The host's index is read only when it matters. */
static bool ptnet_tx_has_room(struct ptnet_ring *ring, u32 slots)
{
	if (likely(ptnet_ring_space(ring, ring->next) >= slots))
		return true;
	return !ptnet_ring_refresh(ring) && ptnet_ring_space(ring, ring->next) >= slots;
}

/* How long a queue may be stopped until the device is asked whether it is still there. */
#define PTNET_STALL_TIME (2 * HZ)

/* Stops the queue until there is room for the longest frame, which may be at once. */
static void ptnet_tx_stop(struct ptnet_ring *ring)
{
	struct netdev_queue *txq = ptnet_tx_queue(ring);

	ptnet_ring_count(ring, PTNET_STAT_STOPS, 1);
	netif_tx_stop_queue(txq);
	ptnet_csb_enable_interrupt(ring->atok);
	if (!ptnet_tx_has_room(ring, ring->frame_slots)) {
		/* If it lasts: is there still a host? Costs nothing while that is pending. */
		schedule_delayed_work(&ring->port->link_work, PTNET_STALL_TIME);
		return;
	}
	ptnet_csb_disable_interrupt(ring->atok);
	netif_tx_start_queue(txq);
}

/* Copies the part from csum_start on with its checksum, the part before without. */
static void ptnet_tx_copy_and_csum(const struct sk_buff *skb, u8 *buf)
{
	int start = skb_checksum_start_offset(skb);
	__wsum csum;
	__sum16 folded;

	skb_copy_bits(skb, 0, buf, start);
	csum = skb_copy_and_csum_bits(skb, start, buf + start, skb->len - start);
	folded = csum_fold(csum) ?: CSUM_MANGLED_0;
	memcpy(buf + start + skb->csum_offset, &folded, sizeof(folded));
}

static void ptnet_tx_write_slot(struct ptnet_ring *ring, u32 i, u32 len, u16 flags)
{
	struct netmap_slot *slot = &ring->shared->slot[i];

	WRITE_ONCE(slot->len, len);
	WRITE_ONCE(slot->flags, flags);
	WRITE_ONCE(slot->ptr, 0);
}

/*
 * Copies a frame, preceded by the port's header if it has one, into slots slots
 * from next on. Returns false if one of them names no buffer.
 */
static bool ptnet_tx_copy_chain(struct ptnet_ring *ring, const struct sk_buff *skb,
				const struct virtio_net_hdr_mrg_rxbuf *hdr, u32 hdr_len, u32 slots)
{
	u32 left = skb->len, offset = 0, i = ring->next;

	for (; slots; slots--, i = ptnet_ring_next(ring, i)) {
		u32 room = ring->slot_room, chunk;
		u8 *buf = ptnet_ring_buf(ring, i);

		if (unlikely(!buf))
			return false;
		if (hdr_len) {
			memcpy(buf, hdr, hdr_len);
			buf += hdr_len;
			room -= hdr_len;
		}
		chunk = min(room, left);
		skb_copy_bits(skb, offset, buf, chunk);
		ptnet_tx_write_slot(ring, i, hdr_len + chunk, slots > 1 ? NS_MOREFRAG : 0);
		offset += chunk;
		left -= chunk;
		hdr_len = 0;
	}
	WRITE_ONCE(ring->next, i);
	return true;
}

static bool ptnet_tx_copy_single(struct ptnet_ring *ring, const struct sk_buff *skb)
{
	u8 *buf = ptnet_ring_buf(ring, ring->next);

	if (unlikely(!buf))
		return false;
	if (skb->ip_summed == CHECKSUM_PARTIAL)
		ptnet_tx_copy_and_csum(skb, buf);
	else
		skb_copy_bits(skb, 0, buf, skb->len);
	ptnet_tx_write_slot(ring, ring->next, skb->len, 0);
	WRITE_ONCE(ring->next, ptnet_ring_next(ring, ring->next));
	return true;
}

/* Says with the header, if the host understands it, what would else be done here. */
static bool ptnet_tx_make_header(struct ptnet_port *port, struct sk_buff *skb,
				 struct virtio_net_hdr_mrg_rxbuf *hdr)
{
	memset(hdr, 0, sizeof(*hdr));
	if (port->features & PTNET_F_VNET_HDR)
		return !virtio_net_hdr_from_skb(skb, &hdr->hdr, true, false, 0);
	return skb->ip_summed != CHECKSUM_PARTIAL || !skb_checksum_help(skb);
}

enum ptnet_tx_result { PTNET_TX_FILLED, PTNET_TX_DROP, PTNET_TX_STOPPED };

static enum ptnet_tx_result ptnet_tx_fill(struct ptnet_ring *ring, struct sk_buff *skb, u32 slots)
{
	struct ptnet_port *port = ring->port;
	struct virtio_net_hdr_mrg_rxbuf hdr;
	bool ok;

	BUILD_BUG_ON(sizeof(hdr) != PTNET_VNET_HDR_LEN);
	if (likely(slots == 1 && !port->vnet_hdr_len)) {
		ok = ptnet_tx_copy_single(ring, skb);
	} else {
		if (!ptnet_tx_make_header(port, skb, &hdr))
			return PTNET_TX_DROP;
		ok = ptnet_tx_copy_chain(ring, skb, &hdr, port->vnet_hdr_len, slots);
	}
	if (likely(ok))
		return PTNET_TX_FILLED;
	ptnet_ring_stop(ring, "a slot given back names no buffer, next slot", ring->next);
	return PTNET_TX_STOPPED;
}

static u32 ptnet_tx_slots(const struct ptnet_ring *ring, const struct sk_buff *skb)
{
	return DIV_ROUND_UP(skb->len + ring->port->vnet_hdr_len, ring->slot_room);
}

static netdev_tx_t ptnet_netdev_xmit(struct sk_buff *skb, struct net_device *netdev)
{
	struct ptnet_port *port = ptnet_netdev_port(netdev);
	struct ptnet_ring *ring = &port->rings[PTNET_TX][skb_get_queue_mapping(skb)];
	bool more = netdev_xmit_more();
	bool room;
	u32 slots, len = skb->len;

	/* A late wake-up of a queue that a program has, or that was stopped for good. */
	if (unlikely(ring->mode != PTNET_RING_STACK || ring->fault)) {
		netif_tx_stop_queue(ptnet_tx_queue(ring));
		return NETDEV_TX_BUSY;
	}

	slots = ptnet_tx_slots(ring, skb);
	if (unlikely(len > ring->frame_len || slots > ring->frame_slots))
		goto drop;
	if (unlikely(!ptnet_tx_has_room(ring, slots))) {
		ptnet_tx_submit(ring);
		ptnet_tx_stop(ring);
		if (ring->fault || !ptnet_tx_has_room(ring, slots))
			return NETDEV_TX_BUSY;
	}

	switch (ptnet_tx_fill(ring, skb, slots)) {
	case PTNET_TX_FILLED:
		break;
	case PTNET_TX_DROP:
		goto drop;
	case PTNET_TX_STOPPED:
		netif_tx_stop_queue(ptnet_tx_queue(ring));
		goto drop;
	}
	skb_tx_timestamp(skb);
	dev_consume_skb_any(skb);
	u64_stats_update_begin(&ring->stats_sync);
	u64_stats_inc(&ring->stats[PTNET_STAT_PACKETS]);
	u64_stats_add(&ring->stats[PTNET_STAT_BYTES], len);
	u64_stats_update_end(&ring->stats_sync);

	room = ptnet_tx_has_room(ring, ring->frame_slots);
	if (!more || !room)
		ptnet_tx_submit(ring);
	if (unlikely(!room))
		ptnet_tx_stop(ring);
	return NETDEV_TX_OK;

drop:
	ptnet_ring_count(ring, PTNET_STAT_DROPPED, 1);
	dev_kfree_skb_any(skb);
	if (!more && !ring->fault)
		ptnet_tx_submit(ring);
	return NETDEV_TX_OK;
}

/*
 * Hard interrupt of a TX ring. next may move under us, but only in a running
 * queue, which will look for itself before it stops. A value that makes no sense, and
 * a ring that the host stopped, are for the sender to find.
 */
static void ptnet_tx_interrupt(struct ptnet_ring *ring)
{
	u32 next = READ_ONCE(ring->next);
	u32 hwcur, hwtail;

	ptnet_csb_read((const struct nm_csb_ktoa *)ring->ktoa, &hwcur, &hwtail);
	if (hwtail < ring->num_slots &&
	    ptnet_ring_distance(ring, next, hwtail) < ring->frame_slots &&
	    !READ_ONCE(ring->ktoa->ring_fault))
		return;
	ptnet_csb_disable_interrupt(ring->atok);
	netif_tx_wake_queue(ptnet_tx_queue(ring));
}

static bool ptnet_tx_usable(const struct ptnet_port *port, u16 queue)
{
	const struct ptnet_ring *ring = &port->rings[PTNET_TX][queue];

	return READ_ONCE(ring->mode) == PTNET_RING_STACK && !READ_ONCE(ring->fault);
}

/* While a program holds some of the rings, traffic goes to the others. */
static u16 ptnet_netdev_select_queue(struct net_device *netdev, struct sk_buff *skb,
				     struct net_device *sb_dev)
{
	const struct ptnet_port *port = ptnet_netdev_port(netdev);
	u16 queue = netdev_pick_tx(netdev, skb, sb_dev);
	u16 i;

	if (likely(ptnet_tx_usable(port, queue)))
		return queue;
	for (i = 0; i < port->num_queues; i++)
		if (ptnet_tx_usable(port, i))
			return i;
	return queue;
}

/*
 * A frame that takes too many slots is segmented by the stack, and so are all if the
 * host has changed its mind about the header since probe.
 */
static netdev_features_t ptnet_netdev_features_check(struct sk_buff *skb, struct net_device *netdev,
						     netdev_features_t features)
{
	const struct ptnet_port *port = ptnet_netdev_port(netdev);
	const struct ptnet_ring *ring = &port->rings[PTNET_TX][0]; /* they are all alike */

	if (skb_is_gso(skb) &&
	    (!ptnet_port_has_offloads(port) ||
	     (ring->frame_slots && ptnet_tx_slots(ring, skb) > ring->frame_slots)))
		features &= ~NETIF_F_GSO_MASK;
	return vlan_features_check(skb, features);
}

/* ---- RX ---- */

/* A packet as it lies in the ring, every slot read once. */
struct ptnet_rx_packet {
	struct ptnet_slot frags[NETMAP_MAX_FRAGS];
	unsigned int slots; /* 0: there is no complete packet */
	u32 len;	    /* of all slots, the port's header included */
	bool bad;
};

static void ptnet_rx_gather(const struct ptnet_ring *ring, struct ptnet_rx_packet *packet)
{
	u32 i = ring->next;
	struct ptnet_slot *slot;

	packet->slots = 0;
	packet->len = 0;
	packet->bad = false;
	do {
		if (i == ring->hwtail) {
			/* Incomplete: the rest will come, unless the ring is full of it. */
			packet->bad = ptnet_ring_space(ring, ring->head) == ring->num_slots - 1 &&
				      ring->next == ring->head;
			if (!packet->bad)
				packet->slots = 0;
			return;
		}
		slot = &packet->frags[packet->slots++];
		ptnet_ring_read_slot(ring, i, slot);
		packet->bad |= !slot->buf;
		packet->len += slot->len;
		i = ptnet_ring_next(ring, i);
	} while (slot->flags & NS_MOREFRAG && packet->slots < NETMAP_MAX_FRAGS);
	packet->bad |= slot->flags & NS_MOREFRAG;
}

/* What is copied into the linear part of a packet that has pages, too. */
#define PTNET_RX_LINEAR 256
/* Longer ones get pages, so that no large allocation is needed. */
#define PTNET_RX_SMALL 2048

static struct sk_buff *ptnet_rx_alloc(struct ptnet_ring *ring, u32 len)
{
	const u32 headroom = NET_SKB_PAD + NET_IP_ALIGN;
	struct sk_buff *skb;
	int err;

	if (likely(len <= PTNET_RX_SMALL)) {
		skb = napi_alloc_skb(&ring->napi, len);
		if (skb)
			skb_put(skb, len);
		return skb;
	}
	skb = alloc_skb_with_frags(headroom + PTNET_RX_LINEAR, len - PTNET_RX_LINEAR,
				   PAGE_ALLOC_COSTLY_ORDER, &err, GFP_ATOMIC | __GFP_NOWARN);
	if (!skb)
		return NULL;
	skb_reserve(skb, headroom);
	skb_put(skb, PTNET_RX_LINEAR);
	skb->data_len = len - PTNET_RX_LINEAR;
	skb->len = len;
	return skb;
}

/* Copies the packet, without the first skip bytes, which lie in its first slot. */
static void ptnet_rx_copy(struct sk_buff *skb, const struct ptnet_rx_packet *packet, u32 skip)
{
	u32 offset = 0;
	unsigned int i;

	for (i = 0; i < packet->slots; i++) {
		const struct ptnet_slot *slot = &packet->frags[i];

		skb_store_bits(skb, offset, slot->buf + skip, slot->len - skip);
		offset += slot->len - skip;
		skip = 0;
	}
}

/* Believes the header as far as the kernel's own checks let it. */
static bool ptnet_rx_apply_header(struct sk_buff *skb, const struct ptnet_rx_packet *packet)
{
	struct virtio_net_hdr_mrg_rxbuf hdr;

	memcpy(&hdr, packet->frags[0].buf, sizeof(hdr));
	if (hdr.hdr.flags & VIRTIO_NET_HDR_F_DATA_VALID)
		skb->ip_summed = CHECKSUM_UNNECESSARY;
	return !virtio_net_hdr_to_skb(skb, &hdr.hdr, true);
}

struct ptnet_rx_counts {
	u64 packets;
	u64 bytes;
	u64 dropped;
	u64 bad;
};

static void ptnet_rx_deliver(struct ptnet_ring *ring, const struct ptnet_rx_packet *packet,
			     struct ptnet_rx_counts *counts)
{
	struct ptnet_port *port = ring->port;
	u32 skip = port->vnet_hdr_len;
	struct sk_buff *skb;
	u32 len;

	/* A switch that could not use a reserved slot leaves it empty (ports.md 2.5). */
	if (!packet->len && packet->slots == 1 && !packet->bad)
		return;
	if (unlikely(packet->bad || packet->frags[0].len < skip || packet->len < skip + ETH_HLEN ||
		     packet->len - skip > ETH_HLEN + VLAN_HLEN + ETH_MAX_MTU)) {
		counts->bad++;
		return;
	}
	len = packet->len - skip;
	skb = ptnet_rx_alloc(ring, len);
	if (unlikely(!skb)) {
		counts->dropped++;
		return;
	}
	ptnet_rx_copy(skb, packet, skip);
	if (skip && unlikely(!ptnet_rx_apply_header(skb, packet))) {
		counts->bad++;
		kfree_skb(skb);
		return;
	}
	counts->packets++;
	counts->bytes += len;
	skb_record_rx_queue(skb, ring->index);
	skb->protocol = eth_type_trans(skb, port->netdev);
	napi_gro_receive(&ring->napi, skb);
}

/* Takes up to budget packets out of the ring and gives their slots back. */
static int ptnet_rx_consume(struct ptnet_ring *ring, int budget)
{
	struct ptnet_rx_counts counts = {};
	struct ptnet_rx_packet packet;
	int done;

	for (done = 0; done < budget && ring->next != ring->hwtail; done++) {
		ptnet_rx_gather(ring, &packet);
		if (!packet.slots)
			break;
		ptnet_rx_deliver(ring, &packet, &counts);
		ring->next += packet.slots;
		if (ring->next >= ring->num_slots)
			ring->next -= ring->num_slots;
	}
	if (!done)
		return 0;

	u64_stats_update_begin(&ring->stats_sync);
	u64_stats_add(&ring->stats[PTNET_STAT_PACKETS], counts.packets);
	u64_stats_add(&ring->stats[PTNET_STAT_BYTES], counts.bytes);
	u64_stats_add(&ring->stats[PTNET_STAT_DROPPED], counts.dropped);
	u64_stats_add(&ring->stats[PTNET_STAT_BAD_PACKETS], counts.bad);
	u64_stats_update_end(&ring->stats_sync);

	ptnet_ring_publish(ring, ring->next, ring->next);
	if (ptnet_ring_must_kick(ring, PTNET_SYNC_FORCE_READ))
		ptnet_ring_kick(ring);
	return done;
}

static int ptnet_netdev_poll(struct napi_struct *napi, int budget)
{
	struct ptnet_ring *ring = container_of(napi, struct ptnet_ring, napi);
	u32 seen;
	int done = 0;

	if (!budget) /* netpoll only wants to send */
		return 0;
	if (READ_ONCE(ring->armed)) {
		WRITE_ONCE(ring->armed, false);
		ptnet_csb_disable_interrupt(ring->atok);
	}
	if (unlikely(ptnet_ring_refresh(ring)))
		goto complete; /* stopped: no interrupt is wanted any more */
	done = ptnet_rx_consume(ring, budget);
	if (done == budget)
		return budget;

	seen = ring->hwtail;
	WRITE_ONCE(ring->armed, true);
	ptnet_csb_enable_interrupt(ring->atok);
	if (ptnet_ring_refresh(ring) || ring->hwtail != seen)
		return budget; /* still ours: NAPI calls again */
complete:
	napi_complete_done(napi, done);
	return done;
}

/* Hard interrupt of an RX ring. If the poller runs already, it will run again. */
static void ptnet_rx_interrupt(struct ptnet_ring *ring)
{
	if (!napi_schedule_prep(&ring->napi))
		return;
	WRITE_ONCE(ring->armed, false);
	ptnet_csb_disable_interrupt(ring->atok);
	__napi_schedule(&ring->napi);
}

/* ---- port.c's side: the ring changes hands ---- */

/* Sizes that the ring's user needs at every frame. */
static void ptnet_netdev_limit_ring(struct ptnet_ring *ring)
{
	const struct ptnet_port *port = ring->port;
	u32 len = port->max_frame + VLAN_HLEN;

	if (ptnet_port_has_offloads(port))
		len = max_t(u32, len, GSO_LEGACY_MAX_SIZE);
	ring->frame_len = len;
	ring->frame_slots = min3(DIV_ROUND_UP(len + port->vnet_hdr_len, ring->slot_room),
				 (u32)NETMAP_MAX_FRAGS, ring->num_slots - 1);
}

/* The ring is OFF and its positions are what was last published. */
void ptnet_netdev_enter(struct ptnet_ring *ring)
{
	ring->next = ring->head;
	ring->armed = false;
	ptnet_netdev_limit_ring(ring);
	if (ring->dir == PTNET_TX) {
		struct netdev_queue *txq = ptnet_tx_queue(ring);

		__netif_tx_lock_bh(txq);
		smp_store_release(&ring->mode, PTNET_RING_STACK);
		netif_tx_wake_queue(txq);
		__netif_tx_unlock_bh(txq);
		return;
	}
	smp_store_release(&ring->mode, PTNET_RING_STACK);
	napi_enable(&ring->napi);
	/* Packets may have arrived while nobody looked. */
	local_bh_disable();
	napi_schedule(&ring->napi);
	local_bh_enable();
}

/* Returns with the ring OFF and the stack out of it; nothing filled is lost. */
void ptnet_netdev_leave(struct ptnet_ring *ring)
{
	if (ring->dir == PTNET_TX) {
		struct netdev_queue *txq = ptnet_tx_queue(ring);

		__netif_tx_lock_bh(txq);
		if (!ring->fault)
			ptnet_tx_submit(ring);
		netif_tx_stop_queue(txq);
		WRITE_ONCE(ring->mode, PTNET_RING_OFF);
		__netif_tx_unlock_bh(txq);
		return;
	}
	napi_disable(&ring->napi);
	WRITE_ONCE(ring->mode, PTNET_RING_OFF);
}

void ptnet_netdev_interrupt(struct ptnet_ring *ring)
{
	if (ring->dir == PTNET_TX)
		ptnet_tx_interrupt(ring);
	else
		ptnet_rx_interrupt(ring);
}

/* A frame must fit into a ring, in as many slots as one packet may have. */
void ptnet_netdev_limit_mtu(struct ptnet_port *port)
{
	const struct ptnet_ring *ring = &port->rings[PTNET_TX][0];
	u32 slots = min_t(u32, NETMAP_MAX_FRAGS, ring->num_slots - 1);
	u64 room = (u64)slots * ring->slot_room - port->vnet_hdr_len;
	struct net_device *netdev = port->netdev;

	WRITE_ONCE(netdev->max_mtu, min_t(u64, port->max_frame, room) - ETH_HLEN);
	if (netdev->mtu > netdev->max_mtu)
		netdev_warn(netdev, "MTU %u, but longer frames than MTU %u are dropped\n",
			    netdev->mtu, netdev->max_mtu);
}

/* ---- link ---- */

/* Is there a host, and does it say that the link is up? Without the extension it says nothing. */
static bool ptnet_netdev_link(struct ptnet_port *port)
{
	bool extension = port->features & PTNET_F_REGION_CSB;
	u32 answer = ptnet_port_read(port, extension ? PTNET_IO_EXT_LINK : PTNET_IO_PTFEAT);

	if (answer == PTNET_ALL_ONES)
		return false;
	return !extension || answer & 1;
}

static bool ptnet_netdev_stalled(const struct ptnet_port *port)
{
	unsigned int i;

	for (i = 0; i < port->num_queues; i++) {
		const struct ptnet_ring *ring = &port->rings[PTNET_TX][i];

		if (ring->mode == PTNET_RING_STACK && !READ_ONCE(ring->fault) &&
		    netif_tx_queue_stopped(ptnet_tx_queue(ring)))
			return true;
	}
	return false;
}

/*
 * Asks the device and sets the carrier. There is no interrupt for a change; as long as
 * the link is down we ask again every second, and while a queue is stopped every few:
 * the host may be gone. Called with port->lock held, so that it cannot undo what the loss
 * of the region did to the carrier.
 */
void ptnet_netdev_check_link(struct ptnet_port *port)
{
	lockdep_assert_held(&port->lock);
	if (!port->active || !port->stack_up)
		return;
	if (!ptnet_netdev_link(port)) {
		netif_carrier_off(port->netdev);
		schedule_delayed_work(&port->link_work, round_jiffies_relative(HZ));
		return;
	}
	netif_carrier_on(port->netdev);
	if (ptnet_netdev_stalled(port))
		schedule_delayed_work(&port->link_work, PTNET_STALL_TIME);
}

void ptnet_netdev_link_work(struct work_struct *work)
{
	struct ptnet_port *port = container_of(to_delayed_work(work), struct ptnet_port, link_work);

	mutex_lock(&port->lock);
	ptnet_netdev_check_link(port);
	mutex_unlock(&port->lock);
}

/* ---- operations ---- */

static int ptnet_netdev_open(struct net_device *netdev)
{
	return ptnet_port_stack_up(ptnet_netdev_port(netdev));
}

static int ptnet_netdev_stop(struct net_device *netdev)
{
	struct ptnet_port *port = ptnet_netdev_port(netdev);

	ptnet_port_stack_down(port);
	netif_carrier_off(netdev);
	cancel_delayed_work_sync(&port->link_work); /* takes port->lock */
	return 0;
}

static u64 ptnet_ring_stat(struct ptnet_ring *ring, enum ptnet_ring_stat stat)
{
	unsigned int start;
	u64 value;

	do {
		start = u64_stats_fetch_begin(&ring->stats_sync);
		value = u64_stats_read(&ring->stats[stat]);
	} while (u64_stats_fetch_retry(&ring->stats_sync, start));
	return value;
}

static void ptnet_netdev_get_stats64(struct net_device *netdev, struct rtnl_link_stats64 *stats)
{
	struct ptnet_port *port = ptnet_netdev_port(netdev);
	struct ptnet_ring *ring;
	unsigned int i;

	for (i = 0; i < port->num_queues; i++) {
		ring = &port->rings[PTNET_TX][i];
		stats->tx_packets += ptnet_ring_stat(ring, PTNET_STAT_PACKETS);
		stats->tx_bytes += ptnet_ring_stat(ring, PTNET_STAT_BYTES);
		stats->tx_dropped += ptnet_ring_stat(ring, PTNET_STAT_DROPPED);
		ring = &port->rings[PTNET_RX][i];
		stats->rx_packets += ptnet_ring_stat(ring, PTNET_STAT_PACKETS);
		stats->rx_bytes += ptnet_ring_stat(ring, PTNET_STAT_BYTES);
		stats->rx_dropped += ptnet_ring_stat(ring, PTNET_STAT_DROPPED);
		stats->rx_errors += ptnet_ring_stat(ring, PTNET_STAT_BAD_PACKETS);
	}
}

/*
 * No ndo_tx_timeout: a pipe whose reader does not read stays full, and that is not an
 * error. See ptnet_netdev_check_link() for a host that is gone.
 */
static const struct net_device_ops ptnet_netdev_ops = {
	.ndo_open = ptnet_netdev_open,
	.ndo_stop = ptnet_netdev_stop,
	.ndo_start_xmit = ptnet_netdev_xmit,
	.ndo_select_queue = ptnet_netdev_select_queue,
	.ndo_features_check = ptnet_netdev_features_check,
	.ndo_get_stats64 = ptnet_netdev_get_stats64,
	.ndo_set_mac_address = eth_mac_addr,
	.ndo_validate_addr = eth_validate_addr,
};

/* The port behind an interface of that name, with a reference; NULL if it is none of ours. */
struct ptnet_port *ptnet_netdev_find(struct net *net, const char *name)
{
	struct net_device *netdev = dev_get_by_name(net, name);
	struct ptnet_port *port = NULL;

	if (!netdev)
		return NULL;
	/* Removal drops the port's own reference only after ours to netdev is gone. */
	if (netdev->netdev_ops == &ptnet_netdev_ops) {
		port = ptnet_netdev_port(netdev);
		ptnet_port_get(port);
	}
	dev_put(netdev);
	return port;
}

/* A new interface, not registered yet; an ERR_PTR on failure. free_netdev() undoes it. */
struct net_device *ptnet_netdev_create(struct ptnet_port *port, const u8 *mac)
{
	struct ptnet_netdev_priv *priv;
	struct net_device *netdev;
	unsigned int i;

	netdev = alloc_etherdev_mqs(sizeof(*priv), port->num_queues, port->num_queues);
	if (!netdev)
		return ERR_PTR(-ENOMEM);
	priv = netdev_priv(netdev);
	priv->port = port;
	SET_NETDEV_DEV(netdev, &port->pdev->dev);
	netdev->netdev_ops = &ptnet_netdev_ops;
	netdev->ethtool_ops = &ptnet_ethtool_ops;
	netdev->priv_flags |= IFF_LIVE_ADDR_CHANGE;
	netdev->min_mtu = ETH_MIN_MTU;
	netdev->max_mtu = port->max_frame - ETH_HLEN;
	netdev->mtu = min(netdev->mtu, netdev->max_mtu);

	/* Frames are copied, whatever they are made of, and checksummed in passing. */
	netdev->hw_features = NETIF_F_SG | NETIF_F_FRAGLIST | NETIF_F_HW_CSUM;
	if (ptnet_port_has_offloads(port))
		netdev->hw_features |= NETIF_F_TSO | NETIF_F_TSO6 | NETIF_F_TSO_ECN;
	netdev->features = netdev->hw_features | NETIF_F_HIGHDMA;
	netdev->vlan_features = netdev->features;

	if (is_valid_ether_addr(mac)) {
		eth_hw_addr_set(netdev, mac);
	} else {
		dev_warn(&port->pdev->dev, "the host gives no valid address (%pM)\n", mac);
		eth_hw_addr_random(netdev);
	}
	for (i = 0; i < port->num_queues; i++)
		netif_napi_add(netdev, &port->rings[PTNET_RX][i].napi, ptnet_netdev_poll);
	netif_carrier_off(netdev);
	return netdev;
}
