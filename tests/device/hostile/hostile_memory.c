/* SPDX-License-Identifier: BSD-2-Clause */
/* Guest RAM that is not what it seems, and CSB addresses that are not in it. */
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../unit/thread_sanitizer.h"

#define GOOD_GH GUEST_CSB_ADDRESS
#define GOOD_HG (GUEST_CSB_ADDRESS + 4096)
#define RAM	(VU_DMA_READABLE | VU_DMA_WRITEABLE)

static void set_csb(uint64_t gh, uint64_t hg)
{
	guest_write(&evil_guest, PTNET_IO_CSB_GH_BAH, (uint32_t)(gh >> 32));
	guest_write(&evil_guest, PTNET_IO_CSB_GH_BAL, (uint32_t)gh);
	guest_write(&evil_guest, PTNET_IO_CSB_HG_BAH, (uint32_t)(hg >> 32));
	guest_write(&evil_guest, PTNET_IO_CSB_HG_BAL, (uint32_t)hg);
}

static uint32_t create(void)
{
	uint32_t result;

	guest_write(&evil_guest, PTNET_IO_PTCTL, PTNET_PTCTL_CREATE);
	result = guest_read(&evil_guest, PTNET_IO_PTCTL);
	assert_guest(&evil_guest);
	return result;
}

static void assert_refused(uint64_t gh, uint64_t hg)
{
	int64_t before = daemon_attachment_counter(&ptnetd, EVIL_PORT, "bad_csb_address");

	set_csb(gh, hg);
	if (create() != ENXIO)
		fail_msg("CREATE with the CSB at %#llx and %#llx was not refused with ENXIO",
			 (unsigned long long)gh, (unsigned long long)hg);
	assert_true(daemon_attachment_counter(&ptnetd, EVIL_PORT, "bad_csb_address") > before);
}

static void assert_accepted(uint64_t gh, uint64_t hg)
{
	set_csb(gh, hg);
	assert_int_equal(create(), 0);
	guest_write(&evil_guest, PTNET_IO_PTCTL, PTNET_PTCTL_DELETE);
}

/* Both as the one array and as the other. */
static void refuse_address(uint64_t address)
{
	assert_refused(address, GOOD_HG);
	assert_refused(GOOD_GH, address);
	assert_accepted(GOOD_GH, GOOD_HG);
}

static void refuse_addresses(const uint64_t *addresses, size_t count)
{
	power_on(&evil_guest, &ptnetd, EVIL_PORT, GUEST_RAM_SHARED);
	guest_enable(&evil_guest, &evil_guest.netif, true);
	for (size_t i = 0; i < count; i++)
		refuse_address(addresses[i]);
}

#define REFUSE(...)                                                                                \
	do {                                                                                       \
		static const uint64_t addresses[] = {__VA_ARGS__};                                 \
                                                                                                   \
		refuse_addresses(addresses, sizeof(addresses) / sizeof(addresses[0]));             \
	} while (0)

static void csb_outside_ram(void)
{
	REFUSE(GUEST_RAM_SIZE, GUEST_RAM_SIZE + 0x100000, 1ull << 40, 1ull << 63,
	       0xfffffffffffff000u);
}

static void csb_unaligned(void)
{
	REFUSE(GOOD_GH + 1, GOOD_GH + 4, GOOD_GH + 8, GOOD_GH + 32, GOOD_GH + 63);
}

static void csb_over_the_end(void)
{
	/* Of RAM, of the range below the hole; around the end of all addresses. */
	REFUSE(GUEST_RAM_SIZE - 64, GUEST_RAM_SIZE - 128, GUEST_RAM_HOLE - 64, 0xffffffffffffffc0u);
}

static void csb_in_a_hole(void)
{
	REFUSE(GUEST_RAM_HOLE, GUEST_RAM_HOLE + 0x10000, GUEST_RAM_ROM - 64);
}

static void csb_in_rom(void)
{
	REFUSE(GUEST_RAM_ROM, GUEST_RAM_ROM + 0x10000, GUEST_RAM_HIGH - 4096);
}

static void csb_in_unmapped_memory(void)
{
	power_on(&evil_guest, &ptnetd, EVIL_PORT, GUEST_RAM_SHARED);
	guest_enable(&evil_guest, &evil_guest.netif, true);
	assert_accepted(GOOD_GH, GOOD_HG);
	assert_int_equal(guest_dma_unmap(&evil_guest, &evil_guest.netif), 0);
	assert_refused(GOOD_GH, GOOD_HG);
	assert_int_equal(guest_dma_map(&evil_guest, &evil_guest.netif), 0);
	assert_accepted(GOOD_GH, GOOD_HG);
}

