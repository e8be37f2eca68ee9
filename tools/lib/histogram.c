/* SPDX-License-Identifier: BSD-2-Clause */
#include "histogram.h"

#include <string.h>

#define SUB_BITS 6

void histogram_init(struct histogram *h)
{
	memset(h, 0, sizeof(*h));
	h->min = UINT64_MAX;
}

/* Values below 64 have a class each; above, the top 7 bits and the magnitude name the class. */
static unsigned int class_of(uint64_t v)
{
	unsigned int shift;

	if (v < HISTOGRAM_SUB)
		return (unsigned int)v;
	shift = 63 - (unsigned int)__builtin_clzll(v) - SUB_BITS;
	return (shift + 1) * HISTOGRAM_SUB + (unsigned int)(v >> shift) - HISTOGRAM_SUB;
}

/* The largest value of a class. */
static uint64_t upper(unsigned int c)
{
	unsigned int shift;

	if (c < HISTOGRAM_SUB)
		return c;
	shift = c / HISTOGRAM_SUB - 1;
	return ((uint64_t)(c % HISTOGRAM_SUB + HISTOGRAM_SUB) << shift) +
	       ((UINT64_C(1) << shift) - 1);
}

void histogram_add(struct histogram *h, uint64_t ns)
{
	h->classes[class_of(ns)]++;
	h->n++;
	h->sum += ns;
	if (ns < h->min)
		h->min = ns;
	if (ns > h->max)
		h->max = ns;
}

uint64_t histogram_quantile(const struct histogram *h, unsigned int permille)
{
	uint64_t want = (uint64_t)(((unsigned __int128)h->n * permille + 999) / 1000), got = 0;
	unsigned int c;

	for (c = 0; c < HISTOGRAM_CLASSES && h->n; c++) {
		got += h->classes[c];
		if (got && got >= want)
			return upper(c) < h->max ? upper(c) : h->max;
	}
	return 0;
}

uint64_t histogram_mean(const struct histogram *h)
{
	return h->n ? (uint64_t)(h->sum / h->n) : 0;
}
