/* Handles of the context "thread": multiprocessing.dummy. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/context.h"
#include "core/process.h"
#include "core/thread_private.h"
#include "core/time.h"
#include "tests/core/apart.h"

static struct carom_context *context_named(const char *method)
{
	struct carom_context *context = NULL;

	return carom_context_get(method, &context) == 0 ? context : NULL;
}

/* Not started; NULL is a failure. */
#define NEW(...) new_with(CAROM_PROCESS_OPTIONS(.context = context_named("thread"), __VA_ARGS__))

static struct carom_process *new_with(struct carom_process_options options)
{
	struct carom_process *process = NULL;

	return carom_process_new(&options, &process) == 0 ? process : NULL;
}

static int code_of(struct carom_process *process)
{
	int code = -1000;
	int r = carom_process_exitcode(process, &code);

	return r < 0 ? r : code;
}

/* What a function and its test say to each other. */
struct talk {
	sem_t has_begun, may_end;
	pid_t pid;
	pthread_t thread;
	const int *fds;
	struct carom_process *current;
	char name[64];
	bool is_alive, is_active;
	int join, daemon;
};

static void begin_talk(struct talk *talk)
{
	*talk = (struct talk){ 0 };
	sem_init(&talk->has_begun, 0, 0);
	sem_init(&talk->may_end, 0, 0);
}

static bool is_active(struct carom_process *process)
{
	struct carom_process *children[8];
	size_t count = carom_active_children(children, 8);
	bool is_there = false;

	for (size_t i = 0; i < count && i < 8; i++) {
		is_there |= children[i] == process;
		carom_process_free(children[i]);
	}
	return is_there;
}

static int converse(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct talk *talk = (struct talk *)argument;

	talk->pid = getpid();
	talk->thread = pthread_self();
	talk->fds = fd_count ? fds : NULL;
	talk->current = carom_current_process();
	carom_process_name(talk->current, talk->name, sizeof(talk->name));
	talk->is_alive = carom_process_is_alive(talk->current) == 1;
	talk->is_active = is_active(talk->current);
	talk->join = carom_process_join(talk->current, CAROM_PASSED);
	talk->daemon = carom_process_daemon(talk->current);
	sem_post(&talk->has_begun);
	sem_wait(&talk->may_end);
	return 0;
}
CAROM_REGISTER(converse);

/* DT-02 */
Test(process_thread, runs_its_function_in_this_process, .timeout = 20)
{
	struct talk talk;
	CAROM_CLEANUP(carom_process_freep)
	struct carom_process *process = NEW(.function = converse, .argument = &talk);
	uint64_t soon;

	begin_talk(&talk);
	cr_assert(process != NULL);
	cr_expect(eq(int, carom_process_is_alive(process), 0));
	cr_expect(eq(int, code_of(process), -EINPROGRESS));
	cr_expect(eq(int, carom_process_join(process, CAROM_PASSED), -EINVAL));
	cr_assert(zero(int, carom_process_start(process)));
	sem_wait(&talk.has_begun); /* it got the pointer itself */
	cr_expect(eq(int, talk.pid, getpid()));
	cr_expect(pthread_equal(talk.thread, pthread_self()) == 0);
	cr_expect(eq(int, carom_process_pid(process), 0));
	cr_expect(eq(int, carom_process_is_alive(process), 1));
	cr_expect(eq(int, code_of(process), -EINPROGRESS));
	soon = carom_deadline_after(CAROM_MILLISECONDS(5));
	cr_expect(eq(int, carom_process_join(process, soon), -ETIMEDOUT));
	cr_expect(carom_now() >= soon);
	sem_post(&talk.may_end);
	cr_expect(zero(int, carom_process_join(process, CAROM_NO_DEADLINE)));
	cr_expect(zero(int, carom_process_join(process, CAROM_PASSED)));
	cr_expect(eq(int, carom_process_is_alive(process), 0));
	cr_expect(eq(int, code_of(process), 0));
}

