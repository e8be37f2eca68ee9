/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptnet-bridge between pipes inside this process: all of the program but main(), with the system
 * calls that reach a port led to fake_netmap.c. And its forwarding of one ring to another, with
 * slots that can't be.
 */
#define NETMAP_OWNER
#include "bridge.h"
#include "captured_stderr.h"
#include "fake_netmap.h"
#include "fake_peer.h"
#include "stop.h"
#include "tool_program.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <setjmp.h>

#include <cmocka.h>

/* ---- the program ---- */

static struct bridge_options options;

static int parse(int argc, char **argv)
{
	return options_parse(&options, argc, argv);
}

static enum exit_status run(json_t **report)
{
	struct bridge bridge;
	enum exit_status status;
	int result = bridge_open(&bridge, &options);

	if (!result)
		result = bridge_run(&bridge);
	status = bridge_status(&bridge, result);
	*report = bridge_json(&bridge, status);
	bridge_close(&bridge);
	return status;
}

static const struct tool tool = {"ptnet-bridge", parse, run};

static json_int_t figure(unsigned int direction, const char *name)
{
	const json_t *list = json_object_get(tool_report, "directions");

	return tool_figure(json_array_get(list, direction), name);
}

/* Two pipes. The bridge has a}1 and b}1, the test has a{1 and b{1. */
static struct peer *a, *b;

static void create(unsigned int slots, unsigned int size_a, unsigned int size_b, bool shared)
{
	struct fake_pipe pipes[2] = {
		{"a{1", 0, {.rings = 1, .slots = slots, .buf_size = size_a}},
		{"b{1", shared ? 0 : 1, {.rings = 1, .slots = slots, .buf_size = size_b}},
	};

	fake_create_pipes(pipes, 2, 0);
	a = peer_open("netmap:a{1");
	b = peer_open("netmap:b{1");
}

static void close_peers(void)
{
	peer_close(a);
	peer_close(b);
}

static const uint8_t *packet(uint32_t n, uint32_t len)
{
	static uint8_t data[PEER_LONGEST];
	uint32_t i;

	for (i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 3 + n * 7 + i / 256);
	memcpy(data, &n, len < 4 ? len : 4);
	return data;
}

static void expect(struct peer *p, uint32_t n, uint32_t len)
{
	peer_receive(p);
	assert_int_equal(p->len, len);
	assert_memory_equal(p->data, packet(n, len), len);
}

/* ---- what passes ---- */

static void both_directions(unsigned int size_a, unsigned int size_b, bool shared, const char *line,
			    uint32_t longest)
{
	uint32_t n, bytes = 0;

	create(64, size_a, size_b, shared);
	tool_start(&tool, line);
	for (n = 0; n < 1000; n++) {
		uint32_t len = 1 + n * 37 % longest;

		peer_send(a, packet(n, len), len);
		peer_send(b, packet(n + 5000, len), len);
		expect(b, n, len);
		expect(a, n + 5000, len);
		bytes += len;
	}
	tool_end();
	assert_int_equal(tool_status, STATUS_OK);
	for (n = 0; n < 2; n++) {
		assert_int_equal(figure(n, "packets"), 1000);
		assert_int_equal(figure(n, "bytes"), bytes);
		assert_int_equal(figure(n, "dropped"), 0);
		assert_int_equal(figure(n, "pending"), 0);
	}
	assert_int_equal(fake_lost_buffers(0), 0);
	assert_int_equal(fake_lost_buffers(1), 0);
	close_peers();
	fake_destroy();
}

static void swapping(void **state)
{
	(void)state;
	both_directions(2048, 2048, true, "a}1 b}1", 6000);
}

static void copying(void **state)
{
	(void)state;
	both_directions(2048, 2048, false, "a}1 b}1", 6000);
}

static void copying_on_request(void **state)
{
	(void)state;
	both_directions(2048, 2048, true, "a}1 b}1 --copy", 6000);
}

static void buffers_of_different_sizes(void **state)
{
	(void)state;
	both_directions(4096, 512, false, "a}1 b}1", 9000);
}

static void one_at_a_time(void **state)
{
	(void)state;
	both_directions(512, 512, true, "a}1 b}1 --burst 1", 3000);
}

static void buffers_change_hands(void **state)
{
	uint32_t n;

	(void)state;
	create(32, 2048, 2048, true);
	tool_start(&tool, "a}1 b}1");
	for (n = 0; n < 100; n++) {
		peer_send(a, packet(n, 100), 100);
		expect(b, n, 100);
		assert_int_equal(b->buf_idx, a->sent_idx);
	}
	tool_end();
	assert_true(json_is_true(json_object_get(tool_report, "zero_copy")));
	close_peers();
	fake_destroy();
}

