/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The requests of spec/netmap-api.md sections 5.5 to 5.12, state by state, with the errno
 * values of the specification's tables.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "netmap_client.h"

/* An interface that every Linux has. */
#define SYSTEM_INTERFACE "lo"

/* ---- short forms ---- */

/* One request on a descriptor of its own. */
static int ask_once(struct netmap_fixture *fixture, const struct ptnet_local_request *request,
		    struct netmap_reply *reply)
{
	int fd = netmap_connect(fixture);

	netmap_ask(fd, request, reply);
	netmap_forget(reply);
	close(fd);
	return reply->reply.error;
}

static int errno_once(struct netmap_fixture *fixture, const struct ptnet_local_request *request)
{
	struct netmap_reply reply;

	return ask_once(fixture, request, &reply);
}

static int simple(struct netmap_fixture *fixture, uint16_t reqtype, const char *name)
{
	struct ptnet_local_request request = netmap_request(reqtype, name);

	return errno_once(fixture, &request);
}

static int hdr_set(struct netmap_fixture *fixture, const char *name, uint32_t length)
{
	struct ptnet_local_request request = netmap_request(NETMAP_REQ_PORT_HDR_SET, name);

	request.body.port_hdr.nr_hdr_len = length;
	return errno_once(fixture, &request);
}

static int hdr_get(struct netmap_fixture *fixture, const char *name, uint32_t *length)
{
	struct ptnet_local_request request = netmap_request(NETMAP_REQ_PORT_HDR_GET, name);
	struct netmap_reply reply;
	int error = ask_once(fixture, &request, &reply);

	*length = reply.reply.body.port_hdr.nr_hdr_len;
	return error;
}

static int attach(struct netmap_fixture *fixture, const char *name, uint32_t *index)
{
	struct ptnet_local_request request = netmap_request(NETMAP_REQ_VALE_ATTACH, name);
	struct netmap_reply reply;
	int error;

	request.body.vale_attach.reg.nr_mode = NR_REG_ALL_NIC;
	request.body.vale_attach.reg.nr_flags = 0x1234;
	error = ask_once(fixture, &request, &reply);
	assert_memory_equal(&reply.reply.body.vale_attach.reg, &request.body.vale_attach.reg,
			    sizeof(request.body.vale_attach.reg));
	if (index != NULL)
		*index = reply.reply.body.vale_attach.port_index;
	return error;
}

static int detach(struct netmap_fixture *fixture, const char *name)
{
	return simple(fixture, NETMAP_REQ_VALE_DETACH, name);
}

static int newif(struct netmap_fixture *fixture, const char *name)
{
	return simple(fixture, NETMAP_REQ_VALE_NEWIF, name);
}

static int delif(struct netmap_fixture *fixture, const char *name)
{
	return simple(fixture, NETMAP_REQ_VALE_DELIF, name);
}

static int open_port(struct netmap_fixture *fixture, struct netmap_port *port, const char *name,
		     uint32_t mode, uint16_t ring, uint64_t flags)
{
	struct ptnet_local_request request = netmap_register_request(name);

	request.body.reg.nr_mode = mode;
	request.body.reg.nr_ringid = ring;
	request.body.reg.nr_flags = flags;
	return netmap_open_with(fixture, port, &request);
}

/* Nothing is left of anything. */
static void assert_nothing_left(struct netmap_fixture *fixture)
{
	struct netmap_counts counts;

	netmap_fixture_settle(fixture, 0);
	counts = netmap_fixture_counts(fixture);
	assert_int_equal(counts.ports, 0);
	assert_int_equal(counts.pipes, 0);
	assert_int_equal(counts.regions, 0);
	assert_int_equal(counts.switches, 0);
}

/* ---- REGISTER ---- */

static void a_reply_echoes_and_fills_in(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:a");
	struct netmap_port port;

	request.body.reg.nr_flags = NR_ACCEPT_VNET_HDR | NR_PTNETMAP_HOST | UINT64_C(1) << 40;
	request.body.reg.nr_tx_rings = 3;
	request.body.reg.nr_rx_rings = 200; /* clamped */
	request.body.reg.nr_tx_slots = 100;
	request.body.reg.nr_rx_slots = 100000; /* clamped */
	request.body.reg.nr_host_tx_rings = 4;
	assert_int_equal(netmap_open_with(fixture, &port, &request), 0);
	const struct nmreq_register *reg = &port.bound.reply.body.reg;

	assert_int_equal(reg->nr_flags, request.body.reg.nr_flags);
	assert_int_equal(reg->nr_mode, NR_REG_ALL_NIC);
	assert_int_equal(reg->nr_ringid, 0);
	assert_int_equal(reg->nr_tx_rings, 3);
	assert_int_equal(reg->nr_rx_rings, 16);
	assert_int_equal(reg->nr_tx_slots, 100);
	assert_int_equal(reg->nr_rx_slots, 4096);
	assert_int_equal(reg->nr_host_tx_rings, 0);
	assert_int_equal(port.nifp->ni_tx_rings, 3);
	assert_int_equal(port.nifp->ni_rx_rings, 16);
	for (unsigned i = 0; i < 3 + 1 + 16 + 1; i++) {
		if (i == 3 || i == 20)
			assert_int_equal(port.nifp->ring_ofs[i], 0);
		else
			assert_int_not_equal(port.nifp->ring_ofs[i], 0);
	}
	netmap_close(&port);
	assert_nothing_left(fixture);
}

