/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending frames that we make. Each ring has a flow of its own, so that a receiver sees each
 * flow's frames in order however it reads its rings.
 */
#include "message.h"
#include "pace.h"
#include "run.h"
#include "slots.h"

#include <poll.h>
#include <stdlib.h>

struct tx_ring {
	struct netmap_ring *ring;
	struct frame_builder builder;
	uint64_t n;	   /* frames so far */
	uint32_t next_len; /* size drawn for the next frame; 0: none yet */
};

struct sender {
	struct worker *w;
	struct tx_ring *rings;
	unsigned int n_rings;
	unsigned int turn; /* ring to use next */
	uint64_t left;	   /* packets to send; UINT64_MAX: no end */
	struct random random;
	uint8_t *written; /* zero copy: by buffer index, holds our frame */
};

/* ---- one ring ---- */

static void note_buffers(struct sender *s, const struct tx_cursor *c, uint32_t slots)
{
	struct run *r = s->w->run;
	uint32_t n = c->ring->num_slots;

	if (r->buf_idx)
		bufindex_note(r->buf_idx, c->ring, (c->next + n - slots) % n, slots);
}

/* Frame number t->n into the next slots; the slots used, or 0 if there is no room. */
static uint32_t put_frame(struct sender *s, struct tx_ring *t, struct tx_cursor *c, uint32_t len)
{
	uint32_t prefix = s->w->port.vnet_hdr;
	uint8_t *to = tx_buffer(c, prefix + len);

	if (to) {
		memset(to, 0, prefix);
		frame_build(&t->builder, to + prefix, len, t->n);
		tx_done(c, prefix + len);
		return 1;
	}
	if (!c->room)
		return 0;
	frame_build(&t->builder, s->w->scratch, len, t->n);
	return tx_put(c, prefix, s->w->scratch, len);
}

/* Fills up to n frames into a ring; returns how many. */
static uint32_t fill(struct sender *s, struct tx_ring *t, uint32_t n)
{
	struct tx_cursor c;
	uint64_t bytes = 0;
	uint32_t done = 0;

	tx_begin(&c, t->ring, s->w->port.buf_limit);
	while (done < n) {
		uint32_t slots;

		if (!t->next_len)
			t->next_len = size_next(&s->w->run->options->size, &s->random);
		slots = put_frame(s, t, &c, t->next_len);
		if (!slots)
			break;
		note_buffers(s, &c, slots);
		bytes += t->next_len;
		t->next_len = 0;
		t->n++;
		done++;
	}
	if (done) {
		tx_publish(&c);
		worker_batch(s->w, done, bytes);
	}
	return done;
}

/* The same where a buffer that holds a frame is sent again as it is: only slots are written. */
static uint32_t fill_zero_copy(struct sender *s, struct tx_ring *t, uint32_t n)
{
	uint32_t prefix = s->w->port.vnet_hdr, limit = s->w->port.buf_limit;
	uint32_t len = s->w->run->options->size.parts[0].from, done;
	struct tx_cursor c;

	tx_begin(&c, t->ring, s->w->port.buf_limit);
	if (n > c.room)
		n = c.room;
	for (done = 0; done < n; done++) {
		uint32_t i = t->ring->slot[c.next].buf_idx;

		if (i >= limit || !s->written[i]) {
			uint8_t *to = tx_buffer(&c, prefix + len);

			if (!to || i >= limit)
				break;
			memset(to, 0, prefix);
			frame_build(&t->builder, to + prefix, len, t->n++);
			s->written[i] = 1;
		}
		tx_done(&c, prefix + len);
		note_buffers(s, &c, 1);
	}
	if (done) {
		tx_publish(&c);
		worker_batch(s->w, done, (uint64_t)done * len);
	}
	return done;
}

/* ---- all rings ---- */

/* Fills up to n frames, the rings in turn; returns how many. */
static uint32_t fill_some(struct sender *s, uint32_t n)
{
	unsigned int tried;
	uint32_t done;

	for (tried = 0; tried < s->n_rings; tried++) {
		struct tx_ring *t = &s->rings[s->turn];

		s->turn = s->turn + 1 < s->n_rings ? s->turn + 1 : 0;
		done = s->written ? fill_zero_copy(s, t, n) : fill(s, t, n);
		if (done)
			return done;
	}
	return 0;
}

