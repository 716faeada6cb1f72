/* Time limits: what a task is told, when it is killed, and what is left of it. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "core/service.h"
#include "pool/call_private.h"
#include "pool/pool_private.h"
#include "pool/soft_limit_private.h"
#include "tests/needs.h"
#include "tests/pool/gate.h"
#include "tests/pool/work.h"

#define MS(n) CAROM_MILLISECONDS(n)

/* more than a loaded machine needs for anything here, and less than what would be waited for */
#define SOON MS(5000)

static struct carom_pool *limited_pool(uint64_t soft_ns, uint64_t hard_ns, uint64_t grace_ns)
{
	struct carom_pool *pool = NULL;

	cr_assert(zero(
		int,
		carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .soft_limit_ns = soft_ns,
						   .hard_limit_ns = hard_ns, .grace_ns = grace_ns),
			       &pool)));
	return pool;
}

static struct carom_outcome outcome_of(struct carom_pool *pool, carom_task_fn *function,
				       const struct carom_task_options *options)
{
	struct carom_outcome outcome = { 0 };

	carom_pool_apply(pool, function, NULL, 0, NULL, 0, options, &outcome);
	return outcome;
}

static void expect_kind(struct carom_pool *pool, carom_task_fn *function,
			enum carom_outcome_kind kind)
{
	struct carom_outcome outcome = outcome_of(pool, function, NULL);
	char text[160];

	cr_expect(eq(int, outcome.kind, kind), "%s",
		  carom_outcome_describe(&outcome, text, sizeof(text)));
}

/* whatever the pool's limit is: it may be less than a busy machine needs to square a number */
static void expect_works(struct carom_pool *pool)
{
	int64_t x = 7, y = 0;

	cr_expect(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8,
					     &CAROM_TASK_OPTIONS(.hard_limit_ns = CAROM_NO_LIMIT),
					     NULL)));
	cr_expect(eq(i64, y, 49));
}

/* what tests and their workers share; made before the first pool */
static void *share(size_t size)
{
	void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert(ne(ptr, shared, MAP_FAILED));
	return shared;
}

/* ---- what a task is told ---- */

static int work_until_told(struct carom_call *call)
{
	uint64_t begun = carom_now(), took;

	while (!carom_call_soft_limit(call))
		;
	took = carom_now() - begun;
	return carom_reply(call, &took, sizeof(took));
}

/* PC-06 */
/* TO-02 */
/* TO-04 */
Test(limits, a_task_that_looks_is_told_and_may_still_leave_a_value, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = limited_pool(MS(100), 0, 0);
	uint64_t took = 0;

	cr_assert(zero(int, carom_pool_apply(pool, work_until_told, NULL, 0, &took, sizeof(took),
					     NULL, NULL)));
	cr_expect(ge(u64, took, MS(99)));
	cr_expect(lt(u64, took, MS(100) + SOON));
	expect_works(pool);
}

static int give_up(struct carom_call *call)
{
	while (!carom_call_soft_limit(call))
		poll(NULL, 0, 1);
	return -ETIME;
}

static int give_up_in_words(struct carom_call *call)
{
	give_up(call);
	return carom_call_fail(call, -EINTR, "at page %d", 7);
}

static int fail_of_itself(struct carom_call *call)
{
	give_up(call);
	return -ENOENT;
}

static int fail_too_early(struct carom_call *call)
{
	return -ETIME;
}

/* ER-06 */
Test(limits, a_task_that_gives_up_has_an_outcome_of_its_own, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = limited_pool(MS(20), 0, 0);
	struct carom_outcome outcome = outcome_of(pool, give_up, NULL);
	char text[160];

	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_SOFT_LIMIT));
	cr_expect(eq(int, outcome.code, -ETIME));
	cr_expect(eq(u64, outcome.limit_ns, MS(20)));
	carom_outcome_describe(&outcome, text, sizeof(text));
	cr_expect(ne(ptr, strstr(text, "soft limit: exceeded 0.020 s"), NULL), "%s", text);

	outcome = outcome_of(pool, give_up_in_words, NULL);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_SOFT_LIMIT));
	cr_expect(eq(int, outcome.code, -EINTR));
	cr_expect(zero(int, strcmp(outcome.message, "at page 7")));

	outcome = outcome_of(pool, fail_of_itself, NULL);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_FAILED));
	cr_expect(eq(int, outcome.code, -ENOENT));

	outcome = outcome_of(pool, fail_too_early,
			     &CAROM_TASK_OPTIONS(.soft_limit_ns = CAROM_SECONDS(60)));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_FAILED));
	cr_expect(eq(int, outcome.code, -ETIME));
}

