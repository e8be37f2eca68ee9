/* SPDX-License-Identifier: BSD-2-Clause */
/* A table of words, printed with its columns aligned. */
#ifndef PTNETCTL_TABLE_H
#define PTNETCTL_TABLE_H

struct table;

/* @headings: words separated by spaces; one that begins with '>' heads a column set right. */
struct table *table_new(const char *headings);

/* The next cell, row by row. An empty text shows as "-". */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Prints it to standard output, if it has a row, and frees it. */
void table_print(struct table *table);

#endif
