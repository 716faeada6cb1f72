/* Spawn: a program in a child, at a price that does not grow with this process. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/descriptors.h"
#include "core/pidfd.h"
#include "core/signals.h"
#include "core/spawn.h"
#include "core/time.h"
#include "tests/core/ways.h"

#define SOON carom_deadline_after(CAROM_SECONDS(20))

#define ARGV(...) ((char *const *)(const char *const[]){ __VA_ARGS__, NULL })
#define LEAVE     .stdin_fd = -1, .stdout_fd = -1, .stderr_fd = -1

static struct carom_exit end_of(int pidfd)
{
	struct carom_exit exit;

	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0);
	close(pidfd);
	return exit;
}

/* What the program writes, to its end; its exit status must be 0. */
static void output_of(struct carom_spawn_options options, char *text, size_t size)
{
	int output[2], pidfd = -1;
	size_t length = 0;
	ssize_t n;

	CHECK(pipe2(output, O_CLOEXEC) == 0);
	options.stdout_fd = output[1];
	CHECK(carom_spawn(&options, &pidfd) > 0);
	close(output[1]);
	while ((n = read(output[0], text + length, size - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	close(output[0]);
	CHECK(end_of(pidfd).status == 0);
}

/* --- a program's whole life -------------------------------------------- */

static void run_programs(void)
{
	struct carom_spawn_options options = { .argv = ARGV("sh", "-c", "exit 3"), LEAVE };
	struct carom_exit exit;
	int fds = count_fds();
	int pidfd = -1;
	pid_t pid = carom_spawn(&options, &pidfd);

	CHECK(pid > 0 && fcntl(pidfd, F_GETFD) == FD_CLOEXEC);
	exit = end_of(pidfd);
	CHECK(exit.kind == CAROM_EXIT_EXITED && exit.status == 3);

	options.argv = ARGV("/bin/sh", "-c", "kill -TERM $$");
	CHECK(carom_spawn(&options, &pidfd) > 0);
	exit = end_of(pidfd);
	CHECK(exit.kind == CAROM_EXIT_KILLED && exit.status == SIGTERM);
	CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
	CHECK(count_fds() == fds);
}

Test(spawn, runs_a_program_and_holds_it_by_its_pidfd, .timeout = 120)
{
	each_way(run_programs);
}

static void pass_words(void)
{
	char text[256];

	output_of((struct carom_spawn_options){ .argv = ARGV("sh", "-c", "echo $0 $1 $WORD", "a b",
							     "c"),
						.envp = ARGV("WORD=of-its-own"),
						LEAVE },
		  text, sizeof(text));
	CHECK(strcmp(text, "a b c of-its-own\n") == 0);
	setenv("WORD", "of-this-process", 1);
	output_of((struct carom_spawn_options){ .argv = ARGV("sh", "-c", "echo $WORD"), LEAVE },
		  text, sizeof(text));
	CHECK(strcmp(text, "of-this-process\n") == 0);
}

Test(spawn, gives_arguments_and_environment, .timeout = 120)
{
	each_way(pass_words);
}

/* --- programs that cannot be run --------------------------------------- */

static char directory[] = "/tmp/carom-test-spawn-XXXXXX";

static void put_file(const char *name, const char *text, mode_t mode)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(fchmod(fd, mode) == 0);
	close(fd);
}

static void remove_file(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	unlink(path);
}

static int failure_of(const char *program)
{
	struct carom_spawn_options options = { .argv = ARGV(program), LEAVE };
	int pidfd = 77;
	pid_t pid = carom_spawn(&options, &pidfd);

	CHECK(pid < 0 && pidfd == 77);
	return pid;
}

static void fail_to_run(void)
{
	char path[256], argument[256 * 1024];
	int fds = count_fds();
	int pidfd = 77;

	CHECK(failure_of("/nonexistent/program") == -ENOENT);
	CHECK(failure_of("carom-no-such-program") == -ENOENT);
	CHECK(failure_of("/etc") == -EACCES);
	snprintf(path, sizeof(path), "%s/locked", directory);
	CHECK(failure_of(path) == -EACCES);
	snprintf(path, sizeof(path), "%s/nonsense", directory);
	CHECK(failure_of(path) == -ENOEXEC);

	snprintf(path, sizeof(path), "/nonexistent:%s:/bin", directory);
	setenv("PATH", path, 1);
	CHECK(failure_of("nonsense") == -ENOEXEC);
	CHECK(failure_of("locked") == -EACCES); /* nobody else in PATH has one either */

	memset(argument, 'x', sizeof(argument) - 1);
	argument[sizeof(argument) - 1] = '\0';
	CHECK(carom_spawn(
		      &(struct carom_spawn_options){ .argv = ARGV("/bin/true", argument), LEAVE },
		      &pidfd) == -E2BIG);
	CHECK(carom_spawn(&(struct carom_spawn_options){ .argv = ARGV("/bin/true"),
							 .stdin_fd = 9999,
							 .stdout_fd = -1,
							 .stderr_fd = -1 },
			  &pidfd) == -EBADF);
	CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
	CHECK(count_fds() == fds);
}

Test(spawn, says_why_a_program_cannot_be_run_and_leaves_no_child, .timeout = 120)
{
	cr_assert(ne(ptr, mkdtemp(directory), NULL));
	put_file("locked", "#!/bin/sh\n", 0600);
	put_file("nonsense", "neither a program nor a script\n", 0700);
	each_way(fail_to_run);
	remove_file("locked");
	remove_file("nonsense");
	cr_expect(zero(int, rmdir(directory)));
}

static void search_path(void)
{
	char path[256];

	/* one that may not be run does not hide the one behind it */
	snprintf(path, sizeof(path), "%s:/bin:/usr/bin", directory);
	setenv("PATH", path, 1);
	CHECK(failure_of("carom-no-such-program") == -ENOENT);
	output_of((struct carom_spawn_options){ .argv = ARGV("sh", "-c", ":"), LEAVE }, path,
		  sizeof(path));
	unsetenv("PATH");
	output_of((struct carom_spawn_options){ .argv = ARGV("sh", "-c", ":"), LEAVE }, path,
		  sizeof(path));
}

static void run_again(struct carom_spawn_options *options)
{
	int pidfd = -1;

	CHECK(carom_spawn(options, &pidfd) > 0 && end_of(pidfd).status == 0);
}

static void remember_place(void)
{
	size_t found_at = 0;
	struct carom_spawn_options options = { .argv = ARGV("again"),
					       .found_at = &found_at,
					       LEAVE };
	char path[256];

	snprintf(path, sizeof(path), "/nonexistent:%s:%s/there:/bin", directory, directory);
	setenv("PATH", path, 1);
	put_file("there/again", "#!/bin/true\n", 0700);
	run_again(&options);
	CHECK(found_at == strlen("/nonexistent:") + strlen(directory) + 1);
	put_file("again", "neither a program nor a script\n", 0700);
	run_again(&options); /* it is not looked for before */
	remove_file("there/again");
	remove_file("again");
	put_file("again", "#!/bin/true\n", 0700);
	run_again(&options); /* but everywhere, if it is gone */
	CHECK(found_at == strlen("/nonexistent:"));
	remove_file("again");
	options.argv = ARGV("true");
	run_again(&options);
	CHECK(path[found_at] == '/' && strcmp(path + found_at, "/bin") == 0);
}

Test(spawn, finds_a_program_where_it_was, .timeout = 120)
{
	char path[128];

	cr_assert(ne(ptr, mkdtemp(directory), NULL));
	snprintf(path, sizeof(path), "%s/there", directory);
	cr_assert(zero(int, mkdir(path, 0700)));
	each_way(remember_place);
	cr_expect(zero(int, rmdir(path)));
	cr_expect(zero(int, rmdir(directory)));
}

Test(spawn, looks_programs_up_in_path, .timeout = 120)
{
	cr_assert(ne(ptr, mkdtemp(directory), NULL));
	put_file("sh", "#!/bin/false\n", 0600);
	cr_expect(zero(int, apart(search_path)));
	remove_file("sh");
	cr_expect(zero(int, rmdir(directory)));
}

static _Atomic int children_ended;

static void count_child(int number)
{
	(void)number;
	children_ended++;
}

static void fail_quietly(void)
{
	signal(SIGCHLD, count_child);
	CHECK(failure_of("/nonexistent/program") == -ENOENT);
	CHECK(children_ended == 0);
}

Test(spawn, that_fails_sends_the_host_no_sigchld, .timeout = 120)
{
	each_way(fail_quietly);
}

static void spawn_without_room(void)
{
	struct carom_spawn_options options = { .argv = ARGV("/bin/true"), LEAVE };
	int lowest_fd = dup(STDERR_FILENO);
	struct rlimit limit = { .rlim_cur = (rlim_t)lowest_fd, .rlim_max = 4096 };
	int pidfd = 77;

	close(lowest_fd);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(carom_spawn(&options, &pidfd) == -EMFILE && pidfd == 77);
	CHECK(waitpid(-1, NULL, WNOHANG | __WALL) == -1 && errno == ECHILD);
}

Test(spawn, without_room_for_the_pidfd_leaves_no_child, .timeout = 120)
{
	each_way(spawn_without_room);
}

/* --- descriptors ------------------------------------------------------- */

static void list_descriptors(void)
{
	char text[512];

	/* some that are not CLOEXEC, with gaps between them */
	for (int fd = 20; fd < 60; fd += 7)
		CHECK(dup2(STDERR_FILENO, fd) == fd);
	output_of(
		(struct carom_spawn_options){
			.argv = ARGV("sh", "-c", "cd /proc/self/fd && echo *"), LEAVE },
		text, sizeof(text));
	/* 0, 1, 2, and what the shell itself may have open while it lists */
	CHECK(strncmp(text, "0 1 2", 5) == 0 && strlen(text) <= strlen("0 1 2 10\n"));
}

Test(spawn, closes_all_but_the_standard_descriptors, .timeout = 120)
{
	each_way(list_descriptors);
	cr_expect(zero(int, apart_with("CAROM_DENY", "close_range", list_descriptors)));
}

static void exchange_standard_descriptors(void)
{
	struct carom_spawn_options options = {
		.argv = ARGV("sh", "-c", "read word; echo $word-out; echo $word-err >&2"),
		.stdin_fd = 2,
		.stdout_fd = 0,
		.stderr_fd = 1,
	};
	int words[2], output[2], errors[2], pidfd = -1;
	char text[64] = "";

	CHECK(pipe(words) == 0 && pipe(output) == 0 && pipe(errors) == 0);
	CHECK(write(words[1], "ball\n", 5) == 5);
	CHECK(dup2(output[1], 0) == 0);
	CHECK(dup2(errors[1], 1) == 1);
	CHECK(dup2(words[0], 2) == 2);
	CHECK(carom_spawn(&options, &pidfd) > 0);
	CHECK(end_of(pidfd).status == 0);
	CHECK(read(output[0], text, sizeof(text)) > 0 && strcmp(text, "ball-out\n") == 0);
	memset(text, 0, sizeof(text));
	CHECK(read(errors[0], text, sizeof(text)) > 0 && strcmp(text, "ball-err\n") == 0);
}

Test(spawn, places_descriptors_that_stand_in_each_others_way, .timeout = 120)
{
	each_way(exchange_standard_descriptors);
}

static void keep_in_place(void)
{
	struct carom_spawn_options options = {
		.argv = ARGV("sh", "-c", "echo x"),
		.stdin_fd = 0,
		.stdout_fd = 1,
		.stderr_fd = 2,
	};
	int output[2], pidfd = -1;
	char text[8] = "";

	CHECK(pipe2(output, O_CLOEXEC) == 0);
	CHECK(dup3(output[1], 1, O_CLOEXEC) == 1);
	CHECK(carom_spawn(&options, &pidfd) > 0);
	CHECK(end_of(pidfd).status == 0);
	CHECK(read(output[0], text, sizeof(text)) > 0 && strcmp(text, "x\n") == 0);
}

Test(spawn, descriptor_that_is_in_its_place_survives_exec, .timeout = 120)
{
	each_way(keep_in_place);
}

/* --- signals ----------------------------------------------------------- */

static void show_signals(void)
{
	char text[4096];
	sigset_t all, now;

	signal(SIGUSR1, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	output_of((struct carom_spawn_options){ .argv = ARGV("cat", "/proc/self/status"), LEAVE },
		  text, sizeof(text));
	CHECK(strstr(text, "SigBlk:\t0000000000000000\n"));
	CHECK(strstr(text, "SigIgn:\t0000000000000000\n"));
	CHECK(strstr(text, "SigCgt:\t0000000000000000\n"));
	sigprocmask(SIG_SETMASK, NULL, &now);
	CHECK(sigismember(&now, SIGTERM) == 1);
}

Test(spawn, program_starts_with_clean_signals, .timeout = 120)
{
	each_way(show_signals);
}

static void leave_signals(void)
{
	char text[4096];

	carom_signals_default();
	output_of((struct carom_spawn_options){ .argv = ARGV("cat", "/proc/self/status"),
						.signals_are_default = true,
						LEAVE },
		  text, sizeof(text));
	CHECK(strstr(text, "SigBlk:\t0000000000000000\n"));
	CHECK(strstr(text, "SigIgn:\t0000000000000000\n"));
	CHECK(strstr(text, "SigCgt:\t0000000000000000\n"));
}

Test(spawn, leaves_signals_alone_that_are_default, .timeout = 120)
{
	each_way(leave_signals);
}

static _Atomic long handled;

static void on_signal(int number)
{
	(void)number;
	handled++;
}

static void *disturb(void *argument)
{
	const pthread_t *target = argument;

	for (int i = 0; i < 5000; i++)
		pthread_kill(*target, SIGUSR1);
	return NULL;
}

static void spawn_among_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	struct carom_spawn_options options = { .argv = ARGV("/bin/true"), LEAVE };
	pthread_t self = pthread_self(), thread;
	int pidfd = -1;

	sigaction(SIGUSR1, &action, NULL);
	CHECK(pthread_create(&thread, NULL, disturb, &self) == 0);
	for (int i = 0; i < 20; i++) {
		CHECK(carom_spawn(&options, &pidfd) > 0);
		CHECK(end_of(pidfd).kind == CAROM_EXIT_EXITED);
	}
	pthread_join(thread, NULL);
	CHECK(handled > 0);
}

Test(spawn, handlers_run_in_this_process_alone, .timeout = 120)
{
	each_way(spawn_among_signals);
}

static void *spawn_with_status(void *argument)
{
	const char *status = argument;
	struct carom_spawn_options options = { .argv = ARGV("sh", "-c", status), LEAVE };
	intptr_t mistakes = 0;

	for (int i = 0; i < 20; i++) {
		struct carom_exit exit = { 0 };
		int pidfd = -1;

		mistakes += carom_spawn(&options, &pidfd) < 0 ||
			    carom_pidfd_wait(pidfd, SOON, &exit) < 0 ||
			    exit.kind != CAROM_EXIT_EXITED || exit.status != status[5] - '0';
		close(pidfd);
	}
	return (void *)mistakes;
}

static void spawn_in_threads(void)
{
	static char statuses[][7] = { "exit 1", "exit 2", "exit 3" };
	pthread_t threads[3];
	void *mistakes;

	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&threads[i], NULL, spawn_with_status, statuses[i]) == 0);
	for (int i = 0; i < 3; i++) {
		CHECK(pthread_join(threads[i], &mistakes) == 0);
		CHECK((intptr_t)mistakes == 0);
	}
}

