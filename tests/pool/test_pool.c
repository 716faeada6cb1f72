/* The pool as a whole: made, used, closed, terminated, misused. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "core/cpu.h"
#include "core/points.h"
#include "core/process.h"
#include "tests/occupy.h"
#include "tests/pool/isolated.h"
#include "tests/pool/asleep.h"
#include "tests/pool/gate.h"
#include "tests/pool/work.h"

Test(pool, squares_a_number, .timeout = 10)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t in = 12, out = 0;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2), &pool)));
	cr_assert(zero(int, carom_pool_apply(pool, square, &in, sizeof(in), &out, sizeof(out), NULL,
					     NULL)));
	cr_expect(eq(i64, out, 144));
}

static int usual_workers(void)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int all;

	cr_assert(zero(int,
		       carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = CAROM_ALL_CPUS), &pool)));
	all = carom_pool_workers(pool, NULL, 0);
	pool = carom_pool_free(pool);
	cr_assert(zero(int, carom_pool_new(NULL, &pool)));
	cr_expect(eq(int, carom_pool_workers(pool, NULL, 0), all));
	return all;
}

Test(pool, has_as_many_workers_as_cpus_by_default, .timeout = 10)
{
	cr_expect(eq(int, usual_workers(), carom_cpu_count(CAROM_CPU_USABLE)));
	setenv("CAROM_CPU_COUNT", "3", 1);
	cr_expect(eq(int, usual_workers(), 3));
}

/* So many that there are not descriptors enough; but it is not the number that is refused. */
Test(pool, has_no_more_workers_than_there_can_be_on_more_cpus_than_that, .timeout = 60)
{
	struct rlimit limit = { .rlim_cur = OCCUPIED + 64, .rlim_max = OCCUPIED + 64 };
	struct carom_pool *pool = NULL;

	occupy_low_descriptors();
	setenv("CAROM_CPU_COUNT", "100000", 1);
	cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
	cr_expect(eq(int, carom_pool_new(NULL, &pool), -EMFILE));
	cr_expect(eq(ptr, pool, NULL));
}

/*
 * A file system of its own over the place where cgroup v2 is mounted, for this process
 * and its children. False: not allowed here, or there is no such place.
 */
static bool cover_cgroups(char *ret_folder, size_t size)
{
	static const char *const folders[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (int i = 0; i < 2; i++) {
		snprintf(ret_folder, size, "%s/cgroup.procs", folders[i]);
		if (access(ret_folder, F_OK) < 0)
			continue;
		snprintf(ret_folder, size, "%s", folders[i]);
		return unshare(CLONE_NEWNS) == 0 &&
		       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
		       mount("none", folders[i], "tmpfs", 0, NULL) == 0;
	}
	return false;
}

/* PR-33 */
Test(pool, pain_30_has_as_many_workers_as_the_quota_allows, .timeout = 20)
{
	int usable = carom_cpu_count(CAROM_CPU_USABLE);
	char path[64];
	int fd;

	if (usable < 2)
		cr_skip_test("no more than one CPU can be used anyway");
	if (!cover_cgroups(path, sizeof(path) - sizeof("/cpu.max")))
		cr_skip_test("no cgroup v2, or nothing can be mounted over it");
	strcat(path, "/cpu.max");
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	dprintf(fd, "%d 100000\n", (usable - 1) * 100000);
	close(fd);
	cr_expect(eq(int, usual_workers(), usable - 1));
}

/* PC-01 */
Test(pool, refuses_zero_workers, .timeout = 10)
{
	struct carom_pool *pool = NULL;

	cr_expect(eq(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 0), &pool), -EINVAL));
	cr_expect(eq(
		int,
		carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = CAROM_WORKERS_MAX + 1), &pool),
		-EINVAL));
	cr_expect(eq(
		int,
		carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .slot_count = 32769), &pool),
		-EINVAL));
	cr_expect(eq(ptr, pool, NULL));
}

Test(pool, refuses_sizes_that_overflow, .timeout = 10)
{
	struct carom_pool *pool = NULL;

	cr_expect(eq(
		int,
		carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .payload_size = UINT64_MAX),
			       &pool),
		-EOVERFLOW));
	cr_expect(ne(int,
		     carom_pool_new(&CAROM_POOL_OPTIONS(.payload_size = UINT64_C(1) << 60,
							.worker_count = 1000),
				    &pool),
		     0));
	cr_expect(eq(ptr, pool, NULL));
}

