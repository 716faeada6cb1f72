/*
 * Cgroup: the base
 *
 * Where the own group stands is core/cgroup.h's. Of several mounts that show it the
 * first that can be written serves; if none can, the last one's reason is told. What is
 * looked at:
 *
 *	cgroup.procs, the directory	writable: EROFS in most containers, EACCES where
 *					nobody delegated the group to this user
 *	cgroup.type			"domain"; none in the root of the hierarchy
 *	cgroup.events			none in the root of the hierarchy; the root of a
 *					cgroup namespace, "/" too, has one
 *
 * A copy of a program that has a home, and a program started by it, stand in HOME/program.
 * Nothing can be made there without moving the program itself, so theirs stands beside
 * that home: the base is the same.
 */
#include "core/cgroup_base.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/cgroup.h"
#include "core/cgroup_file.h"
#include "core/cgroup_group.h"
#include "core/cleanup.h"
#include "core/probe.h"

int carom_cgroup_say(char *reason, int error, const char *format, ...)
{
	va_list arguments;

	if (!reason)
		return error;
	va_start(arguments, format);
	vsnprintf(reason, CAROM_CGROUP_REASON_SIZE, format, arguments);
	va_end(arguments);
	return error;
}

/* --- names ------------------------------------------------------------- */

static const char *skip_digits(const char *text)
{
	while (isdigit((unsigned char)*text))
		text++;
	return text;
}

bool carom_cgroup_home_is_name(const char *name)
{
	const char *pid = name + strlen(CAROM_CGROUP_HOME_PREFIX);
	const char *dot;

	if (strncmp(name, CAROM_CGROUP_HOME_PREFIX, strlen(CAROM_CGROUP_HOME_PREFIX)) != 0)
		return false;
	dot = skip_digits(pid);
	return dot > pid && *dot == '.' && isdigit((unsigned char)dot[1]) && !*skip_digits(dot + 1);
}

/* Out of HOME/program; @path stays as it is where it is no such. */
static void leave_other_home(const struct carom_cgroup_place *place)
{
	char whole[PATH_MAX];

	if (strlen(place->path) >= sizeof(whole))
		return;
	strcpy(whole, place->path);
	if (strcmp(basename(place->path), CAROM_CGROUP_PROGRAM) == 0 &&
	    carom_cgroup_ascend(place) && carom_cgroup_home_is_name(basename(place->path)) &&
	    carom_cgroup_ascend(place))
		return;
	strcpy(place->path, whole);
}

/* --- one place --------------------------------------------------------- */

const char *carom_cgroup_scope(void)
{
	return geteuid() == 0 ? "systemd-run --scope -p Delegate=yes PROGRAM"
			      : "systemd-run --user --scope -p Delegate=yes PROGRAM";
}

static int refuse(const char *path, int error, char *reason)
{
	switch (error) {
	case -EROFS:
		return carom_cgroup_say(
			reason, error,
			"%s is mounted read-only, as in most containers: start the container with "
			"a writable one (podman run --security-opt unmask=/sys/fs/cgroup)",
			path);
	case -EACCES:
	case -EPERM:
		return carom_cgroup_say(reason, error,
					"%s was not delegated to this user: start the program by "
					"`%s`",
					path, carom_cgroup_scope());
	default:
		return carom_cgroup_say(reason, error, "%s: %s", path, strerror(-error));
	}
}

/* Groups below one that divides the threads of a process have no memory of their own. */
static int check_type(int fd, const char *path, char *reason)
{
	char type[64];
	int r = carom_cgroup_file_read(fd, "cgroup.type", type, sizeof(type));

	if (r == -ENOENT || (r == 0 && strcmp(type, "domain\n") == 0))
		return 0;
	if (r < 0)
		return refuse(path, r, reason);
	type[strcspn(type, "\n")] = '\0';
	return carom_cgroup_say(reason, -EOPNOTSUPP,
				"%s/cgroup.type is \"%s\": groups of processes can be made only "
				"in a \"domain\"",
				path, type);
}

static int take_place(struct carom_cgroup_place *place, char *reason,
		      struct carom_cgroup_base *ret_base)
{
	CAROM_CLEANUP(carom_closep) int fd = -1;
	int r;

	leave_other_home(place);
	if (strlen(place->path) >= sizeof(ret_base->path))
		return refuse("the own cgroup", -ENAMETOOLONG, reason);
	fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = fd < 0 ? -errno : carom_cgroup_check(fd);
	if (r < 0)
		return refuse(place->path, r, reason);
	r = check_type(fd, place->path, reason);
	if (r < 0)
		return r;
	ret_base->is_root = faccessat(fd, "cgroup.events", F_OK, 0) < 0;
	strcpy(ret_base->path, place->path);
	ret_base->fd = carom_take_fd(fd);
	return 0;
}

/* --- all places -------------------------------------------------------- */

/**
 * struct search
 * @r: 1: none was looked at yet; else what take_place() said of the last one
 */
struct search {
	struct carom_cgroup_base *base;
	char *reason;
	int r;
};

static int visit(const struct carom_cgroup_place *place, void *userdata)
{
	struct carom_cgroup_place ours = *place;
	struct search *search = userdata;

	if (search->r != 0 && place->is_own)
		search->r = take_place(&ours, search->reason, search->base);
	return 0;
}

int carom_cgroup_base_open(const char *root, char *reason, struct carom_cgroup_base *ret_base)
{
	struct carom_cgroup_base base = { .fd = -1 };
	struct search search = { &base, reason, 1 };
	int r;

	if (carom_probe_error(CAROM_FEATURE_CGROUP_V2) == -ECANCELED)
		return carom_cgroup_say(reason, -ECANCELED, "CAROM_DENY names cgroup_v2");
	r = carom_cgroup_places(root, NULL, visit, &search);
	if (r < 0)
		return carom_cgroup_say(reason, r == -ENOMEM ? r : -EOPNOTSUPP,
					"the own cgroup cannot be found out from /proc/self: %s",
					strerror(-r));
	if (search.r > 0)
		return carom_cgroup_say(reason, -EOPNOTSUPP,
					"no cgroup v2 is mounted so that it shows the own group");
	if (search.r == 0)
		*ret_base = base;
	return search.r == -ENOENT ? -EOPNOTSUPP : search.r;
}
