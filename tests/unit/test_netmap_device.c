/* SPDX-License-Identifier: BSD-2-Clause */
/* /dev/netmap for host programs, spoken to without the shim (spec/netmap-api.md section 5). */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "netmap_client.h"
#include "test_control_fixture.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZERS 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZERS 1
#endif
#endif
#ifndef SANITIZERS
#define SANITIZERS 0
#endif

static void an_ephemeral_port_comes_and_goes(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct netmap_port port;
	struct netmap_counts counts;

	assert_int_equal(netmap_open(fixture, &port, "vale0:a"), 0);
	const struct nmreq_register *reg = &port.bound.reply.body.reg;

	assert_int_equal(reg->nr_memsize, 42369024); /* ports.md section 8.4 */
	assert_int_equal(reg->nr_tx_rings, 1);
	assert_int_equal(reg->nr_rx_rings, 1);
	assert_int_equal(reg->nr_tx_slots, 1024);
	assert_int_equal(reg->nr_rx_slots, 1024);
	assert_int_equal(reg->nr_host_tx_rings, 0);
	assert_int_equal(reg->nr_host_rx_rings, 0);
	assert_true(reg->nr_mem_id > 1);
	assert_string_equal(port.nifp->ni_name, "vale0:a");
	assert_int_equal(port.nifp->ni_flags, NI_PRIV_MEM);
	assert_int_equal(port.nifp->ni_host_tx_rings, 1);
	assert_int_equal(port.nifp->ring_ofs[1], 0);
	assert_int_equal(port.nifp->ring_ofs[3], 0);
	assert_ptr_equal((char *)port.nifp + port.nifp->ring_ofs[0], port.tx);
	assert_ptr_equal((char *)port.nifp + port.nifp->ring_ofs[2], port.rx);
	assert_int_equal(port.tx->tail, 1023);
	netmap_close(&port);
	netmap_fixture_settle(fixture, 0);
	counts = netmap_fixture_counts(fixture);
	assert_int_equal(counts.ports, 0);
	assert_int_equal(counts.regions, 0);
	assert_int_equal(counts.switches, 0);
}

static void packets_go_through_the_switch(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct netmap_port a, b;

	assert_int_equal(netmap_open(fixture, &a, "vale0:a"), 0);
	assert_int_equal(netmap_open(fixture, &b, "vale0:b"), 0);
	for (uint8_t i = 0; i < 100; i++)
		netmap_put(&a, i, 60);
	assert_true(netmap_txsync(&a));
	/* The port has taken them when the sync is over. */
	for (uint8_t i = 0; i < 100; i++)
		assert_int_equal(netmap_get(&b, false), i);
	assert_int_equal(netmap_get(&b, false), -1);
	assert_int_equal(netmap_get(&a, false), -1);
	netmap_close(&a);
	netmap_close(&b);
}

static void extra_buffers_are_a_list(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:a");
	struct netmap_port port;

	for (int round = 0; round < 3; round++) {
		uint32_t count = 0, buffer;

		request.body.reg.nr_extra_bufs = 100000 + 12;
		assert_int_equal(netmap_open_with(fixture, &port, &request), 0);
		assert_int_equal(port.bound.reply.body.reg.nr_extra_bufs, 100012);
		for (buffer = port.nifp->ni_bufs_head; buffer != 0; count++)
			buffer = *(uint32_t *)(void *)netmap_buffer(&port, buffer);
		assert_int_equal(count, 100012);
		/* Another user of the port gets what there is left, which is no error. */
		if (round == 1) {
			struct netmap_port second;

			assert_int_equal(netmap_open_with(fixture, &second, &request), 0);
			assert_true(second.bound.reply.body.reg.nr_extra_bufs < 100012);
			netmap_close(&second);
		}
		if (round == 2)
			port.nifp->ni_bufs_head = 0xdeadbeef;
		netmap_close(&port);
		netmap_fixture_settle(fixture, 0);
		assert_int_equal(netmap_fixture_counts(fixture).ports, 0);
	}
	assert_int_equal(netmap_open(fixture, &port, "vale0:a"), 0);
	assert_int_equal(port.nifp->ni_bufs_head, 0);
	netmap_close(&port);
}

