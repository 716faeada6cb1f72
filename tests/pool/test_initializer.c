/* What runs in a worker before its first task. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <sys/wait.h>

#include "core/service.h"
#include "pool/pool_private.h"
#include "tests/pool/ends.h"

static _Atomic int *call_count; /* shared */
static _Atomic int *gate;       /* shared: 1 opens it */
static int64_t told;            /* a worker's own: what its initializer made of its data */

static int take_number(const void *data, size_t size)
{
	atomic_fetch_add(call_count, 1);
	if (size != sizeof(told))
		return -EINVAL;
	memcpy(&told, data, size);
	return 0;
}

static int reply_told(struct carom_call *call)
{
	return carom_reply(call, &told, sizeof(told));
}

static int sum_up(const void *data, size_t size)
{
	const unsigned char *bytes = data;

	for (size_t i = 0; i < size; i++)
		told += bytes[i];
	return 0;
}

static int fail(const void *data, size_t size)
{
	atomic_fetch_add(call_count, 1);
	return -ENOENT;
}

static int fail_once_open(const void *data, size_t size)
{
	return atomic_load(gate) ? -ENOENT : 0;
}

static int crash_at_once(const void *data, size_t size)
{
	signal(SIGSEGV, SIG_DFL);
	raise(SIGSEGV);
	return 0;
}

static int wait_at_gate(const void *data, size_t size)
{
	atomic_fetch_add(call_count, 1);
	while (!atomic_load(gate))
		usleep(1000);
	told = (int64_t)carom_now();
	return 0;
}

static int sleep_long(const void *data, size_t size)
{
	atomic_fetch_add(call_count, 1);
	for (;;)
		pause();
	return 0;
}

static void set_up(void)
{
	call_count = share(2 * sizeof(int));
	gate = call_count + 1;
}

TestSuite(initializer, .init = set_up);

static int64_t ask_what_was_told(struct carom_pool *pool)
{
	int64_t out = 0;

	cr_assert(zero(int,
		       carom_pool_apply(pool, reply_told, NULL, 0, &out, sizeof(out), NULL, NULL)));
	return out;
}

/* PC-02 */
Test(initializer, runs_once_in_every_worker_and_in_its_replacement, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t number = 4711;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 3,
							       .initializer = take_number,
							       .initializer_data = &number,
							       .initializer_size = sizeof(number)),
					   &pool)));
	number = 0; /* it was copied */
	await_count(call_count, 3);
	cr_expect(eq(i64, ask_what_was_told(pool), 4711));
	cr_expect(eq(int, atomic_load(call_count), 3));
	kill(pid_of_worker(pool, 1), SIGKILL);
	await_count(call_count, 4);
	cr_expect(eq(i64, ask_what_was_told(pool), 4711));
}

Test(initializer, is_given_data_of_any_size, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	size_t size = CAROM_MIB(3) + 17;
	unsigned char *data = malloc(size);
	int64_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += data[i] = (unsigned char)(i * 7);
	cr_assert(zero(int,
		       carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .initializer = sum_up,
							  .initializer_data = data,
							  .initializer_size = size),
				      &pool)));
	memset(data, 0xff, size);
	free(data);
	cr_expect(eq(i64, ask_what_was_told(pool), sum));
}

Test(initializer, is_refused_data_that_is_not_there_or_finds_no_room, .timeout = 20)
{
	struct carom_pool *pool = NULL;
	char *data = calloc(1, CAROM_MIB(2));

	cr_expect(eq(int,
		     carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .initializer = sum_up,
							.initializer_size = 8),
				    &pool),
		     -EINVAL));
	cr_expect(eq(int,
		     carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .initializer = sum_up,
							.initializer_data = data,
							.initializer_size = CAROM_MIB(2),
							.payload_size = CAROM_MIB(1)),
				    &pool),
		     -ENOMEM));
	cr_expect(eq(ptr, pool, NULL));
	free(data);
}

Test(initializer, comes_before_the_first_task, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	struct carom_outcome outcome;
	int64_t ended = 0;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .timestamps = 1,
							       .initializer = wait_at_gate),
					   &pool)));
	cr_assert(zero(int, carom_pool_apply_async(pool, reply_told, NULL, 0, NULL, &result)));
	await_count(call_count, 1);
	cr_expect(not(carom_result_ready(result)));
	atomic_store(gate, 1);
	cr_assert(zero(int,
		       carom_result_get(result, CAROM_NO_DEADLINE, &ended, sizeof(ended), NULL)));
	carom_result_outcome(result, &outcome);
	cr_expect(ge(i64, (int64_t)outcome.started_ns, ended));
	cr_expect(lt(i64, 0, ended));
}

