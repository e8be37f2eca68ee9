/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two hundred programs on /dev/netmap that attach, send, receive and die at random; run by
 * test_host_soak.py under ptnet-run. On the ABI alone, without any library of ours.
 *
 *   netmap-soak SECONDS KILLS SEED PIPES PAIRS GROUPS
 *
 * It takes that many seconds, more if so many have not been killed by then.
 *
 * A *flow* goes from one program to another, which checks it: over a pipe (soakN{1), between two
 * ports of a switch (valeN:tx, valeN:rx), or between rings 0 or 1 of two ports (valeN:gtx,
 * valeN:grx) on which each ring belongs to another program, and which *meddlers* sync all the time,
 * too, without having anything to send or to receive. Each program is a process. The first process
 * starts them, kills them wherever they are or tells them to end, and starts them again. What they
 * know of each other is in memory that all share (struct flow); so a program that was killed leaves
 * behind how far it certainly had come, and how far it may have come.
 *
 * Packets are numbered in each life of their sender. Over a pipe none may be missing, whoever
 * dies, unless both ends were closed at the same time: a program that opens an end again goes on
 * where the one before stopped (spec/ports.md section 3.3). On a switch the sender has no more on
 * its way than the receiver's ring holds; what is missing all the same is counted, for the test to
 * compare with what the daemon says it dropped because that ring was full.
 *
 * Prints a line of JSON with what happened. Exit status 1: the last line says what went wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <net/netmap.h>
#include <net/netmap_user.h>

#define MAX_FLOWS     256
#define MAX_CLIENTS   512
#define MAX_LIVES     8192 /* of one sender */
#define WINDOW	      64u  /* packets on their way over a switch */
#define MAX_FRAME     1500u
#define MIN_FRAME     64u
#define EXTRA_BUFFERS 8u
#define STUCK_NS      (90 * SECOND)
#define SILENCE_NS    (SECOND / 5) /* then a sender asks whether all is lost */
#define SECOND	      1000000000ull
#define NAMES	      32

enum role { SENDER, RECEIVER, MEDDLER };

/* A packet: which of its sender's lives (and of the receiver's, on a switch) it is of, and its
 * number there. In slot->ptr on a pipe, which passes that on, and in the packet. */
struct place {
	uint32_t life, number;
};

struct flow {
	/* Constant. */
	bool pipe;
	unsigned id;
	int ring; /* of both ports; -1: all */
	char tx_port[NAMES], rx_port[NAMES];

	/* The sender's. */
	_Atomic uint32_t life; /* how many there were, the present one included */
	_Atomic uint32_t sent_at_least[MAX_LIVES]; /* per life: taken by the port */
	_Atomic uint64_t sent;			   /* in all */

	/* The receiver's, of a pipe: the next packet is none before the first and none behind the
	 * second of these (struct place, packed); or any, because both ends were closed. */
	_Atomic uint64_t next_at_least, next_at_most;
	_Atomic bool any_next;
	uint32_t void_lives; /* of the sender: the last one that both ends were closed after */
	_Atomic uint64_t received, missing, foreign;

	/* Of the switch: the receiver's life, when it is ready, and what it has (struct place). */
	_Atomic uint32_t epoch;
	_Atomic uint64_t credit;
};

struct shared {
	_Atomic bool stop_dying; /* by their own hand */
	_Atomic bool stop_sending;
	_Atomic bool failed;
	char complaint[512];
	_Atomic bool open[MAX_CLIENTS];	  /* the present program has its port */
	_Atomic bool doomed[MAX_CLIENTS]; /* the present program will be killed by a timer */
	struct flow flows[MAX_FLOWS];
};

struct client {
	enum role role;
	struct flow *flow;
	struct client *other; /* end of the flow */
	unsigned number;
	pid_t pid; /* 0: there is none at the moment */
	uint64_t start_at;
};

static struct shared *shared;
static struct client clients[MAX_CLIENTS];
static unsigned num_clients, num_flows;
static volatile sig_atomic_t told_to_end;
static uint64_t dice_state;

/* ---- odds and ends ---- */

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * SECOND + (uint64_t)now.tv_nsec;
}

static uint32_t dice(uint32_t sides)
{
	dice_state ^= dice_state << 13;
	dice_state ^= dice_state >> 7;
	dice_state ^= dice_state << 17;
	return (uint32_t)(dice_state >> 16) % sides;
}

