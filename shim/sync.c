/* SPDX-License-Identifier: BSD-2-Clause */
#include "sync.h"

#include <errno.h>
#include <sys/syscall.h>
#include <time.h>

#include "clock.h"
#include "indirect.h"
#include "looking.h"
#include "real.h"
#include "ring_lock.h"
#include "sleeper.h"

/* An answer that comes at once costs no system call. */
#define LOOKS 50

/* ---- the program's header ---- */

/*
 * Slots that the program left without a valid buffer, or with an impossible length, are made empty
 * (section 3.3). Only its own: the daemon may be at the others.
 */
static void clean_slots(struct shim_ring *r, uint32_t from, uint32_t to)
{
	for (; from != to; from = ring_next_slot(r->num_slots, from)) {
		struct netmap_slot *slot = &r->ring->slot[from];

		if (slot->buf_idx < FIRST_BUFFER || slot->buf_idx >= r->num_bufs) {
			slot->buf_idx = 0;
			slot->len = 0;
		} else if (slot->len > r->buf_size) {
			slot->len = 0;
		}
	}
}

static void show_tail(struct shim_ring *r, uint32_t hwtail)
{
	if (r->atok->shown_tail != hwtail)
		PTNET_STORE_RELAXED(&r->atok->shown_tail, hwtail);
	/* Even if nothing has moved: the program may have overwritten it. */
	PTNET_STORE_RELEASE(&r->ring->tail, hwtail);
}

/*
 * Puts the header back to what was last agreed upon. (netmap resets to hwcur; here the daemon may
 * be at work between hwcur and the published head, which therefore can't move back.)
 */
static void reset(struct shim_ring *r, uint32_t head, uint32_t hwtail)
{
	clean_slots(r, head, hwtail);
	PTNET_STORE_RELAXED(&r->ring->head, head);
	PTNET_STORE_RELAXED(&r->ring->cur, head);
	show_tail(r, hwtail);
}

static void show_time(struct shim_ring *r)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	r->ring->ts.tv_sec = now.tv_sec;
	r->ring->ts.tv_usec = now.tv_nsec / 1000;
}

/* ---- one ring ---- */

bool sync_publish(struct shim_ring *r, uint32_t published, uint32_t head, uint32_t cur)
{
	struct nm_csb_atok *atok = (struct nm_csb_atok *)r->atok;

	if (head != published || cur != PTNET_LOAD_RELAXED(&atok->cur)) {
		if (r->fetch)
			indirect_fetch(r, published, head);
		ptnet_csb_publish(atok, head, cur);
	} else if (PTNET_LOAD_RELAXED(&r->ktoa->hwcur) == head) {
		return false;
	}
	/* Also for what is on its way: whoever published it may have died before his kick. */
	return ptnet_csb_must_kick((const struct nm_csb_ktoa *)r->ktoa);
}

/* Under sync_lock. Sets *kick if the daemon must be kicked. */
static unsigned exchange(struct shim_ring *r, bool *kick)
{
	uint32_t head = PTNET_LOAD_ACQUIRE(&r->ring->head);
	uint32_t cur = PTNET_LOAD_RELAXED(&r->ring->cur);
	uint32_t hwtail = PTNET_LOAD_ACQUIRE(&r->ktoa->hwtail);
	uint32_t published = PTNET_LOAD_RELAXED(&r->atok->head);
	unsigned result = 0;

	*kick = false;
	if (SHIM_UNLIKELY(hwtail >= r->num_slots || published >= r->num_slots))
		return SYNC_STOPPED;
	if (SHIM_UNLIKELY(!sync_valid(r->num_slots, published, head, cur,
				      r->tx ? r->atok->shown_tail : hwtail))) {
		result = SYNC_RESET;
		reset(r, published, hwtail);
		/* An RX ring is synced all the same. */
		if (r->tx)
			return result;
		head = cur = published;
	}
	*kick = sync_publish(r, published, head, cur);
	if (cur == hwtail) {
		hwtail = PTNET_LOAD_ACQUIRE(&r->ktoa->hwtail);
		if (SHIM_UNLIKELY(hwtail >= r->num_slots))
			return SYNC_STOPPED;
	}
	show_tail(r, hwtail);
	if (!r->tx)
		show_time(r);
	return result | (cur != hwtail ? SYNC_READY : 0);
}

/* A null port's: nothing ever happens to it. */
static unsigned look_only(const struct shim_ring *r)
{
	return r->ring->cur != r->ring->tail ? SYNC_READY : 0;
}

unsigned sync_ring(const struct description *d, struct shim_ring *r)
{
	unsigned result;
	bool kick;

	if (SHIM_UNLIKELY(r->atok == NULL))
		return look_only(r);
	if (SHIM_UNLIKELY(sync_stopped(d, r)))
		return SYNC_STOPPED;
	if (SHIM_UNLIKELY(!ring_lock_try(&r->atok->sync_lock)))
		return SYNC_BUSY;
	result = exchange(r, &kick);
	ring_lock_release(&r->atok->sync_lock);
	if (kick)
		hidden_signal(&r->kick);
	return result;
}

