/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine with real workers: threads play the guests, sleep on their interrupts
 * and kick as the protocol says. Whatever is lost shows as a wait that does not
 * end; the only times in here are guards against that, and generous.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/engine.h"
#include "engine/worker.h"
#include "guest_fixture.h"
#include "port/pipe.h"
#include "port/vale.h"

#define SLOTS	   64u
#define BUF_SIZE   2048u
#define HANG_MS	   60000
#define FRAME_SIZE 60u

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer) || __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* PTNET_TEST_ROUNDS for a long run by hand. */
static unsigned rounds_of(unsigned usual)
{
	const char *given = getenv("PTNET_TEST_ROUNDS");

	if (given != NULL)
		return (unsigned)strtoul(given, NULL, 0);
	return SANITIZED ? usual / 5 : usual;
}

/* cmocka's assertions are for the main thread only. */
static void die(const char *what, const struct guest *guest, unsigned ring)
{
	fprintf(stderr, "%s: port %s ring %u\n", what, guest->port->name, ring);
	abort();
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- a guest on a thread: sleeps and kicks ---- */

struct party {
	struct guest *guest;
	struct party *partner;
	unsigned rounds;
	/* Kicks go through eventfds that a worker watches, as a host process's do. */
	bool by_eventfd;
	int kick_fds[PTNET_MAX_RINGS];
	struct kick_watch {
		struct watch watch;
		struct port *port;
		unsigned ring;
	} watches[PTNET_MAX_RINGS];
	uint64_t kicks, sleeps;
};

static void kick(struct party *party, unsigned ring)
{
	struct guest *guest = party->guest;
	const uint64_t one = 1;
	bool must;

	/* A driver without the extension loads the flag without a barrier. */
	if (guest->legacy)
		must = PTNET_LOAD_RELAXED(&guest->ktoa[ring].kern_need_kick) != 0;
	else
		must = ptnet_csb_must_kick(&guest->ktoa[ring]);
	if (!must)
		return;
	party->kicks++;
	if (!party->by_eventfd)
		endpoint_kick(guest->port, ring);
	else if (write(party->kick_fds[ring], &one, sizeof(one)) < 0)
		die("cannot kick", guest, ring);
}

static void sleep_until_interrupted(struct party *party, unsigned ring)
{
	struct pollfd fd = {.fd = party->guest->interrupts[ring], .events = POLLIN};

	party->sleeps++;
	if (poll(&fd, 1, HANG_MS) != 1)
		die("a wake-up was lost", party->guest, ring);
	guest_interrupts(party->guest, ring);
}

/* Waits, as poll() on /dev/netmap does, until the ring has @count slots for us. */
static void await_slots(struct party *party, unsigned ring, uint32_t count)
{
	struct guest *guest = party->guest;
	struct netmap_ring *shared = guest->port->rings[ring].ring;

	while (guest_available(guest, ring) < count) {
		/* Wants to know of any progress, and says so. */
		shared->cur =
			ring_advance(shared->num_slots, shared->head, guest_available(guest, ring));
		guest_publish(guest, ring);
		kick(party, ring);
		ptnet_csb_enable_interrupt(&guest->atok[ring]);
		if (guest_available(guest, ring) < count)
			sleep_until_interrupted(party, ring);
		ptnet_csb_disable_interrupt(&guest->atok[ring]);
	}
	shared->cur = shared->head;
}

static void send_number(struct party *party, uint64_t number, uint64_t to, uint64_t from)
{
	unsigned ring = guest_tx(party->guest, 0);
	uint8_t frame[FRAME_SIZE] = {0};

	for (int i = 0; i < 6; i++) {
		frame[i] = (uint8_t)(to >> (40 - 8 * i));
		frame[6 + i] = (uint8_t)(from >> (40 - 8 * i));
	}
	memcpy(frame + 16, &number, sizeof(number));
	await_slots(party, ring, 1);
	guest_send(party->guest, 0, frame, sizeof(frame), BUF_SIZE);
	kick(party, ring);
}

static uint64_t receive_number(struct party *party)
{
	unsigned ring = guest_rx(party->guest, 0);
	uint8_t frame[BUF_SIZE];
	uint64_t number;

	await_slots(party, ring, 1);
	guest_receive(party->guest, 0, frame, sizeof(frame));
	kick(party, ring);
	memcpy(&number, frame + 16, sizeof(number));
	return number;
}

static void kick_arrived(struct watch *watch, uint32_t events)
{
	struct kick_watch *self = (struct kick_watch *)watch;
	uint64_t count;

	(void)events;
	if (read(watch->fd, &count, sizeof(count)) > 0)
		endpoint_kick(self->port, self->ring);
}

static void party_join(struct party *party, struct engine *engine, struct port *port, bool legacy,
		       bool by_eventfd)
{
	memset(party, 0, sizeof(*party));
	party->guest = aligned_alloc(64, sizeof(*party->guest));
	memset(party->guest, 0, sizeof(*party->guest));
	party->guest->legacy = legacy;
	party->by_eventfd = by_eventfd;
	guest_attach(party->guest, port);
	for (unsigned ring = 0; by_eventfd && ring < port_num_rings(port); ring++) {
		party->kick_fds[ring] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		party->watches[ring] = (struct kick_watch){
			.watch = {.fd = party->kick_fds[ring], .ready = kick_arrived},
			.port = port,
			.ring = ring,
		};
		assert_int_equal(worker_watch_add(engine_worker_of(engine, port),
						  &party->watches[ring].watch, EPOLLIN),
				 0);
	}
}

struct watch_removal {
	struct worker *worker;
	struct watch *watch;
};

static void watch_remove(void *argument)
{
	struct watch_removal *removal = argument;

	worker_watch_del(removal->worker, removal->watch);
}

static void party_leave(struct party *party, struct engine *engine)
{
	struct port *port = party->guest->port;

	for (unsigned ring = 0; party->by_eventfd && ring < port_num_rings(port); ring++) {
		struct watch_removal removal = {engine_worker_of(engine, port),
						&party->watches[ring].watch};

		worker_call(removal.worker, watch_remove, &removal);
		close(party->kick_fds[ring]);
	}
	guest_detach(party->guest);
	free(party->guest);
}

/* ---- two ports that reach each other, on an engine ---- */

enum kind { ON_SWITCH, ON_PIPE };

struct couple {
	struct engine *engine;
	struct vale *vale;
	struct port *ports[2];
};

static struct engine *engine_start(unsigned workers, unsigned look_max_us)
{
	struct engine_config config = {.workers = workers, .look_max_us = look_max_us};
	struct engine *engine;
	struct error error;

	if (engine_create(&engine, &config, &error) < 0)
		fail_msg("%s", error.text);
	return engine;
}

static struct port *switch_port(struct vale *vale, const char *name, unsigned rings, uint32_t slots)
{
	struct port_config config = {
		.tx_rings = rings, .rx_rings = rings, .tx_slots = slots, .rx_slots = slots};
	struct region *region = test_region(1, rings, slots, BUF_SIZE);
	struct error error = {0};
	struct port *port;

	snprintf(config.name, sizeof(config.name), "%s", name);
	if (vale_port_create(&port, vale, &config, region, &error) < 0)
		fail_msg("%s", error.text);
	region_put(region);
	return port;
}

static struct vale *switch_create(void)
{
	struct vale_config config = {.name = "vale0"};
	struct vale *vale;

	assert_int_equal(vale_create(&vale, &config, NULL), 0);
	return vale;
}

static void pipe_ports(struct port *ports[2], uint32_t slots)
{
	struct port_config config = {.name = "link{1", .tx_slots = slots, .rx_slots = slots};
	struct region *region = test_region(2, 1, slots, BUF_SIZE);
	struct error error = {0};

	if (pipe_create(&ports[0], &ports[1], &config, region, &error) < 0)
		fail_msg("%s", error.text);
	region_put(region);
}

static void port_remove(struct engine *engine, struct port *port)
{
	engine_remove_port(engine, port);
	port_destroy(port);
}

static void couple_create(struct couple *couple, enum kind kind, unsigned workers,
			  unsigned look_max_us)
{
	*couple = (struct couple){.engine = engine_start(workers, look_max_us)};
	if (kind == ON_SWITCH) {
		couple->vale = switch_create();
		couple->ports[0] = switch_port(couple->vale, "vale0:a", 1, SLOTS);
		couple->ports[1] = switch_port(couple->vale, "vale0:b", 1, SLOTS);
	} else {
		pipe_ports(couple->ports, SLOTS);
	}
	engine_add_port(couple->engine, couple->ports[0]);
	engine_add_port(couple->engine, couple->ports[1]);
}

static void couple_destroy(struct couple *couple)
{
	port_remove(couple->engine, couple->ports[0]);
	port_remove(couple->engine, couple->ports[1]);
	if (couple->vale != NULL)
		assert_int_equal(vale_destroy(couple->vale, NULL), 0);
	engine_destroy(couple->engine);
}

/* ---- no wake-up is lost ---- */

static void *ping(void *argument)
{
	struct party *self = argument;

	for (uint64_t n = 0; n < self->rounds; n++) {
		send_number(self, n, 0x020000000002, 0x020000000001);
		if (receive_number(self) != n)
			die("a packet was lost", self->guest, 0);
	}
	return NULL;
}

static void *pong(void *argument)
{
	struct party *self = argument;

	for (uint64_t n = 0; n < self->rounds; n++) {
		if (receive_number(self) != n)
			die("a packet was lost", self->guest, 0);
		send_number(self, n, 0x020000000001, 0x020000000002);
	}
	return NULL;
}

static void *send_all(void *argument)
{
	struct party *self = argument;

	for (uint64_t n = 0; n < self->rounds; n++)
		send_number(self, n, 0x020000000002, 0x020000000001);
	return NULL;
}

static void *receive_all(void *argument)
{
	struct party *self = argument;

	for (uint64_t n = 0; n < self->rounds; n++)
		if (receive_number(self) != n)
			die("a packet was lost", self->guest, 0);
	return NULL;
}

/* Over all settings of a test; without kicks and sleeps it would have tested nothing. */
static struct {
	uint64_t kicks, sleeps;
} played;

static void play(enum kind kind, unsigned workers, unsigned look_max_us, bool legacy[2],
		 bool by_eventfd, unsigned rounds, void *(*roles[2])(void *))
{
	struct party parties[2];
	pthread_t threads[2];
	struct couple couple;

	couple_create(&couple, kind, workers, look_max_us);
	for (unsigned i = 0; i < 2; i++) {
		party_join(&parties[i], couple.engine, couple.ports[i], legacy[i], by_eventfd);
		parties[i].rounds = rounds;
	}
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, roles[i], &parties[i]), 0);
	for (unsigned i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < 2; i++) {
		played.kicks += parties[i].kicks;
		played.sleeps += parties[i].sleeps;
		party_leave(&parties[i], couple.engine);
	}
	couple_destroy(&couple);
}

