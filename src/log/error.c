/* SPDX-License-Identifier: BSD-2-Clause */
#include "log/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#undef error_set
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

void error_suffix(struct error *error, const char *format, ...)
{
	va_list args;
	size_t used;

	if (error == NULL)
		return;
	used = strlen(error->text);
	va_start(args, format);
	vsnprintf(error->text + used, sizeof(error->text) - used, format, args);
	va_end(args);
}

void error_prefix(struct error *error, const char *format, ...)
{
	const size_t size = sizeof(error->text);
	char after[sizeof(error->text)];
	va_list args;
	int used;

	if (error == NULL)
		return;
	memcpy(after, error->text, size);
	va_start(args, format);
	used = vsnprintf(error->text, size, format, args);
	va_end(args);
	if (used < 0 || (size_t)used + 2 >= size)
		return;
	memcpy(error->text + used, ": ", 3);
	/* As much of the old text as has room. */
	memccpy(error->text + used + 2, after, '\0', size - 1 - ((size_t)used + 2));
	error->text[size - 1] = '\0';
}
