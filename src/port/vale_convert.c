/* SPDX-License-Identifier: BSD-2-Clause */
#include "port/vale_convert.h"

#include <errno.h>
#include <net/ethernet.h>
#include <string.h>

#include "port/checksum.h"
#include "port/segment.h"
#include "port/vnet_header.h"

/* What the receiver is to get, or what its segments are made from. */
struct packet {
	/* Its bytes: a header of ours, the sender's fragments, with a checksum of ours among them.
	 */
	struct fragment parts[1 + NETMAP_MAX_FRAGS + 2];
	unsigned num_parts;
	uint32_t bytes;

	/* How they are cut into slots: a length for each. */
	uint32_t lens[1 + NETMAP_MAX_FRAGS];
	uint32_t slots;

	char header[VNET_HEADER_MAX_SIZE];
	uint16_t checksum;
};

static uint32_t room_in_slot(const struct kring *rx)
{
	return rx->buf_size < UINT16_MAX ? rx->buf_size : UINT16_MAX;
}

static enum vale_converted drop(struct kring *rx, enum ring_counter why)
{
	ring_count(&rx->counters, why, 1);
	return VALE_DROPPED;
}

static void add_part(struct packet *packet, const char *data, uint32_t len)
{
	if (len == 0)
		return;
	packet->parts[packet->num_parts++] = (struct fragment){.data = data, .len = len};
	packet->bytes += len;
}

/* ---- reading ---- */

struct reader {
	const struct fragment *part, *end;
	uint32_t done; /* bytes of the part */
};

/* From @skip bytes on, which are in the first part. */
static struct reader reader_begin(const struct packet *packet, uint32_t skip)
{
	return (struct reader){
		.part = packet->parts, .end = packet->parts + packet->num_parts, .done = skip};
}

/* The packet has @len bytes left. In one region both sides may name the same buffer. */
static void reader_copy(struct reader *reader, char *to, uint32_t len)
{
	while (len > 0 && reader->part < reader->end) {
		uint32_t chunk = reader->part->len - reader->done;

		if (chunk > len)
			chunk = len;
		memmove(to, reader->part->data + reader->done, chunk);
		to += chunk;
		len -= chunk;
		reader->done += chunk;
		if (reader->done == reader->part->len) {
			reader->part++;
			reader->done = 0;
		}
	}
}

/* Over all bytes from @start on. */
static uint64_t sum_from(const struct packet *packet, uint32_t start)
{
	uint32_t done = 0;
	uint64_t sum = 0;

	for (unsigned i = 0; i < packet->num_parts; i++) {
		const struct fragment *part = &packet->parts[i];

		if (start >= part->len) {
			start -= part->len;
			continue;
		}
		uint64_t of_part = checksum_add(0, part->data + start, part->len - start);

		sum += done % 2 == 0 ? checksum_fold(of_part) : checksum_swap(of_part);
		done += part->len - start;
		start = 0;
	}
	return sum;
}

/* ---- writing ---- */

/*
 * Readies the receiver's slot for @len bytes and says where they go. The receiver's own offset is
 * kept if it is one and leaves them room; else they lie as far back as they fit, at a multiple
 * of 64.
 */
static char *open_slot(struct kring *rx, uint32_t index, uint32_t len, struct netmap_slot *slot)
{
	uint64_t offset, last = rx->buf_size - len;

	*slot = kring_load_slot(rx, index);
	slot->len = (uint16_t)len;
	if (!kring_slot_valid(rx, *slot)) {
		kring_fault(rx, PTNET_FAULT_BUF_IDX, slot->buf_idx);
		return NULL;
	}
	offset = slot->ptr & rx->offset_mask;
	if (offset > rx->max_offset)
		offset = rx->max_offset;
	if (offset > last)
		offset = last & ~UINT64_C(63);
	slot->ptr = (slot->ptr & ~rx->offset_mask) | offset;
	return kring_buf(rx, *slot) + offset;
}

