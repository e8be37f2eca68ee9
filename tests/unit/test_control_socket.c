/* SPDX-License-Identifier: BSD-2-Clause */
/* The control socket under clients that are slow, greedy, many, or no clients at all. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "control/protocol.h"
#include "test_control_fixture.h"

#define PATIENCE_MS 30000
#define VERSION	    "{\"command\": \"version\"}"

static int open_client(const struct control_fixture *fixture)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, fixture->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void say(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* The next line from @fd, parsed; NULL: the daemon hung up. */
static json_t *hear(int fd)
{
	size_t size = 1 << 16, length = 0;
	char *line = malloc(size);
	json_t *answer = NULL;

	for (;;) {
		struct pollfd readable = {.fd = fd, .events = POLLIN};

		assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
		ssize_t got = recv(fd, line + length, 1, 0);

		if (got <= 0)
			break;
		assert_true(length + 1 < size);
		if (line[length++] == '\n') {
			answer = json_loadb(line, length, 0, NULL);
			assert_non_null(answer);
			break;
		}
	}
	free(line);
	return answer;
}

static const char *code_of(const json_t *answer)
{
	const char *code =
		json_string_value(json_object_get(json_object_get(answer, "error"), "code"));

	return code != NULL ? code : "none";
}

static void hear_code(int fd, const char *code)
{
	json_t *answer = hear(fd);

	assert_non_null(answer);
	assert_string_equal(code_of(answer), code);
	json_decref(answer);
}

static void hear_end(int fd)
{
	assert_null(hear(fd));
	close(fd);
}

/* The daemon is as good as new for everybody else. */
static void still_well(const struct control_fixture *fixture)
{
	int fd = open_client(fixture);

	say(fd, VERSION "\n");
	hear_code(fd, "none");
	close(fd);
}

static void answers_in_order(void **state)
{
	const struct control_fixture *fixture = *state;
	int fd = open_client(fixture);
	char request[64];

	for (int i = 0; i < 100; i++) {
		snprintf(request, sizeof(request), "{\"command\": \"version\", \"id\": %d}\n", i);
		say(fd, request);
	}
	for (int i = 0; i < 100; i++) {
		json_t *answer = hear(fd);

		assert_int_equal(json_integer_value(json_object_get(answer, "id")), i);
		json_decref(answer);
	}
	close(fd);
}

static void a_request_in_single_bytes(void **state)
{
	int fd = open_client(*state);

	for (const char *c = VERSION "\n"; *c != '\0'; c++)
		assert_int_equal(send(fd, c, 1, MSG_NOSIGNAL), 1);
	hear_code(fd, "none");
	close(fd);
}

static void garbage_is_answered_and_forgiven(void **state)
{
	int fd = open_client(*state);

	say(fd, "\n\x01\xfe\n{\n" VERSION "\n");
	hear_code(fd, "EBADMSG");
	hear_code(fd, "EBADMSG");
	hear_code(fd, "EBADMSG");
	hear_code(fd, "none");
	close(fd);
}

static void the_last_newline_may_be_missing(void **state)
{
	int fd = open_client(*state);

	say(fd, VERSION "\n" VERSION);
	shutdown(fd, SHUT_WR);
	hear_code(fd, "none");
	hear_code(fd, "none");
	hear_end(fd);
}

static void a_client_that_only_looks_in(void **state)
{
	for (int i = 0; i < 200; i++)
		close(open_client(*state));
	int fd = open_client(*state);

	say(fd, VERSION);
	close(fd);
	still_well(*state);
}

/* As many bytes as fit, of which none is a newline. */
static void fill(int fd, size_t bytes)
{
	char *chunk = malloc(bytes);
	size_t sent = 0;

	memset(chunk, 'x', bytes);
	while (sent < bytes) {
		ssize_t now = send(fd, chunk + sent, bytes - sent, MSG_NOSIGNAL);

		if (now < 0) {
			/* Refused in the middle: that is what we are here for. */
			assert_true(errno == EPIPE || errno == ECONNRESET);
			break;
		}
		sent += (size_t)now;
	}
	free(chunk);
}

static void oversized_requests_are_refused(void **state)
{
	int fd = open_client(*state);

	fill(fd, 3 * CONTROL_MAX_REQUEST);
	hear_code(fd, "EMSGSIZE");
	hear_end(fd);
	still_well(*state);
}

/* A newline at the very limit is not seen in time: the limit counts it. */
static void the_largest_request(void **state)
{
	int fd = open_client(*state);

	fill(fd, CONTROL_MAX_REQUEST - 1);
	say(fd, "\n");
	hear_code(fd, "EBADMSG");
	fill(fd, CONTROL_MAX_REQUEST);
	hear_code(fd, "EMSGSIZE");
	hear_end(fd);
	still_well(*state);
}

/* It asks and asks, and reads nothing: the daemon stops taking, and serves the others. */
static void a_client_that_does_not_read(void **state)
{
	int fd = open_client(*state);
	size_t requests = 0, sent = 0;
	static const char request[] = "{\"command\": \"show\"}\n";
	struct pollfd writable = {.fd = fd, .events = POLLOUT};

	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (;;) {
		ssize_t now = send(fd, request + sent, sizeof(request) - 1 - sent, MSG_NOSIGNAL);

		if (now < 0) {
			assert_int_equal(errno, EAGAIN);
			still_well(*state);
			/* Not even after others had their turn: it is really stuck. */
			if (poll(&writable, 1, 200) == 0)
				break;
			continue;
		}
		sent += (size_t)now;
		if (sent == sizeof(request) - 1) {
			sent = 0;
			requests++;
		}
		/* The daemon holds 1 MB of requests at most, the kernel some more. */
		assert_true(requests < 10000000);
	}
	fcntl(fd, F_SETFL, 0);
	for (size_t i = 0; i < requests && i < 1000; i++)
		hear_code(fd, "none");
	close(fd);
	still_well(*state);
}

