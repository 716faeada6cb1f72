/*
 * Sandbox: the way in
 *
 * In the child, which still is the program's own code and has one thread:
 *
 *	descriptors                     the orders are read before
 *	                                the paths in them are opened, for landlock
 *	namespaces                      need capabilities, or give them
 *	limits, capabilities,
 *	undumpable, no_new_privs,
 *	landlock                        each takes away what the ones before needed
 *	seccomp                         the last: it has none of the calls used here
 *
 *   V1  A layer that fails and is not optional is the end of it: the child does not begin.
 *   V2  What was a process's parent when it came here is watched to the end: a change of
 *       credentials has the kernel forget PR_SET_PDEATHSIG, so it is set again.
 *
 * How the number of a forbidden call gets out. The kernel can kill at once, and says SIGSYS
 * and no more (KILL_PROCESS); it can stop the process and ask another one (USER_NOTIF), which
 * needs a descriptor for each, a way to hand it over through the filter, and a parent that is
 * prompt, and is refused where a container has such a listener already; it can call a signal
 * handler (TRAP), which is code in the hands of whom it is to report. It is TRAP here, once:
 *
 *   V3  The handler is for one time (SA_RESETHAND): the kernel resets it before it runs. From
 *       then on SIGSYS has its default action, and cannot get another one: rt_sigaction(2) is
 *       not allowed for it, nor is a signal that the kernel forces put off by a mask. So the
 *       second forbidden call of a process is its end, by the kernel, whatever it does.
 *   V4  The handler leaves the number and makes a forbidden call.
 *
 * Hostile cases:
 *
 *	code that turns the handler's stack or data to its use, or has another thread do so,
 *	survives its first forbidden call, not the second; neither is executed, and it
 *	learns nothing but that it is not allowed
 *	... and leaves any number it likes: it is a number, read once, and given a name
 *	code that kills itself by SIGSYS is taken for one that violated: it has answered for its
 *	own task and for no other
 *	another thread, or a handler of SIGSYS that was there before: there is none, see above
 *	SIGSYS blocked or ignored when it comes: the kernel takes the default action
 *	a process that it has forked: its death by SIGSYS is its own; the report stays as it is
 *	a program that it executes: SIGSYS has its default action there; the number is unknown
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/descriptors.h"
#include "core/guard.h"
#include "core/pid_namespace.h"
#include "core/points.h"
#include "core/probe.h"
#include "core/sandbox_private.h"

/* SIGSYS by a filter, in si_code */
#define BY_SECCOMP 1

/**
 * struct entry - on the way in
 * @ruleset_fd:   for landlock; or why there is none
 * @listener_fd:  of the filter, if it has one
 * @death_signal: what comes when @parent ends
 */
struct entry {
	struct carom_sandbox_report *report;
	struct carom_sandbox_order *order;
	int ruleset_fd;
	int listener_fd;
	int death_signal;
	pid_t parent;
};

/* --- a violation ------------------------------------------------------- */

static struct carom_sandbox_report *the_report;
static carom_sandbox_note_fn *the_note;
static pid_t owner; /* a process that it forks does not report */

/* signal handler: AS-Safe calls only. V4 */
static void violated(int number, siginfo_t *info, void *context)
{
	if (info->si_code == BY_SECCOMP && getpid() == owner) {
		atomic_store(&the_report->violation,
			     CAROM_SANDBOX_VIOLATED | (uint32_t)info->si_syscall);
		if (the_note)
			the_note(context);
	}
	for (;;)
		syscall(SYS_rt_sigaction, SIGSYS, NULL, NULL, _NSIG / 8);
}

static int report_violations(struct carom_sandbox_report *report, carom_sandbox_note_fn *note)
{
	struct sigaction action = { .sa_sigaction = violated,
				    .sa_flags = SA_SIGINFO | SA_RESETHAND | SA_ONSTACK };

	the_report = report;
	the_note = note;
	owner = getpid();
	return sigaction(SIGSYS, &action, NULL) < 0 ? -errno : 0;
}

/* --- what has to be so ------------------------------------------------- */

/* Where unshare(2) is denied, the directory of threads tells: it has a link for each. */
static int check_threads(void)
{
	struct stat status;

	if (unshare(CLONE_THREAD) == 0) /* refuses to do nothing if there are others */
		return 0;
	if (errno == EINVAL)
		return -EBUSY;
	if (stat("/proc/self/task", &status) < 0)
		return -EOPNOTSUPP;
	return status.st_nlink == 3 ? 0 : -EBUSY;
}

