#include <fcntl.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "core/error.h"
#include "core/probe.h"
#include "core/service.h"
#include "core/pidfd.h"
#include "tests/core/apart.h"
#include "tests/core/methods.h"
#include "tests/needs.h"
#include "tests/occupy.h"

static const int seven = 7;

/* Started, joined: its exit code. */
static int finish(struct carom_process *process)
{
	int code = 1000, r = carom_process_start(process);

	if (r == 0)
		r = carom_process_join(process, CAROM_NO_DEADLINE);
	return r < 0 || carom_process_exitcode(process, &code) < 0 ? r : code;
}

/* --- what is made ------------------------------------------------------- */

/* PR-01 */
Test(process_start, without_a_function_runs_nothing_and_ends_with_0, .timeout = 60)
{
	struct carom_process *process = NULL;
	struct carom_context *context;

	EACH_METHOD(context)
	{
		cr_assert(carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context), &process) ==
			  0);
		cr_expect(carom_process_daemon(process) == 0);
		cr_expect(finish(process) == 0, "%s", methods[each_]);
		carom_process_free(process);
	}
}

/* PR-01 */
Test(process_start, options_are_checked)
{
	struct {
		struct carom_process_options options;
		long newer;
	} longer = { CAROM_PROCESS_OPTIONS(), 0 };
	struct carom_process *process = NULL;
	char name[CAROM_FUNCTION_NAME_MAX + 1];

	memset(name, 'f', sizeof(name) - 1);
	name[CAROM_FUNCTION_NAME_MAX] = '\0';
#define NEW(...) carom_process_new(&CAROM_PROCESS_OPTIONS(__VA_ARGS__), &process)
	cr_expect(NEW(.function = echo, .function_name = "echo") == -EINVAL);
	cr_expect(NEW(.argument_size = 1) == -EINVAL);
	cr_expect(NEW(.fd_count = 1) == -EINVAL);
	cr_expect(NEW(.fds = &seven, .fd_count = SIZE_MAX) == -EINVAL);
	cr_expect(NEW(.daemon = (enum carom_choice)3) == -EINVAL);
	cr_expect(NEW(.function_name = "") == -EINVAL);
	cr_expect(NEW(.function_name = name) == -ENAMETOOLONG);
	cr_expect(process == NULL);

	longer.options.size_bytes = sizeof(size_t) - 1;
	cr_expect(carom_process_new(&longer.options, &process) == -EINVAL);
	longer.options.size_bytes = sizeof(longer);
	longer.newer = 1;
	cr_expect(carom_process_new(&longer.options, &process) == -E2BIG);
	cr_expect(process == NULL && carom_process_count() == 0);
	longer.newer = 0;
	cr_expect(carom_process_new(&longer.options, &process) == 0);
	carom_process_free(process);
#undef NEW
}

/* --- once, and by whom -------------------------------------------------- */

/* PR-05 */
Test(process_start, twice_is_refused, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct talk talk = TALK(.context = context, .function = wait_for_word);

		cr_expect(carom_process_start(talk.process) == -EALREADY);
		tell(&talk, 5);
		cr_expect(exitcode_of(talk.process) == 5);
		cr_expect(carom_process_start(talk.process) == -EALREADY);
		cr_expect(exitcode_of(talk.process) == 5);
		end_talk(&talk);
	}
	cr_expect(carom_process_start(carom_current_process()) == -EALREADY);
}

static void *start_in_thread(void *process)
{
	return (void *)(intptr_t)carom_process_start(process);
}

/* PR-05 */
Test(process_start, by_several_threads_is_one_start, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	for (int round = 0; round < 20; round++) {
		struct carom_process *process = NULL;
		pthread_t threads[2];
		void *results[2];
		intptr_t sum;

		cr_assert(carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context), &process) ==
			  0);
		for (int i = 0; i < 2; i++)
			cr_assert(pthread_create(&threads[i], NULL, start_in_thread, process) == 0);
		for (int i = 0; i < 2; i++)
			pthread_join(threads[i], &results[i]);
		sum = (intptr_t)results[0] + (intptr_t)results[1];
		cr_expect(sum == -EALREADY);
		cr_expect(exitcode_of(process) == 0);
		carom_process_free(process);
	}
}