static void one_way_leaves_the_other_rings_alone(void **state)
{
	struct peer *beside;

	(void)state;
	create(32, 2048, 2048, true);
	tool_start(&tool, "a}1/x b}1/x --one-way");
	peer_send(a, packet(1, 60), 60);
	expect(b, 1, 60);
	/* The way back is somebody else's: what we send on it, nobody takes. */
	peer_send(b, packet(2, 60), 60);
	peer_send(a, packet(3, 60), 60);
	expect(b, 3, 60);
	assert_false(peer_try_receive(a));
	tool_end();
	assert_int_equal(json_array_size(json_object_get(tool_report, "directions")), 1);
	assert_int_equal(figure(0, "packets"), 2);
	beside = peer_open("netmap:b}1");
	expect(beside, 2, 60);
	peer_close(beside);
	close_peers();
	fake_destroy();
}

static void several_rings(void **state)
{
	struct fake_pipe pipes[2] = {
		{"a{1", 0, {.rings = 3, .slots = 16, .buf_size = 256}},
		{"b{1", 0, {.rings = 2, .slots = 16, .buf_size = 256}},
	};
	struct peer *from[3];
	struct peer *to[2];
	uint32_t n, ring;

	(void)state;
	fake_create_pipes(pipes, 2, 0);
	for (n = 0; n < 3; n++) {
		char name[] = "netmap:a{1-N";

		name[strlen(name) - 1] = (char)('0' + n);
		from[n] = peer_open(name);
	}
	to[0] = peer_open("netmap:b{1-0");
	to[1] = peer_open("netmap:b{1-1");
	tool_start(&tool, "a}1 b}1");
	for (n = 0; n < 300; n++) {
		ring = n % 3;
		peer_send(from[ring], packet(n, 300), 300);
		expect(to[ring % 2], n, 300);
	}
	/* A full ring holds up neither the others nor the processor. */
	for (n = 0; n < 15; n++)
		peer_send(from[1], packet(n, 60), 60);
	for (n = 0; n < 100; n++) {
		peer_send(from[0], packet(n, 60), 60);
		expect(to[0], n, 60);
	}
	for (n = 0; n < 15; n++)
		expect(to[1], n, 60);
	tool_end();
	assert_int_equal(figure(0, "packets"), 415);
	assert_int_equal(fake_lost_buffers(0), 0);
	for (n = 0; n < 3; n++)
		peer_close(from[n]);
	peer_close(to[0]);
	peer_close(to[1]);
	fake_destroy();
}

static bool pipes_are_full(void *arg)
{
	(void)arg;
	return fake_in_flight("a{1") == 15 && fake_in_flight("b}1") == 15;
}

/* Nothing is dropped, and while nothing can move nothing runs. */
static void a_reader_that_does_not_read(void **state)
{
	uint32_t n = 0, got;
	uint64_t polls;

	(void)state;
	create(16, 2048, 2048, true);
	tool_start(&tool, "a}1 b}1");
	do {
		while (peer_try_send(a, packet(n, 60), 60))
			n++;
	} while (n < 30);
	assert_int_equal(n, 30);
	peer_await(pipes_are_full, NULL);
	/* The other direction goes on. */
	for (got = 0; got < 50; got++) {
		peer_send(b, packet(got, 60), 60);
		expect(a, got, 60);
	}
	/* Each of these looks is time for a bridge that spins to call poll again. */
	polls = fake_polls();
	for (got = 0; got < 20000; got++)
		assert_false(peer_try_send(a, packet(n, 60), 60));
	assert_in_range(fake_polls(), polls, polls + 4);
	for (got = 0; got < n; got++)
		expect(b, got, 60);
	tool_end();
	assert_int_equal(figure(0, "packets"), 30);
	assert_int_equal(figure(0, "dropped"), 0);
	assert_in_range(figure(0, "stalls"), 1, 30); /* packets that had to wait */
	assert_int_equal(tool_status, STATUS_OK);
	close_peers();
	fake_destroy();
}

static void long_packets_wait_for_room_for_all_of_them(void **state)
{
	uint32_t n;

	(void)state;
	create(16, 256, 256, true);
	tool_start(&tool, "a}1 b}1");
	/* 10 slots each: the second finds 5 slots left, and must not begin in them. */
	for (n = 0; n < 2; n++)
		peer_send(a, packet(n, 2500), 2500);
	for (n = 0; n < 2; n++) {
		expect(b, n, 2500);
		assert_int_equal(b->slots, 10);
	}
	tool_end();
	assert_int_equal(figure(0, "packets"), 2);
	assert_int_equal(fake_lost_buffers(0), 0);
	close_peers();
	fake_destroy();
}

