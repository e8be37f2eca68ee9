/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/configuration.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/json_reader.h"
#include "control/protocol.h"

#define NETMAP_SOCKET_NAME "netmap.sock"
#define PATH_SIZE	   64 /* of "regions[12345]" and the like */

void configuration_init(struct configuration *configuration)
{
	const struct socket_access access = {.uid = (uid_t)-1, .gid = (gid_t)-1, .mode = 0660};

	*configuration = (struct configuration){
		.control_path = CONTROL_DEFAULT_PATH,
		.control_access = access,
		.sockets_access = access,
		.netmap = {.access = access, .made_mode = CONFIGURATION_DEFAULT_MADE_MODE},
		.engine = {.look_max_us = CONFIGURATION_DEFAULT_LOOK_MAX_US},
		.log_level = LOG_LEVEL_INFO,
	};
}

void configuration_fini(struct configuration *configuration)
{
	free(configuration->regions);
	free(configuration->switches);
	free(configuration->ports);
	free(configuration->pipes);
	configuration->regions = NULL;
	configuration->switches = NULL;
	configuration->ports = NULL;
	configuration->pipes = NULL;
	configuration->num_regions = configuration->num_switches = 0;
	configuration->num_ports = configuration->num_pipes = 0;
}

void control_directory(const struct configuration *configuration, char directory[SOCKET_PATH_SIZE])
{
	const char *path = configuration->control_path;
	const char *slash = strrchr(path, '/');

	snprintf(directory, SOCKET_PATH_SIZE, "%.*s", slash > path ? (int)(slash - path) : 1, path);
}

static void netmap_complete(struct configuration *configuration)
{
	struct netmap_config *netmap = &configuration->netmap;
	const struct socket_access own = {.uid = geteuid(), .gid = getegid()};
	char directory[SOCKET_PATH_SIZE];
	size_t length;

	netmap->access = socket_access_or(netmap->access, configuration->sockets_access);
	netmap->access = socket_access_or(netmap->access, own);
	if (netmap->path[0] != '\0')
		return;
	control_directory(configuration, directory);
	length = strlen(directory);
	/* If it does not fit, making the socket says so. */
	snprintf(netmap->path, sizeof(netmap->path), "%.*s%s%s", (int)length, directory,
		 directory[length - 1] == '/' ? "" : "/", NETMAP_SOCKET_NAME);
}

void configuration_complete(struct configuration *configuration)
{
	if (configuration->sockets_directory[0] == '\0')
		control_directory(configuration, configuration->sockets_directory);
	netmap_complete(configuration);
}

int log_level_parse(const char *name, enum log_level *level, struct error *error)
{
	static const struct {
		const char *name;
		enum log_level level;
	} levels[] = {
		{"error", LOG_LEVEL_ERROR},
		{"warning", LOG_LEVEL_WARNING},
		{"info", LOG_LEVEL_INFO},
		{"debug", LOG_LEVEL_DEBUG},
	};

	for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
		if (strcmp(name, levels[i].name) == 0) {
			*level = levels[i].level;
			return 0;
		}
	}
	return error_set(error, EINVAL,
			 "\"%.40s\" is no log level: give error, warning, info or debug", name);
}

static void absolute_path_read(struct json_reader *reader, const char *key,
			       char path[SOCKET_PATH_SIZE])
{
	if (json_reader_string(reader, key, false, path, SOCKET_PATH_SIZE) && path[0] != '/')
		json_reader_fail(reader, key,
				 "\"%s\" is relative: give a path that begins with '/'", path);
}

static int control_parse(struct configuration *configuration, const json_t *value,
			 struct error *error)
{
	struct json_reader reader;

	if (value == NULL)
		return 0;
	json_reader_open(&reader, value, "control", error);
	absolute_path_read(&reader, "path", configuration->control_path);
	socket_access_read(&reader, &configuration->control_access);
	return json_reader_close(&reader);
}

static int sockets_parse(struct configuration *configuration, const json_t *value,
			 struct error *error)
{
	struct json_reader reader;

	if (value == NULL)
		return 0;
	json_reader_open(&reader, value, "sockets", error);
	absolute_path_read(&reader, "directory", configuration->sockets_directory);
	socket_access_read(&reader, &configuration->sockets_access);
	return json_reader_close(&reader);
}

static int netmap_parse(struct configuration *configuration, const json_t *value,
			struct error *error)
{
	struct netmap_config *netmap = &configuration->netmap;
	struct json_reader reader;

	if (value == NULL)
		return 0;
	json_reader_open(&reader, value, "netmap", error);
	absolute_path_read(&reader, "path", netmap->path);
	socket_access_read(&reader, &netmap->access);
	mode_read(&reader, "made_mode", &netmap->made_mode);
	json_reader_bool(&reader, "global_region", &netmap->global_region);
	return json_reader_close(&reader);
}

