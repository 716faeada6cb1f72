/**
 * DOC: sandbox
 *
 * What a child may ask of the kernel, once it is to run code that nobody vouches for:
 *
 *	CAROM_CLEANUP(carom_sandbox_freep) struct carom_sandbox *sandbox = NULL;
 *
 *	r = carom_sandbox_new(&CAROM_SANDBOX_OPTIONS(.profile = CAROM_SANDBOX_STRICT), &sandbox);
 *	if (r == 0)
 *		r = carom_pool_new(&CAROM_POOL_OPTIONS(.worker_count = 4, .sandbox = sandbox),
 *				   &pool);
 *
 * A sandbox is several layers that do not rely on each other: whatever gets through one
 * of them stands before the next. All of them are put up in the child, after it was set up
 * and before it runs its function or its first task, and none can be taken down again:
 *
 *	descriptors	it has 0, 1, 2 and those that it was given, and no others; no io_uring
 *	limits		no core dump; how many descriptors, how large a file
 *	namespaces	those that are asked for
 *	capabilities	none, also where it runs as root
 *	undumpable	no process of the same user reads its memory
 *	no_new_privs	no set-user-ID program gives it any
 *	landlock	no file but those allowed; no way into other processes' memory
 *	seccomp		no system call but those of its profile
 *
 * A system call that the profile does not have ends the process by SIGSYS, and is never
 * executed. Which it was is told (carom_process_violation(), CAROM_OUTCOME_SANDBOX_VIOLATION).
 *
 * A layer that cannot be put up is an error, at carom_sandbox_new(), which tries all of
 * them in a child of its own, and in the child that needs it, which does not begin then.
 * One that is named in `optional` may be missing; carom_sandbox_layers() has what there is.
 *
 * In a pid namespace of its own a child is process 1: getpid(2) is 1, getppid(2) 0, and the
 * program has another pid for it, as have log lines and outcomes. It is born there, so what
 * stands here is so from its beginning, initializers included:
 *
 *	signals with their default action do nothing to it, but for SIGKILL and SIGSTOP
 *	from outside and faults of its own. SIGTERM, SIGINT, SIGHUP, SIGQUIT and SIGABRT
 *	end it, with the exit code 128 + number instead of -number
 *	locks, and whatever has one inside (heaps, queues), are not for it: -EOPNOTSUPP,
 *	or, for a heap that was there before it, its end. Thread ids, by which the kernel
 *	tells who held what in shared memory, are not unique across such namespaces
 *	carom_parent_process() is NULL, /proc, if it is open to it, shows the outside, and
 *	what it has started and nobody waits for stays a zombie until its own end
 *	where the program is not root it is in a user namespace as well, as itself
 *
 * What a sandbox is not: a limit for memory and CPU (give the pool limits), a defence
 * against side channels, or a secret kept from the child. A child made by "fork" and by
 * "forkserver" is a copy of the program, and what that had in its memory then it can read;
 * one made by "spawn" is not. A socket for datagrams that it is given reaches all addresses,
 * whatever it is connected to. Standard error is the program's: give it no terminal whose
 * input matters, since who may write to a terminal may read from it.
 */
#ifndef CAROM_CORE_SANDBOX_H
#define CAROM_CORE_SANDBOX_H

#include <stddef.h>
#include <stdint.h>

#include "api.h"

CAROM_BEGIN_DECLS

struct carom_sandbox;

/**
 * enum carom_sandbox_profile - which system calls, and which files
 * @CAROM_SANDBOX_NONE:   none of this
 * @CAROM_SANDBOX_BASIC:  an ordinary program that minds its own business: memory, threads,
 *                        time, pipes, files to be read; to be written to only beneath
 *                        write_paths. No sockets but those it has and pairs of them, no other
 *                        programs, no new processes, no executable memory
 * @CAROM_SANDBOX_STRICT: computing, on memory and on descriptors that were given: no
 *                        path is ever opened or looked at, no descriptor made. fstat(3) of the
 *                        C library may fail with EACCES, as it is a stat by path to the kernel
 * @CAROM_SANDBOX_CUSTOM: what this library and the C library need, and `allow`
 */
