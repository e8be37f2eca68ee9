/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * One ring of a ptnet port: its private positions, what was published to the
 * host and accepted from it, and the decisions to kick and to be interrupted.
 *
 * Whoever uses the ring, the network stack or a netmap program, goes through the
 * functions below; they alone touch the CSB, and only by ptnet/csb.h. All index
 * arithmetic is modulo num_slots.
 *
 * A ring is used by one party at a time, told by its mode:
 *   OFF     nobody; interrupts are ignored, shared memory must not be touched.
 *   STACK   TX: whoever holds the queue's TX lock. RX: the ring's NAPI instance.
 *   NETMAP  whoever holds ring->lock.
 * port.c alone changes the mode, under port->lock and always through OFF: it
 * enters the party's own exclusion to set OFF, then waits for a running
 * interrupt handler, then lets the next party in. Below, "user" means the party
 * that the mode names, inside its exclusion.
 */
#ifndef PTNET_RING_H
#define PTNET_RING_H

#include <linux/netdevice.h>
#include <linux/spinlock.h>
#include <linux/u64_stats_sync.h>
#include <linux/wait.h>

#ifndef NETMAP_OWNER
#define NETMAP_OWNER /* this driver fills the constant fields of ring headers */
#endif
#include <net/netmap.h>
#include <ptnet/csb.h>

struct ptnet_port;

enum ptnet_ring_mode {
	PTNET_RING_OFF,
	PTNET_RING_STACK,
	PTNET_RING_NETMAP,
};

enum ptnet_ring_dir {
	PTNET_TX = NETMAP_SLOT_TX,
	PTNET_RX = NETMAP_SLOT_RX,
	PTNET_DIRS,
};

/* What a ring counts; the names in ethtool.c are in the same order. */
enum ptnet_ring_stat {
	PTNET_STAT_PACKETS,	     /* by the stack */
	PTNET_STAT_BYTES,	     /* by the stack */
	PTNET_STAT_DROPPED,	     /* by the stack: too long, no memory */
	PTNET_STAT_BAD_PACKETS,	     /* RX: slots or headers that make no packet */
	PTNET_STAT_STOPS,	     /* TX: the queue was stopped for want of slots */
	PTNET_STAT_KICKS,	     /* the host asked for a kick and got it */
	PTNET_STAT_KICKS_SUPPRESSED, /* the host was found awake */
	PTNET_STAT_NETMAP_SYNCS,
	PTNET_STAT_NETMAP_SLOTS,  /* TX: given by programs, RX: given to them */
	PTNET_STAT_NETMAP_RESETS, /* a program's head or cur was invalid */
	PTNET_STAT_FAULTS,	  /* the ring was stopped, see ptnet_ring_stop() */
	PTNET_STAT_COUNT,
};

/* A slot as it was read: copied once, checked, and used from here only. */
struct ptnet_slot {
	void *buf; /* NULL: buf_idx names no buffer, or len exceeds a buffer */
	u16 len;
	u16 flags;
};

struct ptnet_ring {
	/* Set at probe, constant. */
	struct ptnet_port *port;
	enum ptnet_ring_dir dir;
	unsigned int index;  /* inside its direction: also the netdev's queue */
	unsigned int vector; /* in the CSB arrays, of its interrupt and of its kick */
	int irq;	     /* 0: not requested */
	char irq_name[32];

	/*
	 * Set by port.c while the mode is OFF, under port->lock; constant in the
	 * other modes. Everything here was checked against the region's bounds.
	 */
	u64 ofs; /* of shared inside the region */
	struct netmap_ring *shared;
	struct nm_csb_atok *atok;
	struct ptnet_csb_ktoa *ktoa;
	u32 num_slots;
	u32 buf_size;
	u32 num_bufs;
	void *bufs;
	u32 slot_room;	 /* bytes that a slot can take: len has 16 bits */
	u32 frame_len;	 /* STACK: longest frame */
	u32 frame_slots; /* STACK: slots that it takes */

	enum ptnet_ring_mode mode; /* see above; read without lock where noted */

