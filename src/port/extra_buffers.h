/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Extra buffers: those that a program asked for beyond the ones in its rings' slots
 * (spec/netmap-api.md section 2.4). It gets them as a list in shared memory, has them in hand,
 * where nobody sees them, exchanges them freely with slots, and should put as many into a list
 * again before it closes. It may be killed before that, and then the list says anything at all.
 *
 * Control thread.
 */
#ifndef PTNET_PORT_EXTRA_BUFFERS_H
#define PTNET_PORT_EXTRA_BUFFERS_H

#include <stdint.h>

struct extra_buffers;
struct region;

/*
 * Takes @wanted buffers of the region, or as many as it has, and makes a list of them. Returns
 * their number; if that is 0, *@extra is NULL, which all functions below take as well.
 */
int extra_buffers_take(struct extra_buffers **extra, struct region *region, uint32_t wanted);

/* What ni_bufs_head has to say at first: the first buffer of the list, or 0. */
uint32_t extra_buffers_head(const struct extra_buffers *extra);

/*
 * Whoever had them is gone, and @head is what ni_bufs_head said then, read once. A list that is
 * whole (as long as it should be, of buffers that are in no slot) goes back to the region. If it is
 * not, all goes back that no slot shows. But while somebody else has extra buffers of the region, a
 * list that is not whole, or still the one that we made, does not tell what is whose: it is then
 * lost until there is nobody else any more (port/buffers.h). Frees @extra.
 */
void extra_buffers_give_back(struct extra_buffers *extra, uint32_t head);

#endif
