/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a netmap descriptor is not: a stream. read() and write() on it fail as on the device, and
 * don't reach the daemon's connection. And the way by which descriptors come from other processes.
 */
#include <errno.h>
#include <string.h>

#include "description.h"
#include "real.h"
#include "table.h"

static bool is_netmap(int fd)
{
	struct description *d;
	bool is;

	if (!table_in_use() || table_kind(table_get(fd)) != TABLE_NETMAP)
		return false;
	d = description_get(fd);
	if (d == NULL)
		return false;
	is = description_verify(fd, d);
	description_put(d);
	return is;
}

static ssize_t refuse(void)
{
	errno = EINVAL;
	return -1;
}

SHIM_EXPORT ssize_t read(int fd, void *bytes, size_t size)
{
	return is_netmap(fd) ? refuse() : real.read(fd, bytes, size);
}

SHIM_EXPORT ssize_t write(int fd, const void *bytes, size_t size)
{
	return is_netmap(fd) ? refuse() : real.write(fd, bytes, size);
}

SHIM_EXPORT ssize_t readv(int fd, const struct iovec *vector, int count)
{
	return is_netmap(fd) ? refuse() : real.readv(fd, vector, count);
}

SHIM_EXPORT ssize_t writev(int fd, const struct iovec *vector, int count)
{
	return is_netmap(fd) ? refuse() : real.writev(fd, vector, count);
}

extern void __chk_fail(void) __attribute__((noreturn));

ssize_t __read_chk(int fd, void *bytes, size_t size, size_t room);
SHIM_EXPORT ssize_t __read_chk(int fd, void *bytes, size_t size, size_t room)
{
	if (size > room)
		__chk_fail();
	return read(fd, bytes, size);
}

/* ---- SCM_RIGHTS ---- */

/* Descriptors have come: those that were netmap's elsewhere are so here. */
static void arrived(struct msghdr *message)
{
	struct cmsghdr *header;
	int error = errno;

	for (header = CMSG_FIRSTHDR(message); header != NULL;
	     header = CMSG_NXTHDR(message, header)) {
		size_t i, count;
		int fd;

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (i = 0; i < count && shim_own_process(); i++) {
			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
			description_recognise(fd);
		}
	}
	errno = error;
}

SHIM_EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
	ssize_t result = real.recvmsg(fd, message, flags);

	if (SHIM_UNLIKELY(result >= 0 && message->msg_controllen != 0))
		arrived(message);
	return result;
}

SHIM_EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags,
			 struct timespec *timeout)
{
	int result = real.recvmmsg(fd, messages, count, flags, timeout), i;

	for (i = 0; i < result; i++)
		if (SHIM_UNLIKELY(messages[i].msg_hdr.msg_controllen != 0))
			arrived(&messages[i].msg_hdr);
	return result;
}
