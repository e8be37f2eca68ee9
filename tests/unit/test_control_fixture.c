/* SPDX-License-Identifier: BSD-2-Clause */
#include <dirent.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "engine/closer.h"
#include "engine/engine.h"
#include "log/log.h"
#include "test_control_fixture.h"

static const struct socket_access owner_only = {.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0600};

int control_fixture_open(void **state)
{
	struct control_fixture *fixture = calloc(1, sizeof(*fixture));
	const struct engine_config engine = {.workers = 2};

	log_set_level(LOG_LEVEL_ERROR);
	signal(SIGPIPE, SIG_IGN);
	assert_non_null(fixture);
	strcpy(fixture->directory, "/tmp/ptnetd-unit-XXXXXX");
	assert_non_null(mkdtemp(fixture->directory));
	snprintf(fixture->path, sizeof(fixture->path), "%s/control.sock", fixture->directory);
	assert_int_equal(engine_create(&fixture->engine, &engine, NULL), 0);
	fixture->base = event_base_new();
	assert_non_null(fixture->base);
	const struct socket_access programs = {.uid = geteuid(), .gid = getegid(), .mode = 0660};

	inventory_init(&fixture->inventory, fixture->engine, fixture->base, fixture->directory,
		       &owner_only, &programs);
	fixture->context = (struct request_context){.inventory = &fixture->inventory};
	*state = fixture;
	return 0;
}

int control_fixture_close(void **state)
{
	struct control_fixture *fixture = *state;

	inventory_fini(&fixture->inventory);
	event_base_free(fixture->base);
	engine_destroy(fixture->engine);
	/* Fails, and so does the test, if a socket file is left. */
	assert_int_equal(rmdir(fixture->directory), 0);
	free(fixture);
	return 0;
}

static void on_stop(evutil_socket_t fd, short events, void *argument)
{
	(void)fd;
	(void)events;
	event_base_loopbreak(argument);
}

static void *serve(void *argument)
{
	struct control_fixture *fixture = argument;
	struct event *stop =
		event_new(fixture->base, fixture->stop_fd, EV_READ, on_stop, fixture->base);

	event_add(stop, NULL);
	event_base_dispatch(fixture->base);
	event_free(stop);
	return NULL;
}

int control_fixture_serve(void **state)
{
	struct netmap_config netmap = {.access = {.uid = geteuid(), .gid = getegid(), .mode = 0600},
				       .made_mode = 0600};
	struct control_fixture *fixture;

	control_fixture_open(state);
	fixture = *state;
	assert_int_equal(control_socket_open(&fixture->socket, fixture->path, &owner_only, NULL),
			 0);
	assert_int_equal(
		control_socket_serve(fixture->socket, fixture->base, &fixture->context, NULL), 0);
	snprintf(netmap.path, sizeof(netmap.path), "%s/netmap.sock", fixture->directory);
	assert_int_equal(netmap_device_open(&fixture->netmap, &fixture->inventory, &netmap, NULL),
			 0);
	fixture->context.netmap = &fixture->netmap;
	fixture->stop_fd = eventfd(0, EFD_CLOEXEC);
	assert_int_equal(pthread_create(&fixture->thread, NULL, serve, fixture), 0);
	return 0;
}

int control_fixture_stop(void **state)
{
	struct control_fixture *fixture = *state;

	eventfd_write(fixture->stop_fd, 1);
	pthread_join(fixture->thread, NULL);
	close(fixture->stop_fd);
	control_socket_close(fixture->socket);
	netmap_device_close(&fixture->netmap);
	return control_fixture_close(state);
}

json_t *control_ask(struct control_fixture *fixture, const char *request)
{
	char *line = request_answer(&fixture->context, request, strlen(request));
	json_t *answer;

	assert_non_null(line);
	/* One line, nothing behind it. */
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	answer = json_loads(line, 0, NULL);
	assert_non_null(answer);
	free(line);
	return answer;
}

bool control_file_exists(const struct control_fixture *fixture, const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", fixture->directory, name);
	return access(path, F_OK) == 0;
}

unsigned control_count_fds(void)
{
	unsigned count = 0;
	DIR *directory;

	while (closers_waiting() > 0)
		sched_yield();
	directory = opendir("/proc/self/fd");
	assert_non_null(directory);
	while (readdir(directory) != NULL)
		count++;
	closedir(directory);
	return count;
}
