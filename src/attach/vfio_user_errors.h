/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a vfio-user client can do wrong, each with a name and a counter. Counters
 * are written by the thread that serves the client, read by any.
 */
#ifndef PTNET_ATTACH_VFIO_USER_ERRORS_H
#define PTNET_ATTACH_VFIO_USER_ERRORS_H

#include <stdatomic.h>
#include <stdint.h>

/* X(identifier, name for humans and JSON). */
#define VFIO_USER_ERRORS(X)                                                                        \
	X(HEADER, "bad_header")		  /* size or type that no message can have: cut off */     \
	X(TRUNCATED, "truncated_message") /* went away in the middle of a message */               \
	X(VERSION, "bad_version")	  /* no VERSION first, or one we cannot serve: cut off */  \
	X(COMMAND, "unknown_command")                                                              \
	X(SIZE, "bad_payload_size")	  /* does not fit the command */                           \
	X(DESCRIPTORS, "bad_descriptors") /* missing, too many, or of the wrong kind */            \
	X(ARGUMENT, "bad_argument")                                                                \
	X(ACCESS, "bad_region_access") /* outside a region, or too long */                         \
	X(DMA, "bad_dma_range")                                                                    \
	X(IRQ, "bad_interrupt_range")                                                              \
	X(CSB, "bad_csb_address")	     /* CREATE without usable CSB pages */                 \
	X(CSB_LOST, "csb_memory_lost")	     /* the file behind the CSB was cut under us */        \
	X(REGION_LOST, "region_memory_lost") /* holes were punched that cannot be filled */        \
	X(STALLED, "replies_not_read")	     /* cut off */                                         \
	X(REFUSED, "refused_connections")    /* a second VM while the first was connected */

enum vfio_user_error {
#define X(identifier, name) VFIO_USER_ERROR_##identifier,
	VFIO_USER_ERRORS(X)
#undef X
		VFIO_USER_ERROR_COUNT
};

extern const char *const vfio_user_error_names[VFIO_USER_ERROR_COUNT];

struct vfio_user_counters {
	_Atomic uint64_t messages;
	_Atomic uint64_t error[VFIO_USER_ERROR_COUNT];
};

/* One writer at a time: no locked instruction needed. */
static inline void vfio_user_count(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

#endif
