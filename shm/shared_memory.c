/*
 * Shared memory
 *
 * A file in /dev/shm and one mapping of it.
 *
 *   N1  Of a name that was chosen at random the tracker knows before it exists, so a
 *       death in between leaves nothing. A name that was given might be somebody else's
 *       until this process has made it: that is registered after.
 *   N2  The pages are allocated before the file is mapped. No access within the size
 *       faults but for somebody who truncates the file.
 *   N3  A handle unlinks the file that it has mapped, not one that took the name since:
 *       as far as that can be told, by looking before. (There is no unlinking by
 *       descriptor; only processes of the same user could come in between.)
 */
#include "shm/shared_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "core/memory_room.h"
#include "core/options.h"
#include "core/pid_namespace.h"
#include "core/tracker.h"
#include "shm/memfd.h"

#define ATTEMPT_COUNT_MAX 100

/**
 * struct carom_shared_memory - one mapping
 * @data: NULL while half-built
 * @path: the name with a leading slash, as shm_open(3) wants it
 * @owner: the process that has registered it with the tracker; 0: none has
 */
struct carom_shared_memory {
	void *data;
	uint64_t size;
	int fd;
	pid_t owner;
	char path[CAROM_SHARED_MEMORY_NAME_MAX + 2];
};

/* ---- names ---- */

static int take_name(const char *name, size_t size, struct carom_shared_memory *memory)
{
	if (size && name[0] == '/') {
		name++;
		size--;
	}
	if (size == 0 || memchr(name, '/', size) || memchr(name, '\0', size))
		return -EINVAL;
	if (size > CAROM_SHARED_MEMORY_NAME_MAX)
		return -ENAMETOOLONG;
	memory->path[0] = '/';
	memcpy(memory->path + 1, name, size); /* zeroed behind it */
	return strcmp(memory->path, "/.") == 0 || strcmp(memory->path, "/..") == 0 ? -EINVAL : 0;
}

static int choose_name(struct carom_shared_memory *memory)
{
	uint32_t number;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return -EAGAIN;
	snprintf(memory->path, sizeof(memory->path), "/psm_%08x", number);
	return 0;
}

/* ---- registering ---- */

static int track(struct carom_shared_memory *memory)
{
	int r = carom_tracker_register(memory->path, CAROM_TRACKER_SHARED_MEMORY);

	if (r == 0)
		memory->owner = carom_pid_outside();
	return r;
}

/* a forked child has not registered it, and has nothing to take back */
static void untrack(struct carom_shared_memory *memory)
{
	if (memory->owner == carom_pid_outside())
		carom_tracker_unregister(memory->path, CAROM_TRACKER_SHARED_MEMORY);
	memory->owner = 0;
}

/* ---- making ---- */

static int create(struct carom_shared_memory *memory)
{
	memory->fd = shm_open(memory->path, O_RDWR | O_CREAT | O_EXCL, 0600);
	return memory->fd < 0 ? -errno : 0;
}

/* N1 */
static int create_named(struct carom_shared_memory *memory, const char *name, size_t name_size,
			bool tracked)
{
	int r = take_name(name, name_size ? name_size : strlen(name), memory);

	if (r == 0)
		r = create(memory);
	return r == 0 && tracked ? track(memory) : r;
}

static int create_somehow(struct carom_shared_memory *memory, bool tracked)
{
	int r = -EEXIST;

	for (int i = 0; r == -EEXIST && i < ATTEMPT_COUNT_MAX; i++) {
		r = choose_name(memory);
		if (r == 0 && tracked)
			r = track(memory);
		if (r < 0)
			return r;
		r = create(memory);
		if (r < 0)
			untrack(memory);
	}
	return r;
}

static int map(struct carom_shared_memory *memory)
{
	return carom_memfd_map(memory->fd, NULL, memory->size, &memory->data);
}

/* Bytes that its file system has left, of whatever memory there is. */
static uint64_t left_on(int fd)
{
	struct statvfs system;

	return fstatvfs(fd, &system) < 0 ? 0 : (uint64_t)system.f_bavail * system.f_frsize;
}

/* N2 */
static int give_size(struct carom_shared_memory *memory, uint64_t size)
{
	int r = carom_memfd_check_limit(size);

	if (r == 0 && size <= left_on(memory->fd) && size > carom_memory_room(""))
		r = -ENOMEM; /* where fallocate(2) would have the kernel kill somebody */
	if (r < 0)
		return r;
	do
		r = -posix_fallocate(memory->fd, 0, (off_t)size);
	while (r == -EINTR);
	memory->size = size;
	return r < 0 ? r : map(memory);
}