/* PC-23 */
Test(pool, refuses_an_option_it_does_not_know, .timeout = 10)
{
	struct {
		struct carom_pool_options known;
		uint64_t newer;
	} options = { .known = CAROM_POOL_OPTIONS(.worker_count = 1), .newer = 0 };
	struct carom_pool *pool = NULL;

	options.known.size_bytes = sizeof(options);
	cr_assert(zero(int, carom_pool_new(&options.known, &pool)));
	pool = carom_pool_free(pool);
	options.newer = 1;
	cr_expect(eq(int, carom_pool_new(&options.known, &pool), -E2BIG));
	cr_expect(eq(ptr, pool, NULL));
}

Test(pool, refuses_no_function, .timeout = 10)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_result *result = NULL;
	int64_t x = 1;

	cr_expect(eq(int, carom_pool_apply(pool, NULL, &x, 8, &x, 8, NULL, NULL), -EINVAL));
	cr_expect(eq(int, carom_pool_apply_async(pool, NULL, &x, 8, NULL, &result), -EINVAL));
	cr_expect(eq(int, carom_pool_apply_async(pool, square, NULL, 8, NULL, &result), -EINVAL));
	cr_expect(eq(int, carom_pool_map(pool, NULL, &x, 1, 8, &x, 8, NULL), -EINVAL));
	cr_expect(eq(ptr, result, NULL));
}

/* PM-01 */
/* PM-17 */
Test(pool, takes_nothing_after_close_but_finishes_what_it_took, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct carom_result *results[100];
	int64_t out;

	for (int64_t i = 0; i < 100; i++)
		cr_assert(zero(int, carom_pool_apply_async(pool, square, &i, sizeof(i), NULL,
							   &results[i])));
	cr_assert(zero(int, carom_pool_close(pool)));
	cr_expect(zero(int, carom_pool_close(pool)));
	cr_expect(
		eq(int, carom_pool_apply(pool, square, &out, 8, &out, 8, NULL, NULL), -ESHUTDOWN));
	cr_expect(eq(int, carom_pool_map(pool, square, &out, 1, 8, &out, 8, NULL), -ESHUTDOWN));
	for (int64_t i = 0; i < 100; i++) {
		cr_assert(
			zero(int, carom_result_get(results[i], CAROM_NO_DEADLINE, &out, 8, NULL)));
		cr_expect(eq(i64, out, i * i));
		carom_result_free(results[i]);
	}
	cr_expect(zero(int, carom_pool_join(pool, carom_deadline_after(CAROM_SECONDS(10)))));
}

/* PM-19 */
Test(pool, is_joined_only_after_close_or_terminate, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);

	cr_expect(eq(int, carom_pool_join(pool, CAROM_NO_DEADLINE), -EINVAL));
	carom_pool_apply_async(pool, hang, NULL, 0, NULL, NULL);
	carom_pool_close(pool);
	cr_expect(eq(int, carom_pool_join(pool, carom_deadline_after(CAROM_MILLISECONDS(20))),
		     -ETIMEDOUT));
	cr_expect(zero(int, carom_pool_terminate(pool)));
	cr_expect(zero(int, carom_pool_join(pool, CAROM_PASSED)));
}

/* PM-18 */
Test(pool, answers_everybody_when_it_is_terminated, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct carom_result *results[50];
	struct carom_outcome outcome;
	int running = 0, waiting = 0;

	for (int i = 0; i < 50; i++)
		cr_assert(
			zero(int, carom_pool_apply_async(pool, hang, NULL, 0, NULL, &results[i])));
	/* both workers have begun one when neither is to be had for more */
	while (running + waiting == 0) {
		struct carom_worker_info infos[2];

		carom_pool_workers(pool, infos, 2);
		if (infos[0].pid && infos[1].pid)
			break;
	}
	cr_assert(zero(int, carom_pool_terminate(pool)));
	for (int i = 0; i < 50; i++) {
		cr_expect(eq(int, carom_result_get(results[i], CAROM_NO_DEADLINE, NULL, 0, NULL),
			     -EREMOTEIO));
		carom_result_outcome(results[i], &outcome);
		running += outcome.kind == CAROM_OUTCOME_TERMINATED;
		waiting += outcome.kind == CAROM_OUTCOME_POOL_CLOSED;
		carom_result_free(results[i]);
	}
	cr_expect(eq(int, running + waiting, 50));
	cr_expect(le(int, running, 2));
	cr_expect(
		eq(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL), -ESHUTDOWN));
}

