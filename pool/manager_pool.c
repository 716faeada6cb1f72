/*
 * Manager's pool
 *
 * A polled pool, whose descriptor is in the server's loop. What it is given stands in a line of
 * jobs; so many of their items as make sense are submitted, the others when some of these have
 * ended. Nothing here waits: not for a slot, not for a value, not for the end of the workers.
 *
 *   I1  While there is a line, something is in flight, whose end goes on with it: what cannot be
 *       submitted now, and has nothing to wait for, is skipped.
 *   I2  Whoever wants the pool is counted. Without any it is terminated, and is gone when its
 *       workers are; until then it is a guest of the server, which may end before that.
 *   I3  What was accepted before close() is submitted, and only then the pool is closed.
 *   I4  Once a pool's workers have ended nobody stands in its line, or waits to join it.
 */
#include "pool/manager_pool.h"

#include <errno.h>
#include <stdlib.h>

#include "core/error.h"
#include "pool/poll.h"
#include "pool/pool_private.h"

/* Enough for every worker, and for those that are quick. */
#define FLIGHT_MIN 256

/* ---- the line ---- */

static void append(struct manager_pool *pool, struct manager_job *job)
{
	*(pool->last_job ? &pool->last_job->next : &pool->first_job) = job;
	pool->last_job = job;
}

static void drop_arguments(struct manager_pool *pool, struct manager_job *job)
{
	job->arguments = carom_server_drop(pool->server, job->arguments);
}

/* The first item is on its way; with the last of a job that is out of the line. */
static void advance(struct manager_pool *pool)
{
	struct manager_job *job = pool->first_job;

	if (++job->submitted_count < job->count)
		return;
	pool->first_job = job->next;
	if (!pool->first_job)
		pool->last_job = NULL;
	drop_arguments(pool, job);
}

static struct manager_item *first_item(const struct manager_pool *pool)
{
	return &pool->first_job->items[pool->first_job->submitted_count];
}

static void skip_first(struct manager_pool *pool, const char *reason)
{
	struct manager_item *item = first_item(pool);

	advance(pool);
	carom_manager_item_skip(item, reason);
}

static const char *reason_of(int error)
{
	if (error == -ENOTRECOVERABLE)
		return carom_outcome_name(CAROM_OUTCOME_POOL_BROKEN);
	if (error == -ESHUTDOWN)
		return carom_outcome_name(CAROM_OUTCOME_POOL_CLOSED);
	return carom_strerror(error);
}

static void skip_all(struct manager_pool *pool)
{
	while (pool->first_job)
		skip_first(pool, reason_of(pool->error));
}

/* I1 */
static void submit_some(struct manager_pool *pool)
{
	while (pool->first_job && pool->flight_count < pool->flight_max) {
		int r = carom_manager_item_submit(first_item(pool));

		if ((r == -EAGAIN || r == -ENOMEM) && pool->flight_count > 0)
			return;
		if (r < 0)
			skip_first(pool, reason_of(r));
		else
			advance(pool);
	}
}

/* I3 */
static void go_on(struct manager_pool *pool)
{
	submit_some(pool);
	if (pool->error != -ESHUTDOWN || pool->first_job || pool->is_told)
		return;
	pool->is_told = true;
	carom_pool_close(pool->pool);
}

void carom_manager_pool_enqueue(struct manager_pool *pool, struct manager_job *job)
{
	if (job->count == 0) { /* it has ended */
		drop_arguments(pool, job);
		return;
	}
	carom_manager_job_ref(job);
	append(pool, job);
	go_on(pool);
}

/* ---- the end ---- */

void carom_manager_pool_close(struct manager_pool *pool)
{
	if (pool->error)
		return;
	pool->error = -ESHUTDOWN;
	go_on(pool);
}

void carom_manager_pool_terminate(struct manager_pool *pool)
{
	if (!pool->pool)
		return;
	if (!pool->error)
		pool->error = -ESHUTDOWN;
	pool->is_told = true;
	skip_all(pool);
	carom_pool_begin_termination(pool->pool);
}

/* I4. Where they have ended, without a wait. It may be the end of @pool. */
static void end_workers(struct manager_pool *pool)
{
	if (!pool->error)
		pool->error = -ENOTRECOVERABLE;
	skip_all(pool);
	carom_loop_unwatch_fd(pool->server->loop, &pool->watch);
	carom_server_part(pool->server, &pool->guest);
	pool->pool = carom_pool_free(pool->pool);
	carom_waiting_finish_all(&pool->joiners, 0);
	if (pool->keeper_count == 0)
		free(pool);
}

static void leave(struct carom_guest *guest)
{
	end_workers((struct manager_pool *)((char *)guest - offsetof(struct manager_pool, guest)));
}

int carom_manager_pool_join(struct manager_pool *pool, struct carom_request *request)
{
	if (!pool->pool)
		return 0;
	if (!pool->error)
		return -EINVAL;
	return carom_waiting_add(&pool->joiners, request, CAROM_NO_DEADLINE, NULL, pool, NULL);
}

/* ---- who wants it: I2 ---- */

void carom_manager_pool_keep(struct manager_pool *pool)
{
	pool->keeper_count++;
}

void carom_manager_pool_unkeep(struct manager_pool *pool)
{
	if (--pool->keeper_count > 0)
		return;
	if (pool->pool)
		carom_manager_pool_terminate(pool);
	else
		free(pool);
}

/* ---- in the server's loop ---- */

static void on_pool(struct carom_loop_fd *watch)
{
	struct manager_pool *pool = watch->userdata;
	struct carom_server *server = pool->server;
	int r = carom_pool_poll(pool->pool, CAROM_PASSED);

	if (r == -ENOTRECOVERABLE)
		pool->error = r;
	if (r < 0 && r != -ENOTRECOVERABLE)
		end_workers(pool);
	else
		go_on(pool);
	carom_referents_bury(server);
}

int carom_manager_pool_new(struct carom_server *server, const struct carom_pool_options *options,
			   struct manager_pool **ret_pool)
{
	struct carom_pool_options ours = *options;
	struct manager_pool *pool = calloc(1, sizeof(*pool));
	int r;

	if (!pool)
		return -ENOMEM;
	ours.polled = 1;
	r = carom_pool_new(&ours, &pool->pool);
	if (r < 0) {
		free(pool);
		return r;
	}
	pool->server = server;
	pool->flight_max = FLIGHT_MIN + 2 * pool->pool->options.worker_count;
	pool->keeper_count = 1;
	pool->watch = (struct carom_loop_fd){ .fd = carom_pool_fd(pool->pool),
					      .ready = on_pool,
					      .userdata = pool };
	pool->guest.leave = leave;
	carom_server_welcome(server, &pool->guest);
	r = carom_loop_watch_fd(server->loop, &pool->watch);
	if (r < 0) {
		pool->keeper_count = 0;
		end_workers(pool);
		return r;
	}
	*ret_pool = pool;
	return 0;
}
