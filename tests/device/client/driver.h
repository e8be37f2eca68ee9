/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guest's driver, in three manners (spec/ptnet-device.md sections 6 and 7):
 *
 *  LINUX    netmap's Linux driver with a netmap program on top: CSB in guest RAM,
 *           TX sync and RX sync as in 7.3 and 7.4, no fence between storing head
 *           and loading kern_need_kick;
 *  FREEBSD  ptnet(4) under its network stack: CSB in guest RAM, 7.5: publishes
 *           every received packet, leaves TX interrupts on once it asked for them;
 *           no fence either;
 *  OURS     CSB in the region, fences, by ptnet/csb.h: shares no memory at all.
 *
 * A ring is used by one thread at a time. Between driver_create() and
 * driver_delete() nothing but the rings' functions may be called.
 */
#ifndef CLIENT_DRIVER_H
#define CLIENT_DRIVER_H

#include <stdbool.h>
#include <stdint.h>

#include <ptnet/csb.h>

#include "guest.h"

enum manner { MANNER_LINUX, MANNER_FREEBSD, MANNER_OURS, NUM_MANNERS };
extern const char *const manner_names[NUM_MANNERS];

enum kick_policy {
	KICK_NEEDED, /* when kern_need_kick says so */
	KICK_ALWAYS, /* at every publication, asked or not */
	NUM_KICK_POLICIES,
};

enum wait_policy {
	WAIT_SLEEP, /* ask for an interrupt and sleep */
	WAIT_POLL,  /* never ask for interrupts; look again and again */
	NUM_WAIT_POLICIES,
};

#define DRIVER_TIMEOUT_MS 20000 /* longest wait for anything before it counts as lost */

struct driver;

struct ring {
	struct driver *driver;
	unsigned number; /* in the CSB: TX rings first */
	bool tx;
	uint32_t num_slots;
	struct netmap_slot *slots; /* in the region */
	struct nm_csb_atok *atok;
	struct ptnet_csb_ktoa *ktoa;
	int interrupt;
	enum kick_policy kick;
	enum wait_policy wait;

	uint32_t wanted;	/* slots without which there is no going on; 1 unless set */
	uint32_t head;		/* ours, published by ring_publish() */
	uint32_t hwcur, hwtail; /* as last read */
	bool looking;		/* a sync that has nothing new to publish */

	uint64_t kicks, kicks_suppressed;
	uint64_t sleeps;
};

struct driver {
	struct guest *guest;
	enum manner manner;
	bool created;
	uint32_t features;
	uint32_t vnet_hdr_len;
	uint32_t tx_rings, rx_rings, tx_slots, rx_slots;
	uint32_t nifp_offset;
	uint16_t hostmemid;
	uint8_t mac[6];
	struct nm_csb_atok *atok; /* NULL when the daemon has no extension */
	struct ptnet_csb_ktoa *ktoa;
	char *bufs; /* buffer 0 */
	uint32_t buf_size, buf_total;
	struct ring rings[PTNET_MAX_RINGS];
};

/* The driver finds its device: 6.1. @memdev: it has one. */
int driver_probe(struct driver *driver, struct guest *guest, enum manner manner);
/* The interface comes up: 6.2. The result of CREATE is in the errno. */
int driver_create(struct driver *driver);
/* The interface goes down: 6.3. */
int driver_delete(struct driver *driver);
/* The driver leaves the device: 6.4, with the second DELETE where the interface was up. */
int driver_remove(struct driver *driver);

static inline struct ring *driver_tx(struct driver *driver, unsigned index)
{
	return &driver->rings[index];
}

static inline struct ring *driver_rx(struct driver *driver, unsigned index)
{
	return &driver->rings[driver->tx_rings + index];
}

static inline uint32_t ring_ahead(const struct ring *ring, uint32_t from, uint32_t count)
{
	return (from + count) % ring->num_slots;
}

/* The slot @ahead of head. */
static inline struct netmap_slot *ring_slot(const struct ring *ring, uint32_t ahead)
{
	return &ring->slots[ring_ahead(ring, ring->head, ahead)];
}

static inline char *ring_buf(const struct ring *ring, uint32_t buf_idx)
{
	return ring->driver->bufs + (uint64_t)buf_idx * ring->driver->buf_size;
}

/* Reads the daemon's positions; slots that are ours: free ones (TX), filled ones (RX). */
uint32_t ring_avail(struct ring *ring);
/* Moves head over @count slots, tells the daemon, kicks it by manner and policy. */
void ring_publish(struct ring *ring, uint32_t count);
/*
 * Asks for an interrupt. True: there is something to do after all (and nothing
 * was asked), do not sleep.
 */
bool ring_arm(struct ring *ring);
void ring_disarm(struct ring *ring);
/* Sends a kick, whatever kern_need_kick says. */
void ring_kick(struct ring *ring, uint32_t sync_flags);

/*
 * Waits until one of the rings (or @extra, a descriptor, or -1) has something to
 * do, by their policy. 0; -ETIMEDOUT after DRIVER_TIMEOUT_MS.
 */
int rings_wait(struct ring *const *rings, unsigned count, int extra);

/* Words on the state of a ring, for a failure's message. Static per thread. */
const char *ring_describe(const struct ring *ring);

#endif
