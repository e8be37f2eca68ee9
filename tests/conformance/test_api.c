/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Section Q: further rules of netmap-api.md (the numbers in the texts are its sections) for ports
 * that programs find as interfaces: unbound descriptors, wrong requests, mappings, exclusive rings,
 * epoll, rings that were stopped.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "conformance.h"

/* What a guest doesn't offer at all is refused as such; the host has its own reasons. */
static int guest_or_host(int in_a_guest, int on_host)
{
	return in_guest ? in_a_guest : on_host;
}

static void unbound(void)
{
	int fd = open_netmap(), dummy = 0;

	check_call("4.1 NIOCTXSYNC", ENXIO, ioctl(fd, NIOCTXSYNC, NULL));
	check_call("4.1 NIOCRXSYNC", ENXIO, ioctl(fd, NIOCRXSYNC, NULL));
	check_call("4 an unknown ioctl", EOPNOTSUPP, ioctl(fd, _IO('i', 200), &dummy));
	check_call("4 NIOCCTRL without an argument", EINVAL, ioctl(fd, NIOCCTRL, NULL));
	check_call("4 NIOCCTRL with a bad pointer", EFAULT, ioctl(fd, NIOCCTRL, (void *)4096));
	check_call("4 NIOCREGIF without an argument", EINVAL, ioctl(fd, NIOCREGIF, NULL));
	check_call("4 read", EINVAL, (int)read(fd, &dummy, sizeof(dummy)));
	check_call("4 write", EINVAL, (int)write(fd, &dummy, sizeof(dummy)));
	check_equal("9 poll", POLLERR, poll_now(fd, POLLIN | POLLOUT, -1));
	check_call("8 mmap", EINVAL,
		   mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	close(fd);
}

static void request_header(void)
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
	memset(h.nr_name, 'x', sizeof(h.nr_name));
	h.nr_reserved = 0;
	check_call("5.1 a name without an end", ENXIO, ioctl(fd, NIOCCTRL, &h));
	check_equal("5.1 is cut", 0, h.nr_name[63]);

	memset(&info, 0x5a, sizeof(info));
	untouched = info;
	check_call("5.6 an unknown memory id", EINVAL,
		   request(fd, "nosuch0", NETMAP_REQ_PORT_INFO_GET, &info));
	info.nr_mem_id = untouched.nr_mem_id = 0;
	check_call("5.6 no interface", ENXIO,
		   request(fd, "nosuch0", NETMAP_REQ_PORT_INFO_GET, &info));
	check_equal("5.3 a failed request leaves the body", 0,
		    memcmp(&info, &untouched, sizeof(info)));
	close(fd);
}

static void information(void)
{
	struct nmreq_port_info_get info = {0};
	struct nmreq_pools_info pools = {0};
	struct nmreq_port_hdr hdr = {.nr_hdr_len = 99};
	struct nmreq_option unknown = {.nro_reqtype = 1234};
	int fd = open_netmap();

	check_call("5.6 PORT_INFO_GET", 0, request(fd, port_name, NETMAP_REQ_PORT_INFO_GET, &info));
	check_equal("5.6 no host rings", 0, info.nr_host_tx_rings + info.nr_host_rx_rings);
	check_call("5.12 POOLS_INFO_GET", 0,
		   request(fd, port_name, NETMAP_REQ_POOLS_INFO_GET, &pools));
	check_equal("5.12 of the same region", info.nr_mem_id, pools.nr_mem_id);
	check_equal("5.12 which is as large", (long long)info.nr_memsize,
		    (long long)pools.nr_memsize);
	check_call("5.9 PORT_HDR_GET", 0, request(fd, port_name, NETMAP_REQ_PORT_HDR_GET, &hdr));
	check_equal("5.9 no header", 0, hdr.nr_hdr_len);
	hdr.nr_hdr_len = 11;
	check_call("5.9 a header of 11 bytes", EINVAL,
		   request(fd, port_name, NETMAP_REQ_PORT_HDR_SET, &hdr));
	check_call("5.4 unknown options disturb only REGISTER", 0,
		   request_with(fd, port_name, NETMAP_REQ_PORT_INFO_GET, &info, &unknown));
	check_equal("5.4 and are told all the same", EOPNOTSUPP, unknown.nro_status);
	unknown.nro_reqtype = 0;
	check_call("5.4 an option of no type", EINVAL,
		   request_with(fd, port_name, NETMAP_REQ_PORT_INFO_GET, &info, &unknown));
	check_equal("5.4 which is told so", EINVAL, unknown.nro_status);
	check_call("5.4 a bad pointer to options", EFAULT,
		   request_with(fd, port_name, NETMAP_REQ_PORT_INFO_GET, &info, (void *)8));
	close(fd);
}

