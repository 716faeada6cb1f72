/* Fork server: children that cost little, are the program's own, and are never lost. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <locale.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/descriptors.h"
#include "core/forkserver.h"
#include "core/forkserver_private.h"
#include "core/points.h"
#include "core/pidfd.h"
#include "core/time.h"
#include "tests/core/apart.h"
#include "tests/needs.h"
#include "tests/occupy.h"

#define SOON carom_deadline_after(CAROM_SECONDS(20))

static const char *const ways[] = { "clone3", "clone" };

static void each_way(void (*body)(void))
{
	for (int i = 0; i < 2; i++)
		cr_expect(zero(int, apart_with("CAROM_CLONE", ways[i], body)), "by %s", ways[i]);
}

/* --- what children run ------------------------------------------------- */

static int exit_with(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	int status;

	(void)fds;
	memcpy(&status, argument, sizeof(status));
	return size == sizeof(status) && fd_count == 0 ? status : 255;
}

/* Says that it runs to who holds the other end, and stays until it is killed. */
static int stay(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	(void)argument;
	(void)size;
	if (fd_count && write(fds[0], "", 1) != 1)
		return 1;
	for (;;)
		pause();
}

/* --- helpers ----------------------------------------------------------- */

static struct carom_forkserver *make_server(void)
{
	struct carom_forkserver *server = NULL;

	CHECK(carom_forkserver_new(&server) == 0);
	return server;
}

static struct carom_child_reply next_reply(struct carom_forkserver *server)
{
	struct carom_child_reply reply;
	int r;

	while ((r = carom_forkserver_receive(server, &reply)) == -EAGAIN)
		CHECK(carom_forkserver_wait(server, SOON) == 0);
	CHECK(r == 0);
	CHECK(reply.error < 0 ? reply.pid == 0 && reply.pidfd == -1
			      : reply.pid > 0 && fcntl(reply.pidfd, F_GETFD) == FD_CLOEXEC);
	return reply;
}

static struct carom_exit end_of(int pidfd)
{
	struct carom_exit exit;

	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0);
	close(pidfd);
	return exit;
}

static struct carom_exit kill_child(int pidfd)
{
	CHECK(carom_pidfd_is_child(pidfd));
	CHECK(carom_pidfd_signal(pidfd, SIGKILL) == 0);
	return end_of(pidfd);
}

static bool has_no_children(void)
{
	return waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD;
}

static bool has_no_zombies(void)
{
	siginfo_t info = { 0 };

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0 &&
	       info.si_pid == 0;
}

static struct carom_exit run(struct carom_forkserver *server, carom_child_fn *function)
{
	int pidfd = -1;
	struct carom_child_request request = { .function = function };

	CHECK(carom_forkserver_spawn(server, &request, SOON, &pidfd) > 0);
	return end_of(pidfd);
}

/* --- a child's whole life ---------------------------------------------- */

static int read_stdin(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	char byte;

	return (int)read(STDIN_FILENO, &byte, 1);
}

Test(forkserver, makes_children_that_are_the_programs_own, .timeout = 120)
{
	CAROM_CLEANUP(carom_forkserver_freep) struct carom_forkserver *server = NULL;
	struct carom_exit exit;
	int status = 7, pidfd = -1;
	struct carom_child_request request = {
		.function = exit_with,
		.argument = &status,
		.size = sizeof(status),
	};
	pid_t pid;

	cr_assert(zero(int, carom_forkserver_new(&server)));
	pid = carom_forkserver_spawn(server, &request, SOON, &pidfd);
	cr_assert(lt(int, 0, pid));
	cr_assert(zero(int, carom_pidfd_wait(pidfd, SOON, &exit)));
	cr_expect(eq(int, exit.kind, CAROM_EXIT_EXITED));
	cr_expect(eq(int, exit.status, 7));
	close(pidfd);
}

/* BO-09: of a pool's workers as of processes */
Test(forkserver, has_children_that_read_nothing, .timeout = 120)
{
	CAROM_CLEANUP(carom_forkserver_freep) struct carom_forkserver *server = NULL;
	struct carom_exit exit;
	int ends[2];
	char text[4] = "";

	cr_assert(zero(int, pipe2(ends, O_CLOEXEC)));
	cr_assert(eq(int, (int)write(ends[1], "mine", 4), 4));
	cr_assert(eq(int, dup2(ends[0], STDIN_FILENO), STDIN_FILENO));
	server = make_server();
	exit = run(server, read_stdin);
	cr_expect(eq(int, exit.kind, CAROM_EXIT_EXITED));
	cr_expect(zero(int, exit.status));
	cr_expect(eq(int, (int)read(STDIN_FILENO, text, 4), 4));
}

static int read_ahead(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	(void)argument, (void)size, (void)fds, (void)fd_count;
	return getchar() == EOF ? 0 : 1;
}

Test(forkserver, has_children_that_do_not_read_what_was_read_ahead, .timeout = 120)
{
	CAROM_CLEANUP(carom_forkserver_freep) struct carom_forkserver *server = NULL;
	struct carom_exit exit;
	int ends[2];

	cr_assert(zero(int, pipe2(ends, O_CLOEXEC)));
	cr_assert(eq(int, (int)write(ends[1], "ab", 2), 2));
	cr_assert(eq(int, dup2(ends[0], STDIN_FILENO), STDIN_FILENO));
	cr_assert(eq(int, getchar(), 'a'));
	server = make_server();
	exit = run(server, read_ahead);
	cr_expect(eq(int, exit.kind, CAROM_EXIT_EXITED));
	cr_expect(zero(int, exit.status));
	cr_expect(eq(int, getchar(), 'b'));
}

