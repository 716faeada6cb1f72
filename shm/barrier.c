/*
 * Barrier
 *
 * A mutex, held for some instructions, and under it a phase and the list of those who wait
 * (shm/wait_list.h):
 *
 *	FILLING     those who have come wait; how many is counted, not noted
 *	ACTING      all have come; the last one runs its action, without the mutex
 *	RELEASING   the action is done: all on the list are being called
 *	BROKEN      all on the list are being told so
 *
 *   B1  The phase is changed by one store, and says what is still to be done with the list.
 *       Whoever gets the mutex does that first, so it is done though its beginner died.
 *   B2  `round` is changed by each action that begins. Who comes back from its action and
 *       finds another round, or another phase, was overtaken by a reset, or by what broke the
 *       barrier.
 *   B3  A row of the roll with `held` set is a party. Once it is dead, or a slot's process
 *       is, the barrier is broken before the row is buried. Its slot is forgotten by then,
 *       or the same death would break what was reset meanwhile.
 *   B4  Who was woken looks for the dead before it returns or sleeps again.
 *   B5  A thread of a dying process may get the mutex after its row was buried, and its slot
 *       with it. Either may be another's by now: it leaves them alone.
 *   B6  Who came late is woken before the phase goes on that it waits for, both under the
 *       mutex, which it has to have to look. So who dies in between has not changed the phase:
 *       after the change nobody would wake them a second time.
 *
 * The deaths, told by what happens next (each wakes one sleeper, who looks):
 *
 *	one that waits, or that was called    B3
 *	one that runs its action              B3, it is a party; the phase it left is no longer
 *	one under the mutex                   the next one is told, and B1
 *	one that came last, while RELEASING   B1 releases the others, then B3 breaks it: their
 *	                                      round is complete, the next one is not
 *
 * tests/model/barrier.pml has this protocol.
 */
#include "shm/barrier.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "core/options.h"
#include "core/points.h"
#include "core/time.h"
#include "shm/futex.h"
#include "shm/mutex_private.h"
#include "shm/primitive.h"
#include "shm/wait_list.h"

enum phase {
	FILLING,
	ACTING,
	RELEASING,
	BROKEN,
};

_Static_assert(CAROM_BARRIER_PARTIES_MAX == CAROM_WAIT_LIST_CAPACITY, "as the header says");

/**
 * struct barrier_state - in shared memory; see above
 * @turn:    changed when an action is over; who came meanwhile sleeps on it
 * @parties: written once, before it is shared
 */
struct barrier_state {
	struct carom_mutex mutex;
	_Atomic uint32_t phase;
	_Atomic uint32_t round;
	_Atomic uint32_t turn;
	uint32_t parties;
	struct carom_wait_list list;
};

struct carom_barrier {
	struct carom_primitive base;
	carom_barrier_fn *action;
	void *userdata;
};

static struct barrier_state *state_of(const struct carom_primitive *base)
{
	return (struct barrier_state *)base->file->state;
}

/* relaxed: the mutex orders it; people look without */
static uint32_t phase_of(const struct barrier_state *state)
{
	return atomic_load_explicit(&state->phase, memory_order_relaxed);
}

/* ---- under the mutex ---- */

static void enter_phase(struct barrier_state *state, enum phase phase)
{
	atomic_store_explicit(&state->phase, phase, memory_order_relaxed);
	CAROM_POINT("barrier.phase");
}

static void wake_late_comers(struct barrier_state *state)
{
	atomic_fetch_add_explicit(&state->turn, 1, memory_order_relaxed);
	carom_futex_wake(&state->turn, INT32_MAX);
	CAROM_POINT("barrier.late_woken");
}

/* B1 */
static void settle(struct barrier_state *state)
{
	if (phase_of(state) == RELEASING) {
		carom_wait_list_call_all(&state->list, CAROM_WAIT_CALLED);
		wake_late_comers(state); /* B6 */
		enter_phase(state, FILLING);
	}
	if (phase_of(state) == BROKEN)
		carom_wait_list_call_all(&state->list, CAROM_WAIT_BROKEN);
}

static void break_it(struct barrier_state *state)
{
	if (phase_of(state) == BROKEN)
		return;
	wake_late_comers(state); /* B6 */
	enter_phase(state, BROKEN);
	settle(state);
}

static void forget_dead_slots(struct carom_primitive *base)
{
	struct carom_wait_list *list = &state_of(base)->list;
	uint32_t slot = 0;

	while ((slot = carom_wait_list_next_dead(list, base->roll, slot)) !=
	       CAROM_WAIT_LIST_NOBODY) {
		break_it(state_of(base));
		carom_wait_list_remove(list, slot);
	}
}

