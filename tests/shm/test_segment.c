/* Segment: sealed memory that processes share. */
#include "tests/shm/help.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "shm/memfd.h"
#include "shm/pointer.h"
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

/* ---- memory that is there ---- */

/* SC-11 */
Test(segment, does_not_depend_on_how_large_dev_shm_is, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
	struct statvfs dev_shm;

	cr_assert(zero(int, statvfs("/dev/shm", &dev_shm)));
	if (dev_shm.f_blocks == 0 || dev_shm.f_blocks > (UINT64_C(1) << 50) / dev_shm.f_frsize)
		cr_skip_test("skipped: /dev/shm has no limit here");
	cr_assert(zero(int,
		       carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = (uint64_t)dev_shm.f_blocks *
										dev_shm.f_frsize +
									CAROM_GIB(1)),
					 &segment)));
	((unsigned char *)carom_segment_data(segment))[carom_segment_size(segment) - 1] = 1;
}

Test(segment, is_reserved_whole_or_not_made, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
	struct carom_segment *none = NULL;
	int before = open_fd_count();

	/* not even tried: the kernel would kill somebody on the way */
	cr_expect(
		eq(int,
		   carom_segment_new(
			   &CAROM_SEGMENT_OPTIONS(.size = CAROM_GIB(1) << 10, .reserve = 1), &none),
		   -ENOMEM));
	cr_expect(eq(ptr, none, NULL));
	cr_expect(eq(int, open_fd_count(), before));
	cr_assert(zero(int,
		       carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = CAROM_MIB(2), .reserve = 1),
					 &segment)));
	cr_expect(eq(u64, resident(segment), CAROM_MIB(2)));
}

static uint64_t free_huge_pages(void)
{
	FILE *file = fopen("/proc/meminfo", "r");
	char line[128];
	unsigned long long count = 0;

	cr_assert(ne(ptr, file, NULL));
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "HugePages_Free: %llu", &count) == 1)
			break;
	fclose(file);
	return count;
}

/* SC-15 */
Test(segment, is_of_huge_pages_where_there_are_any_and_says_so, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = NULL;
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *other = NULL;
	uint64_t free_count = free_huge_pages(), page_size;

	cr_assert(zero(int, carom_segment_new(
				    &CAROM_SEGMENT_OPTIONS(.size = 5000, .reserve = 1,
							   .huge_pages = CAROM_HUGE_PAGES_WISHED),
				    &segment)));
	page_size = carom_segment_huge_page_size(segment);
	if (free_count == 0)
		cr_expect(zero(u64, page_size)); /* and it is there all the same */
	else
		cr_expect(ge(u64, page_size, CAROM_MIB(1)));
	cr_expect(eq(u64, carom_segment_size(segment), page_size ? page_size : 8192));
	memset(carom_segment_data(segment), 7, carom_segment_size(segment));

	cr_assert(zero(int, carom_segment_attach_dup(carom_segment_fd(segment), 1, &other)));
	cr_expect(eq(u64, carom_segment_huge_page_size(other), page_size));
	cr_expect(eq(u64, carom_segment_size(other), carom_segment_size(segment)));
	cr_expect(eq(int, ((unsigned char *)carom_segment_data(other))[4999], 7));
}

Test(segment, is_not_made_without_the_huge_pages_it_requires, .timeout = 60)
{
	struct carom_segment *segment = NULL;
	uint64_t size = (free_huge_pages() + 2) * CAROM_GIB(2); /* whatever their size */
	int before = open_fd_count(), r;

	r = carom_segment_new(
		&CAROM_SEGMENT_OPTIONS(.size = size, .huge_pages = CAROM_HUGE_PAGES_REQUIRED),
		&segment);
	cr_expect(r == -ENOMEM || r == -EOPNOTSUPP, "%d", r);
	cr_expect(eq(
		int,
		carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = size, .huge_pages = 3), &segment),
		-EINVAL));
	cr_expect(eq(ptr, segment, NULL));
	cr_expect(eq(int, open_fd_count(), before));
}

/* ---- to be read ---- */

static struct carom_segment *new_to_read(void)
{
	struct carom_segment *segment = NULL;

	cr_assert(
		zero(int, carom_segment_new(&CAROM_SEGMENT_OPTIONS(.size = 8192, .others_read = 1),
					    &segment)));
	strcpy(carom_segment_data(segment), "first");
	return segment;
}

Test(segment, is_read_by_others_as_its_maker_writes_it, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = new_to_read();
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *reader = NULL;
	struct carom_segment *writer = NULL;
	int fd = carom_segment_fd(segment);

	cr_assert(zero(int, carom_segment_attach_read_only_dup(fd, &reader)));
	cr_expect(zero(int, strcmp(carom_segment_data(reader), "first")));
	strcpy(carom_segment_data(segment), "second");
	cr_expect(zero(int, strcmp(carom_segment_data(reader), "second")));
	cr_expect(eq(u64, carom_segment_size(reader), 8192));
	cr_expect(eq(int, carom_segment_attach_dup(fd, 0, &writer), -EBADMSG));
}