static void play_all_settings(enum kind kind, unsigned rounds, void *(*roles[2])(void *))
{
	static const unsigned workers[] = {1, 3}, looks[] = {0, 50};
	bool legacy[2] = {false, false};

	memset(&played, 0, sizeof(played));
	for (unsigned w = 0; w < 2; w++)
		for (unsigned l = 0; l < 2; l++)
			play(kind, workers[w], looks[l], legacy, l != w, rounds, roles);
	assert_true(played.kicks > 0);
	assert_true(played.sleeps > 0);
}

static void switch_loses_no_wakeup_in_ping_pong(void **state)
{
	(void)state;
	play_all_settings(ON_SWITCH, rounds_of(10000), (void *(*[])(void *)){ping, pong});
}

static void pipe_loses_no_wakeup_in_ping_pong(void **state)
{
	(void)state;
	play_all_settings(ON_PIPE, rounds_of(10000), (void *(*[])(void *)){ping, pong});
}

/* The sender is often out of room and sleeps too; a pipe loses nothing. */
static void pipe_loses_no_wakeup_in_a_stream(void **state)
{
	(void)state;
	play_all_settings(ON_PIPE, rounds_of(50000), (void *(*[])(void *)){send_all, receive_all});
}

static void drivers_without_a_barrier_lose_nothing_either(void **state)
{
	(void)state;
	for (unsigned mix = 1; mix < 4; mix++) {
		bool legacy[2] = {(mix & 1) != 0, (mix & 2) != 0};

		play(ON_SWITCH, 2, mix == 2 ? 50 : 0, legacy, false, rounds_of(5000),
		     (void *(*[])(void *)){ping, pong});
		play(ON_PIPE, 2, mix == 2 ? 50 : 0, legacy, false, rounds_of(5000),
		     (void *(*[])(void *)){ping, pong});
		play(ON_PIPE, 2, 0, legacy, false, rounds_of(20000),
		     (void *(*[])(void *)){send_all, receive_all});
	}
}

