/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * What the driver's tests run inside a guest: asks /dev/netmap everything and
 * compares with the specification, moves numbered frames, sleeps in poll while the
 * device goes away, opens and closes at random, writes nonsense into the region.
 * On the ABI alone, without any library of ours.
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
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <net/netmap.h>

#define MAX_FRAME  2048
#define ETHER_TYPE "\x88\xb5" /* local experimental */

static unsigned int checks, failures;

#define CHECK(condition) check((condition), __LINE__, #condition)
/* The call fails, with that errno. */
#define FAILS(call, error) check((call) < 0 && errno == (error), __LINE__, #call ": " #error)

static void check(bool ok, int line, const char *what)
{
	checks++;
	if (ok)
		return;
	failures++;
	printf("line %d: %s (errno %d: %s)\n", line, what, errno, strerror(errno));
}

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

static int control_version(int fd, int type, const char *name, void *body, void *options,
			   int version)
{
	struct nmreq_header header = {.nr_version = (uint16_t)version,
				      .nr_reqtype = (uint16_t)type,
				      .nr_body = (uintptr_t)body,
				      .nr_options = (uintptr_t)options};

	snprintf(header.nr_name, sizeof(header.nr_name), "%s", name);
	return ioctl(fd, NIOCCTRL, &header);
}

static int control(int fd, int type, const char *name, void *body)
{
	return control_version(fd, type, name, body, NULL, NETMAP_API);
}

static int control_options(int fd, const char *name, struct nmreq_register *reg, void *options)
{
	return control_version(fd, NETMAP_REQ_REGISTER, name, reg, options, NETMAP_API);
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

/* ---- api ---- */

static void check_unbound(int fd)
{
	struct nmreq_sync_kloop_start start = {.sleep_us = 500};
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};

	FAILS(ioctl(fd, NIOCTXSYNC, NULL), ENXIO);
	FAILS(ioctl(fd, NIOCRXSYNC, NULL), ENXIO);
	FAILS(ioctl(fd, NIOCCTRL, NULL), EINVAL);
	FAILS(ioctl(fd, NIOCCTRL, (void *)8), EFAULT);
	FAILS(ioctl(fd, NIOCREGIF, NULL), EINVAL);
	FAILS(ioctl(fd, 0x1234, NULL), EOPNOTSUPP);
	CHECK(poll(&pollfd, 1, 0) == 1 && pollfd.revents == POLLERR);
	CHECK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EINVAL);
	FAILS(control(fd, NETMAP_REQ_SYNC_KLOOP_START, "", &start), ENXIO);
	FAILS(control(fd, NETMAP_REQ_SYNC_KLOOP_STOP, "", NULL), ENXIO);
	FAILS(control(fd, NETMAP_REQ_CSB_ENABLE, "", NULL), EINVAL);
}

static void check_info(int fd, const char *name, struct nmreq_port_info_get *info)
{
	struct nmreq_pools_info pools = {0};
	struct nmreq_port_hdr hdr = {.nr_hdr_len = 1};

	CHECK(!control(fd, NETMAP_REQ_PORT_INFO_GET, name, info));
	CHECK(info->nr_memsize && info->nr_tx_slots && info->nr_rx_slots && info->nr_tx_rings &&
	      info->nr_rx_rings && info->nr_mem_id);
	CHECK(!info->nr_host_tx_rings && !info->nr_host_rx_rings);
	CHECK(!control(fd, NETMAP_REQ_POOLS_INFO_GET, name, &pools));
	CHECK(pools.nr_memsize == info->nr_memsize && pools.nr_mem_id == info->nr_mem_id);
	CHECK(pools.nr_if_pool_objtotal && pools.nr_ring_pool_objtotal &&
	      pools.nr_buf_pool_objtotal && pools.nr_buf_pool_objsize);
	FAILS(control(fd, NETMAP_REQ_POOLS_INFO_GET, "", &pools), ENXIO);
	FAILS(control(fd, NETMAP_REQ_PORT_INFO_GET, "nosuch", info), ENXIO);
	FAILS(control(fd, NETMAP_REQ_PORT_INFO_GET, "lo", info), ENXIO);
	info->nr_mem_id = 999;
	FAILS(control(fd, NETMAP_REQ_PORT_INFO_GET, name, info), EINVAL);
	info->nr_mem_id = pools.nr_mem_id;
	info->nr_memsize = 0;
	CHECK(!control(fd, NETMAP_REQ_PORT_INFO_GET, "", info));
	CHECK(info->nr_memsize == pools.nr_memsize);

	CHECK(!control(fd, NETMAP_REQ_PORT_HDR_GET, name, &hdr) && hdr.nr_hdr_len == 0);
	hdr.nr_hdr_len = 12;
	FAILS(control(fd, NETMAP_REQ_PORT_HDR_SET, name, &hdr), ENXIO);
	hdr.nr_hdr_len = 11;
	FAILS(control(fd, NETMAP_REQ_PORT_HDR_SET, name, &hdr), EINVAL);
}

