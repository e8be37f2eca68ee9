/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * VALE's hot path: one run takes a batch of whole packets from a TX ring, decides
 * for each where it goes, and delivers them destination by destination, so that
 * each destination ring is locked, published and interrupted once per batch.
 *
 *   gather    slots of the sender, each read once, become frames (private copies
 *             of length and buffer address)
 *   classify  learn the source, look up the destination, put the frame on that
 *             destination's list; once the copies to make are work enough for one
 *             run, the rest of the frames waits for the next
 *   deliver   for each destination: the frames of its list, in order, merged with
 *             the flooded ones; as they are, or by vale_convert.c if its virtio-net headers
 *             are not as long as the sender's, or if it has offsets
 *
 * The sender's ring is always empty afterwards: what does not fit is dropped and
 * counted at the destination (spec/ports.md section 2.3).
 */
#include <string.h>

#include "port/copy.h"
#include "port/vale_batch.h"
#include "port/vale_convert.h"
#include "port/vale_private.h"
#include "port/vnet_header.h"

#define COPY_BUDGET   (1u << 20) /* bytes to copy in one run, to all destinations together */
#define COPY_OVERHEAD 64u	 /* a copy of no bytes takes as long as one of so many */
#define FRAME_NONE    UINT16_MAX
#define ETHER_HEADER  14u
#define ETHER_ADDRESS 6u

/* There is a version for senders without virtio-net headers and offsets, and one for all. */
#define TWO_VERSIONS static inline __attribute__((always_inline))

/* ---- gather ---- */

/* The virtio-net header must be in the first slot, the Ethernet header with it or in the second. */
static enum ring_counter reason_to_drop_headers(const struct batch *batch,
						const struct fragment *first, unsigned frags)
{
	if (first->len < batch->vnet_hdr_len || (first->len == batch->vnet_hdr_len && frags == 1))
		return RING_DROP_BAD_VNET_HEADER;
	if (first->len == batch->vnet_hdr_len ? first[1].len < ETHER_HEADER
					      : first->len < batch->vnet_hdr_len + ETHER_HEADER)
		return RING_DROP_TOO_SHORT;
	return RING_PACKETS;
}

TWO_VERSIONS enum ring_counter reason_to_drop(const struct batch *batch, unsigned slots,
					      unsigned frags, bool bad, const bool special)
{
	const struct fragment *first = &batch->fragments[batch->num_fragments];

	if (bad)
		return RING_DROP_BAD_SLOT;
	if (slots > NETMAP_MAX_FRAGS)
		return RING_DROP_TOO_MANY_FRAGS;
	if (special && batch->vnet_hdr_len > 0)
		return reason_to_drop_headers(batch, first, frags);
	if (first->len < ETHER_HEADER)
		return RING_DROP_TOO_SHORT;
	return RING_PACKETS;
}

/* Makes a frame of the slots from @index on, at most up to head; returns their number. */
TWO_VERSIONS unsigned gather_packet(struct kring *tx, struct batch *batch, uint32_t index,
				    unsigned available, const bool special)
{
	struct frame *frame = &batch->frames[batch->num_frames];
	unsigned slots = 0, frags = 0;
	bool bad = false;
	uint32_t bytes = 0, longest = 0;
	struct netmap_slot slot;

	do {
		slot = kring_load_slot(tx, index);
		kring_clear_buf_changed(tx, index, slot);
		if (kring_slot_valid(tx, slot) && (slot.flags & NS_INDIRECT) == 0 &&
		    (!special || kring_offset_valid(tx, slot))) {
			/* An empty fragment takes no slot of a receiver's. */
			if (frags < NETMAP_MAX_FRAGS && (frags == 0 || slot.len > 0)) {
				struct fragment *fragment =
					&batch->fragments[batch->num_fragments + frags++];

				fragment->data = kring_buf(tx, slot) +
						 (special ? kring_offset(tx, slot) : 0);
				fragment->len = slot.len;
				bytes += slot.len;
				longest = slot.len > longest ? slot.len : longest;
				__builtin_prefetch(fragment->data);
			}
		} else {
			bad = true;
		}
		index = ring_next(tx->num_slots, index);
		slots++;
	} while ((slot.flags & NS_MOREFRAG) != 0 && slots < available);

	*frame = (struct frame){
		.first = (uint16_t)batch->num_fragments,
		.frags = (uint16_t)frags,
		.next = FRAME_NONE,
		.slots = (uint16_t)slots,
		.bytes = bytes,
		.longest = longest,
		.drop = reason_to_drop(batch, slots, frags, bad, special),
	};
	if (frame->drop == RING_PACKETS)
		batch->num_fragments += frags;
	batch->num_frames++;
	return slots;
}

