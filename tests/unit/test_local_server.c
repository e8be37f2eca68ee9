/* SPDX-License-Identifier: BSD-2-Clause */
/* Clients of the netmap socket that do not keep to ptnet/local.h: it costs them, and nobody else.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../blocking_socket.h"
#include "captured_stderr.h"
#include "netmap_client.h"
#include "test_control_fixture.h"

static void status_call(struct netmap_fixture *fixture, void *argument)
{
	local_server_get_status(fixture->device.server, argument);
}

static uint64_t count_of(struct netmap_fixture *fixture, enum local_error kind)
{
	struct local_status status;

	netmap_fixture_call(fixture, status_call, &status);
	return status.errors[kind];
}

/* Everybody else's requests are answered, and so are those of @fd, unless it is -1. */
static void assert_unharmed(struct netmap_fixture *fixture, int fd)
{
	struct ptnet_local_request request = netmap_request(NETMAP_REQ_PORT_INFO_GET, "vale0:a");
	int other = netmap_connect(fixture);

	assert_int_equal(netmap_errno(other, &request), 0);
	close(other);
	if (fd >= 0)
		assert_int_equal(netmap_errno(fd, &request), 0);
}

static void reply_pair(int ends[2])
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

/* Sends @size bytes with a reply socket; what comes back, or false. */
static bool exchange(int fd, const void *message, size_t size, struct netmap_reply *reply)
{
	int ends[2];
	bool answered;

	reply_pair(ends);
	netmap_send(fd, message, size, &ends[1], 1);
	close(ends[1]);
	answered = netmap_receive(ends[0], reply);
	close(ends[0]);
	return answered;
}

static void messages_of_other_sizes(void **state)
{
	struct netmap_fixture *fixture = *state;
	static const size_t sizes[] = {0,
				       1,
				       4,
				       sizeof(struct ptnet_local_request) - 1,
				       sizeof(struct ptnet_local_request) + 1,
				       65536};
	static uint8_t message[65536];
	int fd = netmap_connect(fixture);
	struct netmap_reply reply;

	memset(message, 1, sizeof(message));
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_true(exchange(fd, message, sizes[i], &reply));
		assert_int_equal(reply.reply.error, EPROTO);
		assert_int_equal(reply.num_fds, 0);
		assert_int_equal(count_of(fixture, LOCAL_ERROR_BAD_SIZE), i + 1);
		assert_unharmed(fixture, fd);
	}
	close(fd);
}

static void requests_of_another_version(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:a");
	int fd = netmap_connect(fixture);
	struct netmap_reply reply;

	request.version++;
	netmap_ask(fd, &request, &reply);
	assert_int_equal(reply.reply.error, EPROTO);
	assert_int_equal(count_of(fixture, LOCAL_ERROR_BAD_VERSION), 1);
	request.version--;
	request.op = 0;
	assert_int_equal(netmap_errno(fd, &request), EINVAL);
	request.op = PTNET_LOCAL_UNREGISTER + 1;
	assert_int_equal(netmap_errno(fd, &request), EINVAL);
	assert_int_equal(count_of(fixture, LOCAL_ERROR_BAD_OPERATION), 2);
	assert_unharmed(fixture, fd);
	close(fd);
}

/* A name without an end is cut. */
static void names_without_an_end(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("");
	int fd = netmap_connect(fixture);

	memset(request.name, 'v', sizeof(request.name));
	assert_int_equal(netmap_errno(fd, &request), ENXIO);
	memcpy(request.name, "vale0:", 6);
	assert_int_equal(netmap_errno(fd, &request), ENOMEM);
	memset(request.name, '{', sizeof(request.name));
	assert_int_equal(netmap_errno(fd, &request), EINVAL);
	memcpy(request.name, "vale0:\n\x01\xff", 9);
	request.name[9] = '\0';
	assert_int_equal(netmap_errno(fd, &request), ENOMEM);
	assert_unharmed(fixture, fd);
	close(fd);
}