Test(spawn, threads_do_not_stand_on_each_others_stack, .timeout = 120)
{
	each_way(spawn_in_threads);
}

static void lead_a_group(void)
{
	struct carom_spawn_options options = { .argv = ARGV("sleep", "1000"), LEAVE };
	int pidfd = -1;
	pid_t pid = carom_spawn(&options, &pidfd);

	CHECK(pid > 0 && getpgid(pid) == getpgrp());
	CHECK(carom_pidfd_signal(pidfd, SIGKILL) == 0);
	end_of(pidfd);

	options.new_group = true;
	pid = carom_spawn(&options, &pidfd);
	CHECK(pid > 0 && getpgid(pid) == pid);
	CHECK(kill(-pid, SIGKILL) == 0);
	CHECK(end_of(pidfd).status == SIGKILL);
}

Test(spawn, new_group_is_the_childs_own, .timeout = 120)
{
	each_way(lead_a_group);
}

static int input[2], report[2]; /* never written; held by who must end */

static void die_before_program(void)
{
	struct carom_spawn_options options = {
		.argv = ARGV("cat"),
		.stdin_fd = input[0],
		.stdout_fd = report[1],
		.stderr_fd = -1,
		.death_signal = SIGKILL,
	};
	int pidfd = -1;

	CHECK(carom_spawn(&options, &pidfd) > 0);
	kill(getpid(), SIGKILL);
}

