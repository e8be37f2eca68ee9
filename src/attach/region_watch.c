/* SPDX-License-Identifier: BSD-2-Clause */
#include "attach/region_watch.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "engine/endpoint.h"
#include "engine/engine.h"
#include "log/log.h"
#include "memory/region.h"
#include "port/buffers.h"
#include "port/port.h"

struct region_watch {
	struct watch watch; /* first */
	struct worker *worker;
	struct region *region;
	char name[PORT_NAME_SIZE];
	struct log_limit log_limit;
	void (*lost)(void *argument);
	void *argument;
};

static void stop_rings(struct port *port)
{
	endpoint_fault(port, PTNET_FAULT_CSB);
}

static void memory_lost(struct watch *watch, uint32_t epoll_events)
{
	struct region_watch *self = (struct region_watch *)watch;
	eventfd_t count;

	(void)epoll_events;
	if (eventfd_read(watch->fd, &count) < 0)
		return;
	if (self->lost != NULL)
		self->lost(self->argument);
	log_limited(&self->log_limit, LOG_LEVEL_ERROR,
		    "region %s: somebody took memory out of it that cannot be replaced; its rings "
		    "have stopped for good: delete its ports and make them anew",
		    self->name);
	buffers_visit_ports(self->region, stop_rings);
}

/* worker_call() */
static void unwatch(void *argument)
{
	struct region_watch *self = argument;

	worker_watch_del(self->worker, &self->watch);
}

int region_watch_open(struct region_watch **out, struct worker *worker, struct region *region,
		      const char *name, void (*lost)(void *), void *argument, struct error *error)
{
	struct region_watch *self = calloc(1, sizeof(*self));
	int result;

	if (self == NULL)
		return error_set(error, ENOMEM, "out of memory");
	self->watch = (struct watch){.fd = region_lost_eventfd(region), .ready = memory_lost};
	self->worker = worker;
	self->region = region;
	self->lost = lost;
	self->argument = argument;
	snprintf(self->name, sizeof(self->name), "%s", name);
	result = worker_watch_add(worker, &self->watch, EPOLLIN);
	if (result < 0) {
		free(self);
		return error_set(error, -result, "region %s: cannot watch its memory: %s", name,
				 strerror(-result));
	}
	*out = self;
	return 0;
}

void region_watch_close(struct region_watch *self)
{
	if (self == NULL)
		return;
	worker_call(self->worker, unwatch, self);
	free(self);
}
