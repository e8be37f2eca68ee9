/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Numbers as people write them on a command line. All return 0 or -EINVAL/-ERANGE and leave
 * the result alone on error.
 */
#ifndef TOOLS_NUMBER_H
#define TOOLS_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* "1500", "64k", "10M", "2G" (powers of 1000), within min..max. */
int parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* Packets per second, fractions allowed ("0.5", "14.88M"), in thousandths. */
int parse_rate(const char *text, uint64_t *milli_pps);

/* The same, or bits per second if the unit says so: "100Mbps", "1.5Gbit/s", "10kpps". Sets one of
 * the two, milli_pps in thousandths, and the other to 0. */
int parse_traffic_rate(const char *text, uint64_t *milli_pps, uint64_t *bits);

/* Seconds, fractions allowed, or with a unit: "2", "0.25", "300ms", "50us". In ns. */
int parse_duration(const char *text, int64_t *ns);

/* "8.12 M" for 8120000: three digits that matter, a space, a unit letter if any. */
const char *with_unit(double value, char *buf, size_t size);

#endif
