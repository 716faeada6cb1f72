/* What pools count, and who can read it. */
#include "tests/shm/help.h"

#include <fcntl.h>
#include <pthread.h>

#include "core/points.h"
#include "pool/pool_private.h"
#include "shm/memfd.h"
#include "tests/pool/gate.h"
#include "tests/pool/work.h"

static struct carom_pool *counting_pool(uint64_t workers)
{
	struct carom_pool *pool = NULL;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = workers,
							       .statistics = 1, .name = "counted"),
					   &pool)));
	return pool;
}

static struct carom_pool_statistics statistics_of(struct carom_pool *pool)
{
	struct carom_pool_statistics now;

	cr_assert(zero(int, carom_pool_statistics(pool, &now)));
	return now;
}

static uint64_t sum(const uint64_t *counts, int count)
{
	uint64_t all = 0;

	for (int i = 0; i < count; i++)
		all += counts[i];
	return all;
}

static uint64_t ended_in(const struct carom_pool_statistics *now)
{
	return sum(now->ended_counts, CAROM_STATISTICS_KINDS);
}

static int32_t run(struct carom_pool *pool, carom_task_fn *function)
{
	struct carom_outcome outcome = { .kind = CAROM_OUTCOME_PENDING };
	int64_t x = 3;

	carom_pool_apply(pool, function, &x, sizeof(x), &x, sizeof(x), NULL, &outcome);
	return outcome.kind;
}

static void end(struct carom_result *result)
{
	cr_expect(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
	carom_result_free(result);
}

Test(statistics, tell_what_was_done, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = counting_pool(2);
	struct carom_pool_statistics now;

	for (int i = 0; i < 10; i++)
		run(pool, square);
	run(pool, fail_with_message);
	cr_assert(zero(int, carom_pool_statistics(pool, &now)));
	cr_expect(eq(u64, now.submitted_count, 11));
	cr_expect(eq(u64, now.ended_counts[CAROM_OUTCOME_OK], 10));
	cr_expect(eq(u64, now.ended_counts[CAROM_OUTCOME_FAILED], 1));
	cr_expect(eq(u64, now.item_count, 11));
	cr_expect(eq(u64, carom_histogram_count(&now.wait_ns), 11));
	cr_expect(eq(u64, carom_histogram_count(&now.run_ns), 11));
	cr_expect(eq(u64, now.process_count, 2));
}

/* EL-09 */
Test(statistics, sums_equal_jobs_whatever_became_of_them, .timeout = 60)
{
	static carom_task_fn *const functions[] = { square, fail_with_message, kill_self, exit_7 };
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = counting_pool(3);
	uint64_t counted[CAROM_STATISTICS_KINDS] = { 0 };
	struct carom_pool_statistics now;
	uint64_t seed = new_seed(), items;
	int64_t in[50], out[50];

	for (int i = 0; i < 50; i++)
		in[i] = i;
	for (int i = 0; i < 200; i++)
		counted[run(pool, functions[chance(&seed) % 4])]++;
	cr_assert(zero(int, carom_pool_map(pool, square, in, 50, sizeof(*in), out, sizeof(*out),
					   &CAROM_MAP_OPTIONS(.chunk_size = 5))));
	items = counted[CAROM_OUTCOME_OK] + counted[CAROM_OUTCOME_FAILED] + 50;

	now = statistics_of(pool);
	cr_expect(ge(u64, now.submitted_count, 200 + 10)); /* chunks may have been cut into more */
	cr_expect(ge(u64, now.submitted_item_count, 200 + 50));
	counted[CAROM_OUTCOME_OK] += now.submitted_count - 200;
	for (int kind = 0; kind < CAROM_STATISTICS_KINDS; kind++)
		cr_expect(eq(u64, now.ended_counts[kind], counted[kind]), "kind %d", kind);
	cr_expect(zero(u64, now.queued_count));
	cr_expect(zero(u64, now.running_count));
	cr_expect(eq(u64, now.item_count, items));
}

/* EL-11 */
Test(statistics, tell_what_a_pool_is_like_even_if_it_does_not_count, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_worker_info infos[2];
	struct carom_pool_statistics now;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .slot_count = 77,
							       .hard_limit_ns = CAROM_SECONDS(9)),
					   &pool)));
	now = statistics_of(pool);
	cr_expect(zero(int, strcmp(now.name, "pool")));
	cr_expect(eq(i64, now.pid, getpid()));
	cr_expect(zero(u64, now.is_counted));
	cr_expect(eq(u64, now.state, CAROM_POOL_RUNNING));
	cr_expect(eq(u64, now.worker_count, 2));
	cr_expect(ge(u64, now.worker_limit, 2));
	cr_expect(eq(u64, now.slot_count, 77));
	cr_expect(eq(u64, now.hard_limit_ns, CAROM_SECONDS(9)));
	cr_expect(eq(u64, now.process_count, 2));
	carom_pool_workers(pool, infos, 2);
	for (uint64_t i = 0; i < 2; i++) {
		struct carom_worker_statistics worker;

		cr_assert(zero(int, carom_pool_worker_statistics(pool, i, &worker)));
		cr_expect(eq(i64, worker.pid, infos[i].pid));
		cr_expect(eq(u64, worker.state, CAROM_WORKER_ALIVE));
	}
	cr_expect(eq(int,
		     carom_pool_worker_statistics(pool, now.worker_limit,
						  &(struct carom_worker_statistics){ 0 }),
		     -EINVAL));
}

