/* SPDX-License-Identifier: BSD-2-Clause */
#include "client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define NETMAP_WITH_LIBS /* for NETMAP_TXRING() and the like */
#include <net/netmap_user.h>

#include "packet.h"

/* ---- in the client's process ---- */

struct descriptor {
	int fd; /* -1: none */
	bool bound;
	struct nmreq_register reg;
	char *memory;
	unsigned int num_tx, num_rx;
	struct netmap_ring *rings[CLIENT_RINGS];
};

static struct descriptor descriptors[CLIENT_DESCRIPTORS];

/* The rings that are bound are those whose offset is not 0. */
static void find_rings(struct descriptor *d)
{
	struct netmap_if *nifp = NETMAP_IF(d->memory, d->reg.nr_offset);
	unsigned int tx = nifp->ni_tx_rings + nifp->ni_host_tx_rings, i;
	unsigned int rx = nifp->ni_rx_rings + nifp->ni_host_rx_rings;

	d->num_tx = d->num_rx = 0;
	for (i = 0; i < tx && d->num_tx < MODEL_MAX_RINGS; i++)
		if (nifp->ring_ofs[i])
			d->rings[d->num_tx++] = NETMAP_TXRING(nifp, i);
	for (i = 0; i < rx && d->num_rx < MODEL_MAX_RINGS; i++)
		if (nifp->ring_ofs[tx + i])
			d->rings[d->num_tx + d->num_rx++] = NETMAP_RXRING(nifp, i);
}

static int bind_descriptor(struct descriptor *d, const char *name, struct nmreq_register *reg)
{
	struct nmreq_header h = {.nr_version = NETMAP_API,
				 .nr_reqtype = NETMAP_REQ_REGISTER,
				 .nr_body = (uintptr_t)reg};

	snprintf(h.nr_name, sizeof(h.nr_name), "%s", name);
	if (ioctl(d->fd, NIOCCTRL, &h))
		return errno;
	d->reg = *reg;
	d->memory = mmap(NULL, reg->nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd, 0);
	if (d->memory == MAP_FAILED)
		return errno;
	d->bound = true;
	find_rings(d);
	return 0;
}

static int open_descriptor(struct descriptor *d, const struct client_order *order,
			   struct nmreq_register *reg)
{
	int error;

	d->fd = open(NETMAP_DEVICE_NAME, O_RDWR | O_CLOEXEC);
	if (d->fd < 0)
		return errno;
	error = bind_descriptor(d, order->name, reg);
	if (error) {
		close(d->fd);
		*d = (struct descriptor){.fd = -1};
	}
	return error;
}

static void close_descriptor(struct descriptor *d)
{
	munmap(d->memory, d->reg.nr_memsize);
	close(d->fd);
	*d = (struct descriptor){.fd = -1};
}

static bool in_memory(const struct descriptor *d, const struct netmap_ring *ring, uint32_t index,
		      size_t len)
{
	const char *buffer = NETMAP_BUF(ring, index);

	return index >= MODEL_FIRST_BUFFER && buffer >= d->memory &&
	       buffer + len <= d->memory + d->reg.nr_memsize;
}

static void edit(const struct descriptor *d, const struct client_order *order)
{
	struct netmap_ring *ring = d->rings[order->ring];
	unsigned int i;

	for (i = 0; i < order->num_edits; i++) {
		const struct client_edit *e = &order->edits[i];

		ring->slot[e->index] = e->slot;
		if (e->fill && in_memory(d, ring, e->slot.buf_idx, e->slot.len))
			packet_fill((uint8_t *)NETMAP_BUF(ring, e->slot.buf_idx), e->slot.len,
				    e->to, e->from, e->seed);
	}
	ring->cur = order->cur;
	ring->head = order->head;
	if (order->set_tail)
		ring->tail = order->tail;
}

