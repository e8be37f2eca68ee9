/* SPDX-License-Identifier: BSD-2-Clause */
/* Ports, their names and who has them open: netmap-api.md section 5.5, ports.md sections 1 to 3. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

/* ---- rings ---- */

static void rewind_ring(struct model_ring *ring)
{
	ring->head = ring->cur = ring->rhead = ring->rcur = ring->hwcur = 0;
	ring->hwtail = ring->tx ? ring->num_slots - 1 : 0;
	ring->tail = ring->rtail = ring->hwtail;
	ring->fresh = true;
	ring->state = SYNCED;
}

uint32_t model_slots_held(const struct model_ring *ring)
{
	if (ring->tx)
		return model_distance(ring, ring->hwcur, ring->hwtail) + 1;
	return model_distance(ring, ring->hwcur, ring->peer ? ring->peer->hwcur : ring->hwtail);
}

bool model_slots_whole(const struct model_ring *ring)
{
	uint32_t count = model_slots_held(ring), i;

	for (i = 0; i < count; i++)
		if (!model_is_buffer(ring->port->region,
				     ring->slots[(ring->hwcur + i) % ring->num_slots].buf_idx))
			return false;
	return true;
}

/* A ring gets its first user. */
static void start_ring(struct model *m, struct model_ring *ring)
{
	if (!ring->peer || ring->fresh) {
		rewind_ring(ring);
		return;
	}
	/* A pipe's end goes on where it was, but for what was not published (3.3). */
	ring->head = ring->rhead;
	ring->cur = ring->rcur;
	ring->tail = ring->rtail = ring->hwtail;
	ring->state = ring->tx ? OPENED_AGAIN : SYNCED;
	ring->fresh = !model_slots_whole(ring);
	m->counts[COUNT_RESUMED]++;
}

/* A ring loses its last user. */
static void stop_ring(struct model_ring *ring)
{
	if (ring->peer && ring->tx)
		model_pipe_sender_leaves(ring);
	if (!ring->peer) {
		rewind_ring(ring);
	} else if (ring->peer->users == 0) {
		rewind_ring(ring);
		rewind_ring(ring->peer);
	}
}

static int take_rings(struct model *m, const struct model_binding *b)
{
	bool exclusive = b->flags & NR_EXCLUSIVE;
	unsigned int i;

	for (i = 0; i < b->num_tx + b->num_rx; i++) {
		const struct model_ring *ring = model_bound_ring(b, i);

		if (ring->users > 0 && (ring->exclusive || exclusive) &&
		    m->mistake != MISTAKE_EXCLUSIVE)
			return EBUSY;
	}
	for (i = 0; i < b->num_tx + b->num_rx; i++) {
		struct model_ring *ring = model_bound_ring(b, i);

		if (ring->users++ == 0)
			start_ring(m, ring);
		ring->exclusive = exclusive;
	}
	return 0;
}

/* ---- ports ---- */

static void init_rings(struct model_port *port, unsigned int tx_rings, unsigned int rx_rings,
		       uint32_t tx_slots, uint32_t rx_slots)
{
	unsigned int i;

	port->num_tx = tx_rings;
	port->num_rx = rx_rings;
	for (i = 0; i < tx_rings; i++) {
		port->tx[i] = (struct model_ring){
			.port = port, .tx = true, .index = i, .num_slots = tx_slots};
		rewind_ring(&port->tx[i]);
	}
	for (i = 0; i < rx_rings; i++) {
		port->rx[i] = (struct model_ring){.port = port, .index = i, .num_slots = rx_slots};
		rewind_ring(&port->rx[i]);
	}
}

static struct model_port *add_port(struct model *m, const char *name, struct model_region *region)
{
	struct model_port *port = calloc(1, sizeof(*port));
	unsigned int i;

	if (!region)
		region = calloc(1, sizeof(*region));
	region->users++;
	port->serial = ++m->serial;
	port->region = region;
	snprintf(port->name, sizeof(port->name), "%s", name);
	for (i = 0; m->ports[i]; i++)
		continue;
	m->ports[i] = port;
	return port;
}

static void free_region(struct model_region *region)
{
	uint32_t i;

	if (--region->users > 0)
		return;
	for (i = 0; region->buffers && i < region->total; i++)
		free(region->buffers[i]);
	free(region->buffers);
	free(region);
}

static void remove_port(struct model *m, struct model_port *port)
{
	unsigned int i;

	model_vale_forget(m, port);
	for (i = 0; i < MODEL_MAX_PORTS; i++)
		if (m->ports[i] == port)
			m->ports[i] = NULL;
	free_region(port->region);
	free(port);
}

static void put_port(struct model *m, struct model_port *port)
{
	struct model_port *parent = port->parent, *other = port->other_end;

	port->users--;
	if (port->users > 0 || port->persistent || (other && other->users > 0))
		return;
	if (other)
		remove_port(m, other);
	remove_port(m, port);
	if (parent)
		put_port(m, parent);
}

/* ---- names ---- */

