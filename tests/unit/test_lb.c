/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptnet-lb between pipes inside this process: all of the program but main(), with the system
 * calls that reach a port led to fake_netmap.c. And its queues, alone.
 */
#include "balancer.h"
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

#define EXTRA 64

/* ---- the program ---- */

static struct lb_options options;

static int parse(int argc, char **argv)
{
	return options_parse(&options, argc, argv);
}

static enum exit_status run(json_t **report)
{
	static struct balancer b;
	enum exit_status status = STATUS_OK;

	if (balancer_open(&b, &options) || balancer_run(&b))
		status = STATUS_FAILED;
	*report = balancer_json(&b, status);
	balancer_close(&b);
	return status;
}

static const struct tool tool = {"ptnet-lb", parse, run};

static void end(void)
{
	tool_end();
	assert_int_equal(tool_status, STATUS_OK);
	assert_int_equal(fake_lost_buffers(0), 0);
}

static json_int_t total(const char *name)
{
	return tool_figure(tool_report, name);
}

static json_int_t figure(unsigned int group, unsigned int pipe, const char *name)
{
	const json_t *pipes = json_array_get(json_object_get(tool_report, "groups"), group);

	return tool_figure(json_array_get(pipes, pipe), name);
}

/* ---- the pipes: "in{1" to the program, "a{0" to "a{2", "b{0" and "b{1" from it ---- */

static struct peer *source, *a[3], *b[2];

static void create(unsigned int slots, unsigned int buf_size)
{
	const struct fake_setup s = {.rings = 1, .slots = slots, .buf_size = buf_size};
	const struct fake_pipe pipes[] = {{"in{1", 0, s}, {"a{0", 0, s}, {"a{1", 0, s},
					  {"a{2", 0, s},  {"b{0", 0, s}, {"b{1", 0, s}};

	fake_create_pipes(pipes, 6, EXTRA);
	source = peer_open("netmap:in{1");
	a[0] = peer_open("netmap:a}0");
	a[1] = peer_open("netmap:a}1");
	a[2] = peer_open("netmap:a}2");
	b[0] = peer_open("netmap:b}0");
	b[1] = peer_open("netmap:b}1");
}

static void done(void)
{
	int i;

	peer_close(source);
	for (i = 0; i < 3; i++)
		peer_close(a[i]);
	for (i = 0; i < 2; i++)
		peer_close(b[i]);
	fake_destroy();
}

/* Packet n of a flow, in one direction or the other, of so many bytes. */
static const uint8_t *packet(uint32_t flow, uint32_t n, bool back, uint32_t len)
{
	static uint8_t p[PEER_LONGEST];
	uint32_t i;

	for (i = 0; i < len; i++)
		p[i] = (uint8_t)(i + n);
	memset(p, 0, 42);
	p[12] = 0x08;
	p[14] = 0x45;
	p[16] = (uint8_t)((len - 14) >> 8);
	p[17] = (uint8_t)(len - 14);
	p[23] = 17;
	p[26] = p[30] = 10;
	p[back ? 33 : 29] = (uint8_t)flow;
	p[back ? 28 : 32] = 1;
	p[back ? 34 : 36] = 53;
	memcpy(p + 42, &flow, 4);
	memcpy(p + 46, &n, 4);
	return p;
}

static uint32_t flow_in(const struct peer *p)
{
	uint32_t flow;

	memcpy(&flow, p->data + 42, 4);
	return flow;
}

static uint32_t number_in(const struct peer *p)
{
	uint32_t n;

	memcpy(&n, p->data + 46, 4);
	return n;
}

/* Where a flow of these goes, of so many pipes. */
static unsigned int pipe_of(uint32_t flow, unsigned int pipes)
{
	struct flow f = flow_of(packet(flow, 0, false, 60), 60, FLOW_FIELDS_PORTS, 0);

	assert_int_equal(f.kind, FLOW_PORTS);
	return (unsigned int)(((uint64_t)f.hash * pipes) >> 32);
}

static uint32_t flow_for(unsigned int pipe, unsigned int pipes)
{
	uint32_t flow = 1;

	while (pipe_of(flow, pipes) != pipe)
		flow++;
	return flow;
}

/* ---- what is spread ---- */

#define FLOWS 40

/* All packets of all flows, both directions in turn, arrive once, in order, in their flow's pipe.
 */