static void *terminate_later(void *pool)
{
	carom_pool_terminate(pool);
	return NULL;
}

/* PM-18 */
Test(pool, answers_a_thread_that_waits_when_it_is_terminated, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_outcome outcome;
	pthread_t thread;

	pthread_create(&thread, NULL, terminate_later, pool);
	int r = carom_pool_apply(pool, hang, NULL, 0, NULL, 0, NULL, &outcome);
	cr_expect(r == -EREMOTEIO || r == -ESHUTDOWN, "%d", r);
	pthread_join(thread, NULL);
}

/* PM-20 */
Test(pool, kills_a_running_task_when_it_is_freed, .timeout = 20)
{
	struct carom_pool *pool = new_pool(1);
	struct carom_result *result;
	struct carom_outcome outcome;
	int64_t pid = 0;

	carom_pool_apply(pool, own_pid, NULL, 0, &pid, 8, NULL, NULL);
	carom_pool_apply_async(pool, hang, NULL, 0, NULL, &result);
	pool = carom_pool_free(pool);
	cr_expect(eq(int, kill((pid_t)pid, 0), -1));
	/* the result outlives the pool */
	carom_result_outcome(result, &outcome);
	cr_expect(outcome.kind == CAROM_OUTCOME_TERMINATED ||
		  outcome.kind == CAROM_OUTCOME_POOL_CLOSED);
	carom_result_free(result);
}

/* PH-25 */
Test(pool, is_closed_in_a_forked_child, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct carom_result *result;
	int64_t x = 3, y = 0;
	int status;
	pid_t child;

	carom_pool_apply_async(pool, square, &x, 8, NULL, &result);
	child = fork();
	if (child == 0) {
		int wrong = 0;

		wrong += carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL) != -ECHILD;
		wrong += carom_pool_close(pool) != -ECHILD;
		wrong += carom_pool_terminate(pool) != -ECHILD;
		wrong += carom_pool_join(pool, CAROM_PASSED) != -ECHILD;
		wrong += carom_pool_workers(pool, NULL, 0) != -ECHILD;
		wrong += carom_result_get(result, CAROM_NO_DEADLINE, &y, 8, NULL) != -ECHILD;
		carom_result_free(result);
		carom_pool_free(pool);
		_exit(wrong);
	}
	cr_assert(eq(int, waitpid(child, &status, 0), child));
	cr_expect(zero(int, status));
	/* the parent notices nothing */
	cr_expect(zero(int, carom_result_get(result, CAROM_NO_DEADLINE, &y, 8, NULL)));
	cr_expect(eq(i64, y, 9));
	carom_result_free(result);
	cr_expect(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
}

Test(pool, can_be_made_in_a_forked_child, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct carom_pool *own = new_pool(1);
		int64_t x = 5, y = 0;
		int r = own ? carom_pool_apply(own, square, &x, 8, &y, 8, NULL, NULL) : -1;

		carom_pool_free(own);
		_exit(r == 0 && y == 25 ? 0 : 1);
	}
	waitpid(child, &status, 0);
	cr_expect(zero(int, status));
}

static int nested(struct carom_call *call)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	int64_t x = 6, y = 0;
	int r = pool ? carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL) : -ENOMEM;

	return r < 0 ? r : carom_reply(call, &y, 8);
}

Test(pool, can_be_made_inside_a_task, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_outcome outcome;
	char text[160];
	int64_t y = 0;

	int r = carom_pool_apply(pool, nested, NULL, 0, &y, 8, NULL, &outcome);
	cr_expect(zero(int, r), "%s", carom_outcome_describe(&outcome, text, sizeof(text)));
	cr_expect(eq(i64, y, 36));
}

static size_t count_fds(void)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t count = 0;

	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

