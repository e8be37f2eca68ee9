/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The port that a thread works on: opening it, syncing, waiting.
 */
#ifndef TOOLS_PORT_H
#define TOOLS_PORT_H

#include <libnetmap.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>

struct open_port {
	struct nmport_d *d;
	uint32_t buf_limit; /* buffers in the region */
	uint32_t vnet_hdr;  /* bytes before each frame: 0, 10 or 12 */
	int stop_fd;	    /* readable: stop waiting. Not the port's own */
	bool busy;	    /* sync instead of sleeping */
};

/*
 * Registers and maps the port that the caller has prepared in p->d, and finds out the region's
 * buffers and the length of virtio-net headers. vnet_hdr: the length to set first, < 0: as it is.
 * stop_fd and busy are the caller's to set. 0, or -1 after saying what is wrong; then and later
 * port_close is what ends it.
 */
int port_register(struct open_port *p, int vnet_hdr);
/* Nothing for a port that was not opened. */
void port_close(struct open_port *p);

/* Rings bound in one direction, and one of them. */
static inline unsigned int port_tx_rings(const struct open_port *p)
{
	return (uint16_t)(p->d->last_tx_ring + 1 - p->d->first_tx_ring);
}

static inline unsigned int port_rx_rings(const struct open_port *p)
{
	return (uint16_t)(p->d->last_rx_ring + 1 - p->d->first_rx_ring);
}

static inline struct netmap_ring *port_tx_ring(const struct open_port *p, unsigned int i)
{
	return NETMAP_TXRING(p->d->nifp, p->d->first_tx_ring + i);
}

static inline struct netmap_ring *port_rx_ring(const struct open_port *p, unsigned int i)
{
	return NETMAP_RXRING(p->d->nifp, p->d->first_rx_ring + i);
}

/* The sync ioctls. 0, or -1 after saying what is wrong. */
int port_sync_tx(const struct open_port *p);
int port_sync_rx(const struct open_port *p);

enum wait_result {
	WAIT_READY, /* look again; with busy: synced, no more */
	WAIT_TIMEOUT,
	WAIT_STOP,
	WAIT_FAILED, /* said why */
};

/* Syncs as poll does and, unless the port is ready for events (POLLIN, POLLOUT) or busy, sleeps
 * until it is, for at most ns (< 0: any time; 0: not at all). */
enum wait_result port_wait(const struct open_port *p, short events, int64_t ns);

/*
 * The same for several ports at once, never busy: fds[i] asks for events of ports[i], none of
 * them for nothing but the sync. fds has room for n + 1.
 */
enum wait_result ports_wait(const struct open_port *const *ports, struct pollfd *fds,
			    unsigned int n, int stop_fd, int64_t ns);

/* From now on the port is ready for POLLOUT not when there is room but when there is more. */
void port_want_more_room(const struct open_port *p);

/* Waits for more room in TX rings than there is. */
enum wait_result port_wait_room(const struct open_port *p, int64_t ns);

/* Sleeps until the stop descriptor is readable (WAIT_STOP) or ns have passed (WAIT_TIMEOUT). */
enum wait_result stop_wait(int stop_fd, int64_t ns);

/* Slots given to TX rings that have not come back, as of the last sync. */
uint32_t port_pending(const struct open_port *p);

/*
 * Syncs until the other side has taken all slots, at most for ns or until hurry is set, and sets
 * *pending to the slots that are left. 0, or -1 after saying what is wrong.
 */
int port_drain(const struct open_port *p, int64_t ns, const _Atomic bool *hurry, uint32_t *pending);

/* CLOCK_MONOTONIC in ns. */
int64_t now_ns(void);

#endif