static void spread_over(struct peer *const *readers, unsigned int pipes, uint32_t len,
			unsigned int times)
{
	uint32_t n, flow;

	for (n = 0; n < times; n++) {
		for (flow = 1; flow <= FLOWS; flow++) {
			struct peer *reader = readers[pipe_of(flow, pipes)];

			peer_send(source, packet(flow, n, n & 1, len), len);
			peer_receive(reader);
			assert_int_equal(reader->len, len);
			assert_memory_equal(reader->data, packet(flow, n, n & 1, len), len);
		}
	}
}

static void one_group(void **state)
{
	unsigned int i;

	(void)state;
	create(16, 2048);
	tool_start(&tool, "-i in}1 -p a:3");
	spread_over(a, 3, 100, 20);
	end();
	assert_int_equal(total("packets"), 20 * FLOWS);
	assert_int_equal(total("dropped"), 0);
	for (i = 0; i < 3; i++)
		assert_in_range(figure(0, i, "packets"), 20 * 4, 20 * FLOWS);
	done();
}

static void long_packets(void **state)
{
	(void)state;
	create(16, 256);
	tool_start(&tool, "-i in}1 -p a:3 --burst 1");
	spread_over(a, 3, 1500, 10);
	end();
	assert_int_equal(total("dropped"), 0);
	done();
}

static void nothing_is_copied(void **state)
{
	uint32_t n, flow = flow_for(2, 3);

	(void)state;
	create(16, 2048);
	tool_start(&tool, "-i in}1 -p a:3");
	for (n = 0; n < 50; n++) {
		peer_send(source, packet(flow, n, false, 60), 60);
		peer_receive(a[2]);
		assert_int_equal(a[2]->buf_idx, source->sent_idx);
	}
	end();
	done();
}

static void each_group_gets_everything(void **state)
{
	uint32_t flow, n;

	(void)state;
	create(16, 256);
	tool_start(&tool, "-i in}1 -p a:3 -p b:2");
	for (n = 0; n < 20; n++) {
		for (flow = 1; flow <= FLOWS; flow++) {
			struct peer *first = a[pipe_of(flow, 3)], *second = b[pipe_of(flow, 2)];

			peer_send(source, packet(flow, n, false, 600), 600);
			peer_receive(first);
			/* What one reader does to it, the other does not see. */
			assert_memory_equal(first->data, packet(flow, n, false, 600), 600);
			memset(NETMAP_BUF(port_rx_ring(&first->port, 0), first->buf_idx), 0xee,
			       256);
			peer_receive(second);
			assert_int_equal(second->len, 600);
			assert_memory_equal(second->data, packet(flow, n, false, 600), 600);
		}
	}
	end();
	assert_int_equal(figure(1, 0, "packets") + figure(1, 1, "packets"), 20 * FLOWS);
	done();
}

/* ---- readers that don't read ---- */

static bool no_packet_is_on_its_way(void *arg)
{
	(void)arg;
	return fake_in_flight("in{1") == 0;
}

/* One pipe is stuck. Its packets wait in its ring and in all extra buffers, then the oldest that
 * wait are lost; nobody else loses anything. */
static void a_stuck_reader_costs_only_itself(void **state)
{
	uint32_t stuck = flow_for(0, 3), fine = flow_for(1, 3), n, want;

	(void)state;
	create(16, 2048);
	tool_start(&tool, "-i in}1 -p a:3 -B 64");
	for (n = 0; n < 300; n++) {
		peer_send(source, packet(stuck, n, false, 60), 60);
		peer_send(source, packet(fine, n, n & 1, 60), 60);
		peer_receive(a[1]);
		assert_int_equal(flow_in(a[1]), fine);
		assert_int_equal(number_in(a[1]), n);
	}
	peer_await(no_packet_is_on_its_way, NULL);
	/* 15 in the ring, the last 64 in extra buffers */
	for (n = 0; n < 15 + EXTRA; n++) {
		want = n < 15 ? n : 300 - EXTRA + n - 15;
		peer_receive(a[0]);
		assert_int_equal(flow_in(a[0]), stuck);
		assert_int_equal(number_in(a[0]), want);
	}
	end();
	assert_int_equal(figure(0, 0, "dropped"), 300 - 15 - EXTRA);
	assert_int_equal(figure(0, 0, "packets"), 15 + EXTRA);
	assert_int_equal(figure(0, 0, "most_waiting"), EXTRA);
	assert_int_equal(figure(0, 1, "dropped"), 0);
	assert_int_equal(figure(0, 1, "packets"), 300);
	done();
}

