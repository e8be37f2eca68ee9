/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Answering ping's frames: each goes back where it came from. Answers are a different kind of
 * frame, so that two pongs on a switch don't answer each other.
 *
 * With --zero-copy the received buffers themselves go into the TX ring, in exchange for the
 * TX ring's buffers.
 */
#include "message.h"
#include "run.h"
#include "slots.h"

#include <poll.h>

/*
 * Moves the slots of one packet to the TX ring, whose room was checked. copies is what was checked
 * of them: the ring's own may say something else by now.
 */
static void swap_slots(struct netmap_ring *rx, const struct rx_packet *p,
		       const struct netmap_slot *copies, struct tx_cursor *c)
{
	uint32_t n;

	for (n = 0; n < p->slots; n++) {
		struct netmap_slot *from = slot_after(rx, p->first, n);
		struct netmap_slot *to = &c->ring->slot[c->next];
		uint32_t idx = to->buf_idx;

		to->buf_idx = copies[n].buf_idx;
		to->len = copies[n].len;
		to->flags = NS_BUF_CHANGED | (n + 1 < p->slots ? NS_MOREFRAG : 0);
		to->ptr = copies[n].ptr;
		from->buf_idx = idx;
		from->flags = NS_BUF_CHANGED;
		c->next = nm_ring_next(c->ring, c->next);
		c->room--;
	}
}

/* Turns the packet into its answer. False: not for us. */
static bool make_answer(struct worker *w, uint8_t *data, uint32_t len)
{
	uint32_t skip = w->port.vnet_hdr;

	if (len <= skip || frame_read(data + skip, len - skip).kind != FRAME_PING)
		return false;
	memset(data, 0, skip);
	frame_answer(data + skip);
	return true;
}

enum outcome { ANSWERED, NOT_FOR_US, NO_ROOM };

static enum outcome answer_swapping(struct worker *w, struct rx_cursor *rx,
				    const struct rx_packet *p, struct tx_cursor *tx)
{
	struct netmap_slot slots[NETMAP_MAX_FRAGS];

	if (tx->room < p->slots)
		return NO_ROOM;
	/* All that changes is in the first slot. */
	if (p->bad || p->cut || !rx_slots(rx, p, slots) ||
	    !make_answer(w, slot_data(rx->ring, slots), slots[0].len))
		return NOT_FOR_US;
	swap_slots(rx->ring, p, slots, tx);
	return ANSWERED;
}

static enum outcome answer_copying(struct worker *w, struct rx_cursor *rx,
				   const struct rx_packet *p, struct tx_cursor *tx)
{
	uint32_t skip = w->port.vnet_hdr, len;
	const uint8_t *data = rx_gather(rx, p, w->scratch, w->scratch_size, &len);

	if (data != w->scratch) {
		memcpy(w->scratch, data, len);
		data = w->scratch;
	}
	if (p->bad || p->cut || !make_answer(w, w->scratch, len))
		return NOT_FOR_US;
	return tx_put(tx, skip, data + skip, len - skip) ? ANSWERED : NO_ROOM;
}

/* Answers what is in one RX ring. False if the TX ring was full before all was answered. */
static bool answer_ring(struct worker *w, struct netmap_ring *from, struct netmap_ring *to,
			uint64_t *left)
{
	enum outcome outcome = ANSWERED;
	uint64_t packets = 0, bytes = 0;
	struct rx_cursor rx, before;
	struct tx_cursor tx;
	struct rx_packet p;

	rx_begin(&rx, from, w->port.buf_limit);
	tx_begin(&tx, to, w->port.buf_limit);
	while (packets < *left) {
		before = rx;
		if (!rx_take(&rx, &p))
			break;
		outcome = w->run->options->zero_copy ? answer_swapping(w, &rx, &p, &tx)
						     : answer_copying(w, &rx, &p, &tx);
		if (outcome == NO_ROOM) {
			rx = before;
			break;
		}
		if (outcome == NOT_FOR_US) {
			count(&w->counters.ignored, 1);
			continue;
		}
		packets++;
		bytes += p.len - w->port.vnet_hdr;
	}
	tx_publish(&tx);
	rx_release(&rx);
	if (packets)
		worker_batch(w, packets, bytes);
	*left -= packets;
	return outcome != NO_ROOM;
}

void pong_run(struct worker *w)
{
	const struct gen_options *o = w->run->options;
	unsigned int rx_rings = port_rx_rings(&w->port), tx_rings = port_tx_rings(&w->port), i;
	uint64_t left = o->count ? o->count : UINT64_MAX;

	while (!run_stopping(w->run)) {
		uint64_t before = left;
		bool room = true;

		for (i = 0; i < rx_rings; i++)
			room &= answer_ring(w, port_rx_ring(&w->port, i),
					    port_tx_ring(&w->port, i % tx_rings), &left);
		if (before != left && port_sync_tx(&w->port)) {
			w->failed = true;
			return;
		}
		if (!left) {
			run_finished(w->run, STOP_COUNT);
			break;
		}
		if (!room ? !worker_wait_room(w)
			  : !worker_goes_on(w, port_wait(&w->port, POLLIN, -1)))
			break;
	}
	if (w->failed)
		return;
	if (port_sync_rx(&w->port))
		w->failed = true;
	else
		worker_drain(w);
}
