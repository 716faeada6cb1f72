/*
 * Group: the control groups of a pool's workers, and of all of them together, as the kernel
 * keeps them: who is in them, what is written to them, what becomes of who goes beyond.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <time.h>

#include "tests/pool/grouped.h"
#include "tests/pool/metered.h"

static _Atomic int *stop;  /* what tasks hear from the test */
static _Atomic int *begun; /* and how many of them have begun */

static void set_up(void)
{
	stop = share(sizeof(*stop));
	begun = share(sizeof(*begun));
	stand_alone_where_possible();
}

TestSuite(group, .init = set_up, .timeout = 120);

#define MS CAROM_MILLISECONDS(1)

/* ---- what tasks do ---- */

/* on CPU 0, until it is told to stop */
static int burn_beside_others(struct carom_call *call)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(0, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		return -errno;
	atomic_fetch_add(begun, 1);
	while (!atomic_load(stop))
		;
	return 0;
}

/* how many of 20 children it can have */
static int fork_many(struct carom_call *call)
{
	int64_t count = 0;

	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (pid == 0)
			hang(call);
		count += pid > 0;
	}
	return carom_reply(call, &count, sizeof(count));
}

/* ---- who is in them ---- */

/* no limits at all: which needs no controllers */
static struct carom_pool *plainly_grouped(struct carom_context *context)
{
	struct carom_pool *pool = NULL;
	int r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .context = context,
						   .initializer = note_group,
						   .worker_limits = &CAROM_CGROUP_LIMITS()),
			       &pool);

	if (r < 0)
		fprintf(stderr, "skipped: no control groups: %s\n", strerror(-r));
	return pool;
}

static bool is_of_a_worker(const char *group)
{
	return strstr(group, "/" CAROM_CGROUP_HOME_PREFIX) && strstr(group, "/worker-");
}

/* before it ran anything of the program's, and ever since */
static void be_in_groups(void)
{
	struct carom_context *context;

	stand_alone_where_possible();
	EACH_PROCESS_METHOD(context)
	{
		struct carom_pool *pool = plainly_grouped(context);
		char first[512] = "", now[512] = "";

		if (!pool)
			return;
		CHECK(limits_of(pool).is_grouped);
		CHECK(carom_pool_apply(pool, tell_first_group, NULL, 0, first, 512, NULL, NULL) ==
		      0);
		CHECK(carom_pool_apply(pool, tell_group, NULL, 0, now, 512, NULL, NULL) == 0);
		CHECK(is_of_a_worker(first) && is_of_a_worker(now));
		carom_pool_free(pool);
		carom_cgroup_bury_until(carom_deadline_after(CAROM_SECONDS(20)));
		CHECK(carom_cgroup_count() == 0);
	}
	CHECK(carom_cgroup_home_leave() == 0);
}

Test(group, has_its_worker_from_birth_under_every_method)
{
	cr_expect(zero(int, apart(be_in_groups)));
}

/* without clone3(2), or where it may not name a group, they are moved before they are admitted */
Test(group, has_its_worker_before_it_begins_where_it_is_moved)
{
	cr_expect(zero(int, apart_with("CAROM_DENY", "clone3", be_in_groups)));
}

/* ---- what is written to them ---- */

/* the first that is called so, within another; the caller's */
static int open_inside(int fd, const char *prefix)
{
	DIR *directory = fdopendir(openat(fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	const struct dirent *entry;
	int inside_fd = -1;

	while (directory && inside_fd < 0 && (entry = readdir(directory)))
		if (strncmp(entry->d_name, prefix, strlen(prefix)) == 0)
			inside_fd = openat(fd, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory)
		closedir(directory);
	return inside_fd;
}

/* the file may be missing: a kernel that does not count swap has none */
static void expect_file(int fd, const char *file, const char *text)
{
	if (faccessat(fd, file, F_OK, 0) < 0 && strstr(file, "swap"))
		return;
	cr_expect(eq(str, text_of(fd, file), (char *)text), "%s", file);
}

/* the group that this test stands in, which is to be that of its pools */
static int own_group(void)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/test-%d",
		 getenv(BASE_VARIABLE) ? getenv(BASE_VARIABLE) : "", getpid());
	fd = open_group(path);
	if (fd < 0)
		cr_skip_test("skipped: %s",
			     getenv(REASON_VARIABLE) ? getenv(REASON_VARIABLE) : strerror(errno));
	return fd;
}

