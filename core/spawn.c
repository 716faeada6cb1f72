/*
 * Spawn
 *
 * The child borrows this process's memory until it execs (CLONE_VM), so nothing
 * is copied, and the calling thread waits meanwhile (CLONE_VFORK). Therefore:
 *
 *   I1  The child runs on a stack of its own, makes system calls only, and writes
 *       nothing but that stack and `struct start`, which the caller reads after
 *       (and errno, whose value nobody uses).
 *   I2  Every signal is blocked in both until the child has default dispositions:
 *       a handler of this program never runs in the borrowed memory.
 *   I3  The exit signal is 0 until exec makes it SIGCHLD: a host program's
 *       waitpid(-1) never sees a child that failed to exec.
 *
 * clone3() has no wrapper in the C library, and its child comes back on another
 * stack where a C function cannot return: a few instructions of assembly call
 * run_child() there. On other architectures, and where clone3 is denied, glibc's
 * clone() does the same; only the cgroup needs clone3.
 *
 * A child that is to be prepared has a copy of the memory instead, and what it is to say
 * stands in a page that it shares; all else is the same.
 */
#include "core/clone.h"
#include "core/guard.h"
#include "core/pidfd.h"
#include "core/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/cgroup_group.h"
#include "core/cleanup.h"
#include "core/descriptors.h"
#include "core/points.h"
#include "core/probe.h"
#include "core/signals.h"

#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP UINT64_C(0x200000000)
#endif

#define STACK_SIZE (64 * 1024)
#define GUARD_SIZE (64 * 1024) /* at least a page, on every architecture */

/**
 * struct start - what the child is given, and gives back
 * @path:   where to look for a program without a slash
 * @found_at: in that, the directory that is tried first; afterwards the one tried last
 * @is_outside: the child was not born in its cgroup, and has to enter it
 * @parent: the pid the child's getppid() must give
 * @error:  0, or why there is no new program: negative errno; in shared memory
 */
struct start {
	const struct carom_spawn_options *options;
	const char *path;
	size_t found_at;
	bool is_outside;
	pid_t parent;
	volatile int *error;
};

/*
 * Frames that exec leaves for good: a sanitizer's marks around them would stay in the
 * shadow of memory that goes on being this process's.
 */
#define IN_CHILD __attribute__((no_sanitize_address, no_sanitize_thread))

/* --- child: AS-Safe calls only ----------------------------------------- */

/* One number for each of 0, 1, 2, and none of them among 0, 1, 2 unless it is already there. */
static IN_CHILD int move_away(int sources[3])
{
	for (int i = 0; i < 3; i++) {
		if (sources[i] < 0 || sources[i] > 2 || sources[i] == i)
			continue;
		sources[i] = fcntl(sources[i], F_DUPFD_CLOEXEC, 3);
		if (sources[i] < 0)
			return -errno;
	}
	return 0;
}

static IN_CHILD int place_descriptors(const struct carom_spawn_options *options)
{
	int sources[3] = { options->stdin_fd, options->stdout_fd, options->stderr_fd };
	int r = move_away(sources);

	for (int i = 0; r == 0 && i < 3; i++) {
		if (sources[i] < 0)
			continue;
		if (sources[i] == i)
			r = fcntl(i, F_SETFD, 0) < 0 ? -errno : 0; /* dup2() would leave CLOEXEC */
		else
			r = dup2(sources[i], i) < 0 ? -errno : 0;
	}
	return r;
}

/* After 0, 1 and 2 are in place: one of those to keep may have been there. */
static IN_CHILD int keep_descriptors(const struct carom_spawn_options *options)
{
	for (size_t i = 0; i < options->keep_count; i++) {
		int fd = options->keep_fds[i];

		if (fd >= 0 && fd != options->program_fd && fcntl(fd, F_SETFD, 0) < 0)
			return -errno;
	}
	carom_descriptors_close(3, options->keep_fds, options->keep_count);
	return 0;
}

static IN_CHILD int guard_child(const struct start *start)
{
	const struct carom_spawn_options *options = start->options;

	if (options->guard)
		return carom_guard_arm(options->guard);
	return options->death_signal ? carom_die_with_parent(start->parent, options->death_signal)
				     : 0;
}

/* DIRECTORY/NAME in @ret_program; the empty directory is the current one. */
static IN_CHILD bool join_path(const char *directory, size_t length, const char *name,
			       char ret_program[PATH_MAX])
{
	size_t name_size = strlen(name) + 1;

	if (length + 1 + name_size > PATH_MAX)
		return false;
	memcpy(ret_program, directory, length);
	if (length)
		ret_program[length++] = '/';
	memcpy(ret_program + length, name, name_size);
	return true;
}