static void too_long_for_the_other_side(void **state)
{
	(void)state;
	create(16, 4096, 256, false);
	tool_start(&tool, "a}1 b}1");
	peer_send(a, packet(1, 15 * 256 + 1), 15 * 256 + 1);
	peer_send(a, packet(2, 15 * 256), 15 * 256);
	expect(b, 2, 15 * 256);
	tool_end();
	assert_int_equal(figure(0, "packets"), 1);
	assert_int_equal(figure(0, "dropped"), 1);
	close_peers();
	fake_destroy();
}

static void offsets_that_differ_are_no_zero_copy(void **state)
{
	(void)state;
	create(16, 2048, 2048, true);
	fake_set_offset("a{1", 0xfff, 64);
	tool_start(&tool, "a}1 b}1");
	peer_send(a, packet(1, 3000), 3000);
	expect(b, 1, 3000);
	peer_send(b, packet(2, 3000), 3000);
	expect(a, 2, 3000);
	tool_end();
	assert_int_equal(figure(0, "packets"), 1);
	close_peers();
	fake_destroy();
}

static void equal_offsets_are_swapped(void **state)
{
	uint32_t n;

	(void)state;
	create(16, 2048, 2048, true);
	fake_set_offset("a{1", 0xfff, 64);
	fake_set_offset("b{1", 0xfff, 128);
	tool_start(&tool, "a}1 b}1");
	for (n = 0; n < 40; n++) {
		peer_send(a, packet(n, 1800), 1800);
		expect(b, n, 1800);
		assert_int_equal(b->buf_idx, a->sent_idx);
	}
	tool_end();
	close_peers();
	fake_destroy();
}

static void equal_headers_pass(void **state)
{
	struct fake_pipe pipes[2] = {
		{"a{1", 0, {.rings = 1, .slots = 16, .buf_size = 2048, .vnet_hdr = 12}},
		{"b{1", 1, {.rings = 1, .slots = 16, .buf_size = 2048, .vnet_hdr = 12}},
	};

	(void)state;
	fake_create_pipes(pipes, 2, 0);
	a = peer_open("netmap:a{1");
	b = peer_open("netmap:b{1");
	tool_start(&tool, "a}1 b}1");
	peer_send(a, packet(1, 72), 72);
	expect(b, 1, 72);
	tool_end();
	close_peers();
	fake_destroy();
}

/* ---- how it ends ---- */

static void what_was_taken_is_on_its_way(void **state)
{
	uint32_t n;

	(void)state;
	create(64, 2048, 2048, true);
	tool_start(&tool, "a}1 b}1 --timeout 0");
	for (n = 0; n < 40; n++)
		peer_send(a, packet(n, 60), 60);
	expect(b, 0, 60);
	tool_end();
	/* With nobody there any more: what it took is with b, the rest is still with a. */
	for (n = 1; n < (uint32_t)figure(0, "packets"); n++)
		expect(b, n, 60);
	assert_false(peer_try_receive(b));
	assert_int_equal(fake_in_flight("a{1"), 40 - figure(0, "packets"));
	close_peers();
	fake_destroy();
}

static void a_reader_that_never_reads_is_reported(void **state)
{
	(void)state;
	create(16, 2048, 2048, true);
	tool_start(&tool, "a}1 b}1 --timeout 10ms -q");
	peer_send(a, packet(1, 60), 60);
	assert_int_equal(port_wait(&b->port, POLLIN, INT64_C(10000000000)), WAIT_READY);
	tool_end();
	assert_int_equal(tool_status, STATUS_BAD_TRAFFIC);
	assert_int_equal(figure(0, "pending"), 1);
	close_peers();
	fake_destroy();
}

static void what_cannot_be_bridged(void **state)
{
	struct fake_pipe pipes[2] = {
		{"a{1", 0, {.rings = 1, .slots = 16, .buf_size = 2048, .vnet_hdr = 12}},
		{"b{1", 1, {.rings = 1, .slots = 16, .buf_size = 2048}},
	};

	(void)state;
	fake_create_pipes(pipes, 2, 0);
	tool_cannot_begin(&tool, "a}1 b}1", "a}1 has virtio-net headers of 12 bytes, b}1 of 0");
	tool_cannot_begin(&tool, "a}1 nobody", "nobody: cannot register: No such device");
	tool_cannot_begin(&tool, "a}1/R a{1", "a}1: no TX ring is bound");
	tool_cannot_begin(&tool, "a}1/T a{1", "a}1: no RX ring is bound");
	tool_cannot_begin(&tool, "netmap: a{1", "netmap:");
	fake_destroy();
}

