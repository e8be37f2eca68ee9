/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Where results other than the summary go: a file, or standard output.
 */
#ifndef TOOLS_OUTPUT_H
#define TOOLS_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

/* True if the user's name of a file means standard output. NULL (not given) doesn't. */
bool output_is_stdout(const char *file);

/* Creates or truncates file ("-": a second way into standard output, so that closing it leaves
 * that open). The caller's to fclose. NULL: errno says why. */
FILE *output_open(const char *file);

#endif
