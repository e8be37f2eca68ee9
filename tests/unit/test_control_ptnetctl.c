/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptnetctl, the program itself, against a control socket in this process: what it
 * prints, what it says about mistakes, and its exit status. The program is
 * $PTNETCTL, else the one in the build folder that this test is in.
 */
#include <errno.h>
#include <libgen.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "netmap_client.h"
#include "test_control_fixture.h"

#define MAX_WORDS 16

static char program[4096];

/* What a run of the program came to. */
struct outcome {
	int status;
	char out[65536], err[4096];
};

static void program_find(void)
{
	const char *given = getenv("PTNETCTL");
	char self[2048] = "";

	if (given != NULL) {
		snprintf(program, sizeof(program), "%s", given);
		return;
	}
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return;
	snprintf(program, sizeof(program), "%s/../../tools/ctl/ptnetctl", dirname(self));
}

static void read_all(FILE *file, char *text, size_t size)
{
	rewind(file);
	text[fread(text, 1, size - 1, file)] = '\0';
	fclose(file);
}

/* Runs it with the words of @line, which blanks separate, and --control @path before them. */
static struct outcome *run_at(const char *path, const char *line)
{
	static struct outcome outcome;
	char *words[MAX_WORDS] = {program, "--control", (char *)path};
	char *copy = strdup(line), *rest = copy;
	FILE *out = tmpfile(), *err = tmpfile();
	int count = 3, status;

	while ((words[count] = strsep(&rest, " ")) != NULL)
		if (words[count][0] != '\0' && ++count == MAX_WORDS - 1)
			break;
	words[count] = NULL;
	fflush(NULL);
	pid_t child = fork();

	if (child == 0) {
		dup2(fileno(out), 1);
		dup2(fileno(err), 2);
		execv(program, words);
		_exit(127);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFEXITED(status) || WEXITSTATUS(status) == 127)
		fail_msg("%s did not run (set PTNETCTL), or ended with signal %d", program,
			 WTERMSIG(status));
	outcome.status = WEXITSTATUS(status);
	read_all(out, outcome.out, sizeof(outcome.out));
	read_all(err, outcome.err, sizeof(outcome.err));
	free(copy);
	return &outcome;
}

static struct outcome *run(const struct control_fixture *fixture, const char *line)
{
	return run_at(fixture->path, line);
}

/* It must succeed, in silence on standard error; returns what it printed. */
static const char *good(const struct control_fixture *fixture, const char *line)
{
	struct outcome *outcome = run(fixture, line);

	if (outcome->status != 0 || outcome->err[0] != '\0')
		fail_msg("ptnetctl %s: status %d: %s", line, outcome->status, outcome->err);
	return outcome->out;
}

static void bad(const struct control_fixture *fixture, const char *line, int status,
		const char *words)
{
	struct outcome *outcome = run(fixture, line);

	if (outcome->status != status || strstr(outcome->err, words) == NULL)
		fail_msg("ptnetctl %s: status %d: %s", line, outcome->status, outcome->err);
	assert_string_equal(outcome->out, "");
}

static json_t *good_json(const struct control_fixture *fixture, const char *line)
{
	json_t *value = json_loads(good(fixture, line), 0, NULL);

	if (value == NULL)
		fail_msg("ptnetctl %s prints no JSON", line);
	return value;
}

