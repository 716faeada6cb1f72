/* Processes: made by three ways, held by their pidfd, and what raw clone would break. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "core/probe.h"
#include "core/clone.h"
#include "core/guard.h"
#include "core/descriptors.h"
#include "core/pidfd.h"
#include "core/points.h"
#include "core/robust_head.h"
#include "core/time.h"
#include "tests/core/ways.h"

#define SOON carom_deadline_after(CAROM_SECONDS(10))

/* A child that waits for a signal, and is there when this returns. */
static pid_t sleeper(int *ret_pidfd)
{
	pid_t pid = carom_clone(NULL, ret_pidfd);

	if (pid == 0)
		for (;;)
			pause();
	CHECK(pid > 0);
	return pid;
}

/* --- a child's whole life ---------------------------------------------- */

static void make_and_reap(void)
{
	struct carom_exit exit;
	int pidfd = -1;
	pid_t pid = carom_clone(NULL, &pidfd);

	if (pid == 0)
		_exit(getppid() > 1 ? 7 : 1);
	CHECK(pid > 0 && pidfd >= 0);
	CHECK(fcntl(pidfd, F_GETFD) == FD_CLOEXEC);
	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0);
	CHECK(exit.kind == CAROM_EXIT_EXITED && exit.status == 7);
	CHECK(exit.usage.ru_maxrss > 0);
	CHECK(carom_pidfd_signal(pidfd, 0) == -ESRCH);
	CHECK(!carom_pidfd_is_child(pidfd));
	CHECK(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
}

Test(clone, is_held_by_its_pidfd_from_birth_to_exit_status, .timeout = 120)
{
	each_way(make_and_reap);
}

static void die_by_signals(void)
{
	struct carom_exit exit;
	int pidfd;

	sleeper(&pidfd);
	CHECK(carom_pidfd_reap(pidfd, &exit) == 0 && exit.kind == CAROM_EXIT_RUNNING);
	CHECK(carom_pidfd_is_child(pidfd));
	CHECK(carom_pidfd_signal(pidfd, 1000) == -EINVAL);
	CHECK(carom_pidfd_wait(pidfd, CAROM_PASSED, &exit) == -ETIMEDOUT);
	CHECK(carom_pidfd_signal(pidfd, SIGTERM) == 0);
	CHECK(carom_pidfd_wait(pidfd, CAROM_NO_DEADLINE, &exit) == 0);
	CHECK(exit.kind == CAROM_EXIT_KILLED && exit.status == SIGTERM);
}

Test(clone, tells_the_signal_that_killed_it, .timeout = 120)
{
	each_way(die_by_signals);
}

static void on_alarm(int number)
{
	(void)number;
}

static void wait_through_signals(void)
{
	struct itimerval often = { .it_interval.tv_usec = 1000, .it_value.tv_usec = 1000 };
	struct sigaction action = { .sa_handler = on_alarm };
	uint64_t deadline = carom_deadline_after(CAROM_MILLISECONDS(50));
	struct carom_exit exit;
	int pidfd;

	sleeper(&pidfd);
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	CHECK(carom_pidfd_wait(pidfd, deadline, &exit) == -ETIMEDOUT);
	CHECK(carom_now() >= deadline);
	CHECK(carom_pidfd_signal(pidfd, SIGKILL) == 0);
	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0);
}

Test(clone, wait_is_not_ended_by_a_signal, .timeout = 120)
{
	cr_expect(zero(int, apart(wait_through_signals)));
}

/* What is given to the other thread while the first one is about to wait. */
static int waited_for_fd;
static pid_t waited_for;
static _Atomic bool is_about_to_wait;

static void await_main_asleep(void)
{
	char path[64], line[512], state = '?';

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)getpid());
	while (!is_about_to_wait || state != 'S') {
		FILE *file = fopen(path, "re");

		if (file && fgets(line, sizeof(line), file))
			state = strrchr(line, ')')[2];
		if (file)
			fclose(file);
	}
}

static void *replace_and_kill(void *userdata)
{
	int quiet_fd = eventfd(0, EFD_CLOEXEC);

	await_main_asleep();
	CHECK(dup3(quiet_fd, waited_for_fd, O_CLOEXEC) == waited_for_fd);
	CHECK(kill(waited_for, SIGKILL) == 0);
	return NULL;
}

