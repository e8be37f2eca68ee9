/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Reading a command line: what is the same in every program.
 */
#ifndef TOOLS_COMMAND_LINE_H
#define TOOLS_COMMAND_LINE_H

#include "reporting.h"

#include <getopt.h>

struct command_line {
	const char *program;
	const char *help;
	const char *short_options;
	const struct option *long_options;
	/* Takes an option, whose argument is in optarg. 0; -1 after a message, which is getopt's
	 * for what it does not know. */
	int (*take_option)(void *options, int c);
	/* Takes the n arguments that are no options, once all options have been taken. 0, or -1
	 * after a message. */
	int (*take_arguments)(void *options, char **arguments, int n);
};

/* For a program's own lists of options. */
#define COMMAND_LINE_SHORT_OPTIONS REPORTING_SHORT_OPTIONS "hV"
#define COMMAND_LINE_LONG_OPTIONS                                                                  \
	REPORTING_LONG_OPTIONS, {"help", no_argument, NULL, 'h'},                                  \
	{                                                                                          \
		"version", no_argument, NULL, 'V'                                                  \
	}

/* Returns -1 to go on; otherwise the program's exit status, after a message, the help or the
 * version. Strings that options are given are argv's. */
int command_line_read(const struct command_line *l, void *options, int argc, char **argv);

/* Says that an argument is one too many; -1. */
int command_line_surplus(const struct reporting *r, const char *argument);

#endif
