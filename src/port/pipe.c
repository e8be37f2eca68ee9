/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Pipes. The TX ring i of one end and the RX ring i of the other are coupled slot
 * by slot and start with the same buffers; every slot belongs to exactly one end.
 * A run of a TX ring does all the work of the pair, in both directions:
 *
 *   take back  slots that the reader released go back to the sender, with
 *              whatever buffer the reader left in them
 *   pass on    slots that the sender published go to the reader
 *
 * So there is one runnable thing per pair, and a kick of either ring wakes it.
 *
 * When to ask the reader for kicks: a sender with plenty of room does not care
 * when slots come back, so the reader releases in silence. Only while the sender
 * waits for room, or has less than half a ring left and so may soon wait, does the
 * reader kick (docs/notifications.md; tests/model proves that this loses nothing).
 */
#include "port/pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_SLOTS 512u

struct pipe_end {
	_Atomic(struct port *) peer; /* the control thread writes */
};

static struct pipe_end *end_of(const struct port *port)
{
	return port->type_private;
}

/* ---- hot path; caller holds the TX ring's lock ---- */

/* Copies a slot from the ring that gives it to the ring that gets it. */
static inline void slot_pass(struct kring *from, struct kring *to, uint32_t index)
{
	struct netmap_slot slot = kring_load_slot(from, index);

	kring_store_slot(to, index, slot);
	kring_clear_buf_changed(from, index, slot);
}

/* rx's lock held. What a reader released before it left comes back too. */
static void take_back(struct kring *tx, struct kring *rx)
{
	(void)kring_pull(rx); /* if not: up to the last head that was good */
	for (uint32_t index = rx->hwcur; index != rx->head; index = ring_next(rx->num_slots, index))
		slot_pass(rx, tx, index);
	rx->hwcur = rx->head;
	tx->hwtail = ring_prev(tx->num_slots, rx->hwcur);
}

/*
 * rx's lock held. A chain that is not complete yet is taken but not shown: the
 * reader never sees part of a packet (spec/ports.md section 3.2).
 */
static void pass_on(struct kring *tx, struct kring *rx, unsigned budget)
{
	uint32_t packets = 0;
	uint64_t bytes = 0;
	uint32_t index = tx->hwcur;

	while (index != tx->head && budget-- > 0) {
		struct netmap_slot slot = kring_load_slot(tx, index);

		kring_store_slot(rx, index, slot);
		kring_clear_buf_changed(tx, index, slot);
		index = ring_next(tx->num_slots, index);
		bytes += slot.len;
		if ((slot.flags & NS_MOREFRAG) == 0) {
			rx->hwtail = index;
			packets++;
		}
	}
	tx->hwcur = index;
	ring_count(&tx->counters, RING_PACKETS, packets);
	ring_count(&tx->counters, RING_BYTES, bytes);
	ring_count(&rx->counters, RING_PACKETS, packets);
	ring_count(&rx->counters, RING_BYTES, bytes);
}

static enum port_work pipe_run(struct kring *tx, unsigned budget)
{
	struct kring *rx = tx->peer;

	if (!kring_pull(tx) || rx == NULL)
		return PORT_STOPPED;
	kring_set_need_kick(tx, false);
	pthread_mutex_lock(&rx->lock);
	if (rx->state == KRING_RUNNING)
		kring_set_need_kick(rx, false);
	take_back(tx, rx);
	pass_on(tx, rx, budget < BATCH_SLOTS ? budget : BATCH_SLOTS);
	if (rx->state == KRING_RUNNING)
		kring_push(rx);
	pthread_mutex_unlock(&rx->lock);
	/*
	 * A sender that waits for room is better woken for half a ring than for a slot.
	 * The interrupt stays owed at most until pipe_enable_kicks().
	 */
	if (ring_distance(tx->num_slots, tx->head, tx->hwtail) < tx->num_slots / 2)
		kring_push_quietly(tx);
	else
		kring_push(tx);
	return tx->hwcur != tx->head ? PORT_MORE : PORT_DRY;
}

/* Would the sender be glad of slots that the reader releases? */
static bool sender_wants_room(const struct kring *tx)
{
	uint32_t room = ring_distance(tx->num_slots, tx->head, tx->hwtail);

	/*
	 * Drivers that wait with cur at head may wait for room for the longest packet: in
	 * netmap's Linux driver 65536 bytes and two slots (spec/ptnet-device.md section 5).
	 */
	return room < tx->num_slots / 2 || room <= NETMAP_MAX_FRAGS ||
	       room < UINT32_C(65536) / tx->buf_size + 2 || tx->cur == tx->hwtail;
}

/* A new cur may say that the sender now waits for room. */
static bool sender_published(const struct kring *tx)
{
	return kring_peek_head(tx) != tx->hwcur || PTNET_LOAD_RELAXED(&tx->atok->cur) != tx->cur;
}