static void wait_without_the_pidfd(void)
{
	struct carom_exit exit;
	pthread_t thread;

	waited_for = sleeper(&waited_for_fd);
	CHECK(pthread_create(&thread, NULL, replace_and_kill, NULL) == 0);
	is_about_to_wait = true;
	CHECK(carom_pidfd_wait(waited_for_fd, CAROM_NO_DEADLINE, &exit) == 0);
	CHECK(exit.kind == CAROM_EXIT_KILLED && exit.status == SIGKILL);
	pthread_join(thread, NULL);
}

Test(clone, is_waited_for_though_its_pidfd_is_taken_away, .timeout = 30)
{
	cr_expect(zero(int, apart(wait_without_the_pidfd)));
}

Test(clone, refuses_what_is_no_pidfd, .timeout = 5)
{
	struct carom_exit exit = { .status = 77 };
	int file_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	cr_expect(eq(int, carom_pidfd_reap(-1, &exit), -EBADF));
	cr_expect(eq(int, carom_pidfd_reap(file_fd, &exit), -EBADF));
	cr_expect(eq(int, carom_pidfd_wait(-1, CAROM_PASSED, &exit), -EBADF));
	cr_expect(eq(int, carom_pidfd_wait(9999, CAROM_PASSED, &exit), -EBADF));
	cr_expect(eq(int, carom_pidfd_signal(file_fd, 0), -EBADF));
	cr_expect(eq(int, carom_pidfd_open(INT32_MAX),
		     denial_of("pidfd_open") ? -EOPNOTSUPP : -ESRCH));
	cr_expect(eq(int, carom_pidfd_pin(INT32_MAX), -ESRCH));
	cr_expect(eq(int, exit.status, 77), "outputs stay untouched on failure");
}

/* --- what raw clone breaks --------------------------------------------- */

/**
 * struct shared - between parent and child
 * @errorcheck, @recursive: held by the parent
 * @robust:  held by the child
 * @results: what the child saw
 */
struct shared {
	pthread_mutex_t errorcheck;
	pthread_mutex_t recursive;
	pthread_mutex_t robust;
	pthread_mutex_t robust_of_parent;
	int results[4];
	_Atomic int32_t born_pid;
};

static void share_mutex(pthread_mutex_t *mutex, int type, int robust)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_settype(&attributes, type);
	pthread_mutexattr_setrobust(&attributes, robust);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(mutex, &attributes);
	pthread_mutexattr_destroy(&attributes);
}

static void meet_parents_mutexes(void)
{
	struct shared *shared = share(sizeof(*shared));
	struct carom_exit exit;
	int pidfd = -1;
	pid_t pid;

	share_mutex(&shared->errorcheck, PTHREAD_MUTEX_ERRORCHECK, PTHREAD_MUTEX_STALLED);
	share_mutex(&shared->recursive, PTHREAD_MUTEX_RECURSIVE, PTHREAD_MUTEX_STALLED);
	pthread_mutex_lock(&shared->errorcheck);
	pthread_mutex_lock(&shared->recursive);
	pid = carom_clone(NULL, &pidfd);
	if (pid == 0) {
		shared->results[0] = pthread_mutex_unlock(&shared->errorcheck);
		shared->results[1] = pthread_mutex_trylock(&shared->recursive);
		_exit(0);
	}
	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0 && exit.kind == CAROM_EXIT_EXITED);
	CHECK(shared->results[0] == EPERM);
	CHECK(shared->results[1] == EBUSY);
	CHECK(pthread_mutex_unlock(&shared->errorcheck) == 0);
}

/* A1: the C library's cached thread id */
Test(clone, child_is_not_taken_for_its_parent_by_a_mutex, .timeout = 120)
{
	each_way(meet_parents_mutexes);
}

