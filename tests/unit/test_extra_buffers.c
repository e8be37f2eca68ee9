/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Buffers in programs' hands: what they get, what comes back when they go, however they
 * go, and that no buffer is ever in two places. Null ports, which exist for that, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include <ptnet/local.h>

#include "engine/endpoint.h"
#include "guest_fixture.h"
#include "port/buffers.h"
#include "port/buffers_private.h"
#include "port/extra_buffers.h"
#include "port/null.h"
#include "port/pipe.h"
#include "port/vale.h"
#include "random.h"
#include "watched_memory.h"

#define SLOTS	 32u
#define BUF_SIZE 256u
#define SPARE	 200u /* buffers that no slot gets */
#define PIPES	 2u
#define PORTS	 (2 * PIPES + 1)
#define MAX_HAND 512u

/* Two pipes, whose ends are ports 0 to 3, and a port of a switch, all in one region. */
static struct {
	struct region *region;
	struct vale *vale;
	struct port *ports[PORTS];
	struct ptnet_local_csb csbs[PORTS];
	uint32_t total, slots; /* buffers; those that rings take */
} world;

static void world_create(uint32_t spare)
{
	struct region_config config = {.if_num = 4,
				       .ring_num = 2 * PORTS,
				       .ring_size = 1024,
				       .buf_size = BUF_SIZE,
				       .buf_num =
					       (2 * PIPES + 2) * SLOTS + REGION_FIRST_BUF + spare};
	struct port_config port_config = {
		.tx_slots = SLOTS, .rx_slots = SLOTS, .no_netmap_if = true};
	struct vale_config vale_config = {.name = "vale0"};
	struct error error = {0};

	memset(&world, 0, sizeof(world));
	if (region_create(&world.region, &config, &error) < 0 ||
	    vale_create(&world.vale, &vale_config, &error) < 0)
		fail_msg("%s", error.text);
	for (unsigned pipe = 0; pipe < PIPES; pipe++) {
		snprintf(port_config.name, sizeof(port_config.name), "link{%u", pipe);
		if (pipe_create(&world.ports[2 * pipe], &world.ports[2 * pipe + 1], &port_config,
				world.region, &error) < 0)
			fail_msg("%s", error.text);
	}
	strcpy(port_config.name, "vale0:a");
	if (vale_port_create(&world.ports[PORTS - 1], world.vale, &port_config, world.region,
			     &error) < 0)
		fail_msg("%s", error.text);
	world.total = region_geometry(world.region)->buf_pool.objtotal - REGION_FIRST_BUF;
	world.slots = (2 * PIPES + 2) * SLOTS;
	assert_int_equal(region_bufs_free(world.region), world.total - world.slots);
}

static void world_destroy(void)
{
	for (unsigned i = 0; i < PORTS; i++)
		port_destroy(world.ports[i]);
	assert_int_equal(region_bufs_free(world.region), world.total);
	assert_int_equal(vale_destroy(world.vale, NULL), 0);
	region_put(world.region);
}

static struct kring *ring_of(unsigned port, unsigned ring)
{
	return &world.ports[port]->rings[ring];
}

static uint32_t *word_of(uint32_t buffer)
{
	return (uint32_t *)(region_base(world.region) +
			    region_geometry(world.region)->buf_pool.offset +
			    (size_t)buffer * BUF_SIZE);
}

/* Takes the list apart; returns its length. */
static uint32_t read_list(uint32_t head, uint32_t *buffers, uint32_t capacity)
{
	uint32_t count = 0;

	for (; head != 0; head = *word_of(head)) {
		assert_in_range(head, REGION_FIRST_BUF, world.total + REGION_FIRST_BUF - 1);
		assert_true(count < capacity);
		buffers[count++] = head;
	}
	return count;
}

/* Makes a list; returns its head. */
static uint32_t write_list(const uint32_t *buffers, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		*word_of(buffers[i]) = i + 1 < count ? buffers[i + 1] : 0;
	return count > 0 ? buffers[0] : 0;
}

/* The same, from the last to the first. */
static uint32_t reversed_list(const uint32_t *buffers, uint32_t count)
{
	for (uint32_t i = count; i-- > 0;)
		*word_of(buffers[i]) = i > 0 ? buffers[i - 1] : 0;
	return buffers[count - 1];
}

/* ---- one program ---- */

