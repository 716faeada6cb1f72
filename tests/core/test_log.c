/* Log: silence until somebody asks, whole lines from many processes, and forks at bad moments. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clone.h"
#include "core/log.h"
#include "core/log_private.h"
#include "tests/core/apart.h"

#define TEXT_SIZE 16384
#define PROGRAM   "CAROM_TEST_LOG_PROGRAM" /* names the program that this executable is */

/* --- what is said ------------------------------------------------------ */

static void read_all(int fd, char *text, size_t size)
{
	size_t length = 0;
	ssize_t n;

	while ((n = read(fd, text + length, size - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	close(fd);
}

/* In a child, with standard error to a pipe. */
static int begin_apart(void (*body)(void), pid_t *ret_pid)
{
	int output[2];

	cr_assert(zero(int, pipe2(output, O_CLOEXEC)));
	*ret_pid = fork();
	if (*ret_pid == 0) {
		alarm(50);
		dup2(output[1], STDERR_FILENO);
		close(output[0]);
		close(output[1]);
		body();
		_exit(EXIT_SUCCESS);
	}
	close(output[1]);
	return output[0];
}

/* What @body writes to standard error, which a CHECK() that fails does too. */
static const char *said_by(void (*body)(void))
{
	static char text[TEXT_SIZE];
	pid_t pid;
	int fd = begin_apart(body, &pid);
	int status;

	read_all(fd, text, sizeof(text));
	waitpid(pid, &status, 0);
	cr_expect(zero(int, status), "%s", text);
	return text;
}

#define expect_text(is, should)                                                 \
	do {                                                                    \
		const char *is_ = (is);                                         \
                                                                                \
		cr_expect(zero(int, strcmp(is_, (should))), "it said %s", is_); \
	} while (0)

/* The last record that was taken, and how many. */
static struct carom_log_record taken;
static char taken_text[PIPE_BUF];
static char taken_name[64];
static int taken_count;
static int taken_tag;

static void take(const struct carom_log_record *record, void *userdata)
{
	taken = *record;
	snprintf(taken_text, sizeof(taken_text), "%s", record->text);
	snprintf(taken_name, sizeof(taken_name), "%s", record->process_name);
	taken_tag = userdata ? *(int *)userdata : 0;
	taken_count++;
}

/* --- programs ---------------------------------------------------------- */

static void say_at_each_level(void)
{
	carom_log_sub_debug("sub debug");
	carom_log_debug("debug");
	carom_log_info("info");
	carom_log_sub_warning("sub warning");
	carom_log_warning("warning");
	carom_log_error("error");
}

/* A spawned child's beginning: what its parent exported, then the environment. */
static void spawned(void)
{
	struct carom_log_settings settings;

	CHECK(read(STDIN_FILENO, &settings, sizeof(settings)) == sizeof(settings));
	carom_log_import(&settings);
	carom_log_import_environment();
	carom_log_process_name_set("SpawnProcess-1");
	carom_log_warning("a warning");
	carom_log_info("so it is");
	carom_log_debug("nobody");
}

static void moves_and_forks(void)
{
	carom_log_import_environment();
	CHECK(chdir("/") == 0);
	carom_log_info("from another folder");
	CHECK(apart(say_at_each_level) == 0);
}

/* Runs before main(), and after what the library does before main(). */
static void __attribute__((constructor)) be_a_program(void)
{
	const char *name = getenv(PROGRAM);

	if (!name)
		return;
	alarm(50);
	if (strcmp(name, "levels") == 0)
		say_at_each_level();
	if (strcmp(name, "spawned") == 0)
		spawned();
	if (strcmp(name, "moves_and_forks") == 0)
		moves_and_forks();
	_exit(EXIT_SUCCESS);
}

static const char *program_name;
static char *const *program_environment;

static void run_program(void)
{
	static const char *const arguments[] = { "program", NULL };

	clearenv();
	setenv(PROGRAM, program_name, 1);
	for (char *const *at = program_environment; at && *at; at++)
		putenv(*at);
	execv("/proc/self/exe", (char *const *)arguments);
}

#define ENVIRONMENT(...) ((char *const *)(const char *const[]){ __VA_ARGS__, NULL })

/* What this executable, as the program of that name, writes to standard error. */
static const char *said_by_program(const char *name, char *const *environment)
{
	program_name = name;
	program_environment = environment;
	return said_by(run_program);
}

/* --- lines on standard error ------------------------------------------- */

static void introduce(void)
{
	carom_log_to_stderr(CAROM_LOG_INFO);
	carom_log_info("%d files to go", 12);
	carom_log_debug("nothing");
	carom_log_to_stderr(CAROM_LOG_INFO);
	carom_log_process_name_set("Process-1:2");
	carom_log_warning("once");
}

/* LG-02 */
Test(log, writes_level_process_and_text_to_standard_error)
{
	expect_text(said_by(introduce), "[INFO/MainProcess] 12 files to go\n"
					"[WARNING/Process-1:2] once\n");
}

/* LG-01 */
Test(log, says_nothing_unless_it_is_asked_to)
{
	expect_text(said_by_program("levels", NULL), "");
	carom_log_to_stderr(CAROM_LOG_NONE);
	cr_expect(eq(int, carom_log_level(), CAROM_LOG_NOTSET));
	cr_expect(not(carom_log_enabled(CAROM_LOG_ERROR)));
}

Test(log, says_what_the_environment_asks_for)
{
	static const char warnings[] = "[WARNING/MainProcess] warning\n[ERROR/MainProcess] error\n";

	expect_text(said_by_program("levels", ENVIRONMENT("CAROM_LOG=warning")), warnings);
	expect_text(said_by_program("levels", ENVIRONMENT("CAROM_LOG=NotSet")), warnings);
	expect_text(said_by_program("levels", ENVIRONMENT("CAROM_LOG=31")),
		    "[ERROR/MainProcess] error\n");
	expect_text(said_by_program("levels", ENVIRONMENT("CAROM_LOG=none")), "");
	expect_text(said_by_program("levels", ENVIRONMENT("CAROM_LOG=")), "");
	expect_text(said_by_program("levels", ENVIRONMENT("CAROM_LOG=loud")),
		    "[WARNING/MainProcess] CAROM_LOG: no level is called \"loud\"\n"
		    "[WARNING/MainProcess] warning\n[ERROR/MainProcess] error\n");
}

static void turn_on_and_off(void)
{
	carom_log_to_stderr(CAROM_LOG_NOTSET);
	carom_log_sub_warning("below the default");
	carom_log_warning("1");
	carom_log_to_stderr(CAROM_LOG_NONE);
	carom_log_error("nobody");
	CHECK(carom_log_level() == CAROM_LOG_NOTSET);
	carom_log_set_level(CAROM_LOG_ERROR);
	carom_log_to_stderr(CAROM_LOG_NOTSET);
	carom_log_warning("nobody");
	carom_log_error("2");
	carom_log_set_level(CAROM_LOG_NONE);
	carom_log_error("nobody");
	carom_log(CAROM_LOG_NONE, "nobody");
	CHECK(!carom_log_enabled(CAROM_LOG_NONE));
}

Test(log, can_be_turned_on_and_off)
{
	expect_text(said_by(turn_on_and_off), "[WARNING/MainProcess] 1\n[ERROR/MainProcess] 2\n");
}

static void say_much(void)
{
	static char much[3 * PIPE_BUF];

	memset(much, 'x', sizeof(much) - 1);
	carom_log_to_stderr(CAROM_LOG_INFO);
	carom_log_info("%s", much);
	carom_log_info("more");
}

Test(log, cuts_a_line_that_is_too_long)
{
	const char *text = said_by(say_much);
	const char *end = strchr(text, '\n');

	cr_assert(ne(ptr, (void *)end, NULL));
	cr_expect(eq(int, end + 1 - text, PIPE_BUF));
	expect_text(end + 1, "[INFO/MainProcess] more\n");
}

/* Lines of 1 to 5000 bytes: "P:LENGTH:ppp", the last ones cut. */
static void say_lines(int process)
{
	static char much[5001];
	char name[8];

	alarm(50);
	snprintf(name, sizeof(name), "P%d", process);
	carom_log_process_name_set(name);
	memset(much, 'a' + process, sizeof(much) - 1);
	for (int i = 0; i < 400; i++)
		carom_log_info("%d:%.*s", process, 1 + i * 4999 / 399, much);
}

static void say_lines_in_eight_processes(void)
{
	carom_log_to_stderr(CAROM_LOG_INFO);
	for (int i = 0; i < 8; i++)
		if (fork() == 0) {
			say_lines(i);
			_exit(EXIT_SUCCESS);
		}
	while (wait(NULL) > 0)
		;
}

/* "[INFO/P3] 3:ddd"; its process, or -1 if anything else stands there */
static int process_of_line(const char *line, size_t length)
{
	int process = length > 13 ? line[7] - '0' : -1;
	char begin[32];

	snprintf(begin, sizeof(begin), "[INFO/P%d] %d:", process, process);
	if (process < 0 || process > 7 || strncmp(line, begin, 12) != 0)
		return -1;
	for (size_t i = 12; i < length - 1; i++)
		if (line[i] != 'a' + process)
			return -1;
	return process;
}

/* LG-07 */
Test(log, lines_of_many_processes_do_not_mix, .timeout = 60)
{
	size_t next[8] = { 0 };
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	pid_t pid;
	FILE *lines = fdopen(begin_apart(say_lines_in_eight_processes, &pid), "r");

	while ((length = getline(&line, &size, lines)) > 0) {
		int process = process_of_line(line, (size_t)length);
		size_t whole;

		cr_assert(ge(int, process, 0), "torn: %.80s", line);
		whole = 12 + 1 + next[process]++ * 4999 / 399 + 1;
		cr_expect(eq(sz, (size_t)length, whole < PIPE_BUF ? whole : PIPE_BUF));
	}
	for (int i = 0; i < 8; i++)
		cr_expect(eq(sz, next[i], 400));
	free(line);
	fclose(lines);
	waitpid(pid, NULL, 0);
}

/* --- a bad end of standard error --------------------------------------- */

static void talk_to_nobody(void)
{
	sigset_t pending;
	int output[2];

	CHECK(pipe2(output, O_CLOEXEC) == 0);
	close(output[0]);
	CHECK(dup2(output[1], STDERR_FILENO) >= 0);
	carom_log_to_stderr(CAROM_LOG_INFO);
	errno = ENOENT;
	carom_log_info("hello?");
	if (errno != ENOENT || sigpending(&pending) < 0 || sigismember(&pending, SIGPIPE))
		_exit(2);
}

Test(log, goes_on_when_nobody_reads_standard_error)
{
	cr_expect(zero(int, apart(talk_to_nobody)));
}

static void talk_without_blocking(void)
{
	fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
	say_lines_in_eight_processes();
}

Test(log, waits_for_a_reader_who_is_slow, .timeout = 60)
{
	pid_t pid;
	FILE *lines = fdopen(begin_apart(talk_without_blocking, &pid), "r");
	int count = 0;

	for (int c; (c = getc(lines)) != EOF;)
		count += c == '\n';
	cr_expect(eq(int, count, 8 * 400));
	fclose(lines);
	waitpid(pid, NULL, 0);
}

static void *fill_standard_error(void *userdata)
{
	for (;;) {
		carom_log_info("to the brim");
		pthread_testcancel();
	}
	return userdata;
}

static void cancel_while_writing(void)
{
	struct pollfd room = { .events = POLLOUT };
	pthread_t thread;
	char text[65536 + 1] = "";
	int output[2];

	alarm(50);
	CHECK(pipe2(output, O_CLOEXEC) == 0);
	CHECK(dup2(output[1], STDERR_FILENO) >= 0);
	room.fd = output[1];
	carom_log_to_stderr(CAROM_LOG_INFO);
	CHECK(pthread_create(&thread, NULL, fill_standard_error, NULL) == 0);
	while (poll(&room, 1, 0) == 1)
		sched_yield();
	CHECK(pthread_cancel(thread) == 0);
	while (pthread_tryjoin_np(thread, NULL) == EBUSY)
		if (poll(&room, 1, 0) == 0)
			CHECK(read(output[0], text, sizeof(text) - 1) > 0);
	close(output[1]);
	carom_log_info("still here");
	dup2(STDIN_FILENO, STDERR_FILENO);
	read_all(output[0], text, sizeof(text));
	CHECK(strstr(text, "still here"));
}

Test(log, outlives_a_thread_that_is_cancelled_while_it_writes, .timeout = 60)
{
	cr_expect(zero(int, apart(cancel_while_writing)));
}

/* --- levels ------------------------------------------------------------ */

/* LG-03 */
Test(log, levels_have_numbers_and_names)
{
	static const struct {
		int level, number;
		const char *name;
	} levels[] = {
		{ CAROM_LOG_NOTSET, 0, "NOTSET" },          { CAROM_LOG_SUBDEBUG, 5, "SUBDEBUG" },
		{ CAROM_LOG_DEBUG, 10, "DEBUG" },           { CAROM_LOG_INFO, 20, "INFO" },
		{ CAROM_LOG_SUBWARNING, 25, "SUBWARNING" }, { CAROM_LOG_WARNING, 30, "WARNING" },
		{ CAROM_LOG_ERROR, 40, "ERROR" },
	};

	for (size_t i = 0; i < sizeof(levels) / sizeof(*levels); i++) {
		cr_expect(eq(int, levels[i].level, levels[i].number));
		expect_text(carom_log_level_name(levels[i].level), levels[i].name);
		expect_text(carom_log_level_name(levels[i].level + 1), levels[i].name);
	}
	expect_text(carom_log_level_name(CAROM_LOG_NONE), "NONE");
	expect_text(carom_log_level_name(-1), "NOTSET");
}

static int evaluated;

static int evaluate(void)
{
	return ++evaluated;
}

/* LG-04 */
Test(log, what_is_off_is_not_even_evaluated)
{
	carom_log_error("%d", evaluate());
	carom_log_to(take, NULL);
	carom_log_set_level(CAROM_LOG_WARNING);
	carom_log_info("%d", evaluate());
	carom_log_sub_warning("%d", evaluate());
	carom_log_event(CAROM_LOG_DEBUG, evaluate(), "%d", evaluate());
	cr_expect(zero(int, evaluated));
	cr_expect(zero(int, taken_count));
	carom_log_warning("%d", evaluate());
	cr_expect(eq(int, evaluated, 1));
	cr_expect(eq(int, taken_count, 1));
}

Test(log, each_helper_says_it_at_its_own_level)
{
	int said = 0;

	carom_log_to(take, NULL);
	for (int level = 1; level <= CAROM_LOG_NONE; level++) {
		carom_log_set_level((enum carom_log_level)level);
		taken_count = 0;
		say_at_each_level();
		cr_expect(eq(int, taken_count,
			     (level <= 5) + (level <= 10) + (level <= 20) + (level <= 25) +
				     (level <= 30) + (level <= 40)));
		said += taken_count;
	}
	cr_expect(eq(int, said, 5 + 10 + 20 + 25 + 30 + 40));
}

/* --- records ----------------------------------------------------------- */

/* LG-11 */
Test(log, gives_records_to_a_function)
{
	int tag = 77;

	carom_log_to(take, &tag);
	carom_log_event(CAROM_LOG_ERROR, CAROM_LOG_EVENT_POOL_BROKEN, "%s %d", "number", 9);
	cr_expect(eq(int, taken_count, 1));
	cr_expect(eq(int, taken_tag, 77));
	cr_expect(eq(int, taken.level, CAROM_LOG_ERROR));
	cr_expect(eq(int, taken.event, CAROM_LOG_EVENT_POOL_BROKEN));
	cr_expect(eq(int, taken.pid, getpid()));
	expect_text(taken_name, "MainProcess");
	expect_text(taken_text, "number 9");
	carom_log_to(NULL, NULL);
	carom_log_error("nobody");
	cr_expect(eq(int, taken_count, 1));
}

static void my_own_log(const char *file, int line, const char *text)
{
	carom_log_at(CAROM_LOG_ERROR, CAROM_LOG_EVENT_NONE, file, line, "caller", "%s", text);
}

/* LG-12 */
Test(log, a_record_knows_the_line_it_comes_from)
{
	int line;

	carom_log_to(take, NULL);
	line = __LINE__ + 1;
	carom_log_error("here");
	cr_expect(eq(int, taken.line, line));
	cr_expect(zero(int, strcmp(taken.file, __FILE__)));
	cr_expect(zero(int, strcmp(taken.function, __func__)));

	my_own_log("somewhere.c", 123, "there");
	cr_expect(eq(int, taken.line, 123));
	cr_expect(zero(int, strcmp(taken.file, "somewhere.c")));
	cr_expect(zero(int, strcmp(taken.function, "caller")));
}

static void name_a_child(void)
{
	static const char longest[] =
		"a-name-of-sixty-three-bytes-is-the-longest-that-a-record-holds-";

	carom_log_to_stderr(CAROM_LOG_INFO);
	carom_log_process_name_set("ForkProcess-1");
	carom_log_to(take, NULL);
	carom_log_info("hello");
	CHECK(strcmp(taken_name, "ForkProcess-1") == 0 && taken.pid == getpid());

	CHECK(sizeof(longest) == 64);
	carom_log_process_name_set("a-name-of-sixty-three-bytes-is-the-longest-that-a-record-holds-"
				   "and-not-more");
	carom_log_to_stderr(CAROM_LOG_NONE);
	carom_log_info("hello");
	CHECK(strcmp(taken_name, longest) == 0);
}

/* PR-30 */
Test(log, a_child_says_its_own_name)
{
	expect_text(said_by(name_a_child), "[INFO/ForkProcess-1] hello\n");
	carom_log_to(take, NULL);
	carom_log_error("the parent");
	expect_text(taken_name, "MainProcess");
}

/* --- a sink, and what is done in it ------------------------------------ */

static void take_and_say(const struct carom_log_record *record, void *userdata)
{
	take(record, userdata);
	carom_log_error("from the sink");
	raise(SIGUSR1);
}

static void say_from_handler(int number)
{
	(void)number;
	carom_log_error("from a handler");
	evaluated++;
}

Test(log, what_is_said_in_a_sink_is_dropped, .timeout = 20)
{
	signal(SIGUSR1, say_from_handler);
	carom_log_to(take_and_say, NULL);
	carom_log_error("outside");
	carom_log_error("outside");
	cr_expect(eq(int, taken_count, 2));
	cr_expect(eq(int, evaluated, 2));
	expect_text(taken_text, "outside");
}

static void take_one(const struct carom_log_record *record, void *userdata)
{
	carom_log_set_level(CAROM_LOG_ERROR);
	carom_log_process_name_set("renamed");
	carom_log_to(NULL, NULL);
	cr_expect(eq(int, carom_log_level(), CAROM_LOG_ERROR));
	take(record, userdata);
}

Test(log, a_sink_may_change_the_settings, .timeout = 20)
{
	carom_log_to(take_one, NULL);
	carom_log_warning("one");
	carom_log_error("nobody");
	cr_expect(eq(int, taken_count, 1));
	expect_text(taken_name, "MainProcess");
	carom_log_to(take, NULL);
	carom_log_warning("nobody");
	carom_log_error("two");
	cr_expect(eq(int, taken_count, 2));
	expect_text(taken_name, "renamed");
}

static void take_and_fork(const struct carom_log_record *record, void *userdata)
{
	take(record, NULL);
	*(pid_t *)userdata = fork();
}

static void fork_in_a_sink(void)
{
	pid_t pid = -1;
	int status;

	alarm(20);
	carom_log_to(take_and_fork, &pid);
	carom_log_error("fork");
	if (pid == 0)
		alarm(20);
	carom_log_to(take, NULL);
	carom_log_error("after");
	CHECK(taken_count == 2 && taken.pid == getpid());
	if (pid == 0)
		_exit(7);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 7);
}

Test(log, a_sink_may_fork, .timeout = 20)
{
	cr_expect(zero(int, apart(fork_in_a_sink)));
}

/* --- what a child has -------------------------------------------------- */

static void say_in_a_forked_child(void)
{
	int tag = 5;

	carom_log_to_stderr(CAROM_LOG_INFO);
	carom_log_process_name_set("parent");
	carom_log_to(take, &tag);
	if (fork() == 0) {
		carom_log_info("hello");
		carom_log_debug("nobody");
		CHECK(taken_count == 1 && taken_tag == 5 && taken.pid == getpid());
		_exit(EXIT_SUCCESS);
	}
	CHECK(wait(&tag) > 0 && tag == 0);
}

static void import_in_a_child(void)
{
	struct carom_log_settings settings;

	carom_log_to_stderr(CAROM_LOG_INFO);
	carom_log_to(take, NULL);
	carom_log_export(&settings);
	carom_log_set_level(CAROM_LOG_ERROR);
	carom_log_to_stderr(CAROM_LOG_NONE);
	carom_log_import(&settings);
	carom_log_info("as it was exported");
	CHECK(taken_count == 0);
	settings.to_stderr = 0;
	carom_log_import(&settings);
	carom_log_error("nobody");
	CHECK(taken_count == 0 && carom_log_level() == CAROM_LOG_INFO);
}

static void spawn_with_these_settings(void)
{
	struct carom_log_settings settings;
	int input[2];

	carom_log_to_stderr(CAROM_LOG_INFO);
	carom_log_export(&settings);
	CHECK(pipe(input) == 0);
	CHECK(write(input[1], &settings, sizeof(settings)) == sizeof(settings));
	dup2(input[0], STDIN_FILENO);
	run_program();
}

/* LG-05 */
Test(log, a_child_has_what_its_start_method_can_carry)
{
	expect_text(said_by(say_in_a_forked_child), "[INFO/parent] hello\n");
	expect_text(said_by(import_in_a_child), "[INFO/MainProcess] as it was exported\n");
	program_name = "spawned";
	program_environment = NULL;
	expect_text(said_by(spawn_with_these_settings), "[WARNING/SpawnProcess-1] a warning\n"
							"[INFO/SpawnProcess-1] so it is\n");
}

static void spawn_with_silence(void)
{
	struct carom_log_settings settings;
	int input[2];

	carom_log_export(&settings);
	CHECK(pipe(input) == 0);
	CHECK(write(input[1], &settings, sizeof(settings)) == sizeof(settings));
	dup2(input[0], STDIN_FILENO);
	run_program();
}

static void expect_file(const char *path, const char *should)
{
	char text[TEXT_SIZE];
	int fd = open(path, O_RDONLY);

	cr_assert(ge(int, fd, 0));
	read_all(fd, text, sizeof(text));
	expect_text(text, should);
}

/* LG-06 */
Test(log, a_spawned_child_logs_where_the_variables_say)
{
	char folder[] = "/tmp/carom-log-XXXXXX";
	char path[64], variable[128];

	cr_assert(mkdtemp(folder) != NULL);
	snprintf(path, sizeof(path), "%s/log", folder);
	snprintf(variable, sizeof(variable), "_MP_FORK_LOGFILE_=%s", path);
	program_name = "spawned";
	program_environment = ENVIRONMENT("_MP_FORK_LOGLEVEL_=20", variable,
					  "_MP_FORK_LOGFORMAT_=%(processName)s: %(message)s");
	expect_text(said_by(spawn_with_silence), "");
	expect_file(path, "SpawnProcess-1: a warning\nSpawnProcess-1: so it is\n");
	/* at its end, and beside what was carried */
	expect_text(said_by(spawn_with_these_settings),
		    "SpawnProcess-1: a warning\nSpawnProcess-1: so it is\n");
	expect_file(path, "SpawnProcess-1: a warning\nSpawnProcess-1: so it is\n"
			  "SpawnProcess-1: a warning\nSpawnProcess-1: so it is\n");
	unlink(path);
	rmdir(folder);
}

Test(log, the_variables_without_a_file_mean_standard_error)
{
	program_name = "spawned";
	program_environment = ENVIRONMENT("_MP_FORK_LOGLEVEL_=WARNING");
	expect_text(said_by(spawn_with_silence), "[WARNING/SpawnProcess-1] a warning\n");
	program_environment =
		ENVIRONMENT("_MP_FORK_LOGLEVEL_=WARNING", "_MP_FORK_LOGFILE_=/proc/nowhere/log");
	expect_text(said_by(spawn_with_silence), "[WARNING/SpawnProcess-1] a warning\n");
	program_environment = ENVIRONMENT("_MP_FORK_LOGLEVEL_=much", "_MP_FORK_LOGFORMAT_=%%");
	expect_text(said_by(spawn_with_silence), "");
	program_environment = ENVIRONMENT("_MP_FORK_LOGFORMAT_=%%");
	expect_text(said_by(spawn_with_silence), "");
}

Test(log, the_file_stays_the_same_in_another_folder_and_in_children)
{
	char folder[] = "/tmp/carom-log-XXXXXX";

	cr_assert(mkdtemp(folder) != NULL);
	cr_assert(zero(int, chdir(folder)));
	expect_text(said_by_program("moves_and_forks",
				    ENVIRONMENT("_MP_FORK_LOGLEVEL_=20", "_MP_FORK_LOGFILE_=log",
						"_MP_FORK_LOGFORMAT_=%(message)s")),
		    "");
	expect_file("log", "from another folder\ninfo\nsub warning\nwarning\nerror\n");
	unlink("log");
	cr_expect(zero(int, rmdir(folder)));
}

/* --- forks at bad moments ---------------------------------------------- */

static pid_t first_process;
static int entered[2], leave[2];

/* Stays in the process that made the pipes until it is told to leave. */
static void take_slowly(const struct carom_log_record *record, void *userdata)
{
	char byte;

	take(record, userdata);
	if (record->pid != first_process)
		return;
	CHECK(write(entered[1], "", 1) == 1);
	CHECK(read(leave[0], &byte, 1) == 1);
}

static void *say_slowly(void *userdata)
{
	(void)userdata;
	carom_log_error("slow");
	return NULL;
}

static pid_t by_fork(int *ret_pidfd)
{
	*ret_pidfd = -1;
	return fork();
}

static pid_t by_clone(int *ret_pidfd)
{
	return carom_clone(NULL, ret_pidfd);
}

static int status_of(pid_t pid, int pidfd)
{
	int status = -1;

	while (waitpid(pid, &status, __WALL) < 0 && errno == EINTR)
		;
	if (pidfd >= 0)
		close(pidfd);
	return status;
}

static void fork_while_the_lock_is_held(pid_t (*make)(int *))
{
	int pidfd, fds = count_fds();
	pid_t pid = make(&pidfd);

	if (pid == 0) {
		alarm(20);
		carom_log_error("hello");
		carom_log_process_name_set("child");
		carom_log_error("hello again");
		_exit(taken_count == 3 && taken.pid == getpid() && strcmp(taken_name, "child") == 0
			      ? EXIT_SUCCESS
			      : EXIT_FAILURE);
	}
	cr_assert(lt(int, 0, pid));
	cr_expect(zero(int, status_of(pid, pidfd)));
	cr_expect(eq(int, count_fds(), fds));
}

/* BO-12 */
Test(log, a_child_can_log_whoever_held_the_lock, .timeout = 60)
{
	pthread_t thread;
	char byte;

	first_process = getpid();
	cr_assert(zero(int, pipe(entered) | pipe(leave)));
	carom_log_to(take_slowly, NULL);
	cr_assert(zero(int, pthread_create(&thread, NULL, say_slowly, NULL)));
	cr_assert(eq(int, read(entered[0], &byte, 1), 1));
	fork_while_the_lock_is_held(by_fork);
	fork_while_the_lock_is_held(by_clone);
	cr_assert(eq(int, write(leave[1], "", 1), 1));
	pthread_join(thread, NULL);
}

static _Atomic bool is_over;
static _Atomic int counted;

static void count(const struct carom_log_record *record, void *userdata)
{
	size_t length = strlen(record->process_name);

	(void)userdata;
	/* one letter throughout, as often as was set: never half of a name */
	for (size_t i = 1; i < length; i++)
		if (record->process_name[i] != record->process_name[0])
			abort();
	if (length != (record->process_name[0] == 'a' ? 60 : 20))
		abort();
	atomic_fetch_add(&counted, 1);
}

static void *keep_saying(void *userdata)
{
	while (!atomic_load(&is_over))
		carom_log_error("thread %d", *(int *)userdata);
	return NULL;
}

static const char *const changing_names[] = {
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
	"bbbbbbbbbbbbbbbbbbbb",
};

static void *keep_changing(void *userdata)
{
	(void)userdata;
	for (int i = 0; !atomic_load(&is_over); i++) {
		carom_log_process_name_set(changing_names[i % 2]);
		carom_log_to(count, NULL);
	}
	return NULL;
}

/* a copy of AddressSanitizer's shadow takes its time */
#ifdef __SANITIZE_ADDRESS__
#define FORK_COUNT 250
#else
#define FORK_COUNT 500
#endif

static void fork_often(pid_t (*make)(int *), int times)
{
	for (int i = 0; i < times; i++) {
		int pidfd;
		pid_t pid = make(&pidfd);

		if (pid == 0) {
			int before = atomic_load(&counted);

			alarm(20);
			carom_log_error("child");
			_exit(atomic_load(&counted) - before - 1);
		}
		cr_assert(lt(int, 0, pid));
		cr_assert(zero(int, status_of(pid, pidfd)), "child %d", i);
	}
}

/* LG-08 */
Test(log, children_forked_while_eight_threads_log_can_log, .timeout = 100)
{
	int numbers[8];
	pthread_t threads[9];

	carom_log_process_name_set(changing_names[0]);
	carom_log_to(count, NULL);
	for (int i = 0; i < 8; i++) {
		numbers[i] = i;
		cr_assert(zero(int, pthread_create(&threads[i], NULL, keep_saying, &numbers[i])));
	}
	cr_assert(zero(int, pthread_create(&threads[8], NULL, keep_changing, NULL)));
	fork_often(by_fork, FORK_COUNT);
	fork_often(by_clone, FORK_COUNT);
	atomic_store(&is_over, true);
	for (int i = 0; i < 9; i++)
		pthread_join(threads[i], NULL);
	cr_expect(lt(int, 0, atomic_load(&counted)));
}
