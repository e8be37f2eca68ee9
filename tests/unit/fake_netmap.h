/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * netmap pipes inside the test's own process, behind the system calls that a netmap program
 * makes: the linker's --wrap leads open, close, ioctl, poll and ppoll here. It follows
 * spec/ports.md section 3.2 for both ends in one process. Queued packets outlive a close, as a
 * pipe's do while one end is open. Polling follows spec/netmap-api.md section 9: without POLLOUT
 * a TX ring is synced only if there is something to send, RX rings only with POLLIN.
 *
 * As guest drivers do, it shows all rings to a descriptor bound to one.
 */
#ifndef FAKE_NETMAP_H
#define FAKE_NETMAP_H

#include <net/netmap_user.h>
#include <stdbool.h>

struct fake_setup {
	unsigned int rings; /* pairs, at most 8 */
	unsigned int slots;
	unsigned int buf_size; /* the same for all pipes of a region */
	unsigned int vnet_hdr; /* what PORT_HDR_GET says */
	/* Called for the n-th slot that goes from one end to the other, before the receiver sees
	 * it. False: the receiver is not to see it before the next one. */
	bool (*tamper)(struct netmap_slot *slot, uint8_t *buffer, uint64_t n);
};

/* One pipe: "netmap:fake{1" and "netmap:fake}1". */
void fake_create(const struct fake_setup *setup);

struct fake_pipe {
	const char *name;    /* with '{' */
	unsigned int region; /* 0..3; its memory id is 5 more */
	struct fake_setup setup;
};

/* At most 16 pipes, and extra buffers in each region. */
void fake_create_pipes(const struct fake_pipe *pipes, unsigned int n, unsigned int extra);

/* Everything must be closed. */
void fake_destroy(void);

/* From now on poll says POLLERR. */
void fake_break(void);

/* Until undone, all slots have an offset as NETMAP_REQ_OPT_OFFSETS gives. By name of the end. */
void fake_set_offset(const char *end, uint64_t mask, uint64_t initial);

/*
 * Buffers of a region that are nowhere or in two places: in the slots of its pipes, each in the
 * one that owns it at the moment, or among the extra buffers as they were given back at the last
 * close of a port that had taken them. 0 when all is well.
 */
unsigned int fake_lost_buffers(unsigned int region);

/* Slots of the end's TX ring 0 that have been taken by the pipe and not come back. */
unsigned int fake_in_flight(const char *end);

/* How often poll and ppoll have been called with a port, since the beginning. */
uint64_t fake_polls(void);

#endif
