/* The life of a worker: recycling, signals, hooks, what it leaves and how it ends. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "shm/mutex.h"
#include "tests/needs.h"
#include "tests/pool/isolated.h"
#include "tests/pool/ends.h"
#include "tests/storm.h"

/**
 * struct shared - what the test sees of its workers
 * @exit_codes: what on_process_exit was called with, in that order
 */
static struct shared {
	_Atomic int call_count;
	_Atomic int told_count;
	_Atomic int exit_count;
	_Atomic int handler_count;
	_Atomic int gate;
	int exit_codes[64];
	int64_t loop_start_pid;
	struct carom_mutex lock;
} * shared;

static void set_up(void)
{
	struct rlimit none = { 0 };

	setrlimit(RLIMIT_CORE, &none);
	shared = share(sizeof(*shared));
}

TestSuite(worker, .init = set_up);

static int64_t ask(struct carom_pool *pool, carom_task_fn *function)
{
	int64_t out = -1;

	cr_assert(zero(int,
		       carom_pool_apply(pool, function, NULL, 0, &out, sizeof(out), NULL, NULL)));
	return out;
}

/* ---- what it has open ---- */

/* The descriptors that a program started by a worker has, in text; one more is its list's own. */
static int list_fds_of_a_program(struct carom_call *call)
{
	FILE *list = popen("exec ls /proc/self/fd", "r");
	char text[1000];
	size_t size;

	if (!list)
		return -errno;
	size = fread(text, 1, sizeof(text) - 1, list);
	text[size] = '\0';
	pclose(list);
	return carom_reply(call, text, size + 1);
}

/* SN-09 */
Test(worker, starts_programs_that_have_the_standard_descriptors_alone, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	char text[1000] = "";

	for (int i = 0; i < 20; i++)
		cr_assert(le(int, 3, dup(STDERR_FILENO))); /* not even CLOEXEC */
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1), &pool)));
	cr_assert(zero(int, carom_pool_apply(pool, list_fds_of_a_program, NULL, 0, text,
					     sizeof(text), NULL, NULL)));
	cr_expect(eq(str, text, (char *)"0\n1\n2\n3\n"));
}

/* ---- tasks enough ---- */

/* PC-04 */
Test(worker, is_replaced_after_so_many_tasks, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t in[4] = { 0 }, pids[4];

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							       .max_tasks_per_child = 1),
					   &pool)));
	cr_assert(zero(int, carom_pool_map(pool, own_pid, in, 4, 8, pids, 8,
					   &CAROM_MAP_OPTIONS(.chunk_size = 2))));
	cr_expect(eq(i64, pids[0], pids[1]));
	cr_expect(eq(i64, pids[2], pids[3]));
	cr_expect(ne(i64, pids[0], pids[2]));
}

Test(worker, is_replaced_after_so_many_items_if_asked_for, .timeout = 20)
{
	int64_t in[8] = { 0 }, pids[8];

	for (uint64_t counts_items = 0; counts_items < 2; counts_items++) {
		CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

		cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
								       .max_tasks_per_child = 2,
								       .max_tasks_counts_items =
									       counts_items),
						   &pool)));
		cr_assert(zero(int, carom_pool_map(pool, own_pid, in, 8, 8, pids, 8,
						   &CAROM_MAP_OPTIONS(.chunk_size = 2))));
		cr_expect(eq(int, pids[0] == pids[2], !counts_items));
		cr_expect(ne(i64, pids[0], pids[4]));
	}
}

static void count_loss(const struct carom_log_record *record, void *userdata)
{
	if (record->event == CAROM_LOG_EVENT_WORKER_ENDED && record->level > CAROM_LOG_DEBUG)
		atomic_fetch_add(&shared->call_count, 1);
	note_end(record, userdata);
}

/* WK-03 */
/* WK-18 */
Test(worker, that_is_replaced_has_status_155_and_is_no_loss, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	watch_ends();
	carom_log_to(count_loss, NULL);
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .max_restarts = 1,
							       .max_tasks_per_child = 2),
					   &pool)));
	for (int i = 0; i < 10; i++)
		ask(pool, own_pid);
	for (int i = 0; i < 5; i++)
		cr_expect(ended_by(await_end(i), "exitcode 155"));
	cr_expect(zero(int, atomic_load(&shared->call_count)));
	cr_expect(eq(int, carom_pool_state(pool), CAROM_POOL_RUNNING));
}

