/*
 * Containment: what a worker may use at most, and what becomes of the task that goes beyond.
 *
 * Each test is made for every rung that can be had here; where the kernel keeps no limits, as
 * without a delegated control group, that one is skipped by name.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <dirent.h>
#include <inttypes.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/context.h"
#include "tests/pool/grouped.h"

TestSuite(containment, .init = stand_alone_where_possible);

/** struct rung - by which a memory limit is kept */
static const struct rung {
	enum carom_memory_rung bit;
	const char *name;
} rungs[] = { { CAROM_RUNG_CGROUP, "cgroup" }, { CAROM_RUNG_SAMPLING, "sampling" } };

static struct carom_pool *try_pool(const struct rung *rung, struct carom_pool_options options)
{
	struct carom_pool *pool = NULL;
	int r;

	/* by this one, also where another one would be there before it */
	options.memory_rungs = rung->bit | CAROM_RUNG_RECYCLE;
	options.required_rungs = rung->bit;
	r = carom_pool_new(&options, &pool);
	if (r < 0) {
		cr_assert(ne(int, (int)rung->bit, (int)CAROM_RUNG_SAMPLING), "%d", r);
		fprintf(stderr, "skipped: %s: %s\n", rung->name, strerror(-r));
	}
	return pool;
}

#define EACH_POOL(pool, rung, ...)                                                              \
	for (const struct rung *rung = rungs; rung < rungs + 2; rung++)                         \
		for (struct carom_pool *pool = try_pool(rung, CAROM_POOL_OPTIONS(__VA_ARGS__)); \
		     pool; pool = carom_pool_free(pool))

/* ---- what tasks do ---- */

/* on 7: that; else the square */
static int eat_on_seven(struct carom_call *call)
{
	int64_t x;

	carom_call_read(call, &x, sizeof(x));
	if (x == 7) {
		eat_mib(320);
		return hang(call);
	}
	return square(call);
}

static _Atomic pid_t *pids; /* of descendants of a worker; see have_children_eat() */

/* two processes: one that takes memory, and one beside it in a session of its own */
static int have_children_eat(struct carom_call *call)
{
	int64_t mib;

	carom_call_read(call, &mib, sizeof(mib));
	if (fork() == 0) {
		setsid();
		atomic_store(&pids[0], getpid());
		hang(call);
	}
	if (fork() == 0) {
		atomic_store(&pids[1], getpid());
		while (!atomic_load(&pids[0]))
			sched_yield();
		eat_mib(mib);
		hang(call);
	}
	return hang(call);
}

static int borrow_64_mib(struct carom_call *call)
{
	char *memory = get_memory(CAROM_MIB(64));

	memset(memory, 1, CAROM_MIB(64));
	munmap(memory, CAROM_MIB(64));
	return own_pid(call);
}

