/* SPDX-License-Identifier: BSD-2-Clause */
#ifndef PTNET_SHIM_READINESS_H
#define PTNET_SHIM_READINESS_H

#include <stdbool.h>

#include "description.h"

/*
 * netmap's poll() of one description (spec/netmap-api.md section 9): syncs what that syncs and
 * returns revents for @events. Sets *busy if a ring could not be looked at because somebody else
 * was at it; then nothing can be said of it and one must not sleep for long. @fd: a descriptor of
 * the description's. Never waits for the daemon, unless it must ask what @fd is bound to.
 */
short readiness(struct description *d, int fd, short events, bool *busy);

#endif