static void do_squares(uint64_t workers, uint64_t max_tasks, int64_t count)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_result **results = calloc((size_t)count, sizeof(struct carom_result *));

	cr_assert(zero(
		int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = workers, .max_restarts = 1,
							.max_tasks_per_child = max_tasks),
				    &pool)));
	for (int64_t i = 0; i < count; i++)
		cr_assert(zero(int, carom_pool_apply_async(pool, square, &i, sizeof(i), NULL,
							   &results[i])));
	for (int64_t i = 0; i < count; i++) {
		int64_t out = -1;

		cr_assert(zero(int, carom_result_get(results[i], CAROM_NO_DEADLINE, &out, 8, NULL)),
			  "task %d", (int)i);
		cr_assert(eq(i64, out, i * i));
		carom_result_free(results[i]);
	}
	free(results);
}

/* WK-06 */
Test(worker, pain_5_being_replaced_never_loses_a_task, .timeout = 120)
{
	do_squares(2, 1, storm_count(2000));
}

/* PX-10 */
Test(worker, pain_12_being_replaced_never_hangs_the_pool, .timeout = 120)
{
	do_squares(4, 2, storm_count(1000));
}

static int long_square(struct carom_call *call)
{
	int64_t values[20] = { 0 };

	carom_call_read(call, values, sizeof(values[0]));
	values[19] = values[0] * values[0];
	return carom_reply(call, values, sizeof(values));
}

/* WK-20 */
Test(worker, leaves_values_that_outlive_it, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_result *results[200];
	int64_t values[20];

	watch_ends();
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2,
							       .max_tasks_per_child = 10),
					   &pool)));
	for (int64_t i = 0; i < 200; i++)
		cr_assert(zero(int, carom_pool_apply_async(pool, long_square, &i, sizeof(i), NULL,
							   &results[i])));
	await_end(18); /* at most one worker is alive that has done any of them */
	for (int64_t i = 0; i < 200; i++) {
		cr_assert(zero(int, carom_result_get(results[i], CAROM_NO_DEADLINE, values,
						     sizeof(values), NULL)));
		cr_expect(eq(i64, values[19], i * i));
		carom_result_free(results[i]);
	}
}

/* ---- memory enough ---- */

static char *kept;

static int keep_64_mib(struct carom_call *call)
{
	if (!kept)
		kept = malloc(CAROM_MIB(64));
	memset(kept, 1, CAROM_MIB(64));
	return own_pid(call);
}

static int use_64_mib(struct carom_call *call)
{
	char *memory = mmap(NULL, CAROM_MIB(64), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	memset(memory, 1, CAROM_MIB(64));
	munmap(memory, CAROM_MIB(64));
	return own_pid(call);
}

static struct carom_pool *pool_with_memory(uint64_t limit, enum carom_memory_measure measure)
{
	struct carom_pool *pool = NULL;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							       .max_memory_per_child_bytes = limit,
							       .memory_rungs = CAROM_RUNG_RECYCLE,
							       .memory_measure = measure),
					   &pool)));
	return pool;
}

static size_t read_back(FILE *file, char *text, size_t size)
{
	size_t n;

	rewind(file);
	n = fread(text, 1, size - 1, file);
	text[n] = '\0';
	return n;
}

/* PC-21 */
/* WK-19 */
Test(worker, is_replaced_after_a_task_that_left_it_too_much_memory, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	FILE *errors = tmpfile();
	unsigned long long used, limit;
	char text[4096], *line;
	int64_t pid;

	dup2(fileno(errors), STDERR_FILENO);
	carom_log_to_stderr(CAROM_LOG_WARNING);
	watch_ends();
	pool = pool_with_memory(CAROM_MIB(48), CAROM_MEMORY_PRIVATE);
	pid = ask(pool, own_pid);
	cr_expect(eq(i64, ask(pool, own_pid), pid));
	cr_expect(eq(i64, ask(pool, keep_64_mib), pid));
	cr_expect(ended_by(await_end(0), "exitcode 155"));
	cr_expect(ne(i64, ask(pool, own_pid), pid));
	read_back(errors, text, sizeof(text));
	line = strstr(text, "child process exiting after exceeding memory limit (");
	cr_assert(ne(ptr, line, NULL), "%s", text);
	cr_expect(eq(int, sscanf(strchr(line, '('), "(%lluKiB / %lluKiB)", &used, &limit), 2));
	cr_expect(eq(ullong, limit, 48 * 1024));
	cr_expect(lt(ullong, 64 * 1024, used));
}