	/* Positions. Written by the user only. */
	u32 next;   /* STACK: next slot to fill (TX) or to look at (RX) */
	u32 head;   /* last published to the host */
	u32 cur;    /* last published to the host */
	u32 hwcur;  /* last accepted from the host */
	u32 hwtail; /* last accepted from the host */
	u32 tail;   /* NETMAP: last shown to the program */

	bool fault; /* stopped until the next CREATE; written by the user, read by all */

	/*
	 * NETMAP: somebody may be asleep and wants the next interrupt. STACK, RX: the
	 * poller left an interrupt enabled. Set by the user, cleared by it or by the
	 * interrupt handler, which then wakes everybody or schedules the poller.
	 */
	bool armed;

	spinlock_t lock; /* NETMAP: held by the program that syncs */
	wait_queue_head_t wait;
	struct napi_struct napi; /* RX only */

	/* Under port->lock. */
	unsigned int bound; /* netmap descriptors bound to this ring */
	bool exclusive;	    /* the one bound descriptor does not share */
	bool shown;	    /* the header was shown to the descriptors now bound */
	u32 shown_head;	    /* head when they last could use it */

	unsigned long interrupts; /* written by the interrupt handler */
	struct u64_stats_sync stats_sync;
	u64_stats_t stats[PTNET_STAT_COUNT]; /* written by the user */
};

static inline u32 ptnet_ring_distance(const struct ptnet_ring *ring, u32 from, u32 to)
{
	return to >= from ? to - from : to + ring->num_slots - from;
}

static inline u32 ptnet_ring_next(const struct ptnet_ring *ring, u32 i)
{
	return i + 1 == ring->num_slots ? 0 : i + 1;
}

/* Slots the user owns from position from on, as far as it knows. */
static inline u32 ptnet_ring_space(const struct ptnet_ring *ring, u32 from)
{
	return ptnet_ring_distance(ring, from, ring->hwtail);
}

static inline void ptnet_ring_count(struct ptnet_ring *ring, enum ptnet_ring_stat stat, u64 n)
{
	u64_stats_update_begin(&ring->stats_sync);
	u64_stats_add(&ring->stats[stat], n);
	u64_stats_update_end(&ring->stats_sync);
}

/*
 * Reads a slot of the user's part: each word once, index and length checked.
 * The flags and the buffer's content are still the other side's word.
 */
static inline void ptnet_ring_read_slot(const struct ptnet_ring *ring, u32 i,
					struct ptnet_slot *copy)
{
	const struct netmap_slot *slot = &ring->shared->slot[i];
	u32 buf_idx = READ_ONCE(slot->buf_idx);

	copy->len = READ_ONCE(slot->len);
	copy->flags = READ_ONCE(slot->flags);
	copy->buf = NULL;
	if (buf_idx >= 2 && buf_idx < ring->num_bufs && copy->len <= ring->buf_size)
		copy->buf = ring->bufs + (size_t)buf_idx * ring->buf_size;
}

/* The buffer of a TX slot to be filled, NULL if its index names none. */
static inline void *ptnet_ring_buf(const struct ptnet_ring *ring, u32 i)
{
	u32 buf_idx = READ_ONCE(ring->shared->slot[i].buf_idx);

	if (unlikely(buf_idx < 2 || buf_idx >= ring->num_bufs))
		return NULL;
	return ring->bufs + (size_t)buf_idx * ring->buf_size;
}

void ptnet_ring_init(struct ptnet_ring *ring, struct ptnet_port *port, enum ptnet_ring_dir dir,
		     unsigned int index, unsigned int vector);
int ptnet_ring_adopt(struct ptnet_ring *ring);
bool ptnet_ring_host_stopped(struct ptnet_ring *ring);
int ptnet_ring_refresh(struct ptnet_ring *ring);
void ptnet_ring_publish(struct ptnet_ring *ring, u32 head, u32 cur);
bool ptnet_ring_must_kick(struct ptnet_ring *ring, u32 sync_flags);
void ptnet_ring_kick(struct ptnet_ring *ring);
void ptnet_ring_stop(struct ptnet_ring *ring, const char *why, u32 value);

#endif /* PTNET_RING_H */
