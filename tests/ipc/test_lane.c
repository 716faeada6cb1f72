/*
 * Lane: where tasks meet workers.
 *
 * Waits for what must come have no deadline: who wakes up late finds the end as well,
 * so a wake-up that was lost is for the test's own time limit to find.
 */
#include "tests/ipc/crew.h"
#include "tests/needs.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "core/points.h"
#include "shm/memfd.h"

#define PARKED   CAROM_LANE_SPIN_NEVER
#define SPINNING CAROM_MICROSECONDS(20)

Test(lane, a_task_is_done_by_a_worker, .timeout = 20)
{
	struct carom_lane_options options = { .worker_count = 1, .slot_count = 16 };
	struct carom_lane *lane;
	uint32_t slot;
	bool woke;
	pid_t pid;

	cr_assert(zero(int, carom_lane_new(&options, &lane)));
	pid = child();
	if (pid == 0) {
		struct carom_lane *view;

		if (carom_lane_attach(carom_lane_fd(lane), -1, 0, 0, UINT64_MAX, &view) < 0 ||
		    carom_lane_ready(view) < 0)
			_exit(1);
		while (carom_lane_claim(view, &slot) == 0) {
			struct carom_slot *task = carom_lane_slot(view, slot);

			task->value.bytes[0] = task->argument.bytes[0] + 1;
			task->value_size = 1;
			carom_lane_finish(view, slot);
		}
		_exit(0);
	}

	slot = carom_lane_take(lane);
	carom_lane_slot(lane, slot)->argument.bytes[0] = 41;
	carom_lane_slot(lane, slot)->argument_size = 1;
	cr_assert(zero(int, carom_lane_submit(lane, &slot, 1, &woke)));
	cr_assert(zero(int, carom_lane_await(lane, slot, carom_lane_generation(lane, slot),
					     CAROM_NO_DEADLINE, !woke)));
	cr_expect(eq(int, carom_slot_state(atomic_load(&carom_lane_slot(lane, slot)->word)),
		     CAROM_SLOT_DONE));
	cr_expect(eq(u8, carom_lane_slot(lane, slot)->value.bytes[0], 42));
	carom_lane_give(lane, slot);

	carom_lane_stop(lane, CAROM_LANE_DRAIN);
	cr_expect(zero(int, ended(pid)));
	carom_lane_free(lane);
}

/* ---- exact counts ---- */

#define TASKS 100000

static _Atomic uint8_t *begun; /* by number of the task */

static void job_count(struct carom_lane *lane, struct carom_slot *slot)
{
	atomic_fetch_add(&begun[argument_of(slot)], 1);
	reply(slot, argument_of(slot) * 3);
}

static uint32_t prepare_some(struct carom_lane *lane, uint32_t *slots, uint32_t count,
			     uint64_t first)
{
	for (uint32_t i = 0; i < count; i++) {
		slots[i] = carom_lane_take(lane);
		cr_assert(ne(u32, slots[i], CAROM_LANE_NO_SLOT));
		fill(lane, slots[i], job_count, first + i);
	}
	return count;
}

static void collect(struct carom_lane *lane, const uint32_t *slots, uint32_t count, uint64_t first,
		    bool may_spin)
{
	for (uint32_t i = count; i-- > 0;) {
		uint32_t generation = carom_lane_generation(lane, slots[i]);

		cr_assert(zero(int, carom_lane_await(lane, slots[i], generation, CAROM_NO_DEADLINE,
						     may_spin)));
		cr_assert(eq(int, state_of(lane, slots[i]), CAROM_SLOT_DONE));
		cr_assert(eq(u64, value_of(lane, slots[i]), (first + i) * 3));
		carom_lane_give(lane, slots[i]);
	}
}

static void each_task_runs_once(uint32_t worker_count, uint64_t spin_ns)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = { 0 };
	uint64_t seed = new_seed(), next = 0;
	uint32_t slots[64];

	begun = share(TASKS);
	crew = new_crew(worker_count, 64, spin_ns);
	while (next < TASKS) {
		uint32_t count = 1 + chance(&seed) % 64;
		bool woke;

		count = count < TASKS - next ? count : (uint32_t)(TASKS - next);
		prepare_some(crew.lane, slots, count, next);
		cr_assert(zero(int, carom_lane_submit(crew.lane, slots, count, &woke)));
		collect(crew.lane, slots, count, next, !woke);
		next += count;
	}
	for (uint64_t i = 0; i < TASKS; i++)
		cr_assert(eq(u8, begun[i], 1), "task %llu", (unsigned long long)i);
}

Test(lane, one_worker_parked_runs_each_task_once, .timeout = 60)
{
	each_task_runs_once(1, PARKED);
}

Test(lane, one_worker_spinning_runs_each_task_once, .timeout = 60)
{
	each_task_runs_once(1, SPINNING);
}

Test(lane, four_workers_parked_run_each_task_once, .timeout = 60)
{
	each_task_runs_once(4, PARKED);
}

Test(lane, four_workers_spinning_run_each_task_once, .timeout = 60)
{
	each_task_runs_once(4, SPINNING);
}

