/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/specs.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/json_reader.h"

/* netmap's limits, spec/ports.md sections 2.1 and 8.3. */
#define MIN_BUF_SIZE 64
#define MAX_BUF_SIZE 65536

#define CONFIGURED_MIN_SLOTS 64 /* ours: guests' drivers need room for a long packet */

/* netmap's global region, section 8.4, but with rings that hold the most slots that there can be.
 */
#define SHARED_IF_SIZE	 1024
#define SHARED_IF_NUM	 100
#define SHARED_RING_SIZE 65792
#define SHARED_RING_NUM	 200
#define SHARED_BUF_SIZE	 2048
#define SHARED_BUF_NUM	 163840

static bool number_parse(const char *text, int base, unsigned long max, unsigned long *number)
{
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return false;
	*number = strtoul(text, &end, base);
	return *end == '\0' && *number <= max;
}

static void user_read(struct json_reader *reader, const char *key, uid_t *uid)
{
	unsigned long number;
	char name[64];

	if (!json_reader_string(reader, key, false, name, sizeof(name)))
		return;
	const struct passwd *user = getpwnam(name);

	if (user != NULL)
		*uid = user->pw_uid;
	else if (number_parse(name, 10, UINT32_MAX - 1, &number))
		*uid = (uid_t)number;
	else
		json_reader_fail(reader, key,
				 "there is no user \"%s\": create it, or give a number", name);
}

static void group_read(struct json_reader *reader, const char *key, gid_t *gid)
{
	unsigned long number;
	char name[64];

	if (!json_reader_string(reader, key, false, name, sizeof(name)))
		return;
	const struct group *group = getgrnam(name);

	if (group != NULL)
		*gid = group->gr_gid;
	else if (number_parse(name, 10, UINT32_MAX - 1, &number))
		*gid = (gid_t)number;
	else
		json_reader_fail(reader, key,
				 "there is no group \"%s\": create it with 'groupadd --system "
				 "%s', or give a number",
				 name, name);
}

void mode_read(struct json_reader *reader, const char *key, mode_t *mode)
{
	unsigned long number;
	char text[16];

	if (!json_reader_string(reader, key, false, text, sizeof(text)))
		return;
	if (number_parse(text, 8, 0777, &number))
		*mode = (mode_t)number;
	else
		json_reader_fail(reader, key,
				 "\"%s\" is no file mode: give octal digits up to \"0777\", for "
				 "example \"0660\"",
				 text);
}

void socket_access_read(struct json_reader *reader, struct socket_access *access)
{
	user_read(reader, "user", &access->uid);
	group_read(reader, "group", &access->gid);
	mode_read(reader, "mode", &access->mode);
}

/* The same for one port or region, whose object holds other things too. */
static void socket_access_read_own(struct json_reader *reader, struct socket_access *access)
{
	*access = SOCKET_ACCESS_UNSET;
	user_read(reader, "socket_user", &access->uid);
	group_read(reader, "socket_group", &access->gid);
	mode_read(reader, "socket_mode", &access->mode);
}

/* Which host programs may use it. */
static void program_access_read(struct json_reader *reader, struct socket_access *access)
{
	*access = SOCKET_ACCESS_UNSET;
	user_read(reader, "program_user", &access->uid);
	group_read(reader, "program_group", &access->gid);
	mode_read(reader, "program_mode", &access->mode);
}

struct socket_access socket_access_or(struct socket_access access, struct socket_access fallback)
{
	if (access.uid == (uid_t)-1)
		access.uid = fallback.uid;
	if (access.gid == (gid_t)-1)
		access.gid = fallback.gid;
	if (access.mode == (mode_t)-1)
		access.mode = fallback.mode;
	return access;
}

int region_spec_parse(struct region_spec *spec, const json_t *value, const char *path,
		      struct error *error)
{
	struct json_reader reader;
	struct region_config *config = &spec->config;

	*spec = (struct region_spec){
		.config = {.if_num = SHARED_IF_NUM,
			   .if_size = SHARED_IF_SIZE,
			   .ring_num = SHARED_RING_NUM,
			   .ring_size = SHARED_RING_SIZE,
			   .buf_num = SHARED_BUF_NUM,
			   .buf_size = SHARED_BUF_SIZE,
			   .csb_num = SPEC_DEFAULT_REGION_CSB},
	};
	json_reader_open(&reader, value, path, error);
	if (json_reader_string(&reader, "name", true, spec->name, sizeof(spec->name)) &&
	    name_check_region(spec->name, error) < 0)
		json_reader_fail_prefix(&reader, "name");
	json_reader_u32(&reader, "if_num", &config->if_num, 1, 10000);
	json_reader_u32(&reader, "if_size", &config->if_size, 56, 4096);
	json_reader_u32(&reader, "ring_num", &config->ring_num, 2, 10000);
	json_reader_u32(&reader, "ring_size", &config->ring_size, 256, 131072);
	json_reader_u32(&reader, "buf_num", &config->buf_num, 4, 1000000);
	json_reader_u32(&reader, "buf_size", &config->buf_size, MIN_BUF_SIZE, MAX_BUF_SIZE);
	json_reader_u32(&reader, "csb_num", &config->csb_num, 0, SPEC_MAX_REGION_CSB);
	json_reader_bool(&reader, "hugepages", &config->hugepages);
	socket_access_read_own(&reader, &spec->access);
	return json_reader_close(&reader);
}

