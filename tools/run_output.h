/*
 * Output of carom run: what jobs have written is kept in memory until a job is
 * done, and then goes out in one piece, one job after another. Of a job that is
 * followed whole lines go out while it runs.
 */
#ifndef CAROM_TOOLS_RUN_OUTPUT_H
#define CAROM_TOOLS_RUN_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "tools/run_options.h"

/**
 * struct carom_run_spool - what one job writes
 * @fds: memfds with its standard output and standard error; -1: none
 */
struct carom_run_spool {
	int fds[2];
};

#define CAROM_RUN_SPOOL_NONE ((struct carom_run_spool){ { -1, -1 } })

/** carom_run_spool_open() - 0, -EMFILE, -ENFILE, -ENOMEM */
int carom_run_spool_open(struct carom_run_spool *ret_spool);
void carom_run_spool_close(struct carom_run_spool *spool);

/** carom_run_spool_bytes() - how much was written to it */
uint64_t carom_run_spool_bytes(const struct carom_run_spool *spool);

/**
 * struct carom_run_text - a spool on its way out, of each stream
 * @fds:     of the spool
 * @offsets: what has gone out
 * @ends:    what may
 * @is_in_line: what has gone out ended in the middle of a line
 * @tag:     stands before each line; NULL: nothing does
 */
struct carom_run_text {
	int fds[2];
	off_t offsets[2];
	off_t ends[2];
	bool is_in_line[2];
	char *tag;
};

/**
 * struct carom_run_follow - the text of a job that runs
 * @text:   the tag is freed when the job's spool is handed over; fds are the spool's
 * @number: of the job
 */
struct carom_run_follow {
	struct carom_run_text text;
	uint64_t number;
	struct carom_run_follow *next;
	bool is_followed;
};

/**
 * struct carom_run_output - the spools to be written, in a ring of places
 * @capacity: places; a job whose place is this far ahead of @next has to wait
 * @next:     the place that is written next
 * @written:  set by the caller, or NULL: called with the note of a place once all
 *            of that has been written; the note is the callee's then. It must
 *            not call these functions.
 * @userdata: the caller's
 */
struct carom_run_output {
	struct carom_run_output_place *places;
	size_t capacity;
	uint64_t next;
	void (*written)(void *userdata, char *note);
	void *userdata;
	const struct carom_run_options *options;
	struct carom_run_follow *followed;
	struct carom_run_text *current; /* what is written, up to the end of a line at least */
	int stream;                     /* of that: 0, 1 */
	char *pending;                  /* read, with tags put in, and not written yet */
	size_t pending_room;
	size_t pending_begin;
	size_t pending_end;
	bool is_turn_of_followed;
	bool is_discarded;
};

/**
 * carom_run_output_init() - 0 or -ENOMEM
 * @options: kept by reference
 */
int carom_run_output_init(struct carom_run_output *output, const struct carom_run_options *options,
			  size_t capacity);
void carom_run_output_deinit(struct carom_run_output *output);

/**
 * carom_run_output_put() - hand over the spool of a job that is done
 * @place: each number from 0 on once, less than @capacity ahead of @next
 * @spool: taken; what its processes write from now on is not shown
 * @follow: of the job, followed or not: its tag is taken; NULL: none
 * @note:  taken: NULL, or for @written. It is freed if the spool is discarded.
 */
void carom_run_output_put(struct carom_run_output *output, uint64_t place,
			  struct carom_run_spool *spool, struct carom_run_follow *follow,
			  char *note);

/** carom_run_output_follow() - show what @follow->text has, until its spool is handed over */
void carom_run_output_follow(struct carom_run_output *output, struct carom_run_follow *follow);

/** carom_run_output_grew() - some follow's ends have moved */
void carom_run_output_grew(struct carom_run_output *output);

/** carom_run_output_fd() - where there is something to write to: 1, 2, or -1 */
int carom_run_output_fd(const struct carom_run_output *output);

/**
 * carom_run_output_write() - write a piece of what carom_run_output_fd() said there is
 *
 * Does not block if poll(2) says POLLOUT for that descriptor (terminals that
 * were stopped in the middle of a line excepted).
 * Return: 0, -ENOMEM, or what write(2) said.
 */
int carom_run_output_write(struct carom_run_output *output);

/** carom_run_output_discard() - forget all that has not been written, and whatever comes */
void carom_run_output_discard(struct carom_run_output *output);

#endif
