/*
 * Escapes: what hostile code tries, once it is in a sandbox
 *
 * Each is an expression that is 0 or more if it has worked, else below 0, with errno. Beside
 * it stands what becomes of it under "strict" and under "basic": the name of the call that
 * ends the process; "unknown" where it dies by SIGSYS and no number is known; an error; or
 * HARMLESS, where the call goes through and reaches nothing outside.
 *
 * None of them may be destructive to a machine where it works: then it is a failed test.
 */
#ifndef TESTS_CORE_ESCAPES_H
#define TESTS_CORE_ESCAPES_H

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/if_alg.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/registry.h"

/* old names, which newer architectures do not have; nothing is tried there */
#ifndef __x86_64__
#define SYS_open       (-1)
#define SYS_creat      (-1)
#define SYS_fork       (-1)
#define SYS_vfork      (-1)
#define SYS_unlink     (-1)
#define SYS_dup2       (-1)
#define SYS_iopl       (-1)
#define SYS_modify_ldt (-1)
#endif

/**
 * struct world - what an attempt may know
 * @key:       of the test's own, for System V's objects; also @name, for others
 * @secret:    an address in the parent
 * @directory: where everybody may do anything; outside of what is allowed
 * @file:      in it, of the same user's, readable and writable to it
 * @fresh, @moved: in it, and not there
 * @shared:    in /dev/shm, and not there
 * @listening: in it: a socket that takes datagrams
 * @directory_fd, @terminal_fd, @pipe_fd: were given to it
 */
struct world {
	uint32_t index;
	pid_t parent;
	int key;
	uint64_t secret;
	char name[32];
	char directory[40];
	char file[64];
	char fresh[64];
	char moved[64];
	char shared[64];
	char listening[64];
	int directory_fd;
	int terminal_fd;
	int pipe_fd;
};

#define HARMLESS "harmless"

/* of another architecture, by whatever way in there is */
#ifdef __x86_64__
static inline long by_int80(int number)
{
	long r;

	__asm__ volatile("int $0x80"
			 : "=a"(r)
			 : "a"(number), "b"(0), "c"(0), "d"(0)
			 : "memory", "r8", "r9", "r10", "r11");
	return r;
}
#else
static inline long by_int80(int number)
{
	return -1;
}
#endif

static inline int open_proc(const struct world *world, const char *what, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)world->parent, what);
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags);
}

static inline long write_to_parent(const struct world *world)
{
	uint64_t forged = 1;
	int fd = open_proc(world, "mem", O_RDWR);

	return fd < 0 ? -1 : pwrite(fd, &forged, sizeof(forged), (off_t)world->secret);
}

static inline long copy_parent(const struct world *world, long number)
{
	uint64_t copy = 1;
	struct iovec here = { &copy, sizeof(copy) };
	struct iovec there = { (void *)(uintptr_t)world->secret, sizeof(copy) };

	return syscall(number, world->parent, &here, 1, &there, 1, 0);
}

static inline long connect_by_name(const char *name, size_t size)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = (int)syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0);

	memcpy(address.sun_path, name, size);
	return fd < 0 ? -1 : connect(fd, (void *)&address, sizeof(address));
}

/* without connect(2), from a socket that only came to have a peer */
static inline long send_by_name(const char *name, size_t size, int type)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int ends[2];

	memcpy(address.sun_path, name, size);
	if (syscall(SYS_socketpair, AF_UNIX, type, 0, ends) < 0)
		return -1;
	return syscall(SYS_sendto, ends[0], "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL, &address,
		       sizeof(address));
}

static inline long walk_up(const struct world *world)
{
	char path[96];

	snprintf(path, sizeof(path), "../../../../../..%s", world->fresh);
	return syscall(SYS_openat, world->directory_fd, path, O_CREAT | O_WRONLY, 0600);
}