/* A pool whose workers cannot begin: whoever waits is told so, and why. */
static void expect_broken(struct carom_pool *pool, enum carom_broken_reason reason)
{
	const char *word = carom_broken_reason_name(reason);
	struct carom_broken broken = { .reason = CAROM_BROKEN_NOT };
	struct carom_outcome outcome = { .kind = CAROM_OUTCOME_PENDING };
	char text[160];
	int r = carom_pool_apply(pool, square, &(int64_t){ 2 }, 8, &(int64_t){ 0 }, 8, NULL,
				 &outcome);

	if (r != -ENOTRECOVERABLE) { /* else it was over before the task came */
		cr_expect(eq(int, r, -EREMOTEIO));
		cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_POOL_BROKEN));
		carom_outcome_describe(&outcome, text, sizeof(text));
		cr_expect(ne(ptr, strstr(text, word), NULL));
	}
	cr_expect(eq(int, carom_pool_apply_async(pool, nothing, NULL, 0, NULL, NULL),
		     -ENOTRECOVERABLE));
	cr_expect(eq(int, carom_pool_broken(pool, &broken), 1));
	cr_expect(eq(u64, broken.reason, reason));
}

/* PX-05 */
/* PC-03 */
Test(initializer, pain_9_failing_breaks_the_pool_and_answers_everybody, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	watch_ends();
	cr_assert(zero(int,
		       carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .initializer = fail),
				      &pool)));
	expect_broken(pool, CAROM_BROKEN_INIT_FAILED);
	cr_expect(lt(int, atomic_load(call_count), 1000));
	for (int i = 0; i < 3; i++)
		cr_expect(ended_by(&ends[i], "exitcode 1"));
}

/* WK-02 */
Test(initializer, failing_is_status_1_and_a_pool_that_ends_well_has_none, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	watch_ends();
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							       .initializer = fail_once_open),
					   &pool)));
	ask_what_was_told(pool);
	atomic_store(gate, 1);
	kill(pid_of_worker(pool, 0), SIGKILL);
	cr_expect(ended_by(await_end(0), "signal 9 (SIGKILL)"));
	cr_expect(ended_by(await_end(1), "exitcode 1"));
	atomic_store(gate, 0);
	ask_what_was_told(pool);
	carom_pool_close(pool);
	cr_assert(zero(int, carom_pool_join(pool, CAROM_NO_DEADLINE)));
	cr_expect(ended_by(&ends[atomic_load(&end_count) - 1], "exitcode 0"));
}

Test(initializer, that_crashes_has_failed_too, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	watch_ends();
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							       .initializer = crash_at_once),
					   &pool)));
	cr_expect(ended_by(await_end(0), "signal 11 (SIGSEGV)"));
	expect_broken(pool, CAROM_BROKEN_INIT_FAILED);
}

/* PC-28 */
Test(initializer, pain_10_taking_too_long_is_counted_and_ends, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	uint64_t begun = carom_now();

	watch_ends();
	cr_assert(zero(
		int,
		carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .initializer = sleep_long,
						   .start_timeout_ns = CAROM_MILLISECONDS(50)),
			       &pool)));
	cr_expect(ended_by(await_end(0), "signal 9 (SIGKILL)"));
	cr_expect(ge(u64, carom_now() - begun, CAROM_MILLISECONDS(50)));
	expect_broken(pool, CAROM_BROKEN_INIT_TIMEOUT);
	cr_expect(lt(int, atomic_load(call_count), 200));
}

/* in the loop's thread: what was a minute is over */
static void end_start_times(void *userdata)
{
	struct carom_pool *pool = userdata;

	for (int i = 0; i < 2; i++)
		carom_loop_timer_set(carom_service_loop(pool->service),
				     &pool->workers[i].current->start_timer, CAROM_PASSED);
}

struct start_timers {
	struct carom_pool *pool;
	int count;
};

static void count_start_timers(void *userdata)
{
	struct start_timers *timers = userdata;

	timers->count = 0;
	for (int i = 0; i < 2; i++) {
		const struct incarnation *current = timers->pool->workers[i].current;

		timers->count += current && current->start_timer.heap_index;
	}
}

/* those that are set */
static int start_timers_of(struct carom_pool *pool)
{
	struct start_timers timers = { .pool = pool };

	carom_service_run(pool->service, count_start_timers, &timers);
	return timers.count;
}

Test(initializer, in_time_is_left_alone, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t number = 5;

	watch_ends();
	cr_assert(zero(
		int,
		carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .initializer = take_number,
						   .initializer_data = &number,
						   .initializer_size = sizeof(number),
						   .start_timeout_ns = CAROM_SECONDS(60)),
			       &pool)));
	cr_assert(zero(int, carom_pool_wait_ready(pool, CAROM_NO_DEADLINE)));
	while (start_timers_of(pool) < 2) /* a worker may be ready before its supervisor knows it */
		sched_yield();
	carom_service_run(pool->service, end_start_times, pool);
	while (start_timers_of(pool) > 0)
		sched_yield();
	for (int i = 0; i < 100; i++)
		cr_assert(eq(i64, ask_what_was_told(pool), 5));
	cr_expect(zero(int, atomic_load(&end_count)));
}