static void change_own_policy(void)
{
	struct carom_exit exit;
	int pidfd = -1;
	pid_t pid = carom_clone(NULL, &pidfd);

	if (pid == 0) {
		struct sched_param param = { 0 };

		CHECK(pthread_setschedparam(pthread_self(), SCHED_BATCH, &param) == 0);
		_exit(sched_getscheduler(0) == SCHED_BATCH ? 0 : 1);
	}
	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0);
	CHECK(exit.kind == CAROM_EXIT_EXITED && exit.status == 0);
	CHECK(sched_getscheduler(0) == SCHED_OTHER);
}

/* A1 */
Test(clone, child_means_itself_by_pthread_self, .timeout = 120)
{
	each_way(change_own_policy);
}

static int lock_within(pthread_mutex_t *mutex, time_t seconds)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += seconds;
	return pthread_mutex_timedlock(mutex, &deadline);
}

/* Links in shared memory: a child that adds to the list it was born with breaks its parent's. */
static bool robust_list_is_empty(void)
{
	struct robust_list_head *head = NULL;
	size_t size;

	if (syscall(SYS_get_robust_list, 0, &head, &size) < 0)
		head = carom_robust_head(); /* denied */
	return head->list.next == &head->list;
}

static void die_with_robust_mutex(void)
{
	struct shared *shared = share(sizeof(*shared));
	struct carom_exit exit;
	int pidfd = -1;
	int gate[2];
	char byte;
	pid_t pid;

	share_mutex(&shared->robust, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST);
	share_mutex(&shared->robust_of_parent, PTHREAD_MUTEX_NORMAL, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_lock(&shared->robust_of_parent);
	CHECK(pipe2(gate, O_CLOEXEC) == 0);
	pid = carom_clone(NULL, &pidfd);
	if (pid == 0) {
		pthread_mutex_lock(&shared->robust);
		CHECK(write(gate[1], "", 1) == 1);
		for (;;)
			pause();
	}
	CHECK(read(gate[0], &byte, 1) == 1);
	CHECK(carom_pidfd_signal(pidfd, SIGKILL) == 0);
	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0);
	CHECK(lock_within(&shared->robust, 10) == EOWNERDEAD);
	/* the parent's own was on the list that the child has a copy of */
	CHECK(pthread_mutex_trylock(&shared->robust_of_parent) == EBUSY);
	CHECK(pthread_mutex_consistent(&shared->robust) == 0);
	CHECK(pthread_mutex_unlock(&shared->robust) == 0);
	CHECK(pthread_mutex_unlock(&shared->robust_of_parent) == 0);
	CHECK(robust_list_is_empty());
}

/* A2: the robust list */
Test(clone, robust_mutex_of_a_killed_child_is_handed_on, .timeout = 120)
{
	each_way(die_with_robust_mutex);
}

static void *return_itself(void *argument)
{
	return argument;
}

static void thread_in_child(void)
{
	struct carom_exit exit;
	int pidfd = -1;
	pid_t pid = carom_clone(NULL, &pidfd);

	if (pid == 0) {
		pthread_t thread;
		void *result = NULL;

		CHECK(pthread_create(&thread, NULL, return_itself, &exit) == 0);
		CHECK(pthread_join(thread, &result) == 0);
		_exit(result == &exit ? 0 : 1);
	}
	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0);
	CHECK(exit.kind == CAROM_EXIT_EXITED && exit.status == 0);
}

Test(clone, child_may_have_threads, .timeout = 120)
{
	each_way(thread_in_child);
}

static void keep_mask(void)
{
	struct carom_exit exit;
	sigset_t mask, now;
	int pidfd = -1;
	pid_t pid;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	pid = carom_clone(NULL, &pidfd);
	sigprocmask(SIG_SETMASK, NULL, &now);
	CHECK(sigismember(&now, SIGUSR1) == 1 && sigismember(&now, SIGTERM) == 0);
	if (pid == 0)
		_exit(0);
	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0);
	CHECK(exit.kind == CAROM_EXIT_EXITED && exit.status == 0);
}

Test(clone, both_keep_the_signal_mask, .timeout = 120)
{
	each_way(keep_mask);
}

/* --- the pid in a shared page ------------------------------------------ */

