/* SPDX-License-Identifier: BSD-2-Clause */
#include "world.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

#include "packet.h"

/* ---- random numbers ---- */

uint32_t world_random(struct world *w, uint32_t below)
{
	/* xorshift64*: the same on every machine */
	w->state ^= w->state >> 12;
	w->state ^= w->state << 25;
	w->state ^= w->state >> 27;
	return (uint32_t)((w->state * 0x2545f4914f6cdd1dull) >> 33) % below;
}

bool world_chance(struct world *w, unsigned int percent)
{
	return world_random(w, 100) < percent;
}

/* ---- history ---- */

#define HISTORY 2000
#define LINE	400

static char history[HISTORY][LINE];
static uint64_t noted;
static unsigned int shown = 60;

void world_keep_history(unsigned int count)
{
	shown = count < HISTORY ? count : HISTORY - 1;
}

void world_note(struct world *w, const char *format, ...)
{
	char *line = history[noted++ % HISTORY];
	int n = snprintf(line, LINE, "%llu ", (unsigned long long)++w->operations);
	va_list list;

	va_start(list, format);
	vsnprintf(line + n, LINE - (size_t)n, format, list);
	va_end(list);
}

void world_note_more(const char *format, ...)
{
	char *line = history[(noted - 1) % HISTORY];
	size_t n = strlen(line);
	va_list list;

	va_start(list, format);
	vsnprintf(line + n, LINE - n, format, list);
	va_end(list);
}

/* ---- orders ---- */

static struct client *client_of(struct world *w, unsigned int number)
{
	return &w->clients[number / CLIENT_DESCRIPTORS];
}

static struct client_order *order_for(struct world *w, unsigned int number, enum client_op op)
{
	struct client_order *order = &client_of(w, number)->mail->order;

	w->current = number;
	order->op = op;
	order->descriptor = number % CLIENT_DESCRIPTORS;
	order->num_edits = 0;
	order->set_tail = false;
	return order;
}

/* What the client sees a little later: was it only late? */
static void print_later(struct world *w, unsigned int number)
{
	const struct timespec moment = {.tv_nsec = 300000000};
	const struct model_binding *b = &w->descriptors[number].binding;
	const struct client_answer *answer = &client_of(w, number)->mail->answer;
	unsigned int i;

	nanosleep(&moment, NULL);
	order_for(w, number, CLIENT_RXSYNC);
	if (!client_call(client_of(w, number)))
		return;
	for (i = 0; i < answer->num_tx + answer->num_rx; i++)
		printf("  0.3 s and an RXSYNC later: %s ring %u: head %u cur %u tail %u\n",
		       i < answer->num_tx ? "TX" : "RX", model_bound_ring(b, i)->index,
		       answer->rings[i].head, answer->rings[i].cur, answer->rings[i].tail);
}

static void print_stations(const struct model *m)
{
	unsigned int i;

	for (i = 0; i < MODEL_ADDRESSES; i++)
		if (m->stations[i].port)
			printf("  on %s station %u is at %s\n", m->stations[i].switch_name,
			       m->stations[i].address[5], m->stations[i].port->name);
}

void world_differs(struct world *w, const char *format, ...)
{
	uint64_t first = noted > shown ? noted - shown : 0, i;
	unsigned int c;
	va_list list;

	printf("the last %u operations:\n", (unsigned int)(noted - first));
	for (i = first; i < noted; i++)
		printf("  %s\n", history[i % HISTORY]);
	printf("DIFFERENCE at operation %llu: ", (unsigned long long)w->operations);
	va_start(list, format);
	vprintf(format, list);
	va_end(list);
	printf("\n");
	if (w->descriptors[w->current].open)
		print_later(w, w->current);
	print_stations(&w->model);
	printf("the same again: --seed %llu --operations %llu\n", (unsigned long long)w->seed,
	       (unsigned long long)w->operations);
	fflush(stdout);
	for (c = 0; c < CLIENTS; c++)
		client_kill(&w->clients[c]);
	exit(1);
}

/* ---- comparing ---- */

static const struct client_answer *carry_out(struct world *w, unsigned int number)
{
	struct client *c = client_of(w, number);

	if (!client_call(c))
		world_differs(w, "client %u has died", number / CLIENT_DESCRIPTORS);
	return &c->mail->answer;
}

