/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An endpoint: the party attached to a port, reduced to what the engine needs of
 * it: a CSB, a kick per ring, an interrupt per ring. A VM's device and a host
 * process look alike from here on.
 *
 * Ring numbers count TX rings first, then RX rings, as the CSB and the kick
 * registers do. All functions may be called from any one thread at a time per
 * port (the worker that watches the VM's socket, or the control thread).
 */
#ifndef PTNET_ENGINE_ENDPOINT_H
#define PTNET_ENGINE_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include <net/netmap.h>
#include <ptnet/csb.h>

struct port;
struct ptnet_local_csb;

struct endpoint_csb {
	struct nm_csb_atok *atok; /* one entry per ring; untrusted, stays the caller's */
	struct nm_csb_ktoa *ktoa;
	/*
	 * The driver knows our extension: it executes a full barrier between
	 * storing head and loading kern_need_kick, and reads ring_fault.
	 */
	bool extension;
};

/*
 * CREATE (spec/ptnet-device.md section 6.2): writes the port's positions into the
 * CSB, clears faults and starts all rings. Nothing happens if they run already. Slots
 * that hold no buffer of their own get one first (port/buffers.h).
 * The CSB must stay mapped until endpoint_stop() returns.
 */
void endpoint_start(struct port *port, const struct endpoint_csb *csb);

/*
 * DELETE: when it returns nobody touches the CSB any more. Positions are kept:
 * received slots that the guest has released stay released, slots to send that it
 * had published and the daemon not yet seen are given up. Idempotent.
 */
void endpoint_stop(struct port *port);

/*
 * The CSB goes away for a time without its owner knowing (guest RAM unmapped, bus mastering
 * off): like endpoint_stop(), but endpoint_resume() goes on where the rings were, with what
 * the owner published meanwhile, and interrupts it. Either does nothing if there is
 * nothing to do; endpoint_stop() after endpoint_suspend() is a DELETE.
 */
void endpoint_suspend(struct port *port);
void endpoint_resume(struct port *port, const struct endpoint_csb *csb);

/*
 * One ring of a port that belongs to host processes gets its first user, or loses its last. In
 * between its CSB is the ring's entry in @csb (ptnet/local.h), which must stay mapped until
 * endpoint_stop_ring() returns. Rings that nobody has are not in netmap mode.
 *
 * Starting mends the ring's slots (port/buffers.h), writes the shared ring's header anew
 * (spec/ports.md section 8.5: all but the slots) and its entry of the CSB. -EINVAL: no such ring;
 * -EBUSY: it is running; -ENOMEM: a slot lacks a buffer and the region has none to give: nothing
 * was started.
 *
 * Stopping sends what was published, if it is not too much: a sync that somebody waited for
 * has sent it already. Who still sleeps on the ring is woken and finds PTNET_FAULT_GONE.
 * A ring on a switch then loses what it holds; that of a pipe keeps it while the ring
 * that it is coupled with has users (spec/ports.md section 3.3). The port's addresses are
 * forgotten with the last ring. Idempotent. Control thread.
 */
int endpoint_start_ring(struct port *port, unsigned ring, struct ptnet_local_csb *csb);
void endpoint_stop_ring(struct port *port, unsigned ring);

/*
 * The owner is gone or was reset: gives a port that stands alone (VALE) fresh
 * rings, so that queued packets do not reach the next owner (buffers are not cleared), and
 * the switch forgets its addresses. A pipe end keeps its state (spec/ports.md section 3.3). Only
 * while stopped.
 */
void endpoint_reset(struct port *port);

bool endpoint_running(const struct port *port);

/*
 * Stops every ring that runs for a reason that is not in its positions (PTNET_FAULT_CSB, or
 * PTNET_FAULT_GONE: the port is being deleted). Any thread.
 */
void endpoint_fault(struct port *port, enum ptnet_ring_fault fault);

/* The guest kicked @ring. Numbers that name no ring are counted and ignored. */
void endpoint_kick(struct port *port, unsigned ring);

/*
 * Sets the eventfd that interrupts the owner for @ring, -1 for none. Takes the
 * descriptor over and closes the one before, here and now: it must not be anything
 * but an eventfd (engine/closer.h). -EINVAL: no such ring (@eventfd is
 * then still the caller's).
 */
int endpoint_set_interrupt(struct port *port, unsigned ring, int eventfd);

#endif
