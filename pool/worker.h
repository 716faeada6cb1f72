/*
 * Worker
 *
 * What runs in a worker: take a task, call its function, leave the value.
 */
#ifndef CAROM_POOL_WORKER_H
#define CAROM_POOL_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/context_private.h"
#include "core/log_private.h"
#include "core/self.h"
#include "pool/hooks.h"
#include "pool/meter.h"
#include "pool/pool_options.h"
#include "pool/recycle.h"
#include "pool/tally.h"

struct carom_ending;
struct carom_lane;

/**
 * struct carom_worker_plan - what all workers of a pool are told; see plan.c
 * @initializer_offset, @initializer_size: its data, in the lane's argument arena
 * @limits:  when a worker is replaced
 * @ceiling_bytes: see ceiling.h; 0: none
 * @signals: one of enum carom_worker_signals
 * @backtraces: tasks that fail say where
 * @barrier: the parent has core/membarrier.h
 * @hooks:   those that run in a worker, and their userdata
 */
struct carom_worker_plan {
	carom_initializer_fn *initializer;
	uint64_t initializer_offset;
	uint64_t initializer_size;
	struct carom_recycle_limits limits;
	uint64_t ceiling_bytes;
	uint64_t signals;
	uint64_t backtraces;
	uint64_t barrier;
	uint64_t measures; /* what tasks use */
	struct carom_pool_hooks hooks;
};

/**
 * carom_plan_resolve() - in a worker's process: functions that came as numbers are addresses again
 * Return: 0, -ENOENT (one is not registered here), which is logged.
 */
int carom_plan_resolve(struct carom_worker_plan *plan);

/**
 * struct carom_worker_start - the argument that a worker is made with
 * @index:      which worker of the pool
 * @begin, @end: the part of its value arena that it may allocate from
 * @cpu:        where it is to run; -1: anywhere
 * @isolated:   it has a lane of its own: its descriptors are that, its arguments', its bell
 * @counts:     the last of its descriptors is a tally's
 * @has_sandbox: and then comes the page of its sandbox
 * @has_peak:   and then the peak of its group's memory
 * @crash_offset, @has_crash_place: where in its value arena it leaves where it crashed
 * @self, @log, @context: what every child is told by its parent
 */
struct carom_worker_start {
	uint64_t index;
	uint64_t begin;
	uint64_t end;
	int64_t cpu;
	uint64_t isolated;
	uint64_t counts;
	uint64_t has_sandbox;
	uint64_t has_peak;
	uint64_t crash_offset;
	uint64_t has_crash_place;
	struct carom_worker_plan plan;
	struct carom_self self;
	struct carom_log_settings log;
	struct carom_context_settings context;
};

/**
 * struct carom_worker - a worker at work
 * @pid:     what its tasks' outcomes name as the process
 * @ending:  how signals end its process; NULL if it is none of its own
 * @has_barrier: the parent can have this process pass a memory barrier
 * @recycle: what it has done so far
 * @tally:   what of that others may know
 * @sandbox_fd: of the page of its sandbox, until it is in it; -1: it has none
 * @trace:   room for the backtrace of a task, CAROM_BACKTRACE_TEXT_MAX; NULL: none is wanted
 */
struct carom_worker {
	const struct carom_worker_plan *plan;
	struct carom_lane *lane;
	struct carom_ending *ending;
	uint32_t index;
	int32_t pid;
	bool has_barrier;
	struct carom_recycle recycle;
	struct carom_tally_writer tally;
	struct carom_meter meter;
	int sandbox_fd;
	char *trace;
};

/**
 * carom_worker_initialize() - call the pool's initializer, if it has one
 * Return: 0, or what it says, which is logged.
 */
int carom_worker_initialize(const struct carom_worker *worker);

/**
 * carom_worker_work() - one task after the other; after carom_lane_ready()
 * Return: why it is over: one of enum carom_worker_exit_code.
 */
int carom_worker_work(struct carom_worker *worker);

/**
 * carom_worker_live_as_thread() - all of it, from its admission to its last task
 * @worker: its plan, lane, index and tally; the process is not its own
 * Return: as carom_worker_work(), or CAROM_WORKER_EXIT_FAILURE: it could not begin.
 */
int carom_worker_live_as_thread(struct carom_worker *worker,
				const struct carom_worker_start *start);

/** carom_worker_main() - a carom_child_fn; fds: the lane; of a polled pool, its bell; of one that counts, its tally; its sandbox */
int carom_worker_main(const void *argument, size_t size, const int *fds, size_t fd_count);

#endif
