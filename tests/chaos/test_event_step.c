/*
 * Event: a death at every instruction of setting, waiting and clearing. It is set, and all who
 * waited go on, or it is not.
 */
#include "tests/chaos/sleeper.h"
#include "tests/chaos/step.h"

#include "shm/event.h"

/**
 * struct stage - shared by the victim and the survivors
 * @first, @next: who wait for it, but for the victim
 */
struct stage {
	struct carom_event event;
	struct sleeper first;
	struct sleeper next;
};

static int do_nothing(void *stage)
{
	return 0;
}

static int wait_for_it(void *userdata)
{
	struct stage *stage = userdata;

	return -carom_event_wait(&stage->event, carom_deadline_after(SLEEPER_PATIENCE_NS));
}

static void renew(void *userdata)
{
	struct stage *stage = userdata;

	memset(stage, 0, sizeof(*stage));
	carom_event_init(&stage->event);
	sleeper_add(&stage->first, do_nothing, wait_for_it, stage);
	sleeper_add(&stage->next, do_nothing, wait_for_it, stage);
}

/* The linker has found everything. */
static struct stage *new_stage(void)
{
	struct stage *stage = share(sizeof(*stage));

	carom_event_wait(&stage->event, carom_deadline_after(CAROM_MILLISECONDS(1)));
	carom_event_set(&stage->event);
	carom_event_clear(&stage->event);
	return stage;
}

/* If it is set nobody has to be woken any more; else all are by the next one to set it. */
static void expect_all_woken(struct stage *stage, const struct step_death *death)
{
	if (!carom_event_is_set(&stage->event))
		carom_event_set(&stage->event);
	cr_expect(zero(int, sleeper_ended(&stage->first)), "%s", step_where(death));
	cr_expect(zero(int, sleeper_ended(&stage->next)), "%s", step_where(death));
	carom_event_clear(&stage->event);
	cr_expect(not(carom_event_is_set(&stage->event)), "%s", step_where(death));
	cr_expect(eq(int, carom_event_wait(&stage->event, CAROM_PASSED), -ETIMEDOUT), "%s",
		  step_where(death));
}

/* ---- setting it ---- */

static void let_both_sleep(void *userdata)
{
	struct stage *stage = userdata;

	sleeper_let_sleep(&stage->first);
	sleeper_let_sleep(&stage->next);
}

static void act_set(void *userdata)
{
	struct stage *stage = userdata;

	carom_event_set(&stage->event);
}

static void check_set(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;

	if (death->complete)
		cr_expect(carom_event_is_set(&stage->event));
	expect_all_woken(stage, death);
}

Test(event_step, of_setting_it, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew,
					  .prepare = let_both_sleep,
					  .act = act_set,
					  .check = check_set },
		     new_stage());
}

/* ---- setting it for those who come while it is cleared ---- */

static void act_set_and_clear(void *userdata)
{
	struct stage *stage = userdata;

	carom_event_set(&stage->event);
	carom_event_clear(&stage->event);
}

static void check_pulse(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;

	if (death->complete) {
		cr_expect(not(carom_event_is_set(&stage->event)));
		cr_expect(zero(int, sleeper_ended(&stage->first)));
		sleeper_add(&stage->first, do_nothing, wait_for_it, stage);
		sleeper_let_sleep(&stage->first);
	}
	expect_all_woken(stage, death);
}

Test(event_step, of_setting_and_clearing_it, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew,
					  .prepare = let_both_sleep,
					  .act = act_set_and_clear,
					  .check = check_pulse },
		     new_stage());
}

/* ---- waiting for it, before others and behind them ---- */

static void let_first_sleep(void *userdata)
{
	struct stage *stage = userdata;

	sleeper_let_sleep(&stage->first);
}

/* Once. */
static void let_next_sleep_and_set(void *userdata)
{
	struct stage *stage = userdata;

	if (sleeper_may_sleep(&stage->next))
		return;
	sleeper_let_sleep(&stage->next);
	carom_event_set(&stage->event);
}

static void act_wait(void *userdata)
{
	struct stage *stage = userdata;

	carom_event_wait(&stage->event, CAROM_NO_DEADLINE);
}

static void check_wait(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;

	sleeper_let_go(&stage->next);
	expect_all_woken(stage, death);
}

Test(event_step, of_a_wait_among_others, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew,
					  .prepare = let_first_sleep,
					  .act = act_wait,
					  .asleep = let_next_sleep_and_set,
					  .check = check_wait },
		     new_stage());
}
