/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a program prints of its work: progress lines, a summary, a JSON document; and what its exit
 * status says.
 */
#ifndef TOOLS_REPORTING_H
#define TOOLS_REPORTING_H

#include "histogram.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum exit_status {
	STATUS_OK = 0,
	STATUS_FAILED = 1, /* something did not work; a message says what */
	STATUS_USAGE = 2,
	STATUS_BAD_TRAFFIC = 3, /* packets missing, wrong or not taken */
};

/* ---- options: --json[=FILE], --interval SECONDS, --quiet ---- */

struct reporting {
	bool json;
	const char *json_file; /* NULL: standard output */
	bool quiet;
	int64_t interval; /* ns between progress lines, 0: none */
};

enum {
	REPORTING_JSON = 'j',
	REPORTING_QUIET = 'q',
	REPORTING_INTERVAL = 1000,
};

#define REPORTING_SHORT_OPTIONS "j::q"
#define REPORTING_LONG_OPTIONS                                                                     \
	{"json", optional_argument, NULL, REPORTING_JSON},                                         \
		{"quiet", no_argument, NULL, REPORTING_QUIET},                                     \
	{                                                                                          \
		"interval", required_argument, NULL, REPORTING_INTERVAL                            \
	}
#define REPORTING_HELP                                                                             \
	"What is printed\n"                                                                        \
	"  -j, --json[=FILE]       results as JSON (to standard output instead of the text)\n"     \
	"      --interval SECONDS  of progress lines (default 1 on a terminal, else none)\n"       \
	"  -q, --quiet             no text\n"                                                      \
	"  -h, --help              this\n"                                                         \
	"  -V, --version\n"

void reporting_defaults(struct reporting *r);
/* Takes option c of getopt_long with its argument. 0; -1 after a message; 1: not one of these. */
int reporting_take(struct reporting *r, int c, const char *argument);
/* After the last option. */
void reporting_complete(struct reporting *r);

/* Whether the summary is to be printed as text to standard output. */
static inline bool reporting_text(const struct reporting *r)
{
	return !r->quiet && !(r->json && !r->json_file);
}

/* ---- progress lines ---- */

struct progress {
	int64_t interval;
	int64_t next; /* when the next line is due; INT64_MAX: never */
	int64_t last; /* when the last one was, or the start */
};

void progress_begin(struct progress *p, const struct reporting *r, int64_t now);
/* ns from now to the next line; -1: there will be none. */
int64_t progress_wait(const struct progress *p, int64_t now);
/* True when a line is due: *seconds since the last one. Its caller prints it. */
bool progress_due(struct progress *p, int64_t now, double *seconds);
/* "12:34:56" of the wall clock, into buf. */
const char *progress_clock(char *buf, size_t size);

/* ---- at the end ---- */

/* 0 if no time has passed. */
double per_second(double n, double seconds);

/* Says that nobody has taken so many slots that were given to a port. */
void complain_of_pending(const char *port, uint32_t slots);

/* ---- JSON ---- */

json_t *json_figure(uint64_t n);

/* Adds minimum, mean, percentiles and maximum to an object. */
void json_add_times(json_t *object, const struct histogram *h);

/* Adds the first message, if there was one, to a document (NULL: out of memory). */
void json_add_error(json_t *doc);

/* Writes doc (NULL: out of memory), which is released, to file (NULL: standard output). 0, or -1
 * after saying what is wrong. */
int json_write(json_t *doc, const char *file);

#endif
