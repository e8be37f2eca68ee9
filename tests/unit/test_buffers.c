/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who holds which buffer: what a dead owner left behind is mended, exchanges among the
 * rings of a region are respected, and ports that go leave the region as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "guest_fixture.h"
#include "port/buffers.h"
#include "port/pipe.h"
#include "port/vale.h"

#define SLOTS	 256u
#define BUF_SIZE 2048u

/* A guest's region as a firewall has it: a port of a switch, and a pipe to bridge it with. */
static struct {
	struct region *region;
	struct vale *vale;
	struct port *port, *pipe[2];
	struct guest *owners[3];
	uint32_t free_before;
} home;

static struct port *home_port(unsigned i)
{
	return i == 0 ? home.port : home.pipe[i - 1];
}

static void open_port(unsigned i)
{
	home.owners[i] = aligned_alloc(64, sizeof(struct guest));
	memset(home.owners[i], 0, sizeof(struct guest));
	guest_attach(home.owners[i], home_port(i));
}

static void close_port(unsigned i)
{
	guest_detach(home.owners[i]);
	free(home.owners[i]);
	home.owners[i] = NULL;
}

static void reopen_port(unsigned i)
{
	close_port(i);
	open_port(i);
}

static struct port *new_switch_port(const char *name)
{
	struct port_config config = {.tx_slots = SLOTS, .rx_slots = SLOTS};
	struct error error = {0};
	struct port *port;

	strcpy(config.name, name);
	if (vale_port_create(&port, home.vale, &config, home.region, &error) < 0)
		fail_msg("%s", error.text);
	return port;
}

static int setup(void **state)
{
	struct vale_config vale_config = {.name = "vale0"};
	struct port_config config = {.name = "vale0:a{1", .tx_slots = SLOTS, .rx_slots = SLOTS};
	struct error error = {0};

	(void)state;
	home.region = test_region(6, 1, SLOTS, BUF_SIZE);
	home.free_before = region_bufs_free(home.region);
	assert_int_equal(vale_create(&home.vale, &vale_config, &error), 0);
	home.port = new_switch_port("vale0:a");
	if (pipe_create(&home.pipe[0], &home.pipe[1], &config, home.region, &error) < 0)
		fail_msg("%s", error.text);
	for (unsigned i = 0; i < 3; i++)
		open_port(i);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++)
		if (home.owners[i] != NULL)
			close_port(i);
	port_destroy(home.pipe[0]);
	port_destroy(home.pipe[1]);
	port_destroy(home.port);
	assert_int_equal(region_bufs_free(home.region), home.free_before);
	assert_int_equal(vale_destroy(home.vale, NULL), 0);
	region_put(home.region);
	return 0;
}

/* What netmap's bridge does: a received buffer goes out, an empty one takes its place. */
static void exchange_buffers(struct netmap_slot *a, struct netmap_slot *b)
{
	uint32_t buffer = a->buf_idx;

	a->buf_idx = b->buf_idx;
	b->buf_idx = buffer;
}

static uint32_t count_of(uint32_t buffer)
{
	uint32_t count = 0;

	/* The pipe's readers hold nothing here: their slots mirror the senders'. */
	for (uint32_t n = 0; n < SLOTS; n++) {
		count += home.port->rings[0].slots[n].buf_idx == buffer;
		count += home.port->rings[1].slots[n].buf_idx == buffer;
		count += port_tx(home.pipe[0], 0)->slots[n].buf_idx == buffer;
		count += port_tx(home.pipe[1], 0)->slots[n].buf_idx == buffer;
	}
	return count;
}

static void assert_every_slot_has_its_own(void)
{
	const struct kring *rings[] = {&home.port->rings[0], &home.port->rings[1],
				       port_tx(home.pipe[0], 0), port_tx(home.pipe[1], 0)};

	for (unsigned r = 0; r < 4; r++)
		for (uint32_t n = 0; n < SLOTS; n++) {
			uint32_t buffer = rings[r]->slots[n].buf_idx;

			assert_in_range(buffer, REGION_FIRST_BUF, rings[r]->buf_total - 1);
			assert_int_equal(count_of(buffer), 1);
		}
}

static void whole_rings_are_left_alone(void **state)
{
	uint32_t before[SLOTS];

	(void)state;
	for (uint32_t n = 0; n < SLOTS; n++) {
		exchange_buffers(&home.port->rings[1].slots[n],
				 &port_tx(home.pipe[0], 0)->slots[SLOTS - 1 - n]);
		before[n] = home.port->rings[1].slots[n].buf_idx;
	}
	assert_int_equal(buffers_mend(home.port), 0);
	for (unsigned i = 0; i < 3; i++)
		reopen_port(i);
	for (uint32_t n = 0; n < SLOTS; n++)
		assert_int_equal(home.port->rings[1].slots[n].buf_idx, before[n]);
	/* Not even by a reset: others hold what this port brought. */
	close_port(0);
	endpoint_reset(home.port);
	for (uint32_t n = 0; n < SLOTS; n++)
		assert_int_equal(home.port->rings[1].slots[n].buf_idx, before[n]);
	assert_every_slot_has_its_own();
}