static void wrong_descriptors(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_request(NETMAP_REQ_PORT_INFO_GET, "vale0:a");
	int fd = netmap_connect(fixture);
	int wrong[5], many[253], pair[2];
	unsigned before;

	reply_pair(pair);
	wrong[0] = eventfd(0, EFD_CLOEXEC);
	wrong[1] = memfd_create("wrong", MFD_CLOEXEC);
	wrong[2] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	wrong[3] = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	wrong[4] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_unharmed(fixture, fd);
	netmap_fixture_settle(fixture, 1);
	before = control_count_fds();
	netmap_send(fd, &request, sizeof(request), NULL, 0);
	for (int i = 0; i < 253; i++)
		many[i] = pair[1];
	netmap_send(fd, &request, sizeof(request), many, 2);
	netmap_send(fd, &request, sizeof(request), many, 253);
	assert_unharmed(fixture, fd);
	assert_int_equal(count_of(fixture, LOCAL_ERROR_BAD_DESCRIPTORS), 3);
	for (int i = 0; i < 5; i++)
		netmap_send(fd, &request, sizeof(request), &wrong[i], 1);
	assert_unharmed(fixture, fd);
	assert_int_equal(count_of(fixture, LOCAL_ERROR_BAD_REPLY_SOCKET), 5);
	netmap_fixture_settle(fixture, 1);
	assert_int_equal(control_count_fds(), before);
	for (int i = 0; i < 5; i++)
		close(wrong[i]);
	close(pair[0]);
	close(pair[1]);
	close(fd);
}

static void reply_sockets_that_take_nothing(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:a");
	int fd = netmap_connect(fixture), pair[2], lone;

	reply_pair(pair);
	close(pair[0]); /* the requester died */
	netmap_send(fd, &request, sizeof(request), &pair[1], 1);
	close(pair[1]);
	lone = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	netmap_send(fd, &request, sizeof(request), &lone, 1);
	close(lone);
	/* It was carried out all the same: the descriptor is bound. */
	assert_int_equal(netmap_errno(fd, &request), EBUSY);
	assert_int_equal(count_of(fixture, LOCAL_ERROR_REPLY_NOT_TAKEN), 2);
	close(fd);
	netmap_fixture_settle(fixture, 0);
	assert_int_equal(netmap_fixture_counts(fixture).ports, 0);
}

/* Descriptors that nobody receives count against the daemon, so there is an end to them. */
static void answers_that_nobody_reads(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:a");
	struct ptnet_local_request join = {.version = PTNET_LOCAL_VERSION, .op = PTNET_LOCAL_JOIN};
	int fd = netmap_connect(fixture), other = netmap_connect(fixture);
	int ends[LOCAL_MAX_UNREAD][2];
	struct netmap_reply reply;

	assert_int_equal(netmap_errno(fd, &request), 0);
	for (int i = 0; i < LOCAL_MAX_UNREAD; i++) {
		reply_pair(ends[i]);
		netmap_send(fd, &join, sizeof(join), &ends[i][1], 1);
		close(ends[i][1]);
	}
	assert_int_equal(netmap_errno(fd, &join), ENOBUFS);
	/* It is the same user's. */
	request = netmap_request(NETMAP_REQ_PORT_INFO_GET, "vale0:a");
	assert_int_equal(netmap_errno(other, &request), ENOBUFS);
	assert_int_equal(count_of(fixture, LOCAL_ERROR_REPLIES_NOT_READ), 2);
	/* Received, or given up: both count. */
	assert_true(netmap_receive(ends[0][0], &reply));
	assert_int_equal(reply.num_fds, 2 + 4);
	netmap_forget(&reply);
	assert_int_equal(netmap_errno(fd, &join), 0);
	for (int i = 0; i < LOCAL_MAX_UNREAD; i++)
		close(ends[i][0]);
	assert_unharmed(fixture, fd);
	close(fd);
	close(other);
}

