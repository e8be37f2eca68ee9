/* SPDX-License-Identifier: BSD-2-Clause */
#include "table.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/syscall.h>

#define CHUNK_ENTRIES (1 << TABLE_CHUNK_BITS)
#define CHUNKS	      (TABLE_SIZE >> TABLE_CHUNK_BITS)

bool table_used;
uintptr_t *table_chunks[CHUNKS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sigset_t signals_of_forker;
static pid_t process;

void shim_lock(sigset_t *signals)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, signals);
	pthread_mutex_lock(&lock);
}

void shim_unlock(const sigset_t *signals)
{
	pthread_mutex_unlock(&lock);
	pthread_sigmask(SIG_SETMASK, signals, NULL);
}

void shim_lock_for_fork(void)
{
	sigset_t signals;

	shim_lock(&signals);
	signals_of_forker = signals;
}

void shim_unlock_after_fork(void)
{
	sigset_t signals = signals_of_forker;

	shim_unlock(&signals);
}

bool shim_own_process(void)
{
	pid_t noted = __atomic_load_n(&process, __ATOMIC_RELAXED);

	return noted == 0 || noted == (pid_t)syscall(SYS_getpid);
}

void shim_note_process(void)
{
	__atomic_store_n(&process, (pid_t)syscall(SYS_getpid), __ATOMIC_RELAXED);
}

static uintptr_t *chunk_make(unsigned number)
{
	uintptr_t *chunk;

	if (table_chunks[number] != NULL)
		return table_chunks[number];
	/* Not the program's allocator, which may be at work above us. */
	chunk = real.mmap(NULL, CHUNK_ENTRIES * sizeof(*chunk), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (chunk == MAP_FAILED)
		return NULL;
	__atomic_store_n(&table_chunks[number], chunk, __ATOMIC_RELEASE);
	return chunk;
}

int table_set(int fd, enum table_kind kind, void *object)
{
	uintptr_t *chunk;

	if ((unsigned)fd >= TABLE_SIZE)
		return -EMFILE;
	chunk = chunk_make((unsigned)fd >> TABLE_CHUNK_BITS);
	if (chunk == NULL)
		return -ENOMEM;
	__atomic_store_n(&chunk[fd % CHUNK_ENTRIES], (uintptr_t)object | kind, __ATOMIC_RELEASE);
	__atomic_store_n(&table_used, true, __ATOMIC_RELAXED);
	return 0;
}

void table_clear(int fd)
{
	uintptr_t *chunk;

	if ((unsigned)fd >= TABLE_SIZE)
		return;
	chunk = table_chunks[(unsigned)fd >> TABLE_CHUNK_BITS];
	if (chunk != NULL)
		__atomic_store_n(&chunk[fd % CHUNK_ENTRIES], 0, __ATOMIC_RELEASE);
}

int table_next(int fd)
{
	while ((unsigned)fd < TABLE_SIZE) {
		const uintptr_t *chunk = table_chunks[(unsigned)fd >> TABLE_CHUNK_BITS];

		if (chunk == NULL)
			fd |= CHUNK_ENTRIES - 1;
		else if (chunk[fd % CHUNK_ENTRIES] != 0)
			return fd;
		fd++;
	}
	return -1;
}
