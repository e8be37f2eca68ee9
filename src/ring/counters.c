/* SPDX-License-Identifier: BSD-2-Clause */
#include "ring/counters.h"

const char *const ring_counter_names[RING_COUNTER_COUNT] = {
#define X(identifier, name) name,
	RING_COUNTERS(X)
#undef X
};
