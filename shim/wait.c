/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * poll(), ppoll(), select() and pselect() with netmap descriptors among others. Each is netmap's
 * evaluation (readiness.h), before and after sleeping, beside the real thing for the others.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "description.h"
#include "epoll_set.h"
#include "looking.h"
#include "readiness.h"
#include "real.h"
#include "signals.h"
#include "sleeper.h"
#include "sync.h"
#include "table.h"

#define SMALL 64 /* descriptors that are waited for without asking for memory */

/* One that is netmap's, or an epoll in which there is something of netmap's. */
struct member {
	nfds_t index;
	struct description *d;
	struct epoll_set *set;
	unsigned directions;
	bool armed;
};

struct wait {
	struct pollfd *fds; /* the program's */
	nfds_t count;
	struct pollfd *others; /* what the kernel is to look at; netmap's are -1 */
	nfds_t num_others;     /* that are not -1 */
	struct member *members;
	nfds_t num_members;
	struct sleeper *sleeper;
	bool armed;
	struct arming arming; /* of the sets */
	bool busy;
	struct held_signals own, *signals; /* the former's or the caller's */
	void *block;			   /* of memory for members and others, if they are many */
	size_t block_size;
};

static bool is_ours(int fd)
{
	enum table_kind kind = table_kind(table_get(fd));

	return kind == TABLE_NETMAP || kind == TABLE_EPOLL;
}

static nfds_t count_ours(const struct pollfd *fds, nfds_t count)
{
	nfds_t i, ours = 0;

	for (i = 0; i < count; i++)
		ours += is_ours(fds[i].fd);
	return ours;
}

/* ---- setting up ---- */

static void add_member(struct wait *w, nfds_t i)
{
	struct member *m = &w->members[w->num_members];

	m->index = i;
	m->set = NULL;
	m->directions = 0;
	m->d = description_get(w->fds[i].fd);
	if (m->d != NULL) {
		m->directions = directions_of((uint16_t)w->fds[i].events);
		w->others[i].fd = -1;
		w->num_members++;
		return;
	}
	m->set = epoll_set_get(w->fds[i].fd);
	if (m->set != NULL)
		w->num_members++;
	w->num_others++;
}

/* @small: room for SMALL others and members. */
static int set_up(struct wait *w, struct pollfd *fds, nfds_t count, nfds_t ours,
		  struct pollfd *small_others, struct member *small_members)
{
	nfds_t i;