Test(worker, may_have_had_more_memory_than_it_may_have_unless_the_peak_counts, .timeout = 30)
{
	static const enum carom_memory_measure measures[] = { CAROM_MEMORY_PRIVATE,
							      CAROM_MEMORY_RESIDENT,
							      CAROM_MEMORY_PEAK };

	for (int i = 0; i < 3; i++) {
		CAROM_CLEANUP(carom_pool_freep)
		struct carom_pool *pool = pool_with_memory(CAROM_MIB(48), measures[i]);
		int64_t pid = ask(pool, use_64_mib);

		cr_expect(eq(int, ask(pool, use_64_mib) == pid, i < 2), "measure %d", i);
	}
}

Test(worker, pain_14_is_not_replaced_for_memory_that_it_shares_with_the_program, .timeout = 30)
{
	static const enum carom_memory_measure measures[] = { CAROM_MEMORY_PRIVATE,
							      CAROM_MEMORY_RESIDENT };
	char *memory = malloc(CAROM_MIB(96));

	memset(memory, 1, CAROM_MIB(96)); /* before the fork server is made */
	for (int i = 0; i < 2; i++) {
		CAROM_CLEANUP(carom_pool_freep)
		struct carom_pool *pool = pool_with_memory(CAROM_MIB(48), measures[i]);
		int64_t pid = ask(pool, own_pid);

		for (int n = 0; n < 5; n++)
			cr_expect(eq(int, ask(pool, own_pid) == pid, i == 0));
	}
	free(memory);
}

/* ---- hooks ---- */

static void note_loop_start(int64_t pid, void *userdata)
{
	shared->loop_start_pid = pid;
	atomic_fetch_add(&shared->call_count, userdata == &shared);
}

static void note_exit(int64_t pid, int code, void *userdata)
{
	int count = atomic_load(&shared->exit_count);

	if (pid != getpid() || count >= 64)
		abort();
	shared->exit_codes[count] = code;
	atomic_store(&shared->exit_count, count + 1);
}

static struct carom_pool *pool_with_hooks(uint64_t max_tasks, enum carom_worker_signals signals)
{
	struct carom_pool *pool = NULL;

	watch_ends();
	cr_assert(zero(
		int,
		carom_pool_new(
			&CAROM_POOL_OPTIONS(
					.worker_count = 1, .max_tasks_per_child = max_tasks,
					.worker_signals = signals,
					.hooks = &CAROM_POOL_HOOKS(.userdata = &shared,
								   .on_loop_start = note_loop_start,
								   .on_process_exit = note_exit)),
			&pool)));
	return pool;
}

static int reply_loop_start(struct carom_call *call)
{
	return carom_reply(call, &shared->loop_start_pid, sizeof(shared->loop_start_pid));
}

/* WK-09 */
Test(worker, calls_a_hook_before_its_first_task, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = pool_with_hooks(0, CAROM_WORKER_SIGNALS_FULL);

	cr_expect(eq(i64, ask(pool, reply_loop_start), (int64_t)pid_of_worker(pool, 0)));
	cr_expect(eq(i64, ask(pool, reply_loop_start), (int64_t)pid_of_worker(pool, 0)));
	cr_expect(eq(int, atomic_load(&shared->call_count), 1));
}

/* PC-12 */
/* WK-21 */
Test(worker, calls_a_hook_last_thing_with_its_status, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = pool_with_hooks(2, CAROM_WORKER_SIGNALS_FULL);

	ask(pool, own_pid);
	ask(pool, own_pid);
	await_end(0);
	cr_expect(eq(int, atomic_load(&shared->exit_count), 1));
	cr_expect(eq(int, shared->exit_codes[0], CAROM_WORKER_EXIT_RECYCLE));
	ask(pool, own_pid);
	carom_pool_close(pool);
	cr_assert(zero(int, carom_pool_join(pool, CAROM_NO_DEADLINE)));
	cr_expect(eq(int, atomic_load(&shared->exit_count), 2));
	cr_expect(eq(int, shared->exit_codes[1], CAROM_WORKER_EXIT_OK));
}

static int negate_value(struct carom_call *call, void *userdata)
{
	size_t size;
	int64_t *value = carom_call_value(call, &size);

	if (!value)
		return 0;
	if (size % sizeof(*value))
		return carom_call_fail(call, -EBADMSG, "an odd value");
	for (size_t i = 0; i < size / sizeof(*value); i++)
		value[i] = -value[i];
	return 0;
}

