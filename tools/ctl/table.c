/* SPDX-License-Identifier: BSD-2-Clause */
#include "table.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_COLUMNS 16

struct table {
	unsigned columns;
	bool right[MAX_COLUMNS];
	size_t width[MAX_COLUMNS];
	size_t num_cells, capacity;
	char **cells; /* the headings first */
};

/* Takes @text over. */
static void cell_add(struct table *table, char *text)
{
	size_t column = table->num_cells % table->columns;
	size_t length = strlen(text);

	if (table->num_cells == table->capacity) {
		table->capacity = table->capacity * 2 + MAX_COLUMNS;
		table->cells = realloc(table->cells, table->capacity * sizeof(*table->cells));
		if (table->cells == NULL)
			abort();
	}
	if (length > table->width[column])
		table->width[column] = length;
	table->cells[table->num_cells++] = text;
}

struct table *table_new(const char *headings)
{
	struct table *table = calloc(1, sizeof(*table));
	char *words = strdup(headings), *rest = words, *word;
	char *heading[MAX_COLUMNS];

	if (table == NULL || words == NULL)
		abort();
	while ((word = strsep(&rest, " ")) != NULL && table->columns < MAX_COLUMNS) {
		table->right[table->columns] = word[0] == '>';
		heading[table->columns++] = strdup(word + (word[0] == '>'));
	}
	for (unsigned i = 0; i < table->columns; i++)
		cell_add(table, heading[i]);
	free(words);
	return table;
}

void table_cell(struct table *table, const char *format, ...)
{
	va_list arguments;
	char *text;

	va_start(arguments, format);
	if (vasprintf(&text, format, arguments) < 0)
		abort();
	va_end(arguments);
	if (text[0] == '\0') {
		free(text);
		text = strdup("-");
	}
	cell_add(table, text);
}

static void cell_print(const struct table *table, size_t i)
{
	unsigned column = (unsigned)(i % table->columns);
	bool last = column + 1 == table->columns;
	int width = (int)table->width[column];

	if (table->right[column])
		printf("%*s", width, table->cells[i]);
	else
		printf("%-*s", last ? 0 : width, table->cells[i]);
	fputs(last ? "\n" : "  ", stdout);
}

void table_print(struct table *table)
{
	for (size_t i = 0; i < table->num_cells; i++) {
		if (table->num_cells > table->columns)
			cell_print(table, i);
		free(table->cells[i]);
	}
	free(table->cells);
	free(table);
}
