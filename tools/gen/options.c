/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include "argument.h"
#include "command_line.h"
#include "message.h"
#include "number.h"
#include "output.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
	"usage: ptnet-gen FUNCTION PORT [OPTION]...\n"
	"\n"
	"Sends, receives or measures packets on a netmap port (netmap:NAME, valeX:NAME, pipes\n"
	"netmap:NAME{ID and netmap:NAME}ID; a bare NAME means netmap:NAME). The port may also be\n"
	"given as -i PORT.\n"
	"\n"
	"FUNCTION\n"
	"  tx                   send frames, or a capture file with --replay\n"
	"  rx                   receive and count, check with --check, keep with --capture\n"
	"  ping                 send a frame, wait for its answer, measure the time\n"
	"  pong                 answer ping's frames\n"
	"\n"
	"What is sent (tx, ping)\n"
	"  -s, --size SPEC      frame bytes without FCS: 60 (default), 64-1514, imix, 60:7,1514:1\n"
	"      --src-mac MAC    and --dst-mac, --src-ip, --dst-ip, --src-port, --dst-port: one\n"
	"                       address, or FIRST-LAST to use them in turn\n"
	"      --flow N         number of the first thread's flow (default 0)\n"
	"      --payload-check  put a check of the payload into each frame\n"
	"      --seed N         for random sizes; the same seed gives the same sizes\n"
	"      --replay FILE    send the frames of a capture file\n"
	"      --loop N         so many times over (default 1; 0: for ever)\n"
	"      --timing         keep the file's distances in time\n"
	"      --speed X        ... X times as fast\n"
	"\n"
	"How\n"
	"  -r, --rate PPS       packets per second of all threads (1000, 0.5, 14.88M)\n"
	"  -b, --burst N        most packets between two syncs (default 256)\n"
	"  -t, --threads N      one thread per ring, rings 0 to N-1 (default 1 for all rings)\n"
	"      --cpu N          pin thread i to CPU N+i\n"
	"      --busy           don't sleep for packets or room, look again at once\n"
	"      --zero-copy      hand buffers on: pong swaps, tx writes a buffer once only\n"
	"      --vnet-hdr LEN   first set the port's virtio-net header length: 0, 10 or 12\n"
	"\n"
	"Until when (whichever is first)\n"
	"  -n, --count N        packets of all threads\n"
	"  -T, --time SECONDS\n"
	"      --idle-timeout SECONDS   rx, pong: nothing has come for so long\n"
	"      --wait-first SECONDS     ... before the first packet (default: as above)\n"
	"      --timeout SECONDS        ping: for an answer (default 1); tx: for the other side\n"
	"                               to take the last packets (default 2)\n"
	"\n"
	"What becomes of received packets (rx)\n"
	"  -c, --check          count lost, duplicated, reordered and corrupted; any: status 3\n"
	"      --join           --check starts with the first number seen, not with 0\n"
	"  -w, --capture FILE   write them to a capture file\n"
	"\n"
	"What is printed\n"
	"  -j, --json[=FILE]    results as JSON (to standard output instead of the text)\n"
	"      --print-buf-idx FILE     rx, tx: a line per packet, ring number and buffer indices\n"
	"      --interval SECONDS       of progress lines (default 1 on a terminal, else none)\n"
	"  -q, --quiet          no text\n"
	"  -h, --help           this\n"
	"  -V, --version\n"
	"\n"
	"Exit status: 0 done; 1 failed; 2 wrong usage; 3 packets missing, wrong or not taken.\n";

enum {
	OPT_SRC_MAC = 256,
	OPT_DST_MAC,
	OPT_SRC_IP,
	OPT_DST_IP,
	OPT_SRC_PORT,
	OPT_DST_PORT,
	OPT_FLOW,
	OPT_PAYLOAD_CHECK,
	OPT_SEED,
	OPT_REPLAY,
	OPT_LOOP,
	OPT_TIMING,
	OPT_SPEED,
	OPT_CPU,
	OPT_BUSY,
	OPT_ZERO_COPY,
	OPT_VNET_HDR,
	OPT_IDLE_TIMEOUT,
	OPT_WAIT_FIRST,
	OPT_TIMEOUT,
	OPT_JOIN,
	OPT_BUF_IDX,
};