static int lengthen_value(struct carom_call *call, void *userdata)
{
	int64_t longer[30] = { 0 };

	memcpy(longer, carom_call_value(call, NULL), sizeof(longer[0]));
	longer[29] = longer[0];
	return carom_reply(call, longer, sizeof(longer));
}

static struct carom_pool *pool_that_prepares(int (*prepare_result)(struct carom_call *, void *))
{
	struct carom_pool *pool = NULL;

	cr_assert(zero(
		int,
		carom_pool_new(
			&CAROM_POOL_OPTIONS(.worker_count = 2,
					    .hooks = &CAROM_POOL_HOOKS(.prepare_result =
									       prepare_result)),
			&pool)));
	return pool;
}

/* WK-10 */
/* PC-27 */
Test(worker, lets_a_hook_change_values_before_they_are_left, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = pool_that_prepares(negate_value);
	int64_t in[6] = { 1, 2, 3, 4, 5, 6 }, out[6], values[20];
	struct carom_outcome outcome;

	cr_assert(zero(int, carom_pool_map(pool, square, in, 6, 8, out, 8,
					   &CAROM_MAP_OPTIONS(.chunk_size = 4))));
	for (int i = 0; i < 6; i++)
		cr_expect(eq(i64, out[i], -in[i] * in[i]));
	cr_assert(zero(int, carom_pool_apply(pool, long_square, &in[2], 8, values, sizeof(values),
					     NULL, NULL)));
	cr_expect(eq(i64, values[19], -9));
	cr_expect(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)));
	cr_expect(eq(int, carom_pool_apply(pool, echo, "odd", 3, out, 8, NULL, &outcome),
		     -EREMOTEIO));
	cr_expect(eq(int, outcome.code, -EBADMSG));
	cr_expect(zero(int, strcmp(outcome.message, "an odd value")));
}

Test(worker, lets_a_hook_leave_another_value, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = pool_that_prepares(lengthen_value);
	int64_t in = 7, values[30];

	for (int i = 0; i < 100; i++) {
		cr_assert(zero(int, carom_pool_apply(pool, square, &in, 8, values, sizeof(values),
						     NULL, NULL)));
		cr_expect(eq(i64, values[29], 49));
	}
}

/* ---- signals ---- */

/* sends @number to a worker that waits for work; how it ended, and what its hook was told (0: nothing) */
static struct end *send_to_idle(enum carom_worker_signals signals, int number, int *ret_code)
{
	struct carom_pool *pool = pool_with_hooks(0, signals);
	int count = atomic_load(&end_count);
	int told = atomic_load(&shared->exit_count);
	struct end *end;

	ask(pool, own_pid);
	kill(pid_of_worker(pool, 0), number);
	end = await_end(count);
	*ret_code = atomic_load(&shared->exit_count) > told ? shared->exit_codes[told] : 0;
	atomic_store(&shared->exit_count, 0);
	carom_pool_free(pool);
	return end;
}

static void expect_signalled(enum carom_worker_signals signals, int number, bool in_good_order)
{
	char how[40];
	int code;
	struct end *end = send_to_idle(signals, number, &code);

	snprintf(how, sizeof(how), "signal %d (%s)", number, carom_signal_name(number));
	cr_expect(ended_by(end, how));
	cr_expect(eq(int, code, in_good_order ? -number : 0), "%s", how);
}

/* WK-12 */
Test(worker, ends_in_good_order_by_these_signals_and_by_no_others, .timeout = 60)
{
	static const int few[] = { SIGHUP, SIGQUIT, SIGTERM };
	static const int more[] = { SIGTRAP, SIGABRT, SIGSYS,  SIGPIPE,   SIGALRM,
				    SIGXCPU, SIGXFSZ, SIGPROF, SIGVTALRM, SIGUSR2 };
#if defined(__SANITIZE_ADDRESS__) /* which has handlers of its own for the others */
	static const int never[] = { SIGKILL };
#else
	static const int never[] = { SIGILL, SIGSEGV, SIGFPE, SIGBUS, SIGKILL };
#endif

	for (size_t i = 0; i < sizeof(few) / sizeof(*few); i++) {
		expect_signalled(CAROM_WORKER_SIGNALS_FULL, few[i], true);
		expect_signalled(CAROM_WORKER_SIGNALS_FEW, few[i], true);
	}
	for (size_t i = 0; i < sizeof(more) / sizeof(*more); i++) {
		expect_signalled(CAROM_WORKER_SIGNALS_FULL, more[i], true);
		expect_signalled(CAROM_WORKER_SIGNALS_FEW, more[i], false);
	}
	for (size_t i = 0; i < sizeof(never) / sizeof(*never); i++)
		expect_signalled(CAROM_WORKER_SIGNALS_FULL, never[i], false);
}