/* V2 */
static int keep_guard(const struct entry *entry)
{
	int now = 0;

	if (prctl(PR_GET_PDEATHSIG, &now) == 0 && now == entry->death_signal)
		return 0;
	if (carom_is_inside()) /* whether the parent has gone meanwhile, nothing here tells */
		return -EOPNOTSUPP;
	return carom_die_with_parent(entry->parent, entry->death_signal);
}

/* --- layers ------------------------------------------------------------ */

/* Who is not allowed to have that much anyway keeps what he has. */
static int lower(int resource, uint64_t most)
{
	struct rlimit limit;

	if (getrlimit((__rlimit_resource_t)resource, &limit) < 0)
		return -errno;
	if (limit.rlim_max > most)
		limit.rlim_max = most;
	if (limit.rlim_cur > limit.rlim_max)
		limit.rlim_cur = limit.rlim_max;
	return setrlimit((__rlimit_resource_t)resource, &limit) < 0 ? -errno : 0;
}

static int lower_limits(struct entry *entry)
{
	int r = lower(RLIMIT_CORE, 0);

	if (r == 0)
		r = lower(RLIMIT_NOFILE, entry->order->descriptor_max);
	if (r == 0)
		r = lower(RLIMIT_FSIZE, entry->order->file_size_max_bytes);
	if (r == 0)
		r = lower(RLIMIT_MSGQUEUE, 0);
	return r;
}

/* All sets, and what a program executed by root would be given again. */
static int drop_capabilities(struct entry *entry)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = { 0 };

	for (unsigned long capability = 0; capability < 64; capability++)
		prctl(PR_CAPBSET_DROP, capability, 0, 0, 0); /* refused to who has none */
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	return syscall(SYS_capset, &header, none) < 0 ? -errno : 0;
}

static int be_undumpable(struct entry *entry)
{
	return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ? -errno : 0;
}

static int gain_nothing(struct entry *entry)
{
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : 0;
}

static int enter_landlock(struct entry *entry)
{
	int r = entry->ruleset_fd;

	if (r >= 0)
		r = carom_sandbox_landlock_restrict(entry->ruleset_fd);
	carom_closep(&entry->ruleset_fd);
	return r;
}

/* Some old programs run where all that can be read can be executed. */
static int separate_data_from_code(void)
{
	int now = personality(0xffffffff); /* asks only */

	if (now < 0 || !(now & READ_IMPLIES_EXEC))
		return 0;
	return personality((unsigned long)now & ~(unsigned long)READ_IMPLIES_EXEC) < 0 ? -errno : 0;
}

/* the filter was compiled before there was this process: F5 in core/sandbox_rules.c */
static void fill_in_pid(struct sock_filter *program, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (program[i].code == (BPF_JMP | BPF_JEQ | BPF_K) &&
		    program[i].k == CAROM_SANDBOX_PID_MARK)
			program[i].k = (uint32_t)getpid();
}

static void replace_action(const struct sock_fprog *filter, uint32_t old, uint32_t new)
{
	for (size_t i = 0; i < filter->len; i++)
		if (filter->filter[i].code == (BPF_RET | BPF_K) && filter->filter[i].k == old)
			filter->filter[i].k = new;
}

/* A process has one listener at most, also one that a container has: then the kernel kills. */
static int load_listening(struct entry *entry, struct sock_fprog *filter)
{
	int fd;

	replace_action(filter, SECCOMP_RET_TRAP, SECCOMP_RET_USER_NOTIF);
	fd = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			  filter);
	if (fd < 0 && errno != EBUSY)
		return -errno;
	entry->listener_fd = fd < 0 ? -1 : fd;
	if (fd >= 0)
		return 0;
	replace_action(filter, SECCOMP_RET_USER_NOTIF, SECCOMP_RET_KILL_PROCESS);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, filter) < 0 ? -errno : 0;
}

static int load_filter(struct entry *entry)
{
	struct sock_fprog filter = {
		.len = (unsigned short)entry->order->program_length,
		.filter = carom_sandbox_program(entry->order),
	};

	int r = carom_probe_error(CAROM_FEATURE_SECCOMP);

	if (r == 0)
		r = separate_data_from_code();
	if (r < 0)
		return r;
	fill_in_pid(filter.filter, filter.len);
	if (entry->order->executes)
		return load_listening(entry, &filter);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &filter) < 0 ? -errno : 0;
}

