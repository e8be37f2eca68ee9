/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line.
 */
#ifndef BRIDGE_OPTIONS_H
#define BRIDGE_OPTIONS_H

#include "reporting.h"

struct bridge_options {
	char ports[2][128]; /* with their netmap: or valeX: */
	uint32_t burst;	    /* packets of a ring in one go */
	bool one_way;	    /* from the first to the second only */
	bool copy;	    /* even if buffers could be swapped */
	int64_t wait;	    /* ns between opening and forwarding */
	int64_t timeout;    /* ns, at the end, for the last packets to be taken */
	struct reporting reporting;
};

/* Fills o. Returns -1 to go on; otherwise the program's exit status, after a message, the help
 * or the version. Strings in o are argv's. */
int options_parse(struct bridge_options *o, int argc, char **argv);

#endif
