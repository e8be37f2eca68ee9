/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The devices register for register, as spec/ptnet-device.md sections 2 to 7 has
 * them and unmodified drivers need them.
 */
#define NETMAP_OWNER /* to destroy what guests only may read */
#include "device_test.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define RINGS 2
#define SLOTS 128

#define CSB_GH GUEST_CSB_ADDRESS
#define CSB_HG (GUEST_CSB_ADDRESS + 4096)

static const char configuration[] =
	"{\"ports\": ["
	"{\"name\": \"vale0:a\", \"rings\": 2, \"slots\": 128, \"mac\": \"52:54:00:12:34:56\"},"
	"{\"name\": \"vale0:b\", \"rings\": 2, \"slots\": 128}],"
	"\"pipes\": [{\"name\": \"link{1\", \"rings\": 1, \"slots\": 128}]}";

static struct daemon ptnetd;
static struct daemon_usage usage;
static struct guest guest;
static struct endpoint a, b;

static int start(void **state)
{
	(void)state;
	guest_init(&guest);
	guest_init(&a.guest);
	guest_init(&b.guest);
	if (daemon_start(&ptnetd, configuration) < 0)
		return -1;
	record_usage(&ptnetd, &usage);
	return 0;
}

static void stop(void **state)
{
	(void)state;
	assert_usage(&ptnetd, &usage, 2048);
	assert_int_equal(daemon_stop(&ptnetd), 0);
}

static int power_on_a(void **state)
{
	(void)state;
	power_on(&guest, &ptnetd, "vale0:a", GUEST_RAM_SHARED);
	return 0;
}

static int power_off(void **state)
{
	(void)state;
	guest_close(&guest);
	endpoint_kill(&a);
	endpoint_kill(&b);
	return 0;
}

/* ---- section 2: PCI configuration ---- */

struct config_value {
	uint32_t offset, size, mask, value;
	const char *what;
};

static void check_config(struct vu_connection *device, const struct config_value *table,
			 size_t count)
{
	for (size_t i = 0; i < count; i++) {
		uint32_t got = guest_config_read(&guest, device, table[i].offset, table[i].size);

		assert_guest(&guest);
		if ((got & table[i].mask) != table[i].value)
			fail_msg("configuration space %#x, %s: %#x, not %#x", table[i].offset,
				 table[i].what, got & table[i].mask, table[i].value);
	}
}

static void ptnet_configuration_space(void **state)
{
	static const struct config_value table[] = {
		{0x00, 2, ~0u, 0x1b36, "vendor"},
		{0x02, 2, ~0u, 0x000d, "device"},
		{0x04, 2, 0x7, 0, "command: nothing enabled"},
		{0x06, 2, 0x10, 0x10, "status: has capabilities"},
		{0x08, 1, ~0u, 0, "revision"},
		{0x09, 1, ~0u, 0x00, "prog-if"},
		{0x0a, 2, ~0u, 0x0200, "class: Ethernet"},
		{0x0c, 1, ~0u, 0x10, "cache line size"},
		{0x0e, 1, ~0u, 0, "header type"},
		{0x10, 4, 0x3, 0x1, "BAR 0: I/O"},
		{0x14, 4, ~0u, 0, "BAR 1: none"},
		{0x18, 4, 0xf, 0, "BAR 2: memory, 32 bits, not prefetchable"},
		{0x1c, 4, 0xf, 0, "BAR 3: memory, 32 bits, not prefetchable"},
		{0x20, 4, ~0u, 0, "BAR 4: none"},
		{0x24, 4, ~0u, 0, "BAR 5: none"},
		{0x2c, 2, ~0u, 0x1af4, "subsystem vendor"},
		{0x2e, 2, ~0u, 0x1100, "subsystem device"},
		{0x3d, 1, ~0u, 1, "interrupt pin"},
	};

	(void)state;
	check_config(&guest.netif, table, sizeof(table) / sizeof(table[0]));
}

static void memdev_configuration_space(void **state)
{
	static const struct config_value table[] = {
		{0x00, 2, ~0u, 0x1b36, "vendor"},
		{0x02, 2, ~0u, 0x000c, "device"},
		{0x04, 2, 0x7, 0, "command: nothing enabled"},
		{0x08, 1, ~0u, 0, "revision"},
		{0x09, 1, ~0u, 0x00, "prog-if"},
		{0x0a, 2, ~0u, 0x00ff, "class"},
		{0x0c, 1, ~0u, 0, "cache line size"},
		{0x0e, 1, ~0u, 0, "header type"},
		{0x10, 4, 0x3, 0x1, "BAR 0: I/O"},
		{0x14, 4, 0xb, 0x8, "BAR 1: memory, prefetchable"},
		{0x2c, 2, ~0u, 0x1af4, "subsystem vendor"},
		{0x2e, 2, ~0u, 0x1100, "subsystem device"},
		{0x3d, 1, ~0u, 0, "interrupt pin"},
	};

	(void)state;
	check_config(&guest.memdev, table, sizeof(table) / sizeof(table[0]));
}

/* The size that the BAR register tells by the bits that stay zero. */
static uint64_t bar_size(struct vu_connection *device, uint32_t offset)
{
	uint32_t low, type, mask;
	uint64_t size;

	type = guest_config_read(&guest, device, offset, 4);
	guest_config_write(&guest, device, offset, UINT32_MAX, 4);
	low = guest_config_read(&guest, device, offset, 4);
	mask = type & 1 ? ~3u : ~15u;
	size = (uint64_t)(low & mask) | 0xffffffff00000000u;
	if ((type & 7) == 4) {
		guest_config_write(&guest, device, offset + 4, UINT32_MAX, 4);
		size = (size & UINT32_MAX) |
		       (uint64_t)guest_config_read(&guest, device, offset + 4, 4) << 32;
	}
	assert_guest(&guest);
	return ~size + 1;
}

static uint64_t region_size(struct vu_connection *device, uint32_t index, uint32_t *flags)
{
	struct {
		struct vu_region_info info;
		uint8_t caps[128];
	} reply;
	int fd;

	assert_int_equal(vu_get_region_info(device, index, &reply.info, sizeof(reply), &fd), 0);
	*flags = reply.info.flags;
	/* A descriptor comes exactly with what can be mapped. */
	assert_int_equal(fd >= 0, (reply.info.flags & VU_REGION_CAN_MMAP) != 0);
	if (fd >= 0)
		close(fd);
	return reply.info.size;
}

