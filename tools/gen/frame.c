/* SPDX-License-Identifier: BSD-2-Clause */
#include "frame.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Where things are in the frame. */
enum {
	ETH_DST = 0,
	ETH_SRC = 6,
	ETH_TYPE = 12,
	IP = 14,
	IP_LENGTH = IP + 2,
	IP_ID = IP + 4,
	IP_TTL = IP + 8,
	IP_PROTOCOL = IP + 9,
	IP_CHECKSUM = IP + 10,
	IP_SRC = IP + 12,
	IP_DST = IP + 16,
	UDP = 34,
	UDP_DST = UDP + 2,
	UDP_LENGTH = UDP + 4,
	UDP_CHECKSUM = UDP + 6,
	STAMP = FRAME_HEADERS,
	STAMP_FLOW = STAMP + 2,
	STAMP_RUN = STAMP + 4,
	STAMP_SEQUENCE = STAMP + 8,
	STAMP_CHECK = STAMP + 12,
};

#define ETHERTYPE_IPV4 0x0800
#define VERSION_IHL    0x45
#define UDP_PROTOCOL   17
#define TTL	       64

static inline void put16(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static inline void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v);
}

static inline void put48(uint8_t *p, uint64_t v)
{
	put16(p, (uint32_t)(v >> 32));
	put32(p + 2, (uint32_t)v);
}

static inline uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static inline uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static inline uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/*
 * Sum of 16-bit words in network byte order, an odd last byte padded with 0, folded. The sum of
 * words read in the machine's byte order is the same with its bytes exchanged (RFC 1071), so
 * the data are read 8 bytes at a time.
 */
static inline uint16_t add_words(const uint8_t *data, size_t len)
{
	uint64_t sum = 0, eight;
	uint16_t two;

	for (; len >= 8; data += 8, len -= 8) {
		memcpy(&eight, data, 8);
		sum += (eight & UINT32_MAX) + (eight >> 32);
	}
	for (; len >= 2; data += 2, len -= 2) {
		memcpy(&two, data, 2);
		sum += two;
	}
	if (len) {
		two = 0;
		memcpy(&two, data, 1);
		sum += two;
	}
	return be16toh(fold(sum));
}

uint16_t internet_checksum(const uint8_t *data, size_t len, uint32_t sum)
{
	return (uint16_t)~fold((uint64_t)sum + add_words(data, len));
}

static inline uint32_t halves(uint32_t v)
{
	return (v >> 16) + (v & 0xffff);
}

/* The stamp's check. Finds any single changed word and nearly all else; speed matters more. */
static uint32_t payload_check(const uint8_t *frame, size_t len, uint32_t flow, uint32_t run,
			      uint32_t sequence)
{
	const uint64_t k = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t h = len * k, word;
	size_t i;

	h = (h ^ ((uint64_t)flow << 32 | run)) * k;
	h = (h ^ h >> 29 ^ sequence) * k;
	for (i = FRAME_STAMPED; i + 8 <= len; i += 8) {
		memcpy(&word, frame + i, 8);
		h = (h ^ h >> 32 ^ word) * k;
	}
	if (i < len) {
		word = 0;
		memcpy(&word, frame + i, len - i);
		h = (h ^ h >> 32 ^ word) * k;
	}
	h ^= h >> 32;
	return (uint32_t)h;
}

static bool varies(const struct frame_addresses *a)
{
	return a->src_mac.count > 1 || a->dst_mac.count > 1 || a->src_ip.count > 1 ||
	       a->dst_ip.count > 1 || a->src_port.count > 1 || a->dst_port.count > 1;
}

/* The headers of frame n but for what differs from frame to frame anyway, and their sums. */
static void write_template(struct frame_template *t, const struct frame_addresses *a, uint64_t n)
{
	uint8_t *f = t->headers;
	uint32_t src = (uint32_t)address_of(&a->src_ip, n),
		 dst = (uint32_t)address_of(&a->dst_ip, n);
	uint32_t from = (uint32_t)address_of(&a->src_port, n);
	uint32_t to = (uint32_t)address_of(&a->dst_port, n);

	memset(f, 0, FRAME_HEADERS);
	put48(f + ETH_DST, address_of(&a->dst_mac, n));
	put48(f + ETH_SRC, address_of(&a->src_mac, n));
	put16(f + ETH_TYPE, ETHERTYPE_IPV4);
	put16(f + IP, VERSION_IHL << 8);
	put16(f + IP_TTL, TTL << 8 | UDP_PROTOCOL);
	put32(f + IP_SRC, src);
	put32(f + IP_DST, dst);
	put16(f + UDP, from);
	put16(f + UDP_DST, to);
	t->ip_sum = (VERSION_IHL << 8) + (TTL << 8 | UDP_PROTOCOL) + halves(src) + halves(dst);
	t->udp_sum = halves(src) + halves(dst) + UDP_PROTOCOL + from + to;
}

int frame_builder_init(struct frame_builder *b, uint32_t largest)
{
	size_t words = largest / 2 + 2, i;

	b->largest = largest;
	b->pattern = malloc(largest + 2);
	b->pattern_sum = calloc(words, sizeof(*b->pattern_sum));
	if (!b->pattern || !b->pattern_sum) {
		frame_builder_free(b);
		return -ENOMEM;
	}
	for (i = 0; i < (size_t)largest + 2; i++)
		b->pattern[i] = (uint8_t)(i * 7 + (i >> 8));
	for (i = FRAME_STAMPED; i + 1 < largest; i += 2)
		b->pattern_sum[(i - FRAME_STAMPED) / 2 + 1] =
			b->pattern_sum[(i - FRAME_STAMPED) / 2] + get16(b->pattern + i);
	b->varies = varies(&b->addresses);
	write_template(&b->template, &b->addresses, 0);
	return 0;
}

