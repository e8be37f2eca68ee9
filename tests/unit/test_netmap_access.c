/* SPDX-License-Identifier: BSD-2-Clause */
/* Who may open, make, attach and delete what. Users are played by root; without it, skipped. */
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

enum { ALICE = 40001, BOB = 40002, PROGRAMS = 40010, OTHERS = 40011 };

/* Two users; Alice is in the group that may connect by her primary group, Bob by another. */
static const gid_t bobs_groups[] = {OTHERS, PROGRAMS};

static int connect_alice(const struct netmap_fixture *fixture)
{
	return netmap_connect_as(fixture, ALICE, PROGRAMS, NULL, 0);
}

static int connect_bob(const struct netmap_fixture *fixture)
{
	return netmap_connect_as(fixture, BOB, BOB, bobs_groups, 2);
}

static int open_fixture(void **state, mode_t made_mode, bool global_region)
{
	const struct netmap_config config = {
		.access = {.uid = 0, .gid = PROGRAMS, .mode = 0660},
		.made_mode = made_mode,
		.global_region = global_region,
	};

	return netmap_fixture_open_with(state, &config);
}

static int setup(void **state)
{
	return open_fixture(state, 0600, false);
}

static int setup_group(void **state)
{
	return open_fixture(state, 0660, false);
}

static int setup_nobody(void **state)
{
	return open_fixture(state, 0, false);
}

static int setup_global(void **state)
{
	return open_fixture(state, 0600, true);
}

/* REGISTER on @fd, which stays bound if it succeeds. */
static int bind_as(int fd, const char *name)
{
	struct ptnet_local_request request = netmap_register_request(name);

	return netmap_errno(fd, &request);
}

/* The same on a descriptor of its own, which is closed again. */
static int try_as(int fd, const char *name)
{
	int error = bind_as(fd, name);

	close(fd);
	return error;
}

static int simple_as(int fd, uint16_t reqtype, const char *name)
{
	struct ptnet_local_request request = netmap_request(reqtype, name);
	int error = netmap_errno(fd, &request);

	close(fd);
	return error;
}

static void the_socket_lets_owner_and_group_in(void **state)
{
	struct netmap_fixture *fixture = *state;
	int fd;

	assert_int_equal(netmap_connect_as(fixture, BOB, BOB, NULL, 0), -1);
	assert_int_equal(errno, EACCES);
	fd = connect_alice(fixture);
	assert_true(fd >= 0);
	close(fd);
	fd = connect_bob(fixture);
	assert_true(fd >= 0);
	close(fd);
}

static void what_one_made_is_his(void **state)
{
	static const char *const names[] = {"vale0:a", "p{1", "p}1", "per0", "vale1:a{1"};
	struct netmap_fixture *fixture = *state;

	assert_int_equal(simple_as(connect_alice(fixture), NETMAP_REQ_VALE_NEWIF, "per0"), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int alice = connect_alice(fixture);

		assert_int_equal(bind_as(alice, names[i]), 0);
		assert_int_equal(try_as(connect_bob(fixture), names[i]), EACCES);
		assert_int_equal(
			simple_as(connect_bob(fixture), NETMAP_REQ_PORT_INFO_GET, names[i]),
			EACCES);
		assert_int_equal(simple_as(connect_bob(fixture), NETMAP_REQ_PORT_HDR_GET, names[i]),
				 EACCES);
		assert_int_equal(try_as(connect_alice(fixture), names[i]), 0);
		assert_int_equal(try_as(netmap_connect(fixture), names[i]), 0); /* root */
		close(alice);
		netmap_fixture_settle(fixture, 0);
	}
	/* Neither may he make pipes of it, or ports on the switch that came with it. */
	int alice = connect_alice(fixture);

	assert_int_equal(bind_as(alice, "vale0:a"), 0);
	assert_int_equal(try_as(connect_bob(fixture), "vale0:a{1"), EACCES);
	assert_int_equal(try_as(connect_bob(fixture), "per0{1"), EACCES);
	assert_int_equal(try_as(connect_bob(fixture), "vale0:b"), EACCES);
	assert_int_equal(try_as(connect_bob(fixture), "vale1:b"), 0);
	close(alice);
}

