/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A daemon's inside without the daemon: engine, inventory and, if wanted, a control and a
 * netmap socket served by a thread, in a new directory under /tmp.
 */
#ifndef TEST_CONTROL_FIXTURE_H
#define TEST_CONTROL_FIXTURE_H

#include <pthread.h>
#include <stdbool.h>

#include <jansson.h>

#include "control/control_socket.h"
#include "control/inventory.h"

struct control_fixture {
	char directory[32];
	char path[64]; /* of the control socket */
	struct engine *engine;
	struct event_base *base;
	struct inventory inventory;
	struct request_context context;
	struct netmap_device netmap; /* only when served */

	/* Only when served. */
	struct control_socket *socket;
	pthread_t thread;
	int stop_fd;
};

/* Both for cmocka's setup and teardown; *state is the fixture. */
int control_fixture_open(void **state);
int control_fixture_close(void **state);

/* The same with a control and a netmap socket. While it is served, only its thread may touch the
 * inventory. */
int control_fixture_serve(void **state);
int control_fixture_stop(void **state);

/* Carries out a request without a socket and returns the whole answer. */
json_t *control_ask(struct control_fixture *fixture, const char *request);

/* Is there a file of this name in the fixture's directory? */
bool control_file_exists(const struct control_fixture *fixture, const char *name);

/* How many descriptors this process has open, once closers have nothing left to do. */
unsigned control_count_fds(void);

#endif
