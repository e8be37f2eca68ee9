/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rings that host processes have open, one by one: what starting and stopping one
 * leaves and loses, who may sleep, and when a sync is answered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <ptnet/local.h>

#include "engine/endpoint.h"
#include "engine/engine.h"
#include "guest_fixture.h"
#include "port/buffers.h"
#include "port/pipe.h"
#include "port/vale.h"

#define SLOTS	 64u
#define BUF_SIZE 2048u
#define FOREVER	 20000 /* ms: longer than any machine needs */

/* A port as its processes have it: one CSB for all, an interrupt per ring. */
struct local {
	struct port *port;
	struct ptnet_local_csb csb;
	int interrupts[PTNET_MAX_RINGS];
} __attribute__((aligned(64)));

static struct {
	struct region *region;
	struct vale *vale;
	struct engine *engine; /* only in tests that need one */
	struct local ends[2];  /* two ports of the switch, or the two ends of a pipe */
} world;

static void local_init(struct local *local, struct port *port)
{
	memset(local, 0xa5, sizeof(*local)); /* what was there before must not matter */
	local->port = port;
	for (unsigned ring = 0; ring < port_num_rings(port); ring++) {
		int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

		assert_true(fd >= 0);
		local->interrupts[ring] = fd;
		assert_int_equal(endpoint_set_interrupt(port, ring, dup(fd)), 0);
	}
}

static void local_fini(struct local *local)
{
	for (unsigned ring = 0; ring < port_num_rings(local->port); ring++) {
		endpoint_stop_ring(local->port, ring);
		endpoint_set_interrupt(local->port, ring, -1);
		close(local->interrupts[ring]);
	}
	assert_false(endpoint_running(local->port));
	if (world.engine != NULL)
		engine_remove_port(world.engine, local->port);
	port_destroy(local->port);
}

static void world_create(bool engine, uint32_t look_max_us)
{
	struct engine_config engine_config = {.workers = 2, .look_max_us = look_max_us};
	struct vale_config vale_config = {.name = "vale0"};
	struct error error = {0};

	memset(&world, 0, sizeof(world));
	world.region = test_region(4, 2, SLOTS, BUF_SIZE);
	assert_int_equal(vale_create(&world.vale, &vale_config, &error), 0);
	if (engine && engine_create(&world.engine, &engine_config, &error) < 0)
		fail_msg("%s", error.text);
}

static void world_destroy(void)
{
	uint32_t total = region_geometry(world.region)->buf_pool.objtotal;

	local_fini(&world.ends[0]);
	local_fini(&world.ends[1]);
	assert_int_equal(region_bufs_free(world.region), total - REGION_FIRST_BUF);
	if (world.engine != NULL)
		engine_destroy(world.engine);
	assert_int_equal(vale_destroy(world.vale, NULL), 0);
	region_put(world.region);
}

static void add_end(unsigned end, struct port *port)
{
	local_init(&world.ends[end], port);
	if (world.engine != NULL)
		engine_add_port(world.engine, port);
}

static void add_switch_ports(void)
{
	struct port_config config = {
		.tx_rings = 2, .rx_rings = 2, .tx_slots = SLOTS, .rx_slots = SLOTS};
	struct error error = {0};
	struct port *port;

	for (unsigned end = 0; end < 2; end++) {
		strcpy(config.name, end == 0 ? "vale0:a" : "vale0:b");
		if (vale_port_create(&port, world.vale, &config, world.region, &error) < 0)
			fail_msg("%s", error.text);
		add_end(end, port);
	}
}

static void add_pipe(void)
{
	struct port_config config = {
		.name = "link{1", .tx_slots = SLOTS, .rx_slots = SLOTS, .no_netmap_if = true};
	struct error error = {0};
	struct port *ports[2];

	if (pipe_create(&ports[0], &ports[1], &config, world.region, &error) < 0)
		fail_msg("%s", error.text);
	add_end(0, ports[0]);
	add_end(1, ports[1]);
}

static void switch_create(void)
{
	world_create(false, 0);
	add_switch_ports();
}

static void pipe_create_world(void)
{
	world_create(false, 0);
	add_pipe();
}

/* ---- what a process does ---- */

static struct netmap_ring *shared(unsigned end, unsigned ring)
{
	return world.ends[end].port->rings[ring].ring;
}

