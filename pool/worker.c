/*
 * Worker
 *
 * The life of a worker's process (a thread has less of it):
 *
 *	it becomes itself      name, log, exit handlers of its own, its CPU
 *	it is admitted         somebody holds it, and will see it die
 *	initializer            signals have their default action, but for SIGINT
 *	signals                whatever the initializer has made of them. Row WK-11
 *	on_loop_start
 *	its sandbox            if it is to be in one: what was done so far was the program's
 *	it is ready            unless it was given up meanwhile: then it ends
 *	claim, call, finish    and so on
 *	on_process_exit        and then its own exit handlers
 *
 *   W1  No task is claimed before the initializer has succeeded: what it fails by is never
 *       the end of a task.
 *   W2  A worker that is replaced ends between two tasks, when the value of the one before
 *       is left and told of. Its end needs no word to anybody: values stand in the lane,
 *       and its exit status says the rest. Row WK-20.
 */
#include "pool/worker.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/annex.h"
#include "core/membarrier.h"
#include "core/backtrace.h"
#include "core/descriptors.h"
#include "core/error.h"
#include "core/finalizer_private.h"
#include "core/forkserver.h"
#include "core/leave.h"
#include "core/log.h"
#include "core/memory_usage_private.h"
#include "core/pid_namespace.h"
#include "core/sandbox_private.h"
#include "core/shutdown.h"
#include "core/streams.h"
#include "core/trace.h"
#include "core/written.h"
#include "ipc/lane.h"
#include "pool/answer.h"
#include "pool/call_private.h"
#include "pool/ceiling.h"
#include "pool/crash.h"
#include "pool/ending.h"
#include "pool/exit_code.h"
#include "pool/outcome.h"
#include "pool/soft_limit_private.h"

_Static_assert(CAROM_WORKER_EXIT_SOFTWARE == CAROM_SHUTDOWN_IMPATIENT, "core gives this status");

/* ---- tasks ---- */

/* how many items a task had that was run: of a batch, as far as it came, in this worker */
static uint64_t count_items(const struct carom_lane *lane, const struct carom_slot *slot)
{
	const struct carom_batch *batch;
	uint64_t ended;

	if (!(slot->flags & CAROM_TASK_BATCH))
		return 1;
	batch = (const void *)((unsigned char *)carom_lane_arguments(lane) + slot->argument.offset);
	ended = atomic_load_explicit(&slot->value.progress, memory_order_relaxed) & UINT32_MAX;
	return ended > batch->begin ? ended - batch->begin : 0; /* relaxed: its own */
}

/* false: not all of a batch was done, because this worker is to end, or is being killed */
static bool run_task(struct carom_worker *worker, struct carom_call *call, uint32_t slot_index)
{
	struct carom_slot *slot = carom_lane_slot(call->lane, slot_index);
	bool is_metered = slot->flags & CAROM_TASK_METERED && worker->meter.is_on;

	carom_call_renew(call, slot);
	carom_soft_limit_enter(slot);
	slot->pid = worker->pid;
	CAROM_TRACE(start, slot_index, worker->index);
	if (slot->flags & CAROM_TASK_BATCH)
		return carom_call_run_batch(call, slot_index);
	if (is_metered)
		carom_meter_begin(&worker->meter);
	carom_call_run(call);
	if (is_metered)
		carom_meter_end(&worker->meter, carom_lane_usage(call->lane, slot_index));
	return true;
}

/* as carom_outcome_of_slot() will say, of a task that is done and not yet finished */
static uint64_t kind_of(const struct carom_slot *task)
{
	int32_t code;

	/* relaxed: set before this worker went on, if at all */
	if (atomic_load_explicit(&task->word, memory_order_relaxed) & CAROM_SLOT_REFUSED)
		return CAROM_OUTCOME_CANCELLED;
	if (carom_code_is_soft_limit(task->code, &code))
		return CAROM_OUTCOME_SOFT_LIMIT;
	return task->code < 0 ? CAROM_OUTCOME_FAILED : CAROM_OUTCOME_OK;
}

/* and counted, where that is asked for; false: as run_task() */
static bool do_task(struct carom_worker *worker, struct carom_call *call, uint32_t slot,
		    uint64_t *ret_item_count)
{
	const struct carom_slot *task = carom_lane_slot(worker->lane, slot);
	struct carom_tally_writer *tally = &worker->tally;
	uint64_t kind;

	if (tally->sheet)
		carom_tally_begin(tally, task, slot, carom_lane_sleep_count(worker->lane));
	if (!run_task(worker, call, slot))
		return false;
	CAROM_TRACE(done, slot, worker->index, task->code);
	/* before it is finished: from then on the slot may be another task's */
	*ret_item_count = count_items(worker->lane, task);
	if (tally->sheet) {
		kind = kind_of(task);
		carom_tally_end(tally, kind, kind == CAROM_OUTCOME_CANCELLED ? 0 : *ret_item_count);
	}
	if (carom_lane_finish(worker->lane, slot) < 0)
		return false;
	if (tally->sheet)
		carom_tally_rest(tally);
	return true;
}

