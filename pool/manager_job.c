/*
 * Manager's job
 *
 *   I1  It lives as long as not all of its items have ended, and as long as somebody has its
 *       AsyncResult or Iterator. Who waits in it waits for something that is still to end.
 *   I2  A value is read, and copied into as much memory as it takes, when its task has ended;
 *       what the worker has left is not looked at again. It is freed when an Iterator has handed
 *       it out, or with its job.
 *   I3  An item ends once: by the callback of its task, or skipped.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "ipc/object_private.h"
#include "pool/manager_pool.h"
#include "pool/pool_private.h"
#include "pool/typed.h"

/* ---- making ---- */

static bool is_row(const struct carom_object *object)
{
	int kind = carom_object_kind(object);

	return kind == CAROM_OBJECT_LIST || kind == CAROM_OBJECT_TUPLE;
}

static bool are_arguments(enum manager_shape shape, const struct carom_object *arguments)
{
	if (shape == MANAGER_ONE)
		return is_row(arguments);
	if (!carom_is_sequence(arguments))
		return false;
	for (size_t i = 0; shape == MANAGER_STAR && i < carom_object_count(arguments); i++)
		if (!is_row(carom_sequence_item(arguments, i)))
			return false;
	return true;
}

int carom_manager_job_new(struct manager_pool *pool, struct carom_request *request,
			  enum manager_shape shape, carom_task_fn *function,
			  const struct carom_object *arguments, struct manager_job **ret_job)
{
	size_t count = shape == MANAGER_ONE ? 1 : carom_object_count(arguments);
	struct manager_job *job;
	int r;

	if (!are_arguments(shape, arguments))
		return -EINVAL;
	job = calloc(1, sizeof(*job) + count * sizeof(*job->items));
	if (!job)
		return -ENOMEM;
	r = carom_request_keep(request, arguments, &job->arguments);
	if (r < 0) {
		free(job);
		return r;
	}
	job->pool = pool;
	job->shape = shape;
	job->function = function;
	job->reference_count = 1;
	job->count = count;
	for (size_t i = 0; i < count; i++)
		job->items[i].job = job;
	*ret_job = job;
	return 0;
}

void carom_manager_job_ref(struct manager_job *job)
{
	job->reference_count++;
}

static void empty(struct manager_item *item)
{
	item->value = carom_document_free(item->value);
	free(carom_take_ptr(item->failure));
}

struct manager_job *carom_manager_job_unref(struct manager_job *job)
{
	if (--job->reference_count > 0)
		return NULL;
	for (size_t i = 0; i < job->count; i++)
		empty(&job->items[i]);
	if (job->arguments)
		carom_server_drop(job->pool->server, job->arguments);
	free(job);
	return NULL;
}

bool carom_manager_job_has_ended(const struct manager_job *job)
{
	return job->ended_count == job->count;
}

/* ---- answers ---- */

static int reply_item(const struct manager_item *item, struct carom_request *request)
{
	if (item->has_failed)
		return carom_request_fail(request, -EREMOTEIO, "%s",
					  item->failure ? item->failure : "no memory to say why");
	return item->value ? carom_request_reply_value(request, carom_document_root(item->value))
			   : carom_request_reply(request, "n");
}

static int add_value(const struct manager_item *item, struct carom_request *request,
		     struct carom_object *list)
{
	struct carom_object *none;
	int r;

	if (item->value)
		return carom_view_add(request, list, carom_document_root(item->value));
	r = carom_view_new(request, CAROM_OBJECT_NONE, &none);
	return r < 0 ? r : carom_view_add(request, list, none);
}

/* The first that has none says why. */
static int reply_list(const struct manager_job *job, struct carom_request *request)
{
	struct carom_object *list;
	int r;

	for (size_t i = 0; i < job->count; i++)
		if (job->items[i].has_failed)
			return reply_item(&job->items[i], request);
	r = carom_view_begin(request, CAROM_OBJECT_LIST, &list);
	for (size_t i = 0; r == 0 && i < job->count; i++)
		r = add_value(&job->items[i], request, list);
	return r < 0 ? r : carom_request_reply_value(request, list);
}

static struct manager_item *next_item(struct manager_job *job)
{
	struct manager_item *item = job->first_ended;

	if (job->is_ordered)
		item = &job->items[job->handed_count];
	return item && item->has_ended ? item : NULL;
}

/* One whose value cannot be sent is handed out with that. */
static int hand_out(struct manager_job *job, struct carom_request *request)
{
	struct manager_item *item;
	int r;

	if (job->handed_count == job->count)
		return -ENODATA;
	item = next_item(job);
	if (!item)
		return -EAGAIN;
	r = reply_item(item, request);
	if (r == -ENOMEM)
		return r;
	job->handed_count++;
	job->first_ended = job->is_ordered ? NULL : item->next;
	empty(item);
	return r;
}

/* As a method's result; -EAGAIN: not yet. */
static int answer(struct manager_job *job, struct carom_request *request, enum manager_wish wish)
{
	if (wish == MANAGER_WISH_NEXT)
		return hand_out(job, request);
	if (!carom_manager_job_has_ended(job))
		return -EAGAIN;
	if (wish == MANAGER_WISH_END)
		return 0;
	return job->shape == MANAGER_ONE ? reply_item(job->items, request)
					 : reply_list(job, request);
}