static inline long execute_memory(void)
{
	static char *none[] = { NULL };
	int fd = (int)syscall(SYS_memfd_create, "program", 0);

	return fd < 0 ? -1 : syscall(SYS_execveat, fd, "", none, none, AT_EMPTY_PATH);
}

static inline long execute(const char *path)
{
	static char *none[] = { NULL };

	return syscall(SYS_execve, path, none, none);
}

static inline long take_sigsys(unsigned long number)
{
	/* as the kernel has it: handler, flags, restorer, mask */
	unsigned long action[4] = { (unsigned long)SIG_IGN, 0, 0, 0 };

	return syscall(SYS_rt_sigaction, number, action, NULL, 8);
}

/* the signal is put off, and then the call is made */
static inline long block_and_try(void)
{
	uint64_t all = UINT64_MAX;

	syscall(SYS_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8);
	return syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

/* the handler would run on a stack that is not there */
static inline long try_on_no_stack(void)
{
	stack_t nowhere = { .ss_sp = (void *)4096, .ss_size = 65536 };

	sigaltstack(&nowhere, NULL);
	return syscall(SYS_socket, AF_INET, SOCK_STREAM, 0);
}

static inline long raise_limit(const struct world *world, pid_t pid)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	return syscall(SYS_prlimit64, pid, RLIMIT_NOFILE, &limit, NULL);
}

static inline long load_filter(void)
{
	struct sock_filter all = { BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW };
	struct sock_fprog program = { 1, &all };

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program);
}

static inline long become_capable(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct all[2] = { { ~0U, ~0U, ~0U }, { ~0U, ~0U, ~0U } };

	return syscall(SYS_capset, &header, all);
}

static inline long count_perf(void)
{
	struct perf_event_attr event = { .type = PERF_TYPE_SOFTWARE, .size = sizeof(event) };

	return syscall(SYS_perf_event_open, &event, 0, -1, -1, 0);
}

static inline long open_by_handle(const struct world *world)
{
	struct {
		unsigned bytes;
		int type;
		unsigned char handle[8];
	} root = { 8, 1, { 2 } };

	return syscall(SYS_open_by_handle_at, world->directory_fd, &root, O_RDONLY);
}

static inline long open_how(const char *path)
{
	uint64_t how[3] = { O_RDWR, 0, 0 };

	return syscall(SYS_openat2, AT_FDCWD, path, how, sizeof(how));
}

#define CALL(...)       syscall(__VA_ARGS__)
#define OPENS(...)      syscall(SYS_openat, __VA_ARGS__)
#define ABSENT          4095 /* a descriptor that nobody gave it */
#define X32(call)       ((call) | 0x40000000)
#define HIGH_BIT        (1UL << 32)
#define IN_CLONE(flags) syscall(SYS_clone, (unsigned long)(flags) | SIGCHLD, NULL, NULL, NULL, NULL)