static void check_header(int fd, const char *name)
{
	struct nmreq_port_info_get info = {0};
	struct nmreq_header header = {.nr_version = NETMAP_API,
				      .nr_reqtype = NETMAP_REQ_PORT_INFO_GET,
				      .nr_reserved = 1,
				      .nr_body = (uintptr_t)&info};

	FAILS(ioctl(fd, NIOCCTRL, &header), EINVAL);
	FAILS(control_version(fd, NETMAP_REQ_PORT_INFO_GET, name, &info, NULL, 13), EINVAL);
	FAILS(control_version(fd, NETMAP_REQ_PORT_INFO_GET, name, &info, NULL, 16), EINVAL);
	CHECK(!control_version(fd, NETMAP_REQ_PORT_INFO_GET, name, &info, NULL, 15));
	FAILS(control(fd, NETMAP_REQ_PORT_INFO_GET, name, NULL), EINVAL);
	FAILS(control(fd, NETMAP_REQ_PORT_INFO_GET, name, (void *)8), EFAULT);
	FAILS(control(fd, NETMAP_REQ_CSB_ENABLE, name, &info), EINVAL);
	FAILS(control(fd, 77, name, NULL), EINVAL);
	FAILS(control(fd, 77, name, &info), EINVAL);
}

static void check_options(int fd, const char *name)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_port_info_get info = {0};
	struct nmreq_option unknown = {.nro_reqtype = 1234}, many[99];
	struct nmreq_opt_offsets offsets = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_OFFSETS};
	struct nmreq_opt_csb csb = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_CSB};
	struct nmreq_opt_extmem second = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_EXTMEM};
	struct nmreq_opt_extmem first = {
		.nro_opt = {.nro_next = (uintptr_t)&second, .nro_reqtype = NETMAP_REQ_OPT_EXTMEM}};
	struct nmreq_option eventfds = {.nro_reqtype = NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS,
					.nro_size = 1000};
	unsigned int i;

	FAILS(control_options(fd, name, &reg, &unknown), EOPNOTSUPP);
	CHECK(unknown.nro_status == EOPNOTSUPP && !unknown.nro_next && unknown.nro_reqtype == 1234);
	unknown.nro_next = (uintptr_t)&unknown;
	unknown.nro_status = 0;
	FAILS(control_options(fd, name, &reg, &unknown), EMSGSIZE);
	CHECK(unknown.nro_status == 0);

	FAILS(control_options(fd, name, &reg, &offsets), EOPNOTSUPP);
	CHECK(offsets.nro_opt.nro_status == EOPNOTSUPP);
	offsets.nro_opt.nro_next = (uintptr_t)&offsets;
	FAILS(control_options(fd, name, &reg, &offsets), EINVAL);
	CHECK(offsets.nro_opt.nro_status == EINVAL);
	FAILS(control_options(fd, name, &reg, &csb), EOPNOTSUPP);
	FAILS(control_version(fd, NETMAP_REQ_CSB_ENABLE, name, NULL, &csb, NETMAP_API), EOPNOTSUPP);
	FAILS(control_options(fd, name, &reg, &first), EINVAL);
	CHECK(first.nro_opt.nro_status == EINVAL && second.nro_opt.nro_status == EINVAL);

	for (i = 0; i < 99; i++)
		many[i] = (struct nmreq_option){.nro_next = (uintptr_t)&many[i + 1],
						.nro_reqtype = 1234};
	many[98].nro_next = (uintptr_t)&eventfds;
	FAILS(control_options(fd, name, &reg, many), EMSGSIZE);
	many[98].nro_next = 0;
	FAILS(control_options(fd, name, &reg, many), EOPNOTSUPP);
	CHECK(many[98].nro_status == EOPNOTSUPP);

	unknown = (struct nmreq_option){.nro_reqtype = 0};
	FAILS(control_options(fd, name, &reg, &unknown), EINVAL);
	CHECK(unknown.nro_status == EINVAL);
	FAILS(control_options(fd, name, &reg, (void *)8), EFAULT);
	/* Only REGISTER minds an option that nobody understood. */
	unknown.nro_reqtype = 55;
	CHECK(!control_version(fd, NETMAP_REQ_PORT_INFO_GET, name, &info, &unknown, NETMAP_API));
	CHECK(unknown.nro_status == EOPNOTSUPP);
}

