/*
 * Sampler
 *
 * What a worker has is read from its /proc/PID: first what costs some ten microseconds, the
 * resident memory of it and of all that descends from it, which is never less than what is
 * theirs alone; only if that is too much, and memory that they share with the program does
 * not count, the kernel is asked to look at each page.
 *
 *   M1  While a task is on its way or runs the timer is set. It is found out under the
 *       lock that none is, and a submission, which has the lock, arms it again: so none runs
 *       unseen, and an idle pool is woken by nothing.
 *   M2  The task is looked at first, then the memory is measured, and then that task is
 *       answered or none: what has ended meanwhile has its own answer. What it leaves is
 *       looked at when the next one runs, and before that by its worker: see recycle.c.
 *   M3  Looking takes at most a tenth of the time: after a look that took long the next
 *       one comes later.
 *   M4  /proc/PID is held by a descriptor for one look, which is no other process's once that
 *       one is gone; and it is the worker's if that has not ended when it is open: it had the
 *       pid, then, when the path was looked at. Descendants are named by their pids, for a
 *       moment: see core/process_tree.h.
 *   M5  A worker that cannot be measured is not killed. It is said once.
 *
 * Deaths, loops and sights belong to the loop's thread: who is seen to run a task is the
 * same process still when it is measured and when it is killed.
 */
#include "pool/sampler.h"

#include <errno.h>

#include "core/cleanup.h"
#include "core/error.h"
#include "core/log.h"
#include "core/memory_usage_private.h"
#include "core/points.h"
#include "core/process_tree.h"
#include "pool/pool_private.h"

#define REST_PER_LOOK 9 /* M3 */

/* ---- measuring ---- */

/* of one process; what has gone meanwhile has nothing */
typedef int measure_fn(int proc_fd, enum carom_memory_measure measure, uint64_t *ret_bytes);

/* no less than it can be by any measure, at little cost */
static int measure_roughly(int proc_fd, enum carom_memory_measure measure, uint64_t *ret_bytes)
{
	struct carom_memory_usage usage;
	uint64_t swapped;
	int r = carom_memory_usage_at(proc_fd, &usage, &swapped);

	if (r < 0)
		return r;
	*ret_bytes = measure == CAROM_MEMORY_PEAK      ? usage.peak
		     : measure == CAROM_MEMORY_PRIVATE ? usage.current + swapped
						       : usage.current;
	return 0;
}

static int measure_exactly(int proc_fd, enum carom_memory_measure measure, uint64_t *ret_bytes)
{
	(void)measure;
	return carom_memory_private_at(proc_fd, ret_bytes);
}

/** struct sum - over the descendants of a worker */
struct sum {
	measure_fn *function;
	enum carom_memory_measure measure;
	uint64_t bytes;
};

static void add_descendant(pid_t pid, void *userdata)
{
	struct sum *sum = userdata;
	CAROM_CLEANUP(carom_closep) int fd = carom_memory_open(pid);
	uint64_t bytes;

	if (fd >= 0 && sum->function(fd, sum->measure, &bytes) == 0)
		sum->bytes += bytes;
}

static int measure_tree(const struct incarnation *worker, int proc_fd, measure_fn *function,
			uint64_t *ret_bytes)
{
	struct sum sum = {
		.function = function,
		.measure = (enum carom_memory_measure)worker->worker->pool->options.memory_measure,
	};
	int r = function(proc_fd, sum.measure, &sum.bytes);

	if (r < 0)
		return r;
	carom_process_tree_visit(worker->pid, add_descendant, &sum);
	*ret_bytes = sum.bytes;
	return 0;
}

/* M4 */
static int open_worker(const struct incarnation *worker, int *ret_proc_fd)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;

	if (worker->pidfd < 0)
		return -EBADF; /* it was lost */
	fd = carom_memory_open(worker->pid);
	if (fd < 0)
		return fd;
	if (carom_pidfd_has_ended(worker->pidfd))
		return -ESRCH;
	*ret_proc_fd = carom_take_fd(fd);
	return 0;
}

int carom_sampler_measure(struct incarnation *worker)
{
	const struct carom_pool *pool = worker->worker->pool;
	struct carom_sample *sample = &worker->sample;
	CAROM_CLEANUP(carom_closep) int fd = -1;
	uint64_t bytes;
	int r = open_worker(worker, &fd);

	if (r == 0)
		r = measure_tree(worker, fd, measure_roughly, &bytes);
	if (r == 0 && bytes > pool->limits.max_memory_per_child_bytes &&
	    pool->options.memory_measure == CAROM_MEMORY_PRIVATE)
		r = measure_tree(worker, fd, measure_exactly, &bytes);
	if (r < 0)
		return r == -ENOENT || r == -EBADMSG ? -ESRCH : r;
	sample->bytes = bytes;
	if (bytes > sample->peak_bytes)
		sample->peak_bytes = bytes;
	return 0;
}

/* ---- a look at everybody ---- */

