/* The directory for temporary files. */
#include "core/temp_dir.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/finalizer_private.h"
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
	cr_expect(zero(int, rmdir(get())));
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
