/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The two PCI functions as a guest driver sees them (spec/ptnet-device.md),
 * through the protocol, on a port of a real switch: registers, configuration
 * space, and everything that can happen to the CSB.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "attach/memdev.h"
#include "attach/netif_device.h"
#include "engine/endpoint.h"
#include "guest_fixture.h"
#include "port/vale.h"
#include "ring/interrupt.h"
#include "test_attach_fixture.h"
#include "thread_sanitizer.h"

#define RINGS	   2 /* pairs */
#define SLOTS	   128
#define ARRAY_SIZE (2 * RINGS * 64)
#define RAM_SIZE   (1 << 20)
#define RAM_BASE   UINT64_C(0x100000000) /* where guests have it above 4 GiB */
#define READ_WRITE (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)
#define GH	   (RAM_BASE + 0x4000)
#define HG	   (RAM_BASE + 0x5000)

static struct client client;
static struct netif_device device;
static struct memdev memdev;
static struct vfio_user_counters counters;
static struct vale *vale;
static struct region *region;
static struct port *port;
static int ram_fd;
static char *ram;
static unsigned open_fds;

static int setup_port(bool with_extension)
{
	struct vale_config vale_config = {.name = "vale0"};
	struct port_config port_config = {.name = "vm",
					  .tx_rings = RINGS,
					  .rx_rings = RINGS,
					  .tx_slots = SLOTS,
					  .rx_slots = SLOTS,
					  .mac = {2, 3, 4, 5, 6, 7}};
	struct error error = {0};

	open_fds = count_open_fds();
	memset(&counters, 0, sizeof(counters));
	if (vale_create(&vale, &vale_config, &error) < 0)
		fail_msg("%s", error.text);
	region = test_region(1, RINGS, SLOTS, 2048);
	if (!with_extension)
		assert_true(region_csb_alloc(region) >= 0); /* the only one */
	if (vale_port_create(&port, vale, &port_config, region, &error) < 0)
		fail_msg("%s", error.text);
	assert_int_equal(port->csb_index >= 0, with_extension);
	ram_fd = memfd_create("guest RAM", MFD_CLOEXEC);
	assert_int_equal(ftruncate(ram_fd, RAM_SIZE), 0);
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
	assert_ptr_not_equal(ram, MAP_FAILED);
	return 0;
}

static void teardown_port(void)
{
	munmap(ram, RAM_SIZE);
	close(ram_fd);
	port_destroy(port);
	region_put(region);
	assert_int_equal(vale_destroy(vale, NULL), 0);
	assert_int_equal(count_open_fds(), open_fds);
}

static void attach(void)
{
	assert_int_equal(netif_device_init(&device, port, &counters, test_closer()), 0);
	client_connect(&client, &device.function);
	client_negotiate(&client);
}

static void detach(void)
{
	netif_device_fini(&device);
	client_disconnect(&client);
}

static int setup(void **state)
{
	(void)state;
	setup_port(true);
	attach();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	detach();
	assert_false(endpoint_running(port));
	for (unsigned i = 0; i < port_num_rings(port); i++)
		assert_int_equal(port->rings[i].interrupt_fd, -1);
	teardown_port();
	return 0;
}

static uint32_t command(uint32_t what)
{
	client_out(&client, PTNET_IO_PTCTL, what);
	return client_in(&client, PTNET_IO_PTCTL);
}

static void set_bus_master(bool on)
{
	client_set_config16(&client, PCI_COMMAND, on ? PCI_COMMAND_IO | PCI_COMMAND_MASTER : 0);
}

static void set_csb(uint64_t gh, uint64_t hg)
{
	client_out(&client, PTNET_IO_CSB_GH_BAH, (uint32_t)(gh >> 32));
	client_out(&client, PTNET_IO_CSB_GH_BAL, (uint32_t)gh);
	client_out(&client, PTNET_IO_CSB_HG_BAH, (uint32_t)(hg >> 32));
	client_out(&client, PTNET_IO_CSB_HG_BAL, (uint32_t)hg);
}

static void share_ram(void)
{
	assert_int_equal(client_dma_map(&client, RAM_BASE, RAM_SIZE, 0, READ_WRITE, ram_fd), 0);
}

/* As netmap's own drivers do it. */
static void create_with_csb_in_ram(void)
{
	share_ram();
	set_bus_master(true);
	set_csb(GH, HG);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
	assert_true(endpoint_running(port));
}

static struct nm_csb_atok *atok(unsigned ring)
{
	return (struct nm_csb_atok *)(void *)(ram + (GH - RAM_BASE)) + ring;
}

static struct nm_csb_ktoa *ktoa(unsigned ring)
{
	return (struct nm_csb_ktoa *)(void *)(ram + (HG - RAM_BASE)) + ring;
}

static uint64_t csb_errors(void)
{
	return atomic_load(&counters.error[VFIO_USER_ERROR_CSB]);
}

/* ---- configuration space ---- */

static void config_space_is_what_drivers_look_for(void **state)
{
	(void)state;
	assert_int_equal(client_config16(&client, PCI_VENDOR_ID), 0x1b36);
	assert_int_equal(client_config16(&client, PCI_DEVICE_ID), 0x000d);
	assert_int_equal(client_config16(&client, PCI_CLASS_DEVICE), 0x0200);
	assert_int_equal(client_config16(&client, PCI_CLASS_REVISION), 0);
	assert_int_equal(client_config16(&client, PCI_SUBSYSTEM_VENDOR_ID), 0x1af4);
	assert_int_equal(client_config16(&client, PCI_SUBSYSTEM_ID), 0x1100);
	assert_int_equal(client_config16(&client, PCI_INTERRUPT_LINE), 0x0100); /* pin 1 */
	assert_int_equal(client_config16(&client, PCI_CACHE_LINE_SIZE), 0x10);
	assert_int_equal(client_config16(&client, PCI_STATUS), PCI_STATUS_CAP_LIST);
	assert_int_equal(client_config16(&client, PCI_BASE_ADDRESS_0), 1); /* I/O ports */
	assert_int_equal(client_config16(&client, PCI_BASE_ADDRESS_1), 0);
	assert_int_equal(client_config16(&client, PCI_BASE_ADDRESS_2), 0); /* 32-bit memory */

	uint16_t capability = client_config16(&client, PCI_CAPABILITY_LIST) & 0xff;
	assert_int_equal(client_config16(&client, capability), PCI_CAP_ID_MSIX); /* and no next */
	assert_int_equal(client_config16(&client, capability + PCI_MSIX_FLAGS), 2 * RINGS - 1);
	assert_int_equal(client_config16(&client, capability + PCI_MSIX_TABLE), 2);
	assert_int_equal(client_config16(&client, capability + PCI_MSIX_PBA), 0x802);
}

