/*
 * Roll: a death at every instruction of entering, leaving, breaking off, burying and sleeping.
 * No row is lost, who was watched is seen to die, and no wake-up is lost with the dead.
 */
#include "tests/chaos/sleeper.h"
#include "tests/chaos/step.h"

#include "shm/futex.h"
#include "shm/roll.h"

/*
 * The keeper, which is a thread of its own, asked by others, is here the caller itself: what it
 * does to the roll and to its list is the same, and so is what the kernel does with that list.
 * So the victim is killed in between.
 */
int carom_keeper_hold(carom_keeper_fn *function, void *userdata, struct carom_keeper **ret_keeper)
{
	int r = function(carom_robust_self(), userdata);

	if (r == 0)
		*ret_keeper = NULL;
	return r;
}

int carom_keeper_drop(struct carom_keeper *keeper, carom_keeper_fn *function, void *userdata)
{
	return function(carom_robust_self(), userdata);
}

enum { ROWS = 4 };

/**
 * struct stage - shared by the victim and the survivors
 * @word:   what all sleep for: until it is 1
 * @victim: its name; 0 before it has entered
 * @dead:   the name of one that died before
 * @other:  one that is to die, and holds nothing
 * @next:   one that sleeps, and buries
 */
struct stage {
	_Alignas(64) char roll[sizeof(struct carom_roll) + ROWS * sizeof(struct carom_roll_row)];
	_Atomic uint32_t word;
	uint32_t victim;
	uint32_t dead;
	struct sleeper other;
	struct sleeper next;
};

static struct carom_roll *roll_of(const struct stage *stage)
{
	return (struct carom_roll *)(uintptr_t)stage->roll;
}

/* Each process's own. */
static uint32_t own_name;

static int enter(void *userdata)
{
	struct stage *stage = userdata;
	struct carom_keeper *keeper;

	return carom_roll_enter(roll_of(stage), &own_name, &keeper);
}

static void bury_all(struct stage *stage)
{
	carom_roll_each_dead(roll_of(stage), own_name, name)
		carom_roll_bury(roll_of(stage), name);
}

static int sleep_until(struct stage *stage, uint64_t deadline_ns)
{
	int r = 0;

	while (r == 0 && atomic_load(&stage->word) == 0) {
		bury_all(stage);
		r = carom_roll_sleep(roll_of(stage), carom_roll_row_of(own_name), &stage->word, 0,
				     deadline_ns, 0);
	}
	return r;
}

static int sleep_patiently(void *stage)
{
	return -sleep_until(stage, carom_deadline_after(SLEEPER_PATIENCE_NS));
}

static void renew(struct stage *stage)
{
	memset(stage, 0, sizeof(*stage));
	carom_roll_init(roll_of(stage), ROWS);
	own_name = 0;
}

static void renew_with_next(void *userdata)
{
	struct stage *stage = userdata;

	renew(stage);
	sleeper_add(&stage->next, enter, sleep_patiently, stage);
}

static void set_word(struct stage *stage, int wake_count)
{
	atomic_store(&stage->word, 1);
	carom_futex_wake(&stage->word, wake_count);
}

/* The linker has found everything. */
static struct stage *new_stage(void)
{
	struct stage *stage = share(sizeof(*stage));

	renew(stage);
	enter(stage);
	sleep_until(stage, carom_deadline_after(CAROM_MILLISECONDS(1)));
	carom_roll_break_off(roll_of(stage), carom_roll_row_of(own_name), NULL);
	own_name = 0;
	bury_all(stage);
	enter(stage);
	carom_roll_leave(roll_of(stage), carom_roll_row_of(own_name), NULL);
	return stage;
}

/* Every row has room for somebody, once; and nobody who died can take it away again. */
static void expect_no_row_lost(struct stage *stage, const struct step_death *death)
{
	uint32_t names[ROWS], more;
	struct carom_keeper *keeper;

	bury_all(stage);
	for (int i = 0; i < ROWS; i++)
		cr_assert(zero(int, carom_roll_enter(roll_of(stage), &names[i], &keeper)), "%s",
			  step_where(death));
	cr_expect(eq(int, carom_roll_enter(roll_of(stage), &more, &keeper), -EUSERS), "%s",
		  step_where(death));
	if (stage->victim)
		carom_roll_bury(roll_of(stage), stage->victim);
	if (stage->dead)
		carom_roll_bury(roll_of(stage), stage->dead);
	for (int i = 0; i < ROWS; i++) {
		cr_expect(carom_roll_lives(roll_of(stage), names[i]), "%s", step_where(death));
		carom_roll_leave(roll_of(stage), carom_roll_row_of(names[i]), NULL);
	}
}