/* ---- sharing ---- */

static void two_programs_on_one_port(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct netmap_port first, second, other;

	assert_int_equal(netmap_open(fixture, &first, "vale0:a"), 0);
	assert_int_equal(netmap_open(fixture, &second, "vale0:a"), 0);
	assert_int_equal(netmap_open(fixture, &other, "vale0:b"), 0);
	netmap_put(&other, 1, 60);
	netmap_put(&other, 2, 60);
	assert_true(netmap_txsync(&other));
	/* They share rings and positions. */
	assert_int_equal(netmap_get(&first, false), 1);
	assert_int_equal(netmap_get(&second, false), 2);
	netmap_close(&first);
	netmap_fixture_settle(fixture, 2);
	netmap_put(&other, 3, 60);
	assert_true(netmap_txsync(&other));
	assert_int_equal(netmap_get(&second, false), 3);
	netmap_close(&second);
	netmap_close(&other);
}

/* Another process with the same descriptor; here, the same one again. */
static void a_descriptor_that_was_passed_on(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request join = {.version = PTNET_LOCAL_VERSION, .op = PTNET_LOCAL_JOIN};
	struct netmap_port port, passed, other;

	assert_int_equal(netmap_open(fixture, &port, "vale0:a"), 0);
	assert_int_equal(netmap_open(fixture, &other, "vale0:b"), 0);
	passed.fd = dup(port.fd);
	netmap_ask(passed.fd, &join, &passed.bound);
	assert_int_equal(passed.bound.reply.error, 0);
	netmap_map(&passed);
	netmap_close(&port);
	netmap_put(&other, 5, 60);
	assert_true(netmap_txsync(&other));
	assert_int_equal(netmap_get(&passed, false), 5);
	netmap_close(&passed);
	netmap_fixture_settle(fixture, 1);
	assert_int_equal(netmap_fixture_counts(fixture).ports, 1);
	netmap_close(&other);
}

/* Section 3.3 of ports.md: what is queued in a pipe waits for whoever opens the end again. */
static void a_pipe_keeps_its_queue(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct netmap_port master, slave;

	assert_int_equal(netmap_open(fixture, &master, "p{1"), 0);
	assert_int_equal(netmap_open(fixture, &slave, "p}1"), 0);
	for (uint8_t i = 0; i < 10; i++)
		netmap_put(&master, i, 60);
	assert_true(netmap_txsync(&master));
	for (uint8_t i = 0; i < 7; i++)
		assert_int_equal(netmap_get(&slave, true), i);
	netmap_close(&slave);
	netmap_fixture_settle(fixture, 1);
	assert_int_equal(netmap_open(fixture, &slave, "p}1"), 0);
	for (uint8_t i = 7; i < 10; i++)
		assert_int_equal(netmap_get(&slave, true), i);
	assert_int_equal(netmap_get(&slave, false), -1);
	netmap_close(&master);
	netmap_close(&slave);
	netmap_fixture_settle(fixture, 0);
	assert_int_equal(netmap_open(fixture, &slave, "p}1"), 0);
	assert_int_equal(slave.rx->tail, 0);
	assert_int_equal(netmap_get(&slave, false), -1);
	netmap_close(&slave);
}

/* ---- programs and VMs ---- */

static void add_port(struct netmap_fixture *fixture, const char *name)
{
	char request[128];

	snprintf(request, sizeof(request),
		 "{\"command\": \"port-add\", \"arguments\": {\"name\": \"%s\"}}", name);
	netmap_fixture_control(fixture, request);
}

static int connect_vm(struct netmap_fixture *fixture, const char *socket_name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", fixture->directory,
		 socket_name);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Is the VM's connection refused, that is, ended? */
static bool refused(int fd)
{
	struct pollfd poll_fd = {.fd = fd, .events = POLLIN};

	return poll(&poll_fd, 1, 0) > 0 && (poll_fd.revents & POLLHUP) != 0;
}

