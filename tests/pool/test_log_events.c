/* Every message of the library has an id by which a program knows it, and here each is brought about. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "core/clone.h"
#include "core/forkserver.h"
#include "core/loop.h"
#include "core/points.h"
#include "core/probe.h"
#include "tests/core/apart.h"
#include "tests/pool/work.h"

#define EVENT_COUNT 500

static _Atomic int *seen; /* shared: children made by fork(2) have the sink too */
static int release_fds[2];

static void count(const struct carom_log_record *record, void *userdata)
{
	(void)userdata;
	if (record->event > 0 && record->event < EVENT_COUNT && record->text[0])
		atomic_fetch_add(&seen[record->event], 1);
	if (record->event == CAROM_LOG_EVENT_PROCESS_AWAITED)
		CHECK(write(release_fds[1], "", 1) == 1);
}

static void wait_until_seen(int event)
{
	while (!atomic_load(&seen[event]))
		sched_yield();
}

/* All threads get @error for a system call, or for two. */
static void deny(int number, int other, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)number, 1, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)other, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (uint32_t)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(*code), .filter = code };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) ==
	      0);
}

/* --- processes --------------------------------------------------------- */

static int return_3(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	(void)argument, (void)size, (void)fds, (void)fd_count;
	return 3;
}

static int read_a_byte(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	char byte;

	(void)argument, (void)size, (void)fd_count;
	return read(fds[0], &byte, 1) != 1;
}

static struct carom_process *start(const char *method, carom_process_fn *function)
{
	struct carom_process *process = NULL;
	struct carom_context *context;

	CHECK(carom_context_get(method, &context) == 0);
	CHECK(carom_process_new(&CAROM_PROCESS_OPTIONS(.function = function, .context = context,
						       .fds = release_fds, .fd_count = 1),
				&process) == 0);
	CHECK(carom_process_start(process) == 0);
	return process;
}

static void run(const char *method)
{
	struct carom_process *process = start(method, return_3);

	CHECK(carom_process_join(process, CAROM_NO_DEADLINE) == 0);
	carom_process_free(process);
}

static void run_and_kill(void)
{
	struct carom_process *process = start("fork", read_a_byte);

	kill(carom_process_pid(process), SIGKILL);
	CHECK(carom_process_join(process, CAROM_NO_DEADLINE) == 0);
	carom_process_free(process);
	run("fork");
}

static void *stay(void *userdata)
{
	for (;;)
		pause();
	return userdata;
}

static void fork_with_threads(void)
{
	pthread_t thread;

	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&thread, NULL, stay, NULL) == 0);
	run("fork");
}

/* The child ends when the message says that it is waited for. */
static void leave_a_child(void)
{
	static struct carom_process *left;

	left = start("fork", read_a_byte);
	CHECK(carom_process_is_alive(left) == 1);
	exit(EXIT_SUCCESS);
}

static int wait_for_ever(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	(void)argument, (void)size, (void)fds, (void)fd_count;
	for (;;)
		pause();
	return 0;
}

static void leave_a_child_behind(void)
{
	static struct carom_process *left;

	left = start("fork", wait_for_ever);
	CHECK(carom_process_is_alive(left) == 1);
	carom_set_exit_limit(CAROM_MILLISECONDS(1));
	exit(EXIT_SUCCESS);
}

static int fail(void *userdata)
{
	(void)userdata;
	return -EIO;
}

static void hooks_that_fail(void)
{
	CHECK(carom_after_fork_add(fail, NULL) == 0);
	CHECK(carom_finalizer_add(7, fail, NULL, NULL) == 0);
	run("fork");
	exit(EXIT_SUCCESS);
}

/* --- helpers ----------------------------------------------------------- */

static _Atomic int *hanging;

static void hang_once(void)
{
	if (atomic_fetch_sub(hanging, 1) > 0)
		for (;;)
			pause();
}

static void forkserver_hangs_at_first(void)
{
	struct carom_forkserver *server = NULL;

	hanging = share(sizeof(*hanging));
	*hanging = 1;
	pthread_atfork(NULL, NULL, hang_once);
	CHECK(carom_forkserver_new(&server) == 0);
	carom_forkserver_free(server);
}

static void forkserver_is_killed_for_good(void)
{
	run("forkserver");
	kill(carom_ensured_forkserver_pid(), SIGKILL);
	wait_until_seen(CAROM_LOG_EVENT_FORKSERVER_LOST);
	run("forkserver");
	deny(SYS_socketpair, SYS_socketpair, EMFILE);
	kill(carom_ensured_forkserver_pid(), SIGKILL);
	wait_until_seen(CAROM_LOG_EVENT_FORKSERVER_FAILED);
}

