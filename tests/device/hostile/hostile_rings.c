/* SPDX-License-Identifier: BSD-2-Clause */
/* Bad values in the CSB and in slots. */
#include "hostile.h"

#include <stdio.h>
#include <string.h>

/* ---- positions ---- */

static const uint32_t out_of_range[] = {EVIL_SLOTS, EVIL_SLOTS + 1, 2 * EVIL_SLOTS, 0x7fffffff,
					0x80000000, 0xffffff80,	    UINT32_MAX};
#define NUM_OUT_OF_RANGE (sizeof(out_of_range) / sizeof(out_of_range[0]))

static void set_positions(struct ring *ring, uint32_t head, uint32_t cur)
{
	ptnet_csb_publish(ring->atok, head, cur);
	ring_kick(ring, 0);
	/* A switch looks at an RX ring when it has something for it. */
	if (!ring->tx)
		sink_sends(ring->driver->mac);
}

/* The ring must be stopped by this name, told to a driver of ours, and work again later. */
static void assert_fault(const char *port, struct ring *ring, enum ptnet_ring_fault fault,
			 const char *name)
{
	assert_eventually(daemon_rings_with_fault(&ptnetd, port, name) == 1);
	if (ring->driver->manner == MANNER_OURS)
		assert_int_equal(PTNET_LOAD_ACQUIRE(&ring->ktoa->ring_fault), fault);
	assert_int_equal(driver_delete(ring->driver), 0);
	assert_int_equal(driver_create(ring->driver), 0);
	assert_int_equal(daemon_rings_with_fault(&ptnetd, port, name), 0);
	if (ring->driver->manner == MANNER_OURS)
		assert_int_equal(ring->ktoa->ring_fault, PTNET_FAULT_NONE);
}

static void assert_tx_works(struct ring *ring)
{
	fill_slot(ring, ring_slot(ring, 0), 60);
	ring_publish(ring, 1);
	assert_eventually(PTNET_LOAD_ACQUIRE(&ring->ktoa->hwcur) == ring->head);
}

static void bad_positions(bool tx, bool head, enum ptnet_ring_fault fault, const char *name)
{
	for (enum manner manner = 0; manner < NUM_MANNERS; manner++) {
		attach(&evil, &ptnetd, EVIL_PORT, manner);
		for (size_t i = 0; i < NUM_OUT_OF_RANGE; i++) {
			struct ring *ring = tx ? driver_tx(&evil.driver, i % EVIL_RINGS)
					       : driver_rx(&evil.driver, 0);

			set_positions(ring, head ? out_of_range[i] : ring->head, out_of_range[i]);
			assert_fault(EVIL_PORT, ring, fault, name);
			assert_tx_works(driver_tx(&evil.driver, i % EVIL_RINGS));
		}
		assert_int_equal(endpoint_detach(&evil), 0);
	}
}

static void tx_head_out_of_range(void)
{
	bad_positions(true, true, PTNET_FAULT_HEAD, "bad_head");
}

static void tx_cur_out_of_range(void)
{
	bad_positions(true, false, PTNET_FAULT_CUR, "bad_cur");
}

static void rx_head_out_of_range(void)
{
	bad_positions(false, true, PTNET_FAULT_HEAD, "bad_head");
}

static void rx_cur_out_of_range(void)
{
	bad_positions(false, false, PTNET_FAULT_CUR, "bad_cur");
}

static void rx_head_beyond_hwtail(void)
{
	for (enum manner manner = 0; manner < NUM_MANNERS; manner++) {
		attach(&evil, &ptnetd, EVIL_PORT, manner);
		set_positions(driver_rx(&evil.driver, 0), 1, 1);
		assert_fault(EVIL_PORT, driver_rx(&evil.driver, 0), PTNET_FAULT_HEAD, "bad_head");
		assert_int_equal(endpoint_detach(&evil), 0);
	}
}

static void rx_cur_beyond_hwtail(void)
{
	for (enum manner manner = 0; manner < NUM_MANNERS; manner++) {
		attach(&evil, &ptnetd, EVIL_PORT, manner);
		set_positions(driver_rx(&evil.driver, 0), 0, 1);
		assert_fault(EVIL_PORT, driver_rx(&evil.driver, 0), PTNET_FAULT_CUR, "bad_cur");
		assert_int_equal(endpoint_detach(&evil), 0);
	}
}

/* On a pipe that nobody reads: slots 0 to 4 are taken, 5 to N - 2 are ours. */
static struct ring *pipe_with_five_sent(enum manner manner)
{
	struct ring *ring;

