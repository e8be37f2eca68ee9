/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include "argument.h"
#include "command_line.h"
#include "message.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: ptnet-bridge PORT1 PORT2 [OPTION]...\n"
	"\n"
	"Forwards packets from each of two netmap ports to the other (netmap:NAME, valeX:NAME,\n"
	"pipes netmap:NAME{ID and netmap:NAME}ID; a bare NAME means netmap:NAME). Where the two\n"
	"share memory, buffers change hands; elsewhere packets are copied. Ends when told to\n"
	"(SIGINT, SIGTERM).\n"
	"\n"
	"  -b, --burst N           most packets of a ring in one go (default 256)\n"
	"  -1, --one-way           from PORT1 to PORT2 only\n"
	"  -c, --copy              copy even where buffers could change hands\n"
	"  -w, --wait SECONDS      between opening and forwarding, for links to come up (default "
	"0)\n"
	"      --timeout SECONDS   at the end, for the last packets to be taken (default 2)\n"
	"\n" REPORTING_HELP "\n"
	"Exit status: 0 done; 1 failed; 2 wrong usage; 3 not all that was forwarded was taken.\n";

enum { OPT_TIMEOUT = 256 };

#define ARG required_argument
static const struct option long_options[] = {
	{"burst", ARG, NULL, 'b'},
	{"one-way", no_argument, NULL, '1'},
	{"copy", no_argument, NULL, 'c'},
	{"wait", ARG, NULL, 'w'},
	{"timeout", ARG, NULL, OPT_TIMEOUT},
	COMMAND_LINE_LONG_OPTIONS,
	{0},
};

static int take_option(void *options, int c)
{
	struct bridge_options *o = options;
	int result = reporting_take(&o->reporting, c, optarg);

	if (result != 1)
		return result;
	switch (c) {
	case 'b':
		return argument_count32("--burst", optarg, 1, 65536, &o->burst);
	case '1':
		o->one_way = true;
		return 0;
	case 'c':
		o->copy = true;
		return 0;
	case 'w':
		return argument_duration("--wait", optarg, &o->wait);
	case OPT_TIMEOUT:
		return argument_duration("--timeout", optarg, &o->timeout);
	default:
		return -1;
	}
}

static int take_ports(void *options, char **arg, int n)
{
	struct bridge_options *o = options;
	int i;

	if (n == 1)
		return complain("give two ports; a port and its own host stack (NAME and NAME^) "
				"cannot be bridged: ports have no host rings yet");
	if (n != 2 && n != 0)
		return command_line_surplus(&o->reporting, arg[2]);
	if (n == 0)
		return complain("give two ports, such as: ptnet-bridge vale0:a vale1:a");
	for (i = 0; i < 2; i++) {
		if (argument_port(arg[i], o->ports[i], sizeof(o->ports[i])))
			return -1;
	}
	if (!strcmp(o->ports[0], o->ports[1]))
		return complain("%s: a port cannot be bridged with itself", o->ports[0]);
	reporting_complete(&o->reporting);
	return 0;
}

int options_parse(struct bridge_options *o, int argc, char **argv)
{
	static const struct command_line line = {
		.program = "ptnet-bridge",
		.help = usage,
		.short_options = "b:1cw:" COMMAND_LINE_SHORT_OPTIONS,
		.long_options = long_options,
		.take_option = take_option,
		.take_arguments = take_ports,
	};

	*o = (struct bridge_options){.burst = 256, .timeout = 2000000000};
	reporting_defaults(&o->reporting);
	return command_line_read(&line, o, argc, argv);
}
