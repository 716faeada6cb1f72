/*
 * Semaphore
 *
 * A mutex, held for some instructions, and under it:
 *
 *	total     units there are, acquired or not
 *	held      in the row of each process (shm/roll.h): those it has
 *	value     those that nobody has: total - all that is held
 *	asleep    in the row of each process: its threads that wait
 *	sleepers  all of them
 *	turn      changed when a sleeper is to look again
 *
 *   S1  `total`, `held` and `asleep` are the truth, and each change of them is one store.
 *       `value` and `sleepers` are sums, kept so that nobody need add up: who gets the
 *       mutex from a dead one adds up anew. Of units that are used up (is_signal) nothing
 *       is held, `value` is the truth, and changing it is one store as well.
 *   S2  A row is buried under the mutex, once what it held is in `value` again. A process
 *       whose row is marked changes nothing under the mutex any more, but to bury others: a
 *       thread of it that still gets there is about to end.
 *   S3  Whoever makes `value` larger, or buries somebody, while there are sleepers changes `turn` under the
 *       mutex and wakes as many, afterwards. Who is about to sleep counts itself in, and
 *       reads `turn`, under the mutex: so either it sees the unit, or it is seen.
 *   S4  Who was woken buries the dead and looks at `value` before it returns, whatever it
 *       returns: it may be the only one who was told of a death.
 *
 * The deaths, told by what happens next (each wakes one sleeper, which buries all that
 * are dead, and wakes as many more as there are units):
 *
 *	one that has units            they come back
 *	a releaser before its wake    the unit is there; the death is the wake-up
 *	one that was woken            likewise
 *	a burier before its wake      likewise
 *	anybody under the mutex       the next one is told, and adds up (S1)
 *
 * tests/model/semaphore.pml has this protocol.
 */
#include "shm/semaphore.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/options.h"
#include "core/points.h"
#include "core/time.h"
#include "shm/describe.h"
#include "shm/futex.h"
#include "shm/mutex_private.h"
#include "shm/primitive.h"

/**
 * struct semaphore_state - in shared memory; see above
 * @max, @is_signal: written once, before it is shared
 *
 * Atomics are relaxed, unless told otherwise: the mutex orders them. They are atomics at
 * all because people may look without it.
 */
struct semaphore_state {
	struct carom_mutex mutex;
	_Atomic uint32_t turn;
	_Atomic uint32_t value;
	_Atomic uint32_t total;
	_Atomic uint32_t sleepers;
	uint32_t max;
	uint32_t is_signal;
};

struct carom_semaphore {
	struct carom_primitive base;
};

static struct semaphore_state *state_of(const struct carom_semaphore *semaphore)
{
	return (struct semaphore_state *)semaphore->base.file->state;
}

static uint32_t get(const _Atomic uint32_t *word)
{
	return atomic_load_explicit(word, memory_order_relaxed);
}

static void set(_Atomic uint32_t *word, uint32_t value)
{
	atomic_store_explicit(word, value, memory_order_relaxed);
}

static void add(_Atomic uint32_t *word, uint32_t count)
{
	set(word, get(word) + count);
}

static void subtract(_Atomic uint32_t *word, uint32_t count)
{
	set(word, get(word) - count);
}

/* ---- under the mutex ---- */

/* S1 */
static void add_up(struct semaphore_state *state, struct carom_roll *roll)
{
	uint32_t held = 0, asleep = 0, count = get(&roll->row_count);

	for (uint32_t row = 0; row < count; row++)
		if (atomic_load(&roll->rows[row].life.word)) {
			held += get(&roll->rows[row].held);
			asleep += get(&roll->rows[row].asleep);
		}
	if (!state->is_signal)
		set(&state->value, get(&state->total) - held);
	set(&state->sleepers, asleep);
}

/* @r: of carom_mutex_enter(). Nothing that was under way is undone: all of it was a single store. */
static void be_told(struct carom_primitive *base, int r)
{
	struct semaphore_state *state = (struct semaphore_state *)base->file->state;

	if (r != -EOWNERDEAD)
		return;
	add_up(state, base->roll);
	CAROM_POINT("semaphore.added_up");
	carom_mutex_consistent(&state->mutex);
}

