/* A pool whose workers a test can keep busy: each waits at the gate until it is let through. */
#ifndef CAROM_TESTS_POOL_BUSY_H
#define CAROM_TESTS_POOL_BUSY_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "tests/pool/gate.h"
#include "tests/pool/work.h"

static struct gate *gate;

/* task number n passes once so many are let through; replies its worker's pid */
static inline int wait_at_gate(struct carom_call *call)
{
	uint32_t number;
	int r = carom_call_read(call, &number, sizeof(number));

	if (r < 0)
		return r;
	gate_pass(gate, number);
	return carom_reply(call, &(int64_t){ getpid() }, sizeof(int64_t));
}

/* the gate is there before the first worker is */
static inline struct carom_pool *new_pool_with_gate(uint64_t workers)
{
	gate = gate_new();
	cr_assert(ne(ptr, gate, NULL));
	return new_pool(workers);
}

/* so many tasks, each of which has a worker of its own by now */
static inline void occupy(struct carom_pool *pool, struct carom_result **results, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		cr_assert(zero(int, carom_pool_apply_async(pool, wait_at_gate, &i, sizeof(i), NULL,
							   &results[i])));
	gate_await(&gate->begun, count);
}

#endif
