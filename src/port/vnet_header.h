/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The virtio-net header that precedes each packet of a port that has one (spec/ports.md
 * section 2.6; virtio 1.2 section 5.1.6). It says what the sender left undone. Its length is
 * the port's: 10 bytes, or 12 with a last field that we ignore and write as 0.
 */
#ifndef PTNET_PORT_VNET_HEADER_H
#define PTNET_PORT_VNET_HEADER_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define VNET_HEADER_SIZE     10u
#define VNET_HEADER_MAX_SIZE 12u

#define VNET_FLAG_NEEDS_CSUM 0x01u
#define VNET_FLAG_DATA_VALID 0x02u

#define VNET_GSO_NONE  0u
#define VNET_GSO_TCPV4 1u
#define VNET_GSO_UDP   3u
#define VNET_GSO_TCPV6 4u
#define VNET_GSO_ECN   0x80u /* beside the others */

struct vnet_header {
	uint8_t flags;
	uint8_t gso_type;
	uint16_t hdr_len;
	uint16_t gso_size;
	uint16_t csum_start;  /* bytes from the Ethernet header: sum from here to the end */
	uint16_t csum_offset; /* where the sum goes, from csum_start */
};

static inline bool vnet_header_len_valid(uint32_t len)
{
	return len == 0 || len == VNET_HEADER_SIZE || len == VNET_HEADER_MAX_SIZE;
}

/* @from: VNET_HEADER_SIZE bytes, each read once. The result is in the machine's byte order. */
static inline struct vnet_header vnet_header_read(const void *from)
{
	struct vnet_header header;

	memcpy(&header, from, sizeof(header));
	header.hdr_len = le16toh(header.hdr_len);
	header.gso_size = le16toh(header.gso_size);
	header.csum_start = le16toh(header.csum_start);
	header.csum_offset = le16toh(header.csum_offset);
	return header;
}
_Static_assert(sizeof(struct vnet_header) == VNET_HEADER_SIZE, "as it lies in a packet");

/* Whether it asks only for what we know how to do. */
static inline bool vnet_header_known(const struct vnet_header *header)
{
	uint8_t gso = header->gso_type & (uint8_t)~VNET_GSO_ECN;

	return (header->flags & ~(VNET_FLAG_NEEDS_CSUM | VNET_FLAG_DATA_VALID)) == 0 &&
	       (gso == VNET_GSO_NONE || gso == VNET_GSO_TCPV4 || gso == VNET_GSO_UDP ||
		gso == VNET_GSO_TCPV6);
}

#endif