/* All slots of a ring that nobody had are its owner's, each with a buffer of its own. */
static void check_new_ring(struct world *w, const char *what, const struct model_ring *ring)
{
	uint32_t i, k;

	for (i = 0; i < ring->num_slots; i++) {
		if (!model_is_buffer(ring->port->region, ring->slots[i].buf_idx))
			world_differs(w, "%s: slot %u of a new ring has buffer %u", what, i,
				      ring->slots[i].buf_idx);
		for (k = 0; k < i; k++)
			if (ring->slots[k].buf_idx == ring->slots[i].buf_idx)
				world_differs(w,
					      "%s: slots %u and %u of a new ring have one buffer",
					      what, k, i);
		model_buffer(ring->port->region, ring->slots[i].buf_idx)->known = 0;
	}
}

/* A pipe's ring that goes on, with some slots mended: those that its owner has. */
static void adopt_held(struct model_ring *ring, const struct client_ring *real)
{
	uint32_t count = model_slots_held(ring), i;

	for (i = 0; i < count; i++) {
		uint32_t index = (ring->hwcur + i) % ring->num_slots;

		ring->slots[index] = real->slots[index];
	}
}

/* What the model does not know, it takes from the real thing, where it must be plausible. */
static void adopt(struct world *w, const char *what, struct model_ring *ring,
		  const struct client_ring *real)
{
	unsigned int i;

	if (ring->peer && ring->peer->users > 0) {
		adopt_held(ring, real);
	} else {
		memcpy(ring->slots, real->slots, sizeof(ring->slots));
		/* A reader has none of them, and its sender may have left some bad. */
		if (ring->tx || !ring->peer)
			check_new_ring(w, what, ring);
		if (ring->peer) {
			memcpy(ring->peer->slots, ring->slots, sizeof(ring->slots));
			ring->peer->fresh = false;
		}
	}
	ring->fresh = false;
	for (i = 0; i < WORLD_LENT; i++)
		if (w->lent[i].ring == ring)
			w->lent[i].ring = NULL;
}

static void compare_slot(struct world *w, const char *what, struct model_ring *ring,
			 const struct client_ring *real, uint32_t index, bool data)
{
	const struct netmap_slot *want = &ring->slots[index], *got = &real->slots[index];
	const struct model_buffer *buffer;

	if (want->buf_idx != got->buf_idx || want->len != got->len || want->flags != got->flags ||
	    want->ptr != got->ptr)
		world_differs(w,
			      "%s: slot %u: buffer %u length %u flags 0x%x ptr %llu, "
			      "should be buffer %u length %u flags 0x%x ptr %llu",
			      what, index, got->buf_idx, got->len, got->flags,
			      (unsigned long long)got->ptr, want->buf_idx, want->len, want->flags,
			      (unsigned long long)want->ptr);
	if (!data || !model_is_buffer(ring->port->region, want->buf_idx))
		return;
	buffer = model_buffer(ring->port->region, want->buf_idx);
	if (want->len <= buffer->known &&
	    packet_hash(buffer->bytes, want->len) != real->hashes[index])
		world_differs(w, "%s: slot %u: the %u bytes in buffer %u are not what was sent",
			      what, index, want->len, want->buf_idx);
}

static void compare_ring(struct world *w, const char *what, struct model_ring *ring,
			 const struct client_ring *real)
{
	uint32_t released = model_distance(ring, ring->rhead, ring->head), i;
	bool data = !ring->tx && ring->tail == ring->rtail &&
		    released <= model_distance(ring, ring->rhead, ring->rtail);

	if (real->num_slots != ring->num_slots || real->ringid != ring->index ||
	    real->dir != !ring->tx)
		world_differs(w, "%s: %u slots, number %u, direction %u; should be %u, %u, %u",
			      what, real->num_slots, real->ringid, real->dir, ring->num_slots,
			      ring->index, !ring->tx);
	if (ring->tx && real->tail != ring->tail)
		model_pipe_catch_up(&w->model, ring, real->tail);
	if (real->head != ring->head || real->cur != ring->cur || real->tail != ring->tail)
		world_differs(w, "%s: head %u cur %u tail %u, should be %u %u %u", what, real->head,
			      real->cur, real->tail, ring->head, ring->cur, ring->tail);
	if (ring->fresh)
		adopt(w, what, ring, real);
	if (ring->head >= ring->num_slots || ring->tail >= ring->num_slots)
		return;
	/* The slots that are the program's; of a TX ring also the one at tail (ports.md 3.2). */
	for (i = ring->rhead; i != ring->rtail; i = model_next(ring, i))
		compare_slot(w, what, ring, real, i,
			     data && model_distance(ring, ring->rhead, i) >= released);
	if (ring->tx)
		compare_slot(w, what, ring, real, ring->rtail, false);
}

