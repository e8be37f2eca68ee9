/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending at a given rate. Packet k is due k periods after the start; nothing accumulates
 * rounding errors, since due times are computed from k. A sender that was held up catches up
 * at most one burst: then the start moves, and the rest of the lost time is lost.
 *
 * Times are in ns from any fixed point. One thread.
 */
#ifndef TOOLS_PACE_H
#define TOOLS_PACE_H

#include <stdint.h>

struct pace {
	uint64_t milli_pps; /* packets in 1000 s; 0: no limit */
	uint32_t burst;	    /* most packets to be due at once */
	uint64_t sent;	    /* since start */
	int64_t start;
};

void pace_start(struct pace *p, uint64_t milli_pps, uint32_t burst, int64_t now);

/* How many packets are due now, at most burst. */
uint32_t pace_due(struct pace *p, int64_t now);

/* n packets were sent. */
void pace_sent(struct pace *p, uint32_t n);

/* When the n-th packet from now on (n >= 1) will be due. */
int64_t pace_when(const struct pace *p, uint32_t n);

/* How many packets are worth one wake-up: a tenth of a millisecond's worth, 1..burst. */
uint32_t pace_lump(const struct pace *p);

#endif