static void only_owners_take_away(void **state)
{
	struct netmap_fixture *fixture = *state;

	assert_int_equal(simple_as(connect_alice(fixture), NETMAP_REQ_VALE_NEWIF, "per0"), 0);
	assert_int_equal(simple_as(connect_bob(fixture), NETMAP_REQ_VALE_ATTACH, "vale0:per0"),
			 EACCES);
	assert_int_equal(simple_as(connect_alice(fixture), NETMAP_REQ_VALE_ATTACH, "vale0:per0"),
			 0);
	assert_int_equal(simple_as(connect_bob(fixture), NETMAP_REQ_VALE_DETACH, "vale0:per0"),
			 EPERM);
	assert_int_equal(simple_as(connect_bob(fixture), NETMAP_REQ_PORT_HDR_SET, "vale0:per0"),
			 EACCES);
	assert_int_equal(simple_as(connect_alice(fixture), NETMAP_REQ_VALE_DETACH, "vale0:per0"),
			 0);
	assert_int_equal(simple_as(connect_bob(fixture), NETMAP_REQ_VALE_DELIF, "per0"), EPERM);
	assert_int_equal(simple_as(connect_alice(fixture), NETMAP_REQ_VALE_DELIF, "per0"), 0);
	/* Root may. */
	assert_int_equal(simple_as(connect_alice(fixture), NETMAP_REQ_VALE_NEWIF, "per0"), 0);
	assert_int_equal(simple_as(netmap_connect(fixture), NETMAP_REQ_VALE_DELIF, "per0"), 0);
}

static void made_for_the_group(void **state)
{
	struct netmap_fixture *fixture = *state;
	int alice = connect_alice(fixture);

	assert_int_equal(bind_as(alice, "p{1"), 0);
	assert_int_equal(try_as(connect_bob(fixture), "p}1"), 0);
	assert_int_equal(try_as(connect_bob(fixture), "p{2"), 0);
	close(alice);
	alice = connect_alice(fixture);
	assert_int_equal(bind_as(alice, "vale0:a"), 0);
	assert_int_equal(try_as(connect_bob(fixture), "vale0:b"), 0);
	/* What is Alice's alone to delete stays so. */
	assert_int_equal(simple_as(connect_alice(fixture), NETMAP_REQ_VALE_NEWIF, "per0"), 0);
	assert_int_equal(simple_as(connect_bob(fixture), NETMAP_REQ_VALE_DELIF, "per0"), EPERM);
	close(alice);
}

/* As open() with O_CREAT has it. */
static void who_makes_it_may_open_it(void **state)
{
	static const char *const names[] = {"vale0:a", "p{1", "p}1", "vale1:a{1"};
	struct netmap_fixture *fixture = *state;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int alice = connect_alice(fixture);

		assert_int_equal(bind_as(alice, names[i]), 0);
		assert_int_equal(try_as(connect_alice(fixture), names[i]), EACCES);
		close(alice);
		netmap_fixture_settle(fixture, 0);
		assert_int_equal(netmap_fixture_counts(fixture).ports, 0);
	}
}