#define ARG required_argument
static const struct option long_options[] = {
	{"interface", ARG, NULL, 'i'},
	{"size", ARG, NULL, 's'},
	{"src-mac", ARG, NULL, OPT_SRC_MAC},
	{"dst-mac", ARG, NULL, OPT_DST_MAC},
	{"src-ip", ARG, NULL, OPT_SRC_IP},
	{"dst-ip", ARG, NULL, OPT_DST_IP},
	{"src-port", ARG, NULL, OPT_SRC_PORT},
	{"dst-port", ARG, NULL, OPT_DST_PORT},
	{"flow", ARG, NULL, OPT_FLOW},
	{"payload-check", no_argument, NULL, OPT_PAYLOAD_CHECK},
	{"seed", ARG, NULL, OPT_SEED},
	{"replay", ARG, NULL, OPT_REPLAY},
	{"loop", ARG, NULL, OPT_LOOP},
	{"timing", no_argument, NULL, OPT_TIMING},
	{"speed", ARG, NULL, OPT_SPEED},
	{"rate", ARG, NULL, 'r'},
	{"burst", ARG, NULL, 'b'},
	{"threads", ARG, NULL, 't'},
	{"cpu", ARG, NULL, OPT_CPU},
	{"busy", no_argument, NULL, OPT_BUSY},
	{"zero-copy", no_argument, NULL, OPT_ZERO_COPY},
	{"vnet-hdr", ARG, NULL, OPT_VNET_HDR},
	{"count", ARG, NULL, 'n'},
	{"time", ARG, NULL, 'T'},
	{"idle-timeout", ARG, NULL, OPT_IDLE_TIMEOUT},
	{"wait-first", ARG, NULL, OPT_WAIT_FIRST},
	{"timeout", ARG, NULL, OPT_TIMEOUT},
	{"check", no_argument, NULL, 'c'},
	{"join", no_argument, NULL, OPT_JOIN},
	{"capture", ARG, NULL, 'w'},
	{"print-buf-idx", ARG, NULL, OPT_BUF_IDX},
	COMMAND_LINE_LONG_OPTIONS,
	{0},
};

static const char *const function_names[] = {
	[GEN_TX] = "tx",
	[GEN_RX] = "rx",
	[GEN_PING] = "ping",
	[GEN_PONG] = "pong",
};

const char *function_name(enum gen_function f)
{
	return function_names[f];
}

static void set_defaults(struct gen_options *o)
{
	memset(o, 0, sizeof(*o));
	size_parse(&o->size, "60");
	address_parse_mac(&o->addresses.dst_mac, "ff:ff:ff:ff:ff:ff");
	/* The addresses that RFC 2544 sets aside for benchmarks; UDP port 9 discards. */
	address_parse_ip(&o->addresses.src_ip, "198.18.0.1");
	address_parse_ip(&o->addresses.dst_ip, "198.19.0.1");
	address_parse_port(&o->addresses.src_port, "7000");
	address_parse_port(&o->addresses.dst_port, "9");
	o->loops = 1;
	o->speed = 1;
	o->burst = 256;
	o->threads = 1;
	o->first_cpu = -1;
	o->vnet_hdr = -1;
	o->timeout = -1;
	o->wait_first = -1;
	reporting_defaults(&o->reporting);
}

static int address(const char *name, struct address_range *r,
		   int (*parse)(struct address_range *, const char *), const char *example)
{
	if (parse(r, optarg))
		return complain("%s %s: give one address or FIRST-LAST, such as %s", name, optarg,
				example);
	return 0;
}

/* Addresses; 1 if the option is none. */
static int take_address(struct gen_options *o, int c)
{
	struct frame_addresses *a = &o->addresses;

	switch (c) {
	case OPT_SRC_MAC:
		o->src_mac_given = true;
		return address("--src-mac", &a->src_mac, address_parse_mac, "02:00:00:00:00:01");
	case OPT_DST_MAC:
		return address("--dst-mac", &a->dst_mac, address_parse_mac, "02:00:00:00:00:01");
	case OPT_SRC_IP:
		return address("--src-ip", &a->src_ip, address_parse_ip, "198.18.0.1-198.18.0.9");
	case OPT_DST_IP:
		return address("--dst-ip", &a->dst_ip, address_parse_ip, "198.18.0.1-198.18.0.9");
	case OPT_SRC_PORT:
		return address("--src-port", &a->src_port, address_parse_port, "1000-1999");
	case OPT_DST_PORT:
		return address("--dst-port", &a->dst_port, address_parse_port, "1000-1999");
	default:
		return 1;
	}
}