static IN_CHILD int exec_at(struct start *start, size_t offset, const char *name, char *const *envp)
{
	const char *directory = start->path + offset;
	char program[PATH_MAX];

	if (!join_path(directory, strcspn(directory, ":"), name, program))
		return -ENOENT;
	start->found_at = offset;
	execve(program, start->options->argv, envp);
	return -errno;
}

/* As execvpe(3), but a file of unknown format is an error, not a script. */
static IN_CHILD int exec_in_path(struct start *start, const char *name, char *const *envp)
{
	bool was_denied = false;
	size_t offset = 0;

	if (start->found_at) /* if it is not to be run there any more, it may be elsewhere */
		(void)exec_at(start, start->found_at, name, envp);
	for (;;) {
		int r = exec_at(start, offset, name, envp);

		if (r == -EACCES)
			was_denied = true; /* another directory may hold one to run */
		else if (r != -ENOENT && r != -ENOTDIR && r != -ESTALE)
			return r;
		offset += strcspn(start->path + offset, ":");
		if (start->path[offset] == '\0')
			return was_denied ? -EACCES : -ENOENT;
		offset++;
	}
}

/* Returns what was wrong with the last way that was tried. */
static IN_CHILD int exec_program(struct start *start, const char *program, char *const *envp)
{
	const struct carom_spawn_options *options = start->options;

	if (options->program_fd > 0)
		syscall(SYS_execveat, options->program_fd, "", options->argv, envp, AT_EMPTY_PATH);
	if (!strchr(program, '/'))
		return exec_in_path(start, program, envp);
	execve(program, options->argv, envp);
	return -errno;
}

static IN_CHILD int become_program(struct start *start)
{
	const struct carom_spawn_options *options = start->options;
	char *const *envp = options->envp ? options->envp : environ;
	const char *program = options->program ? options->program : options->argv[0];
	int r;

	CAROM_POINT("spawn.born");
	if (start->is_outside) {
		r = carom_cgroup_enter(options->cgroup_fd);
		if (r < 0)
			return r;
	}
	if (options->new_group && setpgid(0, 0) < 0)
		return -errno;
	r = place_descriptors(options);
	if (r == 0 && !options->prepare)
		r = keep_descriptors(options);
	if (r == 0)
		r = guard_child(start);
	if (r < 0)
		return r;
	if (!options->signals_are_default)
		carom_signals_default();
	carom_signals_restore(0);
	CAROM_POINT("spawn.ready");
	r = options->prepare ? options->prepare(options->prepare_data) : 0;
	return r < 0 ? r : exec_program(start, program, envp);
}

static IN_CHILD int run_child(void *argument)
{
	struct start *start = argument;

	*start->error = become_program(start);
	return 127;
}

/* --- the two ways ------------------------------------------------------ */

#ifdef __x86_64__

/*
 * The child finds its stack empty and aligned, takes run_child() and its argument
 * from registers that the system call leaves alone, and ends when that returns.
 */
static pid_t clone3_and_run(const struct clone_args *args, struct start *start)
{
	register int (*function)(void *) __asm__("r8") = run_child;
	register void *argument __asm__("r9") = start;
	long r = SYS_clone3;

	__asm__ volatile("syscall\n\t"
			 "test %%rax, %%rax\n\t"
			 "jnz 1f\n\t"
			 "xor %%ebp, %%ebp\n\t"
			 "mov %%r9, %%rdi\n\t"
			 "call *%%r8\n\t"
			 "mov %%eax, %%edi\n\t"
			 "mov %[exit], %%eax\n\t"
			 "syscall\n\t"
			 "hlt\n"
			 "1:"
			 : "+a"(r)
			 : "D"(args), "S"(sizeof(*args)), "r"(function),
			   "r"(argument), [exit] "i"(SYS_exit)
			 : "rcx", "r11", "memory", "cc");
	return (pid_t)r;
}

static bool has_clone3(void)
{
	return carom_clone_way() == CAROM_CLONE_BY_CLONE3;
}

#else

static pid_t clone3_and_run(const struct clone_args *args, struct start *start)
{
	return -ENOSYS;
}

static bool has_clone3(void)
{
	return false;
}

#endif

