/*
 * Mutex keep
 *
 * The order in which a mutex is handed over, by T, which holds it, to its keeper K, a thread
 * of the same process, while T waits for K:
 *
 *	T	node pending, off its list
 *	K	node pending; word from T to K; `kept` is K and T; on its list; pending off
 *	T	notes the keeper; pending off
 *
 *   I1  At every step the mutex stands in the word by the id of a thread that has its node
 *       on the list or pending. A death in between is the whole process's, for T does
 *       nothing but wait: the kernel marks it for T or for K, and skips it for the other
 *       one, whose id is not in the word.
 *   I2  While T waits, only K changes the mutex. K and T may die in any order, and the one
 *       that lives longer may still be running when the mutex has been handed on to X: K
 *       exchanges the word only if it is T's, and links the node only then.
 *   I3  `kept` is cleared before the word is freed. So it is something behind a free word
 *       only if K died, and then T was killed by the same signal, or has called execve(2).
 *       If K died before it wrote `kept`, T was waiting, and never runs again.
 *   I4  `kept` says something only together with a word that names the same keeper.
 *
 * T runs until that signal has reached its processor, which takes microseconds, while K's
 * death takes longer than that; but nothing says so. X must not touch what T may still be
 * changing, so X waits until the kernel says that T is ending. After an execve(2) T is not:
 * it had left the program's memory before K died. Nor is another thread that was given T's
 * id since: T has ended then. So X waits for at most GRACE_NS.
 *
 * A thread that ends counts as dead, and its keeper does not end with it. So each thread
 * notes which of its mutexes are kept, and gives them up when it ends.
 *
 * A thread's nodes are counted now and then, by going through its list: `nested` says how
 * often it has acquired a mutex while it held another one since then.
 */
#include "shm/mutex_keep.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/pidfd.h"
#include "core/points.h"
#include "core/time.h"
#include "shm/keeper.h"

#define COUNT_AT 1024u /* acquires after which a thread's list is counted */
#define KEEP_AT  768u  /* nodes from which on further ones are kept */
#define GRACE_NS CAROM_MILLISECONDS(100)
#define LOOK_US  20

/**
 * struct kept_list - the mutexes that are kept for one thread
 * @tid: which one; a forked child inherits the list, and has none of them
 */
struct kept_list {
	uint32_t tid;
	size_t count;
	size_t capacity;
	struct own_mutex **mutexes;
};

static _Thread_local struct kept_list *kept_list;
static _Thread_local uint32_t nested;
static pthread_key_t at_thread_end;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int once_result;

/* ---- in the keeper's thread ---- */

/** struct transfer - @holder: the id that is in the word */
struct transfer {
	struct own_mutex *mutex;
	uint32_t holder;
};

static int take_over(const struct carom_robust *self, void *userdata)
{
	struct transfer *transfer = userdata;
	struct own_mutex *mutex = transfer->mutex;
	uint32_t tid = carom_robust_tid(self);
	/* relaxed, all of it: T has published what it wrote by asking, and nothing is freed */
	uint32_t seen = atomic_load_explicit(&mutex->value, memory_order_relaxed);

	carom_robust_begin(self, &mutex->link);
	CAROM_POINT("keep.pending");
	do {
		if ((seen & FUTEX_TID_MASK) != transfer->holder) { /* I2: T has ended */
			carom_robust_end(self);
			return -EOWNERDEAD;
		}
	} while (!atomic_compare_exchange_weak_explicit(
		&mutex->value, &seen, (seen & ~FUTEX_TID_MASK) | tid, memory_order_relaxed,
		memory_order_relaxed));
	CAROM_POINT("keep.taken");
	atomic_store_explicit(&mutex->kept, (uint64_t)transfer->holder << 32 | tid,
			      memory_order_relaxed);
	carom_robust_push(self, &mutex->link);
	CAROM_POINT("keep.linked");
	carom_robust_end(self);
	return 0;
}

static int give_back(const struct carom_robust *self, void *userdata)
{
	struct own_mutex *mutex = userdata;

	atomic_store_explicit(&mutex->kept, 0, memory_order_relaxed); /* I3; carried by R1, R2 */
	carom_own_mutex_give_back(self, mutex, carom_robust_tid(self));
	return 0;
}

static int give_up(const struct carom_robust *self, void *userdata)
{
	struct own_mutex *mutex = userdata;

	atomic_store_explicit(&mutex->kept, 0, memory_order_relaxed); /* as above */
	carom_own_mutex_give_up(self, mutex);
	return 0;
}

