/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which flow a frame belongs to, by frames made here field by field.
 */
#include "flow.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

/* A frame under construction. */
struct frame {
	uint8_t b[512];
	uint32_t len;
};

static void put(struct frame *f, uint64_t value, uint32_t bytes)
{
	while (bytes--)
		f->b[f->len++] = (uint8_t)(value >> 8 * bytes);
}

static void ethernet(struct frame *f, uint16_t type)
{
	f->len = 0;
	put(f, 0x020000000001, 6);
	put(f, 0x020000000002, 6);
	put(f, type, 2);
}

static void vlan(struct frame *f, uint16_t tag, uint16_t type)
{
	put(f, tag, 2);
	put(f, type, 2);
}

struct ends {
	uint32_t a, b; /* addresses; in IPv6 the last 32 bits */
	uint16_t a_port, b_port;
};

static const struct ends there = {0x0a000001, 0x0a000002, 1234, 80};
static const struct ends back = {0x0a000002, 0x0a000001, 80, 1234};

/* fragment: as in the header */
static void ipv4(struct frame *f, const struct ends *e, uint8_t protocol, uint16_t fragment,
		 uint32_t options)
{
	put(f, 0x40 | (5 + options), 1);
	put(f, 0, 1);
	put(f, 1000, 2);
	put(f, 77, 2);
	put(f, fragment, 2);
	put(f, 64, 1);
	put(f, protocol, 1);
	put(f, 0, 2);
	put(f, e->a, 4);
	put(f, e->b, 4);
	while (options--)
		put(f, 0x01010101, 4);
}

static void ipv6(struct frame *f, const struct ends *e, uint8_t next)
{
	put(f, 0x60000000, 4);
	put(f, 1000, 2);
	put(f, next, 1);
	put(f, 64, 1);
	put(f, 0xfd00000000000000, 8);
	put(f, e->a, 8);
	put(f, 0xfd00000000000000, 8);
	put(f, e->b, 8);
}

static void extension(struct frame *f, uint8_t next, uint32_t more)
{
	put(f, next, 1);
	put(f, more, 1);
	put(f, 0, 6);
	while (more--)
		put(f, 0, 8);
}

static void fragment_header(struct frame *f, uint8_t next, uint16_t offset)
{
	put(f, next, 1);
	put(f, 0, 1);
	put(f, offset, 2);
	put(f, 99, 4);
}

static void ports(struct frame *f, const struct ends *e)
{
	put(f, e->a_port, 2);
	put(f, e->b_port, 2);
	put(f, 0, 8);
}

/* From memory of just its size, so that ASan sees what is read behind it. */
static struct flow read_part(const struct frame *f, uint32_t len, enum flow_fields fields)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct flow flow;

	assert_non_null(copy);
	memcpy(copy, f->b, len);
	flow = flow_of(copy, len, fields, 0);
	free(copy);
	return flow;
}

static uint32_t hash(const struct frame *f, enum flow_kind kind)
{
	struct flow flow = read_part(f, f->len, FLOW_FIELDS_PORTS);

	assert_int_equal(flow.kind, kind);
	return flow.hash;
}

static uint32_t hash_v4(const struct ends *e, uint8_t protocol)
{
	struct frame f;

	ethernet(&f, 0x0800);
	ipv4(&f, e, protocol, 0, 0);
	ports(&f, e);
	return hash(&f, FLOW_PORTS);
}

static uint32_t hash_v6(const struct ends *e, uint8_t protocol)
{
	struct frame f;

	ethernet(&f, 0x86dd);
	ipv6(&f, e, protocol);
	ports(&f, e);
	return hash(&f, FLOW_PORTS);
}

static uint32_t addresses_v4(const struct ends *e)
{
	struct frame f;

	ethernet(&f, 0x0800);
	ipv4(&f, e, 47, 0, 0);
	ports(&f, e);
	return hash(&f, FLOW_ADDRESSES);
}

static uint32_t addresses_v6(const struct ends *e)
{
	struct frame f;

	ethernet(&f, 0x86dd);
	ipv6(&f, e, 59);
	return hash(&f, FLOW_ADDRESSES);
}

static void both_directions_are_one_flow(void **state)
{
	static const uint8_t protocols[] = {6, 17, 132, 136, 33};
	struct ends other = there, crossed = {there.a, there.b, there.b_port, there.a_port};
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof(protocols); i++) {
		uint32_t h4 = hash_v4(&there, protocols[i]), h6 = hash_v6(&there, protocols[i]);

		assert_int_equal(h4, hash_v4(&back, protocols[i]));
		assert_int_equal(h6, hash_v6(&back, protocols[i]));
		assert_int_not_equal(h4, h6);
		/* a connection the other way round between the same ports is another flow */
		assert_int_not_equal(h4, hash_v4(&crossed, protocols[i]));
		assert_int_not_equal(h6, hash_v6(&crossed, protocols[i]));
		other.a_port = 1235;
		assert_int_not_equal(h4, hash_v4(&other, protocols[i]));
		for (k = 0; k < i; k++)
			assert_int_not_equal(h4, hash_v4(&there, protocols[k]));
	}
	assert_int_equal(addresses_v4(&there), addresses_v4(&back));
	assert_int_equal(addresses_v6(&there), addresses_v6(&back));
}