Test(group, has_each_limit_in_the_kernels_file)
{
	const struct carom_cgroup_limits one =
		CAROM_CGROUP_LIMITS(.memory_bytes = CAROM_MIB(64),
				    .memory_high_bytes = CAROM_MIB(48), .swap_bytes = CAROM_MIB(16),
				    .cpu_quota_ns = 30 * MS, .cpu_weight = 50, .process_count = 16);
	const struct carom_cgroup_limits all =
		CAROM_CGROUP_LIMITS(.memory_bytes = CAROM_MIB(256),
				    .memory_high_bytes = CAROM_MIB(192), .cpu_quota_ns = 100 * MS,
				    .cpu_period_ns = 200 * MS, .cpu_weight = 200,
				    .process_count = 64);
	int base_fd = own_group();
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = grouped_pool(
		CAROM_POOL_OPTIONS(.worker_count = 1, .worker_limits = &one, .pool_limits = &all));
	int home_fd = open_inside(base_fd, CAROM_CGROUP_HOME_PREFIX);
	int pool_fd = open_inside(home_fd, "pool-"), worker_fd = open_inside(pool_fd, "worker-");

	cr_assert(pool && worker_fd >= 0);
	expect_file(worker_fd, "memory.max", "67108864");
	expect_file(worker_fd, "memory.high", "50331648");
	expect_file(worker_fd, "memory.swap.max", "16777216");
	expect_file(worker_fd, "memory.oom.group", "1");
	expect_file(worker_fd, "cpu.max", "30000 100000");
	expect_file(worker_fd, "cpu.weight", "50");
	expect_file(worker_fd, "pids.max", "16");
	expect_file(pool_fd, "memory.max", "268435456");
	expect_file(pool_fd, "memory.high", "201326592");
	expect_file(pool_fd, "memory.swap.max", "0");
	expect_file(pool_fd, "cpu.max", "100000 200000");
	expect_file(pool_fd, "cpu.weight", "200");
	expect_file(pool_fd, "pids.max", "64");
	close(worker_fd), close(pool_fd), close(home_fd), close(base_fd);
}

/* ---- memory ---- */

static int borrow_kib(struct carom_pool *pool, int64_t kib, struct carom_outcome *ret_outcome)
{
	return carom_pool_apply(pool, borrow, &kib, sizeof(kib), NULL, 0, NULL, ret_outcome);
}

/* it has more for a while, and its task none the worse a result */
Test(group, slows_down_who_passes_the_lower_limit)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = grouped_pool(CAROM_POOL_OPTIONS(
			.worker_count = 1,
			.worker_limits = &CAROM_CGROUP_LIMITS(.memory_bytes = CAROM_MIB(64),
							      .memory_high_bytes = CAROM_MIB(16))));
	struct carom_worker_usage usage;

	cr_expect(zero(int, borrow_kib(pool, 8 * 1024, NULL)));
	cr_assert(zero(int, carom_pool_worker_usage(pool, 0, &usage)));
	cr_expect(zero(u64, usage.memory_high_count));
	cr_expect(zero(int, borrow_kib(pool, 16 * 1024 + 256, NULL)));
	cr_assert(zero(int, carom_pool_worker_usage(pool, 0, &usage)));
	cr_expect(lt(u64, 0, usage.memory_high_count));
	cr_expect(lt(u64, CAROM_MIB(16), usage.memory_peak_bytes));
	cr_expect(zero(u64, usage.memory_limit_count));
}

static bool has_swap(void)
{
	char line[128];
	int count = 0;
	FILE *file = fopen("/proc/swaps", "re");

	while (file && fgets(line, sizeof(line), file))
		count++;
	if (file)
		fclose(file);
	return count > 1;
}

static enum carom_outcome_kind kind_with_swap(uint64_t swap_bytes)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = grouped_pool(
		CAROM_POOL_OPTIONS(.worker_count = 1,
				   .worker_limits =
					   &CAROM_CGROUP_LIMITS(.memory_bytes = CAROM_MIB(16),
								.swap_bytes = swap_bytes)));
	struct carom_outcome outcome;

	borrow_kib(pool, 32 * 1024, &outcome);
	return outcome.kind;
}

