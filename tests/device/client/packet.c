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
	packet->size = 0;
	if (kind >= 4) {
		packet->length[0] = (uint16_t)(PACKET_MIN_SIZE + more % 69);
		packet->size = packet->length[0];
		return;
	}
	if (kind >= 1) {
		packet->length[0] = (uint16_t)(PACKET_MIN_SIZE + more % 1455);
		packet->size = packet->length[0];
		return;
	}
	packet->num_slots = (unsigned)(2 + more % (PACKET_MAX_SLOTS - 1));
	for (unsigned i = 0; i < packet->num_slots; i++) {
		more = mix(more);
		packet->length[i] = (uint16_t)(64 + more % (buf_size - 63));
		packet->size += packet->length[i];
	}
}

/* Byte @offset of a packet is byte @offset % 8 of word @offset / 8. */
static uint64_t word_at(const struct packet *packet, uint32_t offset)
{
	return packet->key + offset / sizeof(uint64_t) * GOLDEN;
}

/* Bytes from @offset to the next whole word, at most @size. */
static uint32_t to_next_word(uint32_t offset, uint32_t size)
{
	uint32_t bytes = (uint32_t)(-offset % sizeof(uint64_t));

	return bytes < size ? bytes : size;
}

static void fill(const struct packet *packet, uint32_t offset, char *buf, uint32_t size)
{
	uint32_t bytes = to_next_word(offset, size);
	uint64_t word = word_at(packet, offset);

	memcpy(buf, (const char *)&word + offset % sizeof(word), bytes);
	buf += bytes;
	size -= bytes;
	word = word_at(packet, offset + bytes);
	for (; size >= sizeof(word); buf += sizeof(word), size -= sizeof(word), word += GOLDEN)
		memcpy(buf, &word, sizeof(word));
	memcpy(buf, &word, size);
}

static bool check(const struct packet *packet, uint32_t offset, const char *buf, uint32_t size)
{
	uint32_t bytes = to_next_word(offset, size);
	uint64_t word = word_at(packet, offset), differ = 0;

	if (memcmp(buf, (const char *)&word + offset % sizeof(word), bytes) != 0)
		return false;
	buf += bytes;
	size -= bytes;
	word = word_at(packet, offset + bytes);
	for (; size >= sizeof(word); buf += sizeof(word), size -= sizeof(word), word += GOLDEN) {
		uint64_t got;

		memcpy(&got, buf, sizeof(got));
		differ |= got ^ word;
	}
	return differ == 0 && memcmp(buf, &word, size) == 0;
}

void packet_fill(const struct packet *packet, unsigned slot, char *buf, const uint8_t *source,
		 const uint8_t *destination, uint32_t buf_idx)
{
	struct packet_header *header = (struct packet_header *)buf;
	uint32_t offset = 0;

	for (unsigned i = 0; i < slot; i++)
		offset += packet->length[i];
	if (slot > 0) {
		fill(packet, offset, buf, packet->length[slot]);
		return;
	}
	memcpy(header->destination, destination, 6);
	memcpy(header->source, source, 6);
	header->type = PACKET_TYPE;
	header->flow = packet->flow;
	header->run = packet->run;
	header->sequence = packet->sequence;
	header->num_slots = packet->num_slots;
	header->buf_idx = buf_idx;
	fill(packet, sizeof(*header), buf + sizeof(*header), packet->length[0] - sizeof(*header));
}

bool packet_check(const struct packet *packet, uint32_t offset, const char *buf, uint32_t size,
		  const uint8_t *source, const uint8_t *destination)
{
	const struct packet_header *header = (const struct packet_header *)buf;

	if (offset > 0)
		return check(packet, offset, buf, size);
	if (size < sizeof(*header) || memcmp(header->destination, destination, 6) != 0 ||
	    memcmp(header->source, source, 6) != 0 || header->type != PACKET_TYPE ||
	    header->flow != packet->flow || header->run != packet->run ||
	    header->sequence != packet->sequence || header->num_slots != packet->num_slots)
		return false;
	return check(packet, sizeof(*header), buf + sizeof(*header),
		     size - (uint32_t)sizeof(*header));
}