static int engine_parse(struct configuration *configuration, const json_t *value,
			struct error *error)
{
	struct json_reader reader;
	struct engine_config *engine = &configuration->engine;

	if (value == NULL)
		return 0;
	json_reader_open(&reader, value, "engine", error);
	json_reader_u32(&reader, "workers", &engine->workers, 0, CONFIGURATION_MAX_WORKERS);
	json_reader_u32(&reader, "look_max_us", &engine->look_max_us, 0, CONFIGURATION_MAX_LOOK_US);
	json_reader_bool(&reader, "pin", &engine->pin);
	return json_reader_close(&reader);
}

static int log_parse(struct configuration *configuration, const json_t *value, struct error *error)
{
	struct json_reader reader;
	char level[16];

	if (value == NULL)
		return 0;
	json_reader_open(&reader, value, "log", error);
	if (json_reader_string(&reader, "level", false, level, sizeof(level)) &&
	    log_level_parse(level, &configuration->log_level, error) < 0)
		json_reader_fail_prefix(&reader, "level");
	return json_reader_close(&reader);
}

/* One kind of object of which the file has a list. */
struct list {
	const char *key;
	size_t element_size;
	void **elements;
	size_t *count;
	int (*parse)(void *element, const json_t *value, const char *path, struct error *error);
	const char *(*name)(const void *element);
};

static int parse_region(void *element, const json_t *value, const char *path, struct error *error)
{
	return region_spec_parse(element, value, path, error);
}

static int parse_switch(void *element, const json_t *value, const char *path, struct error *error)
{
	return switch_spec_parse(element, value, path, error);
}

static int parse_port(void *element, const json_t *value, const char *path, struct error *error)
{
	return port_spec_parse(element, value, path, error);
}

static int parse_pipe(void *element, const json_t *value, const char *path, struct error *error)
{
	return pipe_spec_parse(element, value, path, error);
}

static const char *region_name_of(const void *element)
{
	return ((const struct region_spec *)element)->name;
}

static const char *switch_name_of(const void *element)
{
	return ((const struct switch_spec *)element)->config.name;
}

static const char *port_name_of(const void *element)
{
	return ((const struct port_spec *)element)->config.name;
}

/* The index of the element called @name among the first @count, or @count. */
static size_t list_find(const struct list *list, const char *name, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(list->name((char *)*list->elements + i * list->element_size), name) == 0)
			return i;
	}
	return count;
}

static int list_parse(const struct list *list, const json_t *array, struct error *error)
{
	size_t length = json_array_size(array);
	char path[PATH_SIZE];

	if (length == 0)
		return 0;
	*list->elements = calloc(length, list->element_size);
	if (*list->elements == NULL)
		return error_set(error, ENOMEM, "out of memory");
	for (size_t i = 0; i < length; i++) {
		void *element = (char *)*list->elements + i * list->element_size;

		snprintf(path, sizeof(path), "%s[%zu]", list->key, i);
		int rc = list->parse(element, json_array_get(array, i), path, error);
		if (rc < 0)
			return rc;
		size_t earlier = list_find(list, list->name(element), i);
		if (earlier < i)
			return error_set(error, EINVAL,
					 "%s.name: \"%s\" is already the name of %s[%zu]; give "
					 "each its own",
					 path, list->name(element), list->key, earlier);
		*list->count = i + 1;
	}
	return 0;
}

static int region_reference_check(const struct configuration *configuration,
				  const struct list *regions, const struct list *list,
				  struct error *error)
{
	const struct port_spec *specs = *list->elements;

	for (size_t i = 0; i < *list->count; i++) {
		const char *region = specs[i].region;

		if (region[0] != '\0' && list_find(regions, region, configuration->num_regions) ==
						 configuration->num_regions)
			return error_set(
				error, EINVAL,
				"%s[%zu].region: there is no region \"%s\" in \"regions\"; "
				"add it there, or leave \"region\" out for a region of its "
				"own",
				list->key, i, region);
	}
	return 0;
}

/* A pipe of a VALE port lies in that port's region: the port must be there. */
static int pipe_parents_check(const struct list *ports, const struct list *pipes,
			      struct error *error)
{
	const struct port_spec *specs = *pipes->elements;

	for (size_t i = 0; i < *pipes->count; i++) {
		char parent[PORT_NAME_SIZE];

		name_check_pipe(specs[i].config.name, false, parent, NULL);
		if (strchr(parent, ':') != NULL && specs[i].region[0] == '\0' &&
		    list_find(ports, parent, *ports->count) == *ports->count)
			return error_set(
				error, EINVAL,
				"pipes[%zu].name: \"%s\" is a pipe of port \"%s\", which is "
				"not in \"ports\"; add it there, or name a region",
				i, specs[i].config.name, parent);
	}
	return 0;
}

