/* Confined: pools whose workers are in sandboxes. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <sys/wait.h>

#include "tests/pool/confined.h"
#include "tests/core/escapes.h"
#include "tests/core/prey.h"
#include "tests/core/sandboxes.h"
#include "tests/pool/ends.h"

#define STRICT SANDBOX(.profile = CAROM_SANDBOX_STRICT)

static struct carom_pool *pool_with(struct carom_pool_options options)
{
	struct carom_pool *pool = NULL;
	int r = carom_pool_new(&options, &pool);

	cr_assert(r == 0, "%s", carom_strerror(r));
	return pool;
}

#define POOL(...) pool_with(CAROM_POOL_OPTIONS(.worker_count = 2, __VA_ARGS__))

static int run(struct carom_pool *pool, carom_task_fn *function, struct carom_outcome *ret_outcome)
{
	char value[64];

	return carom_pool_apply(pool, function, NULL, 0, value, sizeof(value), NULL, ret_outcome);
}

static void squares(struct carom_pool *pool)
{
	int64_t in[200], out[200];

	for (int i = 0; i < 200; i++)
		in[i] = i;
	cr_assert(carom_pool_map(pool, square, in, 200, sizeof(*in), out, sizeof(*out), NULL) == 0);
	for (int i = 0; i < 200; i++)
		cr_assert(out[i] == in[i] * in[i]);
}

Test(confined, names_the_system_call_in_the_outcome, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = STRICT;
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = POOL(.sandbox = sandbox);
	struct carom_outcome outcome;
	char text[160];

	cr_assert(run(pool, open_a_socket, &outcome) == -EREMOTEIO);
	cr_expect(outcome.kind == CAROM_OUTCOME_SANDBOX_VIOLATION);
	cr_expect(outcome.system_call == SYS_socket && outcome.signal == SIGSYS);
	cr_expect_str_eq(outcome.message, "socket");
	carom_outcome_describe(&outcome, text, sizeof(text));
	cr_expect(strncmp(text, "sandbox violation: worker ", 26) == 0 &&
			  strstr(text, " called socket") != NULL,
		  "%s", text);
	cr_assert(run(pool, open_a_file, &outcome) == -EREMOTEIO);
	cr_expect_str_eq(outcome.message, "openat");
	squares(pool); /* the worker was replaced, and nobody else is concerned */
}

Test(confined, works_under_every_method_and_ends_in_good_order, .timeout = 240)
{
	enum carom_sandbox_profile profiles[] = { CAROM_SANDBOX_BASIC, CAROM_SANDBOX_STRICT,
						  CAROM_SANDBOX_CUSTOM };
	struct carom_context *context;
	int ended = 0;

	watch_ends();
	for (size_t i = 0; i < 3; i++) {
		CAROM_CLEANUP(carom_sandbox_freep)
		struct carom_sandbox *sandbox = SANDBOX(.profile = profiles[i]);

		EACH_PROCESS_METHOD(context)
		{
			struct carom_pool *pool =
				POOL(.sandbox = sandbox, .context = context, .statistics = 1,
				     .backtraces = 1, .timestamps = 1);
			struct carom_outcome outcome;

			squares(pool);
			run(pool, open_a_socket, &outcome);
			cr_expect(outcome.kind == CAROM_OUTCOME_SANDBOX_VIOLATION, "%s: %d",
				  THE_METHOD, outcome.kind);
			cr_expect_str_eq(outcome.message, "socket");
			cr_expect(ended_by(await_end(ended), "signal 31 (SIGSYS)"));
			squares(pool);
			/* the replacement too: one that is not there does not end either */
			cr_expect(carom_pool_wait_ready(pool, CAROM_NO_DEADLINE) == 0);
			cr_expect(carom_pool_close(pool) == 0);
			cr_expect(carom_pool_join(pool, CAROM_NO_DEADLINE) == 0);
			for (int worker = 1; worker <= 2; worker++)
				cr_expect(ended_by(await_end(ended + worker), "exitcode 0"));
			ended += 3;
			carom_pool_free(pool);
		}
	}
}

