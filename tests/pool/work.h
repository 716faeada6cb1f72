/* Task functions and small helpers that the suites of the pool share. */
#ifndef CAROM_TESTS_POOL_WORK_H
#define CAROM_TESTS_POOL_WORK_H

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pool/carom.h"

static inline int square(struct carom_call *call)
{
	int64_t x;
	int r = carom_call_read(call, &x, sizeof(x));

	return r < 0 ? r : carom_reply(call, &(int64_t){ x * x }, sizeof(x));
}

static inline int nothing(struct carom_call *call)
{
	return 0;
}

static inline int echo(struct carom_call *call)
{
	size_t size;
	const void *data = carom_call_data(call, &size);

	return carom_reply(call, data, size);
}

static inline int own_pid(struct carom_call *call)
{
	int64_t pid = getpid();

	return carom_reply(call, &pid, sizeof(pid));
}

static inline int own_index(struct carom_call *call)
{
	int64_t index = carom_call_worker(call);

	return carom_reply(call, &index, sizeof(index));
}

static inline int fail_with_message(struct carom_call *call)
{
	return carom_call_fail(call, -ENOENT, "no user %s", "nobody");
}

static inline int kill_self(struct carom_call *call)
{
	kill(getpid(), SIGKILL);
	return 0;
}

static inline int crash(struct carom_call *call)
{
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
	return 0;
}

static inline int exit_7(struct carom_call *call)
{
	_exit(7); /* exit() would have a leak checker look through this copy of the test */
}

static inline int die_on_fifty(struct carom_call *call)
{
	int64_t x;

	carom_call_read(call, &x, sizeof(x));
	if (x % 100 == 50)
		kill(getpid(), SIGKILL);
	if (x % 100 == 51)
		_exit(3);
	return square(call);
}

static inline int hang_on_seven(struct carom_call *call)
{
	int64_t x;

	carom_call_read(call, &x, sizeof(x));
	while (x == 7)
		pause();
	return square(call);
}

static inline int hang(struct carom_call *call)
{
	for (;;)
		pause();
	return 0;
}

/* that are there */
static inline uint64_t count_workers(struct carom_pool *pool)
{
	struct carom_worker_info workers[64];
	int count = carom_pool_workers(pool, workers, 64);
	uint64_t there = 0;

	for (int i = 0; i < count; i++)
		there += workers[i].pid != 0;
	return there;
}

/* ---- memory ---- */

static inline char *get_memory(size_t size)
{
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return memory == MAP_FAILED ? NULL : memory;
}

/* takes so many MiB, one after the other, keeps them and stays */
static inline void eat_mib(int64_t mib)
{
	for (int64_t i = 0; i < mib; i++) {
		char *memory = get_memory(CAROM_MIB(1));

		if (memory)
			memset(memory, 1, CAROM_MIB(1));
	}
}

static inline int eat(struct carom_call *call)
{
	int64_t mib;

	carom_call_read(call, &mib, sizeof(mib));
	eat_mib(mib);
	return hang(call);
}

/* a task that hangs for as long as it may. Return: as carom_pool_apply() */
static inline int hang_until_limit(struct carom_pool *pool, uint64_t limit_ns,
				   struct carom_outcome *ret_outcome)
{
	struct carom_task_options options = CAROM_TASK_OPTIONS(.hard_limit_ns = limit_ns);

	return carom_pool_apply(pool, hang, NULL, 0, NULL, 0, &options, ret_outcome);
}

/*
 * Did it end so? Or by the hard limit that it had: a machine may be too busy to get anything done
 * in that, but then so much time has passed.
 */
static inline bool ended_within(uint64_t limit_ns, const struct carom_outcome *outcome, int kind)
{
	if (outcome->kind != kind && outcome->kind != CAROM_OUTCOME_HARD_LIMIT)
		return false;
	return outcome->kind != CAROM_OUTCOME_HARD_LIMIT ||
	       outcome->ended_ns - outcome->started_ns >= limit_ns;
}

static inline struct carom_pool *new_pool(uint64_t workers)
{
	struct carom_pool *pool = NULL;
	int r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = workers), &pool);

	return r < 0 ? NULL : pool;
}

static inline int64_t seed_from_environment(void)
{
	const char *text = getenv("CAROM_SEED");

	return text ? strtoll(text, NULL, 0) : (int64_t)(carom_now() & 0x7fffffff);
}

#endif