static int look_around(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct sigaction action;
	sigset_t mask;
	int death_signal = 0;

	CHECK((uintptr_t)argument % _Alignof(max_align_t) == 0 && size == 3);
	CHECK(memcmp(argument, "abc", 3) == 0);
	CHECK(fd_count == 2 && count_fds() == 3 + 2);
	CHECK(write(fds[0], "0", 1) == 1 && write(fds[1], "1", 1) == 1);
	sigprocmask(SIG_SETMASK, NULL, &mask);
	for (int number = 1; number < SIGRTMAX; number++) {
		if (sigaction(number, NULL, &action) == 0)
			CHECK(action.sa_handler == SIG_DFL);
		CHECK(sigismember(&mask, number) != 1);
	}
	CHECK(prctl(PR_GET_PDEATHSIG, &death_signal) == 0 && death_signal == SIGKILL);
	return 42;
}

static void give_a_clean_start(void)
{
	struct carom_forkserver *server;
	struct carom_child_request request;
	int first[2], second[2], pidfd = -1;
	struct carom_exit exit;
	sigset_t mask;
	char byte;

	signal(SIGUSR1, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	sigfillset(&mask);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	CHECK(pipe2(first, O_CLOEXEC) == 0 && pipe2(second, O_CLOEXEC) == 0);
	server = make_server();
	request = (struct carom_child_request){
		.function = look_around,
		.argument = "abc",
		.size = 3,
		.fds = (int[]){ first[1], second[1] },
		.fd_count = 2,
	};
	CHECK(carom_forkserver_spawn(server, &request, SOON, &pidfd) > 0);
	exit = end_of(pidfd);
	CHECK(exit.kind == CAROM_EXIT_EXITED && exit.status == 42);
	CHECK(read(first[0], &byte, 1) == 1 && byte == '0');
	CHECK(read(second[0], &byte, 1) == 1 && byte == '1');
	carom_forkserver_free(server);
}

Test(forkserver, child_starts_with_clean_signals_and_its_descriptors_alone, .timeout = 120)
{
	each_way(give_a_clean_start);
	cr_expect(zero(int, apart_with("CAROM_DENY", "close_range", give_a_clean_start)));
}

static int print_line(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	(void)argument, (void)size, (void)fds, (void)fd_count;
	printf("child\n");
	return 0;
}

static void print_and_fork(void)
{
	struct carom_forkserver *server;
	char text[64] = "";
	int output[2];

	CHECK(pipe(output) == 0);
	CHECK(dup2(output[1], STDOUT_FILENO) >= 0);
	setvbuf(stdout, NULL, _IOFBF, 4096);
	printf("program\n");
	server = make_server();
	CHECK(run(server, print_line).status == 0);
	CHECK(run(server, print_line).status == 0);
	CHECK(read(output[0], text, sizeof(text) - 1) > 0);
	CHECK(strcmp(text, "child\nchild\n") == 0);
	fflush(stdout);
	memset(text, 0, sizeof(text));
	CHECK(read(output[0], text, sizeof(text) - 1) > 0);
	CHECK(strcmp(text, "program\n") == 0);
	carom_forkserver_free(server);
}

Test(forkserver, children_print_their_own_lines_and_none_of_the_programs, .timeout = 120)
{
	cr_expect(zero(int, apart(print_and_fork)));
}

static void start_without_standard_descriptors(void)
{
	struct carom_forkserver *server;
	struct carom_child_request request = { .function = stay };
	int gate[2], pidfd = -1;
	char byte;

	CHECK(pipe2(gate, O_CLOEXEC) == 0);
	close(STDIN_FILENO);
	close(STDOUT_FILENO);
	close(STDERR_FILENO);
	server = make_server();
	request.fds = &gate[1];
	request.fd_count = 1;
	CHECK(carom_forkserver_spawn(server, &request, SOON, &pidfd) > 0);
	CHECK(read(gate[0], &byte, 1) == 1);
	CHECK(kill_child(pidfd).kind == CAROM_EXIT_KILLED);
	carom_forkserver_free(server);
}

Test(forkserver, works_for_a_program_without_standard_descriptors, .timeout = 120)
{
	cr_expect(zero(int, apart(start_without_standard_descriptors)));
}

/* --- locks that other threads hold ------------------------------------- */

static void use_the_c_library(void)
{
	time_t now = 0;
	struct tm parts;
	char text[32];
	char *volatile memory[2];
	void *library;
	FILE *file;

	memory[0] = malloc(100);
	memory[1] = malloc(64 * 1024);
	free(memory[0]);
	free(memory[1]);
	setenv("CAROM_TEST_WORD", "1", 1);
	tzset();
	localtime_r(&now, &parts);
	snprintf(text, sizeof(text), "%d", parts.tm_year);
	library = dlopen("libm.so.6", RTLD_NOW);
	if (library)
		dlclose(library);
	file = fopen("/dev/null", "we");
	if (file) {
		fprintf(file, "%s\n", text);
		fclose(file);
	}
}

static void *hammer(void *stop)
{
	while (!atomic_load((_Atomic bool *)stop))
		use_the_c_library();
	return NULL;
}

static int use_and_exit(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	(void)argument, (void)size, (void)fds, (void)fd_count;
	for (int i = 0; i < 3; i++)
		use_the_c_library();
	return 11;
}

static void fork_among_held_locks(void)
{
	struct carom_forkserver *server;
	_Atomic bool stop = false;
	pthread_t threads[2];

	mallopt(M_ARENA_MAX, 1);
	use_the_c_library(); /* a name that is new moves the environment, under who looks up others */
	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&threads[i], NULL, hammer, &stop) == 0);
	server = make_server();
	for (int i = 0; i < 200; i++) {
		struct carom_exit exit = run(server, use_and_exit);

		CHECK(exit.kind == CAROM_EXIT_EXITED && exit.status == 11);
	}
	atomic_store(&stop, true);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	carom_forkserver_free(server);
	CHECK(has_no_children());
}