static void wrong_usage(void **state)
{
	static const struct {
		const char *line, *words;
	} cases[] = {
		{"", "which command?"},
		{"fly", "\"fly\""},
		{"port", "ptnetctl port add"},
		{"port fly", "ptnetctl port del"},
		{"ports", "ptnetctl port list"},
		{"list", "ptnetctl region list"},
		{"stat", "ptnetctl stats [PORT...]"},
		{"stats --watch --count 0", "1 or more"},
		{"port add", "SWITCH:NAME is missing"},
		{"port add a b", "\"b\""},
		{"port add vale0:a --slots", "requires an argument"},
		{"port add vale0:a --slots many", "--slots many"},
		{"port add vale0:a --slots -1", "--slots -1"},
		{"port add vale0:a --slots 99999999999999999999", "--slots 999"},
		{"port add vale0:a --ageing-s 5", "--ageing-s"},
		{"show --fly", "--fly"},
		{"--fly show", "--fly"},
		{"version 5", "\"5\""},
		{"stats --count 5", "--watch"},
		{"stats --watch=no", "--watch=no"},
		{"stats --watch=0", "--watch=0"},
		{"stats --watch 5", "--watch=5"},
		{"log-level \xff", "UTF-8"},
		{"qemu-args \xff", "UTF-8"},
		{"port del \xff", "UTF-8"},
		{"qemu-args", "PORT... is missing"},
		{"qemu-args --legacy vale0:a", "--memory"},
		{"qemu-args --memory 1G vale0:a", "--legacy"},
		{"qemu-args --legacy --memory 2048 vale0:a", "2G"},
		{"qemu-args --legacy --memory 1GB vale0:a", "1GB"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		bad(*state, cases[i].line, 2, cases[i].words);
}

static void help_needs_no_daemon(void **state)
{
	static const char *const lines[] = {
		"--help",
		"-h",
		"version --help",
		"show --help",
		"switch add -h",
		"switch del --help",
		"switch list --help",
		"macs --help",
		"port add --help",
		"port del --help",
		"port list --help",
		"port show --help",
		"pipe add --help",
		"pipe del --help",
		"pipe list --help",
		"region add --help",
		"region del --help",
		"region list --help",
		"stats --help",
		"workers --help",
		"attachments --help",
		"log-level --help",
		"qemu-args --help",
		"--help port add",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		struct outcome *outcome = run_at("/nowhere", lines[i]);

		assert_int_equal(outcome->status, 0);
		assert_string_equal(outcome->err, "");
		assert_non_null(strstr(outcome->out, "Usage: ptnetctl"));
		assert_non_null(strstr(outcome->out, "--control PATH"));
	}
	assert_non_null(strstr(run_at("/nowhere", "--version")->out, "ptnetctl "));
}

static void without_a_daemon(void **state)
{
	struct control_fixture *fixture = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	bad(fixture, "show", 1, "no ptnetd is running");
	assert_non_null(strstr(run(fixture, "show")->err, fixture->path));

	int dead = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(address.sun_path, fixture->path);
	assert_int_equal(bind(dead, (struct sockaddr *)&address, sizeof(address)), 0);
	close(dead);
	bad(fixture, "show", 1, "nobody listens");
	unlink(fixture->path);
	if (strstr(run_at(program, "show")->err, "is no socket") == NULL)
		fail_msg("connected to a program?");
}

static void things_come_and_go(void **state)
{
	static const char *const lines[] = {
		"switch add vale1 --ageing-s 20 --mac-limit 5",
		"region add pool --buf-num 9000 --buf-size 4096 --csb-num 3 --socket-mode 0666",
		"port add vale0:a --rings 2 --slots 256 --mac 52:54:00:00:00:01 --pipes 3",
		"port add vale1:b --region pool",
		"pipe add link{1 --buf-size 512",
		"pipe add vale0:a{x --slots 64",
		"pipe del vale0:a{x",
		"pipe del link{1",
		"port del vale1:b",
		"port del --force vale0:a",
		"region del pool",
		"switch del vale1",
	};
	const struct control_fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_string_equal(good(fixture, lines[i]), "");
	json_t *shown = good_json(fixture, "show --json");

	assert_int_equal(json_array_size(json_object_get(shown, "ports")), 0);
	assert_int_equal(json_array_size(json_object_get(shown, "regions")), 0);
	assert_int_equal(json_array_size(json_object_get(shown, "switches")), 0);
	json_decref(shown);
}

static void the_daemons_refusals(void **state)
{
	const struct control_fixture *fixture = *state;

	good(fixture, "port add vale0:a");
	bad(fixture, "port add vale0:a", 1, "exists already");
	bad(fixture, "port add vale0:b --slots 9999", 1, "64 to 4096");
	bad(fixture, "port add vm1", 1, "valeX:NAME");
	bad(fixture, "port del vale0:x", 1, "no port \"vale0:x\"");
	bad(fixture, "stats vale0:x", 1, "no port \"vale0:x\"");
	bad(fixture, "macs vale9", 1, "no switch \"vale9\"");
	bad(fixture, "switch del vale0", 1, "1 port;");
	bad(fixture, "qemu-args vale0:a vale0:x", 1, "no port \"vale0:x\"");
	bad(fixture, "qemu-args vale0:a vale0:a", 2, "named twice");
	bad(fixture, "log-level loud", 1, "loud");
}

static void lists_for_people_and_programs(void **state)
{
	static const struct {
		const char *line, *words;
	} cases[] = {
		{"version", "protocol 1"},
		{"show", "vale0:a"},
		{"switch list", "vale0"},
		{"port list", "link}1"},
		{"port show vale0:a", "mem-vale0-a.sock"},
		{"pipe list", "link{1"},
		{"region list", "vale0:a"},
		{"stats", "stopped"},
		{"stats vale0:a", "hwtail"},
		{"workers", "WAKE-UPS"},
		{"attachments", "vale0:a"},
		{"log-level", "error"},
		{"stats --watch=0.01 --count 2", "TX-PPS"},
	};
	const struct control_fixture *fixture = *state;
	char line[64];

	good(fixture, "port add vale0:a");
	good(fixture, "pipe add link{1");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (strstr(good(fixture, cases[i].line), cases[i].words) == NULL)
			fail_msg("ptnetctl %s does not show %s", cases[i].line, cases[i].words);
		/* With --watch: an object per line. */
		if (strstr(cases[i].line, "--watch") != NULL)
			continue;
		snprintf(line, sizeof(line), "%s --json", cases[i].line);
		json_decref(good_json(fixture, line));
	}
	json_decref(good_json(fixture, "macs vale0 --json"));

	const char *rates = good(fixture, "stats vale0:a --json --watch=0.01 --count 3");

	for (int i = 0; i < 3; i++) {
		json_error_t where;
		json_t *one = json_loads(rates, JSON_DISABLE_EOF_CHECK, &where);

		assert_non_null(one);
		assert_int_equal(json_array_size(json_object_get(one, "ports")), 1);
		json_decref(one);
		rates += where.position;
		assert_int_equal(*rates++, '\n');
	}
	assert_string_equal(rates, "");
}

static void qemu_gets_the_memory_before_the_port_and_once(void **state)
{
	static const char *const sockets[] = {"mem-vale0-a.sock", "vale0-a.sock",
					      "vale0-a-x-master.sock", "mem-link.sock",
					      "link-1-slave.sock"};
	const struct control_fixture *fixture = *state;
	json_t *words;

	good(fixture, "port add vale0:a");
	good(fixture, "pipe add vale0:a{x");
	good(fixture, "pipe add link{1");
	words = good_json(fixture, "qemu-args vale0:a vale0:a{x link}1 --json");
	assert_int_equal(json_array_size(words), 10);
	for (size_t i = 0; i < 5; i++) {
		json_t *device =
			json_loads(json_string_value(json_array_get(words, 2 * i + 1)), 0, NULL);
		const json_t *socket = json_object_get(device, "socket");
		char path[96];

		assert_string_equal(json_string_value(json_array_get(words, 2 * i)), "-device");
		assert_string_equal(json_string_value(json_object_get(device, "driver")),
				    "vfio-user-pci");
		snprintf(path, sizeof(path), "%s/%s", fixture->directory, sockets[i]);
		assert_string_equal(json_string_value(json_object_get(socket, "path")), path);
		assert_string_equal(json_string_value(json_object_get(socket, "type")), "unix");
		json_decref(device);
	}
	json_decref(words);
	words = good_json(fixture, "qemu-args --legacy --memory 512M vale0:a --json");
	assert_string_equal(json_string_value(json_array_get(words, 1)), "512M");
	assert_non_null(strstr(json_string_value(json_array_get(words, 3)), "size=512M,share=on"));
	json_decref(words);
}

/* What a shell makes of the printed line is what --json prints. */
static void the_line_survives_a_shell(void **state)
{
	const struct control_fixture *fixture = *state;
	char script[2 * sizeof(program)];

	good(fixture, "port add vale0:a");
	json_t *words = good_json(fixture, "qemu-args vale0:a --json");

	snprintf(script, sizeof(script),
		 "eval \"set -- $(%s --control %s qemu-args vale0:a)\"; printf '%%s\\n' \"$@\"",
		 program, fixture->path);
	FILE *shell = popen(script, "r");
	char line[512];

	for (size_t i = 0; i < json_array_size(words); i++) {
		assert_non_null(fgets(line, sizeof(line), shell));
		line[strcspn(line, "\n")] = '\0';
		assert_string_equal(line, json_string_value(json_array_get(words, i)));
	}
	assert_null(fgets(line, sizeof(line), shell));
	pclose(shell);
	json_decref(words);
}

static void the_environment_names_the_socket(void **state)
{
	const struct control_fixture *fixture = *state;
	char script[2 * sizeof(program)];

	snprintf(script, sizeof(script), "PTNETD_CONTROL=%s %s version > /dev/null", fixture->path,
		 program);
	assert_int_equal(system(script), 0);
}

/* Connects to a port as a VM does, and waits until the daemon knows. */
static int attach(const struct control_fixture *fixture, const char *socket_name)
{
	const struct timespec pause = {.tv_nsec = 10000000};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", fixture->directory,
		 socket_name);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	for (int i = 0; i < 1000; i++) {
		if (strstr(good(fixture, "attachments"), "connected") != NULL)
			return fd;
		nanosleep(&pause, NULL);
	}
	fail_msg("the daemon does not notice a connection");
	return -1;
}

