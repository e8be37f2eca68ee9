/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Delivery to a ring that differs from the sender's: its port has virtio-net headers of another
 * length, or its packets begin at offsets. Adds, strips and carries out what such headers ask for:
 * checksums and segmentation (spec/ports.md section 2.6).
 */
#ifndef PTNET_PORT_VALE_CONVERT_H
#define PTNET_PORT_VALE_CONVERT_H

#include "port/vale_batch.h"
#include "ring/kring.h"

enum vale_converted {
	VALE_CONVERTED,
	VALE_DROPPED, /* counted at @rx; what follows may go on */
	VALE_NO_ROOM, /* not counted */
	VALE_FAULTED, /* @rx was stopped */
};

struct vale_delivered {
	uint32_t slots, packets, bytes;
};

/*
 * Writes a frame of @batch into the slots of @rx from hwtail on, of which @space are free; the
 * caller then moves hwtail over done->slots. @vnet_hdr_len is the receiving port's. Caller holds
 * @rx's lock. Worker thread.
 */
enum vale_converted vale_convert(struct kring *rx, const struct batch *batch,
				 const struct frame *frame, uint32_t vnet_hdr_len, uint32_t space,
				 struct vale_delivered *done);

#endif
