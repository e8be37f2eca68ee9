/* SPDX-License-Identifier: BSD-2-Clause */
#include "kloop.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "real.h"
#include "ring_lock.h"
#include "sleeper.h"
#include "sync.h"
#include "table.h"

#define MAX_SLEEP_US 1000000u
#define RESCAN_S     3 /* netmap looks again after that time, come what may */

struct loop {
	struct description *d;
	unsigned rings;
	struct nm_csb_atok *atok; /* the program's */
	struct nm_csb_ktoa *ktoa;
	bool timed;
	struct timespec sleep;
	struct hidden kick[PTNET_MAX_RINGS]; /* copies of the program's eventfds */
	struct hidden interrupt[PTNET_MAX_RINGS];
};

/* ---- one ring ---- */

/* Takes what the program published and passes it on. True: it was something new. */
static bool take(struct shim_ring *r, const struct nm_csb_atok *atok, bool *kick)
{
	/* Head first: it is stored last. */
	uint32_t head = PTNET_LOAD_ACQUIRE(&atok->head);
	uint32_t cur = PTNET_LOAD_ACQUIRE(&atok->cur);
	uint32_t published = PTNET_LOAD_RELAXED(&r->atok->head);
	uint32_t hwtail = PTNET_LOAD_ACQUIRE(&r->ktoa->hwtail);
	bool moved;

	*kick = false;
	if (hwtail >= r->num_slots || published >= r->num_slots ||
	    !sync_valid(r->num_slots, published, head, cur, hwtail))
		return false;
	moved = head != published || cur != PTNET_LOAD_RELAXED(&r->atok->cur);
	*kick = sync_publish(r, published, head, cur);
	return moved;
}

/* Tells the program what the daemon reports. True: hwtail has moved. */
static bool tell(struct shim_ring *r, struct nm_csb_ktoa *ktoa, bool *moved)
{
	uint32_t hwtail = PTNET_LOAD_ACQUIRE(&r->ktoa->hwtail);
	uint32_t hwcur = PTNET_LOAD_ACQUIRE(&r->ktoa->hwcur);
	bool tail_moved = hwtail != PTNET_LOAD_RELAXED(&ktoa->hwtail);

	if (hwcur == PTNET_LOAD_RELAXED(&ktoa->hwcur) && !tail_moved)
		return false;
	*moved = true;
	PTNET_STORE_RELEASE(&ktoa->hwcur, hwcur);
	if (!tail_moved)
		return false;
	PTNET_STORE_RELAXED(&r->atok->shown_tail, hwtail);
	PTNET_STORE_RELEASE(&ktoa->hwtail, hwtail);
	return true;
}

/* True: something has moved. */
static bool serve(struct loop *l, unsigned i)
{
	struct shim_ring *r = &l->d->rings[i];
	bool moved, kick, news;

	if (r->atok == NULL || sync_stopped(l->d, r) || !ring_lock_try(&r->atok->sync_lock))
		return false;
	moved = take(r, &l->atok[i], &kick);
	news = tell(r, &l->ktoa[i], &moved);
	ring_lock_release(&r->atok->sync_lock);
	if (kick)
		hidden_signal(&r->kick);
	if (!news)
		return moved;
	PTNET_FULL_BARRIER(); /* pairs with the program's, after it sets appl_need_kick */
	if (hidden_fd(&l->interrupt[i]) >= 0 && PTNET_LOAD_RELAXED(&l->atok[i].appl_need_kick) != 0)
		hidden_signal(&l->interrupt[i]);
	return true;
}

static bool serve_all(struct loop *l)
{
	bool moved = false;
	unsigned i;

	for (i = 0; i < l->rings; i++)
		moved |= serve(l, i);
	return moved;
}

static void want_kicks(struct loop *l, uint32_t want)
{
	unsigned i;

	for (i = 0; i < l->rings; i++)
		PTNET_STORE_RELAXED(&l->ktoa[i].kern_need_kick, want);
	PTNET_FULL_BARRIER(); /* pairs with the program's, after it stores head */
}