Test(group, lets_so_much_be_swapped_out_and_nothing_unless_it_is_said)
{
	if (!has_swap())
		cr_skip_test("skipped: this machine has no swap");
	cr_expect(eq(int, kind_with_swap(0), CAROM_OUTCOME_MEMORY_LIMIT));
	cr_expect(eq(int, kind_with_swap(CAROM_MIB(64)), CAROM_OUTCOME_OK));
	cr_expect(eq(int, kind_with_swap(CAROM_SWAP_UNLIMITED), CAROM_OUTCOME_OK));
}

/* a limit of all together ends the task of one, as what it is */
Test(group, has_a_limit_of_all_workers_together)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = grouped_pool(
		CAROM_POOL_OPTIONS(.worker_count = 2,
				   .pool_limits =
					   &CAROM_CGROUP_LIMITS(.memory_bytes = CAROM_MIB(48))));
	struct carom_outcome outcome;

	cr_expect(eq(u64, limits_of(pool).pool.memory_bytes, CAROM_MIB(48)));
	borrow_kib(pool, 96 * 1024, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_MEMORY_LIMIT));
	cr_expect(eq(u64, outcome.limit_bytes, CAROM_MIB(48)));
	cr_expect(ne(int, outcome.message[0], 0));
	cr_expect(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)));
}

/* takes it, and has it until it is told to stop */
static int hold(struct carom_call *call)
{
	int64_t mib;

	carom_call_read(call, &mib, sizeof(mib));
	eat_mib(mib);
	while (!atomic_load(stop))
		usleep(1000);
	return 0;
}

/* Each keeps to its own limit, and together they do not: some are ended so, the rest are well. */
/* PC-21 */
Test(group, ends_no_more_workers_than_the_limit_of_all_asks_for)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = grouped_pool(
		CAROM_POOL_OPTIONS(.worker_count = 4, .max_memory_per_child_bytes = CAROM_MIB(32),
				   .required_rungs = CAROM_RUNG_CGROUP,
				   .pool_limits =
					   &CAROM_CGROUP_LIMITS(.memory_bytes = CAROM_MIB(64))));
	struct carom_result *results[4];
	struct carom_outcome outcome;
	int64_t mib = 18;
	int ended = 0, well = 0;

	for (int i = 0; i < 4; i++)
		cr_assert(zero(int, carom_pool_apply_async(pool, hold, &mib, sizeof(mib), NULL,
							   &results[i])));
	/* four times 18 do not fit into 64: somebody's end comes by itself */
	for (bool is_any = false; !is_any; usleep(1000))
		for (int i = 0; i < 4; i++)
			is_any |= carom_result_ready(results[i]);
	atomic_store(stop, 1);
	for (int i = 0; i < 4; i++) {
		carom_result_wait(results[i], CAROM_NO_DEADLINE);
		carom_result_outcome(results[i], &outcome);
		well += outcome.kind == CAROM_OUTCOME_OK;
		if (outcome.kind == CAROM_OUTCOME_MEMORY_LIMIT) {
			cr_expect(eq(u64, outcome.limit_bytes, CAROM_MIB(64)));
			ended++;
		}
		carom_result_free(results[i]);
	}
	cr_expect(eq(int, ended + well, 4));
	cr_expect(ge(int, ended, 1));
	cr_expect(ge(int, well, 1));
}

/* Killed for want of memory, within its limits: further up there was none. Nobody says "its limit". */
/* WL-08 */
Test(group, is_not_blamed_where_memory_was_short_outside)
{
	int base_fd = own_group();
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = grouped_pool(
		CAROM_POOL_OPTIONS(.worker_count = 1, .max_memory_per_child_bytes = CAROM_MIB(256),
				   .required_rungs = CAROM_RUNG_CGROUP));
	struct carom_outcome outcome;
	char text[256];

	cr_assert(zero(int, carom_cgroup_file_write(base_fd, "memory.max", "67108864")));
	carom_cgroup_file_write(base_fd, "memory.swap.max", "0");
	borrow_kib(pool, 128 * 1024, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
	cr_expect(eq(int, outcome.signal, SIGKILL));
	carom_outcome_describe(&outcome, text, sizeof(text));
	cr_expect(ne(ptr, strstr(text, "for want of memory outside of its limits"), NULL), "%s",
		  text);
	cr_expect(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)));
	close(base_fd);
}

