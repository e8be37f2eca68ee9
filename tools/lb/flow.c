/* SPDX-License-Identifier: BSD-2-Clause */
#include "flow.h"

#include <stdbool.h>
#include <string.h>

#define ETHERTYPE_IPV4	   0x0800
#define ETHERTYPE_VLAN	   0x8100
#define ETHERTYPE_IPV6	   0x86dd
#define ETHERTYPE_QINQ	   0x88a8
#define ETHERTYPE_QINQ_OLD 0x9100

enum {
	HOP_BY_HOP = 0,
	ICMP = 1,
	TCP = 6,
	UDP = 17,
	DCCP = 33,
	ROUTING = 43,
	FRAGMENT = 44,
	AH = 51,
	ICMPV6 = 58,
	DESTINATION = 60,
	SCTP = 132,
	UDP_LITE = 136,
};

/* Headers of one kind in a row that are followed: more than anybody sends. */
#define MOST_TAGS	8
#define MOST_EXTENSIONS 8

/* What is left of the frame. Each byte is read once: it may be another one the next time. */
struct view {
	const uint8_t *p;
	uint32_t left;
};

struct end {
	uint64_t high, low; /* address */
	uint16_t port;
};

struct key {
	struct end ends[2];
	enum flow_kind kind;
	uint8_t protocol; /* with ports */
};

static uint32_t get16(const uint8_t *p)
{
	uint8_t b[2];

	memcpy(b, p, 2);
	return (uint32_t)b[0] << 8 | b[1];
}

static uint64_t get64(const uint8_t *p)
{
	uint64_t v = 0;
	uint8_t b[8];
	int i;

	memcpy(b, p, 8);
	for (i = 0; i < 8; i++)
		v = v << 8 | b[i];
	return v;
}

static void skip(struct view *v, uint32_t n)
{
	v->p += n;
	v->left -= n;
}

/* IP says how long its packet is; behind that comes padding. Lengths that can't be right don't
 * matter. */
static void limit(struct view *v, uint32_t len)
{
	if (len && len < v->left)
		v->left = len;
}

static bool parse_ip(struct key *k, struct view v, enum flow_fields fields, bool inside);

static bool has_ports(uint8_t protocol)
{
	return protocol == TCP || protocol == UDP || protocol == SCTP || protocol == UDP_LITE ||
	       protocol == DCCP;
}

/* ICMP messages that carry the beginning of the packet that they are about (RFC 792, 4443). */
static bool is_error(uint8_t protocol, uint8_t type)
{
	if (protocol == ICMP)
		return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
	return protocol == ICMPV6 && type >= 1 && type <= 4;
}

/* What comes after the IP headers. inside: of an ICMP error, which then is not followed again. */
static void parse_payload(struct key *k, struct view v, uint8_t protocol, enum flow_fields fields,
			  bool inside)
{
	struct key about;

	if (has_ports(protocol)) {
		if (v.left < 4 || fields == FLOW_FIELDS_ADDRESSES)
			return;
		k->ends[0].port = (uint16_t)get16(v.p);
		k->ends[1].port = (uint16_t)get16(v.p + 2);
		k->protocol = protocol;
		k->kind = FLOW_PORTS;
		return;
	}
	if (inside || v.left < 8 || !is_error(protocol, v.p[0]))
		return;
	skip(&v, 8);
	if (parse_ip(&about, v, fields, true))
		*k = about;
}

static bool parse_ipv4(struct key *k, struct view v, enum flow_fields fields, bool inside)
{
	uint32_t header, fragment;
	uint64_t addresses;
	uint8_t protocol;

	if (v.left < 20)
		return false;
	header = (v.p[0] & 15U) * 4;
	if (header < 20)
		return false;
	fragment = get16(v.p + 6) & 0x3fff;
	protocol = v.p[9];
	addresses = get64(v.p + 12);
	*k = (struct key){
		.ends = {{.low = addresses >> 32}, {.low = addresses & UINT32_MAX}},
		.kind = FLOW_ADDRESSES,
	};
	limit(&v, get16(v.p + 2));
	if (fragment || v.left < header)
		return true;
	skip(&v, header);
	parse_payload(k, v, protocol, fields, inside);
	return true;
}

