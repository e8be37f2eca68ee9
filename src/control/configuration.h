/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The daemon's configuration: defaults, what the file says (ptnetd.json(5)), and
 * what command line options put in their place.
 */
#ifndef PTNET_CONTROL_CONFIGURATION_H
#define PTNET_CONTROL_CONFIGURATION_H

#include <stddef.h>

#include "control/netmap_device.h"
#include "control/specs.h"
#include "engine/engine.h"
#include "log/log.h"

#define CONFIGURATION_DEFAULT_LOOK_MAX_US 100
#define CONFIGURATION_DEFAULT_MADE_MODE	  0600
#define CONFIGURATION_MAX_LOOK_US	  1000 /* engine.h */
#define CONFIGURATION_MAX_WORKERS	  256
#define CONFIGURATION_MAX_FILE		  (16u << 20) /* bytes */

struct configuration {
	char control_path[SOCKET_PATH_SIZE];
	struct socket_access control_access;
	char sockets_directory[SOCKET_PATH_SIZE]; /* empty: where the control socket is */
	struct socket_access sockets_access;	  /* for ports and regions that don't say */
	struct netmap_config netmap;
	struct engine_config engine;
	enum log_level log_level;

	size_t num_regions, num_switches, num_ports, num_pipes;
	struct region_spec *regions;
	struct switch_spec *switches;
	struct port_spec *ports;
	struct port_spec *pipes;
};

/* What holds when no file says otherwise. Nothing is allocated. */
void configuration_init(struct configuration *configuration);

/*
 * Reads the file at @path into @configuration, which configuration_init() has seen.
 * Each error names the file and the object's path in it. On failure nothing stays
 * allocated, but fields may have changed.
 */
int configuration_load(struct configuration *configuration, const char *path, struct error *error);

/* The same from @length bytes of text; for tests. */
int configuration_parse(struct configuration *configuration, const char *text, size_t length,
			struct error *error);

/*
 * Fills in what follows from other things: the socket directory and the netmap socket from the
 * control socket, and the latter's owner from those of the other sockets.
 */
void configuration_complete(struct configuration *configuration);

/* The directory in which the control socket is. */
void control_directory(const struct configuration *configuration, char directory[SOCKET_PATH_SIZE]);

void configuration_fini(struct configuration *configuration);

/* "error", "warning", "info" or "debug"; -EINVAL otherwise. */
int log_level_parse(const char *name, enum log_level *level, struct error *error);

#endif
