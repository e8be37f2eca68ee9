/* SPDX-License-Identifier: BSD-2-Clause */
#include "argument.h"

#include "message.h"
#include "number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int argument_count(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	if (!parse_count(text, min, max, value))
		return 0;
	if (max == UINT64_MAX)
		return complain("%s %s: give a number, %llu or more, such as 1000 or 10M", name,
				text, (unsigned long long)min);
	return complain("%s %s: give a number from %llu to %llu", name, text,
			(unsigned long long)min, (unsigned long long)max);
}

int argument_count32(const char *name, const char *text, uint32_t min, uint32_t max,
		     uint32_t *value)
{
	uint64_t n = 0;

	if (argument_count(name, text, min, max, &n))
		return -1;
	*value = (uint32_t)n;
	return 0;
}

int argument_duration(const char *name, const char *text, int64_t *ns)
{
	if (parse_duration(text, ns))
		return complain(
			"%s %s: give seconds (2, 0.5) or a time with its unit (300ms, 50us)", name,
			text);
	return 0;
}

int argument_factor(const char *name, const char *text, double *factor)
{
	char *end;
	double value = strtod(text, &end);

	if (end == text || *end || !(value > 0) || value > 1e6)
		return complain("%s %s: give a factor above 0, such as 2 or 0.1", name, text);
	*factor = value;
	return 0;
}

int argument_port(const char *text, char *full, size_t size)
{
	const char *prefix =
		!strncmp(text, "netmap:", 7) || !strncmp(text, "vale", 4) ? "" : "netmap:";

	if ((size_t)snprintf(full, size, "%s%s", prefix, text) >= size)
		return complain("the port's name is too long");
	return 0;
}
