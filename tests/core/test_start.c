/* Start: the three ways to bring a child into being, and what none of them brings along. */
#include <ctype.h>
#include <dlfcn.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "core/cleanup.h"
#include "core/descriptors.h"
#include "core/finalizer.h"
#include "core/log.h"
#include "core/temp_dir.h"
#include "core/tracker.h"
#include "tests/core/apart.h"
#include "tests/core/births.h"
#include "tests/core/methods.h"
#include "tests/needs.h"

/* By "spawn" what cannot be by the fork server, where none can be. */
static struct carom_context *context_here(const char *method)
{
	struct carom_context *context = context_of(method);

	return context ? context : context_of("spawn");
}

#define NEED_FORKSERVER()              \
	if (!context_of("forkserver")) \
	cr_skip_test("no fork server can be here")

/* --- descriptors --------------------------------------------------------- */

static size_t word_count(const char *text)
{
	size_t count = 0;

	for (size_t i = 0; text[i]; i++)
		count += text[i] == ' ';
	return count;
}

/* "0 1 2 ..." of a child that was given @fds, the first of which it writes to. */
static void fds_of(struct carom_process_options options, char *text, size_t size)
{
	struct carom_process *process;
	int ends[2], fds[4], code;
	size_t count = options.fd_count;

	cr_assert(pipe(ends) == 0);
	fds[0] = ends[1];
	for (size_t i = 0; i < count; i++)
		fds[i + 1] = options.fds[i];
	options.function = tell_fds;
	options.fds = fds;
	options.fd_count = count + 1;
	process = start_with(options);
	close(ends[1]);
	read_all(ends[0], text, size);
	close(ends[0]);
	code = exitcode_of(process);
	cr_expect(code == (int)count + 1, "%d", code);
	carom_process_free(process);
}

#define FDS_OF(text, ...) fds_of(CAROM_PROCESS_OPTIONS(__VA_ARGS__), text, sizeof(text))

static void *fds_by_thread(void *userdata)
{
	static char text[256];

	FDS_OF(text, .context = userdata);
	return text;
}

/* FS-01 */
/* FS-12 */
/* UT-10 */
/* SN-09 */
Test(start, child_has_what_it_was_given_and_nothing_else, .timeout = 60)
{
	static const char *const afresh[] = { "spawn", "forkserver" };
	struct carom_process *other[3];
	int open_ones[20];

	for (int i = 0; i < 20; i++)
		open_ones[i] = dup(STDERR_FILENO); /* not even CLOEXEC */
	for (int i = 0; i < 3; i++)
		other[i] = START(.context = context_here(methods[i]), .function = wait_for_ever);
	for (int i = 0; i < 2; i++) {
		struct carom_context *context = context_here(afresh[i]);
		bool keeps_numbers = strcmp(carom_context_start_method(context), "spawn") == 0;
		int given[3] = { open_ones[12], open_ones[3], open_ones[12] };
		char text[256], *by_thread;
		pthread_t thread;

		FDS_OF(text, .context = context);
		cr_expect(strncmp(text, "0 1 2 ", 6) == 0 && word_count(text) == 4, "%s: '%s'",
			  afresh[i], text);
		FDS_OF(text, .context = context, .fds = given, .fd_count = 3);
		/* by "spawn" they keep their number, and so one that is given twice is one */
		cr_expect(strncmp(text, "0 1 2 ", 6) == 0 &&
				  word_count(text) == (keeps_numbers ? 6u : 7u),
			  "%s: '%s'", afresh[i], text);
		cr_assert(pthread_create(&thread, NULL, fds_by_thread, context) == 0);
		pthread_join(thread, (void **)&by_thread);
		/* and the end of a pipe that tells it when the program ends */
		cr_expect(strncmp(by_thread, "0 1 2 ", 6) == 0 &&
				  word_count(by_thread) == (keeps_numbers ? 5u : 4u),
			  "%s: '%s'", afresh[i], by_thread);
	}
	for (int i = 0; i < 3; i++) {
		carom_process_kill(other[i]);
		cr_expect(exitcode_of(other[i]) == -SIGKILL);
		carom_process_free(other[i]);
	}
}

/*
 * What is open, by this process or by a copy of it. What the list itself needs stands at
 * the end of it, as "900 901 ".
 */