/* The group of all has come to its limit once: that does not speak for what comes later. */
/* WL-08 */
Test(group, that_came_to_its_limit_once_is_not_blamed_for_what_comes_from_outside)
{
	int base_fd = own_group();
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = grouped_pool(
		CAROM_POOL_OPTIONS(.worker_count = 1,
				   .lazy_start = 1, /* nobody wants memory while one is dying */
				   .pool_limits =
					   &CAROM_CGROUP_LIMITS(.memory_bytes = CAROM_MIB(80))));
	struct carom_outcome outcome;

	borrow_kib(pool, 160 * 1024, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_MEMORY_LIMIT));
	while (kill(outcome.worker_pid, 0) == 0)
		usleep(1000);
	cr_assert(zero(int, carom_cgroup_file_write(base_fd, "memory.max", "67108864")));
	carom_cgroup_file_write(base_fd, "memory.swap.max", "0");
	borrow_kib(pool, 72 * 1024, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
	cr_expect(eq(int, outcome.signal, SIGKILL));
	close(base_fd);
}

static int have_much_and_die(struct carom_call *call)
{
	eat_mib(192);
	return kill_self(call);
}

/* Before, whoever looks why, or makes the next one, may be killed for want of memory in its stead. */
Test(group, of_a_dead_worker_nobody_hears_before_the_kernel_has_its_memory)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = plainly_grouped(NULL);
	struct carom_outcome outcome;
	struct pollfd ended = { .events = POLLIN };

	if (!pool)
		cr_skip_test("skipped: no control groups");
	carom_pool_apply(pool, have_much_and_die, NULL, 0, NULL, 0, NULL, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
	ended.fd = (int)syscall(SYS_pidfd_open, outcome.worker_pid, 0);
	if (ended.fd < 0)
		cr_expect(eq(int, errno, ESRCH));
	else
		cr_expect(eq(int, poll(&ended, 1, 0), 1));
}

/* ---- of a task ---- */

static bool has_linux(int major, int minor)
{
	int own_major = 0, own_minor = 0;
	struct utsname name;

	uname(&name);
	sscanf(name.release, "%d.%d", &own_major, &own_minor);
	return own_major > major || (own_major == major && own_minor >= minor);
}

/* Of all processes, where the kernel has a peak that begins anew; else of the worker's. */
Test(group, tells_the_most_that_a_task_had)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool =
		grouped_pool(CAROM_POOL_OPTIONS(.worker_count = 1, .task_usage = 1,
						.max_memory_per_child_bytes = CAROM_MIB(128),
						.required_rungs = CAROM_RUNG_CGROUP));
	bool is_anew = has_linux(6, 12);
	int64_t kib = 48 * 1024;
	struct carom_outcome outcome;

	cr_assert(zero(int, carom_pool_apply(pool, let_borrow, &kib, sizeof(kib), NULL, 0, NULL,
					     &outcome)));
	cr_expect(eq(int, outcome.peak_bytes >= CAROM_MIB(48), is_anew));
	cr_expect(lt(u64, 0, outcome.peak_bytes));
	cr_assert(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, &outcome)));
	cr_expect(lt(u64, outcome.peak_bytes, CAROM_MIB(40)));
	borrow_kib(pool, 160 * 1024, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_MEMORY_LIMIT));
	cr_expect(ge(u64, outcome.peak_bytes, CAROM_MIB(127)));
}

/* ---- CPU time ---- */

Test(group, stops_who_has_used_up_its_quota_until_the_next_period)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = grouped_pool(
		CAROM_POOL_OPTIONS(.worker_count = 1,
				   .worker_limits =
					   &CAROM_CGROUP_LIMITS(.cpu_quota_ns = 10 * MS,
								.cpu_period_ns = 40 * MS)));
	struct carom_worker_usage usage;
	uint64_t ns = 100 * MS, begin_ns = carom_now();

	cr_expect(zero(int, carom_pool_apply(pool, burn, &ns, sizeof(ns), NULL, 0, NULL, NULL)));
	/* ten quotas, the first of which may begin at once and the last need not be whole */
	cr_expect(ge(u64, carom_now() - begin_ns, 8 * 40 * MS));
	cr_assert(zero(int, carom_pool_worker_usage(pool, 0, &usage)));
	cr_expect(ge(u64, usage.cpu_ns, ns));
	cr_expect(lt(u64, 0, usage.cpu_throttled_ns));
}

static struct carom_pool *pool_of_weight(uint32_t weight)
{
	return grouped_pool(
		CAROM_POOL_OPTIONS(.worker_count = 1,
				   .worker_limits = &CAROM_CGROUP_LIMITS(.cpu_weight = weight)));
}

