/**
 * DOC: log
 *
 * What the library does and what goes wrong in it can be read along, and a
 * program may say its own lines in the same place:
 *
 *	carom_log_to_stderr(CAROM_LOG_INFO);
 *	carom_log_info("%d files to go", left);
 *
 * writes `[INFO/MainProcess] 12 files to go`. Without such a call nothing is said
 * to anybody, unless CAROM_LOG in the environment names a level ("info", or 20).
 * A program that has a log of its own takes records instead, by carom_log_to();
 * both may be on.
 *
 * Levels have the numbers of Python's `logging`, with two of billiard's between
 * them. A level that was never set lets warnings and errors through.
 *
 * A child made by a plain fork goes on with everything as it was. A child of the
 * fork server and a spawned one have the level and standard error of the process
 * that started them, and no function to take records: its address, and what it
 * points to, are another image's.
 */
#ifndef CAROM_CORE_LOG_H
#define CAROM_CORE_LOG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "api.h"

CAROM_BEGIN_DECLS

/* Numbers between them are levels too. */
enum carom_log_level {
	CAROM_LOG_NOTSET = 0,
	CAROM_LOG_SUBDEBUG = 5,
	CAROM_LOG_DEBUG = 10,
	CAROM_LOG_INFO = 20,
	CAROM_LOG_SUBWARNING = 25,
	CAROM_LOG_WARNING = 30,
	CAROM_LOG_ERROR = 40,
	CAROM_LOG_NONE = 100, /* above all: silence */
};

/*
 * Which message a record is, whatever its words. A number is never given another
 * meaning; new ones are added.
 */
enum carom_log_event {
	CAROM_LOG_EVENT_NONE = 0, /* the program's own lines */

	/* what this kernel and the environment allow */
	CAROM_LOG_EVENT_FEATURE_MISSING = 100, /* something else is done instead */
	CAROM_LOG_EVENT_FEATURE_UNKNOWN = 101, /* CAROM_DENY names none */
	CAROM_LOG_EVENT_CLONE_UNKNOWN = 102,   /* CAROM_CLONE names no way */
	CAROM_LOG_EVENT_LOOP_FALLBACK = 103,   /* no memory for an io_uring */
	CAROM_LOG_EVENT_LEVEL_UNKNOWN = 104,   /* CAROM_LOG names none */
	CAROM_LOG_EVENT_COUNT_UNKNOWN = 105,   /* CAROM_CPU_COUNT is no number */
	CAROM_LOG_EVENT_SANDBOX = 130,         /* one was made, of these layers */
	CAROM_LOG_EVENT_SANDBOX_REFUSED = 131, /* none was made, and why */

	/* helpers of the library */
	CAROM_LOG_EVENT_FORKSERVER_RETRY = 200,    /* it was born with a lock held */
	CAROM_LOG_EVENT_FORKSERVER_LOST = 201,     /* and is made anew */
	CAROM_LOG_EVENT_FORKSERVER_FAILED = 202,   /* none could be made */
	CAROM_LOG_EVENT_LOOP_BROKEN = 203,         /* and so are the pools */
	CAROM_LOG_EVENT_PRELOAD_FAILED = 204,      /* the fork server goes on without it */
	CAROM_LOG_EVENT_TRACKER_LOST = 205,        /* and is made anew */
	CAROM_LOG_EVENT_FORKSERVER_STRANGER = 206, /* asked it for a child, and got none */
	CAROM_LOG_EVENT_LIBRARY_MISSING = 207,     /* one that this one loads when it needs it */

	/* processes */
	CAROM_LOG_EVENT_PROCESS_RUNS = 300,      /* "child process PID calling self.run()" */
	CAROM_LOG_EVENT_PROCESS_EXITS = 301,     /* "process PID exiting with exitcode N" */
	CAROM_LOG_EVENT_PROCESS_KILLED = 302,    /* by a signal, and nobody here had asked for it */
	CAROM_LOG_EVENT_FORK_WITH_THREADS = 303, /* their locks may be held in the child for ever */

