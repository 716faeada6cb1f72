/* What tests of killed and dying processes share: chance, and the dead. */
#ifndef TESTS_CHAOS_DEAD_H
#define TESTS_CHAOS_DEAD_H

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/process.h"
#include "core/time.h"

#define HANG_SECONDS 30

/* --- chance ------------------------------------------------------------- */

static inline uint64_t number_from_environment(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static inline uint64_t new_seed(void)
{
	uint64_t seed = number_from_environment("CAROM_SEED", carom_now());

	fprintf(stderr, "# CAROM_SEED=%" PRIu64 "\n", seed);
	return seed;
}

static inline uint32_t chance(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15)); /* splitmix64 */

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (uint32_t)(z >> 32);
}

/* --- the dead ----------------------------------------------------------- */

static inline void interrupt(int signal_number)
{
}

/* Who is still there, and where it hangs; then it is ended. */
static inline void name_survivors(void)
{
	FILE *children =
		popen("exec ps h -o pid,ppid,pgid,stat,wchan:24,blocked,pending,args --ppid "
		      "$PPID",
		      "r");
	char line[4096];

	while (children && fgets(line, sizeof(line), children)) {
		pid_t pid = (pid_t)strtol(line, NULL, 10);
		siginfo_t info;

		fprintf(stderr, "# survivor: %s", line);
		/* nobody else reaps it, so it is still the same one; 0, of the rest of a long line, is none */
		if (pid > 0 &&
		    waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) == 0)
			kill(pid, SIGKILL);
	}
	if (children)
		pclose(children);
}

/* All descendants are ours, since we are their subreaper. Return: how many; -1: some do not end */
static inline int bury_all(void)
{
	struct sigaction action = { .sa_handler = interrupt }; /* no SA_RESTART */
	int count = 0;

	sigaction(SIGALRM, &action, NULL);
	alarm(HANG_SECONDS);
	while (waitpid(-1, NULL, __WALL) > 0)
		count++;
	alarm(0);
	if (errno == ECHILD)
		return count;
	name_survivors();
	return -1;
}

/* What is open, for a count that is not as it should be. */
static inline void name_fds(void)
{
	char command[128];

	snprintf(command, sizeof(command),
		 "ls -l /proc/%d/fd | sed 's/.*[0-9] \\([0-9]* ->\\)/# fd \\1/' >&2",
		 (int)getpid());
	if (system(command) != 0)
		fprintf(stderr, "# no list of descriptors\n");
}

/*
 * When this returns the library's thread has seen the end of whoever has been joined, and
 * given its descriptor back: it does these errands one after the other, between its events.
 */
static inline void let_library_see(void)
{
	for (int i = 0; i < 4; i++)
		carom_ensured_forkserver_pid();
}

static inline bool has_no_children(void)
{
	siginfo_t info;

	return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 && errno == ECHILD;
}

#endif