static int allocate(struct carom_call *call)
{
	int64_t mib;
	void *memory;

	carom_call_read(call, &mib, sizeof(mib));
	/* not malloc(3): AddressSanitizer's ends the program where there is no more */
	memory = mmap(NULL, (size_t)CAROM_MIB(mib), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	memset(memory, 1, (size_t)CAROM_MIB(mib));
	munmap(memory, (size_t)CAROM_MIB(mib));
	return 0;
}

/* ---- helpers ---- */

static void expect_memory_limit(const struct carom_outcome *outcome, uint64_t limit,
				const struct rung *rung)
{
	char text[160];

	cr_expect(eq(int, outcome->kind, CAROM_OUTCOME_MEMORY_LIMIT), "%s: %s", rung->name,
		  carom_outcome_describe(outcome, text, sizeof(text)));
	cr_expect(eq(u64, outcome->limit_bytes, limit), "%s", rung->name);
	if (rung->bit == CAROM_RUNG_CGROUP)
		cr_expect(le(u64, outcome->peak_bytes, limit));
	else
		cr_expect(lt(u64, limit, outcome->peak_bytes));
}

/* ---- what a program sees ---- */

/* PC-21 */
/* WL-08 */
Test(containment, a_task_that_takes_too_much_is_answered_memory_limit, .timeout = 60)
{
	struct carom_outcome outcome;
	int64_t mib = 320, x = 9, out;
	char text[160];

	EACH_POOL(pool, rung, .worker_count = 1, .max_memory_per_child_bytes = CAROM_MIB(32))
	{
		cr_expect(
			eq(int,
			   carom_pool_apply(pool, eat, &mib, sizeof(mib), NULL, 0, NULL, &outcome),
			   -EREMOTEIO));
		expect_memory_limit(&outcome, CAROM_MIB(32), rung);
		carom_outcome_describe(&outcome, text, sizeof(text));
		cr_expect(
			ne(ptr, strstr(text, "memory limit: exceeded 32.0 MiB in worker 0"), NULL),
			"%s", text);
		cr_expect(
			zero(int, carom_pool_apply(pool, square, &x, 8, &out, 8, NULL, &outcome)));
		cr_expect(eq(i64, out, 81));
	}
}

static _Atomic int *squares;

static int square_and_count(struct carom_call *call)
{
	atomic_fetch_add(squares, 1);
	return square(call);
}

/* the limit is looked at while a task runs: it, and nobody else, ends */
Test(containment, pain_13_one_task_does_not_take_the_machine_down, .timeout = 120)
{
	struct carom_result *results[200], *hungry;
	struct carom_outcome outcome;
	int64_t mib = 320, out;

	squares = share(sizeof(*squares));
	EACH_POOL(pool, rung, .worker_count = 2, .max_memory_per_child_bytes = CAROM_MIB(32))
	{
		cr_assert(zero(
			int, carom_pool_apply_async(pool, eat, &mib, sizeof(mib), NULL, &hungry)));
		for (int64_t i = 0; i < 200; i++)
			cr_assert(zero(int, carom_pool_apply_async(pool, square_and_count, &i, 8,
								   NULL, &results[i])));
		for (int64_t i = 0; i < 200; i++) {
			cr_expect(zero(int, carom_result_get(results[i], CAROM_NO_DEADLINE, &out, 8,
							     NULL)));
			cr_expect(eq(i64, out, i * i));
			carom_result_free(results[i]);
		}
		cr_expect(eq(int, carom_result_get(hungry, CAROM_NO_DEADLINE, NULL, 0, NULL),
			     -EREMOTEIO));
		carom_result_outcome(hungry, &outcome);
		expect_memory_limit(&outcome, CAROM_MIB(32), rung);
		carom_result_free(hungry);
		cr_expect(eq(int, carom_pool_state(pool), CAROM_POOL_RUNNING));
	}
}

Test(containment, of_a_map_only_the_item_is_answered_so, .timeout = 60)
{
	int64_t in[32], out[32];
	struct carom_outcome outcomes[32];

	for (int64_t i = 0; i < 32; i++)
		in[i] = i;
	EACH_POOL(pool, rung, .worker_count = 2, .max_memory_per_child_bytes = CAROM_MIB(32))
	{
		carom_pool_map(pool, eat_on_seven, in, 32, 8, out, 8,
			       &CAROM_MAP_OPTIONS(.chunk_size = 16, .outcomes = outcomes));
		for (int i = 0; i < 32; i++) {
			if (i == 7)
				expect_memory_limit(&outcomes[i], CAROM_MIB(32), rung);
			else
				cr_expect(eq(int, outcomes[i].kind, CAROM_OUTCOME_OK),
					  "%s, item %d", rung->name, i);
		}
	}
}

static bool is_alive(pid_t pid)
{
	char path[32], text[256], state = 'X';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fgets(text, sizeof(text), file))
		sscanf(strrchr(text, ')'), ") %c", &state);
	fclose(file);
	return state != 'Z' && state != 'X';
}

/* what a worker has started counts, and goes with it */
Test(containment, descendants_are_counted_and_killed, .timeout = 60)
{
	struct carom_outcome outcome;
	int64_t mib = 320;

	pids = share(2 * sizeof(*pids));
	EACH_POOL(pool, rung, .worker_count = 1, .max_memory_per_child_bytes = CAROM_MIB(32))
	{
		atomic_store(&pids[0], 0);
		cr_expect(eq(int,
			     carom_pool_apply(pool, have_children_eat, &mib, sizeof(mib), NULL, 0,
					      NULL, &outcome),
			     -EREMOTEIO));
		expect_memory_limit(&outcome, CAROM_MIB(32), rung);
		for (int i = 0; i < 2; i++)
			while (is_alive(atomic_load(&pids[i])))
				sched_yield();
	}
}

/* as it counts what other ends are */
static _Atomic int reasons[CAROM_STATISTICS_REASONS];

static void count_reason(const struct carom_worker_event *event, void *userdata)
{
	atomic_fetch_add(&reasons[event->reason], 1);
}

