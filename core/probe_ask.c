/*
 * Probe: asking the kernel
 *
 * A feature is asked for by a call that cannot do anything: its arguments are wrong in a
 * way the kernel notices only after it has found the system call and the filters of a
 * container have let it pass.
 * Two features show only in something made for the purpose, a ring and an ended
 * child; a child that ends at once serves for both.
 */
#include "core/probe_ask.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#if CAROM_HAVE_LIBURING
#include <liburing.h>
#endif

#include "core/cgroup.h"
#include "core/cleanup.h"
#include "core/memory_file.h"
#include "core/pidfd_info.h"
#include "core/robust_head.h"

#define URING_OP_FUTEX_WAIT 51 /* newer than the headers of Debian 12 */
#define OPERATIONS_ASKED    64
#define NO_DESCRIPTOR       (-2)

static int no_error(long result)
{
	return result < 0 ? -errno : 0;
}

/* Yes, if nothing but @error is wrong with the call. */
static int says(long result, int error)
{
	if (result >= 0)
		return -EPROTO;
	return errno == error ? 0 : -errno;
}

int carom_ask_clone3(void)
{
	return says(syscall(SYS_clone3, NULL, 0), EINVAL);
}

int carom_ask_clone_pidfd(void)
{
	/* a thread without shared signal handlers is refused by every kernel: no child is made */
	return says(syscall(SYS_clone, (unsigned long)(CLONE_PIDFD | CLONE_THREAD), NULL, NULL,
			    NULL, NULL),
		    EINVAL);
}

int carom_ask_pidfd_open(void)
{
	return says(syscall(SYS_pidfd_open, 0, 0), EINVAL);
}

int carom_ask_pidfd_signal(void)
{
	return says(syscall(SYS_pidfd_send_signal, NO_DESCRIPTOR, 0, NULL, 0), EBADF);
}

int carom_ask_pidfd_wait(void)
{
	/* a negative number is refused in the same way as waiting for a pidfd was once */
	return says(syscall(SYS_waitid, P_PIDFD, INT_MAX, NULL, WEXITED | WNOHANG, NULL), EBADF);
}

int carom_ask_tid_address(void)
{
#ifdef __GLIBC__
	int *address = NULL;

	if (prctl(PR_GET_TID_ADDRESS, &address) < 0)
		return -errno;
	/* elsewhere the address is not the cached thread id; musl's is a lock */
	return address && *address == gettid() ? 0 : -EOPNOTSUPP;
#else
	return -EOPNOTSUPP;
#endif
}

int carom_ask_robust_list(void)
{
	struct robust_list_head *head = NULL;
	size_t size = 0;

	if (syscall(SYS_get_robust_list, 0, &head, &size) < 0)
		return -errno;
	return head && size == sizeof(*head) && head == carom_robust_head() ? 0 : -EOPNOTSUPP;
}

int carom_ask_io_uring(void)
{
#if CAROM_HAVE_LIBURING
	struct io_uring_params params = { 0 };
	int r;

	/*
	 * A ring of no entries, and no ring at all, are told from each other
	 * only where rings are allowed. Descriptor -1 has a meaning to
	 * io_uring_register(2) since Linux 6.15.
	 */
	r = says(syscall(SYS_io_uring_setup, 0, &params), EINVAL);
	if (r == 0)
		r = says(syscall(SYS_io_uring_enter, NO_DESCRIPTOR, 0, 0, 0, NULL, 0), EBADF);
	if (r == 0)
		r = says(syscall(SYS_io_uring_register, NO_DESCRIPTOR, IORING_REGISTER_PROBE, NULL,
				 0),
			 EBADF);
	return r;
#else
	return -EOPNOTSUPP;
#endif
}

int carom_ask_futex_waitv(void)
{
	return says(syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0), EINVAL);
}

/* A child that borrows this process's memory costs the same however much there is of it. */
#ifdef __SANITIZE_THREAD__
#define BORROW_MEMORY 0 /* ThreadSanitizer takes the child's memory for a copy */
#else
#define BORROW_MEMORY (CLONE_VM | CLONE_VFORK)
#endif

/*
 * Run @function in a child that has descriptors of its own, and ends. It sends no
 * SIGCHLD, and no waitpid(-1) of the program can see it (exit signal 0 without
 * __WALL). Return: its pidfd, or how clone(2) failed.
 */
static int run_in_child(int (*function)(void *argument), void *argument)
{
	_Alignas(16) char stack[16 * 1024];
	sigset_t all, before;
	siginfo_t info;
	int pidfd = -1;
	int r;

	/* no handler of the program is to run on that stack */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	r = no_error(clone(function, stack + sizeof(stack), BORROW_MEMORY | CLONE_PIDFD, argument,
			   &pidfd));
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0)
		return r;
	while (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | __WALL) < 0 && errno == EINTR)
		;
	return pidfd;
}

/* child: system calls only */
static int exit_at_once(void *unused)
{
	(void)unused;
	syscall(SYS_exit, 0);
	return 0;
}