/* ---- what happens now ---- */

static struct gate *gate; /* made before the pool */

static int hold(struct carom_call *call)
{
	gate_pass(gate, 0);
	return 0;
}

static struct carom_worker_statistics worker_of(struct carom_pool *pool, uint64_t index)
{
	struct carom_worker_statistics now;

	cr_assert(zero(int, carom_pool_worker_statistics(pool, index, &now)));
	return now;
}

Test(statistics, tell_who_is_busy_since_when_and_how_many_wait, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_worker_statistics worker;
	struct carom_result *results[5];
	struct carom_pool_statistics now;
	uint64_t before;

	gate = gate_new();
	pool = counting_pool(1);
	before = carom_now();
	for (int i = 0; i < 5; i++)
		carom_pool_apply_async(pool, hold, NULL, 0, NULL, &results[i]);
	gate_await(&gate->begun, 1);
	worker = worker_of(pool, 0);
	cr_expect(eq(u64, worker.state, CAROM_WORKER_BUSY));
	cr_expect(worker.since_ns >= before && worker.since_ns <= carom_now());
	cr_expect(worker.born_ns && worker.born_ns <= carom_now());
	now = statistics_of(pool);
	cr_expect(eq(u64, now.running_count, 1));
	cr_expect(eq(u64, now.queued_count, 4));
	cr_expect(zero(u64, ended_in(&now)));

	gate_open(gate, 1);
	for (int i = 0; i < 5; i++)
		end(results[i]);
	now = statistics_of(pool);
	cr_expect(zero(u64, now.running_count));
	cr_expect(zero(u64, now.queued_count));
	cr_expect(eq(u64, worker_of(pool, 0).state, CAROM_WORKER_IDLE));
}

Test(statistics, tell_which_task_a_worker_is_at, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_result *result;

	gate = gate_new();
	pool = counting_pool(1);
	for (int i = 0; i < 3; i++)
		carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL);
	carom_pool_apply_async(pool, hold, NULL, 0, NULL, &result);
	gate_await(&gate->begun, 1);
	cr_expect(le(u64, 3, carom_result_id(result)), "it is not the first one");
	cr_expect(eq(u64, worker_of(pool, 0).task_id, carom_result_id(result)));
	gate_open(gate, 1);
	end(result);
	cr_expect(zero(u64, worker_of(pool, 0).task_id));
}

/* and before that, until all are submitted */
static int take_5_ms(struct carom_call *call)
{
	uint64_t end;

	gate_pass(gate, 0);
	end = carom_deadline_after(CAROM_MILLISECONDS(5));
	while (carom_now() < end)
		sched_yield();
	return 0;
}