/* With all extra buffers taken by a stuck pipe, a burst for another one still finds some. */
static void a_burst_for_a_slow_reader(void **state)
{
	uint32_t stuck = flow_for(0, 3), slow = flow_for(1, 3), n;

	(void)state;
	create(16, 2048);
	tool_start(&tool, "-i in}1 -p a:3 -p b:2 -B 64");
	for (n = 0; n < 200; n++) {
		peer_send(source, packet(stuck, n, false, 60), 60);
		peer_receive(b[pipe_of(stuck, 2)]);
	}
	/* 15 in the ring and half of the stock: the queues are then of equal length */
	for (n = 0; n < 15 + EXTRA / 2; n++) {
		peer_send(source, packet(slow, n, false, 60), 60);
		peer_receive(b[pipe_of(slow, 2)]);
	}
	for (n = 0; n < 15 + EXTRA / 2; n++) {
		peer_receive(a[1]);
		assert_int_equal(number_in(a[1]), n);
	}
	end();
	assert_int_equal(figure(0, 1, "dropped"), 0);
	assert_true(figure(0, 0, "dropped") > 0);
	done();
}

static void without_extra_buffers(void **state)
{
	uint32_t flow = flow_for(0, 3), n;

	(void)state;
	create(16, 2048);
	tool_start(&tool, "-i in}1 -p a:3 -B 0");
	for (n = 0; n < 40; n++)
		peer_send(source, packet(flow, n, false, 60), 60);
	peer_await(no_packet_is_on_its_way, NULL);
	for (n = 0; n < 15; n++) {
		peer_receive(a[0]);
		assert_int_equal(number_in(a[0]), n);
	}
	end();
	assert_int_equal(figure(0, 0, "dropped"), 25);
	assert_int_equal(total("extra_buffers"), 0);
	done();
}

/* Nothing runs while a pipe is full and nothing comes. */
static void waiting_is_asleep(void **state)
{
	uint32_t flow = flow_for(0, 3), n;
	uint64_t polls;

	(void)state;
	create(16, 2048);
	tool_start(&tool, "-i in}1 -p a:3");
	for (n = 0; n < 40; n++)
		peer_send(source, packet(flow, n, false, 60), 60);
	peer_await(no_packet_is_on_its_way, NULL);
	peer_receive(a[0]);
	polls = fake_polls();
	for (n = 0; n < 20000; n++)
		assert_int_equal(port_sync_tx(&source->port), 0);
	assert_in_range(fake_polls(), polls, polls + 8);
	end();
	done();
}

/* Whole packets wait and are dropped, never a part of one. */
static void long_packets_that_wait(void **state)
{
	uint32_t flow = flow_for(0, 3), n, last = 0, got = 0;

	(void)state;
	create(16, 256);
	tool_start(&tool, "-i in}1 -p a:3");
	for (n = 0; n < 100; n++)
		peer_send(source, packet(flow, n, false, 1500), 1500);
	peer_await(no_packet_is_on_its_way, NULL);
	do {
		peer_receive(a[0]);
		n = number_in(a[0]);
		assert_memory_equal(a[0]->data, packet(flow, n, false, 1500), 1500);
		assert_int_equal(a[0]->slots, 6);
		assert_true(!got || n > last);
		last = n;
		got++;
	} while (last != 99);
	assert_int_equal(got, 2 + EXTRA / 6);
	end();
	assert_int_equal(figure(0, 0, "dropped"), 100 - got);
	done();
}

