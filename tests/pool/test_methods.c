/* Methods: pools whose workers are made by fork, spawn and fork server, or are threads. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "core/log.h"
#include "shm/futex.h"
#include "tests/core/apart.h"
#include "tests/needs.h"
#include "tests/pool/methods.h"

static struct carom_pool *pool_of(struct carom_context *context, uint64_t workers)
{
	struct carom_pool *pool = NULL;
	int r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = workers, .context = context),
			       &pool);

	cr_assert(r == 0, "%s: %d", carom_context_start_method(context), r);
	return pool;
}

static int64_t pid_of_a_worker(struct carom_pool *pool)
{
	int64_t pid = 0;

	cr_assert(
		zero(int, carom_pool_apply(pool, own_pid, NULL, 0, &pid, sizeof(pid), NULL, NULL)));
	return pid;
}

/* PC-20 */
Test(methods, each_makes_a_pool_that_squares_a_number, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct carom_pool *pool = pool_of(context, 2);
		int64_t in = 12, out = 0;
		bool is_here;

		cr_expect(zero(int, carom_pool_apply(pool, square, &in, sizeof(in), &out,
						     sizeof(out), NULL, NULL)));
		cr_expect(out == 144, "%s: %d", THE_METHOD, (int)out);
		is_here = pid_of_a_worker(pool) == getpid();
		cr_expect(is_here == (strcmp(THE_METHOD, "thread") == 0), "%s", THE_METHOD);
		carom_pool_free(pool);
	}
}

/* PC-20 */
Test(methods, each_carries_payloads_of_every_size, .timeout = 120)
{
	static const size_t sizes[] = { 0, 1, 32, 33, 4096, 65537, 1 << 20 };
	struct carom_context *context;
	char *in = malloc(1 << 20), *out = malloc(1 << 20);

	for (size_t i = 0; i < 1 << 20; i++)
		in[i] = (char)(i * 31 + (i >> 8));
	EACH_METHOD(context)
	{
		struct carom_pool *pool = pool_of(context, 2);

		for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
			memset(out, 0, 1 << 20);
			cr_assert(zero(int, carom_pool_apply(pool, echo, in, sizes[i], out,
							     sizes[i], NULL, NULL)));
			cr_expect(memcmp(in, out, sizes[i]) == 0, "%s: %zu", THE_METHOD, sizes[i]);
		}
		carom_pool_free(pool);
	}
	free(in);
	free(out);
}

/* PC-20 */
Test(methods, each_maps, .timeout = 120)
{
	struct carom_context *context;
	int64_t in[1000], out[1000];

	for (int i = 0; i < 1000; i++)
		in[i] = i;
	EACH_METHOD(context)
	{
		struct carom_pool *pool = pool_of(context, 3);

		memset(out, 0, sizeof(out));
		cr_assert(zero(int, carom_pool_map(pool, square, in, 1000, sizeof(*in), out,
						   sizeof(*out), NULL)));
		for (int i = 0; i < 1000; i++)
			cr_assert(out[i] == in[i] * in[i], "%s: %d", THE_METHOD, i);
		carom_pool_free(pool);
	}
}

Test(methods, each_tells_a_failure_in_its_own_words, .timeout = 60)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct carom_pool *pool = pool_of(context, 1);
		struct carom_outcome outcome;

		cr_expect(eq(
			int,
			carom_pool_apply(pool, fail_with_message, NULL, 0, NULL, 0, NULL, &outcome),
			-EREMOTEIO));
		cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_FAILED));
		cr_expect(eq(str, outcome.message, (char *)"no user nobody"));
		carom_pool_free(pool);
	}
}

/* ---- names ---- */

/* PC-24 */
Test(methods, each_has_a_name_for_its_workers, .timeout = 60)
{
	static const char *const names[] = { "ForkPoolWorker-", "SpawnPoolWorker-",
					     "ForkServerPoolWorker-" };
	struct carom_context *context;

	EACH_PROCESS_METHOD(context)
	{
		struct carom_pool *pool = pool_of(context, 1);
		char name[64] = "";

		cr_assert(zero(int, carom_pool_apply(pool, tell_name, NULL, 0, name, sizeof(name),
						     NULL, NULL)));
		cr_expect(strncmp(name, names[each_], strlen(names[each_])) == 0, "%s", name);
		carom_pool_free(pool);
	}
}

