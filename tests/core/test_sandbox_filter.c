/*
 * Sandbox filter: what each profile answers to each system call, by the machine of
 * filter_machine.h, without a kernel
 */
#include "tests/core/filter_machine.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "core/sandbox_filter.h"
#include "core/sandbox_private.h"
#include "core/sandbox_rules.h"

#ifndef SYS_open
#define SYS_open (-1)
#endif

#define X32_BIT 0x40000000
#define LAST    600

struct filter {
	struct sock_filter *program;
	size_t length;
};

static struct filter compile(enum carom_sandbox_profile profile, const char *const *allow,
			     const char *const *deny)
{
	struct filter filter;
	char text[200] = "";
	int r = carom_sandbox_compile(profile, true, false, allow, deny, &filter.program,
				      &filter.length, text, sizeof(text));

	if (r == -EOPNOTSUPP)
		cr_skip_test("skipped: %s", text);
	cr_assert(r == 0, "%d: %s", r, text);
	return filter;
}

static uint32_t ask(const struct filter *filter, uint32_t architecture, int number,
		    const uint64_t *arguments)
{
	struct seccomp_data data = { .nr = number, .arch = architecture };

	memcpy(data.args, arguments, sizeof(data.args));
	return run_filter(filter->program, filter->length, &data);
}

static const uint64_t zeros[6];
static const uint64_t ones[6] = { UINT64_MAX, UINT64_MAX, UINT64_MAX,
				  UINT64_MAX, UINT64_MAX, UINT64_MAX };

/* --- the snapshot ------------------------------------------------------ */

static void append_range(char *text, int first, int last)
{
	sprintf(text + strlen(text), first == last ? "%s%d" : "%s%d-%d", *text ? " " : "", first,
		last);
}

/* "0-2 7 9-12": the numbers to which @is_meant says yes */
static char *ranges(const struct filter *filter, bool (*is_meant)(const struct filter *, int),
		    char *text)
{
	int first = -1;

	*text = '\0';
	for (int number = 0; number <= LAST + 1; number++) {
		bool yes = number <= LAST && is_meant(filter, number);

		if (yes && first < 0)
			first = number;
		if (!yes && first >= 0) {
			append_range(text, first, number - 1);
			first = -1;
		}
	}
	return text;
}

static bool is_plain(const struct filter *filter, int number)
{
	return ask(filter, AUDIT_ARCH_X86_64, number, zeros) == SECCOMP_RET_ALLOW &&
	       ask(filter, AUDIT_ARCH_X86_64, number, ones) == SECCOMP_RET_ALLOW;
}

static bool is_answered(const struct filter *filter, int number)
{
	return (ask(filter, AUDIT_ARCH_X86_64, number, zeros) & SECCOMP_RET_ACTION_FULL) ==
	       SECCOMP_RET_ERRNO;
}

/* Where zeros and ones tell it: where they do not, see the tests of conditions below. */
static bool is_conditional(const struct filter *filter, int number)
{
	return ask(filter, AUDIT_ARCH_X86_64, number, zeros) !=
	       ask(filter, AUDIT_ARCH_X86_64, number, ones);
}

/* Of the machine that the numbers below are of. */
static void only_on_x86_64(void)
{
#ifndef __x86_64__
	cr_skip_test("skipped: the numbers are x86-64's");
#endif
}

static const struct snapshot {
	enum carom_sandbox_profile profile;
	const char *plain;
	const char *conditional;
	const char *answered;
} snapshots[] = {
	{ CAROM_SANDBOX_BASIC,
	  "0-1 3-8 11-12 14-15 17-28 32-40 44-48 60-61 63 73-75 77-89 95-100 102 104 107-108 "
	  "110-111 118 120 127-128 130-131 137-138 140 143 145-150 186 201-202 204 217-219 "
	  "221-226 228-233 247 258 262-267 269-271 273 281 283 286-287 289-293 295-296 309 316 318 "
	  "324 332 334 436 439 441 449 454-456",
	  "2 9-10 13 72 203 257 274 302", "435 437" },
	{ CAROM_SANDBOX_STRICT,
	  "0-1 3 5 7-8 11-12 14-15 17-20 23-28 34-39 44-48 60 63 74-75 77 96-100 102 104 107-108 "
	  "110-111 127-128 130-131 140 143 145-148 186 201-202 204 218-219 222-226 228-233 270-271 "
	  "273 281 295-296 309 318 324 334 436 441 449 454-456",
	  "9-10 13 72 203 274 302", "262 435 437" },
	{ CAROM_SANDBOX_CUSTOM,
	  "0-1 3 5 7-8 11-12 14-15 17 20 24-25 28 35 39 60 96 98 110 127 131 186 201-202 204 219 "
	  "228 "
	  "230-231 271 273 309 318 324 334 449 454-456",
	  "9-10 13 72 203 274", "262 435 437" },
};