/* nobody ever writes: so it is a signal that ends this, or nothing */
static int read_for_ever(struct carom_call *call)
{
	int fds[2], r;
	char byte;

	if (pipe(fds) < 0)
		return -errno;
	r = read(fds[0], &byte, 1) < 0 ? -errno : 0;
	close(fds[0]);
	close(fds[1]);
	return r;
}

/* TO-05 */
Test(limits, pain_22_soft_limit_reaches_a_blocking_read, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = limited_pool(MS(100), 0, 0);
	struct carom_outcome outcome = outcome_of(pool, read_for_ever, NULL);

	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_SOFT_LIMIT));
	cr_expect(eq(int, outcome.code, -EINTR));
	cr_expect(ge(u64, outcome.ended_ns - outcome.started_ns, MS(100)));
	cr_expect(lt(u64, outcome.ended_ns - outcome.started_ns, MS(100) + SOON));
}

/* begins to read at about the moment when the signal comes, before it or after */
static int read_at_the_limit(struct carom_call *call)
{
	uint64_t wait_ns, until;

	carom_call_read(call, &wait_ns, sizeof(wait_ns));
	until = call->slot->started_ns + wait_ns;
	while (carom_now() < until)
		;
	return read_for_ever(call);
}

Test(limits, a_read_that_begins_just_as_the_signal_comes_is_reached_too, .timeout = 120)
{
	const char *tries = getenv("CAROM_TRIES");
	uint64_t soft_ns = CAROM_MICROSECONDS(200);
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = limited_pool(soft_ns, 0, 0);
	int count = tries ? atoi(tries) : 3000;

	for (int i = 0; i < count; i++) {
		uint64_t wait_ns = soft_ns + (uint64_t)(i % 400) * 250;
		struct carom_outcome outcome;

		carom_pool_apply(pool, read_at_the_limit, &wait_ns, 8, NULL, 0, NULL, &outcome);
		cr_assert(eq(int, outcome.kind, CAROM_OUTCOME_SOFT_LIMIT));
	}
}

/* ---- never the next one ---- */

/*
 * Ends as its limit comes. Below 0: it was told although it had time left, or somebody
 * else's signal came.
 */
static int end_at_the_limit(struct carom_call *call)
{
	uint64_t begun = call->slot->started_ns, wait_ns;

	if (carom_call_soft_limit(call) && carom_now() < begun + CAROM_MICROSECONDS(30))
		return -EDOM;
	if (carom_soft_limit_stray_count())
		return -ERANGE;
	carom_call_read(call, &wait_ns, sizeof(wait_ns));
	while (carom_now() < begun + wait_ns)
		;
	return 0;
}

/* TO-06 */
Test(limits, pain_22_soft_limit_never_strays_to_the_next_item, .timeout = 120)
{
	enum { COUNT = 100000 };
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_outcome *outcomes = calloc(COUNT, sizeof(*outcomes));
	uint64_t *waits = calloc(COUNT, sizeof(*waits));
	uint64_t soft_ns = CAROM_MICROSECONDS(30);

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2,
							       .soft_limit_ns = soft_ns),
					   &pool)));
	for (uint64_t i = 0; i < COUNT; i++)
		waits[i] = soft_ns - 5000 + i % 100 * 100;
	carom_pool_map(pool, end_at_the_limit, waits, COUNT, sizeof(*waits), NULL, 0,
		       &CAROM_MAP_OPTIONS(.chunk_size = 1000, .outcomes = outcomes));
	for (int i = 0; i < COUNT; i++) {
		char text[160];

		cr_expect(eq(int, outcomes[i].kind, CAROM_OUTCOME_OK), "item %d: %s", i,
			  carom_outcome_describe(&outcomes[i], text, sizeof(text)));
	}
	free(outcomes);
	free(waits);
}

Test(limits, soft_limit_never_strays_to_the_next_task, .timeout = 120)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = limited_pool(CAROM_MICROSECONDS(30), 0, 0);
	struct carom_result *results[64];

	for (int i = 0; i < 5000; i += 64) {
		for (int k = 0; k < 64; k++) {
			uint64_t wait_ns = 25000 + (uint64_t)((i + k) % 100) * 100;

			carom_pool_apply_async(pool, end_at_the_limit, &wait_ns, 8, NULL,
					       &results[k]);
		}
		for (int k = 0; k < 64; k++) {
			cr_expect(zero(int, carom_result_get(results[k], CAROM_NO_DEADLINE, NULL, 0,
							     NULL)));
			carom_result_free(results[k]);
		}
	}
}

