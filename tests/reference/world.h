/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The model and the real thing side by side: clients, their descriptors, and every operation done
 * to both. What differs ends the program, with the operations that led to it.
 */
#ifndef PTNET_REFERENCE_WORLD_H
#define PTNET_REFERENCE_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "client.h"
#include "model.h"

#define CLIENTS	    4
#define DESCRIPTORS (CLIENTS * CLIENT_DESCRIPTORS)

struct world_descriptor {
	bool open;
	struct model_binding binding;
};

/* A buffer that a slot had before it was given a number that is none. */
struct world_lent {
	uint64_t serial; /* of the port */
	const struct model_ring *ring;
	uint32_t index, buffer;
};
#define WORLD_LENT 256

struct world {
	struct model model;
	struct client clients[CLIENTS];
	struct world_descriptor
		descriptors[DESCRIPTORS]; /* number / CLIENT_DESCRIPTORS: the client */
	unsigned int current;		  /* the descriptor that was last used */
	int control;			  /* a descriptor of our own, never bound */
	uint64_t operations, limit;
	uint64_t state; /* of the random numbers */
	uint64_t seed;
	struct world_lent lent[WORLD_LENT];
	unsigned int num_lent;
	char unique[8]; /* in names, so that two runs don't meet */
};

/* ---- random numbers ---- */

uint32_t world_random(struct world *w, uint32_t below);
bool world_chance(struct world *w, unsigned int percent);

/* ---- what was done ---- */

/* Notes an operation, in words; it is counted. */
void world_note(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Adds to the operation noted last. */
void world_note_more(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The two differ. Prints why, and the operations before; exit status 1. */
void world_differs(struct world *w, const char *format, ...)
	__attribute__((format(printf, 2, 3), noreturn));
/* How many operations world_differs() prints. */
void world_keep_history(unsigned int count);

/* ---- operations, on both ---- */

/* Name a port: PATTERN with "~" replaced by what is this run's own. Into @name. */
void world_name(const struct world *w, const char *pattern, char name[MODEL_NAME]);

void world_open(struct world *w, unsigned int number, const char *name,
		const struct nmreq_register *reg);
/* REGISTER on a descriptor that is bound already. */
void world_register_again(struct world *w, unsigned int number, const char *name);
void world_close(struct world *w, unsigned int number);
/* kill -9 of a client; another one takes its place, without descriptors. */
void world_kill(struct world *w, unsigned int client);
void world_txsync(struct world *w, unsigned int number);
void world_rxsync(struct world *w, unsigned int number);
void world_poll(struct world *w, unsigned int number, short events);
/*
 * A request of NIOCCTRL that binds nothing: the real thing must answer with this errno
 * value (0: success).
 */
void world_request(struct world *w, uint16_t type, const char *name, void *body, int error);

/* A region was made by other ways than opening a port, and the reply gave its id. */
void world_learn_region(struct world *w, const char *name, uint16_t id);
/* The buffer that the slot had, for it to have again; @now if that is not known, or it is in a slot
 * again. */
uint32_t world_take_lent(struct world *w, struct model_ring *ring, uint32_t index, uint32_t now);

/*
 * Begins an edit of a ring (of the bound ones, TX first): what the program writes. The caller
 * changes model and order alike, with the next functions, and then has it done.
 */
struct client_order *world_edit(struct world *w, unsigned int number, unsigned int ring);
void world_set_slot(struct world *w, unsigned int number, struct client_order *order,
		    uint32_t index, const struct netmap_slot *slot);
/* The same, and writes slot->len bytes into its buffer (packet.h). */
void world_fill_slot(struct world *w, unsigned int number, struct client_order *order,
		     uint32_t index, const struct netmap_slot *slot, unsigned int to,
		     unsigned int from);
void world_edit_done(struct world *w, unsigned int number, struct client_order *order,
		     uint32_t head, uint32_t cur);

#endif /* PTNET_REFERENCE_WORLD_H */
