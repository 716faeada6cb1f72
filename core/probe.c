/*
 * Probe
 *
 * One word of bits, filled in once. A feature is asked for by a call that cannot
 * do anything: its arguments are wrong in a way the kernel notices only after it
 * has found the system call and the filters of a container have let it pass.
 * Two features show only in something made for the purpose, a ring and an ended
 * child; a child that ends at once serves for both.
 */
#include "core/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
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
#include "core/log.h"

/* Newer than the headers of Debian 12, and the same on every architecture. */
#define SYS_FUTEX_WAITV       449
#define URING_OP_FUTEX_WAIT   51
#define OPERATIONS_ASKED      64
#define ADVICE_POPULATE_WRITE 23
#define PIDFD_INFO_WITH_EXIT  (UINT64_C(1) << 3)
#define NO_DESCRIPTOR         (-2)
#define ROBUST_OFFSET_BYTES   (-32) /* from a list node to its futex word, in glibc's mutex */

/* The beginning of struct pidfd_info, as of Linux 6.13; the kernel fills in what fits. */
struct pidfd_info_head {
	uint64_t mask;
	uint8_t rest[56];
};
#define PIDFD_INFO_REQUEST _IOWR(0xFF, 11, struct pidfd_info_head)

/* --- one function for each feature: does the kernel say yes? ------------ */

static bool says(long result, int error)
{
	return result < 0 && errno == error;
}

static bool has_clone3(void)
{
	return says(syscall(SYS_clone3, NULL, 0), EINVAL);
}

static bool has_clone_pidfd(void)
{
	/* a thread without shared signal handlers is refused by every kernel: no child is made */
	return says(syscall(SYS_clone, (unsigned long)(CLONE_PIDFD | CLONE_THREAD), NULL, NULL,
			    NULL, NULL),
		    EINVAL);
}

static bool has_tid_address(void)
{
#ifdef __GLIBC__
	int *address = NULL;

	/* elsewhere the address is not the cached thread id; musl's is a lock */
	return prctl(PR_GET_TID_ADDRESS, &address) == 0 && address && *address == gettid();
#else
	return false;
#endif
}

#ifdef __GLIBC__
/* Whether a robust mutex that this thread holds stands first in the list, where we expect it. */
static bool list_begins_with(const struct robust_list_head *head, const pthread_mutex_t *mutex)
{
	const char *node = (const char *)head->list.next;

	return node + head->futex_offset == (const char *)mutex;
}

static bool has_known_layout(const struct robust_list_head *head)
{
	pthread_mutexattr_t attributes;
	pthread_mutex_t mutex;
	bool yes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_init(&mutex, &attributes);
	pthread_mutex_lock(&mutex);
	yes = list_begins_with(head, &mutex);
	pthread_mutex_unlock(&mutex);
	pthread_mutex_destroy(&mutex);
	pthread_mutexattr_destroy(&attributes);
	return yes;
}
#endif

static bool has_robust_list(void)
{
#ifdef __GLIBC__
	struct robust_list_head *head = NULL;
	size_t size = 0;

	return syscall(SYS_get_robust_list, 0, &head, &size) == 0 && head &&
	       size == sizeof(*head) && head->futex_offset == ROBUST_OFFSET_BYTES &&
	       has_known_layout(head);
#else
	return false;
#endif
}

static bool has_io_uring(void)
{
#if CAROM_HAVE_LIBURING
	struct io_uring_params params = { 0 };

	/*
	 * A ring of no entries, and no ring at all, are told from each other
	 * only where rings are allowed. Descriptor -1 has a meaning to
	 * io_uring_register(2) since Linux 6.15.
	 */
	return says(syscall(SYS_io_uring_setup, 0, &params), EINVAL) &&
	       says(syscall(SYS_io_uring_enter, NO_DESCRIPTOR, 0, 0, 0, NULL, 0), EBADF) &&
	       says(syscall(SYS_io_uring_register, NO_DESCRIPTOR, IORING_REGISTER_PROBE, NULL, 0),
		    EBADF);
#else
	return false;
#endif
}

static bool has_futex_waitv(void)
{
	return says(syscall(SYS_FUTEX_WAITV, NULL, 0, 0, NULL, 0), EINVAL);
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
 * __WALL). Return: its pidfd, or -1.
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
	r = clone(function, stack + sizeof(stack), BORROW_MEMORY | CLONE_PIDFD, argument, &pidfd);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r < 0)
		return -1;
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

static bool has_pidfd_info(void)
{
	struct pidfd_info_head info = { .mask = PIDFD_INFO_WITH_EXIT };
	CAROM_CLEANUP(carom_closep)
	int pidfd = has_clone_pidfd() ? run_in_child(exit_at_once, NULL) : -1;

	return pidfd >= 0 && ioctl(pidfd, PIDFD_INFO_REQUEST, &info) == 0 &&
	       (info.mask & PIDFD_INFO_WITH_EXIT);
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
static bool has_operation(struct operations *operations, int operation)
{
	CAROM_CLEANUP(carom_closep) int pidfd = run_in_child(ask_ring, operations);

	return pidfd >= 0 && io_uring_opcode_supported(
				     (const struct io_uring_probe *)operations->answers, operation);
}
#endif

static bool has_io_uring_futex(void)
{
#if CAROM_HAVE_LIBURING
	struct operations *shared;
	bool yes;

	if (!has_io_uring() || !has_clone_pidfd())
		return false;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return false;
	yes = has_operation(shared, URING_OP_FUTEX_WAIT);
	munmap(shared, sizeof(*shared));
	return yes;
#else
	return false;
#endif
}

static bool has_close_range(void)
{
	return syscall(SYS_close_range, UINT_MAX, UINT_MAX, 0) == 0;
}

static bool has_madv_populate(void)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	void *page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool yes;

	if (page == MAP_FAILED)
		return false;
	yes = madvise(page, size, ADVICE_POPULATE_WRITE) == 0;
	munmap(page, size);
	return yes;
}

