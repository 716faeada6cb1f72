/*
 * Storm: processes that share something are killed at every step, and others go on.
 *
 * The test brings a function in which a process works until it is told to stop, and a
 * prefix of the points at which it is to die.
 */
#ifndef CAROM_TESTS_SHM_STORM_H
#define CAROM_TESTS_SHM_STORM_H

#include <stdatomic.h>

#include "core/points.h"
#include "tests/shm/help.h"

#define STORM_PROCESSES 3
#define STORM_DEATHS    5

/**
 * struct storm
 * @work: runs in a process of its own until *@stop; ends it by _exit(0), or 1 if
 *        something was wrong
 * @stop: shared
 * @common: a point that all come to, with something in hand: some die there all the time, so
 *        that there is something to recover from
 */
struct storm {
	void (*work)(void *userdata);
	void *userdata;
	_Atomic uint32_t *stop;
	const char *common;
};

static inline pid_t storm_process(const struct storm *storm)
{
	pid_t pid = child();

	if (pid == 0)
		storm->work(storm->userdata);
	return pid;
}

static inline void storm_replace(const struct storm *storm, pid_t *pids, pid_t dead)
{
	for (int i = 0; i < STORM_PROCESSES; i++)
		if (pids[i] == dead)
			pids[i] = storm_process(storm);
}

/* The others must all come to their end, or the test's time is over. */
static inline void storm_stop(const struct storm *storm, const pid_t *pids, const char *point)
{
	atomic_store(storm->stop, 1);
	for (int i = 0; i < STORM_PROCESSES; i++) {
		int status = ended(pids[i]);

		cr_expect(status == 0 || status == -SIGKILL, "at %s: %d", point, status);
	}
	atomic_store(storm->stop, 0);
}

/* Until so many have died there, however long it takes. */
static inline void storm_at(const struct storm *storm, const char *point)
{
	pid_t pids[STORM_PROCESSES];

	cr_assert(zero(int, carom_point_arm(storm->common, 19)));
	cr_assert(zero(int, carom_point_arm(point, 7)));
	for (int i = 0; i < STORM_PROCESSES; i++)
		pids[i] = storm_process(storm);
	while (carom_point_hits(point) < STORM_DEATHS) {
		int status;

		storm_replace(storm, pids, waitpid(-1, &status, 0));
	}
	carom_point_disarm_all();
	storm_stop(storm, pids, point);
}

/* At all points whose name begins with @prefix. */
static inline void storm_everywhere(const struct storm *storm, const char *prefix)
{
	const char *name;
	int count = 0;

	for (size_t i = 0; (name = carom_point_name(i)); i++)
		if (strncmp(name, prefix, strlen(prefix)) == 0) {
			storm_at(storm, name);
			count++;
		}
	if (count == 0)
		cr_skip("skipped: this build has no points");
}

/* At any moment: as often as @deaths, after up to @rounds_max of what @rounds counts. */
static inline void storm_anytime(const struct storm *storm, int deaths,
				 const _Atomic uint32_t *rounds, uint32_t rounds_max)
{
	uint64_t seed = new_seed();
	pid_t pids[STORM_PROCESSES];

	for (int i = 0; i < STORM_PROCESSES; i++)
		pids[i] = storm_process(storm);
	for (; deaths > 0; deaths--) {
		pid_t *victim = &pids[chance(&seed) % STORM_PROCESSES];
		uint32_t until = atomic_load(rounds) + chance(&seed) % rounds_max;

		await((int32_t)(atomic_load(rounds) - until) >= 0);
		cr_assert(eq(int, killed(*victim), -SIGKILL));
		*victim = storm_process(storm);
	}
	storm_stop(storm, pids, "any moment");
}

#endif
