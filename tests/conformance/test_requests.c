/* SPDX-License-Identifier: BSD-2-Clause */
/* Sections A to D: layout, information, REGISTER and exclusive use. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "conformance.h"

static uint32_t word_at(const void *base, size_t offset)
{
	uint32_t value;

	memcpy(&value, (const char *)base + offset, sizeof(value));
	return value;
}

static uint16_t half_at(const void *base, size_t offset)
{
	uint16_t value;

	memcpy(&value, (const char *)base + offset, sizeof(value));
	return value;
}

/* What compilers make of the header, and what the owner really writes there. */
static void ring_layout(void)
{
	struct bound b = bind_and_map(port_name, 0);
	const struct netmap_ring *tx = NETMAP_TXRING(b.nifp, 1), *rx = NETMAP_RXRING(b.nifp, 1);
	int64_t buf_ofs;

	check_equal("buf_ofs", 0, offsetof(struct netmap_ring, buf_ofs));
	check_equal("num_slots", 8, offsetof(struct netmap_ring, num_slots));
	check_equal("nr_buf_size", 12, offsetof(struct netmap_ring, nr_buf_size));
	check_equal("ringid", 16, offsetof(struct netmap_ring, ringid));
	check_equal("dir", 18, offsetof(struct netmap_ring, dir));
	check_equal("head", 20, offsetof(struct netmap_ring, head));
	check_equal("cur", 24, offsetof(struct netmap_ring, cur));
	check_equal("tail", 28, offsetof(struct netmap_ring, tail));
	check_equal("flags", 32, offsetof(struct netmap_ring, flags));
	check_equal("ts", 40, offsetof(struct netmap_ring, ts));
	check_equal("offset_mask", 56, offsetof(struct netmap_ring, offset_mask));
	check_equal("buf_align", 64, offsetof(struct netmap_ring, buf_align));
	check_equal("sem", 128, offsetof(struct netmap_ring, sem));
	check_equal("slot", 256, offsetof(struct netmap_ring, slot));

	memcpy(&buf_ofs, tx, sizeof(buf_ofs));
	check_equal("buffers lie behind the rings", 1, buf_ofs > 0);
	check_equal("number of slots", PORT_SLOTS, word_at(tx, 8));
	check_equal("a buffer's size", 2048, word_at(tx, 12));
	check_equal("ring number", 1, half_at(tx, 16));
	check_equal("direction of a TX ring", 0, half_at(tx, 18));
	check_equal("direction of an RX ring", 1, half_at(rx, 18));
	check_equal("TX head", 0, word_at(tx, 20));
	check_equal("TX cur", 0, word_at(tx, 24));
	check_equal("TX tail", PORT_SLOTS - 1, word_at(tx, 28));
	check_equal("RX tail", 0, word_at(rx, 28));
	check_equal("the first slot's buffer", 1, word_at(tx, 256) >= 2);
	check_equal("the second slot's is another", 1, word_at(tx, 272) != word_at(tx, 256));
	unbind(&b);
}

/* ---- B ---- */

static void port_info_get(void)
{
	struct nmreq_port_info_get info = {0};

	check_call("PORT_INFO_GET", 0, request_once(port_name, NETMAP_REQ_PORT_INFO_GET, &info));
	check_equal("memory", 1, info.nr_memsize != 0);
	check_equal("TX slots", PORT_SLOTS, info.nr_tx_slots);
	check_equal("RX slots", PORT_SLOTS, info.nr_rx_slots);
	check_equal("TX rings", PORT_RINGS, info.nr_tx_rings);
	check_equal("RX rings", PORT_RINGS, info.nr_rx_rings);
	check_equal("memory id", 1, info.nr_mem_id != 0);
}

static void check_pools(const struct nmreq_pools_info *pools)
{
	check_equal("memory", 1, pools->nr_memsize != 0);
	check_equal("interfaces", 1, pools->nr_if_pool_objtotal && pools->nr_if_pool_objsize);
	check_equal("rings", 1, pools->nr_ring_pool_objtotal && pools->nr_ring_pool_objsize);
	check_equal("buffers", 1, pools->nr_buf_pool_objtotal && pools->nr_buf_pool_objsize);
	check_equal("interfaces come first", 0, (long long)pools->nr_if_pool_offset);
	check_equal("then rings", 1, pools->nr_ring_pool_offset > 0);
	check_equal("then buffers", 1, pools->nr_buf_pool_offset > pools->nr_ring_pool_offset);
	check_equal("all in the memory", 1,
		    pools->nr_buf_pool_offset + (uint64_t)pools->nr_buf_pool_objtotal *
							pools->nr_buf_pool_objsize <=
			    pools->nr_memsize);
}