static void enter_mutex(struct carom_primitive *base)
{
	struct semaphore_state *state = (struct semaphore_state *)base->file->state;

	be_told(base, carom_mutex_enter(&state->mutex));
}

/* S3. Return: how many to wake once the mutex is released. */
static uint32_t call_sleepers(struct semaphore_state *state)
{
	uint32_t value = get(&state->value), sleepers = get(&state->sleepers);

	if (value == 0 || sleepers == 0)
		return 0;
	add(&state->turn, 1);
	return value < sleepers ? value : sleepers;
}

static void leave_mutex(struct semaphore_state *state, uint32_t wake_count)
{
	carom_mutex_release(&state->mutex);
	CAROM_POINT("semaphore.unlocked");
	if (wake_count)
		carom_futex_wake(&state->turn, (int)wake_count);
}

/* S2 */
static void bury_one(struct carom_primitive *base, uint32_t name)
{
	struct semaphore_state *state = (struct semaphore_state *)base->file->state;
	struct carom_roll_row *dead = &base->roll->rows[carom_roll_row_of(name)];
	uint32_t held = get(&dead->held);

	set(&dead->held, 0);
	CAROM_POINT("semaphore.taken_back");
	if (!state->is_signal)
		add(&state->value, held);
	subtract(&state->sleepers, get(&dead->asleep));
	set(&dead->asleep, 0);
	carom_primitive_bury(base, name);
}

/* Return: there were some, and call_sleepers() is due. */
static bool bury_the_dead(struct carom_primitive *base)
{
	bool are_some = false;

	carom_roll_each_dead(base->roll, carom_primitive_name(base), name) {
		bury_one(base, name);
		are_some = true;
	}
	return are_some;
}

static void bury_for_room(struct carom_primitive *base)
{
	struct semaphore_state *state = (struct semaphore_state *)base->file->state;

	enter_mutex(base);
	bury_the_dead(base);
	leave_mutex(state, call_sleepers(state));
}

static const struct carom_primitive_kind semaphore_kind = {
	.magic = UINT64_C(0x31303063616d6573), /* "semac001" in memory */
	.name = "semaphore",
	.state_size = sizeof(struct semaphore_state),
	.bury = bury_for_room,
};

/* ---- making and ending ---- */

static int check(int64_t value, struct carom_semaphore_options *o)
{
	if (o->max == 0)
		o->max = CAROM_SEMAPHORE_MAX;
	if (o->max > CAROM_SEMAPHORE_MAX || o->is_signal > 1 || o->reserved)
		return -EINVAL;
	return value < 0 || value > o->max ? -EINVAL : 0;
}

static int init_state(struct carom_semaphore *semaphore, uint32_t value,
		      const struct carom_semaphore_options *o)
{
	struct semaphore_state *state = state_of(semaphore);

	set(&state->value, value);
	set(&state->total, value);
	state->max = o->max;
	state->is_signal = o->is_signal;
	return carom_mutex_init(&state->mutex);
}

int carom_semaphore_new(int64_t value, const struct carom_semaphore_options *options,
			struct carom_semaphore **ret_semaphore)
{
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = NULL;
	struct carom_semaphore_options o;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r == 0)
		r = check(value, &o);
	if (r < 0)
		return r;
	semaphore = calloc(1, sizeof(*semaphore));
	if (!semaphore)
		return -ENOMEM;
	r = carom_primitive_init(&semaphore->base, &semaphore_kind, o.name, o.process_max);
	if (r == 0)
		r = init_state(semaphore, (uint32_t)value, &o);
	if (r < 0)
		return r;
	*ret_semaphore = carom_take_ptr(semaphore);
	return 0;
}

int carom_semaphore_attach_dup(int fd, struct carom_semaphore **ret_semaphore)
{
	CAROM_CLEANUP(carom_semaphore_freep)
	struct carom_semaphore *semaphore = calloc(1, sizeof(*semaphore));
	int r;

	if (!semaphore)
		return -ENOMEM;
	r = carom_primitive_attach(&semaphore->base, &semaphore_kind, fd);
	if (r < 0)
		return r;
	*ret_semaphore = carom_take_ptr(semaphore);
	return 0;
}

