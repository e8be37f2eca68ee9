/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What somebody asks for: a region, a switch, a port, a pipe, as written in the
 * configuration file or in a request. Both have the same form, so both are read
 * here. Everything is checked that can be known without looking at what exists.
 */
#ifndef PTNET_CONTROL_SPECS_H
#define PTNET_CONTROL_SPECS_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "attach/vfio_user_attachment.h"
#include "control/names.h"
#include "log/error.h"
#include "memory/region.h"
#include "port/port.h"
#include "port/vale.h"

#define SPEC_DEFAULT_PIPES	2  /* netmap's: what a VALE port's region has room for */
#define SPEC_DEFAULT_REGION_CSB 64 /* endpoints that may use a named region */
#define SPEC_MAX_REGION_CSB	4096
#define SPEC_MAX_PIPES		64
#define SPEC_MAX_AGEING_S	1000000 /* as for Linux bridges: about eleven days */
#define SPEC_MAX_MAC_LIMIT	65536

/* Who may connect, as far as it was said: -1 where it was not. */
#define SOCKET_ACCESS_UNSET                                                                        \
	((struct socket_access){.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = (mode_t)-1})

struct region_spec {
	char name[REGION_NAME_SIZE];
	struct region_config config;
	struct socket_access access;
};

struct switch_spec {
	struct vale_config config;
	struct socket_access programs; /* which host programs may make ports on it */
};

/* A port of a switch, or both ends of a pipe. */
struct port_spec {
	struct port_config config;
	char region[REGION_NAME_SIZE]; /* a named region; empty: the port's or pipe's own */
	struct region_config own;      /* of the own region; zeros: to be computed */
	uint32_t pipes;		       /* that the own region has room for */
	struct socket_access access;
	struct socket_access programs; /* which host programs may open it */
};

/*
 * Each fills @spec from the JSON object @value and its defaults; 0, or -EINVAL with
 * the member's path behind @path in the text. @value is only read. Any thread, but
 * looking up a user or group may read files.
 */
int region_spec_parse(struct region_spec *spec, const json_t *value, const char *path,
		      struct error *error);
int switch_spec_parse(struct switch_spec *spec, const json_t *value, const char *path,
		      struct error *error);
int port_spec_parse(struct port_spec *spec, const json_t *value, const char *path,
		    struct error *error);
int pipe_spec_parse(struct port_spec *spec, const json_t *value, const char *path,
		    struct error *error);

struct json_reader;

/* Reads the members "user", "group" and "mode" of an open reader. */
void socket_access_read(struct json_reader *reader, struct socket_access *access);

/* Reads @key, a file mode as a string of octal digits. */
void mode_read(struct json_reader *reader, const char *key, mode_t *mode);

/* What @access leaves open is taken from @fallback. */
struct socket_access socket_access_or(struct socket_access access, struct socket_access fallback);

#endif
