/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ranges of addresses. A frame takes the next one, from the first to the last and round again.
 */
#ifndef GEN_ADDRESS_H
#define GEN_ADDRESS_H

#include <stdint.h>

struct address_range {
	uint64_t first; /* as a number: the written form read as big endian */
	uint64_t count; /* at least 1 */
};

/* Each reads "A" or "A-B" (B >= A); 0 or -EINVAL, r untouched on error. */
int address_parse_mac(struct address_range *r, const char *text);
int address_parse_ip(struct address_range *r, const char *text);   /* IPv4 */
int address_parse_port(struct address_range *r, const char *text); /* 0 to 65535 */

/* The address of packet number n. */
static inline uint64_t address_of(const struct address_range *r, uint64_t n)
{
	return r->count <= 1 ? r->first : r->first + n % r->count;
}

#endif
