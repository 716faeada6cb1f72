/**
 * DOC: tracker
 *
 * A process that outlives the program and unlinks what the program leaves behind in
 * /dev/shm: the few things that have names. What carom makes itself has none and needs
 * no tracker; this is for shared memory and semaphores that are shared by name with
 * programs that are not carom's, Python's above all:
 *
 *	r = carom_tracker_register("/frames", CAROM_TRACKER_SHARED_MEMORY);
 *	fd = shm_open("/frames", O_RDWR | O_CREAT | O_EXCL, 0600);
 *	...
 *	shm_unlink("/frames");
 *	carom_tracker_unregister("/frames", CAROM_TRACKER_SHARED_MEMORY);
 *
 * The tracker starts with the first registration. It reads a pipe whose write end all
 * processes of the program hold: when the last of them has ended, in whatever way, it
 * unlinks what is still registered, says so on standard error, and ends. Signals from
 * the terminal, SIGTERM and the death of the program do not end it.
 * It is a child of the process that started it, and lives as long: a program that waits for
 * any child until there is none, `while (wait(NULL) > 0)`, waits for it for ever.
 *
 * A process holds a name or does not, however often it has registered it: it lets go
 * when each of its registrations is taken back. The tracker counts the processes that
 * hold a name, and forgets the name when the last one lets go.
 *
 * The pipe carries the lines of Python's multiprocessing.resource_tracker. A Python
 * process that is given the descriptor uses this tracker, and a carom program that is
 * given Python's, by carom_tracker_attach_dup(), uses that.
 *
 * Children by a plain fork share the tracker. Others are given carom_tracker_getfd()
 * and attach to it; one that does not starts a tracker of its own when it needs one.
 */
#ifndef CAROM_CORE_TRACKER_H
#define CAROM_CORE_TRACKER_H

#include "api.h"

CAROM_BEGIN_DECLS

/* What a name names. Python's words: noop, dummy, semaphore, shared_memory. */
enum carom_tracker_type {
	CAROM_TRACKER_NOOP,
	CAROM_TRACKER_DUMMY,         /* for tests: is tracked, and nothing is unlinked */
	CAROM_TRACKER_SEMAPHORE,     /* sem_unlink(3) */
	CAROM_TRACKER_SHARED_MEMORY, /* shm_unlink(3) */
};

/* The longest name, in bytes, with its leading slash. */
#define CAROM_TRACKER_NAME_MAX 255

/**
 * enum carom_tracker_dialect - what this process writes
 * @CAROM_TRACKER_AUTO:  `REGISTER:name:type`, which Python 3.8 to 3.13.0 and the newest
 *                       ones read; JSON for a name that such a line cannot hold
 * @CAROM_TRACKER_LINES: such lines alone
 * @CAROM_TRACKER_JSON:  `{"cmd":"REGISTER","rtype":"shared_memory","base64_name":"..."}`
 *                       alone; some Python releases after 3.13.0 read nothing else
 * @CAROM_TRACKER_BILLIARD: `REGISTER:name`, for semaphores alone, as billiard does
 *
 * carom's own tracker reads all of them, the last in the last dialect only.
 */
enum carom_tracker_dialect {
	CAROM_TRACKER_AUTO,
	CAROM_TRACKER_LINES,
	CAROM_TRACKER_JSON,
	CAROM_TRACKER_BILLIARD,
};

/* How the tracker ended; the highest number that applies. */
enum carom_tracker_status {
	CAROM_TRACKER_CLEAN = 0,         /* nothing was left */
	CAROM_TRACKER_LEAKED = 1,        /* names were left, and are unlinked */
	CAROM_TRACKER_UNLINK_FAILED = 2, /* one could not be */
	CAROM_TRACKER_CONFUSED = 3,      /* it was told something that made no sense */
};

