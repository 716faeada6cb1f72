/*
 * Probe
 */
#include "core/probe.h"
#include "tests/needs.h"

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/log.h"

static char log_text[8192];

static void collect(const struct carom_log_record *record, void *userdata)
{
	size_t length = strlen(log_text);

	(void)userdata;
	snprintf(log_text + length, sizeof(log_text) - length, "%d %d %s\n", record->level,
		 record->event, record->text);
}

static void collect_log(void)
{
	carom_log_set_level(CAROM_LOG_INFO);
	carom_log_to(collect, NULL);
}

static int count_of(const char *text)
{
	int count = 0;

	for (const char *at = strstr(log_text, text); at; at = strstr(at + 1, text))
		count++;
	return count;
}

Test(probe, finds_what_every_supported_kernel_has)
{
	for (int i = 0; i < CAROM_FEATURE_COUNT; i++)
		if (!carom_feature_fallback(i))
			cr_expect(zero(int, carom_probe_error(i)), "%s", carom_feature_name(i));
	cr_expect(carom_probe(CAROM_FEATURE_CLONE_PIDFD));
	cr_expect(eq(int, carom_probe(CAROM_FEATURE_ROBUST_LIST), !denial_of("get_robust_list")));
	cr_expect(eq(int, carom_probe(CAROM_FEATURE_CLOSE_RANGE), !denial_of("close_range")));
}

Test(probe, spells_each_feature_and_names_its_fallback)
{
	cr_expect(zero(int, strcmp(carom_feature_name(CAROM_FEATURE_CLONE3), "clone3")));
	cr_expect(zero(int,
		       strcmp(carom_feature_name(CAROM_FEATURE_IO_URING_FUTEX), "io_uring_futex")));
	for (int i = 0; i < CAROM_FEATURE_COUNT; i++) {
		cr_assert(ne(ptr, (void *)carom_feature_name(i), NULL));
		cr_expect(lt(int, 0, strlen(carom_feature_name(i))));
		cr_expect(lt(int, 10, strlen(carom_feature_use(i))));
		cr_expect(carom_feature_fallback(i) == NULL ||
			  strlen(carom_feature_fallback(i)) > 10);
		for (int j = 0; j < i; j++)
			cr_expect(ne(int, strcmp(carom_feature_name(i), carom_feature_name(j)), 0));
	}
}

Test(probe, denies_what_the_environment_lists)
{
	setenv("CAROM_DENY", "clone3,close_range,,futex_waitv", 1);
	cr_expect(not(carom_probe(CAROM_FEATURE_CLONE3)));
	cr_expect(not(carom_probe(CAROM_FEATURE_CLOSE_RANGE)));
	cr_expect(not(carom_probe(CAROM_FEATURE_FUTEX_WAITV)));
	cr_expect(carom_probe(CAROM_FEATURE_CLONE_PIDFD));
}

Test(probe, denies_every_feature_by_its_name)
{
	char all[512] = "";

	for (int i = 0; i < CAROM_FEATURE_COUNT; i++) {
		strcat(all, carom_feature_name(i));
		strcat(all, ",");
	}
	setenv("CAROM_DENY", all, 1);
	for (int i = 0; i < CAROM_FEATURE_COUNT; i++)
		cr_expect(eq(int, carom_probe(i), carom_feature_fallback(i) == NULL), "%s",
			  carom_feature_name(i));
}

Test(probe, denies_nothing_without_which_there_is_no_way)
{
	setenv("CAROM_DENY", "memfd,pidfd_wait,clone3", 1);
	collect_log();
	cr_expect(carom_probe(CAROM_FEATURE_MEMFD));
	cr_expect(carom_probe(CAROM_FEATURE_PIDFD_WAIT));
	cr_expect(not(carom_probe(CAROM_FEATURE_CLONE3)));
	cr_expect(eq(int, count_of("CAROM_DENY: there is no way without"), 2), "%s", log_text);
}

Test(probe, denies_the_operations_of_a_ring_with_the_ring)
{
	setenv("CAROM_DENY", "io_uring", 1);
	cr_expect(not(carom_probe(CAROM_FEATURE_IO_URING)));
	cr_expect(not(carom_probe(CAROM_FEATURE_IO_URING_FUTEX)));
}

Test(probe, says_once_what_is_missing_and_what_is_done_instead)
{
	char expected[256];

	setenv("CAROM_DENY", "close_range,warp_drive", 1);
	collect_log();
	for (int i = 0; i < 3; i++)
		carom_probe(CAROM_FEATURE_CLOSE_RANGE);
	snprintf(expected, sizeof(expected),
		 "%d %d no close_range (CAROM_DENY): %s; see `carom doctor`\n", CAROM_LOG_INFO,
		 CAROM_LOG_EVENT_FEATURE_MISSING,
		 carom_feature_fallback(CAROM_FEATURE_CLOSE_RANGE));
	cr_expect(eq(int, count_of(expected), 1), "%s", log_text);
	cr_expect(eq(int, count_of("warp_drive"), 1), "%s", log_text);
	for (int i = 0; i < CAROM_FEATURE_COUNT; i++) {
		snprintf(expected, sizeof(expected), "no %s (", carom_feature_name(i));
		cr_expect(eq(int, count_of(expected), !carom_probe(i)), "%s", log_text);
	}
}

static void *probe_one(void *feature)
{
	return (void *)(uintptr_t)carom_probe((enum carom_feature)(uintptr_t)feature);
}

