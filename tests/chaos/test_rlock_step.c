/*
 * RLock: a death at every instruction of acquiring it several times and releasing it as often,
 * of waiting, waking and repairing. Whoever comes next has it once, whatever the dead had.
 */
#include "tests/chaos/neighbours.h"

#include "shm/rlock.h"

enum { DEPTH = 3 };

/**
 * struct stage - shared by the victim and the survivors
 * @a, @b: equal whenever the lock is free and nobody says that its holder died
 */
struct stage {
	struct neighbours neighbours;
	struct carom_rlock rlock;
	uint64_t a;
	uint64_t b;
};

static const uint64_t PATIENCE_NS = SLEEPER_PATIENCE_NS;

static void release_all(void *userdata)
{
	struct stage *stage = userdata;

	for (int level = 0; level < DEPTH; level++)
		carom_rlock_release(&stage->rlock);
}

/* Return: what acquiring said first. */
static int use(struct stage *stage, uint64_t deadline_ns)
{
	int r = carom_rlock_acquire(&stage->rlock, deadline_ns);

	if (r == -EOWNERDEAD) {
		stage->b = stage->a;
		carom_rlock_consistent(&stage->rlock);
	} else if (r < 0) {
		return r;
	}
	for (int level = 1; level < DEPTH; level++)
		carom_rlock_acquire(&stage->rlock, CAROM_NO_DEADLINE);
	stage->a++;
	stage->b++;
	release_all(stage);
	return r;
}

static int do_nothing(void *stage)
{
	return 0;
}

static int sleep_and_use(void *stage)
{
	int r = use(stage, carom_deadline_after(PATIENCE_NS));

	return r == 0 || r == -EOWNERDEAD ? 0 : -r;
}

static void renew(void *userdata)
{
	struct stage *stage = userdata;

	memset(stage, 0, sizeof(*stage));
	cr_assert(zero(int, carom_rlock_init(&stage->rlock)));
	sleeper_add(&stage->neighbours.next, do_nothing, sleep_and_use, stage);
}

static void hold(struct stage *stage)
{
	for (int level = 0; level < DEPTH; level++)
		carom_rlock_acquire(&stage->rlock, CAROM_NO_DEADLINE);
}

/* The linker has found everything. */
static struct stage *new_stage(void)
{
	struct stage *stage = share(sizeof(*stage));

	cr_assert(zero(int, carom_rlock_init(&stage->rlock)));
	use(stage, CAROM_NO_DEADLINE);
	return stage;
}

/* It is had once, with the state of who may have died in it. */
static void expect_usable(struct stage *stage, const struct step_death *death)
{
	int r = carom_rlock_acquire(&stage->rlock, carom_deadline_after(PATIENCE_NS));

	cr_assert(r == 0 || r == -EOWNERDEAD, "%d %s", r, step_where(death));
	if (death->complete)
		cr_expect(zero(int, r));
	if (r == 0)
		cr_expect(eq(u64, stage->a, stage->b), "%s", step_where(death));
	else
		cr_expect(zero(int, carom_rlock_consistent(&stage->rlock)));
	stage->b = stage->a;
	cr_expect(eq(u32, carom_rlock_count(&stage->rlock), 1), "%s", step_where(death));
	cr_expect(zero(int, carom_rlock_release(&stage->rlock)), "%s", step_where(death));
	cr_expect(zero(int, carom_rlock_owner(&stage->rlock)), "%s", step_where(death));
	cr_expect(zero(int, use(stage, CAROM_PASSED)), "%s", step_where(death));
}

/* The next one is behind the victim, or comes after it. */
static void check(void *stage, const struct step_death *death)
{
	neighbours_meet_next(stage, death);
	expect_usable(stage, death);
}

static void act(void *stage)
{
	use(stage, CAROM_NO_DEADLINE);
}

Test(rlock_step, of_a_use_in_depth, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew, .act = act, .check = check },
		     new_stage());
}

/* ---- one who sleeps is not forgotten ---- */

static void hold_before_next(void *userdata)
{
	struct stage *stage = userdata;

	hold(stage);
	sleeper_let_sleep(&stage->neighbours.next);
}

static void act_release(void *userdata)
{
	struct stage *stage = userdata;

	stage->a++;
	stage->b++;
	release_all(stage);
}

Test(rlock_step, of_releases_of_which_one_wakes, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew,
					  .prepare = hold_before_next,
					  .act = act_release,
					  .check = check },
		     new_stage());
}

/* ---- the victim waits: for the test's process, with another one behind ---- */

static void renew_and_hold(void *userdata)
{
	struct stage *stage = userdata;

	renew(stage);
	hold(stage);
	neighbours_held(stage, release_all);
}

Test(rlock_step, of_a_wait_with_one_behind, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_and_hold,
					  .act = act,
					  .asleep = neighbours_let_next_sleep_and_go,
					  .check = check },
		     new_stage());
}

/* ---- the victim repairs what another one left when it died, with one behind ---- */

static int die_in_depth(void *userdata)
{
	struct stage *stage = userdata;

	hold(stage);
	stage->a++;
	raise(SIGKILL);
	return 1;
}

static void renew_and_tear(void *userdata)
{
	struct stage *stage = userdata;
	struct sleeper dead;

	renew(stage);
	sleeper_start(&dead, die_in_depth, die_in_depth, stage);
	cr_assert(eq(int, sleeper_ended(&dead), -SIGKILL));
}

Test(rlock_step, of_a_repair, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_and_tear, .act = act, .check = check },
		     new_stage());
}

static void take_before_next(void *userdata)
{
	struct stage *stage = userdata;

	carom_rlock_acquire(&stage->rlock, CAROM_NO_DEADLINE);
	sleeper_let_sleep(&stage->neighbours.next);
}

static void act_repair(void *userdata)
{
	struct stage *stage = userdata;

	stage->b = stage->a;
	carom_rlock_consistent(&stage->rlock);
	carom_rlock_release(&stage->rlock);
}

Test(rlock_step, of_a_repair_that_wakes, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_and_tear,
					  .prepare = take_before_next,
					  .act = act_repair,
					  .check = check },
		     new_stage());
}