static unsigned rx(unsigned end, unsigned index)
{
	return world.ends[end].port->tx_rings + index;
}

static struct ptnet_local_atok *atok(unsigned end, unsigned ring)
{
	return &world.ends[end].csb.atok[ring];
}

static struct ptnet_local_ktoa *ktoa(unsigned end, unsigned ring)
{
	return &world.ends[end].csb.ktoa[ring];
}

static void start(unsigned end, unsigned ring)
{
	assert_int_equal(endpoint_start_ring(world.ends[end].port, ring, &world.ends[end].csb), 0);
}

static void stop(unsigned end, unsigned ring)
{
	endpoint_stop_ring(world.ends[end].port, ring);
}

static char *buffer(unsigned end, unsigned ring, uint32_t index)
{
	struct netmap_ring *to = shared(end, ring);

	return (char *)to + to->buf_ofs + (size_t)to->slot[index].buf_idx * to->nr_buf_size;
}

/* Fills the next slot with a broadcast frame of a number, and moves head past it. */
static void fill(unsigned end, unsigned ring, uint8_t number)
{
	struct netmap_ring *to = shared(end, ring);
	char *data = buffer(end, ring, to->head);

	memset(data, 0xff, 6);
	memset(data + 6, 2, 6);
	memset(data + 12, number, 48);
	PTNET_STORE_RELAXED(&to->slot[to->head].len, 60);
	PTNET_STORE_RELAXED(&to->slot[to->head].flags, 0);
	to->head = to->cur = ring_next(to->num_slots, to->head);
}

static void publish(unsigned end, unsigned ring)
{
	ptnet_csb_publish((struct nm_csb_atok *)atok(end, ring), shared(end, ring)->head,
			  shared(end, ring)->cur);
}

static uint32_t available(unsigned end, unsigned ring)
{
	const struct netmap_ring *from = shared(end, ring);

	return ring_distance(from->num_slots, from->head,
			     PTNET_LOAD_ACQUIRE(&ktoa(end, ring)->hwtail));
}

/* Takes the next packet and gives its slot back at once. */
static void expect(unsigned end, unsigned ring, uint8_t number)
{
	struct netmap_ring *from = shared(end, ring);

	assert_true(available(end, ring) > 0);
	assert_int_equal(from->slot[from->head].len, 60);
	assert_int_equal((uint8_t)buffer(end, ring, from->head)[20], number);
	from->head = from->cur = ring_next(from->num_slots, from->head);
	publish(end, ring);
}

static bool interrupted(unsigned end, unsigned ring)
{
	uint64_t count;

	return read(world.ends[end].interrupts[ring], &count, sizeof(count)) > 0;
}

/* Without an engine: what its worker does when the ring is kicked. */
static void run(unsigned end, unsigned ring)
{
	struct kring *kring = &world.ends[end].port->rings[ring];
	enum port_work work;

	do {
		pthread_mutex_lock(&kring->lock);
		work = kring->port->ops->run(kring, 512);
		if (kring->state == KRING_RUNNING && kring_sync_answerable(kring))
			kring_push(kring);
		pthread_mutex_unlock(&kring->lock);
	} while (work == PORT_MORE || work == PORT_CROWDED);
}

static uint64_t counter(unsigned end, unsigned ring, enum ring_counter which)
{
	return ring_counter_get(&world.ends[end].port->rings[ring].counters, which);
}

/* ---- starting and stopping ---- */

