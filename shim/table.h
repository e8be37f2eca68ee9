/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the shim knows of this process's descriptors: which are netmap's, which are epolls,
 * and which are its own and none of the program's business.
 *
 * Reading takes no lock and touches nothing but the entry. Changing is done under
 * shim_lock(), which lets no signal handler in, so that functions that may be called from
 * handlers (close, dup2) may take it. A process that never opens /dev/netmap reads one flag.
 */
#ifndef PTNET_SHIM_TABLE_H
#define PTNET_SHIM_TABLE_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "real.h"

/* Descriptors from here on are not looked at. */
#define TABLE_SIZE (1 << 22)

enum table_kind {
	TABLE_NONE = 0,
	TABLE_NETMAP, /* struct description */
	TABLE_EPOLL,  /* struct epoll_set */
	TABLE_HIDDEN, /* the int that holds the descriptor's number */
};

/* What an entry is: one word, so that it is read and written whole. */
struct table_entry {
	uintptr_t word;
};

/* There are entries other than epolls, or there have been. Never goes back. */
extern bool table_used;

static inline bool table_in_use(void)
{
	return SHIM_UNLIKELY(__atomic_load_n(&table_used, __ATOMIC_RELAXED));
}

static inline enum table_kind table_kind(struct table_entry entry)
{
	return (enum table_kind)(entry.word & 7);
}

static inline void *table_object(struct table_entry entry)
{
	return (void *)(entry.word & ~(uintptr_t)7);
}

#define TABLE_CHUNK_BITS 10

extern uintptr_t *table_chunks[TABLE_SIZE >> TABLE_CHUNK_BITS];

/* Any thread, any time; TABLE_NONE for numbers out of range. */
static inline struct table_entry table_get(int fd)
{
	const uintptr_t *chunk;

	if ((unsigned)fd >= TABLE_SIZE)
		return (struct table_entry){0};
	chunk = __atomic_load_n(&table_chunks[(unsigned)fd >> TABLE_CHUNK_BITS], __ATOMIC_ACQUIRE);
	if (chunk == NULL)
		return (struct table_entry){0};
	return (struct table_entry){
		__atomic_load_n(&chunk[fd & ((1 << TABLE_CHUNK_BITS) - 1)], __ATOMIC_ACQUIRE)};
}

/* Under shim_lock(). @object: aligned to 8 bytes. -ENOMEM, -EMFILE (@fd out of range). */
int table_set(int fd, enum table_kind kind, void *object);
void table_clear(int fd);

/* The lowest number from @fd on that has an entry, -1 if there is none. Under shim_lock(). */
int table_next(int fd);

/* The lock of everything that changes rarely. Not to be held over anything that may wait. */
void shim_lock(sigset_t *signals);
void shim_unlock(const sigset_t *signals);
void shim_lock_for_fork(void);
void shim_unlock_after_fork(void);

/*
 * False in a child of vfork(): the memory is the parent's, the descriptors are its own, so nothing
 * must be written down. A system call.
 */
bool shim_own_process(void);
void shim_note_process(void);

#endif
