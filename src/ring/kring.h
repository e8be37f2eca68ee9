/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A kring: the daemon's view of one ring. The shared ring and its CSB entry can
 * be written by the other side at any time, so positions, geometry and state
 * live here. What the other side writes is read by the functions below, each word once,
 * into a private copy that is checked before use; elsewhere it is only compared.
 *
 * This is the daemon's half of the CSB protocol (spec/ptnet-device.md section 7);
 * the guest's half is ptnet/csb.h; tests/model proves both.
 *
 * Locking: `lock` is held by whoever runs the ring or delivers into it. A TX
 * ring's lock may be held while an RX ring's is taken, never the reverse, and
 * never two of the same direction.
 */
#ifndef PTNET_RING_KRING_H
#define PTNET_RING_KRING_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <ptnet/csb.h>
#include <ptnet/local.h>

#include "memory/region.h"
#include "ring/counters.h"

struct log_limit;
struct port;
struct worker;

enum kring_state {
	KRING_STOPPED, /* no endpoint: atok and ktoa are NULL */
	KRING_RUNNING,
	KRING_FAULTED,	 /* see enum ptnet_ring_fault; until it is stopped and started */
	KRING_SUSPENDED, /* the CSB is out of reach for now; its owner doesn't know */
};

enum kring_dir { KRING_TX = NETMAP_SLOT_TX, KRING_RX = NETMAP_SLOT_RX };

struct kring {
	/* Constant while the port lives. */
	struct port *port;
	const char *port_name;
	struct log_limit *log_limit; /* the port's, for lines that its owner can cause */
	struct netmap_slot *slots;   /* shared memory */
	char *buf_base;		     /* buffer 0 */
	uint32_t buf_size;
	uint32_t buf_total;
	uint32_t num_slots;
	uint16_t index; /* in its direction */
	uint8_t dir;
	uint32_t ring_object;	  /* in the region's ring pool */
	struct netmap_ring *ring; /* shared memory */
	bool borrows_bufs;	  /* a pipe's reader: it holds what the sender passed on */
	struct kring *peer;	  /* pipe: the coupled ring of the other end; under lock */

	/* The rest is under lock. */
	pthread_mutex_t lock;
	enum kring_state state;
	bool extension;
	enum ptnet_ring_fault fault;
	uint32_t hwcur;	 /* first slot not yet taken from the owner */
	uint32_t hwtail; /* first slot that is not the owner's */
	uint32_t head;	 /* last accepted values of the owner's */
	uint32_t cur;
	uint32_t reported_hwtail; /* hwtail in the CSB */
	bool interrupt_owed;	  /* hwtail moved since the owner was last told */
	uint32_t crowded_head;	  /* head when a sender last made way for the receiver */
	struct nm_csb_atok *atok;
	struct ptnet_csb_ktoa *ktoa;
	/* Host processes: who asks to be told when all that it published is taken (ptnet/local.h).
	 */
	const uint32_t *sync_request; /* in the CSB; NULL: nobody does */
	uint32_t *sync_answer;
	uint32_t sync_seen; /* the last request that a look at head was taken for, */
	uint32_t sync_head; /* what it found; it is answered when that much has been taken; */
	uint32_t sync_done; /* the last one answered. One at a time: others may go on publishing */
	int interrupt_fd;
	uint64_t offset_mask; /* of slot.ptr: where a packet begins in its buffer; 0: at 0 */
	uint64_t max_offset;  /* bytes */
	struct ring_counters counters;

	/* The engine's (src/engine/worker.c). */
	struct worker *worker;
	_Atomic uint32_t sched_state;
	TAILQ_ENTRY(kring) sched_link;
	struct kring *inbox_next;
	enum { SCHED_NOWHERE, SCHED_RUN, SCHED_LOOK, SCHED_RECHECK } sched_place;
	uint64_t sched_deadline_ns;
	uint64_t idle_since_ns;
	uint32_t look_ns;
	unsigned recheck_stage;
	/* Makes the ring run soon; set by the engine, any thread. NULL: no engine. */
	void (*wake)(struct kring *kring);
} __attribute__((aligned(128)));

static inline uint32_t ring_next(uint32_t num_slots, uint32_t index)
{
	return index + 1 == num_slots ? 0 : index + 1;
}

static inline uint32_t ring_prev(uint32_t num_slots, uint32_t index)
{
	return index == 0 ? num_slots - 1 : index - 1;
}

/* Slots from @from up to, not including, @to. */
static inline uint32_t ring_distance(uint32_t num_slots, uint32_t from, uint32_t to)
{
	return to >= from ? to - from : to + num_slots - from;
}

/* @count at most @num_slots. */
static inline uint32_t ring_advance(uint32_t num_slots, uint32_t index, uint32_t count)
{
	uint32_t sum = index + count;

	return sum >= num_slots ? sum - num_slots : sum;
}

/* Everything below: caller holds kring->lock, unless it says otherwise. */

/*
 * Reads the owner's head and cur once and accepts them if
 * hwcur <= head <= cur <= hwtail, circularly. False: they are bad, and the ring
 * is stopped, or it was not running.
 */
bool kring_pull(struct kring *kring);

/* Unaccepted head as it stands in the CSB; no checks: only fit to compare. */
static inline uint32_t kring_peek_head(const struct kring *kring)
{
	return PTNET_LOAD_RELAXED(&kring->atok->head);
}

/*
 * Publishes hwcur and hwtail to the owner and answers its sync if all is taken. Interrupts it if
 * there was news and it asked for that.
 */