static void a_port_keeps_its_geometry(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:a");
	struct netmap_port first, second;

	assert_int_equal(netmap_open(fixture, &first, "vale0:a"), 0);
	request.body.reg = first.bound.reply.body.reg; /* as libnetmap's clone does */
	assert_int_equal(netmap_open_with(fixture, &second, &request), 0);
	assert_int_equal(second.bound.reply.body.reg.nr_mem_id, request.body.reg.nr_mem_id);
	assert_int_not_equal(second.bound.reply.body.reg.nr_offset, request.body.reg.nr_offset);
	assert_int_equal(second.bound.reply.binding.ring_ofs[0],
			 first.bound.reply.binding.ring_ofs[0]);
	netmap_close(&second);
	request = netmap_register_request("vale0:a");
	request.body.reg.nr_tx_rings = 4;
	request.body.reg.nr_tx_slots = 16;
	assert_int_equal(netmap_open_with(fixture, &second, &request), 0);
	assert_int_equal(second.bound.reply.body.reg.nr_tx_rings, 1);
	assert_int_equal(second.bound.reply.body.reg.nr_tx_slots, 1024);
	netmap_close(&second);
	netmap_close(&first);
}

/* What is wrong with a request, and a port whose name tells its state. */
static void register_fails_as_specified(void **state)
{
	static const struct {
		const char *name;
		uint32_t mode;
		uint16_t ring, mem_id;
		uint64_t flags;
		int error;
	} cases[] = {
		{"vale0:a", NR_REG_ALL_NIC, 0, 999, 0, EINVAL},
		{"vale0:a", NR_REG_PIPE_MASTER, 0, 0, 0, EINVAL},
		{"vale0:a", NR_REG_PIPE_SLAVE, 0, 0, 0, EINVAL},
		{"vale0:a", NR_REG_DEFAULT, 0, 0, 0, EINVAL},
		{"vale0:a", 9, 0, 0, 0, EINVAL},
		{"vale0:a", NR_REG_SW, 0, 0, 0, EINVAL},
		{"vale0:a", NR_REG_NIC_SW, 0, 0, 0, EINVAL},
		{"vale0:a", NR_REG_ONE_SW, 0, 0, 0, EINVAL},
		{"vale0:a", NR_REG_ONE_NIC, 1, 0, 0, EINVAL},
		{"vale0:a", NR_REG_NULL, 0, 0, 0, EINVAL}, /* no memory */
		{"nosuchif", NR_REG_ALL_NIC, 0, 0, 0, ENXIO},
		{"", NR_REG_ALL_NIC, 0, 0, 0, ENXIO},
		{SYSTEM_INTERFACE, NR_REG_ALL_NIC, 0, 0, 0, EOPNOTSUPP},
		{"vale0:" SYSTEM_INTERFACE, NR_REG_ALL_NIC, 0, 0, 0, EINVAL},
		{"vale0", NR_REG_ALL_NIC, 0, 0, 0, ENOMEM},
		{"vale-0:a", NR_REG_ALL_NIC, 0, 0, 0, ENOMEM},
		{"vale012345678901:a", NR_REG_ALL_NIC, 0, 0, 0, ENOMEM},
		{"vale0:0123456789abcdef", NR_REG_ALL_NIC, 0, 0, 0, ENOMEM},
		{"p{", NR_REG_ALL_NIC, 0, 0, 0, EINVAL},
		{"{1", NR_REG_ALL_NIC, 0, 0, 0, EINVAL},
		{"}1", NR_REG_ALL_NIC, 0, 0, 0, EINVAL},
		{"p{1", NR_REG_NIC_SW, 0, 0, 0, EINVAL},
		{"p{1", NR_REG_SW, 0, 0, 0, EINVAL},
		{"p}1", NR_REG_ONE_NIC, 7, 0, 0, EINVAL},
		{"vale!:a{1", NR_REG_ALL_NIC, 0, 0, 0, ENOMEM},
		{"vale0:a", NR_REG_ALL_NIC, 0, 0, NR_MONITOR_RX, EINVAL}, /* nobody has it open */
		{"nosuchif", NR_REG_ALL_NIC, 0, 0, NR_MONITOR_TX, ENXIO},
		{"p{1", NR_REG_ALL_NIC, 0, 0, NR_ZCOPY_MON, EINVAL},
	};
	struct netmap_fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ptnet_local_request request = netmap_register_request(cases[i].name);
		struct netmap_reply reply;
		int error;

		request.body.reg.nr_mode = cases[i].mode;
		request.body.reg.nr_ringid = cases[i].ring;
		request.body.reg.nr_mem_id = cases[i].mem_id;
		request.body.reg.nr_flags = cases[i].flags;
		error = ask_once(fixture, &request, &reply);
		if (error != cases[i].error)
			fail_msg("case %zu, %s: %s instead of %s (%s)", i, cases[i].name,
				 strerrorname_np(error), strerrorname_np(cases[i].error),
				 reply.reply.message);
		assert_memory_equal(&reply.reply.body, &request.body, sizeof(request.body));
		assert_string_not_equal(reply.reply.message, "");
		assert_int_equal(reply.reply.bound, 0);
		/* Everything that was done is undone. */
		assert_nothing_left(fixture);
	}
}

static void what_depends_on_the_descriptor(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:a");
	struct ptnet_local_request join = {.version = PTNET_LOCAL_VERSION, .op = PTNET_LOCAL_JOIN};
	struct ptnet_local_request undo = join;
	struct netmap_reply first, again;
	int fd = netmap_connect(fixture);

	undo.op = PTNET_LOCAL_UNREGISTER;
	assert_int_equal(netmap_errno(fd, &join), ENXIO);
	assert_int_equal(netmap_errno(fd, &undo), ENXIO);
	netmap_ask(fd, &request, &first);
	assert_int_equal(first.reply.error, 0);
	assert_int_equal(netmap_errno(fd, &request), EBUSY);
	/* Other requests do not care. */
	request = netmap_request(NETMAP_REQ_PORT_INFO_GET, "vale0:b");
	assert_int_equal(netmap_errno(fd, &request), 0);
	netmap_ask(fd, &join, &again);
	assert_int_equal(again.reply.error, 0);
	assert_int_equal(again.num_fds, first.num_fds);
	assert_memory_equal(&again.reply.binding, &first.reply.binding,
			    sizeof(first.reply.binding));
	assert_memory_equal(&again.reply.body, &first.reply.body, sizeof(first.reply.body));
	netmap_forget(&again);
	netmap_forget(&first);
	assert_int_equal(netmap_errno(fd, &undo), 0);
	assert_int_equal(netmap_errno(fd, &join), ENXIO);
	assert_int_equal(netmap_fixture_counts(fixture).ports, 0);
	request = netmap_register_request("vale0:c");
	assert_int_equal(netmap_errno(fd, &request), 0);
	close(fd);
	assert_nothing_left(fixture);
}

