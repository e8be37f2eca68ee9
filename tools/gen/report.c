/* SPDX-License-Identifier: BSD-2-Clause */
#include "report.h"

#include "message.h"
#include "number.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static uint32_t pending(const struct run *r)
{
	uint32_t sum = 0;
	unsigned int i;

	for (i = 0; i < r->n_workers; i++)
		sum += r->workers[i].pending;
	return sum;
}

/* Packets of --count that did not come; 0 without --count. */
static uint64_t missing(const struct run *r)
{
	return r->options->count ? r->to_receive : 0;
}

static bool traffic_is_bad(const struct run *r)
{
	const struct gen_options *o = r->options;
	struct totals t = run_totals(r);
	enum stop_reason reason = run_reason(r);

	switch (o->function) {
	case GEN_RX:
		return o->check && (sequence_is_bad(r->tracker) || t.bad || missing(r));
	case GEN_PING:
		return t.missed || !t.packets;
	case GEN_TX:
		/* A sender that was told when to stop need not be rid of everything. */
		return o->timeout && pending(r) && (reason == STOP_COUNT || reason == STOP_END);
	default:
		return false;
	}
}

int report_status(const struct run *r)
{
	unsigned int i;

	for (i = 0; i < r->n_workers; i++) {
		if (r->workers[i].failed)
			return STATUS_FAILED;
	}
	if (run_reason(r) == STOP_ERROR)
		return STATUS_FAILED;
	return traffic_is_bad(r) ? STATUS_BAD_TRAFFIC : STATUS_OK;
}

/* Seconds from the first batch to the last, or to the end for a sender; 0 if there was one. */
static double active_seconds(const struct run *r)
{
	int64_t first = 0, last = 0;
	unsigned int i;

	for (i = 0; i < r->n_workers; i++) {
		const struct worker *w = &r->workers[i];

		if (w->first_ns && (!first || w->first_ns < first))
			first = w->first_ns;
		if (w->last_ns > last)
			last = w->last_ns;
	}
	return (double)(last - first) / 1e9;
}

/* ---- JSON ---- */

static json_t *sequence_json(struct sequence_tracker *t)
{
	struct sequence_counts c = sequence_total(t);

	return json_pack("{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "flows", (int)t->n_flows,
			 "received", json_figure(c.received), "lost", json_figure(c.lost),
			 "duplicated", json_figure(c.duplicated), "reordered",
			 json_figure(c.reordered), "stale", json_figure(c.stale), "corrupted",
			 json_figure(t->corrupted), "other", json_figure(t->other), "untracked",
			 json_figure(t->untracked));
}

static json_t *latency_json(const struct run *r)
{
	const struct histogram *h = r->workers[0].latency;
	struct totals t = run_totals(r);
	json_t *latency = json_pack("{s:o, s:o, s:o}", "answered", json_figure(h->n), "lost",
				    json_figure(t.missed), "late", json_figure(t.late));

	json_add_times(latency, h);
	return latency;
}

static json_t *threads_json(const struct run *r)
{
	json_t *list = json_array();
	unsigned int i;

	for (i = 0; i < r->n_workers; i++) {
		struct counters *c = &r->workers[i].counters;

		json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "packets",
						      json_figure(c->packets), "bytes",
						      json_figure(c->bytes), "batches",
						      json_figure(c->batches)));
	}
	return list;
}

json_t *report_json(const struct run *r)
{
	const struct gen_options *o = r->options;
	struct totals t = run_totals(r);
	double seconds = active_seconds(r);
	json_t *doc;

	doc = json_pack("{s:s, s:s, s:i, s:s, s:i, s:f, s:f, s:o, s:o, s:f, s:f, s:o, s:f, s:o}",
			"function", function_name(o->function), "port", o->port, "status",
			report_status(r), "stopped_by", stop_reason_name(run_reason(r)), "threads",
			(int)r->n_workers, "seconds", (double)r->seconds_ns / 1e9, "active_seconds",
			seconds, "packets", json_figure(t.packets), "bytes", json_figure(t.bytes),
			"pps", per_second((double)t.packets, seconds), "bps",
			per_second(8.0 * (double)t.bytes, seconds), "batches",
			json_figure(t.batches), "avg_batch",
			t.batches ? (double)t.packets / (double)t.batches : 0.0, "waits",
			json_figure(t.waits));
	if (!doc)
		return NULL;
	if (o->function == GEN_TX || o->function == GEN_PONG)
		json_object_set_new(doc, "pending", json_figure(pending(r)));
	if (o->function == GEN_RX) {
		json_object_set_new(doc, "empty_slots", json_figure(t.empty));
		json_object_set_new(doc, "bad", json_figure(t.bad));
		json_object_set_new(doc, "missing", json_figure(missing(r)));
	}
	if (o->function == GEN_PING || o->function == GEN_PONG)
		json_object_set_new(doc, "ignored", json_figure(t.ignored));
	if (r->replay.n)
		json_object_set_new(doc, "cut_frames", json_figure(r->replay.cut));
	if (r->tracker)
		json_object_set_new(doc, "sequence", sequence_json(r->tracker));
	if (o->function == GEN_PING)
		json_object_set_new(doc, "latency", latency_json(r));
	json_add_error(doc);
	json_object_set_new(doc, "per_thread", threads_json(r));
	return doc;
}

