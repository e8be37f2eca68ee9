/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ptnetctl stats: the counters, or with --watch how fast they grow. TX is what the
 * port's owner sends, RX what it gets.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "command.h"
#include "table.h"

/* The counters of the ports that were asked for. NULL: it failed and was said. */
static json_t *counters_get(struct invocation *invocation)
{
	json_t *all, *some, *port;
	bool found;
	size_t i;

	all = client_request(invocation->client, "counters", NULL);
	if (all == NULL || invocation->count == 0)
		return all;
	some = json_array();
	for (int a = 0; a < invocation->count; a++) {
		found = false;
		json_array_foreach(json_object_get(all, "ports"), i, port)
		{
			if (strcmp(text_of(port, "name"), invocation->arguments[a]) != 0)
				continue;
			json_array_append(some, port);
			found = true;
		}
		if (!found) {
			fprintf(stderr,
				"ptnetctl: there is no port \"%s\"; 'ptnetctl port list' shows "
				"those "
				"that there are\n",
				invocation->arguments[a]);
			json_decref(some);
			json_decref(all);
			return NULL;
		}
	}
	json_object_set_new(all, "ports", some);
	return all;
}

/*
 * The sums over the rings of one direction ("tx", "rx"), by counter; "drops" is the
 * sum of those whose names begin so.
 */
static json_t *sums_of(const json_t *port, const char *direction)
{
	json_t *sums = json_object(), *ring, *value;
	long long drops = 0;
	const char *name;
	size_t i;

	json_array_foreach(json_object_get(port, "rings"), i, ring)
	{
		if (strcmp(text_of(ring, "direction"), direction) != 0)
			continue;
		json_object_foreach(json_object_get(ring, "counters"), name, value)
		{
			long long more = json_integer_value(value);

			json_object_set_new(sums, name, json_integer(number_of(sums, name) + more));
			if (strncmp(name, "drop_", 5) == 0)
				drops += more;
		}
	}
	json_object_set_new(sums, "drops", json_integer(drops));
	return sums;
}

/* The worst of the rings' states. */
static const char *state_of(const json_t *port)
{
	const char *state = "stopped";
	json_t *ring;
	size_t i;

	json_array_foreach(json_object_get(port, "rings"), i, ring)
	{
		state = text_of(ring, "state");
		if (strcmp(state, "faulted") == 0)
			break;
	}
	return state;
}

static void print_totals(const json_t *ports)
{
	struct table *table = table_new(
		"PORT STATE >TX-PACKETS >TX-BYTES >TX-DROPS >RX-PACKETS >RX-BYTES >RX-DROPS");
	json_t *port;
	size_t i;

	json_array_foreach(ports, i, port)
	{
		table_cell(table, "%s", text_of(port, "name"));
		table_cell(table, "%s", state_of(port));
		for (int d = 0; d < 2; d++) {
			json_t *sums = sums_of(port, d == 0 ? "tx" : "rx");

			table_cell(table, "%lld", number_of(sums, "packets"));
			table_cell(table, "%lld", number_of(sums, "bytes"));
			table_cell(table, "%lld", number_of(sums, "drops"));
			json_decref(sums);
		}
	}
	table_print(table);
}

static const json_t *port_named(const json_t *counters, const char *name)
{
	json_t *port;
	size_t i;

	json_array_foreach(json_object_get(counters, "ports"), i,
			   port) if (strcmp(text_of(port, "name"), name) == 0) return port;
	return NULL;
}

/* Per second, between two answers; a counter that went back belongs to a new port. */
static json_t *rates_of(const json_t *before, const json_t *after, const char *direction,
			double seconds)
{
	json_t *old = sums_of(before, direction), *new = sums_of(after, direction);
	json_t *rates = json_object(), *value;
	const char *name;

	json_object_foreach(new, name, value)
	{
		long long more = json_integer_value(value) - number_of(old, name);

		if (more < 0)
			more = json_integer_value(value);
		json_object_set_new(rates, name, json_real((double)more / seconds));
	}
	json_decref(old);
	json_decref(new);
	return rates;
}

/* {"time_ns", "seconds", "ports": [{"name", "state", "tx": {...}, "rx": {...}}]}, all per second.
 */
static json_t *rates_between(const json_t *before, const json_t *after)
{
	double seconds = (double)(number_of(after, "time_ns") - number_of(before, "time_ns")) / 1e9;
	json_t *ports = json_array(), *port;
	size_t i;

	json_array_foreach(json_object_get(after, "ports"), i, port)
	{
		const json_t *old = port_named(before, text_of(port, "name"));

		if (old == NULL || seconds <= 0)
			continue;
		json_array_append_new(ports,
				      json_pack("{s:s, s:s, s:o, s:o}", "name",
						text_of(port, "name"), "state", state_of(port),
						"tx", rates_of(old, port, "tx", seconds), "rx",
						rates_of(old, port, "rx", seconds)));
	}
	return json_pack("{s:I, s:f, s:o}", "time_ns", (json_int_t)number_of(after, "time_ns"),
			 "seconds", seconds, "ports", ports);
}

