#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "core/probe.h"
#include "tests/core/apart.h"
#include "tests/core/methods.h"

/* --- join --------------------------------------------------------------- */

/* PR-09 */
Test(process_wait, join_says_whether_it_has_ended, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct talk talk = TALK(.context = context, .function = wait_for_word);
		uint64_t soon = carom_deadline_after(CAROM_MILLISECONDS(5));

		cr_expect(carom_process_join(talk.process, CAROM_PASSED) == -ETIMEDOUT);
		cr_expect(carom_process_join(talk.process, soon) == -ETIMEDOUT);
		cr_expect(carom_now() >= soon);
		tell(&talk, 4);
		cr_expect(carom_process_join(talk.process, CAROM_NO_DEADLINE) == 0);
		cr_expect(carom_process_join(talk.process, CAROM_PASSED) == 0);
		cr_expect(exitcode_of(talk.process) == 4);
		end_talk(&talk);
	}
}

/* A process that traces @pid, says '!' when that is dead, and sees its end itself at a word. */
static pid_t trace(pid_t pid, int said_fd, int word_fd)
{
	pid_t tracer = fork();
	siginfo_t info;
	char byte;

	if (tracer != 0)
		return tracer;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) < 0)
		_exit(errno == EPERM ? 77 : 1);
	if (write(said_fd, "+", 1) == 1 &&
	    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | __WALL) == 0 &&
	    write(said_fd, "!", 1) == 1 && read(word_fd, &byte, 1) == 1)
		_exit(0);
	_exit(1);
}

/* A debugger sees the end of what it traces before its parent does: until then there is none. */
Test(process_wait, join_waits_until_a_tracer_has_let_go, .timeout = 60)
{
	for (int asks = 0; asks < 2; asks++) {
		struct talk talk = TALK(.function = wait_for_word);
		int said[2], word[2];
		pid_t tracer, pid = carom_process_pid(talk.process);
		char byte = 0;

		cr_assert(pipe2(said, O_CLOEXEC) == 0 && pipe2(word, O_CLOEXEC) == 0);
		tracer = trace(pid, said[1], word[0]);
		close(said[1]);
		close(word[0]);
		if (read(said[0], &byte, 1) != 1) {
			carom_process_kill(talk.process);
			end_talk(&talk); /* or the end of this process would wait for it */
			cr_skip_test("skipped: nobody may trace");
		}
		cr_assert(carom_process_kill(talk.process) == 0);
		cr_assert(read(said[0], &byte, 1) == 1 && byte == '!');
		cr_expect(carom_process_join(talk.process, CAROM_PASSED) == -ETIMEDOUT);
		cr_expect(carom_process_join(talk.process, carom_deadline_after(CAROM_MILLISECONDS(
								   30))) == -ETIMEDOUT);
		cr_expect(carom_process_is_alive(talk.process) == 1);
		cr_assert(write(word[1], "", 1) == 1);
		/* the library's thread sees it, too, if nobody asks */
		while (!asks && kill(pid, 0) == 0)
			usleep(1000);
		cr_expect(exitcode_of(talk.process) == -SIGKILL);
		cr_assert(waitpid(tracer, NULL, 0) == tracer);
		close(said[0]);
		close(word[1]);
		end_talk(&talk);
	}
}

/* PR-10 */
Test(process_wait, join_is_refused_where_there_is_nothing_to_wait_for)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *fresh = NULL;

	cr_assert(carom_process_new(NULL, &fresh) == 0);
	cr_expect(carom_process_join(fresh, CAROM_NO_DEADLINE) == -EINVAL);
	cr_expect(carom_process_join(carom_current_process(), CAROM_NO_DEADLINE) == -EDEADLK);
}

static void *join_in_thread(void *userdata)
{
	return (void *)(intptr_t)carom_process_join(userdata, CAROM_NO_DEADLINE);
}