/* ---- the late looks at drivers without a barrier, made to matter ---- */

/* Done on the worker's thread, between two rounds of its loop. */
struct intervention {
	struct kring *tx;
	bool waiting_for_recheck; /* the ring is idle, and will be looked at again */
	void (*act)(struct intervention *intervention);
	struct party *party;
};

static void intervene(void *argument)
{
	struct intervention *intervention = argument;

	intervention->waiting_for_recheck = intervention->tx->sched_place == SCHED_RECHECK;
	if (intervention->waiting_for_recheck)
		intervention->act(intervention);
}

/*
 * Waits until the ring is idle and waits for a late look, then acts as a driver
 * does that saw the daemon's old flag: it publishes and does not kick. The worker
 * stands still meanwhile, so the late look comes after it.
 */
static void act_unheard(struct intervention *intervention)
{
	struct kring *tx = intervention->tx;

	for (unsigned tries = 0; tries < 100000; tries++) {
		tx->wake(tx); /* for nothing: it goes idle again */
		worker_call(tx->worker, intervene, intervention);
		if (intervention->waiting_for_recheck)
			return;
	}
	fail_msg("the ring is never looked at again");
}

static void send_unheard(struct intervention *intervention)
{
	uint8_t frame[FRAME_SIZE];

	memset(frame, 0xff, sizeof(frame));
	guest_send(intervention->party->guest, 0, frame, sizeof(frame), BUF_SIZE);
}

static void unheard_sends_are_found(void **state)
{
	uint8_t frame[BUF_SIZE];

	(void)state;
	for (enum kind kind = ON_SWITCH; kind <= ON_PIPE; kind++) {
		struct party sender, receiver;
		struct couple couple;

		couple_create(&couple, kind, 2, 0);
		party_join(&sender, couple.engine, couple.ports[0], true, false);
		party_join(&receiver, couple.engine, couple.ports[1], false, false);
		struct intervention intervention = {
			.tx = port_tx(couple.ports[0], 0), .act = send_unheard, .party = &sender};
		for (unsigned round = 0; round < 200; round++) {
			act_unheard(&intervention);
			await_slots(&receiver, 1, 1);
			assert_int_equal(guest_receive(receiver.guest, 0, frame, sizeof(frame)),
					 FRAME_SIZE);
		}
		assert_int_equal(sender.kicks, 0);
		party_leave(&sender, couple.engine);
		party_leave(&receiver, couple.engine);
		couple_destroy(&couple);
	}
}

static void release_unheard(struct intervention *intervention)
{
	uint8_t frame[BUF_SIZE];

	guest_receive(intervention->party->guest, 0, frame, sizeof(frame));
}

/* The reader of a pipe kicks the sender's ring: it may be the one without a barrier. */
static void unheard_releases_are_found(void **state)
{
	struct party sender, receiver;
	struct couple couple;

	(void)state;
	couple_create(&couple, ON_PIPE, 2, 0);
	party_join(&sender, couple.engine, couple.ports[0], false, false);
	party_join(&receiver, couple.engine, couple.ports[1], true, false);
	for (uint64_t n = 0; n < SLOTS - 1; n++)
		send_number(&sender, n, 1, 2);
	await_slots(&receiver, 1, SLOTS - 1);
	struct intervention intervention = {
		.tx = port_tx(couple.ports[0], 0), .act = release_unheard, .party = &receiver};
	for (unsigned round = 0; round < 200; round++) {
		/* The sender sleeps already when the reader releases. */
		await_slots(&receiver, 1, SLOTS - 1);
		ptnet_csb_enable_interrupt(&sender.guest->atok[0]);
		assert_int_equal(guest_available(sender.guest, 0), 0);
		act_unheard(&intervention);
		while (guest_available(sender.guest, 0) == 0)
			sleep_until_interrupted(&sender, 0);
		ptnet_csb_disable_interrupt(&sender.guest->atok[0]);
		send_number(&sender, round, 1, 2);
	}
	party_leave(&sender, couple.engine);
	party_leave(&receiver, couple.engine);
	couple_destroy(&couple);
}

static void wait_for_room_unheard(struct intervention *intervention)
{
	struct guest *guest = intervention->party->guest;
	uint32_t hwcur, hwtail;

	ptnet_csb_read(&guest->ktoa[0], &hwcur, &hwtail);
	ptnet_csb_publish(&guest->atok[0], guest->port->rings[0].ring->head, hwtail);
}