static _Atomic int limit_log_count;

static void count_limit_log(const struct carom_log_record *record, void *userdata)
{
	if (record->event == CAROM_LOG_EVENT_MEMORY_LIMIT)
		atomic_fetch_add(&limit_log_count, 1);
}

Test(containment, such_an_end_is_counted_and_told_as_what_it_is, .timeout = 60)
{
	struct carom_pool_hooks hooks = CAROM_POOL_HOOKS(.on_process_down = count_reason);
	struct carom_pool_statistics statistics;
	int64_t mib = 320;

	carom_log_to(count_limit_log, NULL);
	EACH_POOL(pool, rung, .worker_count = 2, .max_memory_per_child_bytes = CAROM_MIB(32),
		  .hooks = &hooks, .statistics = 1)
	{
		atomic_store(&limit_log_count, 0);
		atomic_store(&reasons[CAROM_EXIT_REASON_MEMORY_LIMIT], 0);
		atomic_store(&reasons[CAROM_EXIT_REASON_LOST], 0);
		for (int i = 0; i < 3; i++)
			carom_pool_apply(pool, eat, &mib, sizeof(mib), NULL, 0, NULL, NULL);
		carom_pool_close(pool);
		cr_assert(zero(int, carom_pool_join(pool, CAROM_NO_DEADLINE)));
		cr_expect(eq(int, atomic_load(&reasons[CAROM_EXIT_REASON_MEMORY_LIMIT]), 3));
		cr_expect(zero(int, atomic_load(&reasons[CAROM_EXIT_REASON_LOST])));
		cr_expect(eq(int, atomic_load(&limit_log_count), 3));
		cr_assert(zero(int, carom_pool_statistics(pool, &statistics)));
		cr_expect(eq(u64, statistics.exit_counts[CAROM_EXIT_REASON_MEMORY_LIMIT], 3));
		cr_expect(eq(u64, statistics.ended_counts[CAROM_OUTCOME_MEMORY_LIMIT], 3));
		cr_expect(zero(u64, statistics.ended_counts[CAROM_OUTCOME_LOST]));
	}
	cr_expect(zero(int, strcmp(carom_exit_reason_name(CAROM_EXIT_REASON_MEMORY_LIMIT),
				   "memory limit")));
}

/* a task that may be begun again after a loss is not, after this: it would do the same */
Test(containment, a_task_is_not_begun_again_for_that, .timeout = 60)
{
	struct carom_outcome outcome;
	int64_t mib = 320;

	EACH_POOL(pool, rung, .worker_count = 1, .max_memory_per_child_bytes = CAROM_MIB(32),
		  .retry_on_loss = 5)
	{
		carom_pool_apply(pool, eat, &mib, sizeof(mib), NULL, 0, NULL, &outcome);
		expect_memory_limit(&outcome, CAROM_MIB(32), rung);
		cr_expect(zero(u64, outcome.attempt));
	}
}

/* a death that is none of this is not taken for it */
Test(containment, another_death_is_what_it_was, .timeout = 60)
{
	struct carom_outcome outcome;

	EACH_POOL(pool, rung, .worker_count = 1, .max_memory_per_child_bytes = CAROM_MIB(64))
	{
		carom_pool_apply(pool, kill_self, NULL, 0, NULL, 0, NULL, &outcome);
		cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
		cr_expect(eq(int, outcome.signal, SIGKILL));
		carom_pool_apply(pool, exit_7, NULL, 0, NULL, 0, NULL, &outcome);
		cr_expect(eq(int, outcome.exit_status, 7));
	}
}

static struct carom_pool *pool_by(const char *method, const struct rung *rung, uint64_t polled)
{
	struct carom_context *context = NULL;

	carom_set_executable(getenv("CAROM_CHILD"));
	carom_context_get(method, &context);
	return try_pool(rung,
			CAROM_POOL_OPTIONS(.worker_count = 1, .context = context, .polled = polled,
					   .max_memory_per_child_bytes = CAROM_MIB(32)));
}

Test(containment, holds_for_every_way_to_make_a_process, .timeout = 120)
{
	for (int i = 0; i < 6; i++) {
		for (const struct rung *rung = rungs; rung < rungs + 2; rung++) {
			CAROM_CLEANUP(carom_pool_freep)
			struct carom_pool *pool = pool_by(methods[i % 3], rung, i >= 3);
			struct carom_outcome outcome;
			int64_t mib = 320;

			if (!pool)
				continue;
			carom_pool_apply(pool, eat, &mib, sizeof(mib), NULL, 0, NULL, &outcome);
			expect_memory_limit(&outcome, CAROM_MIB(32), rung);
		}
	}
}

