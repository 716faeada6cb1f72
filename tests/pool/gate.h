/* A gate between a test and the task functions in its workers: they arrive, and wait until it opens. */
#ifndef CAROM_TESTS_POOL_GATE_H
#define CAROM_TESTS_POOL_GATE_H

#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>

#include "core/time.h"
#include "shm/futex.h"

/**
 * struct gate - in memory that the test and its workers share
 * @begun:  how many came to the gate
 * @opened: so many are let through: number n waits until this is above n
 */
struct gate {
	_Atomic uint32_t begun;
	_Atomic uint32_t opened;
};

/* before the test's first pool, so that its workers have it too */
static inline struct gate *gate_new(void)
{
	void *shared = mmap(NULL, sizeof(struct gate), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return shared == MAP_FAILED ? NULL : shared;
}

static inline void gate_await(_Atomic uint32_t *word, uint32_t value)
{
	uint32_t seen;

	while ((seen = atomic_load(word)) < value)
		carom_futex_wait(word, seen, CAROM_NO_DEADLINE);
}

/* in a worker: come, and wait until number @number is let through */
static inline void gate_pass(struct gate *gate, uint32_t number)
{
	atomic_fetch_add(&gate->begun, 1);
	carom_futex_wake(&gate->begun, INT_MAX);
	gate_await(&gate->opened, number + 1);
}

/* in the test: let the first @count through */
static inline void gate_open(struct gate *gate, uint32_t count)
{
	atomic_store(&gate->opened, count);
	carom_futex_wake(&gate->opened, INT_MAX);
}

#endif
