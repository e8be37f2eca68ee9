/* SPDX-License-Identifier: BSD-2-Clause */
#include "program_memory.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/*
 * The kernel copies between two addresses of ours. Where it may not (a sandbox), there is nothing
 * left but to believe the program.
 */
static int copy(long call, void *ours, uint64_t theirs, size_t size)
{
	struct iovec local = {ours, size}, remote = {(void *)(uintptr_t)theirs, size};
	int error = errno;
	ssize_t copied;

	if (size == 0)
		return 0;
	copied = syscall(call, getpid(), &local, 1UL, &remote, 1UL, 0UL);
	if (copied == (ssize_t)size)
		return 0;
	if (copied < 0 && (errno == EPERM || errno == ENOSYS || errno == EACCES)) {
		errno = error;
		if (theirs < 4096)
			return -EFAULT;
		if (call == SYS_process_vm_readv)
			memcpy(ours, (const void *)(uintptr_t)theirs, size);
		else
			memcpy((void *)(uintptr_t)theirs, ours, size);
		return 0;
	}
	errno = error;
	return -EFAULT;
}

int program_read(void *bytes, uint64_t from, size_t size)
{
	return copy(SYS_process_vm_readv, bytes, from, size);
}

int program_write(uint64_t to, const void *bytes, size_t size)
{
	return copy(SYS_process_vm_writev, (void *)(uintptr_t)bytes, to, size);
}
