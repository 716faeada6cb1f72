/*
 * Tracker: what the program and the tracker process say to each other, and what the
 * latter is made of
 *
 * The tracker is the bare clone of a process that may have threads: all it runs is
 * AS-Safe, on memory that was mapped before the clone.
 */
#ifndef CAROM_CORE_TRACKER_PRIVATE_H
#define CAROM_CORE_TRACKER_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/tracker.h"

/* --- messages ---------------------------------------------------------- */

/* A message with its newline: never torn by a pipe, whoever else writes (POSIX's PIPE_BUF). */
#define CAROM_TRACKER_MESSAGE_MAX 512

#define CAROM_TRACKER_TYPE_COUNT (CAROM_TRACKER_SHARED_MEMORY + 1)

enum carom_tracker_command {
	CAROM_TRACKER_REGISTER,
	CAROM_TRACKER_UNREGISTER,
	CAROM_TRACKER_PROBE, /* means nothing; a tracker that is gone cannot take it */
};

/**
 * struct carom_tracker_message - one line, taken apart
 * @name: any bytes but NUL, NUL-terminated; empty for PROBE
 */
struct carom_tracker_message {
	enum carom_tracker_command command;
	enum carom_tracker_type type;
	size_t name_size;
	char name[CAROM_TRACKER_NAME_MAX + 1];
};

/** carom_tracker_type_name() - as it is written. AS-Safe. */
const char *carom_tracker_type_name(enum carom_tracker_type type);

/**
 * carom_tracker_parse() - read one line of any form; AS-Safe
 * @line:     without its newline
 * @billiard: two fields are a semaphore
 * @ret_why:  on failure: what is wrong with it, for people; static
 * Return: 0, -EBADMSG.
 */
int carom_tracker_parse(const char *line, size_t size, bool billiard,
			struct carom_tracker_message *ret_message, const char **ret_why);

/**
 * carom_tracker_format() - write one line, with its newline
 * Return: its size, or -EINVAL: @dialect cannot say it.
 */
ssize_t carom_tracker_format(const struct carom_tracker_message *message,
			     enum carom_tracker_dialect dialect,
			     char ret_line[CAROM_TRACKER_MESSAGE_MAX]);

/* --- the table of names ------------------------------------------------ */

#define CAROM_TRACKER_NAMES_MAX    65536
#define CAROM_TRACKER_BUCKET_COUNT 16384

/**
 * struct carom_tracker_name - a name in the table
 * @next:     the next one in its bucket or in the list of free ones: index + 1; 0 none
 * @holders:  registrations less unregistrations; 0: a free one
 * @was_released: somebody has unregistered it
 * @error:    at the end: what unlinking it said, 0 or negative errno
 */
struct carom_tracker_name {
	uint32_t next;
	uint32_t holders;
	int error;
	uint8_t type;
	bool was_released;
	char name[CAROM_TRACKER_NAME_MAX + 1];
};

/**
 * struct carom_tracker_table - all of them; zero-filled memory is an empty table
 * @used: names[@used] and later have never been used, and use no memory
 */
struct carom_tracker_table {
	uint32_t used;
	uint32_t first_free;
	uint32_t buckets[CAROM_TRACKER_BUCKET_COUNT];
	struct carom_tracker_name names[CAROM_TRACKER_NAMES_MAX];
};

/** carom_tracker_table_add() - one more holder. AS-Safe. 0, -ENOSPC, -EOVERFLOW. */
int carom_tracker_table_add(struct carom_tracker_table *table, enum carom_tracker_type type,
			    const char *name);

/** carom_tracker_table_remove() - one holder less. AS-Safe. 0, -ENOENT. */
int carom_tracker_table_remove(struct carom_tracker_table *table, enum carom_tracker_type type,
			       const char *name);

/* --- the process ------------------------------------------------------- */

/**
 * struct carom_tracker_start - what the tracker is born with
 * @read_fd:  of the pipe; above 2
 * @table:    empty, in private memory
 * @billiard: see carom_tracker_parse()
 * @is_silent: nothing is written to standard error
 */
struct carom_tracker_start {
	int read_fd;
	struct carom_tracker_table *table;
	bool billiard;
	bool is_silent;
};

/** carom_tracker_serve() - the tracker's life, in the child of a clone with all signals blocked */
_Noreturn void carom_tracker_serve(const struct carom_tracker_start *start);

/**
 * carom_tracker_drop_memory() - unmap what belongs to the program; AS-Safe
 * @table: stays, with its neighbourhood
 *
 * Stays as well: code, the variables of the program and its libraries, 64 KiB of the
 * stack and of the thread's storage to both sides of where they are used.
 */
void carom_tracker_drop_memory(const void *table, size_t size);

/** carom_tracker_pid() - the tracker that this process has started; 0 none. Do not signal it. */
pid_t carom_tracker_pid(void);

#endif
