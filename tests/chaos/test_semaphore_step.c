/*
 * Semaphore: a death at every instruction of acquiring, waiting, waking and releasing, of
 * getting back what the dead had, and of adding up what one of them left. All units come back,
 * and who waits for one gets it.
 */
#include "tests/chaos/neighbours.h"

#include "core/points.h"
#include "shm/semaphore.h"

/**
 * struct stage - shared by the victim and the survivors
 * @semaphore: the handle, which all have by fork()
 * @units:     that there are
 */
struct stage {
	struct neighbours neighbours;
	struct carom_semaphore *semaphore;
	uint32_t units;
};

static int acquire(struct stage *stage)
{
	return carom_semaphore_acquire(stage->semaphore, carom_deadline_after(SLEEPER_PATIENCE_NS));
}

/* Return: exit status. */
static int sleep_and_use(void *userdata)
{
	struct stage *stage = userdata;
	int r = acquire(stage);

	return r == 0 ? -carom_semaphore_release(stage->semaphore, 1) : -r;
}

static int sleep_and_keep(void *userdata)
{
	return -acquire(userdata);
}

static int take_part(void *userdata)
{
	struct stage *stage = userdata;

	return carom_semaphore_value(stage->semaphore);
}

static void renew_with_options(struct stage *stage, uint32_t units,
			       const struct carom_semaphore_options *options)
{
	carom_semaphore_free(stage->semaphore);
	memset(stage, 0, sizeof(*stage));
	cr_assert(zero(int, carom_semaphore_new(units, options, &stage->semaphore)));
	stage->units = units;
}

static void renew_with(struct stage *stage, uint32_t units)
{
	renew_with_options(stage, units, &CAROM_SEMAPHORE_OPTIONS(.max = units));
}

static void renew(void *stage)
{
	renew_with(stage, 1);
}

static void renew_with_next(void *userdata)
{
	struct stage *stage = userdata;

	renew(stage);
	sleeper_add(&stage->neighbours.next, take_part, sleep_and_use, stage);
}

static void release(void *userdata)
{
	struct stage *stage = userdata;

	carom_semaphore_release(stage->semaphore, 1);
}

static void hold(struct stage *stage)
{
	cr_assert(zero(int, carom_semaphore_acquire(stage->semaphore, CAROM_NO_DEADLINE)));
	neighbours_held(stage, release);
}

/* The linker has found everything. */
static struct stage *new_stage(void)
{
	struct stage *stage = share(sizeof(*stage));

	renew(stage);
	hold(stage);
	carom_semaphore_acquire(stage->semaphore, carom_deadline_after(CAROM_MILLISECONDS(1)));
	neighbours_let_go(stage);
	carom_semaphore_value(stage->semaphore);
	return stage;
}

/* Nobody alive has one, so all are there, and no more. */
static void expect_all_back(struct stage *stage, const struct step_death *death)
{
	int units = (int)stage->units;

	cr_expect(eq(int, carom_semaphore_value(stage->semaphore), units), "%s", step_where(death));
	for (int i = 0; i < units; i++)
		cr_expect(zero(int, acquire(stage)), "%s", step_where(death));
	cr_expect(eq(int, carom_semaphore_try(stage->semaphore), -EAGAIN), "%s", step_where(death));
	cr_expect(zero(int, carom_semaphore_release(stage->semaphore, stage->units)), "%s",
		  step_where(death));
	cr_expect(eq(int, carom_semaphore_value(stage->semaphore), units), "%s", step_where(death));
}

static void enter(void *stage)
{
	take_part(stage);
}

static void act(void *userdata)
{
	struct stage *stage = userdata;

	carom_semaphore_acquire(stage->semaphore, CAROM_NO_DEADLINE);
	carom_semaphore_release(stage->semaphore, 1);
}

/* ---- alone ---- */

static void check(void *stage, const struct step_death *death)
{
	expect_all_back(stage, death);
}

Test(semaphore_step, of_a_use, .timeout = 240)
{
	step_through(
		&(struct step_play){
			.set_up = renew, .prepare = enter, .act = act, .check = check },
		new_stage());
}

/* ---- one who sleeps is not forgotten ---- */

static void hold_before_next(void *userdata)
{
	struct stage *stage = userdata;

	carom_semaphore_acquire(stage->semaphore, CAROM_NO_DEADLINE);
	sleeper_let_sleep(&stage->neighbours.next);
}

static void check_with_next(void *stage, const struct step_death *death)
{
	neighbours_meet_next(stage, death);
	expect_all_back(stage, death);
}

Test(semaphore_step, of_a_release_that_wakes, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew_with_next,
					  .prepare = hold_before_next,
					  .act = release,
					  .check = check_with_next },
		     new_stage());
}