static void nap_us(uint32_t us)
{
	struct timespec pause = {.tv_nsec = (long)us * 1000};

	nanosleep(&pause, NULL);
}

static void complain(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* The first one's words are kept. */
static void complain(const char *format, ...)
{
	va_list arguments;

	if (!atomic_exchange(&shared->failed, true)) {
		va_start(arguments, format);
		vsnprintf(shared->complaint, sizeof(shared->complaint), format, arguments);
		va_end(arguments);
	}
	_exit(1);
}

static uint64_t pack(uint32_t life, uint32_t number)
{
	return (uint64_t)life << 32 | number;
}

static struct place unpack(uint64_t packed)
{
	return (struct place){.life = (uint32_t)(packed >> 32), .number = (uint32_t)packed};
}

/* ---- a bound descriptor ---- */

struct port {
	int fd;
	char *memory;
	struct netmap_if *nifp;
	struct nmreq_register reg;
	uint32_t extra[EXTRA_BUFFERS];
	unsigned num_extra;
};

static void port_open(struct port *port, const char *name, int ring, uint64_t flags, uint32_t extra)
{
	struct nmreq_header header = {.nr_version = NETMAP_API,
				      .nr_reqtype = NETMAP_REQ_REGISTER,
				      .nr_body = (uintptr_t)&port->reg};

	memset(port, 0, sizeof(*port));
	port->reg.nr_mode = ring < 0 ? NR_REG_ALL_NIC : NR_REG_ONE_NIC;
	port->reg.nr_ringid = ring < 0 ? 0 : (uint16_t)ring;
	port->reg.nr_flags = flags;
	port->reg.nr_extra_bufs = extra;
	snprintf(header.nr_name, sizeof(header.nr_name), "%s", name);
	port->fd = open(NETMAP_DEVICE_NAME, O_RDWR);
	if (port->fd < 0)
		complain("%s: open: %s", name, strerror(errno));
	if (ioctl(port->fd, NIOCCTRL, &header) < 0)
		complain("%s: REGISTER: %s", name, strerror(errno));
	port->memory =
		mmap(NULL, port->reg.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, port->fd, 0);
	if (port->memory == MAP_FAILED)
		complain("%s: mmap: %s", name, strerror(errno));
	port->nifp = NETMAP_IF(port->memory, port->reg.nr_offset);
}

static struct netmap_ring *tx_ring(struct port *port, int ring)
{
	return NETMAP_TXRING(port->nifp, ring < 0 ? 0 : ring);
}

static struct netmap_ring *rx_ring(struct port *port, int ring)
{
	return NETMAP_RXRING(port->nifp, ring < 0 ? 0 : ring);
}

static void sync_rings(const struct port *port, unsigned long request, const char *name)
{
	if (ioctl(port->fd, request, NULL) < 0)
		complain("%s: %s: %s", name, request == NIOCTXSYNC ? "TXSYNC" : "RXSYNC",
			 strerror(errno));
}

/* Also returns now and then when there is nothing: to look whether we shall end. */
static void wait_for(const struct port *port, short events, const char *name)
{
	struct pollfd fds = {.fd = port->fd, .events = events};
	int ready = poll(&fds, 1, 50);

	if ((ready < 0 && errno != EINTR) || (ready > 0 && (fds.revents & (POLLERR | POLLNVAL))))
		complain("%s: poll: %s, events %#x", name, ready < 0 ? strerror(errno) : "ready",
			 (unsigned)fds.revents);
}

/* The order in which a program that may die in between has to store these. */
static void advance(struct netmap_ring *ring, uint32_t to)
{
	__atomic_store_n(&ring->cur, to, __ATOMIC_RELEASE);
	__atomic_store_n(&ring->head, to, __ATOMIC_RELEASE);
}

static uint32_t space(const struct netmap_ring *ring)
{
	uint32_t tail = __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE);

	return tail >= ring->head ? tail - ring->head : tail + ring->num_slots - ring->head;
}

/* ---- packets ---- */

struct packet {
	uint8_t destination[6], source[6];
	uint8_t type[2], pad[2];
	uint32_t flow, life, number, epoch;
};

static void address(uint8_t mac[6], unsigned flow, enum role role)
{
	memcpy(mac,
	       (const uint8_t[]){0x02, 0x50, (uint8_t)role, 0, (uint8_t)(flow >> 8), (uint8_t)flow},
	       6);
}

