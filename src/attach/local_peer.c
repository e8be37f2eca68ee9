/* SPDX-License-Identifier: BSD-2-Clause */
#define _GNU_SOURCE
#include "attach/local_peer.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "log/log.h"

#define READ_AND_WRITE 06u

static int groups_get(struct local_peer *peer, int fd)
{
	socklen_t size = 0;

	/* The first call says how many there are. */
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, NULL, &size) == 0)
		return 0;
	if (errno != ERANGE)
		return -errno;
	peer->groups = malloc(size);
	if (peer->groups == NULL)
		return -ENOMEM;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, peer->groups, &size) < 0) {
		int result = -errno;

		local_peer_free(peer);
		return result;
	}
	peer->num_groups = (unsigned)(size / sizeof(*peer->groups));
	return 0;
}

int local_peer_get(struct local_peer *peer, int fd)
{
	struct ucred credentials;
	socklen_t size = sizeof(credentials);

	*peer = (struct local_peer){0};
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) < 0)
		return -errno;
	peer->pid = credentials.pid;
	peer->uid = credentials.uid;
	peer->gid = credentials.gid;
	return groups_get(peer, fd);
}

void local_peer_free(struct local_peer *peer)
{
	free(peer->groups);
	peer->groups = NULL;
	peer->num_groups = 0;
}

bool local_peer_in_group(const struct local_peer *peer, gid_t gid)
{
	if (peer->gid == gid)
		return true;
	for (unsigned i = 0; i < peer->num_groups; i++)
		if (peer->groups[i] == gid)
			return true;
	return false;
}

bool local_peer_allowed(const struct local_peer *peer, const struct socket_access *access)
{
	mode_t bits = access->mode;

	if (peer->uid == 0)
		return true;
	if (peer->uid == access->uid)
		bits >>= 6;
	else if (local_peer_in_group(peer, access->gid))
		bits >>= 3;
	return (bits & READ_AND_WRITE) == READ_AND_WRITE;
}

struct log_limit *local_peer_log_limit(const struct local_peer *peer)
{
	static struct log_limit limits[64];

	return &limits[peer->uid % (sizeof(limits) / sizeof(limits[0]))];
}

bool local_peer_owns(const struct local_peer *peer, uid_t uid)
{
	return peer->uid == 0 || peer->uid == uid;
}
