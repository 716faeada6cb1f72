/*
 * Series
 *
 * The combinations of parameters are counted like the digits of a number, the last
 * parameter being the last digit.
 */
#include "tools/bench_series.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/say.h"
#include "tools/words.h"

#define SERIES_MAX 1000

/* ---- parameters ---- */

/* The value with this index of "a,b,c", which is the caller's; NULL: no memory, or there is none. */
static char *value_at(const char *values, size_t index)
{
	for (; index > 0 && values; index--) {
		values = strchr(values, ',');
		values = values ? values + 1 : NULL;
	}
	return values ? strndup(values, strcspn(values, ",")) : NULL;
}

static size_t value_count(const char *values)
{
	size_t count = 1;

	while ((values = strchr(values, ','))) {
		values++;
		count++;
	}
	return count;
}

/* The parameter whose {NAME} begins here, or its count. */
static size_t parameter_at(const struct carom_bench_options *options, const char *text)
{
	size_t i;

	for (i = 0; i < options->parameter_count; i++) {
		const char *name = options->parameters[i].name;
		size_t length = strlen(name);

		if (text[0] == '{' && strncmp(text + 1, name, length) == 0 &&
		    text[1 + length] == '}')
			break;
	}
	return i;
}

/* Returns the caller's; NULL: no memory. */
static char *put_values(const struct carom_bench_options *options, const char *text,
			char *const *values)
{
	char *made = NULL;
	size_t size;
	FILE *stream = open_memstream(&made, &size);

	if (!stream)
		return NULL;
	while (*text) {
		size_t i = parameter_at(options, text);

		if (i < options->parameter_count) {
			fputs(values[i], stream);
			text += strlen(options->parameters[i].name) + 2;
		} else {
			fputc(*text++, stream);
		}
	}
	if (fclose(stream) == 0)
		return made;
	free(made);
	return NULL;
}

/* ---- commands ---- */

static int no_memory(void)
{
	carom_say("no memory");
	return -CAROM_EXIT_ERROR;
}

static int refuse(const char *text, char bad)
{
	if (bad == '\'' || bad == '"')
		carom_say("'%s': a %c is not closed", text, bad);
	else
		carom_say("'%s': %c needs a shell: carom bench -S", text, bad);
	return -CAROM_EXIT_ERROR;
}

static int split(const char *text, char ***ret_words)
{
	char **words;
	char bad;
	int count = carom_words_split(text, &words, &bad);

	if (count == -EINVAL)
		return refuse(text, bad);
	if (count < 0)
		return no_memory();
	if (count > 0) {
		*ret_words = words;
		return 0;
	}
	free(words);
	carom_say("'%s' is no command", text);
	return -CAROM_EXIT_ERROR;
}

/* "SHELL -c TEXT"; TEXT stays the line's. */
static int wrap(const char *shell, char *text, char ***ret_words)
{
	char **words = calloc(4, sizeof(*words));

	if (!words)
		return no_memory();
	words[0] = (char *)shell;
	words[1] = (char *)"-c";
	words[2] = text;
	*ret_words = words;
	return 0;
}

/* Returns 0 or a negative exit status. Without a text there is no line. */
static int make_line(const struct carom_bench_options *options, const char *text,
		     char *const *values, struct carom_bench_line *line)
{
	if (!text)
		return 0;
	line->text = put_values(options, text, values);
	if (!line->text)
		return no_memory();
	return options->shell ? wrap(options->shell, line->text, &line->words)
			      : split(line->text, &line->words);
}

/* ---- series ---- */

static const char *prepare_of(const struct carom_bench_options *options, size_t command)
{
	if (options->prepare_count == 0)
		return NULL;
	return options->prepares[options->prepare_count == 1 ? 0 : command];
}

/*
 * What was given with -n, with the parameters in place; where it names none of them, with
 * their values behind it, as it would be the name of several. Else the command.
 */
static char *make_name(const struct carom_bench_options *options, size_t command,
		       const struct carom_bench_series *series)
{
	const char *given = command < options->name_count ? options->names[command] : NULL;
	char *name =
		given ? put_values(options, given, series->values) : strdup(series->command.text);

	if (!name || !given || strcmp(name, given) != 0)
		return name;
	for (size_t i = 0; i < options->parameter_count && name; i++) {
		char *longer;

		if (asprintf(&longer, "%s %s", name, series->values[i]) < 0)
			longer = NULL;
		free(name);
		name = longer;
	}
	return name;
}