/* One at a time, both sides asleep in between: each wake-up is needed. */
Test(lane, no_wake_up_is_lost_when_both_sides_park, .timeout = 60)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(2, 4, PARKED);

	for (uint64_t i = 0; i < 20000; i++) {
		uint32_t slot = submit(crew.lane, job_triple, i);
		uint32_t generation = carom_lane_generation(crew.lane, slot);

		cr_assert(zero(int, carom_lane_await(crew.lane, slot, generation, CAROM_NO_DEADLINE,
						     false)),
			  "task %llu", (unsigned long long)i);
		cr_assert(eq(u64, value_of(crew.lane, slot), i * 3));
		carom_lane_give(crew.lane, slot);
	}
}

/* With more workers than one word of the masks has bits. */
Test(lane, workers_of_every_mask_word_are_woken, .timeout = 20)
{
	static const uint32_t present[] = { 0, 63, 64, 1023 };
	struct carom_lane *lane = new_lane(CAROM_LANE_WORKERS_MAX, CAROM_LANE_SLOTS_MAX, PARKED);
	struct gate *gate = share(sizeof(*gate));
	uint32_t slots[4];
	pid_t pids[4];

	for (int i = 0; i < 4; i++)
		pids[i] = new_worker(lane, present[i]);
	for (int i = 0; i < 4; i++)
		slots[i] = hold(lane, gate); /* one after the other: only idle workers are left */
	atomic_store(&gate->open, 1);
	for (int i = 0; i < 4; i++)
		cr_expect(zero(int, wait_for(lane, slots[i], CAROM_NO_DEADLINE)));
	carom_lane_stop(lane, CAROM_LANE_DRAIN);
	for (int i = 0; i < 4; i++)
		cr_expect(zero(int, ended(pids[i])));
	carom_lane_free(lane);
}

/* ---- waiting ---- */

Test(lane, waiting_ends_at_the_deadline, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 4, SPINNING);
	struct gate *gate = crew.gates;
	uint32_t slot = hold(crew.lane, gate);
	uint64_t deadline = carom_deadline_after(CAROM_MILLISECONDS(20));

	cr_expect(eq(int, wait_for(crew.lane, slot, CAROM_PASSED), -ETIMEDOUT));
	cr_expect(eq(int, wait_for(crew.lane, slot, deadline), -ETIMEDOUT));
	cr_expect(ge(u64, carom_now(), deadline));
	atomic_store(&gate->open, 1);
	cr_expect(zero(int, wait_for(crew.lane, slot, CAROM_NO_DEADLINE)));
	cr_expect(zero(int, wait_for(crew.lane, slot, CAROM_PASSED)));
}

Test(lane, waiting_for_a_task_of_the_past_is_over_at_once, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 1, PARKED);
	struct gate *gate = crew.gates;
	uint32_t slot = submit(crew.lane, job_triple, 5);
	uint32_t generation = carom_lane_generation(crew.lane, slot);

	cr_assert(zero(int, wait_for(crew.lane, slot, CAROM_NO_DEADLINE)));
	carom_lane_give(crew.lane, slot);
	cr_expect(
		zero(int, carom_lane_await(crew.lane, slot, generation, CAROM_NO_DEADLINE, false)));
	cr_assert(eq(u32, hold(crew.lane, gate), slot));
	cr_expect(
		zero(int, carom_lane_await(crew.lane, slot, generation, CAROM_NO_DEADLINE, false)));
	atomic_store(&gate->open, 1);
	cr_expect(zero(int, wait_for(crew.lane, slot, CAROM_NO_DEADLINE)));
}

struct waiter {
	struct carom_lane *lane;
	uint32_t slot;
	uint32_t generation;
	pthread_t thread;
	_Atomic pid_t tid;
	int result;
};

static void *waiter_thread(void *userdata)
{
	struct waiter *waiter = userdata;

	atomic_store(&waiter->tid, (pid_t)syscall(SYS_gettid));
	waiter->result = carom_lane_await(waiter->lane, waiter->slot, waiter->generation,
					  CAROM_NO_DEADLINE, false);
	return NULL;
}

/* returns once it is asleep */
static void start_waiter(struct waiter *waiter, struct carom_lane *lane, uint32_t slot)
{
	*waiter = (struct waiter){ .lane = lane,
				   .slot = slot,
				   .generation = carom_lane_generation(lane, slot),
				   .result = 1 };
	cr_assert(zero(int, pthread_create(&waiter->thread, NULL, waiter_thread, waiter)));
	await(atomic_load(&waiter->tid) && word_of(lane, slot) & CAROM_SLOT_WAITED &&
	      is_asleep(atomic_load(&waiter->tid)));
}

static int end_waiter(struct waiter *waiter)
{
	pthread_join(waiter->thread, NULL);
	return waiter->result;
}

Test(lane, all_who_wait_for_a_task_are_woken, .timeout = 30)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 4, PARKED);
	struct gate *gate = crew.gates;
	uint32_t slot = hold(crew.lane, gate);
	struct waiter waiters[3];

	for (int i = 0; i < 3; i++)
		start_waiter(&waiters[i], crew.lane, slot);
	atomic_store(&gate->open, 1);
	for (int i = 0; i < 3; i++)
		cr_expect(zero(int, end_waiter(&waiters[i])));
}

