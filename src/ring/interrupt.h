/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Raises an interrupt: adds one to an eventfd that somebody else gave us.
 *
 * write() is no way to do it. It blocks while the counter is full, unless the
 * descriptor is non-blocking; and both the counter and O_NONBLOCK, which belongs to
 * the open file and not to our descriptor, are the other side's to set at any time.
 * A worker would hang in it for as long as the guest likes, and all its ports too.
 */
#ifndef PTNET_RING_INTERRUPT_H
#define PTNET_RING_INTERRUPT_H

/*
 * Never blocks. 0: the eventfd is readable now. Negative errno: it is none, or
 * this thread cannot raise interrupts (interrupt_prepare() says why). Any thread.
 */
int interrupt_raise(int eventfd);

/*
 * Gets what raising takes for this thread, which interrupt_raise() does by itself
 * when it must; so that lack of it shows at the start. Negative errno: -EAGAIN when
 * fs.aio-max-nr is used up, -ENOSYS without asynchronous I/O in the kernel.
 */
int interrupt_prepare(void);

#endif
