/* SPDX-License-Identifier: BSD-2-Clause */
/* Errors and log lines: prefixes, truncation, levels, and the limit on what a guest can cause. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/socket.h>

#include "captured_stderr.h"
#include "log/error.h"
#include "log/log.h"

#define WINDOW_NS UINT64_C(10000000000)

static char text[1 << 20];

static void errors_carry_code_and_text(void **state)
{
	struct error error;

	(void)state;
	assert_int_equal(error_set(&error, EINVAL, "slots %u", 7u), -EINVAL);
	assert_int_equal(error.code, EINVAL);
	assert_string_equal(error.text, "slots 7");
	assert_int_equal(error_set(NULL, ENOMEM, "nobody cares"), -ENOMEM);
	error_prefix(&error, "port %s", "a");
	assert_string_equal(error.text, "port a: slots 7");
	assert_int_equal(error.code, EINVAL);
	error_prefix(NULL, "nobody cares");
}

static void long_errors_are_cut_not_overrun(void **state)
{
	char name[2 * sizeof(((struct error *)0)->text)];
	const size_t size = sizeof(((struct error *)0)->text);
	struct error error;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	error_set(&error, EINVAL, "%s", name);
	assert_int_equal(strlen(error.text), size - 1);

	/* A prefix of every length in front of a text that just does not fit, or fits. */
	for (int length = 0; length <= (int)size + 2; length++) {
		struct error short_error;

		error_set(&error, EINVAL, "%s", name);
		error_prefix(&error, "%.*s", length, name);
		assert_true(strlen(error.text) <= size - 1);
		error_set(&short_error, EINVAL, "end");
		error_prefix(&short_error, "%.*s", length, name);
		assert_true(strlen(short_error.text) <= size - 1);
		if ((size_t)length + 5 < size)
			assert_string_equal(short_error.text + length, ": end");
	}
}

static void lines_carry_the_level(void **state)
{
	struct captured_stderr capture;

	(void)state;
	log_set_level(LOG_LEVEL_INFO);
	capture_stderr(&capture);
	log_error("disk %d", 1);
	log_warning("w");
	log_info("i");
	log_debug("not shown");
	release_stderr(&capture, text, sizeof(text));
	assert_string_equal(text, "<3>error: disk 1\n<4>warning: w\n<6>info: i\n");

	log_set_level(LOG_LEVEL_ERROR);
	capture_stderr(&capture);
	log_warning("not shown");
	release_stderr(&capture, text, sizeof(text));
	assert_string_equal(text, "");
	log_set_level(LOG_LEVEL_INFO);
}

static void long_lines_are_cut(void **state)
{
	struct captured_stderr capture;
	char line[3000];

	(void)state;
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	capture_stderr(&capture);
	log_info("%s", line);
	release_stderr(&capture, text, sizeof(text));
	assert_int_equal(count_lines(text), 1);
	assert_true(strlen(text) < 1100);
}

static void one_origin_gets_ten_lines(void **state)
{
	struct log_limit guest = {0}, other = {0};
	struct captured_stderr capture;

	(void)state;
	capture_stderr(&capture);
	for (int i = 0; i < 100000; i++)
		log_limited(&guest, LOG_LEVEL_WARNING, "line %d", i);
	log_limited(&other, LOG_LEVEL_WARNING, "another guest");
	release_stderr(&capture, text, sizeof(text));
	assert_int_equal(count_lines(text), 11);
	assert_non_null(strstr(text, "line 9\n"));
	assert_null(strstr(text, "line 10\n"));
	assert_non_null(strstr(text, "another guest\n"));

	/* Time passes: the next line says how many there were. */
	guest.window_start_ns -= WINDOW_NS + 1;
	capture_stderr(&capture);
	log_limited(&guest, LOG_LEVEL_WARNING, "again");
	log_limited(&guest, LOG_LEVEL_WARNING, "and again");
	release_stderr(&capture, text, sizeof(text));
	assert_string_equal(text, "<4>warning: again (99990 similar lines left out before this "
				  "one)\n<4>warning: and again\n");
}

/* What is below the threshold must not use up the allowance. */
static void hidden_lines_do_not_count(void **state)
{
	struct captured_stderr capture;
	struct log_limit limit = {0};

	(void)state;
	capture_stderr(&capture);
	for (int i = 0; i < 100; i++)
		log_limited(&limit, LOG_LEVEL_DEBUG, "hidden");
	log_limited(&limit, LOG_LEVEL_WARNING, "shown");
	release_stderr(&capture, text, sizeof(text));
	assert_string_equal(text, "<4>warning: shown\n");
}

#define FLOOD_THREADS 4
#define FLOOD_LINES   20000

static void *flood(void *argument)
{
	for (int i = 0; i < FLOOD_LINES; i++)
		log_limited(argument, LOG_LEVEL_WARNING, "flood of one guest on several workers");
	return NULL;
}

