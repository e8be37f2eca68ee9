/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest that means harm. Every attack is an entry of a table: it has a name, does
 * one thing (in many values), and says by which names the daemon must count it, or that
 * it is no fault. The runner (test_hostile.c) checks that, and that meanwhile and
 * afterwards the other guests, one pair on the same switch and one on a pipe, lose nothing.
 *
 * The attacker sits on vale0:evil or on the pipe evil{1, both with two ring pairs
 * of 128 slots. On the switch there is also a sink, which reads whatever comes.
 */
#ifndef HOSTILE_H
#define HOSTILE_H

#include "device_test.h"

#define EVIL_RINGS 2
#define EVIL_SLOTS 128
#define SINK_SLOTS 1024
#define EVIL_PORT  "vale0:evil"
#define EVIL_PIPE  "evil{1"
#define EVIL_PEER  "evil}1"
/* For an attack's port: the socket of EVIL_PORT's memory. */
#define EVIL_MEMORY "vale0:evil's memory"
/* For an attack's counters: only a nuisance; no fault, bad kick or protocol error is counted. */
#define NO_FAULT NULL

struct attack {
	const char *name;
	void (*run)(void);
	/* What the daemon must have counted more of; several names have spaces between them. */
	const char *counters;
	const char *port; /* whose counters; NULL: EVIL_PORT */
};

/* The tables, one per file. */
extern const struct attack ring_attacks[], memory_attacks[], message_attacks[], register_attacks[],
	connection_attacks[], descriptor_attacks[];
extern const size_t num_ring_attacks, num_memory_attacks, num_message_attacks, num_register_attacks,
	num_connection_attacks, num_descriptor_attacks;

/* Set up before an attack; what it leaves attached is killed after it. */
extern struct daemon ptnetd;
extern struct endpoint evil;	/* with a driver */
extern struct guest evil_guest; /* without */
extern struct port_paths evil_paths;

/* Waits until the daemon has noticed that no attacker is connected any more. */
void await_attackers_gone(void);
/* What descriptor_attacks left in the daemon that cannot be closed, can be from now on. */
void descriptors_let_go(void);

/* Random numbers, from a seed that was printed. */
uint32_t dice(uint32_t sides);

/* Sends one frame from the sink to this address. */
void sink_sends(const uint8_t *destination);
/* Frames that the sink has read. */
uint64_t sink_received(void);
/* The sink's address, for attacks that need somebody to receive. */
const uint8_t *sink_mac(void);

/* Writes an Ethernet frame of @size bytes for the sink into the slot, if it has a buffer. */
void fill_slot(struct ring *ring, struct netmap_slot *slot, uint16_t size);
/* Writes such a frame's header into each buffer, so that whatever is sent harms nobody. */
void aim_buffers(struct driver *driver);

/*
 * A thread that publishes on all TX rings of @driver and kicks, as fast as it can and whatever
 * happens to the rings. @lawful: no more than there is room for, so that it is never a fault.
 */
struct hammer {
	pthread_t thread;
	struct driver *driver;
	bool lawful;
	bool stop;
};
void hammer_start(struct hammer *hammer, struct driver *driver, bool lawful);
void hammer_stop(struct hammer *hammer);

#endif