static void exclusive_rings(void **state)
{
	static const char *const names[] = {"vale0:a", "p{1", "p}1"};
	struct netmap_fixture *fixture = *state;
	struct netmap_port alone, other;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		assert_int_equal(
			open_port(fixture, &alone, names[i], NR_REG_ALL_NIC, 0, NR_EXCLUSIVE), 0);
		assert_int_equal(open_port(fixture, &other, names[i], NR_REG_ALL_NIC, 0, 0), EBUSY);
		assert_int_equal(
			open_port(fixture, &other, names[i], NR_REG_ALL_NIC, 0, NR_EXCLUSIVE),
			EBUSY);
		netmap_close(&alone);
		netmap_fixture_settle(fixture, 0);
		assert_int_equal(open_port(fixture, &other, names[i], NR_REG_ALL_NIC, 0, 0), 0);
		assert_int_equal(
			open_port(fixture, &alone, names[i], NR_REG_ALL_NIC, 0, NR_EXCLUSIVE),
			EBUSY);
		netmap_close(&other);
		netmap_fixture_settle(fixture, 0);
	}
	/* The other end is somebody else's. */
	assert_int_equal(open_port(fixture, &alone, "p{1", NR_REG_ALL_NIC, 0, NR_EXCLUSIVE), 0);
	assert_int_equal(open_port(fixture, &other, "p}1", NR_REG_ALL_NIC, 0, NR_EXCLUSIVE), 0);
	netmap_close(&other);
	netmap_close(&alone);
}

static void parts_of_a_port(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:a");
	struct netmap_port one, two, tx_only, rx_only, none;
	const struct ptnet_local_binding *binding;

	request.body.reg.nr_mode = NR_REG_ONE_NIC;
	request.body.reg.nr_tx_rings = 2;
	request.body.reg.nr_rx_rings = 3;
	request.body.reg.nr_flags = NR_EXCLUSIVE;
	assert_int_equal(netmap_open_with(fixture, &one, &request), 0);
	binding = &one.bound.reply.binding;
	assert_int_equal(binding->num_tx, 1);
	assert_int_equal(binding->first_tx, 0);
	assert_int_equal(binding->num_rx, 1);
	assert_int_equal(one.nifp->ring_ofs[1], 0);
	assert_int_not_equal(one.nifp->ring_ofs[3], 0);
	assert_int_equal(one.bound.num_fds, 2 + 4);
	/* Valid in one direction only: the other one gets the first ring, which is taken. */
	assert_int_equal(open_port(fixture, &two, "vale0:a", NR_REG_ONE_NIC, 2, 0), EBUSY);
	assert_int_equal(open_port(fixture, &two, "vale0:a", NR_REG_ONE_NIC, 2, NR_RX_RINGS_ONLY),
			 0);
	binding = &two.bound.reply.binding;
	assert_int_equal(binding->num_tx, 0);
	assert_int_equal(binding->num_rx, 1);
	assert_int_equal(binding->first_rx, 2);
	assert_int_equal(binding->tx_rings, 2);
	assert_null(two.tx);
	assert_int_equal(two.bound.num_fds, 2 + 2);
	assert_int_equal(open_port(fixture, &none, "vale0:a", NR_REG_ONE_NIC, 3, 0), EINVAL);
	netmap_close(&one);
	netmap_fixture_settle(fixture, 1);
	assert_int_equal(
		open_port(fixture, &tx_only, "vale0:a", NR_REG_ALL_NIC, 0, NR_TX_RINGS_ONLY), 0);
	assert_int_equal(tx_only.bound.reply.binding.num_tx, 2);
	assert_int_equal(tx_only.bound.reply.binding.num_rx, 0);
	assert_int_equal(
		open_port(fixture, &rx_only, "vale0:a", NR_REG_ALL_NIC, 0, NR_RX_RINGS_ONLY), 0);
	assert_int_equal(rx_only.bound.reply.binding.num_rx, 3);
	assert_int_equal(open_port(fixture, &none, "vale0:a", NR_REG_ALL_NIC, 0,
				   NR_RX_RINGS_ONLY | NR_TX_RINGS_ONLY),
			 0);
	assert_int_equal(none.bound.num_fds, 2);
	for (unsigned i = 0; i < 2 + 1 + 3 + 1; i++)
		assert_int_equal(none.nifp->ring_ofs[i], 0);
	netmap_close(&none);
	netmap_close(&tx_only);
	netmap_close(&rx_only);
	netmap_close(&two);
	assert_nothing_left(fixture);
}

static void memory_is_shared_by_id(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:b");
	struct netmap_port a, b, global;
	uint16_t id;

	assert_int_equal(netmap_open(fixture, &a, "vale0:a"), 0);
	id = a.bound.reply.body.reg.nr_mem_id;
	request.body.reg.nr_mem_id = id;
	assert_int_equal(netmap_open_with(fixture, &b, &request), 0);
	assert_int_equal(b.bound.reply.body.reg.nr_mem_id, id);
	assert_int_equal(netmap_fixture_counts(fixture).regions, 1);
	/* It lives while a port of it does. */
	netmap_close(&a);
	netmap_fixture_settle(fixture, 1);
	assert_int_equal(netmap_fixture_counts(fixture).regions, 1);
	/* An existing port keeps its own. */
	request.body.reg.nr_mem_id = 1;
	assert_int_equal(netmap_open_with(fixture, &a, &request), 0);
	assert_int_equal(a.bound.reply.body.reg.nr_mem_id, id);
	assert_int_equal(netmap_fixture_counts(fixture).regions, 1);
	strcpy(request.name, "vale0:g");
	assert_int_equal(netmap_open_with(fixture, &global, &request), 0);
	assert_int_equal(global.bound.reply.body.reg.nr_mem_id, 1);
	assert_int_equal(global.bound.reply.body.reg.nr_memsize, 343019520);
	assert_int_equal(global.nifp->ni_flags, 0);
	netmap_close(&global);
	netmap_close(&a);
	netmap_close(&b);
	assert_nothing_left(fixture);
}

