/* Pid namespace: children that are process 1 of one of their own. */
#include "tests/core/methods.h"

#include "core/cleanup.h"
#include "core/pid_namespace.h"
#include "core/sandbox_private.h"
#include "tests/core/apart.h"
#include "tests/core/confined.h"
#include "tests/core/sandboxes.h"

/* With a user namespace where there is none without. */
#define INSIDE (CAROM_SANDBOX_PID_NAMESPACE | CAROM_SANDBOX_USER_NAMESPACE)

#define FORKS                                  \
	(const char *[])                       \
	{                                      \
		"fork", "setsid", "kill", NULL \
	}

/* Of this kind, by the fork server; or the test is skipped. */
static struct carom_sandbox *basic(void)
{
	if (carom_clone_way() == CAROM_CLONE_BY_FORK)
		cr_skip_test("skipped: there is no fork server here");
	return SANDBOX(.profile = CAROM_SANDBOX_BASIC, .layers = INSIDE, .allow = FORKS);
}

#define STARTED(...) START(.sandbox = sandbox, .context = context_of("forkserver"), __VA_ARGS__)

/* --- who it is --------------------------------------------------------- */

static int say_who(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	int64_t numbers[] = { getpid(), getppid(), carom_pid_outside(), carom_is_inside() };

	return write(fds[0], numbers, sizeof(numbers)) == sizeof(numbers) ? 0 : 1;
}

Test(pid_namespace, child_is_process_one_and_known_by_another_pid, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = basic();
	struct carom_process *process;
	int64_t numbers[4];
	int line[2];

	cr_assert(zero(int, pipe2(line, O_CLOEXEC)));
	process = STARTED(.function = say_who, .fds = &line[1], .fd_count = 1);
	cr_assert(read(line[0], numbers, sizeof(numbers)) == sizeof(numbers));
	cr_expect(eq(int, (int)numbers[0], 1));
	cr_expect(eq(int, (int)numbers[1], 0));
	cr_expect(eq(int, (int)numbers[2], carom_process_pid(process)));
	cr_expect(eq(int, (int)numbers[3], 1));
	cr_expect(eq(int, exitcode_of(process), 0));
	carom_process_free(process);
}

/* Its parent, and all others: there is nobody by such a number. */
static int signal_everybody(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	pid_t pid = *(const pid_t *)argument;

	return kill(pid, 0) < 0 && errno == ESRCH && kill(-1, SIGKILL) < 0 && errno == ESRCH;
}

Test(pid_namespace, child_sees_no_process_of_others, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = basic();
	pid_t pid = getpid();

	cr_expect(
		eq(int,
		   RUN(.function = signal_everybody, .argument = &pid, .argument_size = sizeof(pid),
		       .sandbox = sandbox, .context = context_of("forkserver")),
		   1));
}

static int compute_in_strict(struct carom_sandbox *sandbox)
{
	return RUN(.function = compute, .sandbox = sandbox, .context = context_of("forkserver"));
}

Test(pid_namespace, goes_with_all_other_layers, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox =
		SANDBOX(.profile = CAROM_SANDBOX_STRICT,
			.layers = CAROM_SANDBOX_NAMESPACES | CAROM_SANDBOX_PID_NAMESPACE);

	cr_expect(0 != (carom_sandbox_layers(sandbox) & CAROM_SANDBOX_PID_NAMESPACE));
	if (carom_clone_way() != CAROM_CLONE_BY_FORK)
		cr_expect(eq(int, compute_in_strict(sandbox), 42));
}

Test(pid_namespace, is_refused_where_a_child_could_outlive_its_parent, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep)
	struct carom_sandbox *sandbox = SANDBOX(.profile = CAROM_SANDBOX_STRICT, .layers = INSIDE);
	const char *const others[] = { "fork", "spawn" };

	for (int i = 0; i < 2; i++) {
		CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NULL;
		struct carom_process_options options =
			CAROM_PROCESS_OPTIONS(.function = compute, .sandbox = sandbox,
					      .context = context_of(others[i]));

		cr_assert(zero(int, carom_process_new(&options, &process)));
		cr_expect(eq(int, carom_process_start(process), -EOPNOTSUPP), "%s", others[i]);
	}
}

/* --- how it ends ------------------------------------------------------- */

static int abort_here(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	abort();
}

