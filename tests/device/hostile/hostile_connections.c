/* SPDX-License-Identifier: BSD-2-Clause */
/* Coming and going. */
#include "hostile.h"

#include <stdlib.h>
#include <unistd.h>

/* On a switch, and as many on a pipe; with the connections of few words 10 000 in all. */
#define ATTACHMENTS	 2500
#define ATTACHMENTS_SOAK 5000
#define WARM_UP		 500 /* until whatever grows once has grown */
#define CONNECTIONS	 5000
#define GROWTH_KB	 256

static uint32_t send_some(struct ring *ring, uint32_t count)
{
	uint32_t room = ring_avail(ring);

	if (count > room)
		count = room;
	for (uint32_t i = 0; i < count; i++)
		fill_slot(ring, ring_slot(ring, i), 60);
	ring_publish(ring, count);
	return count;
}

static void await_taken(const struct ring *ring)
{
	assert_eventually(PTNET_LOAD_ACQUIRE(&ring->ktoa->hwcur) == ring->head);
}

static void receive_all(struct ring *ring)
{
	ring_publish(ring, ring_avail(ring));
}

/* A driver's life on a switch: some packets in both directions, and a proper end. */
static void live_on_switch(void)
{
	struct ring *rx = driver_rx(&evil.driver, 0);

	for (unsigned i = 0; i < EVIL_RINGS; i++) {
		send_some(driver_tx(&evil.driver, i), 3);
		await_taken(driver_tx(&evil.driver, i));
	}
	sink_sends(evil.driver.mac);
	assert_eventually(ring_avail(rx) >= 1);
	receive_all(rx);
	assert_int_equal(endpoint_detach(&evil), 0);
}

/* It ends without a word, with packets on their way in both directions. */
static void die_on_switch(void)
{
	for (unsigned i = 0; i < EVIL_RINGS; i++)
		send_some(driver_tx(&evil.driver, i), EVIL_SLOTS - 1);
	sink_sends(evil.driver.mac);
	endpoint_kill(&evil);
}

static void attach_to_switch(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		attach(&evil, &ptnetd, EVIL_PORT, i % NUM_MANNERS);
		if (i % 4 < 2)
			live_on_switch();
		else
			die_on_switch();
	}
}

/* At the other end of the pipe there is always the same guest. */
static struct endpoint peer;

static void live_on_pipe(void)
{
	for (unsigned i = 0; i < EVIL_RINGS; i++) {
		struct ring *rx = driver_rx(&evil.driver, i);

		send_some(driver_tx(&evil.driver, i), 3);
		await_taken(driver_tx(&evil.driver, i));
		/* There is no room for more while nobody has read what the dead have left. */
		assert_eventually(ring_avail(rx) >= 1 ||
				  send_some(driver_tx(&peer.driver, i), 3) > 0);
		assert_eventually(ring_avail(rx) >= 1);
		receive_all(rx);
	}
	assert_int_equal(endpoint_detach(&evil), 0);
}

static void die_on_pipe(void)
{
	for (unsigned i = 0; i < EVIL_RINGS; i++) {
		send_some(driver_tx(&evil.driver, i), EVIL_SLOTS - 1);
		send_some(driver_tx(&peer.driver, i), EVIL_SLOTS - 1);
	}
	endpoint_kill(&evil);
}

static void attach_to_pipe(unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		attach(&evil, &ptnetd, EVIL_PIPE, i % NUM_MANNERS);
		for (unsigned j = 0; j < EVIL_RINGS; j++)
			receive_all(driver_rx(&peer.driver, j));
		if (i % 4 < 2)
			live_on_pipe();
		else
			die_on_pipe();
	}
}

/* The daemon must hold as much after it as right before it. */
static void attach_again_and_again(void (*attach_times)(unsigned from, unsigned to))
{
	bool soak = getenv("PTNET_SOAK") != NULL;
	unsigned count = (soak ? ATTACHMENTS_SOAK : ATTACHMENTS) / test_scale();
	struct daemon_usage usage;

	attach_times(0, WARM_UP / test_scale());
	/* All buffers that the daemon reads when somebody sends to the attacker. */
	for (unsigned i = 0; i < SINK_SLOTS / test_scale(); i++)
		sink_sends(sink_mac());
	await_attackers_gone();
	record_usage(&ptnetd, &usage);
	attach_times(0, count);
	assert_usage_with_shared(&ptnetd, &usage, GROWTH_KB);
}

static void attachments_to_a_switch(void)
{
	attach_again_and_again(attach_to_switch);
}

static void attachments_to_a_pipe(void)
{
	attach(&peer, &ptnetd, EVIL_PEER, MANNER_OURS);
	attach_again_and_again(attach_to_pipe);
	assert_int_equal(endpoint_detach(&peer), 0);
}

static void connect_and_go(const char *path, bool talk)
{
	struct vu_connection connection;

	assert_int_equal(vu_connect(&connection, path), 0);
	if (talk)
		assert_int_equal(vu_negotiate(&connection), 0);
	vu_disconnect(&connection);
}

static void connections_of_few_words(void)
{
	unsigned count = CONNECTIONS / test_scale();

	for (unsigned i = 0; i < count; i++)
		connect_and_go(i % 4 < 2 ? evil_paths.netif : evil_paths.memdev, i % 2 == 0);
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
	{"attachments to a switch, again and again", attachments_to_a_switch, "connections", NULL},
	{"attachments to a pipe, again and again", attachments_to_a_pipe, "connections", EVIL_PIPE},
	{"connections of few words", connections_of_few_words, "connections", NULL},
	{"a crowd that wants the port", crowd, "refused_connections", NULL},
	{"a silent crowd at the memory", silent_crowd_at_the_memory, NO_FAULT, NULL},
};
const size_t num_connection_attacks = sizeof(connection_attacks) / sizeof(connection_attacks[0]);