static void list_fds(bool by_copy, char *text, size_t size)
{
	pid_t pid = 0;
	int ends[2];

	CHECK(pipe(ends) == 0 && dup2(ends[0], 900) == 900 && dup2(ends[1], 901) == 901);
	close(ends[0]);
	close(ends[1]);
	if (by_copy)
		pid = fork();
	if (pid == 0)
		write_fds(901);
	if (pid == 0 && by_copy)
		_exit(0);
	close(901);
	read_all(900, text, size);
	close(900);
	if (by_copy)
		CHECK(waitpid(pid, NULL, 0) == pid);
}

static void *start_and_leave(void *userdata)
{
	struct carom_process **process = userdata;

	*process = START(.context = context_of("fork"), .function = wait_for_ever);
	return NULL;
}

/* One of each kind that runs, one that has ended, one from a thread; and who the parent is. */
static void use_everything(struct carom_process *ret_processes[7])
{
	int code;
	pthread_t thread;

	for (int i = 0; i < 6; i++)
		ret_processes[i] = START(.context = context_here(methods[i % 3]),
					 .function = i < 3 ? wait_for_ever : NULL);
	for (int i = 3; i < 6; i++)
		CHECK(carom_process_join(ret_processes[i], CAROM_NO_DEADLINE) == 0 &&
		      carom_process_exitcode(ret_processes[i], &code) == 0 && code == 0);
	CHECK(pthread_create(&thread, NULL, start_and_leave, &ret_processes[6]) == 0);
	pthread_join(thread, NULL);
}

static void end_everything(struct carom_process *processes[7])
{
	for (int i = 0; i < 7; i++) {
		int expected = i < 3 || i == 6 ? -SIGKILL : 0;

		CHECK(carom_process_kill(processes[i]) == 0);
		CHECK(exitcode_of(processes[i]) == expected);
		carom_process_free(processes[i]);
	}
}

static void copy_has_no_descriptor_of_the_library(void)
{
	char before[512], of_copy[512], of_child[512];
	struct carom_process *processes[7], *child;
	int ends[2], to = 901;

	list_fds(false, before, sizeof(before));
	use_everything(processes);
	list_fds(true, of_copy, sizeof(of_copy));
	CHECK(strcmp(of_copy, before) == 0);

	/* a child by "fork" has the program's own, and what it was given is among them */
	CHECK(pipe(ends) == 0 && dup2(ends[0], 900) == 900 && dup2(ends[1], to) == to);
	close(ends[0]);
	close(ends[1]);
	child = START(.context = context_of("fork"), .function = tell_fds, .fds = &to,
		      .fd_count = 1);
	close(to);
	read_all(900, of_child, sizeof(of_child));
	CHECK(strcmp(of_child, before) == 0);
	CHECK(exitcode_of(child) == 1);
	end_everything(processes);
}

/* FS-12 */
Test(start, copy_of_the_program_has_no_descriptor_of_the_library, .timeout = 60)
{
	cr_expect(zero(int, apart(copy_has_no_descriptor_of_the_library)));
}

/* BO-14 */
Test(start, children_hold_no_end_of_the_programs_pipes, .timeout = 60)
{
	static const char *const afresh[] = { "spawn", "forkserver" };

	for (int i = 0; i < 2; i++) {
		struct carom_context *context = context_here(afresh[i]);
		struct carom_process *process;
		int ends[2];
		char byte;

		cr_assert(pipe(ends) == 0);
		process = START(.context = context, .function = wait_for_ever);
		close(ends[1]);
		cr_expect(read(ends[0], &byte, 1) == 0, "%s", afresh[i]);
		cr_expect(carom_process_is_alive(process) == 1);
		close(ends[0]);
		carom_process_kill(process);
		carom_process_join(process, CAROM_NO_DEADLINE);
		carom_process_free(process);
	}
}

static void *start_and_answer(void *process)
{
	return carom_process_start(process) == 0 ? process : NULL;
}