static int work(struct carom_worker *worker)
{
	struct carom_lane *lane = worker->lane;
	int code = CAROM_WORKER_EXIT_OK;
	char message[CAROM_OUTCOME_MESSAGE_MAX];
	struct carom_call call = { .lane = lane, .worker = worker, .message = message };
	uint32_t slot;

	worker->has_barrier = worker->plan->barrier && carom_membarrier_join() == 0;
	while (carom_lane_claim(lane, &slot) == 0) {
		uint64_t item_count;

		CAROM_TRACE(dispatch, slot, worker->index);
		if (!do_task(worker, &call, slot, &item_count))
			break; /* claims no more, and is swept */
		if (carom_recycle_due(&worker->recycle, item_count)) {
			carom_lane_pass_on(lane);
			code = CAROM_WORKER_EXIT_RECYCLE;
			break;
		}
	}
	carom_tally_phase(&worker->tally, CAROM_WORKER_LEAVING);
	return code;
}

/* apart, as it takes up a page of the stack that no other worker needs */
__attribute__((noinline)) static int work_with_trace(struct carom_worker *worker)
{
	char trace[CAROM_BACKTRACE_TEXT_MAX];
	int code;

	worker->trace = trace;
	code = work(worker);
	worker->trace = NULL;
	return code;
}

int carom_worker_work(struct carom_worker *worker)
{
	return worker->plan->backtraces ? work_with_trace(worker) : work(worker);
}

/* ---- the beginning of the process ---- */

static void pin(const struct carom_worker_start *start)
{
	cpu_set_t set;

	if (start->cpu < 0)
		return;
	CPU_ZERO(&set);
	CPU_SET((size_t)start->cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_WORKER_NOT_PINNED,
				"worker %d cannot run on CPU %d: %s", (int)start->index,
				(int)start->cpu, carom_strerror(errno));
}

/* what the program has given to atexit(3), and its finalizers, are not this copy's */
static void become(const struct carom_worker_start *start)
{
	carom_self_become(&start->self);
	carom_context_inherit(&start->context);
	carom_log_import(&start->log);
	carom_finalizers_clear();
	carom_leave_as_child();
	carom_leave_waits_for_nobody();
	setpgid(0, 0); /* by its group what tasks leave behind is found again: see limits.c */
	pin(start);
}

int carom_worker_initialize(const struct carom_worker *worker)
{
	const struct carom_worker_plan *plan = worker->plan;
	const void *data = plan->initializer_size
				   ? (unsigned char *)carom_lane_arguments(worker->lane) +
					     plan->initializer_offset
				   : NULL;
	int r;

	if (!plan->initializer)
		return 0;
	r = plan->initializer(data, plan->initializer_size);
	if (r < 0)
		carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_INITIALIZER_FAILED,
				"the initializer of worker %u failed: %s", worker->index,
				carom_strerror(r));
	return r < 0 ? r : 0;
}

/* ---- its end ---- */

/* by the signal that has asked for it, if one has: then what exit(3) would do is done here */
static _Noreturn void end(const struct carom_worker *worker, int code)
{
	const struct carom_pool_hooks *hooks = &worker->plan->hooks;
	int number = carom_shutdown_signal();

	if (hooks->on_process_exit)
		hooks->on_process_exit(worker->pid, number ? -number : code, hooks->userdata);
	if (!number)
		exit(code);
	carom_leave();
	carom_streams_flush();
	carom_shutdown_finish();
}

/* NULL: nobody wants to know */
static struct carom_backtrace *crash_place(const struct carom_worker *worker,
					   const struct carom_worker_start *start)
{
	unsigned char *values = carom_lane_values(worker->lane, worker->index);

	return start->has_crash_place ? (void *)(values + start->crash_offset) : NULL;
}

/* a limit that cannot be had is none: such a worker does not begin */
static bool stay_below_ceiling(const struct carom_worker *worker)
{
	uint64_t bytes = worker->plan->ceiling_bytes;
	int r = bytes ? carom_ceiling_set(bytes) : 0;

	if (r < 0)
		carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_MEMORY_UNKNOWN,
				"memory of worker %u cannot be limited: %s", worker->index,
				carom_strerror(r));
	return r == 0;
}

/* Not by end(): what the program would do then is not for a worker that was to be confined. */
static void confine(struct carom_worker *worker)
{
	int r;

	if (worker->sandbox_fd < 0)
		return;
	if (worker->plan->limits.max_bytes || worker->plan->measures)
		carom_memory_usage_keep();
	carom_annexes_end(); /* while files can be opened */
	r = carom_sandbox_enter(worker->sandbox_fd, NULL, 0, carom_crash_note);
	worker->sandbox_fd = -1;
	if (r == 0)
		return;
	carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_SANDBOX_REFUSED,
			"worker %u cannot enter its sandbox: %s", worker->index, carom_strerror(r));
	_exit(CAROM_WORKER_EXIT_FAILURE);
}