static uint64_t cpu_of(struct carom_pool *pool)
{
	struct carom_worker_usage usage = { 0 };

	cr_assert(zero(int, carom_pool_worker_usage(pool, 0, &usage)));
	return usage.cpu_ns;
}

/* on one CPU, that both want */
Test(group, has_a_share_by_its_weight)
{
	struct carom_pool *pools[] = { pool_of_weight(50), pool_of_weight(500) };
	struct carom_result *results[2];
	uint64_t before[2], used[2] = { 0 };

	for (int i = 0; i < 2; i++)
		cr_assert(zero(int, carom_pool_apply_async(pools[i], burn_beside_others, NULL, 0,
							   NULL, &results[i])));
	while (atomic_load(begun) < 2)
		usleep(1000);
	for (int i = 0; i < 2; i++)
		before[i] = cpu_of(pools[i]);
	/* in the long run: what an emulated machine is not let run is counted as somebody's time */
	while (used[0] + used[1] < 500 * MS ||
	       (used[1] <= 3 * used[0] && used[0] + used[1] < 20000 * MS)) {
		usleep(10000);
		for (int i = 0; i < 2; i++)
			used[i] = cpu_of(pools[i]) - before[i];
	}
	atomic_store(stop, 1);
	cr_expect(lt(u64, 3 * used[0], used[1]));
	for (int i = 0; i < 2; i++) {
		cr_expect(
			zero(int, carom_result_get(results[i], CAROM_NO_DEADLINE, NULL, 0, NULL)));
		carom_result_free(results[i]);
		carom_pool_free(pools[i]);
	}
}

/* PR-33 */
Test(group, of_the_program_says_by_its_quota_how_many_workers_a_pool_has)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_worker_info infos[8];
	int base_fd = own_group();

	if (carom_cpu_count(CAROM_CPU_USABLE) < 2)
		cr_skip_test("skipped: no more than one CPU can be used anyway");
	if (carom_cgroup_file_write(base_fd, "cpu.max", "100000 100000") < 0)
		cr_skip_test("skipped: there is no cpu controller on cgroup v2 here");
	cr_assert(zero(int,
		       carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = CAROM_ALL_CPUS), &pool)));
	cr_expect(eq(int, carom_pool_workers(pool, infos, 8), 1));
	close(base_fd);
}

/* ---- processes ---- */

Test(group, has_so_many_processes_at_most_and_tells_what_they_used)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = grouped_pool(CAROM_POOL_OPTIONS(
			.worker_count = 1,
			.worker_limits = &CAROM_CGROUP_LIMITS(.process_count = 8, .cpu_weight = 50,
							      .memory_bytes = CAROM_MIB(64))));
	struct carom_worker_usage usage;
	int64_t count = -1;

	carom_pool_apply(pool, fork_many, NULL, 0, &count, 8, NULL, NULL);
	cr_expect(eq(i64, count, 7));
	cr_assert(zero(int, carom_pool_worker_usage(pool, 0, &usage)));
	cr_expect(eq(u64, usage.process_count, 8));
	cr_expect(ge(u64, usage.process_refused_count, 13));
	cr_expect(lt(u64, usage.memory_bytes, CAROM_MIB(64)));
	cr_expect(lt(u64, 0, usage.memory_bytes));
	cr_expect(ge(u64, usage.memory_peak_bytes, usage.memory_bytes));
	cr_expect(lt(u64, 0, usage.cpu_ns));
	cr_expect(eq(int, carom_pool_worker_usage(pool, 2000, &usage), -EINVAL));
}

/* Two workers, and what the first of them has started: the second one is as well as before. */
Test(group, has_so_many_processes_of_all_workers_together)
{
	CAROM_CLEANUP(carom_pool_freep)
	struct carom_pool *pool = grouped_pool(
		CAROM_POOL_OPTIONS(.worker_count = 2,
				   .pool_limits = &CAROM_CGROUP_LIMITS(.process_count = 12)));
	int64_t count = -1, x = 3, out = 0;

	cr_expect(eq(u32, limits_of(pool).pool.process_count, 12));
	cr_assert(zero(int, carom_pool_wait_ready(pool, CAROM_NO_DEADLINE)));
	carom_pool_apply(pool, fork_many, NULL, 0, &count, 8, NULL, NULL);
	cr_expect(eq(i64, count, 10));
	cr_expect(zero(int, carom_pool_apply(pool, square, &x, 8, &out, 8, NULL, NULL)));
	cr_expect(eq(i64, out, 9));
}

