/*
 * Shepherd
 *
 * A small process that stands between carom run and the command of a job, so
 * that the job is one thing that can be ended as a whole: it is the parent by
 * adoption of every process of the job that loses its own (a subreaper), also
 * of one that went into a session or group of its own. It runs one job at a
 * time, whatever it is told by the master over a socket, and ends with it: when
 * the master is gone, SIGKILL included, the shepherd kills its job and exits.
 */
#ifndef CAROM_TOOLS_SHEPHERD_H
#define CAROM_TOOLS_SHEPHERD_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

/* The longest word the kernel takes (MAX_ARG_STRLEN, with its NUL), so the longest input, all values of it. */
#define CAROM_SHEPHERD_INPUT_MAX (128 * 1024 - 1)

/**
 * enum carom_shepherd_order - the first byte of a message from the master
 * @START: the rest of struct carom_shepherd_start follows, and the values of the
 *         sources with a NUL between one and the next: run the command on them.
 *         Two descriptors come with it that become its standard output and
 *         standard error, and a third if it is to be born in a cgroup: the directory
 *         of that
 * @TELL:  ask the job to end: SIGTERM to its process group
 * @KILL:  end the job with all its processes
 *
 * Without a job the last two mean nothing: the job was faster.
 */
enum carom_shepherd_order {
	CAROM_SHEPHERD_START = 'S',
	CAROM_SHEPHERD_TELL = 'T',
	CAROM_SHEPHERD_KILL = 'K',
};

/** struct carom_shepherd_start - how a START begins; see struct carom_run_values */
struct carom_shepherd_start {
	char kind;
	uint32_t slot;
	uint64_t number;
};

/**
 * struct carom_shepherd_usage - what the command needed, with those of its children that it waited for
 * @peak_bytes: resident memory of the largest of them; or the most that all processes of
 *              the job were seen to have at one time, if that is more
 */
struct carom_shepherd_usage {
	uint64_t peak_bytes;
	uint64_t user_ns;
	uint64_t system_ns;
};

/**
 * struct carom_shepherd_report - the answer, once for each START
 * @start_error: positive errno if the command could not be started, else 0
 * @wait_status: how the command ended, as wait(2) gives it
 * @was_told:    it had not ended when it was asked to
 * @was_killed:  it had not ended when the order to kill it came
 * @has_violated: it made a call that its sandbox does not have, @violated_call; -1: not known
 * @is_over_memory: it had not ended when it was found to have more than its limit
 * @is_stuck:    processes of the job could not be killed
 * @usage:       zeroes if it was not started
 * @is_last:     the shepherd ends now, because processes of the job live on
 */
struct carom_shepherd_report {
	int32_t start_error;
	int32_t wait_status;
	bool was_told;
	bool was_killed;
	bool is_over_memory;
	bool has_violated;
	int32_t violated_call;
	bool is_stuck;
	bool is_last;
	struct carom_shepherd_usage usage;
};

struct carom_sandbox;

/**
 * struct carom_shepherd - what a shepherd needs to know
 * @control_fd: its end of a SOCK_SEQPACKET pair; no other process may keep
 *              the master's end open
 * @command:    words of the command, see tools/run_words.h
 * @file_limit: RLIMIT_NOFILE for the commands
 * @sandbox:    in which jobs are, see core/sandbox_program.h; NULL: none
 * @memory_bytes: a job that is seen to have more, all its processes together, is
 *              killed; 0: nobody looks. See tools/shepherd_memory.h
 */
struct carom_shepherd {
	int control_fd;
	char *const *command;
	struct rlimit file_limit;
	const struct carom_sandbox *sandbox;
	uint64_t memory_bytes;
};

/** carom_shepherd_main() - what a new process does as a shepherd; from a single-threaded parent */
_Noreturn void carom_shepherd_main(const struct carom_shepherd *shepherd);

#endif