static void without_standard_descriptors(void)
{
	int status = 7, null;

	CHECK(RUN(.context = context_of("fork")) == 0); /* the library has its descriptors */
	for (int fd = 0; fd < 3; fd++)
		close(fd);
	for (int i = 0; i < 6; i++) {
		struct carom_process *process = NULL;
		struct carom_context *context = NULL;
		pthread_t thread;
		int code = 1000;

		if (carom_context_get(methods[i % 3], &context) == -EOPNOTSUPP)
			continue;
		if (!context || carom_set_executable(getenv("CAROM_CHILD")) < 0)
			_exit(100 + i);
		if (carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context,
							     .function = return_status,
							     .argument = &status,
							     .argument_size = sizeof(int)),
				      &process) < 0)
			_exit(110 + i);
		if (i < 3) {
			if (carom_process_start(process) < 0)
				_exit(120 + i);
		} else { /* with a guard of another kind */
			pthread_create(&thread, NULL, start_and_answer, process);
			pthread_join(thread, NULL);
		}
		if (carom_process_join(process, CAROM_NO_DEADLINE) < 0 ||
		    carom_process_exitcode(process, &code) < 0 || code != 7)
			_exit(130 + i);
		carom_process_free(process);
	}
	null = open("/dev/null", O_RDWR);
	_exit(null >= 0 ? 0 : 140);
}

Test(start, works_with_0_1_and_2_closed, .timeout = 60)
{
	cr_expect(zero(int, apart(without_standard_descriptors)));
}

/* --- a program that forks by itself -------------------------------------- */

static void copy_uses_the_library(struct carom_process *processes[7])
{
	struct carom_context *context;
	int status = 3, code;

	for (int i = 0; i < 7; i++) {
		CHECK(carom_process_join(processes[i], CAROM_PASSED) == -ECHILD);
		CHECK(carom_process_kill(processes[i]) == -ECHILD);
		CHECK(carom_process_sentinel(processes[i]) == -ECHILD);
		CHECK(carom_process_is_alive(processes[i]) == -ECHILD);
		CHECK(carom_process_exitcode(processes[i], &code) == -ECHILD);
		CHECK(carom_process_close(processes[i]) == -ECHILD);
		CHECK(carom_process_free(processes[i]) == NULL);
	}
	CHECK(carom_active_children(NULL, 0) == 0);
	CHECK(carom_ensured_forkserver_pid() == 0);
	EACH_METHOD(context)
	CHECK(RUN(.context = context, .function = return_status, .argument = &status,
		  .argument_size = sizeof(int)) == 3);
	_exit(0);
}

static void fork_with_everything(void)
{
	struct carom_process *processes[7];
	int status = -1, more = 4;
	pid_t server_pid, pid;
	struct carom_context *context;

	use_everything(processes);
	server_pid = carom_ensured_forkserver_pid();
	CHECK((server_pid > 0) == (context_of("forkserver") != NULL));
	for (int i = 0; i < 3; i++) {
		pid = fork();
		if (pid == 0)
			copy_uses_the_library(processes);
		CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	}
	CHECK(carom_ensured_forkserver_pid() == server_pid);
	CHECK(carom_active_children(NULL, 0) == 4);
	EACH_METHOD(context)
	CHECK(RUN(.context = context, .function = return_status, .argument = &more,
		  .argument_size = sizeof(int)) == 4);
	end_everything(processes);
}

Test(start, copy_of_the_program_begins_anew_and_the_program_notices_nothing, .timeout = 60)
{
	cr_expect(zero(int, apart(fork_with_everything)));
}

/* --- the fork server ----------------------------------------------------- */

static const char *socket_path(unsigned long inode)
{
	static char path[256];
	char line[512];
	FILE *file = fopen("/proc/net/unix", "re");
	unsigned long number;
	const char *found = NULL;

	cr_assert(file != NULL);
	while (!found && fgets(line, sizeof(line), file)) {
		path[0] = '\0';
		if (sscanf(line, "%*x: %*x %*x %*x %*x %*x %lu %255s", &number, path) >= 1 &&
		    number == inode)
			found = path;
	}
	fclose(file);
	return found;
}

/* How many sockets that process has; none of them has a name. */
static int unnamed_sockets(pid_t pid)
{
	char path[64], target[128];
	unsigned long inode;
	int count = 0;

	for (int fd = 0; fd < 64; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
		n = readlink(path, target, sizeof(target) - 1);
		target[n < 0 ? 0 : n] = '\0';
		if (sscanf(target, "socket:[%lu]", &inode) != 1 || fd <= STDERR_FILENO)
			continue;
		cr_expect(socket_path(inode) && strcmp(socket_path(inode), "") == 0, "%s is '%s'",
			  target, socket_path(inode));
		count++;
	}
	return count;
}

