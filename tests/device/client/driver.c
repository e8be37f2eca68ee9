/* SPDX-License-Identifier: BSD-2-Clause */
#include "driver.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

const char *const manner_names[NUM_MANNERS] = {"linux", "freebsd", "ours"};

/* ---- registers ---- */

static void write_csb_address(struct guest *guest, uint64_t gh, uint64_t hg)
{
	guest_write(guest, PTNET_IO_CSB_GH_BAH, (uint32_t)(gh >> 32));
	guest_write(guest, PTNET_IO_CSB_GH_BAL, (uint32_t)gh);
	guest_write(guest, PTNET_IO_CSB_HG_BAH, (uint32_t)(hg >> 32));
	guest_write(guest, PTNET_IO_CSB_HG_BAL, (uint32_t)hg);
}

static void read_mac(struct driver *driver)
{
	uint32_t high = guest_read(driver->guest, PTNET_IO_MAC_HI);
	uint32_t low = guest_read(driver->guest, PTNET_IO_MAC_LO);
	const uint8_t mac[6] = {(uint8_t)(high >> 8), (uint8_t)high,	   (uint8_t)(low >> 24),
				(uint8_t)(low >> 16), (uint8_t)(low >> 8), (uint8_t)low};

	memcpy(driver->mac, mac, sizeof(mac));
}

static void negotiate_header(struct driver *driver)
{
	guest_write(driver->guest, PTNET_IO_VNET_HDR_LEN, driver->manner == MANNER_OURS ? 0 : 12);
	driver->vnet_hdr_len = guest_read(driver->guest, PTNET_IO_VNET_HDR_LEN);
}

static void read_num_rings(struct driver *driver)
{
	driver->tx_rings = guest_read(driver->guest, PTNET_IO_NUM_TX_RINGS);
	driver->rx_rings = guest_read(driver->guest, PTNET_IO_NUM_RX_RINGS);
	if (driver->tx_rings == 0 || driver->rx_rings == 0 ||
	    driver->tx_rings + driver->rx_rings > PTNET_MAX_RINGS)
		guest_fail(driver->guest, EPROTO, "%u TX and %u RX rings", driver->tx_rings,
			   driver->rx_rings);
}

static void csb_in_ram(struct driver *driver)
{
	char *pages = driver->guest->ram + GUEST_CSB_ADDRESS;

	memset(pages, 0, 2 * PAGE);
	driver->atok = (struct nm_csb_atok *)pages;
	driver->ktoa = (struct ptnet_csb_ktoa *)(pages + PAGE);
	write_csb_address(driver->guest, GUEST_CSB_ADDRESS, GUEST_CSB_ADDRESS + PAGE);
}

/* The order of the reads and writes is Linux's; FreeBSD's differs where it says so. */
static void probe_classic(struct driver *driver)
{
	struct guest *guest = driver->guest;
	bool netmap = driver->manner == MANNER_LINUX;

	guest_write(guest, PTNET_IO_PTFEAT, PTNET_F_VNET_HDR);
	driver->features = guest_read(guest, PTNET_IO_PTFEAT);
	read_num_rings(driver);
	csb_in_ram(driver);
	if (netmap)
		read_mac(driver);
	guest_msix_enable(guest, driver->tx_rings + driver->rx_rings);
	if (!netmap)
		read_mac(driver);
	driver->nifp_offset = guest_read(guest, PTNET_IO_NIFP_OFS);
	driver->tx_slots = guest_read(guest, PTNET_IO_NUM_TX_SLOTS);
	driver->rx_slots = guest_read(guest, PTNET_IO_NUM_RX_SLOTS);
	driver->hostmemid = (uint16_t)guest_read(guest, PTNET_IO_HOSTMEMID);
	negotiate_header(driver);
}

static void probe_ours(struct driver *driver)
{
	struct guest *guest = driver->guest;

	guest_write(guest, PTNET_IO_PTFEAT, PTNET_F_REGION_CSB);
	driver->features = guest_read(guest, PTNET_IO_PTFEAT);
	if ((driver->features & PTNET_F_REGION_CSB) == 0)
		guest_fail(guest, ENOTSUP, "the daemon refused F_REGION_CSB");
	read_num_rings(driver);
	read_mac(driver);
	guest_msix_enable(guest, driver->tx_rings + driver->rx_rings);
	driver->nifp_offset = guest_read(guest, PTNET_IO_NIFP_OFS);
	driver->tx_slots = guest_read(guest, PTNET_IO_NUM_TX_SLOTS);
	driver->rx_slots = guest_read(guest, PTNET_IO_NUM_RX_SLOTS);
	driver->hostmemid = (uint16_t)guest_read(guest, PTNET_IO_HOSTMEMID);
	guest->doorbell = (guest_read(guest, PTNET_IO_EXT_FLAGS) & PTNET_EXT_FLAG_DOORBELL) != 0;
	negotiate_header(driver);
}

