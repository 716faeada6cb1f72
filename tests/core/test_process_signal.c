#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

#include "core/log.h"
#include "tests/core/apart.h"
#include "tests/core/methods.h"

/* PR-13 */
Test(process_signal, terminate_ends_it_by_sigterm, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct talk talk = TALK(.context = context, .function = wait_for_word);

		cr_expect(carom_process_terminate(talk.process) == 0);
		cr_expect(exitcode_of(talk.process) == -SIGTERM, "%s", methods[each_]);
		cr_expect(carom_process_terminate(talk.process) == 0);
		cr_expect(carom_process_kill(talk.process) == 0);
		cr_expect(exitcode_of(talk.process) == -SIGTERM);
		end_talk(&talk);
	}
}

/* PR-13 */
Test(process_signal, terminate_leaves_descendants_alone, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct talk talk = TALK(.context = context, .function = have_somebody);
		char byte = 0;

		cr_expect(carom_process_terminate(talk.process) == 0);
		cr_expect(exitcode_of(talk.process) == -SIGTERM);
		tell(&talk, 'd');
		cr_expect(read(talk.from_fd, &byte, 1) == 1 && byte == 'd', "%s", methods[each_]);
		end_talk(&talk);
	}
}

/* PR-14 */
Test(process_signal, kill_ends_what_ignores_sigterm, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct talk talk = TALK(.context = context, .function = ignore_sigterm);
		char byte = 0;

		cr_expect(carom_process_terminate(talk.process) == 0);
		tell(&talk, 'a');
		cr_expect(read(talk.from_fd, &byte, 1) == 1 && byte == 'a');
		cr_expect(carom_process_is_alive(talk.process) == 1);
		cr_expect(carom_process_kill(talk.process) == 0);
		cr_expect(exitcode_of(talk.process) == -SIGKILL, "%s", methods[each_]);
		end_talk(&talk);
	}
}

/* PR-15 */
Test(process_signal, interrupt_ends_it_by_sigint, .timeout = 60)
{
	struct carom_context *context;

	signal(SIGINT, SIG_DFL); /* which "fork" passes on */
	EACH_METHOD(context)
	{
		struct talk talk = TALK(.context = context, .function = wait_for_word);

		cr_expect(carom_process_interrupt(talk.process) == 0);
		cr_expect(exitcode_of(talk.process) == -SIGINT, "%s", methods[each_]);
		end_talk(&talk);
	}
}

Test(process_signal, is_refused_where_there_is_nobody)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *fresh = NULL;

	cr_assert(carom_process_new(NULL, &fresh) == 0);
	cr_expect(carom_process_terminate(fresh) == -EINVAL);
	cr_expect(carom_process_interrupt(fresh) == -EINVAL);
	cr_expect(carom_process_kill(fresh) == -EINVAL);
	cr_expect(carom_process_terminate_controlled(fresh) == -EINVAL);
	cr_expect(carom_process_signal(fresh, 0) == -EINVAL);
	cr_expect(carom_process_terminate(carom_current_process()) == -EINVAL);
}

Test(process_signal, that_does_not_exist_is_refused, .timeout = 60)
{
	struct talk talk = TALK(.context = context_of("spawn"), .function = wait_for_word);

	cr_expect(carom_process_signal(talk.process, -1) == -EINVAL);
	cr_expect(carom_process_signal(talk.process, 1000) == -EINVAL);
	cr_expect(carom_process_signal(talk.process, 0) == 0);
	cr_expect(carom_process_is_alive(talk.process) == 1);
	tell(&talk, 1);
	cr_expect(exitcode_of(talk.process) == 1);
	end_talk(&talk);
}

/* PR-13 */
Test(process_signal, to_another_users_process_is_not_permitted, .timeout = 60)
{
	struct talk talk;

	if (geteuid() != 0)
		cr_skip("only root can become another user");
	talk = TALK(.context = context_of("spawn"), .function = wait_for_word);
	cr_assert(setresuid(65534, 65534, 0) == 0);
	cr_expect(carom_process_terminate(talk.process) == -EPERM);
	cr_expect(carom_process_is_alive(talk.process) == 1);
	tell(&talk, 1);
	wait_for_pidfd(carom_process_sentinel(talk.process));
	cr_expect(carom_process_terminate(talk.process) == 0); /* nobody is left to refuse it to */
	cr_assert(setresuid(0, 0, 0) == 0);
	cr_expect(exitcode_of(talk.process) == 1);
	end_talk(&talk);
}

/* --- what is said of it ------------------------------------------------- */

/* Counts what is said of killed processes, and keeps the last line. */
struct listener {
	pthread_mutex_t lock;
	pthread_cond_t heard;
	unsigned int count;
	char text[512];
};