/* ---- rungs ---- */

Test(containment, tells_which_means_are_in_force, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *plain = new_pool(1);
	struct carom_pool_limits limits = limits_of(plain);

	cr_expect(zero(u64, limits.memory_rungs));
	cr_expect(zero(u64, limits.max_memory_per_child_bytes));
	cr_expect(zero(int, limits.reason[0]));
	EACH_POOL(pool, rung, .worker_count = 1, .max_memory_per_child_bytes = CAROM_MIB(64))
	{
		limits = limits_of(pool);
		cr_expect(eq(u64, limits.memory_rungs & rung->bit, (uint64_t)rung->bit));
		cr_expect(eq(u64, limits.memory_rungs & CAROM_RUNG_RECYCLE, CAROM_RUNG_RECYCLE));
		cr_expect(eq(u64, limits.max_memory_per_child_bytes, CAROM_MIB(64)));
		cr_expect(eq(u64, limits.sampling_period_ns,
			     rung->bit == CAROM_RUNG_SAMPLING ? CAROM_MILLISECONDS(10) : 0));
	}
}

/* of the usual ones the best: and if that is not the kernel, it is said why */
Test(containment, the_best_means_is_taken_and_a_weaker_one_explained, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_pool_limits limits;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							       .max_memory_per_child_bytes =
								       CAROM_MIB(64)),
					   &pool)));
	limits = limits_of(pool);
	if (limits.memory_rungs & CAROM_RUNG_CGROUP) {
		cr_expect(zero(int, limits.reason[0]));
		cr_expect(zero(u64, limits.memory_rungs & CAROM_RUNG_SAMPLING));
	} else {
		cr_expect(ne(int, limits.reason[0], 0));
		cr_expect(eq(u64, limits.memory_rungs, CAROM_RUNG_SAMPLING | CAROM_RUNG_RECYCLE));
	}
}

static char refusal[1024];

static void note_refusal(const struct carom_log_record *record, void *userdata)
{
	if (record->event == CAROM_LOG_EVENT_LIMITS_REFUSED)
		snprintf(refusal, sizeof(refusal), "%s", record->text);
}

/* what cannot be had is an error at once if it is required: and the log has the reason */
static void without_groups(void)
{
	struct carom_pool *pool = NULL;

	carom_log_to(note_refusal, NULL);
	CHECK(carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
						 .max_memory_per_child_bytes = CAROM_MIB(64),
						 .required_rungs = CAROM_RUNG_CGROUP),
			     &pool) < 0);
	CHECK(!pool && refusal[0]);
	refusal[0] = '\0';
	CHECK(carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
						 .max_memory_per_child_bytes = CAROM_MIB(64),
						 .memory_rungs = CAROM_RUNG_CGROUP),
			     &pool) < 0);
	CHECK(!pool && refusal[0]);
	CHECK(count_children() == 0);
}

Test(containment, a_required_means_that_is_missing_is_an_error, .timeout = 60)
{
	cr_expect(zero(int, apart_with("CAROM_DENY", "cgroup_v2", without_groups)));
}

Test(containment, threads_are_only_replaced_after_a_task, .timeout = 60)
{
	struct carom_pool *pool = NULL;
	struct carom_context *context = NULL;

	cr_assert(zero(int, carom_context_get("thread", &context)));
	cr_assert(zero(
		int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .context = context,
							.max_memory_per_child_bytes = CAROM_GIB(4)),
				    &pool)));
	cr_expect(eq(u64, limits_of(pool).memory_rungs, CAROM_RUNG_RECYCLE));
	carom_pool_free(pool);
	for (int i = 0; i < 3; i++)
		cr_expect(eq(int,
			     carom_pool_new(
				     &CAROM_POOL_OPTIONS(.worker_count = 1, .context = context,
							 .max_memory_per_child_bytes = CAROM_GIB(4),
							 .required_rungs = 1u << i),
				     &pool),
			     -EOPNOTSUPP));
}