/* B3 */
static void look_for_the_dead(struct carom_primitive *base)
{
	carom_roll_each_dead(base->roll, carom_primitive_name(base), name) {
		_Atomic uint32_t *held = &base->roll->rows[carom_roll_row_of(name)].held;

		forget_dead_slots(base);
		if (atomic_load(held))
			break_it(state_of(base));
		CAROM_POINT("barrier.broken");
		atomic_store(held, 0);
		carom_primitive_bury(base, name);
	}
}

static void enter_mutex(struct carom_primitive *base)
{
	struct barrier_state *state = state_of(base);
	int r = carom_mutex_enter(&state->mutex);

	settle(state);
	if (r == -EOWNERDEAD)
		carom_mutex_consistent(&state->mutex);
	look_for_the_dead(base);
}

static void leave_mutex(struct carom_primitive *base)
{
	carom_mutex_release(&state_of(base)->mutex);
}

static void bury_for_room(struct carom_primitive *base)
{
	enter_mutex(base);
	leave_mutex(base);
}

static const struct carom_primitive_kind barrier_kind = {
	.magic = UINT64_C(0x3130306372726162), /* "barrc001" in memory */
	.name = "barrier",
	.state_size = sizeof(struct barrier_state),
	.bury = bury_for_room,
};

/* ---- making and ending ---- */

int carom_barrier_new(uint32_t parties, const struct carom_barrier_options *options,
		      struct carom_barrier **ret_barrier)
{
	CAROM_CLEANUP(carom_barrier_freep) struct carom_barrier *barrier = NULL;
	struct carom_barrier_options o;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r < 0)
		return r;
	if (parties == 0 || parties > CAROM_BARRIER_PARTIES_MAX || o.reserved)
		return -EINVAL;
	barrier = calloc(1, sizeof(*barrier));
	if (!barrier)
		return -ENOMEM;
	r = carom_primitive_init(&barrier->base, &barrier_kind, o.name, o.process_max);
	if (r == 0)
		r = carom_mutex_init(&state_of(&barrier->base)->mutex);
	if (r < 0)
		return r;
	state_of(&barrier->base)->parties = parties;
	carom_barrier_set_action(barrier, o.action, o.userdata);
	*ret_barrier = carom_take_ptr(barrier);
	return 0;
}

int carom_barrier_attach_dup(int fd, struct carom_barrier **ret_barrier)
{
	CAROM_CLEANUP(carom_barrier_freep)
	struct carom_barrier *barrier = calloc(1, sizeof(*barrier));
	int r;

	if (!barrier)
		return -ENOMEM;
	r = carom_primitive_attach(&barrier->base, &barrier_kind, fd);
	if (r < 0)
		return r;
	*ret_barrier = carom_take_ptr(barrier);
	return 0;
}

struct carom_barrier *carom_barrier_free(struct carom_barrier *barrier)
{
	if (!barrier)
		return NULL;
	if (barrier->base.roll && carom_primitive_has_entered(&barrier->base))
		atomic_store(&barrier->base.roll->rows[barrier->base.row].held, 0);
	carom_primitive_deinit(&barrier->base, false);
	free(barrier);
	return NULL;
}

void carom_barrier_freep(struct carom_barrier **barrier)
{
	*barrier = carom_barrier_free(*barrier);
}

int carom_barrier_fd(const struct carom_barrier *barrier)
{
	return barrier->base.fd;
}

void carom_barrier_set_action(struct carom_barrier *barrier, carom_barrier_fn *action,
			      void *userdata)
{
	barrier->action = action;
	barrier->userdata = userdata;
}

/* ---- waiting ---- */

/**
 * struct wait - one call of one thread
 * @row:   its process's
 * @index: what it returns
 */
struct wait {
	struct carom_barrier *barrier;
	struct carom_primitive *base;
	struct barrier_state *state;
	uint64_t deadline_ns;
	uint32_t row;
	uint32_t index;
};

/* Without the mutex. Another action may follow on this one. */
static int wait_for_the_action(const struct wait *wait)
{
	struct barrier_state *state = wait->state;
	int r = 0;

	while (r == 0 && phase_of(state) == ACTING) {
		uint32_t turn = atomic_load_explicit(&state->turn, memory_order_relaxed);

		leave_mutex(wait->base);
		r = carom_roll_sleep(wait->base->roll, wait->row, &state->turn, turn,
				     wait->deadline_ns, 0);
		enter_mutex(wait->base);
	}
	return phase_of(state) == ACTING ? r : 0;
}

