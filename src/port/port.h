/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A port: rings in a memory region, and a type that moves packets between them
 * (vale, pipe). Ports know nothing of who is attached to them.
 */
#ifndef PTNET_PORT_PORT_H
#define PTNET_PORT_PORT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include <ptnet/registers.h>

#include "log/error.h"
#include "log/log.h"
#include "memory/region.h"
#include "ring/kring.h"

#define PORT_NAME_SIZE NETMAP_REQ_IFNAMSIZ

#define PORT_DEFAULT_SLOTS 1024
#define PORT_MIN_SLOTS	   2
/* bytes: a 64 KB packet with its Ethernet header and a VLAN tag */
#define PORT_MAX_FRAME 65554u
/* bytes: an Ethernet frame */
#define PORT_DEFAULT_MFS 1514u

/* What a run of a ring ended with. */
enum port_work {
	PORT_MORE,    /* the budget ran out: run it again */
	PORT_CROWDED, /* the same, but who receives should get a CPU first */
	PORT_DRY,     /* nothing left to do until a kick */
	PORT_STOPPED, /* the ring is not running */
};

struct port;

/* The verbs of a port type. */
struct port_ops {
	const char *type;
	/*
	 * Nobody runs its rings: they are their user's as long as the port exists. There may be
	 * none, or without slots.
	 */
	bool unserved;
	/* RX rings get no buffers of their own: they hold what the ring they are coupled with
	 * passes on. */
	bool readers_borrow;

	/*
	 * Moves at most about @budget slots (a packet is never cut) for @kring,
	 * whose lock the caller holds and which is running. Worker thread.
	 */
	enum port_work (*run)(struct kring *kring, unsigned budget);

	/*
	 * Looks, without a store, whether run() would find something. Caller holds
	 * @kring's lock; it is running. Worker thread.
	 */
	bool (*pending)(struct kring *kring);

	/*
	 * Enables the kicks on which progress of @kring depends, then looks again:
	 * true if there is work after all (kicks are then disabled again). Caller
	 * holds @kring's lock.
	 */
	bool (*enable_kicks)(struct kring *kring);

	/* The owner of @kring kicked it: wakes the ring to run, if any. No lock held. */
	void (*kicked)(struct kring *kring);

	/*
	 * The owner of TX ring @kring is leaving: gives up what it had only begun.
	 * NULL: there is nothing such. Caller holds the ring's lock.
	 */
	void (*owner_leaves)(struct kring *kring);

	/* Gives the port fresh rings after its owner left. */
	void (*reset)(struct port *port);

	/* The same for one ring, whose last user left while the port has others. */
	void (*reset_ring)(struct kring *kring);

	/*
	 * Leaving takes two steps, with a wait between them (engine_remove_port()).
	 * unpublish(): nobody finds the port any more, from its switch or its peer;
	 * a worker that found it before may still use it. detach(): nobody uses it
	 * any more, forget it. Control thread.
	 */
	void (*unpublish)(struct port *port);
	void (*detach)(struct port *port);
};

struct port_config {
	char name[PORT_NAME_SIZE];
	uint32_t tx_rings, rx_rings; /* 0: 1; at most 16 of each */
	uint32_t tx_slots, rx_slots; /* per ring, 2 to 4096; 0: 1024 */
	uint8_t mac[6]; /* reported to guests; all zero: made from the name, locally administered */
	/* Its users bring a netmap_if each, as host processes do: the port takes none. */
	bool no_netmap_if;
	/* Of who may make any number of ports; it outlives them. NULL: the port has its own. */
	struct log_limit *log_limit;
};

/* To whom a port belongs: a VM, or any number of host processes, never both. */
enum port_owner { PORT_OWNER_NONE, PORT_OWNER_VM, PORT_OWNER_PROCESSES };

#define PORT_CLAIMED_BY_VM UINT32_MAX

struct port {
	const struct port_ops *ops;
	char name[PORT_NAME_SIZE];
	uint8_t mac[6];
	uint32_t tx_rings, rx_rings;
	uint32_t tx_slots, rx_slots;
	uint32_t max_frame;	       /* bytes, Ethernet header included */
	_Atomic uint32_t vnet_hdr_len; /* of the virtio-net header before each frame: 0, 10 or 12 */
	_Atomic uint32_t mfs; /* bytes: segments that the switch makes for the port are no longer */

	struct region *region;
	int32_t if_index; /* our netmap_if in the region; -1: none */
	uint64_t nifp_offset;
	int32_t csb_index; /* CSB page in the region; -1: none left, no extension */
	uint64_t csb_gh_offset, csb_hg_offset;

	LIST_ENTRY(port) link;	 /* buffers.c's */
	struct kring *rings;	 /* tx_rings TX rings, then rx_rings RX rings */
	_Atomic bool running;	 /* an endpoint has started rings */
	_Atomic uint32_t claims; /* of processes, or PORT_CLAIMED_BY_VM */
	_Atomic uint64_t bad_kicks;
	struct log_limit *log_limit;	/* for lines that the port's owner can cause: */
	struct log_limit own_log_limit; /* this one, or one that config brought */
	void *type_private;		/* the port type's own */
};

/* Bytes of a netmap_if for a port of so many rings, entries for host rings included. */
uint32_t port_netmap_if_size(uint32_t tx_rings, uint32_t rx_rings);

static inline unsigned port_num_rings(const struct port *port)
{
	return port->tx_rings + port->rx_rings;
}

static inline struct kring *port_tx(const struct port *port, unsigned index)
{
	return &port->rings[index];
}

static inline struct kring *port_rx(const struct port *port, unsigned index)
{
	return &port->rings[port->tx_rings + index];
}

/* Wakes a ring's worker, if it has one. Any thread. */
static inline void kring_wake(struct kring *kring)
{
	if (kring->wake != NULL)
		kring->wake(kring);
}

/*
 * Says that the port is going to be used by @owner: one VM, or any number of processes,
 * each with a claim of its own. False: the other kind has it, or a VM has it already. Any thread.
 */
bool port_claim(struct port *port, enum port_owner owner);
/* Takes back one successful port_claim(). */
void port_release(struct port *port, enum port_owner owner);
enum port_owner port_owner(const struct port *port);

/*
 * The steps that every port type shares. port_init() checks @config (-EINVAL with
 * the limit in the text), takes a reference on @region and allocates netmap_if,
 * rings and CSB page; buffers are the type's business (port_alloc_buffers()).
 * On failure nothing is held. Control thread.
 */
int port_init(struct port *port, const struct port_ops *ops, const struct port_config *config,
	      struct region *region, struct error *error);
/* Frees rings, their buffers and netmap_if and drops the region; not the port itself. */
void port_fini(struct port *port);

/* Gives every slot of @kring a buffer and makes it a fresh ring. -ENOMEM: it has none. */
int port_alloc_buffers(struct kring *kring, struct error *error);

/*
 * Writes again what owners should only read but can write: the netmap_if and the
 * ring headers. For the next owner; only while the port has none.
 */
void port_restore_constants(struct port *port);

/* The same for one ring, whose lock the caller holds. */
void port_restore_ring(struct kring *kring);

/*
 * Puts the ring and its shared copy into the state of a fresh one, empty, with the
 * buffers that its slots hold. Caller holds the ring's lock; it is stopped.
 */
void port_rewind_ring(struct kring *kring);

/* Leaves switch or peer and frees the port. engine_remove_port() comes first, if it runs. */
void port_destroy(struct port *port);

#endif