/* Nothing waits behind a packet for which the pipe's ring is too short. */
static void longer_than_the_ring(void **state)
{
	const struct fake_pipe pipes[] = {{"in{1", 0, {.rings = 1, .slots = 16, .buf_size = 256}},
					  {"a{0", 0, {.rings = 1, .slots = 4, .buf_size = 256}}};
	uint32_t n;

	(void)state;
	fake_create_pipes(pipes, 2, EXTRA);
	source = peer_open("netmap:in{1");
	a[0] = peer_open("netmap:a}0");
	tool_start(&tool, "-i in}1 -p a:1");
	for (n = 0; n < 3; n++) {
		peer_send(source, packet(1, n, false, 3 * 256 + 1), 3 * 256 + 1);
		peer_send(source, packet(1, n, false, 3 * 256), 3 * 256);
		peer_receive(a[0]);
		assert_int_equal(a[0]->len, 3 * 256);
		assert_int_equal(number_in(a[0]), n);
	}
	end();
	assert_int_equal(figure(0, 0, "packets"), 3);
	assert_int_equal(figure(0, 0, "dropped"), 3);
	peer_close(source);
	peer_close(a[0]);
	fake_destroy();
}

static void what_waits_at_the_end_still_goes(void **state)
{
	uint32_t flow = flow_for(0, 3), n;

	(void)state;
	create(16, 2048);
	tool_start(&tool, "-i in}1 -p a:3 --timeout 10");
	for (n = 0; n < 60; n++)
		peer_send(source, packet(flow, n, false, 60), 60);
	peer_await(no_packet_is_on_its_way, NULL);
	stop_ask();
	for (n = 0; n < 60; n++) {
		peer_receive(a[0]);
		assert_int_equal(number_in(a[0]), n);
	}
	tool_wait();
	assert_int_equal(tool_status, STATUS_OK);
	assert_int_equal(fake_lost_buffers(0), 0);
	assert_int_equal(total("dropped"), 0);
	done();
}

static void what_waits_for_ever_is_dropped(void **state)
{
	uint32_t flow = flow_for(0, 3), n;

	(void)state;
	create(16, 2048);
	tool_start(&tool, "-i in}1 -p a:3 --timeout 10ms");
	for (n = 0; n < 60; n++)
		peer_send(source, packet(flow, n, false, 60), 60);
	peer_await(no_packet_is_on_its_way, NULL);
	end();
	assert_int_equal(figure(0, 0, "dropped"), 45);
	assert_int_equal(figure(0, 0, "packets"), 15);
	done();
}

/* A reader that returns nonsense: its pipe goes on with buffers of the stock. */
static bool spoil_third(struct netmap_slot *slot, uint8_t *buffer, uint64_t n)
{
	(void)buffer;
	if (n == 2)
		slot->buf_idx = UINT32_MAX;
	return true;
}

static void impossible_packets(void **state)
{
	struct fake_setup s = {.rings = 1, .slots = 16, .buf_size = 2048};
	struct fake_pipe pipes[2] = {{"in{1", 0, s}, {"a{0", 0, s}};
	uint32_t n;

	(void)state;
	pipes[0].setup.tamper = spoil_third;
	fake_create_pipes(pipes, 2, EXTRA);
	source = peer_open("netmap:in{1");
	a[0] = peer_open("netmap:a}0");
	tool_start(&tool, "-i in}1 -p a:1");
	for (n = 0; n < 5; n++) {
		peer_send(source, packet(1, n, false, 60), 60);
		if (n == 2)
			continue;
		peer_receive(a[0]);
		assert_int_equal(number_in(a[0]), n);
	}
	tool_end();
	assert_int_equal(tool_status, STATUS_OK);
	assert_int_equal(total("bad"), 1);
	assert_int_equal(total("packets"), 4);
	peer_close(source);
	peer_close(a[0]);
	fake_destroy();
}

static void a_port_that_goes_away(void **state)
{
	struct captured_stderr capture;
	char text[2048];

	(void)state;
	create(16, 2048);
	capture_stderr(&capture);
	tool_start(&tool, "-i in}1 -p a:3");
	peer_send(source, packet(flow_for(0, 3), 0, false, 60), 60);
	peer_receive(a[0]);
	fake_break();
	tool_wait();
	release_stderr(&capture, text, sizeof(text));
	assert_int_equal(tool_status, STATUS_FAILED);
	assert_non_null(strstr(text, "POLLERR"));
	assert_int_equal(fake_lost_buffers(0), 0);
	done();
}

/* ---- what it can't do ---- */

/* And leaves everything as it was. */
static void cannot_begin(const char *line, const char *says)
{
	tool_cannot_begin(&tool, line, says);
	assert_int_equal(fake_lost_buffers(0), 0);
}

