/*
 * Input of carom run: the items that jobs are made of, one after another, from
 * the command line or from a file, a pipe or a terminal, in constant memory, or
 * from several of these.
 */
#ifndef CAROM_TOOLS_RUN_INPUT_H
#define CAROM_TOOLS_RUN_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/loop.h"
#include "tools/run_item.h"
#include "tools/run_options.h"
#include "tools/run_sources.h"

struct carom_run_input {
	const struct carom_run_options *options;
	const struct carom_run_source *source; /* if there is one only */
	struct carom_run_sources *sources;     /* if there are several */
	const char *name;                      /* of what an error is about */
	struct carom_loop *loop;
	struct carom_loop_fd readable;
	char *buffer;
	size_t begin; /* of what is not taken yet */
	size_t end;
	size_t scanned; /* no separator before this */
	uint64_t taken_count;
	uint64_t total; /* once has_total */
	bool has_total;
	bool is_at_end;     /* nothing more to read */
	bool is_skipping;   /* in the middle of an item that was too long */
	bool is_waiting;    /* for @readable */
	bool needs_no_wait; /* a regular file and the like */
	int error;
};

/**
 * carom_run_input_open() - open the input and read what is there without waiting
 * @options: kept by reference
 * @loop:    tells when there is more; the input's watches do nothing but read
 *
 * Several sources are read whole, and are waited for.
 * Return: 0, or -errno from open(2), read(2) or the loop, nothing open;
 * carom_run_input_name() tells of which.
 */
int carom_run_input_open(struct carom_run_input *input, const struct carom_run_options *options,
			 struct carom_loop *loop);
void carom_run_input_close(struct carom_run_input *input);

/**
 * carom_run_input_next() - take the next item
 *
 * Return: 1, 0 at the end, -EAGAIN (not there yet: the loop wakes up when it
 * may be, but see carom_run_input_is_ready()), or what read(2) said.
 */
int carom_run_input_next(struct carom_run_input *input, struct carom_run_item *ret_item);

/** carom_run_input_is_ready() - after -EAGAIN: whether to ask again without waiting for the loop */
bool carom_run_input_is_ready(const struct carom_run_input *input);

/** carom_run_input_name() - what the last error is about */
const char *carom_run_input_name(const struct carom_run_input *input);

/** carom_run_input_total() - how many items there are in all; 0 if that is not known (yet) */
uint64_t carom_run_input_total(const struct carom_run_input *input);

#endif