/* What was not received is not forgotten with the connection that it was asked for on. */
static void answers_that_nobody_reads_after_the_end(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:a");
	struct ptnet_local_request join = {.version = PTNET_LOCAL_VERSION, .op = PTNET_LOCAL_JOIN};
	int fd = netmap_connect(fixture), ends[LOCAL_MAX_UNREAD][2];

	assert_int_equal(netmap_errno(fd, &request), 0);
	for (int i = 0; i < LOCAL_MAX_UNREAD; i++) {
		reply_pair(ends[i]);
		netmap_send(fd, &join, sizeof(join), &ends[i][1], 1);
		close(ends[i][1]);
	}
	assert_int_equal(netmap_errno(fd, &join), ENOBUFS);
	close(fd);
	netmap_fixture_settle(fixture, 0);
	fd = netmap_connect(fixture);
	assert_int_equal(netmap_errno(fd, &request), ENOBUFS);
	close(fd);
	netmap_fixture_settle(fixture, 0);
	for (int i = 0; i < LOCAL_MAX_UNREAD; i++)
		close(ends[i][0]);
	assert_unharmed(fixture, -1);
}

static unsigned count_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	unsigned count = 0;

	assert_non_null(tasks);
	while (readdir(tasks) != NULL)
		count++;
	closedir(tasks);
	return count;
}

struct parting {
	int fd, sent;
};

/* On the serving thread, which must not receive it in between: our close() would be the last. */
static void send_and_close_call(struct netmap_fixture *fixture, void *argument)
{
	const struct parting *parting = argument;
	struct ptnet_local_request request = netmap_request(NETMAP_REQ_PORT_INFO_GET, "vale0:a");

	(void)fixture;
	netmap_send(parting->fd, &request, sizeof(request), &parting->sent, 1);
	close(parting->sent);
}

/* One thread at most waits for what a user sent, however often he comes and goes. */
static void descriptors_that_cannot_be_closed(void **state)
{
	enum { TIMES = 20 };
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_request(NETMAP_REQ_PORT_INFO_GET, "vale0:a");
	struct blocking_socket blocking[TIMES];
	unsigned before = count_threads(), after;

	for (int i = 0; i < TIMES; i++) {
		int fd = netmap_connect(fixture);

		if (!blocking_socket_open(&blocking[i])) {
			close(fd);
			skip();
		}
		netmap_fixture_call(fixture, send_and_close_call,
				    &(struct parting){.fd = fd, .sent = blocking[i].fd});
		assert_int_equal(netmap_errno(fd, &request), 0);
		close(fd);
		while (netmap_fixture_counts(fixture).connections > 0)
			;
	}
	after = count_threads();
	for (int i = 0; i < TIMES; i++)
		close(blocking[i].peer);
	netmap_fixture_settle(fixture, 0);
	assert_true(after <= before + 2);
}

/* Neither a new connection nor a new port brings new lines. */
static void who_comes_again_and_again_is_logged_in_moderation(void **state)
{
	enum { TIMES = 50 };
	struct netmap_fixture *fixture = *state;
	struct captured_stderr captured;
	static char text[1 << 16];
	struct netmap_port port;

	log_set_level(LOG_LEVEL_WARNING);
	capture_stderr(&captured);
	for (int i = 0; i < TIMES; i++) {
		int fd = netmap_connect(fixture);

		netmap_send(fd, "", 1, NULL, 0);
		close(fd);
		netmap_fixture_settle(fixture, 0);
	}
	for (int i = 0; i < TIMES; i++) {
		assert_int_equal(netmap_open(fixture, &port, "vale0:a"), 0);
		port.tx->head = port.tx->cur = port.tx->num_slots + 1;
		assert_false(netmap_txsync(&port));
		netmap_close(&port);
		netmap_fixture_settle(fixture, 0);
	}
	release_stderr(&captured, text, sizeof(text));
	log_set_level(LOG_LEVEL_ERROR);
	assert_true(count_lines(text) < TIMES);
}

