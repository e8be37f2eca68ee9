/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What one open descriptor of /dev/netmap has of a port (spec/netmap-api.md sections 2.3,
 * 2.4 and 5.5): a set of rings, a netmap_if of its own, extra buffers. It goes with
 * the descriptor, and stays behind, without rings, when the port goes first.
 *
 * All functions: control thread.
 */
#ifndef PTNET_ATTACH_LOCAL_BINDING_H
#define PTNET_ATTACH_LOCAL_BINDING_H

#include <stdbool.h>
#include <stdint.h>

#include <ptnet/local.h>

#include "log/error.h"

struct local_endpoint;
struct extra_buffers;
struct port;
struct region;

/* Of which rings, how, and with what. */
struct local_binding_wish {
	uint32_t rings; /* as in local_endpoint.h; consecutive in each direction */
	bool exclusive;
	uint32_t extra_buffers;
};

struct local_binding {
	struct port *port;		 /* NULL: it was deleted */
	struct local_endpoint *endpoint; /* NULL: a null port, or it was deleted */
	struct region *region;
	uint32_t rings;
	bool exclusive;
	uint32_t if_index;
	struct extra_buffers *extra; /* NULL: none */
	uint32_t num_extra;
	uint64_t nifp_offset;
};

/*
 * Takes @wish->rings of @endpoint, NULL if @port is a null port. Fewer extra buffers than
 * wished are no error. -EBUSY: see local_endpoint_take(); -ENOMEM: the region has no
 * netmap_if left. On failure nothing is held.
 */
int local_binding_open(struct local_binding *binding, struct port *port,
		       struct local_endpoint *endpoint, const struct local_binding_wish *wish,
		       struct error *error);

/* Those of its rings that nobody else has. */
uint32_t local_binding_first_user(const struct local_binding *binding);

/* Gives everything back. */
void local_binding_close(struct local_binding *binding);

/* The port is going; its endpoint ended (local_endpoint_end()). Memory is kept. */
void local_binding_orphan(struct local_binding *binding);

/* What a process must know of it, but for the fields that echo the request. */
void local_binding_describe(const struct local_binding *binding, struct ptnet_local_binding *wire);

/* Puts the descriptors that go with it into @fds; they stay ours. Returns how many. */
unsigned local_binding_descriptors(const struct local_binding *binding,
				   int fds[PTNET_LOCAL_MAX_FDS]);

#endif
