/* SPDX-License-Identifier: BSD-2-Clause */
#include "daemon.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TIMEOUT_S   20
#define QUIET_MS    200
#define MAX_THREADS 64
#define LOG_SHOWN   6000 /* bytes */
#define TEBIBYTE_KB (1ull << 30)

static const char *ptnetd_path(void)
{
	static char path[4096];
	const char *given = getenv("PTNETD");
	const char *build = getenv("PTNET_BUILD");

	if (given != NULL)
		return given;
	snprintf(path, sizeof(path), "%s/src/ptnetd", build != NULL ? build : "build");
	return path;
}

static void sleep_ms(unsigned ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};

	nanosleep(&pause, NULL);
}

/* ---- log ---- */

static void *read_log(void *argument)
{
	struct daemon *daemon = argument;
	char chunk[4096];
	ssize_t got;

	while ((got = read(daemon->log_fd, chunk, sizeof(chunk))) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		pthread_mutex_lock(&daemon->lock);
		char *log = realloc(daemon->log, daemon->log_size + (size_t)got + 1);

		if (log != NULL) {
			memcpy(log + daemon->log_size, chunk, (size_t)got);
			daemon->log = log;
			daemon->log_size += (size_t)got;
			log[daemon->log_size] = '\0';
		}
		pthread_cond_broadcast(&daemon->grew);
		pthread_mutex_unlock(&daemon->lock);
	}
	pthread_mutex_lock(&daemon->lock);
	daemon->log_ended = true;
	pthread_cond_broadcast(&daemon->grew);
	pthread_mutex_unlock(&daemon->lock);
	return NULL;
}

/* The end of it; if a sanitizer had something to say, from there. */
void daemon_print_log(struct daemon *daemon)
{
	const char *from, *report;

	pthread_mutex_lock(&daemon->lock);
	from = daemon->log != NULL ? daemon->log : "";
	report = strstr(from, "Sanitizer: ");
	if (report != NULL)
		from = report;
	else if (daemon->log_size > LOG_SHOWN)
		from += daemon->log_size - LOG_SHOWN;
	fprintf(stderr, "--- ptnetd's log ---\n%.*s\n---\n", 4 * LOG_SHOWN, from);
	pthread_mutex_unlock(&daemon->lock);
}

/* Lock held. */
static unsigned count_words(const struct daemon *daemon, const char *words)
{
	const char *at = daemon->log;
	unsigned count = 0;

	while (at != NULL && (at = strstr(at, words)) != NULL) {
		count++;
		at += strlen(words);
	}
	return count;
}

unsigned daemon_log_count(struct daemon *daemon, const char *words)
{
	unsigned count;

	pthread_mutex_lock(&daemon->lock);
	count = count_words(daemon, words);
	pthread_mutex_unlock(&daemon->lock);
	return count;
}

int daemon_wait_log(struct daemon *daemon, const char *words, unsigned before)
{
	struct timespec deadline;
	int result = 0;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += TIMEOUT_S;
	pthread_mutex_lock(&daemon->lock);
	while (result == 0 && count_words(daemon, words) <= before) {
		if (daemon->log_ended ||
		    pthread_cond_timedwait(&daemon->grew, &daemon->lock, &deadline) != 0)
			result = -1;
	}
	pthread_mutex_unlock(&daemon->lock);
	if (result < 0) {
		fprintf(stderr, "ptnetd did not log \"%s\"\n", words);
		daemon_print_log(daemon);
	}
	return result;
}

/* ---- start and end ---- */

static int write_config(const struct daemon *daemon, const char *text, char *path, size_t size)
{
	json_error_t error;
	json_t *config = json_loads(text, 0, &error);
	int result;

	if (config == NULL) {
		fprintf(stderr, "the test's configuration, line %d: %s\n", error.line, error.text);
		return -1;
	}
	json_object_set_new(config, "control", json_pack("{s:s}", "path", daemon->control_path));
	json_object_set_new(config, "sockets", json_pack("{s:s}", "directory", daemon->directory));
	snprintf(path, size, "%s/ptnetd.json", daemon->directory);
	result = json_dump_file(config, path, JSON_INDENT(1));
	json_decref(config);
	return result;
}

static void child(const char *config_path, int log_fd)
{
	const char *program = ptnetd_path();
	int null = open("/dev/null", O_RDWR);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(null, 0);
	dup2(null, 1);
	dup2(log_fd, 2);
	close_range(3, ~0u, 0);
	execl(program, program, "--config", config_path, (char *)NULL);
	fprintf(stderr, "%s: %s (set PTNETD or PTNET_BUILD)\n", program, strerror(errno));
	_exit(127);
}