static int wait_for_the_end(struct carom_call *call)
{
	atomic_fetch_add(&shared->call_count, 1);
	for (;;)
		pause();
	return 0;
}

/* WK-05 */
Test(worker, that_is_terminated_ends_by_the_signal_itself, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = pool_with_hooks(0, CAROM_WORKER_SIGNALS_FULL);
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	struct carom_outcome outcome;
	int calls;

	ask(pool, own_pid);
	kill(pid_of_worker(pool, 0), SIGTERM);
	cr_expect(ended_by(await_end(0), "signal 15 (SIGTERM)"));
	calls = atomic_load(&shared->call_count); /* on_loop_start counts too */
	cr_assert(
		zero(int, carom_pool_apply_async(pool, wait_for_the_end, NULL, 0, NULL, &result)));
	await_count(&shared->call_count, calls + 1);
	while (!carom_result_ready(result)) { /* on_loop_start or the task; at last the task */
		kill(pid_of_worker(pool, 0), SIGTERM);
		carom_result_wait(result, carom_deadline_after(CAROM_MILLISECONDS(20)));
	}
	carom_result_outcome(result, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
	cr_expect(eq(int, outcome.signal, SIGTERM));
}

static void note_told(int number, void *userdata)
{
	if (number == SIGTERM && userdata == &shared)
		atomic_fetch_add(&shared->told_count, 1);
}

/* 1: it was interrupted, and told which signal it was */
static int end_when_told(struct carom_call *call)
{
	int64_t was_told = 0;

	carom_call_on_shutdown(call, note_told, &shared);
	atomic_fetch_add(&shared->call_count, 1);
	while (!carom_call_shutdown(call))
		usleep(1000);
	was_told = carom_call_shutdown(call) == SIGTERM && atomic_load(&shared->told_count) == 1;
	return carom_reply(call, &was_told, sizeof(was_told));
}

static int stay_when_told(struct carom_call *call)
{
	carom_call_on_shutdown(call, note_told, &shared);
	atomic_fetch_add(&shared->call_count, 1);
	for (;;)
		pause();
	return 0;
}

Test(worker, lets_a_task_that_asked_for_it_come_to_its_end, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = pool_with_hooks(0, CAROM_WORKER_SIGNALS_FULL);
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	int64_t was_told = 0;

	cr_assert(zero(int, carom_pool_apply_async(pool, end_when_told, NULL, 0, NULL, &result)));
	await_count(&shared->call_count, 2);
	kill(pid_of_worker(pool, 0), SIGTERM);
	cr_assert(zero(int, carom_result_get(result, CAROM_NO_DEADLINE, &was_told, 8, NULL)));
	cr_expect(eq(i64, was_told, 1));
	cr_expect(ended_by(await_end(0), "signal 15 (SIGTERM)"));
	cr_expect(eq(int, shared->exit_codes[0], -SIGTERM));
}

static void expect_second_signal(int second, int signal_number, int exit_status)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	CAROM_CLEANUP(carom_result_freep) struct carom_result *result = NULL;
	int calls = atomic_load(&shared->call_count);
	int told = atomic_load(&shared->told_count);
	struct carom_outcome outcome;

	cr_assert(zero(int, carom_pool_apply_async(pool, stay_when_told, NULL, 0, NULL, &result)));
	await_count(&shared->call_count, calls + 1);
	kill(pid_of_worker(pool, 0), SIGTERM);
	await_count(&shared->told_count, told + 1);
	kill(pid_of_worker(pool, 0), second);
	carom_result_wait(result, CAROM_NO_DEADLINE);
	carom_result_outcome(result, &outcome);
	cr_expect(eq(int, outcome.signal, signal_number));
	cr_expect(eq(int, outcome.exit_status, exit_status));
}

/* WK-04 */
Test(worker, that_is_told_twice_ends_at_once, .timeout = 20)
{
	expect_second_signal(SIGTERM, SIGTERM, -1);
	expect_second_signal(SIGHUP, 0, CAROM_WORKER_EXIT_SOFTWARE);
}

