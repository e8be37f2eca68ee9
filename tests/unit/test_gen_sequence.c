/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Lost, duplicated, reordered: the window of sequence numbers, also where they wrap, and
 * against a slow model that remembers everything.
 */
#include "sequence.h"
#include "xorshift.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static struct sequence_flow flow;

static void reset(uint32_t next)
{
	memset(&flow, 0, sizeof(flow));
	flow.next = next;
}

static void expect(uint64_t lost, uint64_t duplicated, uint64_t reordered, uint64_t stale)
{
	assert_int_equal(flow.counts.lost, lost);
	assert_int_equal(flow.counts.duplicated, duplicated);
	assert_int_equal(flow.counts.reordered, reordered);
	assert_int_equal(flow.counts.stale, stale);
}

/* Everything again from several starts: in the middle, across the wrap, at the window's edge. */
static const uint32_t starts[] = {
	0, 1, 63, 1000, SEQUENCE_WINDOW - 1, 0x7fffffff, 0x80000000, 0xfffffffe, UINT32_MAX};
#define EACH_START(s)                                                                              \
	for (size_t _i = 0; _i < sizeof(starts) / sizeof(starts[0]) && (s = starts[_i], true); _i++)

static void in_order(void **state)
{
	uint32_t s, i;

	(void)state;
	EACH_START(s)
	{
		reset(s);
		for (i = 0; i < 100000; i++)
			sequence_flow_note(&flow, s + i);
		expect(0, 0, 0, 0);
		assert_int_equal(flow.counts.received, 100000);
		assert_int_equal(flow.next, s + 100000);
	}
}

static void gaps(void **state)
{
	uint32_t s;

	(void)state;
	EACH_START(s)
	{
		reset(s);
		sequence_flow_note(&flow, s);
		sequence_flow_note(&flow, s + 2);
		expect(1, 0, 0, 0);
		sequence_flow_note(&flow, s + 10);
		expect(8, 0, 0, 0);
		sequence_flow_note(&flow, s + 10 + 3 * SEQUENCE_WINDOW);
		expect(8 + 3 * SEQUENCE_WINDOW - 1, 0, 0, 0);
	}
}

static void late_and_double(void **state)
{
	uint32_t s;

	(void)state;
	EACH_START(s)
	{
		reset(s);
		sequence_flow_note(&flow, s);
		sequence_flow_note(&flow, s + 3);
		expect(2, 0, 0, 0);
		sequence_flow_note(&flow, s + 1); /* late: was not lost */
		expect(1, 0, 1, 0);
		sequence_flow_note(&flow, s + 1); /* now it is double */
		expect(1, 1, 1, 0);
		sequence_flow_note(&flow, s + 3);
		expect(1, 2, 1, 0);
		sequence_flow_note(&flow, s + 4);
		expect(1, 2, 1, 0);
	}
}

static void edges_of_the_window(void **state)
{
	uint32_t s;

	(void)state;
	EACH_START(s)
	{
		reset(s);
		sequence_flow_note(&flow, s + 1); /* s is missing */
		sequence_flow_note(&flow, s + SEQUENCE_WINDOW - 1);
		/* s is now the oldest that the window knows */
		sequence_flow_note(&flow, s);
		expect(SEQUENCE_WINDOW - 3, 0, 1, 0);
		sequence_flow_note(&flow, s + 1);
		expect(SEQUENCE_WINDOW - 3, 1, 1, 0);
		/* one step on, s is too old to be told */
		sequence_flow_note(&flow, s + SEQUENCE_WINDOW);
		sequence_flow_note(&flow, s);
		expect(SEQUENCE_WINDOW - 3, 1, 1, 1);
	}
}

/* A far jump must not leave bits of numbers that were seen a window before. */
static void jumps_forget(void **state)
{
	uint32_t s, i, jump;

	(void)state;
	EACH_START(s)
	{
		for (jump = SEQUENCE_WINDOW - 2; jump < SEQUENCE_WINDOW + 3; jump++) {
			reset(s);
			for (i = 0; i < SEQUENCE_WINDOW; i++)
				sequence_flow_note(&flow, s + i);
			sequence_flow_note(&flow, s + SEQUENCE_WINDOW + jump);
			expect(jump, 0, 0, 0);
			for (i = 0; i < jump; i++)
				sequence_flow_note(&flow, s + SEQUENCE_WINDOW + i);
			/* those still in the window were late, the others are too old */
			assert_int_equal(flow.counts.duplicated, 0);
			assert_int_equal(flow.counts.reordered + flow.counts.stale, jump);
			assert_true(flow.counts.stale <= 3);
		}
	}
}

