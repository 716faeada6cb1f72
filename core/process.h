/**
 * DOC: process
 *
 * A child, as multiprocessing.Process is one. It is held by its pidfd from birth, so
 * no call here ever reaches a stranger who got the same pid:
 *
 *	CAROM_CLEANUP(carom_process_freep) struct carom_process *process = NULL;
 *
 *	r = carom_process_new(&CAROM_PROCESS_OPTIONS(.function = count_lines,
 *						     .argument = path,
 *						     .argument_size = strlen(path) + 1), &process);
 *	if (r == 0)
 *		r = carom_process_start(process);
 *	if (r == 0)
 *		r = carom_process_join(process, CAROM_NO_DEADLINE);
 *
 * The child runs the function with default signal dispositions ("fork": the parent's),
 * an empty signal mask and the null device as standard input. At the regular end of the
 * program (return from main, exit()) children are waited for, as long as carom_set_exit_limit()
 * says, and daemonic ones terminated.
 *
 * It ends with its parent, however that ends (SIGKILL), and whatever it does meanwhile, as
 * far as the kernel can hold it:
 *
 *	- The kernel lets go of a child that changes its credentials (setuid(2), exec of a
 *	  set-user-ID program). One of "fork" or "spawn" that another thread than main's
 *	  has started is held by a descriptor instead: it may change them, and is let go of
 *	  when it closes all its descriptors, or executes another program. Whoever does so
 *	  watches the sentinel of carom_parent_process().
 *	- Children of "fork" and "spawn" that main's thread has started end as well when that
 *	  thread alone ends, by pthread_exit(3). So do those of any other thread where
 *	  /proc/self/fd cannot be opened: in a process that is not dumpable, or without /proc.
 *
 * In the context "thread" the same calls make what multiprocessing.dummy.Process is: a
 * thread of this program. Its function gets the very pointer and the very descriptors that
 * the options name, it has the signal mask of its creator, and what it does it does to
 * all. So no signal can be sent to it alone: it is asked to end by carom_process_cancel().
 * Its exit status is 0 once the function has returned, whatever that returns; a negative
 * value is reported on standard error as a child's is. The program waits for it as for
 * those of core/thread.h; one that is daemonic stops wherever it is when the program has
 * ended. Rows DT-01 to DT-03.
 *
 * Handles are counted: carom_process_free() gives one up, and the child goes on without it.
 * All functions are MT-Safe. A handle belongs to the process that made it; in a forked child
 * every call with it says -ECHILD and does nothing.
 */
#ifndef CAROM_CORE_PROCESS_H
#define CAROM_CORE_PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "api.h"
#include "cgroup_limits.h"
#include "cleanup.h"
#include "exit.h"
#include "registry.h"
#include "time.h"

CAROM_BEGIN_DECLS

struct carom_context;
struct carom_process;
struct carom_sandbox;
struct carom_violation;

/* For options that are passed on from the creator: */
enum carom_choice {
	CAROM_INHERIT,
	CAROM_NO,
	CAROM_YES,
};

/**
 * struct carom_process_options - what carom_process_new() makes
 * @size_bytes:    size of this struct; CAROM_PROCESS_OPTIONS() fills it in
 * @function:      what the child runs. "spawn" needs it registered (core/registry.h)
 * @function_name: instead of @function: a registered name, which need not be known
 *                 here. Neither: the child runs nothing, and its exit status is 0
 * @run:           called instead of the function, with what that would be given; it may call
 *                 that by carom_run_target(). As a class overrides Process.run() (row PR-04)
 * @argument:      copied when the child is started, so it must stay until then; any size.
 *                 "thread": not copied, so it must stay until the function needs it no more
 * @argument_size: in bytes; "thread": only handed on, and may be 0
 * @fds:           open descriptors that the child is to have as well; copied here, and they
 *                 must stay open until the child is started. Any number. "thread": only
 *                 handed on, and nobody looks whether they are open
 * @fd_count:      how many
 * @name:          copied, up to 255 bytes; NULL: "Process-1", "ForkProcess-1:2",
 *                 "DummyProcess-3" and so on, with the ordinals of its ancestors (row PR-02)
 * @daemon:        CAROM_YES: terminated at the regular end of this process, and not waited
 *                 for; "thread": only the latter. Inherited from this process, and by a
 *                 "thread" from the thread that makes the handle
 * @context:       NULL: the default one
 * @sandbox:       what it may ask of the kernel while it runs the function, see
 *                 core/sandbox.h; kept. NULL: all that this process may. It is entered after
 *                 the functions of core/after_fork.h were called; with it, a child by "fork"
 *                 too has no descriptors but 0, 1, 2 and @fds. Not for "thread"
 * @limits:        what it may use at most, together with all that it starts: it is born in a
 *                 cgroup of its own, see core/cgroup_limits.h. carom_process_kill() kills all
 *                 of them, and those that are left when it has ended are killed then. Copied;
 *                 NULL: no more than this process. Not for "thread"
 */
