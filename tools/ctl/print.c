/* SPDX-License-Identifier: BSD-2-Clause */
/* What the daemon's answers look like for people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "table.h"

void json_print(const json_t *value, bool one_line)
{
	json_dumpf(value, stdout,
		   JSON_ENCODE_ANY | (one_line ? (size_t)JSON_COMPACT : (size_t)JSON_INDENT(2)));
	putchar('\n');
	fflush(stdout);
}

const char *text_of(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

long long number_of(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static bool flag_of(const json_t *object, const char *key)
{
	return json_is_true(json_object_get(object, key));
}

static const char *yes_no(bool flag)
{
	return flag ? "yes" : "no";
}

/* The strings of an array, separated by blanks; for free(). */
static char *words_of(const json_t *array)
{
	char *text = NULL;
	size_t length, i;
	json_t *word;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		abort();
	json_array_foreach(array, i, word)
		fprintf(out, "%s%s", i == 0 ? "" : " ", json_string_value(word));
	fclose(out);
	return text;
}

void print_version(const json_t *result)
{
	long long up = number_of(result, "uptime_s");

	printf("ptnetd %s, protocol %lld, process %lld, up %lld:%02lld:%02lld\n",
	       text_of(result, "version"), number_of(result, "protocol"), number_of(result, "pid"),
	       up / 3600, up / 60 % 60, up % 60);
}

/* A line for each of @list that somebody did something wrong to: what, and how often. */
static void print_errors(const json_t *list, const char *name_key)
{
	const char *kind, *before;
	json_t *one, *value;
	size_t i;

	json_array_foreach(list, i, one)
	{
		before = ": ";
		json_object_foreach(json_object_get(one, "errors"), kind, value)
		{
			if (json_integer_value(value) == 0)
				continue;
			if (before[0] == ':')
				printf("%s", text_of(one, name_key));
			printf("%s%s %lld", before, kind, (long long)json_integer_value(value));
			before = ", ";
		}
		if (before[0] == ',')
			putchar('\n');
	}
}

void print_regions(const json_t *result)
{
	struct table *table = table_new("REGION >ID >MIB >BUFFERS >SIZE >FREE HUGE PORTS");
	json_t *region;
	size_t i;

	json_array_foreach(result, i, region)
	{
		const json_t *pool = json_object_get(region, "buf_pool");
		char *ports = words_of(json_object_get(region, "ports"));

		table_cell(table, "%s", text_of(region, "name"));
		table_cell(table, "%lld", number_of(region, "id"));
		table_cell(table, "%.1f", (double)number_of(region, "memsize") / (1 << 20));
		table_cell(table, "%lld", number_of(pool, "objtotal"));
		table_cell(table, "%lld", number_of(pool, "objsize"));
		table_cell(table, "%lld", number_of(region, "bufs_free"));
		table_cell(table, "%s", yes_no(flag_of(region, "hugepages")));
		table_cell(table, "%s", ports);
		free(ports);
	}
	table_print(table);
	print_errors(result, "name");
}

void print_switches(const json_t *result)
{
	struct table *table = table_new("SWITCH >AGEING-S >MACS PORTS");
	json_t *shown;
	size_t i;

	json_array_foreach(result, i, shown)
	{
		char *ports = words_of(json_object_get(shown, "ports"));

		table_cell(table, "%s", text_of(shown, "name"));
		table_cell(table, "%lld", number_of(shown, "ageing_s"));
		table_cell(table, "%lld", number_of(shown, "macs"));
		table_cell(table, "%s", ports);
		free(ports);
	}
	table_print(table);
}

void print_macs(const json_t *result)
{
	struct table *table = table_new("MAC PORT >AGE-S");
	json_t *entry;
	size_t i;

	json_array_foreach(result, i, entry)
	{
		table_cell(table, "%s", text_of(entry, "mac"));
		table_cell(table, "%s", text_of(entry, "port"));
		table_cell(table, "%lld", number_of(entry, "age_s"));
	}
	table_print(table);
}

/* In a word, how far a VM has come. */
static const char *attachment_word(const json_t *attachment)
{
	if (!flag_of(attachment, "connected"))
		return "no";
	return flag_of(attachment, "running") ? "running" : "connected";
}

/* A number for both directions, or both if they differ. */
static void cell_of_both(struct table *table, const json_t *port, const char *tx, const char *rx)
{
	if (number_of(port, tx) == number_of(port, rx))
		table_cell(table, "%lld", number_of(port, tx));
	else
		table_cell(table, "%lld/%lld", number_of(port, tx), number_of(port, rx));
}

/* Who has the port: two cells. */
static void cells_of_owner(struct table *table, const json_t *port)
{
	const json_t *attachment = json_object_get(port, "attachment");
	const json_t *processes = json_object_get(port, "processes");
	size_t count = json_array_size(processes);

	if (count == 0) {
		table_cell(table, "%s", attachment_word(attachment));
		table_cell(table, flag_of(attachment, "connected") ? "%lld" : "-",
			   number_of(attachment, "pid"));
		return;
	}
	table_cell(table, count == 1 ? "program" : "%zu programs", count);
	table_cell(table, "%lld", number_of(json_array_get(processes, 0), "pid"));
}