static void child_cannot_follow(void)
{
	deny(SYS_chdir, SYS_chdir, ENOENT);
	carom_log_to_stderr(CAROM_LOG_INFO);
	CHECK(dup2(release_fds[1], STDERR_FILENO) >= 0);
	run("forkserver");
}

static void preload_is_missing(void)
{
	const char *const names[] = { "no_such_function", NULL };

	CHECK(carom_set_forkserver_preload(names) == 0);
	CHECK(carom_ensure_forkserver() == 0);
	wait_until_seen(CAROM_LOG_EVENT_PRELOAD_FAILED);
}

static void ring_has_no_memory(void)
{
	struct carom_loop *loop;

	unsetenv("CAROM_LOOP"); /* whoever has chosen epoll falls back to nothing */
	if (!carom_probe(CAROM_FEATURE_IO_URING)) {
		atomic_fetch_add(&seen[CAROM_LOG_EVENT_LOOP_FALLBACK],
				 1); /* there is no such case */
		return;
	}
	deny(SYS_io_uring_setup, SYS_io_uring_setup, ENOMEM);
	CHECK(carom_loop_new(CAROM_LOOP_AUTO, NULL, NULL, &loop) == 0);
	carom_loop_free(loop);
}

static void loop_breaks(void)
{
	setenv("CAROM_LOOP", "epoll", 1);
	CHECK(carom_ensure_forkserver() == 0);
	deny(SYS_epoll_wait, SYS_epoll_pwait, EIO);
	carom_stop_forkserver();
	wait_until_seen(CAROM_LOG_EVENT_LOOP_BROKEN);
}

static void names_that_nobody_has(void)
{
	setenv("CAROM_DENY", "close_range,warp_drive", 1);
	setenv("CAROM_CLONE", "mitosis", 1);
	setenv("CAROM_CPU_COUNT", "several", 1);
	carom_clone_way();
	carom_cpu_count(CAROM_CPU_USABLE);
}

/* --- pools ------------------------------------------------------------- */

static void pool_and_its_workers(void)
{
	struct carom_pool *pool = new_pool(1);
	struct carom_task_options limit = CAROM_TASK_OPTIONS(.hard_limit_ns = 1000000);

	carom_pool_apply(pool, kill_self, NULL, 0, NULL, 0, NULL, NULL);
	carom_pool_apply(pool, hang, NULL, 0, NULL, 0, &limit, NULL);
	carom_pool_close(pool);
	carom_pool_terminate(pool);
	carom_pool_free(pool);
}

static int hang_on(struct carom_call *call)
{
	signal(SIGTERM, SIG_IGN);
	return hang(call);
}

static void limits_are_hit(void)
{
	struct carom_pool *pool = new_pool(1);
	struct carom_task_options both =
		CAROM_TASK_OPTIONS(.soft_limit_ns = 1000000, .hard_limit_ns = 20000000);
	struct carom_task_options useless =
		CAROM_TASK_OPTIONS(.soft_limit_ns = 20000000, .hard_limit_ns = 1000000);

	carom_pool_apply(pool, hang, NULL, 0, NULL, 0, &useless, NULL);
	carom_pool_apply(pool, hang_on, NULL, 0, NULL, 0, &both, NULL);
	wait_until_seen(CAROM_LOG_EVENT_KILL_SENT);
	carom_pool_free(pool);
}

static void pool_breaks(void)
{
	struct carom_pool *pool = new_pool(1);

	if (carom_point_arm("lane.alive", 1) == -EOPNOTSUPP) {
		atomic_fetch_add(&seen[CAROM_LOG_EVENT_POOL_BROKEN], 1); /* built without points */
		return;
	}
	carom_pool_apply_async(pool, kill_self, NULL, 0, NULL, NULL);
	wait_until_seen(CAROM_LOG_EVENT_POOL_BROKEN);
}

static int never_ready(const void *data, size_t size)
{
	for (;;)
		pause();
	return 0;
}

static void worker_is_not_ready(void)
{
	struct carom_pool *pool = NULL;

	CHECK(carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 1, .initializer = never_ready,
						 .start_timeout_ns = CAROM_MILLISECONDS(1)),
			     &pool) == 0);
	wait_until_seen(CAROM_LOG_EVENT_START_TIMED_OUT);
	carom_pool_free(pool);
}

/* --- all of them ------------------------------------------------------- */

