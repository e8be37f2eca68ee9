/* SPDX-License-Identifier: BSD-2-Clause */
/* ptnetctl: finds the command, reads its options by the table, runs it. */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "control/protocol.h"

#define MAX_OPTIONS 24

/* Options of every command, behind those of its own. */
enum { OPTION_CONTROL = 256, OPTION_JSON, OPTION_FIRST };

struct globals {
	const char *control;
	bool json, help, version;
};

static void global_help(FILE *to)
{
	fputs("\nOptions of every command:\n"
	      "  --control PATH      the daemon's control socket; default: $" CONTROL_ENVIRONMENT
	      ",\n"
	      "                      else " CONTROL_DEFAULT_PATH "\n"
	      "  --json              print JSON\n"
	      "  -h, --help          show help\n",
	      to);
}

static void usage(FILE *to)
{
	fputs("Usage: ptnetctl [OPTION]... COMMAND [ARGUMENT]...\n"
	      "Shows and changes what ptnetd serves.\n\n",
	      to);
	for (const struct command *c = commands; c->words != NULL; c++) {
		int width = fprintf(to, "  %s%s%s", c->words, c->arguments[0] != '\0' ? " " : "",
				    c->arguments);

		fprintf(to, "%*s%s\n", width < 28 ? 28 - width : 1, "", c->summary);
	}
	global_help(to);
	fputs("  -V, --version       show the version of ptnetctl\n"
	      "\n"
	      "'ptnetctl COMMAND --help' says more. Exit status: 0 done, 1 failed, 2 wrong "
	      "usage.\n",
	      to);
}

static void option_help(const struct option_spec *option)
{
	int width = printf("  --%s", option->name);

	if (option->kind == OPTION_SECONDS)
		width += printf("[=%s]", option->value);
	else if (option->value != NULL)
		width += printf(" %s", option->value);
	printf("%*s%s\n", width < 26 ? 26 - width : 1, "", option->help);
}

static void command_help(const struct command *command)
{
	printf("Usage: ptnetctl %s%s%s%s%s\n%s\n", command->words,
	       command->options != NULL ? " [OPTION]..." : "",
	       command->arguments[0] != '\0' ? " " : "", command->arguments, "", command->summary);
	if (command->details != NULL)
		printf("\n%s\n", command->details);
	if (command->options != NULL)
		puts("\nOptions (defaults behind the semicolon):");
	for (const struct option_spec *o = command->options; o != NULL && o->name != NULL; o++)
		option_help(o);
	global_help(stdout);
}