void print_ports(const json_t *result)
{
	struct table *table = table_new("PORT TYPE STAYS >RINGS >SLOTS MAC REGION ATTACHED >PID");
	json_t *port;
	size_t i;

	json_array_foreach(result, i, port)
	{
		table_cell(table, "%s", text_of(port, "name"));
		table_cell(table, "%s", text_of(port, "type"));
		table_cell(table, "%s", text_of(port, "lifetime"));
		cell_of_both(table, port, "tx_rings", "rx_rings");
		cell_of_both(table, port, "tx_slots", "rx_slots");
		table_cell(table, "%s", text_of(port, "mac"));
		table_cell(table, "%s", text_of(port, "region"));
		cells_of_owner(table, port);
	}
	table_print(table);
}

static const char *end_word(const json_t *pipe, const char *vm, const char *programs)
{
	if (number_of(pipe, programs) > 0)
		return "program";
	return flag_of(pipe, vm) ? "attached" : "free";
}

void print_pipes(const json_t *result)
{
	struct table *table = table_new("PIPE REGION >RINGS >SLOTS MASTER SLAVE");
	json_t *pipe;
	size_t i;

	json_array_foreach(result, i, pipe)
	{
		table_cell(table, "%s", text_of(pipe, "name"));
		table_cell(table, "%s", text_of(pipe, "region"));
		table_cell(table, "%lld", number_of(pipe, "rings"));
		table_cell(table, "%lld", number_of(pipe, "slots"));
		table_cell(table, "%s", end_word(pipe, "master_connected", "master_processes"));
		table_cell(table, "%s", end_word(pipe, "slave_connected", "slave_processes"));
	}
	table_print(table);
}

void print_attachments(const json_t *result)
{
	struct table *table = table_new(
		"PORT ATTACHED >PID >UID EXTENSION >CONNECTIONS >MESSAGES >ERRORS >DMA-RANGES");
	json_t *attachment;
	size_t i;

	json_array_foreach(result, i, attachment)
	{
		bool connected = flag_of(attachment, "connected");

		table_cell(table, "%s", text_of(attachment, "port"));
		table_cell(table, "%s", attachment_word(attachment));
		table_cell(table, connected ? "%lld" : "-", number_of(attachment, "pid"));
		table_cell(table, connected ? "%lld" : "-", number_of(attachment, "uid"));
		table_cell(table, "%s", yes_no(flag_of(attachment, "extension")));
		table_cell(table, "%lld", number_of(attachment, "connections"));
		table_cell(table, "%lld", number_of(attachment, "messages"));
		table_cell(table, "%lld", number_of(attachment, "protocol_errors"));
		table_cell(table, "%lld", number_of(attachment, "dma_ranges"));
	}
	table_print(table);
	print_errors(result, "port");
}

/* The numbers of an array, as "0-3 7"; for free(). */
static char *ranges_of(const json_t *array)
{
	size_t count = json_array_size(array), length;
	char *text = NULL;
	FILE *out = open_memstream(&text, &length);

	if (out == NULL)
		abort();
	for (size_t i = 0; i < count; i++) {
		long long first = json_integer_value(json_array_get(array, i)), last = first;

		while (i + 1 < count &&
		       json_integer_value(json_array_get(array, i + 1)) == last + 1) {
			last++;
			i++;
		}
		fprintf(out, last > first ? "%s%lld-%lld" : "%s%lld", ftell(out) > 0 ? " " : "",
			first, last);
	}
	fclose(out);
	return text;
}

void print_programs(const json_t *result)
{
	struct table *table =
		table_new("PORT >PID >UID TX-RINGS RX-RINGS EXCLUSIVE >EXTRA-BUFFERS >REQUESTS");
	json_t *list = json_pack("[O]", result);
	json_t *program;
	size_t i;

	json_array_foreach(json_object_get(result, "programs"), i, program)
	{
		char *tx = ranges_of(json_object_get(program, "tx_rings"));
		char *rx = ranges_of(json_object_get(program, "rx_rings"));

		table_cell(table, "%s", text_of(program, "port"));
		table_cell(table, "%lld", number_of(program, "pid"));
		table_cell(table, "%lld", number_of(program, "uid"));
		table_cell(table, "%s", tx);
		table_cell(table, "%s", rx);
		table_cell(table, "%s", yes_no(flag_of(program, "exclusive")));
		table_cell(table, "%lld", number_of(program, "extra_buffers"));
		table_cell(table, "%lld", number_of(program, "requests"));
		free(tx);
		free(rx);
	}
	table_print(table);
	print_errors(list, "socket");
	json_decref(list);
}

