/* SPDX-License-Identifier: BSD-2-Clause */
/* A guest with its driver up: what moves packets. */
#ifndef CLIENT_ENDPOINT_H
#define CLIENT_ENDPOINT_H

#include "driver.h"

/* The sockets of one port. */
struct port_paths {
	char netif[108];
	char memdev[108];
};

struct endpoint {
	struct guest guest;
	struct driver driver;
};

/*
 * Starts a guest on the port and brings its driver up. The classic manners share
 * RAM, ours shares none. On failure guest.error_text says why and nothing is open.
 */
int endpoint_attach(struct endpoint *endpoint, const struct port_paths *paths, enum manner manner);
/* Takes the driver down properly, then ends the guest. */
int endpoint_detach(struct endpoint *endpoint);
/* Ends the guest as it is. */
void endpoint_kill(struct endpoint *endpoint);

void endpoint_set_policy(struct endpoint *endpoint, enum kick_policy kick, enum wait_policy wait);

#endif
