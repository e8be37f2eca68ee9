/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two open ports and what goes between them. Everything on one thread, which sleeps while there is
 * nothing to do.
 */
#ifndef BRIDGE_BRIDGE_H
#define BRIDGE_BRIDGE_H

#include "forward.h"
#include "options.h"
#include "port.h"

/* One direction. RX ring i goes into TX ring i, modulo how many there are, so that what came in
 * order through one ring leaves in order. */
struct direction {
	struct open_port *from, *to;
	struct forwarder forwarder;
	bool *stalled;		       /* by RX ring: its next packet has found no room before */
	struct forward_counters shown; /* at the last progress line */
	uint32_t pending;	       /* at the end: slots that were not taken */
};

struct bridge {
	const struct bridge_options *options;
	struct open_port ports[2];
	struct direction directions[2];
	unsigned int n_directions;
	bool zero_copy;
	int64_t seconds_ns; /* of forwarding */
	struct progress progress;
};

/* Opens both ports. 0, or -1 after saying what is wrong; bridge_close is called in either case. */
int bridge_open(struct bridge *b, const struct bridge_options *o);

/* Forwards until stop_asked, then until what it took is on its way, at most for the options'
 * timeout. 0, or -1 after saying what is wrong. */
int bridge_run(struct bridge *b);

void bridge_close(struct bridge *b);

/* The program's exit status; the report's document, for the caller to json_decref. */
enum exit_status bridge_status(const struct bridge *b, int result);
json_t *bridge_json(const struct bridge *b, enum exit_status status);

/* Prints what options ask for. 0, or -1 after saying what is wrong. */
int bridge_report(const struct bridge *b, enum exit_status status);

#endif
