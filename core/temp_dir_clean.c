/*
 * Directory for temporary files: those of programs that were killed
 *
 * What is removed is what carom_temp_dir_disown() gives: nobody lives who uses it. It is
 * a directory of this user that nobody else can look into, in a place where nobody else
 * can put another in its stead; so while it is taken apart by paths, those stay what
 * they were, also for root.
 */
#include "core/temp_dir_clean.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/temp_dir_owner.h"
#include "core/temp_dir_private.h"

/* carom-XXXXXX */
static bool is_name(const char *name)
{
	return strncmp(name, CAROM_TEMP_DIR_PREFIX, strlen(CAROM_TEMP_DIR_PREFIX)) == 0 &&
	       strlen(name) == strlen(CAROM_TEMP_DIR_PREFIX) + strlen("XXXXXX");
}

static bool is_own(int fd)
{
	struct stat status;

	return fstat(fd, &status) == 0 && status.st_uid == geteuid() && (status.st_mode & 077) == 0;
}

/* One of them, which may be gone by now. */
static void clean_one(int place_fd, const char *name, const char *path, bool is_dry_run,
		      carom_temp_dir_told_fn *told, void *userdata)
{
	CAROM_CLEANUP(carom_closep)
	int fd = openat(place_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	CAROM_CLEANUP(carom_closep) int mark_fd = -1;

	if (fd < 0 || !is_own(fd) || carom_temp_dir_disown(fd, &mark_fd) < 0)
		return;
	told(path, is_dry_run ? 0 : carom_temp_dir_remove(path), userdata);
}

/* Anybody may make things in it: then only a sticky one keeps them where they are. */
static bool is_safe(int fd)
{
	struct stat status;

	if (fstat(fd, &status) < 0)
		return false;
	if (status.st_uid != geteuid() && status.st_uid != 0)
		return false;
	return (status.st_mode & 022) == 0 || (status.st_mode & S_ISVTX);
}

static int clean_in(DIR *place, const char *place_path, bool is_dry_run,
		    carom_temp_dir_told_fn *told, void *userdata)
{
	const struct dirent *entry;
	char path[PATH_MAX + NAME_MAX + 2];

	if (!is_safe(dirfd(place)))
		return -EPERM;
	while ((entry = readdir(place)))
		if (is_name(entry->d_name)) {
			snprintf(path, sizeof(path), "%s/%s", place_path, entry->d_name);
			clean_one(dirfd(place), entry->d_name, path, is_dry_run, told, userdata);
		}
	return 0;
}

int carom_temp_dir_clean(bool is_dry_run, carom_temp_dir_told_fn *told, void *userdata)
{
	char path[PATH_MAX];
	int r = carom_temp_dir_place(path);
	DIR *place;

	if (r < 0)
		return r;
	place = opendir(path);
	if (!place)
		return -errno;
	r = clean_in(place, path, is_dry_run, told, userdata);
	closedir(place);
	return r;
}