Test(lane, who_waits_for_any_hears_of_each_end, .timeout = 30)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 4, PARKED);
	struct gate *gate = crew.gates;
	uint32_t ticket = carom_lane_expect(crew.lane);
	uint32_t held = hold(crew.lane, gate);
	uint32_t waiting = submit(crew.lane, job_triple, 1);

	cr_expect(eq(int,
		     carom_lane_await_any(crew.lane, ticket,
					  carom_deadline_after(CAROM_MILLISECONDS(10))),
		     -ETIMEDOUT));
	/* taken back */
	cr_expect(carom_lane_withdraw(crew.lane, waiting));
	cr_expect(zero(int, carom_lane_await_any(crew.lane, ticket, CAROM_NO_DEADLINE)));
	ticket = carom_lane_expect(crew.lane);
	carom_lane_unexpect(crew.lane);
	/* done */
	atomic_store(&gate->open, 1);
	cr_expect(zero(int, carom_lane_await_any(crew.lane, ticket, CAROM_NO_DEADLINE)));
	cr_expect(zero(int, wait_for(crew.lane, held, CAROM_PASSED)));
	/* because somebody says so */
	ticket = carom_lane_expect(crew.lane);
	carom_lane_unexpect(crew.lane);
	carom_lane_announce(crew.lane);
	cr_expect(zero(int, carom_lane_await_any(crew.lane, ticket, CAROM_PASSED)));
	carom_lane_unexpect(crew.lane);
}

static enum carom_sweep_verdict lost(uint32_t slot, void *userdata)
{
	return CAROM_SWEEP_LOST;
}

static enum carom_sweep_verdict again(uint32_t slot, void *userdata)
{
	return CAROM_SWEEP_AGAIN;
}

/*
 * Its worker died between the value and the wake-up, and another thread gave the slot
 * back before the sweep: the word does not tell any more that somebody sleeps there.
 */
Test(lane, a_waiter_is_woken_when_its_slot_is_given_back, .timeout = 30)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = { 0 };
	struct gate *gate;
	struct waiter waiter;
	uint32_t slot;

	if (carom_point_arm("lane.done.after", 1) == -EOPNOTSUPP)
		cr_skip_test("built without -Dpoints=true");
	crew = new_crew(1, 4, PARKED);
	gate = crew.gates;
	slot = hold(crew.lane, gate);
	start_waiter(&waiter, crew.lane, slot);
	atomic_store(&gate->open, 1);
	cr_assert(eq(int, join(&crew, 0), -SIGKILL));
	cr_assert(eq(int, state_of(crew.lane, slot), CAROM_SLOT_DONE));
	cr_expect(is_asleep(atomic_load(&waiter.tid)));

	carom_lane_give(crew.lane, slot);
	cr_expect(zero(int, end_waiter(&waiter)));
}

/*
 * A worker is stopped on its way to sleep; what is submitted meanwhile it must find
 * when it goes on, whether the submitter saw its idle bit or not.
 */
static void submit_while_stopped_at(const char *point, uint64_t spin_ns)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = { 0 };
	int status = 0;
	uint32_t slot;

	cr_assert(zero(int, carom_point_arm_once(point, 1, SIGSTOP)));
	crew = new_crew(1, 4, spin_ns);
	cr_assert(eq(int, waitpid(crew.pids[0], &status, WUNTRACED), crew.pids[0]));
	cr_assert(eq(int, WIFSTOPPED(status), 1), "%s", point);
	carom_point_disarm_all();
	slot = submit(crew.lane, job_triple, 4);
	kill(crew.pids[0], SIGCONT);
	cr_expect(zero(int, wait_for(crew.lane, slot, CAROM_NO_DEADLINE)), "%s", point);
	cr_expect(eq(u64, value_of(crew.lane, slot), 12));
}

Test(lane, what_comes_while_a_worker_goes_to_sleep_is_found, .timeout = 20)
{
	if (carom_point_arm("lane.alive", 1) == -EOPNOTSUPP)
		cr_skip_test("built without -Dpoints=true");
	carom_point_disarm_all();
	submit_while_stopped_at("lane.spin.found", SPINNING);
	submit_while_stopped_at("lane.park.reset", SPINNING);
	submit_while_stopped_at("lane.park.reset", PARKED);
	submit_while_stopped_at("lane.park.idle", SPINNING);
	submit_while_stopped_at("lane.park.idle", PARKED);
	submit_while_stopped_at("lane.park.look", SPINNING);
	submit_while_stopped_at("lane.park.look", PARKED);
}

/* ---- taking back ---- */

Test(lane, what_nobody_has_begun_can_be_taken_back, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = { 0 };
	struct gate *gate;
	uint32_t running, taken_back, later;
	struct waiter waiter;

	begun = share(16);
	crew = new_crew(1, 4, PARKED);
	gate = crew.gates;
	running = hold(crew.lane, gate);
	taken_back = submit(crew.lane, job_count, 0);
	later = submit(crew.lane, job_count, 1);
	start_waiter(&waiter, crew.lane, taken_back);

	cr_expect(not(carom_lane_withdraw(crew.lane, running)));
	cr_expect(carom_lane_withdraw(crew.lane, taken_back));
	cr_expect(zero(int, end_waiter(&waiter)));
	cr_expect(eq(int, state_of(crew.lane, taken_back), CAROM_SLOT_LOST));
	cr_expect(not(carom_lane_withdraw(crew.lane, taken_back)));

	atomic_store(&gate->open, 1);
	cr_expect(zero(int, wait_for(crew.lane, later, CAROM_NO_DEADLINE)));
	cr_expect(not(carom_lane_withdraw(crew.lane, later)));
	cr_expect(eq(u8, begun[0], 0));
	cr_expect(eq(u8, begun[1], 1));
}

