/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PTNET_SHIM_READINESS_H
#define PTNET_SHIM_READINESS_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

#include "description.h"
#include "sleeper.h"

/* epoll's events have the same numbers. */
#define EVENTS_OUT (POLLOUT | POLLWRNORM)
#define EVENTS_IN  (POLLIN | POLLRDNORM)

/* Whose interrupts who waits for @events must ask for: SLEEP_*. */
static inline unsigned directions_of(uint32_t events)
{
	return ((events & EVENTS_OUT) != 0 ? SLEEP_TX : 0) |
	       ((events & EVENTS_IN) != 0 ? SLEEP_RX : 0);
}

/*
 * netmap's poll() of one description (spec/netmap-api.md section 9): syncs what that syncs and
 * returns revents for @events. Sets *busy if a ring could not be looked at because somebody else
 * was at it; then nothing can be said of it and one must not sleep for long. @fd: a descriptor of
 * the description's. Never waits for the daemon, unless it must ask what @fd is bound to.
 */
short readiness(struct description *d, int fd, short events, bool *busy);

#endif