static void configured_ports(void **state)
{
	struct netmap_fixture *fixture = *state;
	int bob;

	netmap_fixture_control(fixture, "{\"command\": \"port-add\", \"arguments\": "
					"{\"name\": \"vale0:all\"}}");
	netmap_fixture_control(fixture,
			       "{\"command\": \"port-add\", \"arguments\": {\"name\": "
			       "\"vale0:bob\", \"program_user\": \"40002\", \"program_mode\": "
			       "\"0600\"}}");
	netmap_fixture_control(fixture, "{\"command\": \"pipe-add\", \"arguments\": {\"name\": "
					"\"link{1\", \"program_group\": \"40011\"}}");
	netmap_fixture_control(fixture, "{\"command\": \"switch-add\", \"arguments\": {\"name\": "
					"\"vale7\", \"program_mode\": \"0600\"}}");
	assert_int_equal(try_as(connect_alice(fixture), "vale0:all"), 0);
	assert_int_equal(try_as(connect_bob(fixture), "vale0:all"), 0);
	assert_int_equal(try_as(connect_alice(fixture), "vale0:bob"), EACCES);
	assert_int_equal(try_as(connect_bob(fixture), "vale0:bob"), 0);
	assert_int_equal(try_as(connect_alice(fixture), "link}1"), EACCES);
	assert_int_equal(try_as(connect_bob(fixture), "link}1"), 0);
	/* A pipe of the same word lies in the same region. */
	assert_int_equal(try_as(connect_alice(fixture), "link{2"), EACCES);
	bob = connect_bob(fixture);
	assert_int_equal(bind_as(bob, "link{2"), 0);
	assert_int_equal(netmap_fixture_counts(fixture).regions, 3);
	assert_int_equal(try_as(connect_alice(fixture), "link{2"), EACCES);
	close(bob);
	/* Switches: one that came with its first port lets all in, vale7 does not. */
	assert_int_equal(try_as(connect_alice(fixture), "vale0:new"), 0);
	assert_int_equal(try_as(connect_alice(fixture), "vale7:new"), EACCES);
	assert_int_equal(try_as(netmap_connect(fixture), "vale7:new"), 0);
	/* Owners are owners: nobody but root deletes or detaches a configured port. */
	assert_int_equal(simple_as(netmap_connect(fixture), NETMAP_REQ_VALE_DETACH, "vale0:all"),
			 EBUSY);
}

static int register_in(int fd, const char *name, uint16_t id)
{
	struct ptnet_local_request request = netmap_register_request(name);
	int error;

	request.body.reg.nr_mem_id = id;
	error = netmap_errno(fd, &request);
	close(fd);
	return error;
}

static uint16_t id_of(int fd, const char *name)
{
	struct ptnet_local_request request = netmap_request(NETMAP_REQ_PORT_INFO_GET, name);
	struct netmap_reply reply;

	netmap_ask(fd, &request, &reply);
	assert_int_equal(reply.reply.error, 0);
	close(fd);
	return reply.reply.body.port_info.nr_mem_id;
}

static void memory_of_others(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request;
	int alice = connect_alice(fixture), bob;
	uint16_t id;

	assert_int_equal(bind_as(alice, "vale0:a"), 0);
	id = id_of(connect_alice(fixture), "vale0:a");
	assert_int_equal(register_in(connect_bob(fixture), "vale1:b", id), EACCES);
	assert_int_equal(register_in(connect_alice(fixture), "vale1:a", id), 0);
	assert_int_equal(register_in(netmap_connect(fixture), "vale1:r", id), 0);
	request = netmap_request(NETMAP_REQ_PORT_INFO_GET, "");
	request.body.port_info.nr_mem_id = id;
	bob = connect_bob(fixture);
	assert_int_equal(netmap_errno(bob, &request), EACCES);
	request = netmap_request(NETMAP_REQ_VALE_NEWIF, "per0");
	request.body.vale_newif.nr_mem_id = id;
	assert_int_equal(netmap_errno(bob, &request), EACCES);
	close(bob);
	close(alice);
	/* The global region is root's, unless the configuration says otherwise. */
	assert_int_equal(register_in(connect_alice(fixture), "vale1:a", 1), EACCES);
	assert_int_equal(register_in(netmap_connect(fixture), "vale1:a", 1), 0);
	netmap_fixture_settle(fixture, 0);
	assert_int_equal(netmap_fixture_counts(fixture).regions, 0);
}

static void the_global_region_for_all(void **state)
{
	struct netmap_fixture *fixture = *state;

	assert_int_equal(register_in(connect_alice(fixture), "vale1:a", 1), 0);
	assert_int_equal(register_in(connect_bob(fixture), "vale2:b", 1), 0);
}