static int block_the_signal(struct carom_call *call)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return give_up(call);
}

static int take_the_signal(struct carom_call *call)
{
	signal(SIGUSR1, SIG_IGN);
	return give_up(call);
}

Test(limits, a_task_that_hides_from_the_signal_is_told_when_it_looks, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = limited_pool(MS(20), 0, 0);

	for (int i = 0; i < 3; i++) {
		expect_kind(pool, block_the_signal, CAROM_OUTCOME_SOFT_LIMIT);
		expect_works(pool);
		expect_kind(pool, take_the_signal, CAROM_OUTCOME_SOFT_LIMIT);
		/* and the one after it is reached again */
		expect_kind(pool, read_for_ever, CAROM_OUTCOME_SOFT_LIMIT);
	}
}

static int signal_oneself(struct carom_call *call)
{
	uint64_t before = carom_soft_limit_stray_count();

	for (int i = 0; i < 3; i++)
		raise(SIGUSR1);
	if (carom_soft_limit_stray_count() != before + 3)
		return -ERANGE;
	return carom_call_soft_limit(call) ? -EDOM : 0;
}

/* WK-16 */
Test(limits, a_signal_of_somebody_else_is_counted_and_ignored, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = limited_pool(MS(60000), 0, 0);

	expect_kind(pool, signal_oneself, CAROM_OUTCOME_OK);
	expect_kind(pool, nothing, CAROM_OUTCOME_OK);
}

/* ---- functions of its own ---- */

static struct gate *gate; /* made before the pool */
static _Atomic int told_count;

static void count_told(void *userdata)
{
	atomic_fetch_add(&told_count, 1);
}

/* until it is let through, which is when it was said a few times */
static int have_it_counted(struct carom_call *call)
{
	int64_t count;

	atomic_store(&told_count, 0);
	carom_call_on_soft_limit(call, count_told, NULL);
	gate_pass(gate, 0);
	while (!atomic_load(&told_count))
		sched_yield();
	count = atomic_load(&told_count);
	carom_call_on_soft_limit(call, count_told, NULL); /* it has passed: at once */
	count += 100 * (atomic_load(&told_count) - count);
	return carom_reply(call, &count, sizeof(count));
}

static _Atomic int soft_events;

static void count_soft_events(const struct carom_log_record *record, void *userdata)
{
	atomic_fetch_add(&soft_events, record->event == CAROM_LOG_EVENT_SOFT_LIMIT);
}

static void await_warnings(struct carom_pool *pool, struct carom_result *result, uint32_t at_least)
{
	uint32_t count = 0;

	while (count < at_least) {
		pthread_mutex_lock(&pool->lock);
		count = pool->tasks[atomic_load(&result->slot)].warn_count;
		pthread_mutex_unlock(&pool->lock);
		sched_yield();
	}
}

/* TO-03 */
Test(limits, a_soft_limit_is_hit_once_however_often_it_is_said, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	int64_t count = 0;

	gate = gate_new();
	carom_log_to(count_soft_events, NULL);
	carom_log_set_level(CAROM_LOG_INFO);
	pool = limited_pool(MS(10), 0, 0);
	cr_assert(zero(int, carom_pool_apply_async(pool, have_it_counted, NULL, 0, NULL, &result)));
	await_warnings(pool, result, 5);
	gate_open(gate, 1);
	cr_expect(zero(int,
		       carom_result_get(result, CAROM_NO_DEADLINE, &count, sizeof(count), NULL)));
	cr_expect(eq(i64, count, 101));
	cr_expect(eq(int, atomic_load(&soft_events), 1));
	carom_log_to(NULL, NULL);
}

static int never_end(void *userdata)
{
	for (volatile int i = 0;; i++)
		;
	return 0;
}

static int end_at_once(void *userdata)
{
	return 3;
}

static int leave_in_the_middle(struct carom_call *call)
{
	int r = carom_call_until_soft_limit(call, never_end, NULL);

	if (r != -ETIME || carom_call_until_soft_limit(call, end_at_once, NULL) != -ETIME)
		return -ERANGE;
	return r;
}

static int limit_oneself_and_never_end(void *userdata)
{
	carom_soft_limit_handler(SIGALRM);
	return never_end(userdata);
}

static int leave_the_second(struct carom_call *call)
{
	if (carom_call_until_soft_limit(call, end_at_once, NULL) != 3)
		return -EDOM;
	return carom_call_until_soft_limit(call, limit_oneself_and_never_end, NULL);
}