TWO_VERSIONS void gather(struct kring *tx, struct batch *batch, unsigned budget, const bool special)
{
	uint32_t available = ring_distance(tx->num_slots, tx->hwcur, tx->head);
	unsigned taken = 0;

	batch->num_fragments = 0;
	batch->num_frames = 0;
	while (taken < available && taken < budget)
		taken += gather_packet(tx, batch, ring_advance(tx->num_slots, tx->hwcur, taken),
				       available - taken, special);
}

/* ---- classify ---- */

static void list_append(struct batch *batch, struct list *list, uint16_t frame)
{
	if (list->first == FRAME_NONE)
		list->first = frame;
	else
		batch->frames[list->last].next = frame;
	list->last = frame;
}

static void unicast_append(struct batch *batch, unsigned port, uint16_t frame)
{
	struct list *list = &batch->unicast[port];

	if (list->first == FRAME_NONE)
		batch->destinations[batch->num_destinations++] = (uint8_t)port;
	list_append(batch, list, frame);
}

/* Where a frame goes: a port, or MAC_TABLE_UNKNOWN for all. */
static unsigned destination_of(struct vale *vale, unsigned source, const uint8_t *header,
			       uint32_t now)
{
	uint64_t from = mac_from_bytes(header + ETHER_ADDRESS);
	uint64_t to = mac_from_bytes(header);

	if (!mac_is_multicast(from))
		mac_table_learn(&vale->macs, from, source, now);
	return mac_is_multicast(to) ? MAC_TABLE_UNKNOWN : mac_table_lookup(&vale->macs, to, now);
}

static void batch_begin(struct batch *batch)
{
	batch->num_destinations = 0;
	batch->crowded = false;
	batch->flood = (struct list){FRAME_NONE, FRAME_NONE};
	memset(batch->unicast, 0xff, sizeof(batch->unicast));
}

/* What a copy of the frame takes, in bytes. The sender's wishes are only guessed at here. */
TWO_VERSIONS uint64_t cost_of(const struct batch *batch, const struct frame *frame,
			      const bool special)
{
	uint64_t bytes = frame->bytes + COPY_OVERHEAD;

	if (special && batch->vnet_hdr_len > 0) {
		struct vnet_header header = vnet_header_read(batch->fragments[frame->first].data);

		/* Bytes are read once more for the checksum; a segment is a copy. */
		if (header.flags != 0 || header.gso_type != VNET_GSO_NONE)
			bytes += frame->bytes + frame->bytes / 1024 * COPY_OVERHEAD;
	}
	return bytes;
}

TWO_VERSIONS void classify(struct kring *tx, struct vale *vale, unsigned source,
			   struct batch *batch, const bool special)
{
	uint32_t fan_out = atomic_load_explicit(&vale->ports_end, memory_order_relaxed);
	uint32_t now = vale_now_s();
	uint8_t last_header[2 * ETHER_ADDRESS] = {0};
	unsigned last_port = MAC_TABLE_UNKNOWN, number, slots = 0;
	uint64_t copied = 0;
	bool have_last = false;

