/*
 * Peers: carom, carom-parked, carom-open, carom-isolated, carom-sandboxed
 *
 * The library's pools as a program uses them, by the public headers; its processes
 * are in bench/peer_carom_process.c.
 *
 * A pool is made while its process may run on both CPUs of the placement, since
 * that is what it decides by whether spinning can help; then the workers are put
 * where they belong, and again after each death, the replacement being born
 * wherever the fork server may run. The library's own thread keeps to the
 * caller's CPU.
 */
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench/machine.h"
#include "bench/peer.h"
#include "pool/carom.h"
#include "shm/futex.h"

#define WORKERS_MAX 64
#define ITEMS       256

/* Long enough that nobody sleeps while operations follow each other, and soon over. */
#define SPIN_NS CAROM_MILLISECONDS(1)

/* Where a busy task leaves its pid: shared with the workers, who are copies of this process. */
static _Atomic uint32_t *busy_pid;

struct carom_side {
	struct bench_job job;
	struct carom_pool *pool;
	struct carom_sandbox *sandbox;
	struct carom_result *window[BENCH_WINDOW];
	uint64_t items[ITEMS];
	uint64_t *many_items;
	uint64_t *many_values;
	uint64_t next_item;
};

static int no_op(struct carom_call *call)
{
	return 0;
}

static int give_back(struct carom_call *call)
{
	uint64_t item;
	int r = carom_call_read(call, &item, sizeof(item));

	return r < 0 ? r : carom_reply(call, &item, sizeof(item));
}

/* Holds as many bytes as its argument says, and never ends. */
static int be_busy(struct carom_call *call)
{
	uint64_t held_bytes;
	int r = carom_call_read(call, &held_bytes, sizeof(held_bytes));

	if (r == 0)
		r = bench_touch(held_bytes);
	if (r < 0)
		return r;
	atomic_store(busy_pid, (uint32_t)getpid());
	carom_futex_wake(busy_pid, 1);
	for (;;)
		bench_relax();
}

static int place_workers(struct carom_side *side)
{
	struct carom_worker_info infos[WORKERS_MAX];
	int count = carom_pool_workers(side->pool, infos, WORKERS_MAX);

	for (int i = 0; i < count && i < WORKERS_MAX; i++)
		if (infos[i].pid)
			bench_place((pid_t)infos[i].pid, side->job.worker_cpu);
	return count < 0 ? count : 0;
}

static int apply_no_op(struct carom_side *side)
{
	return carom_pool_apply(side->pool, no_op, NULL, 0, NULL, 0, NULL, NULL);
}

static int share_busy_pid(void)
{
	busy_pid = mmap(NULL, sizeof(*busy_pid), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			-1, 0);
	return busy_pid == MAP_FAILED ? -errno : 0;
}

static int new_pool_in(const struct bench_job *job, uint64_t spin_ns, bool is_isolated,
		       enum carom_sandbox_profile profile, void **ret_state)
{
	struct carom_side *side = calloc(1, sizeof(*side));
	int r = side ? share_busy_pid() : -ENOMEM;

	if (r < 0)
		return r;
	*ret_state = side;
	side->job = *job;
	r = carom_sandbox_new(&CAROM_SANDBOX_OPTIONS(.profile = profile), &side->sandbox);
	if (r == 0)
		r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = job->worker_count,
						       .spin_ns = spin_ns, .isolated = is_isolated,
						       .sandbox = side->sandbox),
				   &side->pool);
	if (r == 0)
		r = apply_no_op(side);
	if (r == 0)
		r = place_workers(side);
	bench_place_threads(job->caller_cpu);
	return r;
}

static int new_pool(const struct bench_job *job, uint64_t spin_ns, void **ret_state)
{
	return new_pool_in(job, spin_ns, false, CAROM_SANDBOX_NONE, ret_state);
}

static int setup(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	return new_pool(job, 0, ret_state);
}

static int setup_parked(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	return new_pool(job, CAROM_SPIN_NEVER, ret_state);
}

static int setup_confined(const struct bench_job *job, struct bench_sample *sample,
			  void **ret_state)
{
	return new_pool_in(job, CAROM_SPIN_NEVER, true, CAROM_SANDBOX_STRICT, ret_state);
}

