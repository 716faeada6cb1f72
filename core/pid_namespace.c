/*
 * Pid namespace
 *
 *   N1  A child inside has learnt its pid outside before it does anything else, from the
 *       only place that has it: the link /proc/self, of the program's /proc. One that cannot
 *       does not begin.
 *   N2  A child that it forks is inside as well, by another pid.
 *
 * Its parent's death. PR_SET_PDEATHSIG works across namespaces: the signal comes from an
 * ancestor's, so SIGKILL has its effect. getppid(2) does not tell whether the parent had
 * gone before: its pidfd does, see core/forkserver_serve.c. The signal of a pipe (core/guard.c)
 * is none from an ancestor, and would do nothing: so only the fork server makes such children.
 *
 * Its own death, and who hears of it:
 *
 *	at any instruction     the kernel marks its life word by its own tid, 1, which is what
 *	                       the parent has stored there; wakes; tells the pidfd
 *	with processes inside  these are killed first, and reaped: the pidfd becomes readable
 *	                       when the last one is gone. The word does not wait for them
 *	before it has settled  as any death between birth and admission
 *	the namespace          goes with its last process; it is held by nothing else
 */
#include "core/pid_namespace.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/cleanup.h"

static bool is_inside;
static pid_t outside;

bool carom_is_inside(void)
{
	return is_inside;
}

/* child: AS-Safe calls only. 0: it cannot be had */
static pid_t read_own_link(void)
{
	char text[16];
	ssize_t n = readlink("/proc/self", text, sizeof(text) - 1);

	if (n <= 0)
		return 0;
	text[n] = '\0';
	return (pid_t)strtol(text, NULL, 10);
}

pid_t carom_pid_outside(void)
{
	if (!is_inside)
		return getpid();
	return getpid() == 1 ? outside : read_own_link(); /* N2 */
}

/* --- signals ----------------------------------------------------------- */

/* No other: 128 + SIGPROF is what a worker says when it has done its share. */
static const int ending[] = { SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGTERM };

int carom_ending_status(int number)
{
	return 128 + number;
}

static void end_by_status(int number)
{
	_exit(carom_ending_status(number));
}

static bool ends(int number)
{
	for (size_t i = 0; i < sizeof(ending) / sizeof(*ending); i++)
		if (ending[i] == number)
			return true;
	return false;
}

sighandler_t carom_ending_action(int number)
{
	return is_inside && ends(number) ? end_by_status : SIG_DFL;
}

static void take_signals(void)
{
	for (size_t i = 0; i < sizeof(ending) / sizeof(*ending); i++)
		signal(ending[i], end_by_status);
}

/* --- the user ---------------------------------------------------------- */

static int write_file(const char *path, const char *text)
{
	CAROM_CLEANUP(carom_closep) int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int map_to_itself(const char *path, unsigned int id)
{
	char line[48];

	snprintf(line, sizeof(line), "%u %u 1", id, id);
	return write_file(path, line);
}

int carom_user_map(unsigned int user, unsigned int group)
{
	int r = write_file("/proc/self/setgroups", "deny");

	if (r == 0)
		r = map_to_itself("/proc/self/uid_map", user);
	return r < 0 ? r : map_to_itself("/proc/self/gid_map", group);
}

/* --- birth ------------------------------------------------------------- */

struct carom_birthplace carom_birthplace_take(uint64_t namespaces)
{
	return (struct carom_birthplace){
		.namespaces = namespaces,
		.user = geteuid(),
		.group = getegid(),
	};
}

int carom_birthplace_settle(const struct carom_birthplace *place)
{
	if (!place->namespaces)
		return 0;
	is_inside = true;
	outside = read_own_link();
	if (outside <= 0)
		return -EOPNOTSUPP;
	take_signals();
	return place->namespaces & CLONE_NEWUSER ? carom_user_map(place->user, place->group) : 0;
}
