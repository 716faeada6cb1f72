/*
 * Sources
 *
 * An odometer: each list is a wheel, or together with those linked to it one
 * wheel. A step turns the last wheel, and one that has gone round the one before.
 *
 *   I1  at[i] < count of list i while there are combinations to come. Lists of
 *       one wheel are at the same place, and have the same count, which is that
 *       of the shortest.
 *   I2  Each value is kept with its NUL; one that cannot be a word has an error
 *       and makes each of its combinations a job that fails.
 */
#include "tools/run_sources.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/cleanup.h"
#include "tools/run_outcome.h"
#include "tools/shepherd.h"

struct value {
	char *text;
	size_t length;
	int error;
};

struct list {
	struct value *values;
	size_t count;
	size_t room;
	size_t at;
	bool is_linked;
};

struct carom_run_sources {
	struct list lists[CAROM_RUN_SOURCES_MAX];
	size_t list_count;
	uint64_t total;
	bool is_at_end;
	char text[CAROM_SHEPHERD_INPUT_MAX + 1];
};

/* --- reading ----------------------------------------------------------- */

static int add_value(struct list *list, const char *text, size_t length)
{
	struct value *value;

	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 16;
		struct value *values = reallocarray(list->values, room, sizeof(*values));

		if (!values)
			return -ENOMEM;
		list->values = values;
		list->room = room;
	}
	value = &list->values[list->count];
	*value = (struct value){ .text = strndup(text, length) };
	if (!value->text)
		return -ENOMEM;
	value->length = strlen(value->text);
	if (value->length < length)
		value->error = CAROM_RUN_ENUL;
	list->count++;
	return 0;
}

static int read_lines(struct list *list, FILE *file, char separator)
{
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	int r = 0;

	errno = 0;
	while (r == 0 && (length = getdelim(&line, &size, separator, file)) >= 0)
		r = add_value(list, line, (size_t)length - (line[length - 1] == separator));
	if (r == 0 && ferror(file))
		r = -errno;
	free(line);
	return r;
}

static int read_file(struct list *list, const char *path, char separator)
{
	bool is_stdin = strcmp(path, "-") == 0;
	FILE *file = is_stdin ? stdin : fopen(path, "re");
	int r;

	if (!file)
		return -errno;
	r = read_lines(list, file, separator);
	if (!is_stdin)
		fclose(file);
	return r;
}

static int read_source(struct list *list, const struct carom_run_source *source, char separator)
{
	int r = 0;

	list->is_linked = source->is_linked;
	if (source->path)
		return read_file(list, source->path, separator);
	for (size_t i = 0; i < source->count && r == 0; i++)
		r = add_value(list, source->inputs[i], strlen(source->inputs[i]));
	return r;
}

/* --- wheels ------------------------------------------------------------ */

/* The wheel that ends before @end begins with the list that is returned. */
static size_t wheel_before(const struct carom_run_sources *sources, size_t end)
{
	do
		end--;
	while (sources->lists[end].is_linked);
	return end;
}

static void cut_to_shortest(struct list *wheel, size_t list_count)
{
	size_t count = wheel->count;

	for (size_t i = 1; i < list_count; i++)
		if (wheel[i].count < count)
			count = wheel[i].count;
	for (size_t i = 0; i < list_count; i++) {
		while (wheel[i].count > count)
			free(wheel[i].values[--wheel[i].count].text);
	}
}

static void couple(struct carom_run_sources *sources)
{
	bool is_too_many = false;

	sources->total = 1;
	for (size_t end = sources->list_count, begin; end > 0; end = begin) {
		begin = wheel_before(sources, end);
		cut_to_shortest(&sources->lists[begin], end - begin);
		if (sources->lists[begin].count == 0)
			sources->is_at_end = true;
		is_too_many |= __builtin_mul_overflow(sources->total, sources->lists[begin].count,
						      &sources->total);
	}
	if (is_too_many || sources->is_at_end)
		sources->total = 0;
}

static void step(struct carom_run_sources *sources)
{
	for (size_t end = sources->list_count, begin; end > 0; end = begin) {
		struct list *list = &sources->lists[begin = wheel_before(sources, end)];
		size_t at = (list->at + 1) % list->count;

		for (size_t i = begin; i < end; i++)
			sources->lists[i].at = at;
		if (at != 0)
			return;
	}
	sources->is_at_end = true;
}

/* --- combinations ------------------------------------------------------ */

static void give(struct carom_run_sources *sources, struct carom_run_item *ret_item)
{
	size_t length = 0, n;
	int error = 0;

	for (size_t i = 0; i < sources->list_count && error != E2BIG; i++) {
		const struct value *value = &sources->lists[i].values[sources->lists[i].at];

		if (value->error)
			error = value->error;
		n = value->length;
		if (n > CAROM_SHEPHERD_INPUT_MAX - length) {
			n = CAROM_SHEPHERD_INPUT_MAX - length;
			error = E2BIG;
		}
		memcpy(sources->text + length, value->text, n);
		length += n;
		sources->text[length] = '\0';
		if (i + 1 < sources->list_count && length == CAROM_SHEPHERD_INPUT_MAX)
			error = E2BIG;
		length++;
	}
	*ret_item = (struct carom_run_item){ sources->text, length - 1, error };
}

int carom_run_sources_next(struct carom_run_sources *sources, struct carom_run_item *ret_item)
{
	if (sources->is_at_end)
		return 0;
	give(sources, ret_item);
	step(sources);
	return 1;
}

uint64_t carom_run_sources_total(const struct carom_run_sources *sources)
{
	return sources->total;
}

/* --- its life ---------------------------------------------------------- */

static void freep(struct carom_run_sources **sources)
{
	carom_run_sources_free(*sources);
}

int carom_run_sources_new(const struct carom_run_options *options, const char **ret_name,
			  struct carom_run_sources **ret_sources)
{
	CAROM_CLEANUP(freep) struct carom_run_sources *sources = calloc(1, sizeof(*sources));
	int r = sources ? 0 : -ENOMEM;

	for (size_t i = 0; i < options->source_count && r == 0; i++) {
		const struct carom_run_source *source = &options->sources[i];

		*ret_name = carom_run_source_name(source);
		sources->list_count++;
		r = read_source(&sources->lists[i], source, options->separator);
	}
	if (r < 0)
		return r;
	couple(sources);
	*ret_sources = carom_take_ptr(sources);
	return 0;
}

struct carom_run_sources *carom_run_sources_free(struct carom_run_sources *sources)
{
	for (size_t i = 0; sources && i < sources->list_count; i++) {
		struct list *list = &sources->lists[i];

		while (list->count > 0)
			free(list->values[--list->count].text);
		free(list->values);
	}
	free(sources);
	return NULL;
}