static void describe(const struct descriptor *d, struct client_answer *answer)
{
	unsigned int i;

	answer->num_tx = d->num_tx;
	answer->num_rx = d->num_rx;
	for (i = 0; i < d->num_tx + d->num_rx; i++) {
		const struct netmap_ring *ring = d->rings[i];
		struct client_ring *out = &answer->rings[i];
		uint32_t n = ring->num_slots, k;

		out->num_slots = n;
		out->head = ring->head;
		out->cur = ring->cur;
		out->tail = ring->tail;
		out->ringid = ring->ringid;
		out->dir = ring->dir;
		if (n > MODEL_MAX_SLOTS)
			continue;
		memcpy(out->slots, ring->slot, n * sizeof(out->slots[0]));
		if (i < d->num_tx || out->head >= n || out->tail >= n)
			continue;
		for (k = out->head; k != out->tail; k = k + 1 == n ? 0 : k + 1) {
			const struct netmap_slot *slot = &out->slots[k];

			if (in_memory(d, ring, slot->buf_idx, slot->len))
				out->hashes[k] = packet_hash(
					(const uint8_t *)NETMAP_BUF(ring, slot->buf_idx),
					slot->len);
		}
	}
}

static int poll_once(const struct descriptor *d, const struct client_order *order, short *revents)
{
	struct pollfd p = {.fd = d->fd, .events = order->events};

	if (poll(&p, 1, 0) < 0)
		return errno;
	*revents = p.revents;
	if (order->settle && ioctl(d->fd, NIOCTXSYNC, NULL))
		return errno;
	return 0;
}

static void carry_out(struct client_mail *mail)
{
	const struct client_order *order = &mail->order;
	struct client_answer *answer = &mail->answer;
	struct descriptor *d = &descriptors[order->descriptor];

	answer->error = 0;
	answer->revents = 0;
	answer->num_tx = answer->num_rx = 0;
	answer->reg = order->reg;
	switch (order->op) {
	case CLIENT_OPEN:
		answer->error = open_descriptor(d, order, &answer->reg);
		break;
	case CLIENT_REGISTER:
		answer->error = bind_descriptor(d, order->name, &answer->reg);
		break;
	case CLIENT_CLOSE:
		close_descriptor(d);
		break;
	case CLIENT_EDIT:
		edit(d, order);
		break;
	case CLIENT_TXSYNC:
		answer->error = ioctl(d->fd, NIOCTXSYNC, NULL) ? errno : 0;
		break;
	case CLIENT_RXSYNC:
		answer->error = ioctl(d->fd, NIOCRXSYNC, NULL) ? errno : 0;
		break;
	case CLIENT_POLL:
		answer->error = poll_once(d, order, &answer->revents);
		break;
	}
	if (d->bound)
		describe(d, answer);
}

static void run_client(struct client_mail *mail, int channel)
{
	unsigned int i;
	char byte;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (i = 0; i < CLIENT_DESCRIPTORS; i++)
		descriptors[i].fd = -1;
	while (recv(channel, &byte, 1, 0) == 1) {
		carry_out(mail);
		if (send(channel, &byte, 1, MSG_NOSIGNAL) != 1)
			break;
	}
	_exit(0);
}

/* ---- in the process that gives the orders ---- */

void client_start(struct client *c)
{
	int ends[2];

	if (!c->mail) {
		c->mail = mmap(NULL, sizeof(*c->mail), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (c->mail == MAP_FAILED) {
			perror("memory for a client");
			exit(2);
		}
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends)) {
		perror("socketpair");
		exit(2);
	}
	fflush(stdout);
	c->pid = fork();
	if (c->pid < 0) {
		perror("fork");
		exit(2);
	}
	if (c->pid == 0) {
		close(ends[0]);
		run_client(c->mail, ends[1]);
	}
	close(ends[1]);
	c->channel = ends[0];
}

bool client_call(struct client *c)
{
	char byte = 0;

	return send(c->channel, &byte, 1, MSG_NOSIGNAL) == 1 && recv(c->channel, &byte, 1, 0) == 1;
}

void client_kill(struct client *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	close(c->channel);
}
