// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Rings in netmap mode: what a program has written into a ring's header is
 * checked and published to the host, what the host reports is shown to the program
 * (spec/netmap-api.md sections 3 and 4.1, spec/ptnet-device.md 7.3 and 7.4).
 *
 * Sleeping. A program that finds nothing arms the ring: it asks for an interrupt,
 * executes the barrier and looks again. Unlike netmap's own driver a sync never
 * takes back a request that it did not make itself: several threads or
 * descriptors may use one ring, and the one that goes on working must not put the one
 * that sleeps to sleep for ever. The request is taken back by the interrupt, which
 * wakes them all. The price is at most one interrupt that nobody needed.
 *
 * For the same reason the second of two concurrent syncs waits for the first, for
 * the few hundred nanoseconds that it takes, instead of skipping the ring.
 */
#include <linux/ktime.h>

#include "ptnet.h"

/* ---- the header in the region ---- */

/* Shows the published positions, and what the host reported, to the program. */
void ptnet_netmap_show(struct ptnet_ring *ring)
{
	struct netmap_ring *shared = ring->shared;

	WRITE_ONCE(shared->head, ring->head);
	WRITE_ONCE(shared->cur, ring->head);
	WRITE_ONCE(shared->tail, ring->hwtail);
	ring->tail = ring->hwtail;
}

static void ptnet_netmap_show_tail(struct ptnet_ring *ring)
{
	u32 news = ptnet_ring_distance(ring, ring->tail, ring->hwtail);

	if (news && ring->dir == PTNET_RX)
		ptnet_ring_count(ring, PTNET_STAT_NETMAP_SLOTS, news);
	ring->tail = ring->hwtail;
	/* Written even if nothing moved: the program may have overwritten it. */
	smp_store_release(&ring->shared->tail, ring->tail);
}

/*
 * Slots that a program left without a valid buffer, or with an impossible length,
 * are made empty (section 3.3). Only those it owns: the host may be at the others.
 */
static void ptnet_netmap_clean_slots(struct ptnet_ring *ring)
{
	u32 i;

	for (i = ring->head; i != ring->hwtail; i = ptnet_ring_next(ring, i)) {
		struct netmap_slot *slot = &ring->shared->slot[i];
		u32 buf_idx = READ_ONCE(slot->buf_idx);

		if (buf_idx < 2 || buf_idx >= ring->num_bufs) {
			WRITE_ONCE(slot->buf_idx, 0);
			WRITE_ONCE(slot->len, 0);
		} else if (READ_ONCE(slot->len) > ring->buf_size) {
			WRITE_ONCE(slot->len, 0);
		}
	}
}

/*
 * The program's head and cur, checked: last published head <= head <= cur <= last
 * shown tail. On an invalid value the header is put back to what was last agreed
 * upon. (netmap resets to hwcur; here the host is another machine's CPU that may be
 * at work between hwcur and the published head, which therefore cannot move back.)
 */
static bool ptnet_netmap_user(struct ptnet_ring *ring, u32 *head, u32 *cur)
{
	*head = smp_load_acquire(&ring->shared->head);
	*cur = READ_ONCE(ring->shared->cur);
	if (likely(*head < ring->num_slots && *cur < ring->num_slots &&
		   ptnet_ring_distance(ring, ring->head, *head) <=
			   ptnet_ring_distance(ring, ring->head, *cur) &&
		   ptnet_ring_distance(ring, ring->head, *cur) <=
			   ptnet_ring_distance(ring, ring->head, ring->tail)))
		return true;
	ptnet_ring_count(ring, PTNET_STAT_NETMAP_RESETS, 1);
	ptnet_netmap_clean_slots(ring);
	ptnet_netmap_show(ring);
	*head = ring->head;
	*cur = ring->head;
	return false;
}

/* ---- sync ---- */

/*
 * Is the ring this binding's to use? Under ring->lock, and true until it is dropped. -EAGAIN:
 * it will be, as soon as port.c has started the port anew.
 */
static int ptnet_netmap_mine(const struct ptnet_ring *ring, unsigned int epoch)
{
	if (READ_ONCE(ring->port->epoch) != epoch || ring->fault)
		return -EIO;
	return ring->mode == PTNET_RING_NETMAP ? 0 : -EAGAIN;
}

