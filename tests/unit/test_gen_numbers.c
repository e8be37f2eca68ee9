/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptnet-gen's numbers: counts, rates, times, sizes, addresses, and the latency histogram.
 */
#include "address.h"
#include "histogram.h"
#include "number.h"
#include "size.h"
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static void counts(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint64_t value;
	} t[] = {
		{"0", -ERANGE, 0},
		{"1", 0, 1},
		{"1k", 0, 1000},
		{"2M", 0, 2000000},
		{"3G", 0, 3000000000},
		{"18446744073709551615", 0, UINT64_MAX},
		{"", -EINVAL, 0},
		{"x", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1kk", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"1.5", -EINVAL, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"1z", -EINVAL, 0},
		{"99999999999G", -ERANGE, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		uint64_t value = 77;

		if (parse_count(t[i].text, 1, UINT64_MAX, &value) != t[i].result)
			fail_msg("'%s'", t[i].text);
		assert_int_equal(value, t[i].result ? 77 : t[i].value);
	}
}

static void rates_and_times(void **state)
{
	uint64_t rate;
	int64_t ns;

	(void)state;
	assert_int_equal(parse_rate("1000", &rate), 0);
	assert_int_equal(rate, 1000000);
	assert_int_equal(parse_rate("0.5", &rate), 0);
	assert_int_equal(rate, 500);
	assert_int_equal(parse_rate("14.88M", &rate), 0);
	assert_int_equal(rate, UINT64_C(14880000000));
	assert_int_equal(parse_rate("0", &rate), -ERANGE);
	assert_int_equal(parse_rate("-1", &rate), -EINVAL);
	assert_int_equal(parse_rate("inf", &rate), -EINVAL);
	assert_int_equal(parse_rate("1e999", &rate), -ERANGE);
	assert_int_equal(parse_rate("1x", &rate), -EINVAL);

	assert_int_equal(parse_duration("2", &ns), 0);
	assert_int_equal(ns, 2000000000);
	assert_int_equal(parse_duration("0.25s", &ns), 0);
	assert_int_equal(ns, 250000000);
	assert_int_equal(parse_duration("300ms", &ns), 0);
	assert_int_equal(ns, 300000000);
	assert_int_equal(parse_duration("50us", &ns), 0);
	assert_int_equal(ns, 50000);
	assert_int_equal(parse_duration("5m", &ns), -EINVAL);
	assert_int_equal(parse_duration("-1", &ns), -EINVAL);
	assert_int_equal(parse_duration("1e30", &ns), -ERANGE);
}

static void units(void **state)
{
	char b[16];

	(void)state;
	assert_string_equal(with_unit(0, b, sizeof(b)), "0.00 ");
	assert_string_equal(with_unit(8120000, b, sizeof(b)), "8.12 M");
	assert_string_equal(with_unit(99.96, b, sizeof(b)), "100 ");
	assert_string_equal(with_unit(999.6, b, sizeof(b)), "1.00 k");
	assert_string_equal(with_unit(12345, b, sizeof(b)), "12.3 k");
}

static void sizes_parse(void **state)
{
	static const struct {
		const char *text;
		int result;
		uint32_t largest;
		int fixed;
	} t[] = {
		{"60", 0, 60, 1},
		{"42", 0, 42, 1},
		{"65549", 0, 65549, 1},
		{"60-1514", 0, 1514, 0},
		{"60-60", 0, 60, 1},
		{"imix", 0, 1514, 0},
		{"60:7,100-200:2,9014", 0, 9014, 0},
		{"41", -ERANGE, 0, 0},
		{"65550", -ERANGE, 0, 0},
		{"", -EINVAL, 0, 0},
		{"60,", -EINVAL, 0, 0},
		{"60-", -EINVAL, 0, 0},
		{"100-60", -EINVAL, 0, 0},
		{"60:0", -ERANGE, 0, 0},
		{"60:", -EINVAL, 0, 0},
		{"60,imix", -EINVAL, 0, 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
		struct size_distribution d;

		if (size_parse(&d, t[i].text) != t[i].result)
			fail_msg("'%s'", t[i].text);
		if (t[i].result)
			continue;
		assert_int_equal(size_largest(&d), t[i].largest);
		assert_int_equal(size_is_fixed(&d), t[i].fixed);
	}
}

static void sizes_come_by_weight(void **state)
{
	struct size_distribution d;
	unsigned int seen[3] = {0}, i;
	struct random r;

	(void)state;
	random_seed(&r, 1);
	assert_int_equal(size_parse(&d, "imix"), 0);
	for (i = 0; i < 120000; i++) {
		uint32_t s = size_next(&d, &r);

		assert_true(s == 60 || s == 590 || s == 1514);
		seen[s == 60 ? 0 : s == 590 ? 1 : 2]++;
	}
	/* 7:4:1, within one per cent; the seed is fixed, so this is the same every time */
	assert_in_range(seen[0], 69300, 70700);
	assert_in_range(seen[1], 39600, 40400);
	assert_in_range(seen[2], 9800, 10200);
}

static void ranges_reach_both_ends(void **state)
{
	struct size_distribution d;
	unsigned int seen[4] = {0}, i;
	struct random r;

	(void)state;
	random_seed(&r, 0);
	assert_int_equal(size_parse(&d, "100-103"), 0);
	for (i = 0; i < 1000; i++) {
		uint32_t s = size_next(&d, &r);

		assert_in_range(s, 100, 103);
		seen[s - 100]++;
	}
	for (i = 0; i < 4; i++)
		assert_true(seen[i] > 200);
}

static void addresses(void **state)
{
	struct address_range r;

	(void)state;
	assert_int_equal(address_parse_mac(&r, "02:00:00:00:01:ff"), 0);
	assert_int_equal(r.first, 0x0200000001ffULL);
	assert_int_equal(r.count, 1);
	assert_int_equal(address_of(&r, 12345), 0x0200000001ffULL);
	assert_int_equal(address_parse_mac(&r, "02:00:00:00:00:fe-02:00:00:00:01:01"), 0);
	assert_int_equal(r.count, 4);
	assert_int_equal(address_of(&r, 2), 0x020000000100ULL);
	assert_int_equal(address_of(&r, 4), 0x0200000000feULL);
	assert_int_equal(address_parse_ip(&r, "10.0.0.255-10.0.1.0"), 0);
	assert_int_equal(r.first, 0x0a0000ff);
	assert_int_equal(r.count, 2);
	assert_int_equal(address_parse_port(&r, "0-65535"), 0);
	assert_int_equal(r.count, 65536);

	assert_int_equal(address_parse_mac(&r, "02:00:00:00:01"), -EINVAL);
	assert_int_equal(address_parse_mac(&r, "02:00:00:00:01:fff"), -EINVAL);
	assert_int_equal(address_parse_mac(&r, ""), -EINVAL);
	assert_int_equal(address_parse_ip(&r, "10.0.0"), -EINVAL);
	assert_int_equal(address_parse_ip(&r, "10.0.0.2-10.0.0.1"), -EINVAL);
	assert_int_equal(address_parse_port(&r, "65536"), -EINVAL);
	assert_int_equal(address_parse_port(&r, "1-"), -EINVAL);
	assert_int_equal(r.count, 65536); /* untouched by errors */
}

static void histogram(void **state)
{
	static struct histogram h;
	uint64_t i;

	(void)state;
	histogram_init(&h);
	assert_int_equal(histogram_quantile(&h, 500), 0);
	assert_int_equal(histogram_mean(&h), 0);
	for (i = 1; i <= 100000; i++)
		histogram_add(&h, i * 10);
	assert_int_equal(h.min, 10);
	assert_int_equal(h.max, 1000000);
	assert_int_equal(histogram_mean(&h), 500005);
	assert_in_range(histogram_quantile(&h, 500), 500000, 508000);
	assert_in_range(histogram_quantile(&h, 990), 990000, 1000000);
	assert_int_equal(histogram_quantile(&h, 1000), 1000000);
	assert_in_range(histogram_quantile(&h, 0), 10, 10);

	/* every magnitude has its class, and no class is wider than 1/64 */
	for (i = 0; i < 64; i++) {
		uint64_t v = UINT64_C(1) << i;

		histogram_init(&h);
		histogram_add(&h, v);
		histogram_add(&h, UINT64_MAX);
		assert_in_range(histogram_quantile(&h, 500), v, v + v / 64);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counts),
		cmocka_unit_test(rates_and_times),
		cmocka_unit_test(units),
		cmocka_unit_test(sizes_parse),
		cmocka_unit_test(sizes_come_by_weight),
		cmocka_unit_test(ranges_reach_both_ends),
		cmocka_unit_test(addresses),
		cmocka_unit_test(histogram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
