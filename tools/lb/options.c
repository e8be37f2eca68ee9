/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include "argument.h"
#include "command_line.h"
#include "message.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: ptnet-lb -i PORT -p [NAME:]COUNT [-p ...] [OPTION]...\n"
	"\n"
	"Spreads the packets that come from a netmap port over pipes, by flow: both directions of\n"
	"a flow go into the same pipe, in order. Programs read netmap:NAME}0 to NAME}COUNT-1.\n"
	"Nothing is copied, but for a second -p and further ones: each gets every packet.\n"
	"\n"
	"  -i, --interface PORT    opened for this program alone (netmap:NAME, valeX:NAME, a pipe\n"
	"                          netmap:NAME{ID or netmap:NAME}ID; a bare NAME means "
	"netmap:NAME)\n"
	"  -p, --pipes [NAME:]COUNT   a group of pipes; without a name they bear PORT's\n"
	"  -B, --extra-buffers N   for packets that wait until a reader has room (default 1024)\n"
	"  -s, --slots N           of a pipe's rings, if it does not exist yet\n"
	"  -b, --burst N           most packets of a ring in one go (default 512)\n"
	"      --hash FIELDS       ports (default: addresses and ports), or addresses: then\n"
	"                          fragments stay with their flow\n"
	"      --seed N            spread in another way (default 0)\n"
	"  -w, --wait SECONDS      between opening and forwarding, for the link to come up "
	"(default 0)\n"
	"      --timeout SECONDS   at the end, for readers to make room for what waits (default "
	"2)\n"
	"\n" REPORTING_HELP "\n"
	"Exit status: 0 done; 1 failed; 2 wrong usage.\n";

enum { OPT_HASH = 256, OPT_SEED, OPT_TIMEOUT };

#define ARG required_argument
static const struct option long_options[] = {
	{"interface", ARG, NULL, 'i'},
	{"pipes", ARG, NULL, 'p'},
	{"extra-buffers", ARG, NULL, 'B'},
	{"slots", ARG, NULL, 's'},
	{"burst", ARG, NULL, 'b'},
	{"hash", ARG, NULL, OPT_HASH},
	{"seed", ARG, NULL, OPT_SEED},
	{"wait", ARG, NULL, 'w'},
	{"timeout", ARG, NULL, OPT_TIMEOUT},
	COMMAND_LINE_LONG_OPTIONS,
	{0},
};

static int take_group(struct lb_options *o)
{
	const char *colon = strrchr(optarg, ':');
	struct lb_group_option *g = &o->groups[o->n_groups];
	char name[sizeof(g->parent)];

	if (o->n_groups == LB_MAX_GROUPS)
		return complain("--pipes %s: there are %d groups already, the most there can be",
				optarg, LB_MAX_GROUPS);
	if (colon == optarg)
		return complain("--pipes %s: give NAME:COUNT, such as ids:4, or COUNT", optarg);
	if (argument_count32("--pipes", colon ? colon + 1 : optarg, 1, LB_MAX_PIPES, &g->count))
		return -1;
	if (colon) {
		if ((size_t)snprintf(name, sizeof(name), "%.*s", (int)(colon - optarg), optarg) >=
		    sizeof(name))
			return complain("--pipes %s: the name is too long", optarg);
		if (argument_port(name, g->parent, sizeof(g->parent)))
			return -1;
	}
	o->n_groups++;
	o->n_pipes += g->count;
	return 0;
}

static int take_hash(struct lb_options *o)
{
	if (!strcmp(optarg, "ports"))
		o->fields = FLOW_FIELDS_PORTS;
	else if (!strcmp(optarg, "addresses"))
		o->fields = FLOW_FIELDS_ADDRESSES;
	else
		return complain("--hash %s: give ports or addresses", optarg);
	return 0;
}

static int take_option(void *options, int c)
{
	struct lb_options *o = options;
	int result = reporting_take(&o->reporting, c, optarg);

	if (result != 1)
		return result;
	switch (c) {
	case 'i':
		return argument_port(optarg, o->port, sizeof(o->port));
	case 'p':
		return take_group(o);
	case 'B':
		o->extra_given = true;
		return argument_count32("--extra-buffers", optarg, 0, 1000000, &o->extra);
	case 's':
		return argument_count32("--slots", optarg, 2, 4096, &o->slots);
	case 'b':
		return argument_count32("--burst", optarg, 1, 65536, &o->burst);
	case OPT_HASH:
		return take_hash(o);
	case OPT_SEED:
		return argument_count("--seed", optarg, 0, UINT64_MAX, &o->seed);
	case 'w':
		return argument_duration("--wait", optarg, &o->wait);
	case OPT_TIMEOUT:
		return argument_duration("--timeout", optarg, &o->timeout);
	default:
		return -1;
	}
}

static int check_combination(const struct lb_options *o)
{
	unsigned int i, k;

	if (!o->port[0])
		return complain("give a port, such as: ptnet-lb -i vale0:mirror -p ids:4");
	if (!o->n_groups)
		return complain("give at least one group of pipes, such as -p ids:4");
	if (o->n_pipes > LB_MAX_PIPES)
		return complain("%u pipes are too many: %d is the most", o->n_pipes, LB_MAX_PIPES);
	for (i = 0; i < o->n_groups; i++) {
		for (k = 0; k < i; k++) {
			if (!strcmp(o->groups[i].parent, o->groups[k].parent))
				return complain("two groups of pipes cannot have the same name");
		}
	}
	return 0;
}

static int finish(void *options, char **arg, int n)
{
	struct lb_options *o = options;

	if (n)
		return command_line_surplus(&o->reporting, arg[0]);
	reporting_complete(&o->reporting);
	return check_combination(o);
}

int options_parse(struct lb_options *o, int argc, char **argv)
{
	static const struct command_line line = {
		.program = "ptnet-lb",
		.help = usage,
		.short_options = "i:p:B:s:b:w:" COMMAND_LINE_SHORT_OPTIONS,
		.long_options = long_options,
		.take_option = take_option,
		.take_arguments = finish,
	};

	*o = (struct lb_options){.extra = 1024, .burst = 512, .timeout = 2000000000};
	reporting_defaults(&o->reporting);
	return command_line_read(&line, o, argc, argv);
}
