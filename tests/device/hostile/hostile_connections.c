/* SPDX-License-Identifier: BSD-2-Clause */
/* Coming and going. */
#include "hostile.h"

#include <unistd.h>

#define RECONNECTS 10000

static void connect_and_go(const char *path, bool talk)
{
	struct vu_connection connection;

	assert_int_equal(vu_connect(&connection, path), 0);
	if (talk)
		assert_int_equal(vu_negotiate(&connection), 0);
	vu_disconnect(&connection);
}

/* A whole guest that ends without a word, with packets on their way in both directions. */
static void attach_and_die(enum manner manner)
{
	attach(&evil, &ptnetd, EVIL_PORT, manner);
	for (unsigned i = 0; i < EVIL_RINGS; i++) {
		struct ring *ring = driver_tx(&evil.driver, i);

		for (unsigned j = 0; j < EVIL_SLOTS - 1; j++)
			fill_slot(ring, ring_slot(ring, j), 60);
		ring_publish(ring, EVIL_SLOTS - 1);
	}
	sink_sends(evil.driver.mac);
	endpoint_kill(&evil);
}

static void ten_thousand_reconnects(void)
{
	unsigned count = RECONNECTS / test_scale();

	for (unsigned i = 0; i < count; i++) {
		switch (i % 10) {
		case 0:
			attach_and_die(i / 10 % NUM_MANNERS);
			break;
		case 1:
			attach(&evil, &ptnetd, EVIL_PORT, i / 10 % NUM_MANNERS);
			assert_int_equal(endpoint_detach(&evil), 0);
			break;
		case 2:
		case 3:
			connect_and_go(evil_paths.netif, false);
			break;
		case 4:
		case 5:
			connect_and_go(evil_paths.memdev, i % 2 == 0);
			break;
		default:
			connect_and_go(evil_paths.netif, true);
		}
	}
}

/* Everybody wants the port; one gets it. */
static void crowd(void)
{
	struct vu_connection crowd[100];

	attach(&evil, &ptnetd, EVIL_PORT, MANNER_OURS);
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(vu_connect(&crowd[i], evil_paths.netif), 0);
	for (unsigned i = 0; i < 100; i++) {
		assert_true(vu_wait_closed(&crowd[i]));
		vu_disconnect(&crowd[i]);
	}
	assert_int_equal(endpoint_detach(&evil), 0);
}

/* Nobody of them says a word. */
static void silent_crowd_at_the_memory(void)
{
	struct vu_connection crowd[200];

	for (unsigned i = 0; i < 200; i++)
		assert_int_equal(vu_connect(&crowd[i], evil_paths.memdev), 0);
	/* Another guest's driver still gets at its memory. */
	attach(&evil, &ptnetd, EVIL_PORT, MANNER_OURS);
	assert_int_equal(endpoint_detach(&evil), 0);
	for (unsigned i = 0; i < 200; i++)
		vu_disconnect(&crowd[i]);
}

const struct attack connection_attacks[] = {
	{"ten thousand reconnects", ten_thousand_reconnects, "connections", NULL},
	{"a crowd that wants the port", crowd, "refused_connections", NULL},
	{"a silent crowd at the memory", silent_crowd_at_the_memory, NULL, NULL},
};
const size_t num_connection_attacks = sizeof(connection_attacks) / sizeof(connection_attacks[0]);