	attach(&evil, &ptnetd, EVIL_PIPE, manner);
	ring = driver_tx(&evil.driver, 0);
	for (unsigned i = 0; i < 5; i++)
		fill_slot(ring, ring_slot(ring, i), 60);
	ring_publish(ring, 5);
	assert_eventually(PTNET_LOAD_ACQUIRE(&ring->ktoa->hwcur) == 5);
	return ring;
}

static void pipe_positions(uint32_t head, uint32_t cur, enum ptnet_ring_fault fault,
			   const char *name)
{
	for (enum manner manner = 0; manner < NUM_MANNERS; manner++) {
		struct ring *ring = pipe_with_five_sent(manner);

		set_positions(ring, head, cur);
		assert_fault(EVIL_PIPE, ring, fault, name);
		assert_int_equal(ring->head, 5);
		assert_int_equal(endpoint_detach(&evil), 0);
	}
}

static void tx_head_goes_back(void)
{
	pipe_positions(4, 5, PTNET_FAULT_HEAD, "bad_head");
	pipe_positions(0, 0, PTNET_FAULT_HEAD, "bad_head");
}

static void tx_cur_before_head(void)
{
	pipe_positions(7, 6, PTNET_FAULT_CUR, "bad_cur");
	pipe_positions(5, 4, PTNET_FAULT_CUR, "bad_cur");
}

static void pipe_positions_out_of_range(void)
{
	for (size_t i = 0; i < NUM_OUT_OF_RANGE; i++)
		pipe_positions(out_of_range[i], out_of_range[i], PTNET_FAULT_HEAD, "bad_head");
}

/* ---- slots ---- */

static uint32_t bad_index(struct driver *driver, unsigned number)
{
	const uint32_t bad[] = {0,	    1,		driver->buf_total, driver->buf_total + 1,
				0x7fffffff, 0x80000000, UINT32_MAX};

	return bad[number];
}
#define NUM_BAD_INDICES 7

/* Has the slots of one packet taken, and expects @counter to be one more. */
static void send_bad(struct ring *ring, uint32_t slots, const char *port, const char *counter)
{
	int64_t before = daemon_port_counter(&ptnetd, port, counter);
	int64_t faults = daemon_port_counter(&ptnetd, EVIL_PORT, "faults");

	ring_publish(ring, slots);
	assert_eventually(PTNET_LOAD_ACQUIRE(&ring->ktoa->hwcur) == ring->head);
	assert_int_equal(daemon_port_counter(&ptnetd, port, counter), before + 1);
	/* It is the packet that is dropped; the ring goes on. */
	assert_int_equal(daemon_port_counter(&ptnetd, EVIL_PORT, "faults"), faults);
}

static void tx_buffer_out_of_range(void)
{
	struct ring *ring;

	attach(&evil, &ptnetd, EVIL_PORT, MANNER_OURS);
	ring = driver_tx(&evil.driver, 0);
	for (unsigned i = 0; i < NUM_BAD_INDICES; i++) {
		struct netmap_slot *slot = ring_slot(ring, 0);

		fill_slot(ring, slot, 60);
		slot->buf_idx = bad_index(&evil.driver, i);
		send_bad(ring, 1, EVIL_PORT, "drop_bad_slot");
		/* In the middle of a packet. */
		for (unsigned j = 0; j < 3; j++) {
			fill_slot(ring, ring_slot(ring, j), 100);
			ring_slot(ring, j)->flags = j < 2 ? NS_MOREFRAG : 0;
		}
		ring_slot(ring, 1)->buf_idx = bad_index(&evil.driver, i);
		send_bad(ring, 3, EVIL_PORT, "drop_bad_slot");
	}
	endpoint_kill(&evil);
}

static void tx_length_out_of_range(void)
{
	static const uint16_t lengths[] = {2049, 2050, 4096, 0x8000, UINT16_MAX};
	struct ring *ring;

	attach(&evil, &ptnetd, EVIL_PORT, MANNER_OURS);
	ring = driver_tx(&evil.driver, 0);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		fill_slot(ring, ring_slot(ring, 0), 60);
		ring_slot(ring, 0)->len = lengths[i];
		send_bad(ring, 1, EVIL_PORT, "drop_bad_slot");
	}
	endpoint_kill(&evil);
}

static void tx_too_short(void)
{
	static const uint16_t lengths[] = {0, 1, 13};
	struct ring *ring;

	attach(&evil, &ptnetd, EVIL_PORT, MANNER_OURS);
	ring = driver_tx(&evil.driver, 0);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		fill_slot(ring, ring_slot(ring, 0), 60);
		ring_slot(ring, 0)->len = lengths[i];
		send_bad(ring, 1, EVIL_PORT, "drop_too_short");
	}
	endpoint_kill(&evil);
}