/* @number: of the combination */
static int make_series(const struct carom_bench_options *options, size_t command, size_t number,
		       struct carom_bench_series *series)
{
	int r;

	for (size_t i = options->parameter_count; i-- > 0;) {
		size_t count = value_count(options->parameters[i].values);

		series->values[i] = value_at(options->parameters[i].values, number % count);
		if (!series->values[i])
			return no_memory();
		number /= count;
	}
	r = make_line(options, options->commands[command], series->values, &series->command);
	if (r == 0)
		r = make_line(options, prepare_of(options, command), series->values,
			      &series->prepare);
	if (r == 0)
		r = make_line(options, options->setup, series->values, &series->setup);
	if (r == 0)
		r = make_line(options, options->cleanup, series->values, &series->cleanup);
	if (r == 0)
		series->name = make_name(options, command, series);
	return r < 0 || series->name ? r : no_memory();
}

/* Of the parameters; SERIES_MAX or more: too many. */
static size_t combination_count(const struct carom_bench_options *options)
{
	size_t count = 1;

	for (size_t i = 0; i < options->parameter_count && count < SERIES_MAX; i++)
		count *= value_count(options->parameters[i].values);
	return count;
}

int carom_bench_series_list(const struct carom_bench_options *options,
			    struct carom_bench_series **ret_series)
{
	size_t each = combination_count(options), count = each * options->command_count;
	struct carom_bench_series *series;

	if (count > SERIES_MAX) {
		carom_say("the parameters make more than %d commands", SERIES_MAX);
		return -CAROM_EXIT_ERROR;
	}
	series = calloc(count, sizeof(*series));
	if (!series)
		return no_memory();
	for (size_t i = 0; i < count; i++) {
		int r = make_series(options, i / each, i % each, &series[i]);

		if (r < 0) {
			carom_bench_series_list_free(series, count);
			return r;
		}
	}
	*ret_series = series;
	return (int)count;
}

static void free_line(struct carom_bench_line *line)
{
	free(line->words);
	free(line->text);
}

void carom_bench_series_list_free(struct carom_bench_series *series, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free_line(&series[i].command);
		free_line(&series[i].prepare);
		free_line(&series[i].setup);
		free_line(&series[i].cleanup);
		free(series[i].name);
		for (size_t k = 0; k < CAROM_BENCH_PARAMETERS_MAX; k++)
			free(series[i].values[k]);
		free(series[i].runs);
	}
	free(series);
}

int carom_bench_series_add(struct carom_bench_series *series, const struct carom_bench_run *run)
{
	if (series->count == series->capacity) {
		size_t capacity = series->capacity ? 2 * series->capacity : 16;
		void *grown = realloc(series->runs, capacity * sizeof(*series->runs));

		if (!grown)
			return -ENOMEM;
		series->runs = grown;
		series->capacity = capacity;
	}
	series->runs[series->count++] = *run;
	series->spent_ns += run->wall_ns;
	return 0;
}

double *carom_bench_series_times(const struct carom_bench_series *series)
{
	double *times = malloc((series->count + 1) * sizeof(*times));

	for (size_t i = 0; times && i < series->count; i++)
		times[i] = (double)series->runs[i].wall_ns * 1e-9;
	return times;
}

double *carom_bench_series_sorted(const struct carom_bench_series *series,
				  struct carom_bench_summary *ret_summary)
{
	double *times = carom_bench_series_times(series);

	if (times)
		carom_bench_summarize(times, series->count, ret_summary);
	return times;
}

int carom_bench_series_summarize(const struct carom_bench_series *series,
				 struct carom_bench_summary *ret_summary)
{
	double *times = carom_bench_series_sorted(series, ret_summary);

	if (!times)
		return -ENOMEM;
	free(times);
	return 0;
}

uint64_t carom_bench_series_peak(const struct carom_bench_series *series)
{
	uint64_t peak = 0;

	for (size_t i = 0; i < series->count; i++)
		if (series->runs[i].peak_bytes > peak)
			peak = series->runs[i].peak_bytes;
	return peak;
}

double carom_bench_series_mean_at(const struct carom_bench_series *series, size_t offset)
{
	double sum = 0;

	for (size_t i = 0; i < series->count; i++) {
		uint64_t value;

		memcpy(&value, (const char *)&series->runs[i] + offset, sizeof(value));
		sum += (double)value;
	}
	return sum / (double)series->count;
}
