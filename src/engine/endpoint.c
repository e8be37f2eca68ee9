/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/endpoint.h"

#include <errno.h>
#include <unistd.h>

#include <ptnet/local.h>

#include "log/log.h"
#include "port/buffers.h"
#include "port/port.h"

/* What a ring that is closed still sends: as much as fits, unless it is flooded. */
#define DRAIN_RUNS   16u
#define DRAIN_BUDGET 512u

/* What came meanwhile wants to be seen; and a pipe's peer may have waited for us. */
static void look_at_all(struct port *port)
{
	for (unsigned i = 0; i < port_num_rings(port); i++)
		port->ops->kicked(&port->rings[i]);
}

/* The owner before may have died in the middle of an exchange of buffers. */
static void log_mended(struct port *port, int mended)
{
	if (mended > 0)
		log_limited(port->log_limit, LOG_LEVEL_WARNING,
			    "port %s: %d slots had no buffer of their own and got new ones",
			    port->name, mended);
}

static bool ring_runs(struct kring *kring)
{
	pthread_mutex_lock(&kring->lock);
	bool runs = kring->state != KRING_STOPPED;
	pthread_mutex_unlock(&kring->lock);
	return runs;
}

void endpoint_start(struct port *port, const struct endpoint_csb *csb)
{
	if (port->running)
		return;
	log_mended(port, (int)buffers_mend(port));
	for (unsigned i = 0; i < port_num_rings(port); i++) {
		struct kring *kring = &port->rings[i];

		pthread_mutex_lock(&kring->lock);
		kring_start(kring, &csb->atok[i], &csb->ktoa[i], csb->extension);
		pthread_mutex_unlock(&kring->lock);
	}
	port->running = true;
	look_at_all(port);
}

static void leave_csb(struct port *port, void (*leave)(struct kring *kring))
{
	for (unsigned i = 0; i < port_num_rings(port); i++) {
		struct kring *kring = &port->rings[i];

		/* Whoever uses the CSB does so under this lock. */
		pthread_mutex_lock(&kring->lock);
		/* A reader releases in silence: what it has read must not come again. */
		if (kring->dir == KRING_RX)
			kring_pull(kring);
		leave(kring);
		pthread_mutex_unlock(&kring->lock);
	}
	port->running = false;
}

static void ring_stop(struct kring *kring)
{
	if (kring->dir == KRING_TX && kring->state != KRING_STOPPED &&
	    kring->port->ops->owner_leaves != NULL)
		kring->port->ops->owner_leaves(kring);
	kring_stop(kring);
}

/*
 * A reader may have been killed before it kicked: a pipe's sender may be waiting for what it gave
 * back.
 */
static void reader_left(struct kring *kring)
{
	if (kring->dir == KRING_RX)
		kring->port->ops->kicked(kring);
}

void endpoint_stop(struct port *port)
{
	leave_csb(port, ring_stop);
	for (unsigned i = 0; i < port_num_rings(port); i++)
		reader_left(&port->rings[i]);
}

/*
 * Sends what was published before the ring is closed, as netmap's sync would have done. Bounded:
 * the closing of one port must not hold up those of others. Caller holds the lock.
 */
static void ring_drain(struct kring *kring)
{
	if (!kring_pull(kring))
		return;
	uint32_t left = ring_distance(kring->num_slots, kring->hwcur, kring->head);

	for (unsigned runs = 0; runs < DRAIN_RUNS && left > 0; runs++) {
		uint32_t before = kring->hwcur;

		if (kring->port->ops->run(kring, DRAIN_BUDGET) == PORT_STOPPED)
			break;
		uint32_t taken = ring_distance(kring->num_slots, before, kring->hwcur);
		left = taken < left ? left - taken : 0;
	}
}