/* ---- who waits ---- */

static int leave_without_a_word(struct carom_waiter *waiter, int reason)
{
	(void)waiter;
	return reason == -ETIMEDOUT ? 0 : reason;
}

int carom_manager_job_ask(struct manager_job *job, struct carom_request *request,
			  enum manager_wish wish, uint64_t deadline_ns)
{
	bool is_patient = wish == MANAGER_WISH_END;
	struct carom_waiter *waiter;
	int r = answer(job, request, wish);

	if (r != -EAGAIN)
		return r;
	r = carom_waiting_add(&job->waiting, request, deadline_ns,
			      is_patient ? leave_without_a_word : NULL, job, &waiter);
	if (r == CAROM_REQUEST_LATER)
		waiter->count = wish;
	return r == -ETIMEDOUT && is_patient ? 0 : r;
}

static void serve(struct manager_job *job)
{
	struct carom_waiter *waiter = job->waiting.first;

	while (waiter) {
		struct carom_waiter *next = waiter->next;
		int r = answer(job, waiter->request, (enum manager_wish)waiter->count);

		if (r != -EAGAIN)
			carom_waiter_finish(waiter, r);
		waiter = next;
	}
}

/* ---- the end of an item: I3 ---- */

static void note_ended(struct manager_item *item)
{
	struct manager_job *job = item->job;

	item->has_ended = true;
	job->ended_count++;
	if (job->is_ordered)
		return;
	*(job->first_ended ? &job->last_ended->next : &job->first_ended) = item;
	job->last_ended = item;
}

void carom_manager_job_let_go(struct manager_job *job)
{
	if (!job->keeps_pool)
		return;
	job->keeps_pool = false; /* first: without a keeper the pool skips all jobs */
	carom_manager_pool_unkeep(job->pool);
}

static void end_item(struct manager_item *item)
{
	struct manager_job *job = item->job;

	note_ended(item);
	serve(job);
	if (!carom_manager_job_has_ended(job))
		return;
	carom_manager_job_let_go(job);
	carom_manager_job_unref(job); /* I1 */
}

static void fail(struct manager_item *item, const char *reason)
{
	item->has_failed = true;
	item->failure = strdup(reason);
}

void carom_manager_item_skip(struct manager_item *item, const char *reason)
{
	fail(item, reason);
	end_item(item);
}

/* ---- values: I2 ---- */

/* Of a list of them each stands one deeper. */
static uint32_t depth_of_values(const struct manager_job *job)
{
	uint32_t depth = job->pool->server->depth_max;

	return job->shape == MANAGER_ONE || depth == 1 ? depth : depth - 1;
}

static int read_value(struct manager_item *item, struct carom_result *result)
{
	CAROM_CLEANUP(carom_document_freep) struct carom_document *document = NULL;
	int r = carom_result_get(result, CAROM_PASSED, NULL, 0, NULL);

	if (r == 0)
		return 0; /* it has left nothing */
	r = carom_result_get_document(
		result, &CAROM_DOCUMENT_LIMITS(.depth_max = depth_of_values(item->job)),
		CAROM_PASSED, &document);
	return r < 0 ? r : carom_object_clone(carom_document_root(document), &item->value);
}

static void take_value(struct manager_item *item, struct carom_result *result)
{
	char text[128];
	int r = read_value(item, result);

	if (r == 0)
		return;
	snprintf(text, sizeof(text), "its value cannot be read: %s", carom_strerror(r));
	fail(item, text);
}

static int on_end(struct carom_result *result, void *userdata)
{
	struct manager_item *item = userdata;
	struct carom_outcome outcome;
	char text[256];

	item->job->pool->flight_count--;
	carom_result_outcome(result, &outcome);
	if (outcome.kind == CAROM_OUTCOME_OK)
		take_value(item, result);
	else
		fail(item, carom_outcome_describe(&outcome, text, sizeof(text)));
	end_item(item);
	return 0;
}

/* ---- submitting ---- */

/* One argument alone is the argument. */
static const struct carom_object *alone(const struct carom_object *row)
{
	return carom_object_count(row) == 1 ? carom_object_item(row, 0) : row;
}

static const struct carom_object *argument_of(const struct manager_item *item)
{
	const struct manager_job *job = item->job;
	const struct carom_object *arguments = carom_document_root(job->arguments);

	if (job->shape == MANAGER_ONE)
		return alone(arguments);
	arguments = carom_sequence_item(arguments, (size_t)(item - job->items));
	return job->shape == MANAGER_STAR ? alone(arguments) : arguments;
}

int carom_manager_item_submit(struct manager_item *item)
{
	const struct manager_job *job = item->job;
	void *data = NULL;
	size_t size;
	int r = carom_pool_dump(job->pool->pool, argument_of(item), &data, &size);

	if (r == 0)
		r = carom_pool_apply_async(
			job->pool->pool, job->function, data, size,
			&CAROM_TASK_OPTIONS(.wait_for_slot = CAROM_SLOT_WAIT_NEVER,
					    .callback = on_end, .error_callback = on_end,
					    .userdata = item),
			NULL);
	if (r == 0)
		job->pool->flight_count++;
	free(data);
	return r;
}