static _Noreturn void live(struct carom_worker *worker, struct carom_backtrace *crash_place)
{
	const struct carom_pool_hooks *hooks = &worker->plan->hooks;

	signal(SIGINT, SIG_IGN);
	if (!stay_below_ceiling(worker) || carom_worker_initialize(worker) < 0)
		end(worker, CAROM_WORKER_EXIT_FAILURE);
	worker->ending =
		carom_ending_catch(worker->lane, (enum carom_worker_signals)worker->plan->signals);
	carom_soft_limit_install(worker->lane);
	if (crash_place)
		carom_crash_catch(crash_place);
	if (hooks->on_loop_start)
		hooks->on_loop_start(worker->pid, hooks->userdata);
	confine(worker);
	if (carom_lane_ready(worker->lane) < 0)
		end(worker, CAROM_WORKER_EXIT_FAILURE);
	carom_tally_phase(&worker->tally, CAROM_WORKER_IDLE);
	end(worker, carom_worker_work(worker));
}

static int begin_as_thread(struct carom_worker *worker)
{
	const struct carom_pool_hooks *hooks = &worker->plan->hooks;

	if (worker->plan->measures)
		carom_meter_open_thread(&worker->meter);
	if (carom_worker_initialize(worker) < 0)
		return CAROM_WORKER_EXIT_FAILURE;
	if (hooks->on_loop_start)
		hooks->on_loop_start(0, hooks->userdata);
	return carom_lane_ready(worker->lane) < 0 ? CAROM_WORKER_EXIT_FAILURE : 0;
}

int carom_worker_live_as_thread(struct carom_worker *worker, const struct carom_worker_start *start)
{
	const struct carom_pool_hooks *hooks = &worker->plan->hooks;
	int code;

	pin(start);
	carom_lane_await_admission(worker->lane);
	code = begin_as_thread(worker);
	if (code == 0) {
		carom_tally_phase(&worker->tally, CAROM_WORKER_IDLE);
		code = carom_worker_work(worker);
	}
	if (hooks->on_process_exit)
		hooks->on_process_exit(0, code, hooks->userdata);
	return code;
}

/* to the pool's lane, or to its own */
static int join_lane(struct carom_worker *worker, const struct carom_worker_start *start,
		     const int *fds)
{
	uint32_t index = start->isolated ? 0 : worker->index;
	int arguments_fd = start->isolated ? fds[1] : -1;
	int r = carom_lane_attach(fds[0], arguments_fd, index, start->begin, start->end,
				  &worker->lane);

	close(fds[0]);
	if (start->isolated)
		close(arguments_fd);
	return r;
}

/*
 * What it was made with is read where it stands, and given back before it waits for tasks: of
 * memory that a worker has for itself there are few pages, and this would be one of them.
 */
int carom_worker_main(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	/* exit handlers may run when this has returned */
	static struct carom_worker_plan plan CAROM_WRITTEN;
	const struct carom_worker_start *start = argument;
	struct carom_backtrace *place;
	struct carom_worker worker;

	if (size != sizeof(*start) || fd_count < 1 || fd_count > 5)
		return CAROM_WORKER_EXIT_FAILURE;
	plan = start->plan;
	become(start);
	if (carom_plan_resolve(&plan) < 0)
		return CAROM_WORKER_EXIT_FAILURE;
	worker = (struct carom_worker){
		.plan = &plan,
		.index = (uint32_t)start->index,
		.pid = carom_pid_outside(),
		.recycle = { .limits = plan.limits },
	};
	if (plan.measures)
		carom_meter_open(&worker.meter, start->has_peak ? fds[--fd_count] : -1);
	worker.sandbox_fd = start->has_sandbox ? fds[--fd_count] : -1;
	if (start->isolated && fd_count != CAROM_LANE_HAND_FDS)
		return CAROM_WORKER_EXIT_FAILURE;
	if (join_lane(&worker, start, fds) < 0)
		return CAROM_WORKER_EXIT_FAILURE;
	if (start->counts) {
		if (carom_tally_attach(fds[--fd_count], worker.index, &worker.tally) < 0)
			return CAROM_WORKER_EXIT_FAILURE;
		close(fds[fd_count]);
	}
	if (fd_count > 1)
		carom_lane_set_bell(worker.lane, carom_descriptor_move_up(fds[fd_count - 1]));
	place = crash_place(&worker, start);
	carom_forkserver_forget();
	carom_lane_await_admission(worker.lane);
	live(&worker, place);
}
