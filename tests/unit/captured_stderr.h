/* SPDX-License-Identifier: BSD-2-Clause */
/* Standard error goes to a file in memory while a test looks at what is logged. */
#ifndef PTNET_TESTS_CAPTURED_STDERR_H
#define PTNET_TESTS_CAPTURED_STDERR_H

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct captured_stderr {
	int original;
	int memory;
};

static inline void capture_stderr(struct captured_stderr *capture)
{
	fflush(stderr);
	capture->original = dup(STDERR_FILENO);
	capture->memory = memfd_create("stderr", MFD_CLOEXEC);
	dup2(capture->memory, STDERR_FILENO);
}

/* Fills @text with what came, ends it with NUL, and puts standard error back. */
static inline void release_stderr(struct captured_stderr *capture, char *text, size_t size)
{
	fflush(stderr);
	dup2(capture->original, STDERR_FILENO);
	close(capture->original);
	ssize_t got = pread(capture->memory, text, size - 1, 0);
	text[got > 0 ? got : 0] = '\0';
	close(capture->memory);
}

static inline unsigned count_lines(const char *text)
{
	unsigned lines = 0;

	for (; *text != '\0'; text++)
		lines += *text == '\n';
	return lines;
}

#endif