Test(sandbox_filter, lets_through_exactly_these)
{
	char text[4096];

	only_on_x86_64();
	for (size_t i = 0; i < sizeof(snapshots) / sizeof(snapshots[0]); i++) {
		const struct snapshot *expected = &snapshots[i];
		struct filter filter = compile(expected->profile, NULL, NULL);

		cr_expect_str_eq(ranges(&filter, is_plain, text), expected->plain);
		cr_expect_str_eq(ranges(&filter, is_conditional, text), expected->conditional);
		cr_expect_str_eq(ranges(&filter, is_answered, text), expected->answered);
		cr_expect(filter.length <= 200, "%zu instructions", filter.length);
		free(filter.program);
	}
}

Test(sandbox_filter, knows_no_other_architecture)
{
	only_on_x86_64();
	for (int profile = CAROM_SANDBOX_BASIC; profile <= CAROM_SANDBOX_CUSTOM; profile++) {
		struct filter filter = compile((enum carom_sandbox_profile)profile, NULL, NULL);

		for (int number = 0; number <= LAST; number++) {
			cr_expect(ask(&filter, AUDIT_ARCH_I386, number, zeros) ==
				  SECCOMP_RET_KILL_PROCESS);
			cr_expect(ask(&filter, AUDIT_ARCH_X86_64, number | X32_BIT, zeros) ==
				  SECCOMP_RET_KILL_PROCESS);
			cr_expect(ask(&filter, AUDIT_ARCH_AARCH64, number, zeros) ==
				  SECCOMP_RET_KILL_PROCESS);
		}
		cr_expect(ask(&filter, AUDIT_ARCH_X86_64, -1, zeros) == SECCOMP_RET_TRAP);
		free(filter.program);
	}
}

/* --- conditions -------------------------------------------------------- */