Test(limits, a_function_that_cannot_look_is_left, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = limited_pool(MS(20), 0, 0);
	struct carom_outcome outcome;

	for (int i = 0; i < 6; i++) {
		outcome = i % 2 ? outcome_of(pool, leave_the_second,
					     &CAROM_TASK_OPTIONS(.soft_limit_ns = MS(60000)))
				: outcome_of(pool, leave_in_the_middle, NULL);
		cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_SOFT_LIMIT));
		cr_expect(eq(int, outcome.code, -ETIME));
	}
	expect_works(pool);
}

static int limit_oneself(struct carom_call *call)
{
	if (carom_call_soft_limit(call))
		return -EDOM;
	carom_soft_limit_handler(SIGALRM);
	return carom_call_soft_limit(call) ? -ETIME : -ERANGE;
}

/* TO-15 */
Test(limits, a_task_may_limit_itself, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_outcome outcome = outcome_of(pool, limit_oneself, NULL);

	carom_soft_limit_handler(0); /* no task: nothing happens */
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_SOFT_LIMIT));
	cr_expect(eq(int, outcome.code, -ETIME));
	outcome = outcome_of(pool, fail_too_early, NULL);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_FAILED));
}

/* ---- the hard limit ---- */

static int ignore_term(struct carom_call *call)
{
	signal(SIGTERM, SIG_IGN);
	return 0;
}

static int ignore_term_and_hang(struct carom_call *call)
{
	ignore_term(call);
	return hang(call);
}

/* hangs in a worker that ignores SIGTERM, and did so before its time began to count */
static struct carom_outcome outcome_of_the_stubborn(struct carom_pool *pool)
{
	outcome_of(pool, ignore_term, &CAROM_TASK_OPTIONS(.hard_limit_ns = CAROM_NO_LIMIT));
	return outcome_of(pool, hang, NULL);
}

static int pidfd_of(int64_t pid)
{
	NEEDS("pidfd_open");
	return (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
}

static bool has_ended(int pidfd, uint64_t within_ns)
{
	struct pollfd watched = { .fd = pidfd, .events = POLLIN };

	return poll(&watched, 1, (int)(within_ns / MS(1))) == 1;
}

static int pidfd_of_worker(struct carom_pool *pool)
{
	struct carom_worker_info info;

	carom_pool_workers(pool, &info, 1);
	return pidfd_of(info.pid);
}

/* TO-07 */
/* ER-05 */
Test(limits, a_task_is_answered_while_its_worker_will_not_die, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = limited_pool(0, MS(50), CAROM_SECONDS(600));
	CAROM_CLEANUP(carom_closep) int worker = pidfd_of_worker(pool);
	struct carom_outcome outcome = outcome_of_the_stubborn(pool);
	char text[160];

	cr_expect(not(has_ended(worker, 0)));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_HARD_LIMIT));
	cr_expect(eq(u64, outcome.limit_ns, MS(50)));
	cr_expect(ge(u64, outcome.ended_ns - outcome.started_ns, MS(50)));
	cr_expect(lt(int, 0, outcome.worker_pid));
	carom_outcome_describe(&outcome, text, sizeof(text));
	cr_expect(ne(ptr, strstr(text, "hard limit: exceeded 0.050 s"), NULL), "%s", text);
	cr_expect(zero(int, carom_pool_kill(pool)));
	cr_expect(has_ended(worker, SOON));
}

/* its slot is the only one: who comes next has to wait until its worker cannot write there */
Test(limits, a_slot_is_kept_until_the_worker_is_dead, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_closep) int worker = -1;
	struct carom_outcome outcome;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .slot_count = 1,
							       .hard_limit_ns = MS(20),
							       .grace_ns = MS(200)),
					   &pool)));
	for (int i = 0; i < 3; i++) {
		uint64_t begun = carom_now();

		worker = pidfd_of_worker(pool);
		outcome = outcome_of_the_stubborn(pool);
		cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_HARD_LIMIT));
		expect_works(pool);
		cr_expect(ge(u64, carom_now() - begun, MS(20) + MS(200)));
		cr_expect(has_ended(worker, SOON)); /* known by its life word before */
		close(worker);
	}
	worker = -1;
}

static _Atomic int lines_seen, lines_in_order;

static void note_lines(const struct carom_log_record *record, void *userdata)
{
	if (strstr(record->text, "timeout: sending TERM to") == record->text)
		lines_in_order += atomic_fetch_add(&lines_seen, 1) == 0;
	if (strstr(record->text, "TERM timed-out, now sending KILL to") == record->text)
		lines_in_order += atomic_fetch_add(&lines_seen, 1) == 1;
}

