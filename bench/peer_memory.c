/*
 * Peer: memcpy
 *
 * What an echo costs if nobody is asked: the bytes are copied there and back, between
 * buffers as many and as large as a pool needs for it, all of them resident. And what one
 * way does: each message is copied once, to as many buffers in turn as a pipe has room for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench/peer.h"
#include "core/time.h"

#define ROOM 4

struct memory {
	uint64_t size;
	unsigned char *source;
	unsigned char *there; /* one for each task of an operation */
	unsigned char *back;
};

static unsigned char *new_buffer(uint64_t size)
{
	unsigned char *buffer = aligned_alloc(4096, size);

	if (buffer)
		memset(buffer, 1, size);
	return buffer;
}

static void teardown(void *state)
{
	struct memory *memory = state;

	free(memory->source);
	free(memory->there);
	free(memory->back);
	free(memory);
}

static int make(uint64_t size, uint64_t count, void **ret_state)
{
	struct memory *memory = calloc(1, sizeof(*memory));

	if (!memory)
		return -ENOMEM;
	*ret_state = memory;
	memory->size = size;
	memory->source = new_buffer(size);
	memory->there = new_buffer(size * count);
	memory->back = new_buffer(size * count);
	return memory->source && memory->there && memory->back ? 0 : -ENOMEM;
}

static int setup(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	return make(job->workload->payload_bytes, job->task_count, ret_state);
}

static int setup_one_way(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	return make(job->workload->payload_bytes, ROOM, ret_state);
}

/* or the compiler would see that nobody reads the copy */
static void look_at(const void *buffer)
{
	__asm__ volatile("" : : "r"(buffer) : "memory");
}

static int operate(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct memory *memory = state;

	for (uint64_t i = 0; i < task_count; i++) {
		memcpy(memory->there + i * memory->size, memory->source, memory->size);
		look_at(memory->there);
	}
	for (uint64_t i = 0; i < task_count; i++) {
		memcpy(memory->back + i * memory->size, memory->there + i * memory->size,
		       memory->size);
		look_at(memory->back);
	}
	return 0;
}

static int operate_one_way(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct memory *memory = state;

	for (uint64_t i = 0; i < task_count; i++) {
		memcpy(memory->there + i % ROOM * memory->size, memory->source, memory->size);
		look_at(memory->there);
	}
	return 0;
}

#define ONE_WAY_ACT(id)                                                                  \
	{                                                                                \
		.workload_id = (id), .setup = setup_one_way, .operate = operate_one_way, \
		.teardown = teardown                                                     \
	}
#define ACT(id)                                                                                \
	{                                                                                      \
		.workload_id = (id), .setup = setup, .operate = operate, .teardown = teardown, \
	}

const struct bench_peer bench_peer_memcpy = {
	.name = "memcpy",
	.summary = "the bytes alone, copied in the caller's process",
	.acts = (const struct bench_act[]){ ACT(BENCH_ECHO_64K),
					    ACT(BENCH_ECHO_64K_MANY),
					    ACT(BENCH_ECHO_1M),
					    ACT(BENCH_ECHO_1M_MANY),
					    ONE_WAY_ACT(BENCH_STREAM_64K),
					    ONE_WAY_ACT(BENCH_STREAM_1M),
					    { 0 } },
};
