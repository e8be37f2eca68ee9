/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets from one ring to another, whole ones only: a chain of slots (NS_MOREFRAG) is moved with
 * its last slot or not at all. No system calls: works on any netmap_ring.
 */
#ifndef BRIDGE_FORWARD_H
#define BRIDGE_FORWARD_H

#include "slots.h"

struct forward_counters {
	uint64_t packets;
	uint64_t bytes;	  /* of packets, virtio-net headers included */
	uint64_t dropped; /* impossible slots, or more slots than the other side takes */
	uint64_t empty;	  /* slots of length 0, which VALE's receivers may find */
	uint64_t stalls;  /* packets that found no room and waited; the caller's to count */
};

struct forwarder {
	uint32_t from_limit, to_limit; /* buffers of the regions */
	bool same_region;	       /* buffers may be swapped */
	uint8_t *scratch;	       /* a packet of NETMAP_MAX_FRAGS buffers of either side */
	uint32_t scratch_size;
	struct forward_counters counters;
};

/* Why it went no further. */
enum forward_end {
	FORWARD_EMPTY, /* nothing left */
	FORWARD_PART,  /* of what is left, the end has not come */
	FORWARD_BURST, /* enough for once */
	FORWARD_FULL,  /* no room for what is left */
};

/*
 * Moves at most burst packets (at least one) and publishes head on both sides, for their next
 * sync. What is left stays in the RX ring.
 */
enum forward_end forward(struct forwarder *f, struct netmap_ring *from, struct netmap_ring *to,
			 uint32_t burst);

#endif