Test(containment, by_rlimit_the_kernel_refuses_memory, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t small = 16, large = 160;
	struct carom_outcome outcome;

	cr_assert(zero(
		int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							.max_memory_per_child_bytes = CAROM_MIB(64),
							.memory_rungs = CAROM_RUNG_RLIMIT),
				    &pool)));
	cr_expect(eq(u64, limits_of(pool).memory_rungs, CAROM_RUNG_RLIMIT));
	cr_expect(zero(int, carom_pool_apply(pool, allocate, &small, 8, NULL, 0, NULL, NULL)));
	carom_pool_apply(pool, allocate, &large, 8, NULL, 0, NULL, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_FAILED));
	cr_expect(eq(int, outcome.code, -ENOMEM));
	cr_expect(zero(int, carom_pool_apply(pool, allocate, &small, 8, NULL, 0, NULL, NULL)));
}

/* billiard's meaning alone: what a task has for a while is nobody's concern */
Test(containment, by_recycling_alone_a_task_may_have_more, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t pid = 0, next = 0;

	cr_assert(zero(
		int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							.max_memory_per_child_bytes = CAROM_MIB(32),
							.memory_rungs = CAROM_RUNG_RECYCLE),
				    &pool)));
	cr_expect(zero(int, carom_pool_apply(pool, borrow_64_mib, NULL, 0, &pid, 8, NULL, NULL)));
	cr_expect(zero(int, carom_pool_apply(pool, own_pid, NULL, 0, &next, 8, NULL, NULL)));
	cr_expect(eq(i64, pid, next));
}

/* ---- by groups, each time ---- */

/* In large pages, where there are any: of small ones most of the time is spent on faults. */
static int touch(struct carom_call *call)
{
	int64_t mib;
	volatile char *memory;

	carom_call_read(call, &mib, sizeof(mib));
	memory = get_memory((size_t)CAROM_MIB(mib));
	madvise((char *)memory, (size_t)CAROM_MIB(mib), MADV_HUGEPAGE);
	for (size_t i = 0; i < CAROM_MIB(mib); i += 4096)
		memory[i] = 1;
	return hang(call);
}

static void hit(uint64_t mib)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = grouped_pool(
		CAROM_POOL_OPTIONS(.worker_count = 2, .max_memory_per_child_bytes = CAROM_MIB(mib),
				   .required_rungs = CAROM_RUNG_CGROUP));
	struct carom_result *hungry[100], *others[100];
	struct carom_outcome outcome;
	int64_t twice = (int64_t)mib * 2, out;

	for (int64_t i = 0; i < 100; i++) {
		cr_assert(zero(int,
			       carom_pool_apply_async(pool, touch, &twice, 8, NULL, &hungry[i])));
		cr_assert(zero(int, carom_pool_apply_async(pool, square, &i, 8, NULL, &others[i])));
	}
	for (int64_t i = 0; i < 100; i++) {
		carom_result_wait(hungry[i], CAROM_NO_DEADLINE);
		carom_result_outcome(hungry[i], &outcome);
		expect_memory_limit(&outcome, CAROM_MIB(mib), &rungs[0]);
		cr_expect(zero(int, carom_result_get(others[i], CAROM_NO_DEADLINE, &out, 8, NULL)));
		cr_expect(eq(i64, out, i * i));
		carom_result_free(hungry[i]);
		carom_result_free(others[i]);
	}
	cr_expect(zero(int, carom_pool_wait_ready(pool, CAROM_NO_DEADLINE)));
}

Test(containment, a_hundred_of_a_hundred_with_16_mib, .timeout = 200)
{
	hit(16);
}

Test(containment, a_hundred_of_a_hundred_with_64_mib, .timeout = 200)
{
	hit(64);
}

Test(containment, a_hundred_of_a_hundred_with_256_mib, .timeout = 280)
{
	hit(256);
}

/* ---- what makes no sense ---- */

