/*
 * Shell: scripts that use the carom program ($C), each test in a directory of
 * its own, with what they wrote and how they ended.
 */
#ifndef CAROM_TESTS_TOOLS_SHELL_H
#define CAROM_TESTS_TOOLS_SHELL_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SHELL_TEXT_BYTES (256 * 1024)

/**
 * struct shell - a script, running or ended
 * @status: exit status, or minus the signal that ended it
 * @peak_kib: the most memory it had resident, with what it waited for
 * @out, @err: what it has written, once it has ended
 */
struct shell {
	pid_t pid;
	int out_fd, err_fd;
	int status;
	long peak_kib;
	char out[SHELL_TEXT_BYTES];
	char err[SHELL_TEXT_BYTES];
};

static char shell_directory[] = "/tmp/carom-test-XXXXXX";

static inline void shell_enter_directory(void)
{
	cr_assert(ne(ptr, mkdtemp(shell_directory), NULL));
	cr_assert(zero(int, chdir(shell_directory)));
}

static inline void shell_leave_directory(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", shell_directory);
	cr_assert(zero(int, chdir("/")));
	cr_assert(zero(int, system(command)));
}

/* who is skipped does not come to what is called at the end of a test */
#define shell_skip(...)                    \
	do {                               \
		shell_leave_directory();   \
		cr_skip_test(__VA_ARGS__); \
	} while (0)

/* "exec" in front of the last command makes the script's pid that command's. */
static inline void shell_begin(struct shell *shell, const char *script)
{
	const char *program = getenv("CAROM_PROGRAM");

	cr_assert(ne(ptr, (void *)program, NULL), "CAROM_PROGRAM says which program to test");
	shell->out_fd = memfd_create("out", MFD_CLOEXEC);
	shell->err_fd = memfd_create("err", MFD_CLOEXEC);
	cr_assert(ge(int, shell->err_fd, 0));
	shell->pid = fork();
	cr_assert(ge(int, shell->pid, 0));
	if (shell->pid)
		return;
	setenv("C", program, 1);
	signal(SIGINT, SIG_DFL);          /* whoever runs the tests in the background ignores it */
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that runs out of time leaves nothing behind */
	if (dup2(open("/dev/null", O_RDONLY), 0) < 0 || dup2(shell->out_fd, 1) < 0 ||
	    dup2(shell->err_fd, 2) < 0)
		_exit(99);
	execl("/bin/sh", "sh", "-c", script, (char *)NULL);
	_exit(99);
}

static inline void shell_take_text(int fd, char text[SHELL_TEXT_BYTES])
{
	ssize_t n = pread(fd, text, SHELL_TEXT_BYTES - 1, 0);

	cr_assert(ge(int, (int)n, 0));
	text[n] = '\0';
	close(fd);
}

static inline void shell_end(struct shell *shell)
{
	struct rusage usage;
	int status;

	cr_assert(eq(int, wait4(shell->pid, &status, 0, &usage), shell->pid));
	shell->status = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
	shell->peak_kib = usage.ru_maxrss;
	shell_take_text(shell->out_fd, shell->out);
	shell_take_text(shell->err_fd, shell->err);
}

/* Valid until the next call. */
static inline const struct shell *shell(const char *script)
{
	static struct shell shell;

	shell_begin(&shell, script);
	shell_end(&shell);
	return &shell;
}

/* A FIFO for lines from scripts. Open for writing too, so nobody waits for the other end. */
static inline int shell_listen(const char *name)
{
	int fd;

	cr_assert(zero(int, mkfifo(name, 0600)));
	fd = open(name, O_RDWR | O_CLOEXEC);
	cr_assert(ge(int, fd, 0));
	return fd;
}

static inline void shell_await_line(int fd, const char *expected)
{
	char line[256] = "";

	for (size_t i = 0; i < sizeof(line) - 1 && !strchr(line, '\n'); i++)
		cr_assert(eq(int, (int)read(fd, line + i, 1), 1));
	cr_assert(ne(ptr, strstr(line, expected), NULL), "instead of \"%s\": %s", expected, line);
}

/* A FIFO that tells when all are dead who opened it for writing. */
static inline int shell_watch(const char *name)
{
	int fd;

	cr_assert(zero(int, mkfifo(name, 0600)));
	fd = open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	cr_assert(ge(int, fd, 0));
	return fd;
}

static inline void shell_expect_nobody(int fd)
{
	char byte;

	cr_expect(zero(int, (int)read(fd, &byte, 1)), "somebody is still there");
}

/* Once somebody has opened it. */
static inline void shell_await_nobody(int fd)
{
	cr_assert(zero(int, fcntl(fd, F_SETFL, 0)));
	shell_expect_nobody(fd);
}

static inline void shell_write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "we");

	cr_assert(ne(ptr, file, NULL));
	fputs(text, file);
	cr_assert(zero(int, fclose(file)));
	cr_assert(zero(int, chmod(name, 0755)));
}

#define shell_expect_is(text, expected) cr_expect(eq(str, (char *)(text), (char *)(expected)))

#define shell_expect_has(text, part) \
	cr_expect(ne(ptr, strstr((text), (part)), NULL), "no \"%s\" in:\n%s", (part), (text))

/* Runs a script on a terminal of its own, where keys are pressed, and returns all that appeared there. */
static inline const char *shell_on_terminal_with(const char *script, unsigned short columns,
						 const char *keys)
{
	struct winsize window = { .ws_row = 24, .ws_col = columns };
	static char text[SHELL_TEXT_BYTES];
	size_t length = 0;
	ssize_t n;
	int fd, status;
	pid_t pid = forkpty(&fd, NULL, NULL, &window);

	cr_assert(ge(int, pid, 0));
	if (pid == 0) {
		setenv("C", getenv("CAROM_PROGRAM"), 1);
		execl("/bin/sh", "sh", "-c", script, (char *)NULL);
		_exit(99);
	}
	cr_assert(eq(sz, (size_t)write(fd, keys, strlen(keys)), strlen(keys)));
	while (length < sizeof(text) - 1 &&
	       (n = read(fd, text + length, sizeof(text) - 1 - length)) > 0) /* then EIO */
		length += (size_t)n;
	text[length] = '\0';
	close(fd);
	cr_assert(eq(int, waitpid(pid, &status, 0), pid));
	return text;
}

static inline const char *shell_on_terminal(const char *script, unsigned short columns)
{
	return shell_on_terminal_with(script, columns, "");
}

/* No line has more bytes than that. */
static inline void shell_expect_narrower(const char *text, size_t columns)
{
	for (const char *line = text; *line; line += strcspn(line, "\r\n")) {
		line += strspn(line, "\r\n");
		cr_expect(le(sz, strcspn(line, "\r\n"), columns), "%s", line);
	}
}

static inline void shell_expect_fits_a_screen(const char *script)
{
	const struct shell *done = shell(script);
	size_t lines = 0, columns;

	cr_expect(zero(int, done->status));
	for (const char *line = done->out; *line; line += columns + 1) {
		columns = strcspn(line, "\n");
		cr_expect(le(sz, columns, 80), "%.*s", (int)columns, line);
		lines++;
	}
	cr_expect(lt(sz, 5, lines));
	cr_expect(le(sz, lines, 24));
}

#endif
