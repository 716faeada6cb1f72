/*
 * Directory for temporary files
 *
 * `is_made` says that `directory` is complete: a child may be forked while it is being
 * written. Who removes it is decided by the finalizer, which belongs to the process
 * that made it; a child has a copy of the path and no finalizer.
 *
 * A process that is killed runs no finalizer. That nobody owns the directory any more is
 * then told by a mark in it (core/temp_dir_owner.c), for carom_temp_dir_clean().
 */
#include "core/temp_dir.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/finalizer.h"
#include "core/fork_lock.h"
#include "core/temp_dir_owner.h"
#include "core/temp_dir_private.h"

#define NAME          "/" CAROM_TEMP_DIR_PREFIX "XXXXXX"
#define SIZE          (PATH_MAX + sizeof(NAME))
#define OPEN_FDS_MAX  16
#define ATTEMPT_COUNT 10

static CAROM_FORK_LOCK(lock);
static char *directory; /* SIZE bytes, once there is one: not among what all children write to */
static _Atomic bool is_made;
static int owner_fd; /* of the process that has the finalizer */

/* ---- its end ---- */

static _Thread_local int first_error;

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
	if (remove(path) < 0 && errno != ENOENT && first_error == 0)
		first_error = -errno;
	return 0;
}

int carom_temp_dir_remove(const char *path)
{
	first_error = 0;
	if (nftw(path, remove_one, OPEN_FDS_MAX, FTW_DEPTH | FTW_PHYS | FTW_MOUNT) < 0 &&
	    errno != ENOENT)
		return -errno;
	return first_error;
}

/* a finalizer */
static int remove_all(void *unused)
{
	char path[SIZE];
	bool is_owned;
	int fd, r;

	carom_fork_lock_acquire(&lock);
	memcpy(path, directory, sizeof(path));
	atomic_store(&is_made, false);
	fd = owner_fd;
	carom_fork_lock_release(&lock);
	is_owned = carom_temp_dir_is_owned(path, fd);
	r = carom_temp_dir_remove(path);
	if (is_owned) /* else it is a descriptor of somebody else by now */
		close(fd);
	return r;
}

/* ---- its beginning ---- */

int carom_temp_dir_place(char *ret_path)
{
	const char *place = secure_getenv("TMPDIR");

	return realpath(place && *place ? place : "/tmp", ret_path) ? 0 : -errno;
}

static int need_memory(void)
{
	if (!directory)
		directory = calloc(1, SIZE);
	return directory ? 0 : -ENOMEM;
}

/* Return: 0; -EAGAIN: it is gone again; ... */
static int make_one(int *ret_fd)
{
	int r = need_memory();

	if (r == 0)
		r = carom_temp_dir_place(directory);
	if (r < 0)
		return r;
	strcat(directory, NAME); /* there is room for both */
	if (!mkdtemp(directory))
		return -errno;
	r = carom_temp_dir_own(directory, ret_fd);
	if (r < 0 && r != -EAGAIN)
		carom_temp_dir_remove(directory);
	return r;
}

static int make(void)
{
	int fd, r, attempt = 0;

	do
		r = make_one(&fd);
	while (r == -EAGAIN && ++attempt < ATTEMPT_COUNT);
	if (r < 0)
		return r;
	r = carom_finalizer_add(CAROM_FINALIZER_TEMP_DIR, remove_all, NULL, NULL);
	if (r < 0) {
		carom_temp_dir_remove(directory);
		close(fd);
		return r;
	}
	owner_fd = fd;
	return 0;
}

int carom_temp_dir(const char **ret_path)
{
	int r = 0;

	carom_fork_lock_acquire(&lock);
	if (!atomic_load(&is_made))
		r = make();
	if (r == 0) {
		atomic_store(&is_made, true);
		*ret_path = directory;
	}
	carom_fork_lock_release(&lock);
	return r;
}

/* ---- its way to a child ---- */

const char *carom_temp_dir_made(void)
{
	return atomic_load(&is_made) ? directory : NULL;
}

void carom_temp_dir_inherit(const char *path)
{
	bool fits = path && strlen(path) < SIZE && need_memory() == 0;

	if (fits)
		memmove(directory, path, strlen(path) + 1); /* by fork, it is this very one */
	atomic_store(&is_made, fits);
}