/* A3: malloc, stdio, the environment, the time zone, the loader */
Test(forkserver, children_never_meet_a_lock_held_at_the_fork, .timeout = 120)
{
	each_way(fork_among_held_locks);
}

static _Atomic int forked; /* servers so far */

static void count_fork(void)
{
	forked++;
}

/* The loader's list is locked meanwhile; dlopen() locks it too, but only for what is new there. */
static int hold_while_two_are_forked(struct dl_phdr_info *info, size_t size, void *is_held)
{
	(void)info, (void)size;
	atomic_store((_Atomic bool *)is_held, true);
	while (forked < 2)
		sched_yield();
	return 1;
}

static void *hold_the_list(void *is_held)
{
	dl_iterate_phdr(hold_while_two_are_forked, is_held);
	return NULL;
}

static void fork_while_the_list_is_held(void)
{
	_Atomic bool is_held = false;
	struct carom_forkserver *server;
	pthread_t thread;

	CHECK(pthread_atfork(NULL, count_fork, NULL) == 0);
	CHECK(pthread_create(&thread, NULL, hold_the_list, &is_held) == 0);
	while (!is_held)
		sched_yield();
	server = make_server();
	CHECK(forked > 2);
	CHECK(run(server, use_and_exit).status == 11);
	carom_forkserver_free(server);
	pthread_join(thread, NULL);
	CHECK(has_no_children());
}

Test(forkserver, children_never_meet_the_loaders_list_held_at_the_fork, .timeout = 120)
{
	each_way(fork_while_the_list_is_held);
}

static _Atomic int *hanging; /* servers that are still to hang */

static void hang_in_server(void)
{
	if (atomic_fetch_sub(hanging, 1) > 0)
		for (;;)
			pause();
}

static void start_after_hanging(void)
{
	struct carom_forkserver *server = NULL;
	int fds = count_fds();

	hanging = share(sizeof(*hanging));
	pthread_atfork(NULL, NULL, hang_in_server);
	*hanging = 2;
	CHECK(carom_forkserver_new(&server) == 0);
	CHECK(run(server, use_and_exit).status == 11);
	server = carom_forkserver_free(server);

	*hanging = 1000;
	CHECK(carom_forkserver_new(&server) == -EDEADLK && server == NULL);
	/* who is not scheduled for as long as an attempt lasts does not come to hang */
	CHECK(*hanging >= 1000 - 20 && *hanging <= 1000 - 10);
	CHECK(has_no_children() && count_fds() == fds);
}

Test(forkserver, one_that_hangs_at_its_start_is_made_again_and_not_for_ever, .timeout = 120)
{
	cr_expect(zero(int, apart(start_after_hanging)));
}

static void start_by_fork(void)
{
	struct carom_forkserver *server = NULL;

	CHECK(carom_forkserver_new(&server) == -EOPNOTSUPP && server == NULL);
}

Test(forkserver, says_where_children_would_not_be_the_programs, .timeout = 120)
{
	cr_expect(zero(int, apart_with("CAROM_CLONE", "fork", start_by_fork)));
}

/* --- strangers --------------------------------------------------------- */

static int say_so(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	(void)argument, (void)size;
	return fd_count == 1 && write(fds[0], "", 1) == 1 ? 0 : 1;
}

/* In a copy of the program, which has its end of the socket. */
static void ask_as_a_stranger(int socket_fd, int pipe_fd)
{
	struct carom_server_request packet = { .function = say_so, .fd_count = 1 };
	pid_t pid = fork();
	int status = -1;

	if (pid == 0 && (carom_packet_send(socket_fd, "", 0, &pipe_fd, 1, 0) < 0 ||
			 carom_packet_send(socket_fd, "?", 1, &pipe_fd, 1, 0) < 0))
		_exit(2);
	if (pid == 0)
		_exit(carom_packet_send(socket_fd, &packet,
					offsetof(struct carom_server_request, argument), &pipe_fd,
					1, 0) == 0
			      ? 0
			      : 1);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

static void refuse_a_stranger(void)
{
	struct carom_forkserver *server = make_server();
	int fds[2], line[2];
	char byte;

	carom_forkserver_fds(server, fds);
	for (int i = 0; i < 3; i++) {
		CHECK(pipe2(line, O_CLOEXEC) == 0);
		ask_as_a_stranger(fds[0], line[1]);
		close(line[1]);
		/* an answer to a later packet: the one before was read */
		CHECK(run(server, use_and_exit).status == 11);
		/* nobody has the pipe's other end any more, nor has written to it */
		CHECK(read(line[0], &byte, 1) == 0);
		close(line[0]);
	}
	carom_forkserver_free(server);
	CHECK(has_no_children());
}

/* FS-11 */
Test(forkserver, makes_no_child_for_who_is_not_the_program, .timeout = 120)
{
	each_way(refuse_a_stranger);
}

/* The server's own end of the socket, taken out of it; -1: this is not allowed here. */
static int take_servers_end(int pidfd)
{
	for (int number = 3; number < 64; number++) {
		int fd = (int)syscall(SYS_pidfd_getfd, pidfd, number, 0);
		int type = 0;
		socklen_t size = sizeof(type);

		if (fd < 0)
			continue;
		if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
		    type == SOCK_SEQPACKET)
			return fd;
		close(fd);
	}
	return -1;
}

