/* SPDX-License-Identifier: BSD-2-Clause */
#include "port.h"

#include "message.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* The port's header length, set first if the user says so. Owners without the request have 0. */
static int get_vnet_hdr(struct open_port *p, int wanted)
{
	struct nmreq_port_hdr body = {0};
	struct nmreq_header hdr;

	nmreq_header_init(&hdr, NETMAP_REQ_PORT_HDR_SET, &body);
	memcpy(hdr.nr_name, p->d->hdr.nr_name, sizeof(hdr.nr_name));
	if (wanted >= 0) {
		body.nr_hdr_len = (uint32_t)wanted;
		if (ioctl(p->d->fd, NIOCCTRL, &hdr) < 0)
			return complain("%s: cannot set the virtio-net header length to %d: %s",
					hdr.nr_name, wanted, strerror(errno));
	}
	hdr.nr_reqtype = NETMAP_REQ_PORT_HDR_GET;
	if (ioctl(p->d->fd, NIOCCTRL, &hdr) == 0)
		p->vnet_hdr = body.nr_hdr_len;
	return 0;
}

/* Buffers between the region's first one and its end. */
static uint32_t count_buffers(const struct open_port *p)
{
	struct netmap_ring *ring = port_tx_rings(p) ? port_tx_ring(p, 0) : port_rx_ring(p, 0);
	const char *end = (const char *)p->d->mem->mem + p->d->mem->size;

	return (uint32_t)((size_t)(end - NETMAP_BUF(ring, 0)) / ring->nr_buf_size);
}

int port_register(struct open_port *p, int vnet_hdr)
{
	if (nmport_open_desc(p->d))
		return -1;
	if (!port_tx_rings(p) && !port_rx_rings(p))
		return complain("%s: no ring is bound: see the flags in its name (/R, /T)",
				p->d->hdr.nr_name);
	p->buf_limit = count_buffers(p);
	return get_vnet_hdr(p, vnet_hdr);
}

void port_close(struct open_port *p)
{
	nmport_close(p->d);
	p->d = NULL;
}

static int sync_port(const struct open_port *p, unsigned long request, const char *what)
{
	if (ioctl(p->d->fd, request, NULL) == 0)
		return 0;
	return complain("%s: %s failed: %s%s", p->d->hdr.nr_name, what, strerror(errno),
			errno == EIO ? " (the interface is going away)" : "");
}

int port_sync_tx(const struct open_port *p)
{
	return sync_port(p, NIOCTXSYNC, "sending (NIOCTXSYNC)");
}

int port_sync_rx(const struct open_port *p)
{
	return sync_port(p, NIOCRXSYNC, "receiving (NIOCRXSYNC)");
}

static struct timespec to_timespec(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
}

static enum wait_result sync_and_look(const struct open_port *p, short events)
{
	if ((events & POLLOUT) && port_sync_tx(p))
		return WAIT_FAILED;
	if ((events & POLLIN) && port_sync_rx(p))
		return WAIT_FAILED;
	return WAIT_READY;
}

/* Sleeps without being told to stop while there is something to do; fds has a place more for the
 * descriptor that tells us. */
static int poll_some(struct pollfd *fds, unsigned int n, int stop_fd, int64_t ns)
{
	struct timespec t = to_timespec(ns < 0 ? 0 : ns);
	int ready = poll(fds, n, 0);

	fds[n] = (struct pollfd){.fd = stop_fd, .events = POLLIN};
	if (ready == 0 && ns != 0)
		ready = ppoll(fds, n + 1, ns < 0 ? NULL : &t, NULL);
	return ready;
}

enum wait_result ports_wait(const struct open_port *const *ports, struct pollfd *fds,
			    unsigned int n, int stop_fd, int64_t ns)
{
	int ready = poll_some(fds, n, stop_fd, ns);
	unsigned int i;

	if (ready < 0 && errno != EINTR) {
		complain("%s: poll failed: %s", ports[0]->d->hdr.nr_name, strerror(errno));
		return WAIT_FAILED;
	}
	if (ready <= 0)
		return ready == 0 ? WAIT_TIMEOUT : WAIT_READY;
	for (i = 0; i < n; i++) {
		if (!(fds[i].revents & (POLLERR | POLLNVAL | POLLHUP)))
			continue;
		complain("%s: the port reports an error (POLLERR): it or its interface has gone "
			 "away, or its owner has stopped a ring; open it again, and see the "
			 "owner's log",
			 ports[i]->d->hdr.nr_name);
		return WAIT_FAILED;
	}
	return fds[n].revents ? WAIT_STOP : WAIT_READY;
}

enum wait_result port_wait(const struct open_port *p, short events, int64_t ns)
{
	struct pollfd fds[2] = {{.fd = p->d->fd, .events = events}};

	if (p->busy)
		return sync_and_look(p, events);
	return ports_wait(&p, fds, 1, p->stop_fd, ns);
}

void port_want_more_room(const struct open_port *p)
{
	unsigned int i;

	/* poll finds a ring ready when cur != tail (spec section 3.1). */
	for (i = 0; i < port_tx_rings(p); i++) {
		struct netmap_ring *ring = port_tx_ring(p, i);

		ring->cur = ring->tail;
	}
}

enum wait_result port_wait_room(const struct open_port *p, int64_t ns)
{
	port_want_more_room(p);
	return port_wait(p, POLLOUT, ns);
}

enum wait_result stop_wait(int stop_fd, int64_t ns)
{
	struct pollfd fd = {.fd = stop_fd, .events = POLLIN};
	struct timespec t = to_timespec(ns < 0 ? 0 : ns);

	return ppoll(&fd, 1, &t, NULL) > 0 ? WAIT_STOP : WAIT_TIMEOUT;
}

uint32_t port_pending(const struct open_port *p)
{
	uint32_t pending = 0;
	unsigned int i;

	for (i = 0; i < port_tx_rings(p); i++) {
		const struct netmap_ring *ring = port_tx_ring(p, i);

		pending += ring->num_slots - 1 - nm_ring_space(ring);
	}
	return pending;
}

/* Not every port wakes us when the last slots come back: look again after so long. */
#define DRAIN_LOOK_NS 20000000

int port_drain(const struct open_port *port, int64_t ns, const _Atomic bool *hurry,
	       uint32_t *pending)
{
	int64_t end = now_ns() + ns;
	struct open_port p = *port;

	p.stop_fd = -1; /* it is readable by now if we were told to stop */
	for (;;) {
		int64_t left;

		if (port_sync_tx(&p))
			return -1;
		*pending = port_pending(&p);
		left = end - now_ns();
		if (!*pending || left <= 0 || atomic_load(hurry))
			return 0;
		if (port_wait_room(&p, left < DRAIN_LOOK_NS ? left : DRAIN_LOOK_NS) == WAIT_FAILED)
			return -1;
	}
}