static void tx_indirect(void)
{
	struct ring *ring;

	attach(&evil, &ptnetd, EVIL_PORT, MANNER_OURS);
	ring = driver_tx(&evil.driver, 0);
	fill_slot(ring, ring_slot(ring, 0), 60);
	ring_slot(ring, 0)->flags = NS_INDIRECT;
	ring_slot(ring, 0)->ptr = (uint64_t)(uintptr_t)&evil;
	send_bad(ring, 1, EVIL_PORT, "drop_bad_slot");
	endpoint_kill(&evil);
}

static void send_fragments(struct ring *ring, unsigned count, uint16_t size, const char *port,
			   const char *counter)
{
	for (unsigned i = 0; i < count; i++) {
		fill_slot(ring, ring_slot(ring, i), size);
		ring_slot(ring, i)->flags = i + 1 < count ? NS_MOREFRAG : 0;
	}
	send_bad(ring, count, port, counter);
}

static void tx_too_many_fragments(void)
{
	attach(&evil, &ptnetd, EVIL_PORT, MANNER_OURS);
	send_fragments(driver_tx(&evil.driver, 0), 65, 60, EVIL_PORT, "drop_too_many_fragments");
	send_fragments(driver_tx(&evil.driver, 0), EVIL_SLOTS - 1, 2048, EVIL_PORT,
		       "drop_too_many_fragments");
	endpoint_kill(&evil);
}

static void tx_too_long(void)
{
	attach(&evil, &ptnetd, EVIL_PORT, MANNER_OURS);
	send_fragments(driver_tx(&evil.driver, 0), 64, 2048, "vale0:sink", "drop_too_long");
	endpoint_kill(&evil);
}

static void rx_buffer_out_of_range(void)
{
	for (enum manner manner = 0; manner < NUM_MANNERS; manner++) {
		attach(&evil, &ptnetd, EVIL_PORT, manner);
		for (unsigned i = 0; i < NUM_BAD_INDICES; i++) {
			struct ring *ring = driver_rx(&evil.driver, 0);

			ring->slots[ring->hwtail].buf_idx = bad_index(&evil.driver, i);
			sink_sends(evil.driver.mac);
			assert_fault(EVIL_PORT, ring, PTNET_FAULT_BUF_IDX, "bad_buffer_index");
			/* The new start has mended the slot. */
			sink_sends(evil.driver.mac);
			assert_eventually(ring_avail(ring) >= 1);
		}
		assert_int_equal(endpoint_detach(&evil), 0);
	}
}

/* A pipe passes slots on unseen: they are for the reader, in the same region, to check. */
static void pipe_slots_of_junk(void)
{
	static struct endpoint reader;
	struct ring *tx, *rx;

	attach(&evil, &ptnetd, EVIL_PIPE, MANNER_OURS);
	attach(&reader, &ptnetd, "evil}1", MANNER_OURS);
	tx = driver_tx(&evil.driver, 0);
	rx = driver_rx(&reader.driver, 0);
	for (unsigned i = 0; i < 2000; i++) {
		struct netmap_slot *slot = ring_slot(tx, 0);

		slot->buf_idx =
			dice(2) ? bad_index(&evil.driver, dice(NUM_BAD_INDICES)) : dice(~0u);
		slot->len = (uint16_t)dice(65536);
		slot->flags = 0;
		slot->ptr = dice(~0u);
		ring_publish(tx, 1);
		assert_eventually(ring_avail(rx) == 1);
		ring_slot(rx, 0)->buf_idx = dice(~0u);
		ring_publish(rx, 1);
		assert_eventually(ring_avail(tx) >= 1);
	}
	endpoint_kill(&reader);
	endpoint_kill(&evil);
}

/* All slots of all rings, both directions, name the same buffer. */
static void overlapping_buffers(void)
{
	uint64_t before = sink_received();

	attach(&evil, &ptnetd, EVIL_PORT, MANNER_OURS);
	for (unsigned i = 0; i < 2 * EVIL_RINGS; i++)
		for (unsigned j = 0; j < EVIL_SLOTS; j++)
			evil.driver.rings[i].slots[j].buf_idx =
				evil.driver.rings[0].slots[0].buf_idx;
	for (unsigned i = 0; i < 200; i++) {
		struct ring *ring = driver_tx(&evil.driver, i % EVIL_RINGS);
		uint32_t avail = ring_avail(ring);

		for (uint32_t j = 0; j < avail; j++)
			fill_slot(ring, ring_slot(ring, j), (uint16_t)(60 + j));
		ring_publish(ring, avail);
		sink_sends(evil.driver.mac);
	}
	assert_eventually(sink_received() > before + EVIL_SLOTS);
	assert_int_equal(daemon_rings_with_fault(&ptnetd, EVIL_PORT, "bad_buffer_index"), 0);
	endpoint_kill(&evil);
}