	batch_begin(batch);
	for (number = 0; number < batch->num_frames && copied < COPY_BUDGET; number++) {
		const struct frame *frame = &batch->frames[number];
		uint8_t header[2 * ETHER_ADDRESS];

		slots += frame->slots;
		if (frame->drop != RING_PACKETS) {
			ring_count(&tx->counters, frame->drop, 1);
			continue;
		}
		const struct fragment *fragment = &batch->fragments[frame->first];
		uint32_t skip = 0;

		if (special)
			fragment = batch_payload(batch, frame, &skip);
		/* The one read of the addresses: the sender may change them meanwhile. */
		memcpy(header, fragment->data + skip, sizeof(header));
		if (!have_last || memcmp(header, last_header, sizeof(header)) != 0) {
			last_port = destination_of(vale, source, header, now);
			memcpy(last_header, header, sizeof(header));
			have_last = true;
		}
		copied += cost_of(batch, frame, special) *
			  (last_port == MAC_TABLE_UNKNOWN ? fan_out : 1);
		if (last_port == source)
			ring_count(&tx->counters, RING_DROP_SAME_PORT, 1);
		else if (last_port == MAC_TABLE_UNKNOWN)
			list_append(batch, &batch->flood, (uint16_t)number);
		else
			unicast_append(batch, last_port, (uint16_t)number);
	}
	batch->num_frames = number;
	tx->hwcur = ring_advance(tx->num_slots, tx->hwcur, slots);
	tx->hwtail = ring_prev(tx->num_slots, tx->hwcur);
}

/* ---- deliver ---- */

/* Cuts a frame anew, for a destination whose buffers are smaller than its fragments. */
static bool copy_frame_recut(struct kring *rx, const struct batch *batch, const struct frame *frame,
			     uint32_t slots)
{
	const struct fragment *from = &batch->fragments[frame->first];
	uint32_t done_in_fragment = 0, left = frame->bytes;

	for (uint32_t n = 0; n < slots; n++) {
		uint32_t index = ring_advance(rx->num_slots, rx->hwtail, n);
		struct netmap_slot slot = kring_load_slot(rx, index);
		uint32_t room = rx->buf_size < UINT16_MAX ? rx->buf_size : UINT16_MAX;
		uint32_t used = 0;

		slot.len = 0;
		if (!kring_slot_valid(rx, slot)) {
			kring_fault(rx, PTNET_FAULT_BUF_IDX, slot.buf_idx);
			return false;
		}
		while (used < room && left > 0) {
			uint32_t chunk = from->len - done_in_fragment;

			if (chunk > room - used)
				chunk = room - used;
			/* In one region both slots may name the same buffer. */
			memmove(kring_buf(rx, slot) + used, from->data + done_in_fragment, chunk);
			used += chunk;
			left -= chunk;
			done_in_fragment += chunk;
			if (done_in_fragment == from->len) {
				from++;
				done_in_fragment = 0;
			}
		}
		slot.len = (uint16_t)used;
		slot.flags = (uint16_t)(slots << NS_PORT_SHIFT | (n + 1 < slots ? NS_MOREFRAG : 0));
		kring_store_slot(rx, index, slot);
	}
	return true;
}

/* A slot for each fragment (spec/ports.md section 2.5). */
static bool copy_frame_fragments(struct kring *rx, const struct batch *batch,
				 const struct frame *frame)
{
	for (uint32_t n = 0; n < frame->frags; n++) {
		const struct fragment *fragment = &batch->fragments[frame->first + n];
		uint32_t index = ring_advance(rx->num_slots, rx->hwtail, n);
		struct netmap_slot slot = kring_load_slot(rx, index);

		slot.len = (uint16_t)fragment->len;
		slot.flags = (uint16_t)(frame->frags << NS_PORT_SHIFT |
					(n + 1 < frame->frags ? NS_MOREFRAG : 0));
		if (!kring_slot_valid(rx, slot)) {
			kring_fault(rx, PTNET_FAULT_BUF_IDX, slot.buf_idx);
			return false;
		}
		/* In one region both slots may name the same buffer. */
		memmove(kring_buf(rx, slot), fragment->data, fragment->len);
		kring_store_slot(rx, index, slot);
	}
	return true;
}