static void programs_get_what_there_is_as_a_list(void **state)
{
	struct extra_buffers *extra, *more, *none;
	uint32_t buffers[MAX_HAND];
	uint32_t spare;

	(void)state;
	world_create(SPARE);
	spare = world.total - world.slots;
	assert_int_equal(extra_buffers_take(&none, world.region, 0), 0);
	assert_null(none);
	assert_int_equal(extra_buffers_head(none), 0);
	extra_buffers_give_back(none, 12345);
	assert_int_equal(extra_buffers_take(&extra, world.region, 150), 150);
	assert_int_equal(read_list(extra_buffers_head(extra), buffers, MAX_HAND), 150);
	for (unsigned i = 0; i < 150; i++)
		for (unsigned j = 0; j < i; j++)
			assert_int_not_equal(buffers[i], buffers[j]);
	assert_int_equal(region_bufs_free(world.region), spare - 150);
	assert_int_equal(extra_buffers_take(&more, world.region, UINT32_MAX), spare - 150);
	assert_int_equal(read_list(extra_buffers_head(more), buffers, MAX_HAND), spare - 150);
	assert_int_equal(extra_buffers_take(&none, world.region, 1), 0);
	assert_null(none);
	extra_buffers_give_back(more, reversed_list(buffers, spare - 150));
	assert_int_equal(region_bufs_free(world.region), spare - 150);
	extra_buffers_give_back(extra, extra_buffers_head(extra));
	assert_int_equal(region_bufs_free(world.region), spare);
	world_destroy();
}

enum broken_list {
	WHOLE,
	AS_GIVEN,
	EMPTY,
	TRUNCATED,
	CYCLIC,
	OUT_OF_RANGE,
	LAST_WILD,
	IN_A_SLOT,
	BROKEN_LISTS
};

static uint32_t break_list(enum broken_list how, uint32_t *buffers, uint32_t count)
{
	uint32_t head = write_list(buffers, count);

	switch (how) {
	case WHOLE: /* the program's own: ours began with what is now the last */
		return reversed_list(buffers, count);
	case AS_GIVEN:
	case BROKEN_LISTS:
		break;
	case EMPTY:
		return 0;
	case TRUNCATED:
		*word_of(buffers[count / 2]) = 0;
		break;
	case CYCLIC:
		*word_of(buffers[count - 1]) = buffers[count / 3];
		break;
	case OUT_OF_RANGE:
		return UINT32_MAX;
	case LAST_WILD:
		*word_of(buffers[count - 1]) = world.total + REGION_FIRST_BUF + 7;
		break;
	case IN_A_SLOT:
		*word_of(buffers[count / 2]) = world.ports[0]->rings[0].slots[3].buf_idx;
		break;
	}
	return head;
}

static void whatever_the_list_says_all_comes_back(void **state)
{
	struct extra_buffers *extra;
	uint32_t buffers[MAX_HAND];

	(void)state;
	for (enum broken_list how = WHOLE; how < BROKEN_LISTS; how++) {
		world_create(SPARE);
		uint32_t spare = region_bufs_free(world.region);

		/* Other programs have rings open; they don't matter, having no extra buffers. */
		assert_int_equal(endpoint_start_ring(world.ports[0], 0, &world.csbs[0]), 0);
		assert_int_equal(extra_buffers_take(&extra, world.region, 60), 60);
		read_list(extra_buffers_head(extra), buffers, MAX_HAND);
		extra_buffers_give_back(extra, break_list(how, buffers, 60));
		assert_int_equal(region_bufs_free(world.region), spare);
		endpoint_stop_ring(world.ports[0], 0);
		world_destroy();
	}
}

/* With two such programs only a list that is whole tells what was whose. */
static void rather_lost_for_a_time_than_given_to_two(void **state)
{
	struct extra_buffers *extra, *other;
	uint32_t buffers[MAX_HAND], others[MAX_HAND];

	(void)state;
	for (enum broken_list how = WHOLE; how < BROKEN_LISTS; how++) {
		world_create(SPARE);
		uint32_t spare = region_bufs_free(world.region);

		assert_int_equal(extra_buffers_take(&extra, world.region, 60), 60);
		assert_int_equal(extra_buffers_take(&other, world.region, 40), 40);
		read_list(extra_buffers_head(extra), buffers, MAX_HAND);
		read_list(extra_buffers_head(other), others, MAX_HAND);
		extra_buffers_give_back(extra, break_list(how, buffers, 60));
		assert_int_equal(region_bufs_free(world.region),
				 how == WHOLE ? spare - 40 : spare - 100);
		extra_buffers_give_back(other, write_list(others, 40));
		assert_int_equal(region_bufs_free(world.region), spare); /* the last one left */
		world_destroy();
	}
}

