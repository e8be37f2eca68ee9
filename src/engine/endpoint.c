/* SPDX-License-Identifier: BSD-2-Clause */
#include "engine/endpoint.h"

#include <errno.h>
#include <unistd.h>

#include "port/port.h"

/*
 * A ring that was stopped for a bad buffer index still holds it, in a slot that is
 * not the owner's to mend.
 */
static bool holds_bad_buffer(struct port *port)
{
	bool bad = false;

	for (unsigned i = 0; i < port_num_rings(port); i++) {
		struct kring *kring = &port->rings[i];

		pthread_mutex_lock(&kring->lock);
		bad |= kring->fault == PTNET_FAULT_BUF_IDX;
		pthread_mutex_unlock(&kring->lock);
	}
	return bad;
}

void endpoint_start(struct port *port, const struct endpoint_csb *csb)
{
	if (port->running)
		return;
	if (holds_bad_buffer(port))
		endpoint_reset(port);
	for (unsigned i = 0; i < port_num_rings(port); i++) {
		struct kring *kring = &port->rings[i];

		pthread_mutex_lock(&kring->lock);
		kring_start(kring, &csb->atok[i], &csb->ktoa[i], csb->extension);
		pthread_mutex_unlock(&kring->lock);
	}
	port->running = true;
	/* A pipe's peer may have waited for us; and what is queued wants to be seen. */
	for (unsigned i = 0; i < port_num_rings(port); i++)
		port->ops->kicked(&port->rings[i]);
}

void endpoint_stop(struct port *port)
{
	for (unsigned i = 0; i < port_num_rings(port); i++) {
		struct kring *kring = &port->rings[i];

		/* Whoever uses the CSB does so under this lock. */
		pthread_mutex_lock(&kring->lock);
		/* A reader releases in silence: what it has read must not come again. */
		if (kring->dir == KRING_RX)
			kring_pull(kring);
		kring_stop(kring);
		pthread_mutex_unlock(&kring->lock);
	}
	port->running = false;
}

void endpoint_reset(struct port *port)
{
	port_restore_constants(port);
	if (port->ops->reset != NULL)
		port->ops->reset(port);
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
		if (kring->state == KRING_RUNNING)
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
	kring->interrupt_fd = eventfd;
	pthread_mutex_unlock(&kring->lock);
	if (before >= 0)
		close(before);
	return 0;
}