static int fail(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return -EIO;
}

static int leave(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	pthread_exit(NULL);
}

static int return_7(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return 7;
}

/* DT-02 */
Test(process_thread, has_status_0_even_if_its_function_fails, .timeout = 20)
{
	carom_process_fn *const functions[] = { fail, leave, return_7, NULL };

	for (size_t i = 0; i < 4; i++) {
		CAROM_CLEANUP(carom_process_freep)
		struct carom_process *process = NEW(.function = functions[i]);

		cr_assert(process != NULL);
		cr_assert(zero(int, carom_process_start(process)));
		cr_expect(zero(int, carom_process_join(process, CAROM_NO_DEADLINE)));
		cr_expect(eq(int, code_of(process), 0), "%zu", i);
	}
}

static void *start_elsewhere(void *process)
{
	return (void *)(intptr_t)carom_process_start(process);
}

/* DT-02 */
Test(process_thread, is_started_once_and_by_its_creator_alone, .timeout = 20)
{
	CAROM_CLEANUP(carom_process_freep)
	struct carom_process *process = NEW(.name = "twice");
	pthread_t thread;
	void *r;

	cr_assert(process != NULL);
	for (int i = 0; i < 3; i++) { /* threads that follow each other have the same pthread_t */
		cr_assert(zero(int, pthread_create(&thread, NULL, start_elsewhere, process)));
		pthread_join(thread, &r);
		cr_expect(eq(int, (int)(intptr_t)r, -EPERM));
	}
	cr_expect(zero(int, carom_process_start(process)));
	cr_expect(eq(int, carom_process_start(process), -EALREADY));
	cr_expect(zero(int, carom_process_join(process, CAROM_NO_DEADLINE)));
	cr_expect(eq(int, carom_process_start(process), -EALREADY));
}

/* DT-01 */
Test(process_thread, is_the_current_process_of_its_function, .timeout = 20)
{
	struct talk talk;
	int fds[] = { 0 };
	CAROM_CLEANUP(carom_process_freep)
	struct carom_process *process =
		NEW(.function_name = "converse", .argument = &talk, .fds = fds, .fd_count = 1);
	char text[200], expected[200];

	begin_talk(&talk);
	cr_assert(process != NULL);
	cr_assert(zero(int, carom_process_start(process)));
	sem_wait(&talk.has_begun);
	cr_expect(talk.current == process && talk.is_alive);
	cr_expect(eq(str, talk.name, (char *)"DummyProcess-1"));
	cr_expect(eq(int, talk.join, -EDEADLK));
	cr_expect(eq(int, talk.daemon, 0));
	cr_expect(talk.fds && talk.fds[0] == 0);
	cr_expect(carom_current_process() != process);
	cr_expect(zero(int, carom_process_set_name(process, "Renamed")));
	carom_process_describe(process, text, sizeof(text));
	snprintf(expected, sizeof(expected), "<DummyProcess name='Renamed' parent=%d started>",
		 (int)getpid());
	cr_expect(eq(str, text, (char *)expected));
	cr_expect(zero(int, carom_process_name(carom_current_process(), text, sizeof(text))));
	cr_expect(eq(str, text, (char *)"MainProcess"));
	sem_post(&talk.may_end);
	cr_expect(zero(int, carom_process_join(process, CAROM_NO_DEADLINE)));
}

/* DT-01 */
Test(process_thread, is_among_the_active_children_while_it_runs, .timeout = 20)
{
	struct talk talk;
	CAROM_CLEANUP(carom_process_freep)
	struct carom_process *process = NEW(.function = converse, .argument = &talk);

	begin_talk(&talk);
	cr_assert(process != NULL);
	cr_expect(is_active(process) == false);
	cr_assert(zero(int, carom_process_start(process)));
	cr_expect(is_active(process));
	sem_wait(&talk.has_begun);
	cr_expect(talk.is_active);
	sem_post(&talk.may_end);
	cr_expect(zero(int, carom_process_join(process, CAROM_NO_DEADLINE)));
	cr_expect(is_active(process) == false);
}

