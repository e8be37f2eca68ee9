/* SPDX-License-Identifier: BSD-2-Clause */
#include "ring/kring.h"

#include <errno.h>
#include <string.h>

#include "log/log.h"
#include "ring/interrupt.h"

static const char *const fault_names[PTNET_FAULT_COUNT] = {
	[PTNET_FAULT_NONE] = "none",	       [PTNET_FAULT_HEAD] = "bad_head",
	[PTNET_FAULT_CUR] = "bad_cur",	       [PTNET_FAULT_BUF_IDX] = "bad_buffer_index",
	[PTNET_FAULT_CSB] = "csb_memory_lost", [PTNET_FAULT_GONE] = "port_deleted",
};

static const char *const state_names[] = {
	[KRING_STOPPED] = "stopped",
	[KRING_RUNNING] = "running",
	[KRING_FAULTED] = "faulted",
	[KRING_SUSPENDED] = "suspended",
};

const char *kring_fault_name(enum ptnet_ring_fault fault)
{
	return fault < PTNET_FAULT_COUNT ? fault_names[fault] : "unknown";
}

const char *kring_state_name(enum kring_state state)
{
	return state_names[state];
}

static bool pull_positions(struct kring *kring)
{
	uint32_t head, cur, owned;

	/* Head first: the guest stores it last, so cur is at least as new (spec 7.1). */
	head = PTNET_LOAD_ACQUIRE(&kring->atok->head);
	cur = PTNET_LOAD_ACQUIRE(&kring->atok->cur);
	if (head == kring->head && cur == kring->cur)
		return true;
	owned = ring_distance(kring->num_slots, kring->hwcur, kring->hwtail);
	if (head >= kring->num_slots ||
	    ring_distance(kring->num_slots, kring->hwcur, head) > owned) {
		kring_fault(kring, PTNET_FAULT_HEAD, head);
		return false;
	}
	if (cur >= kring->num_slots ||
	    ring_distance(kring->num_slots, head, cur) >
		    ring_distance(kring->num_slots, head, kring->hwtail)) {
		kring_fault(kring, PTNET_FAULT_CUR, cur);
		return false;
	}
	kring->head = head;
	kring->cur = cur;
	return true;
}

bool kring_pull(struct kring *kring)
{
	uint32_t asked = kring->sync_seen;

	if (kring->state != KRING_RUNNING)
		return false;
	/* Before head: whoever asks has published by then. */
	if (kring->sync_request != NULL && kring->sync_seen == kring->sync_done)
		asked = PTNET_LOAD_ACQUIRE(kring->sync_request);
	if (!pull_positions(kring))
		return false;
	if (asked != kring->sync_seen) {
		kring->sync_seen = asked;
		kring->sync_head = kring->head;
	}
	return true;
}

/* One that fails stays owed, and is made up for with the next or with a new eventfd. */
static void kring_interrupt(struct kring *kring)
{
	int result = -EBADF;

	if (kring->interrupt_fd >= 0)
		result = interrupt_raise(kring->interrupt_fd);
	kring->interrupt_owed = result < 0;
	if (result == 0) {
		ring_count(&kring->counters, RING_INTERRUPTS_SENT, 1);
		return;
	}
	ring_count(&kring->counters, RING_INTERRUPTS_FAILED, 1);
	if (result != -EBADF)
		log_limited(kring->log_limit, LOG_LEVEL_WARNING,
			    "port %s: cannot interrupt the guest: %s", kring->port_name,
			    strerror(-result));
}

void kring_push_quietly(struct kring *kring)
{
	struct ptnet_csb_ktoa *ktoa = kring->ktoa;

	/* hwcur before hwtail: the guest may see hwcur newer, never the opposite (7.1). */
	PTNET_STORE_RELEASE(&ktoa->hwcur, kring->hwcur);
	if (kring->hwtail == kring->reported_hwtail)
		return;
	PTNET_STORE_RELEASE(&ktoa->hwtail, kring->hwtail);
	kring->reported_hwtail = kring->hwtail;
	kring->interrupt_owed = true;
}

void kring_push(struct kring *kring)
{
	kring_push_quietly(kring);
	if (kring_sync_answerable(kring)) {
		/* After hwtail: who is answered sees what came back. */
		PTNET_STORE_RELEASE(kring->sync_answer, kring->sync_seen);
		kring->sync_done = kring->sync_seen;
		kring->interrupt_owed = true;
	}
	if (!kring->interrupt_owed)
		return;
	PTNET_FULL_BARRIER(); /* pairs with the guest's in ptnet_csb_enable_interrupt() */
	if (PTNET_LOAD_RELAXED(&kring->atok->appl_need_kick) != 0) {
		kring_interrupt(kring);
		return;
	}
	kring->interrupt_owed = false;
	ring_count(&kring->counters, RING_INTERRUPTS_SUPPRESSED, 1);
}

void kring_set_interrupt(struct kring *kring, int eventfd)
{
	kring->interrupt_fd = eventfd;
	if (eventfd >= 0 && kring->interrupt_owed && kring->state == KRING_RUNNING)
		kring_interrupt(kring);
}

