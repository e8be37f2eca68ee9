/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests: what is refused and how, and that what is made is made whole or not at all. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/protocol.h"
#include "log/log.h"
#include "ring/counters.h"
#include "test_control_fixture.h"

/* The request must succeed; returns its result. */
static json_t *ask(struct control_fixture *fixture, const char *request)
{
	json_t *answer = control_ask(fixture, request);
	json_t *result = json_object_get(answer, "result");

	if (result == NULL)
		fail_msg("%s: %s", request,
			 json_string_value(
				 json_object_get(json_object_get(answer, "error"), "message")));
	json_incref(result);
	json_decref(answer);
	return result;
}

static void do_it(struct control_fixture *fixture, const char *request)
{
	json_decref(ask(fixture, request));
}

/* The request must fail with this code, and words in its message. */
static void refused(struct control_fixture *fixture, const char *request, const char *code,
		    const char *words)
{
	json_t *answer = control_ask(fixture, request);
	const json_t *error = json_object_get(answer, "error");
	const char *message = json_string_value(json_object_get(error, "message"));

	if (error == NULL)
		fail_msg("accepted: %s", request);
	assert_null(json_object_get(answer, "result"));
	assert_string_equal(json_string_value(json_object_get(error, "code")), code);
	if (strstr(message, words) == NULL)
		fail_msg("%s\nsays: %s", request, message);
	json_decref(answer);
}

/* How many elements the list request returns. */
static size_t count_of(struct control_fixture *fixture, const char *command)
{
	char request[64];

	snprintf(request, sizeof(request), "{\"command\": \"%s\"}", command);
	json_t *list = ask(fixture, request);
	size_t count = json_array_size(list);

	assert_true(json_is_array(list));
	json_decref(list);
	return count;
}

static void nothing_is_there(struct control_fixture *fixture)
{
	assert_int_equal(count_of(fixture, "region-list"), 0);
	assert_int_equal(count_of(fixture, "switch-list"), 0);
	assert_int_equal(count_of(fixture, "port-list"), 0);
	assert_int_equal(count_of(fixture, "pipe-list"), 0);
}

#define ADD(what, rest) "{\"command\": \"" what "-add\", \"arguments\": {" rest "}}"
#define DEL(what, name) "{\"command\": \"" what "-del\", \"arguments\": {\"name\": \"" name "\"}}"

static void malformed_requests(void **state)
{
	static const struct {
		const char *request, *code, *words;
	} cases[] = {
		{"", "EBADMSG", "JSON"},
		{"hello", "EBADMSG", "hello"},
		{"{\"command\": \"show\"", "EBADMSG", "JSON"},
		{"{\"command\": \"show\"} x", "EBADMSG", "JSON"},
		{"{\"command\": \"show\", \"command\": \"show\"}", "EBADMSG", "duplicate"},
		{"\xff", "EBADMSG", "0xff"},
		{"[]", "EINVAL", "an array"},
		{"{}", "EINVAL", "command: is missing"},
		{"{\"command\": 5}", "EINVAL", "command: must be a string"},
		{"{\"command\": \"do-what-i-mean\"}", "ENOSYS", "do-what-i-mean"},
		{"{\"command\": \"0123456789012345678901234567890123456789\"}", "EINVAL",
		 "40 bytes"},
		{"{\"command\": \"show\", \"args\": {}}", "EINVAL", "\"args\""},
		{"{\"command\": \"show\", \"arguments\": []}", "EINVAL", "arguments: "},
		{"{\"command\": \"show\", \"arguments\": {\"x\": 1}}", "EINVAL", "\"x\""},
		{"{\"command\": \"macs\"}", "EINVAL", "name: is missing"},
		{"{\"command\": \"macs\", \"arguments\": {\"name\": \"vale7\"}}", "ENOENT",
		 "vale7"},
		{"{\"command\": \"port-show\", \"arguments\": {\"name\": \"x\"}}", "ENOENT",
		 "\"x\""},
		{"{\"command\": \"counters\", \"arguments\": {\"port\": \"x\"}}", "ENOENT",
		 "\"x\""},
		{"{\"command\": \"log-level\", \"arguments\": {\"level\": \"x\"}}", "EINVAL",
		 "level: "},
		{"{\"command\": \"show\", \"protocol\": 2}", "EPROTO", "protocol 2"},
		/* Another protocol may have members that this one has not. */
		{"{\"command\": \"show\", \"protocol\": 2, \"new\": 1}", "EPROTO", "protocol 2"},
		{DEL("port", "vale0:a"), "ENOENT", "\"vale0:a\""},
		{DEL("region", "a"), "ENOENT", "\"a\""},
		{DEL("switch", "vale0"), "ENOENT", "\"vale0\""},
		{DEL("pipe", "a{1"), "ENOENT", "\"a{1\""},
		{ADD("port", "\"name\": \"vale0:a\", \"slots\": 63"), "EINVAL", "slots: 63"},
		{ADD("port", "\"name\": \"vale0:a\", \"region\": \"r\""), "ENOENT", "\"r\""},
		{ADD("pipe", "\"name\": \"vale0:a{1\""), "ENOENT", "\"vale0:a\""},
		{ADD("region", "\"name\": \"vale0\""), "EINVAL", "name: "},
		{ADD("switch", "\"name\": \"eth0\""), "EINVAL", "name: "},
	};
	struct control_fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		refused(fixture, cases[i].request, cases[i].code, cases[i].words);
	nothing_is_there(fixture);
}