static void a_port_is_a_vms_or_programs(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct netmap_port port, other;
	int vm;

	add_port(fixture, "vale0:vm");
	assert_int_equal(netmap_open(fixture, &port, "vale0:vm"), 0);
	vm = connect_vm(fixture, "vale0-vm.sock");
	while (!refused(vm))
		;
	close(vm);
	assert_int_equal(netmap_open(fixture, &other, "vale0:other"), 0);
	netmap_put(&other, 1, 60);
	assert_true(netmap_txsync(&other));
	assert_int_equal(netmap_get(&port, false), 1);
	netmap_close(&port);
	netmap_fixture_settle(fixture, 1);
	/* It stays, for whoever comes next. */
	vm = connect_vm(fixture, "vale0-vm.sock");
	/* The next request is served after the VM was accepted: both by the control thread. */
	netmap_fixture_counts(fixture);
	while (netmap_open(fixture, &port, "vale0:vm") == 0) {
		netmap_close(&port);
		netmap_fixture_settle(fixture, 1);
		close(vm);
		vm = connect_vm(fixture, "vale0-vm.sock");
	}
	assert_false(refused(vm));
	close(vm);
	netmap_close(&other);
}

static void owner_call(struct netmap_fixture *fixture, void *argument)
{
	*(enum port_owner *)argument =
		port_owner(inventory_port_find(&fixture->inventory, "vale0:vm")->port);
}

static int connected_vm(struct netmap_fixture *fixture)
{
	int vm = connect_vm(fixture, "vale0-vm.sock");
	enum port_owner owner;

	do
		netmap_fixture_call(fixture, owner_call, &owner);
	while (owner != PORT_OWNER_VM);
	return vm;
}

/* A worker may not have come to the end of the VM's connection yet. */
static void what_a_vm_gave_back_is_there_for_the_next_request(void **state)
{
	struct netmap_fixture *fixture = *state;

	for (int i = 0; i < 100; i++) {
		struct netmap_port port;
		int vm;

		add_port(fixture, "vale0:vm");
		vm = connected_vm(fixture);
		assert_int_equal(netmap_open(fixture, &port, "vale0:vm"), EBUSY);
		close(vm);
		assert_int_equal(netmap_open(fixture, &port, "vale0:vm"), 0);
		netmap_close(&port);
		netmap_fixture_settle(fixture, 0);
		close(connected_vm(fixture));
		netmap_fixture_control(fixture, "{\"command\": \"port-del\", \"arguments\": "
						"{\"name\": \"vale0:vm\"}}");
	}
}

static void connections_call(struct netmap_fixture *fixture, void *argument)
{
	*(uint32_t *)argument =
		memdev_connections(inventory_region_find(&fixture->inventory, "pool")->listener);
}

static void a_region_that_no_vm_maps_any_more_can_be_deleted(void **state)
{
	struct netmap_fixture *fixture = *state;

	for (int i = 0; i < 100; i++) {
		uint32_t connections;
		int vm;

		netmap_fixture_control(fixture, "{\"command\": \"region-add\", \"arguments\": "
						"{\"name\": \"pool\", \"buf_num\": 1024}}");
		vm = connect_vm(fixture, "mem-pool.sock");
		do
			netmap_fixture_call(fixture, connections_call, &connections);
		while (connections == 0);
		close(vm);
		netmap_fixture_control(fixture, "{\"command\": \"region-del\", \"arguments\": "
						"{\"name\": \"pool\"}}");
	}
}

/* ---- administration ---- */

static json_t *shown_port(struct netmap_fixture *fixture, const char *name)
{
	char request[128];
	json_t *answer, *result;

	snprintf(request, sizeof(request),
		 "{\"command\": \"port-show\", \"arguments\": {\"name\": \"%s\"}}", name);
	answer = netmap_fixture_ask(fixture, request);
	result = json_incref(json_object_get(answer, "result"));
	json_decref(answer);
	return result;
}

static const char *text_of(json_t *object, const char *key)
{
	return json_string_value(json_object_get(object, key));
}