static void what_cannot_be_balanced(void **state)
{
	const struct fake_setup s = {.rings = 1, .slots = 16, .buf_size = 2048};
	const struct fake_setup headers = {
		.rings = 1, .slots = 16, .buf_size = 2048, .vnet_hdr = 10};
	const struct fake_pipe pipes[] = {{"in{1", 0, s},
					  {"a{0", 0, s},
					  {"far{0", 1, s},
					  {"headers{1", 0, headers},
					  {"offset{1", 0, s}};
	struct peer *other;

	(void)state;
	fake_create_pipes(pipes, 5, EXTRA);
	fake_set_offset("offset{1", 0xff, 2);
	cannot_begin("-i nobody -p a:1", "nobody: cannot register");
	cannot_begin("-i headers}1 -p a:1", "headers}1 has virtio-net headers");
	cannot_begin("-i offset}1 -p a:1", "offset}1 has packets at offsets");
	cannot_begin("-i in}1/T -p a:1", "no ring is bound");
	cannot_begin("-i in}1 -p a:2", "netmap:a{1: this is pipe 2 of 2");
	cannot_begin("-i in}1 -p far:1", "netmap:far{0 exists already, in another memory region");
	other = peer_open("netmap:in}1");
	cannot_begin("-i in}1 -p a:1", "in}1: cannot register: Device or resource busy");
	peer_close(other);
	fake_destroy();
}

/* ---- the command line ---- */

static void command_lines(void **state)
{
	struct lb_options *o = &options;

	(void)state;
	assert_int_equal(tool_parse(&tool,
				    "-i vale0:m -p ids:4 -p vale0:x:2 -p 3 -B 5k -s 512 -b 9 "
				    "--hash addresses --seed 7 -w 1 --timeout 0 -q --json"),
			 -1);
	assert_string_equal(o->port, "vale0:m");
	assert_int_equal(o->n_groups, 3);
	assert_int_equal(o->n_pipes, 9);
	assert_string_equal(o->groups[0].parent, "netmap:ids");
	assert_int_equal(o->groups[0].count, 4);
	assert_string_equal(o->groups[1].parent, "vale0:x");
	assert_int_equal(o->groups[1].count, 2);
	assert_string_equal(o->groups[2].parent, "");
	assert_int_equal(o->groups[2].count, 3);
	assert_int_equal(o->extra, 5000);
	assert_int_equal(o->slots, 512);
	assert_int_equal(o->burst, 9);
	assert_int_equal(o->fields, FLOW_FIELDS_ADDRESSES);
	assert_int_equal(o->seed, 7);
	tool_refuses(&tool, "-p a:1", "give a port");
	tool_refuses(&tool, "-i x", "at least one group");
	tool_refuses(&tool, "-i x -p a:0", "--pipes 0: give a number");
	tool_refuses(&tool, "-i x -p a:", "give a number");
	tool_refuses(&tool, "-i x -p :4", "give NAME:COUNT");
	tool_refuses(&tool, "-i x -p a:200 -p b:200", "400 pipes are too many");
	tool_refuses(&tool, "-i x -p a:1 -p a:2", "same name");
	tool_refuses(&tool, "-i x -p a:1 --hash vlan", "--hash vlan");
	tool_refuses(&tool, "-i x -p a:1 y", "'y' is one argument too many");
}

/* ---- queues ---- */

static void queues_keep_order(void **state)
{
	struct stock s;
	struct queue q[3] = {{0}};
	uint32_t pushed[3] = {0}, popped[3] = {0}, buffer, i, in = 0;

	(void)state;
	assert_int_equal(stock_init(&s, 50), 0);
	for (i = 0; i < 50; i++)
		assert_true(stock_put(&s, 100 + i));
	assert_false(stock_put(&s, 1));
	srandom(1);
	for (i = 0; i < 100000; i++) {
		uint32_t k = (uint32_t)random() % 3;

		if (random() % 2 && stock_take(&s, &buffer)) {
			struct netmap_slot slot = {.buf_idx = buffer, .ptr = pushed[k]++};

			queue_push(&q[k], &s, &slot);
			in++;
		} else if (q[k].slots) {
			struct netmap_slot slot = queue_pop(&q[k], &s);

			assert_int_equal(slot.ptr, popped[k]++);
			assert_true(stock_put(&s, slot.buf_idx));
			in--;
		}
		assert_int_equal(s.n_free, 50 - in);
		assert_int_equal(q[0].slots + q[1].slots + q[2].slots, in);
	}
	stock_free(&s);
}

