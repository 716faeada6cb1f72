/*
 * Messages between two processes, by whatever carries them: what a peer has to have.
 */
#ifndef CAROM_BENCH_PEER_MESSAGE_H
#define CAROM_BENCH_PEER_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "bench/peer.h"

#define BENCH_MESSAGE_BYTES_MAX (1u << 20)

/**
 * struct bench_carrier - two ends of something; the partner has its own by fork()
 * @make:    both ends. 0 or negative errno
 * @choose:  this process goes on with one end. 0 or negative errno
 * @send, @receive: a message of the job's payload_bytes. 0 or negative errno
 * @size:    or of so many; 0: as the job has it
 * @flush:   all that was sent can be seen; NULL: it always can
 * @spins:   it never sleeps: between samples the partner is told to
 */
struct bench_carrier {
	int (*make)(const struct bench_job *job, void **ret_state);
	int (*choose)(void *state, bool is_partner);
	int (*send)(void *state, const void *data, size_t size);
	int (*receive)(void *state, void *buffer, size_t size);
	int (*flush)(void *state);
	size_t size;
	bool spins;
};

int bench_message_setup(const struct bench_carrier *carrier, const struct bench_job *job,
			struct bench_sample *sample, void **ret_state);

/** bench_message_operate() - there and back, or, where the workload says so, there only */
int bench_message_operate(void *state, uint64_t task_count, struct bench_operation *operation);
void bench_message_rest(void *state);
void bench_message_teardown(void *state);

/** BENCH_MESSAGE_SETUP() - a function @name_, for the acts by one carrier */
#define BENCH_MESSAGE_SETUP(name_, carrier_)                                       \
	static int name_(const struct bench_job *job, struct bench_sample *sample, \
			 void **ret_state)                                         \
	{                                                                          \
		return bench_message_setup(&(carrier_), job, sample, ret_state);   \
	}

/** BENCH_MESSAGE_ACT() - an act by @setup_function, of BENCH_MESSAGE_SETUP() */
#define BENCH_MESSAGE_ACT(id, setup_function)                                                     \
	{                                                                                         \
		.workload_id = (id), .setup = (setup_function), .operate = bench_message_operate, \
		.rest = bench_message_rest, .teardown = bench_message_teardown,                   \
	}

/** BENCH_MESSAGE_SMALL_ACTS() - what whoever sleeps does, and sends few bytes at a time */
#define BENCH_MESSAGE_SMALL_ACTS(setup_function)                            \
	BENCH_MESSAGE_ACT(BENCH_MESSAGE_PARKED_8, setup_function),          \
		BENCH_MESSAGE_ACT(BENCH_MESSAGE_PARKED_64, setup_function), \
		BENCH_MESSAGE_ACT(BENCH_STREAM_64, setup_function)

/** BENCH_MESSAGE_ALL_ACTS() - and sends many, too */
#define BENCH_MESSAGE_ALL_ACTS(setup_function)                        \
	BENCH_MESSAGE_SMALL_ACTS(setup_function),                     \
		BENCH_MESSAGE_ACT(BENCH_MESSAGE_64K, setup_function), \
		BENCH_MESSAGE_ACT(BENCH_MESSAGE_1M, setup_function),  \
		BENCH_MESSAGE_ACT(BENCH_STREAM_64K, setup_function),  \
		BENCH_MESSAGE_ACT(BENCH_STREAM_1M, setup_function)

#endif