static bool has_units(const struct carom_semaphore *semaphore)
{
	const struct carom_primitive *base = &semaphore->base;

	return base->roll && carom_primitive_has_entered(base) &&
	       get(&base->roll->rows[base->row].held);
}

struct carom_semaphore *carom_semaphore_free(struct carom_semaphore *semaphore)
{
	if (!semaphore)
		return NULL;
	carom_primitive_deinit(&semaphore->base, has_units(semaphore));
	free(semaphore);
	return NULL;
}

void carom_semaphore_freep(struct carom_semaphore **semaphore)
{
	*semaphore = carom_semaphore_free(*semaphore);
}

int carom_semaphore_fd(const struct carom_semaphore *semaphore)
{
	return semaphore->base.fd;
}

/* ---- acquiring ---- */

/**
 * struct visit - one call of one thread, from row to row
 * @row, @name, @mine: its process's
 * @has_buried: call_sleepers() is due
 */
struct visit {
	struct carom_primitive *base;
	struct semaphore_state *state;
	struct carom_roll *roll;
	struct carom_roll_row *mine;
	uint32_t row;
	uint32_t name;
	bool has_buried;
};

/* Enter the roll, then the mutex. Return: 0, or why not. */
static int begin(struct carom_semaphore *semaphore, struct visit *ret_visit)
{
	struct carom_primitive *base = &semaphore->base;
	uint32_t row;
	int r = carom_primitive_row(base, &row);

	if (r < 0)
		return r;
	*ret_visit = (struct visit){ .base = base,
				     .state = state_of(semaphore),
				     .roll = base->roll,
				     .mine = &base->roll->rows[row],
				     .row = row,
				     .name = base->name };
	enter_mutex(base);
	return 0;
}

static void end(const struct visit *visit)
{
	leave_mutex(visit->state, visit->has_buried ? call_sleepers(visit->state) : 0);
}

static void bury(struct visit *visit)
{
	if (bury_the_dead(visit->base))
		visit->has_buried = true;
}

/* S2 */
static bool is_alive(const struct visit *visit)
{
	return carom_roll_lives(visit->roll, visit->name);
}

static bool take(struct visit *visit)
{
	struct semaphore_state *state = visit->state;

	if (get(&state->value) == 0)
		bury(visit);
	if (get(&state->value) == 0 || !is_alive(visit))
		return false;
	if (!state->is_signal)
		add(&visit->mine->held, 1);
	CAROM_POINT("semaphore.taken");
	subtract(&state->value, 1);
	return true;
}

static void count_in(const struct visit *visit)
{
	add(&visit->mine->asleep, 1);
	CAROM_POINT("semaphore.counted");
	add(&visit->state->sleepers, 1);
}

static void count_out(const struct visit *visit)
{
	if (!is_alive(visit))
		return; /* it was counted out when it was buried, or will be */
	subtract(&visit->mine->asleep, 1);
	subtract(&visit->state->sleepers, 1);
}

/* The mutex is released meanwhile. */
static int sleep_once(struct visit *visit, uint64_t deadline_ns, unsigned int flags)
{
	struct semaphore_state *state = visit->state;
	uint32_t turn = get(&state->turn);
	int r;

	count_in(visit);
	end(visit);
	visit->has_buried = false;
	r = carom_roll_sleep(visit->roll, visit->row, &state->turn, turn, deadline_ns, flags);
	enter_mutex(visit->base);
	count_out(visit);
	bury(visit); /* S4 */
	return r;
}

static int acquire(struct carom_semaphore *semaphore, uint64_t deadline_ns, unsigned int flags)
{
	struct visit visit;
	bool is_taken;
	int r = begin(semaphore, &visit);

	if (r < 0)
		return r;
	while (!(is_taken = take(&visit)) && r == 0 && is_alive(&visit))
		r = sleep_once(&visit, deadline_ns, flags);
	end(&visit);
	return is_taken ? 0 : r;
}

