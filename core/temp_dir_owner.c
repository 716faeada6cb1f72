/*
 * Directory for temporary files: whose it is
 *
 *   O1  The owner holds a flock(2) on the mark, which the kernel lets go of when the last
 *       descriptor of it is closed, at the latest when the owner is dead. So the mark
 *       tells of the owner's life in whatever pid namespace it lives. A copy of it by a
 *       plain fork() has the descriptor, too, and counts as the owner.
 *   O2  Nothing is removed but by who holds the lock. It goes with the directory: who
 *       gets the lock of a file that has no name any more has got nothing.
 *
 *	owner				who removes
 *	mkdtemp()			finds no mark: leaves it alone
 *	makes the mark			opens it, and is first at the lock: removes all.
 *	  then fails to lock it, or finds it without a name: makes another directory
 *	locks the mark			finds it locked: leaves it alone
 *	is killed			the lock is free: removes all
 *	is killed before the mark	finds no mark: an empty directory is left for good
 *					who cleans and is killed at the end leaves the same
 *
 * A program may close descriptors that are not its own, as daemons do, and so lose the
 * lock. For that case the mark also says its pid and pid namespace: where that is this
 * one and there is such a process, the directory is left alone as well.
 */
#include "core/temp_dir_owner.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/points.h"

#define MARK ".owner"

/* Return: 0, -EBUSY (another has it), -ENOENT (it was removed), or what flock(2) says. */
static int lock_mark(int fd)
{
	struct stat status;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	if (fstat(fd, &status) < 0)
		return -errno;
	return status.st_nlink > 0 ? 0 : -ENOENT; /* O2 */
}

static uint64_t own_namespace(void)
{
	struct stat status;

	return stat("/proc/self/ns/pid", &status) == 0 ? status.st_ino : 0;
}

/* --- the owner --------------------------------------------------------- */

static int write_owner(int fd)
{
	char text[64];
	int length = snprintf(text, sizeof(text), "%d %" PRIu64 "\n", getpid(), own_namespace());
	ssize_t n = write(fd, text, (size_t)length);

	if (n < 0)
		return -errno;
	return n == length ? 0 : -ENOSPC;
}

int carom_temp_dir_own(const char *directory, int *ret_fd)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;
	char path[PATH_MAX + 64];
	int r;

	snprintf(path, sizeof(path), "%s/" MARK, directory);
	CAROM_POINT("temp_dir.made");
	fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	CAROM_POINT("temp_dir.marked");
	r = lock_mark(fd);
	if (r < 0)
		return r == -EBUSY || r == -ENOENT ? -EAGAIN : r;
	r = write_owner(fd);
	if (r < 0)
		return r;
	*ret_fd = carom_take_fd(fd);
	return 0;
}

bool carom_temp_dir_is_owned(const char *directory, int fd)
{
	struct stat opened, named;
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "%s/" MARK, directory);
	return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 &&
	       opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

/* --- who comes after it --------------------------------------------------- */

/* Is the process that the mark names still there, as far as can be told from here? */
static bool owner_lives(int fd)
{
	char text[64];
	uint64_t namespace;
	int pid;
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return false;
	text[n] = '\0';
	if (sscanf(text, "%d %" SCNu64, &pid, &namespace) != 2 || pid <= 0)
		return false;
	return namespace == own_namespace() && (kill(pid, 0) == 0 || errno != ESRCH);
}

int carom_temp_dir_disown(int directory_fd, int *ret_fd)
{
	CAROM_CLEANUP(carom_closep)
	int fd = openat(directory_fd, MARK, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int r;

	if (fd < 0)
		return -errno;
	r = lock_mark(fd);
	if (r < 0)
		return r;
	if (owner_lives(fd))
		return -EBUSY;
	*ret_fd = carom_take_fd(fd);
	return 0;
}