static void a_started_ring_shows_nothing_of_its_past(void **state)
{
	struct netmap_ring *ring;
	struct ptnet_local_csb before;
	static const uint8_t zeroes[sizeof(ring->sem)];

	(void)state;
	switch_create();
	ring = shared(0, 1);
	memset(ring, 0xee, sizeof(*ring)); /* all of it can be written by whoever has it */
	before = world.ends[0].csb;
	assert_int_equal(endpoint_start_ring(world.ends[0].port, 4, &world.ends[0].csb), -EINVAL);
	start(0, 1);
	assert_int_equal(endpoint_start_ring(world.ends[0].port, 1, &world.ends[0].csb), -EBUSY);
	assert_int_equal(ring->num_slots, SLOTS);
	assert_int_equal(ring->nr_buf_size, BUF_SIZE);
	assert_int_equal(ring->ringid, 1);
	assert_int_equal(ring->dir, 0);
	assert_int_equal(ring->head, 0);
	assert_int_equal(ring->cur, 0);
	assert_int_equal(ring->tail, SLOTS - 1);
	assert_int_equal(ring->flags, 0);
	assert_int_equal(ring->offset_mask, 0);
	assert_memory_equal(ring->sem, zeroes, sizeof(zeroes));
	assert_int_equal(ring->slot[5].len, BUF_SIZE);
	assert_int_equal(atok(0, 1)->head, 0);
	assert_int_equal(atok(0, 1)->cur, 0);
	assert_int_equal(atok(0, 1)->appl_need_kick, 0); /* nobody sleeps */
	assert_int_equal(atok(0, 1)->sync_request, 0);
	assert_int_equal(atok(0, 1)->sync_lock, 0);
	assert_int_equal(atok(0, 1)->shown_tail, SLOTS - 1);
	assert_int_equal(ktoa(0, 1)->hwcur, 0);
	assert_int_equal(ktoa(0, 1)->hwtail, SLOTS - 1);
	assert_int_equal(ktoa(0, 1)->kern_need_kick, 1);
	assert_int_equal(ktoa(0, 1)->ring_fault, PTNET_FAULT_NONE);
	assert_int_equal(ktoa(0, 1)->sync_done, 0);
	/* The entries of other rings are other users'. */
	for (unsigned i = 0; i < PTNET_MAX_RINGS; i++) {
		if (i == 1)
			continue;
		assert_memory_equal(atok(0, i), &before.atok[i], sizeof(before.atok[i]));
		assert_memory_equal(ktoa(0, i), &before.ktoa[i], sizeof(before.ktoa[i]));
	}
	assert_true(endpoint_running(world.ends[0].port));
	stop(0, 1);
	assert_false(endpoint_running(world.ends[0].port));
	stop(0, 1);
	world_destroy();
}

static void a_ring_that_nobody_has_gets_nothing(void **state)
{
	(void)state;
	switch_create();
	start(0, 0);
	start(1, rx(1, 1)); /* broadcasts go to ring 0 */
	fill(0, 0, 1);
	publish(0, 0);
	run(0, 0);
	assert_int_equal(counter(1, rx(1, 0), RING_DROP_NOT_RUNNING), 1);
	start(1, rx(1, 0));
	fill(0, 0, 2);
	publish(0, 0);
	run(0, 0);
	expect(1, rx(1, 0), 2);
	/* One ring's end is not the others'. */
	stop(1, rx(1, 1));
	fill(0, 0, 3);
	publish(0, 0);
	run(0, 0);
	expect(1, rx(1, 0), 3);
	world_destroy();
}

static void what_waits_on_a_switch_is_lost_with_the_last_user(void **state)
{
	(void)state;
	switch_create();
	start(0, 0);
	start(1, rx(1, 0));
	for (uint8_t n = 0; n < 10; n++)
		fill(0, 0, n);
	publish(0, 0);
	run(0, 0);
	assert_int_equal(available(1, rx(1, 0)), 10);
	expect(1, rx(1, 0), 0);
	stop(1, rx(1, 0));
	start(1, rx(1, 0));
	assert_int_equal(shared(1, rx(1, 0))->head, 0);
	assert_int_equal(shared(1, rx(1, 0))->tail, 0);
	assert_int_equal(available(1, rx(1, 0)), 0);
	fill(0, 0, 77);
	publish(0, 0);
	run(0, 0);
	assert_int_equal(shared(1, rx(1, 0))->head, 0);
	expect(1, rx(1, 0), 77);
	world_destroy();
}

/* A sync takes slots before the descriptor can be closed; what was not synced is not sent. */
static void what_was_published_is_sent_before_the_ring_is_closed(void **state)
{
	(void)state;
	switch_create();
	start(0, 0);
	start(1, rx(1, 0));
	for (uint8_t n = 0; n < 40; n++)
		fill(0, 0, n);
	publish(0, 0);
	fill(0, 0, 99); /* killed with head ahead of what was synced */
	stop(0, 0);
	for (uint8_t n = 0; n < 40; n++)
		expect(1, rx(1, 0), n);
	assert_int_equal(available(1, rx(1, 0)), 0);
	start(0, 0);
	assert_int_equal(shared(0, 0)->head, 0);
	assert_int_equal(available(0, 0), SLOTS - 1);
	world_destroy();
}