static void bars(void **state)
{
	static const uint64_t ptnet[] = {256, 0, 4096, 4096, 0, 0, 0};
	uint64_t size, memsize;
	uint32_t flags;

	(void)state;
	for (uint32_t i = VU_REGION_BAR0; i <= VU_REGION_ROM; i++) {
		assert_int_equal(region_size(&guest.netif, i, &flags), ptnet[i]);
		/* One mappable region, and QEMU would not post its kicks any more. */
		assert_int_equal(flags & VU_REGION_CAN_MMAP, 0);
		if (ptnet[i] != 0)
			assert_int_equal(bar_size(&guest.netif, 0x10 + 4 * i), ptnet[i]);
	}
	assert_true(region_size(&guest.netif, VU_REGION_CONFIG, &flags) >= 256);

	assert_int_equal(region_size(&guest.memdev, VU_REGION_BAR0, &flags), 128);
	assert_int_equal(flags & VU_REGION_CAN_MMAP, 0);
	assert_int_equal(bar_size(&guest.memdev, 0x10), 128);
	size = region_size(&guest.memdev, VU_REGION_BAR1, &flags);
	memsize = guest_memdev_read(&guest, PTNET_MDEV_IO_MEMSIZE_LO) |
		  (uint64_t)guest_memdev_read(&guest, PTNET_MDEV_IO_MEMSIZE_HI) << 32;
	assert_int_equal(flags & (VU_REGION_CAN_READ | VU_REGION_CAN_WRITE | VU_REGION_CAN_MMAP),
			 VU_REGION_CAN_READ | VU_REGION_CAN_WRITE | VU_REGION_CAN_MMAP);
	assert_true(memsize > 0 && memsize % 4096 == 0 && size >= memsize);
	assert_int_equal(size & (size - 1), 0);
	assert_int_equal(bar_size(&guest.memdev, 0x14), size);
	for (uint32_t i = VU_REGION_BAR1 + 1; i <= VU_REGION_ROM; i++)
		assert_int_equal(region_size(&guest.memdev, i, &flags), 0);
}

static void msix_capability(void **state)
{
	uint32_t at = guest_config_read(&guest, &guest.netif, 0x34, 1);
	struct vu_irq_info info;
	uint64_t pba = UINT64_MAX;

	(void)state;
	while (at != 0 && guest_config_read(&guest, &guest.netif, at, 1) != 0x11)
		at = guest_config_read(&guest, &guest.netif, at + 1, 1);
	assert_guest(&guest);
	assert_true(at >= 0x40);
	/* Table size - 1; not enabled, not masked. */
	assert_int_equal(guest_config_read(&guest, &guest.netif, at + 2, 2), 2 * RINGS - 1);
	assert_int_equal(guest_config_read(&guest, &guest.netif, at + 4, 4), 2);
	assert_int_equal(guest_config_read(&guest, &guest.netif, at + 8, 4), 0x802);
	assert_int_equal(vu_get_irq_info(&guest.netif, VU_IRQ_MSIX, &info), 0);
	assert_int_equal(info.count, 2 * RINGS);
	assert_true(info.flags & VU_IRQ_CAN_EVENTFD);
	assert_int_equal(vu_get_irq_info(&guest.netif, VU_IRQ_MSI, &info), 0);
	assert_int_equal(info.count, 0);
	assert_int_equal(vu_region_read(&guest.netif, VU_REGION_BAR2, 0x800, &pba, 8), 0);
	assert_int_equal(pba, 0);
	for (uint32_t i = 0; i <= VU_IRQ_MSIX; i++) {
		assert_int_equal(vu_get_irq_info(&guest.memdev, i, &info), 0);
		assert_int_equal(info.count, 0);
	}
}

/* ---- sections 3 and 4: registers ---- */

struct register_value {
	uint32_t offset, value;
	const char *name;
};

/* What a fresh ptnet on vale0:a must read. */
static const struct register_value initial[] = {
	{PTNET_IO_PTFEAT, 0, "PTFEAT"},
	{PTNET_IO_PTCTL, 0, "PTCTL"},
	{PTNET_IO_MAC_LO, 0x00123456, "MAC_LO"},
	{PTNET_IO_MAC_HI, 0x5254, "MAC_HI"},
	{PTNET_IO_CSBBAH, 0, "CSBBAH"},
	{PTNET_IO_CSBBAL, 0, "CSBBAL"},
	{PTNET_IO_NUM_TX_RINGS, RINGS, "NUM_TX_RINGS"},
	{PTNET_IO_NUM_RX_RINGS, RINGS, "NUM_RX_RINGS"},
	{PTNET_IO_NUM_TX_SLOTS, SLOTS, "NUM_TX_SLOTS"},
	{PTNET_IO_NUM_RX_SLOTS, SLOTS, "NUM_RX_SLOTS"},
	{PTNET_IO_VNET_HDR_LEN, 0, "VNET_HDR_LEN"},
	{PTNET_IO_CSB_GH_BAH, 0, "CSB_GH_BAH"},
	{PTNET_IO_CSB_GH_BAL, 0, "CSB_GH_BAL"},
	{PTNET_IO_CSB_HG_BAH, 0, "CSB_HG_BAH"},
	{PTNET_IO_CSB_HG_BAL, 0, "CSB_HG_BAL"},
	{68, 0, "the hole before the extension"},
	{100, 0, "the hole behind the extension"},
	{124, 0, "the hole before the kicks"},
	{PTNET_IO_KICK_BASE, 0, "KICK 0"},
	{252, 0, "KICK 31"},
};

static void check_initial(void)
{
	for (size_t i = 0; i < sizeof(initial) / sizeof(initial[0]); i++) {
		uint32_t got = guest_read(&guest, initial[i].offset);

		assert_guest(&guest);
		if (got != initial[i].value)
			fail_msg("%s reads %#x, not %#x", initial[i].name, got, initial[i].value);
	}
}

static void ptnet_initial_registers(void **state)
{
	(void)state;
	check_initial();
	assert_int_not_equal(guest_read(&guest, PTNET_IO_HOSTMEMID) & 0xffff, 0);
	assert_int_equal(guest_read(&guest, PTNET_IO_HOSTMEMID) & 0xffff,
			 guest_memdev_read(&guest, PTNET_MDEV_IO_MEMID) & 0xffff);
	assert_int_equal(guest_read(&guest, PTNET_IO_EXT_FLAGS), PTNET_EXT_FLAG_DOORBELL);
	assert_int_equal(guest_read(&guest, PTNET_IO_EXT_LINK), 1);
	assert_true(guest_read(&guest, PTNET_IO_EXT_MAX_FRAME) >= 1514);
}

static void ptnet_read_only_registers_ignore_writes(void **state)
{
	static const uint32_t writable[] = {PTNET_IO_PTFEAT,	   PTNET_IO_PTCTL,
					    PTNET_IO_VNET_HDR_LEN, PTNET_IO_CSB_GH_BAH,
					    PTNET_IO_CSB_GH_BAL,   PTNET_IO_CSB_HG_BAH,
					    PTNET_IO_CSB_HG_BAL};

	(void)state;
	for (uint32_t offset = 0; offset < PTNET_IO_KICK_BASE; offset += 4) {
		uint32_t before = guest_read(&guest, offset);
		bool skip = false;

		for (size_t i = 0; i < sizeof(writable) / sizeof(writable[0]); i++)
			skip |= offset == writable[i];
		if (skip)
			continue;
		guest_write(&guest, offset, 0xdeadbeef);
		assert_int_equal(guest_read(&guest, offset), before);
	}
	assert_guest(&guest);
}

