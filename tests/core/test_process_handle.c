#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "core/service.h"
#include "core/pidfd.h"
#include "tests/core/apart.h"
#include "tests/core/methods.h"

/* --- its end --------------------------------------------------- */

/* Return: the first call that says something else than @error; NULL: none does. */
static const char *first_unrefused(struct carom_process *process, int error)
{
	struct carom_exit exit;
	unsigned char key[256];
	int code;
	const struct {
		const char *name;
		int r;
	} calls[] = {
		{ "start", carom_process_start(process) },
		{ "join", carom_process_join(process, CAROM_PASSED) },
		{ "is_alive", carom_process_is_alive(process) },
		{ "signal", carom_process_signal(process, 0) },
		{ "terminate", carom_process_terminate(process) },
		{ "interrupt", carom_process_interrupt(process) },
		{ "kill", carom_process_kill(process) },
		{ "terminate_controlled", carom_process_terminate_controlled(process) },
		{ "set_name", carom_process_set_name(process, "new") },
		{ "daemon", carom_process_daemon(process) },
		{ "set_daemon", carom_process_set_daemon(process, 1) },
		{ "pid", carom_process_pid(process) },
		{ "exitcode", carom_process_exitcode(process, &code) },
		{ "exit", carom_process_exit(process, &exit) },
		{ "sentinel", carom_process_sentinel(process) },
		{ "authkey", carom_process_authkey(process, key) },
		{ "set_authkey", carom_process_set_authkey(process, "k", 1) },
	};

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		if (calls[i].r != error)
			return calls[i].name;
	return NULL;
}

static void expect_all_refused(struct carom_process *process, int error)
{
	const char *name = first_unrefused(process, error);

	cr_expect(name == NULL, "%s", name);
}

/* PR-17 */
Test(process_handle, close_is_for_what_has_ended, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct talk talk = TALK(.context = context, .function = wait_for_word, .name = "T");
		char name[16];

		cr_expect(carom_process_close(talk.process) == -EBUSY);
		cr_expect(carom_process_is_alive(talk.process) == 1);
		tell(&talk, 9);
		cr_expect(exitcode_of(talk.process) == 9);
		cr_expect(carom_process_close(talk.process) == 0);
		cr_expect(carom_process_close(talk.process) == 0);
		expect_all_refused(talk.process, -EBADF);
		cr_expect(carom_process_name(talk.process, name, sizeof(name)) == 0);
		cr_expect(strcmp(name, "T") == 0);
		end_talk(&talk);
	}
	cr_expect(carom_process_close(carom_current_process()) == -EBUSY);
}

/* PR-17 */
Test(process_handle, close_may_come_before_the_start)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *fresh = NULL;

	cr_assert(carom_process_new(NULL, &fresh) == 0);
	cr_expect(carom_process_close(fresh) == 0);
	expect_all_refused(fresh, -EBADF);
}

static void nothing(void *unused)
{
}

/* The library's thread watches the descriptor too, and is given the time to let go of it. */
static bool is_closed_soon(int fd)
{
	uint64_t deadline_ns = carom_deadline_after(30 * CAROM_NS_PER_SEC);
	struct carom_service *service;

	cr_assert(carom_service_get(&service) == 0);
	while (fcntl(fd, F_GETFD) >= 0) {
		if (carom_now() > deadline_ns)
			return false;
		carom_service_run(service, nothing, NULL);
	}
	return true;
}

/* PR-17 */
Test(process_handle, close_gives_the_descriptor_back, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		CAROM_CLEANUP(carom_process_freep)
		struct carom_process *process = START(.context = context);
		int sentinel = carom_process_sentinel(process);

		cr_expect(exitcode_of(process) == 0);
		cr_expect(carom_process_close(process) == 0);
		cr_expect(is_closed_soon(sentinel), "%s", methods[each_]);
	}
}

/* PR-31 */
Test(process_handle, free_is_counted, .timeout = 60)
{
	struct carom_context *context;

	cr_assert(carom_process_count() == 0);
	EACH_METHOD(context)
	{
		struct talk talk = TALK(.context = context, .function = wait_for_word);
		struct carom_process *fresh = NULL, *active[2] = { 0 };

		cr_assert(carom_process_new(NULL, &fresh) == 0);
		cr_expect(carom_process_count() == 2);
		cr_expect(carom_active_children(active, 2) == 1);
		cr_expect(carom_process_count() == 3);
		carom_process_free(active[0]);
		carom_process_free(fresh);
		cr_expect(carom_process_count() == 1);
		cr_expect(carom_process_new(&CAROM_PROCESS_OPTIONS(.name = ""), &fresh) < 0);
		cr_expect(carom_process_count() == 1);
		tell(&talk, 0);
		cr_expect(exitcode_of(talk.process) == 0);
		end_talk(&talk);
		cr_expect(carom_process_count() == 0, "%zu", carom_process_count());
	}
}

