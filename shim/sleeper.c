/* SPDX-License-Identifier: BSD-2-Clause */
#include "sleeper.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>
#include <sys/epoll.h>

#include "real.h"
#include "table.h"

#define KNOWN	64 /* descriptions remembered as watched */
#define AT_ONCE 16
#define EVENTS	16

/* What an event is about: a description's socket (its mark); a ring needs no name. */
#define ABOUT_RING 0

struct sleeper {
	struct hidden epoll;
	bool used; /* by a call, or not free */
	bool temporary;
	struct sleeper *next; /* all, or free */
	struct {
		const struct description *d;
		uint32_t generation;
		uint32_t directions;
	} known[KNOWN];
} __attribute__((aligned(64)));

static struct sleeper *all, *unused;
static pthread_key_t key; /* for its destructor only */
static bool have_key;
static __thread struct sleeper *mine;

static void sleeper_release(struct sleeper *s)
{
	struct sleeper **link = &all;

	hidden_close(&s->epoll);
	while (*link != s)
		link = &(*link)->next;
	*link = s->next;
	s->next = unused;
	unused = s;
}

static void thread_ends(void *sleeper)
{
	sigset_t signals;

	mine = NULL;
	shim_lock(&signals);
	sleeper_release(sleeper);
	shim_unlock(&signals);
}

void sleeper_init(void)
{
	have_key = pthread_key_create(&key, thread_ends) == 0;
}

static struct sleeper *structure_get(void)
{
	struct sleeper *s;
	unsigned i;

	if (unused == NULL) {
		s = real.mmap(NULL, AT_ONCE * sizeof(*s), PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (s == MAP_FAILED)
			return NULL;
		for (i = 0; i < AT_ONCE; i++) {
			s[i].next = unused;
			unused = &s[i];
		}
	}
	s = unused;
	unused = s->next;
	return s;
}

static struct sleeper *sleeper_new(void)
{
	struct sleeper *s;
	sigset_t signals;
	int epoll, error;

	shim_lock(&signals);
	s = structure_get();
	if (s != NULL) {
		memset(s, 0, sizeof(*s));
		s->next = all;
		all = s;
		s->epoll.fd = -1;
		epoll = real.epoll_create1(EPOLL_CLOEXEC);
		error = epoll < 0 ? -errno : hidden_keep(epoll, &s->epoll);
		if (error < 0) {
			sleeper_release(s);
			s = NULL;
			errno = -error;
		}
	}
	shim_unlock(&signals);
	return s;
}

struct sleeper *sleeper_get(void)
{
	struct sleeper *s = mine;

	if (SHIM_LIKELY(s != NULL && !s->used)) {
		s->used = true;
		return s;
	}
	s = sleeper_new();
	if (s == NULL)
		return NULL;
	s->used = true;
	if (mine == NULL && have_key) {
		mine = s;
		pthread_setspecific(key, s);
	} else {
		s->temporary = true;
	}
	return s;
}

void sleeper_put(struct sleeper *s)
{
	sigset_t signals;

	s->used = false;
	if (SHIM_LIKELY(!s->temporary))
		return;
	shim_lock(&signals);
	sleeper_release(s);
	shim_unlock(&signals);
}

/* ---- what is watched ---- */

static int add(const struct sleeper *s, int fd, uint64_t about)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = about};
	int error = errno, result = 0;

	if (raw_epoll_ctl(hidden_fd(&s->epoll), EPOLL_CTL_ADD, fd, &event) < 0 && errno != EEXIST)
		result = -errno;
	errno = error;
	return result;
}

int sleeper_watch(struct sleeper *s, struct description *d, int fd, unsigned directions)
{
	unsigned slot = d->number % KNOWN, first, end, i;
	uint32_t generation = __atomic_load_n(&d->generation, __ATOMIC_RELAXED);
	int result;

	if (s->known[slot].d != d || s->known[slot].generation != generation) {
		/* The number may be another file's by now, whose end is none of ours. */
		if (!description_verify(fd, d))
			return -EBADF;
		result = add(s, fd, description_mark(d));
		if (result < 0)
			return result;
		s->known[slot].d = d;
		s->known[slot].generation = generation;
		s->known[slot].directions = 0;
	}
	directions &= ~s->known[slot].directions;
	if (SHIM_LIKELY(directions == 0))
		return 0;
	first = (directions & SLEEP_TX) != 0 ? 0 : d->num_tx;
	end = (directions & SLEEP_RX) != 0 ? d->num_tx + d->num_rx : d->num_tx;
	for (i = first; i < end; i++) {
		if (hidden_fd(&d->rings[i].interrupt) < 0)
			continue;
		result = add(s, hidden_fd(&d->rings[i].interrupt), ABOUT_RING);
		if (result < 0)
			return result;
	}
	s->known[slot].directions |= directions;
	return 0;
}

