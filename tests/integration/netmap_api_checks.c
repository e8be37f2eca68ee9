/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a program sees of /dev/netmap in a guest, by plain system calls: spec/netmap-api.md
 * sections 3 to 6 and 8 to 10. Run by test_netmap_api.py:
 *
 *   netmap_api_checks PORT PEER
 *
 * Both are interfaces with two ring pairs of 1024 slots, alone on one switch. Prints "ok SECTION
 * WHAT" or "FAILED SECTION WHAT: ..." for each check and ends with their number; exit status 1 if
 * one failed. Each group of checks leaves both ports as it found them, with nobody bound.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define NETMAP_WITH_LIBS /* for NETMAP_TXRING() and the like */
#include <net/netmap_user.h>

#define SLOTS 1024
#define RINGS 2

static const char *port_name, *peer_name;
static unsigned int checks, failures;

/* ---- reporting ---- */

static void check_equal(const char *what, long long wanted, long long got)
{
	checks++;
	if (wanted == got) {
		printf("ok %s\n", what);
		return;
	}
	failures++;
	printf("FAILED %s: wanted %lld, got %lld\n", what, wanted, got);
}

/* @result is a system call's; @error what errno must be then, 0 for success. */
static void check_call(const char *what, int error, int result)
{
	int got = result < 0 ? errno : 0;

	checks++;
	if (got == error) {
		printf("ok %s\n", what);
		return;
	}
	failures++;
	printf("FAILED %s: wanted %s, got %s\n", what, error ? strerrorname_np(error) : "success",
	       got ? strerrorname_np(got) : "success");
}