int carom_semaphore_acquire(struct carom_semaphore *semaphore, uint64_t deadline_ns)
{
	return acquire(semaphore, deadline_ns, 0);
}

int carom_semaphore_acquire_interruptible(struct carom_semaphore *semaphore, uint64_t deadline_ns)
{
	return acquire(semaphore, deadline_ns, CAROM_ROLL_INTERRUPTIBLE);
}

int carom_semaphore_try(struct carom_semaphore *semaphore)
{
	struct visit visit;
	int r = begin(semaphore, &visit);

	if (r < 0)
		return r;
	r = take(&visit) ? 0 : -EAGAIN;
	end(&visit);
	return r;
}

/* ---- releasing ---- */

/* Units that the process of @row has. Return: how many they were. */
static uint32_t take_from(const struct visit *visit, uint32_t row, uint32_t count)
{
	struct carom_roll_row *holder = &visit->roll->rows[row];
	uint32_t held = atomic_load(&holder->life.word) ? get(&holder->held) : 0;

	if (held == 0 || count == 0)
		return 0;
	if (count > held)
		count = held;
	subtract(&holder->held, count);
	CAROM_POINT("semaphore.given");
	add(&visit->state->value, count);
	return count;
}

/* Its own first, then somebody else's. Return: how many nobody had. */
static uint32_t give_held(const struct visit *visit, uint32_t count)
{
	uint32_t rows = get(&visit->roll->row_count);

	count -= take_from(visit, visit->row, count);
	for (uint32_t row = 0; row < rows && count > 0; row++)
		count -= take_from(visit, row, count);
	return count;
}

static void give_new(struct semaphore_state *state, uint32_t count)
{
	add(&state->total, count);
	CAROM_POINT("semaphore.given");
	add(&state->value, count);
}

/* With the mutex; all or none. */
static int give(const struct visit *visit, uint32_t count)
{
	struct semaphore_state *state = visit->state;

	bury_the_dead(visit->base); /* what they had is there again, and counts */
	if (count > state->max - get(&state->value))
		return -EOVERFLOW;
	if (!is_alive(visit))
		return 0;
	if (!state->is_signal)
		count = give_held(visit, count);
	if (count > 0)
		give_new(state, count);
	return 0;
}

int carom_semaphore_release(struct carom_semaphore *semaphore, uint32_t count)
{
	struct visit visit;
	int r = begin(semaphore, &visit);

	if (r < 0)
		return r;
	r = give(&visit, count);
	leave_mutex(visit.state, call_sleepers(visit.state));
	return r;
}

/* ---- for people ---- */

int carom_semaphore_value(struct carom_semaphore *semaphore)
{
	struct visit visit;
	int r = begin(semaphore, &visit);

	if (r < 0)
		return r;
	bury(&visit);
	r = (int)get(&visit.state->value);
	end(&visit);
	return r;
}

static int describe_row(const struct carom_roll_row *row, const char *separator, char *text,
			size_t size)
{
	char who[CAROM_DESCRIBE_MAX];

	return snprintf(text, size, "%s %u by %s", separator, get(&row->held),
			carom_describe_thread(atomic_load(&row->pid), who, sizeof(who)));
}

char *carom_semaphore_describe(struct carom_semaphore *semaphore, char *text, size_t size)
{
	const struct semaphore_state *state = state_of(semaphore);
	const struct carom_roll *roll = semaphore->base.roll;
	uint32_t count = get(&roll->row_count);
	const char *separator = ":";
	size_t at = (size_t)snprintf(text, size, "<Semaphore value=%u max=%u held=%u",
				     get(&state->value), state->max,
				     get(&state->total) - get(&state->value));

	for (uint32_t row = 0; row < count && at < size; row++)
		if (atomic_load(&roll->rows[row].life.word) && get(&roll->rows[row].held)) {
			at += (size_t)describe_row(&roll->rows[row], separator, text + at,
						   size - at);
			separator = ",";
		}
	if (at < size)
		snprintf(text + at, size - at, ">");
	return text;
}