/* ---- waiting for the daemon ---- */

static bool is_done(const struct description *d, const struct shim_ring *r, uint32_t number)
{
	return (int32_t)(PTNET_LOAD_ACQUIRE(&r->ktoa->sync_done) - number) >= 0 ||
	       sync_stopped(d, r) || __atomic_load_n(&d->closed, __ATOMIC_RELAXED);
}

/* Of @d's TX rings, a number each; 0 for none. */
struct waits {
	uint32_t number[PTNET_MAX_RINGS];
	bool any;
};

static bool all_done(const struct description *d, const struct waits *waits)
{
	unsigned i;

	for (i = 0; i < d->num_tx; i++)
		if (waits->number[i] != 0 && !is_done(d, &d->rings[i], waits->number[i]))
			return false;
	return true;
}

/* Without an epoll there is nothing but to look from time to time, also for the daemon's end. */
static void doze(struct description *d, int fd)
{
	struct timespec none = {0, 0}, moment = {0, 50000};
	struct pollfd end = {fd, 0, 0};
	int error = errno;

	syscall(SYS_ppoll, &end, 1UL, &none, NULL, 0UL);
	if ((end.revents & (POLLHUP | POLLERR)) != 0 && description_verify(fd, d))
		__atomic_store_n(&d->dead, true, __ATOMIC_RELAXED);
	syscall(SYS_nanosleep, &moment, NULL);
	errno = error;
}

static bool look_for_done(const struct description *d, const struct waits *waits)
{
	struct looking looking = {0};
	int i;

	for (i = 0; i < LOOKS; i++) {
		if (all_done(d, waits))
			return true;
		cpu_relax();
	}
	while (looking_goes_on(&looking))
		if (all_done(d, waits))
			return true;
	return false;
}

static void wait_until_done(struct description *d, int fd, const struct waits *waits)
{
	struct sleeper *s;
	uint64_t since;

	if (look_for_done(d, waits))
		return;
	since = clock_ns();
	s = sleeper_get();
	if (s == NULL || sleeper_watch(s, d, fd, SLEEP_TX) < 0) {
		while (!all_done(d, waits))
			doze(d, fd);
	} else {
		sleeper_arm(d, SLEEP_TX);
		while (!all_done(d, waits))
			sleeper_pause(s);
		sleeper_disarm(d, SLEEP_TX);
	}
	looking_slept(clock_ns() - since);
	if (s != NULL)
		sleeper_put(s);
}

/*
 * The TX ring's part of NIOCTXSYNC that doesn't wait. Returns the number to wait for; 0: none,
 * because nothing is under way.
 */
static uint32_t request_done(struct shim_ring *r, unsigned *result)
{
	uint32_t number = 0, head, hwtail;
	bool kick;

	if (!ring_lock_try(&r->atok->sync_lock)) {
		*result = SYNC_BUSY;
		return 0;
	}
	*result = exchange(r, &kick);
	head = r->atok->head;
	hwtail = PTNET_LOAD_RELAXED(&r->ktoa->hwtail);
	if ((*result & (SYNC_RESET | SYNC_STOPPED)) == 0 &&
	    (PTNET_LOAD_RELAXED(&r->ktoa->hwcur) != head ||
	     ring_next_slot(r->num_slots, hwtail) != head)) {
		number = __atomic_add_fetch(&r->atok->sync_request, 1, __ATOMIC_SEQ_CST);
		/* 0 stands for none. */
		if (number == 0)
			number = __atomic_add_fetch(&r->atok->sync_request, 1, __ATOMIC_SEQ_CST);
		kick = true;
	}
	ring_lock_release(&r->atok->sync_lock);
	if (kick)
		hidden_signal(&r->kick);
	return number;
}

int sync_all_tx(struct description *d, int fd)
{
	struct waits waits = {.any = false};
	unsigned i, result = 0, one;

	for (i = 0; i < d->num_tx; i++) {
		struct shim_ring *r = &d->rings[i];

		waits.number[i] = 0;
		if (r->atok == NULL)
			continue;
		if (sync_stopped(d, r)) {
			result |= SYNC_STOPPED;
			continue;
		}
		waits.number[i] = request_done(r, &one);
		waits.any |= waits.number[i] != 0;
		result |= one;
	}
	if (waits.any) {
		wait_until_done(d, fd, &waits);
		for (i = 0; i < d->num_tx; i++)
			if (waits.number[i] != 0)
				result |= sync_ring(d, &d->rings[i]);
	}
	return (result & SYNC_STOPPED) != 0 ? -EIO : 0;
}

int sync_all_rx(struct description *d)
{
	unsigned i, result = 0;

	for (i = d->num_tx; i < d->num_tx + d->num_rx; i++)
		result |= sync_ring(d, &d->rings[i]);
	return (result & SYNC_STOPPED) != 0 ? -EIO : 0;
}
