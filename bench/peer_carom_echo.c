/*
 * Peers: carom and carom-copy with large values
 *
 * The task leaves its argument as its value. carom's reads the one and writes the
 * other where they are, and so does the caller: the bytes are copied by
 * carom_pool_apply_async() and by the task, as often as memcpy copies them beside
 * it. carom-copy's has buffers of its own on both sides.
 *
 * Each argument begins and ends with a stamp, which has to be in its value.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/machine.h"
#include "bench/peer.h"
#include "pool/carom.h"

#define PLACES_MAX 32

struct echo_side {
	uint64_t size;
	uint64_t stamp;
	carom_task_fn *function;
	bool copies;
	struct carom_pool *pool;
	struct carom_result *results[PLACES_MAX];
	unsigned char *argument;
	unsigned char *value;
};

static int echo(struct carom_call *call)
{
	size_t size;
	const void *argument = carom_call_data(call, &size);
	void *value;
	int r = carom_reply_reserve(call, size, &value);

	if (r < 0)
		return r;
	memcpy(value, argument, size);
	return carom_reply_commit(call, size);
}

static int echo_copies(struct carom_call *call)
{
	static unsigned char buffer[CAROM_MIB(1)];
	size_t size;
	int r;

	carom_call_data(call, &size);
	r = size > sizeof(buffer) ? -EMSGSIZE : carom_call_read(call, buffer, size);
	return r < 0 ? r : carom_reply(call, buffer, size);
}

static int place_worker(const struct echo_side *side, int cpu)
{
	struct carom_worker_info info;
	int r = carom_pool_workers(side->pool, &info, 1);

	return r < 0 ? r : bench_place((pid_t)info.pid, cpu);
}

static int new_side(const struct bench_job *job, struct echo_side **ret_side)
{
	struct echo_side *side = calloc(1, sizeof(*side));
	int r;

	if (!side)
		return -ENOMEM;
	*ret_side = side;
	side->size = job->workload->payload_bytes;
	side->argument = malloc(side->size);
	side->value = malloc(side->size);
	if (!side->argument || !side->value)
		return -ENOMEM;
	memset(side->argument, 1, side->size);
	memset(side->value, 1, side->size);
	r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = job->worker_count), &side->pool);
	if (r == 0)
		r = place_worker(side, job->worker_cpu);
	bench_place_threads(job->caller_cpu);
	return r;
}

static int setup(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	struct echo_side *side = NULL;
	int r = new_side(job, &side);

	*ret_state = side;
	if (side)
		side->function = echo;
	return r;
}

static int setup_copies(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	struct echo_side *side = NULL;
	int r = new_side(job, &side);

	*ret_state = side;
	if (side) {
		side->function = echo_copies;
		side->copies = true;
	}
	return r;
}

static void teardown(void *state)
{
	struct echo_side *side = state;

	carom_pool_free(side->pool);
	free(side->argument);
	free(side->value);
	free(side);
}

static int submit(struct echo_side *side, uint64_t place)
{
	uint64_t stamp = ++side->stamp;

	memcpy(side->argument, &stamp, sizeof(stamp));
	memcpy(side->argument + side->size - sizeof(stamp), &stamp, sizeof(stamp));
	return carom_pool_apply_async(side->pool, side->function, side->argument, side->size, NULL,
				      &side->results[place]);
}

static int get_value(struct echo_side *side, struct carom_result *result,
		     const unsigned char **ret_value, size_t *ret_size)
{
	const void *data;
	int r;

	if (side->copies) {
		*ret_value = side->value;
		return carom_result_get(result, CAROM_NO_DEADLINE, side->value, side->size,
					ret_size);
	}
	r = carom_result_wait(result, CAROM_NO_DEADLINE);
	if (r == 0)
		r = carom_result_data(result, &data, ret_size);
	if (r == 0)
		*ret_value = data;
	return r;
}

static int collect(struct echo_side *side, uint64_t place, uint64_t stamp)
{
	const unsigned char *value;
	size_t size;
	int r = get_value(side, side->results[place], &value, &size);

	if (r == 0 && (size != side->size || memcmp(value, &stamp, sizeof(stamp)) != 0 ||
		       memcmp(value + size - sizeof(stamp), &stamp, sizeof(stamp)) != 0))
		r = -EPROTO;
	side->results[place] = carom_result_free(side->results[place]);
	return r;
}

static int operate(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct echo_side *side = state;
	uint64_t first_stamp = side->stamp + 1;
	int r = task_count > PLACES_MAX ? -EINVAL : 0;

	for (uint64_t i = 0; r == 0 && i < task_count; i++)
		r = submit(side, i);
	for (uint64_t i = 0; r == 0 && i < task_count; i++)
		r = collect(side, i, first_stamp + i);
	return r;
}

#define ACT(id, make)                                                                           \
	{                                                                                       \
		.workload_id = (id), .setup = (make), .operate = operate, .teardown = teardown, \
	}

const struct bench_act bench_carom_echo_acts[] = {
	ACT(BENCH_ECHO_64K, setup),
	ACT(BENCH_ECHO_64K_MANY, setup),
	ACT(BENCH_ECHO_1M, setup),
	ACT(BENCH_ECHO_1M_MANY, setup),
	{ 0 },
};

const struct bench_peer bench_peer_carom_copy = {
	.name = "carom-copy",
	.summary = "this library by the calls that copy, into buffers of the program",
	.acts = (const struct bench_act[]){ ACT(BENCH_ECHO_64K, setup_copies),
					    ACT(BENCH_ECHO_64K_MANY, setup_copies),
					    ACT(BENCH_ECHO_1M, setup_copies),
					    ACT(BENCH_ECHO_1M_MANY, setup_copies),
					    { 0 } },
};
