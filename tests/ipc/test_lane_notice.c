/*
 * Lane: notices to the parent, and leave to begin.
 *
 * Waits have no deadline: a ring that was lost is for the test's own time limit to find.
 */
#include "tests/ipc/crew.h"

#include <poll.h>
#include <sys/eventfd.h>

#include "core/points.h"

#define PARKED CAROM_LANE_SPIN_NEVER

static uint32_t submit_noticed(struct carom_lane *lane, job_fn *job, uint64_t argument,
			       uint32_t flags)
{
	uint32_t slot = carom_lane_take(lane);
	bool woke;

	cr_assert(ne(u32, slot, CAROM_LANE_NO_SLOT));
	fill(lane, slot, job, argument);
	carom_lane_slot(lane, slot)->flags = flags & 0x3f;
	cr_assert(zero(int, carom_lane_submit(lane, &slot, 1, &woke)));
	return slot;
}

/* sleeps until a slot is to be looked at */
static uint32_t next_notice(struct carom_lane *lane)
{
	for (;;) {
		uint32_t slot = carom_lane_noticed(lane, 0);

		if (slot != CAROM_LANE_NO_SLOT)
			return slot;
		if (carom_lane_arm(lane))
			carom_lane_await_notice(lane, CAROM_NO_DEADLINE);
	}
}

Test(lane_notice, the_end_of_a_task_is_noticed, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 8, PARKED);
	uint32_t slot = submit_noticed(crew.lane, job_triple, 5, CAROM_TASK_END);

	cr_expect(eq(u32, next_notice(crew.lane), slot));
	cr_expect(eq(int, state_of(crew.lane, slot), CAROM_SLOT_DONE));
	cr_expect(eq(u64, value_of(crew.lane, slot), 15));
	cr_expect(eq(u32, carom_lane_noticed(crew.lane, 0), CAROM_LANE_NO_SLOT), "told once");
}

/* MS-08 */
Test(lane_notice, a_task_without_notice_leaves_none, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 8, PARKED);
	uint32_t quiet = submit_noticed(crew.lane, job_triple, 5, 0);
	uint32_t loud = submit_noticed(crew.lane, job_triple, 6, CAROM_TASK_END);

	cr_expect(eq(u32, next_notice(crew.lane), loud));
	cr_expect(eq(int, state_of(crew.lane, quiet), CAROM_SLOT_DONE));
	cr_expect(eq(u32, carom_lane_noticed(crew.lane, 0), CAROM_LANE_NO_SLOT));
}

Test(lane_notice, no_ring_is_lost_when_both_sides_sleep, .timeout = 60)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(2, 8, PARKED);

	for (uint64_t i = 0; i < 20000; i++) {
		uint32_t slot = submit_noticed(crew.lane, job_triple, i, CAROM_TASK_END);

		while (next_notice(crew.lane) != slot)
			;
		cr_assert(eq(u64, value_of(crew.lane, slot), i * 3));
		carom_lane_give(crew.lane, slot);
	}
}

Test(lane_notice, waiting_for_a_notice_ends_at_the_deadline, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 8, PARKED);

	cr_assert(carom_lane_arm(crew.lane));
	cr_expect(
		eq(int,
		   carom_lane_await_notice(crew.lane, carom_deadline_after(CAROM_MILLISECONDS(1))),
		   -ETIMEDOUT));
}

Test(lane_notice, what_was_withdrawn_is_noticed)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = { .lane = new_lane(1, 8, PARKED) };
	uint32_t slot = submit_noticed(crew.lane, job_triple, 1, CAROM_TASK_END);

	cr_assert(carom_lane_withdraw(crew.lane, slot));
	cr_expect(eq(u32, carom_lane_noticed(crew.lane, 0), slot));
}

Test(lane_notice, every_slot_has_a_bit)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = { .lane = new_lane(1, 130, PARKED) };

	for (uint32_t slot = 0; slot < 130; slot += 43)
		carom_lane_notice(crew.lane, slot);
	for (uint32_t slot = 0; slot < 130; slot += 43)
		cr_expect(eq(u32, carom_lane_noticed(crew.lane, slot ? slot - 1 : 0), slot));
	carom_lane_notice(crew.lane, 1);
	cr_expect(eq(u32, carom_lane_noticed(crew.lane, 2), CAROM_LANE_NO_SLOT));
	cr_expect(not(carom_lane_arm(crew.lane)), "slot 1 was left");
}

/* ---- by a descriptor ---- */

static int bell_fd;

static void job_set_bell(struct carom_lane *lane, struct carom_slot *slot)
{
	carom_lane_set_bell(lane, bell_fd);
	reply(slot, 1);
}

static bool is_readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 1;
}