static void memdev_registers(void **state)
{
	uint32_t if_num = guest_memdev_read(&guest, PTNET_MDEV_IO_IF_POOL_OBJNUM);
	uint32_t if_size = guest_memdev_read(&guest, PTNET_MDEV_IO_IF_POOL_OBJSZ);
	uint32_t ring_ofs = guest_memdev_read(&guest, PTNET_MDEV_IO_RING_POOL_OFS);
	uint32_t ring_num = guest_memdev_read(&guest, PTNET_MDEV_IO_RING_POOL_OBJNUM);
	uint32_t ring_size = guest_memdev_read(&guest, PTNET_MDEV_IO_RING_POOL_OBJSZ);
	uint32_t buf_ofs = guest_memdev_read(&guest, PTNET_MDEV_IO_BUF_POOL_OFS);
	uint64_t buf_num = guest_memdev_read(&guest, PTNET_MDEV_IO_BUF_POOL_OBJNUM);
	uint32_t buf_size = guest_memdev_read(&guest, PTNET_MDEV_IO_BUF_POOL_OBJSZ);
	uint64_t memsize = guest_memdev_read(&guest, PTNET_MDEV_IO_MEMSIZE_LO) |
			   (uint64_t)guest_memdev_read(&guest, PTNET_MDEV_IO_MEMSIZE_HI) << 32;

	(void)state;
	assert_int_equal(guest_memdev_read(&guest, PTNET_MDEV_IO_IF_POOL_OFS), 0);
	assert_true(if_size >= 56 + 8 * (2 * RINGS + 2) && if_num >= 1);
	assert_true(ring_ofs % 4096 == 0 && ring_ofs >= if_num * if_size);
	assert_true(ring_size >= 256 + 16 * SLOTS && ring_num >= 2 * RINGS);
	assert_true(buf_ofs % 4096 == 0 && buf_ofs >= ring_ofs + ring_num * ring_size);
	assert_true(buf_size >= 2048 && buf_num >= 2 * RINGS * SLOTS + 2);
	assert_true(memsize >= buf_ofs + buf_num * buf_size);
	for (uint32_t offset = 0; offset < PTNET_MDEV_IO_BAR_SIZE; offset += 4) {
		uint32_t before = guest_memdev_read(&guest, offset), junk = 0xdeadbeef;

		assert_int_equal(vu_region_write(&guest.memdev, VU_REGION_BAR0, offset, &junk, 4),
				 0);
		assert_int_equal(guest_memdev_read(&guest, offset), before);
		if ((offset > PTNET_MDEV_IO_MEMID && offset < PTNET_MDEV_IO_IF_POOL_OFS) ||
		    offset >= PTNET_MDEV_IO_END)
			assert_int_equal(before, 0);
	}
	assert_guest(&guest);
}

static void features_are_wanted_and_supported(void **state)
{
	static const uint32_t wanted[] = {0, 1, 2, 3, UINT32_MAX, 0};

	(void)state;
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
		guest_write(&guest, PTNET_IO_PTFEAT, wanted[i]);
		/* No header on any port yet: F_VNET_HDR is not offered. */
		assert_int_equal(guest_read(&guest, PTNET_IO_PTFEAT),
				 wanted[i] & PTNET_F_REGION_CSB);
	}
	assert_guest(&guest);
}

static void header_length_is_what_the_port_has(void **state)
{
	static const uint32_t wanted[] = {12, 0, 10, 1, UINT32_MAX};

	(void)state;
	for (unsigned acked = 0; acked < 2; acked++) {
		guest_write(&guest, PTNET_IO_PTFEAT, acked);
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
			guest_write(&guest, PTNET_IO_VNET_HDR_LEN, wanted[i]);
			assert_int_equal(guest_read(&guest, PTNET_IO_VNET_HDR_LEN), 0);
		}
	}
	assert_guest(&guest);
}

/* ---- section 5: the region ---- */

static void check_ring(const struct netmap_ring *ring, uint64_t ring_at, unsigned index,
		       unsigned dir, uint8_t *seen)
{
	uint32_t buf_total = guest_memdev_read(&guest, PTNET_MDEV_IO_BUF_POOL_OBJNUM);

	assert_int_equal(ring->num_slots, SLOTS);
	assert_int_equal(ring->ringid, index);
	assert_int_equal(ring->dir, dir);
	assert_int_equal(ring->nr_buf_size,
			 guest_memdev_read(&guest, PTNET_MDEV_IO_BUF_POOL_OBJSZ));
	assert_int_equal((int64_t)ring_at + ring->buf_ofs,
			 guest_memdev_read(&guest, PTNET_MDEV_IO_BUF_POOL_OFS));
	for (unsigned i = 0; i < SLOTS; i++) {
		uint32_t idx = ring->slot[i].buf_idx;

		if (idx < 2 || idx >= buf_total || seen[idx])
			fail_msg("ring %u (%u), slot %u: buffer %u is %s", index, dir, i, idx,
				 idx < 2 || idx >= buf_total ? "none" : "in two slots");
		seen[idx] = 1;
	}
}

static void check_rings_in_region(void)
{
	static uint8_t seen[1 << 20];
	uint32_t nifp_offset = guest_read(&guest, PTNET_IO_NIFP_OFS);
	const struct netmap_if *nifp;

	memset(seen, 0, sizeof(seen));
	guest_map_region(&guest);
	assert_guest(&guest);
	nifp = (const struct netmap_if *)(guest.region + nifp_offset);
	assert_int_equal(nifp->ni_tx_rings, RINGS);
	assert_int_equal(nifp->ni_rx_rings, RINGS);
	assert_int_equal(nifp->ni_host_tx_rings, 1);
	assert_int_equal(nifp->ni_host_rx_rings, 1);
	assert_int_equal(nifp->ni_bufs_head, 0);
	assert_int_equal(nifp->ring_ofs[RINGS], 0);	    /* host TX */
	assert_int_equal(nifp->ring_ofs[2 * RINGS + 1], 0); /* host RX */
	for (unsigned i = 0; i < RINGS; i++) {
		uint64_t tx = nifp_offset + (uint64_t)nifp->ring_ofs[i];
		uint64_t rx = nifp_offset + (uint64_t)nifp->ring_ofs[RINGS + 1 + i];

		check_ring((const struct netmap_ring *)(guest.region + tx), tx, i, 0, seen);
		check_ring((const struct netmap_ring *)(guest.region + rx), rx, i, 1, seen);
	}
}

static void region_contents(void **state)
{
	(void)state;
	check_rings_in_region();
}

/* ---- section 6: CREATE, DELETE, reset ---- */

static uint32_t command(uint32_t what)
{
	uint32_t result;

	guest_write(&guest, PTNET_IO_PTCTL, what);
	result = guest_read(&guest, PTNET_IO_PTCTL);
	assert_guest(&guest);
	return result;
}