/* For what has to work before anything can be checked. */
static void need(bool ok, const char *what)
{
	if (ok)
		return;
	printf("FAILED %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- requests ---- */

static int open_netmap(void)
{
	int fd = open("/dev/netmap", O_RDWR | O_CLOEXEC);

	need(fd >= 0, "open /dev/netmap");
	return fd;
}

static struct nmreq_header header(const char *name, uint16_t type, void *body)
{
	struct nmreq_header h = {.nr_version = NETMAP_API, .nr_reqtype = type};

	snprintf(h.nr_name, sizeof(h.nr_name), "%s", name);
	h.nr_body = (uintptr_t)body;
	return h;
}

static int request_with(int fd, const char *name, uint16_t type, void *body, void *options)
{
	struct nmreq_header h = header(name, type, body);

	h.nr_options = (uintptr_t)options;
	return ioctl(fd, NIOCCTRL, &h);
}

static int request(int fd, const char *name, uint16_t type, void *body)
{
	return request_with(fd, name, type, body, NULL);
}

/* REGISTER; the reply is left in @reg. */
static int bind_rings(int fd, const char *name, uint32_t mode, uint16_t ring, uint64_t flags,
		      struct nmreq_register *reg)
{
	*reg = (struct nmreq_register){.nr_mode = mode, .nr_ringid = ring, .nr_flags = flags};
	return request(fd, name, NETMAP_REQ_REGISTER, reg);
}

/* A port that is bound and mapped. */
struct bound {
	int fd;
	struct nmreq_register reg;
	char *memory;
	struct netmap_if *nifp;
};

static struct bound bind_and_map(const char *name, uint64_t flags)
{
	struct bound b = {.fd = open_netmap()};

	need(bind_rings(b.fd, name, NR_REG_ALL_NIC, 0, flags, &b.reg) == 0, name);
	b.memory = mmap(NULL, b.reg.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED, b.fd, 0);
	need(b.memory != MAP_FAILED, "mmap");
	b.nifp = NETMAP_IF(b.memory, b.reg.nr_offset);
	return b;
}

static void unbind(struct bound *b)
{
	munmap(b->memory, b->reg.nr_memsize);
	close(b->fd);
}

static int poll_now(int fd, short events, int ms)
{
	struct pollfd p = {.fd = fd, .events = events};

	return poll(&p, 1, ms) < 0 ? -1 : p.revents;
}

/* ---- groups of checks ---- */

static void check_unbound(void)
{
	int fd = open_netmap(), dummy = 0;

	check_call("4.1 NIOCTXSYNC on an unbound descriptor", ENXIO, ioctl(fd, NIOCTXSYNC, NULL));
	check_call("4.1 NIOCRXSYNC on an unbound descriptor", ENXIO, ioctl(fd, NIOCRXSYNC, NULL));
	check_call("4 an unknown ioctl", EOPNOTSUPP, ioctl(fd, _IO('i', 200), &dummy));
	check_call("4 NIOCCTRL without an argument", EINVAL, ioctl(fd, NIOCCTRL, NULL));
	check_call("4 NIOCCTRL with a bad pointer", EFAULT, ioctl(fd, NIOCCTRL, (void *)4096));
	check_call("4 NIOCREGIF without an argument", EINVAL, ioctl(fd, NIOCREGIF, NULL));
	check_call("4 read", EINVAL, (int)read(fd, &dummy, sizeof(dummy)));
	check_call("4 write", EINVAL, (int)write(fd, &dummy, sizeof(dummy)));
	check_equal("9 poll on an unbound descriptor", POLLERR, poll_now(fd, POLLIN | POLLOUT, -1));
	check_call("8 mmap before a bind", EINVAL,
		   mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	close(fd);
}

static void check_header(void)
{
	struct nmreq_port_info_get info = {0}, untouched;
	struct nmreq_header h;
	int fd = open_netmap();

	h = header(port_name, NETMAP_REQ_PORT_INFO_GET, &info);
	h.nr_version = NETMAP_MIN_API - 1;
	check_call("5.3 version 13", EINVAL, ioctl(fd, NIOCCTRL, &h));
	check_equal("5.3 the version is not rewritten", NETMAP_MIN_API - 1, h.nr_version);
	h.nr_version = NETMAP_MAX_API + 1;
	check_call("5.3 version 16", EINVAL, ioctl(fd, NIOCCTRL, &h));
	h.nr_version = NETMAP_MAX_API;
	check_call("5.3 version 15", 0, ioctl(fd, NIOCCTRL, &h));
	h.nr_version = NETMAP_API;
	h.nr_reserved = 1;
	check_call("5.3 reserved field set", EINVAL, ioctl(fd, NIOCCTRL, &h));
	check_equal("5.1 and cleared in the reply", 0, h.nr_reserved);
	check_call("5.3 a body is missing", EINVAL,
		   request(fd, port_name, NETMAP_REQ_PORT_INFO_GET, NULL));
	check_call("5.3 a body too many", EINVAL,
		   request(fd, port_name, NETMAP_REQ_VALE_DELIF, &info));
	check_call("5.3 a bad pointer to the body", EFAULT,
		   request(fd, port_name, NETMAP_REQ_PORT_INFO_GET, (void *)4096));
	check_call("5.3 an unknown request", EINVAL, request(fd, port_name, 99, NULL));

	memset(&info, 0x5a, sizeof(info));
	untouched = info;
	check_call("5.6 information about no interface", EINVAL,
		   request(fd, "nosuch0", NETMAP_REQ_PORT_INFO_GET, &info));
	info.nr_mem_id = untouched.nr_mem_id = 0;
	check_call("5.6 information about no interface", ENXIO,
		   request(fd, "nosuch0", NETMAP_REQ_PORT_INFO_GET, &info));
	check_equal("5.3 a failed request leaves the body", 0,
		    memcmp(&info, &untouched, sizeof(info)));
	close(fd);
}

static void check_information(void)
{
	struct nmreq_port_info_get info = {0};
	struct nmreq_pools_info pools = {0};
	struct nmreq_port_hdr hdr = {.nr_hdr_len = 99};
	int fd = open_netmap();

	check_call("5.6 PORT_INFO_GET", 0, request(fd, port_name, NETMAP_REQ_PORT_INFO_GET, &info));
	check_equal("5.6 TX rings", RINGS, info.nr_tx_rings);
	check_equal("5.6 RX rings", RINGS, info.nr_rx_rings);
	check_equal("5.6 TX slots", SLOTS, info.nr_tx_slots);
	check_equal("5.6 RX slots", SLOTS, info.nr_rx_slots);
	check_equal("5.6 no host rings", 0, info.nr_host_tx_rings + info.nr_host_rx_rings);
	check_call("5.12 POOLS_INFO_GET", 0,
		   request(fd, port_name, NETMAP_REQ_POOLS_INFO_GET, &pools));
	check_equal("5.12 of the same region", info.nr_mem_id, pools.nr_mem_id);
	check_equal("5.12 which is as large", (long long)info.nr_memsize,
		    (long long)pools.nr_memsize);
	check_equal("5.12 the buffers are in it", 1,
		    pools.nr_buf_pool_offset + (uint64_t)pools.nr_buf_pool_objtotal *
						       pools.nr_buf_pool_objsize <=
			    pools.nr_memsize);
	check_call("5.12 POOLS_INFO_GET without a name", ENXIO,
		   request(fd, "", NETMAP_REQ_POOLS_INFO_GET, &pools));
	check_call("5.9 PORT_HDR_GET", 0, request(fd, port_name, NETMAP_REQ_PORT_HDR_GET, &hdr));
	check_equal("5.9 no header", 0, hdr.nr_hdr_len);
	hdr.nr_hdr_len = 11;
	check_call("5.9 a header of 11 bytes", EINVAL,
		   request(fd, port_name, NETMAP_REQ_PORT_HDR_SET, &hdr));
	close(fd);
}

static void check_refused_registers(void)
{
	char pipe_name[NETMAP_REQ_IFNAMSIZ];
	struct nmreq_register reg;
	int fd = open_netmap();

	check_call("5.5 no such interface", ENXIO,
		   bind_rings(fd, "nosuch0", NR_REG_ALL_NIC, 0, 0, &reg));
	check_call("5.5 an interface that is no port", ENXIO,
		   bind_rings(fd, "lo", NR_REG_ALL_NIC, 0, 0, &reg));
	check_call("5.5 no mode", EINVAL, bind_rings(fd, port_name, NR_REG_DEFAULT, 0, 0, &reg));
	check_call("5.5 an unknown mode", EINVAL, bind_rings(fd, port_name, 99, 0, 0, &reg));
	check_call("5.5 mode PIPE_MASTER", EINVAL,
		   bind_rings(fd, port_name, NR_REG_PIPE_MASTER, 0, 0, &reg));
	check_call("5.5 mode SW without host rings", EINVAL,
		   bind_rings(fd, port_name, NR_REG_SW, 0, 0, &reg));
	check_call("5.5 mode NIC_SW without host rings", EINVAL,
		   bind_rings(fd, port_name, NR_REG_NIC_SW, 0, 0, &reg));
	check_call("5.5 mode ONE_SW without host rings", EINVAL,
		   bind_rings(fd, port_name, NR_REG_ONE_SW, 0, 0, &reg));
	check_call("5.5 a ring that isn't there", EINVAL,
		   bind_rings(fd, port_name, NR_REG_ONE_NIC, RINGS, 0, &reg));
	reg = (struct nmreq_register){.nr_mode = NR_REG_ALL_NIC, .nr_mem_id = 999};
	check_call("5.5 an unknown region", EINVAL,
		   request(fd, port_name, NETMAP_REQ_REGISTER, &reg));

	check_call("5.5 mode NULL", EINVAL, bind_rings(fd, port_name, NR_REG_NULL, 0, 0, &reg));
	check_call("5.5 a monitor", EOPNOTSUPP,
		   bind_rings(fd, port_name, NR_REG_ALL_NIC, 0, NR_MONITOR_RX, &reg));
	check_call("5.5 a port of a switch", ENXIO,
		   bind_rings(fd, "vale0:1", NR_REG_ALL_NIC, 0, 0, &reg));
	snprintf(pipe_name, sizeof(pipe_name), "%s{1", port_name);
	check_call("5.5 a pipe", EOPNOTSUPP, bind_rings(fd, pipe_name, NR_REG_ALL_NIC, 0, 0, &reg));
	check_call("5.5 after all that it is not bound", ENXIO, ioctl(fd, NIOCTXSYNC, NULL));
	close(fd);
}

static void check_options(void)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_port_info_get info = {0};
	struct nmreq_option unknown = {.nro_reqtype = NETMAP_REQ_OPT_CSB + 50}, many[99];
	struct nmreq_opt_offsets offsets = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_OFFSETS};
	struct nmreq_opt_csb csb = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_CSB};
	struct nmreq_opt_extmem second = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_EXTMEM};
	struct nmreq_opt_extmem first = {
		.nro_opt = {.nro_next = (uintptr_t)&second, .nro_reqtype = NETMAP_REQ_OPT_EXTMEM}};
	struct nmreq_option eventfds = {.nro_reqtype = NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS,
					.nro_size = 1000};
	const uint16_t type = NETMAP_REQ_REGISTER;
	int fd = open_netmap();
	unsigned int i;

	check_call("5.4 an option that nobody knows", EOPNOTSUPP,
		   request_with(fd, port_name, type, &reg, &unknown));
	check_equal("5.4 which is told so", EOPNOTSUPP, unknown.nro_status);
	unknown.nro_next = (uintptr_t)&unknown;
	unknown.nro_status = 0;
	check_call("5.4 an endless list of options", EMSGSIZE,
		   request_with(fd, port_name, type, &reg, &unknown));
	check_equal("5.4 nothing is written back", 0, unknown.nro_status);

	check_call("5.4 offsets", EOPNOTSUPP, request_with(fd, port_name, type, &reg, &offsets));
	check_equal("5.4 which are told so", EOPNOTSUPP, offsets.nro_opt.nro_status);
	offsets.nro_opt.nro_next = (uintptr_t)&offsets;
	check_call("5.4 the same twice", EINVAL, request_with(fd, port_name, type, &reg, &offsets));
	check_equal("5.4 which is told so", EINVAL, offsets.nro_opt.nro_status);
	check_call("5.4 two of a kind", EINVAL, request_with(fd, port_name, type, &reg, &first));
	check_equal("5.4 the first is told so", EINVAL, first.nro_opt.nro_status);
	check_equal("5.4 and the second", EINVAL, second.nro_opt.nro_status);
	check_call("5.4 a CSB of the program's own", EOPNOTSUPP,
		   request_with(fd, port_name, type, &reg, &csb));
	check_call("5.13 CSB_ENABLE", EOPNOTSUPP,
		   request_with(fd, port_name, NETMAP_REQ_CSB_ENABLE, NULL, &csb));

	for (i = 0; i < 99; i++)
		many[i] = (struct nmreq_option){.nro_next = (uintptr_t)&many[i + 1],
						.nro_reqtype = NETMAP_REQ_OPT_CSB + 50};
	many[98].nro_next = (uintptr_t)&eventfds;
	check_call("5.4 options of more than 4096 bytes", EMSGSIZE,
		   request_with(fd, port_name, type, &reg, many));
	many[98].nro_next = 0;
	check_call("5.4 of a little less", EOPNOTSUPP,
		   request_with(fd, port_name, type, &reg, many));
	check_equal("5.4 the last is told so", EOPNOTSUPP, many[98].nro_status);

	unknown = (struct nmreq_option){.nro_reqtype = 0};
	check_call("5.4 an option of no type", EINVAL,
		   request_with(fd, port_name, type, &reg, &unknown));
	check_equal("5.4 which is told so", EINVAL, unknown.nro_status);
	check_call("5.4 a bad pointer to options", EFAULT,
		   request_with(fd, port_name, type, &reg, (void *)8));
	unknown.nro_reqtype = NETMAP_REQ_OPT_CSB + 50;
	check_call("5.4 only REGISTER minds", 0,
		   request_with(fd, port_name, NETMAP_REQ_PORT_INFO_GET, &info, &unknown));
	check_equal("5.4 and it is told all the same", EOPNOTSUPP, unknown.nro_status);
	check_call("5.5 after all that it is not bound", ENXIO, ioctl(fd, NIOCTXSYNC, NULL));
	close(fd);
}