static int connect_control(struct daemon *daemon)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", daemon->control_path);
	daemon->control = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return connect(daemon->control, (struct sockaddr *)&address, sizeof(address));
}

int daemon_start(struct daemon *daemon, const char *config)
{
	char config_path[128];
	int pipe_fds[2];

	memset(daemon, 0, sizeof(*daemon));
	daemon->control = -1;
	pthread_mutex_init(&daemon->lock, NULL);
	pthread_cond_init(&daemon->grew, NULL);
	/* Directly under /tmp: a socket's path must be shorter than 108 bytes. */
	strcpy(daemon->directory, "/tmp/ptnetd-test-XXXXXX");
	if (mkdtemp(daemon->directory) == NULL || pipe2(pipe_fds, O_CLOEXEC) < 0) {
		perror("starting ptnetd");
		return -1;
	}
	snprintf(daemon->control_path, sizeof(daemon->control_path), "%s/control.sock",
		 daemon->directory);
	if (write_config(daemon, config, config_path, sizeof(config_path)) < 0)
		return -1;
	fflush(NULL);
	daemon->pid = fork();
	if (daemon->pid == 0)
		child(config_path, pipe_fds[1]);
	close(pipe_fds[1]);
	daemon->log_fd = pipe_fds[0];
	pthread_create(&daemon->log_reader, NULL, read_log, daemon);
	if (daemon_wait_log(daemon, "ready", 0) < 0)
		return -1;
	if (connect_control(daemon) < 0) {
		fprintf(stderr, "%s: %s\n", daemon->control_path, strerror(errno));
		daemon_print_log(daemon);
		return -1;
	}
	return 0;
}

static int wait_for_end(struct daemon *daemon, int *status)
{
	struct pollfd end = {.fd = (int)syscall(SYS_pidfd_open, daemon->pid, 0), .events = POLLIN};
	int ready;

	do
		ready = poll(&end, 1, TIMEOUT_S * 1000);
	while (ready < 0 && errno == EINTR);
	if (end.fd >= 0)
		close(end.fd);
	if (ready != 1 || end.revents != POLLIN) {
		fprintf(stderr, "ptnetd does not end when told to\n");
		kill(daemon->pid, SIGKILL);
	}
	waitpid(daemon->pid, status, 0);
	return ready == 1 && end.revents == POLLIN ? 0 : -1;
}

/* What is left of sockets in the daemon's directory. */
static int remove_directory(struct daemon *daemon)
{
	DIR *directory = opendir(daemon->directory);
	struct dirent *entry;
	int left = 0;

	while (directory != NULL && (entry = readdir(directory)) != NULL) {
		size_t length = strlen(entry->d_name);

		if (length > 5 && strcmp(entry->d_name + length - 5, ".sock") == 0) {
			fprintf(stderr, "ptnetd left %s behind\n", entry->d_name);
			left = -1;
		}
		if (entry->d_type != DT_DIR)
			unlinkat(dirfd(directory), entry->d_name, 0);
	}
	if (directory != NULL)
		closedir(directory);
	rmdir(daemon->directory);
	return left;
}

int daemon_stop(struct daemon *daemon)
{
	int status = 0, result;

	if (daemon->pid <= 0)
		return -1; /* it was never started */
	if (daemon->control >= 0)
		close(daemon->control);
	kill(daemon->pid, SIGTERM);
	result = wait_for_end(daemon, &status);
	pthread_join(daemon->log_reader, NULL);
	close(daemon->log_fd);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "ptnetd ended with %s %d\n",
			WIFSIGNALED(status) ? "signal" : "status",
			WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
		result = -1;
	}
	if (daemon_log_count(daemon, "Sanitizer") + daemon_log_count(daemon, "runtime error:") >
	    0) {
		fprintf(stderr, "a sanitizer reports\n");
		result = -1;
	}
	if (remove_directory(daemon) < 0)
		result = -1;
	if (result < 0)
		daemon_print_log(daemon);
	free(daemon->log);
	pthread_mutex_destroy(&daemon->lock);
	pthread_cond_destroy(&daemon->grew);
	return result;
}

/* ---- control socket ---- */

