/*
 * Condition
 *
 * A list of threads that wait (shm/wait_list.h), changed under the lock.
 *
 *   N1  A slot is WAITING from before its thread gives up the lock. It is called under the
 *       lock only, and is free again once its thread has looked, under the lock.
 *   N2  A slot that was called and whose process is dead stands for a notification that
 *       nobody got. Whoever finds it, under the lock, calls the longest waiting one
 *       instead, and frees the slot after that: a death in between notifies one too many,
 *       none too few.
 *   N3  Rows are buried under the lock, each after N2 was done for all slots, and that after
 *       the row was seen to be marked: of who dies between the two the slots are not known yet.
 *   N4  Who was woken looks for the dead before it returns or sleeps again.
 *   N6  A thread of a dying process may get the lock after its row was buried, and its slot
 *       with it, which may be another's by now: it leaves that alone.
 *
 * The deaths, told by what happens next (each wakes one sleeper, which gets the lock first):
 *
 *	one that waits                  its slot is freed
 *	one that was called             N2
 *	one that notifies               those called so far were woken in the same step; it
 *	                                held the lock, so whoever has that next is told
 *	one that hands a notification   likewise
 *	on
 *
 *   N5  Once the lock was given up for good nobody can notify: whoever gives it up, or finds
 *       that, calls all who wait, without the lock, and tells them. Who is about to give it
 *       up has a row by then, so that its death wakes one who finds it.
 *
 * As the lock tells of each death under it, and what it protects is the caller's to
 * repair, a wait ends then, with the lock.
 *
 * tests/model/condition.pml has this protocol.
 */
#include "shm/condition.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/options.h"
#include "core/points.h"
#include "core/time.h"
#include "shm/describe.h"
#include "shm/primitive.h"
#include "shm/rlock_private.h"
#include "shm/wait_list.h"

_Static_assert(CAROM_CONDITION_WAITERS_MAX == CAROM_WAIT_LIST_CAPACITY, "as the header says");

/**
 * struct condition_state - in shared memory
 * @rlock:   its own
 * @has_own: that is the one; written once, before it is shared
 */
struct condition_state {
	struct carom_rlock rlock;
	uint32_t has_own;
	struct carom_wait_list list;
};

/**
 * struct carom_condition - a handle
 * @rlock: the one, where this process has it
 */
struct carom_condition {
	struct carom_primitive base;
	struct carom_rlock *rlock;
};

static struct condition_state *state_of(const struct carom_primitive *base)
{
	return (struct condition_state *)base->file->state;
}

/* ---- the dead; all with the lock ---- */

/* N2 */
static void hand_on(struct carom_primitive *base, uint32_t slot)
{
	struct carom_wait_list *list = &state_of(base)->list;
	uint32_t next;

	if (carom_wait_list_state(list, slot) & CAROM_WAIT_CALLED) {
		next = carom_wait_list_oldest(list, base->roll);
		if (next != CAROM_WAIT_LIST_NOBODY)
			carom_wait_list_call(list, next, CAROM_WAIT_CALLED);
		CAROM_POINT("condition.handed_on");
	}
	carom_wait_list_remove(list, slot);
}

static void hand_on_all(struct carom_primitive *base)
{
	const struct carom_wait_list *list = &state_of(base)->list;
	uint32_t slot = carom_wait_list_next_dead(list, base->roll, 0);

	for (; slot != CAROM_WAIT_LIST_NOBODY;
	     slot = carom_wait_list_next_dead(list, base->roll, slot + 1))
		hand_on(base, slot);
	CAROM_POINT("condition.forgotten");
}

/* Without a mark, too: N6 may have left a slot. */
static void bury_the_dead(struct carom_primitive *base)
{
	hand_on_all(base);
	carom_roll_each_dead(base->roll, carom_primitive_name(base), name) {
		hand_on_all(base); /* N3 */
		carom_primitive_bury(base, name);
	}
}

static const struct carom_primitive_kind condition_kind = {
	.magic = UINT64_C(0x31303063646e6f63), /* "condc001" in memory */
	.name = "condition",
	.state_size = sizeof(struct condition_state),
	.bury = bury_the_dead,
};

/* ---- making and ending ---- */

