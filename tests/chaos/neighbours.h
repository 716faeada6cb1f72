/*
 * Neighbours: those beside the victim who want the same, and the plays that they have parts in.
 *
 * The test's process may have what the victim waits for; another process may sleep behind the
 * victim, and one before it may hold something until it is killed. A stage begins with them, so
 * that these functions are parts of a play as they are:
 *
 *	struct stage {
 *		struct neighbours neighbours;		// first
 *		struct carom_lock *lock;
 *	};
 *
 *	step_through(&(struct step_play){ .set_up = renew_and_hold,	// neighbours_held()
 *					  .act = act,
 *					  .asleep = neighbours_let_next_sleep_and_go,
 *					  .check = check_with_next },	// neighbours_meet_next()
 *		     new_stage());
 */
#ifndef TESTS_CHAOS_NEIGHBOURS_H
#define TESTS_CHAOS_NEIGHBOURS_H

#include "tests/chaos/sleeper.h"
#include "tests/chaos/step.h"

/**
 * struct neighbours - in shared memory; zeroed: nobody
 * @holder:  a process that has something, until it is killed
 * @next:    one that waits for it
 * @release: how the test's process lets go of what it has; NULL: it has nothing
 */
struct neighbours {
	struct sleeper holder;
	struct sleeper next;
	void (*release)(void *stage);
};

/* By the test's process, which has it now. */
static inline void neighbours_held(void *stage, void (*release)(void *stage))
{
	struct neighbours *neighbours = stage;

	neighbours->release = release;
}

/* Once. */
static inline void neighbours_let_go(void *stage)
{
	struct neighbours *neighbours = stage;

	if (neighbours->release)
		neighbours->release(stage);
	neighbours->release = NULL;
}

/* Once; the victim fell asleep first. */
static inline void neighbours_let_next_sleep_and_go(void *stage)
{
	struct neighbours *neighbours = stage;

	if (neighbours->release)
		sleeper_let_sleep(&neighbours->next);
	neighbours_let_go(stage);
}

/* The same where the holder's death is what wakes somebody. */
static inline void neighbours_kill_holder_before_next(void *stage)
{
	struct neighbours *neighbours = stage;

	if (!neighbours->holder.pid)
		return;
	sleeper_let_sleep(&neighbours->next);
	sleeper_kill(&neighbours->holder);
}

/* Whatever became of the victim, the next one was not forgotten. */
static inline void neighbours_meet_next(void *stage, const struct step_death *death)
{
	struct neighbours *neighbours = stage;

	neighbours_kill_holder_before_next(stage); /* the victim never slept */
	neighbours_let_go(stage);
	sleeper_let_go(&neighbours->next);
	cr_expect(zero(int, sleeper_ended(&neighbours->next)), "%s", step_where(death));
}

#endif
