/* Bootstrap: the beginning and the end of a child. */
#include <pthread.h>
#include <sys/wait.h>

#include "core/after_fork.h"
#include "core/bootstrap.h"
#include "core/finalizer.h"
#include "core/log.h"
#include "tests/core/apart.h"
#include "tests/core/births.h"
#include "tests/core/methods.h"

/* --- a program of its own ------------------------------------------------ */

/*
 * Runs tests/core/program.c and gives what it writes to both outputs and its wait status.
 * Who inherited the outputs has ended as well when this returns.
 */
static int run_program(const char *scenario, char *text, size_t size)
{
	int ends[2], status = -1;
	pid_t pid;

	cr_assert(pipe(ends) == 0);
	setenv("CAROM_SCENARIO", scenario, 1);
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDOUT_FILENO);
		dup2(ends[1], STDERR_FILENO);
		close(ends[0]);
		close(ends[1]);
		execl(getenv("CAROM_OTHER"), getenv("CAROM_OTHER"), NULL);
		_exit(127);
	}
	close(ends[1]);
	read_all(ends[0], text, size);
	close(ends[0]);
	cr_assert(waitpid(pid, &status, 0) == pid);
	unsetenv("CAROM_SCENARIO");
	return status;
}

static int exit_status(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Executed by its descriptor, which it does not have, or where that is denied by its path. */
Test(bootstrap, a_child_is_called_as_its_program_is, .timeout = 60)
{
	static const char *const scenarios[] = { "itself", "itself_by_path" };
	char text[256];

	for (int i = 0; i < 2; i++) {
		int status = run_program(scenarios[i], text, sizeof(text));

		cr_expect(exit_status(status) == 0, "%s: %d: %s", scenarios[i], status, text);
		cr_expect(strcmp(text, "program 0\n") == 0, "%s: %s", scenarios[i], text);
	}
}

/* --- its beginning ------------------------------------------------------- */

/* What the functions after a fork found, one character for each that was as it should be. */
static char found[64];

static void find(char what, bool is_so)
{
	size_t length = strlen(found);

	found[length] = is_so ? what : '-';
}

static int hook_first(void *userdata)
{
	uint64_t *finalizer = userdata;
	char name[64] = "", byte;

	carom_process_name(carom_current_process(), name, sizeof(name));
	find('n', strcmp(name, "Born") == 0);
	carom_process_name(carom_parent_process(), name, sizeof(name));
	find('p', strcmp(name, "MainProcess") == 0);
	find('i', read(STDIN_FILENO, &byte, 1) == 0);
	find('f', !carom_finalizer_is_active(*finalizer));
	find('a', carom_active_children(NULL, 0) == 0);
	return 0;
}

static int hook_second(void *userdata)
{
	find('2', true);
	return 0;
}

static int hook_third(void *userdata)
{
	find('3', true);
	return 0;
}

static void say_found(const struct carom_log_record *record, void *userdata)
{
	if (record->event == CAROM_LOG_EVENT_PROCESS_RUNS)
		find('r', strstr(record->text, "calling self.run()") != NULL);
}

/* All of the above, then the name of a child of its own. */
static int tell_found(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct carom_process *process = NULL;
	char name[256] = "";

	if (carom_process_new(&CAROM_PROCESS_OPTIONS(), &process) == 0)
		carom_process_name(process, name, sizeof(name));
	dprintf(fds[0], "%s %s %s", found, name, carom_get_start_method(true));
	return 0;
}

static int no_finalizer(void *userdata)
{
	return 0;
}

static void begin_in_order(const char *method, const char *expected)
{
	struct carom_process *process, *sibling;
	struct carom_context *context = context_of(method);
	uint64_t finalizer;
	char text[128];
	int ends[2];

	cr_assert(carom_finalizer_add(0, no_finalizer, NULL, &finalizer) == 0);
	cr_assert(carom_after_fork_add(hook_first, &finalizer) == 0);
	cr_assert(carom_after_fork_add(hook_second, NULL) == 0);
	cr_assert(carom_after_fork_add(hook_third, NULL) == 0);
	sibling = START(.context = context, .function = wait_for_ever);
	cr_assert(pipe(ends) == 0);
	carom_log_set_level(CAROM_LOG_INFO);
	carom_log_to(say_found, NULL);
	process = START(.context = context, .function = tell_found, .name = "Born", .fds = &ends[1],
			.fd_count = 1);
	carom_log_to(NULL, NULL);
	close(ends[1]);
	read_all(ends[0], text, sizeof(text));
	cr_expect(strcmp(text, expected) == 0, "%s: '%s'", method, text);
	cr_expect(exitcode_of(process) == 0);
	cr_expect(found[0] == '\0', "nothing of it is run here: '%s'", found);
	carom_process_kill(sibling);
	carom_process_join(sibling, CAROM_NO_DEADLINE);
	carom_process_free(sibling);
	carom_process_free(process);
}

/* BO-01 */
Test(bootstrap, does_the_same_in_the_same_order_by_fork, .timeout = 60)
{
	begin_in_order("fork", "npifa23r Process-2:1 fork");
}

/* BO-01 */
Test(bootstrap, does_the_same_in_the_same_order_by_the_fork_server, .timeout = 60)
{
	if (!context_of("forkserver"))
		cr_skip_test("no fork server can be here");
	/* it was born with the program's functions; a function that takes records is not its */
	begin_in_order("forkserver", "npifa23 Process-2:1 forkserver");
}

/* BO-09 */
Test(bootstrap, reads_from_nowhere, .timeout = 60)
{
	struct carom_context *context;
	int ends[2];

	cr_assert(pipe(ends) == 0);
	cr_assert(write(ends[1], "for the parent", 14) == 14);
	cr_assert(dup2(ends[0], STDIN_FILENO) == STDIN_FILENO);
	EACH_METHOD(context)
	{
		char byte = 0;

		cr_expect(RUN(.context = context, .function = read_stdin) == 0);
		cr_expect(read(STDIN_FILENO, &byte, 1) == 1 && byte == "for"[each_]);
	}
}

static int give_authkey(void)
{
	unsigned char key[256];

	return carom_process_authkey(carom_current_process(), key) == 32
		       ? key[0] | key[1] << 8 | key[2] << 16
		       : -1;
}

static void write_authkey(int fd)
{
	int key = give_authkey();

	_exit(write(fd, &key, sizeof(key)) != sizeof(key));
}

/* BO-13 */
Test(bootstrap, chance_is_not_copied_into_children)
{
	int ends[2], keys[4] = { 0 };

	cr_assert(pipe(ends) == 0);
	for (int i = 0; i < 4; i++) {
		if (fork() == 0)
			write_authkey(ends[1]); /* which none of them had before */
		cr_assert(read(ends[0], &keys[i], sizeof(int)) == sizeof(int));
		cr_expect(keys[i] != -1);
		for (int j = 0; j < i; j++)
			cr_expect(keys[i] != keys[j]);
	}
	while (wait(NULL) > 0)
		;
}

/* --- threads ------------------------------------------------------------- */

static void count_warnings(const struct carom_log_record *record, void *userdata)
{
	if (record->event == CAROM_LOG_EVENT_FORK_WITH_THREADS &&
	    record->level == CAROM_LOG_WARNING)
		++*(int *)userdata;
}

static void *wait_for_end(void *userdata)
{
	char byte;

	return read(*(int *)userdata, &byte, 1) == 0 ? userdata : NULL;
}

static void await_threads(long wanted)
{
	long count = -1;

	while (count != wanted) {
		DIR *directory = opendir("/proc/self/task");

		for (count = -2; readdir(directory); count++)
			;
		closedir(directory);
		usleep(count == wanted ? 0 : 100);
	}
}

static struct carom_process *new_by_fork(void)
{
	struct carom_context *context = context_of("fork");
	struct carom_process *process = NULL;

	CHECK(carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context), &process) == 0);
	return process;
}

