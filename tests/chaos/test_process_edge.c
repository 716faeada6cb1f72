/*
 * Processes where they are least expected: started by threads with masks and under a storm
 * of signals, during the exit, at the limit of descriptors, without /proc; ended, closed and
 * freed by many threads at once; children that give away what holds them.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "core/finalizer.h"
#include "core/forkserver_private.h"
#include "tests/chaos/dead.h"
#include "tests/core/apart.h"
#include "tests/core/habits.h"
#include "tests/core/methods.h"

#define TIMES 60

static void expect_all_given_back(int fd_count)
{
	uint64_t deadline_ns = carom_deadline_after(CAROM_SECONDS(HANG_SECONDS));

	carom_stop_forkserver();
	while ((carom_process_count() || count_fds() != fd_count) && carom_now() < deadline_ns)
		poll(NULL, 0, 1);
	if (count_fds() != fd_count)
		name_fds();
	CHECK(carom_process_count() == 0);
	CHECK(count_fds() == fd_count);
	CHECK(has_no_children());
}

static struct carom_process *start(struct carom_process_options options)
{
	struct carom_process *process = NULL;

	CHECK(carom_process_new(&options, &process) == 0);
	CHECK(carom_process_start(process) == 0);
	return process;
}

static int code_of(struct carom_process *process)
{
	int code = 1000;

	CHECK(carom_process_join(process, CAROM_NO_DEADLINE) == 0);
	CHECK(carom_process_exitcode(process, &code) == 0);
	carom_process_free(process);
	return code;
}

static int run(struct carom_process_options options)
{
	return code_of(start(options));
}

static void *start_in_thread(void *options)
{
	return start(*(struct carom_process_options *)options);
}

/* By a thread that is gone when this returns. */
static struct carom_process *start_by_thread(struct carom_process_options options)
{
	pthread_t thread;
	void *process;

	CHECK(pthread_create(&thread, NULL, start_in_thread, &options) == 0);
	CHECK(pthread_join(thread, &process) == 0);
	return process;
}

/* --- a handle in many hands --------------------------------------------- */

static _Atomic bool handler_is_in, handler_may_go;

static void stay_in_handler(int signal_number)
{
	atomic_store(&handler_is_in, true);
	while (!atomic_load(&handler_may_go))
		sched_yield();
}

struct joiner {
	struct carom_process *process;
	_Atomic pid_t tid;
};

static void *join_in_thread(void *userdata)
{
	struct joiner *self = userdata;

	atomic_store(&self->tid, gettid());
	return (void *)(intptr_t)carom_process_join(self->process, CAROM_NO_DEADLINE);
}

static bool sleeps(pid_t tid)
{
	char path[64], state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)tid);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%*d %*[^)]) %c", &state) != 1)
		state = 0;
	if (file)
		fclose(file);
	return state == 'S';
}

static void wait_until_it_sleeps(const struct joiner *joiner)
{
	while (!atomic_load(&joiner->tid) || !sleeps(joiner->tid))
		sched_yield();
}

/*
 * A thread that joins is in a signal handler. Meanwhile the child ends, and another thread
 * closes the handle and opens something that may get the number of its descriptor. The
 * first one then goes on to wait.
 */
static void close_under_a_join(void)
{
	struct joiner joiner = { .process =
					 start(CAROM_PROCESS_OPTIONS(.context = context_of("fork"),
								     .function = wait_for_ever)) };
	int sentinel = carom_process_sentinel(joiner.process);
	int ends[2], taken;
	pthread_t thread;
	void *r;

	signal(SIGUSR1, stay_in_handler);
	CHECK(pipe(ends) == 0);
	CHECK(pthread_create(&thread, NULL, join_in_thread, &joiner) == 0);
	wait_until_it_sleeps(&joiner);
	pthread_kill(thread, SIGUSR1);
	while (!atomic_load(&handler_is_in))
		sched_yield();

	CHECK(carom_process_kill(joiner.process) == 0);
	CHECK(carom_process_join(joiner.process, CAROM_NO_DEADLINE) == 0);
	for (int i = 0; i < 2;
	     i++) /* what was ready before has been seen by the library's thread */
		carom_ensured_forkserver_pid();
	CHECK(carom_process_close(joiner.process) == 0);
	taken = fcntl(ends[0], F_DUPFD, sentinel);
	atomic_store(&handler_may_go, true);

	alarm(HANG_SECONDS);
	CHECK(pthread_join(thread, &r) == 0 && r == NULL);
	CHECK(taken != sentinel && fcntl(sentinel, F_GETFD) < 0);
	carom_process_free(joiner.process);
}

