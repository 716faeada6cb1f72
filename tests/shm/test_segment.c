/* Segment: sealed memory that processes share. */
#include "tests/shm/help.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "shm/memfd.h"
#include "shm/segment.h"

static struct carom_segment *new_segment(uint64_t size)
{
	struct carom_segment *segment = NULL;

	cr_assert(zero(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = size), &segment)));
	return segment;
}

static uint64_t resident(const struct carom_segment *segment)
{
	struct stat file;

	cr_assert(zero(int, fstat(carom_segment_fd(segment), &file)));
	return (uint64_t)file.st_blocks * 512;
}

/* The lines of /proc/self/smaps about the mapping at @address, as far as they fit. */
static void read_smaps(const void *address, char *ret_text, size_t size)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	char line[512], start[32];
	size_t used = 0;
	int inside = 0;

	cr_assert(ne(ptr, file, NULL));
	snprintf(start, sizeof(start), "%lx-", (unsigned long)(uintptr_t)address);
	while (fgets(line, sizeof(line), file)) {
		if (strncmp(line, start, strlen(start)) == 0)
			inside = 1;
		if (inside && used + strlen(line) < size)
			used += (size_t)sprintf(ret_text + used, "%s", line);
		if (inside && strncmp(line, "VmFlags:", 8) == 0)
			break;
	}
	fclose(file);
	cr_assert(inside);
}

Test(segment, is_memory_a_child_shares, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
	uint32_t *numbers;
	pid_t pid;

	cr_assert(zero(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = 5000), &segment)));
	cr_expect(eq(u64, carom_segment_size(segment), 8192));
	numbers = carom_segment_data(segment);
	cr_expect(zero(u64, (uintptr_t)numbers % 4096));

	pid = child();
	if (pid == 0) {
		numbers[8192 / 4 - 1] = 7;
		_exit(0);
	}
	cr_expect(zero(int, ended(pid)));
	cr_expect(eq(u32, numbers[8192 / 4 - 1], 7));
}

Test(segment, is_attached_by_descriptor, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = new_segment(4096);
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *other = NULL;
	int *here, *there;

	cr_assert(zero(int, carom_segment_attach_dup(carom_segment_fd(segment), 4096, &other)));
	cr_expect(ne(int, carom_segment_fd(other), carom_segment_fd(segment)));
	cr_expect(eq(u64, carom_segment_size(other), 4096));
	here = carom_segment_data(segment);
	there = carom_segment_data(other);
	cr_expect(ne(ptr, here, there));

	*here = 5;
	cr_expect(eq(int, *there, 5));
	segment = carom_segment_free(segment);
	cr_expect(eq(int, *there, 5));
}

Test(segment, cannot_be_resized_by_anybody, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = new_segment(8192);
	int fd = carom_segment_fd(segment);

	cr_expect(eq(int, ftruncate(fd, 4096), -1));
	cr_expect(eq(int, errno, EPERM));
	cr_expect(eq(int, ftruncate(fd, 1 << 20), -1));
	cr_expect(eq(int, errno, EPERM));
	cr_expect(eq(int, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1));
	cr_expect(eq(int, errno, EPERM));
	cr_expect(eq(int, fcntl(fd, F_GETFD), FD_CLOEXEC));
}

Test(segment, attaches_only_what_cannot_be_taken_away, .timeout = 60)
{
	struct carom_segment *segment = NULL;
	int fd = memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING), file, fds[2];

	cr_assert(zero(int, ftruncate(fd, 4096)));
	cr_expect(eq(int, carom_segment_attach_dup(fd, 0, &segment), -EBADMSG));
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
	cr_expect(eq(int, carom_segment_attach_dup(fd, 0, &segment), -EBADMSG));
	fcntl(fd, F_ADD_SEALS, F_SEAL_GROW);
	cr_expect(zero(int, carom_segment_attach_dup(fd, 0, &segment)));
	segment = carom_segment_free(segment);
	fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE);
	cr_expect(eq(int, carom_segment_attach_dup(fd, 0, &segment), -EBADMSG));

	fd = memfd_create("empty", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
	cr_expect(eq(int, carom_segment_attach_dup(fd, 0, &segment), -EBADMSG));
	file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	cr_expect(eq(int, carom_segment_attach_dup(file, 0, &segment), -EBADMSG));
	cr_assert(zero(int, pipe(fds)));
	cr_expect(eq(int, carom_segment_attach_dup(fds[0], 0, &segment), -EBADMSG));
	cr_expect(eq(int, carom_segment_attach_dup(-1, 0, &segment), -EBADF));
	cr_expect(eq(ptr, segment, NULL));
}

Test(segment, refuses_a_descriptor_that_only_reads, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = new_segment(4096);
	struct carom_segment *other = NULL;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", carom_segment_fd(segment));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert(ge(int, fd, 0));
	cr_expect(eq(int, carom_segment_attach_dup(fd, 0, &other), -EBADMSG));
	close(fd);
}

Test(segment, takes_no_memory_before_it_is_touched, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep)
	struct carom_segment *segment = new_segment(CAROM_GIB(600));
	unsigned char *bytes = carom_segment_data(segment);

	cr_expect(zero(u64, resident(segment)));
	bytes[0] = bytes[CAROM_GIB(599)] = 1;
	cr_expect(lt(u64, 0, resident(segment)));
	cr_expect(lt(u64, resident(segment), CAROM_MIB(8)));
}

