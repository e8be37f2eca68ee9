/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client chooses how much of our time and memory it takes, so everything here is
 * bounded per connection or per user: a turn of the event loop serves one request of each
 * connection, and no more of a user whose requests took LOCAL_USER_TURN_NS in it: his other
 * connections are the first of the next; what a user sent is closed by one thread at a time
 * (engine/closer.h); descriptors that we sent and nobody received count against the daemon's limit
 * of descriptors under way (unix(7), ETOOMANYREFS), so a user gets no more of them until he has
 * read those before.
 */
#define _GNU_SOURCE
#include "attach/local_server.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "attach/socket_listener.h"
#include "engine/closer.h"

/* The most that the kernel lets anybody send: there must be room for all (docs/vfio-user.md). */
#define MOST_DESCRIPTORS 253

const char *const local_error_names[LOCAL_ERROR_COUNT] = {
	[LOCAL_ERROR_BAD_SIZE] = "bad_size",
	[LOCAL_ERROR_BAD_VERSION] = "bad_version",
	[LOCAL_ERROR_BAD_OPERATION] = "bad_operation",
	[LOCAL_ERROR_BAD_DESCRIPTORS] = "bad_descriptors",
	[LOCAL_ERROR_BAD_REPLY_SOCKET] = "bad_reply_socket",
	[LOCAL_ERROR_REPLY_NOT_TAKEN] = "reply_not_taken",
	[LOCAL_ERROR_REPLIES_NOT_READ] = "replies_not_read",
	[LOCAL_ERROR_REFUSED] = "refused_connections",
};

/*
 * All connections of one uid. What he owes us outlives the last of them: descriptors that he did
 * not receive, and those of his that can't be closed. Else it would be forgiven with each new
 * connection.
 */
struct local_user {
	TAILQ_ENTRY(local_user) link;
	uid_t uid;
	unsigned connections;
	uint64_t turn_ns; /* that his requests took in this turn of the event loop */
	struct closer *closer;
	/* Reply sockets with descriptors that were not received yet when we last looked. */
	int unread[LOCAL_MAX_UNREAD];
	unsigned num_unread;
};
TAILQ_HEAD(local_users, local_user);

struct local_server {
	struct socket_listener socket; /* first */
	struct event_base *base;
	struct event *turn_ends;
	struct local_handler handler;
	struct local_users users;
	struct local_connections connections;
	unsigned num_connections;
	int hangups; /* epoll: connections that have been closed, and are not ended yet */
	uint64_t total_connections, requests;
	uint64_t errors[LOCAL_ERROR_COUNT];
};

struct received {
	struct ptnet_local_request request;
	ssize_t size; /* of the message, which may be longer; 0: end, or empty */
	int fds[MOST_DESCRIPTORS];
	unsigned num_fds;
};

/* Counts, and says it as often as a user may. */
static void client_error(struct local_connection *connection, enum local_error kind,
			 const char *what)
{
	connection->server->errors[kind]++;
	log_limited(local_peer_log_limit(&connection->peer), LOG_LEVEL_WARNING,
		    "netmap socket: process %d of user %d: %s (%s)", (int)connection->peer.pid,
		    (int)connection->peer.uid, what, local_error_names[kind]);
}

/* ---- users ---- */

/* Lets go of reply sockets whose answers were received, or can't be any more. */
static void unread_sweep(struct local_user *user, bool all)
{
	unsigned left = 0;

	for (unsigned i = 0; i < user->num_unread; i++) {
		int fd = user->unread[i], bytes = 0;

		if (!all && ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes > 0)
			user->unread[left++] = fd;
		else
			closer_close(user->closer, fd);
	}
	user->num_unread = left;
}

static void user_free(struct local_server *server, struct local_user *user)
{
	unread_sweep(user, true);
	TAILQ_REMOVE(&server->users, user, link);
	closer_destroy(user->closer);
	free(user);
}