static void only_writable_bits_of_config_space_change(void **state)
{
	uint8_t before[256], after[256], ones[256];

	(void)state;
	memset(ones, 0xff, sizeof(ones));
	assert_int_equal(client_read(&client, 7, 0, 256, before), 0);
	assert_int_equal(client_write(&client, 7, 0, 256, ones), 0);
	assert_int_equal(client_read(&client, 7, 0, 256, after), 0);
	assert_memory_equal(before, after, 4);	       /* ids */
	assert_memory_equal(before + 8, after + 8, 4); /* class */
	assert_int_equal(after[4] | after[5] << 8, 0x547);
	assert_int_equal(after[0x10], 0x01); /* 256 bytes of I/O ports */
	assert_int_equal(after[0x11], 0xff);
	assert_int_equal(after[0x18] | after[0x19] << 8, 0xf000); /* 4096 bytes of memory */
	assert_int_equal(after[0x1c] | after[0x1d] << 8, 0xf000); /* the doorbell's */
	for (unsigned bar = 0x20; bar < 0x28; bar++)
		assert_int_equal(after[bar], 0);
	for (unsigned rom = 0x30; rom < 0x34; rom++)
		assert_int_equal(after[rom], 0);
	assert_int_equal(after[0x3d], 1);
	assert_int_equal(after[0x42] | after[0x43] << 8, 0xc000 | (2 * RINGS - 1));
	/* Byte by byte it is the same. */
	for (unsigned i = 0; i < 256; i++)
		assert_int_equal(client_write(&client, 7, i, 1, &before[i]), 0);
	assert_int_equal(client_read(&client, 7, 0, 256, after), 0);
	assert_memory_equal(before, after, 256);
}

/* ---- registers ---- */

static void registers_describe_the_port(void **state)
{
	(void)state;
	assert_int_equal(client_in(&client, PTNET_IO_PTFEAT), 0);
	assert_int_equal(client_in(&client, PTNET_IO_PTCTL), 0);
	assert_int_equal(client_in(&client, PTNET_IO_MAC_LO), 0x04050607);
	assert_int_equal(client_in(&client, PTNET_IO_MAC_HI), 0x0203);
	assert_int_equal(client_in(&client, PTNET_IO_NIFP_OFS), port->nifp_offset);
	assert_int_equal(client_in(&client, PTNET_IO_NUM_TX_RINGS), RINGS);
	assert_int_equal(client_in(&client, PTNET_IO_NUM_RX_RINGS), RINGS);
	assert_int_equal(client_in(&client, PTNET_IO_NUM_TX_SLOTS), SLOTS);
	assert_int_equal(client_in(&client, PTNET_IO_NUM_RX_SLOTS), SLOTS);
	assert_int_equal(client_in(&client, PTNET_IO_HOSTMEMID), region_id(region));
	assert_int_equal(client_in(&client, PTNET_IO_EXT_CSB_GH_OFS_LO), port->csb_gh_offset);
	assert_int_equal(client_in(&client, PTNET_IO_EXT_CSB_GH_OFS_HI), 0);
	assert_int_equal(client_in(&client, PTNET_IO_EXT_CSB_HG_OFS_LO), port->csb_hg_offset);
	assert_int_equal(client_in(&client, PTNET_IO_EXT_MAX_FRAME), port->max_frame);
	assert_int_equal(client_in(&client, PTNET_IO_EXT_LINK), 1);
	assert_int_equal(client_in(&client, PTNET_IO_EXT_FLAGS), PTNET_EXT_FLAG_DOORBELL);
	for (uint32_t offset = PTNET_IO_EXT_END; offset < 256; offset += 4)
		assert_int_equal(client_in(&client, offset), 0);
}

static void what_is_read_only_ignores_writes(void **state)
{
	uint32_t before[64];

	(void)state;
	for (uint32_t i = 0; i < 64; i++)
		before[i] = client_in(&client, 4 * i);
	for (uint32_t offset = PTNET_IO_MAC_LO; offset < 256; offset += 4) {
		if (offset < PTNET_IO_CSB_GH_BAH || offset > PTNET_IO_CSB_HG_BAL)
			client_out(&client, offset, 0xffffffff);
	}
	for (uint32_t i = 0; i < 64; i++)
		assert_int_equal(client_in(&client, 4 * i), before[i]);
}

static void other_access_sizes_read_zero_and_change_nothing(void **state)
{
	uint8_t data[256];

	(void)state;
	for (uint32_t count = 1; count <= 256; count++) {
		if (count == 4)
			continue;
		memset(data, 0xff, sizeof(data));
		assert_int_equal(client_write(&client, 0, 0, count, data), 0);
		assert_int_equal(client_read(&client, 0, 0, count, data), 0);
		for (uint32_t i = 0; i < count; i++)
			assert_int_equal(data[i], 0);
	}
	assert_int_equal(client_write(&client, 0, PTNET_IO_PTFEAT + 1, 4, "\xff\xff\xff\xff"), 0);
	assert_int_equal(client_read(&client, 0, PTNET_IO_NUM_TX_RINGS - 2, 4, data), 0);
	assert_int_equal(data[2], 0);
	assert_int_equal(client_in(&client, PTNET_IO_PTFEAT), 0);
}