Test(statistics, measure_waits_and_run_times, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_pool_statistics now;
	struct carom_result *results[3];
	uint64_t begun, took;

	gate = gate_new();
	pool = counting_pool(1);
	begun = carom_now();
	for (int i = 0; i < 3; i++)
		carom_pool_apply_async(pool, take_5_ms, NULL, 0, NULL, &results[i]);
	gate_open(gate, 1);
	for (int i = 0; i < 3; i++)
		end(results[i]);
	took = carom_now() - begun;
	now = statistics_of(pool);
	cr_expect(ge(u64, carom_histogram_percentile(&now.run_ns, 1), CAROM_MILLISECONDS(4)));
	cr_expect(le(u64, now.run_ns.largest, took));
	cr_expect(ge(u64, now.wait_ns.largest, CAROM_MILLISECONDS(10)));
	cr_expect(le(u64, now.wait_ns.largest, took));
}

/* ---- processes come and go ---- */

Test(statistics, of_a_worker_go_on_when_it_is_replaced, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = counting_pool(1);
	struct carom_worker_statistics worker;
	struct carom_pool_statistics now;

	run(pool, square);
	cr_expect(eq(i32, run(pool, kill_self), CAROM_OUTCOME_LOST));
	run(pool, square);
	worker = worker_of(pool, 0);
	cr_expect(eq(u64, worker.ended_counts[CAROM_OUTCOME_OK], 2));
	cr_expect(eq(u64, worker.process_count, 2));
	now = statistics_of(pool);
	cr_expect(eq(u64, now.ended_counts[CAROM_OUTCOME_LOST], 1));
	cr_expect(eq(u64, now.exit_counts[CAROM_EXIT_REASON_LOST], 1));
	cr_expect(eq(u64, now.process_count, 2));
}

Test(statistics, tell_why_processes_ended, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = counting_pool(2);
	struct carom_pool_statistics now;

	run(pool, exit_7);
	cr_expect(eq(int, hang_until_limit(pool, CAROM_MILLISECONDS(10), NULL), -EREMOTEIO));
	/* their tasks are answered first */
	await(statistics_of(pool).exit_counts[CAROM_EXIT_REASON_LOST] == 1);
	await(statistics_of(pool).exit_counts[CAROM_EXIT_REASON_LIMIT] == 1);
	now = statistics_of(pool);
	cr_expect(eq(u64, now.ended_counts[CAROM_OUTCOME_HARD_LIMIT], 1));
	carom_pool_terminate(pool);
	now = statistics_of(pool);
	cr_expect(eq(u64, now.state, CAROM_POOL_TERMINATED));
	cr_expect(eq(u64, sum(now.exit_counts, CAROM_STATISTICS_REASONS), now.process_count));
	cr_expect(eq(u64, worker_of(pool, 0).state, CAROM_WORKER_ABSENT));
	cr_expect(zero(i64, worker_of(pool, 0).pid));
}

Test(statistics, count_what_is_answered_when_the_pool_ends, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_pool_statistics now;

	gate = gate_new();
	pool = counting_pool(1);
	for (int i = 0; i < 5; i++)
		carom_pool_apply_async(pool, hold, NULL, 0, NULL, NULL);
	gate_await(&gate->begun, 1);
	carom_pool_terminate(pool);
	now = statistics_of(pool);
	cr_expect(eq(u64, now.ended_counts[CAROM_OUTCOME_TERMINATED], 1));
	cr_expect(eq(u64, now.ended_counts[CAROM_OUTCOME_POOL_CLOSED], 4));
	cr_expect(zero(u64, now.queued_count));
	cr_expect(zero(u64, now.running_count));
}

static int heed_the_limit(struct carom_call *call)
{
	while (!carom_call_soft_limit(call))
		pause();
	return -EINTR;
}

Test(statistics, count_a_soft_limit_as_what_it_is, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = counting_pool(1);
	struct carom_task_options limited =
		CAROM_TASK_OPTIONS(.soft_limit_ns = CAROM_MILLISECONDS(10));
	struct carom_pool_statistics now;
	struct carom_outcome outcome;

	carom_pool_apply(pool, heed_the_limit, NULL, 0, NULL, 0, &limited, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_SOFT_LIMIT));
	now = statistics_of(pool);
	cr_expect(eq(u64, now.ended_counts[CAROM_OUTCOME_SOFT_LIMIT], 1));
	cr_expect(zero(u64, now.ended_counts[CAROM_OUTCOME_FAILED]));
}