Test(spawn, death_signal_takes_the_program_with_this_process, .timeout = 120)
{
	cr_assert(zero(int, pipe2(input, O_CLOEXEC)));
	for (int i = 0; i < 3; i++) {
		if (!can_be_made_by(ways[i]))
			continue;
		cr_assert(zero(int, pipe2(report, O_CLOEXEC)));
		cr_expect(eq(int, apart_with("CAROM_CLONE", ways[i], die_before_program), SIGKILL));
		close(report[1]);
		cr_expect(ne(int, ends(report[0]), 0), "by %s", ways[i]);
		close(report[0]);
	}
}

/* --- cgroups ----------------------------------------------------------- */

#define CGROUPS "/sys/fs/cgroup/unified"

static char leaf[128];

static void start_in_leaf(void)
{
	struct carom_spawn_options options = {
		.argv = ARGV("cat", "/proc/self/cgroup"),
		LEAVE,
		.cgroup_fd = open(leaf, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
	};
	char text[1024];

	CHECK(options.cgroup_fd > 0);
	output_of(options, text, sizeof(text));
	CHECK(strstr(text, strrchr(leaf, '/')));
}

static void be_refused(void)
{
	struct carom_spawn_options options = { .argv = ARGV("true"), LEAVE };
	int pidfd = 77;

	options.cgroup_fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(options.cgroup_fd > 0);
	CHECK(carom_spawn(&options, &pidfd) < 0 && pidfd == 77);
	CHECK(waitpid(-1, NULL, __WALL) == -1 && errno == ECHILD);
}

Test(spawn, program_is_born_in_its_cgroup, .timeout = 120)
{
	snprintf(leaf, sizeof(leaf), CGROUPS "/carom-test-spawn-%d", (int)getpid());
	if (mkdir(leaf, 0755) < 0)
		cr_skip_test("no leaf can be made under " CGROUPS);
	each_way(start_in_leaf);
	cr_expect(zero(int, rmdir(leaf)));
}

Test(spawn, program_is_not_started_outside_its_cgroup, .timeout = 120)
{
	each_way(be_refused);
}