static void programs_are_shown(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:a");
	struct netmap_port port, pipe;
	json_t *shown, *process, *answer;

	request.body.reg.nr_mode = NR_REG_ONE_NIC;
	request.body.reg.nr_ringid = 1;
	request.body.reg.nr_tx_rings = request.body.reg.nr_rx_rings = 2;
	request.body.reg.nr_flags = NR_EXCLUSIVE | NR_TX_RINGS_ONLY;
	request.body.reg.nr_extra_bufs = 3;
	assert_int_equal(netmap_open_with(fixture, &port, &request), 0);
	assert_int_equal(netmap_open(fixture, &pipe, "p{1"), 0);
	shown = shown_port(fixture, "vale0:a");
	assert_string_equal(text_of(shown, "lifetime"), "ephemeral");
	assert_true(json_is_null(json_object_get(shown, "socket")));
	assert_true(json_is_null(json_object_get(shown, "attachment")));
	assert_string_equal(text_of(json_object_get(shown, "programs"), "mode"), "0600");
	assert_int_equal(json_array_size(json_object_get(shown, "processes")), 1);
	process = json_array_get(json_object_get(shown, "processes"), 0);
	assert_int_equal(json_integer_value(json_object_get(process, "pid")), getpid());
	assert_int_equal(json_integer_value(json_object_get(process, "uid")), geteuid());
	assert_true(json_is_true(json_object_get(process, "exclusive")));
	assert_int_equal(json_array_size(json_object_get(process, "tx_rings")), 1);
	assert_int_equal(
		json_integer_value(json_array_get(json_object_get(process, "tx_rings"), 0)), 1);
	assert_int_equal(json_array_size(json_object_get(process, "rx_rings")), 0);
	assert_int_equal(json_integer_value(json_object_get(process, "extra_buffers")), 3);
	json_decref(shown);
	shown = shown_port(fixture, "p");
	assert_string_equal(text_of(shown, "lifetime"), "implicit");
	json_decref(shown);
	shown = shown_port(fixture, "p}1");
	assert_string_equal(text_of(shown, "peer"), "p{1");
	assert_int_equal(json_array_size(json_object_get(shown, "processes")), 0);
	json_decref(shown);
	answer = netmap_fixture_ask(fixture, "{\"command\": \"show\"}");
	shown = json_object_get(json_object_get(answer, "result"), "netmap");
	assert_int_equal(json_integer_value(json_object_get(shown, "connected")), 2);
	assert_string_equal(text_of(shown, "socket"), fixture->device.config.path);
	json_decref(answer);
	answer = netmap_fixture_ask(fixture, "{\"command\": \"attachments\"}");
	assert_int_equal(json_array_size(json_object_get(answer, "result")), 0);
	json_decref(answer);
	netmap_close(&port);
	netmap_close(&pipe);
}

static void refuse_control(struct netmap_fixture *fixture, const char *request, const char *code)
{
	json_t *answer = netmap_fixture_ask(fixture, request);

	assert_non_null(json_object_get(answer, "error"));
	assert_string_equal(text_of(json_object_get(answer, "error"), "code"), code);
	json_decref(answer);
}

/* A persistent port that is also on another switch keeps that, too, though it has no port. */
static void a_second_switch_stays(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_request(NETMAP_REQ_VALE_NEWIF, "per0");
	int fd = netmap_connect(fixture);

	netmap_fixture_control(fixture, "{\"command\": \"switch-add\", \"arguments\": "
					"{\"name\": \"valeB\"}}");
	assert_int_equal(netmap_errno(fd, &request), 0);
	request = netmap_request(NETMAP_REQ_VALE_ATTACH, "valeA:per0");
	assert_int_equal(netmap_errno(fd, &request), 0);
	request = netmap_request(NETMAP_REQ_VALE_ATTACH, "valeB:per0");
	assert_int_equal(netmap_errno(fd, &request), 0);
	refuse_control(fixture,
		       "{\"command\": \"switch-del\", \"arguments\": {\"name\": \"valeB\"}}",
		       "EBUSY");
	netmap_fixture_control(fixture, "{\"command\": \"port-del\", \"arguments\": "
					"{\"name\": \"per0\"}}");
	netmap_fixture_control(fixture, "{\"command\": \"switch-del\", \"arguments\": "
					"{\"name\": \"valeB\"}}");
	assert_int_equal(netmap_fixture_counts(fixture).switches, 0);
	close(fd);
}

