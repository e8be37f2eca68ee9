/* SPDX-License-Identifier: BSD-2-Clause */
#include "command_line.h"

#include "message.h"

#include <stdio.h>

static int read_all(const struct command_line *l, void *options, int argc, char **argv)
{
	int c;

	while ((c = getopt_long(argc, argv, l->short_options, l->long_options, NULL)) != -1) {
		if (c == 'h') {
			fputs(l->help, stdout);
			return STATUS_OK;
		}
		if (c == 'V') {
			printf("%s %s\n", l->program, PTNETMAP_VERSION);
			return STATUS_OK;
		}
		if (l->take_option(options, c))
			return STATUS_USAGE;
	}
	return l->take_arguments(options, argv + optind, argc - optind) ? STATUS_USAGE : -1;
}

int command_line_read(const struct command_line *l, void *options, int argc, char **argv)
{
	int status;

	message_program(l->program);
	argv[0] = (char *)l->program; /* for getopt's messages */
	status = read_all(l, options, argc, argv);
	if (status == STATUS_USAGE)
		fprintf(stderr, "Try '%s --help'.\n", l->program);
	return status;
}

int command_line_surplus(const struct reporting *r, const char *argument)
{
	return complain("'%s' is one argument too many%s", argument,
			r->json ? " (a file for --json is given as --json=FILE)" : "");
}
