/* SPDX-License-Identifier: BSD-2-Clause */
/* Sections N and O: descriptors that go from process to process, and the tests' timing. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conformance.h"

/* ---- N: the port is opened by a server, which hands its descriptor to whoever asks ---- */

static const char *served_name(void)
{
	return in_guest ? port_name : own("vale~:s");
}

static const char *receiver_name(void)
{
	return in_guest ? peer_name : own("vale~:r");
}

struct served {
	uint64_t memsize, offset;
	uint32_t
		head; /* of TX ring 0 when it was opened: in a guest the stack has used it before */
};

static void descriptor_server(int channel)
{
	struct bound b = bind_and_map(served_name(), 0);
	struct served where = {b.reg.nr_memsize, b.reg.nr_offset, NETMAP_TXRING(b.nifp, 0)->head};
	char byte;

	tell(channel, 'b');
	while (recv(channel, &byte, 1, 0) == 1 && byte == 'g') {
		send_descriptor(channel, b.fd);
		need(send(channel, &where, sizeof(where), 0) == sizeof(where), "send");
	}
	unbind(&b);
}

static uint32_t first_head;

static struct bound get_descriptor(int channel)
{
	struct bound b = {.fd = -1};
	struct served where;

	tell(channel, 'g');
	b.fd = receive_descriptor(channel);
	need(recv(channel, &where, sizeof(where), 0) == sizeof(where), "where netmap_if is");
	b.reg.nr_memsize = where.memsize;
	b.reg.nr_offset = where.offset;
	b.reg.nr_rx_rings = in_guest ? PORT_RINGS : 1;
	b.reg.nr_tx_rings = b.reg.nr_rx_rings;
	first_head = where.head;
	map_bound(&b);
	return b;
}

static int server_channel;

/* Sends, and leaves some slots filled but not published to the port. */
static void first_user(int channel)
{
	struct bound b = get_descriptor(server_channel);
	struct netmap_ring *tx = NETMAP_TXRING(b.nifp, 0);
	unsigned int i;

	(void)channel;
	for (i = 0; i < 5; i++)
		need(put_packet(tx, 60, broadcast, mac(1), i), "room");
	check_call("NIOCTXSYNC", 0, tx_sync(&b));
	for (i = 5; i < 8; i++)
		need(put_packet(tx, 60, broadcast, mac(1), i), "room");
	unbind(&b);
}

static void second_user(int channel)
{
	struct bound b = get_descriptor(server_channel);
	struct netmap_ring *tx = NETMAP_TXRING(b.nifp, 0);
	uint32_t head = tx->head;

	(void)channel;
	check_equal("positions are kept", (first_head + 8) % tx->num_slots, head);
	check_call("NIOCTXSYNC", 0, tx_sync(&b));
	check_equal("poll, by the way", POLLOUT, poll_now(b.fd, POLLOUT, 10000));
	unbind(&b);
}

/* Receives two of the packets. */
static void third_user(int channel)
{
	struct bound b = get_descriptor(server_channel);
	struct netmap_ring *rx = NETMAP_RXRING(b.nifp, 0);

	(void)channel;
	check_arrived("packets", &b, 0, 4);
	check_packet("received", rx, 90, broadcast, mac(2), 0);
	check_packet("received", rx, 90, broadcast, mac(2), 1);
	unbind(&b);
}

/* Receives the others: the first two are gone, though nobody synced. */
static void fourth_user(int channel)
{
	struct bound b = get_descriptor(server_channel);
	struct netmap_ring *rx = NETMAP_RXRING(b.nifp, 0);

	(void)channel;
	check_arrived("what the last one left", &b, 0, 2);
	check_packet("received", rx, 90, broadcast, mac(2), 2);
	check_packet("received", rx, 90, broadcast, mac(2), 3);
	check_call("NIOCRXSYNC", 0, rx_sync(&b));
	unbind(&b);
}

static void passed_descriptor(void)
{
	static void (*const users[])(int) = {first_user, second_user, third_user, fourth_user};
	struct bound receiver = bind_and_map(receiver_name(), 0);
	struct netmap_ring *rx = NETMAP_RXRING(receiver.nifp, 0);
	struct child server = start_child(descriptor_server), user;
	unsigned int i, k;

	expect(server.channel, 'b');
	server_channel = server.channel;
	for (i = 0; i < 4; i++) {
		/* It never opens /dev/netmap, nor did we before it was forked, for this port. */
		user = start_child(users[i]);
		end_child(&user, "a user of the descriptor");
		if (i == 1) {
			check_arrived("packets of two processes", &receiver, 0, 8);
			for (k = 0; k < 8; k++)
				check_packet("sent by others", rx, 60, broadcast, mac(1), k);
			for (k = 0; k < 4; k++)
				need(put_packet(NETMAP_TXRING(receiver.nifp, 0), 90, broadcast,
						mac(2), k),
				     "room");
			check_call("NIOCTXSYNC", 0, tx_sync(&receiver));
		}
	}
	tell(server.channel, 'q');
	end_child(&server, "the server");
	unbind(&receiver);
}

static void busy_while_served(void)
{
	struct child server = start_child(descriptor_server);
	struct nmreq_register reg;
	int fd = open_netmap();

	expect(server.channel, 'b');
	check_call("exclusive use of what the server has", EBUSY,
		   bind_rings(fd, served_name(), NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, &reg));
	tell(server.channel, 'q');
	end_child(&server, "the server");
	check_call("when it has ended", 0,
		   bind_rings(fd, served_name(), NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, &reg));
	close(fd);
}