/* Programs' pipes leave VMs' ports the CSB pages of the region. */
static void csb_pages_are_for_vms(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct netmap_port pipe;
	json_t *shown;

	netmap_fixture_control(fixture, "{\"command\": \"port-add\", \"arguments\": "
					"{\"name\": \"vale0:web\", \"pipes\": 1}}");
	assert_int_equal(netmap_open(fixture, &pipe, "vale0:web{1"), 0);
	netmap_fixture_control(fixture, "{\"command\": \"pipe-add\", \"arguments\": "
					"{\"name\": \"vale0:web{2\"}}");
	shown = shown_port(fixture, "vale0:web{2");
	assert_true(json_is_true(json_object_get(shown, "region_csb")));
	json_decref(shown);
	netmap_close(&pipe);
}

static void a_port_that_is_deleted_under_a_program(void **state)
{
	static const char *const names[] = {"vale0:made", "vale0:configured", "per0"};
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_request(NETMAP_REQ_VALE_NEWIF, "per0");
	struct ptnet_local_request join = {.version = PTNET_LOCAL_VERSION, .op = PTNET_LOCAL_JOIN};
	struct netmap_port port;
	char command[128];

	add_port(fixture, "vale0:configured");
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int fd = netmap_connect(fixture);

		if (i == 2)
			assert_int_equal(netmap_errno(fd, &request), 0);
		close(fd);
		assert_int_equal(netmap_open(fixture, &port, names[i]), 0);
		netmap_put(&port, 1, 60);
		assert_true(netmap_txsync(&port));
		snprintf(command, sizeof(command),
			 "{\"command\": \"port-del\", \"arguments\": {\"name\": \"%s\"}}",
			 names[i]);
		refuse_control(fixture, command, "EBUSY");
		snprintf(command, sizeof(command),
			 "{\"command\": \"port-del\", \"arguments\": {\"name\": \"%s\", "
			 "\"force\": true}}",
			 names[i]);
		netmap_fixture_control(fixture, command);
		/* Syncs fail with EIO from now on, and the memory is still there. */
		assert_int_equal(port.csb->ktoa[0].ring_fault, PTNET_FAULT_GONE);
		netmap_put(&port, 2, 60);
		assert_false(netmap_txsync(&port));
		assert_false(netmap_rxsync(&port));
		assert_int_equal(netmap_errno(port.fd, &join), ENXIO);
		request = netmap_register_request("vale0:other");
		assert_int_equal(netmap_errno(port.fd, &request), EBUSY);
		request = netmap_request(NETMAP_REQ_VALE_NEWIF, "per0");
		netmap_close(&port);
		netmap_fixture_settle(fixture, 0);
	}
	assert_int_equal(netmap_fixture_counts(fixture).ports, 0);
	assert_int_equal(netmap_fixture_counts(fixture).regions, 0);
}

static void a_pipe_that_is_deleted_under_a_program(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct netmap_port master, nested;

	assert_int_equal(netmap_open(fixture, &master, "p{1"), 0);
	assert_int_equal(netmap_open(fixture, &nested, "p}1{x"), 0);
	refuse_control(fixture,
		       "{\"command\": \"pipe-del\", \"arguments\": {\"name\": \"p{1\", "
		       "\"force\": true}}",
		       "EBUSY");
	refuse_control(fixture,
		       "{\"command\": \"port-del\", \"arguments\": {\"name\": \"p\", "
		       "\"force\": true}}",
		       "EBUSY");
	netmap_fixture_control(fixture, "{\"command\": \"pipe-del\", \"arguments\": {\"name\": "
					"\"p}1{x\", \"force\": true}}");
	netmap_fixture_control(fixture, "{\"command\": \"pipe-del\", \"arguments\": {\"name\": "
					"\"p{1\", \"force\": true}}");
	assert_int_equal(netmap_fixture_counts(fixture).ports, 0);
	netmap_put(&master, 1, 60);
	assert_false(netmap_txsync(&master));
	netmap_close(&nested);
	netmap_close(&master);
}

