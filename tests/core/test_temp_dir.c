/* The directory for temporary files. */
#include "core/temp_dir.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/fd.h"
#include "core/finalizer_private.h"
#include "core/temp_dir_clean.h"
#include "core/temp_dir_private.h"
#include "tests/core/apart.h"

static char place[] = "/tmp/carom-test-temp-dir-XXXXXX";

static void use_a_place_of_our_own(void)
{
	if (!mkdtemp(place) || setenv("TMPDIR", place, 1) < 0)
		abort();
}

/* Fails if there is anything left in it. */
static void remove_the_place(void)
{
	cr_expect(zero(int, rmdir(place)), "%s: %s", place, strerror(errno));
}

TestSuite(temp_dir, .init = use_a_place_of_our_own, .fini = remove_the_place);

static const char *get(void)
{
	const char *path = NULL;

	CHECK(carom_temp_dir(&path) == 0);
	return path;
}

static bool is_there(const char *path)
{
	return access(path, F_OK) == 0;
}

static void fill(const char *path)
{
	char name[PATH_MAX];

	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "%s/%d", path, i);
		CHECK(mkdir(name, 0700) == 0);
		snprintf(name, sizeof(name), "%s/%d/file", path, i);
		close(open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0400));
	}
	snprintf(name, sizeof(name), "%s/link", path);
	CHECK(symlink("/", name) == 0);
	snprintf(name, sizeof(name), "%s/loop", path);
	CHECK(symlink(path, name) == 0);
}

/* UT-06 */
Test(temp_dir, is_private_and_gone_after_the_exit_with_all_that_is_in_it)
{
	const char *path = get();
	struct stat status;

	cr_assert(zero(int, stat(path, &status)));
	cr_expect(eq(int, status.st_mode & 07777, 0700));
	cr_expect(eq(int, strncmp(path, place, strlen(place)), 0));
	cr_expect(eq(int, strncmp(path + strlen(place), "/carom-", 7), 0));
	cr_expect(eq(ptr, (void *)get(), (void *)path));
	fill(path);
	carom_finalizers_run(CAROM_FINALIZER_TEMP_DIR + 1);
	cr_expect(is_there(path));
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
	cr_expect(not(is_there(path)));
}

Test(temp_dir, is_not_made_before_somebody_asks)
{
	cr_expect(eq(ptr, (void *)carom_temp_dir_made(), NULL));
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
}

static char of_the_parent[PATH_MAX];

static void use_and_exit(void)
{
	CHECK(strcmp(get(), of_the_parent) == 0);
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
	CHECK(is_there(of_the_parent));
}

static void begin_anew_and_use(void)
{
	carom_temp_dir_inherit(NULL);
	carom_temp_dir_inherit(of_the_parent);
	use_and_exit();
}

Test(temp_dir, is_its_childrens_too_and_not_theirs_to_remove)
{
	strcpy(of_the_parent, get());
	cr_expect(zero(int, apart(use_and_exit)));
	cr_expect(zero(int, apart(begin_anew_and_use)));
	cr_expect(is_there(of_the_parent));
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
}

static void make_and_exit(void)
{
	char path[PATH_MAX];

	strcpy(path, get());
	CHECK(is_there(path));
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
	CHECK(!is_there(path));
}

Test(temp_dir, made_by_a_child_ends_with_the_child)
{
	cr_expect(zero(int, apart(make_and_exit)));
	cr_expect(eq(ptr, (void *)carom_temp_dir_made(), NULL));
}

Test(temp_dir, may_have_been_removed_by_others)
{
	cr_expect(zero(int, carom_temp_dir_remove(get())));
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
}

Test(temp_dir, says_why_it_cannot_be_made_and_is_made_later)
{
	const char *path = "untouched";
	char too_long[PATH_MAX + 10];

	memset(too_long, 'x', sizeof(too_long) - 1);
	too_long[0] = '/';
	too_long[sizeof(too_long) - 1] = '\0';
	setenv("TMPDIR", "/nowhere/at/all", 1);
	cr_expect(eq(int, carom_temp_dir(&path), -ENOENT));
	setenv("TMPDIR", "/dev/null", 1);
	cr_expect(eq(int, carom_temp_dir(&path), -ENOTDIR));
	setenv("TMPDIR", too_long, 1);
	cr_expect(eq(int, carom_temp_dir(&path), -ENAMETOOLONG));
	cr_expect(zero(int, strcmp(path, "untouched")));
	setenv("TMPDIR", place, 1);
	get();
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
}

Test(temp_dir, stands_in_tmp_if_nothing_else_is_named)
{
	setenv("TMPDIR", "", 1);
	cr_expect(zero(int, strncmp(get(), "/tmp/carom-", 11)));
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
}

Test(temp_dir, path_stays_valid_when_the_program_changes_its_directory)
{
	cr_assert(zero(int, chdir("/tmp")));
	setenv("TMPDIR", place + strlen("/tmp/"), 1);
	cr_expect(zero(int, strncmp(get(), place, strlen(place))));
	cr_assert(zero(int, chdir("/")));
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
}

/* --- what a killed program leaves --------------------------------------- */

static char told[4][PATH_MAX];
static int told_errors[4];
static size_t told_count;