/* ---- the loop ---- */

static bool stopping(const struct description *d)
{
	return __atomic_load_n(&d->kloop.stop, __ATOMIC_ACQUIRE) ||
	       __atomic_load_n(&d->closed, __ATOMIC_RELAXED);
}

static void run_timed(struct loop *l)
{
	want_kicks(l, 0);
	while (!stopping(l->d)) {
		struct pollfd wake = {hidden_fd(&l->d->kloop.wake), POLLIN, 0};

		serve_all(l);
		real.ppoll(&wake, 1, &l->sleep, NULL);
	}
}

/* The program's kicks are counted up by it, and taken by us. */
static void take_kicks(struct loop *l, const struct pollfd *fds)
{
	uint64_t counter;
	unsigned i;

	for (i = 0; i < l->rings; i++)
		if ((fds[i].revents & POLLIN) != 0)
			raw_read(hidden_fd(&l->kick[i]), &counter, sizeof(counter));
}

static void sleep_once(struct loop *l, struct sleeper *s)
{
	static const struct timespec rescan = {RESCAN_S, 0};
	struct pollfd fds[PTNET_MAX_RINGS + 2];
	unsigned i;

	for (i = 0; i < l->rings; i++)
		fds[i] = (struct pollfd){hidden_fd(&l->kick[i]), POLLIN, 0};
	fds[l->rings] = (struct pollfd){hidden_fd(&l->d->kloop.wake), POLLIN, 0};
	if (sleeper_sleep(s, fds, l->rings + 1, &rescan, NULL) > 0)
		take_kicks(l, fds);
}

static void run_events(struct loop *l, struct sleeper *s)
{
	while (!stopping(l->d)) {
		want_kicks(l, 0);
		while (serve_all(l) && !stopping(l->d))
			;
		want_kicks(l, 1);
		sleeper_arm(l->d, SLEEP_TX | SLEEP_RX);
		if (!serve_all(l) && !stopping(l->d))
			sleep_once(l, s);
		sleeper_disarm(l->d, SLEEP_TX | SLEEP_RX);
	}
}

static int run(struct loop *l, int fd)
{
	struct sleeper *s;
	int result, state;

	/* ioctl() is no cancellation point. */
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
	if (l->timed) {
		run_timed(l);
		result = 0;
	} else {
		s = sleeper_get();
		result = s == NULL ? -ENOMEM : sleeper_watch(s, l->d, fd, SLEEP_TX | SLEEP_RX);
		if (result == 0)
			run_events(l, s);
		if (s != NULL)
			sleeper_put(s);
	}
	pthread_setcancelstate(state, NULL);
	return result;
}

/* ---- options ---- */

static int read_mode(struct option_list *options, uint32_t *mode)
{
	*mode = 0;
	if (!option_present(options, NETMAP_REQ_OPT_SYNC_KLOOP_MODE))
		return 0;
	*mode = options->mode.mode;
	if ((*mode & ~(uint32_t)(NM_OPT_SYNC_KLOOP_DIRECT_TX | NM_OPT_SYNC_KLOOP_DIRECT_RX)) != 0) {
		option_set_status(options, NETMAP_REQ_OPT_SYNC_KLOOP_MODE, EINVAL);
		return -EINVAL;
	}
	option_set_status(options, NETMAP_REQ_OPT_SYNC_KLOOP_MODE, 0);
	return 0;
}

static int keep_copy(int fd, struct hidden *copy)
{
	int number = raw_fcntl(fd, F_DUPFD_CLOEXEC, 0);

	return number < 0 ? -EBADF : hidden_keep(number, copy);
}

/* Under shim_lock(). The program may close its own meanwhile. */
static int keep_eventfds(struct loop *l, const struct option_list *options)
{
	unsigned i;
	int result = 0;

	for (i = 0; i < l->rings && result == 0; i++) {
		if (!l->timed)
			result = keep_copy(options->eventfds[i].ioeventfd, &l->kick[i]);
		if (result == 0 && options->eventfds[i].irqfd >= 0)
			result = keep_copy(options->eventfds[i].irqfd, &l->interrupt[i]);
	}
	return result;
}