/* DT-03 */
Test(process_thread, takes_no_signals, .timeout = 20)
{
	struct talk talk;
	CAROM_CLEANUP(carom_process_freep)
	struct carom_process *process = NEW(.function = converse, .argument = &talk);

	begin_talk(&talk);
	cr_assert(process != NULL);
	cr_assert(zero(int, carom_process_start(process)));
	sem_wait(&talk.has_begun);
	cr_expect(eq(int, carom_process_terminate(process), -EOPNOTSUPP));
	cr_expect(eq(int, carom_process_terminate_controlled(process), -EOPNOTSUPP));
	cr_expect(eq(int, carom_process_interrupt(process), -EOPNOTSUPP));
	cr_expect(eq(int, carom_process_kill(process), -EOPNOTSUPP));
	cr_expect(eq(int, carom_process_signal(process, SIGUSR1), -EOPNOTSUPP));
	cr_expect(eq(int, carom_process_sentinel(process), -EOPNOTSUPP));
	cr_expect(eq(int, carom_process_is_alive(process), 1));
	sem_post(&talk.may_end);
	cr_expect(zero(int, carom_process_join(process, CAROM_NO_DEADLINE)));
	cr_expect(eq(int, carom_process_kill(process), -EOPNOTSUPP));
}

static int run_until_cancelled(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	while (!carom_process_is_cancelled(carom_current_process()))
		sched_yield();
	return 0;
}

/* DT-03 */
Test(process_thread, is_cancelled_by_a_flag_that_it_sees, .timeout = 20)
{
	CAROM_CLEANUP(carom_process_freep)
	struct carom_process *process = NEW(.function = run_until_cancelled);
	CAROM_CLEANUP(carom_process_freep)
	struct carom_process *other = NEW(.function = run_until_cancelled);

	cr_assert(process && other);
	cr_expect(eq(int, carom_process_cancel(process), -EINVAL));
	cr_assert(zero(int, carom_process_start(process)));
	cr_assert(zero(int, carom_process_start(other)));
	cr_expect(eq(int, carom_process_is_cancelled(process), 0));
	cr_expect(zero(int, carom_process_cancel(process)));
	cr_expect(zero(int, carom_process_join(process, CAROM_NO_DEADLINE)));
	cr_expect(zero(int, carom_process_cancel(process)));
	cr_expect(eq(int, carom_process_is_alive(other), 1));
	cr_expect(zero(int, carom_process_cancel(other)));
	cr_expect(zero(int, carom_process_join(other, CAROM_NO_DEADLINE)));
	cr_expect(eq(int, carom_process_is_cancelled(carom_current_process()), 0));
	cr_expect(eq(int, carom_process_cancel(carom_current_process()), -EOPNOTSUPP));
}

/* --- the handle -------------------------------------------------------- */

Test(process_thread, is_closed_once_it_has_ended, .timeout = 20)
{
	CAROM_CLEANUP(carom_process_freep)
	struct carom_process *process = NEW(.function = run_until_cancelled);
	int before = count_fds();

	cr_assert(process != NULL);
	cr_assert(zero(int, carom_process_start(process)));
	cr_expect(eq(int, carom_process_close(process), -EBUSY));
	cr_expect(zero(int, carom_process_cancel(process)));
	cr_expect(zero(int, carom_process_join(process, CAROM_NO_DEADLINE)));
	cr_expect(zero(int, carom_process_close(process)));
	cr_expect(eq(int, carom_process_join(process, CAROM_PASSED), -EBADF));
	cr_expect(eq(int, carom_process_kill(process), -EBADF));
	cr_expect(eq(int, carom_process_cancel(process), -EBADF));
	cr_expect(eq(int, count_fds(), before));
}