static void features_are_acknowledged_if_offered(void **state)
{
	(void)state;
	client_out(&client, PTNET_IO_PTFEAT, 0xffffffff);
	assert_int_equal(client_in(&client, PTNET_IO_PTFEAT), PTNET_F_REGION_CSB);
	client_out(&client, PTNET_IO_PTFEAT, PTNET_F_VNET_HDR);
	assert_int_equal(client_in(&client, PTNET_IO_PTFEAT), 0);
	/* Drivers write it whatever was acknowledged (section 4.1). */
	client_out(&client, PTNET_IO_VNET_HDR_LEN, 12);
	assert_int_equal(client_in(&client, PTNET_IO_VNET_HDR_LEN), 0);
}

static void without_a_csb_page_there_is_no_extension(void **state)
{
	(void)state;
	setup_port(false);
	attach();
	client_out(&client, PTNET_IO_PTFEAT, PTNET_F_REGION_CSB);
	assert_int_equal(client_in(&client, PTNET_IO_PTFEAT), 0);
	for (uint32_t offset = PTNET_IO_EXT_CSB_GH_OFS_LO; offset < PTNET_IO_EXT_END; offset += 4)
		assert_int_equal(client_in(&client, offset), 0);
	uint32_t kick = 0;
	assert_int_equal(client_write(&client, PTNET_BAR_DOORBELL, 0, 4, &kick), -EINVAL);
	detach();
	teardown_port();
}

static void kicks_count_also_for_rings_that_do_not_exist(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PTNET_MAX_RINGS; i++)
		client_out(&client, PTNET_IO_KICK_BASE + 4 * i, i);
	for (unsigned i = 0; i < 2 * RINGS; i++)
		assert_int_equal(ring_counter_get(&port->rings[i].counters, RING_KICKS_RECEIVED),
				 1);
	assert_int_equal(atomic_load(&port->bad_kicks), PTNET_MAX_RINGS - 2 * RINGS);
}

static void the_doorbell_kicks_with_words_only(void **state)
{
	uint64_t any = 0;

	(void)state;
	assert_int_equal(client_write(&client, PTNET_BAR_DOORBELL, 4, 4, &any), 0);
	assert_int_equal(client_write(&client, PTNET_BAR_DOORBELL, 4, 1, &any), 0);
	assert_int_equal(client_write(&client, PTNET_BAR_DOORBELL, 2, 4, &any), 0);
	assert_int_equal(client_write(&client, PTNET_BAR_DOORBELL, 0, 8, &any), 0);
	assert_int_equal(ring_counter_get(&port->rings[0].counters, RING_KICKS_RECEIVED), 0);
	assert_int_equal(ring_counter_get(&port->rings[1].counters, RING_KICKS_RECEIVED), 1);
	assert_int_equal(client_write(&client, PTNET_BAR_DOORBELL, 4092, 4, &any), 0);
	assert_int_equal(atomic_load(&port->bad_kicks), 1);
	assert_int_equal(client_read(&client, PTNET_BAR_DOORBELL, 4, 8, &any), 0);
	assert_int_equal(any, 0);
}

/* ---- commands, with the CSB in the region ---- */

static void commands_give_the_results_of_the_original(void **state)
{
	(void)state;
	client_out(&client, PTNET_IO_PTFEAT, PTNET_F_REGION_CSB);
	assert_int_equal(command(PTNET_PTCTL_DELETE), 0);
	assert_int_equal(command(3), EINVAL);
	assert_int_equal(command(0), EINVAL);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
	assert_true(endpoint_running(port));
	assert_int_equal(command(0xffffffff), EINVAL);
	assert_true(endpoint_running(port));
	assert_int_equal(command(PTNET_PTCTL_DELETE), 0);
	assert_false(endpoint_running(port));
	assert_int_equal(command(PTNET_PTCTL_DELETE), 0);
}

static void create_fills_the_csb_in_the_region_once(void **state)
{
	char *base = region_base(region);
	struct nm_csb_ktoa *hg = (struct nm_csb_ktoa *)(void *)(base + port->csb_hg_offset);
	struct nm_csb_atok *gh = (struct nm_csb_atok *)(void *)(base + port->csb_gh_offset);

	(void)state;
	memset(gh, 0xff, ARRAY_SIZE);
	memset(hg, 0xff, ARRAY_SIZE);
	client_out(&client, PTNET_IO_PTFEAT, PTNET_F_REGION_CSB);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0); /* needs no bus mastering */
	for (unsigned i = 0; i < 2 * RINGS; i++) {
		assert_int_equal(gh[i].head, 0);
		assert_int_equal(gh[i].cur, 0);
		assert_int_equal(hg[i].hwcur, 0);
		assert_int_equal(hg[i].hwtail, i < RINGS ? SLOTS - 1 : 0);
	}
	hg[0].hwtail = 7;
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
	assert_int_equal(hg[0].hwtail, 7);
}

static void another_feature_set_stops_the_rings(void **state)
{
	(void)state;
	client_out(&client, PTNET_IO_PTFEAT, PTNET_F_REGION_CSB);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
	client_out(&client, PTNET_IO_PTFEAT, PTNET_F_REGION_CSB);
	assert_true(endpoint_running(port));
	client_out(&client, PTNET_IO_PTFEAT, 0);
	assert_false(endpoint_running(port));
	assert_int_equal(command(PTNET_PTCTL_CREATE), ENXIO);
}

static void guest_ram_does_not_matter_to_the_extension(void **state)
{
	(void)state;
	share_ram();
	client_out(&client, PTNET_IO_PTFEAT, PTNET_F_REGION_CSB);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
	set_bus_master(true);
	set_bus_master(false);
	assert_int_equal(client_dma_unmap(&client, RAM_BASE, RAM_SIZE, 0), 0);
	assert_int_equal(client_dma_unmap(&client, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL), 0);
	assert_true(endpoint_running(port));
}

/* ---- the CSB in guest RAM ---- */