static void exchanged_buffers_belong_to_the_slots(void **state)
{
	struct netmap_slot *slots = NULL;
	struct extra_buffers *extra;
	uint32_t buffers[MAX_HAND], in_slots[SLOTS];

	(void)state;
	for (unsigned dies = 0; dies < 2; dies++) {
		world_create(SPARE);
		uint32_t spare = region_bufs_free(world.region);

		assert_int_equal(endpoint_start_ring(world.ports[0], 0, &world.csbs[0]), 0);
		slots = world.ports[0]->rings[0].slots;
		assert_int_equal(extra_buffers_take(&extra, world.region, 60), 60);
		read_list(extra_buffers_head(extra), buffers, MAX_HAND);
		for (unsigned i = 0; i < SLOTS; i++) {
			in_slots[i] = buffers[i];
			buffers[i] = slots[i].buf_idx;
			slots[i].buf_idx = in_slots[i];
		}
		/* Killed: the list is what it was at first, and most of it is in slots now. */
		uint32_t head = dies ? extra_buffers_head(extra) : write_list(buffers, 60);
		extra_buffers_give_back(extra, head);
		assert_int_equal(region_bufs_free(world.region), spare);
		endpoint_stop_ring(world.ports[0], 0);
		assert_int_equal(endpoint_start_ring(world.ports[0], 0, &world.csbs[0]), 0);
		for (unsigned i = 0; i < SLOTS; i++)
			assert_int_equal(slots[i].buf_idx, in_slots[i]);
		endpoint_stop_ring(world.ports[0], 0);
		world_destroy();
	}
}

/* Somebody's hands are full while somebody else's ring wants mending. */
static void what_may_be_in_hand_is_not_given_away(void **state)
{
	struct netmap_slot *slots;
	struct extra_buffers *extra;
	uint32_t buffers[MAX_HAND];

	(void)state;
	world_create(SPARE);
	slots = world.ports[0]->rings[0].slots;
	uint32_t spare = region_bufs_free(world.region);
	assert_int_equal(extra_buffers_take(&extra, world.region, spare - 2), spare - 2);
	read_list(extra_buffers_head(extra), buffers, MAX_HAND);
	for (unsigned lost = 1; lost <= 4; lost++) {
		uint32_t was = slots[lost].buf_idx;

		slots[lost].buf_idx = lost % 2 == 0 ? 0 : slots[20].buf_idx;
		int result = endpoint_start_ring(world.ports[0], 0, &world.csbs[0]);
		/* Two were never handed out; then there is nothing but what may be in use. */
		assert_int_equal(result, lost <= 2 ? 0 : -ENOMEM);
		for (unsigned i = 0; i < spare - 2; i++)
			assert_int_not_equal(slots[lost].buf_idx, buffers[i]);
		if (result == 0) {
			assert_int_not_equal(slots[lost].buf_idx, was);
			endpoint_stop_ring(world.ports[0], 0);
		} else {
			assert_false(endpoint_running(world.ports[0]));
		}
	}
	/* The last one leaves, and all is whole again. */
	extra_buffers_give_back(extra, write_list(buffers, spare - 2));
	assert_int_equal(endpoint_start_ring(world.ports[0], 0, &world.csbs[0]), 0);
	for (unsigned i = 0; i < SLOTS; i++)
		assert_true(kring_slot_valid(&world.ports[0]->rings[0], slots[i]));
	assert_int_equal(region_bufs_free(world.region), spare);
	endpoint_stop_ring(world.ports[0], 0);
	world_destroy();
}

/* Never handed out, but named by a slot: it is nobody's, and will be somebody else's. */
static void a_slot_cannot_help_itself_to_a_buffer(void **state)
{
	struct extra_buffers *extra;
	uint32_t buffers[MAX_HAND];
	struct netmap_slot *slots;

	(void)state;
	world_create(SPARE);
	slots = world.ports[0]->rings[0].slots;
	slots[5].buf_idx = world.total + REGION_FIRST_BUF - 1; /* the last of the pool */
	assert_int_equal(endpoint_start_ring(world.ports[0], 0, &world.csbs[0]), 0);
	uint32_t count = (uint32_t)extra_buffers_take(&extra, world.region, MAX_HAND);
	read_list(extra_buffers_head(extra), buffers, MAX_HAND);
	for (unsigned i = 0; i < SLOTS; i++)
		for (unsigned j = 0; j < count; j++)
			assert_int_not_equal(slots[i].buf_idx, buffers[j]);
	extra_buffers_give_back(extra, extra_buffers_head(extra));
	endpoint_stop_ring(world.ports[0], 0);
	world_destroy();
}

#ifdef WATCHED_MEMORY
static struct netmap_slot *half_done;
static uint32_t in_transit;

/* A program is interrupted for so many looks at its slots. */
static void goes_on_after_five_looks(void)
{
	if (reads_of(half_done) > 5)
		half_done->buf_idx = in_transit;
}