static void a_port_that_goes_away(void **state)
{
	struct captured_stderr capture;
	char text[2048];

	(void)state;
	create(16, 2048, 2048, true);
	capture_stderr(&capture);
	tool_start(&tool, "a}1 b}1");
	peer_send(a, packet(1, 60), 60);
	expect(b, 1, 60);
	fake_break();
	tool_wait();
	release_stderr(&capture, text, sizeof(text));
	assert_int_equal(tool_status, STATUS_FAILED);
	assert_non_null(strstr(text, "POLLERR"));
	assert_int_equal(figure(0, "packets"), 1);
	close_peers();
	fake_destroy();
}

/* ---- the command line ---- */

static void command_lines(void **state)
{
	(void)state;
	assert_int_equal(
		tool_parse(&tool,
			   "vale0:a eth0 -b 7 -1 -c -w 0.5 --timeout 20ms --json=x --interval 2"),
		-1);
	assert_string_equal(options.ports[0], "vale0:a");
	assert_string_equal(options.ports[1], "netmap:eth0");
	assert_int_equal(options.burst, 7);
	assert_true(options.one_way && options.copy);
	assert_int_equal(options.wait, 500000000);
	assert_int_equal(options.timeout, 20000000);
	assert_string_equal(options.reporting.json_file, "x");
	assert_int_equal(options.reporting.interval, 2000000000);
	tool_refuses(&tool, "--json", "give two ports, such as");
	tool_refuses(&tool, "vale0:a", "host rings");
	tool_refuses(&tool, "vale0:a vale0:b vale0:c", "'vale0:c' is one argument too many");
	tool_refuses(&tool, "eth0 netmap:eth0", "itself");
	tool_refuses(&tool, "a b --burst 0", "--burst 0: give a number from 1");
	tool_refuses(&tool, "a b --wait long", "--wait long");
	tool_refuses(&tool, "a b --colour", "--colour");
}

/* ---- one ring to another, with what can't be ---- */

#define SLOTS	80
#define SIZE	64
#define BUFFERS (2 + 2 * SLOTS)

struct rings {
	struct netmap_ring *from, *to;
	struct forwarder f;
};

static struct netmap_ring *make_ring(char *base, unsigned int number, uint32_t tail)
{
	size_t ring_size = sizeof(struct netmap_ring) + SLOTS * sizeof(struct netmap_slot);
	struct netmap_ring *ring = (void *)(base + number * ring_size);
	uint32_t i;

	ring->num_slots = SLOTS;
	ring->nr_buf_size = SIZE;
	ring->buf_ofs = (int64_t)((2 - number) * ring_size);
	ring->tail = tail;
	for (i = 0; i < SLOTS; i++) {
		ring->slot[i].buf_idx = 2 + number * SLOTS + i;
		ring->slot[i].len = SIZE;
	}
	return ring;
}

static void make_rings(struct rings *r, bool same_region)
{
	size_t ring_size = sizeof(struct netmap_ring) + SLOTS * sizeof(struct netmap_slot);
	char *base = aligned_alloc(128, (2 * ring_size + BUFFERS * SIZE + 127) / 128 * 128);

	assert_non_null(base);
	memset(base, 0, 2 * ring_size + BUFFERS * SIZE);
	memset(r, 0, sizeof(*r));
	r->from = make_ring(base, 0, SLOTS - 1);
	r->to = make_ring(base, 1, SLOTS - 1);
	r->f.from_limit = r->f.to_limit = BUFFERS;
	r->f.same_region = same_region;
	r->f.scratch_size = NETMAP_MAX_FRAGS * SIZE;
	r->f.scratch = malloc(r->f.scratch_size);
	assert_non_null(r->f.scratch);
}

static void free_rings(struct rings *r)
{
	free(r->from);
	free(r->f.scratch);
}

static void slots_that_cannot_be(bool swap)
{
	struct rings r;

	make_rings(&r, swap);
	r.from->slot[0].buf_idx = BUFFERS;
	r.from->slot[1].len = SIZE + 1;
	r.from->slot[2].buf_idx = UINT32_MAX;
	r.from->slot[2].flags = NS_MOREFRAG;
	r.from->slot[4].len = 0;
	r.from->slot[5].flags = NS_MOREFRAG | NS_INDIRECT | 0x0200;
	r.from->slot[7].buf_idx = 1;
	assert_int_equal(forward(&r.f, r.from, r.to, 7), FORWARD_BURST);
	assert_int_equal(r.f.counters.dropped, 4);
	assert_int_equal(r.f.counters.empty, 1);
	assert_int_equal(r.f.counters.packets, 2);
	assert_int_equal(r.from->head, 9);
	assert_int_equal(r.to->head, 3);
	/* The switch's count of slots and other flags are not the next port's business. */
	assert_int_equal(r.to->slot[0].flags & ~NS_BUF_CHANGED, NS_MOREFRAG);
	free_rings(&r);
}