Test(methods, each_is_passed_on_to_what_a_worker_starts, .timeout = 60)
{
	struct carom_context *context;

	EACH_PROCESS_METHOD(context)
	{
		struct carom_pool *pool = pool_of(context, 1);
		char name[64] = "";

		cr_assert(zero(int, carom_pool_apply(pool, tell_method, NULL, 0, name, sizeof(name),
						     NULL, NULL)));
		cr_expect(strcmp(name, THE_METHOD) == 0, "%s", name);
		carom_pool_free(pool);
	}
}

Test(methods, that_was_chosen_as_the_default_is_that_of_pools, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	char name[64] = "";

	cr_assert(zero(int, carom_set_start_method("fork", false)));
	pool = new_pool(1);
	cr_assert(zero(int,
		       carom_pool_apply(pool, tell_name, NULL, 0, name, sizeof(name), NULL, NULL)));
	cr_expect(eq(str, name, (char *)"ForkPoolWorker-1"));
}

/* ---- deaths ---- */

Test(methods, each_replaces_a_worker_that_dies, .timeout = 120)
{
	struct carom_context *context;

	EACH_PROCESS_METHOD(context)
	{
		struct carom_pool *pool = pool_of(context, 2);

		for (int i = 0; i < 10; i++) {
			struct carom_outcome outcome;
			int64_t x = i, y = 0;

			cr_expect(eq(
				int,
				carom_pool_apply(pool, kill_self, NULL, 0, NULL, 0, NULL, &outcome),
				-EREMOTEIO));
			cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
			cr_expect(eq(int, outcome.signal, SIGKILL));
			cr_expect(zero(int, carom_pool_apply(pool, square, &x, sizeof(x), &y,
							     sizeof(y), NULL, NULL)));
			cr_expect(eq(i64, y, x * x));
		}
		carom_pool_free(pool);
	}
}

Test(methods, each_holds_a_hard_limit, .timeout = 60)
{
	struct carom_context *context;

	EACH_PROCESS_METHOD(context)
	{
		struct carom_pool *pool = pool_of(context, 1);
		struct carom_outcome outcome;

		cr_expect(eq(int, hang_until_limit(pool, CAROM_MILLISECONDS(20), &outcome),
			     -EREMOTEIO));
		cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_HARD_LIMIT));
		carom_pool_free(pool);
	}
}

static size_t count_entries(const char *path)
{
	DIR *folder = opendir(path);
	size_t count = 0;

	while (folder && readdir(folder))
		count++;
	if (folder)
		closedir(folder);
	return count;
}

/* A thread that has ended is seen for an instant more; the loop's helpers end by themselves. */
static bool threads_become(size_t count)
{
	uint64_t deadline_ns = carom_deadline_after(CAROM_SECONDS(20));

	while (count_entries("/proc/self/task") > count)
		if (carom_now() > deadline_ns)
			return false;
	return true;
}

Test(methods, each_leaves_nothing_behind, .timeout = 120)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct carom_pool *pool = pool_of(context, 3);
		size_t fds, threads;

		carom_pool_free(pool);
		fds = count_entries("/proc/self/fd");
		threads = count_entries("/proc/self/task");
		for (int i = 0; i < 10; i++) {
			pool = pool_of(context, 3);
			pid_of_a_worker(pool);
			carom_pool_free(pool);
		}
		cr_expect(count_entries("/proc/self/fd") == fds, "%s", THE_METHOD);
		cr_expect(threads_become(threads), "%s", THE_METHOD);
		/* at most the fork server is a child */
		cr_expect(waitpid(-1, NULL, WNOHANG | __WALL) <= 0, "%s", THE_METHOD);
	}
}

