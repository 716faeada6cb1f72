/*
 * Queue: a death at every instruction of putting, getting and finishing, with others asleep for
 * it. A message is there or was got, whole; who waits for it, or for its place, is served.
 */
#include "tests/chaos/sleeper.h"
#include "tests/chaos/step.h"

#include "ipc/queue.h"

/**
 * struct stage - shared by the victim and the survivors
 * @queue:   the handle, which all have by fork()
 * @sleeper: another process that waits, or is going to
 */
struct stage {
	struct carom_queue *queue;
	struct sleeper sleeper;
};

#define VICTIMS 1
#define OTHERS  2
#define MINE    3

static uint64_t patience(void)
{
	return carom_deadline_after(SLEEPER_PATIENCE_NS);
}

static int put(struct carom_queue *queue, int64_t number)
{
	return carom_queue_put(queue, &number, sizeof(number), CAROM_NO_DEADLINE);
}

/* Return: the number, or the error. */
static int64_t get(struct carom_queue *queue, uint64_t deadline_ns)
{
	int64_t number = 0;
	size_t size;
	int r = carom_queue_get(queue, &number, sizeof(number), deadline_ns, &size);

	return r < 0 ? r : number;
}

static void renew(struct stage *stage, const struct carom_queue_options *options)
{
	carom_queue_free(stage->queue);
	memset(stage, 0, sizeof(*stage));
	cr_assert(zero(int, carom_queue_new(options, &stage->queue)));
	cr_assert(zero(int, carom_queue_add_producer(stage->queue)));
}

static void renew_plain(void *stage)
{
	renew(stage, NULL);
}

/* Each of them is told how it went by the other's exit status. */
static int sleep_and_get(void *userdata)
{
	struct stage *stage = userdata;

	return (int)get(stage->queue, patience()) & 255;
}

static int sleep_and_put(void *userdata)
{
	struct stage *stage = userdata;

	return -put(stage->queue, OTHERS);
}

static int sleep_and_join(void *userdata)
{
	struct stage *stage = userdata;

	return -carom_queue_join(stage->queue, patience());
}

/* It enters the roll first: from then on it sleeps for nothing but the queue. */
static int take_part(void *userdata)
{
	struct stage *stage = userdata;

	return carom_queue_add_producer(stage->queue);
}

static void add_sleeper(struct stage *stage, sleeper_fn *work)
{
	sleeper_add(&stage->sleeper, take_part, work, stage);
	sleeper_let_sleep(&stage->sleeper);
}

/* The victim enters the roll, which starts a thread, and makes all who sleep look again. */
static void enter(void *userdata)
{
	struct stage *stage = userdata;

	carom_queue_add_producer(stage->queue);
	carom_queue_qsize(stage->queue);
	if (sleeper_may_sleep(&stage->sleeper))
		await_asleep(stage->sleeper.pid);
}

/* The linker has found everything. */
static struct stage *new_stage(void)
{
	struct stage *stage = share(sizeof(*stage));

	renew(stage, &CAROM_QUEUE_OPTIONS(.tasks = CAROM_QUEUE_TASKS_REQUEUE));
	put(stage->queue, 1);
	get(stage->queue, CAROM_NO_DEADLINE);
	carom_queue_task_done(stage->queue);
	carom_queue_join(stage->queue, CAROM_NO_DEADLINE);
	carom_queue_qsize(stage->queue);
	return stage;
}

static void expect_usable(struct stage *stage, const struct step_death *death)
{
	cr_expect(zero(int, put(stage->queue, MINE)), "%s", step_where(death));
	cr_expect(eq(i64, get(stage->queue, patience()), MINE), "%s", step_where(death));
	cr_expect(eq(i64, get(stage->queue, CAROM_PASSED), -EAGAIN), "%s", step_where(death));
}

/* ---- a put ---- */

static void act_put(void *userdata)
{
	struct stage *stage = userdata;

	put(stage->queue, VICTIMS);
}

static void check_put(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	uint32_t count = carom_queue_qsize(stage->queue);

	cr_expect(le(u32, count, 1), "%s", step_where(death));
	if (death->complete)
		cr_expect(eq(u32, count, 1));
	if (count)
		cr_expect(eq(i64, get(stage->queue, patience()), VICTIMS), "%s", step_where(death));
	expect_usable(stage, death);
}

Test(queue_step, of_a_put, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_plain,
					  .prepare = enter,
					  .act = act_put,
					  .check = check_put },
		     new_stage());
}

/* ---- with a getter asleep ---- */

static void renew_with_getter(void *userdata)
{
	struct stage *stage = userdata;

	renew_plain(stage);
	add_sleeper(stage, sleep_and_get);
}

/* What was put is got by who sleeps, and what was not is not. */
static void check_put_with_getter(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	int got;

	await(carom_queue_is_empty(stage->queue));
	cr_expect(zero(int, put(stage->queue, OTHERS)));
	got = sleeper_ended(&stage->sleeper);
	cr_expect(got == VICTIMS || got == OTHERS, "%d, %s", got, step_where(death));
	if (death->complete)
		cr_expect(eq(int, got, VICTIMS));
	if (got == VICTIMS)
		cr_expect(eq(i64, get(stage->queue, patience()), OTHERS), "%s", step_where(death));
	expect_usable(stage, death);
}

Test(queue_step, of_a_put_that_wakes, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_with_getter,
					  .prepare = enter,
					  .act = act_put,
					  .check = check_put_with_getter },
		     new_stage());
}

/* ---- a get, with a putter asleep ---- */

