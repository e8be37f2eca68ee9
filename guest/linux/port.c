// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * Who uses a port (spec/ptnet-device.md sections 6.2 and 6.3).
 *
 * A port is active, that is created on the host with its rings alive, while it
 * has a user: the network stack (interface up) or any number of netmap
 * descriptors. The users are recorded in stack_up and in each ring's bound count;
 * ptnet_port_update() makes the world agree with them. It is the only place that
 * activates, deactivates, or hands a ring from one party to another, and every
 * event (ifup, ifdown, bind, unbind, suspend, resume, loss of the region, removal)
 * merely changes the record and calls it.
 */
#include <linux/delay.h>
#include <linux/interrupt.h>
#include <linux/slab.h>

#include "ptnet.h"

static void ptnet_port_free(struct kref *kref)
{
	struct ptnet_port *port = container_of(kref, struct ptnet_port, kref);

	kfree(port->rings[PTNET_TX]);
	kfree(port->rings[PTNET_RX]);
	kfree(port);
}

void ptnet_port_get(struct ptnet_port *port)
{
	kref_get(&port->kref);
}

void ptnet_port_put(struct ptnet_port *port)
{
	kref_put(&port->kref, ptnet_port_free);
}

/* ---- who uses which ring ---- */

/* What the record says that the ring's mode should be. */
static enum ptnet_ring_mode ptnet_ring_wanted(const struct ptnet_ring *ring)
{
	const struct ptnet_port *port = ring->port;

	if (port->suspended || port->gone)
		return PTNET_RING_OFF;
	if (ring->bound)
		return PTNET_RING_NETMAP;
	if (port->stack_up && ring->index < port->num_queues)
		return PTNET_RING_STACK;
	return PTNET_RING_OFF;
}

/*
 * The interrupt handler may still be at work for the party that leaves, and it
 * takes back the request for an interrupt. Waiting for it here is what makes it
 * impossible that it takes back the next party's.
 */
static void ptnet_ring_leave(struct ptnet_ring *ring)
{
	switch (ring->mode) {
	case PTNET_RING_OFF:
		return;
	case PTNET_RING_STACK:
		ptnet_netdev_leave(ring);
		break;
	case PTNET_RING_NETMAP:
		ptnet_netmap_leave(ring);
		break;
	}
	synchronize_irq(ring->irq);
	ptnet_csb_disable_interrupt(ring->atok);
}

static void ptnet_ring_enter(struct ptnet_ring *ring, enum ptnet_ring_mode mode)
{
	switch (mode) {
	case PTNET_RING_OFF:
		return;
	case PTNET_RING_STACK:
		ptnet_netdev_enter(ring);
		break;
	case PTNET_RING_NETMAP:
		ptnet_netmap_enter(ring);
		break;
	}
}

static bool ptnet_port_has_user(const struct ptnet_port *port)
{
	return !port->gone && !port->suspended && (port->stack_up || port->bound);
}

/* Makes the rings what the record wants; the port is active. */
static void ptnet_port_update_rings(struct ptnet_port *port)
{
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i;

	for_each_ring (port, dir, i, ring) {
		enum ptnet_ring_mode wanted = ptnet_ring_wanted(ring);

		if (ring->mode == wanted)
			continue;
		ptnet_ring_leave(ring);
		ptnet_ring_enter(ring, wanted);
	}
}

static void ptnet_port_stop_rings(struct ptnet_port *port)
{
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i;

	for_each_ring (port, dir, i, ring)
		ptnet_ring_leave(ring);
}

/* Has the host sent all that was published in the TX rings that are OFF? */
static bool ptnet_port_is_drained(struct ptnet_port *port)
{
	unsigned int i;

	for (i = 0; i < port->num_rings[PTNET_TX]; i++) {
		struct ptnet_ring *ring = &port->rings[PTNET_TX][i];

		if (ring->mode == PTNET_RING_OFF && !ptnet_ring_refresh(ring) &&
		    ring->hwcur != ring->head)
			return false;
	}
	return true;
}

#define PTNET_DRAIN_ROUNDS 100
#define PTNET_DRAIN_US	   100

/*
 * DELETE stops the host in its tracks. Before, it gets a moment to send what was
 * published, so that no frame is lost when a program ends. A pipe that nobody reads
 * does not drain; hence the limit of some ten milliseconds. What was released in
 * an RX ring the host looks at when it stops; a switch does not before, so that there
 * is nothing to wait for. Only rings that are OFF are waited for.
 */
static void ptnet_port_drain(struct ptnet_port *port)
{
	unsigned int i, round;

	if (ptnet_port_is_drained(port))
		return;
	/* Kicks were perhaps not wanted, as the host saw no hurry. */
	for (i = 0; i < port->num_rings[PTNET_TX]; i++) {
		struct ptnet_ring *ring = &port->rings[PTNET_TX][i];

		if (ring->mode == PTNET_RING_OFF && ring->hwcur != ring->head)
			ptnet_ring_kick(ring);
	}
	for (round = 0; round < PTNET_DRAIN_ROUNDS && !ptnet_port_is_drained(port); round++)
		usleep_range(PTNET_DRAIN_US, 2 * PTNET_DRAIN_US);
}

