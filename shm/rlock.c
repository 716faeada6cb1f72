/*
 * RLock
 *
 * A mutex, and how often its holder has acquired it.
 *
 *   I1  `count` is read and written by the holder alone (for people, by anybody). It says
 *       nothing while nobody holds the mutex: what a holder leaves behind, by its last
 *       release or by its death, is overwritten by the next one.
 *   I2  Who holds the mutex and has not yet written `count` does nothing in between but
 *       that. Dying there, it dies as a holder.
 *   I3  What decides is the mutex. A thread that is not its holder may read any `count`,
 *       and is refused by the mutex whatever it reads.
 *
 * So there is no state of its own to be torn: a death at any level is the mutex's
 * -EOWNERDEAD, and its new holder starts with one level.
 */
#include "shm/rlock.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>

#include "core/points.h"
#include "core/time.h"
#include "shm/describe.h"
#include "shm/mutex_private.h"
#include "shm/rlock_private.h"

/** struct rlock - what stands in struct carom_rlock */
struct rlock {
	struct carom_mutex mutex;
	_Atomic uint32_t count;
};
_Static_assert(sizeof(struct rlock) <= sizeof(struct carom_rlock), "the storage has room");

static struct rlock *inside(struct carom_rlock *rlock)
{
	return (struct rlock *)rlock;
}

static const struct rlock *look_inside(const struct carom_rlock *rlock)
{
	return (const struct rlock *)rlock;
}

/* relaxed, here and below: I1; from one holder to the next the mutex orders it */
static uint32_t count_of(const struct rlock *rlock)
{
	return atomic_load_explicit(&rlock->count, memory_order_relaxed);
}

static void set_count(struct rlock *rlock, uint32_t count)
{
	atomic_store_explicit(&rlock->count, count, memory_order_relaxed);
}

int carom_rlock_init(struct carom_rlock *rlock)
{
	set_count(inside(rlock), 0);
	return carom_mutex_init(&inside(rlock)->mutex);
}

static int go_deeper(struct rlock *rlock)
{
	uint32_t count = count_of(rlock);

	if (count == CAROM_RLOCK_COUNT_MAX)
		return -EOVERFLOW;
	set_count(rlock, count + 1);
	return 0;
}

/* @r: what the mutex said to this thread, which wants it @count times */
static int acquired(struct rlock *rlock, int r, uint32_t count)
{
	if (r == -EDEADLK)
		return go_deeper(rlock);
	if (r != 0 && r != -EOWNERDEAD)
		return r;
	CAROM_POINT("rlock.taken");
	set_count(rlock, count);
	CAROM_POINT("rlock.counted");
	return r;
}

int carom_rlock_acquire(struct carom_rlock *rlock, uint64_t deadline_ns)
{
	struct rlock *l = inside(rlock);

	return acquired(l, carom_mutex_acquire(&l->mutex, deadline_ns), 1);
}

int carom_rlock_acquire_interruptible(struct carom_rlock *rlock, uint64_t deadline_ns)
{
	struct rlock *l = inside(rlock);

	return acquired(l, carom_mutex_acquire_interruptible(&l->mutex, deadline_ns), 1);
}

int carom_rlock_try(struct carom_rlock *rlock)
{
	struct rlock *l = inside(rlock);

	return acquired(l, carom_mutex_try(&l->mutex), 1);
}

int carom_rlock_release(struct carom_rlock *rlock)
{
	struct rlock *l = inside(rlock);
	uint32_t count = count_of(l);

	if (count <= 1) /* or it is not ours, I3 */
		return carom_mutex_release(&l->mutex);
	if (!carom_mutex_is_mine(&l->mutex))
		return -EPERM;
	set_count(l, count - 1);
	return 0;
}

void carom_rlock_releasep(struct carom_rlock **rlock)
{
	if (*rlock)
		carom_rlock_release(*rlock);
	*rlock = NULL;
}

int carom_rlock_release_all(struct carom_rlock *rlock, uint32_t *ret_count)
{
	struct rlock *l = inside(rlock);
	uint32_t count = count_of(l);
	int r = carom_mutex_release(&l->mutex);

	if (r == 0)
		*ret_count = count;
	return r;
}

bool carom_rlock_is_torn(const struct carom_rlock *rlock)
{
	return carom_mutex_is_torn(&look_inside(rlock)->mutex);
}

bool carom_rlock_is_broken(const struct carom_rlock *rlock)
{
	return carom_mutex_is_broken(&look_inside(rlock)->mutex);
}

int carom_rlock_restore(struct carom_rlock *rlock, uint32_t count)
{
	struct rlock *l = inside(rlock);

	return acquired(l, carom_mutex_enter(&l->mutex), count);
}

int carom_rlock_consistent(struct carom_rlock *rlock)
{
	return carom_mutex_consistent(&inside(rlock)->mutex);
}

uint32_t carom_rlock_count(const struct carom_rlock *rlock)
{
	const struct rlock *l = look_inside(rlock);

	return carom_mutex_is_mine(&l->mutex) ? count_of(l) : 0;
}

pid_t carom_rlock_owner(const struct carom_rlock *rlock)
{
	return carom_mutex_owner(&look_inside(rlock)->mutex);
}

char *carom_rlock_describe(const struct carom_rlock *rlock, char *text, size_t size)
{
	const struct rlock *l = look_inside(rlock);
	char holder[CAROM_DESCRIBE_MAX], count[24] = "";

	if (carom_mutex_owner(&l->mutex))
		snprintf(count, sizeof(count), " count=%u", count_of(l));
	snprintf(text, size, "<RLock %s%s>",
		 carom_mutex_describe_holder(&l->mutex, holder, sizeof(holder)), count);
	return text;
}
