/* SPDX-License-Identifier: BSD-2-Clause */
/* What a replay came to. */
#include "player.h"

#include "number.h"

#include <stdio.h>

/* A sender that was told to end need not be rid of everything. */
enum exit_status player_status(const struct player *p, int result)
{
	if (result)
		return STATUS_FAILED;
	return p->options->timeout && p->pending && replay_done(&p->replay) ? STATUS_BAD_TRAFFIC
									    : STATUS_OK;
}

static double active_seconds(const struct player *p)
{
	return (double)(p->last_ns - p->first_ns) / 1e9;
}

static json_t *late_json(const struct histogram *h)
{
	json_t *late = json_pack("{s:o}", "packets", json_figure(h->n));

	json_add_times(late, h);
	return late;
}

json_t *player_json(const struct player *p, enum exit_status status)
{
	const struct replay_options *o = p->options;
	double seconds = active_seconds(p);
	json_t *files = json_array(), *doc;
	size_t i;

	for (i = 0; i < o->n_files; i++)
		json_array_append_new(files, json_string(o->files[i]));
	doc = json_pack("{s:s, s:o, s:i, s:o, s:o, s:o, s:f, s:f, s:f, s:f, s:o, s:o, s:b, "
			"s:{s:o, s:o}, s:o}",
			"port", o->port, "files", files, "status", (int)status, "frames",
			json_figure(p->capture.n), "packets", json_figure(p->packets), "bytes",
			json_figure(p->bytes), "seconds", (double)p->seconds_ns / 1e9,
			"active_seconds", seconds, "pps", per_second((double)p->packets, seconds),
			"bps", per_second(8.0 * (double)p->bytes, seconds), "waits",
			json_figure(p->waits), "pending", json_figure(p->pending), "complete",
			(int)(status != STATUS_FAILED && replay_done(&p->replay)), "skipped", "cut",
			json_figure(p->skipped.cut), "too_long", json_figure(p->skipped.too_long),
			"late", late_json(&p->late));
	json_add_error(doc);
	return doc;
}

static void print_summary(const struct player *p)
{
	const struct histogram *h = &p->late;
	double seconds = active_seconds(p);
	char pps[16], bps[16];

	printf("%s: %llu packets, %llu bytes in %.3f s", p->options->port,
	       (unsigned long long)p->packets, (unsigned long long)p->bytes, seconds);
	if (seconds > 0)
		printf(": %spps, %sbps", with_unit((double)p->packets / seconds, pps, sizeof(pps)),
		       with_unit(8.0 * (double)p->bytes / seconds, bps, sizeof(bps)));
	putchar('\n');
	if (h->n)
		printf("  late in us: avg %.1f p50 %.1f p99 %.1f max %.1f\n",
		       (double)histogram_mean(h) / 1e3, (double)histogram_quantile(h, 500) / 1e3,
		       (double)histogram_quantile(h, 990) / 1e3, (double)h->max / 1e3);
	if (p->skipped.cut || p->skipped.too_long)
		printf("  skipped in each round: %llu cut short in the file, %llu too long for the "
		       "port\n",
		       (unsigned long long)p->skipped.cut, (unsigned long long)p->skipped.too_long);
}

int player_report(const struct player *p, enum exit_status status)
{
	const struct reporting *r = &p->options->reporting;

	if (p->pending && p->options->timeout)
		complain_of_pending(p->options->port, p->pending);
	if (status != STATUS_FAILED && reporting_text(r))
		print_summary(p);
	return r->json ? json_write(player_json(p, status), r->json_file) : 0;
}