static double real_of(const json_t *object, const char *key)
{
	return json_number_value(json_object_get(object, key));
}

static void print_rates(const json_t *rates)
{
	struct table *table = table_new("PORT STATE >TX-PPS >TX-MBIT/S >TX-DROPS/S >TX-KICKS/S "
					">RX-PPS >RX-MBIT/S >RX-DROPS/S >RX-INTR/S");
	json_t *port;
	size_t i;

	json_array_foreach(json_object_get(rates, "ports"), i, port)
	{
		const json_t *tx = json_object_get(port, "tx"), *rx = json_object_get(port, "rx");

		table_cell(table, "%s", text_of(port, "name"));
		table_cell(table, "%s", text_of(port, "state"));
		table_cell(table, "%.0f", real_of(tx, "packets"));
		table_cell(table, "%.1f", real_of(tx, "bytes") * 8 / 1e6);
		table_cell(table, "%.0f", real_of(tx, "drops"));
		table_cell(table, "%.0f", real_of(tx, "kicks_received"));
		table_cell(table, "%.0f", real_of(rx, "packets"));
		table_cell(table, "%.1f", real_of(rx, "bytes") * 8 / 1e6);
		table_cell(table, "%.0f", real_of(rx, "drops"));
		table_cell(table, "%.0f", real_of(rx, "interrupts_sent"));
	}
	table_print(table);
}

static void sleep_seconds(double seconds)
{
	struct timespec left = {.tv_sec = (time_t)seconds,
				.tv_nsec = (long)(fmod(seconds, 1) * 1e9)};

	nanosleep(&left, NULL);
}

/*
 * Lets go of the daemon while it sleeps, which serves only so many clients and
 * disconnects those that are silent for long. False: it is gone, as was said.
 */
static bool pause_watching(struct invocation *invocation, double seconds)
{
	client_close(invocation->client);
	invocation->client = NULL;
	sleep_seconds(seconds);
	invocation->client = client_connect(invocation->control);
	return invocation->client != NULL;
}

static int watch(struct invocation *invocation, double interval)
{
	const json_t *limit = option_get(invocation, "count");
	long long left = json_integer_value(limit);
	json_t *before = counters_get(invocation), *after, *rates;

	while (before != NULL && (limit == NULL || left-- > 0)) {
		after = pause_watching(invocation, interval) ? counters_get(invocation) : NULL;
		if (after == NULL)
			break;
		rates = rates_between(before, after);
		if (invocation->json)
			json_print(rates, true);
		else
			print_rates(rates);
		if (!invocation->json && (limit == NULL || left > 0))
			putchar('\n');
		fflush(stdout);
		json_decref(rates);
		json_decref(before);
		before = after;
		if (ferror(stdout))
			break;
	}
	json_decref(before);
	return before != NULL && limit != NULL && left < 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* A port's name has letters. */
static bool is_number(const char *text)
{
	return text[0] != '\0' && text[strspn(text, "0123456789.")] == '\0';
}

int run_stats(struct invocation *invocation)
{
	const json_t *interval = option_get(invocation, "watch");
	const json_t *count = option_get(invocation, "count");
	json_t *counters, *port;
	size_t i;

	for (int a = 0; a < invocation->count; a++)
		if (interval != NULL && is_number(invocation->arguments[a])) {
			fprintf(stderr,
				"ptnetctl: \"%s\" is no port; for seconds give --watch=%s\n",
				invocation->arguments[a], invocation->arguments[a]);
			return EXIT_USAGE;
		}
	if (count != NULL && json_integer_value(count) == 0) {
		fprintf(stderr, "ptnetctl: --count 0: give 1 or more\n");
		return EXIT_USAGE;
	}
	if (interval != NULL)
		return watch(invocation, json_number_value(interval));
	if (count != NULL) {
		fprintf(stderr, "ptnetctl: --count needs --watch\n");
		return EXIT_USAGE;
	}
	counters = counters_get(invocation);
	if (counters == NULL)
		return EXIT_FAILURE;
	if (invocation->json)
		json_print(counters, false);
	else if (invocation->count == 0)
		print_totals(json_object_get(counters, "ports"));
	else
		json_array_foreach(json_object_get(counters, "ports"), i, port) print_rings(port);
	json_decref(counters);
	return EXIT_SUCCESS;
}
