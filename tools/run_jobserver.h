/*
 * Jobserver: carom run below make, as a client of make's jobserver: so many jobs run
 * at a time on the whole, whoever runs them.
 *
 * Who was started by make may run one job; each other one needs a token, which is
 * given back when it has ended. A keeper process has the tokens, so they are given
 * back also when carom run is killed.
 */
#ifndef CAROM_TOOLS_RUN_JOBSERVER_H
#define CAROM_TOOLS_RUN_JOBSERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"

/**
 * struct carom_run_jobserver
 * @keeper:     a socket to it; fd -1: there is no jobserver, or none that works
 * @held_count: tokens that it has for us
 * @is_asked:   for one more
 */
struct carom_run_jobserver {
	struct carom_loop *loop;
	struct carom_loop_fd keeper;
	uint64_t held_count;
	bool is_asked;
};

/**
 * carom_run_jobserver_open() - find the jobserver that MAKEFLAGS names
 * @flags: value of that variable, or NULL
 *
 * What is wrong with it is said, and there is none then: -j alone counts.
 */
void carom_run_jobserver_open(struct carom_run_jobserver *jobserver, struct carom_loop *loop,
			      const char *flags);
void carom_run_jobserver_close(struct carom_run_jobserver *jobserver);

/**
 * carom_run_jobserver_allows() - whether one more job may run besides @running_count
 *
 * If not, a token is asked for; the loop wakes up when it is there.
 */
bool carom_run_jobserver_allows(struct carom_run_jobserver *jobserver, uint64_t running_count);

/**
 * carom_run_jobserver_settle() - give back what @running_count jobs do not need
 * @wants_more: there are jobs that could be started
 */
void carom_run_jobserver_settle(struct carom_run_jobserver *jobserver, uint64_t running_count,
				bool wants_more);

#endif
