/*
 * Sleeper: another process, which is asleep in a call when the victim dies.
 *
 * Who uses a primitive for the first time wakes all who sleep there, to look again. So each
 * takes part before anybody sleeps, and goes to sleep when it is told to:
 *
 *	sleeper_add(&stage->next, enter, acquire, stage);	// in @set_up
 *	sleeper_let_sleep(&stage->next);			// in @prepare, or in @asleep
 *	cr_expect(zero(int, sleeper_ended(&stage->next)));	// in @check
 *
 * The last is where somebody who was forgotten is found: nothing wakes it any more, and its
 * deadline ends it.
 */
#ifndef TESTS_CHAOS_SLEEPER_H
#define TESTS_CHAOS_SLEEPER_H

#include "tests/shm/help.h"

#include <stdbool.h>

/* Longer than anything takes that is not stuck. */
#define SLEEPER_PATIENCE_NS CAROM_SECONDS(20)

/**
 * struct sleeper - in shared memory
 * @pid:   0: there is none
 * @ready: it takes part
 * @go:    it may go to sleep
 */
struct sleeper {
	pid_t pid;
	_Atomic uint32_t ready;
	_Atomic uint32_t go;
};

/* Return: exit status. */
typedef int sleeper_fn(void *stage);

/* @enter: it takes part; @sleep: what it sleeps in. Nothing is waited for. */
static inline void sleeper_start(struct sleeper *sleeper, sleeper_fn *enter, sleeper_fn *sleep,
				 void *stage)
{
	pid_t pid;

	atomic_store(&sleeper->ready, 0);
	atomic_store(&sleeper->go, 0);
	pid = child();
	if (pid == 0) {
		enter(stage);
		atomic_store(&sleeper->ready, 1);
		await(atomic_load(&sleeper->go));
		_exit(sleep(stage));
	}
	sleeper->pid = pid;
}

static inline void sleeper_await_ready(struct sleeper *sleeper)
{
	await(atomic_load(&sleeper->ready));
}

static inline void sleeper_add(struct sleeper *sleeper, sleeper_fn *enter, sleeper_fn *sleep,
			       void *stage)
{
	sleeper_start(sleeper, enter, sleep, stage);
	sleeper_await_ready(sleeper);
}

static inline bool sleeper_may_sleep(struct sleeper *sleeper)
{
	return atomic_load(&sleeper->go);
}

static inline void sleeper_let_go(struct sleeper *sleeper)
{
	atomic_store(&sleeper->go, 1);
}

static inline void sleeper_let_sleep(struct sleeper *sleeper)
{
	sleeper_let_go(sleeper);
	await_asleep(sleeper->pid);
}

/* By the sleeper, which has slept once: it is ready again, and goes on when it is told to. */
static inline void sleeper_wait_again(struct sleeper *sleeper)
{
	atomic_store(&sleeper->go, 0);
	atomic_store(&sleeper->ready, 2);
	await(atomic_load(&sleeper->go));
}

static inline void sleeper_await_again(struct sleeper *sleeper)
{
	await(atomic_load(&sleeper->ready) == 2);
}

/* By the test's process. */
static inline int sleeper_ended(struct sleeper *sleeper)
{
	int status = ended(sleeper->pid);

	sleeper->pid = 0;
	return status;
}

static inline void sleeper_kill(struct sleeper *sleeper)
{
	cr_assert(eq(int, killed(sleeper->pid), -SIGKILL));
	sleeper->pid = 0;
}

/* @sleep of one who holds something until it is killed. */
static inline int sleep_for_ever(void *stage)
{
	while (pause() < 0) /* which it always is */
		;
	return 0;
}

#endif