struct carom_process_options {
	size_t size_bytes;
	carom_process_fn *function;
	const char *function_name;
	carom_process_fn *run;
	const void *argument;
	size_t argument_size;
	const int *fds;
	size_t fd_count;
	const char *name;
	enum carom_choice daemon;
	struct carom_context *context;
	struct carom_sandbox *sandbox;
	const struct carom_cgroup_limits *limits;
};
#define CAROM_PROCESS_OPTIONS(...) CAROM_OPTIONS(carom_process_options, __VA_ARGS__)

/**
 * carom_process_new() - a handle, for a child that is not started yet
 * @options:     read during the call, but for @argument and the descriptors
 * @ret_process: the caller's; ended with carom_process_free()
 *
 * Name, authkey and the daemon flag are taken over now; what changes here later does
 * not change them (row PR-03).
 * Return: 0, -EINVAL (both functions, a size without its pointer, an empty name, a
 * daemon flag that is no enum carom_choice, limits that the kernel would refuse, which
 * is logged with the reason), -E2BIG, -ENAMETOOLONG, -ENOMEM, -EOPNOTSUPP ("forkserver",
 * where children can be made by fork(2) alone; a sandbox or limits for a "thread").
 */
CAROM_API int carom_process_new(const struct carom_process_options *options,
				struct carom_process **ret_process);

/**
 * carom_process_start() - have it run
 *
 * Flushes stdout and stderr first, so that nothing is printed twice. Blocks until the
 * child exists (for "fork" and "spawn" in the calling thread). "thread": neither.
 * Return: 0, or, with the handle as before, so that it can be started later:
 *	-EALREADY    it was started already (row PR-05)
 *	-EBUSY       before carom_main_hook() in a program that was itself started by
 *	             "spawn" (row CX-17); a context that refuses threads
 *	-EPIPE       "forkserver": it has died of what it preloads, or was killed, each
 *	             of three times it was asked
 *	-EPERM       by a daemonic process, in a context with no_daemon_children;
 *	             "thread": by another thread than the one that made the handle
 *	-ENOENT      "spawn": the function is not registered, or there is no such executable
 *	-ENOEXEC     "spawn": this program has not called carom_main_hook()
 *	-EACCES      "spawn": what carom_set_executable() has named must not be run
 *	-EBADF       one of the descriptors, or the handle is closed
 *	-ECANCELED   this process exits, and waits for its children already
 *	-EAGAIN      no more processes or threads are allowed (RLIMIT_NPROC, pids.max)
 *	-ENOMEM, -EMFILE, -ENFILE
 *	-EOPNOTSUPP, -EROFS, -EACCES, -EBUSY, -ENODEV  there are limits, and no cgroup can
 *	             be made for them; what is missing, and what helps, is logged as a warning
 *	-ETOOMANYREFS "forkserver": more descriptors under way than RLIMIT_NOFILE
 *	-ECHILD
 */
CAROM_API int carom_process_start(struct carom_process *process);