/* DELETE; before, the stack and programs are put out of the rings, and what they sent is sent. */
static void ptnet_port_halt(struct ptnet_port *port)
{
	ptnet_port_stop_rings(port);
	if (!port->gone)
		ptnet_port_drain(port);
	ptnet_port_deactivate(port);
}

/* Is what programs have mapped no longer what the port uses? */
static bool ptnet_port_has_moved(const struct ptnet_port *port)
{
	return port->bound && port->bound_serial &&
	       (port->memdev->serial != port->bound_serial || port->nifp_ofs != port->bound_ofs);
}

static int ptnet_port_activate_for_users(struct ptnet_port *port)
{
	int err = ptnet_port_activate(port);

	if (!err && ptnet_port_has_moved(port)) {
		netdev_warn(port->netdev,
			    "has other memory than before; programs must reopen it\n");
		ptnet_port_lose(port);
		if (port->stack_up)
			err = ptnet_port_activate(port);
	}
	if (err)
		netif_carrier_off(port->netdev);
	return err;
}

/*
 * Makes the world agree with the record. Fails only when it has to activate; the
 * caller then takes its user back, and the port is inactive. Bindings may be dead
 * afterwards even if it succeeds: if there is another region now.
 */
int ptnet_port_update(struct ptnet_port *port)
{
	int err;

	lockdep_assert_held(&port->lock);
	if (!ptnet_port_has_user(port)) {
		if (port->active)
			ptnet_port_halt(port);
		return 0;
	}
	if (!port->active) {
		err = ptnet_port_activate_for_users(port);
		if (err || !port->active)
			return err;
		ptnet_netdev_check_link(port);
	}
	ptnet_port_update_rings(port);
	return 0;
}

/* ---- what programs leave behind ---- */

static bool ptnet_port_has_orphaned_fault(const struct ptnet_port *port)
{
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i;

	for_each_ring (port, dir, i, ring) {
		if (!ring->bound && READ_ONCE(ring->fault))
			return true;
	}
	return false;
}

/*
 * Every slot names a buffer of its own. Not so when a program ended in the middle of an
 * exchange, or has written nonsense. Rings that are still bound are their program's. On
 * a pipe a buffer may, rarely, come round while we look and be seen twice: no harm is
 * done, the port is started anew for nothing.
 */
static bool ptnet_port_has_bad_slot(const struct ptnet_port *port)
{
	const u32 num_bufs = port->memdev->buf_pool.objnum;
	unsigned long *seen = kvcalloc(BITS_TO_LONGS(num_bufs), sizeof(*seen), GFP_KERNEL);
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i;
	bool bad = false;
	u32 slot, buf;

	if (!seen)
		return true; /* to start it anew is never wrong */
	for_each_ring (port, dir, i, ring) {
		for (slot = 0; !ring->bound && !bad && slot < ring->num_slots; slot++) {
			buf = READ_ONCE(ring->shared->slot[slot].buf_idx);
			bad = buf < 2 || buf >= num_bufs || __test_and_set_bit(buf, seen);
			if (bad && net_ratelimit())
				netdev_warn(port->netdev,
					    "a program has left %s ring %u with %u in slot %u, "
					    "which is no buffer or another slot's, too: the "
					    "port is started anew\n",
					    ptnet_dir_name(dir), i, buf, slot);
		}
	}
	kvfree(seen);
	return bad;
}

/*
 * What a program has done to its rings must not outlive it. The host mends faults
 * and slots when the port is started anew (CREATE). Those who use the other rings do
 * not notice: what they have published is sent before, and positions are kept.
 */
static void ptnet_port_cure(struct ptnet_port *port, bool check_slots)
{
	if (!port->active)
		return;
	if (ptnet_port_has_orphaned_fault(port) || (check_slots && ptnet_port_has_bad_slot(port)))
		ptnet_port_halt(port);
}

/* The rings that nobody is bound to any more are OFF then, and the host has been through them. */
static void ptnet_port_quit_orphans(struct ptnet_port *port)
{
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i;

	for_each_ring (port, dir, i, ring) {
		if (ring->mode == PTNET_RING_NETMAP && !ring->bound)
			ptnet_ring_leave(ring);
	}
	ptnet_port_drain(port);
	for_each_ring (port, dir, i, ring) {
		if (ring->mode == PTNET_RING_OFF)
			ptnet_ring_refresh(ring); /* finds a fault */
	}
}

/*
 * The port stops and its bindings are dead: their syncs fail and their programs
 * are woken to see it. The interface, if up, has no carrier and no rings.
 */
void ptnet_port_lose(struct ptnet_port *port)
{
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i;

	lockdep_assert_held(&port->lock);
	WRITE_ONCE(port->epoch, port->epoch + 1);
	port->bound = 0;
	for_each_ring (port, dir, i, ring) {
		ring->bound = 0;
		ring->exclusive = false;
		ring->shown = false;
	}
	if (port->active) {
		ptnet_port_stop_rings(port);
		ptnet_port_deactivate(port);
	}
	for_each_ring (port, dir, i, ring)
		wake_up_interruptible_poll(&ring->wait, EPOLLERR | EPOLLHUP);
	for (dir = PTNET_TX; dir < PTNET_DIRS; dir++)
		wake_up_interruptible_poll(&port->wait[dir], EPOLLERR | EPOLLHUP);
}

