/*
 * Value: a death at every instruction of adding, of changing a struct under the lock, of
 * being told that somebody died, of repairing, and of making. A number is the old one or the
 * new one; what may be torn is told of, to everybody, until it is repaired.
 */
#include "tests/chaos/step.h"

#include "shm/array.h"
#include "shm/value.h"

#define STORAGE_SIZE 1024

/** struct pair - opposites, whenever nobody says that a holder died */
struct pair {
	int64_t up, down;
};

/**
 * struct stage - shared by the victim and the survivors
 * @value: whose handle is of the test's process, and of its children
 */
struct stage {
	char storage[STORAGE_SIZE] __attribute__((aligned(64)));
	struct carom_value *value;
};

static void renew(struct stage *stage, const struct carom_value_options *options)
{
	struct carom_value_options whole = *options;

	carom_value_free(stage->value);
	whole.storage = stage->storage;
	whole.storage_size = STORAGE_SIZE;
	cr_assert(zero(int, carom_value_new(&whole, &stage->value)));
}

/* Told of once, it is told of again, and to others, until it is repaired. */
static void expect_told_until_repaired(struct stage *stage, const struct step_death *death)
{
	struct carom_value_lock *lock = carom_value_get_lock(stage->value);
	struct pair *pair = carom_value_data(stage->value);

	for (int i = 0; i < 2; i++) {
		cr_expect(eq(int, carom_value_lock_acquire(lock, CAROM_PASSED), -EOWNERDEAD), "%s",
			  step_where(death));
		cr_expect(zero(int, carom_value_lock_release(lock)), "%s", step_where(death));
	}
	cr_expect(eq(int, carom_value_lock_acquire(lock, CAROM_PASSED), -EOWNERDEAD));
	if (carom_value_type(stage->value) == CAROM_TYPE_STRUCT)
		pair->down = -pair->up;
	cr_expect(zero(int, carom_value_lock_consistent(lock)), "%s", step_where(death));
	cr_expect(zero(int, carom_value_lock_release(lock)), "%s", step_where(death));
}

/* ---- a number ---- */

static void renew_number(void *stage)
{
	renew(stage, &CAROM_VALUE_OPTIONS(CAROM_ITEM(int), .item = &(int){ 5 }));
}

static void add(void *stage)
{
	carom_value_add(((struct stage *)stage)->value, 1, NULL);
}

static void set(void *stage)
{
	carom_value_set(((struct stage *)stage)->value, 6);
}

static void check_number(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	int number = 0, r = carom_value_get(stage->value, &number);

	cr_expect(number == 6 || (number == 5 && !death->complete), "%d %s", number,
		  step_where(death));
	if (r == -EOWNERDEAD && !death->complete)
		expect_told_until_repaired(stage, death);
	else
		cr_expect(zero(int, r), "%s", step_where(death));
	cr_expect(zero(int, carom_value_set(stage->value, 5)), "%s", step_where(death));
}

static struct stage *new_stage(void (*set_up)(void *stage), void (*act)(void *stage))
{
	struct stage *stage = share(sizeof(*stage));

	set_up(stage);
	act(stage); /* the linker has found everything */
	return stage;
}

Test(value_step, of_an_addition, .timeout = 120)
{
	step_through(
		&(struct step_play){ .set_up = renew_number, .act = add, .check = check_number },
		new_stage(renew_number, add));
}

Test(value_step, of_an_assignment, .timeout = 120)
{
	step_through(
		&(struct step_play){ .set_up = renew_number, .act = set, .check = check_number },
		new_stage(renew_number, set));
}

/* ---- a struct ---- */

static void renew_pair(void *stage)
{
	renew(stage, &CAROM_VALUE_OPTIONS(CAROM_ITEM(struct pair)));
}

static void change_pair(void *userdata)
{
	struct stage *stage = userdata;
	volatile struct pair *pair = carom_value_data(stage->value);
	int r = 0;

	CAROM_HOLDING(r, carom_value_get_lock(stage->value)) {
		pair->up++;
		pair->down--;
	}
}