static int end_at_item_10(struct carom_call *call)
{
	if (carom_call_index(call) == 10 && !atomic_exchange(&shared->gate, 1)) {
		carom_call_on_shutdown(call, NULL, NULL);
		raise(SIGTERM);
	}
	return square(call);
}

Test(worker, that_is_told_between_items_leaves_the_rest_to_others, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	int64_t in[60], out[60];

	for (int i = 0; i < 60; i++)
		in[i] = i;
	watch_ends();
	cr_assert(zero(int, carom_pool_map(pool, end_at_item_10, in, 60, 8, out, 8,
					   &CAROM_MAP_OPTIONS(.chunk_size = 30))));
	for (int i = 0; i < 60; i++)
		cr_expect(eq(i64, out[i], (int64_t)i * i));
	cr_expect(ended_by(await_end(0), "signal 15 (SIGTERM)"));
}

static int hold_lock(struct carom_call *call)
{
	carom_mutex_acquire(&shared->lock, CAROM_NO_DEADLINE);
	return wait_for_the_end(call);
}

static int take_lock(struct carom_call *call)
{
	int64_t r = carom_mutex_acquire(&shared->lock, CAROM_NO_DEADLINE);

	if (r == -EOWNERDEAD)
		carom_mutex_consistent(&shared->lock);
	carom_mutex_release(&shared->lock);
	return carom_reply(call, &r, sizeof(r));
}

/* WK-13 */
Test(worker, that_is_terminated_with_a_lock_gives_it_back, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	cr_assert(zero(int, carom_mutex_init(&shared->lock)));
	pool = new_pool(1);
	cr_assert(zero(int, carom_pool_apply_async(pool, hold_lock, NULL, 0, NULL, NULL)));
	await_count(&shared->call_count, 1);
	kill(pid_of_worker(pool, 0), SIGTERM);
	cr_expect(eq(i64, ask(pool, take_lock), -EOWNERDEAD));
	cr_expect(eq(i64, ask(pool, take_lock), 0));
}

static void note_signal(int number)
{
	atomic_fetch_add(&shared->handler_count, 1);
}

static int install_handlers(const void *data, size_t size)
{
	signal(SIGTERM, note_signal);
	signal(SIGINT, note_signal);
	signal(SIGHUP, SIG_IGN);
	signal(SIGUSR2, note_signal);
	return 0;
}

static int raise_what_was_handled(struct carom_call *call)
{
	int64_t handled;

	raise(SIGINT);  /* ignored, whatever the initializer has said */
	raise(SIGHUP);  /* ignored, because it has said so */
	raise(SIGUSR2); /* not among the few: it is the initializer's */
	handled = atomic_load(&shared->handler_count);
	return carom_reply(call, &handled, sizeof(handled));
}

/* WK-11 */
Test(worker, has_its_signals_after_its_initializer, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	watch_ends();
	cr_assert(zero(
		int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							.initializer = install_handlers,
							.worker_signals = CAROM_WORKER_SIGNALS_FEW),
				    &pool)));
	cr_expect(eq(i64, ask(pool, raise_what_was_handled), 1));
	kill(pid_of_worker(pool, 0), SIGTERM);
	cr_expect(ended_by(await_end(0), "signal 15 (SIGTERM)"));
	cr_expect(eq(int, atomic_load(&shared->handler_count), 1));
}

/* WK-15 */
Test(worker, takes_another_signal_for_sigterm_if_the_environment_says_so, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t pid;

	setenv("REMAP_SIGTERM", "SIGUSR2", 1);
	pool = pool_with_hooks(0, CAROM_WORKER_SIGNALS_FEW);
	pid = ask(pool, own_pid);
	kill((pid_t)pid, SIGTERM);
	cr_expect(eq(i64, ask(pool, own_pid), pid));
	kill((pid_t)pid, SIGUSR2);
	cr_expect(ended_by(await_end(0), "signal 12 (SIGUSR2)"));
	cr_expect(eq(int, shared->exit_codes[0], -SIGUSR2));
}