static int read_eventfds(struct loop *l, struct option_list *options, uint32_t mode)
{
	sigset_t signals;
	unsigned i;
	int result;

	l->timed = true;
	if (!option_present(options, NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS))
		return 0;
	result = -EINVAL;
	if (options->entries[options->known[NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS]].head.nro_size ==
	    sizeof(struct nmreq_option) + l->rings * sizeof(options->eventfds[0])) {
		l->timed = false;
		for (i = 0; i < l->rings; i++)
			l->timed |= options->eventfds[i].ioeventfd < 0;
		if (!l->timed || mode == 0) {
			shim_lock(&signals);
			result = keep_eventfds(l, options);
			shim_unlock(&signals);
		}
	}
	option_set_status(options, NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS, -result);
	return result;
}

static void drop_eventfds(struct loop *l)
{
	sigset_t signals;
	unsigned i;

	shim_lock(&signals);
	for (i = 0; i < l->rings; i++) {
		hidden_close(&l->kick[i]);
		hidden_close(&l->interrupt[i]);
	}
	shim_unlock(&signals);
}

/* ---- starting and stopping ---- */

static int make_wake(struct shim_kloop *k)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), result;
	sigset_t signals;

	if (fd < 0)
		return -errno;
	shim_lock(&signals);
	result = hidden_keep(fd, &k->wake);
	shim_unlock(&signals);
	return result;
}

static int begin(struct description *d)
{
	struct shim_kloop *k = &d->kloop;
	int result = -EBUSY;

	pthread_mutex_lock(&k->lock);
	if (!k->running) {
		result = make_wake(k);
		k->running = result == 0;
	}
	pthread_mutex_unlock(&k->lock);
	return result;
}

static void end(struct description *d)
{
	struct shim_kloop *k = &d->kloop;
	sigset_t signals;

	pthread_mutex_lock(&k->lock);
	shim_lock(&signals);
	hidden_close(&k->wake);
	shim_unlock(&signals);
	k->running = false;
	__atomic_store_n(&k->stop, false, __ATOMIC_RELEASE);
	pthread_cond_broadcast(&k->ended);
	pthread_mutex_unlock(&k->lock);
}

int kloop_start(struct description *d, int fd, const struct nmreq_sync_kloop_start *request,
		struct option_list *options)
{
	struct loop l = {.d = d};
	uint32_t mode;
	unsigned i;
	int result;

	if (request->sleep_us > MAX_SLEEP_US)
		return -EINVAL;
	result = description_join(d, fd);
	if (result < 0)
		return result;
	if (!__atomic_load_n(&d->csb_mode, __ATOMIC_ACQUIRE))
		return -EINVAL;
	result = begin(d);
	if (result < 0)
		return result;
	l.rings = d->num_tx + d->num_rx;
	l.atok = (struct nm_csb_atok *)(uintptr_t)d->program_atok;
	l.ktoa = (struct nm_csb_ktoa *)(uintptr_t)d->program_ktoa;
	l.sleep =
		(struct timespec){request->sleep_us / 1000000, request->sleep_us % 1000000 * 1000L};
	for (i = 0; i < PTNET_MAX_RINGS; i++)
		l.kick[i].fd = l.interrupt[i].fd = -1;
	result = read_mode(options, &mode);
	if (result == 0)
		result = read_eventfds(&l, options, mode);
	if (result == 0)
		result = run(&l, fd);
	drop_eventfds(&l);
	end(d);
	return result;
}

int kloop_stop(struct description *d, int fd)
{
	struct shim_kloop *k = &d->kloop;
	int result = description_join(d, fd);

	if (result < 0)
		return result;
	pthread_mutex_lock(&k->lock);
	__atomic_store_n(&k->stop, true, __ATOMIC_RELEASE);
	hidden_signal(&k->wake);
	while (k->running)
		pthread_cond_wait(&k->ended, &k->lock);
	pthread_mutex_unlock(&k->lock);
	return 0;
}