Test(segment, cannot_be_written_by_who_was_to_read_it, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = new_to_read();
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *reader = NULL;
	char path[64];
	int fd;

	cr_assert(
		zero(int, carom_segment_attach_read_only_dup(carom_segment_fd(segment), &reader)));
	cr_expect(eq(int, mprotect(carom_segment_data(reader), 8192, PROT_READ | PROT_WRITE), -1));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", carom_segment_fd(reader));
	fd = open(path, O_RDWR | O_CLOEXEC);
	cr_assert(ge(int, fd, 0));
	cr_expect(eq(ptr, mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED));
	cr_expect(lt(long, write(fd, "third", 5), 0));
	cr_expect(lt(int, fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096), 0));
	cr_expect(lt(int, ftruncate(fd, 4096), 0));
	close(fd);
	cr_expect(zero(int, strcmp(carom_segment_data(segment), "first")));
}

Test(segment, is_mapped_to_read_whatever_it_allows, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = new_segment(4096);
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *reader = NULL;
	struct carom_segment *none = NULL;
	pid_t pid;
	int fd;

	cr_assert(
		zero(int, carom_segment_attach_read_only_dup(carom_segment_fd(segment), &reader)));
	pid = child();
	if (pid == 0) {
		signal(SIGSEGV, SIG_DFL);
		*(volatile char *)carom_segment_data(reader) = 1;
		_exit(0);
	}
	cr_expect(eq(int, ended(pid), -SIGSEGV));
	cr_expect(eq(int, carom_segment_attach_read_only_dup(-1, &none), -EBADF));
	fd = memfd_create("loose", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	cr_assert(zero(int, ftruncate(fd, 4096)));
	cr_expect(eq(int, carom_segment_attach_read_only_dup(fd, &none), -EBADMSG));
	close(fd);
	cr_expect(eq(ptr, none, NULL));
}

/* ---- places in it ---- */

Test(segment, is_the_same_block_in_a_child_that_was_given_its_descriptor, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = new_segment(4096);
	uint64_t *number = carom_segment_data(segment),
		 offset = carom_segment_offset(segment, number + 3);
	int fd = dup(carom_segment_fd(segment));
	pid_t pid = child();

	if (pid == 0) {
		struct carom_segment *other = NULL;

		munmap(number, 4096); /* as if it had never been inherited */
		if (carom_segment_attach_dup(fd, 0, &other) != 0)
			_exit(1);
		*(uint64_t *)carom_segment_at(other, offset, 8) = 12;
		_exit(0);
	}
	cr_expect(zero(int, ended(pid)));
	cr_expect(eq(u64, number[3], 12));
	close(fd);
}

Test(segment, gives_nothing_that_is_not_inside, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = new_segment(4096);
	char *bytes = carom_segment_data(segment);

	cr_expect(eq(ptr, carom_segment_at(segment, 0, 4096), bytes));
	cr_expect(eq(ptr, carom_segment_at(segment, 4095, 1), bytes + 4095));
	cr_expect(eq(ptr, carom_segment_at(segment, 4095, 2), NULL));
	cr_expect(eq(ptr, carom_segment_at(segment, 4096, 0), NULL));
	cr_expect(eq(ptr, carom_segment_at(segment, UINT64_MAX, 1), NULL));
	cr_expect(eq(ptr, carom_segment_at(segment, 8, UINT64_MAX), NULL));
	cr_expect(eq(u64, carom_segment_offset(segment, bytes + 4095), 4095));
	cr_expect(eq(u64, carom_segment_offset(segment, bytes + 4096), UINT64_MAX));
	cr_expect(eq(u64, carom_segment_offset(segment, bytes - 1), UINT64_MAX));
	cr_expect(eq(u64, carom_segment_offset(segment, NULL), UINT64_MAX));
}

struct node {
	struct carom_pointer next;
	int number;
};

/* SC-14 */
Test(segment, has_pointers_that_hold_at_another_address, .timeout = 60)
{
	CAROM_CLEANUP(carom_segment_freep) struct carom_segment *segment = new_segment(4096);
	struct node *nodes = carom_segment_data(segment);
	int fd = dup(carom_segment_fd(segment));
	pid_t pid;

	cr_expect(eq(ptr, carom_pointer_get(&nodes[0].next), NULL));
	carom_pointer_set(&nodes[0].next, &nodes[7]);
	carom_pointer_set(&nodes[7].next, &nodes[0]); /* back, too */
	nodes[7].number = 5;
	pid = child();
	if (pid == 0) {
		struct carom_segment *other = NULL;
		struct node *there, *next;

		if (carom_segment_attach_dup(fd, 0, &other) != 0)
			_exit(1);
		there = carom_segment_data(other);
		next = carom_pointer_get(&there->next);
		if (there == nodes || next != there + 7 || carom_pointer_get(&next->next) != there)
			_exit(2);
		next->number++;
		_exit(0);
	}
	cr_expect(zero(int, ended(pid)));
	cr_expect(eq(int, nodes[7].number, 6));
	carom_pointer_set(&nodes[0].next, NULL);
	cr_expect(eq(ptr, carom_pointer_get(&nodes[0].next), NULL));
	close(fd);
}

Test(segment, is_freed_with_its_handle, .timeout = 60)
{
	struct carom_segment *segment = new_segment(CAROM_MIB(1));
	char path[64], before[64] = "", after[64] = "";
	unsigned char *bytes = carom_segment_data(segment), page;
	int fd = carom_segment_fd(segment);

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	cr_assert(lt(long, 0, readlink(path, before, sizeof(before) - 1)));
	segment = carom_segment_free(segment);
	cr_expect(eq(ptr, segment, NULL));
	cr_expect(lt(long, readlink(path, after, sizeof(after) - 1), 0));
	cr_expect(lt(int, mincore(bytes, 4096, &page), 0)); /* not mapped */
	cr_expect(eq(int, errno, ENOMEM));
}