/* in a process group of its own, as a foreground job has it */
static _Noreturn void be_interrupted(void)
{
	struct carom_pool *pool;
	int64_t pids[2];
	int ok;

	setpgid(0, 0);
	signal(SIGINT, note_signal);
	pool = new_pool(1);
	pids[0] = ask(pool, own_pid);
	kill(0, SIGINT);
	pids[1] = ask(pool, own_pid);
	ok = pids[0] == pids[1] && atomic_load(&shared->handler_count) == 1;
	carom_pool_free(pool);
	_exit(ok ? 0 : 1);
}

/* WK-14 */
Test(worker, pain_26_ignores_what_the_keyboard_sends_to_the_whole_group, .timeout = 20)
{
	int status = -1;
	pid_t pid = fork();

	if (pid == 0)
		be_interrupted();
	waitpid(pid, &status, 0);
	cr_expect(zero(int, status));
}

/* ---- its end by a task ---- */

static void note_atexit(void)
{
	atomic_fetch_add(&shared->told_count, 1);
}

static int really_exit(struct carom_call *call)
{
	int64_t status = 0;

	carom_call_read(call, &status, sizeof(status));
	exit((int)status);
}

static int end_main_thread(struct carom_call *call)
{
	pthread_exit(NULL);
}

static int be_another_program(struct carom_call *call)
{
	char *arguments[] = { (char *)(uintptr_t) "sleep", (char *)(uintptr_t) "100", NULL };

	execvp("sleep", arguments);
	return -1;
}

static void expect_lost(struct carom_pool *pool, carom_task_fn *function, int64_t argument,
			int signal_number, int exit_status)
{
	struct carom_outcome outcome;

	cr_expect(eq(int,
		     carom_pool_apply(pool, function, &argument, sizeof(argument), NULL, 0, NULL,
				      &outcome),
		     -EREMOTEIO));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
	cr_expect(eq(int, outcome.signal, signal_number));
	cr_expect(eq(int, outcome.exit_status, exit_status));
}

Test(worker, pain_8_that_is_ended_by_its_task_loses_it_at_once, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	atexit(note_atexit); /* the program's, and not its workers' */
	pool = new_pool(1);
	expect_lost(pool, really_exit, 7, 0, 7);
	expect_lost(pool, really_exit, 0, 0, 0);
	expect_lost(pool, really_exit, CAROM_WORKER_EXIT_RECYCLE, 0, CAROM_WORKER_EXIT_RECYCLE);
	expect_lost(pool, exit_7, 0, 0, 7);
	expect_lost(pool, kill_self, 0, SIGKILL, -1);
	expect_lost(pool, end_main_thread, 0, 0, 0);
	/* the one end that no pidfd tells */
	if (!is_denied("get_robust_list", "another program"))
		expect_lost(pool, be_another_program, 0, SIGKILL, -1);
	cr_expect(eq(i64, ask(pool, own_index), 0));
	cr_expect(zero(int, atomic_load(&shared->told_count)));
}

static int sleep_for_ever(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	for (;;)
		pause();
	return 0;
}

static int start_a_process(struct carom_call *call)
{
	struct carom_process *process = NULL;
	int64_t pid;
	int r = carom_process_new(
		&CAROM_PROCESS_OPTIONS(.function = sleep_for_ever, .daemon = CAROM_NO), &process);

	if (r == 0)
		r = carom_process_start(process);
	pid = r == 0 ? carom_process_pid(process) : 0;
	return r < 0 ? r : carom_reply(call, &pid, sizeof(pid));
}

/* one that nobody reaps is dead too */
static bool is_alive(int64_t pid)
{
	char path[64], state = 'Z';
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
		state = 'Z';
	fclose(file);
	return state != 'Z' && state != 'X';
}

Test(worker, pain_27_may_start_processes_which_end_with_it, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t pids[2];

	watch_ends();
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							       .max_tasks_per_child = 2),
					   &pool)));
	pids[0] = ask(pool, start_a_process);
	cr_expect(is_alive(pids[0]));
	ask(pool, own_pid); /* the last one of this worker */
	await_end(0);
	pids[1] = ask(pool, start_a_process);
	kill(pid_of_worker(pool, 0), SIGKILL);
	while (is_alive(pids[0]) || is_alive(pids[1]))
		sched_yield();
}

static int add_atexit(const void *data, size_t size)
{
	return atexit(note_atexit);
}

Test(worker, runs_the_exit_handlers_that_are_its_own, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	watch_ends();
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							       .initializer = add_atexit,
							       .max_tasks_per_child = 1),
					   &pool)));
	ask(pool, own_pid);
	await_end(0);
	cr_expect(eq(int, atomic_load(&shared->told_count), 1));
}

