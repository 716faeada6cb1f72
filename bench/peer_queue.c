/*
 * A queue between four processes: two put, two get, all as fast as they can.
 *
 * One operation is so many messages from the first that is put to the last that is got. The
 * players live all the time, and are told how many it is to be.
 */
#include <errno.h>
#include <limits.h>
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
#include "core/time.h"
#include "ipc/queue.h"

#define PLAYERS 4

/**
 * struct counter - shared by the players
 * @turn:  a futex word: counted up when all are to do @share messages more
 * @left:  players who have not done so; a futex word, too
 * @failed: one could not
 */
struct counter {
	_Alignas(128) _Atomic uint32_t turn;
	uint64_t share;
	_Alignas(128) _Atomic uint32_t left;
	_Atomic uint32_t failed;
};

struct market {
	struct bench_job job;
	struct carom_queue *queue;
	struct counter *counter;
	pid_t players[PLAYERS];
};

static void await_other_than(_Atomic uint32_t *word, uint32_t value)
{
	while (atomic_load(word) == value)
		syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static int put_share(const struct market *market)
{
	char message[64] = { 0 };
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < market->counter->share; i++)
		r = carom_queue_put(market->queue, message, market->job.workload->payload_bytes,
				    CAROM_NO_DEADLINE);
	return r;
}

static int get_share(const struct market *market)
{
	char message[64];
	size_t size;
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < market->counter->share; i++)
		r = carom_queue_get(market->queue, message, sizeof(message), CAROM_NO_DEADLINE,
				    &size);
	return r;
}

static void play(const struct market *market, int (*work)(const struct market *market))
{
	struct counter *counter = market->counter;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench_place(0, market->job.worker_cpu);
	for (uint32_t turn = 0;; turn++) {
		await_other_than(&counter->turn, turn);
		if (work(market) < 0)
			atomic_store(&counter->failed, 1);
		if (atomic_fetch_sub(&counter->left, 1) == 1)
			syscall(SYS_futex, &counter->left, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	}
}

static int setup(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	struct market *market = calloc(1, sizeof(*market));
	int r;

	if (!market)
		return -ENOMEM;
	*ret_state = market;
	market->job = *job;
	market->counter = mmap(NULL, sizeof(*market->counter), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (market->counter == MAP_FAILED)
		return bench_sample_fail(sample, -ENOMEM, "no memory to share");
	r = carom_queue_new(NULL, &market->queue);
	if (r == 0) /* there are producers, whether they have come to their first put or not */
		r = carom_queue_add_producer(market->queue);
	if (r < 0)
		return bench_sample_fail(sample, r, "no queue");
	for (int i = 0; i < PLAYERS; i++) {
		market->players[i] = fork();
		if (market->players[i] == 0)
			play(market, i % 2 ? get_share : put_share);
	}
	return 0;
}

static int operate(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct market *market = state;
	struct counter *counter = market->counter;
	uint32_t left;
	uint64_t begin;

	counter->share = (task_count + 1) / 2;
	atomic_store(&counter->left, PLAYERS);
	begin = carom_now();
	atomic_fetch_add(&counter->turn, 1);
	syscall(SYS_futex, &counter->turn, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	while ((left = atomic_load(&counter->left)) > 0)
		syscall(SYS_futex, &counter->left, FUTEX_WAIT, left, NULL, NULL, 0);
	operation->ns = carom_now() - begin;
	return atomic_load(&counter->failed) ? -EIO : 0;
}

static void teardown(void *state)
{
	struct market *market = state;

	for (int i = 0; i < PLAYERS; i++)
		if (market->players[i] > 0) {
			kill(market->players[i], SIGKILL);
			waitpid(market->players[i], NULL, 0);
		}
	carom_queue_free(market->queue);
	if (market->counter && market->counter != MAP_FAILED)
		munmap(market->counter, sizeof(*market->counter));
	free(market);
}

const struct bench_act bench_carom_queue_acts[] = {
	{ .workload_id = BENCH_QUEUE, .setup = setup, .operate = operate, .teardown = teardown },
	{ 0 },
};