/* What a message quotes of a request may be cut in the middle of a character. */
static void messages_are_plain_ascii(void **state)
{
	char request[512] = "{\"command\": \"macs\", \"arguments\": {\"name\": \"x";
	struct control_fixture *fixture = *state;

	for (int i = 0; i < 60; i++)
		strcat(request, "\xc3\xa4");
	strcat(request, "\"}}");
	refused(fixture, request, "EINVAL", "121 bytes");
	refused(fixture,
		"{\"command\": \"macs\", \"arguments\": {\"name\": \"a\\n\\u001b[2J\\u00e4\"}}",
		"ENOENT", "\"a??[2J??\"");
}

static void the_id_comes_back(void **state)
{
	static const char *const ids[] = {"7", "\"a\"", "null", "[1,{\"x\":2}]", "1.5"};
	struct control_fixture *fixture = *state;
	char request[128];

	for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		json_t *id = json_loads(ids[i], JSON_DECODE_ANY, NULL);

		snprintf(request, sizeof(request), "{\"command\": \"%s\", \"id\": %s}",
			 i % 2 == 0 ? "version" : "fail", ids[i]);
		json_t *answer = control_ask(fixture, request);

		assert_true(json_equal(json_object_get(answer, "id"), id));
		json_decref(answer);
		json_decref(id);
	}
}

static void version(void **state)
{
	json_t *result = ask(*state, "{\"command\": \"version\", \"protocol\": 1}");

	assert_int_equal(json_integer_value(json_object_get(result, "protocol")),
			 CONTROL_PROTOCOL_VERSION);
	assert_int_equal(json_integer_value(json_object_get(result, "pid")), getpid());
	assert_string_equal(json_string_value(json_object_get(result, "version")),
			    PTNETMAP_VERSION);
	assert_int_equal(json_integer_value(json_object_get(result, "closing")), 0);
	assert_true(json_is_integer(json_object_get(result, "closing")));
	json_decref(result);
}

static void log_level(void **state)
{
	static const char *const levels[] = {"debug", "info", "warning", "error"};
	struct control_fixture *fixture = *state;
	char request[96];

	for (size_t i = 0; i < 4; i++) {
		snprintf(request, sizeof(request),
			 "{\"command\": \"log-level\", \"arguments\": {\"level\": \"%s\"}}",
			 levels[i]);
		do_it(fixture, request);
		json_t *now = ask(fixture, "{\"command\": \"log-level\"}");

		assert_string_equal(json_string_value(json_object_get(now, "level")), levels[i]);
		json_decref(now);
	}
}

/* What nobody named comes with the first port and goes with the last. */
static void implicit_things_come_and_go(void **state)
{
	struct control_fixture *fixture = *state;
	unsigned fds = control_count_fds();

	json_t *a = ask(fixture, ADD("port", "\"name\": \"vale0:a\""));

	assert_string_equal(json_string_value(json_object_get(a, "name")), "vale0:a");
	assert_string_equal(json_string_value(json_object_get(a, "switch")), "vale0");
	assert_string_equal(json_string_value(json_object_get(a, "region")), "vale0:a");
	assert_int_equal(json_integer_value(json_object_get(a, "tx_rings")), 1);
	json_decref(a);
	assert_true(control_file_exists(fixture, "vale0-a.sock"));
	assert_true(control_file_exists(fixture, "mem-vale0-a.sock"));

	do_it(fixture, ADD("port", "\"name\": \"vale0:b\", \"rings\": 3"));
	assert_int_equal(count_of(fixture, "switch-list"), 1);
	assert_int_equal(count_of(fixture, "region-list"), 2);
	refused(fixture, ADD("port", "\"name\": \"vale0:b\""), "EEXIST", "vale0:b");
	refused(fixture, ADD("switch", "\"name\": \"vale0\""), "EEXIST", "first port");
	refused(fixture, DEL("switch", "vale0"), "EBUSY", "2 ports");
	refused(fixture, DEL("region", "vale0:a"), "EBUSY", "vale0:a");
	do_it(fixture, DEL("port", "vale0:a"));
	assert_false(control_file_exists(fixture, "vale0-a.sock"));
	assert_false(control_file_exists(fixture, "mem-vale0-a.sock"));
	assert_int_equal(count_of(fixture, "switch-list"), 1);
	do_it(fixture, DEL("port", "vale0:b"));
	nothing_is_there(fixture);
	assert_int_equal(control_count_fds(), fds);
}