static void check_switches(void)
{
	struct nmreq_vale_attach attach = {.reg.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_vale_detach detach = {0};
	struct nmreq_vale_list list = {0};
	struct nmreq_vale_newif newif = {0};
	struct nmreq_vale_polling polling = {0};
	int fd = open_netmap();

	check_call("5.10 VALE_LIST", ENOENT, request(fd, "", NETMAP_REQ_VALE_LIST, &list));
	check_call("5.10 of no switch", EINVAL, request(fd, "x", NETMAP_REQ_VALE_LIST, &list));
	check_call("5.7 VALE_ATTACH to no switch", EINVAL,
		   request(fd, "x", NETMAP_REQ_VALE_ATTACH, &attach));
	check_call("5.7 VALE_ATTACH", EOPNOTSUPP,
		   request(fd, "vale0:x", NETMAP_REQ_VALE_ATTACH, &attach));
	check_call("5.8 VALE_DETACH", ENXIO,
		   request(fd, "vale0:x", NETMAP_REQ_VALE_DETACH, &detach));
	check_call("5.11 VALE_NEWIF", EOPNOTSUPP, request(fd, "v0", NETMAP_REQ_VALE_NEWIF, &newif));
	check_call("5.11 VALE_DELIF of nothing", ENXIO,
		   request(fd, "v0", NETMAP_REQ_VALE_DELIF, NULL));
	check_call("5.11 VALE_DELIF of the port", EINVAL,
		   request(fd, port_name, NETMAP_REQ_VALE_DELIF, NULL));
	check_call("5.11 VALE_POLLING_ENABLE", ENXIO,
		   request(fd, "vale0:x", NETMAP_REQ_VALE_POLLING_ENABLE, &polling));
	close(fd);
}

static void check_kloop(void)
{
	struct nmreq_sync_kloop_start start = {.sleep_us = 500};
	int fd = open_netmap();
	struct nmreq_register reg;

	check_call("5.13 KLOOP_START, unbound", ENXIO,
		   request(fd, "", NETMAP_REQ_SYNC_KLOOP_START, &start));
	check_call("5.13 KLOOP_STOP, unbound", ENXIO,
		   request(fd, "", NETMAP_REQ_SYNC_KLOOP_STOP, NULL));
	check_call("5.13 CSB_ENABLE without the option", EINVAL,
		   request(fd, "", NETMAP_REQ_CSB_ENABLE, NULL));
	check_call("5.5 bind", 0, bind_rings(fd, port_name, NR_REG_ALL_NIC, 0, 0, &reg));
	check_call("5.13 KLOOP_START without CSB mode", EINVAL,
		   request(fd, "", NETMAP_REQ_SYNC_KLOOP_START, &start));
	check_call("5.13 KLOOP_STOP", 0, request(fd, "", NETMAP_REQ_SYNC_KLOOP_STOP, NULL));
	close(fd);
}

static void check_bound(void)
{
	struct bound b = bind_and_map(port_name, 0);
	struct nmreq_register again;
	struct netmap_ring *tx, *rx;
	unsigned int i;

	check_equal("5.5 TX rings", RINGS, b.reg.nr_tx_rings);
	check_equal("5.5 RX slots", SLOTS, b.reg.nr_rx_slots);
	check_equal("5.5 the mode is echoed", NR_REG_ALL_NIC, b.reg.nr_mode);
	check_equal("5.5 no extra buffers", 0, b.reg.nr_extra_bufs);
	check_call("5.5 a second bind", EBUSY,
		   bind_rings(b.fd, port_name, NR_REG_ALL_NIC, 0, 0, &again));
	check_equal("2.3 TX rings", RINGS, b.nifp->ni_tx_rings);
	check_equal("2.3 RX rings", RINGS, b.nifp->ni_rx_rings);
	check_equal("2.3 one host ring each", 2,
		    b.nifp->ni_host_tx_rings + b.nifp->ni_host_rx_rings);
	check_equal("2.3 that isn't there", 0,
		    b.nifp->ring_ofs[RINGS] | b.nifp->ring_ofs[2 * RINGS + 1]);
	for (i = 0; i < RINGS; i++) {
		tx = NETMAP_TXRING(b.nifp, i);
		rx = NETMAP_RXRING(b.nifp, i);
		check_equal("2.2 TX ring number", i, tx->ringid);
		check_equal("2.2 RX ring number", i, rx->ringid);
		check_equal("2.2 directions", 1, rx->dir - tx->dir);
		check_equal("2.2 slots", 2 * SLOTS, tx->num_slots + rx->num_slots);
		check_equal("3.1 all room but one slot", SLOTS - 1, nm_ring_space(tx));
		check_equal("3.2 nothing received", 0, nm_ring_space(rx));
	}

	rx->ts.tv_sec = 0;
	check_call("4.1 NIOCTXSYNC", 0, ioctl(b.fd, NIOCTXSYNC, NULL));
	check_call("4.1 NIOCRXSYNC", 0, ioctl(b.fd, NIOCRXSYNC, NULL));
	check_equal("4.1 the time of the RX sync", 1, rx->ts.tv_sec != 0);
	check_call("4 NIOCCONFIG", EINVAL, ioctl(b.fd, NIOCCONFIG, calloc(1, 512)));
	check_equal("9 poll for room", POLLOUT,
		    poll_now(b.fd, POLLOUT, -1) & (POLLIN | POLLOUT | POLLERR));
	check_equal("9 poll for packets that don't come", 0, poll_now(b.fd, POLLIN, 50));
	unbind(&b);
}

static void check_mapping(void)
{
	struct bound b = bind_and_map(port_name, NR_EXCLUSIVE);
	size_t size = b.reg.nr_memsize;
	struct nmreq_register reg;
	void *part;
	int other;

	check_call("8 more than the region", EINVAL,
		   mmap(NULL, size + 4096, PROT_READ, MAP_SHARED, b.fd, 0) == MAP_FAILED ? -1 : 0);
	check_call("8 beyond its end", EINVAL,
		   mmap(NULL, 8192, PROT_READ, MAP_SHARED, b.fd, (off_t)(size - 4096)) == MAP_FAILED
			   ? -1
			   : 0);
	part = mmap(NULL, 4096, PROT_READ, MAP_SHARED, b.fd, (off_t)(size - 4096));
	check_call("8 its last page", 0, part == MAP_FAILED ? -1 : 0);
	munmap(part, 4096);
	part = mmap(NULL, 4096, PROT_READ, MAP_SHARED, b.fd, 0);
	check_call("8 its first page", 0, part == MAP_FAILED ? -1 : 0);
	check_call("8 a private copy", EINVAL,
		   mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, b.fd, 0) == MAP_FAILED ? -1 : 0);
	if (part != MAP_FAILED)
		check_equal("8 every mapping shows the same", 0, memcmp(part, b.memory, 4096));

	close(b.fd);
	munmap(b.memory, size);
	other = open_netmap();
	check_call("8 a mapping keeps the port bound after close", EBUSY,
		   bind_rings(other, port_name, NR_REG_ALL_NIC, 0, 0, &reg));
	munmap(part, 4096);
	check_call("8 until it is unmapped", 0,
		   bind_rings(other, port_name, NR_REG_ALL_NIC, 0, 0, &reg));
	close(other);
}