static void what_vms_did_wrong_is_named(void **state)
{
	static const char nonsense[16] = {1, 0, 1, 0, 3};
	const struct control_fixture *fixture = *state;
	char byte;

	good(fixture, "port add vale0:a");
	int vm = attach(fixture, "vale0-a.sock");

	assert_int_equal(send(vm, nonsense, sizeof(nonsense), 0), sizeof(nonsense));
	assert_int_equal(read(vm, &byte, 1), 0); /* it is cut off */
	close(vm);
	assert_non_null(strstr(good(fixture, "attachments"), "\nvale0:a: bad_header 1\n"));
	assert_null(strstr(good(fixture, "region list"), "bad_header"));

	vm = attach(fixture, "vale0-a.sock"); /* so that attach() has something to wait for */
	int memory = attach(fixture, "mem-vale0-a.sock");

	assert_int_equal(send(memory, nonsense, sizeof(nonsense), 0), sizeof(nonsense));
	assert_int_equal(read(memory, &byte, 1), 0);
	close(memory);
	close(vm);
	assert_non_null(strstr(good(fixture, "region list"), "\nvale0:a: bad_header 1\n"));
}

/* A daemon that answers one request of each connection and hangs up. */
static void *answer_once(void *argument)
{
	int listener = *(int *)argument;
	char request[512];
	int fd;

	while ((fd = accept(listener, NULL, NULL)) >= 0) {
		if (read(fd, request, sizeof(request)) > 0)
			dprintf(fd, "{\"result\":{\"time_ns\":1,\"ports\":[]}}\n");
		close(fd);
	}
	return NULL;
}

