/*
 * Sandbox rules
 *
 * A list of what is allowed; everything else ends the process. A call is there for all
 * arguments, or where its condition holds, which looks at numbers only: what a pointer
 * points to may change after it was looked at.
 *
 *   F1  The kernel takes many arguments as 32 bits and ignores what stands above. So do the
 *       comparisons here: a signal number of 2^32 + 31 is 31.
 *   F2  The default is TRAP, and the handler that it calls can be replaced by nobody:
 *       rt_sigaction(2) is not there for SIGSYS. See core/sandbox_enter.c.
 *   F3  Another architecture's numbers (i386 by int $0x80, x32 by bit 30) mean other calls:
 *       KILL_PROCESS, before any number is looked at.
 *   F4  clone3 is answered ENOSYS: its flags are behind a pointer. The C library then makes
 *       threads by clone(2).
 *   F5  Nothing here signals anybody else, by whatever way: kill and tgkill name the
 *       process itself (a mark in the place of its pid); fcntl has neither F_SETOWN nor
 *       F_SETSIG, which have the kernel send any signal to anybody; ioctl has no FIOSETOWN.
 *   F6  Landlock does not guard what only changes a file's attributes, nor before its third
 *       version (Linux 6.2) truncation: so "basic" has no chmod, chown, utimensat, setxattr or
 *       truncate, and opens nothing for reading with O_TRUNC.
 *   F7  An address is behind a pointer, too, and a datagram goes to whatever address it has,
 *       from a connected socket as well. So a pair of sockets is made of those that ignore
 *       addresses or refuse them: streams, and packets in sequence.
 *
 * Calls without a condition are cheap: the kernel (5.11) keeps a bitmap of those that a
 * filter always allows. None of what a worker does for each task has one.
 */
#include "core/sandbox_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/cleanup.h"
#include "core/memory_file.h"
#include "core/sandbox_filter.h"
#include "core/sandbox_private.h"

#if CAROM_HAVE_LIBSECCOMP
#include "core/annex_seccomp.h"

#define LOW32      UINT64_C(0xffffffff)
#define ALL64      UINT64_MAX
#define NAMESPACES UINT64_C(0x7e020000) /* CLONE_NEW..., but NEWTIME, which clone(2) has not */
#define SET_VMA    0x53564d41           /* PR_SET_VMA: a name for memory */
#define O_KIND     (O_TRUNC | O_ACCMODE)
#define DATAGRAMS  2 /* the bit that tells them, raw ones included, from streams and packets */

_Static_assert((SOCK_DGRAM & DATAGRAMS) && (SOCK_RAW & DATAGRAMS) && !(SOCK_STREAM & DATAGRAMS) &&
		       !(SOCK_SEQPACKET & DATAGRAMS),
	       "another architecture counts them otherwise");

/* --- conditions -------------------------------------------------------- */

enum condition {
	ANY,
	NO_EXEC,     /* mmap, mprotect */
	ITSELF,      /* kill, tgkill */
	THIS_THREAD, /* sched_setaffinity, get_robust_list */
	OWN_LIMITS,  /* prlimit64, to look only */
	NOT_SIGSYS,  /* rt_sigaction */
	A_THREAD,    /* clone */
	A_CHILD,     /* likewise */
	TERMINAL,    /* ioctl: is it one, how wide is it, what can be read */
	DESCRIPTOR,  /* fcntl: copies, flags, locks */
	NAMES,       /* prctl: of threads and memory */
	OPEN,
	OPENAT,
	UNIX_PAIR, /* socketpair: F7 */
	IS_ENOSYS, /* not there, and said so: somebody knows another way */
	IS_EACCES,
	CONDITION_COUNT,
};

/** struct comparison - argument @arg, of which @mask is looked at, is @value; all zero: no more */
struct comparison {
	unsigned arg;
	uint64_t mask;
	uint64_t value;
};

#define ALTERNATIVES_MAX 12