/* PR-06 */
Test(process_start, by_a_daemonic_process_works, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		int code = RUN(.context = context, .function = start_another, .daemon = CAROM_YES);

		cr_expect(code == 7, "%s: %d", methods[each_], code);
	}
}

/* PR-06 */
Test(process_start, by_a_daemonic_process_can_be_refused, .timeout = 60)
{
	struct carom_context_options strict = CAROM_CONTEXT_OPTIONS(.no_daemon_children = true);
	struct carom_context *context;

	EACH_METHOD(context)
	{
		int code;

		cr_assert(carom_context_configure(context, &strict) == 0);
		code = RUN(.context = context, .function = start_another, .daemon = CAROM_YES);
		cr_expect(code == EPERM, "%s: %d", methods[each_], code);
		code = RUN(.context = context, .function = start_another, .daemon = CAROM_NO);
		cr_expect(code == 7, "%s: %d", methods[each_], code);
	}
}

/* --- what it does besides ----------------------------------------------- */

static const char *the_method;

/* Standard output is a file with a buffer of its own, and "once" stands in the buffer. */
static int print_to_file(void)
{
	int fd = memfd_create("output", MFD_CLOEXEC);

	CHECK(fd >= 0 && dup2(fd, STDOUT_FILENO) == STDOUT_FILENO);
	setvbuf(stdout, NULL, _IOFBF, 4096);
	printf("once");
	return fd;
}

static void check_printed(int fd, const char *expected)
{
	char text[64] = "";

	fflush(stdout);
	CHECK(pread(fd, text, sizeof(text) - 1, 0) >= 0);
	CHECK(strcmp(text, expected) == 0);
}

static void start_with_text_in_the_buffer(void)
{
	int fd = print_to_file();

	CHECK(RUN(.context = context_of(the_method), .function = call_exit, .argument = &seven,
		  .argument_size = sizeof(seven)) == 7);
	check_printed(fd, "once");
}

/* PR-07 */
Test(process_start, prints_nothing_twice, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		the_method = methods[each_];
		cr_expect(apart(start_with_text_in_the_buffer) == 0, "%s", methods[each_]);
	}
}

static void make_server_with_text_in_the_buffer(void)
{
	int fd = print_to_file();

	CHECK(carom_ensure_forkserver() == 0);
	CHECK(RUN(.context = context_of("forkserver")) == 0);
	check_printed(fd, "once");
}

/* PR-07 */
Test(process_start, prints_nothing_twice_by_a_fork_server_that_was_there, .timeout = 60)
{
	if (!context_of("forkserver"))
		cr_skip("no fork server can be here");
	cr_expect(apart(make_server_with_text_in_the_buffer) == 0);
}

/* The library's thread is kept from reaping, so that the start alone can have done it. */
static void hold_up(void *userdata)
{
	char byte;

	CHECK(read(*(int *)userdata, &byte, 1) == 1);
}

static void *hold_thread_up(void *userdata)
{
	struct carom_service *service;

	CHECK(carom_service_get(&service) == 0);
	carom_service_run(service, hold_up, userdata);
	return NULL;
}

/* PR-07 */
Test(process_start, reaps_those_that_have_ended, .timeout = 60)
{
	struct talk talk = TALK(.context = context_of("spawn"), .function = wait_for_word);
	int pidfd = dup(carom_process_sentinel(talk.process));
	pthread_t thread;
	int ends[2];

	cr_assert(pipe(ends) == 0);
	cr_assert(pthread_create(&thread, NULL, hold_thread_up, &ends[0]) == 0);
	tell(&talk, 1);
	wait_for_pidfd(pidfd);
	cr_expect(RUN(.context = context_of("spawn")) == 0);
	cr_expect(carom_pidfd_signal(pidfd, 0) == -ESRCH);
	cr_assert(write(ends[1], "", 1) == 1);
	pthread_join(thread, NULL);
	end_talk(&talk);
}