/* The common shape: one fragment that fits one buffer. */
static bool copy_frame_single(struct kring *rx, const struct fragment *fragment)
{
	struct netmap_slot slot = kring_load_slot(rx, rx->hwtail);

	slot.len = (uint16_t)fragment->len;
	slot.flags = 1 << NS_PORT_SHIFT;
	if (!kring_slot_valid(rx, slot)) {
		kring_fault(rx, PTNET_FAULT_BUF_IDX, slot.buf_idx);
		return false;
	}
	copy_packet(kring_buf(rx, slot), fragment->data, fragment->len);
	kring_store_slot(rx, rx->hwtail, slot);
	return true;
}

static uint32_t slots_needed(const struct kring *rx, const struct frame *frame)
{
	uint32_t room = rx->buf_size < UINT16_MAX ? rx->buf_size : UINT16_MAX;

	return frame->longest <= room ? frame->frags : (frame->bytes + room - 1) / room;
}

static bool copy_frame(struct kring *rx, const struct batch *batch, const struct frame *frame,
		       uint32_t slots)
{
	if (frame->longest > rx->buf_size)
		return copy_frame_recut(rx, batch, frame, slots);
	if (frame->frags > 1)
		return copy_frame_fragments(rx, batch, frame);
	return copy_frame_single(rx, &batch->fragments[frame->first]);
}

/* The next frame of two lists that are both in order of arrival. */
static uint16_t merge_next(const struct batch *batch, uint16_t *a, uint16_t *b)
{
	uint16_t frame;

	if (*a < *b) { /* FRAME_NONE is the largest number */
		frame = *a;
		*a = batch->frames[frame].next;
	} else {
		frame = *b;
		if (frame != FRAME_NONE)
			*b = batch->frames[frame].next;
	}
	return frame;
}

static uint32_t merge_count(const struct batch *batch, uint16_t a, uint16_t b)
{
	uint32_t count = 0;

	while (merge_next(batch, &a, &b) != FRAME_NONE)
		count++;
	return count;
}

/* Warms the slot and the buffer that a later frame will be written to. */
static void prefetch_ahead(const struct kring *rx, uint32_t space)
{
	enum { AHEAD = 6 };

	if (space <= AHEAD)
		return;
	uint32_t index = ring_advance(rx->num_slots, rx->hwtail, AHEAD);
	uint32_t buf_idx = PTNET_LOAD_RELAXED(&rx->slots[index].buf_idx);
	if (buf_idx < rx->buf_total)
		__builtin_prefetch(rx->buf_base + (size_t)buf_idx * rx->buf_size, 1);
}

/* How far the delivery of two lists has come. */
struct delivery {
	uint16_t a, b; /* what is left of them */
	uint32_t vnet_hdr_len;
	uint32_t space; /* slots */
	uint32_t packets;
	uint64_t bytes;
};

enum delivery_end { DELIVERED_ALL, DELIVERY_FULL, DELIVERY_FAULTED };

/* To a ring like the sender's: bytes are copied as they are. */
static inline enum delivery_end deliver_plain(struct kring *rx, struct batch *batch,
					      struct delivery *delivery)
{
	uint32_t limit = rx->port->max_frame + delivery->vnet_hdr_len;
	uint16_t number;