static void csb_without_bus_master(void)
{
	power_on(&evil_guest, &ptnetd, EVIL_PORT, GUEST_RAM_SHARED);
	assert_refused(GOOD_GH, GOOD_HG);
}

static void csb_in_private_ram(void)
{
	power_on(&evil_guest, &ptnetd, EVIL_PORT, GUEST_RAM_PRIVATE);
	guest_enable(&evil_guest, &evil_guest.netif, true);
	assert_refused(GOOD_GH, GOOD_HG);
}

/* The two arrays may lie on top of one another: the guest hurts itself only. */
static void csb_arrays_on_one_another(void)
{
	power_on(&evil_guest, &ptnetd, EVIL_PORT, GUEST_RAM_SHARED);
	guest_enable(&evil_guest, &evil_guest.netif, true);
	for (uint64_t shift = 0; shift <= 128; shift += 64) {
		set_csb(GOOD_GH, GOOD_GH + shift);
		create();
		for (unsigned ring = 0; ring < 2 * EVIL_RINGS; ring++)
			guest_kick(&evil_guest, ring);
		sink_sends((const uint8_t[]){0xff, 0xff, 0xff, 0xff, 0xff, 0xff});
		guest_write(&evil_guest, PTNET_IO_PTCTL, PTNET_PTCTL_DELETE);
	}
	assert_accepted(GOOD_GH, GOOD_HG);
}

/* ---- descriptors of the wrong kind ---- */

/* Maps all RAM from this descriptor, which is closed, and expects CREATE to fail. */
static void refuse_ram(int fd, uint64_t offset)
{
	assert_true(fd >= 0);
	power_on(&evil_guest, &ptnetd, EVIL_PORT, GUEST_RAM_NONE);
	guest_enable(&evil_guest, &evil_guest.netif, true);
	/* Whether the server takes the mapping is its own affair. */
	vu_dma_map(&evil_guest.netif, RAM, 0, GUEST_RAM_SIZE, fd, offset);
	close(fd);
	assert_refused(GOOD_GH, GOOD_HG);
	guest_close(&evil_guest);
}

static int memory_file(off_t size)
{
	int fd = memfd_create("evil-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	return fd;
}

static int read_only(int fd)
{
	char path[64];
	int again;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = open(path, O_RDONLY | O_CLOEXEC);
	close(fd);
	return again;
}

static void ram_read_only(void)
{
	int sealed = memory_file(GUEST_RAM_SIZE);

	refuse_ram(read_only(memory_file(GUEST_RAM_SIZE)), 0);
	assert_int_equal(fcntl(sealed, F_ADD_SEALS, F_SEAL_WRITE), 0);
	refuse_ram(sealed, 0);
}

static void ram_too_short(void)
{
	refuse_ram(memory_file(0), 0);
	refuse_ram(memory_file(4096), 0);
	refuse_ram(memory_file(GUEST_CSB_ADDRESS), 0);
	refuse_ram(memory_file(GUEST_RAM_SIZE), GUEST_RAM_SIZE);
	refuse_ram(memory_file(GUEST_RAM_SIZE), INT64_MAX - GUEST_RAM_SIZE);
	refuse_ram(memory_file(GUEST_RAM_SIZE), 123);
}

static void ram_of_the_wrong_kind(void)
{
	int pipe_fds[2], sockets[2];

	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	refuse_ram(pipe_fds[0], 0);
	refuse_ram(sockets[0], 0);
	close(pipe_fds[1]);
	close(sockets[1]);
	refuse_ram(eventfd(0, EFD_CLOEXEC), 0);
	refuse_ram(open("/dev/zero", O_RDWR | O_CLOEXEC), 0);
	refuse_ram(open("/proc/self/mem", O_RDWR | O_CLOEXEC), 0);
	refuse_ram(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0);
	refuse_ram(open("/", O_PATH | O_CLOEXEC), 0);
	refuse_ram(open("/proc/self/exe", O_RDONLY | O_CLOEXEC), 0);
}

/* ---- RAM that goes away under running rings ---- */

#ifndef THREAD_SANITIZER
static void assert_rings_work_again(void)
{
	struct ring *ring = driver_tx(&evil.driver, 0);

	assert_int_equal(driver_delete(&evil.driver), 0);
	assert_int_equal(driver_create(&evil.driver), 0);
	fill_slot(ring, ring_slot(ring, 0), 60);
	ring_publish(ring, 1);
	assert_eventually(PTNET_LOAD_ACQUIRE(&ring->ktoa->hwcur) == ring->head);
}

/* From now on nobody may touch the guest's RAM here either: it would be our SIGBUS. */
static void cut_ram(off_t size)
{
	assert_int_equal(ftruncate(evil.guest.ram_fd, size), 0);
}

static void restore_ram(void)
{
	assert_int_equal(ftruncate(evil.guest.ram_fd, GUEST_RAM_SIZE), 0);
}

static void ram_cut_and_kicked(void)
{
	static const off_t sizes[] = {0, GUEST_CSB_ADDRESS, GUEST_CSB_ADDRESS + 4096};

	attach(&evil, &ptnetd, EVIL_PORT, MANNER_LINUX);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		/* A store is needed to reach the second page: something to publish. */
		struct ring *ring = driver_tx(&evil.driver, 0);

		fill_slot(ring, ring_slot(ring, 0), 60);
		ptnet_csb_publish(ring->atok, ring_ahead(ring, ring->head, 1),
				  ring_ahead(ring, ring->head, 1));
		cut_ram(sizes[i]);
		guest_kick(&evil.guest, 0);
		assert_eventually(daemon_rings_with_fault(&ptnetd, EVIL_PORT, "csb_memory_lost") ==
				  2 * EVIL_RINGS);
		restore_ram();
		assert_rings_work_again();
	}
	assert_int_equal(endpoint_detach(&evil), 0);
}