static uint32_t mix(uint32_t a, uint32_t b)
{
	uint64_t x = ((uint64_t)a << 32 | b) * 0x9e3779b97f4a7c15ull;

	return (uint32_t)(x >> 32);
}

static uint16_t length_of(uint32_t life, uint32_t number)
{
	return (uint16_t)(MIN_FRAME + mix(life, number) % (MAX_FRAME - MIN_FRAME));
}

/* The byte at each place of what follows the header. */
static uint8_t filling(const struct packet *packet)
{
	return (uint8_t)mix(packet->flow ^ packet->life << 8, packet->number);
}

static void put_packet(struct netmap_ring *ring, struct netmap_slot *slot, struct packet packet)
{
	char *buffer = NETMAP_BUF(ring, slot->buf_idx);

	slot->len = length_of(packet.life, packet.number);
	slot->flags = 0;
	slot->ptr = pack(packet.life, packet.number);
	memcpy(buffer, &packet, sizeof(packet));
	memset(buffer + sizeof(packet), filling(&packet), slot->len - sizeof(packet));
}

/* What is wrong with the packet in this slot; NULL: nothing. */
static const char *check_packet(const struct netmap_ring *ring, const struct netmap_slot *slot,
				const struct packet *packet)
{
	const uint8_t *buffer = (const uint8_t *)NETMAP_BUF(ring, slot->buf_idx);
	uint8_t expected = filling(packet);

	if (slot->len != length_of(packet->life, packet->number))
		return "has another length";
	for (unsigned i = sizeof(*packet); i < slot->len; i++)
		if (buffer[i] != expected)
			return "has other bytes";
	return NULL;
}

/* ---- all programs ---- */

/*
 * From outside a program is seldom hit while it syncs a ring, and holds its lock. One that does
 * nothing but sync mostly is: by a timer.
 */
static bool doom_yourself(const struct client *self, unsigned one_of)
{
	struct sigevent end = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
	struct itimerspec when = {.it_value.tv_nsec = 1 + (long)dice(5000000)};
	timer_t timer;

	if (atomic_load(&shared->stop_dying) || dice(one_of) != 0)
		return false;
	atomic_store(&shared->doomed[self->number], true);
	if (timer_create(CLOCK_MONOTONIC, &end, &timer) < 0 ||
	    timer_settime(timer, 0, &when, NULL) < 0)
		complain("timer: %s", strerror(errno));
	return true;
}

/* ---- senders ---- */

static bool sending(void)
{
	return !told_to_end && !atomic_load(&shared->stop_sending);
}

/* Publishes @count slots from head on; until the sync returns nobody knows how many were taken. */
static void publish(struct port *port, struct netmap_ring *ring, uint32_t head, const char *name)
{
	/* Now and then it is another call that does it. */
	advance(ring, head);
	if (dice(4) == 0)
		wait_for(port, POLLOUT, name);
	sync_rings(port, NIOCTXSYNC, name);
}

static uint32_t fill_slots(struct netmap_ring *ring, uint32_t count, struct packet packet)
{
	uint32_t head = ring->head;

	for (uint32_t i = 0; i < count; i++) {
		put_packet(ring, &ring->slot[head], packet);
		packet.number++;
		head = nm_ring_next(ring, head);
	}
	return head;
}

static void rest_a_little(void)
{
	if (dice(3) == 0)
		nap_us(dice(4000));
}

static void send_to_pipe(struct flow *flow, struct port *port, struct packet packet)
{
	struct netmap_ring *ring = tx_ring(port, -1);
	_Atomic uint32_t *at_least = &flow->sent_at_least[packet.life];

	while (sending()) {
		uint32_t room = space(ring), count, head;

		if (room == 0) {
			wait_for(port, POLLOUT, flow->tx_port);
			continue;
		}
		count = 1 + dice(room < 64 ? room : 64);
		head = fill_slots(ring, count, packet);
		packet.number += count;
		publish(port, ring, head, flow->tx_port);
		atomic_store(at_least, packet.number);
		atomic_fetch_add(&flow->sent, count);
		rest_a_little();
	}
}

/* How many of the packets of this stream are on their way as far as the sender knows. */
static uint32_t in_flight(const struct flow *flow, const struct packet *packet)
{
	struct place got = unpack(atomic_load(&flow->credit));

	return packet->number - (got.life == (packet->life << 16 | packet->epoch) ? got.number : 0);
}