/* ---- condemning ---- */

/* asleep in its finish: nothing that it waits for but the word of its slot can wake it */
static bool stands_still(const struct crew *crew)
{
	return is_asleep(crew->pids[0]);
}

Test(lane, a_condemned_worker_does_not_get_past_its_task, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 4, PARKED);
	struct gate *gate = crew.gates;
	uint32_t slot = hold(crew.lane, gate);
	uint32_t next = submit(crew.lane, job_triple, 7);

	cr_assert(carom_lane_condemn(crew.lane, slot, word_of(crew.lane, slot)));
	atomic_store(&gate->open, 1);
	await(stands_still(&crew));
	cr_expect(eq(int, state_of(crew.lane, slot), CAROM_SLOT_RUNNING));
	cr_expect(eq(int, state_of(crew.lane, next), CAROM_SLOT_READY));

	kill(crew.pids[0], SIGKILL);
	cr_expect(eq(int, join(&crew, 0), -SIGKILL));
	carom_lane_sweep(crew.lane, 0, lost, NULL);
	cr_expect(eq(int, state_of(crew.lane, slot), CAROM_SLOT_LOST));
	cr_expect(zero(u64, word_of(crew.lane, slot) & CAROM_SLOT_CONDEMNED));
	crew.pids[0] = new_worker(crew.lane, 0);
	cr_expect(zero(int, wait_for(crew.lane, next, CAROM_NO_DEADLINE)));
	cr_expect(eq(u64, value_of(crew.lane, next), 21));
}

Test(lane, a_pardoned_worker_goes_on, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 4, PARKED);
	struct gate *gate = crew.gates;
	uint32_t slot = hold(crew.lane, gate);
	struct waiter waiter;

	start_waiter(&waiter, crew.lane, slot);
	cr_assert(carom_lane_condemn(crew.lane, slot, word_of(crew.lane, slot)));
	atomic_store(&gate->open, 1);
	await(stands_still(&crew));
	cr_expect(eq(int, state_of(crew.lane, slot), CAROM_SLOT_RUNNING));

	carom_lane_pardon(crew.lane, slot);
	cr_expect(zero(int, end_waiter(&waiter)));
	cr_expect(eq(int, state_of(crew.lane, slot), CAROM_SLOT_DONE));
	cr_expect(zero(u64, word_of(crew.lane, slot) & CAROM_SLOT_CONDEMNED));
	slot = submit(crew.lane, job_triple, 2);
	cr_expect(zero(int, wait_for(crew.lane, slot, CAROM_NO_DEADLINE)));
}

Test(lane, who_has_got_past_its_task_is_not_condemned, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 1, PARKED);
	struct gate *gate = crew.gates;
	uint32_t slot = hold(crew.lane, &gate[0]);
	uint64_t seen = word_of(crew.lane, slot);

	atomic_store(&gate[0].open, 1);
	cr_assert(zero(int, wait_for(crew.lane, slot, CAROM_NO_DEADLINE)));
	cr_expect(not(carom_lane_condemn(crew.lane, slot, seen)));
	/* nor for the task that came after, in the same slot of the same worker */
	carom_lane_give(crew.lane, slot);
	cr_assert(eq(u32, hold(crew.lane, &gate[1]), slot));
	cr_expect(not(carom_lane_condemn(crew.lane, slot, seen)));
	cr_expect(zero(u64, word_of(crew.lane, slot) & CAROM_SLOT_CONDEMNED));
	atomic_store(&gate[1].open, 1);
	cr_expect(zero(int, wait_for(crew.lane, slot, CAROM_NO_DEADLINE)));
}

static void job_stand(struct carom_lane *lane, struct carom_slot *slot)
{
	struct gate *gate = (void *)(uintptr_t)argument_of(slot);

	job_hold(lane, slot);
	carom_lane_go_on(lane, (uint32_t)(slot - carom_lane_slot(lane, 0)));
	atomic_fetch_add(&gate->arrived, 1);
}

Test(lane, a_condemned_worker_stands_where_its_task_asks, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 1, PARKED);
	struct gate *gate = crew.gates;
	uint32_t slot = submit(crew.lane, job_stand, (uint64_t)(uintptr_t)gate);

	await(atomic_load(&gate->arrived) == 1);
	cr_assert(carom_lane_condemn(crew.lane, slot, word_of(crew.lane, slot)));
	atomic_store(&gate->open, 1);
	await(stands_still(&crew));
	cr_expect(eq(u32, atomic_load(&gate->arrived), 1));
	carom_lane_pardon(crew.lane, slot);
	cr_expect(zero(int, wait_for(crew.lane, slot, CAROM_NO_DEADLINE)));
	cr_expect(eq(u32, atomic_load(&gate->arrived), 2));
}

/* ---- deaths ---- */

