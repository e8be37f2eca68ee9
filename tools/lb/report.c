/* SPDX-License-Identifier: BSD-2-Clause */
/* What spreading came to. */
#include "balancer.h"

#include "number.h"

#include <stdio.h>

static json_t *pipe_json(const struct open_port *p, const struct outlet *o)
{
	return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "pipe", p->d->hdr.nr_name,
			 "packets", json_figure(o->packets), "bytes", json_figure(o->bytes),
			 "dropped", json_figure(o->dropped), "waiting", json_figure(o->queue.slots),
			 "most_waiting", json_figure(o->queue.most), "mended",
			 json_figure(o->mended));
}

static json_t *groups_json(const struct balancer *b)
{
	json_t *groups = json_array();
	unsigned int g, i;

	for (g = 0; g < b->spreader.n_groups; g++) {
		json_t *pipes = json_array();

		for (i = 0; i < b->groups[g].count; i++) {
			unsigned int n = b->groups[g].first + i;

			/* One that could not be opened ends the list. */
			if (n < b->spreader.n_outlets)
				json_array_append_new(pipes,
						      pipe_json(&b->pipes[n], &b->outlets[n]));
		}
		json_array_append_new(groups, pipes);
	}
	return groups;
}

json_t *balancer_json(const struct balancer *b, enum exit_status status)
{
	const struct spreader *s = &b->spreader;
	json_t *doc;

	doc = json_pack(
		"{s:s, s:i, s:f, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:o, s:o, s:o, s:o}, s:o}",
		"port", b->options->port, "status", (int)status, "seconds",
		(double)b->seconds_ns / 1e9, "packets", json_figure(s->packets), "bytes",
		json_figure(s->bytes), "bad", json_figure(s->bad), "empty_slots",
		json_figure(s->empty), "dropped", json_figure(balancer_dropped(b)), "extra_buffers",
		json_figure(b->extra), "flows_by", "ports", json_figure(s->kinds[FLOW_PORTS]),
		"addresses", json_figure(s->kinds[FLOW_ADDRESSES]), "mac",
		json_figure(s->kinds[FLOW_MAC]), "nothing", json_figure(s->kinds[FLOW_SHORT]),
		"groups", groups_json(b));
	json_add_error(doc);
	return doc;
}

static void print_summary(const struct balancer *b)
{
	const struct spreader *s = &b->spreader;
	unsigned int i;

	printf("%s: %llu packets, %llu bytes in %.3f s; %llu bad\n", b->options->port,
	       (unsigned long long)s->packets, (unsigned long long)s->bytes,
	       (double)b->seconds_ns / 1e9, (unsigned long long)s->bad);
	for (i = 0; i < s->n_outlets; i++)
		printf("  %s: %llu packets, %llu dropped, %u buffers at most waiting\n",
		       b->pipes[i].d->hdr.nr_name, (unsigned long long)b->outlets[i].packets,
		       (unsigned long long)b->outlets[i].dropped, b->outlets[i].queue.most);
}

int balancer_report(const struct balancer *b, enum exit_status status)
{
	const struct reporting *r = &b->options->reporting;

	if (status != STATUS_FAILED && reporting_text(r))
		print_summary(b);
	return r->json ? json_write(balancer_json(b, status), r->json_file) : 0;
}