static void renew_with_putter(void *userdata)
{
	struct stage *stage = userdata;

	renew(stage, &CAROM_QUEUE_OPTIONS(.size_max = 1));
	cr_assert(zero(int, put(stage->queue, VICTIMS)));
	add_sleeper(stage, sleep_and_put);
}

static void act_get(void *userdata)
{
	struct stage *stage = userdata;

	get(stage->queue, CAROM_NO_DEADLINE);
}

static void check_get_with_putter(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	int64_t first = get(stage->queue, patience());

	cr_expect(first == VICTIMS || first == OTHERS, "%d, %s", (int)first, step_where(death));
	if (death->complete)
		cr_expect(eq(i64, first, OTHERS));
	if (first == VICTIMS)
		cr_expect(eq(i64, get(stage->queue, patience()), OTHERS), "%s", step_where(death));
	cr_expect(zero(int, sleeper_ended(&stage->sleeper)), "%s", step_where(death));
	expect_usable(stage, death);
}

Test(queue_step, of_a_get_that_wakes, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_with_putter,
					  .prepare = enter,
					  .act = act_get,
					  .check = check_get_with_putter },
		     new_stage());
}

/* ---- a get that sleeps, and another one behind it ---- */

static void renew_with_next(void *userdata)
{
	struct stage *stage = userdata;

	renew_plain(stage);
	sleeper_add(&stage->sleeper, take_part, sleep_and_get, stage);
}

/* The victim is woken first. */
static void add_getter_and_put(void *userdata)
{
	struct stage *stage = userdata;

	sleeper_let_sleep(&stage->sleeper);
	cr_assert(zero(int, put(stage->queue, VICTIMS)));
}

static void check_sleep(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	int got;

	if (!sleeper_may_sleep(&stage->sleeper)) /* the victim never slept */
		sleeper_let_sleep(&stage->sleeper);
	await(carom_queue_is_empty(stage->queue));
	cr_expect(zero(int, put(stage->queue, OTHERS)));
	got = sleeper_ended(&stage->sleeper);
	cr_expect(got == VICTIMS || got == OTHERS, "%d, %s", got, step_where(death));
	if (got == VICTIMS)
		cr_expect(eq(i64, get(stage->queue, patience()), OTHERS), "%s", step_where(death));
	expect_usable(stage, death);
}

Test(queue_step, of_a_get_that_sleeps_with_one_behind, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew_with_next,
					  .prepare = enter,
					  .act = act_get,
					  .asleep = add_getter_and_put,
					  .check = check_sleep },
		     new_stage());
}

/* ---- a task that is got and done, and somebody who joins ---- */

static void renew_with_joiner(void *userdata)
{
	struct stage *stage = userdata;

	renew(stage, &CAROM_QUEUE_OPTIONS(.tasks = CAROM_QUEUE_TASKS_REQUEUE));
	cr_assert(zero(int, put(stage->queue, VICTIMS)));
	add_sleeper(stage, sleep_and_join);
}

static void act_task(void *userdata)
{
	struct stage *stage = userdata;

	get(stage->queue, CAROM_NO_DEADLINE);
	carom_queue_task_done(stage->queue);
}

/* The dead one's task comes back, or was done. */
static void check_task(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;

	while (carom_queue_unfinished(stage->queue) > 0)
		if (get(stage->queue, CAROM_PASSED) == VICTIMS)
			cr_expect(zero(int, carom_queue_task_done(stage->queue)), "%s",
				  step_where(death));
	cr_expect(zero(int, sleeper_ended(&stage->sleeper)), "%s", step_where(death));
	expect_usable(stage, death);
	cr_expect(zero(int, carom_queue_task_done(stage->queue)), "%s", step_where(death));
}

Test(queue_step, of_a_task, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew_with_joiner,
					  .prepare = enter,
					  .act = act_task,
					  .check = check_task },
		     new_stage());
}

/* ---- a message that goes on in the next chunk: neither chunk is lost ---- */

#define FILLING 1000

static char text[4000];

/* The next message begins near the end of the first chunk. */
static void renew_near_the_end(void *userdata)
{
	struct stage *stage = userdata;
	size_t size;

	renew(stage, &CAROM_QUEUE_OPTIONS(.bytes_max = 20000));
	cr_assert(zero(int, carom_queue_put(stage->queue, text, 4000, CAROM_PASSED)));
	cr_assert(zero(int, carom_queue_get(stage->queue, text, 4000, CAROM_PASSED, &size)));
}

static void act_across(void *userdata)
{
	struct stage *stage = userdata;
	size_t size;

	carom_queue_put(stage->queue, text, 100, CAROM_NO_DEADLINE);
	carom_queue_get(stage->queue, text, 100, CAROM_NO_DEADLINE, &size);
}

static uint32_t room_of(struct stage *stage)
{
	uint32_t count = 0;
	size_t size;

	while (carom_queue_put(stage->queue, text, FILLING, CAROM_PASSED) == 0)
		count++;
	for (uint32_t i = 0; i < count; i++)
		cr_assert(zero(int,
			       carom_queue_get(stage->queue, text, FILLING, CAROM_PASSED, &size)));
	return count;
}

static void check_room(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	size_t size;

	if (carom_queue_get(stage->queue, text, 100, CAROM_PASSED, &size) == 0)
		cr_expect(eq(sz, size, 100));
	cr_expect(le(u32, 20000 / (FILLING + 32), room_of(stage)), "%s", step_where(death));
	cr_expect(le(u32, 20000 / (FILLING + 32), room_of(stage)), "%s", step_where(death));
	expect_usable(stage, death);
}

Test(queue_step, of_a_message_in_two_chunks, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = renew_near_the_end,
					  .prepare = enter,
					  .act = act_across,
					  .check = check_room },
		     new_stage());
}