static void fragments_go_by_their_addresses(void **state)
{
	static const uint16_t v4[] = {0x2000, 0x2001, 0x0001, 0x1fff, 0x6000};
	static const uint16_t v6[] = {1, 8, 9, 0xfff8};
	struct frame f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v4) / sizeof(v4[0]); i++) {
		ethernet(&f, 0x0800);
		ipv4(&f, &there, 17, v4[i], 0);
		ports(&f, &there);
		assert_int_equal(hash(&f, FLOW_ADDRESSES), addresses_v4(&back));
	}
	for (i = 0; i < sizeof(v6) / sizeof(v6[0]); i++) {
		ethernet(&f, 0x86dd);
		ipv6(&f, &there, 44);
		fragment_header(&f, 17, v6[i]);
		ports(&f, &there);
		assert_int_equal(hash(&f, FLOW_ADDRESSES), addresses_v6(&back));
	}
	/* "Don't fragment" and a fragment that is the whole are none */
	ethernet(&f, 0x0800);
	ipv4(&f, &there, 17, 0x4000, 0);
	ports(&f, &there);
	assert_int_equal(hash(&f, FLOW_PORTS), hash_v4(&there, 17));
	ethernet(&f, 0x86dd);
	ipv6(&f, &there, 44);
	fragment_header(&f, 17, 0);
	ports(&f, &there);
	assert_int_equal(hash(&f, FLOW_PORTS), hash_v6(&there, 17));
	/* on request they stay with their flow */
	assert_int_equal(read_part(&f, f.len, FLOW_FIELDS_ADDRESSES).hash, addresses_v6(&there));
}

static void what_stands_before_the_ports(void **state)
{
	struct frame f;

	(void)state;
	ethernet(&f, 0x8100);
	vlan(&f, 7, 0x88a8);
	vlan(&f, 9, 0x9100);
	vlan(&f, 0xffff, 0x0800);
	ipv4(&f, &there, 6, 0, 10);
	ports(&f, &there);
	assert_int_equal(hash(&f, FLOW_PORTS), hash_v4(&back, 6));
	ethernet(&f, 0x86dd);
	ipv6(&f, &there, 0);
	extension(&f, 43, 1);
	extension(&f, 60, 2);
	extension(&f, 51, 0);
	put(&f, 6, 1); /* authentication: counts words, two fewer */
	put(&f, 4, 1);
	put(&f, 0, 6);
	put(&f, 0, 8);
	put(&f, 0, 8);
	ports(&f, &there);
	assert_int_equal(hash(&f, FLOW_PORTS), hash_v6(&back, 6));
}

static void errors_go_with_what_they_are_about(void **state)
{
	static const uint8_t v4[] = {3, 4, 5, 11, 12}, v6[] = {1, 2, 3, 4};
	struct ends router = {0xc0a80001, there.a, 0, 0};
	struct frame f;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(v4); i++) {
		ethernet(&f, 0x0800);
		ipv4(&f, &router, 1, 0, 0);
		put(&f, v4[i], 1);
		put(&f, 0, 7);
		ipv4(&f, &there, 6, 0, 0);
		ports(&f, &there);
		assert_int_equal(hash(&f, FLOW_PORTS), hash_v4(&there, 6));
		/* cut before its ports: as far as can be told */
		assert_int_equal(read_part(&f, 14 + 20 + 8 + 20 + 3, FLOW_FIELDS_PORTS).hash,
				 addresses_v4(&there));
		assert_int_equal(read_part(&f, 14 + 20 + 8 + 19, FLOW_FIELDS_PORTS).hash,
				 addresses_v4(&router));
	}
	for (i = 0; i < sizeof(v6); i++) {
		ethernet(&f, 0x86dd);
		ipv6(&f, &router, 58);
		put(&f, v6[i], 1);
		put(&f, 0, 7);
		ipv6(&f, &there, 17);
		ports(&f, &there);
		assert_int_equal(hash(&f, FLOW_PORTS), hash_v6(&back, 17));
	}
	/* an echo is about nothing, and an error about an error is not followed for ever */
	ethernet(&f, 0x0800);
	ipv4(&f, &there, 1, 0, 0);
	put(&f, 8, 1);
	put(&f, 0, 7);
	ipv4(&f, &router, 6, 0, 0);
	ports(&f, &router);
	assert_int_equal(hash(&f, FLOW_ADDRESSES), addresses_v4(&there));
	ethernet(&f, 0x0800);
	for (i = 0; i < 10; i++) {
		ipv4(&f, i == 1 ? &router : &there, 1, 0, 0);
		put(&f, 3, 1);
		put(&f, 0, 7);
	}
	assert_int_equal(hash(&f, FLOW_ADDRESSES), addresses_v4(&router));
}

