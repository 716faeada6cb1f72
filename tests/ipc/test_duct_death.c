/*
 * Who sends through shared memory, or receives, dies as soon as the other end can see what it has
 * done, and before it has woken anybody. The test has all ends too, so nothing is at its end, and
 * does nothing with them, so nobody makes up for it: whoever sleeps hears of it all the same.
 */
#include "tests/ipc/ends.h"
#include "tests/ipc/rings.h"

#include "core/points.h"
#include "ipc/wait.h"

/* Told, and nobody was woken; and nobody is to be, as it seems. */
static const char *const points[] = { "ring.published", "ring.waking" };

static void need_points(void)
{
	if (carom_point_arm("ring.nowhere", 1) == -EOPNOTSUPP)
		cr_skip_test("skipped: built without points");
}

/* ---- who sleeps ---- */

static pid_t receiver(struct carom_connection *connection)
{
	char byte;
	pid_t pid = child();

	if (pid == 0)
		_exit(take(connection, &byte, 1) != 1);
	return pid;
}

#define BLOCK 1000 /* of which four fill the ring */

/* What is in its way is room for one block. */
static pid_t sender(struct carom_connection *connection)
{
	static const char block[BLOCK];
	pid_t pid;

	while (carom_connection_send_bytes(connection, block, BLOCK, CAROM_PASSED) == 0)
		;
	pid = child();
	if (pid == 0)
		_exit(give(connection, block, BLOCK) != 0);
	return pid;
}

/* ---- who dies ---- */

static void expect_death(pid_t pid, const char *point)
{
	cr_assert(eq(int, ended(pid), -SIGKILL), "%s", point);
	carom_point_disarm_all();
}

/* At the point for the @nth time. */
static void send_and_die_at(struct carom_connection *connection, const char *point, uint32_t nth)
{
	pid_t pid;

	cr_assert(zero(int, carom_point_arm_once(point, nth, SIGKILL)));
	pid = child();
	if (pid == 0)
		_exit(give(connection, "x", 1));
	expect_death(pid, point);
}

static void send_and_die(struct carom_connection *connection, const char *point)
{
	send_and_die_at(connection, point, 1);
}

/* Of a quarter of the ring it tells at the latest. */
static void receive_and_die(struct carom_connection *connection, const char *point)
{
	char block[BLOCK];
	pid_t pid;

	cr_assert(zero(int, carom_point_arm_once(point, 1, SIGKILL)));
	pid = child();
	if (pid == 0)
		while (take(connection, block, BLOCK) == BLOCK)
			;
	expect_death(pid, point);
}

/* ---- asleep in a ring ---- */

static void hear_of_messages(void)
{
	need_points();
	for (const char *const *point = points; point < points + 2; point++) {
		MEMORY(first, second, .buffer_size = 4096);
		pid_t sleeper = receiver(second);

		await_sleeper(sleeper, find_side(0, CAROM_RING_CONSUMER));
		send_and_die(first, *point);
		cr_expect(zero(int, ended(sleeper)), "%s", *point);
	}
}

Test(duct_death, receiver_hears_of_what_the_dead_have_sent, .timeout = 60)
{
	hear_of_messages();
}

/* What is slept on then is looked at now and then. */
Test(duct_death, receiver_hears_of_it_without_futex_waitv, .timeout = 60)
{
	setenv("CAROM_DENY", "futex_waitv", 1);
	hear_of_messages();
}

Test(duct_death, receiver_hears_of_it_without_lists_of_locks, .timeout = 60)
{
	setenv("CAROM_DENY", "robust_list", 1);
	hear_of_messages();
}

static void hear_of_room(void)
{
	need_points();
	for (const char *const *point = points; point < points + 2; point++) {
		MEMORY(first, second, .buffer_size = 4096);
		pid_t sleeper = sender(first);

		await_sleeper(sleeper, find_side(0, CAROM_RING_PRODUCER));
		receive_and_die(second, *point);
		cr_expect(zero(int, ended(sleeper)), "%s", *point);
	}
}

Test(duct_death, sender_hears_of_the_room_that_the_dead_have_made, .timeout = 60)
{
	hear_of_room();
}

Test(duct_death, sender_hears_of_it_without_futex_waitv, .timeout = 60)
{
	setenv("CAROM_DENY", "futex_waitv", 1);
	hear_of_room();
}

Test(duct_death, sender_hears_of_it_without_lists_of_locks, .timeout = 60)
{
	setenv("CAROM_DENY", "robust_list", 1);
	hear_of_room();
}

/* The steps of falling asleep, of who does not look often before. */
static const struct step {
	const char *point;
	uint32_t nth;
} steps[] = {
	{ "ring.asleep", 1 }, { "ring.looking", 3 }, { "ring.looked", 3 }, { "ring.sleeping", 1 }
};

static void arm_step(const struct step *step)
{
	cr_assert(zero(int, carom_point_arm_once(step->point, step->nth, SIGSTOP)));
}

static void await_step(pid_t pid)
{
	cr_assert(eq(int, stopped(pid), pid));
	carom_point_disarm_all();
}

