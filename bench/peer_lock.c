/*
 * Peers: what locks there are between processes
 *
 * carom's mutex, lock, recursive lock and semaphore, the pthread library's process-shared mutex, plain and
 * robust, and a semaphore: alone, with several processes at it, handed to and fro, and at
 * the death of who holds one.
 *
 * Handing over is a game of two with three locks, of which each player has one. It waits
 * for the one that the other player has, and then lets go of its own: for that the other one
 * waits, having got hold of the third. Nobody ever wants back what he has just let go.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/machine.h"
#include "bench/peer.h"
#include "core/time.h"
#include "shm/lock.h"
#include "shm/mutex.h"
#include "shm/rlock.h"
#include "shm/semaphore.h"

#define PLAYERS_MAX 8

union any_lock {
	struct carom_mutex mutex;
	struct carom_rlock rlock;
	struct carom_lock *lock;       /* a handle that the players inherit */
	struct carom_semaphore *units; /* likewise */
	pthread_mutex_t pthread;
	sem_t semaphore;
	char lines[128]; /* so that neighbours do not slow each other */
};

/** struct kind - one sort of lock; NULL for what it cannot */
struct kind {
	int (*init)(union any_lock *lock);
	int (*acquire)(union any_lock *lock);
	int (*release)(union any_lock *lock);
	int (*repaired)(union any_lock *lock);
};

/**
 * struct arena - shared by the players
 * @count: what the first lock protects
 * @turn:  a futex word: counted up when all are to do @share times more
 * @left:  players who have not done so; a futex word, too
 * @ready: a futex word: the one who is to die has the lock
 */
struct arena {
	_Alignas(128) union any_lock locks[3];
	_Alignas(128) uint64_t count;
	_Alignas(128) _Atomic uint32_t turn;
	uint64_t share;
	_Alignas(128) _Atomic uint32_t left;
	_Atomic uint32_t ready;
};

struct match {
	struct bench_job job;
	const struct kind *kind;
	struct arena *arena;
	unsigned int mine; /* of the locks */
	pid_t players[PLAYERS_MAX];
};

/* --- the locks --------------------------------------------------------- */

static int mutex_init(union any_lock *lock)
{
	return carom_mutex_init(&lock->mutex);
}

static int mutex_acquire(union any_lock *lock)
{
	return carom_mutex_acquire(&lock->mutex, CAROM_NO_DEADLINE);
}

static int mutex_release(union any_lock *lock)
{
	return carom_mutex_release(&lock->mutex);
}

static int mutex_repaired(union any_lock *lock)
{
	return carom_mutex_consistent(&lock->mutex);
}

static int rlock_init(union any_lock *lock)
{
	return carom_rlock_init(&lock->rlock);
}

static int rlock_acquire(union any_lock *lock)
{
	return carom_rlock_acquire(&lock->rlock, CAROM_NO_DEADLINE);
}

static int rlock_release(union any_lock *lock)
{
	return carom_rlock_release(&lock->rlock);
}

static int rlock_repaired(union any_lock *lock)
{
	return carom_rlock_consistent(&lock->rlock);
}

static int plain_lock_init(union any_lock *lock)
{
	return carom_lock_new(NULL, &lock->lock);
}

static int plain_lock_acquire(union any_lock *lock)
{
	return carom_lock_acquire(lock->lock, CAROM_NO_DEADLINE);
}

static int plain_lock_release(union any_lock *lock)
{
	return carom_lock_release(lock->lock);
}

/* Who was told of the death has it as if nothing had happened. */
static int plain_lock_repaired(union any_lock *lock)
{
	return 0;
}

static int units_init(union any_lock *lock)
{
	return carom_semaphore_new(1, NULL, &lock->units);
}

static int units_acquire(union any_lock *lock)
{
	return carom_semaphore_acquire(lock->units, CAROM_NO_DEADLINE);
}

static int units_release(union any_lock *lock)
{
	return carom_semaphore_release(lock->units, 1);
}

static int init_pthread(union any_lock *lock, int robustness)
{
	pthread_mutexattr_t attributes;
	int r = pthread_mutexattr_init(&attributes);

	if (r)
		return -r;
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, robustness);
	r = pthread_mutex_init(&lock->pthread, &attributes);
	pthread_mutexattr_destroy(&attributes);
	return -r;
}

static int plain_init(union any_lock *lock)
{
	return init_pthread(lock, PTHREAD_MUTEX_STALLED);
}

static int robust_init(union any_lock *lock)
{
	return init_pthread(lock, PTHREAD_MUTEX_ROBUST);
}

static int pthread_acquire(union any_lock *lock)
{
	return -pthread_mutex_lock(&lock->pthread);
}

static int pthread_release(union any_lock *lock)
{
	return -pthread_mutex_unlock(&lock->pthread);
}

static int robust_repaired(union any_lock *lock)
{
	return -pthread_mutex_consistent(&lock->pthread);
}