static void everything_else_goes_by_mac(void **state)
{
	struct frame f, g;

	(void)state;
	ethernet(&f, 0x0806);
	put(&f, 0x0001080006040001, 8);
	g = f;
	memcpy(g.b, f.b + 6, 6);
	memcpy(g.b + 6, f.b, 6);
	assert_int_equal(hash(&f, FLOW_MAC), hash(&g, FLOW_MAC));
	g.b[0] ^= 1;
	assert_int_not_equal(hash(&f, FLOW_MAC), hash(&g, FLOW_MAC));
	/* called IP, but it isn't */
	ethernet(&g, 0x0800);
	ipv4(&g, &there, 6, 0, 0);
	g.b[14] = 0x44;
	assert_int_equal(hash(&g, FLOW_MAC), hash(&f, FLOW_MAC));
	g.b[14] = 0x95;
	assert_int_equal(hash(&g, FLOW_MAC), hash(&f, FLOW_MAC));
	/* tags without end */
	ethernet(&g, 0x8100);
	while (g.len < 400)
		vlan(&g, 1, 0x8100);
	assert_int_equal(hash(&g, FLOW_MAC), hash(&f, FLOW_MAC));
}

static void padding_is_no_port(void **state)
{
	struct frame f;

	(void)state;
	ethernet(&f, 0x0800);
	ipv4(&f, &there, 6, 0, 0);
	f.b[16] = 0;
	f.b[17] = 23; /* the packet is 23 bytes long */
	ports(&f, &there);
	assert_int_equal(hash(&f, FLOW_ADDRESSES), addresses_v4(&there));
}

/* At every length each answer is the full one or one that knows less; nothing is read behind it. */
static void frames_cut_anywhere(void **state)
{
	enum flow_kind last = FLOW_SHORT;
	struct frame f;
	uint32_t len;

	(void)state;
	ethernet(&f, 0x8100);
	vlan(&f, 7, 0x86dd);
	ipv6(&f, &there, 0);
	extension(&f, 60, 1);
	extension(&f, 44, 0);
	fragment_header(&f, 58, 0);
	put(&f, 1, 1);
	put(&f, 0, 7);
	ipv6(&f, &back, 6);
	ports(&f, &back);
	for (len = 0; len <= f.len; len++) {
		struct flow flow = read_part(&f, len, FLOW_FIELDS_PORTS);

		assert_true(flow.kind >= last);
		last = flow.kind;
	}
	assert_int_equal(last, FLOW_PORTS);
	assert_int_equal(hash(&f, FLOW_PORTS), hash_v6(&there, 6));
}

static void any_bytes(void **state)
{
	struct frame f;
	uint32_t i, k;

	(void)state;
	srandom(1);
	for (i = 0; i < 200000; i++) {
		ethernet(&f, i & 1 ? 0x0800 : 0x86dd);
		f.len = 14 + (uint32_t)random() % 200;
		for (k = 14; k < f.len; k++)
			f.b[k] = (uint8_t)random();
		f.b[14] = (uint8_t)((i & 1 ? 0x40 : 0x60) | random() % 16);
		f.b[20] = (uint8_t)(random() % 64); /* IPv6: the next header; all extensions */
		read_part(&f, f.len, i & 2 ? FLOW_FIELDS_PORTS : FLOW_FIELDS_ADDRESSES);
	}
}

/* Flows that differ in little are spread evenly: no pipe has a tenth more or less than its share.
 */
static void spread_is_even(uint32_t pipes, bool vary_address)
{
	uint32_t count[64] = {0}, i, flows = 4000 * pipes;

	for (i = 0; i < flows; i++) {
		struct ends e = there;

		if (vary_address)
			e.a += i;
		else
			e.a_port = (uint16_t)i, e.b += i >> 16;
		count[((uint64_t)hash_v4(&e, 6) * pipes) >> 32]++;
	}
	for (i = 0; i < pipes; i++)
		assert_in_range(count[i], 3600, 4400);
}

static void spread(void **state)
{
	static const uint32_t pipes[] = {2, 3, 4, 7, 16, 64};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pipes) / sizeof(pipes[0]); i++) {
		spread_is_even(pipes[i], true);
		spread_is_even(pipes[i], false);
	}
}

static void seeds_differ(void **state)
{
	struct frame f;

	(void)state;
	ethernet(&f, 0x0800);
	ipv4(&f, &there, 6, 0, 0);
	ports(&f, &there);
	assert_int_not_equal(flow_of(f.b, f.len, FLOW_FIELDS_PORTS, 0).hash,
			     flow_of(f.b, f.len, FLOW_FIELDS_PORTS, 1).hash);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_directions_are_one_flow),
		cmocka_unit_test(fragments_go_by_their_addresses),
		cmocka_unit_test(what_stands_before_the_ports),
		cmocka_unit_test(errors_go_with_what_they_are_about),
		cmocka_unit_test(everything_else_goes_by_mac),
		cmocka_unit_test(padding_is_no_port),
		cmocka_unit_test(frames_cut_anywhere),
		cmocka_unit_test(any_bytes),
		cmocka_unit_test(spread),
		cmocka_unit_test(seeds_differ),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