static void create_fills_the_csb_in_guest_ram(void **state)
{
	(void)state;
	memset(ram, 0xff, RAM_SIZE);
	create_with_csb_in_ram();
	for (unsigned i = 0; i < 2 * RINGS; i++) {
		assert_int_equal(atok(i)->head, 0);
		assert_int_equal(atok(i)->cur, 0);
		assert_int_equal(ktoa(i)->hwcur, 0);
		assert_int_equal(ktoa(i)->hwtail, i < RINGS ? SLOTS - 1 : 0);
	}
	/* Not a byte beside it. */
	assert_int_equal((unsigned char)ram[GH - RAM_BASE - 1], 0xff);
	assert_int_equal((unsigned char)ram[GH - RAM_BASE + ARRAY_SIZE], 0xff);
	assert_int_equal((unsigned char)ram[HG - RAM_BASE - 1], 0xff);
	assert_int_equal((unsigned char)ram[HG - RAM_BASE + ARRAY_SIZE], 0xff);
	assert_int_equal(csb_errors(), 0);
}

static void addresses_read_back_and_the_high_half_waits_for_the_low(void **state)
{
	(void)state;
	create_with_csb_in_ram();
	assert_int_equal(client_in(&client, PTNET_IO_CSB_GH_BAH), 1);
	assert_int_equal(client_in(&client, PTNET_IO_CSB_HG_BAL), 0x5000);
	client_out(&client, PTNET_IO_CSB_GH_BAH, 0xdeadbeef);
	assert_true(endpoint_running(port));
	assert_int_equal(client_in(&client, PTNET_IO_CSB_GH_BAH), 0xdeadbeef);
	/* The mapping in force is the old one, and goes when its memory goes. */
	assert_int_equal(client_dma_unmap(&client, RAM_BASE, RAM_SIZE, 0), 0);
	assert_false(endpoint_running(port));
}

static void writing_an_address_stops_the_rings(void **state)
{
	(void)state;
	create_with_csb_in_ram();
	client_out(&client, PTNET_IO_CSB_HG_BAL, 0x7000);
	assert_false(endpoint_running(port));
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
	client_out(&client, PTNET_IO_CSB_GH_BAL, 0);
	assert_false(endpoint_running(port));
}

/* Section 6.4: after address 0 the pages are freed and may be anything. */
static void nothing_is_touched_after_the_addresses_are_zero(void **state)
{
	static char before[RAM_SIZE];

	(void)state;
	create_with_csb_in_ram();
	assert_int_equal(command(PTNET_PTCTL_DELETE), 0);
	set_csb(0, 0);
	memset(ram, 0x5a, RAM_SIZE);
	memcpy(before, ram, RAM_SIZE);
	assert_int_equal(command(PTNET_PTCTL_DELETE), 0);
	assert_int_equal(command(PTNET_PTCTL_CREATE), ENXIO);
	for (unsigned i = 0; i < 2 * RINGS; i++)
		client_out(&client, PTNET_IO_KICK_BASE + 4 * i, 0);
	assert_memory_equal(before, ram, RAM_SIZE);
}

static void create_fails_with_enxio(uint64_t gh, uint64_t hg)
{
	set_csb(gh, hg);
	assert_int_equal(command(PTNET_PTCTL_CREATE), ENXIO);
	assert_false(endpoint_running(port));
}

static void addresses_that_are_not_all_in_ram_are_refused(void **state)
{
	const uint64_t end = RAM_BASE + RAM_SIZE;

	(void)state;
	share_ram();
	set_bus_master(true);
	assert_int_equal(command(PTNET_PTCTL_CREATE), ENXIO);
	create_fails_with_enxio(GH, 0);
	create_fails_with_enxio(0, HG);
	create_fails_with_enxio(GH + 8, HG);
	create_fails_with_enxio(GH, HG + 63);
	create_fails_with_enxio(end, HG);
	create_fails_with_enxio(GH, end - ARRAY_SIZE + 64);
	create_fails_with_enxio(RAM_BASE - 64, HG);
	create_fails_with_enxio(UINT64_MAX - 63, HG);
	create_fails_with_enxio(GH, UINT64_MAX - 63);
	assert_true(csb_errors() >= 7);
	set_csb(end - ARRAY_SIZE, RAM_BASE);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
}

static void an_array_may_cross_a_page_but_not_a_range(void **state)
{
	(void)state;
	set_bus_master(true);
	assert_int_equal(client_dma_map(&client, 0, 0x10000, 0, READ_WRITE, ram_fd), 0);
	assert_int_equal(client_dma_map(&client, 0x10000, 0x10000, 0x20000, READ_WRITE, ram_fd), 0);
	set_csb(0x1000 - 64, 0x10000 - ARRAY_SIZE);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
	assert_int_equal(((struct nm_csb_ktoa *)(void *)(ram + 0x10000 - ARRAY_SIZE))->hwtail,
			 SLOTS - 1);
	create_fails_with_enxio(0x2000, 0x10000 - 64);
	set_csb(0x10000, 0x2000);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
	atok(0); /* offsets in the file are honoured: */
	assert_int_equal(((struct nm_csb_atok *)(void *)(ram + 0x20000))->appl_need_kick, 1);
}