/* A program that has a pool, tells its workers' pids, and waits to be killed. */
static _Noreturn void have_a_pool(struct carom_context *context, int to_fd)
{
	struct carom_worker_info workers[2];
	struct carom_pool *pool = NULL;

	CHECK(carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .context = context), &pool) ==
	      0);
	CHECK(carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL) == 0);
	CHECK(carom_pool_workers(pool, workers, 2) == 2);
	CHECK(write(to_fd, workers, sizeof(workers)) == sizeof(workers));
	for (;;)
		pause();
}

static void expect_to_end(int64_t pid, int pidfd)
{
	struct pollfd poll_fd = { .fd = pidfd, .events = POLLIN };

	if (pidfd < 0)
		return; /* has ended before it could be held */
	cr_expect(poll(&poll_fd, 1, 30000) == 1, "worker %d lives on", (int)pid);
	close(pidfd);
}

Test(methods, each_has_workers_that_end_with_the_program, .timeout = 120)
{
	struct carom_context *context;

	EACH_PROCESS_METHOD(context)
	{
		struct carom_worker_info workers[2];
		int pidfds[2], pipe_fds[2];
		pid_t program;

		NEEDS("pidfd_open");
		cr_assert(zero(int, pipe(pipe_fds)));
		program = fork();
		if (program == 0) {
			end_with(getppid());
			have_a_pool(context, pipe_fds[1]);
		}
		cr_assert(read(pipe_fds[0], workers, sizeof(workers)) == sizeof(workers));
		for (int i = 0; i < 2; i++)
			pidfds[i] = (int)syscall(SYS_pidfd_open, workers[i].pid, 0);
		kill(program, SIGKILL);
		waitpid(program, NULL, 0);
		for (int i = 0; i < 2; i++)
			expect_to_end(workers[i].pid, pidfds[i]);
		close(pipe_fds[0]);
		close(pipe_fds[1]);
	}
}

/* ---- pools inside pools ---- */

/* SN-18 */
Test(methods, each_makes_pools_inside_its_workers, .timeout = 120)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct carom_pool *pool = pool_of(context, 2);
		struct carom_outcome outcome = { 0 };
		int64_t sum = 0;
		int r = carom_pool_apply(pool, square_in_a_pool, NULL, 0, &sum, sizeof(sum), NULL,
					 &outcome);

		cr_expect(r == 0, "%s: %d, %s", THE_METHOD, r, outcome.message);
		cr_expect(sum == 285, "%s: %d", THE_METHOD, (int)sum);
		carom_pool_free(pool);
	}
}

/* SN-18 */
Test(methods, each_can_forbid_pools_inside_its_workers, .timeout = 120)
{
	struct carom_context *context;

	EACH_PROCESS_METHOD(context)
	{
		struct carom_outcome outcome;
		struct carom_pool *pool;

		cr_assert(zero(
			int, carom_context_configure(
				     context, &CAROM_CONTEXT_OPTIONS(.no_daemon_children = true))));
		pool = pool_of(context, 1);
		cr_expect(eq(
			int,
			carom_pool_apply(pool, square_in_a_pool, NULL, 0, NULL, 0, NULL, &outcome),
			-EREMOTEIO));
		cr_expect(outcome.code == -EPERM, "%s: %d", THE_METHOD, outcome.code);
		carom_pool_free(pool);
	}
}

/* ---- options ---- */

static int known_to_no_program(const void *data, size_t size)
{
	return 0;
}