	CAROM_LOG_EVENT_PROCESS_AWAITED = 304,    /* at the program's regular end */
	CAROM_LOG_EVENT_AFTER_FORK_FAILED = 305,  /* a function of the program */
	CAROM_LOG_EVENT_FINALIZER_FAILED = 306,   /* a function of the program */
	CAROM_LOG_EVENT_DIRECTORY_LOST = 307,     /* a child could not go where its parent is */
	CAROM_LOG_EVENT_CGROUP_NOT_ENTERED = 308, /* a child ends for that */
	CAROM_LOG_EVENT_CGROUP_REFUSED = 309,     /* a child is not started for that */
	CAROM_LOG_EVENT_PROCESS_LEFT = 310,       /* at the program's end, after its limit */

	/* pools */
	CAROM_LOG_EVENT_TASK_TIMED_OUT = 400, /* its worker is killed */
	CAROM_LOG_EVENT_POOL_BROKEN = 401,    /* workers died before they were ready */
	CAROM_LOG_EVENT_POOL_CLOSING = 402,
	CAROM_LOG_EVENT_POOL_TERMINATING = 403,
	CAROM_LOG_EVENT_POOL_FINALIZING = 404,
	CAROM_LOG_EVENT_WORKER_ENDED = 405,
	CAROM_LOG_EVENT_HOOK_SKIPPED = 421,    /* no memory, or no thread, to call it */
	CAROM_LOG_EVENT_POOL_UNFINISHED = 420, /* it was freed while there were tasks */
	CAROM_LOG_EVENT_INITIALIZER_FAILED = 406,
	CAROM_LOG_EVENT_START_TIMED_OUT = 407, /* a worker was not ready in time, and is killed */
	CAROM_LOG_EVENT_MEMORY_EXCEEDED = 408, /* a worker is replaced after its task */
	CAROM_LOG_EVENT_MEMORY_UNKNOWN = 409,  /* and so that cannot be */
	CAROM_LOG_EVENT_WORKER_NOT_PINNED = 410,
	CAROM_LOG_EVENT_SOFT_LIMIT = 411,        /* a task is told that it has passed */
	CAROM_LOG_EVENT_SOFT_LIMIT_UNUSED = 412, /* it is not below the hard limit */
	CAROM_LOG_EVENT_TERM_SENT = 413,         /* to a worker that is to be killed */
	CAROM_LOG_EVENT_KILL_SENT = 414,         /* the grace is over */
	CAROM_LOG_EVENT_MEMORY_LIMIT = 430,      /* a worker is killed, or was, at its limit */
	CAROM_LOG_EVENT_MEMORY_RUNG = 431,    /* a limit is kept by weaker means, or not at all */
	CAROM_LOG_EVENT_LIMITS_REFUSED = 432, /* a pool's limits make no sense, or cannot be had */
	CAROM_LOG_EVENT_PROTOCOL_VIOLATION = 433, /* of an isolated worker, which is killed */
};

/**
 * struct carom_log_record - one message
 * @level:        how serious it is
 * @event:        which message of the library it is
 * @pid:          the process that says it
 * @process_name: that process, as its parent named it; "MainProcess" is the first
 * @file:         where it is said, as the compiler was given it
 * @line:         in @file
 * @function:     in @file
 * @text:         without a newline at its end
 * @time_ns:      CLOCK_REALTIME
 *
 * Later versions may append to it.
 */
struct carom_log_record {
	int level;
	int event;
	pid_t pid;
	int line;
	const char *file;
	const char *function;
	const char *process_name;
	const char *text;
	uint64_t time_ns;
};

/**
 * typedef carom_log_sink - takes a record
 * @record:   valid during the call only, with all it points to
 * @userdata: what was given to carom_log_to()
 *
 * Called in the thread that says it, never by two threads at once, in any process
 * that has the sink. What is said inside is dropped. Of this library it may call
 * only what stands in this header: there may be locks of others around it.
 */
typedef void carom_log_sink(const struct carom_log_record *record, void *userdata);

/**
 * carom_log_to() - take records
 * @sink:     takes each from now on, instead of the sink there was; NULL takes none
 * @userdata: handed to @sink
 *
 * When it returns, no other thread is in the sink there was.
 *
 * Context: MT-Safe, AS-Unsafe lock. Waits for a record that is being taken.
 */
CAROM_API void carom_log_to(carom_log_sink *sink, void *userdata);