static int try_register(int fd, const char *name, struct nmreq_register reg)
{
	return control(fd, NETMAP_REQ_REGISTER, name, &reg);
}

static void check_refused_registers(int fd, const char *name)
{
	static const uint32_t invalid[] = {NR_REG_DEFAULT,
					   NR_REG_SW,
					   NR_REG_NIC_SW,
					   NR_REG_PIPE_MASTER,
					   NR_REG_PIPE_SLAVE,
					   NR_REG_ONE_SW,
					   9,
					   15};
	struct nmreq_register all = {.nr_mode = NR_REG_ALL_NIC};
	char pipe[NETMAP_REQ_IFNAMSIZ];
	unsigned int i;

	for (i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++)
		FAILS(try_register(fd, name, (struct nmreq_register){.nr_mode = invalid[i]}),
		      EINVAL);
	FAILS(try_register(fd, name, (struct nmreq_register){.nr_mode = NR_REG_NULL}), EINVAL);
	FAILS(try_register(fd, name,
			   (struct nmreq_register){.nr_mode = NR_REG_ONE_NIC, .nr_ringid = 1000}),
	      EINVAL);
	FAILS(try_register(fd, name,
			   (struct nmreq_register){.nr_mode = NR_REG_ALL_NIC,
						   .nr_flags = NR_MONITOR_RX}),
	      EOPNOTSUPP);
	FAILS(try_register(fd, name,
			   (struct nmreq_register){.nr_mode = NR_REG_ALL_NIC, .nr_mem_id = 999}),
	      EINVAL);
	FAILS(try_register(fd, "vale0:1", all), ENXIO);
	snprintf(pipe, sizeof(pipe), "%s{1", name);
	FAILS(try_register(fd, pipe, all), EOPNOTSUPP);
}