void print_workers(const json_t *result)
{
	struct table *table = table_new(
		">WORKER >RINGS >WATCHES >WAKE-UPS >BATCHES >RECHECKS >LOOKS >LOOKS-PAID");
	json_t *worker;
	size_t i;

	json_array_foreach(result, i, worker)
	{
		table_cell(table, "%lld", number_of(worker, "index"));
		table_cell(table, "%lld", number_of(worker, "rings"));
		table_cell(table, "%lld", number_of(worker, "watches"));
		table_cell(table, "%lld", number_of(worker, "wakeups"));
		table_cell(table, "%lld", number_of(worker, "batches"));
		table_cell(table, "%lld", number_of(worker, "rechecks"));
		table_cell(table, "%lld", number_of(worker, "looks"));
		table_cell(table, "%lld", number_of(worker, "looks_paid"));
	}
	table_print(table);
}

static void print_section(const json_t *result, const char *key, void (*print)(const json_t *))
{
	const json_t *list = json_object_get(result, key);

	if (json_array_size(list) == 0)
		return;
	putchar('\n');
	print(list);
}

static void print_section_object(const json_t *result, const char *key,
				 void (*print)(const json_t *))
{
	putchar('\n');
	print(json_object_get(result, key));
}

void print_show(const json_t *result)
{
	print_version(result);
	print_section(result, "switches", print_switches);
	print_section(result, "ports", print_ports);
	print_section(result, "pipes", print_pipes);
	print_section(result, "regions", print_regions);
	print_section(result, "workers", print_workers);
	if (json_array_size(json_object_get(json_object_get(result, "netmap"), "programs")) > 0)
		print_section_object(result, "netmap", print_programs);
}

static void print_ring(const json_t *ring)
{
	const json_t *counters = json_object_get(ring, "counters");
	const char *name;
	json_t *value;

	printf("  %s%lld %s", text_of(ring, "direction"), number_of(ring, "index"),
	       text_of(ring, "state"));
	if (strcmp(text_of(ring, "state"), "faulted") == 0)
		printf(" (%s)", text_of(ring, "fault"));
	printf(": head %lld, cur %lld, hwcur %lld, hwtail %lld of %lld slots\n",
	       number_of(ring, "head"), number_of(ring, "cur"), number_of(ring, "hwcur"),
	       number_of(ring, "hwtail"), number_of(ring, "slots"));
	json_object_foreach((json_t *)counters, name, value) if (json_integer_value(value) != 0)
		printf("    %-26s %lld\n", name, (long long)json_integer_value(value));
}

void print_rings(const json_t *port)
{
	json_t *ring;
	size_t i;

	printf("%s", text_of(port, "name"));
	if (number_of(port, "bad_kicks") > 0)
		printf(", %lld kicks for rings that it does not have",
		       number_of(port, "bad_kicks"));
	putchar('\n');
	json_array_foreach(json_object_get(port, "rings"), i, ring) print_ring(ring);
}

static const char *text_or_dash(const json_t *object, const char *key)
{
	const char *text = text_of(object, key);

	return text[0] != '\0' ? text : "-";
}

void print_port(const json_t *result)
{
	const json_t *access = json_object_get(result, "programs");
	json_t *list = json_pack("[O]", result);

	print_ports(list);
	json_decref(list);
	printf("\nsocket         %s\nmemdev socket  %s\nlongest frame  %lld bytes\n",
	       text_or_dash(result, "socket"), text_or_dash(result, "memdev_socket"),
	       number_of(result, "max_frame"));
	printf("programs of    user %lld, group %lld, mode %s\n\n", number_of(access, "uid"),
	       number_of(access, "gid"), text_of(access, "mode"));
	print_rings(json_object_get(result, "counters"));
}

int run_request(struct invocation *invocation)
{
	const struct command *command = invocation->command;
	json_t *result;

	if (invocation->count > 0) {
		json_t *name = json_string(invocation->arguments[0]);

		if (name == NULL) {
			fprintf(stderr, "ptnetctl: the name is not valid UTF-8\n");
			return EXIT_USAGE;
		}
		json_object_set_new(invocation->options, "name", name);
	}
	result = client_request(invocation->client, command->request, invocation->options);
	if (result == NULL)
		return EXIT_FAILURE;
	if (invocation->json)
		json_print(result, false);
	else if (command->print != NULL)
		command->print(result);
	json_decref(result);
	return EXIT_SUCCESS;
}

int run_log_level(struct invocation *invocation)
{
	json_t *result;

	if (invocation->count > 0) {
		json_t *level = json_string(invocation->arguments[0]);

		if (level == NULL) {
			fprintf(stderr, "ptnetctl: the level is not valid UTF-8: give error, "
					"warning, info or debug\n");
			return EXIT_USAGE;
		}
		json_object_set_new(invocation->options, "level", level);
	}
	result = client_request(invocation->client, "log-level", invocation->options);
	if (result == NULL)
		return EXIT_FAILURE;
	if (invocation->json)
		json_print(result, false);
	else if (invocation->count == 0)
		puts(text_of(result, "level"));
	json_decref(result);
	return EXIT_SUCCESS;
}