/**
 * carom_process_join() - wait until it has ended
 * @deadline_ns: CAROM_NO_DEADLINE, CAROM_PASSED only looks
 *
 * A signal handler does not end the wait. May be called again, and by several threads.
 * A cancellation point (pthread_cancel(3)), which carom_process_start() is not.
 * A "thread" has ended once its function has: the thread itself may be about to go.
 * Return: 0: it has ended; -ETIMEDOUT; -EINVAL (not started), -EDEADLK (the current
 * process or "thread"), -EBADF (closed), -ECHILD. Rows PR-09, PR-10.
 */
CAROM_API int carom_process_join(struct carom_process *process, uint64_t deadline_ns);

/** carom_process_is_alive() - 1, 0 (not started, or ended), -EBADF (closed), -ECHILD. Row PR-12. */
CAROM_API int carom_process_is_alive(struct carom_process *process);

/**
 * carom_process_signal() - pidfd_send_signal(2)
 *
 * Its descendants get nothing. One that has ended is no error and gets nothing either.
 * Return: 0, -EINVAL (not started, no such signal), -EPERM (it runs as another user),
 * -EOPNOTSUPP ("thread"; row DT-03), -EBADF (closed), -ECHILD.
 */
CAROM_API int carom_process_signal(struct carom_process *process, int signal_number);

/** carom_process_terminate() - SIGTERM, or what REMAP_SIGTERM names; as carom_process_signal(). Row PR-13. */
CAROM_API int carom_process_terminate(struct carom_process *process);

/** carom_process_interrupt() - SIGINT; as carom_process_signal(). Row PR-15. */
CAROM_API int carom_process_interrupt(struct carom_process *process);

/** carom_process_kill() - SIGKILL; as carom_process_signal(). Row PR-14. */
CAROM_API int carom_process_kill(struct carom_process *process);

/**
 * carom_process_terminate_controlled() - terminate, and do not speak of it
 *
 * A child that is killed by a signal is logged (level WARNING), but not this one then.
 * Return: as carom_process_signal(). Row PR-16.
 */
CAROM_API int carom_process_terminate_controlled(struct carom_process *process);

/**
 * carom_process_cancel() - ask a "thread" to end
 *
 * It ends when it pleases: its function sees it by carom_process_is_cancelled(). Nothing
 * is interrupted. One that has ended is no error.
 * Return: 0, -EINVAL (not started), -EOPNOTSUPP (a child: see carom_process_terminate() and
 * core/shutdown.h), -EBADF (closed), -ECHILD. Row DT-03.
 */
CAROM_API int carom_process_cancel(struct carom_process *process);

/**
 * carom_process_is_cancelled() - has it been asked to end?
 *
 *	while (!carom_process_is_cancelled(carom_current_process()))
 *		work();
 *
 * No lock and no system call. Return: 1, 0 (any child, too), -ECHILD.
 */
CAROM_API int carom_process_is_cancelled(struct carom_process *process);

/**
 * carom_process_close() - give its descriptor back
 *
 * Every later call but carom_process_name(), _describe() and _free() says -EBADF.
 * Return: 0 (closed before, too), -EBUSY (it runs), -ECHILD. Row PR-17.
 */
CAROM_API int carom_process_close(struct carom_process *process);

/**
 * carom_process_free() - give the handle up; always NULL
 *
 * A child that runs goes on, is reaped when it ends, and still is among
 * carom_active_children().
 */
CAROM_API struct carom_process *carom_process_free(struct carom_process *process);
CAROM_API void carom_process_freep(struct carom_process **process);

/** carom_process_name() - up to @size bytes with the NUL. 0, -EMSGSIZE. */
CAROM_API int carom_process_name(struct carom_process *process, char *name, size_t size);

/**
 * carom_process_set_name() - for people only; a running child keeps what it knows
 * Return: 0, -EINVAL (empty), -ENAMETOOLONG, -EBADF (closed), -ECHILD. Row PR-18.
 */
CAROM_API int carom_process_set_name(struct carom_process *process, const char *name);

/** carom_process_daemon() - 1, 0, -EBADF (closed), -ECHILD */
CAROM_API int carom_process_daemon(struct carom_process *process);