/* TO-16 */
Test(limits, says_what_is_sent, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_closep) int worker = -1;

	carom_log_to(note_lines, NULL);
	carom_log_set_level(CAROM_LOG_DEBUG);
	pool = limited_pool(0, MS(20), MS(20));
	worker = pidfd_of_worker(pool);
	outcome_of_the_stubborn(pool);
	cr_expect(has_ended(worker, SOON));
	cr_expect(eq(int, atomic_load(&lines_seen), 2));
	cr_expect(eq(int, atomic_load(&lines_in_order), 2));
	carom_log_to(NULL, NULL);
}

static void wake_up(int signal_number)
{
}

static int return_at_term(struct carom_call *call)
{
	struct sigaction action = { .sa_handler = wake_up };
	sigset_t term, before;

	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &before);
	sigaction(SIGTERM, &action, NULL);
	sigsuspend(&before);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return 0;
}

/* it is doomed: what it returns then is of no interest, and there is nothing more for it to do */
Test(limits, a_worker_whose_task_ends_at_term_ends_within_its_grace, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = limited_pool(0, MS(20), CAROM_SECONDS(600));
	CAROM_CLEANUP(carom_closep) int worker = pidfd_of_worker(pool);

	expect_kind(pool, return_at_term, CAROM_OUTCOME_HARD_LIMIT);
	cr_expect(has_ended(worker, SOON));
	expect_works(pool);
}

Test(limits, without_grace_the_kill_comes_at_once, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = limited_pool(0, MS(20), CAROM_NO_GRACE);
	CAROM_CLEANUP(carom_closep) int worker = pidfd_of_worker(pool);

	cr_expect(eq(int, outcome_of_the_stubborn(pool).kind, CAROM_OUTCOME_HARD_LIMIT));
	cr_expect(has_ended(worker, SOON));
	expect_works(pool);
}

/* ---- the whole tree ---- */

/* a child, one in a session of its own, one below that, and one that has lost its parent */
struct family {
	_Atomic int count;
	_Atomic pid_t pids[4];
};

static struct family *family;

static void be_one_of_them(bool ignores_term)
{
	if (ignores_term)
		signal(SIGTERM, SIG_IGN);
	prctl(PR_SET_PDEATHSIG, 0);
	alarm(60); /* should the library, or the test, not get that far */
	atomic_store(&family->pids[atomic_fetch_add(&family->count, 1)], getpid());
	for (;;)
		pause();
}

static int raise_a_family(struct carom_call *call)
{
	bool ignores_term = *(const uint64_t *)carom_call_data(call, NULL);

	if (fork() == 0)
		be_one_of_them(ignores_term);
	if (fork() == 0) {
		setsid();
		if (fork() == 0)
			be_one_of_them(ignores_term);
		be_one_of_them(ignores_term);
	}
	if (fork() == 0) {
		if (fork() == 0)
			be_one_of_them(ignores_term);
		_exit(0);
	}
	return ignores_term ? ignore_term(call) : 0;
}

static int pidfd_of_relative(int number)
{
	pid_t pid;

	while (!(pid = atomic_load(&family->pids[number])))
		poll(NULL, 0, 1);
	return pidfd_of(pid);
}

/* raised without a limit: all of them are there when the time begins to count */
static void expect_no_family(uint64_t grace_ns, uint64_t ignores_term)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int pidfds[4];

	NEEDS("pidfd_open");
	family = share(sizeof(*family));
	pool = limited_pool(0, MS(50), grace_ns);
	cr_assert(zero(int, carom_pool_apply(pool, raise_a_family, &ignores_term, 8, NULL, 0,
					     &CAROM_TASK_OPTIONS(.hard_limit_ns = CAROM_NO_LIMIT),
					     NULL)));
	for (int i = 0; i < 4; i++)
		cr_assert(ge(int, pidfds[i] = pidfd_of_relative(i), 0));
	expect_kind(pool, hang, CAROM_OUTCOME_HARD_LIMIT);
	for (int i = 0; i < 4; i++) {
		cr_expect(has_ended(pidfds[i], SOON), "number %d", i);
		close(pidfds[i]);
	}
}

/* TO-08 */
Test(limits, pain_24_hard_limit_leaves_no_grandchildren, .timeout = 60)
{
	expect_no_family(MS(100), 1);
}

Test(limits, leaves_no_grandchildren_without_grace, .timeout = 60)
{
	expect_no_family(CAROM_NO_GRACE, 1);
}