static int send_line(int fd, const char *line)
{
	size_t left = strlen(line);

	while (left > 0) {
		ssize_t sent = send(fd, line, left, MSG_NOSIGNAL);

		if (sent < 0 && errno != EINTR)
			return -1;
		if (sent > 0) {
			line += sent;
			left -= (size_t)sent;
		}
	}
	return 0;
}

/* One line, for free(); NULL if the daemon does not answer. */
static char *receive_line(int fd)
{
	size_t size = 0, capacity = 1 << 16;
	char *line = malloc(capacity);

	while (line != NULL) {
		struct pollfd readable = {.fd = fd, .events = POLLIN};
		ssize_t got;

		if (size + 1 >= capacity) {
			char *longer = realloc(line, capacity * 2);

			if (longer == NULL)
				break;
			line = longer;
			capacity *= 2;
			continue;
		}
		if (poll(&readable, 1, TIMEOUT_S * 1000) <= 0)
			break;
		got = recv(fd, line + size, capacity - size - 1, 0);
		if (got <= 0)
			break;
		size += (size_t)got;
		line[size] = '\0';
		if (line[size - 1] == '\n')
			return line;
	}
	free(line);
	return NULL;
}

json_t *daemon_request(struct daemon *daemon, const char *command, json_t *arguments)
{
	json_t *request = json_pack("{s:s}", "command", command);
	json_t *answer, *result;
	json_error_t error;
	char *text, *line = NULL;

	if (arguments != NULL)
		json_object_set_new(request, "arguments", arguments);
	text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (send_line(daemon->control, text) == 0 && send_line(daemon->control, "\n") == 0)
		line = receive_line(daemon->control);
	free(text);
	if (line == NULL) {
		fprintf(stderr, "no answer to \"%s\" on the control socket\n", command);
		daemon_print_log(daemon);
		return NULL;
	}
	answer = json_loads(line, 0, &error);
	result = json_incref(json_object_get(answer, "result"));
	if (result == NULL)
		fprintf(stderr, "control request \"%s\": %s", command, line);
	json_decref(answer);
	free(line);
	return result;
}

int daemon_port_paths(struct daemon *daemon, const char *port, struct port_paths *paths)
{
	json_t *shown = daemon_request(daemon, "port-show", json_pack("{s:s}", "name", port));
	const char *netif = json_string_value(json_object_get(shown, "socket"));
	const char *memdev = json_string_value(json_object_get(shown, "memdev_socket"));
	int result = netif != NULL && memdev != NULL ? 0 : -1;

	if (result == 0) {
		snprintf(paths->netif, sizeof(paths->netif), "%s", netif);
		snprintf(paths->memdev, sizeof(paths->memdev), "%s", memdev);
	}
	json_decref(shown);
	return result;
}

/* The port's rings; the caller drops *shown. */
static json_t *port_rings(struct daemon *daemon, const char *port, json_t **shown)
{
	*shown = daemon_request(daemon, "counters", json_pack("{s:s}", "port", port));
	return json_object_get(json_array_get(json_object_get(*shown, "ports"), 0), "rings");
}

static int64_t sum_counter(struct daemon *daemon, const char *port, const char *direction,
			   int index, const char *counter)
{
	json_t *shown, *rings = port_rings(daemon, port, &shown), *ring;
	int64_t sum = -1;
	size_t i;

	json_array_foreach(rings, i, ring)
	{
		json_t *value = json_object_get(json_object_get(ring, "counters"), counter);
		const char *is = json_string_value(json_object_get(ring, "direction"));

		if (!json_is_integer(value) ||
		    (direction != NULL && (is == NULL || strcmp(is, direction) != 0)) ||
		    (index >= 0 && json_integer_value(json_object_get(ring, "index")) != index))
			continue;
		sum = (sum < 0 ? 0 : sum) + json_integer_value(value);
	}
	json_decref(shown);
	if (sum < 0)
		fprintf(stderr, "port %s has no counter \"%s\"\n", port, counter);
	return sum;
}

int64_t daemon_ring_counter(struct daemon *daemon, const char *port, const char *direction,
			    unsigned index, const char *counter)
{
	return sum_counter(daemon, port, direction, (int)index, counter);
}

int64_t daemon_port_counter(struct daemon *daemon, const char *port, const char *counter)
{
	json_t *shown, *value;
	int64_t result;

	if (strcmp(counter, "bad_kicks") != 0)
		return sum_counter(daemon, port, NULL, -1, counter);
	port_rings(daemon, port, &shown);
	value = json_object_get(json_array_get(json_object_get(shown, "ports"), 0), counter);
	result = json_is_integer(value) ? json_integer_value(value) : -1;
	json_decref(shown);
	return result;
}

