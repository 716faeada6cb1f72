/*
 * Delivery: what reaches whom when somebody dies, or stands still, on the way.
 */
#include "tests/pool/gate.h"
#include "tests/pool/work.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/wait.h>

#include "core/points.h"

static struct gate *gate;
static _Atomic uint32_t *runs;

/* before any pool: workers are copies of the program as it was then */
static void share_memory(void)
{
	void *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert(ne(ptr, shared, MAP_FAILED));
	runs = shared;
	gate = gate_new();
}

TestSuite(delivery, .init = share_memory);

static void arm(const char *point, int signal_number)
{
	if (carom_point_arm_once(point, 1, signal_number) == -EOPNOTSUPP)
		cr_skip_test("built without points");
}

static int count_run(struct carom_call *call)
{
	atomic_fetch_add(runs, 1);
	return carom_reply(call, "done", 4);
}

static int apply_counted(struct carom_pool *pool, struct carom_outcome *ret_outcome)
{
	char value[4];

	return carom_pool_apply(pool, count_run, NULL, 0, value, sizeof(value), NULL, ret_outcome);
}

/* ---- deaths on the way ---- */

/* PH-10 */
/* WL-05 */
Test(delivery, a_death_before_the_claim_costs_nothing, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct carom_outcome outcome;

	arm("lane.claim.before", SIGKILL);
	cr_expect(zero(int, apply_counted(pool, &outcome)));
	cr_expect(eq(uint, carom_point_hits("lane.claim.before"), 1));
	cr_expect(eq(u32, *runs, 1), "it ran once, elsewhere");
	cr_expect(zero(u64, outcome.attempt));
}

/* MS-05 */
/* WL-04 */
Test(delivery, a_death_right_after_the_claim_is_known_to_be_of_this_task, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct carom_outcome outcome;

	arm("lane.claim.after", SIGKILL);
	cr_expect(eq(int, apply_counted(pool, &outcome), -EREMOTEIO));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
	cr_expect(eq(int, outcome.signal, SIGKILL));
	cr_expect(zero(u32, *runs));
}

/* PC-07 */
/* PH-14 */
/* WL-03 */
Test(delivery, a_value_that_was_left_before_a_death_counts, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_outcome outcome;

	arm("lane.done.after", SIGKILL);
	cr_expect(zero(int, apply_counted(pool, &outcome)));
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_OK));
	cr_expect(zero(int, apply_counted(pool, NULL)), "and the worker was replaced");
	cr_expect(eq(uint, carom_point_hits("lane.done.after"), 1));
}

/* EL-10 */
Test(delivery, a_task_cancelled_while_its_worker_dies_never_runs, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_worker_info info;
	struct carom_result *waiting;
	struct carom_outcome outcome;
	siginfo_t stopped;

	carom_pool_workers(pool, &info, 1);
	kill((pid_t)info.pid, SIGSTOP);
	cr_assert(zero(int, waitid(P_PID, (id_t)info.pid, &stopped, WSTOPPED | WNOWAIT)));
	cr_assert(zero(int, carom_pool_apply_async(pool, count_run, NULL, 0, NULL, &waiting)));
	cr_expect(zero(int, carom_result_cancel(waiting)));
	kill((pid_t)info.pid, SIGKILL);
	cr_expect(zero(int, apply_counted(pool, NULL)), "by the replacement");
	carom_result_outcome(waiting, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_CANCELLED));
	cr_expect(eq(u32, *runs, 1), "the other one");
	carom_result_free(waiting);
}

/* ---- one that stands still ---- */

/* PH-15 */
Test(delivery, a_worker_that_stands_still_holds_nobody_up, .timeout = 60)
{
	struct carom_pool *pool = new_pool(2);
	struct carom_result *stuck;
	struct carom_outcome outcome;

	arm("lane.claim.after", SIGSTOP);
	cr_assert(zero(int, carom_pool_apply_async(pool, count_run, NULL, 0, NULL, &stuck)));
	while (!carom_point_hits("lane.claim.after"))
		sched_yield();
	for (int i = 0; i < 1000; i++)
		cr_assert(zero(int, apply_counted(pool, NULL)));
	cr_expect(not(carom_result_ready(stuck)));
	carom_pool_terminate(pool);
	carom_result_outcome(stuck, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_TERMINATED));
	carom_result_free(stuck);
	carom_pool_free(pool);
}

/* ---- payloads ---- */

static int echo_in_place(struct carom_call *call)
{
	size_t size;
	const void *data = carom_call_data(call, &size);
	void *room;
	int r = carom_reply_reserve(call, size, &room);

	if (r < 0)
		return r;
	memcpy(room, data, size);
	return carom_reply_commit(call, size);
}

