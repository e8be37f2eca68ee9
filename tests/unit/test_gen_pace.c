/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending at a rate, on a clock of the test's own.
 */
#include "pace.h"
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>

#include <cmocka.h>

#define SECOND INT64_C(1000000000)

static void no_limit(void **state)
{
	struct pace p;

	(void)state;
	pace_start(&p, 0, 64, 5);
	assert_int_equal(pace_due(&p, 5), 64);
	pace_sent(&p, 64);
	assert_int_equal(pace_due(&p, 5), 64);
}

static void one_at_a_time(void **state)
{
	struct pace p;

	(void)state;
	pace_start(&p, 1000 * 1000, 64, 100); /* 1000 pps: every ms */
	assert_int_equal(pace_when(&p, 1), 100);
	assert_int_equal(pace_due(&p, 99), 0);
	assert_int_equal(pace_due(&p, 100), 1);
	pace_sent(&p, 1);
	assert_int_equal(pace_due(&p, 100), 0);
	assert_int_equal(pace_when(&p, 1), 1000100);
	assert_int_equal(pace_due(&p, 1000099), 0);
	assert_int_equal(pace_due(&p, 1000100), 1);
	/* some not sent for want of room stay due */
	assert_int_equal(pace_due(&p, 3000100), 3);
	pace_sent(&p, 2);
	assert_int_equal(pace_due(&p, 3000100), 1);
	assert_int_equal(pace_when(&p, 3), 5000100);
}

static void lost_time_is_bounded_by_a_burst(void **state)
{
	struct pace p;
	int64_t now = 10 * SECOND;

	(void)state;
	pace_start(&p, 1000 * 1000, 8, 0);
	assert_int_equal(pace_due(&p, now), 8); /* not 10001 */
	pace_sent(&p, 8);
	assert_int_equal(pace_due(&p, now), 0);
	/* and then the rate again, at once */
	assert_int_equal(pace_when(&p, 1), now + 1000000);
	assert_int_equal(pace_due(&p, now + 1000000), 1);
}

/* Runs for a simulated time, waking when the pace says; returns packets sent. */
static uint64_t run(struct pace *p, int64_t until)
{
	uint64_t total = 0;
	int64_t now = p->start;

	while (now < until) {
		uint32_t n = pace_due(p, now);

		if (n) {
			pace_sent(p, n);
			total += n;
		} else {
			int64_t when = pace_when(p, pace_lump(p));

			assert_true(when > now);
			now = when;
		}
	}
	return total;
}

static void long_runs_do_not_drift(void **state)
{
	struct pace p;

	(void)state;
	pace_start(&p, 3 * 1000, 64, 0); /* a third of a second is no whole number of ns */
	assert_int_equal(run(&p, 1000000 * SECOND), 3000000);
	pace_start(&p, 500, 64, 0);
	assert_int_equal(run(&p, 1000 * SECOND), 500);
	pace_start(&p, UINT64_C(14880952381), 256, 0);
	assert_in_range(run(&p, SECOND), 14880952 - 256, 14880952 + 256); /* whole lumps */
}

static void start_is_not_bound_to_zero(void **state)
{
	struct pace p;

	(void)state;
	pace_start(&p, 1000 * 1000, 64, -5 * SECOND);
	assert_int_equal(pace_due(&p, -5 * SECOND), 1);
	/* a clock near the end of its range */
	pace_start(&p, 1000 * 1000, 64, INT64_MAX - SECOND);
	assert_int_equal(pace_due(&p, INT64_MAX), 64);
}

static void lumps(void **state)
{
	struct pace p;

	(void)state;
	pace_start(&p, 1000 * 1000, 64, 0);
	assert_int_equal(pace_lump(&p), 1);
	pace_start(&p, 100000 * 1000, 64, 0);
	assert_int_equal(pace_lump(&p), 10);
	pace_start(&p, UINT64_C(10000000) * 1000, 64, 0);
	assert_int_equal(pace_lump(&p), 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(no_limit),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(lost_time_is_bounded_by_a_burst),
		cmocka_unit_test(long_runs_do_not_drift),
		cmocka_unit_test(start_is_not_bound_to_zero),
		cmocka_unit_test(lumps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