	*w = (struct wait){.fds = fds, .count = count};
	w->others = small_others;
	w->members = small_members;
	if (count >= SMALL) {
		w->block_size = (count + 1) * sizeof(*w->others) + ours * sizeof(*w->members) +
				_Alignof(struct member);
		w->block = real.mmap(NULL, w->block_size, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (w->block == MAP_FAILED)
			return -ENOMEM;
		w->members = w->block;
		w->others = (struct pollfd *)(w->members + ours);
	}
	for (i = 0; i < count; i++) {
		w->others[i] = fds[i];
		w->others[i].revents = 0;
		fds[i].revents = 0;
		/* An entry may have come since they were counted; then it is found next time. */
		if (is_ours(fds[i].fd) && w->num_members < ours)
			add_member(w, i);
		else if (fds[i].fd >= 0)
			w->num_others++;
	}
	return 0;
}

static void disarm(struct wait *w)
{
	nfds_t i;

	if (!w->armed)
		return;
	for (i = 0; i < w->num_members; i++)
		if (w->members[i].armed)
			sleeper_disarm(w->members[i].d, w->members[i].directions);
	epoll_set_disarm(&w->arming);
	w->armed = false;
}

/* Notes which: a description may become bound meanwhile. */
static void arm(struct wait *w)
{
	nfds_t i;

	w->busy = false;
	for (i = 0; i < w->num_members; i++) {
		struct member *m = &w->members[i];

		m->armed = m->d != NULL && description_bound(m->d);
		if (m->armed)
			sleeper_arm(m->d, m->directions);
		else if (m->set != NULL)
			epoll_set_arm(m->set, &w->arming, &w->busy);
	}
	w->armed = true;
}

static void tear_down(void *wait)
{
	struct wait *w = wait;
	nfds_t i;
	int error = errno;

	disarm(w);
	if (w->sleeper != NULL)
		sleeper_put(w->sleeper);
	for (i = 0; i < w->num_members; i++) {
		if (w->members[i].d != NULL)
			description_put(w->members[i].d);
		else if (w->members[i].set != NULL)
			epoll_set_put(w->members[i].set);
	}
	if (w->block != NULL)
		real.munmap(w->block, w->block_size);
	signals_let_go(&w->own);
	errno = error;
}

/* ---- looking ---- */

/* A descriptor that is not netmap's any more is the kernel's. True: it was one. Not while armed. */
static bool leave_to_kernel(struct wait *w, struct member *m)
{
	int fd = w->fds[m->index].fd;

	if (description_verify(fd, m->d))
		return false;
	description_put(m->d);
	m->d = NULL;
	w->others[m->index].fd = fd;
	w->num_others++;
	return true;
}

/* Looks at what is netmap's; returns how many are ready. */
static int look(struct wait *w)
{
	nfds_t i;
	int ready = 0;

	for (i = 0; i < w->num_members; i++) {
		struct member *m = &w->members[i];
		struct pollfd *fd = &w->fds[m->index];

		if (m->d == NULL)
			continue;
		fd->revents = readiness(m->d, fd->fd, fd->events, &w->busy);
		/* What is said of a port that was closed where we couldn't see it is not so. */
		if (SHIM_UNLIKELY((fd->revents & POLLERR) != 0) && !w->armed &&
		    leave_to_kernel(w, m))
			fd->revents = 0;
		ready += fd->revents != 0;
	}
	return ready;
}

/*
 * Epolls that contain something of netmap's. The kernel finds them readable also when a ring has
 * moved that nobody waits for, or not when a ring was ready before; so what it says is replaced.
 */
static int look_at_sets(struct wait *w)
{
	nfds_t i;
	int ready = 0;

	for (i = 0; i < w->num_members; i++) {
		const struct member *m = &w->members[i];
		struct pollfd *fd = &w->fds[m->index];
		short wanted = fd->events & EVENTS_IN;

		if (m->set == NULL)
			continue;
		w->others[m->index].revents = 0;
		if (wanted != 0 && epoll_set_ready(m->set, fd->fd, &w->busy)) {
			w->others[m->index].revents = wanted;
			ready++;
		}
	}
	return ready;
}

/* netmap's poll() sends at once and so finds room; ours must wait for the daemon to do it. */
static void flush(struct wait *w)
{
	nfds_t i;

	for (i = 0; i < w->num_members; i++) {
		const struct member *m = &w->members[i];

		if (m->d != NULL && (m->directions & SLEEP_TX) != 0 && description_bound(m->d) &&
		    !__atomic_load_n(&m->d->csb_mode, __ATOMIC_RELAXED))
			sync_all_tx(m->d, w->fds[m->index].fd);
	}
}

/* How many are ready of all; -1 and errno. */
static int finish(struct wait *w)
{
	nfds_t i;
	int ready = 0;

	for (i = 0; i < w->count; i++) {
		if (w->others[i].fd >= 0)
			w->fds[i].revents = w->others[i].revents;
		ready += w->fds[i].revents != 0;
	}
	return ready;
}

/*
 * Without waiting. @mask: NULL if something of ours is ready; else signals that it lets in
 * interrupt, as they do in the kernel: there may be no other moment for them.
 */
static int look_at_all(struct wait *w, const sigset_t *mask)
{
	static const struct timespec none = {0, 0};

	if ((w->num_others != 0 || mask != NULL) &&
	    real.ppoll(w->others, w->count, &none, mask) < 0)
		return -1;
	look_at_sets(w);
	return finish(w);
}

/* ---- sleeping ---- */

/* Looks for a moment, if that saved a sleep lately. Signals that come meanwhile end the sleep. */
static int look_longer(struct wait *w, const struct deadline *deadline)
{
	struct looking looking = {0};
	int ready;

	while (!deadline_over(deadline) && looking_goes_on(&looking)) {
		look(w);
		ready = look_at_all(w, NULL);
		if (ready != 0)
			return ready;
	}
	return 0;
}

static int prepare_to_sleep(struct wait *w)
{
	nfds_t i;
	int result;

	w->sleeper = sleeper_get();
	if (w->sleeper == NULL) {
		errno = ENOMEM;
		return -1;
	}
	for (i = 0; i < w->num_members; i++) {
		struct member *m = &w->members[i];
		int fd = w->fds[m->index].fd;

		if (m->set != NULL && !epoll_set_verify(m->set, fd)) {
			epoll_set_put(m->set);
			m->set = NULL;
		}
		if (m->d == NULL || leave_to_kernel(w, m))
			continue;
		result = sleeper_watch(w->sleeper, m->d, fd, m->directions);
		if (result < 0) {
			errno = ENOMEM;
			return -1;
		}
	}
	return 0;
}

/* Sleeps once. -1 and errno; else *others are how many of the kernel's are ready. */
static int sleep_once(struct wait *w, const struct deadline *deadline, const sigset_t *mask)
{
	static const struct timespec moment = {0, 1000000};
	struct timespec left = {0, 0};
	bool limited = !deadline->never;

	if (limited)
		left = deadline_left(deadline);
	/* Somebody was at a ring: whatever he found must not be slept over. */
	if (w->busy && (!limited || left.tv_sec > 0 || left.tv_nsec > moment.tv_nsec)) {
		left = moment;
		limited = true;
	}
	return sleeper_sleep(w->sleeper, w->others, w->num_others != 0 ? w->count : 0,
			     limited ? &left : NULL, mask);
}

static int wait_with(struct wait *w, const struct timespec *timeout, const sigset_t *mask)
{
	struct deadline deadline;
	int ready, of_others;
	uint64_t since;
	bool over;

	if (mask == NULL && w->signals->held)
		mask = &w->signals->before;
	if (look(w) > 0)
		return look_at_all(w, NULL);
	if (timeout != NULL && timespec_zero(timeout)) {
		flush(w);
		return look_at_all(w, look(w) > 0 ? NULL : mask);
	}
	deadline = deadline_after(timeout);
	if (!w->signals->held)
		signals_hold(w->signals);
	if (mask == NULL)
		mask = &w->signals->before;
	ready = look_longer(w, &deadline);
	if (ready != 0)
		return ready;
	if (prepare_to_sleep(w) < 0)
		return -1;
	for (;;) {
		arm(w);
		ready = look(w) + look_at_sets(w);
		if (ready > 0) {
			disarm(w);
			ready = look_at_all(w, NULL);
			if (ready != 0)
				return ready;
			/* An epoll was readable for a moment only. */
			if (deadline_over(&deadline))
				return 0;
			if (signals_interrupt(mask))
				return -1;
			continue;
		}
		since = clock_ns();
		of_others = sleep_once(w, &deadline, mask);
		disarm(w);
		if (of_others < 0)
			return -1;
		over = deadline_over(&deadline);
		ready = look(w);
		if (w->num_members != 0)
			ready += look_at_sets(w);
		if (ready > 0)
			looking_slept(clock_ns() - since);
		if (of_others > 0)
			ready = finish(w);
		if (ready > 0 && of_others == 0)
			ready = look_at_all(w, NULL);
		if (ready != 0 || over)
			return ready;
		if (signals_interrupt(mask))
			return -1;
	}
}

/*
 * The signals' mask need not be set if something is ready. @signals: what is held back remains so,
 * for the caller to wait again and to let go; NULL: that ends with the wait.
 */
static int wait_poll(struct pollfd *fds, nfds_t count, nfds_t ours, const struct timespec *timeout,
		     const sigset_t *mask, struct held_signals *signals)
{
	struct pollfd small_others[SMALL];
	struct member small_members[SMALL];
	struct wait w;
	int result = set_up(&w, fds, count, ours, small_others, small_members);

	if (result < 0) {
		errno = -result;
		return -1;
	}
	w.signals = signals != NULL ? signals : &w.own;
	pthread_cleanup_push(tear_down, &w);
	result = wait_with(&w, timeout, mask);
	pthread_cleanup_pop(1);
	return result;
}

/* ---- poll ---- */

/* The C library's header says of poll() that it only writes *fds. */
#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

SHIM_EXPORT int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	struct timespec time = {timeout / 1000, timeout % 1000 * 1000000L};
	nfds_t ours;