static void check_exclusive(void)
{
	int first = open_netmap(), second = open_netmap(), third = open_netmap();
	struct nmreq_register reg;

	check_call("5.5 the whole port, exclusive", 0,
		   bind_rings(first, port_name, NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, &reg));
	check_equal("1.4 the flags are echoed", NR_EXCLUSIVE, (long long)reg.nr_flags);
	check_call("5.5 a second user", EBUSY,
		   bind_rings(second, port_name, NR_REG_ALL_NIC, 0, 0, &reg));
	check_call("5.5 a second user of one ring", EBUSY,
		   bind_rings(second, port_name, NR_REG_ONE_NIC, 1, 0, &reg));
	close(first);
	first = open_netmap();
	check_call("10 close gives it back", 0,
		   bind_rings(first, port_name, NR_REG_ALL_NIC, 0, 0, &reg));
	check_call("5.5 exclusive use of what somebody has", EBUSY,
		   bind_rings(second, port_name, NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, &reg));
	check_call("5.5 shared use of it", 0,
		   bind_rings(second, port_name, NR_REG_ALL_NIC, 0, 0, &reg));
	close(first);
	close(second);

	first = open_netmap();
	second = open_netmap();
	check_call("5.5 ring 0, exclusive", 0,
		   bind_rings(first, port_name, NR_REG_ONE_NIC, 0, NR_EXCLUSIVE, &reg));
	check_equal("5.5 the ring is echoed", 0, reg.nr_ringid);
	check_call("5.5 ring 1, exclusive", 0,
		   bind_rings(second, port_name, NR_REG_ONE_NIC, 1, NR_EXCLUSIVE, &reg));
	check_call("5.5 ring 1 again", EBUSY,
		   bind_rings(third, port_name, NR_REG_ONE_NIC, 1, 0, &reg));
	close(first);
	close(second);

	first = open_netmap();
	second = open_netmap();
	check_call("5.5 TX rings only, exclusive", 0,
		   bind_rings(first, port_name, NR_REG_ALL_NIC, 0, NR_EXCLUSIVE | NR_TX_RINGS_ONLY,
			      &reg));
	check_call("5.5 RX rings only, exclusive", 0,
		   bind_rings(second, port_name, NR_REG_ALL_NIC, 0, NR_EXCLUSIVE | NR_RX_RINGS_ONLY,
			      &reg));
	check_equal("9 no RX ring, no packets", 0, poll_now(first, POLLIN, 20));
	check_equal("9 no TX ring, no room", 0, poll_now(second, POLLOUT, 20));
	close(first);
	close(second);
	close(third);
}