int endpoint_start_ring(struct port *port, unsigned ring, struct ptnet_local_csb *csb)
{
	if (ring >= port_num_rings(port))
		return -EINVAL;
	struct kring *kring = &port->rings[ring];
	if (ring_runs(kring))
		return -EBUSY;
	int result = buffers_mend_ring(kring);
	log_mended(port, result);
	if (result < 0)
		return result;
	port->ops->reset_ring(kring); /* as new, mended slots too, unless a peer is still there */
	pthread_mutex_lock(&kring->lock);
	port_restore_ring(kring);
	kring_start_local(kring, &csb->atok[ring], &csb->ktoa[ring]);
	pthread_mutex_unlock(&kring->lock);
	port->running = true;
	port->ops->kicked(kring);
	return 0;
}

void endpoint_stop_ring(struct port *port, unsigned ring)
{
	if (ring >= port_num_rings(port))
		return;
	struct kring *kring = &port->rings[ring];
	bool last = true;

	pthread_mutex_lock(&kring->lock);
	if (kring->state == KRING_STOPPED) {
		pthread_mutex_unlock(&kring->lock);
		return;
	}
	if (kring->dir == KRING_TX)
		ring_drain(kring);
	else /* released in silence: what was read must not come again */
		kring_pull(kring);
	ring_stop(kring);
	pthread_mutex_unlock(&kring->lock);
	reader_left(kring);
	port->ops->reset_ring(kring);
	for (unsigned i = 0; i < port_num_rings(port); i++)
		last &= !ring_runs(&port->rings[i]);
	if (last) {
		port->running = false;
		port->ops->reset(port);
		buffers_owner_left(port);
	}
}

void endpoint_suspend(struct port *port)
{
	if (port->running)
		leave_csb(port, kring_suspend);
}

void endpoint_resume(struct port *port, const struct endpoint_csb *csb)
{
	if (port->running)
		return;
	for (unsigned i = 0; i < port_num_rings(port); i++) {
		struct kring *kring = &port->rings[i];

		pthread_mutex_lock(&kring->lock);
		if (kring->state == KRING_SUSPENDED)
			kring_resume(kring, &csb->atok[i], &csb->ktoa[i]);
		pthread_mutex_unlock(&kring->lock);
	}
	port->running = true;
	look_at_all(port);
}

void endpoint_reset(struct port *port)
{
	port_restore_constants(port);
	port->ops->reset(port);
	buffers_mend(port);
	buffers_owner_left(port);
}

bool endpoint_running(const struct port *port)
{
	return port->running;
}

void endpoint_kick(struct port *port, unsigned ring)
{
	if (ring >= port_num_rings(port)) {
		atomic_fetch_add_explicit(&port->bad_kicks, 1, memory_order_relaxed);
		return;
	}
	struct kring *kring = &port->rings[ring];
	atomic_fetch_add_explicit(&kring->counters.value[RING_KICKS_RECEIVED], 1,
				  memory_order_relaxed);
	port->ops->kicked(kring);
}

void endpoint_fault(struct port *port, enum ptnet_ring_fault fault)
{
	for (unsigned i = 0; i < port_num_rings(port); i++) {
		struct kring *kring = &port->rings[i];

		pthread_mutex_lock(&kring->lock);
		/* Memory that went away reads as zeroes: a worker may have stumbled over it. */
		if (kring->state == KRING_RUNNING ||
		    (kring->state == KRING_FAULTED && kring->fault != fault))
			kring_fault(kring, fault, 0);
		pthread_mutex_unlock(&kring->lock);
	}
}

int endpoint_set_interrupt(struct port *port, unsigned ring, int eventfd)
{
	if (ring >= port_num_rings(port))
		return -EINVAL;
	struct kring *kring = &port->rings[ring];
	pthread_mutex_lock(&kring->lock);
	int before = kring->interrupt_fd;
	kring_set_interrupt(kring, eventfd);
	pthread_mutex_unlock(&kring->lock);
	if (before >= 0)
		close(before);
	return 0;
}
