/* SPDX-License-Identifier: BSD-2-Clause */
#include "packet.h"

#include <string.h>

#define GOLDEN 0x9e3779b97f4a7c15u

/* splitmix64's finisher. */
static uint64_t mix(uint64_t x)
{
	x += GOLDEN;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

/* Mostly small ones, some up to a full Ethernet frame, a few of several slots. */
void packet_describe(struct packet *packet, uint32_t run, uint16_t flow, uint32_t sequence,
		     uint32_t buf_size)
{
	uint64_t dice = mix((uint64_t)run << 48 ^ (uint64_t)flow << 32 ^ sequence);
	unsigned kind = dice & 63;
	uint64_t more = dice >> 6;

	packet->run = run;
	packet->flow = flow;
	packet->sequence = sequence;
	packet->key = dice;
	packet->num_slots = 1;
	if (kind >= 4) {
		packet->length[0] = (uint16_t)(PACKET_MIN_SIZE + more % 69);
		return;
	}
	if (kind >= 1) {
		packet->length[0] = (uint16_t)(PACKET_MIN_SIZE + more % 1455);
		return;
	}
	packet->num_slots = (unsigned)(2 + more % (PACKET_MAX_SLOTS - 1));
	for (unsigned i = 0; i < packet->num_slots; i++) {
		more = mix(more);
		packet->length[i] = (uint16_t)(64 + more % (buf_size - 63));
	}
}

static uint64_t pattern_start(const struct packet *packet, unsigned slot)
{
	return packet->key + (uint64_t)slot * 0xd1342543de82ef95u;
}

void packet_fill(const struct packet *packet, unsigned slot, char *buf, const uint8_t *source,
		 const uint8_t *destination, uint32_t buf_idx)
{
	uint64_t word = pattern_start(packet, slot);
	size_t size = packet->length[slot], at = 0;

	if (slot == 0) {
		struct packet_header *header = (struct packet_header *)buf;

		memcpy(header->destination, destination, 6);
		memcpy(header->source, source, 6);
		header->type = PACKET_TYPE;
		header->flow = packet->flow;
		header->run = packet->run;
		header->sequence = packet->sequence;
		header->num_slots = packet->num_slots;
		header->buf_idx = buf_idx;
		at = sizeof(*header);
	}
	for (; at + sizeof(word) <= size; at += sizeof(word), word += GOLDEN)
		memcpy(buf + at, &word, sizeof(word));
	memcpy(buf + at, &word, size - at);
}

bool packet_check(const struct packet *packet, unsigned slot, const char *buf,
		  const uint8_t *source, const uint8_t *destination)
{
	uint64_t word = pattern_start(packet, slot), differ = 0;
	size_t size = packet->length[slot], at = 0;

	if (slot == 0) {
		const struct packet_header *header = (const struct packet_header *)buf;

		if (memcmp(header->destination, destination, 6) != 0 ||
		    memcmp(header->source, source, 6) != 0 || header->type != PACKET_TYPE ||
		    header->flow != packet->flow || header->run != packet->run ||
		    header->sequence != packet->sequence || header->num_slots != packet->num_slots)
			return false;
		at = sizeof(*header);
	}
	for (; at + sizeof(word) <= size; at += sizeof(word), word += GOLDEN) {
		uint64_t got;

		memcpy(&got, buf + at, sizeof(got));
		differ |= got ^ word;
	}
	return differ == 0 && memcmp(buf + at, &word, size - at) == 0;
}