static void check_legacy(void)
{
	struct nmreq req = {.nr_version = NETMAP_MIN_API - 1};
	int fd = open_netmap();

	snprintf(req.nr_name, sizeof(req.nr_name), "%s", port_name);
	check_call("6 NIOCREGIF, version 13", EINVAL, ioctl(fd, NIOCREGIF, &req));
	check_call("6 NIOCGINFO, version 13", EINVAL, ioctl(fd, NIOCGINFO, &req));
	req.nr_version = 99;
	check_call("6 NIOCGINFO, version 99", 0, ioctl(fd, NIOCGINFO, &req));
	check_equal("6 rings", 2 * RINGS, req.nr_tx_rings + req.nr_rx_rings);
	req.nr_version = NETMAP_API;
	req.nr_cmd = NETMAP_BDG_LIST;
	check_call("6 NIOCGINFO of no switch", EINVAL, ioctl(fd, NIOCGINFO, &req));
	req.nr_cmd = 77;
	check_call("6 an unknown command", EINVAL, ioctl(fd, NIOCREGIF, &req));
	req.nr_cmd = NETMAP_VNET_HDR_GET;
	check_call("6 the length of the header", 0, ioctl(fd, NIOCREGIF, &req));
	check_equal("6 which is none", 0, req.nr_arg1);
	req.nr_cmd = NETMAP_PT_HOST_CREATE;
	check_call("6 passthrough", ENOMEM, ioctl(fd, NIOCREGIF, &req));
	req.nr_cmd = 0;
	req.nr_flags = NR_REG_PIPE_MASTER;
	check_call("6 a pipe", EOPNOTSUPP, ioctl(fd, NIOCREGIF, &req));
	req.nr_flags = NR_REG_SW;
	check_call("6 host rings", EINVAL, ioctl(fd, NIOCREGIF, &req));
	req.nr_flags = 0;
	req.nr_cmd = 0;
	req.nr_ringid = NETMAP_HW_RING | RINGS;
	check_call("6 a ring that isn't there", EINVAL, ioctl(fd, NIOCREGIF, &req));
	req.nr_ringid = NETMAP_HW_RING | 1;
	req.nr_memsize = 0;
	req.nr_arg3 = 20;
	check_call("6 NIOCREGIF of ring 1", 0, ioctl(fd, NIOCREGIF, &req));
	check_equal("6 no extra buffers", 0, req.nr_arg3);
	check_equal("6 the ring number stays as it was", NETMAP_HW_RING | 1, req.nr_ringid);
	check_equal("6 there is memory", 1, req.nr_memsize != 0);
	check_call("6 a second NIOCREGIF", EBUSY, ioctl(fd, NIOCREGIF, &req));
	check_call("4.1 NIOCTXSYNC", 0, ioctl(fd, NIOCTXSYNC, NULL));
	close(fd);
}

