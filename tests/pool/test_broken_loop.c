/* Hosts that close all descriptors, those of the library too. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "core/descriptors.h"
#include "core/time.h"
#include "tests/needs.h"
#include "tests/pool/work.h"

#define FAIL_UNLESS(what)                                                          \
	do {                                                                       \
		if (!(what)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what); \
			fflush(stderr);                                            \
			_exit(1);                                                  \
		}                                                                  \
	} while (0)

/* A host of its own: what it closes is not the test's. */
static void run_host(const char *loop, void (*host)(void))
{
	pid_t child = fork();
	int status = -1;

	if (child == 0) {
		setenv("CAROM_LOOP", loop, 1);
		host();
		exit(0); /* also the end of the program works */
	}
	cr_assert(eq(int, waitpid(child, &status, 0), child));
	cr_expect(zero(int, status), "%s: status %#x", loop, (unsigned int)status);
}

static void run_both(void (*host)(void))
{
	if (!is_denied("io_uring", "over io_uring"))
		run_host("io_uring", host);
	run_host("epoll", host);
}

static void close_all(void)
{
	carom_descriptors_close(3, NULL, 0);
}

static int rest(struct carom_call *call)
{
	for (;;)
		pause();
	return 0;
}

static bool is_gone(int64_t pid)
{
	return kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

static void expect_broken(struct carom_pool *pool)
{
	struct carom_broken broken;

	FAIL_UNLESS(carom_pool_state(pool) == CAROM_POOL_BROKEN);
	FAIL_UNLESS(carom_pool_broken(pool, &broken) == 1);
	FAIL_UNLESS(broken.reason == CAROM_BROKEN_LOOP);
	FAIL_UNLESS(carom_pool_apply(pool, nothing, NULL, 0, NULL, 0, NULL, NULL) ==
		    -ENOTRECOVERABLE);
}

static void use_another(bool polled)
{
	struct carom_pool *pool = NULL;
	int64_t x = 12, y = 0;

	FAIL_UNLESS(carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 2, .polled = polled),
				   &pool) == 0);
	FAIL_UNLESS(carom_pool_apply(pool, square, &x, 8, &y, 8, NULL, NULL) == 0 && y == 144);
	carom_pool_free(pool);
}

static struct carom_pool *pool_of(uint64_t worker_count, bool polled)
{
	struct carom_pool *pool = NULL;

	FAIL_UNLESS(carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = worker_count,
						       .polled = polled, .statistics = true),
				   &pool) == 0);
	FAIL_UNLESS(carom_pool_wait_ready(pool, carom_deadline_after(CAROM_SECONDS(30))) == 0);
	return pool;
}

/* ---- what stands under the same numbers later ---- */

#define FILES 64

struct files {
	int fds[FILES];
	char path[64];
};

static void open_files(struct files *files)
{
	snprintf(files->path, sizeof(files->path), "/tmp/carom-broken-loop-%d", (int)getpid());
	for (int i = 0; i < FILES; i++)
		files->fds[i] = i % 2 ? open(files->path, O_CREAT | O_RDWR | O_CLOEXEC, 0600)
				      : eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
}

/*
 * Until the library's thread has seen that its descriptors are gone, a ring of its bell may
 * be on its way: 8 bytes, once, to what has the bell's number by then. Nothing more.
 */
static void expect_untouched(struct files *files)
{
	struct stat status;
	eventfd_t count;
	int rings = 0;

	for (int i = 0; i < FILES; i++) {
		FAIL_UNLESS(fcntl(files->fds[i], F_GETFD) >= 0);
		if (i % 2 == 0)
			rings += eventfd_read(files->fds[i], &count) == 0 ? (int)count : 0;
	}
	FAIL_UNLESS(stat(files->path, &status) == 0);
	rings += (int)(status.st_size / 8);
	FAIL_UNLESS(status.st_size % 8 == 0 && rings <= 1);
	unlink(files->path);
}

/* ---- with threads ---- */

static _Atomic int answers;

static void *await_result(void *userdata)
{
	struct carom_outcome outcome;

	carom_result_wait(userdata, CAROM_NO_DEADLINE);
	if (carom_result_outcome(userdata, &outcome) == 0 &&
	    outcome.kind == CAROM_OUTCOME_POOL_BROKEN && outcome.code == CAROM_BROKEN_LOOP)
		answers++;
	return NULL;
}