int driver_probe(struct driver *driver, struct guest *guest, enum manner manner)
{
	uint32_t memid;

	memset(driver, 0, sizeof(*driver));
	driver->guest = guest;
	driver->manner = manner;
	if (guest->memdev.fd >= 0)
		guest_enable(guest, &guest->memdev, true);
	memid = guest->memdev.fd >= 0 ? guest_memdev_read(guest, PTNET_MDEV_IO_MEMID) : 0;
	guest_enable(guest, &guest->netif, true);
	if (manner == MANNER_OURS)
		probe_ours(driver);
	else
		probe_classic(driver);
	if (guest->memdev.fd >= 0 && (uint16_t)memid != driver->hostmemid)
		guest_fail(guest, ENODEV, "memdev has id %u, ptnet wants %u", memid,
			   driver->hostmemid);
	return -guest->error;
}

/* ---- bringing the interface up ---- */

static void find_memory(struct driver *driver)
{
	struct guest *guest = driver->guest;
	uint64_t size = (uint64_t)guest_memdev_read(guest, PTNET_MDEV_IO_MEMSIZE_HI) << 32;
	uint64_t offset;

	size |= guest_memdev_read(guest, PTNET_MDEV_IO_MEMSIZE_LO);
	driver->buf_size = guest_memdev_read(guest, PTNET_MDEV_IO_BUF_POOL_OBJSZ);
	driver->buf_total = guest_memdev_read(guest, PTNET_MDEV_IO_BUF_POOL_OBJNUM);
	offset = guest_memdev_read(guest, PTNET_MDEV_IO_BUF_POOL_OFS);
	if (guest->error != 0 || guest_map_region(guest) < 0)
		return;
	if (size > guest->region_size ||
	    offset + (uint64_t)driver->buf_total * driver->buf_size > size)
		guest_fail(guest, EPROTO, "%u buffers of %u bytes at %llu, region of %llu",
			   driver->buf_total, driver->buf_size, (unsigned long long)offset,
			   (unsigned long long)guest->region_size);
	else
		driver->bufs = guest->region + offset;
}

/* Where the daemon says the ring is; entries: TX, host TX, RX, host RX. */
static struct netmap_ring *shared_ring(struct driver *driver, unsigned number)
{
	struct guest *guest = driver->guest;
	struct netmap_if *nifp = (struct netmap_if *)(guest->region + driver->nifp_offset);
	unsigned entry = number < driver->tx_rings ? number : number + 1;
	uint64_t offset = driver->nifp_offset + (uint64_t)nifp->ring_ofs[entry];

	if (offset + sizeof(struct netmap_ring) > guest->region_size) {
		guest_fail(guest, EPROTO, "ring %u lies at %llu", number,
			   (unsigned long long)offset);
		return NULL;
	}
	return (struct netmap_ring *)(guest->region + offset);
}

static void csb_in_region(struct driver *driver)
{
	struct guest *guest = driver->guest;
	uint64_t gh = guest_read(guest, PTNET_IO_EXT_CSB_GH_OFS_LO) |
		      (uint64_t)guest_read(guest, PTNET_IO_EXT_CSB_GH_OFS_HI) << 32;
	uint64_t hg = guest_read(guest, PTNET_IO_EXT_CSB_HG_OFS_LO) |
		      (uint64_t)guest_read(guest, PTNET_IO_EXT_CSB_HG_OFS_HI) << 32;
	uint64_t size = (uint64_t)PTNET_MAX_RINGS * sizeof(struct nm_csb_atok);

	if (guest->error != 0)
		return;
	if (gh + size > guest->region_size || hg + size > guest->region_size || gh % 64 != 0 ||
	    hg % 64 != 0) {
		guest_fail(guest, EPROTO, "CSB at %llu and %llu of a region of %llu bytes",
			   (unsigned long long)gh, (unsigned long long)hg,
			   (unsigned long long)guest->region_size);
		return;
	}
	driver->atok = (struct nm_csb_atok *)(guest->region + gh);
	driver->ktoa = (struct ptnet_csb_ktoa *)(guest->region + hg);
}