static void hear_no_stranger(void)
{
	struct carom_forkserver *server = make_server();
	struct carom_server_reply lie = { .slot = 63, .pid = 1 };
	int fds[2], end_fd, open_fds;

	carom_forkserver_fds(server, fds);
	end_fd = take_servers_end(fds[1]);
	if (end_fd < 0) {
		dprintf(STDERR_FILENO, "skipped: false answers: pidfd_getfd is denied here\n");
		carom_forkserver_free(server);
		return;
	}
	open_fds = count_fds();
	for (int i = 0; i < 3; i++) {
		CHECK(carom_packet_send(end_fd, &lie, sizeof(lie), &end_fd, 1, 0) == 0);
		CHECK(carom_packet_send(end_fd, "x", 1, NULL, 0, 0) == 0);
		CHECK(run(server, use_and_exit).status == 11);
	}
	CHECK(count_fds() == open_fds);
	close(end_fd);
	carom_forkserver_free(server);
	CHECK(has_no_children());
}

/* FS-11 */
Test(forkserver, takes_no_answer_from_who_is_not_the_server, .timeout = 120)
{
	cr_expect(zero(int, apart(hear_no_stranger)));
}

/* --- many, and too much ------------------------------------------------ */

static void open_all_slots(void)
{
	struct carom_forkserver *server = make_server();
	int fds = count_fds();
	uint64_t seen = 0;
	int status = 3;
	struct carom_child_request request = {
		.function = exit_with,
		.argument = &status,
		.size = sizeof(status),
	};

	CHECK(kill(carom_forkserver_pid(server), SIGSTOP) == 0);
	for (request.id = 0; request.id < 64; request.id++)
		CHECK(carom_forkserver_request(server, &request) == 0);
	CHECK(carom_forkserver_request(server, &request) == -EAGAIN);
	CHECK(kill(carom_forkserver_pid(server), SIGCONT) == 0);
	for (int i = 0; i < 64; i++) {
		struct carom_child_reply reply = next_reply(server);

		CHECK(reply.error == 0 && reply.id < 64 && !(seen & (UINT64_C(1) << reply.id)));
		seen |= UINT64_C(1) << reply.id;
		CHECK(end_of(reply.pidfd).status == 3);
	}
	CHECK(count_fds() == fds && has_no_zombies());
	CHECK(run(server, use_and_exit).status == 11);
	carom_forkserver_free(server);
	CHECK(has_no_children());
}

Test(forkserver, sixty_four_requests_may_be_open, .timeout = 120)
{
	each_way(open_all_slots);
}

static int sum_bytes(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	unsigned int sum = 0;

	(void)fds, (void)fd_count;
	for (size_t i = 0; i < size; i++)
		sum += ((const unsigned char *)argument)[i];
	return size == CAROM_FORKSERVER_ARGUMENT_MAX && sum == size ? 1 : 0;
}

Test(forkserver, refuses_what_does_not_fit, .timeout = 120)
{
	CAROM_CLEANUP(carom_forkserver_freep) struct carom_forkserver *server = NULL;
	unsigned char bytes[CAROM_FORKSERVER_ARGUMENT_MAX + 1];
	int fds[CAROM_FORKSERVER_FDS_MAX + 1] = { 0 };
	int pidfd = -1;
	struct carom_exit exit;
	struct carom_child_reply reply;
	struct carom_child_request request = {
		.function = sum_bytes,
		.argument = bytes,
		.size = sizeof(bytes),
	};

	memset(bytes, 1, sizeof(bytes));
	cr_assert(zero(int, carom_forkserver_new(&server)));
	cr_expect(eq(int, carom_forkserver_request(server, &request), -EMSGSIZE));
	request.size--;
	request.fds = fds;
	request.fd_count = CAROM_FORKSERVER_FDS_MAX + 1;
	cr_expect(eq(int, carom_forkserver_request(server, &request), -EINVAL));
	request.fd_count = 1;
	fds[0] = 9999;
	cr_expect(eq(int, carom_forkserver_request(server, &request), -EINVAL));
	request.fd_count = 0;
	request.function = NULL;
	cr_expect(eq(int, carom_forkserver_request(server, &request), -EINVAL));
	request.function = sum_bytes;
	request.argument = NULL;
	cr_expect(eq(int, carom_forkserver_request(server, &request), -EINVAL));
	cr_expect(eq(int, carom_forkserver_receive(server, &reply), -EAGAIN));

	request.argument = bytes;
	cr_assert(lt(int, 0, carom_forkserver_spawn(server, &request, SOON, &pidfd)));
	cr_assert(zero(int, carom_pidfd_wait(pidfd, SOON, &exit)));
	cr_expect(eq(int, exit.status, 1));
	close(pidfd);
}

static void run_out_of_descriptors(void)
{
	struct carom_child_request request = { .function = stay };
	struct carom_forkserver *server;
	struct rlimit before, none;
	int pidfd = 77;
	int lowest_fd;

	occupy_low_descriptors();
	server = make_server();
	lowest_fd = dup(STDERR_FILENO);
	close(lowest_fd);
	CHECK(getrlimit(RLIMIT_NOFILE, &before) == 0);
	none = (struct rlimit){ (rlim_t)lowest_fd, before.rlim_max };
	CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
	CHECK(carom_forkserver_spawn(server, &request, SOON, &pidfd) == -EMFILE);
	CHECK(pidfd == 77 && has_no_zombies());

	CHECK(setrlimit(RLIMIT_NOFILE, &before) == 0);
	CHECK(run(server, use_and_exit).status == 11);
	carom_forkserver_free(server);
	CHECK(has_no_children());
}

