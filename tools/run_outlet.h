/*
 * Outlet: what the job in a slot gets as its standard output and standard error,
 * and how that comes to the output.
 *
 * Grouped it is the spool itself. By lines it is a pipe, read into the spool, of
 * which whole lines are shown at once. Ungrouped it is our own.
 */
#ifndef CAROM_TOOLS_RUN_OUTLET_H
#define CAROM_TOOLS_RUN_OUTLET_H

#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"
#include "tools/run_item.h"
#include "tools/run_options.h"
#include "tools/run_output.h"

/**
 * struct carom_run_outlet
 * @follow:  the job's text, with its tag
 * @job_fds: for the job, from open to hand over
 * @pipes:   our ends; fd -1: none
 * @is_paused: more is not read before some of it has been written
 */
struct carom_run_outlet {
	enum carom_run_grouping grouping;
	struct carom_loop *loop;
	struct carom_run_output *output;
	struct carom_run_follow follow;
	struct carom_run_spool *spool;
	int job_fds[2];
	struct carom_loop_fd pipes[2];
	bool is_paused;
	int error;
};

void carom_run_outlet_init(struct carom_run_outlet *outlet, enum carom_run_grouping grouping,
			   struct carom_loop *loop, struct carom_run_output *output);
void carom_run_outlet_deinit(struct carom_run_outlet *outlet);

/** carom_run_outlet_begin() - for job @number, with a tag of @item if @has_tag. Return: 0, -ENOMEM. */
int carom_run_outlet_begin(struct carom_run_outlet *outlet, uint64_t number,
			   const struct carom_run_item *item, bool has_tag);

/**
 * carom_run_outlet_open() - before each attempt: make @outlet->job_fds
 * @spool: kept by reference; by lines it gathers what all attempts write
 *
 * Return: 0, or -errno.
 */
int carom_run_outlet_open(struct carom_run_outlet *outlet, struct carom_run_spool *spool);

/** carom_run_outlet_hand_over() - the job has them, or cannot be started */
void carom_run_outlet_hand_over(struct carom_run_outlet *outlet);

/** carom_run_outlet_end() - after each attempt: take what is there. Return: 0, or what went wrong since open. */
int carom_run_outlet_end(struct carom_run_outlet *outlet);

/** carom_run_outlet_resume() - read on if it was paused and some has been written */
void carom_run_outlet_resume(struct carom_run_outlet *outlet);

#endif
