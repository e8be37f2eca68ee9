/* SPDX-License-Identifier: BSD-2-Clause */
#include "output.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

bool output_is_stdout(const char *file)
{
	return file && !strcmp(file, "-");
}

FILE *output_open(const char *file)
{
	FILE *out;
	int fd;

	if (!output_is_stdout(file))
		return fopen(file, "we");
	fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return NULL;
	out = fdopen(fd, "w");
	if (!out)
		close(fd);
	return out;
}
