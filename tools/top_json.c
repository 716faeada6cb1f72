/*
 * Text: for programs
 *
 * JSON has the names of the structs in pool/statistics.h, times in ns. OpenMetrics has base
 * units, and a family's lines stand together, as it asks for.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "pool/hooks.h"
#include "pool/outcome.h"
#include "tools/top_text.h"

/* ---- JSON ---- */

static json_t *json_of_times(const struct carom_histogram *histogram)
{
	return json_pack("{s:I s:I s:I s:I s:I s:I}", "count",
			 (json_int_t)carom_histogram_count(histogram), "sum",
			 (json_int_t)histogram->sum, "p50",
			 (json_int_t)carom_histogram_percentile(histogram, 50), "p90",
			 (json_int_t)carom_histogram_percentile(histogram, 90), "p99",
			 (json_int_t)carom_histogram_percentile(histogram, 99), "max",
			 (json_int_t)histogram->largest);
}

static json_t *json_of_ended(const struct carom_pool_statistics *now)
{
	json_t *object = json_object();

	for (int kind = 0; kind < CAROM_STATISTICS_KINDS; kind++)
		if (now->ended_counts[kind])
			json_object_set_new(object,
					    carom_outcome_name((enum carom_outcome_kind)kind),
					    json_integer((json_int_t)now->ended_counts[kind]));
	return object;
}

static json_t *json_of_exits(const struct carom_pool_statistics *now)
{
	json_t *object = json_object();

	for (int reason = 0; reason < CAROM_STATISTICS_REASONS; reason++)
		if (now->exit_counts[reason])
			json_object_set_new(object,
					    carom_exit_reason_name((enum carom_exit_reason)reason),
					    json_integer((json_int_t)now->exit_counts[reason]));
	return object;
}

static json_t *json_of_worker(const struct carom_top_worker *worker)
{
	const struct carom_worker_statistics *now = &worker->statistics;

	return json_pack(
		"{s:I s:I s:s s:o s:I s:I s:I s:I s:I s:o s:o s:o}", "index",
		(json_int_t)worker->index, "pid", (json_int_t)now->pid, "state",
		carom_worker_state_name((enum carom_worker_state)now->state), "task_id",
		now->state == CAROM_WORKER_BUSY ? json_integer((json_int_t)now->task_id)
						: json_null(),
		"age_ns", (json_int_t)worker->age_ns, "cpu_ns", (json_int_t)worker->cpu_ns,
		"memory_bytes", (json_int_t)worker->memory_bytes, "process_count",
		(json_int_t)now->process_count, "item_count", (json_int_t)now->item_count,
		"cpu_share", worker->cpu_share < 0 ? json_null() : json_real(worker->cpu_share),
		"wait_ns", json_of_times(&now->wait_ns), "run_ns", json_of_times(&now->run_ns));
}

static json_t *json_of_pool(const struct carom_top_pool *pool)
{
	const struct carom_pool_statistics *now = &pool->statistics;
	json_t *workers = json_array();

	for (size_t i = 0; i < pool->worker_count; i++)
		json_array_append_new(workers, json_of_worker(&pool->workers[i]));
	return json_pack(
		"{s:s s:I s:s s:I s:I s:I s:I s:I s:I s:I s:I s:I s:o s:o s:o s:o s:o s:o}", "name",
		now->name, "pid", (json_int_t)pool->place.pid, "state",
		carom_top_state_name(now->state), "created_ns", (json_int_t)now->created_ns,
		"worker_count", (json_int_t)now->worker_count, "soft_limit_ns",
		(json_int_t)now->soft_limit_ns, "hard_limit_ns", (json_int_t)now->hard_limit_ns,
		"max_memory_per_child_bytes", (json_int_t)now->max_memory_per_child_bytes,
		"submitted_count", (json_int_t)now->submitted_count, "queued_count",
		(json_int_t)now->queued_count, "running_count", (json_int_t)now->running_count,
		"item_count", (json_int_t)now->item_count, "rate",
		pool->rate < 0 ? json_null() : json_real(pool->rate), "ended", json_of_ended(now),
		"exits", json_of_exits(now), "wait_ns", json_of_times(&now->wait_ns), "run_ns",
		json_of_times(&now->run_ns), "workers", workers);
}

int carom_top_print_json(const struct carom_top_look *look, FILE *file)
{
	json_t *pools = json_array();
	json_t *document =
		json_pack("{s:I s:o}", "now_ns", (json_int_t)look->now_ns, "pools", pools);
	int r = document ? 0 : -ENOMEM;

	for (size_t i = 0; i < look->pool_count && r == 0; i++)
		if (json_array_append_new(pools, json_of_pool(&look->pools[i])) < 0)
			r = -ENOMEM;
	if (r == 0 && json_dumpf(document, file, JSON_COMPACT) == 0)
		fputc('\n', file);
	json_decref(document);
	return r;
}

/* ---- OpenMetrics ---- */

static void print_family(const char *name, const char *type, const char *unit, const char *text,
			 FILE *file)
{
	fprintf(file, "# TYPE carom_pool_%s %s\n", name, type);
	if (unit)
		fprintf(file, "# UNIT carom_pool_%s %s\n", name, unit);
	fprintf(file, "# HELP carom_pool_%s %s\n", name, text);
}