static void close_under_threads(void)
{
	struct carom_worker_info infos[2];
	struct carom_result *results[6];
	struct carom_pool *pool = pool_of(2, false);
	pthread_t threads[6];
	struct files files;

	carom_pool_workers(pool, infos, 2);
	for (int i = 0; i < 6; i++) {
		FAIL_UNLESS(carom_pool_apply_async(pool, rest, NULL, 0, NULL, &results[i]) == 0);
		pthread_create(&threads[i], NULL, await_result, results[i]);
	}
	close_all();
	open_files(&files);
	for (int i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	FAIL_UNLESS(answers == 6);
	expect_broken(pool);
	use_another(false);
	for (int i = 0; i < 6; i++)
		carom_result_free(results[i]);
	carom_pool_free(pool);
	FAIL_UNLESS(is_gone(infos[0].pid) && is_gone(infos[1].pid));
	expect_untouched(&files);
}

/* RP-07 */
Test(broken_loop, answers_everybody_and_the_program_goes_on, .timeout = 60)
{
	run_both(close_under_threads);
}

/* nobody waits, nobody rings: the next one who comes gets another service */
static void close_under_an_idle_pool(void)
{
	struct carom_pool *pool = pool_of(2, false);

	close_all();
	use_another(false);
	carom_pool_close(pool);
	FAIL_UNLESS(carom_pool_join(pool, carom_deadline_after(CAROM_SECONDS(30))) == 0);
	expect_broken(pool);
	close_all();
	use_another(false);
	carom_pool_free(pool);
}

Test(broken_loop, of_an_idle_pool_is_followed_by_another, .timeout = 60)
{
	run_both(close_under_an_idle_pool);
}

static _Atomic int callback_count;

static int note_error(struct carom_result *result, void *userdata)
{
	struct carom_outcome outcome;

	carom_result_outcome(result, &outcome);
	callback_count += outcome.kind == CAROM_OUTCOME_POOL_BROKEN;
	return -EIO; /* it fails, too */
}

static void close_under_callbacks(void)
{
	struct carom_pool *pool = pool_of(1, false);

	for (int i = 0; i < 20; i++)
		FAIL_UNLESS(carom_pool_apply_async(
				    pool, rest, NULL, 0,
				    &CAROM_TASK_OPTIONS(.error_callback = note_error), NULL) == 0);
	close_all();
	use_another(false);
	carom_pool_free(pool);
	FAIL_UNLESS(callback_count == 20);
}

/* RP-07 */
Test(broken_loop, makes_the_calls_that_were_promised, .timeout = 60)
{
	run_both(close_under_callbacks);
}

/* ---- without threads ---- */

static void close_under_polled(void)
{
	struct carom_pool *pool = pool_of(2, true);
	struct carom_worker_info infos[2];
	struct carom_result *result;
	struct files files;

	carom_pool_workers(pool, infos, 2);
	FAIL_UNLESS(carom_pool_apply_async(pool, rest, NULL, 0, NULL, &result) == 0);
	close_all();
	open_files(&files);
	FAIL_UNLESS(carom_pool_poll(pool, CAROM_NO_DEADLINE) == -ENOTRECOVERABLE);
	FAIL_UNLESS(carom_pool_poll(pool, CAROM_NO_DEADLINE) == -ESHUTDOWN);
	await_result(result);
	FAIL_UNLESS(answers == 1);
	expect_broken(pool);
	use_another(true);
	carom_result_free(result);
	carom_pool_free(pool);
	FAIL_UNLESS(is_gone(infos[0].pid) && is_gone(infos[1].pid));
	expect_untouched(&files);
}

Test(broken_loop, of_a_polled_pool_is_said_once, .timeout = 60)
{
	run_both(close_under_polled);
}

static void free_polled(void)
{
	struct carom_pool *pool = pool_of(2, true);
	struct files files;

	close_all();
	open_files(&files);
	carom_pool_free(pool);
	expect_untouched(&files);
	use_another(true);
}

Test(broken_loop, of_a_polled_pool_does_not_keep_it_from_being_freed, .timeout = 60)
{
	run_both(free_polled);
}

/* ---- processes ---- */

static int end_with_seven(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return 7;
}

static int stay(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return rest(NULL);
}

static struct carom_process *start(carom_process_fn *function)
{
	struct carom_process *process = NULL;

	FAIL_UNLESS(carom_process_new(&CAROM_PROCESS_OPTIONS(.function = function), &process) == 0);
	FAIL_UNLESS(carom_process_start(process) == 0);
	return process;
}

static void *join(void *userdata)
{
	answers += carom_process_join(userdata, CAROM_NO_DEADLINE) == 0;
	return NULL;
}

static void close_under_processes(void)
{
	struct carom_process *one = start(end_with_seven);
	struct carom_process *other = start(stay);
	pthread_t thread;
	int code = 0;

	pthread_create(&thread, NULL, join, other);
	close_all();
	use_another(false);
	FAIL_UNLESS(carom_process_join(one, carom_deadline_after(CAROM_SECONDS(30))) == 0);
	FAIL_UNLESS(carom_process_exitcode(one, &code) == 0 && code == 7);
	FAIL_UNLESS(carom_process_is_alive(other) == 1);
	FAIL_UNLESS(carom_process_kill(other) == 0);
	pthread_join(thread, NULL);
	FAIL_UNLESS(answers == 1);
	FAIL_UNLESS(carom_process_exitcode(other, &code) == 0 && code == -SIGKILL);
	carom_process_free(one);
	carom_process_free(other);
}

Test(broken_loop, of_processes_lets_them_be_joined, .timeout = 60)
{
	NEEDS("pidfd_open"); /* to hold them again; without it they are ended */
	run_both(close_under_processes);
}