static void send_to_switch(struct flow *flow, struct port *port, struct packet packet)
{
	struct netmap_ring *ring = tx_ring(port, flow->ring);
	uint64_t spoke_ns = now_ns();

	while (sending()) {
		uint32_t epoch = atomic_load(&flow->epoch), room = space(ring), count, flying, head;

		if (epoch != packet.epoch) { /* another receiver, who knows of nothing */
			packet.epoch = epoch;
			packet.number = 0;
		}
		flying = in_flight(flow, &packet);
		count = flying < WINDOW ? WINDOW - flying : 0;
		/* All that is on its way may be lost, and the receiver not know of it. */
		if (count == 0 && now_ns() - spoke_ns > SILENCE_NS)
			count = 1;
		if (count > room)
			count = room;
		if (count == 0 || packet.epoch == 0) {
			wait_for(port, room == 0 ? POLLOUT : POLLIN, flow->tx_port);
		} else {
			count = 1 + dice(count);
			head = fill_slots(ring, count, packet);
			packet.number += count;
			publish(port, ring, head, flow->tx_port);
			atomic_fetch_add(&flow->sent, count);
			spoke_ns = now_ns();
		}
		/* Greetings, and what is flooded while a port is new. */
		ring = rx_ring(port, flow->ring);
		advance(ring, __atomic_load_n(&ring->tail, __ATOMIC_ACQUIRE));
		sync_rings(port, NIOCRXSYNC, flow->tx_port);
		ring = tx_ring(port, flow->ring);
		rest_a_little();
	}
}

static void be_sender(struct client *self)
{
	struct flow *flow = self->flow;
	struct packet packet = {.type = {0x88, 0xb5}, .flow = flow->id};
	struct port port;

	packet.life = atomic_fetch_add(&flow->life, 1) + 1;
	if (packet.life >= MAX_LIVES)
		complain("%s: its sender lives too often", flow->tx_port);
	address(packet.source, flow->id, SENDER);
	address(packet.destination, flow->id, RECEIVER);
	port_open(&port, flow->tx_port, flow->ring, 0, 0);
	atomic_store(&shared->open[self->number], true);
	if (flow->pipe) {
		send_to_pipe(flow, &port, packet);
	} else {
		doom_yourself(self, 8);
		send_to_switch(flow, &port, packet);
	}
	/* It stays, for the other end to have somebody, until it is told to go. */
	while (!told_to_end)
		wait_for(&port, POLLIN, flow->tx_port);
}

/* ---- receivers ---- */

static void take_extra_buffers(struct port *port)
{
	struct netmap_ring *ring = rx_ring(port, -1);
	uint32_t buffer = port->nifp->ni_bufs_head;

	for (; buffer != 0 && port->num_extra < EXTRA_BUFFERS; port->num_extra++) {
		port->extra[port->num_extra] = buffer;
		buffer = *(uint32_t *)NETMAP_BUF(ring, buffer);
	}
	if (buffer != 0 || port->num_extra != port->reg.nr_extra_bufs)
		complain("list of %u extra buffers, %u were promised", port->num_extra,
			 port->reg.nr_extra_bufs);
}

static void give_extra_buffers_back(struct port *port)
{
	struct netmap_ring *ring = rx_ring(port, -1);
	uint32_t head = 0;

	while (port->num_extra > 0) {
		uint32_t buffer = port->extra[--port->num_extra];

		*(uint32_t *)NETMAP_BUF(ring, buffer) = head;
		head = buffer;
	}
	port->nifp->ni_bufs_head = head;
}

/* Keeps what is in the slot and gives back another buffer, as zero-copy programs do. */
static void exchange(struct port *port, struct netmap_slot *slot)
{
	uint32_t *mine;

	if (port->num_extra == 0 || dice(4) != 0)
		return;
	mine = &port->extra[dice(port->num_extra)];
	uint32_t theirs = slot->buf_idx;

	slot->buf_idx = *mine;
	slot->flags |= NS_BUF_CHANGED;
	*mine = theirs;
}

/* @got is of a later life than all that came before: were these complete? */
static void expect_no_more(const struct flow *flow, struct place most, struct place got)
{
	if (got.number != 0)
		complain("%s: life %u begins with packet %u", flow->rx_port, got.life, got.number);
	for (uint32_t life = most.life; life < got.life; life++) {
		uint32_t sent = atomic_load(&flow->sent_at_least[life]);
		uint32_t arrived = life == most.life ? most.number : 0;

		if (life > flow->void_lives && sent > arrived)
			complain("%s: of life %u at least %u packets were sent, %u arrived before "
				 "those of life %u",
				 flow->rx_port, life, sent, arrived, got.life);
	}
}

