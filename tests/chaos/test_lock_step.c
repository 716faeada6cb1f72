/*
 * Lock: a death at every instruction of acquiring, waiting, waking and releasing, and of taking
 * it from the dead. Whoever comes next gets it, and is told if its holder died.
 */
#include "tests/chaos/neighbours.h"

#include "shm/lock.h"

/**
 * struct stage - shared by the victim and the survivors
 * @lock:  the handle, which all have by fork()
 * @a, @b: equal whenever the lock is free and nobody says that its holder died
 */
struct stage {
	struct neighbours neighbours;
	struct carom_lock *lock;
	uint64_t a;
	uint64_t b;
};

static void change(struct stage *stage)
{
	stage->a++;
	stage->b++;
}

/* Return: what acquiring said. */
static int use(struct stage *stage, uint64_t deadline_ns)
{
	int r = carom_lock_acquire(stage->lock, deadline_ns);

	if (r == -EOWNERDEAD)
		stage->b = stage->a;
	else if (r < 0)
		return r;
	change(stage);
	carom_lock_release(stage->lock);
	return r;
}

/* It takes part from now on, whether it gets the lock or not. */
static int take_part(void *userdata)
{
	struct stage *stage = userdata;
	int r = carom_lock_try(stage->lock);

	return r == 0 ? carom_lock_release(stage->lock) : r;
}

static int sleep_and_use(void *userdata)
{
	struct stage *stage = userdata;
	int r = use(stage, carom_deadline_after(SLEEPER_PATIENCE_NS));

	return r == 0 || r == -EOWNERDEAD ? 0 : -r;
}

static void renew(void *userdata)
{
	struct stage *stage = userdata;

	carom_lock_free(stage->lock);
	memset(stage, 0, sizeof(*stage));
	cr_assert(zero(int, carom_lock_new(NULL, &stage->lock)));
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

	change(stage);
	carom_lock_release(stage->lock);
}

static void hold(struct stage *stage)
{
	cr_assert(zero(int, carom_lock_acquire(stage->lock, CAROM_NO_DEADLINE)));
	neighbours_held(stage, release);
}

/* The linker has found everything. */
static struct stage *new_stage(void)
{
	struct stage *stage = share(sizeof(*stage));

	renew(stage);
	use(stage, CAROM_NO_DEADLINE);
	hold(stage);
	use(stage, carom_deadline_after(CAROM_MILLISECONDS(1)));
	neighbours_let_go(stage);
	return stage;
}

/* It has the state of who may have died in it, and gets on. */
static void expect_usable(struct stage *stage, const struct step_death *death)
{
	int r = carom_lock_acquire(stage->lock, carom_deadline_after(SLEEPER_PATIENCE_NS));

	cr_assert(r == 0 || r == -EOWNERDEAD, "%d %s", r, step_where(death));
	if (death->complete)
		cr_expect(zero(int, r));
	if (r == 0)
		cr_expect(eq(u64, stage->a, stage->b), "%s", step_where(death));
	stage->b = stage->a;
	cr_expect(zero(int, carom_lock_release(stage->lock)), "%s", step_where(death));
	cr_expect(zero(int, use(stage, CAROM_PASSED)), "%s", step_where(death));
	cr_expect(zero(int, carom_lock_is_locked(stage->lock)), "%s", step_where(death));
}

static void enter(void *stage)
{
	take_part(stage);
}

static void act(void *stage)
{
	use(stage, CAROM_NO_DEADLINE);
}

/* ---- alone ---- */

static void check(void *stage, const struct step_death *death)
{
	expect_usable(stage, death);
}

Test(lock_step, of_a_use, .timeout = 120)
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

	carom_lock_acquire(stage->lock, CAROM_NO_DEADLINE);
	sleeper_let_sleep(&stage->neighbours.next);
}

static void check_with_next(void *stage, const struct step_death *death)
{
	neighbours_meet_next(stage, death);
	expect_usable(stage, death);
}

Test(lock_step, of_a_release_that_wakes, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_with_next,
					  .prepare = hold_before_next,
					  .act = release,
					  .check = check_with_next },
		     new_stage());
}

/* ---- the victim waits: for the test's process, with another one behind ---- */

static void renew_and_hold(void *userdata)
{
	struct stage *stage = userdata;

	renew_with_next(stage);
	hold(stage);
}

Test(lock_step, of_a_wait_with_one_behind, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew_and_hold,
					  .prepare = enter,
					  .act = act,
					  .asleep = neighbours_let_next_sleep_and_go,
					  .check = check_with_next },
		     new_stage());
}

static void act_in_vain(void *stage)
{
	use(stage, CAROM_PASSED);
}

Test(lock_step, of_a_wait_that_ends_by_its_deadline, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew_and_hold,
					  .prepare = enter,
					  .act = act_in_vain,
					  .check = check_with_next },
		     new_stage());
}

/* ---- the victim is told of a death, and repairs ---- */

static int take_and_tear(void *userdata)
{
	struct stage *stage = userdata;

	carom_lock_acquire(stage->lock, CAROM_NO_DEADLINE);
	stage->a++;
	return 0;
}

static void renew_with_holder(void *userdata)
{
	struct stage *stage = userdata;

	renew(stage);
	sleeper_add(&stage->neighbours.holder, take_and_tear, sleep_for_ever, stage);
}

static void kill_holder(void *userdata)
{
	struct stage *stage = userdata;

	sleeper_kill(&stage->neighbours.holder);
}

Test(lock_step, of_a_repair, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_with_holder,
					  .prepare = enter,
					  .prepared = kill_holder,
					  .act = act,
					  .check = check },
		     new_stage());
}

/* ---- the victim is the one whom the kernel wakes, and others hang on it ---- */

static void renew_with_holder_and_next(void *userdata)
{
	struct stage *stage = userdata;

	renew_with_holder(stage);
	sleeper_add(&stage->neighbours.next, take_part, sleep_and_use, stage);
}

Test(lock_step, of_a_recovery_with_one_behind, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew_with_holder_and_next,
					  .prepare = enter,
					  .act = act,
					  .asleep = neighbours_kill_holder_before_next,
					  .check = check_with_next },
		     new_stage());
}