static void check_pair(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	struct pair pair = { 0 };
	int r = carom_value_get(stage->value, &pair);

	if (r == -EOWNERDEAD && !death->complete)
		expect_told_until_repaired(stage, death);
	else
		cr_expect(zero(int, r), "%s", step_where(death));
	if (r == 0)
		cr_expect(eq(i64, pair.up, -pair.down), "%s", step_where(death));
	cr_expect(zero(int, carom_value_get(stage->value, &pair)), "%s", step_where(death));
}

Test(value_step, of_a_change_under_the_lock, .timeout = 120)
{
	step_through(&(struct step_play){ .set_up = renew_pair,
					  .act = change_pair,
					  .check = check_pair },
		     new_stage(renew_pair, change_pair));
}

/* ---- one who is told that another one died ---- */

/* A child has died halfway. */
static void tear_pair(void *userdata)
{
	struct stage *stage = userdata;
	pid_t pid;

	renew_pair(stage);
	pid = child();
	if (pid == 0) {
		struct pair *pair = carom_value_data(stage->value);

		if (carom_value_lock_acquire(carom_value_get_lock(stage->value), CAROM_PASSED) ==
		    0) {
			pair->up++;
			raise(SIGKILL);
		}
		_exit(1);
	}
	cr_assert(eq(int, ended(pid), -SIGKILL));
}

static void look(void *userdata)
{
	struct stage *stage = userdata;
	struct pair pair;

	carom_value_get(stage->value, &pair);
}

/* Whoever looked, and however far it came: it is not whole, and this is known. */
static void check_told(void *stage, const struct step_death *death)
{
	expect_told_until_repaired(stage, death);
	check_pair(stage, &(struct step_death){ .complete = true });
}

Test(value_step, of_a_look_at_what_is_torn, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = tear_pair, .act = look, .check = check_told },
		     new_stage(tear_pair, look));
}

static void tear_and_look(void *stage)
{
	tear_pair(stage);
	look(stage);
}

static void repair(void *userdata)
{
	struct stage *stage = userdata;
	struct carom_value_lock *lock = carom_value_get_lock(stage->value);
	volatile struct pair *pair = carom_value_data(stage->value);

	if (carom_value_lock_acquire(lock, CAROM_PASSED) != -EOWNERDEAD)
		return;
	carom_value_lock_consistent(lock); /* before, which is the harder way */
	pair->down = -pair->up;
	carom_value_lock_release(lock);
}

Test(value_step, of_a_repair, .timeout = 240)
{
	step_through(
		&(struct step_play){ .set_up = tear_and_look, .act = repair, .check = check_pair },
		new_stage(tear_and_look, repair));
}

/* ---- the maker ---- */

/* The way through malloc(3) is the same each time, once what it keeps at hand is full. */
static void settle_malloc(struct stage *stage)
{
	for (int i = 0; i < 32; i++)
		renew(stage, &CAROM_VALUE_OPTIONS(CAROM_ITEM(int)));
	stage->value = carom_value_free(stage->value);
}

static void clear(void *userdata)
{
	struct stage *stage = userdata;

	settle_malloc(stage);
	memset(stage, 0, sizeof(*stage));
}

static void make(void *stage)
{
	renew_number(stage);
}

static void check_made(void *userdata, const struct step_death *death)
{
	struct stage *stage = userdata;
	struct carom_value *value = NULL;
	int number = 0, r;

	stage->value = NULL; /* the victim's */
	r = carom_value_attach_at(stage->storage, STORAGE_SIZE, NULL, &value);
	if (death->complete || r == 0) {
		cr_expect(zero(int, r), "%s", step_where(death));
		cr_expect(zero(int, carom_value_get(value, &number)), "%s", step_where(death));
		cr_expect(eq(int, number, 5), "%s", step_where(death));
	} else {
		cr_expect(eq(int, r, -EBADMSG), "%s", step_where(death));
	}
	carom_value_free(value);
}

Test(value_step, of_making, .timeout = 240)
{
	step_through(&(struct step_play){ .set_up = clear, .act = make, .check = check_made },
		     new_stage(clear, make));
}
