/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The port that a thread works on: opening it, syncing, waiting.
 */
#ifndef GEN_PORT_H
#define GEN_PORT_H

#include "options.h"

#include <libnetmap.h>

struct gen_port {
	struct nmport_d *d;
	uint32_t buf_limit; /* buffers in the region */
	uint32_t vnet_hdr;  /* bytes before each frame: 0, 10 or 12 */
	int stop_fd;	    /* readable: stop waiting. Not the port's own */
	bool busy;	    /* sync instead of sleeping */
};

/* Lets libnetmap say what is wrong in our way. Once, before any port is opened. */
void port_take_library_messages(void);

/*
 * Opens the port of o: all its rings (index < 0), or ring index only. first: the port of thread
 * 0, whose settings the others take; NULL for thread 0. 0, or -1 after saying what is wrong.
 */
int port_open(struct gen_port *p, const struct gen_options *o, const struct gen_port *first,
	      int index);
void port_close(struct gen_port *p);

/* Rings bound in one direction, and one of them. */
static inline unsigned int port_tx_rings(const struct gen_port *p)
{
	return (uint16_t)(p->d->last_tx_ring + 1 - p->d->first_tx_ring);
}

static inline unsigned int port_rx_rings(const struct gen_port *p)
{
	return (uint16_t)(p->d->last_rx_ring + 1 - p->d->first_rx_ring);
}

static inline struct netmap_ring *port_tx_ring(const struct gen_port *p, unsigned int i)
{
	return NETMAP_TXRING(p->d->nifp, p->d->first_tx_ring + i);
}

static inline struct netmap_ring *port_rx_ring(const struct gen_port *p, unsigned int i)
{
	return NETMAP_RXRING(p->d->nifp, p->d->first_rx_ring + i);
}

/* The sync ioctls. 0, or -1 after saying what is wrong. */
int port_sync_tx(const struct gen_port *p);
int port_sync_rx(const struct gen_port *p);

enum wait_result {
	WAIT_READY, /* look again; with busy: synced, no more */
	WAIT_TIMEOUT,
	WAIT_STOP,
	WAIT_FAILED, /* said why */
};

/* Syncs as poll does and, unless the port is ready for events (POLLIN, POLLOUT) or busy, sleeps
 * until it is, for at most ns (< 0: any time; 0: not at all). */
enum wait_result port_wait(const struct gen_port *p, short events, int64_t ns);

/* The same for room in TX rings. There may be some, only not enough: waits for more. */
enum wait_result port_wait_room(const struct gen_port *p, int64_t ns);

/* Sleeps until the stop descriptor is readable (WAIT_STOP) or ns have passed (WAIT_TIMEOUT). */
enum wait_result stop_wait(int stop_fd, int64_t ns);

/* Slots given to TX rings that have not come back, as of the last sync. */
uint32_t port_pending(const struct gen_port *p);

/* CLOCK_MONOTONIC in ns. */
int64_t now_ns(void);

#endif