/* In a region that others use, what a program had must come back to it all the same. */
static void memory_of_a_deleted_port_comes_back(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("vale0:pooled");
	struct netmap_port port;
	json_t *answer;

	netmap_fixture_control(fixture, "{\"command\": \"region-add\", \"arguments\": {\"name\": "
					"\"pool\", \"buf_num\": 5000, \"if_num\": 4}}");
	request.body.reg.nr_extra_bufs = 1000;
	for (int round = 0; round < 10; round++) {
		netmap_fixture_control(fixture,
				       "{\"command\": \"port-add\", \"arguments\": {\"name\": "
				       "\"vale0:pooled\", \"region\": \"pool\"}}");
		assert_int_equal(netmap_open_with(fixture, &port, &request), 0);
		assert_int_equal(port.bound.reply.body.reg.nr_extra_bufs, 1000);
		if (round % 2 == 0) {
			netmap_fixture_control(fixture,
					       "{\"command\": \"port-del\", \"arguments\": "
					       "{\"name\": \"vale0:pooled\", \"force\": true}}");
			netmap_close(&port);
			netmap_fixture_settle(fixture, 0);
		} else {
			netmap_close(&port);
			netmap_fixture_settle(fixture, 0);
			netmap_fixture_control(fixture,
					       "{\"command\": \"port-del\", \"arguments\": "
					       "{\"name\": \"vale0:pooled\"}}");
		}
		answer = netmap_fixture_ask(fixture, "{\"command\": \"region-list\"}");
		assert_int_equal(
			json_integer_value(json_object_get(
				json_array_get(json_object_get(answer, "result"), 0), "bufs_free")),
			5000 - REGION_FIRST_BUF);
		json_decref(answer);
	}
}

static void what_programs_made_is_not_for_vms(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct netmap_port port, pipe;

	assert_int_equal(netmap_open(fixture, &port, "vale0:a"), 0);
	assert_int_equal(netmap_open(fixture, &pipe, "p{1"), 0);
	refuse_control(fixture,
		       "{\"command\": \"port-add\", \"arguments\": {\"name\": \"vale0:a\"}}",
		       "EEXIST");
	refuse_control(fixture,
		       "{\"command\": \"pipe-add\", \"arguments\": {\"name\": \"vale0:a{1\"}}",
		       "EINVAL");
	refuse_control(fixture, "{\"command\": \"pipe-add\", \"arguments\": {\"name\": \"p{2\"}}",
		       "EINVAL");
	/* On the switch that a program made it may be. */
	add_port(fixture, "vale0:b");
	netmap_close(&port);
	netmap_close(&pipe);
	netmap_fixture_settle(fixture, 0);
	assert_int_equal(netmap_fixture_counts(fixture).ports, 1);
	assert_int_equal(netmap_fixture_counts(fixture).switches, 1);
}

/* ---- programs that die, and a thousand that come and go ---- */

