/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What all processes that have a port open share (ptnet/local.h): the local CSB, and for
 * each ring that anybody has bound a kick and an interrupt. It lives from the first
 * process to the last, and so nothing of it stays in the hands of processes that had
 * the port before.
 *
 * Rings are sets of bits: TX ring i is bit i, RX ring j is bit tx_rings + j, as in the CSB.
 * All functions: control thread.
 */
#ifndef PTNET_ATTACH_LOCAL_ENDPOINT_H
#define PTNET_ATTACH_LOCAL_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "log/error.h"

struct engine;
struct local_endpoint;
struct port;

/*
 * Claims @port for processes. -EBUSY: a VM has it; -ENOMEM and the like: no memory or
 * descriptors. On failure nothing is held.
 */
int local_endpoint_create(struct local_endpoint **endpoint, struct engine *engine,
			  struct port *port, struct error *error);

/* Nobody has a ring any more. NULL is allowed. */
void local_endpoint_destroy(struct local_endpoint *endpoint);

/*
 * One more user of each of @rings; those that had none start. -EBUSY: one of them is somebody's
 * alone, or @exclusive and one has a user (spec/netmap-api.md section 5.5). On failure
 * nothing changed.
 */
int local_endpoint_take(struct local_endpoint *endpoint, uint32_t rings, bool exclusive,
			struct error *error);

/* Undoes it. Rings that nobody is left of stop. */
void local_endpoint_leave(struct local_endpoint *endpoint, uint32_t rings, bool exclusive);

/*
 * The port is being deleted under its users: all rings fault (PTNET_FAULT_GONE), so that
 * each sync fails from now on, and stop. The endpoint has no users then.
 */
void local_endpoint_end(struct local_endpoint *endpoint);

unsigned local_endpoint_users(const struct local_endpoint *endpoint, unsigned ring);

/* Stay the endpoint's; of a ring with a user. */
int local_endpoint_csb(const struct local_endpoint *endpoint);
int local_endpoint_kick(const struct local_endpoint *endpoint, unsigned ring);
int local_endpoint_interrupt(const struct local_endpoint *endpoint, unsigned ring);

#endif