Test(segment, is_populated_on_request, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *part = NULL;
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *whole = NULL;
	unsigned char pages[64];

	cr_assert(zero(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = 64 * 4096,
								     .populate_size = 16 * 4096),
					      &part)));
	cr_assert(zero(int, mincore(carom_segment_data(part), 64 * 4096, pages)));
	for (int i = 0; i < 64; i++)
		cr_expect(eq(int, pages[i] & 1, i < 16), "page %d", i);

	cr_assert(zero(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = 64 * 4096,
								     .populate_size = UINT64_MAX),
					      &whole)));
	cr_expect(eq(u64, resident(whole), 64 * 4096));
}

Test(segment, is_populated_without_the_advice_too, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
	unsigned char *bytes;

	setenv("CAROM_DENY", "madv_populate", 1);
	cr_assert(zero(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = 64 * 4096,
								     .populate_size = 32 * 4096),
					      &segment)));
	cr_expect(eq(u64, resident(segment), 32 * 4096));

	bytes = carom_segment_data(segment);
	memset(bytes, 0xa5, 64 * 4096);
	cr_expect(zero(int, carom_memfd_populate(carom_segment_fd(segment), bytes, 64 * 4096)));
	for (int i = 0; i < 64 * 4096; i++)
		cr_assert(eq(int, bytes[i], 0xa5));
}

Test(segment, could_be_executed_where_that_cannot_be_sealed, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;

	setenv("CAROM_DENY", "memfd_noexec", 1);
	cr_assert(zero(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = 4096), &segment)));
	cr_expect(
		zero(int, fcntl(carom_segment_fd(segment), F_GET_SEALS) & 0x20)); /* F_SEAL_EXEC */
	cr_expect(ne(int, fcntl(carom_segment_fd(segment), F_GET_SEALS) & F_SEAL_SHRINK, 0));
}

Test(segment, shows_its_name_and_stays_out_of_core_dumps, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
	char name[400], text[4096] = "";

	memset(name, 'n', sizeof(name) - 1); /* longer than the kernel takes: cut */
	name[sizeof(name) - 1] = '\0';
	cr_assert(zero(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = 4096, .name = name),
					      &segment)));
	read_smaps(carom_segment_data(segment), text, sizeof(text));
	cr_expect(ne(ptr, strstr(text, "memfd:nnnnn"), NULL));
	cr_expect(ne(ptr, strstr(text, " dd"), NULL));
}

Test(segment, refuses_what_it_cannot_make, .timeout = 60)
{
	struct carom_segment *segment = NULL;
	struct {
		struct carom_segment_options known;
		uint64_t unknown;
	} newer = { .known = CAROM_SEGMENT_OPTIONS(.size = 4096), .unknown = 1 };

	cr_expect(eq(int, carom_segment_new(NULL, &segment), -EINVAL));
	cr_expect(eq(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = 0), &segment), -EINVAL));
	cr_expect(eq(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = UINT64_MAX), &segment),
		     -EOVERFLOW));
	cr_expect(eq(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = INT64_MAX), &segment),
		     -EOVERFLOW));
	cr_expect(eq(int,
		     carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = UINT64_C(1) << 62), &segment),
		     -ENOMEM));
	newer.known.size_bytes = sizeof(newer);
	cr_expect(eq(int, carom_segment_new(&newer.known, &segment), -E2BIG));
	newer.unknown = 0;
	cr_expect(zero(int, carom_segment_new(&newer.known, &segment)));
	segment = carom_segment_free(segment);
	cr_expect(eq(ptr, carom_segment_free(NULL), NULL));
}

Test(segment, leaves_nothing_behind_when_it_fails, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = new_segment(4096);
	struct carom_segment *other = NULL;
	struct rlimit files, limit;
	int before = open_fd_count();

	cr_expect(eq(int,
		     carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = UINT64_C(1) << 62), &other),
		     -ENOMEM));
	cr_expect(eq(int, open_fd_count(), before));

	cr_assert(zero(int, getrlimit(RLIMIT_NOFILE, &files)));
	limit = (struct rlimit){ .rlim_cur = 1, .rlim_max = files.rlim_max };
	cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &limit)));
	cr_expect(
		eq(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = 4096), &other), -EMFILE));
	cr_expect(eq(int, carom_segment_attach_dup(carom_segment_fd(segment), 0, &other), -EMFILE));
	cr_assert(zero(int, setrlimit(RLIMIT_NOFILE, &files)));
	cr_expect(eq(ptr, other, NULL));
	cr_expect(eq(int, open_fd_count(), before));
}

Test(segment, is_not_ended_by_a_limit_on_file_sizes, .timeout = 60)
{
	struct carom_segment *segment = NULL;
	struct rlimit limit = { .rlim_cur = 8192, .rlim_max = RLIM_INFINITY };

	cr_assert(zero(int, setrlimit(RLIMIT_FSIZE, &limit)));
	cr_expect(
		eq(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = 8193), &segment), -EFBIG));
	cr_expect(zero(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = 8192), &segment)));
	segment = carom_segment_free(segment);
}

Test(segment, does_not_grow_the_process_over_many, .timeout = 60)
{
	int before = open_fd_count();

	for (int i = 0; i < 2000; i++)
		carom_segment_free(new_segment(CAROM_MIB(1)));
	cr_expect(eq(int, open_fd_count(), before));
}
