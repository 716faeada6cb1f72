/*
 * Contained
 *
 *	contained [-u UID] [-s SHM] [-c NUMBER]... PROFILE PROGRAM [ARGUMENT]...
 *
 * runs PROGRAM as in a container of that runtime: its system calls are answered as
 * tests/containers/profile.c has it, it has a container's capabilities, /proc/sys, /sys
 * and the cgroups are read-only, and /dev/shm has 64 MiB.
 *
 *	-u UID     as this user, without any capability
 *	-s SHM     /dev/shm as mount(8) takes a size ("4k"); "none": nothing can be made there
 *	-c NUMBER  the capability is there as well (21: CAP_SYS_ADMIN)
 *
 * What the user who runs it may not do, mounting say, is left as it is; the filter is
 * always there. `contained -l` lists the profiles.
 */
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/containers/profile.h"

#define EXIT_CANNOT 125 /* as env(1) and its like have it */
#define CAP(name)   (UINT64_C(1) << (name))

/* What the runtimes give a container by default. */
#define USUAL                                                                                  \
	(CAP(CAP_CHOWN) | CAP(CAP_DAC_OVERRIDE) | CAP(CAP_FOWNER) | CAP(CAP_FSETID) |          \
	 CAP(CAP_KILL) | CAP(CAP_SETGID) | CAP(CAP_SETUID) | CAP(CAP_SETPCAP) |                \
	 CAP(CAP_NET_BIND_SERVICE) | CAP(CAP_NET_RAW) | CAP(CAP_SYS_CHROOT) | CAP(CAP_MKNOD) | \
	 CAP(CAP_AUDIT_WRITE) | CAP(CAP_SETFCAP))

struct wish {
	const struct profile *profile;
	const char *shm;
	uid_t uid;
	uint64_t capabilities;
};

static _Noreturn void fail(const char *what, int error)
{
	fprintf(stderr, "contained: %s: %s\n", what, strerror(error));
	exit(EXIT_CANNOT);
}

/* --- file systems -------------------------------------------------------- */

static void make_read_only(const char *path)
{
	if (mount(path, path, NULL, MS_BIND | MS_REC, NULL) == 0)
		mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV,
		      NULL);
}

/* Whatever is mounted at @path or below: as it stands in the list, the deepest come last. */
static void make_all_read_only(const char *path)
{
	FILE *mounts = fopen("/proc/self/mounts", "re");
	char line[4096], where[4096];

	while (mounts && fgets(line, sizeof(line), mounts))
		if (sscanf(line, "%*s %4095s", where) == 1 &&
		    strncmp(where, path, strlen(path)) == 0)
			mount(NULL, where, NULL,
			      MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			      NULL);
	if (mounts)
		fclose(mounts);
}

static void mount_shm(const char *size)
{
	bool is_none = strcmp(size, "none") == 0;
	char data[64];

	snprintf(data, sizeof(data), "mode=1777,size=%s", is_none ? "4k" : size);
	mount("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, data);
	if (is_none)
		mount(NULL, "/dev/shm", NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL);
}

static void mount_all(const struct wish *wish)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return;
	make_read_only("/proc/sys");
	make_all_read_only("/sys");
	mount_shm(wish->shm);
}

/* --- rights -------------------------------------------------------------- */

static uint64_t own_capabilities(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	syscall(SYS_capget, &header, data);
	return data[0].permitted | (uint64_t)data[1].permitted << 32;
}

static void keep_capabilities(uint64_t kept)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2];

	kept &= own_capabilities();
	for (int cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
		if (!(kept & CAP(cap)))
			prctl(PR_CAPBSET_DROP, cap);
	for (int i = 0; i < 2; i++) {
		data[i].effective = data[i].permitted = (uint32_t)(kept >> 32 * i);
		data[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, data) < 0)
		fail("capset", errno);
}

static void become(uid_t uid)
{
	if (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 || setresuid(uid, uid, uid) < 0)
		fail("becoming another user", errno);
}

/* The filter comes before the rights are given up that loading it needs; what it denies we need no more. */
static void contain(const struct wish *wish)
{
	int r;

	mount_all(wish);
	r = profile_load(wish->profile, wish->uid ? 0 : wish->capabilities);
	if (r < 0)
		fail("seccomp", -r);
	if (geteuid() != 0)
		return;
	keep_capabilities(wish->capabilities);
	if (wish->uid)
		become(wish->uid);
}

/* --- the program --------------------------------------------------------- */

static _Noreturn void usage(void)
{
	fprintf(stderr, "usage: contained [-l] [-u UID] [-s SHM] [-c NUMBER]... PROFILE PROGRAM "
			"[ARGUMENT]...\n");
	exit(EXIT_CANNOT);
}

static _Noreturn void list(void)
{
	for (size_t i = 0; i < profile_count; i++)
		printf("%-10s %s\n", profiles[i].name, profiles[i].is);
	exit(0);
}

static void read_options(int argc, char **argv, struct wish *wish)
{
	int option;

	while ((option = getopt(argc, argv, "+lu:s:c:")) >= 0) {
		if (option == 'l')
			list();
		else if (option == 'u')
			wish->uid = (uid_t)strtoul(optarg, NULL, 10);
		else if (option == 's')
			wish->shm = optarg;
		else if (option == 'c')
			wish->capabilities |= CAP(strtoul(optarg, NULL, 10));
		else
			usage();
	}
	if (argc - optind < 2)
		usage();
}

int main(int argc, char **argv)
{
	struct wish wish = { .shm = "64m", .capabilities = USUAL };

	read_options(argc, argv, &wish);
	wish.profile = profile_find(argv[optind]);
	if (!wish.profile)
		usage();
	contain(&wish);
	execvp(argv[optind + 1], argv + optind + 1);
	fail(argv[optind + 1], errno);
}