/* one of the lines has to hold, with both of its comparisons */
static const struct comparison conditions[CONDITION_COUNT][ALTERNATIVES_MAX][2] = {
	[NO_EXEC] = { { { 2, PROT_EXEC, 0 } } },
	[ITSELF] = { { { 0, LOW32, CAROM_SANDBOX_PID_MARK } } },
	[THIS_THREAD] = { { { 0, LOW32, 0 } } },
	[OWN_LIMITS] = { { { 0, LOW32, 0 }, { 2, ALL64, 0 } } },
	/* 0 to 15, 16 to 23, 24 to 27, 28 and 29, 30, 32 to 63, 64: there is no "not" under a mask */
	[NOT_SIGSYS] = { { { 0, 0xfffffff0, 0 } },
			 { { 0, 0xfffffff8, 16 } },
			 { { 0, 0xfffffffc, 24 } },
			 { { 0, 0xfffffffe, 28 } },
			 { { 0, LOW32, 30 } },
			 { { 0, 0xffffffe0, 32 } },
			 { { 0, LOW32, 64 } } },
	[A_THREAD] = { { { 0, NAMESPACES | CLONE_THREAD, CLONE_THREAD } } },
	[A_CHILD] = { { { 0, NAMESPACES, 0 } } },
	[TERMINAL] = { { { 1, LOW32, TCGETS } },
		       { { 1, LOW32, TIOCGWINSZ } },
		       { { 1, LOW32, FIONREAD } },
		       { { 1, LOW32, FIONBIO } },
		       { { 1, LOW32, FIOCLEX } } },
	[DESCRIPTOR] = { { { 1, 0xfffffff8, 0 } }, /* F_DUPFD to F_SETLKW */
			 { { 1, LOW32, F_DUPFD_CLOEXEC } },
			 { { 1, LOW32, F_GET_SEALS } } },
	[NAMES] = { { { 0, LOW32, PR_SET_NAME } },
		    { { 0, LOW32, PR_GET_NAME } },
		    { { 0, LOW32, PR_GET_TID_ADDRESS } },
		    { { 0, LOW32, SET_VMA } } },
	[OPEN] = { { { 1, O_TRUNC, 0 } },
		   { { 1, O_KIND, O_TRUNC | O_WRONLY } },
		   { { 1, O_KIND, O_TRUNC | O_RDWR } } },
	[OPENAT] = { { { 2, O_TRUNC, 0 } },
		     { { 2, O_KIND, O_TRUNC | O_WRONLY } },
		     { { 2, O_KIND, O_TRUNC | O_RDWR } } },
	[UNIX_PAIR] = { { { 0, LOW32, AF_UNIX }, { 1, DATAGRAMS, 0 } } },
};

/* --- the profiles ------------------------------------------------------ */

#define B (1U << CAROM_SANDBOX_BASIC)
#define S (1U << CAROM_SANDBOX_STRICT)
#define C (1U << CAROM_SANDBOX_CUSTOM)
#define P (1U << 31) /* likewise B, but only with landlock */
#define N (1U << 30) /* likewise B, but only without */

/* what this library and the C library need is in all of them */
#define NEEDED (B | S | C)