static const char *bracket_of(const char *name)
{
	const char *bracket = strrchr(name, '{');

	return bracket ? bracket : strrchr(name, '}');
}

struct model_port *model_find(const struct model *m, const char *name)
{
	char full[2 * MODEL_NAME];
	unsigned int i;

	for (i = 0; i < MODEL_MAX_PORTS; i++) {
		struct model_port *port = m->ports[i];

		if (!port)
			continue;
		if (strcmp(port->name, name) == 0)
			return port;
		snprintf(full, sizeof(full), "%s:%s", port->switch_name, port->name);
		if (port->persistent && port->switch_name[0] && strcmp(full, name) == 0)
			return port;
	}
	return NULL;
}

static int lookup(struct model *m, const char *name, const struct nmreq_register *wish,
		  struct model_region *region, struct model_port **port);

static void make_vale(struct model *m, const char *name, const struct nmreq_register *wish,
		      struct model_region *region, struct model_port **port)
{
	const char *colon = strchr(name, ':');

	*port = add_port(m, name, region);
	(*port)->kind = MODEL_VALE;
	if (colon)
		snprintf((*port)->switch_name, MODEL_NAME, "%.*s", (int)(colon - name), name);
	else
		(*port)->implicit = true;
	init_rings(*port, wish->nr_tx_rings, wish->nr_rx_rings, wish->nr_tx_slots,
		   wish->nr_rx_slots);
}

static void couple(struct model_ring *tx, struct model_ring *rx)
{
	tx->peer = rx;
	rx->peer = tx;
}

static int make_pipe(struct model *m, const char *master_name, const char *slave_name,
		     const char *parent_name, const struct nmreq_register *wish,
		     struct model_region *region)
{
	struct model_port *parent, *master, *slave;
	unsigned int i;
	int error = lookup(m, parent_name, wish, region, &parent);

	if (error == ENXIO && strncmp(parent_name, "vale", 4) != 0) {
		make_vale(m, parent_name, wish, region, &parent);
		error = 0;
	}
	if (error)
		return error;
	parent->users++;
	master = add_port(m, master_name, parent->region);
	slave = add_port(m, slave_name, parent->region);
	master->kind = slave->kind = MODEL_PIPE;
	master->parent = slave->parent = parent;
	master->other_end = slave;
	slave->other_end = master;
	/* The wishes are the master's, whichever end is opened first. */
	init_rings(master, wish->nr_tx_rings, wish->nr_rx_rings, wish->nr_tx_slots,
		   wish->nr_rx_slots);
	init_rings(slave, wish->nr_rx_rings, wish->nr_tx_rings, wish->nr_rx_slots,
		   wish->nr_tx_slots);
	for (i = 0; i < master->num_tx; i++)
		couple(&master->tx[i], &slave->rx[i]);
	for (i = 0; i < slave->num_tx; i++)
		couple(&slave->tx[i], &master->rx[i]);
	return 0;
}

static int lookup_pipe(struct model *m, const char *name, const struct nmreq_register *wish,
		       struct model_region *region, struct model_port **port)
{
	const char *bracket = bracket_of(name);
	size_t place = (size_t)(bracket - name);
	char master[MODEL_NAME], slave[MODEL_NAME], parent[MODEL_NAME];
	int error;

	if (place == 0 || !bracket[1])
		return EINVAL;
	if (wish->nr_mode != NR_REG_ALL_NIC && wish->nr_mode != NR_REG_ONE_NIC)
		return EINVAL;
	snprintf(parent, sizeof(parent), "%.*s", (int)place, name);
	snprintf(master, sizeof(master), "%s", name);
	snprintf(slave, sizeof(slave), "%s", name);
	master[place] = '{';
	slave[place] = '}';
	if (!model_find(m, name)) {
		error = make_pipe(m, master, slave, parent, wish, region);
		if (error)
			return error;
	}
	*port = model_find(m, name);
	return 0;
}

static int lookup(struct model *m, const char *name, const struct nmreq_register *wish,
		  struct model_region *region, struct model_port **port)
{
	if (bracket_of(name))
		return lookup_pipe(m, name, wish, region, port);
	*port = model_find(m, name);
	if (*port)
		return 0;
	if (strncmp(name, "vale", 4) != 0)
		return ENXIO;
	/* An interface that is not attached to that switch can't be opened there. */
	if (model_find(m, strchr(name, ':') + 1))
		return EINVAL;
	make_vale(m, name, wish, region, port);
	return 0;
}

static int find_region(const struct model *m, uint16_t id, struct model_region **region)
{
	unsigned int i;

	*region = NULL;
	for (i = 0; id != 0 && i < MODEL_MAX_PORTS; i++)
		if (m->ports[i] && m->ports[i]->region->id == id)
			*region = m->ports[i]->region;
	return id == 0 || *region ? 0 : EINVAL;
}

/* ---- REGISTER and close ---- */

static int choose_rings(const struct model_port *port, const struct nmreq_register *reg,
			struct model_binding *b)
{
	bool one = reg->nr_mode == NR_REG_ONE_NIC;

