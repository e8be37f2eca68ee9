/* SPDX-License-Identifier: BSD-2-Clause */
/* Sections I, K and L: options, null ports, legacy requests. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conformance.h"

#define UNKNOWN 1234

static int register_with(int fd, const char *name, struct nmreq_register *reg, void *options)
{
	return request_with(fd, name, NETMAP_REQ_REGISTER, reg, options);
}

/* ---- I: options ---- */

static void unknown_option(void)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_option second = {.nro_reqtype = UNKNOWN + 1};
	struct nmreq_option first = {.nro_next = (uintptr_t)&second, .nro_reqtype = UNKNOWN};
	int fd = open_netmap();

	check_call("REGISTER", EOPNOTSUPP, register_with(fd, port_name, &reg, &first));
	check_equal("the option is told so", EOPNOTSUPP, first.nro_status);
	check_equal("its type is as it was", UNKNOWN, first.nro_reqtype);
	check_equal("its next is as it was", 1, first.nro_next == (uintptr_t)&second);
	check_equal("the second is told so, too", EOPNOTSUPP, second.nro_status);
	check_call("everything is undone", ENXIO, ioctl(fd, NIOCTXSYNC, NULL));
	check_call("REGISTER without it", 0, register_with(fd, port_name, &reg, NULL));
	close(fd);
}

static void endless_unknown(void)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_option option = {.nro_reqtype = UNKNOWN};
	int fd = open_netmap();

	option.nro_next = (uintptr_t)&option;
	check_call("REGISTER", EMSGSIZE, register_with(fd, port_name, &reg, &option));
	check_equal("nothing is written back", 0, option.nro_status);
	close(fd);
}

static void endless_known(void)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_opt_offsets option = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_OFFSETS};
	int fd = open_netmap();

	option.nro_opt.nro_next = (uintptr_t)&option;
	check_call("REGISTER", EINVAL, register_with(fd, port_name, &reg, &option));
	check_equal("the option is told so", EINVAL, option.nro_opt.nro_status);
	close(fd);
}

static void too_many_bytes(void)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_option many[100] = {{0}};
	int fd = open_netmap();
	unsigned int i;

	for (i = 0; i < 99; i++)
		many[i] = (struct nmreq_option){.nro_next = (uintptr_t)&many[i + 1],
						.nro_reqtype = UNKNOWN};
	many[99] = (struct nmreq_option){.nro_reqtype = NETMAP_REQ_OPT_SYNC_KLOOP_EVENTFDS,
					 .nro_size = 1000};
	check_call("REGISTER", EMSGSIZE, register_with(fd, port_name, &reg, many));
	many[98].nro_next = 0;
	check_call("REGISTER with a little less", EOPNOTSUPP,
		   register_with(fd, port_name, &reg, many));
	check_equal("the last is told so", EOPNOTSUPP, many[98].nro_status);
	close(fd);
}

#define IF_NUMBER   2
#define IF_SIZE	    1024
#define RING_NUMBER 64
#define RING_SIZE   512
#define BUF_NUMBER  4096
#define BUF_SIZE    2048
#define EXTMEM_SIZE                                                                                \
	((size_t)IF_NUMBER * IF_SIZE + (size_t)RING_NUMBER * RING_SIZE +                           \
	 (size_t)BUF_NUMBER * BUF_SIZE)

static struct nmreq_opt_extmem extmem_option(void *memory)
{
	return (struct nmreq_opt_extmem){
		.nro_opt.nro_reqtype = NETMAP_REQ_OPT_EXTMEM,
		.nro_usrptr = (uintptr_t)memory,
		.nro_info = {.nr_memsize = EXTMEM_SIZE,
			     .nr_if_pool_objtotal = IF_NUMBER,
			     .nr_if_pool_objsize = IF_SIZE,
			     .nr_ring_pool_objtotal = RING_NUMBER,
			     .nr_ring_pool_objsize = RING_SIZE,
			     .nr_buf_pool_objtotal = BUF_NUMBER,
			     .nr_buf_pool_objsize = BUF_SIZE},
	};
}

static void *own_pages(size_t size)
{
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	need(memory != MAP_FAILED, "memory");
	return memory;
}

