/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The program's memory, as a kernel sees it: an address that the program handed to an ioctl
 * may be anything, and a bad one is an error to report, not a crash.
 */
#ifndef PTNET_SHIM_PROGRAM_MEMORY_H
#define PTNET_SHIM_PROGRAM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/* Copy all of @size bytes from or to address @from or @to. -EFAULT: that cannot be done; part of
 * it may have been. Any thread, signal handlers too. */
int program_read(void *bytes, uint64_t from, size_t size);
int program_write(uint64_t to, const void *bytes, size_t size);

#endif