enum carom_sandbox_profile {
	CAROM_SANDBOX_NONE,
	CAROM_SANDBOX_BASIC,
	CAROM_SANDBOX_STRICT,
	CAROM_SANDBOX_CUSTOM,
};

/**
 * enum carom_sandbox_layer - bits; the first seven are there unless they are optional
 * @CAROM_SANDBOX_USER_NAMESPACE: needed for the next four where the program is not root
 * @CAROM_SANDBOX_NET_NAMESPACE: no network interface, and no abstract sockets of others
 * @CAROM_SANDBOX_MOUNT_NAMESPACE: "strict": an empty file system; else mounts of its own
 * @CAROM_SANDBOX_IPC_NAMESPACE: no System V IPC and no message queues of others
 * @CAROM_SANDBOX_PID_NAMESPACE: no process but those it starts itself, which end when it does.
 *                      Only by the start method "forkserver"; see below
 * @CAROM_SANDBOX_PARENT: the program's own memory is closed to processes of the same user
 *                      (PR_SET_DUMPABLE): what stands in for landlock where there is none, but
 *                      not for files. "basic" has no call then that takes a path, and where
 *                      `allow` has one that opens, makes, moves, removes or executes files,
 *                      landlock is needed as ever, unless `optional` has it
 */
enum carom_sandbox_layer {
	CAROM_SANDBOX_DESCRIPTORS = 1 << 0,
	CAROM_SANDBOX_LIMITS = 1 << 1,
	CAROM_SANDBOX_CAPABILITIES = 1 << 2,
	CAROM_SANDBOX_UNDUMPABLE = 1 << 3,
	CAROM_SANDBOX_NO_NEW_PRIVS = 1 << 4,
	CAROM_SANDBOX_LANDLOCK = 1 << 5,
	CAROM_SANDBOX_SECCOMP = 1 << 6,
	CAROM_SANDBOX_USER_NAMESPACE = 1 << 7,
	CAROM_SANDBOX_NET_NAMESPACE = 1 << 8,
	CAROM_SANDBOX_MOUNT_NAMESPACE = 1 << 9,
	CAROM_SANDBOX_IPC_NAMESPACE = 1 << 10,
	CAROM_SANDBOX_PID_NAMESPACE = 1 << 11,
	CAROM_SANDBOX_PARENT = 1 << 12,
};

/**
 * struct carom_sandbox_options - what carom_sandbox_new() makes
 * @size_bytes: size of this struct; CAROM_SANDBOX_OPTIONS() fills it in
 * @profile:    one of enum carom_sandbox_profile
 * @allow:      names of further system calls, as in man 2 syscalls, ended by NULL. One
 *              that the profile has for some arguments is there for all then, but "clone"
 *              never for namespaces. "fork" allows new processes, which cannot send themselves
 *              signals: raise(3) and abort(3) are violations there
 * @deny:       names of calls that are not to be there, also if they are in @allow; NULL
 * @read_paths: what may be opened for reading: files, and directories with all beneath;
 *              ended by NULL. NULL: "basic" all, others nothing
 * @write_paths: what may be written to, made and removed; NULL: nothing but /dev/null
 * @layers:     bits of enum carom_sandbox_layer: namespaces, CAROM_SANDBOX_PARENT
 * @optional:   bits of those that may be missing
 * @file_size_max_bytes: no file is written beyond it (SIGXFSZ); 0 means "strict" 64 MiB,
 *              others 8 GiB
 * @descriptor_max: no descriptor gets this number or one above it; those that were given
 *              stay. 0 means "strict" 64, others 256
 *
 * With CAROM_SANDBOX_PARENT this process ceases to be dumpable, at carom_sandbox_new() and
 * for good: it leaves no core dump, and its /proc files are root's, so that who is not root
 * has no user namespaces for its children. Do so before there is a fork server, whose memory
 * is a copy.
 */
