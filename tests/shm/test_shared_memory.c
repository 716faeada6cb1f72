/* Memory with a name, and Python at its other end. */
#include "tests/shm/help.h"
#include "tests/shm/python.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "core/tracker.h"
#include "shm/shared_memory.h"

#define NEW(...) CAROM_SHARED_MEMORY_OPTIONS(__VA_ARGS__)

static struct carom_shared_memory *new_memory(const char *name, uint64_t size)
{
	struct carom_shared_memory *memory = NULL;

	cr_assert(zero(int, carom_shared_memory_new(&NEW(.name = name, .size = size), &memory)));
	return memory;
}

/* unlinks it, too */
static void endp(struct carom_shared_memory **memory)
{
	if (*memory)
		carom_shared_memory_unlink(*memory);
	carom_shared_memory_freep(memory);
}
#define OURS   CAROM_CLEANUP(endp) __attribute__((unused)) struct carom_shared_memory *
#define THEIRS CAROM_CLEANUP(carom_shared_memory_freep) struct carom_shared_memory *

/* a name of this test's own, and its children's; stays valid */
static const char *own_name(void)
{
	static char name[64];

	if (name[0] == '\0')
		snprintf(name, sizeof(name), "carom-test-%d", (int)getpid());
	return name;
}

static bool exists(const char *name)
{
	int fd = shm_open(name, O_RDONLY, 0);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* SM-03 */
Test(shared_memory, is_the_same_for_all_who_attach, .timeout = 60)
{
	OURS memory = new_memory(own_name(), 5000);
	THEIRS other = NULL;
	unsigned char *here = carom_shared_memory_data(memory), *there;

	cr_assert(zero(int, carom_shared_memory_attach(own_name(), 5000, &other)));
	there = carom_shared_memory_data(other);
	cr_expect(ne(ptr, here, there));
	cr_expect(zero(int, here[4999]));
	here[4999] = 7;
	cr_expect(eq(int, there[4999], 7));
	cr_expect(zero(int, strcmp(carom_shared_memory_name(other), own_name())));
}

/* SM-02 */
Test(shared_memory, has_the_size_that_was_asked_for, .timeout = 60)
{
	OURS memory = new_memory(NULL, 4097);
	THEIRS other = NULL;

	cr_expect(eq(u64, carom_shared_memory_size(memory), 4097));
	cr_assert(
		zero(int, carom_shared_memory_attach(carom_shared_memory_name(memory), 0, &other)));
	cr_expect(eq(u64, carom_shared_memory_size(other), 4097));
}

Test(shared_memory, is_named_as_python_names_it, .timeout = 60)
{
	OURS a = new_memory(NULL, 1);
	OURS b = new_memory(NULL, 1);
	OURS slash = NULL;
	char name[80];

	cr_expect(eq(sz, strlen(carom_shared_memory_name(a)), strlen("psm_01234567")));
	cr_expect(zero(int, strncmp(carom_shared_memory_name(a), "psm_", 4)));
	cr_expect(not(zero(int, strcmp(carom_shared_memory_name(a), carom_shared_memory_name(b)))));
	snprintf(name, sizeof(name), "/%s", own_name());
	slash = new_memory(name, 1);
	cr_expect(zero(int, strcmp(carom_shared_memory_name(slash), own_name())));
}

/* SM-08 */
Test(shared_memory, has_no_name_with_a_nul_inside, .timeout = 60)
{
	struct carom_shared_memory *untouched = NULL;
	OURS memory = NULL;
	THEIRS other = NULL;
	const char *name = own_name();
	size_t size = strlen(name);
	char sent[80] = "";

	memcpy(sent, name, size);
	memcpy(sent + size + 1, "behind", 6);
	cr_expect(eq(int,
		     carom_shared_memory_new(&NEW(.name = sent, .size = 1, .name_size = size + 7),
					     &untouched),
		     -EINVAL));
	cr_expect(eq(int,
		     carom_shared_memory_new(&NEW(.name = sent, .size = 1, .name_size = size + 1),
					     &untouched),
		     -EINVAL));
	cr_expect(not(exists(name)));
	sent[size] = '-';
	cr_assert(zero(int, carom_shared_memory_new(
				    &NEW(.name = sent, .size = 1, .name_size = size), &memory)));
	cr_expect(zero(int, strcmp(carom_shared_memory_name(memory), name)));
	sent[size] = '\0';
	cr_expect(
		eq(int, carom_shared_memory_attach_sized(sent, size + 7, 0, &untouched), -EINVAL));
	cr_expect(eq(int, carom_shared_memory_attach_sized(sent, 0, 0, &untouched), -EINVAL));
	cr_expect(eq(int, carom_shared_memory_attach_sized(NULL, 5, 0, &untouched), -EINVAL));
	sent[size] = '-';
	cr_expect(zero(int, carom_shared_memory_attach_sized(sent, size, 1, &other)));
	cr_expect(eq(ptr, untouched, NULL));
}

Test(shared_memory, refuses_what_makes_no_sense, .timeout = 60)
{
	struct carom_shared_memory *untouched = NULL;
	char longest[CAROM_SHARED_MEMORY_NAME_MAX + 2];
	static const char *const bad[] = { "", "/", "a/b", "/a/", ".", "..", "//a" };

	cr_expect(eq(int, carom_shared_memory_new(NULL, &untouched), -EINVAL));
	cr_expect(eq(int, carom_shared_memory_new(&NEW(.name = "x"), &untouched), -EINVAL));
	cr_expect(eq(int, carom_shared_memory_new(&NEW(.size = UINT64_MAX), &untouched), -EFBIG));
	cr_expect(eq(int, carom_shared_memory_attach(NULL, 0, &untouched), -EINVAL));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		cr_expect(eq(int,
			     carom_shared_memory_new(&NEW(.name = bad[i], .size = 1), &untouched),
			     -EINVAL),
			  "%s", bad[i]);
		cr_expect(eq(int, carom_shared_memory_attach(bad[i], 0, &untouched), -EINVAL));
	}
	memset(longest, 'n', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	cr_expect(eq(int, carom_shared_memory_new(&NEW(.name = longest, .size = 1), &untouched),
		     -ENAMETOOLONG));
	cr_expect(eq(ptr, untouched, NULL));
}

/* SM-01 */
Test(shared_memory, is_made_once_and_attached_if_it_is_there, .timeout = 60)
{
	struct carom_shared_memory *untouched = NULL;
	OURS memory = new_memory(own_name(), 4096);
	struct stat file;
	char path[80];

	cr_expect(eq(int, carom_shared_memory_new(&NEW(.name = own_name(), .size = 1), &untouched),
		     -EEXIST));
	cr_expect(exists(own_name()), "it is the other's, and stays");
	cr_expect(eq(int, carom_shared_memory_attach("carom-test-none", 0, &untouched), -ENOENT));
	snprintf(path, sizeof(path), "/dev/shm/%s", own_name());
	cr_assert(zero(int, stat(path, &file)));
	cr_expect(eq(u32, file.st_mode & 07777, 0600));
}

Test(shared_memory, attaches_to_nothing_that_is_too_small_or_no_memory, .timeout = 60)
{
	struct carom_shared_memory *untouched = NULL;
	OURS memory = new_memory(own_name(), 100);
	char empty[80], fifo[80];
	int fd;

	cr_expect(eq(int, carom_shared_memory_attach(own_name(), 101, &untouched), -EBADMSG));
	snprintf(empty, sizeof(empty), "%s-empty", own_name());
	fd = shm_open(empty, O_RDWR | O_CREAT | O_EXCL, 0600);
	cr_assert(ge(int, fd, 0));
	close(fd);
	cr_expect(eq(int, carom_shared_memory_attach(empty, 0, &untouched), -EBADMSG));
	shm_unlink(empty);
	snprintf(fifo, sizeof(fifo), "/dev/shm/%s-fifo", own_name());
	cr_assert(zero(int, mkfifo(fifo, 0600)));
	cr_expect(eq(int, carom_shared_memory_attach(fifo + strlen("/dev/shm/"), 0, &untouched),
		     -EBADMSG));
	unlink(fifo);
}

Test(shared_memory, is_closed_to_other_users, .timeout = 60)
{
	struct carom_shared_memory *untouched = NULL;
	OURS memory = NULL;
	pid_t pid;

	if (geteuid() != 0)
		cr_skip_test("skipped: only root can become somebody else");
	memory = new_memory(own_name(), 4096);
	pid = child();
	if (pid == 0) {
		if (setresgid(65534, 65534, 65534) < 0 || setresuid(65534, 65534, 65534) < 0)
			_exit(1);
		if (carom_shared_memory_attach(own_name(), 0, &untouched) != -EACCES)
			_exit(2);
		if (carom_shared_memory_new(&NEW(.name = own_name(), .size = 1, .untracked = 1),
					    &untouched) != -EEXIST)
			_exit(3);
		_exit(untouched ? 4 : 0);
	}
	cr_expect(zero(int, ended(pid)));
	cr_expect(exists(own_name()));
}

/* SM-05 */
Test(shared_memory, loses_its_name_once_and_keeps_its_bytes, .timeout = 60)
{
	THEIRS memory = new_memory(own_name(), 4096);
	struct carom_shared_memory *untouched = NULL;
	char *data = carom_shared_memory_data(memory);

	cr_expect(zero(int, carom_shared_memory_unlink(memory)));
	cr_expect(eq(int, carom_shared_memory_unlink(memory), -ENOENT));
	cr_expect(eq(int, carom_shared_memory_attach(own_name(), 0, &untouched), -ENOENT));
	strcpy(data, "still here");
	cr_expect(zero(int, strcmp(data, "still here")));
}

Test(shared_memory, does_not_unlink_what_took_its_name, .timeout = 60)
{
	THEIRS first = new_memory(own_name(), 1);
	OURS second = NULL;

	cr_assert(zero(int, shm_unlink(own_name())));
	second = new_memory(own_name(), 2);
	cr_expect(eq(int, carom_shared_memory_unlink(first), -ENOENT));
	cr_expect(exists(own_name()));
}

/* SM-04 */
Test(shared_memory, is_unmapped_by_its_end_and_keeps_its_name, .timeout = 60)
{
	OURS memory = new_memory(own_name(), 4096);
	struct carom_shared_memory *other = NULL;
	void *data;

	cr_assert(zero(int, carom_shared_memory_attach(own_name(), 0, &other)));
	data = carom_shared_memory_data(other);
	cr_expect(eq(ptr, carom_shared_memory_free(other), NULL));
	cr_expect(eq(int, msync(data, 4096, MS_ASYNC), -1), "nothing is mapped there");
	cr_expect(exists(own_name()));
	cr_expect(eq(ptr, carom_shared_memory_free(NULL), NULL));
}

/* SM-06 */
Test(shared_memory, outlives_who_attached, .timeout = 60)
{
	OURS memory = new_memory(own_name(), 4096);
	pid_t pid = child();

	if (pid == 0) {
		struct carom_shared_memory *other = NULL;

		if (carom_shared_memory_attach(own_name(), 0, &other) < 0)
			_exit(1);
		strcpy(carom_shared_memory_data(other), "seen");
		exit(0); /* with all that would run at the end of a program */
	}
	cr_expect(zero(int, ended(pid)));
	cr_expect(exists(own_name()));
	cr_expect(zero(int, strcmp(carom_shared_memory_data(memory), "seen")));
}

Test(shared_memory, of_a_killed_program_is_unlinked_by_the_tracker, .timeout = 60)
{
	int told[2];
	char name[64] = "";
	pid_t pid;

	cr_assert(zero(int, pipe2(told, O_CLOEXEC)));
	pid = child();
	if (pid == 0) {
		const char *made = carom_shared_memory_name(new_memory(NULL, 4096));

		if (write(told[1], made, strlen(made) + 1) < 0)
			_exit(1);
		pause();
	}
	cr_assert(lt(i64, 0, read(told[0], name, sizeof(name))));
	cr_expect(exists(name));
	killed(pid);
	await(!exists(name));
}

Test(shared_memory, can_be_left_to_others, .timeout = 60)
{
	const char *name = own_name();
	pid_t pid = child();

	if (pid == 0) {
		struct carom_shared_memory *memory = NULL;

		_exit(carom_shared_memory_new(&NEW(.name = name, .size = 1, .untracked = 1),
					      &memory) < 0 ||
		      carom_tracker_stop() != CAROM_TRACKER_CLEAN);
	}
	cr_expect(zero(int, ended(pid)));
	cr_expect(exists(name));
	shm_unlink(name);
}

/* SM-10 */
Test(shared_memory, that_does_not_fit_is_an_error_and_leaves_nothing, .timeout = 60)
{
	struct carom_shared_memory *untouched = NULL;
	struct statvfs shm;
	uint64_t size;

	cr_assert(zero(int, statvfs("/dev/shm", &shm)));
	size = shm.f_blocks * shm.f_frsize;
	if (size == 0)
		cr_skip_test("/dev/shm has no limit");
	cr_expect(eq(
		int,
		carom_shared_memory_new(&NEW(.name = own_name(), .size = size + 4096), &untouched),
		-ENOSPC));
	cr_expect(not(exists(own_name())));
}

Test(shared_memory, above_the_limit_for_files_is_no_signal, .timeout = 60)
{
	struct carom_shared_memory *untouched = NULL;
	struct rlimit limit = { .rlim_cur = 4096, .rlim_max = RLIM_INFINITY };

	cr_assert(zero(int, setrlimit(RLIMIT_FSIZE, &limit)));
	cr_expect(eq(int,
		     carom_shared_memory_new(&NEW(.name = own_name(), .size = 4097), &untouched),
		     -EFBIG));
	cr_expect(not(exists(own_name())));
}

/* SM-07 */
Test(shared_memory, that_cannot_be_mapped_leaves_no_name, .timeout = 60)
{
	struct carom_shared_memory *untouched = NULL;
	struct rlimit limit;
	uint64_t pages = 0;
	FILE *file;

#ifdef __SANITIZE_ADDRESS__
	cr_skip_test("AddressSanitizer needs more addresses than any limit allows");
#endif
	cr_assert(zero(int, carom_tracker_ensure_running()));
	file = fopen("/proc/self/statm", "r");
	cr_assert(file && fscanf(file, "%" SCNu64, &pages) == 1);
	fclose(file);
	limit.rlim_cur = limit.rlim_max = pages * 4096 + CAROM_MIB(4);
	cr_assert(zero(int, setrlimit(RLIMIT_AS, &limit)));
	cr_expect(eq(
		int,
		carom_shared_memory_new(&NEW(.name = own_name(), .size = CAROM_MIB(8)), &untouched),
		-ENOMEM));
	cr_expect(not(exists(own_name())));
}

Test(shared_memory, of_python_is_attached_and_the_other_way_round, .timeout = 60)
{
	OURS memory = NULL;
	char code[512];

	skip_without_python();
	memory = new_memory(own_name(), 4097);
	strcpy(carom_shared_memory_data(memory), "from C");
	snprintf(code, sizeof(code),
		 "from multiprocessing import shared_memory, resource_tracker\n"
		 "m = shared_memory.SharedMemory(name='%s')\n"
		 "resource_tracker.unregister(m._name, 'shared_memory')\n"
		 "assert m.size == 4097 and bytes(m.buf[:7]) == b'from C\\0'\n"
		 "m.buf[:8] = b'from py\\0'\n"
		 "m.close()\n",
		 own_name());
	cr_expect(zero(int, python(code)));
	cr_expect(zero(int, strcmp(carom_shared_memory_data(memory), "from py")));
}

Test(shared_memory, that_python_made_is_attached, .timeout = 60)
{
	THEIRS memory = NULL;
	char code[512];

	skip_without_python();
	snprintf(code, sizeof(code),
		 "from multiprocessing import shared_memory, resource_tracker\n"
		 "m = shared_memory.SharedMemory(name='%s', create=True, size=100)\n"
		 "resource_tracker.unregister(m._name, 'shared_memory')\n"
		 "m.buf[:3] = b'py\\0'\n",
		 own_name());
	cr_assert(zero(int, python(code)));
	cr_assert(zero(int, carom_shared_memory_attach(own_name(), 100, &memory)));
	cr_expect(zero(int, strcmp(carom_shared_memory_data(memory), "py")));
	cr_expect(zero(int, carom_shared_memory_unlink(memory)));
}