static void check_switches(int fd, const char *name)
{
	struct nmreq_vale_attach attach = {.reg.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_vale_detach detach = {0};
	struct nmreq_vale_list list = {0};
	struct nmreq_vale_newif newif = {0};
	struct nmreq_vale_polling polling = {0};

	FAILS(control(fd, NETMAP_REQ_VALE_LIST, "", &list), ENOENT);
	FAILS(control(fd, NETMAP_REQ_VALE_LIST, "x", &list), EINVAL);
	FAILS(control(fd, NETMAP_REQ_VALE_ATTACH, "x", &attach), EINVAL);
	FAILS(control(fd, NETMAP_REQ_VALE_ATTACH, "vale0:x", &attach), EOPNOTSUPP);
	FAILS(control(fd, NETMAP_REQ_VALE_DETACH, "vale0:x", &detach), ENXIO);
	FAILS(control(fd, NETMAP_REQ_VALE_NEWIF, "v0", &newif), EOPNOTSUPP);
	FAILS(control(fd, NETMAP_REQ_VALE_DELIF, "v0", NULL), ENXIO);
	FAILS(control(fd, NETMAP_REQ_VALE_DELIF, name, NULL), EINVAL);
	FAILS(control(fd, NETMAP_REQ_VALE_POLLING_ENABLE, "vale0:x", &polling), ENXIO);
}

/* Binds fd, whatever was refused on it before. */
static void check_bound(int fd, const char *name, const struct nmreq_port_info_get *info)
{
	struct nmreq_register reg = {
		.nr_mode = NR_REG_ALL_NIC, .nr_extra_bufs = 5, .nr_flags = NR_PTNETMAP_HOST};
	struct nmreq_sync_kloop_start start = {.sleep_us = 500};
	volatile char *page;
	struct port port;

	CHECK(!control(fd, NETMAP_REQ_REGISTER, name, &reg));
	CHECK(reg.nr_memsize == info->nr_memsize && reg.nr_mem_id == info->nr_mem_id);
	CHECK(reg.nr_tx_slots == info->nr_tx_slots && reg.nr_rx_slots == info->nr_rx_slots);
	CHECK(reg.nr_tx_rings == info->nr_tx_rings && reg.nr_rx_rings == info->nr_rx_rings);
	CHECK(reg.nr_extra_bufs == 0 && reg.nr_flags == NR_PTNETMAP_HOST);
	FAILS(control(fd, NETMAP_REQ_REGISTER, name, &reg), EBUSY);
	FAILS(control(fd, NETMAP_REQ_SYNC_KLOOP_START, "", &start), EINVAL);
	CHECK(!control(fd, NETMAP_REQ_SYNC_KLOOP_STOP, "", NULL));
	CHECK(!ioctl(fd, NIOCTXSYNC, NULL));
	CHECK(!ioctl(fd, NIOCRXSYNC, NULL));

	FAILS((long)mmap(NULL, reg.nr_memsize + 4096, PROT_READ, MAP_SHARED, fd, 0), EINVAL);
	FAILS((long)mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, (off_t)reg.nr_memsize), EINVAL);
	FAILS((long)mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0), EINVAL);
	page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, (off_t)reg.nr_memsize - 4096);
	CHECK(page != MAP_FAILED && page[4095] == page[4095]);
	munmap((void *)page, 4096);

	FAILS(port_open(&port, name, NR_REG_ALL_NIC, NR_EXCLUSIVE), EBUSY);
	CHECK(!port_open(&port, name, NR_REG_ALL_NIC, 0));
	port_close(&port);
	close(fd);
}

static void check_layout(struct port *port)
{
	const struct netmap_if *nifp = port->nifp;
	struct netmap_ring *tx, *rx;
	unsigned int i;

	CHECK(nifp->ni_tx_rings == port->reg.nr_tx_rings);
	CHECK(nifp->ni_rx_rings == port->reg.nr_rx_rings);
	CHECK(nifp->ni_host_tx_rings == 1 && nifp->ni_host_rx_rings == 1);
	CHECK(nifp->ring_ofs[nifp->ni_tx_rings] == 0 && nifp->ni_bufs_head == 0);
	for (i = 0; i < port->reg.nr_tx_rings; i++) {
		tx = tx_ring(port, i);
		rx = rx_ring(port, i);
		CHECK(tx->ringid == i && tx->dir == 0 && tx->num_slots == port->reg.nr_tx_slots);
		CHECK(rx->ringid == i && rx->dir == 1 && rx->num_slots == port->reg.nr_rx_slots);
		CHECK(tx->head == tx->cur && tx->head < tx->num_slots && tx->tail < tx->num_slots);
		CHECK(tx->slot[0].buf_idx >= 2 && rx->slot[0].buf_idx >= 2);
	}
}

