/* SPDX-License-Identifier: BSD-2-Clause */
#include "bridge.h"

#include "message.h"
#include "number.h"
#include "stop.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening ---- */

static int open_port(struct open_port *p, const char *name, uint64_t flags)
{
	p->stop_fd = stop_fd();
	p->d = nmport_prepare(name);
	if (!p->d)
		return -1;
	p->d->reg.nr_flags |= NR_ACCEPT_VNET_HDR | flags;
	return port_register(p, -1);
}

static int check_direction(const struct direction *d, const struct bridge_options *o)
{
	const char *hint = o->one_way ? "" : "; is it one-way (--one-way) that you want?";

	if (!port_rx_rings(d->from))
		return complain("%s: no RX ring is bound, so nothing can be forwarded from it%s",
				d->from->d->hdr.nr_name, hint);
	if (!port_tx_rings(d->to))
		return complain("%s: no TX ring is bound, so nothing can be forwarded to it%s",
				d->to->d->hdr.nr_name, hint);
	return 0;
}

static int set_up_direction(struct bridge *b, struct direction *d, unsigned int from)
{
	struct forwarder *f = &d->forwarder;
	uint32_t size;

	d->from = &b->ports[from];
	d->to = &b->ports[!from];
	if (check_direction(d, b->options))
		return -1;
	f->from_limit = d->from->buf_limit;
	f->to_limit = d->to->buf_limit;
	f->same_region = b->zero_copy;
	size = port_rx_ring(d->from, 0)->nr_buf_size;
	f->scratch_size = NETMAP_MAX_FRAGS * size;
	f->scratch = malloc(f->scratch_size);
	d->stalled = calloc(port_rx_rings(d->from), sizeof(*d->stalled));
	return f->scratch && d->stalled ? 0 : complain("out of memory");
}

/* Packets are passed on with their headers, as they are. Ports that read them differently would
 * need somebody who computes checksums and cuts segments: that is the switch's work. */
static int check_headers(const struct bridge *b)
{
	const struct open_port *p = b->ports;

	if (p[0].vnet_hdr == p[1].vnet_hdr)
		return 0;
	return complain("%s has virtio-net headers of %u bytes, %s of %u: give both ports the same "
			"length (0, 10 or 12)",
			p[0].d->hdr.nr_name, p[0].vnet_hdr, p[1].d->hdr.nr_name, p[1].vnet_hdr);
}

int bridge_open(struct bridge *b, const struct bridge_options *o)
{
	unsigned int i;

	memset(b, 0, sizeof(*b));
	b->options = o;
	/* One way, the other rings are left for other programs. */
	if (open_port(&b->ports[0], o->ports[0], o->one_way ? NR_RX_RINGS_ONLY : 0) ||
	    open_port(&b->ports[1], o->ports[1], o->one_way ? NR_TX_RINGS_ONLY : 0) ||
	    check_headers(b))
		return -1;
	b->zero_copy = !o->copy && b->ports[0].d->mem == b->ports[1].d->mem;
	for (i = 0; i < (o->one_way ? 1 : 2); i++) {
		b->n_directions = i + 1;
		if (set_up_direction(b, &b->directions[i], i))
			return -1;
	}
	return 0;
}

void bridge_close(struct bridge *b)
{
	unsigned int i;

	for (i = 0; i < b->n_directions; i++) {
		free(b->directions[i].forwarder.scratch);
		free(b->directions[i].stalled);
	}
	for (i = 0; i < 2; i++)
		port_close(&b->ports[i]);
}

/* ---- one round ---- */

/* What one direction came to in a round. */
struct findings {
	bool more;   /* a burst was not enough */
	bool hungry; /* a ring has nothing to forward: packets are welcome */
	bool full;   /* a ring's packets wait for room */
	bool released;
};

static void look_at_ring(struct direction *d, unsigned int i, uint32_t burst,
			 struct findings *found)
{
	struct netmap_ring *from = port_rx_ring(d->from, i);
	struct netmap_ring *to = port_tx_ring(d->to, i % port_tx_rings(d->to));
	uint32_t head = from->head;
	enum forward_end end = forward(&d->forwarder, from, to, burst);

