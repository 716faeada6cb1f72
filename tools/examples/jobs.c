/*
 * Jobs: a small job server's way with a pool
 *
 * Jobs are submitted and forgotten; callbacks tell what became of them. One hangs and
 * stops in good order at its soft limit, one is deaf and is killed at its hard limit, one
 * takes its worker with it and is tried again, one is called off. In the end the pool is
 * drained: what was accepted is done, and everything is told.
 */
#include <carom/carom.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* ---- in a worker ---- */

static int count_letters(struct carom_call *call)
{
	size_t length;

	carom_call_data(call, &length);
	return carom_reply(call, &(uint64_t){ length }, sizeof(uint64_t));
}

static int hang(struct carom_call *call)
{
	while (!carom_call_soft_limit(call))
		pause(); /* a signal ends it, and the loop looks */
	return -EINTR;
}

static int be_deaf(struct carom_call *call)
{
	signal(SIGTERM, SIG_IGN);
	for (;;)
		pause();
	return 0;
}

static int crash(struct carom_call *call)
{
	raise(SIGSEGV);
	return 0;
}

/* ---- in the program ---- */

static int done(struct carom_result *result, void *userdata)
{
	uint64_t letters = 0;

	carom_result_get(result, CAROM_PASSED, &letters, sizeof(letters), NULL);
	printf("%-8s  %d letters\n", carom_result_correlation_id(result), (int)letters);
	return 0;
}

static int failed(struct carom_result *result, void *userdata)
{
	struct carom_outcome outcome;

	carom_result_outcome(result, &outcome);
	printf("%-8s  %s, after %d earlier attempts\n", carom_result_correlation_id(result),
	       carom_outcome_name(outcome.kind), (int)outcome.attempt);
	return 0;
}

/* @limit_ns: 0: the pool's own */
static int submit(struct carom_pool *pool, const char *name, carom_task_fn *job, uint64_t retries,
		  uint64_t limit_ns, struct carom_result **ret_result)
{
	return carom_pool_apply_async(
		pool, job, name, strlen(name),
		&CAROM_TASK_OPTIONS(.correlation_id = name, .retry_on_loss = retries,
				    .hard_limit_ns = limit_ns, .callback = done,
				    .error_callback = failed),
		ret_result);
}

int main(void)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *late = NULL;
	int r = carom_pool_new(
		&CAROM_POOL_OPTIONS(.worker_count = 2, .soft_limit_ns = CAROM_MILLISECONDS(100),
				    .hard_limit_ns = CAROM_SECONDS(60), .max_tasks_per_child = 100),
		&pool);

	if (r < 0)
		return carom_complain("pool", r);
	r = submit(pool, "resize", count_letters, 0, 0, NULL);
	if (r == 0)
		r = submit(pool, "hanging", hang, 0, 0, NULL);
	if (r == 0)
		r = submit(pool, "deaf", be_deaf, 0, CAROM_MILLISECONDS(200), NULL);
	if (r == 0)
		r = submit(pool, "poison", crash, 2, 0, NULL);
	if (r == 0)
		r = submit(pool, "late", count_letters, 0, 0, &late);
	if (r < 0)
		return carom_complain("job", r);
	carom_result_cancel(late); /* unless a worker was quicker */
	r = carom_pool_drain(pool, carom_deadline_after(CAROM_SECONDS(5)));
	printf("drained; %d jobs not done\n", r);
	return r == 0 ? 0 : 1;
}