Test(forkserver, child_without_room_for_its_pidfd_is_reaped, .timeout = 120)
{
	each_way(run_out_of_descriptors);
}

static void time_out(void)
{
	struct carom_forkserver *server = make_server();
	struct carom_child_request request = { .function = use_and_exit, .id = 5 };
	struct carom_child_reply reply;
	int pidfd = 77;

	CHECK(kill(carom_forkserver_pid(server), SIGSTOP) == 0);
	CHECK(carom_forkserver_spawn(server, &request, carom_deadline_after(CAROM_MILLISECONDS(20)),
				     &pidfd) == -ETIMEDOUT);
	CHECK(pidfd == 77);
	CHECK(kill(carom_forkserver_pid(server), SIGCONT) == 0);
	reply = next_reply(server);
	CHECK(reply.id == 5 && end_of(reply.pidfd).status == 11);
	carom_forkserver_free(server);
}

Test(forkserver, request_that_timed_out_is_answered_later, .timeout = 120)
{
	cr_expect(zero(int, apart(time_out)));
}

static void use_in_forked_child(void)
{
	struct carom_forkserver *server = make_server();
	struct carom_child_request request = { .function = use_and_exit };
	struct carom_child_reply reply;
	int status = -1;
	pid_t pid = fork();

	if (pid == 0) {
		CHECK(carom_forkserver_request(server, &request) == -ECHILD);
		CHECK(carom_forkserver_receive(server, &reply) == -ECHILD);
		CHECK(carom_forkserver_free(server) == NULL);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(run(server, use_and_exit).status == 11);
	carom_forkserver_free(server);
}

Test(forkserver, handle_from_before_fork_is_refused, .timeout = 120)
{
	cr_expect(zero(int, apart(use_in_forked_child)));
}

/* --- the end of the server --------------------------------------------- */

static void free_with_open_requests(void)
{
	struct carom_forkserver *server = make_server();
	struct carom_child_request request = { .function = stay };
	int fds = count_fds() - 2; /* without the socket and the pidfd */

	for (int i = 0; i < 8; i++)
		CHECK(carom_forkserver_request(server, &request) == 0);
	CHECK(carom_forkserver_wait(server, SOON) == 0);
	CHECK(carom_forkserver_free(server) == NULL);
	CHECK(has_no_children() && count_fds() == fds);
	CHECK(carom_forkserver_free(NULL) == NULL);
}

Test(forkserver, free_ends_what_nobody_waits_for, .timeout = 120)
{
	each_way(free_with_open_requests);
}

static void outlive_the_server(void)
{
	struct carom_forkserver *server = make_server();
	struct carom_child_request request = { .function = stay };
	int gate[2], pidfd = -1;
	char byte;

	CHECK(pipe2(gate, O_CLOEXEC) == 0);
	request.fds = &gate[1];
	request.fd_count = 1;
	CHECK(carom_forkserver_spawn(server, &request, SOON, &pidfd) > 0);
	CHECK(read(gate[0], &byte, 1) == 1);
	carom_forkserver_free(server);
	CHECK(carom_descriptor_wait(pidfd, CAROM_PASSED) == -ETIMEDOUT);
	CHECK(kill_child(pidfd).status == SIGKILL);
	CHECK(has_no_children());
}

/* A4: children are the program's */
Test(forkserver, children_outlive_it, .timeout = 120)
{
	each_way(outlive_the_server);
}

static void fail_after_its_end(void)
{
	struct carom_forkserver *server = make_server();
	struct carom_child_request request = { .function = stay };
	struct carom_child_reply reply;
	int pidfd = 77;

	CHECK(kill(carom_forkserver_pid(server), SIGKILL) == 0);
	CHECK(carom_forkserver_wait(server, SOON) == 0);
	CHECK(carom_forkserver_receive(server, &reply) == -EPIPE);
	CHECK(carom_forkserver_request(server, &request) == -EPIPE);
	CHECK(carom_forkserver_spawn(server, &request, SOON, &pidfd) == -EPIPE && pidfd == 77);
	carom_forkserver_free(server);
	CHECK(has_no_children());
}

Test(forkserver, says_that_it_is_gone, .timeout = 120)
{
	cr_expect(zero(int, apart(fail_after_its_end)));
}

static void wait_for_end(struct carom_forkserver *server)
{
	struct carom_child_reply reply;
	int r;

	while ((r = carom_forkserver_receive(server, &reply)) == -EAGAIN)
		CHECK(carom_forkserver_wait(server, SOON) == 0);
	CHECK(r == -EPIPE);
}

/* Send @count requests, take all replies, end all children; how many there were. */
static int exchange(struct carom_forkserver *server, int count)
{
	struct carom_child_request request = { .function = stay };
	uint64_t seen = 0;
	int sent = 0, made = 0;

	for (; sent < count; sent++) {
		request.id = (uint64_t)sent;
		if (carom_forkserver_request(server, &request) == -EPIPE)
			break;
	}
	for (int i = 0; i < sent; i++) {
		struct carom_child_reply reply = next_reply(server);

		CHECK(reply.id < 64 && !(seen & (UINT64_C(1) << reply.id)));
		seen |= UINT64_C(1) << reply.id;
		CHECK(reply.error == 0 || reply.error == -EPIPE);
		if (reply.error == 0)
			CHECK(kill_child(reply.pidfd).kind == CAROM_EXIT_KILLED);
		made += reply.error == 0;
	}
	return made;
}

/*
 * Each place of the hand-over, and how many of 8 children there are when the server
 * (or the child, which changes nothing) is killed at its @nth passage.
 */
static const struct step {
	const char *point;
	int made_before_first;
	bool is_in_child;
} steps[] = {
	{ "forkserver.received", 0, false }, { "forkserver.made", 1, false },
	{ "forkserver.replied", 1, false },  { "forkserver.closed", 1, false },
	{ "forkserver.born", 0, true },      { "forkserver.child_ready", 0, true },
};

/* A child that only the page knows of is not held without pidfd_open(2): it is ended. */
static int made_at(const struct step *step, int nth)
{
	bool is_lost = strcmp(step->point, "forkserver.made") == 0 && denial_of("pidfd_open");

	return nth - 1 + (is_lost ? 0 : step->made_before_first);
}

static void kill_once_at(const struct step *step, int nth)
{
	struct carom_forkserver *server = make_server();
	int made;

	CHECK(carom_point_arm_once(step->point, (uint32_t)nth, SIGKILL) == 0);
	made = exchange(server, 8);
	if (step->is_in_child) {
		CHECK(made == 8);
	} else {
		CHECK(made == made_at(step, nth));
		wait_for_end(server); /* of whom the last reply was not the last step */
		CHECK(carom_point_hits(step->point) == 1);
	}
	carom_point_disarm_all();
	carom_forkserver_free(server);
	CHECK(has_no_children());
}

static void kill_at_each_step(void)
{
	int fds = count_fds();

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		for (int n = 0; n < 100; n++)
			kill_once_at(&steps[i], 1 + n % 8);
	CHECK(count_fds() == fds);
}

static bool has_points(void)
{
	return carom_point_arm("forkserver.made", 0) != -EOPNOTSUPP;
}

Test(forkserver, killed_at_any_step_by_clone3_loses_no_child, .timeout = 240)
{
	if (!has_points())
		cr_skip_test("built without -Dpoints=true");
	cr_expect(zero(int, apart_with("CAROM_CLONE", "clone3", kill_at_each_step)));
}

Test(forkserver, killed_at_any_step_by_clone_loses_no_child, .timeout = 240)
{
	if (!has_points())
		cr_skip_test("built without -Dpoints=true");
	cr_expect(zero(int, apart_with("CAROM_CLONE", "clone", kill_at_each_step)));
}

static bool is_tested(const char *point)
{
	static const char *const elsewhere[] = { "forkserver.started", "forkserver.tested",
						 "forkserver.requested", "forkserver.ending" };

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++)
		if (strcmp(point, steps[i].point) == 0)
			return true;
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(*elsewhere); i++)
		if (strcmp(point, elsewhere[i]) == 0)
			return true;
	return false;
}