/* name, under "strict", under "basic", the attempt */
#define EACH_ESCAPE(X)                                                                             \
	/* other processes' memory */                                                              \
	X(write_to_parent_by_proc, "openat", "EACCES", write_to_parent(world))                     \
	X(read_parent_by_proc, "openat", "EACCES", open_proc(world, "mem", O_RDONLY))              \
	X(read_parents_environment, "openat", "EACCES", open_proc(world, "environ", O_RDONLY))     \
	X(read_parents_maps, "openat", "EACCES", open_proc(world, "maps", O_RDONLY))               \
	X(take_parents_descriptor_by_proc, "openat", "EACCES", open_proc(world, "fd/0", O_RDWR))   \
	X(read_parent_by_vm, "process_vm_readv", "process_vm_readv",                               \
	  copy_parent(world, SYS_process_vm_readv))                                                \
	X(write_parent_by_vm, "process_vm_writev", "process_vm_writev",                            \
	  copy_parent(world, SYS_process_vm_writev))                                               \
	X(trace_parent, "ptrace", "ptrace", CALL(SYS_ptrace, PTRACE_ATTACH, world->parent, 0, 0))  \
	X(seize_parent, "ptrace", "ptrace", CALL(SYS_ptrace, PTRACE_SEIZE, world->parent, 0, 0))   \
	X(be_traced, "ptrace", "ptrace", CALL(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0))                \
	X(compare_with_parent, "kcmp", "kcmp", CALL(SYS_kcmp, getpid(), world->parent, 0, 0, 0))   \
	X(advise_parent, "process_madvise", "process_madvise",                                     \
	  CALL(SYS_process_madvise, 5, NULL, 0, 20, 0))                                            \
	X(move_parents_pages, "move_pages", "move_pages",                                          \
	  CALL(SYS_move_pages, world->parent, 0, NULL, NULL, NULL, 0))                             \
	X(hold_parent, "pidfd_open", "pidfd_open", CALL(SYS_pidfd_open, world->parent, 0))         \
	X(take_parents_descriptor, "pidfd_getfd", "pidfd_getfd", CALL(SYS_pidfd_getfd, 5, 0, 0))   \
                                                                                                   \
	/* other processes */                                                                      \
	X(kill_parent, "kill", "kill", CALL(SYS_kill, world->parent, SIGKILL))                     \
	X(kill_parent_with_high_bits, "kill", "kill",                                              \
	  CALL(SYS_kill, (unsigned)world->parent | HIGH_BIT, SIGKILL))                             \
	X(kill_everybody, "kill", "kill", CALL(SYS_kill, -1, SIGCONT))                             \
	X(kill_group, "kill", "kill", CALL(SYS_kill, 0, SIGCONT))                                  \
	X(kill_parents_thread, "tgkill", "tgkill",                                                 \
	  CALL(SYS_tgkill, world->parent, world->parent, SIGKILL))                                 \
	X(kill_any_thread, "tkill", "tkill", CALL(SYS_tkill, world->parent, SIGKILL))              \
	X(queue_to_parent, "rt_sigqueueinfo", "rt_sigqueueinfo",                                   \
	  CALL(SYS_rt_sigqueueinfo, world->parent, SIGUSR1, &(siginfo_t){ .si_code = SI_QUEUE }))  \
	X(queue_to_parents_thread, "rt_tgsigqueueinfo", "rt_tgsigqueueinfo",                       \
	  CALL(SYS_rt_tgsigqueueinfo, world->parent, world->parent, SIGUSR1,                       \
	       &(siginfo_t){ .si_code = SI_QUEUE }))                                               \
	X(signal_by_pidfd, "pidfd_send_signal", "pidfd_send_signal",                               \
	  CALL(SYS_pidfd_send_signal, 5, SIGKILL, NULL, 0))                                        \
	X(have_the_kernel_signal_parent, "fcntl", "fcntl",                                         \
	  CALL(SYS_fcntl, world->pipe_fd, F_SETOWN, world->parent))                                \
	X(choose_the_kernels_signal, "fcntl", "fcntl",                                             \
	  CALL(SYS_fcntl, world->pipe_fd, F_SETSIG, 9))                                            \
	X(have_a_device_signal_parent, "ioctl", "ioctl",                                           \
	  CALL(SYS_ioctl, world->pipe_fd, FIOSETOWN, &world->parent))                              \
	X(slow_parent_down, "setpriority", "setpriority",                                          \
	  CALL(SYS_setpriority, 0, world->parent, 19))                                             \
	X(bind_parent_to_a_cpu, "sched_setaffinity", "sched_setaffinity",                          \
	  CALL(SYS_sched_setaffinity, world->parent, 8, &(uint64_t){ 1 }))                         \
	X(idle_parent, "sched_setscheduler", "sched_setscheduler",                                 \
	  CALL(SYS_sched_setscheduler, world->parent, SCHED_IDLE, &(int){ 0 }))                    \
	X(take_parents_limits, "prlimit64", "prlimit64", raise_limit(world, world->parent))        \
	X(leave_the_group, "setpgid", "setpgid", CALL(SYS_setpgid, 0, 0))                          \
	X(leave_the_session, "setsid", "setsid", CALL(SYS_setsid))                                 \
                                                                                                   \
	/* io_uring */                                                                             \
	X(make_a_ring, "io_uring_setup", "io_uring_setup",                                         \
	  CALL(SYS_io_uring_setup, 4, (char[120]){ 0 }))                                           \
	X(enter_a_ring, "io_uring_enter", "io_uring_enter",                                        \
	  CALL(SYS_io_uring_enter, 3, 1, 0, 0, NULL, 0))                                           \
	X(register_a_ring, "io_uring_register", "io_uring_register",                               \
	  CALL(SYS_io_uring_register, 3, 0, NULL, 0))                                              \
                                                                                                   \
	/* other ways into the kernel */                                                           \
	X(call_by_int80, "unknown", "unknown", by_int80(20))                                       \
	X(open_by_int80, "unknown", "unknown", by_int80(5))                                        \
	X(call_by_x32, "unknown", "unknown", CALL(X32(SYS_getpid)))                                \
	X(open_by_x32, "unknown", "unknown", CALL(X32(SYS_open), "/etc/passwd", O_RDONLY))         \
	X(call_nothing, "unknown", "unknown", CALL(-1))                                            \
	X(call_a_number_of_tomorrow, "system call 5000", "system call 5000", CALL(5000))           \
                                                                                                   \
	/* new processes and namespaces */                                                         \
	X(new_user_namespace, "clone", "clone", IN_CLONE(CLONE_NEWUSER))                           \
	X(new_mount_namespace, "clone", "clone", IN_CLONE(CLONE_NEWNS))                            \
	X(new_pid_namespace, "clone", "clone", IN_CLONE(CLONE_NEWPID))                             \
	X(new_net_namespace, "clone", "clone", IN_CLONE(CLONE_NEWNET))                             \
	X(new_ipc_namespace, "clone", "clone", IN_CLONE(CLONE_NEWIPC))                             \
	X(new_uts_namespace, "clone", "clone", IN_CLONE(CLONE_NEWUTS))                             \
	X(new_cgroup_namespace, "clone", "clone", IN_CLONE(CLONE_NEWCGROUP))                       \
	X(new_namespace_for_a_thread, "clone", "clone",                                            \
	  IN_CLONE(CLONE_NEWUSER | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM))                       \
	X(clone_with_arguments_in_memory, "ENOSYS", "ENOSYS",                                      \
	  CALL(SYS_clone3, (uint64_t[11]){ CLONE_NEWUSER, [4] = SIGCHLD }, 88))                    \
	X(fork_bomb, "clone", "clone", IN_CLONE(0))                                                \
	X(sibling, "clone", "clone", IN_CLONE(CLONE_PARENT))                                       \
	X(fork_by_its_old_name, "fork", "fork", CALL(SYS_fork))                                    \
	X(vfork, "vfork", "vfork", CALL(SYS_vfork))                                                \
	X(unshare_user, "unshare", "unshare", CALL(SYS_unshare, CLONE_NEWUSER))                    \
	X(unshare_mounts, "unshare", "unshare", CALL(SYS_unshare, CLONE_NEWNS))                    \
	X(join_namespace, "setns", "setns", CALL(SYS_setns, world->directory_fd, 0))               \
                                                                                                   \
	/* other programs and code */                                                              \
	X(execute_a_shell, "execve", "execve", execute("/bin/sh"))                                 \
	X(execute_itself, "execve", "execve", execute("/proc/self/exe"))                           \
	X(execute_beneath_a_directory, "execveat", "execveat",                                     \
	  CALL(SYS_execveat, world->directory_fd, "x", NULL, NULL, 0))                             \
	X(execute_memory, "memfd_create", "memfd_create", execute_memory())                        \
	X(map_executable, "mmap", "mmap",                                                          \
	  CALL(SYS_mmap, NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,                           \
	       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))                                                \
	X(make_executable, "mprotect", "mprotect",                                                 \
	  CALL(SYS_mprotect, (uintptr_t)world & ~4095UL, 4096, PROT_READ | PROT_EXEC))             \
	X(make_executable_by_key, "pkey_mprotect", "pkey_mprotect",                                \
	  CALL(SYS_pkey_mprotect, (uintptr_t)world & ~4095UL, 4096, PROT_EXEC, -1))                \
	X(make_all_executable, "personality", "personality", CALL(SYS_personality, 0x0400000))     \
	X(map_secret_memory, "memfd_secret", "memfd_secret", CALL(447, 0))                         \
	X(overwrite_its_program, "openat", "EACCES", OPENS(AT_FDCWD, "/proc/self/exe", O_RDWR))    \
	X(write_its_memory, "openat", "EACCES", OPENS(AT_FDCWD, "/proc/self/mem", O_RDWR))         \
                                                                                                   \
	/* files */                                                                                \
	X(write_a_file, "openat", "EACCES", OPENS(AT_FDCWD, world->file, O_WRONLY))                \
	X(write_a_file_by_its_old_name, "open", "EACCES", CALL(SYS_open, world->file, O_RDWR))     \
	X(create_a_file, "openat", "EACCES",                                                       \
	  OPENS(AT_FDCWD, world->fresh, O_CREAT | O_WRONLY, 0600))                                 \
	X(create_by_creat, "creat", "EACCES", CALL(SYS_creat, world->fresh, 0600))                 \
	X(create_a_file_without_a_name, "openat", "EACCES",                                        \
	  OPENS(AT_FDCWD, world->directory, O_TMPFILE | O_RDWR, 0600))                             \
	X(truncate_while_reading, "openat", "openat",                                              \
	  OPENS(AT_FDCWD, world->file, O_RDONLY | O_TRUNC))                                        \
	X(truncate_a_file, "truncate", "truncate", CALL(SYS_truncate, world->file, 0))             \
	X(unlink_a_file, "unlinkat", "EACCES", CALL(SYS_unlinkat, AT_FDCWD, world->file, 0))       \
	X(unlink_by_its_old_name, "unlink", "EACCES", CALL(SYS_unlink, world->file))               \
	X(rename_a_file, "renameat2", "EACCES",                                                    \
	  CALL(SYS_renameat2, AT_FDCWD, world->file, AT_FDCWD, world->moved, 0))                   \
	X(link_a_file, "linkat", "EACCES",                                                         \
	  CALL(SYS_linkat, AT_FDCWD, world->file, AT_FDCWD, world->moved, 0))                      \
	X(make_a_directory, "mkdirat", "EACCES", CALL(SYS_mkdirat, AT_FDCWD, world->moved, 0700))  \
	X(make_a_link, "symlinkat", "EACCES", CALL(SYS_symlinkat, "/etc", AT_FDCWD, world->moved)) \
	X(make_a_device, "mknodat", "mknodat",                                                     \
	  CALL(SYS_mknodat, AT_FDCWD, world->moved, S_IFCHR, 0x103))                               \
	X(change_its_mode, "fchmodat", "fchmodat",                                                 \
	  CALL(SYS_fchmodat, AT_FDCWD, world->file, 04777))                                        \
	X(change_its_owner, "fchownat", "fchownat",                                                \
	  CALL(SYS_fchownat, AT_FDCWD, world->file, 0, 0, 0))                                      \
	X(change_its_times, "utimensat", "utimensat",                                              \
	  CALL(SYS_utimensat, AT_FDCWD, world->file, NULL, 0))                                     \
	X(give_it_capabilities, "setxattr", "setxattr",                                            \
	  CALL(SYS_setxattr, world->file, "security.capability", "", 0, 0))                        \
	X(fill_shared_memory, "openat", "EACCES",                                                  \
	  OPENS(AT_FDCWD, world->shared, O_CREAT | O_RDWR, 0600))                                  \
	X(open_a_disk, "openat", "EACCES", OPENS(AT_FDCWD, "/dev/kmsg", O_WRONLY))                 \
	X(walk_up_from_a_directory, "openat", "EACCES", walk_up(world))                            \
	X(look_at_a_file, "EACCES", HARMLESS,                                                      \
	  CALL(SYS_newfstatat, AT_FDCWD, "/etc/passwd", (char[256]){ 0 }, 0))                      \
	X(read_a_file, "openat", HARMLESS, OPENS(AT_FDCWD, "/etc/passwd", O_RDONLY))               \
	X(open_how, "ENOSYS", "ENOSYS", open_how(world->file))                                     \
	X(open_by_handle, "open_by_handle_at", "open_by_handle_at", open_by_handle(world))         \
	X(name_a_handle, "name_to_handle_at", "name_to_handle_at",                                 \
	  CALL(SYS_name_to_handle_at, AT_FDCWD, "/etc", (char[256]){ 0 }, &(int){ 0 }, 0))         \
	X(watch_files, "inotify_init1", "inotify_init1", CALL(SYS_inotify_init1, 0))               \
	X(watch_everything, "fanotify_init", "fanotify_init", CALL(SYS_fanotify_init, 0, 0))       \
	X(change_root, "chroot", "chroot", CALL(SYS_chroot, "/"))                                  \
	X(mount_something, "mount", "mount", CALL(SYS_mount, "none", "/", "tmpfs", 0, NULL))       \
	X(unmount_something, "umount2", "umount2", CALL(SYS_umount2, "/nowhere", 0))               \
	X(pivot, "pivot_root", "pivot_root", CALL(SYS_pivot_root, "/nowhere", "/nowhere"))         \
	X(open_a_tree, "open_tree", "open_tree", CALL(SYS_open_tree, AT_FDCWD, "/", 1))            \
	X(make_a_file_system, "fsopen", "fsopen", CALL(SYS_fsopen, "tmpfs", 0))                    \
	X(move_between_pipes, "splice", "splice",                                                  \
	  CALL(SYS_splice, 0, NULL, world->pipe_fd, NULL, 1, 0))                                   \
	X(give_pages_to_a_pipe, "vmsplice", "vmsplice",                                            \
	  CALL(SYS_vmsplice, world->pipe_fd, NULL, 0, 0))                                          \
                                                                                                   \
	/* descriptors */                                                                          \
	X(use_what_was_not_given, "EBADF", "EBADF", CALL(SYS_fcntl, ABSENT, F_GETFD))              \
	X(copy_beyond_the_limit, "dup2", "EBADF", CALL(SYS_dup2, world->pipe_fd, 600))             \
	X(type_into_the_terminal, "ioctl", "ioctl",                                                \
	  CALL(SYS_ioctl, world->terminal_fd, TIOCSTI, "x"))                                       \
	X(type_with_high_bits, "ioctl", "ioctl",                                                   \
	  CALL(SYS_ioctl, world->terminal_fd, (unsigned long)TIOCSTI | HIGH_BIT, "x"))             \
	X(paste_into_the_terminal, "ioctl", "ioctl",                                               \
	  CALL(SYS_ioctl, world->terminal_fd, TIOCLINUX, "\3"))                                    \
	X(take_the_terminal, "ioctl", "ioctl", CALL(SYS_ioctl, world->terminal_fd, TIOCSCTTY, 1))  \
                                                                                                   \
	/* the network */                                                                          \
	X(internet, "socket", "socket", CALL(SYS_socket, AF_INET, SOCK_STREAM, 0))                 \
	X(internet_6, "socket", "socket", CALL(SYS_socket, AF_INET6, SOCK_DGRAM, 0))               \
	X(raw_packets, "socket", "socket", CALL(SYS_socket, AF_PACKET, SOCK_RAW, 0))               \
	X(kernel_crypto, "socket", "socket", CALL(SYS_socket, AF_ALG, SOCK_SEQPACKET, 0))          \
	X(host_of_this_machine, "socket", "socket", CALL(SYS_socket, AF_VSOCK, SOCK_STREAM, 0))    \
	X(netlink, "socket", "socket", CALL(SYS_socket, AF_NETLINK, SOCK_RAW, 0))                  \
	X(abstract_socket, "socket", "socket", connect_by_name("\0carom", 6))                      \
	X(socket_by_path, "socket", "socket", connect_by_name("/run/systemd/journal/stdout", 28))  \
	X(send_by_path_from_a_pair, "socketpair", "socketpair",                                    \
	  send_by_name(world->listening, sizeof(world->listening), SOCK_DGRAM))                    \
	X(send_by_path_from_a_raw_pair, "socketpair", "socketpair",                                \
	  send_by_name(world->listening, sizeof(world->listening), SOCK_RAW | SOCK_CLOEXEC))       \
	X(send_by_path_from_a_pair_of_packets, "socketpair", HARMLESS,                             \
	  send_by_name(world->listening, sizeof(world->listening), SOCK_SEQPACKET))                \
	X(send_by_path_from_a_stream, "socketpair", "EISCONN",                                     \
	  send_by_name(world->listening, sizeof(world->listening), SOCK_STREAM))                   \
	X(pair_of_another_family, "socketpair", "socketpair",                                      \
	  CALL(SYS_socketpair, AF_INET, SOCK_STREAM, 0, (int[2]){ 0 }))                            \
	X(listen, "listen", "listen", CALL(SYS_listen, world->pipe_fd, 1))                         \
                                                                                                   \
	/* what else the kernel offers */                                                          \
	X(make_a_key, "add_key", "add_key", CALL(SYS_add_key, "user", "carom", "x", 1, -2))        \
	X(ask_for_a_key, "request_key", "request_key",                                             \
	  CALL(SYS_request_key, "user", "carom", NULL, -2))                                        \
	X(join_a_key_ring, "keyctl", "keyctl", CALL(SYS_keyctl, 1, NULL))                          \
	X(load_a_program, "bpf", "bpf", CALL(SYS_bpf, BPF_PROG_LOAD, (char[128]){ 0 }, 128))       \
	X(measure, "perf_event_open", "perf_event_open", count_perf())                             \
	X(handle_faults, "userfaultfd", "userfaultfd", CALL(SYS_userfaultfd, 0))                   \
	X(load_a_module, "finit_module", "finit_module", CALL(SYS_finit_module, 0, "", 0))         \
	X(load_a_kernel, "kexec_load", "kexec_load", CALL(SYS_kexec_load, 0, 0, NULL, 0))          \
	X(restart_the_machine, "reboot", "reboot", CALL(SYS_reboot, 0, 0, 0, NULL))                \
	X(swap, "swapon", "swapon", CALL(SYS_swapon, "/nowhere", 0))                               \
	X(read_the_kernels_log, "syslog", "syslog", CALL(SYS_syslog, 3, (char[8]){ 0 }, 8))        \
	X(set_the_clock, "clock_settime", "clock_settime", CALL(SYS_clock_settime, 0, NULL))       \
	X(change_the_host_name, "sethostname", "sethostname", CALL(SYS_sethostname, "", 0))        \
	X(ports, "iopl", "iopl", CALL(SYS_iopl, 3))                                                \
	X(segments, "modify_ldt", "modify_ldt", CALL(SYS_modify_ldt, 0, NULL, 0))                  \
	X(shared_memory_by_key, "shmget", "shmget",                                                \
	  CALL(SYS_shmget, world->key, 4096, 0600 | 01000))                                        \
	X(message_queue_by_key, "msgget", "msgget", CALL(SYS_msgget, world->key, 0600 | 01000))    \
	X(semaphores_by_key, "semget", "semget", CALL(SYS_semget, world->key, 1, 0600 | 01000))    \
	X(message_queue_by_name, "mq_open", "mq_open",                                             \
	  CALL(SYS_mq_open, world->name + 1, O_CREAT, 0600, NULL))                                 \
                                                                                                   \
	/* its own cage */                                                                         \
	X(be_dumpable_again, "prctl", "prctl", CALL(SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0))       \
	X(outlive_its_parent, "prctl", "prctl", CALL(SYS_prctl, PR_SET_PDEATHSIG, 0, 0, 0, 0))     \
	X(name_a_tracer, "prctl", "prctl", CALL(SYS_prctl, PR_SET_PTRACER, -1, 0, 0, 0))           \
	X(move_its_program, "prctl", "prctl", CALL(SYS_prctl, PR_SET_MM, 1, 0, 0, 0))              \
	X(filter_by_prctl, "prctl", "prctl", CALL(SYS_prctl, PR_SET_SECCOMP, 2, NULL, 0, 0))       \
	X(filter_again, "seccomp", "seccomp", load_filter())                                       \
	X(another_landlock, "landlock_create_ruleset", "landlock_create_ruleset",                  \
	  CALL(444, NULL, 0, 1))                                                                   \
	X(become_root, "setuid", "setuid", CALL(SYS_setuid, 0))                                    \
	X(become_another_group, "setgid", "setgid", CALL(SYS_setgid, 0))                           \
	X(become_saved, "setresuid", "setresuid", CALL(SYS_setresuid, 0, 0, 0))                    \
	X(become_capable, "capset", "capset", become_capable())                                    \
	X(raise_its_limits, "prlimit64", "prlimit64", raise_limit(world, 0))                       \
	X(raise_by_the_old_name, "setrlimit", "setrlimit",                                         \
	  CALL(SYS_setrlimit, RLIMIT_NOFILE, NULL))                                                \
	X(catch_the_signal, "rt_sigaction", "rt_sigaction", take_sigsys(SIGSYS))                   \
	X(catch_it_with_high_bits, "rt_sigaction", "rt_sigaction", take_sigsys(SIGSYS | HIGH_BIT)) \
	X(put_the_signal_off, "unknown", "unknown", block_and_try())                               \
	X(have_no_stack_for_the_signal, "died", "died", try_on_no_stack())

/* --- what runs in the sandbox ------------------------------------------ */

#define ATTEMPT(name, strict, basic, ...)                     \
	static long attempt_##name(const struct world *world) \
	{                                                     \
		return __VA_ARGS__;                           \
	}
EACH_ESCAPE(ATTEMPT)

struct escape {
	const char *name;
	const char *strict;
	const char *basic;
	long (*attempt)(const struct world *world);
};

#define AS_ENTRY(name, strict, basic, ...) { #name, strict, basic, attempt_##name },
static const struct escape escapes[] = { EACH_ESCAPE(AS_ENTRY) };
#define ESCAPE_COUNT (sizeof(escapes) / sizeof(escapes[0]))

/* The exit status of an attempt that has worked. */
#define HAS_WORKED 200

static int try_escape(const void *argument, size_t size, const int *fds, size_t fd_count)
{
	struct world world = *(const struct world *)argument;

	world.directory_fd = fds[0];
	world.terminal_fd = fds[1];
	world.pipe_fd = fds[2];
	errno = 0;
	if (escapes[world.index].attempt(&world) >= 0)
		_exit(HAS_WORKED);
	_exit(errno > 0 && errno < HAS_WORKED ? errno : 199);
}
CAROM_REGISTER(try_escape);

#endif
