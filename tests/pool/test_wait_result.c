/* One wait for results beside other things. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "ipc/pipe.h"
#include "ipc/queue.h"
#include "ipc/wait.h"
#include "tests/needs.h"
#include "tests/pool/gate.h"
#include "tests/pool/work.h"

#define SOON    carom_deadline_after(CAROM_SECONDS(30))
#define SHORTLY carom_deadline_after(CAROM_MILLISECONDS(20))

/* With futex_waitv(2), and as where there is none. */
#define TEST_WITH_AND_WITHOUT_WAITV(name)                            \
	static void name(void);                                      \
	Test(wait_result, name, .timeout = 60)                       \
	{                                                            \
		name();                                              \
	}                                                            \
	Test(wait_result, name##_without_futex_waitv, .timeout = 60) \
	{                                                            \
		setenv("CAROM_DENY", "futex_waitv", 1);              \
		name();                                              \
	}                                                            \
	static void name(void)

static struct gate *gate;

static int pass(struct carom_call *call)
{
	int64_t number;

	carom_call_read(call, &number, sizeof(number));
	gate_pass(gate, (uint32_t)number);
	return square(call);
}

static struct carom_pool *new_pool_with(const struct carom_pool_options *options)
{
	struct carom_pool *pool = NULL;

	gate = gate_new();
	cr_assert(zero(int, carom_pool_new(options, &pool)));
	return pool;
}

static struct carom_result *submit(struct carom_pool *pool, carom_task_fn *function, int64_t number)
{
	struct carom_result *result = NULL;

	cr_assert(zero(int, carom_pool_apply_async(pool, function, &number, sizeof(number), NULL,
						   &result)));
	return result;
}

/* ---- opened while somebody waits ---- */

static void *open_gate(void *number)
{
	while (atomic_load(&gate->begun) < (uint32_t)(uintptr_t)number)
		sched_yield();
	usleep(2000); /* so that it sleeps, most often; either way is right */
	gate_open(gate, (uint32_t)(uintptr_t)number);
	return NULL;
}

static pthread_t begin_opening(uint32_t number)
{
	pthread_t thread;

	cr_assert(zero(int, pthread_create(&thread, NULL, open_gate, (void *)(uintptr_t)number)));
	return thread;
}

/* Task @i is let through, and no other one. */
static void expect_end(struct carom_wait_item *items, size_t count, size_t i, uint32_t number)
{
	pthread_t thread = begin_opening(number);

	cr_expect(eq(int, carom_wait(items, count, SOON), 1));
	cr_expect(items[i].is_ready);
	pthread_join(thread, NULL);
}

static void expect_none(struct carom_wait_item *items, size_t count)
{
	cr_expect(eq(int, carom_wait(items, count, CAROM_PASSED), -EAGAIN));
	cr_expect(eq(int, carom_wait(items, count, SHORTLY), -ETIMEDOUT));
}

TEST_WITH_AND_WITHOUT_WAITV(ends_for_whichever_has_ended_first)
{
	struct carom_pool *pool = new_pool_with(&CAROM_POOL_OPTIONS(.worker_count = 3));
	struct carom_result *results[3];
	struct carom_wait_item items[3];

	for (int i = 0; i < 3; i++) {
		results[i] = submit(pool, pass, i);
		items[i] = CAROM_WAIT_FOR_RESULT(results[i]);
	}
	expect_none(items, 3);
	for (uint32_t i = 0; i < 3; i++)
		expect_end(items + i, 3 - i, 0, i + 1);
	cr_expect(eq(int, carom_wait(items, 3, SOON), 3), "there already");
	for (int i = 0; i < 3; i++)
		carom_result_free(results[i]);
	carom_pool_free(pool);
}

TEST_WITH_AND_WITHOUT_WAITV(stands_beside_all_else)
{
	struct carom_pool *pool = new_pool_with(&CAROM_POOL_OPTIONS(.worker_count = 1));
	struct carom_connection *first = NULL, *second = NULL;
	struct carom_queue *queue = NULL;
	struct carom_result *result = submit(pool, pass, 0);
	struct carom_wait_item items[5];

	NEEDS("get_robust_list");
	cr_assert(zero(int, carom_pipe_new(NULL, &first, &second)));
	cr_assert(zero(int, carom_queue_new(NULL, &queue)));
	items[0] = CAROM_WAIT_FOR_CONNECTION(second);
	items[1] = CAROM_WAIT_FOR_RESULT(result);
	items[2] = CAROM_WAIT_FOR_QUEUE(queue);
	items[3] = CAROM_WAIT_FOR_FD(eventfd(0, EFD_CLOEXEC));
	items[4] = CAROM_WAIT_FOR_RESULT(result);
	expect_none(items, 5);
	cr_assert(zero(int, carom_queue_put(queue, "x", 1, SOON)));
	cr_expect(eq(int, carom_wait(items, 5, SOON), 1));
	cr_expect(items[2].is_ready);
	cr_assert(zero(int, carom_queue_get(queue, (char[1]){ 0 }, 1, SOON, &(size_t){ 0 })));
	expect_none(items, 5);
	expect_end(items, 4, 1, 1);
	cr_expect(eq(int, carom_wait(items, 5, SOON), 2), "the same one twice");
	close(items[3].fd);
	carom_connection_free(first);
	carom_connection_free(second);
	carom_queue_free(queue);
	carom_result_free(result);
	carom_pool_free(pool);
}

TEST_WITH_AND_WITHOUT_WAITV(ends_when_its_worker_dies)
{
	struct carom_pool *pool = new_pool_with(&CAROM_POOL_OPTIONS(.worker_count = 1));
	struct carom_result *result = submit(pool, pass, 0);
	struct carom_wait_item items[] = { CAROM_WAIT_FOR_RESULT(result),
					   CAROM_WAIT_FOR_FD(eventfd(0, EFD_CLOEXEC)) };
	struct carom_outcome outcome;
	struct carom_worker_info info;

	gate_await(&gate->begun, 1);
	cr_assert(eq(int, (int)carom_pool_workers(pool, &info, 1), 1));
	kill((pid_t)info.pid, SIGKILL);
	cr_expect(eq(int, carom_wait(items, 2, SOON), 1));
	cr_expect(items[0].is_ready);
	cr_expect(zero(int, carom_result_outcome(result, &outcome)));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
	close(items[1].fd);
	carom_result_free(result);
	carom_pool_free(pool);
}

static void *terminate(void *pool)
{
	usleep(2000); /* as above */
	carom_pool_terminate(pool);
	return NULL;
}

Test(wait_result, ends_when_its_pool_is_terminated, .timeout = 60)
{
	struct carom_pool *pool = new_pool_with(&CAROM_POOL_OPTIONS(.worker_count = 1));
	struct carom_result *runs = submit(pool, pass, 0), *waits = submit(pool, pass, 1);
	struct carom_wait_item items[] = { CAROM_WAIT_FOR_RESULT(waits),
					   CAROM_WAIT_FOR_RESULT(runs) };
	pthread_t thread;

	gate_await(&gate->begun, 1);
	cr_assert(zero(int, pthread_create(&thread, NULL, terminate, pool)));
	for (int i = 0; i < 2; i++)
		cr_expect(eq(int, carom_wait(&items[i], 1, SOON), 1));
	pthread_join(thread, NULL);
	carom_result_free(runs);
	carom_result_free(waits);
	carom_pool_free(pool);
}

/* ---- other kinds of results ---- */

TEST_WITH_AND_WITHOUT_WAITV(of_a_map_is_ready_when_all_of_it_is)
{
	struct carom_pool *pool = new_pool_with(&CAROM_POOL_OPTIONS(.worker_count = 2));
	struct carom_result *result = NULL;
	int64_t numbers[] = { 0, 1, 2, 3 }, squares[4] = { 0 };
	struct carom_wait_item item;

	cr_assert(zero(int, carom_pool_map_async(pool, pass, numbers, 4, sizeof(*numbers), squares,
						 sizeof(*squares),
						 &CAROM_MAP_OPTIONS(.chunk_size = 1), &result)));
	item = CAROM_WAIT_FOR_RESULT(result);
	gate_await(&gate->begun, 2);
	gate_open(gate, 2);
	expect_none(&item, 1);
	expect_end(&item, 1, 0, 4);
	cr_expect(eq(i64, squares[3], 9));
	carom_result_free(result);
	carom_pool_free(pool);
}

/* While it is waited for, what nobody has begun goes to whoever has nothing to do. */
Test(wait_result, of_a_map_is_shared_out, .timeout = 60)
{
	struct carom_pool *pool = new_pool_with(&CAROM_POOL_OPTIONS(.worker_count = 2));
	struct carom_result *result = NULL;
	int64_t numbers[] = { 9, 0, 0, 0, 0, 0 };
	struct carom_wait_item item;

	gate_open(gate, 1);
	cr_assert(zero(int, carom_pool_map_async(pool, pass, numbers, 6, sizeof(*numbers), NULL, 0,
						 &CAROM_MAP_OPTIONS(.chunk_size = 6), &result)));
	item = CAROM_WAIT_FOR_RESULT(result);
	while (atomic_load(&gate->begun) < 2)
		cr_expect(eq(int, carom_wait(&item, 1, SHORTLY), -ETIMEDOUT));
	gate_open(gate, 10);
	cr_expect(eq(int, carom_wait(&item, 1, SOON), 1));
	carom_result_free(result);
	carom_pool_free(pool);
}

static _Atomic int called;

static int call_late(struct carom_result *result, void *userdata)
{
	usleep(5000);
	atomic_store(&called, 1);
	return 0;
}

Test(wait_result, with_callbacks_first_is_ready_after_them, .timeout = 60)
{
	struct carom_pool *pool =
		new_pool_with(&CAROM_POOL_OPTIONS(.worker_count = 1, .callbacks_first = 1));
	struct carom_result *result = NULL;
	struct carom_wait_item items[2] = { [1] = CAROM_WAIT_FOR_FD(eventfd(0, EFD_CLOEXEC)) };

	cr_assert(zero(int, carom_pool_apply_async(pool, nothing, NULL, 0,
						   &CAROM_TASK_OPTIONS(.callback = call_late),
						   &result)));
	items[0] = CAROM_WAIT_FOR_RESULT(result);
	cr_expect(eq(int, carom_wait(items, 2, SOON), 1));
	cr_expect(eq(int, atomic_load(&called), 1));
	close(items[1].fd);
	carom_result_free(result);
	carom_pool_free(pool);
}

Test(wait_result, of_a_pool_without_threads_does_what_is_due, .timeout = 60)
{
	struct carom_pool *pool =
		new_pool_with(&CAROM_POOL_OPTIONS(.worker_count = 1, .polled = 1));
	struct carom_result *result = submit(pool, pass, 0);
	struct carom_wait_item item = CAROM_WAIT_FOR_RESULT(result);
	struct carom_worker_info info;

	expect_none(&item, 1);
	expect_end(&item, 1, 0, 1);
	carom_result_free(result);
	result = submit(pool, pass, 5);
	item = CAROM_WAIT_FOR_RESULT(result);
	gate_await(&gate->begun, 2);
	cr_assert(eq(int, (int)carom_pool_workers(pool, &info, 1), 1));
	kill((pid_t)info.pid, SIGKILL);
	cr_expect(eq(int, carom_wait(&item, 1, SOON), 1), "nobody else would see to the death");
	carom_result_free(result);
	carom_pool_free(pool);
}

Test(wait_result, of_a_pool_of_threads_is_waited_for_as_well, .timeout = 60)
{
	struct carom_context *context = NULL;
	struct carom_pool *pool;
	struct carom_result *result;
	struct carom_wait_item item;

	cr_assert(zero(int, carom_context_get("thread", &context)));
	pool = new_pool_with(&CAROM_POOL_OPTIONS(.worker_count = 1, .context = context));
	result = submit(pool, pass, 0);
	item = CAROM_WAIT_FOR_RESULT(result);
	expect_none(&item, 1);
	expect_end(&item, 1, 0, 1);
	carom_result_free(result);
	carom_pool_free(pool);
}

/* ---- very many, and few slots ---- */

#define MANY 1000

static void of_a_thousand(size_t beside)
{
	struct carom_pool *pool =
		new_pool_with(&CAROM_POOL_OPTIONS(.worker_count = 2, .slot_count = 2048));
	static struct carom_result *results[MANY];
	static struct carom_wait_item items[MANY + 1];
	size_t ready = 0;

	for (int64_t i = 0; i < MANY; i++) {
		results[i] = submit(pool, pass, i);
		items[i] = CAROM_WAIT_FOR_RESULT(results[i]);
	}
	items[MANY] = CAROM_WAIT_FOR_FD(eventfd(0, EFD_CLOEXEC));
	expect_none(items, MANY + beside);
	expect_end(items, MANY + beside, 0, 1);
	gate_open(gate, MANY);
	while (ready < MANY) {
		int n = carom_wait(items, MANY + beside, SOON);

		cr_assert(lt(int, 0, n));
		ready = (size_t)n;
	}
	close(items[MANY].fd);
	for (int i = 0; i < MANY; i++)
		carom_result_free(results[i]);
	carom_pool_free(pool);
}

Test(wait_result, of_a_thousand_is_told, .timeout = 60)
{
	of_a_thousand(0);
}

/* LC-13 */
Test(wait_result, of_a_thousand_is_told_beside_a_descriptor, .timeout = 60)
{
	of_a_thousand(1);
}

#define CHURN 2000

static void *churn(void *pool)
{
	struct carom_result *kept[8] = { NULL };

	for (int64_t i = 0; i < CHURN; i++) {
		carom_result_free(kept[i % 8]);
		kept[i % 8] = submit(pool, square, i);
	}
	for (int i = 0; i < 8; i++)
		carom_result_free(kept[i]);
	return NULL;
}

/* Slots are so few that results are moved out of them all the time: none is missed. */
Test(wait_result, is_not_missed_where_slots_are_few, .timeout = 60)
{
	struct carom_pool *pool =
		new_pool_with(&CAROM_POOL_OPTIONS(.worker_count = 2, .slot_count = 4));
	int fd = eventfd(0, EFD_CLOEXEC);
	pthread_t thread;

	cr_assert(zero(int, pthread_create(&thread, NULL, churn, pool)));
	for (int64_t i = 0; i < CHURN / 4; i++) {
		struct carom_result *first = submit(pool, square, i);
		struct carom_result *second = submit(pool, square, i);
		struct carom_wait_item items[] = { CAROM_WAIT_FOR_RESULT(first),
						   CAROM_WAIT_FOR_RESULT(second),
						   CAROM_WAIT_FOR_FD(fd) };

		cr_assert(lt(int, 0, carom_wait(items, i % 2 ? 3 : 2, SOON)));
		carom_result_free(first);
		carom_result_free(second);
	}
	pthread_join(thread, NULL);
	close(fd);
	carom_pool_free(pool);
}

Test(wait_result, from_before_a_fork_is_refused, .timeout = 60)
{
	struct carom_pool *pool = new_pool_with(&CAROM_POOL_OPTIONS(.worker_count = 1));
	struct carom_result *result = submit(pool, pass, 0);
	struct carom_wait_item item = CAROM_WAIT_FOR_RESULT(result);
	int status = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(carom_wait(&item, 1, SOON) == -ECHILD ? 0 : 1);
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_expect(zero(int, status));
	gate_open(gate, 1);
	carom_result_free(result);
	carom_pool_free(pool);
}