static void threads_share_the_limit(void **state)
{
	pthread_t threads[FLOOD_THREADS];
	struct captured_stderr capture;
	struct log_limit limit = {0};

	(void)state;
	capture_stderr(&capture);
	for (int i = 0; i < FLOOD_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, flood, &limit), 0);
	for (int i = 0; i < FLOOD_THREADS; i++)
		pthread_join(threads[i], NULL);
	release_stderr(&capture, text, sizeof(text));
	/* Who opens the window together with others may let their first lines through twice. */
	assert_in_range(count_lines(text), 10, 10 + FLOOD_THREADS * 10);
	for (char *line = text; *line != '\0'; line = strchr(line, '\n') + 1)
		assert_memory_equal(line, "<4>warning: flood of one guest", 30);
}

/* ---- a reader that has stopped ---- */

/* Standard error is @fd until restore(). */
static int replace_stderr(int fd)
{
	int original = dup(STDERR_FILENO);

	dup2(fd, STDERR_FILENO);
	return original;
}

static void restore_stderr(int original)
{
	dup2(original, STDERR_FILENO);
	close(original);
}

/* What @fd holds, without waiting for more. */
static const char *drain(int fd)
{
	size_t size = 0;
	ssize_t got;

	while ((got = read(fd, text + size, sizeof(text) - 1 - size)) > 0)
		size += (size_t)got;
	text[size] = '\0';
	return text;
}

static void lines_are_lost_and_counted(int writer, int reader)
{
	int original = replace_stderr(writer);
	unsigned got, lost, i;

	/* Would hang at some line if it waited. */
	for (i = 0; i < 10000; i++)
		log_info("line %u", i);
	drain(reader);
	got = count_lines(text);
	assert_in_range(got, 10, 9999);
	log_info("after it");
	log_info("and another");
	restore_stderr(original);

	drain(reader);
	assert_int_equal(sscanf(text,
				"<4>warning: standard error was full: %u lines lost before the "
				"next one\n",
				&lost),
			 1);
	assert_int_equal(got + lost, 10000);
	assert_string_equal(strchr(text, '\n') + 1, "<6>info: after it\n<6>info: and another\n");
}

static void a_full_pipe_does_not_hold_up(void **state)
{
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	/* Only our end: O_NONBLOCK on the other would make it easy. */
	assert_int_equal(fcntl(pipes[0], F_SETFL, O_NONBLOCK), 0);
	lines_are_lost_and_counted(pipes[1], pipes[0]);
	close(pipes[0]);
	close(pipes[1]);
}

/* What systemd gives a service. */
static void a_full_socket_does_not_hold_up(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(fcntl(pair[0], F_SETFL, O_NONBLOCK), 0);
	lines_are_lost_and_counted(pair[1], pair[0]);
	close(pair[0]);
	close(pair[1]);
}

static void a_reader_that_is_gone_does_no_harm(void **state)
{
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	close(pair[0]);
	int original = replace_stderr(pair[1]);

	log_info("nobody hears this");
	restore_stderr(original);
	close(pair[1]);
	log_info("but this, and that one line was lost");
}

static void *write_numbered(void *argument)
{
	for (unsigned i = 0; i < FLOOD_LINES / 4; i++)
		log_info("thread %u line %u", *(unsigned *)argument, i);
	return NULL;
}

/* Whoever reads in between finds whole lines, whatever was lost. */
static void a_slow_reader_gets_whole_lines(void **state)
{
	unsigned numbers[FLOOD_THREADS], reads = 0;
	pthread_t threads[FLOOD_THREADS];
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	int original = replace_stderr(pipes[1]);

	for (unsigned i = 0; i < FLOOD_THREADS; i++) {
		numbers[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, write_numbered, &numbers[i]), 0);
	}
	for (unsigned i = 0; i < FLOOD_THREADS; i++)
		pthread_join(threads[i], NULL);
	restore_stderr(original);
	close(pipes[1]);
	(void)drain(pipes[0]);
	for (char *line = text; *line != '\0'; line = strchr(line, '\n') + 1, reads++) {
		unsigned thread, number;

		assert_non_null(strchr(line, '\n'));
		assert_int_equal(sscanf(line, "<6>info: thread %u line %u\n", &thread, &number), 2);
	}
	assert_true(reads > 10);
	close(pipes[0]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_carry_code_and_text),
		cmocka_unit_test(long_errors_are_cut_not_overrun),
		cmocka_unit_test(lines_carry_the_level),
		cmocka_unit_test(long_lines_are_cut),
		cmocka_unit_test(one_origin_gets_ten_lines),
		cmocka_unit_test(hidden_lines_do_not_count),
		cmocka_unit_test(threads_share_the_limit),
		cmocka_unit_test(a_full_pipe_does_not_hold_up),
		cmocka_unit_test(a_full_socket_does_not_hold_up),
		cmocka_unit_test(a_reader_that_is_gone_does_no_harm),
		cmocka_unit_test(a_slow_reader_gets_whole_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
