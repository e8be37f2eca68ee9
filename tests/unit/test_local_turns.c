/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * In which order the netmap socket's requests are served. The server runs in the test's own
 * thread, once all has been asked for, and its handler writes down who was served. A slow request
 * takes a user's whole turn on any machine; nothing depends on how long the others take.
 */
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "attach/local_server.h"
#include "attach/socket_listener.h"
#include "netmap_client.h"

#define SLOW "+" /* behind the name of who asks */

struct turns {
	char directory[32];
	struct event_base *base;
	struct local_server *server;
	/* Who was served, one letter each; capital: his connection was ended. */
	char order[128];
	size_t length;
};

static void write_down(struct turns *turns, int letter)
{
	if (turns->length < sizeof(turns->order) - 1)
		turns->order[turns->length++] = (char)letter;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void on_request(void *argument, struct local_connection *connection,
		       const struct ptnet_local_request *request, struct local_answer *answer)
{
	struct turns *turns = argument;
	uint64_t start = now_ns();

	(void)answer;
	connection->binding = turns->order + turns->length;
	write_down(turns, request->name[0]);
	if (strchr(request->name, SLOW[0]) != NULL)
		while (now_ns() - start < LOCAL_USER_TURN_NS)
			;
}

static void on_closed(void *argument, struct local_connection *connection)
{
	const char *letter = connection->binding;

	write_down(argument, letter != NULL ? toupper(*letter) : '-');
}

static int turns_open(void **state)
{
	struct turns *turns = calloc(1, sizeof(*turns));
	const struct local_handler handler = {
		.request = on_request, .closed = on_closed, .argument = turns};
	const struct socket_access access = {.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0600};
	struct error error = {0};
	char path[64];

	assert_non_null(turns);
	log_set_level(LOG_LEVEL_ERROR); /* of answers that nobody takes */
	snprintf(turns->directory, sizeof(turns->directory), "/tmp/ptnet-turns-XXXXXX");
	assert_non_null(mkdtemp(turns->directory));
	snprintf(path, sizeof(path), "%s/netmap.sock", turns->directory);
	turns->base = event_base_new();
	assert_non_null(turns->base);
	assert_int_equal(
		local_server_open(&turns->server, turns->base, path, &access, &handler, &error), 0);
	*state = turns;
	return 0;
}

static int turns_close(void **state)
{
	struct turns *turns = *state;

	local_server_close(turns->server);
	event_base_free(turns->base);
	rmdir(turns->directory);
	free(turns);
	return 0;
}

/* A connection of who we are at the moment. */
static int connect_here(struct turns *turns)
{
	int ends[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	assert_int_equal(local_server_adopt(turns->server, ends[1]), 0);
	return ends[0];
}

static void ask(int fd, const char *name, unsigned times)
{
	struct ptnet_local_request request = {.version = PTNET_LOCAL_VERSION,
					      .op = PTNET_LOCAL_CTRL};
	int ends[2];

	snprintf(request.name, sizeof(request.name), "%s", name);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	for (unsigned i = 0; i < times; i++)
		netmap_send(fd, &request, sizeof(request), &ends[1], 1);
	close(ends[0]); /* nobody looks at the answers */
	close(ends[1]);
}

/* Serves until that much has been written down, and checks the order. */
static void assert_order(struct turns *turns, const char *order)
{
	/* A turn serves one at least. */
	for (size_t i = 0; i < strlen(order) && turns->length < strlen(order); i++)
		event_base_loop(turns->base, EVLOOP_NONBLOCK);
	assert_string_equal(turns->order, order);
}

/* However many ports one user wants made at the same time. */
static void users_take_turns(void **state)
{
	enum { MANY = 20 };
	struct turns *turns = *state;
	int alice[MANY], bob;

	if (geteuid() != 0)
		skip();
	for (int i = 0; i < MANY; i++) {
		alice[i] = connect_here(turns);
		ask(alice[i], "a" SLOW, 1);
	}
	assert_int_equal(seteuid(40002), 0);
	bob = connect_here(turns);
	assert_int_equal(seteuid(0), 0);
	ask(bob, "b" SLOW, 1);
	assert_order(turns, "ab"
			    "aaaaaaaaaaaaaaaaaaa");
	for (int i = 0; i < MANY; i++)
		close(alice[i]);
	close(bob);
}

/* Who always has something to ask does not keep a user's other programs from being served. */
static void connections_of_a_user_take_turns(void **state)
{
	struct turns *turns = *state;
	int a = connect_here(turns), b = connect_here(turns);

	ask(a, "a" SLOW, 20);
	ask(b, "b" SLOW, 3);
	assert_order(turns, "abababaaaaaaaaaaaaaaaaa");
	close(a);
	close(b);
}

/* Nor do those that come before the one at which the user's turn ends. */
static void quick_requests_are_in_turn(void **state)
{
	struct turns *turns = *state;
	int a = connect_here(turns), b = connect_here(turns), c = connect_here(turns);

	ask(a, "a", 4);
	ask(b, "b" SLOW, 4);
	ask(c, "c" SLOW, 4);
	assert_order(turns, "abcabcabcabc");
	close(a);
	close(b);
	close(c);
}

/* Who has hung up when he is served is ended then: nobody is told of his end again. */
static void an_end_does_not_wait_for_requests(void **state)
{
	struct turns *turns = *state;
	int a = connect_here(turns), b = connect_here(turns);

	ask(a, "a" SLOW, 3);
	ask(b, "b" SLOW, 1);
	close(a);
	assert_order(turns, "aAb");
	close(b);
}

/* ...and of those who have not been served yet it is known before anybody is. */
static void what_was_hung_up_is_ended_before_a_request(void **state)
{
	struct turns *turns = *state;
	int a = connect_here(turns), b = connect_here(turns);

	ask(a, "a" SLOW, 1);
	ask(b, "b" SLOW, 1);
	close(b);
	assert_order(turns, "-a");
	close(a);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, turns_open, turns_close)
	const struct CMUnitTest tests[] = {
		TEST(users_take_turns),
		TEST(connections_of_a_user_take_turns),
		TEST(quick_requests_are_in_turn),
		TEST(an_end_does_not_wait_for_requests),
		TEST(what_was_hung_up_is_ended_before_a_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
