/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client has one request under way at a time: the next line is looked at when
 * the answer to the one before has left for the kernel. So a client that sends
 * much and reads nothing occupies one request's worth of input and one answer,
 * and clients take turns without any further bookkeeping.
 */
#include "control/control_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

#include "control/protocol.h"
#include "log/log.h"

#define LOCK_SUFFIX    ".lock"
#define LOCK_PATH_SIZE (SOCKET_PATH_SIZE + sizeof(LOCK_SUFFIX))
#define BACKLOG	       16

struct client {
	TAILQ_ENTRY(client) link;
	struct control_socket *socket;
	struct bufferevent *stream;
	bool ended;   /* it will send no more */
	bool leaving; /* nothing more is taken from it; the last answer is on its way */
};

struct control_socket {
	char path[SOCKET_PATH_SIZE];
	char lock_path[LOCK_PATH_SIZE];
	int lock_fd;
	int fd; /* bound; the listener's once there is one */
	const struct request_context *context;
	struct evconnlistener *listener;
	struct event *retry; /* listens again after accept() failed */
	struct log_limit log_limit;
	unsigned num_clients;
	TAILQ_HEAD(, client) clients;
};

/* ---- clients ---- */

static void client_free(struct client *client)
{
	struct control_socket *socket = client->socket;

	TAILQ_REMOVE(&socket->clients, client, link);
	socket->num_clients--;
	bufferevent_free(client->stream);
	free(client);
}

static bool answer_pending(const struct client *client)
{
	return evbuffer_get_length(bufferevent_get_output(client->stream)) > 0;
}

/* Sends @answer, which it frees; NULL (out of memory) loses the client. */
static void client_send(struct client *client, char *answer)
{
	if (answer == NULL || bufferevent_write(client->stream, answer, strlen(answer)) < 0)
		client->leaving = true;
	free(answer);
}

static void client_refuse_oversized(struct client *client)
{
	char text[160];

	snprintf(text, sizeof(text),
		 "a request has more than %u bytes (or is no line): the connection is closed",
		 CONTROL_MAX_REQUEST);
	client_send(client, request_error_answer(EMSGSIZE, text));
	client->leaving = true;
	bufferevent_disable(client->stream, EV_READ);
}

/* Bytes of the next request in @input without its newline, or -1: not there yet. */
static ssize_t request_length(const struct client *client, struct evbuffer *input)
{
	size_t have = evbuffer_get_length(input);
	struct evbuffer_ptr newline = evbuffer_search_eol(input, NULL, NULL, EVBUFFER_EOL_LF);

	if (newline.pos >= 0)
		return newline.pos;
	/* One who closes his side after the last request may leave out its newline. */
	return client->ended && have > 0 ? (ssize_t)have : -1;
}

/* Takes one request out of the input and answers it. False: there is none. */
static bool client_serve_one(struct client *client)
{
	struct evbuffer *input = bufferevent_get_input(client->stream);
	ssize_t length = request_length(client, input);

	if (length >= CONTROL_MAX_REQUEST ||
	    (length < 0 && evbuffer_get_length(input) >= CONTROL_MAX_REQUEST)) {
		client_refuse_oversized(client);
		return true;
	}
	if (length < 0)
		return false;
	const char *text = (const char *)evbuffer_pullup(input, length);

	if (length > 0 && text == NULL)
		client->leaving = true;
	else
		client_send(client, request_answer(client->socket->context, length > 0 ? text : "",
						   (size_t)length));
	evbuffer_drain(input, (size_t)length + 1);
	return true;
}

/* Does what can be done for @client now; frees it if that was all. */
static void client_serve(struct client *client)
{
	while (!client->leaving && !answer_pending(client) && client_serve_one(client))
		;
	if (!answer_pending(client) && (client->leaving || client->ended))
		client_free(client);
}

static void client_readable(struct bufferevent *stream, void *argument)
{
	(void)stream;
	client_serve(argument);
}

static void client_written(struct bufferevent *stream, void *argument)
{
	(void)stream;
	client_serve(argument);
}

static void client_event(struct bufferevent *stream, short events, void *argument)
{
	struct client *client = argument;

	if ((events & BEV_EVENT_EOF) != 0) {
		client->ended = true;
		bufferevent_disable(stream, EV_READ);
		client_serve(client);
		return;
	}
	if ((events & BEV_EVENT_TIMEOUT) != 0 && (events & BEV_EVENT_WRITING) != 0)
		log_limited(&client->socket->log_limit, LOG_LEVEL_WARNING,
			    "control socket: a client has not read its answer for %d seconds and "
			    "is dropped",
			    CONTROL_STUCK_S);
	client_free(client);
}

