/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "attach/socket_listener.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "engine/closer.h"
#include "log/log.h"

#define BACKLOG 64

static const struct timeval retry_after = {.tv_sec = 1};

/* The event would come again at once. */
static void pause_accepting(struct socket_listener *listener, const char *reason)
{
	log_limited(&listener->log_limit, LOG_LEVEL_WARNING,
		    "%s: cannot accept a connection: %s; trying again in %ld s", listener->path,
		    reason, (long)retry_after.tv_sec);
	event_del(listener->readable);
	event_add(listener->retry, &retry_after);
}

#define FEW_DESCRIPTORS "few descriptors are left (LimitNOFILE says how many there are)"

static void on_readable(evutil_socket_t fd, short events, void *argument)
{
	struct socket_listener *listener = argument;
	int connection;

	(void)events;
	if (closer_crowded(listener->closer)) {
		pause_accepting(listener, "too many descriptors of those who were connected wait "
					  "for one of them, which cannot be closed");
		return;
	}
	connection = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (connection >= 0 && !closer_short_of_descriptors(connection)) {
		listener->accepted(listener, connection);
		return;
	}
	if (connection >= 0) {
		closer_close_socket(listener->closer, connection);
		pause_accepting(listener, FEW_DESCRIPTORS);
	} else if (errno == EMFILE || errno == ENFILE) {
		pause_accepting(listener, FEW_DESCRIPTORS);
	} else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		pause_accepting(listener, strerror(errno));
	}
}

static void on_retry(evutil_socket_t fd, short events, void *argument)
{
	struct socket_listener *listener = argument;

	(void)fd;
	(void)events;
	event_add(listener->readable, NULL);
}

static int make_socket(const struct socket_listener *listener)
{
	int type = listener->type != 0 ? listener->type : SOCK_STREAM;

	return socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
}

/* Removes a socket file that nobody listens at. */
static int remove_stale(const struct socket_listener *listener, const struct sockaddr_un *address,
			struct error *error)
{
	const char *path = address->sun_path;
	struct stat status;
	int fd, result;

	if (lstat(path, &status) < 0) {
		if (errno == ENOENT)
			return 0;
		return error_set(error, errno, "%s: %s", path, strerror(errno));
	}
	if (!S_ISSOCK(status.st_mode))
		return error_set(error, EEXIST, "%s exists and is no socket", path);
	fd = make_socket(listener);
	if (fd < 0)
		return error_set(error, errno, "%s: %s", path, strerror(errno));
	result = connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 ? errno : 0;
	close(fd);
	if (result != ECONNREFUSED)
		return error_set(error, EEXIST, "%s is in use: another process listens at it",
				 path);
	if (unlink(path) < 0 && errno != ENOENT)
		return error_set(error, errno, "%s: cannot remove the stale socket: %s", path,
				 strerror(errno));
	return 0;
}

/* Access rights are set before listen(): until then nobody can connect. */
static int bind_and_listen(struct socket_listener *listener, const struct sockaddr_un *address,
			   const struct socket_access *access, struct error *error)
{
	const char *path = address->sun_path;
	struct stat status;

	listener->fd = make_socket(listener);
	if (listener->fd < 0)
		return error_set(error, errno, "%s: cannot make a socket: %s", path,
				 strerror(errno));
	if (bind(listener->fd, (const struct sockaddr *)address, sizeof(*address)) < 0) {
		error_set(error, errno, "%s: cannot make the socket: %s", path, strerror(errno));
		goto fail_close;
	}
	if (lchown(path, access->uid, access->gid) < 0 || chmod(path, access->mode) < 0) {
		error_set(error, errno, "%s: cannot give it to uid %d, gid %d, mode %03o: %s", path,
			  (int)access->uid, (int)access->gid, (unsigned)access->mode,
			  strerror(errno));
		goto fail_unlink;
	}
	if (lstat(path, &status) < 0 || listen(listener->fd, BACKLOG) < 0) {
		error_set(error, errno, "%s: cannot listen: %s", path, strerror(errno));
		goto fail_unlink;
	}
	listener->device = status.st_dev;
	listener->inode = status.st_ino;
	return 0;

fail_unlink:
	unlink(path);
fail_close:
	close(listener->fd);
	listener->fd = -1;
	return -error->code;
}

int socket_listener_open(struct socket_listener *listener, struct event_base *base,
			 const char *path, const struct socket_access *access, struct error *error)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct error local;
	int result;

	if (error == NULL)
		error = &local;
	listener->fd = -1;
	listener->path = NULL;
	listener->readable = listener->retry = NULL;
	if (strlen(path) >= sizeof(address.sun_path))
		return error_set(error, ENAMETOOLONG,
				 "%s is too long for a socket: at most %zu "
				 "characters",
				 path, sizeof(address.sun_path) - 1);
	memcpy(address.sun_path, path, strlen(path) + 1);
	result = remove_stale(listener, &address, error);
	if (result == 0)
		result = bind_and_listen(listener, &address, access, error);
	if (result < 0)
		return result;
	listener->path = strdup(path);
	listener->readable =
		event_new(base, listener->fd, EV_READ | EV_PERSIST, on_readable, listener);
	listener->retry = event_new(base, -1, 0, on_retry, listener);
	if (listener->path == NULL || listener->readable == NULL || listener->retry == NULL ||
	    event_add(listener->readable, NULL) < 0) {
		unlink(path);
		socket_listener_close(listener);
		return error_set(error, ENOMEM, "%s: out of memory", path);
	}
	return 0;
}

void socket_listener_close(struct socket_listener *listener)
{
	struct stat status;

	if (listener->readable != NULL)
		event_free(listener->readable);
	if (listener->retry != NULL)
		event_free(listener->retry);
	if (listener->path != NULL && lstat(listener->path, &status) == 0 &&
	    status.st_dev == listener->device && status.st_ino == listener->inode)
		unlink(listener->path);
	free(listener->path);
	closer_close(listener->closer, listener->fd);
	listener->fd = -1;
	listener->path = NULL;
	listener->readable = listener->retry = NULL;
}
