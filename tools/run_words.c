/*
 * Words
 *
 * One block: the pointers first, then the strings one after the other. It is
 * written in two passes of the same code, the first without a place to write to,
 * which tells how large the block is.
 *
 * The values are copied as they are, nothing in them means anything to anybody.
 */
#include "tools/run_words.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where text goes: nowhere yet, if @to is NULL. @bytes stays at SIZE_MAX once that is too little. */
struct sink {
	char *to;
	size_t bytes;
};

static void put(struct sink *sink, const char *text, size_t length)
{
	if (sink->to)
		sink->to = mempcpy(sink->to, text, length);
	if (__builtin_add_overflow(sink->bytes, length, &sink->bytes))
		sink->bytes = SIZE_MAX;
}

static void put_number(struct sink *sink, uint64_t number)
{
	char digits[24];

	put(sink, digits, (size_t)sprintf(digits, "%llu", (unsigned long long)number));
}

/* --- values ------------------------------------------------------------ */

static size_t value_count(const struct carom_run_values *values)
{
	size_t count = 1;

	for (size_t i = 0; i < values->length; i++)
		count += values->text[i] == '\0';
	return count;
}

/* A value and the next: NULL behind the last one. */
static const char *next_value(const struct carom_run_values *values, const char *value)
{
	value += strlen(value) + 1;
	return value <= values->text + values->length ? value : NULL;
}

/* Where the name begins: behind the last slash. */
static const char *name_in(const char *value)
{
	const char *slash = strrchr(value, '/');

	return slash ? slash + 1 : value;
}

/* Where the extension begins, or the value's end. ".profile" is a name without one. */
static const char *extension_in(const char *value)
{
	const char *name = name_in(value), *dot = strrchr(name, '.');

	return dot && dot != name && dot[1] ? dot : name + strlen(name);
}

static void put_directory(struct sink *sink, const char *value)
{
	const char *end = name_in(value);

	if (end == value) {
		put(sink, ".", 1);
		return;
	}
	while (end > value + 1 && end[-1] == '/')
		end--;
	put(sink, value, (size_t)(end - value));
}

/* --- marks ------------------------------------------------------------- */

enum part { WHOLE, WITHOUT_EXTENSION, NAME, DIRECTORY, NAME_WITHOUT_EXTENSION, NUMBER, SLOT };

struct mark {
	enum part part;
	size_t source; /* from 1; 0: all */
};

static const char *const part_names[] = {
	[WHOLE] = "}",       [WITHOUT_EXTENSION] = ".}",       [NAME] = "/}",
	[DIRECTORY] = "//}", [NAME_WITHOUT_EXTENSION] = "/.}", [NUMBER] = "#}",
	[SLOT] = "%}",
};

static bool find_part(const char *text, enum part *ret_part)
{
	for (size_t i = 0; i < sizeof(part_names) / sizeof(*part_names); i++)
		if (strncmp(text, part_names[i], strlen(part_names[i])) == 0) {
			*ret_part = (enum part)i;
			return true;
		}
	return false;
}

/* Returns how long the mark at @text is; 0 if there is none. */
static size_t read_mark(const char *text, size_t source_count, struct mark *ret_mark)
{
	const char *at = text + 1;
	bool is_numbered = isdigit((unsigned char)*at);

	*ret_mark = (struct mark){ 0 };
	if (*text != '{')
		return 0;
	for (; isdigit((unsigned char)*at) && ret_mark->source <= source_count; at++)
		ret_mark->source = ret_mark->source * 10 + (size_t)(*at - '0');
	if (is_numbered && (ret_mark->source == 0 || ret_mark->source > source_count))
		return 0;
	if (!find_part(at, &ret_mark->part) || (is_numbered && ret_mark->part >= NUMBER))
		return 0;
	return (size_t)(at - text) + strlen(part_names[ret_mark->part]);
}

static void put_part(struct sink *sink, enum part part, const char *value)
{
	const char *begin = part == NAME || part == NAME_WITHOUT_EXTENSION ? name_in(value) : value;
	const char *end = part == WITHOUT_EXTENSION || part == NAME_WITHOUT_EXTENSION
				  ? extension_in(value)
				  : begin + strlen(begin);

	if (part == DIRECTORY)
		put_directory(sink, value);
	else
		put(sink, begin, (size_t)(end - begin));
}

