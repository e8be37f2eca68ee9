/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop of CSB mode (spec/netmap-api.md sections 7.3 and 7.4): where netmap's kernel serves the
 * program's CSB in the thread that asks for it, this does so between that CSB and the local one.
 */
#ifndef PTNET_SHIM_KLOOP_H
#define PTNET_SHIM_KLOOP_H

#include <net/netmap.h>

#include "description.h"
#include "options.h"

/* Serves until it is stopped. 0 or negative errno, and the options' statuses. */
int kloop_start(struct description *d, int fd, const struct nmreq_sync_kloop_start *request,
		struct option_list *options);

/* Stops the loop, and waits until it has ended; or stops the next one before it begins. */
int kloop_stop(struct description *d, int fd);

#endif