static void null_ports(void **state)
{
	static const struct {
		uint16_t tx_rings, rx_rings;
		uint32_t tx_slots, rx_slots;
	} cases[] = {{10, 5, 256, 100}, {0, 0, 0, 0}, {1, 0, 2, 0}};
	struct netmap_fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ptnet_local_request request = netmap_register_request("whatever");
		struct netmap_port port, second;
		const struct nmreq_register *reg = &port.bound.reply.body.reg;

		request.body.reg.nr_mode = NR_REG_NULL;
		request.body.reg.nr_mem_id = 1;
		request.body.reg.nr_tx_rings = cases[i].tx_rings;
		request.body.reg.nr_rx_rings = cases[i].rx_rings;
		request.body.reg.nr_tx_slots = cases[i].tx_slots;
		request.body.reg.nr_rx_slots = cases[i].rx_slots;
		assert_int_equal(netmap_open_with(fixture, &port, &request), 0);
		assert_int_equal(reg->nr_tx_rings, cases[i].tx_rings);
		assert_int_equal(reg->nr_rx_rings, cases[i].rx_rings);
		assert_int_equal(reg->nr_tx_slots, cases[i].tx_slots);
		assert_int_equal(reg->nr_rx_slots, cases[i].rx_slots);
		assert_int_equal(reg->nr_mem_id, 1);
		assert_int_equal(port.bound.reply.binding.flags, PTNET_LOCAL_NULL);
		assert_int_equal(port.bound.num_fds, 1);
		/* Every open makes a new one. */
		assert_int_equal(netmap_open_with(fixture, &second, &request), 0);
		assert_int_equal(netmap_fixture_counts(fixture).ports, 2);
		netmap_close(&second);
		netmap_close(&port);
		assert_nothing_left(fixture);
	}
}

static void external_memory(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:0");
	struct nmreq_pools_info *wish = &request.options.extmem;
	const struct ptnet_local_options *options;
	struct netmap_port port;
	struct netmap_reply reply;

	request.body.reg.nr_tx_slots = request.body.reg.nr_rx_slots = 16;
	request.options.present = PTNET_LOCAL_OPT_EXTMEM;
	*wish = (struct nmreq_pools_info){
		.nr_if_pool_objtotal = 2,
		.nr_if_pool_objsize = 1024,
		.nr_ring_pool_objtotal = 64,
		.nr_ring_pool_objsize = 512,
		.nr_buf_pool_objtotal = 4096,
		.nr_buf_pool_objsize = 2048,
		.nr_memsize = 4096 + 64 * 512 + 4096 * 2048,
	};
	assert_int_equal(netmap_open_with(fixture, &port, &request), 0);
	options = &port.bound.reply.options;
	assert_int_equal(options->extmem_status, 0);
	assert_int_equal(options->extmem.nr_memsize, wish->nr_memsize);
	assert_int_equal(options->extmem.nr_ring_pool_objtotal, 64);
	assert_int_equal(options->extmem.nr_mem_id, port.bound.reply.body.reg.nr_mem_id);
	assert_true(port.bound.reply.binding.memsize <= wish->nr_memsize);
	netmap_close(&port);
	assert_nothing_left(fixture);
	/* Left over memory becomes buffers. */
	wish->nr_memsize += 100 * 2048 + 17;
	assert_int_equal(ask_once(fixture, &request, &reply), 0);
	assert_int_equal(reply.reply.options.extmem.nr_buf_pool_objtotal, 4096 + 100);
	wish->nr_memsize = 4096;
	assert_int_equal(ask_once(fixture, &request, &reply), ENOMEM);
	assert_int_equal(reply.reply.options.extmem_status, ENOMEM);
	wish->nr_memsize = 1 << 30;
	wish->nr_ring_pool_objsize = 1 << 20;
	assert_int_equal(ask_once(fixture, &request, &reply), EINVAL);
	assert_int_equal(reply.reply.options.extmem_status, EINVAL);
	assert_nothing_left(fixture);
}

static void too_much_for_a_region(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:b");
	struct netmap_port a;

	assert_int_equal(netmap_open(fixture, &a, "vale0:a"), 0);
	request.body.reg.nr_mem_id = a.bound.reply.body.reg.nr_mem_id;
	request.body.reg.nr_tx_slots = 4096; /* too large for its ring objects */
	assert_int_equal(errno_once(fixture, &request), ENOMEM);
	request.body.reg.nr_tx_slots = 0;
	request.body.reg.nr_tx_rings = 16; /* more than it has left */
	request.body.reg.nr_rx_rings = 16;
	assert_int_equal(errno_once(fixture, &request), ENOMEM);
	netmap_close(&a);
	assert_nothing_left(fixture);
}