static int setup_isolated_parked(const struct bench_job *job, struct bench_sample *sample,
				 void **ret_state)
{
	return new_pool_in(job, CAROM_SPIN_NEVER, true, CAROM_SANDBOX_NONE, ret_state);
}

static int setup_isolated(const struct bench_job *job, struct bench_sample *sample,
			  void **ret_state)
{
	return new_pool_in(job, 0, true, CAROM_SANDBOX_NONE, ret_state);
}

static int setup_sandboxed(const struct bench_job *job, struct bench_sample *sample,
			   void **ret_state)
{
	return new_pool_in(job, 0, true, CAROM_SANDBOX_STRICT, ret_state);
}

static int setup_spinning(const struct bench_job *job, struct bench_sample *sample,
			  void **ret_state)
{
	return new_pool(job, SPIN_NS, ret_state);
}

static void teardown(void *state)
{
	struct carom_side *side = state;

	carom_pool_free(side->pool);
	carom_sandbox_free(side->sandbox);
	free(side->many_items);
	free(side->many_values);
	free(side);
}

static int operate_round_trip(void *state, uint64_t task_count, struct bench_operation *operation)
{
	return apply_no_op(state);
}

/* Takes the result at a place of the window, if there is one. */
static int collect(struct carom_side *side, uint64_t place)
{
	struct carom_result *result = side->window[place];
	int r;

	if (!result)
		return 0;
	r = carom_result_get(result, CAROM_NO_DEADLINE, NULL, 0, NULL);
	side->window[place] = carom_result_free(result);
	return r;
}

static int operate_throughput(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct carom_side *side = state;
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < task_count; i++) {
		uint64_t place = i % BENCH_WINDOW;

		r = collect(side, place);
		if (r == 0)
			r = carom_pool_apply_async(side->pool, no_op, NULL, 0, NULL,
						   &side->window[place]);
	}
	for (uint64_t i = 0; r == 0 && i < BENCH_WINDOW; i++)
		r = collect(side, (task_count + i) % BENCH_WINDOW);
	return r;
}

static int map(struct carom_side *side, uint64_t task_count, size_t chunk_size)
{
	return carom_pool_map(side->pool, no_op, side->items, task_count, sizeof(*side->items),
			      NULL, 0, &CAROM_MAP_OPTIONS(.chunk_size = chunk_size));
}

static int operate_batch(void *state, uint64_t task_count, struct bench_operation *operation)
{
	return map(state, task_count, 1);
}

static int operate_batch_chunked(void *state, uint64_t task_count,
				 struct bench_operation *operation)
{
	return map(state, task_count, 0);
}

static int make_many(const struct bench_job *job, struct carom_side *side)
{
	side->many_items = calloc(job->task_count, sizeof(uint64_t));
	side->many_values = calloc(job->task_count, sizeof(uint64_t));
	if (!side->many_items || !side->many_values)
		return -ENOMEM;
	for (uint64_t i = 0; i < job->task_count; i++)
		side->many_items[i] = i;
	return 0;
}

static int setup_many(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	int r = setup(job, sample, ret_state);

	return r < 0 ? r : make_many(job, *ret_state);
}

static int setup_many_isolated(const struct bench_job *job, struct bench_sample *sample,
			       void **ret_state)
{
	int r = setup_isolated(job, sample, ret_state);

	return r < 0 ? r : make_many(job, *ret_state);
}

static int setup_many_sandboxed(const struct bench_job *job, struct bench_sample *sample,
				void **ret_state)
{
	int r = setup_sandboxed(job, sample, ret_state);

	return r < 0 ? r : make_many(job, *ret_state);
}

static int operate_map(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct carom_side *side = state;
	int r = carom_pool_map(side->pool, give_back, side->many_items, task_count,
			       sizeof(uint64_t), side->many_values, sizeof(uint64_t), NULL);

	return r == 0 && side->many_values[task_count - 1] != task_count - 1 ? -EPROTO : r;
}