/* A model with one byte per number. */
static void against_a_model(void **state)
{
	enum { N = 200000 };
	uint8_t *seen = calloc(N + 64, 1);
	uint64_t lost = 0, duplicated = 0, reordered = 0, top = 0, i, k;
	uint32_t s = UINT32_MAX - N / 2;
	struct random r;

	(void)state;
	assert_non_null(seen);
	random_seed(&r, 7);
	reset(s);
	for (i = 0; i < N; i++) {
		/* mostly the next, sometimes skips or falls back a little */
		uint32_t what = random_below(&r, 100);
		uint64_t at = top;

		if (what < 5)
			at = top + random_below(&r, 20);
		else if (what < 15 && top > 64)
			at = top - 1 - random_below(&r, 60);
		if (at >= N)
			break;
		if (at >= top) {
			for (k = top; k < at; k++)
				lost++;
			top = at + 1;
		} else if (seen[at]) {
			duplicated++;
		} else {
			reordered++;
			lost--;
		}
		seen[at] = 1;
		sequence_flow_note(&flow, s + (uint32_t)at);
	}
	assert_true(duplicated && reordered && lost);
	expect(lost, duplicated, reordered, 0);
	free(seen);
}

static void note(struct sequence_tracker *t, uint32_t run, uint16_t flow_id, uint32_t sequence,
		 bool spoil)
{
	struct frame_builder b = {.kind = FRAME_DATA, .run = run, .flow = flow_id};
	uint8_t frame[60];

	b.addresses.src_mac.count = b.addresses.dst_mac.count = 1;
	b.addresses.src_ip.count = b.addresses.dst_ip.count = 1;
	b.addresses.src_port.count = b.addresses.dst_port.count = 1;
	assert_int_equal(frame_builder_init(&b, 60), 0);
	frame_build(&b, frame, 60, sequence);
	frame[59] ^= spoil;
	sequence_note(t, frame, 60);
	frame_builder_free(&b);
}

static void flows_are_told_apart(void **state)
{
	struct sequence_tracker *t = sequence_new(false);
	uint8_t arp[60] = {[12] = 8, [13] = 6};
	struct sequence_counts c;
	uint32_t i;

	(void)state;
	assert_non_null(t);
	for (i = 0; i < 100; i++) {
		note(t, 1, 0, i, false);
		note(t, 1, 1, i, false);
		note(t, 2, 0, i, false); /* the sender started anew */
	}
	assert_int_equal(t->n_flows, 3);
	assert_false(sequence_is_bad(t));
	sequence_note(t, arp, sizeof(arp));
	assert_int_equal(t->other, 1);
	assert_false(sequence_is_bad(t));
	note(t, 2, 1, 5, false); /* 0 to 4 of this flow never came */
	c = sequence_total(t);
	assert_int_equal(c.lost, 5);
	assert_int_equal(c.received, 301);
	note(t, 1, 0, 100, true);
	assert_int_equal(t->corrupted, 1);
	note(t, 1, 0, 101, false);
	c = sequence_total(t);
	assert_int_equal(c.lost, 6);
	assert_true(sequence_is_bad(t));
	sequence_free(t);
}

static void joining_starts_where_it_starts(void **state)
{
	struct sequence_tracker *t = sequence_new(true);

	(void)state;
	note(t, 1, 0, 3000000000U, false);
	note(t, 1, 0, 3000000001U, false);
	assert_false(sequence_is_bad(t));
	sequence_free(t);
	/* and what was there before a start at 0 may still come late */
	t = sequence_new(false);
	note(t, 1, 0, 2, false);
	assert_int_equal(sequence_total(t).lost, 2);
	note(t, 1, 0, 0, false);
	assert_int_equal(sequence_total(t).lost, 1);
	assert_int_equal(sequence_total(t).reordered, 1);
	sequence_free(t);
}

static void too_many_flows(void **state)
{
	struct sequence_tracker *t = sequence_new(false);
	uint32_t i;

	(void)state;
	for (i = 0; i < SEQUENCE_MAX_FLOWS + 5; i++)
		note(t, i, 0, 0, false);
	assert_int_equal(t->n_flows, SEQUENCE_MAX_FLOWS);
	assert_int_equal(t->untracked, 5);
	assert_true(sequence_is_bad(t));
	sequence_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order),
		cmocka_unit_test(gaps),
		cmocka_unit_test(late_and_double),
		cmocka_unit_test(edges_of_the_window),
		cmocka_unit_test(jumps_forget),
		cmocka_unit_test(against_a_model),
		cmocka_unit_test(flows_are_told_apart),
		cmocka_unit_test(joining_starts_where_it_starts),
		cmocka_unit_test(too_many_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