Test(confined, a_map_loses_the_item_that_did_it_and_no_other, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = STRICT;
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = POOL(.sandbox = sandbox);
	int64_t in[40], out[40];
	struct carom_outcome outcomes[40];

	for (int i = 0; i < 40; i++)
		in[i] = i;
	cr_assert(carom_pool_map(pool, square_but_seven, in, 40, sizeof(*in), out, sizeof(*out),
				 &CAROM_MAP_OPTIONS(.outcomes = outcomes, .retry_on_loss = 3)) ==
		  -EREMOTEIO);
	for (int i = 0; i < 40; i++)
		cr_expect(outcomes[i].kind ==
				  (i == 7 ? CAROM_OUTCOME_SANDBOX_VIOLATION : CAROM_OUTCOME_OK),
			  "%d: %d", i, outcomes[i].kind);
	cr_expect(outcomes[7].system_call == SYS_socket && outcomes[7].attempt == 0);
}

Test(confined, a_worker_has_only_what_it_needs, .timeout = 120)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = STRICT;
	int stray[] = { dup(0), dup(0), open("/etc", O_RDONLY | O_DIRECTORY) };
	struct carom_context *context;

	EACH_PROCESS_METHOD(context)
	{
		struct carom_pool *pool = POOL(.sandbox = sandbox, .context = context);
		int64_t count = -1;

		cr_assert(carom_pool_apply(pool, count_own_descriptors, NULL, 0, &count,
					   sizeof(count), NULL, NULL) == 0);
		/*
		 * The bell of its lane; and by "fork" and "spawn" it holds the guard, which ends it
		 * with the program.
		 */
		cr_expect(count <= (strcmp(THE_METHOD, "forkserver") == 0 ? 1 : 2), "%s: %d",
			  THE_METHOD, (int)count);
		carom_pool_free(pool);
	}
	for (int i = 0; i < 3; i++)
		close(stray[i]);
}

Test(confined, the_initializer_comes_before, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = STRICT;
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = POOL(.sandbox = sandbox, .initializer = open_before);
	struct carom_outcome outcome;

	cr_expect(run(pool, read_what_was_opened, &outcome) == 0, "%d", outcome.kind);
}

Test(confined, is_recycled_by_tasks_and_by_memory, .timeout = 120)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = STRICT;
	struct carom_pool *pool;
	struct carom_outcome outcome;

	watch_ends();
	pool = POOL(.sandbox = sandbox, .max_tasks_per_child = 1);
	cr_expect(run(pool, nothing, &outcome) == 0);
	cr_expect(ended_by(await_end(0), "exitcode 155"));
	carom_pool_terminate(pool);
	carom_pool_free(pool);

	for (uint64_t measure = CAROM_MEMORY_PRIVATE; measure <= CAROM_MEMORY_PEAK; measure++) {
		int before = atomic_load(&end_count);

		pool = POOL(.sandbox = sandbox, .max_memory_per_child_bytes = CAROM_MIB(40),
			    .memory_measure = measure, .memory_rungs = CAROM_RUNG_RECYCLE);
		cr_expect(run(pool, nothing, &outcome) == 0, "%d", outcome.kind);
		cr_expect(run(pool, grow_large, &outcome) == 0, "%d", outcome.kind);
		cr_expect(ended_by(await_end(before), "exitcode 155"), "%d", (int)measure);
		carom_pool_terminate(pool);
		carom_pool_free(pool);
	}
}