/* Also what a reader released before it left: its leaving may have come just before we went idle.
 */
static bool reader_released(struct kring *tx)
{
	struct kring *rx = tx->peer;

	return (rx->state == KRING_RUNNING ? kring_peek_head(rx) : rx->head) != rx->hwcur;
}

static bool pipe_pending(struct kring *tx)
{
	struct kring *rx = tx->peer;
	bool pending;

	if (rx == NULL)
		return false;
	if (sender_published(tx))
		return true;
	if (!sender_wants_room(tx))
		return false;
	pthread_mutex_lock(&rx->lock);
	pending = reader_released(tx);
	pthread_mutex_unlock(&rx->lock);
	return pending;
}

static bool pipe_enable_kicks(struct kring *tx)
{
	struct kring *rx = tx->peer;
	bool pending;

	kring_push(tx); /* what is owed */
	if (rx == NULL)
		return false;
	pthread_mutex_lock(&rx->lock);
	bool wants_room = sender_wants_room(tx);
	bool reader_kicks = wants_room && rx->state == KRING_RUNNING;
	kring_set_need_kick(tx, true);
	if (reader_kicks)
		kring_set_need_kick(rx, true);
	kring_full_barrier();
	pending = sender_published(tx) || (wants_room && reader_released(tx));
	if (pending) {
		kring_set_need_kick(tx, false);
		if (reader_kicks)
			kring_set_need_kick(rx, false);
	} else {
		ring_count(&tx->counters, RING_KICKS_ENABLED, 1);
		if (reader_kicks)
			ring_count(&rx->counters, RING_KICKS_ENABLED, 1);
	}
	pthread_mutex_unlock(&rx->lock);
	return pending;
}

/* Where the complete packets end that were passed on or wait for it. Both locks held. */
static uint32_t complete_end(const struct kring *tx, const struct kring *rx)
{
	uint32_t end = rx->hwtail, index = tx->hwcur;

	while (index != tx->head) {
		struct netmap_slot slot = kring_load_slot(tx, index);

		index = ring_next(tx->num_slots, index);
		if ((slot.flags & NS_MOREFRAG) == 0)
			end = index;
	}
	return end;
}

/*
 * A chain that its sender did not complete was taken and not shown, or waits to be taken. The next
 * owner's first packet must not become its end.
 */
static void pipe_owner_leaves(struct kring *tx)
{
	struct kring *rx = tx->peer;

	if (rx == NULL)
		return;
	pthread_mutex_lock(&rx->lock);
	tx->head = tx->cur = complete_end(tx, rx);
	if (tx->head == rx->hwtail) /* nothing is left to be passed on */
		tx->hwcur = tx->head;
	pthread_mutex_unlock(&rx->lock);
}

static void pipe_kicked(struct kring *kring)
{
	if (kring->dir == KRING_TX) {
		kring_wake(kring);
		return;
	}
	/* Under the lock, so that the peer cannot leave between look and wake. */
	pthread_mutex_lock(&kring->lock);
	if (kring->peer != NULL)
		kring_wake(kring->peer);
	pthread_mutex_unlock(&kring->lock);
}

/* ---- control ---- */

/* The sender's slots get what the reader's hold; then both are as new. */
static void pair_rewind(struct kring *tx, struct kring *rx)
{
	for (uint32_t i = rx->hwcur; i != tx->hwcur; i = ring_next(tx->num_slots, i))
		kring_store_slot(tx, i, kring_load_slot(rx, i));
	port_rewind_ring(tx);
	for (uint32_t i = 0; i < tx->num_slots; i++)
		kring_store_slot(rx, i, kring_load_slot(tx, i));
	port_rewind_ring(rx);
}

/*
 * An end that is closed while the other stays open keeps its queue (3.3). Fresh
 * rings come when nobody is left who could miss anything.
 */
static void pair_reset(struct kring *tx, struct kring *rx)
{
	pthread_mutex_lock(&tx->lock);
	pthread_mutex_lock(&rx->lock);
	if (tx->peer == rx && tx->state == KRING_STOPPED && rx->state == KRING_STOPPED)
		pair_rewind(tx, rx);
	pthread_mutex_unlock(&rx->lock);
	pthread_mutex_unlock(&tx->lock);
}

static struct kring *peer_of(struct kring *kring)
{
	pthread_mutex_lock(&kring->lock);
	struct kring *peer = kring->peer;
	pthread_mutex_unlock(&kring->lock);
	return peer;
}

/* On a worker's thread, perhaps while the control thread is removing the peer. */
static void pipe_reset_ring(struct kring *kring)
{
	struct kring *peer = peer_of(kring);

	if (peer == NULL)
		return;
	if (kring->dir == KRING_TX)
		pair_reset(kring, peer);
	else
		pair_reset(peer, kring);
}

