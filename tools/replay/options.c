/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include "argument.h"
#include "command_line.h"
#include "message.h"
#include "number.h"

#include <stdio.h>
#include <string.h>

static const char usage[] =
	"usage: ptnet-replay -i PORT FILE... [OPTION]...\n"
	"\n"
	"Sends the frames of capture files (pcap, pcapng; -: standard input) on a netmap port\n"
	"(netmap:NAME, valeX:NAME, a pipe netmap:NAME{ID or netmap:NAME}ID; a bare NAME means\n"
	"netmap:NAME), with the distances in time that they have in the file.\n"
	"\n"
	"  -i, --interface PORT\n"
	"  -m, --merge             several files: in the order of the frames' times (default:\n"
	"                          one file after the other)\n"
	"  -x, --speed X           X times as fast as captured\n"
	"  -r, --rate RATE         instead of the files' distances: packets per second (1000,\n"
	"                          14.88M), bits per second (100Mbps, 2.5Gbit), or max\n"
	"  -l, --loop N            so many times over (default 1), or: forever\n"
	"  -n, --count N           at most N packets in all\n"
	"  -g, --max-gap SECONDS   wait no longer than this between two frames\n"
	"      --cut               send frames that are cut short in the file, as they are\n"
	"                          (default: skip them)\n"
	"  -b, --burst N           most packets between two syncs (default 256)\n"
	"  -w, --wait SECONDS      between opening and sending, for the link to come up (default "
	"0)\n"
	"      --timeout SECONDS   at the end, for the last packets to be taken (default 2)\n"
	"\n" REPORTING_HELP "\n"
	"Exit status: 0 done; 1 failed; 2 wrong usage; 3 not all that was sent was taken.\n";

enum { OPT_CUT = 256, OPT_TIMEOUT };

#define ARG required_argument
static const struct option long_options[] = {
	{"interface", ARG, NULL, 'i'},
	{"merge", no_argument, NULL, 'm'},
	{"speed", ARG, NULL, 'x'},
	{"rate", ARG, NULL, 'r'},
	{"loop", ARG, NULL, 'l'},
	{"count", ARG, NULL, 'n'},
	{"max-gap", ARG, NULL, 'g'},
	{"cut", no_argument, NULL, OPT_CUT},
	{"burst", ARG, NULL, 'b'},
	{"wait", ARG, NULL, 'w'},
	{"timeout", ARG, NULL, OPT_TIMEOUT},
	COMMAND_LINE_LONG_OPTIONS,
	{0},
};

static int take_rate(struct replay_options *o)
{
	struct replay_settings *s = &o->settings;

	o->fast = !strcmp(optarg, "max");
	if (o->fast || !parse_traffic_rate(optarg, &s->milli_pps, &s->bits))
		return 0;
	return complain(
		"--rate %s: give packets per second (1000, 14.88M), bits per second (100Mbps, "
		"2.5Gbit) or max",
		optarg);
}

/* How fast and how often; 1 if the option is none of these. */
static int take_setting(struct replay_options *o, int c)
{
	struct replay_settings *s = &o->settings;

	switch (c) {
	case 'x':
		s->timing = true;
		return argument_factor("--speed", optarg, &s->speed);
	case 'r':
		return take_rate(o);
	case 'l':
		if (strcmp(optarg, "forever") != 0)
			return argument_count("--loop", optarg, 1, UINT64_MAX, &s->loops);
		s->loops = 0;
		return 0;
	case 'n':
		return argument_count("--count", optarg, 1, UINT64_MAX, &s->count);
	case 'b':
		return argument_count32("--burst", optarg, 1, 65536, &s->burst);
	default:
		return 1;
	}
}

static int take_option(void *options, int c)
{
	struct replay_options *o = options;
	int result = reporting_take(&o->reporting, c, optarg);

	if (result == 1)
		result = take_setting(o, c);
	if (result != 1)
		return result;
	switch (c) {
	case 'i':
		return argument_port(optarg, o->port, sizeof(o->port));
	case 'm':
		o->order = CAPTURE_BY_TIME;
		return 0;
	case 'g':
		return argument_duration("--max-gap", optarg, &o->max_gap);
	case OPT_CUT:
		o->send_cut = true;
		return 0;
	case 'w':
		return argument_duration("--wait", optarg, &o->wait);
	case OPT_TIMEOUT:
		return argument_duration("--timeout", optarg, &o->timeout);
	default:
		return -1;
	}
}

static int check_combination(struct replay_options *o)
{
	struct replay_settings *s = &o->settings;
	bool rate = s->milli_pps || s->bits || o->fast;

	if (!o->port[0])
		return complain("give a port, such as: ptnet-replay -i vale0:test FILE");
	if (!o->n_files)
		return complain("give a capture file, or - for standard input");
	if (rate && s->timing)
		return complain("give either --rate or --speed");
	if (rate && o->max_gap >= 0)
		return complain(
			"--max-gap limits the distances of the files, which --rate does not "
			"keep");
	s->timing = !rate;
	return 0;
}

static int take_files(void *options, char **arg, int n)
{
	struct replay_options *o = options;

	o->files = (const char *const *)arg;
	o->n_files = (size_t)n;
	reporting_complete(&o->reporting);
	return check_combination(o);
}

int options_parse(struct replay_options *o, int argc, char **argv)
{
	static const struct command_line line = {
		.program = "ptnet-replay",
		.help = usage,
		.short_options = "i:mx:r:l:n:g:b:w:" COMMAND_LINE_SHORT_OPTIONS,
		.long_options = long_options,
		.take_option = take_option,
		.take_arguments = take_files,
	};

	*o = (struct replay_options){
		.settings = {.speed = 1, .burst = 256, .loops = 1},
		.max_gap = -1,
		.timeout = 2000000000,
	};
	reporting_defaults(&o->reporting);
	return command_line_read(&line, o, argc, argv);
}