/* A sender that has room, but wants to know of more, says so with cur alone. */
static void an_unheard_wish_for_room_is_found(void **state)
{
	struct party sender, receiver;
	struct couple couple;

	(void)state;
	couple_create(&couple, ON_PIPE, 2, 0);
	party_join(&sender, couple.engine, couple.ports[0], true, false);
	party_join(&receiver, couple.engine, couple.ports[1], false, false);
	for (unsigned round = 0; round < 100; round++) {
		uint32_t hwcur, hwtail, before;

		send_number(&sender, round, 1, 2);
		await_slots(&receiver, 1, 1);
		struct intervention intervention = {.tx = port_tx(couple.ports[0], 0),
						    .act = wait_for_room_unheard,
						    .party = &sender};
		act_unheard(&intervention);
		ptnet_csb_read(&sender.guest->ktoa[0], &hwcur, &before);
		ptnet_csb_enable_interrupt(&sender.guest->atok[0]);
		/* The daemon must now ask the reader for kicks; then the release is heard of. */
		struct pollfd fd = {.fd = sender.guest->interrupts[0], .events = POLLIN};
		uint64_t until = now_ms() + HANG_MS;
		while (!ptnet_csb_must_kick(&receiver.guest->ktoa[1]) && poll(&fd, 1, 0) == 0) {
			if (now_ms() > until)
				fail_msg("the wish for room is never seen");
			sched_yield();
		}
		assert_int_equal(receive_number(&receiver), round);
		do {
			ptnet_csb_read(&sender.guest->ktoa[0], &hwcur, &hwtail);
			if (hwtail == before)
				sleep_until_interrupted(&sender, 0);
		} while (hwtail == before);
		ptnet_csb_disable_interrupt(&sender.guest->atok[0]);
	}
	party_leave(&sender, couple.engine);
	party_leave(&receiver, couple.engine);
	couple_destroy(&couple);
}

/* ---- idle workers sleep ---- */

struct place {
	struct kring *tx;
	bool nowhere;
};

static void place_of(void *argument)
{
	struct place *place = argument;

	place->nowhere = place->tx->sched_place == SCHED_NOWHERE;
}

/* Returns when the ring's worker will not touch it unless it is woken. */
static void await_idle(struct kring *tx)
{
	struct place place = {.tx = tx};

	do
		worker_call(tx->worker, place_of, &place);
	while (!place.nowhere);
}

static uint64_t all_wakeups(struct engine *engine)
{
	struct engine_worker_stats stats;
	uint64_t wakeups = 0;

	for (unsigned i = 0; i < engine_num_workers(engine); i++) {
		engine_worker_stats(engine, i, &stats);
		wakeups += stats.wakeups;
	}
	return wakeups;
}

/*
 * Each synchronisation wakes each worker once. Were there a timer, or a ring that
 * is still looked at, there would be more wake-ups than that.
 */
static void idle_workers_do_not_wake(void **state)
{
	(void)state;
	for (unsigned setting = 0; setting < 4; setting++) {
		bool legacy = (setting & 1) != 0;
		struct party parties[2];
		struct couple couple;

		couple_create(&couple, (setting & 2) != 0 ? ON_PIPE : ON_SWITCH, 2, 50);
		for (unsigned i = 0; i < 2; i++)
			party_join(&parties[i], couple.engine, couple.ports[i], legacy, true);
		for (uint64_t n = 0; n < 100; n++) {
			send_number(&parties[0], n, 0x020000000002, 0x020000000001);
			assert_int_equal(receive_number(&parties[1]), n);
		}
		for (unsigned i = 0; i < 2; i++)
			await_idle(port_tx(couple.ports[i], 0));
		engine_synchronize(couple.engine);
		uint64_t before = all_wakeups(couple.engine), calls = 0;
		uint64_t until = now_ms() + 100;
		for (; now_ms() < until; calls++)
			engine_synchronize(couple.engine);
		uint64_t wakeups = all_wakeups(couple.engine) - before;
		/* One per worker may be left over from before. */
		assert_in_range(wakeups, 0, (calls + 1) * engine_num_workers(couple.engine));
		for (unsigned i = 0; i < 2; i++)
			party_leave(&parties[i], couple.engine);
		couple_destroy(&couple);
	}
}

/* ---- fairness ---- */

#define BUSY_RINGS 8u
#define BUSY_TURNS 300u

/* A port whose rings always have work. */
struct busy {
	struct port port;
	struct kring *rings;
	unsigned runs[BUSY_RINGS];   /* the worker's */
	unsigned before[BUSY_RINGS]; /* when all had been woken */
	bool all_woken;
	bool stop;
	struct watch watch; /* always ready */
	unsigned turns, widest;
	int done_fd;
};

static struct busy *busy_of(struct port *port)
{
	return (struct busy *)((char *)port - offsetof(struct busy, port));
}

static enum port_work busy_run(struct kring *kring, unsigned budget)
{
	struct busy *busy = busy_of(kring->port);

	(void)budget;
	busy->runs[kring->index]++;
	return busy->stop ? PORT_DRY : kring->index % 2 == 0 ? PORT_MORE : PORT_CROWDED;
}

static bool busy_never(struct kring *kring)
{
	(void)kring;
	return false;
}

static void busy_nothing(struct port *port)
{
	(void)port;
}

/* Between two rounds of the worker: compares how often each ring has run. */
static void busy_compare(struct watch *watch, uint32_t events)
{
	struct busy *busy = (struct busy *)((char *)watch - offsetof(struct busy, watch));
	unsigned least = UINT_MAX, most = 0;
	const uint64_t one = 1;

	(void)events;
	for (unsigned i = 0; i < BUSY_RINGS; i++) {
		unsigned runs = busy->runs[i] - busy->before[i];

		least = runs < least ? runs : least;
		most = runs > most ? runs : most;
	}
	if (!busy->all_woken) { /* that comes one by one, with any time between */
		busy->all_woken = least > 0;
		memcpy(busy->before, busy->runs, busy->all_woken ? sizeof(busy->before) : 0);
		return;
	}
	busy->widest = most - least > busy->widest ? most - least : busy->widest;
	if (++busy->turns == BUSY_TURNS && write(busy->done_fd, &one, sizeof(one)) < 0)
		abort();
}

static void busy_stop(void *argument)
{
	struct busy *busy = argument;

	busy->stop = true;
	worker_watch_del(busy->port.rings[0].worker, &busy->watch);
}

