/* What a process may know of itself: memory, title, death signal, the library's version. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "core/address.h"
#include "core/context.h"
#include "core/death_signal.h"
#include "core/fd.h"
#include "core/memory_usage.h"
#include "core/process.h"
#include "core/time.h"
#include "core/title.h"
#include "core/version.h"
#include "tests/core/apart.h"

/* ---- memory ---- */

/* UT-13 */
Test(memory_usage, falls_when_memory_is_given_back_and_its_peak_stays)
{
	const uint64_t size = CAROM_MIB(100);
	struct carom_memory_usage before, with, after;
	void *memory;

	cr_assert(zero(int, carom_memory_usage(&before)));
	memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert(ne(ptr, memory, MAP_FAILED));
	memset(memory, 1, size);
	cr_assert(zero(int, carom_memory_usage(&with)));
	munmap(memory, size);
	cr_assert(zero(int, carom_memory_usage(&after)));

	cr_expect(lt(u64, CAROM_KIB(100), before.current));
	cr_expect(lt(u64, before.current + CAROM_MIB(90), with.current));
	cr_expect(lt(u64, before.current + CAROM_MIB(90), with.peak));
	cr_expect(lt(u64, after.current, before.current + CAROM_MIB(10)));
	cr_expect(lt(u64, before.current + CAROM_MIB(90), after.peak));
}

/* ---- death signal ---- */

static void expect_another(void)
{
	CHECK(carom_death_signal() != SIGUSR1); /* apart() has its own */
}

Test(death_signal, is_set_and_told_and_not_inherited)
{
	cr_expect(zero(int, carom_death_signal_set(SIGUSR1)));
	cr_expect(eq(int, carom_death_signal(), SIGUSR1));
	cr_expect(zero(int, apart(expect_another)));
	cr_expect(zero(int, carom_death_signal_set(0)));
	cr_expect(zero(int, carom_death_signal()));
	cr_expect(eq(int, carom_death_signal_set(65), -EINVAL));
	cr_expect(eq(int, carom_death_signal_set(-1), -EINVAL));
}

static int tell_death_signal(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	return carom_death_signal();
}

static void ask_a_child(void)
{
	CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NULL;
	struct carom_context *context = NULL;
	int code = -1;

	CHECK(carom_context_get("forkserver", &context) == 0);
	CHECK(carom_process_new(
		      &CAROM_PROCESS_OPTIONS(.context = context, .function = tell_death_signal),
		      &process) == 0);
	CHECK(carom_process_start(process) == 0);
	CHECK(carom_process_join(process, carom_deadline_after(CAROM_SECONDS(20))) == 0);
	CHECK(carom_process_exitcode(process, &code) == 0);
	CHECK(code == SIGKILL);
}

/* UT-11 */
Test(death_signal, of_a_child_of_the_fork_server_is_sigkill, .timeout = 30)
{
	cr_expect(zero(int, apart(ask_a_child)));
}

/* ---- title ---- */

static void expect_file(const char *path, const char *text)
{
	char bytes[4096] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	CHECK(fd >= 0);
	CHECK(carom_fd_read(fd, bytes, sizeof(bytes) - 1) > 0);
	close(fd);
	bytes[strcspn(bytes, "\n")] = '\0';
	if (strcmp(bytes, text) != 0)
		dprintf(STDERR_FILENO, "%s: \"%s\", not \"%s\"\n", path, bytes, text);
	CHECK(strcmp(bytes, text) == 0);
}

static char **program_arguments;

__attribute__((constructor)) static void keep_arguments(int argc, char **argv)
{
	program_arguments = argv;
}

static void take_titles(void)
{
	char name[256], argument[4096];

	setenv("WORD", "of-this-process", 1);
	strncpy(name, program_invocation_name, sizeof(name) - 1);
	strncpy(argument, program_arguments[0], sizeof(argument) - 1);

	CHECK(carom_title_set("short") == 0);
	expect_file("/proc/self/cmdline", "short");
	expect_file("/proc/self/comm", "short");
	CHECK(carom_title_set("carom: a worker with a title that is longer than its command line "
			      "and says what it does") == 0);
	expect_file("/proc/self/cmdline", "carom: a worker with a title that is longer than its "
					  "command line and says what it does");
	expect_file("/proc/self/comm", "carom: a worker");
	CHECK(carom_title_set("short again") == 0);
	expect_file("/proc/self/cmdline", "short again");

	CHECK(strcmp(getenv("WORD"), "of-this-process") == 0);
	CHECK(strchr(getenv("PATH"), '/'));
	CHECK(strcmp(program_invocation_name, name) == 0);
	CHECK(strstr(name, program_invocation_short_name));
	CHECK(strcmp(program_arguments[0], argument) == 0);
	CHECK(carom_title_set(NULL) == -EINVAL);
}

/* UT-26 */
Test(title, is_what_ps_shows_and_spoils_nothing)
{
	cr_expect(zero(int, apart(take_titles)));
}

static void take_a_huge_title(void)
{
	static char title[1 << 20], shown[1 << 20];
	int fd;
	ssize_t n;

	memset(title, 'x', sizeof(title) - 1);
	CHECK(carom_title_set(title) == 0);
	fd = open("/proc/self/cmdline", O_RDONLY | O_CLOEXEC);
	n = carom_fd_read(fd, shown, sizeof(shown));
	close(fd);
	CHECK(n > 1 && n < (ssize_t)sizeof(title));
	CHECK(strspn(shown, "x") >= (size_t)n - 1);
	CHECK(getenv("PATH") && strchr(getenv("PATH"), '/'));
}

Test(title, is_cut_where_there_is_no_room)
{
	cr_expect(zero(int, apart(take_a_huge_title)));
}

static void *set_title(void *userdata)
{
	CHECK(carom_title_set(userdata) == 0);
	return NULL;
}

static void take_title_elsewhere(void)
{
	char title[] = "by a thread";
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, set_title, title) == 0);
	pthread_join(thread, NULL);
	expect_file("/proc/self/comm", title);
	expect_file("/proc/self/cmdline", title);
}

Test(title, is_the_processs_whichever_thread_sets_it)
{
	cr_expect(zero(int, apart(take_title_elsewhere)));
}

/* ---- version ---- */

/* UT-28 */
Test(version, of_the_headers_and_of_the_library_are_equal)
{
	char text[32];

	cr_expect(zero(int, strcmp(carom_version(), CAROM_VERSION_STRING)));
	cr_expect(eq(int, carom_version_number(), CAROM_VERSION_NUMBER));
	snprintf(text, sizeof(text), "%d.%d.%d", CAROM_VERSION_MAJOR, CAROM_VERSION_MINOR,
		 CAROM_VERSION_PATCH);
	cr_expect(zero(int, strcmp(carom_version(), text)));
}

/* ---- address ---- */

/* UT-23 */
Test(address, is_abstract_only_with_a_leading_nul)
{
	cr_expect(carom_address_is_abstract("\0carom", 6));
	cr_expect(carom_address_is_abstract("\0", 1));
	cr_expect(not(carom_address_is_abstract("carom\0", 6)));
	cr_expect(not(carom_address_is_abstract("/tmp/carom", 10)));
	cr_expect(not(carom_address_is_abstract("", 0)));
}
