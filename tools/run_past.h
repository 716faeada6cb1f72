/*
 * Past: what a job log tells of an earlier run, and which jobs this one leaves out
 * because of it.
 */
#ifndef CAROM_TOOLS_RUN_PAST_H
#define CAROM_TOOLS_RUN_PAST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tools/run_options.h"

/**
 * struct carom_run_past - which jobs a log has
 * @jobs: by number, each once or more
 */
struct carom_run_past {
	struct carom_run_past_job *jobs;
	size_t count;
	size_t room;
	size_t next;
};

/** carom_run_past_read() - 0, also where there is no such file, or -errno */
int carom_run_past_read(struct carom_run_past *past, const char *path);
void carom_run_past_deinit(struct carom_run_past *past);

/** carom_run_past_wants() - whether job @number is to be run; to be asked with growing numbers */
bool carom_run_past_wants(struct carom_run_past *past, const struct carom_run_options *options,
			  uint64_t number);

#endif
