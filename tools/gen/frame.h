/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frames that ptnet-gen makes and knows again: Ethernet, IPv4, UDP with right checksums, so
 * that tcpdump and any stack read them, and at the start of the payload, when it has room, a
 * stamp of 16 bytes (network byte order):
 *
 *	offset 42  magic: what kind of frame (enum frame_kind)
 *	       44  flow: one per sending thread
 *	       46  run: random number of the sending process
 *	       50  sequence: counts the flow's frames from 0, wraps
 *	       54  check: of the payload after the stamp, flow, run, sequence and length, or 0
 *
 * The rest of the payload is a fixed pattern.
 */
#ifndef GEN_FRAME_H
#define GEN_FRAME_H

#include "address.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADERS 42 /* Ethernet 14, IPv4 20, UDP 8 */
#define FRAME_STAMP   16
#define FRAME_STAMPED (FRAME_HEADERS + FRAME_STAMP) /* shortest frame with a stamp */

enum frame_kind {
	FRAME_OTHER = 0, /* not one of ours, or too short for a stamp */
	FRAME_DATA = 0x7047,
	FRAME_CHECKED = 0x7048, /* data with the check filled in */
	FRAME_PING = 0x7049,
	FRAME_PONG = 0x704a,
};

struct frame_addresses {
	struct address_range src_mac, dst_mac, src_ip, dst_ip, src_port, dst_port;
};

/* Headers that are the same for all lengths, and the sums of their words. */
struct frame_template {
	uint8_t headers[FRAME_HEADERS];
	uint32_t ip_sum, udp_sum;
};

/* One thread's frame maker. */
struct frame_builder {
	struct frame_addresses addresses;
	enum frame_kind kind; /* FRAME_OTHER: no stamp */
	uint16_t flow;
	uint32_t run;
	uint32_t largest;
	bool varies; /* the addresses differ from frame to frame */
	struct frame_template template;
	uint8_t *pattern;      /* largest bytes: payload at its place in the frame */
	uint32_t *pattern_sum; /* [i]: Internet-checksum sum of pattern from the stamp's end, i
				  words */
};

/* largest: of the frames to be built, FRAME_HEADERS..SIZE_MAX_FRAME. The other fields are the
 * caller's to set before. 0 or -ENOMEM. */
int frame_builder_init(struct frame_builder *b, uint32_t largest);
void frame_builder_free(struct frame_builder *b);

/* Writes frame number n of its flow, len bytes (at most b->largest), to dst. */
void frame_build(const struct frame_builder *b, uint8_t *dst, uint32_t len, uint64_t n);

struct frame_stamp {
	enum frame_kind kind;
	uint16_t flow;
	uint32_t run;
	uint32_t sequence;
};

/* Reads the stamp; kind FRAME_OTHER if it is none of our frames. */
struct frame_stamp frame_read(const uint8_t *frame, size_t len);

/* True if everything in one of our frames is as it was built: lengths, both checksums and, in
 * FRAME_CHECKED, the check. */
bool frame_is_intact(const uint8_t *frame, size_t len);

/* Turns a FRAME_PING of at least FRAME_STAMPED bytes into its answer, in place: source and
 * destination change places, checksums stay right. */
void frame_answer(uint8_t *frame);

/* The Internet checksum (RFC 1071) of len bytes, added to sum, which is folded. */
uint16_t internet_checksum(const uint8_t *data, size_t len, uint32_t sum);

#endif
