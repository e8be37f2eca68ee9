/* SPDX-License-Identifier: BSD-2-Clause */
#include "options.h"

#include <stdlib.h>

int bench_take_option(struct bench_options *options, int c)
{
	switch (c) {
	case 's':
		options->seconds = atof(optarg);
		return 0;
	case 'r':
		options->repeats = (unsigned)atoi(optarg);
		return 0;
	case 'n':
		options->slots = (unsigned)atoi(optarg);
		return 0;
	case 'd':
		setenv("PTNETD", optarg, 1);
		return 0;
	case 'j':
		options->json = true;
		return 0;
	default:
		return -1;
	}
}

int bench_check_options(const struct bench_options *options)
{
	if (options->repeats < 1 || options->repeats > MAX_REPEATS || options->slots < BATCH ||
	    !(options->seconds >= 0.05 && options->seconds <= 60))
		return -1;
	return 0;
}
