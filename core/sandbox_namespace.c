/*
 * Sandbox: namespaces
 *
 * Entered by the process itself, by unshare(2), so that the way in which it was made does
 * not matter. A user namespace maps its user and group to themselves, and gives it all
 * capabilities inside, which the next layers need and the one after them takes away.
 *
 * Not for pids: a process stays in the pid namespace it was made in, and to be made in a
 * new one would make it its process 1:
 *
 *	signals		with their default action do nothing to it, from inside; from outside
 *			only SIGKILL and SIGSTOP do. terminate() would be a kill()
 *	robust futexes	hold the tid in the namespace of who holds them (the kernel compares
 *			task_pid_vnr() with it before it marks a dead holder's word). So each
 *			such worker's is 1: it would take another one's lock for its own, and
 *			the word that tells its death for that of somebody else. With one more
 *			process to be process 1, or one namespace for a whole pool, tids of
 *			workers and of the program still are of two countings, and may be equal
 *	orphans		of what it has started would be its to reap
 *
 * The first and the last could be lived with. The second cannot: that death frees what was
 * held is what the task path and the locks stand on.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/sandbox_private.h"

static int write_file(const char *path, const char *text)
{
	CAROM_CLEANUP(carom_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int map_to_itself(const char *path, unsigned id)
{
	char line[48];

	snprintf(line, sizeof(line), "%u %u 1", id, id);
	return write_file(path, line);
}

static int enter_user(void)
{
	unsigned user = geteuid(), group = getegid();
	int r;

	if (unshare(CLONE_NEWUSER) < 0)
		return -errno;
	r = write_file("/proc/self/setgroups", "deny");
	if (r == 0)
		r = map_to_itself("/proc/self/uid_map", user);
	return r < 0 ? r : map_to_itself("/proc/self/gid_map", group);
}

/* any directory will do: it is where the new root stands until it is the root */
static const char *somewhere(void)
{
	static const char *const places[] = { "/tmp", "/usr", "/etc", "/proc", "/dev" };
	struct stat status;

	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (stat(places[i], &status) == 0 && S_ISDIR(status.st_mode))
			return places[i];
	return "/";
}

/* on the first file system of a kernel nothing can be pivoted: then it is covered */
static int become_root(void)
{
	if (syscall(SYS_pivot_root, ".", ".") == 0)
		return umount2(".", MNT_DETACH) < 0 ? -errno : 0;
	if (errno != EINVAL)
		return -errno;
	return mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ? -errno : 0;
}

static int empty_root(void)
{
	const char *place = somewhere();
	int r;

	if (mount("none", place, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "size=4k,nr_inodes=2,mode=0555") < 0 ||
	    chdir(place) < 0)
		return -errno;
	r = become_root();
	return r < 0 ? r : chdir("/") < 0 ? -errno : 0;
}

static int enter_mount(const struct carom_sandbox_order *order)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	return order->empty_root ? empty_root() : 0;
}

int carom_sandbox_unshare(enum carom_sandbox_layer layer, const struct carom_sandbox_order *order)
{
	switch (layer) {
	case CAROM_SANDBOX_USER_NAMESPACE:
		return enter_user();
	case CAROM_SANDBOX_NET_NAMESPACE:
		return unshare(CLONE_NEWNET) < 0 ? -errno : 0;
	case CAROM_SANDBOX_IPC_NAMESPACE:
		return unshare(CLONE_NEWIPC) < 0 ? -errno : 0;
	case CAROM_SANDBOX_MOUNT_NAMESPACE:
		return enter_mount(order);
	default:
		return -EOPNOTSUPP;
	}
}