static void send_as_fast_as_possible(struct sender *s)
{
	struct worker *w = s->w;
	uint32_t burst = w->run->options->burst;

	while (s->left && !run_stopping(w->run)) {
		uint32_t done = fill_some(s, s->left < burst ? (uint32_t)s->left : burst);

		s->left -= done;
		/* Sends what is filled; sleeps only when nothing could be. */
		if (done ? !worker_goes_on(w, port_wait(&w->port, POLLOUT, 0))
			 : !worker_wait_room(w))
			break;
	}
}

/* As the number of packets that this thread is to send of a total. */
static uint64_t share_of(uint64_t total, const struct worker *w)
{
	unsigned int threads = w->run->n_workers;

	return total / threads + (w->index < total % threads);
}

static void send_paced(struct sender *s)
{
	struct worker *w = s->w;
	const struct gen_options *o = w->run->options;
	uint64_t rate = share_of(o->milli_pps, w);
	struct pace pace;

	pace_start(&pace, rate ? rate : 1, o->burst, now_ns());
	while (s->left && !run_stopping(w->run)) {
		uint32_t lump = pace_lump(&pace), due;
		int64_t wait;

		if (s->left < lump)
			lump = (uint32_t)s->left;
		wait = pace_when(&pace, lump) - now_ns();
		if (wait > 0) {
			if (stop_wait(w->port.stop_fd, wait) == WAIT_STOP)
				break;
			continue;
		}
		due = pace_due(&pace, now_ns());
		if (due > s->left)
			due = (uint32_t)s->left;
		due = fill_some(s, due);
		pace_sent(&pace, due);
		s->left -= due;
		if (!due) {
			if (!worker_wait_room(w))
				break;
		} else if (port_sync_tx(&w->port)) {
			w->failed = true;
			break;
		}
	}
}

/* ---- setting up ---- */

/* A frame must fit into an empty ring and into a packet's most fragments. */
static int check_room(struct worker *w, const struct netmap_ring *ring, uint32_t len)
{
	uint32_t slots = (len + w->port.vnet_hdr + ring->nr_buf_size - 1) / ring->nr_buf_size;
	uint32_t most = ring->num_slots - 1;

	if (most > NETMAP_MAX_FRAGS)
		most = NETMAP_MAX_FRAGS;
	if (w->run->options->zero_copy)
		most = 1;
	if (slots <= most)
		return 0;
	return complain("frames of %u bytes need %u slots of %u bytes, and %u is the most that %s",
			len, slots, ring->nr_buf_size, most,
			most == 1 ? "--zero-copy allows" : "this port takes");
}

static int set_up_ring(struct sender *s, struct tx_ring *t, unsigned int i)
{
	struct worker *w = s->w;
	const struct gen_options *o = w->run->options;

	t->ring = port_tx_ring(&w->port, i);
	t->builder.addresses = w->run->addresses;
	t->builder.kind = o->zero_copy	     ? FRAME_OTHER
			  : o->payload_check ? FRAME_CHECKED
					     : FRAME_DATA;
	t->builder.flow = (uint16_t)(o->flow + t->ring->ringid);
	t->builder.run = w->run->run_id;
	if (frame_builder_init(&t->builder, size_largest(&o->size)))
		return complain("out of memory");
	return check_room(w, t->ring, size_largest(&o->size));
}

static int set_up(struct sender *s, struct worker *w)
{
	const struct gen_options *o = w->run->options;
	unsigned int i;

	s->w = w;
	s->left = o->count ? share_of(o->count, w) : UINT64_MAX;
	random_seed(&s->random, o->seed + w->index);
	s->n_rings = port_tx_rings(&w->port);
	s->rings = calloc(s->n_rings, sizeof(*s->rings));
	if (o->zero_copy)
		s->written = calloc(w->port.buf_limit, 1);
	if (!s->rings || (o->zero_copy && !s->written))
		return complain("out of memory");
	for (i = 0; i < s->n_rings; i++) {
		if (set_up_ring(s, &s->rings[i], i))
			return -1;
	}
	return 0;
}

void tx_run(struct worker *w)
{
	struct sender s = {0};
	unsigned int i;

	if (set_up(&s, w)) {
		w->failed = true;
	} else if (w->run->options->milli_pps) {
		send_paced(&s);
	} else {
		send_as_fast_as_possible(&s);
	}
	if (!w->failed) {
		if (!s.left)
			run_finished(w->run, STOP_COUNT);
		worker_drain(w);
	}
	for (i = 0; i < s.n_rings && s.rings; i++)
		frame_builder_free(&s.rings[i].builder);
	free(s.rings);
	free(s.written);
}