Test(pool, leaves_no_descriptor_and_no_process_behind, .timeout = 30)
{
	struct carom_pool *pool = new_pool(3);
	size_t fds;

	carom_pool_free(pool);
	fds = count_fds();
	for (int i = 0; i < 20; i++) {
		pool = new_pool(3);
		cr_assert(ne(ptr, pool, NULL));
		carom_pool_free(pool);
	}
	cr_expect(eq(sz, count_fds(), fds));
	/* the fork server is the only child there is */
	cr_expect(eq(int, waitpid(-1, NULL, WNOHANG | __WALL), 0));
}

Test(pool, is_open_in_no_copy_of_the_program, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	size_t fds = count_fds();
	int status = -1;
	pid_t child;

	pool = new_pool(3);
	cr_assert(ne(ptr, pool, NULL));
	cr_assert(lt(sz, fds, count_fds()));
	child = fork();
	if (child == 0)
		_exit(count_fds() == fds ? 0 : 1);
	cr_assert(eq(int, waitpid(child, &status, 0), child));
	cr_expect(zero(int, status));
}

/* how many lanes this process has mapped: each is a file of its own */
static int count_lanes(struct carom_call *call)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long inode, last = 0;
	int64_t count = 0;
	char line[512];

	if (!maps)
		return -errno;
	while (fgets(line, sizeof(line), maps)) {
		if (!strstr(line, "memfd:carom-lane") ||
		    sscanf(line, "%*s %*s %*s %*s %lu", &inode) != 1)
			continue;
		count += inode != last;
		last = inode;
	}
	fclose(maps);
	return carom_reply(call, &count, sizeof(count));
}

/* the fork server is made while the first pool is, and workers of the others are its children */
Test(pool, is_mapped_by_no_worker_of_another_one, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *first = NULL;
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *second = NULL;
	int64_t count = 0;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1), &first)));
	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1), &second)));
	cr_assert(zero(int, carom_pool_apply(second, count_lanes, NULL, 0, &count, sizeof(count),
					     NULL, NULL)));
	cr_expect(eq(i64, count, 1));
}

/* UT-25 */
Test(pool, is_to_be_freed_before_a_reset, .timeout = 30)
{
	size_t fds = count_fds();
	struct carom_pool *pool = new_pool(2);
	struct carom_result *result = NULL;
	int64_t x = 3, y = 0;

	cr_assert(zero(int, carom_pool_apply_async(pool, square, &x, 8, NULL, &result)));
	cr_expect(eq(int, carom_reset_for_tests(), -EBUSY));
	cr_expect(zero(int, carom_result_get(result, CAROM_NO_DEADLINE, &y, 8, NULL)));
	carom_pool_free(pool);
	cr_expect(eq(int, carom_reset_for_tests(), -EBUSY), "a result stands on its pool");
	carom_result_free(result);
	cr_assert(zero(int, carom_reset_for_tests()));
	cr_expect(eq(sz, count_fds(), fds));
	cr_expect(eq(int, waitpid(-1, NULL, WNOHANG | __WALL), -1));

	pool = new_pool(2);
	cr_assert(ne(ptr, pool, NULL));
	cr_expect(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
	carom_pool_free(pool);
}

/* PC-26 */
Test(pool, says_so_when_descriptors_run_out, .timeout = 30)
{
	struct rlimit limit;
	struct carom_pool *pool, *second = NULL;
	int64_t x = 4, y = 0;
	size_t fds;

	occupy_low_descriptors();
	pool = new_pool(1); /* the context exists from now on */
	fds = count_fds();
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = fds + 2; /* room for the lane and one worker, not for eight */
	setrlimit(RLIMIT_NOFILE, &limit);
	cr_expect(
		eq(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 8), &second), -EMFILE));
	cr_expect(eq(ptr, second, NULL));
	cr_expect(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	cr_expect(eq(sz, count_fds(), fds));
	carom_pool_free(pool);
}

