/*
 * Peer: carom at a pool's begin and end, and at a task's time limit
 *
 * A first pool is made and freed before anything is measured, so that the library's
 * thread and its fork server are there, as in a program that makes a pool while it is
 * small. Where the first pool is what is measured, each operation is in a process of
 * its own, which gets its memory before it hears of the library.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/machine.h"
#include "bench/meeting.h"
#include "bench/peer.h"
#include "pool/carom.h"

#define WORKERS_MAX 64
#define SETTLE_NS   CAROM_MILLISECONDS(20)

struct life_side {
	struct bench_job job;
	struct carom_result *results[WORKERS_MAX];
};

/* Shared with the workers, who are copies of this process. */
static struct bench_meeting *meeting;

/**
 * struct report - what a task or a process of its own has to say
 * @begun_ns: when the task that does not keep its limit began
 * @ns, @error: of the operation of a process of its own
 */
struct report {
	_Atomic uint64_t begun_ns;
	uint64_t ns;
	int32_t error;
};
static struct report *report;

static int share(void)
{
	void *memory = mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	meeting = bench_meeting_new();
	if (!meeting || memory == MAP_FAILED)
		return -ENOMEM;
	report = memory;
	return 0;
}

static int attend(struct carom_call *call)
{
	bench_meeting_attend(meeting);
	return 0;
}

static int new_pool(const struct life_side *side, struct carom_pool **ret_pool)
{
	return carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = side->job.worker_count),
			      ret_pool);
}

static int setup_without(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	struct life_side *side = calloc(1, sizeof(*side));

	if (!side)
		return -ENOMEM;
	*ret_state = side;
	side->job = *job;
	return job->worker_count > WORKERS_MAX ? -EINVAL : share();
}

static int setup(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *first = NULL;
	int r = setup_without(job, sample, ret_state);

	return r < 0 ? r : carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1), &first);
}

static void teardown(void *state)
{
	free(state);
}

/* --- the begin --------------------------------------------------------- */

static int operate_start(void *state, uint64_t task_count, struct bench_operation *operation)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	uint64_t begin = carom_now();
	int r = new_pool(state, &pool);

	operation->ns = carom_now() - begin;
	return r;
}

/* Until every worker is in a task. */
static int call_meeting(struct life_side *side, struct carom_pool *pool)
{
	int r = 0;

	bench_meeting_call(meeting, (uint32_t)side->job.worker_count);
	for (uint64_t i = 0; r == 0 && i < side->job.worker_count; i++)
		r = carom_pool_apply_async(pool, attend, NULL, 0, NULL, &side->results[i]);
	if (r == 0)
		bench_meeting_await(meeting);
	return r;
}

static int end_meeting(struct life_side *side)
{
	int r = 0;

	bench_meeting_end(meeting);
	for (uint64_t i = 0; i < side->job.worker_count; i++) {
		if (side->results[i] && r == 0)
			r = carom_result_get(side->results[i], CAROM_NO_DEADLINE, NULL, 0, NULL);
		side->results[i] = carom_result_free(side->results[i]);
	}
	return r;
}

static int operate_start_at_work(void *state, uint64_t task_count,
				 struct bench_operation *operation)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct life_side *side = state;
	uint64_t begin = carom_now();
	int r = new_pool(side, &pool);

	if (r == 0)
		r = call_meeting(side, pool);
	operation->ns = carom_now() - begin;
	return r < 0 ? r : end_meeting(side);
}

static int make_first_pool(const struct life_side *side)
{
	struct bench_operation operation = { 0 };
	int r = bench_touch(side->job.parent_bytes);

	if (r == 0)
		r = operate_start((void *)side, 1, &operation);
	report->ns = operation.ns;
	return r;
}

static int operate_first(void *state, uint64_t task_count, struct bench_operation *operation)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		report->error = make_first_pool(state);
		_exit(0);
	}
	if (pid < 0)
		return -errno;
	report->error = -EPIPE;
	waitpid(pid, NULL, 0);
	operation->ns = report->ns;
	return report->error;
}

/* --- the end ----------------------------------------------------------- */

