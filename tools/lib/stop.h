/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ending a program that does its work on its only thread. SIGINT and SIGTERM ask it to end, a
 * second one to end at once. Asking is all a signal does: the program finds out when it looks, and
 * its sleep, in which it watches stop_fd(), is over.
 */
#ifndef TOOLS_STOP_H
#define TOOLS_STOP_H

#include <stdatomic.h>
#include <stdbool.h>

extern _Atomic bool stop_asked; /* end in good order */
extern _Atomic bool stop_hurry; /* ... without waiting for anybody */

/* Takes the signals. Nothing has been asked afterwards. 0, or -1 after saying what is wrong. */
int stop_begin(void);
/* Gives the signals back. */
void stop_end(void);

/* Readable once the program has been asked to end. */
int stop_fd(void);

/* What a signal does. Any thread, signal handlers too. */
void stop_ask(void);

#endif