static void set_csb(uint64_t gh, uint64_t hg)
{
	guest_write(&guest, PTNET_IO_CSB_GH_BAH, (uint32_t)(gh >> 32));
	guest_write(&guest, PTNET_IO_CSB_GH_BAL, (uint32_t)gh);
	guest_write(&guest, PTNET_IO_CSB_HG_BAH, (uint32_t)(hg >> 32));
	guest_write(&guest, PTNET_IO_CSB_HG_BAL, (uint32_t)hg);
	assert_guest(&guest);
}

/* Register writes are posted: a read tells that they have been carried out. */
static void flush_writes(void)
{
	guest_read(&guest, PTNET_IO_PTFEAT);
	assert_guest(&guest);
}

static struct nm_csb_atok *atok_at(uint64_t address, unsigned ring)
{
	return (struct nm_csb_atok *)(guest.ram + address) + ring;
}

static struct ptnet_csb_ktoa *ktoa_at(uint64_t address, unsigned ring)
{
	return (struct ptnet_csb_ktoa *)(guest.ram + address) + ring;
}

static void command_results(void **state)
{
	(void)state;
	guest_enable(&guest, &guest.netif, true);
	assert_int_equal(command(PTNET_PTCTL_DELETE), 0);
	assert_int_equal(command(PTNET_PTCTL_CREATE), ENXIO);
	assert_int_equal(command(0), EINVAL);
	assert_int_equal(command(3), EINVAL);
	assert_int_equal(command(UINT32_MAX), EINVAL);
	set_csb(CSB_GH, 0);
	assert_int_equal(command(PTNET_PTCTL_CREATE), ENXIO);
	set_csb(0, CSB_HG);
	assert_int_equal(command(PTNET_PTCTL_CREATE), ENXIO);
	set_csb(CSB_GH, CSB_HG);
	assert_int_equal(guest_read(&guest, PTNET_IO_CSB_GH_BAL), CSB_GH);
	assert_int_equal(guest_read(&guest, PTNET_IO_CSB_HG_BAL), CSB_HG);
	assert_int_equal(guest_read(&guest, PTNET_IO_CSB_GH_BAH), 0);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
	assert_int_equal(command(7), EINVAL);
	assert_int_equal(daemon_attachment_counter(&ptnetd, "vale0:a", "running"), 1);
	assert_int_equal(command(PTNET_PTCTL_DELETE), 0);
	assert_int_equal(daemon_attachment_counter(&ptnetd, "vale0:a", "running"), 0);
	assert_int_equal(command(PTNET_PTCTL_DELETE), 0);
	set_csb(0, 0);
	assert_int_equal(command(PTNET_PTCTL_DELETE), 0);
}

static void check_fresh_positions(uint64_t gh, uint64_t hg)
{
	for (unsigned i = 0; i < 2 * RINGS; i++) {
		assert_int_equal(atok_at(gh, i)->head, 0);
		assert_int_equal(atok_at(gh, i)->cur, 0);
		assert_int_equal(ktoa_at(hg, i)->hwcur, 0);
		assert_int_equal(ktoa_at(hg, i)->hwtail, i < RINGS ? SLOTS - 1 : 0);
	}
}

static void create_fills_the_csb(void **state)
{
	(void)state;
	guest_enable(&guest, &guest.netif, true);
	set_csb(CSB_GH, CSB_HG);
	flush_writes();
	memset(guest.ram + CSB_GH, 0x5a, 8192);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
	check_fresh_positions(CSB_GH, CSB_HG);
	for (unsigned i = 0; i < PTNET_MAX_RINGS; i++) {
		/* What is not the ABI's, and the entries of no ring, stay the driver's. */
		assert_int_equal(ktoa_at(CSB_HG, i)->ring_fault, 0x5a5a5a5a);
		if (i >= 2 * RINGS)
			assert_int_equal(ktoa_at(CSB_HG, i)->hwcur, 0x5a5a5a5a);
	}
	/* A second CREATE changes nothing. */
	ktoa_at(CSB_HG, 0)->pad[0] = 1;
	atok_at(CSB_GH, 0)->sync_flags = 0x77;
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
	assert_int_equal(atok_at(CSB_GH, 0)->sync_flags, 0x77);
	assert_int_equal(command(PTNET_PTCTL_DELETE), 0);
}

static void csb_in_the_region(void **state)
{
	uint64_t gh = guest_read(&guest, PTNET_IO_EXT_CSB_GH_OFS_LO);
	uint64_t hg = guest_read(&guest, PTNET_IO_EXT_CSB_HG_OFS_LO);

	(void)state;
	guest_enable(&guest, &guest.netif, true);
	guest_map_region(&guest);
	gh |= (uint64_t)guest_read(&guest, PTNET_IO_EXT_CSB_GH_OFS_HI) << 32;
	hg |= (uint64_t)guest_read(&guest, PTNET_IO_EXT_CSB_HG_OFS_HI) << 32;
	assert_true(gh != 0 && gh % 64 == 0 && gh + 2048 <= guest.region_size);
	assert_true(hg != 0 && hg % 64 == 0 && hg + 2048 <= guest.region_size);
	assert_true(gh + 2048 <= hg || hg + 2048 <= gh);
	/* Not negotiated: CREATE has no CSB. */
	assert_int_equal(command(PTNET_PTCTL_CREATE), ENXIO);
	guest_write(&guest, PTNET_IO_PTFEAT, PTNET_F_REGION_CSB);
	flush_writes();
	memset(guest.region + gh, 0x5a, 2048);
	memset(guest.region + hg, 0x5a, 2048);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
	for (unsigned i = 0; i < 2 * RINGS; i++) {
		const struct nm_csb_atok *atok =
			(const struct nm_csb_atok *)(guest.region + gh) + i;
		const struct ptnet_csb_ktoa *ktoa =
			(const struct ptnet_csb_ktoa *)(guest.region + hg) + i;

		assert_int_equal(atok->head, 0);
		assert_int_equal(atok->cur, 0);
		assert_int_equal(ktoa->hwcur, 0);
		assert_int_equal(ktoa->hwtail, i < RINGS ? SLOTS - 1 : 0);
		assert_int_equal(ktoa->ring_fault, PTNET_FAULT_NONE);
	}
	assert_int_equal(daemon_attachment_counter(&ptnetd, "vale0:a", "extension"), 1);
	assert_int_equal(command(PTNET_PTCTL_DELETE), 0);
}

static void shared_memory_is_asked_for(void **state)
{
	unsigned before = daemon_log_count(&ptnetd, "share=on");

	(void)state;
	power_on(&guest, &ptnetd, "vale0:a", GUEST_RAM_PRIVATE);
	guest_enable(&guest, &guest.netif, true);
	set_csb(CSB_GH, CSB_HG);
	assert_int_not_equal(command(PTNET_PTCTL_CREATE), 0);
	assert_int_equal(daemon_wait_log(&ptnetd, "share=on", before), 0);
	guest_close(&guest);
}

/* ---- the CSB's pages are left alone when they must be ---- */

/* The CSB as it is now; a daemon that still used it would find it in order. */
static char csb_before[8192];

static void remember_csb(uint64_t address)
{
	memcpy(csb_before, guest.ram + address, sizeof(csb_before));
}

