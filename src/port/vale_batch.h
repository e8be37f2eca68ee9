/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A batch of VALE's hot path: what one run took from a TX ring. vale_forward.c fills it and sees to
 * where the frames go; vale_convert.c delivers those that have to be changed on the way.
 */
#ifndef PTNET_PORT_VALE_BATCH_H
#define PTNET_PORT_VALE_BATCH_H

#include <stdint.h>

#include "port/vale.h"
#include "ring/counters.h"

#define BATCH_SLOTS 256u
#define BATCH_MAX   (BATCH_SLOTS + NETMAP_MAX_FRAGS) /* a packet is never cut */

/* A slot's packet data: length and place are private copies, checked; the bytes are the sender's.
 */
struct fragment {
	const char *data;
	uint32_t len;
};

struct frame {
	uint16_t first; /* fragment */
	uint16_t frags;
	uint16_t next;		/* on the same list */
	uint16_t slots;		/* of the sender's */
	uint32_t bytes;		/* virtio-net header included */
	uint32_t longest;	/* fragment, bytes */
	enum ring_counter drop; /* why it must not be forwarded; RING_PACKETS: it may */
};

struct list {
	uint16_t first, last;
};

struct batch {
	unsigned num_fragments;
	unsigned num_frames;
	unsigned num_destinations;
	uint32_t vnet_hdr_len; /* bytes in front of each frame, all in its first fragment */
	bool crowded;
	struct list flood;
	struct list unicast[VALE_MAX_PORTS];
	uint8_t destinations[VALE_MAX_PORTS]; /* ports that have a unicast list */
	struct fragment fragments[BATCH_MAX];
	struct frame frames[BATCH_MAX];
};

/*
 * Where a frame's Ethernet header begins: behind the virtio-net header, which has a slot of its
 * own if it fills one.
 */
static inline const struct fragment *batch_payload(const struct batch *batch,
						   const struct frame *frame, uint32_t *skip)
{
	const struct fragment *first = &batch->fragments[frame->first];

	*skip = batch->vnet_hdr_len;
	if (*skip == 0 || first->len != *skip)
		return first;
	*skip = 0;
	return first + 1;
}

#endif