static void compare(struct world *w, unsigned int number, const struct client_answer *answer)
{
	const struct model_binding *b = &w->descriptors[number].binding;
	char what[64];
	unsigned int i;

	if (answer->num_tx != b->num_tx || answer->num_rx != b->num_rx)
		world_differs(w, "descriptor %u has %u TX and %u RX rings, should have %u and %u",
			      number, answer->num_tx, answer->num_rx, b->num_tx, b->num_rx);
	for (i = 0; i < b->num_tx + b->num_rx; i++) {
		struct model_ring *ring = model_bound_ring(b, i);

		snprintf(what, sizeof(what), "%s %s ring %u", ring->port->name,
			 ring->tx ? "TX" : "RX", ring->index);
		compare_ring(w, what, ring, &answer->rings[i]);
	}
}

static void compare_error(struct world *w, const char *what, int want, int got)
{
	if (want != got)
		world_differs(w, "%s: %s, should be %s", what, got ? strerrorname_np(got) : "done",
			      want ? strerrorname_np(want) : "done");
}

/*
 * How much of what a pipe's reader released comes back without a sync depends on how soon the owner
 * gets to it. What follows must not depend on that, so that a run can be repeated.
 */
static void settle(struct world *w, unsigned int number)
{
	const struct model_binding *b = &w->descriptors[number].binding;
	unsigned int i;

	for (i = 0; i < b->num_tx; i++) {
		if (model_bound_ring(b, i)->state != SYNCED) {
			world_txsync(w, number);
			return;
		}
	}
}

/* ---- requests ---- */

void world_name(const struct world *w, const char *pattern, char name[MODEL_NAME])
{
	size_t n = 0;

	for (; *pattern && n + sizeof(w->unique) < MODEL_NAME; pattern++) {
		if (*pattern == '~')
			n += (size_t)snprintf(name + n, MODEL_NAME - n, "%s", w->unique);
		else
			name[n++] = *pattern;
	}
	name[n] = '\0';
}

static int request(const struct world *w, uint16_t type, const char *name, void *body)
{
	struct nmreq_header h = {
		.nr_version = NETMAP_API, .nr_reqtype = type, .nr_body = (uintptr_t)body};

	snprintf(h.nr_name, sizeof(h.nr_name), "%s", name);
	return ioctl(w->control, NIOCCTRL, &h) ? errno : 0;
}

void world_request(struct world *w, uint16_t type, const char *name, void *body, int error)
{
	char what[64];

	snprintf(what, sizeof(what), "request %u for \"%s\"", type, name);
	world_note(w, "%s", what);
	compare_error(w, what, error, request(w, type, name, body));
}

/* The owner has chosen a memory id; no other region may have it. */
static void adopt_region(struct world *w, const char *name, struct model_region *region,
			 uint16_t id)
{
	struct nmreq_pools_info pools = {0};
	unsigned int i;
	int error;

	if (id < 2)
		world_differs(w, "%s: a region of its own has id %u", name, id);
	for (i = 0; i < MODEL_MAX_PORTS; i++)
		if (w->model.ports[i] && w->model.ports[i]->region->id == id)
			world_differs(w, "%s: memory id %u is that of %s, too", name, id,
				      w->model.ports[i]->name);
	error = request(w, NETMAP_REQ_POOLS_INFO_GET, name, &pools);
	compare_error(w, "POOLS_INFO_GET", 0, error);
	region->id = id;
	region->total = pools.nr_buf_pool_objtotal;
}

void world_learn_region(struct world *w, const char *name, uint16_t id)
{
	adopt_region(w, name, model_find(&w->model, name)->region, id);
}

static bool is_in_a_slot(const struct model *m, const struct model_region *region, uint32_t buffer)
{
	unsigned int p, r, i;

	for (p = 0; p < MODEL_MAX_PORTS; p++) {
		const struct model_port *port = m->ports[p];

		for (r = 0; port && port->region == region && r < port->num_tx + port->num_rx;
		     r++) {
			const struct model_ring *ring =
				r < port->num_tx ? &port->tx[r] : &port->rx[r - port->num_tx];

			for (i = 0; i < ring->num_slots; i++)
				if (ring->slots[i].buf_idx == buffer)
					return true;
		}
	}
	return false;
}

uint32_t world_take_lent(struct world *w, struct model_ring *ring, uint32_t index, uint32_t now)
{
	unsigned int i;

	for (i = 0; i < WORLD_LENT; i++) {
		struct world_lent *lent = &w->lent[i];

		if (lent->serial == ring->port->serial && lent->ring == ring &&
		    lent->index == index) {
			lent->ring = NULL;
			return is_in_a_slot(&w->model, ring->port->region, lent->buffer)
				       ? now
				       : lent->buffer;
		}
	}
	return now;
}