Test(forkserver, no_step_is_left_out_of_these_tests)
{
	const char *point;

	if (!has_points())
		cr_skip_test("built without -Dpoints=true");
	for (size_t i = 0; (point = carom_point_name(i)); i++)
		if (strncmp(point, "forkserver.", strlen("forkserver.")) == 0)
			cr_expect(ne(int, is_tested(point), 0), "%s", point);
}

static void die_at_start(void)
{
	static const char *const points[] = { "forkserver.started", "forkserver.tested" };
	struct carom_forkserver *server = NULL;
	int fds = count_fds();

	for (int i = 0; i < 2; i++) {
		CHECK(carom_point_arm_once(points[i], 1, SIGKILL) == 0);
		server = make_server();
		CHECK(carom_point_hits(points[i]) == 1);
		CHECK(exchange(server, 2) == 2);
		server = carom_forkserver_free(server);

		CHECK(carom_point_arm(points[i], 1) == 0);
		CHECK(carom_forkserver_new(&server) == -EDEADLK && server == NULL);
		carom_point_disarm_all();
	}
	CHECK(has_no_children() && count_fds() == fds);
}

Test(forkserver, killed_at_its_start_is_made_again, .timeout = 120)
{
	if (!has_points())
		cr_skip_test("built without -Dpoints=true");
	cr_expect(zero(int, apart(die_at_start)));
}

/**
 * struct late - a server that is slow to start, as its test sees it
 * @server_pid: it
 * @gate:       it waits for a byte first
 */
static struct late {
	_Atomic pid_t *server_pid;
	int gate[2];
} late;

static void start_late(void)
{
	char byte;

	if (atomic_exchange(late.server_pid, getpid()) == 0)
		CHECK(read(late.gate[0], &byte, 1) == 1);
}

static void give_up_the_first(void)
{
	struct carom_forkserver *server;

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* it stops, and the test may end before it goes on */
	pthread_atfork(NULL, NULL, start_late);
	server = make_server();
	CHECK(run(server, use_and_exit).status == 11);
	carom_forkserver_free(server);
	CHECK(has_no_children());
	_exit(0);
}