/* Packets to another port, from rings and buffers in the program's own memory, and back. */
static void check_traffic_in(void *memory, const struct bound *b, const char *peer)
{
	struct netmap_if *nifp = NETMAP_IF(memory, b->reg.nr_offset);
	struct netmap_ring *tx = NETMAP_TXRING(nifp, 0), *rx = NETMAP_RXRING(nifp, 0);
	struct bound other = bind_and_map(peer, 0), here = *b;
	unsigned int i;

	here.nifp = nifp;
	for (i = 0; i < 5; i++)
		need(put_packet(tx, 100, broadcast, mac(1), i), "room");
	check_call("NIOCTXSYNC", 0, tx_sync(b));
	check_arrived("packets", &other, 0, 5);
	for (i = 0; i < 5; i++)
		check_packet("from the program's memory", NETMAP_RXRING(other.nifp, 0), 100,
			     broadcast, mac(1), i);
	for (i = 0; i < 5; i++)
		need(put_packet(NETMAP_TXRING(other.nifp, 0), 200, broadcast, mac(2), i), "room");
	check_call("NIOCTXSYNC", 0, tx_sync(&other));
	check_arrived("packets", &here, 0, 5);
	for (i = 0; i < 5; i++)
		check_packet("in the program's memory", rx, 200, broadcast, mac(2), i);
	unbind(&other);
}

static void external_memory(void)
{
	void *memory = own_pages(EXTMEM_SIZE);
	struct nmreq_opt_extmem option = extmem_option(memory);
	struct bound b = {.fd = open_netmap(),
			  .reg = {.nr_mode = NR_REG_ALL_NIC, .nr_tx_slots = 16, .nr_rx_slots = 16}};

	need(register_with(b.fd, own("vale~:0"), &b.reg, &option) == 0, "REGISTER");
	check_equal("the option's status", 0, option.nro_opt.nro_status);
	check_equal("the address is as it was", 1, option.nro_usrptr == (uintptr_t)memory);
	check_equal("the size is as it was", EXTMEM_SIZE, (long long)option.nro_info.nr_memsize);
	check_equal("slots", 16, b.reg.nr_tx_slots);
	check_equal("memory is a region of its own", 1, b.reg.nr_mem_id > 1);
	check_traffic_in(memory, &b, own("vale~:1"));
	close(b.fd);
}

static void external_ring_too_large(void)
{
	void *memory = own_pages(EXTMEM_SIZE);
	struct nmreq_opt_extmem option = extmem_option(memory);
	struct nmreq_register reg = {
		.nr_mode = NR_REG_ALL_NIC, .nr_tx_slots = 16, .nr_rx_slots = 16};
	int fd = open_netmap();

	option.nro_info.nr_ring_pool_objsize = 1048576;
	check_call("REGISTER with rings of 1 MiB", EINVAL,
		   register_with(fd, own("vale~:0"), &reg, &option));
	option = extmem_option(memory);
	option.nro_info.nr_memsize = EXTMEM_SIZE / 2;
	check_call("REGISTER with too little memory", ENOMEM,
		   register_with(fd, own("vale~:0"), &reg, &option));
	close(fd);
}

static void external_twice(void)
{
	void *memory = own_pages(EXTMEM_SIZE);
	struct nmreq_opt_extmem second = extmem_option(memory), first = extmem_option(memory);
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	int fd = open_netmap();

	first.nro_opt.nro_next = (uintptr_t)&second;
	check_call("REGISTER", EINVAL, register_with(fd, own("vale~:0"), &reg, &first));
	check_equal("the first is told so", EINVAL, first.nro_opt.nro_status);
	check_equal("the second, too", EINVAL, second.nro_opt.nro_status);
	close(fd);
}

static void external_file(void)
{
	char path[] = "/tmp/conformance-XXXXXX";
	const size_t size = 16u << 20;
	struct nmreq_opt_extmem option = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_EXTMEM,
					  .nro_info.nr_memsize = size};
	struct bound b = {.fd = open_netmap(), .reg.nr_mode = NR_REG_ALL_NIC};
	int file = mkstemp(path);
	void *memory;

	need(file >= 0, "a file");
	unlink(path);
	need(ftruncate(file, (off_t)size) == 0, "its size");
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	need(memory != MAP_FAILED, "mmap of a file");
	option.nro_usrptr = (uintptr_t)memory;
	need(register_with(b.fd, own("vale~:0"), &b.reg, &option) == 0, "REGISTER");
	check_equal("the option's status", 0, option.nro_opt.nro_status);
	check_equal("netmap_if is in the file", 1,
		    NETMAP_IF(memory, b.reg.nr_offset)->ni_tx_rings == 1);
	check_traffic_in(memory, &b, own("vale~:1"));
	close(b.fd);
	close(file);
}