/* A pool whose workers have all worked, and are idle or about to be. */
static int new_idle_pool(struct life_side *side, struct carom_pool **ret_pool)
{
	int r = new_pool(side, ret_pool);

	if (r == 0)
		r = call_meeting(side, *ret_pool);
	if (r == 0)
		r = end_meeting(side);
	bench_let_pass(SETTLE_NS);
	return r;
}

static int operate_terminate(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct carom_pool *pool = NULL;
	int r = new_idle_pool(state, &pool);
	uint64_t begin = carom_now();

	if (r == 0)
		r = carom_pool_terminate(pool);
	carom_pool_free(pool);
	operation->ns = carom_now() - begin;
	return r;
}

static int operate_drain(void *state, uint64_t task_count, struct bench_operation *operation)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int r = new_idle_pool(state, &pool);
	uint64_t begin = carom_now();

	if (r == 0)
		r = carom_pool_close(pool);
	if (r == 0)
		r = carom_pool_join(pool, CAROM_NO_DEADLINE);
	operation->ns = carom_now() - begin;
	return r;
}

/* --- a limit ----------------------------------------------------------- */

static int no_op(struct carom_call *call)
{
	return 0;
}

static int overrun(struct carom_call *call)
{
	atomic_store(&report->begun_ns, carom_now());
	for (;;)
		bench_relax();
	return 0;
}

struct limit_side {
	struct life_side life; /* first: torn down as one */
	struct carom_pool *pool;
};

static int setup_limit(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	struct limit_side *side = calloc(1, sizeof(*side));
	int r = side ? share() : -ENOMEM;

	if (r < 0)
		return r;
	*ret_state = side;
	side->life.job = *job;
	r = new_pool(&side->life, &side->pool);
	bench_place_threads(job->caller_cpu);
	return r;
}

static void teardown_limit(void *state)
{
	struct limit_side *side = state;

	carom_pool_free(side->pool);
	free(side);
}

static int place_worker(struct limit_side *side)
{
	struct carom_worker_info info;
	int r = carom_pool_apply(side->pool, no_op, NULL, 0, NULL, 0, NULL, NULL);

	if (r == 0)
		r = carom_pool_workers(side->pool, &info, 1);
	return r < 0 ? r : bench_place((pid_t)info.pid, side->life.job.worker_cpu);
}

static int operate_limit(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct limit_side *side = state;
	uint64_t limit_ns = side->life.job.workload->limit_ns;
	struct carom_outcome outcome;
	uint64_t due_ns;
	uint64_t now_ns;
	int r = place_worker(side);

	if (r < 0)
		return r;
	r = carom_pool_apply(side->pool, overrun, NULL, 0, NULL, 0,
			     &CAROM_TASK_OPTIONS(.hard_limit_ns = limit_ns), &outcome);
	now_ns = carom_now();
	if (r != -EREMOTEIO || outcome.kind != CAROM_OUTCOME_HARD_LIMIT)
		return -EPROTO;
	due_ns = atomic_load(&report->begun_ns) + limit_ns;
	operation->ns = now_ns > due_ns ? now_ns - due_ns : 1;
	return 0;
}

#define ACT(id, make, operation, end)                                                            \
	{                                                                                        \
		.workload_id = (id), .setup = (make), .operate = (operation), .teardown = (end), \
	}

const struct bench_act bench_carom_life_acts[] = {
	ACT(BENCH_LIMIT, setup_limit, operate_limit, teardown_limit),
	ACT(BENCH_START, setup, operate_start, teardown),
	ACT(BENCH_START_LARGE_PARENT, setup, operate_start, teardown),
	{ .workload_id = BENCH_START_FIRST_LARGE_PARENT,
	  .setup = setup_without,
	  .operate = operate_first,
	  .teardown = teardown,
	  .touches = true },
	ACT(BENCH_START_AT_WORK, setup, operate_start_at_work, teardown),
	ACT(BENCH_START_AT_WORK_LARGE_PARENT, setup, operate_start_at_work, teardown),
	ACT(BENCH_DRAIN, setup, operate_drain, teardown),
	ACT(BENCH_TERMINATE, setup, operate_terminate, teardown),
	{ 0 },
};