static void check_syncs(struct port *port)
{
	struct netmap_ring *tx = tx_ring(port, 0), *rx = rx_ring(port, 0);
	uint32_t head, tail;

	CHECK(poll_for(port, POLLOUT, 1000) == POLLOUT);
	tail = tx->tail;
	tx->tail = 3;
	CHECK(!ioctl(port->fd, NIOCTXSYNC, NULL) && tx->tail == tail);

	head = tx->head;
	tx->head = tx->num_slots;
	CHECK(!ioctl(port->fd, NIOCTXSYNC, NULL) && tx->head == head && tx->cur == head);
	tx->head = (head + 5) % tx->num_slots; /* beyond cur */
	CHECK(poll_for(port, POLLOUT, 1000) & POLLERR);
	CHECK(tx->head == head && tx->cur == head);
	rx->head = 0x80000000;
	CHECK(!ioctl(port->fd, NIOCRXSYNC, NULL) && rx->head < rx->num_slots);
	rx->cur = rx->num_slots;
	CHECK(poll_for(port, POLLIN, 0) & POLLERR);
	CHECK(poll_for(port, POLLOUT, 1000) == POLLOUT);
}

static void check_sharing(const char *name)
{
	struct port port, other;

	CHECK(!port_open(&port, name, NR_REG_ALL_NIC, NR_EXCLUSIVE));
	FAILS(port_open(&other, name, NR_REG_ALL_NIC, 0), EBUSY);
	FAILS(port_open(&other, name, NR_REG_ONE_NIC, NR_TX_RINGS_ONLY), EBUSY);
	check_layout(&port);
	check_syncs(&port);
	/* A mapping keeps the binding. */
	close(port.fd);
	FAILS(port_open(&other, name, NR_REG_ALL_NIC, 0), EBUSY);
	munmap(port.memory, port.size);
	CHECK(!port_open(&other, name, NR_REG_ALL_NIC, 0));
	port_close(&other);

	CHECK(!port_open(&port, name, NR_REG_ALL_NIC, NR_EXCLUSIVE | NR_TX_RINGS_ONLY));
	CHECK(!port_open(&other, name, NR_REG_ALL_NIC, NR_EXCLUSIVE | NR_RX_RINGS_ONLY));
	port_close(&port);
	port_close(&other);
}

static void check_legacy(const char *name)
{
	int fd = open(NETMAP_DEVICE_NAME, O_RDWR);
	struct nmreq nmr = {.nr_version = 13};

	snprintf(nmr.nr_name, sizeof(nmr.nr_name), "%s", name);
	FAILS(ioctl(fd, NIOCGINFO, &nmr), EINVAL);
	nmr.nr_version = 16;
	CHECK(!ioctl(fd, NIOCGINFO, &nmr) && nmr.nr_tx_slots && nmr.nr_memsize && nmr.nr_arg2);
	nmr.nr_cmd = NETMAP_BDG_LIST;
	FAILS(ioctl(fd, NIOCGINFO, &nmr), EINVAL);
	nmr.nr_cmd = 0;
	nmr.nr_flags = NR_REG_PIPE_MASTER;
	FAILS(ioctl(fd, NIOCREGIF, &nmr), EOPNOTSUPP);
	nmr.nr_flags = NR_REG_SW;
	FAILS(ioctl(fd, NIOCREGIF, &nmr), EINVAL);
	nmr.nr_flags = 0;
	nmr.nr_cmd = NETMAP_VNET_HDR_GET;
	CHECK(!ioctl(fd, NIOCREGIF, &nmr) && nmr.nr_arg1 == 0);
	nmr.nr_cmd = NETMAP_PT_HOST_CREATE;
	FAILS(ioctl(fd, NIOCREGIF, &nmr), ENOMEM);
	nmr.nr_cmd = 77;
	FAILS(ioctl(fd, NIOCREGIF, &nmr), EINVAL);
	nmr.nr_cmd = 0;
	nmr.nr_arg3 = 20;
	nmr.nr_ringid = NETMAP_HW_RING;
	CHECK(!ioctl(fd, NIOCREGIF, &nmr));
	CHECK(nmr.nr_ringid == NETMAP_HW_RING && nmr.nr_flags == 0 && nmr.nr_arg3 == 0);
	CHECK(nmr.nr_tx_slots && nmr.nr_arg2);
	close(fd);
}