static void listen_to(const struct carom_log_record *record, void *userdata)
{
	struct listener *listener = userdata;

	if (record->event != CAROM_LOG_EVENT_PROCESS_KILLED)
		return;
	pthread_mutex_lock(&listener->lock);
	listener->count++;
	snprintf(listener->text, sizeof(listener->text), "%s", record->text);
	pthread_cond_signal(&listener->heard);
	pthread_mutex_unlock(&listener->lock);
}

static void wait_for_line(struct listener *listener)
{
	pthread_mutex_lock(&listener->lock);
	while (listener->count == 0)
		pthread_cond_wait(&listener->heard, &listener->lock);
	pthread_mutex_unlock(&listener->lock);
}

/* PR-16 */
Test(process_signal, terminate_controlled_is_not_spoken_of, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		static struct listener listener;
		struct talk quiet = TALK(.context = context, .function = wait_for_word);
		struct talk loud =
			TALK(.context = context, .function = wait_for_word, .name = "Loud");
		int pidfd = dup(carom_process_sentinel(quiet.process));

		listener = (struct listener){ PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER };
		carom_log_to(listen_to, &listener);
		cr_expect(carom_process_terminate_controlled(quiet.process) == 0);
		cr_expect(is_reaped_soon(pidfd));
		cr_expect(exitcode_of(quiet.process) == -SIGTERM);
		cr_expect(carom_process_terminate(loud.process) == 0);
		wait_for_line(&listener);
		carom_log_to(NULL, NULL);
		cr_expect(listener.count == 1, "%u", listener.count);
		cr_expect(strstr(listener.text, "name='Loud'") &&
				  strstr(listener.text, "exitcode=-SIGTERM"),
			  "%s", listener.text);
		end_talk(&quiet);
		end_talk(&loud);
		close(pidfd);
	}
}

/* --- a number that somebody else has got --------------------------------- */

enum { NO_NAMESPACE = 77, NO_CHOICE = 78 };

/* With this very pid, and no signal taken before it has said so. Return: its pid, or -errno. */
static pid_t new_stranger(pid_t pid, int go_fd)
{
	struct clone_args args = { .exit_signal = SIGCHLD,
				   .set_tid = (uintptr_t)&pid,
				   .set_tid_size = 1 };
	sigset_t all, pending;
	char byte;
	long r;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	r = syscall(SYS_clone3, &args, sizeof(args));
	if (r != 0)
		return r < 0 ? -errno : (pid_t)r;
	if (read(go_fd, &byte, 1) != 1 || sigpending(&pending) < 0)
		_exit(1);
	for (int number = 1; number < NSIG; number++)
		if (sigismember(&pending, number) == 1)
			_exit(2);
	_exit(0);
}

static void end_elsewhere(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) > 0 || kill(pid, 0) == 0)
		sched_yield();
}

/* The first of its namespace, in which nobody else is born meanwhile. */
static void signal_one_that_is_gone(void)
{
	struct carom_process *process =
		START(.context = context_of("fork"), .function = wait_for_ever);
	pid_t pid = carom_process_pid(process), stranger;
	int go[2], status = -1;

	CHECK(pipe(go) == 0);
	end_elsewhere(pid);
	stranger = new_stranger(pid, go[0]);
	if (stranger < 0)
		_exit(NO_CHOICE);
	CHECK(stranger == pid);
	carom_process_interrupt(process);
	carom_process_terminate(process);
	carom_process_terminate_controlled(process);
	carom_process_signal(process, SIGUSR1);
	carom_process_kill(process);
	CHECK(carom_process_is_alive(process) == 0);
	CHECK(carom_process_join(process, CAROM_NO_DEADLINE) == 0);
	carom_process_free(process);
	CHECK(write(go[1], "!", 1) == 1);
	CHECK(waitpid(stranger, &status, 0) == stranger);
	CHECK(status == 0);
}

static void be_in_a_namespace(void)
{
	int status = -1;
	pid_t pid;

	if (unshare(CLONE_NEWPID) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWPID) < 0)
		_exit(NO_NAMESPACE);
	pid = fork();
	if (pid == 0) {
		signal_one_that_is_gone();
		_exit(0);
	}
	if (pid < 0)
		_exit(NO_NAMESPACE);
	CHECK(waitpid(pid, &status, 0) == pid);
	_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

/* SN-19 */
Test(process_signal, reaches_nobody_else_who_has_got_its_pid, .timeout = 60)
{
	int status = apart(be_in_a_namespace);

	if (status == NO_NAMESPACE << 8)
		cr_skip_test("skipped: no PID namespace can be made here");
	if (status == NO_CHOICE << 8)
		cr_skip_test("skipped: no process can be given a pid of one's choice here");
	cr_expect(zero(int, status));
}