/* Forgets those who have no connection and owe us nothing. */
static void users_sweep(struct local_server *server)
{
	struct local_user *user, *next;

	for (user = TAILQ_FIRST(&server->users); user != NULL; user = next) {
		next = TAILQ_NEXT(user, link);
		if (user->connections > 0)
			continue;
		unread_sweep(user, false);
		if (user->num_unread == 0 && closer_waiting(user->closer) == 0)
			user_free(server, user);
	}
}

static struct local_user *user_get(struct local_server *server, uid_t uid)
{
	struct local_user *user;

	users_sweep(server);
	TAILQ_FOREACH (user, &server->users, link)
		if (user->uid == uid)
			break;
	if (user == NULL) {
		user = calloc(1, sizeof(*user));
		if (user == NULL)
			return NULL;
		if (closer_create(&user->closer, NULL) < 0) {
			free(user);
			return NULL;
		}
		user->uid = uid;
		TAILQ_INSERT_TAIL(&server->users, user, link);
	}
	user->connections++;
	return user;
}

/* He stays until users_sweep() finds that he owes nothing. */
static void user_put(struct local_user *user)
{
	unread_sweep(user, false);
	user->connections--;
}

/* ---- connections ---- */

static void connection_end(struct local_connection *connection)
{
	struct local_server *server = connection->server;

	server->handler.closed(server->handler.argument, connection);
	TAILQ_REMOVE(&server->connections, connection, link);
	server->num_connections--;
	event_free(connection->readable);
	epoll_ctl(server->hangups, EPOLL_CTL_DEL, connection->fd, NULL);
	closer_close_socket(connection->user->closer, connection->fd);
	user_put(connection->user);
	local_peer_free(&connection->peer);
	free(connection);
}

static void take_descriptors(struct received *received, struct msghdr *message)
{
	for (struct cmsghdr *cmsg = CMSG_FIRSTHDR(message); cmsg != NULL;
	     cmsg = CMSG_NXTHDR(message, cmsg)) {
		size_t size = cmsg->cmsg_len - CMSG_LEN(0);

		if (cmsg->cmsg_level != SOL_SOCKET || cmsg->cmsg_type != SCM_RIGHTS)
			continue;
		memcpy(received->fds + received->num_fds, CMSG_DATA(cmsg), size);
		received->num_fds += (unsigned)(size / sizeof(int));
	}
}

/* Negative: there was nothing, or the connection is broken. */
static int receive(struct local_connection *connection, struct received *received)
{
	char control[CMSG_SPACE(MOST_DESCRIPTORS * sizeof(int))]
		__attribute__((aligned(_Alignof(struct cmsghdr))));
	struct iovec iov = {.iov_base = &received->request, .iov_len = sizeof(received->request)};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};

	received->num_fds = 0;
	received->size =
		recvmsg(connection->fd, &message, MSG_DONTWAIT | MSG_TRUNC | MSG_CMSG_CLOEXEC);
	if (received->size < 0)
		return -errno;
	take_descriptors(received, &message);
	return 0;
}

/* Of a message without bytes: is it the end? Empty messages look the same. */
static bool hung_up(const struct local_connection *connection)
{
	struct pollfd poll_fd = {.fd = connection->fd, .events = POLLRDHUP};

	return poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

static bool is_reply_socket(int fd)
{
	int domain = 0, type = 0;
	socklen_t size = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && domain == AF_UNIX &&
	       type == SOCK_SEQPACKET;
}

/* Sends the answer and lets go of @fd. */
static void send_answer(struct local_connection *connection, int fd, struct local_answer *answer)
{
	struct local_user *user = connection->user;
	char control[CMSG_SPACE(PTNET_LOCAL_MAX_FDS * sizeof(int))]
		__attribute__((aligned(_Alignof(struct cmsghdr)))) = {0};
	struct iovec iov = {.iov_base = &answer->reply, .iov_len = sizeof(answer->reply)};
	struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1};
	size_t bytes = answer->num_fds * sizeof(int);

	if (answer->num_fds > 0) {
		message.msg_control = control;
		message.msg_controllen = CMSG_SPACE(bytes);
		struct cmsghdr *cmsg = CMSG_FIRSTHDR(&message);

		cmsg->cmsg_level = SOL_SOCKET;
		cmsg->cmsg_type = SCM_RIGHTS;
		cmsg->cmsg_len = CMSG_LEN(bytes);
		memcpy(CMSG_DATA(cmsg), answer->fds, bytes);
	}
	if (sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		client_error(connection, LOCAL_ERROR_REPLY_NOT_TAKEN, strerror(errno));
		closer_close(user->closer, fd);
	} else if (answer->num_fds > 0 && user->num_unread < LOCAL_MAX_UNREAD) {
		user->unread[user->num_unread++] = fd;
	} else {
		closer_close(user->closer, fd);
	}
}