Test(process_edge, join_in_a_signal_handler_while_another_thread_closes, .timeout = 60)
{
	cr_expect(zero(int, apart(close_under_a_join)));
}

/**
 * struct hands - threads that do to the children what comes to their minds
 * @is_over: all children were started
 */
struct hands {
	_Atomic bool is_over;
	_Atomic uint64_t seed;
};

static void do_something(struct carom_process *process, uint64_t *seed)
{
	char text[600];
	int code;

	switch (chance(seed) % 8) {
	case 0:
		CHECK(carom_process_terminate(process) != -ESRCH);
		break;
	case 1:
		code = carom_process_close(process);
		CHECK(code == 0 || code == -EBUSY);
		break;
	case 2:
		code = carom_process_join(process, carom_deadline_after(chance(seed) % 1000000));
		CHECK(code == 0 || code == -ETIMEDOUT || code == -EBADF);
		break;
	case 3:
		carom_process_describe(process, text, sizeof(text));
		CHECK(strstr(text, "parent="));
		break;
	case 4:
		CHECK(carom_process_is_alive(process) <= 1);
		break;
	case 5:
		if (carom_process_exitcode(process, &code) == 0)
			CHECK(code == 7 || code == -SIGTERM || code == -SIGKILL);
		break;
	case 6:
		carom_process_kill(process);
		break;
	default:
		carom_process_set_name(process, "Somebody");
	}
}

static void *handle_them(void *userdata)
{
	struct hands *hands = userdata;
	uint64_t seed = atomic_fetch_add(&hands->seed, 1);
	struct carom_process *children[8];

	while (!atomic_load(&hands->is_over)) {
		size_t count = carom_active_children(children, 8);

		for (size_t i = 0; i < count && i < 8; i++) {
			do_something(children[i], &seed);
			do_something(children[i], &seed);
			carom_process_free(children[i]);
		}
		sched_yield();
	}
	return NULL;
}

static void handle_in_many_hands(void)
{
	struct hands hands = { .seed = new_seed() };
	int status = 7, fds;
	pthread_t threads[4];

	CHECK(run(CAROM_PROCESS_OPTIONS(.context = context_of("fork"))) == 0);
	let_library_see();
	fds = count_fds();
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, handle_them, &hands) == 0);
	for (int i = 0; i < TIMES; i++)
		for (int method = 0; method < 3; method++)
			carom_process_free(start(CAROM_PROCESS_OPTIONS(
					.context = context_of(methods[method]),
					.function = i % 2 ? return_status : wait_for_ever,
					.argument = &status, .argument_size = sizeof(status))));
	alarm(HANG_SECONDS);
	while (carom_active_children(NULL, 0))
		sched_yield();
	atomic_store(&hands.is_over, true);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	expect_all_given_back(fds);
}

Test(process_edge, handles_are_ended_closed_and_freed_by_many_threads, .timeout = 120)
{
	cr_expect(zero(int, apart(handle_in_many_hands)));
}

/* --- cancelled ---------------------------------------------------------- */

static void *start_cancelled(void *process)
{
	pthread_cancel(pthread_self());
	return (void *)(intptr_t)carom_process_start(process);
}

static void start_while_cancelled(void)
{
	struct carom_context *context;
	pthread_t thread;
	int status = 4;
	void *r;

	EACH_METHOD(context)
	{
		struct carom_process *process = NULL;

		CHECK(carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context,
							       .function = return_status,
							       .argument = &status,
							       .argument_size = sizeof(status)),
					&process) == 0);
		CHECK(pthread_create(&thread, NULL, start_cancelled, process) == 0);
		CHECK(pthread_join(thread, &r) == 0 && r == NULL);
		CHECK(code_of(process) == 4);
	}
}

/* The thread lives until it comes to a cancellation point of its own. */
Test(process_edge, a_cancelled_thread_has_its_child, .timeout = 60)
{
	cr_expect(zero(int, apart(start_while_cancelled)));
}

static void cancel_a_join(void)
{
	struct joiner joiner = { .process =
					 start(CAROM_PROCESS_OPTIONS(.context = context_of("fork"),
								     .function = wait_for_ever)) };
	int fds = count_fds();
	pthread_t thread;
	void *result;

	CHECK(pthread_create(&thread, NULL, join_in_thread, &joiner) == 0);
	wait_until_it_sleeps(&joiner);
	CHECK(pthread_cancel(thread) == 0);
	CHECK(pthread_join(thread, &result) == 0 && result == PTHREAD_CANCELED);
	CHECK(carom_process_kill(joiner.process) == 0);
	CHECK(code_of(joiner.process) == -SIGKILL);
	expect_all_given_back(fds - 1);
}