static const struct rule {
	const char *name;
	unsigned profiles;
	enum condition condition;
} rules[] = {
	{ "futex", NEEDED, ANY },
	{ "read", NEEDED, ANY },
	{ "write", NEEDED, ANY },
	{ "sched_yield", NEEDED, ANY },
	{ "clock_gettime", NEEDED, ANY },
	{ "clock_nanosleep", NEEDED, ANY },
	{ "close", NEEDED, ANY },
	{ "brk", NEEDED, ANY },
	{ "exit", NEEDED, ANY },
	{ "exit_group", NEEDED, ANY },
	{ "fcntl", NEEDED, DESCRIPTOR },
	{ "fstat", NEEDED, ANY },
	{ "futex_wait", NEEDED, ANY },
	{ "futex_waitv", NEEDED, ANY },
	{ "futex_wake", NEEDED, ANY },
	{ "futex_requeue", NEEDED, ANY },
	{ "get_robust_list", NEEDED, THIS_THREAD },
	{ "getcpu", NEEDED, ANY },
	{ "getpid", NEEDED, ANY },
	{ "getppid", NEEDED, ANY },
	{ "getrandom", NEEDED, ANY },
	{ "getrusage", NEEDED, ANY },
	{ "gettid", NEEDED, ANY },
	{ "gettimeofday", NEEDED, ANY },
	{ "ioctl", NEEDED, TERMINAL },
	{ "lseek", NEEDED, ANY },
	{ "madvise", NEEDED, ANY },
	{ "membarrier", NEEDED, ANY },
	{ "mmap", NEEDED, NO_EXEC },
	{ "mprotect", NEEDED, NO_EXEC },
	{ "mremap", NEEDED, ANY },
	{ "munmap", NEEDED, ANY },
	{ "nanosleep", NEEDED, ANY },
	{ "poll", NEEDED, ANY },
	{ "ppoll", NEEDED, ANY },
	{ "pread64", NEEDED, ANY },
	{ "prctl", NEEDED, NAMES },
	{ "restart_syscall", NEEDED, ANY },
	{ "rseq", NEEDED, ANY },
	{ "rt_sigaction", NEEDED, NOT_SIGSYS },
	{ "rt_sigpending", NEEDED, ANY },
	{ "rt_sigprocmask", NEEDED, ANY },
	{ "rt_sigreturn", NEEDED, ANY },
	{ "sched_getaffinity", NEEDED, ANY },
	{ "sched_setaffinity", NEEDED, THIS_THREAD },
	{ "set_robust_list", NEEDED, ANY },
	{ "sigaltstack", NEEDED, ANY },
	{ "tgkill", NEEDED, ITSELF },
	{ "time", NEEDED, ANY },
	{ "writev", NEEDED, ANY },

	{ "clone3", NEEDED, IS_ENOSYS },
	{ "openat2", NEEDED, IS_ENOSYS },
	{ "newfstatat", S | C | N, IS_EACCES },

	{ "alarm", S | B, ANY },
	{ "clock_getres", S | B, ANY },
	{ "clone", S | B, A_THREAD },
	{ "close_range", S | B, ANY },
	{ "epoll_ctl", S | B, ANY },
	{ "epoll_pwait", S | B, ANY },
	{ "epoll_pwait2", S | B, ANY },
	{ "epoll_wait", S | B, ANY },
	{ "fdatasync", S | B, ANY },
	{ "fsync", S | B, ANY },
	{ "ftruncate", S | B, ANY },
	{ "getegid", S | B, ANY },
	{ "geteuid", S | B, ANY },
	{ "getgid", S | B, ANY },
	{ "getitimer", S | B, ANY },
	{ "getpgrp", S | B, ANY },
	{ "getpriority", S | B, ANY },
	{ "getrlimit", S | B, ANY },
	{ "getuid", S | B, ANY },
	{ "kill", S | B, ITSELF },
	{ "mincore", S | B, ANY },
	{ "msync", S | B, ANY },
	{ "pause", S | B, ANY },
	{ "preadv", S | B, ANY },
	{ "prlimit64", S | B, OWN_LIMITS },
	{ "pselect6", S | B, ANY },
	{ "pwrite64", S | B, ANY },
	{ "pwritev", S | B, ANY },
	{ "readv", S | B, ANY },
	{ "recvfrom", S | B, ANY },
	{ "recvmsg", S | B, ANY },
	{ "rt_sigsuspend", S | B, ANY },
	{ "rt_sigtimedwait", S | B, ANY },
	{ "sched_getparam", S | B, ANY },
	{ "sched_getscheduler", S | B, ANY },
	{ "sched_get_priority_max", S | B, ANY },
	{ "sched_get_priority_min", S | B, ANY },
	{ "sched_rr_get_interval", S | B, ANY },
	{ "select", S | B, ANY },
	{ "sendmsg", S | B, ANY },
	{ "sendto", S | B, ANY },
	{ "set_tid_address", S | B, ANY },
	{ "setitimer", S | B, ANY },
	{ "shutdown", S | B, ANY },
	{ "sysinfo", S | B, ANY },
	{ "timer_create", S | B, ANY },
	{ "timer_delete", S | B, ANY },
	{ "timer_getoverrun", S | B, ANY },
	{ "timer_gettime", S | B, ANY },
	{ "timer_settime", S | B, ANY },
	{ "times", S | B, ANY },
	{ "uname", S | B, ANY },

	{ "access", P, ANY },
	{ "chdir", P, ANY },
	{ "creat", P, ANY },
	{ "dup", B, ANY },
	{ "dup2", B, ANY },
	{ "dup3", B, ANY },
	{ "epoll_create1", B, ANY },
	{ "eventfd2", B, ANY },
	{ "faccessat", P, ANY },
	{ "faccessat2", P, ANY },
	{ "fadvise64", B, ANY },
	{ "fchdir", B, ANY },
	{ "flock", B, ANY },
	{ "fstatfs", B, ANY },
	{ "getcwd", B, ANY },
	{ "getdents", B, ANY },
	{ "getdents64", B, ANY },
	{ "getresgid", B, ANY },
	{ "getresuid", B, ANY },
	{ "link", P, ANY },
	{ "linkat", P, ANY },
	{ "lstat", P, ANY },
	{ "mkdir", P, ANY },
	{ "mkdirat", P, ANY },
	{ "mlock", B, ANY },
	{ "munlock", B, ANY },
	{ "newfstatat", P, ANY },
	{ "open", P, OPEN },
	{ "openat", P, OPENAT },
	{ "pipe", B, ANY },
	{ "pipe2", B, ANY },
	{ "readlink", P, ANY },
	{ "readlinkat", P, ANY },
	{ "rename", P, ANY },
	{ "renameat", P, ANY },
	{ "renameat2", P, ANY },
	{ "rmdir", P, ANY },
	{ "sendfile", B, ANY },
	{ "signalfd4", B, ANY },
	{ "socketpair", B, UNIX_PAIR },
	{ "stat", P, ANY },
	{ "statfs", P, ANY },
	{ "statx", P, ANY },
	{ "symlink", P, ANY },
	{ "symlinkat", P, ANY },
	{ "timerfd_create", B, ANY },
	{ "timerfd_gettime", B, ANY },
	{ "timerfd_settime", B, ANY },
	{ "umask", B, ANY },
	{ "unlink", P, ANY },
	{ "unlinkat", P, ANY },
	{ "wait4", B, ANY },
	{ "waitid", B, ANY },
};
#define RULE_COUNT (sizeof(rules) / sizeof(rules[0]))

