/*
 * Results: what each job has written, in files of a directory of its own, as GNU
 * parallel lays them out:
 *
 *	DIR/1/INPUT/stdout  stderr  seq         DIR/1/INPUT/2/INPUT/... of two lists
 *
 * In a name a backslash stands as \\, a tab as \t and a slash as \_ . An input that is
 * no name stands as \e (empty), \. or \.. ; one that is too long is cut and the job's
 * number put behind it as \#12.
 */
#ifndef CAROM_TOOLS_RUN_RESULTS_H
#define CAROM_TOOLS_RUN_RESULTS_H

#include <stdint.h>

#include "tools/run_item.h"
#include "tools/run_output.h"

/**
 * carom_run_results_open() - make the directory, and see whether something can be written there
 *
 * Return: a descriptor of it, or -errno.
 */
int carom_run_results_open(const char *path);

/**
 * carom_run_results_write() - the files of job @number, counted from 1
 *
 * seq is written last: where it is the other two are whole. Files are made anew, and no
 * links are followed below the directory, so whoever may write there cannot lead it out.
 * Return: 0, or -errno.
 */
int carom_run_results_write(int fd, const struct carom_run_item *item, uint64_t number,
			    const struct carom_run_spool *spool);

#endif