Test(pool, survives_a_full_descriptor_table, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	int fds[30000], count = 0;
	struct carom_outcome outcome;
	int64_t x = 4, y = 0;

	SKIP_IF_ISOLATED("a new worker takes more descriptors than a dead one leaves");
	while (count < 30000 && (fds[count] = open("/dev/null", O_RDONLY)) >= 0)
		count++;
	for (int i = 0; i < 4; i++) {
		cr_expect(eq(int,
			     carom_pool_apply(pool, kill_self, NULL, 0, NULL, 0, NULL, &outcome),
			     -EREMOTEIO));
		cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
	}
	while (count > 0)
		close(fds[--count]);
	for (int i = 0; i < 50; i++)
		cr_expect(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
}

struct submitter {
	pthread_t thread;
	struct carom_pool *pool;
	int64_t first;
	int64_t wrong;
};

static void *submit_many(void *userdata)
{
	struct submitter *self = userdata;

	for (int64_t i = self->first; i < self->first + 5000; i++) {
		int64_t out = -1;

		if (carom_pool_apply(self->pool, square, &i, 8, &out, 8, NULL, NULL) < 0 ||
		    out != i * i)
			self->wrong++;
	}
	return NULL;
}

Test(pool, is_used_by_many_threads_at_once, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(3);
	struct submitter submitters[8];

	for (int i = 0; i < 8; i++) {
		submitters[i] = (struct submitter){ .pool = pool, .first = i * 100000 };
		pthread_create(&submitters[i].thread, NULL, submit_many, &submitters[i]);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(submitters[i].thread, NULL);
		cr_expect(zero(i64, submitters[i].wrong));
	}
}

Test(pool, blocks_a_submitter_only_while_no_slot_is_free, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_result *results[2000];
	int64_t out;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .slot_count = 8),
					   &pool)));
	/* far more results than slots are held at once */
	for (int64_t i = 0; i < 2000; i++)
		cr_assert(
			zero(int, carom_pool_apply_async(pool, square, &i, 8, NULL, &results[i])));
	for (int64_t i = 0; i < 2000; i++) {
		cr_assert(
			zero(int, carom_result_get(results[i], CAROM_NO_DEADLINE, &out, 8, NULL)));
		cr_expect(eq(i64, out, i * i));
		carom_result_free(results[i]);
	}
}

Test(pool, needs_nobody_to_want_a_result, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	int64_t x = 2, y = 0;

	cr_assert(zero(int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .slot_count = 16),
					   &pool)));
	for (int i = 0; i < 5000; i++)
		cr_assert(zero(int, carom_pool_apply_async(pool, square, &x, 8, NULL, NULL)));
	cr_expect(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
}

static uint64_t switches_of(int64_t pid)
{
	char path[64], line[128];
	uint64_t total = 0, count;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "voluntary_ctxt_switches: %lu", &count) == 1 ||
		    sscanf(line, "nonvoluntary_ctxt_switches: %lu", &count) == 1)
			total += count;
	if (file)
		fclose(file);
	return total;
}

/* WK-07 */
Test(pool, wakes_nobody_while_it_is_idle, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_worker_info infos[4];
	uint64_t before[4];
	int64_t x = 1, y;

	cr_assert(zero(int,
		       carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 4,
							  .soft_limit_ns = CAROM_MILLISECONDS(250)),
				      &pool)));
	for (int i = 0; i < 100; i++)
		carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL);
	await_workers_asleep(pool, 4); /* the time to look at those limits is still to come */
	carom_pool_workers(pool, infos, 4);
	for (int i = 0; i < 4; i++)
		before[i] = switches_of(infos[i].pid);
	poll(NULL, 0, 500);
	for (int i = 0; i < 4; i++)
		cr_expect(eq(u64, switches_of(infos[i].pid), before[i]));
}

/* ---- hosts that get in the way ---- */

static void *reap_everything(void *stop)
{
	while (!*(_Atomic bool *)stop)
		if (waitpid(-1, NULL, WNOHANG) <= 0)
			poll(NULL, 0, 1);
	return NULL;
}

static void expect_deaths_to_be_answered(struct carom_pool *pool)
{
	struct carom_outcome outcome;
	int64_t x = 9, y = 0;

	for (int i = 0; i < 50; i++) {
		cr_assert(eq(int,
			     carom_pool_apply(pool, kill_self, NULL, 0, NULL, 0, NULL, &outcome),
			     -EREMOTEIO));
		cr_assert(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
		/* the real cause, or honestly none; never a guess */
		cr_assert(outcome.signal == SIGKILL ||
				  (outcome.signal == 0 && outcome.exit_status == -1),
			  "%d %d", outcome.signal, outcome.exit_status);
	}
	cr_expect(zero(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL)));
	cr_expect(eq(i64, y, 81));
}

