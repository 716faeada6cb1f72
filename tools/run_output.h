/*
 * Output of carom run: what jobs have written is kept in memory until a job is
 * done, and then goes out in one piece, one job after another.
 */
#ifndef CAROM_TOOLS_RUN_OUTPUT_H
#define CAROM_TOOLS_RUN_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/**
 * struct carom_run_spool - what one job writes
 * @fds: memfds that are its standard output and standard error; -1: none
 */
struct carom_run_spool {
	int fds[2];
};

#define CAROM_RUN_SPOOL_NONE ((struct carom_run_spool){ { -1, -1 } })

/** carom_run_spool_open() - 0, -EMFILE, -ENFILE, -ENOMEM */
int carom_run_spool_open(struct carom_run_spool *ret_spool);
void carom_run_spool_close(struct carom_run_spool *spool);

/** carom_run_spool_bytes() - how much is in it */
uint64_t carom_run_spool_bytes(const struct carom_run_spool *spool);

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
	int stream;   /* of that place: 0, 1 */
	off_t offset; /* in that stream */
};

/** carom_run_output_init() - 0 or -ENOMEM */
int carom_run_output_init(struct carom_run_output *output, size_t capacity);
void carom_run_output_deinit(struct carom_run_output *output);

/**
 * carom_run_output_put() - hand over the spool of a job that is done
 * @place: each number from 0 on once, less than @capacity ahead of @next
 * @spool: taken; what its processes write from now on is not shown
 * @note:  taken: NULL, or for @written. It is freed if the spool is discarded.
 */
void carom_run_output_put(struct carom_run_output *output, uint64_t place,
			  struct carom_run_spool *spool, char *note);

/** carom_run_output_fd() - where there is something to write to: 1, 2, or -1 */
int carom_run_output_fd(const struct carom_run_output *output);

/**
 * carom_run_output_write() - write a piece of what carom_run_output_fd() said there is
 *
 * Does not block if poll(2) says POLLOUT for that descriptor (terminals that
 * were stopped in the middle of a line excepted).
 * Return: 0, or what write(2) said.
 */
int carom_run_output_write(struct carom_run_output *output);

/** carom_run_output_discard() - forget all that has not been written */
void carom_run_output_discard(struct carom_run_output *output);

#endif