Test(duct_death, whatever_step_of_falling_asleep_a_message_comes_after, .timeout = 60)
{
	need_points();
	for (const struct step *step = steps; step < steps + 4; step++)
		for (const char *const *point = points; point < points + 2; point++) {
			MEMORY(first, second, .buffer_size = 4096, .spin_ns = CAROM_SPIN_NEVER);
			pid_t sleeper;

			arm_step(step);
			sleeper = receiver(second);
			await_step(sleeper);
			send_and_die(first, *point);
			kill(sleeper, SIGCONT);
			cr_expect(zero(int, ended(sleeper)), "%s, %s", step->point, *point);
		}
}

Test(duct_death, whatever_step_of_falling_asleep_room_comes_after, .timeout = 60)
{
	need_points();
	for (const struct step *step = steps; step < steps + 4; step++)
		for (const char *const *point = points; point < points + 2; point++) {
			MEMORY(first, second, .buffer_size = 4096, .spin_ns = CAROM_SPIN_NEVER);
			pid_t sleeper;

			arm_step(step);
			sleeper = sender(first);
			await_step(sleeper);
			receive_and_die(second, *point);
			kill(sleeper, SIGCONT);
			cr_expect(zero(int, ended(sleeper)), "%s, %s", step->point, *point);
		}
}

Test(duct_death, both_directions_at_once, .timeout = 60)
{
	need_points();
	for (const char *const *point = points; point < points + 2; point++) {
		MEMORY(first, second, .buffer_size = 4096);
		pid_t sleepers[2] = { receiver(first), receiver(second) };

		await_sleeper(sleepers[0], find_side(1, CAROM_RING_CONSUMER));
		await_sleeper(sleepers[1], find_side(0, CAROM_RING_CONSUMER));
		send_and_die(first, *point);
		cr_expect(zero(int, ended(sleepers[1])), "%s", *point);
		send_and_die(second, *point);
		cr_expect(zero(int, ended(sleepers[0])), "%s", *point);
	}
}

/* Each of them is the last who sends; and tells first what the one before has sent. */
Test(duct_death, many_writers_one_after_the_other, .timeout = 60)
{
	MEMORY(first, second, .buffer_size = 4096);
	const struct carom_ring_side *side = find_side(0, CAROM_RING_CONSUMER);

	need_points();
	for (int i = 0; i < 32; i++) {
		pid_t sleeper = receiver(second);

		await_sleeper(sleeper, side);
		send_and_die_at(first, "ring.published", i == 0 ? 1 : 2);
		cr_expect(zero(int, ended(sleeper)), "%d", i);
	}
}

/* ---- waiting for several things ---- */

static bool is_pollable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return poll(&poll_fd, 1, 0) == 1;
}

static bool is_empty(struct carom_connection *connection)
{
	size_t size;

	return carom_connection_recv_bytes_into(connection, NULL, 0, CAROM_PASSED, &size) ==
	       -EAGAIN;
}

Test(duct_death, who_waits_hears_of_what_the_dead_have_sent, .timeout = 60)
{
	need_points();
	for (int which = 0; which < 2; which++) {
		MEMORY(first, second, );
		MEMORY(third, fourth, );
		struct carom_wait_item items[] = { CAROM_WAIT_FOR_CONNECTION(second),
						   CAROM_WAIT_FOR_CONNECTION(fourth) };
		pid_t sleeper = child();

		if (sleeper == 0) {
			int r = carom_wait(items, 2, soon());

			_exit(r == 1 && items[which].is_ready ? 0 : 1);
		}
		await_asleep(sleeper);
		send_and_die(which ? third : first, "duct.told");
		cr_expect(zero(int, ended(sleeper)));
	}
}

/* A sender that does not know yet that anybody polls, as it is about to tell. */
Test(duct_death, who_polls_for_the_first_time_hears_of_it, .timeout = 60)
{
	static const char *const ends[] = { "ring.published", "ring.waking", "duct.told" };
	MEMORY(first, second, );
	pid_t pid;
	int fd;

	need_points();
	cr_assert(zero(int, carom_point_arm_once("ring.telling", 1, SIGSTOP)));
	pid = child();
	if (pid == 0)
		_exit(give(first, "x", 1));
	await_step(pid);
	fd = carom_connection_poll_fd(second);
	cr_expect(is_empty(second));
	cr_expect(not(is_pollable(fd)));
	for (int i = 0; i < 3; i++)
		cr_assert(zero(int, carom_point_arm_once(ends[i], 1, SIGKILL)));
	kill(pid, SIGCONT);
	expect_death(pid, "told");
	cr_expect(is_pollable(fd));
	expect_message(second, "x");
	cr_expect(is_empty(second));
	cr_expect(not(is_pollable(fd)));
}

/* It has rung, and then died: there is nothing, and nothing is left of it. */
static void ring_in_vain(void)
{
	MEMORY(first, second, );
	int fd = carom_connection_poll_fd(second);

	need_points();
	cr_expect(is_empty(second));
	send_and_die(first, "duct.rung");
	cr_expect(is_pollable(fd));
	await(is_empty(second) && !is_pollable(fd)); /* the kernel may not be through with it */
	cr_expect(zero(int, give(first, "y", 1)));
	cr_expect(is_pollable(fd));
}

Test(duct_death, is_not_rung_for_for_ever, .timeout = 60)
{
	ring_in_vain();
}

Test(duct_death, is_not_rung_for_for_ever_without_lists_of_locks, .timeout = 60)
{
	setenv("CAROM_DENY", "robust_list", 1);
	ring_in_vain();
}
