/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The port, the pipes and the extra buffers. Everything on one thread, which sleeps while there is
 * nothing to do.
 */
#ifndef LB_BALANCER_H
#define LB_BALANCER_H

#include "options.h"
#include "port.h"
#include "spread.h"

struct balancer {
	const struct lb_options *options;
	struct open_port port;
	struct open_port pipes[LB_MAX_PIPES]; /* pipe i is the spreader's outlet i */
	struct outlet outlets[LB_MAX_PIPES];
	struct group groups[LB_MAX_GROUPS];
	struct spreader spreader;
	uint32_t extra; /* extra buffers obtained */
	int64_t seconds_ns;
	struct progress progress;
	uint64_t shown_packets, shown_bytes, shown_dropped; /* at the last progress line */
};

/* Opens port and pipes and takes the extra buffers. 0, or -1 after saying what is wrong;
 * balancer_close is called in either case. */
int balancer_open(struct balancer *b, const struct lb_options *o);

/* Spreads until stop_asked; then what waits, at most for the options' timeout. 0, or -1 after
 * saying what is wrong. */
int balancer_run(struct balancer *b);

/* Gives the extra buffers back and closes all. */
void balancer_close(struct balancer *b);

/* The report's document, for the caller to json_decref. */
json_t *balancer_json(const struct balancer *b, enum exit_status status);

/* Prints what options ask for. 0, or -1 after saying what is wrong. */
int balancer_report(const struct balancer *b, enum exit_status status);

/* Packets dropped, of all pipes: there was no room, or the ring is too short. */
uint64_t balancer_dropped(const struct balancer *b);

#endif