/*
 * What an executed program has as well, for all arguments but those of clone. Nothing depends
 * on its handlers of signals: its violations are told by the kernel.
 */
static const char *const of_programs[] = {
	"arch_prctl",    "capget",
	"clone",         "copy_file_range",
	"epoll_create",  "eventfd",
	"execve",        "execveat",
	"fallocate",     "fgetxattr",
	"flistxattr",    "fork",
	"getdents",      "getgroups",
	"getpgid",       "getsid",
	"getxattr",      "lgetxattr",
	"listxattr",     "llistxattr",
	"memfd_create",  "mknod",
	"mknodat",       "mlock2",
	"mmap",          "mprotect",
	"munlockall",    "pkey_alloc",
	"pkey_free",     "pkey_mprotect",
	"preadv2",       "pwritev2",
	"readahead",     "rt_sigaction",
	"sched_getattr", "sched_rr_get_interval",
	"setpgid",       "setsid",
	"signalfd",      "splice",
	"sync",          "sync_file_range",
	"syncfs",        "tee",
	"vfork",         NULL,
};

/* Likewise, where landlock keeps signals inside (version 6, Linux 6.12). */
static const char *const of_scoped_programs[] = { "kill", "tgkill", "tkill", NULL };

/* What no sandbox has, whoever asks for it. */
static const char *const never[] = {
	"io_uring_setup",
	"io_uring_enter",
	"io_uring_register",
	"ptrace",
	"process_vm_readv",
	"process_vm_writev",
	"process_madvise",
	"process_mrelease",
	"pidfd_getfd",
	"pidfd_open",
	"pidfd_send_signal",
	"kcmp",
	"bpf",
	"perf_event_open",
	"userfaultfd",
	"add_key",
	"request_key",
	"keyctl",
	"seccomp",
	"landlock_restrict_self",
	"clone3",
	"openat2",
	"prctl",
	"unshare",
	"setns",
	"mount",
	"umount2",
	"pivot_root",
	"chroot",
	"move_mount",
	"open_tree",
	"fsopen",
	"fsconfig",
	"fsmount",
	"fspick",
	"mount_setattr",
	"open_by_handle_at",
	"kexec_load",
	"kexec_file_load",
	"init_module",
	"finit_module",
	"delete_module",
	"reboot",
	"swapon",
	"swapoff",
	"acct",
	"quotactl",
	"quotactl_fd",
	"settimeofday",
	"clock_settime",
	"clock_adjtime",
	"adjtimex",
	"iopl",
	"ioperm",
	"modify_ldt",
	"personality",
	"capset",
	"syslog",
	"vhangup",
	"tkill",
	"rt_sigqueueinfo",
	"rt_tgsigqueueinfo",
	NULL,
};