/* CX-10 */
/* WK-23 */
Test(methods, each_has_all_options, .timeout = 60)
{
	struct carom_context *context;

	EACH_PROCESS_METHOD(context)
	{
		struct carom_pool_hooks hooks = CAROM_POOL_HOOKS(.on_loop_start = note_start);
		struct carom_pool *pool = NULL;
		int64_t pid = 0, next = 0;
		char text[32] = "";

		cr_assert(zero(
			int,
			carom_pool_new(
				&CAROM_POOL_OPTIONS(.worker_count = 1, .context = context,
						    .initializer = take_text,
						    .initializer_data = "by its initializer",
						    .initializer_size = 19,
						    .max_memory_per_child_bytes = CAROM_MIB(48),
						    .memory_rungs = CAROM_RUNG_RECYCLE,
						    .statistics = 1, .hooks = &hooks),
				&pool)));
		cr_expect(zero(int, carom_pool_apply(pool, tell_text, NULL, 0, text, sizeof(text),
						     NULL, NULL)));
		cr_expect(strcmp(text, "by its initializer") == 0, "%s: %s", THE_METHOD, text);
		cr_expect(zero(int, carom_pool_apply(pool, grow_large, NULL, 0, &pid, sizeof(pid),
						     NULL, NULL)));
		next = pid_of_a_worker(pool);
		cr_expect(next != pid, "%s: not replaced", THE_METHOD);
		carom_pool_free(pool);
	}
}

Test(methods, spawn_wants_an_initializer_that_is_registered, .timeout = 60)
{
	struct carom_context *context = context_of("spawn");
	struct carom_pool *pool = NULL;

	cr_expect(eq(int,
		     carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .context = context,
							.initializer = known_to_no_program),
				    &pool),
		     -ENOENT));
}

/* ---- fork ---- */

static int state;

static int tell_state(struct carom_call *call)
{
	int64_t value = state;

	return carom_reply(call, &value, sizeof(value));
}

Test(methods, fork_gives_workers_the_programs_present_state, .timeout = 60)
{
	struct carom_context *context = context_of("fork");
	int64_t value = 0;

	for (state = 1; state < 3; state++) {
		struct carom_pool *pool = pool_of(context, 1);

		cr_assert(zero(int, carom_pool_apply(pool, tell_state, NULL, 0, &value,
						     sizeof(value), NULL, NULL)));
		cr_expect(eq(i64, value, state));
		carom_pool_free(pool);
	}
}

static int one_pipe[2];

static void write_and_fork(void)
{
	struct carom_pool *pool = NULL;

	dup2(one_pipe[1], STDOUT_FILENO);
	setvbuf(stdout, NULL, _IOFBF, 4096);
	printf("once\n");
	CHECK(carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .context = context_of("fork")),
			     &pool) == 0);
	CHECK(carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL) == 0);
	carom_pool_close(pool);
	CHECK(carom_pool_join(pool, CAROM_NO_DEADLINE) == 0);
	carom_pool_free(pool);
	fflush(stdout);
}

/* What stands in a buffer at the fork is the program's to write, once. */
Test(methods, fork_writes_nothing_twice, .timeout = 60)
{
	char text[64] = "";

	cr_assert(zero(int, pipe(one_pipe)));
	cr_expect(zero(int, apart(write_and_fork)));
	cr_assert(lt(int, 0, (int)read(one_pipe[0], text, sizeof(text) - 1)));
	cr_expect(eq(str, text, (char *)"once\n"));
}

static _Atomic bool noise_is_over;

static void *allocate_and_log(void *userdata)
{
	while (!noise_is_over) {
		free(malloc(100));
		free(malloc(100000));
		carom_log_debug("noise");
	}
	return NULL;
}

static void swallow(const struct carom_log_record *record, void *userdata)
{
}

/* by the fork server; a process with a sanitizer's shadow is born slowly */
#ifdef __SANITIZE_ADDRESS__
#define SERVED_BIRTHS 75
#else
#define SERVED_BIRTHS 300
#endif

/* How many workers are to be born while the threads make noise. */
static void bear_many(struct carom_context *context, int count)
{
	struct carom_pool *pool = pool_of(context, 2);

	for (int i = 0; i < count; i++)
		cr_assert(eq(int, carom_pool_apply(pool, kill_self, NULL, 0, NULL, 0, NULL, NULL),
			     -EREMOTEIO));
	pid_of_a_worker(pool);
	carom_pool_free(pool);
}

