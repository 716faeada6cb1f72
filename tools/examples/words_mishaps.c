/*
 * Mishaps
 *
 * Each is a task of its own in the same pool, submitted while that is busy with
 * all the other files: carom_pool_apply_async() beside carom_pool_imap_unordered().
 * It costs its file and the worker; that nothing else is touched is what there is
 * to see.
 *
 * The parent learns from shared memory which worker it is about to kill, and when
 * the others were hit. That memory is made before the pool: workers are copies
 * of the program as it was then, and have it at the same address.
 */
#include "tools/examples/words_mishaps.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define STUCK_LIMIT_NS CAROM_MILLISECONDS(300)
#define OTHER_LIMIT_NS CAROM_SECONDS(10) /* long enough not to matter, on any machine */
#define NOBODY         (-1)

/**
 * struct stage - what is shared with the workers
 * @target:    the index of the worker that waits to be killed, or NOBODY
 * @struck_ns: when a worker crashed: the last thing it did
 */
struct stage {
	_Atomic int target;
	_Atomic uint64_t struck_ns;
};

static struct stage *stage; /* the same in the parent and in every worker */

/* ---- in a worker ---- */

static int hold_still(struct carom_call *call)
{
	while (pause() < 0)
		; /* whatever woke it */
	return 0;
}

static int wait_to_be_killed(struct carom_call *call)
{
	atomic_store(&stage->target, carom_call_worker(call));
	return hold_still(call);
}

static int crash(struct carom_call *call)
{
	char *volatile nowhere = (char *)16;

	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }); /* no core file: the cause is known */
	atomic_store(&stage->struck_ns, carom_now());
	*nowhere = 1;
	return 0;
}

/* ---- in the parent ---- */

/* the one that takes time comes first, so that the others happen meanwhile or after */
static const struct words_mishap arranged[WORDS_MISHAPS_MAX] = {
	{ .kind = "stuck", .function = hold_still, .limit_ns = STUCK_LIMIT_NS },
	{ .kind = "killed", .function = wait_to_be_killed, .limit_ns = OTHER_LIMIT_NS },
	{ .kind = "crashed", .function = crash, .limit_ns = OTHER_LIMIT_NS },
};

int words_mishaps_init(struct words_mishaps *mishaps)
{
	int r = carom_segment_new(
		&CAROM_SEGMENT_OPTIONS(.name = "words-stage", .size = sizeof(*stage)),
		&mishaps->stage);

	if (r < 0)
		return r;
	stage = carom_segment_data(mishaps->stage);
	atomic_store(&stage->target, NOBODY);
	return 0;
}

void words_mishaps_arrange(struct words_mishaps *mishaps, size_t file_count)
{
	for (size_t i = 0; i < WORDS_MISHAPS_MAX && i < file_count; i++) {
		mishaps->items[i] = arranged[i];
		mishaps->items[i].file = (i + 1) * file_count / (WORDS_MISHAPS_MAX + 1);
		mishaps->count = i + 1;
	}
}

bool words_mishaps_take(const struct words_mishaps *mishaps, size_t file)
{
	for (size_t i = 0; i < mishaps->count; i++)
		if (mishaps->items[i].file == file)
			return true;
	return false;
}

static int begin(struct words_mishap *mishap, struct carom_pool *pool,
		 const struct words_list *list)
{
	const char *path = list->files[mishap->file].path;

	return carom_pool_apply_async(pool, mishap->function, path, strlen(path) + 1,
				      &CAROM_TASK_OPTIONS(.hard_limit_ns = mishap->limit_ns),
				      &mishap->result);
}

static bool look_at(struct carom_pool *pool, int index, struct carom_worker_info *ret_worker)
{
	struct carom_worker_info workers[CAROM_WORKERS_MAX];

	if (index < 0 || carom_pool_workers(pool, workers, CAROM_WORKERS_MAX) <= index)
		return false;
	*ret_worker = workers[index];
	return true;
}

/* kills the worker that says it waits for that, as an administrator or the kernel might */
static void kill_target(struct words_mishap *mishap, struct carom_pool *pool)
{
	struct carom_worker_info worker;

	if (!look_at(pool, atomic_exchange(&stage->target, NOBODY), &worker) || worker.pid == 0)
		return;
	mishap->struck_ns = carom_now();
	kill((pid_t)worker.pid, SIGKILL);
}

static void conclude(struct words_mishap *mishap)
{
	carom_result_outcome(mishap->result, &mishap->outcome);
	mishap->result = carom_result_free(mishap->result);
	if (mishap->function == crash)
		mishap->struck_ns = atomic_load(&stage->struck_ns);
	else if (mishap->outcome.kind == CAROM_OUTCOME_HARD_LIMIT)
		mishap->struck_ns = mishap->outcome.started_ns + mishap->outcome.limit_ns;
}

/* is there another process in the place of its worker? */
static bool is_replaced(struct words_mishap *mishap, struct carom_pool *pool)
{
	struct carom_worker_info worker;

	if (!look_at(pool, mishap->outcome.worker_index, &worker))
		return true; /* it did not come to run: nobody is missing */
	if (worker.pid != 0 && worker.pid != mishap->outcome.worker_pid)
		mishap->replaced_ns = worker.replaced_ns;
	return mishap->replaced_ns || carom_now() > mishap->outcome.ended_ns + OTHER_LIMIT_NS;
}

int words_mishaps_advance(struct words_mishaps *mishaps, struct carom_pool *pool,
			  const struct words_list *list, size_t done_count)
{
	struct words_mishap *mishap = mishaps->items + mishaps->current;

	if (words_mishaps_are_over(mishaps) || done_count < mishap->file)
		return 0;
	if (mishap->outcome.kind != CAROM_OUTCOME_PENDING) {
		mishaps->current += is_replaced(mishap, pool);
		return 0;
	}
	if (!mishap->result)
		return begin(mishap, pool, list);
	kill_target(mishap, pool);
	if (!carom_result_ready(mishap->result))
		return 0;
	conclude(mishap);
	return 1;
}

bool words_mishaps_are_over(const struct words_mishaps *mishaps)
{
	return mishaps->current == mishaps->count;
}

void words_mishaps_wait(const struct words_mishaps *mishaps, uint64_t timeout_ns)
{
	const struct words_mishap *mishap = mishaps->items + mishaps->current;

	if (words_mishaps_are_over(mishaps))
		return;
	if (mishap->result)
		carom_result_wait(mishap->result, carom_deadline_after(timeout_ns));
	else
		nanosleep(&(struct timespec){ .tv_nsec = (long)timeout_ns }, NULL);
}

void words_mishaps_deinit(struct words_mishaps *mishaps)
{
	for (size_t i = 0; i < mishaps->count; i++)
		carom_result_free(mishaps->items[i].result);
	carom_segment_free(mishaps->stage);
}
