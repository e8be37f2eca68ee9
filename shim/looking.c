/* SPDX-License-Identifier: BSD-2-Clause */
#include "looking.h"

#include <sched.h>

#include "clock.h"

#define FIRST_NS 2000u
#define LEAST_NS 500u
#define LIMIT_US 1000u /* whatever the daemon says */

static uint32_t max_ns;		 /* atomic */
static __thread uint32_t own_ns; /* how long this thread looks */

void looking_set_max(uint32_t us)
{
	__atomic_store_n(&max_ns, (us < LIMIT_US ? us : LIMIT_US) * 1000, __ATOMIC_RELAXED);
}

static uint32_t bounded(uint32_t ns)
{
	uint32_t max = __atomic_load_n(&max_ns, __ATOMIC_RELAXED);

	return ns < max ? ns : max;
}

bool looking_goes_on(struct looking *looking)
{
	if (!looking->began) {
		uint32_t ns = bounded(own_ns);

		if (ns < LEAST_NS)
			return false;
		looking->began = true;
		looking->end = clock_ns() + ns;
	} else if (clock_ns() >= looking->end) {
		own_ns -= own_ns / 4;
		return false;
	}
	sched_yield();
	return true;
}

void looking_slept(uint64_t ns)
{
	if (ns < __atomic_load_n(&max_ns, __ATOMIC_RELAXED))
		own_ns = bounded(own_ns < FIRST_NS ? FIRST_NS : own_ns * 2);
}
