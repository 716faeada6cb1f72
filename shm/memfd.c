/*
 * Memfd
 *
 *   I1  A file is sealed before its descriptor leaves carom_memfd_new(), so no
 *       holder of it ever saw a size that can change.
 *   I2  Nothing is taken from the machine before a page is touched: neither
 *       memfd_create(2) nor a shared mapping of it reserves, so a file of
 *       hundreds of GiB costs nothing until it is used.
 *
 * Whoever wants to be sure of its memory reserves it. fallocate(2) takes page after page
 * until the kernel has to kill somebody for the next one, so what is left is looked at
 * before. Two who do so at once may still take more together than there is; the kernel has
 * no call that would take all or nothing. Of huge pages there is one: the mapping itself
 * takes them out of their pool, or fails.
 *
 * Whom a file is given to for reading alone could open it for writing through
 * /proc/self/fd, whatever the descriptor allows: the file has no other owner than theirs.
 * F_SEAL_FUTURE_WRITE holds for the file: writing, new writable mappings and holes are
 * refused to everybody, and a readable mapping does not become writable. The mappings that
 * were there go on, so the maker's must be there before.
 */
#include "shm/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/memory_file.h"
#include "core/memory_room.h"
#include "core/probe.h"

#define SEALS_FIXED    (F_SEAL_SHRINK | F_SEAL_GROW)
#define SEALS_READONLY (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t carom_page_ceil(uint64_t size)
{
	uint64_t page = page_size();

	return size > INT64_MAX - (page - 1) ? 0 : (size + page - 1) & ~(page - 1);
}

int carom_memfd_check_limit(uint64_t size)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_FSIZE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return 0;
	return size > limit.rlim_cur ? -EFBIG : 0;
}

static int resize(int fd, uint64_t size)
{
	int r = carom_memfd_check_limit(size);

	if (r < 0)
		return r;
	return ftruncate(fd, (off_t)size) < 0 ? -errno : 0;
}

uint64_t carom_memfd_huge_page_size(int fd)
{
	struct statfs system;

	if (fstatfs(fd, &system) < 0 || (unsigned long)system.f_type != HUGETLBFS_MAGIC)
		return 0;
	return (uint64_t)system.f_bsize;
}

int carom_memfd_make(const char *name, uint64_t size, bool is_huge, int *ret_fd, uint64_t *ret_size)
{
	CAROM_CLEANUP(carom_closep)
	int fd = is_huge ? carom_memory_file_new_huge(name) : carom_memory_file_new(name);
	uint64_t page;
	int r;

	if (fd < 0)
		return fd;
	if (is_huge) {
		page = carom_memfd_huge_page_size(fd);
		if (page == 0 || size > INT64_MAX - page)
			return -EOVERFLOW;
		size = (size + page - 1) / page * page;
	}
	r = resize(fd, size);
	if (r < 0)
		return r;
	*ret_size = size;
	*ret_fd = carom_take_fd(fd);
	return 0;
}

int carom_memfd_seal(int fd, bool is_read_only)
{
	int read_only = is_read_only ? F_SEAL_FUTURE_WRITE : 0;

	if (fcntl(fd, F_ADD_SEALS, SEALS_FIXED | F_SEAL_SEAL | read_only) == 0)
		return 0;
	return is_read_only && errno == EINVAL ? -EOPNOTSUPP : -errno;
}

int carom_memfd_new(const char *name, uint64_t size, int *ret_fd)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;
	int r = carom_memfd_make(name, size, false, &fd, &size);

	if (r == 0)
		r = carom_memfd_seal(fd, false);
	if (r < 0)
		return r;
	*ret_fd = carom_take_fd(fd);
	return 0;
}

int carom_memfd_reserve(int fd, uint64_t size)
{
	return carom_memfd_reserve_from(fd, 0, size);
}

int carom_memfd_reserve_from(int fd, uint64_t offset, uint64_t size)
{
	int r;

	if (!carom_memfd_huge_page_size(fd) && size > carom_memory_room(""))
		return -ENOMEM;
	do
		r = fallocate(fd, 0, (off_t)offset, (off_t)size);
	while (r < 0 && errno == EINTR);
	return r < 0 ? -ENOMEM : 0;
}

static int check(int fd, int forbidden_seals, uint64_t *ret_size)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat file;

	if (seals < 0)
		return errno == EBADF ? -EBADF : -EBADMSG;
	if ((seals & SEALS_FIXED) != SEALS_FIXED || (seals & forbidden_seals))
		return -EBADMSG;
	if (fstat(fd, &file) < 0 || file.st_size <= 0)
		return -EBADMSG;
	if ((uint64_t)file.st_size % page_size() != 0)
		return -EBADMSG;
	*ret_size = (uint64_t)file.st_size;
	return 0;
}

int carom_memfd_check(int fd, uint64_t *ret_size)
{
	return check(fd, SEALS_READONLY, ret_size);
}

int carom_memfd_check_readable(int fd, uint64_t *ret_size)
{
	return check(fd, 0, ret_size);
}

/* Return: MAP_FAILED, or the mapping, which nobody wants in a core dump. */
static void *map(int fd, void *address, uint64_t size, int protection, int flags)
{
	void *data = mmap(address, size, protection, MAP_SHARED | flags, fd, 0);

	if (data != MAP_FAILED)
		madvise(data, size, MADV_DONTDUMP);
	return data;
}

static int map_error(int usual)
{
	return errno == EACCES || errno == EPERM || errno == EBADF ? -EBADMSG : usual;
}

int carom_memfd_map(int fd, void *wish, uint64_t size, void **ret_data)
{
	void *data = map(fd, wish, size, PROT_READ | PROT_WRITE, 0);

	if (data == MAP_FAILED)
		return map_error(-ENOMEM);
	*ret_data = data;
	return 0;
}

int carom_memfd_map_readable(int fd, uint64_t size, void **ret_data)
{
	void *data = map(fd, NULL, size, PROT_READ, 0);

	if (data == MAP_FAILED)
		return map_error(-ENOMEM);
	*ret_data = data;
	return 0;
}

int carom_memfd_map_at(int fd, void *address, uint64_t size)
{
	void *data = map(fd, address, size, PROT_READ | PROT_WRITE, MAP_FIXED_NOREPLACE);

	if (data == MAP_FAILED)
		return map_error(-EADDRINUSE);
	if (data == address)
		return 0;
	munmap(data, size); /* a kernel before 4.17 takes the address for a wish */
	return -EADDRINUSE;
}

/*
 * Where MADV_POPULATE_WRITE is missing. fallocate(2) comes first because it
 * reports what a touch would answer with SIGBUS; or-ing nothing into a word is a
 * write that changes nothing, whatever another process does there.
 */
static int populate_by_touching(int fd, unsigned char *data, uint64_t size)
{
	if (fallocate(fd, 0, 0, (off_t)size) < 0)
		return -ENOMEM;
	for (uint64_t at = 0; at < size; at += page_size())
		atomic_fetch_or_explicit((_Atomic unsigned char *)data + at, 0,
					 memory_order_relaxed); /* orders nothing */
	return 0;
}

int carom_memfd_populate(int fd, void *data, uint64_t size)
{
	if (size == 0)
		return 0;
	if (!carom_probe(CAROM_FEATURE_MADV_POPULATE))
		return populate_by_touching(fd, data, size);
	return madvise(data, size, MADV_POPULATE_WRITE) < 0 ? -ENOMEM : 0;
}
