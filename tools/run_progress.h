/*
 * Progress of carom run: the bar, kept up to date by the loop, and what is told
 * in its place.
 */
#ifndef CAROM_TOOLS_RUN_PROGRESS_H
#define CAROM_TOOLS_RUN_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/loop.h"
#include "tools/bar.h"

#define CAROM_RUN_UNTOLD_MAX 16

/**
 * struct carom_run_progress
 * @untold:    lines that standard error did not take yet
 * @is_wanted: there is a bar
 */
struct carom_run_progress {
	struct carom_loop *loop;
	struct carom_bar bar;
	struct carom_loop_timer due;
	char *untold[CAROM_RUN_UNTOLD_MAX];
	size_t untold_count;
	bool is_wanted;
};

void carom_run_progress_init(struct carom_run_progress *progress, bool is_wanted);
void carom_run_progress_deinit(struct carom_run_progress *progress);

/**
 * carom_run_progress_show() - once in each turn of the loop
 *
 * Whatever has changed is shown as soon as the bar may be drawn again; its clock
 * goes on in any case.
 * @running_count: jobs that run now
 */
void carom_run_progress_show(struct carom_run_progress *progress,
			     const struct carom_bar_progress *facts, uint64_t running_count);

/**
 * carom_run_progress_say() - as carom_say(), in place of the bar, which comes back with the next turn
 *
 * Does not wait for a reader of standard error: it is told later then. Of many lines
 * that nobody reads the last ones are lost.
 */
void carom_run_progress_say(struct carom_run_progress *progress, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** carom_run_progress_tell_rest() - what was not told yet, and wait for a reader */
void carom_run_progress_tell_rest(struct carom_run_progress *progress);

#endif