/* Two slots name one buffer, none the other, while somebody asks for more than there are. */
static void half_an_exchange_may_take_its_time(void **state)
{
	uint32_t buffers[MAX_HAND], spare, count;
	struct extra_buffers *extra;

	(void)state;
	world_create(SPARE);
	spare = region_bufs_free(world.region);
	assert_int_equal(endpoint_start_ring(world.ports[0], 0, &world.csbs[0]), 0);
	half_done = &ring_of(0, 0)->slots[3];
	in_transit = half_done[0].buf_idx;
	half_done[0].buf_idx = half_done[1].buf_idx;
	watch_memory(half_done);
	watched.meanwhile = goes_on_after_five_looks;
	count = (uint32_t)extra_buffers_take(&extra, world.region, UINT32_MAX);
	unwatch_memory();
	assert_int_equal(half_done[0].buf_idx, in_transit);
	assert_int_equal(count, spare);
	read_list(extra_buffers_head(extra), buffers, MAX_HAND);
	for (unsigned i = 0; i < count; i++)
		assert_int_not_equal(buffers[i], in_transit);
	extra_buffers_give_back(extra, extra_buffers_head(extra));
	endpoint_stop_ring(world.ports[0], 0);
	world_destroy();
}

static unsigned accesses, locked;

static void try_lock(void)
{
	accesses++;
	if (pthread_mutex_trylock(&buffers_lock) == 0)
		pthread_mutex_unlock(&buffers_lock);
	else
		locked++;
}

/* Buffers may be memory that was never touched, and take long. */
static void nobody_waits_while_buffers_are_listed(void **state)
{
	struct extra_buffers *extra;

	(void)state;
	world_create(SPARE);
	watch_memory(word_of(world.slots + REGION_FIRST_BUF + SPARE / 2));
	watched.meanwhile = try_lock;
	accesses = locked = 0;
	extra_buffers_take(&extra, world.region, SPARE);
	unsigned written = accesses;
	extra_buffers_give_back(extra, extra_buffers_head(extra));
	unwatch_memory();
	assert_in_range(written, WATCHED_PAGE / BUF_SIZE, UINT32_MAX); /* each of the page's */
	assert_in_range(accesses - written, WATCHED_PAGE / BUF_SIZE, UINT32_MAX);
	assert_int_equal(locked, 0);
	world_destroy();
}
#endif

/* What is really lost is taken back although rings are open. */
static void what_is_lost_comes_back_while_others_work(void **state)
{
	struct extra_buffers *extra;
	uint32_t spare;

	(void)state;
	world_create(SPARE);
	spare = region_bufs_free(world.region);
	assert_int_equal(endpoint_start_ring(world.ports[0], 0, &world.csbs[0]), 0);
	ring_of(0, 0)->slots[3].buf_idx = ring_of(0, 0)->slots[4].buf_idx;
	assert_int_equal(extra_buffers_take(&extra, world.region, spare), spare);
	extra_buffers_give_back(extra, extra_buffers_head(extra));
	assert_int_equal(extra_buffers_take(&extra, world.region, UINT32_MAX), spare + 1);
	extra_buffers_give_back(extra, extra_buffers_head(extra));
	endpoint_stop_ring(world.ports[0], 0);
	/* Lent to nobody any more, and slot 3 gets it, or another one, when it is mended. */
	assert_int_equal(region_bufs_free(world.region), spare + 1);
	assert_int_equal(endpoint_start_ring(world.ports[0], 0, &world.csbs[0]), 0);
	endpoint_stop_ring(world.ports[0], 0);
	world_destroy();
}

/* ---- null ports ---- */

static void null_ports_own_what_they_ask_for(void **state)
{
	struct port_config config = {.name = "whatever", .no_netmap_if = true};
	struct error error = {0};
	struct port *port;

	(void)state;
	world_create(SPARE);
	uint32_t spare = region_bufs_free(world.region);
	uint32_t rings = region_rings_free(world.region);
	if (null_port_create(&port, &config, world.region, &error) < 0)
		fail_msg("%s", error.text);
	assert_int_equal(port_num_rings(port), 0);
	assert_true(port_is_null(port));
	assert_false(port_is_null(world.ports[0]));
	assert_int_equal(port_owner(port), PORT_OWNER_PROCESSES);
	assert_int_equal(region_bufs_free(world.region), spare);
	port_destroy(port);
	for (unsigned i = 0; i < PORTS; i++)
		port_destroy(world.ports[i]);
	rings += 2 * PORTS;

	config.tx_rings = 2;
	config.rx_rings = 1;
	config.tx_slots = 48;
	config.rx_slots = 0; /* as they asked for, even that */
	assert_int_equal(null_port_create(&port, &config, world.region, &error), 0);
	assert_int_equal(region_bufs_free(world.region), world.total - 2 * 48);
	assert_int_equal(region_rings_free(world.region), rings - 3);
	assert_int_equal(port_tx(port, 1)->ring->num_slots, 48);
	assert_int_equal(port_tx(port, 1)->ring->tail, 47);
	assert_int_equal(port_tx(port, 1)->ring->head, 0);
	assert_int_equal(port_rx(port, 0)->ring->num_slots, 0);
	assert_int_equal(port_rx(port, 0)->ring->tail, 0);
	assert_true(kring_slot_valid(port_tx(port, 0), port_tx(port, 0)->slots[47]));
	port_destroy(port);
	config.tx_rings = PTNET_MAX_RINGS / 2 + 1;
	assert_int_equal(null_port_create(&port, &config, world.region, &error), -EINVAL);
	config.tx_rings = 1;
	config.tx_slots = 49;
	assert_int_equal(null_port_create(&port, &config, world.region, &error), -EINVAL);
	assert_int_equal(region_bufs_free(world.region), world.total);
	assert_int_equal(vale_destroy(world.vale, NULL), 0);
	region_put(world.region);
}