static void compare_reply(struct world *w, const char *name, const struct nmreq_register *want,
			  const struct nmreq_register *got)
{
	if (want->nr_tx_slots != got->nr_tx_slots || want->nr_rx_slots != got->nr_rx_slots ||
	    want->nr_tx_rings != got->nr_tx_rings || want->nr_rx_rings != got->nr_rx_rings ||
	    got->nr_host_tx_rings != 0 || got->nr_host_rx_rings != 0)
		world_differs(w, "%s: %u x %u TX, %u x %u RX slots, should be %u x %u, %u x %u",
			      name, got->nr_tx_rings, got->nr_tx_slots, got->nr_rx_rings,
			      got->nr_rx_slots, want->nr_tx_rings, want->nr_tx_slots,
			      want->nr_rx_rings, want->nr_rx_slots);
	if (want->nr_mode != got->nr_mode || want->nr_ringid != got->nr_ringid ||
	    want->nr_flags != got->nr_flags || want->nr_extra_bufs != got->nr_extra_bufs)
		world_differs(w, "%s: mode, ring, flags or extra buffers are not echoed", name);
	if (want->nr_mem_id != 0 && want->nr_mem_id != got->nr_mem_id)
		world_differs(w, "%s: memory id %u, should be %u", name, got->nr_mem_id,
			      want->nr_mem_id);
}

void world_open(struct world *w, unsigned int number, const char *name,
		const struct nmreq_register *reg)
{
	struct world_descriptor *d = &w->descriptors[number];
	struct client_order *order = order_for(w, number, CLIENT_OPEN);
	struct nmreq_register want = *reg;
	const struct client_answer *answer;
	int error;

	world_note(w, "%u: open %s mode %u ring %u flags 0x%llx memory %u, %ux%u %ux%u", number,
		   name, reg->nr_mode, reg->nr_ringid, (unsigned long long)reg->nr_flags,
		   reg->nr_mem_id, reg->nr_tx_rings, reg->nr_tx_slots, reg->nr_rx_rings,
		   reg->nr_rx_slots);
	snprintf(order->name, sizeof(order->name), "%s", name);
	order->reg = *reg;
	error = model_register(&w->model, name, &want, &d->binding);
	answer = carry_out(w, number);
	if (answer->error && answer->error == error)
		world_note_more(": %s", strerrorname_np(error));
	compare_error(w, name, error, answer->error);
	if (error) {
		if (memcmp(reg, &answer->reg, sizeof(*reg)) != 0)
			world_differs(w, "%s: a refused request was changed", name);
		return;
	}
	compare_reply(w, name, &want, &answer->reg);
	if (want.nr_mem_id == 0)
		adopt_region(w, name, d->binding.port->region, answer->reg.nr_mem_id);
	d->open = true;
	compare(w, number, answer);
	settle(w, number);
}

void world_register_again(struct world *w, unsigned int number, const char *name)
{
	struct client_order *order = order_for(w, number, CLIENT_REGISTER);

	world_note(w, "%u: register %s, though it is bound", number, name);
	snprintf(order->name, sizeof(order->name), "%s", name);
	order->reg = (struct nmreq_register){.nr_mode = NR_REG_ALL_NIC};
	compare_error(w, "REGISTER", EBUSY, carry_out(w, number)->error);
}

/*
 * What follows a close in a request finds it done. The data path is another matter: a packet that
 * is sent at once may still meet the port that is being closed.
 */
static void await_close(struct world *w)
{
	struct nmreq_port_info_get info = {0};
	int error = request(w, NETMAP_REQ_PORT_INFO_GET, "nosuch0", &info);

	compare_error(w, "PORT_INFO_GET", ENXIO, error);
}

void world_close(struct world *w, unsigned int number)
{
	struct world_descriptor *d = &w->descriptors[number];

	world_note(w, "%u: close (%s)", number, d->binding.port->name);
	order_for(w, number, CLIENT_CLOSE);
	carry_out(w, number);
	await_close(w);
	model_close(&w->model, &d->binding);
	d->open = false;
}

void world_kill(struct world *w, unsigned int client)
{
	unsigned int i;

	world_note(w, "client %u: killed", client);
	client_kill(&w->clients[client]);
	await_close(w);
	for (i = client * CLIENT_DESCRIPTORS; i < (client + 1) * CLIENT_DESCRIPTORS; i++) {
		if (w->descriptors[i].open)
			model_close(&w->model, &w->descriptors[i].binding);
		w->descriptors[i].open = false;
	}
	client_start(&w->clients[client]);
}