static bool is_among(const char *const *names, const char *name)
{
	for (; names && *names; names++)
		if (strcmp(*names, name) == 0)
			return true;
	return false;
}

static bool is_needed(const char *name)
{
	for (size_t i = 0; i < RULE_COUNT; i++)
		if (rules[i].profiles == NEEDED && rules[i].condition < IS_ENOSYS &&
		    strcmp(rules[i].name, name) == 0)
			return true;
	return false;
}

/* what landlock has a word in; "never" has the rest */
static const char *const of_files[] = {
	"bind",     "creat",    "execve",    "execveat", "link",    "linkat",
	"mkdir",    "mkdirat",  "mknod",     "mknodat",  "open",    "openat",
	"rename",   "renameat", "renameat2", "rmdir",    "symlink", "symlinkat",
	"truncate", "unlink",   "unlinkat",  NULL,
};

const char *carom_sandbox_needs_landlock(const char *const *allow, const char *const *deny)
{
	for (; allow && *allow; allow++)
		for (size_t i = 0; of_files[i]; i++)
			if (strcmp(of_files[i], *allow) == 0 && !is_among(deny, *allow))
				return of_files[i];
	return NULL;
}

/* --- what is asked for ------------------------------------------------- */

/* before anything here that calls it */
static int need_seccomp(char *text, size_t size)
{
	if (carom_seccomp())
		return 0;
	snprintf(text, size, "libseccomp cannot be loaded");
	return carom_annex_error();
}

static int check_name(const char *name, char *text, size_t size)
{
	if (carom_seccomp()->seccomp_syscall_resolve_name(name) >= 0)
		return 0;
	snprintf(text, size, "no system call is called \"%s\" here", name);
	return -ENOENT;
}

static int check_allowed(const char *const *allow, char *text, size_t size)
{
	int r = 0;

	for (; r == 0 && allow && *allow; allow++) {
		r = check_name(*allow, text, size);
		if (r == 0 && is_among(never, *allow)) {
			snprintf(text, size, "\"%s\" is in no sandbox", *allow);
			r = -EPERM;
		}
	}
	return r;
}

static int check_denied(const char *const *deny, char *text, size_t size)
{
	int r = 0;

	for (; r == 0 && deny && *deny; deny++) {
		r = check_name(*deny, text, size);
		if (r == 0 && is_needed(*deny)) {
			snprintf(text, size, "\"%s\" cannot be denied: the library needs it",
				 *deny);
			r = -EINVAL;
		}
	}
	return r;
}

/* --- rules of libseccomp ----------------------------------------------- */

static int add_alternative(scmp_filter_ctx filter, int number, const struct comparison *both)
{
	struct scmp_arg_cmp compare[2];
	unsigned count = 0;

	for (int i = 0; i < 2 && both[i].mask; i++)
		compare[count++] = (struct scmp_arg_cmp){ both[i].arg, SCMP_CMP_MASKED_EQ,
							  both[i].mask, both[i].value };
	return carom_seccomp()->seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, number, count,
						       compare);
}