static void with_threads(void)
{
	int ends[2], warnings = 0;
	struct carom_process *process;
	pthread_t thread;

	carom_log_to(count_warnings, &warnings);
	CHECK(RUN(.context = context_of("fork")) == 0);
	CHECK(warnings == 0); /* it has one thread, and the library's */

	CHECK(pipe(ends) == 0);
	CHECK(pthread_create(&thread, NULL, wait_for_end, &ends[0]) == 0);
	CHECK(RUN(.context = context_of("fork")) == 0);
	CHECK(warnings == 1);
	CHECK(RUN(.context = context_of("spawn")) == 0);
	if (context_of("forkserver"))
		CHECK(RUN(.context = context_of("forkserver")) == 0);
	CHECK(warnings == 1); /* the others do not copy what threads were at */

	CHECK(carom_context_configure(context_of("fork"),
				      &CAROM_CONTEXT_OPTIONS(.refuse_threads = true)) == 0);
	process = new_by_fork();
	CHECK(carom_process_start(process) == -EBUSY);
	CHECK(warnings == 1);
	close(ends[1]);
	pthread_join(thread, NULL);
	await_threads(2);
	CHECK(carom_process_start(process) == 0);
	CHECK(exitcode_of(process) == 0);
	carom_process_free(process);
}

