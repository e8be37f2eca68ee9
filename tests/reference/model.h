/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reference model: rings, VALE switches and pipes, as plainly as the specification puts them
 * (netmap-api.md section 3, ports.md sections 2 and 3), with the differences that docs/vale.md
 * lists. Slow, single-threaded, without memory that anybody shares; it knows nothing of how ptnetd
 * does it. Each call is one operation of a program, and leaves the model as the program must then
 * find its rings.
 */
#ifndef PTNET_REFERENCE_MODEL_H
#define PTNET_REFERENCE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include <net/netmap.h>

#define MODEL_BUF_SIZE	   2048
#define MODEL_MAX_SLOTS	   128
#define MODEL_MAX_RINGS	   4 /* per direction */
#define MODEL_MAX_PORTS	   32
#define MODEL_NAME	   32
#define MODEL_ADDRESSES	   16
#define MODEL_FIRST_BUFFER 2

/* Of a buffer the model knows as many bytes as somebody has written since it knows the buffer. */
struct model_buffer {
	uint32_t known;
	uint8_t bytes[MODEL_BUF_SIZE];
};

struct model_region {
	unsigned int users; /* ports */
	uint16_t id;	    /* 0: not told yet */
	uint32_t total;	    /* buffers, the two reserved ones included */
	struct model_buffer **buffers;
};

struct model_port;

struct model_ring {
	struct model_port *port;
	struct model_ring *peer; /* a pipe's other end */
	bool tx;
	unsigned int index;
	uint32_t num_slots;
	unsigned int users; /* descriptors */
	bool exclusive;
	bool fresh; /* nobody has it, or its slots are not known */
	/* A pipe's sender that was opened again or reset, and has not synced since. */
	enum { SYNCED, OPENED_AGAIN, WAS_RESET } state;
	uint32_t head, cur, tail;    /* the ring's header, as programs see it */
	uint32_t rhead, rcur, rtail; /* of the last sync */
	uint32_t hwcur, hwtail;	     /* the port's */
	struct netmap_slot slots[MODEL_MAX_SLOTS];
};

enum model_kind { MODEL_VALE, MODEL_PIPE };

struct model_port {
	enum model_kind kind;
	uint64_t serial;       /* no two ports have the same */
	char name[MODEL_NAME]; /* "valeX:Y", a persistent port's interface, a pipe's end */
	unsigned int users;    /* descriptors, and pipes of which it is the parent */
	struct model_region *region;
	struct model_port *parent, *other_end; /* of a pipe */
	char switch_name[MODEL_NAME];	       /* VALE: "": on none */
	bool persistent;		       /* made by NEWIF */
	bool implicit;			       /* made as the parent of pipes, on no switch */
	unsigned int num_tx, num_rx;
	struct model_ring tx[MODEL_MAX_RINGS], rx[MODEL_MAX_RINGS];
};

/* What an open descriptor is bound to. */
struct model_binding {
	struct model_port *port;
	uint64_t flags; /* NR_* */
	unsigned int first_tx, num_tx, first_rx, num_rx;
};

/* Where a station was seen. */
struct model_station {
	char switch_name[MODEL_NAME];
	uint8_t address[6];
	struct model_port *port;
};

/* How often what happened: a run in which something never does shows little. */
enum model_count {
	COUNT_UNICAST,
	COUNT_FLOODED,
	COUNT_LEARNT,
	COUNT_SAME_PORT,
	COUNT_SEVERAL_SLOTS,
	COUNT_CUT_SHORT,
	COUNT_BAD_SLOT,
	COUNT_TOO_SHORT,
	COUNT_TOO_MANY_FRAGMENTS,
	COUNT_TOO_LONG,
	COUNT_RING_FULL,
	COUNT_NOT_BOUND,
	COUNT_DISCARDED,
	COUNT_DELIVERED,
	COUNT_PASSED_ON,
	COUNT_HELD_BACK, /* a pipe's chain that is not complete */
	COUNT_TAKEN_BACK,
	COUNT_PIPE_FULL,
	COUNT_RESUMED,
	COUNT_RESET,
	COUNT_BUSY,
	COUNT_REFUSED,
	MODEL_COUNTS
};
extern const char *const model_count_names[MODEL_COUNTS];