static void assert_csb_untouched(uint64_t address)
{
	assert_int_equal(daemon_wait_turn(&ptnetd), 0);
	assert_memory_equal(guest.ram + address, csb_before, sizeof(csb_before));
}

/* Somebody else's broadcast, which the port would have to show on RX ring 0. */
static void broadcast_to_a(void)
{
	int64_t before = daemon_port_counter(&ptnetd, "vale0:a", "drop_not_running");
	struct ring *ring;
	char *frame;

	attach(&b, &ptnetd, "vale0:b", MANNER_OURS);
	ring = driver_tx(&b.driver, 0);
	frame = ring_buf(ring, ring_slot(ring, 0)->buf_idx);
	memset(frame, 0xff, 60);
	memcpy(frame + 6, b.driver.mac, 6);
	ring_slot(ring, 0)->len = 60;
	ring_slot(ring, 0)->flags = 0;
	ring_publish(ring, 1);
	assert_eventually(ring_avail(ring) == SLOTS - 1);
	assert_int_equal(endpoint_detach(&b), 0);
	assert_int_equal(daemon_port_counter(&ptnetd, "vale0:a", "drop_not_running"), before + 1);
}

static void created(uint64_t gh, uint64_t hg)
{
	guest_enable(&guest, &guest.netif, true);
	set_csb(gh, hg);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
}

static void address_zero_stops_use(void **state)
{
	(void)state;
	created(CSB_GH, CSB_HG);
	guest_write(&guest, PTNET_IO_CSB_GH_BAL, 0);
	flush_writes();
	remember_csb(CSB_GH);
	broadcast_to_a();
	assert_csb_untouched(CSB_GH);
	/* Only the other array is set now. */
	assert_int_equal(command(PTNET_PTCTL_CREATE), ENXIO);
}

static void address_change_stops_use_of_the_old(void **state)
{
	const uint64_t other = CSB_GH + 0x10000;

	(void)state;
	created(CSB_GH, CSB_HG);
	set_csb(other, other + 4096);
	flush_writes();
	remember_csb(CSB_GH);
	broadcast_to_a();
	assert_csb_untouched(CSB_GH);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
	assert_csb_untouched(CSB_GH);
	check_fresh_positions(other, other + 4096);
}

static void delete_stops_use(void **state)
{
	(void)state;
	created(CSB_GH, CSB_HG);
	assert_int_equal(command(PTNET_PTCTL_DELETE), 0);
	remember_csb(CSB_GH);
	broadcast_to_a();
	assert_csb_untouched(CSB_GH);
}

static void bus_master_off_stops_use(void **state)
{
	(void)state;
	created(CSB_GH, CSB_HG);
	guest_enable(&guest, &guest.netif, false);
	remember_csb(CSB_GH);
	broadcast_to_a();
	assert_csb_untouched(CSB_GH);
}

static void unmapped_memory_is_not_used(void **state)
{
	(void)state;
	created(CSB_GH, CSB_HG);
	assert_int_equal(guest_dma_unmap(&guest, &guest.netif), 0);
	remember_csb(CSB_GH);
	broadcast_to_a();
	assert_csb_untouched(CSB_GH);
}

static void reset_forgets_everything(void **state)
{
	uint32_t nifp_offset = guest_read(&guest, PTNET_IO_NIFP_OFS);
	struct netmap_if *nifp;
	struct netmap_ring *ring;

	(void)state;
	guest_map_region(&guest);
	guest_write(&guest, PTNET_IO_PTFEAT, 0);
	created(CSB_GH, CSB_HG);
	/* A guest that crashed in the middle of swapping buffers. */
	nifp = (struct netmap_if *)(guest.region + nifp_offset);
	ring = (struct netmap_ring *)(guest.region + nifp_offset + nifp->ring_ofs[0]);
	for (unsigned i = 0; i < SLOTS; i++)
		ring->slot[i].buf_idx = 5;
	memset(nifp->ring_ofs, 0x77, sizeof(nifp->ring_ofs[0]) * (2 * RINGS + 2));
	nifp->ni_tx_rings = 99;
	ring->num_slots = 3;
	assert_int_equal(vu_reset(&guest.netif), 0);
	remember_csb(CSB_GH);
	check_initial();
	assert_int_equal(guest_config_read(&guest, &guest.netif, 4, 2) & 7, 0);
	check_rings_in_region();
	broadcast_to_a();
	assert_csb_untouched(CSB_GH);
	created(CSB_GH, CSB_HG);
	check_fresh_positions(CSB_GH, CSB_HG);
}

/* ---- rings: positions, vectors, kicks ---- */

static void put_frame(struct ring *ring, uint32_t ahead)
{
	struct netmap_slot *slot = ring_slot(ring, ahead);
	char *frame = ring_buf(ring, slot->buf_idx);

	memset(frame, 0xff, 60);
	memcpy(frame + 6, ring->driver->mac, 6);
	slot->len = 60;
	slot->flags = 0;
}

static void positions_survive_delete(void **state)
{
	struct ring *ring;

	(void)state;
	attach(&a, &ptnetd, "vale0:a", MANNER_LINUX);
	ring = driver_tx(&a.driver, 1);
	for (unsigned i = 0; i < 5; i++)
		put_frame(ring, i);
	ring_publish(ring, 5);
	assert_eventually(PTNET_LOAD_ACQUIRE(&ring->ktoa->hwcur) == 5);
	assert_int_equal(driver_delete(&a.driver), 0);
	memset(a.guest.ram + CSB_GH, 0x5a, 8192);
	assert_int_equal(driver_create(&a.driver), 0);
	assert_int_equal(ring->head, 5);
	assert_int_equal(ring->hwcur, 5);
	assert_int_equal(ring->hwtail, 4);
	assert_int_equal(driver_tx(&a.driver, 0)->head, 0);
	assert_int_equal(endpoint_detach(&a), 0);
	/* The next owner starts afresh. */
	attach(&a, &ptnetd, "vale0:a", MANNER_LINUX);
	assert_int_equal(driver_tx(&a.driver, 1)->head, 0);
	assert_int_equal(driver_tx(&a.driver, 1)->hwtail, SLOTS - 1);
	assert_int_equal(endpoint_detach(&a), 0);
}

static unsigned take_interrupt(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) == sizeof(count) ? (unsigned)count : 0;
}