/* ---- where they may be made ---- */

/* what a service manager hands over when it delegates */
static const char *const delegated[] = { ".", "cgroup.procs", "cgroup.subtree_control",
					 "cgroup.threads" };

static void become_somebody(void)
{
	CHECK(setgroups(0, NULL) == 0 && setgid(1000) == 0 && setuid(1000) == 0);
	CHECK(prctl(PR_SET_DUMPABLE, 1) == 0); /* its /proc files are its own */
}

static int enter_group_of_somebody(bool is_delegated)
{
	int fd = stand_alone();

	for (size_t i = 0; is_delegated && i < sizeof(delegated) / sizeof(*delegated); i++)
		CHECK(fchownat(fd, delegated[i], 1000, 1000, 0) == 0);
	become_somebody();
	return fd;
}

static void need_root(void)
{
	if (getenv(REASON_VARIABLE) || !getenv(BASE_VARIABLE))
		cr_skip_test("skipped: %s", getenv(REASON_VARIABLE) ? getenv(REASON_VARIABLE)
								    : "there are no groups");
	if (geteuid() != 0)
		cr_skip_test("skipped: only root can hand a group to another user");
}

static void use_a_group_as_somebody(void)
{
	int fd = enter_group_of_somebody(true);
	struct carom_pool *pool = plainly_grouped(NULL);
	char group[512] = "";

	CHECK(pool && limits_of(pool).is_grouped);
	CHECK(carom_pool_apply(pool, tell_group, NULL, 0, group, 512, NULL, NULL) == 0);
	CHECK(is_of_a_worker(group));
	carom_pool_free(pool);
	CHECK(carom_cgroup_home_leave() == 0 && groups_in(fd) == 0);
}

Test(group, is_made_below_one_that_was_delegated_to_a_user, .init = need_root)
{
	cr_expect(zero(int, apart(use_a_group_as_somebody)));
}

static char refusal[1024];

static void note_refusal(const struct carom_log_record *record, void *userdata)
{
	if (record->event == CAROM_LOG_EVENT_LIMITS_REFUSED)
		snprintf(refusal, sizeof(refusal), "%s", record->text);
}

static void expect_refusal(struct carom_pool_options options, int error, const char *text)
{
	struct carom_pool *pool = NULL;
	int fds = count_fds(), children = count_children();

	refusal[0] = '\0';
	CHECK(carom_pool_new(&options, &pool) == error);
	CHECK(!pool && strstr(refusal, text));
	CHECK(count_fds() == fds && count_children() == children);
}

#define HINT "systemd-run --user --scope -p Delegate=yes"

/* what helps is said, and nothing is left behind; where a weaker means will do, it is taken */
static void be_refused_as_somebody(void)
{
	int fd = enter_group_of_somebody(false);
	struct carom_pool *pool = NULL;

	carom_log_to(note_refusal, NULL);
	expect_refusal(CAROM_POOL_OPTIONS(.worker_count = 1,
					  .max_memory_per_child_bytes = CAROM_MIB(64),
					  .required_rungs = CAROM_RUNG_CGROUP),
		       -EACCES, "was not delegated to this user");
	CHECK(strstr(refusal, HINT));
	expect_refusal(
		CAROM_POOL_OPTIONS(.worker_count = 1,
				   .worker_limits = &CAROM_CGROUP_LIMITS(.process_count = 4)),
		-EACCES, HINT);
	expect_refusal(CAROM_POOL_OPTIONS(.worker_count = 1,
					  .pool_limits = &CAROM_CGROUP_LIMITS(.process_count = 4)),
		       -EACCES, HINT);
	CHECK(groups_in(fd) == 0);
	CHECK(carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
						 .max_memory_per_child_bytes = CAROM_MIB(64)),
			     &pool) == 0);
	CHECK(limits_of(pool).memory_rungs & CAROM_RUNG_SAMPLING);
	CHECK(strstr(limits_of(pool).reason, HINT));
	carom_pool_free(pool);
	CHECK(groups_in(fd) == 0);
}

Test(group, that_was_not_delegated_is_refused_with_what_helps, .init = need_root)
{
	cr_expect(zero(int, apart(be_refused_as_somebody)));
}

/* the mount point of cgroup v2: alone, or beside v1 */
static const char *mount_point(void)
{
	return access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0 ? "/sys/fs/cgroup"
								: "/sys/fs/cgroup/unified";
}

