/* SPDX-License-Identifier: BSD-2-Clause */
#include "client.h"

#include <errno.h>
#include <grp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "control/protocol.h"

#define TIMEOUT_S 30

struct client {
	int fd;
	const char *path;
};

static void explain_denied(const char *path)
{
	struct stat status;
	const struct group *group = NULL;

	fprintf(stderr, "ptnetctl: you may not use %s", path);
	if (stat(path, &status) == 0)
		group = getgrgid(status.st_gid);
	if (group != NULL && group->gr_gid != 0)
		fprintf(stderr,
			": it is for root and the group %s; use sudo, or join the group with "
			"'sudo usermod -aG %s USER' and log in again\n",
			group->gr_name, group->gr_name);
	else
		fprintf(stderr,
			": it is for root; use sudo, or set \"group\" of \"control\" in the "
			"daemon's configuration\n");
}

static bool is_socket(const char *path)
{
	struct stat status;

	return stat(path, &status) == 0 && S_ISSOCK(status.st_mode);
}

static void explain(const char *path, int code)
{
	switch (code) {
	case ENOENT:
		fprintf(stderr,
			"ptnetctl: no ptnetd is running at %s: start it with 'systemctl start "
			"ptnetd' or 'ptnetd --control %s', or name another daemon's socket with "
			"--control\n",
			path, path);
		break;
	case ECONNREFUSED:
		if (!is_socket(path)) {
			fprintf(stderr,
				"ptnetctl: %s is no socket: name the daemon's control socket with "
				"--control\n",
				path);
			break;
		}
		fprintf(stderr,
			"ptnetctl: nobody listens at %s: ptnetd has died, or is just starting; see "
			"its log ('journalctl -u ptnetd'), and start it with 'systemctl start "
			"ptnetd' or 'ptnetd --control %s'\n",
			path, path);
		break;
	case EACCES:
		explain_denied(path);
		break;
	default:
		fprintf(stderr, "ptnetctl: cannot connect to %s: %s\n", path, strerror(code));
	}
}

struct client *client_connect(const char *path)
{
	const struct timeval timeout = {.tv_sec = TIMEOUT_S};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct client *client = calloc(1, sizeof(*client));

	if (client == NULL)
		abort();
	if (strlen(path) >= sizeof(address.sun_path)) {
		fprintf(stderr, "ptnetctl: %s: the path has %zu bytes, at most %zu are possible\n",
			path, strlen(path), sizeof(address.sun_path) - 1);
		goto fail;
	}
	memcpy(address.sun_path, path, strlen(path) + 1);
	client->path = path;
	client->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (client->fd < 0) {
		perror("ptnetctl: socket");
		goto fail;
	}
	if (connect(client->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		explain(path, errno);
		close(client->fd);
		goto fail;
	}
	setsockopt(client->fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(client->fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	return client;

fail:
	free(client);
	return NULL;
}

void client_close(struct client *client)
{
	if (client == NULL)
		return;
	close(client->fd);
	free(client);
}

/* A daemon that turns us away answers before it has read: so a failure here is not the last word.
 */
static void send_all(struct client *client, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t sent = send(client->fd, text, length, MSG_NOSIGNAL);

		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0)
			return;
		text += sent;
		length -= (size_t)sent;
	}
}

/* One line, for free(). NULL: none came; standard error says why. */
static char *receive_line(struct client *client)
{
	size_t length = 0, size = 65536;
	char *line = malloc(size);

	for (;;) {
		if (line == NULL)
			abort();
		ssize_t got = recv(client->fd, line + length, size - length, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
				fprintf(stderr,
					"ptnetctl: ptnetd at %s has not answered for %d seconds; "
					"see "
					"its log\n",
					client->path, TIMEOUT_S);
			else
				fprintf(stderr,
					"ptnetctl: ptnetd at %s closed the connection without an "
					"answer; see its log\n",
					client->path);
			free(line);
			return NULL;
		}
		length += (size_t)got;
		if (line[length - 1] == '\n') {
			line[length - 1] = '\0';
			return line;
		}
		if (length == size) {
			size *= 2;
			line = realloc(line, size);
		}
	}
}

/* Takes @answer apart. */
static json_t *result_of(json_t *answer)
{
	json_t *result = json_object_get(answer, "result");
	json_t *error = json_object_get(answer, "error");
	const char *message = json_string_value(json_object_get(error, "message"));

	if (result == NULL)
		fprintf(stderr, "ptnetctl: %s\n",
			message != NULL ? message : "the daemon's answer is not understood");
	return json_incref(result);
}

json_t *client_request(struct client *client, const char *command, json_t *arguments)
{
	json_t *request, *answer, *result;
	char *text, *line;

	request = json_pack("{s:i, s:s, s:O*}", "protocol", CONTROL_PROTOCOL_VERSION, "command",
			    command, "arguments", arguments);
	text = json_dumps(request, JSON_COMPACT);
	json_decref(request);
	if (text == NULL) {
		fprintf(stderr, "ptnetctl: the arguments are not valid UTF-8\n");
		return NULL;
	}
	send_all(client, text, strlen(text));
	send_all(client, "\n", 1);
	free(text);
	line = receive_line(client);
	if (line == NULL)
		return NULL;
	answer = json_loads(line, 0, NULL);
	free(line);
	result = result_of(answer);
	json_decref(answer);
	return result;
}