/* Neither another ring nor descriptors nor calls wait for a ring that is never done. */
static void busy_rings_take_turns(void **state)
{
	static const struct port_ops ops = {
		.type = "busy",
		.run = busy_run,
		.pending = busy_never,
		.enable_kicks = busy_never,
		.unpublish = busy_nothing,
		.detach = busy_nothing,
	};
	static struct kring rings[BUSY_RINGS];
	static struct busy busy;
	struct engine *engine = engine_start(1, 0);

	(void)state;
	busy = (struct busy){
		.port = {.ops = &ops, .tx_rings = BUSY_RINGS, .rings = rings},
		.watch = {.fd = eventfd(1, EFD_CLOEXEC), .ready = busy_compare},
		.done_fd = eventfd(0, EFD_CLOEXEC),
	};
	for (unsigned i = 0; i < BUSY_RINGS; i++) {
		rings[i] = (struct kring){.port = &busy.port,
					  .index = (uint16_t)i,
					  .state = KRING_RUNNING,
					  .extension = true};
		pthread_mutex_init(&rings[i].lock, NULL);
	}
	engine_add_port(engine, &busy.port);
	assert_int_equal(worker_watch_add(engine_worker(engine, 0), &busy.watch, EPOLLIN), 0);
	for (unsigned i = 0; i < BUSY_RINGS; i++)
		rings[i].wake(&rings[i]);
	struct pollfd fd = {.fd = busy.done_fd, .events = POLLIN};
	assert_int_equal(poll(&fd, 1, HANG_MS), 1);
	worker_call(engine_worker(engine, 0), busy_stop, &busy);
	engine_remove_port(engine, &busy.port);
	assert_in_range(busy.widest, 0, 1);
	for (unsigned i = 0; i < BUSY_RINGS; i++)
		assert_true(busy.runs[i] - busy.before[i] >= BUSY_TURNS - 1);
	engine_destroy(engine);
	close(busy.watch.fd);
	close(busy.done_fd);
}

/* ---- stop, start and remove under traffic ---- */

struct talker {
	struct party party;
	pthread_t thread;
	_Atomic bool stop;
	_Atomic uint64_t sent;
	uint64_t to, from;
};

/* Sends whenever there is room, listens whenever something came; sleeps never. */
static void *talk(void *argument)
{
	struct talker *talker = argument;
	struct guest *guest = talker->party.guest;
	uint8_t frame[BUF_SIZE];

	for (uint64_t n = 0; !talker->stop; n++) {
		if (guest_available(guest, guest_tx(guest, 0)) > 0) {
			send_number(&talker->party, n, n % 2 == 0 ? talker->to : 0xffffffffffff,
				    talker->from);
			talker->sent++;
		} else {
			sched_yield();
		}
		while (guest_receive(guest, 0, frame, sizeof(frame)) >= 0)
			kick(&talker->party, guest_rx(guest, 0));
	}
	return NULL;
}

static void talker_start(struct talker *talker, struct engine *engine, struct port *port,
			 uint64_t from)
{
	memset(talker, 0, sizeof(*talker));
	talker->to = 0x020000000099;
	talker->from = from;
	party_join(&talker->party, engine, port, false, false);
	assert_int_equal(pthread_create(&talker->thread, NULL, talk, talker), 0);
}

static void talker_stop(struct talker *talker, struct engine *engine)
{
	talker->stop = true;
	pthread_join(talker->thread, NULL);
	party_leave(&talker->party, engine);
}

/* Returns once a packet was sent after the call. */
static void await_traffic(struct talker *talker)
{
	uint64_t before = talker->sent;

	while (talker->sent == before)
		sched_yield();
}

struct noisy {
	struct engine *engine;
	struct vale *vale;
	struct port *ports[2];
	struct talker talkers[2];
};

static void noisy_create(struct noisy *noisy)
{
	noisy->engine = engine_start(3, 20);
	noisy->vale = switch_create();
	noisy->ports[0] = switch_port(noisy->vale, "vale0:a", 1, SLOTS);
	noisy->ports[1] = switch_port(noisy->vale, "vale0:b", 1, SLOTS);
	for (unsigned i = 0; i < 2; i++) {
		engine_add_port(noisy->engine, noisy->ports[i]);
		talker_start(&noisy->talkers[i], noisy->engine, noisy->ports[i],
			     0x020000000001 + i);
	}
}

static void noisy_destroy(struct noisy *noisy)
{
	for (unsigned i = 0; i < 2; i++) {
		talker_stop(&noisy->talkers[i], noisy->engine);
		port_remove(noisy->engine, noisy->ports[i]);
	}
	assert_int_equal(vale_destroy(noisy->vale, NULL), 0);
	engine_destroy(noisy->engine);
}

/* The region is unmapped each time: whoever still used it would crash. */
static void ports_come_and_go_under_traffic(void **state)
{
	static struct noisy noisy;
	unsigned rounds = rounds_of(1000);
	struct party visitor;

	(void)state;
	noisy_create(&noisy);
	for (unsigned round = 0; round < rounds; round++) {
		struct port *port = switch_port(noisy.vale, "vale0:visitor", 1 + round % 3, SLOTS);

		engine_add_port(noisy.engine, port);
		party_join(&visitor, noisy.engine, port, false, round % 2 == 0);
		send_number(&visitor, round, 0x020000000001, 0x020000000099);
		if (round % 4 == 0)
			await_slots(&visitor, guest_rx(visitor.guest, 0), 1);
		party_leave(&visitor, noisy.engine);
		port_remove(noisy.engine, port);
	}
	await_traffic(&noisy.talkers[0]);
	await_traffic(&noisy.talkers[1]);
	noisy_destroy(&noisy);
}