static void bad_rx_slots(void **state)
{
	(void)state;
	slots_that_cannot_be(true);
	slots_that_cannot_be(false);
}

/* From a pipe's reader. Its packets are lost, and the index stays where it is. */
static void bad_tx_buffers(void **state)
{
	static const uint32_t bad[] = {0, 1, BUFFERS};
	struct rings r;
	uint32_t i, k;
	int swap;

	(void)state;
	for (swap = 0; swap < 2; swap++) {
		for (k = 0; k < sizeof(bad) / sizeof(bad[0]); k++) {
			make_rings(&r, swap);
			r.to->slot[1].buf_idx = bad[k];
			assert_int_equal(forward(&r.f, r.from, r.to, 5), FORWARD_BURST);
			assert_int_equal(r.f.counters.packets, 1);
			assert_int_equal(r.f.counters.dropped, 4);
			assert_int_equal(r.to->head, 1);
			assert_int_equal(r.from->head, 5);
			for (i = 0; i < SLOTS; i++)
				assert_in_range(r.from->slot[i].buf_idx, 2, BUFFERS - 1);
			free_rings(&r);
		}
	}
}

static void chains_are_not_torn(void **state)
{
	struct rings r;
	uint32_t i;

	(void)state;
	make_rings(&r, true);
	for (i = 0; i < 9; i++)
		r.from->slot[i].flags = i == 8 ? 0 : NS_MOREFRAG;
	for (i = 9; i < SLOTS; i++)
		r.from->slot[i].flags = NS_MOREFRAG;
	/* a burst counts packets, not slots */
	assert_int_equal(forward(&r.f, r.from, r.to, 1), FORWARD_BURST);
	assert_int_equal(r.to->head, 9);
	/* a chain whose end has not come */
	assert_int_equal(forward(&r.f, r.from, r.to, 10), FORWARD_PART);
	assert_int_equal(r.from->head, 9);
	assert_int_equal(r.to->head, 9);
	/* now it has, and is longer than any port takes */
	r.from->slot[SLOTS - 2].flags = 0;
	assert_int_equal(forward(&r.f, r.from, r.to, 10), FORWARD_EMPTY);
	assert_int_equal(r.f.counters.dropped, 1);
	assert_int_equal(r.to->head, 9);
	assert_int_equal(r.from->head, SLOTS - 1);
	free_rings(&r);
}

/* A ring full of one chain can't be waited for. */
static void a_chain_without_end(void **state)
{
	struct rings r;
	uint32_t i;

	(void)state;
	make_rings(&r, true);
	for (i = 0; i < SLOTS; i++)
		r.from->slot[i].flags = NS_MOREFRAG;
	assert_int_equal(forward(&r.f, r.from, r.to, 1), FORWARD_BURST);
	assert_int_equal(r.f.counters.dropped, 1);
	assert_int_equal(r.from->head, SLOTS - 1);
	free_rings(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(swapping),
		cmocka_unit_test(copying),
		cmocka_unit_test(copying_on_request),
		cmocka_unit_test(buffers_of_different_sizes),
		cmocka_unit_test(one_at_a_time),
		cmocka_unit_test(buffers_change_hands),
		cmocka_unit_test(one_way_leaves_the_other_rings_alone),
		cmocka_unit_test(several_rings),
		cmocka_unit_test(a_reader_that_does_not_read),
		cmocka_unit_test(long_packets_wait_for_room_for_all_of_them),
		cmocka_unit_test(too_long_for_the_other_side),
		cmocka_unit_test(offsets_that_differ_are_no_zero_copy),
		cmocka_unit_test(equal_offsets_are_swapped),
		cmocka_unit_test(equal_headers_pass),
		cmocka_unit_test(what_was_taken_is_on_its_way),
		cmocka_unit_test(a_reader_that_never_reads_is_reported),
		cmocka_unit_test(what_cannot_be_bridged),
		cmocka_unit_test(a_port_that_goes_away),
		cmocka_unit_test(command_lines),
		cmocka_unit_test(bad_rx_slots),
		cmocka_unit_test(bad_tx_buffers),
		cmocka_unit_test(chains_are_not_torn),
		cmocka_unit_test(a_chain_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
