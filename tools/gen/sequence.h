/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What became of each flow's frames, from their sequence numbers: lost, duplicated, reordered.
 *
 * A flow remembers the number it expects next and, for the SEQUENCE_WINDOW numbers before, which
 * have come. A number further on makes those in between lost; one of them that comes after all
 * is no longer lost but reordered. What is older than the window can't be told and is counted
 * as stale. Numbers are 32 bits and wrap.
 */
#ifndef GEN_SEQUENCE_H
#define GEN_SEQUENCE_H

#include "frame.h"

#include <pthread.h>

#define SEQUENCE_WINDOW	   32768 /* divides 2^32 */
#define SEQUENCE_MAX_FLOWS 4096

struct sequence_counts {
	uint64_t received;
	uint64_t lost;
	uint64_t duplicated;
	uint64_t reordered;
	uint64_t stale;
};

struct sequence_flow {
	uint32_t run;
	uint16_t flow;
	uint32_t next;
	struct sequence_counts counts;
	uint64_t seen[SEQUENCE_WINDOW / 64];
};

/* Notes one number of a flow. */
void sequence_flow_note(struct sequence_flow *f, uint32_t sequence);

/* Flows of all receiving threads. A thread holds lock while it notes a batch; with one thread
 * nobody contends. */
struct sequence_tracker {
	pthread_mutex_t lock;
	bool join; /* a flow begins with the first number seen; else with 0, and 0.. are lost */
	struct sequence_flow *flows[SEQUENCE_MAX_FLOWS]; /* hashed by run and flow */
	struct sequence_flow *latest;
	unsigned int n_flows;
	uint64_t corrupted; /* ours, but not as built */
	uint64_t other;	    /* not ours */
	uint64_t untracked; /* of flows that found no room or memory */
};

struct sequence_tracker *sequence_new(bool join); /* NULL: out of memory */
void sequence_free(struct sequence_tracker *t);

/* Looks at one received frame. t->lock is held. */
void sequence_note(struct sequence_tracker *t, const uint8_t *frame, size_t len);

/* Sum over all flows. */
struct sequence_counts sequence_total(struct sequence_tracker *t);

/* True if something is wrong: lost, duplicated, reordered, stale, corrupted, untracked. */
bool sequence_is_bad(struct sequence_tracker *t);

#endif