static void put_values(struct sink *sink, const struct mark *mark,
		       const struct carom_run_values *values)
{
	const char *value = values->text;

	for (size_t i = 1; i < mark->source; i++)
		value = next_value(values, value);
	put_part(sink, mark->part, value);
	while (mark->source == 0 && (value = next_value(values, value))) {
		put(sink, " ", 1);
		put_part(sink, mark->part, value);
	}
}

static void put_mark(struct sink *sink, const struct mark *mark,
		     const struct carom_run_values *values)
{
	if (mark->part == NUMBER)
		put_number(sink, values->number);
	else if (mark->part == SLOT)
		put_number(sink, values->slot);
	else
		put_values(sink, mark, values);
}

/* --- words ------------------------------------------------------------- */

/* With its NUL. Returns whether there was a mark in it. */
static bool put_word(struct sink *sink, const char *word, const struct carom_run_values *values,
		     size_t source_count)
{
	const char *plain = word;
	bool has_mark = false;
	struct mark mark;
	size_t length;

	while ((word = strchr(word, '{'))) {
		length = read_mark(word, source_count, &mark);
		if (length == 0) {
			word++;
			continue;
		}
		put(sink, plain, (size_t)(word - plain));
		put_mark(sink, &mark, values);
		plain = word += length;
		has_mark = true;
	}
	put(sink, plain, strlen(plain) + 1);
	return has_mark;
}

/* Returns how many words; @words is NULL in the first pass. */
static size_t put_words(struct sink *sink, char *const template[],
			const struct carom_run_values *values, char **words)
{
	size_t source_count = value_count(values), count = 0;
	const char *value = values->text;
	bool has_mark = false;

	for (; template[count]; count++) {
		if (words)
			words[count] = sink->to;
		has_mark |= put_word(sink, template[count], values, source_count);
	}
	for (; !has_mark && value; value = next_value(values, value), count++) {
		if (words)
			words[count] = sink->to;
		put(sink, value, strlen(value) + 1);
	}
	if (words)
		words[count] = NULL;
	return count;
}

int carom_run_words(char *const template[], const struct carom_run_values *values,
		    char ***ret_words)
{
	struct sink sink = { 0 };
	size_t count = put_words(&sink, template, values, NULL), bytes;
	char **words;

	if (__builtin_add_overflow((count + 1) * sizeof(*words), sink.bytes, &bytes))
		return -ENOMEM;
	words = malloc(bytes);
	if (!words)
		return -ENOMEM;
	sink = (struct sink){ .to = (char *)(words + count + 1) };
	put_words(&sink, template, values, words);
	*ret_words = words;
	return 0;
}

/* --- as a line for a shell --------------------------------------------- */

static bool is_harmless(char c)
{
	return isalnum((unsigned char)c) || strchr("%+,-./:=@_", c);
}

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == '\x7f';
}

static bool all_are(const char *word, bool (*test)(char c))
{
	while (*word && test(*word))
		word++;
	return !*word;
}

static bool is_no_control(char c)
{
	return !is_control(c);
}

static void put_quoted(struct sink *sink, const char *word)
{
	put(sink, "'", 1);
	for (; *word; word++) {
		if (*word == '\'')
			put(sink, "'\\''", 4);
		else
			put(sink, word, 1);
	}
	put(sink, "'", 1);
}

/* Octal, always with three digits: what follows may be a digit. */
static void put_escaped(struct sink *sink, const char *word)
{
	char octal[8];

	put(sink, "$'", 2);
	for (; *word; word++) {
		if (*word == '\n')
			put(sink, "\\n", 2);
		else if (*word == '\t')
			put(sink, "\\t", 2);
		else if (is_control(*word))
			put(sink, octal, (size_t)sprintf(octal, "\\%03o", (unsigned char)*word));
		else if (*word == '\'' || *word == '\\')
			put(sink, (char[]){ '\\', *word }, 2);
		else
			put(sink, word, 1);
	}
	put(sink, "'", 1);
}

static void put_line(struct sink *sink, char *const words[])
{
	for (size_t i = 0; words[i]; i++) {
		if (i)
			put(sink, " ", 1);
		if (!all_are(words[i], is_no_control))
			put_escaped(sink, words[i]);
		else if (!*words[i] || !all_are(words[i], is_harmless))
			put_quoted(sink, words[i]);
		else
			put(sink, words[i], strlen(words[i]));
	}
	put(sink, "", 1);
}

char *carom_run_words_quote(char *const words[])
{
	struct sink sink = { 0 };
	char *line;

	put_line(&sink, words);
	line = malloc(sink.bytes);
	if (!line)
		return NULL;
	sink = (struct sink){ .to = line };
	put_line(&sink, words);
	return line;
}