static void memory_of_other_kinds_is_refused(void **state)
{
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	int pipe_fds[2];

	(void)state;
	assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
	set_bus_master(true);
	assert_int_equal(client_dma_map(&client, 0, 0x10000, 0, READ_WRITE, -1), 0);
	assert_int_equal(
		client_dma_map(&client, 0x10000, 0x10000, 0, VFIO_DMA_MAP_FLAG_READ, ram_fd), 0);
	assert_int_equal(
		client_dma_map(&client, 0x20000, 0x10000, 0, VFIO_DMA_MAP_FLAG_WRITE, ram_fd), 0);
	assert_int_equal(client_dma_map(&client, 0x30000, 0x10000, 0, READ_WRITE, null_fd), 0);
	assert_int_equal(client_dma_map(&client, 0x40000, 0x10000, 0, READ_WRITE, pipe_fds[1]), 0);
	assert_int_equal(
		client_dma_map(&client, 0x50000, 0x10000, RAM_SIZE - 0x1000, READ_WRITE, ram_fd),
		0);
	assert_int_equal(client_dma_map(&client, 0x60000, 0x10000, 32, READ_WRITE, ram_fd), 0);
	for (uint64_t base = 0; base < 0x70000; base += 0x10000)
		create_fails_with_enxio(base + 0x2000, base + 0x1000);
	/* The file's last page is there, behind its end there is nothing. */
	set_csb(0x50000, 0x50000 + 0x1000 - ARRAY_SIZE);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
	close(null_fd);
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void a_read_only_descriptor_is_refused(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ram_fd);
	int read_only = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read_only >= 0);
	set_bus_master(true);
	assert_int_equal(client_dma_map(&client, RAM_BASE, RAM_SIZE, 0, READ_WRITE, read_only), 0);
	create_fails_with_enxio(GH, HG);
	close(read_only);
}

static void without_bus_mastering_nothing_is_touched(void **state)
{
	(void)state;
	share_ram();
	create_fails_with_enxio(GH, HG);
	set_bus_master(true);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
	set_bus_master(false);
	assert_false(endpoint_running(port));
	/* A driver's own PCI core does this around a suspend; it will not say CREATE again. */
	set_bus_master(true);
	assert_true(endpoint_running(port));
	set_bus_master(false);
	assert_int_equal(command(PTNET_PTCTL_DELETE), 0);
	set_bus_master(true);
	assert_false(endpoint_running(port));
}

static void unmapped_memory_stops_the_rings_and_they_resume_when_it_is_back(void **state)
{
	(void)state;
	create_with_csb_in_ram();
	assert_int_equal(client_dma_map(&client, 0, 0x1000, 0, READ_WRITE, -1), 0);
	assert_int_equal(client_dma_unmap(&client, 0, 0x1000, 0), 0);
	assert_true(endpoint_running(port)); /* was another range */
	assert_int_equal(client_dma_unmap(&client, RAM_BASE, RAM_SIZE, 0), 0);
	assert_false(endpoint_running(port));
	memset(ram, 0, RAM_SIZE);
	/* A part of it does not do. */
	assert_int_equal(client_dma_map(&client, RAM_BASE, 0x5000, 0, READ_WRITE, ram_fd), 0);
	assert_false(endpoint_running(port));
	assert_int_equal(
		client_dma_map(&client, RAM_BASE + 0x5000, 0x5000, 0x5000, READ_WRITE, ram_fd), 0);
	assert_true(endpoint_running(port));
	assert_int_equal(ktoa(0)->hwtail, SLOTS - 1);
	assert_int_equal(csb_errors(), 0);
	assert_int_equal(client_dma_unmap(&client, 0, 0, VFIO_DMA_UNMAP_FLAG_ALL), 0);
	assert_false(endpoint_running(port));
	assert_int_equal(device.dma.num_ranges, 0);
}

/*
 * The driver was not told that its CSB was out of reach: what it published meanwhile counts,
 * nothing of its own is overwritten, and it is interrupted for what it could not see.
 */
static void what_is_published_while_suspended_counts(void **state)
{
	struct kring *tx = port_tx(port, 0), *rx = port_rx(port, 0);
	int interrupt = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	eventfd_t count;

	(void)state;
	create_with_csb_in_ram();
	for (unsigned ring = 0; ring < 2 * RINGS; ring++)
		assert_int_equal(endpoint_set_interrupt(port, ring, dup(interrupt)), 0);
	/* A full ring of received packets. */
	pthread_mutex_lock(&rx->lock);
	rx->hwtail = SLOTS - 1;
	kring_push(rx);
	pthread_mutex_unlock(&rx->lock);
	assert_int_equal(eventfd_read(interrupt, &count), 0);
	for (unsigned turn = 1; turn <= 2; turn++) {
		uint32_t head = turn * 50;

		if (turn == 1)
			assert_int_equal(client_dma_unmap(&client, RAM_BASE, RAM_SIZE, 0), 0);
		else
			set_bus_master(false);
		assert_int_equal(tx->state, KRING_SUSPENDED);
		ptnet_csb_publish(atok(0), head, head);
		ptnet_csb_publish(atok(RINGS), head, head);
		atok(RINGS)->appl_need_kick = 0;
		if (turn == 1)
			share_ram();
		else
			set_bus_master(true);
		assert_int_equal(tx->state, KRING_RUNNING);
		assert_int_equal(atok(0)->head, head);
		assert_int_equal(atok(RINGS)->head, head);
		assert_int_equal(atok(RINGS)->appl_need_kick, 0);
		assert_int_equal(ktoa(RINGS)->hwtail, SLOTS - 1);
		assert_int_equal(eventfd_read(interrupt, &count), 0);
		assert_int_equal(count, 2 * RINGS);
		pthread_mutex_lock(&tx->lock);
		tx->port->ops->run(tx, SLOTS);
		pthread_mutex_unlock(&tx->lock);
		assert_int_equal(ktoa(0)->hwcur, head);
		assert_int_equal(eventfd_read(interrupt, &count), 0); /* room to send */
		assert_int_equal(count, 1);
		pthread_mutex_lock(&rx->lock);
		assert_true(kring_pull(rx));
		pthread_mutex_unlock(&rx->lock);
		assert_int_equal(rx->head, head);
	}
	/* DELETE while suspended is a DELETE. */
	set_bus_master(false);
	assert_int_equal(command(PTNET_PTCTL_DELETE), 0);
	assert_int_equal(tx->state, KRING_STOPPED);
	set_bus_master(true);
	assert_int_equal(tx->state, KRING_STOPPED);
	close(interrupt);
}

