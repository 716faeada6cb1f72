/* Process: children with limits, by each way to start one. */
#include "core/cgroup_limits.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cgroup_file.h"
#include "core/cgroup_group.h"
#include "tests/core/apart.h"
#include "tests/core/grouped.h"
#include "tests/core/groups.h"
#include "tests/core/methods.h"

TestSuite(process_limits, .timeout = 120);

#define MIB  UINT64_C(1048576)
#define SOON carom_deadline_after(CAROM_SECONDS(60))

static int alone; /* the directory of the group that the test stands in */
static int report[2];

static const struct carom_cgroup_limits no_limits = { .size_bytes = sizeof(no_limits) };

static struct carom_process *start_function(struct carom_context *context,
					    carom_process_fn *function, int argument,
					    const struct carom_cgroup_limits *limits)
{
	struct carom_process *process;

	cr_assert(zero(int, pipe(report)));
	process = start_with(CAROM_PROCESS_OPTIONS(.function = function, .argument = &argument,
						   .argument_size = sizeof(argument),
						   .fds = &report[1], .fd_count = 1,
						   .context = context, .limits = limits));
	close(report[1]);
	return process;
}

/* Its exit code, once it has ended; the handle is freed. */
static int finish(struct carom_process *process)
{
	int code = 1000;

	CHECK(carom_process_join(process, SOON) == 0);
	carom_process_exitcode(process, &code);
	carom_process_free(process);
	close(report[0]);
	return code;
}

static void expect_nothing_left(void)
{
	cr_expect(zero(int, carom_cgroup_home_leave()));
	cr_expect(zero(sz, carom_cgroup_count()));
	cr_expect(eq(sz, groups_in(alone), 0));
}

Test(process_limits, child_is_born_in_a_group_of_its_own)
{
	struct carom_context *context;

	alone = stand_alone();
	EACH_METHOD(context)
	{
		struct carom_process *process = start_function(context, tell_group, 0, &no_limits);
		char text[4096] = "";

		cr_assert(lt(int, 0, (int)read(report[0], text, sizeof(text) - 1)));
		cr_expect(strstr(text, "/process-") != NULL, "%s: %s", methods[each_], text);
		cr_expect(zero(int, carom_process_kill(process)));
		cr_expect(zero(int, carom_process_join(process, SOON)));
		carom_process_free(process);
		close(report[0]);
	}
	expect_nothing_left();
}

static void start_without_clone3(void)
{
	struct carom_context *context;

	EACH_METHOD(context)
	{
		struct carom_process *process = start_function(context, tell_group, 0, &no_limits);
		char text[4096] = "";

		CHECK(read(report[0], text, sizeof(text) - 1) > 0);
		CHECK(strstr(text, "/process-"));
		CHECK(carom_process_kill(process) == 0 && carom_process_join(process, SOON) == 0);
		carom_process_free(process);
		close(report[0]);
	}
	CHECK(carom_reset_for_tests() == 0);
}

/* As in containers that deny clone3, where a child cannot be born there. */
Test(process_limits, child_enters_its_group_where_it_cannot_be_born_there)
{
	alone = stand_alone();
	cr_expect(zero(int, apart_with("CAROM_CLONE", "clone", start_without_clone3)));
	cr_expect(zero(int, apart_with("CAROM_CLONE", "fork", start_without_clone3)));
	expect_nothing_left();
}

Test(process_limits, child_is_killed_with_all_that_it_has_started)
{
	struct carom_context *context;

	alone = stand_alone();
	EACH_METHOD(context)
	{
		struct carom_process *process =
			start_function(context, leave_daemon, 1, &no_limits);
		char byte;

		cr_assert(eq(int, (int)read(report[0], &byte, 1), 1));
		cr_expect(zero(int, carom_process_kill(process)));
		cr_expect(ends(report[0])); /* the daemon has it, too */
		cr_expect(zero(int, carom_process_join(process, SOON)));
		carom_process_free(process);
		close(report[0]);
	}
	expect_nothing_left();
}

Test(process_limits, what_a_child_leaves_behind_is_killed_when_it_has_ended)
{
	struct carom_context *context;

	alone = stand_alone();
	EACH_METHOD(context)
	{
		struct carom_process *process =
			start_function(context, leave_daemon, 0, &no_limits);
		char byte;

		cr_assert(eq(int, (int)read(report[0], &byte, 1), 1));
		cr_expect(zero(int, carom_process_join(process, SOON)));
		cr_expect(ends(report[0]));
		cr_expect(eq(int, finish(process), 0));
	}
	expect_nothing_left();
}