Test(methods, pain_31_fork_while_threads_allocate_and_log, .timeout = 240)
{
	struct carom_context *context;
	pthread_t threads[8];

	carom_log_to(swallow, NULL);
	carom_log_set_level(CAROM_LOG_DEBUG);
	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, allocate_and_log, NULL);
	EACH_PROCESS_METHOD(context)
	{
		bear_many(context, strcmp(THE_METHOD, "forkserver") == 0 ? SERVED_BIRTHS : 20);
	}
	noise_is_over = true;
	for (int i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
}

static void *sleep_until_over(void *userdata)
{
	while (!noise_is_over)
		usleep(1000);
	return NULL;
}

static int make_and_free(struct carom_context *context)
{
	struct carom_pool *pool = NULL;
	int r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .context = context), &pool);

	carom_pool_free(pool);
	return r;
}

/* In a process of its own: who runs the tests has threads as well. */
static void with_threads(void)
{
	struct carom_context *context = context_of("fork");
	pthread_t thread;

	CHECK(carom_context_configure(context, &CAROM_CONTEXT_OPTIONS(.refuse_threads = true)) ==
	      0);
	pthread_create(&thread, NULL, sleep_until_over, NULL);
	CHECK(make_and_free(context) == -EBUSY);
	noise_is_over = true;
	pthread_join(thread, NULL);
	CHECK(make_and_free(context) == 0); /* the library's own do not count */
	for (int i = 0; i < 20; i++) {
		pthread_create(&thread, NULL, sleep_until_over, NULL);
		pthread_join(thread, NULL);
		CHECK(make_and_free(context) == 0); /* nor do those that are about to be gone */
	}
}

Test(methods, fork_of_a_program_with_threads_can_be_refused, .timeout = 60)
{
	cr_expect(zero(int, apart(with_threads)));
}

/* ---- spawn ---- */

static int known_to_nobody(struct carom_call *call)
{
	return 0;
}

static int known_here(struct carom_call *call)
{
	return 0;
}
CAROM_REGISTER(known_here);

/* RD-11 */
Test(methods, spawn_wants_functions_that_are_registered, .timeout = 60)
{
	struct carom_pool *pool = pool_of(context_of("spawn"), 1);
	struct carom_result *result = NULL;
	struct carom_outcome outcome;
	int64_t item = 0, value = 0;

	cr_expect(eq(int, carom_pool_apply(pool, known_to_nobody, NULL, 0, NULL, 0, NULL, NULL),
		     -ENOENT));
	cr_expect(eq(int, carom_pool_apply_async(pool, known_to_nobody, NULL, 0, NULL, &result),
		     -ENOENT));
	cr_expect(eq(int,
		     carom_pool_map(pool, known_to_nobody, &item, 1, sizeof(item), &value,
				    sizeof(value), NULL),
		     -ENOENT));
	cr_expect(eq(int, carom_pool_apply(pool, known_here, NULL, 0, NULL, 0, NULL, &outcome),
		     -EREMOTEIO));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_FAILED));
	cr_expect(eq(int, outcome.code, -ENOENT));
	cr_expect(eq(str, outcome.message,
		     (char *)"its function is not registered in the worker's program"));
	pid_of_a_worker(pool);
	carom_pool_free(pool);
}

Test(methods, spawn_wants_a_program_with_the_hook, .timeout = 60)
{
	struct carom_context *context = context_of("spawn");
	struct carom_pool *pool = NULL;

	carom_set_executable(NULL);
	cr_expect(eq(
		int,
		carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .context = context), &pool),
		-ENOEXEC));
	carom_set_executable("/nonexistent");
	cr_expect(eq(
		int,
		carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .context = context), &pool),
		-ENOENT));
	cr_expect(eq(ptr, pool, NULL));
}

/* It starts, and ends again without a word: that is no worker. */
Test(methods, spawn_of_a_program_that_knows_nothing_of_pools_breaks_the_pool, .timeout = 60)
{
	struct carom_pool *pool = NULL;
	struct carom_outcome outcome;
	struct carom_context *context = context_of("spawn");

	carom_set_executable("/bin/true");
	pool = pool_of(context, 1);
	if (carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, &outcome) == -EREMOTEIO)
		cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_POOL_BROKEN));
	cr_expect(eq(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL),
		     -ENOTRECOVERABLE));
	carom_pool_free(pool);
}

