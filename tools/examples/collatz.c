/*
 * Collatz
 */
#include "collatz.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define TASK_COUNT 1000
#define TASK_SIZE  1000

static int64_t count_steps(int64_t number)
{
	int64_t count = 0;

	for (; number > 1; count++)
		number = number % 2 ? 3 * number + 1 : number / 2;
	return count;
}

static int look_at_some(struct carom_call *call) /* runs in a worker process */
{
	struct collatz_best best = { 0 };
	int64_t first;
	int r = carom_call_read(call, &first, sizeof(first));

	if (r < 0)
		return r;
	for (int64_t number = first; number < first + TASK_SIZE; number++) {
		int64_t step_count = count_steps(number);

		if (step_count > best.step_count)
			best = (struct collatz_best){ number, step_count };
	}
	return carom_reply(call, &best, sizeof(best));
}

/* in the host's own thread, from inside carom_pool_poll() */
static int keep_the_best(struct carom_result *result, void *userdata)
{
	struct collatz *search = userdata;
	struct collatz_best best;
	int r = carom_result_get(result, CAROM_PASSED, &best, sizeof(best), NULL);

	if (r < 0)
		return r;
	search->task_count++;
	if (best.step_count > search->best.step_count)
		search->best = best;
	return 0;
}

int collatz_begin(struct collatz *search)
{
	struct carom_task_options options =
		CAROM_TASK_OPTIONS(.callback = keep_the_best, .userdata = search);
	int r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = CAROM_ALL_CPUS, .polled = 1),
			       &search->pool);

	for (int64_t first = 0; r == 0 && first < TASK_COUNT * TASK_SIZE; first += TASK_SIZE)
		r = carom_pool_apply_async(search->pool, look_at_some, &first, sizeof(first),
					   &options, NULL);
	return r < 0 ? r : carom_pool_close(search->pool);
}

int collatz_end(struct collatz *search, int r)
{
	search->pool = carom_pool_free(search->pool);
	if (r != -ESHUTDOWN)
		return carom_complain("pool", r);
	printf("%" PRIu64 " tasks, and %" PRIu64 " heartbeats meanwhile: %" PRId64 " takes %" PRId64
	       " steps\n",
	       search->task_count, search->beat_count, search->best.number,
	       search->best.step_count);
	return EXIT_SUCCESS;
}
