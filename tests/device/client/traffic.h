/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Moves packets from one endpoint to another and checks each: order, number,
 * length, fragments and every byte of content; on a pipe also that the buffers
 * that arrive are the buffers that were sent. A sending and a receiving thread
 * serve all ring pairs.
 *
 * On a switch the sender keeps within what the receiver has room for, so that not
 * a single packet may be missing.
 */
#ifndef CLIENT_TRAFFIC_H
#define CLIENT_TRAFFIC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "endpoint.h"

#define TRAFFIC_MAX_SLOTS 4096

struct traffic_config {
	bool pipe;
	uint64_t packets;   /* over all rings; 0: until traffic_stop() */
	unsigned max_batch; /* packets per publication; 0: 64 */
	unsigned window;    /* slots in flight per ring on a switch; 0: the ring's size */
	unsigned pace_us;   /* pause between bursts, for traffic in the background; 0: none */
	uint32_t run;	    /* told apart from packets of other runs; choose another each time */
};

/* One ring pair. */
struct flow {
	uint32_t next_send; /* sequence number */
	uint32_t next_receive;
	uint32_t end; /* first number that is not sent; valid once ended */
	_Atomic bool ended;
	_Atomic uint64_t sent_slots;
	_Atomic uint64_t released_slots;
	bool started; /* the first packet of this run has come */
	/* Pipe: what was in the TX slot of the same number. */
	_Atomic uint32_t sent_buf_idx[TRAFFIC_MAX_SLOTS];
};

struct traffic {
	struct traffic_config config;
	struct endpoint *from, *to;
	unsigned rings;
	struct flow flows[PTNET_MAX_RINGS / 2];
	pthread_t sender, receiver;
	int credit_event, stop_event;
	_Atomic uint32_t sender_waits;
	_Atomic bool stop;
	_Atomic uint64_t received, stale, foreign;
	_Atomic bool failed;
	char error_text[512];
};

/* Starts both threads. 0, or a negative errno with error_text. */
int traffic_start(struct traffic *traffic, struct endpoint *from, struct endpoint *to,
		  const struct traffic_config *config);
/* No more is sent; traffic_join() waits for what is on its way. */
void traffic_stop(struct traffic *traffic);
/* Waits for the end. 0 if each packet came as it should, else error_text says what did not. */
int traffic_join(struct traffic *traffic);

static inline uint64_t traffic_received(const struct traffic *traffic)
{
	return atomic_load(&traffic->received);
}

#endif
