/* SPDX-License-Identifier: BSD-2-Clause */
#include "control/requests.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "control/configuration.h"
#include "control/json_reader.h"
#include "control/protocol.h"
#include "control/show.h"
#include "engine/closer.h"
#include "log/log.h"

/*
 * One request: reads @arguments (an object), does it, puts what there is to say
 * into *@result (a new reference; NULL means {}). 0 or a negative errno with text.
 */
typedef int request_function(const struct request_context *context, const json_t *arguments,
			     json_t **result, struct error *error);

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000ULL + (uint64_t)now.tv_nsec;
}

static int no_arguments(const json_t *arguments, struct error *error)
{
	struct json_reader reader;

	json_reader_open(&reader, arguments, "", error);
	return json_reader_close(&reader);
}

/* Reads {"name": ...} and, if @force is not NULL, "force". */
static int name_argument(const json_t *arguments, char name[PORT_NAME_SIZE], bool *force,
			 struct error *error)
{
	struct json_reader reader;

	json_reader_open(&reader, arguments, "", error);
	json_reader_string(&reader, "name", true, name, PORT_NAME_SIZE);
	if (force != NULL)
		json_reader_bool(&reader, "force", force);
	return json_reader_close(&reader);
}

static int no_such(struct error *error, const char *what, const char *name)
{
	return error_set(error, ENOENT, "there is no %s \"%s\"", what, name);
}

/* ---- the daemon ---- */

static int request_version(const struct request_context *context, const json_t *arguments,
			   json_t **result, struct error *error)
{
	int rc = no_arguments(arguments, error);

	if (rc == 0)
		*result =
			json_pack("{s:i, s:s, s:i, s:I, s:I}", "protocol", CONTROL_PROTOCOL_VERSION,
				  "version", PTNETMAP_VERSION, "pid", (int)getpid(), "uptime_s",
				  (json_int_t)((now_ns() - context->started_ns) / 1000000000ULL),
				  "closing", (json_int_t)closers_waiting());
	return rc;
}

static int request_show(const struct request_context *context, const json_t *arguments,
			json_t **result, struct error *error)
{
	const struct inventory *inventory = context->inventory;
	int rc = request_version(context, arguments, result, error);

	if (rc < 0 || *result == NULL)
		return rc;
	json_object_set_new(*result, "sockets_directory",
			    json_string(inventory->sockets_directory));
	json_object_set_new(*result, "regions", show_regions(inventory));
	json_object_set_new(*result, "switches", show_switches(inventory));
	json_object_set_new(*result, "ports", show_ports(inventory));
	json_object_set_new(*result, "pipes", show_pipes(inventory));
	json_object_set_new(*result, "workers", show_workers(inventory->engine));
	json_object_set_new(*result, "netmap", show_netmap(context->netmap));
	return 0;
}

static int request_workers(const struct request_context *context, const json_t *arguments,
			   json_t **result, struct error *error)
{
	int rc = no_arguments(arguments, error);

	if (rc == 0)
		*result = show_workers(context->inventory->engine);
	return rc;
}

static const char *log_level_now(void)
{
	if (log_enabled(LOG_LEVEL_DEBUG))
		return "debug";
	if (log_enabled(LOG_LEVEL_INFO))
		return "info";
	return log_enabled(LOG_LEVEL_WARNING) ? "warning" : "error";
}

static int request_log_level(const struct request_context *context, const json_t *arguments,
			     json_t **result, struct error *error)
{
	struct json_reader reader;
	enum log_level level;
	char name[16];
	bool given;
	int rc;

	(void)context;
	json_reader_open(&reader, arguments, "", error);
	given = json_reader_string(&reader, "level", false, name, sizeof(name));
	if (given && log_level_parse(name, &level, error) < 0)
		json_reader_fail_prefix(&reader, "level");
	rc = json_reader_close(&reader);
	if (rc < 0)
		return rc;
	if (given)
		log_set_level(level);
	*result = json_pack("{s:s}", "level", log_level_now());
	return 0;
}

/* ---- regions ---- */

static int request_region_add(const struct request_context *context, const json_t *arguments,
			      json_t **result, struct error *error)
{
	struct inventory *inventory = context->inventory;
	struct region_spec spec;
	int rc = region_spec_parse(&spec, arguments, "", error);

	if (rc == 0)
		rc = inventory_region_add(inventory, &spec, error);
	if (rc == 0)
		*result = show_region(inventory, inventory_region_find(inventory, spec.name));
	return rc;
}

static int request_region_del(const struct request_context *context, const json_t *arguments,
			      json_t **result, struct error *error)
{
	char name[PORT_NAME_SIZE];
	bool force = false;
	int rc = name_argument(arguments, name, &force, error);

	(void)result;
	return rc < 0 ? rc : inventory_region_del(context->inventory, name, force, error);
}

static int request_region_list(const struct request_context *context, const json_t *arguments,
			       json_t **result, struct error *error)
{
	int rc = no_arguments(arguments, error);

	if (rc == 0)
		*result = show_regions(context->inventory);
	return rc;
}