Test(statistics, count_what_was_cancelled, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_result *held, *waiting[3];
	struct carom_pool_statistics now;

	gate = gate_new();
	pool = counting_pool(1);
	carom_pool_apply_async(pool, hold, NULL, 0, NULL, &held);
	gate_await(&gate->begun, 1);
	for (int i = 0; i < 3; i++)
		carom_pool_apply_async(pool, nothing, NULL, 0, NULL, &waiting[i]);
	cr_expect(zero(int, carom_result_cancel(waiting[0])));
	cr_expect(eq(int, carom_pool_flush(pool), 2));
	now = statistics_of(pool);
	cr_expect(eq(u64, now.ended_counts[CAROM_OUTCOME_CANCELLED], 3));
	cr_expect(zero(u64, now.queued_count));
	cr_expect(eq(u64, now.running_count, 1));
	gate_open(gate, 1);
	end(held);
	for (int i = 0; i < 3; i++)
		end(waiting[i]);
}

static int refuse(struct carom_result *result, int64_t pid, uint64_t accepted_ns, void *userdata)
{
	return -EPERM;
}

Test(statistics, count_what_was_not_to_begin_as_cancelled, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_pool_statistics now;
	struct carom_result *result;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .synack = 1,
							       .statistics = 1),
					   &pool)));
	cr_assert(zero(int, carom_pool_apply_async(pool, nothing, NULL, 0,
						   &CAROM_TASK_OPTIONS(.accept_callback = refuse),
						   &result)));
	end(result);
	now = statistics_of(pool);
	cr_expect(eq(u64, now.submitted_count, 1));
	cr_expect(eq(u64, now.ended_counts[CAROM_OUTCOME_CANCELLED], 1));
	cr_expect(eq(u64, ended_in(&now), 1));
	cr_expect(zero(u64, now.item_count));
}

Test(statistics, count_a_task_that_is_begun_again_once, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = counting_pool(1);
	struct carom_pool_statistics now;

	cr_expect(eq(int,
		     carom_pool_apply(pool, kill_self, NULL, 0, NULL, 0,
				      &CAROM_TASK_OPTIONS(.retry_on_loss = 2), NULL),
		     -EREMOTEIO));
	run(pool, square);
	now = statistics_of(pool);
	cr_expect(eq(u64, now.submitted_count, 2));
	cr_expect(eq(u64, now.ended_counts[CAROM_OUTCOME_LOST], 1));
	cr_expect(eq(u64, ended_in(&now), 2));
	cr_expect(eq(u64, now.exit_counts[CAROM_EXIT_REASON_LOST], 3));
}

/* Wherever a worker dies while it counts, each task is counted once, as what it was. */
static void kill_at(const char *point)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	uint64_t counted[CAROM_STATISTICS_KINDS] = { 0 }, items = 0;
	struct carom_pool_statistics now;
	struct carom_outcome outcomes[40];
	int64_t in[40], out[40];
	uint64_t chunks = 0;

	memset(in, 0, sizeof(in));
	cr_assert(zero(int, carom_point_arm(point, 5)));
	pool = counting_pool(2);
	for (int i = 0; i < 100; i++)
		counted[run(pool, i % 3 ? square : fail_with_message)]++;
	items = counted[CAROM_OUTCOME_OK] + counted[CAROM_OUTCOME_FAILED];
	for (int i = 0; i < 5; i++, chunks += 4) {
		carom_pool_map(pool, square, in, 40, sizeof(*in), out, sizeof(*out),
			       &CAROM_MAP_OPTIONS(.chunk_size = 10, .outcomes = outcomes));
		/* none of a chunk is lost, unless it was cut down to a single item meanwhile */
		for (int k = 0; k < 40; k++)
			items += outcomes[k].kind == CAROM_OUTCOME_OK;
	}
	cr_expect(ge(u32, carom_point_hits(point), 10), "%s", point);
	carom_point_disarm_all();
	now = statistics_of(pool);
	/* chunks may have been cut into more */
	cr_expect(ge(u64, now.submitted_count, 100 + chunks), "%s", point);
	cr_expect(eq(u64, ended_in(&now), now.submitted_count), "%s", point);
	cr_expect(eq(u64, now.ended_counts[CAROM_OUTCOME_FAILED], counted[CAROM_OUTCOME_FAILED]),
		  "%s", point);
	cr_expect(eq(u64, now.item_count, items), "%s", point);
	cr_expect(zero(u64, now.queued_count), "%s", point);
	cr_expect(zero(u64, now.running_count), "%s", point);
}