/* The region is about to be unmapped. May sleep. */
void ptnet_port_lose_region(struct ptnet_port *port, struct ptnet_memdev *memdev)
{
	mutex_lock(&port->lock);
	if (port->memdev == memdev) {
		netdev_info(port->netdev,
			    "memory id %u goes away: stopped; once it is back, set the interface "
			    "down and up again\n",
			    memdev->id);
		netif_carrier_off(port->netdev);
		ptnet_port_lose(port);
	}
	mutex_unlock(&port->lock);
}

/* ---- users ---- */

/* The interface comes up; called with rtnl held. */
int ptnet_port_stack_up(struct ptnet_port *port)
{
	int err = -ENODEV;

	mutex_lock(&port->lock);
	if (!port->gone && !port->suspended) {
		port->stack_up = true;
		err = ptnet_port_update(port);
		if (err)
			port->stack_up = false;
		ptnet_netdev_check_link(port); /* it may have been active before */
	}
	mutex_unlock(&port->lock);
	return err;
}

void ptnet_port_stack_down(struct ptnet_port *port)
{
	mutex_lock(&port->lock);
	port->stack_up = false;
	ptnet_port_update(port);
	mutex_unlock(&port->lock);
}

/* The rings that a binding names. */
#define for_each_bound_ring(binding, dir, i, ring)                                                 \
	for ((dir) = PTNET_TX; (dir) < PTNET_DIRS; (dir)++)                                        \
		for ((i) = 0;                                                                      \
		     (i) < (binding)->count[dir] &&                                                \
		     ((ring) = &(binding)->port->rings[dir][(binding)->first[dir] + (i)]);         \
		     (i)++)

static int ptnet_port_check_shares(struct ptnet_binding *binding)
{
	bool exclusive = binding->flags & NR_EXCLUSIVE;
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i;

	for_each_bound_ring (binding, dir, i, ring) {
		if (ring->exclusive || (exclusive && ring->bound))
			return -EBUSY;
	}
	return 0;
}

/* Claims (by 1) or releases (by -1) the rings of a binding in the record. */
static void ptnet_port_claim(struct ptnet_binding *binding, int by)
{
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i;

	binding->port->bound += by;
	for_each_bound_ring (binding, dir, i, ring) {
		ring->bound += by;
		ring->exclusive = ring->bound && (binding->flags & NR_EXCLUSIVE);
	}
}

/*
 * Binds the rings named by first, count and flags; binding->port is the caller's
 * reference, which the binding takes over on success, together with a new one
 * to the region. Returns -EBUSY if a ring is not to be shared, -ENXIO if the
 * device is gone, or what activation says.
 */
int ptnet_port_bind(struct ptnet_port *port, struct ptnet_binding *binding)
{
	unsigned int epoch;
	int err;

	mutex_lock(&port->lock);
	if (port->gone || port->suspended) {
		err = -ENXIO;
		goto out;
	}
	err = ptnet_port_check_shares(binding);
	if (err)
		goto out;
	if (!port->bound)
		port->bound_serial = 0;
	ptnet_port_cure(port, false);
	epoch = port->epoch;
	ptnet_port_claim(binding, 1);
	err = ptnet_port_update(port);
	if (port->epoch != epoch) {
		err = -ENXIO; /* all claims are forgotten, this one, too */
		goto out;
	}
	if (err) {
		ptnet_port_claim(binding, -1);
		ptnet_port_lose(port); /* those who were bound before the cure */
		goto out;
	}
	if (port->bound == 1)
		ptnet_port_restore(port);
	port->bound_serial = port->memdev->serial;
	port->bound_ofs = port->nifp_ofs;
	binding->epoch = port->epoch;
	binding->nifp_ofs = port->nifp_ofs;
	memcpy(binding->num_slots, port->num_slots, sizeof(binding->num_slots));
	binding->memdev = port->memdev;
	ptnet_memdev_ref(binding->memdev);
out:
	mutex_unlock(&port->lock);
	return err;
}

/* Gives everything back. Must be called in process context; drops both references. */
void ptnet_port_unbind(struct ptnet_binding *binding)
{
	struct ptnet_port *port = binding->port;
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i;

	mutex_lock(&port->lock);
	if (binding->epoch == port->epoch) {
		for_each_bound_ring (binding, dir, i, ring) {
			if (ring->bound == 1)
				ptnet_netmap_release(ring);
		}
		ptnet_port_claim(binding, -1);
		if (port->active) {
			ptnet_port_quit_orphans(port);
			ptnet_port_cure(port, true);
		}
		if (ptnet_port_update(port)) {
			netdev_err(port->netdev, "cannot be started again; set it down and up\n");
			ptnet_port_lose(port);
		}
	}
	mutex_unlock(&port->lock);
	ptnet_memdev_put(binding->memdev);
	ptnet_port_put(port);
}