/* M1, M2: notes who runs what. Return: true if anything runs, or is about to. */
static bool find_running(struct carom_pool *pool)
{
	bool is_any = false;

	for (uint32_t i = 0; i < pool->place_count; i++)
		if (pool->workers[i].current)
			pool->workers[i].current->sample.is_running = false;
	for (uint32_t slot = 0; slot < carom_lane_taken_count(pool->lane); slot++) {
		uint64_t word = carom_lane_word(pool->lane, slot);
		uint32_t owner = carom_slot_owner(word);
		struct incarnation *runner;
		struct sight sight;

		if (carom_slot_state(word) == CAROM_SLOT_READY)
			is_any = true;
		if (carom_slot_state(word) != CAROM_SLOT_RUNNING)
			continue;
		is_any = true;
		runner = owner < pool->place_count ? pool->workers[owner].current : NULL;
		if (!runner || !carom_limits_see(pool, slot, &sight) ||
		    carom_slot_owner(sight.word) != owner)
			continue;
		runner->sample.sight = sight;
		runner->sample.is_running = true;
	}
	return is_any;
}

static void kill_for_memory(struct carom_pool *pool, struct incarnation *worker)
{
	uint64_t limit = pool->limits.max_memory_per_child_bytes;
	bool is_hit;

	pthread_mutex_lock(&pool->lock);
	is_hit =
		carom_limits_overrun(pool, &worker->sample.sight, limit, worker->sample.peak_bytes);
	pthread_mutex_unlock(&pool->lock);
	CAROM_POINT("sampler.answered");
	if (is_hit)
		carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_MEMORY_LIMIT,
				"worker %u (pid %d) exceeded its memory limit (%lluKiB / %lluKiB): "
				"killing it",
				worker->worker->index, (int)worker->pid,
				(unsigned long long)worker->sample.bytes / 1024,
				(unsigned long long)limit / 1024);
}

/* M5 */
static void cannot_measure(struct carom_pool *pool, int error)
{
	if (error == -ESRCH || pool->sampler.is_blind)
		return;
	pool->sampler.is_blind = true;
	carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_MEMORY_UNKNOWN,
			"memory of workers cannot be measured: %s", carom_strerror(error));
}

static void look_at_all(struct carom_pool *pool)
{
	for (uint32_t i = 0; i < pool->place_count; i++) {
		struct incarnation *worker = pool->workers[i].current;
		int r;

		if (!worker || !worker->sample.is_running)
			continue;
		r = carom_sampler_measure(worker);
		if (r < 0)
			cannot_measure(pool, r);
		else if (worker->sample.bytes > pool->limits.max_memory_per_child_bytes)
			kill_for_memory(pool, worker);
	}
	carom_limits_kill(pool);
}

static void look(struct carom_loop_timer *timer)
{
	struct carom_pool *pool = timer->userdata;
	uint64_t begin_ns = carom_now(), took_ns, rest_ns;
	bool is_any;

	pthread_mutex_lock(&pool->lock);
	is_any = find_running(pool);
	pool->sampler.is_armed = is_any;
	pthread_mutex_unlock(&pool->lock);
	if (is_any)
		look_at_all(pool);
	took_ns = carom_now() - begin_ns;
	rest_ns = took_ns * REST_PER_LOOK > CAROM_SAMPLING_PERIOD_NS ? took_ns * REST_PER_LOOK
								     : CAROM_SAMPLING_PERIOD_NS;
	carom_loop_timer_set(carom_service_loop(pool->service), timer,
			     is_any ? carom_deadline_after(rest_ns) : CAROM_NO_DEADLINE);
}

static void begin_looking(struct carom_poke *poke)
{
	struct carom_pool *pool = poke->userdata;

	carom_loop_timer_set(carom_service_loop(pool->service), &pool->sampler.timer,
			     carom_deadline_after(CAROM_SAMPLING_PERIOD_NS));
}

/* ---- what others call ---- */

int carom_sampler_begin(struct carom_pool *pool)
{
	struct carom_sampler *sampler = &pool->sampler;

	if (!pool->is_sampled)
		return 0;
	sampler->timer.expired = look;
	sampler->timer.userdata = pool;
	sampler->poke.function = begin_looking;
	sampler->poke.userdata = pool;
	/* so that to set it for another time takes no memory */
	return carom_loop_timer_set(carom_service_loop(pool->service), &sampler->timer,
				    CAROM_NO_DEADLINE);
}

void carom_sampler_note(struct carom_pool *pool)
{
	if (pool->sampler.is_armed)
		return;
	pool->sampler.is_armed = true;
	carom_service_poke(pool->service, &pool->sampler.poke);
}

void carom_sampler_end(struct carom_pool *pool)
{
	if (!pool->is_sampled)
		return;
	carom_loop_timer_clear(carom_service_loop(pool->service), &pool->sampler.timer);
	carom_service_unpoke(pool->service, &pool->sampler.poke);
}
