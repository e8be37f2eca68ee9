/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a run came to: exit status, text, JSON.
 */
#ifndef GEN_REPORT_H
#define GEN_REPORT_H

#include "run.h"

#include <jansson.h>

/* The program's exit status (enum exit_status) of a run that has ended. */
int report_status(const struct run *r);

/* The report's JSON document, for the caller to json_decref; NULL: out of memory. */
json_t *report_json(const struct run *r);

/* Prints what options ask for. 0, or -1 after saying what is wrong. */
int report_print(const struct run *r);

/* The document of a run that could not begin. */
int report_print_failure(const struct gen_options *o);

#endif
