/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Stops the rings of a region whose memory somebody has taken away (memory/guard.h).
 *
 * All functions: control thread.
 */
#ifndef PTNET_ATTACH_REGION_WATCH_H
#define PTNET_ATTACH_REGION_WATCH_H

#include "log/error.h"

struct region;
struct region_watch;
struct worker;

/*
 * Watches @region, which outlives the watch, on @worker. @lost, unless it is NULL, is called
 * there each time with @argument. The log calls the region "region @name". -ENOMEM and the like.
 */
int region_watch_open(struct region_watch **watch, struct worker *worker, struct region *region,
		      const char *name, void (*lost)(void *argument), void *argument,
		      struct error *error);
/* NULL is allowed. */
void region_watch_close(struct region_watch *watch);

#endif