/* It has said that it is ready, and waits for a request. */
static bool is_in_recvmsg(pid_t pid)
{
	char path[64], text[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/syscall", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		cr_skip_test("%s cannot be read", path);
	close(fd);
	return atoi(text) == SYS_recvmsg;
}

Test(forkserver, that_is_ready_too_late_does_not_disturb_the_next, .timeout = 120)
{
	pid_t pid;
	int status;

	if (!has_points())
		cr_skip_test("built without -Dpoints=true");
	late.server_pid = share(sizeof(*late.server_pid));
	cr_assert(zero(int, pipe(late.gate)));
	/* the program stops between giving the server up and killing it */
	cr_assert(zero(int, carom_point_arm_once("forkserver.ending", 1, SIGSTOP)));
	pid = fork();
	if (pid == 0)
		give_up_the_first();
	cr_assert(eq(int, waitpid(pid, &status, WUNTRACED), pid));
	cr_assert(ne(int, WIFSTOPPED(status), 0));
	cr_assert(eq(long, write(late.gate[1], "", 1), 1));
	while (!is_in_recvmsg(atomic_load(late.server_pid)))
		sched_yield();
	cr_assert(zero(int, kill(pid, SIGCONT)));
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_expect(zero(int, status));
}

static void kill_at_random(void)
{
	unsigned int seed = 20;
	int fds = count_fds(), made = 0;

	for (int i = 0; i < 150; i++) {
		struct carom_forkserver *server = make_server();
		pid_t server_pid = carom_forkserver_pid(server);
		uint64_t until = carom_now() + (uint64_t)(rand_r(&seed) % 1500) * 1000;
		pid_t killer = fork();

		CHECK(killer >= 0);
		if (killer == 0) {
			while (carom_now() < until)
				;
			kill(server_pid, SIGKILL);
			_exit(0);
		}
		made += exchange(server, 8);
		CHECK(waitpid(killer, NULL, 0) == killer);
		carom_forkserver_free(server);
		/* one that was made and could not be told of has ended by itself */
		while (denial_of("pidfd_open") && waitpid(-1, NULL, __WALL) > 0)
			;
		CHECK(has_no_children());
	}
	CHECK(count_fds() == fds && made > 0);
}

Test(forkserver, killed_at_any_time_loses_no_child, .timeout = 240)
{
	each_way(kill_at_random);
}

static void lose_child_to_waitpid(void)
{
	struct carom_forkserver *server = make_server();
	struct carom_child_request request = { .function = use_and_exit };
	struct carom_child_reply reply;

	CHECK(carom_point_arm_once("forkserver.made", 1, SIGKILL) == 0);
	CHECK(carom_forkserver_request(server, &request) == 0);
	while (waitpid(-1, NULL, 0) > 0) /* the server and its child */
		;
	reply = next_reply(server);
	CHECK(reply.error == (denial_of("pidfd_open") ? -EPIPE : -ESRCH));
	CHECK(carom_forkserver_receive(server, &reply) == -EPIPE);
	carom_forkserver_free(server);
}

/* A4: the host's waitpid(-1) */
Test(forkserver, child_that_the_host_reaped_is_not_mistaken_for_another, .timeout = 120)
{
	if (!has_points())
		cr_skip_test("built without -Dpoints=true");
	each_way(lose_child_to_waitpid);
}

static void be_stolen_from(void)
{
	struct carom_forkserver *server;
	struct carom_child_request request = { .function = use_and_exit };
	int pidfd;

	signal(SIGCHLD, SIG_IGN);
	server = make_server();
	for (int i = 0; i < 50; i++) {
		pid_t pid = carom_forkserver_spawn(server, &request, SOON, &pidfd);
		struct carom_exit exit;

		CHECK(pid > 0 || pid == -ESRCH);
		if (pid < 0)
			continue; /* by legacy clone it may be gone before it is held */
		exit = end_of(pidfd);
		CHECK(exit.kind == CAROM_EXIT_TAKEN ||
		      (exit.kind == CAROM_EXIT_EXITED && exit.status == 11));
	}
	carom_forkserver_free(server);
}

/* A4 */
Test(forkserver, works_for_a_host_that_ignores_sigchld, .timeout = 120)
{
	each_way(be_stolen_from);
}

/* --- the end of the program -------------------------------------------- */

/**
 * struct program - one that dies, as its test sees it
 * @report:     its children hold the write end
 * @server_pid: its server
 * @go:         the test holds the server by its pidfd
 */
static struct program {
	int report[2];
	_Atomic pid_t *server_pid;
	int go[2];
} program;

static void die_with_children(void)
{
	struct carom_forkserver *server = make_server();
	struct carom_child_request request = {
		.function = stay,
		.fds = &program.report[1],
		.fd_count = 1,
	};
	char byte;

	for (int i = 0; i < 8; i++)
		CHECK(carom_forkserver_request(server, &request) == 0);
	CHECK(read(program.report[0], &byte, 1) == 1); /* one runs, others are being made */
	atomic_store(program.server_pid, carom_forkserver_pid(server));
	CHECK(read(program.go[0], &byte, 1) == 1);
	kill(getpid(), SIGKILL);
}

static void watch_the_end_of(void (*body)(void))
{
	char bytes[64];
	ssize_t n;
	int server_pidfd, status;
	pid_t pid;

	NEEDS("pidfd_open");
	cr_assert(zero(int, pipe(program.report)));
	cr_assert(zero(int, pipe(program.go)));
	program.server_pid = share(sizeof(*program.server_pid));
	pid = fork();
	if (pid == 0) {
		body();
		_exit(1);
	}
	while (atomic_load(program.server_pid) == 0)
		sched_yield();
	server_pidfd = carom_pidfd_open(atomic_load(program.server_pid));
	cr_assert(ge(int, server_pidfd, 0));
	cr_assert(eq(long, write(program.go[1], "", 1), 1));
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	cr_expect(eq(int, status, SIGKILL));

	close(program.report[1]);
	do /* until the last child is gone */
		n = read(program.report[0], bytes, sizeof(bytes));
	while (n > 0);
	cr_expect(zero(long, n));
	cr_expect(zero(int, carom_descriptor_wait(server_pidfd, SOON)));
	close(server_pidfd);
	close(program.report[0]);
	close(program.go[0]);
	close(program.go[1]);
}

/* A4: PDEATHSIG */
Test(forkserver, leaves_nobody_behind_when_the_program_is_killed, .timeout = 120)
{
	for (int i = 0; i < 2; i++) {
		setenv("CAROM_CLONE", ways[i], 1);
		for (int n = 0; n < 25; n++)
			watch_the_end_of(die_with_children);
	}
}

static void die_after_request(void)
{
	struct carom_forkserver *server = make_server();
	struct carom_child_request request = {
		.function = stay,
		.fds = &program.report[1],
		.fd_count = 1,
	};
	char byte;

	atomic_store(program.server_pid, carom_forkserver_pid(server));
	CHECK(read(program.go[0], &byte, 1) == 1);
	for (int i = 0; i < 8; i++)
		CHECK(carom_forkserver_request(server, &request) == 0);
}

Test(forkserver, leaves_nobody_behind_when_the_program_dies_after_a_request, .timeout = 120)
{
	if (!has_points())
		cr_skip_test("built without -Dpoints=true");
	for (int n = 0; n < 100; n++) {
		cr_assert(zero(int, carom_point_arm_once("forkserver.requested",
							 1 + (uint32_t)n % 8, SIGKILL)));
		watch_the_end_of(die_after_request);
		carom_point_disarm_all();
	}
}

static void *make_server_in_thread(void *ret_server)
{
	*(struct carom_forkserver **)ret_server = make_server();
	return NULL;
}

static void outlive_the_maker(void)
{
	struct carom_forkserver *server = NULL;
	struct carom_child_reply reply;
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, make_server_in_thread, &server) == 0);
	pthread_join(thread, NULL);
	CHECK(carom_forkserver_wait(server, SOON) == 0);
	CHECK(carom_forkserver_receive(server, &reply) == -EPIPE);
	carom_forkserver_free(server);
	CHECK(has_no_children());
}

