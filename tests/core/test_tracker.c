/* Tracker: whatever becomes of a program, no name of it stays in /dev/shm. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/descriptors.h"
#include "core/log.h"
#include "core/pidfd.h"
#include "core/probe.h"
#include "core/spawn.h"
#include "core/time.h"
#include "core/tracker.h"
#include "core/tracker_private.h"
#include "tests/core/ways.h"

#if defined(__SANITIZE_ADDRESS__)
#define UNDER_ASAN 1
#else
#define UNDER_ASAN 0
#endif

#define SOON   carom_deadline_after(CAROM_SECONDS(20))
#define SHARED CAROM_TRACKER_SHARED_MEMORY
#define PYTHON "/usr/bin/python3"

#define ARGV(...) ((char *const *)(const char *const[]){ __VA_ARGS__, NULL })

/* --- names and programs ------------------------------------------------ */

static pid_t test_pid; /* in every name, so that two runs do not meet */

/* "/carom-test-PID-WORD"; stays valid for some calls. */
static const char *name_of(const char *word)
{
	static char rooms[8][64];
	static int next;
	char *name = rooms[next++ % 8];

	snprintf(name, sizeof(rooms[0]), "/carom-test-%d-%s", test_pid, word);
	return name;
}

static void create(const char *name)
{
	int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);

	CHECK(fd >= 0);
	close(fd);
}

static bool exists(const char *name)
{
	int fd = shm_open(name, O_RDONLY, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static void register_new(const char *name)
{
	CHECK(carom_tracker_register(name, SHARED) == 0);
	create(name);
}

/* All that comes until nobody holds the other end; what does not fit is passed over. */
static void read_all(int fd, char *text, size_t size)
{
	char bytes[4096];
	size_t length = 0;
	ssize_t n;

	while ((n = read(fd, bytes, sizeof(bytes))) != 0) {
		if (n < 0)
			continue;
		if ((size_t)n > size - 1 - length)
			n = (ssize_t)(size - 1 - length);
		memcpy(text + length, bytes, (size_t)n);
		length += (size_t)n;
	}
	text[length] = '\0';
}

static char said[1 << 16]; /* by the last program and its tracker on standard error */

/*
 * A program, to the end of all its processes and of its tracker: every one of them has
 * its standard error. Gives the program's wait status.
 */
static int run(void (*body)(void))
{
	int status = -1, ends[2];
	pid_t pid;

	test_pid = getpid();
	cr_assert(zero(int, pipe2(ends, O_CLOEXEC)));
	pid = fork();
	if (pid == 0) {
		dup2(ends[1], STDERR_FILENO);
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* of a test that hangs */
		body();
		_exit(EXIT_SUCCESS);
	}
	close(ends[1]);
	read_all(ends[0], said, sizeof(said));
	close(ends[0]);
	waitpid(pid, &status, 0);
	return status;
}

static void die(void)
{
	kill(getpid(), SIGKILL);
}

static bool was_said(const char *words)
{
	return strstr(said, words) != NULL;
}

/* A line as some other program would write it. */
static void write_raw(const char *line)
{
	CHECK(write(carom_tracker_getfd(), line, strlen(line)) == (ssize_t)strlen(line));
}

/* Until the tracker reads: more than a pipe holds is written, and means nothing. */
static void wait_until_it_reads(void)
{
	for (int i = 0; i < 8000; i++)
		write_raw("PROBE:0:noop\n");
}

/* --- what it is for ---------------------------------------------------- */

static void be_killed_with_all_children(void)
{
	int ready[2];
	pid_t child, grandchild;

	register_new(name_of("first"));
	CHECK(pipe(ready) == 0);
	child = fork();
	if (child == 0) {
		register_new(name_of("second"));
		grandchild = fork();
		if (grandchild == 0) {
			setsid();
			register_new(name_of("third"));
			grandchild = getpid();
			CHECK(write(ready[1], &grandchild, sizeof(grandchild)) > 0);
		}
		for (;;)
			pause();
	}
	CHECK(read(ready[0], &grandchild, sizeof(grandchild)) == sizeof(grandchild));
	kill(grandchild, SIGKILL);
	kill(child, SIGKILL);
	die();
}

/* RT-01 */
Test(tracker, leaves_no_name_of_a_killed_tree, .timeout = 60)
{
	cr_expect(eq(int, run(be_killed_with_all_children), SIGKILL));
	cr_expect(not(exists(name_of("first"))));
	cr_expect(not(exists(name_of("second"))));
	cr_expect(not(exists(name_of("third"))));
	cr_expect(was_said("3 leaked shared_memory objects to clean up at shutdown"), "%s", said);
	cr_expect(was_said(name_of("third")), "%s", said);
}

static void leave_nothing(void)
{
	register_new(name_of("tidy"));
	shm_unlink(name_of("tidy"));
	CHECK(carom_tracker_unregister(name_of("tidy"), SHARED) == 0);
	CHECK(carom_tracker_stop() == CAROM_TRACKER_CLEAN);
}

Test(tracker, says_nothing_about_a_program_that_unlinks_its_own, .timeout = 60)
{
	cr_expect(zero(int, run(leave_nothing)));
	cr_expect(zero(sz, strlen(said)), "%s", said);
}

/* RT-09 */
Test(tracker, has_pythons_five_calls, .timeout = 60)
{
	int fds = count_fds();
	int fd;

	cr_expect(eq(int, carom_tracker_stop(), CAROM_TRACKER_CLEAN), "there is none");
	cr_assert(zero(int, carom_tracker_ensure_running()));
	fd = carom_tracker_getfd();
	cr_expect(eq(int, fcntl(fd, F_GETFD), FD_CLOEXEC));
	cr_expect(eq(int, carom_tracker_getfd(), fd));
	cr_expect(zero(int, carom_tracker_register("x", CAROM_TRACKER_DUMMY)));
	cr_expect(zero(int, carom_tracker_unregister("x", CAROM_TRACKER_DUMMY)));
	cr_expect(eq(int, carom_tracker_stop(), CAROM_TRACKER_CLEAN));
	cr_expect(eq(int, count_fds(), fds));
	cr_expect(eq(int, waitpid(-1, NULL, __WALL), -1), "it has been reaped");
}

/* --- the process ------------------------------------------------------- */

static bool link_is(const char *path, const char *wanted)
{
	char target[PATH_MAX] = "";

	return readlink(path, target, sizeof(target) - 1) > 0 && strcmp(target, wanted) == 0;
}

static const char *of_tracker(const char *entry)
{
	static char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", carom_tracker_pid(), entry);
	return path;
}

static void look_at_its_descriptors(void)
{
	char error[PATH_MAX] = "";
	int fds[2];

	CHECK(pipe(fds) == 0); /* not CLOEXEC: some that it must not keep */
	CHECK(carom_tracker_ensure_running() == 0);
	wait_until_it_reads();
	CHECK(link_is(of_tracker("fd/0"), "/dev/null"));
	CHECK(link_is(of_tracker("fd/1"), "/dev/null"));
	CHECK(readlink("/proc/self/fd/2", error, sizeof(error) - 1) > 0);
	CHECK(link_is(of_tracker("fd/2"), error));
	CHECK(link_is(of_tracker("cwd"), "/"));
	CHECK(getpgid(carom_tracker_pid()) == carom_tracker_pid());
	close(fds[1]);
	CHECK(ends(fds[0]));
	CHECK(carom_tracker_stop() == CAROM_TRACKER_CLEAN);
}

static void send_it_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };

	CHECK(carom_tracker_register(name_of("signal"), CAROM_TRACKER_DUMMY) == 0);
	for (int i = 0; i < 8; i++) {
		kill(carom_tracker_pid(), numbers[i % 4]);
		if (i == 4)
			wait_until_it_reads();
	}
	CHECK(carom_tracker_stop() == CAROM_TRACKER_LEAKED);
}