/* What a null port's user does with its slots nobody can see: it counts as being at work. */
static void null_ports_are_always_in_use(void **state)
{
	struct port_config config = {
		.name = "null", .tx_rings = 1, .tx_slots = 4, .no_netmap_if = true};
	struct extra_buffers *extra, *other;
	struct port *port;

	(void)state;
	world_create(SPARE);
	uint32_t spare = region_bufs_free(world.region);
	assert_int_equal(null_port_create(&port, &config, world.region, NULL), 0);
	assert_int_equal(extra_buffers_take(&extra, world.region, 10), 10);
	assert_int_equal(extra_buffers_take(&other, world.region, 10), 10);
	extra_buffers_give_back(extra, 0); /* lost: there is another */
	extra_buffers_give_back(other, extra_buffers_head(other));
	assert_int_equal(region_bufs_free(world.region), spare - 4 - 10);
	port_destroy(port);
	assert_int_equal(region_bufs_free(world.region), spare);
	world_destroy();
}

/* ---- many programs, at random, against a model of who owns what ---- */

/*
 * A program has one or two ports open, all their rings, and buffers in hand. The model is
 * what each hand holds; slots and pool show the rest themselves.
 */
struct program {
	unsigned ports[2], num_ports;
	bool alive;
	struct extra_buffers *extra;
	uint32_t hand[MAX_HAND], in_hand;
	uint32_t first_head; /* what ni_bufs_head said at first */
};

static struct program programs[] = {
	{.ports = {0, 2}, .num_ports = 2}, /* between two pipes */
	{.ports = {1}, .num_ports = 1},
	{.ports = {3}, .num_ports = 1},
	{.ports = {4}, .num_ports = 1},
};
#define PROGRAMS (sizeof(programs) / sizeof(programs[0]))

/* Rings whose slots a dead program may have left in disorder. */
static bool messy[PORTS][2];

/* The ring that shares its slots, if its port is the end of a pipe. */
static bool *messy_peer(unsigned port, unsigned ring)
{
	return port < 2 * PIPES ? &messy[port ^ 1][1 - ring] : NULL;
}

static struct netmap_ring *shared_of(unsigned port, unsigned ring)
{
	return ring_of(port, ring)->ring;
}

/* How many slots from its head on are the program's to exchange. */
static uint32_t users_slots(unsigned port, unsigned ring)
{
	const struct netmap_ring *shared = shared_of(port, ring);

	return ring_distance(SLOTS, shared->head, world.csbs[port].ktoa[ring].hwtail);
}

static struct netmap_slot *random_slot(struct random *random, const struct program *program)
{
	unsigned port = program->ports[random_below(random, program->num_ports)];
	unsigned ring = random_below(random, 2);
	uint32_t count = users_slots(port, ring);

	if (count == 0)
		return NULL;
	return &shared_of(port, ring)
			->slot[ring_advance(SLOTS, shared_of(port, ring)->head,
					    random_below(random, count))];
}

static void sync_ring(unsigned port, unsigned ring)
{
	struct netmap_ring *shared = shared_of(port, ring);
	struct kring *tx = ring_of(port, ring);

	ptnet_csb_publish((struct nm_csb_atok *)&world.csbs[port].atok[ring], shared->head,
			  shared->cur);
	if (tx->dir == KRING_RX)
		return;
	pthread_mutex_lock(&tx->lock);
	assert_int_equal(tx->port->ops->run(tx, 512), PORT_DRY);
	pthread_mutex_unlock(&tx->lock);
}

static void program_moves(struct random *random, struct program *program)
{
	unsigned port = program->ports[random_below(random, program->num_ports)];
	unsigned ring = random_below(random, 2);
	uint32_t count = users_slots(port, ring);
	struct netmap_ring *shared = shared_of(port, ring);

	for (count = count > 0 ? random_below(random, count + 1) : 0; count > 0; count--) {
		struct netmap_slot *slot = &shared->slot[shared->head];

		if (ring == 0) {
			slot->len = 60;
			/* Packets begin with anything, also with the number of some buffer. */
			*word_of(slot->buf_idx) = random_below(random, 2 * world.total);
		}
		shared->head = shared->cur = ring_next(SLOTS, shared->head);
	}
	sync_ring(port, ring);
}