static void check_payload(struct carom_pool *pool, size_t size)
{
	unsigned char *data = malloc(size);
	struct carom_result *result;
	const void *value;
	size_t length;

	for (size_t i = 0; i < size; i++)
		data[i] = (unsigned char)(i * 7 + i / 4096);
	cr_assert(
		zero(int, carom_pool_apply_async(pool, echo_in_place, data, size, NULL, &result)));
	cr_assert(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
	cr_assert(zero(int, carom_result_data(result, &value, &length)));
	cr_expect(eq(sz, length, size));
	cr_expect(zero(int, memcmp(value, data, size)), "%zu bytes", size);
	carom_result_free(result);
	free(data);
}

/* MS-02 */
/* MS-09 */
Test(delivery, payloads_of_all_sizes_arrive, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);

	check_payload(pool, 17);
	check_payload(pool, 32);
	check_payload(pool, 33);
	check_payload(pool, 64 << 10);
	check_payload(pool, 64 << 20);
}

/* ---- order ---- */

struct letters {
	char text[16];
	_Atomic size_t length;
};

static int add(void *userdata, char letter)
{
	struct letters *letters = userdata;

	letters->text[letters->length++] = letter;
	return 0;
}

static int succeeded(struct carom_result *result, void *userdata)
{
	return add(userdata, 's');
}

static int accepted(struct carom_result *result, int64_t pid, uint64_t accepted_ns, void *userdata)
{
	return add(userdata, 'a');
}

static _Atomic bool may_go_on;

static int block(struct carom_result *result, void *userdata)
{
	add(userdata, 'b');
	while (!may_go_on)
		sched_yield();
	return 0;
}

/* RS-14 */
Test(delivery, an_end_that_is_seen_before_the_beginning_is_told_after_it, .timeout = 30)
{
	struct carom_pool *pool = new_pool(1);
	struct letters letters = { .length = 0 };
	struct carom_result *result;

	cr_assert(zero(int, carom_pool_apply_async(
				    pool, nothing, NULL, 0,
				    &CAROM_TASK_OPTIONS(.callback = block, .userdata = &letters),
				    NULL)));
	while (!letters.length)
		sched_yield();
	/* begins and ends while nobody looks */
	cr_assert(zero(int, carom_pool_apply_async(pool, nothing, NULL, 0,
						   &CAROM_TASK_OPTIONS(.callback = succeeded,
								       .accept_callback = accepted,
								       .userdata = &letters),
						   &result)));
	cr_assert(zero(int, carom_result_wait(result, CAROM_NO_DEADLINE)));
	carom_result_free(result);
	may_go_on = true;
	carom_pool_close(pool);
	carom_pool_join(pool, CAROM_NO_DEADLINE);
	carom_pool_free(pool);
	cr_expect(eq(str, letters.text, (char *)"bas"));
}

/* ---- a full pool ---- */

static int wait_for_gate(struct carom_call *call)
{
	gate_pass(gate, 0);
	return 0;
}

/* EL-07 */
Test(delivery, a_full_queue_says_so, .timeout = 30)
{
	struct carom_pool *pool = NULL;
	struct carom_task_options options =
		CAROM_TASK_OPTIONS(.wait_for_slot = CAROM_SLOT_WAIT_NEVER);

	cr_assert(
		zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .slot_count = 100),
					 &pool)));
	for (int i = 0; i < 100; i++)
		cr_assert(zero(
			int, carom_pool_apply_async(pool, wait_for_gate, NULL, 0, &options, NULL)));
	cr_expect(eq(int, carom_pool_apply_async(pool, wait_for_gate, NULL, 0, &options, NULL),
		     -EAGAIN));
	gate_open(gate, 1);
	carom_pool_close(pool);
	cr_expect(zero(int, carom_pool_join(pool, CAROM_NO_DEADLINE)));
	carom_pool_free(pool);
}

/* ---- the program is told ---- */

struct lost {
	_Atomic uint32_t count;
	uint64_t id;
	struct carom_outcome outcome;
};

static void on_lost(uint64_t task_id, const struct carom_outcome *outcome, void *userdata)
{
	struct lost *lost = userdata;

	lost->id = task_id;
	lost->outcome = *outcome;
	atomic_fetch_add(&lost->count, 1);
}

/* PH-12 */
Test(delivery, the_pool_is_told_of_what_is_lost_at_once, .timeout = 30)
{
	struct carom_pool *pool = NULL;
	struct lost lost = { .count = 0 };
	struct carom_result *result;

	cr_assert(zero(
		int,
		carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
						   .hooks = &CAROM_POOL_HOOKS(.on_job_process_lost =
										      on_lost,
									      .userdata = &lost)),
			       &pool)));
	cr_assert(zero(int, carom_pool_apply_async(pool, kill_self, NULL, 0, NULL, &result)));
	cr_assert(zero(int, carom_pool_apply_async(pool, nothing, NULL, 0, NULL, NULL)));
	carom_pool_close(pool);
	carom_pool_join(pool, CAROM_NO_DEADLINE);
	cr_expect(eq(u32, lost.count, 1));
	cr_expect(eq(u64, lost.id, carom_result_id(result)));
	cr_expect(eq(int, lost.outcome.signal, SIGKILL));
	carom_result_free(result);
	carom_pool_free(pool);
}