static void too_many_clients(void **state)
{
	const struct control_fixture *fixture = *state;
	int clients[CONTROL_MAX_CLIENTS], fd;

	for (int i = 0; i < CONTROL_MAX_CLIENTS; i++) {
		clients[i] = open_client(fixture);
		say(clients[i], VERSION "\n");
		hear_code(clients[i], "none");
	}
	fd = open_client(fixture);
	hear_code(fd, "EUSERS");
	hear_end(fd);
	/* One goes, one may come; when the daemon has noticed. */
	close(clients[0]);
	for (;;) {
		json_t *answer;

		fd = open_client(fixture);
		/* It may have been turned away by now: no matter whether this arrives. */
		(void)!send(fd, VERSION "\n", strlen(VERSION "\n"), MSG_NOSIGNAL);
		answer = hear(fd);
		assert_non_null(answer);
		bool served = strcmp(code_of(answer), "none") == 0;

		json_decref(answer);
		if (served)
			break;
		close(fd);
	}
	close(fd);
	for (int i = 1; i < CONTROL_MAX_CLIENTS; i++)
		close(clients[i]);
}

/* ---- who gets the path ---- */

static const struct socket_access mode_0640 = {.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0640};

static void a_second_daemon_is_refused(void **state)
{
	const struct control_fixture *fixture = *state;
	struct control_socket *second = NULL;
	struct error error;
	char pid[16];

	assert_int_equal(control_socket_open(&second, fixture->path, &mode_0640, &error),
			 -EADDRINUSE);
	snprintf(pid, sizeof(pid), "process %d", getpid());
	assert_non_null(strstr(error.text, pid));
	still_well(fixture);
}

static void the_socket_has_its_mode_and_goes(void **state)
{
	struct control_fixture *fixture = *state;
	struct control_socket *opened = NULL;
	struct stat status;

	assert_int_equal(control_socket_open(&opened, fixture->path, &mode_0640, NULL), 0);
	assert_int_equal(stat(fixture->path, &status), 0);
	assert_int_equal(status.st_mode, S_IFSOCK | 0640);
	control_socket_close(opened);
	assert_false(control_file_exists(fixture, "control.sock"));
	assert_false(control_file_exists(fixture, "control.sock.lock"));
}

/* The child dies with the path in its possession, as after kill -9. */
static void a_dead_daemons_socket_is_replaced(void **state)
{
	struct control_fixture *fixture = *state;
	struct control_socket *opened = NULL;
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(control_socket_open(&opened, fixture->path, &mode_0640, NULL) == 0 ? 0 : 1);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	assert_true(control_file_exists(fixture, "control.sock"));
	assert_int_equal(control_socket_open(&opened, fixture->path, &mode_0640, NULL), 0);
	control_socket_close(opened);
}

static void other_things_at_the_path_are_left_alone(void **state)
{
	struct control_fixture *fixture = *state;
	struct control_socket *opened = NULL;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct error error;

	close(open(fixture->path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(control_socket_open(&opened, fixture->path, &mode_0640, &error), -EEXIST);
	assert_true(control_file_exists(fixture, "control.sock"));
	unlink(fixture->path);

	int other = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, fixture->path);
	assert_int_equal(bind(other, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(other, 1), 0);
	assert_int_equal(control_socket_open(&opened, fixture->path, &mode_0640, &error),
			 -EADDRINUSE);
	assert_true(control_file_exists(fixture, "control.sock"));
	close(other);
	unlink(fixture->path);
	/* No lock is left behind by the failures. */
	assert_false(control_file_exists(fixture, "control.sock.lock"));
}

static void paths_that_cannot_be(void **state)
{
	struct control_socket *opened = NULL;
	char path[200] = "/tmp/";
	struct error error;

	(void)state;
	memset(path + 5, 'x', 150);
	assert_int_equal(control_socket_open(&opened, path, &mode_0640, &error), -ENAMETOOLONG);
	assert_non_null(strstr(error.text, "155 bytes"));
	assert_int_equal(control_socket_open(&opened, "/nowhere/at/all", &mode_0640, &error),
			 -ENOENT);
	assert_non_null(strstr(error.text, "/nowhere/at/all"));
}

#define SERVED(function)                                                                           \
	cmocka_unit_test_setup_teardown(function, control_fixture_serve, control_fixture_stop)
#define UNSERVED(function)                                                                         \
	cmocka_unit_test_setup_teardown(function, control_fixture_open, control_fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(answers_in_order),
		SERVED(a_request_in_single_bytes),
		SERVED(garbage_is_answered_and_forgiven),
		SERVED(the_last_newline_may_be_missing),
		SERVED(a_client_that_only_looks_in),
		SERVED(oversized_requests_are_refused),
		SERVED(the_largest_request),
		SERVED(a_client_that_does_not_read),
		SERVED(too_many_clients),
		SERVED(a_second_daemon_is_refused),
		UNSERVED(the_socket_has_its_mode_and_goes),
		UNSERVED(a_dead_daemons_socket_is_replaced),
		UNSERVED(other_things_at_the_path_are_left_alone),
		UNSERVED(paths_that_cannot_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
