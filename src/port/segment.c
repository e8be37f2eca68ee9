/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/segment.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "port/checksum.h"
#include "port/vnet_header.h"

#define ETHERTYPE_8021AD 0x88a8u
#define VLAN_TAG	 4u /* bytes */

/* Where things are, in bytes from the beginning of their header. */
enum {
	IPV4_LENGTH = 2,
	IPV4_ID = 4,
	IPV4_FRAGMENT = 6,
	IPV4_PROTOCOL = 9,
	IPV4_CHECKSUM = 10,
	IPV4_ADDRESSES = 12,
	IPV4_MIN_SIZE = 20,
	IPV6_LENGTH = 4,
	IPV6_NEXT_HEADER = 6,
	IPV6_ADDRESSES = 8,
	IPV6_SIZE = 40,
	TCP_SEQUENCE = 4,
	TCP_OFFSET = 12,
	TCP_FLAGS = 13,
	TCP_CHECKSUM = 16,
	TCP_MIN_SIZE = 20,
	UDP_LENGTH = 4,
	UDP_CHECKSUM = 6,
	UDP_SIZE = 8,
};

#define IPV4_IS_FRAGMENT 0x3fffu /* more fragments follow, or an offset */
#define TCP_FIN		 0x01u
#define TCP_PSH		 0x08u
#define TCP_CWR		 0x80u

static uint16_t get16(const uint8_t *from)
{
	return (uint16_t)(from[0] << 8 | from[1]);
}

static void put16(uint8_t *to, uint32_t value)
{
	to[0] = (uint8_t)(value >> 8);
	to[1] = (uint8_t)value;
}

static uint32_t get32(const uint8_t *from)
{
	return (uint32_t)get16(from) << 16 | get16(from + 2);
}

static void put32(uint8_t *to, uint32_t value)
{
	put16(to, value >> 16);
	put16(to + 2, value);
}

/* ---- the plan; each of these says whether its header is there and sound ---- */

/* @known: bytes of headers[] that are the packet's. Finds the network header. */
static bool find_network(struct segmentation *s, uint32_t known, uint16_t *ethertype)
{
	uint32_t type_at = offsetof(struct ether_header, ether_type);

	for (; type_at + 2 <= known; type_at += VLAN_TAG) {
		*ethertype = get16(&s->headers[type_at]);
		if (*ethertype == ETHERTYPE_VLAN || *ethertype == ETHERTYPE_8021AD)
			continue;
		s->ip = type_at + 2;
		return true;
	}
	return false;
}

static bool find_transport(struct segmentation *s, uint32_t known)
{
	const uint8_t *ip = &s->headers[s->ip];
	uint32_t size = s->ipv6 ? IPV6_SIZE : IPV4_MIN_SIZE;
	uint8_t protocol = s->udp ? IPPROTO_UDP : IPPROTO_TCP;

	if (s->ip + size > known)
		return false;
	s->transport = s->ip + size;
	if (s->ipv6)
		return ip[0] >> 4 == 6 && ip[IPV6_NEXT_HEADER] == protocol;
	s->transport = s->ip + (ip[0] & 0xfu) * 4;
	return ip[0] >> 4 == 4 && s->transport >= s->ip + size && ip[IPV4_PROTOCOL] == protocol &&
	       (get16(&ip[IPV4_FRAGMENT]) & IPV4_IS_FRAGMENT) == 0;
}

static bool find_payload(struct segmentation *s, uint32_t known)
{
	uint32_t size = s->udp ? UDP_SIZE : TCP_MIN_SIZE;

	if (s->transport + size > known)
		return false;
	if (!s->udp) {
		uint32_t whole = (s->headers[s->transport + TCP_OFFSET] >> 4) * 4u;

		if (whole < size || s->transport + whole > known)
			return false;
		size = whole;
	}
	s->headers_len = s->transport + size;
	return true;
}

static bool ethertype_fits(unsigned gso, uint16_t ethertype)
{
	return (ethertype == ETHERTYPE_IP && gso != VNET_GSO_TCPV6) ||
	       (ethertype == ETHERTYPE_IPV6 && gso != VNET_GSO_TCPV4);
}

