/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A record of the buffers that packets were in: a line per packet, the ring's number and then
 * the index of each slot's buffer. Where buffers change hands (pipes), the sender's and the
 * receiver's records are equal.
 */
#ifndef GEN_BUFINDEX_H
#define GEN_BUFINDEX_H

#include <net/netmap_user.h>

struct bufindex;

/* Creates or truncates file ("-": standard output). NULL after saying what is wrong. */
struct bufindex *bufindex_create(const char *file);

/* Adds the packet in slots slots from first on. Any thread; a ring's packets stay in order. */
void bufindex_note(struct bufindex *b, const struct netmap_ring *ring, uint32_t first,
		   uint32_t slots);

/* 0, or -1 after saying that lines are missing. */
int bufindex_close(struct bufindex *b);

#endif
