/* Sandbox: programs that are executed in it. */
#include "core/sandbox_program.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "tests/needs.h"

TestSuite(sandbox_program, .timeout = 30);

static struct carom_sandbox *sandbox;
static int listener_fd = -1;
static int pidfd = -1;

static int make(uint64_t profile, char *text, size_t size)
{
	return carom_sandbox_new_program(&CAROM_SANDBOX_OPTIONS(.profile = profile), &sandbox, text,
					 size);
}

static void need_sandbox(void)
{
	char text[512];

	if (make(CAROM_SANDBOX_BASIC, text, sizeof(text)) < 0)
		cr_skip_test("skipped: %s", text);
}

static pid_t start(const char *script)
{
	char *argv[] = { (char *)"sh", (char *)"-c", (char *)script, NULL };
	pid_t pid = carom_sandbox_spawn(sandbox,
					&(struct carom_spawn_options){ .argv = argv,
								       .stdin_fd = -1,
								       .stdout_fd = -1,
								       .stderr_fd = -1,
								       .death_signal = SIGKILL },
					&pidfd, &listener_fd);

	cr_assert(lt(int, 0, pid));
	return pid;
}

static int end(pid_t pid)
{
	int status;

	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	return status;
}

/* Answers until there is a violation, or it has ended. */
static bool listen_to_end(struct carom_violation *ret_violation)
{
	struct pollfd fds[] = {
		{ .fd = listener_fd, .events = POLLIN },
		{ .fd = pidfd, .events = POLLIN },
	};

	while (poll(fds, 2, -1) > 0 && !fds[1].revents)
		if (fds[0].revents & POLLIN &&
		    carom_sandbox_listen(listener_fd, ret_violation) == 1)
			return true;
	return false;
}

Test(sandbox_program, has_shells_and_what_they_start)
{
	struct carom_violation violation;
	pid_t pid;

	need_sandbox();
	pid = start("test \"$(echo a | cat; /bin/echo b)\" = \"$(printf 'a\\nb')\" && exit 3");
	cr_assert(lt(int, -1, listener_fd));
	cr_expect(not(listen_to_end(&violation)));
	cr_expect(eq(int, end(pid), W_EXITCODE(3, 0)));
}

Test(sandbox_program, names_the_call_that_it_does_not_have)
{
	struct carom_violation violation;
	pid_t pid;

	need_sandbox();
	NEEDS("unshare"); /* what is denied from outside is not heard of */
	pid = start("unshare --net true; exit 0");
	cr_assert(listen_to_end(&violation));
	cr_expect(eq(str, violation.name, (char *)"unshare"));
	cr_expect(eq(i64, violation.number, SYS_unshare));
	kill(pid, SIGKILL);
	cr_expect(eq(int, end(pid), SIGKILL));
}

Test(sandbox_program, answers_what_programs_do_without)
{
	struct carom_violation violation;
	char name[] = "/tmp/carom-test-XXXXXX", script[64];
	int fd = mkstemp(name);
	pid_t pid;

	need_sandbox();
	snprintf(script, sizeof(script), "chmod 777 %s 2>/dev/null", name);
	pid = start(script);
	cr_expect(not(listen_to_end(&violation)));
	cr_expect(eq(int, end(pid), W_EXITCODE(1, 0)));
	unlink(name);
	close(fd);
	cr_expect(eq(int, carom_sandbox_is_tolerated("socket", AF_UNIX), EACCES));
	cr_expect(zero(int, carom_sandbox_is_tolerated("socket", AF_INET)));
	cr_expect(eq(int, carom_sandbox_is_tolerated("socketpair", AF_UNIX), EACCES));
	cr_expect(zero(int, carom_sandbox_is_tolerated("ptrace", 0)));
}

/* Somebody listens to this process, as in some containers, and has nothing to say. */
static void be_listened_to(void)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	const struct sock_fprog program = { 1, &allow };

	cr_assert(zero(int, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
		    &program) < 0)
		cr_skip_test("skipped: seccomp's notification: %s", strerror(errno));
}

Test(sandbox_program, is_killed_where_somebody_else_listens)
{
	need_sandbox();
	be_listened_to();
	cr_expect(eq(int, end(start("exec unshare --net true")), SIGSYS));
	cr_expect(eq(int, listener_fd, -1));
	cr_expect(zero(int, end(start("true"))));
}

Test(sandbox_program, has_calls_that_fail_when_nobody_listens_any_more)
{
	pid_t pid;

	need_sandbox();
	pid = start("sleep 0.2; unshare --net true 2>/dev/null && exit 9; exit 4");
	carom_closep(&listener_fd);
	cr_expect(eq(int, end(pid), W_EXITCODE(4, 0)));
}

Test(sandbox_program, says_why_there_is_no_program)
{
	char *argv[] = { (char *)"/nowhere/none", NULL };

	need_sandbox();
	cr_expect(eq(int,
		     carom_sandbox_spawn(sandbox,
					 &(struct carom_spawn_options){ .argv = argv,
									.stdin_fd = -1,
									.stdout_fd = -1,
									.stderr_fd = -1,
									.death_signal = SIGKILL },
					 &pidfd, &listener_fd),
		     -ENOENT));
	cr_expect(eq(int, pidfd, -1));
}

Test(sandbox_program, is_not_for_other_profiles)
{
	char text[512];

	cr_expect(eq(int, make(CAROM_SANDBOX_STRICT, text, sizeof(text)), -EINVAL));
	cr_expect(ne(ptr, strstr(text, "opens its own libraries"), NULL));
	cr_expect(eq(int, make(CAROM_SANDBOX_CUSTOM, text, sizeof(text)), -EINVAL));
}