static void refused_registers(void)
{
	char pipe_name[NETMAP_REQ_IFNAMSIZ];
	struct nmreq_register reg;
	int fd = open_netmap();

	check_call("5.5 no mode", EINVAL, bind_rings(fd, port_name, NR_REG_DEFAULT, 0, 0, &reg));
	check_call("5.5 an unknown mode", EINVAL, bind_rings(fd, port_name, 99, 0, 0, &reg));
	check_call("5.5 mode PIPE_MASTER", EINVAL,
		   bind_rings(fd, port_name, NR_REG_PIPE_MASTER, 0, 0, &reg));
	check_call("5.5 mode PIPE_SLAVE", EINVAL,
		   bind_rings(fd, port_name, NR_REG_PIPE_SLAVE, 0, 0, &reg));
	check_call("5.5 mode NULL without a memory id", EINVAL,
		   bind_rings(fd, port_name, NR_REG_NULL, 0, 0, &reg));
	reg = (struct nmreq_register){.nr_mode = NR_REG_ALL_NIC, .nr_mem_id = 64999};
	check_call("5.5 an unknown region", EINVAL,
		   request(fd, port_name, NETMAP_REQ_REGISTER, &reg));
	if (in_guest) {
		check_call("5.5 a monitor", EOPNOTSUPP,
			   bind_rings(fd, port_name, NR_REG_ALL_NIC, 0, NR_MONITOR_RX, &reg));
		check_call("5.5 a port of a switch", ENXIO,
			   bind_rings(fd, "vale0:1", NR_REG_ALL_NIC, 0, 0, &reg));
		snprintf(pipe_name, sizeof(pipe_name), "%s{1", port_name);
		check_call("5.5 a pipe", EOPNOTSUPP,
			   bind_rings(fd, pipe_name, NR_REG_ALL_NIC, 0, 0, &reg));
	} else {
		check_call("5.5 no name", ENXIO, bind_rings(fd, "", NR_REG_ALL_NIC, 0, 0, &reg));
	}
	check_call("5.5 after all that it is not bound", ENXIO, ioctl(fd, NIOCTXSYNC, NULL));
	close(fd);
}