/* PR-09 */
Test(process_wait, join_serves_several_threads, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct talk talk = TALK(.context = context, .function = wait_for_word);
		pthread_t threads[4];
		void *result;

		for (int i = 0; i < 4; i++)
			cr_assert(pthread_create(&threads[i], NULL, join_in_thread, talk.process) ==
				  0);
		tell(&talk, 5);
		for (int i = 0; i < 4; i++) {
			pthread_join(threads[i], &result);
			cr_expect(result == NULL, "%s: %d", methods[each_], (int)(intptr_t)result);
		}
		cr_expect(exitcode_of(talk.process) == 5);
		end_talk(&talk);
	}
}

static int signalled_fd = -1;

static void say_signal(int signal_number)
{
	int kept = errno;

	if (write(signalled_fd, "s", 1) != 1)
		abort();
	errno = kept;
}

struct teller {
	struct talk talk;
	pthread_t joiner;
	int read_fd;
};

/* Interrupts the join, and once the handler has run, has the child end. */
static void *interrupt_then_tell(void *userdata)
{
	struct teller *teller = userdata;
	char byte;

	pthread_kill(teller->joiner, SIGUSR1);
	if (read(teller->read_fd, &byte, 1) == 1)
		tell(&teller->talk, 6);
	return NULL;
}

/* PR-09 */
Test(process_wait, join_goes_on_after_a_signal_handler, .timeout = 60)
{
	struct teller teller = {
		.talk = TALK(.context = context_of("spawn"), .function = wait_for_word),
		.joiner = pthread_self(),
	};
	pthread_t thread;
	int ends[2];

	cr_assert(pipe(ends) == 0);
	teller.read_fd = ends[0];
	signalled_fd = ends[1];
	sigaction(SIGUSR1, &(struct sigaction){ .sa_handler = say_signal }, NULL);
	cr_assert(pthread_create(&thread, NULL, interrupt_then_tell, &teller) == 0);
	cr_expect(carom_process_join(teller.talk.process, CAROM_NO_DEADLINE) == 0);
	pthread_join(thread, NULL);
	cr_expect(exitcode_of(teller.talk.process) == 6);
	end_talk(&teller.talk);
}

/* --- is it alive? ------------------------------------------------------- */

/* PR-12 */
Test(process_wait, is_alive_from_the_start_until_its_end, .timeout = 60)
{
	struct carom_context *context;

	cr_expect(carom_process_is_alive(carom_current_process()) == 1);
	EACH_METHOD(context)
	{
		CAROM_CLEANUP(carom_process_freep) struct carom_process *fresh = NULL;
		struct talk talk = TALK(.context = context, .function = wait_for_word);

		cr_assert(carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context), &fresh) ==
			  0);
		cr_expect(carom_process_is_alive(fresh) == 0);
		cr_expect(carom_process_is_alive(talk.process) == 1);
		cr_assert(kill(carom_process_pid(talk.process), SIGKILL) == 0);
		wait_for_pidfd(carom_process_sentinel(talk.process));
		cr_expect(carom_process_is_alive(talk.process) == 0);
		cr_expect(carom_active_children(NULL, 0) == 0);
		end_talk(&talk);
	}
}

Test(process_wait, has_no_exit_code_before_its_end, .timeout = 60)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *fresh = NULL;
	struct talk talk = TALK(.context = context_of("spawn"), .function = wait_for_word);
	struct carom_exit exit = { .status = 1234 };
	int code = 1234;

	cr_assert(carom_process_new(NULL, &fresh) == 0);
	cr_expect(carom_process_exitcode(fresh, &code) == -EINPROGRESS);
	cr_expect(carom_process_exitcode(talk.process, &code) == -EINPROGRESS);
	cr_expect(carom_process_exit(talk.process, &exit) == -EINPROGRESS);
	cr_expect(code == 1234 && exit.status == 1234);
	tell(&talk, 8);
	wait_for_pidfd(carom_process_sentinel(talk.process));
	cr_expect(carom_process_exit(talk.process, &exit) == 0);
	cr_expect(exit.kind == CAROM_EXIT_EXITED && exit.status == 8);
	cr_expect(carom_process_exitcode(talk.process, &code) == 0 && code == 8);
	end_talk(&talk);
}

/* --- sentinel ----------------------------------------------------------- */