static void tell(const char *path, int error, void *userdata)
{
	cr_assert(lt(sz, told_count, 4));
	strcpy(told[told_count], path);
	told_errors[told_count++] = error;
}

static size_t clean(bool is_dry_run)
{
	told_count = 0;
	cr_assert(zero(int, carom_temp_dir_clean(is_dry_run, tell, NULL)));
	return told_count;
}

/* A process that has one, and waits to be killed. */
static pid_t begin_owner(char path[PATH_MAX])
{
	int pipe_fds[2];
	pid_t pid;

	cr_assert(zero(int, pipe(pipe_fds)));
	pid = fork();
	if (pid == 0) {
		const char *made = get();

		fill(made);
		CHECK(write(pipe_fds[1], made, strlen(made) + 1) > 0);
		for (;;)
			pause();
	}
	close(pipe_fds[1]);
	cr_assert(lt(int, 0, (int)read(pipe_fds[0], path, PATH_MAX)));
	close(pipe_fds[0]);
	return pid;
}

static void kill_owner(pid_t pid)
{
	cr_assert(zero(int, kill(pid, SIGKILL)));
	cr_assert(eq(int, waitpid(pid, NULL, 0), pid));
}

Test(temp_dir, of_a_killed_program_is_removed_by_who_cleans, .timeout = 20)
{
	char path[PATH_MAX];
	pid_t pid = begin_owner(path);

	cr_expect(zero(sz, clean(false)), "its owner lives");
	cr_expect(is_there(path));
	kill_owner(pid);
	cr_expect(eq(sz, clean(true), 1));
	cr_expect(eq(str, told[0], path));
	cr_expect(is_there(path), "it was only to be told");
	cr_expect(eq(sz, clean(false), 1));
	cr_expect(eq(str, told[0], path));
	cr_expect(zero(int, told_errors[0]));
	cr_expect(not(is_there(path)));
	cr_expect(zero(sz, clean(false)));
}

Test(temp_dir, that_is_somebody_elses_is_not_touched, .timeout = 20)
{
	char path[PATH_MAX];
	const char *mine = get();

	cr_expect(zero(sz, clean(false)), "one's own");
	cr_expect(is_there(mine));
	/* of the right name, and not made by the library */
	snprintf(path, sizeof(path), "%s/carom-abcdef", place);
	cr_assert(zero(int, mkdir(path, 0700)));
	cr_expect(zero(sz, clean(false)));
	cr_assert(zero(int, rmdir(path)));
	cr_assert(zero(int, symlink("/", path)));
	cr_expect(zero(sz, clean(false)));
	cr_assert(zero(int, unlink(path)));
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
}

/* As daemons do: the lock is lost, and the pid is still there. */
static void close_all(void)
{
	const char *path = get();
	int fds[16];

	carom_fd_close_except(NULL, 0);
	told_count = 0;
	CHECK(carom_temp_dir_clean(false, tell, NULL) == 0 && told_count == 0);
	CHECK(is_there(path));
	for (int i = 0; i < 16; i++)
		fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	carom_finalizers_run(CAROM_FINALIZERS_ALL);
	CHECK(!is_there(path));
	for (int i = 0; i < 16; i++)
		CHECK(fcntl(fds[i], F_GETFD) >= 0);
}

Test(temp_dir, of_a_program_that_closed_its_descriptors_is_its_own, .timeout = 20)
{
	cr_expect(zero(int, apart(close_all)));
}

Test(temp_dir, is_not_cleaned_where_others_can_exchange_it, .timeout = 20)
{
	cr_assert(zero(int, chmod(place, 0777)));
	cr_expect(eq(int, carom_temp_dir_clean(false, tell, NULL), -EPERM));
	cr_assert(zero(int, chmod(place, 01777)));
	cr_expect(zero(int, carom_temp_dir_clean(false, tell, NULL)));
	setenv("TMPDIR", "/nowhere/at/all", 1);
	cr_expect(eq(int, carom_temp_dir_clean(false, tell, NULL), -ENOENT));
}

/* Who begins and who cleans, at the same time: each is left with a directory that is there. */
static void begin_often(void)
{
	for (int i = 0; i < 300; i++) {
		CHECK(is_there(get()));
		carom_finalizers_run(CAROM_FINALIZERS_ALL);
	}
}

static void ignore(const char *path, int error, void *userdata)
{
}

Test(temp_dir, is_there_however_busily_others_clean, .timeout = 60)
{
	_Atomic bool *is_over = mmap(NULL, sizeof(*is_over), PROT_READ | PROT_WRITE,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, cleaner_status;
	pid_t cleaner;

	cr_assert(ne(ptr, (void *)is_over, MAP_FAILED));
	cleaner = fork();
	if (cleaner == 0) {
		while (!*is_over)
			CHECK(carom_temp_dir_clean(false, ignore, NULL) == 0);
		_exit(0);
	}
	status = apart(begin_often);
	*is_over = true;
	cr_assert(eq(int, waitpid(cleaner, &cleaner_status, 0), cleaner));
	cr_expect(zero(int, status));
	cr_expect(zero(int, cleaner_status));
	munmap((void *)is_over, sizeof(*is_over));
}
