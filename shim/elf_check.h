/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Can an object be preloaded into a program? ptnet-run looks before it leaps: the dynamic loader
 * says nothing when it cannot, and the program would miss /dev/netmap without a reason.
 */
#ifndef PTNET_SHIM_ELF_CHECK_H
#define PTNET_SHIM_ELF_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum program_kind {
	PROGRAM_DYNAMIC,   /* preloading works */
	PROGRAM_STATIC,	   /* no dynamic loader */
	PROGRAM_FOREIGN,   /* of another word size or machine */
	PROGRAM_SCRIPT,	   /* the interpreter counts: program_interpreter */
	PROGRAM_NO_FORMAT, /* neither; the kernel, or a shell, will know */
};

/* An absolute or relative path in @interpreter of @size bytes for PROGRAM_SCRIPT. */
enum program_kind program_kind(const void *file, size_t file_size, char *interpreter, size_t size);

/*
 * Is the program run with other rights than the caller's? Then the loader preloads nothing.
 * @uid, @gid: effective ones; @capabilities: the file has some.
 */
bool program_is_privileged(mode_t mode, uid_t owner, gid_t group, uid_t uid, gid_t gid,
			   bool capabilities);

/* Does a dynamic program need a library whose name begins with @prefix? Its whole name in @name. */
bool program_needs(const void *file, size_t file_size, const char *prefix, char *name, size_t size);

#endif