static void bad_positions_end_with_the_ring(void **state)
{
	(void)state;
	switch_create();
	start(0, 0);
	atok(0, 0)->head = SLOTS;
	run(0, 0);
	assert_int_equal(ktoa(0, 0)->ring_fault, PTNET_FAULT_HEAD);
	assert_true(interrupted(0, 0));
	stop(0, 0);
	start(0, 0);
	assert_int_equal(ktoa(0, 0)->ring_fault, PTNET_FAULT_NONE);
	assert_int_equal(atok(0, 0)->head, 0);
	atok(0, 0)->cur = SLOTS + 3;
	stop(0, 0); /* nobody ran it: found at the last look */
	start(0, 0);
	assert_int_equal(atok(0, 0)->cur, 0);
	world_destroy();
}

static void a_pipe_keeps_what_waits_while_one_end_is_open(void **state)
{
	(void)state;
	pipe_create_world();
	start(0, 0);
	for (uint8_t n = 0; n < 5; n++)
		fill(0, 0, n);
	publish(0, 0);
	run(0, 0);
	start(1, rx(1, 0)); /* after the fact */
	assert_int_equal(shared(1, rx(1, 0))->tail, 5);
	expect(1, rx(1, 0), 0);
	expect(1, rx(1, 0), 1);
	shared(1, rx(1, 0))->head = 4; /* not synced: not given back */
	stop(1, rx(1, 0));
	start(1, rx(1, 0));
	assert_int_equal(shared(1, rx(1, 0))->head, 2);
	assert_int_equal(shared(1, rx(1, 0))->cur, 2);
	assert_int_equal(shared(1, rx(1, 0))->tail, 5);
	expect(1, rx(1, 0), 2);
	/* The sender goes: what it published is passed on, and its positions stay. */
	fill(0, 0, 5);
	publish(0, 0);
	stop(0, 0);
	expect(1, rx(1, 0), 3);
	expect(1, rx(1, 0), 4);
	expect(1, rx(1, 0), 5);
	start(0, 0);
	assert_int_equal(shared(0, 0)->head, 6);
	run(0, 0);
	assert_int_equal(available(0, 0), SLOTS - 1);
	fill(0, 0, 6);
	publish(0, 0);
	run(0, 0);
	expect(1, rx(1, 0), 6);
	world_destroy();
}

static void a_pipe_that_nobody_has_is_fresh(void **state)
{
	(void)state;
	pipe_create_world();
	start(0, 0);
	start(1, 0);
	for (uint8_t n = 0; n < 5; n++) {
		fill(0, 0, n);
		fill(1, 0, n);
	}
	publish(0, 0);
	publish(1, 0);
	run(0, 0);
	run(1, 0);
	start(1, rx(1, 0));
	expect(1, rx(1, 0), 0);
	/* Pair by pair: of the other direction one side is still open. */
	stop(1, rx(1, 0));
	stop(0, 0);
	start(1, rx(1, 0));
	assert_int_equal(shared(1, rx(1, 0))->head, 0);
	assert_int_equal(shared(1, rx(1, 0))->tail, 0);
	start(0, rx(0, 0));
	assert_int_equal(shared(0, rx(0, 0))->tail, 5);
	expect(0, rx(0, 0), 0);
	start(0, 0);
	assert_int_equal(shared(0, 0)->head, 0);
	assert_int_equal(shared(0, 0)->tail, SLOTS - 1);
	world_destroy();
}

/* ---- who sleeps ---- */

static void sleepers_are_counted_and_the_daemon_only_reads(void **state)
{
	(void)state;
	switch_create();
	start(0, 0);
	start(1, rx(1, 0));
	for (uint32_t sleepers = 0; sleepers < 4; sleepers++) {
		PTNET_STORE_RELAXED(&atok(1, rx(1, 0))->appl_need_kick, sleepers);
		fill(0, 0, (uint8_t)sleepers);
		publish(0, 0);
		run(0, 0);
		assert_int_equal(interrupted(1, rx(1, 0)), sleepers > 0);
		assert_int_equal(atok(1, rx(1, 0))->appl_need_kick, sleepers);
		expect(1, rx(1, 0), (uint8_t)sleepers);
	}
	world_destroy();
}