/* in this order */
static const struct step {
	enum carom_sandbox_layer layer;
	int (*put_up)(struct entry *entry); /* NULL: a namespace */
} steps[] = {
	{ CAROM_SANDBOX_USER_NAMESPACE, NULL },
	{ CAROM_SANDBOX_NET_NAMESPACE, NULL },
	{ CAROM_SANDBOX_IPC_NAMESPACE, NULL },
	{ CAROM_SANDBOX_PID_NAMESPACE, NULL },
	{ CAROM_SANDBOX_MOUNT_NAMESPACE, NULL },
	{ CAROM_SANDBOX_LIMITS, lower_limits },
	{ CAROM_SANDBOX_CAPABILITIES, drop_capabilities },
	{ CAROM_SANDBOX_UNDUMPABLE, be_undumpable },
	{ CAROM_SANDBOX_NO_NEW_PRIVS, gain_nothing },
	{ CAROM_SANDBOX_LANDLOCK, enter_landlock },
	{ CAROM_SANDBOX_SECCOMP, load_filter },
};
#define STEP_COUNT (sizeof(steps) / sizeof(steps[0]))

static int take_step(struct entry *entry, const struct step *step)
{
	struct carom_sandbox_report *report = entry->report;
	int r = step->put_up ? step->put_up(entry)
			     : carom_sandbox_unshare(step->layer, entry->order);

	if (r == 0) {
		atomic_fetch_or(&report->layers, (uint64_t)step->layer);
		return 0;
	}
	atomic_store(&report->errors[__builtin_ctz(step->layer)], r);
	return entry->order->optional & step->layer ? 0 : r; /* V1 */
}

static int take_steps(struct entry *entry)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < STEP_COUNT; i++) {
		if (steps[i].layer == CAROM_SANDBOX_SECCOMP)
			r = keep_guard(entry);
		CAROM_POINT("sandbox.step");
		if (r == 0 && entry->order->layers & steps[i].layer)
			r = take_step(entry, &steps[i]);
	}
	return r;
}

/* while paths can be opened, and there is a number for its descriptor */
static void prepare_landlock(struct entry *entry)
{
	int error = carom_probe_error(CAROM_FEATURE_LANDLOCK);
	int abi = error < 0 ? error : carom_sandbox_landlock_abi();

	entry->ruleset_fd = abi < 0 ? abi : carom_sandbox_landlock_ruleset(entry->order, abi);
	if (abi > 0)
		atomic_store(&entry->report->landlock_abi, abi);
}

static int enter(struct entry *entry, const int *keep, size_t keep_count)
{
	int r = check_threads();

	if (r < 0)
		return r;
	if (keep)
		carom_descriptors_close(STDERR_FILENO + 1, keep, keep_count);
	atomic_store(&entry->report->layers, entry->order->layers & CAROM_SANDBOX_DESCRIPTORS);
	prepare_landlock(entry);
	r = take_steps(entry);
	carom_closep(&entry->ruleset_fd);
	return r;
}

static int enter_by(int fd, const int *keep, size_t keep_count, carom_sandbox_note_fn *note,
		    int *ret_listener_fd)
{
	struct entry entry = { .parent = getppid(), .listener_fd = -1 };
	int r = carom_sandbox_page_attach(fd, &entry.report, &entry.order);

	close(fd);
	if (r < 0)
		return r;
	carom_probe(CAROM_FEATURE_ROBUST_LIST); /* all of them, while they can be asked for */
	prctl(PR_GET_PDEATHSIG, &entry.death_signal);
	r = report_violations(entry.report, note);
	if (r == 0)
		r = enter(&entry, keep, keep_count);
	atomic_store(&entry.report->error, r);
	*ret_listener_fd = entry.listener_fd;
	return r;
}

int carom_sandbox_enter(int fd, const int *keep, size_t keep_count, carom_sandbox_note_fn *note)
{
	int listener_fd;

	return enter_by(fd, keep, keep_count, note, &listener_fd);
}

int carom_sandbox_enter_program(int fd, const int *keep, size_t keep_count, int *ret_listener_fd)
{
	return enter_by(fd, keep, keep_count, NULL, ret_listener_fd);
}
