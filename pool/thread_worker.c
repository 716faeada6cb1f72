/*
 * Thread worker
 *
 * The loop that a worker's process runs, in a thread of the program: the same lane, by a
 * view that shares the parent's mappings, so a task costs what it costs in a process and
 * nothing is kept twice.
 *
 *   H1  A thread cannot be killed. It ends when the lane is stopped, after the task that
 *       it runs; a task that calls pthread_exit(3), or is cancelled, ends it as well, and
 *       is lost like one whose process has died.
 *   H2  It tells the loop by a poke, the last thing it does but for the destructors of
 *       the program's thread-specific data. The loop joins it, sweeps its place, and
 *       only then counts it as gone: nobody frees the lane under it.
 *   H3  It blocks every signal: those that are sent to the program are the program's
 *       own threads' to take.
 *
 * In a child that the host forks these threads do not exist, and the pool is closed as
 * every other; what they held is shared memory, which the child does not use.
 */
#include "pool/thread_worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/signals.h"
#include "pool/pool_private.h"
#include "pool/worker.h"

/**
 * struct carom_thread_worker - what it works with, and how its end is told
 * @exit: TAKEN as long as it has not come to its end by itself
 * @ended, @userdata: see carom_thread_worker_watch()
 */
struct carom_thread_worker {
	struct carom_pool *pool;
	struct carom_worker worker;
	struct carom_worker_start start;
	struct carom_exit exit;
	pthread_t thread;
	struct carom_poke poke;
	void (*ended)(void *userdata, const struct carom_exit *exit);
	void *userdata;
};

static _Thread_local const struct carom_pool *own_pool;

bool carom_thread_worker_is_of(const struct carom_pool *pool)
{
	return own_pool == pool;
}

/* ---- the thread ---- */

static void end(void *userdata)
{
	struct carom_thread_worker *thread = userdata;

	carom_service_poke(thread->pool->service, &thread->poke);
}

static void *run(void *userdata)
{
	struct carom_thread_worker *thread = userdata;
	char name[16];

	snprintf(name, sizeof(name), "carom-%u", thread->worker.index);
	pthread_setname_np(pthread_self(), name);
	own_pool = thread->pool;
	pthread_cleanup_push(end, thread);
	thread->exit.status = carom_worker_live_as_thread(&thread->worker, &thread->start);
	thread->exit.kind = CAROM_EXIT_EXITED;
	pthread_cleanup_pop(true);
	return NULL;
}

/* ---- the loop's thread ---- */

static void poked(struct carom_poke *poke)
{
	struct carom_thread_worker *thread = poke->userdata;

	thread->ended(thread->userdata, &thread->exit);
}

/* H3 */
static int begin(struct carom_thread_worker *thread)
{
	uint64_t mask = carom_signals_block();
	int r = -pthread_create(&thread->thread, NULL, run, thread);

	carom_signals_restore(mask);
	return r;
}

static int join_lane(struct carom_thread_worker *thread)
{
	struct carom_pool *pool = thread->pool;
	struct carom_worker *worker = &thread->worker;
	int r = carom_lane_share(pool->lane, worker->index, thread->start.begin, thread->start.end,
				 &worker->lane);

	if (r < 0)
		return r;
	if (pool->options.polled)
		carom_lane_set_bell(worker->lane, pool->bell_fd);
	carom_tally_share(pool->tally, worker->index, &worker->tally);
	return 0;
}

int carom_thread_worker_new(struct worker *worker, struct carom_thread_worker **ret_thread)
{
	struct carom_thread_worker *thread = calloc(1, sizeof(*thread));
	int r;

	if (!thread)
		return -ENOMEM;
	thread->pool = worker->pool;
	thread->start = worker->start;
	thread->worker.plan = &worker->pool->plan;
	thread->worker.index = worker->index;
	thread->worker.recycle.limits = worker->pool->plan.limits;
	thread->exit = (struct carom_exit){ .kind = CAROM_EXIT_TAKEN, .status = -1 };
	thread->poke.function = poked;
	thread->poke.userdata = thread;
	r = join_lane(thread);
	if (r == 0)
		r = begin(thread);
	if (r < 0) {
		carom_lane_free(thread->worker.lane);
		free(thread);
		return r;
	}
	*ret_thread = thread;
	return 0;
}

void carom_thread_worker_watch(struct carom_thread_worker *thread,
			       void (*ended)(void *userdata, const struct carom_exit *exit),
			       void *userdata)
{
	thread->ended = ended;
	thread->userdata = userdata;
}

struct carom_thread_worker *carom_thread_worker_free(struct carom_thread_worker *thread)
{
	pthread_join(thread->thread, NULL);
	carom_lane_free(thread->worker.lane);
	free(thread);
	return NULL;
}
