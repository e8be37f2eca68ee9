/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Runs the tests: each in a process group of its own, with a time limit, so that one that crashes
 * or hangs takes nothing along.
 *
 *   conformance --list                       names of all tests and where they run
 *   conformance [--ports PORT PEER] --run NAME...
 *   conformance [--ports PORT PEER] --all    all that run here
 *
 * With --ports it runs in a guest, on these two interfaces. Prints "ok NAME" or "FAILED NAME", the
 * latter after a line for each check that failed, and at the end how many there were. Exit status 1
 * if a test failed.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conformance.h"

#define TEST_SECONDS 60 /* bounds a hang; the machine may be busy and the daemon instrumented */

const char *port_name, *peer_name;
bool in_guest;
static pid_t test_pid; /* what own() makes names of */

static const struct test *const tables[] = {
	request_tests, vale_tests,    pipe_tests,    monitor_tests, option_tests,
	kloop_tests,   process_tests, program_tests, api_tests,
};

const char *own(const char *pattern)
{
	static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
	char text[8], *name = calloc(1, strlen(pattern) + sizeof(text)), *end = name;
	pid_t rest = test_pid;
	size_t i = sizeof(text) - 1;

	need(name, "memory");
	text[i] = '\0';
	do {
		text[--i] = digits[rest % 36];
		rest /= 36;
	} while (rest && i);
	for (; *pattern; pattern++) {
		if (*pattern == '~')
			end = stpcpy(end, text + i);
		else
			*end++ = *pattern;
	}
	return name;
}

const char *ports_switch(void)
{
	return own("vale~");
}

static const char *on_switch(const char *name)
{
	char *full = NULL;

	need(asprintf(&full, "%s:%s", ports_switch(), name) > 0, "memory");
	return full;
}

/* The ports that a guest would have as interfaces. */
static void make_ports(void)
{
	const char *names[] = {port_name = own("c~p"), peer_name = own("c~q")};
	size_t i;

	for (i = 0; i < 2; i++) {
		need(new_port(names[i], PORT_RINGS, PORT_SLOTS) == 0, "a persistent port");
		need(attach_port(on_switch(names[i]), NULL) == 0, "its place on a switch");
	}
}

/* The last users may have been killed a moment ago, and the owner not know yet. */
static int until_free(int (*call)(const char *), const char *name)
{
	const struct timespec moment = {.tv_nsec = 5000000};
	int result, tries;

	for (tries = 0; tries < 1000; tries++) {
		result = call(name);
		if (result == 0 || errno != EBUSY)
			break;
		nanosleep(&moment, NULL);
	}
	return result;
}

static int detach_named(const char *name)
{
	return detach_port(name, NULL);
}

static bool remove_ports(void)
{
	const char *names[] = {own("c~p"), own("c~q")};
	bool removed = true;
	size_t i;

	for (i = 0; i < 2; i++) {
		if (until_free(detach_named, on_switch(names[i])) ||
		    until_free(remove_port, names[i])) {
			printf("  port %s can't be removed: %s\n", names[i], strerror(errno));
			removed = false;
		}
	}
	return removed;
}

/* In a process of its own: the daemon may have gone. */
static bool removed_ports(void)
{
	int status = 0;
	pid_t cleaner = fork();

	need(cleaner >= 0, "fork");
	if (!cleaner) {
		bool removed = remove_ports();

		fflush(stdout);
		_exit(!removed);
	}
	waitpid(cleaner, &status, 0);
	return status == 0;
}

static void test_process(const struct test *t)
{
	alarm(TEST_SECONDS);
	if (t->where & WITH_PORTS && !in_guest)
		make_ports();
	t->run();
	fflush(stdout);
	_exit(checks_failed());
}

static bool run_test(const struct test *t)
{
	int status = 0, ready[2];
	bool passed;
	char byte = 0;

	fflush(stdout);
	need(pipe(ready) == 0, "pipe");
	test_pid = fork();
	need(test_pid >= 0, "fork");
	if (!test_pid) {
		test_pid = getpid();
		setpgid(0, 0);
		close(ready[0]);
		if (write(ready[1], "r", 1) != 1)
			_exit(1);
		close(ready[1]);
		test_process(t);
	}
	close(ready[1]);
	/* Once it leads a process group, that can be killed. */
	if (read(ready[0], &byte, 1) != 1)
		printf("  the test's process did not start\n");
	close(ready[0]);
	waitpid(test_pid, &status, 0);
	kill(-test_pid, SIGKILL); /* what it may have left behind */
	if (WIFSIGNALED(status))
		printf("  ended by signal %d%s\n", WTERMSIG(status),
		       WTERMSIG(status) == SIGALRM ? ": took too long" : "");
	passed = status == 0;
	if (t->where & WITH_PORTS && !in_guest && !removed_ports())
		passed = false;
	printf("%s %s\n", passed ? "ok" : "FAILED", t->name);
	fflush(stdout);
	return passed;
}

static bool runs_here(const struct test *t)
{
	return t->where & (in_guest ? IN_GUEST : ON_HOST);
}

static const struct test *find(const char *name)
{
	const struct test *t;
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (t = tables[i]; t->name; t++)
			if (strcmp(t->name, name) == 0)
				return t;
	return NULL;
}

static void list(void)
{
	const struct test *t;
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (t = tables[i]; t->name; t++)
			printf("%s%s%s\n", t->name, t->where & ON_HOST ? " host" : "",
			       t->where & IN_GUEST ? " guest" : "");
}

static int usage(const char *program)
{
	fprintf(stderr, "usage: %s --list | [--ports PORT PEER] { --all | --run NAME... }\n",
		program);
	return 2;
}

int main(int argc, char **argv)
{
	unsigned int passed = 0, failed = 0;
	const struct test *t;
	int i = 1;
	size_t k;

	if (argc == 2 && strcmp(argv[1], "--list") == 0) {
		list();
		return 0;
	}
	if (argc > 4 && strcmp(argv[1], "--ports") == 0) {
		port_name = argv[2];
		peer_name = argv[3];
		in_guest = true;
		i = 4;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == i + 1 && strcmp(argv[i], "--all") == 0) {
		for (k = 0; k < sizeof(tables) / sizeof(tables[0]); k++)
			for (t = tables[k]; t->name; t++)
				if (runs_here(t))
					run_test(t) ? passed++ : failed++;
	} else if (argc > i + 1 && strcmp(argv[i], "--run") == 0) {
		for (i++; i < argc; i++) {
			t = find(argv[i]);
			if (!t || !runs_here(t)) {
				fprintf(stderr, "no test %s %s\n", argv[i], t ? "here" : "");
				return 2;
			}
			run_test(t) ? passed++ : failed++;
		}
	} else {
		return usage(argv[0]);
	}
	printf("%u passed, %u failed\n", passed, failed);
	return failed != 0;
}
