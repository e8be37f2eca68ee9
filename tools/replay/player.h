/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The open port, the frames, and what became of them. Everything on one thread.
 */
#ifndef REPLAY_PLAYER_H
#define REPLAY_PLAYER_H

#include "options.h"

struct player {
	const struct replay_options *options;
	struct open_port port;
	struct capture capture;
	struct capture_left_out skipped; /* of one round */
	struct replay replay;
	struct histogram late; /* ns from when a frame was due until it was given to the port */
	uint64_t packets, bytes;
	uint64_t waits;		   /* times that the port had no room */
	uint32_t pending;	   /* at the end: slots that were not taken */
	int64_t first_ns, last_ns; /* first and last batch; 0: none */
	int64_t seconds_ns;
	struct progress progress;
	uint64_t shown_packets, shown_bytes; /* at the last progress line */
};

/* Reads the files, opens the port. 0, or -1 after saying what is wrong; player_close is called in
 * either case. */
int player_open(struct player *p, const struct replay_options *o);

/* Sends all, or until stop_asked, then waits until the other side has taken it, at most for the
 * options' timeout. 0, or -1 after saying what is wrong. */
int player_run(struct player *p);

void player_close(struct player *p);

/* The program's exit status; the report's document, for the caller to json_decref. */
enum exit_status player_status(const struct player *p, int result);
json_t *player_json(const struct player *p, enum exit_status status);

/* Prints what options ask for. 0, or -1 after saying what is wrong. */
int player_report(const struct player *p, enum exit_status status);

#endif