/* FS-05 */
Test(start, fork_server_is_made_for_the_first_child_and_has_no_name, .timeout = 60)
{
	struct carom_context *context = context_of("forkserver");
	pid_t pid;

	NEED_FORKSERVER();
	cr_expect(RUN(.context = context_of("fork")) == 0);
	cr_expect(RUN(.context = context_of("spawn")) == 0);
	cr_expect(carom_ensured_forkserver_pid() == 0, "nobody has needed one yet");
	cr_expect(RUN(.context = context) == 0);
	pid = carom_ensured_forkserver_pid();
	cr_assert(pid > 0);
	cr_expect(eq(int, unnamed_sockets(pid), 1));
	cr_expect(RUN(.context = context) == 0);
	cr_expect(carom_ensured_forkserver_pid() == pid, "one for all children of a process");
}

/* FS-07 */
Test(start, child_of_the_fork_server_is_the_programs_own, .timeout = 60)
{
	static const int signals[] = { SIGSEGV, SIGTERM };
	struct carom_context *context = context_of("forkserver");
	struct talk talk;
	struct carom_exit exit;
	char path[64], line[128];
	int ppid = 0;

	NEED_FORKSERVER();
	talk = TALK(.context = context, .function = wait_for_word);
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)carom_process_pid(talk.process));
	file = fopen(path, "re");
	cr_assert(file != NULL);
	while (fgets(line, sizeof(line), file) && sscanf(line, "PPid: %d", &ppid) != 1)
		;
	fclose(file);
	cr_expect(eq(int, ppid, getpid()));
	tell(&talk, 100);
	cr_expect(exitcode_of(talk.process) == 100);
	cr_expect(carom_process_exit(talk.process, &exit) == 0 && exit.kind == CAROM_EXIT_EXITED);
	end_talk(&talk);
	for (int i = 0; i < 2; i++) {
		int code = RUN(.context = context, .function = kill_self, .argument = &signals[i],
			       .argument_size = sizeof(int));

		cr_expect(eq(int, code, -signals[i]));
	}
}

static uint64_t signals_of(pid_t pid, const char *kind)
{
	size_t length = strlen(kind);
	char path[64], line[128];
	uint64_t mask = UINT64_MAX;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "re");
	CHECK(file != NULL);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, kind, length) == 0)
			mask = strtoull(line + length + 1, NULL, 16);
	fclose(file);
	return mask;
}

static void signal_the_group(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1 };
	struct carom_context *context = context_of("forkserver");
	struct talk talk;
	pid_t pid;

	CHECK(setpgid(0, 0) == 0);
	CHECK(carom_ensure_forkserver() == 0);
	pid = carom_ensured_forkserver_pid();
	CHECK(pid > 0 && getpgid(pid) == getpid());
	for (int i = 0; i < 5; i++) {
		signal(numbers[i], SIG_IGN); /* here; the server does not inherit that */
		CHECK(kill(0, numbers[i]) == 0);
	}
	CHECK(RUN(.context = context) == 0);
	CHECK(carom_ensured_forkserver_pid() == pid);

	/* what a child ignores and blocks is not what the server does */
	talk = TALK(.context = context, .function = wait_for_word);
	pid = carom_process_pid(talk.process);
	CHECK(signals_of(pid, "SigBlk") == 0);
	CHECK(signals_of(pid, "SigIgn") == 0);
	CHECK(signals_of(pid, "SigCgt") == 0);
	CHECK(carom_process_interrupt(talk.process) == 0);
	CHECK(exitcode_of(talk.process) == -SIGINT);
	end_talk(&talk);
}

/* FS-08 */
Test(start, fork_server_leaves_signals_to_the_program, .timeout = 60)
{
	NEED_FORKSERVER();
	cr_expect(zero(int, apart(signal_the_group)));
}

static int server_pidfd;

static void tell_server(void)
{
	struct carom_process *process = START(.context = context_of("forkserver"));
	pid_t pid = carom_ensured_forkserver_pid();

	CHECK(exitcode_of(process) == 0);
	CHECK(write(server_pidfd, &pid, sizeof(pid)) == sizeof(pid));
	for (;;)
		pause();
}