Test(confined, hears_its_soft_limit_and_ends_at_its_hard_one, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = STRICT;
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = POOL(.sandbox = sandbox);
	struct carom_outcome outcome;

	cr_expect(carom_pool_apply(pool, sleep_until_told, NULL, 0, NULL, 0,
				   &CAROM_TASK_OPTIONS(.soft_limit_ns = CAROM_MILLISECONDS(20)),
				   &outcome) == -EREMOTEIO);
	cr_expect(outcome.kind == CAROM_OUTCOME_SOFT_LIMIT, "%d", outcome.kind);
	cr_expect(carom_pool_apply(pool, hang, NULL, 0, NULL, 0,
				   &CAROM_TASK_OPTIONS(.hard_limit_ns = CAROM_MILLISECONDS(20)),
				   &outcome) == -EREMOTEIO);
	cr_expect(outcome.kind == CAROM_OUTCOME_HARD_LIMIT, "%d", outcome.kind);
}

Test(confined, a_signal_of_its_own_is_a_violation_of_nothing_known, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = STRICT;
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = POOL(.sandbox = sandbox);
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *plain = POOL(.sandbox = NULL);
	struct carom_outcome outcome;

	cr_expect(run(pool, kill_by_sigsys, &outcome) == -EREMOTEIO);
	cr_expect(outcome.kind == CAROM_OUTCOME_SANDBOX_VIOLATION && outcome.system_call == -1);
	cr_expect(run(plain, kill_by_sigsys, &outcome) == -EREMOTEIO);
	cr_expect(outcome.kind == CAROM_OUTCOME_LOST && outcome.signal == SIGSYS, "%d",
		  outcome.kind);
}

Test(confined, works_in_a_polled_pool, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = STRICT;
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = POOL(.sandbox = sandbox, .polled = 1);
	struct carom_outcome outcome;

	cr_expect(run(pool, nothing, &outcome) == 0);
	cr_expect(run(pool, open_a_socket, &outcome) == -EREMOTEIO);
	cr_expect(outcome.kind == CAROM_OUTCOME_SANDBOX_VIOLATION, "%d", outcome.kind);
}

static void *never_end(void *unused)
{
	for (;;)
		pause();
	return NULL;
}

static int start_a_thread(const void *data, size_t size)
{
	pthread_t thread;

	return -pthread_create(&thread, NULL, never_end, NULL);
}

Test(confined, does_not_begin_with_threads_that_are_not, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = STRICT;
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = POOL(.sandbox = sandbox, .initializer = start_a_thread);
	struct carom_outcome outcome;

	if (run(pool, nothing, &outcome) != -ENOTRECOVERABLE) /* else it was over before */
		cr_expect(outcome.kind == CAROM_OUTCOME_POOL_BROKEN, "%d", outcome.kind);
	cr_expect(run(pool, nothing, &outcome) == -ENOTRECOVERABLE);
}

Test(confined, is_nothing_for_threads)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = STRICT;
	struct carom_pool *pool = NULL;

	cr_expect(carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .sandbox = sandbox,
						     .context = context_of("thread")),
				 &pool) == -EOPNOTSUPP);
}

static int grow_for_ever(struct carom_call *call)
{
	for (;;) {
		char *volatile memory = malloc(1 << 20);

		if (memory)
			memset(memory, 1, 1 << 20);
		usleep(1000);
	}
	return 0;
}

/* Only root looks into a process that is not dumpable. The kind of the outcome. */
static int be_sampled_as_nobody(void)
{
	struct carom_sandbox *sandbox = NULL;
	struct carom_pool *pool = NULL;
	struct carom_outcome outcome = { 0 };

	if (setgid(65534) < 0 || setuid(65534) < 0 ||
	    carom_sandbox_new(&CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_STRICT), &sandbox) <
		    0 ||
	    carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .sandbox = sandbox,
					       .max_memory_per_child_bytes = CAROM_MIB(64),
					       .memory_measure = CAROM_MEMORY_PRIVATE,
					       .memory_rungs = CAROM_RUNG_SAMPLING),
			   &pool) < 0)
		return -1;
	carom_pool_apply(pool, grow_for_ever, NULL, 0, NULL, 0, NULL, &outcome);
	carom_pool_free(pool);
	return outcome.kind;
}

