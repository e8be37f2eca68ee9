/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Per-ring counters: written by whoever holds the ring's lock (but kicks_received: any
 * thread, and wakeups: the ring's worker), read at any time without stopping anything.
 */
#ifndef PTNET_RING_COUNTERS_H
#define PTNET_RING_COUNTERS_H

#include <stdatomic.h>
#include <stdint.h>

/*
 * X(identifier, name for humans and JSON). Drops on a TX ring are packets that
 * reached nobody for the sender's reasons; on an RX ring, packets meant for it.
 */
#define RING_COUNTERS(X)                                                                           \
	X(PACKETS, "packets")                                                                      \
	X(BYTES, "bytes")                                                                          \
	X(DROP_BAD_SLOT, "drop_bad_slot")   /* buffer index or length out of range */              \
	X(DROP_TOO_SHORT, "drop_too_short") /* no whole Ethernet header */                         \
	X(DROP_TOO_LONG, "drop_too_long")   /* over the frame limit of the destination */          \
	X(DROP_TOO_MANY_FRAGS, "drop_too_many_fragments") /* over NETMAP_MAX_FRAGS */              \
	X(DROP_BAD_VNET_HEADER, "drop_bad_vnet_header")	  /* not whole, or asks for nonsense */    \
	X(DROP_NO_DESTINATION, "drop_no_destination")	  /* nobody else on the switch */          \
	X(DROP_SAME_PORT, "drop_same_port")		  /* destination is the sending port */    \
	X(DROP_RING_FULL, "drop_ring_full")		  /* no room in the destination ring */    \
	X(DROP_NOT_RUNNING, "drop_not_running") /* nobody has the destination ring open */         \
	X(KICKS_RECEIVED, "kicks_received")                                                        \
	X(KICKS_ENABLED, "kicks_enabled") /* times we asked for a kick */                          \
	X(INTERRUPTS_SENT, "interrupts_sent")                                                      \
	X(INTERRUPTS_SUPPRESSED, "interrupts_suppressed")                                          \
	X(INTERRUPTS_FAILED, "interrupts_failed") /* no eventfd, or it could not be written */     \
	X(WAKEUPS, "wakeups")			  /* times an idle ring was set to work */         \
	X(FAULTS, "faults")			  /* times the ring was stopped for a bad value */

enum ring_counter {
#define X(identifier, name) RING_##identifier,
	RING_COUNTERS(X)
#undef X
		RING_COUNTER_COUNT
};

extern const char *const ring_counter_names[RING_COUNTER_COUNT];

struct ring_counters {
	_Atomic uint64_t value[RING_COUNTER_COUNT];
};

/* One writer at a time: no locked instruction needed. */
static inline void ring_count(struct ring_counters *counters, enum ring_counter which,
			      uint64_t more)
{
	uint64_t now = atomic_load_explicit(&counters->value[which], memory_order_relaxed);

	atomic_store_explicit(&counters->value[which], now + more, memory_order_relaxed);
}

static inline uint64_t ring_counter_get(const struct ring_counters *counters,
					enum ring_counter which)
{
	return atomic_load_explicit(&counters->value[which], memory_order_relaxed);
}

#endif