static void named_things_stay(void **state)
{
	struct control_fixture *fixture = *state;

	do_it(fixture, ADD("switch", "\"name\": \"vale0\", \"ageing_s\": 5"));
	do_it(fixture, ADD("region", "\"name\": \"pool\", \"buf_num\": 5000"));
	refused(fixture, ADD("switch", "\"name\": \"vale0\""), "EEXIST", "vale0");
	refused(fixture, ADD("region", "\"name\": \"pool\""), "EEXIST", "pool");
	do_it(fixture, ADD("port", "\"name\": \"vale0:a\", \"region\": \"pool\""));
	do_it(fixture, ADD("port", "\"name\": \"vale0:b\", \"region\": \"pool\""));
	/* 1000 buffers are left of 5000. */
	refused(fixture, ADD("port", "\"name\": \"vale0:c\", \"region\": \"pool\""), "ENOMEM",
		"vale0:c");
	refused(fixture, DEL("region", "pool"), "EBUSY", "2 ports");
	do_it(fixture, DEL("port", "vale0:a"));
	do_it(fixture, ADD("port", "\"name\": \"vale0:c\", \"region\": \"pool\""));
	do_it(fixture, DEL("port", "vale0:b"));
	do_it(fixture, DEL("port", "vale0:c"));

	json_t *switches = ask(fixture, "{\"command\": \"switch-list\"}");
	json_t *shown = json_array_get(switches, 0);

	assert_int_equal(json_integer_value(json_object_get(shown, "ageing_s")), 5);
	assert_false(json_is_true(json_object_get(shown, "implicit")));
	json_decref(switches);
	do_it(fixture, DEL("switch", "vale0"));
	do_it(fixture, DEL("region", "pool"));
	nothing_is_there(fixture);
}

static const char *region_of(struct control_fixture *fixture, const char *port)
{
	static char name[64];
	char request[128];

	snprintf(request, sizeof(request),
		 "{\"command\": \"port-show\", \"arguments\": {\"name\": \"%s\"}}", port);
	json_t *shown = ask(fixture, request);

	snprintf(name, sizeof(name), "%s", json_string_value(json_object_get(shown, "region")));
	json_decref(shown);
	return name;
}

static void pipes_lie_with_their_parent(void **state)
{
	struct control_fixture *fixture = *state;

	do_it(fixture, ADD("pipe", "\"name\": \"link{1\""));
	do_it(fixture, ADD("pipe", "\"name\": \"link{2\""));
	assert_string_equal(region_of(fixture, "link{1"), "link");
	assert_string_equal(region_of(fixture, "link}2"), "link");
	assert_true(control_file_exists(fixture, "link-1-master.sock"));
	assert_true(control_file_exists(fixture, "link-1-slave.sock"));
	assert_int_equal(count_of(fixture, "region-list"), 1);
	assert_int_equal(count_of(fixture, "port-list"), 4);
	refused(fixture, ADD("pipe", "\"name\": \"link{1\""), "EEXIST", "link{1");
	refused(fixture, ADD("region", "\"name\": \"link\""), "EEXIST", "pipes");
	refused(fixture, ADD("port", "\"name\": \"vale0:x\", \"region\": \"link\""), "ENOENT",
		"link");
	refused(fixture, ADD("pipe", "\"name\": \"link{3\", \"buf_size\": 4096"), "EINVAL",
		"2048 bytes");
	refused(fixture, DEL("port", "link}1"), "EINVAL", "delete the pipe");
	refused(fixture, DEL("pipe", "link}1"), "EINVAL", "master end");
	do_it(fixture, DEL("pipe", "link{1"));
	do_it(fixture, DEL("pipe", "link{2"));
	nothing_is_there(fixture);

	do_it(fixture, ADD("region", "\"name\": \"link\""));
	refused(fixture, ADD("pipe", "\"name\": \"link{1\""), "EEXIST", "\"link\"");
	do_it(fixture, ADD("pipe", "\"name\": \"link{1\", \"region\": \"link\""));
	do_it(fixture, DEL("pipe", "link{1"));
	do_it(fixture, DEL("region", "link"));
}

