/* SPDX-License-Identifier: BSD-2-Clause */
/* Section G: pipes. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conformance.h"

/* Where a packet's chunks end: a pipe hands over slots as they are. */
static void send_numbered(const struct bound *b, unsigned int first, unsigned int count, size_t len,
			  size_t chunk)
{
	struct netmap_ring *tx = NETMAP_TXRING(b->nifp, 0);
	uint8_t bytes[MAX_PACKET];
	unsigned int i;

	for (i = first; i < first + count; i++) {
		make_packet(bytes, len, broadcast, mac(1), i);
		need(put_bytes(tx, bytes, len, chunk), "room for the packets");
	}
	check_call("NIOCTXSYNC", 0, tx_sync(b));
}

static void receive_numbered(const struct bound *b, unsigned int first, unsigned int count,
			     size_t len)
{
	struct netmap_ring *rx = NETMAP_RXRING(b->nifp, 0);
	unsigned int i;

	check_arrived("packets received", b, 0, count);
	for (i = first; i < first + count; i++)
		check_packet("received", rx, len, broadcast, mac(1), i);
}

static void register_modes(void)
{
	struct nmreq_register reg, asked = {.nr_mode = NR_REG_ALL_NIC};
	int fd = open_netmap();
	const char *name = own("c~p{id");

	check_call("NIC_SW", EINVAL, bind_rings(fd, name, NR_REG_NIC_SW, 0, 0, &reg));
	check_call("SW", EINVAL, bind_rings(fd, name, NR_REG_SW, 0, 0, &reg));
	check_call("ONE_SW", EINVAL, bind_rings(fd, name, NR_REG_ONE_SW, 0, 0, &reg));
	check_call("ALL_NIC", 0, bind_rings(fd, name, NR_REG_ALL_NIC, 0, 0, &reg));
	check_echo("ALL_NIC", &asked, &reg);
	close(fd);
	check_call("a pipe without an id", EINVAL,
		   request_once(own("c~p{"), NETMAP_REQ_REGISTER, &asked));
	check_call("a pipe of nobody", EINVAL, request_once("{1", NETMAP_REQ_REGISTER, &asked));
}

static void register_slave(void)
{
	struct nmreq_register reg, asked = {.nr_mode = NR_REG_ALL_NIC};
	int fd = open_netmap();

	check_call("ALL_NIC", 0, bind_rings(fd, own("c~p}id"), NR_REG_ALL_NIC, 0, 0, &reg));
	check_echo("ALL_NIC", &asked, &reg);
	close(fd);
}

static void check_both_directions(const struct bound *a, const struct bound *b)
{
	unsigned int round;

	for (round = 0; round < 30; round++) {
		unsigned int count = 1 + round * 3;

		send_numbered(a, round * 1000, count, 60 + round, 2048);
		receive_numbered(b, round * 1000, count, 60 + round);
		send_numbered(b, round * 1000 + 500, 5, 200 * (round + 1), 300);
		receive_numbered(a, round * 1000 + 500, 5, 200 * (round + 1));
	}
}

static void both_directions(void)
{
	/* The parent need not exist; it can be a port of any kind. */
	static const char *const parents[][2] = {
		{"c~w{1", "c~w}1"}, {"c~p{1", "c~p}1"}, {"vale~w:v{1", "vale~w:v}1"}};
	size_t i;

	for (i = 0; i < sizeof(parents) / sizeof(parents[0]); i++) {
		struct bound a = bind_and_map(own(parents[i][0]), 0);
		struct bound b = bind_and_map(own(parents[i][1]), 0);

		check_equal("both ends in one memory", a.reg.nr_mem_id, b.reg.nr_mem_id);
		check_both_directions(&a, &b);
		unbind(&a);
		unbind(&b);
	}
	check_call("an implicit parent is gone with its last pipe", ENXIO,
		   request_once(own("c~w"), NETMAP_REQ_PORT_INFO_GET,
				&(struct nmreq_port_info_get){0}));
}

static void second_end_later(void)
{
	struct bound a = bind_and_map(own("c~w{1"), 0), b;

	send_numbered(&a, 0, 20, 77, 2048);
	b = bind_and_map(own("c~w}1"), 0);
	receive_numbered(&b, 0, 20, 77);
	unbind(&a);
	unbind(&b);
}

static void extra_buffers(void)
{
	enum { EXTRA = 10 };
	struct bound a = bind_as(own("c~w{1"), (struct nmreq_register){.nr_mode = NR_REG_ALL_NIC,
								       .nr_extra_bufs = EXTRA});
	struct bound b = bind_and_map(own("c~w}1"), 0);
	struct netmap_ring *tx = NETMAP_TXRING(a.nifp, 0), *rx = NETMAP_RXRING(b.nifp, 0);
	uint32_t sent[EXTRA], first_own = tx->slot[0].buf_idx;
	unsigned int i;

	check_equal("extra buffers", EXTRA, a.reg.nr_extra_bufs);
	put_extra_buffers(&a, EXTRA, sent);
	check_call("NIOCTXSYNC", 0, tx_sync(&a));
	check_arrived("packets", &b, 0, EXTRA);
	for (i = 0; i < EXTRA; i++) {
		check_equal("the buffer itself is handed over", sent[i],
			    rx->slot[rx->head].buf_idx);
		check_packet("from extra buffers", rx, 200 + i, broadcast, mac(1), i);
	}
	check_equal("it is none of the ring's", 1, first_own != sent[0]);
	unbind(&a);
	unbind(&b);
}