static void one_user_makes_only_so_many(void **state)
{
	struct netmap_fixture *fixture = *state;
	int alice = connect_alice(fixture), root = netmap_connect(fixture);
	struct ptnet_local_request request = netmap_request(NETMAP_REQ_VALE_NEWIF, "");

	for (int i = 0; i < NETMAP_MAX_MADE; i++) {
		snprintf(request.name, sizeof(request.name), "per%d", i);
		/* One ring of two slots in little memory: the test makes a thousand. */
		request.body.vale_newif.nr_tx_slots = request.body.vale_newif.nr_rx_slots = 2;
		assert_int_equal(netmap_errno(alice, &request), 0);
	}
	strcpy(request.name, "onemore");
	assert_int_equal(netmap_errno(alice, &request), ENOMEM);
	assert_int_equal(try_as(connect_alice(fixture), "vale0:a"), ENOMEM);
	assert_int_equal(try_as(connect_bob(fixture), "vale0:a"), 0);
	assert_int_equal(netmap_errno(root, &request), 0);
	close(alice);
	close(root);
}

/* Else one would leave none to the others. */
static void one_user_makes_only_so_many_switches(void **state)
{
	struct netmap_fixture *fixture = *state;
	int alice[NETMAP_MAX_USER_SWITCHES];
	char name[32];

	for (int i = 0; i < NETMAP_MAX_USER_SWITCHES; i++) {
		alice[i] = connect_alice(fixture);
		snprintf(name, sizeof(name), "vale%d:a", i);
		assert_int_equal(bind_as(alice[i], name), 0);
	}
	assert_int_equal(try_as(connect_alice(fixture), "valemore:a"), ENOMEM);
	assert_int_equal(try_as(connect_alice(fixture), "vale0:b"), 0);
	assert_int_equal(try_as(connect_bob(fixture), "valemore:b"), 0);
	assert_int_equal(try_as(netmap_connect(fixture), "valemore:r"), 0);
	close(alice[0]);
	netmap_fixture_settle(fixture, NETMAP_MAX_USER_SWITCHES - 1);
	assert_int_equal(try_as(connect_alice(fixture), "valemore:a"), 0);
	for (int i = 1; i < NETMAP_MAX_USER_SWITCHES; i++)
		close(alice[i]);
}

/* What costs no memory costs address space. */
static void one_user_has_only_so_much_external_memory(void **state)
{
	struct netmap_fixture *fixture = *state;
	struct ptnet_local_request request = netmap_register_request("null");
	int alice = connect_alice(fixture), bob = connect_bob(fixture), second;

	request.body.reg.nr_mode = NR_REG_NULL;
	request.options.present = PTNET_LOCAL_OPT_EXTMEM;
	request.options.extmem.nr_memsize = NETMAP_MAX_EXTERNAL + 4096;
	assert_int_equal(netmap_errno(alice, &request), ENOMEM);
	request.options.extmem.nr_memsize = NETMAP_MAX_EXTERNAL / 2 + 4096;
	assert_int_equal(netmap_errno(alice, &request), 0);
	second = connect_alice(fixture);
	assert_int_equal(netmap_errno(second, &request), ENOMEM);
	assert_int_equal(netmap_errno(bob, &request), 0);
	close(alice);
	netmap_fixture_settle(fixture, 2);
	assert_int_equal(netmap_errno(second, &request), 0);
	close(second);
	close(bob);
}

int main(void)
{
#define TEST(function, setup) cmocka_unit_test_setup_teardown(function, setup, netmap_fixture_close)
	const struct CMUnitTest tests[] = {
		TEST(the_socket_lets_owner_and_group_in, setup),
		TEST(what_one_made_is_his, setup),
		TEST(only_owners_take_away, setup),
		TEST(made_for_the_group, setup_group),
		TEST(who_makes_it_may_open_it, setup_nobody),
		TEST(configured_ports, setup),
		TEST(memory_of_others, setup),
		TEST(the_global_region_for_all, setup_global),
		TEST(one_user_makes_only_so_many, setup),
		TEST(one_user_makes_only_so_many_switches, setup),
		TEST(one_user_has_only_so_much_external_memory, setup),
	};

	if (geteuid() != 0) {
		puts("skipped: only root can play other users");
		return 77;
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