Test(containment, limits_that_make_no_sense_are_refused_with_a_reason, .timeout = 60)
{
	const struct carom_pool_options nonsense[] = {
		{ .memory_rungs = CAROM_RUNG_SAMPLING },
		{ .required_rungs = CAROM_RUNG_SAMPLING },
		{ .max_memory_per_child_bytes = 1 << 26, .memory_rungs = 16 },
		{ .max_memory_per_child_bytes = 1 << 26, .memory_rungs = UINT64_MAX },
		{ .max_memory_per_child_bytes = 1 << 26, .required_rungs = 32 },
		{ .max_memory_per_child_bytes = 1 << 26,
		  .memory_rungs = CAROM_RUNG_RECYCLE,
		  .required_rungs = CAROM_RUNG_SAMPLING },
		{ .max_memory_per_child_bytes = CAROM_NO_LIMIT,
		  .memory_rungs = CAROM_RUNG_SAMPLING },
		{ .max_memory_per_child_bytes = 1 << 26,
		  .memory_rungs = CAROM_RUNG_CGROUP,
		  .worker_limits = &CAROM_CGROUP_LIMITS(.memory_bytes = 1 << 27) },
		{ .max_memory_per_child_bytes = 1 << 26,
		  .worker_limits = &CAROM_CGROUP_LIMITS(.memory_bytes = 1 << 25) },
		{ .max_memory_per_child_bytes = 1 << 26,
		  .pool_limits = &CAROM_CGROUP_LIMITS(.memory_bytes = 1 << 25) },
		{ .worker_limits = &CAROM_CGROUP_LIMITS(.memory_bytes = 1 << 26),
		  .pool_limits = &CAROM_CGROUP_LIMITS(.memory_bytes = 1 << 25) },
		{ .worker_limits = &CAROM_CGROUP_LIMITS(.process_count = 4),
		  .pool_limits = &CAROM_CGROUP_LIMITS(.process_count = 3) },
		{ .worker_limits = &CAROM_CGROUP_LIMITS(.memory_bytes = 1 << 25,
							.memory_high_bytes = 1 << 26) },
		{ .worker_limits = &CAROM_CGROUP_LIMITS(.swap_bytes = 1 << 25) },
		{ .worker_limits = &CAROM_CGROUP_LIMITS(.cpu_quota_ns = 1) },
		{ .worker_limits = &CAROM_CGROUP_LIMITS(.cpu_period_ns = 100000000) },
		{ .pool_limits = &CAROM_CGROUP_LIMITS(.cpu_weight = 10001) },
	};

	carom_log_to(note_refusal, NULL);
	for (size_t i = 0; i < sizeof(nonsense) / sizeof(*nonsense); i++) {
		struct carom_pool_options options = nonsense[i];
		struct carom_pool *pool = NULL;

		options.size_bytes = sizeof(options);
		options.worker_count = 1;
		refusal[0] = '\0';
		cr_expect(eq(int, carom_pool_new(&options, &pool), -EINVAL), "row %zu", i);
		cr_expect(ne(int, refusal[0], 0), "row %zu", i);
		cr_expect(eq(ptr, pool, NULL));
	}
}

/* what the library has from its first pools on: a loop, a fork server */
static void keep_what_is_kept(void)
{
	EACH_POOL(pool, rung, .worker_count = 1, .max_memory_per_child_bytes = CAROM_MIB(64))
	{
		carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL);
	}
}

static void too_little(void)
{
	int before;

	stand_alone_where_possible();
	keep_what_is_kept();
	before = count_fds();
	carom_log_to(note_refusal, NULL);
	for (int i = 0; i < 4; i++) {
		const struct rung *rung = &rungs[i / 2];
		struct carom_pool *pool = NULL;
		struct carom_pool_options options =
			CAROM_POOL_OPTIONS(.worker_count = 2, .max_memory_per_child_bytes = 16384,
					   .kill_self_on_break = 1, .lazy_start = (uint64_t)i % 2,
					   .required_rungs = rung->bit);
		int r;

		refusal[0] = '\0';
		r = carom_pool_new(&options, &pool);
		CHECK(r == -ERANGE || (rung->bit == CAROM_RUNG_CGROUP && r < 0));
		CHECK(!pool && refusal[0]);
		CHECK(r != -ERANGE || strstr(refusal, "below what a worker needs"));
		CHECK(count_fds() <= before + 1); /* groups that are gone soon are in a set */
	}
	CHECK(count_children() <= 1); /* the fork server */
}

Test(containment, less_than_a_worker_needs_is_refused_and_leaves_nothing, .timeout = 60)
{
	cr_expect(zero(int, apart(too_little)));
}

static uint64_t workers_at_first(uint64_t allowed)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 3, .lazy_start = 1,
							       .max_memory_per_child_bytes =
								       allowed ? CAROM_GIB(1) : 0,
							       .memory_rungs = allowed),
					   &pool)));
	return count_workers(pool);
}

Test(containment, a_lazy_pool_has_one_worker_where_that_is_to_prove_a_limit, .timeout = 60)
{
	cr_expect(eq(u64, workers_at_first(CAROM_RUNG_SAMPLING), 1));
	cr_expect(eq(u64, workers_at_first(CAROM_RUNG_RECYCLE), 0));
	cr_expect(eq(u64, workers_at_first(0), 0));
}

