/*
 * Module
 *
 * A peer that brings libraries along stands in a module, which only its own side loads:
 * what a program has mapped is what its children cost to make and to end, and carom's
 * and the kernel's are not to pay for everybody's.
 */
#ifndef CAROM_BENCH_MODULE_H
#define CAROM_BENCH_MODULE_H

#include "bench/peer.h"

/* What a module offers: one act, for all workloads that its peer has. */
#define BENCH_MODULE_EXPORT __attribute__((visibility("default")))
extern const struct bench_act bench_module;

/** bench_module_is_there() - was it built? */
bool bench_module_is_there(const char *module);

/* The act of the job's module, once that is loaded; the first of them loads it. */
int bench_module_setup(const struct bench_job *job, struct bench_sample *sample, void **ret_state);
int bench_module_operate(void *state, uint64_t task_count, struct bench_operation *operation);
void bench_module_rest(void *state);
void bench_module_teardown(void *state);

/** BENCH_MODULE_ACT() - a workload that the peer's module does */
#define BENCH_MODULE_ACT(id)                                                                       \
	{                                                                                          \
		.workload_id = (id), .setup = bench_module_setup, .operate = bench_module_operate, \
		.rest = bench_module_rest, .teardown = bench_module_teardown,                      \
	}

#endif