static void pipes_of_a_port_hold_its_region(void **state)
{
	struct control_fixture *fixture = *state;

	do_it(fixture, ADD("port", "\"name\": \"vale0:a\", \"pipes\": 1"));
	do_it(fixture, ADD("pipe", "\"name\": \"vale0:a{1\""));
	assert_string_equal(region_of(fixture, "vale0:a}1"), "vale0:a");
	refused(fixture, DEL("port", "vale0:a"), "EBUSY", "vale0:a{1");
	do_it(fixture, DEL("pipe", "vale0:a{1"));
	do_it(fixture, DEL("port", "vale0:a"));
	nothing_is_there(fixture);
}

/* As many pipes as a port's region promises, each with as many rings and slots as the port. */
static void promised_pipes_fit(void **state)
{
	static const struct {
		unsigned rings, slots, pipes;
	} cases[] = {{1, 1024, 2}, {4, 1024, 2}, {16, 64, 5}, {16, 4096, 2}, {2, 1024, 64}};
	struct control_fixture *fixture = *state;
	char request[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(request, sizeof(request),
			 ADD("port", "\"name\": \"vale%zu:a\", \"rings\": %u, \"slots\": %u, "
				     "\"pipes\": %u"),
			 i, cases[i].rings, cases[i].slots, cases[i].pipes);
		do_it(fixture, request);
		for (unsigned pipe = 0; pipe < cases[i].pipes; pipe++) {
			snprintf(request, sizeof(request),
				 ADD("pipe",
				     "\"name\": \"vale%zu:a{%u\", \"rings\": %u, \"slots\": %u"),
				 i, pipe, cases[i].rings, cases[i].slots);
			do_it(fixture, request);
		}
	}
}

/* What is too small says what its user can change. */
static void no_room_says_what_to_do(void **state)
{
	struct control_fixture *fixture = *state;

	do_it(fixture, ADD("pipe", "\"name\": \"link{1\", \"pipes\": 1"));
	refused(fixture, ADD("pipe", "\"name\": \"link{2\", \"slots\": 4096"), "EINVAL",
		"\"link\" has the size that its first port or pipe asked for");
	refused(fixture, ADD("pipe", "\"name\": \"link{2\", \"rings\": 16"), "ENOMEM",
		"\"slots\" or \"pipes\", or put all of them into a named region");
	do_it(fixture, ADD("region", "\"name\": \"pool\", \"ring_num\": 4"));
	refused(fixture, ADD("port", "\"name\": \"vale0:a\", \"rings\": 16, \"region\": \"pool\""),
		"ENOMEM", "\"pool\" are fixed: make a larger one");
	refused(fixture,
		ADD("port", "\"name\": \"vale0:a\", \"rings\": 16, \"slots\": 4096, \"pipes\": 64"),
		"EINVAL", "\"rings\", \"slots\" and \"pipes\": ask for fewer");
	assert_int_equal(count_of(fixture, "port-list"), 2);
}

/* The largest of everything has room in the region that is made for it. */
static void largest_ports_and_pipes_fit(void **state)
{
	struct control_fixture *fixture = *state;

	do_it(fixture, ADD("port", "\"name\": \"vale0:a\", \"rings\": 16, \"slots\": 4096, "
				   "\"buf_size\": 65536"));
	do_it(fixture, ADD("pipe", "\"name\": \"link{1\", \"rings\": 16, \"slots\": 4096"));
	do_it(fixture, ADD("pipe", "\"name\": \"link{2\", \"rings\": 16, \"slots\": 4096"));
}