/*
 * There is nothing at cur: asks for an interrupt and looks again. A request made
 * here that turns out to be unnecessary is taken back here.
 */
static int ptnet_netmap_arm(struct ptnet_ring *ring, u32 cur)
{
	bool armed = READ_ONCE(ring->armed);
	int err;

	WRITE_ONCE(ring->armed, true);
	ptnet_csb_enable_interrupt(ring->atok);
	err = ptnet_ring_refresh(ring);
	if (!armed && (err || cur != ring->hwtail)) {
		WRITE_ONCE(ring->armed, false);
		ptnet_csb_disable_interrupt(ring->atok);
	}
	return err;
}

static u32 ptnet_netmap_sync_flags(const struct ptnet_ring *ring, unsigned int flags)
{
	if (!(flags & PTNET_SYNC_FORCE))
		return 0;
	return ring->dir == PTNET_TX ? PTNET_SYNC_FORCE_RECLAIM : PTNET_SYNC_FORCE_READ;
}

/* Somebody registered for wake-ups who may rely on this sync's caller to arm the ring. */
static bool ptnet_netmap_has_sleeper(struct ptnet_ring *ring)
{
	return wq_has_sleeper(&ring->wait) || wq_has_sleeper(&ring->port->wait[ring->dir]);
}

/*
 * Publishes the program's positions and takes the host's. TX and RX differ in
 * nothing here: before head is what the program has done, from head to hwtail is
 * what it can do. Sets *kick if the host must be kicked.
 */
static int ptnet_netmap_exchange(struct ptnet_ring *ring, u32 head, u32 cur, unsigned int flags,
				 bool *kick)
{
	bool blocked, force = flags & PTNET_SYNC_FORCE;
	int err;

	err = ptnet_ring_refresh(ring);
	if (err)
		return err;
	if (ring->dir == PTNET_TX && head != ring->head)
		ptnet_ring_count(ring, PTNET_STAT_NETMAP_SLOTS,
				 ptnet_ring_distance(ring, ring->head, head));
	if (head != ring->head || cur != ring->cur)
		ptnet_ring_publish(ring, head, cur);

	/* A forced sync also wants what is done but not yet reported. */
	blocked = cur == ring->hwtail;
	if (head != ring->hwcur || blocked ||
	    (force && ptnet_ring_distance(ring, head, ring->hwtail) != ring->num_slots - 1))
		*kick = ptnet_ring_must_kick(ring, ptnet_netmap_sync_flags(ring, flags));

	if (blocked || force) {
		err = ptnet_ring_refresh(ring);
		if (err)
			return err;
		blocked = cur == ring->hwtail;
	}
	if (blocked && (flags & PTNET_SYNC_ARM || (force && ptnet_netmap_has_sleeper(ring))))
		err = ptnet_netmap_arm(ring, cur);
	return err;
}

static void ptnet_netmap_show_time(struct ptnet_ring *ring)
{
	struct timespec64 now;

	ktime_get_real_ts64(&now);
	WRITE_ONCE(ring->shared->ts.tv_sec, now.tv_sec);
	WRITE_ONCE(ring->shared->ts.tv_usec, now.tv_nsec / NSEC_PER_USEC);
}

static int ptnet_netmap_sync_locked(struct ptnet_ring *ring, unsigned int epoch, unsigned int flags,
				    bool *kick)
{
	int err, reset = 0;
	u32 head, cur;

	err = ptnet_netmap_mine(ring, epoch);
	if (err)
		return err;
	if (flags & PTNET_SYNC_IF_MOVED && READ_ONCE(ring->shared->head) == ring->head)
		return 0;
	ptnet_ring_count(ring, PTNET_STAT_NETMAP_SYNCS, 1);
	if (!ptnet_netmap_user(ring, &head, &cur)) {
		/* An RX ring is synced all the same (section 3.3). */
		reset = PTNET_SYNC_RESET;
		if (ring->dir == PTNET_TX)
			return reset;
	}
	err = ptnet_netmap_exchange(ring, head, cur, flags, kick);
	if (err)
		return err;
	ptnet_netmap_show_tail(ring);
	if (ring->dir == PTNET_RX)
		ptnet_netmap_show_time(ring);
	return reset | (cur != ring->tail ? PTNET_SYNC_READY : 0);
}