static int add_rule(scmp_filter_ctx filter, const char *name, enum condition condition)
{
	int number = carom_seccomp()->seccomp_syscall_resolve_name(name);
	int r = 0;

	if (number < 0)
		return 0; /* this architecture, or this libseccomp, does not have it */
	if (condition == ANY)
		return carom_seccomp()->seccomp_rule_add(filter, SCMP_ACT_ALLOW, number, 0);
	if (condition == IS_ENOSYS)
		return carom_seccomp()->seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), number, 0);
	if (condition == IS_EACCES)
		return carom_seccomp()->seccomp_rule_add(filter, SCMP_ACT_ERRNO(EACCES), number, 0);
	for (int i = 0; r == 0 && i < ALTERNATIVES_MAX && conditions[condition][i][0].mask; i++)
		r = add_alternative(filter, number, conditions[condition][i]);
	return r;
}

/* for all arguments, but for what F2 and F4 say */
static enum condition when_allowed(const char *name)
{
	if (strcmp(name, "rt_sigaction") == 0)
		return NOT_SIGSYS;
	return strcmp(name, "clone") == 0 ? A_CHILD : ANY;
}

/* does "fork" stand for it? */
static bool is_of_fork(const char *name, const char *const *allow)
{
	return is_among(allow, "fork") &&
	       (strcmp(name, "clone") == 0 || strcmp(name, "wait4") == 0);
}

static int add_allowed(scmp_filter_ctx filter, const char *const *allow, const char *const *deny)
{
	bool forks = is_among(allow, "fork");
	int r = forks && !is_among(deny, "clone") ? add_rule(filter, "clone", A_CHILD) : 0;

	if (r == 0 && forks)
		r = add_rule(filter, "wait4", ANY);
	for (size_t i = 0; r == 0 && allow && allow[i]; i++)
		if (!is_among(deny, allow[i]) && !is_of_fork(allow[i], allow))
			r = add_rule(filter, allow[i], when_allowed(allow[i]));
	return r;
}

static int add_list(scmp_filter_ctx filter, const char *const *names, const char *const *allow,
		    const char *const *deny)
{
	int r = 0;

	for (; r == 0 && *names; names++)
		if (!is_among(deny, *names) && !is_among(allow, *names))
			r = add_rule(filter, *names, strcmp(*names, "clone") == 0 ? A_CHILD : ANY);
	return r;
}

static bool has_scopes(void)
{
	return carom_sandbox_landlock_abi() >= 6;
}

static int add_of_programs(scmp_filter_ctx filter, const char *const *allow,
			   const char *const *deny)
{
	int r = add_list(filter, of_programs, allow, deny);

	return r == 0 && has_scopes() ? add_list(filter, of_scoped_programs, allow, deny) : r;
}

static bool is_of_programs(const char *name)
{
	return is_among(of_programs, name) || (is_among(of_scoped_programs, name) && has_scopes());
}

static bool is_overridden(const char *name, bool executes, const char *const *allow)
{
	return is_among(allow, name) || is_of_fork(name, allow) ||
	       (executes && is_of_programs(name));
}

/* @profiles: bits */
static int add_profile(scmp_filter_ctx filter, unsigned profiles, bool executes,
		       const char *const *allow, const char *const *deny)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < RULE_COUNT; i++) {
		const struct rule *rule = &rules[i];

		if (rule->profiles & profiles && !is_among(deny, rule->name) &&
		    !is_overridden(rule->name, executes, allow))
			r = add_rule(filter, rule->name, rule->condition);
	}
	return r;
}

/* the first of them for older kernels, which go through the filter at each call */
static int set_up(scmp_filter_ctx filter)
{
	static const char *const first[] = { "write", "read", "futex" };
	int r = carom_seccomp()->seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH,
						  SCMP_ACT_KILL_PROCESS); /* F3 */

	for (size_t i = 0; r == 0 && i < sizeof(first) / sizeof(first[0]); i++)
		r = carom_seccomp()->seccomp_syscall_priority(
			filter, carom_seccomp()->seccomp_syscall_resolve_name(first[i]),
			(uint8_t)(253 + i));
	return r;
}