static void packet_offsets(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:a");
	struct nmreq_opt_offsets *wish = &request.options.offsets;
	struct netmap_port port, second;
	struct netmap_reply reply;

	request.options.present = PTNET_LOCAL_OPT_OFFSETS;
	*wish = (struct nmreq_opt_offsets){
		.nro_max_offset = 512, .nro_initial_offset = 64, .nro_offset_bits = 16};
	assert_int_equal(netmap_open_with(fixture, &port, &request), 0);
	assert_int_equal(port.bound.reply.options.offsets_status, 0);
	assert_int_equal(port.bound.reply.options.offsets.nro_max_offset, 512);
	assert_int_equal(port.tx->offset_mask, 0xffff);
	assert_int_equal(port.tx->slot[3].ptr, 64);
	/* Who comes later gets what there is, or nothing. */
	wish->nro_max_offset = 100;
	assert_int_equal(netmap_open_with(fixture, &second, &request), 0);
	assert_int_equal(second.bound.reply.options.offsets.nro_max_offset, 512);
	netmap_close(&second);
	wish->nro_max_offset = 1000;
	assert_int_equal(ask_once(fixture, &request, &reply), EBUSY);
	assert_int_equal(reply.reply.options.offsets_status, EBUSY);
	assert_int_equal(reply.reply.options.offsets.nro_max_offset, 1000);
	wish->nro_max_offset = 100000;
	assert_int_equal(ask_once(fixture, &request, &reply), EINVAL);
	netmap_close(&port);
	assert_nothing_left(fixture);
	/* With the last user they go. */
	assert_int_equal(ask_once(fixture, &request, &reply), EINVAL);
	assert_int_equal(netmap_open(fixture, &port, "vale0:a"), 0);
	assert_int_equal(port.tx->offset_mask, 0);
	netmap_close(&port);
	assert_nothing_left(fixture);
}

/* ---- pipes ---- */

static void pipes_of_any_parent(void **state)
{
	static const struct {
		const char *master, *slave;
		unsigned ports, pipes; /* that there are with both open */
	} cases[] = {
		{"p{1", "p}1", 3, 1},
		{SYSTEM_INTERFACE "{1", SYSTEM_INTERFACE "}1", 3, 1},
		{"vale0:a{1", "vale0:a}1", 3, 1},
		{"p{1{2", "p{1}2", 5, 2},
		{"p}1{2", "p}1}2", 5, 2},
	};
	struct netmap_fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (int slave_first = 0; slave_first < 2; slave_first++) {
			struct netmap_port ends[2];
			struct netmap_counts counts;

			assert_int_equal(
				netmap_open(fixture, &ends[slave_first],
					    slave_first ? cases[i].slave : cases[i].master),
				0);
			netmap_put(&ends[slave_first], 7, 60);
			assert_true(netmap_txsync(&ends[slave_first]));
			assert_int_equal(
				netmap_open(fixture, &ends[!slave_first],
					    slave_first ? cases[i].master : cases[i].slave),
				0);
			assert_int_equal(ends[0].bound.reply.body.reg.nr_mem_id,
					 ends[1].bound.reply.body.reg.nr_mem_id);
			assert_int_equal(netmap_get(&ends[!slave_first], true), 7);
			counts = netmap_fixture_counts(fixture);
			assert_int_equal(counts.ports, cases[i].ports);
			assert_int_equal(counts.pipes, cases[i].pipes);
			netmap_close(&ends[0]);
			netmap_close(&ends[1]);
			assert_nothing_left(fixture);
		}
	}
}

static void a_pipes_geometry(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:a{1");
	struct netmap_port parent, master, slave;
	const struct nmreq_register *reg;

	request.body.reg.nr_tx_rings = 2;
	request.body.reg.nr_rx_rings = 3;
	request.body.reg.nr_rx_slots = 64;
	{
		struct ptnet_local_request of_parent = netmap_register_request("vale0:a");

		of_parent.body.reg.nr_tx_slots = 256;
		of_parent.body.reg.nr_rx_slots = 512;
		assert_int_equal(netmap_open_with(fixture, &parent, &of_parent), 0);
	}
	assert_int_equal(netmap_open_with(fixture, &master, &request), 0);
	reg = &master.bound.reply.body.reg;
	assert_int_equal(reg->nr_tx_rings, 2);
	assert_int_equal(reg->nr_rx_rings, 3);
	assert_int_equal(reg->nr_tx_slots, 256); /* the parent's */
	assert_int_equal(reg->nr_rx_slots, 64);
	assert_int_equal(reg->nr_mem_id, parent.bound.reply.body.reg.nr_mem_id);
	assert_int_equal(netmap_open(fixture, &slave, "vale0:a}1"), 0);
	reg = &slave.bound.reply.body.reg;
	assert_int_equal(reg->nr_tx_rings, 3);
	assert_int_equal(reg->nr_rx_rings, 2);
	assert_int_equal(reg->nr_tx_slots, 64);
	assert_int_equal(reg->nr_rx_slots, 256);
	netmap_close(&master);
	netmap_close(&slave);
	/* Wishes are the master's also if the slave comes first. */
	netmap_fixture_settle(fixture, 1);
	strcpy(request.name, "vale0:a}2");
	assert_int_equal(netmap_open_with(fixture, &slave, &request), 0);
	assert_int_equal(slave.bound.reply.body.reg.nr_tx_rings, 3);
	netmap_close(&slave);
	/* The parent goes with its last user, be that a pipe. */
	assert_int_equal(netmap_open(fixture, &slave, "vale0:a}3"), 0);
	netmap_close(&parent);
	netmap_fixture_settle(fixture, 1);
	assert_int_equal(netmap_fixture_counts(fixture).ports, 3);
	netmap_close(&slave);
	assert_nothing_left(fixture);
}

static void as_many_pipes_as_specified(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct netmap_port parent, pipes[6], ends[6];
	char name[32];

	/* Section 8.4: four of an open port, five of an implicit parent. */
	for (unsigned most = 4; most <= 5; most++) {
		if (most == 4)
			assert_int_equal(netmap_open(fixture, &parent, "vale0:a"), 0);
		for (unsigned i = 0; i < most; i++) {
			snprintf(name, sizeof(name), "%s{%u", most == 4 ? "vale0:a" : "p", i);
			assert_int_equal(netmap_open(fixture, &pipes[i], name), 0);
			*strchr(name, '{') = '}';
			assert_int_equal(netmap_open(fixture, &ends[i], name), 0);
		}
		snprintf(name, sizeof(name), "%s{x", most == 4 ? "vale0:a" : "p");
		assert_int_equal(netmap_open(fixture, &pipes[most], name), ENOMEM);
		for (unsigned i = 0; i < most; i++) {
			netmap_close(&pipes[i]);
			netmap_close(&ends[i]);
		}
		if (most == 4)
			netmap_close(&parent);
		assert_nothing_left(fixture);
	}
}

/* ---- PORT_INFO_GET, POOLS_INFO_GET ---- */

static void port_info(void **state)
{
	static const char *const names[] = {"vale0:a", "p{1", "p}1", SYSTEM_INTERFACE "}1"};
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request;
	const struct nmreq_port_info_get *info;
	struct netmap_reply reply;

	info = &reply.reply.body.port_info;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		request = netmap_request(NETMAP_REQ_PORT_INFO_GET, names[i]);
		request.body.port_info.nr_tx_slots = 128;
		request.body.port_info.nr_rx_slots = 128;
		assert_int_equal(ask_once(fixture, &request, &reply), 0);
		assert_true(info->nr_memsize > 0);
		assert_int_equal(info->nr_tx_slots, 128);
		assert_int_equal(info->nr_rx_slots, 128);
		assert_int_equal(info->nr_tx_rings, 1);
		assert_int_equal(info->nr_rx_rings, 1);
		assert_int_equal(info->nr_host_tx_rings, 0);
		assert_true(info->nr_mem_id > 1);
		assert_nothing_left(fixture);
	}
	request = netmap_request(NETMAP_REQ_PORT_INFO_GET, "");
	assert_int_equal(ask_once(fixture, &request, &reply), 0);
	assert_int_equal(info->nr_memsize, 343019520);
	assert_int_equal(info->nr_mem_id, 1);
	request.body.port_info.nr_mem_id = 77;
	assert_int_equal(ask_once(fixture, &request, &reply), EINVAL);
	assert_int_equal(simple(fixture, NETMAP_REQ_PORT_INFO_GET, "nosuchif"), ENXIO);
	assert_int_equal(simple(fixture, NETMAP_REQ_PORT_INFO_GET, "p{"), EINVAL);
	assert_nothing_left(fixture);
}