/**
 * carom_tracker_ensure_running() - have a tracker
 *
 * Starts one if this process has none. One that was killed is replaced, with a warning in
 * the log, and told everything that this process has registered; what others have is
 * told to theirs when they notice. register, unregister and getfd do all this as well.
 *
 * Call it before children are made that shall share the tracker.
 *
 * Context: MT-Safe, AS-Unsafe lock heap. Usable in a forked child.
 * Return: 0, or
 *	-EMFILE, -ENFILE, -ENOMEM, -EAGAIN  from pipe2(2), mmap(2) and clone3(2)
 *	-EPIPE  the new tracker was killed before it could be told everything
 */
CAROM_API int carom_tracker_ensure_running(void);

/**
 * carom_tracker_getfd() - the pipe's write end, to be passed on
 *
 * It stays the library's; CLOEXEC; write whole lines of at most 512 bytes.
 *
 * Context: as carom_tracker_ensure_running().
 * Return: a descriptor, valid until carom_tracker_stop(), carom_tracker_attach_dup() or the
 * tracker's death; or as carom_tracker_ensure_running().
 */
CAROM_API int carom_tracker_getfd(void);

/**
 * carom_tracker_register() - have @name unlinked if nobody takes this back
 * @name: as it is given to shm_open(3) or sem_open(3); copied
 *
 * Register first and create then: a death in between costs nothing but a line about a
 * name that is not there.
 *
 * Context: MT-Safe, AS-Unsafe lock heap. Blocks while the pipe is full. Never raises
 * SIGPIPE. Usable in a forked child.
 * Return: 0, as carom_tracker_ensure_running(), or
 *	-EINVAL        @name is empty, or has a slash inside where only a leading one may be;
 *	               no such @type; the dialect has no words for it
 *	-ENAMETOOLONG  @name has more than CAROM_TRACKER_NAME_MAX bytes
 *	-EOVERFLOW     registered INT_MAX times
 */
CAROM_API int carom_tracker_register(const char *name, enum carom_tracker_type type);

/**
 * carom_tracker_unregister() - take back one registration
 *
 * Of a name that this process has not registered: the tracker is told that one of the
 * processes that hold it lets go (its parent, usually). A name that no process holds is a
 * complaint of the tracker on standard error, not an error here.
 *
 * Context, Return: as carom_tracker_register().
 */
CAROM_API int carom_tracker_unregister(const char *name, enum carom_tracker_type type);

/**
 * carom_tracker_stop() - let go of the tracker, and wait until it has ended
 *
 * Everything this process has registered is forgotten here. The tracker unlinks it when
 * no other process holds the pipe; for that this waits, but never longer than a second:
 * a child that is stuck does not hang its parent. The tracker goes on without us then.
 *
 * In a process that did not start the tracker itself there is nothing to wait for.
 * The next registration starts a new one. Does nothing if there is none.
 *
 * Context: MT-Safe, AS-Unsafe lock heap. Blocks for 1 s at most.
 * Return: an enum carom_tracker_status (CAROM_TRACKER_CLEAN if it is not ours), or
 *	-ETIMEDOUT  other processes still hold the pipe
 *	-ESRCH      the tracker was killed
 *	-ENODATA    it has ended, and the program's own waitpid(-1) took its status
 */
CAROM_API int carom_tracker_stop(void);

/**
 * carom_tracker_attach_dup() - use the tracker at the other end of a pipe
 * @fd: the pipe's write end; stays the caller's
 *
 * One that is in use is let go of, without waiting for it.
 *
 * Context: MT-Safe, AS-Unsafe lock.
 * Return: 0, or
 *	-EBADF           @fd is not open, or not for writing
 *	-EINVAL          @fd is no pipe
 *	-EPIPE           nobody reads it
 *	-EBUSY           this process has names registered with another tracker
 *	-EMFILE
 */
CAROM_API int carom_tracker_attach_dup(int fd);

/**
 * carom_tracker_set_dialect() - choose what this process writes
 *
 * CAROM_TRACKER_BILLIARD also makes a tracker that is started from now on accept what
 * billiard writes. Forked children keep the setting.
 *
 * Context: MT-Safe, AS-Unsafe lock.
 * Return: 0, -EINVAL (no such dialect).
 */
CAROM_API int carom_tracker_set_dialect(enum carom_tracker_dialect dialect);

CAROM_END_DECLS

#endif
