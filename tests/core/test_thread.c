/* Threads that the end of a process waits for. */
#include "core/thread.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>

#include "core/context.h"
#include "core/finalizer.h"
#include "core/process.h"
#include "core/thread_private.h"
#include "tests/core/apart.h"

static _Atomic int arrived, done;
static pthread_barrier_t gate;

static void count(void *userdata)
{
	(void)userdata;
	done++;
}

static void count_after_gate(void *userdata)
{
	arrived++;
	pthread_barrier_wait(&gate);
	sched_yield();
	count(userdata);
}

Test(thread, is_waited_for, .timeout = 10)
{
	pthread_barrier_init(&gate, NULL, 4);
	for (int i = 0; i < 3; i++)
		cr_assert(zero(int, carom_thread_start(count_after_gate, NULL)));
	cr_expect(zero(int, done));
	pthread_barrier_wait(&gate);
	carom_threads_join(CAROM_NO_DEADLINE);
	cr_expect(eq(int, done, 3));
	carom_threads_join(CAROM_NO_DEADLINE);
}

static _Atomic int *shared;

/* Begins when the end of the process has, and takes longer than that alone would. */
static void dawdle(void *userdata)
{
	pthread_barrier_wait(&gate);
	for (int i = 0; i < 2000; i++)
		sched_yield();
	++*shared;
}

static int open_gate(void *userdata)
{
	pthread_barrier_wait(&gate);
	return 0;
}

static int return_early(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	pthread_barrier_init(&gate, NULL, 2);
	CHECK(carom_thread_start(dawdle, NULL) == 0);
	CHECK(carom_finalizer_add(CAROM_FINALIZER_DEFAULT, open_gate, NULL, NULL) == 0);
	return 3;
}

static void have_a_child(void)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NULL;
	struct carom_context *context = NULL;
	int code = -1;

	CHECK(carom_context_get("fork", &context) == 0);
	CHECK(carom_process_new(
		      &CAROM_PROCESS_OPTIONS(.context = context, .function = return_early),
		      &process) == 0);
	CHECK(carom_process_start(process) == 0);
	CHECK(carom_process_join(process, CAROM_NO_DEADLINE) == 0);
	CHECK(carom_process_exitcode(process, &code) == 0 && code == 3);
	CHECK(*shared == 1);
}

static void exit_early(void)
{
	exit(return_early(NULL, 0, NULL, 0));
}

/* BO-11 */
Test(thread, has_finished_before_a_child_or_a_program_ends, .timeout = 20)
{
	shared = share(sizeof(*shared));
	cr_expect(zero(int, apart(have_a_child)));
	cr_expect(eq(int, WEXITSTATUS(apart(exit_early)), 3));
	cr_expect(eq(int, *shared, 2));
}

static void start_another(void *userdata)
{
	CHECK(carom_thread_start(count_after_gate, userdata) == 0);
	count(userdata);
}

Test(thread, started_by_one_that_is_waited_for_is_waited_for_too, .timeout = 10)
{
	pthread_barrier_init(&gate, NULL, 1);
	for (int round = 1; round <= 100; round++) {
		cr_assert(zero(int, carom_thread_start(start_another, NULL)));
		carom_threads_join(CAROM_NO_DEADLINE);
		cr_assert(eq(int, done, 2 * round));
	}
}

static void leave_early(void *userdata)
{
	count(userdata);
	pthread_exit(NULL);
}

Test(thread, that_exits_by_itself_is_not_waited_for_any_more, .timeout = 10)
{
	cr_assert(zero(int, carom_thread_start(leave_early, NULL)));
	carom_threads_join(CAROM_NO_DEADLINE);
	cr_expect(eq(int, done, 1));
}

static void end_the_process(void *userdata)
{
	pthread_barrier_wait(&gate);
	carom_threads_join(CAROM_NO_DEADLINE);
	count(userdata);
}

Test(thread, that_ends_the_process_does_not_wait_for_itself_or_its_like, .timeout = 10)
{
	pthread_barrier_init(&gate, NULL, 3);
	cr_assert(zero(int, carom_thread_start(end_the_process, NULL)));
	cr_assert(zero(int, carom_thread_start(end_the_process, NULL)));
	pthread_barrier_wait(&gate);
	carom_threads_join(CAROM_NO_DEADLINE);
	while (done < 2)
		sched_yield();
}

static void be_a_child(void)
{
	carom_threads_join(CAROM_NO_DEADLINE);
	CHECK(done == 0);
	pthread_barrier_init(&gate, NULL, 1);
	CHECK(carom_thread_start(count_after_gate, NULL) == 0);
	carom_threads_join(CAROM_NO_DEADLINE);
	CHECK(done == 1);
}

Test(thread, of_the_parent_is_not_waited_for_in_a_child, .timeout = 10)
{
	pthread_barrier_init(&gate, NULL, 2);
	cr_assert(zero(int, carom_thread_start(count_after_gate, NULL)));
	while (!arrived)
		sched_yield(); /* a thread that is being born holds locks, some of a sanitizer's */
	cr_expect(zero(int, apart(be_a_child)));
	pthread_barrier_wait(&gate);
	carom_threads_join(CAROM_NO_DEADLINE);
	cr_expect(eq(int, done, 1));
}

static void fork_from_here(void *userdata)
{
	*(int *)userdata = apart(be_a_child);
}

Test(thread, that_forks_does_not_count_in_the_child, .timeout = 10)
{
	int status = -1;

	cr_assert(zero(int, carom_thread_start(fork_from_here, &status)));
	carom_threads_join(CAROM_NO_DEADLINE);
	cr_expect(zero(int, status));
}

/* AddressSanitizer reserves terabytes */
#ifdef __SANITIZE_ADDRESS__
static const bool can_limit_memory = false;
#else
static const bool can_limit_memory = true;
#endif

static void limit_memory(rlim_t size)
{
	struct rlimit limit = { size, size };

	CHECK(!can_limit_memory || setrlimit(RLIMIT_AS, &limit) == 0);
}

/* The stacks of threads that were not joined would not fit. */
static void start_many(void)
{
	limit_memory((rlim_t)6 << 30);
	for (int i = 0; i < 2000; i++) {
		CHECK(carom_thread_start(count, NULL) == 0);
		if (i % 10 == 0)
			carom_threads_join(CAROM_NO_DEADLINE);
	}
	carom_threads_join(CAROM_NO_DEADLINE);
	CHECK(done == 2000);
}

Test(thread, leaves_nothing_behind, .timeout = 30)
{
	cr_expect(zero(int, apart(start_many)));
}

static void have_no_memory_for_it(void)
{
	int r = 0;

	limit_memory(64 << 20);
	pthread_barrier_init(&gate, NULL, 1000);
	for (int i = 0; r == 0 && i < 999; i++)
		r = carom_thread_start(count_after_gate, NULL);
	CHECK(r == -EAGAIN);
}

Test(thread, that_cannot_be_made_says_so, .timeout = 10)
{
	cr_expect(eq(int, carom_thread_start(NULL, NULL), -EINVAL));
	if (can_limit_memory)
		cr_expect(zero(int, apart(have_no_memory_for_it)));
}
