/*
 * Peers: conditions between processes
 *
 * Two processes take turns. Whose turn it is stands under a lock; who has had it notifies
 * the other one and waits. One operation is both turns.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench/machine.h"
#include "bench/peer.h"
#include "core/time.h"
#include "shm/condition.h"

/* struct table - shared by the two; @turn: of 0, the caller, or 1 */
struct table {
	pthread_mutex_t mutex;
	pthread_cond_t condition;
	int turn;
};

/** struct way - how they notify each other */
struct way {
	int (*make)(struct table *table, struct carom_condition **ret_condition);
	int (*play)(struct table *table, struct carom_condition *condition, int me);
};

struct game {
	const struct way *way;
	struct table *table;
	struct carom_condition *condition;
	pid_t partner;
};

/* ---- carom ---- */

static int make_own(struct table *table, struct carom_condition **ret_condition)
{
	return carom_condition_new(NULL, ret_condition);
}

static int play_own(struct table *table, struct carom_condition *condition, int me)
{
	int r = carom_condition_acquire(condition, CAROM_NO_DEADLINE);

	while (r == 0 && table->turn != me)
		r = carom_condition_wait(condition, CAROM_NO_DEADLINE);
	if (r < 0)
		return r;
	table->turn = !me;
	r = carom_condition_notify(condition, 1);
	carom_condition_release(condition);
	return r < 0 ? r : 0;
}

static const struct way own = { make_own, play_own };

/* ---- the pthread library ---- */

static int make_pthread(struct table *table, struct carom_condition **ret_condition)
{
	pthread_mutexattr_t of_mutex;
	pthread_condattr_t of_condition;

	pthread_mutexattr_init(&of_mutex);
	pthread_mutexattr_setpshared(&of_mutex, PTHREAD_PROCESS_SHARED);
	pthread_condattr_init(&of_condition);
	pthread_condattr_setpshared(&of_condition, PTHREAD_PROCESS_SHARED);
	pthread_cond_init(&table->condition, &of_condition);
	return -pthread_mutex_init(&table->mutex, &of_mutex);
}

static int play_pthread(struct table *table, struct carom_condition *condition, int me)
{
	int r = -pthread_mutex_lock(&table->mutex);

	while (r == 0 && table->turn != me)
		r = -pthread_cond_wait(&table->condition, &table->mutex);
	table->turn = !me;
	pthread_cond_signal(&table->condition);
	pthread_mutex_unlock(&table->mutex);
	return r;
}

static const struct way of_pthread = { make_pthread, play_pthread };

/* ---- the game ---- */

static void be_partner(const struct game *game, const struct bench_job *job)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench_place(0, job->worker_cpu);
	while (game->way->play(game->table, game->condition, 1) == 0)
		;
	_exit(1);
}

static int setup(const struct way *way, const struct bench_job *job, void **ret_state)
{
	struct game *game = calloc(1, sizeof(*game));
	int r;

	if (!game)
		return -ENOMEM;
	*ret_state = game;
	game->way = way;
	game->table = mmap(NULL, sizeof(*game->table), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (game->table == MAP_FAILED)
		return -ENOMEM;
	r = way->make(game->table, &game->condition);
	if (r < 0)
		return r;
	game->partner = fork();
	if (game->partner == 0)
		be_partner(game, job);
	return game->partner < 0 ? -errno : 0;
}

static int setup_own(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	return setup(&own, job, ret_state);
}

static int setup_pthread(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	return setup(&of_pthread, job, ret_state);
}

/* The caller's turn of this operation ends the partner's of the last one. */
static int operate(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct game *game = state;

	return game->way->play(game->table, game->condition, 0);
}

static void teardown(void *state)
{
	struct game *game = state;

	if (game->partner > 0) {
		kill(game->partner, SIGKILL);
		waitpid(game->partner, NULL, 0);
	}
	carom_condition_free(game->condition);
	munmap(game->table, sizeof(*game->table));
	free(game);
}

#define ACT(how)                                                                          \
	{                                                                                 \
		.workload_id = BENCH_CONDITION, .setup = setup_##how, .operate = operate, \
		.teardown = teardown                                                      \
	}

const struct bench_act bench_carom_condition_acts[] = { ACT(own), { 0 } };
const struct bench_act bench_pthread_condition_acts[] = { ACT(pthread), { 0 } };