	while ((number = merge_next(batch, &delivery->a, &delivery->b)) != FRAME_NONE) {
		const struct frame *frame = &batch->frames[number];
		uint32_t slots = slots_needed(rx, frame);

		if (slots > NETMAP_MAX_FRAGS || frame->bytes > limit) {
			ring_count(&rx->counters, RING_DROP_TOO_LONG, 1);
			continue;
		}
		if (slots > delivery->space)
			return DELIVERY_FULL;
		prefetch_ahead(rx, delivery->space);
		if (!copy_frame(rx, batch, frame, slots))
			return DELIVERY_FAULTED;
		rx->hwtail = ring_advance(rx->num_slots, rx->hwtail, slots);
		delivery->space -= slots;
		delivery->packets++;
		delivery->bytes += frame->bytes;
	}
	return DELIVERED_ALL;
}

static enum delivery_end deliver_converted(struct kring *rx, struct batch *batch,
					   struct delivery *delivery)
{
	uint16_t number;

	while ((number = merge_next(batch, &delivery->a, &delivery->b)) != FRAME_NONE) {
		struct vale_delivered done = {0};

		switch (vale_convert(rx, batch, &batch->frames[number], delivery->vnet_hdr_len,
				     delivery->space, &done)) {
		case VALE_CONVERTED:
			break;
		case VALE_DROPPED:
			continue;
		case VALE_NO_ROOM:
			return DELIVERY_FULL;
		case VALE_FAULTED:
			return DELIVERY_FAULTED;
		}
		rx->hwtail = ring_advance(rx->num_slots, rx->hwtail, done.slots);
		delivery->space -= done.slots;
		delivery->packets += done.packets;
		delivery->bytes += done.bytes;
	}
	return DELIVERED_ALL;
}

/*
 * Delivers the frames of two lists to one ring. What does not fit, and all that
 * follows it in this batch, is dropped, so that order is kept (2.5).
 */
static void deliver(struct kring *rx, struct batch *batch, uint16_t a, uint16_t b)
{
	struct delivery delivery = {
		.a = a,
		.b = b,
		.vnet_hdr_len = atomic_load_explicit(&rx->port->vnet_hdr_len, memory_order_relaxed),
	};
	enum delivery_end end;

	pthread_mutex_lock(&rx->lock);
	if (!kring_pull(rx)) {
		ring_count(&rx->counters, RING_DROP_NOT_RUNNING, merge_count(batch, a, b));
		pthread_mutex_unlock(&rx->lock);
		return;
	}
	rx->hwcur = rx->head;
	delivery.space = rx->num_slots - 1 - ring_distance(rx->num_slots, rx->head, rx->hwtail);
	if (delivery.vnet_hdr_len == batch->vnet_hdr_len && rx->offset_mask == 0)
		end = deliver_plain(rx, batch, &delivery);
	else
		end = deliver_converted(rx, batch, &delivery);
	if (end != DELIVERED_ALL) /* the one that failed, and those behind it */
		ring_count(&rx->counters,
			   end == DELIVERY_FULL ? RING_DROP_RING_FULL : RING_DROP_NOT_RUNNING,
			   1 + merge_count(batch, delivery.a, delivery.b));
	ring_count(&rx->counters, RING_PACKETS, delivery.packets);
	ring_count(&rx->counters, RING_BYTES, delivery.bytes);
	if (end == DELIVERY_FAULTED) {
		kring_push_quietly(rx); /* those before the bad slot; the fault interrupts */
		pthread_mutex_unlock(&rx->lock);
		return;
	}
	/*
	 * The next batch may not fit. On a busy machine the receiver may be waiting for
	 * this very CPU; one that has not moved since the last time gets no other.
	 */
	if (delivery.space < BATCH_SLOTS && rx->head != rx->crowded_head) {
		rx->crowded_head = rx->head;
		batch->crowded = true;
	}
	kring_push(rx);
	pthread_mutex_unlock(&rx->lock);
}

