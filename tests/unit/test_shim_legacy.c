/* SPDX-License-Identifier: BSD-2-Clause */
/* The older ioctls said in the newer one's terms: spec/netmap-api.md section 6. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "legacy.h"

static struct request request;

static struct nmreq old_request(const char *name)
{
	struct nmreq old;

	memset(&old, 0, sizeof(old));
	memcpy(old.nr_name, name, strlen(name));
	old.nr_version = NETMAP_API;
	return old;
}

static int regif(const struct nmreq *old)
{
	return legacy_to_request(old, true, &request);
}

static void test_versions(void **state)
{
	struct nmreq old = old_request("eth0");

	(void)state;
	old.nr_version = 13;
	assert_int_equal(regif(&old), -EINVAL);
	old.nr_version = 16;
	assert_int_equal(regif(&old), 0);
	assert_int_equal(request.type, NETMAP_REQ_REGISTER);
}

static void test_modes(void **state)
{
	static const struct {
		uint32_t flags;
		uint16_t ringid;
		uint32_t mode;
	} cases[] = {
		{0, 0, NR_REG_ALL_NIC},
		{0, NETMAP_HW_RING | 3, NR_REG_ONE_NIC},
		{0, NETMAP_SW_RING, NR_REG_SW},
		{0, NETMAP_SW_RING | NETMAP_HW_RING, NR_REG_SW},
		{NR_REG_NIC_SW, 0, NR_REG_NIC_SW},
		{NR_REG_ONE_NIC, 3, NR_REG_ONE_NIC},
		{NR_REG_NULL, NETMAP_HW_RING, NR_REG_NULL},
	};
	struct nmreq old = old_request("eth0");
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		old.nr_flags = cases[i].flags | NR_EXCLUSIVE;
		old.nr_ringid = cases[i].ringid;
		assert_int_equal(regif(&old), 0);
		assert_int_equal(request.body.reg.nr_mode, cases[i].mode);
		assert_int_equal(request.body.reg.nr_ringid, cases[i].ringid & NETMAP_RING_MASK);
		assert_int_equal(request.body.reg.nr_flags, NR_EXCLUSIVE);
	}
}

static void test_register(void **state)
{
	struct nmreq old = old_request("vale0:a");

	(void)state;
	old.nr_tx_slots = 1;
	old.nr_rx_slots = 2;
	old.nr_tx_rings = 3;
	old.nr_rx_rings = 4;
	old.nr_arg1 = 5;
	old.nr_arg2 = 6;
	old.nr_arg3 = 7;
	old.nr_ringid = NETMAP_NO_TX_POLL | NETMAP_DO_RX_POLL;
	assert_int_equal(regif(&old), 0);
	assert_string_equal(request.name, "vale0:a");
	assert_int_equal(request.body.reg.nr_tx_slots, 1);
	assert_int_equal(request.body.reg.nr_rx_slots, 2);
	assert_int_equal(request.body.reg.nr_tx_rings, 3);
	assert_int_equal(request.body.reg.nr_rx_rings, 4);
	assert_int_equal(request.body.reg.nr_host_tx_rings, 0);
	assert_int_equal(request.body.reg.nr_mem_id, 6);
	assert_int_equal(request.body.reg.nr_extra_bufs, 7);
	assert_int_equal(request.body.reg.nr_flags, NR_NO_TX_POLL | NR_DO_RX_POLL);

	request.body.reg.nr_offset = 4096;
	request.body.reg.nr_memsize = 0x123456789;
	request.body.reg.nr_mem_id = 9;
	request.body.reg.nr_extra_bufs = 8;
	request.body.reg.nr_tx_slots = 512;
	legacy_from_request(&request, &old);
	assert_int_equal(old.nr_offset, 4096);
	assert_int_equal(old.nr_memsize, 0x23456789);
	assert_int_equal(old.nr_arg2, 9);
	assert_int_equal(old.nr_arg3, 8);
	assert_int_equal(old.nr_tx_slots, 512);
	assert_int_equal(old.nr_ringid, NETMAP_NO_TX_POLL | NETMAP_DO_RX_POLL);
	assert_int_equal(old.nr_flags, 0);
	assert_int_equal(old.nr_version, NETMAP_API);
}

static void test_pipes(void **state)
{
	struct nmreq old = old_request("longest_name_15");

	(void)state;
	old.nr_flags = NR_REG_PIPE_MASTER;
	old.nr_ringid = 4094;
	assert_int_equal(regif(&old), 0);
	assert_string_equal(request.name, "longest_name_15{4094");
	assert_int_equal(request.body.reg.nr_mode, NR_REG_ALL_NIC);
	assert_int_equal(request.body.reg.nr_ringid, 0);
	legacy_from_request(&request, &old);
	assert_string_equal(old.nr_name, "longest_name_15");

	old.nr_flags = NR_REG_PIPE_SLAVE | NR_EXCLUSIVE;
	old.nr_ringid = 0;
	assert_int_equal(regif(&old), 0);
	assert_string_equal(request.name, "longest_name_15}0");
	assert_int_equal(request.body.reg.nr_flags, NR_EXCLUSIVE);
}

static void test_unterminated_name(void **state)
{
	struct nmreq old = old_request("sixteen_letters_");

	(void)state;
	assert_int_equal(regif(&old), 0);
	assert_string_equal(request.name, "sixteen_letters");
}

static void test_commands(void **state)
{
	static const struct {
		uint16_t command;
		int result;
		uint16_t type;
	} cases[] = {
		{NETMAP_BDG_ATTACH, 0, NETMAP_REQ_VALE_ATTACH},
		{NETMAP_BDG_DETACH, 0, NETMAP_REQ_VALE_DETACH},
		{NETMAP_BDG_REGOPS, -EINVAL, 0},
		{NETMAP_BDG_LIST, -EINVAL, 0}, /* NIOCGINFO's */
		{NETMAP_BDG_VNET_HDR, 0, NETMAP_REQ_PORT_HDR_SET},
		{NETMAP_BDG_NEWIF, 0, NETMAP_REQ_VALE_NEWIF},
		{NETMAP_BDG_DELIF, 0, NETMAP_REQ_VALE_DELIF},
		{NETMAP_PT_HOST_CREATE, -ENOMEM, 0},
		{NETMAP_PT_HOST_DELETE, -ENOMEM, 0},
		{NETMAP_BDG_POLLING_ON, 0, NETMAP_REQ_VALE_POLLING_ENABLE},
		{NETMAP_BDG_POLLING_OFF, 0, NETMAP_REQ_VALE_POLLING_DISABLE},
		{NETMAP_VNET_HDR_GET, 0, NETMAP_REQ_PORT_HDR_GET},
		{13, -EINVAL, 0},
		{0xffff, -EINVAL, 0},
	};
	struct nmreq old = old_request("vale0:eth0");
	size_t i;

	(void)state;
	old.nr_flags = NR_REG_ALL_NIC; /* what POLLING wants to know */
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		old.nr_cmd = cases[i].command;
		assert_int_equal(regif(&old), cases[i].result);
		assert_int_equal(request.type, cases[i].type);
	}
}