static void switch_requests(void)
{
	struct nmreq_vale_attach attach = {.reg.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_vale_detach detach = {0};
	struct nmreq_vale_list list = {0};
	struct nmreq_vale_newif newif = {0};
	struct nmreq_vale_polling polling = {0};
	int fd = open_netmap();

	check_call("5.8 VALE_LIST", ENOENT, request(fd, "", NETMAP_REQ_VALE_LIST, &list));
	check_call("5.8 of no switch", EINVAL, request(fd, "x", NETMAP_REQ_VALE_LIST, &list));
	check_call("5.7 VALE_ATTACH to no switch", EINVAL,
		   request(fd, "x", NETMAP_REQ_VALE_ATTACH, &attach));
	check_call("5.7 VALE_ATTACH", EOPNOTSUPP,
		   request(fd, "vale0:x", NETMAP_REQ_VALE_ATTACH, &attach));
	check_call("5.7 VALE_DETACH", ENXIO,
		   request(fd, "vale0:x", NETMAP_REQ_VALE_DETACH, &detach));
	check_call("5.10 VALE_NEWIF", EOPNOTSUPP, request(fd, "v0", NETMAP_REQ_VALE_NEWIF, &newif));
	check_call("5.10 VALE_DELIF of nothing", ENXIO,
		   request(fd, "v0", NETMAP_REQ_VALE_DELIF, NULL));
	check_call("5.10 VALE_DELIF of the port", EINVAL,
		   request(fd, port_name, NETMAP_REQ_VALE_DELIF, NULL));
	check_call("5.11 VALE_POLLING_ENABLE", ENXIO,
		   request(fd, "vale0:x", NETMAP_REQ_VALE_POLLING_ENABLE, &polling));
	close(fd);
}

static void kloop_requests(void)
{
	struct nmreq_sync_kloop_start start = {.sleep_us = 500};
	int fd = open_netmap();
	struct nmreq_register reg;

	check_call("7.3 KLOOP_START, unbound", ENXIO,
		   request(fd, "", NETMAP_REQ_SYNC_KLOOP_START, &start));
	check_call("7.4 KLOOP_STOP, unbound", ENXIO,
		   request(fd, "", NETMAP_REQ_SYNC_KLOOP_STOP, NULL));
	check_call("5.5 REGISTER", 0, bind_rings(fd, port_name, NR_REG_ALL_NIC, 0, 0, &reg));
	start.sleep_us = 1000001;
	check_call("7.3 KLOOP_START, sleep of more than 1 s", EINVAL,
		   request(fd, "", NETMAP_REQ_SYNC_KLOOP_START, &start));
	start.sleep_us = 500;
	check_call("7.3 KLOOP_START without a CSB", EINVAL,
		   request(fd, "", NETMAP_REQ_SYNC_KLOOP_START, &start));
	check_call("7.4 KLOOP_STOP", 0, request(fd, "", NETMAP_REQ_SYNC_KLOOP_STOP, NULL));
	close(fd);
}

static void bound_port(void)
{
	struct bound b = bind_and_map(port_name, 0);
	struct nmreq_register again;
	struct netmap_ring *tx, *rx;
	char config[272] = {0};
	unsigned int i;

	check_equal("5.5 no extra buffers", 0, b.reg.nr_extra_bufs);
	check_call("5.5 a second bind", EBUSY,
		   bind_rings(b.fd, port_name, NR_REG_ALL_NIC, 0, 0, &again));
	check_equal("2.3 TX rings", PORT_RINGS, b.nifp->ni_tx_rings);
	check_equal("2.3 RX rings", PORT_RINGS, b.nifp->ni_rx_rings);
	check_equal("2.3 one host ring each", 2,
		    b.nifp->ni_host_tx_rings + b.nifp->ni_host_rx_rings);
	check_equal("2.3 that isn't there", 0,
		    b.nifp->ring_ofs[PORT_RINGS] | b.nifp->ring_ofs[2 * PORT_RINGS + 1]);
	check_equal("2.3 the name", 0, strncmp(b.nifp->ni_name, port_name, 15));
	for (i = 0; i < PORT_RINGS; i++) {
		tx = NETMAP_TXRING(b.nifp, i);
		rx = NETMAP_RXRING(b.nifp, i);
		check_equal("2.2 TX ring number", i, tx->ringid);
		check_equal("2.2 RX ring number", i, rx->ringid);
		check_equal("2.2 directions", 1, rx->dir - tx->dir);
		check_equal("2.2 slots", 2 * PORT_SLOTS, tx->num_slots + rx->num_slots);
		check_equal("2.2 no offsets", 0, (long long)(tx->offset_mask | rx->offset_mask));
		check_equal("3.1 all room but one slot", PORT_SLOTS - 1, nm_ring_space(tx));
		check_equal("3.2 nothing received", 0, nm_ring_space(rx));
	}
	check_equal("2.2 each slot has a buffer of its own", 1, buffers_are_distinct(&b));

	rx->ts.tv_sec = 0;
	check_call("4.1 NIOCTXSYNC", 0, tx_sync(&b));
	check_call("4.1 NIOCRXSYNC", 0, rx_sync(&b));
	check_equal("4.1 the time of the RX sync", 1, rx->ts.tv_sec != 0);
	check_call("4 NIOCCONFIG", EINVAL, ioctl(b.fd, NIOCCONFIG, config));
	check_equal("9 poll for room", POLLOUT, poll_now(b.fd, POLLOUT, -1));
	check_equal("9 poll for packets that don't come", 0, poll_now(b.fd, POLLIN, 50));
	unbind(&b);
}

static bool can_map(int fd, size_t size, size_t offset, int how)
{
	void *memory = mmap(NULL, size, PROT_READ, how, fd, (off_t)offset);
	int error = errno;

	if (memory == MAP_FAILED) {
		errno = error;
		return false;
	}
	munmap(memory, size);
	return true;
}

static void mapping(void)
{
	struct bound b = bind_and_map(port_name, NR_EXCLUSIVE);
	size_t size = b.reg.nr_memsize;
	struct nmreq_register reg;
	void *part;
	int other;

	check_call("8 more than the region", EINVAL,
		   can_map(b.fd, size + 4096, 0, MAP_SHARED) ? 0 : -1);
	check_call("8 beyond its end", EINVAL,
		   can_map(b.fd, 8192, size - 4096, MAP_SHARED) ? 0 : -1);
	check_call("8 its last page", 0, can_map(b.fd, 4096, size - 4096, MAP_SHARED) ? 0 : -1);
	check_call("8 a private copy", EINVAL, can_map(b.fd, 4096, 0, MAP_PRIVATE) ? 0 : -1);
	part = mmap(NULL, 4096, PROT_READ, MAP_SHARED, b.fd, 0);
	check_call("8 its first page", 0, part == MAP_FAILED ? -1 : 0);
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

static void exclusive_rings(void)
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
	check_call("5.5 all rings", EBUSY,
		   bind_rings(third, port_name, NR_REG_ALL_NIC, 0, 0, &reg));
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

static void legacy_requests(void)
{
	struct nmreq req = {.nr_version = NETMAP_MIN_API - 1};
	int fd = open_netmap();

	snprintf(req.nr_name, sizeof(req.nr_name), "%s", port_name);
	check_call("6 NIOCREGIF, version 13", EINVAL, ioctl(fd, NIOCREGIF, &req));
	check_call("6 NIOCGINFO, version 13", EINVAL, ioctl(fd, NIOCGINFO, &req));
	req.nr_version = 99;
	check_call("6 NIOCGINFO, version 99", 0, ioctl(fd, NIOCGINFO, &req));
	check_equal("6 rings", 2 * PORT_RINGS, req.nr_tx_rings + req.nr_rx_rings);
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
	if (in_guest) {
		req.nr_flags = NR_REG_PIPE_MASTER;
		check_call("6 a pipe", EOPNOTSUPP, ioctl(fd, NIOCREGIF, &req));
	}
	req.nr_flags = NR_REG_SW;
	check_call("6 host rings", EINVAL, ioctl(fd, NIOCREGIF, &req));
	req.nr_flags = 0;
	req.nr_ringid = NETMAP_HW_RING | PORT_RINGS;
	check_call("6 a ring that isn't there", EINVAL, ioctl(fd, NIOCREGIF, &req));
	req.nr_ringid = NETMAP_HW_RING | 1;
	req.nr_memsize = 0;
	req.nr_arg2 = 0;
	req.nr_arg3 = 20;
	check_call("6 NIOCREGIF of ring 1", 0, ioctl(fd, NIOCREGIF, &req));
	check_equal("6 extra buffers", guest_or_host(0, 20), req.nr_arg3);
	check_equal("6 the ring number stays as it was", NETMAP_HW_RING | 1, req.nr_ringid);
	check_equal("6 there is memory", 1, req.nr_memsize != 0);
	check_call("6 a second NIOCREGIF", EBUSY, ioctl(fd, NIOCREGIF, &req));
	check_call("4.1 NIOCTXSYNC", 0, ioctl(fd, NIOCTXSYNC, NULL));
	close(fd);
}

static void put(const struct bound *b, uint32_t number)
{
	need(put_packet(NETMAP_TXRING(b->nifp, 0), 60, broadcast, mac(1), number), "room");
}

static int epoll_now(int epoll, int ms)
{
	struct epoll_event event = {0};
	int n = epoll_wait(epoll, &event, 1, ms);

	return n <= 0 ? n : (int)(event.events & (EPOLLIN | EPOLLOUT | EPOLLERR));
}

static void traffic(void)
{
	struct bound a = bind_and_map(port_name, 0), b = bind_and_map(peer_name, 0);
	struct netmap_ring *tx = NETMAP_TXRING(a.nifp, 0), *rx = NETMAP_RXRING(b.nifp, 0);
	struct epoll_event in = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	check_call("9 EPOLL_CTL_ADD", 0, epoll_ctl(epoll, EPOLL_CTL_ADD, b.fd, &in));
	check_equal("9 epoll: nothing yet", 0, epoll_now(epoll, 20));
	put(&a, 1);
	check_call("3.1 NIOCTXSYNC", 0, tx_sync(&a));
	check_equal("9 epoll: a packet", EPOLLIN, epoll_now(epoll, 10000));
	check_equal("9 epoll: level-triggered", EPOLLIN, epoll_now(epoll, 0));
	check_equal("9 poll: as well", POLLIN, poll_now(b.fd, POLLIN, 0));
	check_equal("2.5 flags: one fragment", guest_or_host(rx->slot[rx->head].flags, 0x0100),
		    rx->slot[rx->head].flags);
	check_packet("3.2 received", rx, 60, broadcast, mac(1), 1);
	check_equal("9 epoll: released, nothing left", 0, epoll_now(epoll, 20));

	put(&a, 2);
	check_equal("9 poll for packets sends what is pending", 0, poll_now(a.fd, POLLIN, 0));
	check_equal("9 so that it arrives", POLLIN, poll_now(b.fd, POLLIN, 10000));
	/* A program that keeps a packet moves only cur. */
	rx->cur = rx->tail;
	check_equal("3.2 cur past all packets: wait for more", 0, poll_now(b.fd, POLLIN, 20));
	put(&a, 3);
	check_call("3.1 NIOCTXSYNC", 0, tx_sync(&a));
	check_equal("3.2 which comes", POLLIN, poll_now(b.fd, POLLIN, 10000));
	check_equal("3.2 with what was kept", 2, nm_ring_space(rx));
	release_all(rx);

	while (nm_tx_pending(tx)) /* the test's alarm bounds it */
		tx_sync(&a);
	check_equal("3.1 all room but one slot again", PORT_SLOTS - 1, nm_ring_space(tx));
	close(epoll);
	unbind(&a);
	unbind(&b);
}

/* epoll asks where to wait only when the descriptor is added, which may be before it is bound. */
static void epoll_before_bind(void)
{
	const struct timespec moment = {.tv_nsec = 50000000};
	struct bound a = bind_and_map(port_name, 0), b = {.fd = open_netmap()};
	struct epoll_event in = {.events = EPOLLIN};
	int epoll = epoll_create1(EPOLL_CLOEXEC), round;

	check_call("9 EPOLL_CTL_ADD before REGISTER", 0,
		   epoll_ctl(epoll, EPOLL_CTL_ADD, b.fd, &in));
	check_equal("9 epoll: not bound", EPOLLERR, epoll_now(epoll, 0));
	check_call("9 REGISTER", 0, bind_rings(b.fd, peer_name, NR_REG_ALL_NIC, 0, 0, &b.reg));
	map_bound(&b);
	for (round = 0; round < 2; round++) {
		pid_t child;

		check_equal("9 epoll: nothing yet", 0, epoll_now(epoll, 20));
		fflush(stdout);
		child = fork();
		need(child >= 0, "fork");
		if (!child) {
			nanosleep(&moment, NULL); /* so that its parent sleeps */
			put(&a, 1);
			_exit(tx_sync(&a) != 0);
		}
		check_equal("9 epoll: a packet wakes", EPOLLIN, epoll_now(epoll, 10000));
		waitpid(child, NULL, 0);
		release_all(NETMAP_RXRING(b.nifp, 0));
	}
	close(epoll);
	unbind(&b);
	unbind(&a);
}

/*
 * The owner stops RX ring 0, in which it finds no buffer to fill. Ring 1 goes on, also for
 * who shares it and sees the port mended under it, and a new bind finds all well.
 */
static void stopped_ring(void)
{
	const struct timespec moment = {.tv_nsec = 1000000};
	struct bound first = bind_and_map(port_name, 0), peer = bind_and_map(peer_name, 0), other;
	struct netmap_ring *rx0 = NETMAP_RXRING(first.nifp, 0);
	struct netmap_ring *rx1 = NETMAP_RXRING(first.nifp, 1);
	int fd = open_netmap(), ms;
	struct nmreq_register reg;

	rx0->slot[rx0->tail].buf_idx = 0x7fffffff;
	put(&peer, 4);
	check_call("NIOCTXSYNC", 0, tx_sync(&peer));
	for (ms = 0; ms < 10000 && rx_sync(&first) == 0; ms++)
		nanosleep(&moment, NULL);
	check_call("a stopped ring: sync", EIO, rx_sync(&first));
	check_equal("a stopped ring: poll", POLLERR, poll_now(first.fd, POLLIN, 1000) & POLLERR);
	rx1->ts.tv_sec = 0;
	rx_sync(&first);
	check_equal("a stopped ring: the one behind it is synced", 1, rx1->ts.tv_sec != 0);

	check_call("ring 1 shared", 0, bind_rings(fd, port_name, NR_REG_ONE_NIC, 1, 0, &reg));
	unbind(&first);
	check_call("who shares ring 1 does not notice", 0, ioctl(fd, NIOCRXSYNC, NULL));
	other = bind_and_map(port_name, 0);
	check_equal("every slot has a buffer of its own", 1, buffers_are_distinct(&other));
	check_call("after its last user the ring is mended", 0, rx_sync(&other));
	put(&peer, 5);
	check_call("NIOCTXSYNC", 0, tx_sync(&peer));
	check_equal("and receives", POLLIN, poll_now(other.fd, POLLIN, 10000));
	release_all(NETMAP_RXRING(other.nifp, 0));
	close(fd);
	unbind(&other);
	unbind(&peer);
}

/* A program ends when it has stored one of the two indices of an exchange. */
static void unfinished_exchange(void)
{
	struct bound b = bind_and_map(port_name, 0);

	NETMAP_TXRING(b.nifp, 0)->slot[7].buf_idx = NETMAP_RXRING(b.nifp, 1)->slot[9].buf_idx;
	check_equal("an unfinished exchange", 0, buffers_are_distinct(&b));
	unbind(&b);
	b = bind_and_map(port_name, 0);
	check_equal("every slot has a buffer of its own again", 1, buffers_are_distinct(&b));
	unbind(&b);
}

static void bad_positions(void)
{
	struct bound b = bind_and_map(port_name, 0);
	struct netmap_ring *tx = NETMAP_TXRING(b.nifp, 0), *rx = NETMAP_RXRING(b.nifp, 0);
	uint32_t head = tx->head, tail = tx->tail;

	tx->tail = (tail + 5) % PORT_SLOTS;
	check_call("3.3 tail overwritten", 0, tx_sync(&b));
	check_equal("3.3 it is restored", tail, tx->tail);
	tx->head = tx->cur = PORT_SLOTS;
	check_call("3.3 head beyond the ring", 0, tx_sync(&b));
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

static void sleeps_bound(int channel)
{
	struct bound b = bind_and_map(port_name, NR_EXCLUSIVE);

	tell(channel, 'b');
	poll_now(b.fd, POLLIN, -1);
}

static int inherited;

static void syncs_inherited(int channel)
{
	expect(channel, 's');
	check_call("NIOCTXSYNC", 0, ioctl(inherited, NIOCTXSYNC, NULL));
}

static void end_of_program(void)
{
	struct child child = start_child(sleeps_bound);
	struct nmreq_register reg;
	int fd = open_netmap();

	expect(child.channel, 'b');
	check_call("10 a program has the port", EBUSY,
		   bind_rings(fd, port_name, NR_REG_ALL_NIC, 0, 0, &reg));
	kill_child(&child);
	check_call("10 it was killed: the port is free", 0,
		   bind_rings(fd, port_name, NR_REG_ALL_NIC, 0, 0, &reg));

	inherited = fd;
	child = start_child(syncs_inherited);
	close(fd);
	fd = open_netmap();
	check_call("8 a child has inherited the port", EBUSY,
		   bind_rings(fd, port_name, NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, &reg));
	tell(child.channel, 's');
	end_child(&child, "8 and can use it");
	check_call("10 until it ends", 0,
		   bind_rings(fd, port_name, NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, &reg));
	close(fd);
}

const struct test api_tests[] = {
	{"Q1-unbound", unbound, EVERYWHERE},
	{"Q2-header", request_header, EVERYWHERE | WITH_PORTS},
	{"Q3-information", information, EVERYWHERE | WITH_PORTS},
	{"Q4-refused-registers", refused_registers, EVERYWHERE | WITH_PORTS},
	{"Q5-switch-requests", switch_requests, IN_GUEST | WITH_PORTS},
	{"Q6-kloop-requests", kloop_requests, EVERYWHERE | WITH_PORTS},
	{"Q7-bound-port", bound_port, EVERYWHERE | WITH_PORTS},
	{"Q8-mapping", mapping, EVERYWHERE | WITH_PORTS},
	{"Q10-exclusive-rings", exclusive_rings, EVERYWHERE | WITH_PORTS},
	{"Q11-legacy-requests", legacy_requests, EVERYWHERE | WITH_PORTS},
	{"Q12-traffic", traffic, EVERYWHERE | WITH_PORTS},
	{"Q13-epoll-before-bind", epoll_before_bind, EVERYWHERE | WITH_PORTS},
	{"Q14-stopped-ring", stopped_ring, EVERYWHERE | WITH_PORTS},
	{"Q15-unfinished-exchange", unfinished_exchange, EVERYWHERE | WITH_PORTS},
	{"Q16-bad-positions", bad_positions, EVERYWHERE | WITH_PORTS},
	{"Q17-end-of-program", end_of_program, EVERYWHERE | WITH_PORTS},
	{NULL, NULL, 0},
};