static void be_born_known(void)
{
	struct shared *shared = share(sizeof(*shared));
	struct carom_clone_options options = { .ret_born_pid = &shared->born_pid };
	struct carom_exit exit;
	int pidfd = -1;
	pid_t pid = carom_clone(&options, &pidfd);

	if (pid == 0)
		_exit(atomic_load(&shared->born_pid) == getpid() ? 0 : 1);
	CHECK(pid > 0 && pidfd >= 0 && atomic_load(&shared->born_pid) == pid);
	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0);
	CHECK(exit.kind == CAROM_EXIT_EXITED && exit.status == 0);
}

Test(clone, pid_stands_in_the_page_before_the_child_runs, .timeout = 120)
{
	each_way(be_born_known);
}

/* --- death of the parent ----------------------------------------------- */

static int report[2]; /* held by those who must end */

static void leave_dependent_child(void)
{
	int gate[2], pidfd;
	pid_t parent = getpid();
	char byte;

	CHECK(pipe2(gate, O_CLOEXEC) == 0);
	if (carom_clone(NULL, &pidfd) == 0) {
		CHECK(carom_die_with_parent(parent, SIGKILL) == 0);
		CHECK(write(gate[1], "", 1) == 1);
		for (;;)
			pause();
	}
	CHECK(read(gate[0], &byte, 1) == 1);
	kill(getpid(), SIGKILL);
}

/* A4: PDEATHSIG */
Test(clone, child_dies_with_its_parent, .timeout = 120)
{
	for (int i = 0; i < 3; i++) {
		if (!can_be_made_by(ways[i]))
			continue;
		cr_assert(zero(int, pipe(report)));
		cr_expect(eq(int, apart_with("CAROM_CLONE", ways[i], leave_dependent_child),
			     SIGKILL));
		close(report[1]);
		cr_expect(ne(int, ends(report[0]), 0), "by %s", ways[i]);
		close(report[0]);
	}
}

static void leave_late_child(void)
{
	int gate[2], pidfd;
	pid_t parent = getpid();

	CHECK(pipe2(gate, O_CLOEXEC) == 0);
	if (carom_clone(NULL, &pidfd) == 0) {
		close(gate[1]);
		CHECK(ends(gate[0])); /* the parent's end goes with the parent */
		while (getppid() == parent)
			sched_yield(); /* its files go a little before it does */
		if (carom_die_with_parent(parent, SIGKILL) == -ESRCH)
			CHECK(write(report[1], "", 1) == 1);
		_exit(0);
	}
}

/* A4 */
Test(clone, child_notices_that_its_parent_is_gone_already, .timeout = 120)
{
	char byte;

	cr_assert(zero(int, pipe(report)));
	cr_expect(zero(int, apart(leave_late_child)));
	close(report[1]);
	cr_expect(eq(long, read(report[0], &byte, 1), 1));
}

/* --- a status that somebody else took ---------------------------------- */

static bool is_right_or_taken(const struct carom_exit *exit, enum carom_exit_kind kind, int status)
{
	if (carom_probe(CAROM_FEATURE_PIDFD_INFO))
		return exit->kind == kind && exit->status == status;
	return exit->kind == CAROM_EXIT_TAKEN && exit->status == -1;
}

static void lose_to_waitpid(void)
{
	struct carom_exit exit;
	int pidfd;
	pid_t pid = sleeper(&pidfd);

	CHECK(carom_pidfd_signal(pidfd, SIGTERM) == 0);
	CHECK(waitpid(-1, NULL, 0) == pid);
	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0);
	CHECK(is_right_or_taken(&exit, CAROM_EXIT_KILLED, SIGTERM));
}

static void lose_to_ignored_sigchld(void)
{
	struct carom_exit exit;
	int pidfd;
	pid_t pid;

	signal(SIGCHLD, SIG_IGN);
	for (int i = 0; i < 20; i++) {
		pid = carom_clone(NULL, &pidfd);
		if (pid == 0)
			_exit(9);
		CHECK(pid > 0);
		CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0);
		CHECK(is_right_or_taken(&exit, CAROM_EXIT_EXITED, 9));
		close(pidfd);
	}
}