/* B2. Return: of the action. */
static int act(const struct wait *wait)
{
	struct barrier_state *state = wait->state;
	uint32_t round = atomic_fetch_add_explicit(&state->round, 1, memory_order_relaxed) + 1;
	int r;

	enter_phase(state, ACTING);
	leave_mutex(wait->base);
	r = wait->barrier->action(wait->barrier->userdata);
	enter_mutex(wait->base);
	if (phase_of(state) != ACTING ||
	    atomic_load_explicit(&state->round, memory_order_relaxed) != round)
		return -ECANCELED;
	if (r < 0)
		break_it(state);
	return r < 0 ? r : 0;
}

static int come_last(const struct wait *wait)
{
	int r = wait->barrier->action ? act(wait) : 0;

	if (r < 0)
		return r;
	enter_phase(wait->state, RELEASING);
	settle(wait->state);
	return (int)wait->index;
}

/* B5 */
static bool is_alive(const struct wait *wait)
{
	return carom_roll_lives(wait->base->roll, wait->base->name);
}

/* B4 */
static int wait_to_be_called(const struct wait *wait, uint32_t slot)
{
	struct carom_wait_list *list = &wait->state->list;
	uint32_t called = 0;
	int r = 0;

	while (r == 0 && !called) {
		leave_mutex(wait->base);
		r = carom_wait_list_sleep(list, slot, wait->base->roll, wait->row,
					  wait->deadline_ns, 0);
		CAROM_POINT("barrier.awake");
		enter_mutex(wait->base);
		if (!is_alive(wait))
			return -ECANCELED;
		called =
			carom_wait_list_state(list, slot) & (CAROM_WAIT_CALLED | CAROM_WAIT_BROKEN);
	}
	carom_wait_list_remove(list, slot);
	if (called)
		return called & CAROM_WAIT_CALLED ? (int)wait->index : -ECANCELED;
	break_it(wait->state);
	return r;
}

/* With the mutex. */
static int come(struct wait *wait)
{
	struct carom_wait_list *list = &wait->state->list;
	uint32_t slot;
	int r = wait_for_the_action(wait);

	if (r < 0)
		break_it(wait->state);
	if (r < 0 || phase_of(wait->state) == BROKEN || !is_alive(wait))
		return r < 0 ? r : -ECANCELED;
	atomic_store(&wait->base->roll->rows[wait->row].held, 1); /* B3 */
	CAROM_POINT("barrier.party");
	wait->index = carom_wait_list_count(list);
	if (wait->index + 1 == wait->state->parties)
		return come_last(wait);
	r = carom_wait_list_add(list, wait->base->name, &slot);
	return r < 0 ? r : wait_to_be_called(wait, slot);
}

int carom_barrier_wait(struct carom_barrier *barrier, uint64_t deadline_ns)
{
	struct wait wait = { .barrier = barrier,
			     .base = &barrier->base,
			     .state = state_of(&barrier->base),
			     .deadline_ns = deadline_ns };
	int r = carom_primitive_row(wait.base, &wait.row);

	if (r < 0)
		return r;
	enter_mutex(wait.base);
	r = come(&wait);
	leave_mutex(wait.base);
	return r;
}

/* ---- breaking and mending ---- */

int carom_barrier_abort(struct carom_barrier *barrier)
{
	uint32_t row;
	int r = carom_primitive_row(&barrier->base, &row);

	if (r < 0)
		return r;
	enter_mutex(&barrier->base);
	break_it(state_of(&barrier->base));
	leave_mutex(&barrier->base);
	return 0;
}

int carom_barrier_reset(struct carom_barrier *barrier)
{
	struct barrier_state *state = state_of(&barrier->base);
	uint32_t row;
	int r = carom_primitive_row(&barrier->base, &row);

	if (r < 0)
		return r;
	enter_mutex(&barrier->base);
	break_it(state); /* those who wait are told */
	enter_phase(state, FILLING);
	leave_mutex(&barrier->base);
	return 0;
}

uint32_t carom_barrier_parties(const struct carom_barrier *barrier)
{
	return state_of(&barrier->base)->parties;
}

uint32_t carom_barrier_waiting(const struct carom_barrier *barrier)
{
	return carom_wait_list_count(&state_of(&barrier->base)->list);
}

int carom_barrier_is_broken(const struct carom_barrier *barrier)
{
	return phase_of(state_of(&barrier->base)) == BROKEN;
}