static int semaphore_init(union any_lock *lock)
{
	return sem_init(&lock->semaphore, 1, 1) < 0 ? -errno : 0;
}

static int semaphore_acquire(union any_lock *lock)
{
	return sem_wait(&lock->semaphore) < 0 ? -errno : 0;
}

static int semaphore_release(union any_lock *lock)
{
	return sem_post(&lock->semaphore) < 0 ? -errno : 0;
}

static const struct kind mutex = { mutex_init, mutex_acquire, mutex_release, mutex_repaired };
static const struct kind rlock = { rlock_init, rlock_acquire, rlock_release, rlock_repaired };
static const struct kind plain_lock = { plain_lock_init, plain_lock_acquire, plain_lock_release,
					plain_lock_repaired };
static const struct kind units = { units_init, units_acquire, units_release, NULL };
static const struct kind plain = { plain_init, pthread_acquire, pthread_release, NULL };
static const struct kind robust = { robust_init, pthread_acquire, pthread_release,
				    robust_repaired };
static const struct kind semaphore = { semaphore_init, semaphore_acquire, semaphore_release, NULL };

/* --- players ----------------------------------------------------------- */

static void await_other_than(_Atomic uint32_t *word, uint32_t value)
{
	while (atomic_load(word) == value)
		syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static void tell(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static pid_t new_player(const struct match *match)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		bench_place(0, match->job.worker_cpu);
	}
	return pid;
}

static int new_match(const struct bench_job *job, const struct kind *kind, void **ret_state)
{
	struct match *match = calloc(1, sizeof(*match));
	int r = 0;

	if (!match)
		return -ENOMEM;
	*ret_state = match;
	match->job = *job;
	match->kind = kind;
	match->arena = mmap(NULL, sizeof(*match->arena), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (match->arena == MAP_FAILED)
		return -errno;
	for (int i = 0; r == 0 && i < 3; i++)
		r = kind->init(&match->arena->locks[i]);
	return r;
}

static void teardown(void *state)
{
	struct match *match = state;

	for (int i = 0; i < PLAYERS_MAX; i++)
		if (match->players[i] > 0) {
			kill(match->players[i], SIGKILL);
			waitpid(match->players[i], NULL, 0);
		}
	munmap(match->arena, sizeof(*match->arena));
	free(match);
}

/* --- acquire and release ----------------------------------------------- */

/* The calls are what is measured, so they are not made through a pointer. */
#define LOOP(kind)                                                 \
	static int kind##_use(struct arena *arena, uint64_t times) \
	{                                                          \
		int r = 0;                                         \
                                                                   \
		for (uint64_t i = 0; r == 0 && i < times; i++) {   \
			r = kind##_acquire(&arena->locks[0]);      \
			arena->count++;                            \
			kind##_release(&arena->locks[0]);          \
		}                                                  \
		return r;                                          \
	}
LOOP(mutex)
LOOP(rlock)
LOOP(plain_lock)
LOOP(units)
LOOP(pthread)
LOOP(semaphore)

static int use(const struct match *match, uint64_t times)
{
	if (match->kind == &mutex)
		return mutex_use(match->arena, times);
	if (match->kind == &rlock)
		return rlock_use(match->arena, times);
	if (match->kind == &plain_lock)
		return plain_lock_use(match->arena, times);
	if (match->kind == &units)
		return units_use(match->arena, times);
	if (match->kind == &semaphore)
		return semaphore_use(match->arena, times);
	return pthread_use(match->arena, times);
}

static void be_one_of_several(const struct match *match)
{
	struct arena *arena = match->arena;
	uint32_t turn = 0;

	for (;;) {
		await_other_than(&arena->turn, turn);
		turn = atomic_load(&arena->turn);
		use(match, arena->share);
		if (atomic_fetch_sub(&arena->left, 1) == 1)
			tell(&arena->left);
	}
}

static int setup_use(const struct bench_job *job, const struct kind *kind, void **ret_state)
{
	int r = new_match(job, kind, ret_state);
	struct match *match = *ret_state;

	for (uint64_t i = 1; r == 0 && i < job->worker_count; i++) {
		match->players[i] = new_player(match);
		if (match->players[i] == 0)
			be_one_of_several(match);
		r = match->players[i] < 0 ? -errno : 0;
	}
	return r;
}

static int operate_use(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct match *match = state;
	struct arena *arena = match->arena;
	uint32_t others = (uint32_t)match->job.worker_count - 1, left;
	int r;

	arena->share = task_count / (others + 1);
	atomic_store(&arena->left, others);
	atomic_fetch_add(&arena->turn, 1);
	if (others)
		tell(&arena->turn);
	r = use(match, arena->share);
	while ((left = atomic_load(&arena->left)))
		await_other_than(&arena->left, left);
	return r;
}

/* --- to and fro -------------------------------------------------------- */

static int hand_over(struct match *match)
{
	unsigned int next = (match->mine + 2) % 3;
	int r = match->kind->acquire(&match->arena->locks[next]);

	if (r == 0)
		r = match->kind->release(&match->arena->locks[match->mine]);
	match->mine = next;
	return r;
}

static int setup_hand_over(const struct bench_job *job, const struct kind *kind, void **ret_state)
{
	int r = new_match(job, kind, ret_state);
	struct match *match = *ret_state;

	if (r < 0)
		return r;
	match->players[0] = new_player(match);
	if (match->players[0] == 0) {
		match->mine = 1;
		kind->acquire(&match->arena->locks[1]);
		atomic_store(&match->arena->ready, 1);
		tell(&match->arena->ready);
		for (;;)
			hand_over(match);
	}
	if (match->players[0] < 0)
		return -errno;
	await_other_than(&match->arena->ready, 0);
	match->mine = 2;
	return kind->acquire(&match->arena->locks[2]);
}

/* Two hand-overs: to this process, and to the other one. */
static int operate_hand_over(void *state, uint64_t task_count, struct bench_operation *operation)
{
	return hand_over(state);
}

/* --- death ------------------------------------------------------------- */

static void hold_until_killed(const struct match *match)
{
	if (bench_touch(match->job.held_bytes) < 0)
		_exit(1);
	match->kind->acquire(&match->arena->locks[0]);
	atomic_store(&match->arena->ready, 1);
	tell(&match->arena->ready);
	for (;;)
		pause();
}

static int setup_death(const struct bench_job *job, const struct kind *kind, void **ret_state)
{
	return new_match(job, kind, ret_state);
}

static int operate_death(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct match *match = state;
	union any_lock *lock = &match->arena->locks[0];
	uint64_t begin;
	pid_t pid;
	int r;

	atomic_store(&match->arena->ready, 0);
	pid = new_player(match);
	if (pid == 0)
		hold_until_killed(match);
	if (pid < 0)
		return -errno;
	await_other_than(&match->arena->ready, 0);
	begin = carom_now();
	kill(pid, SIGKILL);
	r = match->kind->acquire(lock);
	operation->ns = carom_now() - begin;
	waitpid(pid, NULL, 0);
	if (r != -EOWNERDEAD)
		return r < 0 ? r : -EINVAL;
	match->kind->repaired(lock);
	return match->kind->release(lock);
}

/* --- what each can ----------------------------------------------------- */

#define SETUP(kind, what)                                                                        \
	static int kind##_setup_##what(const struct bench_job *job, struct bench_sample *sample, \
				       void **ret_state)                                         \
	{                                                                                        \
		return setup_##what(job, &kind, ret_state);                                      \
	}