/* ---- switches ---- */

static int request_switch_add(const struct request_context *context, const json_t *arguments,
			      json_t **result, struct error *error)
{
	struct inventory *inventory = context->inventory;
	struct switch_spec spec;
	int rc = switch_spec_parse(&spec, arguments, "", error);

	if (rc == 0)
		rc = inventory_switch_add(inventory, &spec, error);
	if (rc == 0)
		*result = show_switch(inventory_switch_find(inventory, spec.config.name));
	return rc;
}

static int request_switch_del(const struct request_context *context, const json_t *arguments,
			      json_t **result, struct error *error)
{
	char name[PORT_NAME_SIZE];
	int rc = name_argument(arguments, name, NULL, error);

	(void)result;
	return rc < 0 ? rc : inventory_switch_del(context->inventory, name, error);
}

static int request_switch_list(const struct request_context *context, const json_t *arguments,
			       json_t **result, struct error *error)
{
	int rc = no_arguments(arguments, error);

	if (rc == 0)
		*result = show_switches(context->inventory);
	return rc;
}

static int request_macs(const struct request_context *context, const json_t *arguments,
			json_t **result, struct error *error)
{
	const struct inventory_switch *found;
	char name[PORT_NAME_SIZE];
	int rc = name_argument(arguments, name, NULL, error);

	if (rc < 0)
		return rc;
	found = inventory_switch_find(context->inventory, name);
	if (found == NULL)
		return no_such(error, "switch", name);
	*result = show_macs(found);
	return 0;
}

/* ---- ports ---- */

static int request_port_add(const struct request_context *context, const json_t *arguments,
			    json_t **result, struct error *error)
{
	struct inventory *inventory = context->inventory;
	struct port_spec spec;
	int rc = port_spec_parse(&spec, arguments, "", error);

	if (rc == 0)
		rc = inventory_port_add(inventory, &spec, error);
	if (rc == 0)
		*result = show_port(inventory_port_find(inventory, spec.config.name));
	return rc;
}

static int request_port_del(const struct request_context *context, const json_t *arguments,
			    json_t **result, struct error *error)
{
	char name[PORT_NAME_SIZE];
	bool force = false;
	int rc = name_argument(arguments, name, &force, error);

	(void)result;
	return rc < 0 ? rc : inventory_port_del(context->inventory, name, force, error);
}

static int request_port_list(const struct request_context *context, const json_t *arguments,
			     json_t **result, struct error *error)
{
	int rc = no_arguments(arguments, error);

	if (rc == 0)
		*result = show_ports(context->inventory);
	return rc;
}

static int request_port_show(const struct request_context *context, const json_t *arguments,
			     json_t **result, struct error *error)
{
	const struct inventory_port *port;
	char name[PORT_NAME_SIZE];
	int rc = name_argument(arguments, name, NULL, error);

	if (rc < 0)
		return rc;
	port = inventory_port_find(context->inventory, name);
	if (port == NULL)
		return no_such(error, "port", name);
	*result = show_port(port);
	if (*result != NULL)
		json_object_set_new(*result, "counters", show_counters(port));
	return 0;
}

static int request_attachments(const struct request_context *context, const json_t *arguments,
			       json_t **result, struct error *error)
{
	const struct inventory_port *port;
	int rc = no_arguments(arguments, error);

	if (rc < 0)
		return rc;
	*result = json_array();
	TAILQ_FOREACH (port, &context->inventory->ports, link) {
		if (port->listener == NULL)
			continue;
		json_t *shown = show_attachment(port);

		json_object_set_new(shown, "port", json_string(port->port->name));
		json_array_append_new(*result, shown);
	}
	return 0;
}

static int request_programs(const struct request_context *context, const json_t *arguments,
			    json_t **result, struct error *error)
{
	int rc = no_arguments(arguments, error);

	if (rc == 0 && context->netmap == NULL)
		return error_set(error, ENOENT, "there is no netmap socket");
	if (rc == 0)
		*result = show_netmap(context->netmap);
	return rc;
}

/* Of one port, or of all. */
static int request_counters(const struct request_context *context, const json_t *arguments,
			    json_t **result, struct error *error)
{
	const struct inventory_port *port;
	struct json_reader reader;
	char name[PORT_NAME_SIZE];
	bool given;
	int rc;

	json_reader_open(&reader, arguments, "", error);
	given = json_reader_string(&reader, "port", false, name, sizeof(name));
	rc = json_reader_close(&reader);
	if (rc < 0)
		return rc;
	if (given && inventory_port_find(context->inventory, name) == NULL)
		return no_such(error, "port", name);
	json_t *ports = json_array();

	TAILQ_FOREACH (port, &context->inventory->ports, link)
		if (!given || strcmp(port->port->name, name) == 0)
			json_array_append_new(ports, show_counters(port));
	*result = json_pack("{s:I, s:o}", "time_ns", (json_int_t)now_ns(), "ports", ports);
	return 0;
}

/* ---- pipes ---- */