static void refuse(struct local_connection *connection, struct local_answer *answer,
		   enum local_error kind, int error, const char *what)
{
	client_error(connection, kind, what);
	answer->reply.error = error;
	strncpy(answer->reply.message, what, sizeof(answer->reply.message) - 1);
}

/* A message that came whole, with a socket for the answer. */
static void serve(struct local_connection *connection, struct received *received)
{
	struct local_server *server = connection->server;
	struct ptnet_local_request *request = &received->request;
	struct local_answer answer = {.reply.version = PTNET_LOCAL_VERSION};

	request->name[sizeof(request->name) - 1] = '\0';
	memcpy(answer.reply.name, request->name, sizeof(answer.reply.name));
	answer.reply.body = request->body;
	answer.reply.options = request->options;
	unread_sweep(connection->user, false);
	if (request->version != PTNET_LOCAL_VERSION)
		refuse(connection, &answer, LOCAL_ERROR_BAD_VERSION, EPROTO,
		       "the shim is not of this ptnetd: restart both from one ptnetmap");
	else if (request->op < PTNET_LOCAL_CTRL || request->op > PTNET_LOCAL_UNREGISTER)
		refuse(connection, &answer, LOCAL_ERROR_BAD_OPERATION, EINVAL, "unknown operation");
	else if (connection->user->num_unread == LOCAL_MAX_UNREAD)
		refuse(connection, &answer, LOCAL_ERROR_REPLIES_NOT_READ, ENOBUFS,
		       "programs of this user did not read what they asked for before");
	else
		server->handler.request(server->handler.argument, connection, request, &answer);
	send_answer(connection, received->fds[0], &answer);
}

static void close_descriptors(struct local_connection *connection, const struct received *received)
{
	for (unsigned i = 0; i < received->num_fds; i++)
		closer_close(connection->user->closer, received->fds[i]);
}

/* False: the connection has to go. */
static bool handle(struct local_connection *connection, struct received *received)
{
	bool stays = true;

	connection->requests++;
	connection->server->requests++;
	for (unsigned i = 0; i < received->num_fds; i++)
		stays &= !closer_short_of_descriptors(received->fds[i]);
	if (!stays || closer_crowded(connection->user->closer)) {
		client_error(connection, LOCAL_ERROR_BAD_DESCRIPTORS,
			     stays ? "too many descriptors wait for one that can't be closed"
				   : "few descriptors are left");
		close_descriptors(connection, received);
		return false;
	}
	if (received->num_fds != 1) {
		client_error(connection, LOCAL_ERROR_BAD_DESCRIPTORS,
			     "a request brings one descriptor, the reply socket");
		close_descriptors(connection, received);
	} else if (!is_reply_socket(received->fds[0])) {
		client_error(connection, LOCAL_ERROR_BAD_REPLY_SOCKET,
			     "the descriptor is no UNIX socket of type SEQPACKET");
		close_descriptors(connection, received);
	} else if (received->size != (ssize_t)sizeof(received->request)) {
		struct local_answer answer = {.reply.version = PTNET_LOCAL_VERSION};

		refuse(connection, &answer, LOCAL_ERROR_BAD_SIZE, EPROTO,
		       "the request has not the size of one: shim and ptnetd must be of one "
		       "ptnetmap");
		send_answer(connection, received->fds[0], &answer);
	} else {
		serve(connection, received);
	}
	return true;
}

/*
 * Who closes a descriptor and then asks for something on another has it closed by then, as with a
 * device (spec/netmap-api.md section 10). Events come in another order: that of the other
 * descriptor may have been waiting for longer. What has been hung up is therefore ended before a
 * request. True: @asking has been hung up, too; it is said once, and to be ended by the caller.
 */
