/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/names.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static bool name_character(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '.';
}

/* Checks one part of a name; @what and @name are for the message. */
static int part_check(const char *name, const char *part, size_t length, size_t limit,
		      const char *what, struct error *error)
{
	if (length == 0)
		return error_set(error, EINVAL, "\"%.80s\": the %s is empty", name, what);
	if (length > limit)
		return error_set(error, EINVAL,
				 "\"%.80s\": the %s has %zu characters, at most %zu are allowed",
				 name, what, length, limit);
	if (part[0] == '.')
		return error_set(error, EINVAL, "\"%.80s\": the %s must not begin with a dot", name,
				 what);
	for (size_t i = 0; i < length; i++) {
		if (!name_character(part[i]))
			return error_set(error, EINVAL,
					 "\"%.80s\": the %s may hold only letters, digits, '_' and "
					 "'.' (netmap programs take other characters for "
					 "separators)",
					 name, what);
	}
	return 0;
}

static bool begins_with_vale(const char *name)
{
	return strncmp(name, "vale", 4) == 0;
}

static int switch_part_check(const char *name, size_t length, struct error *error)
{
	if (!begins_with_vale(name))
		return error_set(error, EINVAL,
				 "\"%.80s\": the name of a VALE switch begins with \"vale\", for "
				 "example \"vale0\"",
				 name);
	if (memchr(name, '.', length) != NULL)
		return error_set(error, EINVAL, "\"%.80s\": a switch's name must not hold a dot",
				 name);
	return part_check(name, name, length, VALE_NAME_SIZE - 1, "switch name", error);
}

int name_check_switch(const char *name, struct error *error)
{
	return switch_part_check(name, strlen(name), error);
}

int name_check_region(const char *name, struct error *error)
{
	if (begins_with_vale(name))
		return error_set(error, EINVAL,
				 "\"%.80s\": the name of a region must not begin with \"vale\", "
				 "those are switches and ports",
				 name);
	return part_check(name, name, strlen(name), REGION_NAME_MAX, "region name", error);
}

int name_check_vale_port(const char *name, char switch_name[VALE_NAME_SIZE], struct error *error)
{
	const char *colon = strchr(name, ':');
	int rc;

	if (colon == NULL)
		return error_set(error, EINVAL,
				 "\"%.80s\" is no port name: give valeX:NAME, for example "
				 "\"vale0:vm1\"",
				 name);
	rc = switch_part_check(name, (size_t)(colon - name), error);
	if (rc < 0)
		return rc;
	rc = part_check(name, colon + 1, strlen(colon + 1), VALE_PORT_PART_MAX,
			"part behind the ':'", error);
	if (rc < 0)
		return rc;
	snprintf(switch_name, VALE_NAME_SIZE, "%.*s", (int)(colon - name), name);
	return 0;
}

/* A pipe's parent: a VALE port, or any word, which then stands for itself. */
static int parent_check(const char *name, const char *parent, struct error *error)
{
	char switch_name[VALE_NAME_SIZE];

	if (begins_with_vale(parent))
		return name_check_vale_port(parent, switch_name, error);
	if (strcmp(parent, "mem") == 0)
		return error_set(error, EINVAL,
				 "\"%.80s\": a pipe's parent must not be called \"mem\": the "
				 "sockets of regions begin with that",
				 name);
	return part_check(name, parent, strlen(parent), PIPE_PARENT_MAX, "part before the bracket",
			  error);
}

int name_check_pipe(const char *name, bool either_end, char parent[PORT_NAME_SIZE],
		    struct error *error)
{
	const char *bracket = strrchr(name, '{');
	int rc;

	if (bracket == NULL && either_end)
		bracket = strrchr(name, '}');
	if (bracket == NULL)
		return error_set(error, EINVAL,
				 "\"%.80s\" is no pipe name: give PARENT{ID, for example "
				 "\"vmlink{1\"",
				 name);
	if ((size_t)(bracket - name) >= PORT_NAME_SIZE)
		return error_set(error, EINVAL,
				 "\"%.80s\": the part before the bracket is too long", name);
	snprintf(parent, PORT_NAME_SIZE, "%.*s", (int)(bracket - name), name);
	rc = parent_check(name, parent, error);
	if (rc < 0)
		return rc;
	return part_check(name, bracket + 1, strlen(bracket + 1), PIPE_ID_MAX,
			  "part behind the bracket", error);
}

static int socket_path(char path[SOCKET_PATH_SIZE], const char *directory, const char *prefix,
		       const char *name, const char *suffix, struct error *error)
{
	int length =
		snprintf(path, SOCKET_PATH_SIZE, "%s/%s%s%s.sock", directory, prefix, name, suffix);

	if (length >= SOCKET_PATH_SIZE)
		return error_set(error, ENAMETOOLONG,
				 "\"%s\": its socket's path would have %d bytes, the system allows "
				 "%d: choose a socket directory shorter than %.100s",
				 name, length, SOCKET_PATH_SIZE - 1, directory);
	for (char *c = path + strlen(directory) + 1; *c != '\0'; c++) {
		if (*c == ':' || *c == '{' || *c == '}')
			*c = '-';
	}
	return 0;
}

int name_port_socket(char path[SOCKET_PATH_SIZE], const char *directory, const char *port,
		     struct error *error)
{
	const char *end = "";

	if (strchr(port, '{') != NULL)
		end = "-master";
	else if (strchr(port, '}') != NULL)
		end = "-slave";
	return socket_path(path, directory, "", port, end, error);
}

int name_region_socket(char path[SOCKET_PATH_SIZE], const char *directory, const char *region,
		       struct error *error)
{
	return socket_path(path, directory, "mem-", region, "", error);
}