int carom_ask_pidfd_info(void)
{
	struct carom_pidfd_info info = { .mask = CAROM_PIDFD_INFO_EXIT };
	CAROM_CLEANUP(carom_closep) int pidfd = -1;
	int r = carom_ask_clone_pidfd();

	if (r < 0)
		return r;
	pidfd = run_in_child(exit_at_once, NULL);
	if (pidfd < 0)
		return pidfd;
	if (ioctl(pidfd, CAROM_PIDFD_INFO_REQUEST, &info) < 0)
		return -errno;
	return info.mask & CAROM_PIDFD_INFO_EXIT ? 0 : -EOPNOTSUPP;
}

#if CAROM_HAVE_LIBURING
struct operations {
	struct io_uring_params params;
	_Alignas(struct io_uring_probe) char answers[sizeof(struct io_uring_probe) +
						     OPERATIONS_ASKED *
							     sizeof(struct io_uring_probe_op)];
};

/* child: system calls only */
static int ask_ring(void *argument)
{
	struct operations *operations = argument;
	long fd;

	syscall(SYS_close, 0); /* of its own table, in case that is full */
	fd = syscall(SYS_io_uring_setup, 2, &operations->params);
	if (fd >= 0)
		syscall(SYS_io_uring_register, fd, IORING_REGISTER_PROBE, operations->answers,
			OPERATIONS_ASKED);
	syscall(SYS_exit, 0);
	return 0;
}

/*
 * By a child, because the kernel interrupts whoever made a ring once more, some
 * milliseconds after it was closed: a wait in this thread would end for nothing.
 */
static int ask_operation(struct operations *operations, int operation)
{
	CAROM_CLEANUP(carom_closep) int pidfd = run_in_child(ask_ring, operations);
	const struct io_uring_probe *answers = (const void *)operations->answers;

	if (pidfd < 0)
		return pidfd;
	return io_uring_opcode_supported(answers, operation) ? 0 : -EOPNOTSUPP;
}
#endif

int carom_ask_io_uring_futex(void)
{
#if CAROM_HAVE_LIBURING
	struct operations *shared;
	int r = carom_ask_clone_pidfd();

	if (r < 0)
		return r;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return -errno;
	r = ask_operation(shared, URING_OP_FUTEX_WAIT);
	munmap(shared, sizeof(*shared));
	return r;
#else
	return -EOPNOTSUPP;
#endif
}

int carom_ask_close_range(void)
{
	return no_error(syscall(SYS_close_range, UINT_MAX, UINT_MAX, 0));
}

int carom_ask_memfd_noexec(void)
{
	return says(syscall(SYS_memfd_create, NULL, MFD_CLOEXEC | CAROM_MFD_NOEXEC_SEAL), EFAULT);
}

int carom_ask_memfd(void)
{
	int r = says(syscall(SYS_memfd_create, NULL, MFD_CLOEXEC | MFD_ALLOW_SEALING), EFAULT);

	return r == -EACCES ? carom_ask_memfd_noexec() : r; /* vm.memfd_noexec=2 insists on it */
}

/* Whether the advice is known is looked at before how many bytes it is about. */
int carom_ask_wipe_on_fork(void)
{
	return no_error(madvise(NULL, 0, MADV_WIPEONFORK));
}

int carom_ask_madv_populate(void)
{
	return no_error(madvise(NULL, 0, MADV_POPULATE_WRITE));
}

int carom_ask_seccomp(void)
{
#if CAROM_HAVE_LIBSECCOMP
	uint32_t action = SECCOMP_RET_TRAP;

	return no_error(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action));
#else
	return -EOPNOTSUPP;
#endif
}

/* With this flag it only tells its version. */
int carom_ask_landlock(void)
{
	return no_error(syscall(SYS_landlock_create_ruleset, NULL, 0, 1));
}

int carom_ask_membarrier(void)
{
	long commands = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0);

	if (commands < 0)
		return -errno;
	return commands & MEMBARRIER_CMD_GLOBAL_EXPEDITED ? 0 : -EOPNOTSUPP;
}

/* --- the own cgroup ---------------------------------------------------- */

static int ask_directory(const char *directory)
{
	CAROM_CLEANUP(carom_closep) int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : carom_cgroup_check(fd);
}

/* One place where it goes is enough. */
static int ask_place(const struct carom_cgroup_place *place, void *answer)
{
	int *r = answer;

	if (*r < 0 && place->is_own)
		*r = ask_directory(place->path);
	return 0;
}

int carom_ask_cgroup_v2(void)
{
	int answer = -ENOENT;
	int r = carom_cgroup_places("", NULL, ask_place, &answer);

	return r < 0 ? r : answer;
}

/* Every group has the file but the root of the hierarchy, where it is not to be seen. */
static int find_kill(const struct carom_cgroup_place *place, void *answer)
{
	int *r = answer;
	CAROM_CLEANUP(carom_closep) int fd = open(place->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0 && place->is_own && faccessat(fd, "cgroup.events", F_OK, 0) == 0)
		*r = no_error(faccessat(fd, "cgroup.kill", F_OK, 0));
	return 0;
}

int carom_ask_cgroup_kill(void)
{
	int answer = 0;
	int r = carom_cgroup_places("", NULL, find_kill, &answer);

	return r < 0 ? r : answer;
}