static const struct {
	void (*body)(void);
	int signal;
	int events[6];
} scripts[] = {
	{ names_that_nobody_has,
	  0,
	  { CAROM_LOG_EVENT_FEATURE_MISSING, CAROM_LOG_EVENT_FEATURE_UNKNOWN,
	    CAROM_LOG_EVENT_CLONE_UNKNOWN, CAROM_LOG_EVENT_COUNT_UNKNOWN } },
	{ ring_has_no_memory, 0, { CAROM_LOG_EVENT_LOOP_FALLBACK } },
	{ loop_breaks, 0, { CAROM_LOG_EVENT_LOOP_BROKEN } },
	{ forkserver_hangs_at_first, 0, { CAROM_LOG_EVENT_FORKSERVER_RETRY } },
	{ forkserver_is_killed_for_good,
	  0,
	  { CAROM_LOG_EVENT_FORKSERVER_LOST, CAROM_LOG_EVENT_FORKSERVER_FAILED } },
	{ preload_is_missing, 0, { CAROM_LOG_EVENT_PRELOAD_FAILED } },
	{ run_and_kill,
	  0,
	  { CAROM_LOG_EVENT_PROCESS_RUNS, CAROM_LOG_EVENT_PROCESS_EXITS,
	    CAROM_LOG_EVENT_PROCESS_KILLED } },
	{ fork_with_threads, 0, { CAROM_LOG_EVENT_FORK_WITH_THREADS } },
	{ leave_a_child, 0, { CAROM_LOG_EVENT_PROCESS_AWAITED } },
	{ leave_a_child_behind, 0, { CAROM_LOG_EVENT_PROCESS_LEFT } },
	{ hooks_that_fail,
	  0,
	  { CAROM_LOG_EVENT_AFTER_FORK_FAILED, CAROM_LOG_EVENT_FINALIZER_FAILED } },
	{ pool_and_its_workers,
	  0,
	  { CAROM_LOG_EVENT_POOL_CLOSING, CAROM_LOG_EVENT_POOL_TERMINATING,
	    CAROM_LOG_EVENT_POOL_FINALIZING, CAROM_LOG_EVENT_WORKER_ENDED,
	    CAROM_LOG_EVENT_TASK_TIMED_OUT } },
	{ worker_is_not_ready, 0, { CAROM_LOG_EVENT_START_TIMED_OUT } },
	{ limits_are_hit,
	  0,
	  { CAROM_LOG_EVENT_SOFT_LIMIT, CAROM_LOG_EVENT_SOFT_LIMIT_UNUSED,
	    CAROM_LOG_EVENT_TERM_SENT, CAROM_LOG_EVENT_KILL_SENT } },
	{ pool_breaks, 0, { CAROM_LOG_EVENT_POOL_BROKEN } },
};

static size_t played; /* number of a script */

/* Some is said by the library's own thread, a moment after what the script waits for. */
static void play(void)
{
	alarm(50);
	CHECK(pipe2(release_fds, O_CLOEXEC) == 0);
	carom_log_set_level(CAROM_LOG_SUBDEBUG);
	carom_log_to(count, NULL);
	scripts[played].body();
	for (const int *event = scripts[played].events; *event; event++)
		wait_until_seen(*event);
}

/* LG-10 */
Test(log_events, each_is_said_when_it_happens, .timeout = 200)
{
	seen = share(EVENT_COUNT * sizeof(*seen));
	for (size_t i = 0; i < sizeof(scripts) / sizeof(*scripts); i++) {
		int status;

		played = i;
		memset((void *)seen, 0, EVENT_COUNT * sizeof(*seen));
		status = apart(play);
		cr_expect(eq(int, status & 0x7f, scripts[i].signal), "script %zu", i);
		cr_expect(zero(int, WIFEXITED(status) ? WEXITSTATUS(status) : 0), "script %zu", i);
		for (const int *event = scripts[i].events; *event; event++)
			cr_expect(ne(int, atomic_load(&seen[*event]), 0), "%d, in script %zu",
				  *event, i);
	}
}

/* Said before a function can take it: in the suite log. What a child of the fork server says. */
Test(log_events, a_child_that_cannot_follow_its_parent_says_so, .timeout = 60)
{
	char text[4096]; /* what is denied here is said before */
	ssize_t n;

	CHECK(pipe2(release_fds, O_CLOEXEC | O_NONBLOCK) == 0);
	cr_expect(zero(int, apart(child_cannot_follow)));
	n = read(release_fds[0], text, sizeof(text) - 1);
	text[n > 0 ? n : 0] = '\0';
	cr_expect(ne(ptr, strstr(text, "No such file or directory"), NULL), "%s", text);
}