/* A frame from the port to everybody, which is the peer. */
static void put_frame(struct netmap_ring *tx, uint8_t fill)
{
	struct netmap_slot *slot = &tx->slot[tx->head];
	char *buf = NETMAP_BUF(tx, slot->buf_idx);

	memset(buf, fill, 60);
	memset(buf, 0xff, 6);
	memcpy(buf + 6, "\x02\x00\x00\x00\x00\x01\x88\xb5", 8);
	slot->len = 60;
	slot->flags = 0;
	tx->head = tx->cur = nm_ring_next(tx, tx->head);
}

static int epoll_now(int epoll, int ms)
{
	struct epoll_event event = {0};
	int n = epoll_wait(epoll, &event, 1, ms);

	return n <= 0 ? n : (int)(event.events & (EPOLLIN | EPOLLOUT | EPOLLERR));
}

static void check_traffic(void)
{
	struct bound a = bind_and_map(port_name, 0), b = bind_and_map(peer_name, 0);
	struct netmap_ring *tx = NETMAP_TXRING(a.nifp, 0), *rx = NETMAP_RXRING(b.nifp, 0);
	struct epoll_event in = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	uint32_t head = rx->head;

	check_call("9 EPOLL_CTL_ADD", 0, epoll_ctl(epoll, EPOLL_CTL_ADD, b.fd, &in));
	check_equal("9 epoll: nothing yet", 0, epoll_now(epoll, 20));

	put_frame(tx, 1);
	check_call("3.1 NIOCTXSYNC", 0, ioctl(a.fd, NIOCTXSYNC, NULL));
	check_equal("9 epoll: a packet", EPOLLIN, epoll_now(epoll, 10000));
	check_equal("9 epoll: level-triggered", EPOLLIN, epoll_now(epoll, 0));
	check_equal("9 poll: as well", POLLIN, poll_now(b.fd, POLLIN, 0) & (POLLIN | POLLERR));
	check_equal("3.2 one packet", 1, nm_ring_space(rx));
	check_equal("3.2 of 60 bytes", 60, rx->slot[head].len);
	check_equal("3.2 with its content", 0,
		    memcmp(NETMAP_BUF(rx, rx->slot[head].buf_idx) + 6,
			   "\x02\x00\x00\x00\x00\x01\x88\xb5\x01", 9));
	rx->head = rx->cur = rx->tail;
	check_equal("9 epoll: released, nothing left", 0, epoll_now(epoll, 20));

	put_frame(tx, 2);
	check_equal("9 poll for packets sends what is pending", 0, poll_now(a.fd, POLLIN, 0));
	check_equal("9 so that it arrives", POLLIN,
		    poll_now(b.fd, POLLIN, 10000) & (POLLIN | POLLERR));
	/* A program that keeps a packet moves only cur. */
	rx->cur = rx->tail;
	check_equal("3.2 cur past all packets: wait for more", 0, poll_now(b.fd, POLLIN, 20));
	put_frame(tx, 3);
	ioctl(a.fd, NIOCTXSYNC, NULL);
	check_equal("3.2 which comes", POLLIN, poll_now(b.fd, POLLIN, 10000) & (POLLIN | POLLERR));
	check_equal("3.2 with what was kept", 2, nm_ring_space(rx));
	rx->head = rx->cur = rx->tail;

	while (nm_tx_pending(tx)) /* the alarm that main() sets bounds it */
		ioctl(a.fd, NIOCTXSYNC, NULL);
	check_equal("3.1 all room but one slot again", SLOTS - 1, nm_ring_space(tx));
	close(epoll);
	unbind(&a);
	unbind(&b);
}