static int init_state(struct carom_condition *condition, struct carom_rlock *rlock)
{
	struct condition_state *state = state_of(&condition->base);

	state->has_own = !rlock;
	condition->rlock = rlock ? rlock : &state->rlock;
	return rlock ? 0 : carom_rlock_init(&state->rlock);
}

int carom_condition_new(const struct carom_condition_options *options,
			struct carom_condition **ret_condition)
{
	CAROM_CLEANUP(carom_condition_freep) struct carom_condition *condition = NULL;
	struct carom_condition_options o;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r < 0)
		return r;
	if (o.reserved)
		return -EINVAL;
	condition = calloc(1, sizeof(*condition));
	if (!condition)
		return -ENOMEM;
	r = carom_primitive_init(&condition->base, &condition_kind, o.name, o.process_max);
	if (r == 0)
		r = init_state(condition, o.rlock);
	if (r < 0)
		return r;
	*ret_condition = carom_take_ptr(condition);
	return 0;
}

int carom_condition_attach_dup(int fd, struct carom_rlock *rlock,
			       struct carom_condition **ret_condition)
{
	CAROM_CLEANUP(carom_condition_freep)
	struct carom_condition *condition = calloc(1, sizeof(*condition));
	int r;

	if (!condition)
		return -ENOMEM;
	r = carom_primitive_attach(&condition->base, &condition_kind, fd);
	if (r < 0)
		return r;
	if (!state_of(&condition->base)->has_own == !rlock)
		return -EINVAL;
	condition->rlock = rlock ? rlock : &state_of(&condition->base)->rlock;
	*ret_condition = carom_take_ptr(condition);
	return 0;
}

struct carom_condition *carom_condition_free(struct carom_condition *condition)
{
	if (!condition)
		return NULL;
	carom_primitive_deinit(&condition->base, false);
	free(condition);
	return NULL;
}

void carom_condition_freep(struct carom_condition **condition)
{
	*condition = carom_condition_free(*condition);
}

int carom_condition_fd(const struct carom_condition *condition)
{
	return condition->base.fd;
}

struct carom_rlock *carom_condition_rlock(const struct carom_condition *condition)
{
	return condition->rlock;
}

/* N5. Return: it is. */
static bool tell_if_broken(struct carom_condition *condition)
{
	if (!carom_rlock_is_broken(condition->rlock))
		return false;
	carom_wait_list_call_all(&state_of(&condition->base)->list, CAROM_WAIT_BROKEN);
	return true;
}

int carom_condition_acquire(struct carom_condition *condition, uint64_t deadline_ns)
{
	int r = carom_rlock_acquire(condition->rlock, deadline_ns);

	if (r == -ENOTRECOVERABLE)
		tell_if_broken(condition);
	return r;
}

/* Before the lock may be given up for good; where there is no row to be had, without one. */
static void prepare_to_break(struct carom_condition *condition)
{
	uint32_t row;

	if (carom_rlock_count(condition->rlock) == 1 && carom_rlock_is_torn(condition->rlock))
		carom_primitive_row(&condition->base, &row);
}

int carom_condition_release(struct carom_condition *condition)
{
	int r;

	prepare_to_break(condition); /* N5 */
	r = carom_rlock_release(condition->rlock);
	CAROM_POINT("condition.let_go");
	if (r == 0)
		tell_if_broken(condition);
	return r;
}

/* ---- waiting ---- */

/**
 * struct wait - one call of one thread
 * @row:  its process's
 * @slot: its own
 */
struct wait {
	struct carom_condition *condition;
	struct carom_wait_list *list;
	uint64_t deadline_ns;
	unsigned int flags;
	uint32_t row;
	uint32_t slot;
};

static int begin(struct wait *wait)
{
	struct carom_primitive *base = &wait->condition->base;
	int r = carom_primitive_row(base, &wait->row);

	if (r < 0)
		return r;
	r = carom_wait_list_add(wait->list, base->name, &wait->slot);
	if (r == -EUSERS) {
		bury_the_dead(base); /* there may be nobody else who does */
		r = carom_wait_list_add(wait->list, base->name, &wait->slot);
	}
	return r;
}

