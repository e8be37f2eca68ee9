/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small repeatable source of random numbers: the same seed gives the same traffic. (George
 * Marsaglia's xorshift with a multiplication.) Not for secrets.
 */
#ifndef GEN_XORSHIFT_H
#define GEN_XORSHIFT_H

#include <stdint.h>

struct random {
	uint64_t state; /* never 0 */
};

static inline void random_seed(struct random *r, uint64_t seed)
{
	r->state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
	if (!r->state)
		r->state = 1;
}

static inline uint32_t random_next(struct random *r)
{
	uint64_t x = r->state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	r->state = x;
	return (uint32_t)((x * UINT64_C(0x2545f4914f6cdd1d)) >> 32);
}

/* 0 .. n-1, n > 0. */
static inline uint32_t random_below(struct random *r, uint32_t n)
{
	return (uint32_t)(((uint64_t)random_next(r) * n) >> 32);
}

#endif