int switch_spec_parse(struct switch_spec *spec, const json_t *value, const char *path,
		      struct error *error)
{
	struct json_reader reader;
	struct vale_config *config = &spec->config;

	*config = (struct vale_config){.ageing_s = VALE_DEFAULT_AGEING_S,
				       .mac_limit = VALE_DEFAULT_MAC_LIMIT};
	json_reader_open(&reader, value, path, error);
	if (json_reader_string(&reader, "name", true, config->name, sizeof(config->name)) &&
	    name_check_switch(config->name, error) < 0)
		json_reader_fail_prefix(&reader, "name");
	json_reader_u32(&reader, "ageing_s", &config->ageing_s, 1, SPEC_MAX_AGEING_S);
	json_reader_u32(&reader, "mac_limit", &config->mac_limit, 1, SPEC_MAX_MAC_LIMIT);
	program_access_read(&reader, &spec->programs);
	return json_reader_close(&reader);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool mac_parse(const char *text, uint8_t mac[6])
{
	if (strlen(text) != 17)
		return false;
	for (int i = 0; i < 6; i++) {
		int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);

		if (high < 0 || low < 0 || (i < 5 && text[3 * i + 2] != ':'))
			return false;
		mac[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

static void mac_read(struct json_reader *reader, uint8_t mac[6])
{
	static const uint8_t zero[6];
	char text[24];

	if (!json_reader_string(reader, "mac", false, text, sizeof(text)))
		return;
	if (!mac_parse(text, mac))
		json_reader_fail(reader, "mac",
				 "\"%s\" is no MAC address: give six hexadecimal pairs, for "
				 "example \"52:54:00:12:34:56\"",
				 text);
	else if (mac[0] & 1)
		json_reader_fail(reader, "mac",
				 "\"%s\" is a multicast address: a port's first byte must be even",
				 text);
	else if (memcmp(mac, zero, sizeof(zero)) == 0)
		json_reader_fail(reader, "mac",
				 "must not be all zero: leave it out to have one made");
}

/* What describes a region of its own has no place where a named one is used. */
static void own_region_read(struct json_reader *reader, struct port_spec *spec)
{
	const char *own = NULL;

	if (json_reader_string(reader, "region", false, spec->region, sizeof(spec->region)) &&
	    name_check_region(spec->region, reader->error) < 0)
		json_reader_fail_prefix(reader, "region");
	if (json_reader_u32(reader, "buf_size", &spec->own.buf_size, MIN_BUF_SIZE, MAX_BUF_SIZE))
		own = "buf_size";
	if (json_reader_u32(reader, "pipes", &spec->pipes, 0, SPEC_MAX_PIPES))
		own = "pipes";
	if (json_reader_bool(reader, "hugepages", &spec->own.hugepages))
		own = "hugepages";
	if (own != NULL && spec->region[0] != '\0')
		json_reader_fail(reader, own,
				 "belongs to a region of the port's own, but \"region\" names "
				 "\"%s\": say it there, and leave it out here",
				 spec->region);
}

static int port_or_pipe_parse(struct port_spec *spec, const json_t *value, const char *path,
			      bool pipe, struct error *error)
{
	struct json_reader reader;
	struct port_config *config = &spec->config;
	char parent[PORT_NAME_SIZE];
	char switch_name[VALE_NAME_SIZE];

	*spec = (struct port_spec){
		.config = {.tx_rings = 1, .tx_slots = PORT_DEFAULT_SLOTS},
		.pipes = SPEC_DEFAULT_PIPES,
	};
	json_reader_open(&reader, value, path, error);
	if (json_reader_string(&reader, "name", true, config->name, sizeof(config->name))) {
		int rc = pipe ? name_check_pipe(config->name, false, parent, error)
			      : name_check_vale_port(config->name, switch_name, error);
		if (rc < 0)
			json_reader_fail_prefix(&reader, "name");
	}
	json_reader_u32(&reader, "rings", &config->tx_rings, 1, NM_BDG_MAXRINGS);
	json_reader_u32(&reader, "slots", &config->tx_slots, CONFIGURED_MIN_SLOTS, NM_BDG_MAXSLOTS);
	config->rx_rings = config->tx_rings;
	config->rx_slots = config->tx_slots;
	mac_read(&reader, config->mac);
	own_region_read(&reader, spec);
	socket_access_read_own(&reader, &spec->access);
	program_access_read(&reader, &spec->programs);
	return json_reader_close(&reader);
}

int port_spec_parse(struct port_spec *spec, const json_t *value, const char *path,
		    struct error *error)
{
	return port_or_pipe_parse(spec, value, path, false, error);
}

int pipe_spec_parse(struct port_spec *spec, const json_t *value, const char *path,
		    struct error *error)
{
	return port_or_pipe_parse(spec, value, path, true, error);
}