/* Times and counts; 1 if the option is none. */
static int take_limit(struct gen_options *o, int c)
{
	switch (c) {
	case 'n':
		return argument_count("--count", optarg, 1, UINT64_MAX, &o->count);
	case 'T':
		return argument_duration("--time", optarg, &o->time);
	case OPT_IDLE_TIMEOUT:
		return argument_duration("--idle-timeout", optarg, &o->idle_timeout);
	case OPT_WAIT_FIRST:
		return argument_duration("--wait-first", optarg, &o->wait_first);
	case OPT_TIMEOUT:
		return argument_duration("--timeout", optarg, &o->timeout);
	default:
		return 1;
	}
}

/* What is sent and how; 1 if the option is none of these. */
static int take_sending(struct gen_options *o, int c)
{
	uint64_t n = 0;

	switch (c) {
	case 's':
		if (size_parse(&o->size, optarg))
			return complain(
				"--size %s: give bytes from %d to %d, FIRST-LAST, imix, or a "
				"list of these with weights (60:7,1514:1)",
				optarg, SIZE_MIN, SIZE_MAX_FRAME);
		return 0;
	case 'r':
		if (parse_rate(optarg, &o->milli_pps))
			return complain("--rate %s: give packets per second (1000, 0.5, 14.88M)",
					optarg);
		return 0;
	case 'b':
		return argument_count32("--burst", optarg, 1, 65536, &o->burst);
	case OPT_FLOW:
		if (argument_count("--flow", optarg, 0, UINT16_MAX, &n))
			return -1;
		o->flow = (uint16_t)n;
		return 0;
	case OPT_SEED:
		return argument_count("--seed", optarg, 0, UINT64_MAX, &o->seed);
	case OPT_PAYLOAD_CHECK:
		o->payload_check = true;
		return 0;
	case OPT_REPLAY:
		o->replay = optarg;
		return 0;
	case OPT_LOOP:
		return argument_count("--loop", optarg, 0, UINT64_MAX, &o->loops);
	case OPT_TIMING:
		o->timing = true;
		return 0;
	case OPT_SPEED:
		if (argument_factor("--speed", optarg, &o->speed))
			return -1;
		o->timing = true;
		return 0;
	default:
		return 1;
	}
}

/* Everything else. */
static int take_other(struct gen_options *o, int c)
{
	uint64_t n = 0;

	switch (c) {
	case 't':
		if (argument_count("--threads", optarg, 1, GEN_MAX_THREADS, &n))
			return -1;
		o->threads = (unsigned int)n;
		return 0;
	case OPT_CPU:
		if (argument_count("--cpu", optarg, 0, 1023, &n))
			return -1;
		o->first_cpu = (int)n;
		return 0;
	case OPT_VNET_HDR:
		if (argument_count("--vnet-hdr", optarg, 0, 12, &n))
			return -1;
		if (n && n != 10 && n != 12)
			return complain("--vnet-hdr %s: the length is 0, 10 or 12", optarg);
		o->vnet_hdr = (int)n;
		return 0;
	case OPT_BUSY:
		o->busy = true;
		return 0;
	case OPT_ZERO_COPY:
		o->zero_copy = true;
		return 0;
	case 'c':
		o->check = true;
		return 0;
	case OPT_JOIN:
		o->join = true;
		return 0;
	case 'i':
		o->interface = optarg;
		return 0;
	case 'w':
		o->capture = optarg;
		return 0;
	case OPT_BUF_IDX:
		o->buf_idx = optarg;
		return 0;
	default:
		return -1; /* getopt has said what is wrong */
	}
}