static void pools_info(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_request(NETMAP_REQ_POOLS_INFO_GET, "vale0:a");
	const struct nmreq_pools_info *info;
	struct netmap_reply reply;

	info = &reply.reply.body.pools_info;
	assert_int_equal(ask_once(fixture, &request, &reply), 0);
	assert_int_equal(info->nr_memsize, 42369024);
	assert_int_equal(info->nr_if_pool_offset, 0);
	assert_int_equal(info->nr_if_pool_objtotal, 12);
	assert_int_equal(info->nr_if_pool_objsize, 1024);
	assert_int_equal(info->nr_ring_pool_offset, 12288);
	assert_int_equal(info->nr_ring_pool_objtotal, 20);
	assert_int_equal(info->nr_ring_pool_objsize, 20480);
	assert_int_equal(info->nr_buf_pool_offset, 12288 + 409600);
	assert_int_equal(info->nr_buf_pool_objtotal, 20482);
	assert_int_equal(info->nr_buf_pool_objsize, 2048);
	assert_int_equal(simple(fixture, NETMAP_REQ_POOLS_INFO_GET, ""), ENXIO);
	assert_int_equal(simple(fixture, NETMAP_REQ_POOLS_INFO_GET, "p{1"), 0);
	assert_int_equal(simple(fixture, NETMAP_REQ_POOLS_INFO_GET, "nosuchif"), ENXIO);
	assert_nothing_left(fixture);
}

/* ---- PORT_HDR ---- */

static void port_headers(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct netmap_port port, pipe;
	uint32_t length;

	assert_int_equal(hdr_set(fixture, "vale0:a", 12), ENXIO);
	assert_int_equal(hdr_get(fixture, "vale0:a", &length), ENXIO);
	assert_int_equal(hdr_get(fixture, "nosuchif", &length), ENXIO);
	assert_int_equal(hdr_get(fixture, "p{1", &length), ENODEV);
	assert_nothing_left(fixture);
	assert_int_equal(netmap_open(fixture, &port, "vale0:a"), 0);
	assert_int_equal(netmap_open(fixture, &pipe, "vale0:a{1"), 0);
	assert_int_equal(hdr_set(fixture, "vale0:a", 11), EINVAL);
	assert_int_equal(hdr_set(fixture, "nosuchif", 11), EINVAL);
	assert_int_equal(hdr_set(fixture, "nosuchif", 12), ENXIO);
	assert_int_equal(hdr_set(fixture, "vale0:a{1", 12), ENXIO);
	for (int i = 0; i < 3; i++) {
		static const uint32_t lengths[] = {12, 0, 10};
		struct netmap_port second;

		assert_int_equal(hdr_set(fixture, "vale0:a", lengths[i]), 0);
		assert_int_equal(hdr_get(fixture, "vale0:a", &length), 0);
		assert_int_equal(length, lengths[i]);
		/* Opening it needs a program that knows. */
		assert_int_equal(open_port(fixture, &second, "vale0:a", NR_REG_ALL_NIC, 0,
					   NR_ACCEPT_VNET_HDR),
				 0);
		netmap_close(&second);
		if (lengths[i] == 0)
			continue;
		assert_int_equal(open_port(fixture, &second, "vale0:a", NR_REG_ALL_NIC, 0, 0), EIO);
		/* That comes before the mode. */
		assert_int_equal(open_port(fixture, &second, "vale0:a", NR_REG_SW, 0, 0), EIO);
	}
	assert_int_equal(hdr_get(fixture, "vale0:a{1", &length), 0);
	assert_int_equal(length, 0);
	netmap_close(&pipe);
	netmap_close(&port);
	assert_nothing_left(fixture);
}

/* ---- persistent ports ---- */