	if (!table_in_use())
		return real.poll(fds, count, timeout);
	ours = count_ours(fds, count);
	if (ours == 0)
		return real.poll(fds, count, timeout);
	return wait_poll(fds, count, ours, timeout < 0 ? NULL : &time, NULL, NULL);
}

SHIM_EXPORT int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
		      const sigset_t *mask)
{
	nfds_t ours;

	if (!table_in_use())
		return real.ppoll(fds, count, timeout, mask);
	ours = count_ours(fds, count);
	if (ours == 0 || (timeout != NULL && !timespec_valid(timeout)))
		return real.ppoll(fds, count, timeout, mask);
	return wait_poll(fds, count, ours, timeout, mask, NULL);
}

/* What _FORTIFY_SOURCE makes of them. */
extern void __chk_fail(void) __attribute__((noreturn));

SHIM_EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size);
SHIM_EXPORT int __poll_chk(struct pollfd *fds, nfds_t count, int timeout, size_t size)
{
	if (size / sizeof(*fds) < count)
		__chk_fail();
	return poll(fds, count, timeout);
}

SHIM_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
			    const sigset_t *mask, size_t size);
SHIM_EXPORT int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
			    const sigset_t *mask, size_t size)
{
	if (size / sizeof(*fds) < count)
		__chk_fail();
	return ppoll(fds, count, timeout, mask);
}