void kring_push(struct kring *kring);

/*
 * The same without the interrupt, which stays owed: for a caller that is sure to
 * call kring_push() soon, so that a waiting owner is woken once for more.
 */
void kring_push_quietly(struct kring *kring);

/* Has a look at head been asked for that none has been taken for yet? No store. */
static inline bool kring_sync_pending(const struct kring *kring)
{
	return kring->sync_request != NULL && kring->sync_seen == kring->sync_done &&
	       PTNET_LOAD_RELAXED(kring->sync_request) != kring->sync_seen;
}

/* Is it kring_push() alone that the owner's sync is still waiting for? */
static inline bool kring_sync_answerable(const struct kring *kring)
{
	return kring->sync_seen != kring->sync_done &&
	       ring_distance(kring->num_slots, kring->hwcur, kring->head) <=
		       ring_distance(kring->num_slots, kring->sync_head, kring->head);
}

/* Tells the owner whether we want a kick. No barrier: see kring_full_barrier(). */
static inline void kring_set_need_kick(struct kring *kring, bool need)
{
	PTNET_STORE_RELAXED(&kring->ktoa->kern_need_kick, need ? 1 : 0);
}

/*
 * From now on packets begin at slot.ptr & @mask, at most @max bytes into their buffers; @mask 0: at
 * 0. Until the ring stops. port/offsets.h decides who may have what.
 */
void kring_set_offsets(struct kring *kring, uint64_t mask, uint64_t max);

/* Takes the descriptor over; an interrupt that is owed goes out. */
void kring_set_interrupt(struct kring *kring, int eventfd);

/* After kring_set_need_kick(true), before looking at head again. */
static inline void kring_full_barrier(void)
{
	PTNET_FULL_BARRIER(); /* pairs with the guest's in ptnet_csb_must_kick() */
}

/* Stops the ring for a bad value: counts, tells log and owner. */
void kring_fault(struct kring *kring, enum ptnet_ring_fault fault, uint32_t value);

/* Words for a fault, as logs and `ptnetctl` show them. Any thread. */
const char *kring_fault_name(enum ptnet_ring_fault fault);
const char *kring_state_name(enum kring_state state);

/* Starts and stops; see engine/endpoint.h for what they promise. */
void kring_start(struct kring *kring, struct nm_csb_atok *atok, struct nm_csb_ktoa *ktoa,
		 bool extension);
/* The same for host processes, whose CSB is another (ptnet/local.h). */
void kring_start_local(struct kring *kring, struct ptnet_local_atok *atok,
		       struct ptnet_local_ktoa *ktoa);
void kring_stop(struct kring *kring);

/* Between these two the ring is left alone and keeps everything. */
void kring_suspend(struct kring *kring);
void kring_resume(struct kring *kring, struct nm_csb_atok *atok, struct nm_csb_ktoa *ktoa);

/* Reads a slot in the shared ring exactly once. */
static inline struct netmap_slot kring_load_slot(const struct kring *kring, uint32_t index)
{
	const uint64_t *words = (const uint64_t *)&kring->slots[index];
	union {
		uint64_t words[2];
		struct netmap_slot slot;
	} copy;

	copy.words[0] = __atomic_load_n(&words[0], __ATOMIC_RELAXED);
	copy.words[1] = __atomic_load_n(&words[1], __ATOMIC_RELAXED);
	return copy.slot;
}

static inline void kring_store_slot(struct kring *kring, uint32_t index, struct netmap_slot slot)
{
	uint64_t *words = (uint64_t *)&kring->slots[index];
	union {
		struct netmap_slot slot;
		uint64_t words[2];
	} copy = {.slot = slot};

	__atomic_store_n(&words[0], copy.words[0], __ATOMIC_RELAXED);
	__atomic_store_n(&words[1], copy.words[1], __ATOMIC_RELAXED);
}

/* Of a slot just taken from its owner, who may tell by it that the slot was consumed (2.3). */
static inline void kring_clear_buf_changed(const struct kring *kring, uint32_t index,
					   struct netmap_slot slot)
{
	if ((slot.flags & NS_BUF_CHANGED) != 0)
		__atomic_store_n(&kring->slots[index].flags, slot.flags & (uint16_t)~NS_BUF_CHANGED,
				 __ATOMIC_RELAXED);
}

/* The one check of a slot's buffer: index and length inside the region's pool. */
static inline bool kring_slot_valid(const struct kring *kring, struct netmap_slot slot)
{
	return slot.buf_idx >= REGION_FIRST_BUF && slot.buf_idx < kring->buf_total &&
	       slot.len <= kring->buf_size;
}

/* Where the packet begins, in bytes from its buffer's (spec/netmap-api.md section 7.5). */
static inline uint64_t kring_offset(const struct kring *kring, struct netmap_slot slot)
{
	return slot.ptr & kring->offset_mask;
}

/* Of a slot that kring_slot_valid() accepted: whether the packet is inside its buffer. */
static inline bool kring_offset_valid(const struct kring *kring, struct netmap_slot slot)
{
	uint64_t offset = kring_offset(kring, slot);

	return offset <= kring->max_offset && offset + slot.len <= kring->buf_size;
}

/* Of a slot that kring_slot_valid() accepted. */
static inline char *kring_buf(const struct kring *kring, struct netmap_slot slot)
{
	return kring->buf_base + (size_t)slot.buf_idx * kring->buf_size;
}

#endif
