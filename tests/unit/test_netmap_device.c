/* SPDX-License-Identifier: BSD-2-Clause */
/* /dev/netmap for host programs, spoken to without the shim (spec/netmap-api.md section 5). */
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

int main(void)
{
#define TEST(function)                                                                             \
	cmocka_unit_test_setup_teardown(function, netmap_fixture_open, netmap_fixture_close)
	const struct CMUnitTest tests[] = {
		TEST(an_ephemeral_port_comes_and_goes),
		TEST(packets_go_through_the_switch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
