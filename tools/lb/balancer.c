/* SPDX-License-Identifier: BSD-2-Clause */
#include "balancer.h"

#include "message.h"
#include "number.h"
#include "stop.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

/* ---- extra buffers (spec/netmap-api.md section 2.4) ---- */

static volatile uint32_t *first_word(const struct balancer *b, uint32_t buffer)
{
	return (volatile uint32_t *)(void *)NETMAP_BUF(port_rx_ring(&b->port, 0), buffer);
}

/* The list goes into the stock; what is in the buffers from now on is packets. */
static int take_extra_buffers(struct balancer *b)
{
	struct netmap_if *nifp = b->port.d->nifp;
	uint32_t buffer = nifp->ni_bufs_head;

	if (stock_init(&b->spreader.stock, b->port.d->reg.nr_extra_bufs))
		return complain("out of memory");
	while (buffer_possible(buffer, b->port.buf_limit) && stock_put(&b->spreader.stock, buffer))
		buffer = *first_word(b, buffer);
	nifp->ni_bufs_head = 0;
	b->extra = b->spreader.stock.n_free;
	if (b->options->extra_given && b->extra < b->options->extra)
		remark("%s: of %u extra buffers there are %u", b->options->port, b->options->extra,
		       b->extra);
	return 0;
}

static void give_extra_buffers_back(struct balancer *b)
{
	uint32_t buffer, head = 0;

	spread_drop_waiting(&b->spreader);
	while (stock_take(&b->spreader.stock, &buffer)) {
		*first_word(b, buffer) = head;
		head = buffer;
	}
	b->port.d->nifp->ni_bufs_head = head;
	stock_free(&b->spreader.stock);
}

/* ---- opening ---- */

static int open_port(struct balancer *b)
{
	struct open_port *p = &b->port;
	unsigned int i;

	p->stop_fd = stop_fd();
	p->d = nmport_prepare(b->options->port);
	if (!p->d)
		return -1;
	p->d->reg.nr_flags |= NR_ACCEPT_VNET_HDR | NR_EXCLUSIVE | NR_RX_RINGS_ONLY;
	p->d->reg.nr_extra_bufs = b->options->extra;
	if (port_register(p, -1))
		return -1;
	if (!port_rx_rings(p))
		return complain("%s: no RX ring is bound (is there a /T in the name?)",
				b->options->port);
	if (p->vnet_hdr)
		return complain(
			"%s has virtio-net headers, which readers of the pipes would take for "
			"packets: set their length to 0",
			b->options->port);
	for (i = 0; i < port_rx_rings(p); i++) {
		if (port_rx_ring(p, i)->offset_mask)
			return complain(
				"%s has packets at offsets in their buffers, which readers of "
				"the pipes would not know of",
				b->options->port);
	}
	return 0;
}

/* The name of a group's pipe as libnetmap reads it. */
static int pipe_name(const struct balancer *b, const struct lb_group_option *g, unsigned int i,
		     char *name, size_t size)
{
	const char *parent = g->parent, *prefix = "";

	if (!*parent) {
		parent = b->port.d->hdr.nr_name;
		prefix = strncmp(parent, "vale", 4) ? "netmap:" : "";
	}
	if ((size_t)snprintf(name, size, "%s%s{%u", prefix, parent, i) >= size)
		return complain("%s: the name is too long for a pipe's parent", parent);
	return 0;
}

static int open_pipe(struct balancer *b, const struct lb_group_option *g, unsigned int i)
{
	struct open_port *p = &b->pipes[b->spreader.n_outlets];
	char name[192];

	if (pipe_name(b, g, i, name, sizeof(name)))
		return -1;
	p->stop_fd = stop_fd();
	p->d = nmport_prepare(name);
	if (!p->d)
		return -1;
	p->d->reg.nr_flags |= NR_EXCLUSIVE | NR_TX_RINGS_ONLY;
	p->d->reg.nr_mem_id = b->port.d->reg.nr_mem_id;
	p->d->reg.nr_tx_slots = p->d->reg.nr_rx_slots = b->options->slots;
	if (port_register(p, -1))
		return complain(
			"%s: this is pipe %u of %u, each of which takes four rings and their "
			"buffers of %s's memory region (id %u); if that is too small, ask for "
			"fewer pipes or --slots, or put the port into a larger one, as ptnet-lb(1) "
			"says",
			name, b->spreader.n_outlets + 1, b->options->n_pipes, b->options->port,
			b->port.d->reg.nr_mem_id);
	if (p->d->mem != b->port.d->mem)
		return complain("%s exists already, in another memory region than %s: close it or "
				"choose another name",
				name, b->options->port);
	b->outlets[b->spreader.n_outlets++].ring = port_tx_ring(p, 0);
	return 0;
}

static int open_group(struct balancer *b, const struct lb_group_option *g)
{
	unsigned int i;

	b->groups[b->spreader.n_groups++] =
		(struct group){.first = b->spreader.n_outlets, .count = g->count};
	for (i = 0; i < g->count; i++) {
		if (open_pipe(b, g, i))
			return -1;
	}
	return 0;
}

int balancer_open(struct balancer *b, const struct lb_options *o)
{
	unsigned int i;

	memset(b, 0, sizeof(*b));
	b->options = o;
	b->spreader.outlets = b->outlets;
	b->spreader.groups = b->groups;
	b->spreader.fields = o->fields;
	b->spreader.seed = o->seed;
	if (open_port(b) || take_extra_buffers(b))
		return -1;
	b->spreader.buf_limit = b->port.buf_limit;
	for (i = 0; i < o->n_groups; i++) {
		if (open_group(b, &o->groups[i]))
			return -1;
	}
	return 0;
}

