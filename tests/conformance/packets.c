/* SPDX-License-Identifier: BSD-2-Clause */
/* Packets of the conformance tests, and processes that exchange them. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conformance.h"

#define WAIT_STEPS 1000 /* of 10 ms; the reference's tests wait for a second */

const struct mac broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

struct mac mac(uint8_t number)
{
	return (struct mac){{0x02, 0, 0, 0, 0, number}};
}

void make_packet(uint8_t *bytes, size_t len, struct mac to, struct mac from, uint32_t number)
{
	uint32_t state = number * 2654435761u + (uint32_t)len;
	size_t i;

	memcpy(bytes, to.bytes, 6);
	memcpy(bytes + 6, from.bytes, 6);
	bytes[12] = 0x88; /* an EtherType for experiments */
	bytes[13] = 0xb5;
	for (i = 14; i < len; i++) {
		state = state * 1664525 + 1013904223;
		bytes[i] = (uint8_t)(state >> 24);
	}
}

bool put_bytes(struct netmap_ring *tx, const uint8_t *bytes, size_t len, size_t chunk)
{
	size_t slots = (len + chunk - 1) / chunk, done;
	uint32_t head = tx->head;

	if (nm_ring_space(tx) < slots)
		return false;
	for (done = 0; done < len; done += chunk) {
		struct netmap_slot *slot = &tx->slot[head];
		size_t part = len - done < chunk ? len - done : chunk;

		memcpy(NETMAP_BUF(tx, slot->buf_idx), bytes + done, part);
		slot->len = (uint16_t)part;
		slot->flags = done + part < len ? NS_MOREFRAG : 0;
		slot->ptr = 0;
		head = nm_ring_next(tx, head);
	}
	tx->head = tx->cur = head;
	return true;
}

bool put_packet(struct netmap_ring *tx, size_t len, struct mac to, struct mac from, uint32_t number)
{
	uint8_t bytes[MAX_PACKET];

	make_packet(bytes, len, to, from, number);
	return put_bytes(tx, bytes, len, tx->nr_buf_size);
}

void put_extra_buffers(struct bound *b, unsigned int count, uint32_t *sent)
{
	struct netmap_ring *tx = NETMAP_TXRING(b->nifp, 0);
	uint32_t list = b->nifp->ni_bufs_head, back = 0, old;
	unsigned int i;

	for (i = 0; i < count; i++) {
		struct netmap_slot *slot = &tx->slot[tx->head];
		size_t len = 200 + i;
		uint8_t bytes[2048];

		need(list >= 2, "an extra buffer");
		old = slot->buf_idx;
		slot->buf_idx = list;
		memcpy(&list, NETMAP_BUF(tx, list), sizeof(list));
		make_packet(bytes, len, broadcast, mac(1), i);
		memcpy(NETMAP_BUF(tx, slot->buf_idx), bytes, len);
		slot->len = (uint16_t)len;
		slot->flags = NS_BUF_CHANGED;
		if (sent)
			sent[i] = slot->buf_idx;
		tx->head = tx->cur = nm_ring_next(tx, tx->head);
		/* The ring's buffer goes back in its place. */
		memcpy(NETMAP_BUF(tx, old), &back, sizeof(back));
		back = old;
	}
	check_equal("the list of extra buffers ends", 0, list);
	b->nifp->ni_bufs_head = back;
}

ssize_t take_bytes(struct netmap_ring *rx, uint8_t *bytes)
{
	uint32_t head = rx->head;
	size_t len = 0;

	while (head != rx->tail) {
		const struct netmap_slot *slot = &rx->slot[head];

		if (len + slot->len > MAX_PACKET)
			return -1;
		memcpy(bytes + len, NETMAP_BUF(rx, slot->buf_idx), slot->len);
		len += slot->len;
		head = nm_ring_next(rx, head);
		if (!(slot->flags & NS_MOREFRAG)) {
			rx->head = rx->cur = head;
			return (ssize_t)len;
		}
	}
	return -1;
}

void check_packet(const char *what, struct netmap_ring *rx, size_t len, struct mac to,
		  struct mac from, uint32_t number)
{
	uint8_t wanted[MAX_PACKET], got[MAX_PACKET];
	ssize_t got_len = take_bytes(rx, got);
	char text[160];