static void open_and_die(struct netmap_fixture *fixture, unsigned when)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		struct ptnet_local_request request =
			netmap_register_request(when % 2 ? "p{1" : "vale0:a");
		int fd = netmap_connect(fixture), ends[2];
		struct netmap_reply reply;

		request.body.reg.nr_extra_bufs = 10;
		if (when >= 2)
			socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends);
		if (when >= 4)
			netmap_send(fd, &request, sizeof(request), &ends[1], 1);
		if (when >= 6)
			netmap_receive(ends[0], &reply);
		raise(SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

static void programs_die_at_any_time(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct netmap_port port;
	unsigned before;

	netmap_fixture_settle(fixture, 0);
	before = control_count_fds();
	for (unsigned i = 0; i < 80; i++)
		open_and_die(fixture, i % 8);
	netmap_fixture_settle(fixture, 0);
	assert_int_equal(netmap_fixture_counts(fixture).ports, 0);
	assert_int_equal(control_count_fds(), before);
	assert_int_equal(netmap_open(fixture, &port, "vale0:a"), 0);
	netmap_put(&port, 1, 60);
	assert_true(netmap_txsync(&port));
	netmap_close(&port);
}

/* In the middle of a sync, with a half filled ring: the next one finds the port whole. */
static void a_port_is_whole_for_the_next(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct netmap_port port, other;

	add_port(fixture, "vale0:a");
	assert_int_equal(netmap_open(fixture, &other, "vale0:b"), 0);
	for (int round = 0; round < 20; round++) {
		assert_int_equal(netmap_open(fixture, &port, "vale0:a"), 0);
		assert_int_equal(port.tx->head, 0);
		assert_int_equal(port.tx->tail, 1023);
		assert_int_equal(port.csb->atok[0].sync_lock, 0);
		assert_int_equal(port.csb->atok[0].appl_need_kick, 0);
		netmap_put(&port, (uint8_t)round, 60);
		assert_true(netmap_txsync(&port));
		assert_int_equal(netmap_get(&other, false), round);
		netmap_put(&port, 99, 60);
		netmap_put(&port, 99, 60);
		port.csb->atok[0].sync_lock = 4711;
		port.csb->atok[0].appl_need_kick = 3;
		port.csb->atok[1].cur = 99999; /* nonsense */
		port.tx->slot[500].buf_idx = 0;
		port.tx->slot[501].buf_idx = 77777777;
		port.rx->slot[3].buf_idx = port.rx->slot[4].buf_idx;
		netmap_close(&port);
		netmap_fixture_settle(fixture, 1);
	}
	netmap_close(&other);
}

static long resident_kib(void)
{
	long total = 0, resident = 0;
	FILE *file = fopen("/proc/self/statm", "r");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%ld %ld", &total, &resident), 2);
	fclose(file);
	return resident * 4;
}

static void nothing_grows(void **state)
{
	static const char *const names[] = {"vale0:a", "vale1:b", "p{1", "p}1", "vale0:a{1"};
	struct netmap_fixture *fixture = *state;
	long memory = 0;
	unsigned before = 0;

	for (int i = 0; i < 3000; i++) {
		struct netmap_port port;

		if (i == 500) {
			netmap_fixture_settle(fixture, 0);
			before = control_count_fds();
			memory = resident_kib();
		}
		assert_int_equal(netmap_open(fixture, &port, names[i % 5]), 0);
		netmap_close(&port);
		if (i % 100 == 0)
			netmap_fixture_settle(fixture, 0);
	}
	netmap_fixture_settle(fixture, 0);
	assert_int_equal(control_count_fds(), before);
	/* Sanitizers keep what was freed. */
	if (!SANITIZERS)
		assert_in_range(resident_kib(), 0, memory + 4096);
}

/* Also if the one who asks had asked before, so that his descriptor's event may be older. */
static void what_was_closed_is_closed_for_the_next_request(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request header = netmap_request(NETMAP_REQ_PORT_HDR_GET, "vale0:a");

	for (int i = 0; i < 100; i++) {
		struct netmap_port port;
		int asking = netmap_connect(fixture);

		assert_true(asking >= 0);
		assert_int_equal(netmap_errno(asking, &header), ENXIO);
		assert_int_equal(netmap_open(fixture, &port, "vale0:a"), 0);
		assert_int_equal(netmap_errno(asking, &header), 0);
		netmap_close(&port);
		assert_int_equal(netmap_errno(asking, &header), ENXIO);
		close(asking);
	}
}

int main(void)
{
#define TEST(function)                                                                             \
	cmocka_unit_test_setup_teardown(function, netmap_fixture_open, netmap_fixture_close)
	const struct CMUnitTest tests[] = {
		TEST(an_ephemeral_port_comes_and_goes),
		TEST(packets_go_through_the_switch),
		TEST(extra_buffers_are_a_list),
		TEST(two_programs_on_one_port),
		TEST(a_descriptor_that_was_passed_on),
		TEST(a_pipe_keeps_its_queue),
		TEST(a_port_is_a_vms_or_programs),
		TEST(what_a_vm_gave_back_is_there_for_the_next_request),
		TEST(a_region_that_no_vm_maps_any_more_can_be_deleted),
		TEST(programs_are_shown),
		TEST(a_second_switch_stays),
		TEST(csb_pages_are_for_vms),
		TEST(a_port_that_is_deleted_under_a_program),
		TEST(a_pipe_that_is_deleted_under_a_program),
		TEST(memory_of_a_deleted_port_comes_back),
		TEST(what_programs_made_is_not_for_vms),
		TEST(programs_die_at_any_time),
		TEST(a_port_is_whole_for_the_next),
		TEST(nothing_grows),
		TEST(what_was_closed_is_closed_for_the_next_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