Test(limits, leaves_no_grandchildren_of_a_worker_that_is_gone_at_once, .timeout = 60)
{
	expect_no_family(MS(300), 0);
}

Test(limits, leaves_no_grandchildren_where_the_kernel_does_not_list_them, .timeout = 60)
{
	setenv("CAROM_TREE", "scan", 1);
	expect_no_family(MS(100), 1);
}

/* ---- both, and in what order ---- */

static _Atomic int warned;

static void note_warning(const struct carom_log_record *record, void *userdata)
{
	atomic_fetch_add(&warned, record->event == CAROM_LOG_EVENT_SOFT_LIMIT_UNUSED &&
					  record->level == CAROM_LOG_WARNING);
}

/* TO-09 */
Test(limits, a_soft_limit_that_is_not_below_the_hard_one_is_warned_of, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_outcome outcome;

	carom_log_to(note_warning, NULL);
	pool = limited_pool(MS(100), MS(100), 0);
	cr_expect(eq(int, atomic_load(&warned), 1));
	outcome = outcome_of(pool, give_up, NULL);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_HARD_LIMIT));
	cr_expect(eq(int, atomic_load(&warned), 1));
	outcome = outcome_of(pool, give_up, &CAROM_TASK_OPTIONS(.soft_limit_ns = MS(150)));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_HARD_LIMIT));
	cr_expect(eq(int, atomic_load(&warned), 2));
	outcome = outcome_of(
		pool, give_up,
		&CAROM_TASK_OPTIONS(.soft_limit_ns = MS(20), .hard_limit_ns = MS(60000)));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_SOFT_LIMIT));
	cr_expect(eq(int, atomic_load(&warned), 2));
	carom_log_to(NULL, NULL);
}

static _Atomic uint64_t soft_at, hard_at;

static void note_times(const struct carom_log_record *record, void *userdata)
{
	if (record->event == CAROM_LOG_EVENT_SOFT_LIMIT)
		atomic_store(&soft_at, carom_now());
	if (record->event == CAROM_LOG_EVENT_TASK_TIMED_OUT)
		atomic_store(&hard_at, carom_now());
}

/* until it is let through; it has been told by then */
static int look_and_wait(struct carom_call *call)
{
	work_until_told(call);
	gate_pass(gate, 0);
	return 0;
}

/* when the supervisor looks at the tasks again */
static uint64_t next_look(struct carom_pool *pool)
{
	uint64_t next;

	pthread_mutex_lock(&pool->lock);
	next = pool->limit_next_ns;
	pthread_mutex_unlock(&pool->lock);
	return next;
}

/* TO-10 */
Test(limits, both_are_counted_from_when_the_task_began, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	struct carom_outcome outcome;
	uint64_t started;

	gate = gate_new();
	carom_log_to(note_times, NULL);
	carom_log_set_level(CAROM_LOG_INFO);
	pool = limited_pool(MS(100), MS(60000), 0);
	cr_assert(zero(int, carom_pool_apply_async(pool, look_and_wait, NULL, 0, NULL, &result)));
	gate_await(&gate->begun, 1);
	started = carom_lane_started_ns(pool->lane, atomic_load(&result->slot));
	while (next_look(pool) != started + MS(60000)) /* which nothing of the first has moved */
		sched_yield();
	cr_expect(ge(u64, soft_at, started + MS(100)));
	gate_open(gate, 1);

	outcome = outcome_of(pool, hang, &CAROM_TASK_OPTIONS(.hard_limit_ns = MS(150)));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_HARD_LIMIT));
	cr_expect(ge(u64, hard_at, outcome.started_ns + MS(150)));
	cr_expect(lt(u64, hard_at, outcome.started_ns + MS(150) + SOON));
	carom_log_to(NULL, NULL);
}

/* ---- which limits hold ---- */

Test(limits, pain_23_limits_of_a_task_hold_in_a_pool_without, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_outcome outcome;

	outcome = outcome_of(pool, give_up, &CAROM_TASK_OPTIONS(.soft_limit_ns = MS(20)));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_SOFT_LIMIT));
	outcome = outcome_of(pool, give_up, &CAROM_TASK_OPTIONS(.hard_limit_ns = MS(20)));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_HARD_LIMIT));
}

