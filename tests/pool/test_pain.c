/*
 * What users of other pools suffer from, where it is not with a part of the pool that
 * has a suite of its own.
 */
#include "tests/needs.h"
#include "tests/pool/work.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/pidfd.h>
#include <sys/wait.h>

/* ---- A ---- */

Test(pain, pain_6_an_outcome_is_of_the_real_kind, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_task_options limited =
		CAROM_TASK_OPTIONS(.hard_limit_ns = CAROM_MILLISECONDS(10));
	struct carom_outcome outcome;

	carom_pool_apply(pool, kill_self, NULL, 0, NULL, 0, NULL, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_LOST));
	carom_pool_apply(pool, hang, NULL, 0, NULL, 0, &limited, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_HARD_LIMIT));
	carom_pool_apply(pool, fail_with_message, NULL, 0, NULL, 0, NULL, &outcome);
	cr_expect(eq(int, outcome.kind, CAROM_OUTCOME_FAILED));
}

/* ---- B ---- */

/* A death by the pool's own hand, by the task's, by somebody else's: three causes. */
Test(pain, pain_15_a_death_says_why, .timeout = 30)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = new_pool(1);
	struct carom_task_options limited =
		CAROM_TASK_OPTIONS(.hard_limit_ns = CAROM_MILLISECONDS(10));
	struct carom_outcome by_limit, by_itself, by_crash;
	char text[160];

	carom_pool_apply(pool, hang, NULL, 0, NULL, 0, &limited, &by_limit);
	carom_pool_apply(pool, exit_7, NULL, 0, NULL, 0, NULL, &by_itself);
	carom_pool_apply(pool, kill_self, NULL, 0, NULL, 0, NULL, &by_crash);
	cr_expect(not(zero(
		int, strncmp("lost", carom_outcome_describe(&by_limit, text, sizeof(text)), 4))));
	carom_outcome_describe(&by_itself, text, sizeof(text));
	cr_expect(ne(ptr, strstr(text, "exited with status 7"), NULL), "%s", text);
	carom_outcome_describe(&by_crash, text, sizeof(text));
	cr_expect(ne(ptr, strstr(text, "killed by signal 9 (SIGKILL)"), NULL), "%s", text);
}

/* a small one for this test alone */
static bool have_own_shared_memory(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("none", "/dev/shm", "tmpfs", 0, "size=16m") == 0;
}

Test(pain, pain_17_a_small_dev_shm_is_of_no_concern, .timeout = 60)
{
	CAROM_CLEANUP(carom_pool_freep) struct carom_pool *pool = NULL;
	size_t size = 64 << 20;
	char *data, *out;

	if (!have_own_shared_memory())
		cr_skip_test("nothing can be mounted here");
	pool = new_pool(1);
	data = calloc(1, size);
	out = malloc(size);
	data[size - 1] = 'z';
	cr_expect(zero(int, carom_pool_apply(pool, echo, data, size, out, size, NULL, NULL)));
	cr_expect(zero(int, memcmp(data, out, size)));
	free(data);
	free(out);
}

static int names_in_shared_memory(void)
{
	DIR *folder = opendir("/dev/shm");
	int count = 0;

	cr_assert(ne(ptr, (void *)folder, NULL));
	while (readdir(folder))
		count++;
	closedir(folder);
	return count;
}

/* ---- processes that are killed with all they hold ---- */

/* a program with a busy pool; writes the pids of its workers */
static void be_a_program(int fd)
{
	struct carom_worker_info infos[3];
	int64_t pids[3];
	struct carom_pool *pool = new_pool(3);
	char large[100000] = { 0 };

	for (int i = 0; i < 2; i++)
		carom_pool_apply_async(pool, hang, NULL, 0, NULL, NULL);
	carom_pool_apply(pool, echo, large, sizeof(large), large, sizeof(large), NULL, NULL);
	carom_pool_workers(pool, infos, 3);
	for (int i = 0; i < 3; i++)
		pids[i] = infos[i].pid;
	if (write(fd, pids, sizeof(pids)) != sizeof(pids))
		_exit(1);
	for (;;)
		pause();
}

static void kill_program(int *pidfds)
{
	int64_t pids[3];
	int ends[2];
	pid_t program;

	NEEDS("pidfd_open");
	cr_assert(zero(int, pipe(ends)));
	program = fork();
	if (program == 0)
		be_a_program(ends[1]);
	cr_assert(eq(sz, read(ends[0], pids, sizeof(pids)), sizeof(pids)));
	for (int i = 0; i < 3; i++) {
		pidfds[i] = pidfd_open((pid_t)pids[i], 0);
		cr_assert(ge(int, pidfds[i], 0));
	}
	kill(program, SIGKILL);
	waitpid(program, NULL, 0);
	close(ends[0]);
	close(ends[1]);
}

static void expect_all_gone(const int *pidfds)
{
	for (int i = 0; i < 3; i++) {
		struct pollfd end = { .fd = pidfds[i], .events = POLLIN };

		cr_expect(eq(int, poll(&end, 1, -1), 1)); /* else: the test's time limit */
		close(pidfds[i]);
	}
}

Test(pain, pain_18_a_killed_program_leaves_no_memory_behind, .timeout = 60)
{
	int pidfds[3], before;

	if (!have_own_shared_memory())
		cr_skip_test("nothing can be mounted here");
	before = names_in_shared_memory();
	kill_program(pidfds);
	expect_all_gone(pidfds);
	cr_expect(eq(int, names_in_shared_memory(), before));
}

/* WK-08 */
Test(pain, pain_25_workers_end_with_their_program, .timeout = 60)
{
	int pidfds[3];

	for (int i = 0; i < 10; i++) {
		kill_program(pidfds);
		expect_all_gone(pidfds);
	}
}