#define SETUPS(kind) SETUP(kind, use) SETUP(kind, hand_over)
SETUPS(mutex)
SETUPS(rlock)
SETUPS(plain_lock)
SETUP(units, use)
SETUPS(plain)
SETUPS(robust)
SETUPS(semaphore)
SETUP(mutex, death)
SETUP(plain_lock, death)
SETUP(robust, death)

#define ACT(id, kind, what)                                                                   \
	{                                                                                     \
		.workload_id = (id), .setup = kind##_setup_##what, .operate = operate_##what, \
		.teardown = teardown                                                          \
	}
#define USES(kind)                                                                              \
	ACT(BENCH_LOCK, kind, use), ACT(BENCH_LOCK_2, kind, use), ACT(BENCH_LOCK_4, kind, use), \
		ACT(BENCH_LOCK_HAND_OVER, kind, hand_over)
#define DEATHS(kind) ACT(BENCH_LOCK_DEATH, kind, death), ACT(BENCH_LOCK_DEATH_LARGE, kind, death)

const struct bench_act bench_carom_lock_acts[] = {
	USES(plain_lock), DEATHS(plain_lock), ACT(BENCH_SEMAPHORE, units, use), { 0 }
};

const struct bench_peer bench_peer_carom_mutex = {
	.name = "carom-mutex",
	.summary = "carom's mutex, which only its holder releases",
	.acts = (const struct bench_act[]){ USES(mutex), DEATHS(mutex), { 0 } },
};

const struct bench_peer bench_peer_carom_rlock = {
	.name = "carom-rlock",
	.summary = "carom's recursive lock",
	.acts = (const struct bench_act[]){ USES(rlock), { 0 } },
};

const struct bench_peer bench_peer_pthread = {
	.name = "pthread",
	.summary = "the pthread library's process-shared mutex, and condition variable",
	.acts = (const struct bench_act[]){ USES(plain), { 0 } },
	.more_acts = { bench_pthread_condition_acts },
};

const struct bench_peer bench_peer_pthread_robust = {
	.name = "pthread-robust",
	.summary = "the same, robust",
	.acts = (const struct bench_act[]){ USES(robust), DEATHS(robust), { 0 } },
};

const struct bench_peer bench_peer_semaphore = {
	.name = "sem",
	.summary = "the pthread library's process-shared semaphore, as a lock",
	.acts = (const struct bench_act[]){ USES(semaphore),
					    ACT(BENCH_SEMAPHORE, semaphore, use),
					    { 0 } },
};
