/*
 * Peer: futex
 *
 * The limit of what a task's round trip can cost: two processes, two words, no
 * task, no pool, no death. Parked, each side sleeps in FUTEX_WAIT and wakes the
 * other with FUTEX_WAKE, skipped where the other is not asleep. Spinning, nobody
 * makes a system call; only between samples does the other side sleep, so that
 * it takes no CPU from who measures then.
 *
 * The raw calls are meant: no deadline, no retry, nothing of carom's.
 */
#include <errno.h>
#include <linux/futex.h>
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

/* For a ball's word: play no more until it is served again. */
#define REST 0

/* One direction. A line each, so that spinning on one does not slow the other. */
struct ball {
	_Alignas(128) _Atomic uint32_t word;
	_Alignas(128) _Atomic uint32_t is_parked;
};

struct table {
	struct ball there;
	struct ball back;
};

struct game {
	struct table *table;
	uint32_t count; /* never REST while the game is on */
	pid_t partner;
};

static void sleep_on(struct ball *ball, uint32_t seen)
{
	syscall(SYS_futex, &ball->word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

static void play(struct ball *ball, uint32_t value)
{
	/* seq_cst: the word is out before the look whether anybody sleeps */
	atomic_store(&ball->word, value);
	if (atomic_load(&ball->is_parked))
		syscall(SYS_futex, &ball->word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static uint32_t await_parked(struct ball *ball, uint32_t seen)
{
	uint32_t value;

	/* seq_cst: the flag is up before the look at the word that permits sleep */
	atomic_store(&ball->is_parked, 1);
	while ((value = atomic_load(&ball->word)) == seen)
		sleep_on(ball, seen);
	atomic_store(&ball->is_parked, 0);
	return value;
}

static uint32_t await_spinning(struct ball *ball, uint32_t seen)
{
	uint32_t value;

	while ((value = atomic_load_explicit(&ball->word, memory_order_acquire)) == seen)
		bench_relax();
	return value;
}

static void partner_parked(struct table *table)
{
	uint32_t value = REST;

	for (;;) {
		value = await_parked(&table->there, value);
		play(&table->back, value);
	}
}

static void partner_spinning(struct table *table)
{
	uint32_t value = REST;

	for (;;) {
		if (value == REST)
			value = await_parked(&table->there, REST);
		else
			value = await_spinning(&table->there, value);
		atomic_store_explicit(&table->back.word, value, memory_order_release);
	}
}

static int new_game(const struct bench_job *job, void (*partner)(struct table *), void **ret_state)
{
	struct game *game = calloc(1, sizeof(*game));

	if (!game)
		return -ENOMEM;
	game->table = mmap(NULL, sizeof(*game->table), PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (game->table == MAP_FAILED)
		return -errno;
	game->partner = fork();
	if (game->partner == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		bench_place(0, job->worker_cpu);
		partner(game->table);
	}
	*ret_state = game;
	return game->partner < 0 ? -errno : 0;
}

static int setup_parked(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	return new_game(job, partner_parked, ret_state);
}

static int setup_spinning(const struct bench_job *job, struct bench_sample *sample,
			  void **ret_state)
{
	return new_game(job, partner_spinning, ret_state);
}

static uint32_t next_count(struct game *game)
{
	game->count++;
	if (game->count == REST)
		game->count++;
	return game->count;
}

static int operate_parked(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct game *game = state;
	uint32_t seen = game->count;

	play(&game->table->there, next_count(game));
	await_parked(&game->table->back, seen);
	return 0;
}

static int operate_spinning(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct game *game = state;
	uint32_t seen = game->count;

	if (seen == REST) /* the partner sleeps */
		play(&game->table->there, next_count(game));
	else
		atomic_store_explicit(&game->table->there.word, next_count(game),
				      memory_order_release);
	await_spinning(&game->table->back, seen);
	return 0;
}

static void rest_spinning(void *state)
{
	struct game *game = state;
	uint32_t seen = game->count;

	game->count = REST;
	play(&game->table->there, REST);
	await_spinning(&game->table->back, seen);
}

static void teardown(void *state)
{
	struct game *game = state;

	if (game->partner > 0) {
		kill(game->partner, SIGKILL);
		waitpid(game->partner, NULL, 0);
	}
	munmap(game->table, sizeof(*game->table));
	free(game);
}

static const struct bench_act acts[] = {
	{
		.workload_id = BENCH_ROUND_TRIP_PARKED,
		.setup = setup_parked,
		.operate = operate_parked,
		.teardown = teardown,
	},
	{
		.workload_id = BENCH_ROUND_TRIP_SPINNING,
		.setup = setup_spinning,
		.operate = operate_spinning,
		.rest = rest_spinning,
		.teardown = teardown,
	},
	{
		.workload_id = BENCH_LOCK_HAND_OVER,
		.setup = setup_parked,
		.operate = operate_parked,
		.teardown = teardown,
	},
	{ 0 },
};

const struct bench_peer bench_peer_futex = {
	.name = "futex",
	.summary = "raw ping-pong of two processes over shared memory: the limit",
	.acts = acts,
	.more_acts = { bench_futex_event_acts },
};
