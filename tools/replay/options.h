/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line.
 */
#ifndef REPLAY_OPTIONS_H
#define REPLAY_OPTIONS_H

#include "replay.h"
#include "reporting.h"

struct replay_options {
	char port[128]; /* with its netmap: or valeX: */
	const char *const *files;
	size_t n_files;
	enum capture_order order;
	struct replay_settings settings;
	bool fast;	 /* as fast as possible */
	int64_t max_gap; /* ns as played; < 0: any */
	bool send_cut;	 /* frames of which the file has only the beginning */
	int64_t wait;	 /* ns between opening and sending */
	int64_t timeout; /* ns, at the end, for the last packets to be taken */
	struct reporting reporting;
};

/* Fills o. Returns -1 to go on; otherwise the program's exit status, after a message, the help
 * or the version. Strings in o are argv's. */
int options_parse(struct replay_options *o, int argc, char **argv);

#endif
