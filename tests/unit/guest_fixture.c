/* SPDX-License-Identifier: BSD-2-Clause */
#include "guest_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

struct region *test_region(unsigned ports, unsigned rings, uint32_t slots, uint32_t buf_size)
{
	struct region_config config = {
		.if_num = ports + 1,
		.ring_num = ports * rings * 2 + 1,
		/* A multiple of 128, to which struct netmap_ring is aligned. */
		.ring_size = (256 + 16 * (slots < 64 ? 64 : slots) + 127) / 128 * 128,
		.buf_num = ports * rings * 2 * slots + 16,
		.buf_size = buf_size,
		.csb_num = ports,
	};
	struct region *region = NULL;
	struct error error = {0};

	region_config_for_port(&config, rings, rings, slots, slots, 0, 0);
	if (region_create(&region, &config, &error) < 0)
		fail_msg("%s", error.text);
	return region;
}

void guest_attach(struct guest *guest, struct port *port)
{
	struct endpoint_csb csb = {
		.atok = guest->atok, .ktoa = guest->ktoa, .extension = !guest->legacy};

	guest->port = port;
	for (unsigned i = 0; i < port_num_rings(port); i++) {
		int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

		assert_true(fd >= 0);
		guest->interrupts[i] = fd;
		assert_int_equal(endpoint_set_interrupt(port, i, dup(fd)), 0);
	}
	endpoint_start(port, &csb);
	/* As drivers do after CREATE: the positions are the daemon's (spec 6.2, step 7). */
	for (unsigned i = 0; i < port_num_rings(port); i++) {
		struct netmap_ring *ring = port->rings[i].ring;

		ring->head = PTNET_LOAD_RELAXED(&guest->atok[i].head);
		ring->cur = PTNET_LOAD_RELAXED(&guest->atok[i].cur);
	}
}

void guest_detach(struct guest *guest)
{
	endpoint_stop(guest->port);
	for (unsigned i = 0; i < port_num_rings(guest->port); i++) {
		endpoint_set_interrupt(guest->port, i, -1);
		close(guest->interrupts[i]);
	}
}

unsigned guest_tx(const struct guest *guest, unsigned index)
{
	(void)guest;
	return index;
}

unsigned guest_rx(const struct guest *guest, unsigned index)
{
	return guest->port->tx_rings + index;
}

struct netmap_slot *guest_slot(struct guest *guest, unsigned ring, uint32_t index)
{
	return &guest->port->rings[ring].slots[index];
}

uint64_t guest_counter(struct guest *guest, unsigned ring, enum ring_counter which)
{
	return ring_counter_get(&guest->port->rings[ring].counters, which);
}

uint32_t guest_available(struct guest *guest, unsigned ring)
{
	uint32_t hwcur, hwtail;

	ptnet_csb_read(&guest->ktoa[ring], &hwcur, &hwtail);
	return ring_distance(guest->port->rings[ring].num_slots,
			     guest->port->rings[ring].ring->head, hwtail);
}

static char *guest_buffer(struct guest *guest, unsigned ring, const struct netmap_slot *slot)
{
	const struct kring *kring = &guest->port->rings[ring];

	return (char *)kring->ring + kring->ring->buf_ofs + (size_t)slot->buf_idx * kring->buf_size;
}

void guest_fill(struct guest *guest, unsigned tx_index, const void *data, size_t len,
		size_t fragment)
{
	unsigned number = guest_tx(guest, tx_index);
	struct netmap_ring *ring = guest->port->rings[number].ring;
	const char *from = data;

	do {
		struct netmap_slot *slot = guest_slot(guest, number, ring->head);
		size_t chunk = len < fragment ? len : fragment;

		memcpy(guest_buffer(guest, number, slot), from, chunk);
		/* Atomic: the daemon may look at any time at who holds which buffer. */
		PTNET_STORE_RELAXED(&slot->len, (uint16_t)chunk);
		from += chunk;
		len -= chunk;
		PTNET_STORE_RELAXED(&slot->flags, (uint16_t)(len > 0 ? NS_MOREFRAG : 0));
		ring->head = ring->cur = ring_next(ring->num_slots, ring->head);
	} while (len > 0);
}

void guest_publish(struct guest *guest, unsigned ring)
{
	struct netmap_ring *shared = guest->port->rings[ring].ring;

	ptnet_csb_publish(&guest->atok[ring], shared->head, shared->cur);
}

void guest_send(struct guest *guest, unsigned tx_index, const void *data, size_t len,
		size_t fragment)
{
	guest_fill(guest, tx_index, data, len, fragment);
	guest_publish(guest, guest_tx(guest, tx_index));
}

long guest_receive(struct guest *guest, unsigned rx_index, void *data, size_t capacity)
{
	unsigned number = guest_rx(guest, rx_index);
	struct netmap_ring *ring = guest->port->rings[number].ring;
	uint32_t available = guest_available(guest, number);
	size_t len = 0;
	bool more = available > 0;

	if (!more)
		return -1;
	while (more) {
		struct netmap_slot *slot = guest_slot(guest, number, ring->head);

		assert_true(available-- > 0); /* packets are shown whole */
		assert_true(len + slot->len <= capacity);
		memcpy((char *)data + len, guest_buffer(guest, number, slot), slot->len);
		len += slot->len;
		more = (slot->flags & NS_MOREFRAG) != 0;
		ring->head = ring->cur = ring_next(ring->num_slots, ring->head);
	}
	guest_publish(guest, number);
	return (long)len;
}

uint64_t guest_interrupts(struct guest *guest, unsigned ring)
{
	uint64_t count = 0;

	return read(guest->interrupts[ring], &count, sizeof(count)) > 0 ? count : 0;
}

enum port_work guest_run(struct guest *guest, unsigned tx_index)
{
	struct kring *tx = port_tx(guest->port, tx_index);
	enum port_work work;

	do {
		pthread_mutex_lock(&tx->lock);
		work = guest->port->ops->run(tx, 256);
		pthread_mutex_unlock(&tx->lock);
	} while (work == PORT_MORE || work == PORT_CROWDED);
	return work;
}