static void whoever_sleeps_on_a_closed_ring_is_told(void **state)
{
	(void)state;
	switch_create();
	for (unsigned ring = 0; ring < 4; ring++) {
		start(0, ring);
		stop(0, ring);
		assert_false(interrupted(0, ring)); /* nobody sleeps */
		start(0, ring);
		assert_int_equal(ktoa(0, ring)->ring_fault, PTNET_FAULT_NONE);
		atok(0, ring)->appl_need_kick = 1;
		stop(0, ring);
		assert_true(interrupted(0, ring));
		assert_int_equal(ktoa(0, ring)->ring_fault, PTNET_FAULT_GONE);
	}
	world_destroy();
}

static void a_port_that_goes_tells_its_users(void **state)
{
	(void)state;
	switch_create();
	start(0, 0);
	start(0, rx(0, 1));
	endpoint_fault(world.ends[0].port, PTNET_FAULT_GONE);
	assert_int_equal(ktoa(0, 0)->ring_fault, PTNET_FAULT_GONE);
	assert_int_equal(ktoa(0, rx(0, 1))->ring_fault, PTNET_FAULT_GONE);
	assert_true(interrupted(0, 0)); /* whoever did not say that it sleeps, too */
	assert_true(interrupted(0, rx(0, 1)));
	assert_false(interrupted(0, 1));
	world_destroy();
}

/* ---- syncs ---- */

/* Asks for another sync of what is published; returns the number to wait for. */
static uint32_t ask_again(unsigned end)
{
	uint32_t number = __atomic_add_fetch(&atok(end, 0)->sync_request, 1, __ATOMIC_RELEASE);

	endpoint_kick(world.ends[end].port, 0);
	return number;
}

/* Asks as TXSYNC does. */
static uint32_t ask(unsigned end)
{
	publish(end, 0);
	return ask_again(end);
}

static bool answered(unsigned end, uint32_t number)
{
	return (int32_t)(PTNET_LOAD_ACQUIRE(&ktoa(end, 0)->sync_done) - number) >= 0;
}

/* Sleeps until the sync is answered or the ring is stopped. */
static void await_sync(unsigned end, uint32_t number)
{
	struct pollfd fd = {.fd = world.ends[end].interrupts[0], .events = POLLIN};

	while (!answered(end, number) && PTNET_LOAD_ACQUIRE(&ktoa(end, 0)->ring_fault) == 0) {
		__atomic_fetch_add(&atok(end, 0)->appl_need_kick, 1, __ATOMIC_SEQ_CST);
		if (!answered(end, number) && PTNET_LOAD_ACQUIRE(&ktoa(end, 0)->ring_fault) == 0) {
			if (poll(&fd, 1, FOREVER) != 1)
				fail_msg("sync %u: nobody wakes", number);
			(void)interrupted(end, 0);
		}
		__atomic_fetch_sub(&atok(end, 0)->appl_need_kick, 1, __ATOMIC_SEQ_CST);
	}
}

static void txsync(unsigned end)
{
	uint32_t number = ask(end);

	await_sync(end, number);
	assert_int_equal(PTNET_LOAD_ACQUIRE(&ktoa(end, 0)->ring_fault), PTNET_FAULT_NONE);
	assert_true(answered(end, number));
	assert_int_equal(PTNET_LOAD_ACQUIRE(&ktoa(end, 0)->hwcur), shared(end, 0)->head);
}

static const uint32_t looks_us[] = {0, 1000};

static void a_sync_ends_when_the_switch_has_taken_all(void **state)
{
	(void)state;
	for (unsigned look = 0; look < 2; look++) {
		world_create(true, looks_us[look]);
		add_switch_ports();
		start(0, 0);
		start(1, rx(1, 0));
		for (unsigned round = 0; round < 3000; round++) {
			unsigned count = round % 5; /* none too: it must end all the same */

			for (unsigned n = 0; n < count; n++)
				fill(0, 0, (uint8_t)(round + n));
			txsync(0);
			assert_int_equal(available(0, 0), SLOTS - 1);
			/* No waiting: they are there. */
			for (unsigned n = 0; n < count; n++)
				expect(1, rx(1, 0), (uint8_t)(round + n));
		}
		world_destroy();
	}
}