/* --- what stands against it --------------------------------------------- */

/* One handle, refused with @error while the limit is that low, started when it no longer is. */
static void check_limit(int resource, rlim_t low, int error)
{
	struct carom_process *process = NULL;
	struct rlimit before, lower;
	int r;

	CHECK(carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context_of(the_method),
						       .function = return_status,
						       .argument = &seven,
						       .argument_size = sizeof(seven)),
				&process) == 0);
	CHECK(getrlimit(resource, &before) == 0);
	lower = (struct rlimit){ low, before.rlim_max };
	CHECK(setrlimit(resource, &lower) == 0);
	r = carom_process_start(process);
	CHECK(setrlimit(resource, &before) == 0);
	if (r != error)
		dprintf(STDERR_FILENO, "%s: %d\n", the_method, r);
	CHECK(r == error);
	CHECK(carom_process_pid(process) == 0 && carom_process_is_alive(process) == 0);
	CHECK(carom_active_children(NULL, 0) == 0);
	CHECK(finish(process) == 7);
	carom_process_free(process);
}

static void run_out_of_descriptors(void)
{
	check_limit(RLIMIT_NOFILE, 3, -EMFILE); /* before anything is there */
	check_limit(RLIMIT_NOFILE, 3, -EMFILE); /* with the library's thread and the fork server */
	carom_stop_forkserver();
	check_limit(RLIMIT_NOFILE, 3, -EMFILE);
}

/* PR-08 */
Test(process_start, without_descriptors_leaves_a_handle_that_starts_later, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		the_method = methods[each_];
		cr_expect(apart(run_out_of_descriptors) == 0, "%s", methods[each_]);
	}
}

/* Each in turn, so that each step of the birth is the one that finds none. */
static void run_out_of_each_descriptor(void)
{
	struct carom_context *context = context_of(the_method);
	rlim_t limit = OCCUPIED;
	struct rlimit before;
	int r = -EMFILE;

	occupy_low_descriptors();
	CHECK(RUN(.context = context) == 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	for (; r < 0 && limit < OCCUPIED + 64; limit++) {
		struct rlimit lower = { limit, before.rlim_max };
		struct carom_process *process = NULL;

		CHECK(carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context), &process) == 0);
		CHECK(setrlimit(RLIMIT_NOFILE, &lower) == 0);
		r = carom_process_start(process);
		CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
		CHECK(r == 0 || r == -EMFILE);
		CHECK((r == 0 ? exitcode_of(process) : finish(process)) == 0);
		carom_process_free(process);
	}
	CHECK(limit > OCCUPIED + 1 && r == 0);
}

/* PR-08 */
Test(process_start, without_the_last_descriptor_leaves_a_handle_that_starts_later, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		the_method = methods[each_];
		cr_expect(apart(run_out_of_each_descriptor) == 0, "%s", methods[each_]);
	}
}

/* Root may have any number of processes. */
static void become_nobody(void)
{
	if (geteuid() == 0)
		CHECK(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0);
	prctl(PR_SET_DUMPABLE, 1); /* /proc/self stays its own */
}

static void run_out_of_processes(void)
{
	become_nobody();
	if (strcmp(the_method, "spawn") == 0 && access(getenv("CAROM_CHILD"), X_OK) < 0) {
		dprintf(STDERR_FILENO, "skipped: spawn, nobody may run what it runs\n");
		return;
	}
	check_limit(RLIMIT_NPROC, 0, -EAGAIN);
	if (strcmp(the_method, "forkserver") == 0)
		carom_stop_forkserver(); /* which has its own limits */
	check_limit(RLIMIT_NPROC, 0, -EAGAIN);
}

/* PR-08 */
Test(process_start, of_too_many_processes_leaves_a_handle_that_starts_later, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		the_method = methods[each_];
		cr_expect(apart(run_out_of_processes) == 0, "%s", methods[each_]);
	}
}