/* ---- select ---- */

#define WORD_BITS (sizeof(fd_mask) * CHAR_BIT)

/* Sets may be longer than fd_set, whose macros then refuse. */
static bool in_set(const fd_set *set, int fd)
{
	const fd_mask *words = (const fd_mask *)set;

	return set != NULL && ((words[fd / WORD_BITS] >> (fd % WORD_BITS)) & 1) != 0;
}

static void put_into_set(fd_set *set, int fd)
{
	fd_mask *words = (fd_mask *)set;

	words[fd / WORD_BITS] |= (fd_mask)1 << (fd % WORD_BITS);
}

static void empty_set(fd_set *set, int count)
{
	if (set != NULL)
		memset(set, 0, (count + WORD_BITS - 1) / WORD_BITS * sizeof(fd_mask));
}

static bool select_has_ours(int count, const fd_set *in, const fd_set *out, const fd_set *except)
{
	int fd;

	for (fd = 0; fd < count; fd++)
		if (is_ours(fd) && (in_set(in, fd) || in_set(out, fd) || in_set(except, fd)))
			return true;
	return false;
}

static short select_events(int fd, const fd_set *in, const fd_set *out, const fd_set *except)
{
	return (short)((in_set(in, fd) ? POLLIN | POLLRDNORM | POLLRDBAND : 0) |
		       (in_set(out, fd) ? POLLOUT | POLLWRNORM | POLLWRBAND : 0) |
		       (in_set(except, fd) ? POLLPRI : 0));
}

/* Writes the sets; returns how many bits, -EBADF if a descriptor is not open. */
static int select_result(const struct pollfd *fds, nfds_t num_fds, int count, fd_set *in,
			 fd_set *out, fd_set *except)
{
	int bits = 0;
	nfds_t i;

	for (i = 0; i < num_fds; i++)
		if ((fds[i].revents & POLLNVAL) != 0)
			return -EBADF;
	empty_set(in, count);
	empty_set(out, count);
	empty_set(except, count);
	for (i = 0; i < num_fds; i++) {
		short wanted = fds[i].events, got = fds[i].revents;

		if ((wanted & POLLIN) != 0 &&
		    (got & (POLLIN | POLLRDNORM | POLLRDBAND | POLLHUP | POLLERR)) != 0) {
			put_into_set(in, fds[i].fd);
			bits++;
		}
		if ((wanted & POLLOUT) != 0 &&
		    (got & (POLLOUT | POLLWRNORM | POLLWRBAND | POLLERR)) != 0) {
			put_into_set(out, fds[i].fd);
			bits++;
		}
		if ((wanted & POLLPRI) != 0 && (got & POLLPRI) != 0) {
			put_into_set(except, fds[i].fd);
			bits++;
		}
	}
	return bits;
}