struct carom_sandbox_options {
	size_t size_bytes;
	uint64_t profile;
	const char *const *allow;
	const char *const *deny;
	const char *const *read_paths;
	const char *const *write_paths;
	uint64_t layers;
	uint64_t optional;
	uint64_t file_size_max_bytes;
	uint64_t descriptor_max;
};
#define CAROM_SANDBOX_OPTIONS(...) CAROM_OPTIONS(carom_sandbox_options, __VA_ARGS__)

/**
 * carom_sandbox_new() - compile a sandbox, and try it
 * @options:     read during the call only
 * @ret_sandbox: the caller's, ended with carom_sandbox_free(); processes and pools that
 *               have it as an option keep it for themselves
 *
 * Makes a child that enters it and ends; that takes about as long as a fork(2) of this
 * process. What is in force is logged (level INFO), and so is why it cannot be (ERROR).
 *
 * Context: MT-Safe, AS-Unsafe heap. Waits for that child.
 * Return: 0, or, with a sentence in the log that names what is meant:
 *	-ENOENT     there is no such system call, or no such path
 *	-EPERM      a call in @allow that no sandbox has (io_uring_setup, ptrace, bpf, ...)
 *	-EINVAL     no such profile or layer; a call in @deny that the library itself
 *	            needs; lists or layers without a profile
 *	-EOPNOTSUPP a layer that cannot be had here, and is not optional; or libseccomp cannot
 *	            be loaded
 *	-E2BIG      an option newer than this library, or lists that are too long
 *	-ENOMEM, -EMFILE, -ENFILE, -EAGAIN
 */
CAROM_API int carom_sandbox_new(const struct carom_sandbox_options *options,
				struct carom_sandbox **ret_sandbox);

/**
 * carom_sandbox_check() - carom_sandbox_new(), for the sentence
 * @text: what is in force, or why it cannot be; cut at @size bytes, always with a NUL
 *
 * Context, return: as carom_sandbox_new(). Nothing is logged.
 */
CAROM_API int carom_sandbox_check(const struct carom_sandbox_options *options, char *text,
				  size_t size);

/** carom_sandbox_free() - give it up; always NULL. Who is in it stays there. MT-Safe. */
CAROM_API struct carom_sandbox *carom_sandbox_free(struct carom_sandbox *sandbox);
CAROM_API void carom_sandbox_freep(struct carom_sandbox **sandbox);

/** carom_sandbox_layers() - bits of those that are in force: all that were asked for and found. MT-Safe. */
CAROM_API uint64_t carom_sandbox_layers(const struct carom_sandbox *sandbox);

/** carom_sandbox_layer_name() - of one bit: "landlock", "seccomp", ...; NULL: it is none. MT-Safe. */
CAROM_API const char *carom_sandbox_layer_name(enum carom_sandbox_layer layer);

/**
 * carom_sandbox_describe() - one line for people
 * @text: cut at @size bytes, always with a NUL; 320 hold every line
 *
 * "strict: descriptors, limits, capabilities, undumpable, no_new_privs, landlock (ABI 7),
 * seccomp (171 instructions); without ipc namespace: Operation not permitted"
 *
 * Context: MT-Safe.
 * Return: @text.
 */
CAROM_API char *carom_sandbox_describe(const struct carom_sandbox *sandbox, char *text,
				       size_t size);

#define CAROM_SYSTEM_CALL_NAME_MAX 32

/**
 * struct carom_violation - a system call that a sandbox does not have
 * @number: as this architecture counts them; -1: not known. So it is when the process used
 *          another architecture's way into the kernel, when it had all signals blocked (as
 *          the C library has while it makes a thread or a process), and in a process or
 *          program that it has started itself
 * @name:   "openat"; "system call 1234" for one without a name; "unknown"
 *
 * The number is what the process has left in its last moment. Hostile code may have put
 * another one there: take it for a help in finding mistakes. That there was a violation is
 * the kernel's word, unless the process has sent itself SIGSYS.
 */
struct carom_violation {
	int64_t number;
	char name[CAROM_SYSTEM_CALL_NAME_MAX];
};

CAROM_END_DECLS

#endif
