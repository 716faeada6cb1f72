/*
 * Condition: a death at every instruction of waiting, of notifying, of handing on what a dead
 * one was notified of, and of giving the lock up for good. No notification is lost, and nobody
 * sleeps on what does not come.
 */
#include "tests/chaos/sleeper.h"
#include "tests/chaos/step.h"

#include "shm/condition.h"

/**
 * struct stage - shared by the victim and the survivors
 * @condition: the handle, which all have by fork()
 * @first:     one that waits before the victim does
 * @next:      one that waits after it
 * @notified:  somebody was
 * @got:       the victim has its notification
 * @lost:      deaths with a notification that nobody else got
 */
struct stage {
	struct carom_condition *condition;
	struct sleeper first;
	struct sleeper next;
	bool notified;
	bool got;
	uint32_t lost;
};

static uint64_t patience(void)
{
	return carom_deadline_after(SLEEPER_PATIENCE_NS);
}

/* Return: 0, or what kept it from the lock. */
static int lock_until(struct stage *stage, uint64_t deadline_ns)
{
	int r = carom_condition_acquire(stage->condition, deadline_ns);

	if (r == -EOWNERDEAD)
		r = carom_rlock_consistent(carom_condition_rlock(stage->condition));
	return r;
}

static int lock(struct stage *stage)
{
	return lock_until(stage, patience());
}

static void unlock(struct stage *stage)
{
	carom_condition_release(stage->condition);
}

/* Return: how many waited and had not been notified, @count at most. */
static int notify(struct stage *stage, uint32_t count)
{
	int r = lock(stage);

	if (r < 0)
		return r;
	r = carom_condition_notify(stage->condition, count);
	unlock(stage);
	return r;
}

static int take_part(void *stage)
{
	return notify(stage, 0);
}

/* Who is told of a death looks at what it waits for, as who was notified does. */
static int wait_once(void *userdata)
{
	struct stage *stage = userdata;
	int r = lock(stage);

	if (r < 0)
		return -r;
	r = carom_condition_wait(stage->condition, patience());
	if (r == -ENOTRECOVERABLE)
		return -r;
	if (r == -EOWNERDEAD)
		r = carom_rlock_consistent(carom_condition_rlock(stage->condition));
	unlock(stage);
	return -r;
}

static void renew(struct stage *stage)
{
	uint32_t lost = stage->lost;

	carom_condition_free(stage->condition);
	memset(stage, 0, sizeof(*stage));
	stage->lost = lost;
	cr_assert(zero(int, carom_condition_new(NULL, &stage->condition)));
}

static void renew_with_next(void *userdata)
{
	struct stage *stage = userdata;

	renew(stage);
	sleeper_add(&stage->next, take_part, wait_once, stage);
}

static void renew_with_two(void *userdata)
{
	struct stage *stage = userdata;

	renew_with_next(stage);
	sleeper_add(&stage->first, take_part, wait_once, stage);
}

/* The linker has found everything. */
static struct stage *new_stage(void)
{
	struct stage *stage = share(sizeof(*stage));

	renew(stage);
	lock(stage);
	carom_condition_wait(stage->condition, carom_deadline_after(CAROM_MILLISECONDS(1)));
	unlock(stage);
	notify(stage, 1);
	return stage;
}

static void expect_usable(struct stage *stage, const struct step_death *death)
{
	cr_expect(zero(int, notify(stage, UINT32_MAX)), "somebody waits, %s", step_where(death));
	cr_expect(zero(int, lock(stage)), "%s", step_where(death));
	cr_expect(eq(int, carom_condition_wait(stage->condition, CAROM_PASSED), -ETIMEDOUT), "%s",
		  step_where(death));
	unlock(stage);
}

static void enter(void *stage)
{
	take_part(stage);
}

/* ---- the victim waits and is notified; if it dies with that, the next one is ---- */

static void act_wait(void *userdata)
{
	struct stage *stage = userdata;

	lock_until(stage, CAROM_NO_DEADLINE);
	carom_condition_wait(stage->condition, CAROM_NO_DEADLINE);
	stage->got = true;
	unlock(stage);
}

/* Once. Whoever waits longest is notified; if that is @first, it dies before it has looked. */
static void notify_one(void *userdata)
{
	struct stage *stage = userdata;

	if (stage->notified)
		return;
	stage->notified = true;
	sleeper_let_sleep(&stage->next);
	lock(stage);
	cr_expect(eq(int, carom_condition_notify(stage->condition, 1), 1));
	if (stage->first.pid) {
		killed(stage->first.pid); /* it has ended if the victim's death told it of one */
		stage->first.pid = 0;
	}
	unlock(stage);
}

/* The only one that may still have to be notified is the one behind the victim. */
static void check_wait(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	int left;

	notify_one(stage); /* the victim never slept */
	left = notify(stage, 1);
	cr_expect(left == 0 || left == 1, "%d %s", left, step_where(death));
	if (death->complete)
		cr_expect(eq(int, left, 1));
	stage->lost += left == 1 && !stage->got;
	cr_expect(zero(int, sleeper_ended(&stage->next)), "%s", step_where(death));
	expect_usable(stage, death);
}