static int api(const char *name)
{
	int fd = open(NETMAP_DEVICE_NAME, O_RDWR);
	struct nmreq_port_info_get info = {0};

	check_unbound(fd);
	check_info(fd, name, &info);
	check_header(fd, name);
	check_options(fd, name);
	check_refused_registers(fd, name);
	check_switches(fd, name);
	check_bound(fd, name, &info); /* closes it */
	check_sharing(name);
	check_legacy(name);
	printf("%u checks, %u failed\n", checks, failures);
	return failures != 0;
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
	uint64_t sent = 0;
	struct port port;
	int events;

	port_must_open(&port, name);
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
	printf("tx: %ju frames\n", (uintmax_t)sent);
	port_close(&port);
	return 0;
}

struct received {
	uint64_t frames, lost, bad, next;
};

static void ring_receive(struct netmap_ring *ring, struct received *received)
{
	uint32_t i;

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
	}
	ring->head = ring->cur = i;
}

/* Waits for input by poll, epoll or in a loop; false on an error or after 20 seconds. */
static bool rx_wait(struct port *port, const char *how, int epoll, double deadline)
{
	struct epoll_event event;

	if (strcmp(how, "poll") == 0)
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
			ring_receive(rx_ring(&port, i), &received);
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

/* Sleeps in poll, then says what woke it and what the descriptor is worth. */
static int waiter(const char *name)
{
	struct port port;
	int events, txsync, rxsync;

	port_must_open(&port, name);
	signal_of_touching(port.memory);
	printf("ready\n");
	events = poll_for(&port, POLLIN, 60000);
	txsync = ioctl(port.fd, NIOCTXSYNC, NULL) < 0 ? errno : 0;
	rxsync = ioctl(port.fd, NIOCRXSYNC, NULL) < 0 ? errno : 0;
	printf("events %#x txsync %d rxsync %d signal %d\n", events, txsync, rxsync,
	       signal_of_touching(port.memory));
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

/* How many page faults it takes to see the whole region. */
static int faults(const char *name)
{
	struct rusage before, after;
	volatile char byte;
	struct port port;
	size_t i;

	port_must_open(&port, name);
	getrusage(RUSAGE_SELF, &before);
	for (i = 0; i < port.size; i += 4096)
		byte = port.memory[i];
	(void)byte;
	getrusage(RUSAGE_SELF, &after);
	printf("%zu pages, %ld faults\n", port.size / 4096, after.ru_minflt - before.ru_minflt);
	port_close(&port);
	return 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: netmap-probe api|hold|wait|faults IF\n"
			"       netmap-probe tx IF COUNT LENGTH\n"
			"       netmap-probe rx IF COUNT poll|epoll|loop\n"
			"       netmap-probe churn IF ROUNDS\n"
			"       netmap-probe scribble IF positions|slots|region ROUNDS\n");
	return 2;
}

int main(int argc, char **argv)
{
	const char *command = argc > 1 ? argv[1] : "", *name = argc > 2 ? argv[2] : "";

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && strcmp(command, "api") == 0)
		return api(name);
	if (argc == 3 && strcmp(command, "hold") == 0)
		hold(name);
	if (argc == 3 && strcmp(command, "wait") == 0)
		return waiter(name);
	if (argc == 3 && strcmp(command, "faults") == 0)
		return faults(name);
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