void frame_builder_free(struct frame_builder *b)
{
	free(b->pattern);
	free(b->pattern_sum);
	b->pattern = NULL;
	b->pattern_sum = NULL;
}

/* Writes the stamp over a frame whose other payload is there; returns the stamp's sum. Sums are
 * reckoned from what is written: to read it back so soon would stall the processor. */
static uint32_t write_stamp(const struct frame_builder *b, uint8_t *f, uint32_t len, uint64_t n)
{
	uint32_t sequence = (uint32_t)n, check = 0;

	put16(f + STAMP, b->kind);
	put16(f + STAMP_FLOW, b->flow);
	put32(f + STAMP_RUN, b->run);
	put32(f + STAMP_SEQUENCE, sequence);
	if (b->kind == FRAME_CHECKED)
		check = payload_check(f, len, b->flow, b->run, sequence);
	put32(f + STAMP_CHECK, check);
	return (uint32_t)b->kind + b->flow + halves(b->run) + halves(sequence) + halves(check);
}

/* Sum of a payload of pattern from the stamp's place on, or, with a stamp, from its end on. */
static uint32_t pattern_sum(const struct frame_builder *b, uint32_t len, bool stamped)
{
	uint32_t sum;

	if (!stamped)
		return add_words(b->pattern + STAMP, len - STAMP);
	sum = fold(b->pattern_sum[(len - FRAME_STAMPED) / 2]);
	if (len & 1)
		sum += (uint32_t)b->pattern[len - 1] << 8;
	return sum;
}

void frame_build(const struct frame_builder *b, uint8_t *f, uint32_t len, uint64_t n)
{
	bool stamped = b->kind != FRAME_OTHER && len >= FRAME_STAMPED;
	const struct frame_template *t = &b->template;
	uint32_t id = (uint16_t)n, ip_len = len - IP, udp_len = len - UDP, sum;
	struct frame_template own;
	uint16_t checksum;

	if (b->varies) {
		write_template(&own, &b->addresses, n);
		t = &own;
	}
	memcpy(f, t->headers, FRAME_HEADERS);
	memcpy(f + FRAME_HEADERS, b->pattern + FRAME_HEADERS, len - FRAME_HEADERS);

	put16(f + IP_LENGTH, ip_len);
	put16(f + IP_ID, id);
	put16(f + IP_CHECKSUM, (uint16_t)~fold((uint64_t)t->ip_sum + ip_len + id));

	sum = stamped ? write_stamp(b, f, len, n) : 0;
	sum += pattern_sum(b, len, stamped);
	put16(f + UDP_LENGTH, udp_len);
	checksum = (uint16_t)~fold((uint64_t)t->udp_sum + udp_len + udp_len + sum);
	put16(f + UDP_CHECKSUM, checksum ? checksum : 0xffff); /* 0 would mean "none", RFC 768 */
}

struct frame_stamp frame_read(const uint8_t *f, size_t len)
{
	struct frame_stamp s = {.kind = FRAME_OTHER};
	uint32_t magic;

	if (len < FRAME_STAMPED || get16(f + ETH_TYPE) != ETHERTYPE_IPV4 || f[IP] != VERSION_IHL ||
	    f[IP_PROTOCOL] != UDP_PROTOCOL)
		return s;
	magic = get16(f + STAMP);
	if (magic < FRAME_DATA || magic > FRAME_PONG)
		return s;
	s.kind = (enum frame_kind)magic;
	s.flow = (uint16_t)get16(f + STAMP_FLOW);
	s.run = get32(f + STAMP_RUN);
	s.sequence = get32(f + STAMP_SEQUENCE);
	return s;
}

#define ETH_MIN 60 /* what NICs pad shorter frames to */

bool frame_is_intact(const uint8_t *f, size_t len)
{
	size_t own = get16(f + IP_LENGTH) + IP;
	uint32_t udp_len = get16(f + UDP_LENGTH);

	if (own != len && !(own < len && len == ETH_MIN && own >= FRAME_STAMPED))
		return false;
	if (udp_len != own - UDP)
		return false;
	if (internet_checksum(f + IP, UDP - IP, 0) != 0)
		return false;
	if (fold((uint64_t)add_words(f + IP_SRC, own - IP_SRC) + UDP_PROTOCOL + udp_len) != 0xffff)
		return false;
	return get16(f + STAMP) != FRAME_CHECKED ||
	       get32(f + STAMP_CHECK) == payload_check(f, own, get16(f + STAMP_FLOW),
						       get32(f + STAMP_RUN),
						       get32(f + STAMP_SEQUENCE));
}

static void exchange(uint8_t *a, uint8_t *b, size_t len)
{
	uint8_t t[8];

	memcpy(t, a, len);
	memcpy(a, b, len);
	memcpy(b, t, len);
}

void frame_answer(uint8_t *f)
{
	/* Sums don't care about the order of words, so only the magic's change counts (RFC 1624).
	 */
	uint32_t sum = (uint16_t)~get16(f + UDP_CHECKSUM) + (uint16_t)~get16(f + STAMP) +
		       (uint32_t)FRAME_PONG;
	uint16_t checksum = (uint16_t)~fold(sum);

	exchange(f + ETH_DST, f + ETH_SRC, 6);
	exchange(f + IP_SRC, f + IP_DST, 4);
	exchange(f + UDP, f + UDP_DST, 2);
	put16(f + STAMP, FRAME_PONG);
	put16(f + UDP_CHECKSUM, checksum ? checksum : 0xffff);
}