/* FS-09 */
Test(start, fork_server_ends_with_the_program, .timeout = 60)
{
	int ends[2], pidfd;
	pid_t test = getpid(), program, server;

	NEED_FORKSERVER();
	NEEDS("pidfd_open");
	cr_assert(pipe(ends) == 0);
	server_pidfd = ends[1];
	program = fork();
	if (program == 0) {
		end_with(test);
		tell_server();
	}
	cr_assert(read(ends[0], &server, sizeof(server)) == sizeof(server));
	pidfd = (int)syscall(SYS_pidfd_open, server, 0);
	cr_assert(pidfd >= 0);
	cr_assert(carom_descriptor_wait(pidfd, CAROM_PASSED) == -ETIMEDOUT);
	kill(program, SIGKILL);
	waitpid(program, NULL, 0);
	wait_for_pidfd(pidfd);
	close(pidfd);
}

/* Says by the eventfd that the library knows that a fork server is gone. */
static void count_losses(const struct carom_log_record *record, void *userdata)
{
	if (record->event == CAROM_LOG_EVENT_FORKSERVER_LOST)
		eventfd_write(*(int *)userdata, 1);
}

/* Until it has known so of @wanted, some of which were waited for before. */
static void await_losses(int fd, uint64_t wanted)
{
	static uint64_t seen;
	eventfd_t more;

	for (; seen < wanted; seen += more)
		cr_assert(eventfd_read(fd, &more) == 0);
}

/* FS-10 */
Test(start, fork_server_that_was_killed_is_made_again, .timeout = 60)
{
	struct carom_context *context = context_of("forkserver");
	int losses_fd = eventfd(0, EFD_CLOEXEC);

	NEED_FORKSERVER();
	cr_assert(losses_fd >= 0);
	carom_log_to(count_losses, &losses_fd);
	for (int i = 0; i < 20; i++) {
		struct talk talk = TALK(.context = context, .function = wait_for_word);
		pid_t pid = carom_ensured_forkserver_pid();

		cr_assert(pid > 0);
		cr_assert(kill(pid, SIGKILL) == 0);
		if (i % 2)
			await_losses(losses_fd, (uint64_t)i + 1);
		/* at whatever moment: the next child comes, and this one keeps its status */
		cr_expect(RUN(.context = context) == 0);
		cr_expect(carom_ensured_forkserver_pid() != pid);
		cr_expect(carom_process_is_alive(talk.process) == 1);
		tell(&talk, 42);
		cr_expect(exitcode_of(talk.process) == 42);
		end_talk(&talk);
	}
	carom_log_to(NULL, NULL);
	close(losses_fd);
}

/* FS-14 */
Test(start, fork_server_can_be_made_and_ended, .timeout = 60)
{
	struct carom_context *context = context_of("forkserver");
	struct talk talk;
	pid_t pid;

	NEED_FORKSERVER();
	carom_stop_forkserver(); /* there is none */
	cr_assert(carom_ensured_forkserver_pid() == 0);
	cr_assert(carom_ensure_forkserver() == 0);
	pid = carom_ensured_forkserver_pid();
	cr_assert(pid > 0);
	cr_assert(carom_ensure_forkserver() == 0);
	cr_expect(carom_ensured_forkserver_pid() == pid, "there is one already");
	talk = TALK(.context = context, .function = wait_for_word);
	carom_stop_forkserver();
	cr_expect(carom_ensured_forkserver_pid() == 0);
	cr_expect(kill(pid, 0) < 0 && errno == ESRCH, "ended and reaped");
	cr_expect(RUN(.context = context) == 0);
	cr_expect(carom_ensured_forkserver_pid() > 0);
	tell(&talk, 9);
	cr_expect(exitcode_of(talk.process) == 9, "it has gone on");
	end_talk(&talk);
}

/* --- what it loads ------------------------------------------------------- */

static void *open_module(void)
{
	void *module = dlopen(getenv("CAROM_MODULE"), RTLD_NOW);

	cr_assert(module != NULL, "%s", dlerror());
	return module;
}

Test(start, function_of_a_library_that_was_loaded_later_runs_in_children, .timeout = 60)
{
	static const char *const copies[] = { "forkserver", "fork" };
	carom_process_fn *function;
	pid_t pid;

	NEED_FORKSERVER();
	cr_assert(carom_ensure_forkserver() == 0);
	pid = carom_ensured_forkserver_pid();
	*(void **)&function = dlsym(open_module(), "run_in_module");
	cr_assert(function != NULL);
	for (int i = 0; i < 4; i++) {
		int code = RUN(.context = context_of(copies[i % 2]), .function = function);

		cr_expect(eq(int, code, 42));
	}
	cr_expect(carom_ensured_forkserver_pid() != pid);
	pid = carom_ensured_forkserver_pid();
	cr_expect(RUN(.context = context_of("forkserver"), .function = function) == 42);
	cr_expect(carom_ensured_forkserver_pid() == pid, "once is enough");
	/* another program knows it by its name, or not at all */
	cr_assert(carom_register("run_in_module", function) == 0);
	cr_expect(RUN(.context = context_of("spawn"), .function = function) == 1);
}