/* ---- values that change while they are read ---- */

struct flipper {
	pthread_t thread;
	struct driver *driver;
	void (*flip)(struct driver *driver);
	bool stop;
};

static void *flip(void *argument)
{
	struct flipper *flipper = argument;

	while (!__atomic_load_n(&flipper->stop, __ATOMIC_RELAXED))
		flipper->flip(flipper->driver);
	return NULL;
}

static void flipper_start(struct flipper *flipper, struct driver *driver,
			  void (*function)(struct driver *driver))
{
	*flipper = (struct flipper){.driver = driver, .flip = function};
	assert_int_equal(pthread_create(&flipper->thread, NULL, flip, flipper), 0);
}

static void flipper_stop(struct flipper *flipper)
{
	__atomic_store_n(&flipper->stop, true, __ATOMIC_RELAXED);
	pthread_join(flipper->thread, NULL);
}

/* Good and bad values in turn, everywhere. */
static void flip_slots(struct driver *driver)
{
	static const uint16_t lengths[] = {60, 2048, 2049, 65535, 0, 1514};
	static unsigned turn;

	turn++;
	for (unsigned i = 0; i < 2 * EVIL_RINGS; i++) {
		for (unsigned j = 0; j < EVIL_SLOTS; j++) {
			struct netmap_slot *slot = &driver->rings[i].slots[j];
			uint32_t idx = (turn + j) % 3 == 0
					       ? bad_index(driver, (turn + j) % NUM_BAD_INDICES)
					       : 2 + (turn * 31 + j) % (driver->buf_total - 2);

			__atomic_store_n(&slot->buf_idx, idx, __ATOMIC_RELAXED);
			__atomic_store_n(&slot->len, lengths[(turn + j) % 6], __ATOMIC_RELAXED);
			__atomic_store_n(&slot->flags, (turn + j) % 5 == 0 ? NS_MOREFRAG : 0,
					 __ATOMIC_RELAXED);
		}
	}
}

static void slots_that_change(void)
{
	struct flipper flipper;
	struct hammer hammer;

	attach(&evil, &ptnetd, EVIL_PORT, MANNER_OURS);
	aim_buffers(&evil.driver);
	hammer_start(&hammer, &evil.driver, false);
	flipper_start(&flipper, &evil.driver, flip_slots);
	for (unsigned i = 0; i < 300; i++) {
		sink_sends(evil.driver.mac);
		if (daemon_port_counter(&ptnetd, EVIL_PORT, "faults") > 0 && i % 16 == 0) {
			guest_write(&evil.guest, PTNET_IO_PTCTL, PTNET_PTCTL_DELETE);
			guest_write(&evil.guest, PTNET_IO_PTCTL, PTNET_PTCTL_CREATE);
		}
	}
	flipper_stop(&flipper);
	hammer_stop(&hammer);
	assert_guest(&evil.guest);
	endpoint_kill(&evil);
}

static void flip_positions(struct driver *driver)
{
	static unsigned turn;

	turn++;
	for (unsigned i = 0; i < 2 * EVIL_RINGS; i++) {
		struct nm_csb_atok *atok = driver->rings[i].atok;
		struct ptnet_csb_ktoa *ktoa = driver->rings[i].ktoa;

		PTNET_STORE_RELAXED(&atok->head,
				    turn % 7 == 0 ? out_of_range[turn % 5] : turn % 128);
		PTNET_STORE_RELAXED(&atok->cur,
				    turn % 11 == 0 ? out_of_range[turn % 5] : turn % 128);
		PTNET_STORE_RELAXED(&atok->appl_need_kick, turn);
		PTNET_STORE_RELAXED(&atok->sync_flags, turn);
		/* And what only the daemon may write. */
		PTNET_STORE_RELAXED(&ktoa->hwcur, turn * 3);
		PTNET_STORE_RELAXED(&ktoa->hwtail, turn * 5);
		PTNET_STORE_RELAXED(&ktoa->kern_need_kick, turn % 2);
	}
}

