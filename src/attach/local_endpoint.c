/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "attach/local_endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ptnet/local.h>

#include "engine/endpoint.h"
#include "engine/engine.h"
#include "memory/guard.h"
#include "port/port.h"

struct local_ring {
	struct local_endpoint *endpoint;
	unsigned users;
	bool exclusive;
	int kick, interrupt; /* the latter is the kring's to close */
	struct watch watch;  /* of the kick */
	struct worker *worker;
};

struct local_endpoint {
	struct engine *engine;
	struct port *port;
	int csb_fd;
	struct ptnet_local_csb *csb;
	int guard, lost_eventfd;
	struct watch lost_watch;
	struct worker *lost_worker;
	struct local_ring rings[PTNET_MAX_RINGS];
};

/* ---- on the workers ---- */

/* Edge-triggered and never read: each write comes here once. */
static void kicked(struct watch *watch, uint32_t epoll_events)
{
	struct local_ring *ring = (void *)((char *)watch - offsetof(struct local_ring, watch));

	(void)epoll_events;
	endpoint_kick(ring->endpoint->port, (unsigned)(ring - ring->endpoint->rings));
}

/* Memory of the CSB was taken out of it, and there was none to fill the hole. */
static void csb_lost(struct watch *watch, uint32_t epoll_events)
{
	struct local_endpoint *endpoint =
		(void *)((char *)watch - offsetof(struct local_endpoint, lost_watch));
	eventfd_t count;

	(void)epoll_events;
	if (eventfd_read(watch->fd, &count) == 0)
		endpoint_fault(endpoint->port, PTNET_FAULT_CSB);
}

/* worker_call() */
static void unwatch_kick(void *argument)
{
	struct local_ring *ring = argument;

	worker_watch_del(ring->worker, &ring->watch);
}

/* worker_call() */
static void unwatch_lost(void *argument)
{
	struct local_endpoint *endpoint = argument;

	worker_watch_del(endpoint->lost_worker, &endpoint->lost_watch);
}

/* ---- the CSB ---- */