static void program_exchanges(struct random *random, struct program *program)
{
	struct netmap_slot *slot = random_slot(random, program);
	struct netmap_slot *other = random_slot(random, program);
	uint32_t buffer;

	if (slot == NULL)
		return;
	if (program->in_hand > 0 && random_below(random, 3) > 0) {
		uint32_t *hand = &program->hand[random_below(random, program->in_hand)];

		buffer = *hand;
		*hand = slot->buf_idx;
		slot->buf_idx = buffer;
	} else if (other != NULL) {
		buffer = other->buf_idx;
		other->buf_idx = slot->buf_idx;
		slot->buf_idx = buffer;
	}
}

static void program_opens(struct random *random, struct program *program, bool extra)
{
	int result = 0;

	for (unsigned i = 0; i < program->num_ports; i++)
		for (unsigned ring = 0; ring < 2 && result == 0; ring++) {
			unsigned port = program->ports[i];

			result = endpoint_start_ring(world.ports[port], ring, &world.csbs[port]);
			if (result == 0)
				messy[port][ring] = false;
			else
				assert_int_equal(result, -ENOMEM);
		}
	if (result < 0) {
		/* netmap, too, then opens nothing. */
		for (unsigned i = 0; i < program->num_ports; i++)
			for (unsigned ring = 0; ring < 2; ring++)
				endpoint_stop_ring(world.ports[program->ports[i]], ring);
		return;
	}
	program->alive = true;
	program->in_hand = 0;
	program->extra = NULL;
	if (!extra)
		return;
	uint32_t wanted = random_below(random, SPARE / 2);
	uint32_t got = (uint32_t)extra_buffers_take(&program->extra, world.region, wanted);

	assert_true(got <= wanted);
	program->first_head = extra_buffers_head(program->extra);
	program->in_hand = read_list(program->first_head, program->hand, MAX_HAND);
	assert_int_equal(program->in_hand, got);
}

/* Killed at some point of an exchange, or of several. */
static void leave_a_mess(struct random *random, struct program *program)
{
	for (unsigned n = random_below(random, 4); n > 0; n--) {
		struct netmap_slot *slot = random_slot(random, program);
		struct netmap_slot *other = random_slot(random, program);

		if (slot == NULL || other == NULL)
			continue;
		switch (random_below(random, 4)) {
		case 0:
			slot->buf_idx = other->buf_idx;
			break;
		case 1:
			slot->buf_idx = random_below(random, 2);
			break;
		case 2:
			slot->buf_idx = world.total + REGION_FIRST_BUF + random_below(random, 9);
			break;
		case 3:
			if (program->in_hand > 0)
				slot->buf_idx =
					program->hand[random_below(random, program->in_hand)];
			break;
		}
		/* Which ring it was does not matter: all of the program's may be in disorder. */
		for (unsigned i = 0; i < program->num_ports; i++)
			messy[program->ports[i]][0] = messy[program->ports[i]][1] = true;
	}
}

static bool in_others_hand(uint32_t buffer, const struct program *program)
{
	for (const struct program *other = programs; other < programs + PROGRAMS; other++)
		for (uint32_t i = 0; other != program && i < other->in_hand; i++)
			if (other->hand[i] == buffer)
				return true;
	return false;
}

/*
 * Words at random come to look like a whole list now and then, by running into somebody else's.
 * Nobody can tell such a list from the program's own.
 */
static bool looks_whole(uint32_t head, const struct program *program)
{
	bool others = false;
	uint32_t count = 0;

	for (; head >= REGION_FIRST_BUF && head < world.total + REGION_FIRST_BUF &&
	       count < program->in_hand;
	     head = *word_of(head), count++)
		others |= in_others_hand(head, program);
	return others && count == program->in_hand && head < REGION_FIRST_BUF;
}

static uint32_t last_words(struct random *random, struct program *program, bool dies)
{
	uint32_t count = program->in_hand;

	if (!dies)
		return write_list(program->hand, count);
	switch (random_below(random, 5)) {
	case 0:
		return program->first_head; /* never touched again: overwritten by packets */
	case 1:
		return 0;
	case 2:
		return random_below(random, 2 * world.total);
	default:
		return count > 0 ? break_list((enum broken_list)random_below(random, BROKEN_LISTS),
					      program->hand, count)
				 : 0;
	}
}

