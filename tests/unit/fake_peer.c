/* SPDX-License-Identifier: BSD-2-Clause */
#include "fake_peer.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

#include <setjmp.h>

#include <cmocka.h>

#define PATIENCE INT64_C(10000000000)

struct peer *peer_open(const char *name)
{
	struct peer *p = calloc(1, sizeof(*p));

	assert_non_null(p);
	p->port.stop_fd = -1;
	p->port.d = nmport_prepare(name);
	assert_non_null(p->port.d);
	p->port.d->reg.nr_flags |= NR_ACCEPT_VNET_HDR;
	assert_int_equal(port_register(&p->port, -1), 0);
	return p;
}

void peer_close(struct peer *p)
{
	port_close(&p->port);
	free(p);
}

bool peer_try_send(struct peer *p, const void *data, uint32_t len)
{
	struct tx_cursor c;

	assert_int_equal(port_sync_tx(&p->port), 0);
	tx_begin(&c, port_tx_ring(&p->port, 0), p->port.buf_limit);
	p->sent_idx = c.ring->slot[c.next].buf_idx;
	if (!tx_put(&c, 0, data, len))
		return false;
	tx_publish(&c);
	assert_int_equal(port_sync_tx(&p->port), 0);
	return true;
}

void peer_send(struct peer *p, const void *data, uint32_t len)
{
	while (!peer_try_send(p, data, len))
		assert_int_equal(port_wait_room(&p->port, PATIENCE), WAIT_READY);
}

static bool take(struct peer *p, bool hold)
{
	struct netmap_ring *ring = port_rx_ring(&p->port, 0);
	struct rx_packet packet;
	struct rx_cursor c;
	const uint8_t *data;

	rx_begin(&c, ring, p->port.buf_limit);
	if (hold) { /* packets held are between head and cur */
		c.next = ring->cur;
		c.left = (ring->tail + ring->num_slots - ring->cur) % ring->num_slots;
	}
	if (!rx_take(&c, &packet))
		return false;
	assert_false(packet.bad || packet.cut);
	data = rx_gather(&c, &packet, p->data, sizeof(p->data), &p->len);
	if (data != p->data)
		memcpy(p->data, data, p->len);
	p->slots = packet.slots;
	p->buf_idx = ring->slot[packet.first].buf_idx;
	ring->cur = c.next;
	if (!hold)
		ring->head = c.next;
	assert_int_equal(port_sync_rx(&p->port), 0);
	return true;
}

static void receive(struct peer *p, bool hold)
{
	while (!take(p, hold))
		assert_int_equal(port_wait(&p->port, POLLIN, PATIENCE), WAIT_READY);
}

bool peer_try_receive(struct peer *p)
{
	assert_int_equal(port_sync_rx(&p->port), 0);
	return take(p, false);
}

void peer_receive(struct peer *p)
{
	receive(p, false);
}

void peer_hold(struct peer *p)
{
	receive(p, true);
}

void peer_release(struct peer *p)
{
	struct netmap_ring *ring = port_rx_ring(&p->port, 0);

	ring->head = ring->cur;
	assert_int_equal(port_sync_rx(&p->port), 0);
}

void peer_await(bool (*f)(void *arg), void *arg)
{
	int64_t end = now_ns() + PATIENCE;
	struct timespec a_little = {.tv_nsec = 100000};

	while (!f(arg)) {
		assert_true(now_ns() < end);
		nanosleep(&a_little, NULL);
	}
}
