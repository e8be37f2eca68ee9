// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * One ring's positions: what the host reports is read once, checked against what
 * was published, and only then believed.
 */
#include "ptnet.h"

/* Called once, at probe. */
void ptnet_ring_init(struct ptnet_ring *ring, struct ptnet_port *port, enum ptnet_ring_dir dir,
		     unsigned int index, unsigned int vector)
{
	ring->port = port;
	ring->dir = dir;
	ring->index = index;
	ring->vector = vector;
	ring->mode = PTNET_RING_OFF;
	spin_lock_init(&ring->lock);
	init_waitqueue_head(&ring->wait);
	u64_stats_init(&ring->stats_sync);
}

/*
 * Positions in circular order: hwcur <= head <= hwtail, with one slot left
 * unused. It holds for both directions: between hwcur and head is what the host
 * has not consumed, between head and hwtail what is the user's.
 */
static bool ptnet_ring_in_order(const struct ptnet_ring *ring, u32 hwcur, u32 head, u32 hwtail)
{
	return ptnet_ring_distance(ring, hwcur, head) + ptnet_ring_distance(ring, head, hwtail) <
	       ring->num_slots;
}

/*
 * After CREATE: takes the host's idea of all positions (spec/ptnet-device.md
 * section 6.2, step 7). The mode is OFF. Returns -EIO if they make no sense.
 */
int ptnet_ring_adopt(struct ptnet_ring *ring)
{
	u32 head = READ_ONCE(ring->atok->head);
	u32 cur = READ_ONCE(ring->atok->cur);
	u32 hwcur, hwtail;

	ptnet_csb_read((const struct nm_csb_ktoa *)ring->ktoa, &hwcur, &hwtail);
	if (head >= ring->num_slots || hwcur >= ring->num_slots || hwtail >= ring->num_slots ||
	    !ptnet_ring_in_order(ring, hwcur, head, hwtail)) {
		netdev_err(ring->port->netdev,
			   "%s ring %u: the host starts with head %u, hwcur %u, hwtail %u in a "
			   "ring of %u slots\n",
			   ptnet_dir_name(ring->dir), ring->index, head, hwcur, hwtail,
			   ring->num_slots);
		return -EIO;
	}
	/* A wrong cur does no harm: it only says when to wake us. */
	if (cur >= ring->num_slots ||
	    ptnet_ring_distance(ring, head, cur) > ptnet_ring_distance(ring, head, hwtail))
		cur = head;
	ring->next = head;
	ring->head = head;
	ring->cur = cur;
	ring->hwcur = hwcur;
	ring->hwtail = hwtail;
	ring->fault = false;
	ring->armed = false;
	/* The host may have asked for interrupts on our behalf; whoever wants one asks. */
	ptnet_csb_disable_interrupt(ring->atok);
	return 0;
}

/* Did the host stop the ring? Then it is stopped here, too. Called by the ring's user. */
bool ptnet_ring_host_stopped(struct ptnet_ring *ring)
{
	u32 reason;

	if (!(ring->port->features & PTNET_F_REGION_CSB))
		return false;
	reason = READ_ONCE(ring->ktoa->ring_fault);
	if (likely(!reason))
		return false;
	ptnet_ring_stop(ring, "the host stopped it, reason", reason);
	return true;
}

/*
 * Reads the host's positions into ring->hwcur and ring->hwtail. Called by the
 * ring's user. Returns -EIO, and the ring stays stopped until the next CREATE,
 * if the host reports something impossible or says that it stopped the ring.
 */
int ptnet_ring_refresh(struct ptnet_ring *ring)
{
	u32 hwcur, hwtail;

	if (unlikely(ring->fault))
		return -EIO;
	ptnet_csb_read((const struct nm_csb_ktoa *)ring->ktoa, &hwcur, &hwtail);
	/* The host consumed no more than was published, and took back nothing. */
	if (unlikely(hwcur >= ring->num_slots ||
		     ptnet_ring_distance(ring, ring->hwcur, hwcur) >
			     ptnet_ring_distance(ring, ring->hwcur, ring->head))) {
		ptnet_ring_stop(ring, "the host reports an impossible hwcur", hwcur);
		return -EIO;
	}
	if (unlikely(hwtail >= ring->num_slots ||
		     ptnet_ring_distance(ring, ring->head, hwtail) <
			     ptnet_ring_distance(ring, ring->head, ring->hwtail) ||
		     !ptnet_ring_in_order(ring, hwcur, ring->head, hwtail))) {
		ptnet_ring_stop(ring, "the host reports an impossible hwtail", hwtail);
		return -EIO;
	}
	if (unlikely(ptnet_ring_host_stopped(ring)))
		return -EIO;
	ring->hwcur = hwcur;
	ring->hwtail = hwtail;
	return 0;
}

/* Gives the slots before head to the host. Called by the ring's user. */
void ptnet_ring_publish(struct ptnet_ring *ring, u32 head, u32 cur)
{
	ring->head = head;
	ring->cur = cur;
	ptnet_csb_publish(ring->atok, head, cur);
}

/*
 * After publishing: does the host sleep? Counts the answer; if it is yes, the
 * caller kicks, possibly after leaving its lock: a kick costs an exit.
 */
bool ptnet_ring_must_kick(struct ptnet_ring *ring, u32 sync_flags)
{
	WRITE_ONCE(ring->atok->sync_flags, sync_flags);
	if (!ptnet_csb_must_kick((const struct nm_csb_ktoa *)ring->ktoa)) {
		ptnet_ring_count(ring, PTNET_STAT_KICKS_SUPPRESSED, 1);
		return false;
	}
	ptnet_ring_count(ring, PTNET_STAT_KICKS, 1);
	return true;
}

/* Any context; the device must not have been unmapped (port->lock or mode). */
void ptnet_ring_kick(struct ptnet_ring *ring)
{
	struct ptnet_port *port = ring->port;

	if (port->use_doorbell)
		iowrite32(0, port->doorbell + 4 * ring->vector);
	else
		ptnet_port_write(port, PTNET_IO_KICK_BASE + 4 * ring->vector, 0);
}

static const char *ptnet_ring_remedy(const struct ptnet_ring *ring)
{
	switch (ring->mode) {
	case PTNET_RING_STACK:
		return "set the interface down and up again";
	case PTNET_RING_NETMAP:
		return "close and reopen the port in the program";
	default: /* it changes hands, and port.c sees to it */
		return "it is started anew";
	}
}

/*
 * Stops the ring for good: nothing is published or believed any more until the
 * next CREATE. Called by the ring's user, in any context. Once per CREATE, thus
 * neither the host nor a program can make the log flow.
 */
void ptnet_ring_stop(struct ptnet_ring *ring, const char *why, u32 value)
{
	if (ring->fault)
		return;
	WRITE_ONCE(ring->fault, true);
	ptnet_ring_count(ring, PTNET_STAT_FAULTS, 1);
	if (net_ratelimit())
		netdev_err(
			ring->port->netdev,
			"%s ring %u stopped: %s %u (slots %u, head %u, hwcur %u, hwtail %u); %s\n",
			ptnet_dir_name(ring->dir), ring->index, why, value, ring->num_slots,
			ring->head, ring->hwcur, ring->hwtail, ptnet_ring_remedy(ring));
	wake_up_interruptible_poll(&ring->wait, EPOLLERR);
	wake_up_interruptible_poll(&ring->port->wait[ring->dir], EPOLLERR);
}