Test(pool, survives_a_host_that_reaps_every_child, .timeout = 60)
{
	struct carom_pool *pool = new_pool(2);
	_Atomic bool stop = false;
	pthread_t thread;

	pthread_create(&thread, NULL, reap_everything, &stop);
	expect_deaths_to_be_answered(pool);
	carom_pool_free(pool);
	stop = true;
	pthread_join(thread, NULL);
}

Test(pool, survives_a_host_that_ignores_its_children, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;

	signal(SIGCHLD, SIG_IGN);
	pool = new_pool(2);
	expect_deaths_to_be_answered(pool);
}

Test(pool, says_so_where_children_can_only_be_made_by_fork, .timeout = 10)
{
	struct carom_pool *pool = NULL;

	setenv("CAROM_DENY", "tid_address", 1);
	cr_expect(eq(int, carom_pool_new(NULL, &pool), -EOPNOTSUPP));
	cr_expect(eq(ptr, pool, NULL));
}

/* ---- nothing is left to hold a worker with ---- */

static struct gate *gate; /* made before the pool */

static int be_held(struct carom_call *call)
{
	gate_pass(gate, 0);
	return carom_reply(call, &(int64_t){ 7 }, sizeof(int64_t));
}

static void limit_descriptors(rlim_t count, struct rlimit *ret_before)
{
	struct rlimit limit;

	cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &limit)));
	if (ret_before)
		*ret_before = limit;
	limit.rlim_cur = count;
	cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
}

static void kill_all(struct carom_pool *pool)
{
	struct carom_worker_info workers[64];
	int count = carom_pool_workers(pool, workers, 64);

	for (int i = 0; i < count; i++)
		if (workers[i].pid > 0) /* 0 would be everybody */
			kill((pid_t)workers[i].pid, SIGKILL);
}

/* Signals of one kind that come at once are one, so there may have been more deaths. */
static void await_deaths(int count)
{
	struct timespec patience = { .tv_sec = 20 };
	sigset_t deaths;

	sigemptyset(&deaths);
	sigaddset(&deaths, SIGCHLD);
	while (count-- > 0)
		cr_assert(eq(int, sigtimedwait(&deaths, NULL, &patience), SIGCHLD));
}

static struct carom_pool *new_pool_whose_deaths_can_be_awaited(uint64_t workers)
{
	struct carom_pool *pool;
	sigset_t deaths;

	occupy_low_descriptors();
	sigemptyset(&deaths);
	sigaddset(&deaths, SIGCHLD);
	sigprocmask(SIG_BLOCK, &deaths, NULL);
	pool = new_pool(workers);
	cr_assert(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)));
	return pool;
}

/*
 * Each time that a worker is made and cannot be held, it is killed. What it had taken
 * until then nobody would sweep: so it takes nothing.
 */
Test(pool, gives_no_work_to_a_worker_that_it_cannot_hold, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct carom_result *result = NULL;
	struct rlimit before;
	int64_t value = 0;

	SKIP_IF_ISOLATED("without descriptors no worker is asked for");
	gate = gate_new();
	pool = new_pool_whose_deaths_can_be_awaited(1);
	limit_descriptors(OCCUPIED, &before);
	kill_all(pool);
	await_deaths(1);
	cr_assert(zero(int, carom_pool_apply_async(pool, be_held, NULL, 0, NULL, &result)));
	await_deaths(10); /* of workers that were made */
	limit_descriptors(before.rlim_cur, NULL);
	gate_open(gate, 1);

	cr_expect(zero(int, carom_result_get(result, carom_deadline_after(CAROM_SECONDS(20)),
					     &value, sizeof(value), NULL)));
	cr_expect(eq(i64, value, 7));
	cr_expect(eq(u32, gate->begun, 1));
	carom_result_free(result);
}

/* All of them fail to be made before the first pause is over: that is one failure. */
Test(pool, of_many_workers_does_not_break_sooner_than_one_of_few, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	struct rlimit before;

	SKIP_IF_ISOLATED("without descriptors no worker is asked for");
	pool = new_pool_whose_deaths_can_be_awaited(32);
	limit_descriptors(OCCUPIED, &before);
	kill_all(pool);
	await_deaths(40);
	limit_descriptors(before.rlim_cur, NULL);
	cr_expect(zero(int, carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL)));
}

