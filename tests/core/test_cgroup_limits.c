/* Cgroup limits: what is refused before the kernel sees it, and what is in force. */
#include "core/cgroup_limits_private.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cgroup_base.h"
#include "core/cgroup_group.h"
#include "core/time.h"
#include "tests/core/groups.h"

TestSuite(cgroup_limits, .timeout = 60);

#define MIB UINT64_C(1048576)
#define US  UINT64_C(1000)
#define MS  UINT64_C(1000000)

#define LIMITS(...) CAROM_CGROUP_LIMITS(__VA_ARGS__)

Test(cgroup_limits, that_the_kernel_would_refuse_are_refused_with_a_reason)
{
	static const struct {
		struct carom_cgroup_limits limits;
		const char *word;
	} cases[] = {
		{ { .memory_bytes = 1 }, "memory_bytes" },
		{ { .memory_bytes = 4095 }, "less than a page" },
		{ { .memory_bytes = UINT64_MAX }, "memory_bytes" },
		{ { .memory_high_bytes = 100 }, "memory_high_bytes" },
		{ { .memory_bytes = MIB, .memory_high_bytes = 2 * MIB }, "above" },
		{ { .swap_bytes = MIB }, "swap_bytes" },
		{ { .swap_bytes = CAROM_SWAP_UNLIMITED }, "swap_bytes" },
		{ { .memory_bytes = MIB, .swap_bytes = 5 }, "swap_bytes" },
		{ { .cpu_quota_ns = 1 }, "microseconds" },
		{ { .cpu_quota_ns = 999 * US }, "cpu_quota_ns" },
		{ { .cpu_quota_ns = MS + 1 }, "microseconds" },
		{ { .cpu_quota_ns = UINT64_MAX / US * US }, "cpu_quota_ns" },
		{ { .cpu_period_ns = 100 * MS }, "no quota" },
		{ { .cpu_quota_ns = MS, .cpu_period_ns = 999 * US }, "cpu_period_ns" },
		{ { .cpu_quota_ns = MS, .cpu_period_ns = 1001 * MS }, "cpu_period_ns" },
		{ { .cpu_quota_ns = MS, .cpu_period_ns = MS + 7 }, "microseconds" },
		{ { .cpu_weight = 10001 }, "cpu_weight" },
		{ { .process_count = UINT32_MAX }, "process_count" },
		{ { .oom_group = 2 }, "oom_group" },
		{ { .reserved = 1 }, "reserved" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct carom_cgroup_limits limits = cases[i].limits, ours;
		char reason[CAROM_CGROUP_REASON_SIZE] = "";

		limits.size_bytes = sizeof(limits);
		cr_expect(eq(int, carom_cgroup_limits_take(&limits, reason, &ours), -EINVAL),
			  "case %zu", i);
		cr_expect(ne(ptr, strstr(reason, cases[i].word), NULL), "case %zu: %s", i, reason);
		cr_expect(eq(int, carom_cgroup_limits_take(&limits, NULL, &ours), -EINVAL));
	}
}

Test(cgroup_limits, are_cut_to_pages_and_filled_in)
{
	struct carom_cgroup_limits ours;

	cr_assert(zero(int, carom_cgroup_limits_take(
				    &LIMITS(.memory_bytes = MIB + 5000, .memory_high_bytes = 100000,
					    .swap_bytes = 9000, .cpu_quota_ns = 5 * MS),
				    NULL, &ours)));
	cr_expect(eq(u64, ours.memory_bytes, MIB + 4096));
	cr_expect(eq(u64, ours.memory_high_bytes, 24 * 4096));
	cr_expect(eq(u64, ours.swap_bytes, 8192));
	cr_expect(eq(u64, ours.cpu_period_ns, 100 * MS));
	cr_expect(zero(int, carom_cgroup_limits_take(NULL, NULL, &ours)));
	cr_expect(zero(u32, carom_cgroup_limits_controllers(&ours)));
}

Test(cgroup_limits, may_be_an_older_programs_or_a_newer_ones)
{
	struct {
		struct carom_cgroup_limits limits;
		uint64_t more;
	} newer = { .limits.size_bytes = sizeof(newer), .limits.memory_bytes = MIB };
	struct carom_cgroup_limits ours;

	cr_expect(zero(int, carom_cgroup_limits_take(&newer.limits, NULL, &ours)));
	newer.more = 1;
	cr_expect(eq(int, carom_cgroup_limits_take(&newer.limits, NULL, &ours), -E2BIG));
	newer.limits.size_bytes = offsetof(struct carom_cgroup_limits, memory_high_bytes);
	newer.limits.cpu_weight = UINT32_MAX; /* what such a program did not know */
	cr_expect(zero(int, carom_cgroup_limits_take(&newer.limits, NULL, &ours)));
	cr_expect(eq(u64, ours.memory_bytes, MIB));
	newer.limits.size_bytes = 1;
	cr_expect(eq(int, carom_cgroup_limits_take(&newer.limits, NULL, &ours), -EINVAL));
}

Test(cgroup_limits, need_their_controllers)
{
	static const struct {
		struct carom_cgroup_limits limits;
		uint32_t controllers;
	} cases[] = {
		{ { .memory_bytes = MIB }, CAROM_CGROUP_MEMORY },
		{ { .memory_high_bytes = MIB }, CAROM_CGROUP_MEMORY },
		{ { .oom_group = 1 }, CAROM_CGROUP_MEMORY },
		{ { .process_count = 1 }, CAROM_CGROUP_PIDS },
		{ { .cpu_quota_ns = MS }, CAROM_CGROUP_CPU },
		{ { .cpu_weight = 1 }, CAROM_CGROUP_CPU },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		cr_expect(eq(u32, carom_cgroup_limits_controllers(&cases[i].limits),
			     cases[i].controllers),
			  "case %zu", i);
}

Test(cgroup_limits, are_in_force)
{
	int fd = stand_alone_with(CAROM_CGROUP_MEMORY | CAROM_CGROUP_PIDS | CAROM_CGROUP_CPU);
	const struct carom_cgroup_limits limits =
		LIMITS(.memory_bytes = 64 * MIB, .memory_high_bytes = 48 * MIB, .process_count = 9,
		       .cpu_quota_ns = 50 * MS, .cpu_period_ns = 200 * MS, .cpu_weight = 33,
		       .oom_group = 1);
	char reason[CAROM_CGROUP_REASON_SIZE] = "";
	struct carom_cgroup *group = NULL;
	int r = carom_cgroup_new(&(struct carom_cgroup_options){ .limits = &limits }, reason,
				 &group);
	struct carom_cgroup_limits ours;
	int group_fd;

	cr_assert(zero(int, r), "%s", reason);
	group_fd = carom_cgroup_fd(group);
	cr_expect(eq(str, text_of(group_fd, "memory.max"), (char *)"67108864"));
	cr_expect(eq(str, text_of(group_fd, "memory.high"), (char *)"50331648"));
	if (faccessat(group_fd, "memory.swap.max", F_OK, 0) == 0)
		cr_expect(eq(str, text_of(group_fd, "memory.swap.max"), (char *)"0"));
	cr_expect(eq(str, text_of(group_fd, "memory.oom.group"), (char *)"1"));
	cr_expect(eq(str, text_of(group_fd, "pids.max"), (char *)"9"));
	cr_expect(eq(str, text_of(group_fd, "cpu.max"), (char *)"50000 200000"));
	cr_expect(eq(str, text_of(group_fd, "cpu.weight"), (char *)"33"));

	cr_assert(zero(int, carom_cgroup_set_limits(group,
						    &LIMITS(.memory_bytes = 32 * MIB,
							    .swap_bytes = CAROM_SWAP_UNLIMITED),
						    reason)),
		  "%s", reason);
	carom_cgroup_limits_of(group, &ours);
	cr_expect(eq(u64, ours.memory_bytes, 32 * MIB));
	cr_expect(eq(str, text_of(group_fd, "memory.max"), (char *)"33554432"));
	cr_expect(eq(str, text_of(group_fd, "memory.high"), (char *)"max"));
	cr_expect(eq(str, text_of(group_fd, "memory.oom.group"), (char *)"0"));
	cr_expect(eq(str, text_of(group_fd, "pids.max"), (char *)"max"));
	cr_expect(eq(str, text_of(group_fd, "cpu.max"), (char *)"max 200000"));
	cr_expect(eq(str, text_of(group_fd, "cpu.weight"), (char *)"100"));
	group = carom_cgroup_free(group);
	cr_expect(zero(int, carom_cgroup_home_leave()));
	cr_expect(eq(sz, groups_in(fd), 0));
	close(fd);
}

/* A tree whose files do not take what is written tells which one, and what. */
Test(cgroup_limits, that_cannot_be_written_say_which_file_and_why)
{
	char directory[] = "/tmp/carom-cgroup-limits-XXXXXX";
	const struct carom_cgroup_limits none = LIMITS(.memory_bytes = 0);
	const struct carom_cgroup_limits limits = LIMITS(.memory_bytes = MIB);
	char reason[CAROM_CGROUP_REASON_SIZE] = "";
	int fd;

	cr_assert(ne(ptr, mkdtemp(directory), NULL));
	fd = open_group(directory);
	cr_expect(eq(int, carom_cgroup_limits_write(fd, "GROUP", &none, &limits, reason), -ENOENT));
	cr_expect(ne(ptr, strstr(reason, "GROUP/memory.max: \"1048576\": No such file"), NULL),
		  "%s", reason);
	close(fd);
	rmdir(directory);
}
