/* SPDX-License-Identifier: BSD-2-Clause */
/* Asks the daemon over its control socket (docs/control-protocol.md). */
#ifndef PTNETCTL_CLIENT_H
#define PTNETCTL_CLIENT_H

#include <jansson.h>

struct client;

/*
 * Connects to the daemon at @path. NULL: it could not; standard error says why and
 * what to do.
 */
struct client *client_connect(const char *path);
void client_close(struct client *client);

/*
 * Sends @command with @arguments (an object, or NULL for none; stays the caller's)
 * and returns the result, a new reference. NULL: it failed, as standard error says.
 */
json_t *client_request(struct client *client, const char *command, json_t *arguments);

#endif