static int fault_here(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	volatile char *nowhere = mmap(NULL, 1, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	signal(SIGSEGV, SIG_DFL); /* a sanitizer has its own idea of it */
	*nowhere = 1;
	return 1;
}

static int exit_here(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	exit(7);
}

Test(pid_namespace, an_end_is_what_it_is_elsewhere_but_for_signals_it_sends_itself, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = basic();
	const struct {
		carom_process_fn *function;
		int code;
	} ends[] = {
		{ compute, 42 },
		{ exit_here, 7 },
		{ fault_here, -SIGSEGV },
		{ abort_here, 128 + SIGABRT },
	};

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		struct carom_process *process = STARTED(.function = ends[i].function);

		cr_expect(eq(int, exitcode_of(process), ends[i].code), "%zu", i);
		carom_process_free(process);
	}
}

Test(pid_namespace, who_is_asked_to_end_ends, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = basic();
	int (*const ask[])(struct carom_process *) = { carom_process_terminate,
						       carom_process_interrupt,
						       carom_process_kill };
	const int codes[] = { 128 + SIGTERM, 128 + SIGINT, -SIGKILL };

	for (int i = 0; i < 3; i++) {
		struct carom_process *process;
		int line[2];
		char byte;

		cr_assert(zero(int, pipe2(line, O_CLOEXEC)));
		process = STARTED(.function = say_and_pause, .fds = &line[1], .fd_count = 1);
		cr_assert(read(line[0], &byte, 1) == 1);
		cr_assert(zero(int, ask[i](process)));
		cr_expect(eq(int, exitcode_of(process), codes[i]), "%d", i);
		carom_process_free(process);
		close(line[0]);
		close(line[1]);
	}
}

Test(pid_namespace, names_the_system_call_that_was_not_allowed, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = basic();
	int number = SYS_socket;
	struct carom_process *process = STARTED(.function = call_number, .argument = &number,
						.argument_size = sizeof(number));
	struct carom_violation violation = { .number = -2 };

	cr_expect(eq(int, exitcode_of(process), -SIGSYS));
	cr_assert(zero(int, carom_process_violation(process, &violation)));
	cr_expect_str_eq(violation.name, "socket");
	carom_process_free(process);
}

/* --- whom it takes along ----------------------------------------------- */

/* A daemon by all rules: a session of its own, and its parent is gone. */
static int leave_a_daemon(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	if (fork() == 0) {
		setsid();
		if (fork() == 0)
			say_and_pause(argument, size, fds, fd_count);
		_exit(0);
	}
	say_and_pause(argument, size, fds, fd_count);
	return 0;
}

Test(pid_namespace, whoever_it_has_started_ends_with_it, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = basic();
	struct carom_process *process;
	char bytes[2];
	int line[2];

	cr_assert(zero(int, pipe2(line, O_CLOEXEC)));
	process = STARTED(.function = leave_a_daemon, .fds = &line[1], .fd_count = 1);
	close(line[1]);
	for (int i = 0; i < 2; i++)
		cr_assert(read(line[0], &bytes[i], 1) == 1);
	cr_assert(zero(int, carom_process_kill(process)));
	cr_expect(eq(int, exitcode_of(process), -SIGKILL));
	/* it is told of the end when all of them are gone, and so is the last end of the pipe */
	cr_expect(zero(int, (int)read(line[0], bytes, 1)));
	close(line[0]);
	carom_process_free(process);
}

static int line_of_program[2];

/* The program that is killed: a copy of the suite, with a child inside. */
static void be_killed(void)
{
	struct carom_sandbox *sandbox = NULL;
	struct carom_sandbox_options options =
		CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_BASIC, .layers = INSIDE,
				      .allow = FORKS);

	CHECK(carom_sandbox_new(&options, &sandbox) == 0);
	STARTED(.function = leave_a_daemon, .fds = &line_of_program[1], .fd_count = 1);
	for (;;)
		pause();
}

Test(pid_namespace, ends_with_the_program_however_that_ends, .timeout = 60)
{
	carom_sandbox_free(basic()); /* or it is skipped */
	for (int i = 0; i < 5; i++) {
		char byte;
		pid_t parent = getpid(), pid;

		cr_assert(zero(int, pipe2(line_of_program, O_CLOEXEC)));
		pid = fork();
		if (pid == 0) {
			end_with(parent);
			be_killed();
		}
		close(line_of_program[1]);
		for (int k = 0; k < 2; k++)
			cr_assert(read(line_of_program[0], &byte, 1) == 1);
		kill(pid, SIGKILL);
		cr_expect(zero(int, (int)read(line_of_program[0], &byte, 1)));
		cr_assert(waitpid(pid, NULL, 0) == pid);
		close(line_of_program[0]);
	}
}
