/*
 * Name
 *
 * A name is walked cell by cell; a cell is what stays together when the name is
 * cut: a character, or the escape for a byte.
 */
#include "tools/examples/words_name.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#define COLUMNS_MIN 12

struct cell {
	char text[MB_LEN_MAX + 1];
	size_t byte_count; /* of the name; 0 at its end */
	int columns;
};

static struct cell escape(unsigned char byte)
{
	static const char letters[] = "abtnvfr"; /* \a is 7, \r is 13 */
	struct cell cell = { .byte_count = 1 };

	if (byte >= '\a' && byte <= '\r')
		cell.columns = snprintf(cell.text, sizeof(cell.text), "\\%c", letters[byte - '\a']);
	else if (byte == '\\')
		cell.columns = snprintf(cell.text, sizeof(cell.text), "\\\\");
	else
		cell.columns = snprintf(cell.text, sizeof(cell.text), "\\%03o", byte);
	return cell;
}

static struct cell next_cell(const char *name)
{
	struct cell cell = { 0 };
	mbstate_t state = { 0 };
	wchar_t character;
	size_t length = mbrtowc(&character, name, strlen(name), &state);

	if (*name == '\0')
		return cell;
	if (length > MB_LEN_MAX || !iswprint((wint_t)character) || *name == '\\')
		return escape((unsigned char)*name);
	memcpy(cell.text, name, length);
	cell.byte_count = length;
	cell.columns = wcwidth(character);
	return cell;
}

static int columns_of(const char *name)
{
	struct cell cell;
	int columns = 0;

	for (; (cell = next_cell(name)).byte_count; name += cell.byte_count)
		columns += cell.columns;
	return columns;
}

/* the longest end of @name that fits */
static const char *end_that_fits(const char *name, int columns)
{
	int too_many = columns_of(name) - columns;

	while (too_many > 0) {
		struct cell cell = next_cell(name);

		too_many -= cell.columns;
		name += cell.byte_count;
	}
	return name;
}

void words_name_print(FILE *to, const char *name, int columns)
{
	struct cell cell;

	if (columns < COLUMNS_MIN)
		columns = COLUMNS_MIN;
	if (columns_of(name) > columns) {
		fputs("...", to);
		name = end_that_fits(name, columns - 3);
	}
	for (; (cell = next_cell(name)).byte_count; name += cell.byte_count)
		fputs(cell.text, to);
}
