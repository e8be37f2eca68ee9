/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A netmap pipe inside the test's own process, behind the system calls that a netmap program
 * makes: the linker's --wrap leads open, close, ioctl, poll and ppoll here. It follows
 * spec/ports.md section 3.2 for two ends in one process: "netmap:fake{1" and "netmap:fake}1".
 * Queued packets outlive a close, as a pipe's do while one end is open.
 *
 * As guest drivers do, it shows all rings to a descriptor bound to one.
 */
#ifndef TEST_GEN_FAKE_H
#define TEST_GEN_FAKE_H

#include <net/netmap_user.h>
#include <stdbool.h>

struct fake_setup {
	unsigned int rings; /* pairs, at most 8 */
	unsigned int slots;
	unsigned int buf_size;
	unsigned int vnet_hdr; /* what PORT_HDR_GET says */
	/* Called for the n-th slot that goes from one end to the other, before the receiver sees
	 * it. False: the receiver is not to see it before the next one. */
	bool (*tamper)(struct netmap_slot *slot, uint8_t *buffer, uint64_t n);
};

void fake_create(const struct fake_setup *setup);
void fake_destroy(void);

/* From now on poll says POLLERR. */
void fake_break(void);

#endif
