/* SPDX-License-Identifier: BSD-2-Clause */
/* What both benchmarks can be told: how long, how often, with which rings, of which daemon. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <getopt.h>
#include <stdbool.h>

#define MAX_REPEATS 15
#define BATCH	    256 /* packets */

struct bench_options {
	double seconds; /* of each run */
	unsigned repeats;
	unsigned slots; /* per ring, a batch at least */
	bool json;
};

#define BENCH_DEFAULTS                                                                             \
	{                                                                                          \
		.seconds = 2, .repeats = 5, .slots = 1024                                          \
	}

/* The last of the options that getopt_long() knows. */
#define BENCH_LONG_OPTIONS                                                                         \
	{"seconds", required_argument, NULL, 's'}, {"repeats", required_argument, NULL, 'r'},      \
		{"slots", required_argument, NULL, 'n'}, {"daemon", required_argument, NULL, 'd'}, \
		{"json", no_argument, NULL, 'j'}, {"help", no_argument, NULL, 'h'},                \
	{                                                                                          \
		NULL, 0, NULL, 0                                                                   \
	}

#define BENCH_HELP                                                                                 \
	"  --seconds S     of each run (default 2; 0.05 to 60)\n"                                  \
	"  --repeats N     runs of each, of which the median counts (default 5, at most 15)\n"     \
	"  --slots N       per ring (default 1024, at least 256)\n"                                \
	"  --daemon F      the ptnetd to measure\n"                                                \
	"  --json          print JSON instead of the table\n"

/* Takes option c of getopt_long(), with its argument in optarg. 0, or -1: it is none of these. */
int bench_take_option(struct bench_options *options, int c);

/* After the last option: 0 if all values are possible, else -1. */
int bench_check_options(const struct bench_options *options);

#endif
