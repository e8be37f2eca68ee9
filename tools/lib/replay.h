/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Playing a capture: which frames are due, and putting them into a ring. The frames' own times, a
 * rate in packets or bits, or as fast as possible. Frame numbers go on over all rounds. Times are
 * in ns of any one clock. One thread.
 */
#ifndef TOOLS_REPLAY_H
#define TOOLS_REPLAY_H

#include "capture.h"
#include "histogram.h"
#include "pace.h"
#include "port.h"

/* At most one of timing, milli_pps and bits; none: as fast as possible. */
struct replay_settings {
	bool timing;  /* the file's own distances ... */
	double speed; /* ... so many times as fast */
	uint64_t milli_pps;
	uint64_t bits;	/* per second, of frames without FCS */
	uint32_t burst; /* most frames at once */
	uint64_t loops; /* 0: for ever */
	uint64_t count; /* frames in all; 0: no limit */
};

struct replay {
	const struct capture *file;
	struct replay_settings settings;
	uint64_t next, end; /* frames */
	int64_t start;
	int64_t period; /* from one round's first frame to the next one's */
	struct pace pace;
	/* a rate in bits: so many have been sent since bits_start. A sender that was held up
	 * catches up at most one burst, as with pace.h. */
	uint64_t bits_sent;
	int64_t bits_start;
};

/* file (not empty) must live as long as r. */
void replay_begin(struct replay *r, const struct capture *file, const struct replay_settings *s,
		  int64_t now);

static inline bool replay_done(const struct replay *r)
{
	return r->next == r->end;
}

/* How many frames are due, at most a burst; 0: *wait ns from now there will be one. */
uint32_t replay_due(struct replay *r, int64_t now, int64_t *wait);

/* Called for each frame put into slots slots of the ring, from first on. */
typedef void replay_note(void *arg, const struct netmap_ring *ring, uint32_t first, uint32_t slots);

/* Puts up to n frames into ring 0 of the port and publishes them; returns how many fit. Adds their
 * bytes to *bytes. note may be NULL. */
uint32_t replay_fill(const struct replay *r, const struct open_port *port, uint32_t n,
		     uint64_t *bytes, replay_note *note, void *arg);

/* Adds to h how much later than due the next n frames are at the time now. */
void replay_lateness(const struct replay *r, uint32_t n, int64_t now, struct histogram *h);

/* The next n frames were sent. */
void replay_sent(struct replay *r, uint32_t n);

/* The longest frame that the port takes. */
uint64_t replay_longest(const struct open_port *port);

#endif