/* The CSB is unmapped as soon as endpoint_stop() returns. */
static void endpoints_stop_and_start_under_traffic(void **state)
{
	const size_t size = 2 * PTNET_MAX_RINGS * sizeof(struct nm_csb_atok);
	unsigned rounds = rounds_of(1000);
	static struct noisy noisy;

	(void)state;
	noisy_create(&noisy);
	struct port *port = switch_port(noisy.vale, "vale0:victim", 2, SLOTS);
	engine_add_port(noisy.engine, port);
	for (unsigned round = 0; round < rounds; round++) {
		struct nm_csb_atok *atok = mmap(NULL, size, PROT_READ | PROT_WRITE,
						MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		struct endpoint_csb csb = {
			.atok = atok,
			.ktoa = (struct nm_csb_ktoa *)(atok + PTNET_MAX_RINGS),
			.extension = round % 2 == 0,
		};

		assert_ptr_not_equal(atok, MAP_FAILED);
		endpoint_start(port, &csb);
		endpoint_start(port, &csb); /* nothing happens */
		assert_true(endpoint_running(port));
		/* Two packets are on their way when it stops. */
		for (unsigned ring = 0; ring < 2; ring++) {
			uint32_t next = ring_next(SLOTS, PTNET_LOAD_RELAXED(&atok[ring].head));

			ptnet_csb_publish(&atok[ring], next, next);
			endpoint_kick(port, ring);
		}
		if (round % 3 == 0)
			await_traffic(&noisy.talkers[round % 2]);
		endpoint_stop(port);
		endpoint_stop(port);
		assert_false(endpoint_running(port));
		munmap(atok, size);
		if (round % 5 == 0)
			endpoint_reset(port);
		endpoint_kick(port, round % 4); /* late, and harmless */
	}
	port_remove(noisy.engine, port);
	noisy_destroy(&noisy);
}

/* ---- a port is not freed while somebody is delivering to it ---- */

struct removal {
	struct engine *engine;
	struct port *port;
	_Atomic bool done;
};

static void *remove_port(void *argument)
{
	struct removal *removal = argument;

	engine_remove_port(removal->engine, removal->port);
	removal->done = true;
	return NULL;
}

/* glibc: 2 while somebody waits for the lock. */
static bool contended(pthread_mutex_t *lock)
{
	return __atomic_load_n(&lock->__data.__lock, __ATOMIC_RELAXED) == 2;
}

static void removal_waits_for_those_who_deliver(void **state)
{
	struct engine *engine = engine_start(3, 0);
	struct vale *vale = switch_create();
	struct port *ports[2] = {switch_port(vale, "vale0:a", 1, SLOTS),
				 switch_port(vale, "vale0:b", 1, SLOTS)};
	struct removal removal = {.engine = engine, .port = ports[1]};
	struct party parties[2];
	pthread_t thread;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		engine_add_port(engine, ports[i]);
		party_join(&parties[i], engine, ports[i], false, false);
	}
	assert_ptr_not_equal(engine_worker_of(engine, ports[0]),
			     engine_worker_of(engine, ports[1]));
	/* A worker is about to deliver to the second port. */
	struct kring *rx = port_rx(ports[1], 0);
	pthread_mutex_lock(&rx->lock);
	send_number(&parties[0], 1, 0xffffffffffff, 1);
	while (!contended(&rx->lock))
		sched_yield();
	assert_int_equal(pthread_create(&thread, NULL, remove_port, &removal), 0);
	while (vale_port(vale, 1) != NULL)
		sched_yield();
	/* What must not happen has some time to happen in. */
	for (uint64_t until = now_ms() + 50; now_ms() < until; sched_yield())
		assert_false(removal.done);
	pthread_mutex_unlock(&rx->lock);
	pthread_join(thread, NULL);
	assert_int_equal(receive_number(&parties[1]), 1);
	party_leave(&parties[1], engine);
	port_destroy(ports[1]);
	party_leave(&parties[0], engine);
	port_remove(engine, ports[0]);
	assert_int_equal(vale_destroy(vale, NULL), 0);
	engine_destroy(engine);
}

/* ... and the CSB is not given up while somebody is using it. */
static void *stop_port(void *argument)
{
	struct removal *removal = argument;

	endpoint_stop(removal->port);
	removal->done = true;
	return NULL;
}

static void stopping_waits_for_those_who_use_the_csb(void **state)
{
	struct port *ports[2];
	struct removal removal = {0};
	struct party party;
	pthread_t thread;
	struct engine *engine = engine_start(1, 0);

	(void)state;
	pipe_ports(ports, SLOTS);
	party_join(&party, engine, ports[0], false, false);
	removal.port = ports[0];
	for (unsigned ring = 0; ring < 2; ring++) {
		struct kring *kring = &ports[0]->rings[ring];

		removal.done = false;
		pthread_mutex_lock(&kring->lock);
		assert_int_equal(pthread_create(&thread, NULL, stop_port, &removal), 0);
		while (!contended(&kring->lock) && !removal.done)
			sched_yield();
		assert_false(removal.done);
		pthread_mutex_unlock(&kring->lock);
		pthread_join(thread, NULL);
		guest_detach(party.guest);
		guest_attach(party.guest, ports[0]);
	}
	party_leave(&party, engine);
	port_destroy(ports[0]);
	port_destroy(ports[1]);
	engine_destroy(engine);
}

/* Accepted and not yet passed on when the endpoint stopped: no kick will come for it. */
static void a_start_resumes_what_a_stop_interrupted(void **state)
{
	struct party parties[2];
	struct couple couple;

	(void)state;
	couple_create(&couple, ON_PIPE, 1, 0);
	for (unsigned i = 0; i < 2; i++)
		party_join(&parties[i], couple.engine, couple.ports[i], false, false);
	struct kring *tx = port_tx(couple.ports[0], 0);
	for (unsigned round = 0; round < 20; round++) {
		uint8_t frame[FRAME_SIZE] = {0};

		await_idle(tx);
		for (unsigned n = 0; n < 10; n++)
			guest_fill(parties[0].guest, 0, frame, sizeof(frame), BUF_SIZE);
		/* The worker looks again at rings of drivers without a fence: not now. */
		pthread_mutex_lock(&tx->lock);
		guest_publish(parties[0].guest, 0);
		assert_int_equal(tx->port->ops->run(tx, 1), PORT_MORE);
		pthread_mutex_unlock(&tx->lock);
		guest_detach(parties[0].guest);
		guest_attach(parties[0].guest, couple.ports[0]);
		for (unsigned n = 0; n < 10; n++)
			receive_number(&parties[1]);
	}
	assert_int_equal(parties[0].kicks, 0);
	for (unsigned i = 0; i < 2; i++)
		party_leave(&parties[i], couple.engine);
	couple_destroy(&couple);
}