/* RT-02 */
Test(tracker, ignores_signals_and_keeps_standard_error_alone, .timeout = 60)
{
	cr_expect(zero(int, run(look_at_its_descriptors)), "%s", said);
	cr_expect(zero(int, run(send_it_signals)), "%s", said);
}

static pid_t program_pid;
static atomic_int *strangers; /* times that its handler ran in another process */

static void see_where_it_runs(int number)
{
	if (getpid() != program_pid)
		atomic_fetch_add(strangers, 1);
}

static void start_many_in_a_storm(void)
{
	struct sigaction action = { .sa_handler = see_where_it_runs, .sa_flags = SA_RESTART };
	pid_t storm;

	program_pid = getpid();
	CHECK(setpgid(0, 0) == 0 && sigaction(SIGTERM, &action, NULL) == 0);
	storm = fork();
	if (storm == 0) {
		setpgid(0, 0);
		while (kill(-program_pid, SIGTERM) == 0)
			;
		_exit(0);
	}
	for (int i = 0; i < 40; i++) {
		CHECK(carom_tracker_ensure_running() == 0);
		CHECK(carom_tracker_stop() == CAROM_TRACKER_CLEAN);
	}
	kill(storm, SIGKILL);
	waitpid(storm, NULL, 0);
}

/* RT-02 */
Test(tracker, is_born_with_signals_blocked, .timeout = 60)
{
	strangers = share(sizeof(*strangers));
	cr_expect(zero(int, run(start_many_in_a_storm)), "%s", said);
	cr_expect(zero(int, atomic_load(strangers)));
}

static void *allocate_for_ever(void *unused)
{
	for (;;)
		free(malloc(64));
	return NULL;
}

static void start_beside_threads(void)
{
	pthread_t thread;

	for (int i = 0; i < 2; i++)
		CHECK(pthread_create(&thread, NULL, allocate_for_ever, NULL) == 0);
	for (int i = 0; i < 20; i++) {
		register_new(name_of("threads"));
		CHECK(carom_tracker_stop() == CAROM_TRACKER_LEAKED);
		CHECK(!exists(name_of("threads")));
	}
}

Test(tracker, starts_whatever_locks_other_threads_hold, .timeout = 120)
{
	for (int i = 0; i < 3; i++) {
		if (!can_be_made_by(ways[i]))
			continue;
		setenv("CAROM_CLONE", ways[i], 1);
		cr_expect(zero(int, run(start_beside_threads)), "by %s: %s", ways[i], said);
	}
}

/* --- it holds on to nothing of the program ----------------------------- */

static bool file_says(const char *path, const char *words)
{
	char line[512];
	bool says = false;
	FILE *file = fopen(path, "re");

	CHECK(file);
	while (fgets(line, sizeof(line), file))
		says |= strstr(line, words) != NULL;
	fclose(file);
	return says;
}

static long kib_of(const char *key)
{
	char line[256];
	long kib = -1;
	FILE *file = fopen(of_tracker("status"), "re");

	CHECK(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, key, strlen(key)) == 0)
			kib = strtol(line + strlen(key), NULL, 10);
	fclose(file);
	return kib;
}

static void be_large(void)
{
	int fd = memfd_create("carom-test-shared", MFD_CLOEXEC);
	char *memory = malloc(CAROM_MIB(64));
	pthread_t thread;
	char *small[1000];

	CHECK(memory && fd >= 0 && ftruncate(fd, 4096) == 0);
	memset(memory, 1, CAROM_MIB(64));
	for (int i = 0; i < 1000; i++)
		CHECK((small[i] = strdup("in the heap")));
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) != MAP_FAILED);
	CHECK(pthread_create(&thread, NULL, allocate_for_ever, NULL) == 0);

	register_new(name_of("large"));
	wait_until_it_reads();
	CHECK(kib_of("RssAnon:") >= 0 && kib_of("RssAnon:") < 4096);
	CHECK(!file_says(of_tracker("maps"), "carom-test-shared"));
	CHECK(file_says("/proc/self/maps", "carom-test-shared"));
	CHECK(!file_says(of_tracker("maps"), "[heap]"));
	CHECK(carom_tracker_stop() == CAROM_TRACKER_LEAKED);
	CHECK(!exists(name_of("large")));
	CHECK(memory[CAROM_MIB(64) - 1] == 1 && strcmp(small[999], "in the heap") == 0);
}

static void *be_large_in_it(void *unused)
{
	be_large();
	return NULL;
}

static void be_large_in_a_thread(void)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, be_large_in_it, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
}

Test(tracker, keeps_none_of_the_programs_memory, .timeout = 60)
{
	if (UNDER_ASAN)
		cr_skip_test("AddressSanitizer's shadow cannot be unmapped");
	cr_expect(zero(int, run(be_large)), "%s", said);
	cr_expect(zero(int, run(be_large_in_a_thread)), "%s", said);
}

/* --- what is written --------------------------------------------------- */

/* What this process writes for one registration, to a pipe that is nobody's. */
static const char *line_for(const char *name, enum carom_tracker_type type)
{
	static char line[CAROM_TRACKER_MESSAGE_MAX + 1];
	int pipe_fds[2];
	ssize_t n;

	CHECK(pipe(pipe_fds) == 0);
	CHECK(carom_tracker_attach_dup(pipe_fds[1]) == 0);
	CHECK(carom_tracker_register(name, type) == 0);
	n = read(pipe_fds[0], line, sizeof(line) - 1);
	CHECK(n > 0);
	line[n] = '\0';
	CHECK(carom_tracker_stop() == CAROM_TRACKER_CLEAN); /* not ours */
	close(pipe_fds[0]);
	close(pipe_fds[1]);
	return line;
}

