/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Latency: one frame at a time goes out, its answer comes back. The time is from just before
 * the sync that sends to the moment that the answer is seen in the ring.
 */
#include "message.h"
#include "pace.h"
#include "run.h"
#include "slots.h"

#include <poll.h>

struct pinger {
	struct worker *w;
	struct frame_builder builder;
	struct random random;
	uint64_t sequence; /* of the frame that is out */
};

/* Looks through one ring for the answer; releases everything. */
static bool look_for_answer(struct pinger *p, struct netmap_ring *ring)
{
	struct worker *w = p->w;
	uint32_t skip = w->port.vnet_hdr, len;
	bool found = false;
	struct rx_packet packet;
	struct rx_cursor c;

	rx_begin(&c, ring, w->port.buf_limit);
	while (rx_take(&c, &packet)) {
		const uint8_t *data = rx_gather(&c, &packet, w->scratch, w->scratch_size, &len);
		struct frame_stamp s = {.kind = FRAME_OTHER};

		if (len > skip)
			s = frame_read(data + skip, len - skip);
		if (s.kind != FRAME_PONG || s.run != p->builder.run)
			count(&w->counters.ignored, 1);
		else if (s.sequence != (uint32_t)p->sequence)
			count(&w->counters.late, 1);
		else
			found = true;
	}
	rx_release(&c);
	return found;
}

static bool answered(struct pinger *p)
{
	bool found = false;
	unsigned int i;

	for (i = 0; i < port_rx_rings(&p->w->port); i++)
		found |= look_for_answer(p, port_rx_ring(&p->w->port, i));
	return found;
}

/* Puts the frame into the ring, waiting for room. False if the worker must end. */
static bool put(struct pinger *p, uint32_t len)
{
	struct worker *w = p->w;
	struct tx_cursor c;

	frame_build(&p->builder, w->scratch, len, p->sequence);
	for (;;) {
		tx_begin(&c, port_tx_ring(&w->port, 0), w->port.buf_limit);
		if (tx_put(&c, w->port.vnet_hdr, w->scratch, len)) {
			tx_publish(&c);
			return true;
		}
		if (run_stopping(w->run) || !worker_wait_room(w))
			return false;
	}
}

/* Sends one frame and waits for its answer. False if the worker must end. */
static bool ping_once(struct pinger *p)
{
	struct worker *w = p->w;
	int64_t timeout = w->run->options->timeout, sent, now;
	uint32_t len = size_next(&w->run->options->size, &p->random);

	if (len < FRAME_STAMPED)
		len = FRAME_STAMPED;
	if (!put(p, len))
		return false;
	sent = now_ns();
	if (port_sync_tx(&w->port)) {
		w->failed = true;
		return false;
	}
	worker_batch(w, 1, len);
	while (!run_stopping(w->run)) {
		if (answered(p)) {
			histogram_add(w->latency, (uint64_t)(now_ns() - sent));
			return true;
		}
		now = now_ns();
		if (now - sent >= timeout) {
			count(&w->counters.missed, 1);
			return true;
		}
		if (!worker_goes_on(w, port_wait(&w->port, POLLIN, timeout - (now - sent))))
			break;
	}
	/* Told to stop with a frame out: it was neither answered nor missed. */
	count(&w->counters.packets, (uint64_t)-1);
	return false;
}

void ping_run(struct worker *w)
{
	const struct gen_options *o = w->run->options;
	struct pinger p = {.w = w};
	struct pace pace;
	uint64_t left = o->count ? o->count : UINT64_MAX;

	p.builder.addresses = w->run->addresses;
	p.builder.kind = FRAME_PING;
	p.builder.flow = o->flow;
	p.builder.run = w->run->run_id;
	random_seed(&p.random, o->seed);
	if (frame_builder_init(&p.builder, size_largest(&o->size))) {
		complain("out of memory");
		w->failed = true;
		return;
	}
	pace_start(&pace, o->milli_pps, 1, now_ns());
	answered(&p); /* drops what came before */
	while (left && !run_stopping(w->run)) {
		int64_t wait = o->milli_pps ? pace_when(&pace, 1) - now_ns() : 0;

		if (wait > 0 && stop_wait(w->port.stop_fd, wait) == WAIT_STOP)
			break;
		if (pace_due(&pace, now_ns()) == 0)
			continue;
		pace_sent(&pace, 1);
		if (!ping_once(&p))
			break;
		p.sequence++;
		left--;
	}
	if (!left)
		run_finished(w->run, STOP_COUNT);
	/* pong gets its slots back now, not only when we close. */
	if (!w->failed && port_sync_rx(&w->port))
		w->failed = true;
	frame_builder_free(&p.builder);
}