/*
 * The kernel's select() wakes up for an error of a descriptor in no matter which set, and then
 * finds nothing for some; so does this, and waits on. Signals that come in between end that, too.
 */
static int select_loop(struct pollfd *fds, nfds_t num_fds, int count, fd_set *in, fd_set *out,
		       fd_set *except, const struct timespec *timeout, const sigset_t *mask,
		       struct held_signals *signals)
{
	struct deadline deadline = deadline_after(timeout);

	for (;;) {
		struct timespec left = {0, 0};
		int ready, bits;

		if (!deadline.never)
			left = deadline_left(&deadline);
		ready = wait_poll(fds, num_fds, count_ours(fds, num_fds),
				  deadline.never ? NULL : &left, mask, signals);
		if (ready < 0)
			return -errno;
		bits = select_result(fds, num_fds, count, in, out, except);
		if (bits != 0 || ready == 0)
			return bits;
		/* What woke us is in no set, and would wake us again at once. */
		if (deadline_over(&deadline))
			return 0;
		for (nfds_t i = 0; i < num_fds; i++)
			if (fds[i].revents != 0)
				fds[i].fd = ~fds[i].fd;
	}
}

struct select_call {
	struct pollfd *fds; /* memory for them, if they are many */
	size_t size;
	struct held_signals signals;
};

static void end_select(void *call)
{
	struct select_call *c = call;

	if (c->size != 0)
		real.munmap(c->fds, c->size);
	signals_let_go(&c->signals);
}

static int wait_select(int count, fd_set *in, fd_set *out, fd_set *except,
		       const struct timespec *timeout, const sigset_t *mask)
{
	struct pollfd small_fds[SMALL], *fds = small_fds;
	struct select_call call = {.size = 0};
	nfds_t num_fds = 0;
	int fd, result;

	if (count > SMALL) {
		call.size = (size_t)count * sizeof(*fds);
		fds = real.mmap(NULL, call.size, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (fds == MAP_FAILED) {
			errno = ENOMEM;
			return -1;
		}
		call.fds = fds;
	}
	for (fd = 0; fd < count; fd++) {
		short events = select_events(fd, in, out, except);

		if (events != 0)
			fds[num_fds++] = (struct pollfd){fd, events, 0};
	}
	pthread_cleanup_push(end_select, &call);
	result = select_loop(fds, num_fds, count, in, out, except, timeout, mask, &call.signals);
	pthread_cleanup_pop(1);
	if (result < 0) {
		errno = -result;
		return -1;
	}
	return result;
}

/* As on Linux, what is left of the time is written back. */
SHIM_EXPORT int select(int count, fd_set *in, fd_set *out, fd_set *except, struct timeval *timeout)
{
	struct deadline deadline;
	struct timespec time;
	int result;

	if (!table_in_use() || count <= 0 || !select_has_ours(count, in, out, except))
		return real.select(count, in, out, except, timeout);
	if (timeout == NULL)
		return wait_select(count, in, out, except, NULL, NULL);
	if (timeout->tv_sec < 0 || timeout->tv_usec < 0) {
		errno = EINVAL;
		return -1;
	}
	time = (struct timespec){timeout->tv_sec + timeout->tv_usec / 1000000,
				 timeout->tv_usec % 1000000 * 1000};
	deadline = deadline_after(&time);
	result = wait_select(count, in, out, except, &time, NULL);
	if (!deadline.never) {
		time = deadline_left(&deadline);
		timeout->tv_sec = time.tv_sec;
		timeout->tv_usec = time.tv_nsec / 1000;
	}
	return result;
}

SHIM_EXPORT int pselect(int count, fd_set *in, fd_set *out, fd_set *except,
			const struct timespec *timeout, const sigset_t *mask)
{
	if (!table_in_use() || count <= 0 || !select_has_ours(count, in, out, except) ||
	    (timeout != NULL && !timespec_valid(timeout)))
		return real.pselect(count, in, out, except, timeout, mask);
	return wait_select(count, in, out, except, timeout, mask);
}