/** carom_process_set_daemon() - before the start. 0, -EBUSY (started), -EBADF, -ECHILD. Row PR-19. */
CAROM_API int carom_process_set_daemon(struct carom_process *process, int daemon);

/**
 * carom_process_pid() - for people: use the handle
 * Return: the pid, 0 (not started, or a "thread"), -EBADF (closed), -ECHILD.
 */
CAROM_API pid_t carom_process_pid(struct carom_process *process);

/**
 * carom_process_exitcode() - 0 to 255, or -N: killed by signal N
 * @ret_code: only with 0
 *
 * Return: 0, -EINPROGRESS (not started, or it runs), -ENODATA (it has ended, and a
 * waitpid(-1) of this program was told how), -EBADF (closed), -ECHILD. Row PR-21.
 */
CAROM_API int carom_process_exitcode(struct carom_process *process, int *ret_code);

/**
 * carom_process_exit() - the same with all that the kernel knows: core dump, resources
 * Return: as carom_process_exitcode(), but CAROM_EXIT_TAKEN instead of -ENODATA.
 */
CAROM_API int carom_process_exit(struct carom_process *process, struct carom_exit *ret_exit);

/**
 * carom_process_violation() - which system call has ended it, that its sandbox does not have
 *
 * Its exit code is -SIGSYS then. See struct carom_violation for how much that is worth. One
 * that could not enter its sandbox says so on standard error, and has the exit code 1.
 * Return: 0, -ENODATA (it was not that, or it has no sandbox), and as carom_process_exit().
 */
CAROM_API int carom_process_violation(struct carom_process *process,
				      struct carom_violation *ret_violation);

/**
 * carom_process_out_of_memory() - was its limit of memory what killed it?
 * @ret_limit_bytes: memory_bytes of its limits, in whole pages
 * @ret_peak_bytes:  the most that it used, with all that it had started; 0 before Linux 5.19
 *
 * Its exit code is -SIGKILL then, unless the kernel has chosen one of its descendants.
 * Return: 0, -ENODATA (it was not that, or it has no such limit), and as
 * carom_process_exit().
 */
CAROM_API int carom_process_out_of_memory(struct carom_process *process, uint64_t *ret_limit_bytes,
					  uint64_t *ret_peak_bytes);

/**
 * carom_process_sentinel() - its pidfd: readable as soon as it has ended
 *
 * Stays the handle's, until it is closed or freed. A grandchild that goes on does not
 * keep it silent.
 * Return: the descriptor, -EINVAL (not started), -EOPNOTSUPP ("thread"), -EBADF (closed),
 * -ECHILD. Row PR-23.
 */
CAROM_API int carom_process_sentinel(struct carom_process *process);

/**
 * carom_process_authkey() - the secret that the program's processes share
 * @key: at least 256 bytes
 * Return: its size in bytes, -EBADF, -ECHILD. It is never written anywhere but into
 * the memory of a new child. Row PR-22.
 */
CAROM_API int carom_process_authkey(struct carom_process *process, void *key);

/** carom_process_set_authkey() - 1 to 256 bytes. 0, -EINVAL, -EBUSY (a child that was started). */
CAROM_API int carom_process_set_authkey(struct carom_process *process, const void *key,
					size_t size);

/**
 * carom_process_describe() - one line, as Python's repr: "<Process name='...' pid=7
 * parent=3 stopped exitcode=-SIGTERM daemon>"
 * @size: of @text; what does not fit is cut
 *
 * In a forked child the state is "unknown". Rows PR-28, PR-29.
 */
CAROM_API void carom_process_describe(struct carom_process *process, char *text, size_t size);

/**
 * carom_current_process() - this process: "MainProcess", or what its parent called it
 *
 * Its name, daemon flag (read only) and authkey may be used, its pid and
 * whether it is alive. Not to be freed. Row PR-24. In a "thread" it is that one's handle, which
 * is valid until the function has ended. Row DT-01.
 */