/* A guest knows none of the options, but the rules for lists of them hold. */
static void options_in_guest(void)
{
	struct nmreq_register reg = {.nr_mode = NR_REG_ALL_NIC};
	struct nmreq_opt_offsets offsets = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_OFFSETS};
	struct nmreq_opt_csb csb = {.nro_opt.nro_reqtype = NETMAP_REQ_OPT_CSB};
	int fd = open_netmap();

	check_call("offsets", EOPNOTSUPP, register_with(fd, port_name, &reg, &offsets));
	check_equal("which are told so", EOPNOTSUPP, offsets.nro_opt.nro_status);
	check_call("a CSB of the program's own", EOPNOTSUPP,
		   register_with(fd, port_name, &reg, &csb));
	check_call("CSB_ENABLE", EOPNOTSUPP,
		   request_with(fd, port_name, NETMAP_REQ_CSB_ENABLE, NULL, &csb));
	close(fd);
}

/* ---- K: null ports ---- */

static void null_port(void)
{
	struct nmreq_register asked = {.nr_mode = NR_REG_NULL,
				       .nr_mem_id = 1,
				       .nr_tx_rings = 10,
				       .nr_tx_slots = 256,
				       .nr_rx_rings = 5,
				       .nr_rx_slots = 100};
	struct bound b = bind_as("anything", asked);
	struct nmreq_register reg = {.nr_mode = NR_REG_NULL};

	check_echo("NULL", &asked, &b.reg);
	check_equal("TX rings", 10, b.nifp->ni_tx_rings);
	check_equal("RX rings", 5, b.nifp->ni_rx_rings);
	check_equal("slots of the last TX ring", 256, NETMAP_TXRING(b.nifp, 9)->num_slots);
	check_equal("slots of the last RX ring", 100, NETMAP_RXRING(b.nifp, 4)->num_slots);
	unbind(&b);
	check_call("without a memory id", EINVAL,
		   request_once("anything", NETMAP_REQ_REGISTER, &reg));
}

static void null_port_empty(void)
{
	struct bound b =
		bind_as("x", (struct nmreq_register){.nr_mode = NR_REG_NULL, .nr_mem_id = 1});

	check_equal("TX rings", 0, b.reg.nr_tx_rings);
	check_equal("RX rings", 0, b.reg.nr_rx_rings);
	check_equal("TX slots", 0, b.reg.nr_tx_slots);
	check_equal("RX slots", 0, b.reg.nr_rx_slots);
	check_equal("memory id", 1, b.reg.nr_mem_id);
	unbind(&b);
}

static void null_port_sync(void)
{
	struct bound b = bind_as("x", (struct nmreq_register){.nr_mode = NR_REG_NULL,
							      .nr_mem_id = 1,
							      .nr_tx_rings = 1,
							      .nr_tx_slots = 16,
							      .nr_rx_rings = 1,
							      .nr_rx_slots = 16});
	struct netmap_ring *tx = NETMAP_TXRING(b.nifp, 0);

	check_call("NIOCTXSYNC", 0, tx_sync(&b));
	check_call("NIOCRXSYNC", 0, rx_sync(&b));
	check_equal("room", 15, nm_ring_space(tx));
	tx->head = tx->cur = 5;
	check_call("NIOCTXSYNC", 0, tx_sync(&b));
	check_equal("what was sent stays pending", 10, nm_ring_space(tx));
	check_equal("nothing is received", 0, nm_ring_space(NETMAP_RXRING(b.nifp, 0)));
	unbind(&b);
}

/* ---- L: legacy requests ---- */

static struct nmreq legacy(const char *name, uint32_t version, uint32_t flags)
{
	struct nmreq req = {.nr_version = version, .nr_flags = flags};

	snprintf(req.nr_name, sizeof(req.nr_name), "%s", name);
	return req;
}

