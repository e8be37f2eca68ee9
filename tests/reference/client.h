/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A netmap program that does what it is told, in a process of its own, and tells what it then sees.
 * It knows nothing of the model. Orders and answers are in memory that it shares with who gives the
 * orders.
 */
#ifndef PTNET_REFERENCE_CLIENT_H
#define PTNET_REFERENCE_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <net/netmap.h>

#include "model.h"

#define CLIENT_DESCRIPTORS 4
#define CLIENT_RINGS	   (2 * MODEL_MAX_RINGS)

enum client_op {
	CLIENT_OPEN,	 /* and REGISTER, and mmap */
	CLIENT_REGISTER, /* on a descriptor that is open */
	CLIENT_CLOSE,
	CLIENT_EDIT, /* slots and positions of a ring: stores, no system call */
	CLIENT_TXSYNC,
	CLIENT_RXSYNC,
	CLIENT_POLL,
};

struct client_edit {
	uint32_t index; /* of the slot */
	struct netmap_slot slot;
	bool fill; /* with packet_fill(to, from, seed) */
	uint8_t to, from;
	uint32_t seed;
};

struct client_order {
	enum client_op op;
	unsigned int descriptor;
	char name[MODEL_NAME];
	struct nmreq_register reg;
	unsigned int ring; /* of the bound ones, TX first */
	unsigned int num_edits;
	struct client_edit edits[MODEL_MAX_SLOTS];
	bool set_tail; /* which a program must not do */
	uint32_t head, cur, tail;
	short events;
	bool settle; /* NIOCTXSYNC after poll() */
};

struct client_ring {
	uint32_t num_slots, head, cur, tail;
	uint16_t ringid, dir;
	struct netmap_slot slots[MODEL_MAX_SLOTS];
	uint64_t hashes[MODEL_MAX_SLOTS]; /* of RX slots between head and tail: their data */
};

struct client_answer {
	int error; /* errno value of open, ioctl or poll */
	short revents;
	struct nmreq_register reg;
	unsigned int num_tx, num_rx; /* bound */
	struct client_ring rings[CLIENT_RINGS];
};

struct client_mail {
	struct client_order order;
	struct client_answer answer;
};

struct client {
	pid_t pid;
	int channel;
	struct client_mail *mail;
};

/* Exits with a message if that is not possible. */
void client_start(struct client *c);
/* Carries out c->mail->order. False: the client has died. */
bool client_call(struct client *c);
/* kill -9; returns when it is gone. */
void client_kill(struct client *c);

#endif /* PTNET_REFERENCE_CLIENT_H */