/* PR-26 */
Test(process_handle, free_leaves_the_child_running_and_active, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct talk talk = TALK(.context = context, .function = wait_for_word);
		struct carom_process *active[2] = { 0 };
		pid_t pid = carom_process_pid(talk.process);

		carom_process_free(talk.process);
		cr_assert(carom_active_children(active, 2) == 1);
		cr_expect(active[1] == NULL && carom_process_pid(active[0]) == pid);
		tell(&talk, 3);
		cr_expect(exitcode_of(active[0]) == 3);
		talk.process = active[0];
		end_talk(&talk);
		cr_expect(carom_active_children(NULL, 0) == 0);
		cr_expect(carom_process_count() == 0);
	}
}

/* --- children and zombies ---------------------------------------------- */

/* PR-26 */
Test(process_handle, active_children_are_those_that_run, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct talk first = TALK(.context = context, .function = wait_for_word);
		struct talk second = TALK(.context = context, .function = wait_for_word);
		int pidfd = dup(carom_process_sentinel(first.process));
		struct carom_process *active[1];

		cr_expect(carom_active_children(active, 1) == 2);
		carom_process_free(active[0]);
		tell(&first, 1);
		wait_for_pidfd(pidfd);
		cr_assert(carom_active_children(active, 1) == 1);
		cr_expect(active[0] == second.process);
		cr_expect(carom_pidfd_signal(pidfd, 0) == -ESRCH, "a zombie");
		carom_process_free(active[0]);
		tell(&second, 2);
		wait_for_pidfd(carom_process_sentinel(second.process));
		cr_expect(carom_active_children(NULL, 0) == 0);
		end_talk(&first);
		end_talk(&second);
		close(pidfd);
	}
}

/* PR-27 */
Test(process_handle, leaves_no_zombie_without_any_call, .timeout = 120)
{
	struct carom_context *context;
	enum { MANY = 100 };
	int pidfds[MANY];

	EACH_METHOD(context)
	{
		for (int i = 0; i < MANY; i++) {
			struct carom_process *process = START(.context = context);

			pidfds[i] = dup(carom_process_sentinel(process));
			carom_process_free(process);
		}
		for (int i = 0; i < MANY; i++) {
			cr_expect(is_reaped_soon(pidfds[i]), "%s: %d", methods[each_], i);
			close(pidfds[i]);
		}
	}
}

/* --- another process ---------------------------------------------------- */

static struct carom_process *inherited, *inherited_self;
static struct carom_context *inherited_context;

static void check_refused(struct carom_process *process)
{
	const char *name = first_unrefused(process, -ECHILD);

	if (name)
		dprintf(STDERR_FILENO, "%s\n", name);
	CHECK(!name);
}

static void use_in_fork(void)
{
	char text[256], name[256];
	int code = 1000;
	struct carom_process *own = NULL;

	check_refused(inherited);
	check_refused(inherited_self);
	CHECK(carom_process_close(inherited) == -ECHILD);
	CHECK(carom_process_name(inherited, name, sizeof(name)) == -ECHILD);
	carom_process_describe(inherited, text, sizeof(text));
	CHECK(strstr(text, " unknown"));
	CHECK(carom_process_free(inherited) == NULL);
	CHECK(carom_active_children(NULL, 0) == 0);
	CHECK(carom_process_count() == 0);

	CHECK(carom_process_new(&CAROM_PROCESS_OPTIONS(.context = inherited_context), &own) == 0);
	CHECK(carom_process_start(own) == 0);
	CHECK(carom_process_join(own, CAROM_NO_DEADLINE) == 0);
	CHECK(carom_process_exitcode(own, &code) == 0 && code == 0);
	carom_process_free(own);
	CHECK(carom_process_count() == 0);
}

/* PR-05 */
/* PR-29 */
Test(process_handle, in_a_forked_child_nothing_works_and_the_parent_notices_nothing, .timeout = 60)
{
	struct carom_context *context;

	inherited_self = carom_current_process();
	EACH_METHOD(context)
	{
		struct talk talk = TALK(.context = context, .function = wait_for_word);

		inherited = talk.process;
		inherited_context = context;
		cr_expect(apart(use_in_fork) == 0, "%s", methods[each_]);
		cr_expect(carom_process_is_alive(talk.process) == 1);
		tell(&talk, 2);
		cr_expect(exitcode_of(talk.process) == 2);
		end_talk(&talk);
	}
}

/* Handles are read and written in a thread while the program forks. */
static _Atomic bool is_over;

static void *use_handles(void *userdata)
{
	char name[256];

	while (!atomic_load(&is_over)) {
		carom_process_set_name(carom_current_process(), "busy");
		carom_process_name(carom_current_process(), name, sizeof(name));
		carom_process_name(userdata, name, sizeof(name));
	}
	return NULL;
}

Test(process_handle, forks_while_other_threads_use_handles, .timeout = 60)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NULL;
	pthread_t thread;

	cr_assert(carom_process_new(NULL, &process) == 0);
	cr_assert(pthread_create(&thread, NULL, use_handles, process) == 0);
	for (int i = 0; i < 500; i++) {
		int status = -1;
		pid_t pid = fork();

		if (pid == 0)
			_exit(carom_process_is_alive(carom_current_process()) != 1);
		cr_assert(pid > 0 && waitpid(pid, &status, 0) == pid && status == 0);
	}
	atomic_store(&is_over, true);
	pthread_join(thread, NULL);
}