static bool writes(const char *name, enum carom_tracker_type type, const char *wanted)
{
	return strcmp(line_for(name, type), wanted) == 0;
}

/* RT-03 */
Test(tracker, writes_pythons_lines, .timeout = 60)
{
	char longest[CAROM_TRACKER_NAME_MAX + 1] = "/";

	memset(longest + 1, 'n', sizeof(longest) - 2);
	cr_expect(writes("/psm_1", SHARED, "REGISTER:/psm_1:shared_memory\n"));
	cr_expect(writes("/mp-2", CAROM_TRACKER_SEMAPHORE, "REGISTER:/mp-2:semaphore\n"));
	cr_expect(writes("3", CAROM_TRACKER_NOOP, "REGISTER:3:noop\n"));
	cr_expect(le(sz, strlen(line_for(longest, SHARED)), 512));
	cr_expect(eq(int, carom_tracker_set_dialect(CAROM_TRACKER_LINES), 0));
	cr_expect(eq(int, carom_tracker_register("/\n", SHARED), -EINVAL));
	cr_expect(eq(int, carom_tracker_register("/a:b", SHARED), -EINVAL));
}

/* RT-04 */
Test(tracker, writes_json_for_a_name_that_no_line_holds, .timeout = 60)
{
	char longest[CAROM_TRACKER_NAME_MAX + 1] = "/";

	memset(longest + 1, '\n', sizeof(longest) - 2);
	cr_expect(writes("/a\n\xc3\xa9", SHARED,
			 "{\"cmd\":\"REGISTER\",\"rtype\":\"shared_memory\","
			 "\"base64_name\":\"L2EKw6k=\"}\n"));
	cr_expect(writes("/:?>", SHARED,
			 "{\"cmd\":\"REGISTER\",\"rtype\":\"shared_memory\","
			 "\"base64_name\":\"Lzo_Pg==\"}\n"));
	cr_expect(le(sz, strlen(line_for(longest, SHARED)), 512));
	cr_expect(zero(int, carom_tracker_set_dialect(CAROM_TRACKER_JSON)));
	cr_expect(writes("/a", SHARED,
			 "{\"cmd\":\"REGISTER\",\"rtype\":\"shared_memory\","
			 "\"base64_name\":\"L2E=\"}\n"));
	cr_expect(eq(int, carom_tracker_set_dialect(9), -EINVAL));
}

static void leave_strange_names(void)
{
	register_new(name_of("new\nline"));
	register_new(name_of("caf\xc3\xa9 \xff"));
	write_raw(" { \"base64_name\" : \"L3gK\", \"new\": \"\", \"rtype\" : \"dummy\" , "
		  "\"cmd\":\"REGISTER\" } \r\n");
	write_raw("{\"cmd\":\"PROBE\",\"rtype\":\"noop\"}\n");
	write_raw("{\"cmd\":\"UNREGISTER\",\"rtype\":\"dummy\",\"base64_name\":\"L3gK\"}\n");
	CHECK(carom_tracker_stop() == CAROM_TRACKER_LEAKED);
}

/* RT-04 */
Test(tracker, reads_json_and_lines, .timeout = 60)
{
	cr_expect(zero(int, run(leave_strange_names)), "%s", said);
	cr_expect(not(exists(name_of("new\nline"))));
	cr_expect(not(exists(name_of("caf\xc3\xa9 \xff"))));
	cr_expect(was_said("2 leaked shared_memory objects"), "%s", said);
	cr_expect(was_said("-new\\x0aline") && was_said("-caf\\xc3\\xa9 \\xff"), "%s", said);
}

/* --- types and statuses ------------------------------------------------ */

static void name_an_unknown_type(void)
{
	write_raw("REGISTER:/a:socket\n");
	write_raw("REGISTER:/b:dummy\n");
	CHECK(carom_tracker_stop() == CAROM_TRACKER_CONFUSED);
}

static void leave_what_cannot_be_unlinked(void)
{
	char directory[80];

	snprintf(directory, sizeof(directory), "/dev/shm%s", name_of("directory"));
	CHECK(mkdir(directory, 0700) == 0);
	CHECK(carom_tracker_register(name_of("directory"), SHARED) == 0);
	write_raw("REGISTER:/a/b:shared_memory\n");
	register_new(name_of("beside"));
	CHECK(carom_tracker_stop() == CAROM_TRACKER_UNLINK_FAILED);
	CHECK(rmdir(directory) == 0);
	CHECK(!exists(name_of("beside")));
}

static void leave_what_was_never_there(void)
{
	CHECK(carom_tracker_register(name_of("nothing"), SHARED) == 0);
	CHECK(carom_tracker_stop() == CAROM_TRACKER_UNLINK_FAILED);
}

static void leave_a_semaphore(void)
{
	CHECK(carom_tracker_register(name_of("sem"), CAROM_TRACKER_SEMAPHORE) == 0);
	CHECK(sem_open(name_of("sem"), O_CREAT | O_EXCL, 0600, 0) != SEM_FAILED);
	CHECK(carom_tracker_stop() == CAROM_TRACKER_LEAKED);
	CHECK(sem_open(name_of("sem"), 0) == SEM_FAILED && errno == ENOENT);
}

static void leave_a_dummy(void)
{
	CHECK(carom_tracker_register("d", CAROM_TRACKER_DUMMY) == 0);
	CHECK(carom_tracker_stop() == CAROM_TRACKER_LEAKED);
}

/* RT-05 */
Test(tracker, tells_by_its_status_what_it_saw, .timeout = 60)
{
	cr_expect(zero(int, run(name_an_unknown_type)), "%s", said);
	cr_expect(was_said("unknown resource type: REGISTER:/a:socket"), "%s", said);
	cr_expect(zero(int, run(leave_what_cannot_be_unlinked)), "%s", said);
	cr_expect(was_said("/a/b: Invalid argument"), "%s", said);
	cr_expect(was_said("-directory: Is a directory"), "%s", said);
	cr_expect(zero(int, run(leave_what_was_never_there)), "%s", said);
	cr_expect(was_said("-nothing: No such file or directory"), "%s", said);
	cr_expect(zero(int, run(leave_a_semaphore)), "%s", said);
	cr_expect(was_said("1 leaked semaphore objects"), "%s", said);
	cr_expect(zero(int, run(leave_a_dummy)), "%s", said);
	cr_expect(zero(sz, strlen(said)), "%s", said);
}

static void be_silent(void)
{
	carom_log_set_level(CAROM_LOG_NONE);
	write_raw("nonsense\n");
	register_new(name_of("silent"));
	CHECK(carom_tracker_stop() == CAROM_TRACKER_CONFUSED);
	CHECK(!exists(name_of("silent")));
}

