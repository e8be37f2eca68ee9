/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Internet checksums (RFC 1071): sums of 16-bit words in one's complement. Words are
 * taken and results stored in the machine's own byte order, which gives the right bytes in memory
 * on either kind of machine (RFC 1071 section 2 (B)).
 */
#ifndef PTNET_PORT_CHECKSUM_H
#define PTNET_PORT_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/*
 * Adds @len bytes to an unfolded sum; at most 2^31 bytes may go into one sum. The bytes count from
 * the beginning of a word: after an odd number of bytes use checksum_swap().
 */
static inline uint64_t checksum_add(uint64_t sum, const void *data, size_t len)
{
	const char *from = data;
	uint64_t even = 0, odd = 0, words[2];
	uint32_t word;
	uint16_t half;

	for (; len >= sizeof(words); len -= sizeof(words), from += sizeof(words)) {
		memcpy(words, from, sizeof(words));
		even += (words[0] & UINT32_MAX) + (words[0] >> 32);
		odd += (words[1] & UINT32_MAX) + (words[1] >> 32);
	}
	sum += even + odd;
	for (; len >= sizeof(word); len -= sizeof(word), from += sizeof(word)) {
		memcpy(&word, from, sizeof(word));
		sum += word;
	}
	for (; len > 0; len -= len < 2 ? len : 2, from += 2) {
		half = 0; /* an odd byte at the end is followed by a zero */
		memcpy(&half, from, len < 2 ? len : 2);
		sum += half;
	}
	return sum;
}

static inline uint16_t checksum_fold(uint64_t sum)
{
	while (sum > UINT16_MAX)
		sum = (sum & UINT16_MAX) + (sum >> 16);
	return (uint16_t)sum;
}

/* Makes the sum of bytes that begin in the middle of a word, so that it can be added to others. */
static inline uint64_t checksum_swap(uint64_t sum)
{
	return __builtin_bswap16(checksum_fold(sum));
}

/* What goes into a packet. */
static inline uint16_t checksum_finish(uint64_t sum)
{
	return (uint16_t)~checksum_fold(sum);
}

#endif