/* what is begun is lost or runs again, as the verdict says; the rest is untouched */
Test(lane, a_death_costs_the_task_that_was_running, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 8, PARKED);
	struct gate *gate = crew.gates;
	uint32_t done = submit(crew.lane, job_triple, 1), running, ready;

	cr_assert(zero(int, wait_for(crew.lane, done, CAROM_NO_DEADLINE)));
	running = hold(crew.lane, gate);
	ready = submit(crew.lane, job_triple, 2);
	kill(crew.pids[0], SIGKILL);
	cr_assert(eq(int, join(&crew, 0), -SIGKILL));

	carom_lane_sweep(crew.lane, 0, lost, NULL);
	cr_expect(eq(int, state_of(crew.lane, done), CAROM_SLOT_DONE));
	cr_expect(eq(int, state_of(crew.lane, running), CAROM_SLOT_LOST));
	cr_expect(eq(int, state_of(crew.lane, ready), CAROM_SLOT_READY));
	cr_expect(carom_lane_anything_ready(crew.lane));
	crew.pids[0] = new_worker(crew.lane, 0);
	cr_expect(zero(int, wait_for(crew.lane, ready, CAROM_NO_DEADLINE)));
	cr_expect(not(carom_lane_anything_ready(crew.lane)));
}

Test(lane, a_task_runs_again_where_the_verdict_says_so, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(2, 4, PARKED);
	struct gate *gate = crew.gates;
	uint32_t slot = hold(crew.lane, gate);
	uint32_t first = carom_slot_owner(word_of(crew.lane, slot));
	struct waiter waiter;

	start_waiter(&waiter, crew.lane, slot);
	kill(crew.pids[first], SIGKILL);
	cr_assert(eq(int, join(&crew, first), -SIGKILL));
	carom_lane_sweep(crew.lane, first, again, NULL);
	await(atomic_load(&gate->arrived) == 2); /* the other has it */
	cr_expect(eq(u32, carom_slot_owner(word_of(crew.lane, slot)), 1 - first));
	atomic_store(&gate->open, 1);
	cr_expect(zero(int, end_waiter(&waiter)));
	cr_expect(eq(int, state_of(crew.lane, slot), CAROM_SLOT_DONE));
}

/* Its idle bit is gone, and so the next wake-up goes to who can hear it. */
Test(lane, a_worker_that_died_asleep_takes_no_wake_up, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(2, 4, PARKED);
	uint32_t slot;

	await(atomic_load(&crew.lane->header->idle[0]) == 3);
	kill(crew.pids[0], SIGKILL);
	cr_assert(eq(int, join(&crew, 0), -SIGKILL));
	carom_lane_sweep(crew.lane, 0, lost, NULL);
	slot = submit(crew.lane, job_triple, 9);
	cr_expect(zero(int, wait_for(crew.lane, slot, CAROM_NO_DEADLINE)));
	cr_expect(eq(u64, value_of(crew.lane, slot), 27));
}

Test(lane, the_life_word_marks_a_death, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 4, PARKED);
	struct carom_lane_worker *entry = carom_lane_worker(crew.lane, 0);

	NEEDS("get_robust_list");
	await(atomic_load(&entry->ready_ns));
	cr_expect(eq(u32, atomic_load(&entry->life.word), carom_life_word(crew.pids[0])));
	cr_expect(not(carom_life_ended(&entry->life)));
	kill(crew.pids[0], SIGKILL);
	await(carom_life_ended(&entry->life));
	cr_expect(eq(int, join(&crew, 0), -SIGKILL));
	carom_lane_prepare(crew.lane, 0);
	cr_expect(zero(u32, atomic_load(&entry->life.word)));
	cr_expect(zero(u64, atomic_load(&entry->ready_ns)));
}

/* ---- stopping ---- */

Test(lane, draining_ends_workers_once_nothing_is_ready, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(3, 64, PARKED);
	struct gate *gate = crew.gates;
	uint32_t slots[32];

	for (int i = 0; i < 3; i++)
		slots[i] = hold(crew.lane, gate);
	for (int i = 3; i < 32; i++)
		slots[i] = submit(crew.lane, job_triple, (uint64_t)i);
	carom_lane_stop(crew.lane, CAROM_LANE_DRAIN);
	atomic_store(&gate->open, 1);
	for (uint32_t i = 0; i < 3; i++)
		cr_expect(zero(int, join(&crew, i)));
	for (int i = 0; i < 32; i++)
		cr_expect(eq(int, state_of(crew.lane, slots[i]), CAROM_SLOT_DONE));
}

Test(lane, halting_ends_workers_after_their_task, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 4, PARKED);
	struct gate *gate = crew.gates;
	uint32_t running = hold(crew.lane, gate);
	uint32_t ready = submit(crew.lane, job_triple, 1);

	carom_lane_stop(crew.lane, CAROM_LANE_HALT);
	atomic_store(&gate->open, 1);
	cr_expect(zero(int, join(&crew, 0)));
	cr_expect(eq(int, state_of(crew.lane, running), CAROM_SLOT_DONE));
	cr_expect(eq(int, state_of(crew.lane, ready), CAROM_SLOT_READY));
}