Test(tracker, says_nothing_for_a_program_that_logs_nothing, .timeout = 60)
{
	cr_expect(zero(int, run(be_silent)), "%s", said);
	cr_expect(zero(sz, strlen(said)), "%s", said);
}

/* --- how often --------------------------------------------------------- */

static void register_twice(void)
{
	register_new(name_of("twice"));
	CHECK(carom_tracker_register(name_of("twice"), SHARED) == 0);
	CHECK(carom_tracker_unregister(name_of("twice"), SHARED) == 0);
	die();
}

static void register_twice_and_take_both_back(void)
{
	register_new(name_of("kept"));
	CHECK(carom_tracker_register(name_of("kept"), SHARED) == 0);
	CHECK(carom_tracker_unregister(name_of("kept"), SHARED) == 0);
	CHECK(carom_tracker_unregister(name_of("kept"), SHARED) == 0);
	die();
}

static void let_go_and_live(void)
{
	CHECK(carom_tracker_register(name_of("shared"), SHARED) == 0);
	CHECK(carom_tracker_unregister(name_of("shared"), SHARED) == 0);
	CHECK(carom_tracker_stop() == CAROM_TRACKER_CLEAN);
}

static void register_in_two_processes(void)
{
	register_new(name_of("shared"));
	CHECK(apart(let_go_and_live) == 0);
	die();
}

static void unregister_what_is_not_there(void)
{
	CHECK(carom_tracker_unregister(name_of("unknown"), SHARED) == 0);
	CHECK(carom_tracker_stop() == CAROM_TRACKER_CONFUSED);
}

/* RT-06 */
Test(tracker, counts_registrations, .timeout = 60)
{
	run(register_twice);
	cr_expect(not(exists(name_of("twice"))), "one registration was left");
	cr_expect(was_said("1 leaked shared_memory"), "%s", said);
	run(register_twice_and_take_both_back);
	cr_expect(exists(name_of("kept")), "no registration was left");
	cr_expect(zero(sz, strlen(said)), "%s", said);
	shm_unlink(name_of("kept"));
	run(register_in_two_processes);
	cr_expect(not(exists(name_of("shared"))), "one process was left");
	cr_expect(zero(int, run(unregister_what_is_not_there)), "%s", said);
	cr_expect(was_said("not registered: UNREGISTER:"), "%s", said);
}

static void unlink_what_the_parent_made(void)
{
	shm_unlink(name_of("handed"));
	CHECK(carom_tracker_unregister(name_of("handed"), SHARED) == 0);
}

static void let_a_child_unlink(void)
{
	register_new(name_of("handed"));
	CHECK(apart(unlink_what_the_parent_made) == 0);
	CHECK(carom_tracker_stop() == CAROM_TRACKER_CLEAN);
}

/* Python before 3.13: who attaches registers as well, and the one that unlinks unregisters */
static void register_as_two_pythons(void)
{
	write_raw("REGISTER:/carom-test-gone:shared_memory\n");
	write_raw("REGISTER:/carom-test-gone:shared_memory\n");
	write_raw("UNREGISTER:/carom-test-gone:shared_memory\n");
	CHECK(carom_tracker_stop() == CAROM_TRACKER_CLEAN);
}

Test(tracker, does_not_complain_about_what_others_have_unlinked, .timeout = 60)
{
	cr_expect(zero(int, run(let_a_child_unlink)), "%s", said);
	cr_expect(zero(sz, strlen(said)), "%s", said);
	cr_expect(zero(int, run(register_as_two_pythons)), "%s", said);
	cr_expect(zero(sz, strlen(said)), "%s", said);
}

/* --- a tracker that dies ----------------------------------------------- */

static void kill_tracker(void)
{
	siginfo_t info;
	pid_t pid = carom_tracker_pid();

	CHECK(kill(pid, SIGKILL) == 0);
	CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
}

static void lose_the_tracker(void)
{
	pid_t first;

	carom_log_to_stderr(CAROM_LOG_WARNING);
	register_new(name_of("before"));
	register_new(name_of("dropped"));
	register_new(name_of("odd\n"));
	CHECK(carom_tracker_unregister(name_of("dropped"), SHARED) == 0);
	first = carom_tracker_pid();
	kill_tracker();
	register_new(name_of("after"));
	CHECK(carom_tracker_pid() != first);
	CHECK(waitpid(first, NULL, WNOHANG) == -1 && errno == ECHILD);
	die();
}

/* RT-07 */
Test(tracker, is_replaced_by_one_that_knows_as_much, .timeout = 60)
{
	cr_expect(eq(int, run(lose_the_tracker), SIGKILL), "%s", said);
	cr_expect(not(exists(name_of("before"))));
	cr_expect(not(exists(name_of("odd\n"))));
	cr_expect(not(exists(name_of("after"))));
	cr_expect(exists(name_of("dropped")));
	shm_unlink(name_of("dropped"));
	cr_expect(was_said("process died unexpectedly, relaunching. Some resources might leak."),
		  "%s", said);
	cr_expect(was_said("3 leaked"), "%s", said);
}

static void lose_a_foreign_tracker(void)
{
	int fds[2];

	CHECK(pipe(fds) == 0 && carom_tracker_attach_dup(fds[1]) == 0);
	CHECK(carom_tracker_pid() == 0);
	register_new(name_of("moved"));
	CHECK(carom_tracker_attach_dup(fds[1]) == -EBUSY);
	close(fds[0]); /* with SIGPIPE as it is by default */
	register_new(name_of("moved2"));
	CHECK(carom_tracker_pid() > 0);
	die();
}

Test(tracker, replaces_a_foreign_one_too, .timeout = 60)
{
	cr_expect(eq(int, run(lose_a_foreign_tracker), SIGKILL), "%s", said);
	cr_expect(not(exists(name_of("moved"))));
	cr_expect(not(exists(name_of("moved2"))));
}

/* A reader that waits until the other thread sleeps in its write, and goes. */
struct leaver {
	pid_t writer;
	int read_fd;
};

static void *leave_when_it_sleeps(void *userdata)
{
	struct leaver *leaver = userdata;
	char path[64], state = 'R';

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", leaver->writer);
	while (state != 'S') {
		FILE *file = fopen(path, "re");

		CHECK(file && fscanf(file, "%*d (%*[^)]) %c", &state) == 1);
		fclose(file);
	}
	close(leaver->read_fd);
	return NULL;
}