/* ---- syncs ---- */

void world_txsync(struct world *w, unsigned int number)
{
	const struct client_answer *answer;

	world_note(w, "%u: TXSYNC (%s)", number, w->descriptors[number].binding.port->name);
	order_for(w, number, CLIENT_TXSYNC);
	model_txsync(&w->model, &w->descriptors[number].binding);
	answer = carry_out(w, number);
	compare_error(w, "NIOCTXSYNC", 0, answer->error);
	compare(w, number, answer);
	settle(w, number);
}

void world_rxsync(struct world *w, unsigned int number)
{
	const struct client_answer *answer;

	world_note(w, "%u: RXSYNC (%s)", number, w->descriptors[number].binding.port->name);
	order_for(w, number, CLIENT_RXSYNC);
	model_rxsync(&w->model, &w->descriptors[number].binding);
	answer = carry_out(w, number);
	compare_error(w, "NIOCRXSYNC", 0, answer->error);
	compare(w, number, answer);
}

/*
 * What poll() sends the owner takes at its own time. So that both sides are seen at the same point,
 * NIOCTXSYNC follows, which waits for it.
 */
void world_poll(struct world *w, unsigned int number, short events)
{
	const struct model_binding *b = &w->descriptors[number].binding;
	struct client_order *order = order_for(w, number, CLIENT_POLL);
	const struct client_answer *answer;
	short must, may, got;

	world_note(w, "%u: poll for%s%s (%s)", number, events & POLLIN ? " packets" : "",
		   events & POLLOUT ? " room" : "", b->port->name);
	order->events = events;
	order->settle = events & POLLOUT || !(b->flags & NR_NO_TX_POLL);
	must = model_poll(&w->model, b, events, &may);
	if (order->settle)
		model_txsync(&w->model, b);
	answer = carry_out(w, number);
	compare_error(w, "poll", 0, answer->error);
	got = answer->revents & (POLLIN | POLLOUT | POLLERR);
	if ((got & must) != must || (got & ~(must | may)))
		world_differs(w, "poll: events 0x%x, should be 0x%x%s", got, must,
			      may & ~must ? " or with room" : "");
	compare(w, number, answer);
	settle(w, number);
}

/* ---- what programs write ---- */

struct client_order *world_edit(struct world *w, unsigned int number, unsigned int ring)
{
	const struct model_ring *r = model_bound_ring(&w->descriptors[number].binding, ring);
	struct client_order *order = order_for(w, number, CLIENT_EDIT);

	world_note(w, "%u: %s %s %u:", number, r->port->name, r->tx ? "TX" : "RX", r->index);
	order->ring = ring;
	return order;
}

static struct model_ring *edited(struct world *w, unsigned int number,
				 const struct client_order *order)
{
	return model_bound_ring(&w->descriptors[number].binding, order->ring);
}

void world_set_slot(struct world *w, unsigned int number, struct client_order *order,
		    uint32_t index, const struct netmap_slot *slot)
{
	edited(w, number, order)->slots[index] = *slot;
	order->edits[order->num_edits++] = (struct client_edit){.index = index, .slot = *slot};
	world_note_more(" [%u] %u,%u,0x%x", index, slot->buf_idx, slot->len, slot->flags);
}

void world_fill_slot(struct world *w, unsigned int number, struct client_order *order,
		     uint32_t index, const struct netmap_slot *slot, unsigned int to,
		     unsigned int from)
{
	struct model_region *region = edited(w, number, order)->port->region;
	struct client_edit *e = &order->edits[order->num_edits];
	struct model_buffer *buffer;

	world_set_slot(w, number, order, index, slot);
	world_note_more(" %u>%u", from, to);
	if (!model_is_buffer(region, slot->buf_idx) || slot->len > MODEL_BUF_SIZE)
		return;
	e->fill = true;
	e->to = (uint8_t)to;
	e->from = (uint8_t)from;
	e->seed = world_random(w, UINT32_MAX);
	buffer = model_buffer(region, slot->buf_idx);
	packet_fill(buffer->bytes, slot->len, to, from, e->seed);
	buffer->known = slot->len;
}

void world_edit_done(struct world *w, unsigned int number, struct client_order *order,
		     uint32_t head, uint32_t cur)
{
	struct model_ring *ring = edited(w, number, order);

	world_note_more(" head %u cur %u", head, cur);
	ring->head = order->head = head;
	ring->cur = order->cur = cur;
	if (order->set_tail) {
		world_note_more(" tail %u", order->tail);
		ring->tail = order->tail;
	}
	compare(w, number, carry_out(w, number));
}