Test(probe, answers_many_threads_alike)
{
	pthread_t threads[8];
	void *answers[8];

	for (int i = 0; i < 8; i++)
		pthread_create(&threads[i], NULL, probe_one, (void *)CAROM_FEATURE_CLONE_PIDFD);
	for (int i = 0; i < 8; i++) {
		pthread_join(threads[i], &answers[i]);
		cr_expect(eq(ptr, answers[i], (void *)1));
	}
}

/* --- as a container would answer --------------------------------------- */

#define DENY(number, error)                                  \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (number), 0, 1), \
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))

/* io_uring and futex_waitv by EPERM, clone3 by ENOSYS, close_range by EPERM; all else is allowed. */
static void enter_container(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		DENY(SYS_io_uring_setup, EPERM),
		DENY(SYS_io_uring_enter, EPERM),
		DENY(SYS_io_uring_register, EPERM),
		DENY(449, EPERM),
		DENY(SYS_clone3, ENOSYS),
		DENY(SYS_close_range, EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(*code), .filter = code };

	cr_assert(zero(int, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
	cr_assert(zero(int, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)));
}

Test(probe, takes_eperm_for_enosys)
{
	collect_log();
	enter_container();
	cr_expect(eq(int, carom_probe_error(CAROM_FEATURE_IO_URING), -EPERM));
	cr_expect(eq(int, carom_probe_error(CAROM_FEATURE_IO_URING_FUTEX), -EPERM));
	cr_expect(eq(int, carom_probe_error(CAROM_FEATURE_FUTEX_WAITV), -EPERM));
	cr_expect(eq(int, carom_probe_error(CAROM_FEATURE_CLONE3), -ENOSYS));
	cr_expect(not(carom_probe(CAROM_FEATURE_CLONE3)));
	cr_expect(eq(int, carom_probe_error(CAROM_FEATURE_CLOSE_RANGE), -EPERM));
	cr_expect(carom_probe(CAROM_FEATURE_CLONE_PIDFD));
	cr_expect(eq(int, count_of("no io_uring (EPERM):"), 1), "%s", log_text);
	cr_expect(eq(int, count_of("no clone3 (ENOSYS):"), 1), "%s", log_text);
}

/* Allowed to make a ring, but not to use it: no ring. */
Test(probe, wants_all_of_io_uring)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		DENY(SYS_io_uring_enter, ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(*code), .filter = code };

	cr_assert(zero(int, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)));
	cr_assert(zero(int, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)));
	cr_expect(not(carom_probe(CAROM_FEATURE_IO_URING)));
}

/* --- harmlessness ------------------------------------------------------ */

static int open_fd_count(void)
{
	DIR *fds = opendir("/proc/self/fd");
	int count = 0;

	while (readdir(fds))
		count++;
	closedir(fds);
	return count;
}

static _Atomic int child_signal_count;

static void count_child_signal(int number)
{
	(void)number;
	child_signal_count++;
}

Test(probe, leaves_no_trace_in_the_program)
{
	int fds = open_fd_count();
	sigset_t before = { 0 }, after = { 0 };
	int error;

	signal(SIGCHLD, count_child_signal);
	sigprocmask(SIG_BLOCK, NULL, &before);
	errno = ENOTTY;
	carom_probe(CAROM_FEATURE_CLONE3);
	error = errno;
	cr_expect(eq(int, error, ENOTTY));
	cr_expect(eq(int, open_fd_count(), fds));
	cr_expect(zero(int, child_signal_count));
	cr_expect(eq(int, waitpid(-1, NULL, __WALL), -1));
	sigprocmask(SIG_BLOCK, NULL, &after);
	cr_expect(zero(int, memcmp(&before, &after, sizeof(before))));
}

Test(probe, knows_the_operations_of_a_ring_with_a_full_descriptor_table)
{
	struct rlimit limit;

	if (fork() == 0) {
		/* one is left, for the pidfd of the child that is asked */
		int free_fd = dup(0);

		getrlimit(RLIMIT_NOFILE, &limit);
		close(free_fd);
		limit.rlim_cur = (rlim_t)free_fd + 1;
		setrlimit(RLIMIT_NOFILE, &limit);
		_exit(carom_probe(CAROM_FEATURE_IO_URING_FUTEX));
	} else {
		int status;

		wait(&status);
		cr_assert(ne(int, WIFEXITED(status), 0));
		cr_expect(eq(int, WEXITSTATUS(status), carom_probe(CAROM_FEATURE_IO_URING_FUTEX)));
	}
}

/* The answer is yes exactly if a group can be made where this process is. */
Test(probe, finds_a_cgroup_in_which_groups_can_be_made)
{
	static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
	char line[512], path[1024];
	bool made = false;
	FILE *file = fopen("/proc/self/cgroup", "re");

	while (file && fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		for (int i = 0; i < 2 && strncmp(line, "0::", 3) == 0; i++) {
			snprintf(path, sizeof(path), "%s%s/cgroup.procs", mounts[i], line + 3);
			if (access(path, F_OK) < 0)
				continue;
			snprintf(path, sizeof(path), "%s%s/carom-probe-%d", mounts[i], line + 3,
				 getpid());
			made = made || (mkdir(path, 0755) == 0 && rmdir(path) == 0);
		}
	}
	if (file)
		fclose(file);
	cr_expect(eq(int, carom_probe(CAROM_FEATURE_CGROUP_V2), made));
}
