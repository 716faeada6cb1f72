/*
 * Apply
 *
 * The public way in for a single task: what it asks for is checked, admitted and handed
 * to submit.c.
 */
#include <errno.h>

#include "core/options.h"
#include "core/origin.h"
#include "pool/pool.h"
#include "pool/pool_private.h"

uint32_t carom_pool_retries(const struct carom_pool *pool, uint64_t asked)
{
	uint64_t count = asked ? asked : pool->options.retry_on_loss;

	if (count == CAROM_NEVER_RETRY)
		return 0;
	return count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
}

static int take_options(const struct carom_task_options *theirs, struct carom_task_options *ours)
{
	int r = carom_options_take(theirs, ours, sizeof(*ours));

	if (r == 0 && ours->wait_for_slot > CAROM_SLOT_WAIT_IGNORE)
		r = -EINVAL;
	return r;
}

/* admits it too: what is not submitted after all is to be dismissed */
static int prepare(struct carom_pool *pool, const struct carom_task_options *ours,
		   struct submission *submission)
{
	int r;

	if (!submission->function || (!submission->data && submission->size))
		return -EINVAL;
	carom_limits_check_order(pool, ours->soft_limit_ns, ours->hard_limit_ns);
	submission->limit_ns = ours->hard_limit_ns;
	submission->soft_ns = ours->soft_limit_ns;
	submission->retry_count = carom_pool_retries(pool, ours->retry_on_loss);
	submission->userdata = ours->userdata;
	r = carom_calls_new(pool, ours, &submission->calls);
	if (r < 0)
		return r;
	r = carom_pool_admit(pool, (enum carom_wait_for_slot)ours->wait_for_slot,
			     &submission->is_gated);
	if (r < 0)
		submission->calls = carom_calls_free(submission->calls);
	return r;
}

static void take_back(struct carom_pool *pool, struct submission *submission)
{
	carom_calls_free(submission->calls);
	if (!submission->is_gated)
		return;
	pthread_mutex_lock(&pool->lock);
	carom_pool_dismiss(pool);
	pthread_mutex_unlock(&pool->lock);
}

static int submit(struct carom_pool *pool, struct submission *submission,
		  const struct carom_task_options *options, struct carom_result **ret_result)
{
	struct carom_task_options ours;
	int r;

	if (!options && pool->is_plain && submission->function &&
	    (submission->data || !submission->size))
		return carom_pool_submit(pool, submission, true, ret_result);
	if (!carom_origin_is(pool->origin))
		return -ECHILD;
	r = take_options(options, &ours);
	if (r == 0)
		r = prepare(pool, &ours, submission);
	if (r < 0)
		return r;
	r = carom_pool_submit(pool, submission, ours.wait_for_slot != CAROM_SLOT_WAIT_NEVER,
			      ret_result);
	if (r < 0)
		take_back(pool, submission);
	return r;
}

int carom_pool_apply_async(struct carom_pool *pool, carom_task_fn *function, const void *data,
			   size_t size, const struct carom_task_options *options,
			   struct carom_result **ret_result)
{
	struct submission submission = { .function = function,
					 .data = data,
					 .size = size,
					 .count = 1,
					 .wanted = ret_result != NULL };

	return submit(pool, &submission, options, ret_result);
}

int carom_pool_apply(struct carom_pool *pool, carom_task_fn *function, const void *data,
		     size_t size, void *out, size_t out_size,
		     const struct carom_task_options *options, struct carom_outcome *ret_outcome)
{
	struct submission submission = { .function = function,
					 .data = data,
					 .size = size,
					 .count = 1,
					 .wanted = true,
					 .awaited = true };
	struct carom_result *result;
	int r;

	if (!out && out_size)
		return -EINVAL;
	r = submit(pool, &submission, options, &result);
	if (r < 0)
		return r;
	return carom_result_finish(result, out, out_size, ret_outcome);
}
