/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames: their checksums by another reckoning, and that any changed bit shows.
 */
#include "frame.h"
#include "size.h"
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

static struct frame_builder builder(enum frame_kind kind, uint32_t largest)
{
	struct frame_builder b = {.kind = kind, .flow = 0x1234, .run = 0xdeadbeef};

	assert_int_equal(address_parse_mac(&b.addresses.src_mac, "02:00:00:00:00:01"), 0);
	assert_int_equal(address_parse_mac(&b.addresses.dst_mac, "02:00:00:00:00:02"), 0);
	assert_int_equal(address_parse_ip(&b.addresses.src_ip, "192.0.2.1-192.0.2.3"), 0);
	assert_int_equal(address_parse_ip(&b.addresses.dst_ip, "198.51.100.7"), 0);
	assert_int_equal(address_parse_port(&b.addresses.src_port, "1000-1001"), 0);
	assert_int_equal(address_parse_port(&b.addresses.dst_port, "53"), 0);
	assert_int_equal(frame_builder_init(&b, largest), 0);
	return b;
}

/* RFC 1071 the slow way: end-around carry word by word. */
static uint16_t add(uint16_t a, uint16_t b)
{
	uint32_t s = (uint32_t)a + b;

	return (uint16_t)(s + (s >> 16));
}

static uint16_t slow_sum(const uint8_t *p, size_t len, uint16_t s)
{
	for (; len > 1; p += 2, len -= 2)
		s = add(s, (uint16_t)(p[0] << 8 | p[1]));
	return len ? add(s, (uint16_t)(p[0] << 8)) : s;
}

static void check_frame(const uint8_t *f, uint32_t len)
{
	uint16_t s;

	assert_int_equal(f[12] << 8 | f[13], 0x0800);
	assert_int_equal(f[14], 0x45);
	assert_int_equal(f[16] << 8 | f[17], len - 14);
	assert_int_equal(slow_sum(f + 14, 20, 0), 0xffff);
	assert_int_equal(f[38] << 8 | f[39], len - 34);
	s = slow_sum(f + 26, 8, 17);
	s = add(s, (uint16_t)(len - 34));
	assert_int_equal(slow_sum(f + 34, len - 34, s), 0xffff);
	assert_true(f[40] || f[41]);
}

static void checksums_are_right(void **state)
{
	static const uint32_t sizes[] = {42,  43,  57,	 58,   59,   60,   61,	  64,
					 255, 256, 1513, 1514, 9014, 9015, 65548, SIZE_MAX_FRAME};
	static const enum frame_kind kinds[] = {FRAME_OTHER, FRAME_DATA, FRAME_CHECKED, FRAME_PING};
	uint8_t *f = malloc(SIZE_MAX_FRAME);
	size_t i, k;

	(void)state;
	for (k = 0; k < 4; k++) {
		struct frame_builder b = builder(kinds[k], SIZE_MAX_FRAME);

		for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			frame_build(&b, f, sizes[i], i * 1000003);
			check_frame(f, sizes[i]);
			if (sizes[i] >= FRAME_STAMPED)
				assert_true(frame_is_intact(f, sizes[i]));
		}
		frame_builder_free(&b);
	}
	free(f);
}

static void builders_for_one_size(void **state)
{
	uint8_t *f;
	uint32_t len;

	(void)state;
	for (len = 42; len < 200; len++) {
		struct frame_builder b = builder(FRAME_DATA, len);

		f = malloc(len); /* exactly: a sanitizer sees a byte too many */
		frame_build(&b, f, len, 7);
		check_frame(f, len);
		free(f);
		frame_builder_free(&b);
	}
}

/* A checksum of 0 is sent as 0xffff: some sequence number gives it. */
static void no_frame_is_without_checksum(void **state)
{
	struct frame_builder b = builder(FRAME_DATA, 60);
	unsigned int ones = 0;
	uint8_t f[60];
	uint32_t n;

	(void)state;
	for (n = 0; n < 200000; n++) {
		frame_build(&b, f, 60, n);
		assert_true(f[40] || f[41]);
		ones += f[40] == 0xff && f[41] == 0xff;
	}
	assert_true(ones > 0);
	frame_builder_free(&b);
}