Test(statistics, are_right_wherever_a_worker_dies, .timeout = 120)
{
	static const char *const points[] = { "tally.claimed",   "tally.marked",
					      "tally.uncounted", "tally.counted",
					      "tally.finished",  "lane.done.before",
					      "lane.done.after" };

	if (carom_point_arm("tally.marked", 1) == -EOPNOTSUPP)
		cr_skip_test("built without -Dpoints=true");
	for (size_t i = 0; i < sizeof(points) / sizeof(*points); i++) {
		carom_point_disarm_all();
		kill_at(points[i]);
	}
}

/* ---- others who look ---- */

static int find_one(int64_t pid, struct carom_statistics_place *ret_place)
{
	return carom_statistics_find(pid, ret_place, 1);
}

/* In a process that has nothing of the pool, as a tool has not. */
static int look_from_outside(int64_t pid)
{
	CAROM_CLEANUP(carom_statistics_freep) struct carom_statistics *reader = NULL;
	struct carom_worker_statistics worker;
	struct carom_statistics_place place;
	struct carom_pool_statistics now;

	if (find_one(pid, &place) != 1 || place.pid != pid)
		return 1;
	if (carom_statistics_open(place.pid, place.fd, &reader) < 0)
		return 2;
	carom_statistics_pool(reader, &now);
	if (strcmp(now.name, "counted") != 0 || now.pid != pid)
		return 3;
	if (now.ended_counts[CAROM_OUTCOME_OK] != 7 || now.submitted_count != 7)
		return 4;
	if (carom_statistics_worker(reader, 0, &worker) < 0 || !worker.pid)
		return 5;
	if (carom_statistics_worker(reader, now.worker_limit, &worker) != -EINVAL)
		return 6;
	return carom_statistics_is_live(reader) ? 0 : 7;
}

Test(statistics, can_be_read_by_another_process, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = counting_pool(2);
	pid_t parent = getpid(), pid;

	for (int i = 0; i < 7; i++)
		run(pool, square);
	pid = child();
	if (pid == 0)
		_exit(look_from_outside(parent));
	cr_expect(zero(int, ended(pid)));
}

Test(statistics, are_found_where_pools_count_and_nowhere_else, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *one = NULL, *two = NULL;
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *silent = new_pool(1);
	struct carom_statistics_place places[256];
	int all, ours = 0;

	cr_expect(zero(int, carom_statistics_find(getpid(), NULL, 0)));
	one = counting_pool(1);
	two = counting_pool(1);
	run(one, square); /* by then its worker has closed what it was given */
	run(two, square);
	run(silent, square);
	cr_expect(eq(int, carom_statistics_find(getpid(), NULL, 0), 2));
	all = carom_statistics_find(0, places, 256);
	cr_assert(ge(int, all, 2));
	for (int i = 0; i < all && i < 256; i++)
		ours += places[i].pid == getpid();
	cr_expect(eq(int, ours, 2));
	one = carom_pool_free(one);
	cr_expect(eq(int, carom_statistics_find(getpid(), NULL, 0), 1));
}

/* Its pool, killed with it, is still to be read by who looked at it before. */
Test(statistics, outlive_their_program_for_who_looks_at_them, .timeout = 20)
{
	CAROM_CLEANUP(carom_statistics_freep) struct carom_statistics *reader = NULL;
	struct carom_statistics_place place;
	struct carom_pool_statistics now;
	_Atomic int *done = share(sizeof(*done));
	pid_t pid = child();

	if (pid == 0) {
		struct carom_pool *pool = counting_pool(1);

		run(pool, square);
		atomic_store(done, 1);
		for (;;)
			pause();
	}
	await(atomic_load(done));
	cr_assert(eq(int, find_one(pid, &place), 1));
	cr_assert(zero(int, carom_statistics_open(place.pid, place.fd, &reader)));
	cr_expect(carom_statistics_is_live(reader));
	killed(pid);
	cr_expect(not(carom_statistics_is_live(reader)));
	carom_statistics_pool(reader, &now);
	cr_expect(eq(u64, now.ended_counts[CAROM_OUTCOME_OK], 1));
	reader = carom_statistics_free(reader);
	cr_expect(eq(int, carom_statistics_open(place.pid, place.fd, &reader), -ENOENT));
	cr_expect(eq(int, carom_statistics_find(pid, NULL, 0), -ESRCH));
}