static void be_left_while_writing(void)
{
	struct leaver leaver = { .writer = gettid() };
	pthread_t thread;
	int fds[2];

	CHECK(pipe2(fds, O_CLOEXEC | O_NONBLOCK) == 0);
	while (write(fds[1], "PROBE:0:noop\n", 13) > 0)
		;
	CHECK(fcntl(fds[1], F_SETFL, 0) == 0);
	CHECK(carom_tracker_attach_dup(fds[1]) == 0);
	leaver.read_fd = fds[0];
	CHECK(pthread_create(&thread, NULL, leave_when_it_sleeps, &leaver) == 0);
	register_new(name_of("left")); /* with SIGPIPE as it is by default */
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(carom_tracker_stop() == CAROM_TRACKER_LEAKED);
	CHECK(!exists(name_of("left")));
}

Test(tracker, may_die_while_it_is_written_to, .timeout = 60)
{
	cr_expect(zero(int, run(be_left_while_writing)), "%s", said);
}

static void close_everything(void)
{
	struct stat status;
	int fd, file;

	fd = carom_tracker_getfd();
	CHECK(fd >= 0);
	carom_descriptors_close(3, NULL, 0);
	do {
		file = memfd_create("the program's own", 0);
		CHECK(file >= 0);
	} while (file < fd + 8);
	register_new(name_of("daemon"));
	CHECK(carom_tracker_getfd() > file);
	CHECK(carom_tracker_stop() == CAROM_TRACKER_LEAKED);
	for (; file > 2; file--)
		CHECK(fstat(file, &status) == 0 && status.st_size == 0);
}

Test(tracker, writes_into_no_file_of_a_program_that_closed_its_pipe, .timeout = 60)
{
	cr_expect(zero(int, run(close_everything)), "%s", said);
}

/* --- children ---------------------------------------------------------- */

/* What this program is when it is run again with the tracker as its standard input. */
__attribute__((constructor)) static void be_spawned(void)
{
	const char *pid = getenv("CAROM_TEST_TRACKER_OF");

	if (!pid)
		return;
	test_pid = (pid_t)strtol(pid, NULL, 10);
	CHECK(carom_tracker_attach_dup(STDIN_FILENO) == 0);
	if (fork() == 0) {
		setsid();
		register_new(name_of("grandchild"));
		die();
	}
	wait(NULL);
	register_new(name_of("spawned"));
	die();
}

static void spawn_and_die(void)
{
	struct carom_exit exit;
	char pid_text[16];
	int pidfd, tracker_fd = carom_tracker_getfd();
	struct carom_spawn_options options = {
		.argv = ARGV("/proc/self/exe"),
		.stdin_fd = tracker_fd,
		.stdout_fd = -1,
		.stderr_fd = -1,
	};

	snprintf(pid_text, sizeof(pid_text), "%d", test_pid);
	setenv("CAROM_TEST_TRACKER_OF", pid_text, 1);
	CHECK(tracker_fd >= 0 && carom_spawn(&options, &pidfd) > 0);
	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0 && exit.status == SIGKILL);
	CHECK(exists(name_of("spawned"))); /* as long as the program lives */
	CHECK(exists(name_of("grandchild")));
	die();
}

/* RT-08 */
Test(tracker, is_inherited_by_its_descriptor, .timeout = 60)
{
	cr_expect(eq(int, run(spawn_and_die), SIGKILL), "%s", said);
	cr_expect(not(exists(name_of("spawned"))));
	cr_expect(not(exists(name_of("grandchild"))));
	cr_expect(was_said("2 leaked"), "%s", said);
}

static void be_a_child_with_names(void)
{
	CHECK(carom_tracker_pid() == 0);
	register_new(name_of("child"));
	CHECK(carom_tracker_stop() == CAROM_TRACKER_CLEAN); /* not its own */
}

static void have_a_child_with_names(void)
{
	CHECK(carom_tracker_register(name_of("parent"), CAROM_TRACKER_DUMMY) == 0);
	CHECK(apart(be_a_child_with_names) == 0);
	CHECK(exists(name_of("child")));
	CHECK(carom_tracker_stop() == CAROM_TRACKER_LEAKED);
	CHECK(!exists(name_of("child")));
}

Test(tracker, is_shared_with_forked_children, .timeout = 60)
{
	cr_expect(zero(int, run(have_a_child_with_names)), "%s", said);
}

/* --- billiard ---------------------------------------------------------- */

static void write_as_billiard(void)
{
	CHECK(carom_tracker_set_dialect(CAROM_TRACKER_BILLIARD) == 0);
	CHECK(sem_open(name_of("two"), O_CREAT | O_EXCL, 0600, 0) != SEM_FAILED);
	dprintf(carom_tracker_getfd(), "REGISTER:%s\n", name_of("two"));
	write_raw("REGISTER:/carom-test-none\n");
	write_raw("UNREGISTER:/carom-test-none\n");
	write_raw("REGISTER:x:dummy\n");
	CHECK(carom_tracker_stop() == CAROM_TRACKER_LEAKED);
	CHECK(sem_open(name_of("two"), 0) == SEM_FAILED);
}

static void write_as_billiard_unasked(void)
{
	write_raw("REGISTER:/carom-test-none\n");
	CHECK(carom_tracker_stop() == CAROM_TRACKER_CONFUSED);
}

/* RT-10 */
Test(tracker, understands_billiard_when_asked_to, .timeout = 60)
{
	char too_long[CAROM_TRACKER_NAME_MAX + 2] = "/";

	memset(too_long + 1, 'n', sizeof(too_long) - 2);
	cr_expect(zero(int, run(write_as_billiard)), "%s", said);
	cr_expect(zero(int, run(write_as_billiard_unasked)), "%s", said);
	cr_expect(was_said("malformed message: REGISTER:/carom-test-none"), "%s", said);
	cr_expect(zero(int, carom_tracker_set_dialect(CAROM_TRACKER_BILLIARD)));
	cr_expect(writes("/mp", CAROM_TRACKER_SEMAPHORE, "REGISTER:/mp\n"));
	cr_expect(eq(int, carom_tracker_register("/mp", SHARED), -EINVAL));
	cr_expect(eq(int, carom_tracker_register("/mp ", CAROM_TRACKER_SEMAPHORE), -EINVAL));
	cr_expect(
		eq(int, carom_tracker_register(too_long, CAROM_TRACKER_SEMAPHORE), -ENAMETOOLONG));
}

/* --- the end ----------------------------------------------------------- */

static void stop_with_a_stuck_grandchild(void)
{
	int stuck[2], ready[2];
	char byte;

	CHECK(pipe(stuck) == 0 && pipe(ready) == 0);
	register_new(name_of("stuck"));
	if (fork() == 0) {
		if (fork() == 0) {
			close(stuck[1]); /* stuck until the program has ended */
			CHECK(write(ready[1], "", 1) == 1);
			_exit(!ends(stuck[0]));
		}
		_exit(0);
	}
	wait(NULL);
	CHECK(read(ready[0], &byte, 1) == 1);
	CHECK(carom_tracker_stop() == -ETIMEDOUT);
	CHECK(exists(name_of("stuck"))); /* somebody may still need it */
	CHECK(carom_tracker_stop() == CAROM_TRACKER_CLEAN);
}