static void find_rings(struct driver *driver)
{
	for (unsigned i = 0; i < driver->tx_rings + driver->rx_rings; i++) {
		struct ring *ring = &driver->rings[i];
		struct netmap_ring *shared = shared_ring(driver, i);

		if (shared == NULL)
			return;
		*ring = (struct ring){
			.driver = driver,
			.number = i,
			.tx = i < driver->tx_rings,
			.num_slots = i < driver->tx_rings ? driver->tx_slots : driver->rx_slots,
			.slots = shared->slot,
			.atok = &driver->atok[i],
			.ktoa = &driver->ktoa[i],
			.interrupt = driver->guest->interrupts[i],
			.wanted = 1,
			.kick = ring->kick,
			.wait = ring->wait,
		};
		if (shared->num_slots != ring->num_slots)
			guest_fail(driver->guest, EPROTO,
				   "ring %u has %u slots, the register says %u", i,
				   shared->num_slots, ring->num_slots);
	}
}

static void take_positions(struct driver *driver)
{
	for (unsigned i = 0; i < driver->tx_rings + driver->rx_rings; i++) {
		struct ring *ring = &driver->rings[i];

		ring->head = PTNET_LOAD_ACQUIRE(&ring->atok->head);
		ptnet_csb_read((struct nm_csb_ktoa *)ring->ktoa, &ring->hwcur, &ring->hwtail);
		if (ring->head >= ring->num_slots || ring->hwcur >= ring->num_slots ||
		    ring->hwtail >= ring->num_slots)
			guest_fail(driver->guest, EPROTO, "after CREATE: %s", ring_describe(ring));
	}
}

int driver_create(struct driver *driver)
{
	struct guest *guest = driver->guest;
	uint32_t result;

	read_num_rings(driver);
	driver->tx_slots = guest_read(guest, PTNET_IO_NUM_TX_SLOTS);
	driver->rx_slots = guest_read(guest, PTNET_IO_NUM_RX_SLOTS);
	find_memory(driver);
	if (driver->manner == MANNER_OURS)
		csb_in_region(driver);
	if (guest->error == 0)
		find_rings(driver);
	if (guest->error != 0)
		return -guest->error;
	for (unsigned i = 0; i < driver->tx_rings + driver->rx_rings; i++) {
		struct ring *ring = &driver->rings[i];

		ring->atok->appl_need_kick = !ring->tx;
		ring->ktoa->kern_need_kick = 1;
	}
	negotiate_header(driver);
	guest_write(guest, PTNET_IO_PTCTL, PTNET_PTCTL_CREATE);
	result = guest_read(guest, PTNET_IO_PTCTL);
	if (guest->error != 0)
		return -guest->error;
	if (result != 0)
		return -(int)result;
	driver->created = true;
	take_positions(driver);
	return -guest->error;
}

int driver_delete(struct driver *driver)
{
	guest_write(driver->guest, PTNET_IO_PTCTL, PTNET_PTCTL_DELETE);
	guest_read(driver->guest, PTNET_IO_PTCTL);
	driver->created = false;
	return -driver->guest->error;
}

int driver_remove(struct driver *driver)
{
	bool up = driver->created;

	driver_delete(driver);
	if (driver->manner != MANNER_OURS)
		write_csb_address(driver->guest, 0, 0);
	if (up && driver->manner == MANNER_LINUX)
		driver_delete(driver);
	guest_msix_disable(driver->guest);
	guest_enable(driver->guest, &driver->guest->netif, false);
	return -driver->guest->error;
}

/* ---- rings ---- */

static void reload(struct ring *ring)
{
	ptnet_csb_read((const struct nm_csb_ktoa *)ring->ktoa, &ring->hwcur, &ring->hwtail);
}

static uint32_t known_avail(const struct ring *ring)
{
	return (ring->hwtail + ring->num_slots - ring->head) % ring->num_slots;
}

uint32_t ring_avail(struct ring *ring)
{
	reload(ring);
	return known_avail(ring);
}

void ring_kick(struct ring *ring, uint32_t sync_flags)
{
	PTNET_STORE_RELEASE(&ring->atok->sync_flags, sync_flags);
	ring->kicks++;
	guest_kick(ring->driver->guest, ring->number);
}