static enum vale_converted deliver_packet(struct kring *rx, const struct packet *packet,
					  uint32_t space, struct vale_delivered *done)
{
	struct reader reader = reader_begin(packet, 0);

	if (packet->slots > space)
		return VALE_NO_ROOM;
	for (uint32_t n = 0; n < packet->slots; n++) {
		uint32_t index = ring_advance(rx->num_slots, rx->hwtail, n);
		struct netmap_slot slot;
		char *to = open_slot(rx, index, packet->lens[n], &slot);

		if (to == NULL)
			return VALE_FAULTED;
		reader_copy(&reader, to, packet->lens[n]);
		slot.flags = (uint16_t)(packet->slots << NS_PORT_SHIFT |
					(n + 1 < packet->slots ? NS_MOREFRAG : 0));
		kring_store_slot(rx, index, slot);
	}
	*done = (struct vale_delivered){
		.slots = packet->slots, .packets = 1, .bytes = packet->bytes};
	return VALE_CONVERTED;
}

/* A frame to a slot, with flags 0. */
static enum vale_converted deliver_segments(struct kring *rx, const struct packet *packet,
					    const struct segmentation *segmentation, uint32_t space,
					    struct vale_delivered *done)
{
	struct reader reader = reader_begin(packet, segmentation->headers_len);

	if (segmentation->count > space)
		return VALE_NO_ROOM;
	*done = (struct vale_delivered){.slots = segmentation->count,
					.packets = segmentation->count};
	for (uint32_t n = 0; n < segmentation->count; n++) {
		uint32_t index = ring_advance(rx->num_slots, rx->hwtail, n);
		uint32_t payload = segmentation_payload(segmentation, n);
		uint32_t len = segmentation->headers_len + payload;
		struct netmap_slot slot;
		char *to = open_slot(rx, index, len, &slot);

		if (to == NULL)
			return VALE_FAULTED;
		/* What is summed is what was copied, whatever the sender does meanwhile. */
		reader_copy(&reader, to + segmentation->headers_len, payload);
		segmentation_write_headers(segmentation, n,
					   checksum_add(0, to + segmentation->headers_len, payload),
					   to);
		slot.flags = 0;
		kring_store_slot(rx, index, slot);
		done->bytes += len;
	}
	return VALE_CONVERTED;
}

/* ---- deciding ---- */

/* The frame without its virtio-net header. */
static void take_payload(struct packet *packet, const struct batch *batch,
			 const struct frame *frame)
{
	const struct fragment *end = &batch->fragments[frame->first + frame->frags];
	uint32_t skip;
	const struct fragment *fragment = batch_payload(batch, frame, &skip);

	for (; fragment < end; fragment++, skip = 0)
		add_part(packet, fragment->data + skip, fragment->len - skip);
}

/* A slot for each fragment, as in the sender's ring; false: they would not be a packet then. */
static bool cut_as_sender(struct packet *packet, const struct batch *batch,
			  const struct frame *frame, uint32_t header, uint32_t room)
{
	const struct fragment *end = &batch->fragments[frame->first + frame->frags];
	uint32_t skip;
	const struct fragment *fragment = batch_payload(batch, frame, &skip);
	bool alone = fragment != &batch->fragments[frame->first];

	packet->slots = 0;
	if (header > 0 && (alone || header + fragment->len - skip > room)) {
		packet->lens[packet->slots++] = header;
		header = 0;
	}
	for (; fragment < end; fragment++, skip = 0, header = 0) {
		uint32_t len = header + fragment->len - skip;

		if (len > room)
			return false;
		packet->lens[packet->slots++] = len;
	}
	return packet->slots <= NETMAP_MAX_FRAGS;
}

/* Full slots, but for the last; false: too many. */
static bool cut_anew(struct packet *packet, uint32_t room)
{
	uint32_t left = packet->bytes;

	for (packet->slots = 0; left > 0; packet->slots++) {
		uint32_t len = left < room ? left : room;

		if (packet->slots == NETMAP_MAX_FRAGS)
			return false;
		packet->lens[packet->slots] = len;
		left -= len;
	}
	return true;
}

