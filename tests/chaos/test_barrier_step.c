/*
 * Barrier: a death at every instruction of coming, of waiting, of an action, of breaking and
 * mending, and of telling others of a death. Who waits is let go on, or told that it is broken.
 */
#include "tests/chaos/sleeper.h"
#include "tests/chaos/step.h"

#include "shm/barrier.h"

enum { PARTIES = 3 };

/**
 * struct stage - shared by the victim and the survivors
 * @barrier: the handle, which all have by fork()
 * @first, @second: the other parties; all three have been at the barrier once, so that the
 *                  death of each is known
 * @actions: that were run
 */
struct stage {
	struct carom_barrier *barrier;
	struct sleeper first;
	struct sleeper second;
	uint32_t actions;
};

/* Return: its index, or the error, as an exit status. */
static int come(void *userdata)
{
	struct stage *stage = userdata;
	int r = carom_barrier_wait(stage->barrier, carom_deadline_after(SLEEPER_PATIENCE_NS));

	return r < 0 ? -r : r;
}

static int run_action(void *userdata)
{
	struct stage *stage = userdata;

	stage->actions++;
	return 0;
}

static int take_part(void *userdata)
{
	struct stage *stage = userdata;

	return carom_barrier_reset(stage->barrier);
}

/* One in the first round, and what the other returns in the one that is looked at. */
static int come_twice(struct stage *stage, struct sleeper *sleeper)
{
	come(stage);
	sleeper_wait_again(sleeper);
	return come(stage);
}

static int come_as_first(void *userdata)
{
	struct stage *stage = userdata;

	return come_twice(stage, &stage->first);
}

static int come_as_second(void *userdata)
{
	struct stage *stage = userdata;

	return come_twice(stage, &stage->second);
}

static void renew_with(struct stage *stage, carom_barrier_fn *action)
{
	carom_barrier_free(stage->barrier);
	memset(stage, 0, sizeof(*stage));
	cr_assert(zero(
		int, carom_barrier_new(PARTIES,
				       &CAROM_BARRIER_OPTIONS(.action = action, .userdata = stage),
				       &stage->barrier)));
	sleeper_add(&stage->first, take_part, come_as_first, stage);
	sleeper_add(&stage->second, take_part, come_as_second, stage);
}

static void renew(void *stage)
{
	renew_with(stage, NULL);
}

static void renew_with_action(void *stage)
{
	renew_with(stage, run_action);
}

/* The first round, in the same order each time. */
static void enter(void *userdata)
{
	struct stage *stage = userdata;

	take_part(stage);
	sleeper_let_sleep(&stage->first);
	sleeper_let_sleep(&stage->second);
	come(stage);
	sleeper_await_again(&stage->first);
	sleeper_await_again(&stage->second);
}

static void act(void *userdata)
{
	struct stage *stage = userdata;

	carom_barrier_wait(stage->barrier, CAROM_NO_DEADLINE);
}

static void mend(struct stage *stage)
{
	carom_barrier_reset(stage->barrier);
}

/* The linker has found everything. */
static struct stage *new_stage(void)
{
	struct stage *stage = share(sizeof(*stage));

	renew_with(stage, run_action);
	enter(stage);
	sleeper_kill(&stage->first);
	sleeper_kill(&stage->second);
	mend(stage);
	carom_barrier_wait(stage->barrier, carom_deadline_after(CAROM_MILLISECONDS(1)));
	carom_barrier_abort(stage->barrier);
	return stage;
}

static void expect_usable(struct stage *stage, const struct step_death *death)
{
	mend(stage);
	cr_expect(zero(int, carom_barrier_is_broken(stage->barrier)), "%s", step_where(death));
	cr_expect(zero(u32, carom_barrier_waiting(stage->barrier)), "%s", step_where(death));
	cr_expect(eq(int, carom_barrier_wait(stage->barrier, CAROM_PASSED), -ETIMEDOUT), "%s",
		  step_where(death));
	cr_expect(eq(int, carom_barrier_wait(stage->barrier, CAROM_PASSED), -ECANCELED), "%s",
		  step_where(death));
	mend(stage);
	cr_expect(zero(int, carom_barrier_is_broken(stage->barrier)), "%s", step_where(death));
}

/* ---- the victim comes last ---- */