static void told_preload(char *text, size_t size)
{
	struct carom_process *process;
	int ends[2];

	cr_assert(pipe(ends) == 0);
	process = START(.context = context_of("forkserver"), .function = tell_preload,
			.fds = &ends[1], .fd_count = 1);
	close(ends[1]);
	read_all(ends[0], text, size);
	close(ends[0]);
	cr_expect(exitcode_of(process) == 0);
	carom_process_free(process);
}

/* CX-14 */
Test(start, preload_runs_once_in_the_fork_server, .timeout = 60)
{
	const char *module = getenv("CAROM_MODULE");
	const char *const names[] = { "preload_here", module, NULL };
	struct carom_context *context = context_of("forkserver");
	size_t size = strlen(module) + 1;
	char text[64], expected[64];

	NEED_FORKSERVER();
	cr_expect(RUN(.context = context, .function = has_object, .argument = module,
		      .argument_size = size) == 0);
	cr_assert(carom_set_forkserver_preload(names) == 0);
	told_preload(text, sizeof(text));
	cr_expect(strcmp(text, "0 0") == 0, "this server was made before: '%s'", text);
	carom_stop_forkserver();
	for (int i = 0; i < 10; i++) {
		told_preload(text, sizeof(text));
		snprintf(expected, sizeof(expected), "1 %d", (int)carom_ensured_forkserver_pid());
		cr_expect(strcmp(text, expected) == 0, "'%s'", text);
	}
	cr_expect(RUN(.context = context, .function = has_object, .argument = module,
		      .argument_size = size) == 1);
	cr_expect(preload_count == 0, "not in this process");
	cr_expect(dlopen(module, RTLD_NOW | RTLD_NOLOAD) == NULL);

	cr_assert(carom_set_forkserver_preload(NULL) == 0);
	carom_stop_forkserver();
	told_preload(text, sizeof(text));
	cr_expect(strcmp(text, "0 0") == 0, "'%s'", text);
	cr_expect(carom_set_forkserver_preload((const char *const[]){ "a", "", NULL }) == -EINVAL);
}

static void preload_nonsense(void)
{
	static const char *const names[] = { "/no/such/object.so", "nobody", "preload_here", NULL };
	char text[256];
	int ends[2];

	CHECK(pipe(ends) == 0 && dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
	close(ends[1]);
	carom_log_to_stderr(CAROM_LOG_INFO);
	CHECK(carom_set_forkserver_preload(names) == 0);
	told_preload(text, sizeof(text));
	CHECK(strncmp(text, "1 ", 2) == 0); /* what can be loaded is */
	carom_log_to_stderr(CAROM_LOG_NONE);
	carom_stop_forkserver();
	close(STDERR_FILENO);
	read_all(ends[0], text, sizeof(text));
	_exit(!strstr(text, "/no/such/object.so") || !strstr(text, "\"nobody\""));
}

/* FS-13 */
Test(start, preload_of_what_is_not_there_is_logged_and_stops_nothing, .timeout = 60)
{
	NEED_FORKSERVER();
	cr_expect(zero(int, apart(preload_nonsense)));
}

static void preload_deadly(void)
{
	static const char *const names[] = { "preload_and_die", NULL };
	struct carom_context *context = context_of("forkserver");
	struct carom_process *process = NULL;

	CHECK(carom_set_forkserver_preload(names) == 0);
	CHECK(carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context), &process) == 0);
	CHECK(carom_process_start(process) == -EPIPE);
	CHECK(carom_ensured_forkserver_pid() == 0); /* and not made again for nothing */
	CHECK(carom_set_forkserver_preload(NULL) == 0);
	CHECK(carom_process_start(process) == 0);
	CHECK(exitcode_of(process) == 0);
}

/* FS-13 */
Test(start, preload_that_kills_the_fork_server_is_an_error_and_no_storm, .timeout = 60)
{
	NEED_FORKSERVER();
	cr_expect(zero(int, apart(preload_deadly)));
}

