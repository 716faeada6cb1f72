/*
 * Job: one run of the command on one input, from its start to its outcome. Jobs
 * run in slots, as many as -j says, one after another in each.
 */
#ifndef CAROM_TOOLS_RUN_JOB_H
#define CAROM_TOOLS_RUN_JOB_H

#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"
#include "tools/run_input.h"
#include "tools/run_limits.h"
#include "tools/run_options.h"
#include "tools/run_outcome.h"
#include "tools/run_outlet.h"
#include "tools/run_output.h"
#include "tools/shepherd.h"

#define CAROM_RUN_NAME_BYTES 64

/**
 * struct carom_run_job - a job
 * @number:   counted from 0 in the order of the inputs
 * @name:     its input, made short and printable
 * @spool:    what it writes; the job's until somebody takes it
 * @outcome:  once it has ended
 * @is_stuck: processes of it could not be killed
 * @retry_count: attempts before this one
 * @began_real_ns: when this one began, CLOCK_REALTIME
 * @began_ns:   the same, CLOCK_MONOTONIC
 * @run_ns:     how long it took, once it has ended
 * @memory_limit_bytes: what it may have; 0: no limit
 * @usage:      what it needed, once it has ended
 */
struct carom_run_job {
	uint64_t number;
	char name[CAROM_RUN_NAME_BYTES];
	struct carom_run_spool spool;
	struct carom_run_outcome outcome;
	bool is_stuck;
	uint32_t retry_count;
	uint64_t began_real_ns;
	uint64_t began_ns;
	uint64_t run_ns;
	uint64_t memory_limit_bytes;
	struct carom_shepherd_usage usage;
};

/** carom_run_job_init() - job @number on @item, not started */
void carom_run_job_init(struct carom_run_job *job, uint64_t number,
			const struct carom_run_item *item);

/**
 * struct carom_run_slot - a place for jobs, with the shepherd that runs them
 * @job:      the job in it, if it is busy, or the last one
 * @ended:    called by the loop when the job has its outcome; the slot is free
 *            again then
 * @userdata: the caller's
 * @number:   of the slot, from 1
 */
struct carom_run_slot {
	struct carom_run_job job;
	void (*ended)(struct carom_run_slot *slot);
	void *userdata;
	uint32_t number;
	struct carom_loop *loop;
	const struct carom_shepherd *template;
	const struct carom_run_rungs *rungs;
	uint64_t soft_timeout_ns;
	uint64_t timeout_ns;
	struct carom_run_outlet outlet;
	struct carom_cgroup *group;   /* of the job, if it has one */
	struct carom_loop_fd control; /* fd -1: no shepherd */
	struct carom_loop_timer soft_limit;
	struct carom_loop_timer time_limit;
	enum carom_run_outcome_kind kill_reason;
	bool is_busy;
	bool keeps_items;
	bool is_waiting;                   /* the caller's: to be started again */
	struct carom_loop_timer retry_due; /* likewise */
	struct carom_run_item item;        /* of the job, if it is kept: in @item_text */
	char *item_text;
};

/**
 * struct carom_run_slot_options - how slots are
 * @template:   what their shepherds get, except the socket; kept by reference
 * @output:     where it goes what they write
 * @rungs:      what keeps the limits of jobs; kept by reference
 * @soft_timeout_ns: a job is asked to end then; 0 means never
 * @timeout_ns: time limit of each job; 0 means none
 * @keeps_items: for carom_run_slot_start_again()
 */
struct carom_run_slot_options {
	struct carom_loop *loop;
	const struct carom_shepherd *template;
	struct carom_run_output *output;
	enum carom_run_grouping grouping;
	const struct carom_run_rungs *rungs;
	uint64_t soft_timeout_ns;
	uint64_t timeout_ns;
	bool keeps_items;
	void (*ended)(struct carom_run_slot *slot);
	void *userdata;
};

void carom_run_slot_init(struct carom_run_slot *slot, uint32_t number,
			 const struct carom_run_slot_options *options);

/** carom_run_slot_dismiss() - tell its shepherd to end, with its job if there is one; does not wait */
void carom_run_slot_dismiss(struct carom_run_slot *slot);

/** carom_run_slot_deinit() - the same, and wait a little until it is gone */
void carom_run_slot_deinit(struct carom_run_slot *slot);

/**
 * carom_run_slot_start() - start slot->job on @item, once carom_run_job_init() has made it
 *
 * Return: 0, or -errno: the slot is free, `ended` will not be called.
 */
int carom_run_slot_start(struct carom_run_slot *slot, const struct carom_run_item *item);

/**
 * carom_run_slot_start_again() - start slot->job, which has ended, on the same item
 *
 * What it has written is dropped if it is grouped. The item is kept if the options say so.
 * Return: as carom_run_slot_start().
 */
int carom_run_slot_start_again(struct carom_run_slot *slot);

/** carom_run_slot_kill() - have the job killed, if there is one; `ended` tells when it is done */
void carom_run_slot_kill(struct carom_run_slot *slot, enum carom_run_outcome_kind reason);

#endif