Test(process_edge, a_cancelled_join_leaves_nothing_behind, .timeout = 60)
{
#ifdef __SANITIZE_ADDRESS__
	cr_skip_test("AddressSanitizer stumbles over the unwinding of a cancelled thread");
#endif
	cr_expect(zero(int, apart(cancel_a_join)));
}

/* --- signals ------------------------------------------------------------ */

static void start_with_all_blocked(void)
{
	struct carom_context *context;
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	EACH_METHOD(context)
	{
		struct carom_process_options options =
			CAROM_PROCESS_OPTIONS(.context = context, .function = tell_blocked);

		CHECK(run(options) == 0);
		CHECK(code_of(start_by_thread(options)) == 0);
	}
}

/* SN-07 */
Test(process_edge, a_child_has_nothing_blocked_whatever_its_parent_has, .timeout = 60)
{
	cr_expect(zero(int, apart(start_with_all_blocked)));
}

static _Atomic uint32_t signal_count;

static void count_signal(int signal_number)
{
	atomic_fetch_add(&signal_count, 1);
}

static void *start_many(void *unused)
{
	struct carom_context *context;
	int status = 5;

	for (int i = 0; i < TIMES / 3; i++)
		EACH_METHOD(context)
	CHECK(run(CAROM_PROCESS_OPTIONS(.context = context, .function = return_status,
					.argument = &status, .argument_size = sizeof(status))) ==
	      5);
	return NULL;
}

static void start_in_a_storm(void)
{
	struct sigaction action = { .sa_handler = count_signal }; /* no SA_RESTART */
	struct itimerval often = { .it_interval.tv_usec = 100, .it_value.tv_usec = 100 };
	pthread_t threads[2];

	sigaction(SIGALRM, &action, NULL);
	CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&threads[i], NULL, start_many, NULL) == 0);
	for (int i = 0; i < 2; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	CHECK(signal_count > 100);
}

Test(process_edge, starts_in_a_storm_of_signals, .timeout = 120)
{
	cr_expect(zero(int, apart(start_in_a_storm)));
}

/* --- descriptors -------------------------------------------------------- */

static void limit_descriptors(rlim_t count)
{
	struct rlimit limit;

	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	limit.rlim_cur = count;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
}

/* Whether it was refused for want of descriptors; the handle is then as before. */
static bool is_refused(struct carom_process *process)
{
	int r = carom_process_start(process);
	CHECK(r == 0 || r == -EMFILE || r == -EDEADLK);
	return r < 0;
}

/* The number that the next descriptor gets. */
static int next_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

static void start_at_the_limit(void)
{
	struct carom_context *context;
	rlim_t enough = 256;
	int refused = 0, fds;

	start_many(NULL);
	CHECK(code_of(start_by_thread(CAROM_PROCESS_OPTIONS())) == 0);
	carom_stop_forkserver();
	let_library_see();
	fds = count_fds();
	EACH_METHOD(context)
	for (int room = 0; room < 20; room++) {
		struct carom_process *process = NULL;
		bool was_refused;

		CHECK(carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context), &process) == 0);
		limit_descriptors((rlim_t)(next_fd() + room));
		was_refused = is_refused(process);
		limit_descriptors(enough);
		refused += was_refused;
		if (was_refused)
			CHECK(carom_process_start(process) == 0);
		CHECK(code_of(process) == 0);
		expect_all_given_back(fds);
	}
	CHECK(refused >= 2); /* with no room at all, by each method */
}

Test(process_edge, starts_at_the_limit_of_descriptors_or_is_refused, .timeout = 120)
{
	cr_expect(zero(int, apart(start_at_the_limit)));
}

static bool become_nobody(void)
{
	return geteuid() == 0 ? setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0
			      : true;
}

/* Until the kernel takes no more from this user. */
static int put_under_way(int fd, int *ret_fd)
{
	int fds[16], pair[2], r = 0;

	for (int i = 0; i < 16; i++)
		fds[i] = fd;
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	while (r == 0)
		r = carom_packet_send(pair[0], "", 1, fds, 16, MSG_DONTWAIT);
	*ret_fd = pair[1];
	return r;
}

