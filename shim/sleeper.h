/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A thread that sleeps until a ring moves. The daemon signals eventfds that nobody reads; so each
 * thread has an epoll of its own, which waits for them edge-triggered. It is made when the thread
 * sleeps for the first time.
 *
 * Order matters (docs/notifications.md): first count oneself among those who want to be woken
 * (sleeper_arm()), then look at the rings once more, then sleep.
 */
#ifndef PTNET_SHIM_SLEEPER_H
#define PTNET_SHIM_SLEEPER_H

#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <time.h>

#include "description.h"

/* What of a description is waited for. */
#define SLEEP_TX 1u
#define SLEEP_RX 2u

struct sleeper;

/*
 * The calling thread's, or one for this call if that is in use (we are in a signal handler).
 * NULL: no descriptors or memory, errno says. To be given back by sleeper_put().
 */
struct sleeper *sleeper_get(void);
void sleeper_put(struct sleeper *s);

/*
 * Have it wake up for @d's rings of @directions, and for the daemon's end. @fd: a descriptor of
 * d's. Negative errno.
 */
int sleeper_watch(struct sleeper *s, struct description *d, int fd, unsigned directions);

/* Adds us to, or takes us from, those whom the daemon interrupts for these rings. */
void sleeper_arm(struct description *d, unsigned directions);
void sleeper_disarm(struct description *d, unsigned directions);

/*
 * Sleeps until something watched happens, one of @others is ready, a signal comes or the time is
 * over. @others has room for one more at the end. Returns how many of @others are ready, 0 for all
 * else, -1 and errno (EINTR). A cancellation point.
 */
int sleeper_sleep(struct sleeper *s, struct pollfd *others, nfds_t count,
		  const struct timespec *timeout, const sigset_t *mask);

/* Sleeps until something watched happens, or a signal comes. No cancellation point. */
void sleeper_pause(struct sleeper *s);

/* Forgets what went by until now. */
void sleeper_drain(struct sleeper *s);

/* The eventfds of @d are about to be closed. Under shim_lock(). */
void sleeper_forget(const struct description *d);

/* In the child: other threads are gone, and epolls would be shared with the parent. */
void sleeper_after_fork(void);

/* From the constructor. */
void sleeper_init(void);

#endif