static int usage_error(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static int usage_error(const struct command *command, const char *format, ...)
{
	va_list arguments;

	if (format != NULL) {
		fputs("ptnetctl: ", stderr);
		va_start(arguments, format);
		vfprintf(stderr, format, arguments);
		va_end(arguments);
		fputc('\n', stderr);
	}
	fprintf(stderr, "ptnetctl: try 'ptnetctl %s%s--help'\n",
		command != NULL ? command->words : "", command != NULL ? " " : "");
	return EXIT_USAGE;
}

/* ---- options ---- */

static void member_name(char *key, size_t size, const char *option)
{
	snprintf(key, size, "%s", option);
	for (char *c = key; *c != '\0'; c++)
		if (*c == '-')
			*c = '_';
}

const json_t *option_get(const struct invocation *invocation, const char *name)
{
	char key[64];

	member_name(key, sizeof(key), name);
	return json_object_get(invocation->options, key);
}

static json_t *number_parse(const char *text)
{
	char *end;

	errno = 0;
	long long number = strtoll(text, &end, 10);

	if (!isdigit((unsigned char)text[0]) || *end != '\0' || errno != 0)
		return NULL;
	return json_integer(number);
}

static json_t *seconds_parse(const char *text)
{
	char *end;

	if (text == NULL)
		return json_real(1);
	double seconds = strtod(text, &end);

	if (end == text || *end != '\0' || !isfinite(seconds) || seconds < 0.01 || seconds > 1e6)
		return NULL;
	return json_real(seconds);
}

static int option_take(struct invocation *invocation, const struct option_spec *option,
		       const char *text)
{
	json_t *value = NULL;
	char key[64];

	switch (option->kind) {
	case OPTION_FLAG:
		value = json_true();
		break;
	case OPTION_NUMBER:
		value = number_parse(text);
		if (value == NULL)
			return usage_error(invocation->command,
					   "--%s %s: give a whole number, not negative",
					   option->name, text);
		break;
	case OPTION_TEXT:
		value = json_string(text);
		if (value == NULL)
			return usage_error(invocation->command, "--%s: not valid UTF-8",
					   option->name);
		break;
	case OPTION_SECONDS:
		value = seconds_parse(text);
		if (value == NULL)
			return usage_error(invocation->command,
					   "--%s=%s: give seconds, 0.01 or more", option->name,
					   text);
		break;
	}
	member_name(key, sizeof(key), option->name);
	json_object_set_new(invocation->options, key, value);
	return 0;
}

/* Fills @known with the options of @command, which may be NULL, and the global ones. */
static void options_collect(struct option known[MAX_OPTIONS], const struct command *command)
{
	const struct option_spec *own = command != NULL ? command->options : NULL;
	unsigned n = 0;

	for (; own != NULL && own->name != NULL; own++, n++)
		known[n] = (struct option){
			.name = own->name,
			.has_arg = own->kind == OPTION_FLAG	 ? no_argument
				   : own->kind == OPTION_SECONDS ? optional_argument
								 : required_argument,
			.val = OPTION_FIRST + (int)n,
		};
	known[n++] = (struct option){"control", required_argument, NULL, OPTION_CONTROL};
	known[n++] = (struct option){"json", no_argument, NULL, OPTION_JSON};
	known[n++] = (struct option){"help", no_argument, NULL, 'h'};
	if (command == NULL)
		known[n++] = (struct option){"version", no_argument, NULL, 'V'};
	known[n] = (struct option){NULL, 0, NULL, 0};
}

/* Reads options from optind on. 0, or the exit status of a wrong usage. */
static int options_parse(struct invocation *invocation, struct globals *globals, int argc,
			 char **argv)
{
	const struct command *command = invocation->command;
	struct option known[MAX_OPTIONS];
	int c, rc;

	options_collect(known, command);
	/* Before the command, what is not an option ends the options. */
	while ((c = getopt_long(argc, argv, command == NULL ? "+hV" : "h", known, NULL)) != -1) {
		switch (c) {
		case OPTION_CONTROL:
			globals->control = optarg;
			break;
		case OPTION_JSON:
			globals->json = true;
			break;
		case 'h':
			globals->help = true;
			break;
		case 'V':
			globals->version = true;
			break;
		case '?':
			return usage_error(command, NULL);
		default:
			if (command == NULL)
				return EXIT_USAGE; /* only commands have more options */
			rc = option_take(invocation, &command->options[c - OPTION_FIRST], optarg);
			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

/* ---- commands ---- */

/* How many of the @count words at @words make up the command; 0: they don't. */
static int command_match(const struct command *command, int count, char **words)
{
	size_t first;

	if (count >= 1 && strcmp(command->words, words[0]) == 0)
		return 1;
	if (count < 2)
		return 0;
	first = strlen(words[0]);
	return strncmp(command->words, words[0], first) == 0 && command->words[first] == ' ' &&
			       strcmp(command->words + first + 1, words[1]) == 0
		       ? 2
		       : 0;
}

/* Whether @word may have been meant for @command: "port", "ports", "stat", "list". */
static bool may_mean(const char *word, const struct command *command)
{
	size_t first = strcspn(command->words, " "), length = strlen(word);

	if (command->words[first] == ' ' && strcmp(command->words + first + 1, word) == 0)
		return true;
	return strncmp(command->words, word, length < first ? length : first) == 0;
}

static int unknown_command(int count, char **words)
{
	bool found = false;

	if (count == 0)
		return usage_error(NULL, "which command?");
	for (const struct command *c = commands; c->words != NULL; c++) {
		if (words[0][0] == '\0' || !may_mean(words[0], c))
			continue;
		if (!found)
			fprintf(stderr, "ptnetctl: \"%s%s%s\" is no command; these are:\n",
				words[0], count > 1 ? " " : "", count > 1 ? words[1] : "");
		found = true;
		fprintf(stderr, "  ptnetctl %s%s%s\n", c->words, c->arguments[0] != '\0' ? " " : "",
			c->arguments);
	}
	return found ? EXIT_USAGE : usage_error(NULL, "there is no command \"%s\"", words[0]);
}

static int command_run(struct invocation *invocation, const struct globals *globals)
{
	const struct command *command = invocation->command;
	int status;

	if (invocation->count < command->min_arguments)
		return usage_error(command, "%s: %s is missing", command->words,
				   command->arguments);
	if (command->max_arguments >= 0 && invocation->count > command->max_arguments)
		return usage_error(command, "%s: unexpected argument \"%s\"", command->words,
				   invocation->arguments[command->max_arguments]);
	invocation->json = globals->json;
	invocation->control = globals->control;
	invocation->client = client_connect(globals->control);
	if (invocation->client == NULL)
		return EXIT_FAILURE;
	status = command->run(invocation);
	client_close(invocation->client);
	if (fflush(stdout) != 0 && status == EXIT_SUCCESS) {
		perror("ptnetctl: standard output");
		status = EXIT_FAILURE;
	}
	return status;
}

/* Finds the command and runs it; what @invocation holds then is the caller's to free. */
static int run(struct invocation *invocation, struct globals *globals, int argc, char **argv)
{
	int words = 0, status;

	argv[0] = "ptnetctl"; /* for getopt's messages */
	status = options_parse(invocation, globals, argc, argv);
	if (status != 0)
		return status;
	if (globals->version) {
		puts("ptnetctl " PTNETMAP_VERSION);
		return EXIT_SUCCESS;
	}
	for (const struct command *c = commands; c->words != NULL && words == 0; c++) {
		words = command_match(c, argc - optind, argv + optind);
		invocation->command = c;
	}
	if (words == 0 && globals->help) {
		usage(stdout);
		return EXIT_SUCCESS;
	}
	if (words == 0)
		return unknown_command(argc - optind, argv + optind);

	/* The rest is parsed anew, behind the command's words. */
	argc -= optind + words - 1;
	argv += optind + words - 1;
	argv[0] = "ptnetctl";
	optind = 0;
	status = options_parse(invocation, globals, argc, argv);
	if (status != 0)
		return status;
	if (globals->help) {
		command_help(invocation->command);
		return EXIT_SUCCESS;
	}
	invocation->count = argc - optind;
	invocation->arguments = argv + optind;
	return command_run(invocation, globals);
}

int main(int argc, char **argv)
{
	const char *environment = getenv(CONTROL_ENVIRONMENT);
	struct globals globals = {.control = environment != NULL && environment[0] != '\0'
						     ? environment
						     : CONTROL_DEFAULT_PATH};
	struct invocation invocation = {.options = json_object()};
	int status = run(&invocation, &globals, argc, argv);

	json_decref(invocation.options);
	return status;
}