static void pools_info_unbound(void)
{
	struct nmreq_port_info_get info = {0};
	struct nmreq_pools_info pools = {0};
	int fd = open_netmap();

	check_call("POOLS_INFO_GET", 0, request(fd, port_name, NETMAP_REQ_POOLS_INFO_GET, &pools));
	check_pools(&pools);
	check_call("PORT_INFO_GET", 0, request(fd, port_name, NETMAP_REQ_PORT_INFO_GET, &info));
	check_equal("of the same memory", info.nr_mem_id, pools.nr_mem_id);
	check_equal("of the same size", (long long)info.nr_memsize, (long long)pools.nr_memsize);
	close(fd);
}

static void pools_info_bound(void)
{
	struct nmreq_pools_info pools = {.nr_mem_id = 1};
	struct nmreq_register reg;
	int fd = open_netmap();

	need(bind_rings(fd, port_name, NR_REG_ONE_NIC, 0, 0, &reg) == 0, "REGISTER of a ring");
	/* A guest has no global region: there 1 is an id that nobody knows. */
	if (in_guest)
		pools.nr_mem_id = reg.nr_mem_id;
	check_call("POOLS_INFO_GET", 0, request(fd, port_name, NETMAP_REQ_POOLS_INFO_GET, &pools));
	check_pools(&pools);
	check_equal("an existing port keeps its memory", reg.nr_mem_id, pools.nr_mem_id);
	close(fd);
}

static void pools_info_without_name(void)
{
	struct nmreq_pools_info pools = {0};

	check_call("POOLS_INFO_GET without a name", ENXIO,
		   request_once("", NETMAP_REQ_POOLS_INFO_GET, &pools));
}

static void port_info_of_pipe(void)
{
	const char *name = own("c~p}id");
	struct nmreq_port_info_get info = {0}, again = {0};

	check_call("PORT_INFO_GET", 0, request_once(name, NETMAP_REQ_PORT_INFO_GET, &info));
	check_equal("memory", 1, info.nr_memsize != 0);
	check_equal("TX slots are the parent's", PORT_SLOTS, info.nr_tx_slots);
	check_equal("RX slots are the parent's", PORT_SLOTS, info.nr_rx_slots);
	check_equal("TX rings", 1, info.nr_tx_rings);
	check_equal("RX rings", 1, info.nr_rx_rings);
	check_call("PORT_INFO_GET of the parent", 0,
		   request_once(port_name, NETMAP_REQ_PORT_INFO_GET, &again));
	check_equal("in the parent's memory", again.nr_mem_id, info.nr_mem_id);
	/* Made for the request, gone with it. */
	check_call("PORT_HDR_GET of what nobody holds", ENODEV,
		   request_once(name, NETMAP_REQ_PORT_HDR_GET, &(struct nmreq_port_hdr){0}));
}

static void pools_info_of_pipe(void)
{
	struct nmreq_pools_info pools = {0};

	check_call("POOLS_INFO_GET", 0,
		   request_once(own("c~p{id"), NETMAP_REQ_POOLS_INFO_GET, &pools));
	check_pools(&pools);
}

/* ---- C ---- */

static void check_register(const char *what, struct nmreq_register reg)
{
	struct nmreq_register asked = reg;
	int fd = open_netmap();

	check_call(what, 0, request(fd, port_name, NETMAP_REQ_REGISTER, &reg));
	check_echo(what, &asked, &reg);
	check_equal("no host rings", 0, reg.nr_host_tx_rings + reg.nr_host_rx_rings);
	close(fd);
}

/* Ports without host rings: netmap's answer for them. */
static void check_no_host_rings(struct nmreq_register reg)
{
	struct nmreq_register asked = reg;
	int fd = open_netmap();

	check_call("a port without host rings", EINVAL,
		   request(fd, port_name, NETMAP_REQ_REGISTER, &reg));
	check_equal("the request is as it was", 0, memcmp(&asked, &reg, sizeof(reg)));
	reg = (struct nmreq_register){.nr_mode = NR_REG_ALL_NIC};
	check_call("and the descriptor still of use", 0,
		   request(fd, port_name, NETMAP_REQ_REGISTER, &reg));
	close(fd);
}

static void all_nic(void)
{
	check_register("ALL_NIC", (struct nmreq_register){.nr_mode = NR_REG_ALL_NIC});
}

static void nic_sw(void)
{
	check_no_host_rings((struct nmreq_register){.nr_mode = NR_REG_NIC_SW});
}

static void sw(void)
{
	check_no_host_rings((struct nmreq_register){.nr_mode = NR_REG_SW});
}

static void one_nic(void)
{
	struct nmreq_register reg;
	int fd = open_netmap();

	check_register("ONE_NIC", (struct nmreq_register){.nr_mode = NR_REG_ONE_NIC});
	check_register("ONE_NIC, the last", (struct nmreq_register){.nr_mode = NR_REG_ONE_NIC,
								    .nr_ringid = PORT_RINGS - 1});
	check_call("one beyond", EINVAL,
		   bind_rings(fd, port_name, NR_REG_ONE_NIC, PORT_RINGS, 0, &reg));
	close(fd);
}

