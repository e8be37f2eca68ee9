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

/* Nothing if they are not held. */
static inline void signals_let_go(const struct held_signals *signals)
{
	if (signals->held)
		pthread_sigmask(SIG_SETMASK, &signals->before, NULL);
}

#endif