static void no_such_interface(void)
{
	struct nmreq_register reg;
	int fd = open_netmap();

	check_call("REGISTER", ENXIO, bind_rings(fd, "nosuch0", NR_REG_ALL_NIC, 0, 0, &reg));
	/* On the host there is one, for which there will be ports one day. */
	check_call("REGISTER of an interface that is no port", in_guest ? ENXIO : EOPNOTSUPP,
		   bind_rings(fd, "lo", NR_REG_ALL_NIC, 0, 0, &reg));
	check_call(
		"PORT_INFO_GET", ENXIO,
		request(fd, "nosuch0", NETMAP_REQ_PORT_INFO_GET, &(struct nmreq_port_info_get){0}));
	close(fd);
}

/* ---- O: how the reference's programs wait ---- */

static struct bound open_sender(void)
{
	return bind_and_map(in_guest ? port_name : own("c~w{1"), 0);
}

static struct bound open_receiver(void)
{
	return bind_and_map(in_guest ? peer_name : own("c~w}1"), 0);
}

static unsigned int room_in_all(const struct bound *b)
{
	unsigned int room = 0, i;

	for (i = 0; i < b->reg.nr_tx_rings; i++)
		room += nm_ring_space(NETMAP_TXRING(b->nifp, i));
	return room;
}

/* Each step is a sync and a sleep; nothing wakes it. */
static bool await_room(const struct bound *b, unsigned int slots)
{
	const struct timespec step = {.tv_nsec = 100000000};
	unsigned int steps;

	for (steps = 0; room_in_all(b) < slots && steps < 100; steps++) {
		need(tx_sync(b) == 0, "NIOCTXSYNC");
		if (room_in_all(b) < slots)
			nanosleep(&step, NULL);
	}
	return room_in_all(b) >= slots;
}

static void slow_reader(int channel)
{
	struct bound b = open_receiver();
	struct netmap_ring *rx = NETMAP_RXRING(b.nifp, 0);

	tell(channel, 'b');
	expect(channel, 'g');
	check_arrived("a full ring", &b, 0, rx->num_slots - 1);
	release_all(rx);
	check_call("NIOCRXSYNC", 0, rx_sync(&b));
	tell(channel, 'd');
	check_arrived("a full ring again", &b, 0, rx->num_slots - 1);
	release_all(rx); /* in a guest, what is not released waits for the port's next user */
	check_call("NIOCRXSYNC", 0, rx_sync(&b));
	unbind(&b);
}

static void sender_waits_for_room(void)
{
	struct child reader = start_child(slow_reader);
	struct bound b;
	struct netmap_ring *tx;
	unsigned int i, slots, all;

	expect(reader.channel, 'b');
	b = open_sender();
	tx = NETMAP_TXRING(b.nifp, 0);
	slots = tx->num_slots - 1;
	all = slots * b.reg.nr_tx_rings;
	check_equal("room at once", 1, await_room(&b, all));
	for (i = 0; i < slots; i++)
		need(put_packet(tx, 60, broadcast, mac(1), i), "room");
	check_call("NIOCTXSYNC", 0, tx_sync(&b));
	if (!in_guest) /* a switch takes it all */
		check_equal("the pipe is full", 0, nm_ring_space(tx));
	tell(reader.channel, 'g');
	check_equal("room when the reader has read", 1, await_room(&b, all));
	expect(reader.channel, 'd');
	for (i = 0; i < slots; i++)
		check_equal("room for each", 1, put_packet(tx, 60, broadcast, mac(1), i));
	check_call("one NIOCTXSYNC for all", 0, tx_sync(&b));
	end_child(&reader, "the reader");
	unbind(&b);
}

static void receiver_wants_all(void)
{
	struct bound a = open_sender(), b = open_receiver();
	struct netmap_ring *tx = NETMAP_TXRING(a.nifp, 0), *rx = NETMAP_RXRING(b.nifp, 0);
	unsigned int count = rx->num_slots - 1, i;

	for (i = 0; i < count; i++) {
		need(put_packet(tx, 60 + i % 100, broadcast, mac(1), i), "room");
		if (i % 100 == 0)
			check_call("NIOCTXSYNC", 0, tx_sync(&a));
	}
	check_call("NIOCTXSYNC", 0, tx_sync(&a));
	/* None is released until all are visible. */
	check_arrived("all packets at once", &b, 0, count);
	for (i = 0; i < count; i++)
		check_packet("received", rx, 60 + i % 100, broadcast, mac(1), i);
	unbind(&a);
	unbind(&b);
}

static void nothing_received(void)
{
	const struct timespec step = {.tv_nsec = 100000000};
	struct bound a = open_sender(), b = open_receiver();
	unsigned int i;

	(void)a;
	for (i = 0; i < 10; i++) {
		check_call("NIOCRXSYNC", 0, rx_sync(&b));
		check_equal("packets", 0, packets_in(NETMAP_RXRING(b.nifp, 0)));
		nanosleep(&step, NULL);
	}
	unbind(&a);
	unbind(&b);
}

const struct test process_tests[] = {
	{"N70-passed-descriptor", passed_descriptor, EVERYWHERE | WITH_PORTS},
	{"N71-busy-while-served", busy_while_served, EVERYWHERE | WITH_PORTS},
	{"N72-no-such-interface", no_such_interface, EVERYWHERE},
	{"O73-sender-waits-for-room", sender_waits_for_room, EVERYWHERE | WITH_PORTS},
	{"O74-receiver-wants-all", receiver_wants_all, EVERYWHERE | WITH_PORTS},
	{"O75-nothing-received", nothing_received, EVERYWHERE | WITH_PORTS},
	{NULL, NULL, 0},
};