static int open_own(int fd)
{
	CAROM_CLEANUP(carom_statistics_freep) struct carom_statistics *reader = NULL;

	return carom_statistics_open(getpid(), fd, &reader);
}

Test(statistics, are_read_of_nothing_else, .timeout = 20)
{
	CAROM_CLEANUP(carom_closep) int memfd = memfd_create(CAROM_TALLY_NAME, MFD_CLOEXEC);
	CAROM_CLEANUP(carom_closep) int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CAROM_CLEANUP(carom_closep) int sealed = -1;
	int pipe_fds[2];

	cr_assert(zero(int, carom_memfd_new(CAROM_TALLY_NAME, 4096, &sealed)));
	cr_assert(zero(int, pipe2(pipe_fds, O_CLOEXEC)));
	cr_expect(eq(int, open_own(memfd), -EBADMSG));
	cr_expect(eq(int, open_own(null), -EBADMSG));
	cr_expect(eq(int, open_own(sealed), -EBADMSG));
	cr_expect(eq(int, open_own(pipe_fds[0]), -EBADMSG));
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	cr_expect(eq(int, open_own(1 << 20), -ENOENT));
	cr_expect(eq(int, open_own(-1), -ENOENT));
	cr_expect(zero(int, carom_statistics_find(getpid(), NULL, 0)));
}

Test(statistics, of_another_layout_are_refused, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = counting_pool(1);
	unsigned char *bytes = (unsigned char *)pool->tally->head;

	for (size_t i = 0; i < sizeof(struct tally_layout); i++) {
		bytes[i] ^= 0x81;
		cr_expect(eq(int, open_own(pool->tally->fd), -EBADMSG), "byte %zu", i);
		bytes[i] ^= 0x81;
	}
	cr_expect(zero(int, open_own(pool->tally->fd)));
}

/* Whatever stands there: it is wrong, and no more than that. */
Test(statistics, that_are_nonsense_hurt_nobody, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = counting_pool(2);
	CAROM_CLEANUP(carom_statistics_freep) struct carom_statistics *reader = NULL;
	unsigned char *bytes = (unsigned char *)pool->tally->head;
	size_t begin = sizeof(struct tally_layout);
	struct carom_worker_statistics worker;
	struct carom_pool_statistics now;
	uint64_t seed = new_seed();

	cr_assert(zero(int, carom_statistics_open(getpid(), pool->tally->fd, &reader)));
	for (int round = 0; round < 20; round++) {
		for (size_t i = begin; i < carom_tally_size(&pool->tally->layout); i++)
			__atomic_store_n(&bytes[i], round ? (unsigned char)chance(&seed) : 0xff,
					 __ATOMIC_RELAXED);
		carom_statistics_pool(reader, &now);
		cr_expect(lt(sz, strlen(now.name), sizeof(now.name)));
		carom_histogram_percentile(&now.run_ns, 99);
		carom_histogram_mean(&now.wait_ns);
		for (uint64_t i = 0; i < 2; i++) {
			carom_statistics_worker(reader, i, &worker);
			cr_expect(le(u64, worker.state, CAROM_WORKER_LEAVING));
		}
		cr_expect(eq(i32, run(pool, square), CAROM_OUTCOME_OK));
		cr_expect(eq(i32, run(pool, kill_self), CAROM_OUTCOME_LOST));
	}
}

Test(statistics, of_a_pool_are_closed_in_a_forked_child, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = counting_pool(1);
	pid_t pid = child();

	if (pid == 0) {
		struct carom_worker_statistics worker;
		struct carom_pool_statistics now;

		_exit(carom_pool_statistics(pool, &now) != -ECHILD ||
		      carom_pool_worker_statistics(pool, 0, &worker) != -ECHILD ||
		      carom_statistics_find(getpid(), NULL, 0) != 0);
	}
	cr_expect(zero(int, ended(pid)));
}

Test(statistics, names_its_states)
{
	cr_expect(zero(int, strcmp(carom_worker_state_name(CAROM_WORKER_BUSY), "busy")));
	cr_expect(
		zero(int, strcmp(carom_worker_state_name((enum carom_worker_state)99), "unknown")));
}