/* Many more than its socket takes: it waits, others are served between. */
static void a_flood(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_request(NETMAP_REQ_PORT_INFO_GET, "vale0:a");
	int fd = netmap_connect(fixture);
	const struct iovec iov = {.iov_base = &request, .iov_len = sizeof(request)};
	const struct msghdr message = {.msg_iov = (struct iovec *)&iov, .msg_iovlen = 1};
	unsigned sent = 0;

	while (sent < 2000) {
		if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
			sent++;
		else
			assert_unharmed(fixture, -1);
	}
	assert_unharmed(fixture, fd);
	assert_int_equal(count_of(fixture, LOCAL_ERROR_BAD_DESCRIPTORS), 2000);
	close(fd);
}

static void too_many_connections(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct rlimit limit = {.rlim_cur = 3 * LOCAL_MAX_CONNECTIONS,
			       .rlim_max = 3 * LOCAL_MAX_CONNECTIONS};
	int *fds = calloc(LOCAL_MAX_CONNECTIONS, sizeof(*fds));
	struct netmap_reply reply;
	int last;

	assert_non_null(fds);
	if (setrlimit(RLIMIT_NOFILE, &limit) < 0) {
		free(fds);
		skip();
	}
	for (int i = 0; i < LOCAL_MAX_CONNECTIONS; i++) {
		fds[i] = netmap_connect(fixture);
		assert_true(fds[i] >= 0);
	}
	last = netmap_connect(fixture);
	assert_true(last >= 0);
	assert_false(netmap_receive(last, &reply)); /* its end */
	close(last);
	assert_int_equal(count_of(fixture, LOCAL_ERROR_REFUSED), 1);
	assert_int_equal(netmap_fixture_counts(fixture).connections, LOCAL_MAX_CONNECTIONS);
	close(fds[0]);
	netmap_fixture_settle(fixture, LOCAL_MAX_CONNECTIONS - 1);
	assert_unharmed(fixture, fds[1]);
	for (int i = 1; i < LOCAL_MAX_CONNECTIONS; i++)
		close(fds[i]);
	free(fds);
	netmap_fixture_settle(fixture, 0);
}

static void too_many_of_one_user(void **state)
{
	struct netmap_fixture *fixture = *state;
	static int fds[LOCAL_MAX_PER_USER];
	struct netmap_reply reply;
	int last;

	if (geteuid() != 0)
		skip();
	for (int i = 0; i < LOCAL_MAX_PER_USER; i++) {
		fds[i] = netmap_connect_as(fixture, 40001, 40001, NULL, 0);
		assert_true(fds[i] >= 0);
	}
	last = netmap_connect_as(fixture, 40001, 40001, NULL, 0);
	assert_false(netmap_receive(last, &reply));
	close(last);
	last = netmap_connect_as(fixture, 40002, 40002, NULL, 0);
	assert_unharmed(fixture, last);
	close(last);
	for (int i = 0; i < LOCAL_MAX_PER_USER; i++)
		close(fds[i]);
	netmap_fixture_settle(fixture, 0);
}

/* Half of the connection closed is closed. */
static void a_client_that_says_no_more(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:a");
	int fd = netmap_connect(fixture);

	assert_int_equal(netmap_errno(fd, &request), 0);
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	netmap_fixture_settle(fixture, 0);
	assert_int_equal(netmap_fixture_counts(fixture).ports, 0);
	close(fd);
}

int main(void)
{
#define TEST(function)                                                                             \
	cmocka_unit_test_setup_teardown(function, netmap_fixture_open, netmap_fixture_close)
	const struct CMUnitTest tests[] = {
		TEST(messages_of_other_sizes),
		TEST(requests_of_another_version),
		TEST(names_without_an_end),
		TEST(wrong_descriptors),
		TEST(reply_sockets_that_take_nothing),
		TEST(answers_that_nobody_reads),
		TEST(answers_that_nobody_reads_after_the_end),
		TEST(descriptors_that_cannot_be_closed),
		TEST(who_comes_again_and_again_is_logged_in_moderation),
		TEST(a_flood),
		TEST(too_many_connections),
		TEST(too_many_of_one_user),
		TEST(a_client_that_says_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