/* RT-11 */
Test(tracker, never_holds_up_an_exit_for_long, .timeout = 60)
{
	uint64_t before = carom_now();

	/* who is stuck until the program has ended would hold it up for ever */
	cr_assert(zero(int, run(stop_with_a_stuck_grandchild)), "%s", said);
	cr_expect(ge(u64, carom_now() - before, CAROM_MILLISECONDS(1000)));
	cr_expect(not(exists(name_of("stuck"))), "the tracker went on by itself");
}

static void outlive_a_stuck_child(void)
{
	int stuck[2], fds = count_fds();
	pid_t child, tracker;
	siginfo_t info;

	CHECK(pipe(stuck) == 0 && carom_tracker_ensure_running() == 0);
	child = fork();
	if (child == 0) {
		close(stuck[1]);
		_exit(!ends(stuck[0]));
	}
	tracker = carom_tracker_pid();
	CHECK(carom_tracker_stop() == -ETIMEDOUT);
	close(stuck[1]);
	CHECK(waitpid(child, NULL, 0) == child);
	CHECK(waitid(P_PID, (id_t)tracker, &info, WEXITED | WNOWAIT) == 0);
	CHECK(carom_tracker_ensure_running() == 0); /* reaps the one before */
	CHECK(waitpid(tracker, NULL, WNOHANG) == -1 && errno == ECHILD);
	CHECK(carom_tracker_stop() == CAROM_TRACKER_CLEAN);
	close(stuck[0]);
	CHECK(count_fds() == fds);
}

Test(tracker, leaves_no_zombie_when_it_was_late, .timeout = 60)
{
	cr_expect(zero(int, run(outlive_a_stuck_child)), "%s", said);
}

/* --- errors ------------------------------------------------------------ */

Test(tracker, refuses_names_that_cannot_be, .timeout = 60)
{
	cr_expect(eq(int, carom_tracker_register("", SHARED), -EINVAL));
	cr_expect(eq(int, carom_tracker_register("/", SHARED), -EINVAL));
	cr_expect(eq(int, carom_tracker_register("/a/b", CAROM_TRACKER_SEMAPHORE), -EINVAL));
	cr_expect(eq(int, carom_tracker_unregister("/../a", SHARED), -EINVAL));
	cr_expect(eq(int, carom_tracker_register("/a", 4), -EINVAL));
	cr_expect(zero(int, carom_tracker_pid()), "none was started for these");
}

Test(tracker, attaches_to_pipes_with_a_reader_only, .timeout = 60)
{
	int fds[2], null_fd = open("/dev/null", O_RDWR);

	cr_assert(zero(int, pipe(fds)));
	cr_expect(eq(int, carom_tracker_attach_dup(-1), -EBADF));
	cr_expect(eq(int, carom_tracker_attach_dup(fds[0]), -EBADF));
	cr_expect(eq(int, carom_tracker_attach_dup(null_fd), -EINVAL));
	close(fds[0]);
	cr_expect(eq(int, carom_tracker_attach_dup(fds[1]), -EPIPE));
}

static void run_out_of_descriptors(void)
{
	struct rlimit limit = { .rlim_cur = 3, .rlim_max = 64 };
	int fds[2];

	CHECK(pipe(fds) == 0);
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(carom_tracker_register("x", CAROM_TRACKER_DUMMY) == -EMFILE);
	CHECK(carom_tracker_attach_dup(fds[1]) == -EMFILE);
	limit.rlim_cur = 64;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(carom_tracker_register("x", CAROM_TRACKER_DUMMY) == 0);
	CHECK(carom_tracker_stop() == CAROM_TRACKER_LEAKED);
}

static void run_out_of_memory(void)
{
	struct rlimit limit = { .rlim_cur = 1, .rlim_max = RLIM_INFINITY };
	int fds = count_fds();

	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
	CHECK(carom_tracker_ensure_running() == -ENOMEM);
	limit.rlim_cur = RLIM_INFINITY;
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
	CHECK(count_fds() == fds);
	CHECK(carom_tracker_ensure_running() == 0);
}

Test(tracker, starts_later_when_it_could_not, .timeout = 60)
{
	cr_expect(zero(int, run(run_out_of_descriptors)), "%s", said);
	if (!UNDER_ASAN)
		cr_expect(zero(int, run(run_out_of_memory)), "%s", said);
}

static void stop_a_killed_one(void)
{
	CHECK(carom_tracker_ensure_running() == 0);
	kill_tracker();
	CHECK(carom_tracker_stop() == -ESRCH);
	CHECK(waitpid(-1, NULL, 0) == -1 && errno == ECHILD);
}

static void stop_one_that_was_reaped(void)
{
	signal(SIGCHLD, SIG_IGN); /* the program wants no status of anybody */
	CHECK(carom_tracker_ensure_running() == 0);
	CHECK(carom_tracker_stop() ==
	      (carom_probe(CAROM_FEATURE_PIDFD_INFO) ? CAROM_TRACKER_CLEAN : -ENODATA));
}

Test(tracker, says_how_it_ended_as_far_as_that_is_known, .timeout = 60)
{
	cr_expect(zero(int, run(stop_a_killed_one)), "%s", said);
	cr_expect(zero(int, run(stop_one_that_was_reaped)), "%s", said);
}

/* --- real Python peers ------------------------------------------------- */

/* With @fd as its standard input and @name in its arguments; its pidfd. */
static int spawn_python(const char *script, int fd, const char *name)
{
	int pidfd;
	struct carom_spawn_options options = {
		.argv = ARGV(PYTHON, "-c", script, name),
		.stdin_fd = fd,
		.stdout_fd = -1,
		.stderr_fd = -1,
	};

	CHECK(carom_spawn(&options, &pidfd) > 0);
	return pidfd;
}

static struct carom_exit end_of(int pidfd)
{
	struct carom_exit exit;

	CHECK(carom_pidfd_wait(pidfd, SOON, &exit) == 0);
	close(pidfd);
	return exit;
}

/* Does Python run this to its end? If it is there at all. */
static bool python_can(const char *script)
{
	return access(PYTHON, X_OK) == 0 && end_of(spawn_python(script, -1, "")).status == 0;
}

static bool has_python_tracker(void)
{
	return python_can("import _posixshmem, multiprocessing.resource_tracker");
}

static bool has_python_json(void)
{
	return python_can("import inspect, sys, multiprocessing.resource_tracker as t\n"
			  "sys.exit('base64_name' not in inspect.getsource(t))");
}