/* ---- lazy start ---- */

static struct carom_pool *lazy_pool_of(struct carom_context *context, uint64_t workers)
{
	struct carom_pool *pool = NULL;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = workers,
							       .context = context, .lazy_start = 1),
					   &pool)));
	return pool;
}

/* PX-03 */
Test(methods, each_can_make_workers_when_there_is_work, .timeout = 60)
{
	struct carom_context *context;

	EACH_PROCESS_METHOD(context)
	{
		struct carom_pool *pool = lazy_pool_of(context, 4);

		cr_expect(zero(u64, count_workers(pool)));
		for (int i = 0; i < 100; i++)
			pid_of_a_worker(pool);
		cr_expect(count_workers(pool) == 1, "%s: %d", THE_METHOD, (int)count_workers(pool));
		carom_pool_free(pool);
	}
}

static _Atomic uint32_t *begun;

static int begin_and_hang(struct carom_call *call)
{
	atomic_fetch_add(begun, 1);
	carom_futex_wake(begun, 1);
	return hang(call);
}

static void await_begun(uint32_t count)
{
	uint32_t seen;

	while ((seen = *begun) < count)
		carom_futex_wait(begun, seen, CAROM_NO_DEADLINE);
}

/*
 * Each one hangs, so each needs a worker of its own. One is killed: its place is filled
 * again when there is work.
 */
Test(methods, lazy_start_fills_every_place_for_as_many_tasks, .timeout = 60)
{
	struct carom_result *results[4];
	struct carom_worker_info workers[4];
	struct carom_pool *pool;

	begun = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pool = lazy_pool_of(NULL, 4);
	for (int i = 0; i < 4; i++)
		cr_assert(zero(int, carom_pool_apply_async(pool, begin_and_hang, NULL, 0, NULL,
							   &results[i])));
	await_begun(4);
	cr_assert(eq(int, carom_pool_workers(pool, workers, 4), 4));
	kill((pid_t)workers[0].pid, SIGKILL);
	while (count_workers(pool) == 4)
		;
	pid_of_a_worker(pool);
	cr_expect(eq(u64, count_workers(pool), 4));
	carom_pool_terminate(pool);
	for (int i = 0; i < 4; i++)
		carom_result_free(results[i]);
	carom_pool_free(pool);
}

Test(methods, lazy_start_does_what_was_accepted_before_it_was_closed, .timeout = 60)
{
	struct carom_pool *pool = lazy_pool_of(NULL, 2);
	struct carom_result *result = NULL;
	int64_t x = 7, y = 0;

	cr_assert(zero(int, carom_pool_apply_async(pool, square, &x, sizeof(x), NULL, &result)));
	carom_pool_close(pool);
	cr_expect(zero(int, carom_pool_join(pool, carom_deadline_after(CAROM_SECONDS(30)))));
	cr_expect(zero(int, carom_result_get(result, CAROM_PASSED, &y, sizeof(y), NULL)));
	cr_expect(eq(i64, y, 49));
	carom_result_free(result);
	carom_pool_free(pool);
	pool = lazy_pool_of(NULL, 2);
	carom_pool_close(pool);
	cr_expect(zero(int, carom_pool_join(pool, carom_deadline_after(CAROM_SECONDS(30)))));
	carom_pool_free(pool);
}

/* PX-02 */
Test(methods, fork_may_recycle_its_workers, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_context *context = NULL;
	int64_t first = 0, second = 0;

	cr_assert(zero(int, carom_context_get("fork", &context)));
	cr_assert(
		zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .context = context,
							     .max_tasks_per_child = 1),
					 &pool)));
	cr_assert(zero(int, carom_pool_apply(pool, own_pid, NULL, 0, &first, 8, NULL, NULL)));
	cr_assert(zero(int, carom_pool_apply(pool, own_pid, NULL, 0, &second, 8, NULL, NULL)));
	cr_expect(ne(i64, first, second));
}