static void pipe_ends_leave_under_traffic(void **state)
{
	struct engine *engine = engine_start(3, 20);
	unsigned rounds = rounds_of(300);

	(void)state;
	for (unsigned round = 0; round < rounds; round++) {
		struct port *ports[2];
		static struct talker talkers[2];
		unsigned first = round % 2;

		pipe_ports(ports, SLOTS);
		for (unsigned i = 0; i < 2; i++) {
			engine_add_port(engine, ports[i]);
			talker_start(&talkers[i], engine, ports[i], 1);
		}
		await_traffic(&talkers[round % 2]);
		talker_stop(&talkers[first], engine);
		port_remove(engine, ports[first]);
		/* The other goes on as if nobody read. */
		talker_stop(&talkers[1 - first], engine);
		port_remove(engine, ports[1 - first]);
	}
	engine_destroy(engine);
}

/* Like a VM's end that is closed and opened while the other stays. */
static void pipe_ends_reopen_under_traffic(void **state)
{
	unsigned rounds = rounds_of(500);
	static struct talker talker;
	struct party visitor;
	struct couple couple;

	(void)state;
	couple_create(&couple, ON_PIPE, 2, 0);
	talker_start(&talker, couple.engine, couple.ports[0], 1);
	for (unsigned round = 0; round < rounds; round++) {
		party_join(&visitor, couple.engine, couple.ports[1], round % 2 == 0, false);
		receive_number(&visitor);
		send_number(&visitor, round, 1, 2);
		party_leave(&visitor, couple.engine);
		endpoint_reset(couple.ports[1]);
	}
	talker_stop(&talker, couple.engine);
	couple_destroy(&couple);
}

/* ---- watches and calls ---- */

struct scene {
	struct worker *worker;
	struct actor {
		struct watch watch;
		struct scene *scene;
		unsigned called;
	} actors[3];
	unsigned thread_wrong;
	pthread_t thread;
};

static void actor_deletes_the_others(struct watch *watch, uint32_t events)
{
	struct actor *self = (struct actor *)watch;
	struct scene *scene = self->scene;

	(void)events;
	self->called++;
	for (unsigned i = 0; i < 3; i++)
		worker_watch_del(scene->worker, &scene->actors[i].watch);
}

static void actors_join(void *argument)
{
	struct scene *scene = argument;

	/* On the worker, so that all three are ready in one fetch. */
	for (unsigned i = 0; i < 3; i++)
		worker_watch_add(scene->worker, &scene->actors[i].watch, EPOLLIN);
}

static void a_deleted_watch_is_not_called_again(void **state)
{
	struct engine *engine = engine_start(1, 0);
	struct scene scene = {.worker = engine_worker(engine, 0)};
	struct engine_worker_stats stats;

	(void)state;
	for (unsigned round = 0; round < 500; round++) {
		for (unsigned i = 0; i < 3; i++)
			scene.actors[i] = (struct actor){
				.scene = &scene,
				.watch = {.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK),
					  .ready = actor_deletes_the_others},
			};
		worker_call(scene.worker, actors_join, &scene);
		/* Each call lets the worker go round once more. */
		do {
			engine_synchronize(engine);
			engine_worker_stats(engine, 0, &stats);
		} while (stats.watches > 0);
		engine_synchronize(engine);
		assert_int_equal(scene.actors[0].called + scene.actors[1].called +
					 scene.actors[2].called,
				 1);
		for (unsigned i = 0; i < 3; i++)
			close(scene.actors[i].watch.fd);
	}
	engine_destroy(engine);
}

struct chain {
	struct watch watch;
	struct worker *worker;
	struct chain *next; /* to be watched by the handler of this one */
	int done_fd;
};

static void chain_on(struct watch *watch, uint32_t events)
{
	struct chain *self = (struct chain *)watch;
	const uint64_t one = 1;

	if ((events & EPOLLIN) == 0)
		abort();
	worker_watch_del(self->worker, watch);
	if (self->next != NULL)
		worker_watch_add(self->worker, &self->next->watch, EPOLLIN);
	else if (write(self->done_fd, &one, sizeof(one)) < 0)
		abort();
}

static void handlers_may_add_and_delete_watches(void **state)
{
	struct engine *engine = engine_start(1, 0);
	struct engine_worker_stats stats;
	struct chain chain[50];
	int done_fd = eventfd(0, EFD_CLOEXEC);
	struct pollfd fd = {.fd = done_fd, .events = POLLIN};

	(void)state;
	for (unsigned i = 0; i < 50; i++)
		chain[i] = (struct chain){
			.watch = {.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK), .ready = chain_on},
			.worker = engine_worker(engine, 0),
			.next = i < 49 ? &chain[i + 1] : NULL,
			.done_fd = done_fd,
		};
	assert_int_equal(worker_watch_add(chain[0].worker, &chain[0].watch, EPOLLIN), 0);
	assert_int_equal(poll(&fd, 1, HANG_MS), 1);
	engine_synchronize(engine);
	engine_worker_stats(engine, 0, &stats);
	assert_int_equal(stats.watches, 0);
	for (unsigned i = 0; i < 50; i++)
		close(chain[i].watch.fd);
	/* What cannot be watched is refused. */
	assert_true(worker_watch_add(chain[0].worker, &chain[0].watch, EPOLLIN) < 0);
	engine_worker_stats(engine, 0, &stats);
	assert_int_equal(stats.watches, 0);
	close(done_fd);
	engine_destroy(engine);
}

struct count_call {
	struct worker *worker;
	pthread_t thread;
	unsigned count, inner;
};

static void inner_call(void *argument)
{
	struct count_call *call = argument;

	call->inner++;
}

static void outer_call(void *argument)
{
	struct count_call *call = argument;

	call->count++;
	call->thread = pthread_self();
	worker_call(call->worker, inner_call, call); /* its own: a plain call */
}

