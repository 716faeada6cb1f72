/*
 * Mutex: a death at every instruction of acquiring, waiting, waking, releasing and
 * repairing. Whoever comes next gets the mutex, and is told if what it protects may be torn.
 */
#include "tests/chaos/step.h"

#include <linux/futex.h>
#include <stdatomic.h>

#include "shm/mutex.h"

/**
 * struct stage - shared by the victim and the survivors
 * @a, @b:    equal whenever the mutex is free and nobody says that its holder died
 * @sleeper:  another process that acquires it; 0: none
 * @held:     by the test's process
 */
struct stage {
	struct carom_mutex mutex;
	uint64_t a;
	uint64_t b;
	pid_t sleeper;
	bool held;
};

static const uint64_t PATIENCE_NS = CAROM_SECONDS(20);

/* Return: what acquiring said. */
static int use(struct stage *stage, uint64_t deadline_ns)
{
	int r = carom_mutex_acquire(&stage->mutex, deadline_ns);

	if (r == -EOWNERDEAD) {
		stage->b = stage->a;
		carom_mutex_consistent(&stage->mutex);
	} else if (r < 0) {
		return r;
	}
	stage->a++;
	stage->b++;
	carom_mutex_release(&stage->mutex);
	return r;
}

static void act(void *stage)
{
	use(stage, CAROM_NO_DEADLINE);
}

static void renew(void *userdata)
{
	struct stage *stage = userdata;

	*stage = (struct stage){ 0 };
	cr_assert(zero(int, carom_mutex_init(&stage->mutex)));
}

static struct stage *new_stage(void)
{
	struct stage *stage = share(sizeof(*stage));

	renew(stage);
	use(stage, CAROM_NO_DEADLINE); /* the linker has found everything */
	return stage;
}

/* It has the state of who may have died in it, and gets on. */
static void expect_usable(struct stage *stage, const struct step_death *death)
{
	int r = carom_mutex_acquire(&stage->mutex, carom_deadline_after(PATIENCE_NS));

	cr_assert(r == 0 || r == -EOWNERDEAD, "%d %s", r, step_where(death));
	if (death->complete)
		cr_expect(zero(int, r));
	if (r == 0)
		cr_expect(eq(u64, stage->a, stage->b), "%s", step_where(death));
	else
		cr_expect(zero(int, carom_mutex_consistent(&stage->mutex)));
	stage->b = stage->a;
	cr_expect(zero(int, carom_mutex_release(&stage->mutex)), "%s", step_where(death));
	cr_expect(zero(int, use(stage, CAROM_PASSED)), "%s", step_where(death));
	cr_expect(zero(int, carom_mutex_owner(&stage->mutex)), "%s", step_where(death));
}

static void check(void *stage, const struct step_death *death)
{
	expect_usable(stage, death);
}

Test(mutex_step, of_a_use, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew, .act = act, .check = check },
		     new_stage());
}

/* ---- one who sleeps must not be forgotten ---- */

static void sleep_and_use(struct stage *stage)
{
	int r = use(stage, carom_deadline_after(PATIENCE_NS));

	_exit(r == 0 || r == -EOWNERDEAD ? 0 : -r);
}

/* The mutex is held already, or is going to be: by then it says so. */
static void add_sleeper(struct stage *stage)
{
	pid_t pid = child();

	if (pid == 0) {
		await(carom_mutex_owner(&stage->mutex) != 0);
		sleep_and_use(stage);
	}
	stage->sleeper = pid;
}

static void renew_with_sleeper(void *stage)
{
	renew(stage);
	add_sleeper(stage);
}

static void hold_before_sleeper(void *userdata)
{
	struct stage *stage = userdata;

	carom_mutex_acquire(&stage->mutex, CAROM_NO_DEADLINE);
	await_asleep(stage->sleeper);
}

static void release(void *userdata)
{
	struct stage *stage = userdata;

	stage->a++;
	stage->b++;
	carom_mutex_release(&stage->mutex);
}