/* A4: the signal is about the thread, which the header warns of */
Test(forkserver, ends_with_the_thread_that_made_it, .timeout = 120)
{
	cr_expect(zero(int, apart(outlive_the_maker)));
}

/* --- cgroups ----------------------------------------------------------- */

#define CGROUPS "/sys/fs/cgroup/unified"

static char leaf[128];

static int find_leaf(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	char text[1024] = "";
	int fd = open("/proc/self/cgroup", O_RDONLY);

	(void)size, (void)fds, (void)fd_count;
	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 1;
	return strstr(text, argument) ? 0 : 2;
}

static void be_born_in_leaf(void)
{
	struct carom_forkserver *server = make_server();
	const char *name = strrchr(leaf, '/');
	struct carom_child_request request = {
		.function = find_leaf,
		.argument = name,
		.size = strlen(name) + 1,
		.cgroup_fd = open(leaf, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	};
	int pidfd = -1;

	CHECK(request.cgroup_fd > 0);
	CHECK(carom_forkserver_spawn(server, &request, SOON, &pidfd) > 0);
	CHECK(end_of(pidfd).status == 0);

	request.cgroup_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	CHECK(carom_forkserver_spawn(server, &request, SOON, &pidfd) < 0);
	carom_forkserver_free(server);
}

Test(forkserver, child_is_born_in_its_cgroup, .timeout = 120)
{
	snprintf(leaf, sizeof(leaf), CGROUPS "/carom-test-forkserver-%d", (int)getpid());
	if (mkdir(leaf, 0755) < 0)
		cr_skip_test("no leaf can be made under " CGROUPS);
	cr_expect(zero(int, apart(be_born_in_leaf)));
	cr_expect(zero(int, apart_with("CAROM_CLONE", "clone", be_born_in_leaf)));
	cr_expect(zero(int, rmdir(leaf)));
}

static void freeze_leaf(const char *state)
{
	char path[160];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.freeze", leaf);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	CHECK(fd >= 0 && write(fd, state, 1) == 1);
	close(fd);
}

static void die_beside_a_frozen_child(void)
{
	struct carom_forkserver *server = make_server();
	struct carom_child_request request = {
		.function = stay,
		.cgroup_fd = open(leaf, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	};
	struct carom_child_reply reply;

	CHECK(request.cgroup_fd > 0);
	freeze_leaf("1");
	CHECK(carom_point_arm_once("forkserver.made", 1, SIGKILL) == 0);
	CHECK(carom_forkserver_request(server, &request) == 0);
	reply = next_reply(server); /* the child still holds the server's end of the socket */
	CHECK(reply.error == 0 && kill_child(reply.pidfd).status == SIGKILL);
	CHECK(carom_forkserver_receive(server, &reply) == -EPIPE);
	carom_forkserver_free(server);
	CHECK(has_no_children());
}

Test(forkserver, its_end_is_not_hidden_by_a_child_that_cannot_run, .timeout = 120)
{
	if (!has_points())
		cr_skip_test("built without -Dpoints=true");
	snprintf(leaf, sizeof(leaf), CGROUPS "/carom-test-frozen-%d", (int)getpid());
	if (mkdir(leaf, 0755) < 0)
		cr_skip_test("no leaf can be made under " CGROUPS);
	cr_expect(zero(int, apart(die_beside_a_frozen_child)));
	cr_expect(zero(int, rmdir(leaf)));
}
