/* SPDX-License-Identifier: BSD-2-Clause */
/* What the conformance tests share: checks, requests, bound ports. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conformance.h"

static unsigned int failures;

/* ---- reporting ---- */

void check_equal(const char *what, long long wanted, long long got)
{
	if (wanted == got)
		return;
	failures++;
	printf("  %s: wanted %lld, got %lld\n", what, wanted, got);
}

void check_call(const char *what, int error, long result)
{
	int got = result < 0 ? errno : 0;

	if (got == error)
		return;
	failures++;
	printf("  %s: wanted %s, got %s\n", what, error ? strerrorname_np(error) : "success",
	       got ? strerrorname_np(got) : "success");
}

void end_test(const char *what)
{
	printf("  %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(1);
}

bool checks_failed(void)
{
	return failures > 0;
}

/* ---- requests ---- */

int open_netmap(void)
{
	int fd = open("/dev/netmap", O_RDWR | O_CLOEXEC);

	need(fd >= 0, "open /dev/netmap");
	return fd;
}

struct nmreq_header header(const char *name, uint16_t type, void *body)
{
	struct nmreq_header h = {.nr_version = NETMAP_API, .nr_reqtype = type};

	snprintf(h.nr_name, sizeof(h.nr_name), "%s", name);
	h.nr_body = (uintptr_t)body;
	return h;
}

int request_with(int fd, const char *name, uint16_t type, void *body, void *options)
{
	struct nmreq_header h = header(name, type, body);

	h.nr_options = (uintptr_t)options;
	return ioctl(fd, NIOCCTRL, &h);
}

int request(int fd, const char *name, uint16_t type, void *body)
{
	return request_with(fd, name, type, body, NULL);
}

int request_once(const char *name, uint16_t type, void *body)
{
	int fd = open_netmap(), result = request(fd, name, type, body), error = errno;

	close(fd);
	errno = error;
	return result;
}

int bind_rings(int fd, const char *name, uint32_t mode, uint16_t ring, uint64_t flags,
	       struct nmreq_register *reg)
{
	*reg = (struct nmreq_register){.nr_mode = mode, .nr_ringid = ring, .nr_flags = flags};
	return request(fd, name, NETMAP_REQ_REGISTER, reg);
}

static void check_wish(const char *what, const char *field, uint32_t wish, uint32_t got)
{
	char text[160];

	snprintf(text, sizeof(text), "%s: %s", what, field);
	if (wish)
		check_equal(text, wish, got);
	else
		check_equal(text, 1, got != 0);
}

void check_echo(const char *what, const struct nmreq_register *asked,
		const struct nmreq_register *got)
{
	char text[160];

	snprintf(text, sizeof(text), "%s: mode, ring and flags", what);
	check_equal(text, 1,
		    asked->nr_mode == got->nr_mode && asked->nr_ringid == got->nr_ringid &&
			    asked->nr_flags == got->nr_flags);
	check_wish(what, "TX slots", asked->nr_tx_slots, got->nr_tx_slots);
	check_wish(what, "RX slots", asked->nr_rx_slots, got->nr_rx_slots);
	check_wish(what, "TX rings", asked->nr_tx_rings, got->nr_tx_rings);
	check_wish(what, "RX rings", asked->nr_rx_rings, got->nr_rx_rings);
	check_wish(what, "memory id", asked->nr_mem_id, got->nr_mem_id);
	snprintf(text, sizeof(text), "%s: extra buffers", what);
	check_equal(text, asked->nr_extra_bufs, got->nr_extra_bufs);
	check_wish(what, "memory size", 0, got->nr_memsize != 0);
}

int new_port(const char *name, uint16_t rings, uint32_t slots)
{
	struct nmreq_vale_newif newif = {.nr_tx_slots = slots,
					 .nr_rx_slots = slots,
					 .nr_tx_rings = rings,
					 .nr_rx_rings = rings};

	return request_once(name, NETMAP_REQ_VALE_NEWIF, &newif);
}

int remove_port(const char *name)
{
	return request_once(name, NETMAP_REQ_VALE_DELIF, NULL);
}

int attach_port(const char *name, uint32_t *index)
{
	struct nmreq_vale_attach attach = {.reg.nr_mode = NR_REG_ALL_NIC};
	int result = request_once(name, NETMAP_REQ_VALE_ATTACH, &attach);

	if (result == 0 && index)
		*index = attach.port_index;
	return result;
}

int detach_port(const char *name, uint32_t *index)
{
	struct nmreq_vale_detach detach = {0};
	int result = request_once(name, NETMAP_REQ_VALE_DETACH, &detach);

	if (result == 0 && index)
		*index = detach.port_index;
	return result;
}

/* ---- bound ports ---- */

void map_bound(struct bound *b)
{
	b->memory = mmap(NULL, b->reg.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, b->fd, 0);
	need(b->memory != MAP_FAILED, "mmap");
	b->nifp = NETMAP_IF(b->memory, b->reg.nr_offset);
}

struct bound bind_as(const char *name, struct nmreq_register reg)
{
	struct bound b = {.fd = open_netmap(), .reg = reg};

	need(request(b.fd, name, NETMAP_REQ_REGISTER, &b.reg) == 0, name);
	map_bound(&b);
	return b;
}

struct bound bind_and_map(const char *name, uint64_t flags)
{
	return bind_as(name, (struct nmreq_register){.nr_mode = NR_REG_ALL_NIC, .nr_flags = flags});
}

void unbind(struct bound *b)
{
	munmap(b->memory, b->reg.nr_memsize);
	close(b->fd);
}

int poll_now(int fd, short events, int ms)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, ms) < 0 ? -1 : p.revents & (POLLIN | POLLOUT | POLLERR);
}

int tx_sync(const struct bound *b)
{
	return ioctl(b->fd, NIOCTXSYNC, NULL);
}

int rx_sync(const struct bound *b)
{
	return ioctl(b->fd, NIOCRXSYNC, NULL);
}
