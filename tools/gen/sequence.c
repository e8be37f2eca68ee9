/* SPDX-License-Identifier: BSD-2-Clause */
#include "sequence.h"

#include <stdlib.h>
#include <string.h>

static inline uint64_t bit_of(uint32_t sequence)
{
	return UINT64_C(1) << (sequence % 64);
}

static inline uint64_t *word_of(struct sequence_flow *f, uint32_t sequence)
{
	return &f->seen[sequence % SEQUENCE_WINDOW / 64];
}

/* The n numbers from sequence on enter the window as not seen. */
static void forget(struct sequence_flow *f, uint32_t sequence, uint32_t n)
{
	if (n >= SEQUENCE_WINDOW) {
		memset(f->seen, 0, sizeof(f->seen));
		return;
	}
	for (; n; n--, sequence++)
		*word_of(f, sequence) &= ~bit_of(sequence);
}

void sequence_flow_note(struct sequence_flow *f, uint32_t sequence)
{
	int32_t ahead = (int32_t)(sequence - f->next);
	uint64_t *word = word_of(f, sequence), bit = bit_of(sequence);

	f->counts.received++;
	if (ahead >= 0) {
		if (ahead) {
			f->counts.lost += (uint32_t)ahead;
			forget(f, f->next, (uint32_t)ahead);
		}
		*word |= bit;
		f->next = sequence + 1;
		return;
	}
	if (ahead < -SEQUENCE_WINDOW) {
		f->counts.stale++;
	} else if (*word & bit) {
		f->counts.duplicated++;
	} else {
		*word |= bit;
		f->counts.reordered++;
		if (f->counts.lost)
			f->counts.lost--;
	}
}

struct sequence_tracker *sequence_new(bool join)
{
	struct sequence_tracker *t = calloc(1, sizeof(*t));

	if (t) {
		pthread_mutex_init(&t->lock, NULL);
		t->join = join;
	}
	return t;
}

void sequence_free(struct sequence_tracker *t)
{
	unsigned int i;

	if (!t)
		return;
	for (i = 0; i < SEQUENCE_MAX_FLOWS; i++)
		free(t->flows[i]);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static struct sequence_flow *new_flow(const struct frame_stamp *s, bool join)
{
	struct sequence_flow *f = calloc(1, sizeof(*f));

	if (!f)
		return NULL;
	f->run = s->run;
	f->flow = s->flow;
	f->next = s->sequence;
	if (!join)
		f->counts.lost = s->sequence;
	return f;
}

static struct sequence_flow *find_flow(struct sequence_tracker *t, const struct frame_stamp *s)
{
	uint32_t at = (s->run ^ s->flow * 0x9e3779b1U) % SEQUENCE_MAX_FLOWS, i;

	if (t->latest && t->latest->run == s->run && t->latest->flow == s->flow)
		return t->latest;
	for (i = 0; i < SEQUENCE_MAX_FLOWS; i++, at = (at + 1) % SEQUENCE_MAX_FLOWS) {
		struct sequence_flow *f = t->flows[at];

		if (!f) {
			f = t->flows[at] = new_flow(s, t->join);
			t->n_flows += f != NULL;
			return t->latest = f;
		}
		if (f->run == s->run && f->flow == s->flow)
			return t->latest = f;
	}
	return NULL;
}

void sequence_note(struct sequence_tracker *t, const uint8_t *frame, size_t len)
{
	struct frame_stamp s = frame_read(frame, len);
	struct sequence_flow *f;

	if (s.kind == FRAME_OTHER) {
		t->other++;
		return;
	}
	if (!frame_is_intact(frame, len)) {
		/* The number may be wrong, too: what this frame was, will count as lost. */
		t->corrupted++;
		return;
	}
	f = find_flow(t, &s);
	if (f)
		sequence_flow_note(f, s.sequence);
	else
		t->untracked++;
}

struct sequence_counts sequence_total(struct sequence_tracker *t)
{
	struct sequence_counts sum = {0};
	unsigned int i;

	for (i = 0; i < SEQUENCE_MAX_FLOWS; i++) {
		const struct sequence_flow *f = t->flows[i];

		if (!f)
			continue;
		sum.received += f->counts.received;
		sum.lost += f->counts.lost;
		sum.duplicated += f->counts.duplicated;
		sum.reordered += f->counts.reordered;
		sum.stale += f->counts.stale;
	}
	return sum;
}

bool sequence_is_bad(struct sequence_tracker *t)
{
	struct sequence_counts c = sequence_total(t);

	return c.lost || c.duplicated || c.reordered || c.stale || t->corrupted || t->untracked;
}
