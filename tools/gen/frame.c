/* SPDX-License-Identifier: BSD-2-Clause */
#include "frame.h"

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

/* Sum of 16-bit words, an odd last byte padded with 0. Room for 128 KB in 32 bits. */
static inline uint32_t add_words(const uint8_t *data, size_t len, uint32_t sum)
{
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += get16(data + i);
	if (len & 1)
		sum += (uint32_t)data[len - 1] << 8;
	return sum;
}

static inline uint16_t fold(uint64_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

uint16_t internet_checksum(const uint8_t *data, size_t len, uint32_t sum)
{
	return (uint16_t)~fold((uint64_t)fold(sum) + add_words(data, len, 0));
}

/* The stamp's check. Finds any single changed word and nearly all else; speed matters more. */
static uint32_t payload_check(const uint8_t *frame, size_t len)
{
	const uint64_t k = UINT64_C(0x9e3779b97f4a7c15);
	uint64_t h = len * k, word;
	size_t i;

	memcpy(&word, frame + STAMP_FLOW, 8); /* flow, run, half the sequence number */
	h = (h ^ word) * k;
	h = (h ^ h >> 29 ^ get32(frame + STAMP_SEQUENCE)) * k;
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
			b->pattern_sum[(i - FRAME_STAMPED) / 2] + (uint32_t)get16(b->pattern + i);
	return 0;
}

void frame_builder_free(struct frame_builder *b)
{
	free(b->pattern);
	free(b->pattern_sum);
	b->pattern = NULL;
	b->pattern_sum = NULL;
}

/* Sum over the payload of a frame just written: what varies is read, the pattern is known. */
static uint32_t payload_sum(const struct frame_builder *b, const uint8_t *frame, uint32_t len)
{
	uint32_t sum;

	if (len < FRAME_STAMPED)
		return add_words(frame + STAMP, len - STAMP, 0);
	sum = add_words(frame + STAMP, FRAME_STAMP, 0);
	sum = (uint32_t)fold(sum) + fold(b->pattern_sum[(len - FRAME_STAMPED) / 2]);
	if (len & 1)
		sum += (uint32_t)frame[len - 1] << 8;
	return sum;
}

/* Sum of the pseudo header and of the UDP header without its checksum. */
static uint32_t udp_header_sum(const uint8_t *frame, uint32_t udp_len)
{
	return add_words(frame + IP_SRC, 8, UDP_PROTOCOL) + udp_len + get16(frame + UDP) +
	       get16(frame + UDP_DST) + get16(frame + UDP_LENGTH);
}

static void write_headers(const struct frame_builder *b, uint8_t *f, uint32_t len, uint64_t n)
{
	const struct frame_addresses *a = &b->addresses;

	put48(f + ETH_DST, address_of(&a->dst_mac, n));
	put48(f + ETH_SRC, address_of(&a->src_mac, n));
	put16(f + ETH_TYPE, ETHERTYPE_IPV4);

	put16(f + IP, VERSION_IHL << 8);
	put16(f + IP_LENGTH, len - IP);
	put32(f + IP_ID, (uint32_t)n << 16); /* no flags, no fragment offset */
	put16(f + IP_TTL, 64 << 8 | UDP_PROTOCOL);
	put16(f + IP_CHECKSUM, 0);
	put32(f + IP_SRC, (uint32_t)address_of(&a->src_ip, n));
	put32(f + IP_DST, (uint32_t)address_of(&a->dst_ip, n));
	put16(f + IP_CHECKSUM, internet_checksum(f + IP, UDP - IP, 0));

	put16(f + UDP, (uint32_t)address_of(&a->src_port, n));
	put16(f + UDP_DST, (uint32_t)address_of(&a->dst_port, n));
	put16(f + UDP_LENGTH, len - UDP);
}

static void write_stamp(const struct frame_builder *b, uint8_t *f, uint32_t len, uint64_t n)
{
	put16(f + STAMP, b->kind);
	put16(f + STAMP_FLOW, b->flow);
	put32(f + STAMP_RUN, b->run);
	put32(f + STAMP_SEQUENCE, (uint32_t)n);
	put32(f + STAMP_CHECK, b->kind == FRAME_CHECKED ? payload_check(f, len) : 0);
}

void frame_build(const struct frame_builder *b, uint8_t *dst, uint32_t len, uint64_t n)
{
	uint16_t checksum;

	memcpy(dst + FRAME_HEADERS, b->pattern + FRAME_HEADERS, len - FRAME_HEADERS);
	write_headers(b, dst, len, n);
	if (b->kind != FRAME_OTHER && len >= FRAME_STAMPED)
		write_stamp(b, dst, len, n);
	checksum = (uint16_t)~fold((uint64_t)udp_header_sum(dst, len - UDP) +
				   payload_sum(b, dst, len));
	put16(dst + UDP_CHECKSUM, checksum ? checksum : 0xffff); /* 0 would mean "none", RFC 768 */
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
	if (fold((uint64_t)udp_header_sum(f, udp_len) + get16(f + UDP_CHECKSUM) +
		 add_words(f + STAMP, own - STAMP, 0)) != 0xffff)
		return false;
	return get16(f + STAMP) != FRAME_CHECKED || get32(f + STAMP_CHECK) == payload_check(f, own);
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