static void positions_change_on(const char *port, enum manner manner)
{
	struct flipper flipper;

	attach(&evil, &ptnetd, port, manner);
	aim_buffers(&evil.driver);
	flipper_start(&flipper, &evil.driver, flip_positions);
	for (unsigned i = 0; i < 200; i++) {
		for (unsigned ring = 0; ring < 2 * EVIL_RINGS; ring++)
			guest_kick(&evil.guest, ring);
		sink_sends(evil.driver.mac);
		if (i % 4 == 0) {
			guest_write(&evil.guest, PTNET_IO_PTCTL, PTNET_PTCTL_DELETE);
			guest_write(&evil.guest, PTNET_IO_PTCTL, PTNET_PTCTL_CREATE);
			assert_int_equal(guest_read(&evil.guest, PTNET_IO_PTCTL), 0);
		}
	}
	flipper_stop(&flipper);
	assert_guest(&evil.guest);
	endpoint_kill(&evil);
}

static void positions_that_change(void)
{
	positions_change_on(EVIL_PORT, MANNER_LINUX);
	positions_change_on(EVIL_PORT, MANNER_OURS);
}

static void pipe_positions_that_change(void)
{
	positions_change_on(EVIL_PIPE, MANNER_LINUX);
	positions_change_on(EVIL_PIPE, MANNER_OURS);
}

/* Everything in the region at once: rings, netmap_if, buffers, the CSB itself. */
static void region_of_junk(void)
{
	attach(&evil, &ptnetd, EVIL_PORT, MANNER_OURS);
	for (unsigned round = 0; round < 10; round++) {
		uint32_t *words = (uint32_t *)evil.guest.region;
		uint64_t head = 1 << 20, tail = evil.guest.region_size - 8192;

		for (uint64_t i = 0; i < evil.guest.region_size / 4; i++) {
			if (i * 4 < head || i * 4 >= tail)
				__atomic_store_n(&words[i], dice(~0u), __ATOMIC_RELAXED);
		}
		for (unsigned ring = 0; ring < 2 * EVIL_RINGS; ring++)
			guest_kick(&evil.guest, ring);
		sink_sends(evil.driver.mac);
		guest_write(&evil.guest, PTNET_IO_PTCTL, PTNET_PTCTL_DELETE);
		guest_write(&evil.guest, PTNET_IO_PTCTL, PTNET_PTCTL_CREATE);
		assert_int_equal(guest_read(&evil.guest, PTNET_IO_PTCTL), 0);
	}
	endpoint_kill(&evil);
	/* The next guest finds a port in order. */
	attach(&evil, &ptnetd, EVIL_PORT, MANNER_LINUX);
	assert_tx_works(driver_tx(&evil.driver, 0));
	assert_int_equal(endpoint_detach(&evil), 0);
}

const struct attack ring_attacks[] = {
	{"TX packet: buffer index out of range", tx_buffer_out_of_range, "drop_bad_slot", NULL},
	{"TX packet: length out of range", tx_length_out_of_range, "drop_bad_slot", NULL},
	{"TX packet: too short", tx_too_short, "drop_too_short", NULL},
	{"TX packet: an address in the sender's process", tx_indirect, "drop_bad_slot", NULL},
	{"TX packet: too many fragments", tx_too_many_fragments, "drop_too_many_fragments", NULL},
	{"TX packet: too long", tx_too_long, "drop_too_long", "vale0:sink"},
	{"TX head out of range", tx_head_out_of_range, "faults", NULL},
	{"TX cur out of range", tx_cur_out_of_range, "faults", NULL},
	{"RX head out of range", rx_head_out_of_range, "faults", NULL},
	{"RX cur out of range", rx_cur_out_of_range, "faults", NULL},
	{"RX head beyond hwtail", rx_head_beyond_hwtail, "faults", NULL},
	{"RX cur beyond hwtail", rx_cur_beyond_hwtail, "faults", NULL},
	{"RX buffer index out of range", rx_buffer_out_of_range, "faults", NULL},
	{"pipe: TX head goes back", tx_head_goes_back, "faults", EVIL_PIPE},
	{"pipe: TX cur before head", tx_cur_before_head, "faults", EVIL_PIPE},
	{"pipe: positions out of range", pipe_positions_out_of_range, "faults", EVIL_PIPE},
	{"pipe: slots of junk", pipe_slots_of_junk, NO_FAULT, NULL},
	{"overlapping buffers", overlapping_buffers, NO_FAULT, NULL},
	{"slots that change while they are read", slots_that_change, "drop_bad_slot", NULL},
	{"positions that change while they are read", positions_that_change, "faults", NULL},
	{"pipe: positions that change while they are read", pipe_positions_that_change, "faults",
	 EVIL_PIPE},
	{"the whole region full of junk", region_of_junk, "faults", NULL},
};
const size_t num_ring_attacks = sizeof(ring_attacks) / sizeof(ring_attacks[0]);
