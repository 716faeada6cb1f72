/*
 * Table
 */
#include "bench/table.h"

#include <math.h>
#include <stdarg.h>
#include <string.h>

void bench_table_begin(struct bench_table *table, const char *const *heading)
{
	memset(table, 0, sizeof(*table));
	table->row_count = 1;
	for (; heading[table->column_count]; table->column_count++)
		bench_table_set(table, table->column_count, "%s", heading[table->column_count]);
}

void bench_table_add_row(struct bench_table *table)
{
	if (table->row_count < BENCH_ROWS_MAX)
		table->row_count++;
}

void bench_table_set(struct bench_table *table, size_t column, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(table->cells[table->row_count - 1][column], BENCH_CELL_MAX, format, arguments);
	va_end(arguments);
}

static void measure_columns(const struct bench_table *table, int *ret_widths)
{
	for (size_t column = 0; column < table->column_count; column++) {
		ret_widths[column] = 0;
		for (size_t row = 0; row < table->row_count; row++) {
			int width = (int)strlen(table->cells[row][column]);

			if (width > ret_widths[column])
				ret_widths[column] = width;
		}
	}
}

static const char *colour_of(const char *cell, enum bench_table_style style)
{
	if (style != BENCH_COLOUR)
		return NULL;
	if (strcmp(cell, "pass") == 0)
		return "\033[32m";
	return strcmp(cell, "miss") == 0 ? "\033[31m" : NULL;
}

static void print_cell(const char *cell, int width, enum bench_table_style style, FILE *file)
{
	const char *colour = colour_of(cell, style);

	fprintf(file, "%s%*s%s", colour ? colour : "", width, cell, colour ? "\033[0m" : "");
}

/* Markdown wants every cell; for the terminal, a row ends with its last text. */
static size_t printed_columns(const struct bench_table *table, size_t row,
			      enum bench_table_style style)
{
	size_t count = table->column_count;

	while (style != BENCH_MARKDOWN && count > 0 && !table->cells[row][count - 1][0])
		count--;
	return count;
}

static void print_row(const struct bench_table *table, size_t row, const int *widths,
		      enum bench_table_style style, FILE *file)
{
	const char *gap = style == BENCH_MARKDOWN ? "| " : "  ";
	size_t column_count = printed_columns(table, row, style);

	for (size_t column = 0; column < column_count; column++) {
		/* a negative width is printf's way to put text to the left */
		int width = column == 0 ? -widths[column] : widths[column];

		fputs(gap, file);
		print_cell(table->cells[row][column], width, style, file);
		fputs(style == BENCH_MARKDOWN ? " " : "", file);
	}
	fputs(style == BENCH_MARKDOWN ? "|\n" : "\n", file);
}

static void print_rule(const struct bench_table *table, FILE *file)
{
	fputs("|---", file);
	for (size_t column = 1; column < table->column_count; column++)
		fputs("|---:", file);
	fputs("|\n", file);
}

void bench_table_print(const struct bench_table *table, enum bench_table_style style, FILE *file)
{
	int widths[BENCH_COLUMNS_MAX];

	measure_columns(table, widths);
	for (size_t row = 0; row < table->row_count; row++) {
		print_row(table, row, widths, style, file);
		if (row == 0 && style == BENCH_MARKDOWN)
			print_rule(table, file);
	}
}

/* Three digits that count: 1.23, 12.3, 123. */
static int decimals_of(double value)
{
	return value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
}

static char *format_scaled(double value, const char *const *units, size_t unit_count, char *text,
			   size_t size)
{
	size_t unit = 0;

	while (value >= 999.5 && unit + 1 < unit_count) {
		value /= 1000;
		unit++;
	}
	snprintf(text, size, "%.*f%s", unit == 0 && value == floor(value) ? 0 : decimals_of(value),
		 value, units[unit]);
	return text;
}

char *bench_format_ns(double ns, char *text, size_t size)
{
	static const char *const units[] = { " ns", " us", " ms", " s" };

	return format_scaled(ns, units, sizeof(units) / sizeof(*units), text, size);
}

char *bench_format_count(double count, char *text, size_t size)
{
	static const char *const units[] = { "", " k", " M", " G" };

	return format_scaled(count, units, sizeof(units) / sizeof(*units), text, size);
}

char *bench_format_number(double number, char *text, size_t size)
{
	if (number != 0 && fabs(number) < 0.1)
		snprintf(text, size, "%.2g", number);
	else
		snprintf(text, size, "%.*f", decimals_of(number), number);
	return text;
}