int segmentation_begin(struct segmentation *s, unsigned gso_type, const void *first,
		       uint32_t first_len, uint32_t bytes, uint32_t limit)
{
	unsigned gso = gso_type & ~VNET_GSO_ECN;
	uint32_t known = first_len < SEGMENT_HEADERS_MAX ? first_len : SEGMENT_HEADERS_MAX;
	uint16_t ethertype;

	if (gso != VNET_GSO_TCPV4 && gso != VNET_GSO_TCPV6 && gso != VNET_GSO_UDP)
		return -EINVAL;
	memcpy(s->headers, first, known); /* the one read of what the sender may be changing */
	if (!find_network(s, known, &ethertype) || !ethertype_fits(gso, ethertype))
		return -EINVAL;
	s->ipv6 = ethertype == ETHERTYPE_IPV6;
	s->udp = gso == VNET_GSO_UDP;
	if (!find_transport(s, known) || !find_payload(s, known))
		return -EINVAL;
	s->payload = bytes - s->headers_len;
	if (limit < s->headers_len || (limit == s->headers_len && s->payload > 0))
		return -EMSGSIZE;
	s->per_segment = limit - s->headers_len;
	s->count = s->payload == 0 ? 1 : (s->payload + s->per_segment - 1) / s->per_segment;
	return 0;
}

/* ---- a segment's headers ---- */

static void write_ip(const struct segmentation *s, uint8_t *ip, uint32_t index, uint32_t transport)
{
	uint32_t size = s->transport - s->ip;
	uint16_t sum;

	if (s->ipv6) {
		put16(&ip[IPV6_LENGTH], transport);
		return;
	}
	put16(&ip[IPV4_LENGTH], size + transport);
	put16(&ip[IPV4_ID], get16(&ip[IPV4_ID]) + index);
	put16(&ip[IPV4_CHECKSUM], 0);
	sum = checksum_finish(checksum_add(0, ip, size));
	memcpy(&ip[IPV4_CHECKSUM], &sum, sizeof(sum));
}

static void write_tcp(const struct segmentation *s, uint8_t *tcp, uint32_t index)
{
	put32(&tcp[TCP_SEQUENCE], get32(&tcp[TCP_SEQUENCE]) + index * s->per_segment);
	if (index + 1 < s->count)
		tcp[TCP_FLAGS] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	/* The window is said to be reduced once (RFC 3168 section 6.1.2). */
	if (index > 0)
		tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
}

/* The sum of what is covered but does not lie there (RFC 9293 section 3.1, RFC 8200 8.1). */
static uint64_t pseudo_header(const struct segmentation *s, const uint8_t *ip, uint32_t transport)
{
	uint64_t sum = htonl(transport) + (uint64_t)htonl(s->udp ? IPPROTO_UDP : IPPROTO_TCP);

	return s->ipv6 ? checksum_add(sum, &ip[IPV6_ADDRESSES], 32)
		       : checksum_add(sum, &ip[IPV4_ADDRESSES], 8);
}

void segmentation_write_headers(const struct segmentation *s, uint32_t index, uint64_t payload_sum,
				void *to)
{
	uint8_t headers[SEGMENT_HEADERS_MAX];
	uint8_t *ip = &headers[s->ip], *transport = &headers[s->transport];
	uint8_t *checksum = &transport[s->udp ? UDP_CHECKSUM : TCP_CHECKSUM];
	uint32_t size = s->headers_len - s->transport;
	uint32_t length = size + segmentation_payload(s, index);
	uint16_t sum;

	memcpy(headers, s->headers, s->headers_len);
	write_ip(s, ip, index, length);
	if (s->udp)
		put16(&transport[UDP_LENGTH], length);
	else
		write_tcp(s, transport, index);
	put16(checksum, 0);
	sum = checksum_finish(
		checksum_add(pseudo_header(s, ip, length) + payload_sum, transport, size));
	if (s->udp && sum == 0)
		sum = UINT16_MAX; /* 0 means that there is none (RFC 768) */
	memcpy(checksum, &sum, sizeof(sum));
	memcpy(to, headers, s->headers_len);
}