static void legacy_default(void)
{
	struct nmreq req = legacy(port_name, 14, 0);
	int fd = open_netmap();

	check_call("NIOCREGIF", 0, ioctl(fd, NIOCREGIF, &req));
	check_equal("the ring number is as it was", 0, req.nr_ringid);
	check_equal("the flags are as they were", 0, req.nr_flags);
	check_equal("TX slots", PORT_SLOTS, req.nr_tx_slots);
	check_equal("RX slots", PORT_SLOTS, req.nr_rx_slots);
	check_equal("TX rings", PORT_RINGS, req.nr_tx_rings);
	check_equal("RX rings", PORT_RINGS, req.nr_rx_rings);
	check_equal("memory id", 1, req.nr_arg2 != 0);
	check_equal("memory size", 1, req.nr_memsize != 0);
	check_equal("extra buffers", 0, req.nr_arg3);
	close(fd);
}

static void check_legacy(const char *what, int error, uint32_t version, uint32_t flags)
{
	struct nmreq req = legacy(port_name, version, flags);
	int fd = open_netmap();

	check_call(what, error, ioctl(fd, NIOCREGIF, &req));
	check_equal("the version is as it was", version, req.nr_version);
	check_equal("the flags are as they were", flags, req.nr_flags);
	close(fd);
}

static void legacy_versions(void)
{
	check_legacy("version 14", 0, 14, NR_REG_ALL_NIC);
	check_legacy("version 15", 0, 15, NR_REG_ALL_NIC);
	check_legacy("version 16", 0, 16, NR_REG_ALL_NIC);
	check_legacy("version 13", EINVAL, 13, NR_REG_ALL_NIC);
	/* As for ports without host rings */
	check_legacy("SW", EINVAL, 14, NR_REG_SW);
	check_legacy("NIC_SW", EINVAL, 16, NR_REG_NIC_SW);
}

static void check_legacy_extra(const char *name, uint32_t count)
{
	struct nmreq req = legacy(name, 14, NR_REG_ALL_NIC);
	int fd = open_netmap();

	req.nr_arg3 = count;
	check_call(name, 0, ioctl(fd, NIOCREGIF, &req));
	check_equal("extra buffers", count, req.nr_arg3);
	close(fd);
}

static void legacy_extra_buffers(void)
{
	check_legacy_extra(port_name, 20);
}

static void legacy_pipes(void)
{
	struct nmreq req = legacy(port_name, 14, NR_REG_PIPE_MASTER), other;
	int fd = open_netmap(), second = open_netmap();

	check_legacy_extra(own("c~p{ex"), 58);
	check_legacy_extra(own("vale~:a{1"), 58);
	/* The other way to name a pipe */
	req.nr_ringid = 7;
	check_call("PIPE_MASTER", 0, ioctl(fd, NIOCREGIF, &req));
	check_equal("the ring number is as it was", 7, req.nr_ringid);
	check_equal("the name is as it was", 0, strcmp(req.nr_name, port_name));
	other = legacy(own("c~p{7"), 14, NR_REG_ALL_NIC | NR_EXCLUSIVE);
	check_call("it is the pipe of that number", EBUSY, ioctl(second, NIOCREGIF, &other));
	close(fd);
	close(second);
}

const struct test option_tests[] = {
	{"I45-unknown-option", unknown_option, EVERYWHERE | WITH_PORTS},
	{"I46-endless-unknown-options", endless_unknown, EVERYWHERE | WITH_PORTS},
	{"I47-endless-known-option", endless_known, EVERYWHERE | WITH_PORTS},
	{"I48-too-many-options", too_many_bytes, EVERYWHERE | WITH_PORTS},
	{"I49-external-memory", external_memory, ON_HOST},
	{"I50-external-ring-too-large", external_ring_too_large, ON_HOST},
	{"I51-external-memory-twice", external_twice, EVERYWHERE},
	{"I52-external-file", external_file, ON_HOST},
	{"K62-null-port", null_port, ON_HOST},
	{"K63-null-port-empty", null_port_empty, ON_HOST},
	{"K64-null-port-sync", null_port_sync, ON_HOST},
	{"L65-legacy-default", legacy_default, EVERYWHERE | WITH_PORTS},
	{"L66-legacy-versions", legacy_versions, EVERYWHERE | WITH_PORTS},
	{"L67-legacy-extra-buffers", legacy_extra_buffers, ON_HOST | WITH_PORTS},
	{"L68-legacy-pipes", legacy_pipes, ON_HOST | WITH_PORTS},
	{"Q9-options-unsupported", options_in_guest, IN_GUEST | WITH_PORTS},
	{NULL, NULL, 0},
};