/* epoll asks where to wait only when the descriptor is added, which may be before it is bound. */
static void check_epoll_before_bind(void)
{
	struct bound a = bind_and_map(port_name, 0);
	struct epoll_event in = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC), fd = open_netmap();
	struct nmreq_register reg;
	int round;

	check_call("9 EPOLL_CTL_ADD before REGISTER", 0, epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &in));
	check_equal("9 epoll: not bound", EPOLLERR, epoll_now(epoll, 0));
	check_call("9 REGISTER", 0, bind_rings(fd, peer_name, NR_REG_ALL_NIC, 0, 0, &reg));
	for (round = 0; round < 2; round++) {
		pid_t child;

		check_equal("9 epoll: nothing yet", 0, epoll_now(epoll, 20));
		child = fork();
		need(child >= 0, "fork");
		if (!child) {
			usleep(50000); /* so that its parent sleeps */
			put_frame(NETMAP_TXRING(a.nifp, 0), 1);
			_exit(ioctl(a.fd, NIOCTXSYNC, NULL) != 0);
		}
		check_equal("9 epoll: a packet wakes", EPOLLIN, epoll_now(epoll, 10000));
		waitpid(child, NULL, 0);
		if (round == 0) {
			/* Again, after the packet was taken. */
			struct bound b = {.fd = fd, .reg = reg};
			struct netmap_ring *rx;

			b.memory = mmap(NULL, reg.nr_memsize, PROT_READ | PROT_WRITE, MAP_SHARED,
					fd, 0);
			need(b.memory != MAP_FAILED, "mmap");
			rx = NETMAP_RXRING(NETMAP_IF(b.memory, reg.nr_offset), 0);
			rx->head = rx->cur = rx->tail;
			munmap(b.memory, reg.nr_memsize);
		}
	}
	close(epoll);
	close(fd);
	unbind(&a);
}

static bool buffers_are_distinct(struct netmap_if *nifp)
{
	uint32_t *all = calloc(4 * RINGS, SLOTS * sizeof(*all)), count = 0, i, j, r;
	bool distinct = true;

	for (r = 0; r < 2 * RINGS; r++) {
		const struct netmap_ring *ring =
			r < RINGS ? NETMAP_TXRING(nifp, r) : NETMAP_RXRING(nifp, r - RINGS);

		for (i = 0; i < SLOTS; i++)
			all[count++] = ring->slot[i].buf_idx;
	}
	for (i = 0; i < count && distinct; i++)
		for (j = 0; j < i && distinct; j++)
			distinct = all[i] >= 2 && all[i] != all[j];
	free(all);
	return distinct;
}

/*
 * The host stops RX ring 0, in which it finds no buffer to fill. Ring 1 goes on, also for
 * who shares it and sees the port mended under it, and a new bind finds all well.
 */
static void check_stopped_ring(void)
{
	struct bound first = bind_and_map(port_name, 0), peer = bind_and_map(peer_name, 0), other;
	struct netmap_ring *rx0 = NETMAP_RXRING(first.nifp, 0);
	struct netmap_ring *rx1 = NETMAP_RXRING(first.nifp, 1);
	struct netmap_ring *tx = NETMAP_TXRING(peer.nifp, 0);
	int fd = open_netmap(), ms;
	struct nmreq_register reg;

	rx0->slot[rx0->tail].buf_idx = 0x7fffffff;
	put_frame(tx, 4);
	ioctl(peer.fd, NIOCTXSYNC, NULL);
	for (ms = 0; ms < 10000 && ioctl(first.fd, NIOCRXSYNC, NULL) == 0; ms++)
		usleep(1000);
	check_call("a stopped ring: sync", EIO, ioctl(first.fd, NIOCRXSYNC, NULL));
	check_equal("a stopped ring: poll", POLLERR, poll_now(first.fd, POLLIN, 1000) & POLLERR);
	rx1->ts.tv_sec = 0;
	ioctl(first.fd, NIOCRXSYNC, NULL);
	check_equal("a stopped ring: the one behind it is synced", 1, rx1->ts.tv_sec != 0);

	check_call("ring 1 shared", 0, bind_rings(fd, port_name, NR_REG_ONE_NIC, 1, 0, &reg));
	unbind(&first);
	check_call("who shares ring 1 does not notice", 0, ioctl(fd, NIOCRXSYNC, NULL));
	other = bind_and_map(port_name, 0);
	check_equal("every slot has a buffer of its own", 1, buffers_are_distinct(other.nifp));
	check_call("after its last user the ring is mended", 0, ioctl(other.fd, NIOCRXSYNC, NULL));
	put_frame(tx, 5);
	ioctl(peer.fd, NIOCTXSYNC, NULL);
	check_equal("and receives", POLLIN, poll_now(other.fd, POLLIN, 10000) & (POLLIN | POLLERR));
	rx0 = NETMAP_RXRING(other.nifp, 0);
	rx0->head = rx0->cur = rx0->tail;
	close(fd);
	unbind(&other);
	unbind(&peer);
}