static int request_pipe_add(const struct request_context *context, const json_t *arguments,
			    json_t **result, struct error *error)
{
	struct inventory *inventory = context->inventory;
	struct port_spec spec;
	int rc = pipe_spec_parse(&spec, arguments, "", error);

	if (rc == 0)
		rc = inventory_pipe_add(inventory, &spec, error);
	if (rc == 0)
		*result = show_pipe(inventory_pipe_find(inventory, spec.config.name));
	return rc;
}

static int request_pipe_del(const struct request_context *context, const json_t *arguments,
			    json_t **result, struct error *error)
{
	char name[PORT_NAME_SIZE];
	bool force = false;
	int rc = name_argument(arguments, name, &force, error);

	(void)result;
	return rc < 0 ? rc : inventory_pipe_del(context->inventory, name, force, error);
}

static int request_pipe_list(const struct request_context *context, const json_t *arguments,
			     json_t **result, struct error *error)
{
	int rc = no_arguments(arguments, error);

	if (rc == 0)
		*result = show_pipes(context->inventory);
	return rc;
}

/* ---- all of them ---- */

static const struct {
	const char *command;
	request_function *function;
} requests[] = {
	{"version", request_version},
	{"show", request_show},
	{"workers", request_workers},
	{"log-level", request_log_level},
	{"region-add", request_region_add},
	{"region-del", request_region_del},
	{"region-list", request_region_list},
	{"switch-add", request_switch_add},
	{"switch-del", request_switch_del},
	{"switch-list", request_switch_list},
	{"macs", request_macs},
	{"port-add", request_port_add},
	{"port-del", request_port_del},
	{"port-list", request_port_list},
	{"port-show", request_port_show},
	{"attachments", request_attachments},
	{"programs", request_programs},
	{"counters", request_counters},
	{"pipe-add", request_pipe_add},
	{"pipe-del", request_pipe_del},
	{"pipe-list", request_pipe_list},
};

static request_function *request_find(const char *command)
{
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++)
		if (strcmp(requests[i].command, command) == 0)
			return requests[i].function;
	return NULL;
}

/* Reads the request around the arguments, and carries it out. */
static int request_dispatch(const struct request_context *context, const json_t *request,
			    json_t **result, struct error *error)
{
	struct json_reader reader;
	request_function *function = NULL;
	json_t *nothing = NULL;
	char command[32] = "";
	uint32_t protocol = CONTROL_PROTOCOL_VERSION;
	int rc;

	json_reader_open(&reader, request, "", error);
	/* First of all, because another protocol's requests may look different. */
	json_reader_u32(&reader, "protocol", &protocol, 0, UINT32_MAX);
	if (protocol != CONTROL_PROTOCOL_VERSION)
		return error_set(error, EPROTO,
				 "protocol %u is not spoken here, this ptnetd (%s) speaks %d: use "
				 "the ptnetctl that came with it",
				 protocol, PTNETMAP_VERSION, CONTROL_PROTOCOL_VERSION);
	json_reader_string(&reader, "command", true, command, sizeof(command));
	const json_t *arguments = json_reader_object(&reader, "arguments");
	json_reader_any(&reader, "id");
	rc = json_reader_close(&reader);
	if (rc < 0)
		return rc;
	function = request_find(command);
	if (function == NULL)
		return error_set(
			error, ENOSYS,
			"command \"%s\" is not known; docs/control-protocol.md lists those "
			"that are",
			command);
	if (arguments == NULL)
		arguments = nothing = json_object();
	rc = function(context, arguments, result, error);
	json_decref(nothing);
	return rc;
}

static char *line_of(json_t *answer)
{
	char *text = answer != NULL ? json_dumps(answer, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	char *line = NULL;

	json_decref(answer);
	if (text != NULL && asprintf(&line, "%s\n", text) < 0)
		line = NULL;
	free(text);
	return line;
}

/* A message may quote a piece of what was sent, cut off anywhere: plain ASCII is left of it. */
static json_t *error_json(int code, const char *message)
{
	const char *name = strerrorname_np(code);
	char text[sizeof(((struct error *)0)->text)];

	snprintf(text, sizeof(text), "%s", message);
	for (char *c = text; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return json_pack("{s:{s:s, s:s}}", "error", "code", name != NULL ? name : "EIO", "message",
			 text);
}

char *request_error_answer(int code, const char *message)
{
	return line_of(error_json(code, message));
}

char *request_answer(const struct request_context *context, const char *text, size_t length)
{
	struct error error = {0};
	json_error_t where;
	json_t *request = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
	json_t *result = NULL, *answer;
	int rc;

	if (request == NULL) {
		error_set(&error, EBADMSG, "not valid JSON (column %d): %s", where.column,
			  where.text);
		return request_error_answer(error.code, error.text);
	}
	rc = request_dispatch(context, request, &result, &error);
	if (rc < 0)
		answer = error_json(-rc, error.text);
	else
		answer = json_pack("{s:o}", "result", result != NULL ? result : json_object());
	json_t *id = json_object_get(request, "id");

	if (id != NULL && answer != NULL)
		json_object_set(answer, "id", id);
	json_decref(request);
	return line_of(answer);
}