static void stamps_are_read_back(void **state)
{
	struct frame_builder b = builder(FRAME_CHECKED, 100);
	struct frame_stamp s;
	uint8_t f[100];

	(void)state;
	frame_build(&b, f, 100, UINT64_C(0x1ffffffff));
	s = frame_read(f, 100);
	assert_int_equal(s.kind, FRAME_CHECKED);
	assert_int_equal(s.flow, 0x1234);
	assert_int_equal(s.run, 0xdeadbeef);
	assert_int_equal(s.sequence, UINT32_MAX);
	assert_int_equal(frame_read(f, FRAME_STAMPED - 1).kind, FRAME_OTHER);
	f[13] = 6;
	assert_int_equal(frame_read(f, 100).kind, FRAME_OTHER);
	frame_builder_free(&b);
}

static void addresses_go_round(void **state)
{
	struct frame_builder b = builder(FRAME_DATA, 60);
	uint8_t f[60];

	(void)state;
	frame_build(&b, f, 60, 4);
	assert_int_equal(f[29], 2); /* 192.0.2.1 to .3: the second */
	assert_int_equal(f[34] << 8 | f[35], 1000);
	frame_build(&b, f, 60, 5);
	assert_int_equal(f[29], 3);
	assert_int_equal(f[34] << 8 | f[35], 1001);
	check_frame(f, 60);
	frame_builder_free(&b);
}

/* Past the Ethernet header, where nothing of ours protects, any single bit. */
static void every_bit_counts(void **state)
{
	struct frame_builder b = builder(FRAME_CHECKED, 200);
	uint8_t f[200];
	size_t bit;

	(void)state;
	frame_build(&b, f, 200, 99);
	for (bit = 14 * 8; bit < 200 * 8; bit++) {
		f[bit / 8] ^= (uint8_t)(1 << bit % 8);
		if (frame_read(f, 200).kind != FRAME_OTHER && frame_is_intact(f, 200))
			fail_msg("bit %zu of byte %zu does not count", bit % 8, bit / 8);
		f[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(frame_is_intact(f, 200));
	assert_false(frame_is_intact(f, 199));
	frame_builder_free(&b);
}

/* What the Internet checksum can't see, the payload check does: exchanged words. */
static void exchanged_words(void **state)
{
	enum frame_kind kinds[] = {FRAME_DATA, FRAME_CHECKED};
	uint8_t f[200], t[2];
	int k;

	(void)state;
	for (k = 0; k < 2; k++) {
		struct frame_builder b = builder(kinds[k], 200);

		frame_build(&b, f, 200, 99);
		memcpy(t, f + 100, 2);
		memcpy(f + 100, f + 150, 2);
		memcpy(f + 150, t, 2);
		assert_int_equal(frame_is_intact(f, 200), kinds[k] == FRAME_DATA);
		frame_builder_free(&b);
	}
}

static void padding_of_a_nic_is_no_damage(void **state)
{
	struct frame_builder b = builder(FRAME_CHECKED, 100);
	uint8_t f[100] = {0};

	(void)state;
	frame_build(&b, f, 58, 1);
	assert_true(frame_is_intact(f, 60));
	assert_false(frame_is_intact(f, 61));
	frame_builder_free(&b);
}

static void answers(void **state)
{
	struct frame_builder b = builder(FRAME_PING, 1000);
	uint8_t f[1000], g[1000];
	uint32_t n;

	(void)state;
	for (n = 0; n < 70000; n++) {
		uint32_t len = 58 + n % 900;

		frame_build(&b, f, len, n);
		memcpy(g, f, len);
		frame_answer(g);
		assert_memory_equal(g, f + 6, 6);
		assert_memory_equal(g + 6, f, 6);
		assert_memory_equal(g + 26, f + 30, 4);
		assert_memory_equal(g + 30, f + 26, 4);
		assert_int_equal(frame_read(g, len).kind, FRAME_PONG);
		assert_int_equal(frame_read(g, len).sequence, n);
		check_frame(g, len);
	}
	frame_builder_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksums_are_right),
		cmocka_unit_test(builders_for_one_size),
		cmocka_unit_test(no_frame_is_without_checksum),
		cmocka_unit_test(stamps_are_read_back),
		cmocka_unit_test(addresses_go_round),
		cmocka_unit_test(every_bit_counts),
		cmocka_unit_test(exchanged_words),
		cmocka_unit_test(padding_of_a_nic_is_no_damage),
		cmocka_unit_test(answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
