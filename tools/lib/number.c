/* SPDX-License-Identifier: BSD-2-Clause */
#include "number.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static double scale(const char *unit)
{
	if (!*unit)
		return 1;
	if (unit[1])
		return 0;
	switch (*unit) {
	case 'k':
	case 'K':
		return 1e3;
	case 'M':
		return 1e6;
	case 'G':
		return 1e9;
	default:
		return 0;
	}
}

int parse_count(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	unsigned long long n;
	double factor;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno)
		return -ERANGE;
	factor = scale(end);
	if (factor == 0)
		return -EINVAL;
	if (n > UINT64_MAX / (uint64_t)factor)
		return -ERANGE;
	n *= (uint64_t)factor;
	if (n < min || n > max)
		return -ERANGE;
	*value = n;
	return 0;
}

/* A decimal fraction that is not negative; *end is what follows. */
static int parse_fraction(const char *text, double *value, char **end)
{
	if ((*text < '0' || *text > '9') && *text != '.')
		return -EINVAL;
	errno = 0;
	*value = strtod(text, end);
	if (*end == text)
		return -EINVAL;
	return errno || !isfinite(*value) ? -ERANGE : 0;
}

int parse_rate(const char *text, uint64_t *milli_pps)
{
	double value, factor;
	char *end;
	int error = parse_fraction(text, &value, &end);

	if (error)
		return error;
	factor = scale(end);
	if (factor == 0)
		return -EINVAL;
	value *= factor * 1000;
	if (value < 1 || value > 1e15)
		return -ERANGE;
	*milli_pps = (uint64_t)(value + 0.5);
	return 0;
}

/* What a rate counts: 'p'ackets, 'b'its, or 0 if that can't be told. */
static char rate_of_what(const char *unit)
{
	static const char *const bits[] = {"bps", "bit", "bit/s", "bits/s"};
	size_t i;

	if (!*unit || !strcmp(unit, "pps"))
		return 'p';
	for (i = 0; i < sizeof(bits) / sizeof(bits[0]); i++) {
		if (!strcmp(unit, bits[i]))
			return 'b';
	}
	return 0;
}

int parse_traffic_rate(const char *text, uint64_t *milli_pps, uint64_t *bits)
{
	char prefix[2] = "", *end, what;
	double value;
	int error = parse_fraction(text, &value, &end);

	if (error)
		return error;
	if (*end && strchr("kKMG", *end))
		prefix[0] = *end++;
	what = rate_of_what(end);
	if (!what)
		return -EINVAL;
	value *= scale(prefix) * (what == 'p' ? 1000 : 1);
	if (value < 1 || value > 1e15)
		return -ERANGE;
	*milli_pps = what == 'p' ? (uint64_t)(value + 0.5) : 0;
	*bits = what == 'b' ? (uint64_t)(value + 0.5) : 0;
	return 0;
}

int parse_duration(const char *text, int64_t *ns)
{
	double value, factor;
	char *end;
	int error = parse_fraction(text, &value, &end);

	if (error)
		return error;
	if (!*end || !strcmp(end, "s"))
		factor = 1e9;
	else if (!strcmp(end, "ms"))
		factor = 1e6;
	else if (!strcmp(end, "us"))
		factor = 1e3;
	else
		return -EINVAL;
	value *= factor;
	if (value > 1e18)
		return -ERANGE;
	*ns = (int64_t)(value + 0.5);
	return 0;
}

const char *with_unit(double value, char *buf, size_t size)
{
	static const char *const units[] = {"", "k", "M", "G", "T"};
	unsigned int u = 0;

	while (value >= 999.5 && u < 4) {
		value /= 1000;
		u++;
	}
	snprintf(buf, size, "%.*f %s", value < 9.995 ? 2 : value < 99.95 ? 1 : 0, value, units[u]);
	return buf;
}