/* The daemon disconnects who is silent for long: so a watcher must not need its connection. */
static void watching_holds_no_connection(void **state)
{
	const struct control_fixture *fixture = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	pthread_t thread;

	strcpy(address.sun_path, fixture->path);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 4), 0);
	assert_int_equal(pthread_create(&thread, NULL, answer_once, &listener), 0);
	good(fixture, "stats --json --watch=0.01 --count 3");
	shutdown(listener, SHUT_RDWR);
	pthread_join(thread, NULL);
	close(listener);
	unlink(fixture->path);
}

static void what_a_vm_uses_is_kept(void **state)
{
	const struct control_fixture *fixture = *state;
	char pid[32];

	good(fixture, "port add vale0:a");
	good(fixture, "pipe add link{1");
	int vm = attach(fixture, "vale0-a.sock");

	snprintf(pid, sizeof(pid), "process %d", getpid());
	bad(fixture, "port del vale0:a", 1, pid);
	good(fixture, "port del vale0:a --force");
	close(vm);
	vm = attach(fixture, "link-1-slave.sock");
	bad(fixture, "pipe del link{1", 1, "\"link}1\"");
	good(fixture, "pipe del link{1 --force");
	close(vm);
}

static void programs_are_listed(void **state)
{
	const struct control_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:a");
	int fd = netmap_connect_to(fixture->netmap.config.path);
	char tx[16], rx[16], exclusive[16];
	const char *row;
	unsigned uid, extra;
	int pid;

	request.body.reg.nr_tx_rings = 4;
	request.body.reg.nr_extra_bufs = 7;
	request.body.reg.nr_flags = NR_EXCLUSIVE;
	good(fixture, "port add vale0:b --program-user 0 --program-mode 0600");
	assert_int_equal(netmap_errno(fd, &request), 0);
	row = strstr(good(fixture, "programs"), "\nvale0:a ");
	assert_non_null(row);
	assert_int_equal(sscanf(row, " vale0:a %d %u %15s %15s %15s %u", &pid, &uid, tx, rx,
				exclusive, &extra),
			 6);
	assert_int_equal(pid, getpid());
	assert_int_equal(uid, geteuid());
	assert_string_equal(tx, "0-3");
	assert_string_equal(rx, "0");
	assert_string_equal(exclusive, "yes");
	assert_int_equal(extra, 7);
	assert_non_null(strstr(good(fixture, "port list"), "ephemeral"));
	assert_non_null(strstr(good(fixture, "port show vale0:a"), "mode 0600"));
	assert_non_null(strstr(good(fixture, "show"), "EXTRA-BUFFERS"));
	bad(fixture, "port del vale0:a", 1, "a program has");
	bad(fixture, "qemu-args vale0:a", 1, "not for VMs");
	request.op = 99;
	assert_int_equal(netmap_errno(fd, &request), EINVAL);
	assert_non_null(strstr(good(fixture, "programs"), "netmap.sock: bad_operation 1\n"));
	good(fixture, "port del vale0:a --force");
	close(fd);
}

#define SERVED(function)                                                                           \
	cmocka_unit_test_setup_teardown(function, control_fixture_serve, control_fixture_stop)
#define UNSERVED(function)                                                                         \
	cmocka_unit_test_setup_teardown(function, control_fixture_open, control_fixture_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SERVED(wrong_usage),
		cmocka_unit_test(help_needs_no_daemon),
		UNSERVED(without_a_daemon),
		SERVED(things_come_and_go),
		SERVED(the_daemons_refusals),
		SERVED(lists_for_people_and_programs),
		SERVED(qemu_gets_the_memory_before_the_port_and_once),
		SERVED(the_line_survives_a_shell),
		SERVED(the_environment_names_the_socket),
		SERVED(what_a_vm_uses_is_kept),
		SERVED(what_vms_did_wrong_is_named),
		SERVED(programs_are_listed),
		UNSERVED(watching_holds_no_connection),
	};

	program_find();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
