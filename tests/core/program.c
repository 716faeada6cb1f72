/*
 * A program of its own, for what a suite's program cannot be: one without the hook, one
 * that ends by exit(), one that is called by a relative path. CAROM_SCENARIO says which;
 * children that are this program once more see it too.
 */
#include <limits.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/bootstrap.h"
#include "core/context.h"
#include "core/error.h"
#include "core/finalizer.h"
#include "core/log.h"
#include "core/process.h"
#include "core/service.h"
#include "core/thread.h"
#include "core/time.h"
#include "tests/core/births.h"
#include "tests/core/functions.h"

static const char *const methods[] = { "fork", "spawn", "forkserver" };

static struct carom_context *context_of(const char *method)
{
	struct carom_context *context = NULL;

	carom_context_get(method, &context);
	return context;
}

static int start(const struct carom_process_options *options, struct carom_process **ret_process)
{
	struct carom_process *process = NULL;
	int r = carom_process_new(options, &process);

	if (r == 0)
		r = carom_process_start(process);
	if (r < 0)
		carom_process_free(process);
	else
		*ret_process = process;
	return r;
}

#define START(process, ...) start(&CAROM_PROCESS_OPTIONS(__VA_ARGS__), process)

/* --- without the hook --------------------------------------------------- */

/* Started by a person: what starting a child of each kind says. */
static int spawn_without_hook(void)
{
	struct carom_process *process = NULL;
	int r = START(&process, .context = context_of("spawn"), .function = tell_fds);

	return carom_complain("start", r);
}

/* Started as a child: it does not know that, and would go on for ever. */
static int child_without_hook(void)
{
	struct carom_service *service;

	for (int i = 0; i < 3; i++) {
		struct carom_process *process = NULL;

		printf("%s %d\n", methods[i],
		       START(&process, .context = context_of(methods[i]), .function = tell_fds));
	}
	printf("service %d\n", carom_service_get(&service));
	return 5;
}

/* --- children before the hook ------------------------------------------- */

static int early_error;

__attribute__((constructor)) static void start_early(void)
{
	const char *scenario = getenv("CAROM_SCENARIO");
	struct carom_process *process = NULL;

	if (scenario && strcmp(scenario, "early") == 0)
		early_error =
			START(&process, .context = context_of("spawn"), .function = return_status);
}

static int tell_early_error(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return -early_error;
}
CAROM_REGISTER(tell_early_error);

static int status_of(struct carom_process *process)
{
	int code = 1000;

	carom_process_join(process, CAROM_NO_DEADLINE);
	carom_process_exitcode(process, &code);
	carom_process_free(process);
	return code;
}

static int early(void)
{
	struct carom_process *process = NULL;
	int r = START(&process, .context = context_of("spawn"), .function = tell_early_error);

	return r < 0 ? carom_complain("start", r) : status_of(process);
}

/* --- by a relative path ------------------------------------------------- */

/* The directory that it was called in is another one by now. */
static int elsewhere(void)
{
	struct carom_process *process = NULL;
	int fd = STDOUT_FILENO;
	int r = chdir("/");

	if (r == 0)
		r = carom_set_executable(getenv("CAROM_RELATIVE"));
	if (r == 0)
		r = START(&process, .context = context_of("spawn"), .function = tell_program,
			  .fds = &fd, .fd_count = 1);
	return r < 0 ? carom_complain("start", r) : status_of(process);
}

/* --- the end ------------------------------------------------------------ */

static void say(const char *text)
{
	if (write(STDOUT_FILENO, text, strlen(text)) < 0)
		_exit(77);
}

static void say_parent(void)
{
	say("P");
}

static void say_child(void)
{
	say("C");
}

static int finalize_child(void *userdata)
{
	say("F");
	return 0;
}

/* Its own handlers, one of each kind. */
static int end_with_handlers(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	atexit(say_child);
	carom_finalizer_add(CAROM_FINALIZER_DEFAULT, finalize_child, NULL, NULL);
	if (size)
		exit(0);
	return 0;
}
CAROM_REGISTER(end_with_handlers);

static int finalize_parent(void *userdata)
{
	say("Q");
	return 0;
}

/* Children by each method, one that returns and one that exits: "CF" six times, then "PQ". */
static int handlers(void)
{
	atexit(say_parent);
	carom_finalizer_add(CAROM_FINALIZER_DEFAULT, finalize_parent, NULL, NULL);
	for (int i = 0; i < 6; i++) {
		struct carom_context *context = context_of(methods[i / 2]);
		struct carom_process *process = NULL;
		int r = START(&process, .context = context ? context : context_of("spawn"),
			      .function = end_with_handlers, .argument = "",
			      .argument_size = i % 2);

		if (r < 0 || status_of(process) != 0)
			return 1;
	}
	return 0;
}

static int finalize(void *userdata)
{
	say(userdata);
	return 0;
}

