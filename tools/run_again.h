/*
 * Again: the line that runs only those jobs once more that failed.
 */
#ifndef CAROM_TOOLS_RUN_AGAIN_H
#define CAROM_TOOLS_RUN_AGAIN_H

#include <stdbool.h>
#include <stddef.h>

#include "tools/run_item.h"
#include "tools/run_options.h"

/**
 * struct carom_run_again - the inputs of the jobs that failed, while that is little
 * @texts:   copies, each as struct carom_run_item has it
 * @is_much: more than a line holds
 */
struct carom_run_again {
	struct carom_run_again_item {
		char *text;
		size_t length;
	} * items;
	size_t count;
	size_t bytes;
	bool is_much;
};

/** carom_run_again_add() - a job on @item failed */
void carom_run_again_add(struct carom_run_again *again, const struct carom_run_item *item);
void carom_run_again_deinit(struct carom_run_again *again);

/**
 * carom_run_again_say() - the line, or how to get one, on standard error
 *
 * With a log it is that of --retry-failed. Else it is the options and the command
 * as they were, and the inputs behind ":::"; not if options take inputs from files,
 * which would come again with them.
 */
void carom_run_again_say(const struct carom_run_again *again,
			 const struct carom_run_options *options);

#endif