static int start_python_tracker(void)
{
	int fds[2], pidfd;

	CHECK(pipe2(fds, O_CLOEXEC) == 0);
	pidfd = spawn_python("import os\n"
			     "from multiprocessing.resource_tracker import main\n"
			     "main(os.dup(0))",
			     fds[0], "");
	CHECK(carom_tracker_attach_dup(fds[1]) == 0);
	close(fds[0]);
	close(fds[1]);
	return pidfd;
}

static void leave_to_python(void)
{
	int pidfd = start_python_tracker();

	register_new(name_of("to-python"));
	register_new(name_of("taken-back"));
	CHECK(carom_tracker_register(name_of("to-python"), SHARED) == 0);
	CHECK(carom_tracker_unregister(name_of("to-python"), SHARED) == 0);
	CHECK(carom_tracker_unregister(name_of("taken-back"), SHARED) == 0);
	CHECK(carom_tracker_stop() == CAROM_TRACKER_CLEAN);
	end_of(pidfd);
}

/* RT-03 */
Test(tracker, registers_with_a_real_python_tracker, .timeout = 60)
{
	if (!has_python_tracker())
		cr_skip_test("no " PYTHON " with a resource tracker");
	cr_expect(zero(int, run(leave_to_python)), "%s", said);
	cr_expect(not(exists(name_of("to-python"))), "%s", said);
	cr_expect(exists(name_of("taken-back")), "%s", said);
	shm_unlink(name_of("taken-back"));
	cr_expect(was_said("1 leaked shared_memory objects"), "%s", said);
	cr_expect(not(was_said("Error")), "%s", said);
}

static void leave_to_python_in_json(void)
{
	int pidfd = start_python_tracker();

	register_new(name_of("line\nbreak \xc3\xa9"));
	CHECK(carom_tracker_set_dialect(CAROM_TRACKER_JSON) == 0);
	register_new(name_of("plain"));
	CHECK(carom_tracker_stop() == CAROM_TRACKER_CLEAN);
	end_of(pidfd);
}

/* RT-04 */
Test(tracker, registers_any_name_with_a_real_python_tracker, .timeout = 60)
{
	if (!has_python_json())
		cr_skip_test(PYTHON " is not there, or its resource tracker reads no JSON");
	cr_expect(zero(int, run(leave_to_python_in_json)), "%s", said);
	cr_expect(not(exists(name_of("line\nbreak \xc3\xa9"))), "%s", said);
	cr_expect(not(exists(name_of("plain"))), "%s", said);
	cr_expect(not(was_said("Error")), "%s", said);
}

static void serve_python(void)
{
	int pidfd =
		spawn_python("import os, signal, sys\n"
			     "from multiprocessing import resource_tracker, shared_memory\n"
			     "resource_tracker._resource_tracker._fd = os.dup(0)\n"
			     "resource_tracker.ensure_running()\n"
			     "def make(name):\n"
			     "    return shared_memory.SharedMemory(name, create=True, size=9)\n"
			     "left = make(sys.argv[1])\n"
			     "tidy = make(sys.argv[1] + '-tidy')\n"
			     "tidy.close()\n"
			     "tidy.unlink()\n"
			     "os.kill(os.getpid(), signal.SIGKILL)\n",
			     carom_tracker_getfd(), name_of("from-python") + 1);

	CHECK(end_of(pidfd).status == SIGKILL);
	CHECK(exists(name_of("from-python")));
	CHECK(carom_tracker_stop() == CAROM_TRACKER_LEAKED);
}

/* RT-03 */
Test(tracker, serves_a_real_python_program, .timeout = 60)
{
	if (!has_python_tracker())
		cr_skip_test("no " PYTHON " with a resource tracker");
	cr_expect(zero(int, run(serve_python)), "%s", said);
	cr_expect(not(exists(name_of("from-python"))), "%s", said);
	cr_expect(was_said("1 leaked shared_memory objects"), "%s", said);
}

/* --- garbage ----------------------------------------------------------- */

static uint32_t seed = 20240229;

static uint32_t random_below(uint32_t bound)
{
	seed = seed * UINT32_C(1664525) + UINT32_C(1013904223);
	return (uint32_t)((uint64_t)seed * bound >> 32);
}

/* Some bytes, more like a message than not; of types whose names are no files. */
static size_t make_garbage(char *bytes, size_t room)
{
	static const char *const words[] = {
		"REGISTER",
		"UNREGISTER",
		"PROBE",
		":",
		"dummy",
		"noop",
		"{",
		"}",
		"\"cmd\"",
		",",
		"\"rtype\"",
		" ",
		"\"",
		"\\",
		"L2E=",
		"====",
		"/",
		"{\"cmd\":\"",
		"\r",
		"\xff\x80",
		"\t",
		"REGISTER:name:dummy",
		"\"base64_name\":\"L2E=\"",
	};
	size_t size = 0;

	for (uint32_t count = random_below(12); count > 0; count--) {
		const char *word = words[random_below(sizeof(words) / sizeof(*words))];

		if (random_below(8) == 0)
			bytes[size++] = (char)random_below(256);
		if (size + strlen(word) + 2 > room)
			break;
		memcpy(bytes + size, word, strlen(word));
		size += strlen(word);
	}
	return size;
}

Test(tracker, reads_garbage_without_harm, .timeout = 60)
{
	struct carom_tracker_message message;
	int understood = 0;

	for (int i = 0; i < 200000; i++) {
		char bytes[600];
		size_t size = make_garbage(bytes, sizeof(bytes));
		char *exactly = malloc(size + !size); /* for AddressSanitizer to guard */
		const char *why = NULL;
		int r;

		memcpy(exactly, bytes, size);
		r = carom_tracker_parse(exactly, size, i % 2, &message, &why);
		free(exactly);
		cr_assert(r == 0 || (r == -EBADMSG && why));
		if (r < 0)
			continue;
		understood++;
		cr_assert(message.type < CAROM_TRACKER_TYPE_COUNT);
		cr_assert(le(sz, message.name_size, CAROM_TRACKER_NAME_MAX));
		cr_assert(eq(sz, strlen(message.name), message.name_size));
	}
	cr_expect(lt(int, 100, understood), "some of it made sense");
}

static void flood_it(void)
{
	char bytes[8192];

	for (int i = 0; i < 3000; i++) {
		size_t size = make_garbage(bytes, sizeof(bytes));

		if (i % 100 == 0) {
			memset(bytes, 'x', sizeof(bytes)); /* one line of many pages */
			size = sizeof(bytes);
		}
		if (random_below(3))
			bytes[size ? size - 1 : size++] = '\n';
		CHECK(write(carom_tracker_getfd(), bytes, size) == (ssize_t)size);
	}
	write_raw("\n");
	register_new(name_of("flooded"));
	CHECK(carom_tracker_stop() == CAROM_TRACKER_CONFUSED);
}