/* --- spawn --------------------------------------------------------------- */

/* FS-03 */
/* SN-08 */
Test(start, spawned_program_is_told_by_its_argument_that_it_is_a_child, .timeout = 60)
{
	struct carom_process *process;
	char text[PATH_MAX + 64], *marker;
	int ends[2];

	cr_assert(pipe(ends) == 0);
	process = START(.context = context_of("spawn"), .function = tell_arguments,
			.argument = "secret", .argument_size = 7, .fds = &ends[1], .fd_count = 1);
	close(ends[1]);
	read_all(ends[0], text, sizeof(text));
	cr_expect(exitcode_of(process) == 0);
	carom_process_free(process);
	cr_assert(strncmp(text, getenv("CAROM_CHILD"), strlen(getenv("CAROM_CHILD"))) == 0, "%s",
		  text);
	marker = strchr(text, '\n') + 1;
	cr_expect(strncmp(marker, "--carom-child=", 14) == 0 && isdigit(marker[14]), "%s", text);
	cr_expect(strchr(marker, '\n')[1] == '\0', "nothing more: '%s'", text);
}

static long faults_of_writing(char *memory, size_t size)
{
	struct rusage before, after;

	getrusage(RUSAGE_THREAD, &before);
	for (size_t at = 0; at < size; at += 4096)
		memory[at]++;
	getrusage(RUSAGE_THREAD, &after);
	return after.ru_minflt - before.ru_minflt;
}

/* FS-15 */
Test(start, spawn_and_fork_server_copy_nothing_of_a_large_program, .timeout = 60)
{
	static const char *const cheap[] = { "spawn", "forkserver" };
	size_t size = 64 << 20;
	char *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	long pages = (long)size / 4096;

	cr_assert(memory != MAP_FAILED);
	madvise(memory, size, MADV_NOHUGEPAGE);
	if (context_of("forkserver"))
		cr_assert(carom_ensure_forkserver() == 0);
	cr_expect(faults_of_writing(memory, size) >= pages);
	for (int i = 0; i < 2; i++) {
		cr_expect(RUN(.context = context_here(cheap[i])) == 0);
		/* a page that was shared with a copy would fault when it is written to again */
		cr_expect(faults_of_writing(memory, size) < pages / 100, "%s", cheap[i]);
	}
	cr_expect(RUN(.context = context_of("fork")) == 0);
	cr_expect(faults_of_writing(memory, size) >= pages, "which this test would see");
	munmap(memory, size);
}

/* --- parents ------------------------------------------------------------- */

/* FS-04 */
Test(start, child_holds_its_parent, .timeout = 60)
{
	struct carom_context *context;

	NEEDS("pidfd_open");
	EACH_METHOD(context)
	cr_expect(RUN(.context = context, .function = look_at_parent) == 0, "%s", methods[each_]);
}

/**
 * struct by_thread - a child that a thread starts, which ends at once
 * @fds: its own: where it says and is told something, and one to hold
 * @ends: the other ends of the first two
 */
struct by_thread {
	struct carom_context *context;
	int fds[3];
	int ends[2];
	pid_t tid;
};

static void *start_by_thread(void *userdata)
{
	struct by_thread *by_thread = userdata;

	by_thread->tid = gettid();
	carom_process_free(START(.context = by_thread->context, .function = ignore_sigterm,
				 .fds = by_thread->fds, .fd_count = 3));
	return NULL;
}

/* The kernel has done all that it does when a thread ends: parent death signals are sent. */
static void await_thread_gone(pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d", (int)tid);
	while (access(path, F_OK) == 0)
		usleep(100);
}

static int told_fd;

/* It answers although the thread that has started it is gone. */
static void start_by_thread_that_ends(const char *method)
{
	struct by_thread by_thread = { .context = context_here(method),
				       .fds = { -1, -1, told_fd } };
	int from[2], to[2];
	pthread_t thread;
	char byte = 0;

	CHECK(pipe(from) == 0 && pipe(to) == 0);
	by_thread.fds[0] = from[1];
	by_thread.fds[1] = to[0];
	CHECK(pthread_create(&thread, NULL, start_by_thread, &by_thread) == 0);
	pthread_join(thread, NULL);
	close(from[1]);
	close(to[0]);
	await_thread_gone(by_thread.tid);
	CHECK(read(from[0], &byte, 1) == 1 && byte == '!');
	CHECK(write(to[1], "x", 1) == 1 && read(from[0], &byte, 1) == 1 && byte == 'x');
}