/* ---- storms end: P8 ---- */

Test(pool, breaks_when_its_workers_die_before_they_are_ready, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(2);
	struct carom_outcome outcome;
	struct carom_result *waiting;
	int64_t x = 9, y = 0;

	if (carom_point_arm("lane.alive", 1) == -EOPNOTSUPP)
		cr_skip_test("built without points (-Dpoints=true)");
	carom_pool_apply_async(pool, kill_self, NULL, 0, NULL, NULL);
	carom_pool_apply_async(pool, kill_self, NULL, 0, NULL, NULL);
	cr_assert(zero(int, carom_pool_apply_async(pool, square, &x, 8, NULL, &waiting)));
	cr_expect(
		eq(int,
		   carom_result_get(waiting, carom_deadline_after(CAROM_SECONDS(40)), &y, 8, NULL),
		   -EREMOTEIO));
	carom_result_outcome(waiting, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_POOL_BROKEN));
	cr_expect(eq(int, carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL),
		     -ENOTRECOVERABLE));
	carom_result_free(waiting);
	carom_point_disarm_all();
}

static int tell_name(struct carom_call *call)
{
	struct carom_process *self = carom_current_process();
	char name[64];
	int r = carom_process_name(self, name, sizeof(name));

	return r < 0 ? r : carom_reply(call, name, strlen(name) + carom_process_daemon(self));
}

/* PC-24 */
Test(pool, names_its_workers, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	char name[64] = "";

	cr_assert(zero(int,
		       carom_pool_apply(pool, tell_name, NULL, 0, name, sizeof(name), NULL, NULL)));
	/* the NUL is there because it is a daemon, too */
	cr_expect(strcmp(name, "ForkServerPoolWorker-1") == 0, "%s", name);
}

static void name_process(uint64_t index, char *name, size_t size, void *userdata)
{
	snprintf(name, size, "resizer %d", (int)index);
	*(int *)userdata += 1;
}

/* PH-20 */
Test(pool, lets_the_program_name_each_worker_that_is_made, .timeout = 20)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	char name[64] = "";
	int made = 0;

	cr_assert(zero(
		int,
		carom_pool_new(
			&CAROM_POOL_OPTIONS(.worker_count = 2, .max_tasks_per_child = 1,
					    .hooks = &CAROM_POOL_HOOKS(.name_process = name_process,
								       .userdata = &made)),
			&pool)));
	cr_expect(eq(int, made, 2));
	cr_assert(zero(int,
		       carom_pool_apply(pool, tell_name, NULL, 0, name, sizeof(name), NULL, NULL)));
	cr_expect(zero(int, strncmp(name, "resizer ", 8)), "%s", name);
	carom_pool_close(pool);
	carom_pool_join(pool, CAROM_NO_DEADLINE);
	cr_expect(ge(int, made, 2));
}

static int use_the_programs_pool(struct carom_call *call)
{
	struct carom_pool *pool;
	int r = carom_call_read(call, &pool, sizeof(pool));

	if (r < 0)
		return r;
	r = carom_pool_apply_async(pool, nothing, NULL, 0, NULL, NULL);
	return r == -ECHILD ? 0 : -EINVAL;
}

/* PH-24 */
Test(pool, does_not_travel, .timeout = 20)
{
	struct carom_pool *unmade = new_pool(1), *pool = NULL;
	struct carom_context *fork_context = NULL;

	cr_assert(zero(int, carom_context_get("fork", &fork_context)));
	cr_assert(zero(
		int, carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .context = fork_context),
				    &pool)));
	cr_expect(zero(int, carom_pool_apply(pool, use_the_programs_pool, &unmade, sizeof(unmade),
					     NULL, 0, NULL, NULL)));
	carom_pool_free(pool);
	carom_pool_free(unmade);
}

Test(pool, names_the_reasons_for_which_workers_end)
{
	cr_expect(eq(str, (char *)carom_exit_reason_name(CAROM_EXIT_REASON_RECYCLED),
		     (char *)"recycled"));
	cr_expect(eq(str, (char *)carom_exit_reason_name((enum carom_exit_reason)99),
		     (char *)"unknown"));
}
