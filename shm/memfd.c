/*
 * Memfd
 *
 *   I1  A file is sealed before its descriptor leaves carom_memfd_new(), so no
 *       holder of it ever saw a size that can change.
 *   I2  Nothing is taken from the machine before a page is touched: neither
 *       memfd_create(2) nor a shared mapping of it reserves, so a file of
 *       hundreds of GiB costs nothing until it is used.
 */
#include "shm/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/memory_file.h"
#include "core/probe.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif

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

int carom_memfd_new(const char *name, uint64_t size, int *ret_fd)
{
	CAROM_CLEANUP(carom_closep) int fd = carom_memory_file_new(name);
	int r;

	if (fd < 0)
		return fd;
	r = resize(fd, size);
	if (r < 0)
		return r;
	if (fcntl(fd, F_ADD_SEALS, SEALS_FIXED | F_SEAL_SEAL) < 0)
		return -errno;
	*ret_fd = carom_take_fd(fd);
	return 0;
}

int carom_memfd_check(int fd, uint64_t *ret_size)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct stat file;

	if (seals < 0)
		return errno == EBADF ? -EBADF : -EBADMSG;
	if ((seals & SEALS_FIXED) != SEALS_FIXED || (seals & SEALS_READONLY))
		return -EBADMSG;
	if (fstat(fd, &file) < 0 || file.st_size <= 0)
		return -EBADMSG;
	if ((uint64_t)file.st_size % page_size() != 0)
		return -EBADMSG;
	*ret_size = (uint64_t)file.st_size;
	return 0;
}

/* Return: MAP_FAILED, or the mapping, which nobody wants in a core dump. */
static void *map(int fd, void *address, uint64_t size, int flags)
{
	void *data = mmap(address, size, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0);

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
	void *data = map(fd, wish, size, 0);

	if (data == MAP_FAILED)
		return map_error(-ENOMEM);
	*ret_data = data;
	return 0;
}

int carom_memfd_map_at(int fd, void *address, uint64_t size)
{
	void *data = map(fd, address, size, MAP_FIXED_NOREPLACE);

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