void kring_fault(struct kring *kring, enum ptnet_ring_fault fault, uint32_t value)
{
	kring->state = KRING_FAULTED;
	kring->fault = fault;
	ring_count(&kring->counters, RING_FAULTS, 1);
	if (kring->extension)
		PTNET_STORE_RELEASE(&kring->ktoa->ring_fault, (uint32_t)fault);
	kring_interrupt(kring);
	if (fault == PTNET_FAULT_GONE) /* whoever deletes the port says so */
		return;
	log_limited(kring->log_limit, LOG_LEVEL_WARNING,
		    "port %s: %s ring %u stopped: %s %u (hwcur %u, hwtail %u, %u slots, %u "
		    "buffers); its owner must re-open it",
		    kring->port_name, kring->dir == KRING_TX ? "TX" : "RX", kring->index,
		    kring_fault_name(fault), value, kring->hwcur, kring->hwtail, kring->num_slots,
		    kring->buf_total);
}

void kring_start(struct kring *kring, struct nm_csb_atok *atok, struct nm_csb_ktoa *ktoa,
		 bool extension)
{
	kring->atok = atok;
	kring->ktoa = (struct ptnet_csb_ktoa *)ktoa;
	kring->extension = extension;
	kring->fault = PTNET_FAULT_NONE;
	PTNET_STORE_RELAXED(&atok->head, kring->head);
	PTNET_STORE_RELAXED(&atok->cur, kring->cur);
	PTNET_STORE_RELAXED(&atok->appl_need_kick, 1);
	PTNET_STORE_RELAXED(&atok->sync_flags, 1);
	PTNET_STORE_RELAXED(&ktoa->hwcur, kring->hwcur);
	PTNET_STORE_RELAXED(&ktoa->hwtail, kring->hwtail);
	PTNET_STORE_RELAXED(&ktoa->kern_need_kick, 1);
	if (extension)
		PTNET_STORE_RELAXED(&kring->ktoa->ring_fault, (uint32_t)PTNET_FAULT_NONE);
	kring->reported_hwtail = kring->hwtail;
	kring->interrupt_owed = false;
	kring->state = KRING_RUNNING;
}

void kring_start_local(struct kring *kring, struct ptnet_local_atok *atok,
		       struct ptnet_local_ktoa *ktoa)
{
	PTNET_STORE_RELAXED(&atok->sync_request, 0);
	PTNET_STORE_RELAXED(&atok->sync_lock, 0);
	PTNET_STORE_RELAXED(&atok->shown_tail, kring->hwtail);
	PTNET_STORE_RELAXED(&ktoa->sync_done, 0);
	kring->sync_request = &atok->sync_request;
	kring->sync_answer = &ktoa->sync_done;
	kring->sync_seen = kring->sync_done = 0;
	kring_start(kring, (struct nm_csb_atok *)atok, (struct nm_csb_ktoa *)ktoa, true);
	PTNET_STORE_RELAXED(&atok->appl_need_kick, 0); /* it counts who sleeps */
}

static void kring_leave_csb(struct kring *kring, enum kring_state state)
{
	kring->state = state;
	kring->atok = NULL;
	kring->ktoa = NULL;
	kring->sync_request = NULL;
	kring->sync_answer = NULL;
	kring->sync_seen = kring->sync_done = 0;
}

/*
 * A thread may sleep on a ring that another one of its process closes: no more news will come.
 */
static void dismiss_sleepers(struct kring *kring)
{
	PTNET_STORE_RELEASE(&kring->ktoa->ring_fault, (uint32_t)PTNET_FAULT_GONE);
	PTNET_FULL_BARRIER(); /* pairs with that of whoever is about to sleep */
	if (PTNET_LOAD_RELAXED(&kring->atok->appl_need_kick) != 0)
		kring_interrupt(kring);
}

void kring_set_offsets(struct kring *kring, uint64_t mask, uint64_t max)
{
	kring->offset_mask = mask;
	kring->max_offset = max;
	__atomic_store_n(&kring->ring->offset_mask, mask, __ATOMIC_RELAXED);
}

void kring_stop(struct kring *kring)
{
	if (kring->sync_request != NULL)
		dismiss_sleepers(kring);
	if (kring->offset_mask != 0)
		kring_set_offsets(kring, 0, 0);
	kring_leave_csb(kring, KRING_STOPPED);
}

void kring_suspend(struct kring *kring)
{
	kring_leave_csb(kring, KRING_SUSPENDED);
}

/* What the guest wrote meanwhile stands, and it may be waiting for what we could not tell it. */
void kring_resume(struct kring *kring, struct nm_csb_atok *atok, struct nm_csb_ktoa *ktoa)
{
	kring->atok = atok;
	kring->ktoa = (struct ptnet_csb_ktoa *)ktoa;
	kring->state = kring->fault == PTNET_FAULT_NONE ? KRING_RUNNING : KRING_FAULTED;
	kring_set_need_kick(kring, true);
	PTNET_STORE_RELEASE(&ktoa->hwcur, kring->hwcur);
	PTNET_STORE_RELEASE(&ktoa->hwtail, kring->hwtail);
	kring->reported_hwtail = kring->hwtail;
	kring_interrupt(kring);
}
