/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packets that the tests send: length, fragments and every byte follow from
 * run, flow and sequence number, so that the receiver knows what must come.
 */
#ifndef CLIENT_PACKET_H
#define CLIENT_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#define PACKET_MAX_SLOTS 5
#define PACKET_MIN_SIZE	 60
#define PACKET_TYPE	 0xb588 /* 0x88b5, IEEE: local experiments; as stored */

/* At the start of the first slot's buffer; the pattern follows. */
struct packet_header {
	uint8_t destination[6];
	uint8_t source[6];
	uint16_t type;
	uint16_t flow;
	uint32_t run;
	uint32_t sequence;
	uint32_t num_slots;
	uint32_t buf_idx; /* the sender's buffer number */
};
_Static_assert(sizeof(struct packet_header) == 32, "the pattern begins at a word");

struct packet {
	uint32_t run;
	uint16_t flow;
	uint32_t sequence;
	uint64_t key;  /* of the pattern */
	uint32_t size; /* bytes in all */
	unsigned num_slots;
	uint16_t length[PACKET_MAX_SLOTS];
};

/* What the packet of this number looks like. */
void packet_describe(struct packet *packet, uint32_t run, uint16_t flow, uint32_t sequence,
		     uint32_t buf_size);
/* Writes the part that slot number @slot carries. */
void packet_fill(const struct packet *packet, unsigned slot, char *buf, const uint8_t *source,
		 const uint8_t *destination, uint32_t buf_idx);
/*
 * True if @buf holds the @size bytes from @offset on as packet_fill() wrote them.
 * A switch may cut a packet into other slots; offset 0 must come with the header.
 */
bool packet_check(const struct packet *packet, uint32_t offset, const char *buf, uint32_t size,
		  const uint8_t *source, const uint8_t *destination);

#endif