/* ---- what is kept for a thread ---- */

static void thread_ends(void *userdata)
{
	struct kept_list *list = userdata;

	for (size_t i = 0; list->tid == (uint32_t)gettid() && i < list->count; i++)
		carom_keeper_drop(list->mutexes[i]->keeper, give_up, list->mutexes[i]);
	free(list->mutexes);
	free(list);
	kept_list = NULL;
}

static void make_key(void)
{
	once_result = -pthread_key_create(&at_thread_end, thread_ends);
}

static int new_list(void)
{
	struct kept_list *list;
	int r;

	pthread_once(&once, make_key);
	if (once_result < 0)
		return once_result;
	list = calloc(1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	r = -pthread_setspecific(at_thread_end, list);
	if (r < 0) {
		free(list);
		return r;
	}
	kept_list = list;
	return 0;
}

/* So that there is room for one more. */
static int list_reserve(struct kept_list *list)
{
	size_t capacity = list->capacity ? list->capacity * 2 : 64;
	struct own_mutex **mutexes;

	if (list->count < list->capacity)
		return 0;
	mutexes = reallocarray(list->mutexes, capacity, sizeof(struct own_mutex *));
	if (!mutexes)
		return -ENOMEM;
	list->mutexes = mutexes;
	list->capacity = capacity;
	return 0;
}

static int list_prepare(uint32_t tid)
{
	int r = kept_list ? 0 : new_list();

	if (r < 0)
		return r;
	if (kept_list->tid != tid)
		kept_list->count = 0;
	kept_list->tid = tid;
	return list_reserve(kept_list);
}

/* The last one first: most are released in the other order. */
static void list_remove(struct kept_list *list, const struct own_mutex *mutex)
{
	size_t i = list->count;

	while (i > 0 && list->mutexes[i - 1] != mutex)
		i--;
	if (i > 0)
		list->mutexes[i - 1] = list->mutexes[--list->count];
}

/* ---- by its holder ---- */

static uint32_t count_nodes(const struct carom_robust *self)
{
	const struct robust_list *head = &self->head->list;
	const struct robust_list *node = head->next;
	uint32_t count = 0;

	for (; node != head && count < KEEP_AT; count++)
		node = ((const struct robust_list *)((uintptr_t)node & ~(uintptr_t)1))->next;
	return count;
}

static bool has_many(const struct carom_robust *self)
{
	if (++nested < COUNT_AT)
		return false;
	nested = count_nodes(self);
	if (nested < KEEP_AT)
		return false;
	nested = COUNT_AT; /* the next one is one too many as well, unless some were released */
	return true;
}

static int keep(const struct carom_robust *self, struct own_mutex *mutex, uint32_t tid)
{
	struct transfer transfer = { .mutex = mutex, .holder = tid };
	struct carom_keeper *keeper;
	int r;

	carom_robust_begin(self, &mutex->link);
	carom_robust_remove(&mutex->link);
	CAROM_POINT("keep.unlinked");
	r = carom_keeper_hold(take_over, &transfer, &keeper);
	if (r < 0) {
		carom_robust_push(self, &mutex->link);
	} else {
		mutex->keeper = keeper;
		kept_list->mutexes[kept_list->count++] = mutex;
		CAROM_POINT("keep.noted");
	}
	carom_robust_end(self);
	return r;
}

int carom_mutex_make_room(struct own_mutex *mutex)
{
	const struct carom_robust *self = carom_robust_self();
	uint32_t tid;
	int r;

	if (!has_many(self))
		return 0;
	tid = carom_robust_tid(self);
	r = list_prepare(tid);
	return r < 0 ? r : keep(self, mutex, tid);
}

int carom_mutex_release_kept(struct own_mutex *mutex)
{
	list_remove(kept_list, mutex);
	return carom_keeper_drop(mutex->keeper, give_back, mutex);
}

/* ---- by who comes next ---- */

void carom_mutex_outlive_holder(struct own_mutex *mutex)
{
	/* relaxed: A1 has brought it */
	uint64_t kept = atomic_load_explicit(&mutex->kept, memory_order_relaxed);
	uint64_t until = kept ? carom_deadline_after(GRACE_NS) : 0;

	if (!kept)
		return;
	while (!carom_thread_is_ending((pid_t)(kept >> 32)) && carom_now() < until)
		usleep(LOOK_US);
	atomic_store_explicit(&mutex->kept, 0, memory_order_relaxed);
}