/* A4: stolen statuses; the kernel's copy is there from Linux 6.15 */
Test(clone, status_taken_by_the_hosts_waitpid_is_found_or_said_to_be_lost, .timeout = 120)
{
	each_way(lose_to_waitpid);
	cr_expect(zero(int, apart_with("CAROM_DENY", "pidfd_info", lose_to_waitpid)));
}

/* A4 */
Test(clone, status_lost_to_ignored_sigchld_is_found_or_said_to_be_lost, .timeout = 120)
{
	each_way(lose_to_ignored_sigchld);
	cr_expect(zero(int, apart_with("CAROM_DENY", "pidfd_info", lose_to_ignored_sigchld)));
}

static void race_with_a_thief(void)
{
	struct carom_exit exit;
	int pidfd;
	pid_t pid;

	for (int i = 0; i < 100; i++) {
		int kind;

		pid = carom_clone(NULL, &pidfd);
		if (pid == 0)
			_exit(3);
		CHECK(pid > 0);
		if (i % 2)
			waitpid(-1, NULL, WNOHANG); /* may come too early, may take it */
		CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0);
		kind = exit.kind;
		CHECK(kind == CAROM_EXIT_EXITED || kind == CAROM_EXIT_TAKEN);
		CHECK(kind == CAROM_EXIT_TAKEN || exit.status == 3);
		close(pidfd);
	}
}

Test(clone, status_is_never_a_guess, .timeout = 120)
{
	cr_expect(zero(int, apart(race_with_a_thief)));
}

static void look_at_a_stranger(void)
{
	struct carom_exit exit;
	int pidfd = carom_pidfd_open(getppid());

	CHECK(pidfd >= 0);
	CHECK(!carom_pidfd_is_child(pidfd));
	CHECK(carom_pidfd_reap(pidfd, &exit) == 0 && exit.kind == CAROM_EXIT_RUNNING);
}

Test(clone, that_is_no_child_but_runs_is_said_to_run, .timeout = 120)
{
	NEEDS("pidfd_open");
	cr_expect(zero(int, apart(look_at_a_stranger)));
}

/* --- going down -------------------------------------------------------- */

static void peek_at_the_dying(void)
{
	struct carom_exit exit;
	int pidfd;
	pid_t pid = sleeper(&pidfd);

	CHECK(carom_pid_peek(pid, &exit) == 0 && exit.kind == CAROM_EXIT_RUNNING);
	CHECK(carom_pidfd_signal(pidfd, SIGKILL) == 0);
	do
		CHECK(carom_pid_peek(pid, &exit) == 0);
	while (exit.kind == CAROM_EXIT_RUNNING);
	CHECK(exit.kind == CAROM_EXIT_KILLED && exit.status == SIGKILL);

	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0);
	CHECK(exit.kind == CAROM_EXIT_KILLED && exit.status == SIGKILL);
	CHECK(carom_pid_peek(pid, &exit) == -ESRCH);
}

static void peek_at_exiting(void)
{
	struct carom_exit exit;
	int pidfd = -1;

	for (int i = 0; i < 200; i++) { /* a code that is not there yet shows rarely */
		pid_t pid = carom_clone(NULL, &pidfd);

		if (pid == 0)
			_exit(5);
		do
			CHECK(carom_pid_peek(pid, &exit) == 0);
		while (exit.kind == CAROM_EXIT_RUNNING);
		CHECK(exit.kind == CAROM_EXIT_EXITED && exit.status == 5);
		CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0);
		close(pidfd);
	}
}

Test(clone, peek_tells_the_cause_before_the_child_is_reaped, .timeout = 120)
{
	cr_expect(zero(int, apart(peek_at_the_dying)));
	cr_expect(zero(int, apart(peek_at_exiting)));
}

static _Noreturn void *outlive_main(void *argument)
{
	pthread_t main_thread = *(pthread_t *)argument;

	pthread_join(main_thread, NULL);
	for (;;)
		pause();
}

static bool main_thread_has_ended(pid_t pid)
{
	char path[64], text[256] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)pid);
	file = fopen(path, "re");
	if (!file || !fgets(text, sizeof(text), file))
		text[0] = '\0';
	if (file)
		fclose(file);
	return strstr(text, ") Z ") != NULL;
}

