/*
 * Peers: an event with sleepers, and one FUTEX_WAKE of as many
 *
 * From the call that wakes them until all have run. They sleep on one of two words in
 * turn, so that nobody sees a word before it is set again.
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
#include "shm/event.h"

#define SETTLE_NS CAROM_MILLISECONDS(3)

/**
 * struct dormitory - shared with those who sleep
 * @coming: how many are about to fall asleep
 * @up:     how many have run; a futex word, for the last one
 */
struct dormitory {
	_Alignas(128) struct carom_event events[2];
	_Alignas(128) _Atomic uint32_t words[2];
	_Alignas(128) _Atomic uint32_t coming;
	_Alignas(128) _Atomic uint32_t up;
};

/** struct house - how they sleep and are woken */
struct house {
	struct bench_job job;
	struct dormitory *dormitory;
	unsigned int bed;
	void (*sleep)(struct dormitory *dormitory, unsigned int bed);
	void (*wake)(struct dormitory *dormitory, unsigned int bed);
	void (*make)(struct dormitory *dormitory, unsigned int bed);
	pid_t *sleepers;
};

static void event_sleep(struct dormitory *dormitory, unsigned int bed)
{
	carom_event_wait(&dormitory->events[bed], CAROM_NO_DEADLINE);
}

static void event_wake(struct dormitory *dormitory, unsigned int bed)
{
	carom_event_set(&dormitory->events[bed]);
}

static void event_make(struct dormitory *dormitory, unsigned int bed)
{
	carom_event_clear(&dormitory->events[bed]);
}

static void futex_sleep(struct dormitory *dormitory, unsigned int bed)
{
	while (atomic_load(&dormitory->words[bed]) == 0)
		syscall(SYS_futex, &dormitory->words[bed], FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void futex_wake(struct dormitory *dormitory, unsigned int bed)
{
	atomic_store(&dormitory->words[bed], 1);
	syscall(SYS_futex, &dormitory->words[bed], FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void futex_make(struct dormitory *dormitory, unsigned int bed)
{
	atomic_store(&dormitory->words[bed], 0);
}

static void be_sleeper(const struct house *house)
{
	struct dormitory *dormitory = house->dormitory;
	uint32_t all = (uint32_t)house->job.child_count;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	bench_place(0, house->job.worker_cpu);
	for (unsigned int bed = 0;; bed = !bed) {
		atomic_fetch_add(&dormitory->coming, 1);
		house->sleep(dormitory, bed);
		if (atomic_fetch_add(&dormitory->up, 1) == all - 1)
			syscall(SYS_futex, &dormitory->up, FUTEX_WAKE, 1, NULL, NULL, 0);
	}
}

static int move_in(struct house *house)
{
	house->dormitory = mmap(NULL, sizeof(*house->dormitory), PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	house->sleepers = calloc(house->job.child_count, sizeof(pid_t));
	if (house->dormitory == MAP_FAILED || !house->sleepers)
		return -ENOMEM;
	for (uint64_t i = 0; i < house->job.child_count; i++) {
		house->sleepers[i] = fork();
		if (house->sleepers[i] == 0)
			be_sleeper(house);
		if (house->sleepers[i] < 0)
			return -errno;
	}
	return 0;
}

static int setup_event(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	struct house *house = calloc(1, sizeof(*house));

	if (!house)
		return -ENOMEM;
	*ret_state = house;
	*house = (struct house){
		.job = *job, .sleep = event_sleep, .wake = event_wake, .make = event_make
	};
	return move_in(house);
}

static int setup_futex(const struct bench_job *job, struct bench_sample *sample, void **ret_state)
{
	struct house *house = calloc(1, sizeof(*house));

	if (!house)
		return -ENOMEM;
	*ret_state = house;
	*house = (struct house){
		.job = *job, .sleep = futex_sleep, .wake = futex_wake, .make = futex_make
	};
	return move_in(house);
}

static void await(_Atomic uint32_t *word, uint32_t value)
{
	uint32_t seen;

	while ((seen = atomic_load(word)) != value)
		syscall(SYS_futex, word, FUTEX_WAIT, seen, NULL, NULL, 0);
}

/* Nobody tells when the last of them has fallen asleep. */
static void await_all_asleep(const struct house *house)
{
	while (atomic_load(&house->dormitory->coming) != house->job.child_count)
		bench_let_pass(SETTLE_NS / 10);
	bench_let_pass(SETTLE_NS);
}

static int operate(void *state, uint64_t task_count, struct bench_operation *operation)
{
	struct house *house = state;
	struct dormitory *dormitory = house->dormitory;
	uint64_t begin;

	await_all_asleep(house);
	house->make(dormitory, !house->bed);
	atomic_store(&dormitory->coming, 0);
	atomic_store(&dormitory->up, 0);
	begin = carom_now();
	house->wake(dormitory, house->bed);
	await(&dormitory->up, (uint32_t)house->job.child_count);
	operation->ns = carom_now() - begin;
	house->bed = !house->bed;
	return 0;
}

static void teardown(void *state)
{
	struct house *house = state;

	for (uint64_t i = 0; house->sleepers && i < house->job.child_count; i++)
		if (house->sleepers[i] > 0) {
			kill(house->sleepers[i], SIGKILL);
			waitpid(house->sleepers[i], NULL, 0);
		}
	free(house->sleepers);
	munmap(house->dormitory, sizeof(*house->dormitory));
	free(house);
}

#define ACT(how)                                                                      \
	{                                                                             \
		.workload_id = BENCH_EVENT, .setup = setup_##how, .operate = operate, \
		.teardown = teardown                                                  \
	}

const struct bench_act bench_carom_event_acts[] = { ACT(event), { 0 } };
const struct bench_act bench_futex_event_acts[] = { ACT(futex), { 0 } };