/**
 * carom_log_to_stderr() - write lines to standard error
 * @level: also becomes the level, as by carom_log_set_level(); CAROM_LOG_NOTSET
 *	   leaves that as it is; CAROM_LOG_NONE ends the lines
 *
 * A line is `[LEVEL/ProcessName] text`, one write(2) of at most PIPE_BUF bytes: lines
 * of many processes do not mix on a pipe. What is longer is cut. A second call adds
 * nothing.
 *
 * Context: MT-Safe, AS-Unsafe lock.
 */
CAROM_API void carom_log_to_stderr(enum carom_log_level level);

/**
 * carom_log_set_level() - let through this much and what is more serious
 * @level: CAROM_LOG_NOTSET for the default, which is CAROM_LOG_WARNING
 *
 * Context: MT-Safe, AS-Unsafe lock.
 */
CAROM_API void carom_log_set_level(enum carom_log_level level);

/**
 * carom_log_level() - what was set, CAROM_LOG_NOTSET if nothing was
 *
 * Context: MT-Safe, AS-Unsafe lock.
 */
CAROM_API enum carom_log_level carom_log_level(void);

/**
 * carom_log_level_name() - "SUBDEBUG" and so on
 * @level: a number between two levels has the name of the lower one
 *
 * Context: MT-Safe, AS-Safe.
 * Return: never NULL; static, do not free.
 */
CAROM_API const char *carom_log_level_name(int level);

/* what is at least as serious as this goes somewhere; read by carom_log_enabled() alone */
CAROM_API extern int carom_log_threshold;

/**
 * carom_log_enabled() - would a record of this level go anywhere?
 *
 * Context: MT-Safe, AS-Safe.
 */
static inline bool carom_log_enabled(int level)
{
	/* relaxed: one independent word; who reads the old one says one line more or less */
	return level >= __atomic_load_n(&carom_log_threshold, __ATOMIC_RELAXED);
}

/**
 * carom_log_at() - say something in another's name
 * @level:    nothing happens unless it is enabled
 * @event:    CAROM_LOG_EVENT_NONE in a program
 * @file:     where the record says it was said; kept by nobody
 * @line:     in @file
 * @function: in @file
 * @format:   as printf(3), without a newline; cut at PIPE_BUF bytes
 *
 * For helpers around the macros below, which hand on the place of their caller.
 *
 * Context: MT-Safe, AS-Unsafe lock. Keeps errno. Blocks as long as the taker does.
 */
CAROM_API void carom_log_at(int level, int event, const char *file, int line, const char *function,
			    const char *format, ...) __attribute__((format(printf, 6, 7)));

/**
 * carom_log_event() - say that something happened
 * @level: evaluated once
 * @event: an enum carom_log_event
 * @...:   a format as printf(3) and its arguments; not evaluated if @level is not
 *	   enabled, which costs one comparison
 *
 * Context: as carom_log_at().
 */
#define carom_log_event(level, event, ...)                                                  \
	do {                                                                                \
		const int carom_log_level_ = (int)(level);                                  \
                                                                                            \
		if (carom_log_enabled(carom_log_level_))                                    \
			carom_log_at(carom_log_level_, event, __FILE__, __LINE__, __func__, \
				     __VA_ARGS__);                                          \
	} while (0)

/** carom_log() - say one line; as carom_log_event(), for a program's own */
#define carom_log(level, ...) carom_log_event(level, CAROM_LOG_EVENT_NONE, __VA_ARGS__)

#define carom_log_sub_debug(...)   carom_log(CAROM_LOG_SUBDEBUG, __VA_ARGS__)
#define carom_log_debug(...)       carom_log(CAROM_LOG_DEBUG, __VA_ARGS__)
#define carom_log_info(...)        carom_log(CAROM_LOG_INFO, __VA_ARGS__)
#define carom_log_sub_warning(...) carom_log(CAROM_LOG_SUBWARNING, __VA_ARGS__)
#define carom_log_warning(...)     carom_log(CAROM_LOG_WARNING, __VA_ARGS__)
#define carom_log_error(...)       carom_log(CAROM_LOG_ERROR, __VA_ARGS__)

CAROM_END_DECLS

#endif
