/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Copying one packet between two regions. Exactly @len bytes are read and
 * written: rounding up, as netmap does, would hand the receiver what an earlier
 * packet left in the sender's buffer.
 */
#ifndef PTNET_PORT_COPY_H
#define PTNET_PORT_COPY_H

#include <stdint.h>
#include <string.h>

struct copy16 {
	uint64_t words[2];
};

static inline void copy_16(char *to, const char *from)
{
	struct copy16 chunk;

	memcpy(&chunk, from, sizeof(chunk));
	memcpy(to, &chunk, sizeof(chunk));
}

/* Minimum-size frames, most of all packets, go inline; the rest is the library's job. */
static inline void copy_packet(char *to, const char *from, uint32_t len)
{
	if (len >= 32 && len <= 64) {
		copy_16(to, from);
		copy_16(to + 16, from + 16);
		/* The last 32 bytes; they overlap the first when len < 64. */
		copy_16(to + len - 32, from + len - 32);
		copy_16(to + len - 16, from + len - 16);
		return;
	}
	memmove(to, from, len); /* in one region both may lie in the same buffer */
}

#endif
