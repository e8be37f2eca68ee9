/* SPDX-License-Identifier: BSD-2-Clause */
/* Written out because it is a page of code, and libsystemd is a megabyte with its dependencies. */
#include "control/readiness.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log/log.h"

void readiness_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (path == NULL || path[0] == '\0')
		return;
	size_t length = strlen(path);

	if ((path[0] != '/' && path[0] != '@') || length >= sizeof(address.sun_path)) {
		log_warning("NOTIFY_SOCKET=%s is no socket address: the service manager is not "
			    "told of \"%s\"",
			    path, state);
		return;
	}
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0'; /* the abstract namespace */
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
			     (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		log_warning("the service manager at %s is not told of \"%s\": %s", path, state,
			    strerror(errno));
	if (fd >= 0)
		close(fd);
}
