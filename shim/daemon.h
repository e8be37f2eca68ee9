/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Talking to ptnetd (ptnet/local.h): connecting, recognising connections, and requests. No
 * function here is a cancellation point.
 */
#ifndef PTNET_SHIM_DAEMON_H
#define PTNET_SHIM_DAEMON_H

#include <stdbool.h>

#include <ptnet/local.h>

#include "description.h"

/* What ptnet-run tells the shim. */
#define PTNET_ENV_SOCKET  "PTNET_SOCKET"
#define PTNET_ENV_VERBOSE "PTNET_VERBOSE"

/* Reads the environment; once, from the constructor. */
void daemon_init(void);

/*
 * A new connection, as open() would give it. @flags: open()'s. Negative errno: -ENOENT, there is no
 * daemon; -EACCES, it may not be used by this user; -EMFILE, ...
 */
int daemon_connect(int flags);

/* Is @fd a connection to the daemon's socket? System calls only. */
bool daemon_is_peer(int fd);

/*
 * Makes a request on @fd, one of @d's descriptors, and waits for the reply. Under
 * d->request_lock. 0: there is a reply, which may be an error; -EIO: the daemon is gone or talks
 * nonsense; other negative errno: the request could not be made. The descriptors that came with it
 * are the caller's, num_fds at most PTNET_LOCAL_MAX_FDS.
 */
int daemon_request(struct description *d, int fd, const struct ptnet_local_request *request,
		   struct ptnet_local_reply *reply, int *fds, unsigned *num_fds);

/* PTNET_LOCAL_JOIN; errors as description_join(). Under d->request_lock. */
int daemon_join(struct description *d, int fd);

/* Tells the user, if he asked for it, in one line. */
void daemon_say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
