/*
 * Sandbox: namespaces
 *
 * Entered by the process itself, by unshare(2), so that the way in which it was made does
 * not matter. A user namespace maps its user and group to themselves, and gives it all
 * capabilities inside, which the next layers need and the one after them takes away.
 *
 * Not the one of pids: a process stays in that it was made in. Its maker has it born there
 * (carom_sandbox_namespaces(), core/pid_namespace.h), and it finds out here that it was.
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

#include "core/pid_namespace.h"
#include "core/sandbox_private.h"

static int enter_user(void)
{
	unsigned int user = geteuid(), group = getegid();

	return unshare(CLONE_NEWUSER) < 0 ? -errno : carom_user_map(user, group);
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

static int find_inside(const struct carom_sandbox_order *order)
{
	if (carom_is_inside())
		return 0;
	return order->namespace_error ? (int)order->namespace_error : -EOPNOTSUPP;
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
	case CAROM_SANDBOX_PID_NAMESPACE:
		return find_inside(order);
	case CAROM_SANDBOX_MOUNT_NAMESPACE:
		return enter_mount(order);
	default:
		return -EOPNOTSUPP;
	}
}