static void program_ends(struct random *random, struct program *program, bool dies)
{
	if (dies)
		leave_a_mess(random, program);
	uint32_t head = last_words(random, program, dies);
	if (looks_whole(head, program) && head != program->first_head)
		head = 0;
	bool extra_first = random_below(random, 2) == 0;

	program->alive = false;
	program->in_hand = 0;
	if (extra_first)
		extra_buffers_give_back(program->extra, head);
	for (unsigned i = 0; i < program->num_ports; i++)
		for (unsigned ring = 0; ring < 2; ring++) {
			unsigned port = program->ports[i];
			bool *peer = messy_peer(port, ring);

			endpoint_stop_ring(world.ports[port], ring);
			/* A pair that nobody has is one ring as far as buffers go. */
			if (peer != NULL && ring_of(port, ring)->peer->state == KRING_STOPPED)
				*peer = messy[port][ring] = *peer || messy[port][ring];
		}
	if (!extra_first)
		extra_buffers_give_back(program->extra, head);
}

static void count_held(uint8_t *places, unsigned port, unsigned ring)
{
	const struct kring *kring = ring_of(port, ring);
	uint32_t end = kring->dir == KRING_TX ? ring_next(SLOTS, kring->hwtail) : kring->hwtail;
	uint32_t count = ring_distance(SLOTS, kring->hwcur, end);

	/* All slots of a ring on a switch, and of a sender that nothing was taken of. */
	if (port >= 2 * PIPES || (kring->dir == KRING_TX && end == kring->hwcur))
		count = SLOTS;
	for (uint32_t n = 0; n < count; n++) {
		uint32_t index = ring_advance(SLOTS, kring->hwcur, n);

		assert_true(kring_slot_valid(kring, kring->slots[index]));
		places[kring->slots[index].buf_idx]++;
	}
}

/* Nothing is in two places; and what is in a slot or in a hand is handed out. */
static void check_places(void)
{
	static uint8_t places[2000];
	static uint64_t taken[2000 / 64 + 1];
	uint32_t handed_out = world.total - region_bufs_free(world.region), placed = 0;

	assert_true(world.total + REGION_FIRST_BUF <= sizeof(places));
	memset(places, 0, sizeof(places));
	for (unsigned port = 0; port < PORTS; port++)
		for (unsigned ring = 0; ring < 2; ring++)
			if (!messy[port][ring])
				count_held(places, port, ring);
	for (unsigned p = 0; p < PROGRAMS; p++)
		for (uint32_t i = 0; i < programs[p].in_hand; i++)
			places[programs[p].hand[i]]++;
	memset(taken, 0, sizeof(taken));
	region_bufs_taken(world.region, taken);
	for (uint32_t buffer = 0; buffer < world.total + REGION_FIRST_BUF; buffer++) {
		if (places[buffer] > 1)
			fail_msg("buffer %u is in %u places", buffer, places[buffer]);
		if (places[buffer] == 1 && (taken[buffer / 64] >> buffer % 64 & 1) == 0)
			fail_msg("buffer %u is in use and not handed out", buffer);
		placed += places[buffer];
	}
	assert_true(placed <= handed_out);
}

static void no_buffer_is_ever_in_two_places(void **state)
{
	struct random random;
	unsigned deaths = 0, openings = 0;

	(void)state;
	random_start(&random, "extra_buffers");
	for (unsigned world_number = 0; world_number < 20; world_number++) {
		world_create(world_number % 4 == 0 ? 20 : SPARE);
		memset(messy, 0, sizeof(messy));
		for (unsigned step = 0; step < 3000; step++) {
			struct program *program = &programs[random_below(&random, PROGRAMS)];
			unsigned what = random_below(&random, 100);

			if (!program->alive) {
				if (what < 20) {
					program_opens(&random, program, what % 2 == 0);
					openings += program->alive;
				}
			} else if (what < 45) {
				program_exchanges(&random, program);
			} else if (what < 95) {
				program_moves(&random, program);
			} else {
				program_ends(&random, program, what < 99);
				deaths += what < 99;
			}
			check_places();
		}
		for (unsigned p = 0; p < PROGRAMS; p++)
			if (programs[p].alive)
				program_ends(&random, &programs[p], p % 2 == 0);
		/* Nothing is lost any more; slots in disorder get theirs when they are mended. */
		assert_true(region_bufs_free(world.region) >= world.total - world.slots);
		for (unsigned p = 0; p < PROGRAMS; p++) {
			program_opens(&random, &programs[p], false);
			assert_true(programs[p].alive);
			check_places();
		}
		for (unsigned p = 0; p < PROGRAMS; p++)
			program_ends(&random, &programs[p], false);
		assert_int_equal(region_bufs_free(world.region), world.total - world.slots);
		world_destroy();
	}
	assert_true(deaths > 100 && openings > 100);
}

/* ---- while others are at it ---- */

struct worker_program {
	uint32_t hand[MAX_HAND], in_hand;
	bool stop;
	unsigned rounds;
};

static void exchange(struct netmap_slot *slot, uint32_t *hand)
{
	uint32_t buffer = PTNET_LOAD_RELAXED(&slot->buf_idx);

	PTNET_STORE_RELAXED(&slot->buf_idx, *hand);
	*hand = buffer;
}