static void whole_packets_are_dropped(void **state)
{
	static const uint16_t flags[] = {NS_MOREFRAG, NS_MOREFRAG, 0, 0, NS_MOREFRAG, 0};
	struct queue q = {0};
	struct stock s;
	uint32_t i;

	(void)state;
	assert_int_equal(stock_init(&s, 6), 0);
	for (i = 0; i < 6; i++) {
		struct netmap_slot slot = {.buf_idx = 2 + i, .flags = flags[i]};

		queue_push(&q, &s, &slot);
	}
	assert_int_equal(queue_first_packet(&q, &s), 3);
	queue_drop(&q, &s);
	assert_int_equal(s.n_free, 3);
	assert_int_equal(queue_first_packet(&q, &s), 1);
	queue_drop(&q, &s);
	assert_int_equal(queue_first_packet(&q, &s), 2);
	queue_drop(&q, &s);
	assert_int_equal(queue_first_packet(&q, &s), 0);
	assert_int_equal(s.n_free, 6);
	assert_int_equal(q.most, 6);
	stock_free(&s);
}

/* A pipe's reader returns impossible buffers: replaced as long as there are extra ones. */
static void impossible_buffers_are_replaced(void **state)
{
	struct outlet outlets[1] = {{0}};
	struct group groups[1] = {{0, 1}};
	struct spreader s = {.outlets = outlets, .n_outlets = 1, .groups = groups, .n_groups = 1};
	struct peer *from, *to;
	uint32_t i;

	(void)state;
	fake_create_pipes(
		(struct fake_pipe[]){{"in{1", 0, {.rings = 1, .slots = 16, .buf_size = 2048}}}, 1,
		EXTRA);
	to = peer_open("netmap:in{1");
	from = peer_open("netmap:in}1");
	outlets[0].ring = port_tx_ring(&from->port, 0);
	s.buf_limit = from->port.buf_limit;
	assert_int_equal(stock_init(&s.stock, 2), 0);
	stock_put(&s.stock, 30);
	stock_put(&s.stock, 31);
	for (i = 0; i < 4; i++)
		peer_send(to, packet(1, i, false, 60), 60);
	assert_int_equal(port_sync_rx(&from->port), 0);
	outlets[0].ring->slot[0].buf_idx = UINT32_MAX;
	outlets[0].ring->slot[1].buf_idx = 0;
	outlets[0].ring->slot[2].buf_idx = s.buf_limit;
	spread_begin(&s);
	assert_false(spread_ring(&s, port_rx_ring(&from->port, 0), 10));
	spread_end(&s);
	assert_int_equal(outlets[0].packets, 2);
	assert_int_equal(outlets[0].mended, 2);
	assert_int_equal(outlets[0].dropped, 2);
	assert_int_equal(outlets[0].ring->head, 2);
	for (i = 0; i < 16; i++)
		assert_in_range(port_rx_ring(&from->port, 0)->slot[i].buf_idx, 2, s.buf_limit - 1);
	stock_free(&s.stock);
	peer_close(from);
	peer_close(to);
	fake_destroy();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(queues_keep_order),
		cmocka_unit_test(whole_packets_are_dropped),
		cmocka_unit_test(impossible_buffers_are_replaced),
		cmocka_unit_test(one_group),
		cmocka_unit_test(long_packets),
		cmocka_unit_test(nothing_is_copied),
		cmocka_unit_test(each_group_gets_everything),
		cmocka_unit_test(a_stuck_reader_costs_only_itself),
		cmocka_unit_test(a_burst_for_a_slow_reader),
		cmocka_unit_test(without_extra_buffers),
		cmocka_unit_test(waiting_is_asleep),
		cmocka_unit_test(long_packets_that_wait),
		cmocka_unit_test(longer_than_the_ring),
		cmocka_unit_test(what_waits_at_the_end_still_goes),
		cmocka_unit_test(what_waits_for_ever_is_dropped),
		cmocka_unit_test(impossible_packets),
		cmocka_unit_test(a_port_that_goes_away),
		cmocka_unit_test(what_cannot_be_balanced),
		cmocka_unit_test(command_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
