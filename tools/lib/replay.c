/* SPDX-License-Identifier: BSD-2-Clause */
#include "replay.h"

#include "slots.h"

void replay_begin(struct replay *r, const struct capture *file, const struct replay_settings *s,
		  int64_t now)
{
	*r = (struct replay){
		.file = file,
		.settings = *s,
		.end = s->loops && s->loops < UINT64_MAX / file->n ? s->loops * file->n
								   : UINT64_MAX,
		.start = now,
		.period = capture_period(file),
		.bits_start = now,
	};
	if (s->count && s->count < r->end)
		r->end = s->count;
	pace_start(&r->pace, s->milli_pps, s->burst, now);
}

static const struct capture_frame *frame_of(const struct replay *r, uint64_t k)
{
	return &r->file->frames[k % r->file->n];
}

/* ---- when ---- */

/* When frame k is to be sent, by the file's own times; what the clock never reaches is never. */
static int64_t file_time(const struct replay *r, uint64_t k)
{
	uint64_t round = k / r->file->n;
	double ns = (double)round * (double)r->period + (double)frame_of(r, k)->when;

	ns /= r->settings.speed;
	return ns < (double)(INT64_MAX - r->start) ? r->start + (int64_t)ns : INT64_MAX;
}

/* When a frame is to be sent before which so many bits have been sent since bits_start. */
static int64_t bits_time(const struct replay *r, uint64_t bits)
{
	unsigned __int128 ns = (unsigned __int128)bits * 1000000000;

	return r->bits_start + (int64_t)((ns + r->settings.bits - 1) / r->settings.bits);
}

/*
 * Walks the frames that come next: when each is due. Call with n = 0, 1, ... and *bits = 0 first.
 */
static int64_t next_time(const struct replay *r, uint32_t n, uint64_t *bits)
{
	int64_t when;

	if (r->settings.timing)
		return file_time(r, r->next + n);
	if (!r->settings.bits)
		return pace_when(&r->pace, n + 1);
	when = bits_time(r, r->bits_sent + *bits);
	*bits += UINT64_C(8) * frame_of(r, r->next + n)->len;
	return when;
}

/* Behind by more than a burst: as if the first of this burst had become due so that the last is due
 * now. */
static void forget_lost_time(struct replay *r, uint32_t burst, int64_t now)
{
	uint64_t bits = 0;
	uint32_t n;

	for (n = 0; n + 1 < burst; n++)
		bits += UINT64_C(8) * frame_of(r, r->next + n)->len;
	r->bits_sent = 0;
	r->bits_start = now;
	r->bits_start -= bits_time(r, bits) - now;
}

uint32_t replay_due(struct replay *r, int64_t now, int64_t *wait)
{
	uint32_t burst = r->settings.burst, n = 0;
	int64_t when = 0;
	uint64_t bits = 0;

	if (r->end - r->next < burst)
		burst = (uint32_t)(r->end - r->next);
	if (!r->settings.timing && !r->settings.bits && !r->pace.milli_pps)
		return burst;
	if (r->pace.milli_pps) {
		n = pace_due(&r->pace, now);
		*wait = pace_when(&r->pace, 1) - now;
		return n < burst ? n : burst;
	}
	for (n = 0; n <= burst; n++) {
		when = next_time(r, n, &bits);
		if (when > now)
			break;
	}
	*wait = n ? 0 : when - now;
	if (n <= burst)
		return n;
	if (r->settings.bits)
		forget_lost_time(r, burst, now);
	return burst;
}

void replay_lateness(const struct replay *r, uint32_t n, int64_t now, struct histogram *h)
{
	uint64_t bits = 0;
	uint32_t i;

	if (!r->settings.timing && !r->settings.bits && !r->pace.milli_pps)
		return;
	for (i = 0; i < n; i++) {
		int64_t when = next_time(r, i, &bits);

		histogram_add(h, now > when ? (uint64_t)(now - when) : 0);
	}
}

void replay_sent(struct replay *r, uint32_t n)
{
	uint32_t i;

	for (i = 0; i < n && r->settings.bits; i++)
		r->bits_sent += UINT64_C(8) * frame_of(r, r->next + i)->len;
	r->next += n;
	pace_sent(&r->pace, n);
}

/* ---- what ---- */

uint32_t replay_fill(const struct replay *r, const struct open_port *port, uint32_t n,
		     uint64_t *bytes, replay_note *note, void *arg)
{
	struct netmap_ring *ring = port_tx_ring(port, 0);
	struct tx_cursor c;
	uint32_t done;

	tx_begin(&c, ring, port->buf_limit);
	for (done = 0; done < n; done++) {
		const struct capture_frame *f = frame_of(r, r->next + done);
		uint32_t first = c.next, slots;

		slots = tx_put(&c, port->vnet_hdr, r->file->data + f->offset, f->len);
		if (!slots)
			break;
		if (note)
			note(arg, ring, first, slots);
		*bytes += f->len;
	}
	tx_publish(&c);
	return done;
}

uint64_t replay_longest(const struct open_port *port)
{
	const struct netmap_ring *ring = port_tx_ring(port, 0);
	uint32_t most = ring->num_slots - 1;

	if (most > NETMAP_MAX_FRAGS)
		most = NETMAP_MAX_FRAGS;
	return (uint64_t)most * ring->nr_buf_size - port->vnet_hdr;
}
