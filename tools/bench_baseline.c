/*
 * Baseline
 *
 * The document is kept as it was read, and looked at anew for each question: it was checked
 * when it was read, so that a question finds either what it asks for or nothing.
 */
#include "tools/bench_baseline.h"

#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "tools/bench_statistics.h"
#include "tools/say.h"

struct carom_bench_baseline {
	json_t *document;
};

static int refuse(const char *path, const char *why)
{
	carom_say("--compare: %s: %s", path, why);
	return -EINVAL;
}

static bool is_time(const json_t *value)
{
	return json_is_number(value) && json_number_value(value) > 0;
}

static bool has_times(const json_t *result)
{
	json_t *times = json_object_get(result, "times"), *time;
	size_t i;

	if (!json_is_string(json_object_get(result, "command")) || json_array_size(times) == 0)
		return false;
	json_array_foreach(times, i, time) if (!is_time(time)) return false;
	return true;
}

int carom_bench_baseline_load(const char *path, struct carom_bench_baseline **ret_baseline)
{
	struct carom_bench_baseline *baseline;
	json_error_t error;
	json_t *document = json_load_file(path, 0, &error), *results, *result;
	size_t i;

	if (!document)
		return refuse(path, error.text);
	results = json_object_get(document, "results");
	json_array_foreach(results, i, result) if (!has_times(result)) break;
	if (json_array_size(results) == 0 || i < json_array_size(results)) {
		json_decref(document);
		return refuse(path, "these are no results of carom bench or hyperfine");
	}
	baseline = malloc(sizeof(*baseline));
	if (!baseline) {
		json_decref(document);
		carom_say("no memory");
		return -ENOMEM;
	}
	baseline->document = document;
	*ret_baseline = baseline;
	return 0;
}

struct carom_bench_baseline *carom_bench_baseline_free(struct carom_bench_baseline *baseline)
{
	if (baseline)
		json_decref(baseline->document);
	free(baseline);
	return NULL;
}

static int copy_times(const json_t *array, double **ret_times)
{
	struct carom_bench_summary summary;
	double *times = calloc(json_array_size(array), sizeof(*times));
	json_t *time;
	size_t i;

	if (!times)
		return -ENOMEM;
	json_array_foreach(array, i, time) times[i] = json_number_value(time);
	carom_bench_summarize(times, i, &summary); /* for the order */
	*ret_times = times;
	return (int)i;
}

/* NULL: there is none. */
static const json_t *find(const struct carom_bench_baseline *baseline, const char *name)
{
	const json_t *results = json_object_get(baseline->document, "results");

	for (size_t i = 0; i < json_array_size(results); i++) {
		const json_t *result = json_array_get(results, i);

		if (strcmp(json_string_value(json_object_get(result, "command")), name) == 0)
			return result;
	}
	return NULL;
}

bool carom_bench_baseline_has(const struct carom_bench_baseline *baseline, const char *name)
{
	return find(baseline, name);
}

int carom_bench_baseline_times(const struct carom_bench_baseline *baseline, const char *name,
			       double **ret_times)
{
	const json_t *result = find(baseline, name);

	return result ? copy_times(json_object_get(result, "times"), ret_times) : 0;
}