/* ---- what it cannot leave ---- */

static int reply_2_mib(struct carom_call *call)
{
	static char bytes[CAROM_MIB(2)];

	carom_reply(call, bytes, sizeof(bytes)); /* and what of it, thinks this one */
	return 0;
}

static int reply_less_then(struct carom_call *call)
{
	int64_t pid = getpid();
	void *room;

	if (carom_reply_reserve(call, CAROM_MIB(2), &room) != -ENOMEM)
		return -EPROTO;
	return carom_reply(call, &pid, sizeof(pid));
}

/* PM-15 */
/* WK-22 */
/* ER-11 */
Test(worker, says_so_when_a_value_finds_no_room, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_outcome outcome;
	char text[160];
	int64_t pid;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							       .payload_size = CAROM_MIB(1)),
					   &pool)));
	pid = ask(pool, own_pid);
	cr_expect(eq(int, carom_pool_apply(pool, reply_2_mib, NULL, 0, NULL, 0, NULL, &outcome),
		     -EREMOTEIO));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_FAILED));
	cr_expect(eq(int, outcome.code, -ENOMEM));
	carom_outcome_describe(&outcome, text, sizeof(text));
	cr_expect(zero(int, strcmp(text, "failed: no room for 2097152 bytes (code -12)")), "%s",
		  text);
	cr_expect(eq(i64, ask(pool, reply_less_then), pid));
}

static int fill_up(struct carom_call *call)
{
	static char bytes[40];

	return carom_reply(call, bytes, sizeof(bytes));
}

static int fail_at_length(struct carom_call *call)
{
	return carom_call_fail(call, -EDOM, "a text that is longer than what a slot can hold");
}

Test(worker, says_at_least_the_beginning_when_even_words_find_no_room, .timeout = 60)
{
	enum { RESULTS_MAX = 16384 };
	static struct carom_result *results[RESULTS_MAX];
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_outcome outcome;
	int count = 0;

	SKIP_IF_ISOLATED("what is held by results is not in a worker's arena");
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
							       .slot_count = RESULTS_MAX,
							       .payload_size = CAROM_MIB(1)),
					   &pool)));
	do {
		cr_assert(lt(int, count, RESULTS_MAX));
		carom_pool_apply_async(pool, fill_up, NULL, 0, NULL, &results[count]);
		carom_result_wait(results[count], CAROM_NO_DEADLINE);
	} while (carom_result_successful(results[count++]));
	cr_expect(eq(int, carom_pool_apply(pool, fail_at_length, NULL, 0, NULL, 0, NULL, &outcome),
		     -EREMOTEIO));
	cr_expect(eq(int, outcome.code, -EDOM));
	cr_expect(zero(int, strcmp(outcome.message, "a text that is longer than what")));
	while (count > 0)
		carom_result_free(results[--count]);
}

/* ---- where it runs ---- */

static int own_cpus(struct carom_call *call)
{
	cpu_set_t set;

	sched_getaffinity(0, sizeof(set), &set);
	atomic_fetch_add(&shared->call_count, 1);
	while (atomic_load(&shared->call_count) < 3) /* so that each worker has one */
		sched_yield();
	return carom_reply(call, &set, sizeof(set));
}

static int nth_of(const cpu_set_t *set, int n)
{
	int left = n % CPU_COUNT(set);

	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET((size_t)cpu, set) && left-- == 0)
			return cpu;
	return -1;
}

static int first_of(const cpu_set_t *set)
{
	return nth_of(set, 0);
}

/* WK-26 */
Test(worker, runs_where_it_is_pinned, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_result *results[3];
	struct carom_outcome outcome;
	cpu_set_t all, one;

	sched_getaffinity(0, sizeof(all), &all);
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 3, .pin_workers = 1),
					   &pool)));
	for (int i = 0; i < 3; i++)
		carom_pool_apply_async(pool, own_cpus, NULL, 0, NULL, &results[i]);
	for (int i = 0; i < 3; i++) {
		cr_assert(zero(int, carom_result_get(results[i], CAROM_NO_DEADLINE, &one,
						     sizeof(one), NULL)));
		carom_result_outcome(results[i], &outcome);
		cr_expect(eq(int, CPU_COUNT(&one), 1));
		cr_expect(eq(int, first_of(&one), nth_of(&all, outcome.worker_index)));
		carom_result_free(results[i]);
	}
}