static void a_sync_of_a_pipe_passes_on_and_takes_back(void **state)
{
	(void)state;
	for (unsigned look = 0; look < 2; look++) {
		world_create(true, looks_us[look]);
		add_pipe();
		start(0, 0);
		/* Without a reader, until it is full. */
		for (uint8_t n = 0; n < SLOTS - 1; n++) {
			fill(0, 0, n);
			if (n % 7 == 0)
				txsync(0);
		}
		txsync(0);
		assert_int_equal(available(0, 0), 0);
		txsync(0);
		start(1, rx(1, 0));
		for (uint8_t n = 0; n < SLOTS - 1; n++) {
			expect(1, rx(1, 0), n); /* releases in silence: no kick */
			txsync(0);
			assert_int_equal(available(0, 0), n + 1);
		}
		for (unsigned round = 0; round < 3000; round++) {
			fill(0, 0, (uint8_t)round);
			txsync(0);
			expect(1, rx(1, 0), (uint8_t)round);
		}
		world_destroy();
	}
}

/* Whoever asks waits for what was there then, not for what others go on publishing. */
static void a_sync_ends_although_others_go_on(void **state)
{
	struct kring *kring;
	uint32_t number;

	(void)state;
	switch_create();
	start(0, 0);
	kring = &world.ends[0].port->rings[0];
	for (unsigned round = 0; round < 100; round++) {
		for (uint8_t n = 0; n < 20; n++)
			fill(0, 0, n);
		number = ask(0);
		for (unsigned runs = 1; runs <= 5; runs++) {
			pthread_mutex_lock(&kring->lock);
			assert_int_equal(kring->port->ops->run(kring, 5), PORT_MORE);
			pthread_mutex_unlock(&kring->lock);
			assert_int_equal(answered(0, number), runs >= 4);
			for (uint8_t n = 0; n < 5; n++)
				fill(0, 0, n);
			publish(0, 0);
		}
		/* One who asks meanwhile has his turn next. */
		number = ask(0);
		run(0, 0);
		assert_true(answered(0, number));
	}
	world_destroy();
}

static void a_reader_that_dies_before_it_kicks_frees_its_sender(void **state)
{
	struct pollfd fd = {.events = POLLIN};

	(void)state;
	world_create(true, 0);
	add_pipe();
	start(0, 0);
	start(1, rx(1, 0));
	for (uint8_t n = 0; n < SLOTS - 1; n++)
		fill(0, 0, n);
	txsync(0);
	assert_int_equal(available(0, 0), 0);
	(void)interrupted(0, 0);
	__atomic_fetch_add(&atok(0, 0)->appl_need_kick, 1, __ATOMIC_SEQ_CST);
	expect(1, rx(1, 0), 0); /* published, and no kick */
	stop(1, rx(1, 0));
	fd.fd = world.ends[0].interrupts[0];
	assert_int_equal(poll(&fd, 1, FOREVER), 1);
	assert_int_equal(available(0, 0), 1);
	world_destroy();
}

static bool may_go_idle(unsigned end, unsigned ring)
{
	struct kring *kring = &world.ends[end].port->rings[ring];

	pthread_mutex_lock(&kring->lock);
	bool pending = kring->port->ops->enable_kicks(kring);
	pthread_mutex_unlock(&kring->lock);
	return !pending;
}

/* The same, when the sender's worker is just about to go idle: its wake-up is one too many. */
static void a_reader_that_dies_while_its_sender_goes_idle(void **state)
{
	(void)state;
	pipe_create_world();
	start(0, 0);
	start(1, rx(1, 0));
	for (uint8_t n = 0; n < SLOTS - 1; n++)
		fill(0, 0, n);
	publish(0, 0);
	run(0, 0);
	expect(1, rx(1, 0), 0);
	stop(1, rx(1, 0));
	assert_false(may_go_idle(0, 0));
	run(0, 0);
	assert_int_equal(available(0, 0), 1);
	assert_true(may_go_idle(0, 0));
	world_destroy();
}

static void a_sync_that_cannot_end_is_told_why(void **state)
{
	uint32_t number;

	(void)state;
	world_create(true, 0);
	add_switch_ports();
	start(0, 0);
	txsync(0);
	shared(0, 0)->head = shared(0, 0)->cur = SLOTS + 5;
	number = ask(0);
	await_sync(0, number);
	assert_int_equal(ktoa(0, 0)->ring_fault, PTNET_FAULT_HEAD);
	assert_false(answered(0, number));
	stop(0, 0);
	start(0, 0);
	/* Nothing is left of the one before: the numbers begin anew. */
	fill(0, 0, 1);
	txsync(0);
	assert_int_equal(ktoa(0, 0)->sync_done, 1);
	world_destroy();
}

