/*
 * Job log: a line for each job that is done, in the columns of GNU parallel with
 * a few more behind them, and what a later run learns from it.
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

/**
 * struct carom_run_past - which jobs a log has
 * @jobs: by number, each once
 */
struct carom_run_past {
	struct carom_run_past_job *jobs;
	size_t count;
	size_t room;
	size_t next;
};

enum carom_run_past_state { CAROM_RUN_PAST_UNKNOWN, CAROM_RUN_PAST_FAILED, CAROM_RUN_PAST_DONE };

/** carom_run_past_read() - 0, also where there is no such file, or -errno */
int carom_run_past_read(struct carom_run_past *past, const char *path);
void carom_run_past_deinit(struct carom_run_past *past);

/** carom_run_past_look_up() - how job @number ended; to be asked with growing numbers */
enum carom_run_past_state carom_run_past_look_up(struct carom_run_past *past, uint64_t number);

#endif