/* The first packet that a receiver sees: one of a few, depending on where the one before died. */
static void expect_first(struct flow *flow, struct place got)
{
	uint64_t packed = pack(got.life, got.number), most = atomic_load(&flow->next_at_most);
	struct place last = unpack(most);

	if (atomic_load(&flow->any_next)) {
		atomic_store(&flow->next_at_most, packed);
		atomic_store(&flow->next_at_least, packed);
		atomic_store(&flow->any_next, false);
	} else if (got.life > last.life) {
		expect_no_more(flow, last, got);
	} else if (packed < atomic_load(&flow->next_at_least) || packed > most) {
		struct place first = unpack(atomic_load(&flow->next_at_least));

		complain("%s: packet %u of life %u, one from %u of %u to %u of %u was to come",
			 flow->rx_port, got.number, got.life, first.number, first.life, last.number,
			 last.life);
	}
}

static void expect_next(const struct flow *flow, struct place got)
{
	struct place next = unpack(atomic_load(&flow->next_at_most));

	if (got.life > next.life)
		expect_no_more(flow, next, got);
	else if (got.life != next.life || got.number != next.number)
		complain("%s: packet %u of life %u, %u of life %u was to come", flow->rx_port,
			 got.number, got.life, next.number, next.life);
}

static void receive_from_pipe(struct flow *flow, struct port *port)
{
	struct netmap_ring *ring = rx_ring(port, -1);
	/* What is before it was in the hands of one who died, and may have other buffers. */
	uint64_t touched = atomic_load(&flow->next_at_most);
	bool first = true;

	while (!told_to_end) {
		uint32_t count = space(ring), head = ring->head;

		if (count == 0) {
			wait_for(port, POLLIN, flow->rx_port);
			continue;
		}
		count = 1 + dice(count);
		for (uint32_t i = 0; i < count; i++) {
			struct netmap_slot *slot = &ring->slot[head];
			struct place got = unpack(slot->ptr);
			struct packet packet = {
				.flow = flow->id, .life = got.life, .number = got.number};
			const char *wrong = NULL;

			if (first)
				expect_first(flow, got);
			else
				expect_next(flow, got);
			first = false;
			if (slot->ptr >= touched)
				wrong = check_packet(ring, slot, &packet);
			if (wrong != NULL)
				complain("%s: packet %u of life %u %s (buffer %u, length %u)",
					 flow->rx_port, got.number, got.life, wrong, slot->buf_idx,
					 slot->len);
			atomic_store(&flow->next_at_most, slot->ptr + 1);
			exchange(port, slot);
			head = nm_ring_next(ring, head);
		}
		advance(ring, head);
		sync_rings(port, NIOCRXSYNC, flow->rx_port);
		atomic_store(&flow->next_at_least, atomic_load(&flow->next_at_most));
		atomic_fetch_add(&flow->received, count);
		rest_a_little();
	}
	give_extra_buffers_back(port);
}

/* So that the switch knows where we are. */
static void greet(struct flow *flow, struct port *port)
{
	struct netmap_ring *ring = tx_ring(port, flow->ring);
	struct packet packet = {.type = {0x88, 0xb5}, .flow = flow->id};

	address(packet.source, flow->id, RECEIVER);
	address(packet.destination, flow->id, SENDER);
	while (space(ring) == 0)
		wait_for(port, POLLOUT, flow->rx_port);
	publish(port, ring, fill_slots(ring, 1, packet), flow->rx_port);
}

/* One stream is what one life of the sender says to one life of the receiver. */
struct stream {
	uint32_t epoch, life, next;
};

static void take_from_switch(struct flow *flow, const struct netmap_ring *ring,
			     const struct netmap_slot *slot, struct stream *stream)
{
	struct packet packet;
	const char *wrong;
	uint8_t own[6];

	memcpy(&packet, NETMAP_BUF(ring, slot->buf_idx), sizeof(packet));
	address(own, flow->id, RECEIVER);
	if (memcmp(packet.destination, own, sizeof(own)) != 0 || packet.epoch != stream->epoch) {
		atomic_fetch_add(&flow->foreign, 1);
		return;
	}
	wrong = check_packet(ring, slot, &packet);
	if (wrong != NULL)
		complain("%s: packet %u of life %u %s", flow->rx_port, packet.number, packet.life,
			 wrong);
	if (packet.life > stream->life)
		*stream = (struct stream){.epoch = stream->epoch, .life = packet.life};
	if (packet.life < stream->life || packet.number < stream->next)
		complain("%s: packet %u of life %u after %u of life %u", flow->rx_port,
			 packet.number, packet.life, stream->next, stream->life);
	atomic_fetch_add(&flow->missing, packet.number - stream->next);
	atomic_fetch_add(&flow->received, 1);
	stream->next = packet.number + 1;
}