	snprintf(text, sizeof(text), "%s: length of packet %u", what, number);
	check_equal(text, (long long)len, (long long)got_len);
	if (got_len != (ssize_t)len)
		return;
	make_packet(wanted, len, to, from, number);
	snprintf(text, sizeof(text), "%s: content of packet %u", what, number);
	check_equal(text, 0, memcmp(wanted, got, len));
}

unsigned int packets_in(const struct netmap_ring *rx)
{
	unsigned int count = 0;
	uint32_t i;

	for (i = rx->head; i != rx->tail; i = nm_ring_next(rx, i))
		count += !(rx->slot[i].flags & NS_MOREFRAG);
	return count;
}

void check_arrived(const char *what, const struct bound *b, unsigned int ring, unsigned int count)
{
	const struct netmap_ring *rx = NETMAP_RXRING(b->nifp, ring);
	const struct timespec step = {.tv_nsec = 10000000};
	unsigned int steps;

	need(rx_sync(b) == 0, "NIOCRXSYNC");
	for (steps = 0; packets_in(rx) < count && steps < WAIT_STEPS; steps++) {
		nanosleep(&step, NULL);
		need(rx_sync(b) == 0, "NIOCRXSYNC");
	}
	check_equal(what, count, packets_in(rx));
}

/*
 * On the host NIOCTXSYNC returns when the port has taken and delivered the packets. In a guest
 * they may still be on their way.
 */
void check_nothing(const char *what, const struct bound *b)
{
	const struct timespec moment = {.tv_nsec = 50000000};
	unsigned int i, packets = 0;

	if (in_guest)
		nanosleep(&moment, NULL);
	need(rx_sync(b) == 0, "NIOCRXSYNC");
	for (i = 0; i < b->reg.nr_rx_rings; i++)
		packets += packets_in(NETMAP_RXRING(b->nifp, i));
	check_equal(what, 0, packets);
}

void release_all(struct netmap_ring *rx)
{
	rx->head = rx->cur = rx->tail;
}

static int ascending(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

bool buffers_are_distinct(const struct bound *b)
{
	uint32_t *all = NULL, count = 0, i, r;
	uint32_t rings = b->reg.nr_tx_rings + b->reg.nr_rx_rings;
	bool distinct = true;

	for (r = 0; r < rings; r++) {
		const struct netmap_ring *ring =
			r < b->reg.nr_tx_rings ? NETMAP_TXRING(b->nifp, r)
					       : NETMAP_RXRING(b->nifp, r - b->reg.nr_tx_rings);

		all = reallocarray(all, count + ring->num_slots, sizeof(*all));
		need(all, "memory");
		for (i = 0; i < ring->num_slots; i++)
			all[count++] = ring->slot[i].buf_idx;
	}
	need(count > 0, "slots");
	qsort(all, count, sizeof(*all), ascending);
	for (i = 0; i < count && distinct; i++)
		distinct = all[i] >= 2 && (i == 0 || all[i] != all[i - 1]);
	free(all);
	return distinct;
}

/* ---- processes ---- */

struct child start_child(void (*body)(int channel))
{
	struct child c;
	int ends[2];

	need(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0, "socketpair");
	fflush(stdout);
	c.pid = fork();
	need(c.pid >= 0, "fork");
	if (!c.pid) {
		close(ends[0]);
		body(ends[1]);
		fflush(stdout);
		_exit(checks_failed());
	}
	close(ends[1]);
	c.channel = ends[0];
	return c;
}

void end_child(struct child *c, const char *what)
{
	int status = -1;

	waitpid(c->pid, &status, 0);
	check_equal(what, 0, status);
	close(c->channel);
}

void kill_child(struct child *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	close(c->channel);
}

void tell(int channel, char byte)
{
	need(send(channel, &byte, 1, MSG_NOSIGNAL) == 1, "a word to the other process");
}

void expect(int channel, char byte)
{
	char got = 0;

	errno = 0;
	need(recv(channel, &got, 1, 0) == 1 && got == byte, "a word from the other process");
}

void send_descriptor(int channel, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)),
				.cmsg_level = SOL_SOCKET,
				.cmsg_type = SCM_RIGHTS}};
	char byte = 'd';
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control.space)};

	memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	need(sendmsg(channel, &message, MSG_NOSIGNAL) == 1, "sending a descriptor");
}

int receive_descriptor(int channel)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr message = {.msg_iov = &iov,
				 .msg_iovlen = 1,
				 .msg_control = &control,
				 .msg_controllen = sizeof(control)};
	int fd = -1;

	need(recvmsg(channel, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message),
	     "receiving a descriptor");
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}
