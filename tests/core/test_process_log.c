/* What children have of their parent's log, under every start method, and what they say of themselves. */
#include <fcntl.h>
#include <stdio.h>

#include "core/log.h"
#include "tests/core/methods.h"

/* The pid of a child that has ended. */
static pid_t run_child(const char *method)
{
	struct carom_context *context = context_of(method);
	struct carom_process *process =
		START(.function = say_three_things, .name = "Child", .context = context);
	pid_t pid = carom_process_pid(process);

	cr_expect(eq(int, exitcode_of(process), 9), "by %s", method);
	carom_process_free(process);
	return pid;
}

/* The parent has its own things to say. */
static void keep_lines_of_child(char *text)
{
	char *end, *to = text;

	for (char *line = text; (end = strchr(line, '\n')); line = end + 1) {
		size_t length = (size_t)(end + 1 - line);

		if (!memmem(line, length, "/MainProcess] ", 14)) {
			memmove(to, line, length);
			to += length;
		}
	}
	*to = '\0';
}

/* What the child writes to standard error, in @text of 1024 bytes. */
static pid_t said_by_child(const char *method, char *text)
{
	int before = dup(STDERR_FILENO);
	int output[2];
	ssize_t n;
	pid_t pid;

	cr_assert(zero(int, pipe2(output, O_CLOEXEC)));
	dup2(output[1], STDERR_FILENO);
	close(output[1]);
	pid = run_child(method);
	carom_stop_forkserver(); /* the next one has the next pipe */
	dup2(before, STDERR_FILENO);
	close(before);
	fcntl(output[0], F_SETFL, O_NONBLOCK);
	n = read(output[0], text, 1023);
	text[n > 0 ? n : 0] = '\0';
	keep_lines_of_child(text);
	close(output[0]);
	return pid;
}

static int taken;

static void take(const struct carom_log_record *record, void *userdata)
{
	(void)record;
	if (getpid() != *(pid_t *)userdata)
		_exit(1); /* a sink that was carried where it must not be */
	taken++;
}

/* LG-05 */
Test(process_log, children_have_the_level_and_standard_error, .timeout = 60)
{
	static const char should[] = "[WARNING/Child] a warning\n[SUBWARNING/Child] so it is\n";
	pid_t self = getpid();
	char text[1024];

	carom_log_to_stderr(CAROM_LOG_SUBWARNING);
	for (size_t i = 0; i < 3 && context_of(methods[i]); i++) {
		carom_log_to(i ? take : NULL, &self);
		said_by_child(methods[i], text);
		cr_expect(zero(int, strcmp(text, should)), "by %s: %s", methods[i], text);
	}
	carom_log_error("here");
	cr_expect(eq(int, taken, 1));
	carom_log_to_stderr(CAROM_LOG_NONE);
	for (size_t i = 0; i < 3 && context_of(methods[i]); i++) {
		carom_log_to(i ? take : NULL, &self);
		said_by_child(methods[i], text);
		cr_expect(zero(int, strcmp(text, "")), "by %s: %s", methods[i], text);
	}
}

/* LG-09 */
Test(process_log, a_child_says_that_it_runs_and_that_it_ends, .timeout = 60)
{
	carom_log_to_stderr(CAROM_LOG_INFO);
	for (size_t i = 0; i < 3 && context_of(methods[i]); i++) {
		char should[512], text[1024];
		pid_t pid = said_by_child(methods[i], text);

		snprintf(should, sizeof(should),
			 "[INFO/Child] child process %d calling self.run()\n"
			 "[WARNING/Child] a warning\n"
			 "[SUBWARNING/Child] so it is\n"
			 "[INFO/Child] process %d exiting with exitcode 9\n",
			 (int)pid, (int)pid);
		cr_expect(zero(int, strcmp(text, should)), "by %s: %s", methods[i], text);
	}
}

static void expect_file(const char *path, const char *should)
{
	char text[1024];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	cr_expect(zero(int, strcmp(text, should)), "%s", text);
	close(fd);
}

/* LG-06 */
Test(process_log, a_spawned_child_logs_where_the_variables_say, .timeout = 60)
{
	char folder[] = "/tmp/carom-log-XXXXXX";
	char path[64], text[1024];

	cr_assert(ne(ptr, mkdtemp(folder), NULL));
	snprintf(path, sizeof(path), "%s/log", folder);
	setenv("_MP_FORK_LOGLEVEL_", "25", 1);
	setenv("_MP_FORK_LOGFILE_", path, 1);
	setenv("_MP_FORK_LOGFORMAT_", "%(levelno)d %(processName)s %(message)s", 1);
	said_by_child("forkserver", text);
	cr_expect(zero(int, strcmp(text, "")), "%s", text);
	cr_expect(ne(int, access(path, F_OK), 0));
	said_by_child("spawn", text);
	cr_expect(zero(int, strcmp(text, "")), "%s", text);
	expect_file(path, "30 Child a warning\n25 Child so it is\n");
	unlink(path);
	rmdir(folder);
}