static void start_with_too_many_under_way(void)
{
	struct carom_process_options options =
		CAROM_PROCESS_OPTIONS(.context = context_of("forkserver"), .function = echo,
				      .argument = "!", .argument_size = 1, .fd_count = 1);
	struct carom_process *process = NULL;
	int ends[2], under_way_fd;
	char byte = 0;

	CHECK(become_nobody());
	CHECK(pipe(ends) == 0);
	limit_descriptors(64);
	CHECK(run(CAROM_PROCESS_OPTIONS(.context = context_of("forkserver"))) == 0);
	CHECK(put_under_way(ends[1], &under_way_fd) == -ETOOMANYREFS);

	options.fds = &ends[1];
	CHECK(carom_process_new(&options, &process) == 0);
	alarm(HANG_SECONDS);
	CHECK(carom_process_start(process) == -ETOOMANYREFS);
	close(under_way_fd);
	CHECK(carom_process_start(process) == 0);
	CHECK(read(ends[0], &byte, 1) == 1 && byte == '!');
	CHECK(code_of(process) == 0);
}

Test(process_edge, with_too_many_descriptors_under_way_it_is_refused, .timeout = 60)
{
	if (!context_of("forkserver"))
		cr_skip_test("no fork server can be here");
	cr_expect(zero(int, apart(start_with_too_many_under_way)));
}

static void close_all_and_end(void)
{
	struct carom_context *context;
	int status = 9;

	EACH_METHOD(context)
	{
		struct carom_process_options options =
			CAROM_PROCESS_OPTIONS(.context = context, .function = close_everything,
					      .argument = &status, .argument_size = sizeof(status));

		CHECK(run(options) == 9);
		CHECK(code_of(start_by_thread(options)) == 9);
	}
}

Test(process_edge, a_child_that_closes_every_descriptor_has_its_real_status, .timeout = 60)
{
	cr_expect(zero(int, apart(close_all_and_end)));
}

/* --- the guard ---------------------------------------------------------- */

/* A parent with a child that does @what; both are ended when it has. */
static void expect_to_end_with_its_parent(struct carom_context *context, const char *what,
					  bool by_thread)
{
	char byte = 0;
	int ends[2];
	pid_t head;

	cr_assert(zero(int, pipe(ends)));
	head = fork();
	if (head == 0) {
		struct carom_process_options options =
			CAROM_PROCESS_OPTIONS(.context = context, .function = do_and_stay,
					      .argument = what, .argument_size = strlen(what) + 1,
					      .fds = &ends[1], .fd_count = 1);

		if (by_thread)
			start_by_thread(options);
		else
			start(options);
		for (;;)
			pause();
	}
	close(ends[1]);
	cr_assert(eq(int, (int)read(ends[0], &byte, 1), 1), "%s", what);
	close(ends[0]);
	cr_assert(zero(int, kill(head, SIGKILL)));
	cr_expect(ge(int, bury_all(), 2), "a child by %s survives that does %s, %s",
		  carom_context_start_method(context), what, by_thread ? "by a thread" : "by main");
}

/* What core/process.h promises. */
Test(process_edge, a_child_ends_with_its_parent_whatever_it_did, .timeout = 120)
{
	struct carom_context *context;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	EACH_METHOD(context)
	{
		bool by_server = strcmp(methods[each_], "forkserver") == 0;

		for (int by_thread = 0; by_thread < 2; by_thread++)
			expect_to_end_with_its_parent(context, "setsid", by_thread);
		expect_to_end_with_its_parent(context, "close", false);
		if (by_server)
			expect_to_end_with_its_parent(context, "close", true);
		else if (geteuid() == 0)
			expect_to_end_with_its_parent(context, "setuid", true);
	}
}

/* --- without /proc ------------------------------------------------------ */

static bool leave_proc(void)
{
	return unshare(CLONE_NEWNS) == 0 &&
	       mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       umount2("/proc", MNT_DETACH) == 0;
}

static void start_without_proc(void)
{
	struct carom_context *context;
	int status = 6;

	if (!leave_proc())
		_exit(EXIT_SUCCESS);
	CHECK(access("/proc/self", F_OK) < 0);
	EACH_METHOD(context)
	for (int i = 0; i < 3; i++)
		CHECK(run(CAROM_PROCESS_OPTIONS(.context = context, .function = return_status,
						.argument = &status,
						.argument_size = sizeof(status))) == 6);
}

