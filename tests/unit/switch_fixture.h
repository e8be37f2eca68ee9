/* SPDX-License-Identifier: BSD-2-Clause */
/* A switch with guests, run by hand on one thread; every port has a region of its own. */
#ifndef PTNET_TESTS_SWITCH_FIXTURE_H
#define PTNET_TESTS_SWITCH_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "guest_fixture.h"
#include "port/vale.h"

/* What net_create() makes. */
#define SLOTS	  64u
#define BUF_SIZE  2048u
#define MAX_PORTS 8

struct net {
	struct vale *vale;
	unsigned ports;
	struct guest *guests[MAX_PORTS];
};

/* A switch without ports. */
void net_empty(struct net *net);
/* Adds a port with a guest that has it open. */
void net_add(struct net *net, unsigned rings, uint32_t slots, uint32_t buf_size);
void net_create(struct net *net, unsigned ports);
void net_remove(struct net *net, unsigned index);
void net_destroy(struct net *net);

/* A counter of the port's first TX or RX ring. */
uint64_t tx_count(struct net *net, unsigned port, enum ring_counter which);
uint64_t rx_count(struct net *net, unsigned port, enum ring_counter which);

/* ---- frames: addresses, then a pattern made from the number ---- */

#define BROADCAST UINT64_C(0xffffffffffff)
#define MAC(n)	  (UINT64_C(0x020000000000) + (n))

void mac_to_bytes(uint8_t *bytes, uint64_t mac);
void frame_fill(uint8_t *frame, size_t len, uint64_t to, uint64_t from, unsigned number);

#endif