	if (end == FORWARD_FULL && (!d->stalled[i] || from->head != head))
		d->forwarder.counters.stalls++;
	d->stalled[i] = end == FORWARD_FULL;
	switch (end) {
	case FORWARD_BURST:
		found->more = true;
		break;
	case FORWARD_FULL:
		/* What is there is no news, should poll be asked for the other rings. */
		from->cur = from->tail;
		found->full = true;
		break;
	case FORWARD_PART:
		from->cur = from->tail;
		found->hungry = true;
		break;
	case FORWARD_EMPTY:
		found->hungry = true;
		break;
	}
	found->released |= from->head != head;
}

static struct findings look(struct direction *d, uint32_t burst)
{
	struct findings found = {0};
	unsigned int i;

	for (i = 0; i < port_rx_rings(d->from); i++)
		look_at_ring(d, i, burst, &found);
	return found;
}

/*
 * What poll is to be asked for, after a round: POLLIN where packets are welcome, POLLOUT where
 * packets wait for room, and in any case a sync of both ports, which sends what was filled. RX
 * slots go back with POLLIN only; where that is not asked they are given back here.
 */
static int ask(const struct bridge *b, struct direction *d, const struct findings *found,
	       struct pollfd *fds)
{
	struct pollfd *from = &fds[d->from - b->ports], *to = &fds[d->to - b->ports];

	if (found->hungry || found->more)
		from->events |= POLLIN;
	else if (found->released && port_sync_rx(d->from))
		return -1;
	if (found->full) {
		port_want_more_room(d->to);
		to->events |= POLLOUT;
	}
	return 0;
}

/* ---- progress ---- */

static void print_progress(struct bridge *b, double seconds)
{
	char clock[16], pps[16], bps[16];
	unsigned int i;

	for (i = 0; i < b->n_directions; i++) {
		struct direction *d = &b->directions[i];
		const struct forward_counters *c = &d->forwarder.counters;

		fprintf(stderr, "%s %s > %s %spps %sbps, %llu dropped, %llu stalls\n",
			progress_clock(clock, sizeof(clock)), d->from->d->hdr.nr_name,
			d->to->d->hdr.nr_name,
			with_unit((double)(c->packets - d->shown.packets) / seconds, pps,
				  sizeof(pps)),
			with_unit(8.0 * (double)(c->bytes - d->shown.bytes) / seconds, bps,
				  sizeof(bps)),
			(unsigned long long)(c->dropped - d->shown.dropped),
			(unsigned long long)(c->stalls - d->shown.stalls));
		d->shown = *c;
	}
}

/* ---- running ---- */

/* One round and the sleep after it. */
static enum wait_result go_round(struct bridge *b)
{
	const struct open_port *const ports[2] = {&b->ports[0], &b->ports[1]};
	struct pollfd fds[3] = {{.fd = b->ports[0].d->fd}, {.fd = b->ports[1].d->fd}};
	int64_t now = now_ns();
	bool more = false;
	double seconds;
	unsigned int i;

	for (i = 0; i < b->n_directions; i++) {
		struct findings found = look(&b->directions[i], b->options->burst);

		if (ask(b, &b->directions[i], &found, fds))
			return WAIT_FAILED;
		more |= found.more;
	}
	if (progress_due(&b->progress, now, &seconds))
		print_progress(b, seconds);
	return ports_wait(ports, fds, 2, stop_fd(), more ? 0 : progress_wait(&b->progress, now));
}

/* What is in RX rings stays there for whoever opens the ports next. */
static int finish(struct bridge *b)
{
	unsigned int i;

	for (i = 0; i < b->n_directions; i++) {
		struct direction *d = &b->directions[i];

		if (port_sync_rx(d->from) ||
		    port_drain(d->to, b->options->timeout, &stop_hurry, &d->pending))
			return -1;
	}
	return 0;
}

int bridge_run(struct bridge *b)
{
	enum wait_result result = WAIT_READY;
	int64_t start;

	if (b->options->wait)
		stop_wait(stop_fd(), b->options->wait);
	start = now_ns();
	progress_begin(&b->progress, &b->options->reporting, start);
	while (!stop_asked && result != WAIT_FAILED)
		result = go_round(b);
	b->seconds_ns = now_ns() - start;
	return result == WAIT_FAILED ? -1 : finish(b);
}
