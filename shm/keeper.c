/*
 * Keeper
 *
 *   I1  All that is said between a keeper and who asks it is under `lock`: one request
 *       at a time, in `request`, which is the asker's own variable.
 *   I2  `keepers` belongs to the process in which `origin` was taken. A child by fork()
 *       has the variable and not the threads: it begins with none.
 *
 * No death comes between asking and the answer: whoever dies takes the keeper along.
 */
#include "shm/keeper.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/fork_lock.h"
#include "core/origin.h"
#include "core/pid_namespace.h"
#include "core/probe.h"
#include "core/thread_private.h"

/**
 * struct request - one function to run
 * @keeper: who is to run it; NULL once it has
 */
struct request {
	struct carom_keeper *keeper;
	carom_keeper_fn *function;
	void *userdata;
	int result;
};

/**
 * struct carom_keeper - one thread
 * @count: nodes on its list
 */
struct carom_keeper {
	struct carom_keeper *next;
	unsigned int count;
};

static CAROM_FORK_LOCK(lock);
static pthread_cond_t asked = PTHREAD_COND_INITIALIZER;
static pthread_cond_t answered = PTHREAD_COND_INITIALIZER;
static struct carom_keeper *keepers;
static struct request *request;
static uint64_t origin;

/* ---- the thread ---- */

static void serve(const struct carom_robust *self)
{
	request->result = self ? request->function(self, request->userdata) : -EOPNOTSUPP;
	request->keeper = NULL;
	pthread_cond_broadcast(&answered);
}

static void *keep(void *userdata)
{
	const struct carom_robust *self = carom_robust_self();

	pthread_setname_np(pthread_self(), "carom-keeper");
	carom_fork_lock_acquire(&lock);
	for (;;) {
		if (request && request->keeper == userdata)
			serve(self);
		pthread_cond_wait(&asked, &lock.mutex);
	}
	return NULL;
}

/* It counts as a thread of the library's: with it, a fork() is no more dangerous than without. */
static int start_thread(struct carom_keeper *keeper)
{
	pthread_t thread;
	int r;

	carom_threads_count(1);
	r = carom_thread_create(&thread, keep, keeper);
	if (r < 0) {
		carom_threads_count(-1);
		return r;
	}
	pthread_detach(thread); /* it ends with the process */
	return 0;
}

/* ---- asking; all with the lock ---- */

/* I2. Conditions that threads of the parent wait for are not usable in a child. */
static void begin_in_this_process(void)
{
	if (origin == carom_origin())
		return;
	origin = carom_origin();
	while (keepers) {
		struct carom_keeper *gone = keepers;

		keepers = gone->next;
		free(gone);
	}
	request = NULL;
	asked = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
	answered = (pthread_cond_t)PTHREAD_COND_INITIALIZER;
}

static int new_keeper(struct carom_keeper **ret_keeper)
{
	struct carom_keeper *keeper = calloc(1, sizeof(*keeper));
	int r;

	if (!keeper)
		return -ENOMEM;
	r = start_thread(keeper);
	if (r < 0) {
		free(keeper);
		return r;
	}
	keeper->next = keepers;
	keepers = keeper;
	*ret_keeper = keeper;
	return 0;
}

static int find_keeper(struct carom_keeper **ret_keeper)
{
	for (struct carom_keeper *k = keepers; k; k = k->next)
		if (k->count < CAROM_KEEPER_NODES_MAX) {
			*ret_keeper = k;
			return 0;
		}
	return new_keeper(ret_keeper);
}

/* One at a time (I1). */
static int ask(struct carom_keeper *keeper, carom_keeper_fn *function, void *userdata)
{
	struct request mine = { .keeper = keeper, .function = function, .userdata = userdata };

	while (request)
		pthread_cond_wait(&answered, &lock.mutex);
	request = &mine;
	pthread_cond_broadcast(&asked);
	while (mine.keeper)
		pthread_cond_wait(&answered, &lock.mutex);
	request = NULL;
	pthread_cond_broadcast(&answered); /* whoever else has something to ask */
	return mine.result;
}

int carom_keeper_hold(carom_keeper_fn *function, void *userdata, struct carom_keeper **ret_keeper)
{
	struct carom_keeper *keeper;
	int r;

	if (!carom_probe(CAROM_FEATURE_ROBUST_LIST) || carom_is_inside())
		return -EOPNOTSUPP;
	carom_fork_lock_acquire(&lock);
	begin_in_this_process();
	r = find_keeper(&keeper);
	if (r == 0)
		keeper->count++;
	if (r == 0 && (r = ask(keeper, function, userdata)) < 0)
		keeper->count--;
	carom_fork_lock_release(&lock);
	if (r == 0)
		*ret_keeper = keeper;
	return r;
}

int carom_keeper_drop(struct carom_keeper *keeper, carom_keeper_fn *function, void *userdata)
{
	int r;

	carom_fork_lock_acquire(&lock);
	r = ask(keeper, function, userdata);
	if (r == 0)
		keeper->count--;
	carom_fork_lock_release(&lock);
	return r;
}