/* The read-side section keeps the registers mapped until the kick is out. */
static int ptnet_netmap_try_sync(struct ptnet_ring *ring, unsigned int epoch, unsigned int flags)
{
	bool kick = false;
	int ret;

	rcu_read_lock();
	spin_lock(&ring->lock);
	ret = ptnet_netmap_sync_locked(ring, epoch, flags, &kick);
	spin_unlock(&ring->lock);
	if (kick)
		ptnet_ring_kick(ring);
	rcu_read_unlock();
	return ret;
}

/*
 * Returns PTNET_SYNC_* bits, or -EIO if the ring is stopped or not the binding's any
 * more. May sleep; must not be called with ring->lock or port->lock held.
 */
int ptnet_netmap_sync(struct ptnet_ring *ring, unsigned int epoch, unsigned int flags)
{
	int ret = ptnet_netmap_try_sync(ring, epoch, flags);

	if (likely(ret != -EAGAIN))
		return ret;
	mutex_lock(&ring->port->lock);
	mutex_unlock(&ring->port->lock);
	ret = ptnet_netmap_try_sync(ring, epoch, flags);
	return ret == -EAGAIN ? -EIO : ret;
}

/* ---- port.c's side: the ring changes hands ---- */

static void ptnet_netmap_wake(struct ptnet_ring *ring)
{
	__poll_t events = ring->dir == PTNET_TX ? EPOLLOUT | EPOLLWRNORM : EPOLLIN | EPOLLRDNORM;

	wake_up_interruptible_poll(&ring->wait, events);
	wake_up_interruptible_poll(&ring->port->wait[ring->dir], events);
}

/*
 * The ring is OFF. After a suspension, or when the port was started anew to mend another ring, the
 * programs are still there, with work of theirs in the ring: if the host kept its positions, the
 * header is left alone.
 */
void ptnet_netmap_enter(struct ptnet_ring *ring)
{
	bool kept = ring->shown && ring->shown_head == ring->head &&
		    ptnet_ring_distance(ring, ring->head, ring->tail) <=
			    ptnet_ring_distance(ring, ring->head, ring->hwtail);

	ring->armed = false;
	if (!ring->shown)
		WRITE_ONCE(ring->shared->flags, 0);
	if (!kept)
		ptnet_netmap_show(ring);
	smp_store_release(&ring->mode, PTNET_RING_NETMAP);
	/* Who slept meanwhile asked a CSB that is no more to be woken: it must look again. */
	if (ring->shown)
		ptnet_netmap_wake(ring);
	ring->shown = true;
}

/* Returns with the ring OFF and no sync at work. */
void ptnet_netmap_leave(struct ptnet_ring *ring)
{
	spin_lock(&ring->lock);
	WRITE_ONCE(ring->mode, PTNET_RING_OFF);
	ring->shown_head = ring->head;
	spin_unlock(&ring->lock);
}

/*
 * The last descriptor closes. Received packets that the program released and did
 * not sync were still consumed by it: nobody shall see them twice. Sent slots that it
 * did not sync were never sent (section 10). The ring stays in netmap mode.
 */
void ptnet_netmap_release(struct ptnet_ring *ring)
{
	u32 head, cur;

	spin_lock(&ring->lock);
	if (ring->mode == PTNET_RING_NETMAP && ring->dir == PTNET_RX && !ring->fault &&
	    ptnet_netmap_user(ring, &head, &cur) && head != ring->head) {
		ptnet_ring_publish(ring, head, head);
		if (ptnet_ring_must_kick(ring, 0))
			ptnet_ring_kick(ring);
	}
	ring->shown = false;
	spin_unlock(&ring->lock);
}

/* Hard interrupt. Taking the request back comes first, then everybody looks again. */
void ptnet_netmap_interrupt(struct ptnet_ring *ring)
{
	WRITE_ONCE(ring->armed, false);
	ptnet_csb_disable_interrupt(ring->atok);
	ptnet_netmap_wake(ring);
}