static void ram_cut_and_sent_to(void)
{
	attach(&evil, &ptnetd, EVIL_PORT, MANNER_FREEBSD);
	cut_ram(0);
	sink_sends(evil.driver.mac);
	assert_eventually(daemon_rings_with_fault(&ptnetd, EVIL_PORT, "csb_memory_lost") ==
			  2 * EVIL_RINGS);
	restore_ram();
	assert_rings_work_again();
	assert_int_equal(endpoint_detach(&evil), 0);
}

static void ram_cut_and_stopped(void)
{
	for (unsigned how = 0; how < 5; how++) {
		int64_t before = daemon_attachment_counter(&ptnetd, EVIL_PORT, "bad_csb_address");

		attach(&evil, &ptnetd, EVIL_PORT, MANNER_LINUX);
		cut_ram(0);
		switch (how) {
		case 0:
			guest_write(&evil.guest, PTNET_IO_PTCTL, PTNET_PTCTL_DELETE);
			guest_write(&evil.guest, PTNET_IO_PTCTL, PTNET_PTCTL_CREATE);
			assert_int_not_equal(guest_read(&evil.guest, PTNET_IO_PTCTL), 0);
			break;
		case 1:
			guest_write(&evil.guest, PTNET_IO_CSB_GH_BAL, 0);
			break;
		case 2:
			assert_int_equal(vu_reset(&evil.guest.netif), 0);
			break;
		case 3:
			assert_int_equal(guest_dma_unmap(&evil.guest, &evil.guest.netif), 0);
			break;
		default:
			break; /* the machine just ends */
		}
		guest_read(&evil.guest, PTNET_IO_PTFEAT);
		assert_guest(&evil.guest);
		endpoint_kill(&evil);
		await_attackers_gone();
		/* Memory that is let go while nobody uses it need not be there. */
		assert_int_equal(daemon_attachment_counter(&ptnetd, EVIL_PORT, "bad_csb_address") -
					 before,
				 how == 0);
	}
}
#endif

/* Has one packet sent to the attacker, who reads it and gives its slot back. */
static void receive_one(struct ring *ring)
{
	sink_sends(evil.driver.mac);
	assert_eventually(ring_avail(ring) >= 1);
	ring_publish(ring, ring_avail(ring));
}

/*
 * Zeros where the CSB was: no SIGBUS, but positions of long ago. On a TX ring those mean
 * that all slots are to be sent, which is allowed; on an RX ring they are wrong.
 */
static void ram_with_a_hole_punched(void)
{
	attach(&evil, &ptnetd, EVIL_PORT, MANNER_LINUX);
	aim_buffers(&evil.driver);
	/* The slot of the first has been taken back when the second arrives. */
	receive_one(driver_rx(&evil.driver, 0));
	receive_one(driver_rx(&evil.driver, 0));
	for (unsigned i = 0; i < 30; i++) {
		receive_one(driver_rx(&evil.driver, 0));
		assert_int_equal(fallocate(evil.guest.ram_fd,
					   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
					   GUEST_CSB_ADDRESS, 8192),
				 0);
		for (unsigned ring = 0; ring < 2 * EVIL_RINGS; ring++)
			guest_kick(&evil.guest, ring);
		sink_sends(evil.driver.mac);
		assert_int_equal(daemon_rings_with_fault(&ptnetd, EVIL_PORT, "bad_head"), 1);
		assert_int_equal(driver_delete(&evil.driver), 0);
		assert_int_equal(driver_create(&evil.driver), 0);
	}
	assert_int_equal(endpoint_detach(&evil), 0);
}

