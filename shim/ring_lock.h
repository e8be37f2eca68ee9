/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sync_lock of the local CSB: who syncs a ring. It lies in memory that several processes share, any
 * of which can be killed while it holds it; so it names its holder, and who finds it taken by a
 * thread that is no more takes it over.
 *
 * The word is the thread's id (22 bits; the kernel's limit) and 10 bits of its start time, so that
 * a new thread with the old one's number isn't taken for it.
 */
#ifndef PTNET_SHIM_RING_LOCK_H
#define PTNET_SHIM_RING_LOCK_H

#include <stdbool.h>
#include <stdint.h>

/* A turn of a loop that waits for another processor. */
static inline void cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* The calling thread's word; 0: not yet known. */
extern __thread uint32_t ring_lock_token;

/* Finds it out. Never 0. */
uint32_t ring_lock_make_token(void);

/* The lock is taken: waits a moment, and takes it over from the dead. False: it stays taken. */
bool ring_lock_contended(uint32_t *lock, uint32_t token);

/* False: somebody else is syncing the ring. Never waits for long. Any context. */
static inline bool ring_lock_try(uint32_t *lock)
{
	uint32_t token = ring_lock_token, none = 0;

	if (__builtin_expect(token == 0, 0))
		token = ring_lock_make_token();
	if (__builtin_expect(__atomic_compare_exchange_n(lock, &none, token, false,
							 __ATOMIC_ACQUIRE, __ATOMIC_RELAXED),
			     1))
		return true;
	return ring_lock_contended(lock, token);
}

static inline void ring_lock_release(uint32_t *lock)
{
	__atomic_store_n(lock, 0, __ATOMIC_RELEASE);
}

#endif
