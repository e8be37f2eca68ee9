/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frame sizes: one, a range, or a weighted mix of those. In bytes from the destination MAC to
 * the end of the payload, without the checksum that a NIC appends.
 */
#ifndef GEN_SIZE_H
#define GEN_SIZE_H

#include "xorshift.h"

#include <stdbool.h>

#define SIZE_MAX_PARTS 32
#define SIZE_MIN       42    /* Ethernet, IPv4 and UDP headers */
#define SIZE_MAX_FRAME 65549 /* the longest IPv4 packet in an Ethernet frame */

struct size_part {
	uint32_t from, to; /* inclusive */
	uint32_t weight;
};

struct size_distribution {
	struct size_part parts[SIZE_MAX_PARTS];
	unsigned int n;
	uint32_t total_weight;
};

/* "60", "60-1514", "imix", "60:7,590:4,1000-1514:1". Returns 0 or -EINVAL/-ERANGE/-E2BIG; d is
 * undefined on error. */
int size_parse(struct size_distribution *d, const char *text);

uint32_t size_next(const struct size_distribution *d, struct random *r);
uint32_t size_largest(const struct size_distribution *d);
bool size_is_fixed(const struct size_distribution *d);

#endif