static void ram_unmapped_under_running_rings(void)
{
	struct hammer hammer;

	attach(&evil, &ptnetd, EVIL_PORT, MANNER_LINUX);
	aim_buffers(&evil.driver);
	hammer_start(&hammer, &evil.driver, true);
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(guest_dma_unmap(&evil.guest, &evil.guest.netif), 0);
		sink_sends(evil.driver.mac);
		assert_int_equal(guest_dma_map(&evil.guest, &evil.guest.netif), 0);
	}
	hammer_stop(&hammer);
	assert_guest(&evil.guest);
	endpoint_kill(&evil);
}

/* After UNMAP's reply nothing writes there: the memory may be another's by now. */
static void unmapped_ram_is_left_alone(void)
{
	struct hammer hammer;

	attach(&evil, &ptnetd, EVIL_PORT, MANNER_LINUX);
	aim_buffers(&evil.driver);
	for (unsigned i = 0; i < 50; i++) {
		static char before[8192];
		const char *pages = evil.guest.ram + GUEST_CSB_ADDRESS;

		hammer_start(&hammer, &evil.driver, true);
		sink_sends(evil.driver.mac);
		assert_int_equal(guest_dma_unmap(&evil.guest, &evil.guest.netif), 0);
		hammer_stop(&hammer);
		memcpy(before, pages, sizeof(before));
		for (unsigned ring = 0; ring < 2 * EVIL_RINGS; ring++)
			guest_kick(&evil.guest, ring);
		sink_sends(evil.driver.mac);
		assert_int_equal(daemon_wait_turn(&ptnetd), 0);
		assert_memory_equal(pages, before, sizeof(before));
		assert_int_equal(guest_dma_map(&evil.guest, &evil.guest.netif), 0);
		assert_int_equal(driver_delete(&evil.driver), 0);
		assert_int_equal(driver_create(&evil.driver), 0);
	}
	assert_int_equal(endpoint_detach(&evil), 0);
}

const struct attack memory_attacks[] = {
	{"CSB outside RAM", csb_outside_ram, "bad_csb_address", NULL},
	{"CSB unaligned", csb_unaligned, "bad_csb_address", NULL},
	{"CSB over the end", csb_over_the_end, "bad_csb_address", NULL},
	{"CSB in a hole", csb_in_a_hole, "bad_csb_address", NULL},
	{"CSB in ROM", csb_in_rom, "bad_csb_address", NULL},
	{"CSB in unmapped memory", csb_in_unmapped_memory, "bad_csb_address", NULL},
	{"CSB without bus master", csb_without_bus_master, "bad_csb_address", NULL},
	{"CSB in RAM without a descriptor", csb_in_private_ram, "bad_csb_address", NULL},
	{"CSB arrays on one another", csb_arrays_on_one_another, "faults", NULL},
	{"RAM read-only", ram_read_only, "bad_csb_address", NULL},
	{"RAM shorter than it says", ram_too_short, "bad_csb_address", NULL},
	{"RAM of the wrong kind", ram_of_the_wrong_kind, "bad_csb_address", NULL},
/* TSan's runtime in the daemon would wait for itself; the tests are built as the daemon is. */
#ifndef THREAD_SANITIZER
	{"RAM cut under running rings, then a kick", ram_cut_and_kicked, "csb_memory_lost", NULL},
	{"RAM cut under running rings, then a packet", ram_cut_and_sent_to, "csb_memory_lost",
	 NULL},
	{"RAM cut under running rings, then the end", ram_cut_and_stopped, "bad_csb_address", NULL},
#endif
	{"RAM with a hole punched", ram_with_a_hole_punched, "faults", NULL},
	{"RAM unmapped under running rings", ram_unmapped_under_running_rings, NO_FAULT, NULL},
	{"unmapped RAM is left alone", unmapped_ram_is_left_alone, NO_FAULT, NULL},
};
const size_t num_memory_attacks = sizeof(memory_attacks) / sizeof(memory_attacks[0]);
