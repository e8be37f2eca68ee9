/* SPDX-License-Identifier: BSD-2-Clause */
#include "reporting.h"

#include "argument.h"
#include "message.h"
#include "output.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void reporting_defaults(struct reporting *r)
{
	*r = (struct reporting){.interval = -1};
}

int reporting_take(struct reporting *r, int c, const char *argument)
{
	switch (c) {
	case REPORTING_JSON:
		r->json = true;
		r->json_file = output_is_stdout(argument) ? NULL : argument;
		return 0;
	case REPORTING_QUIET:
		r->quiet = true;
		return 0;
	case REPORTING_INTERVAL:
		return argument_duration("--interval", argument, &r->interval);
	default:
		return 1;
	}
}

void reporting_complete(struct reporting *r)
{
	if (r->interval < 0)
		r->interval = isatty(STDERR_FILENO) ? 1000000000 : 0;
	if (r->quiet)
		r->interval = 0;
}

void progress_begin(struct progress *p, const struct reporting *r, int64_t now)
{
	p->interval = r->interval;
	p->last = now;
	p->next = r->interval ? now + r->interval : INT64_MAX;
}

int64_t progress_wait(const struct progress *p, int64_t now)
{
	if (p->next == INT64_MAX)
		return -1;
	return p->next > now ? p->next - now : 0;
}

bool progress_due(struct progress *p, int64_t now, double *seconds)
{
	if (now < p->next)
		return false;
	*seconds = (double)(now - p->last) / 1e9;
	p->last = now;
	/* Lines that could not be printed in time are left out. */
	p->next += ((now - p->next) / p->interval + 1) * p->interval;
	return true;
}

const char *progress_clock(char *buf, size_t size)
{
	time_t wall = time(NULL);
	struct tm tm;

	if (!strftime(buf, size, "%H:%M:%S", localtime_r(&wall, &tm)))
		*buf = '\0';
	return buf;
}

double per_second(double n, double seconds)
{
	return seconds > 0 ? n / seconds : 0;
}

void complain_of_pending(const char *port, uint32_t slots)
{
	complain("%s: the other side has not taken %u slots; they are lost when the port closes, "
		 "unless the other end of a pipe is open",
		 port, slots);
}

json_t *json_figure(uint64_t n)
{
	return json_integer((json_int_t)n);
}

void json_add_times(json_t *object, const struct histogram *h)
{
	json_object_set_new(object, "min_ns", json_figure(h->n ? h->min : 0));
	json_object_set_new(object, "avg_ns", json_figure(histogram_mean(h)));
	json_object_set_new(object, "p50_ns", json_figure(histogram_quantile(h, 500)));
	json_object_set_new(object, "p99_ns", json_figure(histogram_quantile(h, 990)));
	json_object_set_new(object, "p999_ns", json_figure(histogram_quantile(h, 999)));
	json_object_set_new(object, "max_ns", json_figure(h->max));
}

void json_add_error(json_t *doc)
{
	if (first_complaint())
		json_object_set_new(doc, "error", json_string(first_complaint()));
}

int json_write(json_t *doc, const char *file)
{
	FILE *out = file ? fopen(file, "we") : stdout;
	int failed;

	if (!out) {
		json_decref(doc);
		return complain("cannot write %s: %s", file, strerror(errno));
	}
	failed = !doc || json_dumpf(doc, out, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
	json_decref(doc);
	putc('\n', out);
	failed |= fflush(out) || ferror(out);
	if (file)
		fclose(out);
	return failed ? complain("the JSON report could not be written in whole") : 0;
}