/* Unicast goes to the ring of the sender's number, flooded packets to ring 0 (2.5). */
static void deliver_to_port(struct port *port, unsigned tx_index, struct batch *batch,
			    uint16_t unicast, uint16_t flood)
{
	unsigned ring = tx_index % port->rx_rings;

	if (ring == 0) {
		deliver(port_rx(port, 0), batch, unicast, flood);
		return;
	}
	if (unicast != FRAME_NONE)
		deliver(port_rx(port, ring), batch, unicast, FRAME_NONE);
	if (flood != FRAME_NONE)
		deliver(port_rx(port, 0), batch, FRAME_NONE, flood);
}

/* To the destinations that deliver_flood() did not reach. */
static void deliver_unicast(struct kring *tx, struct vale *vale, struct batch *batch)
{
	for (unsigned i = 0; i < batch->num_destinations; i++) {
		unsigned index = batch->destinations[i];
		struct port *port = atomic_load_explicit(&vale->ports[index], memory_order_acquire);
		uint16_t first = batch->unicast[index].first;

		if (first == FRAME_NONE)
			continue;
		if (port != NULL)
			deliver_to_port(port, tx->index, batch, first, FRAME_NONE);
		else /* it left while its addresses were being forgotten */
			ring_count(&tx->counters, RING_DROP_NO_DESTINATION,
				   merge_count(batch, first, FRAME_NONE));
	}
}

static void deliver_flood(struct kring *tx, struct vale *vale, unsigned source, struct batch *batch)
{
	unsigned end = atomic_load_explicit(&vale->ports_end, memory_order_acquire);
	bool anybody = false;

	for (unsigned index = 0; index < end; index++) {
		struct port *port = atomic_load_explicit(&vale->ports[index], memory_order_acquire);

		if (port == NULL || index == source)
			continue;
		anybody = true;
		deliver_to_port(port, tx->index, batch, batch->unicast[index].first,
				batch->flood.first);
		batch->unicast[index].first = FRAME_NONE;
	}
	if (!anybody)
		ring_count(&tx->counters, RING_DROP_NO_DESTINATION,
			   merge_count(batch, batch->flood.first, FRAME_NONE));
}

static void count_taken(struct kring *tx, const struct batch *batch)
{
	uint64_t packets = 0, bytes = 0;

	for (unsigned i = 0; i < batch->num_frames; i++) {
		if (batch->frames[i].drop != RING_PACKETS)
			continue;
		packets++;
		bytes += batch->frames[i].bytes;
	}
	ring_count(&tx->counters, RING_PACKETS, packets);
	ring_count(&tx->counters, RING_BYTES, bytes);
}

TWO_VERSIONS void take(struct kring *tx, struct vale_port *self, struct batch *batch,
		       unsigned budget, const bool special)
{
	gather(tx, batch, budget < BATCH_SLOTS ? budget : BATCH_SLOTS, special);
	classify(tx, self->vale, self->index, batch, special);
}

enum port_work vale_run(struct kring *tx, unsigned budget)
{
	struct vale_port *self = vale_port_of(tx->port);
	struct batch batch;

	if (!kring_pull(tx))
		return PORT_STOPPED;
	if (tx->head == tx->hwcur)
		return PORT_DRY;
	kring_set_need_kick(tx, false);

	batch.vnet_hdr_len = atomic_load_explicit(&tx->port->vnet_hdr_len, memory_order_relaxed);
	if (batch.vnet_hdr_len == 0 && tx->offset_mask == 0)
		take(tx, self, &batch, budget, false);
	else
		take(tx, self, &batch, budget, true);
	if (batch.flood.first != FRAME_NONE)
		deliver_flood(tx, self->vale, self->index, &batch);
	deliver_unicast(tx, self->vale, &batch);

	count_taken(tx, &batch);
	if (tx->head == tx->hwcur) {
		kring_push(tx);
		return PORT_DRY;
	}
	/* A sender that waits for room is better woken for half a ring than for a batch. */
	if (ring_distance(tx->num_slots, tx->head, tx->hwtail) < tx->num_slots / 2)
		kring_push_quietly(tx);
	else
		kring_push(tx);
	return batch.crowded ? PORT_CROWDED : PORT_MORE;
}