/* as containers have it: the own group is the root of all that can be seen */
static void enter_cgroup_namespace(unsigned long flags)
{
	const char *point = mount_point();

	CHECK(unshare(CLONE_NEWCGROUP | CLONE_NEWNS) == 0);
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(umount2(point, MNT_DETACH) == 0);
	CHECK(mount("cgroup2", point, "cgroup2", flags, NULL) == 0);
}

static void use_a_group_in_a_namespace(void)
{
	int fd = stand_alone();
	struct carom_pool *pool;
	char group[512] = "";

	enter_cgroup_namespace(0);
	pool = plainly_grouped(NULL);
	CHECK(pool && limits_of(pool).is_grouped);
	CHECK(carom_pool_apply(pool, tell_group, NULL, 0, group, 512, NULL, NULL) == 0);
	CHECK(strncmp(group, "0::/" CAROM_CGROUP_HOME_PREFIX, 10) == 0 && is_of_a_worker(group));
	carom_pool_free(pool);
	CHECK(carom_cgroup_home_leave() == 0 && groups_in(fd) == 0);
}

static bool can_have_namespaces(void)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0)
		_exit(unshare(CLONE_NEWCGROUP | CLONE_NEWNS) == 0 ? 0 : 1);
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static void need_namespaces(void)
{
	need_root();
	if (!can_have_namespaces())
		cr_skip_test("skipped: no cgroup namespace can be made here");
}

Test(group, is_made_in_a_cgroup_namespace, .init = need_namespaces)
{
	cr_expect(zero(int, apart(use_a_group_in_a_namespace)));
}

static void be_refused_where_nothing_can_be_written(void)
{
	int fd = stand_alone();

	enter_cgroup_namespace(MS_RDONLY);
	carom_log_to(note_refusal, NULL);
	expect_refusal(CAROM_POOL_OPTIONS(.worker_count = 1,
					  .max_memory_per_child_bytes = CAROM_MIB(64),
					  .required_rungs = CAROM_RUNG_CGROUP),
		       -EROFS, "mounted read-only, as in most containers");
	CHECK(!strstr(refusal, "Delegate")); /* which would not help */
	CHECK(groups_in(fd) == 0);
}

Test(group, is_refused_in_a_container_whose_hierarchy_is_read_only, .init = need_namespaces)
{
	cr_expect(zero(int, apart(be_refused_where_nothing_can_be_written)));
}

/* ---- limits that no worker can live with ---- */

static void be_refused_for_too_little(void)
{
	int fd = stand_alone();
	struct carom_pool *pool = NULL;
	int fds;

	carom_log_to(note_refusal, NULL);
	/* what is kept from a program's first pool on */
	if (carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1,
					       .worker_limits =
						       &CAROM_CGROUP_LIMITS(.memory_bytes =
										    CAROM_MIB(64))),
			   &pool) < 0) {
		fprintf(stderr, "skipped: %s\n", refusal);
		return;
	}
	carom_pool_free(pool);
	carom_cgroup_bury_until(carom_deadline_after(CAROM_SECONDS(20)));
	fds = count_fds();
	for (int i = 0; i < 3; i++) {
		const struct carom_cgroup_limits little =
			CAROM_CGROUP_LIMITS(.memory_bytes = 16384);
		struct carom_pool_options options =
			CAROM_POOL_OPTIONS(.worker_count = 4,
					   .worker_limits = i == 0 ? &little : NULL,
					   .pool_limits = i == 1 ? &little : NULL,
					   .max_memory_per_child_bytes = i == 2 ? 16384 : 0,
					   .required_rungs = i == 2 ? CAROM_RUNG_CGROUP : 0);

		refusal[0] = '\0';
		CHECK(carom_pool_new(&options, &pool) == -ERANGE);
		CHECK(strstr(refusal, "below what a worker needs"));
		carom_cgroup_bury_until(carom_deadline_after(CAROM_SECONDS(20)));
		CHECK(carom_cgroup_count() == 0);
		/* but for the set that such groups wait in, and the fork server */
		CHECK(count_fds() <= fds + 1 && count_children() <= 1);
	}
	CHECK(carom_cgroup_home_leave() == 0 && groups_in(fd) == 0);
}

Test(group, with_less_than_a_worker_needs_is_refused_and_leaves_nothing, .init = need_root)
{
	cr_expect(zero(int, apart(be_refused_for_too_little)));
}