static int root_parse(struct configuration *configuration, const json_t *root, struct error *error)
{
	const struct list lists[] = {
		{"regions", sizeof(struct region_spec), (void **)&configuration->regions,
		 &configuration->num_regions, parse_region, region_name_of},
		{"switches", sizeof(struct switch_spec), (void **)&configuration->switches,
		 &configuration->num_switches, parse_switch, switch_name_of},
		{"ports", sizeof(struct port_spec), (void **)&configuration->ports,
		 &configuration->num_ports, parse_port, port_name_of},
		{"pipes", sizeof(struct port_spec), (void **)&configuration->pipes,
		 &configuration->num_pipes, parse_pipe, port_name_of},
	};
	const json_t *arrays[4], *control, *sockets, *netmap, *engine, *log;
	struct json_reader reader;
	int rc;

	json_reader_open(&reader, root, "", error);
	control = json_reader_object(&reader, "control");
	sockets = json_reader_object(&reader, "sockets");
	netmap = json_reader_object(&reader, "netmap");
	engine = json_reader_object(&reader, "engine");
	log = json_reader_object(&reader, "log");
	for (size_t i = 0; i < 4; i++)
		arrays[i] = json_reader_array(&reader, lists[i].key);
	rc = json_reader_close(&reader);
	if (rc == 0)
		rc = control_parse(configuration, control, error);
	if (rc == 0)
		rc = sockets_parse(configuration, sockets, error);
	if (rc == 0)
		rc = netmap_parse(configuration, netmap, error);
	if (rc == 0)
		rc = engine_parse(configuration, engine, error);
	if (rc == 0)
		rc = log_parse(configuration, log, error);
	for (size_t i = 0; i < 4 && rc == 0; i++)
		rc = list_parse(&lists[i], arrays[i], error);
	if (rc == 0)
		rc = region_reference_check(configuration, &lists[0], &lists[2], error);
	if (rc == 0)
		rc = region_reference_check(configuration, &lists[0], &lists[3], error);
	if (rc == 0)
		rc = pipe_parents_check(&lists[2], &lists[3], error);
	return rc;
}

int configuration_parse(struct configuration *configuration, const char *text, size_t length,
			struct error *error)
{
	json_error_t where;
	json_t *root;
	int rc;

	if (length == 0)
		return error_set(error, EINVAL, "is empty: a configuration is {} at the least");
	root = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
	if (root == NULL)
		return error_set(error, EINVAL, "line %d, column %d: %s", where.line, where.column,
				 where.text);
	rc = root_parse(configuration, root, error);
	json_decref(root);
	if (rc < 0)
		configuration_fini(configuration);
	return rc;
}

/* The whole file; the caller frees *@text, which stays NULL on failure. */
static int file_read(const char *path, char **text, size_t *length, struct error *error)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hang us */
	struct stat status;
	int rc = 0;

	if (fd < 0)
		return error_set(error, errno, "cannot be opened: %s%s", strerror(errno),
				 errno == ENOENT ? "; write one, {} at the least, as "
						   "ptnetd.json(5) describes"
						 : "");
	if (fstat(fd, &status) < 0 || !S_ISREG(status.st_mode)) {
		rc = error_set(error, EINVAL, "is no ordinary file");
		goto out_close;
	}
	if (status.st_size > (off_t)CONFIGURATION_MAX_FILE) {
		rc = error_set(error, EFBIG, "has %lld bytes, at most %u are allowed",
			       (long long)status.st_size, CONFIGURATION_MAX_FILE);
		goto out_close;
	}
	*text = malloc((size_t)status.st_size + 1);
	if (*text == NULL) {
		rc = error_set(error, ENOMEM, "out of memory");
		goto out_close;
	}
	ssize_t got = read(fd, *text, (size_t)status.st_size);
	if (got < 0) {
		rc = error_set(error, errno, "cannot be read: %s", strerror(errno));
		free(*text);
		*text = NULL;
		goto out_close;
	}
	*length = (size_t)got;
out_close:
	close(fd);
	return rc;
}

int configuration_load(struct configuration *configuration, const char *path, struct error *error)
{
	char *text = NULL;
	size_t length = 0;
	int rc = file_read(path, &text, &length, error);

	if (text != NULL)
		rc = configuration_parse(configuration, text, length, error);
	free(text);
	if (rc < 0)
		error_prefix(error, "%s", path);
	return rc;
}
