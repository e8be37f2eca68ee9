/* SPDX-License-Identifier: BSD-2-Clause */
/* Which operations, how often, with what in them. */
#include "operations.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

/*
 * The switch copies at most about a megabyte in one go (docs/vale.md), which programs can only
 * notice by when a full ring is found to have room again. Senders here stay below.
 */
#define MAX_PENDING_BYTES 90000
/* In a region that a program did not lay out itself there is room for so many rings more. */
#define MAX_REGION_RINGS      18
#define MAX_REGION_SLOTS      1900
#define MAX_REGION_INTERFACES 12 /* netmap_ifs: of each port, and of each descriptor */

/* Busy, so that all kinds of meetings happen: few names. */
static const char *const vale_names[] = {"vale~a:p0", "vale~a:p1", "vale~a:p2", "vale~a:p3",
					 "vale~b:q0", "vale~b:q1", "vale~a:~n0"};
static const char *const pipe_names[] = {"~w{1",	"~w}1",	       "~w{2",	  "~w}2",
					 "vale~a:p0{x", "vale~a:p0}x", "~n0{one", "~n0}one"};
static const char *const interfaces[] = {"~n0", "~n1"};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- choosing ---- */

static int pick_descriptor(struct world *w, bool open)
{
	unsigned int start = world_random(w, DESCRIPTORS), i;

	for (i = 0; i < DESCRIPTORS; i++)
		if (w->descriptors[(start + i) % DESCRIPTORS].open == open)
			return (int)((start + i) % DESCRIPTORS);
	return -1;
}

/* A bound ring of that direction; -1: there is none. */
static int pick_ring(struct world *w, unsigned int number, bool tx)
{
	const struct model_binding *b = &w->descriptors[number].binding;
	unsigned int count = tx ? b->num_tx : b->num_rx;

	return count == 0 ? -1 : (int)(world_random(w, count) + (tx ? 0 : b->num_tx));
}

/* Positions as they may be: what comes next to them makes sense. */
static bool in_order(const struct model_ring *ring)
{
	return ring->head < ring->num_slots && ring->cur < ring->num_slots &&
	       ring->tail == ring->rtail &&
	       model_distance(ring, ring->rhead, ring->head) <=
		       model_distance(ring, ring->rhead, ring->rtail);
}

/* ---- opening and closing ---- */

static uint32_t some_slots(struct world *w)
{
	static const uint32_t sizes[] = {4, 4, 8, 8, 16, 16, 32, 64, 128};

	return sizes[world_random(w, COUNT(sizes))];
}

static uint16_t some_rings(struct world *w)
{
	return world_chance(w, 60) ? 1 : (uint16_t)(1 + world_random(w, 3));
}

static uint64_t some_flags(struct world *w)
{
	uint64_t flags = 0;

	if (world_chance(w, 8))
		flags |= NR_EXCLUSIVE;
	if (world_chance(w, 20))
		flags |= NR_NO_TX_POLL;
	if (world_chance(w, 6))
		flags |= NR_TX_RINGS_ONLY;
	else if (world_chance(w, 6))
		flags |= NR_RX_RINGS_ONLY;
	return flags;
}

static uint32_t some_mode(struct world *w)
{
	static const uint32_t wrong[] = {NR_REG_DEFAULT, NR_REG_SW,	     NR_REG_NIC_SW,
					 NR_REG_ONE_SW,	 NR_REG_PIPE_MASTER, 9};

	if (world_chance(w, 2))
		return wrong[world_random(w, COUNT(wrong))];
	return world_chance(w, 25) ? NR_REG_ONE_NIC : NR_REG_ALL_NIC;
}

static unsigned int rings_in(const struct world *w, const struct model_region *region)
{
	unsigned int rings = 0, i;

	for (i = 0; i < MODEL_MAX_PORTS; i++)
		if (w->model.ports[i] && w->model.ports[i]->region == region)
			rings += w->model.ports[i]->num_tx + w->model.ports[i]->num_rx;
	return rings;
}