static void persistent_ports(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_request(NETMAP_REQ_VALE_NEWIF, "per0");
	struct nmreq_vale_newif *asked = &request.body.vale_newif;
	const struct nmreq_vale_newif *made;
	struct netmap_reply reply;
	struct netmap_port port;

	asked->nr_tx_rings = 99;
	asked->nr_rx_slots = 99999;
	asked->nr_mem_id = 1;
	assert_int_equal(ask_once(fixture, &request, &reply), ENOMEM); /* 2288 slots at most */
	asked->nr_rx_slots = 0;
	assert_int_equal(ask_once(fixture, &request, &reply), 0);
	made = &reply.reply.body.vale_newif;
	assert_int_equal(made->nr_tx_rings, 16);
	assert_int_equal(made->nr_rx_rings, 1);
	assert_int_equal(made->nr_tx_slots, 1024);
	assert_int_equal(made->nr_rx_slots, 1024);
	assert_int_equal(made->nr_mem_id, 1);
	assert_int_equal(newif(fixture, "per0"), EEXIST);
	assert_int_equal(newif(fixture, SYSTEM_INTERFACE), EEXIST);
	assert_int_equal(newif(fixture, "vale1"), EINVAL);
	assert_int_equal(newif(fixture, "0123456789abcdef"), EINVAL);
	assert_int_equal(newif(fixture, ""), EINVAL);
	asked->nr_mem_id = 999;
	strcpy(request.name, "per1");
	assert_int_equal(ask_once(fixture, &request, &reply), EINVAL);
	/* It stays when all descriptors are closed, and moves nothing while it is on no switch. */
	assert_int_equal(netmap_open(fixture, &port, "per0"), 0);
	netmap_put(&port, 1, 60);
	assert_true(netmap_txsync(&port));
	assert_int_equal((port.tx->tail + 1) % port.tx->num_slots, port.tx->head);
	assert_int_equal(delif(fixture, "per0"), EBUSY);
	netmap_close(&port);
	netmap_fixture_settle(fixture, 0);
	assert_int_equal(netmap_fixture_counts(fixture).ports, 1);
	assert_int_equal(open_port(fixture, &port, "per0", NR_REG_SW, 0, 0), EINVAL);
	assert_int_equal(delif(fixture, "per0"), 0);
	assert_int_equal(delif(fixture, "per0"), ENXIO);
	assert_int_equal(delif(fixture, SYSTEM_INTERFACE), EINVAL);
	assert_nothing_left(fixture);
	/* Made for a pipe, and gone with it. */
	assert_int_equal(netmap_open(fixture, &port, "p{1"), 0);
	assert_int_equal(delif(fixture, "p"), EINVAL);
	netmap_close(&port);
	assert_nothing_left(fixture);
}

static void attaching(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct netmap_port port, other, on_b;
	uint32_t index;

	assert_int_equal(attach(fixture, "nosuchif", NULL), EINVAL);
	assert_int_equal(attach(fixture, "valeA:nosuchif", NULL), EINVAL);
	assert_int_equal(attach(fixture, "vale!:per0", NULL), ENOMEM);
	assert_int_equal(attach(fixture, "valeA:" SYSTEM_INTERFACE, NULL), EOPNOTSUPP);
	assert_int_equal(detach(fixture, "nosuchif"), EINVAL);
	assert_int_equal(detach(fixture, "valeA:per0"), ENXIO);
	assert_nothing_left(fixture);
	assert_int_equal(newif(fixture, "per0"), 0);
	/* Not by the switch's name before it is there. */
	assert_int_equal(netmap_open(fixture, &port, "valeA:per0"), EINVAL);
	assert_int_equal(netmap_open(fixture, &other, "valeA:x"), 0);
	assert_int_equal(attach(fixture, "valeA:x", NULL), EBUSY);
	assert_int_equal(detach(fixture, "valeA:x"), EBUSY);
	assert_int_equal(detach(fixture, "valeA:per0"), ENXIO);
	assert_int_equal(netmap_open(fixture, &port, "per0"), 0);
	assert_int_equal(attach(fixture, "valeA:per0", NULL), EBUSY); /* in use */
	netmap_close(&port);
	netmap_fixture_settle(fixture, 1);
	assert_int_equal(attach(fixture, "valeA:per0", &index), 0);
	assert_int_equal(index, 1);
	assert_int_equal(attach(fixture, "valeA:per0", NULL), EBUSY);
	assert_int_equal(delif(fixture, "per0"), EBUSY);
	assert_int_equal(newif(fixture, "per0"), EEXIST);
	/* Both names are the same rings. */
	assert_int_equal(netmap_open(fixture, &port, "per0"), 0);
	assert_int_equal(netmap_open(fixture, &on_b, "valeA:per0"), 0);
	assert_int_equal(port.bound.reply.binding.ring_ofs[0],
			 on_b.bound.reply.binding.ring_ofs[0]);
	netmap_put(&other, 9, 60);
	assert_true(netmap_txsync(&other));
	assert_int_equal(netmap_get(&port, false), 9);
	netmap_close(&on_b);
	netmap_close(&port);
	netmap_fixture_settle(fixture, 1);
	/* To a second switch, and back in reverse order. */
	assert_int_equal(attach(fixture, "valeB:per0", NULL), 0);
	assert_int_equal(attach(fixture, "valeB:per0", NULL), EBUSY);
	assert_int_equal(newif(fixture, "per0"), EEXIST);
	assert_int_equal(netmap_fixture_counts(fixture).switches, 2);
	assert_int_equal(netmap_open(fixture, &port, "per0"), EBUSY);
	assert_int_equal(netmap_open(fixture, &port, "valeB:per0"), EBUSY);
	assert_int_equal(detach(fixture, "valeA:per0"), EBUSY);
	assert_int_equal(detach(fixture, "valeB:per0"), 0);
	assert_int_equal(netmap_fixture_counts(fixture).switches, 1);
	assert_int_equal(delif(fixture, "per0"), EBUSY);
	assert_int_equal(detach(fixture, "valeA:per0"), 0);
	assert_int_equal(delif(fixture, "per0"), 0);
	netmap_close(&other);
	assert_nothing_left(fixture);
}

