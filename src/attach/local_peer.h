/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is at the other end of a UNIX connection, as the kernel knew it when the
 * connection was made, and what that lets him do. Any thread.
 */
#ifndef PTNET_ATTACH_LOCAL_PEER_H
#define PTNET_ATTACH_LOCAL_PEER_H

#include <stdbool.h>
#include <sys/types.h>

#include "attach/vfio_user_attachment.h"

struct log_limit;

struct local_peer {
	pid_t pid; /* of who connected; others may have got the descriptor since */
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary; ours to free */
	unsigned num_groups;
};

/* Asks the kernel. -ENOMEM, or what getsockopt() says; nothing is held then. */
int local_peer_get(struct local_peer *peer, int fd);
void local_peer_free(struct local_peer *peer);

bool local_peer_in_group(const struct local_peer *peer, gid_t gid);

/*
 * As for a file that is opened for reading and writing: the owner's bits count for the
 * owner, else the group's for its members, else the others'. Root may do everything.
 */
bool local_peer_allowed(const struct local_peer *peer, const struct socket_access *access);

/*
 * The allowance of log lines of the peer's user, for all that he causes: it does not come anew with
 * a new connection or port. Users share 64 of them by number. Lives as long as the process.
 */
struct log_limit *local_peer_log_limit(const struct local_peer *peer);

/* Root, or @uid. */
bool local_peer_owns(const struct local_peer *peer, uid_t uid);

#endif