int report_print_failure(const struct gen_options *o)
{
	json_t *doc;

	if (!o->reporting.json)
		return 0;
	doc = json_pack("{s:s, s:s, s:i, s:s, s:s}", "function", function_name(o->function), "port",
			o->port, "status", STATUS_FAILED, "stopped_by",
			stop_reason_name(STOP_ERROR), "error",
			first_complaint() ? first_complaint() : "unknown");
	return json_write(doc, o->reporting.json_file);
}

/* ---- text ---- */

static void print_traffic(FILE *out, const struct run *r)
{
	struct totals t = run_totals(r);
	double seconds = active_seconds(r);
	char pps[16], bps[16];

	fprintf(out, "%s %s: %llu packets, %llu bytes in %.3f s",
		function_name(r->options->function), r->options->port,
		(unsigned long long)t.packets, (unsigned long long)t.bytes, seconds);
	if (seconds > 0)
		fprintf(out, ": %spps, %sbps",
			with_unit((double)t.packets / seconds, pps, sizeof(pps)),
			with_unit(8.0 * (double)t.bytes / seconds, bps, sizeof(bps)));
	if (t.batches)
		fprintf(out, ", %.1f packets per batch", (double)t.packets / (double)t.batches);
	fprintf(out, "; ended by %s\n", stop_reason_name(run_reason(r)));
	if (t.bad || t.empty)
		fprintf(out, "  %llu bad packets, %llu empty slots\n", (unsigned long long)t.bad,
			(unsigned long long)t.empty);
	if (r->options->function == GEN_RX && missing(r))
		fprintf(out, "  %llu packets fewer than --count\n", (unsigned long long)missing(r));
	if (r->replay.cut)
		fprintf(out, "  %zu frames were cut short already in the file\n", r->replay.cut);
}

static void print_sequence(FILE *out, struct sequence_tracker *t)
{
	struct sequence_counts c = sequence_total(t);

	fprintf(out,
		"  %llu checked in %u flows: %llu lost, %llu duplicated, %llu reordered, %llu "
		"stale, "
		"%llu corrupted; %llu other packets\n",
		(unsigned long long)c.received, t->n_flows, (unsigned long long)c.lost,
		(unsigned long long)c.duplicated, (unsigned long long)c.reordered,
		(unsigned long long)c.stale, (unsigned long long)t->corrupted,
		(unsigned long long)t->other);
}

static void print_latency(FILE *out, const struct run *r)
{
	const struct histogram *h = r->workers[0].latency;
	struct totals t = run_totals(r);

	fprintf(out, "  %llu answered, %llu lost, %llu late\n", (unsigned long long)h->n,
		(unsigned long long)t.missed, (unsigned long long)t.late);
	if (h->n)
		fprintf(out, "  round trip in us: min %.2f avg %.2f p50 %.2f p99 %.2f max %.2f\n",
			(double)h->min / 1e3, (double)histogram_mean(h) / 1e3,
			(double)histogram_quantile(h, 500) / 1e3,
			(double)histogram_quantile(h, 990) / 1e3, (double)h->max / 1e3);
}

int report_print(const struct run *r)
{
	const struct gen_options *o = r->options;
	FILE *out = o->stdout_taken ? stderr : stdout;

	if (pending(r) && o->timeout)
		complain_of_pending(o->port, pending(r));
	if (reporting_text(&o->reporting)) {
		print_traffic(out, r);
		if (r->tracker)
			print_sequence(out, r->tracker);
		if (o->function == GEN_PING)
			print_latency(out, r);
	}
	return o->reporting.json ? json_write(report_json(r), o->reporting.json_file) : 0;
}