static bool would_block(const struct ring *ring)
{
	return known_avail(ring) < ring->wanted;
}

/* A netmap program that needs more than there is sets cur to the end. */
static uint32_t netmap_cur(const struct ring *ring)
{
	return would_block(ring) ? ring->hwtail : ring->head;
}

/* No barrier, on purpose: that is what the drivers of old do (7.2). */
static bool kick_wanted_unfenced(const struct ring *ring)
{
	return PTNET_LOAD_RELAXED(&ring->ktoa->kern_need_kick) != 0;
}

static void kick_if(struct ring *ring, bool wanted, uint32_t sync_flags)
{
	if (wanted || (ring->kick == KICK_ALWAYS && !ring->looking))
		ring_kick(ring, sync_flags);
	else
		ring->kicks_suppressed++;
}

/* Step 5 of 7.3, step 4 of 7.4: asks for an interrupt unless there is no need. */
static void netmap_arm(struct ring *ring)
{
	if (!would_block(ring) || ring->wait == WAIT_POLL)
		return;
	PTNET_STORE_RELAXED(&ring->atok->appl_need_kick, 1);
	PTNET_FULL_BARRIER();
	reload(ring);
	if (!would_block(ring))
		PTNET_STORE_RELAXED(&ring->atok->appl_need_kick, 0);
}

/* 7.3 */
static void netmap_txsync(struct ring *ring)
{
	bool force = ring->kick == KICK_ALWAYS && !ring->looking; /* NIOCTXSYNC */
	bool wanted;

	PTNET_STORE_RELAXED(&ring->atok->appl_need_kick, 0);
	ring->hwcur = PTNET_LOAD_RELAXED(&ring->ktoa->hwcur);
	ptnet_csb_publish(ring->atok, ring->head, netmap_cur(ring));
	wanted = (ring->head != ring->hwcur || would_block(ring)) && kick_wanted_unfenced(ring);
	if (would_block(ring) || force)
		reload(ring);
	netmap_arm(ring);
	kick_if(ring, wanted, force ? PTNET_SYNC_FORCE_RECLAIM : 0);
}

/* 7.4 */
static void netmap_rxsync(struct ring *ring)
{
	bool wanted;

	PTNET_STORE_RELAXED(&ring->atok->appl_need_kick, 0);
	reload(ring);
	if (ring->head != ring->hwcur)
		ptnet_csb_publish(ring->atok, ring->head, netmap_cur(ring));
	netmap_arm(ring);
	wanted = (ring->head != ring->hwcur || would_block(ring)) && kick_wanted_unfenced(ring);
	kick_if(ring, wanted, 0);
}

/* The slots of the next @packets packets of the @count slots from @from on. */
static uint32_t slots_of_packets(const struct ring *ring, uint32_t from, uint32_t count,
				 unsigned packets)
{
	uint32_t slots = 0;

	while (slots < count && packets > 0) {
		const struct netmap_slot *slot = &ring->slots[ring_ahead(ring, from, slots++)];

		packets -= (slot->flags & NS_MOREFRAG) == 0;
	}
	return slots;
}

/* 7.5: one publication after the other, each with its look at kern_need_kick. */
static void stack_publish(struct ring *ring, uint32_t from, uint32_t count)
{
	while (count > 0) {
		uint32_t now = slots_of_packets(ring, from, count, ring->tx ? 64 : 1);

		from = ring_ahead(ring, from, now);
		count -= now;
		ptnet_csb_publish(ring->atok, from, from);
		kick_if(ring, kick_wanted_unfenced(ring),
			ring->tx ? PTNET_SYNC_FORCE_RECLAIM : PTNET_SYNC_FORCE_READ);
	}
}

void ring_publish(struct ring *ring, uint32_t count)
{
	uint32_t from = ring->head;

	ring->head = ring_ahead(ring, from, count);
	switch (ring->driver->manner) {
	case MANNER_LINUX:
		if (ring->tx)
			netmap_txsync(ring);
		else
			netmap_rxsync(ring);
		break;
	case MANNER_FREEBSD:
		stack_publish(ring, from, count);
		break;
	default:
		ptnet_csb_publish(ring->atok, ring->head, ring->head);
		kick_if(ring, ptnet_csb_must_kick((const struct nm_csb_ktoa *)ring->ktoa), 0);
	}
}

