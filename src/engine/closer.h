/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Closes descriptors that came from a VM, without a worker having to wait for it.
 *
 * The last close() of a file can sleep for as long as its owner likes: a TCP socket whose
 * peer reads nothing and that was told to linger for hours, a file on FUSE, or a socket with
 * such a descriptor unread in its queue. So a thread of its own closes them, one after
 * another, and a signal wakes it from each that takes longer than 10 milliseconds (sockets
 * then give up; only a file system in user space can hold it longer).
 */
#ifndef PTNET_ENGINE_CLOSER_H
#define PTNET_ENGINE_CLOSER_H

/* Starts the thread; 0 or negative errno. The control thread; the engine does it. */
int closer_start(void);

/* Returns when everything that was given to it is closed, and the thread is gone. */
void closer_stop(void);

/*
 * Takes @fd over; it is closed soon. Any thread; never waits. Without the thread
 * it is closed at once.
 */
void closer_take(int fd);

#endif