/* Vector i belongs to ring i, TX and RX, and is raised only when asked for. */
static void vectors_belong_to_rings(void **state)
{
	(void)state;
	for (enum manner manner = 0; manner < NUM_MANNERS; manner++) {
		attach(&a, &ptnetd, "vale0:a", manner);
		attach(&b, &ptnetd, "vale0:b", manner);
		for (unsigned i = 0; i < 4 * RINGS; i++)
			take_interrupt(a.guest.interrupts[i % (2 * RINGS)]);
		for (unsigned i = 0; i < RINGS; i++) {
			struct ring *tx = driver_tx(&a.driver, i);
			struct ring *rx = driver_rx(&b.driver, 0);
			struct pollfd both[2] = {{.fd = tx->interrupt, .events = POLLIN},
						 {.fd = rx->interrupt, .events = POLLIN}};

			put_frame(tx, 0);
			ring_publish(tx, 1);
			assert_eventually(ring_avail(tx) == SLOTS - 1);
			assert_eventually(ring_avail(rx) == 1);
			/*
			 * Not asked for so far (what CREATE left in it has been taken). The worker
			 * that showed us this looks whether we ask only now.
			 */
			ring_publish(rx, 1);
			assert_int_equal(daemon_wait_turn(&ptnetd), 0);
			PTNET_STORE_RELAXED(&tx->atok->appl_need_kick, 1);
			PTNET_STORE_RELAXED(&rx->atok->appl_need_kick, 1);
			PTNET_FULL_BARRIER();
			take_interrupt(tx->interrupt);
			take_interrupt(rx->interrupt);
			put_frame(tx, 0);
			ptnet_csb_publish(tx->atok, ring_ahead(tx, tx->head, 1),
					  ring_ahead(tx, tx->head, 1));
			tx->head = ring_ahead(tx, tx->head, 1);
			ring_kick(tx, 0);
			assert_int_equal(poll(&both[0], 1, 20000), 1);
			assert_int_equal(poll(&both[1], 1, 20000), 1);
			assert_int_equal(ring_avail(rx), 1);
			ring_publish(rx, 1);
			for (unsigned j = 0; j < RINGS; j++) {
				unsigned raised = take_interrupt(a.guest.interrupts[j]);

				assert_int_equal(raised > 0, i == j);
				PTNET_STORE_RELAXED(&driver_tx(&a.driver, j)->atok->appl_need_kick,
						    0);
			}
		}
		assert_int_equal(endpoint_detach(&a), 0);
		assert_int_equal(endpoint_detach(&b), 0);
	}
}

static void kicks_of_no_ring_are_counted(void **state)
{
	int64_t before = daemon_port_counter(&ptnetd, "vale0:a", "bad_kicks");

	(void)state;
	for (unsigned i = 2 * RINGS; i < PTNET_MAX_RINGS; i++)
		guest_write(&guest, PTNET_IO_KICK_BASE + 4 * i, i);
	for (unsigned i = 0; i < 2 * RINGS; i++)
		guest_write(&guest, PTNET_IO_KICK_BASE + 4 * i, 0xffffffff); /* not running */
	flush_writes();
	assert_int_equal(daemon_port_counter(&ptnetd, "vale0:a", "bad_kicks"),
			 before + PTNET_MAX_RINGS - 2 * RINGS);
	for (unsigned i = 2 * RINGS; i < PTNET_BAR_DOORBELL_SIZE / 4; i++)
		assert_int_equal(
			vu_region_write_posted(&guest.netif, PTNET_BAR_DOORBELL, 4 * i, &before, 4),
			0);
	flush_writes();
	assert_int_equal(daemon_port_counter(&ptnetd, "vale0:a", "bad_kicks"),
			 before + PTNET_MAX_RINGS + PTNET_BAR_DOORBELL_SIZE / 4 - 4 * RINGS);
}

/* Publishes a packet for a kick of any form to be about. */
static struct ring *packet_to_kick_for(void)
{
	struct ring *ring = driver_tx(&a.driver, 0);

	put_frame(ring, 0);
	ring->head = ring_ahead(ring, ring->head, 1);
	ptnet_csb_publish(ring->atok, ring->head, ring->head);
	return ring;
}

/* Kicks with and without reply, one by one and coalesced, through both BARs. */
static void kicks_come_in_every_form(void **state)
{
	const uint32_t any = 0x12345678;
	struct vu_write_one writes[4];
	struct ring *ring;
	int64_t before;

	(void)state;
	attach(&a, &ptnetd, "vale0:a", MANNER_OURS);
	before = daemon_ring_counter(&ptnetd, "vale0:a", "tx", 0, "kicks_received");
	for (unsigned i = 0; i < 4; i++)
		writes[i] = (struct vu_write_one){.offset = i % 2 == 0 ? PTNET_IO_KICK_BASE : 0,
						  .region = i % 2 == 0 ? PTNET_BAR_IO
								       : PTNET_BAR_DOORBELL,
						  .count = 4};
	ring = packet_to_kick_for();
	assert_int_equal(vu_region_write_multi(&a.guest.netif, writes, 4), 0);
	assert_eventually(ring_avail(ring) == SLOTS - 1);
	packet_to_kick_for();
	assert_int_equal(vu_region_write(&a.guest.netif, PTNET_BAR_IO, PTNET_IO_KICK_BASE, &any, 4),
			 0);
	assert_eventually(ring_avail(ring) == SLOTS - 1);
	packet_to_kick_for();
	assert_int_equal(vu_region_write(&a.guest.netif, PTNET_BAR_DOORBELL, 0, &any, 4), 0);
	assert_eventually(ring_avail(ring) == SLOTS - 1);
	/* Without need, and without a reply: harmless. */
	for (unsigned i = 0; i < 100; i++)
		ring_kick(ring, 0);
	guest_read(&a.guest, PTNET_IO_PTFEAT);
	assert_int_equal(daemon_ring_counter(&ptnetd, "vale0:a", "tx", 0, "kicks_received"),
			 before + 106);
	assert_int_equal(ring->ktoa->ring_fault, PTNET_FAULT_NONE);
	assert_int_equal(endpoint_detach(&a), 0);
}

/* ---- connections ---- */

static void one_machine_at_a_time(void **state)
{
	int64_t before = daemon_attachment_counter(&ptnetd, "vale0:a", "refused_connections");
	struct port_paths paths;
	struct vu_connection second;
	uint32_t memid;

	(void)state;
	assert_int_equal(daemon_port_paths(&ptnetd, "vale0:a", &paths), 0);
	assert_int_equal(vu_connect(&second, paths.netif), 0);
	assert_true(vu_wait_closed(&second));
	vu_disconnect(&second);
	assert_int_equal(daemon_attachment_counter(&ptnetd, "vale0:a", "refused_connections"),
			 before + 1);
	check_initial();
	/* The memdev is for everybody. */
	assert_int_equal(vu_connect(&second, paths.memdev), 0);
	assert_int_equal(vu_negotiate(&second), 0);
	assert_int_equal(vu_region_read(&second, VU_REGION_BAR0, PTNET_MDEV_IO_MEMID, &memid, 4),
			 0);
	assert_int_equal(memid, guest_memdev_read(&guest, PTNET_MDEV_IO_MEMID));
	vu_disconnect(&second);
}

/* ---- 7.2: drivers without a fence ---- */

#define LATE_HITS    20
#define LATE_TRIES   5000
#define LAST_LOOK_NS 1000000u /* the daemon's last look comes this long after it went idle */

static uint32_t need_kick(const struct ring *ring)
{
	return PTNET_LOAD_ACQUIRE(&ring->ktoa->kern_need_kick);
}

static bool taken(const struct ring *ring)
{
	return PTNET_LOAD_ACQUIRE(&ring->ktoa->hwcur) == ring->head;
}