static void peek_at_headless(void)
{
	struct carom_exit exit;
	int pidfd = -1;
	pid_t pid = carom_clone(NULL, &pidfd);

	if (pid == 0) {
		static pthread_t main_thread;
		pthread_t thread;

		main_thread = pthread_self();
		pthread_create(&thread, NULL, outlive_main, &main_thread);
		pthread_exit(NULL);
	}
	while (!main_thread_has_ended(pid))
		sched_yield();
	CHECK(carom_pid_peek(pid, &exit) == 0 && exit.kind == CAROM_EXIT_RUNNING);
	CHECK(carom_pidfd_signal(pidfd, SIGKILL) == 0);
	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0 && exit.kind == CAROM_EXIT_KILLED);
}

Test(clone, peek_is_not_misled_by_a_main_thread_that_ended_alone, .timeout = 120)
{
	cr_expect(zero(int, apart(peek_at_headless)));
}

/* --- what cannot be had ------------------------------------------------ */

static void clone_without_room(void)
{
	int lowest_fd = dup(STDERR_FILENO);
	struct rlimit limit = { .rlim_cur = (rlim_t)lowest_fd, .rlim_max = 4096 };
	int pidfd = 77;

	close(lowest_fd);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(carom_clone(NULL, &pidfd) == -EMFILE);
	CHECK(pidfd == 77);
	CHECK(waitpid(-1, NULL, __WALL) == -1 && errno == ECHILD);
}

Test(clone, without_room_for_its_pidfd_is_not_made, .timeout = 120)
{
	each_way(clone_without_room);
}

static void refuse_by_fork(void)
{
	int pidfd = 77;

	CHECK(carom_clone_way() == CAROM_CLONE_BY_FORK);
	CHECK(carom_clone(&(struct carom_clone_options){ .as_sibling = true }, &pidfd) ==
	      -EOPNOTSUPP);
	CHECK(pidfd == 77);
}

static void be_chosen(void)
{
	CHECK(strcmp(carom_clone_way_name(), getenv("EXPECTED_WAY")) == 0);
}

static int way_when_denied(const char *denied, const char *way)
{
	setenv("EXPECTED_WAY", way, 1);
	return apart_with("CAROM_DENY", denied, be_chosen);
}

Test(clone, way_is_the_best_that_is_allowed, .timeout = 120)
{
	cr_expect(zero(int, way_when_denied("clone3", "clone")));
	cr_expect(zero(int, way_when_denied("clone3,clone_pidfd", "fork")));
	cr_expect(zero(int, way_when_denied("tid_address", "fork")));
	cr_expect(zero(int, apart_with("CAROM_CLONE", "fork", refuse_by_fork)));
}

/* --- where pidfds are given at birth or not at all --------------------- */

static pid_t program_pid, handled_in;

static void note_fork(void)
{
	handled_in = getpid();
}

static pid_t fork_held(int *ret_pidfd)
{
	return carom_fork(NULL, 0, SOON, ret_pidfd);
}

static void fork_and_reap(void)
{
	struct carom_exit exit;
	int fds = count_fds(), pidfd = -1;
	pid_t pid;

	program_pid = getpid();
	CHECK(pthread_atfork(NULL, NULL, note_fork) == 0);
	CHECK(carom_pidfd_open(getppid()) == -EOPNOTSUPP);
	pid = fork_held(&pidfd);
	if (pid == 0)
		_exit(getppid() == program_pid && handled_in != 0 && handled_in != getpid() ? 7
											    : 1);
	CHECK(pid > 0 && carom_pidfd_is_child(pidfd));
	CHECK(fcntl(pidfd, F_GETFD) == FD_CLOEXEC);
	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0);
	CHECK(exit.kind == CAROM_EXIT_EXITED && exit.status == 7);
	close(pidfd);
	CHECK(count_fds() == fds);
	CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
}

Test(clone, of_a_program_without_pidfd_open_forks_through_another_process, .timeout = 120)
{
	cr_expect(zero(int, apart_with("CAROM_DENY", "pidfd_open", fork_and_reap)));
	cr_expect(zero(int, apart_with("CAROM_DENY", "pidfd_open,clone3", fork_and_reap)));
}

