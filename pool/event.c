/*
 * Event
 *
 * A notice of its own for each, which is promised before it is posted: so joining a pool
 * waits until the last end was told. Where there is no memory for one, or no thread to
 * tell it, it is not told; the log says so.
 */
#include "pool/event.h"

#include <stdlib.h>

#include "core/log.h"
#include "core/time.h"
#include "pool/pool_private.h"

/**
 * struct event
 * @worker: the process hooks'
 * @task_id, @count: the others'
 */
struct event {
	struct carom_notice notice; /* first: the one is cast to the other */
	void (*call)(const struct carom_pool_hooks *hooks, const struct event *event);
	struct carom_worker_event worker;
	uint64_t task_id;
	uint64_t count;
};

static void tell_event(struct carom_pool *pool, struct carom_notice *notice)
{
	struct event *event = (struct event *)notice;

	event->call(&pool->hooks, event);
	pthread_mutex_lock(&pool->lock);
	carom_notice_kept(pool);
	pthread_mutex_unlock(&pool->lock);
	free(event);
}

static void post(struct carom_pool *pool, const struct event *what)
{
	struct event *event = malloc(sizeof(*event));

	if (!event || carom_notice_promise(pool) < 0) {
		carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_HOOK_SKIPPED,
				"no memory, or no thread, to call a hook");
		free(event);
		return;
	}
	*event = *what;
	event->notice.tell = tell_event;
	carom_notice_post(pool, &event->notice, carom_now());
}

/* ---- what is called ---- */

static void call_up(const struct carom_pool_hooks *hooks, const struct event *event)
{
	hooks->on_process_up(&event->worker, hooks->userdata);
}

static void call_down(const struct carom_pool_hooks *hooks, const struct event *event)
{
	hooks->on_process_down(&event->worker, hooks->userdata);
}

static void call_task_down(const struct carom_pool_hooks *hooks, const struct event *event)
{
	hooks->on_job_process_down(event->task_id, event->worker.pid, hooks->userdata);
}

static void call_grow(const struct carom_pool_hooks *hooks, const struct event *event)
{
	hooks->on_grow(event->count, hooks->userdata);
}

/* once for each, as in billiard */
static void call_shrink(const struct carom_pool_hooks *hooks, const struct event *event)
{
	for (uint64_t i = 0; i < event->count; i++)
		hooks->on_shrink(1, hooks->userdata);
}

/* ---- what happens ---- */

void carom_event_up(struct carom_pool *pool, const struct incarnation *born)
{
	if (pool->hooks.on_process_up)
		post(pool, &(struct event){ .call = call_up,
					    .worker = { .index = born->worker->index,
							.pid = born->pid,
							.exit_status = -1 } });
}

void carom_event_down(struct carom_pool *pool, const struct incarnation *dead,
		      const struct carom_exit *exit, enum carom_exit_reason reason)
{
	bool killed = exit->kind == CAROM_EXIT_KILLED || exit->kind == CAROM_EXIT_DUMPED;

	if (pool->hooks.on_process_down)
		post(pool,
		     &(struct event){ .call = call_down,
				      .worker = { .index = dead->worker->index,
						  .pid = dead->pid,
						  .signal = killed ? exit->status : 0,
						  .exit_status = exit->kind == CAROM_EXIT_EXITED
									 ? exit->status
									 : -1,
						  .reason = reason } });
}

void carom_event_task_down(struct carom_pool *pool, uint64_t task_id, int64_t pid)
{
	if (pool->hooks.on_job_process_down)
		post(pool, &(struct event){ .call = call_task_down,
					    .worker = { .pid = pid },
					    .task_id = task_id });
}

void carom_event_resized(struct carom_pool *pool, int64_t count)
{
	if (count > 0 && pool->hooks.on_grow)
		post(pool, &(struct event){ .call = call_grow, .count = (uint64_t)count });
	else if (count < 0 && pool->hooks.on_shrink)
		post(pool, &(struct event){ .call = call_shrink, .count = (uint64_t)-count });
}