static int next_item(void *userdata, const void **ret_data, size_t *ret_size)
{
	struct carom_side *side = userdata;

	if (side->next_item == side->job.task_count)
		return 0;
	*ret_data = &side->many_items[side->next_item++];
	*ret_size = sizeof(uint64_t);
	return 1;
}

static int operate_imap(void *state, uint64_t task_count, struct bench_operation *operation)
{
	CAROM_CLEANUP(carom_iterator_freep) struct carom_iterator *iterator = NULL;
	struct carom_side *side = state;
	struct carom_item item;
	uint64_t count = 0;
	int r;

	side->next_item = 0;
	r = carom_pool_imap_unordered(side->pool, give_back, next_item, side, NULL, &iterator);
	if (r < 0)
		return r;
	while ((r = carom_iterator_next(iterator, CAROM_NO_DEADLINE, &item)) > 0)
		count += item.size == sizeof(uint64_t);
	return r == 0 && count != task_count ? -EPROTO : r;
}

/* Returns once the task runs and holds its memory, with its worker's pid. */
static int start_busy_worker(struct carom_side *side, struct carom_result **ret_result)
{
	uint64_t held_bytes = side->job.held_bytes;
	int r;

	atomic_store(busy_pid, 0);
	r = carom_pool_apply_async(side->pool, be_busy, &held_bytes, sizeof(held_bytes), NULL,
				   ret_result);
	while (r == 0 && !atomic_load(busy_pid))
		carom_futex_wait(busy_pid, 0, CAROM_NO_DEADLINE);
	return r < 0 ? r : (int)atomic_load(busy_pid);
}

/* Waits for the answer of a task whose worker was killed; -EPROTO if it is not the truth. */
static int await_loss(struct carom_side *side, struct carom_result *result,
		      struct bench_operation *operation)
{
	struct carom_outcome outcome;
	int r = carom_result_get(result, carom_deadline_after(side->job.give_up_ns), NULL, 0, NULL);

	operation->gave_up = r == -ETIMEDOUT;
	if (operation->gave_up)
		return 0;
	if (r != -EREMOTEIO || carom_result_outcome(result, &outcome) < 0)
		return -EPROTO;
	return outcome.kind == CAROM_OUTCOME_LOST && outcome.signal == SIGKILL ? 0 : -EPROTO;
}

/* A worker is there again, and stands where it belongs. */
static int make_whole(struct carom_side *side)
{
	int r = apply_no_op(side);

	return r < 0 ? r : place_workers(side);
}

static int operate_death(void *state, uint64_t task_count, struct bench_operation *operation)
{
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	struct carom_side *side = state;
	int pid = start_busy_worker(side, &result);
	uint64_t begin = carom_now();
	int r;

	if (pid < 0)
		return pid;
	kill(pid, SIGKILL);
	r = await_loss(side, result, operation);
	operation->ns = carom_now() - begin;
	return r < 0 || operation->gave_up ? r : make_whole(side);
}

static int operate_replacement(void *state, uint64_t task_count, struct bench_operation *operation)
{
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	struct carom_side *side = state;
	int pid = start_busy_worker(side, &result);
	uint64_t begin;
	int r;

	if (pid < 0)
		return pid;
	kill(pid, SIGKILL);
	r = await_loss(side, result, operation);
	if (r < 0 || operation->gave_up)
		return r;
	begin = carom_now();
	r = apply_no_op(side);
	operation->ns = carom_now() - begin;
	return r < 0 ? r : make_whole(side);
}

static int operate_recovery(void *state, uint64_t task_count, struct bench_operation *operation)
{
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	struct carom_side *side = state;
	int pid = start_busy_worker(side, &result);
	uint64_t begin = carom_now();
	int r;

	if (pid < 0)
		return pid;
	kill(pid, SIGKILL);
	r = apply_no_op(side);
	operation->ns = carom_now() - begin;
	if (r == 0)
		r = await_loss(side, result, operation);
	return r < 0 ? r : make_whole(side);
}

#define ACT(id, make, operation)                                              \
	{                                                                     \
		.workload_id = (id), .setup = (make), .operate = (operation), \
		.teardown = teardown,                                         \
	}

