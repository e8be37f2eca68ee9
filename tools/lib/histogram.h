/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Times in ns, counted in classes no wider than 1/64 of their value: percentiles are right to
 * 1.6 per cent, minimum, maximum and mean are exact. Fixed memory, however many values.
 */
#ifndef TOOLS_HISTOGRAM_H
#define TOOLS_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_SUB	  64 /* classes per power of two */
#define HISTOGRAM_CLASSES ((64 - 6 + 1) * HISTOGRAM_SUB)

struct histogram {
	uint64_t n, min, max;
	unsigned __int128 sum;
	uint64_t classes[HISTOGRAM_CLASSES];
};

void histogram_init(struct histogram *h);
void histogram_add(struct histogram *h, uint64_t ns);

/* The value that permille of 1000 values do not exceed, from above; 0 if there are none. */
uint64_t histogram_quantile(const struct histogram *h, unsigned int permille);
uint64_t histogram_mean(const struct histogram *h);

#endif