static void receive_from_switch(struct flow *flow, struct port *port)
{
	struct netmap_ring *ring = rx_ring(port, flow->ring);
	struct stream stream = {0};

	greet(flow, port);
	stream.epoch = atomic_fetch_add(&flow->epoch, 1) + 1;
	while (!told_to_end) {
		uint32_t count = space(ring), head = ring->head;

		if (count == 0) {
			wait_for(port, POLLIN, flow->rx_port);
			continue;
		}
		for (; count > 0; count--) {
			take_from_switch(flow, ring, &ring->slot[head], &stream);
			head = nm_ring_next(ring, head);
		}
		advance(ring, head);
		sync_rings(port, NIOCRXSYNC, flow->rx_port);
		atomic_store(&flow->credit, pack(stream.life << 16 | stream.epoch, stream.next));
		rest_a_little();
	}
}

static void be_receiver(struct client *self)
{
	struct flow *flow = self->flow;
	struct port port;

	port_open(&port, flow->rx_port, flow->ring, 0, flow->pipe ? EXTRA_BUFFERS : 0);
	if (flow->pipe)
		take_extra_buffers(&port);
	atomic_store(&shared->open[self->number], true);
	if (flow->pipe) {
		receive_from_pipe(flow, &port);
	} else {
		doom_yourself(self, 8);
		receive_from_switch(flow, &port);
	}
}

/* ---- meddlers ---- */

static void be_meddler(struct client *self)
{
	const char *name = dice(2) == 0 ? self->flow->tx_port : self->flow->rx_port;
	struct port port;
	bool doomed;

	port_open(&port, name, dice(2) == 0 ? -1 : (int)dice(2), 0, 0);
	atomic_store(&shared->open[self->number], true);
	doomed = doom_yourself(self, 2);
	while (!told_to_end) {
		switch (dice(3)) {
		case 0:
			sync_rings(&port, NIOCTXSYNC, name);
			break;
		case 1:
			sync_rings(&port, NIOCRXSYNC, name);
			break;
		default:
			if (!doomed)
				wait_for(&port, dice(2) == 0 ? POLLIN : POLLOUT, name);
		}
		if (!doomed)
			rest_a_little();
	}
}

/* ---- the one who starts and ends them ---- */

static void end_yourself(int signal)
{
	(void)signal;
	told_to_end = 1;
}

static void be_client(struct client *self, uint64_t seed)
{
	struct sigaction end = {.sa_handler = end_yourself};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigaction(SIGTERM, &end, NULL);
	dice_state = seed;
	switch (self->role) {
	case SENDER:
		be_sender(self);
		break;
	case RECEIVER:
		be_receiver(self);
		break;
	case MEDDLER:
		be_meddler(self);
		break;
	}
	_exit(0);
}

static void start_client(struct client *client)
{
	uint64_t seed = dice_state ^ (uint64_t)client->number << 32;

	dice(2);
	atomic_store(&shared->open[client->number], false);
	atomic_store(&shared->doomed[client->number], false);
	client->pid = fork();
	if (client->pid == 0)
		be_client(client, seed | 1);
	if (client->pid < 0)
		complain("fork: %s", strerror(errno));
}

static void fail_with_complaint(void)
{
	for (unsigned i = 0; i < num_clients; i++)
		if (clients[i].pid > 0)
			kill(clients[i].pid, SIGKILL);
	printf("%s\n", shared->complaint);
	exit(1);
}

static void await_end(struct client *client)
{
	int status = 0;

	while (waitpid(client->pid, &status, 0) < 0)
		if (errno != EINTR)
			complain("waitpid: %s", strerror(errno));
	client->pid = 0;
	atomic_store(&shared->open[client->number], false);
	/* It may not have been ready for SIGTERM yet. */
	if (WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM))
		return;
	if (WIFSIGNALED(status) && !atomic_exchange(&shared->failed, true))
		snprintf(shared->complaint, sizeof(shared->complaint), "%s: killed by signal %d",
			 client->role == SENDER ? client->flow->tx_port : client->flow->rx_port,
			 WTERMSIG(status));
	if (atomic_load(&shared->failed))
		fail_with_complaint();
}

