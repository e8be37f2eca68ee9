/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending the frames of a capture file, on one ring, so that they arrive in the file's order.
 */
#include "replay.h"

#include "message.h"
#include "run.h"

static void note_buffers(void *arg, const struct netmap_ring *ring, uint32_t first, uint32_t slots)
{
	const struct run *r = arg;

	if (r->buf_idx)
		bufindex_note(r->buf_idx, ring, first, slots);
}

/* Puts up to n frames into the ring; returns how many fit. */
static uint32_t fill(struct worker *w, const struct replay *r, uint32_t n)
{
	uint64_t bytes = 0;
	uint32_t done = replay_fill(r, &w->port, n, &bytes, note_buffers, w->run);

	if (done)
		worker_batch(w, done, bytes);
	return done;
}

static void send_frames(struct worker *w, struct replay *r)
{
	while (!replay_done(r) && !run_stopping(w->run)) {
		int64_t wait = 0;
		uint32_t n = replay_due(r, now_ns(), &wait);

		if (!n) {
			if (stop_wait(w->port.stop_fd, wait) == WAIT_STOP)
				break;
			continue;
		}
		n = fill(w, r, n);
		replay_sent(r, n);
		if (!n) {
			if (!worker_wait_room(w))
				break;
		} else if (port_sync_tx(&w->port)) {
			w->failed = true;
			break;
		}
	}
}

void replay_run(struct worker *w)
{
	const struct gen_options *o = w->run->options;
	const struct capture *file = &w->run->replay;
	struct replay_settings settings = {
		.timing = o->timing,
		.speed = o->speed,
		.milli_pps = o->milli_pps,
		.burst = o->burst,
		.loops = o->loops,
		.count = o->count,
	};
	struct replay r;

	if (file->largest > replay_longest(&w->port)) {
		complain("%s: has a frame of %u bytes, and %llu is the most that this port takes",
			 o->replay, file->largest, (unsigned long long)replay_longest(&w->port));
		w->failed = true;
		return;
	}
	replay_begin(&r, file, &settings, now_ns());
	send_frames(w, &r);
	if (w->failed)
		return;
	if (replay_done(&r))
		run_finished(w->run, o->count && r.end == o->count ? STOP_COUNT : STOP_END);
	worker_drain(w);
}