static void enter_and_let_both_sleep(void *userdata)
{
	struct stage *stage = userdata;

	enter(stage);
	sleeper_let_sleep(&stage->first);
	sleeper_let_sleep(&stage->second);
}

/* Both have gone on, as those that they are, or both were told. */
static void check_both(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	int first = sleeper_ended(&stage->first), second = sleeper_ended(&stage->second);

	if (death->complete || first != ECANCELED) {
		cr_expect(eq(int, first, 0), "%s", step_where(death));
		cr_expect(eq(int, second, 1), "%s", step_where(death));
	} else {
		cr_expect(eq(int, second, ECANCELED), "%s", step_where(death));
	}
	expect_usable(stage, death);
}

Test(barrier_step, of_coming_last, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew,
					  .prepare = enter_and_let_both_sleep,
					  .act = act,
					  .check = check_both,
					  .wanders = true },
		     new_stage());
}

static void check_action(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;

	cr_expect(le(u32, stage->actions, 2), "%s", step_where(death));
	if (death->complete)
		cr_expect(eq(u32, stage->actions, 2));
	check_both(stage, death);
}

Test(barrier_step, of_an_action, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew_with_action,
					  .prepare = enter_and_let_both_sleep,
					  .act = act,
					  .check = check_action,
					  .wanders = true },
		     new_stage());
}

/* ---- the victim waits, with another one behind ---- */

/* Once. */
static void let_both_come(void *userdata)
{
	struct stage *stage = userdata;

	if (sleeper_may_sleep(&stage->second))
		return;
	sleeper_let_sleep(&stage->first);
	sleeper_let_go(&stage->second);
	cr_expect(eq(int, sleeper_ended(&stage->second), PARTIES - 1));
}

/* The victim died before it slept, or the round was complete. */
static void check_wait(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	bool is_late = !sleeper_may_sleep(&stage->second);
	int first;

	sleeper_let_go(&stage->first);
	sleeper_let_go(&stage->second);
	first = sleeper_ended(&stage->first);
	cr_expect(eq(int, first, is_late ? ECANCELED : 1), "%s", step_where(death));
	if (is_late)
		cr_expect(eq(int, sleeper_ended(&stage->second), ECANCELED), "%s",
			  step_where(death));
	expect_usable(stage, death);
}

Test(barrier_step, of_a_wait_with_one_behind, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew,
					  .prepare = enter,
					  .act = act,
					  .asleep = let_both_come,
					  .check = check_wait,
					  .wanders = true },
		     new_stage());
}

/* ---- the victim is the one that a death wakes, and tells the one behind it ---- */

/* Once. */
static void kill_second_behind_first(void *userdata)
{
	struct stage *stage = userdata;

	if (!stage->second.pid)
		return;
	sleeper_let_sleep(&stage->first);
	sleeper_kill(&stage->second);
}

static void check_recovery(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;

	sleeper_let_go(&stage->first);
	cr_expect(eq(int, sleeper_ended(&stage->first), ECANCELED), "%s", step_where(death));
	if (stage->second.pid)
		sleeper_kill(&stage->second); /* the victim never slept */
	expect_usable(stage, death);
}

Test(barrier_step, of_a_recovery_with_one_behind, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew,
					  .prepare = enter,
					  .act = act,
					  .asleep = kill_second_behind_first,
					  .check = check_recovery,
					  .wanders = true },
		     new_stage());
}

/* ---- the victim breaks it, or makes it whole ---- */

static void enter_and_let_first_sleep(void *userdata)
{
	struct stage *stage = userdata;

	enter(stage);
	sleeper_let_sleep(&stage->first);
}

static void act_abort(void *userdata)
{
	struct stage *stage = userdata;

	carom_barrier_abort(stage->barrier);
}

static void act_reset(void *stage)
{
	mend(stage);
}

Test(barrier_step, of_breaking_it, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew,
					  .prepare = enter_and_let_first_sleep,
					  .act = act_abort,
					  .check = check_recovery,
					  .wanders = true },
		     new_stage());
}

Test(barrier_step, of_a_reset, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew,
					  .prepare = enter_and_let_first_sleep,
					  .act = act_reset,
					  .check = check_recovery,
					  .wanders = true },
		     new_stage());
}