Test(limits, pain_23_limits_of_a_task_go_before_those_of_the_pool, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = limited_pool(MS(10), CAROM_SECONDS(60), 0);
	struct carom_outcome outcome;

	outcome = outcome_of(
		pool, give_up,
		&CAROM_TASK_OPTIONS(.soft_limit_ns = MS(200), .hard_limit_ns = CAROM_SECONDS(100)));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_SOFT_LIMIT));
	cr_expect(eq(u64, outcome.limit_ns, MS(200)));
	cr_expect(ge(u64, outcome.ended_ns - outcome.started_ns, MS(200)));
	outcome = outcome_of(
		pool, give_up,
		&CAROM_TASK_OPTIONS(.soft_limit_ns = CAROM_NO_LIMIT, .hard_limit_ns = MS(50)));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_HARD_LIMIT));
}

/* TO-14 */
Test(limits, can_be_changed_for_what_is_submitted_later, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = limited_pool(MS(300), CAROM_SECONDS(60), 0);
	CAROM_CLEANUP(carom_result_freep) struct carom_result *before = NULL;
	struct carom_outcome outcome;

	cr_assert(zero(int, carom_pool_apply_async(pool, give_up, NULL, 0, NULL, &before)));
	cr_expect(zero(int, carom_pool_set_limits(pool, MS(20), MS(40))));
	outcome = outcome_of(pool, hang, NULL);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_HARD_LIMIT));
	cr_expect(eq(u64, outcome.limit_ns, MS(40)));
	cr_expect(zero(int, carom_result_outcome(before, &outcome)));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_SOFT_LIMIT));
	cr_expect(eq(u64, outcome.limit_ns, MS(300)));
	cr_expect(zero(int, carom_pool_set_limits(pool, CAROM_NO_LIMIT, 0)));
	expect_kind(pool, limit_oneself, CAROM_OUTCOME_SOFT_LIMIT);
	outcome = outcome_of(pool, nothing, NULL);
	cr_expect(zero(u64, outcome.submitted_ns), "nobody asks for the time");
}

/* TO-17 */
Test(limits, cost_no_timer_before_the_first_task_that_has_one, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);

	expect_works(pool);
	cr_expect(zero(sz, pool->limit_timer.heap_index));
	cr_expect(eq(u64, pool->limit_next_ns, CAROM_NO_DEADLINE));
	cr_expect(
		eq(int,
		   outcome_of(pool, nothing, &CAROM_TASK_OPTIONS(.hard_limit_ns = MS(60000))).kind,
		   CAROM_OUTCOME_OK));
	cr_expect(ne(u64, pool->limit_next_ns, CAROM_NO_DEADLINE));
}

/* until it is told, and let through */
static int work_at_the_gate(struct carom_call *call)
{
	uint64_t took;

	while (!carom_call_soft_limit(call))
		;
	gate_pass(gate, 0);
	took = carom_now() - call->slot->started_ns;
	return carom_reply(call, &took, sizeof(took));
}

/* TO-12 */
Test(limits, a_wait_that_times_out_leaves_the_task_alone, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	uint64_t took = 0;

	gate = gate_new();
	pool = limited_pool(MS(200), 0, 0);
	cr_assert(
		zero(int, carom_pool_apply_async(pool, work_at_the_gate, NULL, 0, NULL, &result)));
	cr_expect(
		eq(int,
		   carom_result_get(result, carom_deadline_after(MS(5)), &took, sizeof(took), NULL),
		   -ETIMEDOUT));
	gate_open(gate, 1);
	cr_expect(
		zero(int, carom_result_get(result, CAROM_NO_DEADLINE, &took, sizeof(took), NULL)));
	cr_expect(ge(u64, took, MS(200)));
}

/* TO-13 */
Test(limits, hold_while_the_pool_is_closed, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = limited_pool(0, MS(200), 0);
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	struct carom_outcome outcome;

	cr_assert(zero(int,
		       carom_pool_apply_async(pool, ignore_term_and_hang, NULL, 0, NULL, &result)));
	carom_pool_close(pool);
	cr_expect(zero(int, carom_pool_join(pool, carom_deadline_after(CAROM_SECONDS(15)))));
	cr_expect(zero(int, carom_result_outcome(result, &outcome)));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_HARD_LIMIT));
}

/* ---- maps ---- */

/* item 3 of each ten gives up when it is told, 5 never ends, 7 hides and never ends */
static int behave_as_told(struct carom_call *call)
{
	int64_t x;

	carom_call_read(call, &x, sizeof(x));
	if (x % 10 == 3)
		return read_for_ever(call);
	if (x % 10 == 5)
		return hang(call);
	if (x % 10 == 7)
		return block_the_signal(call) == -ETIME ? ignore_term_and_hang(call) : 0;
	return square(call);
}

#define ITEM_LIMIT MS(600)