/* ---- a unit that another process has is released ---- */

static void renew_and_hold(void *userdata)
{
	struct stage *stage = userdata;

	renew(stage);
	hold(stage);
}

static void check_released(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	int value = carom_semaphore_value(stage->semaphore);

	cr_expect(value == 1 || (value == 0 && !death->complete), "%d %s", value,
		  step_where(death));
	if (value == 0)
		neighbours_let_go(stage);
	expect_all_back(stage, death);
}

Test(semaphore_step, of_releasing_what_another_one_has, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew_and_hold,
					  .prepare = enter,
					  .act = release,
					  .check = check_released },
		     new_stage());
}

/* ---- units that are used up ---- */

static void renew_signal_with_next(void *userdata)
{
	struct stage *stage = userdata;

	renew_with_options(stage, 0, &CAROM_SEMAPHORE_OPTIONS(.is_signal = 1));
	sleeper_add(&stage->neighbours.next, take_part, sleep_and_keep, stage);
}

/* What was given before the victim died is not lost with it. */
static void check_signal(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;

	if (!death->complete)
		carom_semaphore_release(stage->semaphore, 1);
	cr_expect(zero(int, sleeper_ended(&stage->neighbours.next)), "%s", step_where(death));
	cr_expect(le(int, carom_semaphore_value(stage->semaphore), !death->complete), "%s",
		  step_where(death));
}

static void enter_before_next(void *userdata)
{
	struct stage *stage = userdata;

	take_part(stage);
	sleeper_let_sleep(&stage->neighbours.next);
}

Test(semaphore_step, of_a_signal, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew_signal_with_next,
					  .prepare = enter_before_next,
					  .act = release,
					  .check = check_signal },
		     new_stage());
}

/* ---- the victim waits: for the test's process, with another one behind ---- */

static void renew_with_next_and_hold(void *userdata)
{
	struct stage *stage = userdata;

	renew_with_next(stage);
	hold(stage);
}

Test(semaphore_step, of_a_wait_with_one_behind, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew_with_next_and_hold,
					  .prepare = enter,
					  .act = act,
					  .asleep = neighbours_let_next_sleep_and_go,
					  .check = check_with_next },
		     new_stage());
}

/* ---- the victim is the one whom a death wakes: it gets one unit, and the next one another ---- */

static int take_two(void *stage)
{
	int r = acquire(stage);

	return r < 0 ? r : acquire(stage);
}

static void renew_with_holder_and_next(void *userdata)
{
	struct stage *stage = userdata;

	renew_with(stage, 2);
	sleeper_add(&stage->neighbours.holder, take_two, sleep_for_ever, stage);
	sleeper_add(&stage->neighbours.next, take_part, sleep_and_use, stage);
}

static void act_and_keep(void *userdata)
{
	struct stage *stage = userdata;

	carom_semaphore_acquire(stage->semaphore, CAROM_NO_DEADLINE);
}

Test(semaphore_step, of_a_recovery_with_one_behind, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew_with_holder_and_next,
					  .prepare = enter,
					  .act = act_and_keep,
					  .asleep = neighbours_kill_holder_before_next,
					  .check = check_with_next },
		     new_stage());
}

/* ---- the victim adds up what one has left that died under the mutex ---- */

/* It says no more that it has the unit, and nobody says yet that the unit is there. */
static int die_giving(void *userdata)
{
	struct stage *stage = userdata;

	return carom_semaphore_release(stage->semaphore, 1);
}

static void renew_with_giver(void *userdata)
{
	struct stage *stage = userdata;

	renew(stage);
	sleeper_add(&stage->neighbours.holder, sleep_and_keep, die_giving, stage);
}

static void see_giver_die(void *userdata)
{
	struct stage *stage = userdata;

	cr_assert(zero(int, carom_point_arm_once("semaphore.given", 1, SIGKILL)));
	sleeper_let_go(&stage->neighbours.holder);
	cr_assert(eq(int, sleeper_ended(&stage->neighbours.holder), -SIGKILL));
	carom_point_disarm_all();
}

static void look(void *stage)
{
	take_part(stage);
}

Test(semaphore_step, of_adding_up_what_is_torn, .timeout = 240)
{
	if (carom_point_arm_once("semaphore.given", 1, SIGKILL) == -EOPNOTSUPP)
		cr_skip_test("skipped: built without points");
	carom_point_disarm_all();
	step_through(&(struct step_play){ .set_up = renew_with_giver,
					  .prepare = enter,
					  .prepared = see_giver_die,
					  .act = look,
					  .check = check },
		     new_stage());
}