static void idle_workers_end(uint64_t spin_ns, enum carom_lane_stop how)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(4, 4, spin_ns);

	for (uint32_t i = 0; i < 4; i++)
		await(is_asleep(crew.pids[i]));
	carom_lane_stop(crew.lane, how);
	for (uint32_t i = 0; i < 4; i++)
		cr_expect(zero(int, join(&crew, i)));
}

Test(lane, stopping_ends_workers_that_sleep, .timeout = 20)
{
	idle_workers_end(PARKED, CAROM_LANE_DRAIN);
	idle_workers_end(SPINNING, CAROM_LANE_HALT);
}

/* ---- stale hints ---- */

static void submit_and_withdraw(struct carom_lane *lane)
{
	uint32_t slot = submit(lane, job_triple, 0);

	cr_assert(carom_lane_withdraw(lane, slot));
	carom_lane_give(lane, slot);
}

Test(lane, stale_hints_in_front_are_passed_without_a_worker)
{
	struct carom_lane *lane = new_lane(1, 2, PARKED);

	for (int i = 0; i < 1000; i++)
		submit_and_withdraw(lane);
	carom_lane_free(lane);
}

Test(lane, a_ring_full_of_stale_hints_says_so_until_a_worker_passes_them, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 4, PARKED);
	struct gate *gate = crew.gates;
	uint32_t running = hold(crew.lane, gate);
	uint32_t ready = submit(crew.lane, job_triple, 1); /* at the head, and not to be passed */
	uint32_t slot = carom_lane_take(crew.lane);
	uint64_t before = word_of(crew.lane, slot);
	bool woke;
	int r;

	carom_lane_give(crew.lane, slot);
	for (int i = 0; i < 7; i++) /* half of 16 cells, and one is the READY task's */
		submit_and_withdraw(crew.lane);
	slot = carom_lane_take(crew.lane);
	before = word_of(crew.lane, slot);
	fill(crew.lane, slot, job_triple, 2);
	r = carom_lane_submit(crew.lane, &slot, 1, &woke);
	cr_expect(eq(int, r, -EAGAIN));
	cr_expect(eq(u64, word_of(crew.lane, slot), before));

	atomic_store(&gate->open, 1);
	cr_expect(zero(int, wait_for(crew.lane, running, CAROM_NO_DEADLINE)));
	cr_expect(zero(int, wait_for(crew.lane, ready, CAROM_NO_DEADLINE)));
	cr_expect(zero(int, carom_lane_submit(crew.lane, &slot, 1, &woke)));
	cr_expect(zero(int, wait_for(crew.lane, slot, CAROM_NO_DEADLINE)));
	cr_expect(eq(u64, value_of(crew.lane, slot), 6));
}

Test(lane, slots_run_out_and_come_back)
{
	struct carom_lane *lane = new_lane(1, 3, PARKED);
	uint32_t slots[3];

	for (int i = 0; i < 3; i++) {
		slots[i] = carom_lane_take(lane);
		cr_expect(lt(u32, slots[i], 3));
	}
	cr_expect(eq(u32, carom_lane_take(lane), CAROM_LANE_NO_SLOT));
	carom_lane_give(lane, slots[1]);
	cr_expect(eq(u32, carom_lane_take(lane), slots[1]));
	carom_lane_free(lane);
}

/* ---- counters that wrap ---- */

/* The ring as it is after @position tasks: each cell is of the lap before. */
static void age(struct carom_lane *lane, uint64_t position, uint32_t generation)
{
	for (uint64_t i = position - lane->ring_count; i < position; i++)
		atomic_store(ring_at(lane, i), ring_cell(lane, i, 0, generation - 1));
	atomic_store(&lane->header->head, position);
	lane->tail = position;
	for (uint32_t slot = 0; slot < lane->view.slot_count; slot++) {
		lane->own[slot].generation = generation;
		atomic_store(&lane->view.slots[slot].word,
			     CAROM_SLOT_WORD(generation, CAROM_LANE_NOBODY, 0, CAROM_SLOT_FREE));
	}
}

Test(lane, generations_and_laps_wrap_around, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = { .worker_count = 2 };
	uint64_t position;

	begun = share(2000);
	crew.lane = new_lane(2, 4, PARKED);
	/* the lap becomes 0 after ten laps, the generations after some dozen tasks each */
	position = (UINT64_C(65535) - 10) * crew.lane->ring_count + 3;
	age(crew.lane, position, UINT32_MAX - 20);
	for (uint32_t i = 0; i < 2; i++)
		crew.pids[i] = new_worker(crew.lane, i);
	for (uint64_t next = 0; next < 2000; next += 4) {
		uint32_t slots[4];
		bool woke;

		prepare_some(crew.lane, slots, 4, next);
		cr_assert(zero(int, carom_lane_submit(crew.lane, slots, 4, &woke)));
		collect(crew.lane, slots, 4, next, true);
	}
	for (int i = 0; i < 2000; i++)
		cr_assert(eq(u8, begun[i], 1), "task %d", i);
	cr_expect(lt(u64, (UINT64_C(65536) + 10) * crew.lane->ring_count, crew.lane->tail));
}

/* ---- payloads ---- */

