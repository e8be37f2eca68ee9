/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A guest for unit tests: owns a port through a CSB in the test's memory, on the
 * same thread, without an engine. Uses the guest's half of the protocol only.
 */
#ifndef PTNET_TESTS_GUEST_FIXTURE_H
#define PTNET_TESTS_GUEST_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "engine/endpoint.h"
#include "port/port.h"

struct guest {
	struct port *port;
	bool legacy; /* set before guest_attach(): the driver does not know our extension */
	struct nm_csb_atok atok[PTNET_MAX_RINGS] __attribute__((aligned(64)));
	struct nm_csb_ktoa ktoa[PTNET_MAX_RINGS] __attribute__((aligned(64)));
	int interrupts[PTNET_MAX_RINGS]; /* eventfds */
};

/* Attaches to the port with an interrupt for every ring. */
void guest_attach(struct guest *guest, struct port *port);
void guest_detach(struct guest *guest);

/* The ring's number among kicks and CSB entries. */
unsigned guest_tx(const struct guest *guest, unsigned index);
unsigned guest_rx(const struct guest *guest, unsigned index);

/* Free slots of a TX ring, or filled ones of an RX ring, as the guest sees them. */
uint32_t guest_available(struct guest *guest, unsigned ring);

/* Puts one packet of @len bytes, cut into slots of @fragment bytes, and publishes it. */
void guest_send(struct guest *guest, unsigned tx_index, const void *data, size_t len,
		size_t fragment);
/* The same without publishing head: guest_publish() does. */
void guest_fill(struct guest *guest, unsigned tx_index, const void *data, size_t len,
		size_t fragment);
void guest_publish(struct guest *guest, unsigned ring);

/* Takes one whole packet into @data; returns its length, or -1 if there is none. */
long guest_receive(struct guest *guest, unsigned rx_index, void *data, size_t capacity);

/* How many interrupts came since the last call. */
uint64_t guest_interrupts(struct guest *guest, unsigned ring);

/* Runs TX ring @tx_index of the port until it is dry, as a worker would. */
enum port_work guest_run(struct guest *guest, unsigned tx_index);

struct netmap_slot *guest_slot(struct guest *guest, unsigned ring, uint32_t index);
uint64_t guest_counter(struct guest *guest, unsigned ring, enum ring_counter which);

/* A region fit for @ports ports of @rings pairs. */
struct region *test_region(unsigned ports, unsigned rings, uint32_t slots, uint32_t buf_size);

#endif