static void pipe_reset(struct port *port)
{
	for (unsigned i = 0; i < port_num_rings(port); i++)
		pipe_reset_ring(&port->rings[i]);
}

static void couple(struct kring *tx, struct kring *rx)
{
	/* Others may be looking who holds which buffer. */
	pthread_mutex_lock(&tx->lock);
	pthread_mutex_lock(&rx->lock);
	tx->peer = rx;
	rx->peer = tx;
	/* The reader's slots start with the sender's buffers: only one end owns a slot. */
	pair_rewind(tx, rx);
	pthread_mutex_unlock(&rx->lock);
	pthread_mutex_unlock(&tx->lock);
}

/* Takes both rings' locks in order, so that neither run nor kick sees half of it. */
static void uncouple(struct kring *kring)
{
	struct kring *tx = kring->dir == KRING_TX ? kring : kring->peer;
	struct kring *rx = kring->dir == KRING_TX ? kring->peer : kring;

	if (kring->peer == NULL)
		return;
	pthread_mutex_lock(&tx->lock);
	pthread_mutex_lock(&rx->lock);
	tx->peer = NULL;
	rx->peer = NULL;
	pthread_mutex_unlock(&rx->lock);
	pthread_mutex_unlock(&tx->lock);
}

static void pipe_unpublish(struct port *port)
{
	struct port *peer = end_of(port)->peer;

	for (unsigned i = 0; i < port_num_rings(port); i++)
		uncouple(&port->rings[i]);
	if (peer != NULL)
		end_of(peer)->peer = NULL;
	end_of(port)->peer = NULL;
}

static void pipe_detach(struct port *port)
{
	(void)port;
}

static const struct port_ops pipe_ops = {
	.type = "pipe",
	.readers_borrow = true,
	.run = pipe_run,
	.pending = pipe_pending,
	.enable_kicks = pipe_enable_kicks,
	.kicked = pipe_kicked,
	.owner_leaves = pipe_owner_leaves,
	.reset = pipe_reset,
	.reset_ring = pipe_reset_ring,
	.unpublish = pipe_unpublish,
	.detach = pipe_detach,
};

bool port_is_pipe(const struct port *port)
{
	return port->ops == &pipe_ops;
}

struct port *pipe_peer(const struct port *port)
{
	return end_of(port)->peer;
}

static int end_create(struct port **out, const struct port_config *config, struct region *region,
		      struct error *error)
{
	struct port *port = calloc(1, sizeof(*port));
	struct pipe_end *end = calloc(1, sizeof(*end));
	int result = -ENOMEM;

	if (port == NULL || end == NULL) {
		error_set(error, ENOMEM, "out of memory");
		goto fail;
	}
	result = port_init(port, &pipe_ops, config, region, error);
	if (result < 0)
		goto fail;
	port->type_private = end;
	for (unsigned i = 0; i < port->tx_rings; i++) {
		result = port_alloc_buffers(port_tx(port, i), error);
		if (result < 0) {
			port_fini(port);
			goto fail;
		}
	}
	*out = port;
	return 0;

fail:
	free(end);
	free(port);
	return result;
}

static int name_check(const char *name, struct error *error)
{
	const char *brace = strrchr(name, '{');

	/* The parent may itself be an end of a pipe, of either kind. */
	if (brace == NULL || brace == name || brace[1] == '\0')
		return error_set(error, EINVAL,
				 "pipe name '%s': must be PARENT{ID, for example vmlink{1", name);
	return 0;
}

int pipe_create(struct port **master_out, struct port **slave_out, const struct port_config *config,
		struct region *region, struct error *error)
{
	struct port_config slave_config = *config;
	struct port *master, *slave;
	int result = name_check(config->name, error);

	if (result < 0)
		return result;
	*strrchr(slave_config.name, '{') = '}';
	slave_config.tx_rings = config->rx_rings;
	slave_config.rx_rings = config->tx_rings;
	slave_config.tx_slots = config->rx_slots;
	slave_config.rx_slots = config->tx_slots;
	result = end_create(&master, config, region, error);
	if (result < 0)
		return result;
	memcpy(slave_config.mac, master->mac, sizeof(slave_config.mac));
	slave_config.mac[5] ^= 1;
	result = end_create(&slave, &slave_config, region, error);
	if (result < 0) {
		port_destroy(master);
		return result;
	}
	end_of(master)->peer = slave;
	end_of(slave)->peer = master;
	for (unsigned i = 0; i < master->tx_rings; i++)
		couple(port_tx(master, i), port_rx(slave, i));
	for (unsigned i = 0; i < slave->tx_rings; i++)
		couple(port_tx(slave, i), port_rx(master, i));
	*master_out = master;
	*slave_out = slave;
	return 0;
}