/* ---- partial read; the ends are held by different processes ---- */

static void partial_reader(int channel)
{
	struct bound b = bind_and_map(own("c~w}1"), 0);
	struct netmap_ring *rx = NETMAP_RXRING(b.nifp, 0);
	unsigned int i;

	tell(channel, 'b');
	expect(channel, 's');
	check_arrived("packets", &b, 0, 10);
	for (i = 0; i < 7; i++)
		check_packet("read", rx, 60, broadcast, mac(1), i);
	check_call("NIOCRXSYNC", 0, rx_sync(&b));
	tell(channel, 'r');
	/* Nothing is lost of what it has not read. */
	expect(channel, 'f');
	check_call("NIOCRXSYNC", 0, rx_sync(&b));
	check_equal("all that fits is there", rx->num_slots - 1, packets_in(rx));
	for (i = 7; rx->head != rx->tail; i++)
		check_packet("read later", rx, 60, broadcast, mac(1), i);
	unbind(&b);
}

static void partial_sender(int channel)
{
	struct bound a = bind_and_map(own("c~w{1"), 0);

	send_numbered(&a, 0, 10, 60, 2048);
	tell(channel, 'd');
	/* Keeps its end open, so that the pipe is shared and not opened anew. */
	expect(channel, 'e');
	unbind(&a);
}

static void partial_read(void)
{
	struct child reader = start_child(partial_reader), sender;
	struct netmap_ring *tx;
	struct bound third;
	uint32_t space, i;

	expect(reader.channel, 'b');
	sender = start_child(partial_sender);
	expect(sender.channel, 'd');
	tell(reader.channel, 's');
	expect(reader.channel, 'r');

	third = bind_and_map(own("c~w{1"), 0);
	tx = NETMAP_TXRING(third.nifp, 0);
	check_call("NIOCTXSYNC", 0, tx_sync(&third));
	space = nm_ring_space(tx);
	check_equal("pending", 3, (long long)tx->num_slots - 1 - space);
	for (i = 0; i < space; i++)
		need(put_packet(tx, 60, broadcast, mac(1), 10 + i), "room for the packets");
	check_call("NIOCTXSYNC", 0, tx_sync(&third));
	check_equal("one more finds no room", 0, put_packet(tx, 60, broadcast, mac(1), 99));
	check_equal("and waits in vain", 0, poll_now(third.fd, POLLOUT, 100));
	tell(reader.channel, 'f');
	end_child(&reader, "the reader");
	tell(sender.channel, 'e');
	end_child(&sender, "the first sender");
	unbind(&third);
}

/* ---- several processes hold the two ends ---- */

static void use_passed_end(int channel)
{
	struct bound b = {.fd = receive_descriptor(channel)};
	struct nmreq_port_info_get info = {0};
	char byte = 'i';

	/* A process that got a descriptor learns the size of the memory from the port. */
	need(request_once(own("c~w{1"), NETMAP_REQ_PORT_INFO_GET, &info) == 0, "PORT_INFO_GET");
	b.reg.nr_memsize = info.nr_memsize;
	need(recv(channel, &b.reg.nr_offset, sizeof(b.reg.nr_offset), 0) == sizeof(b.reg.nr_offset),
	     "the offset of netmap_if");
	map_bound(&b);
	need(recv(channel, &byte, 1, 0) == 1, "what to do");
	if (byte == 's')
		send_numbered(&b, 0, 50, 300, 128);
	else
		receive_numbered(&b, 0, 50, 300);
	unbind(&b);
}

static void several_processes(void)
{
	struct bound a = bind_and_map(own("c~w{1"), 0), b = bind_and_map(own("c~w}1"), 0);
	struct bound *ends[] = {&a, &b};
	struct child users[2];
	unsigned int i;

	for (i = 0; i < 2; i++) {
		users[i] = start_child(use_passed_end);
		send_descriptor(users[i].channel, ends[i]->fd);
		need(send(users[i].channel, &ends[i]->reg.nr_offset, sizeof(ends[i]->reg.nr_offset),
			  0) > 0,
		     "send");
	}
	tell(users[0].channel, 's');
	end_child(&users[0], "who sends");
	tell(users[1].channel, 'r');
	end_child(&users[1], "who receives");
	/* The ends are as these two left them. */
	send_numbered(&a, 100, 3, 60, 2048);
	receive_numbered(&b, 100, 3, 60);
	unbind(&a);
	unbind(&b);
}

const struct test pipe_tests[] = {
	{"G32-pipe-modes", register_modes, ON_HOST | WITH_PORTS},
	{"G33-pipe-slave", register_slave, ON_HOST | WITH_PORTS},
	{"G34-pipe-both-directions", both_directions, ON_HOST | WITH_PORTS},
	{"G35-pipe-second-end-later", second_end_later, ON_HOST},
	{"G36-pipe-extra-buffers", extra_buffers, ON_HOST},
	{"G37-pipe-partial-read", partial_read, ON_HOST},
	{"G38-pipe-processes", several_processes, ON_HOST},
	{NULL, NULL, 0},
};
