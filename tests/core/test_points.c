/* Points: named places at which a test has a process killed. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/points.h"

static int walk(int steps)
{
	for (int i = 0; i < steps; i++) {
		CAROM_POINT("points.step");
		CAROM_POINT("points.other");
	}
	return 0;
}

static pid_t walker;

static int status_of_walker(int steps)
{
	int status = -1;
	pid_t pid = walker = fork();

	if (pid == 0)
		_exit(walk(steps));
	cr_assert(eq(int, waitpid(pid, &status, WUNTRACED), pid));
	if (WIFSTOPPED(status)) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	return status;
}

static void need_points(void)
{
	if (carom_point_arm("points.step", 0) == -EOPNOTSUPP)
		cr_skip_test("built without -Dpoints=true");
}

Test(points, kill_who_comes_to_an_armed_place, .timeout = 5)
{
	need_points();
	cr_assert(zero(int, carom_point_arm("points.step", 3)));
	cr_expect(zero(int, status_of_walker(2)));
	cr_expect(eq(int, WTERMSIG(status_of_walker(1)), SIGKILL));
	cr_expect(eq(u32, carom_point_hits("points.step"), 1));
	cr_expect(eq(int, carom_point_last_pid("points.step"), walker));

	carom_point_disarm_all();
	cr_expect(zero(int, status_of_walker(10)));
	cr_expect(zero(int, carom_point_last_pid("points.step")));
}

Test(points, spare_who_armed_them, .timeout = 5)
{
	need_points();
	cr_assert(zero(int, carom_point_arm("points.step", 1)));
	cr_expect(zero(int, walk(1)));
	cr_expect(eq(int, WTERMSIG(status_of_walker(1)), SIGKILL));
}

Test(points, reach_a_process_that_runs_already, .timeout = 5)
{
	int status = -1, go[2];
	char byte;
	pid_t pid;

	need_points();
	cr_assert(zero(int, pipe(go)));
	pid = fork();
	if (pid == 0)
		_exit(read(go[0], &byte, 1) == 1 ? walk(1) : 1);
	cr_assert(zero(int, carom_point_arm("points.other", 1)));
	cr_assert(eq(long, write(go[1], "", 1), 1));
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_expect(eq(int, WTERMSIG(status), SIGKILL));
}

Test(points, can_stop_one_process_only, .timeout = 5)
{
	need_points();
	cr_assert(zero(int, carom_point_arm_once("points.step", 2, SIGSTOP)));
	cr_expect(ne(int, WIFSTOPPED(status_of_walker(2)), 0));
	cr_expect(zero(int, status_of_walker(9)));
}

#define ROUNDS 1000

/* One of them may stand in the middle of the last round while the next one begins. */
Test(points, are_reached_once_by_one_of_many_that_never_rest, .timeout = 60)
{
	enum { WALKERS = 4 };
	pid_t pids[WALKERS];

	need_points();
	for (int i = 0; i < WALKERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (pids[i] == 0)
			walk(1);
	}
	for (uint32_t round = 0; round < ROUNDS; round++) {
		carom_point_arm_once("points.step", 1 + round % 5, SIGURG); /* which nobody heeds */
		while (carom_point_hits("points.step") == 0)
			sched_yield();
		cr_assert(eq(u32, carom_point_hits("points.step"), 1));
		carom_point_disarm_all();
	}
	for (int i = 0; i < WALKERS; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
}

Test(points, are_known_by_name)
{
	int found = 0;

	need_points();
	for (size_t i = 0; carom_point_name(i); i++)
		found += strcmp(carom_point_name(i), "points.step") == 0;
	cr_expect(eq(int, found, 1));
	cr_expect(eq(int, carom_point_arm("points.nowhere", 1), -ENOENT));
	cr_expect(eq(int, carom_point_arm("points.step", 0), -EINVAL));
}