static int take_option(void *options, int c)
{
	struct gen_options *o = options;
	int result = reporting_take(&o->reporting, c, optarg);

	if (result == 1)
		result = take_address(o, c);
	if (result == 1)
		result = take_limit(o, c);
	if (result == 1)
		result = take_sending(o, c);
	if (result == 1)
		result = take_other(o, c);
	return result;
}

static int take_function_and_port(struct gen_options *o, char **arg, int n)
{
	const char *port = o->interface;
	unsigned int i;

	if (n > 1 && !port) {
		port = arg[1];
		n--;
	}
	if (n > 1)
		return command_line_surplus(&o->reporting, arg[n - (port == o->interface)]);
	if (n != 1 || !port)
		return complain("give a function (tx, rx, ping, pong) and a port, such as: "
				"ptnet-gen rx netmap:eth0");
	for (i = 0; i < sizeof(function_names) / sizeof(function_names[0]); i++) {
		if (!strcmp(arg[0], function_names[i]))
			break;
	}
	if (i == sizeof(function_names) / sizeof(function_names[0]))
		return complain("no function '%s': there are tx, rx, ping and pong", arg[0]);
	o->function = (enum gen_function)i;
	return argument_port(port, o->port, sizeof(o->port));
}

/* Options that don't go together or have no meaning for the function. */
static int check_combination(struct gen_options *o)
{
	bool tx = o->function == GEN_TX, rx = o->function == GEN_RX;

	if (o->replay && !tx)
		return complain("--replay goes with tx only");
	if (o->replay && (o->threads > 1 || o->zero_copy))
		return complain(
			"--replay doesn't go with --threads or --zero-copy: frames are sent "
			"in the file's order, each copied");
	if (o->replay && o->milli_pps && o->timing)
		return complain("give either --rate or --timing");
	if (!o->replay && (o->timing || o->loops != 1))
		return complain("--timing, --speed and --loop go with --replay only");
	if (o->capture && !rx)
		return complain("--capture goes with rx only");
	if ((o->check || o->join) && !rx)
		return complain("--check and --join go with rx only");
	if (o->buf_idx && !rx && !tx)
		return complain("--print-buf-idx goes with rx and tx only");
	if (o->threads > 1 && !rx && !tx)
		return complain("--threads goes with rx and tx only");
	if (o->zero_copy && tx && !size_is_fixed(&o->size))
		return complain(
			"tx --zero-copy needs one fixed --size: a buffer's frame is written "
			"once");
	if (o->zero_copy && rx)
		return complain("--zero-copy goes with tx and pong only: rx doesn't copy anyway");
	if (o->function == GEN_PING && size_largest(&o->size) < FRAME_STAMPED)
		return complain("ping needs frames of at least %d bytes (--size)", FRAME_STAMPED);
	return 0;
}

static int check_outputs(const struct gen_options *o)
{
	if (output_is_stdout(o->capture) + output_is_stdout(o->buf_idx) +
		    (o->reporting.json && !o->reporting.json_file) >
	    1)
		return complain("--capture -, --print-buf-idx - and --json all write to standard "
				"output: give at most one of them, and name files for the others");
	return 0;
}

static void fill_in(struct gen_options *o)
{
	o->stdout_taken = output_is_stdout(o->capture) || output_is_stdout(o->buf_idx);
	if (o->join)
		o->check = true;
	if (o->wait_first < 0)
		o->wait_first = o->idle_timeout;
	if (o->timeout < 0)
		o->timeout = o->function == GEN_PING ? 1000000000 : 2000000000;
	reporting_complete(&o->reporting);
}

static int finish(void *options, char **arg, int n)
{
	struct gen_options *o = options;

	if (take_function_and_port(o, arg, n) || check_combination(o) || check_outputs(o))
		return -1;
	fill_in(o);
	return 0;
}

int options_parse(struct gen_options *o, int argc, char **argv)
{
	static const struct command_line line = {
		.program = "ptnet-gen",
		.help = usage,
		.short_options = "i:s:r:b:t:n:T:cw:" COMMAND_LINE_SHORT_OPTIONS,
		.long_options = long_options,
		.take_option = take_option,
		.take_arguments = finish,
	};

	set_defaults(o);
	return command_line_read(&line, o, argc, argv);
}