static void job_reverse(struct carom_lane *lane, struct carom_slot *slot)
{
	const unsigned char *from =
		(unsigned char *)carom_lane_arguments(lane) + slot->argument.offset;
	uint64_t size = slot->argument_size;
	unsigned char *to;

	if (carom_arena_alloc(carom_lane_arena(lane), size, &slot->value.offset) < 0)
		_exit(98);
	to = (unsigned char *)carom_lane_values(lane, 0) + slot->value.offset;
	for (uint64_t i = 0; i < size; i++)
		to[i] = from[size - 1 - i];
	slot->value_size = size;
}

Test(lane, payloads_travel_in_place, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(2, 8, PARKED);
	uint64_t seed = new_seed();
	struct carom_arena arguments;

	carom_arena_init(&arguments, carom_lane_arguments(crew.lane), 0,
			 carom_lane_payload_size(crew.lane), NULL);
	for (int round = 0; round < 3000; round++) {
		uint32_t size = 33 + chance(&seed) % 20000, slot = carom_lane_take(crew.lane),
			 owner;
		struct carom_slot *lines = carom_lane_slot(crew.lane, slot);
		unsigned char *argument, *value;
		bool woke;

		cr_assert(zero(int, carom_arena_alloc(&arguments, size, &lines->argument.offset)));
		argument =
			(unsigned char *)carom_lane_arguments(crew.lane) + lines->argument.offset;
		memset(argument, round, size);
		argument[0] = 17;
		lines->function = (uint64_t)(uintptr_t)job_reverse;
		lines->argument_size = size;
		cr_assert(zero(int, carom_lane_submit(crew.lane, &slot, 1, &woke)));
		cr_assert(zero(int, wait_for(crew.lane, slot, CAROM_NO_DEADLINE)));

		owner = carom_slot_owner(word_of(crew.lane, slot));
		value = (unsigned char *)carom_lane_values(crew.lane, owner) + lines->value.offset;
		cr_assert(eq(u64, lines->value_size, size));
		cr_assert(eq(u8, value[size - 1], 17));
		cr_assert(eq(u8, value[0], round & 0xff));
		cr_assert(zero(int, memcmp(value, argument + 1, size - 1)));
		carom_arena_return(carom_lane_values(crew.lane, owner),
				   &carom_lane_worker(crew.lane, owner)->returned,
				   lines->value.offset, size);
		carom_arena_free(&arguments, lines->argument.offset, size);
		carom_lane_give(crew.lane, slot);
	}
}

/* ---- what a worker may touch ---- */

static void job_write_argument(struct carom_lane *lane, struct carom_slot *slot)
{
	signal(SIGSEGV, SIG_DFL);
	*(volatile char *)carom_lane_arguments(lane) = 1;
}

Test(lane, a_worker_cannot_write_arguments, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 4, PARKED);
	uint32_t slot;

	*(char *)carom_lane_arguments(crew.lane) = 5;
	slot = submit(crew.lane, job_write_argument, 0);
	cr_expect(eq(int, join(&crew, 0), -SIGSEGV));
	cr_expect(eq(i8, *(char *)carom_lane_arguments(crew.lane), 5));
	carom_lane_sweep(crew.lane, 0, lost, NULL);
	cr_expect(eq(int, state_of(crew.lane, slot), CAROM_SLOT_LOST));
}

static uint64_t lane_mapping_count(void)
{
	FILE *file = fopen("/proc/self/maps", "r");
	uint64_t count = 0;
	char line[512];

	while (file && fgets(line, sizeof(line), file))
		count += strstr(line, "memfd:carom-lane") != NULL;
	if (file)
		fclose(file);
	return count;
}

static void job_fork_and_count(struct carom_lane *lane, struct carom_slot *slot)
{
	uint64_t own = lane_mapping_count();
	pid_t pid = fork();
	int status = 0;

	if (pid == 0)
		_exit((int)lane_mapping_count());
	waitpid(pid, &status, 0);
	reply(slot, own * 100 + (uint64_t)(WIFEXITED(status) ? WEXITSTATUS(status) : 99));
}

Test(lane, a_process_that_a_task_forks_has_nothing_of_the_lane, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(2, 4, PARKED);
	uint32_t slot = submit(crew.lane, job_fork_and_count, 0);

	cr_assert(zero(int, wait_for(crew.lane, slot, CAROM_NO_DEADLINE)));
	/* the worker: control, arguments, its own values */
	cr_expect(eq(u64, value_of(crew.lane, slot), 300));
}

/* ---- nonsense ---- */

static int attach(int fd, uint32_t worker)
{
	struct carom_lane *untouched = (void *)16, *lane = untouched;
	int r = carom_lane_attach(fd, -1, worker, 0, UINT64_MAX, &lane);

	if (r < 0)
		cr_expect(eq(ptr, lane, untouched));
	else
		carom_lane_free(lane);
	return r;
}

Test(lane, attaching_refuses_what_is_no_lane)
{
	struct carom_segment *zeros;
	int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	cr_expect(eq(int, attach(-1, 0), -EBADMSG));
	cr_expect(eq(int, attach(null_fd, 0), -EBADMSG));
	close(null_fd);
	cr_assert(
		zero(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = CAROM_MIB(1)), &zeros)));
	cr_expect(eq(int, attach(carom_segment_fd(zeros), 0), -EBADMSG));
	carom_segment_free(zeros);
}