/* --- the program ------------------------------------------------------- */

static int read_program(int fd, struct sock_filter **ret_program, size_t *ret_length)
{
	off_t size = lseek(fd, 0, SEEK_END);
	struct sock_filter *program = size > 0 ? malloc((size_t)size) : NULL;

	if (!program)
		return -ENOMEM;
	if (pread(fd, program, (size_t)size, 0) != size) {
		free(program);
		return -EIO;
	}
	*ret_program = program;
	*ret_length = carom_sandbox_shorten(program, (size_t)size / sizeof(*program));
	return 0;
}

/* seccomp_export_bpf_mem() came with libseccomp 2.6 */
static int export_program(scmp_filter_ctx filter, struct sock_filter **ret_program,
			  size_t *ret_length)
{
	CAROM_CLEANUP(carom_closep) int fd = carom_memory_file_new("carom-filter");
	int r;

	if (fd < 0)
		return fd;
	r = carom_seccomp()->seccomp_export_bpf(filter, fd);
	return r < 0 ? r : read_program(fd, ret_program, ret_length);
}

static int compile(scmp_filter_ctx filter, unsigned profiles, bool executes,
		   const char *const *allow, const char *const *deny,
		   struct sock_filter **ret_program, size_t *ret_length)
{
	int r = set_up(filter);

	if (r == 0)
		r = add_profile(filter, profiles, executes, allow, deny);
	if (r == 0 && executes)
		r = add_of_programs(filter, allow, deny);
	if (r == 0)
		r = add_allowed(filter, allow, deny);
	return r < 0 ? r : export_program(filter, ret_program, ret_length);
}

int carom_sandbox_compile(enum carom_sandbox_profile profile, bool guards_paths, bool executes,
			  const char *const *allow, const char *const *deny,
			  struct sock_filter **ret_program, size_t *ret_length, char *text,
			  size_t size)
{
	unsigned profiles = 1U << profile;
	scmp_filter_ctx filter;
	int r = need_seccomp(text, size);

	if (r == 0)
		r = check_allowed(allow, text, size);
	if (r == 0)
		r = check_denied(deny, text, size);
	if (r < 0)
		return r;
	if (profile == CAROM_SANDBOX_BASIC)
		profiles |= guards_paths ? P : N;
	filter = carom_seccomp()->seccomp_init(SCMP_ACT_TRAP); /* F2 */
	if (!filter)
		return -ENOMEM;
	r = compile(filter, profiles, executes, allow, deny, ret_program, ret_length);
	carom_seccomp()->seccomp_release(filter);
	if (r < 0)
		snprintf(text, size, "the filter cannot be compiled");
	return r;
}

static char *resolve(int64_t number)
{
	const struct carom_seccomp *seccomp = number <= INT32_MAX ? carom_seccomp() : NULL;

	return seccomp ? seccomp->seccomp_syscall_resolve_num_arch(SCMP_ARCH_NATIVE, (int)number)
		       : NULL;
}

#else

int carom_sandbox_compile(enum carom_sandbox_profile profile, bool guards_paths, bool executes,
			  const char *const *allow, const char *const *deny,
			  struct sock_filter **ret_program, size_t *ret_length, char *text,
			  size_t size)
{
	snprintf(text, size, "carom was built without libseccomp");
	return -EOPNOTSUPP;
}

const char *carom_sandbox_needs_landlock(const char *const *allow, const char *const *deny)
{
	return NULL;
}

static char *resolve(int64_t number)
{
	return NULL;
}

#endif

void carom_system_call_name(int64_t number, char *name, size_t size)
{
	char *found = number < 0 ? NULL : resolve(number);

	if (number < 0)
		snprintf(name, size, "unknown");
	else if (found)
		snprintf(name, size, "%s", found);
	else
		snprintf(name, size, "system call %lld", (long long)number);
	free(found);
}