void balancer_close(struct balancer *b)
{
	unsigned int i;

	if (b->spreader.stock.buffers)
		give_extra_buffers_back(b);
	for (i = 0; i < LB_MAX_PIPES; i++)
		port_close(&b->pipes[i]);
	port_close(&b->port);
}

/* ---- one round ---- */

/* Ports to poll. Each time only those that there is something to ask of. */
struct asked {
	const struct open_port *ports[LB_MAX_PIPES + 1];
	struct pollfd fds[LB_MAX_PIPES + 2];
	unsigned int n;
};

static void ask(struct asked *a, const struct open_port *p, short events)
{
	a->ports[a->n] = p;
	a->fds[a->n++] = (struct pollfd){.fd = p->d->fd, .events = events};
}

static bool packets_there(const struct balancer *b)
{
	unsigned int i;

	for (i = 0; i < port_rx_rings(&b->port); i++) {
		if (nm_ring_space(port_rx_ring(&b->port, i)))
			return true;
	}
	return false;
}

/*
 * How much room a pipe has is known as of its last sync, and one whose packets have all been taken
 * is not synced without need (spec/netmap-api.md section 9). So pipes that seem to have little room
 * are asked before packets queue up.
 */
static int look_for_room(struct balancer *b)
{
	struct asked a = {.n = 0};
	unsigned int i;

	if (!packets_there(b))
		return 0;
	for (i = 0; i < b->spreader.n_outlets; i++) {
		if (nm_ring_space(b->outlets[i].ring) < b->options->burst)
			ask(&a, &b->pipes[i], POLLOUT);
	}
	return a.n && ports_wait(a.ports, a.fds, a.n, stop_fd(), 0) == WAIT_FAILED ? -1 : 0;
}

/* Has what was filled sent, and sleeps until there are packets, or room for some that wait. */
static enum wait_result send_and_sleep(struct balancer *b, short events, int64_t ns)
{
	struct asked a = {.n = 0};
	unsigned int i;

	ask(&a, &b->port, events);
	for (i = 0; i < b->spreader.n_outlets; i++) {
		const struct outlet *o = &b->outlets[i];

		if (o->queue.slots)
			port_want_more_room(&b->pipes[i]);
		if (o->queue.slots || o->filled)
			ask(&a, &b->pipes[i], o->queue.slots ? POLLOUT : 0);
	}
	return ports_wait(a.ports, a.fds, a.n, stop_fd(), ns);
}

static bool spread_rings(struct balancer *b)
{
	bool more = false;
	unsigned int i;

	spread_begin(&b->spreader);
	for (i = 0; i < port_rx_rings(&b->port); i++)
		more |= spread_ring(&b->spreader, port_rx_ring(&b->port, i), b->options->burst);
	spread_end(&b->spreader);
	return more;
}

/* ---- progress ---- */

uint64_t balancer_dropped(const struct balancer *b)
{
	uint64_t dropped = 0;
	unsigned int i;

	for (i = 0; i < b->spreader.n_outlets; i++)
		dropped += b->outlets[i].dropped;
	return dropped;
}

static void print_progress(struct balancer *b, double seconds)
{
	const struct spreader *s = &b->spreader;
	uint64_t dropped = balancer_dropped(b);
	char clock[16], pps[16], bps[16];

	fprintf(stderr, "%s %spps %sbps, %llu dropped, %u of %u extra buffers in use\n",
		progress_clock(clock, sizeof(clock)),
		with_unit((double)(s->packets - b->shown_packets) / seconds, pps, sizeof(pps)),
		with_unit(8.0 * (double)(s->bytes - b->shown_bytes) / seconds, bps, sizeof(bps)),
		(unsigned long long)(dropped - b->shown_dropped), spread_waiting(s), b->extra);
	b->shown_packets = s->packets;
	b->shown_bytes = s->bytes;
	b->shown_dropped = dropped;
}

/* ---- running ---- */

static enum wait_result go_round(struct balancer *b)
{
	int64_t now = now_ns();
	double seconds;
	bool more;

	if (look_for_room(b))
		return WAIT_FAILED;
	more = spread_rings(b);
	if (progress_due(&b->progress, now, &seconds))
		print_progress(b, seconds);
	return send_and_sleep(b, POLLIN, more ? 0 : progress_wait(&b->progress, now));
}

/* Nothing more is taken; what waits goes on its way as far as there is room in time. */
static int finish(struct balancer *b)
{
	int64_t end = now_ns() + b->options->timeout, left;
	enum wait_result result = WAIT_READY;
	unsigned int i;

	/* Asked to end, there is no sleeping with the descriptor that says so. */
	while (spread_waiting(&b->spreader) && !stop_hurry && result != WAIT_FAILED) {
		struct asked a = {.n = 0};

		left = end - now_ns();
		if (left <= 0)
			break;
		for (i = 0; i < b->spreader.n_outlets; i++) {
			if (!b->outlets[i].queue.slots)
				continue;
			port_want_more_room(&b->pipes[i]);
			ask(&a, &b->pipes[i], POLLOUT);
		}
		result = ports_wait(a.ports, a.fds, a.n, -1, left < 20000000 ? left : 20000000);
		spread_begin(&b->spreader);
		spread_end(&b->spreader);
	}
	spread_drop_waiting(&b->spreader);
	for (i = 0; i < b->spreader.n_outlets && result != WAIT_FAILED; i++) {
		if (port_sync_tx(&b->pipes[i]))
			return -1;
	}
	return result == WAIT_FAILED ? -1 : port_sync_rx(&b->port);
}

int balancer_run(struct balancer *b)
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
