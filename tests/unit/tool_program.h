/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A tool under test, all of it but main(), which goes by stop.h: started with a command line on a
 * thread of the test's, told to end as a signal would. One at a time.
 */
#ifndef TOOL_PROGRAM_H
#define TOOL_PROGRAM_H

#include "reporting.h"

struct tool {
	const char *name;
	/* Into options of the test's. */
	int (*parse)(int argc, char **argv);
	/* What main() does with them; *report is its JSON document. */
	enum exit_status (*run)(json_t **report);
};

/* What it came to, once it has ended. The document stays until the next one begins. */
extern enum exit_status tool_status;
extern json_t *tool_report;

/* Reads a command line, words between blanks; options may point into it until the next one. */
int tool_parse(const struct tool *t, const char *line);

void tool_start(const struct tool *t, const char *line);
/* Waits until it ends by itself. */
void tool_wait(void);
/* Tells it to end, and waits. */
void tool_end(void);

/* A figure in its report, or in an object of it (NULL: there is none, and the test fails). */
json_int_t tool_figure(const json_t *object, const char *name);

/* It ends at once with status 1, says this, and its report has an error. */
void tool_cannot_begin(const struct tool *t, const char *line, const char *says);

/* It ends with status 2 for what is wrong with the command line, says this, and where there is
 * help. */
void tool_refuses(const struct tool *t, const char *line, const char *says);

#endif
