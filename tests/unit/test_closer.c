/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors whose close() waits: nobody waits for them, and they are closed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "engine/closer.h"

#define DEADLINE_MS 10000

/* One end of a connection whose other end reads nothing, and that is to linger for hours. */
static int lingering_socket(int *peer)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct linger linger = {.l_onoff = 1, .l_linger = 10000};
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t size = sizeof(address);
	char data[4096] = {0};

	assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, size), 0);
	*peer = accept(listener, NULL, NULL);
	assert_true(*peer >= 0);
	close(listener);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
	while (send(fd, data, sizeof(data), MSG_DONTWAIT) > 0)
		continue;
	assert_int_equal(errno, EAGAIN);
	return fd;
}

/* A socket with @fd in its queue, where nobody reads. */
static int wrapped(int fd)
{
	char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8))) = {0}, byte = 0;
	struct iovec iov = {&byte, 1};
	struct msghdr header = {.msg_iov = &iov,
				.msg_iovlen = 1,
				.msg_control = control,
				.msg_controllen = sizeof(control)};
	struct cmsghdr *message = CMSG_FIRSTHDR(&header);
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	message->cmsg_level = SOL_SOCKET;
	message->cmsg_type = SCM_RIGHTS;
	message->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(message), &fd, sizeof(fd));
	assert_int_equal(sendmsg(pair[0], &header, 0), 1);
	close(fd);
	close(pair[0]);
	return pair[1];
}

static double now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void nobody_waits_for_what_lingers(void **state)
{
	int ends[2], peers[20];
	double started = now_s();

	(void)state;
	assert_int_equal(closer_start(), 0);
	for (unsigned i = 0; i < 20; i++) {
		int fd = lingering_socket(&peers[i]);

		closer_take(i % 2 == 0 ? fd : wrapped(fd));
	}
	/* What comes after them has its turn. */
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	closer_take(ends[1]);
	struct pollfd end = {.fd = ends[0], .events = POLLIN};
	assert_int_equal(poll(&end, 1, DEADLINE_MS), 1);
	assert_true(end.revents & POLLHUP);
	close(ends[0]);
	closer_stop();
	/* Alone it would have taken hours. */
	assert_true(now_s() - started < 60);
	for (unsigned i = 0; i < 20; i++)
		close(peers[i]);
}

static void what_was_given_is_closed_when_it_stops(void **state)
{
	int ends[2][100];

	(void)state;
	assert_int_equal(closer_start(), 0);
	for (unsigned i = 0; i < 100; i++) {
		int pair[2];

		assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
		ends[0][i] = pair[0];
		ends[1][i] = pair[1];
		closer_take(pair[1]);
	}
	closer_stop();
	for (unsigned i = 0; i < 100; i++) {
		assert_int_equal(fcntl(ends[1][i], F_GETFD), -1);
		closer_take(ends[0][i]); /* no thread: at once */
		assert_int_equal(fcntl(ends[0][i], F_GETFD), -1);
	}
	closer_stop();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nobody_waits_for_what_lingers),
		cmocka_unit_test(what_was_given_is_closed_when_it_stops),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
