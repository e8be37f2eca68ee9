/* SPDX-License-Identifier: BSD-2-Clause */
/* Descriptors that cannot be closed hold up their sender's, and nobody else's. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "../blocking_socket.h"
#include "engine/closer.h"

#define DEADLINE 20 /* seconds until a test that waits fails */
#define STUCK	 30

/* ---- threads that closers start (see --wrap in meson.build) ---- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t opened;
	bool closed;	  /* what is started now does not get its first turn */
	unsigned started; /* meanwhile */
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};

struct new_thread {
	void *(*main)(void *);
	void *argument;
	bool held;
};

static void *wait_at_gate(void *argument)
{
	struct new_thread thread = *(struct new_thread *)argument;

	free(argument);
	pthread_mutex_lock(&gate.lock);
	while (thread.held && gate.closed)
		pthread_cond_wait(&gate.opened, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
	return thread.main(thread.argument);
}

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*thread_main)(void *), void *argument);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*thread_main)(void *), void *argument);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
			  void *(*thread_main)(void *), void *argument)
{
	struct new_thread *new = malloc(sizeof(*new));
	int error;

	if (new == NULL)
		return ENOMEM;
	*new = (struct new_thread){.main = thread_main, .argument = argument};
	pthread_mutex_lock(&gate.lock);
	new->held = gate.closed;
	gate.started += gate.closed;
	pthread_mutex_unlock(&gate.lock);
	error = __real_pthread_create(thread, attributes, wait_at_gate, new);
	if (error != 0)
		free(new);
	return error;
}

static void set_gate(bool closed)
{
	pthread_mutex_lock(&gate.lock);
	gate.closed = closed;
	gate.started = 0;
	pthread_cond_broadcast(&gate.opened);
	pthread_mutex_unlock(&gate.lock);
}

static int open_gate(void **state)
{
	(void)state;
	set_gate(false);
	return 0;
}

static unsigned threads_at_gate(void)
{
	unsigned count;

	pthread_mutex_lock(&gate.lock);
	count = gate.started;
	pthread_mutex_unlock(&gate.lock);
	return count;
}

static struct closer *new_closer(void)
{
	struct closer *closer;
	struct error error;

	if (closer_create(&closer, &error) < 0)
		fail_msg("%s", error.text);
	return closer;
}

/* A descriptor to give away; *@reader sees when it is closed. */
static int watched(int *reader)
{
	int pipes[2];

	assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
	*reader = pipes[0];
	return pipes[1];
}

static bool closed_within(int reader, int milliseconds)
{
	struct pollfd end = {.fd = reader};

	return poll(&end, 1, milliseconds) == 1;
}

static void assert_closed(int reader)
{
	assert_true(closed_within(reader, DEADLINE * 1000));
	close(reader);
}

static void await_idle(const struct closer *closer)
{
	time_t start = time(NULL);

	while (closer_waiting(closer) > 0) {
		assert_true(time(NULL) - start < DEADLINE);
		sched_yield();
	}
}

/* A closer with a thread in close() that does not return. */
static void hold_up(struct closer *closer, struct blocking_socket *blocking)
{
	if (!blocking_socket_open(blocking)) {
		print_message("no loopback interface: nothing that close() would wait for\n");
		skip();
	}
	closer_close(closer, blocking->fd);
}

/* As on a machine so busy that a new thread has to wait while the others go on. */
static void a_thread_that_is_still_starting_is_not_started_again(void **state)
{
	struct closer *bad = new_closer(), *good = new_closer();
	struct blocking_socket blocking;
	int readers[200];

	(void)state;
	set_gate(true);
	/* One of the two threads is held up, the other one closes all of these alone. */
	hold_up(bad, &blocking);
	for (int i = 0; i < 200; i++)
		closer_close(good, watched(&readers[i]));
	for (int i = 0; i < 200; i++)
		assert_closed(readers[i]);
	assert_int_equal(threads_at_gate(), 1);
	set_gate(false);
	close(blocking.peer);
	await_idle(bad);
	closer_destroy(bad);
	closer_destroy(good);
}

static void everything_is_closed_in_the_end(void **state)
{
	struct closer *closer = new_closer();
	int readers[500];

	(void)state;
	for (int i = 0; i < 500; i++)
		closer_close(closer, watched(&readers[i]));
	for (int i = 0; i < 500; i++)
		assert_closed(readers[i]);
	await_idle(closer);
	closer_destroy(closer);
}

static void a_destroyed_closer_still_closes(void **state)
{
	int readers[100];

	(void)state;
	for (int round = 0; round < 50; round++) {
		struct closer *closer = new_closer();

		for (int i = 0; i < 100; i++)
			closer_close(closer, watched(&readers[i]));
		closer_destroy(closer);
		for (int i = 0; i < 100; i++)
			assert_closed(readers[i]);
	}
}