int daemon_rings_with_fault(struct daemon *daemon, const char *port, const char *fault)
{
	json_t *shown, *rings = port_rings(daemon, port, &shown), *ring;
	int count = 0;
	size_t i;

	json_array_foreach(rings, i, ring)
	{
		const char *state = json_string_value(json_object_get(ring, "state"));
		const char *reason = json_string_value(json_object_get(ring, "fault"));

		if (state != NULL && reason != NULL && strcmp(state, "faulted") == 0 &&
		    strcmp(reason, fault) == 0)
			count++;
	}
	json_decref(shown);
	return count;
}

/* A member of @attachment or of its errors, as a number; -1: there is none. */
static int64_t attachment_number(json_t *attachment, const char *port, const char *name)
{
	json_t *value = json_object_get(attachment, name);

	if (value == NULL)
		value = json_object_get(json_object_get(attachment, "errors"), name);
	if (json_is_integer(value))
		return json_integer_value(value);
	if (json_is_boolean(value))
		return json_is_true(value);
	fprintf(stderr, "the attachment of %s has no \"%s\"\n", port, name);
	return -1;
}

int64_t daemon_attachment_counter(struct daemon *daemon, const char *port, const char *name)
{
	json_t *shown = daemon_request(daemon, "port-show", json_pack("{s:s}", "name", port));
	int64_t result = attachment_number(json_object_get(shown, "attachment"), port, name);

	json_decref(shown);
	return result;
}

static bool lists_port(json_t *region, const char *port)
{
	json_t *ports = json_object_get(region, "ports"), *listed;
	size_t i;

	json_array_foreach(ports, i,
			   listed) if (json_is_string(listed) &&
				       strcmp(json_string_value(listed), port) == 0) return true;
	return false;
}

int64_t daemon_memory_counter(struct daemon *daemon, const char *port, const char *name)
{
	json_t *regions = daemon_request(daemon, "region-list", NULL), *region;
	int64_t result = -1;
	size_t i;

	json_array_foreach(regions, i, region) if (lists_port(region, port)) result =
		attachment_number(region, port, name);
	json_decref(regions);
	return result;
}

/* ---- /proc ---- */

/* A sanitizer's runtime talks through pipes to a process that knows the names of functions. */
static bool is_pipe(int directory_fd, const char *name)
{
	char target[8] = "";

	return readlinkat(directory_fd, name, target, sizeof(target) - 1) > 0 &&
	       strncmp(target, "pipe:", 5) == 0;
}

unsigned daemon_num_fds(const struct daemon *daemon)
{
	bool sanitized = daemon_is_sanitized(daemon);
	char path[64];
	struct dirent *entry;
	unsigned count = 0;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/fd", daemon->pid);
	directory = opendir(path);
	while (directory != NULL && (entry = readdir(directory)) != NULL)
		count += entry->d_name[0] != '.' &&
			 !(sanitized && is_pipe(dirfd(directory), entry->d_name));
	if (directory != NULL)
		closedir(directory);
	return count;
}

/* The number behind "@field:" in the file. */
static uint64_t read_field(const char *path, const char *field)
{
	size_t length = strlen(field);
	FILE *file = fopen(path, "re");
	uint64_t value = 0;
	char line[256];

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, field, length) == 0 && line[length] == ':')
			value = strtoull(line + length + 1, NULL, 10);
	}
	if (file != NULL)
		fclose(file);
	return value;
}

/* The sums in status are put together from per-CPU parts and lag behind; these are counted now. */
uint64_t daemon_own_memory_kb(const struct daemon *daemon)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", daemon->pid);
	return read_field(path, "Anonymous");
}

uint64_t daemon_shared_memory_kb(const struct daemon *daemon)
{
	bool is_memfd = false;
	uint64_t sum = 0;
	char path[64], line[512];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps", daemon->pid);
	file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		/* A mapping begins with its addresses; its fields have names in capitals. */
		if (strchr("0123456789abcdef", line[0]) != NULL)
			is_memfd = strstr(line, "/memfd:") != NULL;
		else if (is_memfd && strncmp(line, "Rss:", 4) == 0)
			sum += strtoull(line + 4, NULL, 10);
	}
	if (file != NULL)
		fclose(file);
	return sum;
}