bool ring_arm(struct ring *ring)
{
	switch (ring->driver->manner) {
	case MANNER_LINUX:
		if (ring->tx)
			netmap_txsync(ring);
		else
			netmap_rxsync(ring);
		break;
	case MANNER_FREEBSD:
		PTNET_STORE_RELAXED(&ring->atok->appl_need_kick, 1);
		PTNET_FULL_BARRIER();
		reload(ring);
		if (!ring->tx && !would_block(ring))
			PTNET_STORE_RELAXED(&ring->atok->appl_need_kick, 0);
		break;
	default:
		ptnet_csb_enable_interrupt(ring->atok);
		reload(ring);
		if (!would_block(ring))
			ptnet_csb_disable_interrupt(ring->atok);
	}
	return !would_block(ring);
}

void ring_disarm(struct ring *ring)
{
	if (ring->driver->manner == MANNER_FREEBSD && ring->tx)
		return;
	PTNET_STORE_RELAXED(&ring->atok->appl_need_kick, 0);
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void drain(int fd)
{
	uint64_t count;

	while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
		;
}

/*
 * Sleeps on the interrupts. An interrupt that does not come although the ring has
 * moved is what the tests look for, so there is no looking at the rings meanwhile.
 */
static int sleep_on(struct ring *const *rings, unsigned count, int extra)
{
	struct pollfd fds[PTNET_MAX_RINGS + 1];
	int ready;

	for (unsigned i = 0; i < count; i++) {
		fds[i] = (struct pollfd){.fd = rings[i]->interrupt, .events = POLLIN};
		rings[i]->sleeps++;
	}
	fds[count] = (struct pollfd){.fd = extra, .events = POLLIN};
	do
		ready = poll(fds, count + 1, DRIVER_TIMEOUT_MS);
	while (ready < 0 && errno == EINTR);
	if (ready <= 0)
		return ready == 0 ? -ETIMEDOUT : -errno;
	for (unsigned i = 0; i <= count; i++) {
		if (fds[i].revents != 0)
			drain(fds[i].fd);
	}
	return 0;
}

static bool look_at(struct ring *ring)
{
	/* A netmap program polls by calling sync; it has no reason to force a kick. */
	if (ring->driver->manner == MANNER_LINUX) {
		ring->looking = true;
		ring_arm(ring);
		ring->looking = false;
	}
	return ring_avail(ring) >= ring->wanted;
}

static int poll_rings(struct ring *const *rings, unsigned count, int extra)
{
	uint64_t deadline = now_ms() + DRIVER_TIMEOUT_MS;
	struct pollfd more = {.fd = extra, .events = POLLIN};

	for (unsigned turn = 0;; turn++) {
		for (unsigned i = 0; i < count; i++) {
			if (look_at(rings[i]))
				return 0;
		}
		if (turn % 64 == 0 && extra >= 0 && poll(&more, 1, 0) > 0) {
			drain(extra);
			return 0;
		}
		if (turn % 1024 == 0 && now_ms() > deadline)
			return -ETIMEDOUT;
		sched_yield();
	}
}

int rings_wait(struct ring *const *rings, unsigned count, int extra)
{
	int result;

	if (count > 0 && rings[0]->wait == WAIT_POLL)
		return poll_rings(rings, count, extra);
	for (unsigned i = 0; i < count; i++) {
		if (ring_arm(rings[i])) {
			for (unsigned j = 0; j < i; j++)
				ring_disarm(rings[j]);
			return 0;
		}
	}
	result = sleep_on(rings, count, extra);
	for (unsigned i = 0; i < count; i++)
		ring_disarm(rings[i]);
	return result;
}

const char *ring_describe(const struct ring *ring)
{
	static _Thread_local char text[256];

	snprintf(text, sizeof(text),
		 "%s ring %u of %u slots: head %u (published %u), hwcur %u, hwtail %u, "
		 "kern_need_kick %u, appl_need_kick %u, fault %u, kicks %llu",
		 ring->tx ? "TX" : "RX", ring->number, ring->num_slots, ring->head,
		 ring->atok->head, ring->ktoa->hwcur, ring->ktoa->hwtail,
		 ring->ktoa->kern_need_kick, ring->atok->appl_need_kick, ring->ktoa->ring_fault,
		 (unsigned long long)ring->kicks);
	return text;
}