static void a_client_with_a_blocking_descriptor_holds_up_itself_only(void **state)
{
	struct closer *bad[STUCK], *good = new_closer();
	struct blocking_socket blocking[STUCK];
	int behind[STUCK];

	(void)state;
	for (int i = 0; i < STUCK; i++) {
		int reader;

		bad[i] = new_closer();
		hold_up(bad[i], &blocking[i]);
		closer_close(bad[i], watched(&behind[i]));
		closer_close(good, watched(&reader));
		assert_closed(reader);
	}
	for (int i = 0; i < STUCK; i++) {
		assert_false(closed_within(behind[i], 0));
		assert_int_equal(closer_waiting(bad[i]), 2);
	}
	/* Their owners go, and the peers read at last, the other way round. */
	for (int i = 0; i < STUCK; i++)
		closer_destroy(bad[i]);
	for (int i = STUCK - 1; i >= 0; i--) {
		close(blocking[i].peer);
		assert_closed(behind[i]);
	}
	closer_destroy(good);
}

static void a_crowd_is_noticed_and_goes(void **state)
{
	struct closer *closer = new_closer();
	struct blocking_socket blocking;
	int reader;

	(void)state;
	hold_up(closer, &blocking);
	for (int i = 1; i < CLOSER_CROWD; i++)
		closer_close(closer, dup(STDIN_FILENO));
	assert_false(closer_crowded(closer));
	closer_close(closer, watched(&reader));
	assert_true(closer_crowded(closer));
	close(blocking.peer);
	assert_closed(reader);
	await_idle(closer);
	assert_false(closer_crowded(closer));
	closer_destroy(closer);
}

/* Beyond what callers may do: nothing is waited for, and nothing overrun. */
static void a_full_queue_takes_no_more(void **state)
{
	struct closer *closer = new_closer();
	struct blocking_socket blocking;
	int first_left, reader;

	(void)state;
	hold_up(closer, &blocking);
	for (;;) {
		int fd = watched(&reader);
		unsigned before = closer_waiting(closer);

		closer_close(closer, fd);
		if (closer_waiting(closer) == before) {
			first_left = fd;
			break;
		}
		close(reader);
	}
	assert_true(closer_waiting(closer) > 2 * CLOSER_CROWD);
	close(blocking.peer);
	await_idle(closer);
	assert_false(closed_within(reader, 0));
	close(first_left);
	assert_closed(reader);
	closer_destroy(closer);
}

static void a_client_sees_its_end_before_the_socket_is_closed(void **state)
{
	struct closer *closer = new_closer();
	struct blocking_socket blocking;
	char byte;
	int pair[2];

	(void)state;
	hold_up(closer, &blocking);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	closer_close_socket(closer, pair[1]);
	assert_int_equal(recv(pair[0], &byte, 1, MSG_DONTWAIT), 0);
	assert_int_equal(closer_waiting(closer), 2);
	close(blocking.peer);
	await_idle(closer);
	close(pair[0]);
	closer_destroy(closer);
}

static void *close_many(void *argument)
{
	struct closer *closer = argument;

	for (int i = 0; i < 2000; i++) {
		while (closer_crowded(closer))
			sched_yield();
		closer_close(closer, dup(STDIN_FILENO));
	}
	return NULL;
}

static void threads_may_share_a_closer(void **state)
{
	struct closer *closers[2] = {new_closer(), new_closer()};
	pthread_t threads[4];

	(void)state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, close_many, closers[i % 2]), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < 2; i++) {
		await_idle(closers[i]);
		closer_destroy(closers[i]);
	}
}

static void high_numbers_mean_that_few_are_left(void **state)
{
	long most = sysconf(_SC_OPEN_MAX);

	(void)state;
	assert_false(closer_short_of_descriptors(0));
	assert_false(closer_short_of_descriptors((int)(most / 2)));
	assert_true(closer_short_of_descriptors((int)(most - 1)));
	assert_true(closer_short_of_descriptors((int)(most - most / 8)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		/* First: the two threads that there are from the beginning are all that there are.
		 */
		cmocka_unit_test_teardown(a_thread_that_is_still_starting_is_not_started_again,
					  open_gate),
		cmocka_unit_test(everything_is_closed_in_the_end),
		cmocka_unit_test(a_destroyed_closer_still_closes),
		cmocka_unit_test(a_client_with_a_blocking_descriptor_holds_up_itself_only),
		cmocka_unit_test(a_crowd_is_noticed_and_goes),
		cmocka_unit_test(a_full_queue_takes_no_more),
		cmocka_unit_test(a_client_sees_its_end_before_the_socket_is_closed),
		cmocka_unit_test(threads_may_share_a_closer),
		cmocka_unit_test(high_numbers_mean_that_few_are_left),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