CAROM_API struct carom_process *carom_current_process(void);

/**
 * carom_parent_process() - who started this one; NULL in the root
 *
 * Name, pid, is_alive, join and sentinel work; nobody but its own parent learns how it ended.
 * Where pidfd_open(2) is denied, join and sentinel say -EOPNOTSUPP. Not to be freed. Row PR-25.
 */
CAROM_API struct carom_process *carom_parent_process(void);

/**
 * carom_active_children() - the children of this process that have not ended
 * @ret_processes: up to @count handles, each the caller's to free
 *
 * Reaps those that have. Those of the context "thread" are among them, whichever
 * thread has started them.
 * Return: how many there are, which may be more than @count. Row PR-26.
 */
CAROM_API size_t carom_active_children(struct carom_process **ret_processes, size_t count);

/**
 * carom_process_count() - handles of this process that are not freed yet, for leak tests
 *
 * One that carom_active_children() gave out counts as another. Row PR-31.
 */
CAROM_API size_t carom_process_count(void);

/**
 * carom_main_hook() - call this first thing in main()
 *
 * Where this program was started as a child by "spawn", it runs what it was started
 * for and does not come back. Everywhere else it does nothing.
 *
 * A program that is started as a child and has no such call does what it does when a
 * person starts it, but makes no children of its own (-EBUSY). When it ends, it says on
 * standard error what is missing, and its exit status is 70.
 * Return: 0. Row CX-19.
 */
CAROM_API int carom_main_hook(int argc, char **argv);

/**
 * carom_run_target() - in an option `run`: call the function that it was called instead of
 *
 * Return: what that returns; 0 if there is none; -ENOENT: it is not registered here;
 * -EINVAL: nothing was called instead of anything.
 */
CAROM_API int carom_run_target(const void *argument, size_t size, const int *fds, size_t fd_count);

/**
 * carom_child_exit() - end this child as if its function had returned; see billiard_exit_codes
 *
 * This and the next end the whole program if a "thread" calls them: that ends by itself by
 * pthread_exit(3).
 */
CAROM_API void carom_child_exit(void) __attribute__((noreturn));

/** carom_child_fail() - say @text on standard error and end this child with status 1 */
CAROM_API void carom_child_fail(const char *text) __attribute__((noreturn));

/**
 * carom_set_exit_limit() - how long the regular end of this program waits for children and threads
 * @limit_ns: for all of them; CAROM_NO_DEADLINE, as it is at first: as long as it takes
 *
 * Those that have not ended by then are named in the log (level WARNING), and end with the
 * program: the end is not waited for, but nobody is left behind. Children by "fork" begin with
 * their parent's limit.
 *
 * Context: MT-Safe, AS-Safe.
 */
CAROM_API void carom_set_exit_limit(uint64_t limit_ns);

/** carom_is_exiting() - has the regular end of this process begun? AS-Safe. */
CAROM_API bool carom_is_exiting(void);

/**
 * carom_reset_for_tests() - end what a program would at its end, and go on
 *
 * For tests that look for leaks: finalizers run, daemonic children are terminated and all
 * are waited for; then the fork server and the library's thread end, and with them their
 * descriptors. A handle that is not freed keeps its own. Settings stay. What is used after
 * that is made anew.
 *
 * Context: MT-Unsafe: no other thread uses the library meanwhile.
 * Return: 0, or -EBUSY: a pool, or a result of one, is not freed. Row UT-25.
 */
CAROM_API int carom_reset_for_tests(void);

/**
 * carom_ensure_forkserver() - start the fork server now, while the program is small
 * Return: 0, or what a thread, a loop and a fork can say. Row FS-14.
 */
CAROM_API int carom_ensure_forkserver(void);

/** carom_stop_forkserver() - end it; its children go on. The next child starts a new one. Row FS-14. */
CAROM_API void carom_stop_forkserver(void);

/** carom_ensured_forkserver_pid() - 0 if there is none. For people. */
CAROM_API pid_t carom_ensured_forkserver_pid(void);

CAROM_END_DECLS

#endif