/* Users of the port share it, so it must neither shrink under them nor under us. */
static int csb_create(struct local_endpoint *endpoint)
{
	const size_t size = sizeof(*endpoint->csb);
	int result;

	endpoint->csb_fd = memfd_create("ptnetd-local-csb", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (endpoint->csb_fd < 0)
		return -errno;
	if (ftruncate(endpoint->csb_fd, (off_t)size) < 0 ||
	    fcntl(endpoint->csb_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		goto fail_close;
	endpoint->csb = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, endpoint->csb_fd, 0);
	if (endpoint->csb == MAP_FAILED)
		goto fail_close;
	endpoint->lost_eventfd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (endpoint->lost_eventfd < 0)
		goto fail_unmap;
	result = guard_add(endpoint->csb, size, size, endpoint->lost_eventfd);
	if (result >= 0) {
		endpoint->guard = result;
		return 0;
	}
	errno = -result;
	close(endpoint->lost_eventfd);
fail_unmap:
	result = -errno;
	munmap(endpoint->csb, size);
	close(endpoint->csb_fd);
	return result;
fail_close:
	result = -errno;
	close(endpoint->csb_fd);
	return result;
}

static void csb_destroy(struct local_endpoint *endpoint)
{
	guard_remove(endpoint->guard);
	close(endpoint->lost_eventfd);
	munmap(endpoint->csb, sizeof(*endpoint->csb));
	close(endpoint->csb_fd);
}

static int cannot(struct error *error, const struct port *port, int result)
{
	return error_set(error, -result, "port %s: cannot be given to a program: %s", port->name,
			 strerror(-result));
}

int local_endpoint_create(struct local_endpoint **out, struct engine *engine, struct port *port,
			  struct error *error)
{
	struct local_endpoint *endpoint = calloc(1, sizeof(*endpoint));
	int result;

	if (endpoint == NULL)
		return error_set(error, ENOMEM, "out of memory");
	endpoint->engine = engine;
	endpoint->port = port;
	for (unsigned i = 0; i < PTNET_MAX_RINGS; i++)
		endpoint->rings[i] =
			(struct local_ring){.endpoint = endpoint, .kick = -1, .interrupt = -1};
	if (!port_claim(port, PORT_OWNER_PROCESSES)) {
		free(endpoint);
		return error_set(error, EBUSY, "port %s belongs to a VM", port->name);
	}
	result = csb_create(endpoint);
	if (result < 0)
		goto fail_csb;
	endpoint->lost_worker = engine_worker_of(engine, port);
	endpoint->lost_watch = (struct watch){.fd = endpoint->lost_eventfd, .ready = csb_lost};
	result = worker_watch_add(endpoint->lost_worker, &endpoint->lost_watch, EPOLLIN);
	if (result < 0)
		goto fail_watch;
	*out = endpoint;
	return 0;

fail_watch:
	csb_destroy(endpoint);
fail_csb:
	port_release(port, PORT_OWNER_PROCESSES);
	free(endpoint);
	return cannot(error, port, result);
}

void local_endpoint_destroy(struct local_endpoint *endpoint)
{
	if (endpoint == NULL)
		return;
	worker_call(endpoint->lost_worker, unwatch_lost, endpoint);
	csb_destroy(endpoint);
	port_release(endpoint->port, PORT_OWNER_PROCESSES);
	free(endpoint);
}

/* ---- rings ---- */

/* The worker that a kick of the ring has to reach in the end, so that nobody else is woken. */
static struct worker *worker_of_ring(const struct local_endpoint *endpoint, unsigned index)
{
	const struct kring *kring = &endpoint->port->rings[index];

	if (kring->worker != NULL)
		return kring->worker;
	if (kring->peer != NULL && kring->peer->worker != NULL)
		return kring->peer->worker;
	return engine_worker_of(endpoint->engine, endpoint->port);
}

static int ring_start(struct local_endpoint *endpoint, unsigned index)
{
	struct local_ring *ring = &endpoint->rings[index];
	int result;

	ring->kick = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ring->kick < 0)
		return -errno;
	ring->interrupt = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (ring->interrupt < 0) {
		result = -errno;
		goto fail_interrupt;
	}
	ring->worker = worker_of_ring(endpoint, index);
	ring->watch = (struct watch){.fd = ring->kick, .ready = kicked};
	result = worker_watch_add(ring->worker, &ring->watch, EPOLLIN | EPOLLET);
	if (result < 0)
		goto fail_watch;
	endpoint_set_interrupt(endpoint->port, index, ring->interrupt);
	result = endpoint_start_ring(endpoint->port, index, endpoint->csb);
	if (result < 0)
		goto fail_start;
	return 0;

fail_start:
	endpoint_set_interrupt(endpoint->port, index, -1);
	ring->interrupt = -1;
	worker_call(ring->worker, unwatch_kick, ring);
fail_watch:
	if (ring->interrupt >= 0)
		close(ring->interrupt);
fail_interrupt:
	close(ring->kick);
	ring->kick = ring->interrupt = -1;
	return result;
}

static void ring_stop(struct local_endpoint *endpoint, unsigned index)
{
	struct local_ring *ring = &endpoint->rings[index];

	worker_call(ring->worker, unwatch_kick, ring);
	endpoint_stop_ring(endpoint->port, index);
	endpoint_set_interrupt(endpoint->port, index, -1);
	close(ring->kick);
	ring->kick = ring->interrupt = -1;
}

static int rings_check(const struct local_endpoint *endpoint, uint32_t rings, bool exclusive,
		       struct error *error)
{
	for (unsigned i = 0; i < port_num_rings(endpoint->port); i++) {
		const struct local_ring *ring = &endpoint->rings[i];
		const struct kring *kring = &endpoint->port->rings[i];

		if ((rings >> i & 1) == 0 || ring->users == 0 || (!ring->exclusive && !exclusive))
			continue;
		return error_set(error, EBUSY, "port %s: %s ring %u is in use%s",
				 endpoint->port->name, kring->dir == KRING_TX ? "TX" : "RX",
				 kring->index,
				 ring->exclusive ? " by somebody who wants it alone"
						 : ", so nobody can have it alone");
	}
	return 0;
}

int local_endpoint_take(struct local_endpoint *endpoint, uint32_t rings, bool exclusive,
			struct error *error)
{
	uint32_t taken = 0;
	int result = rings_check(endpoint, rings, exclusive, error);

	if (result < 0)
		return result;
	for (unsigned i = 0; i < port_num_rings(endpoint->port); i++) {
		struct local_ring *ring = &endpoint->rings[i];

		if ((rings >> i & 1) == 0)
			continue;
		result = ring->users == 0 ? ring_start(endpoint, i) : 0;
		if (result < 0) {
			local_endpoint_leave(endpoint, taken, exclusive);
			return cannot(error, endpoint->port, result);
		}
		ring->users++;
		ring->exclusive = exclusive;
		taken |= UINT32_C(1) << i;
	}
	return 0;
}

void local_endpoint_leave(struct local_endpoint *endpoint, uint32_t rings, bool exclusive)
{
	for (unsigned i = 0; i < port_num_rings(endpoint->port); i++) {
		struct local_ring *ring = &endpoint->rings[i];

		if ((rings >> i & 1) == 0)
			continue;
		if (exclusive)
			ring->exclusive = false;
		if (--ring->users == 0)
			ring_stop(endpoint, i);
	}
}

void local_endpoint_end(struct local_endpoint *endpoint)
{
	endpoint_fault(endpoint->port, PTNET_FAULT_GONE);
	for (unsigned i = 0; i < port_num_rings(endpoint->port); i++) {
		if (endpoint->rings[i].users > 0)
			ring_stop(endpoint, i);
		endpoint->rings[i].users = 0;
		endpoint->rings[i].exclusive = false;
	}
}

unsigned local_endpoint_users(const struct local_endpoint *endpoint, unsigned ring)
{
	return endpoint->rings[ring].users;
}

int local_endpoint_csb(const struct local_endpoint *endpoint)
{
	return endpoint->csb_fd;
}

int local_endpoint_kick(const struct local_endpoint *endpoint, unsigned ring)
{
	return endpoint->rings[ring].kick;
}

int local_endpoint_interrupt(const struct local_endpoint *endpoint, unsigned ring)
{
	return endpoint->rings[ring].interrupt;
}