/* A program ends when it has stored one of the two indices of an exchange. */
static void check_unfinished_exchange(void)
{
	struct bound b = bind_and_map(port_name, 0);

	NETMAP_TXRING(b.nifp, 0)->slot[7].buf_idx = NETMAP_RXRING(b.nifp, 1)->slot[9].buf_idx;
	check_equal("an unfinished exchange", 0, buffers_are_distinct(b.nifp));
	unbind(&b);
	b = bind_and_map(port_name, 0);
	check_equal("every slot has a buffer of its own again", 1, buffers_are_distinct(b.nifp));
	unbind(&b);
}

static void check_bad_positions(void)
{
	struct bound b = bind_and_map(port_name, 0);
	struct netmap_ring *tx = NETMAP_TXRING(b.nifp, 0), *rx = NETMAP_RXRING(b.nifp, 0);
	uint32_t head = tx->head, tail = tx->tail;

	tx->tail = (tail + 5) % SLOTS;
	check_call("3.3 tail overwritten", 0, ioctl(b.fd, NIOCTXSYNC, NULL));
	check_equal("3.3 it is restored", tail, tx->tail);
	tx->head = tx->cur = SLOTS;
	check_call("3.3 head beyond the ring", 0, ioctl(b.fd, NIOCTXSYNC, NULL));
	check_equal("3.3 head is put back", head, tx->head);
	check_equal("3.3 cur is put back", head, tx->cur);
	/* Nothing was received, so that nothing can be released. */
	rx->head = rx->cur = nm_ring_next(rx, rx->tail);
	check_equal("3.3 head beyond tail: poll tells", POLLERR,
		    poll_now(b.fd, POLLIN, 1000) & POLLERR);
	check_equal("3.3 head is put back", rx->tail, rx->head);
	check_equal("3.3 and afterwards all is well", 0, poll_now(b.fd, POLLIN, 20));
	unbind(&b);
}

static void check_end_of_program(void)
{
	struct nmreq_register reg;
	int fd = open_netmap(), tell[2], status;
	char byte;
	pid_t child;

	need(pipe(tell) == 0, "pipe");
	child = fork();
	need(child >= 0, "fork");
	if (!child) {
		struct bound b = bind_and_map(port_name, NR_EXCLUSIVE);

		if (write(tell[1], "b", 1) == 1)
			poll_now(b.fd, POLLIN, -1); /* sleeps in the driver */
		_exit(0);
	}
	need(read(tell[0], &byte, 1) == 1, "a child that binds the port");
	check_call("10 a program has the port", EBUSY,
		   bind_rings(fd, port_name, NR_REG_ALL_NIC, 0, 0, &reg));
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	check_call("10 it was killed: the port is free", 0,
		   bind_rings(fd, port_name, NR_REG_ALL_NIC, 0, 0, &reg));

	child = fork();
	need(child >= 0, "fork");
	if (!child) {
		close(tell[1]);
		if (read(tell[0], &byte, 1) < 0)
			_exit(1);
		_exit(ioctl(fd, NIOCTXSYNC, NULL) == 0 ? 0 : 1);
	}
	close(fd);
	fd = open_netmap();
	check_call("8 a child has inherited the port", EBUSY,
		   bind_rings(fd, port_name, NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, &reg));
	close(tell[1]);
	waitpid(child, &status, 0);
	check_equal("8 and can use it", 0, status);
	check_call("10 until it ends", 0,
		   bind_rings(fd, port_name, NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, &reg));
	close(fd);
	close(tell[0]);
}

int main(int argc, char **argv)
{
	static void (*const groups[])(void) = {
		check_unbound,
		check_header,
		check_information,
		check_refused_registers,
		check_options,
		check_switches,
		check_kloop,
		check_bound,
		check_mapping,
		check_exclusive,
		check_legacy,
		check_traffic,
		check_epoll_before_bind,
		check_stopped_ring,
		check_unfinished_exchange,
		check_bad_positions,
		check_end_of_program,
	};
	size_t i;

	if (argc != 3) {
		fprintf(stderr, "usage: %s PORT PEER\n", argv[0]);
		return 2;
	}
	port_name = argv[1];
	peer_name = argv[2];
	setlinebuf(stdout);
	alarm(100); /* bounds a hang */
	for (i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		groups[i]();
	printf("%u checks, %u failed\n", checks, failures);
	return failures != 0;
}
