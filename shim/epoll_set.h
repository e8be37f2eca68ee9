/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The netmap side of an epoll. Descriptors of netmap's that a program adds to an epoll of its own
 * are kept here; everything else stays in the real one. Into that we put one descriptor more: an
 * inner epoll, which becomes readable when a ring of ours moves. So whoever waits for the real
 * epoll, directly or through poll() or another epoll, is woken.
 *
 * An epoll gets a set when the first netmap descriptor, or the first epoll with a set, is added to
 * it. References: one per descriptor in the table, one per call.
 */
#ifndef PTNET_SHIM_EPOLL_SET_H
#define PTNET_SHIM_EPOLL_SET_H

#include <stdbool.h>

#include "description.h"

struct epoll_set;

/* The set of an epoll, with a reference; NULL if it has none. No lock. */
struct epoll_set *epoll_set_get(int epoll);
void epoll_set_put(struct epoll_set *set);

/* @fd is a descriptor of the set's epoll, in the table, from now on, or until now. Under
 * shim_lock(). -ENOMEM, -EMFILE. */
int epoll_set_note(struct epoll_set *set, int fd);
void epoll_set_forget_fd(struct epoll_set *set, int fd);

/* The description is going: it leaves all sets. Under shim_lock(). */
void epoll_set_forget(struct description *d);

/*
 * For who polls an epoll that has a set (wait.c). Is there something that epoll_wait() would
 * report, of netmap's or of others'? @epoll: the real epoll's descriptor.
 */
bool epoll_set_ready(struct epoll_set *set, int epoll, bool *busy);

/*
 * Whose interrupts have been asked for, with references: exactly these must be taken back, whatever
 * has become of the set meanwhile.
 */
struct arming {
	unsigned count, room;
	struct armed {
		struct description *d;
		unsigned directions;
	} few[8], *list;
};

/* Asks for interrupts of all that is in the set, adding to *arming (zeroed before), or takes that
 * back. What does not fit into memory is left out, and *busy set. */
void epoll_set_arm(struct epoll_set *set, struct arming *arming, bool *busy);
void epoll_set_disarm(struct arming *arming);

/* Is @epoll still the epoll of this set, or has it been closed behind our back? */
bool epoll_set_verify(struct epoll_set *set, int epoll);

void epoll_set_after_fork(void);

#endif
