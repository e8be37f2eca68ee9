/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A command of ptnetctl: its words, options and help in one table (commands.c), so
 * that what is parsed and what is documented cannot differ.
 */
#ifndef PTNETCTL_COMMAND_H
#define PTNETCTL_COMMAND_H

#include <stdbool.h>

#include <jansson.h>

#include "client.h"

#define EXIT_USAGE 2

enum option_kind {
	OPTION_FLAG,
	OPTION_NUMBER, /* a whole number, not negative */
	OPTION_TEXT,
	OPTION_SECONDS, /* a positive number with an optional value, 1 if it has none */
};

struct option_spec {
	const char *name; /* without the dashes; with '_' for '-' it is the JSON member */
	enum option_kind kind;
	const char *value; /* what the help calls the value */
	const char *help;
};

/* A command being run. */
struct invocation {
	const struct command *command;
	const char *control; /* path of the daemon's socket */
	struct client *client;
	bool json;
	json_t *options; /* what was given, member by member */
	int count;	 /* of arguments */
	char **arguments;
};

struct command {
	const char *words;
	const char *arguments;		  /* for the help */
	int min_arguments, max_arguments; /* max -1: any number */
	const char *summary;
	const char *details;		   /* further lines of help, or NULL */
	const struct option_spec *options; /* ends with a NULL name; or NULL */
	const char *request;		   /* the daemon's command, for run_request() */
	/* Returns the exit status. */
	int (*run)(struct invocation *invocation);
	/* Prints the request's result for people; NULL: success is silent. */
	void (*print)(const json_t *result);
};

extern const struct command commands[]; /* ends with NULL words */

/* Member @key of @object with '-' and '_' made equal, or NULL. */
const json_t *option_get(const struct invocation *invocation, const char *name);

/* Prints @value as JSON to standard output: indented, or as one line. */
void json_print(const json_t *value, bool one_line);

/* Members for printing: "" or 0 if they are not there. */
const char *text_of(const json_t *object, const char *key);
long long number_of(const json_t *object, const char *key);

/* ---- the functions that the table names ---- */

/* Sends the options, and the argument as "name", and prints the result. */
int run_request(struct invocation *invocation);
int run_log_level(struct invocation *invocation);
int run_stats(struct invocation *invocation);
int run_qemu_args(struct invocation *invocation);

void print_version(const json_t *result);
void print_show(const json_t *result);
void print_regions(const json_t *result);
void print_switches(const json_t *result);
void print_macs(const json_t *result);
void print_ports(const json_t *result);
void print_port(const json_t *result);
void print_pipes(const json_t *result);
void print_attachments(const json_t *result);
void print_programs(const json_t *result);
void print_workers(const json_t *result);

/* State, positions and counters of each ring of one port. */
void print_rings(const json_t *port);

#endif