Test(lane_notice, a_bell_that_is_a_descriptor_becomes_readable_once, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = { .lane = NULL };
	struct pollfd poll_fd = { .events = POLLIN };
	uint64_t count;

	bell_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	cr_assert(ge(int, bell_fd, 0));
	crew = new_crew(1, 8, PARKED);
	carom_lane_set_bell(crew.lane, bell_fd);
	cr_assert(zero(int,
		       wait_for(crew.lane, submit(crew.lane, job_set_bell, 0), CAROM_NO_DEADLINE)));
	cr_assert(carom_lane_arm(crew.lane));
	for (uint64_t i = 0; i < 3; i++)
		submit_noticed(crew.lane, job_triple, i, CAROM_TASK_END);
	poll_fd.fd = bell_fd;
	cr_assert(eq(int, poll(&poll_fd, 1, -1), 1));
	cr_assert(zero(int,
		       wait_for(crew.lane, submit(crew.lane, job_triple, 9), CAROM_NO_DEADLINE)));
	cr_assert(eq(sz, read(bell_fd, &count, sizeof(count)), sizeof(count)));
	cr_expect(eq(u64, count, 1), "one ring for a burst");
	cr_expect(not(is_readable(bell_fd)));
	close(bell_fd);
}

/* ---- deaths ---- */

static enum carom_sweep_verdict lose(uint32_t slot, void *userdata)
{
	return CAROM_SWEEP_LOST;
}

static void check_death_at(const char *point)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = { .lane = NULL };
	uint32_t slot;

	crew = new_crew(1, 8, PARKED);
	cr_assert(carom_lane_arm(crew.lane));
	cr_assert(zero(int, carom_point_arm(point, 1)));
	slot = submit_noticed(crew.lane, job_triple, 5, CAROM_TASK_END);
	cr_assert(eq(int, join(&crew, 0), -SIGKILL));
	carom_point_disarm_all();
	crew.pids[0] = 0;
	carom_lane_sweep(crew.lane, 0, lose, NULL);
	cr_expect(zero(int, carom_lane_await_notice(crew.lane, CAROM_NO_DEADLINE)), "%s", point);
	cr_expect(eq(u32, carom_lane_noticed(crew.lane, 0), slot), "%s", point);
	cr_expect(eq(int, state_of(crew.lane, slot), CAROM_SLOT_DONE), "the value counts");
	cr_expect(eq(u64, value_of(crew.lane, slot), 15));
}

Test(lane_notice, a_death_on_the_way_does_not_cost_the_notice, .timeout = 30)
{
	if (carom_point_arm("lane.alive", 1) == -EOPNOTSUPP)
		cr_skip_test("built without points");
	carom_point_disarm_all();
	check_death_at("lane.done.after");
	check_death_at("lane.notice.before");
	check_death_at("lane.notice.set");
}

Test(lane_notice, a_task_that_is_lost_is_noticed, .timeout = 20)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 8, PARKED);
	struct gate *gate = crew.gates;
	uint32_t slot =
		submit_noticed(crew.lane, job_hold, (uint64_t)(uintptr_t)gate, CAROM_TASK_END);

	await(atomic_load(&gate->arrived) == 1);
	killed(crew.pids[0]);
	crew.pids[0] = 0;
	carom_lane_sweep(crew.lane, 0, lose, NULL);
	cr_expect(eq(u32, next_notice(crew.lane), slot));
	cr_expect(eq(int, state_of(crew.lane, slot), CAROM_SLOT_LOST));
}

/* ---- leave to begin ---- */

static void job_ask(struct carom_lane *lane, struct carom_slot *slot)
{
	uint32_t index = (uint32_t)(slot - carom_lane_slot(lane, 0));

	reply(slot, carom_lane_ask_leave(lane, index) ? 1 : 2);
}

static void check_leave(bool granted, uint64_t expected)
{
	CAROM_CLEANUP(crew_deinit) struct crew crew = new_crew(1, 8, PARKED);
	uint32_t slot = submit_noticed(crew.lane, job_ask, 0, CAROM_TASK_LEAVE);
	uint32_t generation = carom_lane_generation(crew.lane, slot);

	cr_assert(eq(u32, next_notice(crew.lane), slot));
	cr_expect(eq(int, state_of(crew.lane, slot), CAROM_SLOT_RUNNING));
	cr_expect(not(carom_lane_give_leave(crew.lane, slot, generation - 1, granted)));
	cr_expect(carom_lane_give_leave(crew.lane, slot, generation, granted));
	cr_expect(not(carom_lane_give_leave(crew.lane, slot, generation, !granted)),
		  "the first answer counts");
	cr_assert(zero(int, wait_for(crew.lane, slot, CAROM_NO_DEADLINE)));
	cr_expect(eq(u64, value_of(crew.lane, slot), expected));
	cr_expect(not(carom_lane_give_leave(crew.lane, slot, generation, granted)), "ended");
}

Test(lane_notice, a_worker_begins_with_leave, .timeout = 20)
{
	check_leave(true, 1);
}

Test(lane_notice, a_worker_does_not_begin_without, .timeout = 20)
{
	check_leave(false, 2);
}
