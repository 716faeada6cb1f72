/*
 * Clock: no wait of the library asks for the time of day. Here that runs backwards, an hour
 * each second, for whoever asks; and all waits end when they should.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ipc/connection.h"
#include "ipc/pipe.h"
#include "ipc/queue.h"
#include "shm/barrier.h"
#include "shm/condition.h"
#include "shm/event.h"
#include "shm/lock.h"
#include "shm/mutex.h"
#include "shm/semaphore.h"
#include "tests/needs.h"
#include "tests/pool/ends.h"

/* ---- the time of day ---- */

static _Atomic int times_asked;

static int64_t monotonic_ns(void)
{
	struct timespec now;

	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static int64_t time_of_day_ns(void)
{
	times_asked++;
	return INT64_C(4000000000000000000) - 3600 * (monotonic_ns() % INT64_C(100000000000000));
}

/* In the place of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *now)
{
	int64_t ns;

	if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE)
		return (int)syscall(SYS_clock_gettime, clock, now);
	ns = time_of_day_ns();
	*now = (struct timespec){ ns / 1000000000, ns % 1000000000 };
	return 0;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
	int64_t ns = time_of_day_ns();

	*now = (struct timeval){ ns / 1000000000, ns % 1000000000 / 1000 };
	return 0;
}

time_t time(time_t *now)
{
	time_t seconds = (time_t)(time_of_day_ns() / 1000000000);

	if (now)
		*now = seconds;
	return seconds;
}

/* ---- waits ---- */

#define WAIT_NS CAROM_MILLISECONDS(20)

/* It has timed out, when it was to, give or take what a loaded machine needs. */
#define EXPECT_TIMED_OUT(call)                                           \
	do {                                                             \
		uint64_t before_ns_ = (uint64_t)monotonic_ns(), ns_;     \
		int r_ = (call);                                         \
                                                                         \
		ns_ = (uint64_t)monotonic_ns() - before_ns_;             \
		cr_expect(eq(int, r_, -ETIMEDOUT), "%s", #call);         \
		cr_expect(le(u64, WAIT_NS, ns_), "%s", #call);           \
		cr_expect(lt(u64, ns_, CAROM_SECONDS(10)), "%s", #call); \
	} while (0)

static uint64_t deadline(void)
{
	return carom_deadline_after(WAIT_NS);
}

/* SN-11 */
Test(clock, of_the_day_has_no_effect_on_locks, .timeout = 60)
{
	CAROM_CLEANUP(carom_lock_freep) struct carom_lock *lock = NULL;
	CAROM_CLEANUP(carom_semaphore_freep) struct carom_semaphore *semaphore = NULL;
	CAROM_CLEANUP(carom_condition_freep) struct carom_condition *condition = NULL;
	CAROM_CLEANUP(carom_barrier_freep) struct carom_barrier *barrier = NULL;
	struct carom_event event = { { 0 } };

	NEEDS("get_robust_list");
	EXPECT_TIMED_OUT(carom_event_wait(&event, deadline()));
	cr_assert(zero(int, carom_lock_new(NULL, &lock)));
	cr_assert(zero(int, carom_lock_acquire(lock, deadline())));
	EXPECT_TIMED_OUT(carom_lock_acquire(lock, deadline()));
	cr_assert(zero(int, carom_semaphore_new(0, NULL, &semaphore)));
	EXPECT_TIMED_OUT(carom_semaphore_acquire(semaphore, deadline()));
	cr_assert(zero(int, carom_condition_new(NULL, &condition)));
	cr_assert(zero(int, carom_condition_acquire(condition, deadline())));
	EXPECT_TIMED_OUT(carom_condition_wait(condition, deadline()));
	cr_assert(zero(int, carom_condition_release(condition)));
	cr_assert(zero(int, carom_barrier_new(2, NULL, &barrier)));
	EXPECT_TIMED_OUT(carom_barrier_wait(barrier, deadline()));
}

static struct carom_mutex *held_by_another(pid_t *ret_pid)
{
	struct carom_mutex *mutex = share(sizeof(*mutex));
	pid_t pid;

	cr_assert(zero(int, carom_mutex_init(mutex)));
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		carom_mutex_acquire(mutex, CAROM_NO_DEADLINE);
		for (;;)
			pause();
	}
	while (!carom_mutex_owner(mutex))
		sched_yield();
	*ret_pid = pid;
	return mutex;
}

static void expect_mutex_timed_out(void)
{
	pid_t pid;
	struct carom_mutex *mutex = held_by_another(&pid);

	EXPECT_TIMED_OUT(carom_mutex_acquire(mutex, deadline()));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* SN-11 */
Test(clock, of_the_day_has_no_effect_on_a_mutex, .timeout = 60)
{
	expect_mutex_timed_out();
}

/* SN-11 */
Test(clock, of_the_day_has_no_effect_on_a_mutex_of_the_pthread_library, .timeout = 60)
{
	setenv("CAROM_DENY", "robust_list", 1);
	expect_mutex_timed_out();
}

/* SN-11 */
Test(clock, of_the_day_has_no_effect_on_messages, .timeout = 60)
{
	CAROM_CLEANUP(carom_queue_freep) struct carom_queue *queue = NULL;
	CAROM_CLEANUP(carom_connection_freep) struct carom_connection *mine = NULL;
	CAROM_CLEANUP(carom_connection_freep) struct carom_connection *theirs = NULL;
	char byte;
	size_t size;

	NEEDS("get_robust_list");
	cr_assert(zero(int, carom_queue_new(NULL, &queue)));
	EXPECT_TIMED_OUT(carom_queue_get(queue, &byte, 1, deadline(), &size));
	for (int is_socket = 0; is_socket < 2; is_socket++) {
		cr_assert(zero(int, carom_pipe_new(&CAROM_PIPE_OPTIONS(.is_socket = is_socket),
						   &mine, &theirs)));
		EXPECT_TIMED_OUT(
			carom_connection_recv_bytes_into(mine, &byte, 1, deadline(), &size));
		EXPECT_TIMED_OUT(carom_connection_poll(mine, deadline()));
		mine = carom_connection_free(mine);
		theirs = carom_connection_free(theirs);
	}
}

static int sleep_for_ever(struct carom_call *call)
{
	while (pause() < 0) /* which it always is */
		;
	return 0;
}

/* SN-11 */
Test(clock, of_the_day_has_no_effect_on_tasks_and_children, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	struct carom_outcome outcome;
	uint64_t before_ns = (uint64_t)monotonic_ns();

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							       .hard_limit_ns = 5 * WAIT_NS),
					   &pool)));
	cr_assert(zero(int, carom_pool_apply_async(pool, sleep_for_ever, NULL, 0, NULL, &result)));
	EXPECT_TIMED_OUT(carom_result_wait(result, deadline()));
	cr_assert(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
	cr_expect(le(u64, 5 * WAIT_NS, (uint64_t)monotonic_ns() - before_ns));
	cr_assert(zero(int, carom_result_outcome(result, &outcome)));
	cr_expect(eq(int, (int)outcome.kind, (int)CAROM_OUTCOME_HARD_LIMIT));
}

/* What is asked for in a line of the log is what this file has put there. */
Test(clock, of_the_day_runs_backwards_here)
{
	time_t before = time(NULL);

	while (time(NULL) == before)
		sched_yield();
	cr_expect(lt(i64, (int64_t)time(NULL), (int64_t)before));
}