Test(lane, attaching_refuses_a_worker_that_the_lane_has_not)
{
	struct carom_lane *lane = new_lane(3, 4, PARKED);

	cr_expect(zero(int, attach(carom_lane_fd(lane), 2)));
	cr_expect(eq(int, attach(carom_lane_fd(lane), 3), -EINVAL));
	cr_expect(eq(int, attach(carom_lane_fd(lane), UINT32_MAX), -EINVAL));
	carom_lane_free(lane);
}

Test(lane, attaching_refuses_a_layout_of_another_kind)
{
	struct carom_lane *lane = new_lane(3, 4, PARKED);
	unsigned char *bytes = (void *)lane->header;

	for (size_t i = 0; i < offsetof(struct lane_header, head); i++) {
		bool is_taste = i - offsetof(struct lane_header, spin_ns) < sizeof(uint64_t) ||
				i - offsetof(struct lane_header, backlog_max) < sizeof(uint32_t);

		bytes[i] ^= 0x81;
		cr_expect(eq(int, attach(carom_lane_fd(lane), 0), is_taste ? 0 : -EBADMSG),
			  "byte %zu", i);
		bytes[i] ^= 0x81;
	}
	cr_expect(zero(int, attach(carom_lane_fd(lane), 0)));
	carom_lane_free(lane);
}

Test(lane, attaching_refuses_a_file_that_is_too_small)
{
	struct carom_lane *lane = new_lane(1, 4, PARKED);
	struct carom_segment *small;

	cr_assert(
		zero(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = CAROM_MIB(1)), &small)));
	memcpy(carom_segment_data(small), lane->header, lane->control_size);
	cr_expect(eq(int, attach(carom_segment_fd(small), 0), -EBADMSG));
	carom_segment_free(small);
	carom_lane_free(lane);
}

Test(lane, making_one_reports_what_does_not_fit)
{
	struct carom_lane_options options = { .worker_count = 1000,
					      .slot_count = 4,
					      .payload_size = UINT64_C(1) << 62 };
	struct carom_lane *untouched = (void *)16, *lane = untouched;

	cr_expect(eq(int, carom_lane_new(&options, &lane), -EOVERFLOW));
	options.payload_size = UINT64_C(1) << 50;
	cr_expect(lt(int, carom_lane_new(&options, &lane), 0));
	cr_expect(eq(ptr, lane, untouched));
	options.payload_size = 0; /* whatever fits */
	cr_assert(zero(int, carom_lane_new(&options, &lane)));
	cr_expect(ge(u64, carom_lane_payload_size(lane), CAROM_MIB(1)));
	carom_lane_free(lane);
}

/* A worker writes all over what it may write: the parent goes on, or is told. */
Test(lane, the_parent_survives_nonsense_in_masks, .timeout = 20)
{
	struct carom_lane *lane = new_lane(1, 4, SPINNING);
	uint32_t slot;

	memset((void *)lane->header->idle, 0xff, sizeof(lane->header->idle));
	slot = submit(lane, job_triple, 1);
	cr_expect(eq(int, wait_for(lane, slot, carom_deadline_after(CAROM_MILLISECONDS(1))),
		     -ETIMEDOUT));
	memset((void *)lane->header->idle, 0xff, sizeof(lane->header->idle));
	memset((void *)lane->header->spinning, 0xff, sizeof(lane->header->spinning));
	slot = submit(lane, job_triple, 1);
	cr_expect(eq(int, wait_for(lane, slot, carom_deadline_after(CAROM_MILLISECONDS(1))),
		     -ETIMEDOUT));
	carom_lane_sweep(lane, 0, lost, NULL);
	cr_expect(eq(int, state_of(lane, slot), CAROM_SLOT_READY));
	carom_lane_free(lane);
}

Test(lane, the_parent_is_told_of_nonsense_in_the_head, .timeout = 20)
{
	static const uint64_t heads[] = { 1, 1000, UINT64_MAX / 2, UINT64_MAX - 100 };
	struct carom_lane *lane = new_lane(1, 4, PARKED);
	uint32_t slot = carom_lane_take(lane);
	uint64_t before = word_of(lane, slot);
	bool woke;

	for (int i = 0; i < 4; i++) {
		atomic_store(&lane->header->head, heads[i]);
		lane->head_seen = lane->tail - lane->ring_count; /* it looks when it seems full */
		cr_expect(eq(int, carom_lane_submit(lane, &slot, 1, &woke), -EBADMSG));
		cr_expect(eq(u64, word_of(lane, slot), before));
	}
	carom_lane_free(lane);
}

/* MS-06 */
Test(lane, a_worker_passes_cells_of_nonsense, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = { .worker_count = 1 };
	uint32_t slot;

	crew.lane = new_lane(1, 4, PARKED);
	for (int i = 0; i < 3; i++) {
		uint64_t position = crew.lane->tail++;

		atomic_store(ring_at(crew.lane, position),
			     ring_lap(crew.lane, position) << 48 |
				     (UINT64_C(0xffff) - (uint64_t)i) << 32 | 1);
	}
	crew.pids[0] = new_worker(crew.lane, 0);
	slot = submit(crew.lane, job_triple, 3);
	cr_expect(zero(int, wait_for(crew.lane, slot, CAROM_NO_DEADLINE)));
	cr_expect(eq(u64, value_of(crew.lane, slot), 9));
}
