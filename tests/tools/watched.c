/*
 * A pool to be looked at until standard input ends: two workers, one of them busy and the other
 * idle when "ready" is printed. Its name holds what a terminal or a format could stumble over.
 */
#include <stdio.h>
#include <unistd.h>

#include "pool/umbrella.h"

static int quick(struct carom_call *call)
{
	return 0;
}

static int fail(struct carom_call *call)
{
	return -5;
}

static int go_on(struct carom_call *call)
{
	pause();
	return 0;
}

/* One at its task, and the other ready for one. */
static int is_as_promised(struct carom_pool *pool)
{
	struct carom_worker_statistics first, second;

	carom_pool_worker_statistics(pool, 0, &first);
	carom_pool_worker_statistics(pool, 1, &second);
	return first.state + second.state == CAROM_WORKER_BUSY + CAROM_WORKER_IDLE &&
	       first.state != second.state;
}

int main(void)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_result *long_one;
	char byte;

	if (carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .statistics = 1,
					       .name = "a \"pool\"\033"),
			   &pool) < 0)
		return 1;
	for (int i = 0; i < 3; i++)
		carom_pool_apply(pool, quick, NULL, 0, NULL, 0, NULL, NULL);
	carom_pool_apply(pool, fail, NULL, 0, NULL, 0, NULL, NULL);
	if (carom_pool_apply_async(pool, go_on, NULL, 0, NULL, &long_one) < 0)
		return 1;
	while (!is_as_promised(pool))
		usleep(1000);
	puts("ready");
	fflush(stdout);
	(void)!read(STDIN_FILENO, &byte, 1);
	carom_pool_terminate(pool);
	carom_result_free(long_one);
	return 0;
}