static void test_command_arguments(void **state)
{
	struct nmreq old = old_request("vale0:eth0");

	(void)state;
	old.nr_cmd = NETMAP_BDG_ATTACH;
	old.nr_arg1 = NETMAP_BDG_HOST;
	assert_int_equal(regif(&old), 0);
	assert_int_equal(request.body.vale_attach.reg.nr_mode, NR_REG_NIC_SW);
	old.nr_arg1 = 0;
	assert_int_equal(regif(&old), 0);
	assert_int_equal(request.body.vale_attach.reg.nr_mode, NR_REG_ALL_NIC);

	old.nr_cmd = NETMAP_BDG_VNET_HDR;
	old.nr_arg1 = 12;
	assert_int_equal(regif(&old), 0);
	assert_int_equal(request.body.port_hdr.nr_hdr_len, 12);
	old.nr_cmd = NETMAP_VNET_HDR_GET;
	assert_int_equal(regif(&old), 0);
	request.body.port_hdr.nr_hdr_len = 10;
	legacy_from_request(&request, &old);
	assert_int_equal(old.nr_arg1, 10);

	old.nr_cmd = NETMAP_BDG_POLLING_ON;
	old.nr_flags = NR_REG_ONE_NIC;
	old.nr_ringid = 0x4001;
	old.nr_arg1 = 2;
	assert_int_equal(regif(&old), 0);
	assert_int_equal(request.body.vale_polling.nr_mode, NETMAP_POLLING_MODE_MULTI_CPU);
	assert_int_equal(request.body.vale_polling.nr_first_cpu_id, 1);
	assert_int_equal(request.body.vale_polling.nr_num_polling_cpus, 2);

	old = old_request("v0");
	old.nr_cmd = NETMAP_BDG_NEWIF;
	old.nr_rx_slots = 64;
	old.nr_arg2 = 1;
	assert_int_equal(regif(&old), 0);
	assert_int_equal(request.body.vale_newif.nr_rx_slots, 64);
	assert_int_equal(request.body.vale_newif.nr_mem_id, 1);
	request.body.vale_newif.nr_tx_slots = 1024;
	legacy_from_request(&request, &old);
	assert_int_equal(old.nr_tx_slots, 1024);
}

static void test_ginfo(void **state)
{
	struct nmreq old = old_request("vale0:a");

	(void)state;
	old.nr_arg2 = 3;
	assert_int_equal(legacy_to_request(&old, false, &request), 0);
	assert_int_equal(request.type, NETMAP_REQ_PORT_INFO_GET);
	assert_int_equal(request.body.port_info.nr_mem_id, 3);
	request.body.port_info.nr_memsize = 8192;
	request.body.port_info.nr_rx_rings = 2;
	legacy_from_request(&request, &old);
	assert_int_equal(old.nr_memsize, 8192);
	assert_int_equal(old.nr_rx_rings, 2);

	old = old_request("");
	old.nr_cmd = NETMAP_BDG_LIST;
	old.nr_arg1 = 4;
	old.nr_arg2 = 5;
	assert_int_equal(legacy_to_request(&old, false, &request), 0);
	assert_int_equal(request.type, NETMAP_REQ_VALE_LIST);
	assert_int_equal(request.body.vale_list.nr_bridge_idx, 4);
	assert_int_equal(request.body.vale_list.nr_port_idx, 5);
	memcpy(request.name, "vale7:somebody", sizeof("vale7:somebody"));
	request.body.vale_list.nr_port_idx = 6;
	legacy_from_request(&request, &old);
	assert_string_equal(old.nr_name, "vale7:somebody");
	assert_int_equal(old.nr_arg2, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),	  cmocka_unit_test(test_modes),
		cmocka_unit_test(test_register),	  cmocka_unit_test(test_pipes),
		cmocka_unit_test(test_unterminated_name), cmocka_unit_test(test_commands),
		cmocka_unit_test(test_command_arguments), cmocka_unit_test(test_ginfo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