/* From its last look at its slot to what the caller does first, the notification is the victim's. */
static void expect_few_lost(const struct stage *stage)
{
	fprintf(stderr, "# %u deaths took the notification along\n", stage->lost);
	cr_expect(le(u32, stage->lost, 60));
}

Test(condition_step, of_a_wait_with_one_behind, .timeout = 240)
{
	struct stage *stage = new_stage();

	step_through(&(struct step_play){ .set_up = renew_with_next,
					  .prepare = enter,
					  .act = act_wait,
					  .asleep = notify_one,
					  .check = check_wait,
					  .wanders = true },
		     stage);
	expect_few_lost(stage);
}

/* ---- the victim is the one that a death wakes, and hands on what that was notified of ---- */

static void enter_behind_first(void *userdata)
{
	struct stage *stage = userdata;

	take_part(stage);
	sleeper_let_sleep(&stage->first);
}

Test(condition_step, of_a_recovery_with_one_behind, .timeout = 240)
{
	struct stage *stage = new_stage();

	step_through(&(struct step_play){ .set_up = renew_with_two,
					  .prepare = enter_behind_first,
					  .act = act_wait,
					  .asleep = notify_one,
					  .check = check_wait,
					  .wanders = true },
		     stage);
	expect_few_lost(stage);
}

/* ---- the victim notifies ---- */

static void enter_before_two(void *userdata)
{
	struct stage *stage = userdata;

	take_part(stage);
	sleeper_let_sleep(&stage->first);
	sleeper_let_sleep(&stage->next);
}

static void notify_without_deadline(struct stage *stage, uint32_t count)
{
	lock_until(stage, CAROM_NO_DEADLINE);
	carom_condition_notify(stage->condition, count);
	unlock(stage);
}

static void act_notify(void *stage)
{
	notify_without_deadline(stage, 1);
}

static void act_notify_all(void *stage)
{
	notify_without_deadline(stage, UINT32_MAX);
}

/* Who was notified wakes up by that, and who was not is still to be. */
static void expect_left(struct stage *stage, int expected, const struct step_death *death)
{
	int left = notify(stage, UINT32_MAX);

	cr_expect(left >= 0 && left <= 2, "%d %s", left, step_where(death));
	if (death->complete)
		cr_expect(eq(int, left, expected));
	cr_expect(zero(int, sleeper_ended(&stage->first)), "%s", step_where(death));
	cr_expect(zero(int, sleeper_ended(&stage->next)), "%s", step_where(death));
	expect_usable(stage, death);
}

static void check_notify(void *stage, const struct step_death *death)
{
	expect_left(stage, 1, death);
}

static void check_notify_all(void *stage, const struct step_death *death)
{
	expect_left(stage, 0, death);
}

Test(condition_step, of_a_notification, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew_with_two,
					  .prepare = enter_before_two,
					  .act = act_notify,
					  .check = check_notify,
					  .wanders = true },
		     new_stage());
}

Test(condition_step, of_notifying_all, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew_with_two,
					  .prepare = enter_before_two,
					  .act = act_notify_all,
					  .check = check_notify_all,
					  .wanders = true },
		     new_stage());
}

/* ---- the victim gives up what cannot be repaired ---- */

static int do_nothing(void *stage)
{
	return 0;
}

static int die_with_the_lock(void *userdata)
{
	struct stage *stage = userdata;

	carom_condition_acquire(stage->condition, CAROM_NO_DEADLINE);
	raise(SIGKILL);
	return 1;
}

static void renew_with_one_to_die(void *userdata)
{
	struct stage *stage = userdata;

	renew_with_next(stage);
	sleeper_add(&stage->first, do_nothing, die_with_the_lock, stage);
}

static void enter_before_next(void *userdata)
{
	struct stage *stage = userdata;

	take_part(stage);
	sleeper_let_sleep(&stage->next);
}

/* It has not taken part, so that nobody is woken by its death. */
static void see_first_die(void *userdata)
{
	struct stage *stage = userdata;

	sleeper_let_go(&stage->first);
	cr_assert(eq(int, sleeper_ended(&stage->first), -SIGKILL));
}

static void give_up(void *userdata)
{
	struct stage *stage = userdata;

	carom_condition_acquire(stage->condition, CAROM_NO_DEADLINE);
	carom_condition_release(stage->condition);
}

/* Who waits is told either that the lock is lost, or that what it protects may be repaired. */
static void check_given_up(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	int said = sleeper_ended(&stage->next);

	cr_expect(said == 0 || said == ENOTRECOVERABLE, "%d %s", said, step_where(death));
	if (death->complete)
		cr_expect(eq(int, said, ENOTRECOVERABLE));
	cr_expect(eq(int, lock(stage), said == 0 ? 0 : -ENOTRECOVERABLE), "%s", step_where(death));
	if (said == 0)
		unlock(stage);
}

Test(condition_step, of_giving_it_up, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew_with_one_to_die,
					  .prepare = enter_before_next,
					  .prepared = see_first_die,
					  .act = give_up,
					  .check = check_given_up },
		     new_stage());
}
