/*
 * limited: a pool whose workers may have so much memory, and no more
 *
 * Each task sorts as many numbers as it is told. One of them wants more than there is for
 * it: it alone ends, with what it had and what it was allowed, while its neighbours go on. What
 * these took is told as well.
 */
#include <carom/carom.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define LIMIT CAROM_MIB(64)

static int compare(const void *left, const void *right)
{
	const uint64_t *a = left, *b = right;

	return (*a > *b) - (*a < *b);
}

/* some that are the same each time */
static void fill(uint64_t *numbers, uint64_t count)
{
	uint64_t seed = 1;

	for (uint64_t i = 0; i < count; i++) {
		seed = seed * 6364136223846793005u + 1442695040888963407u;
		numbers[i] = seed >> 33;
	}
}

static int median(struct carom_call *call) /* runs in a worker process */
{
	uint64_t count, *numbers;
	int r = carom_call_read(call, &count, sizeof(count));

	if (r < 0)
		return r;
	numbers = malloc(count * sizeof(*numbers));
	if (!numbers)
		return -ENOMEM;
	fill(numbers, count);
	qsort(numbers, count, sizeof(*numbers), compare);
	r = carom_reply(call, &numbers[count / 2], sizeof(*numbers));
	free(numbers);
	return r;
}

/* By which means the limit is kept depends on where the program runs. */
static void tell_limits(struct carom_pool *pool)
{
	struct carom_pool_limits limits;

	if (carom_pool_limits(pool, &limits) < 0)
		return;
	printf("%" PRIu64 " MiB each, kept by %s\n", limits.max_memory_per_child_bytes >> 20,
	       limits.memory_rungs & CAROM_RUNG_CGROUP ? "control groups" : "looking every 10 ms");
	if (*limits.reason)
		printf("(%s)\n", limits.reason);
}

int main(void)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	uint64_t counts[] = { 1000, 100000, 100000000, 200000, 2000 }, medians[5];
	struct carom_outcome outcomes[5];
	char text[160];
	int r;

	r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .task_usage = 1,
					       .max_memory_per_child_bytes = LIMIT),
			   &pool);
	if (r < 0)
		return carom_complain("pool", r);
	tell_limits(pool);
	r = carom_pool_map(pool, median, counts, 5, sizeof(*counts), medians, sizeof(*medians),
			   &CAROM_MAP_OPTIONS(.outcomes = outcomes, .chunk_size = 1));
	if (r < 0 && r != -EREMOTEIO)
		return carom_complain("map", r);
	for (int i = 0; i < 5; i++) {
		printf("%9" PRIu64 " numbers: %s", counts[i],
		       carom_outcome_describe(&outcomes[i], text, sizeof(text)));
		if (outcomes[i].kind == CAROM_OUTCOME_OK)
			printf(", %.1f ms of CPU time, %" PRIu64 " KiB at most",
			       (double)outcomes[i].cpu_ns * 1e-6, outcomes[i].peak_bytes >> 10);
		putchar('\n');
	}
	return 0;
}
