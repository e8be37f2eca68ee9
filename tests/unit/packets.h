/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TCP and UDP packets for tests, and what must have become of them: a plain, slow second opinion
 * that shares no code with the switch.
 */
#ifndef PTNET_TESTS_PACKETS_H
#define PTNET_TESTS_PACKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct packet_shape {
	unsigned vlans; /* tags */
	bool ipv6, udp;
	unsigned ip_options, tcp_options; /* bytes, multiples of 4 */
};

/* Where things are in a packet; all in bytes from its beginning. */
struct packet_layout {
	size_t ip, transport, payload;
	bool ipv6, udp;
};

struct packet_layout packet_layout(const struct packet_shape *shape);

/* From the bytes of a well-formed packet. */
struct packet_layout packet_parse(const uint8_t *packet);

/*
 * Makes a packet of that shape with @payload bytes; id, sequence number, addresses and payload come
 * from
 * @number. The transport checksum's field holds the pseudo header's sum, as it does in a packet
 * whose virtio-net header asks for the rest. Returns its length.
 */
size_t packet_build(uint8_t *packet, const struct packet_shape *shape, size_t payload, uint64_t to,
		    uint64_t from, unsigned number);

/* Fills in the transport checksum. */
void packet_finish(uint8_t *packet, size_t len);

/* 16-bit words in network order, folded, not inverted. */
uint16_t slow_sum(const uint8_t *data, size_t len);
/* What belongs into the checksum's field, whatever is there now. */
uint16_t slow_transport_checksum(const uint8_t *packet, size_t len);
bool packet_checksums_right(const uint8_t *packet, size_t len);

uint16_t packet_get16(const uint8_t *from);
uint32_t packet_get32(const uint8_t *from);
void packet_put16(uint8_t *to, unsigned value);
void packet_put32(uint8_t *to, uint32_t value);

/* Of a packet with this layout. */
size_t packet_checksum_at(const struct packet_layout *layout);
uint16_t packet_csum_offset(const struct packet_layout *layout);

/*
 * NULL if @segment is what must become of segment @index when @whole is cut into pieces with @per
 * bytes of payload each; else what is wrong with it.
 */
const char *packet_segment_wrong(const uint8_t *whole, size_t len, const uint8_t *segment,
				 size_t segment_len, size_t index, size_t per);

#endif
