/*
 * Lanes where tasks may wait for a worker that is awake, so that fewer are woken.
 */
#include "tests/ipc/crew.h"

#define PARKED   CAROM_LANE_SPIN_NEVER
#define SPINNING CAROM_MICROSECONDS(20)
#define BACKLOG  4

static struct crew crew_with_backlog(uint32_t worker_count, uint64_t spin_ns)
{
	crew_backlog_max = BACKLOG;
	return new_crew(worker_count, 64, spin_ns);
}

static bool sleeps(const struct crew *crew, uint32_t worker)
{
	return lane_is_idle(crew->lane, worker) && is_asleep(crew->pids[worker]);
}

static void await_all_asleep(const struct crew *crew)
{
	for (uint32_t i = 0; i < crew->worker_count; i++)
		await(sleeps(crew, i));
}

static uint32_t sleeper_count(const struct crew *crew)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < crew->worker_count; i++)
		count += lane_is_idle(crew->lane, i);
	return count;
}

static bool submit_another(struct carom_lane *lane, uint32_t *ret_slot)
{
	bool woke;

	*ret_slot = carom_lane_take(lane);
	fill(lane, *ret_slot, job_triple, 1);
	cr_assert(zero(int, carom_lane_submit(lane, ret_slot, 1, &woke)));
	return woke;
}

Test(backlog, wakes_nobody_while_a_worker_is_awake, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = crew_with_backlog(3, PARKED);
	uint32_t held, slots[BACKLOG];

	await_all_asleep(&crew);
	held = hold(crew.lane, crew.gates);
	for (int i = 0; i < BACKLOG; i++)
		cr_expect(not(submit_another(crew.lane, &slots[i])));
	cr_expect(eq(u32, sleeper_count(&crew), 2));
	for (int i = 0; i < BACKLOG; i++)
		cr_expect(eq(int, state_of(crew.lane, slots[i]), CAROM_SLOT_READY));

	atomic_store(&crew.gates->open, 1);
	for (int i = 0; i < BACKLOG; i++) {
		cr_expect(zero(int, wait_for(crew.lane, slots[i], CAROM_NO_DEADLINE)));
		cr_expect(eq(u32, carom_slot_owner(word_of(crew.lane, slots[i])),
			     carom_slot_owner(word_of(crew.lane, held))));
	}
}

Test(backlog, wakes_another_when_more_wait_than_may, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = crew_with_backlog(2, PARKED);
	uint32_t slots[BACKLOG + 1];

	await_all_asleep(&crew);
	hold(crew.lane, crew.gates);
	for (int i = 0; i < BACKLOG; i++)
		cr_expect(not(submit_another(crew.lane, &slots[i])));
	cr_expect(submit_another(crew.lane, &slots[BACKLOG]));
	for (int i = 0; i <= BACKLOG; i++)
		cr_expect(zero(int, wait_for(crew.lane, slots[i], CAROM_NO_DEADLINE)));
	cr_expect(zero(u32, atomic_load(&crew.gates->open)));
	atomic_store(&crew.gates->open, 1);
}

/* The one who is woken for many at once wakes the next, as far as they are worth it. */
Test(backlog, passes_wakes_on_as_long_as_more_wait_than_may, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = crew_with_backlog(3, PARKED);
	uint32_t slots[BACKLOG + 2];
	bool woke;

	await_all_asleep(&crew);
	for (int i = 0; i < BACKLOG + 2; i++) {
		slots[i] = carom_lane_take(crew.lane);
		fill(crew.lane, slots[i], job_hold, (uint64_t)(uintptr_t)crew.gates);
	}
	cr_assert(zero(int, carom_lane_submit(crew.lane, slots, BACKLOG + 2, &woke)));
	await(atomic_load(&crew.gates->arrived) == 2);
	cr_expect(eq(u32, sleeper_count(&crew), 1));
	atomic_store(&crew.gates->open, 1);
	for (int i = 0; i < BACKLOG + 2; i++)
		cr_expect(zero(int, wait_for(crew.lane, slots[i], CAROM_NO_DEADLINE)));
}

static enum carom_sweep_verdict lost(uint32_t slot, void *userdata)
{
	return CAROM_SWEEP_LOST;
}

Test(backlog, of_a_dead_worker_is_another_ones, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = crew_with_backlog(2, PARKED);
	uint32_t held, owner, slot;

	await_all_asleep(&crew);
	held = hold(crew.lane, crew.gates);
	owner = carom_slot_owner(word_of(crew.lane, held));
	cr_expect(not(submit_another(crew.lane, &slot)));
	killed(carom_take_fd(crew.pids[owner]));
	cr_expect(eq(int, state_of(crew.lane, slot), CAROM_SLOT_READY));
	carom_lane_sweep(crew.lane, owner, lost, NULL);
	cr_expect(zero(int, wait_for(crew.lane, slot, CAROM_NO_DEADLINE)));
	cr_expect(eq(int, state_of(crew.lane, slot), CAROM_SLOT_DONE));
	cr_expect(eq(int, state_of(crew.lane, held), CAROM_SLOT_LOST));
}

/* Now and then all have gone to sleep in between, now and then nobody has. */
static void every_task_is_done(uint32_t worker_count, uint64_t spin_ns)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = crew_with_backlog(worker_count, spin_ns);
	uint64_t seed = new_seed();
	uint32_t slots[32];

	for (int round = 0; round < 3000; round++) {
		uint32_t count = 1 + chance(&seed) % 32;

		for (uint32_t i = 0; i < count; i++)
			slots[i] = submit(crew.lane, job_triple, i);
		for (uint32_t i = count; i-- > 0;) {
			cr_assert(zero(int, wait_for(crew.lane, slots[i], CAROM_NO_DEADLINE)));
			cr_assert(eq(u64, value_of(crew.lane, slots[i]), i * 3));
			carom_lane_give(crew.lane, slots[i]);
		}
	}
}

Test(backlog, leaves_no_task_with_two_workers_parked, .timeout = 60)
{
	every_task_is_done(2, PARKED);
}

Test(backlog, leaves_no_task_with_four_workers_spinning, .timeout = 60)
{
	every_task_is_done(4, SPINNING);
}