static int kind_for(int64_t x)
{
	return x % 10 == 3                  ? CAROM_OUTCOME_SOFT_LIMIT
	       : x % 10 == 5 || x % 10 == 7 ? CAROM_OUTCOME_HARD_LIMIT
					    : CAROM_OUTCOME_OK;
}

/* TO-11 */
Test(limits, hold_for_each_item_of_a_map, .timeout = 60)
{
	enum { COUNT = 10 };
	static const size_t sizes[] = { 1, 4, COUNT };
	struct carom_outcome outcomes[COUNT];
	int64_t in[COUNT], out[COUNT];

	for (int i = 0; i < COUNT; i++)
		in[i] = i;
	for (size_t k = 0; k < sizeof(sizes) / sizeof(*sizes); k++) {
		CAROM_CLEANUP(carom_pool_freep)
		struct carom_pool *pool = limited_pool(MS(20), ITEM_LIMIT, MS(30));

		cr_expect(eq(int,
			     carom_pool_map(pool, behave_as_told, in, COUNT, 8, out, 8,
					    &CAROM_MAP_OPTIONS(.chunk_size = sizes[k],
							       .outcomes = outcomes)),
			     -EREMOTEIO));
		for (int i = 0; i < COUNT; i++) {
			char text[160];

			cr_expect(ended_within(ITEM_LIMIT, &outcomes[i], kind_for(i)),
				  "item %d: %s", i,
				  carom_outcome_describe(&outcomes[i], text, sizeof(text)));
			cr_expect(
				eq(i64, out[i], outcomes[i].kind == CAROM_OUTCOME_OK ? i * i : 0));
		}
	}
}

Test(limits, a_map_is_answered_while_the_worker_of_its_last_item_will_not_die, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = limited_pool(0, ITEM_LIMIT, CAROM_SECONDS(600));
	int64_t in[4] = { 0, 1, 2, 17 }, out[4] = { 9, 9, 9, 9 };
	struct carom_outcome outcomes[4];

	cr_expect(eq(int,
		     carom_pool_map(pool, behave_as_told, in, 4, 8, out, 8,
				    &CAROM_MAP_OPTIONS(.chunk_size = 4, .soft_limit_ns = MS(10),
						       .outcomes = outcomes)),
		     -EREMOTEIO));
	cr_expect(ended_within(ITEM_LIMIT, &outcomes[2], CAROM_OUTCOME_OK));
	cr_expect(eq(i64, out[2], outcomes[2].kind == CAROM_OUTCOME_OK ? 4 : 0));
	cr_expect(zero(i64, out[3]));
	cr_expect(zero(int, carom_pool_kill(pool)));
}

/* ---- killing a task for another reason ---- */

struct errand {
	struct carom_pool *pool;
	struct carom_result *result;
	int r;
};

static void terminate_errand(void *userdata)
{
	struct errand *errand = userdata;
	uint32_t slot = atomic_load(&errand->result->slot);

	pthread_mutex_lock(&errand->pool->lock);
	errand->r = carom_limits_terminate(errand->pool, slot, errand->result->generation,
					   CAROM_OUTCOME_TERMINATED, SIGTERM);
	pthread_mutex_unlock(&errand->pool->lock);
	carom_limits_kill(errand->pool);
}

static int terminate(struct carom_pool *pool, struct carom_result *result)
{
	struct errand errand = { .pool = pool, .result = result };

	carom_service_run(pool->service, terminate_errand, &errand);
	return errand.r;
}

static _Atomic int *begun;

static int say_so_and_hang(struct carom_call *call)
{
	atomic_store(begun, 1);
	return hang(call);
}

Test(limits, a_task_can_be_ended_with_its_worker_and_no_other_is, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *done = NULL;
	CAROM_CLEANUP(carom_result_freep) struct carom_result *runs = NULL;
	struct carom_outcome outcome;

	begun = share(sizeof(*begun));
	pool = new_pool(1);
	cr_assert(zero(int, carom_pool_apply_async(pool, nothing, NULL, 0, NULL, &done)));
	cr_assert(zero(int, carom_pool_apply_async(pool, say_so_and_hang, NULL, 0, NULL, &runs)));
	while (!atomic_load(begun))
		poll(NULL, 0, 1);
	cr_expect(eq(int, terminate(pool, done), -ESRCH));
	cr_expect(eq(int, carom_result_wait(runs, carom_deadline_after(MS(20))), -ETIMEDOUT));
	cr_expect(zero(int, terminate(pool, runs)));
	cr_expect(zero(int, carom_result_outcome(runs, &outcome)));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_TERMINATED));
	cr_expect(eq(int, outcome.signal, SIGTERM));
	expect_works(pool);
}