static struct carom_shared_memory *new_handle(void)
{
	struct carom_shared_memory *memory = calloc(1, sizeof(*memory));

	if (memory)
		memory->fd = -1;
	return memory;
}

int carom_shared_memory_new(const struct carom_shared_memory_options *options,
			    struct carom_shared_memory **ret_memory)
{
	CAROM_CLEANUP(carom_shared_memory_freep) struct carom_shared_memory *memory = NULL;
	struct carom_shared_memory_options o;
	int r = carom_options_take(options, &o, sizeof(o));

	if (r < 0)
		return r;
	if (o.size == 0)
		return -EINVAL;
	if (o.size > INT64_MAX)
		return -EFBIG;
	memory = new_handle();
	if (!memory)
		return -ENOMEM;
	r = o.name ? create_named(memory, o.name, o.name_size, !o.untracked)
		   : create_somehow(memory, !o.untracked);
	if (r == 0)
		r = give_size(memory, o.size);
	if (r < 0) {
		if (memory->fd >= 0)
			carom_shared_memory_unlink(memory);
		return r;
	}
	*ret_memory = carom_take_ptr(memory);
	return 0;
}

/* ---- attaching ---- */

static int look(struct carom_shared_memory *memory, uint64_t needed)
{
	struct stat file;

	if (fstat(memory->fd, &file) < 0)
		return -errno;
	if (!S_ISREG(file.st_mode) || file.st_size <= 0 || (uint64_t)file.st_size < needed)
		return -EBADMSG;
	memory->size = (uint64_t)file.st_size;
	return 0;
}

int carom_shared_memory_attach_sized(const char *name, size_t name_size, uint64_t size,
				     struct carom_shared_memory **ret_memory)
{
	CAROM_CLEANUP(carom_shared_memory_freep) struct carom_shared_memory *memory = new_handle();
	int r;

	if (!memory)
		return -ENOMEM;
	r = name ? take_name(name, name_size, memory) : -EINVAL;
	if (r < 0)
		return r;
	/* a FIFO that stands there is not to be waited for */
	memory->fd = shm_open(memory->path, O_RDWR | O_NONBLOCK, 0);
	if (memory->fd < 0)
		return errno == ENXIO || errno == EISDIR || errno == ELOOP ? -EBADMSG : -errno;
	r = look(memory, size);
	if (r == 0)
		r = map(memory);
	if (r < 0)
		return r;
	*ret_memory = carom_take_ptr(memory);
	return 0;
}

int carom_shared_memory_attach(const char *name, uint64_t size,
			       struct carom_shared_memory **ret_memory)
{
	return carom_shared_memory_attach_sized(name, name ? strlen(name) : 0, size, ret_memory);
}

/* ---- the end ---- */

/* N3 */
static bool is_ours(const struct carom_shared_memory *memory)
{
	struct stat named, mapped;
	int fd = shm_open(memory->path, O_RDONLY | O_NONBLOCK, 0);
	bool is = fd >= 0 && fstat(fd, &named) == 0 && fstat(memory->fd, &mapped) == 0 &&
		  named.st_dev == mapped.st_dev && named.st_ino == mapped.st_ino;

	carom_closep(&fd);
	return is;
}

int carom_shared_memory_unlink(struct carom_shared_memory *memory)
{
	int r = is_ours(memory) ? 0 : -ENOENT;

	if (r == 0 && shm_unlink(memory->path) < 0)
		r = -errno;
	if (r == 0 || r == -ENOENT)
		untrack(memory);
	return r;
}

struct carom_shared_memory *carom_shared_memory_free(struct carom_shared_memory *memory)
{
	if (!memory)
		return NULL;
	if (memory->data)
		munmap(memory->data, memory->size);
	carom_closep(&memory->fd);
	free(memory);
	return NULL;
}

void carom_shared_memory_freep(struct carom_shared_memory **memory)
{
	*memory = carom_shared_memory_free(*memory);
}

/* ---- looking ---- */

void *carom_shared_memory_data(const struct carom_shared_memory *memory)
{
	return memory->data;
}

uint64_t carom_shared_memory_size(const struct carom_shared_memory *memory)
{
	return memory->size;
}

const char *carom_shared_memory_name(const struct carom_shared_memory *memory)
{
	return memory->path + 1;
}