static bool end_hung_up(struct local_server *server, const struct local_connection *asking)
{
	struct epoll_event events[16];
	bool asker_left = false;
	int count, i;

	do {
		count = epoll_wait(server->hangups, events, 16, 0);
		for (i = 0; i < count; i++)
			if (events[i].data.ptr == asking)
				asker_left = true;
			else
				connection_end(events[i].data.ptr);
	} while (count == 16);
	return asker_left;
}

/*
 * epoll reports what stays readable in the same order each time, and a user's turn can end
 * at any of his connections: those at the end of the list would never be reached. Removed and
 * added, this one is behind all that wait now. False: it can't be watched any more.
 */
static bool line_up_again(struct local_connection *connection)
{
	event_del(connection->readable);
	if (event_add(connection->readable, NULL) == 0)
		return true;
	log_limited(local_peer_log_limit(&connection->peer), LOG_LEVEL_ERROR,
		    "netmap socket: process %d of user %d is disconnected: out of memory",
		    (int)connection->peer.pid, (int)connection->peer.uid);
	return false;
}

static void serve_one(struct local_connection *connection)
{
	struct received received;
	int result = receive(connection, &received);
	bool asker_left;

	if (result == -EAGAIN || result == -EINTR)
		return;
	if (result < 0 || (received.size == 0 && received.num_fds == 0 && hung_up(connection))) {
		connection_end(connection);
		return;
	}
	asker_left = end_hung_up(connection->server, connection);
	if (!handle(connection, &received) || asker_left || !line_up_again(connection))
		connection_end(connection);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* One request: the event comes again while there are more, after everybody else's turn. */
static void on_readable(evutil_socket_t fd, short events, void *argument)
{
	struct local_connection *connection = argument;
	struct local_server *server = connection->server;
	struct local_user *user = connection->user; /* outlives the connection */
	uint64_t before = now_ns();

	(void)fd;
	(void)events;
	if (user->turn_ns >= LOCAL_USER_TURN_NS) {
		/* An end does not wait: others may want what it gives back. */
		end_hung_up(server, NULL);
		return;
	}
	serve_one(connection);
	user->turn_ns += now_ns() - before;
	/* Called behind all that is to be called in this turn already. */
	event_active(server->turn_ends, EV_TIMEOUT, 0);
}

static void on_turn_ends(evutil_socket_t fd, short events, void *argument)
{
	struct local_server *server = argument;
	struct local_user *user;

	(void)fd;
	(void)events;
	TAILQ_FOREACH (user, &server->users, link)
		user->turn_ns = 0;
}

/* ---- the socket ---- */

/* Why the new connection of @user, who counts it already, must not be; NULL: it may. */
static const char *reason_to_refuse(const struct local_server *server,
				    const struct local_user *user)
{
	if (server->num_connections >= LOCAL_MAX_CONNECTIONS)
		return "all users together have as many descriptors of /dev/netmap as there can be";
	if (user->uid != 0 && user->connections > LOCAL_MAX_PER_USER)
		return "he has as many descriptors of /dev/netmap as he may";
	if (closer_crowded(user->closer))
		return "too many descriptors of his wait for one that can't be closed";
	return NULL;
}

/* What he may have sent already is to hold up him, not everybody who is refused. */
static void refuse_connection(struct local_server *server, struct local_connection *connection)
{
	struct closer *his = connection->user->closer;

	closer_close_socket(closer_crowded(his) ? server->socket.closer : his, connection->fd);
	user_put(connection->user);
}

/* Needs @connection to have its peer. -EUSERS: its descriptor is being closed already. */
static int connection_start(struct local_server *server, struct local_connection *connection)
{
	struct epoll_event hangup = {.events = EPOLLRDHUP | EPOLLET, .data.ptr = connection};
	const char *reason;

	connection->user = user_get(server, connection->peer.uid);
	if (connection->user == NULL)
		return -ENOMEM;
	reason = reason_to_refuse(server, connection->user);
	if (reason != NULL) {
		client_error(connection, LOCAL_ERROR_REFUSED, reason);
		refuse_connection(server, connection);
		return -EUSERS;
	}
	connection->readable = event_new(server->base, connection->fd, EV_READ | EV_PERSIST,
					 on_readable, connection);
	if (connection->readable == NULL || event_add(connection->readable, NULL) < 0 ||
	    epoll_ctl(server->hangups, EPOLL_CTL_ADD, connection->fd, &hangup) < 0) {
		if (connection->readable != NULL)
			event_free(connection->readable);
		user_put(connection->user);
		return -ENOMEM;
	}
	TAILQ_INSERT_TAIL(&server->connections, connection, link);
	server->num_connections++;
	server->total_connections++;
	return 0;
}

int local_server_adopt(struct local_server *server, int fd)
{
	struct local_connection *connection = calloc(1, sizeof(*connection));
	int result = -ENOMEM;

	if (connection != NULL) {
		connection->server = server;
		connection->fd = fd;
		result = local_peer_get(&connection->peer, fd);
		if (result == 0)
			result = connection_start(server, connection);
		if (result == 0)
			return 0;
		local_peer_free(&connection->peer);
	}
	free(connection);
	if (result != -EUSERS)
		closer_close_socket(server->socket.closer, fd);
	return result;
}

static void accepted(struct socket_listener *socket, int fd)
{
	static struct log_limit log_limit;
	int result = local_server_adopt((struct local_server *)socket, fd);

	if (result < 0 && result != -EUSERS)
		log_limited(&log_limit, LOG_LEVEL_ERROR,
			    "netmap socket: cannot serve a program: %s", strerror(-result));
}

int local_server_open(struct local_server **out, struct event_base *base, const char *path,
		      const struct socket_access *access, const struct local_handler *handler,
		      struct error *error)
{
	struct local_server *server = calloc(1, sizeof(*server));
	int result;

	if (server == NULL)
		return error_set(error, ENOMEM, "out of memory");
	server->base = base;
	server->handler = *handler;
	TAILQ_INIT(&server->users);
	TAILQ_INIT(&server->connections);
	server->socket.type = SOCK_SEQPACKET;
	server->socket.accepted = accepted;
	server->hangups = epoll_create1(EPOLL_CLOEXEC);
	if (server->hangups < 0) {
		result = error_set(error, errno, "cannot make an epoll: %s", strerror(errno));
		goto fail_free;
	}
	server->turn_ends = event_new(base, -1, 0, on_turn_ends, server);
	if (server->turn_ends == NULL) {
		result = error_set(error, ENOMEM, "out of memory");
		goto fail_hangups;
	}
	result = closer_create(&server->socket.closer, error);
	if (result < 0)
		goto fail_event;
	result = socket_listener_open(&server->socket, base, path, access, error);
	if (result < 0)
		goto fail_closer;
	*out = server;
	return 0;

fail_closer:
	closer_destroy(server->socket.closer);
fail_event:
	event_free(server->turn_ends);
fail_hangups:
	close(server->hangups);
fail_free:
	free(server);
	return result;
}

void local_server_close(struct local_server *server)
{
	struct local_connection *connection, *next;
	struct local_user *user, *next_user;

	if (server == NULL)
		return;
	for (connection = TAILQ_FIRST(&server->connections); connection != NULL;
	     connection = next) {
		next = TAILQ_NEXT(connection, link);
		connection_end(connection);
	}
	for (user = TAILQ_FIRST(&server->users); user != NULL; user = next_user) {
		next_user = TAILQ_NEXT(user, link);
		user_free(server, user);
	}
	socket_listener_close(&server->socket);
	closer_destroy(server->socket.closer);
	event_free(server->turn_ends);
	close(server->hangups);
	free(server);
}

void local_server_get_status(const struct local_server *server, struct local_status *status)
{
	*status = (struct local_status){
		.connections = server->total_connections,
		.requests = server->requests,
		.connected = server->num_connections,
		.list = &server->connections,
	};
	memcpy(status->errors, server->errors, sizeof(status->errors));
}
