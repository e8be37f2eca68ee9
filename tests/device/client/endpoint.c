/* SPDX-License-Identifier: BSD-2-Clause */
#include "endpoint.h"

#include <string.h>

int endpoint_attach(struct endpoint *endpoint, const struct port_paths *paths, enum manner manner)
{
	struct guest *guest = &endpoint->guest;
	enum guest_ram ram = manner == MANNER_OURS ? GUEST_RAM_PRIVATE : GUEST_RAM_SHARED;
	int error = guest_open(guest, paths->netif, paths->memdev, ram);

	if (error < 0)
		return error;
	error = driver_probe(&endpoint->driver, guest, manner);
	if (error == 0)
		error = driver_create(&endpoint->driver);
	if (error < 0) {
		guest_fail(guest, -error, "CREATE: %s", strerror(-error));
		guest_close(guest);
	}
	return error;
}

int endpoint_detach(struct endpoint *endpoint)
{
	int error = driver_remove(&endpoint->driver);

	guest_close(&endpoint->guest);
	return error;
}

void endpoint_kill(struct endpoint *endpoint)
{
	guest_close(&endpoint->guest);
}

void endpoint_set_policy(struct endpoint *endpoint, enum kick_policy kick, enum wait_policy wait)
{
	struct driver *driver = &endpoint->driver;

	for (unsigned i = 0; i < driver->tx_rings + driver->rx_rings; i++) {
		struct ring *ring = &driver->rings[i];

		ring->kick = kick;
		ring->wait = wait;
		if (wait == WAIT_POLL)
			PTNET_STORE_RELAXED(&ring->atok->appl_need_kick, 0);
	}
}
