/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Takes away what the daemon does not need, so that a guest that got hold of it
 * would have little to go on with: capabilities, the gaining of new privileges,
 * and system calls. See the essay in sandbox.c.
 */
#ifndef PTNET_CONTROL_SANDBOX_H
#define PTNET_CONTROL_SANDBOX_H

#include "log/error.h"

/*
 * For the calling thread and those that it starts, for good: call it before there
 * are others. Directories must have been made and users and groups looked up.
 * On failure (a text says of what) some of it may be in force.
 */
int sandbox_enter(struct error *error);

#endif