static void expect_next_woken(struct stage *stage, const struct step_death *death)
{
	sleeper_let_go(&stage->next);
	cr_expect(zero(int, sleeper_ended(&stage->next)), "%s", step_where(death));
}

static bool is_empty(const struct stage *stage, uint32_t name)
{
	return carom_roll_sign(roll_of(stage), carom_roll_row_of(name)).word == 0;
}

/* ---- entering ---- */

static void let_next_sleep(void *userdata)
{
	struct stage *stage = userdata;

	sleeper_let_sleep(&stage->next);
}

static void act_enter(void *userdata)
{
	struct stage *stage = userdata;

	enter(stage);
	stage->victim = own_name;
}

/* Once it has entered its death is seen. */
static void check_entered(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;

	if (stage->victim)
		await(is_empty(stage, stage->victim));
	set_word(stage, 1);
	expect_next_woken(stage, death);
	expect_no_row_lost(stage, death);
}

Test(roll_step, of_entering, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_with_next,
					  .prepare = let_next_sleep,
					  .act = act_enter,
					  .check = check_entered },
		     new_stage());
}

/* ---- leaving ---- */

static void enter_before_next(void *stage)
{
	act_enter(stage);
	let_next_sleep(stage);
}

static void act_leave(void *userdata)
{
	struct stage *stage = userdata;

	carom_roll_leave(roll_of(stage), carom_roll_row_of(own_name), NULL);
}

static void act_break_off(void *userdata)
{
	struct stage *stage = userdata;

	carom_roll_break_off(roll_of(stage), carom_roll_row_of(own_name), NULL);
}

Test(roll_step, of_leaving, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_with_next,
					  .prepare = enter_before_next,
					  .act = act_leave,
					  .check = check_entered },
		     new_stage());
}

Test(roll_step, of_breaking_off, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_with_next,
					  .prepare = enter_before_next,
					  .act = act_break_off,
					  .check = check_entered },
		     new_stage());
}

/* ---- burying ---- */

static int enter_and_die(void *userdata)
{
	struct stage *stage = userdata;

	enter(stage);
	stage->dead = own_name;
	raise(SIGKILL);
	return 1;
}

static void renew_with_dead(void *userdata)
{
	struct stage *stage = userdata;

	renew(stage);
	sleeper_start(&stage->other, enter_and_die, enter_and_die, stage);
	cr_assert(eq(int, sleeper_ended(&stage->other), -SIGKILL));
}

static void act_bury(void *stage)
{
	bury_all(stage);
}

static void check_buried(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;

	if (death->complete)
		cr_expect(is_empty(stage, stage->dead));
	expect_no_row_lost(stage, death);
}

Test(roll_step, of_burying, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_with_dead,
					  .prepare = act_enter,
					  .act = act_bury,
					  .check = check_buried },
		     new_stage());
}

/* ---- the victim is the one that a death wakes, and others hang on it ---- */

static void renew_with_other_and_next(void *userdata)
{
	struct stage *stage = userdata;

	renew_with_next(stage);
	sleeper_add(&stage->other, enter, sleep_for_ever, stage);
}

/* Once. */
static void kill_other_before_next(void *userdata)
{
	struct stage *stage = userdata;

	if (!stage->other.pid)
		return;
	sleeper_let_sleep(&stage->next);
	sleeper_kill(&stage->other);
}

static void act_sleep_once(void *userdata)
{
	struct stage *stage = userdata;

	bury_all(stage);
	carom_roll_sleep(roll_of(stage), carom_roll_row_of(own_name), &stage->word, 0,
			 CAROM_NO_DEADLINE, 0);
	bury_all(stage);
}

/* The next one buries both. */
static void check_recovery(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;

	kill_other_before_next(stage); /* the victim never slept */
	check_entered(stage, death);
}

Test(roll_step, of_a_recovery_with_one_behind, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_with_other_and_next,
					  .prepare = act_enter,
					  .act = act_sleep_once,
					  .asleep = kill_other_before_next,
					  .check = check_recovery },
		     new_stage());
}

/* ---- a wake-up that came to the victim is not lost with it ---- */

/* Once; the victim fell asleep first. */
static void wake_one_of_two(void *userdata)
{
	struct stage *stage = userdata;

	if (atomic_load(&stage->word))
		return;
	sleeper_let_sleep(&stage->next);
	set_word(stage, 1);
}

static void act_sleep(void *stage)
{
	sleep_until(stage, CAROM_NO_DEADLINE);
}

static void check_woken(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;

	wake_one_of_two(stage); /* the victim never slept */
	expect_next_woken(stage, death);
	expect_no_row_lost(stage, death);
}

Test(roll_step, of_a_sleep_with_one_behind, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_with_next,
					  .prepare = act_enter,
					  .act = act_sleep,
					  .asleep = wake_one_of_two,
					  .check = check_woken },
		     new_stage());
}