/* DT-02 */
Test(process_thread, goes_on_without_its_handle, .timeout = 20)
{
	struct carom_process *process = NULL;
	int before = count_fds();
	struct talk talk;

	for (int i = 0; i < 100; i++) {
		begin_talk(&talk);
		process = NEW(.function = converse, .argument = &talk);
		cr_assert(process != NULL);
		cr_assert(zero(int, carom_process_start(process)));
		carom_process_free(process);
		sem_wait(&talk.has_begun);
		cr_expect(eq(sz, carom_active_children(NULL, 0), 1));
		sem_post(&talk.may_end);
		carom_threads_join(CAROM_NO_DEADLINE);
		cr_expect(eq(sz, carom_active_children(NULL, 0), 0));
	}
	cr_expect(eq(sz, carom_process_count(), 0));
	cr_expect(eq(int, count_fds(), before));
}

static void *make_and_drop(void *unused)
{
	for (int i = 0; i < 100; i++) {
		struct carom_process *process = NEW(.function = return_7);

		CHECK(process && carom_process_start(process) == 0);
		if (i % 2)
			CHECK(carom_process_join(process, CAROM_NO_DEADLINE) == 0);
		carom_process_free(process);
		carom_active_children(NULL, 0);
	}
	return NULL;
}

Test(process_thread, many_end_while_others_begin, .timeout = 60)
{
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		cr_assert(zero(int, pthread_create(&threads[i], NULL, make_and_drop, NULL)));
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	carom_threads_join(CAROM_NO_DEADLINE);
	cr_expect(eq(sz, carom_process_count(), 0));
	cr_expect(eq(sz, carom_active_children(NULL, 0), 0));
}

static int call_target(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	((struct talk *)argument)->join = carom_run_target(argument, size, fds, fd_count);
	return 0;
}

static int return_size(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct talk *talk = (struct talk *)argument;

	sem_post(&talk->has_begun);
	sem_wait(&talk->may_end);
	return (int)size;
}

Test(process_thread, each_calls_its_own_target, .timeout = 20)
{
	struct carom_process *processes[2];
	struct talk talks[2];

	for (int i = 0; i < 2; i++) {
		begin_talk(&talks[i]);
		processes[i] = NEW(.run = call_target, .function = i ? return_size : return_7,
				   .argument = &talks[i], .argument_size = (size_t)i);
		cr_assert(processes[i] != NULL);
	}
	cr_assert(zero(int, carom_process_start(processes[1])));
	sem_wait(&talks[1].has_begun);
	cr_assert(zero(int, carom_process_start(processes[0])));
	cr_expect(zero(int, carom_process_join(processes[0], CAROM_NO_DEADLINE)));
	sem_post(&talks[1].may_end);
	cr_expect(zero(int, carom_process_join(processes[1], CAROM_NO_DEADLINE)));
	cr_expect(eq(int, talks[0].join, 7));
	cr_expect(eq(int, talks[1].join, 1));
	cr_expect(eq(int, carom_run_target(NULL, 0, NULL, 0), -EINVAL));
	for (int i = 0; i < 2; i++)
		carom_process_free(processes[i]);
}

static int make_another(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *inner = NEW(.name = "inner");

	*(int *)argument = inner ? carom_process_daemon(inner) : -1;
	return 0;
}

Test(process_thread, is_daemonic_if_its_creator_is, .timeout = 20)
{
	for (int daemon = 0; daemon < 2; daemon++) {
		int inner = -1;
		CAROM_CLEANUP(carom_process_freep)
		struct carom_process *process = NEW(.function = make_another, .argument = &inner);

		cr_assert(process != NULL);
		cr_expect(zero(int, carom_process_set_daemon(process, daemon)));
		cr_assert(zero(int, carom_process_start(process)));
		cr_expect(eq(int, carom_process_set_daemon(process, 1), -EBUSY));
		cr_expect(zero(int, carom_process_join(process, CAROM_NO_DEADLINE)));
		cr_expect(eq(int, inner, daemon));
	}
}

