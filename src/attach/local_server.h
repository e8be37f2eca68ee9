/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The netmap socket, at which host programs ask for ports (ptnet/local.h): takes
 * connections, each of which is one open /dev/netmap, reads requests, and sends
 * the answers that a handler gives. What is asked for is none of its business.
 *
 * All functions: control thread.
 */
#ifndef PTNET_ATTACH_LOCAL_SERVER_H
#define PTNET_ATTACH_LOCAL_SERVER_H

#include <stdint.h>
#include <sys/queue.h>

#include <ptnet/local.h>

#include "attach/local_peer.h"
#include "log/error.h"
#include "log/log.h"

#define LOCAL_MAX_CONNECTIONS 4096 /* of all users together */
#define LOCAL_MAX_PER_USER    1024 /* of each but root */
/* Answers with descriptors that a user has not read: more than that he does not get. */
#define LOCAL_MAX_UNREAD 64
/* Making a port takes up to some milliseconds, and a user may have a thousand connections. */
#define LOCAL_USER_TURN_NS 2000000u

struct closer;
struct event;
struct event_base;
struct local_server;
struct local_user;

/* What clients do wrong; local_error_names[] has the words. */
enum local_error {
	LOCAL_ERROR_BAD_SIZE,	      /* shorter or longer than a request */
	LOCAL_ERROR_BAD_VERSION,      /* of another ptnetmap */
	LOCAL_ERROR_BAD_OPERATION,    /* none of enum ptnet_local_op */
	LOCAL_ERROR_BAD_DESCRIPTORS,  /* not exactly one, or too many wait to be closed */
	LOCAL_ERROR_BAD_REPLY_SOCKET, /* no SEQPACKET UNIX socket */
	LOCAL_ERROR_REPLY_NOT_TAKEN,  /* the reply socket had no room, or nobody there */
	LOCAL_ERROR_REPLIES_NOT_READ, /* refused: LOCAL_MAX_UNREAD */
	LOCAL_ERROR_REFUSED,	      /* connections beyond the limits */
	LOCAL_ERROR_COUNT
};

extern const char *const local_error_names[LOCAL_ERROR_COUNT];

struct local_connection {
	TAILQ_ENTRY(local_connection) link;
	struct local_server *server;
	struct local_user *user;
	struct local_peer peer;
	uint64_t requests;
	int fd;
	struct event *readable;
	void *binding; /* the handler's; NULL at first */
};
TAILQ_HEAD(local_connections, local_connection);

struct local_answer {
	struct ptnet_local_reply reply;
	int fds[PTNET_LOCAL_MAX_FDS]; /* to be sent along; stay the handler's */
	unsigned num_fds;
};

/*
 * request(): fills @answer, which is zeroed but for the body, the name and the options: those
 * are copies of the request's. @request is a private copy; its name ends with NUL.
 * closed(): the last descriptor of the connection is gone, or the server goes.
 */
struct local_handler {
	void (*request)(void *argument, struct local_connection *connection,
			const struct ptnet_local_request *request, struct local_answer *answer);
	void (*closed)(void *argument, struct local_connection *connection);
	void *argument;
};

/*
 * Listens at @path, as socket_listener_open() does. @handler is copied. On failure nothing
 * is held.
 */
int local_server_open(struct local_server **server, struct event_base *base, const char *path,
		      const struct socket_access *access, const struct local_handler *handler,
		      struct error *error);

/* Disconnects everybody (closed() is called) and removes the socket file. NULL is allowed. */
void local_server_close(struct local_server *server);

/*
 * Takes over @fd, a connection, as if it had been accepted; for tests, which have no socket
 * file. -EUSERS: a limit is reached; or what local_peer_get() says.
 */
int local_server_adopt(struct local_server *server, int fd);

/* For showing. */
struct local_status {
	uint64_t connections; /* since the server was opened */
	uint64_t requests;
	uint64_t errors[LOCAL_ERROR_COUNT];
	unsigned connected;
	const struct local_connections *list;
};
void local_server_get_status(const struct local_server *server, struct local_status *status);

#endif