static struct {
	unsigned kills, ends, dooms, restarts_of_both;
} done;

/* By force, or politely. It will be started again after a while. */
static void end_client(struct client *client)
{
	bool force = dice(4) != 0;

	kill(client->pid, force ? SIGKILL : SIGTERM);
	await_end(client);
	done.kills += force;
	done.ends += !force;
	client->start_at = now_ns() + dice(2) * dice(50) * (SECOND / 1000);
}

static bool is_open(const struct client *client)
{
	return client->pid > 0 && atomic_load(&shared->open[client->number]);
}

/* While one end of a pipe is open, nothing may get lost: the other one has to be there. */
static void end_somebody(void)
{
	struct client *client = &clients[dice(num_clients)];

	if (client->pid == 0)
		return;
	if (client->role == MEDDLER || !client->flow->pipe) {
		end_client(client);
	} else if (client->other->pid > 0 && dice(8) == 0) {
		end_client(client);
		end_client(client->other);
		client->flow->void_lives = atomic_load(&client->flow->life);
		atomic_store(&client->flow->any_next, true);
		done.restarts_of_both++;
	} else if (is_open(client->other)) {
		end_client(client);
	}
}

static void start_those_due(void)
{
	for (unsigned i = 0; i < num_clients; i++)
		if (clients[i].pid == 0 && now_ns() >= clients[i].start_at)
			start_client(&clients[i]);
}

/* Nobody ends unless told to, or doomed. */
static void look_for_failures(void)
{
	siginfo_t info = {0};

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
		bool doomed = false;

		for (unsigned i = 0; i < num_clients; i++) {
			if (clients[i].pid != info.si_pid)
				continue;
			doomed = atomic_load(&shared->doomed[i]);
			await_end(&clients[i]);
			clients[i].start_at = now_ns() + dice(100) * (SECOND / 1000);
		}
		done.dooms += doomed;
		if (doomed)
			continue;
		if (!atomic_load(&shared->failed))
			snprintf(shared->complaint, sizeof(shared->complaint),
				 "process %d ended by itself", (int)info.si_pid);
		fail_with_complaint();
	}
}

static void look_for_stuck_flows(void)
{
	static uint64_t seen[MAX_FLOWS], moved_ns[MAX_FLOWS];
	uint64_t now = now_ns();

	for (unsigned i = 0; i < num_flows; i++) {
		uint64_t received = atomic_load(&shared->flows[i].received);

		if (moved_ns[i] == 0 || received != seen[i])
			moved_ns[i] = now;
		seen[i] = received;
		if (now - moved_ns[i] < STUCK_NS)
			continue;
		snprintf(shared->complaint, sizeof(shared->complaint),
			 "from %s to %s (ring %d) nothing has arrived for %llu s",
			 shared->flows[i].tx_port, shared->flows[i].rx_port, shared->flows[i].ring,
			 STUCK_NS / SECOND);
		fail_with_complaint();
	}
}

/* When nobody dies any more all flows go on, whatever the dead have left behind. */
static void await_all_flows(void)
{
	static uint64_t before[MAX_FLOWS];

	atomic_store(&shared->stop_dying, true);
	for (unsigned i = 0; i < num_flows; i++)
		before[i] = atomic_load(&shared->flows[i].received);
	for (unsigned i = 0; i < num_flows; i++) {
		while (atomic_load(&shared->flows[i].received) < before[i] + 2 * WINDOW) {
			look_for_failures();
			start_those_due();
			look_for_stuck_flows();
			nap_us(1000);
		}
	}
}

/* All that was sent over the pipe for sure has arrived. */
static bool drained(const struct flow *flow)
{
	struct place next = unpack(atomic_load(&flow->next_at_least));

	for (uint32_t life = atomic_load(&flow->life); life > flow->void_lives; life--) {
		uint32_t sent = atomic_load(&flow->sent_at_least[life]);

		if (sent > 0)
			return next.life == life && next.number >= sent;
	}
	return true;
}