bool daemon_is_sanitized(const struct daemon *daemon)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", daemon->pid);
	return read_field(path, "VmSize") > TEBIBYTE_KB;
}

uint64_t daemon_cpu_ns(const struct daemon *daemon)
{
	struct timespec used;
	clockid_t clock;

	if (clock_getcpuclockid(daemon->pid, &clock) != 0 || clock_gettime(clock, &used) < 0)
		return 0;
	return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

/* All of it at one moment. False: the thread is gone. */
static bool read_thread(const struct daemon *daemon, const char *tid, struct daemon_thread *thread)
{
	char path[320], line[256];
	FILE *file;

	memset(thread, 0, sizeof(*thread));
	thread->tid = (pid_t)strtol(tid, NULL, 10);
	snprintf(path, sizeof(path), "/proc/%d/task/%s/status", daemon->pid, tid);
	file = fopen(path, "re");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		char state;
		unsigned long long count;

		if (sscanf(line, "Name:\t%15s", thread->name) == 1)
			continue;
		if (sscanf(line, "State:\t%c", &state) == 1)
			thread->asleep = state == 'S';
		else if (sscanf(line, "voluntary_ctxt_switches:\t%llu", &count) == 1)
			thread->voluntary = count;
		else if (sscanf(line, "nonvoluntary_ctxt_switches:\t%llu", &count) == 1)
			thread->involuntary = count;
	}
	if (file != NULL)
		fclose(file);
	return thread->name[0] != '\0';
}

unsigned daemon_threads(const struct daemon *daemon, struct daemon_thread *threads,
			unsigned capacity)
{
	bool sanitized = daemon_is_sanitized(daemon);
	struct dirent *entry;
	unsigned count = 0;
	char path[64];
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/task", daemon->pid);
	directory = opendir(path);
	while (directory != NULL && count < capacity && (entry = readdir(directory)) != NULL) {
		struct daemon_thread *thread = &threads[count];

		if (entry->d_name[0] == '.')
			continue;
		if (read_thread(daemon, entry->d_name, thread) &&
		    (!sanitized || thread->tid == daemon->pid ||
		     strncmp(thread->name, "worker", 6) == 0))
			count++;
	}
	if (directory != NULL)
		closedir(directory);
	return count;
}

/* 0: some thread has something to do, or waits for a CPU to do it. */
static uint64_t all_switches(const struct daemon *daemon)
{
	struct daemon_thread threads[MAX_THREADS];
	unsigned count = daemon_threads(daemon, threads, MAX_THREADS);
	uint64_t sum = 0;

	for (unsigned i = 0; i < count; i++) {
		if (!threads[i].asleep)
			return 0;
		sum += threads[i].voluntary + threads[i].involuntary;
	}
	return sum;
}

int daemon_wait_quiet(const struct daemon *daemon)
{
	uint64_t before = all_switches(daemon);

	for (unsigned waited = 0; waited < TIMEOUT_S * 1000; waited += QUIET_MS) {
		uint64_t now;

		sleep_ms(QUIET_MS);
		now = all_switches(daemon);
		if (now != 0 && now == before)
			return 0;
		before = now;
	}
	fprintf(stderr, "ptnetd does not come to rest\n");
	return -1;
}

/* The daemon removes a port after it has met every worker, between two rounds of its loop. */
static int meet_workers(struct daemon *daemon)
{
	json_t *added =
		daemon_request(daemon, "port-add", json_pack("{s:s}", "name", "vale9:meet"));
	json_t *removed =
		daemon_request(daemon, "port-del", json_pack("{s:s}", "name", "vale9:meet"));
	int result = added != NULL && removed != NULL ? 0 : -1;

	json_decref(added);
	json_decref(removed);
	return result;
}

int daemon_wait_turn(struct daemon *daemon)
{
	/* A worker that is met in the middle of a round may have looked into its inbox before. */
	return meet_workers(daemon) == 0 ? meet_workers(daemon) : -1;
}

int daemon_freeze(const struct daemon *daemon)
{
	siginfo_t info = {0};

	kill(daemon->pid, SIGSTOP);
	while (waitid(P_PID, (id_t)daemon->pid, &info, WSTOPPED) < 0 && errno == EINTR)
		;
	return info.si_code == CLD_STOPPED ? 0 : -1;
}

void daemon_thaw(const struct daemon *daemon)
{
	kill(daemon->pid, SIGCONT);
}
