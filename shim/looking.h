/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Looking a little longer before one sleeps (docs/notifications.md, "Looking before sleeping"). Who
 * sleeps and is woken at once costs himself and the daemon more than a look does. So a thread
 * looks for as long as lately would have saved it a sleep, at most for the daemon's look_max_us;
 * a thread for which nothing comes soon sleeps at once.
 */
#ifndef PTNET_SHIM_LOOKING_H
#define PTNET_SHIM_LOOKING_H

#include <stdbool.h>
#include <stdint.h>

/* One look. Of the calling thread; on its stack. */
struct looking {
	uint64_t end; /* clock_ns() */
	bool began;
};

/* What the daemon that a descriptor was bound by allows; 0: never look. Any thread. */
void looking_set_max(uint32_t us);

/*
 * Shall the calling thread look once more, instead of sleeping? Yields the processor first. For
 * the condition of a loop that @looking, all zero at first, belongs to:
 * the loop is left by itself if there is something, and ends when the time is over.
 */
bool looking_goes_on(struct looking *looking);

/* The calling thread slept for @ns until there was something. */
void looking_slept(uint64_t ns);

#endif