	*b = (struct model_binding){.flags = reg->nr_flags, .num_tx = port->num_tx};
	b->num_rx = port->num_rx;
	if (!one && reg->nr_mode != NR_REG_ALL_NIC)
		return EINVAL;
	if (one) {
		if (reg->nr_ringid >= port->num_tx && reg->nr_ringid >= port->num_rx)
			return EINVAL;
		b->first_tx = reg->nr_ringid < port->num_tx ? reg->nr_ringid : 0;
		b->first_rx = reg->nr_ringid < port->num_rx ? reg->nr_ringid : 0;
		b->num_tx = b->num_rx = 1;
	}
	if (reg->nr_flags & NR_RX_RINGS_ONLY)
		b->num_tx = 0;
	if (reg->nr_flags & NR_TX_RINGS_ONLY)
		b->num_rx = 0;
	return 0;
}

static int count_error(struct model *m, int error)
{
	if (error)
		m->counts[error == EBUSY ? COUNT_BUSY : COUNT_REFUSED]++;
	return error;
}

int model_register(struct model *m, const char *name, struct nmreq_register *reg,
		   struct model_binding *binding)
{
	struct model_region *region;
	struct model_port *port;
	int error = find_region(m, reg->nr_mem_id, &region);

	if (reg->nr_mode == NR_REG_PIPE_MASTER || reg->nr_mode == NR_REG_PIPE_SLAVE)
		error = EINVAL; /* legal in the older request only */
	if (!error)
		error = lookup(m, name, reg, region, &port);
	if (error)
		return count_error(m, error);
	port->users++;
	error = choose_rings(port, reg, binding);
	binding->port = port;
	if (!error)
		error = take_rings(m, binding);
	if (error) {
		put_port(m, port);
		return count_error(m, error);
	}
	reg->nr_tx_slots = port->tx[0].num_slots;
	reg->nr_rx_slots = port->rx[0].num_slots;
	reg->nr_tx_rings = (uint16_t)port->num_tx;
	reg->nr_rx_rings = (uint16_t)port->num_rx;
	reg->nr_host_tx_rings = reg->nr_host_rx_rings = 0;
	reg->nr_mem_id = port->region->id;
	return 0;
}

static bool is_open(const struct model_port *port)
{
	unsigned int i, users = 0;

	for (i = 0; i < MODEL_MAX_RINGS; i++)
		users += port->tx[i].users + port->rx[i].users;
	return users > 0;
}

void model_close(struct model *m, struct model_binding *b)
{
	unsigned int i;

	for (i = 0; i < b->num_tx + b->num_rx; i++) {
		struct model_ring *ring = model_bound_ring(b, i);

		ring->users--;
		if (b->flags & NR_EXCLUSIVE)
			ring->exclusive = false;
		if (ring->users == 0)
			stop_ring(ring);
	}
	if (!is_open(b->port))
		model_vale_forget(m, b->port); /* docs/vale.md: its addresses go with it */
	put_port(m, b->port);
	*b = (struct model_binding){0};
}

/* ---- persistent ports ---- */

int model_newif(struct model *m, const char *name, const struct nmreq_vale_newif *newif)
{
	const struct nmreq_register wish = {.nr_tx_slots = newif->nr_tx_slots,
					    .nr_rx_slots = newif->nr_rx_slots,
					    .nr_tx_rings = newif->nr_tx_rings,
					    .nr_rx_rings = newif->nr_rx_rings};
	struct model_port *port;

	if (strncmp(name, "vale", 4) == 0 || strlen(name) >= 16)
		return count_error(m, EINVAL);
	if (model_find(m, name))
		return count_error(m, EEXIST);
	make_vale(m, name, &wish, NULL, &port);
	port->implicit = false;
	port->persistent = true;
	return 0;
}

int model_delif(struct model *m, const char *name)
{
	struct model_port *port = model_find(m, name);

	if (!port)
		return count_error(m, ENXIO);
	if (port->implicit)
		return count_error(m, EINVAL);
	if (port->users > 0 || port->switch_name[0])
		return count_error(m, EBUSY);
	remove_port(m, port);
	return 0;
}

/* @name: "valeX:IF". */
int model_attach(struct model *m, const char *name)
{
	const char *colon = strchr(name, ':');
	struct model_port *port = model_find(m, colon + 1);

	if (model_find(m, name))
		return count_error(m, EBUSY);
	if (!port || !port->persistent)
		return count_error(m, EINVAL);
	snprintf(port->switch_name, MODEL_NAME, "%.*s", (int)(colon - name), name);
	return 0;
}

int model_detach(struct model *m, const char *name)
{
	struct model_port *port = model_find(m, name);

	if (!port)
		return count_error(m, ENXIO);
	if (!port->persistent)
		return count_error(m, EBUSY);
	model_vale_forget(m, port);
	port->switch_name[0] = '\0';
	return 0;
}

void model_free(struct model *m)
{
	unsigned int i;

	for (i = 0; i < MODEL_MAX_PORTS; i++)
		if (m->ports[i])
			remove_port(m, m->ports[i]);
}
