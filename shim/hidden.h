/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Descriptors of our own inside the program's process: regions, eventfds, epolls. The program
 * must not meet them: they stay at high numbers, are closed on exec, are skipped by whatever the
 * program closes, and make way when it chooses one of their numbers with dup2().
 */
#ifndef PTNET_SHIM_HIDDEN_H
#define PTNET_SHIM_HIDDEN_H

/* Holds the number, which may change at any time. */
struct hidden {
	int fd;
} __attribute__((aligned(8)));

/*
 * Takes @fd over, moves it out of the way and stores its number in @holder, which must stay where
 * it is until hidden_close(). If there is no higher number it stays where it is. Negative errno:
 * @fd is closed and @holder holds -1. Under shim_lock().
 */
int hidden_keep(int fd, struct hidden *holder);

/* Closes it and stores -1; nothing if it is -1. Under shim_lock(). */
void hidden_close(struct hidden *holder);

/* The program wants @fd's number for itself. Under shim_lock(). -EMFILE: there is no other. */
int hidden_make_way(int fd);

/* Writes 1 to the eventfd that @holder holds; never to a descriptor that has taken its number. */
void hidden_signal(const struct hidden *holder);

static inline int hidden_fd(const struct hidden *holder)
{
	return __atomic_load_n(&holder->fd, __ATOMIC_RELAXED);
}

/* In the child: those who were signalling are not here. */
void hidden_after_fork(void);

#endif