/* Two by each method, so that none may hold another's guard open. */
static void start_by_threads(void)
{
	for (int i = 0; i < 6; i++)
		start_by_thread_that_ends(methods[i / 2]);
	CHECK(write(told_fd, "6", 1) == 1);
	for (;;)
		pause();
}

/* BO-14 */
Test(start, child_of_a_thread_outlives_it_but_not_the_program, .timeout = 60)
{
	pid_t test = getpid(), program;
	int told[2];
	char byte = 0;

	cr_assert(pipe(told) == 0);
	told_fd = told[1];
	program = fork();
	if (program == 0) {
		end_with(test);
		start_by_threads();
	}
	close(told[1]);
	cr_assert(read(told[0], &byte, 1) == 1 && byte == '6');
	kill(program, SIGKILL);
	waitpid(program, NULL, 0);
	/* the last holder of this pipe is gone: none of them is left */
	cr_expect(ends(told[0]));
}

/* --- other signals ------------------------------------------------------- */

static void remap_sigterm(void)
{
	struct carom_context *context;

	setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 });
	setenv("REMAP_SIGTERM", "SIGQUIT", 1);
	signal(SIGQUIT, SIG_IGN);
	EACH_METHOD(context)
	{
		struct talk talk = TALK(.context = context, .function = wait_for_word);

		CHECK(carom_process_signal(talk.process, SIGTERM) == 0);
		tell(&talk, 33);
		CHECK(exitcode_of(talk.process) == 33); /* it was ignored */
		end_talk(&talk);
		talk = TALK(.context = context, .function = wait_for_word);
		CHECK(carom_process_terminate(talk.process) == 0);
		CHECK(exitcode_of(talk.process) == -SIGQUIT);
		end_talk(&talk);
	}
}

/* UT-20 */
Test(start, sigterm_can_be_another_signal, .timeout = 60)
{
	cr_expect(zero(int, apart(remap_sigterm)));
}

/* --- an end that is none ------------------------------------------------- */

static int count_call(void *userdata)
{
	++*(int *)userdata;
	return 0;
}

static int thread_count(void)
{
	DIR *directory = opendir("/proc/self/task");
	int count = -2;

	while (readdir(directory))
		count++;
	closedir(directory);
	return count;
}

static void reset_again(void)
{
	int fd_count, called = 0, expected = 0;
	struct carom_context *context;
	struct carom_process *process;
	pthread_t thread;

	CHECK(carom_reset_for_tests() == 0); /* nothing was used yet */
	fd_count = count_fds();
	for (int i = 0; i < 5; i++) {
		struct carom_process *by_thread = NULL;
		char directory[PATH_MAX];
		const char *path;

		CHECK(carom_temp_dir(&path) == 0 && access(path, F_OK) == 0);
		strcpy(directory, path);
		CHECK(carom_tracker_ensure_running() == 0);
		CHECK(carom_finalizer_add(CAROM_FINALIZER_TEMP_DIR, count_call, &called, NULL) ==
		      0);
		EACH_METHOD(context)
		{
			process = START(.context = context, .function = wait_for_ever,
					.daemon = CAROM_YES);
			carom_process_free(process);
			process = START(.context = context);
			carom_process_free(process);
		}
		CHECK(pthread_create(&thread, NULL, start_and_leave, &by_thread) == 0);
		pthread_join(thread, NULL);
		CHECK(carom_process_kill(by_thread) == 0);
		carom_process_free(by_thread);
		CHECK(carom_reset_for_tests() == 0);
		CHECK(called == ++expected);
		CHECK(access(directory, F_OK) < 0 && errno == ENOENT);
		CHECK(waitpid(-1, NULL, WNOHANG | __WALL) < 0 && errno == ECHILD);
		CHECK(count_fds() == fd_count);
		CHECK(carom_process_count() == 0);
		while (thread_count() > 1) /* it has ended; the kernel may not have counted yet */
			usleep(100);
	}
	EACH_METHOD(context)
	CHECK(RUN(.context = context) == 0);
	CHECK(!carom_is_exiting());
}

/* UT-25 */
Test(start, nothing_is_left_after_a_reset, .timeout = 60)
{
	cr_expect(zero(int, apart(reset_again)));
}
