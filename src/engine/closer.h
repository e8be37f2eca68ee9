/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Closes descriptors that a client sent, on threads that have nothing else to do.
 *
 * close() may take as long as it likes: of a TCP socket with SO_LINGER until its peer
 * reads or hours have passed, of a file on FUSE until its owner answers, of a VM's RAM
 * until tens of gigabytes are given back. Who sends a descriptor chooses what it is,
 * and lets go of it first so that our close() is the last, the one that does the work.
 * A worker that closed it would sleep with all its VMs. The same goes for our end of a
 * client's connection, with which the kernel closes what was sent and not received.
 *
 * Each client (port, or region) has a closer: a queue. At most one descriptor of a
 * closer is being closed at a time, so a client holds up one thread, and itself: as
 * long as a thread is about to be held up, there is another one for everybody else's.
 *
 * Eventfds need none of this: closing them never waits.
 */
#ifndef PTNET_ENGINE_CLOSER_H
#define PTNET_ENGINE_CLOSER_H

#include <stdbool.h>

#include "log/error.h"

/* So many waiting descriptors are too many: take no more from this client. */
#define CLOSER_CROWD 1024

struct closer;

/* -ENOMEM, or the reason why there can be no thread. */
int closer_create(struct closer **closer, struct error *error);

/* What still waits is closed all the same, whenever that may be. */
void closer_destroy(struct closer *closer);

/*
 * Takes @fd over. Never waits. Any thread. Callers heed closer_crowded() before they
 * take in what would end here: beyond some thousand descriptors they stay open.
 */
void closer_close(struct closer *closer, int fd);

/* The same for our end of a connection: the client sees its end at once. */
void closer_close_socket(struct closer *closer, int fd);

/* How many wait, the one that is being closed included. Any thread. */
unsigned closer_waiting(const struct closer *closer);

/* The same, of all closers there are and were. */
unsigned closers_waiting(void);

/* Over CLOSER_CROWD descriptors wait: most likely one does not come to an end. Any thread. */
bool closer_crowded(const struct closer *closer);

/*
 * What does not fit into the table of descriptors any more is closed by the kernel,
 * within recvmsg(), on the thread that wanted to receive it. So a quarter of the table
 * is kept free for what may be on its way. True: the number of @fd, which was just
 * given to us, says that it is less now (the lowest free number is taken): whoever
 * sent it, or connected, has to go.
 */
bool closer_short_of_descriptors(int fd);

#endif