#define ALLOWS(filter, name, ...)                                                    \
	(ask(filter, AUDIT_ARCH_X86_64, SYS_##name, (uint64_t[6]){ __VA_ARGS__ }) == \
	 SECCOMP_RET_ALLOW)

#define HIGH (UINT64_C(1) << 32) /* the kernel does not look at it, where it takes an int */

static void strict_conditions(const struct filter *filter)
{
	for (uint64_t number = 0; number <= 64; number++) {
		cr_expect(ALLOWS(filter, rt_sigaction, number) == (number != SIGSYS), "%d",
			  (int)number);
		cr_expect(ALLOWS(filter, rt_sigaction, number | HIGH) == (number != SIGSYS), "%d",
			  (int)number);
	}
	cr_expect(ALLOWS(filter, mmap, 0, 1, PROT_READ | PROT_WRITE));
	cr_expect(!ALLOWS(filter, mmap, 0, 1, PROT_READ | PROT_EXEC));
	cr_expect(!ALLOWS(filter, mmap, 0, 1, PROT_EXEC | HIGH));
	cr_expect(!ALLOWS(filter, mprotect, 0, 1, PROT_EXEC));
	cr_expect(ALLOWS(filter, mprotect, 0, 1, PROT_READ));
	cr_expect(ALLOWS(filter, tgkill, CAROM_SANDBOX_PID_MARK, 7, 9));
	cr_expect(!ALLOWS(filter, tgkill, CAROM_SANDBOX_PID_MARK + 1, 7, 9));
	cr_expect(ALLOWS(filter, kill, CAROM_SANDBOX_PID_MARK, 9));
	cr_expect(!ALLOWS(filter, kill, 0, 9) && !ALLOWS(filter, kill, UINT64_MAX, 9));
	cr_expect(!ALLOWS(filter, kill, (uint64_t) - (int64_t)CAROM_SANDBOX_PID_MARK, 9));
	cr_expect(ALLOWS(filter, sched_setaffinity, 0, 8));
	cr_expect(!ALLOWS(filter, sched_setaffinity, 1, 8));
	cr_expect(ALLOWS(filter, prlimit64, 0, 7, 0, 1) && !ALLOWS(filter, prlimit64, 0, 7, 1, 1));
	cr_expect(!ALLOWS(filter, prlimit64, 0, 7, HIGH, 1) && !ALLOWS(filter, prlimit64, 1, 7, 0));
	cr_expect(ALLOWS(filter, prctl, PR_SET_NAME) && !ALLOWS(filter, prctl, PR_SET_DUMPABLE));
	cr_expect(!ALLOWS(filter, prctl, PR_SET_PDEATHSIG) && !ALLOWS(filter, prctl, 0));
	cr_expect(ALLOWS(filter, fcntl, 1, F_GETFL) && ALLOWS(filter, fcntl, 1, F_DUPFD_CLOEXEC));
	cr_expect(!ALLOWS(filter, fcntl, 1, F_SETOWN) && !ALLOWS(filter, fcntl, 1, F_SETSIG));
	cr_expect(!ALLOWS(filter, fcntl, 1, F_SETOWN_EX) && !ALLOWS(filter, fcntl, 1, F_SETLEASE));
	cr_expect(!ALLOWS(filter, fcntl, 1, F_SETOWN | HIGH));
	cr_expect(ALLOWS(filter, ioctl, 1, 0x5401) && !ALLOWS(filter, ioctl, 1, 0x5412));
	cr_expect(!ALLOWS(filter, ioctl, 1, 0x5412 | HIGH) && !ALLOWS(filter, ioctl, 1, 0x8901));
}

static void clone_conditions(const struct filter *filter)
{
	static const uint64_t namespaces[] = { CLONE_NEWNS,    CLONE_NEWUTS, CLONE_NEWIPC,
					       CLONE_NEWUSER,  CLONE_NEWPID, CLONE_NEWNET,
					       CLONE_NEWCGROUP };
	uint64_t thread = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			  CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;

	cr_expect(ALLOWS(filter, clone, thread) && ALLOWS(filter, clone, thread | HIGH));
	cr_expect(!ALLOWS(filter, clone, SIGCHLD) &&
		  !ALLOWS(filter, clone, CLONE_VM | CLONE_VFORK));
	for (size_t i = 0; i < sizeof(namespaces) / sizeof(namespaces[0]); i++)
		cr_expect(!ALLOWS(filter, clone, thread | namespaces[i]));
}

Test(sandbox_filter, looks_at_arguments_as_the_kernel_does)
{
	only_on_x86_64();
	for (int profile = CAROM_SANDBOX_BASIC; profile <= CAROM_SANDBOX_STRICT; profile++) {
		struct filter filter = compile((enum carom_sandbox_profile)profile, NULL, NULL);

		strict_conditions(&filter);
		clone_conditions(&filter);
		free(filter.program);
	}
}

Test(sandbox_filter, basic_truncates_only_what_it_may_write_to)
{
	struct filter filter = compile(CAROM_SANDBOX_BASIC, NULL, NULL);

	only_on_x86_64();
	cr_expect(ALLOWS(&filter, openat, 3, 0, O_RDONLY | O_CLOEXEC));
	cr_expect(ALLOWS(&filter, openat, 3, 0, O_WRONLY | O_TRUNC | O_CREAT));
	cr_expect(ALLOWS(&filter, openat, 3, 0, O_RDWR | O_TRUNC));
	cr_expect(!ALLOWS(&filter, openat, 3, 0, O_RDONLY | O_TRUNC));
	cr_expect(!ALLOWS(&filter, openat, 3, 0, O_ACCMODE | O_TRUNC));
	cr_expect(!ALLOWS(&filter, open, 0, O_RDONLY | O_TRUNC));
	free(filter.program);
}

Test(sandbox_filter, basic_has_pairs_of_sockets_that_take_no_address)
{
	static const uint64_t flags[] = { 0, SOCK_CLOEXEC | SOCK_NONBLOCK, HIGH };
	struct filter filter = compile(CAROM_SANDBOX_BASIC, NULL, NULL);

	only_on_x86_64();
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		cr_expect(ALLOWS(&filter, socketpair, AF_UNIX, SOCK_STREAM | flags[i]));
		cr_expect(ALLOWS(&filter, socketpair, AF_UNIX, SOCK_SEQPACKET | flags[i]));
		cr_expect(!ALLOWS(&filter, socketpair, AF_UNIX, SOCK_DGRAM | flags[i]));
		cr_expect(!ALLOWS(&filter, socketpair, AF_UNIX, SOCK_RAW | flags[i]));
		cr_expect(!ALLOWS(&filter, socketpair, AF_INET, SOCK_STREAM | flags[i]));
	}
	free(filter.program);
}

Test(sandbox_filter, without_landlock_basic_takes_no_path)
{
	static const int numbers[] = { SYS_openat, SYS_unlinkat, SYS_renameat2, SYS_statx };
	struct filter filter;
	char text[200];

	if (carom_sandbox_compile(CAROM_SANDBOX_BASIC, false, false, NULL, NULL, &filter.program,
				  &filter.length, text, sizeof(text)) < 0)
		cr_skip_test("skipped: %s", text);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		cr_expect(ask(&filter, AUDIT_ARCH_X86_64, numbers[i], zeros) == SECCOMP_RET_TRAP);
	free(filter.program);
}

