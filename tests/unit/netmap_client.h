/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A program on the netmap socket without the shim: it speaks ptnet/local.h itself. And a
 * daemon's inside that serves the socket on a thread, in a new directory under /tmp.
 */
#ifndef NETMAP_CLIENT_H
#define NETMAP_CLIENT_H

#include <pthread.h>
#include <stdbool.h>

#include <jansson.h>

#include <ptnet/local.h>

#include "control/netmap_device.h"
#include "control/requests.h"

/* ---- the daemon's side ---- */

struct netmap_fixture {
	char directory[32];
	struct engine *engine;
	struct event_base *base;
	struct inventory inventory;
	struct netmap_device device;
	struct request_context context;
	/* What the serving thread is asked to do, by eventfd; its answer comes by another. */
	pthread_t thread;
	int call_fd, done_fd;
	void (*call)(struct netmap_fixture *fixture, void *argument);
	void *call_argument;
};

/* For cmocka's setup and teardown; *state is the fixture. */
int netmap_fixture_open(void **state);
int netmap_fixture_close(void **state);
/* With another configuration: only what is not the path of @config counts. */
int netmap_fixture_open_with(void **state, const struct netmap_config *config);

/* Runs @call on the serving thread, which owns the inventory, and waits for it. */
void netmap_fixture_call(struct netmap_fixture *fixture,
			 void (*call)(struct netmap_fixture *fixture, void *argument),
			 void *argument);
/* Carries out a request of the control socket there and returns the whole answer. */
json_t *netmap_fixture_ask(struct netmap_fixture *fixture, const char *request);
/* The same for one that must succeed. */
void netmap_fixture_control(struct netmap_fixture *fixture, const char *request);
/* How many ports, regions, switches there are. */
struct netmap_counts {
	unsigned ports, regions, switches, pipes, connections;
};
struct netmap_counts netmap_fixture_counts(struct netmap_fixture *fixture);
/* Waits until the daemon has seen that no more than @connections are open. */
void netmap_fixture_settle(struct netmap_fixture *fixture, unsigned connections);

/* ---- the program's side ---- */

/* A descriptor of "/dev/netmap"; -1 with errno: it can't be. */
int netmap_connect_to(const char *path);
int netmap_connect(const struct netmap_fixture *fixture);

/* The same as somebody else, whom root plays; @groups are the supplementary ones. */
int netmap_connect_as(const struct netmap_fixture *fixture, uid_t uid, gid_t gid,
		      const gid_t *groups, size_t num_groups);

/* Sends any message with any descriptors, and receives a reply, or false. */
struct netmap_reply;
void netmap_send(int fd, const void *message, size_t size, const int *fds, unsigned num_fds);
bool netmap_receive(int fd, struct netmap_reply *reply);

struct netmap_reply {
	struct ptnet_local_reply reply;
	int fds[PTNET_LOCAL_MAX_FDS];
	unsigned num_fds;
};

/* Sends a request and waits for the reply, whose descriptors are the caller's: netmap_forget(). */
void netmap_ask(int fd, const struct ptnet_local_request *request, struct netmap_reply *reply);
void netmap_forget(struct netmap_reply *reply);

/* The request @reqtype on @name with a body of zeros. */
struct ptnet_local_request netmap_request(uint16_t reqtype, const char *name);
/* REGISTER of @name in mode ALL_NIC. */
struct ptnet_local_request netmap_register_request(const char *name);
/* Asks, gives descriptors back, returns the errno. */
int netmap_errno(int fd, const struct ptnet_local_request *request);

/* A port that is mapped. */
struct netmap_port {
	int fd;
	struct netmap_reply bound;
	char *memory;
	struct netmap_if *nifp;
	struct ptnet_local_csb *csb;
	struct netmap_ring *tx, *rx; /* the first of each; NULL: none */
};

/* Opens and maps; 0 or a positive errno. */
int netmap_open(const struct netmap_fixture *fixture, struct netmap_port *port, const char *name);
int netmap_open_with(const struct netmap_fixture *fixture, struct netmap_port *port,
		     const struct ptnet_local_request *request);
/* Maps what @bound brought. */
void netmap_map(struct netmap_port *port);
/* Without closing the descriptor. */
void netmap_unmap(struct netmap_port *port);
void netmap_close(struct netmap_port *port);

/* The buffer of that number. */
char *netmap_buffer(const struct netmap_port *port, uint32_t index);

/* Syncs as the shim does: publishes, kicks, waits for the answer, shows the new tail. False: EIO.
 */
bool netmap_txsync(struct netmap_port *port);
bool netmap_rxsync(struct netmap_port *port);
/* One frame of @length bytes that are all @byte but for the addresses: to everybody. */
void netmap_put(struct netmap_port *port, uint8_t byte, uint16_t length);
/* The next frame's last byte, or -1: there is none. Waits until there is one, or @wait is false. */
int netmap_get(struct netmap_port *port, bool wait);

#endif