static void wait_for_ever(void)
{
	for (;;)
		pause();
}

static void fork_among_stuck_handlers(void)
{
	int pidfd = 77;

	CHECK(pthread_atfork(NULL, NULL, wait_for_ever) == 0);
	CHECK(carom_fork(NULL, 0, carom_deadline_after(CAROM_MILLISECONDS(50)), &pidfd) ==
	      -ETIMEDOUT);
	CHECK(pidfd == 77);
	CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
}

Test(clone, that_a_handler_stops_on_its_way_is_given_up, .timeout = 120)
{
	cr_expect(zero(int, apart_with("CAROM_DENY", "pidfd_open", fork_among_stuck_handlers)));
}

/* Since when the one in between is seen to stand; 0: it is not. */
static _Atomic uint64_t stopped_ns;

/* In the parent, before it waits: however long it takes the other one to get there. */
static void await_stop(void)
{
	siginfo_t info = { 0 };

	CHECK(waitid(P_ALL, 0, &info, WSTOPPED | WNOWAIT) == 0);
	atomic_store(&stopped_ns, carom_now());
}

/* Who is stopped between clone and report goes on when its being late has been seen, most likely. */
static void *release_when_late(void *unused)
{
	siginfo_t info = { 0 };

	(void)unused;
	while (atomic_load(&stopped_ns) == 0 ||
	       carom_now() <= atomic_load(&stopped_ns) + CAROM_MILLISECONDS(50))
		sched_yield();
	CHECK(waitid(P_ALL, 0, &info, WSTOPPED | WNOWAIT) == 0);
	CHECK(kill(info.si_pid, SIGCONT) == 0);
	return NULL;
}

static void fork_late(void)
{
	struct carom_exit exit;
	pthread_t thread;
	int pidfd = -1;
	pid_t pid;

	CHECK(pthread_atfork(NULL, await_stop, NULL) == 0);
	CHECK(carom_point_arm_once("fork.between", 1, SIGSTOP) == 0);
	CHECK(pthread_create(&thread, NULL, release_when_late, NULL) == 0);
	pid = carom_fork(NULL, 0, carom_now(), &pidfd);
	if (pid == 0)
		_exit(7);
	CHECK(pid > 0 && carom_pidfd_is_child(pidfd));
	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0 && exit.status == 7);
	pthread_join(thread, NULL);
	CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
}

Test(clone, that_is_late_only_after_the_handlers_is_made_all_the_same, .timeout = 120)
{
	if (!carom_point_name(0))
		cr_skip_test("built without -Dpoints=true");
	cr_expect(zero(int, apart_with("CAROM_DENY", "pidfd_open", fork_late)));
}

static void signal_by_number(void)
{
	int file_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct carom_exit exit;
	int pidfd;
	pid_t pid = sleeper(&pidfd);
	int pin_fd = carom_pidfd_pin(pid);

	CHECK(pin_fd >= 0 && !carom_pidfd_has_ended(pin_fd) && !carom_pidfd_has_ended(pidfd));
	CHECK(carom_pidfd_signal(pin_fd, 0) == 0 && carom_pidfd_signal(pidfd, 0) == 0);
	CHECK(carom_pidfd_signal(pidfd, 99) == -EINVAL);
	CHECK(carom_pidfd_signal(pidfd, SIGTERM) == 0);
	CHECK(carom_descriptor_wait(pidfd, SOON) == 0);
	CHECK(carom_pidfd_has_ended(pin_fd) && carom_pidfd_has_ended(pidfd));
	CHECK(carom_pidfd_signal(pin_fd, 0) == 0); /* a zombie is still there */
	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0 && exit.status == SIGTERM);
	CHECK(carom_pidfd_signal(pidfd, SIGKILL) == -ESRCH);
	CHECK(carom_pidfd_signal(pin_fd, SIGKILL) == -ESRCH);
	CHECK(carom_pidfd_has_ended(pin_fd));
	CHECK(carom_pidfd_signal(file_fd, 0) == -EBADF && carom_pidfd_signal(-1, 0) == -EBADF);
	CHECK(carom_pidfd_pin(INT32_MAX) == -ESRCH);
}