/* An interrupt that there was no eventfd for goes out when there is one. */
static void an_owed_interrupt_waits_for_its_eventfd(void **state)
{
	struct kring *rx = port_rx(port, 0);
	int interrupt = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	eventfd_t count;

	(void)state;
	create_with_csb_in_ram();
	assert_int_equal(endpoint_set_interrupt(port, RINGS, -1), 0);
	pthread_mutex_lock(&rx->lock);
	rx->hwtail = 1;
	kring_push(rx);
	pthread_mutex_unlock(&rx->lock);
	assert_int_equal(endpoint_set_interrupt(port, RINGS, dup(interrupt)), 0);
	assert_int_equal(eventfd_read(interrupt, &count), 0);
	assert_int_equal(endpoint_set_interrupt(port, RINGS, dup(interrupt)), 0);
	assert_int_equal(eventfd_read(interrupt, &count), -1);
	close(interrupt);
}

static void reset_forgets_everything_but_the_memory_map(void **state)
{
	(void)state;
	create_with_csb_in_ram();
	client_out(&client, PTNET_IO_PTFEAT, PTNET_F_REGION_CSB);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
	assert_int_equal(client_request(&client, VFIO_USER_DEVICE_RESET, NULL, 0, NULL, 0, NULL, 0),
			 0);
	assert_false(endpoint_running(port));
	assert_int_equal(client_in(&client, PTNET_IO_PTFEAT), 0);
	assert_int_equal(client_in(&client, PTNET_IO_CSB_GH_BAH), 0);
	assert_int_equal(client_in(&client, PTNET_IO_CSB_GH_BAL), 0);
	assert_int_equal(client_in(&client, PTNET_IO_CSB_HG_BAL), 0);
	assert_int_equal(client_config16(&client, PCI_COMMAND), 0);
	assert_int_equal(device.dma.num_ranges, 1);
	set_bus_master(true);
	assert_false(endpoint_running(port));
	assert_int_equal(command(PTNET_PTCTL_CREATE), ENXIO);
	set_csb(GH, HG);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
}

/* ---- lost memory ---- */

/*
 * Not under TSan: its runtime holds a lock of its own while it makes the access that
 * faults, and takes it again for what the SIGBUS handler does.
 */
#ifndef THREAD_SANITIZER
static void a_truncated_file_costs_its_owner_the_rings_only(void **state)
{
	(void)state;
	create_with_csb_in_ram();
	assert_int_equal(ftruncate(ram_fd, 0), 0);
	/* What a worker would do; without the handler this is the end of us. */
	for (unsigned i = 0; i < 2 * RINGS; i++) {
		pthread_mutex_lock(&port->rings[i].lock);
		kring_pull(&port->rings[i]);
		kring_push(&port->rings[i]);
		pthread_mutex_unlock(&port->rings[i].lock);
	}
	netif_device_csb_lost(&device);
	assert_int_equal(atomic_load(&counters.error[VFIO_USER_ERROR_CSB_LOST]), 1);
	for (unsigned i = 0; i < 2 * RINGS; i++) {
		assert_int_equal(port->rings[i].state, KRING_FAULTED);
		assert_int_equal(port->rings[i].fault, PTNET_FAULT_CSB);
	}
	/* The guest opens again: there is still nothing there, and then there is. */
	assert_int_equal(command(PTNET_PTCTL_DELETE), 0);
	assert_int_equal(command(PTNET_PTCTL_CREATE), ENXIO);
	assert_int_equal(ftruncate(ram_fd, RAM_SIZE), 0);
	assert_int_equal(command(PTNET_PTCTL_CREATE), 0);
	netif_device_csb_lost(&device);
	assert_int_equal(port->rings[0].state, KRING_RUNNING);
	assert_int_equal(ktoa(0)->hwtail, SLOTS - 1);
}
#endif

static void memory_lost_within_create_is_survived_too(void **state)
{
	(void)state;
	share_ram();
	set_bus_master(true);
	set_csb(GH, HG);
	/* One page of the two: the check at CREATE sees it and says so. */
	assert_int_equal(ftruncate(ram_fd, 0x5000), 0);
	assert_int_equal(command(PTNET_PTCTL_CREATE), ENXIO);
	assert_int_equal(csb_errors(), 1);
}

