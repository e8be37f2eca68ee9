/* SPDX-License-Identifier: BSD-2-Clause */
#include "log/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *error, int code, const char *format, ...)
{
	va_list args;

	if (error == NULL)
		return -code;
	error->code = code;
	va_start(args, format);
	vsnprintf(error->text, sizeof(error->text), format, args);
	va_end(args);
	return -code;
}

void error_prefix(struct error *error, const char *format, ...)
{
	char before[sizeof(error->text)];
	char after[sizeof(error->text)];
	va_list args;

	if (error == NULL)
		return;
	va_start(args, format);
	vsnprintf(before, sizeof(before), format, args);
	va_end(args);
	memcpy(after, error->text, sizeof(after));
	size_t used = (size_t)snprintf(error->text, sizeof(error->text), "%s: ", before);
	if (used < sizeof(error->text))
		snprintf(error->text + used, sizeof(error->text) - used, "%s", after);
}
