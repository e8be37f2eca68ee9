/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The command line.
 */
#ifndef LB_OPTIONS_H
#define LB_OPTIONS_H

#include "flow.h"
#include "reporting.h"

#define LB_MAX_GROUPS 16
#define LB_MAX_PIPES  256 /* of all groups */

struct lb_group_option {
	char parent[128]; /* with its netmap: or valeX:; empty: the port's own name */
	uint32_t count;	  /* pipes parent{0 to parent{count-1 */
};

struct lb_options {
	char port[128]; /* with its netmap: or valeX: */
	struct lb_group_option groups[LB_MAX_GROUPS];
	unsigned int n_groups;
	unsigned int n_pipes;
	uint32_t extra; /* buffers for packets that wait */
	bool extra_given;
	uint32_t slots; /* of a pipe's rings; 0: as the daemon has it */
	uint32_t burst; /* packets of a ring in one go */
	enum flow_fields fields;
	uint64_t seed;
	int64_t wait;	 /* ns between opening and forwarding */
	int64_t timeout; /* ns, at the end, for what waits */
	struct reporting reporting;
};

/* Fills o. Returns -1 to go on; otherwise the program's exit status, after a message, the help
 * or the version. Strings in o are argv's. */
int options_parse(struct lb_options *o, int argc, char **argv);

#endif