/* ---- what it costs ---- */

static int64_t switches_of_others(void)
{
	DIR *threads = opendir("/proc/self/task");
	struct dirent *entry;
	int64_t sum = 0, count;

	while ((entry = readdir(threads))) {
		char path[300], line[128];
		FILE *file;

		if (entry->d_name[0] == '.' || atoi(entry->d_name) == gettid())
			continue;
		snprintf(path, sizeof(path), "/proc/self/task/%s/status", entry->d_name);
		file = fopen(path, "re");
		while (file && fgets(line, sizeof(line), file))
			if (sscanf(line, "voluntary_ctxt_switches: %" SCNd64, &count) == 1)
				sum += count;
		if (file)
			fclose(file);
	}
	closedir(threads);
	return sum;
}

/* nobody wakes up to see how much memory an idle worker has */
Test(containment, an_idle_pool_with_limits_is_woken_by_nothing, .timeout = 60)
{
	EACH_POOL(pool, rung, .worker_count = 2, .max_memory_per_child_bytes = CAROM_MIB(64))
	{
		int64_t before;

		for (int i = 0; i < 10; i++)
			carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL);
		/* until the last look has found nobody; one that always comes back is never still */
		do {
			before = switches_of_others();
			usleep(300000);
		} while (switches_of_others() - before > 2);
	}
}

static uint64_t is_polled;

static void let_work(struct carom_pool *pool, uint64_t ns)
{
	uint64_t deadline_ns = carom_deadline_after(ns);

	if (!is_polled)
		usleep((useconds_t)(ns / 1000));
	while (is_polled && carom_now() < deadline_ns)
		CHECK(carom_pool_poll(pool, deadline_ns) >= 0);
}

/*
 * The whole library comes to have no more than @most open in a program with one pool, busy with a
 * task for each worker; what a birth needs is gone soon after it.
 */
static void count_busy(struct carom_pool *pool, uint64_t worker_count, int most)
{
	struct carom_result *results[32];
	int64_t mib = 1;

	for (uint64_t i = 0; i < worker_count; i++)
		CHECK(carom_pool_apply_async(pool, eat, &mib, sizeof(mib), NULL, &results[i]) == 0);
	for (uint64_t i = 0; i < worker_count; i++)
		while (carom_result_accepted(results[i]) != 1)
			let_work(pool, CAROM_MILLISECONDS(1));
	let_work(pool, CAROM_MILLISECONDS(100)); /* each was looked at */
	while (count_fds() > most)               /* until the test's time is up */
		let_work(pool, CAROM_MILLISECONDS(1));
	carom_pool_kill(pool);
	for (uint64_t i = 0; i < worker_count; i++)
		carom_result_free(results[i]);
	carom_pool_free(pool);
}

static void count_with(uint64_t worker_count, const struct rung *rung, int most)
{
	struct carom_pool_options options =
		CAROM_POOL_OPTIONS(.worker_count = worker_count, .polled = is_polled);
	struct carom_pool *pool = NULL;

	if (rung) {
		options.max_memory_per_child_bytes = CAROM_MIB(64);
		options.memory_rungs = rung->bit; /* and no other */
		pool = try_pool(rung, options);
	} else {
		CHECK(carom_pool_new(&options, &pool) == 0);
	}
	if (!pool)
		return;
	count_busy(pool, worker_count, most);
}

/* The group of all of them costs nothing beside those of the workers that stand in it. */
static void count_limited(uint64_t worker_count, uint64_t mib, int most)
{
	struct carom_cgroup_limits all =
		CAROM_CGROUP_LIMITS(.process_count = 200, .memory_bytes = 8 * CAROM_MIB(mib));
	struct carom_pool_options options =
		CAROM_POOL_OPTIONS(.worker_count = worker_count, .polled = is_polled,
				   .pool_limits = &all,
				   .worker_limits = &CAROM_CGROUP_LIMITS(.process_count = 20),
				   .max_memory_per_child_bytes = CAROM_MIB(mib));
	struct carom_pool *pool = NULL;
	int r;

	if (mib > 0)
		options.memory_rungs = CAROM_RUNG_CGROUP | CAROM_RUNG_SAMPLING;
	r = carom_pool_new(&options, &pool);
	if (r < 0)
		fprintf(stderr, "skipped: limits of the whole pool: %s\n", strerror(-r));
	else
		count_busy(pool, worker_count, most);
}

