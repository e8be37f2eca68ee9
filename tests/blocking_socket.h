/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A descriptor whose last close() does not come to an end: a TCP socket that is to linger
 * until its peer, which does not read, has everything.
 */
#ifndef PTNET_TESTS_BLOCKING_SOCKET_H
#define PTNET_TESTS_BLOCKING_SOCKET_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct blocking_socket {
	int fd;	  /* whose last close() hangs */
	int peer; /* until this is closed */
};

/* False: there is no loopback interface here. */
static inline bool blocking_socket_open(struct blocking_socket *made)
{
	struct linger hours = {.l_onoff = 1, .l_linger = 36000};
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof(address);
	static char bytes[65536];
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	made->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	made->peer = -1;
	if (bind(listener, (struct sockaddr *)&address, length) == 0 && listen(listener, 1) == 0 &&
	    getsockname(listener, (struct sockaddr *)&address, &length) == 0 &&
	    connect(made->fd, (struct sockaddr *)&address, length) == 0)
		made->peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	if (made->peer < 0) {
		close(made->fd);
		return false;
	}
	while (send(made->fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		;
	return setsockopt(made->fd, SOL_SOCKET, SO_LINGER, &hours, sizeof(hours)) == 0;
}

#endif