static void advance(struct ring *ring)
{
	ring->head = ring_ahead(ring, ring->head, 1);
	ptnet_csb_publish(ring->atok, ring->head, ring->head);
}

/*
 * One try: the daemon works on the ring and goes idle; there it is held, and the driver publishes
 * without a kick, as one does whose store is still in the store buffer when it loads
 * kern_need_kick = 0. It can't be seen from here whether the late looks are over already, so the
 * clock must tell that they are not; else nothing is published. Returns whether it was.
 */
static bool publish_late(struct ring *ring)
{
	uint64_t begin = monotonic_ns();
	bool hit;

	advance(ring);
	ring_kick(ring, 0);
	while (!(taken(ring) && need_kick(ring) != 0))
		if (monotonic_ns() > begin + 20000000000u)
			fail_msg("does not go idle: %s", ring_describe(ring));
	assert_int_equal(daemon_freeze(&ptnetd), 0);
	hit = monotonic_ns() - begin < LAST_LOOK_NS && taken(ring) && need_kick(ring) != 0;
	if (hit)
		advance(ring);
	daemon_thaw(&ptnetd);
	return hit;
}

/* On a busy machine many tries may miss: holding the daemon takes too long. */
static void publish_late_often(struct ring *ring, void (*refill)(void), const char *what)
{
	unsigned hits = 0, tries = 0;

	for (; hits < LATE_HITS && tries < LATE_TRIES; tries++) {
		uint64_t deadline = monotonic_ns() + 20000000000u;

		refill();
		hits += publish_late(ring);
		while (!taken(ring))
			if (monotonic_ns() > deadline)
				fail_msg("%s, try %u: published without a kick when the daemon "
					 "had just asked for one, and never seen: %s",
					 what, tries, ring_describe(ring));
	}
	print_message("%s: %u of %u tries in time\n", what, hits, tries);
	assert_true(hits > 0);
}

static void refill_vale(void)
{
	struct ring *ring = driver_tx(&a.driver, 0);

	put_frame(ring, 0);
	put_frame(ring, 1);
}

static void late_store_on_a_switch(void **state)
{
	(void)state;
	for (enum manner manner = MANNER_LINUX; manner <= MANNER_FREEBSD; manner++) {
		attach(&a, &ptnetd, "vale0:a", manner);
		a.guest.post_io = true;
		publish_late_often(driver_tx(&a.driver, 0), refill_vale, manner_names[manner]);
		assert_int_equal(endpoint_detach(&a), 0);
	}
}

static int64_t rechecks(void)
{
	json_t *workers = daemon_request(&ptnetd, "workers", NULL), *worker;
	int64_t sum = 0;
	size_t i;

	json_array_foreach(workers, i, worker)
	{
		json_t *value = json_object_get(worker, "rechecks");

		assert_true(json_is_integer(value));
		sum += json_integer_value(value);
	}
	json_decref(workers);
	return sum;
}

/* The late look is for drivers that need it, and it comes to an end. */
static void only_classic_drivers_are_looked_at_again(void **state)
{
	(void)state;
	for (enum manner manner = 0; manner < NUM_MANNERS; manner++) {
		struct ring *ring;
		int64_t before;

		attach(&a, &ptnetd, "vale0:a", manner);
		assert_int_equal(daemon_wait_quiet(&ptnetd), 0);
		before = rechecks();
		ring = driver_tx(&a.driver, 0);
		put_frame(ring, 0);
		advance(ring);
		ring_kick(ring, 0);
		assert_eventually(taken(ring));
		assert_int_equal(daemon_wait_quiet(&ptnetd), 0);
		if (manner == MANNER_OURS)
			assert_int_equal(rechecks(), before);
		else
			assert_true(rechecks() > before);
		assert_int_equal(endpoint_detach(&a), 0);
	}
}

/* The sender keeps its ring full, so that the reader's kick is wanted. */
static void refill_pipe(void)
{
	struct ring *tx = driver_tx(&a.driver, 0), *rx = driver_rx(&b.driver, 0);
	uint32_t room;

	while ((room = ring_avail(tx)) > 0) {
		for (uint32_t i = 0; i < room; i++)
			put_frame(tx, i);
		tx->head = ring_ahead(tx, tx->head, room);
		ptnet_csb_publish(tx->atok, tx->head, tx->head);
		ring_kick(tx, 0);
		assert_eventually(taken(tx));
	}
	assert_eventually(ring_avail(rx) >= 2);
}

static void late_release_on_a_pipe(void **state)
{
	(void)state;
	for (enum manner sender = 0; sender < NUM_MANNERS; sender++) {
		for (enum manner reader = MANNER_LINUX; reader <= MANNER_FREEBSD; reader++) {
			char what[64];

			snprintf(what, sizeof(what), "release by %s, sender %s",
				 manner_names[reader], manner_names[sender]);
			attach(&a, &ptnetd, "link{1", sender);
			attach(&b, &ptnetd, "link}1", reader);
			b.guest.post_io = true;
			publish_late_often(driver_rx(&b.driver, 0), refill_pipe, what);
			assert_int_equal(endpoint_detach(&a), 0);
			assert_int_equal(endpoint_detach(&b), 0);
		}
	}
}

/* ---- a guest that does not know that its memory was away ---- */

#define AWAY_ROUNDS 20

/* Publishes a frame on @tx while the daemon cannot see it; it kicks in vain. */
static void publish_away(struct ring *tx, uint8_t mark)
{
	put_frame(tx, 0);
	ring_buf(tx, ring_slot(tx, 0)->buf_idx)[59] = (char)mark;
	advance(tx);
	ring_kick(tx, 0);
}

static void take_frame(struct ring *rx, uint8_t mark)
{
	/* There may be interrupts of before. */
	while (ring_avail(rx) == 0)
		if (rings_wait(&rx, 1, -1) < 0)
			fail_msg("frame %u did not arrive: %s", mark, ring_describe(rx));
	assert_int_equal((uint8_t)ring_buf(rx, ring_slot(rx, 0)->buf_idx)[59], mark);
	ring_publish(rx, 1);
}

static void map_again(struct guest *machine, bool bus_master)
{
	if (bus_master)
		guest_enable(machine, &machine->netif, true);
	else
		assert_int_equal(guest_dma_map(machine, &machine->netif), 0);
	assert_guest(machine);
}

static void unmap(struct guest *machine, bool bus_master)
{
	if (bus_master)
		guest_enable(machine, &machine->netif, false);
	else
		assert_int_equal(guest_dma_unmap(machine, &machine->netif), 0);
	assert_guest(machine);
}

/*
 * Packets in both directions, published while the memory of one guest is away: by that guest and
 * to that guest. All arrive, in order, once it is back; nobody kicks again.
 */