static void check_with_sleeper(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;

	if (stage->sleeper)
		cr_expect(zero(int, ended(stage->sleeper)), "the sleeper, %s", step_where(death));
	stage->sleeper = 0;
	expect_usable(stage, death);
}

Test(mutex_step, of_a_release_that_wakes, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_with_sleeper,
					  .prepare = hold_before_sleeper,
					  .act = release,
					  .check = check_with_sleeper },
		     new_stage());
}

/* ---- the victim waits: for the test's process, which then gives it the mutex ---- */

static void renew_and_hold(void *userdata)
{
	struct stage *stage = userdata;

	renew(stage);
	cr_assert(zero(int, carom_mutex_acquire(&stage->mutex, CAROM_NO_DEADLINE)));
	stage->held = true;
}

static void let_go(void *userdata)
{
	struct stage *stage = userdata;

	if (stage->held)
		release(stage);
	stage->held = false;
}

static void check_wait(void *stage, const struct step_death *death)
{
	let_go(stage); /* it never slept */
	check_with_sleeper(stage, death);
}

Test(mutex_step, of_a_wait, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_and_hold,
					  .act = act,
					  .asleep = let_go,
					  .check = check_wait },
		     new_stage());
}

/* Another one sleeps behind the victim: whether it is woken may hang on the victim. */
static void let_go_before_sleeper(void *userdata)
{
	struct stage *stage = userdata;

	add_sleeper(stage);
	await_asleep(stage->sleeper);
	let_go(stage);
}

Test(mutex_step, of_a_wait_with_one_behind, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_and_hold,
					  .act = act,
					  .asleep = let_go_before_sleeper,
					  .check = check_wait },
		     new_stage());
}

static void act_in_vain(void *stage)
{
	use(stage, CAROM_PASSED);
}

Test(mutex_step, of_a_wait_that_ends_by_its_deadline, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_and_hold,
					  .act = act_in_vain,
					  .check = check_wait },
		     new_stage());
}

/* ---- the victim repairs what another one left when it died ---- */

static void renew_and_tear(void *userdata)
{
	struct stage *stage = userdata;
	pid_t pid;

	renew(stage);
	pid = child();
	if (pid == 0) {
		carom_mutex_acquire(&stage->mutex, CAROM_NO_DEADLINE);
		stage->a++;
		raise(SIGKILL);
	}
	cr_assert(eq(int, ended(pid), -SIGKILL));
}

Test(mutex_step, of_a_repair, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_and_tear, .act = act, .check = check },
		     new_stage());
}

static void tear_before_sleeper(void *stage)
{
	renew_and_tear(stage);
	add_sleeper(stage);
}

/* Both wait for whoever comes after the dead. */
static void repair(void *userdata)
{
	struct stage *stage = userdata;

	stage->b = stage->a;
	carom_mutex_consistent(&stage->mutex);
	carom_mutex_release(&stage->mutex);
}

Test(mutex_step, of_a_repair_that_wakes, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = tear_before_sleeper,
					  .prepare = hold_before_sleeper,
					  .act = repair,
					  .check = check_with_sleeper },
		     new_stage());
}

/* ---- the victim gives up what cannot be repaired ---- */

static void give_up(void *userdata)
{
	struct stage *stage = userdata;

	carom_mutex_release(&stage->mutex);
}

/* Who comes next is told either that it is lost, or that it may be repaired. */
static void check_given_up(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	int said = ended(stage->sleeper);
	int r = carom_mutex_acquire(&stage->mutex, carom_deadline_after(PATIENCE_NS));

	cr_expect(said == 0 || said == ENOTRECOVERABLE, "%d %s", said, step_where(death));
	if (death->complete)
		cr_expect(eq(int, said, ENOTRECOVERABLE));
	cr_expect(eq(int, r, said == 0 ? 0 : -ENOTRECOVERABLE), "%s", step_where(death));
	if (r == 0)
		carom_mutex_release(&stage->mutex);
}

Test(mutex_step, of_giving_it_up, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = tear_before_sleeper,
					  .prepare = hold_before_sleeper,
					  .act = give_up,
					  .check = check_given_up },
		     new_stage());
}