static const struct bench_act acts[] = {
	ACT(BENCH_ROUND_TRIP_PARKED, setup_parked, operate_round_trip),
	ACT(BENCH_ROUND_TRIP_SPINNING, setup_spinning, operate_round_trip),
	ACT(BENCH_ROUND_TRIP, setup, operate_round_trip),
	ACT(BENCH_ROUND_TRIP_CONFINED, setup_confined, operate_round_trip),
	ACT(BENCH_THROUGHPUT, setup, operate_throughput),
	ACT(BENCH_BATCH, setup, operate_batch),
	ACT(BENCH_BATCH_CHUNKED, setup, operate_batch_chunked),
	ACT(BENCH_MAP, setup_many, operate_map),
	ACT(BENCH_IMAP, setup_many, operate_imap),
	ACT(BENCH_DEATH, setup, operate_death),
	ACT(BENCH_DEATH_LARGE, setup, operate_death),
	ACT(BENCH_RECOVERY, setup, operate_recovery),
	ACT(BENCH_REPLACEMENT, setup, operate_replacement),
	ACT(BENCH_REPLACEMENT_LARGE_WORKER, setup, operate_replacement),
	ACT(BENCH_REPLACEMENT_LARGE_PARENT, setup, operate_replacement),
	ACT(BENCH_IDLE, setup, operate_round_trip),
	ACT(BENCH_IDLE_64, setup, operate_round_trip),
	{ 0 },
};

const struct bench_peer bench_peer_carom = {
	.name = "carom",
	.summary = "this library, with default options where the workload does not say otherwise",
	.acts = acts,
	.more_acts = { bench_carom_process_acts, bench_carom_echo_acts, bench_carom_life_acts,
		       bench_carom_lock_acts, bench_carom_event_acts, bench_carom_condition_acts,
		       bench_carom_queue_acts, bench_carom_manager_acts, bench_carom_message_acts,
		       bench_carom_command_acts },
};

static const struct bench_act parked_acts[] = {
	ACT(BENCH_ROUND_TRIP, setup_parked, operate_round_trip),
	{ 0 },
};

const struct bench_peer bench_peer_carom_parked = {
	.name = "carom-parked",
	.summary = "this library, told never to spin",
	.acts = parked_acts,
};

static const struct bench_act open_acts[] = {
	ACT(BENCH_ROUND_TRIP_CONFINED, setup_parked, operate_round_trip),
	{ 0 },
};

const struct bench_peer bench_peer_carom_open = {
	.name = "carom-open",
	.summary = "this library, without the sandbox",
	.acts = open_acts,
};

static const struct bench_act isolated_acts[] = {
	ACT(BENCH_ROUND_TRIP, setup_isolated, operate_round_trip),
	ACT(BENCH_ROUND_TRIP_CONFINED, setup_isolated_parked, operate_round_trip),
	ACT(BENCH_THROUGHPUT, setup_isolated, operate_throughput),
	ACT(BENCH_BATCH, setup_isolated, operate_batch),
	ACT(BENCH_BATCH_CHUNKED, setup_isolated, operate_batch_chunked),
	ACT(BENCH_MAP, setup_many_isolated, operate_map),
	ACT(BENCH_IMAP, setup_many_isolated, operate_imap),
	{ 0 },
};

const struct bench_peer bench_peer_carom_isolated = {
	.name = "carom-isolated",
	.summary = "this library, each worker with a lane of its own",
	.acts = isolated_acts,
};

static const struct bench_act sandboxed_acts[] = {
	ACT(BENCH_ROUND_TRIP, setup_sandboxed, operate_round_trip),
	ACT(BENCH_THROUGHPUT, setup_sandboxed, operate_throughput),
	ACT(BENCH_BATCH, setup_sandboxed, operate_batch),
	ACT(BENCH_BATCH_CHUNKED, setup_sandboxed, operate_batch_chunked),
	ACT(BENCH_MAP, setup_many_sandboxed, operate_map),
	ACT(BENCH_IMAP, setup_many_sandboxed, operate_imap),
	{ 0 },
};

const struct bench_peer bench_peer_carom_sandboxed = {
	.name = "carom-sandboxed",
	.summary = "this library, the workers in the sandbox \"strict\", and so isolated",
	.acts = sandboxed_acts,
};