static void packets_wait_for_memory(const char *from, const char *to, bool bus_master)
{
	/* A switch drops what comes for a port that is not there; a pipe keeps it. */
	bool pipe = strchr(from, '{') != NULL;

	for (enum manner manner = MANNER_LINUX; manner <= MANNER_FREEBSD; manner++) {
		attach(&a, &ptnetd, from, manner);
		attach(&b, &ptnetd, to, MANNER_OURS);
		for (uint8_t i = 0; i < AWAY_ROUNDS; i++) {
			struct ring *tx = driver_tx(&a.driver, 0), *rx = driver_rx(&a.driver, 0);

			publish_away(tx, 100);
			take_frame(driver_rx(&b.driver, 0), 100);
			unmap(&a.guest, bus_master);
			publish_away(tx, i);
			if (pipe)
				publish_away(driver_tx(&b.driver, 0), i);
			assert_int_equal(daemon_wait_turn(&ptnetd), 0);
			assert_int_equal(ring_avail(driver_rx(&b.driver, 0)), 0);
			publish_away(tx, (uint8_t)(i + 1));
			map_again(&a.guest, bus_master);
			take_frame(driver_rx(&b.driver, 0), i);
			take_frame(driver_rx(&b.driver, 0), (uint8_t)(i + 1));
			if (pipe)
				take_frame(rx, i);
			publish_away(driver_tx(&b.driver, 0), 200);
			take_frame(rx, 200);
		}
		assert_int_equal(daemon_port_counter(&ptnetd, from, "faults"), 0);
		assert_int_equal(endpoint_detach(&a), 0);
		assert_int_equal(endpoint_detach(&b), 0);
	}
}

static void packets_wait_for_unmapped_memory(void **state)
{
	(void)state;
	packets_wait_for_memory("vale0:a", "vale0:b", false);
	packets_wait_for_memory("link{1", "link}1", false);
}

static void packets_wait_for_bus_mastering(void **state)
{
	(void)state;
	packets_wait_for_memory("vale0:a", "vale0:b", true);
	packets_wait_for_memory("link{1", "link}1", true);
}

/* ---- slots without a buffer of their own ---- */

/* The first @rings of a's port: each slot has a buffer, and no other slot the same. */
static void assert_buffers_sound(unsigned rings)
{
	static uint8_t seen[1 << 20];

	memset(seen, 0, sizeof(seen));
	for (unsigned i = 0; i < rings; i++) {
		const struct ring *ring = &a.driver.rings[i];

		for (uint32_t j = 0; j < ring->num_slots; j++) {
			uint32_t idx = ring->slots[j].buf_idx;

			if (idx < 2 || idx >= a.driver.buf_total || seen[idx])
				fail_msg("ring %u, slot %u: buffer %u is %s", i, j, idx,
					 idx < 2 || idx >= a.driver.buf_total ? "none"
									      : "in two slots");
			seen[idx] = 1;
		}
	}
}

/* Indices that are none, and the same one twice, on each ring. */
static void spoil_buffers(void)
{
	static const uint32_t none[] = {0, 1, UINT32_MAX};

	for (unsigned i = 0; i < a.driver.tx_rings + a.driver.rx_rings; i++) {
		struct netmap_slot *slots = a.driver.rings[i].slots;

		for (unsigned j = 0; j < 3; j++)
			slots[7 * i + j].buf_idx = none[j];
		slots[7 * i + 3].buf_idx = a.driver.buf_total;
		slots[7 * i + 4].buf_idx = slots[7 * i + 5].buf_idx;
	}
}

static void create_mends_slots(void **state)
{
	(void)state;
	for (enum manner manner = 0; manner < NUM_MANNERS; manner++) {
		attach(&a, &ptnetd, "vale0:a", manner);
		attach(&b, &ptnetd, "vale0:b", MANNER_OURS);
		assert_buffers_sound(2 * RINGS);
		spoil_buffers();
		assert_int_equal(driver_delete(&a.driver), 0);
		assert_int_equal(driver_create(&a.driver), 0);
		assert_buffers_sound(2 * RINGS);
		/* And they are of use. */
		for (uint8_t i = 0; i < SLOTS; i++) {
			publish_away(driver_tx(&a.driver, 0), i);
			take_frame(driver_rx(&b.driver, 0), i);
			publish_away(driver_tx(&b.driver, 0), i);
			take_frame(driver_rx(&a.driver, 0), i);
		}
		assert_int_equal(daemon_port_counter(&ptnetd, "vale0:a", "drop_bad_slot"), 0);
		assert_int_equal(endpoint_detach(&a), 0);
		assert_int_equal(endpoint_detach(&b), 0);
	}
}

/* The slots of a TX ring are its owner's; what is in the RX ring came from the other end. */
static void create_mends_slots_of_a_pipe(void **state)
{
	(void)state;
	for (enum manner manner = 0; manner < NUM_MANNERS; manner++) {
		attach(&a, &ptnetd, "link{1", manner);
		attach(&b, &ptnetd, "link}1", MANNER_OURS);
		for (uint32_t j = 0; j < 5; j++)
			driver_tx(&a.driver, 0)->slots[j].buf_idx = j < 3 ? j : 7;
		assert_int_equal(driver_delete(&a.driver), 0);
		assert_int_equal(driver_create(&a.driver), 0);
		assert_buffers_sound(1);
		for (uint8_t i = 0; i < SLOTS; i++) {
			publish_away(driver_tx(&a.driver, 0), i);
			take_frame(driver_rx(&b.driver, 0), i);
		}
		assert_int_equal(endpoint_detach(&a), 0);
		assert_int_equal(endpoint_detach(&b), 0);
	}
}

#define with_guest(test)    cmocka_unit_test_setup_teardown(test, power_on_a, power_off)
#define without_guest(test) cmocka_unit_test_teardown(test, power_off)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_guest(ptnet_configuration_space),
		with_guest(memdev_configuration_space),
		with_guest(bars),
		with_guest(msix_capability),
		with_guest(ptnet_initial_registers),
		with_guest(ptnet_read_only_registers_ignore_writes),
		with_guest(memdev_registers),
		with_guest(features_are_wanted_and_supported),
		with_guest(header_length_is_what_the_port_has),
		with_guest(region_contents),
		with_guest(command_results),
		with_guest(create_fills_the_csb),
		with_guest(csb_in_the_region),
		without_guest(shared_memory_is_asked_for),
		with_guest(address_zero_stops_use),
		with_guest(address_change_stops_use_of_the_old),
		with_guest(delete_stops_use),
		with_guest(bus_master_off_stops_use),
		with_guest(unmapped_memory_is_not_used),
		with_guest(reset_forgets_everything),
		without_guest(positions_survive_delete),
		without_guest(vectors_belong_to_rings),
		with_guest(kicks_of_no_ring_are_counted),
		without_guest(kicks_come_in_every_form),
		with_guest(one_machine_at_a_time),
		without_guest(packets_wait_for_unmapped_memory),
		without_guest(packets_wait_for_bus_mastering),
		without_guest(create_mends_slots),
		without_guest(create_mends_slots_of_a_pipe),
		without_guest(only_classic_drivers_are_looked_at_again),
		without_guest(late_store_on_a_switch),
		without_guest(late_release_on_a_pipe),
	};

	return run_device_tests("sequences", tests, sizeof(tests) / sizeof(tests[0]), start, stop);
}
