/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Receiving: count, and if asked check, capture and note buffers. A packet that --count does not
 * ask for stays in the ring, for whoever opens the port next.
 */
#include "run.h"
#include "slots.h"

#include <poll.h>
#include <sched.h>
#include <time.h>

/* Takes the right to receive up to want packets; what isn't used is given back. */
static uint64_t claim(struct run *r, uint64_t want)
{
	uint64_t left = atomic_load(&r->to_claim), n;

	if (!r->options->count)
		return want;
	do {
		n = want < left ? want : left;
	} while (!atomic_compare_exchange_weak(&r->to_claim, &left, left - n));
	return n;
}

static void settle(struct run *r, uint64_t claimed, uint64_t used)
{
	if (!r->options->count)
		return;
	atomic_fetch_add(&r->to_claim, claimed - used);
	if (used && atomic_fetch_sub(&r->to_receive, used) == used)
		run_stop(r, STOP_COUNT);
}

/* When the packets now in the ring came: the owner's time of the sync if it gives one. */
static int64_t ring_time(const struct netmap_ring *ring)
{
	struct timespec t;

	if (ring->ts.tv_sec)
		return ring->ts.tv_sec * INT64_C(1000000000) + ring->ts.tv_usec * 1000;
	clock_gettime(CLOCK_REALTIME, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

/* What wants to see a packet's bytes or buffers. */
static void inspect(struct worker *w, const struct rx_cursor *c, const struct rx_packet *p,
		    int64_t when)
{
	struct run *r = w->run;
	uint32_t skip = w->port.vnet_hdr, len;
	const uint8_t *data;

	if (r->buf_idx)
		bufindex_note(r->buf_idx, c->ring, p->first, p->slots);
	if (!r->tracker && !r->writer)
		return;
	data = rx_gather(c, p, w->scratch, w->scratch_size, &len);
	if (len < skip)
		return;
	if (r->tracker)
		sequence_note(r->tracker, data + skip, len - skip);
	if (r->writer)
		capture_write(r->writer, data + skip, len - skip, when);
}

/* Takes packets out of one ring; returns how many. */
static uint64_t receive(struct worker *w, struct netmap_ring *ring)
{
	struct run *r = w->run;
	bool look = r->tracker || r->writer || r->buf_idx;
	uint64_t packets = 0, bytes = 0, claimed;
	struct rx_packet p;
	struct rx_cursor c;
	int64_t when;

	rx_begin(&c, ring, w->port.buf_limit);
	if (!c.left)
		return 0;
	claimed = claim(r, c.left);
	when = r->writer ? ring_time(ring) : 0;
	if (r->tracker)
		pthread_mutex_lock(&r->tracker->lock);
	while (packets < claimed && rx_take(&c, &p)) {
		if (p.bad || p.cut) {
			count(&w->counters.bad, 1);
		} else if (!p.len) {
			count(&w->counters.empty, 1); /* a VALE sender's unused reservation */
			continue;
		} else if (look) {
			inspect(w, &c, &p, when);
		}
		packets++;
		bytes += p.len > w->port.vnet_hdr ? p.len - w->port.vnet_hdr : 0;
	}
	if (r->tracker)
		pthread_mutex_unlock(&r->tracker->lock);
	rx_release(&c);
	if (packets)
		worker_batch(w, packets, bytes);
	settle(r, claimed, packets);
	if (!claimed)
		sched_yield(); /* another thread has the last packets in hand */
	return packets;
}

void rx_run(struct worker *w)
{
	unsigned int rings = port_rx_rings(&w->port), i;

	for (i = 0; i < rings && w->run->writer; i++)
		port_rx_ring(&w->port, i)->flags |= NR_TIMESTAMP;
	while (!run_stopping(w->run)) {
		uint64_t packets = 0;

		for (i = 0; i < rings; i++)
			packets += receive(w, port_rx_ring(&w->port, i));
		if (!packets)
			count(&w->counters.waits, 1);
		if (run_stopping(w->run))
			break;
		if (!worker_goes_on(w, port_wait(&w->port, POLLIN, -1)))
			break;
	}
	/* The sender gets its slots back now, not only when we close. */
	if (!w->failed && port_sync_rx(&w->port))
		w->failed = true;
}
