/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Signals while a call of the program's prepares to sleep. In the kernel one that comes then
 * interrupts the sleep. Here its handler would run, and the thread would sleep all the same: so
 * signals are held back until the sleep itself lets them in.
 */
#ifndef PTNET_SHIM_SIGNALS_H
#define PTNET_SHIM_SIGNALS_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "real.h"

struct held_signals {
	bool held;
	sigset_t before; /* the thread's mask */
};

/* Those that a thread brings upon itself are not held back: they cannot wait. */
static inline void signals_hold(struct held_signals *signals)
{
	static const int own[] = {SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
	sigset_t most;

	sigfillset(&most);
	for (unsigned i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&most, own[i]);
	pthread_sigmask(SIG_BLOCK, &most, &signals->before);
	signals->held = true;
}

/*
 * After a wake-up that found nothing: the signals that @mask lets in have their handlers run. True,
 * and errno is EINTR: there was one. If something is ready the sleep lets nobody in, and this may
 * go on for ever.
 */
static inline bool signals_interrupt(const sigset_t *mask)
{
	static const struct timespec none = {0, 0};

	return real.ppoll(NULL, 0, &none, mask) < 0;
}

/* Nothing if they are not held. */
static inline void signals_let_go(const struct held_signals *signals)
{
	if (signals->held)
		pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
}

#endif