static unsigned int interfaces_in(const struct world *w, const struct model_region *region)
{
	unsigned int count = 0, i;

	for (i = 0; i < MODEL_MAX_PORTS; i++)
		count += w->model.ports[i] && w->model.ports[i]->region == region;
	for (i = 0; i < DESCRIPTORS; i++)
		count += w->descriptors[i].open && w->descriptors[i].binding.port->region == region;
	return count;
}

static uint32_t slots_in(const struct world *w, const struct model_region *region)
{
	uint32_t slots = 0, i;

	for (i = 0; i < MODEL_MAX_PORTS; i++) {
		const struct model_port *port = w->model.ports[i];

		if (port && port->region == region)
			slots += port->num_tx * port->tx[0].num_slots +
				 port->num_rx * port->rx[0].num_slots;
	}
	return slots;
}

/* The region in which a port of that name would be, NULL: a new one. */
static const struct model_region *region_for(const struct world *w, const char *name,
					     uint16_t mem_id)
{
	char parent[MODEL_NAME];
	const struct model_port *port;
	unsigned int i;

	snprintf(parent, sizeof(parent), "%.*s", (int)strcspn(name, "{}"), name);
	port = model_find(&w->model, name);
	if (!port)
		port = model_find(&w->model, parent);
	if (port)
		return port->region;
	for (i = 0; mem_id && i < MODEL_MAX_PORTS; i++)
		if (w->model.ports[i] && w->model.ports[i]->region->id == mem_id)
			return w->model.ports[i]->region;
	return NULL;
}

/* What makes a port where the memory is exhausted fails, which the model doesn't know. */
static bool has_room(const struct world *w, const char *name, const struct nmreq_register *reg)
{
	const struct model_region *region = region_for(w, name, reg->nr_mem_id);
	unsigned int more = reg->nr_tx_rings + reg->nr_rx_rings, new_ports = 0;
	uint32_t slots;

	if (!region)
		return true;
	if (model_find(&w->model, name))
		more = 0;
	else if (strpbrk(name, "{}")) /* two ends, and perhaps a parent */
		new_ports = 3;
	else
		new_ports = 1;
	slots = new_ports *
		(reg->nr_tx_rings * reg->nr_tx_slots + reg->nr_rx_rings * reg->nr_rx_slots);
	return interfaces_in(w, region) + new_ports + 1 <= MAX_REGION_INTERFACES &&
	       slots_in(w, region) + slots <= MAX_REGION_SLOTS &&
	       rings_in(w, region) + new_ports * more <= MAX_REGION_RINGS;
}

static uint16_t some_memory_id(struct world *w)
{
	unsigned int start = world_random(w, MODEL_MAX_PORTS), i;

	if (world_chance(w, 2))
		return 64999;
	for (i = 0; i < MODEL_MAX_PORTS; i++) {
		const struct model_port *port = w->model.ports[(start + i) % MODEL_MAX_PORTS];

		if (port && world_chance(w, 50))
			return port->region->id;
	}
	return 0;
}

static void some_port_name(struct world *w, char name[MODEL_NAME])
{
	if (world_chance(w, 50))
		world_name(w, vale_names[world_random(w, COUNT(vale_names))], name);
	else if (world_chance(w, 90))
		world_name(w, pipe_names[world_random(w, COUNT(pipe_names))], name);
	else
		world_name(w, interfaces[world_random(w, COUNT(interfaces))], name);
}

static void open_something(struct world *w)
{
	struct nmreq_register reg = {.nr_mode = some_mode(w),
				     .nr_flags = some_flags(w),
				     .nr_ringid = (uint16_t)world_random(w, 4),
				     .nr_tx_slots = some_slots(w),
				     .nr_rx_slots = some_slots(w),
				     .nr_tx_rings = some_rings(w),
				     .nr_rx_rings = some_rings(w)};
	int number = pick_descriptor(w, false);
	const struct model_port *port;
	char name[MODEL_NAME];

	if (number < 0)
		return;
	some_port_name(w, name);
	port = model_find(&w->model, name);
	if (port && port->implicit)
		return; /* it has the default's many slots */
	if (reg.nr_mode != NR_REG_ONE_NIC)
		reg.nr_ringid = 0;
	/* Parents that are made for their pipes have 2048 buffers here, too many for others'
	 * memory. */
	if (world_chance(w, 15) && (name[0] == 'v' || !strpbrk(name, "{}")))
		reg.nr_mem_id = some_memory_id(w);
	if (has_room(w, name, &reg))
		world_open(w, (unsigned int)number, name, &reg);
}

