/* SPDX-License-Identifier: BSD-2-Clause */
#include "switch_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

void net_empty(struct net *net)
{
	struct vale_config config = {.name = "vale0"};

	*net = (struct net){0};
	assert_int_equal(vale_create(&net->vale, &config, NULL), 0);
}

void net_add(struct net *net, unsigned rings, uint32_t slots, uint32_t buf_size)
{
	struct port_config config = {
		.tx_rings = rings, .rx_rings = rings, .tx_slots = slots, .rx_slots = slots};
	struct region *region = test_region(1, rings, slots, buf_size);
	struct guest *guest = aligned_alloc(64, sizeof(*guest));
	struct error error = {0};
	struct port *port;

	assert_true(net->ports < MAX_PORTS);
	snprintf(config.name, sizeof(config.name), "vale0:%u", net->ports);
	if (vale_port_create(&port, net->vale, &config, region, &error) < 0)
		fail_msg("%s", error.text);
	region_put(region);
	memset(guest, 0, sizeof(*guest));
	guest_attach(guest, port);
	net->guests[net->ports++] = guest;
}

void net_create(struct net *net, unsigned ports)
{
	net_empty(net);
	while (net->ports < ports)
		net_add(net, 1, SLOTS, BUF_SIZE);
}

void net_remove(struct net *net, unsigned index)
{
	guest_detach(net->guests[index]);
	port_destroy(net->guests[index]->port);
	free(net->guests[index]);
	net->guests[index] = NULL;
}

void net_destroy(struct net *net)
{
	for (unsigned i = 0; i < net->ports; i++)
		if (net->guests[i] != NULL)
			net_remove(net, i);
	assert_int_equal(vale_destroy(net->vale, NULL), 0);
}

void mac_to_bytes(uint8_t *bytes, uint64_t mac)
{
	for (int i = 0; i < 6; i++)
		bytes[i] = (uint8_t)(mac >> (40 - 8 * i));
}

void frame_fill(uint8_t *frame, size_t len, uint64_t to, uint64_t from, unsigned number)
{
	for (size_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(number * 31 + i * 7 + (i >> 8));
	mac_to_bytes(frame, to);
	mac_to_bytes(frame + 6, from);
}

uint64_t tx_count(struct net *net, unsigned port, enum ring_counter which)
{
	return guest_counter(net->guests[port], guest_tx(net->guests[port], 0), which);
}

uint64_t rx_count(struct net *net, unsigned port, enum ring_counter which)
{
	return guest_counter(net->guests[port], guest_rx(net->guests[port], 0), which);
}