static void count(struct description *d, unsigned directions, uint32_t by)
{
	unsigned first = (directions & SLEEP_TX) != 0 ? 0 : d->num_tx;
	unsigned end = (directions & SLEEP_RX) != 0 ? d->num_tx + d->num_rx : d->num_tx;
	unsigned i;

	for (i = first; i < end; i++)
		if (d->rings[i].atok != NULL)
			__atomic_fetch_add(&d->rings[i].atok->appl_need_kick, by, __ATOMIC_SEQ_CST);
}

void sleeper_arm(struct description *d, unsigned directions)
{
	count(d, directions, 1);
	PTNET_FULL_BARRIER(); /* pairs with the daemon's, after it stores hwtail */
}

/*
 * Closed under the sleeper, a ring may be somebody else's by now, counted anew: one too few, and
 * he would not be woken. One too many costs interrupts. A hole is left: the thread sees that it is
 * not closed, and is preempted before it counts for so long that another thread closes it and its
 * next user goes to sleep. Only a lock that closing takes as well would fill it, at each wake-up.
 */
void sleeper_disarm(struct description *d, unsigned directions)
{
	if (SHIM_LIKELY(!__atomic_load_n(&d->closed, __ATOMIC_ACQUIRE)))
		count(d, directions, (uint32_t)-1);
}

/*
 * The items of an epoll go with the last descriptor of a file, and these files are the daemon's
 * and other processes' as well; so they must be taken out while we still can.
 */
void sleeper_forget(const struct description *d)
{
	const struct sleeper *s;
	int error = errno;
	unsigned i;

	for (s = all; s != NULL; s = s->next)
		for (i = 0; i < PTNET_MAX_RINGS; i++)
			if (d->rings[i].interrupt.fd >= 0 && s->epoll.fd >= 0)
				raw_epoll_ctl(s->epoll.fd, EPOLL_CTL_DEL, d->rings[i].interrupt.fd,
					      NULL);
	errno = error;
}

/* ---- sleeping ---- */

/* The socket never has anything to read: what happens to it is the daemon's end. */
static void take(const struct epoll_event *events, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		if (events[i].data.u64 != ABOUT_RING &&
		    (events[i].events & (EPOLLHUP | EPOLLERR)) != 0)
			description_hung_up(events[i].data.u64);
	}
}

void sleeper_drain(struct sleeper *s)
{
	struct epoll_event events[EVENTS];
	int error = errno, count;

	do {
		count = raw_epoll_wait(hidden_fd(&s->epoll), events, EVENTS, 0);
		take(events, count);
	} while (count == EVENTS);
	errno = error;
}

static int sleep_with_others(struct sleeper *s, struct pollfd *others, nfds_t count,
			     const struct timespec *timeout, const sigset_t *mask)
{
	int ready;

	others[count] = (struct pollfd){hidden_fd(&s->epoll), POLLIN, 0};
	ready = real.ppoll(others, count + 1, timeout, mask);
	if (ready <= 0 || others[count].revents == 0)
		return ready;
	sleeper_drain(s);
	return ready - 1;
}

int sleeper_sleep(struct sleeper *s, struct pollfd *others, nfds_t count,
		  const struct timespec *timeout, const sigset_t *mask)
{
	struct epoll_event events[EVENTS];
	int ready;

	if (count != 0)
		return sleep_with_others(s, others, count, timeout, mask);
	ready = real.epoll_pwait2(hidden_fd(&s->epoll), events, EVENTS, timeout, mask);
	if (SHIM_UNLIKELY(ready < 0 && errno == ENOSYS)) {
		struct pollfd one[1];

		return sleep_with_others(s, one, 0, timeout, mask);
	}
	take(events, ready);
	return ready < 0 ? -1 : 0;
}

void sleeper_pause(struct sleeper *s)
{
	struct epoll_event events[EVENTS];
	int error = errno;

	take(events, raw_epoll_wait(hidden_fd(&s->epoll), events, EVENTS, -1));
	errno = error;
}

/* ---- fork ---- */

void sleeper_after_fork(void)
{
	mine = NULL;
	if (have_key)
		pthread_setspecific(key, NULL);
	while (all != NULL)
		sleeper_release(all);
}
