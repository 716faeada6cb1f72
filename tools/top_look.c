/*
 * Look
 *
 * What pools count is read without a word to them; what the kernel counts of a worker stands
 * in /proc. A worker's number is one of its program's pid namespace: where that is not ours,
 * nothing is looked up by it.
 */
#include "tools/top_look.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/small_file.h"
#include "core/time.h"
#include "pool/outcome.h"

uint64_t carom_top_ended_count(const struct carom_pool_statistics *statistics)
{
	uint64_t count = 0;

	for (size_t i = 0; i < CAROM_STATISTICS_KINDS; i++)
		count += statistics->ended_counts[i];
	return count;
}

/* ---- the look before ---- */

static const struct carom_top_pool *pool_before(const struct carom_top_look *before,
						const struct carom_top_pool *pool)
{
	for (size_t i = 0; before && i < before->pool_count; i++) {
		const struct carom_top_pool *other = &before->pools[i];

		if (other->place.pid == pool->place.pid && other->place.fd == pool->place.fd &&
		    other->statistics.created_ns == pool->statistics.created_ns)
			return other;
	}
	return NULL;
}

static const struct carom_top_worker *worker_before(const struct carom_top_pool *pool,
						    const struct carom_top_worker *worker)
{
	for (size_t i = 0; pool && i < pool->worker_count; i++)
		if (pool->workers[i].index == worker->index &&
		    pool->workers[i].statistics.born_ns == worker->statistics.born_ns)
			return &pool->workers[i];
	return NULL;
}

/* ---- what the kernel counts ---- */

/* "PID (NAME) S PPID ...", the NAME holding whatever it likes: the 14th, 15th and 24th. */
static void read_stat(struct carom_top_worker *worker)
{
	unsigned long long user, system, pages;
	char path[64], text[1024], *rest;

	snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)worker->statistics.pid);
	if (carom_small_file_read(AT_FDCWD, path, text, sizeof(text)) <= 0)
		return;
	rest = strrchr(text, ')');
	if (!rest || sscanf(rest,
			    ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu"
			    " %*d %*d %*d %*d %*d %*d %*u %*u %llu",
			    &user, &system, &pages) != 3)
		return;
	worker->cpu_ns = (user + system) * (CAROM_NS_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK));
	worker->memory_bytes = pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* ---- workers ---- */

static void look_at_process(const struct carom_top_look *look, const struct carom_top_look *before,
			    const struct carom_top_worker *then, struct carom_top_worker *worker)
{
	uint64_t past_ns = before ? look->now_ns - before->now_ns : 0;

	read_stat(worker);
	if (then && past_ns > 0 && worker->cpu_ns >= then->cpu_ns)
		worker->cpu_share = (double)(worker->cpu_ns - then->cpu_ns) / (double)past_ns;
}

static uint64_t age_of(const struct carom_top_look *look,
		       const struct carom_worker_statistics *statistics)
{
	uint64_t since_ns = statistics->since_ns ? statistics->since_ns : statistics->born_ns;

	return since_ns && since_ns < look->now_ns ? look->now_ns - since_ns : 0;
}

static int look_at_workers(const struct carom_statistics *reader, const struct carom_top_look *look,
			   const struct carom_top_look *before, struct carom_top_pool *pool)
{
	const struct carom_top_pool *then = pool_before(before, pool);
	uint64_t limit = pool->statistics.worker_limit;
	bool is_ours = pool->statistics.pid == pool->place.pid;

	pool->workers = calloc(limit ? limit : 1, sizeof(*pool->workers));
	if (!pool->workers)
		return -ENOMEM;
	for (uint64_t i = 0; i < limit; i++) {
		struct carom_top_worker *worker = &pool->workers[pool->worker_count];

		*worker = (struct carom_top_worker){ .index = i, .cpu_share = -1 };
		if (carom_statistics_worker(reader, i, &worker->statistics) < 0 ||
		    (worker->statistics.state == CAROM_WORKER_ABSENT &&
		     i >= pool->statistics.worker_count))
			continue;
		worker->age_ns = age_of(look, &worker->statistics);
		if (is_ours && worker->statistics.pid > 0)
			look_at_process(look, before, worker_before(then, worker), worker);
		pool->worker_count++;
	}
	return 0;
}

static uint64_t weight_of(const struct carom_top_worker *worker, enum carom_top_order order)
{
	switch (order) {
	case CAROM_TOP_BY_AGE:
		return worker->statistics.state == CAROM_WORKER_BUSY ? worker->age_ns : 0;
	case CAROM_TOP_BY_CPU:
		return worker->cpu_share > 0 ? (uint64_t)(worker->cpu_share * 1e6) : 0;
	case CAROM_TOP_BY_MEMORY:
		return worker->memory_bytes;
	case CAROM_TOP_BY_TASKS:
		return worker->statistics.item_count;
	default:
		return UINT64_MAX - worker->index;
	}
}

static int compare_workers(const void *a, const void *b, void *order)
{
	uint64_t x = weight_of(a, *(const enum carom_top_order *)order);
	uint64_t y = weight_of(b, *(const enum carom_top_order *)order);

	return (x < y) - (x > y);
}

/* ---- pools ---- */

static double rate_of(const struct carom_top_look *look, const struct carom_top_look *before,
		      const struct carom_top_pool *pool)
{
	const struct carom_top_pool *then = pool_before(before, pool);
	uint64_t now_count = carom_top_ended_count(&pool->statistics), then_count;

	if (!then || look->now_ns <= before->now_ns)
		return -1;
	then_count = carom_top_ended_count(&then->statistics);
	if (now_count < then_count)
		return -1;
	return (double)(now_count - then_count) * 1e9 / (double)(look->now_ns - before->now_ns);
}

/* Return: 0, also for a pool that has gone meanwhile, or -ENOMEM. */
static int look_at_pool(const struct carom_top_options *options,
			const struct carom_top_look *before,
			const struct carom_statistics_place *place, struct carom_top_look *look)
{
	struct carom_top_pool *pool = &look->pools[look->pool_count];
	struct carom_statistics *reader;
	enum carom_top_order order = options->order;
	int r = carom_statistics_open(place->pid, place->fd, &reader);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	*pool = (struct carom_top_pool){ .place = *place };
	carom_statistics_pool(reader, &pool->statistics);
	pool->rate = rate_of(look, before, pool);
	r = look_at_workers(reader, look, before, pool);
	carom_statistics_free(reader);
	if (r < 0)
		return r;
	qsort_r(pool->workers, pool->worker_count, sizeof(*pool->workers), compare_workers, &order);
	look->pool_count++;
	return 0;
}

int carom_top_look(const struct carom_top_options *options, const struct carom_top_places *places,
		   const struct carom_top_look *before, struct carom_top_look *ret_look)
{
	struct carom_top_look look = { .now_ns = carom_now() };
	int r = 0;

	look.pools = calloc(places->count + 1, sizeof(*look.pools));
	if (!look.pools)
		return -ENOMEM;
	for (size_t i = 0; i < places->count && r >= 0; i++)
		r = look_at_pool(options, before, &places->list[i], &look);
	if (r < 0) {
		carom_top_look_deinit(&look);
		return r;
	}
	*ret_look = look;
	return 0;
}

void carom_top_look_deinit(struct carom_top_look *look)
{
	for (size_t i = 0; i < look->pool_count; i++)
		free(look->pools[i].workers);
	free(look->pools);
	*look = (struct carom_top_look){ 0 };
}
