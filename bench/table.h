/*
 * Table
 *
 * Cells of text in columns, for the terminal or as Markdown. The first column
 * stands left, the others right.
 */
#ifndef CAROM_BENCH_TABLE_H
#define CAROM_BENCH_TABLE_H

#include <stddef.h>
#include <stdio.h>

#define BENCH_COLUMNS_MAX 11
#define BENCH_ROWS_MAX    192
#define BENCH_CELL_MAX    96

enum bench_table_style {
	BENCH_PLAIN,
	BENCH_COLOUR, /* plain, with "pass" and "miss" in colour */
	BENCH_MARKDOWN,
};

/** struct bench_table - row 0 is the heading */
struct bench_table {
	size_t column_count;
	size_t row_count;
	char cells[BENCH_ROWS_MAX][BENCH_COLUMNS_MAX][BENCH_CELL_MAX];
};

/** bench_table_begin() - an empty table with this heading; ended by NULL */
void bench_table_begin(struct bench_table *table, const char *const *heading);

/** bench_table_add_row() - begin a row of empty cells; a table that is full keeps its last */
void bench_table_add_row(struct bench_table *table);

/** bench_table_set() - the text of a cell in the last row */
void bench_table_set(struct bench_table *table, size_t column, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

void bench_table_print(const struct bench_table *table, enum bench_table_style style, FILE *file);

/** bench_format_ns() - a time with its unit, three digits: "183 ns", "45.1 us" */
char *bench_format_ns(double ns, char *text, size_t size);

/** bench_format_count() - a number with its unit, three digits: "4.02 M" */
char *bench_format_count(double count, char *text, size_t size);

/** bench_format_number() - a number to be read and not calculated with: "0.0012", "1.08", "153" */
char *bench_format_number(double number, char *text, size_t size);

#endif
