/* SPDX-License-Identifier: BSD-2-Clause */
/* What forwarding came to. */
#include "bridge.h"

#include "number.h"

#include <stdio.h>

static uint32_t pending(const struct bridge *b)
{
	return b->directions[0].pending + b->directions[1].pending;
}

enum exit_status bridge_status(const struct bridge *b, int result)
{
	if (result)
		return STATUS_FAILED;
	return b->options->timeout && pending(b) ? STATUS_BAD_TRAFFIC : STATUS_OK;
}

static json_t *direction_json(const struct direction *d)
{
	const struct forward_counters *c = &d->forwarder.counters;

	return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "from",
			 d->from->d->hdr.nr_name, "to", d->to->d->hdr.nr_name, "packets",
			 json_figure(c->packets), "bytes", json_figure(c->bytes), "dropped",
			 json_figure(c->dropped), "empty_slots", json_figure(c->empty), "stalls",
			 json_figure(c->stalls), "pending", json_figure(d->pending));
}

json_t *bridge_json(const struct bridge *b, enum exit_status status)
{
	json_t *list = json_array(), *doc;
	unsigned int i;

	/* A bridge that could not be opened has no figures. */
	for (i = 0; i < b->n_directions && b->directions[i].forwarder.scratch; i++)
		json_array_append_new(list, direction_json(&b->directions[i]));
	doc = json_pack("{s:s, s:s, s:i, s:b, s:f, s:o}", "port1", b->options->ports[0], "port2",
			b->options->ports[1], "status", (int)status, "zero_copy", (int)b->zero_copy,
			"seconds", (double)b->seconds_ns / 1e9, "directions", list);
	json_add_error(doc);
	return doc;
}

static void print_direction(const struct bridge *b, const struct direction *d)
{
	const struct forward_counters *c = &d->forwarder.counters;
	double seconds = (double)b->seconds_ns / 1e9;
	char pps[16];

	printf("%s > %s: %llu packets, %llu bytes in %.3f s", d->from->d->hdr.nr_name,
	       d->to->d->hdr.nr_name, (unsigned long long)c->packets, (unsigned long long)c->bytes,
	       seconds);
	if (seconds > 0)
		printf(": %spps", with_unit((double)c->packets / seconds, pps, sizeof(pps)));
	printf(", %s; %llu dropped, %llu stalls\n", b->zero_copy ? "buffers swapped" : "copied",
	       (unsigned long long)c->dropped, (unsigned long long)c->stalls);
}

int bridge_report(const struct bridge *b, enum exit_status status)
{
	const struct reporting *r = &b->options->reporting;
	unsigned int i;

	for (i = 0; i < b->n_directions && status != STATUS_FAILED; i++) {
		const struct direction *d = &b->directions[i];

		if (d->pending && b->options->timeout)
			complain_of_pending(d->to->d->hdr.nr_name, d->pending);
		if (reporting_text(r))
			print_direction(b, d);
	}
	return r->json ? json_write(bridge_json(b, status), r->json_file) : 0;
}
