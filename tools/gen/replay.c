/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending the frames of a capture file, on one ring, so that they arrive in the file's order.
 */
#include "message.h"
#include "pace.h"
#include "run.h"
#include "slots.h"

#include <poll.h>

/* Where the replay is. Frame numbers go on over all loops. */
struct replay {
	struct worker *w;
	const struct capture *file;
	uint64_t next, end; /* frames */
	bool timing;
	double speed;
	int64_t start;
	int64_t loop_ns; /* from one loop's first frame to the next one's */
	struct pace pace;
};

/* When frame k is to be sent, by the file's own times. */
static int64_t due_time(const struct replay *r, uint64_t k)
{
	uint64_t loop = k / r->file->n;
	double ns =
		(double)loop * (double)r->loop_ns + (double)r->file->frames[k % r->file->n].when;

	return r->start + (int64_t)(ns / r->speed);
}

/* How many of at most burst frames are due; 0: *wait ns from now there will be one. */
static uint32_t due_frames(struct replay *r, uint32_t burst, int64_t *wait)
{
	int64_t now;
	uint32_t n = 0;

	if (r->end - r->next < burst)
		burst = (uint32_t)(r->end - r->next);
	if (!r->timing && !r->pace.milli_pps)
		return burst;
	now = now_ns();
	if (r->pace.milli_pps) {
		n = pace_due(&r->pace, now);
		*wait = pace_when(&r->pace, 1) - now;
		return n < burst ? n : burst;
	}
	while (n < burst && due_time(r, r->next + n) <= now)
		n++;
	*wait = n ? 0 : due_time(r, r->next) - now;
	return n;
}

/* Puts up to n frames into the ring; returns how many fit. */
static uint32_t fill(struct replay *r, uint32_t n)
{
	struct worker *w = r->w;
	struct netmap_ring *ring = port_tx_ring(&w->port, 0);
	uint64_t bytes = 0;
	struct tx_cursor c;
	uint32_t done;

	tx_begin(&c, ring, w->port.buf_limit);
	for (done = 0; done < n; done++) {
		const struct capture_frame *f = &r->file->frames[(r->next + done) % r->file->n];
		uint32_t first = c.next, slots;

		slots = tx_put(&c, w->port.vnet_hdr, r->file->data + f->offset, f->len);
		if (!slots)
			break;
		if (w->run->buf_idx)
			bufindex_note(w->run->buf_idx, ring, first, slots);
		bytes += f->len;
	}
	if (done) {
		tx_publish(&c);
		worker_batch(w, done, bytes);
	}
	return done;
}

static void send_frames(struct replay *r)
{
	struct worker *w = r->w;

	while (r->next < r->end && !run_stopping(w->run)) {
		int64_t wait = 0;
		uint32_t n = due_frames(r, w->run->options->burst, &wait);

		if (!n) {
			if (stop_wait(w->port.stop_fd, wait) == WAIT_STOP)
				break;
			continue;
		}
		n = fill(r, n);
		r->next += n;
		pace_sent(&r->pace, n);
		if (!n) {
			if (!worker_wait_room(w))
				break;
		} else if (port_sync_tx(&w->port)) {
			w->failed = true;
			break;
		}
	}
}

static int check_room(struct worker *w, const struct capture *file)
{
	const struct netmap_ring *ring = port_tx_ring(&w->port, 0);
	uint32_t most = ring->num_slots - 1;
	uint64_t room;

	if (most > NETMAP_MAX_FRAGS)
		most = NETMAP_MAX_FRAGS;
	room = (uint64_t)most * ring->nr_buf_size - w->port.vnet_hdr;
	if (file->largest <= room)
		return 0;
	return complain("%s: has a frame of %u bytes, and %llu is the most that this port takes",
			w->run->options->replay, file->largest, (unsigned long long)room);
}

void replay_run(struct worker *w)
{
	const struct gen_options *o = w->run->options;
	const struct capture *file = &w->run->replay;
	int64_t duration = file->frames[file->n - 1].when;
	struct replay r = {
		.w = w,
		.file = file,
		.end = o->loops && o->loops < UINT64_MAX / file->n ? o->loops * file->n
								   : UINT64_MAX,
		.timing = o->timing,
		.speed = o->speed,
		.start = now_ns(),
		/* the next loop's first frame comes after one mean distance */
		.loop_ns = duration + (file->n > 1 ? duration / (int64_t)(file->n - 1) : 0),
	};

	if (check_room(w, file)) {
		w->failed = true;
		return;
	}
	if (o->count && o->count < r.end)
		r.end = o->count;
	pace_start(&r.pace, o->milli_pps, o->burst, r.start);
	send_frames(&r);
	if (w->failed)
		return;
	if (r.next == r.end)
		run_finished(w->run, o->count && r.end == o->count ? STOP_COUNT : STOP_END);
	worker_drain(w);
}