/* WL-08 */
/* SN-17 */
Test(process_limits, child_that_passes_its_limit_of_memory_is_told_from_one_that_was_killed)
{
	struct carom_context *context;

	alone = stand_alone_with(CAROM_CGROUP_MEMORY);
	EACH_METHOD(context)
	{
		struct carom_process *process = start_function(
			context, take_memory, 64,
			&CAROM_CGROUP_LIMITS(.memory_bytes = 32 * MIB, .oom_group = 1));
		uint64_t limit = 0, peak = 0;
		int code = 0;

		cr_expect(zero(int, carom_process_join(process, SOON)));
		cr_expect(zero(int, carom_process_exitcode(process, &code)));
		cr_expect(eq(int, code, -SIGKILL));
		cr_expect(zero(int, carom_process_out_of_memory(process, &limit, &peak)));
		cr_expect(eq(u64, limit, 32 * MIB));
		cr_expect(eq(u64, peak, 32 * MIB));
		carom_process_free(process);
		close(report[0]);

		process = start_function(context, take_memory, 4,
					 &CAROM_CGROUP_LIMITS(.memory_bytes = 64 * MIB));
		cr_expect(zero(int, carom_process_join(process, SOON)));
		cr_expect(eq(int, carom_process_out_of_memory(process, &limit, &peak), -ENODATA));
		cr_expect(eq(int, finish(process), 0));
	}
	expect_nothing_left();
}

/* Within its limit: somebody has killed it, or memory was short in a group above. */
/* WL-08 */
Test(process_limits, child_that_is_killed_for_something_else_has_not_passed_its_limit)
{
	const struct carom_cgroup_limits limits = CAROM_CGROUP_LIMITS(.memory_bytes = 256 * MIB);
	uint64_t limit = 0, peak = 0;
	struct carom_context *context;

	alone = stand_alone_with(CAROM_CGROUP_MEMORY);
	EACH_METHOD(context)
	{
		struct carom_process *process = start_function(context, tell_group, 0, &limits);
		char byte;

		cr_assert(eq(int, (int)read(report[0], &byte, 1), 1));
		cr_expect(zero(int, carom_process_kill(process)));
		cr_expect(zero(int, carom_process_join(process, SOON)));
		cr_expect(eq(int, carom_process_out_of_memory(process, &limit, &peak), -ENODATA));
		cr_expect(eq(int, finish(process), -SIGKILL));

		cr_assert(zero(int, carom_cgroup_file_write(alone, "memory.max", "67108864")));
		carom_cgroup_file_write(alone, "memory.swap.max", "0");
		process = start_function(context, take_memory, 128, &limits);
		cr_expect(zero(int, carom_process_join(process, SOON)));
		cr_expect(eq(int, carom_process_out_of_memory(process, &limit, &peak), -ENODATA));
		cr_expect(eq(int, finish(process), -SIGKILL));
		cr_assert(zero(int, carom_cgroup_file_write(alone, "memory.max", "max")));
	}
	expect_nothing_left();
}

Test(process_limits, that_are_wrong_are_refused_when_the_handle_is_made)
{
	struct carom_process *process = NULL;
	struct carom_context *threads;

	cr_expect(eq(
		int,
		carom_process_new(
			&CAROM_PROCESS_OPTIONS(.limits = &CAROM_CGROUP_LIMITS(.memory_bytes = 1)),
			&process),
		-EINVAL));
	cr_assert(zero(int, carom_context_get("thread", &threads)));
	cr_expect(eq(
		int,
		carom_process_new(&CAROM_PROCESS_OPTIONS(.context = threads, .limits = &no_limits),
				  &process),
		-EOPNOTSUPP));
	cr_expect(eq(ptr, process, NULL));
}

Test(process_limits, that_cannot_be_had_leave_a_handle_that_is_not_started)
{
	struct carom_process *process = NULL;
	uint64_t limit, peak;

	setenv("CAROM_DENY", "cgroup_v2", 1);
	cr_assert(zero(int,
		       carom_process_new(&CAROM_PROCESS_OPTIONS(.limits = &no_limits), &process)));
	cr_expect(eq(int, carom_process_start(process), -ECANCELED));
	cr_expect(eq(int, carom_process_out_of_memory(process, &limit, &peak), -EINPROGRESS));
	cr_expect(eq(int, carom_process_pid(process), 0));
	carom_process_free(process);
}