/* Never rests: what it has in hand and what is in its slots changes all the time. */
static void *exchange_all_the_time(void *argument)
{
	struct worker_program *self = argument;
	struct netmap_slot *slots[] = {ring_of(0, 0)->slots, ring_of(2, 0)->slots};
	uint32_t next = 0, in_transit = self->hand[0];

	while (!__atomic_load_n(&self->stop, __ATOMIC_RELAXED)) {
		for (unsigned i = 0; i < 1000; i++) {
			next = (next + 7) % (2 * (SLOTS - 1));
			exchange(&slots[next % 2][next / 2], &self->hand[1 + i % 20]);
			exchange(&slots[1 - next % 2][next / 3], &in_transit);
		}
		__atomic_fetch_add(&self->rounds, 1, __ATOMIC_RELAXED);
	}
	self->hand[0] = in_transit;
	return NULL;
}

static void others_are_mended_while_one_exchanges(void **state)
{
	static struct worker_program program;
	struct extra_buffers *extra;
	uint8_t places[2000] = {0};
	pthread_t thread;

	(void)state;
	world_create(SPARE);
	memset(&program, 0, sizeof(program));
	assert_int_equal(endpoint_start_ring(world.ports[0], 0, &world.csbs[0]), 0);
	assert_int_equal(endpoint_start_ring(world.ports[2], 0, &world.csbs[2]), 0);
	assert_int_equal(extra_buffers_take(&extra, world.region, 21), 21);
	program.in_hand = read_list(extra_buffers_head(extra), program.hand, MAX_HAND);
	pthread_create(&thread, NULL, exchange_all_the_time, &program);
	for (unsigned round = 0; round < 300; round++) {
		struct netmap_slot *slots = ring_of(4, round % 2)->slots;
		unsigned before = __atomic_load_n(&program.rounds, __ATOMIC_RELAXED);

		while (__atomic_load_n(&program.rounds, __ATOMIC_RELAXED) == before)
			sched_yield();
		PTNET_STORE_RELAXED(&slots[round % SLOTS].buf_idx,
				    round % 3 == 2 ? UINT32_MAX : round % 3);
		int result = endpoint_start_ring(world.ports[4], round % 2, &world.csbs[4]);
		/* Each time one is lost, until there are none. */
		assert_true(result == 0 || result == -ENOMEM);
		if (result == 0)
			assert_true(kring_slot_valid(ring_of(4, round % 2), slots[round % SLOTS]));
		endpoint_stop_ring(world.ports[4], round % 2);
	}
	__atomic_store_n(&program.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	for (unsigned ring = 0; ring < 2; ring++)
		for (unsigned n = 0; n < SLOTS; n++) {
			uint32_t buffer = ring_of(4, ring)->slots[n].buf_idx;

			if (buffer >= REGION_FIRST_BUF)
				places[buffer]++;
			places[ring_of(2 * ring, 0)->slots[n].buf_idx]++;
		}
	for (unsigned i = 0; i < program.in_hand; i++)
		places[program.hand[i]]++;
	for (unsigned buffer = REGION_FIRST_BUF; buffer < sizeof(places); buffer++)
		assert_true(places[buffer] <= 1);
	extra_buffers_give_back(extra, write_list(program.hand, program.in_hand));
	endpoint_stop_ring(world.ports[0], 0);
	endpoint_stop_ring(world.ports[2], 0);
	for (unsigned ring = 0; ring < 2; ring++)
		assert_int_equal(endpoint_start_ring(world.ports[4], ring, &world.csbs[4]), 0);
	for (unsigned ring = 0; ring < 2; ring++)
		endpoint_stop_ring(world.ports[4], ring);
	assert_int_equal(region_bufs_free(world.region), world.total - world.slots);
	world_destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_get_what_there_is_as_a_list),
		cmocka_unit_test(whatever_the_list_says_all_comes_back),
		cmocka_unit_test(rather_lost_for_a_time_than_given_to_two),
		cmocka_unit_test(exchanged_buffers_belong_to_the_slots),
		cmocka_unit_test(what_may_be_in_hand_is_not_given_away),
		cmocka_unit_test(a_slot_cannot_help_itself_to_a_buffer),
#ifdef WATCHED_MEMORY
		cmocka_unit_test(half_an_exchange_may_take_its_time),
		cmocka_unit_test(nobody_waits_while_buffers_are_listed),
#endif
		cmocka_unit_test(what_is_lost_comes_back_while_others_work),
		cmocka_unit_test(null_ports_own_what_they_ask_for),
		cmocka_unit_test(null_ports_are_always_in_use),
		cmocka_unit_test(no_buffer_is_ever_in_two_places),
		cmocka_unit_test(others_are_mended_while_one_exchanges),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
