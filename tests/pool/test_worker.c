/* The life of a worker: recycling, signals, hooks, what it leaves and how it ends. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "tests/pool/ends.h"

/* PC-04 */
Test(worker, is_replaced_after_so_many_tasks, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t in[4] = { 0 }, pids[4];

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							       .max_tasks_per_child = 1),
					   &pool)));
	cr_assert(zero(int, carom_pool_map(pool, own_pid, in, 4, 8, pids, 8,
					   &CAROM_MAP_OPTIONS(.chunk_size = 2))));
	cr_expect(eq(i64, pids[0], pids[1]));
	cr_expect(eq(i64, pids[2], pids[3]));
	cr_expect(ne(i64, pids[0], pids[2]));
}