/* carom_pool_NAME{pool="...",pid="..." and the caller closes it. */
static void begin_sample(const char *name, const struct carom_top_pool *pool, FILE *file)
{
	fprintf(file, "carom_pool_%s{pool=\"", name);
	for (const char *c = pool->statistics.name; *c; c++) {
		if (*c == '"' || *c == '\\')
			fputc('\\', file);
		fputs(*c == '\n' ? "\\n" : (char[]){ *c, '\0' }, file);
	}
	fprintf(file, "\",pid=\"%lld\"", (long long)pool->place.pid);
}

static void print_gauge(const struct carom_top_look *look, const char *name, const char *text,
			uint64_t (*of)(const struct carom_top_pool *pool), FILE *file)
{
	print_family(name, "gauge", NULL, text, file);
	for (size_t i = 0; i < look->pool_count; i++) {
		begin_sample(name, &look->pools[i], file);
		fprintf(file, "} %llu\n", (unsigned long long)of(&look->pools[i]));
	}
}

static uint64_t workers_of(const struct carom_top_pool *pool)
{
	return pool->statistics.worker_count;
}

static uint64_t busy_of(const struct carom_top_pool *pool)
{
	uint64_t count = 0;

	for (size_t i = 0; i < pool->worker_count; i++)
		count += pool->workers[i].statistics.state == CAROM_WORKER_BUSY;
	return count;
}

static uint64_t queued_of(const struct carom_top_pool *pool)
{
	return pool->statistics.queued_count;
}

static uint64_t memory_of(const struct carom_top_pool *pool)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < pool->worker_count; i++)
		bytes += pool->workers[i].memory_bytes;
	return bytes;
}

static void print_tasks(const struct carom_top_look *look, FILE *file)
{
	print_family("tasks", "counter", NULL, "Tasks that have ended, by outcome.", file);
	for (size_t i = 0; i < look->pool_count; i++)
		for (int kind = 0; kind < CAROM_STATISTICS_KINDS; kind++) {
			uint64_t count = look->pools[i].statistics.ended_counts[kind];

			if (!count && kind != CAROM_OUTCOME_OK)
				continue;
			begin_sample("tasks_total", &look->pools[i], file);
			fprintf(file, ",outcome=\"%s\"} %llu\n",
				carom_outcome_name((enum carom_outcome_kind)kind),
				(unsigned long long)count);
		}
}

static void print_exits(const struct carom_top_look *look, FILE *file)
{
	print_family("worker_exits", "counter", NULL,
		     "Worker processes that have ended, by reason.", file);
	for (size_t i = 0; i < look->pool_count; i++)
		for (int reason = 0; reason < CAROM_STATISTICS_REASONS; reason++) {
			uint64_t count = look->pools[i].statistics.exit_counts[reason];

			if (!count)
				continue;
			begin_sample("worker_exits_total", &look->pools[i], file);
			fprintf(file, ",reason=\"%s\"} %llu\n",
				carom_exit_reason_name((enum carom_exit_reason)reason),
				(unsigned long long)count);
		}
}

static void print_summary(const struct carom_top_look *look, const char *name, const char *text,
			  bool of_waits, FILE *file)
{
	static const double shares[] = { 0.5, 0.9, 0.99 };
	char part[64];

	print_family(name, "summary", "seconds", text, file);
	for (size_t i = 0; i < look->pool_count; i++) {
		const struct carom_top_pool *pool = &look->pools[i];
		const struct carom_histogram *histogram =
			of_waits ? &pool->statistics.wait_ns : &pool->statistics.run_ns;

		for (size_t k = 0; k < sizeof(shares) / sizeof(*shares); k++) {
			begin_sample(name, pool, file);
			fprintf(file, ",quantile=\"%g\"} %.9g\n", shares[k],
				1e-9 * (double)carom_histogram_percentile(histogram,
									  100 * shares[k]));
		}
		snprintf(part, sizeof(part), "%s_sum", name);
		begin_sample(part, pool, file);
		fprintf(file, "} %.9g\n", 1e-9 * (double)histogram->sum);
		snprintf(part, sizeof(part), "%s_count", name);
		begin_sample(part, pool, file);
		fprintf(file, "} %llu\n", (unsigned long long)carom_histogram_count(histogram));
	}
}

void carom_top_print_openmetrics(const struct carom_top_look *look, FILE *file)
{
	print_gauge(look, "workers", "Workers that the pool is to have.", workers_of, file);
	print_gauge(look, "busy_workers", "Workers that are at a task.", busy_of, file);
	print_gauge(look, "queued_tasks", "Tasks that no worker has begun.", queued_of, file);
	print_gauge(look, "resident_memory_bytes", "Memory of all workers.", memory_of, file);
	print_tasks(look, file);
	print_exits(look, file);
	print_summary(look, "wait_seconds", "From a task's submission to its beginning.", true,
		      file);
	print_summary(look, "run_seconds", "From a task's beginning to its end.", false, file);
	fputs("# EOF\n", file);
}
