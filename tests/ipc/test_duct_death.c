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

/*
 * The steps of falling asleep, of who does not look often before. Until it has left its mark nobody
 * is to be woken, and nobody dies as he is about to.
 */
static const struct step {
	const char *point;
	uint32_t nth;
	int deaths;
} steps[] = {
	{ "ring.asleep", 1, 1 }, { "ring.marked", 1, 2 },   { "ring.looking", 3, 2 },
	{ "ring.looked", 3, 2 }, { "ring.sleeping", 1, 2 },
};
#define FALLING (sizeof(steps) / sizeof(*steps))

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
	for (const struct step *step = steps; step < steps + FALLING; step++)
		for (const char *const *point = points; point < points + step->deaths; point++) {
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
	for (const struct step *step = steps; step < steps + FALLING; step++)
		for (const char *const *point = points; point < points + step->deaths; point++) {
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

/* The kernel's mark of the one is in the word as the other's, who tells of the former's message, comes. */
Test(duct_death, second_death_while_falling_asleep_is_not_taken_for_the_first, .timeout = 60)
{
	static const struct step sleeping = { "ring.sleeping", 1, 1 };
	MEMORY(first, second, .buffer_size = 4096, .spin_ns = CAROM_SPIN_NEVER);
	pid_t sleeper;

	need_points();
	sleeper = receiver(second);
	await_sleeper(sleeper, find_side(0, CAROM_RING_CONSUMER));
	killed(sleeper); /* its mark stays */
	send_and_die(first, "duct.telling");
	arm_step(&sleeping);
	sleeper = receiver(second);
	await_step(sleeper);
	send_and_die(first, "ring.published");
	kill(sleeper, SIGCONT);
	cr_expect(zero(int, ended(sleeper)));
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

/* ---- within a message ---- */

#define PART   1016 /* of a ring of 4096 bytes */
#define PARTS  10
#define LENGTH (PARTS * PART)

static const unsigned char long_message[LENGTH];

/* Its two ends, whichever way round they are made. */
struct way {
	struct carom_connection *to;
	struct carom_connection *from;
};

static struct way new_way(bool is_simplex)
{
	struct way way;
	int r = is_simplex ? new_pipe(&CAROM_PIPE_OPTIONS(.buffer_size = 4096, .is_simplex = true),
				      false, &way.from, &way.to)
			   : new_pipe(&CAROM_PIPE_OPTIONS(.buffer_size = 4096), false, &way.to,
				      &way.from);

	cr_assert(zero(int, r));
	return way;
}

static void end_way(struct way *way)
{
	carom_connection_free(way->to);
	carom_connection_free(way->from);
}

/* Steps of a part that is sent: until @told_at it is not there, from then on it is. */
static const char *const part_steps[] = { "ring.reserved", "duct.part",    "ring.written",
					  "ring.moved",    "ring.telling", "ring.published",
					  "duct.part_told" };
#define STEPS   7
#define TOLD_AT 5

static pid_t send_long_and_die_at(struct way *way, const char *point, uint32_t nth)
{
	pid_t pid;

	cr_assert(zero(int, carom_point_arm_once(point, nth, SIGKILL)));
	pid = child();
	if (pid == 0)
		_exit(give(way->to, long_message, LENGTH));
	return pid;
}

static unsigned char received[LENGTH];

static int receive_long(struct way *way)
{
	long size = take(way->from, received, LENGTH);

	return size < 0 ? (int)size : size == LENGTH ? 0 : -EBADMSG;
}

/* Of the dead, a first part may be told of only now. */
static void expect_next(struct way *way)
{
	long size;

	do
		size = take(way->from, received, LENGTH);
	while (size == -ECONNABORTED);
	cr_expect(eq(long, size, 4));
	cr_expect(zero(int, memcmp(received, "next", 4)));
}

/* Another one that shares the end. */
static void expect_others_go_on(struct way *way)
{
	pid_t pid = child();

	if (pid == 0)
		_exit(give(way->to, "next", 4) || give(way->to, long_message, LENGTH));
	expect_next(way);
	cr_expect(zero(int, receive_long(way)));
	cr_expect(zero(int, ended(pid)));
	cr_expect(is_empty(way->from));
}

static void die_within(bool is_simplex, const char *point, bool is_told, uint32_t part)
{
	struct way way = new_way(is_simplex);
	pid_t pid = send_long_and_die_at(&way, point, part);

	if (part == 1 && !is_told) {
		expect_death(pid, point);
		cr_expect(is_empty(way.from), "%s", point);
	} else {
		int whole = part == PARTS && is_told ? 0 : -ECONNABORTED;

		cr_expect(eq(int, receive_long(&way), whole), "%s, part %u", point, part);
		expect_death(pid, point);
		cr_expect(is_empty(way.from), "%s, part %u", point, part);
	}
	expect_others_go_on(&way);
	end_way(&way);
}

static void die_within_at_each_step(bool is_simplex)
{
	static const uint32_t parts[] = { 1, 2, 5, PARTS - 1, PARTS };

	need_points();
	for (int step = 0; step < STEPS; step++)
		for (int i = 0; i < 5; i++)
			die_within(is_simplex, part_steps[step], step >= TOLD_AT, parts[i]);
}

/* Others have the sender's end and send nothing: its receiver is told all the same. */
Test(duct_death, receiver_within_a_message_is_told_of_its_senders_death, .timeout = 60)
{
	die_within_at_each_step(false);
}

Test(duct_death, receiver_within_a_message_is_told_of_it_where_there_is_one_direction,
     .timeout = 60)
{
	die_within_at_each_step(true);
}

Test(duct_death, receiver_within_a_message_is_told_of_it_without_lists_of_locks, .timeout = 60)
{
	setenv("CAROM_DENY", "robust_list", 1);
	die_within_at_each_step(false);
}

/* What is there of a message whose sender is in no call, and then not at all. */
static void leave_and_be_gone(bool closes)
{
	struct way way = new_way(false);
	_Atomic int *has_left = share(sizeof(*has_left));
	pid_t pid = child();

	if (pid == 0) {
		int r = carom_connection_send_bytes(way.to, long_message, LENGTH, CAROM_PASSED);

		if (closes)
			carom_connection_close(way.to);
		atomic_store(has_left, r);
		if (closes)
			pause();
		_exit(0);
	}
	await(atomic_load(has_left));
	cr_expect(eq(int, atomic_load(has_left), -EINPROGRESS));
	cr_expect(eq(int, receive_long(&way), -ECONNABORTED));
	expect_others_go_on(&way);
	killed(pid);
	end_way(&way);
}

Test(duct_death, who_has_sent_a_part_and_ended_is_missed, .timeout = 60)
{
	leave_and_be_gone(false);
}

Test(duct_death, who_has_sent_a_part_and_closed_its_end_is_missed, .timeout = 60)
{
	leave_and_be_gone(true);
}

/* A part of it was received, and its sender has died after that. */
static struct way have_part(void)
{
	struct way way = new_way(false);
	pid_t pid = send_long_and_die_at(&way, "duct.part_told", 2);
	void *data = NULL;
	int r;

	expect_death(pid, "duct.part_told");
	do
		r = carom_connection_recv_bytes(way.from, 0, carom_deadline_after(1000), &data,
						NULL);
	while (r == -ETIMEDOUT);
	cr_assert(eq(int, r, -ECONNABORTED));
	return way;
}

Test(duct_death, who_waits_a_little_again_and_again_is_told, .timeout = 60)
{
	struct way way;

	need_points();
	way = have_part();
	expect_others_go_on(&way);
	end_way(&way);
}

Test(duct_death, other_receivers_go_on_after_a_torn_message, .timeout = 60)
{
	struct way way;
	pid_t pid;

	need_points();
	way = have_part();
	pid = child();
	if (pid == 0)
		_exit(receive_long(&way));
	cr_expect(zero(int, give(way.to, long_message, LENGTH)));
	cr_expect(zero(int, ended(pid)));
	end_way(&way);
}

/* Nothing is there to be received: nothing says so. */
Test(duct_death, torn_message_leaves_nothing_to_wait_for, .timeout = 60)
{
	struct carom_wait_item item = { 0 };
	struct way way;

	need_points();
	way = have_part();
	item = CAROM_WAIT_FOR_CONNECTION(way.from);
	cr_expect(eq(int, carom_connection_poll(way.from, CAROM_PASSED), -EAGAIN));
	cr_expect(eq(int, carom_wait(&item, 1, CAROM_PASSED), -EAGAIN));
	cr_expect(is_empty(way.from));
	cr_expect(not(is_pollable(carom_connection_poll_fd(way.from))));
	cr_expect(zero(int, give(way.to, "next", 4)));
	cr_expect(is_pollable(carom_connection_poll_fd(way.from)));
	cr_expect(eq(int, carom_wait(&item, 1, CAROM_PASSED), 1));
	expect_next(&way);
	end_way(&way);
}

Test(duct_death, who_receives_in_place_is_told, .timeout = 60)
{
	struct way way = new_way(false);
	const void *data;
	size_t size;
	pid_t pid;

	need_points();
	pid = send_long_and_die_at(&way, "duct.part_told", 2);
	cr_expect(eq(int, carom_connection_receive(way.from, soon(), &data, &size), -ECONNABORTED));
	expect_death(pid, "duct.part_told");
	expect_others_go_on(&way);
	end_way(&way);
}

Test(duct_death, who_passes_over_a_torn_message_is_through, .timeout = 60)
{
	struct way way = new_way(false);
	pid_t pid;

	need_points();
	pid = send_long_and_die_at(&way, "duct.part_told", 2);
	cr_expect(zero(int, carom_connection_skip(way.from, soon())));
	expect_death(pid, "duct.part_told");
	expect_others_go_on(&way);
	end_way(&way);
}

/* One after the other dies within its message; the last one as it is about to say that one is torn. */
Test(duct_death, many_who_die_within_their_messages, .timeout = 60)
{
	struct way way = new_way(false);

	need_points();
	for (uint32_t i = 0; i < 8; i++) {
		pid_t pid = send_long_and_die_at(&way, i % 2 ? "duct.torn" : "duct.part_told",
						 i % 2 ? 1 : 3);

		if (i % 2 == 0)
			cr_expect(eq(int, receive_long(&way), -ECONNABORTED), "%u", i);
		expect_death(pid, "within");
	}
	expect_others_go_on(&way);
	end_way(&way);
}

/* It lives, and is only slow. */
Test(duct_death, sender_that_stands_still_is_waited_for, .timeout = 60)
{
	struct way way = new_way(false);
	void *data = NULL;
	size_t size;
	pid_t pid;

	need_points();
	cr_assert(zero(int, carom_point_arm_once("duct.part_told", 2, SIGSTOP)));
	pid = child();
	if (pid == 0)
		_exit(give(way.to, long_message, LENGTH));
	await_step(pid);
	cr_expect(eq(int,
		     carom_connection_recv_bytes(way.from, 0,
						 carom_deadline_after(CAROM_MILLISECONDS(250)),
						 &data, &size),
		     -ETIMEDOUT));
	kill(pid, SIGCONT);
	cr_expect(zero(int, carom_connection_recv_bytes(way.from, 0, soon(), &data, &size)));
	cr_expect(eq(sz, size, LENGTH));
	free(data);
	cr_expect(zero(int, ended(pid)));
	end_way(&way);
}