static void count_descriptors(const uint64_t *counts, size_t count_count)
{
	static const struct rung both = { CAROM_RUNG_CGROUP | CAROM_RUNG_SAMPLING, "both" };
	const struct rung *choices[] = { NULL, &rungs[0], &rungs[1], &both };
	int before, kept = 0;

	stand_alone_where_possible();
	before = count_fds();
	for (size_t i = 0; i < 4 * count_count; i++) {
		uint64_t count = counts[i % count_count];

		count_with(count, choices[i / count_count], before + 3 * (int)count + 8);
		carom_cgroup_bury_until(carom_deadline_after(CAROM_SECONDS(20)));
		if (i % count_count == 0)
			kept = count_fds(); /* the fork server, the loop */
		while (count_fds() > kept)
			usleep(1000);
	}
}

static void count_of_some(void)
{
	count_descriptors((uint64_t[]){ 1, 8, 32 }, 3);
}

/* which has the least to make up for what is there once */
static void count_of_one(void)
{
	count_descriptors((uint64_t[]){ 1 }, 1);
}

static void count_in_groups(void)
{
	int before;

	stand_alone_where_possible();
	before = count_fds();
	for (uint64_t count = 1; count <= 4; count += 3) {
		count_limited(count, 0, before + 3 * (int)count + 8);
		count_limited(count, 64, before + 3 * (int)count + 8);
		carom_cgroup_bury_until(carom_deadline_after(CAROM_SECONDS(20)));
	}
}

static void count_polled(void)
{
	is_polled = 1;
	count_descriptors((uint64_t[]){ 1, 8 }, 2);
}

static void count_polled_in_groups(void)
{
	is_polled = 1;
	count_in_groups();
}

Test(containment, costs_at_most_three_descriptors_for_a_worker_and_eight, .timeout = 120)
{
	cr_expect(zero(int, apart(count_of_some)));
	cr_expect(zero(int, apart_with("CAROM_LOOP", "epoll", count_of_one)));
	cr_expect(zero(int, apart_with("CAROM_DENY", "io_uring_futex", count_of_one)));
	cr_expect(zero(int, apart_with("CAROM_DENY", "clone3", count_of_one)));
}

Test(containment, costs_no_more_with_limits_of_the_whole_pool, .timeout = 120)
{
	cr_expect(zero(int, apart(count_in_groups)));
	cr_expect(zero(int, apart_with("CAROM_LOOP", "epoll", count_in_groups)));
	cr_expect(zero(int, apart_with("CAROM_DENY", "io_uring_futex", count_in_groups)));
	cr_expect(zero(int, apart_with("CAROM_DENY", "clone3", count_in_groups)));
}

Test(containment, costs_no_more_where_the_program_polls, .timeout = 120)
{
	cr_expect(zero(int, apart(count_polled)));
	cr_expect(zero(int, apart(count_polled_in_groups)));
	cr_expect(zero(int, apart_with("CAROM_LOOP", "epoll", count_polled)));
	cr_expect(zero(int, apart_with("CAROM_DENY", "io_uring_futex", count_polled)));
	cr_expect(zero(int, apart_with("CAROM_LOOP", "epoll", count_polled_in_groups)));
}

static void kill_many(void)
{
	int64_t mib = 320;

	stand_alone_where_possible();
	EACH_POOL(pool, rung, .worker_count = 2, .max_memory_per_child_bytes = CAROM_MIB(16))
	{
		struct carom_worker_info infos[2];
		int before = 0;

		for (int i = 0; i < 24; i++) {
			carom_pool_apply(pool, eat, &mib, sizeof(mib), NULL, 0, NULL, NULL);
			if (i == 9) {
				CHECK(carom_pool_wait_ready(pool, CAROM_NO_DEADLINE) == 0);
				before = count_fds();
			}
		}
		CHECK(carom_pool_wait_ready(pool, CAROM_NO_DEADLINE) == 0);
		CHECK(carom_pool_workers(pool, infos, 2) == 2);
		CHECK(count_fds() <= before + 6);
		CHECK(carom_pool_state(pool) == CAROM_POOL_RUNNING);
	}
}

Test(containment, many_such_ends_leave_nothing_behind, .timeout = 120)
{
	cr_expect(zero(int, apart(kill_many)));
}
