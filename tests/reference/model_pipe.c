/* SPDX-License-Identifier: BSD-2-Clause */
/* Pipes: ports.md section 3. */
#include "model.h"

/* What the receiver has released before @end comes back, whole slots. */
static void take_back(struct model *m, struct model_ring *tx, uint32_t end)
{
	struct model_ring *rx = tx->peer;
	uint32_t i;

	for (i = model_next(tx, tx->hwtail); i != end; i = model_next(tx, i)) {
		tx->slots[i] = rx->slots[i];
		rx->slots[i].flags &= (uint16_t)~NS_BUF_CHANGED;
		m->counts[COUNT_TAKEN_BACK]++;
	}
	tx->hwtail = model_previous(tx, end);
}

bool model_pipe_catch_up(struct model *m, struct model_ring *tx, uint32_t tail)
{
	uint32_t first = model_next(tx, tx->hwtail);

	if (tx->state == SYNCED || tail >= tx->num_slots ||
	    model_distance(tx, first, model_next(tx, tail)) >
		    model_distance(tx, first, tx->peer->hwcur))
		return false;
	take_back(m, tx, model_next(tx, tail));
	tx->tail = tx->rtail = tx->hwtail;
	if (tx->state == WAS_RESET)
		model_clean_slots(tx);
	else /* its slots are looked after */
		tx->fresh |= !model_slots_whole(tx);
	return true;
}

/* The sender's sync, which does both ends' work. */
void model_pipe_run(struct model *m, struct model_ring *tx)
{
	struct model_ring *rx = tx->peer;
	uint32_t shown, i;

	take_back(m, tx, rx->hwcur);
	if (m->mistake == MISTAKE_TAIL && tx->hwtail != tx->rtail)
		tx->hwtail = model_previous(tx, tx->hwtail);

	/* What the sender has published goes on; the end of a packet shows all of it. */
	shown = rx->hwtail;
	for (i = tx->hwcur; i != tx->head; i = model_next(tx, i)) {
		rx->slots[i] = tx->slots[i];
		tx->slots[i].flags &= (uint16_t)~NS_BUF_CHANGED;
		if (!(rx->slots[i].flags & NS_MOREFRAG) || m->mistake == MISTAKE_CHAIN)
			shown = model_next(rx, i);
		m->counts[COUNT_PASSED_ON]++;
	}
	tx->hwcur = tx->head;
	rx->hwtail = shown;
	if (shown != tx->head)
		m->counts[COUNT_HELD_BACK]++;
	if (tx->head == tx->hwtail)
		m->counts[COUNT_PIPE_FULL]++;
}

/*
 * A packet that its sender did not complete is given up: the next sender's first one must not
 * become its end.
 */
void model_pipe_sender_leaves(struct model_ring *tx)
{
	tx->hwcur = tx->rhead = tx->rcur = tx->peer->hwtail;
}