/* Without the lock, and with it again. Return: of the sleep; or what getting the lock says. */
static int sleep_once(const struct wait *wait)
{
	struct carom_condition *condition = wait->condition;
	uint32_t count;
	int slept, r;

	carom_rlock_release_all(condition->rlock, &count);
	CAROM_POINT("condition.released");
	if (tell_if_broken(condition))
		return -ENOTRECOVERABLE;
	slept = carom_wait_list_sleep(wait->list, wait->slot, condition->base.roll, wait->row,
				      wait->deadline_ns, wait->flags);
	CAROM_POINT("condition.awake");
	r = carom_rlock_restore(condition->rlock, count);
	return r < 0 ? r : slept;
}

static bool is_called(const struct wait *wait)
{
	return carom_wait_list_state(wait->list, wait->slot) & CAROM_WAIT_CALLED;
}

/* N6 */
static bool is_alive(const struct wait *wait)
{
	const struct carom_primitive *base = &wait->condition->base;

	return carom_roll_lives(base->roll, base->name);
}

/* N4. What was notified in the last moment counts, whatever ended the sleep. */
static int wait_until_called(const struct wait *wait)
{
	int r;

	do {
		r = sleep_once(wait);
		if (r == -ENOTRECOVERABLE) {
			tell_if_broken(wait->condition);
			return r; /* without the lock the list is nobody's to change */
		}
		if (!is_alive(wait))
			return r;
		bury_the_dead(&wait->condition->base);
	} while (r == 0 && !is_called(wait));
	if (r != -EOWNERDEAD && is_called(wait))
		r = 0;
	carom_wait_list_remove(wait->list, wait->slot);
	return r;
}

static int wait_with(struct carom_condition *condition, uint64_t deadline_ns, unsigned int flags)
{
	struct wait wait = { .condition = condition,
			     .list = &state_of(&condition->base)->list,
			     .deadline_ns = deadline_ns,
			     .flags = flags };
	int r;

	if (carom_rlock_count(condition->rlock) == 0)
		return -EPERM;
	r = begin(&wait);
	return r < 0 ? r : wait_until_called(&wait);
}

int carom_condition_wait(struct carom_condition *condition, uint64_t deadline_ns)
{
	return wait_with(condition, deadline_ns, 0);
}

int carom_condition_wait_interruptible(struct carom_condition *condition, uint64_t deadline_ns)
{
	return wait_with(condition, deadline_ns, CAROM_ROLL_INTERRUPTIBLE);
}

int carom_condition_wait_for(struct carom_condition *condition, carom_condition_fn *predicate,
			     void *userdata, uint64_t deadline_ns)
{
	int r;

	if (carom_rlock_count(condition->rlock) == 0)
		return -EPERM;
	for (;;) {
		int answer = predicate(userdata);

		if (answer)
			return answer;
		r = carom_condition_wait(condition, deadline_ns);
		if (r == -ETIMEDOUT)
			return predicate(userdata);
		if (r < 0)
			return r;
	}
}

/* ---- notifying ---- */

int carom_condition_notify(struct carom_condition *condition, uint32_t count)
{
	struct carom_wait_list *list = &state_of(&condition->base)->list;
	uint32_t row, slot;
	int called = 0, r;

	if (carom_rlock_count(condition->rlock) == 0)
		return -EPERM;
	/* it enters because its death, halfway, is to wake those who then see to the rest */
	r = carom_primitive_row(&condition->base, &row);
	if (r < 0)
		return r;
	bury_the_dead(&condition->base);
	while (count-- > 0 && (slot = carom_wait_list_oldest(list, condition->base.roll)) !=
				      CAROM_WAIT_LIST_NOBODY) {
		carom_wait_list_call(list, slot, CAROM_WAIT_CALLED);
		called++;
	}
	return called;
}

/* ---- for people ---- */

char *carom_condition_describe(const struct carom_condition *condition, char *text, size_t size)
{
	char lock[CAROM_DESCRIBE_MAX];

	snprintf(text, size, "<Condition waiting=%u %s>",
		 carom_wait_list_count(&state_of(&condition->base)->list),
		 carom_rlock_describe(condition->rlock, lock, sizeof(lock)));
	return text;
}