/* Puts the checksum in the place of two bytes of the first part, not at its beginning. */
static void replace_checksum(struct packet *packet, uint32_t at)
{
	const struct fragment first = packet->parts[0];
	uint32_t behind = first.len - at - sizeof(packet->checksum);
	unsigned more = behind > 0 ? 2 : 1;

	memmove(&packet->parts[1 + more], &packet->parts[1],
		(packet->num_parts - 1) * sizeof(packet->parts[0]));
	packet->num_parts += more;
	packet->parts[0].len = at;
	packet->parts[1] = (struct fragment){.data = (const char *)&packet->checksum,
					     .len = sizeof(packet->checksum)};
	if (behind > 0)
		packet->parts[2] =
			(struct fragment){.data = first.data + first.len - behind, .len = behind};
}

/*
 * The sender has put the sum of the pseudo header where the checksum belongs. A place that
 * is not in the first fragment is left alone (2.6). False: it would be in the Ethernet header, by
 * which the frame has been switched.
 */
static bool complete_checksum(struct packet *packet, const struct vnet_header *header)
{
	uint32_t at = (uint32_t)header->csum_start + header->csum_offset;

	if (header->csum_start < sizeof(struct ether_header))
		return false;
	if (at + sizeof(packet->checksum) > packet->parts[0].len)
		return true;
	packet->checksum = checksum_finish(sum_from(packet, header->csum_start));
	if (packet->checksum == 0)
		packet->checksum = UINT16_MAX; /* the same number, and in UDP not "none" */
	replace_checksum(packet, at);
	return true;
}

static enum vale_converted convert_segments(struct kring *rx, const struct packet *packet,
					    unsigned gso_type, uint32_t space,
					    struct vale_delivered *done)
{
	uint32_t mfs = atomic_load_explicit(&rx->port->mfs, memory_order_relaxed);
	uint32_t room = room_in_slot(rx);
	struct segmentation segmentation;
	int result =
		segmentation_begin(&segmentation, gso_type, packet->parts[0].data,
				   packet->parts[0].len, packet->bytes, mfs < room ? mfs : room);

	if (result == -EINVAL)
		return drop(rx, RING_DROP_BAD_VNET_HEADER);
	if (result < 0 || packet->bytes > PORT_MAX_FRAME || segmentation.count > rx->num_slots - 1)
		return drop(rx, RING_DROP_TOO_LONG);
	return deliver_segments(rx, packet, &segmentation, space, done);
}

enum vale_converted vale_convert(struct kring *rx, const struct batch *batch,
				 const struct frame *frame, uint32_t vnet_hdr_len, uint32_t space,
				 struct vale_delivered *done)
{
	const struct fragment *first = &batch->fragments[frame->first];
	struct vnet_header header = {0};
	struct packet packet;
	uint32_t bytes;

	packet.num_parts = 0;
	packet.parts[0] = (struct fragment){0};
	packet.bytes = 0;
	memset(packet.header, 0, sizeof(packet.header));
	if (batch->vnet_hdr_len > 0) { /* the one read */
		memcpy(packet.header, first->data,
		       vnet_hdr_len == batch->vnet_hdr_len ? vnet_hdr_len : VNET_HEADER_SIZE);
		header = vnet_header_read(packet.header);
	}
	add_part(&packet, packet.header, vnet_hdr_len);
	take_payload(&packet, batch, frame);
	bytes = packet.bytes - vnet_hdr_len;
	if (batch->vnet_hdr_len > 0 && vnet_hdr_len == 0) {
		if (!vnet_header_known(&header))
			return drop(rx, RING_DROP_BAD_VNET_HEADER);
		if ((header.gso_type & ~VNET_GSO_ECN) != VNET_GSO_NONE)
			return convert_segments(rx, &packet, header.gso_type, space, done);
		if ((header.flags & VNET_FLAG_NEEDS_CSUM) != 0 &&
		    !complete_checksum(&packet, &header))
			return drop(rx, RING_DROP_BAD_VNET_HEADER);
	}
	if (bytes > rx->port->max_frame ||
	    (!cut_as_sender(&packet, batch, frame, vnet_hdr_len, room_in_slot(rx)) &&
	     !cut_anew(&packet, room_in_slot(rx))) ||
	    packet.slots > rx->num_slots - 1)
		return drop(rx, RING_DROP_TOO_LONG);
	return deliver_packet(rx, &packet, space, done);
}