/*
 * Steps over an extension header. False: what follows can't be told, or is part of a fragment.
 */
static bool skip_extension(struct view *v, uint8_t *next)
{
	uint32_t length;

	if (v->left < 8)
		return false;
	length = *next == FRAGMENT ? 8 : *next == AH ? (v->p[1] + 2U) * 4 : (v->p[1] + 1U) * 8;
	if (*next == FRAGMENT && (get16(v->p + 2) & 0xfff9))
		return false; /* its offset, or more fragments */
	if (v->left < length)
		return false;
	*next = v->p[0];
	skip(v, length);
	return true;
}

static bool is_extension(uint8_t next)
{
	return next == HOP_BY_HOP || next == ROUTING || next == FRAGMENT || next == DESTINATION ||
	       next == AH;
}

static bool parse_ipv6(struct key *k, struct view v, enum flow_fields fields, bool inside)
{
	uint32_t payload;
	uint8_t next;
	int i;

	if (v.left < 40)
		return false;
	payload = get16(v.p + 4);
	next = v.p[6];
	*k = (struct key){
		.ends = {{.high = get64(v.p + 8), .low = get64(v.p + 16)},
			 {.high = get64(v.p + 24), .low = get64(v.p + 32)}},
		.kind = FLOW_ADDRESSES,
	};
	skip(&v, 40);
	limit(&v, payload);
	for (i = 0; is_extension(next); i++) {
		if (i == MOST_EXTENSIONS || !skip_extension(&v, &next))
			return true;
	}
	parse_payload(k, v, next, fields, inside);
	return true;
}

static bool parse_ip(struct key *k, struct view v, enum flow_fields fields, bool inside)
{
	uint8_t version;

	if (!v.left)
		return false;
	version = v.p[0] >> 4;
	if (version == 4)
		return parse_ipv4(k, v, fields, inside);
	return version == 6 && parse_ipv6(k, v, fields, inside);
}

static bool is_tag(uint32_t type)
{
	return type == ETHERTYPE_VLAN || type == ETHERTYPE_QINQ || type == ETHERTYPE_QINQ_OLD;
}

static void parse_frame(struct key *k, struct view v, enum flow_fields fields)
{
	uint64_t first = get64(v.p), second = get64(v.p + 6);
	uint32_t type = get16(v.p + 12);
	struct key mac = {
		.ends = {{.low = first >> 16}, {.low = second >> 16}},
		.kind = FLOW_MAC,
	};
	int i;

	skip(&v, 14);
	for (i = 0; i < MOST_TAGS && is_tag(type) && v.left >= 4; i++) {
		type = get16(v.p + 2);
		skip(&v, 4);
	}
	if ((type != ETHERTYPE_IPV4 && type != ETHERTYPE_IPV6) || !parse_ip(k, v, fields, false))
		*k = mac;
}

/* ---- the number ---- */

/* Every bit of x changes half of the result's bits (the finish of Austin Appleby's MurmurHash3). */
static uint64_t mix(uint64_t x)
{
	x ^= x >> 33;
	x *= UINT64_C(0xff51afd7ed558ccd);
	x ^= x >> 33;
	x *= UINT64_C(0xc4ceb9fe1a85ec53);
	x ^= x >> 33;
	return x;
}

static uint64_t mix_end(const struct end *e, uint64_t seed)
{
	return mix(mix(mix(seed ^ e->high) + e->low) + e->port);
}

/* The sum of what each end gives is the same in both directions. */
static uint32_t hash_of(const struct key *k, uint64_t seed)
{
	uint64_t start = mix(seed + UINT64_C(0x9e3779b97f4a7c15) * k->kind);
	uint64_t sum = mix_end(&k->ends[0], start) + mix_end(&k->ends[1], start);

	return (uint32_t)(mix(sum + k->protocol) >> 32);
}

struct flow flow_of(const uint8_t *frame, uint32_t len, enum flow_fields fields, uint64_t seed)
{
	struct view v = {frame, len};
	struct key k;

	if (len < 14)
		return (struct flow){.kind = FLOW_SHORT};
	parse_frame(&k, v, fields);
	return (struct flow){.kind = k.kind, .hash = hash_of(&k, seed)};
}
