/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The other side of a program under test: a port of fake_netmap.h that the test itself sends and
 * receives on, packet by packet. Waits end after ten seconds with a failed test.
 */
#ifndef FAKE_PEER_H
#define FAKE_PEER_H

#include "port.h"
#include "slots.h"

#define PEER_LONGEST 65536

struct peer {
	struct open_port port;
	uint8_t data[PEER_LONGEST]; /* the last packet received */
	uint32_t len, slots;
	uint32_t buf_idx;  /* of its first slot */
	uint32_t sent_idx; /* of the first slot of the last packet sent */
};

/* By the port's name, with its netmap:. The caller's to close. */
struct peer *peer_open(const char *name);
void peer_close(struct peer *p);

/* Sends a packet, waiting for room. */
void peer_send(struct peer *p, const void *data, uint32_t len);

/* The same if there is room; false if not. */
bool peer_try_send(struct peer *p, const void *data, uint32_t len);

/* Receives a packet, waiting for it, and gives its slots back. */
void peer_receive(struct peer *p);

/* The same if one is there; false if not. */
bool peer_try_receive(struct peer *p);

/* The same without giving its slots back yet: those of all packets held go with the next receive or
 * peer_release. */
void peer_hold(struct peer *p);
void peer_release(struct peer *p);

/* Waits until f(arg) is true. */
void peer_await(bool (*f)(void *arg), void *arg);

#endif
