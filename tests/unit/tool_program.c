/* SPDX-License-Identifier: BSD-2-Clause */
#include "tool_program.h"

#include "captured_stderr.h"
#include "message.h"
#include "stop.h"

#include <getopt.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <setjmp.h>

#include <cmocka.h>

enum exit_status tool_status;
json_t *tool_report;

static pthread_t thread;

int tool_parse(const struct tool *t, const char *line)
{
	static char copy[1024], *argv[32];
	char *words = copy;
	int argc = 1;

	snprintf(copy, sizeof(copy), "%s", line);
	argv[0] = (char *)t->name;
	while ((argv[argc] = strsep(&words, " ")))
		argc++;
	optind = 0;
	return t->parse(argc, argv);
}

static void begin(const struct tool *t, const char *line)
{
	assert_int_equal(tool_parse(t, line), -1);
	assert_int_equal(stop_begin(), 0);
	json_decref(tool_report);
	tool_report = NULL;
}

static void *run(void *arg)
{
	const struct tool *t = arg;

	tool_status = t->run(&tool_report);
	return NULL;
}

void tool_start(const struct tool *t, const char *line)
{
	begin(t, line);
	assert_int_equal(pthread_create(&thread, NULL, run, (void *)t), 0);
}

void tool_wait(void)
{
	pthread_join(thread, NULL);
	stop_end();
}

void tool_end(void)
{
	stop_ask();
	tool_wait();
}

json_int_t tool_figure(const json_t *object, const char *name)
{
	const json_t *v = json_object_get(object, name);

	if (!json_is_integer(v))
		fail_msg("no figure '%s' in the report", name);
	return json_integer_value(v);
}

void tool_cannot_begin(const struct tool *t, const char *line, const char *says)
{
	struct captured_stderr capture;
	char text[4096];

	capture_stderr(&capture);
	begin(t, line);
	forget_complaints();
	run((void *)t);
	stop_end();
	release_stderr(&capture, text, sizeof(text));
	assert_int_equal(tool_status, STATUS_FAILED);
	if (!strstr(text, says))
		fail_msg("'%s' does not say '%s'", text, says);
	assert_non_null(json_object_get(tool_report, "error"));
}

void tool_refuses(const struct tool *t, const char *line, const char *says)
{
	struct captured_stderr capture;
	char text[4096];
	int status;

	capture_stderr(&capture);
	status = tool_parse(t, line);
	release_stderr(&capture, text, sizeof(text));
	assert_int_equal(status, STATUS_USAGE);
	if (!strstr(text, says) || !strstr(text, "--help"))
		fail_msg("'%s': '%s' does not say '%s'", line, text, says);
}
