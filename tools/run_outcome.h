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
 * @INTERRUPTED: killed because carom run was told to end
 * @HALTED:      killed because --halt had seen enough
 * @NOT_STARTED: the errno is @value
 * @LOST:        its shepherd was killed, how the command ended is not known
 */
enum carom_run_outcome_kind {
	CAROM_RUN_EXITED,
	CAROM_RUN_SIGNALLED,
	CAROM_RUN_TIME_LIMIT,
	CAROM_RUN_INTERRUPTED,
	CAROM_RUN_HALTED,
	CAROM_RUN_NOT_STARTED,
	CAROM_RUN_LOST,
};

struct carom_run_outcome {
	enum carom_run_outcome_kind kind;
	int value;
};

/* An errno for NOT_STARTED that no system call gives for it: the input holds a NUL byte. */
#define CAROM_RUN_ENUL EILSEQ

static inline bool carom_run_went_well(struct carom_run_outcome outcome)
{
	return outcome.kind == CAROM_RUN_EXITED && outcome.value == 0;
}

#endif