static void sigbus_elsewhere_kills_as_ever(void **state)
{
	(void)state;
	create_with_csb_in_ram();
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		int fd = memfd_create("not a CSB", MFD_CLOEXEC);
		char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

		signal(SIGBUS, SIG_DFL); /* instead of cmocka's; then ours on top of it */
		command(PTNET_PTCTL_DELETE);
		command(PTNET_PTCTL_CREATE);
		*(volatile char *)page = 1; /* the file is empty */
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

/* ---- interrupts ---- */

#define TRIGGER_EVENTFD (VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD)
#define TRIGGER_NONE	(VFIO_IRQ_SET_ACTION_TRIGGER | VFIO_IRQ_SET_DATA_NONE)
#define MSIX		VFIO_PCI_MSIX_IRQ_INDEX

static uint64_t take(int fd)
{
	uint64_t count = 0;

	return read(fd, &count, sizeof(count)) > 0 ? count : 0;
}

static void vectors_are_rings(void **state)
{
	int fds[2] = {eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		      eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};

	(void)state;
	assert_int_equal(client_set_irqs(&client, MSIX, TRIGGER_EVENTFD, 1, 2, fds, 2), 0);
	assert_int_equal(port->rings[0].interrupt_fd, -1);
	assert_true(port->rings[1].interrupt_fd >= 0);
	assert_true(port->rings[2].interrupt_fd >= 0);
	assert_int_equal(client_set_irqs(&client, MSIX, TRIGGER_NONE, 0, 3, NULL, 0), 0);
	assert_int_equal(take(fds[0]), 1);
	assert_int_equal(take(fds[1]), 1);
	assert_int_equal(client_set_irqs(&client, MSIX, TRIGGER_EVENTFD, 1, 1, NULL, 0), 0);
	assert_int_equal(port->rings[1].interrupt_fd, -1);
	assert_int_equal(client_set_irqs(&client, MSIX, TRIGGER_NONE, 0, 0, NULL, 0), 0);
	assert_int_equal(port->rings[2].interrupt_fd, -1);
	assert_int_equal(client_set_irqs(&client, MSIX, TRIGGER_EVENTFD, 3, 1, fds, 1), 0);
	assert_int_equal(client_set_irqs(&client, MSIX, TRIGGER_EVENTFD, 3, 1, fds + 1, 1), 0);
	assert_int_equal(client_set_irqs(&client, MSIX, TRIGGER_NONE, 3, 1, NULL, 0), 0);
	assert_int_equal(take(fds[0]), 0);
	assert_int_equal(take(fds[1]), 1);
	close(fds[0]);
	close(fds[1]);
}

/* QEMU sets INTx up because there is a pin, and fails the device if it cannot. */
static void intx_can_be_set_up_and_is_never_raised(void **state)
{
	struct vfio_user_irq_info ask = {.argsz = sizeof(ask), .index = VFIO_PCI_INTX_IRQ_INDEX},
				  info;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	(void)state;
	assert_int_equal(client_request(&client, VFIO_USER_DEVICE_GET_IRQ_INFO, &ask, sizeof(ask),
					NULL, 0, &info, sizeof(info)),
			 sizeof(info));
	assert_int_equal(info.count, 1);
	assert_int_equal(client_set_irqs(&client, 0, TRIGGER_EVENTFD, 0, 1, &fd, 1), 0);
	assert_int_equal(client_set_irqs(&client, 0,
					 VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_DATA_EVENTFD, 0,
					 1, &fd, 1),
			 0);
	assert_int_equal(client_set_irqs(&client, 0,
					 VFIO_IRQ_SET_ACTION_MASK | VFIO_IRQ_SET_DATA_NONE, 0, 1,
					 NULL, 0),
			 0);
	assert_int_equal(client_set_irqs(&client, 0, TRIGGER_NONE, 0, 0, NULL, 0), 0);
	ask.index = MSIX;
	assert_int_equal(client_request(&client, VFIO_USER_DEVICE_GET_IRQ_INFO, &ask, sizeof(ask),
					NULL, 0, &info, sizeof(info)),
			 sizeof(info));
	assert_int_equal(info.count, 2 * RINGS);
	assert_int_equal(info.flags & VFIO_IRQ_INFO_NORESIZE, 0);
	ask.index = VFIO_PCI_ERR_IRQ_INDEX;
	assert_int_equal(client_request(&client, VFIO_USER_DEVICE_GET_IRQ_INFO, &ask, sizeof(ask),
					NULL, 0, &info, sizeof(info)),
			 -EINVAL);
	assert_int_equal(take(fd), 0);
	close(fd);
}

/* QEMU awaits a reply to every write, kicks too, if any region can be mapped. */
static void no_region_of_ptnet_can_be_mapped(void **state)
{
	static const uint64_t sizes[VFIO_PCI_NUM_REGIONS] = {
		[0] = 256, [2] = 4096, [3] = 4096, [VFIO_PCI_CONFIG_REGION_INDEX] = 256};

	(void)state;
	for (uint32_t i = 0; i < VFIO_PCI_NUM_REGIONS; i++) {
		struct vfio_user_region_info ask = {.argsz = sizeof(ask), .index = i}, info;

		assert_int_equal(client_request(&client, VFIO_USER_DEVICE_GET_REGION_INFO, &ask,
						sizeof(ask), NULL, 0, &info, sizeof(info)),
				 sizeof(info));
		assert_int_equal(info.flags & VFIO_REGION_INFO_FLAG_MMAP, 0);
		assert_int_equal(info.size, sizes[i]);
	}
}

/* ---- memdev ---- */

static int setup_memdev(void **state)
{
	(void)state;
	setup_port(true);
	memdev_init(&memdev, region);
	client_connect(&client, &memdev.function);
	client_negotiate(&client);
	return 0;
}

static int teardown_memdev(void **state)
{
	(void)state;
	client_disconnect(&client);
	teardown_port();
	return 0;
}

static void memdev_registers_are_the_regions_geometry(void **state)
{
	const struct region_geometry *geometry = region_geometry(region);

	(void)state;
	assert_int_equal(client_config16(&client, PCI_DEVICE_ID), 0x000c);
	assert_int_equal(client_config16(&client, PCI_CLASS_DEVICE), 0x00ff);
	assert_int_equal(client_config16(&client, PCI_INTERRUPT_LINE), 0);
	assert_int_equal(client_config16(&client, PCI_CAPABILITY_LIST), 0);
	assert_int_equal(client_config16(&client, PCI_BASE_ADDRESS_0), 1);
	assert_int_equal(client_config16(&client, PCI_BASE_ADDRESS_1),
			 0x0c); /* 64 bits, prefetch */
	assert_int_equal(client_in(&client, PTNET_MDEV_IO_MEMSIZE_LO), geometry->memsize);
	assert_int_equal(client_in(&client, PTNET_MDEV_IO_MEMSIZE_HI), 0);
	assert_int_equal(client_in(&client, PTNET_MDEV_IO_MEMID), region_id(region));
	assert_int_equal(client_in(&client, PTNET_MDEV_IO_IF_POOL_OFS), 0);
	assert_int_equal(client_in(&client, PTNET_MDEV_IO_RING_POOL_OBJNUM),
			 geometry->ring_pool.objtotal);
	assert_int_equal(client_in(&client, PTNET_MDEV_IO_BUF_POOL_OFS), geometry->buf_pool.offset);
	assert_int_equal(client_in(&client, PTNET_MDEV_IO_BUF_POOL_OBJNUM),
			 geometry->buf_pool.objtotal);
	assert_int_equal(client_in(&client, PTNET_MDEV_IO_BUF_POOL_OBJSZ),
			 geometry->buf_pool.objsize);
	for (uint32_t offset = 0; offset < PTNET_MDEV_IO_BAR_SIZE; offset += 4) {
		uint32_t before = client_in(&client, offset);

		client_out(&client, offset, ~before);
		assert_int_equal(client_in(&client, offset), before);
		if (offset >= PTNET_MDEV_IO_END || (offset > 8 && offset < 64))
			assert_int_equal(before, 0);
	}
}

static void bar1_is_the_region_and_nothing_behind_it(void **state)
{
	uint64_t memsize = region_geometry(region)->memsize;
	uint64_t bar_size = memdev.function.regions[1].size;
	struct vfio_user_region_info ask = {.argsz = 64, .index = 1};
	struct {
		struct vfio_user_region_info info;
		struct vfio_user_sparse_area area;
	} reply;
	char data[256], zeros[256] = {0};

	(void)state;
	assert_true(bar_size >= memsize && (bar_size & (bar_size - 1)) == 0);
	assert_true(bar_size > memsize); /* else this test shows nothing */
	assert_int_equal(client_request(&client, VFIO_USER_DEVICE_GET_REGION_INFO, &ask,
					sizeof(ask), NULL, 0, &reply, sizeof(reply)),
			 64);
	assert_int_equal(reply.area.offset, 0);
	assert_int_equal(reply.area.size, memsize);
	char *mapped = mmap(NULL, memsize, PROT_READ | PROT_WRITE, MAP_SHARED, client.reply_fd, 0);
	assert_ptr_not_equal(mapped, MAP_FAILED);

	assert_int_equal(client_write(&client, 1, memsize - 5, 5, "12345"), 0);
	assert_memory_equal(mapped + memsize - 5, "12345", 5);
	memset(mapped + memsize - 100, 'x', 100);
	assert_int_equal(client_read(&client, 1, memsize - 100, 256, data), 0);
	assert_memory_equal(data, mapped + memsize - 100, 100);
	assert_memory_equal(data + 100, zeros, 156);
	assert_int_equal(client_write(&client, 1, memsize - 2, 256, data), 0);
	assert_memory_equal(mapped + memsize - 2, data, 2);
	assert_int_equal(client_write(&client, 1, memsize, 4, data), 0);
	assert_int_equal(client_read(&client, 1, bar_size - 256, 256, data), 0);
	assert_memory_equal(data, zeros, 256);
	assert_int_equal(client_read(&client, 1, bar_size - 255, 256, data), -EINVAL);
	uint32_t word = 0x12345678;
	assert_int_equal(client_write(&client, 1, 4096, 4, &word), 0);
	assert_memory_equal(mapped + 4096, &word, 4);
	assert_int_equal(client_read(&client, 1, 4096, 4, data), 0);
	assert_memory_equal(data, &word, 4);
	munmap(mapped, memsize);
}

static void memdev_wants_neither_memory_nor_interrupts(void **state)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	(void)state;
	assert_int_equal(client_dma_map(&client, 0, RAM_SIZE, 0, READ_WRITE, ram_fd), 0);
	assert_int_equal(client_dma_map(&client, 0, RAM_SIZE, 0, READ_WRITE, ram_fd), 0);
	assert_int_equal(client_dma_unmap(&client, 0, RAM_SIZE, 0), 0);
	assert_int_equal(client_set_irqs(&client, 0, TRIGGER_EVENTFD, 0, 1, &fd, 1), -EINVAL);
	assert_int_equal(client_set_irqs(&client, MSIX, TRIGGER_EVENTFD, 0, 1, &fd, 1), -EINVAL);
	assert_int_equal(client_set_irqs(&client, MSIX, TRIGGER_NONE, 0, 0, NULL, 0), 0);
	assert_int_equal(client_request(&client, VFIO_USER_DEVICE_RESET, NULL, 0, NULL, 0, NULL, 0),
			 0);
	close(fd);
}