/* ---- VALE_LIST ---- */

static int list(struct netmap_fixture *fixture, const char *name, uint16_t bridge, uint32_t port,
		struct netmap_reply *reply)
{
	struct ptnet_local_request request = netmap_request(NETMAP_REQ_VALE_LIST, name);

	request.body.vale_list.nr_bridge_idx = bridge;
	request.body.vale_list.nr_port_idx = port;
	return ask_once(fixture, &request, reply);
}

static void listing(void **state)
{
	static const char *const expected[] = {"valeA:1", "valeA:2", "valeA:per0", "valeB:1"};
	struct netmap_fixture *fixture = *state;
	struct netmap_port ports[3];
	struct netmap_reply reply;
	const struct nmreq_vale_list *found = &reply.reply.body.vale_list;
	uint16_t bridge = 0;
	uint32_t port = 0;

	assert_int_equal(list(fixture, "", 0, 0, &reply), ENOENT);
	assert_int_equal(netmap_open(fixture, &ports[0], "valeA:1"), 0);
	assert_int_equal(netmap_open(fixture, &ports[1], "valeA:2"), 0);
	assert_int_equal(netmap_open(fixture, &ports[2], "valeB:1"), 0);
	assert_int_equal(newif(fixture, "per0"), 0);
	assert_int_equal(attach(fixture, "valeA:per0", NULL), 0);
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		assert_int_equal(list(fixture, "", bridge, port, &reply), 0);
		assert_string_equal(reply.reply.name, expected[i]);
		bridge = found->nr_bridge_idx;
		port = found->nr_port_idx + 1;
	}
	assert_int_equal(list(fixture, "", bridge, port, &reply), ENOENT);
	assert_int_equal(list(fixture, "valeA:2", 0, 0, &reply), 0);
	assert_int_equal(found->nr_bridge_idx, 0);
	assert_int_equal(found->nr_port_idx, 1);
	assert_int_equal(list(fixture, "valeA:per0", 0, 0, &reply), 0);
	assert_int_equal(found->nr_port_idx, 2);
	assert_int_equal(list(fixture, "valeB:", 0, 0, &reply), 0);
	assert_int_equal(found->nr_bridge_idx, 1);
	assert_int_equal(found->nr_port_idx, 255);
	assert_int_equal(list(fixture, "valeC:1", 0, 0, &reply), ENOENT);
	assert_int_equal(list(fixture, "p{1", 0, 0, &reply), EINVAL);
	for (int i = 0; i < 3; i++)
		netmap_close(&ports[i]);
	netmap_fixture_settle(fixture, 0);
	/* valeA was first and still is; the number of a switch is its own. */
	assert_int_equal(list(fixture, "", 0, 0, &reply), 0);
	assert_string_equal(reply.reply.name, "valeA:per0");
	assert_int_equal(detach(fixture, "valeA:per0"), 0);
	assert_int_equal(delif(fixture, "per0"), 0);
	assert_nothing_left(fixture);
}

/* ---- polling and others ---- */

static void polling(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct netmap_port port;

	for (uint16_t reqtype = NETMAP_REQ_VALE_POLLING_ENABLE;
	     reqtype <= NETMAP_REQ_VALE_POLLING_DISABLE; reqtype++) {
		assert_int_equal(simple(fixture, reqtype, "eth0"), EINVAL);
		assert_int_equal(simple(fixture, reqtype, "vale0:a"), ENXIO);
		assert_int_equal(netmap_open(fixture, &port, "vale0:a"), 0);
		assert_int_equal(simple(fixture, reqtype, "vale0:a"), EOPNOTSUPP);
		netmap_close(&port);
		assert_nothing_left(fixture);
	}
}

static void other_requests_are_the_shims(void **state)
{
	struct netmap_fixture *fixture = *state;

	assert_int_equal(simple(fixture, 0, "vale0:a"), EINVAL);
	assert_int_equal(simple(fixture, NETMAP_REQ_SYNC_KLOOP_START, "vale0:a"), EINVAL);
	assert_int_equal(simple(fixture, NETMAP_REQ_CSB_ENABLE, "vale0:a"), EINVAL);
	assert_int_equal(simple(fixture, 77, "vale0:a"), EINVAL);
}

static void monitors_wait(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct netmap_port port, monitor;

	assert_int_equal(netmap_open(fixture, &port, "vale0:a"), 0);
	assert_int_equal(open_port(fixture, &monitor, "vale0:a", NR_REG_ALL_NIC, 0, NR_MONITOR_RX),
			 EOPNOTSUPP);
	netmap_close(&port);
	assert_nothing_left(fixture);
}

int main(void)
{
#define TEST(function)                                                                             \
	cmocka_unit_test_setup_teardown(function, netmap_fixture_open, netmap_fixture_close)
	const struct CMUnitTest tests[] = {
		TEST(a_reply_echoes_and_fills_in),
		TEST(a_port_keeps_its_geometry),
		TEST(register_fails_as_specified),
		TEST(what_depends_on_the_descriptor),
		TEST(exclusive_rings),
		TEST(parts_of_a_port),
		TEST(memory_is_shared_by_id),
		TEST(null_ports),
		TEST(external_memory),
		TEST(too_much_for_a_region),
		TEST(packet_offsets),
		TEST(pipes_of_any_parent),
		TEST(a_pipes_geometry),
		TEST(as_many_pipes_as_specified),
		TEST(port_info),
		TEST(pools_info),
		TEST(port_headers),
		TEST(persistent_ports),
		TEST(attaching),
		TEST(listing),
		TEST(polling),
		TEST(other_requests_are_the_shims),
		TEST(monitors_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