/* PR-08 */
Test(process_start, with_a_closed_descriptor_leaves_a_handle_that_starts_later, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NULL;
		char text[16];
		int ends[2], fd;

		cr_assert(pipe(ends) == 0);
		fd = fcntl(ends[1], F_DUPFD_CLOEXEC, 100);
		cr_assert(fd >= 100);
		cr_assert(carom_process_new(
				  &CAROM_PROCESS_OPTIONS(.context = context, .function = echo,
							 .argument = "here", .argument_size = 4,
							 .fds = &fd, .fd_count = 1),
				  &process) == 0);
		close(fd);
		cr_expect(carom_process_start(process) == -EBADF, "%s", methods[each_]);
		cr_assert(dup2(ends[1], fd) == fd);
		cr_expect(finish(process) == 0);
		close(fd);
		close(ends[1]);
		read_all(ends[0], text, sizeof(text));
		cr_expect(strcmp(text, "here") == 0, "%s", text);
		close(ends[0]);
	}
}

static void refuse_one_of_two(void)
{
	int fds[] = { STDIN_FILENO, 1000 };
	struct carom_context *context;

	EACH_METHOD(context)
	{
		CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NULL;
		int before;

		CHECK(carom_process_new(
			      &CAROM_PROCESS_OPTIONS(.context = context, .fds = fds, .fd_count = 2),
			      &process) == 0);
		CHECK(RUN(.context = context) == 0); /* what is there from the first child on */
		before = count_fds();
		CHECK(carom_process_start(process) == -EBADF);
		CHECK(count_fds() <= before);
	}
}

Test(process_start, that_refuses_a_descriptor_keeps_none_of_the_others, .timeout = 60)
{
	cr_expect(zero(int, apart(refuse_one_of_two)));
}

static int unregistered(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return 7;
}

Test(process_start, of_an_unregistered_function_works_in_one_image_alone, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NULL;
		bool is_spawn = strcmp(methods[each_], "spawn") == 0;

		cr_assert(carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context,
								   .function = unregistered),
					    &process) == 0);
		cr_expect(finish(process) == (is_spawn ? -ENOENT : 7), "%s", methods[each_]);
	}
}

/* The program that is set, and what starting it says. */
Test(process_start, of_what_is_no_program_leaves_a_handle_that_starts_later, .timeout = 60)
{
	static const struct {
		const char *path;
		int error;
	} programs[] = {
		{ "/nonexistent/program", -ENOENT },
		{ "no-such-program-anywhere", -ENOENT },
		{ "/", -EACCES },
		{ "/etc/passwd", -EACCES },
		{ NULL, -ENOEXEC }, /* this one, which has called no hook */
	};
	struct carom_context *context = context_of("spawn");
	CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NULL;

	cr_assert(carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context), &process) == 0);
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		int r;

		cr_assert(carom_set_executable(programs[i].path) == 0);
		r = carom_process_start(process);
		cr_expect(r == programs[i].error, "%s: %d", programs[i].path, r);
	}
	context_of("spawn"); /* sets the right one */
	cr_expect(finish(process) == 0);
}

/* --- where no fork server can be ---------------------------------------- */

static void start_without_forkserver(void)
{
	struct carom_context *context;
	struct carom_process *process;

	CHECK(carom_context_get("forkserver", &context) == -EOPNOTSUPP);
	CHECK(carom_ensure_forkserver() == -EOPNOTSUPP);
	context_of("spawn");
	process = START(.function = return_status, .argument = &seven,
			.argument_size = sizeof(seven));
	CHECK(exitcode_of(process) == 7);
	CHECK(strcmp(carom_get_start_method(true), "spawn") == 0);
	CHECK(carom_ensured_forkserver_pid() == 0);
}

Test(process_start, is_by_spawn_where_no_fork_server_can_be, .timeout = 60)
{
	NEEDS("pidfd_open"); /* without it nothing is made by fork alone */
	cr_expect(apart_with("CAROM_CLONE", "fork", start_without_forkserver) == 0);
}