/* Plain variables: what a call did is visible when it returns. */
static void calls_run_on_the_worker_and_are_awaited(void **state)
{
	struct engine *engine = engine_start(3, 0);
	unsigned rounds = rounds_of(10000);

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct count_call call = {.worker = engine_worker(engine, i)};

		for (unsigned round = 1; round <= rounds; round++) {
			worker_call(call.worker, outer_call, &call);
			assert_int_equal(call.count, round);
			assert_int_equal(call.inner, round);
		}
		assert_false(pthread_equal(call.thread, pthread_self()));
		assert_true(pthread_equal(call.thread, call.worker->thread));
	}
	assert_null(engine_worker(engine, 3));
	engine_destroy(engine);
}

/* ---- configuration ---- */

static void configurations_are_checked(void **state)
{
	struct engine_config config = {.workers = 257};
	struct engine *engine;
	struct error error;

	(void)state;
	assert_int_equal(engine_create(&engine, &config, &error), -EINVAL);
	assert_non_null(strstr(error.text, "workers 257"));
	config = (struct engine_config){.look_max_us = 1001};
	assert_int_equal(engine_create(&engine, &config, &error), -EINVAL);
	assert_non_null(strstr(error.text, "look_max_us 1001"));
	config = (struct engine_config){.workers = 0, .look_max_us = 1000, .pin = true};
	assert_int_equal(engine_create(&engine, &config, &error), 0);
	assert_int_equal(engine_num_workers(engine), sysconf(_SC_NPROCESSORS_ONLN));
	engine_destroy(engine);
}

/* In a child, whose kernel seems to be older than Linux 5.11. */
static void old_kernels_are_refused(void **state)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_epoll_pwait2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = filter};
	int status;

	(void)state;
	pid_t child = fork();
	if (child == 0) {
		struct engine_config config = {.workers = 1};
		struct error error = {0};
		struct engine *engine;

		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
			_exit(2);
		_exit(engine_create(&engine, &config, &error) == -ENOSYS &&
				      strstr(error.text, "5.11") != NULL
			      ? 0
			      : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static uint32_t rings_owned(struct engine *engine, unsigned worker)
{
	struct engine_worker_stats stats;

	engine_worker_stats(engine, worker, &stats);
	return stats.rings;
}

static void rings_are_spread_over_the_workers(void **state)
{
	struct engine *engine = engine_start(3, 0);
	struct vale *vale = switch_create();
	struct port *a = switch_port(vale, "vale0:a", 4, SLOTS);
	struct port *b = switch_port(vale, "vale0:b", 1, SLOTS);

	(void)state;
	assert_ptr_equal(engine_worker_of(engine, a), engine_worker(engine, 0)); /* not yet given */
	engine_add_port(engine, a);
	assert_int_equal(rings_owned(engine, 0), 2);
	assert_int_equal(rings_owned(engine, 1), 1);
	assert_int_equal(rings_owned(engine, 2), 1);
	engine_add_port(engine, b);
	assert_ptr_equal(engine_worker_of(engine, b), engine_worker(engine, 1));
	assert_ptr_equal(engine_least_loaded(engine), engine_worker(engine, 2));
	port_remove(engine, a);
	assert_int_equal(rings_owned(engine, 0), 0);
	assert_int_equal(rings_owned(engine, 1), 1);
	engine_remove_port(engine, b);
	engine_remove_port(engine, b); /* harmless */
	port_destroy(b);
	assert_int_equal(rings_owned(engine, 1), 0);
	assert_int_equal(vale_destroy(vale, NULL), 0);
	engine_destroy(engine);
}

static void forget_while_queued(void *argument)
{
	struct kring *kring = argument;

	worker_wake_ring(kring);
	worker_forget_ring(kring->worker, kring);
}

/* As engine_remove_port() and engine_add_port() may do it. */
static void a_forgotten_ring_can_be_woken_again(void **state)
{
	struct party parties[2];
	struct couple couple;

	(void)state;
	couple_create(&couple, ON_PIPE, 1, 0);
	for (unsigned i = 0; i < 2; i++)
		party_join(&parties[i], couple.engine, couple.ports[i], false, false);
	struct kring *tx = port_tx(couple.ports[0], 0);
	for (uint64_t n = 0; n < 50; n++) {
		worker_call(tx->worker, forget_while_queued, tx);
		send_number(&parties[0], n, 1, 2);
		endpoint_kick(couple.ports[0], 0);
		assert_int_equal(receive_number(&parties[1]), n);
	}
	for (unsigned i = 0; i < 2; i++)
		party_leave(&parties[i], couple.engine);
	couple_destroy(&couple);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configurations_are_checked),
		cmocka_unit_test(old_kernels_are_refused),
		cmocka_unit_test(rings_are_spread_over_the_workers),
		cmocka_unit_test(a_forgotten_ring_can_be_woken_again),
		cmocka_unit_test(calls_run_on_the_worker_and_are_awaited),
		cmocka_unit_test(a_deleted_watch_is_not_called_again),
		cmocka_unit_test(handlers_may_add_and_delete_watches),
		cmocka_unit_test(switch_loses_no_wakeup_in_ping_pong),
		cmocka_unit_test(pipe_loses_no_wakeup_in_ping_pong),
		cmocka_unit_test(pipe_loses_no_wakeup_in_a_stream),
		cmocka_unit_test(drivers_without_a_barrier_lose_nothing_either),
		cmocka_unit_test(unheard_sends_are_found),
		cmocka_unit_test(unheard_releases_are_found),
		cmocka_unit_test(an_unheard_wish_for_room_is_found),
		cmocka_unit_test(idle_workers_do_not_wake),
		cmocka_unit_test(busy_rings_take_turns),
		cmocka_unit_test(ports_come_and_go_under_traffic),
		cmocka_unit_test(endpoints_stop_and_start_under_traffic),
		cmocka_unit_test(removal_waits_for_those_who_deliver),
		cmocka_unit_test(stopping_waits_for_those_who_use_the_csb),
		cmocka_unit_test(a_start_resumes_what_a_stop_interrupted),
		cmocka_unit_test(pipe_ends_leave_under_traffic),
		cmocka_unit_test(pipe_ends_reopen_under_traffic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