/* --- the own cgroup ---------------------------------------------------- */

/* Leaves can be made in the directory, and processes put into them. */
static bool is_writable(const char *directory)
{
	char procs[PATH_MAX];
	int n = snprintf(procs, sizeof(procs), "%s/cgroup.procs", directory);

	return n < (int)sizeof(procs) && faccessat(AT_FDCWD, procs, R_OK | W_OK, AT_EACCESS) == 0 &&
	       faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) == 0;
}

static int look_at_place(const struct carom_cgroup_place *place, void *found_one)
{
	if (place->is_own && is_writable(place->path))
		*(bool *)found_one = true;
	return 0;
}

static bool has_cgroup_v2(void)
{
	bool found_one = false;

	carom_cgroup_places("", NULL, look_at_place, &found_one);
	return found_one;
}

/* --- all of them ------------------------------------------------------- */

static const struct {
	const char *name;
	bool (*is_there)(void);
	const char *fallback;
} features[CAROM_FEATURE_COUNT] = {
	[CAROM_FEATURE_CLONE3] = { "clone3", has_clone3,
				   "children are made by clone(2); a cgroup is joined afterwards" },
	[CAROM_FEATURE_CLONE_PIDFD] = { "clone_pidfd", has_clone_pidfd,
					"without clone3 too, children are made by fork(2) and "
					"pidfd_open(2)" },
	[CAROM_FEATURE_TID_ADDRESS] = { "tid_address", has_tid_address,
					"children are made by fork(2), which repairs the thread "
					"id" },
	[CAROM_FEATURE_ROBUST_LIST] = { "robust_list", has_robust_list,
					"a holder's death is noticed at its pidfd, late for large "
					"processes" },
	[CAROM_FEATURE_IO_URING] = { "io_uring", has_io_uring, "loops use epoll" },
	[CAROM_FEATURE_IO_URING_FUTEX] = { "io_uring_futex", has_io_uring_futex,
					   "a helper thread waits for words" },
	[CAROM_FEATURE_FUTEX_WAITV] = { "futex_waitv", has_futex_waitv,
					"without io_uring_futex too, a death is noticed at the "
					"pidfd" },
	[CAROM_FEATURE_PIDFD_INFO] = { "pidfd_info", has_pidfd_info,
				       "an exit status that the program reaped itself is lost" },
	[CAROM_FEATURE_CLOSE_RANGE] = { "close_range", has_close_range,
					"descriptors are closed one by one" },
	[CAROM_FEATURE_MADV_POPULATE] = { "madv_populate", has_madv_populate,
					  "pages are touched one by one" },
	[CAROM_FEATURE_CGROUP_V2] = { "cgroup_v2", has_cgroup_v2,
				      "memory is limited by rlimits and by sampling" },
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static _Atomic uint32_t found;

static int feature_by_name(const char *name, size_t length)
{
	for (int i = 0; i < CAROM_FEATURE_COUNT; i++)
		if (strlen(features[i].name) == length &&
		    strncmp(features[i].name, name, length) == 0)
			return i;
	return -1;
}

static uint32_t denied_by_environment(void)
{
	const char *name = getenv("CAROM_DENY");
	uint32_t denied = 0;

	while (name && *name) {
		size_t length = strcspn(name, ",");
		int feature = feature_by_name(name, length);

		if (feature >= 0)
			denied |= UINT32_C(1) << feature;
		else if (length)
			carom_log_event(CAROM_LOG_WARNING, CAROM_LOG_EVENT_FEATURE_UNKNOWN,
					"CAROM_DENY: no feature is called \"%.*s\"", (int)length,
					name);
		name += length;
		name += *name == ',';
	}
	/* an operation of a ring that is not there */
	if (denied & (UINT32_C(1) << CAROM_FEATURE_IO_URING))
		denied |= UINT32_C(1) << CAROM_FEATURE_IO_URING_FUTEX;
	return denied;
}

static void probe_all(void)
{
	uint32_t denied = denied_by_environment();
	int saved_errno = errno;

	for (int i = 0; i < CAROM_FEATURE_COUNT; i++) {
		bool is_denied = denied & (UINT32_C(1) << i);

		/* relaxed: pthread_once() publishes them */
		if (!is_denied && features[i].is_there())
			atomic_fetch_or_explicit(&found, UINT32_C(1) << i, memory_order_relaxed);
		else
			carom_log_event(CAROM_LOG_INFO, CAROM_LOG_EVENT_FEATURE_MISSING,
					"no %s%s: %s", features[i].name,
					is_denied ? " (CAROM_DENY)" : "", features[i].fallback);
	}
	errno = saved_errno;
}

bool carom_probe(enum carom_feature feature)
{
	pthread_once(&once, probe_all);
	/* relaxed: see probe_all() */
	return atomic_load_explicit(&found, memory_order_relaxed) & (UINT32_C(1) << feature);
}

const char *carom_feature_name(enum carom_feature feature)
{
	return features[feature].name;
}

const char *carom_feature_fallback(enum carom_feature feature)
{
	return features[feature].fallback;
}