static void bad_and_doubled_buffers_are_replaced(void **state)
{
	(void)state;
	for (unsigned ring = 0; ring < 2; ring++) {
		struct netmap_slot *slots = home.port->rings[ring].slots;

		slots[0].buf_idx = 0;
		slots[1].buf_idx = 1;
		slots[2].buf_idx = home.port->rings[ring].buf_total;
		slots[3].buf_idx = UINT32_MAX;
		slots[4].buf_idx = slots[5].buf_idx;
	}
	home.port->rings[0].slots[6].buf_idx = home.port->rings[1].slots[6].buf_idx;
	close_port(0);
	assert_int_equal(buffers_mend(home.port), 11);
	assert_every_slot_has_its_own();
	assert_int_equal(buffers_mend(home.port), 0);
	open_port(0);
}

/* Killed between the two halves of an exchange: two ports name the same buffer. */
static void half_an_exchange_is_mended_by_whoever_comes_first(void **state)
{
	struct netmap_slot *received = &home.port->rings[1].slots[7];
	struct netmap_slot *to_send = &port_tx(home.pipe[0], 0)->slots[9];
	uint32_t kept;

	(void)state;
	to_send->buf_idx = received->buf_idx;
	kept = received->buf_idx;
	reopen_port(1);
	assert_int_equal(received->buf_idx, kept);
	assert_every_slot_has_its_own();
	to_send->buf_idx = received->buf_idx;
	reopen_port(0);
	assert_int_equal(to_send->buf_idx, kept);
	assert_every_slot_has_its_own();
}

/* What the other end of a pipe holds is nobody else's, even while it is away. */
static void slots_in_the_readers_hands_count(void **state)
{
	struct kring *tx = port_tx(home.pipe[0], 0);
	uint8_t frame[60] = {0};
	uint32_t passed[10];

	(void)state;
	for (unsigned n = 0; n < 10; n++) {
		passed[n] = tx->slots[n].buf_idx;
		guest_send(home.owners[1], 0, frame, sizeof(frame), BUF_SIZE);
	}
	guest_run(home.owners[1], 0);
	close_port(2);
	tx->slots[20].buf_idx = passed[3];	  /* the sender's, of one that it passed on */
	tx->slots[3].buf_idx = 0;		  /* stale: not the sender's any more */
	home.port->rings[0].slots[0].buf_idx = 0; /* wants a spare: must not get a passed one */
	reopen_port(1);
	reopen_port(0);
	open_port(2);
	for (unsigned n = 0; n < 10; n++) {
		assert_int_equal(guest_slot(home.owners[2], 1, n)->buf_idx, passed[n]);
		assert_int_not_equal(home.port->rings[0].slots[0].buf_idx, passed[n]);
		assert_int_not_equal(tx->slots[20].buf_idx, passed[n]);
	}
	assert_int_equal(tx->slots[3].buf_idx, 0);
	/* A reader that spoils what it holds gets new ones, and gives those back. */
	guest_slot(home.owners[2], 1, 5)->buf_idx = 0;
	reopen_port(2);
	assert_in_range(guest_slot(home.owners[2], 1, 5)->buf_idx, REGION_FIRST_BUF,
			tx->buf_total - 1);
	for (unsigned n = 0; n < 10; n++)
		assert_int_equal(guest_receive(home.owners[2], 0, frame, sizeof(frame)),
				 n == 5 ? 0 : 60);
	guest_run(home.owners[1], 0);
	assert_every_slot_has_its_own();
}

static void a_port_that_goes_leaves_others_what_they_hold(void **state)
{
	struct port *guest_of_the_house = new_switch_port("vale0:b"), *next;
	uint32_t free_with_it = region_bufs_free(home.region);

	(void)state;
	/* It exchanged a hundred buffers with the port that stays; the region lost none. */
	for (uint32_t n = 0; n < 100; n++)
		exchange_buffers(&guest_of_the_house->rings[1].slots[n],
				 &home.port->rings[0].slots[n]);
	/* And died in the middle of another exchange, after making a mess. */
	guest_of_the_house->rings[0].slots[0].buf_idx = home.port->rings[0].slots[100].buf_idx;
	guest_of_the_house->rings[0].slots[1].buf_idx = 77777777;
	port_destroy(guest_of_the_house);
	assert_in_range(region_bufs_free(home.region), free_with_it + 2 * SLOTS - 2,
			free_with_it + 2 * SLOTS);
	next = new_switch_port("vale0:c");
	for (unsigned ring = 0; ring < 2; ring++)
		for (uint32_t n = 0; n < SLOTS; n++)
			assert_int_equal(count_of(next->rings[ring].slots[n].buf_idx), 0);
	assert_every_slot_has_its_own();
	port_destroy(next);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(whole_rings_are_left_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_and_doubled_buffers_are_replaced, setup,
						teardown),
		cmocka_unit_test_setup_teardown(half_an_exchange_is_mended_by_whoever_comes_first,
						setup, teardown),
		cmocka_unit_test_setup_teardown(slots_in_the_readers_hands_count, setup, teardown),
		cmocka_unit_test_setup_teardown(a_port_that_goes_leaves_others_what_they_hold,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