static void one_sw(void)
{
	check_no_host_rings((struct nmreq_register){.nr_mode = NR_REG_ONE_SW,
						    .nr_ringid = 1,
						    .nr_host_tx_rings = 2,
						    .nr_host_rx_rings = 2});
}

static void sw_with_counts(void)
{
	check_no_host_rings((struct nmreq_register){
		.nr_mode = NR_REG_SW, .nr_host_tx_rings = 5, .nr_host_rx_rings = 4});
}

static void info_passed_back(void)
{
	struct nmreq_port_info_get info = {0};

	check_call("PORT_INFO_GET", 0, request_once(port_name, NETMAP_REQ_PORT_INFO_GET, &info));
	check_register("REGISTER with these numbers",
		       (struct nmreq_register){.nr_mode = NR_REG_ALL_NIC,
					       .nr_tx_slots = info.nr_tx_slots,
					       .nr_rx_slots = info.nr_rx_slots,
					       .nr_tx_rings = info.nr_tx_rings,
					       .nr_rx_rings = info.nr_rx_rings,
					       .nr_mem_id = info.nr_mem_id});
}

/* ---- D ---- */

/* @name can't be opened again while it is held, and can be afterwards. */
static void check_exclusive(const char *name, const char *other_name)
{
	int held = open_netmap(), fd = open_netmap();
	struct nmreq_register reg;

	need(bind_rings(held, name, NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, &reg) == 0, name);
	check_equal("the flag is echoed", NR_EXCLUSIVE, (long long)reg.nr_flags);
	check_call("a second user", EBUSY, bind_rings(fd, name, NR_REG_ALL_NIC, 0, 0, &reg));
	check_call("a second exclusive user", EBUSY,
		   bind_rings(fd, name, NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, &reg));
	check_call("a second user of one ring", EBUSY,
		   bind_rings(fd, name, NR_REG_ONE_NIC, 0, 0, &reg));
	if (other_name)
		check_call("a second user by its other name", EBUSY,
			   bind_rings(fd, other_name, NR_REG_ALL_NIC, 0, 0, &reg));
	close(held);
	check_call("when it has been closed", 0,
		   bind_rings(fd, name, NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, &reg));
	close(fd);
}

static void exclusive_vale(void)
{
	check_exclusive(own("vale~:x"), NULL);
}

static void exclusive_persistent(void)
{
	char name[32];

	snprintf(name, sizeof(name), "%s:%s", ports_switch(), port_name);
	check_exclusive(name, port_name);
}

static void exclusive_pipe(void)
{
	const char *master = own("c~w{1"), *slave = own("c~w}1");
	int held = open_netmap(), fd = open_netmap();
	struct nmreq_register reg;

	check_exclusive(master, NULL);
	check_exclusive(slave, NULL);
	need(bind_rings(held, master, NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, &reg) == 0, master);
	check_call("the other end is not concerned", 0,
		   bind_rings(fd, slave, NR_REG_ALL_NIC, 0, NR_EXCLUSIVE, &reg));
	close(held);
	close(fd);
}

const struct test request_tests[] = {
	{"A1-ring-layout", ring_layout, EVERYWHERE | WITH_PORTS},
	{"B2-port-info", port_info_get, EVERYWHERE | WITH_PORTS},
	{"B3-pools-info-unbound", pools_info_unbound, EVERYWHERE | WITH_PORTS},
	{"B4-pools-info-bound", pools_info_bound, EVERYWHERE | WITH_PORTS},
	{"B5-pools-info-no-name", pools_info_without_name, EVERYWHERE},
	{"B6-port-info-pipe", port_info_of_pipe, ON_HOST | WITH_PORTS},
	{"B7-pools-info-pipe", pools_info_of_pipe, ON_HOST | WITH_PORTS},
	{"C8-all-nic", all_nic, EVERYWHERE | WITH_PORTS},
	{"C9-nic-sw", nic_sw, EVERYWHERE | WITH_PORTS},
	{"C10-sw", sw, EVERYWHERE | WITH_PORTS},
	{"C11-one-nic", one_nic, EVERYWHERE | WITH_PORTS},
	{"C12-one-sw", one_sw, EVERYWHERE | WITH_PORTS},
	{"C13-sw-counts", sw_with_counts, EVERYWHERE | WITH_PORTS},
	{"C14-info-passed-back", info_passed_back, EVERYWHERE | WITH_PORTS},
	{"D15-exclusive-vale", exclusive_vale, ON_HOST},
	{"D16-exclusive-persistent", exclusive_persistent, ON_HOST | WITH_PORTS},
	{"D17-exclusive-pipe", exclusive_pipe, ON_HOST},
	{NULL, NULL, 0},
};