/* BO-15 */
Test(bootstrap, fork_of_a_program_with_threads_is_warned_of_or_refused, .timeout = 60)
{
	cr_expect(zero(int, apart(with_threads)));
}

/* --- its end ------------------------------------------------------------- */

/* BO-04 */
Test(bootstrap, child_exit_is_0_or_as_in_billiard_1, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		cr_expect(RUN(.context = context, .function = exit_as_child) == 0);
		carom_context_configure(context,
					&CAROM_CONTEXT_OPTIONS(.billiard_exit_codes = true));
		cr_expect(RUN(.context = context, .function = exit_as_child) == 1);
	}
}

/* BO-06 */
Test(bootstrap, child_fail_says_why_and_is_1_or_as_in_billiard_0, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	for (int billiard = 0; billiard < 2; billiard++) {
		struct carom_process *process;
		char text[64];
		int ends[2];

		cr_assert(pipe(ends) == 0);
		carom_context_configure(
			context, &CAROM_CONTEXT_OPTIONS(.billiard_exit_codes = billiard == 1));
		process = START(.context = context, .function = fail_as_child, .fds = &ends[1],
				.fd_count = 1);
		close(ends[1]);
		read_all(ends[0], text, sizeof(text));
		cr_expect(strcmp(text, "no such luck\n") == 0, "'%s'", text);
		cr_expect(exitcode_of(process) == 1 - billiard);
		carom_process_free(process);
		close(ends[0]);
	}
}

/* BO-10 */
Test(bootstrap, each_process_runs_its_own_exit_handlers, .timeout = 60)
{
	char text[256];

	cr_expect(zero(int, run_program("handlers", text, sizeof(text))));
	/* handlers of the child's own, then its finalizers; those of the parent once */
	cr_expect(strcmp(text, "CFCFCFCFCFCFPQ") == 0, "'%s'", text);
}

/* UT-04 */
/* SN-01 */
Test(bootstrap, end_of_a_program_ends_its_children_between_its_finalizers, .timeout = 60)
{
	char text[256], *begun;

	cr_expect(zero(int, run_program("ending", text, sizeof(text))));
	begun = strchr(text, 'B'); /* of the child that is waited for, at any time before its end */
	cr_assert(begun != NULL, "'%s'", text);
	memmove(begun, begun + 1, strlen(begun));
	cr_expect(strcmp(text, "pool queue 0TJ join temp ") == 0 ||
			  strcmp(text, "pool queue 0JT join temp ") == 0,
		  "'%s'", text);
}

