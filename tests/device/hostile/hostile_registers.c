/* SPDX-License-Identifier: BSD-2-Clause */
/* Registers in an order that no driver would write them in, with rings running. */
#include "hostile.h"

#include <errno.h>
#include <string.h>

static const uint32_t interesting[] = {0,
				       1,
				       2,
				       3,
				       12,
				       GUEST_CSB_ADDRESS,
				       GUEST_CSB_ADDRESS + 4096,
				       GUEST_CSB_ADDRESS + 64,
				       GUEST_RAM_SIZE - 64,
				       0x7fffffff,
				       UINT32_MAX};

static uint32_t any_value(void)
{
	size_t count = sizeof(interesting) / sizeof(interesting[0]);

	return dice(4) != 0 ? interesting[dice((uint32_t)count)] : dice(UINT32_MAX);
}

/* One access of any kind; what comes of it does not matter. */
static void any_access(struct vu_connection *device)
{
	static const uint32_t sizes[] = {4, 4, 4, 4, 1, 2, 8, 3};
	uint32_t size = sizes[dice(8)];
	uint32_t region = dice(8) != 0 ? VU_REGION_BAR0 : dice(10);
	uint64_t offset = size == 4 ? dice(65) * 4 : dice(260);
	uint64_t value = any_value() | (uint64_t)any_value() << 32;
	int error;

	switch (dice(40)) {
	case 0:
		error = vu_reset(device);
		break;
	case 1:
		error = vu_set_irqs(device, VU_IRQ_DATA_NONE | VU_IRQ_ACTION_TRIGGER, VU_IRQ_MSIX,
				    0, 0, NULL);
		break;
	case 2:
		error = vu_region_write(device, VU_REGION_CONFIG, 4, &(uint16_t){7}, 2);
		break;
	case 3:
	case 4:
	case 5:
		error = vu_region_write(device, VU_REGION_BAR0, PTNET_IO_PTCTL,
					&(uint32_t){PTNET_PTCTL_CREATE}, 4);
		break;
	default:
		if (dice(3) == 0)
			error = vu_region_read(device, region, offset, &value, size);
		else
			error = vu_region_write(device, region, offset, &value, size);
	}
	if (error == -EPIPE || error == -ETIMEDOUT)
		fail_msg("access to region %u offset %llu size %u: %s", region,
			 (unsigned long long)offset, size, strerror(-error));
}

static void any_order(enum manner manner)
{
	struct hammer hammer;

	attach(&evil, &ptnetd, EVIL_PORT, manner);
	aim_buffers(&evil.driver);
	hammer_start(&hammer, &evil.driver, false);
	for (unsigned i = 0; i < 4000; i++) {
		any_access(&evil.guest.netif);
		if (i % 32 == 0)
			any_access(&evil.guest.memdev);
		if (i % 64 == 0)
			sink_sends(evil.driver.mac);
	}
	hammer_stop(&hammer);
	endpoint_kill(&evil);
	/* The port is none the worse for it. */
	attach(&evil, &ptnetd, EVIL_PORT, MANNER_LINUX);
	assert_int_equal(endpoint_detach(&evil), 0);
}

static void registers_in_any_order(void)
{
	any_order(MANNER_LINUX);
	any_order(MANNER_OURS);
}

/* Each register twice, up and down, with rings running. */
static void registers_twice(void)
{
	struct hammer hammer;

	attach(&evil, &ptnetd, EVIL_PORT, MANNER_LINUX);
	aim_buffers(&evil.driver);
	hammer_start(&hammer, &evil.driver, false);
	for (unsigned round = 0; round < 20; round++) {
		for (uint32_t offset = 0; offset < PTNET_IO_BAR_SIZE; offset += 4) {
			guest_write(&evil.guest, offset, interesting[round % 6]);
			guest_write(&evil.guest, offset, interesting[round % 6]);
			guest_read(&evil.guest, offset);
			guest_read(&evil.guest, offset);
		}
		for (uint32_t offset = PTNET_IO_BAR_SIZE; offset > 0; offset -= 4) {
			guest_write(&evil.guest, offset - 4, interesting[(round + 1) % 6]);
			guest_write(&evil.guest, offset - 4, interesting[(round + 1) % 6]);
		}
	}
	hammer_stop(&hammer);
	assert_guest(&evil.guest);
	endpoint_kill(&evil);
}