static void lose_all_descriptors(void)
{
	struct carom_process *process = NEW(.function = run_until_cancelled);

	CHECK(process && carom_process_start(process) == 0);
	closefrom(3);
	CHECK(carom_process_cancel(process) == 0);
	CHECK(carom_process_join(process, CAROM_NO_DEADLINE) == 0);
	CHECK(count_fds() == 3);
	carom_threads_join(CAROM_NO_DEADLINE);
}

Test(process_thread, needs_no_descriptor, .timeout = 20)
{
	cr_expect(zero(int, apart(lose_all_descriptors)));
}

/* --- forks ------------------------------------------------------------- */

static struct carom_process *of_parent;

static void use_in_child(void)
{
	int code;

	CHECK(carom_process_join(of_parent, CAROM_PASSED) == -ECHILD);
	CHECK(carom_process_start(of_parent) == -ECHILD);
	CHECK(carom_process_is_alive(of_parent) == -ECHILD);
	CHECK(carom_process_kill(of_parent) == -ECHILD);
	CHECK(carom_process_cancel(of_parent) == -ECHILD);
	CHECK(carom_process_is_cancelled(of_parent) == -ECHILD);
	CHECK(carom_process_pid(of_parent) == -ECHILD);
	CHECK(carom_process_exitcode(of_parent, &code) == -ECHILD);
	CHECK(carom_active_children(NULL, 0) == 0);
	CHECK(carom_current_process() != of_parent);
	CHECK(carom_process_pid(carom_current_process()) == getpid());
}

static int fork_here(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	of_parent = carom_current_process();
	*(int *)argument = apart(use_in_child);
	return 0;
}

Test(process_thread, is_nothing_in_a_forked_child, .timeout = 20)
{
	int status = -1;
	CAROM_CLEANUP(carom_process_freep)
	struct carom_process *process = NEW(.function = fork_here, .argument = &status);

#ifdef __SANITIZE_THREAD__
	cr_skip_test("ThreadSanitizer sees no order between a fork and the locks of other threads");
#endif
	cr_assert(process != NULL);
	cr_assert(zero(int, carom_process_start(process)));
	cr_expect(zero(int, carom_process_join(process, CAROM_NO_DEADLINE)));
	cr_expect(eq(int, status, 0));
	cr_expect(zero(int, apart(use_in_child)));
	cr_expect(eq(int, code_of(process), 0));
}

/* --- the end of the program -------------------------------------------- */

static _Atomic int *shared;

/* Ends after the program has begun to. */
static int dawdle(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	while (!carom_is_exiting())
		sched_yield();
	for (int i = 0; i < 2000; i++)
		sched_yield();
	++*shared;
	return 0;
}

static int call_exit(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	exit(5);
}

static void end_with_one(enum carom_choice daemon, carom_process_fn *function)
{
	struct carom_process *process = NEW(.function = function, .daemon = daemon);

	CHECK(process && carom_process_start(process) == 0);
	carom_process_free(process);
}

static void end_with_a_thread(void)
{
	end_with_one(CAROM_NO, dawdle);
	exit(3);
}

static void end_with_a_daemon(void)
{
	end_with_one(CAROM_YES, run_until_cancelled);
	CHECK(carom_reset_for_tests() == 0);
	exit(4);
}

static void end_by_a_thread(void)
{
	end_with_one(CAROM_NO, dawdle);
	end_with_one(CAROM_NO, call_exit);
	for (;;)
		pause();
}

/* DT-02 */
Test(process_thread, is_waited_for_at_the_end_unless_it_is_daemonic, .timeout = 20)
{
	shared = share(sizeof(*shared));
	cr_expect(eq(int, WEXITSTATUS(apart(end_with_a_thread)), 3));
	cr_expect(eq(int, *shared, 1));
	cr_expect(eq(int, WEXITSTATUS(apart(end_with_a_daemon)), 4));
	cr_expect(eq(int, WEXITSTATUS(apart(end_by_a_thread)), 5));
	cr_expect(eq(int, *shared, 2));
}