/* SN-02 */
Test(bootstrap, end_of_a_program_waits_for_its_children_as_long_as_it_is_told, .timeout = 60)
{
	uint64_t began = carom_now();
	char text[512];

	/* the child, which has the outputs too, has ended with the program */
	cr_expect(zero(int, run_program("limited", text, sizeof(text))));
	cr_expect(ge(u64, carom_now() - began, CAROM_MILLISECONDS(200)));
	cr_expect(ne(ptr, strstr(text, "process Stayer ("), NULL), "'%s'", text);
	cr_expect(ne(ptr, strstr(text, ") has not ended in time"), NULL), "'%s'", text);
	cr_expect(ne(ptr, strstr(text, "1 threads have not ended in time"), NULL), "'%s'", text);
	cr_expect(ne(ptr, strstr(text, "last"), NULL), "'%s'", text);
}

/* --- programs that lack something ---------------------------------------- */

/* CX-19 */
Test(bootstrap, program_without_the_hook_cannot_spawn_itself, .timeout = 60)
{
	char text[512];
	int status = run_program("spawn_without_hook", text, sizeof(text));

	cr_expect(exit_status(status) == 1, "%x", status);
	cr_expect(strstr(text, "carom_main_hook()") != NULL, "'%s'", text);
}

/* CX-17 */
/* CX-19 */
Test(bootstrap, child_without_the_hook_has_no_children_and_says_so, .timeout = 60)
{
	struct carom_context *context = context_of("spawn");
	int ends[2], out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO);
	char text[1024], busy[128];
	struct carom_process *process;

	cr_assert(pipe(ends) == 0);
	setenv("CAROM_SCENARIO", "child_without_hook", 1);
	cr_assert(carom_set_executable(getenv("CAROM_OTHER")) == 0);
	dup2(ends[1], STDOUT_FILENO);
	dup2(ends[1], STDERR_FILENO);
	process = START(.context = context, .function = return_status);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	close(ends[1]);
	read_all(ends[0], text, sizeof(text));
	snprintf(busy, sizeof(busy), "fork %d\nspawn %d\nforkserver %d\nservice %d\n", -EBUSY,
		 -EBUSY, -EBUSY, -EBUSY);
	cr_expect(strstr(text, busy) != NULL, "'%s'", text);
	cr_expect(strstr(text, "program: started as a child, but it did not call "
			       "carom_main_hook()") != NULL,
		  "'%s'", text);
	cr_expect(exitcode_of(process) == CAROM_EXIT_NO_HOOK);
	carom_process_free(process);
}

/* CX-17 */
Test(bootstrap, constructor_in_a_child_cannot_start_children, .timeout = 60)
{
	char text[512];
	int status = run_program("early", text, sizeof(text));

	cr_expect(exit_status(status) == EBUSY, "%x '%s'", status, text);
}

/* BO-16 */
Test(bootstrap, relative_path_means_where_the_program_was_started, .timeout = 60)
{
	char text[PATH_MAX], path[PATH_MAX], directory[PATH_MAX], relative[PATH_MAX];
	int status;

	cr_assert(realpath(getenv("CAROM_OTHER"), path) != NULL);
	strcpy(directory, path);
	snprintf(relative, sizeof(relative), ".%s", strrchr(path, '/'));
	*strrchr(directory, '/') = '\0';
	setenv("CAROM_RELATIVE", relative, 1);
	setenv("CAROM_OTHER", path, 1);
	cr_assert(chdir(directory) == 0);
	status = run_program("elsewhere", text, sizeof(text));
	cr_expect(zero(int, status));
	cr_expect(strcmp(text, path) == 0, "'%s'", text);
}

/* a marker that somebody typed is nobody's child */
Test(bootstrap, marker_of_nothing_is_refused, .timeout = 60)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0) {
		int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

		dup2(fd, STDERR_FILENO);
		execl(getenv("CAROM_CHILD"), "child", CAROM_CHILD_MARKER "9", NULL);
		_exit(127);
	}
	cr_assert(waitpid(pid, &status, 0) == pid);
	cr_expect(exit_status(status) == EXIT_FAILURE);
}
