/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cuts a long TCP or UDP packet into frames that a port takes (spec/ports.md section 2.6).
 *
 * The sender is not believed: its headers are copied once, checked in the copy, and each segment's
 * headers are made from there. Payload is the caller's business, who copies it straight from
 * buffer to buffer; here it is a number of bytes and their sum. Any thread.
 */
#ifndef PTNET_PORT_SEGMENT_H
#define PTNET_PORT_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

/* bytes: Ethernet, 30 VLAN tags, the longest IPv4 and TCP headers */
#define SEGMENT_HEADERS_MAX 256u

struct segmentation {
	uint32_t headers_len; /* bytes; in front of each segment's payload */
	uint32_t payload;     /* bytes, of all segments together */
	uint32_t per_segment; /* bytes of payload in each, but perhaps the last */
	uint32_t count;	      /* segments; at least 1 */

	uint32_t ip, transport; /* where in the headers */
	bool ipv6, udp;
	uint8_t headers[SEGMENT_HEADERS_MAX];
};

/*
 * Plans how to cut a packet of @bytes (its virtio-net header not counted) into frames of at most
 * @limit bytes, itself at most 65535. @gso_type is the virtio-net header's. @first is the packet's
 * first fragment, @first_len of @bytes, which must hold all headers: Ethernet, any VLAN tags
 * (802.1Q, 802.1ad), IPv4, or IPv6 without extension headers, and TCP or UDP. -EINVAL: the headers
 * are not such; -EMSGSIZE: @limit leaves no room for payload.
 */
int segmentation_begin(struct segmentation *segmentation, unsigned gso_type, const void *first,
		       uint32_t first_len, uint32_t bytes, uint32_t limit);

/* Bytes of payload in segment @index, which is below count. */
static inline uint32_t segmentation_payload(const struct segmentation *segmentation, uint32_t index)
{
	return index + 1 < segmentation->count
		       ? segmentation->per_segment
		       : segmentation->payload - index * segmentation->per_segment;
}

/*
 * Writes the headers of segment @index: headers_len bytes to @to. @payload_sum: checksum_add() over
 * the segment's payload.
 */
void segmentation_write_headers(const struct segmentation *segmentation, uint32_t index,
				uint64_t payload_sum, void *to);

#endif
