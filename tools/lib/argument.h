/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arguments of options: read, or a message that says what would have been right. All return 0,
 * or -1 after the message, and leave the result alone then. name is the option's, text what the
 * user gave.
 */
#ifndef TOOLS_ARGUMENT_H
#define TOOLS_ARGUMENT_H

#include <stddef.h>
#include <stdint.h>

/* A number in min..max, with a unit if the user likes (number.h). */
int argument_count(const char *name, const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* The same for numbers of fewer bits; max must fit. */
int argument_count32(const char *name, const char *text, uint32_t min, uint32_t max,
		     uint32_t *value);

/* A time, in ns. */
int argument_duration(const char *name, const char *text, int64_t *ns);

/* A factor above 0, at most a million. */
int argument_factor(const char *name, const char *text, double *factor);

/* A port's name as libnetmap reads it: a bare NAME becomes netmap:NAME. */
int argument_port(const char *text, char *full, size_t size);

#endif