static pid_t by_clone3(struct start *start, void *stack, int *ret_pidfd)
{
	struct clone_args args = {
		.flags = (start->options->prepare ? 0 : CLONE_VM) | CLONE_VFORK | CLONE_PIDFD,
		.pidfd = (uintptr_t)ret_pidfd,
		.stack = (uintptr_t)stack,
		.stack_size = STACK_SIZE,
	};

	if (start->options->cgroup_fd > 0) {
		args.flags |= CLONE_INTO_CGROUP;
		args.cgroup = (uint64_t)start->options->cgroup_fd;
	}
	return clone3_and_run(&args, start);
}

static pid_t by_clone(struct start *start, char *stack, int *ret_pidfd)
{
	bool gives_pidfd = carom_clone_way() != CAROM_CLONE_BY_FORK;
	int flags = (start->options->prepare ? 0 : CLONE_VM) | CLONE_VFORK |
		    (gives_pidfd ? CLONE_PIDFD : 0);
	pid_t pid;

	start->is_outside = start->options->cgroup_fd > 0;
	pid = clone(run_child, stack + STACK_SIZE, flags, start, ret_pidfd);
	if (pid < 0)
		return -errno;
	if (!gives_pidfd)
		*ret_pidfd = carom_pidfd_open(pid);
	return pid;
}

/* The child that could not exec ends at once, and is nobody else's to reap (I3). */
static void reap_failed(pid_t pid)
{
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

static pid_t start_on(void *stack, struct start *start, int *ret_pidfd)
{
	CAROM_CLEANUP(carom_closep) int pidfd = -1;
	uint64_t mask = carom_signals_block();
	pid_t pid = has_clone3() ? by_clone3(start, stack, &pidfd) : by_clone(start, stack, &pidfd);

	carom_signals_restore(mask);
	if (pid < 0)
		return pid;
	CAROM_POINT("spawn.made");
	if (*start->error < 0) {
		reap_failed(pid);
		return *start->error;
	}
	if (pidfd < 0) { /* only where it has to be opened afterwards; ESRCH: it is gone already */
		if (pidfd != -ESRCH) {
			kill(pid, SIGKILL);
			reap_failed(pid);
		}
		return pidfd;
	}
	*ret_pidfd = carom_take_fd(pidfd);
	return pid;
}

/* --- stacks ------------------------------------------------------------ */

/*
 * One is kept for the next child: to map one, to fault its pages in and to unmap it would
 * be a tenth of what a child costs. Nobody is on it any more when clone() has returned.
 * A forked child has a copy, or none.
 */
static _Atomic(char *) spare_stack;

static char *new_stack(void)
{
	char *memory = mmap(NULL, GUARD_SIZE + STACK_SIZE, PROT_NONE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (mprotect(memory + GUARD_SIZE, STACK_SIZE, PROT_READ | PROT_WRITE) < 0) {
		munmap(memory, GUARD_SIZE + STACK_SIZE);
		return NULL;
	}
	return memory + GUARD_SIZE;
}

static char *take_stack(void)
{
	char *stack = atomic_exchange(&spare_stack, NULL);

	return stack ? stack : new_stack();
}

static void give_stack(char *stack)
{
	char *none = NULL;

	if (!atomic_compare_exchange_strong(&spare_stack, &none, stack))
		munmap(stack - GUARD_SIZE, GUARD_SIZE + STACK_SIZE);
}

/* Of a child that has a copy of the memory. */
static int *new_shared_word(void)
{
	int *word = mmap(NULL, sizeof(*word), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			 -1, 0);

	return word == MAP_FAILED ? NULL : word;
}

static pid_t spawn_with(const struct carom_spawn_options *options, volatile int *error,
			int *ret_pidfd)
{
	const char *path = getenv("PATH");
	struct start start = {
		.options = options,
		.path = path ? path : "/bin:/usr/bin",
		.found_at = options->found_at ? *options->found_at : 0,
		.parent = getpid(),
		.error = error,
	};
	char *stack;
	pid_t pid;

	carom_probe(CAROM_FEATURE_CLOSE_RANGE); /* not in the borrowed memory */
	stack = take_stack();
	if (!stack)
		return -ENOMEM;
	pid = start_on(stack, &start, ret_pidfd);
	give_stack(stack);
	if (pid > 0 && options->found_at)
		*options->found_at = start.found_at;
	return pid;
}

pid_t carom_spawn(const struct carom_spawn_options *options, int *ret_pidfd)
{
	volatile int error = 0;
	int *shared;
	pid_t pid;

	if (!options->prepare)
		return spawn_with(options, &error, ret_pidfd);
	shared = new_shared_word();
	if (!shared)
		return -ENOMEM;
	pid = spawn_with(options, shared, ret_pidfd);
	munmap(shared, sizeof(*shared));
	return pid;
}