/* Faults of the model, to see that the comparison finds them. */
enum model_mistake {
	MISTAKE_NONE,
	MISTAKE_BYTE,	   /* a byte of every thousandth packet */
	MISTAKE_FLOOD,	   /* flooded packets reach their sender's port */
	MISTAKE_LEARN,	   /* addresses do not move */
	MISTAKE_FULL,	   /* what comes after a packet that did not fit may overtake it */
	MISTAKE_CHAIN,	   /* a pipe shows incomplete chains */
	MISTAKE_TAIL,	   /* a pipe gives slots back one late */
	MISTAKE_RESET,	   /* bad positions are taken as they are */
	MISTAKE_EXCLUSIVE, /* NR_EXCLUSIVE is not looked at */
	MODEL_MISTAKES
};
extern const char *const model_mistake_names[MODEL_MISTAKES];

struct model {
	struct model_port *ports[MODEL_MAX_PORTS];
	struct model_station stations[MODEL_ADDRESSES];
	uint64_t counts[MODEL_COUNTS];
	uint64_t serial;
	enum model_mistake mistake;
};

/* ---- requests: 0 or an errno value ---- */

/*
 * REGISTER of @name, with mode, ring, flags and wishes as in @reg, on a descriptor that is not
 * bound: fills in the binding and what the reply must have, but for what only the owner knows
 * (offset, size; the memory id is 0 where a new region gets one).
 */
int model_register(struct model *m, const char *name, struct nmreq_register *reg,
		   struct model_binding *binding);
/* The last reference to the descriptor goes. */
void model_close(struct model *m, struct model_binding *binding);

int model_newif(struct model *m, const char *name, const struct nmreq_vale_newif *newif);
int model_delif(struct model *m, const char *name);
int model_attach(struct model *m, const char *name);
int model_detach(struct model *m, const char *name);

/* The port of that name, as VALE_LIST would find it ("valeX:Y"), NULL if there is none. */
struct model_port *model_find(const struct model *m, const char *name);
void model_free(struct model *m);

/* ---- syncs ---- */

void model_txsync(struct model *m, const struct model_binding *binding);
void model_rxsync(struct model *m, const struct model_binding *binding);

/*
 * poll() for @events with timeout 0. Returns the events that must be reported; *@may are others
 * that may be, since the owner need not have taken yet what poll() has it send.
 */
short model_poll(struct model *m, const struct model_binding *binding, short events, short *may);

/* ---- for whoever plays the program ---- */

static inline uint32_t model_next(const struct model_ring *ring, uint32_t index)
{
	return index + 1 == ring->num_slots ? 0 : index + 1;
}

static inline uint32_t model_previous(const struct model_ring *ring, uint32_t index)
{
	return index == 0 ? ring->num_slots - 1 : index - 1;
}

/* From one slot to another, around the ring. */
static inline uint32_t model_distance(const struct model_ring *ring, uint32_t from, uint32_t to)
{
	return to >= from ? to - from : to + ring->num_slots - from;
}

static inline bool model_is_buffer(const struct model_region *region, uint32_t index)
{
	return index >= MODEL_FIRST_BUFFER && index < region->total;
}

struct model_buffer *model_buffer(struct model_region *region, uint32_t index);

/* @number of a binding's rings, TX first. */
struct model_ring *model_bound_ring(const struct model_binding *binding, unsigned int number);

/*
 * The owner may have given slots back to a pipe's sender while that was away, as its first sync
 * would have: up to
 * @tail. False: no slots up to there were to be given back.
 */
bool model_pipe_catch_up(struct model *m, struct model_ring *tx, uint32_t tail);

/*
 * How many slots, from hwcur on, a ring's owner has: a sender with the one at tail, a pipe's reader
 * with those of a packet that is not complete. And whether all of them have a buffer.
 */
uint32_t model_slots_held(const struct model_ring *ring);
bool model_slots_whole(const struct model_ring *ring);

/* ---- between the files of the model ---- */

void model_clean_slots(struct model_ring *ring);
void model_vale_run(struct model *m, struct model_ring *tx);
void model_vale_forget(struct model *m, const struct model_port *port);
void model_pipe_run(struct model *m, struct model_ring *tx);
void model_pipe_sender_leaves(struct model_ring *tx);

#endif /* PTNET_REFERENCE_MODEL_H */