Test(process_edge, starts_where_proc_is_not_mounted, .timeout = 60)
{
	if (geteuid() != 0)
		cr_skip_test("needs to unmount /proc for itself");
	cr_expect(zero(int, apart(start_without_proc)));
	cr_expect(zero(int, apart_with("CAROM_DENY", "close_range", start_without_proc)));
}

/* --- the exit ----------------------------------------------------------- */

static int told_fd;

/* The status of @body's exit(), which a hang does not have. */
static int exits(void (*body)(void))
{
	int status = -1;
	pid_t pid;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		alarm(HANG_SECONDS);
		body();
		exit(EXIT_SUCCESS);
	}
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	cr_expect(ge(int, bury_all(), 0), "something survives the exit");
	return status;
}

static void start_teller(void)
{
	struct carom_context *context;

	EACH_METHOD(context)
	carom_process_free(
		start(CAROM_PROCESS_OPTIONS(.context = context, .function = echo, .argument = "!",
					    .argument_size = 1, .fds = &told_fd, .fd_count = 1)));
}

static int start_teller_finally(void *unused)
{
	start_teller();
	return 0;
}

static void start_at_exit(void)
{
	carom_finalizer_add(CAROM_FINALIZER_DEFAULT, start_teller_finally, NULL, NULL);
	atexit(start_teller);
}

/* They are waited for like all others. */
Test(process_edge, starts_in_a_finalizer_and_in_a_handler_of_atexit, .timeout = 60)
{
	int ends[2], expected = 6;
	char text[16];

	if (!context_of("forkserver"))
		expected = 4;
	cr_assert(zero(int, pipe(ends)));
	told_fd = ends[1];
	cr_expect(zero(int, exits(start_at_exit)));
	close(ends[1]);
	cr_expect(eq(int, (int)read_all(ends[0], text, sizeof(text)), expected));
}

static int daemon_fds[2];

/* Once the daemons there were have been ended, another one, and then the last child goes. */
static void *start_daemon_late(void *first)
{
	static struct carom_process *process; /* nobody frees it before the end */
	int r;

	CHECK(carom_process_join(first, CAROM_NO_DEADLINE) == 0);
	CHECK(carom_is_exiting());
	CHECK(carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context_of("fork"),
						       .function = wait_for_ever,
						       .daemon = CAROM_YES),
				&process) == 0);
	r = carom_process_start(process);
	CHECK(r == 0 || r == -ECANCELED);
	CHECK(write(daemon_fds[1], "!", 1) == 1);
	return NULL;
}

static void exit_with_a_late_daemon(void)
{
	static struct carom_process *first, *last;
	int fds[2] = { open("/dev/null", O_WRONLY), daemon_fds[0] };
	pthread_t thread;

	first = start(CAROM_PROCESS_OPTIONS(.context = context_of("fork"),
					    .function = wait_for_ever, .daemon = CAROM_YES));
	last = start(CAROM_PROCESS_OPTIONS(.context = context_of("fork"), .function = wait_for_word,
					   .fds = fds, .fd_count = 2));
	CHECK(last != NULL);
	CHECK(pthread_create(&thread, NULL, start_daemon_late, first) == 0);
	pthread_detach(thread);
}

Test(process_edge, a_daemon_that_is_started_during_the_exit_does_not_keep_it, .timeout = 60)
{
	cr_assert(zero(int, pipe(daemon_fds)));
	cr_expect(zero(int, exits(exit_with_a_late_daemon)));
}

static _Atomic int start_count;

static void *start_for_ever(void *userdata)
{
	struct carom_context *context = userdata;

	for (;;) {
		struct carom_process *process = NULL;
		int r = carom_process_new(&CAROM_PROCESS_OPTIONS(.context = context), &process);

		CHECK(r == 0);
		r = carom_process_start(process);
		CHECK(r == 0 || r == -ECANCELED);
		carom_process_free(process);
		atomic_fetch_add(&start_count, 1);
	}
}

static void exit_while_threads_start(void)
{
	struct carom_context *context;
	pthread_t thread;

	EACH_METHOD(context)
	{
		CHECK(pthread_create(&thread, NULL, start_for_ever, context) == 0);
		pthread_detach(thread);
	}
	while (atomic_load(&start_count) < TIMES)
		sched_yield();
}

Test(process_edge, exits_while_threads_start_children, .timeout = 120)
{
	for (int i = 0; i < 10; i++)
		cr_expect(zero(int, exits(exit_while_threads_start)));
}
