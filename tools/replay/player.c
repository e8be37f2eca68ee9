/* SPDX-License-Identifier: BSD-2-Clause */
#include "player.h"

#include "message.h"
#include "number.h"
#include "stop.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

/* ---- opening ---- */

static int open_port(struct player *p)
{
	p->port.stop_fd = stop_fd();
	p->port.d = nmport_prepare(p->options->port);
	if (!p->port.d)
		return -1;
	/* What is received is not ours: those rings are left for other programs. */
	p->port.d->reg.nr_flags |= NR_ACCEPT_VNET_HDR | NR_TX_RINGS_ONLY;
	if (port_register(&p->port, -1))
		return -1;
	if (!port_tx_rings(&p->port))
		return complain("%s: no TX ring is bound (is there an /R in the name?)",
				p->options->port);
	return 0;
}

static int leave_out(struct player *p)
{
	uint64_t longest = replay_longest(&p->port);

	p->skipped = capture_leave_out(&p->capture, !p->options->send_cut, longest);
	if (!p->capture.n)
		return complain(
			"no frame is left to send: %llu are cut short in the file (--cut sends "
			"them), %llu longer than the %llu bytes that the port takes",
			(unsigned long long)p->skipped.cut, (unsigned long long)p->skipped.too_long,
			(unsigned long long)longest);
	return 0;
}

int player_open(struct player *p, const struct replay_options *o)
{
	double gap = (double)o->max_gap * o->settings.speed; /* of the file */

	memset(p, 0, sizeof(*p));
	p->options = o;
	histogram_init(&p->late);
	if (capture_read_files(&p->capture, o->files, o->n_files, o->order) || open_port(p) ||
	    leave_out(p))
		return -1;
	if (gap >= 0 && gap < (double)INT64_MAX)
		capture_limit_gaps(&p->capture, (int64_t)gap);
	return 0;
}

void player_close(struct player *p)
{
	capture_free(&p->capture);
	port_close(&p->port);
}

/* ---- sending ---- */

static void print_progress(struct player *p, double seconds)
{
	uint64_t round = p->replay.next / p->capture.n + 1;
	char clock[16], pps[16], bps[16];

	fprintf(stderr, "%s %spps %sbps, %llu sent, round %llu, late by %.3f ms at most\n",
		progress_clock(clock, sizeof(clock)),
		with_unit((double)(p->packets - p->shown_packets) / seconds, pps, sizeof(pps)),
		with_unit(8.0 * (double)(p->bytes - p->shown_bytes) / seconds, bps, sizeof(bps)),
		(unsigned long long)p->packets, (unsigned long long)round,
		(double)p->late.max / 1e6);
	p->shown_packets = p->packets;
	p->shown_bytes = p->bytes;
}

/* The shorter of two times to wait; < 0: any time. */
static int64_t shorter(int64_t a, int64_t b)
{
	return b >= 0 && (a < 0 || b < a) ? b : a;
}

/* Sends n frames that are due, or as many as there is room for; returns how many, or -1. */
static int64_t send_batch(struct player *p, uint32_t n)
{
	int64_t now;

	n = replay_fill(&p->replay, &p->port, n, &p->bytes, NULL, NULL);
	if (!n)
		return 0;
	if (port_sync_tx(&p->port))
		return -1;
	now = now_ns();
	replay_lateness(&p->replay, n, now, &p->late);
	replay_sent(&p->replay, n);
	p->packets += n;
	p->last_ns = now;
	if (!p->first_ns)
		p->first_ns = now;
	return n;
}

/* What is due, or the sleep until something is. */
static int step(struct player *p)
{
	int64_t now = now_ns(), wait = 0, line = progress_wait(&p->progress, now), sent;
	uint32_t n = replay_due(&p->replay, now, &wait);

	if (!n) {
		stop_wait(stop_fd(), shorter(wait, line));
		return 0;
	}
	sent = send_batch(p, n);
	if (sent)
		return sent < 0 ? -1 : 0;
	p->waits++;
	return port_wait_room(&p->port, line) == WAIT_FAILED ? -1 : 0;
}

int player_run(struct player *p)
{
	int64_t start;
	double seconds;
	int result = 0;

	/* Sleeping for less than the kernel's usual rounding of 50 us. */
	prctl(PR_SET_TIMERSLACK, 1000UL);
	if (p->options->wait)
		stop_wait(stop_fd(), p->options->wait);
	start = now_ns();
	progress_begin(&p->progress, &p->options->reporting, start);
	replay_begin(&p->replay, &p->capture, &p->options->settings, start);
	while (!result && !replay_done(&p->replay) && !stop_asked) {
		result = step(p);
		if (progress_due(&p->progress, now_ns(), &seconds))
			print_progress(p, seconds);
	}
	if (!result)
		result = port_drain(&p->port, p->options->timeout, &stop_hurry, &p->pending);
	p->seconds_ns = now_ns() - start;
	return result;
}
