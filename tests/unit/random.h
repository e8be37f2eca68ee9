/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Random numbers for tests that can be repeated: the seed is printed, and
 * PTNET_TEST_SEED gives it back.
 */
#ifndef PTNET_TESTS_RANDOM_H
#define PTNET_TESTS_RANDOM_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct random {
	uint64_t state;
};

/* Below @limit, which is not 0. xorshift64*. */
static inline uint32_t random_below(struct random *random, uint32_t limit)
{
	random->state ^= random->state >> 12;
	random->state ^= random->state << 25;
	random->state ^= random->state >> 27;
	return (uint32_t)((random->state * UINT64_C(0x2545f4914f6cdd1d)) >> 32) % limit;
}

static inline void random_start(struct random *random, const char *test)
{
	const char *given = getenv("PTNET_TEST_SEED");
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	random->state = given != NULL ? strtoull(given, NULL, 0)
				      : (uint64_t)now.tv_sec * 1000000007u ^ (uint64_t)now.tv_nsec;
	random->state |= 1; /* 0 would stay 0 */
	printf("%s: PTNET_TEST_SEED=0x%" PRIx64 "\n", test, random->state);
	fflush(stdout);
}

#endif