Test(tracker, goes_on_after_garbage, .timeout = 60)
{
	cr_expect(zero(int, run(flood_it)), "%s", said);
	cr_expect(not(exists(name_of("flooded"))));
	cr_expect(was_said("1 leaked shared_memory objects"), "%s", said);
	cr_expect(was_said("line too long: xxx"), "%s", said);
	cr_expect(lt(sz, strlen(said), sizeof(said) - 1), "its complaints have an end");
}

static void say_too_much(void)
{
	int fds[2], own_error = dup(STDERR_FILENO);

	CHECK(pipe2(fds, O_CLOEXEC) == 0 && fcntl(fds[1], F_SETPIPE_SZ, 4096) >= 0);
	CHECK(dup2(fds[1], STDERR_FILENO) >= 0); /* the tracker's, and nobody reads it */
	CHECK(carom_tracker_ensure_running() == 0);
	CHECK(dup2(own_error, STDERR_FILENO) >= 0);
	for (int i = 0; i < 20000; i++)
		write_raw("nonsense that is long enough for some lines to fill a small pipe\n");
	register_new(name_of("talkative"));
	CHECK(carom_tracker_stop() == CAROM_TRACKER_CONFUSED);
	CHECK(!exists(name_of("talkative")));
}

Test(tracker, does_not_wait_for_who_reads_its_standard_error, .timeout = 60)
{
	cr_expect(zero(int, run(say_too_much)), "%s", said);
}

/* --- its parts --------------------------------------------------------- */

static void round_trip(struct carom_tracker_message *out, enum carom_tracker_dialect dialect)
{
	struct carom_tracker_message back;
	char line[CAROM_TRACKER_MESSAGE_MAX];
	const char *why = "";
	ssize_t size = carom_tracker_format(out, dialect, line);

	if (size == -EINVAL && dialect != CAROM_TRACKER_AUTO && dialect != CAROM_TRACKER_JSON)
		return;
	cr_assert(size > 0 && size < CAROM_TRACKER_MESSAGE_MAX && line[size - 1] == '\n');
	cr_assert(zero(int, carom_tracker_parse(line, (size_t)size - 1,
						dialect == CAROM_TRACKER_BILLIARD, &back, &why)),
		  "%s: %.*s", why, (int)size, line);
	cr_assert(back.command == out->command && back.type == out->type);
	cr_assert(eq(str, back.name, out->name));
}

Test(tracker, reads_back_what_it_writes, .timeout = 60)
{
	struct carom_tracker_message out = { 0 };

	for (int i = 0; i < 40000; i++) {
		out.command = random_below(2) ? CAROM_TRACKER_REGISTER : CAROM_TRACKER_UNREGISTER;
		out.type = random_below(CAROM_TRACKER_TYPE_COUNT);
		out.name_size = 1 + random_below(CAROM_TRACKER_NAME_MAX);
		for (size_t at = 0; at < out.name_size; at++)
			out.name[at] = (char)(1 + random_below(i % 2 ? 255 : 126));
		out.name[out.name_size] = '\0';
		for (int dialect = 0; dialect <= CAROM_TRACKER_BILLIARD; dialect++)
			round_trip(&out, dialect);
	}
}

Test(tracker, refuses_malformed_messages)
{
	static const char *const lines[] = {
		"",
		":",
		"REGISTER",
		"REGISTER:",
		"REGISTER::dummy",
		"REGISTER:name:",
		"register:name:dummy",
		"REGISTER:caf\xc3\xa9:dummy",
		"{}",
		"{",
		"{\"cmd\":\"REGISTER\"}",
		"{\"cmd\":\"REGISTER\",\"rtype\":\"dummy\"}",
		"{\"cmd\":\"REGISTER\",\"rtype\":\"dummy\",\"base64_name\":\"\"}",
		"{\"cmd\":\"REGISTER\",\"rtype\":\"dummy\",\"base64_name\":\"L2E\"}",
		"{\"cmd\":\"REGISTER\",\"rtype\":\"dummy\",\"base64_name\":\"L2F=\"}",
		"{\"cmd\":\"REGISTER\",\"rtype\":\"dummy\",\"base64_name\":\"L2E=\"",
		"{\"cmd\":\"REGISTER\",\"rtype\":\"dummy\",\"base64_name\":\"L2E=\"}x",
		"{\"cmd\":\"REGISTER\",\"rtype\":\"dummy\",\"base64_name\":\"L2E=\",}",
		"{\"cmd\":\"REGISTER\",\"rtype\":\"dummy\",\"base64_name\":\"L===\"}",
		"{\"cmd\":\"REGISTER\",\"rtype\":\"dummy\",\"base64_name\":\"AAAA\"}", /* NUL */
		"{\"cmd\":\"REGISTER\",\"rtype\":\"dummy\",\"base64_name\":\"L2E\\u003d\"}",
		"{\"cmd\":\"REGISTER\",\"rtype\":1,\"base64_name\":\"L2E=\"}",
		"[\"REGISTER\",\"L2E=\",\"dummy\"]",
	};
	struct carom_tracker_message message;
	const char *why;

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++)
		cr_expect(eq(int,
			     carom_tracker_parse(lines[i], strlen(lines[i]), false, &message, &why),
			     -EBADMSG),
			  "%s", lines[i]);
}

Test(tracker, has_a_table_of_a_limited_size, .timeout = 60)
{
	static struct carom_tracker_table table;
	char name[32];
	int added = 0;

	do
		snprintf(name, sizeof(name), "/%d", added++);
	while (carom_tracker_table_add(&table, SHARED, name) == 0);
	cr_expect(eq(int, added - 1, CAROM_TRACKER_NAMES_MAX));
	cr_expect(eq(int, carom_tracker_table_add(&table, SHARED, name), -ENOSPC));
	cr_expect(zero(int, carom_tracker_table_add(&table, SHARED, "/0")), "one more holder");
	cr_expect(eq(int, carom_tracker_table_remove(&table, CAROM_TRACKER_DUMMY, "/0"), -ENOENT));
	cr_expect(zero(int, carom_tracker_table_remove(&table, SHARED, "/0")));
	cr_expect(zero(int, carom_tracker_table_remove(&table, SHARED, "/0")));
	cr_expect(eq(int, carom_tracker_table_remove(&table, SHARED, "/0"), -ENOENT));
	cr_expect(zero(int, carom_tracker_table_add(&table, SHARED, name)), "in the room of /0");
	for (int i = 1; i < added; i++) {
		snprintf(name, sizeof(name), "/%d", i);
		cr_assert(zero(int, carom_tracker_table_remove(&table, SHARED, name)));
	}
	cr_expect(eq(int, carom_tracker_table_remove(&table, SHARED, name), -ENOENT));
}
