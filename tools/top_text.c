/*
 * Text: for people
 *
 * A name or a number from a pool is somebody else's: what could be more than a character to
 * a terminal is replaced.
 */
#include "tools/top_text.h"

#include <string.h>
#include <time.h>

#include "core/time.h"
#include "pool/hooks.h"
#include "pool/outcome.h"
#include "pool/state.h"
#include "tools/figure.h"

#define BOLD  "\033[1m"
#define FAINT "\033[2m"
#define PLAIN "\033[0m"

const char *carom_top_state_name(uint64_t state)
{
	static const char *const names[] = {
		[CAROM_POOL_RUNNING] = "running",
		[CAROM_POOL_CLOSED] = "closed",
		[CAROM_POOL_TERMINATED] = "terminated",
		[CAROM_POOL_BROKEN] = "broken",
	};

	return state < sizeof(names) / sizeof(*names) ? names[state] : "unknown";
}

static void print_name(const char *name, FILE *file)
{
	for (; *name; name++)
		fputc((unsigned char)*name < ' ' || *name == '\x7f' ? '?' : *name, file);
}

/* ---- a pool ---- */

static void print_head(const struct carom_top_look *look, const struct carom_top_pool *pool,
		       bool has_colour, FILE *file)
{
	const struct carom_pool_statistics *now = &pool->statistics;

	fputs(has_colour ? "\n" BOLD : "\n", file);
	print_name(now->name, file);
	fputs(has_colour ? PLAIN : "", file);
	fprintf(file, "  pid %lld, %s, %llu workers, up %s", (long long)pool->place.pid,
		carom_top_state_name(now->state), (unsigned long long)now->worker_count,
		carom_figure_time(look->now_ns - now->created_ns).text);
	if (now->max_memory_per_child_bytes)
		fprintf(file, ", %s each",
			carom_figure_bytes(now->max_memory_per_child_bytes).text);
	fputc('\n', file);
}

static void print_tasks(const struct carom_top_pool *pool, FILE *file)
{
	const struct carom_pool_statistics *now = &pool->statistics;

	fprintf(file, "  tasks   %s queued, %s running, %s done",
		carom_figure_count(now->queued_count).text,
		carom_figure_count(now->running_count).text,
		carom_figure_count(now->ended_counts[CAROM_OUTCOME_OK]).text);
	for (int kind = 0; kind < CAROM_STATISTICS_KINDS; kind++)
		if (kind != CAROM_OUTCOME_OK && now->ended_counts[kind])
			fprintf(file, ", %s %s", carom_figure_count(now->ended_counts[kind]).text,
				carom_outcome_name((enum carom_outcome_kind)kind));
	if (pool->rate >= 0)
		fprintf(file, "; %s/s", carom_figure_count((uint64_t)(pool->rate + 0.5)).text);
	fputc('\n', file);
}

static void print_times(const char *name, const struct carom_histogram *histogram, FILE *file)
{
	if (carom_histogram_count(histogram) == 0)
		return;
	fprintf(file, "  %-7s half in %s, 90 %% in %s, 99 %% in %s, all in %s\n", name,
		carom_figure_time(carom_histogram_percentile(histogram, 50)).text,
		carom_figure_time(carom_histogram_percentile(histogram, 90)).text,
		carom_figure_time(carom_histogram_percentile(histogram, 99)).text,
		carom_figure_time(histogram->largest).text);
}

static void print_ends(const struct carom_pool_statistics *now, FILE *file)
{
	const char *separator = "  ended   ";

	for (int reason = 0; reason < CAROM_STATISTICS_REASONS; reason++) {
		if (!now->exit_counts[reason])
			continue;
		fprintf(file, "%s%s %s", separator,
			carom_figure_count(now->exit_counts[reason]).text,
			carom_exit_reason_name((enum carom_exit_reason)reason));
		separator = ", ";
	}
	if (separator[0] == ',')
		fprintf(file, " (of %s processes)\n", carom_figure_count(now->process_count).text);
}

/* ---- its workers ---- */

static void print_worker(const struct carom_top_worker *worker, FILE *file)
{
	const struct carom_worker_statistics *now = &worker->statistics;
	char share[16] = "-", task[24] = "-";

	if (worker->cpu_share >= 0)
		snprintf(share, sizeof(share), "%.1f", 100 * worker->cpu_share);
	if (now->state == CAROM_WORKER_BUSY)
		snprintf(task, sizeof(task), "%llu", (unsigned long long)now->task_id);
	fprintf(file, "  %3llu %7lld %-8s %8s %10s %9s %5s %7s %7s %4s\n",
		(unsigned long long)worker->index, (long long)now->pid,
		carom_worker_state_name((enum carom_worker_state)now->state), task,
		worker->age_ns ? carom_figure_time(worker->age_ns).text : "-",
		carom_figure_count(now->item_count).text, share,
		worker->memory_bytes ? carom_figure_bytes(worker->memory_bytes).text : "-",
		carom_histogram_count(&now->run_ns)
			? carom_figure_time(carom_histogram_percentile(&now->run_ns, 50)).text
			: "-",
		carom_figure_count(now->process_count ? now->process_count - 1 : 0).text);
}

static void print_workers(const struct carom_top_pool *pool, bool has_colour, FILE *file)
{
	fprintf(file, "%s  %3s %7s %-8s %8s %10s %9s %5s %7s %7s %4s%s\n", has_colour ? FAINT : "",
		"#", "PID", "STATE", "TASK", "FOR", "DONE", "CPU%", "MEMORY", "RUN", "NEW",
		has_colour ? PLAIN : "");
	for (size_t i = 0; i < pool->worker_count; i++)
		print_worker(&pool->workers[i], file);
}

/* ---- all ---- */

static size_t count_workers(const struct carom_top_look *look, uint64_t state)
{
	size_t count = 0;

	for (size_t i = 0; i < look->pool_count; i++)
		for (size_t k = 0; k < look->pools[i].worker_count; k++)
			count += look->pools[i].workers[k].statistics.state == state;
	return count;
}

void carom_top_print(const struct carom_top_look *look, bool has_colour, FILE *file)
{
	time_t now = time(NULL);
	struct tm local;
	char clock[16] = "";

	if (localtime_r(&now, &local))
		strftime(clock, sizeof(clock), "%H:%M:%S", &local);
	fprintf(file, "carom top  %s  %zu pool%s, workers: %zu busy, %zu idle\n", clock,
		look->pool_count, look->pool_count == 1 ? "" : "s",
		count_workers(look, CAROM_WORKER_BUSY), count_workers(look, CAROM_WORKER_IDLE));
	if (look->pool_count == 0)
		fputs("\nThere is no pool to be seen. A pool is seen that was made with the "
		      "option\n"
		      "'statistics', by other users only for root.\n",
		      file);
	for (size_t i = 0; i < look->pool_count; i++) {
		const struct carom_top_pool *pool = &look->pools[i];

		print_head(look, pool, has_colour, file);
		print_tasks(pool, file);
		print_times("waited", &pool->statistics.wait_ns, file);
		print_times("ran", &pool->statistics.run_ns, file);
		print_ends(&pool->statistics, file);
		print_workers(pool, has_colour, file);
	}
}