/* PR-11 */
Test(process_wait, sentinel_stays_after_join_until_close, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		CAROM_CLEANUP(carom_process_freep)
		struct carom_process *process = START(.context = context);
		int sentinel = carom_process_sentinel(process);
		struct pollfd poll_fd = { .fd = sentinel, .events = POLLIN };

		cr_expect(sentinel >= 0);
		cr_expect(exitcode_of(process) == 0);
		cr_expect(carom_process_sentinel(process) == sentinel);
		cr_expect(poll(&poll_fd, 1, 0) == 1 && poll_fd.revents & POLLIN);
		cr_expect(carom_process_close(process) == 0);
		cr_expect(carom_process_sentinel(process) == -EBADF);
	}
}

/* PR-23 */
Test(process_wait, sentinel_fires_although_a_grandchild_goes_on, .timeout = 60)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *fresh = NULL;
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct talk talk = TALK(.context = context, .function = leave_somebody);
		char byte = 0;

		wait_for_pidfd(carom_process_sentinel(talk.process));
		cr_expect(exitcode_of(talk.process) == 5);
		tell(&talk, 'g'); /* the grandchild is there and answers */
		cr_expect(read(talk.from_fd, &byte, 1) == 1 && byte == 'g');
		end_talk(&talk);
	}
	cr_assert(carom_process_new(NULL, &fresh) == 0);
	cr_expect(carom_process_sentinel(fresh) == -EINVAL);
}

/* --- a program that reaps everybody ------------------------------------ */

static void expect_end(struct carom_process *process, int expected, const char *method)
{
	struct carom_exit exit;
	int code = 1000;
	int r = carom_process_exitcode(process, &code);

	CHECK(carom_process_exit(process, &exit) == 0);
	if (carom_probe(CAROM_FEATURE_PIDFD_INFO))
		CHECK(r == 0);
	if (r == 0) {
		CHECK(code == expected && exit.kind == CAROM_EXIT_EXITED);
		return;
	}
	CHECK(r == -ENODATA && code == 1000 && exit.kind == CAROM_EXIT_TAKEN);
}

static void *reap_everybody(void *unused)
{
	for (;;)
		if (waitpid(-1, NULL, 0) < 0)
			sched_yield();
	return NULL;
}

static void run_children(void)
{
	struct carom_context *context;

	EACH_METHOD(context)
	for (int i = 0; i < 20; i++) {
		struct talk talk = TALK(.context = context, .function = wait_for_word);

		tell(&talk, (char)i);
		CHECK(carom_process_join(talk.process, CAROM_NO_DEADLINE) == 0);
		CHECK(carom_process_is_alive(talk.process) == 0);
		expect_end(talk.process, i, methods[each_]);
		end_talk(&talk);
	}
}

static void run_children_with_a_reaper(void)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, reap_everybody, NULL) == 0);
	run_children();
}

static void run_children_without_sigchld(void)
{
	signal(SIGCHLD, SIG_IGN);
	run_children();
}

/* SN-20 */
Test(process_wait, exit_code_is_real_although_the_program_reaps_everybody, .timeout = 60)
{
	cr_expect(apart(run_children_with_a_reaper) == 0);
	cr_expect(apart_with("CAROM_DENY", "pidfd_info", run_children_with_a_reaper) == 0);
}

Test(process_wait, exit_code_is_real_although_the_program_ignores_sigchld, .timeout = 60)
{
	cr_expect(apart(run_children_without_sigchld) == 0);
	cr_expect(apart_with("CAROM_DENY", "pidfd_info", run_children_without_sigchld) == 0);
}

static void lose_an_exit_code(void)
{
	struct carom_process *process;
	char text[256];
	int code;

	signal(SIGCHLD, SIG_IGN); /* the kernel reaps, and nobody is told */
	process = START(.context = context_of("fork"));
	CHECK(carom_process_join(process, CAROM_NO_DEADLINE) == 0);
	CHECK(carom_process_exitcode(process, &code) == -ENODATA);
	carom_process_describe(process, text, sizeof(text));
	CHECK(strstr(text, " stopped exitcode unknown>"));
}

/* SN-20 */
Test(process_wait, exit_code_that_nobody_kept_is_said_to_be_unknown, .timeout = 60)
{
	cr_expect(apart_with("CAROM_DENY", "pidfd_info", lose_an_exit_code) == 0);
}
