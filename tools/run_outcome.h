/*
 * Outcome: how a job ended.
 */
#ifndef CAROM_TOOLS_RUN_OUTCOME_H
#define CAROM_TOOLS_RUN_OUTCOME_H

#include <errno.h>
#include <stdbool.h>

/**
 * struct carom_run_outcome - how a job ended, and the number that goes with it
 * @EXITED:      with status @value; all went well if that is 0
 * @SIGNALLED:   killed by signal @value
 * @TIME_LIMIT:  killed because its time was up
 * @SOFT_LIMIT:  asked to end because its time was up, and did not go well then
 * @MEMORY_LIMIT: killed because it had more memory than it may
 * @VIOLATED:    killed because it made the system call @value; -1: not known which
 * @INTERRUPTED: killed because carom run was told to end
 * @HALTED:      killed because --halt had seen enough
 * @NOT_FOUND:   there is no such command; the errno is @value
 * @NOT_STARTED: the errno is @value
 * @LOST:        its shepherd was killed, how the command ended is not known
 */
enum carom_run_outcome_kind {
	CAROM_RUN_EXITED,
	CAROM_RUN_SIGNALLED,
	CAROM_RUN_TIME_LIMIT,
	CAROM_RUN_SOFT_LIMIT,
	CAROM_RUN_MEMORY_LIMIT,
	CAROM_RUN_VIOLATED,
	CAROM_RUN_INTERRUPTED,
	CAROM_RUN_HALTED,
	CAROM_RUN_NOT_FOUND,
	CAROM_RUN_NOT_STARTED,
	CAROM_RUN_LOST,
};

struct carom_run_outcome {
	enum carom_run_outcome_kind kind;
	int value;
};

/* An errno for NOT_STARTED that no system call gives for it: the input holds a NUL byte. */
#define CAROM_RUN_ENUL EILSEQ

/* Of a job that could not be started, by the positive errno. */
static inline struct carom_run_outcome carom_run_no_start(int error)
{
	return (struct carom_run_outcome){ error == ENOENT ? CAROM_RUN_NOT_FOUND
							   : CAROM_RUN_NOT_STARTED,
					   error };
}

static inline bool carom_run_went_well(struct carom_run_outcome outcome)
{
	return outcome.kind == CAROM_RUN_EXITED && outcome.value == 0;
}

#endif