Test(confined, is_sampled_by_who_may_not_look_into_it, .timeout = 60)
{
	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = STRICT;
	int status;
	pid_t pid;

	if (!sandbox || geteuid() != 0)
		cr_skip_test("skipped: only root can be somebody else");
	pid = fork();
	if (pid == 0)
		_exit(be_sampled_as_nobody());
	cr_assert(waitpid(pid, &status, 0) == pid);
	cr_expect(status == CAROM_OUTCOME_MEMORY_LIMIT << 8, "%#x", status);
}

/* ---- hostile tasks ---- */

static uint64_t secret = 4711;
static struct world the_world;

static int open_what_is_given(const void *data, size_t size)
{
	int pair[2];

	if (pipe2(pair, O_CLOEXEC) < 0)
		return -errno;
	the_world.directory_fd = open("/dev", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	the_world.terminal_fd = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (the_world.terminal_fd < 0)
		the_world.terminal_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	the_world.pipe_fd = pair[1];
	return 0;
}

static int attempt(struct carom_call *call)
{
	struct world world;

	carom_call_read(call, &world, sizeof(world));
	world.directory_fd = the_world.directory_fd;
	world.terminal_fd = the_world.terminal_fd;
	world.pipe_fd = the_world.pipe_fd;
	errno = 0;
	return escapes[world.index].attempt(&world) >= 0 ? 0 : -errno;
}

/* in the words of the table */
static void tell_outcome(const struct carom_outcome *outcome, char *text, size_t size)
{
	const char *name = strerrorname_np(-outcome->code);

	if (outcome->kind == CAROM_OUTCOME_SANDBOX_VIOLATION)
		snprintf(text, size, "%s", outcome->message);
	else if (outcome->kind == CAROM_OUTCOME_FAILED)
		snprintf(text, size, "%s", name ? name : "?");
	else
		snprintf(text, size, "%s", outcome->kind == CAROM_OUTCOME_OK ? HARMLESS : "died");
}

static bool ends_as_expected(struct carom_pool *pool, const char *expected)
{
	struct carom_outcome outcome;
	char text[80];

	carom_pool_apply(pool, attempt, &the_world, sizeof(the_world), NULL, 0, NULL, &outcome);
	tell_outcome(&outcome, text, sizeof(text));
	if (strcmp(text, expected) == 0 ||
	    (strcmp(expected, "unknown") == 0 && strcmp(text, "died") == 0) ||
	    (strcmp(expected, "EACCES") == 0 && strcmp(text, "ETXTBSY") == 0))
		return true;
	fprintf(stderr, "%s: %s, not %s\n", escapes[the_world.index].name, text, expected);
	return false;
}

Test(confined, no_task_escapes, .timeout = 240)
{
	enum carom_sandbox_profile profiles[] = { CAROM_SANDBOX_STRICT, CAROM_SANDBOX_BASIC };

#ifndef __x86_64__
	cr_skip_test("skipped: the table is of x86-64's calls");
#endif
	take_names(&the_world);
	for (size_t i = 0; i < 2; i++) {
		CAROM_CLEANUP(carom_sandbox_freep)
		struct carom_sandbox *sandbox = SANDBOX(.profile = profiles[i]);
		CAROM_CLEANUP(carom_pool_freep)
		struct carom_pool *pool = POOL(.sandbox = sandbox, .max_restarts = CAROM_NO_LIMIT,
					       .initializer = open_what_is_given);

		the_world.parent = getpid();
		the_world.secret = (uintptr_t)&secret;
		close(open(the_world.file, O_CREAT | O_WRONLY, 0600));
		for (uint32_t k = 0; k < ESCAPE_COUNT; k++) {
			the_world.index = k;
			cr_expect(ends_as_expected(pool,
						   i == 0 ? escapes[k].strict : escapes[k].basic));
		}
		squares(pool);
		cr_expect(unlink(the_world.file) == 0);
		cr_expect(access(the_world.fresh, F_OK) < 0 && access(the_world.moved, F_OK) < 0);
	}
	give_names_back();
	cr_expect(secret == 4711);
}