static int tell_word(void *userdata)
{
	say("0");
	return write(*(int *)userdata, "!", 1) == 1 ? 0 : -1;
}

/* Until it is told a word. */
static int wait_and_say(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	char byte;

	say("B");
	if (read(fds[0], &byte, 1) != 1)
		return 1;
	say("J");
	return 0;
}
CAROM_REGISTER(wait_and_say);

static void say_terminated(int number)
{
	say("T");
	_exit(0);
}

static int wait_for_sigterm(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	signal(SIGTERM, say_terminated);
	if (write(fds[0], "!", 1) != 1)
		return 1;
	for (;;)
		pause();
}
CAROM_REGISTER(wait_for_sigterm);

/*
 * A daemonic child that would run for ever, and another that waits for what the last of
 * the first finalizers does. By the time the function returns both are there.
 */
static int ending(void)
{
	static const int priorities[] = { CAROM_FINALIZER_TEMP_DIR, CAROM_FINALIZER_POOL,
					  CAROM_FINALIZER_QUEUE, CAROM_FINALIZER_QUEUE_JOIN };
	static const char *const names[] = { "temp ", "pool ", "queue ", " join " };
	static int to[2];
	struct carom_process *daemonic = NULL, *other = NULL;
	int from[2];
	char byte;

	if (pipe(from) < 0 || pipe(to) < 0)
		return 1;
	for (int i = 0; i < 4; i++)
		carom_finalizer_add(priorities[i], finalize, (void *)names[i], NULL);
	carom_finalizer_add(CAROM_FINALIZER_DEFAULT, tell_word, &to[1], NULL);
	if (START(&daemonic, .function = wait_for_sigterm, .daemon = CAROM_YES, .fds = &from[1],
		  .fd_count = 1) < 0 ||
	    START(&other, .function = wait_and_say, .fds = &to[0], .fd_count = 1) < 0)
		return 1;
	return read(from[0], &byte, 1) != 1;
}

static void run_for_ever(void *userdata)
{
	for (;;)
		pause();
}

/* Neither a child nor a thread of it ever ends: it does all the same, and says so. */
static int limited(void)
{
	struct carom_process *process = NULL;

	carom_log_to_stderr(CAROM_LOG_WARNING);
	carom_set_exit_limit(CAROM_MILLISECONDS(200));
	carom_finalizer_add(CAROM_FINALIZER_QUEUE_JOIN, finalize, (void *)"last", NULL);
	if (carom_thread_start(run_for_ever, NULL) < 0)
		return 1;
	return START(&process, .function = wait_for_ever, .name = "Stayer") < 0;
}

/* --- this program once more ----------------------------------------------- */

/* How many descriptors this process has of its own program. */
static int count_of_program(void)
{
	char name[64], path[PATH_MAX], own[PATH_MAX] = "";
	int count = 0;

	if (readlink("/proc/self/exe", own, sizeof(own) - 1) < 0)
		return -1;
	for (int fd = 0; fd < 256; fd++) {
		ssize_t length;

		snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
		length = readlink(name, path, sizeof(path) - 1);
		path[length < 0 ? 0 : length] = '\0';
		count += strcmp(path, own) == 0;
	}
	return count;
}

/* ... and what the kernel calls it. */
static int tell_comm(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	char name[16] = "";

	prctl(PR_GET_NAME, name);
	printf("%s %d\n", name, count_of_program());
	return fflush(stdout);
}
CAROM_REGISTER(tell_comm);

static int run_itself(void)
{
	struct carom_process *process = NULL;
	int code = 1;

	if (START(&process, .function = tell_comm, .context = context_of("spawn")) < 0)
		return 1;
	carom_process_join(process, CAROM_NO_DEADLINE);
	carom_process_exitcode(process, &code);
	carom_process_free(process);
	return code + count_of_program();
}

/* Where nothing is executed by its descriptor. */
static int run_itself_by_path(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execveat, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(*code), .filter = code };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		return 1;
	return run_itself();
}

/* ------------------------------------------------------------------------ */

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*function)(void);
	} scenarios[] = {
		{ "early", early },
		{ "elsewhere", elsewhere },
		{ "handlers", handlers },
		{ "ending", ending },
		{ "limited", limited },
		{ "itself", run_itself },
		{ "itself_by_path", run_itself_by_path },
	};
	const char *wanted = getenv("CAROM_SCENARIO") ? getenv("CAROM_SCENARIO") : "";

	if (strcmp(wanted, "spawn_without_hook") == 0)
		return spawn_without_hook();
	if (strcmp(wanted, "child_without_hook") == 0)
		return child_without_hook();
	carom_main_hook(argc, argv);
	for (size_t i = 0; i < sizeof(scenarios) / sizeof(*scenarios); i++)
		if (strcmp(wanted, scenarios[i].name) == 0)
			return scenarios[i].function();
	fprintf(stderr, "no such scenario\n");
	return 1;
}