Test(sandbox_filter, fork_is_a_word_for_all_that_makes_a_process)
{
	struct filter filter =
		compile(CAROM_SANDBOX_STRICT, (const char *[]){ "fork", "mmap", NULL }, NULL);

	only_on_x86_64();
	cr_expect(ALLOWS(&filter, clone, SIGCHLD) && ALLOWS(&filter, wait4, 0));
	cr_expect(!ALLOWS(&filter, clone, SIGCHLD | CLONE_NEWUSER));
	cr_expect(ALLOWS(&filter, mmap, 0, 1, PROT_EXEC));
	cr_expect(!ALLOWS(&filter, rt_sigaction, SIGSYS));
	free(filter.program);
}

/* --- the shorter program ----------------------------------------------- */

#define TEST_OF(number, yes, no)                           \
	{                                                  \
		BPF_JMP | BPF_JEQ | BPF_K, yes, no, number \
	}
#define ANSWER(value)                        \
	{                                    \
		BPF_RET | BPF_K, 0, 0, value \
	}

Test(sandbox_filter, numbers_in_a_row_are_joined_whatever_their_order)
{
	struct sock_filter whole[] = {
		{ BPF_LD | BPF_W | BPF_ABS, 0, 0, 0 },
		TEST_OF(9, 8, 0),
		TEST_OF(3, 7, 0),
		TEST_OF(5, 6, 0),
		TEST_OF(4, 5, 0),
		TEST_OF(20, 4, 0),
		TEST_OF(6, 3, 0),
		TEST_OF(21, 2, 0),
		TEST_OF(30, 0, 2), /* another end */
		ANSWER(7),
		ANSWER(SECCOMP_RET_ALLOW),
		ANSWER(SECCOMP_RET_TRAP),
	};
	struct sock_filter shorter[12];
	size_t length;

	memcpy(shorter, whole, sizeof(whole));
	length = carom_sandbox_shorten(shorter, 12);
	cr_expect(length == 11, "%zu",
		  length); /* 3 to 6, 9, 20 to 21, and one that tells which half */
	for (int number = -1; number < 40; number++) {
		struct seccomp_data data = { .nr = number };

		cr_expect(run_filter(shorter, length, &data) == run_filter(whole, 12, &data), "%d",
			  number);
	}
}

#define ROW_MAX 200

/* A row of @count numbers below 256 in no order, with what comes before and after one. */
static size_t random_program(struct sock_filter *program, size_t count, unsigned int *seed)
{
	size_t at = 0;

	program[at++] = (struct sock_filter){ BPF_LD | BPF_W | BPF_ABS, 0, 0, 0 };
	for (size_t i = 0; i < count; i++) {
		uint8_t to_end = (uint8_t)(count - i + 1);

		program[at++] =
			(struct sock_filter)TEST_OF((uint32_t)rand_r(seed) % 256, to_end, 0);
	}
	program[at++] = (struct sock_filter)TEST_OF(255, 0, 2); /* another end */
	program[at++] = (struct sock_filter)ANSWER(7);
	program[at++] = (struct sock_filter)ANSWER(SECCOMP_RET_ALLOW);
	program[at++] = (struct sock_filter)ANSWER(SECCOMP_RET_TRAP);
	return at;
}

static int differences(const struct sock_filter *one, size_t one_length,
		       const struct sock_filter *other, size_t other_length)
{
	int count = 0;

	for (int number = -2; number < 260; number++) {
		struct seccomp_data data = { .nr = number };

		count += run_filter(one, one_length, &data) !=
			 run_filter(other, other_length, &data);
	}
	return count;
}

Test(sandbox_filter, a_row_of_any_numbers_answers_as_before)
{
	unsigned int seed = 1;

	for (int i = 0; i < 400; i++) {
		struct sock_filter whole[ROW_MAX + 5], shorter[ROW_MAX + 5];
		size_t count = (size_t)i % ROW_MAX + 1;
		size_t length = random_program(whole, count, &seed), shorter_length;

		memcpy(shorter, whole, sizeof(whole));
		shorter_length = carom_sandbox_shorten(shorter, length);
		cr_expect(shorter_length <= length);
		cr_expect(differences(whole, length, shorter, shorter_length) == 0,
			  "%d: %zu numbers", i, count);
	}
}