Test(clone, takes_signals_by_number_where_pidfds_take_none, .timeout = 120)
{
	cr_expect(zero(int, apart(signal_by_number)));
	cr_expect(zero(int, apart_with("CAROM_DENY", "pidfd_signal", signal_by_number)));
	cr_expect(zero(int, apart_with("CAROM_DENY", "pidfd_open,pidfd_signal", signal_by_number)));
}

#define NOT_ALLOWED 77 /* the exit status of who cannot make what it is to look at */

static bool hide_others(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("proc", "/proc", "proc", 0, "hidepid=2") == 0 &&
	       setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0;
}

static void look_at_who_is_hidden(void)
{
	struct carom_exit exit;
	uint64_t born, now_born;
	int gate[2], pidfd = -1;
	char byte;
	pid_t pid;

	CHECK(pipe2(gate, O_CLOEXEC) == 0);
	pid = carom_clone(NULL, &pidfd);
	if (pid == 0) {
		close(gate[1]);
		_exit(read(gate[0], &byte, 1) == 0 ? 7 : 1);
	}
	CHECK(pid > 0 && carom_pid_born(pid, &born) == 0);
	if (!hide_others())
		_exit(NOT_ALLOWED);
	CHECK(carom_pid_born(pid, &now_born) == -ESRCH);
	CHECK(carom_pid_lives(pid, born));
	close(gate[1]);
	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0 && exit.status == 7);
	CHECK(!carom_pid_lives(pid, born));
}

Test(clone, lives_where_proc_hides_it, .timeout = 120)
{
	int status = apart(look_at_who_is_hidden);

	if (WIFEXITED(status) && WEXITSTATUS(status) == NOT_ALLOWED)
		cr_skip_test("skipped: a mount of one's own is not allowed here");
	cr_expect(zero(int, status));
	cr_expect(zero(int, apart_with("CAROM_DENY", "pidfd_open", look_at_who_is_hidden)));
}

/* --- cgroups ----------------------------------------------------------- */

#define CGROUPS "/sys/fs/cgroup/unified"

static char leaf[128];

static bool make_leaf(void)
{
	snprintf(leaf, sizeof(leaf), CGROUPS "/carom-test-process-%d", (int)getpid());
	return mkdir(leaf, 0755) == 0;
}

static bool is_in_leaf(pid_t pid)
{
	char path[64], line[256];
	bool yes = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", (int)pid);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		yes |= strncmp(line, "0::/", 4) == 0 && strstr(line, strrchr(leaf, '/')) != NULL;
	if (file)
		fclose(file);
	return yes;
}

static void be_born_in_leaf(void)
{
	struct carom_clone_options options = { .cgroup_fd = open(leaf, O_RDONLY | O_DIRECTORY) };
	struct carom_exit exit;
	int pidfd = -1;
	pid_t pid;

	CHECK(options.cgroup_fd > 0);
	pid = carom_clone(&options, &pidfd);
	if (pid == 0)
		_exit(is_in_leaf(getpid()) ? 0 : 1);
	CHECK(pid > 0);
	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0);
	CHECK(exit.kind == CAROM_EXIT_EXITED && exit.status == 0);
}

/* Whatever the way: there is no child, and nothing to reap. */
static void be_refused(void)
{
	struct carom_clone_options options = { .cgroup_fd = open("/dev/null", O_RDONLY) };
	int pidfd = 77;

	CHECK(options.cgroup_fd > 0);
	CHECK(carom_clone(&options, &pidfd) < 0);
	options.cgroup_fd = open("/tmp", O_RDONLY | O_DIRECTORY);
	CHECK(carom_clone(&options, &pidfd) < 0);
	CHECK(pidfd == 77 && waitpid(-1, NULL, __WALL) == -1 && errno == ECHILD);
}

Test(clone, is_born_in_its_cgroup, .timeout = 120)
{
	if (!make_leaf())
		cr_skip_test("no leaf can be made under " CGROUPS);
	each_way(be_born_in_leaf);
	cr_expect(zero(int, rmdir(leaf)));
}

Test(clone, is_not_made_outside_its_cgroup, .timeout = 120)
{
	each_way(be_refused);
}
