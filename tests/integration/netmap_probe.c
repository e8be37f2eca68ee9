/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What test_driver_programs.py runs inside a guest: moves numbered frames, sleeps in
 * poll while the device goes away, opens and closes at random, writes nonsense into the
 * region. On the ABI alone, without any library of ours.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <net/netmap.h>

#define MAX_FRAME  2048
#define ETHER_TYPE "\x88\xb5" /* local experimental */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ---- a bound descriptor ---- */

struct port {
	int fd;
	char *memory;
	size_t size;
	struct netmap_if *nifp;
	struct nmreq_register reg;
};

static int control(int fd, int type, const char *name, void *body)
{
	struct nmreq_header header = {
		.nr_version = NETMAP_API, .nr_reqtype = (uint16_t)type, .nr_body = (uintptr_t)body};

	snprintf(header.nr_name, sizeof(header.nr_name), "%s", name);
	return ioctl(fd, NIOCCTRL, &header);
}

static int port_open(struct port *port, const char *name, uint32_t mode, uint64_t flags)
{
	int error;

	memset(port, 0, sizeof(*port));
	port->fd = open(NETMAP_DEVICE_NAME, O_RDWR);
	if (port->fd < 0)
		return -1;
	port->reg = (struct nmreq_register){.nr_mode = mode, .nr_flags = flags};
	if (control(port->fd, NETMAP_REQ_REGISTER, name, &port->reg) < 0) {
		error = errno;
		close(port->fd);
		errno = error;
		return -1;
	}
	port->size = port->reg.nr_memsize;
	port->memory = mmap(NULL, port->size, PROT_READ | PROT_WRITE, MAP_SHARED, port->fd, 0);
	if (port->memory == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	port->nifp = (struct netmap_if *)(void *)(port->memory + port->reg.nr_offset);
	return 0;
}

static void port_close(struct port *port)
{
	munmap(port->memory, port->size);
	close(port->fd);
}

static void port_must_open(struct port *port, const char *name)
{
	if (port_open(port, name, NR_REG_ALL_NIC, 0) == 0)
		return;
	perror(name);
	exit(1);
}

static struct netmap_ring *tx_ring(struct port *port, unsigned int i)
{
	return (void *)((char *)port->nifp + port->nifp->ring_ofs[i]);
}

static struct netmap_ring *rx_ring(struct port *port, unsigned int i)
{
	return tx_ring(port, i + port->nifp->ni_tx_rings + port->nifp->ni_host_tx_rings);
}

static uint8_t *slot_buf(struct netmap_ring *ring, uint32_t i)
{
	return (uint8_t *)ring + ring->buf_ofs + (size_t)ring->slot[i].buf_idx * ring->nr_buf_size;
}

static uint32_t slot_next(struct netmap_ring *ring, uint32_t i)
{
	return i + 1 == ring->num_slots ? 0 : i + 1;
}

static int poll_for(struct port *port, short events, int timeout)
{
	struct pollfd pollfd = {.fd = port->fd, .events = events};

	return poll(&pollfd, 1, timeout) < 0 ? -1 : pollfd.revents;
}

/* ---- numbered frames ---- */

static void frame_fill(uint8_t *frame, uint16_t length, uint64_t number)
{
	memset(frame, 0xff, 6);
	memcpy(frame + 6, "\x02\x00\x00\x00\x00\x01" ETHER_TYPE, 8);
	memcpy(frame + 14, &number, sizeof(number));
	memset(frame + 22, (int)(number & 0xff), length - 22U);
}

static bool frame_intact(const uint8_t *frame, uint16_t length)
{
	int i;

	for (i = 22; i < length; i++)
		if (frame[i] != frame[14])
			return false;
	return true;
}

/* Fills a ring's free slots, up to count frames; returns how many. */
static uint64_t ring_send(struct netmap_ring *ring, uint64_t number, uint64_t count,
			  uint16_t length)
{
	uint32_t i = ring->head;
	uint64_t sent = 0;

	for (; i != ring->tail && sent < count; i = slot_next(ring, i), sent++) {
		frame_fill(slot_buf(ring, i), length, number + sent);
		ring->slot[i].len = length;
		ring->slot[i].flags = 0;
	}
	ring->head = ring->cur = i;
	return sent;
}

static int tx(const char *name, uint64_t count, uint16_t length)
{
	double deadline = now() + 60;
	uint32_t *buffers, i, moved = 0;
	uint64_t sent = 0;
	struct port port;
	int events;

	port_must_open(&port, name);
	buffers = calloc(tx_ring(&port, 0)->num_slots, sizeof(*buffers));
	for (i = 0; i < tx_ring(&port, 0)->num_slots; i++)
		buffers[i] = tx_ring(&port, 0)->slot[i].buf_idx;
	while (sent < count) {
		events = poll_for(&port, POLLOUT, 30000);
		if (events != POLLOUT) {
			printf("tx: events %#x after %ju frames\n", events, (uintmax_t)sent);
			return 1;
		}
		sent += ring_send(tx_ring(&port, 0), sent, count - sent, length);
	}
	while (slot_next(tx_ring(&port, 0), tx_ring(&port, 0)->tail) != tx_ring(&port, 0)->head) {
		ioctl(port.fd, NIOCTXSYNC, NULL);
		if (now() > deadline) {
			printf("tx: not all completed\n");
			return 1;
		}
	}
	for (i = 0; i < tx_ring(&port, 0)->num_slots; i++)
		moved += buffers[i] != tx_ring(&port, 0)->slot[i].buf_idx;
	printf("tx: %ju frames, other buffers in %u slots\n", (uintmax_t)sent, moved);
	free(buffers);
	port_close(&port);
	return 0;
}

struct received {
	uint64_t frames, lost, bad, next;
};

/* Exchanges the buffers of two slots. */
static void exchange(struct netmap_ring *ring, uint32_t a, uint32_t b)
{
	uint32_t buffer = ring->slot[a].buf_idx;

	ring->slot[a].buf_idx = ring->slot[b].buf_idx;
	ring->slot[b].buf_idx = buffer;
	ring->slot[a].flags |= NS_BUF_CHANGED;
	ring->slot[b].flags |= NS_BUF_CHANGED;
}

static void ring_receive(struct netmap_ring *ring, struct received *received, bool exchanges)
{
	uint32_t i, last = ring->head;

	for (i = ring->head; i != ring->tail; i = slot_next(ring, i)) {
		const uint8_t *frame = slot_buf(ring, i);
		uint64_t number;

		if (memcmp(frame + 12, ETHER_TYPE, 2) != 0)
			continue; /* the stack's own */
		memcpy(&number, frame + 14, sizeof(number));
		if (number < received->next || !frame_intact(frame, ring->slot[i].len))
			received->bad++;
		else
			received->lost += number - received->next;
		received->next = number + 1;
		received->frames++;
		if (exchanges)
			exchange(ring, last, i);
		last = i;
	}
	ring->head = ring->cur = i;
}

/* Waits for input by poll, epoll or in a loop; false on an error or after 20 seconds. */
static bool rx_wait(struct port *port, const char *how, int epoll, double deadline)
{
	struct epoll_event event;

	if (strcmp(how, "poll") == 0 || strcmp(how, "exchange") == 0)
		return poll_for(port, POLLIN, 20000) == POLLIN;
	if (strcmp(how, "epoll") == 0)
		return epoll_wait(epoll, &event, 1, 20000) == 1 && event.events == EPOLLIN;
	return ioctl(port->fd, NIOCRXSYNC, NULL) == 0 && now() < deadline;
}

static int rx(const char *name, uint64_t count, const char *how)
{
	struct epoll_event event = {.events = EPOLLIN};
	struct received received = {0};
	int epoll = epoll_create1(0);
	double deadline = now() + 60;
	struct port port;
	unsigned int i;

	port_must_open(&port, name);
	epoll_ctl(epoll, EPOLL_CTL_ADD, port.fd, &event);
	printf("ready\n");
	while (received.next < count && rx_wait(&port, how, epoll, deadline))
		for (i = 0; i < port.reg.nr_rx_rings; i++)
			ring_receive(rx_ring(&port, i), &received, strcmp(how, "exchange") == 0);
	printf("rx: %ju frames, %ju lost, %ju bad\n", (uintmax_t)received.frames,
	       (uintmax_t)received.lost, (uintmax_t)received.bad);
	port_close(&port);
	return received.bad || received.next < count;
}

/* ---- sleeping while things happen ---- */

/* Holds all rings until killed, without ever looking. */
static _Noreturn void hold(const char *name)
{
	struct port port;

	port_must_open(&port, name);
	printf("ready\n");
	for (;;)
		pause();
}

static int signal_of_touching(const char *memory)
{
	int status;

	if (fork() == 0) {
		volatile char byte = *(const volatile char *)memory;

		(void)byte;
		_exit(0);
	}
	wait(&status);
	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

/*
 * Sleeps in poll or epoll, then says what woke it and what the descriptor is worth. The
 * memory goes a little after the sleepers are woken: @signal is awaited for so long.
 */
static int waiter(const char *name, const char *how, int signal)
{
	struct epoll_event event = {.events = EPOLLIN};
	int events, txsync, rxsync, epoll = epoll_create1(0);
	struct port port;

	port_must_open(&port, name);
	signal_of_touching(port.memory);
	if (strcmp(how, "epoll") == 0) {
		epoll_ctl(epoll, EPOLL_CTL_ADD, port.fd, &event);
		event.events = 0;
		epoll_wait(epoll, &event, 1, 0); /* arms the rings */
		printf("ready\n");
		/* Interrupted by a suspension, which poll is not. */
		while (epoll_wait(epoll, &event, 1, 60000) < 0 && errno == EINTR)
			;
		events = (int)event.events;
	} else {
		printf("ready\n");
		events = poll_for(&port, POLLIN, 60000);
	}
	txsync = ioctl(port.fd, NIOCTXSYNC, NULL) < 0 ? errno : 0;
	rxsync = ioctl(port.fd, NIOCRXSYNC, NULL) < 0 ? errno : 0;
	int touched = signal_of_touching(port.memory);
	for (unsigned waited = 0; touched != signal && waited < 10000; waited += 10) {
		usleep(10000);
		touched = signal_of_touching(port.memory);
	}
	printf("events %#x txsync %d rxsync %d signal %d\n", events, txsync, rxsync, touched);
	return 0;
}

/* ---- disorder ---- */

static const uint64_t churn_flags[] = {0, NR_EXCLUSIVE, NR_TX_RINGS_ONLY, NR_RX_RINGS_ONLY};

/* Opens and closes in every manner; a child may keep the mapping a little longer. */
static int churn(const char *name, long rounds)
{
	unsigned int seed = 1;
	struct port port;
	long opened = 0;

	for (; rounds > 0; rounds--) {
		uint32_t mode = rand_r(&seed) % 4 ? NR_REG_ALL_NIC : NR_REG_ONE_NIC;

		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
		if (port_open(&port, name, mode, churn_flags[rand_r(&seed) % 4]) < 0) {
			if (errno != EBUSY)
				break; /* the device is away */
			continue;
		}
		opened++;
		poll_for(&port, POLLIN | POLLOUT, rand_r(&seed) % 3);
		if (rand_r(&seed) % 4 == 0 && fork() == 0) {
			usleep(1000);
			_exit(0);
		}
		port_close(&port);
	}
	printf("churn: opened %ld times\n", opened);
	return 0;
}

static uint32_t random32(unsigned int *seed)
{
	return (uint32_t)rand_r(seed) << 16 ^ (uint32_t)rand_r(seed);
}

/* Writes what no program should, where it may and where it may not. */
static void scribble_once(struct port *port, struct netmap_ring *ring, const char *what,
			  unsigned int *seed)
{
	if (strcmp(what, "positions") == 0) {
		ring->head = random32(seed);
		ring->cur = random32(seed) % (ring->num_slots + 100);
	} else if (strcmp(what, "slots") == 0) {
		ring->slot[random32(seed) % ring->num_slots].buf_idx = random32(seed);
		ring->slot[random32(seed) % ring->num_slots].len = (uint16_t)random32(seed);
		ring->slot[random32(seed) % ring->num_slots].flags = (uint16_t)random32(seed);
		ring->head = ring->cur = slot_next(ring, ring->head % ring->num_slots);
	} else { /* netmap_if, rings and CSB are in the beginning, buffers behind */
		port->memory[random32(seed) % (1U << 19)] = (char)random32(seed);
	}
}

static int scribble(const char *name, const char *what, long rounds)
{
	unsigned int seed = 7;
	struct netmap_ring *rings[2];
	struct port port;
	int i;

	port_must_open(&port, name);
	/* Found before it has spoilt what they are found by. */
	rings[0] = tx_ring(&port, 0);
	rings[1] = rx_ring(&port, 0);
	for (; rounds > 0; rounds--) {
		for (i = 0; i < 100; i++)
			scribble_once(&port, rings[i % 2], what, &seed);
		poll_for(&port, POLLIN | POLLOUT, 0);
		ioctl(port.fd, NIOCTXSYNC, NULL);
		ioctl(port.fd, NIOCRXSYNC, NULL);
	}
	printf("scribble: done\n");
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: netmap-probe hold IF\n"
			"       netmap-probe wait IF poll|epoll SIGNAL\n"
			"       netmap-probe tx IF COUNT LENGTH\n"
			"       netmap-probe rx IF COUNT poll|epoll|loop|exchange\n"
			"       netmap-probe churn IF ROUNDS\n"
			"       netmap-probe scribble IF positions|slots|region ROUNDS\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "", *name = argc > 2 ? argv[2] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && strcmp(command, "hold") == 0)
		hold(name);
	if (argc == 5 && strcmp(command, "wait") == 0)
		return waiter(argv[2], argv[3], atoi(argv[4]));
	if (argc == 5 && strcmp(command, "tx") == 0)
		return tx(name, strtoull(argv[3], NULL, 0), (uint16_t)atoi(argv[4]));
	if (argc == 5 && strcmp(command, "rx") == 0)
		return rx(name, strtoull(argv[3], NULL, 0), argv[4]);
	if (argc == 4 && strcmp(command, "churn") == 0)
		return churn(name, atol(argv[3]));
	if (argc == 5 && strcmp(command, "scribble") == 0)
		return scribble(name, argv[3], atol(argv[4]));
	return usage();
}