/* What a driver does once in its life, again and again, with packets in both directions. */
static void stopped_and_started(enum manner manner)
{
	struct hammer hammer;

	attach(&evil, &ptnetd, EVIL_PORT, manner);
	aim_buffers(&evil.driver);
	hammer_start(&hammer, &evil.driver, false);
	for (unsigned i = 0; i < 300; i++) {
		guest_write(&evil.guest, PTNET_IO_PTCTL, PTNET_PTCTL_DELETE);
		guest_write(&evil.guest, PTNET_IO_PTCTL, PTNET_PTCTL_CREATE);
		guest_write(&evil.guest, PTNET_IO_PTCTL, PTNET_PTCTL_CREATE);
		sink_sends(evil.driver.mac);
		switch (i % 5) {
		case 0:
			guest_write(&evil.guest, PTNET_IO_CSB_GH_BAL, GUEST_CSB_ADDRESS + 0x4000);
			break;
		case 1:
			guest_write(&evil.guest, PTNET_IO_CSB_GH_BAL, GUEST_CSB_ADDRESS);
			break;
		case 2:
			guest_enable(&evil.guest, &evil.guest.netif, false);
			guest_enable(&evil.guest, &evil.guest.netif, true);
			break;
		case 3:
			guest_msix_disable(&evil.guest);
			guest_msix_enable(&evil.guest, 2 * EVIL_RINGS);
			break;
		default:
			break;
		}
	}
	hammer_stop(&hammer);
	assert_guest(&evil.guest);
	endpoint_kill(&evil);
}

static void stopped_and_started_again_and_again(void)
{
	stopped_and_started(MANNER_LINUX);
	stopped_and_started(MANNER_OURS);
}

static void reset_again_and_again(void)
{
	attach(&evil, &ptnetd, EVIL_PORT, MANNER_LINUX);
	for (unsigned i = 0; i < 300; i++) {
		assert_int_equal(vu_reset(&evil.guest.netif), 0);
		sink_sends(evil.driver.mac);
		if (i % 3 == 0) {
			assert_int_equal(driver_probe(&evil.driver, &evil.guest, MANNER_LINUX), 0);
			assert_int_equal(driver_create(&evil.driver), 0);
		}
	}
	assert_guest(&evil.guest);
	endpoint_kill(&evil);
}

static void kicks_for_no_ring(void)
{
	attach(&evil, &ptnetd, EVIL_PORT, MANNER_OURS);
	for (unsigned ring = 2 * EVIL_RINGS; ring < 1024; ring++)
		guest_kick(&evil.guest, ring);
	evil.guest.doorbell = false;
	for (unsigned ring = 2 * EVIL_RINGS; ring < PTNET_MAX_RINGS; ring++)
		guest_kick(&evil.guest, ring);
	assert_int_equal(endpoint_detach(&evil), 0);
}

const struct attack register_attacks[] = {
	{"registers in any order", registers_in_any_order,
	 "bad_csb_address bad_region_access bad_kicks", NULL},
	{"registers twice", registers_twice, "bad_csb_address bad_kicks", NULL},
	{"rings stopped and started again and again", stopped_and_started_again_and_again,
	 "bad_csb_address", NULL},
	{"reset again and again", reset_again_and_again, NO_FAULT, NULL},
	{"kicks for rings that do not exist", kicks_for_no_ring, "bad_kicks", NULL},
};
const size_t num_register_attacks = sizeof(register_attacks) / sizeof(register_attacks[0]);