static unsigned int num_open(const struct world *w)
{
	unsigned int count = 0, i;

	for (i = 0; i < DESCRIPTORS; i++)
		count += w->descriptors[i].open;
	return count;
}

/* ---- persistent ports ---- */

static bool in_use(const struct world *w, const char *name)
{
	const struct model_port *port = model_find(&w->model, name);

	return port && port->users > 0;
}

static void persistent_port(struct world *w)
{
	struct nmreq_vale_newif newif = {.nr_tx_slots = some_slots(w),
					 .nr_rx_slots = some_slots(w),
					 .nr_tx_rings = some_rings(w),
					 .nr_rx_rings = some_rings(w)};
	struct nmreq_vale_attach attach = {.reg.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_vale_detach detach = {0};
	char name[MODEL_NAME], full[MODEL_NAME];

	world_name(w, interfaces[0], name);
	world_name(w, "vale~a:~n0", full);
	switch (world_random(w, 4)) {
	case 0:
		world_request(w, NETMAP_REQ_VALE_NEWIF, name, &newif,
			      model_newif(&w->model, name, &newif));
		if (model_find(&w->model, name) && model_find(&w->model, name)->region->id == 0)
			world_learn_region(w, name, newif.nr_mem_id);
		break;
	case 1:
		world_request(w, NETMAP_REQ_VALE_DELIF, name, NULL, model_delif(&w->model, name));
		break;
	case 2:
		if (!in_use(w, name))
			world_request(w, NETMAP_REQ_VALE_ATTACH, full, &attach,
				      model_attach(&w->model, full));
		break;
	case 3:
		if (!in_use(w, name))
			world_request(w, NETMAP_REQ_VALE_DETACH, full, &detach,
				      model_detach(&w->model, full));
		break;
	}
}

/* ---- requests that are wrong whatever there is ---- */

static void wrong_request(struct world *w)
{
	struct nmreq_port_hdr hdr = {.nr_hdr_len = 11};
	struct nmreq_port_info_get info = {0};
	struct nmreq_vale_list list = {0};
	struct nmreq_vale_attach attach = {.reg.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_vale_newif newif = {0};
	int number = pick_descriptor(w, true);
	char name[MODEL_NAME];

	world_name(w, "vale~c:none", name);
	switch (world_random(w, 9)) {
	case 0:
		world_request(w, NETMAP_REQ_PORT_HDR_SET, name, &hdr, EINVAL);
		break;
	case 1:
		hdr.nr_hdr_len = 0;
		world_request(w, NETMAP_REQ_PORT_HDR_SET, name, &hdr, ENXIO);
		break;
	case 2:
		world_request(w, NETMAP_REQ_PORT_INFO_GET, "nosuch0", &info, ENXIO);
		break;
	case 3:
		world_request(w, NETMAP_REQ_VALE_LIST, name, &list, ENOENT);
		break;
	case 4:
		world_request(w, NETMAP_REQ_VALE_ATTACH, name, &attach, EINVAL);
		break;
	case 5:
		world_request(w, NETMAP_REQ_VALE_NEWIF, name, &newif, EINVAL);
		break;
	case 6:
		world_request(w, 99, name, &info, EINVAL);
		break;
	case 7:
		world_request(w, NETMAP_REQ_PORT_INFO_GET, "x{", &info, EINVAL);
		break;
	case 8:
		if (number >= 0)
			world_register_again(w, (unsigned int)number, name);
		break;
	}
}

/* ---- sending ---- */

static uint32_t pending_bytes(const struct model_ring *ring)
{
	uint32_t bytes = 0, i;

	for (i = ring->rhead; i != ring->head; i = model_next(ring, i))
		bytes += ring->slots[i].len;
	return bytes;
}

/* A switch takes several rings of a port in whatever order: only one has something at a time. */
static bool others_pending(const struct model_ring *ring)
{
	const struct model_port *port = ring->port;
	unsigned int i;

	for (i = 0; port->kind == MODEL_VALE && i < port->num_tx; i++)
		if (&port->tx[i] != ring && port->tx[i].users > 0 &&
		    port->tx[i].head != port->tx[i].rhead)
			return true;
	return false;
}

static uint16_t some_length(struct world *w)
{
	uint32_t kind = world_random(w, 100);

	if (kind < 40)
		return 60;
	if (kind < 46)
		return (uint16_t)world_random(w, 15);
	if (kind < 76)
		return (uint16_t)(14 + world_random(w, 200));
	if (kind < 95)
		return (uint16_t)(64 + world_random(w, MODEL_BUF_SIZE - 64));
	if (kind < 98)
		return MODEL_BUF_SIZE;
	return (uint16_t)(MODEL_BUF_SIZE + 1 + world_random(w, 63000));
}

static uint16_t some_slot_flags(struct world *w, bool chain)
{
	uint16_t flags = 0;

	if (world_chance(w, chain ? 99 : 15))
		flags |= NS_MOREFRAG;
	if (world_chance(w, 15))
		flags |= NS_BUF_CHANGED;
	if (world_chance(w, 10))
		flags |= NS_REPORT;
	if (world_chance(w, 4))
		flags |= NS_NO_LEARN;
	if (world_chance(w, 4))
		flags |= (uint16_t)(world_random(w, 256) << NS_PORT_SHIFT);
	return flags;
}

/* Broadcast, multicast, or one of a few stations, which also send. */
static unsigned int some_destination(struct world *w)
{
	return world_chance(w, 15) ? world_random(w, 2) : 2 + world_random(w, 7);
}

/*
 * Mostly a station of the port's own, sometimes one that others have as well, now and then a
 * multicast address, which is not learnt.
 */
static unsigned int some_source(struct world *w, const struct model_port *port)
{
	if (world_chance(w, 3))
		return 1;
	return 2 + (world_chance(w, 80) ? (unsigned int)port->serial : world_random(w, 6)) % 6;
}

/* A number that is no buffer's, and the slot's own again when it comes by next time. */
static uint32_t some_buffer(struct world *w, struct model_ring *ring, uint32_t index)
{
	static const uint32_t bad[] = {0, 1, 0x7fffffff, 0xffffffff};
	uint32_t now = ring->slots[index].buf_idx;

	if (model_is_buffer(ring->port->region, now)) {
		if (!world_chance(w, 1))
			return now;
		w->lent[w->num_lent % WORLD_LENT] =
			(struct world_lent){ring->port->serial, ring, index, now};
		w->num_lent++;
		return bad[world_random(w, COUNT(bad))];
	}
	return world_take_lent(w, ring, index, now);
}

static void fill(struct world *w, unsigned int number, unsigned int bound)
{
	struct model_ring *ring = model_bound_ring(&w->descriptors[number].binding, bound);
	uint32_t space, count, bytes, index, advance, i;
	struct client_order *order;
	bool chain = world_chance(w, 5), large = chain && world_chance(w, 30);

	if (!in_order(ring) || others_pending(ring))
		return;
	space = model_distance(ring, ring->head, ring->rtail);
	bytes = pending_bytes(ring);
	order = world_edit(w, number, bound);
	count = chain || world_chance(w, 10) ? space : world_random(w, space < 9 ? space + 1 : 9);
	for (i = 0, index = ring->head; i < count; i++, index = model_next(ring, index)) {
		struct netmap_slot slot = {.buf_idx = some_buffer(w, ring, index),
					   .len = large			? MODEL_BUF_SIZE
						  : chain && space > 64 ? 20
									: some_length(w),
					   .flags = some_slot_flags(w, chain),
					   .ptr = world_chance(w, 10) ? world_random(w, 99999) : 0};

		bytes += slot.len;
		if (bytes > MAX_PENDING_BYTES && ring->port->kind == MODEL_VALE)
			break;
		/* Addresses in each, since a head in between makes any of them a packet's first. */
		world_fill_slot(w, number, order, index, &slot, some_destination(w),
				some_source(w, ring->port));
	}
	count = i;
	/* All of it, a part, or all with cur ahead. */
	advance = world_chance(w, 85) ? count : world_random(w, count + 1);
	index = (ring->head + advance) % ring->num_slots;
	i = world_chance(w, 80) ? 0 : world_random(w, space - advance + 1);
	if (world_chance(w, 10))
		i = space - advance; /* as who wants more room than there is */
	world_edit_done(w, number, order, index, (index + i) % ring->num_slots);
}

/* ---- receiving ---- */

static void release(struct world *w, unsigned int number, unsigned int bound)
{
	struct model_ring *ring = model_bound_ring(&w->descriptors[number].binding, bound);
	struct client_order *order;
	uint32_t packets, count, ahead, head;

	if (!in_order(ring))
		return;
	order = world_edit(w, number, bound);
	packets = model_distance(ring, ring->head, ring->rtail);
	count = world_chance(w, 60) ? packets : world_random(w, packets + 1);
	ahead = world_chance(w, 70) ? 0 : world_random(w, packets - count + 1);
	head = (ring->head + count) % ring->num_slots;
	/* What a pipe's reader leaves in its slots reaches the sender. */
	if (count > 0 && world_chance(w, 15)) {
		struct netmap_slot slot = ring->slots[ring->head];

		slot.len = (uint16_t)world_random(w, MODEL_BUF_SIZE);
		slot.flags = some_slot_flags(w, false);
		slot.ptr = world_random(w, 1000);
		world_set_slot(w, number, order, ring->head, &slot);
	}
	world_edit_done(w, number, order, head, (head + ahead) % ring->num_slots);
}

/* A received buffer goes out by a TX ring of the same memory, whose own goes in its place. */
static void forward(struct world *w, unsigned int from, unsigned int from_ring, unsigned int to,
		    unsigned int to_ring)
{
	struct model_ring *rx = model_bound_ring(&w->descriptors[from].binding, from_ring);
	struct model_ring *tx = model_bound_ring(&w->descriptors[to].binding, to_ring);
	struct netmap_slot in, out;
	struct client_order *order;
	const struct model_region *region = rx->port->region;
	uint32_t rx_head = rx->head, tx_head = tx->head;

	if (tx->port->region != region || !in_order(rx) || !in_order(tx) || others_pending(tx) ||
	    rx->head == rx->rtail || tx->head == tx->rtail)
		return;
	in = rx->slots[rx_head];
	out = tx->slots[tx_head];
	if (!model_is_buffer(region, in.buf_idx) || !model_is_buffer(region, out.buf_idx) ||
	    in.len > model_buffer((struct model_region *)region, in.buf_idx)->known ||
	    pending_bytes(tx) + in.len > MAX_PENDING_BYTES)
		return;
	{
		struct netmap_slot sent = {.buf_idx = in.buf_idx,
					   .len = in.len,
					   .flags = NS_BUF_CHANGED | (in.flags & NS_MOREFRAG)};

		order = world_edit(w, to, to_ring);
		world_set_slot(w, to, order, tx_head, &sent);
		world_edit_done(w, to, order, model_next(tx, tx_head), model_next(tx, tx_head));
	}
	in.buf_idx = out.buf_idx;
	in.flags |= NS_BUF_CHANGED;
	order = world_edit(w, from, from_ring);
	world_set_slot(w, from, order, rx_head, &in);
	world_edit_done(w, from, order, model_next(rx, rx_head), model_next(rx, rx_head));
}

static void forward_something(struct world *w)
{
	int from = pick_descriptor(w, true), to = pick_descriptor(w, true), rx, tx;

	if (from < 0 || to < 0)
		return;
	rx = pick_ring(w, (unsigned int)from, false);
	tx = pick_ring(w, (unsigned int)to, true);
	if (rx >= 0 && tx >= 0)
		forward(w, (unsigned int)from, (unsigned int)rx, (unsigned int)to,
			(unsigned int)tx);
}

/* ---- nonsense ---- */

static uint32_t some_position(struct world *w, const struct model_ring *ring)
{
	return world_chance(w, 30) ? world_random(w, UINT32_MAX)
				   : world_random(w, ring->num_slots + 2);
}

static bool all_clean(const struct model_ring *ring)
{
	uint32_t i;

	for (i = 0; i < ring->num_slots; i++)
		if (!model_is_buffer(ring->port->region, ring->slots[i].buf_idx) ||
		    ring->slots[i].len > MODEL_BUF_SIZE)
			return false;
	return true;
}

static void bad_positions(struct world *w, unsigned int number)
{
	const struct model_binding *b = &w->descriptors[number].binding;
	unsigned int bound;
	struct model_ring *ring;
	struct client_order *order;

	if (b->num_tx + b->num_rx == 0)
		return;
	bound = world_random(w, b->num_tx + b->num_rx);
	ring = model_bound_ring(b, bound);
	/*
	 * When a reset ring's slots come back from a pipe's reader, and are cleaned, depends on the
	 * owner. Then there must be nothing to clean.
	 */
	if (ring->tx && ring->peer && !(all_clean(ring) && all_clean(ring->peer)))
		return;
	/* A head that happens to be valid would publish slots that nobody filled. */
	if (ring->tx) {
		uint32_t valid = model_distance(ring, ring->rhead, ring->rtail);
		uint32_t head = some_position(w, ring);

		if (head < ring->num_slots && model_distance(ring, ring->rhead, head) <= valid)
			return;
		order = world_edit(w, number, bound);
		world_edit_done(w, number, order, head, some_position(w, ring));
		return;
	}
	order = world_edit(w, number, bound);
	world_edit_done(w, number, order, some_position(w, ring), some_position(w, ring));
}

static void overwrite_tail(struct world *w, unsigned int number)
{
	int bound = pick_ring(w, number, world_chance(w, 50));
	struct model_ring *ring;
	struct client_order *order;

	if (bound < 0)
		return;
	ring = model_bound_ring(&w->descriptors[number].binding, (unsigned int)bound);
	order = world_edit(w, number, (unsigned int)bound);
	order->set_tail = true;
	order->tail = some_position(w, ring);
	world_edit_done(w, number, order, ring->head, ring->cur);
}

/* ---- all of it ---- */

static void poll_something(struct world *w, unsigned int number)
{
	static const short events[] = {POLLIN, POLLOUT, POLLIN | POLLOUT, 0};

	world_poll(w, number, events[world_random(w, COUNT(events))]);
}

static void use_descriptor(struct world *w, unsigned int number)
{
	uint32_t kind = world_random(w, 1000);
	int tx = pick_ring(w, number, true), rx = pick_ring(w, number, false);

	if (kind < 330 && tx >= 0)
		fill(w, number, (unsigned int)tx);
	else if (kind < 600)
		world_txsync(w, number);
	else if (kind < 770)
		world_rxsync(w, number);
	else if (kind < 890 && rx >= 0)
		release(w, number, (unsigned int)rx);
	else if (kind < 985)
		poll_something(w, number);
	else if (kind < 995)
		bad_positions(w, number);
	else
		overwrite_tail(w, number);
}

void operation(struct world *w)
{
	uint32_t kind = world_random(w, 1000);
	int number = pick_descriptor(w, true);

	if (number < 0 || (kind < 30 && num_open(w) < DESCRIPTORS * 3 / 4))
		open_something(w);
	else if (kind < 45)
		world_close(w, (unsigned int)number);
	else if (kind < 48)
		world_kill(w, world_random(w, CLIENTS));
	else if (kind < 54)
		persistent_port(w);
	else if (kind < 60)
		wrong_request(w);
	else if (kind < 90)
		forward_something(w);
	else
		use_descriptor(w, (unsigned int)number);
}

void operations_end(struct world *w)
{
	struct nmreq_vale_detach detach = {0};
	char name[MODEL_NAME], full[MODEL_NAME];
	unsigned int i;

	for (i = 0; i < DESCRIPTORS; i++)
		if (w->descriptors[i].open)
			world_close(w, i);
	world_name(w, interfaces[0], name);
	world_name(w, "vale~a:~n0", full);
	if (model_find(&w->model, full))
		world_request(w, NETMAP_REQ_VALE_DETACH, full, &detach,
			      model_detach(&w->model, full));
	if (model_find(&w->model, name))
		world_request(w, NETMAP_REQ_VALE_DELIF, name, NULL, model_delif(&w->model, name));
}