/* A file in the way of a socket: everything made before it must go again. */
static void half_made_things_go(void **state)
{
	static const struct {
		const char *in_the_way, *request, *words;
	} cases[] = {
		{"mem-vale0-a.sock", ADD("port", "\"name\": \"vale0:a\""), "its region"},
		{"vale0-a.sock", ADD("port", "\"name\": \"vale0:a\""), "vale0-a.sock"},
		{"mem-p.sock", ADD("pipe", "\"name\": \"p{1\""), "its region"},
		{"p-1-master.sock", ADD("pipe", "\"name\": \"p{1\""), "p-1-master.sock"},
		{"p-1-slave.sock", ADD("pipe", "\"name\": \"p{1\""), "p-1-slave.sock"},
		{"mem-r.sock", ADD("region", "\"name\": \"r\""), "mem-r.sock"},
	};
	struct control_fixture *fixture = *state;
	unsigned fds = control_count_fds();
	char path[64];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", fixture->directory, cases[i].in_the_way);
		close(open(path, O_CREAT | O_WRONLY, 0600));
		refused(fixture, cases[i].request, "EEXIST", cases[i].words);
		nothing_is_there(fixture);
		assert_int_equal(control_count_fds(), fds);
		unlink(path);
		do_it(fixture, cases[i].request);
		inventory_fini(&fixture->inventory);
	}
}

static void a_full_switch(void **state)
{
	struct control_fixture *fixture = *state;
	char request[128];

	for (int i = 0; i <= VALE_MAX_PORTS; i++) {
		snprintf(request, sizeof(request),
			 ADD("port", "\"name\": \"vale0:p%d\", \"slots\": 64"), i);
		if (i < VALE_MAX_PORTS)
			do_it(fixture, request);
		else
			refused(fixture, request, "ENOSPC", "254");
	}
	assert_int_equal(count_of(fixture, "port-list"), VALE_MAX_PORTS);
	assert_int_equal(count_of(fixture, "region-list"), VALE_MAX_PORTS);
}

static void counters_have_all_names(void **state)
{
	struct control_fixture *fixture = *state;

	do_it(fixture, ADD("port", "\"name\": \"vale0:a\", \"rings\": 2, \"slots\": 128"));
	do_it(fixture, ADD("port", "\"name\": \"vale0:b\""));
	json_t *all = ask(fixture, "{\"command\": \"counters\"}");
	json_t *one =
		ask(fixture, "{\"command\": \"counters\", \"arguments\": {\"port\": \"vale0:a\"}}");

	assert_int_equal(json_array_size(json_object_get(all, "ports")), 2);
	assert_int_equal(json_array_size(json_object_get(one, "ports")), 1);
	const json_t *rings =
		json_object_get(json_array_get(json_object_get(one, "ports"), 0), "rings");

	assert_int_equal(json_array_size(rings), 4);
	for (size_t i = 0; i < 4; i++) {
		const json_t *ring = json_array_get(rings, i);

		assert_string_equal(json_string_value(json_object_get(ring, "direction")),
				    i < 2 ? "tx" : "rx");
		assert_int_equal(json_integer_value(json_object_get(ring, "index")), i % 2);
		assert_string_equal(json_string_value(json_object_get(ring, "state")), "stopped");
		assert_int_equal(json_integer_value(json_object_get(ring, "slots")), 128);
		for (int c = 0; c < RING_COUNTER_COUNT; c++)
			assert_true(json_is_integer(json_object_get(
				json_object_get(ring, "counters"), ring_counter_names[c])));
	}
	json_decref(all);
	json_decref(one);
}

static void show_has_everything(void **state)
{
	static const char *const lists[] = {"regions", "switches", "ports", "pipes", "workers"};
	static const size_t sizes[] = {2, 1, 3, 1, 2};
	struct control_fixture *fixture = *state;

	do_it(fixture, ADD("port", "\"name\": \"vale0:a\""));
	do_it(fixture, ADD("pipe", "\"name\": \"p{1\""));
	json_t *shown = ask(fixture, "{\"command\": \"show\"}");

	for (size_t i = 0; i < 5; i++)
		assert_int_equal(json_array_size(json_object_get(shown, lists[i])), sizes[i]);
	assert_string_equal(json_string_value(json_object_get(shown, "sockets_directory")),
			    fixture->directory);
	json_decref(shown);
}

#define TEST(function)                                                                             \
	cmocka_unit_test_setup_teardown(function, control_fixture_open, control_fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(malformed_requests),
		TEST(messages_are_plain_ascii),
		TEST(the_id_comes_back),
		TEST(version),
		TEST(log_level),
		TEST(implicit_things_come_and_go),
		TEST(named_things_stay),
		TEST(pipes_lie_with_their_parent),
		TEST(pipes_of_a_port_hold_its_region),
		TEST(promised_pipes_fit),
		TEST(no_room_says_what_to_do),
		TEST(largest_ports_and_pipes_fit),
		TEST(half_made_things_go),
		TEST(a_full_switch),
		TEST(counters_have_all_names),
		TEST(show_has_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
