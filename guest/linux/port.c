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

/* Have all rings been consumed by the host as far as they were published? */
static bool ptnet_port_is_drained(struct ptnet_port *port)
{
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i;

	for_each_ring (port, dir, i, ring) {
		if (!ptnet_ring_refresh(ring) && ring->hwcur != ring->head)
			return false;
	}
	return true;
}

#define PTNET_DRAIN_ROUNDS 100
#define PTNET_DRAIN_US	   100

/*
 * DELETE stops the host in its tracks. Before, it gets a moment to send what a
 * program published just before it ended, and to take back what it released: frames
 * are not lost at an exit, nor received twice. A pipe that nobody reads does
 * not drain; hence the limit of some ten milliseconds. The rings are OFF.
 */
static void ptnet_port_drain(struct ptnet_port *port)
{
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i, round;

	if (ptnet_port_is_drained(port))
		return;
	/* Kicks were perhaps not wanted, as the host saw no hurry. */
	for_each_ring (port, dir, i, ring) {
		if (ring->hwcur != ring->head)
			ptnet_ring_kick(ring);
	}
	for (round = 0; round < PTNET_DRAIN_ROUNDS && !ptnet_port_is_drained(port); round++)
		usleep_range(PTNET_DRAIN_US, 2 * PTNET_DRAIN_US);
}

static bool ptnet_port_has_fault(const struct ptnet_port *port)
{
	enum ptnet_ring_dir dir;
	struct ptnet_ring *ring;
	unsigned int i;

	if (!port->active)
		return false;
	for_each_ring (port, dir, i, ring) {
		if (READ_ONCE(ring->fault))
			return true;
	}
	return false;
}

/*
 * Makes the world agree with the record. Fails only when it has to activate; the
 * caller then takes its user back, and the port is inactive.
 */
int ptnet_port_update(struct ptnet_port *port)
{
	int err;

	lockdep_assert_held(&port->lock);
	if (!ptnet_port_has_user(port)) {
		if (port->active) {
			ptnet_port_stop_rings(port);
			if (!port->gone)
				ptnet_port_drain(port);
			ptnet_port_deactivate(port);
		}
		return 0;
	}
	if (!port->active) {
		err = ptnet_port_activate(port);
		if (err) {
			netif_carrier_off(port->netdev);
			return err;
		}
	}
	ptnet_port_update_rings(port);
	return 0;
}

/*
 * A stopped ring works again after the next CREATE. When netmap users come and go
 * it is nobody's loss to have one, so that a program's fault does not outlive it
 * and the next program starts clean.
 */
static void ptnet_port_cure(struct ptnet_port *port)
{
	if (!ptnet_port_has_fault(port))
		return;
	ptnet_port_stop_rings(port);
	ptnet_port_deactivate(port);
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
		ptnet_netdev_check_link(port);
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
		ptnet_port_cure(port);
	ptnet_port_claim(binding, 1);
	err = ptnet_port_update(port);
	if (err) {
		ptnet_port_claim(binding, -1);
		goto out;
	}
	if (port->bound == 1)
		ptnet_port_restore(port);
	binding->epoch = port->epoch;
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
		if (!port->bound)
			ptnet_port_cure(port);
		if (ptnet_port_update(port))
			netdev_err(port->netdev, "cannot be started again; set it down and up\n");
	}
	mutex_unlock(&port->lock);
	ptnet_memdev_put(binding->memdev);
	ptnet_port_put(port);
}