static void *sync_until_stopped(void *argument)
{
	unsigned *syncs = argument;

	while (PTNET_LOAD_ACQUIRE(&ktoa(0, 0)->ring_fault) == 0) {
		/* Not ask(): the ring that stop() writes anew is not read here. */
		await_sync(0, ask_again(0));
		__atomic_fetch_add(syncs, 1, __ATOMIC_RELAXED);
	}
	return NULL;
}

/* One thread closes what another waits for. */
static void a_ring_may_be_stopped_under_a_sync(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 50; round++) {
		unsigned syncs = 0;
		pthread_t thread;

		world_create(true, round % 2 * 100);
		if (round % 4 < 2)
			add_switch_ports();
		else
			add_pipe();
		start(0, 0);
		pthread_create(&thread, NULL, sync_until_stopped, &syncs);
		while (__atomic_load_n(&syncs, __ATOMIC_RELAXED) < round)
			sched_yield();
		if (round % 3 == 0)
			endpoint_fault(world.ends[0].port, PTNET_FAULT_GONE);
		else
			stop(0, 0);
		pthread_join(thread, NULL);
		world_destroy();
	}
}

/* ---- buffers ---- */

static void one_ring_is_mended_while_others_run(void **state)
{
	uint32_t running;

	(void)state;
	switch_create();
	start(0, 0);
	start(1, rx(1, 0));
	running = shared(0, 0)->slot[3].buf_idx;
	shared(0, 1)->slot[0].buf_idx = running; /* killed in the middle of an exchange */
	shared(0, 1)->slot[1].buf_idx = 0;
	shared(0, 1)->slot[2].buf_idx = UINT32_MAX;
	shared(0, 1)->slot[3].buf_idx = shared(1, rx(1, 0))->slot[9].buf_idx;
	start(0, 1);
	assert_int_equal(shared(0, 0)->slot[3].buf_idx, running);
	for (unsigned n = 0; n < 4; n++) {
		uint32_t own = shared(0, 1)->slot[n].buf_idx;
		unsigned found = 0;

		assert_in_range(own, REGION_FIRST_BUF,
				region_geometry(world.region)->buf_pool.objtotal - 1);
		for (unsigned end = 0; end < 2; end++)
			for (unsigned ring = 0; ring < 4; ring++)
				for (unsigned i = 0; i < SLOTS; i++)
					found += shared(end, ring)->slot[i].buf_idx == own;
		assert_int_equal(found, 1);
		assert_int_equal(shared(0, 1)->slot[n].len, BUF_SIZE);
	}
	world_destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_started_ring_shows_nothing_of_its_past),
		cmocka_unit_test(a_ring_that_nobody_has_gets_nothing),
		cmocka_unit_test(what_waits_on_a_switch_is_lost_with_the_last_user),
		cmocka_unit_test(what_was_published_is_sent_before_the_ring_is_closed),
		cmocka_unit_test(bad_positions_end_with_the_ring),
		cmocka_unit_test(a_pipe_keeps_what_waits_while_one_end_is_open),
		cmocka_unit_test(a_pipe_that_nobody_has_is_fresh),
		cmocka_unit_test(sleepers_are_counted_and_the_daemon_only_reads),
		cmocka_unit_test(whoever_sleeps_on_a_closed_ring_is_told),
		cmocka_unit_test(a_port_that_goes_tells_its_users),
		cmocka_unit_test(a_sync_ends_when_the_switch_has_taken_all),
		cmocka_unit_test(a_sync_of_a_pipe_passes_on_and_takes_back),
		cmocka_unit_test(a_sync_ends_although_others_go_on),
		cmocka_unit_test(a_reader_that_dies_before_it_kicks_frees_its_sender),
		cmocka_unit_test(a_reader_that_dies_while_its_sender_goes_idle),
		cmocka_unit_test(a_sync_that_cannot_end_is_told_why),
		cmocka_unit_test(a_ring_may_be_stopped_under_a_sync),
		cmocka_unit_test(one_ring_is_mended_while_others_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
