/* SPDX-License-Identifier: BSD-2-Clause */
#include "host.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PACKET 60

char name_suffix[16];

void need_at(bool condition, const char *what, const char *file, int line)
{
	if (condition)
		return;
	fprintf(stderr, "%s:%d: not so: %s (errno %s)\n", file, line, what, strerror(errno));
	_exit(1);
}

void need_errno_at(int wanted, long result, const char *what, const char *file, int line)
{
	if (result == -1 && errno == wanted)
		return;
	fprintf(stderr, "%s:%d: %s: wanted %s, got %s\n", file, line, what, strerror(wanted),
		result == -1 ? strerror(errno) : "success");
	_exit(1);
}

int port_bind(int fd, const char *name, uint64_t flags, struct nmreq_register *reg)
{
	struct nmreq_header header;
	const char *mark = strchr(name, '~');

	memset(&header, 0, sizeof(header));
	memset(reg, 0, sizeof(*reg));
	header.nr_version = NETMAP_API;
	header.nr_reqtype = NETMAP_REQ_REGISTER;
	header.nr_body = (uintptr_t)reg;
	if (mark != NULL)
		snprintf(header.nr_name, sizeof(header.nr_name), "%.*s%s%s", (int)(mark - name),
			 name, name_suffix, mark + 1);
	else
		snprintf(header.nr_name, sizeof(header.nr_name), "%s", name);
	reg->nr_mode = NR_REG_ALL_NIC;
	reg->nr_flags = flags;
	return ioctl(fd, NIOCCTRL, &header);
}

struct port port_adopt(int fd, uint64_t offset, size_t size)
{
	struct port port = {.fd = fd, .size = size};

	port.memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	need(port.memory != MAP_FAILED);
	port.nifp = NETMAP_IF(port.memory, offset);
	port.tx = NETMAP_TXRING(port.nifp, 0);
	port.rx = NETMAP_RXRING(port.nifp, 0);
	return port;
}

struct port port_open(const char *name, uint64_t flags)
{
	struct nmreq_register reg;
	int fd = open(NETMAP_DEVICE_NAME, O_RDWR);

	need(fd >= 0);
	need(port_bind(fd, name, flags, &reg) == 0);
	return port_adopt(fd, reg.nr_offset, reg.nr_memsize);
}

void port_close(struct port *port)
{
	need(munmap(port->memory, port->size) == 0);
	need(close(port->fd) == 0);
}

void pipe_open(struct port *a, struct port *b)
{
	*a = port_open("h~{1", 0);
	*b = port_open("h~}1", 0);
}

void switch_open(struct port *a, struct port *b)
{
	*a = port_open("vale~:a", 0);
	*b = port_open("vale~:b", 0);
}

void put(struct port *port, uint32_t number)
{
	struct netmap_ring *ring = port->tx;
	struct netmap_slot *slot = &ring->slot[ring->head];
	char *buffer = NETMAP_BUF(ring, slot->buf_idx);

	need(ring->head != ring->tail);
	memset(buffer, 0xff, 12);
	buffer[6] = 2; /* a source of its own */
	memcpy(buffer + 20, &number, sizeof(number));
	slot->len = PACKET;
	slot->flags = 0;
	ring->head = ring->cur = nm_ring_next(ring, ring->head);
}

void send_one(struct port *port, uint32_t number)
{
	put(port, number);
	need(ioctl(port->fd, NIOCTXSYNC, NULL) == 0);
}

bool take(struct port *port, uint32_t *number)
{
	struct netmap_ring *ring = port->rx;

	if (nm_ring_empty(ring))
		return false;
	need(ring->slot[ring->head].len == PACKET);
	memcpy(number, NETMAP_BUF(ring, ring->slot[ring->head].buf_idx) + 20, sizeof(*number));
	ring->head = ring->cur = nm_ring_next(ring, ring->head);
	return true;
}

void receive(struct port *port, uint32_t number)
{
	uint32_t got = ~number;

	while (!take(port, &got)) {
		struct pollfd fd = {port->fd, POLLIN, 0};

		need(poll(&fd, 1, -1) == 1 && fd.revents == POLLIN);
	}
	need(got == number);
}

void check_traffic(struct port *a, struct port *b, uint32_t number)
{
	send_one(a, number);
	receive(b, number);
	send_one(b, number + 1);
	receive(a, number + 1);
}

/* The state is the field after the name, which is in brackets. */
void await_sleep(int thread_id)
{
	char path[64], text[512], *state;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", thread_id);
	for (;;) {
		FILE *file = fopen(path, "r");
		size_t size;

		need(file != NULL);
		size = fread(text, 1, sizeof(text) - 1, file);
		fclose(file);
		text[size] = '\0';
		state = strrchr(text, ')');
		if (state != NULL && state[2] == 'S')
			return;
		sched_yield();
	}
}