/* It said all it will, all is answered, and it is only the loop that has not come to it yet. */
static bool client_is_done(struct client *client)
{
	char byte;

	return !answer_pending(client) &&
	       evbuffer_get_length(bufferevent_get_input(client->stream)) == 0 &&
	       recv(bufferevent_getfd(client->stream), &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* The listener accepts many in one go: who left meanwhile must not count. */
static void clients_reap(struct control_socket *socket)
{
	struct client *client = TAILQ_FIRST(&socket->clients), *next;

	for (; client != NULL; client = next) {
		next = TAILQ_NEXT(client, link);
		if (client_is_done(client))
			client_free(client);
	}
}

/* Over the limit: says so if that can be done at once. */
static void client_turn_away(struct control_socket *socket, int fd)
{
	char text[160];

	snprintf(text, sizeof(text),
		 "%d clients are connected to the control socket already, no more are allowed: "
		 "close some",
		 CONTROL_MAX_CLIENTS);
	log_limited(&socket->log_limit, LOG_LEVEL_WARNING, "control socket: %s", text);
	char *answer = request_error_answer(EUSERS, text);

	if (answer != NULL)
		(void)!send(fd, answer, strlen(answer), MSG_NOSIGNAL | MSG_DONTWAIT);
	free(answer);
	evutil_closesocket(fd);
}

static void client_accept(struct evconnlistener *listener, evutil_socket_t fd,
			  struct sockaddr *address, int length, void *argument)
{
	struct control_socket *socket = argument;
	const struct timeval idle = {.tv_sec = CONTROL_IDLE_S}, stuck = {.tv_sec = CONTROL_STUCK_S};

	(void)address;
	(void)length;
	if (socket->num_clients >= CONTROL_MAX_CLIENTS)
		clients_reap(socket);
	if (socket->num_clients >= CONTROL_MAX_CLIENTS) {
		client_turn_away(socket, fd);
		return;
	}
	struct client *client = calloc(1, sizeof(*client));
	struct bufferevent *stream = bufferevent_socket_new(evconnlistener_get_base(listener), fd,
							    BEV_OPT_CLOSE_ON_FREE);

	if (client == NULL || stream == NULL) {
		if (stream != NULL)
			bufferevent_free(stream);
		else
			evutil_closesocket(fd);
		free(client);
		return;
	}
	client->socket = socket;
	client->stream = stream;
	TAILQ_INSERT_TAIL(&socket->clients, client, link);
	socket->num_clients++;
	bufferevent_setcb(stream, client_readable, client_written, client_event, client);
	bufferevent_setwatermark(stream, EV_READ, 0, CONTROL_MAX_REQUEST);
	bufferevent_set_timeouts(stream, &idle, &stuck);
	bufferevent_enable(stream, EV_READ | EV_WRITE);
}

/* ---- listening ---- */

static void accept_failed(struct evconnlistener *listener, void *argument)
{
	const struct timeval second = {.tv_sec = 1};
	struct control_socket *socket = argument;

	log_limited(&socket->log_limit, LOG_LEVEL_WARNING,
		    "control socket: no connection can be accepted: %s; trying again every second",
		    strerror(errno));
	evconnlistener_disable(listener);
	event_add(socket->retry, &second);
}

static void accept_again(evutil_socket_t fd, short events, void *argument)
{
	struct control_socket *socket = argument;

	(void)fd;
	(void)events;
	evconnlistener_enable(socket->listener);
}

/* Who holds the lock wrote his process id into the file. */
static int refuse_second(const struct control_socket *socket, struct error *error)
{
	char holder[24] = "";
	ssize_t length = pread(socket->lock_fd, holder, sizeof(holder) - 1, 0);

	if (length > 0)
		holder[strcspn(holder, "\n")] = '\0';
	return error_set(error, EADDRINUSE,
			 "another ptnetd (process %s) serves %s: stop it, or give this one its own "
			 "with --control PATH and --sockets DIR",
			 holder[0] != '\0' ? holder : "unknown", socket->path);
}

/* Still the file that everybody else finds under its name, and not one just removed? */
static bool lock_is_current(const struct control_socket *socket)
{
	struct stat by_fd, by_name;

	return fstat(socket->lock_fd, &by_fd) == 0 && stat(socket->lock_path, &by_name) == 0 &&
	       by_fd.st_ino == by_name.st_ino && by_fd.st_dev == by_name.st_dev;
}

static int lock_take(struct control_socket *socket, struct error *error)
{
	for (;;) {
		socket->lock_fd =
			open(socket->lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
		if (socket->lock_fd < 0)
			return error_set(error, errno,
					 "cannot create %s: %s; run as a user who may write there, "
					 "or choose another place with --control",
					 socket->lock_path, strerror(errno));
		if (flock(socket->lock_fd, LOCK_EX | LOCK_NB) < 0) {
			int rc = refuse_second(socket, error);

			close(socket->lock_fd);
			return rc;
		}
		if (lock_is_current(socket))
			break;
		close(socket->lock_fd);
	}
	if (ftruncate(socket->lock_fd, 0) == 0)
		dprintf(socket->lock_fd, "%d\n", (int)getpid());
	return 0;
}

static void lock_release(struct control_socket *socket)
{
	unlink(socket->lock_path);
	close(socket->lock_fd);
}

/* Nobody else has the lock: what is at the path is dead, or not ours. */
static int leftover_remove(const char *path, const struct sockaddr_un *address, struct error *error)
{
	struct stat status;
	bool answered;
	int fd;

	if (lstat(path, &status) < 0)
		return errno == ENOENT ? 0
				       : error_set(error, errno, "%s: %s", path, strerror(errno));
	if (!S_ISSOCK(status.st_mode))
		return error_set(error, EEXIST,
				 "%s exists and is no socket: remove it, or choose another path "
				 "with --control",
				 path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set(error, errno, "no socket: %s", strerror(errno));
	answered = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 ||
		   errno == EAGAIN;
	close(fd);
	if (answered)
		return error_set(error, EADDRINUSE,
				 "%s is served by another program: choose another path with "
				 "--control",
				 path);
	if (unlink(path) < 0)
		return error_set(error, errno, "cannot remove the old socket %s: %s", path,
				 strerror(errno));
	return 0;
}

static int socket_bind(struct control_socket *control, const struct socket_access *access,
		       struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int rc;

	memcpy(address.sun_path, control->path, sizeof(control->path));
	rc = leftover_remove(control->path, &address, error);
	if (rc < 0)
		return rc;
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (control->fd < 0)
		return error_set(error, errno, "no socket: %s", strerror(errno));
	if (bind(control->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		rc = error_set(error, errno, "cannot bind %s: %s", control->path, strerror(errno));
		goto fail_bind;
	}
	/* Nobody can connect before listen(), so the mode is in force from the start. */
	if (chmod(control->path, access->mode) < 0 ||
	    ((access->uid != (uid_t)-1 || access->gid != (gid_t)-1) &&
	     chown(control->path, access->uid, access->gid) < 0)) {
		rc = error_set(error, errno,
			       "cannot give %s to user %d, group %d: %s; run as root, or as a "
			       "member of that group",
			       control->path, (int)access->uid, (int)access->gid, strerror(errno));
		goto fail_access;
	}
	return 0;

fail_access:
	unlink(control->path);
fail_bind:
	close(control->fd);
	return rc;
}

int control_socket_open(struct control_socket **out, const char *path,
			const struct socket_access *access, struct error *error)
{
	struct control_socket *control = calloc(1, sizeof(*control));
	int rc;

	if (control == NULL)
		return error_set(error, ENOMEM, "out of memory");
	TAILQ_INIT(&control->clients);
	if ((size_t)snprintf(control->path, sizeof(control->path), "%s", path) >=
	    sizeof(control->path)) {
		rc = error_set(error, ENAMETOOLONG,
			       "the control socket's path has %zu bytes, the system allows %d: "
			       "choose a shorter one with --control",
			       strlen(path), SOCKET_PATH_SIZE - 1);
		goto fail_path;
	}
	snprintf(control->lock_path, sizeof(control->lock_path), "%s%s", path, LOCK_SUFFIX);
	rc = lock_take(control, error);
	if (rc < 0)
		goto fail_path;
	rc = socket_bind(control, access, error);
	if (rc < 0)
		goto fail_bind;
	*out = control;
	return 0;

fail_bind:
	lock_release(control);
fail_path:
	free(control);
	return rc;
}

int control_socket_serve(struct control_socket *control, struct event_base *base,
			 const struct request_context *context, struct error *error)
{
	control->context = context;
	control->retry = event_new(base, -1, 0, accept_again, control);
	if (control->retry == NULL)
		return error_set(error, ENOMEM, "out of memory");
	control->listener = evconnlistener_new(base, client_accept, control, LEV_OPT_CLOSE_ON_EXEC,
					       BACKLOG, control->fd);
	if (control->listener == NULL)
		return error_set(error, EIO, "cannot listen at %s: %s", control->path,
				 strerror(errno));
	evconnlistener_set_error_cb(control->listener, accept_failed);
	return 0;
}

void control_socket_close(struct control_socket *control)
{
	struct client *client, *next;

	if (control == NULL)
		return;
	for (client = TAILQ_FIRST(&control->clients); client != NULL; client = next) {
		next = TAILQ_NEXT(client, link);
		client_free(client);
	}
	if (control->listener != NULL)
		evconnlistener_free(control->listener);
	if (control->retry != NULL)
		event_free(control->retry);
	unlink(control->path);
	close(control->fd);
	lock_release(control);
	free(control);
}
