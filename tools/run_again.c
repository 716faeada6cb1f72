/*
 * Again
 *
 * A line on a terminal is to be pasted, so it is short or not there at all.
 * With several lists the inputs go along with each other: ::: a b :::+ 1 2.
 */
#include "tools/run_again.h"

#include <stdlib.h>
#include <string.h>

#include "tools/run_words.h"
#include "tools/say.h"

#define ITEMS_MAX 20
#define BYTES_MAX 500

void carom_run_again_add(struct carom_run_again *again, const struct carom_run_item *item)
{
	struct carom_run_again_item *items;
	char *text;

	if (item->error) /* it fails whenever it is run */
		return;
	again->bytes += item->length + 1;
	again->is_much |= again->count == ITEMS_MAX || again->bytes > BYTES_MAX;
	if (again->is_much)
		return;
	items = reallocarray(again->items, again->count + 1, sizeof(*items));
	text = malloc(item->length + 1);
	if (items)
		again->items = items;
	if (!items || !text) {
		again->is_much = true;
		free(text);
		return;
	}
	memcpy(text, item->text, item->length + 1);
	items[again->count++] = (struct carom_run_again_item){ text, item->length };
}

void carom_run_again_deinit(struct carom_run_again *again)
{
	for (size_t i = 0; i < again->count; i++)
		free(again->items[i].text);
	free(again->items);
}

/* Value @index, from 0, of an item; it has as many as there are sources. */
static char *value_of(const struct carom_run_again_item *item, size_t index)
{
	char *value = item->text;

	for (; index > 0; index--)
		value += strlen(value) + 1;
	return value;
}

static size_t put_inputs(const struct carom_run_again *again, size_t source_count, char **words)
{
	static char first[] = ":::", linked[] = ":::+";
	size_t count = 0;

	for (size_t source = 0; source < source_count; source++) {
		words[count++] = source == 0 ? first : linked;
		for (size_t i = 0; i < again->count; i++)
			words[count++] = value_of(&again->items[i], source);
	}
	return count;
}

static size_t count_words(char *const words[])
{
	size_t count = 0;

	while (words[count])
		count++;
	return count;
}

/* "carom run", options and command as they stand in argv, then the inputs. */
static char *make_line(const struct carom_run_again *again, const struct carom_run_options *options)
{
	size_t before = (size_t)(options->command - options->words);
	size_t words_count = before + count_words(options->command);
	char **words = calloc(1 + words_count + options->source_count * (again->count + 1) + 1,
			      sizeof(*words));
	static char program[] = "carom";
	char *line;

	if (!words)
		return NULL;
	words[0] = program;
	memcpy(words + 1, options->words, words_count * sizeof(*words));
	put_inputs(again, options->source_count, words + 1 + words_count);
	line = carom_run_words_quote(words);
	free(words);
	return line;
}

static void say_line(const struct carom_run_again *again, const struct carom_run_options *options)
{
	char *line = make_line(again, options);

	if (line && strlen(line) < 2 * BYTES_MAX - 100)
		carom_say_more("these again: %s", line);
	free(line);
}

void carom_run_again_say(const struct carom_run_again *again,
			 const struct carom_run_options *options)
{
	if (options->joblog_path)
		carom_say_more("the same command with --resume --retry-failed runs these again");
	else if (again->count > 0 && !again->is_much && !options->has_files)
		say_line(again, options);
}
