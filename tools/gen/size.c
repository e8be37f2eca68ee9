/* SPDX-License-Identifier: BSD-2-Clause */
#include "size.h"

#include "number.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* 40, 576 and 1500 bytes of IP, 7:4:1, the first padded to Ethernet's minimum. */
#define IMIX "60:7,590:4,1514:1"

/* "60", "60-100", either with ":weight"; cut up in place. */
static int parse_part(struct size_part *part, char *text)
{
	char *weight = strchr(text, ':'), *to = strchr(text, '-');
	uint64_t a, b, w = 1;
	int error;

	if (weight)
		*weight++ = '\0';
	if (to)
		*to++ = '\0';
	error = parse_count(text, SIZE_MIN, SIZE_MAX_FRAME, &a);
	b = a;
	if (!error && to)
		error = parse_count(to, SIZE_MIN, SIZE_MAX_FRAME, &b);
	if (!error && weight)
		error = parse_count(weight, 1, 1000000, &w);
	if (error)
		return error;
	if (b < a)
		return -EINVAL;
	part->from = (uint32_t)a;
	part->to = (uint32_t)b;
	part->weight = (uint32_t)w;
	return 0;
}

int size_parse(struct size_distribution *d, const char *text)
{
	char copy[1024], *scan = copy, *item;

	memset(d, 0, sizeof(*d));
	if (!strcmp(text, "imix"))
		text = IMIX;
	if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
		return -E2BIG;
	while ((item = strsep(&scan, ","))) {
		int error;

		if (d->n == SIZE_MAX_PARTS)
			return -E2BIG;
		error = parse_part(&d->parts[d->n], item);
		if (error)
			return error;
		d->total_weight += d->parts[d->n++].weight;
	}
	return 0;
}

static uint32_t within(const struct size_part *p, struct random *r)
{
	return p->from == p->to ? p->from : p->from + random_below(r, p->to - p->from + 1);
}

uint32_t size_next(const struct size_distribution *d, struct random *r)
{
	const struct size_part *p = d->parts;
	uint32_t at;

	if (d->n > 1) {
		for (at = random_below(r, d->total_weight); at >= p->weight; p++)
			at -= p->weight;
	}
	return within(p, r);
}

uint32_t size_largest(const struct size_distribution *d)
{
	uint32_t largest = 0;
	unsigned int i;

	for (i = 0; i < d->n; i++) {
		if (d->parts[i].to > largest)
			largest = d->parts[i].to;
	}
	return largest;
}

bool size_is_fixed(const struct size_distribution *d)
{
	return d->n == 1 && d->parts[0].from == d->parts[0].to;
}
