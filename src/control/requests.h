/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What can be asked on the control socket (docs/control-protocol.md), without the
 * socket: text in, text out.
 */
#ifndef PTNET_CONTROL_REQUESTS_H
#define PTNET_CONTROL_REQUESTS_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "control/inventory.h"
#include "control/netmap_device.h"

struct request_context {
	struct inventory *inventory;
	const struct netmap_device *netmap; /* NULL: there is none */
	uint64_t started_ns;		    /* CLOCK_MONOTONIC */
};

/*
 * Carries out the request in the @length bytes of @text, whatever they are, and
 * returns the answer, one line with its newline, for free(). NULL: out of memory;
 * then the request may have been carried out. Control thread.
 */
char *request_answer(const struct request_context *context, const char *text, size_t length);

/* An answer that says only what went wrong, in the same form; for free(). */
char *request_error_answer(int code, const char *message);

#endif
