/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The CSB protocol, guest side: how a driver or program that shares a CSB with
 * the daemon publishes its positions, reads the daemon's and decides whether to
 * kick (spec/ptnet-device.md section 7). The daemon's half is src/ring/kring.h;
 * tests/model checks both halves together and names these functions.
 *
 * The rule that everything hangs on: each side stores its index, executes a full
 * barrier and then loads the other's "need kick" flag; each side that goes idle
 * stores its own flag, executes a full barrier and then loads the other's index.
 * Whatever the interleaving, at least one of them sees the other's store.
 *
 * One thread at a time per ring. Freestanding: the includer supplies nothing.
 */
#ifndef _PTNET_CSB_H_
#define _PTNET_CSB_H_

#include <net/netmap.h>

#ifdef __KERNEL__
#include <asm/barrier.h>
#include <linux/compiler.h>
#define PTNET_LOAD_RELAXED(p)	  READ_ONCE(*(p))
#define PTNET_LOAD_ACQUIRE(p)	  smp_load_acquire(p)
#define PTNET_STORE_RELAXED(p, v) WRITE_ONCE(*(p), v)
#define PTNET_STORE_RELEASE(p, v) smp_store_release(p, v)
/* The other side is another CPU even when this kernel was built for one. */
#define PTNET_FULL_BARRIER() virt_mb()
#else
#define PTNET_LOAD_RELAXED(p)	  __atomic_load_n((p), __ATOMIC_RELAXED)
#define PTNET_LOAD_ACQUIRE(p)	  __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define PTNET_STORE_RELAXED(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define PTNET_STORE_RELEASE(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
#define PTNET_FULL_BARRIER()	  __atomic_thread_fence(__ATOMIC_SEQ_CST)
#endif

/*
 * Host-to-guest entry as our extension sees it: netmap's three words, then the
 * reason why the daemon stopped this ring (enum ptnet_ring_fault; 0: it has not).
 * Cleared by CREATE. Drivers that do not know the extension never read it.
 */
struct ptnet_csb_ktoa {
	uint32_t hwcur;
	uint32_t hwtail;
	uint32_t kern_need_kick;
	uint32_t ring_fault;
	uint32_t pad[12];
};
NETMAP_PIN_SIZE(struct ptnet_csb_ktoa, sizeof(struct nm_csb_ktoa));

enum ptnet_ring_fault {
	PTNET_FAULT_NONE = 0,
	PTNET_FAULT_HEAD = 1,	 /* head out of range or not between hwcur and hwtail */
	PTNET_FAULT_CUR = 2,	 /* cur out of range or not between head and hwtail */
	PTNET_FAULT_BUF_IDX = 3, /* a slot given back names no buffer of the region */
	PTNET_FAULT_CSB = 4,	 /* the CSB's memory went away */
	PTNET_FAULT_GONE = 5,	 /* the port is being deleted; host processes: or was closed */
	PTNET_FAULT_COUNT
};

/* What sync_flags may carry with a kick (section 7.3). */
#define PTNET_SYNC_FORCE_READ	 1
#define PTNET_SYNC_FORCE_RECLAIM 2

/* Publishes head and cur; the slots before head must be complete (7.1). */
static inline void ptnet_csb_publish(struct nm_csb_atok *atok, uint32_t head, uint32_t cur)
{
	/* The host may see a cur newer than head, never the opposite. */
	PTNET_STORE_RELEASE(&atok->cur, cur);
	PTNET_STORE_RELEASE(&atok->head, head);
}

/* Reads the daemon's positions; the slots before *hwtail may be read after it (7.1). */
static inline void ptnet_csb_read(const struct nm_csb_ktoa *ktoa, uint32_t *hwcur, uint32_t *hwtail)
{
	*hwtail = PTNET_LOAD_ACQUIRE(&ktoa->hwtail);
	*hwcur = PTNET_LOAD_ACQUIRE(&ktoa->hwcur);
}

/* After ptnet_csb_publish(): must the daemon be kicked? (7.2) */
static inline int ptnet_csb_must_kick(const struct nm_csb_ktoa *ktoa)
{
	PTNET_FULL_BARRIER(); /* pairs with the daemon's, after it sets kern_need_kick */
	return PTNET_LOAD_RELAXED(&ktoa->kern_need_kick) != 0;
}

/*
 * Asks for an interrupt at the daemon's next progress. The caller must read the
 * daemon's positions again afterwards and sleep only if they have not moved (7.2).
 */
static inline void ptnet_csb_enable_interrupt(struct nm_csb_atok *atok)
{
	PTNET_STORE_RELAXED(&atok->appl_need_kick, 1);
	PTNET_FULL_BARRIER(); /* pairs with the daemon's, after it stores hwtail */
}

/* Takes the request back; an interrupt may still come and must be harmless. */
static inline void ptnet_csb_disable_interrupt(struct nm_csb_atok *atok)
{
	PTNET_STORE_RELAXED(&atok->appl_need_kick, 0);
}

#endif /* _PTNET_CSB_H_ */
