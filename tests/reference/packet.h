/* SPDX-License-Identifier: BSD-2-Clause */
/* What clients write into buffers, so that the model knows it, too. */
#ifndef PTNET_REFERENCE_PACKET_H
#define PTNET_REFERENCE_PACKET_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MAC_BYTES 6

/* Address number 0 is broadcast, 1 a multicast address, the others are stations'. */
static inline void packet_address(uint8_t *bytes, unsigned int number)
{
	if (number == 0) {
		memset(bytes, 0xff, MAC_BYTES);
		return;
	}
	memset(bytes, 0, MAC_BYTES);
	bytes[0] = number == 1 ? 0x01 : 0x02;
	bytes[5] = (uint8_t)number;
}

/* @len bytes that follow from @seed; with addresses at the front, as far as there is room, unless
 * @to is 0xff. */
static inline void packet_fill(uint8_t *bytes, size_t len, unsigned int to, unsigned int from,
			       uint32_t seed)
{
	uint8_t addresses[2 * MAC_BYTES];
	uint32_t state = seed * 2654435761u + 1;
	size_t i;

	for (i = 0; i < len; i++) {
		state = state * 1664525u + 1013904223u;
		bytes[i] = (uint8_t)(state >> 24);
	}
	packet_address(addresses, to);
	packet_address(addresses + MAC_BYTES, from);
	memcpy(bytes, addresses, len < sizeof(addresses) ? len : sizeof(addresses));
}

/* Not a hash for enemies: two packets of ours that differ give two values. */
static inline uint64_t packet_hash(const uint8_t *bytes, size_t len)
{
	uint64_t hash = len * 0x9e3779b97f4a7c15u + 1, word;

	for (; len >= sizeof(word); bytes += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, bytes, sizeof(word));
		hash = (hash ^ word) * 0xff51afd7ed558ccdu;
		hash ^= hash >> 29;
	}
	for (; len > 0; bytes++, len--) {
		hash = (hash ^ *bytes) * 0xff51afd7ed558ccdu;
		hash ^= hash >> 29;
	}
	return hash;
}

#endif /* PTNET_REFERENCE_PACKET_H */
