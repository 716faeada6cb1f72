/*
 * Job log: a line for each job that is done, in the columns of GNU parallel with
 * a few more behind them. What a later run learns from it: see run_past.h.
 */
#ifndef CAROM_TOOLS_RUN_JOBLOG_H
#define CAROM_TOOLS_RUN_JOBLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/run_job.h"

/** carom_run_joblog_is_done() - whether a job belongs in the log: not if it was killed with the run */
bool carom_run_joblog_is_done(const struct carom_run_job *job);

/**
 * carom_run_joblog_line() - the line of a job
 * @command: as carom_run_words_quote() gives it; NULL: not known
 *
 * Return: the caller's, ended by free(3); NULL without memory.
 */
char *carom_run_joblog_line(const struct carom_run_job *job, const char *command);

/**
 * carom_run_joblog_open() - open a log to be written
 * @appends: behind what is in it, else what is in it is lost
 *
 * Return: a descriptor, or -errno.
 */
int carom_run_joblog_open(const char *path, bool appends);

/** carom_run_joblog_write() - 0, or -errno: a line of which a part was written counts as written nowhere */
int carom_run_joblog_write(int fd, const char *line);

#endif