static void drain_pipes(void)
{
	uint64_t deadline = now_ns() + STUCK_NS;

	atomic_store(&shared->stop_sending, true);
	for (unsigned i = 0; i < num_flows; i++) {
		const struct flow *flow = &shared->flows[i];

		while (flow->pipe && !drained(flow)) {
			look_for_failures();
			start_those_due();
			if (now_ns() > deadline) {
				snprintf(shared->complaint, sizeof(shared->complaint),
					 "%s: what was sent does not arrive", flow->rx_port);
				fail_with_complaint();
			}
			nap_us(1000);
		}
	}
}

static void add_client(enum role role, struct flow *flow)
{
	struct client *client = &clients[num_clients];

	*client = (struct client){.role = role, .flow = flow, .number = num_clients};
	if (role == RECEIVER) { /* its sender was added before it */
		client->other = client - 1;
		client->other->other = client;
	}
	num_clients++;
}

static struct flow *add_flow(bool pipe, int ring, const char *tx_format, const char *rx_format,
			     unsigned number)
{
	struct flow *flow = &shared->flows[num_flows];

	flow->pipe = pipe;
	flow->ring = ring;
	flow->id = num_flows++;
	snprintf(flow->tx_port, NAMES, tx_format, number);
	snprintf(flow->rx_port, NAMES, rx_format, number);
	add_client(SENDER, flow);
	add_client(RECEIVER, flow);
	return flow;
}

static void print_results(void)
{
	uint64_t packets[2] = {0}, foreign = 0;
	const char *comma = "";

	for (unsigned i = 0; i < num_flows; i++) {
		packets[shared->flows[i].pipe] += atomic_load(&shared->flows[i].received);
		foreign += atomic_load(&shared->flows[i].foreign);
	}
	printf("{\"clients\": %u, \"kills\": %u, \"ends\": %u, \"dooms\": %u, "
	       "\"both\": %u, "
	       "\"pipe_packets\": %llu, \"switch_packets\": %llu, \"foreign\": %llu, "
	       "\"missing\": [",
	       num_clients, done.kills, done.ends, done.dooms, done.restarts_of_both,
	       (unsigned long long)packets[true], (unsigned long long)packets[false],
	       (unsigned long long)foreign);
	for (unsigned i = 0; i < num_flows; i++) {
		const struct flow *flow = &shared->flows[i];

		if (atomic_load(&flow->missing) == 0)
			continue;
		printf("%s{\"port\": \"%s\", \"ring\": %d, \"packets\": %llu}", comma,
		       flow->rx_port, flow->ring < 0 ? 0 : flow->ring,
		       (unsigned long long)atomic_load(&flow->missing));
		comma = ", ";
	}
	printf("]}\n");
}

int main(int argc, char **argv)
{
	unsigned long numbers[6];
	unsigned pipes, pairs, groups;
	uint64_t end_ns;

	if (argc != 7) {
		fprintf(stderr, "usage: netmap-soak SECONDS KILLS SEED PIPES PAIRS GROUPS\n");
		return 2;
	}
	for (int i = 0; i < 6; i++)
		numbers[i] = strtoul(argv[i + 1], NULL, 0);
	pipes = (unsigned)numbers[3];
	pairs = (unsigned)numbers[4];
	groups = (unsigned)numbers[5];
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED || pipes + pairs + 2 * groups > MAX_FLOWS ||
	    2 * (pipes + pairs) + 6 * groups > MAX_CLIENTS) {
		fprintf(stderr, "netmap-soak: too many\n");
		return 2;
	}
	dice_state = numbers[2] * 2 + 1;
	for (unsigned i = 0; i < pipes; i++)
		add_flow(true, -1, "soak%u{1", "soak%u}1", i);
	for (unsigned i = 0; i < pairs; i++)
		add_flow(false, -1, "vale%u:tx", "vale%u:rx", i);
	for (unsigned i = 0; i < groups; i++) {
		for (int ring = 0; ring < 2; ring++)
			add_client(MEDDLER, add_flow(false, ring, "vale%u:gtx", "vale%u:grx", i));
	}
	end_ns = now_ns() + numbers[0] * SECOND;
	while (now_ns() < end_ns || done.kills < numbers[1]) {
		start_those_due();
		end_somebody();
		look_for_failures();
		look_for_stuck_flows();
		nap_us(dice(10000));
	}
	await_all_flows();
	drain_pipes();
	for (unsigned i = 0; i < num_clients; i++)
		if (clients[i].pid > 0)
			end_client(&clients[i]);
	print_results();
	return 0;
}