int main(void)
{
#define attached(test)	cmocka_unit_test_setup_teardown(test, setup, teardown)
#define on_memdev(test) cmocka_unit_test_setup_teardown(test, setup_memdev, teardown_memdev)
	const struct CMUnitTest tests[] = {
		attached(config_space_is_what_drivers_look_for),
		attached(only_writable_bits_of_config_space_change),
		attached(registers_describe_the_port),
		attached(what_is_read_only_ignores_writes),
		attached(other_access_sizes_read_zero_and_change_nothing),
		attached(features_are_acknowledged_if_offered),
		cmocka_unit_test(without_a_csb_page_there_is_no_extension),
		attached(kicks_count_also_for_rings_that_do_not_exist),
		attached(the_doorbell_kicks_with_words_only),
		attached(commands_give_the_results_of_the_original),
		attached(create_fills_the_csb_in_the_region_once),
		attached(another_feature_set_stops_the_rings),
		attached(guest_ram_does_not_matter_to_the_extension),
		attached(create_fills_the_csb_in_guest_ram),
		attached(addresses_read_back_and_the_high_half_waits_for_the_low),
		attached(writing_an_address_stops_the_rings),
		attached(nothing_is_touched_after_the_addresses_are_zero),
		attached(addresses_that_are_not_all_in_ram_are_refused),
		attached(an_array_may_cross_a_page_but_not_a_range),
		attached(memory_of_other_kinds_is_refused),
		attached(a_read_only_descriptor_is_refused),
		attached(without_bus_mastering_nothing_is_touched),
		attached(unmapped_memory_stops_the_rings_and_they_resume_when_it_is_back),
		attached(what_is_published_while_suspended_counts),
		attached(an_owed_interrupt_waits_for_its_eventfd),
		attached(reset_forgets_everything_but_the_memory_map),
#ifndef THREAD_SANITIZER
		attached(a_truncated_file_costs_its_owner_the_rings_only),
#endif
		attached(memory_lost_within_create_is_survived_too),
		attached(sigbus_elsewhere_kills_as_ever),
		attached(vectors_are_rings),
		attached(intx_can_be_set_up_and_is_never_raised),
		attached(no_region_of_ptnet_can_be_mapped),
		on_memdev(memdev_registers_are_the_regions_geometry),
		on_memdev(bar1_is_the_region_and_nothing_behind_it),
		on_memdev(memdev_wants_neither_memory_nor_interrupts),
	};

	interrupt_prepare(); /* opens a file of its own the first time */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
